#include "edge/report/link.h"

#include "common/clock.h"
#include "common/link_proto.h"
#include "common/log.h"
#include "common/panic.h"
#include "edge/report/link_line.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>

/* Letters that the link's own mailbox takes. Requests are bounded by their count, wake-ups by there
 * being one until it is answered, so the box is never full in practice; if it is, the sender is
 * told no, and the bell has been rung already. */
enum post { POST_REQUEST, POST_WAKE };
#define MAILBOX_LETTERS (LINK_REQUESTS_MAX * 2)

/* An event on its way into the store. A list and not letters, because a drain ends all calls at
 * once and their last events must not depend on how large a mailbox is. */
struct arrival {
    struct arrival *next;
    char *json;
    size_t json_bytes;
};

struct link {
    struct link_config config;
    struct mail *mailbox;
    pthread_t thread;
    pthread_mutex_t arrivals_lock;
    struct arrival *arrivals, **arrivals_end;
    uint64_t close_ms; /* atomic; 0: run, else end at this time at the latest */
    struct link_peer *peer;
    struct link_line line;
};

static uint64_t now_ms(void)
{
    return clock_monotonic_ns() / 1000000;
}

/* The thread's side. */

static void take_letters(struct link *link)
{
    struct letter letter;
    while (mail_receive(link->mailbox, &letter))
        if (letter.kind == POST_REQUEST)
            link_requests_add(&link->peer->requests, letter.content);
}

static struct arrival *detach_arrivals(struct link *link)
{
    pthread_mutex_lock(&link->arrivals_lock);
    struct arrival *arrivals = link->arrivals;
    link->arrivals = NULL;
    link->arrivals_end = &link->arrivals;
    pthread_mutex_unlock(&link->arrivals_lock);
    return arrivals;
}

static void refuse_event(struct link_figures *figures, size_t json_bytes)
{
    FIGURE_ADD(figures, events_refused, 1);
    FIGURE_SUB(figures, events_waiting, 1);
    FIGURE_SUB(figures, events_bytes, json_bytes + LINK_EVENT_COST);
}

static void take_arrivals(struct link *link)
{
    struct arrival *next;
    for (struct arrival *at = detach_arrivals(link); at; at = next) {
        next = at->next;
        if (!link_store_put(&link->peer->store, at->json, at->json_bytes)) {
            refuse_event(&link->peer->figures, at->json_bytes);
            free(at->json);
        }
        free(at);
    }
}

static int wait_ms(uint64_t due_ms, uint64_t time_ms)
{
    if (due_ms == UINT64_MAX)
        return -1;
    if (due_ms <= time_ms)
        return 0;
    return due_ms - time_ms < INT_MAX ? (int)(due_ms - time_ms) : INT_MAX;
}

static uint64_t earlier(uint64_t left_ms, uint64_t right_ms)
{
    return left_ms < right_ms ? left_ms : right_ms;
}

/* Asked to end, and nothing left to wait for? */
static bool is_over(const struct link *link)
{
    uint64_t close_ms = __atomic_load_n(&link->close_ms, __ATOMIC_ACQUIRE);
    return close_ms && (now_ms() >= close_ms || link_store_waiting(&link->peer->store) == 0);
}

static void sleep_until_due(struct link *link, bool letters_kept)
{
    uint64_t time_ms = now_ms();
    uint64_t due_ms = earlier(link_line_due_ms(&link->line), link_peer_expires_ms(link->peer));
    uint64_t close_ms = __atomic_load_n(&link->close_ms, __ATOMIC_ACQUIRE);
    if (letters_kept)
        due_ms = earlier(due_ms, time_ms + LINK_POST_RETRY_MS);
    if (close_ms)
        due_ms = is_over(link) ? 0 : earlier(due_ms, close_ms);
    struct pollfd polls[2] = {{.fd = mail_doorbell(link->mailbox), .events = POLLIN},
                              link_line_poll(&link->line)};
    poll(polls, 2, wait_ms(due_ms, time_ms));
}

static void *run(void *context)
{
    struct link *link = context;
    for (;;) {
        bool over = is_over(link); /* asked first, so that arrivals before the order count */
        take_letters(link);
        take_arrivals(link);
        if (over && is_over(link))
            return NULL;
        link_peer_expire(link->peer, now_ms());
        link_line_turn(&link->line, now_ms());
        sleep_until_due(link, link_post_retry(&link->peer->post));
    }
}

/* The boot thread's side. */

static void release(struct link *link)
{
    struct letter letter;
    while (link->mailbox && mail_receive(link->mailbox, &letter))
        if (letter.kind == POST_REQUEST)
            link_request_free(letter.content);
    if (link->peer) {
        take_arrivals(link);
        link_peer_close(link->peer);
    }
    mail_close(link->mailbox);
    pthread_mutex_destroy(&link->arrivals_lock);
    free(link);
}

/* Signals are the boot thread's business. */
static bool start(struct link *link)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&link->thread, NULL, run, link) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        pthread_setname_np(link->thread, "link");
    return started;
}

struct link *link_open(const struct link_config *config, char *error, size_t room)
{
    struct link *link = calloc(1, sizeof *link);
    if (!link) {
        snprintf(error, room, "no memory for the link to control");
        return NULL;
    }
    link->config = *config;
    if (link->config.store_bytes_max == 0)
        link->config.store_bytes_max = LINK_STORE_BYTES_MAX;
    link->arrivals_end = &link->arrivals;
    pthread_mutex_init(&link->arrivals_lock, NULL);
    link->mailbox = mail_open(MAILBOX_LETTERS);
    link->peer = link_peer_open(config->cores_count, config->inboxes, now_ms());
    if (link->peer)
        link->peer->facts = config->facts;
    if (!link->mailbox || !link->peer)
        snprintf(error, room, "no memory or descriptors for the link to control");
    else if (!link_line_open(&link->line, link->peer, config->path, now_ms()))
        snprintf(error, room, "the path of control's socket is empty or too long: %s",
                 config->path);
    else if (!start(link))
        snprintf(error, room, "no thread for the link to control");
    else
        return link;
    release(link);
    return NULL;
}

void link_close(struct link *link, unsigned wait_ms_max)
{
    if (!link)
        return;
    __atomic_store_n(&link->close_ms, now_ms() + wait_ms_max, __ATOMIC_RELEASE);
    mail_send(link->mailbox, (struct letter){.kind = POST_WAKE});
    pthread_join(link->thread, NULL);
    uint64_t lost = FIGURE_GET(&link->peer->figures, events_waiting);
    if (lost)
        log_error("events lost: control did not acknowledge them before the edge ended",
                  log_number("events", lost));
    link_line_close(&link->line);
    release(link);
}

/* The cores' and the metrics thread's side. */

static bool post_request(struct link *link, struct link_request *request)
{
    struct letter letter = {.kind = POST_REQUEST, .content = request};
    return mail_send(link->mailbox, letter);
}

/* Counts a request in. False when there are too many, or too many bytes of them. */
static bool admit_request(struct link *link, size_t bytes)
{
    struct link_figures *figures = &link->peer->figures;
    bool number = FIGURE_ADD(figures, requests_waiting, 1) <= LINK_REQUESTS_MAX;
    bool room = FIGURE_ADD(figures, requests_bytes, bytes) <= LINK_REQUESTS_BYTES_MAX;
    if (number && room)
        return true;
    FIGURE_SUB(figures, requests_waiting, 1);
    FIGURE_SUB(figures, requests_bytes, bytes);
    return false;
}

static bool send_request(struct link *link, unsigned core, uint64_t id, char *json,
                         size_t json_bytes, struct span body, unsigned deadline_ms)
{
    size_t frame_bytes = LINK_HEADER_BYTES + LINK_REQUEST_ENDING_BYTES + json_bytes + body.bytes;
    struct link_figures *figures = &link->peer->figures;
    assert(json_bytes > 2 && json[0] == '{' && json[json_bytes - 1] == '}');
    if (frame_bytes <= LINK_FRAME_BYTES_MAX && admit_request(link, json_bytes + body.bytes)) {
        struct link_request *request = link_request_make(json, json_bytes, body);
        if (request) {
            request->core = core;
            request->id = id;
            request->deadline_ms = now_ms() + deadline_ms;
            if (post_request(link, request))
                return true;
            request->json = NULL; /* freed below, like any other refused one */
            link_request_free(request);
        }
        FIGURE_SUB(figures, requests_waiting, 1);
        FIGURE_SUB(figures, requests_bytes, json_bytes + body.bytes);
    }
    FIGURE_ADD(figures, requests_refused, 1);
    free(json);
    return false;
}

bool link_request(struct link *link, unsigned core, uint64_t id, char *json, size_t json_bytes,
                  struct span body, unsigned deadline_ms)
{
    assert(core < link->config.cores_count);
    return send_request(link, core, id, json, json_bytes, body, deadline_ms);
}

static void add_arrival(struct link *link, struct arrival *arrival)
{
    pthread_mutex_lock(&link->arrivals_lock);
    bool first = link->arrivals == NULL;
    *link->arrivals_end = arrival;
    link->arrivals_end = &arrival->next;
    pthread_mutex_unlock(&link->arrivals_lock);
    if (first)
        mail_send(link->mailbox, (struct letter){.kind = POST_WAKE});
}

bool link_event(struct link *link, char *json, size_t json_bytes)
{
    struct link_figures *figures = &link->peer->figures;
    size_t cost = json_bytes + LINK_EVENT_COST;
    assert(json_bytes >= 2 && json[0] == '{' && json[json_bytes - 1] == '}');
    FIGURE_ADD(figures, events_waiting, 1);
    bool room = FIGURE_ADD(figures, events_bytes, cost) <= link->config.store_bytes_max &&
                json_bytes <= LINK_EVENT_BYTES_MAX;
    struct arrival *arrival = room ? malloc(sizeof *arrival) : NULL;
    if (!arrival) {
        refuse_event(figures, json_bytes);
        free(json);
        return false;
    }
    *arrival = (struct arrival){.json = json, .json_bytes = json_bytes};
    add_arrival(link, arrival);
    return true;
}

static bool has_room(const struct link *link)
{
    size_t max = link->config.store_bytes_max;
    return FIGURE_GET(&link->peer->figures, events_bytes) <= max - max / 8;
}

bool link_ready(const struct link *link)
{
    return FIGURE_GET(&link->peer->figures, greetings) > 0 && has_room(link);
}

const char *link_unready(const struct link *link)
{
    const struct link_figures *figures = &link->peer->figures;
    if (FIGURE_GET(figures, greetings) == 0)
        return "control has not answered yet";
    if (!has_room(link))
        return "too many events wait for control";
    if (!FIGURE_GET(figures, up) && now_ms() >= FIGURE_GET(figures, gone_ms) + LINK_AWAY_MS)
        return "control is away";
    return NULL;
}

char *link_control_metrics(struct link *link, unsigned wait_ms_max, size_t *bytes)
{
    static const char json[] = "{\"kind\":\"metrics\"}";
    *bytes = 0;
    if (!FIGURE_GET(&link->peer->figures, up))
        return NULL;
    char *copy = strdup(json);
    if (!copy)
        return NULL;
    uint64_t number = link_scrape_ask(&link->peer->scrape);
    if (!send_request(link, LINK_SCRAPE_CORE, number, copy, strlen(json), (struct span){NULL, 0},
                      wait_ms_max))
        link_scrape_answer(&link->peer->scrape, number, (struct span){NULL, 0});
    return link_scrape_wait(&link->peer->scrape, wait_ms_max, bytes);
}

void link_metrics_write(FILE *out, const struct link *link)
{
    link_figures_write(out, &link->peer->figures);
}
