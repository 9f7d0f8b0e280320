/* Numbers as the carrier has them: searched, compared with what we want, mended. */
#include "control/carrier/carrier_check.h"
#include "control/carrier/carrier_search.h"
#include "control/commands/command.h"
#include "control/store/carrier_numbers.h"

/* ---- search ---- */

struct list {
    const struct options *options;
    json_t *found;
    unsigned count;
};

static bool show(const struct carrier_search_found *found, void *context)
{
    struct list *list = context;
    if (list->found)
        json_array_append_new(list->found, carrier_search_write(found));
    else
        printf("%-16s  %-24s %-4s address: %-8s %s%s%s\n", found->number, found->locality,
               found->region, found->address_requirements, found->voice ? "voice " : "",
               found->sms ? "sms " : "", found->mms ? "mms" : "");
    return ++list->count < list->options->limit;
}

static int print_found(const struct options *options, const struct twilio_rest *rest)
{
    struct list list = {.options = options, .found = options->json ? json_array() : NULL};
    const struct carrier_search search = {.country = options->country,
                                          .kind = options->kind,
                                          .area_code = options->area_code,
                                          .contains = options->contains};
    struct http_client_response response;
    bool fine = carrier_search_run(rest, &search, show, &list, &response);
    if (fine && list.found) {
        json_dumpf(list.found, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    int status = fine ? COMMAND_DONE : command_fail("%s", response.error);
    json_decref(list.found);
    http_client_free(&response);
    return status;
}

static int search(const struct options *options, struct db *db, const char *organization)
{
    struct twilio_rest rest;
    char account[35] = "", error[256];
    bool is_country = strlen(options->country) == 2 &&
                      strspn(options->country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 2;
    if (!carrier_number_kind(options->kind) || !is_country)
        return command_misuse(
            "--country is two capital letters, --kind local, toll_free or mobile");
    if (options->area_code &&
        strspn(options->area_code, "0123456789") != strlen(options->area_code))
        return command_misuse("--area-code is digits");
    enum db_result result =
        organization[0] ? carrier_numbers_account(db, organization, account) : DB_OK;
    if (result != DB_OK)
        return command_database_failed(db, result);
    enum twilio_rest_opened opened = twilio_rest_open(
        &rest, db, options, account[0] ? account : options->account_sid, error, sizeof error);
    int status = opened == TWILIO_REST_OPENED ? print_found(options, &rest)
                 : opened == TWILIO_REST_AWAY ? command_database_failed(db, DB_AWAY)
                                              : command_fail("%s", error);
    twilio_rest_close(&rest);
    return status;
}

/* ---- verify and configure ---- */

static void print_difference(const struct carrier_check_told *told, void *context)
{
    json_t *found = context;
    char words[CARRIER_CHECK_WORDS_BYTES];
    carrier_check_words(told, words);
    if (found)
        json_array_append_new(
            found, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s}", "number", told->number,
                             "organization", told->organization, "account", told->account,
                             "property", told->property ? told->property : "", "has",
                             told->has ? told->has : "", "wants", told->wants ? told->wants : "",
                             "mended", told->mended, "finding", words));
    else
        printf("%s\n", words);
}

static int compare(const struct options *options, struct db *db, const char *organization,
                   bool mend)
{
    struct carrier_number_want want;
    struct carrier_check check = {.options = options,
                                  .organization = organization[0] ? organization : NULL,
                                  .number = options->words_count > 2 ? options->words[2] : NULL,
                                  .mend = mend,
                                  .by = command_who(),
                                  .tell = print_difference};
    if (!options->public_url || !carrier_number_wish(&want, options->public_url))
        return command_fail("set PUBLIC_URL: the https base under which Twilio reaches us");
    check.context = options->json ? json_array() : NULL;
    enum db_result result = carrier_check_run(&check, db);
    if (check.context) {
        json_dumpf(check.context, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(check.context);
    } else if (result == DB_OK) {
        printf("%d numbers compared, %d differences%s\n", check.numbers, check.differences,
               mend ? " left" : "");
    }
    if (result != DB_OK)
        return command_database_failed(db, result);
    return check.differences + check.unasked ? COMMAND_FAILED : COMMAND_DONE;
}

bool command_number_carrier_is(const struct options *options)
{
    return command_is(options, "search", 0, 0) || command_is(options, "verify", 0, 1) ||
           command_is(options, "configure", 0, 1);
}

int command_number_carrier(const struct options *options, struct db *db)
{
    char organization[COMMAND_ID_TEXT];
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    if (command_is(options, "search", 0, 0))
        return search(options, db, organization);
    return compare(options, db, organization, command_is(options, "configure", 0, 1));
}
