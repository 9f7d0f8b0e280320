#include "edge/report/link_line.h"

#include "common/log.h"
#include "common/panic.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUNDS_MAX        16    /* of reading and writing in one turn */
#define COMPLAINT_MS      60000 /* before the same complaint is logged again */
#define REFUSED_SPREAD_MS (LINK_RETRY_MS_MAX - LINK_RETRY_MS_MIN)

bool link_line_open(struct link_line *line, struct link_peer *peer, const char *path,
                    uint64_t now_ms)
{
    memset(line, 0, sizeof *line);
    line->peer = peer;
    line->socket = -1;
    line->retry_ms = now_ms;
    line->spread_ms = LINK_RETRY_MS_MIN;
    line->address.sun_family = AF_UNIX;
    return path[0] &&
           span_copy_text(span_of(path), line->address.sun_path, sizeof line->address.sun_path);
}

static void complain(struct link_line *line, const char *why, uint64_t now_ms)
{
    if (strcmp(why, line->complaint) == 0 && now_ms < line->complained_ms + COMPLAINT_MS)
        return;
    snprintf(line->complaint, sizeof line->complaint, "%s", why);
    line->complained_ms = now_ms;
    log_warn("no link to control", log_text("why", why), log_text("path", line->address.sun_path));
}

/* Somewhere between LINK_RETRY_MS_MIN and that plus the spread, so that edges that lost their
 * control together do not come back together. */
static void plan_retry(struct link_line *line, uint64_t now_ms)
{
    uint32_t dice = 0;
    ssize_t drawn = getrandom(&dice, sizeof dice, 0);
    assert(drawn == (ssize_t)sizeof dice);
    line->retry_ms = now_ms + LINK_RETRY_MS_MIN + dice % line->spread_ms;
    line->spread_ms *= 2;
    if (line->spread_ms > LINK_RETRY_MS_MAX - LINK_RETRY_MS_MIN)
        line->spread_ms = LINK_RETRY_MS_MAX - LINK_RETRY_MS_MIN;
}

static void hang_up(struct link_line *line, const char *why, uint64_t now_ms)
{
    if (line->socket >= 0)
        close(line->socket);
    line->socket = -1;
    line->busy = false;
    link_peer_end(line->peer, now_ms);
    complain(line, why, now_ms);
    plan_retry(line, now_ms);
}

static void refuse(struct link_line *line, const char *why, uint64_t now_ms)
{
    line->spread_ms = REFUSED_SPREAD_MS;
    hang_up(line, why, now_ms);
    line->retry_ms += LINK_REFUSED_MS;
}

/* Whoever owns the socket is told callers' words and may give orders: only this user or root. */
static bool is_trusted(int socket, uid_t *uid)
{
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    *uid = (uid_t)-1;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0 || bytes != sizeof peer)
        return false;
    *uid = peer.uid;
    return peer.uid == geteuid() || peer.uid == 0;
}

static void dial(struct link_line *line, uint64_t now_ms)
{
    char why[256];
    uid_t uid;
    assert(line->socket < 0);
    line->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (line->socket < 0 ||
        connect(line->socket, (struct sockaddr *)&line->address, sizeof line->address) != 0) {
        snprintf(why, sizeof why, "cannot connect: %s", strerror(errno));
        hang_up(line, why, now_ms);
    } else if (!is_trusted(line->socket, &uid)) {
        snprintf(why, sizeof why, "the socket is run by another user (uid %ld): refused",
                 (long)uid);
        refuse(line, why, now_ms);
    } else {
        line->hello_ms = now_ms + LINK_HELLO_MS;
        link_peer_begin(line->peer);
    }
}

static void welcome(struct link_line *line)
{
    line->spread_ms = LINK_RETRY_MS_MIN;
    line->complaint[0] = '\0';
    log_info("control is connected", log_text("name", line->peer->why));
}

/* Judges what has come. False when the connection ended. */
static bool take(struct link_line *line, size_t bytes, uint64_t now_ms)
{
    bool greeted = line->peer->greeted;
    switch (link_peer_received(line->peer, bytes)) {
    case LINK_VERDICT_GOOD:
        if (!greeted && line->peer->greeted)
            welcome(line);
        return true;
    case LINK_VERDICT_BROKEN:
        hang_up(line, line->peer->why, now_ms);
        return false;
    case LINK_VERDICT_REFUSED:
        refuse(line, line->peer->why, now_ms);
        return false;
    }
    return false;
}

static bool is_later(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* False when the connection ended; *moved is set when anything was read. */
static bool read_some(struct link_line *line, bool *moved, uint64_t now_ms)
{
    size_t room;
    uint8_t *at = link_peer_room(line->peer, &room);
    ssize_t bytes = 0;
    if (room > 0) {
        bytes = recv(line->socket, at, room, 0);
        if (bytes == 0 || (bytes < 0 && !is_later(errno))) {
            hang_up(line, bytes == 0 ? "control closed the connection" : "the connection broke",
                    now_ms);
            return false;
        }
    }
    *moved = *moved || bytes > 0;
    return take(line, bytes > 0 ? (size_t)bytes : 0, now_ms);
}

static bool write_some(struct link_line *line, bool *moved, uint64_t now_ms)
{
    link_peer_fill(line->peer, now_ms);
    struct span output = link_peer_output(line->peer);
    if (output.bytes == 0)
        return true;
    ssize_t bytes = send(line->socket, output.data, output.bytes, MSG_NOSIGNAL);
    if (bytes < 0 && !is_later(errno)) {
        hang_up(line, "the connection broke", now_ms);
        return false;
    }
    if (bytes > 0) {
        link_peer_sent(line->peer, (size_t)bytes);
        *moved = true;
    }
    return true;
}

void link_line_turn(struct link_line *line, uint64_t now_ms)
{
    if (line->socket < 0 && now_ms >= line->retry_ms)
        dial(line, now_ms);
    if (line->socket < 0)
        return;
    if (!line->peer->greeted && now_ms >= line->hello_ms) {
        hang_up(line, "control did not say hello in time", now_ms);
        return;
    }
    line->busy = true;
    for (int round = 0; round < ROUNDS_MAX && line->busy; round++) {
        bool moved = false;
        if (!read_some(line, &moved, now_ms) || !write_some(line, &moved, now_ms))
            return;
        line->busy = moved;
    }
}

void link_line_close(struct link_line *line)
{
    if (line->socket >= 0)
        close(line->socket);
    line->socket = -1;
}

struct pollfd link_line_poll(struct link_line *line)
{
    size_t room;
    struct pollfd poll = {.fd = line->socket};
    link_peer_room(line->peer, &room);
    if (room > 0)
        poll.events |= POLLIN;
    if (link_peer_output(line->peer).bytes > 0)
        poll.events |= POLLOUT;
    return poll;
}

uint64_t link_line_due_ms(const struct link_line *line)
{
    if (line->socket < 0)
        return line->retry_ms;
    if (line->busy)
        return 0;
    return line->peer->greeted ? UINT64_MAX : line->hello_ms;
}
