#include "control/db/db_array.h"

#include "common/panic.h"

#include <inttypes.h>
#include <stdlib.h>

bool db_array_open(struct db_array *array)
{
    *array = (struct db_array){.count = 0};
    array->out = open_memstream(&array->text, &array->bytes);
    return array->out != NULL;
}

static void separate(struct db_array *array)
{
    assert(array->out);
    putc_unlocked(array->count++ ? ',' : '{', array->out);
}

void db_array_add(struct db_array *array, const char *text)
{
    separate(array);
    putc_unlocked('"', array->out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putc_unlocked('\\', array->out);
        putc_unlocked(*text, array->out);
    }
    putc_unlocked('"', array->out);
}

void db_array_add_number(struct db_array *array, int64_t number)
{
    separate(array);
    fprintf(array->out, "%" PRId64, number);
}

struct db_value db_array_value(struct db_array *array)
{
    fputs(array->count ? "}" : "{}", array->out);
    bool whole = !ferror(array->out);
    whole &= fclose(array->out) == 0;
    array->out = NULL;
    return db_text(whole ? array->text : NULL);
}

void db_array_free(struct db_array *array)
{
    if (array->out)
        fclose(array->out);
    free(array->text);
    *array = (struct db_array){.count = 0};
}
