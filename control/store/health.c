#include "control/store/health.h"

enum db_result health_schema(struct db *db, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT 'PostgreSQL ' || current_setting('server_version') || ' is too old', "
        " 'Use PostgreSQL 15 or newer' "
        "WHERE current_setting('server_version_num')::integer < 150000 "
        "UNION ALL SELECT 'table ' || relname || ' is not closed by row security', "
        " format('SELECT guard_table(%L); in a migration, or ALTER TABLE %I FORCE ROW LEVEL "
        "SECURITY;', relname, relname) "
        "FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') "
        " AND NOT (relrowsecurity AND relforcerowsecurity) "
        "UNION ALL SELECT 'role ' || rolname || ' is a superuser or bypasses row security', "
        " format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS;', rolname) "
        "FROM pg_roles WHERE rolname ~ '^ringbridge_(serving|gate|api|admin)$' "
        " AND (rolsuper OR rolbypassrls) "
        "UNION ALL SELECT 'role ' || r.rolname || ' owns table ' || c.relname, "
        " format('ALTER TABLE %I OWNER TO the user who migrates;', c.relname) "
        "FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner "
        "WHERE c.relkind IN ('r', 'p') AND r.rolname ~ '^ringbridge_(serving|gate|api|admin)$' "
        "UNION ALL SELECT 'function ' || p.proname || ' runs with its owner''s rights and a search "
        "path that others can set', format('ALTER FUNCTION %I SET search_path = pg_catalog, "
        "public, pg_temp;', p.proname) "
        "FROM pg_proc AS p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef "
        " AND NOT coalesce(array_to_string(p.proconfig, ' '), '') ~ 'search_path='",
        0};
    return db_run(db, &query, NULL, 0, rows);
}

enum db_result health_content(struct db *db, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT (SELECT count(*) FROM organizations), "
        "(SELECT count(*) FROM phone_numbers WHERE is_active AND channel = 'twilio'), "
        "(SELECT count(DISTINCT organization_id) FROM credentials WHERE kind = 'twilio'), "
        "(SELECT count(DISTINCT organization_id) FROM credentials WHERE kind = 'openai')",
        0};
    return db_run(db, &query, NULL, 0, rows);
}

enum db_result health_login(struct db *db, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT session_user, r.rolsuper OR r.rolbypassrls, "
        "pg_has_role(session_user, 'ringbridge_admin', 'MEMBER') "
        " OR EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "            AND pg_has_role(session_user, relowner, 'MEMBER')), "
        "pg_has_role(session_user, 'ringbridge_serving', 'MEMBER') "
        " AND pg_has_role(session_user, 'ringbridge_api', 'MEMBER') "
        "FROM pg_roles AS r WHERE r.rolname = session_user",
        0};
    return db_run(db, &query, NULL, 0, rows);
}

enum db_result health_sealed(struct db *db, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT organization_id, kind, account, sealed FROM credentials ORDER BY 1, 2, 3", 0};
    return db_run(db, &query, NULL, 0, rows);
}

enum db_result health_after(struct db *db, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT count(*) FILTER (WHERE email_to <> '{}'), "
        "count(*) FILTER (WHERE email_to <> '{}' AND email_from IS NULL), "
        "(SELECT count(*) FROM jobs WHERE state = 'dead' "
        " AND kind IN ('after_call', 'voicemail_after', 'email_send', 'webhook_send', "
        "'slack_send')), "
        "(SELECT count(*) FROM endpoints WHERE disabled_at IS NOT NULL) "
        "FROM after_call_settings",
        0};
    return db_run(db, &query, NULL, 0, rows);
}
