/* Questions and answers of the metrics thread: an old answer never answers a new question. */
#include "edge/report/link_scrape.h"
#include "tests/report/check.h"

#include <stdlib.h>

static void gives_the_answer(void **state)
{
    struct link_scrape *scrape = *state;
    size_t bytes;
    uint64_t number = link_scrape_ask(scrape);
    link_scrape_answer(scrape, number, span_of("figure 1"));
    link_scrape_answer(scrape, number, span_of("doubled"));
    char *text = link_scrape_wait(scrape, 60000, &bytes);
    assert_true(span_is(span_from(text, bytes), "figure 1"));
    free(text);
}

static void throws_old_answers_away(void **state)
{
    struct link_scrape *scrape = *state;
    size_t bytes;
    uint64_t old = link_scrape_ask(scrape);
    assert_null(link_scrape_wait(scrape, 0, &bytes)); /* given up */
    link_scrape_answer(scrape, old, span_of("between"));
    uint64_t number = link_scrape_ask(scrape);
    link_scrape_answer(scrape, old, span_of("old"));
    link_scrape_answer(scrape, number, span_of("new"));
    char *text = link_scrape_wait(scrape, 60000, &bytes);
    assert_true(span_is(span_from(text, bytes), "new"));
    free(text);
}

/* No answer is an answer too: nobody waits for the end of the time. */
static void says_that_there_is_none(void **state)
{
    struct link_scrape *scrape = *state;
    size_t bytes = 7;
    uint64_t number = link_scrape_ask(scrape);
    link_scrape_answer(scrape, number, (struct span){NULL, 0});
    assert_null(link_scrape_wait(scrape, 600000, &bytes));
    assert_int_equal(0, bytes);
}

static int begin(void **state)
{
    static struct link_scrape scrape;
    link_scrape_open(&scrape);
    *state = &scrape;
    return 0;
}

static int end(void **state)
{
    link_scrape_close(*state);
    return 0;
}

#define with(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with(gives_the_answer),
        with(throws_old_answers_away),
        with(says_that_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
