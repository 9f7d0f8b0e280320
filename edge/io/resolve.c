#include "edge/io/resolve.h"

#include "common/clock.h"
#include "common/panic.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_BYTES_MAX 255
#define NAMES_MAX      256 /* remembered; the oldest goes */
#define FRESH_NS       ((uint64_t)60 * 1000000000u)
#define STALE_NS       ((uint64_t)600 * 1000000000u)

struct question {
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
    struct mail *answer_to;
    uint64_t id;
};

struct name {
    char host[HOST_BYTES_MAX + 1]; /* "": free */
    uint64_t learnt_ns;
    struct resolved resolved; /* ports are those of whoever asked last */
};

struct resolve {
    pthread_mutex_t lock;
    pthread_cond_t asked;
    pthread_t thread;
    bool ending;
    size_t first, waiting; /* questions in a ring */
    struct question questions[RESOLVE_WAITING_MAX];
    struct name names[NAMES_MAX];
};

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
    if (address->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)address)->sin_port = htons(port);
}

/* Sends a copy. False: no memory or the mailbox is full. */
static bool answer(const struct question *question, const struct resolved *resolved)
{
    struct resolved *copy = malloc(sizeof *copy);
    if (!copy)
        return false;
    *copy = *resolved;
    for (unsigned i = 0; i < copy->count; i++)
        set_port(&copy->addresses[i], question->port);
    struct letter letter = {.kind = LETTER_RESOLVED, .id = question->id, .content = copy};
    if (mail_send(question->answer_to, letter))
        return true;
    free(copy);
    return false;
}

static bool is_numeric(const char *host, struct resolved *resolved)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&resolved->addresses[0];
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&resolved->addresses[0];
    *resolved = (struct resolved){.count = 1};
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        resolved->bytes[0] = sizeof *v4;
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        resolved->bytes[0] = sizeof *v6;
        return true;
    }
    return false;
}

/* Under the lock. Not older than so much. */
static bool remember(const struct resolve *resolve, const char *host, uint64_t age_ns,
                     struct resolved *resolved)
{
    uint64_t now_ns = clock_monotonic_ns();
    for (size_t i = 0; i < NAMES_MAX; i++) {
        const struct name *name = &resolve->names[i];
        if (strcmp(name->host, host) == 0 && now_ns - name->learnt_ns <= age_ns) {
            *resolved = name->resolved;
            return true;
        }
    }
    return false;
}

/* Under the lock. In its own place, or that of the oldest. */
static void learn(struct resolve *resolve, const char *host, const struct resolved *resolved)
{
    struct name *oldest = &resolve->names[0];
    for (size_t i = 0; i < NAMES_MAX; i++) {
        struct name *name = &resolve->names[i];
        if (strcmp(name->host, host) == 0) {
            oldest = name;
            break;
        }
        if (name->learnt_ns < oldest->learnt_ns)
            oldest = name;
    }
    snprintf(oldest->host, sizeof oldest->host, "%s", host);
    oldest->learnt_ns = clock_monotonic_ns();
    oldest->resolved = *resolved;
}

/* Blocks. */
static void look_up(const char *host, struct resolved *resolved)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    *resolved = (struct resolved){0};
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return;
    for (struct addrinfo *at = found; at && resolved->count < RESOLVE_ADDRESSES_MAX;
         at = at->ai_next) {
        if (at->ai_family != AF_INET && at->ai_family != AF_INET6)
            continue;
        memcpy(&resolved->addresses[resolved->count], at->ai_addr, at->ai_addrlen);
        resolved->bytes[resolved->count++] = at->ai_addrlen;
    }
    freeaddrinfo(found);
}

/* Under the lock, which is open while DNS is asked. */
static void serve(struct resolve *resolve, const struct question *question)
{
    struct resolved resolved;
    if (!remember(resolve, question->host, FRESH_NS, &resolved)) { /* asked twice meanwhile? */
        pthread_mutex_unlock(&resolve->lock);
        look_up(question->host, &resolved);
        pthread_mutex_lock(&resolve->lock);
        if (resolved.count)
            learn(resolve, question->host, &resolved);
        else
            remember(resolve, question->host, STALE_NS, &resolved);
    }
    answer(question, &resolved); /* refused: the asker's own deadline tells it */
}

static void *run(void *context)
{
    struct resolve *resolve = context;
    pthread_mutex_lock(&resolve->lock);
    while (!resolve->ending) {
        if (resolve->waiting == 0) {
            pthread_cond_wait(&resolve->asked, &resolve->lock);
            continue;
        }
        struct question question = resolve->questions[resolve->first];
        resolve->first = (resolve->first + 1) % RESOLVE_WAITING_MAX;
        resolve->waiting--;
        serve(resolve, &question);
    }
    pthread_mutex_unlock(&resolve->lock);
    return NULL;
}

struct resolve *resolve_open(void)
{
    struct resolve *resolve = calloc(1, sizeof *resolve);
    if (!resolve)
        return NULL;
    pthread_mutex_init(&resolve->lock, NULL);
    pthread_cond_init(&resolve->asked, NULL);
    if (pthread_create(&resolve->thread, NULL, run, resolve) == 0) {
        pthread_setname_np(resolve->thread, "resolve");
        return resolve;
    }
    pthread_cond_destroy(&resolve->asked);
    pthread_mutex_destroy(&resolve->lock);
    free(resolve);
    return NULL;
}

void resolve_close(struct resolve *resolve)
{
    if (!resolve)
        return;
    pthread_mutex_lock(&resolve->lock);
    resolve->ending = true;
    pthread_cond_signal(&resolve->asked);
    pthread_mutex_unlock(&resolve->lock);
    pthread_join(resolve->thread, NULL);
    pthread_cond_destroy(&resolve->asked);
    pthread_mutex_destroy(&resolve->lock);
    free(resolve);
}

/* Under the lock. */
static bool queue_up(struct resolve *resolve, const struct question *question)
{
    if (resolve->waiting == RESOLVE_WAITING_MAX)
        return false;
    resolve->questions[(resolve->first + resolve->waiting++) % RESOLVE_WAITING_MAX] = *question;
    pthread_cond_signal(&resolve->asked);
    return true;
}

bool resolve_ask(struct resolve *resolve, const char *host, uint16_t port, struct mail *answer_to,
                 uint64_t id)
{
    assert(answer_to);
    struct question question = {.port = port, .answer_to = answer_to, .id = id};
    struct resolved resolved;
    size_t bytes = strlen(host);
    if (bytes == 0 || bytes > HOST_BYTES_MAX)
        return false;
    memcpy(question.host, host, bytes + 1);
    if (is_numeric(host, &resolved))
        return answer(&question, &resolved);
    pthread_mutex_lock(&resolve->lock);
    bool known = remember(resolve, host, FRESH_NS, &resolved);
    bool taken = known ? answer(&question, &resolved) : queue_up(resolve, &question);
    pthread_mutex_unlock(&resolve->lock);
    return taken;
}
