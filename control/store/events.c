#include "control/store/events.h"

#include "common/panic.h"
#include "control/base/uuid.h"
#include "control/db/db_array.h"
#include "control/store/clean.h"

#include <stdio.h>
#include <stdlib.h>

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

static void read_taken(const char *name, enum events_taken *taken)
{
    for (unsigned i = 0; name && i <= EVENTS_PARKED; i++)
        if (strcmp(name, taken_names[i]) == 0)
            *taken = (enum events_taken)i;
}

/* The parameters of edge_events, a column each. */
enum { ORGANIZATIONS, CONVERSATIONS, NUMBERS, KINDS, TIMES, REPORTS, COLUMNS };

static bool add(struct db_array columns[COLUMNS], const struct events_event *event)
{
    char *body = clean_json(event->body_json);
    if (!body)
        return false;
    db_array_add(&columns[ORGANIZATIONS], event->organization);
    db_array_add(&columns[CONVERSATIONS], event->call);
    db_array_add_number(&columns[NUMBERS], event->seq);
    db_array_add(&columns[KINDS], event->kind);
    db_array_add_number(&columns[TIMES], event->at_ms);
    db_array_add(&columns[REPORTS], body);
    free(body);
    return true;
}

static enum db_result run(struct db *db, struct db_array columns[COLUMNS], struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT place, taken FROM edge_events($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], "
        "$5::bigint[], $6::jsonb[])",
        COLUMNS};
    struct db_value values[COLUMNS];
    for (int i = 0; i < COLUMNS; i++)
        values[i] = db_array_value(&columns[i]);
    return db_run(db, &query, values, COLUMNS, rows);
}

/* All in one statement: one of them that the database cannot hold refuses the whole. */
static enum db_result store(struct db *db, const struct events_event *events, int count,
                            enum events_taken *taken)
{
    struct db_array columns[COLUMNS] = {{.count = 0}};
    struct db_rows *rows = NULL;
    int places[EVENTS_BATCH_MAX]; /* of those that were asked */
    int asked = 0;
    bool room = true;
    for (int i = 0; i < COLUMNS; i++)
        room &= db_array_open(&columns[i]);
    for (int i = 0; i < count && room; i++) {
        taken[i] = EVENTS_INVALID;
        if (!is_valid(&events[i]))
            continue;
        places[asked++] = i;
        room = add(columns, &events[i]);
    }
    enum db_result result = room ? DB_OK : DB_BUSY;
    if (room && asked > 0)
        result = run(db, columns, &rows);
    for (int row = 0; rows && row < db_rows_count(rows); row++) {
        int64_t place = db_cell_number(rows, row, 0);
        assert(place >= 1 && place <= asked);
        read_taken(db_cell(rows, row, 1), &taken[places[place - 1]]);
    }
    for (int i = 0; i < COLUMNS; i++)
        db_array_free(&columns[i]);
    db_rows_free(rows);
    return result;
}

/* The event as bytes, because the database refused it with this SQLSTATE. */
static enum db_result park(struct db *db, const struct events_event *event,
                           enum events_taken *taken)
{
    static const struct db_statement query = {
        "SELECT park_edge_event($1::uuid, $2::uuid, $3::bigint, $4, "
        "timestamptz 'epoch' + $5::bigint * interval '1 millisecond', $6::bytea, $7)",
        7};
    struct db_rows *rows;
    char why[8];
    snprintf(why, sizeof why, "%s", db_sqlstate(db));
    enum db_result result =
        db_run(db, &query,
               db_values(db_text(event->organization), db_text(event->call), db_number(event->seq),
                         db_text(event->kind), db_number(event->at_ms),
                         db_bytes(span_of(event->body_json)), db_text(why)),
               &rows);
    if (result == DB_OK)
        read_taken(db_cell(rows, 0, 0), taken);
    db_rows_free(rows);
    return result;
}

enum db_result events_take(struct db *db, const struct events_event *event,
                           enum events_taken *taken)
{
    enum db_result result = store(db, event, 1, taken);
    if (result != DB_REFUSED)
        return result;
    *taken = EVENTS_INVALID;
    result = park(db, event, taken);
    return result == DB_REFUSED ? DB_OK : result; /* stays invalid: nothing of it can be kept */
}

enum db_result events_take_batch(struct db *db, const struct events_event *events, int count,
                                 enum events_taken *taken)
{
    assert(count >= 0 && count <= EVENTS_BATCH_MAX);
    enum db_result result = store(db, events, count, taken);
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
