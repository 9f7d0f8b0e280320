#include "common/clock.h"
#include "edge/io/tls_inner.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pool.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define SYSTEM_ROOTS "/etc/ssl/certs/ca-certificates.crt"

struct host {
    char name[TLS_NAME_BYTES_MAX + 1]; /* "": free */
    uint16_t port;
    uint64_t used; /* the client's count at the last use */
    unsigned sessions_count;
    SSL_SESSION *sessions[TLS_SESSIONS_MAX]; /* the newest last */
};

struct tls_client {
    pthread_mutex_t lock;
    SSL_CTX *context;
    CRYPTO_BUFFER_POOL *certificates; /* the same chain in every connection is kept once */
    uint64_t uses;
    struct host hosts[TLS_HOSTS_MAX];
};

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

static bool is_over(const SSL_SESSION *session)
{
    uint64_t now_s = (uint64_t)clock_wall_ms() / 1000;
    return SSL_SESSION_get_time(session) + SSL_SESSION_get_timeout(session) <= now_s;
}

/* The newest. Each is used once as long as there are others; the last one stays, for bursts in
 * which more is dialled than tickets have come: used twice it tells an observer that two
 * connections have one origin, which our address tells him anyway. */
static SSL_SESSION *take_session(struct tls_client *client, const char *name, uint16_t port)
{
    SSL_SESSION *session = NULL;
    pthread_mutex_lock(&client->lock);
    struct host *host = find_host(client, name, port);
    if (host && host->sessions_count && is_over(host->sessions[host->sessions_count - 1]))
        forget_sessions(host); /* the others are older still */
    if (host && host->sessions_count) {
        host->used = ++client->uses;
        session = host->sessions[host->sessions_count - 1];
        if (host->sessions_count > 1)
            host->sessions_count--;
        else
            SSL_SESSION_up_ref(session);
    }
    pthread_mutex_unlock(&client->lock);
    return session;
}

struct tls_client *tls_client_open(const char *roots_path, char *error, size_t room)
{
    static const uint8_t spoken[] = TLS_ALPN_HTTP11;
    const char *path = roots_path ? roots_path : SYSTEM_ROOTS;
    struct tls_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    pthread_mutex_init(&client->lock, NULL);
    client->context = tls_make_context();
    client->certificates = CRYPTO_BUFFER_POOL_new();
    if (!client->context || !client->certificates) {
        snprintf(error, room, "no memory for TLS");
    } else if (SSL_CTX_load_verify_locations(client->context, path, NULL) != 1) {
        tls_explain(error, room, "root certificates", path);
    } else {
        SSL_CTX_set0_buffer_pool(client->context, client->certificates);
        SSL_CTX_set_verify(client->context, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_session_cache_mode(client->context,
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(client->context, keep_session);
        SSL_CTX_set_alpn_protos(client->context, spoken, sizeof spoken - 1);
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

/* ---- dialling ---- */

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
    if (host[0] == '\0' || strlen(host) > TLS_NAME_BYTES_MAX)
        return NULL;
    struct tls *tls = tls_make(client->context, host);
    if (!tls)
        return NULL;
    tls->client = client;
    tls->port = port;
    SSL_set_connect_state(tls->ssl);
    if (!name_peer(tls->ssl, host)) {
        tls_free(tls);
        return NULL;
    }
    SSL_SESSION *session = take_session(client, host, port);
    if (session) {
        SSL_set_session(tls->ssl, session);
        SSL_SESSION_free(session);
    }
    return tls;
}
