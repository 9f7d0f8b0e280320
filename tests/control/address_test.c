/* Whom a rate is counted for. (Which addresses are public stands in http_client_test.) */
#include "control/base/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void an_address_is_counted_as_its_customer(void **state)
{
    static const struct {
        const char *text, *key;
    } cases[] = {{"192.0.2.7", "192.0.2.7"},
                 {"2001:db8:1:2::7", "2001:db8:1:2::"},
                 {"2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::"},
                 {"2001:0DB8:0001:0002:0:0:0:1", "2001:db8:1:2::"},
                 {"2001:db8:1:3::7", "2001:db8:1:3::"},
                 {"::ffff:192.0.2.7", "192.0.2.7"},
                 {"::ffff:192.0.2.8", "192.0.2.8"},
                 {"::1", "::"},
                 {"somebody", "somebody"},
                 {"192.0.2", "192.0.2"},
                 {"2001:db8:1:2::7%eth0-and-a-name-that-has-no-end-of-its-own",
                  "2001:db8:1:2::7%eth0-and-a-name-that-has-no-end"}};
    char key[ADDRESS_KEY_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(address_write_key(cases[i].text, key), cases[i].key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_address_is_counted_as_its_customer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
