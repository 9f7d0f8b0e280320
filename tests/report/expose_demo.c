/* A process that shows figures as an edge does, for the test with a real Prometheus: two cores with
 * some figures, a link, and a control that tells its own. Prints its port, ends when stdin ends. */
#include "common/log.h"
#include "edge/report/expose.h"
#include "tests/report/link_control.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define CORES 2

static struct metrics metrics[CORES];
static struct control control;
static bool draining;

static void count_something(void)
{
    COUNT_BY(&metrics[0], calls_started, 40);
    COUNT_BY(&metrics[1], calls_started, 2);
    GAUGE_ADD(&metrics[0], calls_live, 7);
    COUNT_BY(&metrics[1], busy_us, 2500000);
    COUNT_BY(&metrics[1], ends[END_caller_hung_up], 31);
    COUNT_BY(&metrics[0], faults[FAULT_ws_utf8], 5);
    for (uint64_t us = 1; us <= 1000; us++)
        histogram_add(&metrics[us % CORES].relay_up, us);
}

/* Answers each request with figures, one of which is the edge's and must not get through. */
static void *play_control(void *context)
{
    (void)context;
    control_meet(&control);
    for (;;) {
        struct pollfd poll_one = {.fd = control.socket, .events = POLLIN};
        poll(&poll_one, 1, -1);
        char byte;
        if (recv(control.socket, &byte, 1, MSG_PEEK) <= 0)
            return NULL;
        control_read(&control, LINK_REQUEST);
        control_send(&control, LINK_RESPONSE, control.frame.id, "{\"status\":200}",
                     span_of("# HELP ringbridge_webhooks_total Webhooks by result.\n"
                             "# TYPE ringbridge_webhooks_total counter\n"
                             "ringbridge_webhooks_total{result=\"accepted\"} 17\n"
                             "ringbridge_calls_started_total 99\n"));
    }
}

/* Turns the cores until stdin ends. */
static void turn(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    while (poll(&input, 1, 100) == 0)
        for (int i = 0; i < CORES; i++)
            COUNT(&metrics[i], turns);
}

int main(void)
{
    char error[256];
    struct mail *inboxes[CORES];
    pthread_t thread;
    struct expose_config config = {.address = "127.0.0.1:0",
                                   .cores_count = CORES,
                                   .metrics = {&metrics[0], &metrics[1]},
                                   .draining = &draining};
    log_open("expose_demo", LOG_TEXT, LOG_INFO);
    count_something();
    control_open(&control);
    control_listen(&control);
    config.link = link_to(&control, inboxes, CORES, 16, 0);
    if (pthread_create(&thread, NULL, play_control, NULL) != 0)
        return 1;
    struct expose *expose = expose_open(&config, error, sizeof error);
    if (!expose) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    printf("%u\n", expose_port(expose));
    fflush(stdout);
    turn();
    expose_close(expose);
    link_close(config.link, 0);
    pthread_join(thread, NULL);
    inboxes_close(inboxes, CORES);
    control_close(&control);
    return 0;
}
