/* api_show: what is shown: one object, or a page of them.
 *
 * Thread: a worker. Bound: API_ANSWER_BYTES_MAX; a page that would be longer ends earlier, and its
 * cursor goes on from there. */
#ifndef RINGBRIDGE_CONTROL_API_API_SHOW_H
#define RINGBRIDGE_CONTROL_API_API_SHOW_H

#include "control/api/api.h"

/* Answers a GET, in a transaction of its own. */
void api_show(struct api *api);

/* Writes the row's answer (its object with api->more, or its page) into api, within a transaction.
 * kept, if not NULL, gets the same without api->more: malloc'ed, or NULL when nothing is left. */
enum db_result api_show_write(struct api *api, char **kept);

/* Takes a text as the answer's; malloc'ed. */
void api_show_take(struct api *api, char *text);

#endif
