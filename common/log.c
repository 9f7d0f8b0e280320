#include "common/log.h"

#include "common/clock.h"
#include "common/panic.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
    const char *program;
    enum log_format format;
    enum log_level lowest;
} settings = {"ringbridge", LOG_TEXT, LOG_INFO};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* What always finds room: a closing quote, the closing brace, the newline. */
#define CLOSING_BYTES 3

struct line {
    char text[LOG_LINE_BYTES_MAX];
    size_t bytes;
    bool cut; /* something did not fit: nothing more is written but what closes */
};

void log_open(const char *program, enum log_format format, enum log_level lowest)
{
    settings.program = program;
    settings.format = format;
    settings.lowest = lowest;
}

/* Whole or not at all, so that a cut line is still well formed. */
static bool put(struct line *line, const char *bytes, size_t count)
{
    if (line->cut || line->bytes + count > sizeof line->text - CLOSING_BYTES) {
        line->cut = true;
        return false;
    }
    memcpy(line->text + line->bytes, bytes, count);
    line->bytes += count;
    return true;
}

static void close_with(struct line *line, char byte)
{
    line->text[line->bytes++] = byte;
}

__attribute__((format(printf, 2, 3))) static bool put_format(struct line *line, const char *format,
                                                             ...)
{
    char text[128];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert(length >= 0 && (size_t)length < sizeof text);
    return put(line, text, (size_t)length);
}

/* Bytes of the UTF-8 character at text (RFC 3629, shortest forms only), or 0. The closing NUL ends
 * every search. */
static size_t utf8_bytes(const unsigned char *text)
{
    static const struct {
        unsigned char first_low, first_high, second_low, second_high, bytes;
    } forms[] = {{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
                 {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
                 {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    if (text[0] < 0x80)
        return 1;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (text[0] < forms[i].first_low || text[0] > forms[i].first_high)
            continue;
        if (text[1] < forms[i].second_low || text[1] > forms[i].second_high)
            return 0;
        for (size_t k = 2; k < forms[i].bytes; k++)
            if ((text[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].bytes;
    }
    return 0;
}

/* One character as it may stand between quotes. Quotes, backslashes, control characters (those of
 * Latin-1 too, which terminals obey) and bytes that are no UTF-8 never reach the line raw. Returns
 * the bytes of text it stands for. */
static size_t put_escaped(struct line *line, const unsigned char *text)
{
    size_t bytes = utf8_bytes(text);
    if (bytes == 0) {
        put(line, "\\ufffd", 6);
        return 1;
    }
    if (text[0] == '"' || text[0] == '\\')
        put_format(line, "\\%c", text[0]);
    else if (text[0] < 0x20 || text[0] == 0x7f)
        put_format(line, "\\u%04x", text[0]);
    else if (text[0] == 0xc2 && text[1] < 0xa0)
        put_format(line, "\\u%04x", text[1]);
    else
        put(line, (const char *)text, bytes);
    return bytes;
}

static void put_text(struct line *line, const char *text)
{
    const unsigned char *byte = (const unsigned char *)text;
    while (*byte && !line->cut)
        byte += put_escaped(line, byte);
}

/* The opening quote is already there. */
static void put_quoted(struct line *line, const char *text)
{
    put_text(line, text);
    close_with(line, '"');
}

static void put_time(struct line *line)
{
    int64_t wall_ms = clock_wall_ms();
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    put_format(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1,
               utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, (int)(wall_ms % 1000));
}

/* A field whose name or number does not fit is left out; a text is cut within its quotes. */
static void put_field(struct line *line, const struct log_field *field)
{
    bool json = settings.format == LOG_JSON;
    if (line->cut || (field->kind == LOG_FIELD_TEXT && !field->text))
        return;
    if (field->kind == LOG_FIELD_NUMBER)
        put_format(line, json ? ",\"%s\":%" PRId64 : " %s=%" PRId64, field->name, field->number);
    else if (put_format(line, json ? ",\"%s\":\"" : " %s=\"", field->name))
        put_quoted(line, field->text);
}

void log_write(enum log_level level, const char *message, const struct log_field *fields,
               size_t count)
{
    if (level < settings.lowest)
        return;
    struct line line = {.bytes = 0};
    if (settings.format == LOG_JSON) {
        put(&line, "{\"time\":\"", 9);
        put_time(&line);
        put_format(&line, "\",\"level\":\"%s\",\"program\":\"", level_names[level]);
        put_quoted(&line, settings.program);
        put(&line, ",\"message\":\"", 12);
        put_quoted(&line, message);
    } else {
        put_time(&line);
        put_format(&line, " %-5s %s: ", level_names[level], settings.program);
        put_text(&line, message);
    }
    for (size_t i = 0; i < count; i++)
        put_field(&line, &fields[i]);
    if (settings.format == LOG_JSON)
        close_with(&line, '}');
    close_with(&line, '\n');
    ssize_t ignored = write(STDERR_FILENO, line.text, line.bytes);
    (void)ignored;
}
