#include "control/api/api_groups.h"
#include "control/store/messages.h"
#include "control/store/routes.h"

static enum db_result moved_or_missing(struct api *api, enum db_result result, bool moved)
{
    return result == DB_OK && !moved ? api_missing(api) : result;
}

static enum db_result move_voicemail(struct api *api)
{
    bool moved;
    enum db_result result =
        routes_move_voicemail(api->db, api->arguments[0], api_text(api, "state", ""), &moved);
    return moved_or_missing(api, result, moved);
}

static enum db_result move_message(struct api *api)
{
    bool moved;
    enum db_result result =
        messages_move(api->db, api->arguments[0], api_text(api, "state", ""), &moved);
    return moved_or_missing(api, result, moved);
}

static const struct api_member voicemail_body[] = {
    {"state", "{\"type\":\"string\",\"enum\":[\"new\",\"listened\",\"archived\"]}",
     "What it is from now on.", true},
    API_END};
static const struct api_member message_body[] = {
    {"state", "{\"type\":\"string\",\"enum\":[\"new\",\"read\",\"archived\"]}",
     "What it is from now on.", true},
    API_END};

#define VOICEMAILS "voicemails"
static const struct api_row voicemail_rows[] = {
    {API_LISTS(API_PREFIX "voicemails", "list_voicemails", "Voicemails, newest first.", VOICEMAILS,
               shown_voicemails)},
    {API_SHOWS(API_PREFIX "voicemails/{id}", "show_voicemail", "One voicemail.", VOICEMAILS,
               shown_voicemails)},
    {.method = "PATCH",
     .path = API_PREFIX "voicemails/{id}",
     .name = "move_voicemail",
     .says = "Marks a voicemail as listened, archived or new.",
     .group = VOICEMAILS,
     .role = API_OPERATOR,
     .shape = API_ONE,
     .status = 200,
     .shown = &shown_voicemails,
     .body = voicemail_body,
     .act = move_voicemail},
};
const struct api_group api_voicemails = {VOICEMAILS, "Messages that callers left after the tone.",
                                         voicemail_rows, API_COUNT(voicemail_rows)};

#define LEFT "left-messages"
static const struct api_row message_rows[] = {
    {API_LISTS(API_PREFIX "left-messages", "list_left_messages",
               "What callers asked the agent to pass on, newest first.", LEFT,
               shown_left_messages)},
    {API_SHOWS(API_PREFIX "left-messages/{id}", "show_left_message", "One of these messages.", LEFT,
               shown_left_messages)},
    {.method = "PATCH",
     .path = API_PREFIX "left-messages/{id}",
     .name = "move_left_message",
     .says = "Marks a message as read, archived or new.",
     .group = LEFT,
     .role = API_OPERATOR,
     .shape = API_ONE,
     .status = 200,
     .shown = &shown_left_messages,
     .body = message_body,
     .act = move_message},
};
const struct api_group api_left_messages = {LEFT, "What callers asked the agent to pass on.",
                                            message_rows, API_COUNT(message_rows)};
