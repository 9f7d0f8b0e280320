#include "control/service/request.h"

#include "control/base/json_read.h"

static bool read_http(struct request *request)
{
    const char *target = json_read_text(request->object, "target", REQUEST_TARGET_BYTES_MAX);
    request->method = json_read_text(request->object, "method", 32);
    request->headers = json_object_get(request->object, "headers");
    if (!request->method || !target || target[0] != '/' || !json_is_object(request->headers))
        return false;
    request->target = span_of(target);
    const char *mark = strchr(target, '?');
    request->path = mark ? span_from(target, (size_t)(mark - target)) : request->target;
    request->query = mark ? span_of(mark + 1) : span_of("");
    return true;
}

static bool read_admit(struct request *request)
{
    request->ticket = json_read_text(request->object, "ticket", REQUEST_HEADER_BYTES_MAX);
    request->signature = json_read_text(request->object, "signature", REQUEST_HEADER_BYTES_MAX);
    return request->ticket && request->signature;
}

static bool read_kind(struct request *request)
{
    const char *kind = json_read_text(request->object, "kind", 32);
    if (!kind || !json_read_integer(request->object, "deadline_ms", 0, REQUEST_DEADLINE_MS_MAX,
                                    &request->deadline_ms))
        return false;
    if (strcmp(kind, "http") == 0) {
        request->kind = REQUEST_HTTP;
        return read_http(request);
    }
    if (strcmp(kind, "admit") == 0) {
        request->kind = REQUEST_ADMIT;
        return read_admit(request);
    }
    if (strcmp(kind, "listen") == 0) {
        request->kind = REQUEST_LISTEN;
        request->ticket = json_read_text(request->object, "ticket", REQUEST_HEADER_BYTES_MAX);
        return request->ticket != NULL;
    }
    if (strcmp(kind, "more") == 0) {
        request->kind = REQUEST_MORE;
        request->ask = json_read_text(request->object, "ask", REQUEST_HEADER_BYTES_MAX);
        return request->ask &&
               json_read_integer(request->object, "from", 0, INT64_MAX / 2, &request->from_bytes);
    }
    request->kind = REQUEST_METRICS;
    return strcmp(kind, "metrics") == 0;
}

bool request_read(struct span json, struct span raw, struct request *request)
{
    *request = (struct request){.body = raw, .object = json_read_object(json)};
    if (request->object && read_kind(request))
        return true;
    request_free(request);
    return false;
}

void request_free(struct request *request)
{
    json_decref(request->object);
    request->object = NULL;
}

const char *request_header(const struct request *request, const char *name)
{
    return json_read_text(request->headers, name, REQUEST_HEADER_BYTES_MAX);
}
