/* A URL by which one person may listen to one live call, once, within a minute. */
#include "control/commands/command.h"
#include "control/service/listen_ticket.h"
#include "control/store/orders.h"

#include <stdlib.h>

static bool make_keys(const struct options *options, struct ticket_keys *keys)
{
    *keys = (struct ticket_keys){.has_previous = false};
    return seal_derive(&options->seal, LISTEN_KEY_LABEL, false, keys->current);
}

static int print_url(const struct options *options, const struct ticket_keys *keys,
                     const char *call, const struct db_rows *rows)
{
    char ticket[TICKET_TEXT_BYTES + 1];
    const char *base = db_cell(rows, 0, 1) ? db_cell(rows, 0, 1) : options->websocket_url;
    if (!base)
        return command_misuse("where are the edges? set PUBLIC_URL or TWILIO_WEBSOCKET_URL");
    uint16_t core = (uint16_t)strtoul(db_cell(rows, 0, 2), NULL, 10); /* note_listener bounds it */
    if (!listen_ticket_mint(keys, db_cell(rows, 0, 0), call, core, ticket))
        return command_fail("there is no randomness to be had");
    printf("%s" LISTEN_PATH "%s\n", base, ticket);
    return COMMAND_DONE;
}

int command_calls_listen(const struct options *options, struct db *db)
{
    char id[COMMAND_ID_TEXT];
    struct ticket_keys keys;
    struct db_rows *rows = NULL;
    enum orders_given given;
    int status;
    if (!make_keys(options, &keys))
        return command_misuse("RINGBRIDGE_SECRET_KEY is needed, as serve has it: it signs tickets");
    if (!command_find_call(options, db, options->words[2], id, &status))
        return status;
    enum db_result result = orders_note_listener(db, id, command_who(), &given, &rows);
    if (result != DB_OK)
        status = command_database_failed(db, result);
    else if (given != ORDERS_GIVEN)
        status = command_fail(given == ORDERS_OVER ? "the call is over"
                                                   : "no edge carries the call at the moment");
    else
        status = print_url(options, &keys, id, rows);
    db_rows_free(rows);
    explicit_bzero(&keys, sizeof keys);
    return status;
}
