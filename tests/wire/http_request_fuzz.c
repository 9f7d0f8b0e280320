/* Request heads under the fuzzer: what passes obeys the rules of reliability, read from its bytes
 * by means of their own. */
#include "tests/wire/http_fuzz.h"

#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t named(const struct http_head *head, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < head->fields_count; i++)
        count += head->fields[i].name.bytes == strlen(name) &&
                 strncasecmp((const char *)head->fields[i].name.data, name, strlen(name)) == 0;
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_head head;
    size_t head_bytes = 0, scanned = 0;
    enum fault fault;
    struct span text = span_from(data, size);
    if (assert_dribbles(http_request_read, text, &head, &head_bytes) != DECODE_DONE)
        return 0;
    enum decode decode = http_request_read(text, &scanned, &head, &head_bytes, &fault);
    assert(decode == DECODE_DONE);
    for (size_t i = 0; i < head_bytes; i++) {
        assert(data[i] >= ' ' || data[i] == '\t' || data[i] == '\r' || data[i] == '\n');
        assert(data[i] != '\n' || (i > 0 && data[i - 1] == '\r'));
    }
    assert(named(&head, "Transfer-Encoding") == 0 && named(&head, "Expect") == 0);
    assert(named(&head, "Content-Length") <= 1 && named(&head, "Host") <= 1);
    assert(head.minor == 0 || named(&head, "Host") == 1);
    assert(head.path.bytes > 0 && (head.path.data[0] == '/' || span_is(head.path, "*")));
    for (size_t i = 0; i + 3 <= head.path.bytes; i++) {
        assert(memcmp(head.path.data + i, "/../", i + 4 <= head.path.bytes ? 4 : 3) != 0 ||
               i + 4 > head.path.bytes);
        assert(strncasecmp((const char *)head.path.data + i, "%2f", 3) != 0);
        assert(memcmp(head.path.data + i, "%00", 3) != 0);
    }
    assert(!head.upgrade || (head.websocket_key.bytes == 24 && span_is(head.method, "GET")));
    return 0;
}
