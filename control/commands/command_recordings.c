#include "control/commands/command.h"
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

/* Copies to standard output; the hash of what went there. */
static bool copy(FILE *file, uint8_t sha256[32])
{
    uint8_t bytes[65536];
    size_t taken;
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool whole = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;
    while (whole && (taken = fread(bytes, 1, sizeof bytes, file)) > 0)
        whole =
            EVP_DigestUpdate(hash, bytes, taken) == 1 && fwrite(bytes, 1, taken, stdout) == taken;
    whole = whole && !ferror(file) && EVP_DigestFinal_ex(hash, sha256, NULL) == 1;
    EVP_MD_CTX_free(hash);
    return whole;
}

static int export_file(const struct options *options, const struct db_rows *rows)
{
    char path[4096];
    uint8_t found[32];
    size_t bytes;
    snprintf(path, sizeof path, "%s/%s", options->media_dir, db_cell(rows, 0, 0));
    FILE *file = fopen(path, "rb");
    if (!file)
        return command_fail("%s: %s (is --media-dir the one of serve?)", path, strerror(errno));
    bool copied = copy(file, found);
    fclose(file);
    uint8_t *expected = db_cell_bytes(rows, 0, 1, &bytes);
    bool right = copied && expected && bytes == 32 && memcmp(expected, found, 32) == 0;
    free(expected);
    if (!copied)
        return command_fail("%s cannot be copied", path);
    return right ? COMMAND_DONE : command_fail("%s is not what was kept: its hash differs", path);
}

static int export(const struct options *options, struct db *db)
{
    struct db_rows *rows;
    int status;
    enum db_result result = recordings_find(db, options->words[2], &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (db_rows_count(rows) == 0)
        status = no_such(options->words[2]);
    else if (strcmp(db_cell(rows, 0, 2), "ready") != 0)
        status = command_fail("the recording was deleted");
    else
        status = export_file(options, rows);
    db_rows_free(rows);
    return status;
}

int command_recordings(const struct options *options)
{
    bool lists = command_is(options, "list", 0, 0), shows = command_is(options, "show", 1, 1);
    if (!lists && !shows && !command_is(options, "export", 1, 1))
        return command_misuse("recordings list [--org NAME] [--limit N] | recordings show ID (its "
                              "own or the call's) | recordings export ID > FILE.opus");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = lists ? list(options, db) : shows ? show(options, db) : export(options, db);
    db_close(db);
    return status;
}
