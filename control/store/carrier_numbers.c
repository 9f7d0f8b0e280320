#include "control/store/carrier_numbers.h"

/* One statement under an organisation: in the transaction that is under way, or in one of its own.
 */
struct question {
    const struct db_statement *statement;
    const struct db_value *values;
    int count;
    struct db_rows *rows;
};

static enum db_result put(struct db *db, void *context)
{
    struct question *question = context;
    db_rows_free(question->rows);
    question->rows = NULL;
    return db_run(db, question->statement, question->values, question->count, &question->rows);
}

static enum db_result ask(struct db *db, const char *organization,
                          const struct db_statement *statement, const struct db_value *values,
                          int count, struct db_rows **rows)
{
    struct question question = {.statement = statement, .values = values, .count = count};
    enum db_result result =
        db_in_transaction(db) ? put(db, &question) : db_transact(db, organization, put, &question);
    *rows = question.rows;
    return result;
}

static void copy_cell(const struct db_rows *rows, int column, char *text, size_t room)
{
    const char *cell = rows && db_rows_count(rows) > 0 ? db_cell(rows, 0, column) : NULL;
    snprintf(text, room, "%s", cell ? cell : "");
}

/* ---- orders ---- */

enum db_result carrier_numbers_order(struct db *db, const char *organization,
                                     const struct carrier_numbers_wish *wish, const char *key,
                                     const char *by, const char *role,
                                     struct carrier_numbers_ordered *ordered)
{
    static const struct db_statement query = {
        "SELECT id, made, why FROM order_number($1::uuid, $2, jsonb_strip_nulls("
        "jsonb_build_object('country', $3::text, 'kind', $4::text, 'area_code', $5::text, "
        "'contains', $6::text, 'phone_number', $7::text, 'address_sid', $8::text, "
        "'bundle_sid', $9::text)), $10, $11)",
        11};
    struct db_rows *rows;
    enum db_result result =
        ask(db, organization, &query,
            db_values(db_text(organization), db_text(key), db_text(wish->country),
                      db_text(wish->kind), db_text(wish->area_code), db_text(wish->contains),
                      db_text(wish->phone_number), db_text(wish->address_sid),
                      db_text(wish->bundle_sid), db_text(by), db_text(role)),
            &rows);
    copy_cell(rows, 0, ordered->id, sizeof ordered->id);
    ordered->made = result == DB_OK && db_cell_bool(rows, 0, 1);
    copy_cell(rows, 2, ordered->why, sizeof ordered->why);
    db_rows_free(rows);
    return result;
}

enum db_result carrier_numbers_look(struct db *db, const char *order, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT state, phone_number, error, price || ' ' || price_unit FROM number_orders "
        "WHERE id::text = $1",
        1};
    return db_run(db, &query, db_values(db_text(order)), rows);
}

enum db_result carrier_numbers_read(struct db *db, const char *organization, const char *order,
                                    struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT state, phone_number, account_sid, "
        "(SELECT account FROM credentials WHERE organization_id = $1::uuid AND kind = 'twilio' "
        "ORDER BY created_at LIMIT 1), "
        "floor(extract(epoch FROM now() - asked_at))::bigint, array_to_string(passed_over, ' '), "
        "country, kind, wish ->> 'area_code', wish ->> 'contains', wish ->> 'phone_number', "
        "wish ->> 'address_sid', wish ->> 'bundle_sid' "
        "FROM number_orders WHERE organization_id = $1::uuid AND id::text = $2",
        2};
    return ask(db, organization, &query, db_values(db_text(organization), db_text(order)), rows);
}

enum db_result carrier_numbers_ask(struct db *db, const char *organization, const char *order,
                                   const char *number, const char *account, bool *asked)
{
    static const struct db_statement query = {
        "UPDATE number_orders SET state = 'asked', phone_number = $3, account_sid = $4, "
        "asked_at = now() WHERE organization_id = $1::uuid AND id::text = $2 "
        "AND state IN ('ordered', 'asked') AND coalesce(phone_number, $3) = $3 RETURNING id",
        4};
    struct db_rows *rows;
    enum db_result result = ask(
        db, organization, &query,
        db_values(db_text(organization), db_text(order), db_text(number), db_text(account)), &rows);
    *asked = result == DB_OK && db_rows_count(rows) == 1;
    db_rows_free(rows);
    return result;
}

enum db_result carrier_numbers_unask(struct db *db, const char *organization, const char *order,
                                     bool pass_over)
{
    static const struct db_statement query = {
        "UPDATE number_orders SET state = 'ordered', "
        "passed_over = CASE WHEN $3::boolean THEN passed_over || phone_number "
        "ELSE passed_over END, "
        "phone_number = CASE WHEN $3::boolean THEN NULL ELSE phone_number END "
        "WHERE organization_id = $1::uuid AND id::text = $2 AND state = 'asked'",
        3};
    struct db_rows *rows;
    enum db_result result =
        ask(db, organization, &query,
            db_values(db_text(organization), db_text(order), db_bool(pass_over)), &rows);
    db_rows_free(rows);
    return result;
}

enum db_result carrier_numbers_refuse(struct db *db, const char *order, const char *error)
{
    static const struct db_statement query = {
        "WITH refused AS (UPDATE number_orders SET state = 'refused', error = left($2, 2000) "
        "WHERE id::text = $1 AND state IN ('ordered', 'asked') RETURNING *) "
        "INSERT INTO carrier_changes (organization_id, what, phone_number, account_sid, by_whom, "
        "detail) SELECT organization_id, 'refused', phone_number, account_sid, ordered_by, "
        "jsonb_build_object('order', id, 'error', error) FROM refused",
        2};
    return db_run(db, &query, db_values(db_text(order), db_text(error)), NULL);
}

enum db_result carrier_numbers_settle(struct db *db, const char *order, const char *sid,
                                      const char *number, bool *fresh)
{
    static const struct db_statement query = {"SELECT settle_number($1::uuid, $2, $3)", 3};
    struct db_rows *rows;
    enum db_result result =
        db_run(db, &query, db_values(db_text(order), db_text(sid), db_text(number)), &rows);
    *fresh = result == DB_OK && db_cell_bool(rows, 0, 0);
    db_rows_free(rows);
    return result;
}

/* ---- giving back ---- */

enum db_result carrier_numbers_release(struct db *db, const char *organization, const char *number,
                                       const char *by, const char *role, char why[16])
{
    static const struct db_statement query = {"SELECT order_release($1::uuid, $2, $3, $4)", 4};
    struct db_rows *rows;
    enum db_result result =
        ask(db, organization, &query,
            db_values(db_text(organization), db_text(number), db_text(by), db_text(role)), &rows);
    copy_cell(rows, 0, why, 16);
    db_rows_free(rows);
    return result;
}

enum db_result carrier_numbers_listed(struct db *db, const char *organization, const char *number,
                                      bool *listed)
{
    static const struct db_statement query = {
        "SELECT FROM phone_numbers WHERE organization_id = $1::uuid AND phone_number = $2 "
        "AND channel = 'twilio'",
        2};
    struct db_rows *rows;
    enum db_result result =
        ask(db, organization, &query, db_values(db_text(organization), db_text(number)), &rows);
    *listed = result == DB_OK && db_rows_count(rows) > 0;
    db_rows_free(rows);
    return result;
}

enum db_result carrier_numbers_released(struct db *db, const char *number, const char *account,
                                        const char *by)
{
    static const struct db_statement query = {"SELECT number_released($1, $2, $3)", 3};
    return db_run(db, &query, db_values(db_text(number), db_text(account), db_text(by)), NULL);
}

/* ---- what is and what should be ---- */

enum db_result carrier_numbers_account(struct db *db, const char *organization, char account[35])
{
    static const struct db_statement query = {
        "SELECT account FROM credentials WHERE organization_id = $1::uuid AND kind = 'twilio' "
        "ORDER BY created_at LIMIT 1",
        1};
    struct db_rows *rows;
    enum db_result result = ask(db, organization, &query, db_values(db_text(organization)), &rows);
    copy_cell(rows, 0, account, 35);
    db_rows_free(rows);
    return result;
}

enum db_result carrier_numbers_want_account(struct db *db, const char *organization, const char *by,
                                            bool *made)
{
    static const struct db_statement query = {
        "SELECT enqueue_job($1::uuid, 'account_open', 'account', jsonb_build_object('by', "
        "$2::text), 10)",
        2};
    struct db_rows *rows;
    enum db_result result =
        ask(db, organization, &query, db_values(db_text(organization), db_text(by)), &rows);
    *made = result == DB_OK && db_cell_bool(rows, 0, 0);
    db_rows_free(rows);
    return result;
}

enum db_result carrier_numbers_account_job(struct db *db, const char *organization,
                                           struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT state, last_error, id FROM jobs WHERE organization_id = $1::uuid "
        "AND kind = 'account_open'",
        1};
    return db_run(db, &query, db_values(db_text(organization)), rows);
}

enum db_result carrier_numbers_wanted(struct db *db, const char *organization,
                                      struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT own.account, o.id, o.name, n.phone_number, n.is_active "
        "FROM phone_numbers AS n JOIN organizations AS o ON o.id = n.organization_id "
        "LEFT JOIN LATERAL (SELECT account FROM credentials AS c "
        "WHERE c.organization_id = o.id AND c.kind = 'twilio' ORDER BY created_at LIMIT 1) "
        "AS own ON true "
        "WHERE n.channel = 'twilio' "
        "AND ($1::uuid IS NULL OR n.organization_id = $1::uuid) "
        "ORDER BY own.account NULLS FIRST, n.phone_number",
        1};
    return ask(db, organization, &query, db_values(db_text(organization)), rows);
}

enum db_result carrier_numbers_mended(struct db *db, const char *organization, const char *number,
                                      const char *account, const char *by, const char *detail_json)
{
    static const struct db_statement query = {
        "INSERT INTO carrier_changes (organization_id, what, phone_number, account_sid, by_whom, "
        "detail) VALUES ($1::uuid, 'mended', $2, $3, $4, $5::jsonb)",
        5};
    struct db_rows *rows;
    enum db_result result = ask(db, organization, &query,
                                db_values(db_text(organization), db_text(number), db_text(account),
                                          db_text(by), db_text(detail_json)),
                                &rows);
    db_rows_free(rows);
    return result;
}

/* ---- money ---- */

enum db_result carrier_numbers_limit(struct db *db, const char *organization, const char *amount,
                                     const char *currency, const char *by)
{
    static const struct db_statement query = {
        "WITH put AS (INSERT INTO number_limits (organization_id, spend_max, price_unit) "
        "VALUES ($1::uuid, $2::text::numeric, $3) ON CONFLICT (organization_id) DO UPDATE "
        "SET spend_max = excluded.spend_max, price_unit = excluded.price_unit RETURNING *) "
        "INSERT INTO carrier_changes (organization_id, what, by_whom, detail) "
        "SELECT organization_id, 'limited', $4, "
        "jsonb_build_object('spend_max', spend_max, 'unit', price_unit) FROM put",
        4};
    return db_run(db, &query,
                  db_values(db_text(organization), db_text(amount), db_text(currency), db_text(by)),
                  NULL);
}

enum db_result carrier_numbers_price(struct db *db, const char *country, const char *kind,
                                     const char *amount, const char *currency)
{
    static const struct db_statement query = {
        "INSERT INTO number_prices (country, kind, price, price_unit) "
        "VALUES ($1, $2, $3::text::numeric, $4) ON CONFLICT (country, kind) DO UPDATE "
        "SET price = excluded.price, price_unit = excluded.price_unit",
        4};
    return db_run(db, &query,
                  db_values(db_text(country), db_text(kind), db_text(amount), db_text(currency)),
                  NULL);
}

enum db_result carrier_numbers_prices(struct db *db, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT country, kind, price::text, price_unit FROM number_prices ORDER BY 1, 2", 0};
    return db_run(db, &query, NULL, 0, rows);
}

enum db_result carrier_numbers_limits(struct db *db, const char *organization,
                                      struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT o.name, number_spend(o.id, l.price_unit)::text, l.spend_max::text, l.price_unit "
        "FROM number_limits AS l JOIN organizations AS o ON o.id = l.organization_id "
        "WHERE $1::uuid IS NULL OR o.id = $1::uuid ORDER BY 1",
        1};
    return db_run(db, &query, db_values(db_text(organization)), rows);
}

enum db_result carrier_numbers_orders(struct db *db, const char *organization, unsigned limit,
                                      struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT n.id, o.name, n.state, n.phone_number, n.country, n.kind, "
        "n.price || ' ' || n.price_unit, n.ordered_by, "
        "to_char(n.created_at, 'YYYY-MM-DD HH24:MI:SS') || 'Z', n.error "
        "FROM number_orders AS n JOIN organizations AS o ON o.id = n.organization_id "
        "WHERE $1::uuid IS NULL OR n.organization_id = $1::uuid "
        "ORDER BY n.created_at DESC, n.id LIMIT $2::integer",
        2};
    return db_run(db, &query, db_values(db_text(organization), db_number(limit)), rows);
}
