#include "edge/wire/jscan.h"

#include "common/panic.h"
#include "edge/limits.h"
#include "edge/wire/lanes.h"
#include "edge/wire/utf8.h"

struct scan {
    const uint8_t *at, *end;
    struct jscan_value *values;
    size_t slots_count;
    unsigned depth;
    enum fault fault;
};

static bool fail(struct scan *scan, enum fault fault)
{
    scan->fault = fault;
    return false;
}

static bool malformed(struct scan *scan)
{
    return fail(scan, FAULT_json_malformed);
}

static void skip_blanks(struct scan *scan)
{
    while (scan->at < scan->end && *scan->at <= ' ' &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
        scan->at++;
}

/* Takes one byte when it is the next. */
static bool take_byte(struct scan *scan, uint8_t byte)
{
    if (scan->at == scan->end || *scan->at != byte)
        return false;
    scan->at++;
    return true;
}

static int hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Four hex digits to a UTF-16 unit; -1 when they are none. */
static int32_t utf16_unit(const uint8_t *at, const uint8_t *end)
{
    if (end - at < 4)
        return -1;
    int32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(at[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* Behind "\u": one character, which may take two units. */
static bool take_utf16(struct scan *scan)
{
    int32_t unit = utf16_unit(scan->at, scan->end);
    if (unit <= 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return malformed(scan);
    scan->at += 4;
    if (unit < 0xd800 || unit > 0xdbff)
        return true;
    if (!take_byte(scan, '\\') || !take_byte(scan, 'u'))
        return malformed(scan);
    unit = utf16_unit(scan->at, scan->end);
    if (unit < 0xdc00 || unit > 0xdfff)
        return malformed(scan);
    scan->at += 4;
    return true;
}

/* Behind a backslash. */
static bool take_escape(struct scan *scan)
{
    if (scan->at == scan->end)
        return malformed(scan);
    switch (*scan->at++) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return true;
    case 'u':
        return take_utf16(scan);
    default:
        return malformed(scan);
    }
}

/* Moves to the next quote, backslash, control byte or the end. */
static void skip_plain(struct scan *scan, unsigned *wide)
{
    while (scan->end - scan->at >= LANES) {
        unsigned stops = lanes_json_stops(scan->at, wide);
        if (stops) {
            scan->at += __builtin_ctz(stops);
            return;
        }
        scan->at += LANES;
    }
    for (; scan->at < scan->end; scan->at++) {
        if (*scan->at == '"' || *scan->at == '\\' || *scan->at < 0x20)
            return;
        *wide |= *scan->at & 0x80u;
    }
}

/* Behind the opening quote. */
static bool take_string(struct scan *scan, struct jscan_value *value)
{
    const uint8_t *start = scan->at;
    unsigned wide = 0;
    value->kind = JSCAN_STRING;
    value->escaped = false;
    for (;;) {
        skip_plain(scan, &wide);
        if (scan->at == scan->end)
            return malformed(scan);
        if (*scan->at == '"')
            break;
        if (*scan->at != '\\')
            return malformed(scan);
        scan->at++;
        value->escaped = true;
        if (!take_escape(scan))
            return false;
    }
    value->text = span_from(start, (size_t)(scan->at - start));
    scan->at++;
    /* wide may have been set by bytes behind the quote: then this looks for nothing, harmlessly */
    return !wide || utf8_valid(value->text) || malformed(scan);
}

/* At least one digit, all of them taken. */
static bool take_digits(struct scan *scan)
{
    const uint8_t *start = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
        scan->at++;
    return scan->at > start;
}

static bool take_number(struct scan *scan, struct jscan_value *value)
{
    const uint8_t *start = scan->at;
    take_byte(scan, '-');
    if (!take_byte(scan, '0') && !take_digits(scan))
        return malformed(scan);
    if (take_byte(scan, '.') && !take_digits(scan))
        return malformed(scan);
    if (take_byte(scan, 'e') || take_byte(scan, 'E')) {
        if (!take_byte(scan, '+'))
            take_byte(scan, '-');
        if (!take_digits(scan))
            return malformed(scan);
    }
    value->kind = JSCAN_NUMBER;
    value->text = span_from(start, (size_t)(scan->at - start));
    return true;
}

static bool take_word(struct scan *scan, struct jscan_value *value, enum jscan_kind kind,
                      const char *word)
{
    struct span rest = span_from(scan->at, (size_t)(scan->end - scan->at));
    if (!span_starts(rest, word))
        return malformed(scan);
    value->kind = kind;
    value->text = span_from(scan->at, strlen(word));
    scan->at += value->text.bytes;
    return true;
}

/* The table's row of a key, if it has one. */
static const struct jscan_member *find_member(const struct jscan_member *members,
                                              const struct jscan_value *key)
{
    for (; members && members->name; members++)
        if (key->escaped ? jscan_is(key, members->name)
                         : key->text.bytes == members->name_bytes &&
                               memcmp(key->text.data, members->name, members->name_bytes) == 0)
            return members;
    return NULL;
}

static bool take_value(struct scan *scan, const struct jscan_member *inside,
                       struct jscan_value *value);

/* "key": value. Keys that the table has may come once: which of two would count? */
static bool take_member(struct scan *scan, const struct jscan_member *members, bool *strings)
{
    struct jscan_value key, spare;
    if (!take_byte(scan, '"'))
        return malformed(scan);
    if (!take_string(scan, &key))
        return false;
    const struct jscan_member *member = find_member(members, &key);
    assert(!member || member->slot < scan->slots_count);
    struct jscan_value *value = member ? &scan->values[member->slot] : &spare;
    if (member && value->kind != JSCAN_ABSENT)
        return malformed(scan);
    skip_blanks(scan);
    if (!take_byte(scan, ':'))
        return malformed(scan);
    skip_blanks(scan);
    if (!take_value(scan, member ? member->inside : NULL, value))
        return false;
    *strings = *strings && value->kind == JSCAN_STRING;
    return true;
}

/* Behind the opening brace. */
static bool take_object(struct scan *scan, const struct jscan_member *members, bool *strings)
{
    *strings = true;
    skip_blanks(scan);
    if (take_byte(scan, '}'))
        return true;
    for (;;) {
        if (!take_member(scan, members, strings))
            return false;
        skip_blanks(scan);
        if (take_byte(scan, '}'))
            return true;
        if (!take_byte(scan, ','))
            return malformed(scan);
        skip_blanks(scan);
    }
}

/* Behind the opening bracket. */
static bool take_array(struct scan *scan)
{
    struct jscan_value spare;
    skip_blanks(scan);
    if (take_byte(scan, ']'))
        return true;
    for (;;) {
        if (!take_value(scan, NULL, &spare))
            return false;
        skip_blanks(scan);
        if (take_byte(scan, ']'))
            return true;
        if (!take_byte(scan, ','))
            return malformed(scan);
        skip_blanks(scan);
    }
}

/* An array or object, whose depth is counted here: the recursion's bound. */
static bool take_nested(struct scan *scan, const struct jscan_member *inside,
                        struct jscan_value *value)
{
    const uint8_t *start = scan->at;
    bool object = *scan->at++ == '{';
    bool strings = false;
    if (scan->depth == JSON_DEPTH_MAX)
        return fail(scan, FAULT_json_too_deep);
    scan->depth++;
    if (!(object ? take_object(scan, inside, &strings) : take_array(scan)))
        return false;
    scan->depth--;
    value->kind = object ? JSCAN_OBJECT : JSCAN_ARRAY;
    value->strings = strings;
    value->text = span_from(start, (size_t)(scan->at - start));
    return true;
}

static bool take_value(struct scan *scan, const struct jscan_member *inside,
                       struct jscan_value *value)
{
    if (scan->at == scan->end)
        return malformed(scan);
    switch (*scan->at) {
    case '"':
        scan->at++;
        return take_string(scan, value);
    case '{':
    case '[':
        return take_nested(scan, inside, value);
    case 't':
        return take_word(scan, value, JSCAN_TRUE, "true");
    case 'f':
        return take_word(scan, value, JSCAN_FALSE, "false");
    case 'n':
        return take_word(scan, value, JSCAN_NULL, "null");
    default:
        return take_number(scan, value);
    }
}

enum fault jscan_read(struct span text, const struct jscan_member *members,
                      struct jscan_value *values, size_t slots_count)
{
    if (text.bytes == 0)
        return FAULT_json_malformed;
    struct scan scan = {.at = text.data,
                        .end = text.data + text.bytes,
                        .values = values,
                        .slots_count = slots_count};
    struct jscan_value root;
    for (size_t slot = 0; slot < slots_count; slot++)
        values[slot] = (struct jscan_value){.kind = JSCAN_ABSENT};
    skip_blanks(&scan);
    if (!take_value(&scan, members, &root))
        return scan.fault;
    skip_blanks(&scan);
    assert(scan.depth == 0 && scan.fault == FAULT_NONE);
    return scan.at == scan.end ? FAULT_NONE : FAULT_json_malformed;
}

/* The next character of valid raw content, escapes undone, when it is ASCII; -1 otherwise. */
static int next_ascii(struct span *raw)
{
    static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    uint8_t byte = raw->data[0];
    size_t length = 1;
    int character = byte < 0x80 ? byte : -1;
    if (byte == '\\' && raw->data[1] == 'u') {
        character = utf16_unit(raw->data + 2, raw->data + raw->bytes);
        length = 6;
    } else if (byte == '\\') {
        character = bytes[strchr(names, raw->data[1]) - names];
        length = 2;
    }
    *raw = span_from(raw->data + length, raw->bytes - length);
    return character < 0x80 ? character : -1;
}

bool jscan_is(const struct jscan_value *value, const char *text)
{
    if (value->kind != JSCAN_STRING)
        return false;
    if (!value->escaped)
        return span_is(value->text, text);
    struct span raw = value->text;
    for (; *text && raw.bytes; text++)
        if (next_ascii(&raw) != (uint8_t)*text)
            return false;
    return *text == '\0' && raw.bytes == 0;
}

bool jscan_digits(struct span text, uint64_t *number)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        if (__builtin_mul_overflow(sum, 10u, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(text.data[i] - '0'), &sum))
            return false;
    }
    *number = sum;
    return text.bytes > 0;
}
