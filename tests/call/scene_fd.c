/* Where a connection is looked into: by itself, since what is inside is nobody else's to name. */
#include "edge/io/conn_inner.h"

int scene_fd(const struct conn *conn);

int scene_fd(const struct conn *conn)
{
    return conn->socket.fd;
}
