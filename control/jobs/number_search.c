/* number_search: asks the carrier which numbers it has to give away, for somebody who waits for it.
 *
 * Nothing is bought or held by it, so it is harmless to repeat. It ends soon and in words: what may
 * mend is tried again as often as the job has tries, unless the carrier wants a longer pause than
 * anybody waits for; then, and at the last try, the search says why it has failed. */
#include "control/base/json_read.h"
#include "control/carrier/carrier_search.h"
#include "control/jobs/kinds.h"
#include "control/store/number_searches.h"

#include <stdlib.h>

#define PAUSE_MS_MOST 30000

struct searching {
    struct job *job;
    const char *search, *error;
    json_t *numbers;
    size_t enough;
};

/* ---- how it ends ---- */

static enum db_result put_numbers(struct db *db, void *context)
{
    const struct searching *searching = context;
    char *text = json_dumps(searching->numbers, JSON_COMPACT);
    enum db_result result = number_searches_done(db, searching->search, text ? text : "[]");
    free(text);
    return result;
}

static enum db_result put_error(struct db *db, void *context)
{
    const struct searching *searching = context;
    return number_searches_fail(db, searching->search, searching->error);
}

static enum job_end end_with(struct searching *searching, struct db *db,
                             enum db_result (*put)(struct db *db, void *context))
{
    if (job_commit(searching->job, db, put, searching) != DB_OK)
        return job_later(searching->job, "not on record: %s", db_error(db));
    return JOB_DONE;
}

static enum job_end fail(struct searching *searching, struct db *db, const char *why)
{
    searching->error = why;
    return end_with(searching, db, put_error);
}

static enum job_end try_again_or_fail(struct searching *searching, struct db *db,
                                      const struct http_client_response *response)
{
    struct job *job = searching->job;
    enum job_end end = job_asked(job, response);
    bool hopeless = end == JOB_DEAD || job->pause_least_ms > PAUSE_MS_MOST ||
                    job->claimed.tries >= job->claimed.max_tries;
    return end != JOB_RETURNED && hopeless ? fail(searching, db, response->error) : end;
}

/* ---- asking ---- */

static bool keep(const struct carrier_search_found *found, void *context)
{
    struct searching *searching = context;
    json_array_append_new(searching->numbers, carrier_search_write(found));
    return json_array_size(searching->numbers) < searching->enough;
}

static enum job_end ask(struct searching *searching, struct db *db, const struct db_rows *rows,
                        const struct twilio_rest *rest)
{
    const struct carrier_search search = {.country = db_cell(rows, 0, SEARCH_COUNTRY),
                                          .kind = db_cell(rows, 0, SEARCH_KIND),
                                          .area_code = db_cell(rows, 0, SEARCH_AREA),
                                          .contains = db_cell(rows, 0, SEARCH_CONTAINS)};
    struct http_client_response response;
    searching->numbers = json_array();
    searching->enough = (size_t)db_cell_number(rows, 0, SEARCH_LIMIT);
    enum job_end end = carrier_search_run(rest, &search, keep, searching, &response)
                           ? end_with(searching, db, put_numbers)
                           : try_again_or_fail(searching, db, &response);
    http_client_free(&response);
    json_decref(searching->numbers);
    return end;
}

static enum job_end open_and_ask(struct searching *searching, struct db *db,
                                 const struct db_rows *rows, const struct options *options)
{
    const char *own = db_cell(rows, 0, SEARCH_OWN_ACCOUNT);
    struct twilio_rest rest;
    char error[256];
    switch (twilio_rest_open(&rest, db, options, own ? own : options->account_sid, error,
                             sizeof error)) {
    case TWILIO_REST_OPENED:
        break;
    case TWILIO_REST_UNKNOWN:
        return fail(searching, db, error);
    case TWILIO_REST_AWAY:
        return job_later(searching->job, "%s", db_error(db));
    }
    rest.must_stop = job_must_stop_asking;
    rest.context = searching->job;
    enum job_end end = ask(searching, db, rows, &rest);
    twilio_rest_close(&rest);
    return end;
}

static enum job_end run(struct job *job, struct db *db, void *context)
{
    const struct kinds_context *given = context;
    struct searching searching = {
        .job = job, .search = json_read_text(job->payload, "search", UUID_TEXT_BYTES)};
    struct db_rows *rows = NULL;
    enum job_end end = JOB_DONE;
    if (!searching.search)
        return job_dead(job, "its payload names no search");
    if (number_searches_read(db, job->claimed.organization, searching.search, &rows) != DB_OK)
        end = job_later(job, "%s", db_error(db));
    else if (db_rows_count(rows) == 1) /* else it is over, or nobody waits for it any more */
        end = open_and_ask(&searching, db, rows, given->options);
    db_rows_free(rows);
    return end;
}

const struct job_kind number_search = {
    .limits = {.name = "number_search", .concurrency = 4, .per_minute = 240, .lease_ms = 30000},
    .pause_ms = 1000,
    .pause_ms_max = 4000,
    .run = run,
};
