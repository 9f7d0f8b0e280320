#include "control/base/template.h"

#include "common/panic.h"
#include "common/span.h"

struct writer {
    FILE *out;
    enum template_escape escape;
    const char *text; /* the whole template: where lines begin */
    const json_t *objects[TEMPLATE_DEPTH_MAX];
    int depth, rows; /* rows of lists so far */
};

/* From {{ to }}; of a section that has its line for itself, from the line's begin to its end. */
struct tag {
    char sort; /* '#', '^', '/' or 0: a field */
    char name[TEMPLATE_NAME_MAX];
    const char *begin, *end;
};

/* ---- tags ---- */

static void take_line(const char *text, const char *end, struct tag *tag)
{
    const char *begin = tag->begin;
    while (begin > text && (begin[-1] == ' ' || begin[-1] == '\t'))
        begin--;
    bool alone = begin == text || begin[-1] == '\n';
    if (alone && tag->end < end && *tag->end == '\n') {
        tag->begin = begin;
        tag->end++;
    }
}

/* The next tag from `from` on. False: there is none. What looks like one but has no good name is
 * text. */
static bool next_tag(const char *text, const char *from, const char *end, struct tag *tag)
{
    const char *open, *close;
    while ((open = memmem(from, (size_t)(end - from), "{{", 2)) != NULL) {
        close = memmem(open, (size_t)(end - open), "}}", 2);
        if (!close)
            return false;
        const char *name = open + 2;
        tag->sort = 0;
        if (name < close && strchr("#^/", *name) && *name)
            tag->sort = *name++;
        if (span_copy_text(span_from(name, (size_t)(close - name)), tag->name, sizeof tag->name) &&
            tag->name[0] &&
            strspn(tag->name, "abcdefghijklmnopqrstuvwxyz0123456789_.") == strlen(tag->name)) {
            tag->begin = open;
            tag->end = close + 2;
            if (tag->sort)
                take_line(text, end, tag);
            if (tag->begin < from)
                tag->begin = from;
            return true;
        }
        from = open + 2;
    }
    return false;
}

/* The end of the section that begins with open. */
static bool find_close(const char *text, const struct tag *open, const char *end, struct tag *close)
{
    int depth = 1;
    const char *from = open->end;
    while (next_tag(text, from, end, close)) {
        if (close->sort == '#' || close->sort == '^')
            depth++;
        if (close->sort == '/' && --depth == 0)
            return strcmp(close->name, open->name) == 0;
        from = close->end;
    }
    return false;
}

/* ---- fields ---- */

static const json_t *find(const struct writer *writer, const char *name)
{
    const char *dot = strchr(name, '.');
    char first[TEMPLATE_NAME_MAX];
    size_t bytes = dot ? (size_t)(dot - name) : strlen(name);
    memcpy(first, name, bytes);
    first[bytes] = '\0';
    for (int i = writer->depth - 1; i >= 0; i--) {
        const json_t *value = json_object_get(writer->objects[i], first);
        if (value)
            return dot ? json_object_get(value, dot + 1) : value;
    }
    return NULL;
}

static bool is_there(const json_t *value)
{
    if (json_is_string(value))
        return json_string_length(value) > 0;
    return json_is_true(value) || json_is_number(value) || json_object_size(value) > 0 ||
           json_array_size(value) > 0;
}

static const char *replacement(enum template_escape escape, char byte)
{
    bool html = escape == TEMPLATE_HTML, markup = html || escape == TEMPLATE_SLACK;
    if (byte == '&' && markup)
        return "&amp;";
    if (byte == '<' && markup)
        return "&lt;";
    if (byte == '>' && markup)
        return "&gt;";
    if (byte == '"' && html)
        return "&quot;";
    if (byte == '\'' && html)
        return "&#39;";
    if (byte == '\n' && escape == TEMPLATE_LINE)
        return " ";
    if (((unsigned char)byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f)
        return "";
    return NULL;
}

static void write_text(const struct writer *writer, const char *text)
{
    for (; *text; text++) {
        const char *instead = replacement(writer->escape, *text);
        if (instead)
            fputs(instead, writer->out);
        else
            fputc(*text, writer->out);
    }
}

static void write_field(const struct writer *writer, const json_t *value)
{
    if (json_is_string(value))
        write_text(writer, json_string_value(value));
    else if (json_is_integer(value))
        fprintf(writer->out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
}

/* ---- writing ---- */

static bool write_part(struct writer *writer, const char *from, const char *end);

/* A list's objects in turn, or the part once. */
static bool write_section(struct writer *writer, const json_t *value, const char *from,
                          const char *end)
{
    bool fine = true;
    if (!json_is_array(value))
        return write_part(writer, from, end);
    if (writer->depth == TEMPLATE_DEPTH_MAX)
        return false;
    for (size_t i = 0; i < json_array_size(value) && fine; i++) {
        if (++writer->rows > TEMPLATE_ROWS_MAX)
            return false;
        writer->objects[writer->depth++] = json_array_get(value, i);
        fine = write_part(writer, from, end);
        writer->depth--;
    }
    return fine;
}

static bool write_part(struct writer *writer, const char *from, const char *end)
{
    struct tag tag, close;
    while (next_tag(writer->text, from, end, &tag)) {
        fwrite(from, 1, (size_t)(tag.begin - from), writer->out);
        const json_t *value = tag.sort == '/' ? NULL : find(writer, tag.name);
        if (tag.sort == '/')
            return false;
        if (tag.sort == 0) {
            write_field(writer, value);
            from = tag.end;
            continue;
        }
        if (!find_close(writer->text, &tag, end, &close))
            return false;
        if (is_there(value) == (tag.sort == '#') &&
            !write_section(writer, tag.sort == '#' ? value : NULL, tag.end, close.begin))
            return false;
        from = close.end;
    }
    fwrite(from, 1, (size_t)(end - from), writer->out);
    return true;
}

bool template_write(FILE *out, const char *text, const json_t *fields, enum template_escape escape)
{
    struct writer writer = {
        .out = out, .escape = escape, .text = text, .objects = {fields}, .depth = 1};
    return write_part(&writer, text, text + strlen(text));
}

const char *template_find(const char *name)
{
    int file = 0;
    while (file < template_files_count && strcmp(template_files[file].name, name) != 0)
        file++;
    assert(file < template_files_count);
    return template_files[file].text;
}
