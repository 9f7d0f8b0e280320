/* options: everything ringbridge-control is told from outside, read once, from one table.
 *
 * Each row of the table (options_table.c) names the flag, its environment variable, its default
 * and its help, so --help and parsing cannot drift. A flag wins over the environment. Secrets have
 * no flag on purpose: argv is readable by every user of the machine. Owner: texts are borrowed from
 * argv, the environment and constants, except those listed in `owned`. Thread: boot; constant
 * afterwards. */
#ifndef RINGBRIDGE_CONTROL_BASE_OPTIONS_H
#define RINGBRIDGE_CONTROL_BASE_OPTIONS_H

#include "common/log.h"
#include "control/base/seal.h"

#include <stdbool.h>
#include <stdio.h>

#define OPTIONS_WORDS_MAX 64
#define OPTIONS_OWNED_MAX 10

struct options {
    /* the database */
    const char *database_url;         /* --database, DATABASE_URL: owner or admin */
    const char *database_serving_url; /* RINGBRIDGE_DATABASE_SERVING_URL; default: database_url */
    /* serve */
    const char *socket_path;   /* --socket: the Unix socket the edge connects to */
    unsigned workers;          /* --workers */
    unsigned job_workers;      /* --job-workers */
    unsigned tool_workers;     /* --tool-workers */
    unsigned api_workers;      /* --api-workers; 0: no API */
    unsigned account_rate;     /* --account-rate: webhooks of one account, a minute */
    const char *media_dir;     /* --media-dir */
    const char *spool_dir;     /* --spool, or NULL */
    const char *journal_dir;   /* --journal, or NULL */
    bool sandbox;              /* --sandbox: only the system calls that it uses */
    const char *public_url;    /* https base that Twilio sees, without closing slash; or NULL */
    const char *websocket_url; /* wss base for Stream URLs, without closing slash; made from
                                  public_url when not given; or NULL */
    const char *account_sid;   /* TWILIO_ACCOUNT_SID or NULL */
    const char *auth_token;    /* TWILIO_AUTH_TOKEN or NULL: secret */
    const char *auth_token_previous; /* TWILIO_AUTH_TOKEN_PREVIOUS during rotation: secret */
    const char *allow_private;       /* hosts, with commas between, or NULL (http_client.h) */
    const char *ca_path;             /* or NULL */
    const char *s3_url;              /* endpoint and bucket, perhaps a prefix; NULL: the disk */
    const char *s3_region;
    const char *s3_key, *s3_secret; /* secret */
    const char *twilio_api_key, *twilio_api_secret, *twilio_api_base;
    const char *openai_api_key;      /* secret */
    const char *openai_realtime_url; /* wss://api.openai.com/v1/realtime */
    const char *openai_base_url;
    const char *summary_model, *transcription_model;
    const char *email_from;     /* an address, or Name <address>; or NULL */
    const char *resend_api_key; /* secret, or NULL */
    const char *resend_base_url;
    const char *smtp_url;                  /* or NULL */
    const char *smtp_user, *smtp_password; /* secret; both or neither */
    struct seal seal; /* RINGBRIDGE_SECRET_KEY and RINGBRIDGE_SECRET_KEY_PREVIOUS, parsed */
    /* logging */
    enum log_format log_format;
    enum log_level log_level;
    /* commands */
    bool check, help, version, json, sample;
    const char *call;
    const char *number, *purpose, *hours, *time_zone;
    unsigned position, hours_back, minutes;
    const char *calendar;
    unsigned slot; /* minutes */
    const char *org, *channel, *role, *label, *account, *url, *signature;
    const char *country, *kind, *area_code, *contains, *address_sid, *bundle_sid, *key;
    bool mend;
    const char *scopes, *expires; /* of a token, or NULL */
    unsigned rate;                /* a minute */
    unsigned limit;               /* rows of a list */
    /* words that are not flags: words[0] is the command */
    const char *words[OPTIONS_WORDS_MAX];
    int words_count;
    char *owned[OPTIONS_OWNED_MAX];
};

/* Reads environment and argv (not argv[0]). False with a sentence in error[room] that names the
 * mend. Secrets in argv are refused. */
bool options_read(struct options *options, int argc, char **argv, char *error, size_t room);

/* What serve needs beyond what can be parsed: URLs with the right scheme, a secret key, a token.
 * False with a sentence in error that names the mend. For serve and for --check. */
bool options_check_serving(const struct options *options, char *error, size_t room);

/* Is the host of scheme://host this machine? */
bool options_is_loopback(const char *url);

/* Prints the table: flags, variables, defaults. command: only what that command takes, and
 * everything when it is NULL. */
void options_print(FILE *out, const char *command);

/* Wipes the keys and frees what is owned. */
void options_close(struct options *options);

#endif
