#include "edge/io/tls.h"

#include "common/clock.h"
#include "common/panic.h"
#include "edge/io/heap.h"
#include "edge/wire/http.h"

#include <arpa/inet.h>
#include <openssl/base64.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/pool.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define SYSTEM_ROOTS       "/etc/ssl/certs/ca-certificates.crt"
#define CIPHERS            "ECDHE+AESGCM:ECDHE+CHACHA20"
#define CURVES             "X25519:P-256"
#define HOST_BYTES_MAX     255
#define TICKET_KEY_NS      ((uint64_t)24 * 3600 * 1000000000u)
#define RECORD_SLACK_BYTES 256 /* a key update that goes out before the data */

static const uint8_t alpn_http11[] = "\x08http/1.1";

struct ticket_key {
    uint8_t name[16], cipher[16], mac[32];
    bool set;
};

struct tls_server {
    pthread_mutex_t lock;
    SSL_CTX *context;
    char *certificate_path, *key_path;
    struct ticket_key keys[2]; /* today's and yesterday's */
    uint64_t keys_at_ns;
};

struct host {
    char name[HOST_BYTES_MAX + 1]; /* "": free */
    uint16_t port;
    uint64_t used; /* the client's count at the last use */
    unsigned sessions_count;
    SSL_SESSION *sessions[TLS_SESSIONS_MAX];
};

struct tls_client {
    pthread_mutex_t lock;
    SSL_CTX *context;
    CRYPTO_BUFFER_POOL *certificates; /* the same chain in every connection is kept once */
    uint64_t uses;
    struct host hosts[TLS_HOSTS_MAX];
};

struct tls {
    SSL *ssl;
    struct tls_flow *flow; /* of the call that runs, else NULL */
    bool secured, broken, finished;
    struct tls_server *server;
    struct tls_client *client;
    uint16_t port; /* client only, and host */
    char host[];
};

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

/* ---- contexts ---- */

static SSL_CTX *make_context(void)
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

/* What the library says last is nearest to the mend: "NO_START_LINE", "No such file". */
static void explain(char *error, size_t room, const char *what, const char *path)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    snprintf(error, room, "%s %s: %s", what, path, why ? why : "cannot be read");
    ERR_clear_error();
}

static int choose_protocol(SSL *ssl, const uint8_t **chosen, uint8_t *chosen_bytes,
                           const uint8_t *offered, unsigned offered_bytes, void *context)
{
    (void)ssl, (void)context;
    int result = SSL_select_next_proto((uint8_t **)(uintptr_t)chosen, chosen_bytes, alpn_http11,
                                       sizeof alpn_http11 - 1, offered, offered_bytes);
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Under the server's lock. Yesterday's key still opens, so no client notices the change. */
static void turn_keys(struct tls_server *server)
{
    uint64_t now_ns = clock_monotonic_ns();
    if (server->keys[0].set && now_ns - server->keys_at_ns < TICKET_KEY_NS)
        return;
    server->keys[1] = server->keys[0];
    RAND_bytes(server->keys[0].name, sizeof server->keys[0].name);
    RAND_bytes(server->keys[0].cipher, sizeof server->keys[0].cipher);
    RAND_bytes(server->keys[0].mac, sizeof server->keys[0].mac);
    server->keys[0].set = true;
    server->keys_at_ns = now_ns;
}

static const struct ticket_key *find_key(const struct tls_server *server, const uint8_t name[16])
{
    for (size_t i = 0; i < 2; i++)
        if (server->keys[i].set &&
            memcmp(server->keys[i].name, name, sizeof server->keys[i].name) == 0)
            return &server->keys[i];
    return NULL;
}

static bool use_key(const struct ticket_key *key, uint8_t *iv, EVP_CIPHER_CTX *cipher,
                    HMAC_CTX *mac, int encrypt)
{
    return EVP_CipherInit_ex(cipher, EVP_aes_128_cbc(), NULL, key->cipher, iv, encrypt) &&
           HMAC_Init_ex(mac, key->mac, sizeof key->mac, EVP_sha256(), NULL);
}

/* The library's convention: 1 yes, 2 yes and give a new one, 0 unknown ticket, -1 give up. */
static int seal_ticket(SSL *ssl, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher, HMAC_CTX *mac,
                       int encrypt)
{
    struct tls *tls = SSL_get_app_data(ssl);
    struct tls_server *server = tls->server;
    int result = 0;
    pthread_mutex_lock(&server->lock);
    turn_keys(server);
    const struct ticket_key *today = &server->keys[0];
    const struct ticket_key *key = encrypt ? today : find_key(server, name);
    if (encrypt) {
        memcpy(name, today->name, sizeof today->name);
        RAND_bytes(iv, EVP_MAX_IV_LENGTH);
    }
    if (key)
        result = !use_key(key, iv, cipher, mac, encrypt) ? -1 : key == today ? 1 : 2;
    pthread_mutex_unlock(&server->lock);
    return result;
}

static SSL_CTX *read_certificate(const struct tls_server *server, char *error, size_t room)
{
    SSL_CTX *context = make_context();
    if (!context) {
        snprintf(error, room, "no memory for TLS");
        return NULL;
    }
    if (SSL_CTX_use_certificate_chain_file(context, server->certificate_path) != 1) {
        explain(error, room, "certificate", server->certificate_path);
    } else if (SSL_CTX_use_PrivateKey_file(context, server->key_path, SSL_FILETYPE_PEM) != 1) {
        explain(error, room, "private key", server->key_path);
    } else if (SSL_CTX_check_private_key(context) != 1) {
        explain(error, room, "private key that belongs to the certificate", server->key_path);
    } else {
        SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_tlsext_ticket_key_cb(context, seal_ticket);
        SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
        return context;
    }
    SSL_CTX_free(context);
    return NULL;
}

struct tls_server *tls_server_open(const char *certificate_path, const char *key_path, char *error,
                                   size_t room)
{
    struct tls_server *server = calloc(1, sizeof *server);
    if (!server)
        return NULL;
    pthread_mutex_init(&server->lock, NULL);
    server->certificate_path = strdup(certificate_path);
    server->key_path = strdup(key_path);
    if (server->certificate_path && server->key_path)
        server->context = read_certificate(server, error, room);
    if (server->context)
        return server;
    tls_server_close(server);
    return NULL;
}

bool tls_server_reload(struct tls_server *server, char *error, size_t room)
{
    SSL_CTX *fresh = read_certificate(server, error, room);
    if (!fresh)
        return false;
    pthread_mutex_lock(&server->lock);
    SSL_CTX *old = server->context;
    server->context = fresh;
    pthread_mutex_unlock(&server->lock);
    SSL_CTX_free(old); /* connections that use it hold it */
    return true;
}

void tls_server_close(struct tls_server *server)
{
    if (!server)
        return;
    SSL_CTX_free(server->context);
    pthread_mutex_destroy(&server->lock);
    free(server->certificate_path);
    free(server->key_path);
    OPENSSL_cleanse(server->keys, sizeof server->keys);
    free(server);
}

/* ---- the client's sessions ---- */

static struct host *find_host(struct tls_client *client, const char *name, uint16_t port)
{
    for (size_t i = 0; i < TLS_HOSTS_MAX; i++)
        if (client->hosts[i].port == port && strcmp(client->hosts[i].name, name) == 0)
            return &client->hosts[i];
    return NULL;
}

static void forget_sessions(struct host *host)
{
    while (host->sessions_count)
        SSL_SESSION_free(host->sessions[--host->sessions_count]);
}

/* The host's own place, a free one, or that of the host that was not asked for longest. */
static struct host *place_for(struct tls_client *client, const char *name, uint16_t port)
{
    struct host *oldest = find_host(client, name, port);
    if (oldest)
        return oldest;
    oldest = &client->hosts[0];
    for (size_t i = 1; i < TLS_HOSTS_MAX; i++)
        if (client->hosts[i].used < oldest->used)
            oldest = &client->hosts[i];
    forget_sessions(oldest);
    snprintf(oldest->name, sizeof oldest->name, "%s", name);
    oldest->port = port;
    return oldest;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls *tls = SSL_get_app_data(ssl);
    struct tls_client *client = tls->client;
    pthread_mutex_lock(&client->lock);
    struct host *host = place_for(client, tls->host, tls->port);
    host->used = ++client->uses;
    if (host->sessions_count == TLS_SESSIONS_MAX) {
        SSL_SESSION_free(host->sessions[0]);
        host->sessions_count--;
        memmove(&host->sessions[0], &host->sessions[1],
                host->sessions_count * sizeof host->sessions[0]);
    }
    host->sessions[host->sessions_count++] = session;
    pthread_mutex_unlock(&client->lock);
    return 1; /* the session is ours now */
}

/* The newest; TLS 1.3 tickets leave the cache, so that no two connections can be linked by one. */
static SSL_SESSION *find_session(struct tls_client *client, const char *name, uint16_t port)
{
    SSL_SESSION *session = NULL;
    pthread_mutex_lock(&client->lock);
    struct host *host = find_host(client, name, port);
    if (host && host->sessions_count) {
        host->used = ++client->uses;
        session = host->sessions[host->sessions_count - 1];
        if (SSL_SESSION_should_be_single_use(session))
            host->sessions_count--;
        else
            SSL_SESSION_up_ref(session);
    }
    pthread_mutex_unlock(&client->lock);
    return session;
}

struct tls_client *tls_client_open(const char *roots_path, char *error, size_t room)
{
    const char *path = roots_path ? roots_path : SYSTEM_ROOTS;
    struct tls_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    pthread_mutex_init(&client->lock, NULL);
    client->context = make_context();
    client->certificates = CRYPTO_BUFFER_POOL_new();
    if (!client->context || !client->certificates) {
        snprintf(error, room, "no memory for TLS");
    } else if (SSL_CTX_load_verify_locations(client->context, path, NULL) != 1) {
        explain(error, room, "root certificates", path);
    } else {
        SSL_CTX_set0_buffer_pool(client->context, client->certificates);
        SSL_CTX_set_verify(client->context, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_session_cache_mode(client->context,
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(client->context, keep_session);
        SSL_CTX_set_alpn_protos(client->context, alpn_http11, sizeof alpn_http11 - 1);
        return client;
    }
    tls_client_close(client);
    return NULL;
}

void tls_client_close(struct tls_client *client)
{
    if (!client)
        return;
    for (size_t i = 0; i < TLS_HOSTS_MAX; i++)
        forget_sessions(&client->hosts[i]);
    SSL_CTX_free(client->context);
    CRYPTO_BUFFER_POOL_free(client->certificates);
    pthread_mutex_destroy(&client->lock);
    free(client);
}

/* ---- one connection ---- */

static struct tls *make_tls(SSL_CTX *context, const char *host)
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

struct tls *tls_accept(struct tls_server *server)
{
    pthread_mutex_lock(&server->lock);
    struct tls *tls = make_tls(server->context, "");
    pthread_mutex_unlock(&server->lock);
    if (!tls)
        return NULL;
    tls->server = server;
    SSL_set_accept_state(tls->ssl);
    return tls;
}

/* The certificate must name what we dialled: an address as such, a name as a name. */
static bool name_peer(SSL *ssl, const char *host)
{
    uint8_t address[sizeof(struct in6_addr)];
    X509_VERIFY_PARAM *verify = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(verify, host);
    return X509_VERIFY_PARAM_set1_host(verify, host, strlen(host)) &&
           SSL_set_tlsext_host_name(ssl, host);
}

struct tls *tls_dial(struct tls_client *client, const char *host, uint16_t port)
{
    if (host[0] == '\0' || strlen(host) > HOST_BYTES_MAX)
        return NULL;
    struct tls *tls = make_tls(client->context, host);
    if (!tls)
        return NULL;
    tls->client = client;
    tls->port = port;
    SSL_set_connect_state(tls->ssl);
    if (!name_peer(tls->ssl, host)) {
        tls_free(tls);
        return NULL;
    }
    SSL_SESSION *session = find_session(client, host, port);
    if (session) {
        SSL_set_session(tls->ssl, session);
        SSL_SESSION_free(session);
    }
    return tls;
}

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
