#include "tests/control/webhook_world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const char *database_url(void)
{
    const char *url = getenv("DATABASE_URL");
    if (!url)
        fail_msg("DATABASE_URL is not set; run this through tests/control/pg.sh run");
    return url;
}

/* ---- the process ---- */

static void set_environment(const struct world_control *control)
{
    setenv("RINGBRIDGE_SOCKET", control->socket, 1);
    setenv("RINGBRIDGE_WORKERS", "4", 1);
    setenv("RINGBRIDGE_LOG", "json", 1);
    setenv("RINGBRIDGE_LOG_LEVEL", "debug", 1);
    setenv("RINGBRIDGE_SECRET_KEY", WORLD_SECRET_KEY, 1);
    setenv("PUBLIC_URL", WORLD_PUBLIC, 1);
    setenv("TWILIO_API_BASE", "http://127.0.0.1:1", 1); /* nobody: Twilio itself is not asked */
    setenv("TWILIO_ACCOUNT_SID", WORLD_ACCOUNT, 1);
    setenv("TWILIO_AUTH_TOKEN", WORLD_TOKEN, 1);
    setenv("TWILIO_AUTH_TOKEN_PREVIOUS", WORLD_TOKEN_OLD, 1);
    setenv("OPENAI_API_KEY", WORLD_AI_KEY, 1);
    setenv("OPENAI_REALTIME_URL", "wss://ai.example.com/v1/realtime", 1);
}

/* The program that was built beside this test. */
static void find_program(char path[256])
{
    ssize_t bytes = readlink("/proc/self/exe", path, 200);
    assert_true(bytes > 0);
    path[bytes] = '\0';
    char *slash = strrchr(path, '/');
    memcpy(slash + 1, "ringbridge-control", sizeof "ringbridge-control");
}

static pid_t run_program(const struct world_control *control, const char *command)
{
    char program[256];
    find_program(program);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    int log = open(control->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log, STDERR_FILENO);
    set_environment(control);
    execl(program, program, command, (char *)NULL);
    _exit(127);
}

static int wait_for_end(pid_t pid)
{
    int status = 0;
    for (unsigned waited_ms = 0; waited_ms < WORLD_WAIT_MS; waited_ms += 10) {
        pid_t ended = waitpid(pid, &status, WNOHANG);
        assert_true(ended >= 0);
        if (ended == pid)
            return status;
        poll(NULL, 0, 10);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    fail_msg("the process did not end");
    return status;
}

static int try_dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int dialled = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(dialled >= 0);
    if (connect(dialled, (const struct sockaddr *)&address, sizeof address) == 0)
        return dialled;
    close(dialled);
    return -1;
}

int world_dial(const struct world_control *control)
{
    for (unsigned waited_ms = 0; waited_ms < WORLD_WAIT_MS; waited_ms += 5) {
        int dialled = try_dial(control->socket);
        if (dialled >= 0)
            return dialled;
        poll(NULL, 0, 5);
    }
    fail_msg("nobody answers on %s; see %s", control->socket, control->log);
    return -1;
}

void world_start(struct world_control *control)
{
    static bool migrated;
    if (!control->socket[0]) {
        char directory[] = "/tmp/ringbridge-serving.XXXXXX";
        assert_non_null(mkdtemp(directory));
        snprintf(control->socket, sizeof control->socket, "%s/control.sock", directory);
        snprintf(control->log, sizeof control->log, "%s/log", directory);
    }
    if (!migrated) {
        int status = wait_for_end(run_program(control, "migrate"));
        if (status != 0)
            fail_msg("migrate failed: %s", world_log(control));
        migrated = true;
    }
    control->pid = run_program(control, "serve");
    close(world_dial(control));
}

int world_stop(struct world_control *control, int signal_number)
{
    kill(control->pid, signal_number);
    int status = wait_for_end(control->pid);
    control->pid = 0;
    return status;
}

int world_end(struct world_control *control)
{
    int status = control->pid ? world_stop(control, SIGTERM) : 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "control did not end well; its log is %s\n", control->log);
        return -1;
    }
    unlink(control->log);
    *strrchr(control->log, '/') = '\0';
    return rmdir(control->log);
}

int world_serve_again(const struct world_control *control)
{
    return wait_for_end(run_program(control, "serve"));
}

char *world_log(const struct world_control *control)
{
    char *text = NULL;
    size_t room = 0;
    FILE *file = fopen(control->log, "r");
    if (!file || getdelim(&text, &room, '\0', file) < 0)
        text = strdup("");
    if (file)
        fclose(file);
    return text;
}

/* ---- the database ---- */

/* Runs a program to its end and keeps what it wrote. */
static const char *run_and_read(char *const arguments[])
{
    static char text[65536];
    int ends[2], status;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execvp(arguments[0], arguments);
        _exit(127);
    }
    close(ends[1]);
    size_t bytes = 0;
    ssize_t taken;
    while (bytes < sizeof text - 1 &&
           (taken = read(ends[0], text + bytes, sizeof text - 1 - bytes)) > 0)
        bytes += (size_t)taken;
    close(ends[0]);
    while (bytes > 0 && text[bytes - 1] == '\n')
        bytes--;
    text[bytes] = '\0';
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0)
        fail_msg("%s failed", arguments[0]);
    return text;
}

const char *world_query(const char *format, ...)
{
    char sql[4096];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(sql, sizeof sql, format, arguments);
    va_end(arguments);
    assert_true(length > 0 && (size_t)length < sizeof sql);
    char url[512];
    snprintf(url, sizeof url, "%s", database_url());
    char program[] = "psql", options[] = "-qAtX", command[] = "-c";
    char stop[] = "-vON_ERROR_STOP=1";
    char *const words[] = {program, url, options, stop, command, sql, NULL};
    return run_and_read(words);
}

void world_organization(const char *name, const char *number, char id[37])
{
    snprintf(id, 37, "%s",
             world_query("INSERT INTO organizations (name) VALUES ('%s') "
                         "ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id",
                         name));
    assert_int_equal(strlen(id), 36);
    world_query("INSERT INTO phone_numbers (organization_id, phone_number) VALUES ('%s', '%s') "
                "ON CONFLICT (phone_number, channel) DO NOTHING",
                id, number);
}

void world_database(bool up)
{
    char script[] = "tests/control/pg.sh", start[] = "start", stop[] = "stop", directory[256];
    const char *where = getenv("PG_DIR");
    if (!where)
        fail_msg("PG_DIR is not set; run this through tests/control/pg.sh run");
    snprintf(directory, sizeof directory, "%s", where);
    char *const words[] = {script, up ? start : stop, directory, NULL};
    run_and_read(words);
}

/* ---- the edge ---- */

static bool write_all(int socket, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    while (bytes > 0) {
        ssize_t written = send(socket, at, bytes, MSG_NOSIGNAL);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        at += written;
        bytes -= (size_t)written;
    }
    return true;
}

static bool read_all(int socket, void *data, size_t bytes)
{
    uint8_t *at = data;
    while (bytes > 0) {
        struct pollfd polled = {.fd = socket, .events = POLLIN};
        if (poll(&polled, 1, WORLD_WAIT_MS) == 0)
            fail_msg("nothing came for %d ms", WORLD_WAIT_MS);
        ssize_t taken = recv(socket, at, bytes, 0);
        if (taken < 0 && errno == EINTR)
            continue;
        if (taken <= 0)
            return false;
        at += taken;
        bytes -= (size_t)taken;
    }
    return true;
}

bool world_send(int socket, enum link_type type, uint64_t id, const char *json, const void *raw,
                size_t raw_bytes)
{
    uint8_t header[LINK_HEADER_BYTES];
    link_encode_header(header, type, id, strlen(json), raw_bytes);
    return write_all(socket, header, sizeof header) && write_all(socket, json, strlen(json)) &&
           write_all(socket, raw, raw_bytes);
}

bool world_receive(int socket, struct link_frame *frame, uint8_t **block)
{
    uint8_t header[LINK_HEADER_BYTES];
    size_t bytes;
    *block = NULL;
    if (!read_all(socket, header, sizeof header))
        return false;
    assert_int_not_equal(link_decode(span_from(header, sizeof header), frame, &bytes), LINK_BAD);
    *block = malloc(bytes);
    assert_non_null(*block);
    memcpy(*block, header, sizeof header);
    if (read_all(socket, *block + sizeof header, bytes - sizeof header) &&
        link_decode(span_from(*block, bytes), frame, &bytes) == LINK_DONE)
        return true;
    free(*block);
    *block = NULL;
    return false;
}

void world_connect(struct world_edge *edge, const struct world_control *control, const char *name,
                   unsigned cores)
{
    char hello[256];
    struct link_frame frame;
    uint8_t *block;
    *edge = (struct world_edge){.socket = world_dial(control)};
    snprintf(hello, sizeof hello,
             "{\"role\":\"edge\",\"name\":\"%s\",\"run\":\"11111111-2222-4333-8444-555555555555\","
             "\"cores\":%u}",
             name, cores);
    assert_true(world_send(edge->socket, LINK_HELLO, LINK_VERSION, hello, NULL, 0));
    assert_true(world_receive(edge->socket, &frame, &block));
    assert_int_equal(frame.type, LINK_HELLO);
    assert_int_equal(frame.id, LINK_VERSION);
    assert_null(memmem(frame.json.data, frame.json.bytes, "\"error\"", 7));
    free(block);
}

void world_hang_up(struct world_edge *edge)
{
    for (size_t i = 0; i < edge->orders_count; i++)
        json_decref(edge->orders[i]);
    edge->orders_count = 0;
    if (edge->socket >= 0)
        close(edge->socket);
    edge->socket = -1;
}

static void take_order(struct world_edge *edge, const struct link_frame *frame)
{
    assert_true(edge->orders_count < WORLD_ORDERS_MAX);
    json_t *order = json_loadb((const char *)frame->json.data, frame->json.bytes, 0, NULL);
    assert_non_null(order);
    edge->orders[edge->orders_count++] = order;
    edge->results++;
    const char *result =
        edge->refuse_orders ? "{\"ok\":false,\"error\":\"no room\"}" : "{\"ok\":true}";
    world_send(edge->socket, LINK_RESULT, frame->id, result, NULL, 0);
}

/* Orders and acknowledgements are taken; a RESPONSE is left to the caller. */
static bool take_frame(struct world_edge *edge, struct link_frame *frame, uint8_t **block)
{
    if (!world_receive(edge->socket, frame, block))
        return false;
    if (frame->type == LINK_ACK) {
        edge->acked++;
        edge->acked_last = frame->id;
    } else if (frame->type == LINK_ORDER) {
        take_order(edge, frame);
    }
    return true;
}

static char *copy_header(const json_t *headers, const char *name)
{
    const char *value = json_string_value(json_object_get(headers, name));
    return value ? strdup(value) : NULL;
}

static void read_answer(const struct link_frame *frame, struct world_answer *answer)
{
    answer->object = json_loadb((const char *)frame->json.data, frame->json.bytes, 0, NULL);
    assert_non_null(answer->object);
    const json_t *headers = json_object_get(answer->object, "headers");
    answer->status = (int)json_integer_value(json_object_get(answer->object, "status"));
    answer->content_type = copy_header(headers, "content-type");
    answer->allow = copy_header(headers, "allow");
    answer->retry_after = copy_header(headers, "retry-after");
    answer->body = calloc(1, frame->raw.bytes + 1);
    assert_non_null(answer->body);
    if (frame->raw.bytes)
        memcpy(answer->body, frame->raw.data, frame->raw.bytes);
    answer->body_bytes = frame->raw.bytes;
}

struct world_answer world_ask(struct world_edge *edge, const char *json, const char *body,
                              size_t body_bytes)
{
    struct world_answer answer = {.status = 0};
    struct link_frame frame;
    uint8_t *block;
    uint64_t id = ++edge->requests;
    if (!world_send(edge->socket, LINK_REQUEST, id, json, body, body_bytes))
        return answer;
    while (take_frame(edge, &frame, &block)) {
        bool mine = frame.type == LINK_RESPONSE && frame.id == id;
        if (mine) {
            read_answer(&frame, &answer);
            answer.orders_before = edge->orders_count;
        }
        free(block);
        if (mine)
            return answer;
    }
    return answer;
}

void world_answer_free(struct world_answer *answer)
{
    free(answer->content_type);
    free(answer->allow);
    free(answer->retry_after);
    free(answer->body);
    json_decref(answer->object);
    *answer = (struct world_answer){.status = 0};
}

void world_event(struct world_edge *edge, uint64_t number, const char *format, ...)
{
    char json[8192];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(json, sizeof json, format, arguments);
    va_end(arguments);
    assert_true(length > 0 && (size_t)length < sizeof json);
    assert_true(world_send(edge->socket, LINK_EVENT, number, json, NULL, 0));
}

void world_await_acks(struct world_edge *edge, uint64_t acked)
{
    struct link_frame frame;
    uint8_t *block;
    while (edge->acked < acked) {
        assert_true(take_frame(edge, &frame, &block));
        free(block);
    }
}

void world_await_orders(struct world_edge *edge, size_t orders)
{
    struct link_frame frame;
    uint8_t *block;
    while (edge->orders_count < orders) {
        assert_true(take_frame(edge, &frame, &block));
        free(block);
    }
}
