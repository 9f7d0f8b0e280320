/* api_change: a change and all that belongs to it, in one transaction: the claim of its key, what
 * the handler does, what is answered (kept for a repetition), and the entry in the audit log.
 *
 * What is refused is rolled back; that somebody wanted it is put on record by itself. Thread: a
 * worker. */
#ifndef RINGBRIDGE_CONTROL_API_API_CHANGE_H
#define RINGBRIDGE_CONTROL_API_API_CHANGE_H

#include "control/api/api.h"

void api_change(struct api *api);

/* Puts on record that the caller wanted something that was refused. */
void api_change_refused(struct api *api);

#endif
