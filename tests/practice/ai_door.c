#include "tests/practice/ai_door.h"

#include "common/panic.h"
#include "tests/practice/ai_session.h"

#include <stdlib.h>
#include <sys/random.h>

void ai_make_id(char id[AI_ID_BYTES], const char *prefix)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    static uint64_t state;
    if (state == 0 && getrandom(&state, sizeof state, 0) != sizeof state)
        state = 1;
    size_t at = strlen(prefix);
    memcpy(id, prefix, at);
    for (size_t i = 0; i < 21; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        id[at++] = letters[(state >> 33) % (sizeof letters - 1)];
    }
    id[at] = '\0';
}

/* ---- expectations ---- */

static void free_expectation(struct ai_expectation *expectation)
{
    free(expectation->text);
    free(expectation->model);
    free(expectation->match);
}

void ai_door_close(struct ai *ai)
{
    for (size_t i = 0; i < ai->expectation_count; i++)
        free_expectation(&ai->expectations[i]);
    ai->expectation_count = 0;
}

char *ai_take_expected(struct ai *ai, const char *model, const char *instructions)
{
    for (size_t i = 0; i < ai->expectation_count; i++) {
        struct ai_expectation *expectation = &ai->expectations[i];
        if ((expectation->model && strcmp(expectation->model, model) != 0) ||
            (expectation->match && !strstr(instructions, expectation->match)))
            continue;
        char *text = expectation->text;
        expectation->text = NULL;
        free_expectation(expectation);
        ai->expectation_count--;
        memmove(expectation, expectation + 1, (ai->expectation_count - i) * sizeof *expectation);
        return text;
    }
    return NULL;
}

/* ---- answers ---- */

static void answer(struct peer_conn *conn, unsigned status, json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);
    assert(text);
    json_decref(body);
    peer_http_respond(conn, status, "Content-Type: application/json\r\n", span_of(text));
    free(text);
}

static void refuse(struct peer_conn *conn, unsigned status, const char *code, const char *message)
{
    answer(conn, status,
           json_pack("{s:{s:s, s:s, s:n, s:s}}", "error", "message", message, "type",
                     status >= 500 ? "server_error" : "invalid_request_error", "param", "code",
                     code));
}

static char *copy_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? strdup(text) : NULL;
}

static bool add_expectation(struct ai *ai, const json_t *text, const json_t *body)
{
    if (!json_is_string(text) || ai->expectation_count == AI_EXPECTATIONS_MAX)
        return false;
    ai->expectations[ai->expectation_count++] = (struct ai_expectation){
        strdup(json_string_value(text)), copy_of(body, "model"), copy_of(body, "match")};
    return true;
}

/* {"text":".."} or {"texts":["..",..]}, in the order in which they will be said. */
static void expect(struct ai *ai, struct peer_conn *conn, const json_t *body)
{
    const json_t *texts = json_object_get(body, "texts");
    bool fine =
        texts ? json_is_array(texts) : add_expectation(ai, json_object_get(body, "text"), body);
    for (size_t i = 0; fine && i < json_array_size(texts); i++)
        fine = add_expectation(ai, json_array_get(texts, i), body);
    if (fine)
        answer(conn, 200, json_pack("{s:i}", "waiting", (int)ai->expectation_count));
    else
        refuse(conn, 400, "bad_expectation",
               "Wanted: {\"text\":\"..\"} or {\"texts\":[..]}, and not too many.");
}

static void misbehave(struct ai *ai, struct peer_conn *conn, const json_t *body)
{
    const char *name = json_string_value(json_object_get(body, "name"));
    const json_t *count = json_object_get(body, "count");
    enum ai_misbehaviour misbehaviour = ai_misbehave_named(span_of(name ? name : ""));
    if (misbehaviour == AI_MISBEHAVIOURS) {
        refuse(conn, 400, "unknown_misbehaviour", "There is no misbehaviour of that name.");
        return;
    }
    ai->next_misbehaviour = misbehaviour;
    ai->misbehave_next = json_is_integer(count) ? (unsigned)json_integer_value(count) : 1;
    answer(conn, 200, json_pack("{s:s, s:i}", "name", name, "count", (int)ai->misbehave_next));
}

static json_t *describe_figures(const struct ai_figures *figures)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "appends", (json_int_t)figures->appends,
                     "append_bytes", (json_int_t)figures->append_bytes, "deltas",
                     (json_int_t)figures->deltas, "delta_bytes", (json_int_t)figures->delta_bytes,
                     "errors", (json_int_t)figures->errors, "responses",
                     (json_int_t)figures->responses, "interrupted",
                     (json_int_t)figures->interrupted);
}

static void show_sessions(struct ai *ai, struct peer_conn *conn)
{
    json_t *list = json_array();
    for (const struct ai_session *session = ai->sessions; session; session = session->next)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s, s:o}", "id", session->id, "model", session->model,
                            "input", ai_audio_name(ai_config_input(session->config)), "output",
                            ai_audio_name(ai_config_output(session->config)), "figures",
                            describe_figures(&session->figures)));
    answer(conn, 200,
           json_pack("{s:I, s:o, s:o}", "sessions_so_far", (json_int_t)ai->figures.sessions,
                     "ended", describe_figures(&ai->figures), "live", list));
}

/* ---- the handshake ---- */

static bool has_key(const struct ai *ai, const struct peer_request *request)
{
    if (!ai->key)
        return true;
    struct span header = peer_header_find(request->headers, request->header_count, "Authorization");
    return span_starts(header, "Bearer ") &&
           span_equal_secret(span_from(header.data + 7, header.bytes - 7), span_of(ai->key));
}

static enum ai_misbehaviour choose_misbehaviour(struct ai *ai, struct span query, const char *model)
{
    struct span name = peer_query_find(query, "misbehave");
    if (!name.data && strncmp(model, "practice-", 9) == 0)
        name = span_of(model + 9);
    enum ai_misbehaviour misbehaviour = name.data ? ai_misbehave_named(name) : AI_MISBEHAVIOURS;
    if (misbehaviour != AI_MISBEHAVIOURS)
        return misbehaviour;
    if (ai->misbehave_next) {
        ai->misbehave_next--;
        return ai->next_misbehaviour;
    }
    return ai->misbehaviour;
}

static bool refuse_on_command(struct peer_conn *conn, enum ai_misbehaviour misbehaviour)
{
    switch (misbehaviour) {
    case AI_REFUSE_401:
        refuse(conn, 401, "invalid_api_key", "Incorrect API key provided.");
        return true;
    case AI_REFUSE_429:
        refuse(conn, 429, "rate_limit_exceeded", "Too many requests.");
        return true;
    case AI_REFUSE_503:
        refuse(conn, 503, "overloaded", "The server is overloaded.");
        return true;
    case AI_HANG:
        return true;
    default:
        return false;
    }
}

static void open_realtime(struct ai *ai, struct peer_conn *conn, const struct peer_request *request)
{
    char model[128];
    struct span named = peer_query_find(request->query, "model");
    struct span beta = peer_header_find(request->headers, request->header_count, "OpenAI-Beta");
    if (!request->upgrade) {
        refuse(conn, 400, "not_a_websocket", "This endpoint speaks WebSocket.");
    } else if (!has_key(ai, request)) {
        refuse(conn, 401, "invalid_api_key", "Incorrect API key provided.");
    } else if (span_is(beta, "realtime=v1")) {
        peer_ws_accept(conn, NULL);
        peer_ws_close(conn, 4000, "beta_api_shape_disabled");
    } else if (!named.bytes || !span_copy_text(named, model, sizeof model) ||
               peer_query_find(request->query, "call_id").data ||
               peer_query_find(request->query, "intent").data) {
        refuse(conn, 400, "missing_model",
               "Exactly one of model, call_id and intent is needed; "
               "the practice AI knows model.");
    } else {
        enum ai_misbehaviour misbehaviour = choose_misbehaviour(ai, request->query, model);
        if (refuse_on_command(conn, misbehaviour))
            return;
        peer_ws_accept(conn, NULL);
        ai_session_open(ai, conn, request->query, model, misbehaviour);
    }
}

static void on_request(struct peer_conn *conn, const struct peer_request *request)
{
    struct ai *ai = peer_owner(conn);
    bool post = span_is(request->method, "POST");
    json_t *body = json_loadb((const char *)request->body.data, request->body.bytes, 0, NULL);
    if (span_is(request->path, "/v1/realtime"))
        open_realtime(ai, conn, request);
    else if (post && span_is(request->path, "/practice/expect"))
        expect(ai, conn, body);
    else if (post && span_is(request->path, "/practice/misbehave"))
        misbehave(ai, conn, body);
    else if (!post && span_is(request->path, "/practice/sessions"))
        show_sessions(ai, conn);
    else
        refuse(conn, 404, "unknown_url", "There is nothing here.");
    json_decref(body);
}

const struct peer_hooks ai_door_hooks = {.request = on_request};
