/* media_check: what the stores of sound have of an organisation beside what its rows say, once a
 * day, one store after the other.
 *
 * A file that nothing names, because somebody died between keeping it and putting it on record, or
 * because its row went with its call, is removed when it is older than a day: a job may be between
 * those two now. What a row names is never removed. A recording without its file, and a deleted one
 * with it, are told of and left to people. Retention and deletion have jobs of their own.
 *
 * A part of so many pages is a job; its end puts what was found on record and makes the next part,
 * which goes on behind the last name, in one transaction. So whoever begins a part anew finds the
 * same names, without those that are gone already. */
#include "common/clock.h"
#include "common/log.h"
#include "control/base/json_read.h"
#include "control/db/db_array.h"
#include "control/jobs/kinds.h"
#include "control/media/media_figures.h"
#include "control/media/store.h"
#include "control/store/media_checks.h"

#include <stdlib.h>

#define PAGES_MAX 50   /* of one part: 25,000 names */
#define PARTS_MAX 1000 /* of one day: a list without an end is a fault of its store */
#define AGE_MS    (INT64_C(25) * 60 * 60 * 1000) /* a day, and an hour for clocks that differ */
#define REMOVE_MS 5000                           /* within what a transaction may wait */
#define TELL_MAX  20                             /* lines of log in a part, of each kind */

struct checking {
    struct job *job;
    const struct options *options;
    const struct store_kind *kind;
    struct store store;
    const char *day;
    int64_t part; /* from 1 */
    struct store_page *page;
    char behind[MEDIA_DIR_NAME_BYTES];
    struct db_rows *rows; /* of the page's comparison */
    struct media_checks_part found;
    struct db_array recordings;
    struct store_object removing;
    bool removed;
    enum store_end end;
};

/* ---- a page beside its rows ---- */

static enum db_result compare(struct db *db, void *context)
{
    struct checking *checking = context;
    const struct store_page *page = checking->page;
    struct db_array listed;
    enum db_result result = DB_BUSY;
    db_rows_free(checking->rows);
    checking->rows = NULL;
    if (db_array_open(&listed)) {
        for (size_t i = 0; i < page->count; i++)
            db_array_add(&listed, page->objects[i].key);
        result = media_checks_compare(db, checking->kind->name, checking->behind,
                                      page->more ? page->last : NULL, db_array_value(&listed),
                                      &checking->rows);
    }
    db_array_free(&listed);
    return result;
}

/* What goes outside the database here may go twice: an object that nothing names. Nothing begins to
 * name it before the transaction ends. */
static enum db_result remove_nameless(struct db *db, void *context)
{
    struct checking *checking = context;
    bool named;
    enum db_result result =
        media_checks_named(db, checking->kind->name, checking->removing.key, &named);
    checking->removed = false;
    if (result != DB_OK || named)
        return result;
    checking->end = checking->kind->remove(&checking->store, checking->removing.key);
    checking->removed = checking->end != STORE_LATER;
    return DB_OK;
}

static void tell(const struct checking *checking, const char *message, int64_t count,
                 const char *path, const char *recording)
{
    if (count <= TELL_MAX)
        log_warn(message, log_text("organization", checking->job->claimed.organization),
                 log_text("store", checking->kind->name), log_text("file", path),
                 log_text("recording", recording));
}

static enum job_end remove_one(struct checking *checking, struct db *db)
{
    struct media_checks_part *found = &checking->found;
    checking->end = STORE_DONE;
    if (db_transact(db, checking->job->claimed.organization, remove_nameless, checking) != DB_OK)
        return job_later(checking->job, "%s", db_error(db));
    if (checking->end == STORE_LATER)
        return job_later(checking->job, "%s", checking->store.error);
    if (checking->removed) {
        found->removed++;
        found->removed_bytes += (int64_t)checking->removing.bytes;
        media_figures_count(MEDIA_removed, 1);
        tell(checking, "a file without a recording is removed", found->removed,
             checking->removing.key, NULL);
    }
    return JOB_DONE;
}

static const struct store_object *find_object(const struct store_page *page, const char *key)
{
    for (size_t i = 0; i < page->count; i++)
        if (strcmp(page->objects[i].key, key) == 0)
            return &page->objects[i];
    return NULL;
}

static void note(struct checking *checking, bool missing, const char *path, const char *recording)
{
    int64_t *count = missing ? &checking->found.missing : &checking->found.lingering;
    ++*count;
    if (checking->recordings.count < MEDIA_CHECKS_NAMED_MAX)
        db_array_add(&checking->recordings, recording);
    tell(checking,
         missing ? "a recording's file is missing" : "a deleted recording's file is there still",
         *count, path, recording);
}

static enum job_end take_finding(struct checking *checking, struct db *db, int row)
{
    const char *what = db_cell(checking->rows, row, 0), *path = db_cell(checking->rows, row, 1);
    if (strcmp(what, "nameless") != 0) {
        note(checking, strcmp(what, "missing") == 0, path, db_cell(checking->rows, row, 2));
        return JOB_DONE;
    }
    const struct store_object *object = find_object(checking->page, path);
    if (!object || object->changed_ms > clock_wall_ms() - AGE_MS)
        return JOB_DONE;
    checking->removing = *object;
    return remove_one(checking, db);
}

static enum job_end take_page(struct checking *checking, struct db *db)
{
    const struct store_page *page = checking->page;
    enum job_end end = JOB_DONE;
    memcpy(checking->behind, page->last, sizeof checking->behind);
    if (checking->kind->list(&checking->store, checking->job->claimed.organization,
                             checking->page) != STORE_DONE)
        return job_later(checking->job, "%s", checking->store.error);
    checking->found.objects += (int64_t)page->count;
    checking->found.others += (int64_t)page->others;
    media_figures_count(MEDIA_checked, page->count);
    if (db_transact(db, checking->job->claimed.organization, compare, checking) != DB_OK)
        return job_later(checking->job, "%s", db_error(db));
    for (int row = 0; row < db_rows_count(checking->rows) && end == JOB_DONE; row++)
        end = job_must_stop(checking->job) ? JOB_RETURNED : take_finding(checking, db, row);
    return end;
}

/* ---- on record ---- */

/* The next part of this store, or the first one of the next; none: the day is done. */
static enum db_result make_next(struct checking *checking, struct db *db)
{
    const struct store_page *page = checking->page;
    const char *store = page->more ? checking->kind->name
                        : checking->kind == &store_disk && checking->options->s3_url ? "s3"
                                                                                     : NULL;
    json_int_t part = page->more ? checking->part + 1 : 1;
    char key[64];
    bool made;
    if (!store)
        return DB_OK;
    snprintf(key, sizeof key, "%s/%s/%lld", checking->day, store, (long long)part);
    json_t *payload = json_pack("{s:s, s:s, s:I, s:s}", "day", checking->day, "store", store,
                                "part", part, "behind", page->more ? page->last : "");
    char *text = payload ? json_dumps(payload, JSON_COMPACT) : NULL;
    enum db_result result = text ? jobs_enqueue(db, checking->job->claimed.organization,
                                                "media_check", key, text, &made)
                                 : DB_BUSY;
    free(text);
    json_decref(payload);
    return result;
}

static enum db_result put_on_record(struct db *db, void *context)
{
    struct checking *checking = context;
    enum db_result result =
        media_checks_note(db, checking->job->claimed.organization, &checking->found);
    return result == DB_OK ? make_next(checking, db) : result;
}

static enum job_end commit(struct checking *checking, struct db *db)
{
    struct media_checks_part *found = &checking->found;
    found->store = checking->kind->name;
    found->begins = checking->part == 1;
    found->complete = !checking->page->more;
    found->recordings = db_array_value(&checking->recordings);
    if (job_commit(checking->job, db, put_on_record, checking) != DB_OK)
        return job_later(checking->job, "not on record: %s", db_error(db));
    media_figures_look(db);
    log_at(found->removed + found->missing + found->lingering > 0 ? LOG_WARN : LOG_DEBUG,
           "store looked through", log_text("organization", checking->job->claimed.organization),
           log_text("store", found->store), log_number("files", (uint64_t)found->objects),
           log_number("others", (uint64_t)found->others),
           log_number("removed", (uint64_t)found->removed),
           log_number("missing", (uint64_t)found->missing),
           log_number("lingering", (uint64_t)found->lingering));
    return JOB_DONE;
}

/* ---- a part ---- */

static enum job_end go(struct checking *checking, struct db *db)
{
    struct job *job = checking->job;
    char began[MEDIA_DIR_NAME_BYTES];
    enum job_end end = JOB_DONE;
    memcpy(began, checking->page->last, sizeof began);
    for (int pages = 0; end == JOB_DONE && pages < PAGES_MAX; pages++) {
        end = job_must_stop(job) ? JOB_RETURNED : take_page(checking, db);
        if (end == JOB_DONE && !checking->page->more)
            return commit(checking, db);
    }
    if (end != JOB_DONE)
        return end;
    if (strcmp(began, checking->page->last) == 0)
        return job_later(job, "%d pages of the store's list held nothing of ours", PAGES_MAX);
    return commit(checking, db);
}

/* False: it is none of ours. */
static bool read_payload(struct checking *checking, const json_t *payload)
{
    const char *store = json_read_text(payload, "store", 8);
    const char *behind = json_read_text(payload, "behind", MEDIA_DIR_NAME_BYTES - 1);
    char id[UUID_TEXT_BYTES + 1];
    checking->day = json_read_text(payload, "day", 16);
    checking->kind = store_named(checking->options, store ? store : store_disk.name);
    if (!json_read_integer(payload, "part", 1, INT64_MAX, &checking->part))
        checking->part = 1;
    if (behind && behind[0] && !media_dir_read(behind, checking->job->claimed.organization, id))
        return false;
    snprintf(checking->page->last, sizeof checking->page->last, "%s", behind ? behind : "");
    return checking->day;
}

static enum job_end run(struct job *job, struct db *db, void *context)
{
    const struct kinds_context *given = context;
    struct checking checking = {.job = job,
                                .options = given->options,
                                .store = {.options = given->options,
                                          .must_stop = job_must_stop_asking,
                                          .context = job,
                                          .patience_ms = REMOVE_MS}};
    enum job_end end;
    checking.page = calloc(1, sizeof *checking.page);
    if (!checking.page || !db_array_open(&checking.recordings))
        end = job_later(job, "there is no memory for a page");
    else if (!read_payload(&checking, job->payload))
        end = job_dead(job, "its payload names no day, or a place that is none");
    else if (!checking.kind)
        end = job_later(job, "this control has no such store: --s3-url");
    else if (checking.part > PARTS_MAX)
        end = job_dead(job, "the store's list has no end");
    else
        end = go(&checking, db);
    db_array_free(&checking.recordings);
    db_rows_free(checking.rows);
    free(checking.page);
    return end;
}

const struct job_kind media_check = {
    .limits = {.name = "media_check", .concurrency = 2, .lease_ms = 60000},
    .pause_ms = 60000,
    .run = run,
};
