/* exposition: joins texts in Prometheus' format so that the whole is still valid.
 *
 * Ours goes first and is trusted; the guest's (control's) is read line by line: a line that is not
 * of the format is dropped, so is a metric whose name ours already has (a name may have one TYPE
 * and one group), a series that was there before, and a name that comes again after another one
 * began. Pure but for memory. Thread: any. Bound: the texts' lengths. */
#ifndef RINGBRIDGE_EDGE_REPORT_EXPOSITION_H
#define RINGBRIDGE_EDGE_REPORT_EXPOSITION_H

#include "common/span.h"

#include <stdio.h>

/* Writes what of guest may stand behind ours. Returns the number of guest's lines that were
 * dropped; comments and empty lines do not count. When memory is out everything is dropped. */
size_t exposition_join(FILE *out, struct span ours, struct span guest);

#endif
