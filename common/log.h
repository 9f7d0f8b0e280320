/* log: one line per fact worth a human's eye, as JSON or as text.
 *
 * What it is: log_line("call ended", fields...) writes one line to stderr with time, level,
 * program, message and typed fields. What it is not: for the hot path (nothing per frame is ever
 * logged), and no place for audio, transcripts, tokens or keys. Message and values are escaped and
 * what is not UTF-8 becomes U+FFFD, so hostile bytes cannot forge a line. Thread: any; a line is
 * one write(2). Bound: LOG_LINE_BYTES_MAX; a longer line is cut where it stays well formed: within
 * the text that did not fit, and what follows is left out. */
#ifndef RINGBRIDGE_COMMON_LOG_H
#define RINGBRIDGE_COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_LINE_BYTES_MAX 4096

enum log_format { LOG_TEXT, LOG_JSON };
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
    const char *name; /* ours: a plain word, shorter than 100 bytes */
    enum { LOG_FIELD_TEXT, LOG_FIELD_NUMBER } kind;
    const char *text; /* may be NULL: the field is left out */
    int64_t number;
};

/* Sets program name (borrowed for the life of the process), format and lowest level written. */
void log_open(const char *program, enum log_format format, enum log_level lowest);

/* Writes one line. fields ends at count. Never fails: what cannot be written is lost. */
void log_write(enum log_level level, const char *message, const struct log_field *fields,
               size_t count);

#define log_text(field_name, value)                                                                \
    ((struct log_field){.name = (field_name), .kind = LOG_FIELD_TEXT, .text = (value)})
#define log_number(field_name, value)                                                              \
    ((struct log_field){.name = (field_name), .kind = LOG_FIELD_NUMBER, .number = (int64_t)(value)})

/* log_info("call ended", log_text("reason", name), log_number("duration_ms", ms)); */
#define log_fields(...) ((const struct log_field[]){__VA_ARGS__})
#define log_at(level, message, ...)                                                                \
    log_write(level, message, log_fields(__VA_ARGS__),                                             \
              sizeof log_fields(__VA_ARGS__) / sizeof(struct log_field))
#define log_info(message, ...)  log_at(LOG_INFO, message, __VA_ARGS__)
#define log_warn(message, ...)  log_at(LOG_WARN, message, __VA_ARGS__)
#define log_error(message, ...) log_at(LOG_ERROR, message, __VA_ARGS__)
#define log_debug(message, ...) log_at(LOG_DEBUG, message, __VA_ARGS__)

#endif
