/* OpenSSL contexts, and the start of TLS on a connection. */
#include "tests/practice/peer_inner.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

static const unsigned char http_1_1[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_bytes,
                           const unsigned char *in, unsigned in_bytes, void *unused)
{
    (void)ssl, (void)unused;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_bytes, http_1_1, sizeof http_1_1, in, in_bytes) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static struct peer_tls *open_context(const SSL_METHOD *method)
{
    struct peer_tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return NULL;
    tls->context = SSL_CTX_new(method);
    if (!tls->context) {
        free(tls);
        return NULL;
    }
    SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    SSL_CTX_set_mode(tls->context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                       SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(tls->context, 1);
    return tls;
}

static struct peer_tls *refuse(struct peer_tls *tls, const char *file)
{
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    fprintf(stderr, "peer: cannot use %s: %s\n", file, text);
    peer_tls_close(tls);
    return NULL;
}

struct peer_tls *peer_tls_server(const char *cert_file, const char *key_file)
{
    struct peer_tls *tls = open_context(TLS_server_method());
    if (!tls)
        return NULL;
    SSL_CTX_set_alpn_select_cb(tls->context, choose_protocol, NULL);
    if (SSL_CTX_use_certificate_chain_file(tls->context, cert_file) != 1)
        return refuse(tls, cert_file);
    if (SSL_CTX_use_PrivateKey_file(tls->context, key_file, SSL_FILETYPE_PEM) != 1)
        return refuse(tls, key_file);
    return tls;
}

struct peer_tls *peer_tls_client(const char *ca_file)
{
    struct peer_tls *tls = open_context(TLS_client_method());
    if (!tls)
        return NULL;
    SSL_CTX_set_alpn_protos(tls->context, http_1_1, sizeof http_1_1);
    if (ca_file && SSL_CTX_load_verify_locations(tls->context, ca_file, NULL) != 1)
        return refuse(tls, ca_file);
    tls->verify = ca_file != NULL;
    if (tls->verify)
        SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    return tls;
}

void peer_tls_close(struct peer_tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    free(tls);
}

static bool is_address(const char *host)
{
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(host);
    ASN1_OCTET_STRING_free(address);
    return address != NULL;
}

bool peer_tls_begin(struct peer_conn *conn, struct peer_tls *tls)
{
    conn->ssl = SSL_new(tls->context);
    if (!conn->ssl || SSL_set_fd(conn->ssl, conn->source.fd) != 1)
        return false;
    if (!conn->client) {
        SSL_set_accept_state(conn->ssl);
        return true;
    }
    SSL_set_connect_state(conn->ssl);
    bool address = is_address(conn->host);
    if (!address)
        SSL_set_tlsext_host_name(conn->ssl, conn->host);
    if (!tls->verify)
        return true;
    return address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(conn->ssl), conn->host) == 1
                   : SSL_set1_host(conn->ssl, conn->host) == 1;
}
