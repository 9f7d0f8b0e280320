/* shown: an organisation's rows as the API shows them: JSON objects, a page at a time.
 *
 * What it is: for each noun ONE list of members, each with its name, the SQL that gives it, its
 * JSON Schema and a sentence. The queries and the schemas of the OpenAPI document are both made
 * from that list, so they cannot differ. What it is not: writing; that is done by the store's other
 * files, for the API as for the command line.
 *
 * A page goes on from a place (struct shown_place) in the order of (time, id), not from a count of
 * rows, so rows that come meanwhile neither repeat nor hide others.
 * Thread: the owner of db, in a transaction of the organisation: row security does the rest. Owner:
 * rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_SHOWN_H
#define RINGBRIDGE_CONTROL_STORE_SHOWN_H

#include "control/db/db.h"

#define SHOWN_FILTERS_MAX 3
#define SHOWN_TIE_TEXT    37

struct shown_field {
    const char *name, *schema, *says;
};

struct shown_filter {
    const char *name, *schema, *says;
};

struct shown {
    const char *name, *says; /* of the schema */
    const struct shown_field *fields;
    int fields_count;
    struct shown_filter filters[SHOWN_FILTERS_MAX]; /* name NULL: none */
    bool tie_is_number;                             /* the id is a number, else a uuid */
    bool key_is_name; /* shown_one's key is a text of its own, else the id */
    struct db_statement page, one;
};

/* Behind which row a page begins. */
struct shown_place {
    int64_t at_us; /* since 1970; negative: from the beginning */
    char tie[SHOWN_TIE_TEXT];
};

enum shown_column { SHOWN_OBJECT, SHOWN_AT_US, SHOWN_TIE };

/* Rows behind place, limit at most. filters: a text or NULL for each of shown->filters. */
enum db_result shown_page(struct db *db, const struct shown *shown, const struct shown_place *place,
                          unsigned limit, const char *const filters[SHOWN_FILTERS_MAX],
                          struct db_rows **rows);

/* The row of this key (its id unless the noun says otherwise), or none. */
enum db_result shown_one(struct db *db, const struct shown *shown, const char *key,
                         struct db_rows **rows);

/* ---- for the files that list members ---- */

#define SHOWN_ID         "{\"type\":\"string\",\"format\":\"uuid\"}"
#define SHOWN_ID_NULL    "{\"type\":[\"string\",\"null\"],\"format\":\"uuid\"}"
#define SHOWN_TIME       "{\"type\":\"string\",\"format\":\"date-time\"}"
#define SHOWN_TIME_NULL  "{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}"
#define SHOWN_TEXT       "{\"type\":\"string\"}"
#define SHOWN_TEXT_NULL  "{\"type\":[\"string\",\"null\"]}"
#define SHOWN_WHOLE      "{\"type\":\"integer\"}"
#define SHOWN_WHOLE_NULL "{\"type\":[\"integer\",\"null\"]}"
#define SHOWN_FLAG       "{\"type\":\"boolean\"}"
#define SHOWN_FLAG_NULL  "{\"type\":[\"boolean\",\"null\"]}"
#define SHOWN_ANY        "{\"type\":\"object\"}"
#define SHOWN_ANY_NULL   "{\"type\":[\"object\",\"null\"]}"
#define SHOWN_TEXTS      "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"
#define SHOWN_DAYS                                                                                 \
    "{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":7}}"

#define SHOWN_ROW(name, expression, schema, says)  {name, schema, says},
#define SHOWN_PAIR(name, expression, schema, says) ", '" name "', " expression

/* FIELDS: a list of F(name, expression, schema, says), without the id, which stands first.
 * DIRECTION, BEHIND, START: DESC, < and 'infinity', or ASC, > and '-infinity'; without an OR, so
 * that a plan for all pages begins at the page's place in an index. F1 to F3: conditions on $4 to
 * $6 (text). KEY: a condition on $1 (text). */
#define SHOWN_QUERIES(FIELDS, FROM, ID, ID_TYPE, AT, DIRECTION, BEHIND, START, F1, F2, F3, KEY)    \
    .page = {"SELECT json_build_object('id', " ID FIELDS(                                          \
                 SHOWN_PAIR) ")::text, "                                                           \
                             "(extract(epoch FROM " AT ") * 1000000)::bigint, " ID                 \
                             "::text FROM " FROM " WHERE (" AT ", " ID ") " BEHIND                 \
                             " (coalesce(timestamptz 'epoch' + "                                   \
                             "$1::bigint * interval '1 microsecond', " START "), $2::" ID_TYPE ")" \
                             " AND ($4::text IS NULL OR " F1 ") AND ($5::text IS NULL OR " F2 ")"  \
                             " AND ($6::text IS NULL OR " F3 ") ORDER BY " AT " " DIRECTION        \
                             ", " ID " " DIRECTION " LIMIT $3::integer",                           \
             6},                                                                                   \
    .one = {"SELECT json_build_object('id', " ID FIELDS(SHOWN_PAIR) ")::text FROM " FROM           \
                                                                    " WHERE " KEY,                 \
            1}

extern const struct shown shown_organization, shown_numbers, shown_configurations, shown_routes,
    shown_tokens, shown_audit;
extern const struct shown shown_calls, shown_messages, shown_events, shown_orders, shown_recordings,
    shown_accesses, shown_voicemails, shown_transfers;
extern const struct shown shown_tools, shown_tool_calls, shown_appointments, shown_opening_hours,
    shown_left_messages;
extern const struct shown shown_after_call, shown_endpoints, shown_deliveries, shown_jobs,
    shown_reconciliations;
extern const struct shown shown_number_orders, shown_number_prices, shown_number_limits,
    shown_number_checks, shown_number_searches, shown_accounts, shown_carrier_changes, shown_texts;
extern const struct shown shown_outbound_calls, shown_batches, shown_do_not_call,
    shown_outbound_limits;

#endif
