/* calls: the life of one phone call in the database, as webhooks and the edge tell it.
 *
 * What it is: the few questions asked on request paths, each ONE round trip to a SQL function of
 * sql/0003 that finds the organisation itself, because none is known yet. What it is not: reading
 * calls for people (records.h) or the edge's events (events.h).
 *
 * Every fact lands in the append-only ledger call_events, once; the row in conversations is a pure
 * function of the ledger, so any order and any repetition of webhooks and events gives one result.
 * All texts in are NUL-terminated and may be NULL or empty where the carrier sent nothing; they
 * are untrusted and never an SQL error. Texts out live until the result is freed.
 * Thread: the owner of db. */
#ifndef RINGBRIDGE_CONTROL_STORE_CALLS_H
#define RINGBRIDGE_CONTROL_STORE_CALLS_H

#include "control/base/seal.h"
#include "control/db/db.h"

#define CALLS_UUID_TEXT 37 /* with NUL */

/* Whose call is it? */
enum calls_found {
    CALLS_FOUND,          /* the organisation is known; conversation and organization are set */
    CALLS_UNKNOWN_NUMBER, /* no organisation has this number (or it is switched off) */
    CALLS_UNKNOWN_CALL,   /* no conversation has this CallSid, and none can be made from the rest */
    CALLS_WRONG_ACCOUNT,  /* the account that signed belongs to another organisation: refuse */
    CALLS_INVALID,        /* CallSid, AccountSid or CallStatus is not one: refuse */
    CALLS_DOUBLE          /* a call that we made, and a second one of its attempt: hang up */
};

const char *calls_found_name(enum calls_found found); /* "found", ...; a metric label */
enum calls_found calls_found_read(const char *name);  /* CALLS_INVALID: NULL, or none of them */

/* One webhook's standard parameters, as Twilio names them. */
struct calls_webhook {
    const char *account_sid, *call_sid;
    const char *from, *to;
    const char *direction;         /* "inbound", "outbound-api", ... */
    const char *status;            /* CallStatus; "answered" is taken for "in-progress" */
    int64_t sequence_number;       /* SequenceNumber, -1: none */
    const char *timestamp;         /* Timestamp as sent, RFC 2822 or ISO 8601; NULL: now */
    int64_t duration_s;            /* CallDuration, -1: none */
    int64_t sip_response_code;     /* SipResponseCode, -1: none */
    const char *idempotency_token; /* I-Twilio-Idempotency-Token; kept, not believed */
    const char *parameters_json;   /* every form field as one JSON object of strings, or NULL */
};

/* What an answered call needs: TwiML and the prepare order. */
struct calls_incoming {
    enum calls_found found;
    bool created; /* false: this CallSid was known already (a retry); same answer again */
    char conversation[CALLS_UUID_TEXT], organization[CALLS_UUID_TEXT];
    const char *organization_name;
    const char *call_status; /* as recorded now: a retry may find the call already over */
    bool configured;         /* false: the built-in default configuration answers */
    const char *ai_backend, *model, *voice, *instructions, *greeting, *audio_format;
    const char *language, *transcription_model; /* may be "" */
    const char *tools_json;                     /* a JSON array */
    const char *settings_json;                  /* a JSON object */
    const char *route_json;                     /* what is done with it: control/carrier/steps.h */
    const char *fallback_json;   /* and when that does not come about; "" : nothing was chosen */
    const char *tool_waits_json; /* of link_proto.h's plan, or "" */
    uint32_t duration_max_s;
    bool record;        /* the edge keeps both tracks */
    unsigned append_ms; /* and so on: link_proto.h, "prepare"; their ranges are the schema's */
    bool greeting_interruptible;
    unsigned interrupt_after_ms, vad_prefix_ms, vad_silence_ms, vad_threshold_percent;
    unsigned session_max_s;
    char *ai_key;     /* the organisation's own AI key, opened; NULL: use the installation's */
    bool ai_key_lost; /* it has one but it does not open (another RINGBRIDGE_SECRET_KEY): say so
                         loudly, and do not bill the installation's account for it */
    struct db_rows *rows;
};

/* Finds the organisation of webhook->to, its configuration, and creates or finds the conversation.
 * seal opens the organisation's AI key. With DB_OK look at found first; then calls_incoming_free in
 * any case. */
enum db_result calls_incoming(struct db *db, const struct seal *seal,
                              const struct calls_webhook *webhook, struct calls_incoming *incoming);
void calls_incoming_free(struct calls_incoming *incoming); /* wipes the key */

#define CALLS_TOGETHER_MAX 16

/* Is it a well-formed call that comes in and says nothing more? Only such ones go together. */
bool calls_may_go_together(const struct calls_webhook *webhook);

/* calls_incoming for several at once, in one round trip and one transaction. With DB_OK rows[i] is
 * the answer to webhooks[i], the caller's (calls_incoming_read takes it), or NULL: that one was not
 * new, or not anybody's, and has to ask alone. Everything else: nothing was stored for any. */
enum db_result calls_incoming_together(struct db *db, const struct calls_webhook *const webhooks[],
                                       int count, struct db_rows *rows[]);

/* Such an answer; rows NULL: none, CALLS_INVALID. calls_incoming_free in any case. */
void calls_incoming_read(struct db_rows *rows, const struct seal *seal,
                         struct calls_incoming *incoming);

/* The id that a call's conversation has or will have (call_id of sql/0003). */
void calls_id(const char *account_sid, const char *call_sid, char id[CALLS_UUID_TEXT]);

/* The same answer for another call to the same number, from rows of an answer before
 * (last_known.h), which are taken. */
bool calls_incoming_again(struct db_rows *rows, const char *account_sid, const char *call_sid,
                          const struct seal *seal, struct calls_incoming *incoming);

/* What became of a webhook that reports something. */
struct calls_taken {
    enum calls_found found;
    bool stored; /* false: this fact was on record already */
    char conversation[CALLS_UUID_TEXT], organization[CALLS_UUID_TEXT];
    char call_status[16]; /* of the record now */
    bool over;            /* the record's status is a terminal one */
};

/* Applies a call status callback. A call that never asked for TwiML gets its row here. */
enum db_result calls_status(struct db *db, const struct calls_webhook *webhook,
                            struct calls_taken *taken);

/* Notes a <Stream> status callback: event is StreamEvent ("stream-started", "stream-stopped",
 * "stream-error"), error is StreamError or NULL, meaning what it says in our words or NULL. */
enum db_result calls_stream_status(struct db *db, const struct calls_webhook *webhook,
                                   const char *stream_sid, const char *event, const char *error,
                                   const char *meaning, struct calls_taken *taken);

/* The stream is over and Twilio asks what to do next. */
struct calls_next {
    enum calls_found found;
    char conversation[CALLS_UUID_TEXT], organization[CALLS_UUID_TEXT];
    char place[16];         /* after a stream: "next", "fallback", "agent" or "hangup"; else "" */
    const char *steps_json; /* {"route":..,"next":..,"fallback":..}, those that there are */
    char ended_reason[40];  /* of end.def, as far as the edge has reported; "" otherwise */
    struct db_rows *rows;
    char *steps_owned; /* steps_json, where it is in no row */
};
enum db_result calls_after_stream(struct db *db, const struct calls_webhook *webhook,
                                  struct calls_next *next);
/* A verb that we answered is done (event "step"), or somebody waits in a queue ("wait"). key: the
 * place in the steps, so that a repetition is one. */
enum db_result calls_step(struct db *db, const struct calls_webhook *webhook, const char *event,
                          const char *key, struct calls_next *next);
void calls_next_free(struct calls_next *next);

/* A call that we made (sql/0015): attempt is what stands in its URLs. It was answered, and asks
 * what to do, as calls_incoming; a status; and what the carrier hears of who has answered. */
enum db_result calls_outbound(struct db *db, const struct seal *seal,
                              const struct calls_webhook *webhook, const char *attempt,
                              struct calls_incoming *incoming);
enum db_result calls_outbound_status(struct db *db, const struct calls_webhook *webhook,
                                     const char *attempt, struct calls_taken *taken);
enum db_result calls_outbound_amd(struct db *db, const struct calls_webhook *webhook,
                                  const char *attempt, const char *answered_by,
                                  struct calls_taken *taken);

/* A call as the carrier lists it. */
struct calls_listed {
    struct calls_webhook webhook;
    const char *began, *ended; /* as written, or NULL */
    const char *price, *unit;  /* "-0.0075", "USD", or NULL */
};

enum calls_listing {
    CALLS_LISTED_KNOWN,
    CALLS_LISTED_OPENED,  /* no webhook had told of it; it is on record now */
    CALLS_LISTED_ENDED,   /* nor of its end */
    CALLS_LISTED_DIFFERS, /* our record has another end, which stays */
    CALLS_LISTED_LEG,     /* of a call of ours */
    CALLS_LISTED_OTHER    /* not this organisation's */
};

/* Compares it with the record and repairs what no webhook told. priced: its price is news. */
enum db_result calls_compare(struct db *db, const char *organization,
                             const struct calls_listed *listed, enum calls_listing *listing,
                             bool *priced);

/* What the carrier says it has recorded. */
struct calls_recording {
    const char *kind; /* "voicemail" or "recording" */
    const char *sid, *url, *status;
    int64_t duration_ms; /* -1: not said */
};

/* Applies a recording callback: any order, any repetition. */
enum db_result calls_recording(struct db *db, const struct calls_webhook *webhook,
                               const struct calls_recording *recording, struct calls_taken *taken);

enum calls_ticket { CALLS_TICKET_FIRST, CALLS_TICKET_USED, CALLS_TICKET_UNKNOWN_CALL };

/* Uses up a ticket whose MAC and expiry the caller has verified. The nonce is remembered until
 * expires_at_ms; the second use, on any control, is CALLS_TICKET_USED. (When the answer of a first
 * use is lost with its connection, the repetition says USED as well: the safe side.) */
enum db_result calls_use_ticket(struct db *db, const char *organization, const char *conversation,
                                struct span nonce, int64_t expires_at_ms,
                                enum calls_ticket *ticket);

/* The plan of a call again, for an "admit" from an edge that was not told: as calls_incoming, by
 * the ticket's ids. found is CALLS_UNKNOWN_CALL when there is no such call or it is over. call_sid
 * and account_sid are written too. */
struct calls_plan {
    struct calls_incoming incoming;
    const char *call_sid, *account_sid;
};
enum db_result calls_plan(struct db *db, const struct seal *seal, const char *organization,
                          const char *conversation, struct calls_plan *plan);

#endif
