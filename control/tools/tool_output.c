#include "control/tools/tool_output.h"

#include "control/store/tools.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SENTENCE_BYTES 1024

json_t *tool_output_error(const char *format, ...)
{
    char sentence[SENTENCE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    json_t *text = json_string(sentence);
    if (!text) /* cut in the middle of a character, or never UTF-8 */
        text = json_string("It failed, and the reason cannot be told.");
    return json_pack("{s:b, s:o}", "ok", 0, "error", text);
}

bool tool_output_ok(const json_t *output)
{
    return json_is_true(json_object_get(output, "ok"));
}

/* jsonb puts a blank behind each comma and colon and writes large numbers out; the latter is found
 * out by asking it. */
static size_t printed_bytes(const char *text)
{
    size_t bytes = 0;
    for (; *text; text++)
        bytes += *text == ',' || *text == ':' ? 2 : 1;
    return bytes;
}

char *tool_output_text(json_t *output, bool *ok)
{
    char *text = json_dumps(output, JSON_COMPACT);
    *ok = tool_output_ok(output);
    if (text && printed_bytes(text) > TOOLS_OUTPUT_BYTES_MAX) {
        free(text);
        json_decref(output);
        output = tool_output_error("The answer is too long.");
        *ok = false;
        text = json_dumps(output, JSON_COMPACT);
    }
    json_decref(output);
    return text;
}
