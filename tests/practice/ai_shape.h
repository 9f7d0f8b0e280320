/* ai_shape: is a client event shaped as the Realtime GA protocol wants it?
 *
 * What it is: tables of members, walked over jansson values; the first thing that is wrong becomes
 * a complaint with the code, message and param that the real server would send. Unknown members are
 * wrong: the real one refuses them too. What it is not: rules that depend on the session's state
 * (ai_config, ai_session). Pure. Thread: any. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_AI_SHAPE_H
#define RINGBRIDGE_TESTS_PRACTICE_AI_SHAPE_H

#include <jansson.h>
#include <stdbool.h>

struct ai_complaint {
    const char *type; /* NULL: invalid_request_error */
    const char *code; /* constant text */
    char message[512];
    char param[192]; /* "": null */
};

enum ai_kind { AI_TEXT, AI_INTEGER, AI_NUMBER, AI_FLAG, AI_OBJECT, AI_LIST, AI_ANY };

struct ai_shape {
    const char *name; /* NULL ends a table */
    enum ai_kind kind;
    bool required, nullable;
    double min, max;                /* of numbers, or of a text's or list's length; 0, 0: any */
    const char *const *words;       /* TEXT: what it may say, NULL-terminated */
    const struct ai_shape *members; /* OBJECT: its members; LIST: one entry, each must fit */
    bool (*judge)(json_t *value, const char *path, struct ai_complaint *complaint);
};

/* Checks an object's members against a table. path names the object ("" at the top). */
bool ai_shape_members(const struct ai_shape *table, json_t *object, const char *path,
                      struct ai_complaint *complaint);

/* Writes a complaint and returns false. */
bool ai_shape_complain(struct ai_complaint *complaint, const char *code, const char *param,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));
bool ai_shape_missing(struct ai_complaint *complaint, const char *path, const char *name);
bool ai_shape_not_a_word(struct ai_complaint *complaint, const char *path, const char *word,
                         const char *const *words);

/* Checks a whole client event, beginning with its type. */
bool ai_shape_event(json_t *event, struct ai_complaint *complaint);

#endif
