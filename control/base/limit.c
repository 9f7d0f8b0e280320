#include "control/base/limit.h"

#include "common/panic.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS 1000000000ull
#define KEY_BYTES 48

struct entry {
    char key[KEY_BYTES]; /* "": free */
    uint64_t used_until_ns;
};

struct limit {
    pthread_mutex_t lock;
    struct entry sets[LIMIT_SETS][LIMIT_WAYS];
};

struct limit *limit_open(void)
{
    struct limit *limit = calloc(1, sizeof *limit);
    if (limit)
        pthread_mutex_init(&limit->lock, NULL);
    return limit;
}

void limit_close(struct limit *limit)
{
    if (limit)
        pthread_mutex_destroy(&limit->lock);
    free(limit);
}

/* FNV-1a. Keys are ids of tokens that we made, or addresses: nobody gains by a collision. */
static struct entry *find_set(struct limit *limit, const char *key)
{
    uint64_t hash = 0xcbf29ce484222325ull;
    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 0x100000001b3ull;
    return limit->sets[(hash ^ hash >> 32) % LIMIT_SETS];
}

/* Its entry; if there is none, the one it may have, which has used up least. */
static struct entry *find_entry(struct limit *limit, const char *key, bool *known)
{
    struct entry *set = find_set(limit, key), *least = set;
    *known = true;
    for (int way = 0; way < LIMIT_WAYS; way++) {
        if (strcmp(set[way].key, key) == 0)
            return &set[way];
        if (set[way].used_until_ns < least->used_until_ns)
            least = &set[way];
    }
    *known = false;
    return least;
}

static unsigned seconds_up(uint64_t ns)
{
    return (unsigned)((ns + SECOND_NS - 1) / SECOND_NS);
}

bool limit_take(struct limit *limit, const char *key, unsigned per_minute, uint64_t now_ns,
                unsigned *wait_s)
{
    assert(per_minute > 0 && key[0] && strlen(key) < KEY_BYTES);
    bool known;
    uint64_t each_ns = 60 * SECOND_NS / per_minute;
    uint64_t ahead_ns = each_ns * (per_minute / LIMIT_BURST);
    if (ahead_ns < each_ns)
        ahead_ns = each_ns;
    pthread_mutex_lock(&limit->lock);
    struct entry *entry = find_entry(limit, key, &known);
    uint64_t from_ns = known && entry->used_until_ns > now_ns ? entry->used_until_ns : now_ns;
    bool taken = from_ns + each_ns <= now_ns + ahead_ns;
    *wait_s = taken ? 0 : seconds_up(from_ns + each_ns - now_ns - ahead_ns);
    if (taken) {
        if (!known)
            memcpy(entry->key, key, strlen(key) + 1);
        entry->used_until_ns = from_ns + each_ns;
    }
    pthread_mutex_unlock(&limit->lock);
    return taken;
}
