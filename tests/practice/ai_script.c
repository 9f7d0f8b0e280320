#include "tests/practice/ai_script.h"

#include "common/panic.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ai_script {
    json_t *document;
};

static const char built_in[] =
    "{\"rules\":["
    "{\"when\":\"tool\",\"say\":\"That is done. The answer was: {heard}.\"},"
    "{\"when\":\"idle\",\"say\":\"Are you still there?\"},"
    "{\"when\":\"text\",\"say\":\"Hello, this is the practice agent. How can I help you?\"},"
    "{\"contains\":\"story\",\"say\":\"Here is a long one, so that you may interrupt me. A ship "
    "left the harbour before sunrise, with nine sailors, a cook, and a cat that nobody owned. The "
    "wind was kind for eleven days, and on the twelfth it stopped. The sailors told each other "
    "every tale they knew, the cook served every bean he had, and the cat slept. On the "
    "twentieth day the cat woke up, walked to the bow, and looked north, and from the north came "
    "the wind.\"},"
    "{\"contains\":\"goodbye\",\"say\":\"Goodbye, and thank you for calling.\"},"
    "{\"contains\":\"your name\",\"say\":\"I am the practice agent. I only pretend to understand, "
    "but I am a good listener.\"},"
    "{\"say\":\"You said: {heard}. What else can I do for you?\"}"
    "]}";

struct ai_script *ai_script_open(const char *file)
{
    json_error_t error;
    struct ai_script *script = calloc(1, sizeof *script);
    assert(script);
    script->document = file ? json_load_file(file, 0, &error) : json_loads(built_in, 0, &error);
    if (!json_is_array(json_object_get(script->document, "rules"))) {
        fprintf(stderr, "practice-ai: %s is no script: %s\n", file ? file : "(built in)",
                script->document ? "it has no list of rules" : error.text);
        ai_script_close(script);
        return NULL;
    }
    return script;
}

void ai_script_close(struct ai_script *script)
{
    if (!script)
        return;
    json_decref(script->document);
    free(script);
}

/* ---- texts that are to be said as they stand ---- */

static char *between_quotes(const char *text)
{
    static const char *const pairs[][2] = {
        {"\"", "\""}, {"\u201c", "\u201d"}, {"\u00ab", "\u00bb"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const char *begin = strstr(text, pairs[i][0]);
        const char *end = begin ? strstr(begin + strlen(pairs[i][0]), pairs[i][1]) : NULL;
        if (end && end > begin + strlen(pairs[i][0])) {
            begin += strlen(pairs[i][0]);
            return strndup(begin, (size_t)(end - begin));
        }
    }
    return NULL;
}

static char *after(const char *text, const char *mark)
{
    const char *at = strstr(text, mark);
    return at && at[strlen(mark)] ? strdup(at + strlen(mark)) : NULL;
}

/* "Say exactly this: ..." leaves no doubt; else what stands in quotes, else what follows a colon.
 */
static char *dictated(const char *text)
{
    char *words = after(text, "exactly this: ");
    if (!words)
        words = between_quotes(text);
    return words ? words : after(text, ": ");
}

/* ---- tools ---- */

static bool says_word(const char *heard, const char *word, size_t bytes)
{
    for (const char *at = heard; *at; at++)
        if (strncasecmp(at, word, bytes) == 0 && (at == heard || !isalnum((unsigned char)at[-1])))
            return true;
    return false;
}

/* book_visit is called by "please book me a visit". */
static bool says_name(const char *heard, const char *name)
{
    bool any = false;
    while (*name) {
        size_t bytes = strcspn(name, "_-");
        if (bytes && !says_word(heard, name, bytes))
            return false;
        any |= bytes > 0;
        name += bytes;
        name += *name != '\0';
    }
    return any;
}

static json_t *made_up(const json_t *schema, const char *heard)
{
    const char *type = json_string_value(json_object_get(schema, "type"));
    json_t *first = json_array_get(json_object_get(schema, "enum"), 0);
    if (first)
        return json_incref(first);
    if (type && (strcmp(type, "integer") == 0 || strcmp(type, "number") == 0))
        return json_integer(1);
    if (type && strcmp(type, "boolean") == 0)
        return json_true();
    if (type && strcmp(type, "array") == 0)
        return json_array();
    return type && strcmp(type, "object") == 0 ? json_object() : json_string(heard);
}

static void call_tool(const json_t *tool, const char *heard, struct ai_answer *answer)
{
    json_t *arguments = json_object(), *schema;
    const char *name;
    json_object_foreach(json_object_get(json_object_get(tool, "parameters"), "properties"), name,
                        schema) json_object_set_new(arguments, name, made_up(schema, heard));
    answer->calls =
        json_pack("[{s:O, s:o}]", "name", json_object_get(tool, "name"), "arguments", arguments);
}

static bool choose_tool(const struct ai_prompt *prompt, struct ai_answer *answer)
{
    const char *choice = json_string_value(prompt->tool_choice);
    const char *wanted = json_string_value(json_object_get(prompt->tool_choice, "name"));
    bool must = choice && strcmp(choice, "required") == 0;
    size_t i;
    json_t *tool;
    if ((choice && strcmp(choice, "none") == 0) || prompt->cause == AI_CAUSE_TOOL)
        return false;
    json_array_foreach(prompt->tools, i, tool)
    {
        const char *name = json_string_value(json_object_get(tool, "name"));
        bool asked = prompt->cause == AI_CAUSE_SPEECH && says_name(prompt->heard, name);
        if (must || (wanted ? strcmp(wanted, name) == 0 : asked)) {
            call_tool(tool, prompt->heard, answer);
            return true;
        }
    }
    return false;
}

/* ---- rules ---- */

static char *fill_in(const char *text, const char *heard)
{
    const char *mark = strstr(text, "{heard}");
    size_t room = strlen(text) + strlen(heard) + 1;
    char *result = malloc(room);
    assert(result);
    size_t heard_bytes = strlen(heard);
    if (mark && mark[7] == '.' && heard_bytes && strchr(".!?", heard[heard_bytes - 1]))
        heard_bytes--; /* one full stop is enough */
    if (mark)
        snprintf(result, room, "%.*s%.*s%s", (int)(mark - text), text, (int)heard_bytes, heard,
                 mark + 7);
    else
        snprintf(result, room, "%s", text);
    return result;
}

static bool matches(const json_t *rule, const struct ai_prompt *prompt)
{
    static const char *const causes[] = {"speech", "text", "tool", "idle"};
    const char *when = json_string_value(json_object_get(rule, "when"));
    const char *contains = json_string_value(json_object_get(rule, "contains"));
    return (!when || strcmp(when, causes[prompt->cause]) == 0) &&
           (!contains || strcasestr(prompt->heard, contains));
}

static void follow(const json_t *rule, const struct ai_prompt *prompt, struct ai_answer *answer)
{
    const char *say = json_string_value(json_object_get(rule, "say"));
    json_t *call = json_object_get(rule, "call"), *calls = json_object_get(rule, "calls");
    if (say)
        answer->say = fill_in(say, prompt->heard);
    if (calls)
        answer->calls = json_incref(calls);
    else if (call)
        answer->calls = json_pack("[O]", call);
}

void ai_script_answer(const struct ai_script *script, const struct ai_prompt *prompt,
                      struct ai_answer *answer)
{
    size_t i;
    json_t *rule;
    *answer = (struct ai_answer){NULL, NULL};
    if (prompt->cause == AI_CAUSE_TEXT) {
        answer->say = dictated(prompt->heard);
        if (answer->say)
            return;
    }
    if (choose_tool(prompt, answer))
        return;
    json_array_foreach(json_object_get(script->document, "rules"), i, rule)
    {
        if (matches(rule, prompt)) {
            follow(rule, prompt, answer);
            return;
        }
    }
}
