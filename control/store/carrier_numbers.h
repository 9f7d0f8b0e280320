/* carrier_numbers: orders of numbers, what may be spent on them, and what was changed at the
 * carrier (sql/0016).
 *
 * An order's way: ordered, asked (the carrier may have sold it by now), bought, releasing,
 * released; or refused. Each step is taken from the one before it and from no other, so whoever
 * comes late changes nothing. Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_CARRIER_NUMBERS_H
#define RINGBRIDGE_CONTROL_STORE_CARRIER_NUMBERS_H

#include "control/base/uuid.h"
#include "control/db/db.h"

/* What somebody wants. NULL: does not matter; country and kind do. */
struct carrier_numbers_wish {
    const char *country, *kind; /* "US"; local, toll_free or mobile */
    const char *area_code, *contains, *phone_number;
    const char *address_sid, *bundle_sid;
};

struct carrier_numbers_ordered {
    char id[UUID_TEXT_BYTES + 1]; /* "" when it was not ordered */
    bool made;                    /* false: the same was ordered before, under the same key */
    char why[16]; /* role, no_price, no_limit, currency, over_limit, key_reused; or "" */
};

/* Orders a number and the job that buys it. role: of whoever orders; only "admin" may. DB_REFUSED:
 * the wish is none (db_constraint: number_orders_area, ..). */
enum db_result carrier_numbers_order(struct db *db, const char *organization,
                                     const struct carrier_numbers_wish *wish, const char *key,
                                     const char *by, const char *role,
                                     struct carrier_numbers_ordered *ordered);

/* state, number, error, price with unit. For people, past organisations: admin. */
enum db_result carrier_numbers_look(struct db *db, const char *order, struct db_rows **rows);

/* ---- for the job that buys ---- */

/* Columns of carrier_numbers_read: one row, or none. */
enum carrier_numbers_column {
    ORDER_STATE,
    ORDER_NUMBER,  /* chosen, or NULL */
    ORDER_ACCOUNT, /* that was asked, or NULL */
    ORDER_OWN_ACCOUNT,
    ORDER_ASKED_S, /* so long ago, or NULL */
    ORDER_PASSED,  /* numbers with blanks between */
    ORDER_COUNTRY,
    ORDER_KIND,
    ORDER_AREA,
    ORDER_CONTAINS,
    ORDER_WANTED, /* this very number, or NULL */
    ORDER_ADDRESS,
    ORDER_BUNDLE
};
enum db_result carrier_numbers_read(struct db *db, const char *organization, const char *order,
                                    struct db_rows **rows);

/* This number is asked for now, in this account: to be on record before the carrier is asked.
 * asked: false when the order is over. */
enum db_result carrier_numbers_ask(struct db *db, const char *organization, const char *order,
                                   const char *number, const char *account, bool *asked);

/* The carrier surely did not sell it. pass_over: it is gone, another is to be chosen. */
enum db_result carrier_numbers_unask(struct db *db, const char *organization, const char *order,
                                     bool pass_over);

/* For job_commit's work: it comes to nothing, or it is ours. fresh: not on record before. */
enum db_result carrier_numbers_refuse(struct db *db, const char *order, const char *error);
enum db_result carrier_numbers_settle(struct db *db, const char *order, const char *sid,
                                      const char *number, bool *fresh);

/* ---- giving back ---- */

/* why: "" (a job gives it back), role, unknown, or waiting (was ordered before). */
enum db_result carrier_numbers_release(struct db *db, const char *organization, const char *number,
                                       const char *by, const char *role, char why[16]);
/* Is it on the organisation's list? */
enum db_result carrier_numbers_listed(struct db *db, const char *organization, const char *number,
                                      bool *listed);
/* For job_commit's work. */
enum db_result carrier_numbers_released(struct db *db, const char *number, const char *account,
                                        const char *by);

/* ---- what is and what should be ---- */

/* The organisation's own account at the carrier, or "". */
enum db_result carrier_numbers_account(struct db *db, const char *organization, char account[35]);

/* Wants an account made for the organisation. made: false when that was wanted before. */
enum db_result carrier_numbers_want_account(struct db *db, const char *organization, const char *by,
                                            bool *made);
/* state and error of the job that makes it, or no row. Past organisations: admin. */
enum db_result carrier_numbers_account_job(struct db *db, const char *organization,
                                           struct db_rows **rows);

/* own account or NULL, organisation's id, its name, number, active: each number that Twilio
 * carries, by account and number. organization NULL: all, as admin. */
enum db_result carrier_numbers_wanted(struct db *db, const char *organization,
                                      struct db_rows **rows);

/* Notes that a number's properties were mended. detail_json: {"voice_url":"was",...}. */
enum db_result carrier_numbers_mended(struct db *db, const char *organization, const char *number,
                                      const char *account, const char *by, const char *detail_json);

/* ---- money, for the command line ---- */

/* DB_REFUSED: db_constraint says what is no amount, currency, country or kind. */
enum db_result carrier_numbers_limit(struct db *db, const char *organization, const char *amount,
                                     const char *currency, const char *by);
enum db_result carrier_numbers_price(struct db *db, const char *country, const char *kind,
                                     const char *amount, const char *currency);

/* country, kind, price, currency */
enum db_result carrier_numbers_prices(struct db *db, struct db_rows **rows);
/* organisation, spent this month, limit, currency. organization NULL: all. */
enum db_result carrier_numbers_limits(struct db *db, const char *organization,
                                      struct db_rows **rows);
/* id, organisation, state, number, country, kind, price, by, ordered, error */
enum db_result carrier_numbers_orders(struct db *db, const char *organization, unsigned limit,
                                      struct db_rows **rows);

#endif
