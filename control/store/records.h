/* records: calls as people look at them, for the command line (role ringbridge_admin).
 * Thread: the owner of db. Rows belong to the caller. Columns: the RECORDS_* enums. */
#ifndef RINGBRIDGE_CONTROL_STORE_RECORDS_H
#define RINGBRIDGE_CONTROL_STORE_RECORDS_H

#include "control/db/db.h"

#define RECORDS_ID_TEXT 37

/* id, started, organisation, from, to, status, duration (ms), ended reason, messages; newest first.
 * organization NULL: all. */
enum db_result records_list(struct db *db, const char *organization, unsigned limit,
                            struct db_rows **rows);

/* A call by conversation id, CallSid or session id. matches: how many there are; only with 1 is id
 * written. */
enum db_result records_find(struct db *db, const char *organization, const char *name,
                            char id[RECORDS_ID_TEXT], int *matches);

enum records_call {
    RECORDS_ID,
    RECORDS_ORGANIZATION,
    RECORDS_ORGANIZATION_ID,
    RECORDS_CHANNEL,
    RECORDS_DIRECTION,
    RECORDS_FROM,
    RECORDS_TO,
    RECORDS_CALL_SID,
    RECORDS_STARTED,
    RECORDS_ANSWERED, /* with its milliseconds */
    RECORDS_ENDED,
    RECORDS_DURATION_MS,
    RECORDS_DURATION_BY, /* edge or carrier */
    RECORDS_CARRIER_DURATION_MS,
    RECORDS_STREAM_DURATION_MS,
    RECORDS_STATUS,
    RECORDS_DISCONNECTION,
    RECORDS_SIP_CODE,
    RECORDS_END_REASON,
    RECORDS_RECORDING_URL,
    RECORDS_FIGURES,
    RECORDS_SUMMARY,
    RECORDS_OUTCOME
};
enum db_result records_call(struct db *db, const char *id, struct db_rows **rows);

/* The transcript and what happened between, in order of time. */
enum records_line {
    RECORDS_LINE_AT_MS, /* since the call's start */
    RECORDS_LINE_KIND,  /* "message" or the event's kind */
    RECORDS_LINE_ROLE,  /* of a message */
    RECORDS_LINE_TEXT,  /* of a message, or what matters of an event */
    RECORDS_LINE_INTERRUPTED,
    RECORDS_LINE_AUDIO_MS,
    RECORDS_LINE_HEARD_MS,
    RECORDS_LINE_SOURCE
};
enum db_result records_lines(struct db *db, const char *id, struct db_rows **rows);

/* The whole record as one JSON object in one cell. */
enum db_result records_json(struct db *db, const char *id, struct db_rows **rows);

#endif
