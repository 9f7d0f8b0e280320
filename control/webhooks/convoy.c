#include "control/webhooks/convoy.h"

#include "common/panic.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum place { WAITING, UNDER_WAY, BACK };

/* One worker's call, on that worker's stack. */
struct seat {
    const struct calls_webhook *webhook;
    struct db *db;
    struct seat *next;
    pthread_cond_t turn; /* it may leave, or it is back */
    enum place place;
    enum db_result result;
    struct db_rows *rows; /* its answer; NULL with DB_OK: to be asked alone */
};

struct convoy {
    struct metrics *metrics;
    unsigned patience_ms;
    pthread_mutex_t lock;
    pthread_condattr_t monotonic;
    struct seat *first, **last; /* waiting */
    unsigned under_way;
    struct db *idle[CONVOYS_MAX]; /* connections that nobody travels with */
    unsigned idle_count;
};

struct convoy *convoy_open(const struct db_config *config, unsigned patience_ms,
                           struct metrics *metrics)
{
    struct convoy *convoy = calloc(1, sizeof *convoy);
    if (!convoy)
        return NULL;
    convoy->metrics = metrics;
    convoy->patience_ms = patience_ms;
    for (; convoy->idle_count < CONVOYS_MAX; convoy->idle_count++) {
        convoy->idle[convoy->idle_count] = db_open(config);
        assert(convoy->idle[convoy->idle_count]); /* no memory at boot */
    }
    convoy->last = &convoy->first;
    pthread_mutex_init(&convoy->lock, NULL);
    pthread_condattr_init(&convoy->monotonic);
    pthread_condattr_setclock(&convoy->monotonic, CLOCK_MONOTONIC);
    return convoy;
}

void convoy_close(struct convoy *convoy)
{
    if (!convoy)
        return;
    assert(!convoy->first && convoy->under_way == 0 && convoy->idle_count == CONVOYS_MAX);
    for (unsigned i = 0; i < CONVOYS_MAX; i++)
        db_close(convoy->idle[i]);
    pthread_condattr_destroy(&convoy->monotonic);
    pthread_mutex_destroy(&convoy->lock);
    free(convoy);
}

/* ---- with the lock held ---- */

static void queue(struct convoy *convoy, struct seat *seat)
{
    pthread_cond_init(&seat->turn, &convoy->monotonic);
    *convoy->last = seat;
    convoy->last = &seat->next;
    COUNT(convoy->metrics, calls_waiting);
}

/* Those who have waited longest. */
static int board(struct convoy *convoy, struct seat *seats[CALLS_TOGETHER_MAX])
{
    int count = 0;
    while (convoy->first && count < CALLS_TOGETHER_MAX) {
        struct seat *seat = convoy->first;
        assert(seat->place == WAITING);
        convoy->first = seat->next;
        seat->place = UNDER_WAY;
        seats[count++] = seat;
    }
    if (!convoy->first)
        convoy->last = &convoy->first;
    convoy->under_way++;
    UNCOUNT_BY(convoy->metrics, calls_waiting, (unsigned)count);
    if (count > 1)
        COUNT_BY(convoy->metrics, calls_together, (unsigned)count);
    return count;
}

static void come_back(struct convoy *convoy, struct seat *seats[], int count)
{
    assert(convoy->under_way > 0);
    convoy->under_way--;
    for (int i = 0; i < count; i++) {
        seats[i]->place = BACK;
        pthread_cond_signal(&seats[i]->turn);
    }
    if (convoy->first)
        pthread_cond_signal(&convoy->first->turn);
}

/* ---- under way ---- */

/* What went wrong is said where each looks for it. The workers wait, so their connections are not
 * in use. */
static void ask(struct db *db, struct seat *seats[], int count)
{
    const struct calls_webhook *webhooks[CALLS_TOGETHER_MAX];
    struct db_rows *rows[CALLS_TOGETHER_MAX];
    for (int i = 0; i < count; i++)
        webhooks[i] = seats[i]->webhook;
    enum db_result result = calls_incoming_together(db, webhooks, count, rows);
    for (int i = 0; i < count; i++) {
        seats[i]->rows = rows[i];
        seats[i]->result = result == DB_AWAY ? DB_AWAY : DB_OK;
        if (result == DB_AWAY && seats[i]->db != db)
            db_share_error(seats[i]->db, db);
    }
}

static void lead(struct convoy *convoy, struct seat *self)
{
    struct seat *seats[CALLS_TOGETHER_MAX];
    int count = board(convoy, seats);
    struct db *db = convoy->idle_count ? convoy->idle[--convoy->idle_count] : NULL;
    pthread_mutex_unlock(&convoy->lock);
    ask(db ? db : self->db, seats, count);
    pthread_mutex_lock(&convoy->lock);
    if (db)
        convoy->idle[convoy->idle_count++] = db;
    come_back(convoy, seats, count);
}

static bool has_passed(const struct timespec *moment)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > moment->tv_sec ||
           (now.tv_sec == moment->tv_sec && now.tv_nsec >= moment->tv_nsec);
}

static void travel(struct convoy *convoy, struct seat *seat)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += convoy->patience_ms / 1000;
    until.tv_nsec += convoy->patience_ms % 1000 * 1000000l;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&convoy->lock);
    queue(convoy, seat);
    while (seat->place != BACK) {
        if (seat->place == UNDER_WAY)
            pthread_cond_wait(&seat->turn, &convoy->lock);
        else if (convoy->under_way < CONVOYS_MAX || has_passed(&until))
            lead(convoy, seat); /* the first ones; this seat is among them, or comes nearer */
        else
            pthread_cond_timedwait(&seat->turn, &convoy->lock, &until);
    }
    pthread_mutex_unlock(&convoy->lock);
    pthread_cond_destroy(&seat->turn);
}

enum db_result convoy_incoming(struct convoy *convoy, struct db *db, const struct seal *seal,
                               const struct calls_webhook *webhook, struct calls_incoming *incoming)
{
    struct seat seat = {.webhook = webhook, .db = db, .place = WAITING};
    if (!convoy || !calls_may_go_together(webhook))
        return calls_incoming(db, seal, webhook, incoming);
    travel(convoy, &seat);
    if (seat.result == DB_OK && !seat.rows)
        return calls_incoming(db, seal, webhook, incoming);
    calls_incoming_read(seat.rows, seal, incoming);
    return seat.result;
}
