#include "edge/io/tls.h"

#include "common/panic.h"
#include "edge/io/heap.h"
#include "edge/io/tls_inner.h"
#include "edge/wire/http.h"

#include <openssl/base64.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define CIPHERS            "ECDHE+AESGCM:ECDHE+CHACHA20"
#define CURVES             "X25519:P-256"
#define RECORD_SLACK_BYTES 256 /* a key update that goes out before the data */

/* ---- memory as a BIO ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static BIO_METHOD *flow_method;

static int read_flow(BIO *bio, char *out, int room)
{
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    assert(tls->flow && room >= 0);
    struct span *in = &tls->flow->in;
    size_t count = in->bytes < (size_t)room ? in->bytes : (size_t)room;
    if (count == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(out, in->data, count);
    in->data += count;
    in->bytes -= count;
    return (int)count;
}

static int write_flow(BIO *bio, const char *bytes, int count)
{
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    assert(tls->flow && count >= 0);
    struct tls_flow *flow = tls->flow;
    if ((size_t)count > flow->out_room - flow->out_bytes)
        return -1;
    memcpy(flow->out + flow->out_bytes, bytes, (size_t)count);
    flow->out_bytes += (size_t)count;
    return count;
}

static long control_flow(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static void make_method(void)
{
    /* The library asks for heap.c by weak names, for which no linker opens an archive: name it. */
    assert(OPENSSL_memory_get_size(NULL) == 0);
    flow_method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "flow");
    assert(flow_method);
    BIO_meth_set_read(flow_method, read_flow);
    BIO_meth_set_write(flow_method, write_flow);
    BIO_meth_set_ctrl(flow_method, control_flow);
}

/* ---- what both roles begin with ---- */

SSL_CTX *tls_make_context(void)
{
    pthread_once(&once, make_method);
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    if (!context)
        return NULL;
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) &&
        SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) &&
        SSL_CTX_set_strict_cipher_list(context, CIPHERS) &&
        SSL_CTX_set1_curves_list(context, CURVES))
        return context;
    SSL_CTX_free(context);
    return NULL;
}

void tls_explain(char *error, size_t room, const char *what, const char *path)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    snprintf(error, room, "%s %s: %s", what, path, why ? why : "cannot be read");
    ERR_clear_error();
}

struct tls *tls_make(SSL_CTX *context, const char *host)
{
    size_t host_bytes = strlen(host) + 1;
    struct tls *tls = calloc(1, sizeof *tls + host_bytes);
    BIO *bio = BIO_new(flow_method);
    if (tls)
        tls->ssl = SSL_new(context);
    if (!tls || !bio || !tls->ssl) {
        BIO_free(bio);
        tls_free(tls);
        return NULL;
    }
    memcpy(tls->host, host, host_bytes);
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_app_data(tls->ssl, tls);
    SSL_set_shed_handshake_config(tls->ssl, 1);
    return tls;
}

/* ---- one connection ---- */

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    free(tls);
}

/* What the library's answer means; done says what success is called. */
static enum tls_step judge(struct tls *tls, int result, enum fault *fault)
{
    assert(!tls->broken);
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TLS_MORE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_CLOSED;
    default:
        break;
    }
    bool certificate = ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_SSL &&
                       ERR_GET_REASON(ERR_peek_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED;
    *fault = tls->secured  ? FAULT_tls_record
             : certificate ? FAULT_tls_certificate
                           : FAULT_tls_handshake;
    tls->broken = true;
    ERR_clear_error();
    return TLS_BAD;
}

enum tls_step tls_handshake(struct tls *tls, struct tls_flow *flow, enum fault *fault)
{
    assert(!tls->secured && !tls->flow);
    tls->flow = flow;
    int result = SSL_do_handshake(tls->ssl);
    tls->flow = NULL;
    if (result == 1) {
        tls->secured = true;
        return TLS_DONE;
    }
    enum tls_step step = judge(tls, result, fault);
    if (step != TLS_CLOSED)
        return step;
    *fault = FAULT_tls_handshake; /* close_notify instead of a handshake */
    tls->broken = true;
    return TLS_BAD;
}

bool tls_resumed(const struct tls *tls)
{
    return SSL_session_reused(tls->ssl);
}

enum tls_step tls_read(struct tls *tls, struct tls_flow *flow, uint8_t *plain, size_t *plain_bytes,
                       enum fault *fault)
{
    assert(tls->secured && !tls->flow);
    *plain_bytes = 0;
    if (tls->broken) {
        *fault = FAULT_tls_record;
        return TLS_BAD;
    }
    tls->flow = flow;
    int result = SSL_read(tls->ssl, plain, TLS_PLAIN_BYTES_MAX);
    tls->flow = NULL;
    *plain_bytes = result > 0 ? (size_t)result : 0;
    return result > 0 ? TLS_DONE : judge(tls, result, fault);
}

size_t tls_sealed_bytes_max(const struct tls *tls, size_t plain_bytes)
{
    size_t records = plain_bytes / TLS_PLAIN_BYTES_MAX + 1;
    return plain_bytes + records * SSL_max_seal_overhead(tls->ssl) + RECORD_SLACK_BYTES;
}

bool tls_write(struct tls *tls, struct tls_flow *flow, struct span plain)
{
    assert(tls->secured && !tls->flow && !tls->finished);
    assert(plain.bytes > 0 && plain.bytes <= INT32_MAX);
    if (tls->broken)
        return false;
    tls->flow = flow;
    int result = SSL_write(tls->ssl, plain.data, (int)plain.bytes);
    tls->flow = NULL;
    tls->broken = result != (int)plain.bytes;
    if (tls->broken)
        ERR_clear_error();
    return !tls->broken;
}

void tls_finish(struct tls *tls, struct tls_flow *flow)
{
    if (!tls->secured || tls->broken || tls->finished)
        return;
    tls->flow = flow;
    SSL_shutdown(tls->ssl);
    tls->flow = NULL;
    tls->finished = true;
    ERR_clear_error();
}

/* ---- the little crypto ---- */

void tls_websocket_accept(struct span key, char accept[29])
{
    uint8_t digest[SHA_DIGEST_LENGTH];
    SHA_CTX sha;
    SHA1_Init(&sha);
    SHA1_Update(&sha, key.data, key.bytes);
    SHA1_Update(&sha, WS_ACCEPT_GUID, sizeof WS_ACCEPT_GUID - 1);
    SHA1_Final(digest, &sha);
    size_t written = EVP_EncodeBlock((uint8_t *)accept, digest, sizeof digest);
    assert(written == 28 && accept[28] == '\0');
}

void tls_random(void *bytes, size_t count)
{
    static _Thread_local struct {
        uint8_t drawn[1024];
        size_t left;
    } stock;
    assert(count <= sizeof stock.drawn);
    if (stock.left < count) {
        RAND_bytes(stock.drawn, sizeof stock.drawn);
        stock.left = sizeof stock.drawn;
    }
    stock.left -= count;
    memcpy(bytes, stock.drawn + stock.left, count);
    OPENSSL_cleanse(stock.drawn + stock.left, count);
}
