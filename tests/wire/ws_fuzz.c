/* ws under the fuzzer: any stream, any slicing, either role; one story, and wslay's event level
 * tells the same. The first byte picks role and bound, the next two the slicing. */
#include "tests/wire/oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t bounds[] = {65536, 1048576, 4096, 130};
    if (size < 3)
        return 0;
    enum ws_role role = data[0] & 1 ? WS_CLIENT : WS_SERVER;
    uint32_t seed = 1 + ((uint32_t)data[1] << 8 | data[2]);
    oracle_judge_ws(role, bounds[data[0] >> 1 & 3], span_from(data + 3, size - 3), seed);
    return 0;
}
