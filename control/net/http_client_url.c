#include "control/net/http_client_url.h"

#include "control/net/http_client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BOTH_BYTES (256 + 8 + 1) /* host:port */

static bool copy_part(CURLU *url, CURLUPart part, unsigned flags, char *text, size_t room)
{
    char *found = NULL;
    bool fits = curl_url_get(url, part, &found, flags) == CURLUE_OK && strlen(found) < room;
    snprintf(text, room, "%s", fits ? found : "");
    curl_free(found);
    return fits;
}

bool http_client_origin_read(const char *text, struct http_client_origin *origin)
{
    char *user = NULL, *password = NULL;
    CURLU *url = curl_url();
    bool read =
        url && strlen(text) <= HTTP_CLIENT_URL_BYTES_MAX &&
        curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
        copy_part(url, CURLUPART_SCHEME, 0, origin->scheme, sizeof origin->scheme) &&
        copy_part(url, CURLUPART_HOST, 0, origin->host, sizeof origin->host) &&
        copy_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, origin->port, sizeof origin->port) &&
        curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_NO_USER &&
        curl_url_get(url, CURLUPART_PASSWORD, &password, 0) == CURLUE_NO_PASSWORD;
    curl_free(user);
    curl_free(password);
    curl_url_cleanup(url);
    return read && (strcmp(origin->scheme, "https") == 0 || strcmp(origin->scheme, "http") == 0);
}

bool http_client_origin_same(const struct http_client_origin *left,
                             const struct http_client_origin *right)
{
    return strcmp(left->scheme, right->scheme) == 0 && strcasecmp(left->host, right->host) == 0 &&
           strcmp(left->port, right->port) == 0;
}

char *http_client_url_join(const char *base, const char *location)
{
    char *found = NULL, *joined = NULL;
    CURLU *url = curl_url();
    if (url && curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK &&
        curl_url_set(url, CURLUPART_URL, location, CURLU_URLENCODE) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_URL, &found, 0) == CURLUE_OK)
        joined = strdup(found);
    curl_free(found);
    curl_url_cleanup(url);
    return joined;
}

bool http_client_origin_among(const struct http_client_origin *origin, const char *list)
{
    char both[BOTH_BYTES];
    snprintf(both, sizeof both, "%s:%s", origin->host, origin->port);
    for (const char *at = list; at && *at;) {
        size_t bytes = strcspn(at, ", ");
        if ((bytes == strlen(origin->host) && strncasecmp(at, origin->host, bytes) == 0) ||
            (bytes == strlen(both) && strncasecmp(at, both, bytes) == 0))
            return true;
        at += bytes;
        at += strspn(at, ", ");
    }
    return false;
}

bool http_client_value_clean(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++)
        if ((*at < ' ' && *at != '\t') || *at == 0x7f)
            return false;
    return true;
}

bool http_client_name_clean(const char *text)
{
    static const char others[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return text[0] && text[strspn(text, others)] == '\0';
}
