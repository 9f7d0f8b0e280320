/* The link's socket alone, with a clock of our own: when it connects, and to whom. */
#include "common/log.h"
#include "edge/report/link_line.h"
#include "tests/report/check.h"
#include "tests/report/link_control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct span nothing = {NULL, 0};

struct alone {
    struct control control;
    struct mail *inbox;
    struct link_peer *peer;
    struct link_line line;
};

static int begin_alone(void **state)
{
    struct alone *alone = calloc(1, sizeof *alone);
    control_open(&alone->control);
    alone->inbox = mail_open(4);
    alone->peer = link_peer_open(1, &alone->inbox, 5000);
    assert_true(link_line_open(&alone->line, alone->peer, alone->control.path, 5000));
    *state = alone;
    return 0;
}

static int end_alone(void **state)
{
    struct alone *alone = *state;
    link_line_close(&alone->line);
    link_peer_close(alone->peer);
    mail_close(alone->inbox);
    control_close(&alone->control);
    free(alone);
    return 0;
}

static void tries_again_at_growing_distance(void **state)
{
    struct alone *alone = *state;
    uint64_t now_ms = 5000, longest_ms = 0;
    for (int i = 0; i < 200; i++) {
        link_line_turn(&alone->line, now_ms);
        uint64_t due_ms = link_line_due_ms(&alone->line);
        assert_true(due_ms >= now_ms + LINK_RETRY_MS_MIN && due_ms <= now_ms + LINK_RETRY_MS_MAX);
        if (i == 0)
            assert_true(due_ms < now_ms + 2 * LINK_RETRY_MS_MIN);
        longest_ms = due_ms - now_ms > longest_ms ? due_ms - now_ms : longest_ms;
        now_ms = due_ms;
    }
    assert_true(longest_ms > LINK_RETRY_MS_MAX / 2);
}

static void expect_refused(struct alone *alone, uint64_t now_ms)
{
    assert_int_equal(-1, alone->line.socket);
    assert_true(link_line_due_ms(&alone->line) >= now_ms + LINK_REFUSED_MS);
    link_line_turn(&alone->line, now_ms + LINK_REFUSED_MS - 1);
    assert_int_equal(-1, alone->line.socket);
}

static void refuses(struct alone *alone, uint64_t version, const char *hello, const char *why)
{
    control_listen(&alone->control);
    link_line_turn(&alone->line, 5000);
    control_accept(&alone->control);
    control_send(&alone->control, LINK_HELLO, version, hello, nothing);
    link_line_turn(&alone->line, 5001);
    expect_refused(alone, 5001);
    assert_non_null(strstr(alone->line.complaint, why));
}

static void refuses_another_version(void **state)
{
    refuses(*state, LINK_VERSION + 1, "{\"role\":\"control\",\"name\":\"newer\"}", "version 2");
}

static void hears_a_refusal(void **state)
{
    refuses(*state, LINK_VERSION, "{\"role\":\"control\",\"error\":\"too many edges\"}",
            "too many edges");
}

/* A response that comes before its request was sent answers nothing. */
static void believes_no_answer_before_the_question(void **state)
{
    struct alone *alone = *state;
    const char *json = "{\"kind\":\"http\"}";
    control_listen(&alone->control);
    link_line_turn(&alone->line, 5000);
    control_meet(&alone->control); /* the hello was sent in the first turn */
    struct link_request *request = link_request_make(strdup(json), strlen(json), nothing);
    assert_non_null(request);
    request->id = 9;
    request->deadline_ms = 100000;
    FIGURE_ADD(&alone->peer->figures, requests_waiting, 1);
    FIGURE_ADD(&alone->peer->figures, requests_bytes, strlen(json));
    link_requests_add(&alone->peer->requests, request);
    control_send(&alone->control, LINK_RESPONSE, request->number, "{\"status\":200}", nothing);
    link_line_turn(&alone->line, 5001); /* takes hello and response, then sends the request */
    assert_int_equal(0, mail_waiting(alone->inbox));
    assert_int_equal(1, alone->peer->figures.skipped_response);
    control_read(&alone->control, LINK_REQUEST);
    control_send(&alone->control, LINK_RESPONSE, alone->control.frame.id, "{\"status\":200}",
                 nothing);
    link_line_turn(&alone->line, 5002);
    struct letter letter = inbox_take(alone->inbox);
    assert_int_equal(9, letter.id);
    link_letter_free(letter);
}

static void expect_no_key(const struct alone *alone)
{
    assert_null(memmem(alone->peer->in, sizeof alone->peer->in, "sk-test-1", 9));
}

/* Orders carry keys of AIs: what was read of one, whole or half, does not stay in memory. */
static void wipes_what_it_read(void **state)
{
    struct alone *alone = *state;
    char *plan = plan_json(0, NULL, NULL), *order;
    control_listen(&alone->control);
    link_line_turn(&alone->line, 5000);
    control_meet(&alone->control);
    assert_true(asprintf(&order, "{\"kind\":\"prepare\",\"plan\":%s}", plan) > 0);
    control_send(&alone->control, LINK_ORDER, 1, order, nothing);
    link_line_turn(&alone->line, 5001);
    control_read(&alone->control, LINK_RESULT);
    expect_no_key(alone);
    struct letter letter = inbox_take(alone->inbox);
    assert_string_equal("sk-test-1", ((struct plan *)letter.content)->ai.key);
    link_letter_free(letter);
    uint8_t header[LINK_HEADER_BYTES];
    link_encode_header(header, LINK_ORDER, 2, strlen(order) + 1, 0); /* and one byte is missing */
    control_send_bytes(&alone->control, span_from(header, sizeof header));
    control_send_bytes(&alone->control, span_of(order));
    link_line_turn(&alone->line, 5002);
    assert_non_null(memmem(alone->peer->in, sizeof alone->peer->in, "sk-test-1", 9));
    control_drop(&alone->control);
    link_line_turn(&alone->line, 5003);
    assert_int_equal(-1, alone->line.socket);
    expect_no_key(alone);
    free(order);
    free(plan);
}

static void does_not_wait_for_hello_for_ever(void **state)
{
    struct alone *alone = *state;
    control_listen(&alone->control);
    link_line_turn(&alone->line, 5000);
    assert_true(alone->line.socket >= 0);
    assert_int_equal(5000 + LINK_HELLO_MS, link_line_due_ms(&alone->line));
    link_line_turn(&alone->line, 5000 + LINK_HELLO_MS - 1);
    assert_true(alone->line.socket >= 0);
    link_line_turn(&alone->line, 5000 + LINK_HELLO_MS);
    assert_int_equal(-1, alone->line.socket);
}

static void refuses_another_users_socket(void **state)
{
    struct alone *alone = *state;
    int ready[2], stop[2];
    char byte;
    if (geteuid() != 0)
        skip();
    assert_int_equal(0, pipe(ready) | pipe(stop));
    assert_int_equal(0, chown(alone->control.folder, 65534, 65534));
    pid_t child = fork();
    if (child == 0) {
        close(stop[1]);
        bool changed = setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0;
        if (changed)
            control_listen(&alone->control);
        ssize_t told = write(ready[1], changed ? "y" : "n", 1);
        _exit(told == 1 && read(stop[0], &byte, 1) == 0 ? 0 : 1); /* until the test is over */
    }
    assert_int_equal(1, read(ready[0], &byte, 1));
    assert_int_equal('y', byte);
    link_line_turn(&alone->line, 5000);
    expect_refused(alone, 5000);
    assert_non_null(strstr(alone->line.complaint, "another user"));
    close(stop[1]);
    waitpid(child, NULL, 0);
    close(stop[0]);
    close(ready[0]);
    close(ready[1]);
}

static void refuses_impossible_paths(void **state)
{
    (void)state;
    char error[256], path[200];
    struct mail *inbox = mail_open(1);
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    struct link_config config = {.path = path, .cores_count = 1, .inboxes = {inbox}};
    assert_null(link_open(&config, error, sizeof error));
    assert_non_null(strstr(error, "too long"));
    config.path = "";
    assert_null(link_open(&config, error, sizeof error));
    mail_close(inbox);
}

#define alone(test) cmocka_unit_test_setup_teardown(test, begin_alone, end_alone)

int main(void)
{
    const struct CMUnitTest tests[] = {
        alone(tries_again_at_growing_distance),
        alone(refuses_another_version),
        alone(hears_a_refusal),
        alone(believes_no_answer_before_the_question),
        alone(wipes_what_it_read),
        alone(does_not_wait_for_hello_for_ever),
        alone(refuses_another_users_socket),
        cmocka_unit_test(refuses_impossible_paths),
    };
    log_open("link_line_test", LOG_TEXT, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
