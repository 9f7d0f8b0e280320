#include "control/store/calls.h"

#include "common/panic.h"
#include "control/base/uuid.h"
#include "control/store/accounts.h"
#include "control/store/calls_inner.h"
#include "control/store/clean.h"
#include "control/store/transfers.h"

#include <openssl/evp.h>
#include <stdlib.h>

#define WEBHOOK                                                                                    \
    "ROW($1::text, $2::text, $3::text, $4::text, $5::text, $6::text, $7::bigint, $8::text, "       \
    "$9::bigint, $10::bigint, $11::text, $12::jsonb)::carrier_webhook"
#define WEBHOOK_VALUES     12
#define WEBHOOK_TEXT_MAX   CALLS_TEXT_MAX
#define WEBHOOK_NUMBER_MAX INT64_C(1000000000)

static const char *const found_names[] = {"found",         "unknown_number", "unknown_call",
                                          "wrong_account", "invalid",        "double"};

const char *calls_found_name(enum calls_found found)
{
    assert(found <= CALLS_DOUBLE);
    return found_names[found];
}

enum calls_found calls_found_read(const char *name)
{
    for (unsigned i = 0; i <= CALLS_DOUBLE; i++)
        if (name && strcmp(name, found_names[i]) == 0)
            return (enum calls_found)i;
    return CALLS_INVALID;
}

/* A webhook's fields as parameters, and what was allocated for them. */
struct parameters {
    struct db_value values[WEBHOOK_VALUES + 5];
    char *owned[WEBHOOK_VALUES];
    int owned_count;
};

static struct db_value own(struct parameters *parameters, char *text)
{
    assert(parameters->owned_count < WEBHOOK_VALUES);
    parameters->owned[parameters->owned_count++] = text;
    return db_text(text);
}

static struct db_value bounded(int64_t number)
{
    return db_number_or_null(number > WEBHOOK_NUMBER_MAX ? WEBHOOK_NUMBER_MAX : number);
}

static void fill(struct parameters *parameters, const struct calls_webhook *webhook)
{
    const char *const texts[] = {webhook->account_sid, webhook->call_sid,  webhook->from,
                                 webhook->to,          webhook->direction, webhook->status};
    *parameters = (struct parameters){.owned_count = 0};
    for (int i = 0; i < 6; i++)
        parameters->values[i] = own(parameters, clean_text(texts[i], WEBHOOK_TEXT_MAX));
    parameters->values[6] = bounded(webhook->sequence_number);
    parameters->values[7] = own(parameters, clean_text(webhook->timestamp, WEBHOOK_TEXT_MAX));
    parameters->values[8] = bounded(webhook->duration_s);
    parameters->values[9] = bounded(webhook->sip_response_code);
    parameters->values[10] = own(parameters, clean_text(webhook->idempotency_token, 128));
    parameters->values[11] = own(parameters, clean_json(webhook->parameters_json));
}

static void release(struct parameters *parameters)
{
    for (int i = 0; i < parameters->owned_count; i++)
        free(parameters->owned[i]);
}

static void copy_cell(const struct db_rows *rows, int column, char *text, size_t room)
{
    const char *cell = db_cell(rows, 0, column);
    bool fits = span_copy_text(span_of(cell ? cell : ""), text, room);
    assert(fits); /* the columns are uuids and names of ours */
}

static const char *text_cell(const struct db_rows *rows, int column)
{
    const char *cell = db_cell(rows, 0, column);
    return cell ? cell : "";
}

/* -- a call comes in -----------------------------------------------------------------------------
 */

#define ANSWER_COLUMNS CALLS_ANSWER_COLUMNS

static void open_ai_key(const struct seal *seal, struct calls_incoming *incoming)
{
    char key[ACCOUNTS_SECRET_MAX];
    size_t bytes;
    uint8_t *sealed = db_cell_bytes(incoming->rows, 0, 18, &bytes);
    if (!sealed)
        return;
    char context[ACCOUNTS_CONTEXT_MAX];
    accounts_context(incoming->organization, "openai", "", context);
    if (seal_read(seal, context, span_from(sealed, bytes), key, sizeof key))
        incoming->ai_key = strdup(key);
    incoming->ai_key_lost = !incoming->ai_key;
    explicit_bzero(key, sizeof key);
    free(sealed);
}

static void read_manners(struct calls_incoming *incoming)
{
    const struct db_rows *rows = incoming->rows;
    incoming->append_ms = (unsigned)db_cell_number(rows, 0, 21);
    incoming->record = db_cell_bool(rows, 0, 22);
    incoming->greeting_interruptible = db_cell_bool(rows, 0, 23);
    incoming->interrupt_after_ms = (unsigned)db_cell_number(rows, 0, 24);
    incoming->vad_prefix_ms = (unsigned)db_cell_number(rows, 0, 25);
    incoming->vad_silence_ms = (unsigned)db_cell_number(rows, 0, 26);
    incoming->vad_threshold_percent = (unsigned)db_cell_number(rows, 0, 27);
    incoming->session_max_s = (unsigned)db_cell_number(rows, 0, 28);
}

static void read_answer(const struct seal *seal, struct calls_incoming *incoming)
{
    const struct db_rows *rows = incoming->rows;
    incoming->found = calls_found_read(db_cell(rows, 0, 0));
    if (incoming->found != CALLS_FOUND)
        return;
    incoming->created = db_cell_bool(rows, 0, 1);
    copy_cell(rows, 2, incoming->conversation, sizeof incoming->conversation);
    copy_cell(rows, 3, incoming->organization, sizeof incoming->organization);
    incoming->organization_name = text_cell(rows, 4);
    incoming->call_status = text_cell(rows, 5);
    incoming->configured = db_cell_bool(rows, 0, 6);
    incoming->ai_backend = text_cell(rows, 7);
    incoming->model = text_cell(rows, 8);
    incoming->voice = text_cell(rows, 9);
    incoming->instructions = text_cell(rows, 10);
    incoming->greeting = text_cell(rows, 11);
    incoming->audio_format = text_cell(rows, 12);
    incoming->language = text_cell(rows, 13);
    incoming->transcription_model = text_cell(rows, 14);
    incoming->duration_max_s = (uint32_t)db_cell_number(rows, 0, 15);
    incoming->tools_json = text_cell(rows, 16);
    incoming->settings_json = text_cell(rows, 17);
    incoming->route_json = text_cell(rows, 29);
    incoming->fallback_json = text_cell(rows, 30);
    incoming->tool_waits_json = text_cell(rows, 31);
    read_manners(incoming);
    open_ai_key(seal, incoming);
}

enum db_result calls_incoming(struct db *db, const struct seal *seal,
                              const struct calls_webhook *webhook, struct calls_incoming *incoming)
{
    static const struct db_statement query = {
        "SELECT " ANSWER_COLUMNS " FROM incoming_call(" WEBHOOK ")", WEBHOOK_VALUES};
    struct parameters parameters;
    *incoming = (struct calls_incoming){.found = CALLS_INVALID};
    fill(&parameters, webhook);
    enum db_result result = db_run(db, &query, parameters.values, WEBHOOK_VALUES, &incoming->rows);
    release(&parameters);
    if (result == DB_OK)
        read_answer(seal, incoming);
    return result;
}

void calls_incoming_read(struct db_rows *rows, const struct seal *seal,
                         struct calls_incoming *incoming)
{
    *incoming = (struct calls_incoming){.found = CALLS_INVALID, .rows = rows};
    if (rows)
        read_answer(seal, incoming);
}

void calls_incoming_free(struct calls_incoming *incoming)
{
    if (incoming->ai_key)
        explicit_bzero(incoming->ai_key, strlen(incoming->ai_key));
    free(incoming->ai_key);
    db_rows_free(incoming->rows);
    *incoming = (struct calls_incoming){.found = CALLS_INVALID};
}

void calls_id(const char *account_sid, const char *call_sid, char id[CALLS_UUID_TEXT])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    char names[2 * WEBHOOK_TEXT_MAX + 2];
    int length = snprintf(names, sizeof names, "%s/%s", account_sid, call_sid);
    assert(length > 0 && (size_t)length < sizeof names);
    int made = EVP_Digest(names, (size_t)length, digest, NULL, EVP_sha256(), NULL);
    assert(made == 1);
    uuid_write(digest, id);
}

bool calls_incoming_again(struct db_rows *rows, const char *account_sid, const char *call_sid,
                          const struct seal *seal, struct calls_incoming *incoming)
{
    *incoming = (struct calls_incoming){.found = CALLS_INVALID, .rows = rows};
    read_answer(seal, incoming);
    calls_id(account_sid, call_sid, incoming->conversation);
    incoming->created = false; /* as far as we know: events are numbered as for a second stream */
    incoming->call_status = "ringing";
    return incoming->found == CALLS_FOUND;
}

enum db_result calls_plan(struct db *db, const struct seal *seal, const char *organization,
                          const char *conversation, struct calls_plan *plan)
{
    static const struct db_statement query = {
        "SELECT " ANSWER_COLUMNS " FROM plan_call($1::uuid, $2::uuid)", 2};
    *plan = (struct calls_plan){.incoming = {.found = CALLS_UNKNOWN_CALL}};
    enum db_result result = db_run(
        db, &query, db_values(db_text(organization), db_text(conversation)), &plan->incoming.rows);
    if (result != DB_OK || db_rows_count(plan->incoming.rows) == 0)
        return result;
    read_answer(seal, &plan->incoming);
    plan->call_sid = text_cell(plan->incoming.rows, 19);
    plan->account_sid = text_cell(plan->incoming.rows, 20);
    return DB_OK;
}

/* -- reports -------------------------------------------------------------------------------------
 */

#define TAKEN_COLUMNS                                                                              \
    "found, stored, conversation_id, organization_id, call_status, is_over, ended_reason, "        \
    "place, steps"

static void read_taken(const struct db_rows *rows, struct calls_taken *taken)
{
    *taken = (struct calls_taken){.found = calls_found_read(db_cell(rows, 0, 0))};
    taken->stored = db_cell_bool(rows, 0, 1);
    copy_cell(rows, 2, taken->conversation, sizeof taken->conversation);
    copy_cell(rows, 3, taken->organization, sizeof taken->organization);
    copy_cell(rows, 4, taken->call_status, sizeof taken->call_status);
    taken->over = db_cell_bool(rows, 0, 5);
}

/* Runs a statement that begins with the webhook's parameters; more: those that follow them. */
static enum db_result report(struct db *db, const struct db_statement *query,
                             const struct calls_webhook *webhook, const struct db_value *more,
                             struct db_rows **rows)
{
    struct parameters parameters;
    fill(&parameters, webhook);
    for (int i = WEBHOOK_VALUES; i < query->parameters; i++)
        parameters.values[i] = more[i - WEBHOOK_VALUES];
    enum db_result result = db_run(db, query, parameters.values, query->parameters, rows);
    release(&parameters);
    return result;
}

enum db_result calls_status(struct db *db, const struct calls_webhook *webhook,
                            struct calls_taken *taken)
{
    static const struct db_statement query = {
        "SELECT " TAKEN_COLUMNS " FROM carrier_status(" WEBHOOK ")", WEBHOOK_VALUES};
    struct db_rows *rows;
    *taken = (struct calls_taken){.found = CALLS_INVALID};
    enum db_result result = report(db, &query, webhook, NULL, &rows);
    if (result == DB_OK)
        read_taken(rows, taken);
    db_rows_free(rows);
    return result;
}

enum db_result calls_stream_status(struct db *db, const struct calls_webhook *webhook,
                                   const char *stream_sid, const char *event, const char *error,
                                   const char *meaning, struct calls_taken *taken)
{
    static const struct db_statement query = {
        "SELECT " TAKEN_COLUMNS " FROM carrier_note(" WEBHOOK ", 'stream', "
        "concat_ws('/', $13::text, $14::text), jsonb_build_object('stream_sid', $13::text, "
        "'event', $14::text, 'error', $15::text, 'meaning', $16::text))",
        WEBHOOK_VALUES + 4};
    struct db_rows *rows;
    char *sid = clean_text(stream_sid, 64), *name = clean_text(event, 64);
    char *why = clean_text(error, WEBHOOK_TEXT_MAX);
    const struct db_value more[] = {db_text(sid), db_text(name), db_text(why), db_text(meaning)};
    *taken = (struct calls_taken){.found = CALLS_INVALID};
    enum db_result result = report(db, &query, webhook, more, &rows);
    if (result == DB_OK)
        read_taken(rows, taken);
    db_rows_free(rows);
    free(sid);
    free(name);
    free(why);
    return result;
}

/* What is asked in the course of a call. */
static enum db_result ask(struct db *db, const struct db_statement *query,
                          const struct calls_webhook *webhook, const struct db_value *more,
                          struct calls_next *next)
{
    struct calls_taken taken;
    *next = (struct calls_next){.found = CALLS_INVALID, .steps_json = "{}"};
    enum db_result result = report(db, query, webhook, more, &next->rows);
    if (result != DB_OK)
        return result;
    read_taken(next->rows, &taken);
    next->found = taken.found;
    memcpy(next->conversation, taken.conversation, sizeof next->conversation);
    memcpy(next->organization, taken.organization, sizeof next->organization);
    copy_cell(next->rows, 6, next->ended_reason, sizeof next->ended_reason);
    copy_cell(next->rows, 7, next->place, sizeof next->place);
    next->steps_json = text_cell(next->rows, 8);
    return DB_OK;
}

enum db_result calls_after_stream(struct db *db, const struct calls_webhook *webhook,
                                  struct calls_next *next)
{
    static const struct db_statement query = {"SELECT " TAKEN_COLUMNS " FROM carrier_note(" WEBHOOK
                                              ", 'after-stream', "
                                              "coalesce($11::text, '-'), NULL)",
                                              WEBHOOK_VALUES};
    return ask(db, &query, webhook, NULL, next);
}

enum db_result calls_step(struct db *db, const struct calls_webhook *webhook, const char *event,
                          const char *key, struct calls_next *next)
{
    static const struct db_statement query = {
        "SELECT " TAKEN_COLUMNS " FROM carrier_note(" WEBHOOK ", $13::text, "
        "concat_ws('/', $14::text, coalesce($11::text, '-')), "
        "jsonb_build_object('place', $14::text))",
        WEBHOOK_VALUES + 2};
    char *clean = clean_text(key, 160);
    const struct db_value more[] = {db_text(event), db_text(clean)};
    enum db_result result = ask(db, &query, webhook, more, next);
    free(clean);
    return result;
}

enum db_result calls_recording(struct db *db, const struct calls_webhook *webhook,
                               const struct calls_recording *recording, struct calls_taken *taken)
{
    static const struct db_statement query = {
        "SELECT " TAKEN_COLUMNS " FROM carrier_recording(" WEBHOOK ", $13::text, $14::text, "
        "nullif($15::text, ''), $16::text, $17::bigint)",
        WEBHOOK_VALUES + 5};
    struct db_rows *rows;
    char *sid = clean_text(recording->sid, 64), *url = clean_text(recording->url, 1000);
    char *status = clean_text(recording->status, 32);
    const struct db_value more[] = {db_text(recording->kind), db_text(sid), db_text(url),
                                    db_text(status), db_number_or_null(recording->duration_ms)};
    *taken = (struct calls_taken){.found = CALLS_INVALID};
    enum db_result result = report(db, &query, webhook, more, &rows);
    if (result == DB_OK)
        read_taken(rows, taken);
    db_rows_free(rows);
    free(sid);
    free(url);
    free(status);
    return result;
}

/* Here, because it begins with a webhook's parameters as all of these do. */
enum db_result transfers_take(struct db *db, const struct calls_webhook *webhook, const char *id,
                              const char *event, const char *key, struct transfers_taken *taken)
{
    static const struct db_statement query = {
        "SELECT found, stored, conversation_id, organization_id, state, reason, step "
        "FROM carrier_transfer(" WEBHOOK ", $13::uuid, $14, $15)",
        WEBHOOK_VALUES + 3};
    uint8_t bytes[UUID_BYTES];
    const struct db_value more[] = {db_text(id), db_text(event), db_text(key)};
    *taken = (struct transfers_taken){.found = CALLS_UNKNOWN_CALL};
    if (!uuid_read(id, bytes))
        return DB_OK;
    enum db_result result = report(db, &query, webhook, more, &taken->rows);
    if (result != DB_OK)
        return result;
    taken->found = calls_found_read(db_cell(taken->rows, 0, 0));
    taken->stored = db_cell_bool(taken->rows, 0, 1);
    copy_cell(taken->rows, 2, taken->conversation, sizeof taken->conversation);
    copy_cell(taken->rows, 3, taken->organization, sizeof taken->organization);
    copy_cell(taken->rows, 4, taken->state, sizeof taken->state);
    copy_cell(taken->rows, 5, taken->reason, sizeof taken->reason);
    taken->step_json = text_cell(taken->rows, 6);
    return DB_OK;
}

static enum calls_listing read_listing(const char *name)
{
    static const char *const names[] = {"known", "opened", "ended", "differs", "leg", "other"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (name && strcmp(name, names[i]) == 0)
            return (enum calls_listing)i;
    return CALLS_LISTED_OTHER;
}

enum db_result calls_compare(struct db *db, const char *organization,
                             const struct calls_listed *listed, enum calls_listing *listing,
                             bool *priced)
{
    static const struct db_statement query = {
        "SELECT outcome, priced FROM reconcile_call($13::uuid, " WEBHOOK ", $14::text, $15::text, "
        "$16::numeric, $17::text)",
        WEBHOOK_VALUES + 5};
    struct db_rows *rows;
    const struct db_value more[] = {db_text(organization), db_text(listed->began),
                                    db_text(listed->ended), db_text(listed->price),
                                    db_text(listed->unit)};
    enum db_result result = report(db, &query, &listed->webhook, more, &rows);
    if (result == DB_OK) {
        *listing = read_listing(db_cell(rows, 0, 0));
        *priced = db_cell_bool(rows, 0, 1);
    }
    db_rows_free(rows);
    return result;
}

void calls_next_free(struct calls_next *next)
{
    db_rows_free(next->rows);
    free(next->steps_owned);
    *next = (struct calls_next){.found = CALLS_INVALID};
}

enum db_result calls_use_ticket(struct db *db, const char *organization, const char *conversation,
                                struct span nonce, int64_t expires_at_ms, enum calls_ticket *ticket)
{
    static const struct db_statement query = {
        "SELECT use_ticket($1::uuid, $2::uuid, $3::bytea, "
        "timestamptz 'epoch' + $4::bigint * interval '1 millisecond')",
        4};
    struct db_rows *rows;
    *ticket = CALLS_TICKET_UNKNOWN_CALL;
    enum db_result result = db_run(db, &query,
                                   db_values(db_text(organization), db_text(conversation),
                                             db_bytes(nonce), db_number(expires_at_ms)),
                                   &rows);
    if (result == DB_OK && strcmp(db_cell(rows, 0, 0), "first") == 0)
        *ticket = CALLS_TICKET_FIRST;
    else if (result == DB_OK && strcmp(db_cell(rows, 0, 0), "used") == 0)
        *ticket = CALLS_TICKET_USED;
    db_rows_free(rows);
    return result;
}

/* -- calls that we made ---------------------------------------------------------------------------
 */

enum db_result calls_outbound(struct db *db, const struct seal *seal,
                              const struct calls_webhook *webhook, const char *attempt,
                              struct calls_incoming *incoming)
{
    static const struct db_statement query = {
        "SELECT " ANSWER_COLUMNS " FROM outbound_answer(" WEBHOOK ", $13)", WEBHOOK_VALUES + 1};
    const struct db_value more[] = {db_text(attempt)};
    *incoming = (struct calls_incoming){.found = CALLS_INVALID};
    enum db_result result = report(db, &query, webhook, more, &incoming->rows);
    if (result == DB_OK)
        read_answer(seal, incoming);
    return result;
}

static enum db_result take(struct db *db, const struct db_statement *query,
                           const struct calls_webhook *webhook, const struct db_value *more,
                           struct calls_taken *taken)
{
    struct db_rows *rows;
    *taken = (struct calls_taken){.found = CALLS_INVALID};
    enum db_result result = report(db, query, webhook, more, &rows);
    if (result == DB_OK)
        read_taken(rows, taken);
    db_rows_free(rows);
    return result;
}

enum db_result calls_outbound_status(struct db *db, const struct calls_webhook *webhook,
                                     const char *attempt, struct calls_taken *taken)
{
    static const struct db_statement query = {
        "SELECT " TAKEN_COLUMNS " FROM outbound_status(" WEBHOOK ", $13)", WEBHOOK_VALUES + 1};
    const struct db_value more[] = {db_text(attempt)};
    return take(db, &query, webhook, more, taken);
}

enum db_result calls_outbound_amd(struct db *db, const struct calls_webhook *webhook,
                                  const char *attempt, const char *answered_by,
                                  struct calls_taken *taken)
{
    static const struct db_statement query = {
        "SELECT " TAKEN_COLUMNS " FROM outbound_amd(" WEBHOOK ", $13, $14)", WEBHOOK_VALUES + 2};
    const struct db_value more[] = {db_text(attempt), db_text(answered_by)};
    return take(db, &query, webhook, more, taken);
}
