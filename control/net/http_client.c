#include "control/net/http_client.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/panic.h"
#include "control/base/address.h"
#include "control/net/http_client_url.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESPONSE_HEADERS_BYTES_MAX 65536
#define STALL_BYTES_PER_S          1

/* One request under way, redirects and all. */
struct exchange {
    const struct http_client_request *request;
    struct http_client_response *response;
    CURL *curl;
    struct http_client_origin first, now;
    char *url; /* of this hop; NULL: the request's */
    uint64_t ends_at_ns;
    struct curl_slist *headers;
    int fd;      /* of to_path, -1: none */
    int source;  /* of body_path, -1: none */
    size_t room; /* of body */
    uint64_t header_bytes;
    enum http_client_end why; /* set when one of our callbacks has ended it */
    const char *words;        /* beside why, or NULL */
    bool was_private;         /* an address was refused */
    char curl_error[CURL_ERROR_SIZE];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t handle_key;

/* ---- a handle per thread ---- */

static void close_handle(void *curl)
{
    curl_easy_cleanup(curl);
}

static void begin(void)
{
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    int failed = pthread_key_create(&handle_key, close_handle);
    assert(code == CURLE_OK && failed == 0);
}

/* Nothing of the last request is left in it but connections and what names resolved to. */
static CURL *take_handle(void)
{
    pthread_once(&once, begin);
    CURL *curl = pthread_getspecific(handle_key);
    if (curl) {
        curl_easy_reset(curl);
        return curl;
    }
    curl = curl_easy_init();
    if (curl && pthread_setspecific(handle_key, curl) != 0) {
        curl_easy_cleanup(curl);
        curl = NULL;
    }
    return curl;
}

/* ---- what was asked ---- */

static bool refuse(struct exchange *exchange, const char *words)
{
    exchange->why = HTTP_CLIENT_refused;
    exchange->words = words;
    return false;
}

static bool check_request(struct exchange *exchange)
{
    const struct http_client_request *request = exchange->request;
    assert(request->bytes_max > 0 && request->connect_ms > 0 && request->total_ms > 0);
    assert(request->redirects_max <= HTTP_CLIENT_REDIRECTS_MAX);
    assert(!request->body_path || !request->body.data);
    assert(!request->user == !request->password);
    if (!http_client_origin_read(request->url, &exchange->first))
        return refuse(exchange, "the URL is not one of http or https, or holds a password");
    if (request->headers_count > HTTP_CLIENT_HEADERS_MAX)
        return refuse(exchange, "too many headers");
    for (size_t i = 0; i < request->headers_count; i++)
        if (!http_client_name_clean(request->headers[i].name) ||
            !http_client_value_clean(request->headers[i].value))
            return refuse(exchange, "a header's name or value is not one");
    if (request->bearer && !http_client_value_clean(request->bearer))
        return refuse(exchange, "the bearer token holds control characters");
    return true;
}

/* ---- where a socket may be opened to ---- */

static bool may_be_private(const struct exchange *exchange)
{
    return (exchange->request->by_operator &&
            http_client_origin_same(&exchange->first, &exchange->now)) ||
           http_client_origin_among(&exchange->now, exchange->request->allow_private);
}

static const char not_public_words[] = "its address is not a public one (--allow-private)";

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct exchange *exchange = context;
    (void)purpose;
    if (!address_is_public(&address->addr) && !may_be_private(exchange)) {
        exchange->was_private = true; /* another of its addresses may still do */
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Before each request, also on a connection that was opened for another one. */
static int look_at_connection(void *context, char *remote, char *local, int remote_port,
                              int local_port)
{
    struct exchange *exchange = context;
    (void)local;
    (void)remote_port;
    (void)local_port;
    if (address_text_is_public(remote) || may_be_private(exchange))
        return CURL_PREREQFUNC_OK;
    refuse(exchange, not_public_words);
    return CURL_PREREQFUNC_ABORT;
}

/* ---- what comes back ---- */

static size_t stop_with(struct exchange *exchange, enum http_client_end why, const char *words)
{
    exchange->why = why;
    exchange->words = words;
    return 0; /* fewer than were given: curl ends */
}

static bool write_whole(int fd, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t written = write(fd, data, bytes);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        data += written;
        bytes -= (size_t)written;
    }
    return true;
}

static size_t keep_in_memory(struct exchange *exchange, const char *data, size_t bytes)
{
    struct http_client_response *response = exchange->response;
    size_t wanted = (size_t)response->bytes + bytes + 1;
    if (wanted > exchange->room) {
        size_t room = exchange->room ? exchange->room : 1024;
        while (room < wanted)
            room *= 2;
        char *body = malloc(room);
        if (!body)
            return stop_with(exchange, HTTP_CLIENT_failed, "no memory for the answer");
        if (response->body) {
            memcpy(body, response->body, (size_t)response->bytes);
            explicit_bzero(response->body, (size_t)response->bytes);
            free(response->body);
        }
        response->body = body;
        exchange->room = room;
    }
    memcpy(response->body + response->bytes, data, bytes);
    response->bytes += bytes;
    response->body[response->bytes] = '\0';
    return bytes;
}

static long status_of(const struct exchange *exchange)
{
    long status = 0;
    curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static size_t take_body(char *data, size_t one, size_t bytes, void *context)
{
    struct exchange *exchange = context;
    struct http_client_response *response = exchange->response;
    bool to_file = exchange->request->to_path && status_of(exchange) / 100 == 2;
    uint64_t most = exchange->request->bytes_max;
    (void)one;                                    /* always 1 */
    if (exchange->request->to_path && !to_file) { /* a word of why, and no more */
        uint64_t left = HTTP_CLIENT_ERROR_BODY_MAX - response->bytes;
        size_t kept = bytes < left ? bytes : (size_t)left;
        return keep_in_memory(exchange, data, kept) == kept ? bytes : 0;
    }
    if (bytes > most - response->bytes)
        return stop_with(exchange, HTTP_CLIENT_too_large, "the answer is larger than is taken");
    if (!to_file)
        return keep_in_memory(exchange, data, bytes);
    if (!write_whole(exchange->fd, data, bytes))
        return stop_with(exchange, HTTP_CLIENT_failed, "the answer cannot be written to its file");
    response->bytes += bytes;
    return bytes;
}

static size_t count_header(char *data, size_t one, size_t bytes, void *context)
{
    struct exchange *exchange = context;
    (void)data;
    (void)one;
    exchange->header_bytes += bytes;
    if (exchange->header_bytes > RESPONSE_HEADERS_BYTES_MAX)
        return stop_with(exchange, HTTP_CLIENT_too_large, "the answer's headers are too large");
    return bytes;
}

static int look_around(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    struct exchange *exchange = context;
    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    if (!exchange->request->must_stop || !exchange->request->must_stop(exchange->request->context))
        return 0;
    stop_with(exchange, HTTP_CLIENT_stopped, "it was told to stop");
    return 1;
}

/* ---- what goes out ---- */

static size_t give_body(char *data, size_t one, size_t room, void *context)
{
    const struct exchange *exchange = context;
    ssize_t taken = read(exchange->source, data, one * room);
    return taken < 0 ? CURL_READFUNC_ABORT : (size_t)taken;
}

static int rewind_body(void *context, curl_off_t offset, int whence)
{
    const struct exchange *exchange = context;
    return lseek(exchange->source, offset, whence) < 0 ? CURL_SEEKFUNC_FAIL : CURL_SEEKFUNC_OK;
}

static bool add_header(struct exchange *exchange, const char *name, const char *value)
{
    size_t room = strlen(name) + strlen(value) + 3;
    char *line = malloc(room);
    if (!line)
        return false;
    if (value[0])
        snprintf(line, room, "%s: %s", name, value);
    else
        snprintf(line, room, "%s;", name); /* how curl is told of an empty one */
    struct curl_slist *longer = curl_slist_append(exchange->headers, line);
    explicit_bzero(line, room);
    free(line);
    if (longer)
        exchange->headers = longer;
    return longer != NULL;
}

/* Secrets only while we are where the caller meant to go. */
static bool set_headers(struct exchange *exchange)
{
    const struct http_client_request *request = exchange->request;
    bool at_home = http_client_origin_same(&exchange->first, &exchange->now);
    curl_slist_free_all(exchange->headers);
    exchange->headers = NULL;
    if (!request->sigv4) /* no waiting for "100 Continue"; libcurl would sign the missing header */
        exchange->headers = curl_slist_append(NULL, "Expect:");
    bool set = request->sigv4 || exchange->headers;
    for (size_t i = 0; set && i < request->headers_count; i++)
        if (at_home || !request->headers[i].secret)
            set = add_header(exchange, request->headers[i].name, request->headers[i].value);
    curl_easy_setopt(exchange->curl, CURLOPT_HTTPHEADER, exchange->headers);
    curl_easy_setopt(exchange->curl, CURLOPT_USERNAME, at_home ? request->user : NULL);
    curl_easy_setopt(exchange->curl, CURLOPT_PASSWORD, at_home ? request->password : NULL);
    curl_easy_setopt(exchange->curl, CURLOPT_XOAUTH2_BEARER, at_home ? request->bearer : NULL);
    curl_easy_setopt(exchange->curl, CURLOPT_AWS_SIGV4, at_home ? request->sigv4 : NULL);
    if (!request->sigv4 || !at_home)
        curl_easy_setopt(exchange->curl, CURLOPT_HTTPAUTH,
                         request->bearer && at_home ? CURLAUTH_BEARER : CURLAUTH_BASIC);
    return set;
}

static bool set_body(struct exchange *exchange)
{
    const struct http_client_request *request = exchange->request;
    CURL *curl = exchange->curl;
    struct stat file;
    if (request->body_path) {
        exchange->source = open(request->body_path, O_RDONLY | O_CLOEXEC);
        if (exchange->source < 0 || fstat(exchange->source, &file) != 0) {
            exchange->why = HTTP_CLIENT_failed;
            exchange->words = "the file to be sent cannot be read";
            return false;
        }
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_body);
        curl_easy_setopt(curl, CURLOPT_READDATA, exchange);
        curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, rewind_body);
        curl_easy_setopt(curl, CURLOPT_SEEKDATA, exchange);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)file.st_size);
    } else if (request->body.data) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.bytes);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body.data);
    } else if (strcmp(request->method, "HEAD") == 0) {
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    } else if (strcmp(request->method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    } else {
        curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    return true;
}

static void set_bounds(struct exchange *exchange)
{
    const struct http_client_request *request = exchange->request;
    CURL *curl = exchange->curl;
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_ms);
    if (request->stall_ms > 0) {
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)STALL_BYTES_PER_S);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)(request->stall_ms + 999) / 1000);
    }
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_around);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, exchange);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, count_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, exchange->curl_error);
}

static void set_ways(struct exchange *exchange)
{
    CURL *curl = exchange->curl;
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* a proxy would hide the address */
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, exchange);
    curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, look_at_connection);
    curl_easy_setopt(curl, CURLOPT_PREREQDATA, exchange);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "ringbridge/" RINGBRIDGE_VERSION);
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, exchange->request->once ? 1L : 0L);
    if (exchange->request->ca_path)
        curl_easy_setopt(curl, CURLOPT_CAINFO, exchange->request->ca_path);
}

static bool open_target(struct exchange *exchange)
{
    const char *path = exchange->request->to_path;
    if (!path)
        return true;
    exchange->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (exchange->fd >= 0)
        return true;
    exchange->why = HTTP_CLIENT_failed;
    exchange->words = "the file for the answer cannot be made";
    return false;
}

/* ---- the hops ---- */

static CURLcode perform(struct exchange *exchange)
{
    uint64_t now_ns = clock_monotonic_ns();
    struct http_client_response *response = exchange->response;
    if (now_ns >= exchange->ends_at_ns)
        return CURLE_OPERATION_TIMEDOUT;
    http_client_free(response);
    response->bytes = 0;
    exchange->room = 0;
    exchange->header_bytes = 0;
    curl_easy_setopt(exchange->curl, CURLOPT_URL,
                     exchange->url ? exchange->url : exchange->request->url);
    curl_easy_setopt(exchange->curl, CURLOPT_TIMEOUT_MS,
                     (long)((exchange->ends_at_ns - now_ns) / 1000000 + 1));
    return curl_easy_perform(exchange->curl);
}

static bool is_redirect(const struct exchange *exchange)
{
    static const long followed[] = {301, 302, 303, 307, 308};
    const char *method = exchange->request->method;
    bool is_one = false;
    for (size_t i = 0; i < sizeof followed / sizeof followed[0]; i++)
        is_one |= status_of(exchange) == followed[i];
    return is_one && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0);
}

/* The next hop's URL and origin; false: this is where it ends. libcurl's own idea of that URL is
 * not used: it would hold the credentials. */
static bool take_redirect(struct exchange *exchange)
{
    struct http_client_origin next;
    struct curl_header *location;
    if (!is_redirect(exchange) ||
        curl_easy_header(exchange->curl, "location", 0, CURLH_HEADER, -1, &location) != CURLHE_OK)
        return false;
    char *url = http_client_url_join(exchange->url ? exchange->url : exchange->request->url,
                                     location->value);
    if (!url || !http_client_origin_read(url, &next) ||
        (strcmp(exchange->now.scheme, "https") == 0 && strcmp(next.scheme, "https") != 0)) {
        free(url);
        return refuse(exchange, "it redirects to where we do not go");
    }
    free(exchange->url);
    exchange->url = url;
    exchange->now = next;
    return true;
}

static CURLcode go(struct exchange *exchange)
{
    CURLcode code;
    unsigned hops = 0;
    do {
        if (!set_headers(exchange))
            return CURLE_OUT_OF_MEMORY;
        code = perform(exchange);
    } while (code == CURLE_OK && hops++ < exchange->request->redirects_max &&
             take_redirect(exchange));
    return code;
}

/* ---- what came of it ---- */

static enum http_client_end end_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return HTTP_CLIENT_answered;
    case CURLE_COULDNT_RESOLVE_HOST:
        return HTTP_CLIENT_unresolved;
    case CURLE_COULDNT_CONNECT:
        return HTTP_CLIENT_unreachable;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return HTTP_CLIENT_cut;
    case CURLE_OPERATION_TIMEDOUT:
        return HTTP_CLIENT_timed_out;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CIPHER:
        return HTTP_CLIENT_tls;
    case CURLE_URL_MALFORMAT:
        return HTTP_CLIENT_refused;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_READ_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_FAILED_INIT:
        return HTTP_CLIENT_failed;
    default:
        return HTTP_CLIENT_broken;
    }
}

static void copy_header(CURL *curl, const char *name, char text[HTTP_CLIENT_TEXT_BYTES])
{
    struct curl_header *header;
    text[0] = '\0';
    if (curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK)
        snprintf(text, HTTP_CLIENT_TEXT_BYTES, "%s", header->value);
}

static void read_answer(struct exchange *exchange)
{
    const struct http_client_request *request = exchange->request;
    struct http_client_response *response = exchange->response;
    curl_off_t after_s = 0;
    response->status = (unsigned)status_of(exchange);
    response->try_again = http_client_status_may_mend(response->status);
    copy_header(exchange->curl, "content-type", response->content_type);
    for (size_t i = 0; i < request->wanted_count; i++)
        copy_header(exchange->curl, request->wanted[i].name, request->wanted[i].value);
    curl_easy_getinfo(exchange->curl, CURLINFO_RETRY_AFTER, &after_s);
    if (after_s > 0)
        response->retry_after_s =
            after_s < HTTP_CLIENT_RETRY_AFTER_MAX ? after_s : HTTP_CLIENT_RETRY_AFTER_MAX;
    if (response->status / 100 != 2 && response->status / 100 != 3)
        snprintf(response->error, sizeof response->error, "%s answered %u", exchange->now.host,
                 response->status);
}

/* A sentence; of the URL it holds the host only. */
static void explain(struct exchange *exchange, CURLcode code)
{
    struct http_client_response *response = exchange->response;
    const char *words = exchange->words;
    if (!words)
        words = exchange->curl_error[0] ? exchange->curl_error : curl_easy_strerror(code);
    snprintf(response->error, sizeof response->error, "%s%s%s", exchange->now.host,
             exchange->now.host[0] ? ": " : "", words);
}

static void settle(struct exchange *exchange, CURLcode code)
{
    struct http_client_response *response = exchange->response;
    if (code == CURLE_COULDNT_CONNECT && exchange->was_private)
        refuse(exchange, not_public_words);
    response->end = exchange->why != HTTP_CLIENT_answered ? exchange->why : end_of(code);
    response->try_again = http_client_end_may_mend(response->end);
    if (response->end == HTTP_CLIENT_answered)
        read_answer(exchange);
    else
        explain(exchange, code);
    if (response->end != HTTP_CLIENT_answered)
        http_client_free(response);
    if (response->end != HTTP_CLIENT_answered || response->status / 100 != 2) {
        if (exchange->fd >= 0)
            unlink(exchange->request->to_path);
    }
    http_client_count(response);
}

/* The handle keeps pointers into this request: they go. */
static void leave(struct exchange *exchange)
{
    if (exchange->curl)
        curl_easy_reset(exchange->curl);
    curl_slist_free_all(exchange->headers);
    free(exchange->url);
    if (exchange->source >= 0)
        close(exchange->source);
    if (exchange->fd >= 0)
        close(exchange->fd);
}

bool http_client_run(const struct http_client_request *request,
                     struct http_client_response *response)
{
    struct exchange exchange = {.request = request, .response = response, .fd = -1, .source = -1};
    uint64_t began_ns = clock_monotonic_ns();
    CURLcode code = CURLE_FAILED_INIT;
    *response = (struct http_client_response){.retry_after_s = -1};
    for (size_t i = 0; i < request->wanted_count; i++)
        request->wanted[i].value[0] = '\0';
    exchange.ends_at_ns = began_ns + request->total_ms * UINT64_C(1000000);
    exchange.curl = take_handle();
    if (exchange.curl && check_request(&exchange)) {
        exchange.now = exchange.first;
        set_bounds(&exchange);
        set_ways(&exchange);
        if (set_body(&exchange) && open_target(&exchange))
            code = go(&exchange);
    }
    settle(&exchange, code);
    log_debug("asked", log_text("method", request->method), log_text("host", exchange.now.host),
              log_text("end", http_client_end_name(response->end)),
              log_number("status", response->status), log_number("bytes", response->bytes),
              log_number("took_ms", (clock_monotonic_ns() - began_ns) / 1000000));
    leave(&exchange);
    return response->status / 100 == 2;
}
