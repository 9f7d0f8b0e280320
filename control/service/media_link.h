/* media_link: addresses under which one recording can be heard for a short while, and the answer to
 * whoever comes with one (GET /media/TICKET).
 *
 * What it is: a ticket as for a stream (common/ticket.h; the recording in the call's place, home
 * core 0) under a key of its own, good for many requests until it expires, because players ask for
 * ranges. Who was given it stands in recording_accesses under the ticket's nonce, and so does who
 * began to listen. What it is not: rights of people; whoever has the address may listen.
 *
 * A file on our disk is given in pieces of MEDIA_LINK_PIECE_BYTES at most, as the edge carries
 * them: a player's Range is answered with as much of it as one piece holds (206), which players go
 * on from; a browser that opens the address itself gets a page with a player; other programs get
 * the whole file, which the edge fetches piece by piece as its reader takes it (REQUEST "more"; the
 * link may expire meanwhile, the recording may not be deleted). What lies in an S3 store is
 * redirected to there, signed, for as long as the link lives and an hour at most, and is not
 * carried by us. Thread: the owner of db. */
#ifndef RINGBRIDGE_CONTROL_SERVICE_MEDIA_LINK_H
#define RINGBRIDGE_CONTROL_SERVICE_MEDIA_LINK_H

#include "control/service/request.h"
#include "control/service/service.h"

#define MEDIA_LINK_KEY_LABEL   "ringbridge media link 1" /* for seal_derive */
#define MEDIA_LINK_PATH        "/media/"
#define MEDIA_LINK_PIECE_BYTES 262144

struct media_link_answer {
    int status;
    char *head;    /* the RESPONSE's JSON, malloc'ed; NULL only without memory */
    uint8_t *body; /* malloc'ed, or NULL */
    size_t body_bytes;
};

/* Mints one for a recording, and its id for the audit. False without randomness. */
bool media_link_mint(const struct ticket_keys *keys, const char *organization,
                     const char *recording, int64_t expires_at_ms, char text[TICKET_TEXT_BYTES + 1],
                     char id[37]);

/* Is this request for us? */
bool media_link_is_one(const struct request *request);

void media_link_answer(const struct service *service, struct db *db, const struct request *request,
                       struct media_link_answer *answer);
/* The next piece of a file that was begun. */
void media_link_more(const struct service *service, struct db *db, const struct request *request,
                     struct media_link_answer *answer);
void media_link_answer_free(struct media_link_answer *answer);

/* What of a file of so many bytes a Range header asks for, cut to one piece. range NULL, or of a
 * form that is not understood: all of it (false). *count 0: nothing of it is there (416). */
bool media_link_range(const char *range, uint64_t bytes, uint64_t *first, uint64_t *count);

#endif
