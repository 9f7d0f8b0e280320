/* carrier_check: every number beside what the carrier has, and mending it.
 *
 * What it is: one walk over the accounts, each account's list of numbers read once, each number
 * compared (carrier_number.h), each difference told; with mend, what can be mended by changing a
 * number's properties is. A number that the carrier does not have is told and cannot be mended
 * (number buy, number remove), nor one that it has and nobody here knows (number add).
 * What it is not: a job (jobs/number_verify.c), nor a report; doctor and the command line ask it
 * too.
 *
 * Owner: the caller of everything given; what is told is lent for the call. Thread: the owner of
 * db: as admin, or serving and then with an organisation. */
#ifndef RINGBRIDGE_CONTROL_CARRIER_CARRIER_CHECK_H
#define RINGBRIDGE_CONTROL_CARRIER_CARRIER_CHECK_H

#include "control/carrier/carrier_number.h"

enum carrier_check_kind {
    CARRIER_CHECK_DIFFERS, /* has and wants say how; mended says whether it is now as wanted */
    CARRIER_CHECK_MISSING, /* ours by our list, and the carrier does not have it */
    CARRIER_CHECK_UNKNOWN, /* the carrier has it, and nobody here does */
    CARRIER_CHECK_UNASKED  /* the account's numbers could not be read, or mended: why */
};

struct carrier_check_told {
    enum carrier_check_kind kind;
    const char *account;                /* or "" */
    const char *organization;           /* its name, or "" */
    const char *number;                 /* or "" */
    const char *property, *has, *wants; /* of DIFFERS */
    const char *why;                    /* of UNASKED */
    bool mended;
};

struct carrier_check {
    const struct options *options;
    const char *organization; /* its id; NULL: all */
    const char *number;       /* this one only; NULL: all */
    bool mend;
    const char *by; /* who has it mended */
    void (*tell)(const struct carrier_check_told *told, void *context);
    void *context;
    bool (*must_stop)(void *context); /* as in http_client.h; or NULL */
    void *must_stop_context;
    int numbers, differences,
        unasked; /* out: compared; told of that are not mended; of those UNASKED */
};

/* Compares all there is. Other than DB_OK: db_error; what was told has been told. Needs public_url
 * in options. */
enum db_result carrier_check_run(struct carrier_check *check, struct db *db);

/* What was told, as a sentence. Characters that move a cursor are left out. */
#define CARRIER_CHECK_WORDS_BYTES 2560
void carrier_check_words(const struct carrier_check_told *told,
                         char words[CARRIER_CHECK_WORDS_BYTES]);

/* How it can be mended, or "". */
const char *carrier_check_mend(const struct carrier_check_told *told);

#endif
