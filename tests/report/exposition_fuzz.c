/* Figures from anybody: what is let through is let through again, line for line, and nothing is
 * there twice. */
#include "common/panic.h"
#include "edge/report/exposition.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static char *join(struct span guest, size_t *bytes, size_t *dropped)
{
    static const char ours[] = "# TYPE e_total counter\ne_total 1\n";
    char *text = NULL;
    FILE *out = open_memstream(&text, bytes);
    assert(out);
    *dropped = exposition_join(out, span_of(ours), guest);
    fclose(out);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    size_t first_bytes, second_bytes, dropped;
    char *first = join(span_from(data, bytes), &first_bytes, &dropped);
    char *second = join(span_from(first, first_bytes), &second_bytes, &dropped);
    assert(dropped == 0);
    assert(span_equal(span_from(first, first_bytes), span_from(second, second_bytes)));
    free(first);
    free(second);
    return 0;
}
