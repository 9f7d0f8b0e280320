/* The listener, over real sockets: what it says, to whom it says no, when it calls a core stuck. */
#include "common/log.h"
#include "edge/report/expose.h"
#include "edge/report/pulse.h"
#include "tests/report/check.h"
#include "tests/report/link_control.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CORES 2

struct scene {
    struct metrics metrics[CORES];
    bool draining;
    struct expose *expose;
    pthread_t turner;
    unsigned turning; /* atomic: cores below this turn */
    bool ended;       /* atomic */
    char answer[1 << 20];
};

/* Plays the cores: a turn every 20 ms each. */
static void *turn(void *context)
{
    struct scene *scene = context;
    while (!__atomic_load_n(&scene->ended, __ATOMIC_RELAXED)) {
        unsigned turning = __atomic_load_n(&scene->turning, __ATOMIC_RELAXED);
        for (unsigned i = 0; i < turning; i++)
            COUNT(&scene->metrics[i], turns);
        poll(NULL, 0, 20);
    }
    return NULL;
}

static void open_expose(struct scene *scene, struct link *link)
{
    char error[256] = "";
    struct expose_config config = {.address = "127.0.0.1:0",
                                   .cores_count = CORES,
                                   .metrics = {&scene->metrics[0], &scene->metrics[1]},
                                   .link = link,
                                   .draining = &scene->draining};
    scene->expose = expose_open(&config, error, sizeof error);
    if (!scene->expose)
        fail_msg("%s", error);
}

static int begin(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    scene->turning = CORES;
    if (pthread_create(&scene->turner, NULL, turn, scene) != 0)
        return -1;
    open_expose(scene, NULL);
    *state = scene;
    return 0;
}

static int end(void **state)
{
    struct scene *scene = *state;
    expose_close(scene->expose);
    __atomic_store_n(&scene->ended, true, __ATOMIC_RELAXED);
    pthread_join(scene->turner, NULL);
    free(scene);
    return 0;
}

static int dial(const struct scene *scene)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(expose_port(scene->expose))};
    struct timeval patience = {.tv_sec = 20};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(0, connect(client, (struct sockaddr *)&address, sizeof address));
    return client;
}

/* Everything until the server closes; the connection must end in order, not by a reset. */
static size_t hear(struct scene *scene, int client)
{
    size_t bytes = 0;
    ssize_t taken;
    while ((taken = recv(client, scene->answer + bytes, sizeof scene->answer - 1 - bytes, 0)) > 0)
        bytes += (size_t)taken;
    assert_int_equal(0, taken);
    scene->answer[bytes] = '\0';
    close(client);
    return bytes;
}

/* The status; answer holds the whole text. */
static int ask(struct scene *scene, const char *request)
{
    int client = dial(scene), status = 0;
    size_t bytes = strlen(request);
    assert_int_equal(bytes, send(client, request, bytes, MSG_NOSIGNAL));
    hear(scene, client);
    assert_int_equal(1, sscanf(scene->answer, "HTTP/1.1 %d ", &status));
    return status;
}

static int get(struct scene *scene, const char *path)
{
    char request[256];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    return ask(scene, request);
}

static const char *body(const struct scene *scene)
{
    const char *at = strstr(scene->answer, "\r\n\r\n");
    assert_non_null(at);
    return at + 4;
}

static void shows_figures(void **state)
{
    struct scene *scene = *state;
    size_t length = 0;
    assert_int_equal(200, get(scene, "/metrics"));
    assert_non_null(strstr(scene->answer, "\r\nContent-Type: text/plain; version=0.0.4"));
    const char *field = strstr(scene->answer, "\r\nContent-Length: ");
    assert_int_equal(1, sscanf(field, "\r\nContent-Length: %zu", &length));
    assert_int_equal(length, strlen(body(scene)));
    assert_non_null(strstr(body(scene), "\nringbridge_calls{state=\"live\"} 0\n"));
    assert_int_equal(200, get(scene, "/metrics?name=x"));
    assert_int_equal(200, get(scene, "/healthz"));
    assert_string_equal("ok\n", body(scene));
    assert_int_equal(200, get(scene, "/readyz"));
}

static void answers_what_it_does_not_serve(void **state)
{
    struct scene *scene = *state;
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", 404},
        {"GET /metricsx HTTP/1.1\r\n\r\n", 404},
        {"GET /../metrics HTTP/1.1\r\n\r\n", 404},
        {"GET  HTTP/1.1\r\n\r\n", 404},
        {"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405},
        {"get /metrics HTTP/1.1\r\n\r\n", 405},
        {"GET /metrics\r\n\r\n", 400},
        {"GET /metrics HTTP/2.0\r\n\r\n", 400},
        {"GET /metrics HTTP/1.1 \r\n\r\n", 400},
        {"\r\n\r\n", 400},
        {" \r\n\r\n", 400},
        {"GET /healthz HTTP/1.0\r\n\r\n", 200},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (ask(scene, cases[i].request) != cases[i].status)
            fail_msg("%s: %.40s", cases[i].request, scene->answer);
}

/* n - 1, n, n + 1; and the answer arrives although more was sent than is ever read. */
static void bounds_the_head(void **state)
{
    struct scene *scene = *state;
    for (int bytes = EXPOSE_HEAD_BYTES_MAX - 1; bytes <= EXPOSE_HEAD_BYTES_MAX + 1; bytes++) {
        char head[EXPOSE_HEAD_BYTES_MAX + 64];
        const char *start = "GET /healthz HTTP/1.1\r\nX: ";
        int pad = bytes - (int)strlen(start) - 4;
        snprintf(head, sizeof head, "%s%0*d\r\n\r\n", start, pad, 0);
        assert_int_equal(bytes, strlen(head));
        assert_int_equal(bytes <= EXPOSE_HEAD_BYTES_MAX ? 200 : 431, ask(scene, head));
    }
    static char flood[40000];
    memset(flood, 'x', sizeof flood - 1);
    assert_int_equal(431, ask(scene, flood));
}

static void takes_a_head_in_pieces(void **state)
{
    struct scene *scene = *state;
    const char *request = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    int client = dial(scene);
    for (const char *at = request; *at; at++)
        assert_int_equal(1, send(client, at, 1, MSG_NOSIGNAL));
    hear(scene, client);
    assert_non_null(strstr(scene->answer, "200 OK"));
}

/* Somebody who says nothing is sent away, and the next one in the queue is served. */
static void does_not_wait_for_the_silent(void **state)
{
    struct scene *scene = *state;
    int silent = dial(scene), gone = dial(scene);
    close(gone);
    assert_int_equal(1, send(silent, "G", 1, MSG_NOSIGNAL));
    assert_int_equal(200, get(scene, "/healthz"));
    assert_int_equal(0, hear(scene, silent));
}

static void is_not_ready_while_draining(void **state)
{
    struct scene *scene = *state;
    __atomic_store_n(&scene->draining, true, __ATOMIC_RELAXED);
    assert_int_equal(503, get(scene, "/readyz"));
    assert_string_equal("draining\n", body(scene));
    assert_int_equal(200, get(scene, "/healthz"));
    assert_int_equal(200, get(scene, "/metrics"));
}

static int await_health(struct scene *scene, int wanted)
{
    int status = 0;
    for (int i = 0; i < 400 && status != wanted; i++) { /* 20 s at most */
        status = get(scene, "/healthz");
        if (status != wanted)
            poll(NULL, 0, 50);
    }
    return status;
}

static void notices_a_core_that_stands_still(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(200, get(scene, "/healthz"));
    __atomic_store_n(&scene->turning, 1, __ATOMIC_RELAXED); /* core 1 stops */
    assert_int_equal(503, await_health(scene, 503));
    assert_string_equal("core 1 stands still\n", body(scene));
    assert_int_equal(503, get(scene, "/readyz"));
    __atomic_store_n(&scene->turning, 2, __ATOMIC_RELAXED);
    assert_int_equal(200, await_health(scene, 200));
}

/* As in the edge: a core that does not turn ends the process, with a report; one that has ended
 * does not. */
static void a_guard_ends_the_process(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            static struct metrics metrics;
            static const bool draining = false;
            char error[256];
            struct expose_config config = {.address = "127.0.0.1:0",
                                           .cores_count = 1,
                                           .metrics = {&metrics},
                                           .guard = true,
                                           .draining = &draining};
            GAUGE_SET(&metrics, over, over);
            bool open = expose_open(&config, error, sizeof error);
            poll(NULL, 0, over ? PULSE_STILL_MS + 2 * PULSE_LOOK_MS : 20000);
            _exit(open ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(WIFSIGNALED(status) ? WTERMSIG(status) : 0, over ? 0 : SIGABRT);
        assert_true(!over || WEXITSTATUS(status) == 0);
    }
}

static void *play_control(void *context)
{
    struct control *control = context;
    control_meet(control);
    control_read(control, LINK_REQUEST);
    assert_true(span_starts(control->frame.json, "{\"kind\":\"metrics\""));
    control_send(control, LINK_RESPONSE, control->frame.id, "{\"status\":200}",
                 span_of("# TYPE ringbridge_webhooks_total counter\n"
                         "ringbridge_webhooks_total{result=\"ok\"} 3\n"
                         "ringbridge_calls_started_total 99\n"));
    return NULL;
}

static void joins_controls_figures(void **state)
{
    struct scene *scene = *state;
    struct control *control = calloc(1, sizeof *control);
    struct mail *inbox;
    pthread_t thread;
    int status = 0;
    control_open(control);
    expose_close(scene->expose);
    struct link *link = link_to(control, &inbox, 1, 16, 0);
    open_expose(scene, link);
    assert_int_equal(503, get(scene, "/readyz"));
    assert_string_equal("control has not answered yet\n", body(scene));
    assert_int_equal(200, get(scene, "/metrics"));
    assert_non_null(strstr(body(scene), "\nringbridge_link_up 0\n"));
    assert_non_null(strstr(body(scene), "\nringbridge_control_lines_dropped 0\n"));
    control_listen(control);
    assert_int_equal(0, pthread_create(&thread, NULL, play_control, control));
    for (int i = 0; i < 400 && status != 200; i++) {
        status = get(scene, "/readyz");
        poll(NULL, 0, 50);
    }
    assert_int_equal(200, get(scene, "/metrics"));
    assert_non_null(strstr(body(scene), "\nringbridge_link_up 1\n"));
    assert_non_null(strstr(body(scene), "\nringbridge_webhooks_total{result=\"ok\"} 3\n"));
    assert_null(strstr(body(scene), "ringbridge_calls_started_total 99"));
    assert_non_null(strstr(body(scene), "\nringbridge_control_lines_dropped 1\n"));
    pthread_join(thread, NULL);
    expose_close(scene->expose);
    link_close(link, 0);
    inboxes_close(&inbox, 1);
    control_close(control);
    free(control);
    open_expose(scene, NULL); /* for the end */
}

static void refuses_addresses(void **state)
{
    struct scene *scene = *state;
    char error[256], taken[64];
    static const char *const wrong[] = {"",
                                        "127.0.0.1",
                                        ":9464",
                                        "127.0.0.1:",
                                        "127.0.0.1:x",
                                        "127.0.0.1:-1",
                                        "localhost:1",
                                        "127.0.0.1:65536",
                                        "::1:9464",
                                        "[::1:9464",
                                        "[]:1",
                                        "[127.0.0.1]:1"};
    struct expose_config config = {.draining = &scene->draining};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        config.address = wrong[i];
        struct expose *expose = expose_open(&config, error, sizeof error);
        if (expose)
            fail_msg("taken: %s", wrong[i]);
        assert_true(strncmp(error, "metrics: ", 9) == 0);
    }
    snprintf(taken, sizeof taken, "127.0.0.1:%u", expose_port(scene->expose));
    config.address = taken;
    assert_null(expose_open(&config, error, sizeof error));
    assert_non_null(strstr(error, "cannot listen"));
}

#define with(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with(shows_figures),
        with(answers_what_it_does_not_serve),
        with(bounds_the_head),
        with(takes_a_head_in_pieces),
        with(does_not_wait_for_the_silent),
        with(is_not_ready_while_draining),
        with(notices_a_core_that_stands_still),
        cmocka_unit_test(a_guard_ends_the_process),
        with(joins_controls_figures),
        with(refuses_addresses),
    };
    log_open("expose_test", LOG_TEXT, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
