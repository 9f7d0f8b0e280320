#include "edge/call/download.h"

#include "common/panic.h"
#include "edge/call/own.h"

static struct download *find_place(struct downloads *downloads)
{
    for (unsigned i = 0; i < DOWNLOADS_PER_CORE_MAX; i++)
        if (!downloads->places[i].conn)
            return &downloads->places[i];
    return NULL;
}

static struct download *find(struct calls *calls, const struct conn *conn)
{
    assert(conn_leg(conn) == LEG_DOWNLOAD && conn_owner(conn) < DOWNLOADS_PER_CORE_MAX);
    struct download *download = &calls->downloads.places[conn_owner(conn)];
    assert(download->conn == conn_ref(conn));
    return download;
}

/* The next request on this connection is nobody's yet. */
static void leave(struct conn *conn, struct download *download)
{
    *download = (struct download){.conn = 0};
    conn_own(conn, LEG_HTTP, 0);
}

static void break_off(struct calls *calls, struct conn *conn, struct download *download)
{
    COUNT(calls->metrics, downloads_broken);
    leave(conn, download);
    conn_abort(calls->io, conn);
}

void download_begin(struct calls *calls, struct conn *conn, const struct link_answer *answer,
                    const char *extra)
{
    struct download *download = find_place(&calls->downloads);
    if (!download) {
        COUNT(calls->metrics, downloads_refused);
        conn_refuse(calls->io, conn, FAULT_no_capacity);
        return;
    }
    conn_respond_first(calls->io, conn, (unsigned)answer->status, answer->content_type, extra,
                       span_from(answer->body, answer->body_bytes), answer->whole_bytes);
    if (!conn_owed_bytes(conn)) /* it ended meanwhile, or is not for his ears */
        return;
    COUNT(calls->metrics, downloads);
    *download = (struct download){.conn = conn_ref(conn), .from_bytes = answer->body_bytes};
    memcpy(download->ask, answer->more_ask, sizeof download->ask);
    conn_own(conn, LEG_DOWNLOAD, (uint64_t)(download - calls->downloads.places));
}

void download_on_message(struct calls *calls, struct conn *conn, const struct message *message)
{
    struct download *download = find(calls, conn);
    if (message->kind == MESSAGE_END) {
        COUNT(calls->metrics, downloads_broken);
        leave(conn, download);
        return;
    }
    assert(message->kind == MESSAGE_MORE);
    if (!admit_ask_more(calls, conn, download->ask, download->from_bytes))
        break_off(calls, conn, download);
}

void download_goes_on(struct calls *calls, struct conn *conn, const struct link_answer *answer)
{
    struct download *download = find(calls, conn);
    if (answer->status != 200 || answer->body_bytes == 0 ||
        answer->body_bytes > conn_owed_bytes(conn)) {
        break_off(calls, conn, download);
        return;
    }
    if (!conn_respond_more(calls->io, conn, span_from(answer->body, answer->body_bytes)))
        return;
    download->from_bytes += answer->body_bytes;
    if (conn_owed_bytes(conn) == 0) {
        COUNT(calls->metrics, downloads_done);
        leave(conn, download);
    }
}
