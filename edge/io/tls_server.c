#include "common/clock.h"
#include "edge/io/tls_inner.h"

#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define TICKET_KEY_NS ((uint64_t)24 * 3600 * 1000000000u)

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

static int choose_protocol(SSL *ssl, const uint8_t **chosen, uint8_t *chosen_bytes,
                           const uint8_t *offered, unsigned offered_bytes, void *context)
{
    static const uint8_t spoken[] = TLS_ALPN_HTTP11;
    (void)ssl, (void)context;
    int result = SSL_select_next_proto((uint8_t **)(uintptr_t)chosen, chosen_bytes, spoken,
                                       sizeof spoken - 1, offered, offered_bytes);
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
    SSL_CTX *context = tls_make_context();
    if (!context) {
        snprintf(error, room, "no memory for TLS");
        return NULL;
    }
    if (SSL_CTX_use_certificate_chain_file(context, server->certificate_path) != 1) {
        tls_explain(error, room, "certificate", server->certificate_path);
    } else if (SSL_CTX_use_PrivateKey_file(context, server->key_path, SSL_FILETYPE_PEM) != 1) {
        tls_explain(error, room, "private key", server->key_path);
    } else if (SSL_CTX_check_private_key(context) != 1) {
        tls_explain(error, room, "private key that belongs to the certificate", server->key_path);
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

struct tls *tls_accept(struct tls_server *server)
{
    pthread_mutex_lock(&server->lock);
    SSL_CTX *context = server->context; /* which a reload may replace meanwhile */
    SSL_CTX_up_ref(context);
    pthread_mutex_unlock(&server->lock);
    struct tls *tls = tls_make(context, "");
    SSL_CTX_free(context);
    if (!tls)
        return NULL;
    tls->server = server;
    SSL_set_accept_state(tls->ssl);
    return tls;
}
