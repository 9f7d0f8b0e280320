#include "tests/report/link_control.h"

#include "common/ticket.h"
#include "tests/report/check.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void await(int descriptor, short events)
{
    struct pollfd poll_one = {.fd = descriptor, .events = events};
    int ready;
    do
        ready = poll(&poll_one, 1, CONTROL_WAIT_MS);
    while (ready < 0 && errno == EINTR);
    if (ready != 1)
        fail_msg("waited for %d ms in vain", CONTROL_WAIT_MS);
}

void control_open(struct control *control)
{
    memset(control, 0, sizeof *control);
    control->listener = control->socket = -1;
    snprintf(control->folder, sizeof control->folder, "/tmp/ringbridge-link-XXXXXX");
    assert_non_null(mkdtemp(control->folder));
    snprintf(control->path, sizeof control->path, "%s/control.socket", control->folder);
}

void control_listen(struct control *control)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(span_copy_text(span_of(control->path), address.sun_path, sizeof address.sun_path));
    control->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(control->listener >= 0);
    assert_int_equal(0, bind(control->listener, (struct sockaddr *)&address, sizeof address));
    assert_int_equal(0, listen(control->listener, 4));
}

void control_unlisten(struct control *control)
{
    if (control->listener >= 0)
        close(control->listener);
    control->listener = -1;
    unlink(control->path);
}

void control_drop(struct control *control)
{
    if (control->socket >= 0)
        close(control->socket);
    control->socket = -1;
    control->held = control->used = 0;
}

void control_close(struct control *control)
{
    control_drop(control);
    control_unlisten(control);
    rmdir(control->folder);
}

void control_accept(struct control *control)
{
    control_drop(control);
    await(control->listener, POLLIN);
    control->socket = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(control->socket >= 0);
    control_read(control, LINK_HELLO);
}

void control_greet(struct control *control)
{
    control_send(control, LINK_HELLO, LINK_VERSION,
                 "{\"role\":\"control\",\"name\":\"test\","
                 "\"run\":\"0b54ad5c-7a29-4e0f-bf1e-000000000001\"}",
                 (struct span){NULL, 0});
}

void control_meet(struct control *control)
{
    control_accept(control);
    control_greet(control);
}

/* The next whole frame in what was read, if there is one. */
static bool next_frame(struct control *control)
{
    size_t used;
    enum link_decode decoded =
        link_decode(span_from(control->in + control->used, control->held - control->used),
                    &control->frame, &used);
    assert_int_not_equal(LINK_BAD, decoded);
    if (decoded == LINK_DONE)
        control->used += used;
    return decoded == LINK_DONE;
}

static void read_frame(struct control *control)
{
    while (!next_frame(control)) {
        memmove(control->in, control->in + control->used, control->held - control->used);
        control->held -= control->used;
        control->used = 0;
        await(control->socket, POLLIN);
        ssize_t bytes = recv(control->socket, control->in + control->held,
                             sizeof control->in - control->held, 0);
        if (bytes <= 0)
            fail_msg("the edge closed the link");
        control->held += (size_t)bytes;
    }
}

void control_read(struct control *control, enum link_type type)
{
    read_frame(control);
    assert_int_equal(type, control->frame.type);
}

void control_send_bytes(struct control *control, struct span bytes)
{
    while (bytes.bytes) {
        await(control->socket, POLLOUT);
        ssize_t sent = send(control->socket, bytes.data, bytes.bytes, MSG_NOSIGNAL);
        if (sent <= 0)
            fail_msg("the edge closed the link");
        bytes = span_from(bytes.data + sent, bytes.bytes - (size_t)sent);
    }
}

void control_send(struct control *control, enum link_type type, uint64_t id, const char *json,
                  struct span raw)
{
    size_t json_bytes = json ? strlen(json) : 0;
    size_t bytes = LINK_HEADER_BYTES + json_bytes + raw.bytes;
    uint8_t *frame = malloc(bytes);
    assert_non_null(frame);
    link_encode_header(frame, type, id, json_bytes, raw.bytes);
    if (json_bytes)
        memcpy(frame + LINK_HEADER_BYTES, json, json_bytes);
    if (raw.bytes)
        memcpy(frame + LINK_HEADER_BYTES + json_bytes, raw.data, raw.bytes);
    control_send_bytes(control, span_from(frame, bytes));
    free(frame);
}

void control_acknowledge(struct control *control, uint64_t id)
{
    control_send(control, LINK_ACK, id, NULL, (struct span){NULL, 0});
}

/* An order that means nothing has a result all the same. */
void control_sync(struct control *control)
{
    static uint64_t number = 1000000;
    control_send(control, LINK_ORDER, ++number, "{\"kind\":\"none\"}", (struct span){NULL, 0});
    do
        read_frame(control);
    while (control->frame.type != LINK_RESULT || control->frame.id != number);
}

void control_expect_closed(struct control *control)
{
    uint8_t rest[4096];
    ssize_t bytes;
    do {
        await(control->socket, POLLIN);
        bytes = recv(control->socket, rest, sizeof rest, 0);
    } while (bytes > 0);
    control_drop(control);
}

struct letter inbox_take(struct mail *inbox)
{
    struct letter letter;
    while (!mail_receive(inbox, &letter))
        await(mail_doorbell(inbox), POLLIN);
    return letter;
}

double link_figure(const struct link *link, const char *series)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    link_metrics_write(out, link);
    fclose(out);
    double value = -1;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (strncmp(line, series, strlen(series)) == 0 && line[strlen(series)] == ' ')
            value = strtod(line + strlen(series), NULL);
    free(text);
    if (value < 0)
        fail_msg("no series %s", series);
    return value;
}

struct link *link_to(struct control *control, struct mail *inboxes[], unsigned cores,
                     size_t letters, size_t store_bytes_max)
{
    char error[256] = "";
    struct link_config config = {.path = control->path,
                                 .cores_count = cores,
                                 .store_bytes_max = store_bytes_max,
                                 .facts = {.records = true}};
    for (unsigned i = 0; i < cores; i++) {
        inboxes[i] = mail_open(letters);
        assert_non_null(inboxes[i]);
        config.inboxes[i] = inboxes[i];
    }
    struct link *link = link_open(&config, error, sizeof error);
    if (!link)
        fail_msg("%s", error);
    return link;
}

void inboxes_close(struct mail *inboxes[], unsigned cores)
{
    struct letter letter;
    for (unsigned i = 0; i < cores; i++) {
        while (mail_receive(inboxes[i], &letter))
            link_letter_free(letter);
        mail_close(inboxes[i]);
    }
}

static void set(json_t *plan, const char *changed, const char *value)
{
    json_t *object = plan;
    if (strncmp(changed, "ai.", 3) == 0) {
        object = json_object_get(plan, "ai");
        changed += 3;
    }
    if (value)
        json_object_set_new(object, changed, json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(object, changed);
}

char *plan_json(unsigned home_core, const char *changed, const char *value)
{
    char text[TICKET_TEXT_BYTES + 1];
    struct ticket ticket = {.home_core = (uint16_t)home_core, .expires_at_ms = 1790000000000};
    memset(ticket.mac, 7, sizeof ticket.mac);
    ticket_write(&ticket, text);
    json_t *plan = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:i, s:[s,s], s:i,"
        " s:{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:[{s:s, s:s}]}}",
        "call", "8f14e45f-ceea-467f-a9d2-0000000000aa", "organization",
        "c9f0f895-fb98-4b91-a5ee-0000000000bb", "call_sid", "CA00000000000000000000000000000abc",
        "account_sid", "AC00000000000000000000000000000def", "ticket", text, "expires_at_ms",
        (json_int_t)1790000000000, "home_core", (int)home_core, "signatures",
        "0/KCTR6DLpKmkAf8muzZqo1nDgQ=", "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "duration_max_s", 3600,
        "ai", "backend", "openai_realtime", "url",
        "wss://api.example.com/v1/realtime?model=gpt-realtime", "key", "sk-test-1", "format",
        "pcmu", "model", "gpt-realtime", "voice", "marin", "instructions",
        "Be brief.\nAnd friendly.", "greeting", "", "transcription_model", "whisper-1", "language",
        "en", "tools", "type", "function", "name", "end_call");
    assert_non_null(plan);
    if (changed)
        set(plan, changed, value);
    char *json = json_dumps(plan, JSON_COMPACT);
    json_decref(plan);
    return json;
}
