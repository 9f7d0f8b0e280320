/* listen_ticket: who may listen to a live call, and the answer to the edge that asks (link_proto.h,
 * REQUEST "listen").
 *
 * What it is: a ticket as for a stream (common/ticket.h) under a key of its own, so that neither
 * opens the other's door; single use, TICKET_LIFE_MS. What it is not: the listening itself (edge).
 * Who minted it for which call stands in the call's ledger. Thread: the owner of db. */
#ifndef RINGBRIDGE_CONTROL_SERVICE_LISTEN_TICKET_H
#define RINGBRIDGE_CONTROL_SERVICE_LISTEN_TICKET_H

#include "control/service/service.h"

#define LISTEN_KEY_LABEL "ringbridge listen ticket 1" /* for seal_derive */
#define LISTEN_PATH      "/listen/"

/* Mints one for a call; organization and call as PostgreSQL prints them, core the one that it lives
 * on at its edge. False without randomness. */
bool listen_ticket_mint(const struct ticket_keys *keys, const char *organization, const char *call,
                        uint16_t core, char text[TICKET_TEXT_BYTES + 1]);

/* The RESPONSE's JSON: {"status":200,"call":..,"organization":..} or {"status":403|503,"error":..};
 * malloc'ed, NULL only without memory. */
char *listen_ticket_answer(const struct service *service, struct db *db, struct span text);

#endif
