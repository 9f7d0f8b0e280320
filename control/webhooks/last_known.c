#include "control/webhooks/last_known.h"

#include "common/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_BYTES 128 /* an account, a slash, a number; longer ones are not remembered */

struct entry {
    char key[KEY_BYTES]; /* "": free */
    uint64_t noted_ms;
    struct db_rows *rows;
};

struct last_known {
    pthread_mutex_t lock;
    struct entry entries[LAST_KNOWN_SETS][LAST_KNOWN_WAYS];
};

struct last_known *last_known_open(void)
{
    struct last_known *known = calloc(1, sizeof *known);
    if (known)
        pthread_mutex_init(&known->lock, NULL);
    return known;
}

void last_known_close(struct last_known *known)
{
    if (!known)
        return;
    for (size_t set = 0; set < LAST_KNOWN_SETS; set++)
        for (size_t way = 0; way < LAST_KNOWN_WAYS; way++)
            db_rows_free(known->entries[set][way].rows);
    pthread_mutex_destroy(&known->lock);
    free(known);
}

static uint64_t now_ms(void)
{
    return clock_monotonic_ns() / 1000000u;
}

static bool make_key(const char *account, const char *number, char key[KEY_BYTES])
{
    int length = snprintf(key, KEY_BYTES, "%s/%s", account, number);
    return length > 0 && length < KEY_BYTES;
}

static struct entry *set_of(struct last_known *known, const char *key)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *key; key++)
        hash = (hash ^ (uint8_t)*key) * 16777619u;
    return known->entries[hash % LAST_KNOWN_SETS];
}

static struct entry *find(struct last_known *known, const char *key)
{
    struct entry *set = set_of(known, key);
    for (size_t way = 0; way < LAST_KNOWN_WAYS; way++)
        if (strcmp(set[way].key, key) == 0)
            return &set[way];
    return NULL;
}

/* Its own place, a free one, or that of the one noted longest ago. */
static struct entry *make_room(struct last_known *known, const char *key)
{
    struct entry *own = find(known, key), *set = set_of(known, key), *oldest = &set[0];
    for (size_t way = 1; way < LAST_KNOWN_WAYS; way++)
        if (set[way].noted_ms < oldest->noted_ms)
            oldest = &set[way];
    return own ? own : oldest;
}

static void clear(struct entry *entry)
{
    db_rows_free(entry->rows);
    *entry = (struct entry){.rows = NULL};
}

/* Is what stands there new enough? */
static bool fresh(struct last_known *known, const char *key)
{
    pthread_mutex_lock(&known->lock);
    const struct entry *entry = find(known, key);
    bool is_fresh = entry && now_ms() - entry->noted_ms < LAST_KNOWN_REFRESH_MS;
    pthread_mutex_unlock(&known->lock);
    return is_fresh;
}

static void replace(struct last_known *known, const char *key, struct db_rows *rows)
{
    pthread_mutex_lock(&known->lock);
    struct entry *entry = rows ? make_room(known, key) : find(known, key);
    if (entry)
        clear(entry);
    if (rows) {
        memcpy(entry->key, key, strlen(key) + 1);
        entry->noted_ms = now_ms();
        entry->rows = rows;
    }
    pthread_mutex_unlock(&known->lock);
}

void last_known_note(struct last_known *known, const char *account, const char *number,
                     const struct calls_incoming *call)
{
    char key[KEY_BYTES];
    if (!make_key(account, number, key))
        return;
    if (call->found != CALLS_FOUND)
        replace(known, key, NULL);
    else if (!fresh(known, key))
        replace(known, key, db_rows_copy(call->rows));
}

bool last_known_find(struct last_known *known, const char *account, const char *number,
                     const char *call_sid, const struct seal *seal, struct calls_incoming *call)
{
    char key[KEY_BYTES];
    struct db_rows *rows = NULL;
    *call = (struct calls_incoming){.found = CALLS_INVALID};
    if (!make_key(account, number, key))
        return false;
    pthread_mutex_lock(&known->lock);
    const struct entry *entry = find(known, key);
    if (entry && now_ms() - entry->noted_ms < LAST_KNOWN_AGE_MS)
        rows = db_rows_copy(entry->rows);
    pthread_mutex_unlock(&known->lock);
    return rows && calls_incoming_again(rows, account, call_sid, seal, call);
}
