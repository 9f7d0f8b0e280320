/* link_control: a small control for the link's tests, on a real Unix socket.
 *
 * Blocking, with a deadline of CONTROL_WAIT_MS in each wait: a test that hangs fails. Everything
 * that goes wrong fails the test (cmocka). Thread: the test's. */
#ifndef RINGBRIDGE_TESTS_REPORT_LINK_CONTROL_H
#define RINGBRIDGE_TESTS_REPORT_LINK_CONTROL_H

#include "common/link_proto.h"
#include "common/mail.h"
#include "edge/report/link.h"

#define CONTROL_WAIT_MS 20000

struct control {
    char folder[64], path[96];
    int listener, socket;
    struct link_frame frame; /* the last one read */
    size_t held, used;       /* bytes in in; of these, frames already read */
    uint8_t in[LINK_FRAME_BYTES_MAX];
};

/* Makes the folder; control_listen makes the socket. */
void control_open(struct control *control);
void control_close(struct control *control);
void control_listen(struct control *control);
void control_unlisten(struct control *control);

/* Takes the edge's next connection and reads its hello into frame. */
void control_accept(struct control *control);

/* Says hello as a control does. */
void control_greet(struct control *control);

/* accept and greet. */
void control_meet(struct control *control);

/* Closes the connection. */
void control_drop(struct control *control);

/* Reads the next frame into frame. */
void control_read(struct control *control, enum link_type type);

void control_send(struct control *control, enum link_type type, uint64_t id, const char *json,
                  struct span raw);
void control_send_bytes(struct control *control, struct span bytes);
void control_acknowledge(struct control *control, uint64_t id);

/* Everything sent before has been handled when this returns (and events that came meanwhile are
 * gone). */
void control_sync(struct control *control);

/* The edge has closed the connection. */
void control_expect_closed(struct control *control);

/* The next letter in an inbox. */
struct letter inbox_take(struct mail *inbox);

/* Value of a series in the link's figures: "ringbridge_link_events_total{result=\"resent\"}". */
double link_figure(const struct link *link, const char *series);

/* A link to this control with so many cores; inboxes are made with so many letters each. */
struct link *link_to(struct control *control, struct mail *inboxes[], unsigned cores,
                     size_t letters, size_t store_bytes_max);
void inboxes_close(struct mail *inboxes[], unsigned cores);

/* A plan that plan_read takes, for this home core; malloc'ed. changed NULL, or a member whose value
 * (JSON text) is put instead; "ai.url" for one inside ai. value NULL takes the member out. */
char *plan_json(unsigned home_core, const char *changed, const char *value);

#endif
