#include "control/store/events.h"

#include "common/panic.h"
#include "control/store/clean.h"
#include "control/uuid.h"

#include <stdio.h>
#include <stdlib.h>

#define AT_MS     "timestamptz 'epoch' + $5::bigint * interval '1 millisecond'"
#define AT_MS_MAX INT64_C(253402300799999) /* the end of the year 9999 */

static const char *const taken_names[] = {"stored", "double", "unknown", "invalid", "parked"};

const char *events_taken_name(enum events_taken taken)
{
    assert(taken <= EVENTS_PARKED);
    return taken_names[taken];
}

static bool is_kind(const char *kind)
{
    size_t bytes = kind ? strlen(kind) : 0;
    return bytes > 0 && bytes <= 40 && kind[0] >= 'a' && kind[0] <= 'z' &&
           strspn(kind, "abcdefghijklmnopqrstuvwxyz0123456789_-") == bytes;
}

static bool is_valid(const struct events_event *event)
{
    uint8_t ignored[UUID_BYTES];
    return uuid_read(event->organization, ignored) && uuid_read(event->call, ignored) &&
           event->seq >= 0 && event->at_ms >= 0 && event->at_ms <= AT_MS_MAX &&
           is_kind(event->kind) && event->body_json;
}

static enum db_result run(struct db *db, const struct db_statement *query,
                          const struct db_value *values, enum events_taken *taken)
{
    struct db_rows *rows;
    enum db_result result = db_run(db, query, values, query->parameters, &rows);
    const char *name = result == DB_OK ? db_cell(rows, 0, 0) : NULL;
    for (unsigned i = 0; name && i <= EVENTS_PARKED; i++)
        if (strcmp(name, taken_names[i]) == 0)
            *taken = (enum events_taken)i;
    db_rows_free(rows);
    return result;
}

/* The event as it is, after what jsonb cannot hold was replaced. */
static enum db_result store(struct db *db, const struct events_event *event,
                            enum events_taken *taken)
{
    static const struct db_statement query = {
        "SELECT edge_event($1::uuid, $2::uuid, $3::bigint, $4, " AT_MS ", $6::jsonb)", 6};
    char *body = clean_json(event->body_json);
    const struct db_value values[] = {db_text(event->organization), db_text(event->call),
                                      db_number(event->seq),        db_text(event->kind),
                                      db_number(event->at_ms),      db_text(body)};
    enum db_result result = run(db, &query, values, taken);
    free(body);
    return result;
}

/* The event as bytes, because the database refused it with this SQLSTATE. */
static enum db_result park(struct db *db, const struct events_event *event,
                           enum events_taken *taken)
{
    static const struct db_statement query = {
        "SELECT park_edge_event($1::uuid, $2::uuid, $3::bigint, $4, " AT_MS ", $6::bytea, $7)", 7};
    char why[8];
    snprintf(why, sizeof why, "%s", db_sqlstate(db));
    const struct db_value values[] = {db_text(event->organization),
                                      db_text(event->call),
                                      db_number(event->seq),
                                      db_text(event->kind),
                                      db_number(event->at_ms),
                                      db_bytes(span_of(event->body_json)),
                                      db_text(why)};
    return run(db, &query, values, taken);
}

enum db_result events_take(struct db *db, const struct events_event *event,
                           enum events_taken *taken)
{
    *taken = EVENTS_INVALID;
    if (!is_valid(event))
        return DB_OK;
    enum db_result result = store(db, event, taken);
    if (result != DB_REFUSED)
        return result;
    result = park(db, event, taken);
    return result == DB_REFUSED ? DB_OK : result; /* stays invalid: nothing of it can be kept */
}

struct batch {
    const struct events_event *events;
    int count;
    enum events_taken *taken;
};

static enum db_result take_all(struct db *db, void *context)
{
    const struct batch *batch = context;
    for (int i = 0; i < batch->count; i++) {
        batch->taken[i] = EVENTS_INVALID;
        if (!is_valid(&batch->events[i]))
            continue;
        enum db_result result = store(db, &batch->events[i], &batch->taken[i]);
        if (result != DB_OK)
            return result;
    }
    return DB_OK;
}

enum db_result events_take_batch(struct db *db, const struct events_event *events, int count,
                                 enum events_taken *taken)
{
    struct batch batch = {events, count, taken};
    assert(count >= 0 && count <= EVENTS_BATCH_MAX);
    enum db_result result = db_transact(db, NULL, take_all, &batch);
    if (result != DB_REFUSED)
        return result;
    /* One of them is poison: take each by itself, so that its neighbours are not held up. */
    for (int i = 0; i < count; i++) {
        result = events_take(db, &events[i], &taken[i]);
        if (result != DB_OK)
            return result;
    }
    return DB_OK;
}
