/* api_caller: whose token is it, and may it do this, now?
 *
 * What is wrong with a token nobody is told: not there, expired and revoked look the same. Wrong
 * ones are not counted by address: behind a proxy all have one, and 256 random bits are not
 * guessed. One costs a look into an index, by the API's own workers, whose queue is bounded.
 * Thread: a worker. */
#ifndef RINGBRIDGE_CONTROL_API_API_CALLER_H
#define RINGBRIDGE_CONTROL_API_API_CALLER_H

#include "control/api/api.h"

/* Fills in api->caller, takes one of its rate, and checks role and scope of api->row; or refuses.
 */
enum db_result api_caller_find(struct api *api);

const char *api_caller_role_name(enum api_role role);

#endif
