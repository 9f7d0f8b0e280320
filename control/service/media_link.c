#include "control/service/media_link.h"

#include "common/clock.h"
#include "common/log.h"
#include "control/base/uuid.h"
#include "control/media/store.h"
#include "control/store/recordings.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#define PRESIGNED_S_MAX 3600

bool media_link_mint(const struct ticket_keys *keys, const char *organization,
                     const char *recording, int64_t expires_at_ms, char text[TICKET_TEXT_BYTES + 1],
                     char id[37])
{
    struct ticket ticket = {.expires_at_ms = expires_at_ms};
    if (!uuid_read(recording, ticket.conversation) ||
        !uuid_read(organization, ticket.organization) || !ticket_mint(keys, &ticket, text))
        return false;
    uuid_write(ticket.nonce, id);
    return true;
}

bool media_link_is_one(const struct request *request)
{
    return span_starts(request->path, MEDIA_LINK_PATH);
}

/* ---- ranges ---- */

/* Digits only, and not so many that they run over. */
static bool read_number(const char **at, uint64_t *number)
{
    char *end;
    if (!isdigit((unsigned char)**at))
        return false;
    *number = strtoull(*at, &end, 10);
    bool fits = end - *at <= 15;
    *at = end;
    return fits;
}

/* "bytes=a-b", "bytes=a-" or "bytes=-n"; several ranges are not answered. */
static bool read_range(const char *range, uint64_t bytes, uint64_t *first, uint64_t *last)
{
    static const char unit[] = "bytes=";
    uint64_t number;
    if (!range || strncasecmp(range, unit, strlen(unit)) != 0)
        return false;
    range += strlen(unit);
    *last = bytes - 1;
    if (*range == '-') {
        range++;
        if (!read_number(&range, &number) || *range)
            return false;
        *first = number == 0 ? bytes : number < bytes ? bytes - number : 0;
        return true;
    }
    if (!read_number(&range, first) || *range++ != '-')
        return false;
    if (*range == '\0')
        return true;
    if (!read_number(&range, &number) || *range || number < *first)
        return false;
    if (number < *last)
        *last = number;
    return true;
}

bool media_link_range(const char *range, uint64_t bytes, uint64_t *first, uint64_t *count)
{
    uint64_t last;
    if (bytes == 0 || !read_range(range, bytes, first, &last)) {
        *first = 0;
        *count = bytes;
        return false;
    }
    *count = *first < bytes ? last - *first + 1 : 0;
    if (*count > MEDIA_LINK_PIECE_BYTES)
        *count = MEDIA_LINK_PIECE_BYTES;
    return true;
}

/* ---- answers ---- */

struct visit {
    const struct service *service;
    struct db *db;
    const struct request *request;
    struct media_link_answer *answer;
    char recording[37], organization[37], link[37];
    int64_t expires_at_ms;
    uint64_t whole_bytes;            /* not 0: what is said is only the beginning of so much */
    struct db_rows *rows;            /* of recordings_find */
    bool begins;                     /* from its first byte on: worth a row */
    char ask[TICKET_TEXT_BYTES + 1]; /* the link itself */
    const char *peer;
};

static void say(struct visit *visit, int status, const char *type, json_t *more)
{
    visit->answer->status = status;
    json_t *headers = json_pack("{s:s, s:s, s:s}", "cache-control", "private, no-store",
                                "referrer-policy", "no-referrer", "accept-ranges", "bytes");
    if (headers && type)
        json_object_set_new(headers, "content-type", json_string(type));
    if (headers && more)
        json_object_update(headers, more);
    json_decref(more);
    json_t *head = headers ? json_pack("{s:i, s:o}", "status", status, "headers", headers) : NULL;
    if (head && visit->whole_bytes)
        json_object_set_new(
            head, "more",
            json_pack("{s:s, s:I}", "ask", visit->ask, "bytes", (json_int_t)visit->whole_bytes));
    visit->answer->head = head ? json_dumps(head, JSON_COMPACT) : NULL;
    json_decref(head);
}

static void say_words(struct visit *visit, int status, const char *sentence)
{
    visit->answer->body = (uint8_t *)strdup(sentence);
    visit->answer->body_bytes = visit->answer->body ? strlen(sentence) : 0;
    say(visit, status, "text/plain; charset=utf-8", NULL);
}

/* For whoever opens the address in a window. */
static void say_page(struct visit *visit)
{
    static const char page[] =
        "<!DOCTYPE html><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width\"><title>Recording</title><audio controls "
        "preload=\"metadata\" src=\"?\" style=\"width:100%\"></audio>\n";
    visit->answer->body = (uint8_t *)strdup(page);
    visit->answer->body_bytes = visit->answer->body ? strlen(page) : 0;
    say(visit, 200, "text/html; charset=utf-8",
        json_pack("{s:s}", "content-security-policy",
                  "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'"));
}

static void redirect(struct visit *visit, const char *key)
{
    char url[STORE_URL_BYTES];
    int64_t now_ms = clock_wall_ms(), left_s = (visit->expires_at_ms - now_ms) / 1000 + 1;
    unsigned life_s = left_s < PRESIGNED_S_MAX ? (unsigned)left_s : PRESIGNED_S_MAX;
    if (store_s3_link(visit->service->options, key, now_ms, life_s, url))
        say(visit, 302, NULL, json_pack("{s:s}", "location", url));
    else
        say_words(visit, 503, "This recording lies where this program cannot reach.");
}

static void give_piece(struct visit *visit, uint64_t first, uint64_t count, uint64_t bytes,
                       bool partial)
{
    struct store store = {.options = visit->service->options};
    char range[80];
    size_t taken = 0;
    uint8_t *body = malloc((size_t)count);
    enum store_end end = body ? store_disk.read(&store, db_cell(visit->rows, 0, 0), first, body,
                                                (size_t)count, &taken)
                              : STORE_LATER;
    if (end != STORE_DONE || taken != count) {
        free(body);
        visit->whole_bytes = 0;
        log_error("a recording cannot be read", log_text("recording", visit->recording),
                  log_text("error", store.error));
        say_words(visit, 503, "The recording cannot be read at the moment.");
        return;
    }
    visit->answer->body = body;
    visit->answer->body_bytes = taken;
    snprintf(range, sizeof range, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
             first + count - 1, bytes);
    say(visit, partial ? 206 : 200, db_cell(visit->rows, 0, 5),
        partial ? json_pack("{s:s}", "content-range", range) : NULL);
}

static void give(struct visit *visit)
{
    uint64_t bytes = (uint64_t)db_cell_number(visit->rows, 0, 4), first, count;
    const char *accept = request_header(visit->request, "accept");
    bool partial = media_link_range(request_header(visit->request, "range"), bytes, &first, &count);
    char whole[48];
    if (partial && count == 0) {
        snprintf(whole, sizeof whole, "bytes */%" PRIu64, bytes);
        say(visit, 416, NULL, json_pack("{s:s}", "content-range", whole));
    } else if (partial || count <= MEDIA_LINK_PIECE_BYTES) {
        give_piece(visit, first, count, bytes, partial);
    } else if (accept && strstr(accept, "text/html")) {
        say_page(visit);
    } else {
        visit->whole_bytes = bytes;
        give_piece(visit, 0, MEDIA_LINK_PIECE_BYTES, bytes, false);
    }
}

/* ---- who may ---- */

static enum db_result find(struct db *db, void *context)
{
    struct visit *visit = context;
    char by[128];
    db_rows_free(visit->rows);
    enum db_result result = recordings_find(db, visit->recording, &visit->rows);
    if (result != DB_OK || db_rows_count(visit->rows) == 0 || !visit->begins)
        return result;
    snprintf(by, sizeof by, "%.45s by link %s", visit->peer, visit->link);
    return recordings_note(db, NULL, visit->recording, "read", by, -1);
}

static bool begins(const struct request *request)
{
    const char *range = request_header(request, "range");
    return !range || strncasecmp(range, "bytes=0-", strlen("bytes=0-")) == 0;
}

static void answer_found(struct visit *visit)
{
    if (db_rows_count(visit->rows) == 0 || strcmp(db_cell(visit->rows, 0, 2), "ready") != 0)
        say_words(visit, 410, "The recording was deleted.");
    else if (strcmp(db_cell(visit->rows, 0, 3), store_s3.name) == 0)
        redirect(visit, db_cell(visit->rows, 0, 0));
    else
        give(visit);
}

static bool read_link(struct visit *visit, struct span text, int64_t now_ms)
{
    struct ticket ticket;
    if (ticket_verify(&visit->service->media_keys, text, now_ms, &ticket) != FAULT_NONE ||
        !span_copy_text(text, visit->ask, sizeof visit->ask))
        return false;
    uuid_write(ticket.conversation, visit->recording);
    uuid_write(ticket.organization, visit->organization);
    uuid_write(ticket.nonce, visit->link);
    visit->expires_at_ms = ticket.expires_at_ms;
    return true;
}

void media_link_answer(const struct service *service, struct db *db, const struct request *request,
                       struct media_link_answer *answer)
{
    struct visit visit = {.service = service, .db = db, .request = request, .answer = answer};
    const char *peer = json_string_value(json_object_get(request->object, "peer"));
    struct span text = span_from(request->path.data + strlen(MEDIA_LINK_PATH),
                                 request->path.bytes - strlen(MEDIA_LINK_PATH));
    visit.peer = peer ? peer : "somebody";
    visit.begins = begins(request);
    *answer = (struct media_link_answer){.head = NULL};
    if (strcmp(request->method, "GET") != 0)
        say(&visit, 405, NULL, json_pack("{s:s}", "allow", "GET"));
    else if (!read_link(&visit, text, clock_wall_ms()))
        say_words(&visit, 403, "This link is not valid, or not any more.");
    else if (db_transact(db, visit.organization, find, &visit) != DB_OK)
        say_words(&visit, 503, "The record cannot be read at the moment; try again.");
    else
        answer_found(&visit);
    db_rows_free(visit.rows);
}

/* What is left of it, as much as one piece holds; 410 when it is gone meanwhile, or there is none.
 */
static void give_more(struct visit *visit)
{
    uint64_t from = (uint64_t)visit->request->from_bytes, left = 0;
    if (db_rows_count(visit->rows) == 1 && strcmp(db_cell(visit->rows, 0, 2), "ready") == 0 &&
        strcmp(db_cell(visit->rows, 0, 3), store_disk.name) == 0 &&
        (uint64_t)db_cell_number(visit->rows, 0, 4) > from)
        left = (uint64_t)db_cell_number(visit->rows, 0, 4) - from;
    if (left == 0)
        say_words(visit, 410, "The recording was deleted.");
    else
        give_piece(visit, from, left < MEDIA_LINK_PIECE_BYTES ? left : MEDIA_LINK_PIECE_BYTES,
                   from + left, false);
}

void media_link_more(const struct service *service, struct db *db, const struct request *request,
                     struct media_link_answer *answer)
{
    struct visit visit = {.service = service, .db = db, .request = request, .answer = answer};
    *answer = (struct media_link_answer){.head = NULL};
    if (!read_link(&visit, span_of(request->ask), 0)) /* it was good when the download began */
        say_words(&visit, 403, "This link is not valid.");
    else if (db_transact(db, visit.organization, find, &visit) != DB_OK)
        say_words(&visit, 503, "The record cannot be read at the moment; try again.");
    else
        give_more(&visit);
    db_rows_free(visit.rows);
}

void media_link_answer_free(struct media_link_answer *answer)
{
    free(answer->head);
    free(answer->body);
}
