/* messages: what callers asked the agent to pass on to people, text messages that it sends
 * (sql/0010), and those that came in (sql/0018).
 *
 * Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_MESSAGES_H
#define RINGBRIDGE_CONTROL_STORE_MESSAGES_H

#include "control/store/calls.h"

struct messages_left {
    const char *conversation, *call;
    const char *name, *phone, *body;
    bool urgent;
};

/* Within a transaction of the organisation. */
enum db_result messages_leave(struct db *db, const char *organization,
                              const struct messages_left *message);

struct messages_text {
    const char *conversation, *call;
    const char *account_sid, *from_number, *to_number, *body;
};

/* Queues a text message and the job (text_send) that sends it, in the transaction of the
 * organisation. DB_REFUSED: a number is none (text_messages_numbers). */
enum db_result messages_queue_text(struct db *db, const char *organization,
                                   const struct messages_text *text);

/* For the job: state, account, from, to, body. begin marks it as being sent; when it was marked so
 * before, began is false, because nobody knows whether it was sent. */
enum db_result messages_text(struct db *db, const char *id, struct db_rows **rows);
enum db_result messages_begin_text(struct db *db, const char *organization, const char *id,
                                   bool *began);
/* The carrier has it, or never will. Within a transaction. sid or error is NULL. */
enum db_result messages_end_text(struct db *db, const char *id, const char *sid, const char *error);
/* It was surely not sent: it may be begun again. */
enum db_result messages_requeue_text(struct db *db, const char *organization, const char *id);

/* A text message that came in, as the carrier wrote it; parameters_json, timestamp: or NULL. */
struct messages_received {
    const char *account_sid, *message_sid, *from, *to, *body;
    int64_t media;
    const char *parameters_json, *timestamp;
};
struct messages_taken {
    enum calls_found found; /* never UNKNOWN_CALL */
    bool stored;            /* false: it was on record already, or found says why it is not */
    char organization[CALLS_UUID_TEXT];
};
enum db_result messages_receive(struct db *db, const struct messages_received *text,
                                struct messages_taken *taken);

/* ---- for people ---- */

/* id, received, from, to, body, media, organisation. Newest first. */
enum db_result messages_texts(struct db *db, const char *organization, unsigned limit,
                              struct db_rows **rows);

/* id, left, state, urgent, name, phone, body, conversation, organisation. Newest first. */
enum db_result messages_list(struct db *db, const char *organization, unsigned limit,
                             struct db_rows **rows);
enum db_result messages_move(struct db *db, const char *id, const char *state, bool *moved);

#endif
