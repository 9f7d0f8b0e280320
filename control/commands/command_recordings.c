#include "common/clock.h"
#include "control/commands/command.h"
#include "control/media/store.h"
#include "control/service/media_link.h"
#include "control/store/recordings.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

static int list(const struct options *options, struct db *db)
{
    static const char *const headings[] = {"id",          "started", "organization", "call",
                                           "duration_ms", "bytes",   "state"};
    char organization[COMMAND_ID_TEXT];
    struct db_rows *rows;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result =
        recordings_list(db, organization[0] ? organization : NULL, options->limit, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 7);
    db_rows_free(rows);
    return COMMAND_DONE;
}

static int no_such(const char *name)
{
    return command_fail(
        "there is no recording \"%s\"; `ringbridge-control recordings list` shows them", name);
}

static int show(const struct options *options, struct db *db)
{
    struct db_rows *rows;
    enum db_result result = recordings_show(db, options->words[2], &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    for (int row = 0; row < db_rows_count(rows); row++)
        puts(db_cell(rows, row, 0));
    int status = db_rows_count(rows) > 0 ? COMMAND_DONE : no_such(options->words[2]);
    db_rows_free(rows);
    return status;
}

/* Copies to standard output, piece by piece; the hash of what went there. */
static bool copy(struct store *store, const struct store_kind *kind, const char *key,
                 uint8_t sha256[32])
{
    uint64_t at = 0;
    size_t taken = 0;
    uint8_t *piece = malloc(STORE_PIECE_BYTES);
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool whole = piece && hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;
    do {
        whole =
            whole && kind->read(store, key, at, piece, STORE_PIECE_BYTES, &taken) == STORE_DONE &&
            EVP_DigestUpdate(hash, piece, taken) == 1 && fwrite(piece, 1, taken, stdout) == taken;
        at += taken;
    } while (whole && taken > 0);
    whole = whole && EVP_DigestFinal_ex(hash, sha256, NULL) == 1;
    EVP_MD_CTX_free(hash);
    free(piece);
    return whole;
}

static int export_file(const struct options *options, const struct db_rows *rows)
{
    uint8_t found[32];
    size_t bytes;
    struct store store = {.options = options};
    const char *key = db_cell(rows, 0, 0);
    const struct store_kind *kind = store_named(options, db_cell(rows, 0, 3));
    if (!kind)
        return command_fail("it lies in the store \"%s\": --s3-url, as serve has it",
                            db_cell(rows, 0, 3));
    if (!copy(&store, kind, key, found))
        return command_fail("%s cannot be copied: %s (is --media-dir the one of serve?)", key,
                            store.error[0] ? store.error : strerror(errno));
    uint8_t *expected = db_cell_bytes(rows, 0, 1, &bytes);
    bool right = expected && bytes == 32 && memcmp(expected, found, 32) == 0;
    free(expected);
    return right ? COMMAND_DONE : command_fail("%s is not what was kept: its hash differs", key);
}

/* The one that is meant, and still there; its rows are the caller's. */
static int find(const struct options *options, struct db *db, struct db_rows **rows)
{
    enum db_result result = recordings_find(db, options->words[2], rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (db_rows_count(*rows) == 0)
        return no_such(options->words[2]);
    if (strcmp(db_cell(*rows, 0, 2), "ready") != 0)
        return command_fail("the recording was deleted");
    return COMMAND_DONE;
}

static int export(const struct options *options, struct db *db, const struct db_rows *rows)
{
    enum db_result result =
        recordings_note(db, NULL, options->words[2], "exported", command_who(), -1);
    return result == DB_OK ? export_file(options, rows) : command_database_failed(db, result);
}

static int link_to(const struct options *options, struct db *db, const struct db_rows *rows)
{
    struct ticket_keys keys = {.has_previous = false};
    char ticket[TICKET_TEXT_BYTES + 1], id[37];
    int64_t expires_at_ms = clock_wall_ms() + (int64_t)options->minutes * 60000;
    if (!options->public_url)
        return command_misuse("where are the edges? set PUBLIC_URL");
    if (!seal_derive(&options->seal, MEDIA_LINK_KEY_LABEL, false, keys.current))
        return command_misuse("RINGBRIDGE_SECRET_KEY is needed, as serve has it: it signs links");
    bool minted =
        media_link_mint(&keys, db_cell(rows, 0, 6), options->words[2], expires_at_ms, ticket, id);
    explicit_bzero(&keys, sizeof keys);
    if (!minted)
        return command_fail("there is no randomness to be had");
    enum db_result result =
        recordings_note(db, id, options->words[2], "link", command_who(), expires_at_ms);
    if (result != DB_OK)
        return command_database_failed(db, result);
    printf("%s" MEDIA_LINK_PATH "%s\n", options->public_url, ticket);
    return COMMAND_DONE;
}

static int delete (const struct options *options, struct db *db)
{
    bool made;
    enum db_result result = recordings_order_deletion(db, options->words[2], command_who(), &made);
    if (result != DB_OK)
        return command_database_failed(db, result);
    printf(made ? "%s is being deleted\n" : "%s: its deletion was ordered before\n",
           options->words[2]);
    return COMMAND_DONE;
}

/* What is done with one that is there. */
static int act(const struct options *options, struct db *db)
{
    struct db_rows *rows = NULL;
    int status = find(options, db, &rows);
    if (status == COMMAND_DONE && strcmp(options->words[1], "export") == 0)
        status = export(options, db, rows);
    else if (status == COMMAND_DONE && strcmp(options->words[1], "link") == 0)
        status = link_to(options, db, rows);
    else if (status == COMMAND_DONE)
        status = delete (options, db);
    db_rows_free(rows);
    return status;
}

int command_recordings(const struct options *options)
{
    bool lists = command_is(options, "list", 0, 0), shows = command_is(options, "show", 1, 1);
    bool acts = command_is(options, "export", 1, 1) || command_is(options, "link", 1, 1) ||
                command_is(options, "delete", 1, 1);
    if (!lists && !shows && !acts)
        return command_misuse("recordings list [--org NAME] [--limit N] | recordings show ID (its "
                              "own or the call's) | recordings export ID > FILE | recordings link "
                              "ID [--minutes N] | recordings delete ID");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = lists ? list(options, db) : shows ? show(options, db) : act(options, db);
    db_close(db);
    return status;
}
