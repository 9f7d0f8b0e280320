#include "control/carrier/carrier_check.h"

#include "common/panic.h"
#include "control/base/json_read.h"
#include "control/store/carrier_numbers.h"

#include <stdlib.h>

enum column { OWN_ACCOUNT, ORGANIZATION, NAME, NUMBER, IS_ACTIVE }; /* of carrier_numbers_wanted */

/* The numbers of one account: rows first .. end - 1. */
struct account {
    struct carrier_check *check;
    struct db *db;
    const struct carrier_number_want *want;
    const struct db_rows *rows;
    int first, end;
    bool *seen; /* by row */
    struct twilio_rest rest;
    enum db_result result;
};

static void tell(struct account *account, struct carrier_check_told told)
{
    struct carrier_check *check = account->check;
    if (!told.account)
        told.account = account->rest.account;
    check->differences += !told.mended && told.kind != CARRIER_CHECK_UNASKED;
    check->unasked += told.kind == CARRIER_CHECK_UNASKED;
    check->tell(&told, check->context);
}

/* ---- one number ---- */

/* What was there before, for the audit. */
static enum db_result note(struct account *account, int row,
                           const struct carrier_number_difference *differences, int count)
{
    json_t *was = json_object();
    for (int i = 0; i < count; i++)
        json_object_set_new(was, differences[i].answer, json_string(differences[i].has));
    char *text = json_dumps(was, JSON_COMPACT);
    json_decref(was);
    enum db_result result = carrier_numbers_mended(
        account->db, db_cell(account->rows, row, ORGANIZATION), db_cell(account->rows, row, NUMBER),
        account->rest.account, account->check->by, text ? text : "{}");
    free(text);
    return result;
}

static bool mend(struct account *account, int row, const char *sid,
                 const struct carrier_number_difference *differences, int count)
{
    struct twilio_rest_pair pairs[CARRIER_NUMBER_PROPERTIES_COUNT];
    struct http_client_response response;
    char path[TWILIO_REST_PATH_BYTES];
    for (int i = 0; i < count; i++)
        pairs[i] = (struct twilio_rest_pair){differences[i].request, differences[i].wants};
    snprintf(path, sizeof path, "IncomingPhoneNumbers/%s.json", sid);
    bool mended =
        twilio_rest_ask(&account->rest, "POST", path, pairs, (size_t)count, NULL, &response);
    if (mended)
        account->result = note(account, row, differences, count);
    else
        tell(account, (struct carrier_check_told){.kind = CARRIER_CHECK_UNASKED,
                                                  .organization = db_cell(account->rows, row, NAME),
                                                  .number = db_cell(account->rows, row, NUMBER),
                                                  .why = response.error});
    http_client_free(&response);
    return mended;
}

static void compare(struct account *account, int row, const json_t *number)
{
    struct carrier_number_difference differences[CARRIER_NUMBER_PROPERTIES_COUNT];
    const char *sid = json_read_text(number, "sid", TWILIO_REST_SID_BYTES - 1);
    int count = carrier_number_compare(account->want, number, differences);
    bool mended = count > 0 && account->check->mend && twilio_rest_is_sid(sid, "PN") &&
                  mend(account, row, sid, differences, count);
    account->seen[row] = true;
    account->check->numbers++;
    for (int i = 0; i < count; i++)
        tell(account, (struct carrier_check_told){.kind = CARRIER_CHECK_DIFFERS,
                                                  .organization = db_cell(account->rows, row, NAME),
                                                  .number = db_cell(account->rows, row, NUMBER),
                                                  .property = differences[i].answer,
                                                  .has = differences[i].has,
                                                  .wants = differences[i].wants,
                                                  .mended = mended});
}

/* ---- one account ---- */

/* Nobody wants anything of a number whose calls are refused. */
static bool is_active(const struct account *account, int row)
{
    return db_cell_bool(account->rows, row, IS_ACTIVE);
}

static bool is_meant(const struct account *account, const char *number)
{
    return !account->check->number || strcmp(account->check->number, number) == 0;
}

/* The row of a number in this account, or -1. */
static int find_row(const struct account *account, const char *number)
{
    for (int row = account->first; row < account->end; row++)
        if (strcmp(db_cell(account->rows, row, NUMBER), number) == 0)
            return row;
    return -1;
}

static bool look_at_number(const json_t *number, void *context)
{
    struct account *account = context;
    const char *text = json_read_text(number, "phone_number", 20);
    if (!carrier_number_is_e164(text) || !is_meant(account, text))
        return true;
    int row = find_row(account, text);
    if (row >= 0 && is_active(account, row))
        compare(account, row, number);
    else if (row < 0 && !account->check->organization && !account->check->number)
        tell(account, (struct carrier_check_told){
                          .kind = CARRIER_CHECK_UNKNOWN, .organization = "", .number = text});
    return account->result == DB_OK;
}

static void tell_missing(struct account *account)
{
    for (int row = account->first; row < account->end; row++)
        if (!account->seen[row] && is_active(account, row) &&
            is_meant(account, db_cell(account->rows, row, NUMBER)))
            tell(account,
                 (struct carrier_check_told){.kind = CARRIER_CHECK_MISSING,
                                             .organization = db_cell(account->rows, row, NAME),
                                             .number = db_cell(account->rows, row, NUMBER)});
}

static void read_numbers(struct account *account)
{
    struct http_client_response response;
    bool listed =
        twilio_rest_list(&account->rest, "IncomingPhoneNumbers.json", "incoming_phone_numbers",
                         NULL, 0, look_at_number, account, &response);
    if (!listed)
        tell(account, (struct carrier_check_told){.kind = CARRIER_CHECK_UNASKED,
                                                  .organization = "",
                                                  .number = "",
                                                  .why = response.error});
    else if (account->result == DB_OK)
        tell_missing(account);
    http_client_free(&response);
}

static bool is_any_meant(const struct account *account)
{
    for (int row = account->first; row < account->end; row++)
        if (is_active(account, row) && is_meant(account, db_cell(account->rows, row, NUMBER)))
            return true;
    return false;
}

static enum db_result look_at_account(struct account *account)
{
    const struct options *options = account->check->options;
    const char *own = db_cell(account->rows, account->first, OWN_ACCOUNT);
    char why[256];
    if (!is_any_meant(account))
        return DB_OK;
    switch (twilio_rest_open(&account->rest, account->db, options, own ? own : options->account_sid,
                             why, sizeof why)) {
    case TWILIO_REST_OPENED:
        account->rest.must_stop = account->check->must_stop;
        account->rest.context = account->check->must_stop_context;
        read_numbers(account);
        break;
    case TWILIO_REST_UNKNOWN:
        tell(account, (struct carrier_check_told){.kind = CARRIER_CHECK_UNASKED,
                                                  .account = own ? own : "",
                                                  .organization = "",
                                                  .number = "",
                                                  .why = why});
        break;
    case TWILIO_REST_AWAY:
        account->result = DB_AWAY;
        break;
    }
    twilio_rest_close(&account->rest);
    return account->result;
}

/* ---- all ---- */

static bool same_account(const struct db_rows *rows, int one, int other)
{
    const char *first = db_cell(rows, one, OWN_ACCOUNT),
               *second = db_cell(rows, other, OWN_ACCOUNT);
    return first && second ? strcmp(first, second) == 0 : first == second;
}

static enum db_result look_at_all(struct account *account)
{
    enum db_result result = DB_OK;
    int count = db_rows_count(account->rows);
    for (int row = 0; row < count && result == DB_OK; row = account->end) {
        account->first = row;
        account->end = row + 1;
        while (account->end < count && same_account(account->rows, row, account->end))
            account->end++;
        result = look_at_account(account);
    }
    return result;
}

enum db_result carrier_check_run(struct carrier_check *check, struct db *db)
{
    struct carrier_number_want want;
    struct db_rows *rows;
    bool wished =
        check->options->public_url && carrier_number_wish(&want, check->options->public_url);
    assert(wished); /* whoever asks has looked */
    check->numbers = check->differences = check->unasked = 0;
    enum db_result result = carrier_numbers_wanted(db, check->organization, &rows);
    if (result == DB_OK) {
        struct account account = {.check = check, .db = db, .want = &want, .rows = rows};
        account.seen = calloc((size_t)db_rows_count(rows) + 1, sizeof *account.seen);
        assert(account.seen);
        result = look_at_all(&account);
        free(account.seen);
    }
    db_rows_free(rows);
    return result;
}

/* ---- for people ---- */

void carrier_check_words(const struct carrier_check_told *told,
                         char words[CARRIER_CHECK_WORDS_BYTES])
{
    switch (told->kind) {
    case CARRIER_CHECK_DIFFERS:
        snprintf(words, CARRIER_CHECK_WORDS_BYTES, "%s (%s): %s %s \"%s\", wanted \"%s\"%s",
                 told->number, told->organization, told->property, told->mended ? "was" : "is",
                 told->has, told->wants, told->mended ? ": mended" : "");
        break;
    case CARRIER_CHECK_MISSING:
        snprintf(words, CARRIER_CHECK_WORDS_BYTES, "%s (%s): account %s does not have it",
                 told->number, told->organization, told->account);
        break;
    case CARRIER_CHECK_UNKNOWN:
        snprintf(words, CARRIER_CHECK_WORDS_BYTES, "%s: account %s has it, and no organisation",
                 told->number, told->account);
        break;
    case CARRIER_CHECK_UNASKED:
        snprintf(words, CARRIER_CHECK_WORDS_BYTES, "%s%saccount %s: %s", told->number,
                 told->number[0] ? ": " : "", told->account, told->why);
        break;
    }
    for (char *at = words; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
}

const char *carrier_check_mend(const struct carrier_check_told *told)
{
    switch (told->kind) {
    case CARRIER_CHECK_DIFFERS:
        return told->mended ? "" : "ringbridge-control number configure, or doctor --mend";
    case CARRIER_CHECK_MISSING:
        return "ringbridge-control number remove, or look for it in another account";
    case CARRIER_CHECK_UNKNOWN:
        return "ringbridge-control number add, or give it back at Twilio: it costs money";
    case CARRIER_CHECK_UNASKED:
        break;
    }
    return "";
}
