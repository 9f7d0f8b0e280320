#include "control/base/hours.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* 1 to 7; 0: not a day. *text moves behind it. */
static int read_day(const char **text)
{
    static const char names[] = "montuewedthufrisatsun";
    for (int day = 0; day < 7; day++)
        if (strncasecmp(*text, names + 3 * day, 3) == 0) {
            *text += 3;
            return day + 1;
        }
    return 0;
}

static bool read_days(const char **text, bool days[8])
{
    if (strncasecmp(*text, "daily", 5) == 0) {
        memset(days + 1, true, 7);
        *text += 5;
        return true;
    }
    for (;; (*text)++) {
        int first = read_day(text), last = first;
        if (first && **text == '-') {
            (*text)++;
            last = read_day(text);
        }
        if (!first || !last)
            return false;
        for (int day = first;; day = day % 7 + 1) {
            days[day] = true;
            if (day == last)
                break;
        }
        if (**text != ',')
            return true;
    }
}

static bool read_time(const char **text, char time[6])
{
    const char *at = *text;
    for (int i = 0; i < 5; i++)
        if (i == 2 ? at[i] != ':' : at[i] < '0' || at[i] > '9')
            return false;
    int minutes = ((at[0] - '0') * 10 + at[1] - '0') * 60 + (at[3] - '0') * 10 + at[4] - '0';
    if (at[3] > '5' || minutes > 24 * 60)
        return false;
    memcpy(time, at, 5);
    time[5] = '\0';
    *text += 5;
    return true;
}

static void write_days(const bool days[8], char out[16])
{
    size_t bytes = 0;
    for (int day = 1; day <= 7; day++)
        if (days[day]) {
            out[bytes] = bytes ? ',' : '{';
            out[bytes + 1] = (char)('0' + day);
            bytes += 2;
        }
    memcpy(out + bytes, "}", 2);
}

bool hours_read(const char *text, struct hours *hours)
{
    bool days[8] = {false};
    *hours = (struct hours){.opens = "00:00", .closes = "24:00"};
    if (!read_days(&text, days))
        return false;
    write_days(days, hours->days);
    if (*text == '\0')
        return true;
    if (*text++ != ' ' || !read_time(&text, hours->opens) || *text++ != '-' ||
        !read_time(&text, hours->closes))
        return false;
    return *text == '\0' && strcmp(hours->opens, "24:00") != 0;
}
