#include "control/base/json_read.h"
#include "control/base/uuid.h"
#include "control/link/edge.h"

/* What an edge may say about how full it gets and where it is; both or neither. */
static void read_facts(const json_t *object, struct edge_hello *hello)
{
    int64_t calls_max;
    const char *url = json_read_text(object, "stream_url", EDGE_URL_BYTES_MAX);
    if (!json_read_integer(object, "calls_max", 1, UINT32_MAX, &calls_max))
        return;
    hello->calls_max = (unsigned)calls_max;
    if (url && (strncmp(url, "wss://", 6) == 0 || strncmp(url, "ws://", 5) == 0))
        memcpy(hello->stream_url, url, strlen(url));
}

const char *edge_hello_read(uint64_t version, struct span json, struct edge_hello *hello)
{
    uint8_t run[UUID_BYTES];
    int64_t cores;
    const char *wrong = NULL;
    json_t *object = json_read_object(json);
    const char *role = json_read_text(object, "role", 16);
    const char *name = json_read_text(object, "name", EDGE_NAME_BYTES_MAX);
    const char *run_text = json_read_text(object, "run", UUID_TEXT_BYTES);
    if (version != LINK_VERSION)
        wrong = "another version of the link is spoken here";
    else if (!role || strcmp(role, "edge") != 0)
        wrong = "the role must be edge";
    else if (!name || !uuid_read(run_text, run))
        wrong = "a name and a run are needed";
    else if (!json_read_integer(object, "cores", 1, EDGE_CORES_MAX, &cores))
        wrong = "the number of cores is missing or out of range";
    if (!wrong) {
        *hello = (struct edge_hello){.cores = (unsigned)cores};
        read_facts(object, hello);
        memcpy(hello->name, name, strlen(name));
        uuid_write(run, hello->run);
    }
    json_decref(object);
    return wrong;
}
