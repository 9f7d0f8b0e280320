#include "control/carrier/carrier_check.h"
#include "control/commands/command.h"
#include "control/db/migrate.h"
#include "control/store/accounts.h"
#include "control/store/health.h"
#include "control/store/media_checks.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum verdict { FINE, NOTE, WRONG };

/* What was found so far. */
struct report {
    const struct options *options;
    json_t *findings; /* with --json */
    int wrong;
};

__attribute__((format(printf, 5, 6))) static void find(struct report *report, enum verdict verdict,
                                                       const char *what, const char *mend,
                                                       const char *format, ...)
{
    static const char *const names[] = {"ok", "note", "wrong"};
    char words[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    report->wrong += verdict == WRONG;
    if (report->options->json) {
        json_array_append_new(report->findings,
                              json_pack("{s:s, s:s, s:s, s:s}", "verdict", names[verdict], "part",
                                        what, "finding", words, "mend", mend));
        return;
    }
    printf("%-6s %-12s %s\n", names[verdict], what, words);
    if (mend[0])
        printf("%20s-> %s\n", "", mend);
}

static void look_at_environment(struct report *report)
{
    const struct options *options = report->options;
    char error[512];
    if (options_check_serving(options, error, sizeof error))
        find(report, FINE, "environment", "", "webhooks at %s, streams at %s", options->public_url,
             options->websocket_url);
    else
        find(report, WRONG, "environment", "", "%s", error);
    if (options->seal.has_key)
        find(report, FINE, "secret key", "", "set%s",
             options->seal.has_previous ? ", and a previous one" : "");
    if (options->auth_token && !options->account_sid)
        find(report, NOTE, "twilio",
             "Set TWILIO_ACCOUNT_SID, so that the token is used for its own account only",
             "TWILIO_AUTH_TOKEN is set without TWILIO_ACCOUNT_SID");
    if (options->account_sid && !options->auth_token)
        find(report, WRONG, "twilio", "Set TWILIO_AUTH_TOKEN: signatures are checked with it",
             "TWILIO_ACCOUNT_SID is set without TWILIO_AUTH_TOKEN");
}

static void look_at_socket(struct report *report)
{
    const char *path = report->options->socket_path;
    char folder[sizeof((struct sockaddr_un *)0)->sun_path];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *slash = strrchr(path, '/');
    if (strlen(path) >= sizeof address.sun_path)
        return; /* said above */
    memcpy(address.sun_path, path, strlen(path) + 1);
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers = probe >= 0 && connect(probe, (struct sockaddr *)&address, sizeof address) == 0;
    if (probe >= 0)
        close(probe);
    if (answers) {
        find(report, FINE, "socket", "", "control serves at %s", path);
        return;
    }
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    if (access(folder[0] ? folder : "/", W_OK | X_OK) == 0)
        find(report, NOTE, "socket", "", "control does not serve at %s now; it could", path);
    else
        find(report, WRONG, "socket",
             "Make the directory for the user that serves, or choose --socket",
             "%s cannot be made: no such directory, or not ours to write", path);
}

static void look_at_login(struct report *report)
{
    struct db_config config = db_config_serving(report->options->database_serving_url, NULL);
    config.role = NULL;
    config.patience_ms = 0;
    config.tries = 1;
    struct db *db = db_open(&config);
    struct db_rows *rows = NULL;
    if (!db || health_login(db, &rows) != DB_OK) {
        find(report, WRONG, "serving", "Check RINGBRIDGE_DATABASE_SERVING_URL", "cannot log in: %s",
             db ? db_error(db) : "out of memory");
    } else if (!db_cell_bool(rows, 0, 3)) {
        find(report, WRONG, "serving", "GRANT ringbridge_serving, ringbridge_api TO that login;",
             "login %s may not act as ringbridge_serving and ringbridge_api", db_cell(rows, 0, 0));
    } else if (db_cell_bool(rows, 0, 1) || db_cell_bool(rows, 0, 2)) {
        find(report, NOTE, "serving",
             "For production make a login that is only a member of ringbridge_serving and "
             "ringbridge_api and put its URL into RINGBRIDGE_DATABASE_SERVING_URL",
             "login %s is more than serving needs; serve steps down to ringbridge_serving",
             db_cell(rows, 0, 0));
    } else {
        find(report, FINE, "serving", "", "login %s has the serving rights and no others",
             db_cell(rows, 0, 0));
    }
    db_rows_free(rows);
    db_close(db);
}

static void look_at_secrets(struct report *report, struct db *db)
{
    struct db_rows *rows;
    int lost = 0;
    if (health_sealed(db, &rows) != DB_OK)
        return;
    for (int row = 0; row < db_rows_count(rows); row++) {
        char context[ACCOUNTS_CONTEXT_MAX], secret[ACCOUNTS_SECRET_MAX];
        size_t bytes;
        uint8_t *sealed = db_cell_bytes(rows, row, 3, &bytes);
        accounts_context(db_cell(rows, row, 0), db_cell(rows, row, 1), db_cell(rows, row, 2),
                         context);
        lost += !seal_read(&report->options->seal, context, span_from(sealed, bytes), secret,
                           sizeof secret);
        explicit_bzero(secret, sizeof secret);
        free(sealed);
    }
    if (lost)
        find(report, WRONG, "secrets",
             "Set RINGBRIDGE_SECRET_KEY (or _PREVIOUS) to the key they were sealed with, or add "
             "them again with `ringbridge-control credential add`",
             "%d of %d sealed secrets do not open", lost, db_rows_count(rows));
    else
        find(report, FINE, "secrets", "", "%d sealed secrets open", db_rows_count(rows));
    db_rows_free(rows);
}

static void look_at_content(struct report *report, struct db *db)
{
    const struct options *options = report->options;
    struct db_rows *rows;
    if (health_content(db, &rows) != DB_OK)
        return;
    int64_t organizations = db_cell_number(rows, 0, 0), numbers = db_cell_number(rows, 0, 1);
    if (organizations == 0)
        find(report, NOTE, "numbers", "ringbridge-control org add NAME", "no organisation yet");
    else if (numbers == 0)
        find(report, NOTE, "numbers", "ringbridge-control number add +15550100 --org NAME",
             "no number yet: every call is refused");
    else
        find(report, FINE, "numbers", "", "%d organisations, %d active numbers", (int)organizations,
             (int)numbers);
    if (!options->auth_token && db_cell_number(rows, 0, 2) == 0)
        find(report, WRONG, "twilio",
             "Set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, or add an organisation's own: "
             "ringbridge-control credential add twilio --org NAME --account AC... < token",
             "no auth token: every webhook is refused");
    else
        find(report, FINE, "twilio", "", "%s, %d organisations with their own",
             options->auth_token ? "an auth token of the installation"
                                 : "no auth token of the installation",
             (int)db_cell_number(rows, 0, 2));
    if (!options->openai_api_key && db_cell_number(rows, 0, 3) < organizations)
        find(report, NOTE, "ai",
             "Set OPENAI_API_KEY, or: ringbridge-control credential add openai --org NAME < key",
             "no API key of the installation: organisations without one have no AI");
    else
        find(report, FINE, "ai", "", "%s", options->openai_realtime_url);
    db_rows_free(rows);
}

static void look_at_after(struct report *report, struct db *db)
{
    const struct options *options = report->options;
    struct db_rows *rows;
    if (health_after(db, &rows) != DB_OK)
        return;
    int wanted = (int)db_cell_number(rows, 0, 0), senderless = (int)db_cell_number(rows, 0, 1);
    int dead = (int)db_cell_number(rows, 0, 2), disabled = (int)db_cell_number(rows, 0, 3);
    if (wanted > 0 && !options->resend_api_key && !options->smtp_url)
        find(report, WRONG, "e-mail", "Set RESEND_API_KEY, or SMTP_URL",
             "%d organisations want e-mail, and there is no way to send it", wanted);
    else if (senderless > 0 && !options->email_from)
        find(report, WRONG, "e-mail",
             "Set EMAIL_FROM, or: ringbridge-control after set --org NAME email_from=...",
             "%d organisations want e-mail that has no sender", senderless);
    else
        find(report, FINE, "e-mail", "", "%d organisations want it", wanted);
    if (dead + disabled > 0)
        find(report, NOTE, "after calls",
             "ringbridge-control deliveries list dead, jobs list dead, endpoint list",
             "%d given up, %d endpoints out of use", dead, disabled);
    db_rows_free(rows);
}

/* What the day's look through the stores of sound has found (jobs/media_check). */
static void look_at_media(struct report *report, struct db *db)
{
    struct db_rows *rows;
    if (media_checks_list(db, &rows) != DB_OK)
        return;
    for (int row = 0; row < db_rows_count(rows); row++) {
        const char *some = db_cell(rows, row, 4);
        if (db_cell_number(rows, row, 2) > 0)
            find(report, WRONG, "recordings",
                 "Bring the files back, or: ringbridge-control recordings delete ID",
                 "%s: %d recordings have no file (%s), e.g. %s", db_cell(rows, row, 0),
                 (int)db_cell_number(rows, row, 2), db_cell(rows, row, 1), some ? some : "");
        if (db_cell_number(rows, row, 3) > 0)
            find(report, WRONG, "recordings",
                 "Remove the files: ringbridge-control recordings show ID has the path",
                 "%s: %d recordings are deleted and their files are there (%s), e.g. %s",
                 db_cell(rows, row, 0), (int)db_cell_number(rows, row, 3), db_cell(rows, row, 1),
                 some ? some : "");
    }
    if (db_rows_count(rows) == 0)
        find(report, FINE, "recordings", "", "no file is known to be missing");
    db_rows_free(rows);
}

static void find_at_carrier(const struct carrier_check_told *told, void *context)
{
    struct report *report = context;
    char words[CARRIER_CHECK_WORDS_BYTES];
    carrier_check_words(told, words);
    find(report,
         told->mended                          ? FINE
         : told->kind == CARRIER_CHECK_UNKNOWN ? NOTE
                                               : WRONG,
         "at twilio", carrier_check_mend(told), "%s", words);
}

/* What Twilio has beside what we want, number by number. Only where it can be asked. */
static void look_at_carrier(struct report *report, struct db *db)
{
    const struct options *options = report->options;
    struct carrier_number_want want;
    struct carrier_check check = {.options = options,
                                  .mend = options->mend,
                                  .by = command_who(),
                                  .tell = find_at_carrier,
                                  .context = report};
    if (!options->public_url || !carrier_number_wish(&want, options->public_url))
        return; /* said above */
    if (carrier_check_run(&check, db) != DB_OK)
        find(report, WRONG, "at twilio", "", "%s", db_error(db));
    else if (check.numbers > 0 && check.differences == 0)
        find(report, FINE, "at twilio", "", "%d numbers are set up as we want them", check.numbers);
}

static void look_at_schema(struct report *report, struct db *db)
{
    struct db_rows *rows;
    if (health_schema(db, &rows) != DB_OK) {
        find(report, WRONG, "schema", "", "%s", db_error(db));
        return;
    }
    for (int row = 0; row < db_rows_count(rows); row++)
        find(report, WRONG, "schema", db_cell(rows, row, 1), "%s", db_cell(rows, row, 0));
    if (db_rows_count(rows) == 0)
        find(report, FINE, "schema", "",
             "row security is forced on every table, roles own nothing");
    db_rows_free(rows);
}

static void look_at_database(struct report *report)
{
    const struct options *options = report->options;
    struct db_config config = db_config_admin(options->database_url ? options->database_url : "");
    config.role = NULL; /* the roles may not be there yet */
    struct db *db = options->database_url ? db_open(&config) : NULL;
    int missing = 0;
    if (!db)
        return; /* said above */
    if (db_ping(db) != DB_OK) {
        find(report, WRONG, "database", "Check DATABASE_URL and that PostgreSQL runs", "%s",
             db_error(db));
    } else if (migrate_missing(db, &missing) != DB_OK || missing != 0) {
        find(report, WRONG, "database",
             missing < 0 ? "Install the newer program" : "ringbridge-control migrate",
             missing < 0 ? "the schema is %d steps newer than this program"
                         : "the schema lacks %d steps",
             abs(missing));
    } else {
        find(report, FINE, "database", "", "reached, schema up to date");
        db_close(db);
        config.role = DB_ROLE_ADMIN;
        db = db_open(&config);
        look_at_schema(report, db);
        look_at_login(report);
        look_at_content(report, db);
        look_at_after(report, db);
        look_at_media(report, db);
        look_at_secrets(report, db);
        look_at_carrier(report, db);
    }
    db_close(db);
}

int command_doctor(const struct options *options)
{
    struct report report = {.options = options};
    if (options->words_count > 1)
        return command_misuse("doctor takes no words");
    if (options->json)
        report.findings = json_array();
    look_at_environment(&report);
    look_at_database(&report);
    look_at_socket(&report);
    if (report.findings) {
        json_dumpf(report.findings, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        printf("\n%s\n", report.wrong ? "Mend what is wrong and ask again." : "All is well.");
    }
    json_decref(report.findings);
    return report.wrong ? COMMAND_FAILED : COMMAND_DONE;
}
