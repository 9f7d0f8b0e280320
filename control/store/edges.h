/* edges: the media processes that share this database, and how full they are.
 *
 * Thread: the owner of db. */
#ifndef RINGBRIDGE_CONTROL_STORE_EDGES_H
#define RINGBRIDGE_CONTROL_STORE_EDGES_H

#include "control/db/db.h"

#define EDGES_FRESH_S 15 /* an edge not heard of for longer is taken for dead */

struct edges_report {
    const char *name;                /* the hello's "name" */
    const char *run;                 /* uuid of the process' life */
    const char *websocket_url;       /* wss base under which its streams are reached, or NULL */
    int64_t cores, calls, calls_max; /* -1: not known */
    bool draining;
};

/* Writes the report with the time of now. A new run replaces the old one of the same name. */
enum db_result edges_report(struct db *db, const struct edges_report *report);

/* Another edge with room: writes its stream base URL (url[0] == 0: there is none). */
enum db_result edges_pick(struct db *db, const char *not_this_name, char *url, size_t room);

#endif
