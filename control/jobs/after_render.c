#include "control/jobs/after_render.h"

#include "common/panic.h"
#include "control/base/template.h"
#include "control/base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading facts ---- */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static const json_t *member(const json_t *object, const char *name)
{
    return json_object_get(object, name);
}

/* The language's words; those of English when there is no such language. */
static json_t *open_words(const char *language)
{
    json_t *all = json_loads(template_find("words.json"), 0, NULL);
    assert(all);
    json_t *words = json_object_get(all, language);
    if (!words)
        words = json_object_get(all, "en");
    json_incref(words);
    json_decref(all);
    return words;
}

/* A word for a name of ours, or the name itself. */
static const char *word(const json_t *words, const char *name)
{
    const char *text = text_of(words, name);
    return text[0] ? text : name;
}

/* ---- fields ---- */

static void put(json_t *fields, const char *name, const char *text)
{
    json_object_set_new(fields, name, json_string(text));
}

/* "3:07", "1:02:03". */
static void put_time(json_t *fields, const char *name, const json_t *ms)
{
    char text[40];
    if (!json_is_integer(ms))
        return;
    int64_t s = json_integer_value(ms) / 1000;
    if (s >= 3600)
        snprintf(text, sizeof text, "%" PRId64 ":%02" PRId64 ":%02" PRId64, s / 3600, s / 60 % 60,
                 s % 60);
    else
        snprintf(text, sizeof text, "%" PRId64 ":%02" PRId64, s / 60, s % 60);
    put(fields, name, text);
}

static void put_lines(json_t *fields, const json_t *words, const json_t *messages)
{
    json_t *lines = json_array();
    size_t i, bytes = 0;
    const json_t *message;
    json_array_foreach(messages, i, message)
    {
        const char *text = text_of(message, "text");
        bool caller = strcmp(text_of(message, "role"), "user") == 0;
        bytes += strlen(text);
        if (bytes > AFTER_RENDER_LINES_BYTES) {
            json_object_set_new(fields, "lines_left_out", json_true());
            break;
        }
        json_t *line = json_object();
        put_time(line, "time", member(message, "at_ms"));
        put(line, "who", word(words, caller ? "caller" : "agent"));
        put(line, "text", text);
        json_object_set_new(line, "interrupted",
                            json_boolean(json_is_true(member(message, "interrupted"))));
        json_array_append_new(lines, line);
    }
    json_object_set_new(fields, "has_lines", json_boolean(json_array_size(lines) > 0));
    json_object_set_new(fields, "lines", lines);
}

static void put_legs(json_t *fields, const json_t *words, const json_t *legs)
{
    json_t *shown = json_array();
    size_t i;
    const json_t *leg;
    json_array_foreach(legs, i, leg)
    {
        json_t *row = json_object();
        put(row, "to", text_of(leg, "to"));
        put(row, "status", word(words, text_of(leg, "status")));
        json_array_append_new(shown, row);
    }
    json_object_set_new(fields, "legs", shown);
}

static void put_outcome(json_t *fields, const json_t *words, const json_t *outcome)
{
    json_t *follow_up = json_array();
    size_t i;
    const json_t *text;
    put(fields, "summary", text_of(outcome, "summary"));
    put(fields, "intent", text_of(outcome, "intent"));
    if (text_of(outcome, "outcome")[0])
        put(fields, "outcome", word(words, text_of(outcome, "outcome")));
    if (strcmp(text_of(outcome, "state"), "failed") == 0)
        put(fields, "no_summary", word(words, "summary_failed"));
    if (json_is_true(member(outcome, "callback_needed")))
        json_object_set_new(fields, "callback", json_true());
    json_array_foreach(member(outcome, "follow_up"), i, text)
    {
        json_t *row = json_object();
        put(row, "text", json_string_value(text) ? json_string_value(text) : "");
        json_array_append_new(follow_up, row);
    }
    json_object_set_new(fields, "has_follow_up", json_boolean(json_array_size(follow_up) > 0));
    json_object_set_new(fields, "follow_up", follow_up);
}

static void put_voicemail(json_t *fields, const json_t *words, const json_t *voicemail)
{
    const char *transcription = text_of(voicemail, "transcription");
    put(fields, "transcription", transcription);
    put_time(fields, "duration", member(voicemail, "duration_ms"));
    json_object_del(fields, "no_summary"); /* the words themselves are short enough */
    if (!json_is_string(member(voicemail, "transcription")))
        put(fields, "no_transcription", word(words, "transcription_failed"));
    else if (!transcription[0])
        put(fields, "no_transcription", word(words, "transcription_silent"));
}

static void put_call(json_t *fields, const json_t *words, const json_t *call)
{
    const char *from = text_of(call, "from");
    put(fields, "call_id", text_of(call, "id"));
    put(fields, "from", from[0] ? from : word(words, "unknown"));
    put(fields, "to", text_of(call, "to"));
    put(fields, "when", text_of(call, "local_time"));
    put(fields, "status", word(words, text_of(call, "status")));
    put_time(fields, "duration", member(call, "duration_ms"));
}

static json_t *make_fields(const struct after_render_matter *matter)
{
    const json_t *facts = matter->facts, *settings = member(facts, "settings");
    json_t *words = open_words(text_of(settings, "language"));
    json_t *fields = json_object();
    put(fields, "language", text_of(settings, "language"));
    put(fields, "organization", text_of(member(facts, "organization"), "name"));
    put_call(fields, words, member(facts, "call"));
    put_outcome(fields, words, matter->outcome);
    if (matter->recording_url)
        put(fields, "recording_url", matter->recording_url);
    if (matter->voicemail) {
        put_voicemail(fields, words, matter->voicemail);
    } else {
        put_lines(fields, words, member(facts, "messages"));
        put_legs(fields, words, member(facts, "legs"));
        json_object_set_new(fields, "incomplete",
                            json_boolean(json_is_false(member(facts, "complete"))));
    }
    json_object_set_new(fields, "w", words);
    return fields;
}

/* ---- texts ---- */

static char *fill(const struct after_render_matter *matter, const char *ending,
                  const json_t *fields, enum template_escape escape)
{
    char name[64], *text = NULL;
    size_t bytes;
    snprintf(name, sizeof name, "%s.%s", matter->voicemail ? "voicemail" : "call", ending);
    FILE *out = open_memstream(&text, &bytes);
    if (!out)
        return NULL;
    bool right = template_write(out, template_find(name), fields, escape);
    assert(right); /* our own template; a test fills each */
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    while (bytes > 0 && escape == TEMPLATE_LINE && strchr(" \n", text[bytes - 1]))
        text[--bytes] = '\0';
    return text;
}

/* At a character's border. */
static void cut(char *text, size_t bytes_max)
{
    if (!text || strlen(text) <= bytes_max)
        return;
    size_t bytes = bytes_max;
    while (bytes > 0 && ((unsigned char)text[bytes] & 0xc0) == 0x80)
        bytes--;
    text[bytes] = '\0';
}

const char *after_render_event(const struct after_render_matter *matter)
{
    return matter->voicemail ? "voicemail.received" : "call.completed";
}

bool after_render_email(const struct after_render_matter *matter, struct after_render_email *email)
{
    json_t *fields = make_fields(matter);
    email->subject = fill(matter, "subject.txt", fields, TEMPLATE_LINE);
    cut(email->subject, AFTER_RENDER_SUBJECT_BYTES);
    if (email->subject)
        put(fields, "subject", email->subject);
    email->text = fill(matter, "txt", fields, TEMPLATE_TEXT);
    email->html = fill(matter, "html", fields, TEMPLATE_HTML);
    json_decref(fields);
    if (email->subject && email->text && email->html)
        return true;
    after_render_email_free(email);
    return false;
}

void after_render_email_free(struct after_render_email *email)
{
    free(email->subject);
    free(email->text);
    free(email->html);
    *email = (struct after_render_email){NULL, NULL, NULL};
}

char *after_render_webhook(const struct after_render_matter *matter, const char *id,
                           const char *now_iso)
{
    json_t *data = json_copy((json_t *)matter->facts); /* shallow: members are shared */
    json_t *event = json_object();
    json_object_del(data, "settings");
    json_object_del(data, "endpoints");
    if (matter->voicemail)
        json_object_set(data, "voicemail", (json_t *)matter->voicemail);
    json_object_set(data, "after", (json_t *)matter->outcome);
    if (matter->recording_url)
        put(data, "recording_url", matter->recording_url);
    put(event, "id", id);
    put(event, "type", after_render_event(matter));
    put(event, "timestamp", now_iso);
    json_object_set_new(event, "data", data);
    char *body = json_dumps(event, JSON_COMPACT);
    json_decref(event);
    return body;
}

char *after_render_slack(const struct after_render_matter *matter)
{
    json_t *fields = make_fields(matter), *message = json_object();
    char *text = fill(matter, "slack.txt", fields, TEMPLATE_SLACK), *body = NULL;
    cut(text, 30000); /* Slack cuts at 40,000 characters */
    if (text) {
        put(message, "text", text);
        body = json_dumps(message, JSON_COMPACT);
    }
    free(text);
    json_decref(message);
    json_decref(fields);
    return body;
}
