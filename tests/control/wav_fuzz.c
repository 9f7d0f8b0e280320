/* Whatever a carrier, or somebody in its place, sends as a recording: read to its end, within it.
 */
#include "common/panic.h"
#include "control/media/wav_file.h"
#include "control/service/media_link.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* The same bytes as a Range header. */
static void ask_range(const uint8_t *data, size_t bytes)
{
    char range[64] = "bytes=";
    uint64_t first, count;
    size_t more = bytes < 40 ? bytes : 40;
    memcpy(range + 6, data, more);
    media_link_range(range, 1000000, &first, &count);
    assert(count == 0 || (first < 1000000 && count <= 1000000 - first)); /* 0: behind the end */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static int16_t frames[2 * WAV_FILE_FRAMES_MAX];
    struct wav_file wav;
    uint64_t read = 0;
    size_t count;
    ask_range(data, bytes);
    FILE *file = bytes ? fmemopen((void *)(uintptr_t)data, bytes, "rb") : NULL;
    if (!file)
        return 0;
    if (wav_file_open(&wav, file, bytes) == WAV_FILE_OPENED) {
        assert(wav.frames > 0 && wav.frames * 2 * wav.channels <= bytes && wav.rate_hz % 50 == 0);
        while ((count = wav_file_read(&wav, frames)) > 0)
            read += count;
        assert(read == wav.frames);
    }
    fclose(file);
    return 0;
}
