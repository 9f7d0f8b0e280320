#include "control/carrier/twilio_rest.h"

#include "common/panic.h"
#include "control/base/json_read.h"

#include <stdlib.h>

#define VERSION_PATH    "/2010-04-01/Accounts/"
#define ACCOUNTS_PATH   "/2010-04-01/Accounts.json"
#define URL_BYTES       HTTP_CLIENT_URL_BYTES_MAX
#define CONNECT_MS      10000
#define TOTAL_MS        30000
#define FETCH_TOTAL_MS  (15 * 60 * 1000)
#define FETCH_STALL_MS  30000
#define FETCH_REDIRECTS 3
#define PAGE_SIZE       "200"

bool twilio_rest_is_sid(const char *text, const char *kind)
{
    return text && strlen(text) == TWILIO_REST_SID_BYTES - 1 && strncmp(text, kind, 2) == 0 &&
           strspn(text + 2, "0123456789abcdefABCDEF") == TWILIO_REST_SID_BYTES - 3;
}

/* ---- credentials ---- */

static bool take_own(struct twilio_rest *rest, const struct options *options)
{
    const char *user = options->account_sid, *secret = options->auth_token;
    if (options->twilio_api_key && options->twilio_api_secret) {
        user = options->twilio_api_key;
        secret = options->twilio_api_secret;
    }
    return user && secret && span_copy_text(span_of(user), rest->user, sizeof rest->user) &&
           span_copy_text(span_of(secret), rest->secret, sizeof rest->secret);
}

enum twilio_rest_opened twilio_rest_open(struct twilio_rest *rest, struct db *db,
                                         const struct options *options, const char *account,
                                         char *error, size_t room)
{
    struct accounts_tokens tokens;
    int unopened;
    *rest = (struct twilio_rest){.options = options};
    if (!twilio_rest_is_sid(account, "AC")) {
        snprintf(error, room, "there is no account to ask with");
        return TWILIO_REST_UNKNOWN;
    }
    snprintf(rest->account, sizeof rest->account, "%s", account);
    if (accounts_tokens(db, &options->seal, account, &tokens, &unopened) != DB_OK)
        return TWILIO_REST_AWAY;
    bool found = tokens.count > 0;
    if (found) {
        memcpy(rest->user, rest->account, sizeof rest->account);
        memcpy(rest->secret, tokens.token[0], sizeof rest->secret);
    } else {
        found = take_own(rest, options);
    }
    accounts_wipe(&tokens);
    if (found)
        return TWILIO_REST_OPENED;
    snprintf(error, room,
             "there are no credentials for account %s: `ringbridge-control credential "
             "add twilio`, or TWILIO_AUTH_TOKEN",
             account);
    return TWILIO_REST_UNKNOWN;
}

bool twilio_rest_open_main(struct twilio_rest *rest, const struct options *options, char *error,
                           size_t room)
{
    *rest = (struct twilio_rest){.options = options};
    if (!options->account_sid || !options->auth_token ||
        !twilio_rest_is_sid(options->account_sid, "AC") ||
        !span_copy_text(span_of(options->auth_token), rest->secret, sizeof rest->secret)) {
        snprintf(error, room,
                 "set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN: accounts are made "
                 "with the token of the main one, an API key does not do");
        return false;
    }
    snprintf(rest->account, sizeof rest->account, "%s", options->account_sid);
    memcpy(rest->user, rest->account, sizeof rest->account);
    return true;
}

void twilio_rest_close(struct twilio_rest *rest)
{
    explicit_bzero(rest, sizeof *rest);
}

/* ---- one request ---- */

static void encode(FILE *out, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        bool plain = (*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z') ||
                     (*at >= 'A' && *at <= 'Z') || strchr("-._~", *at);
        if (plain)
            fputc(*at, out);
        else
            fprintf(out, "%%%02X", *at);
    }
}

/* name=value&..., malloc'ed; NULL without memory. */
static char *write_form(const struct twilio_rest_pair *pairs, size_t count)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (!out)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            fputc('&', out);
        encode(out, pairs[i].name);
        fputc('=', out);
        encode(out, pairs[i].value);
    }
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static void fail(struct http_client_response *response, enum http_client_end end,
                 const char *sentence)
{
    response->end = end;
    response->try_again = http_client_end_may_mend(end);
    snprintf(response->error, sizeof response->error, "%s", sentence);
}

/* {"code":20404,"message":"...","status":404} */
static void explain(struct http_client_response *response, const json_t *json)
{
    int64_t code;
    const char *message = json_read_text(json, "message", 300);
    if (!message)
        return;
    if (json_read_integer(json, "code", 1, 999999, &code))
        snprintf(response->error, sizeof response->error, "Twilio answered %u: %s (%lld)",
                 response->status, message, (long long)code);
    else
        snprintf(response->error, sizeof response->error, "Twilio answered %u: %s",
                 response->status, message);
}

/* What was answered, as an object; true when it is what was wanted. */
static bool take_json(bool fine, struct http_client_response *response, json_t **json)
{
    json_t *object =
        response->body ? json_read_object(span_from(response->body, response->bytes)) : NULL;
    if (!fine && object)
        explain(response, object);
    if (fine && json && response->bytes > 0 && !object) {
        fail(response, HTTP_CLIENT_broken, "Twilio's answer is not JSON");
        fine = false;
    }
    if (fine && json)
        *json = object;
    else
        json_decref(object);
    return fine;
}

static struct http_client_request begin(const struct twilio_rest *rest, const char *method,
                                        const char *url)
{
    return (struct http_client_request){.method = method,
                                        .url = url,
                                        .user = rest->user,
                                        .password = rest->secret,
                                        .by_operator = true,
                                        .once = strcmp(method, "POST") == 0,
                                        .allow_private = rest->options->allow_private,
                                        .ca_path = rest->options->ca_path,
                                        .bytes_max = TWILIO_REST_BYTES_MAX,
                                        .connect_ms = CONNECT_MS,
                                        .total_ms = TOTAL_MS,
                                        .must_stop = rest->must_stop,
                                        .context = rest->context};
}

/* form: of a query when the method is GET. */
static bool ask_url(const struct twilio_rest *rest, const char *method, const char *url,
                    const char *form, json_t **json, struct http_client_response *response)
{
    static const struct http_client_header type = {.name = "Content-Type",
                                                   .value = "application/x-www-form-urlencoded"};
    struct http_client_request request = begin(rest, method, url);
    if (form) {
        request.headers = &type;
        request.headers_count = 1;
        request.body = span_of(form);
    }
    if (json)
        *json = NULL;
    return take_json(http_client_run(&request, response), response, json);
}

/* Where a path leads, without a host: the accounts' list, or something in the account. */
static void write_path(const struct twilio_rest *rest, const char *path, char *text, size_t room)
{
    if (strcmp(path, TWILIO_REST_ACCOUNTS) == 0)
        snprintf(text, room, ACCOUNTS_PATH);
    else
        snprintf(text, room, VERSION_PATH "%s/%s", rest->account, path);
}

int64_t twilio_rest_code(const struct http_client_response *response)
{
    int64_t code = 0;
    json_t *object =
        response->body ? json_read_object(span_from(response->body, response->bytes)) : NULL;
    if (!json_read_integer(object, "code", 1, 999999, &code))
        code = 0;
    json_decref(object);
    return code;
}

bool twilio_rest_ask(const struct twilio_rest *rest, const char *method, const char *path,
                     const struct twilio_rest_pair *pairs, size_t count, json_t **json,
                     struct http_client_response *response)
{
    char url[URL_BYTES], place[TWILIO_REST_PATH_BYTES + 64];
    bool is_get = strcmp(method, "GET") == 0;
    char *form = count > 0 ? write_form(pairs, count) : NULL;
    assert(count <= TWILIO_REST_PAIRS_MAX);
    write_path(rest, path, place, sizeof place);
    int bytes = snprintf(url, sizeof url, "%s%s%s%s", rest->options->twilio_api_base, place,
                         is_get && form ? "?" : "", is_get && form ? form : "");
    bool asked = false;
    *response = (struct http_client_response){.retry_after_s = -1};
    if (json)
        *json = NULL;
    if ((count > 0 && !form) || bytes < 0 || (size_t)bytes >= sizeof url)
        fail(response, HTTP_CLIENT_failed, "no memory, or too long a question");
    else
        asked = ask_url(rest, method, url, is_get ? NULL : form, json, response);
    free(form);
    return asked;
}

/* ---- lists ---- */

/* Where the next page is; "" where there is none. False: it leads elsewhere. */
static bool find_next(const struct twilio_rest *rest, const char *path, const json_t *page,
                      char url[URL_BYTES])
{
    char prefix[sizeof VERSION_PATH + TWILIO_REST_SID_BYTES];
    const char *next = json_string_value(json_object_get(page, "next_page_uri"));
    url[0] = '\0';
    if (!next || !next[0])
        return true;
    if (strcmp(path, TWILIO_REST_ACCOUNTS) == 0)
        snprintf(prefix, sizeof prefix, ACCOUNTS_PATH "?");
    else
        snprintf(prefix, sizeof prefix, VERSION_PATH "%s/", rest->account);
    int bytes = snprintf(url, URL_BYTES, "%s%s", rest->options->twilio_api_base, next);
    return strncmp(next, prefix, strlen(prefix)) == 0 && !strstr(next, "..") && bytes > 0 &&
           bytes < URL_BYTES;
}

/* False: enough was seen. */
static bool show_items(const json_t *items, bool (*each)(const json_t *item, void *context),
                       void *context)
{
    for (size_t i = 0; i < json_array_size(items); i++)
        if (!each(json_array_get(items, i), context))
            return false;
    return true;
}

static bool ask_first(const struct twilio_rest *rest, const char *path,
                      const struct twilio_rest_pair *pairs, size_t count, json_t **json,
                      struct http_client_response *response)
{
    struct twilio_rest_pair sized[TWILIO_REST_PAIRS_MAX + 1];
    bool has_size = false;
    assert(count < TWILIO_REST_PAIRS_MAX);
    for (size_t i = 0; i < count; i++) {
        sized[i] = pairs[i];
        has_size |= strcmp(pairs[i].name, "PageSize") == 0;
    }
    if (!has_size)
        sized[count++] = (struct twilio_rest_pair){"PageSize", PAGE_SIZE};
    return twilio_rest_ask(rest, "GET", path, sized, count, json, response);
}

bool twilio_rest_list(const struct twilio_rest *rest, const char *path, const char *name,
                      const struct twilio_rest_pair *pairs, size_t count,
                      bool (*each)(const json_t *item, void *context), void *context,
                      struct http_client_response *response)
{
    char url[URL_BYTES];
    json_t *page;
    bool fine = ask_first(rest, path, pairs, count, &page, response), goes_on = fine;
    for (int pages = 1; goes_on; pages++) {
        const json_t *items = json_object_get(page, name);
        fine = json_is_array(items);
        goes_on = fine && show_items(items, each, context);
        if (goes_on)
            fine = find_next(rest, path, page, url) && (!url[0] || pages < TWILIO_REST_PAGES_MAX);
        json_decref(page);
        page = NULL;
        http_client_free(response);
        if (!fine)
            fail(response, HTTP_CLIENT_broken, "Twilio's list is not one");
        goes_on = goes_on && fine && url[0];
        if (goes_on)
            goes_on = fine = ask_url(rest, "GET", url, NULL, &page, response);
    }
    return fine;
}

/* ---- sound ---- */

bool twilio_rest_fetch(const struct twilio_rest *rest, const char *path, const char *to_path,
                       uint64_t bytes_max, struct http_client_response *response)
{
    char url[URL_BYTES];
    snprintf(url, sizeof url, "%s" VERSION_PATH "%s/%s", rest->options->twilio_api_base,
             rest->account, path);
    struct http_client_request request = begin(rest, "GET", url);
    request.redirects_max = FETCH_REDIRECTS;
    request.to_path = to_path;
    request.bytes_max = bytes_max;
    request.total_ms = FETCH_TOTAL_MS;
    request.stall_ms = FETCH_STALL_MS;
    bool fetched = take_json(http_client_run(&request, response), response, NULL);
    if (response->status == 404)
        response->try_again = true;
    return fetched;
}
