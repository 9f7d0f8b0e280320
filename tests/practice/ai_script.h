/* ai_script: what the practice AI answers.
 *
 * Rules, first match wins, as JSON: {"rules":[{"when":"speech|text|tool|idle", "contains":"word",
 * "say":"You said: {heard}", "call":{"name":"..","arguments":{..}}}]}; "calls":[..] for several at
 * once. when and contains may be left out. Before the rules, and not to be scripted: a text that
 * asks for something in quotes or after a colon is said as it stands (greetings); a caller who says
 * the words of a tool's name has it called. Owner: results are malloc'ed, the caller's. Thread:
 * any. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_AI_SCRIPT_H
#define RINGBRIDGE_TESTS_PRACTICE_AI_SCRIPT_H

#include <jansson.h>
#include <stdbool.h>

struct ai_script;

/* file NULL: the built-in rules. NULL (and a line on stderr) when it cannot be read. */
struct ai_script *ai_script_open(const char *file);
void ai_script_close(struct ai_script *script);

enum ai_cause { AI_CAUSE_SPEECH, AI_CAUSE_TEXT, AI_CAUSE_TOOL, AI_CAUSE_IDLE };

struct ai_prompt {
    enum ai_cause cause;
    const char *heard;         /* what was said, written, or the tool's output */
    const json_t *tools;       /* may be NULL */
    const json_t *tool_choice; /* may be NULL: auto */
};

struct ai_answer {
    char *say;     /* NULL: nothing is said */
    json_t *calls; /* NULL, or a list of {"name":"..","arguments":{..}}; a reference */
};

void ai_script_answer(const struct ai_script *script, const struct ai_prompt *prompt,
                      struct ai_answer *answer);

#endif
