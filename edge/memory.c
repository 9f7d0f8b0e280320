#include "edge/memory.h"

#include "edge/call/call.h"
#include "edge/io/tls.h"
#include "edge/wire/ws.h"

#include <stdio.h>

struct part {
    const char *what;
    size_t bytes;
};

static void print_part(const char *what, size_t bytes)
{
    printf("  %-58s %12zu\n", what, bytes);
}

static void print_sum(const char *title, const struct part *parts, size_t count)
{
    size_t sum = 0;
    printf("%s, bytes\n", title);
    for (size_t i = 0; i < count; i++) {
        print_part(parts[i].what, parts[i].bytes);
        sum += parts[i].bytes;
    }
    print_part("together", sum);
}

void memory_print_plan(void)
{
    const struct io_config io = {.conns_max = CONNS_MAX};
    size_t chunks_bytes, tap_bytes = taps_footprint_bytes(&chunks_bytes);
    const struct part call[] = {
        {"state", calls_footprint_bytes()},
        {"two connections", 2 * conn_footprint_bytes()},
        {"WebSocket on both", 2 * ws_footprint_bytes()},
        {"TLS with the carrier", TLS_ACCEPTED_BYTES},
        {"TLS with the AI", TLS_DIALLED_BYTES},
        {"the caller's last two seconds", CALL_RECENT_BYTES},
        {"what was said, as it grows: at most", HISTORY_BYTES_MAX},
    };
    const struct part core[] = {
        {"rings, receive buffers, connections", io_footprint_bytes(&io)},
        {"calls", CALLS_PER_CORE * calls_footprint_bytes()},
    };
    print_sum("A call with TLS on both legs", call, sizeof call / sizeof call[0]);
    printf("Beside that, as they are: its instructions and tools. For a time:\n");
    print_part("caller audio until the AI is ready: at most", CALL_EARLY_BYTES_MAX);
    print_part("agent audio until the stream starts: at most", CALL_AHEAD_BYTES_MAX);
    print_part("each leg's send queue: at most", SEND_QUEUE_BYTES_MAX);
    print_part("recorded: the tracks' place and the file's block",
               tap_bytes + spool_footprint_bytes());
    print_part("and what the agent has said that is not heard yet: at most", chunks_bytes);
    print_sum("A core, for its most connections and calls", core, sizeof core / sizeof core[0]);
}
