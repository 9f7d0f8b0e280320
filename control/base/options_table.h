/* options_table: the rows behind options.h. For options.c only.
 * Thread: any; constant data. */
#ifndef RINGBRIDGE_CONTROL_BASE_OPTIONS_TABLE_H
#define RINGBRIDGE_CONTROL_BASE_OPTIONS_TABLE_H

#include "control/base/options.h"

enum options_type {
    OPTIONS_TEXT,   /* const char * */
    OPTIONS_BASE,   /* const char *, slashes at its end do not count */
    OPTIONS_NUMBER, /* unsigned, within lowest and highest */
    OPTIONS_SWITCH, /* bool; the flag takes no value, the variable takes 1 or 0 */
    OPTIONS_ON,     /* bool: on or off */
    OPTIONS_FORMAT, /* enum log_format */
    OPTIONS_LEVEL,  /* enum log_level */
    OPTIONS_KEY     /* secret for struct seal: no place of its own */
};

struct options_row {
    const char *flag;     /* without dashes; NULL: a secret, from the environment only */
    const char *variable; /* environment; NULL: the flag only (help, version, check) */
    enum options_type type;
    size_t offset; /* in struct options */
    unsigned lowest, highest;
    const char *standard; /* default, as text; NULL: none */
    const char *value;    /* what stands for the value in --help */
    const char *commands; /* " serve doctor ": who takes it; NULL: everybody */
    const char *help;
};

extern const struct options_row options_table[];
extern const int options_table_count;

#endif
