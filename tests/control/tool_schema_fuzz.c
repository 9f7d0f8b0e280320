/* A schema as an organisation writes it, and arguments as an AI does: whatever they are, the
 * judgement ends, within its bounds, with a sentence when it is no. Then the arguments go into a
 * URL. Input: schema, newline, arguments. */
#include "common/panic.h"
#include "control/net/http_client.h"
#include "control/tools/tool_http.h"
#include "control/tools/tool_run.h"
#include "control/tools/tool_schema.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void fill_in(const json_t *arguments)
{
    char url[HTTP_CLIENT_URL_BYTES_MAX], error[256] = "";
    if (tool_http_url("https://a.example.com/x/{a}?k=1", arguments, true, url, sizeof url, error,
                      sizeof error))
        assert(strncmp(url, "https://a.example.com/x/", 24) == 0 && strlen(url) < sizeof url);
    else
        assert(error[0] && strlen(error) < sizeof error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const uint8_t *end = memchr(data, '\n', bytes);
    char words[TOOL_SCHEMA_WORDS] = "";
    if (!end)
        return 0;
    char *schema = strndup((const char *)data, (size_t)(end - data));
    char *given = strndup((const char *)end + 1, bytes - (size_t)(end + 1 - data));
    json_t *parsed = json_loads(schema, 0, NULL);
    bool usable = parsed && tool_schema_check(parsed, words, sizeof words);
    assert(!parsed || usable || words[0]);
    words[0] = '\0';
    json_t *arguments = usable ? tool_run_arguments(given, schema, words, sizeof words) : NULL;
    if (arguments)
        fill_in(arguments);
    else
        assert(!usable || (words[0] && strlen(words) < sizeof words));
    json_decref(arguments);
    json_decref(parsed);
    free(given);
    free(schema);
    return 0;
}
