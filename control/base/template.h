/* template: texts with holes, for people.
 *
 * What it is: {{name}} is a field's text, {{#name}}..{{/name}} is written once for each object of a
 * list, or once when the field is there and not empty, {{^name}}..{{/name}} when it is not. A name
 * is looked up in the innermost object first; {{a.b}} is member b of the object a. A line that
 * holds nothing but the beginning or the end of a section leaves no line behind. What it is not: a
 * language; what needs thinking is thought in after_render.c. Templates are ours
 * (control/templates), fields hold what strangers said: they are escaped here and nowhere else.
 *
 * Thread: any. Bounds: TEMPLATE_DEPTH_MAX lists in each other, TEMPLATE_ROWS_MAX rows
 * in all. */
#ifndef RINGBRIDGE_CONTROL_BASE_TEMPLATE_H
#define RINGBRIDGE_CONTROL_BASE_TEMPLATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#define TEMPLATE_DEPTH_MAX 8
#define TEMPLATE_NAME_MAX  64
#define TEMPLATE_ROWS_MAX  100000

/* What a field's text must not become. Control characters but tab and newline are left out in all.
 */
enum template_escape {
    TEMPLATE_TEXT,  /* nothing special */
    TEMPLATE_HTML,  /* markup, in elements and in quoted attributes */
    TEMPLATE_SLACK, /* Slack's links and mentions */
    TEMPLATE_LINE   /* one line: newlines become blanks */
};

/* False when the template itself is wrong: a section that does not end, or too many in each other,
 * or too many rows.
 * Then out holds what came before. */
bool template_write(FILE *out, const char *text, const json_t *fields, enum template_escape escape);

/* Those of control/templates, by file name. Made by control/base/embed_templates.cmake. */
struct template_file {
    const char *name, *text;
};
extern const struct template_file template_files[];
extern const int template_files_count;

/* The text of one; it must be there (assert). */
const char *template_find(const char *name);

#endif
