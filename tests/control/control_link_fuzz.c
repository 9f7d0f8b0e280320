/* The link as control reads it: any bytes, cut into frames, each to the reader of its type. What a
 * reader accepts must keep its promises. */
#include "common/link_proto.h"
#include "common/panic.h"
#include "control/base/uuid.h"
#include "control/link/edge.h"
#include "control/link/intake.h"
#include "control/service/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void read_event(struct span json)
{
    struct intake_event event;
    uint8_t id[UUID_BYTES];
    if (intake_read(json, NULL, &event))
        return;
    assert(uuid_read(event.event.call, id) && uuid_read(event.event.organization, id));
    assert(event.event.seq >= 1 && event.event.body_json && !strstr(event.body, "\"ticket\":"));
    intake_free(&event);
}

static void read_request(const struct link_frame *frame)
{
    struct request request;
    if (!request_read(frame->json, frame->raw, &request))
        return;
    if (request.kind == REQUEST_HTTP) {
        assert(request.target.bytes > 0 && request.path.bytes <= request.target.bytes);
        request_header(&request, "content-type");
    }
    request_free(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct span rest = span_from(data, bytes);
    struct link_frame frame;
    struct edge_hello hello;
    size_t used;
    while (link_decode(rest, &frame, &used) == LINK_DONE) {
        if (frame.type == LINK_HELLO && !edge_hello_read(frame.id, frame.json, &hello))
            assert(hello.cores >= 1 && hello.cores <= EDGE_CORES_MAX);
        else if (frame.type == LINK_EVENT)
            read_event(frame.json);
        else if (frame.type == LINK_REQUEST)
            read_request(&frame);
        rest = span_from(rest.data + used, rest.bytes - used);
    }
    read_event(span_from(data, bytes)); /* so that the JSON is reached without a frame */
    return 0;
}
