/* Joining control's figures to ours. */
#include "edge/report/exposition.h"
#include "tests/report/check.h"

#include <stdlib.h>

static const char ours[] = "# HELP e_calls_total Calls.\n"
                           "# TYPE e_calls_total counter\n"
                           "e_calls_total 4\n"
                           "# HELP e_wait_seconds Waiting.\n"
                           "# TYPE e_wait_seconds histogram\n"
                           "e_wait_seconds_bucket{le=\"+Inf\"} 2\n"
                           "e_wait_seconds_sum 0.5\n"
                           "e_wait_seconds_count 2\n";

static void expect(const char *guest, const char *wanted, size_t dropped)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    size_t really = exposition_join(out, span_of(ours), span_of(guest));
    fclose(out);
    assert_string_equal(wanted, text);
    assert_int_equal(dropped, really);
    free(text);
}

static void passes_good_text(void **state)
{
    (void)state;
    static const char good[] =
        "# HELP c_jobs_total Jobs, with a \\\\ and \"quotes\".\n# TYPE c_jobs_total counter\n"
        "c_jobs_total{kind=\"mail\",result=\"done\"} 3\nc_jobs_total{kind=\"mail\",result=\"\"} 0\n"
        "# HELP c_db_seconds Time.\n# TYPE c_db_seconds histogram\n"
        "c_db_seconds_bucket{le=\"0.1\"} 1\nc_db_seconds_bucket{le=\"+Inf\"} 2\n"
        "c_db_seconds_sum 1e-3\nc_db_seconds_count 2\n"
        "c_untyped{text=\"a } b \\\" \\\\ \\n c\"} NaN\nc:colon -Inf\n";
    expect(good, good, 0);
    expect("", "", 0);
    expect("\n# a comment\n\n", "", 0);
    expect("c_last 1", "c_last 1\n", 0);
}

static void keeps_each_series_once(void **state)
{
    (void)state;
    expect("c_a 1\nc_a 2\n", "c_a 1\n", 1);
    expect("c_a{x=\"1\",y=\"2\"} 1\nc_a{y=\"2\",x=\"1\"} 2\nc_a{x=\"2\",y=\"1\"} 3\n",
           "c_a{x=\"1\",y=\"2\"} 1\nc_a{x=\"2\",y=\"1\"} 3\n", 1);
    expect("c_a 1\nc_b 1\nc_a{x=\"2\"} 1\n", "c_a 1\nc_b 1\n", 1); /* a name is one group */
    expect("# TYPE c_a counter\n# TYPE c_a gauge\nc_a 1\n", "# TYPE c_a counter\nc_a 1\n", 1);
}

static void keeps_our_names_ours(void **state)
{
    (void)state;
    expect("# TYPE e_calls_total counter\ne_calls_total{a=\"b\"} 1\n", "", 2);
    expect("e_wait_seconds_bucket{le=\"1.0\"} 1\n", "", 1);
    expect("# TYPE e_wait_seconds histogram\ne_wait_seconds_sum 1\n", "", 2);
    expect("e_wait_seconds_count 1\n", "", 1);
    expect("e_wait 1\n", "e_wait 1\n", 0);
}

static void drops_broken_lines(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "c_a\n",
        "c_a \n",
        "c_a x\n",
        "c_a 1 x\n",
        "c_a 1 1790000000000\n",
        "c_a  1\n",
        " c_a 1\n",
        "1c 1\n",
        "c-a 1\n",
        "c_a{ 1\n",
        "c_a{} \n",
        "c_a{x} 1\n",
        "c_a{x=1} 1\n",
        "c_a{x=\"1} 1\n",
        "c_a{x=\"1\",} 1\n",
        "c_a{x=\"1\" y=\"2\"} 1\n",
        "c_a{x=\"1\",x=\"2\"} 1\n",
        "c_a{x=\"\\q\"} 1\n",
        "c_a{x=\"\\\n",
        "c_a{x=\"\xff\"} 1\n",
        "c_a{x=\"\t\"} 1\n",
        "c_a 1\r\n",
        "c_a{x:y=\"1\"} 1\n",
        "\x01\n",
        "{} 1\n",
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        expect(broken[i], "", 1);
    expect("c_a 1\nrubbish\nc_b 2\n", "c_a 1\nc_b 2\n", 1);
    expect("# HELP c_a caf\xc3\xa9\nc_a 1\n", "c_a 1\n", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_good_text),
        cmocka_unit_test(keeps_each_series_once),
        cmocka_unit_test(keeps_our_names_ours),
        cmocka_unit_test(drops_broken_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
