#include "control/store/messages.h"

#include "control/store/clean.h"

#include <stdlib.h>

enum db_result messages_leave(struct db *db, const char *organization,
                              const struct messages_left *message)
{
    static const struct db_statement query = {
        "INSERT INTO left_messages (organization_id, conversation_id, tool_call_id, name, phone, "
        "body, is_urgent) VALUES ($1::uuid, $2::uuid, $3::uuid, left($4, 200), left($5, 64), "
        "left($6, 4000), $7::boolean)",
        7};
    return db_run(db, &query,
                  db_values(db_text(organization), db_text(message->conversation),
                            db_text(message->call), db_text(message->name), db_text(message->phone),
                            db_text(message->body), db_bool(message->urgent)),
                  NULL);
}

enum db_result messages_queue_text(struct db *db, const char *organization,
                                   const struct messages_text *text)
{
    static const struct db_statement query = {
        "WITH made AS (INSERT INTO text_messages (organization_id, conversation_id, tool_call_id, "
        "account_sid, from_number, to_number, body) VALUES ($1::uuid, $2::uuid, $3::uuid, $4, $5, "
        "$6, $7) RETURNING id) SELECT enqueue_job($1::uuid, 'text_send', id::text, "
        "jsonb_build_object('message', id), 6) FROM made",
        7};
    return db_run(db, &query,
                  db_values(db_text(organization), db_text(text->conversation), db_text(text->call),
                            db_text(text->account_sid), db_text(text->from_number),
                            db_text(text->to_number), db_text(text->body)),
                  NULL);
}

enum db_result messages_text(struct db *db, const char *id, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT state, account_sid, from_number, to_number, body FROM text_messages "
        "WHERE id::text = $1",
        1};
    return db_run(db, &query, db_values(db_text(id)), rows);
}

struct change {
    const char *id, *from, *to;
    bool changed;
};

static enum db_result change(struct db *db, void *context)
{
    static const struct db_statement query = {
        "UPDATE text_messages SET state = $3 WHERE id::text = $1 AND state = $2 RETURNING id", 3};
    struct change *wanted = context;
    struct db_rows *rows;
    enum db_result result =
        db_run(db, &query,
               db_values(db_text(wanted->id), db_text(wanted->from), db_text(wanted->to)), &rows);
    wanted->changed = result == DB_OK && db_rows_count(rows) == 1;
    db_rows_free(rows);
    return result;
}

enum db_result messages_begin_text(struct db *db, const char *organization, const char *id,
                                   bool *began)
{
    struct change wanted = {id, "queued", "sending", false};
    enum db_result result = db_transact(db, organization, change, &wanted);
    *began = wanted.changed;
    return result;
}

enum db_result messages_requeue_text(struct db *db, const char *organization, const char *id)
{
    struct change wanted = {id, "sending", "queued", false};
    return db_transact(db, organization, change, &wanted);
}

enum db_result messages_end_text(struct db *db, const char *id, const char *sid, const char *error)
{
    static const struct db_statement query = {
        "UPDATE text_messages SET state = CASE WHEN $2::text IS NULL THEN 'failed' ELSE 'sent' "
        "END, "
        "message_sid = $2, error = left($3, 1000) WHERE id::text = $1",
        3};
    char *why = clean_text(error, 1000);
    enum db_result result =
        db_run(db, &query, db_values(db_text(id), db_text(sid), db_text(why)), NULL);
    free(why);
    return result;
}

enum db_result messages_receive(struct db *db, const struct messages_received *text,
                                struct messages_taken *taken)
{
    static const struct db_statement query = {
        "SELECT whose, organization, stored FROM receive_text($1::text, $2::text, $3::text, "
        "$4::text, $5::text, $6::bigint, $7::jsonb, $8::text)",
        8};
    struct db_rows *rows;
    *taken = (struct messages_taken){.found = CALLS_INVALID};
    enum db_result result = db_run(
        db, &query,
        db_values(db_text(text->account_sid), db_text(text->message_sid), db_text(text->from),
                  db_text(text->to), db_text(text->body), db_number(text->media),
                  db_text(text->parameters_json), db_text(text->timestamp)),
        &rows);
    if (result == DB_OK) {
        const char *organization = db_cell(rows, 0, 1);
        taken->found = calls_found_read(db_cell(rows, 0, 0));
        taken->stored = db_cell_bool(rows, 0, 2);
        snprintf(taken->organization, sizeof taken->organization, "%s",
                 organization ? organization : "");
    }
    db_rows_free(rows);
    return result;
}

enum db_result messages_texts(struct db *db, const char *organization, unsigned limit,
                              struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT t.id, to_char(t.received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || 'Z', "
        "t.from_number, t.to_number, t.body, t.media_count, o.name FROM received_texts AS t "
        "JOIN organizations AS o ON o.id = t.organization_id "
        "WHERE $1::uuid IS NULL OR t.organization_id = $1::uuid "
        "ORDER BY t.received_at DESC, t.id LIMIT $2::integer",
        2};
    return db_run(db, &query, db_values(db_text(organization), db_number(limit)), rows);
}

enum db_result messages_list(struct db *db, const char *organization, unsigned limit,
                             struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT m.id, to_char(m.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || 'Z', "
        "m.state, CASE WHEN m.is_urgent THEN 'yes' ELSE 'no' END, m.name, m.phone, m.body, "
        "m.conversation_id, o.name FROM left_messages AS m "
        "JOIN organizations AS o ON o.id = m.organization_id "
        "WHERE $1::uuid IS NULL OR m.organization_id = $1::uuid "
        "ORDER BY m.created_at DESC, m.id LIMIT $2::integer",
        2};
    return db_run(db, &query, db_values(db_text(organization), db_number(limit)), rows);
}

enum db_result messages_move(struct db *db, const char *id, const char *state, bool *moved)
{
    static const struct db_statement query = {
        "UPDATE left_messages SET state = $2 WHERE id::text = $1 RETURNING id", 2};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(id), db_text(state)), &rows);
    *moved = result == DB_OK && db_rows_count(rows) == 1;
    db_rows_free(rows);
    return result;
}
