#include "control/store/seals.h"

#include "common/panic.h"
#include "control/store/accounts.h"
#include "control/store/endpoints.h"
#include "control/store/tools.h"

#include <stdlib.h>

#define SEALED_BYTES_MAX (SEAL_SECRET_MAX + SEAL_OVERHEAD_BYTES)

/* Where secrets are kept. list: organisation, id, sealed, and what the context is made of. */
struct place {
    struct db_statement list, replace; /* replace: id, as it was, as it is */
    void (*context)(const struct db_rows *rows, int row, char context[TOOLS_CONTEXT_MAX]);
};

static void write_credential(const struct db_rows *rows, int row, char context[TOOLS_CONTEXT_MAX])
{
    accounts_context(db_cell(rows, row, 0), db_cell(rows, row, 3), db_cell(rows, row, 4), context);
}

static void write_endpoint(const struct db_rows *rows, int row, char context[TOOLS_CONTEXT_MAX])
{
    endpoints_context(db_cell(rows, row, 0), db_cell(rows, row, 1), context);
}

static void write_tool(const struct db_rows *rows, int row, char context[TOOLS_CONTEXT_MAX])
{
    tools_context(db_cell(rows, row, 0), db_cell(rows, row, 3), context);
}

static const struct place places[] = {
    {{"SELECT organization_id, id, sealed, kind, account FROM credentials ORDER BY id", 0},
     {"UPDATE credentials SET sealed = $3::bytea WHERE id = $1::uuid AND sealed = $2::bytea", 3},
     write_credential},
    {{"SELECT organization_id, id, sealed_previous, kind, account FROM credentials "
      "WHERE sealed_previous IS NOT NULL ORDER BY id",
      0},
     {"UPDATE credentials SET sealed_previous = $3::bytea "
      "WHERE id = $1::uuid AND sealed_previous = $2::bytea",
      3},
     write_credential},
    {{"SELECT organization_id, id, sealed FROM endpoints ORDER BY id", 0},
     {"UPDATE endpoints SET sealed = $3::bytea WHERE id = $1::uuid AND sealed = $2::bytea", 3},
     write_endpoint},
    {{"SELECT organization_id, id, headers_sealed, name FROM tools "
      "WHERE headers_sealed IS NOT NULL ORDER BY id",
      0},
     {"UPDATE tools SET headers_sealed = $3::bytea "
      "WHERE id = $1::uuid AND headers_sealed = $2::bytea",
      3},
     write_tool},
};

struct renewing {
    const struct seal *seal;
    const char *by;
    struct seals_renewed renewed;
};

static enum db_result replace(struct db *db, const struct place *place, const char *id,
                              struct span was, struct span is)
{
    return db_run(db, &place->replace, db_values(db_text(id), db_bytes(was), db_bytes(is)), NULL);
}

static enum db_result renew(struct renewing *renewing, struct db *db, const struct place *place,
                            const struct db_rows *rows, int row)
{
    char context[TOOLS_CONTEXT_MAX], secret[SEAL_SECRET_MAX + 1];
    uint8_t anew[SEALED_BYTES_MAX];
    size_t bytes;
    enum db_result result = DB_OK;
    uint8_t *sealed = db_cell_bytes(rows, row, 2, &bytes);
    place->context(rows, row, context);
    if (sealed && bytes <= sizeof anew &&
        seal_read(renewing->seal, context, span_from(sealed, bytes), secret, sizeof secret)) {
        /* As many bytes as were sealed: a secret may hold a NUL. */
        bool closed = seal_close(renewing->seal, context,
                                 span_from(secret, bytes - SEAL_OVERHEAD_BYTES), anew);
        assert(closed);
        result = replace(db, place, db_cell(rows, row, 1), span_from(sealed, bytes),
                         span_from(anew, bytes));
        renewing->renewed.renewed++;
    } else {
        renewing->renewed.unopened++;
    }
    explicit_bzero(secret, sizeof secret);
    free(sealed);
    return result;
}

static enum db_result renew_all(struct renewing *renewing, struct db *db, const struct place *place)
{
    struct db_rows *rows;
    enum db_result result = db_run(db, &place->list, NULL, 0, &rows);
    for (int row = 0; result == DB_OK && row < db_rows_count(rows); row++)
        result = renew(renewing, db, place, rows, row);
    db_rows_free(rows);
    return result;
}

static enum db_result work(struct db *db, void *context)
{
    static const struct db_statement note = {
        "INSERT INTO carrier_changes (organization_id, what, by_whom) "
        "SELECT DISTINCT organization_id, 'sealed_anew', $1 FROM credentials",
        1};
    struct renewing *renewing = context;
    enum db_result result = DB_OK;
    renewing->renewed = (struct seals_renewed){.renewed = 0};
    for (size_t i = 0; i < sizeof places / sizeof places[0] && result == DB_OK; i++)
        result = renew_all(renewing, db, &places[i]);
    if (result == DB_OK)
        result = db_run(db, &note, db_values(db_text(renewing->by)), NULL);
    return result;
}

enum db_result seals_renew(struct db *db, const struct seal *seal, const char *by,
                           struct seals_renewed *renewed)
{
    struct renewing renewing = {.seal = seal, .by = by};
    enum db_result result = db_transact(db, NULL, work, &renewing);
    *renewed = renewing.renewed;
    return result;
}
