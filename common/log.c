#include "common/log.h"

#include "common/clock.h"

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

struct line {
    char text[LOG_LINE_BYTES_MAX];
    size_t bytes;
};

void log_open(const char *program, enum log_format format, enum log_level lowest)
{
    settings.program = program;
    settings.format = format;
    settings.lowest = lowest;
}

/* Room is kept for the closing brace and newline. */
static void put(struct line *line, char byte)
{
    if (line->bytes < sizeof line->text - 3)
        line->text[line->bytes++] = byte;
}

static void put_text(struct line *line, const char *text)
{
    while (*text)
        put(line, *text++);
}

__attribute__((format(printf, 2, 3))) static void put_format(struct line *line, const char *format,
                                                             ...)
{
    char text[64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    put_text(line, text);
}

/* One encoder for both formats: quotes, backslashes and control bytes never reach the line raw. */
static void put_quoted(struct line *line, const char *text)
{
    put(line, '"');
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') {
            put(line, '\\');
            put(line, (char)byte);
        } else if (byte < 0x20 || byte == 0x7f) {
            put_format(line, "\\u%04x", byte);
        } else {
            put(line, (char)byte);
        }
    }
    put(line, '"');
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

static void put_field(struct line *line, const struct log_field *field)
{
    bool json = settings.format == LOG_JSON;
    if (field->kind == LOG_FIELD_TEXT && !field->text)
        return;
    put_text(line, json ? ",\"" : " ");
    put_text(line, field->name);
    put_text(line, json ? "\":" : "=");
    if (field->kind == LOG_FIELD_NUMBER)
        put_format(line, "%" PRId64, field->number);
    else
        put_quoted(line, field->text);
}

void log_write(enum log_level level, const char *message, const struct log_field *fields,
               size_t count)
{
    if (level < settings.lowest)
        return;
    struct line line = {.bytes = 0};
    if (settings.format == LOG_JSON) {
        put_text(&line, "{\"time\":\"");
        put_time(&line);
        put_format(&line, "\",\"level\":\"%s\",\"program\":", level_names[level]);
        put_quoted(&line, settings.program);
        put_text(&line, ",\"message\":");
        put_quoted(&line, message);
    } else {
        put_time(&line);
        put_format(&line, " %-5s %s: ", level_names[level], settings.program);
        put_text(&line, message);
    }
    for (size_t i = 0; i < count; i++)
        put_field(&line, &fields[i]);
    if (settings.format == LOG_JSON)
        line.text[line.bytes++] = '}';
    line.text[line.bytes++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line.text, line.bytes);
    (void)ignored;
}
