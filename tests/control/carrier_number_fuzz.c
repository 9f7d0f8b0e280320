/* Whatever the carrier writes about a number, comparing it stays within bounds, what is told of it
 * to a person is one line, and what is to be had is shown as it was read. */
#include "common/panic.h"
#include "control/base/json_read.h"
#include "control/carrier/carrier_check.h"
#include "control/carrier/carrier_search.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_words(const struct carrier_number_difference *difference, const char *number)
{
    char words[CARRIER_CHECK_WORDS_BYTES];
    const struct carrier_check_told told = {.kind = CARRIER_CHECK_DIFFERS,
                                            .account = "",
                                            .organization = "",
                                            .number = number ? number : "",
                                            .property = difference->answer,
                                            .has = difference->has,
                                            .wants = difference->wants};
    assert(strcmp(difference->has, difference->wants) != 0);
    carrier_check_words(&told, words);
    for (const char *at = words; *at; at++)
        assert((unsigned char)*at >= 0x20 && *at != 0x7f);
}

static void check_search(const json_t *number)
{
    struct carrier_search_found found;
    if (!carrier_search_read(number, &found))
        return;
    assert(carrier_number_is_e164(found.number));
    assert(strlen(found.locality) <= CARRIER_SEARCH_TEXT_BYTES);
    json_t *written = carrier_search_write(&found);
    assert(strcmp(json_read_text(written, "number", 16), found.number) == 0);
    json_decref(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct carrier_number_want want;
    struct carrier_number_difference differences[CARRIER_NUMBER_PROPERTIES_COUNT];
    json_t *number = json_read_object(span_from(data, bytes));
    bool wished = carrier_number_wish(&want, "https://calls.example.com");
    assert(wished);
    const char *text = json_read_text(number, "phone_number", 20);
    assert(!carrier_number_is_e164(text) || strlen(text) <= 16);
    int count = carrier_number_compare(&want, number, differences);
    assert(count >= 0 && count <= CARRIER_NUMBER_PROPERTIES_COUNT);
    for (int i = 0; i < count; i++)
        check_words(&differences[i], text);
    check_search(number);
    json_decref(number);
    return 0;
}
