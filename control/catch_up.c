#include "control/catch_up.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/panic.h"
#include "control/link/journal.h"
#include "control/router.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct catch_up {
    const struct service *service;
    struct db_config db;
    pthread_t thread;
    atomic_bool closing;
    unsigned failures; /* of the oldest, while the database was there */
};

static void rest(void)
{
    nanosleep(&(struct timespec){.tv_nsec = CATCH_UP_RETRY_MS * 1000000L}, NULL);
}

static bool settle(struct catch_up *catch_up, enum metrics_outcome outcome, int64_t kept_ms)
{
    struct journal *journal = catch_up->service->journal;
    bool failed = outcome == OUTCOME_failed || outcome == OUTCOME_malformed;
    if (outcome == OUTCOME_unavailable || (failed && ++catch_up->failures < CATCH_UP_TRIES))
        return false;
    catch_up->failures = 0;
    if (failed) {
        COUNT(catch_up->service->metrics, journal_refused);
        log_error("a kept webhook cannot be stored and is put aside",
                  log_text("result", metrics_outcome_name(outcome)),
                  log_number("received_ms", kept_ms));
        journal_refuse(journal);
    } else {
        COUNT(catch_up->service->metrics, journal_stored);
        journal_drop(journal);
    }
    UNCOUNT(catch_up->service->metrics, journal_waiting);
    return true;
}

/* The oldest; false: not now. */
static bool store_one(struct catch_up *catch_up, struct db *db)
{
    struct link_frame frame;
    uint8_t *block;
    if (!journal_first(catch_up->service->journal, &frame, &block))
        return false;
    enum metrics_outcome outcome = router_store_kept(catch_up->service, db, &frame);
    int64_t kept_ms = (int64_t)frame.id;
    free(block);
    return settle(catch_up, outcome, kept_ms);
}

static void *store_kept(void *argument)
{
    struct catch_up *catch_up = argument;
    struct journal *journal = catch_up->service->journal;
    struct db *db = db_open(&catch_up->db);
    assert(db);
    while (!atomic_load(&catch_up->closing)) {
        journal_await(journal, 1000);
        if (journal_is_empty(journal) || store_one(catch_up, db))
            continue;
        rest();
    }
    db_close(db);
    return NULL;
}

struct catch_up *catch_up_open(const struct service *service, const struct db_config *db,
                               char *error, size_t room)
{
    struct catch_up *catch_up = calloc(1, sizeof *catch_up);
    assert(service->journal);
    if (catch_up) {
        catch_up->service = service;
        catch_up->db = *db;
        COUNT_BY(service->metrics, journal_waiting, journal_count(service->journal));
        if (pthread_create(&catch_up->thread, NULL, store_kept, catch_up) == 0)
            return catch_up;
    }
    snprintf(error, room, "no thread for the journal");
    free(catch_up);
    return NULL;
}

void catch_up_close(struct catch_up *catch_up)
{
    if (!catch_up)
        return;
    atomic_store(&catch_up->closing, true);
    journal_wake(catch_up->service->journal);
    pthread_join(catch_up->thread, NULL);
    free(catch_up);
}
