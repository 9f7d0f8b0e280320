/* The event store against a model: a plain array that remembers everything. */
#include "edge/report/link_store.h"
#include "tests/report/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS 5000

struct model {
    struct link_store store;
    bool sent[EVENTS + 1], acknowledged[EVENTS + 1];
    uint64_t put, cursor; /* cursor: all up to it were sent since the last rewind, or are gone */
    size_t waiting;
};

static uint64_t dice(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void put(struct model *model)
{
    char *json;
    assert_true(asprintf(&json, "{\"n\":%llu}", (unsigned long long)model->put + 1) > 0);
    assert_true(link_store_put(&model->store, json, strlen(json)));
    model->put++;
    model->waiting++;
}

static void expect_next(struct model *model)
{
    char json[32];
    struct link_event *event = link_store_next(&model->store);
    while (model->cursor < model->put && model->acknowledged[model->cursor + 1])
        model->cursor++;
    if (model->cursor == model->put) {
        assert_null(event);
        return;
    }
    uint64_t id = ++model->cursor;
    assert_non_null(event);
    assert_int_equal(id, event->id);
    assert_true(event->sent == model->sent[id]);
    snprintf(json, sizeof json, "{\"n\":%llu}", (unsigned long long)id);
    assert_string_equal(json, event->json);
    assert_int_equal(strlen(json), event->json_bytes);
    link_store_advance(&model->store);
    model->sent[id] = true;
}

static void acknowledge(struct model *model, uint64_t id)
{
    bool known = id >= 1 && id <= model->put && model->sent[id] && !model->acknowledged[id];
    ptrdiff_t bytes = link_store_acknowledge(&model->store, id);
    assert_true((bytes >= 0) == known);
    if (known) {
        assert_int_equal(snprintf(NULL, 0, "{\"n\":%llu}", (unsigned long long)id), bytes);
        model->acknowledged[id] = true;
        model->waiting--;
    }
}

static void play(uint64_t seed)
{
    struct model *model = calloc(1, sizeof *model);
    uint64_t state = seed;
    unsigned eagerness = 1 + (unsigned)(seed % 4); /* how much faster than they come they go */
    while (model->put < EVENTS) {
        unsigned move = (unsigned)(dice(&state) % 100);
        if (move < 40)
            put(model);
        else if (move < 75)
            expect_next(model);
        else if (move < 99)
            for (unsigned i = 0; i < eagerness; i++) /* any, known or not */
                acknowledge(model, dice(&state) % (model->put + 3));
        else {
            link_store_rewind(&model->store);
            model->cursor = 0;
        }
        assert_int_equal(model->waiting, link_store_waiting(&model->store));
    }
    link_store_rewind(&model->store);
    model->cursor = 0;
    while (model->cursor < model->put)
        expect_next(model);
    for (uint64_t id = EVENTS; id > 0; id--)
        acknowledge(model, id);
    assert_int_equal(0, link_store_waiting(&model->store));
    assert_null(link_store_next(&model->store));
    link_store_close(&model->store);
    free(model);
}

static void agrees_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++)
        play(seed);
}

/* One event that is never acknowledged must not make the store grow with all that come after. */
static void does_not_grow_behind_a_stuck_event(void **state)
{
    (void)state;
    struct link_store store = {.room = 0};
    for (uint64_t id = 1; id <= 100000; id++) {
        assert_true(link_store_put(&store, strdup("{}"), 2));
        assert_int_equal(id, link_store_next(&store)->id);
        link_store_advance(&store);
        if (id > 1)
            assert_int_equal(2, link_store_acknowledge(&store, id));
    }
    assert_int_equal(1, link_store_waiting(&store));
    assert_true(store.room <= 1024);
    link_store_rewind(&store);
    assert_int_equal(1, link_store_next(&store)->id);
    link_store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_model),
        cmocka_unit_test(does_not_grow_behind_a_stuck_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
