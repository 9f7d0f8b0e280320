/* What is sent after a call, shown to whoever wants to see it: of a real call, or of an invented
 * one. */
#include "control/base/summary.h"
#include "control/base/template.h"
#include "control/commands/command.h"
#include "control/jobs/after_render.h"
#include "control/store/after_calls.h"

#include <stdlib.h>

struct preview {
    json_t *facts, *outcome;
    const char *form; /* text, html, subject, webhook or slack */
    bool of_voicemail;
};

static int print(const struct preview *preview)
{
    const struct after_render_matter matter = {
        .facts = preview->facts,
        .outcome = preview->outcome,
        .voicemail = preview->of_voicemail
                         ? json_array_get(json_object_get(preview->facts, "voicemails"), 0)
                         : NULL};
    struct after_render_email email = {NULL, NULL, NULL};
    const char *form = preview->form;
    char *text = NULL;
    if (preview->of_voicemail && !matter.voicemail)
        return command_fail("nobody left a message in this call");
    if (strcmp(form, "webhook") == 0)
        text = after_render_webhook(&matter, "00000000-0000-4000-8000-000000000000",
                                    "2026-01-05T09:31:09Z");
    else if (strcmp(form, "slack") == 0)
        text = after_render_slack(&matter);
    else if (!after_render_email(&matter, &email))
        return command_fail("out of memory");
    if (text)
        puts(text);
    else if (strcmp(form, "text") == 0)
        fputs(email.text, stdout);
    else
        fputs(strcmp(form, "html") == 0 ? email.html : email.subject, stdout);
    if (strcmp(form, "subject") == 0)
        putchar('\n');
    free(text);
    after_render_email_free(&email);
    return COMMAND_DONE;
}

static int preview_sample(struct preview *preview)
{
    json_t *sample = json_loads(template_find("sample.json"), 0, NULL);
    preview->facts = json_incref(json_object_get(sample, "facts"));
    preview->outcome = json_incref(json_object_get(sample, "outcome"));
    json_decref(sample);
    return print(preview);
}

static int preview_call(struct preview *preview, const struct options *options)
{
    char call[COMMAND_ID_TEXT];
    int status;
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    if (command_find_call(options, db, options->call, call, &status)) {
        enum db_result result = after_calls_facts(db, call, &preview->facts);
        if (result == DB_OK)
            result = after_calls_outcome(db, call, &preview->outcome);
        if (result == DB_OK && !preview->outcome)
            preview->outcome = summary_none("not_wanted", NULL);
        status = result == DB_OK ? print(preview) : command_database_failed(db, result);
    }
    db_close(db);
    return status;
}

int command_template(const struct options *options)
{
    static const char *const forms[] = {"text", "html", "subject", "webhook", "slack"};
    struct preview preview = {.form = "text"};
    bool known = command_is(options, "preview", 0, 2);
    for (int i = 2; i < options->words_count; i++) {
        bool is_form = false;
        for (size_t k = 0; k < sizeof forms / sizeof forms[0]; k++)
            is_form |= strcmp(options->words[i], forms[k]) == 0;
        if (is_form)
            preview.form = options->words[i];
        else if (strcmp(options->words[i], "voicemail") == 0)
            preview.of_voicemail = true;
        else
            known = false;
    }
    if (!known || options->sample == (options->call != NULL))
        return command_misuse("template preview [voicemail] [text|html|subject|webhook|slack] "
                              "--call ID | --sample");
    int status = options->sample ? preview_sample(&preview) : preview_call(&preview, options);
    json_decref(preview.facts);
    json_decref(preview.outcome);
    return status;
}
