#include "control/carrier/reconcile.h"

#include "common/clock.h"
#include "common/log.h"
#include "control/base/json_read.h"
#include "control/carrier/twilio_rest.h"
#include "control/store/calls.h"

#include <stdlib.h>
#include <time.h>

#define TEXT_BYTES 512
#define SETTLED_S  300 /* the last minutes' webhooks may be on their way still */

struct comparing {
    struct reconcile *reconcile;
    struct db *db;
    struct twilio_rest rest;
    struct reconciliations_report report;
    enum db_result result; /* not DB_OK: the list is left */
};

/* ---- calls ---- */

static int64_t read_number(const json_t *item, const char *name)
{
    const char *text = json_read_text(item, name, 15);
    return text && text[0] >= '0' && text[0] <= '9' ? strtoll(text, NULL, 10) : -1;
}

/* "-0.00750": digits, one point, one sign; NULL for what the database would not read. */
static const char *read_price(const json_t *item)
{
    const char *text = json_read_text(item, "price", 15);
    const char *digits = text && text[0] == '-' ? text + 1 : text;
    if (!digits || !digits[0] || digits[strspn(digits, "0123456789")] == '\0')
        return digits && digits[0] ? text : NULL;
    const char *point = digits + strspn(digits, "0123456789");
    size_t behind = point > digits && point[0] == '.' ? strspn(point + 1, "0123456789") : 0;
    return behind > 0 && behind <= 6 && point - digits <= 8 && point[1 + behind] == '\0' ? text
                                                                                         : NULL;
}

static char *write_parameters(const json_t *item)
{
    const char *parent = json_read_text(item, "parent_call_sid", 34);
    json_t *parameters = json_pack("{s:s, s:s*}", "Source", "list", "ParentCallSid", parent);
    char *text = parameters ? json_dumps(parameters, JSON_COMPACT) : NULL;
    json_decref(parameters);
    return text;
}

static void count(struct comparing *comparing, const char *call_sid, enum calls_listing listing,
                  bool priced)
{
    struct reconciliations_report *report = &comparing->report;
    report->calls_seen += listing != CALLS_LISTED_OTHER;
    report->calls_opened += listing == CALLS_LISTED_OPENED;
    report->calls_ended += listing == CALLS_LISTED_ENDED;
    report->calls_priced += priced;
    db_array_add(&report->listed, call_sid);
    if (listing == CALLS_LISTED_DIFFERS)
        db_array_add(&report->differing, call_sid);
    if (listing == CALLS_LISTED_OPENED || listing == CALLS_LISTED_ENDED ||
        listing == CALLS_LISTED_DIFFERS)
        log_warn("the carrier's list told what no webhook did", log_text("call_sid", call_sid),
                 log_text("organization", comparing->reconcile->organization),
                 log_text("what", listing == CALLS_LISTED_OPENED  ? "a call"
                                  : listing == CALLS_LISTED_ENDED ? "its end"
                                                                  : "another end"));
}

static bool compare_call(const json_t *item, void *context)
{
    struct comparing *comparing = context;
    const char *sid = json_read_text(item, "sid", 34);
    if (!sid || !twilio_rest_is_sid(sid, "CA"))
        return true;
    char *parameters = write_parameters(item);
    const struct calls_listed listed = {
        .webhook = {.account_sid = comparing->rest.account,
                    .call_sid = sid,
                    .from = json_read_text(item, "from", TEXT_BYTES),
                    .to = json_read_text(item, "to", TEXT_BYTES),
                    .direction = json_read_text(item, "direction", TEXT_BYTES),
                    .status = json_read_text(item, "status", TEXT_BYTES),
                    .sequence_number = -1,
                    .timestamp = json_read_text(item, "start_time", 64),
                    .duration_s = read_number(item, "duration"),
                    .sip_response_code = -1,
                    .parameters_json = parameters},
        .began = json_read_text(item, "start_time", 64),
        .ended = json_read_text(item, "end_time", 64),
        .price = read_price(item),
        .unit = json_read_text(item, "price_unit", 3)};
    enum calls_listing listing = CALLS_LISTED_OTHER;
    bool priced = false;
    comparing->result = calls_compare(comparing->db, comparing->reconcile->organization, &listed,
                                      &listing, &priced);
    if (comparing->result == DB_REFUSED) /* one odd item stops nobody */
        comparing->result = DB_OK;
    else if (comparing->result == DB_OK)
        count(comparing, sid, listing, priced);
    free(parameters);
    return comparing->result == DB_OK;
}

/* ---- recordings ---- */

/* As a callback would have said; what was on record changes nothing. */
static enum db_result compare_own_recording(struct comparing *comparing, const json_t *item,
                                            const char *call_sid)
{
    char url[TEXT_BYTES];
    struct calls_taken taken = {.stored = false};
    const char *source = json_read_text(item, "source", 64), *sid = json_read_text(item, "sid", 34);
    const struct calls_webhook webhook = {.account_sid = comparing->rest.account,
                                          .call_sid = call_sid,
                                          .sequence_number = -1,
                                          .timestamp = json_read_text(item, "start_time", 64),
                                          .duration_s = -1,
                                          .sip_response_code = -1,
                                          .parameters_json = "{\"Source\": \"list\"}"};
    int64_t seconds = read_number(item, "duration");
    snprintf(url, sizeof url, "%s/2010-04-01/Accounts/%s/Recordings/%s",
             comparing->reconcile->options->twilio_api_base, comparing->rest.account, sid);
    const struct calls_recording recording = {
        .kind = source && strcmp(source, "RecordVerb") == 0 ? "voicemail" : "recording",
        .sid = sid,
        .url = url,
        .status = json_read_text(item, "status", 32),
        .duration_ms = seconds < 0 ? -1 : seconds * 1000};
    enum db_result result = calls_recording(comparing->db, &webhook, &recording, &taken);
    comparing->report.recordings_seen++;
    comparing->report.recordings_found += taken.stored;
    if (taken.stored)
        log_warn("the carrier's list told what no webhook did", log_text("what", "a recording"),
                 log_text("recording_sid", sid),
                 log_text("organization", comparing->reconcile->organization));
    return result;
}

/* Several organisations may share an account: only what is of our calls is looked at. */
static bool compare_recording(const json_t *item, void *context)
{
    struct comparing *comparing = context;
    bool owns = false;
    const char *sid = json_read_text(item, "sid", 34), *status = json_read_text(item, "status", 32);
    const char *call_sid = json_read_text(item, "call_sid", 34);
    if (!sid || !call_sid || !status || !twilio_rest_is_sid(sid, "RE") ||
        !twilio_rest_is_sid(call_sid, "CA"))
        return true;
    comparing->result =
        reconciliations_owns(comparing->db, comparing->reconcile->organization, call_sid, &owns);
    if (comparing->result == DB_OK && owns)
        comparing->result = compare_own_recording(comparing, item, call_sid);
    if (comparing->result == DB_REFUSED)
        comparing->result = DB_OK;
    return comparing->result == DB_OK;
}

/* ---- the lists ---- */

static void write_time(int64_t unix_s, char text[32])
{
    time_t seconds = (time_t)unix_s;
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

static bool list_calls(struct comparing *comparing, const char *side, const char *number)
{
    char since[32], until[32];
    write_time(comparing->report.since_s, since);
    write_time(comparing->report.until_s, until);
    const struct twilio_rest_pair pairs[] = {
        {side, number}, {"StartTime>", since}, {"StartTime<", until}};
    return twilio_rest_list(&comparing->rest, "Calls.json", "calls", pairs, 3, compare_call,
                            comparing, &comparing->reconcile->response) &&
           comparing->result == DB_OK;
}

static bool list_recordings(struct comparing *comparing)
{
    char since[32];
    write_time(comparing->report.since_s, since);
    const struct twilio_rest_pair pairs[] = {{"DateCreated>", since}};
    return twilio_rest_list(&comparing->rest, "Recordings.json", "recordings", pairs, 1,
                            compare_recording, comparing, &comparing->reconcile->response) &&
           comparing->result == DB_OK;
}

/* numbers: with blanks between them. */
static bool list_all(struct comparing *comparing, const char *numbers)
{
    char number[32];
    for (const char *at = numbers; *at; at += strspn(at, " ")) {
        size_t bytes = strcspn(at, " ");
        snprintf(number, sizeof number, "%.*s", (int)bytes, at);
        at += bytes;
        if (!list_calls(comparing, "To", number))
            return false;
        http_client_free(&comparing->reconcile->response);
        if (!list_calls(comparing, "From", number))
            return false;
        http_client_free(&comparing->reconcile->response);
    }
    return list_recordings(comparing);
}

static enum reconcile_end compare_all(struct comparing *comparing, const char *numbers)
{
    struct reconcile *reconcile = comparing->reconcile;
    bool listed = list_all(comparing, numbers);
    if (comparing->result != DB_OK)
        return RECONCILE_DATABASE;
    if (!listed) {
        snprintf(reconcile->error, sizeof reconcile->error, "%s", reconcile->response.error);
        return RECONCILE_CARRIER;
    }
    comparing->result =
        reconciliations_write(comparing->db, reconcile->organization, comparing->rest.account,
                              &comparing->report, reconcile->report);
    return comparing->result == DB_OK ? RECONCILE_DONE : RECONCILE_DATABASE;
}

static enum reconcile_end compare_account(struct comparing *comparing, const char *account,
                                          const char *numbers)
{
    struct reconcile *reconcile = comparing->reconcile;
    enum reconcile_end end = RECONCILE_NOTHING;
    switch (twilio_rest_open(&comparing->rest, comparing->db, reconcile->options, account,
                             reconcile->error, sizeof reconcile->error)) {
    case TWILIO_REST_AWAY:
        return RECONCILE_DATABASE;
    case TWILIO_REST_UNKNOWN:
        return RECONCILE_NOTHING;
    case TWILIO_REST_OPENED:
        break;
    }
    comparing->rest.must_stop = reconcile->must_stop;
    comparing->rest.context = reconcile->context;
    if (db_array_open(&comparing->report.listed) && db_array_open(&comparing->report.differing))
        end = compare_all(comparing, numbers);
    db_array_free(&comparing->report.listed);
    db_array_free(&comparing->report.differing);
    twilio_rest_close(&comparing->rest);
    return end;
}

enum reconcile_end reconcile_run(struct reconcile *reconcile, struct db *db)
{
    struct comparing comparing = {.reconcile = reconcile, .db = db};
    struct db_rows *rows;
    comparing.report.until_s = clock_wall_ms() / 1000 - SETTLED_S;
    comparing.report.since_s = comparing.report.until_s - (int64_t)reconcile->hours * 3600;
    reconcile->response = (struct http_client_response){.status = 0};
    snprintf(reconcile->error, sizeof reconcile->error, "no number, or no account at the carrier");
    if (reconciliations_place(db, reconcile->organization, &rows) != DB_OK)
        return RECONCILE_DATABASE;
    const char *own = db_cell(rows, 0, 0), *numbers = db_cell(rows, 0, 1);
    const char *account = own ? own : reconcile->options->account_sid;
    enum reconcile_end end = RECONCILE_NOTHING;
    if (account && numbers)
        end = compare_account(&comparing, account, numbers);
    db_rows_free(rows);
    return end;
}
