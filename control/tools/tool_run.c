#include "control/tools/tool_run.h"

#include "common/clock.h"
#include "common/log.h"
#include "control/tools/tool_builtin.h"
#include "control/tools/tool_http.h"
#include "control/tools/tool_kind.h"
#include "control/tools/tool_output.h"
#include "control/tools/tool_schema.h"

#include <stdlib.h>
#include <time.h>

#define ARGUMENTS_DEPTH_MAX 32
#define FINISH_TRIES        40 /* a result of somebody else's system is not thrown away lightly */
#define FINISH_PAUSE_MS     250

/* ---- arguments ---- */

static bool is_deep(const json_t *value, unsigned depth)
{
    const char *name;
    json_t *one;
    if (depth > ARGUMENTS_DEPTH_MAX)
        return true;
    json_object_foreach((json_t *)(uintptr_t)value, name,
                        one) if (is_deep(one, depth + 1)) return true;
    for (size_t i = 0; i < json_array_size(value); i++)
        if (is_deep(json_array_get(value, i), depth + 1))
            return true;
    return false;
}

json_t *tool_run_arguments(const char *text, const char *parameters_json, char *error, size_t room)
{
    json_error_t where;
    json_t *schema = json_loads(parameters_json, 0, NULL);
    json_t *arguments = json_loads(text[0] ? text : "{}", JSON_REJECT_DUPLICATES, &where);
    bool good = json_is_object(arguments) && !is_deep(arguments, 0);
    if (!good)
        snprintf(error, room, "The arguments are not a JSON object.");
    else
        good = !schema || tool_schema_judge(schema, arguments, error, room);
    json_decref(schema);
    if (good)
        return arguments;
    json_decref(arguments);
    return NULL;
}

/* ---- requests ---- */

static json_t *open_headers(const struct options *options, const char *organization,
                            const char *name, const struct tools_described *described, bool *opened)
{
    char text[SEAL_SECRET_MAX + 1], context[TOOLS_CONTEXT_MAX];
    *opened = true;
    if (!described->headers_sealed)
        return NULL;
    tools_context(organization, name, context);
    *opened = seal_read(&options->seal, context,
                        span_from(described->headers_sealed, described->headers_bytes), text,
                        sizeof text);
    json_t *headers = *opened ? json_loads(text, 0, NULL) : NULL;
    explicit_bzero(text, sizeof text);
    return headers;
}

json_t *tool_run_http(const struct tool_runner *runner, const char *organization, const char *name,
                      const struct tools_described *described, const json_t *arguments,
                      const char *call, const char *conversation, int64_t left_ms)
{
    bool opened;
    json_t *headers = open_headers(runner->options, organization, name, described, &opened);
    json_t *settings = json_loads(described->settings_json, 0, NULL);
    struct tool_http http = {.options = runner->options,
                             .settings = settings,
                             .arguments = arguments,
                             .headers = headers,
                             .name = name,
                             .call = call,
                             .conversation = conversation,
                             .channel = described->channel,
                             .from = described->from_number,
                             .to = described->to_number,
                             .tries_max = (unsigned)described->tries_max,
                             .timeout_ms = (unsigned)described->timeout_ms,
                             .left_ms = left_ms,
                             .must_stop = runner->must_stop,
                             .context = runner->context};
    if (!opened)
        log_error("a tool's headers do not open: RINGBRIDGE_SECRET_KEY is not the one they were "
                  "sealed with",
                  log_text("tool", name), log_text("organization", organization));
    json_t *output = opened ? tool_http_run(&http)
                            : tool_output_error("This is not set up correctly; the company has to "
                                                "mend it.");
    json_decref(headers);
    json_decref(settings);
    return output;
}

/* ---- on record ---- */

/* One transaction: what a built-in tool does, and the end of the call. */
struct ending {
    const struct tool_runner *runner;
    const struct tools_claimed *claimed;
    struct tool_builtin *builtin; /* NULL: the output is there */
    json_t *output;
    bool ok, held;
};

static enum db_result end_call(struct db *db, void *context)
{
    struct ending *ending = context;
    json_t *output = json_incref(ending->output);
    const char *ends = NULL;
    if (ending->builtin) {
        enum db_result result = tool_builtin_run(db, ending->builtin, &output, &ends);
        if (result != DB_OK) {
            json_decref(output);
            return result;
        }
    }
    char *text = tool_output_text(output, &ending->ok);
    enum db_result result = text ? tools_finish(db, ending->claimed, ending->runner->run,
                                                ending->ok, text, ends, &ending->held)
                                 : DB_BUSY;
    free(text);
    return result == DB_OK && !ending->held ? DB_REFUSED : result;
}

static enum db_result finish(struct db *db, struct ending *ending)
{
    ending->held = false;
    return db_transact(db, ending->claimed->organization, end_call, ending);
}

static bool may_wait(const struct tool_runner *runner)
{
    const struct timespec pause = {.tv_nsec = FINISH_PAUSE_MS * 1000000L};
    if (runner->must_stop && runner->must_stop(runner->context))
        return false;
    nanosleep(&pause, NULL);
    return true;
}

/* Takes output (NULL with builtin). */
static enum tool_ran settle(const struct tool_runner *runner, struct db *db,
                            const struct tools_claimed *claimed, struct tool_builtin *builtin,
                            json_t *output)
{
    struct ending ending = {runner, claimed, builtin, output, false, false};
    enum db_result result = finish(db, &ending);
    for (int i = 0; i < FINISH_TRIES && (result == DB_AWAY || result == DB_BUSY); i++)
        if (may_wait(runner))
            result = finish(db, &ending);
    if (result == DB_REFUSED || result == DB_BROKEN) { /* what came cannot be stored: say so */
        log_warn("a tool's result is not on record", log_text("tool", claimed->name),
                 log_text("call", claimed->id), log_text("error", db_error(db)));
        json_decref(ending.output);
        ending.output = tool_output_error("It failed on our side. It was not done, or its answer "
                                          "cannot be read.");
        ending.builtin = NULL;
        result = finish(db, &ending);
    }
    json_decref(ending.output);
    if (result != DB_OK)
        return TOOL_LOST;
    return ending.ok ? TOOL_DONE : TOOL_FAILED;
}

/* ---- one call ---- */

struct description {
    const char *call;
    struct tools_described described;
};

static enum db_result describe(struct db *db, void *context)
{
    struct description *description = context;
    tools_described_free(&description->described);
    return tools_describe(db, description->call, &description->described);
}

static enum tool_ran act(const struct tool_runner *runner, struct db *db,
                         const struct tools_claimed *claimed,
                         const struct tools_described *described)
{
    char words[TOOL_SCHEMA_WORDS];
    enum tool_action action = tool_kind_action(described->action);
    if (!described->found)
        return settle(runner, db, claimed, NULL,
                      tool_output_error("There is no function \"%.64s\".", claimed->name));
    json_t *arguments =
        tool_run_arguments(claimed->arguments, described->parameters_json, words, sizeof words);
    if (!arguments)
        return settle(runner, db, claimed, NULL, tool_output_error("%s.", words));
    enum tool_ran ran;
    if (action == TOOL_HTTP) {
        ran =
            settle(runner, db, claimed, NULL,
                   tool_run_http(runner, claimed->organization, claimed->name, described, arguments,
                                 claimed->id, claimed->conversation, claimed->left_ms));
    } else {
        json_t *settings = json_loads(described->settings_json, 0, NULL);
        struct tool_builtin builtin = {action, claimed, described, settings, arguments};
        ran = settle(runner, db, claimed, &builtin, NULL);
        json_decref(settings);
    }
    json_decref(arguments);
    return ran;
}

enum tool_ran tool_run(const struct tool_runner *runner, struct db *db,
                       const struct tools_claimed *claimed)
{
    struct description description = {.call = claimed->id};
    uint64_t began_ns = clock_monotonic_ns();
    enum db_result result = db_transact(db, claimed->organization, describe, &description);
    enum tool_ran ran =
        result == DB_OK ? act(runner, db, claimed, &description.described) : TOOL_LOST;
    log_info(ran == TOOL_LOST ? "function lost: somebody takes it up" : "function carried out",
             log_text("name", claimed->name), log_text("call", claimed->id),
             log_text("organization", claimed->organization),
             log_text("conversation", claimed->conversation),
             log_text("result", ran == TOOL_DONE ? "done" : "failed"),
             log_number("took_ms", (clock_monotonic_ns() - began_ns) / 1000000));
    tools_described_free(&description.described);
    return ran;
}
