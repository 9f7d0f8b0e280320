#include "edge/report/link_requests.h"

#include "common/panic.h"

#include <stdlib.h>

#define SLOT_BITS 16
_Static_assert(LINK_REQUESTS_MAX <= 1 << SLOT_BITS, "a slot's index fits its bits");

void link_requests_open(struct link_requests *requests)
{
    memset(requests, 0, sizeof *requests);
    requests->deadline_ms = UINT64_MAX;
    for (unsigned i = 0; i < LINK_REQUESTS_MAX; i++)
        requests->unused[i] = (uint16_t)(LINK_REQUESTS_MAX - 1 - i);
    requests->unused_count = LINK_REQUESTS_MAX;
}

struct link_request *link_request_make(char *json, size_t json_bytes, struct span body)
{
    struct link_request *request = calloc(1, sizeof *request);
    if (!request)
        return NULL;
    request->answer = calloc(1, sizeof *request->answer);
    request->body = body.bytes ? malloc(body.bytes) : NULL;
    if (!request->answer || (body.bytes && !request->body)) {
        link_request_free(request);
        return NULL;
    }
    if (body.bytes)
        memcpy(request->body, body.data, body.bytes);
    request->body_bytes = body.bytes;
    request->json = json;
    request->json_bytes = json_bytes;
    return request;
}

void link_request_free(struct link_request *request)
{
    if (!request)
        return;
    link_answer_free(request->answer);
    free(request->json);
    free(request->body);
    free(request);
}

void link_requests_add(struct link_requests *requests, struct link_request *request)
{
    assert(requests->unused_count > 0 && request->json);
    uint16_t slot = requests->unused[--requests->unused_count];
    assert(!requests->slots[slot].request);
    requests->slots[slot].request = request;
    request->number = ++requests->slots[slot].generation << SLOT_BITS | slot;
    request->previous = requests->last;
    request->next = NULL;
    *(requests->last ? &requests->last->next : &requests->first) = request;
    requests->last = request;
    if (!requests->unsent)
        requests->unsent = request;
    if (request->deadline_ms < requests->deadline_ms)
        requests->deadline_ms = request->deadline_ms;
}

void link_requests_advance(struct link_requests *requests)
{
    struct link_request *request = requests->unsent;
    assert(request && request->json);
    free(request->json);
    free(request->body);
    request->json = NULL;
    request->body = NULL;
    requests->unsent = request->next;
}

struct link_request *link_requests_find(struct link_requests *requests, uint64_t number)
{
    size_t slot = number & ((1u << SLOT_BITS) - 1);
    if (slot >= LINK_REQUESTS_MAX)
        return NULL;
    struct link_request *request = requests->slots[slot].request;
    return request && request->number == number ? request : NULL;
}

void link_requests_remove(struct link_requests *requests, struct link_request *request)
{
    uint16_t slot = (uint16_t)(request->number & ((1u << SLOT_BITS) - 1));
    assert(requests->slots[slot].request == request);
    assert(requests->unused_count < LINK_REQUESTS_MAX);
    requests->slots[slot].request = NULL;
    requests->unused[requests->unused_count++] = slot;
    if (requests->unsent == request)
        requests->unsent = request->next;
    *(request->previous ? &request->previous->next : &requests->first) = request->next;
    *(request->next ? &request->next->previous : &requests->last) = request->previous;
    if (!requests->first)
        requests->deadline_ms = UINT64_MAX;
}

/* Looks through all only when the earliest deadline it knows of has passed, and then learns the
 * next one. */
struct link_request *link_requests_overdue(struct link_requests *requests, uint64_t now_ms)
{
    uint64_t earliest_ms = UINT64_MAX;
    if (now_ms < requests->deadline_ms)
        return NULL;
    for (struct link_request *at = requests->first; at; at = at->next) {
        if (at->deadline_ms <= now_ms) {
            link_requests_remove(requests, at);
            return at;
        }
        if (at->deadline_ms < earliest_ms)
            earliest_ms = at->deadline_ms;
    }
    requests->deadline_ms = earliest_ms;
    return NULL;
}

void link_requests_close(struct link_requests *requests)
{
    while (requests->first) {
        struct link_request *request = requests->first;
        link_requests_remove(requests, request);
        link_request_free(request);
    }
    assert(requests->unused_count == LINK_REQUESTS_MAX);
}
