/* jscan under the fuzzer: jansson's opinion, spans that lie within, and the same again from exact
 * memory. */
#include "common/panic.h"
#include "edge/wire/jscan.h"
#include "tests/wire/oracle.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum slot { A, A_B, A_C, D, SLOTS };

static const struct jscan_member inner[] = {
    JSCAN_MEMBER("b", A_B, NULL), JSCAN_MEMBER("c", A_C, NULL), {0}};
static const struct jscan_member outer[] = {
    JSCAN_MEMBER("a", A, inner), JSCAN_MEMBER("d", D, NULL), {0}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jscan_value values[SLOTS];
    uint8_t *copy = malloc(size ? size : 1);
    assert(copy);
    if (size)
        memcpy(copy, data, size);
    struct span text = span_from(copy, size);
    oracle_judge_json(text);
    enum fault plain = jscan_read(text, NULL, NULL, 0);
    enum fault wanted = jscan_read(text, outer, values, SLOTS);
    assert(wanted == plain || wanted == FAULT_json_malformed); /* a member that came twice */
    for (size_t slot = 0; !wanted && slot < SLOTS; slot++) {
        if (values[slot].kind == JSCAN_ABSENT)
            continue;
        struct span found = values[slot].text;
        assert(found.data >= copy && found.data + found.bytes <= copy + size);
        jscan_is(&values[slot], "media");
        if (values[slot].kind != JSCAN_STRING)
            oracle_judge_json(found);
    }
    free(copy);
    return 0;
}
