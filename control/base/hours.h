/* hours: "mon-fri 09:00-17:00", as people write when something is open.
 *
 * Days: mon tue wed thu fri sat sun, ranges (fri-mon goes over the week's end) and lists by comma;
 * "daily" for all. Then, if not the whole day, HH:MM-HH:MM; the end may be 24:00, and an end not
 * after the beginning means the following day. What it is not: a time zone. Thread: any. */
#ifndef RINGBRIDGE_CONTROL_BASE_HOURS_H
#define RINGBRIDGE_CONTROL_BASE_HOURS_H

#include <stdbool.h>

struct hours {
    char days[16];  /* as PostgreSQL writes an array: {1,2,3}; 1 is Monday */
    char opens[6];  /* 09:00 */
    char closes[6]; /* 17:00 */
};

/* False when the text is not of that shape. */
bool hours_read(const char *text, struct hours *hours);

#endif
