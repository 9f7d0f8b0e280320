#include "control/link.h"

#include "common/log.h"
#include "common/panic.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct place {
    struct edge *edge; /* NULL: free */
    pthread_t thread;
    atomic_bool over; /* the thread may be joined */
    struct link *link;
};

struct link {
    const struct edge_config *config;
    struct sockaddr_un address;
    int listener;
    int bell; /* eventfd: wakes the accepting thread */
    atomic_bool stopping;
    pthread_t thread;
    struct place places[LINK_EDGES_MAX]; /* the accepting thread's; then the boot thread's */
};

/* ---- the socket ---- */

/* Does somebody answer there? */
static bool answered(const struct sockaddr_un *address)
{
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return true; /* not known: leave it alone */
    int result = connect(probe, (const struct sockaddr *)address, sizeof *address);
    bool nobody = result != 0 && (errno == ECONNREFUSED || errno == ENOENT);
    close(probe);
    return !nobody;
}

static bool remove_stale(const struct sockaddr_un *address, char *error, size_t room)
{
    struct stat status;
    if (lstat(address->sun_path, &status) != 0)
        return true;
    if (!S_ISSOCK(status.st_mode)) {
        snprintf(error, room, "%s exists and is no socket; name another path with --socket",
                 address->sun_path);
        return false;
    }
    if (answered(address)) {
        snprintf(error, room, "another control serves on %s; stop it first", address->sun_path);
        return false;
    }
    unlink(address->sun_path);
    return true;
}

static bool listen_at(struct link *link, char *error, size_t room)
{
    const struct sockaddr *address = (const struct sockaddr *)&link->address;
    link->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (link->listener < 0) {
        snprintf(error, room, "no socket: %s", strerror(errno));
        return false;
    }
    mode_t mask = umask(0177); /* 0600 from its first moment */
    bool bound = bind(link->listener, address, sizeof link->address) == 0;
    umask(mask);
    if (bound && listen(link->listener, LINK_EDGES_MAX) == 0)
        return true;
    snprintf(error, room, "cannot listen on %s: %s", link->address.sun_path, strerror(errno));
    close(link->listener);
    return false;
}

/* ---- edges come and go ---- */

/* Only root and our own user may order calls about. */
static bool welcome(int socket)
{
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0)
        return false;
    if (peer.uid == geteuid() || peer.uid == 0)
        return true;
    log_warn("link refused", log_text("reason", "another user"), log_number("uid", peer.uid));
    return false;
}

static void *serve_edge(void *argument)
{
    struct place *place = argument;
    edge_serve(place->edge);
    atomic_store(&place->over, true);
    uint64_t one = 1;
    ssize_t rung = write(place->link->bell, &one, sizeof one); /* so that the place is freed */
    (void)rung;
    return NULL;
}

static void free_place(struct place *place)
{
    pthread_join(place->thread, NULL);
    edge_drop(place->edge);
    place->edge = NULL;
}

static void reap(struct link *link)
{
    for (size_t i = 0; i < LINK_EDGES_MAX; i++)
        if (link->places[i].edge && atomic_load(&link->places[i].over))
            free_place(&link->places[i]);
}

static struct place *find_place(struct link *link)
{
    for (size_t i = 0; i < LINK_EDGES_MAX; i++)
        if (!link->places[i].edge)
            return &link->places[i];
    return NULL;
}

static void take_edge(struct link *link, int socket)
{
    struct place *place = find_place(link);
    if (!place || !welcome(socket)) {
        COUNT(link->config->metrics, links_refused);
        close(socket);
        return;
    }
    place->link = link;
    place->edge = edge_open(socket, link->config);
    atomic_store(&place->over, false);
    if (place->edge && pthread_create(&place->thread, NULL, serve_edge, place) != 0) {
        edge_drop(place->edge);
        place->edge = NULL;
    }
}

static void *accept_edges(void *argument)
{
    struct link *link = argument;
    struct pollfd polled[] = {{.fd = link->listener, .events = POLLIN},
                              {.fd = link->bell, .events = POLLIN}};
    while (!atomic_load(&link->stopping)) {
        uint64_t rings;
        if (poll(polled, 2, -1) < 0)
            continue;
        if (polled[1].revents) {
            ssize_t taken = read(link->bell, &rings, sizeof rings);
            (void)taken;
            reap(link);
        }
        if (!(polled[0].revents & POLLIN))
            continue;
        int socket = accept4(link->listener, NULL, NULL, SOCK_CLOEXEC);
        if (socket >= 0)
            take_edge(link, socket);
        else if (errno == EMFILE || errno == ENFILE)
            poll(NULL, 0, 100); /* out of descriptors: try again when some were freed */
    }
    return NULL;
}

/* ---- life ---- */

struct link *link_open(const char *path, const struct edge_config *config, char *error, size_t room)
{
    struct link *link = calloc(1, sizeof *link);
    if (!link) {
        snprintf(error, room, "no memory for the link");
        return NULL;
    }
    if (strlen(path) >= sizeof link->address.sun_path) {
        snprintf(error, room, "the socket's path is longer than %zu bytes; choose a shorter one",
                 sizeof link->address.sun_path - 1);
        free(link);
        return NULL;
    }
    link->config = config;
    link->address.sun_family = AF_UNIX;
    memcpy(link->address.sun_path, path, strlen(path));
    link->bell = eventfd(0, EFD_CLOEXEC);
    if (remove_stale(&link->address, error, room) && listen_at(link, error, room)) {
        if (pthread_create(&link->thread, NULL, accept_edges, link) == 0)
            return link;
        snprintf(error, room, "no thread for the link");
        close(link->listener);
        unlink(path);
    }
    close(link->bell);
    free(link);
    return NULL;
}

void link_stop(struct link *link)
{
    uint64_t one = 1;
    atomic_store(&link->stopping, true);
    ssize_t rung = write(link->bell, &one, sizeof one);
    assert(rung == (ssize_t)sizeof one);
    pthread_join(link->thread, NULL);
    unlink(link->address.sun_path);
    close(link->listener);
    for (size_t i = 0; i < LINK_EDGES_MAX; i++)
        if (link->places[i].edge)
            edge_stop_reading(link->places[i].edge);
    for (size_t i = 0; i < LINK_EDGES_MAX; i++)
        if (link->places[i].edge)
            pthread_join(link->places[i].thread, NULL);
}

void link_close(struct link *link)
{
    for (size_t i = 0; i < LINK_EDGES_MAX; i++)
        if (link->places[i].edge)
            edge_drop(link->places[i].edge);
    close(link->bell);
    free(link);
}
