#include "control/service/listen_ticket.h"

#include "common/clock.h"
#include "common/log.h"
#include "control/base/uuid.h"
#include "control/store/calls.h"

#include <jansson.h>

bool listen_ticket_mint(const struct ticket_keys *keys, const char *organization, const char *call,
                        uint16_t core, char text[TICKET_TEXT_BYTES + 1])
{
    struct ticket ticket = {.home_core = core, .expires_at_ms = clock_wall_ms() + TICKET_LIFE_MS};
    return uuid_read(call, ticket.conversation) && uuid_read(organization, ticket.organization) &&
           ticket_mint(keys, &ticket, text);
}

/* NULL: the door is open. */
static const char *use_up(const struct service *service, struct db *db, struct span text,
                          char call[UUID_TEXT_BYTES + 1], char organization[UUID_TEXT_BYTES + 1],
                          int *status)
{
    struct ticket ticket;
    enum calls_ticket used;
    *status = 403;
    if (ticket_verify(&service->listen_keys, text, clock_wall_ms(), &ticket) != FAULT_NONE)
        return "ticket_invalid";
    uuid_write(ticket.conversation, call);
    uuid_write(ticket.organization, organization);
    if (calls_use_ticket(db, organization, call, span_from(ticket.nonce, sizeof ticket.nonce),
                         ticket.expires_at_ms, &used) != DB_OK) {
        *status = 503;
        return "unavailable";
    }
    if (used == CALLS_TICKET_UNKNOWN_CALL)
        return "unknown_call";
    if (used == CALLS_TICKET_USED)
        return "ticket_used";
    *status = 200;
    return NULL;
}

char *listen_ticket_answer(const struct service *service, struct db *db, struct span text)
{
    char call[UUID_TEXT_BYTES + 1] = "", organization[UUID_TEXT_BYTES + 1] = "";
    int status;
    const char *why = use_up(service, db, text, call, organization, &status);
    log_at(why ? LOG_WARN : LOG_INFO, "listener at the door",
           log_text("result", why ? why : "admitted"),
           log_text("conversation", call[0] ? call : NULL),
           log_text("organization", organization[0] ? organization : NULL));
    json_t *answer = why ? json_pack("{s:i, s:s}", "status", status, "error", why)
                         : json_pack("{s:i, s:s, s:s}", "status", status, "call", call,
                                     "organization", organization);
    char *json = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    json_decref(answer);
    return json;
}
