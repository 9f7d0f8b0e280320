#include "control/store/records.h"

#define TIME(column)    "to_char(" column ", 'YYYY-MM-DD HH24:MI:SS') || 'Z'"
#define TIME_MS(column) "to_char(" column ", 'YYYY-MM-DD HH24:MI:SS.MS') || 'Z'"

enum db_result records_list(struct db *db, const char *organization, unsigned limit,
                            struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT c.id, " TIME(
            "c.start_timestamp") ", o.name, c.from_number, c.to_number, "
                                 "c.call_status, c.duration_ms, c.ended_reason, "
                                 "(SELECT count(*) FROM conversation_messages AS m WHERE "
                                 "m.conversation_id = c.id "
                                 " AND m.organization_id = c.organization_id) "
                                 "FROM conversations AS c JOIN organizations AS o ON o.id = "
                                 "c.organization_id "
                                 "WHERE ($1::uuid IS NULL OR c.organization_id = $1::uuid) AND "
                                 "c.channel = 'voice' "
                                 "ORDER BY c.start_timestamp DESC, c.id LIMIT $2::integer",
        2};
    return db_run(db, &query, db_values(db_text(organization), db_number(limit)), rows);
}

enum db_result records_find(struct db *db, const char *organization, const char *name,
                            char id[RECORDS_ID_TEXT], int *matches)
{
    static const struct db_statement query = {
        "SELECT id FROM conversations WHERE (id::text = lower($1) OR call_sid = $1 "
        "OR session_id = $1) AND ($2::uuid IS NULL OR organization_id = $2::uuid) LIMIT 2",
        2};
    struct db_rows *rows;
    enum db_result result =
        db_run(db, &query, db_values(db_text(name), db_text(organization)), &rows);
    *matches = result == DB_OK ? db_rows_count(rows) : 0;
    if (*matches == 1 && !span_copy_text(span_of(db_cell(rows, 0, 0)), id, RECORDS_ID_TEXT))
        *matches = 0;
    db_rows_free(rows);
    return result;
}

enum db_result records_call(struct db *db, const char *id, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT c.id, o.name, o.id, c.channel, c.direction, c.from_number, c.to_number, "
        "c.call_sid, " TIME("c.start_timestamp") ", " TIME_MS("c.answered_at") ", " TIME(
            "c.end_timestamp") ", c.duration_ms, c.duration_by, c.carrier_duration_ms, "
                               "c.stream_duration_ms, c.call_status, c.disconnection_reason, "
                               "c.sip_response_code, "
                               "c.ended_reason, c.recording_url, c.figures, a.summary, a.outcome "
                               "FROM conversations AS c JOIN organizations AS o ON o.id = "
                               "c.organization_id "
                               "LEFT JOIN after_calls AS a ON a.conversation_id = c.id AND "
                               "a.organization_id = c.organization_id "
                               "WHERE c.id = $1::uuid",
        1};
    return db_run(db, &query, db_values(db_text(id)), rows);
}

enum db_result records_lines(struct db *db, const char *id, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT (extract(epoch FROM l.at - c.start_timestamp) * 1000)::bigint, l.kind, l.role, "
        "l.text, l.interrupted, l.audio_ms, l.heard_ms, l.source FROM conversations AS c, LATERAL ("
        " SELECT m.\"timestamp\" AS at, 'message' AS kind, m.role, m.content AS text, "
        "  m.interrupted, m.audio_ms, m.heard_ms, 'edge' AS source, m.seq "
        " FROM conversation_messages AS m WHERE m.conversation_id = c.id "
        " UNION ALL "
        " SELECT e.at, e.kind, NULL, concat_ws(' ', e.body ->> 'status', e.body ->> 'event', "
        "  e.body ->> 'digit', CASE WHEN e.source = 'operator' THEN concat_ws(' ', e.body ->> "
        "'kind', "
        "'by', e.body ->> 'by') END, coalesce(e.body ->> 'meaning', e.body ->> 'error'), "
        "e.body ->> 'price', e.body ->> 'unit', e.body ->> 'leg_status', e.body ->> 'listed', "
        "e.body ->> 'name', e.body ->> 'reason', e.body ->> 'step'), "
        "  false, NULL, NULL, e.source, coalesce(e.seq, -1) "
        " FROM call_events AS e WHERE e.conversation_id = c.id AND e.kind NOT IN "
        "  ('message', 'usage', 'barge_in')"
        ") AS l WHERE c.id = $1::uuid ORDER BY l.at, l.seq, l.kind",
        1};
    return db_run(db, &query, db_values(db_text(id)), rows);
}

enum db_result records_json(struct db *db, const char *id, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT jsonb_pretty(to_jsonb(c) || jsonb_build_object("
        " 'organization', (SELECT name FROM organizations WHERE id = c.organization_id),"
        " 'messages', coalesce((SELECT jsonb_agg(to_jsonb(m) - 'organization_id' "
        "   - 'conversation_id' ORDER BY m.\"timestamp\", m.seq) FROM conversation_messages AS m "
        "   WHERE m.conversation_id = c.id), '[]'),"
        " 'events', coalesce((SELECT jsonb_agg(to_jsonb(e) - 'organization_id' "
        "   - 'conversation_id' ORDER BY e.id) FROM call_events AS e "
        "   WHERE e.conversation_id = c.id), '[]'),"
        " 'after', (SELECT to_jsonb(a) - '{organization_id,conversation_id}'::text[] "
        "   FROM after_calls AS a WHERE a.conversation_id = c.id))) "
        "FROM conversations AS c WHERE c.id = $1::uuid",
        1};
    return db_run(db, &query, db_values(db_text(id)), rows);
}
