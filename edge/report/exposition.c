#include "edge/report/exposition.h"

#include "common/panic.h"

#include <stdlib.h>

#define LABELS_MAX 16

/* A set of 64-bit hashes. Two keys that collide cost one line of a report, once in 2^64. */
struct set {
    uint64_t *slots; /* 0: free */
    size_t mask;
};

struct guest {
    FILE *out;
    struct set names;  /* that may not begin (again) */
    struct set series; /* written */
    struct span family;
    bool accepted, helped, typed;
    size_t dropped;
};

static const uint64_t hash_start = 0xcbf29ce484222325u; /* FNV-1a, 64 bit */

static uint64_t hash(uint64_t value, struct span bytes)
{
    for (size_t i = 0; i < bytes.bytes; i++)
        value = (value ^ bytes.data[i]) * 0x100000001b3u;
    return value;
}

static bool open_set(struct set *set, size_t entries)
{
    size_t room = 64;
    while (room < entries * 2)
        room *= 2;
    set->slots = calloc(room, sizeof *set->slots);
    set->mask = room - 1;
    return set->slots != NULL;
}

/* Where the key is, or would go. */
static uint64_t *find(const struct set *set, uint64_t key)
{
    size_t at = (size_t)(key >> 7) & set->mask;
    while (set->slots[at] && set->slots[at] != key)
        at = (at + 1) & set->mask;
    return &set->slots[at];
}

/* False when it was there. */
static bool add(struct set *set, uint64_t key)
{
    key |= key == 0; /* 0 says free */
    uint64_t *slot = find(set, key);
    bool fresh = *slot == 0;
    *slot = key;
    return fresh;
}

static struct span skip(struct span span, size_t bytes)
{
    assert(bytes <= span.bytes);
    return span_from(span.data + bytes, span.bytes - bytes);
}

static bool is_letter(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
}

/* Takes a metric's (colon allowed) or a label's name from the front; empty when there is none. */
static struct span take_name(struct span *line, bool colon)
{
    size_t bytes = 0;
    while (bytes < line->bytes &&
           (is_letter(line->data[bytes]) || (colon && line->data[bytes] == ':') ||
            (bytes > 0 && line->data[bytes] >= '0' && line->data[bytes] <= '9')))
        bytes++;
    struct span name = span_from(line->data, bytes);
    *line = skip(*line, bytes);
    return name;
}

static bool take_byte(struct span *line, char byte)
{
    if (line->bytes == 0 || line->data[0] != (uint8_t)byte)
        return false;
    *line = skip(*line, 1);
    return true;
}

/* A quoted value: up to the closing quote; a backslash takes one of \ " n with it. */
static bool take_value(struct span *line, struct span *value)
{
    size_t bytes = 0;
    if (!take_byte(line, '"'))
        return false;
    for (; bytes < line->bytes && line->data[bytes] != '"'; bytes++)
        if (line->data[bytes] == '\\' &&
            (++bytes == line->bytes || !strchr("\\\"n", line->data[bytes])))
            return false;
    *value = span_from(line->data, bytes);
    *line = skip(*line, bytes);
    return take_byte(line, '"');
}

/* Labels in braces. Adds to *key what does not depend on their order. */
static bool take_labels(struct span *line, uint64_t *key)
{
    struct span names[LABELS_MAX];
    if (!take_byte(line, '{'))
        return true;
    for (size_t count = 0; !take_byte(line, '}'); count++) {
        struct span value;
        if (count == LABELS_MAX || (count > 0 && !take_byte(line, ',')))
            return false;
        names[count] = take_name(line, false);
        if (names[count].bytes == 0 || !take_byte(line, '=') || !take_value(line, &value))
            return false;
        for (size_t i = 0; i < count; i++)
            if (span_equal(names[i], names[count]))
                return false;
        *key += hash(hash(hash_start, names[count]) * 31, value);
    }
    return true;
}

/* A float, and nothing behind it: timestamps are not for us to pass on. */
static bool is_number(struct span text)
{
    char copy[64], *end;
    if (!span_copy_text(text, copy, sizeof copy) || copy[0] == '\0' || copy[0] == ' ')
        return false;
    strtod(copy, &end);
    return *end == '\0';
}

/* name, labels, value. False when the line is no sample. */
static bool read_sample(struct span line, struct span *name, uint64_t *key)
{
    *name = take_name(&line, true);
    *key = hash(hash_start, *name);
    return name->bytes > 0 && take_labels(&line, key) && take_byte(&line, ' ') && is_number(line);
}

/* "# HELP name ..." or "# TYPE name ...": the name, else empty. */
static struct span described(struct span line)
{
    if (!span_starts(line, "# HELP ") && !span_starts(line, "# TYPE "))
        return (struct span){NULL, 0};
    line = skip(line, strlen("# HELP "));
    return take_name(&line, true);
}

static struct span take_line(struct span *text)
{
    const uint8_t *end = text->bytes ? memchr(text->data, '\n', text->bytes) : NULL;
    struct span line = span_from(text->data, end ? (size_t)(end - text->data) : text->bytes);
    *text = skip(*text, line.bytes + (end != NULL));
    return line;
}

static size_t count_lines(struct span text)
{
    size_t lines = 0;
    while (text.bytes) {
        take_line(&text);
        lines++;
    }
    return lines;
}

static void note_names(struct set *names, struct span ours)
{
    while (ours.bytes) {
        struct span line = take_line(&ours), name = described(line);
        if (name.bytes == 0)
            name = take_name(&line, true);
        if (name.bytes)
            add(names, hash(hash_start, name));
    }
}

/* Is name the family's own, or one of a histogram's or summary's? */
static bool is_of_family(struct span name, struct span family)
{
    static const char *const endings[] = {"", "_bucket", "_sum", "_count"};
    if (family.bytes == 0 || name.bytes < family.bytes ||
        memcmp(name.data, family.data, family.bytes) != 0)
        return false;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (span_is(skip(name, family.bytes), endings[i]))
            return true;
    return false;
}

static void begin_family(struct guest *guest, struct span name)
{
    guest->family = name;
    guest->accepted = add(&guest->names, hash(hash_start, name));
    guest->helped = guest->typed = false;
}

/* A sample's own name may be ours although its family's is not: "x_count" beside our histogram. */
static bool may_stand(struct guest *guest, struct span name, uint64_t key)
{
    if (!is_of_family(name, guest->family))
        begin_family(guest, name);
    else if (!span_equal(name, guest->family) && *find(&guest->names, hash(hash_start, name)))
        return false;
    return guest->accepted && add(&guest->series, key);
}

static bool may_describe(struct guest *guest, struct span line, struct span name)
{
    if (!span_equal(name, guest->family) || guest->family.bytes == 0)
        begin_family(guest, name);
    bool *done = line.data[2] == 'H' ? &guest->helped : &guest->typed;
    bool first = !*done;
    *done = true;
    return guest->accepted && first;
}

/* One line that is not ASCII text would make Prometheus throw the whole scrape away. */
static bool is_plain(struct span line)
{
    for (size_t i = 0; i < line.bytes; i++)
        if (line.data[i] < ' ' || line.data[i] > '~')
            return false;
    return true;
}

static void take_guest_line(struct guest *guest, struct span line)
{
    struct span name = described(line);
    uint64_t key;
    bool good = false;
    if (name.bytes)
        good = is_plain(line) && may_describe(guest, line, name);
    else if (line.bytes == 0 || line.data[0] == '#')
        return;
    else if (is_plain(line) && read_sample(line, &name, &key))
        good = may_stand(guest, name, key);
    if (good)
        fprintf(guest->out, "%.*s\n", (int)line.bytes, (const char *)line.data);
    else
        guest->dropped++;
}

size_t exposition_join(FILE *out, struct span ours, struct span guest_text)
{
    struct guest guest = {.out = out};
    size_t lines = count_lines(guest_text);
    if (open_set(&guest.names, count_lines(ours) + lines) && open_set(&guest.series, lines)) {
        note_names(&guest.names, ours);
        while (guest_text.bytes)
            take_guest_line(&guest, take_line(&guest_text));
    } else {
        guest.dropped = lines;
    }
    free(guest.names.slots);
    free(guest.series.slots);
    return guest.dropped;
}
