#include "common/clock.h"
#include "control/api/api_groups.h"
#include "control/service/media_link.h"
#include "control/store/recordings.h"

#include <stdio.h>
#include <time.h>

#define GROUP "recordings"

/* Its rows (recordings_find) if it is there still; the caller frees them. */
static enum db_result find(struct api *api, struct db_rows **rows)
{
    uint8_t uuid[UUID_BYTES];
    *rows = NULL;
    if (!uuid_read(api->arguments[0], uuid))
        return api_missing(api);
    enum db_result result = recordings_find(api->db, api->arguments[0], rows);
    if (result != DB_OK)
        return result;
    if (db_rows_count(*rows) == 0)
        return api_missing(api);
    if (strcmp(db_cell(*rows, 0, 2), "ready") != 0)
        return api_refuse(api, PROBLEM_conflict, "The recording was deleted.");
    return DB_OK;
}

static void write_time(int64_t at_ms, char text[32])
{
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

static enum db_result give_link(struct api *api)
{
    char ticket[TICKET_TEXT_BYTES + 1], id[37], who[64], until[32];
    char url[SERVICE_URL_BYTES_MAX + TICKET_TEXT_BYTES + 32];
    int64_t until_ms = clock_wall_ms() + api_number(api, "minutes", 10) * 60000;
    if (!media_link_mint(&api->service->media_keys, api->caller.organization, api->arguments[0],
                         until_ms, ticket, id))
        return DB_BROKEN;
    enum db_result result =
        recordings_note(api->db, id, api->arguments[0], "link", api_who(api, who), until_ms);
    if (result != DB_OK)
        return result;
    snprintf(url, sizeof url, "%s" MEDIA_LINK_PATH "%s", api->service->options->public_url, ticket);
    write_time(until_ms, until);
    return api_more(api, json_pack("{s:s, s:s}", "url", url, "expires_at", until));
}

static enum db_result make_link(struct api *api)
{
    struct db_rows *rows;
    enum db_result result = find(api, &rows);
    db_rows_free(rows);
    return result == DB_OK ? give_link(api) : result;
}

static enum db_result delete_one(struct api *api)
{
    char who[64];
    bool made;
    struct db_rows *rows;
    enum db_result result = find(api, &rows);
    db_rows_free(rows);
    return result == DB_OK
               ? recordings_order_deletion(api->db, api->arguments[0], api_who(api, who), &made)
               : result;
}

static const struct api_member link_body[] = {
    {"minutes", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":1440,\"default\":10}",
     "How long it is good for.", false},
    API_END};
static const struct api_member link_more[] = {
    {"url", "{\"type\":\"string\",\"format\":\"uri\"}", "Where it can be heard.", true},
    {"expires_at", SHOWN_TIME, "Until when.", true},
    API_END};

static const struct api_row rows[] = {
    {API_LISTS(API_PREFIX "recordings", "list_recordings", "Recordings, newest first.", GROUP,
               shown_recordings)},
    {API_SHOWS(API_PREFIX "recordings/{id}", "show_recording", "One recording.", GROUP,
               shown_recordings)},
    {API_LISTS(API_PREFIX "recordings/{id}/accesses", "list_recording_accesses",
               "Who was given a recording, and who heard it.", GROUP, shown_accesses),
     .parent = "recording", .of = &shown_recordings},
    {.method = "POST",
     .path = API_PREFIX "recordings/{id}/link",
     .name = "link_recording",
     .says = "An address under which a recording can be heard for a while.",
     .group = GROUP,
     .role = API_OPERATOR,
     .shape = API_ONE,
     .status = 201,
     .body = link_body,
     .more = link_more,
     .act = make_link},
    {.method = "DELETE",
     .path = API_PREFIX "recordings/{id}",
     .name = "delete_recording",
     .says = "Has a recording deleted, here and where the carrier's copy is not wanted there too.",
     .group = GROUP,
     .role = API_ADMIN,
     .status = 202,
     .act = delete_one},
};
const struct api_group api_recordings = {GROUP, "What was kept of calls.", rows, API_COUNT(rows)};
