#include "common/end.h"

#include "common/panic.h"

static const struct {
    const char *name, *fault, *sentence;
    bool error;
} table[END_COUNT] = {
    {"none", "none", "The call goes on.", false},
#define END(name, fault, error, sentence) {#name, #fault, sentence, error},
#include "common/end.def"
#undef END
};

const char *end_name(enum end end)
{
    assert(end < END_COUNT);
    return table[end].name;
}

const char *end_fault(enum end end)
{
    assert(end < END_COUNT);
    return table[end].fault;
}

const char *end_sentence(enum end end)
{
    assert(end < END_COUNT);
    return table[end].sentence;
}

bool end_is_error(enum end end)
{
    assert(end < END_COUNT);
    return table[end].error;
}
