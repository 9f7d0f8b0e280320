#include "control/api/api_groups.h"

/* In the order in which the document shows them. */
const struct api_group *const api_groups[] = {
    &api_calls,          &api_transfers,    &api_recordings,      &api_voicemails,
    &api_left_messages,  &api_numbers,      &api_routes,          &api_configurations,
    &api_tools,          &api_appointments, &api_after_call,      &api_endpoints,
    &api_deliveries,     &api_jobs,         &api_reconciliations, &api_organization,
    &api_outbound_calls, &api_batches,      &api_do_not_call,     &api_outbound_limits,
    &api_carrier,        &api_tokens,       &api_audit_log,
};
const int api_groups_count = API_COUNT(api_groups);
