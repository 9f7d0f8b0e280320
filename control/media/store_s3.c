#include "control/media/media_figures.h"
#include "control/media/store.h"
#include "control/media/store_s3_list.h"
#include "control/net/http_client.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <time.h>

#define CONNECT_MS      5000
#define TOTAL_MS        (10 * 60 * 1000)
#define PIECE_MS        10000
#define STALL_MS        30000
#define HASH_BYTES      32
#define HASH_TEXT       (2 * HASH_BYTES + 1)
#define STAMP_BYTES     17 /* 20261121T075000Z */
#define EMPTY_SHA256    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ANSWER_BYTES    65536
#define LIST_BYTES      (2u << 20) /* a page whose every name is the longest there is */
#define LIST_MS         60000
#define TEXT_OF(number) #number
#define AS_TEXT(number) TEXT_OF(number)
#define STORE_PAGE_TEXT AS_TEXT(STORE_PAGE_OBJECTS)
#define SCOPE_BYTES     128
#define ALGORITHM       "AWS4-HMAC-SHA256"

static void write_hex(const uint8_t *bytes, size_t count, char *text)
{
    for (size_t i = 0; i < count; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

/* What all requests have in common. url and provider are the caller's room. */
static bool begin(struct store *store, const char *method, const char *key,
                  char url[STORE_URL_BYTES], char provider[SCOPE_BYTES],
                  struct http_client_request *request)
{
    const struct options *options = store->options;
    int bytes = snprintf(url, STORE_URL_BYTES, "%s/%s", options->s3_url, key);
    int more = snprintf(provider, SCOPE_BYTES, "aws:amz:%s:s3", options->s3_region);
    *request =
        (struct http_client_request){.method = method,
                                     .url = url,
                                     .user = options->s3_key,
                                     .password = options->s3_secret,
                                     .sigv4 = provider,
                                     .by_operator = true,
                                     .allow_private = options->allow_private,
                                     .ca_path = options->ca_path,
                                     .bytes_max = ANSWER_BYTES,
                                     .connect_ms = CONNECT_MS,
                                     .total_ms = store->patience_ms ? store->patience_ms : TOTAL_MS,
                                     .stall_ms = STALL_MS,
                                     .must_stop = store->must_stop,
                                     .context = store->context};
    return bytes > 0 && bytes < STORE_URL_BYTES && more > 0 && more < SCOPE_BYTES;
}

/* <Code>NoSuchKey</Code>: S3's word for it. */
static enum store_end settle(struct store *store, struct http_client_response *response)
{
    char *code = response->body ? strstr(response->body, "<Code>") : NULL;
    enum store_end end = STORE_LATER;
    if (response->status / 100 == 2)
        end = STORE_DONE;
    else if (response->status == 404)
        end = STORE_MISSING;
    if (code)
        snprintf(store->error, sizeof store->error, "%s: %.*s", response->error,
                 (int)strcspn(code + 6, "<"), code + 6);
    else
        snprintf(store->error, sizeof store->error, "%s", response->error);
    http_client_free(response);
    return end;
}

static enum store_end refuse(struct store *store, const char *why)
{
    snprintf(store->error, sizeof store->error, "%s", why);
    return STORE_LATER;
}

/* Is it there, as large as it should be? */
static enum store_end look_again(struct store *store, const char *key, uint64_t bytes)
{
    char url[STORE_URL_BYTES], provider[SCOPE_BYTES];
    struct http_client_request request;
    struct http_client_response response;
    struct http_client_header hash = {.name = "x-amz-content-sha256", .value = EMPTY_SHA256};
    struct http_client_wanted length = {.name = "content-length"};
    if (!begin(store, "HEAD", key, url, provider, &request))
        return refuse(store, "the object's address is too long");
    request.headers = &hash;
    request.headers_count = 1;
    request.wanted = &length;
    request.wanted_count = 1;
    http_client_run(&request, &response);
    enum store_end end = settle(store, &response);
    if (end == STORE_DONE && strtoull(length.value, NULL, 10) != bytes)
        return refuse(store, "the store has an object of another size than was sent");
    return end == STORE_DONE ? STORE_DONE : STORE_LATER;
}

static enum store_end keep(struct store *store, const struct media_path *place,
                           const struct store_file *file)
{
    char url[STORE_URL_BYTES], provider[SCOPE_BYTES], sha256[HASH_TEXT];
    struct http_client_request request;
    struct http_client_response response;
    const struct http_client_header headers[] = {
        {.name = "x-amz-content-sha256", .value = sha256},
        {.name = "Content-Type", .value = file->media_type}};
    if (file->sha256.bytes != HASH_BYTES ||
        !begin(store, "PUT", place->name, url, provider, &request))
        return refuse(store, "the object's address is too long");
    write_hex(file->sha256.data, HASH_BYTES, sha256);
    request.body_path = place->part;
    request.headers = headers;
    request.headers_count = 2;
    http_client_run(&request, &response);
    enum store_end end = settle(store, &response);
    return end == STORE_DONE ? look_again(store, place->name, file->bytes) : STORE_LATER;
}

static enum store_end read_piece(struct store *store, const char *key, uint64_t at, uint8_t *piece,
                                 size_t room, size_t *taken)
{
    char url[STORE_URL_BYTES], provider[SCOPE_BYTES], range[64];
    struct http_client_request request;
    struct http_client_response response;
    const struct http_client_header headers[] = {
        {.name = "x-amz-content-sha256", .value = EMPTY_SHA256}, {.name = "Range", .value = range}};
    if (!begin(store, "GET", key, url, provider, &request))
        return refuse(store, "the object's address is too long");
    snprintf(range, sizeof range, "bytes=%" PRIu64 "-%" PRIu64, at, at + room - 1);
    request.headers = headers;
    request.headers_count = 2;
    request.bytes_max = room;
    request.total_ms = PIECE_MS;
    http_client_run(&request, &response);
    *taken = 0;
    if (response.status == 206 && response.body) {
        memcpy(piece, response.body, (size_t)response.bytes);
        *taken = (size_t)response.bytes;
    } else if (response.status == 200) { /* all of it, from the beginning */
        response.status = 0;
        snprintf(response.error, sizeof response.error, "the store does not know ranges");
    } else if (response.status == 416) { /* nothing behind its end */
        response.status = 206;
    }
    return settle(store, &response);
}

static enum store_end remove_object(struct store *store, const char *key)
{
    char url[STORE_URL_BYTES], provider[SCOPE_BYTES];
    struct http_client_request request;
    struct http_client_response response;
    struct http_client_header hash = {.name = "x-amz-content-sha256", .value = EMPTY_SHA256};
    if (!begin(store, "DELETE", key, url, provider, &request))
        return refuse(store, "the object's address is too long");
    request.headers = &hash;
    request.headers_count = 1;
    http_client_run(&request, &response);
    return settle(store, &response);
}

/* ---- lists ---- */

/* --s3-url is an endpoint, perhaps with a bucket, perhaps with a prefix of names behind that. A
 * list is asked of the bucket. Returns the bytes of its address; prefix: "" or "x/". */
static int find_bucket(const char *url, char prefix[STORE_URL_BYTES])
{
    const char *host = strstr(url, "://");
    const char *path = host ? strchr(host + 3, '/') : NULL;
    const char *behind = path ? strchr(path + 1, '/') : NULL;
    prefix[0] = '\0';
    if (behind)
        snprintf(prefix, STORE_URL_BYTES, "%s/", behind + 1);
    return (int)(behind ? (size_t)(behind - url) : strlen(url));
}

/* As version 4 wants values of a query: what was signed must be what is sent. */
static bool add_encoded(char *url, size_t room, const char *name, const char *value)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    size_t at = strlen(url), name_bytes = strlen(name);
    if (at + name_bytes + 3 * strlen(value) + 1 > room)
        return false;
    memcpy(url + at, name, name_bytes);
    for (at += name_bytes; *value; value++) {
        if (strchr(plain, *value))
            url[at++] = *value;
        else
            at += (size_t)snprintf(url + at, room - at, "%%%02X", (unsigned char)*value);
    }
    url[at] = '\0';
    return true;
}

/* Parameters in order, too. */
static bool write_list_url(const struct store *store, const char *organization,
                           const struct store_page *page, const char *prefix, int bucket_bytes,
                           char url[HTTP_CLIENT_URL_BYTES_MAX])
{
    const char *base = store->options->s3_url;
    char wanted[STORE_URL_BYTES + MEDIA_DIR_NAME_BYTES], last[sizeof wanted];
    size_t room = HTTP_CLIENT_URL_BYTES_MAX;
    bool has_path = strchr(strstr(base, "://") + 3, '/') != NULL;
    snprintf(wanted, sizeof wanted, "%s%s/", prefix, organization);
    snprintf(last, sizeof last, "%s%s", prefix, page->last);
    snprintf(url, room, "%.*s%s?", bucket_bytes, base, has_path ? "" : "/");
    bool fits = !page->token[0] || add_encoded(url, room, "continuation-token=", page->token);
    if (page->token[0])
        fits = fits && add_encoded(url, room, "&", "");
    fits = fits && add_encoded(url, room, "list-type=2&max-keys=", STORE_PAGE_TEXT) &&
           add_encoded(url, room, "&prefix=", wanted);
    if (!page->token[0] && page->last[0])
        fits = fits && add_encoded(url, room, "&start-after=", last);
    return fits;
}

static enum store_end list(struct store *store, const char *organization, struct store_page *page)
{
    char url[HTTP_CLIENT_URL_BYTES_MAX], ignored[STORE_URL_BYTES], provider[SCOPE_BYTES];
    char prefix[STORE_URL_BYTES];
    struct http_client_request request;
    struct http_client_response response;
    struct http_client_header hash = {.name = "x-amz-content-sha256", .value = EMPTY_SHA256};
    int bucket_bytes = find_bucket(store->options->s3_url, prefix);
    if (!begin(store, "GET", "", ignored, provider, &request) ||
        !write_list_url(store, organization, page, prefix, bucket_bytes, url))
        return refuse(store, "the list's address is too long");
    request.url = url;
    request.headers = &hash;
    request.headers_count = 1;
    request.bytes_max = LIST_BYTES;
    request.total_ms = LIST_MS;
    if (!http_client_run(&request, &response) || !response.body) {
        settle(store, &response);
        return STORE_LATER;
    }
    bool read = store_s3_list_read(span_from(response.body, (size_t)response.bytes), prefix,
                                   organization, page, store->error, sizeof store->error);
    media_figures_count(MEDIA_lists_refused, !read);
    http_client_free(&response);
    return read ? STORE_DONE : STORE_LATER;
}

const struct store_kind store_s3 = {"s3", keep, read_piece, remove_object, list};

/* ---- links: a signature of version 4 in the query ---- */

static void sign(const uint8_t *key, size_t key_bytes, const char *text, uint8_t mac[HASH_BYTES])
{
    HMAC(EVP_sha256(), key, (int)key_bytes, (const unsigned char *)text, strlen(text), mac, NULL);
}

static void derive(const struct options *options, const char *day, uint8_t key[HASH_BYTES])
{
    char first[512];
    int bytes = snprintf(first, sizeof first, "AWS4%s", options->s3_secret);
    sign((const uint8_t *)first, (size_t)bytes, day, key);
    sign(key, HASH_BYTES, options->s3_region, key);
    sign(key, HASH_BYTES, "s3", key);
    sign(key, HASH_BYTES, "aws4_request", key);
    explicit_bzero(first, sizeof first);
}

static void write_stamp(int64_t now_ms, char stamp[STAMP_BYTES])
{
    struct tm tm;
    time_t now = (time_t)(now_ms / 1000);
    gmtime_r(&now, &tm);
    strftime(stamp, STAMP_BYTES, "%Y%m%dT%H%M%SZ", &tm);
}

bool store_s3_link(const struct options *options, const char *key, int64_t now_ms, unsigned life_s,
                   char url[STORE_URL_BYTES])
{
    char stamp[STAMP_BYTES], day[9], scope[SCOPE_BYTES], query[700], text[4 * STORE_URL_BYTES];
    char hash[HASH_TEXT];
    uint8_t bytes[HASH_BYTES], secret[HASH_BYTES];
    const char *host = options->s3_url ? strstr(options->s3_url, "://") : NULL;
    if (!host || strlen(options->s3_url) > 512 || strlen(options->s3_key) > 128)
        return false;
    host += 3;
    int host_bytes = (int)strcspn(host, "/");
    write_stamp(now_ms, stamp);
    snprintf(day, sizeof day, "%.8s", stamp);
    snprintf(scope, sizeof scope, "%s/%.64s/s3/aws4_request", day, options->s3_region);
    snprintf(query, sizeof query,
             "X-Amz-Algorithm=" ALGORITHM
             "&X-Amz-Credential=%s%%2F%s%%2F%.64s%%2Fs3%%2Faws4_request&X-Amz-Date=%s"
             "&X-Amz-Expires=%u&X-Amz-SignedHeaders=host",
             options->s3_key, day, options->s3_region, stamp, life_s);
    snprintf(text, sizeof text, "GET\n%s/%s\n%s\nhost:%.*s\n\nhost\nUNSIGNED-PAYLOAD",
             host + host_bytes, key, query, host_bytes, host);
    if (EVP_Digest(text, strlen(text), bytes, NULL, EVP_sha256(), NULL) != 1)
        return false;
    write_hex(bytes, HASH_BYTES, hash);
    snprintf(text, sizeof text, ALGORITHM "\n%s\n%s\n%s", stamp, scope, hash);
    derive(options, day, secret);
    sign(secret, HASH_BYTES, text, bytes);
    explicit_bzero(secret, sizeof secret);
    write_hex(bytes, HASH_BYTES, hash);
    int written = snprintf(url, STORE_URL_BYTES, "%s/%s?%s&X-Amz-Signature=%s", options->s3_url,
                           key, query, hash);
    return written > 0 && written < STORE_URL_BYTES;
}
