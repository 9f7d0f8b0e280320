/* api_groups: the groups of the API, a file each, and shorthands for their rows. */
#ifndef RINGBRIDGE_CONTROL_API_API_GROUPS_H
#define RINGBRIDGE_CONTROL_API_API_GROUPS_H

#include "control/api/api.h"

#define API_COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* Rows that only show. */
#define API_LISTS(path_, name_, says_, group_, shown_)                                             \
    .method = "GET", .path = (path_), .name = (name_), .says = (says_), .group = (group_),         \
    .shape = API_PAGE, .status = 200, .shown = &(shown_)
#define API_SHOWS(path_, name_, says_, group_, shown_)                                             \
    .method = "GET", .path = (path_), .name = (name_), .says = (says_), .group = (group_),         \
    .shape = API_ONE, .status = 200, .shown = &(shown_)

/* The end of a list of members. */
#define API_END                                                                                    \
    {                                                                                              \
        .name = NULL                                                                               \
    }

extern const struct api_group api_calls, api_transfers, api_recordings, api_voicemails;
extern const struct api_group api_organization, api_numbers, api_configurations, api_routes;
extern const struct api_group api_tools, api_appointments, api_left_messages;
extern const struct api_group api_after_call, api_endpoints, api_deliveries, api_jobs,
    api_reconciliations;
extern const struct api_group api_carrier;
extern const struct api_group api_outbound_calls, api_batches, api_do_not_call, api_outbound_limits;
extern const struct api_group api_tokens, api_audit_log;

#endif
