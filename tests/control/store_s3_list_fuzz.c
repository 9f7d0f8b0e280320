/* Whatever a store, or somebody in its place, says of what it has: what is believed of it are names
 * of the organisation that was asked for, each once, in order, behind what was seen. */
#include "common/panic.h"
#include "control/media/store_s3_list.h"

#include <stdlib.h>

#define ORG "11111111-2222-4333-8444-555555555555"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct store_page page;
    char error[256], id[UUID_TEXT_BYTES + 1];
    const char *before = ORG "/10";
    strcpy(page.last, before);
    bool read = store_s3_list_read(span_from(data, bytes), bytes % 2 ? "" : "p/", ORG, &page, error,
                                   sizeof error);
    if (!read) {
        assert(error[0]);
        return 0;
    }
    assert(page.count <= STORE_PAGE_OBJECTS && (!page.more || page.token[0]));
    for (size_t i = 0; i < page.count; i++) {
        assert(media_dir_read(page.objects[i].key, ORG, id));
        assert(strcmp(before, page.objects[i].key) < 0 && page.objects[i].changed_ms > 0);
        before = page.objects[i].key;
    }
    assert(strcmp(page.last, before) == 0);
    return 0;
}
