#include "control/store/clean.h"

#include "common/panic.h"
#include "control/base/utf8.h"

#include <stdlib.h>

char *clean_text(const char *text, size_t bytes_max)
{
    if (!text || !text[0])
        return NULL;
    char *clean = malloc(bytes_max + 1);
    assert(clean);
    utf8_clean(span_from(text, strnlen(text, bytes_max + 4)), clean, bytes_max + 1);
    return clean;
}

/* The four hexadecimal digits after \u, or -1. */
static int read_escape(const char *digits)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char digit = digits[i];
        int number = digit >= '0' && digit <= '9'   ? digit - '0'
                     : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                     : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                                    : -1;
        if (number < 0)
            return -1; /* the NUL at the end stops here, too */
        value = value * 16 + number;
    }
    return value;
}

static bool is_high(int code)
{
    return code >= 0xd800 && code <= 0xdbff;
}

static bool is_low(int code)
{
    return code >= 0xdc00 && code <= 0xdfff;
}

/* at stands on a backslash. Mends the escape in place and returns how many bytes it takes. */
static size_t mend_escape(char *at)
{
    if (at[1] != 'u')
        return at[1] ? 2 : 1;
    int code = read_escape(at + 2);
    if (code < 0)
        return 2;
    if (is_high(code) && at[6] == '\\' && at[7] == 'u' && is_low(read_escape(at + 8)))
        return 12;
    if (code == 0 || is_high(code) || is_low(code))
        memcpy(at + 2, "fffd", 4);
    return 6;
}

char *clean_json(const char *json)
{
    if (!json)
        return NULL;
    size_t bytes = strlen(json);
    char *clean = malloc(bytes * 3 + 1); /* a broken byte becomes three */
    assert(clean);
    utf8_clean(span_from(json, bytes), clean, bytes * 3 + 1);
    for (char *at = clean; *at;)
        at += *at == '\\' ? mend_escape(at) : 1;
    return clean;
}
