/* batches_make: somebody asks for a batch: POST /api/batches, and `batch add`.
 *
 * A JSON object: from, hours ("mon-fri 09:00-17:00"), time_zone, calls_per_minute, retries,
 * retry_after_s, paused, and the members of outbound_plan.h; with it a CSV of numbers
 * (batch_file.h). All or nothing.
 *
 * Thread: the owner of db. */
#ifndef RINGBRIDGE_CONTROL_OUTBOUND_BATCHES_MAKE_H
#define RINGBRIDGE_CONTROL_OUTBOUND_BATCHES_MAKE_H

#include "control/base/options.h"
#include "control/store/batches.h"

struct batches_wanted {
    const char *organization, *name, *by;
    const json_t *asked;
    const char *numbers; /* the CSV, with a NUL behind it; kept as it is */
    size_t numbers_bytes;
};

struct batches_made {
    bool understood;              /* false: what is asked for cannot be; error says why */
    enum batches_verdict verdict; /* of what was understood */
    char id[UUID_TEXT_BYTES + 1];
    int64_t added, twice; /* numbers; those that came again */
    char error[2048];     /* a sentence; "" when the batch is made */
};

/* Makes the batch, within a transaction of the organisation. DB_REFUSED: error may say why. */
enum db_result batches_make(struct db *db, const struct options *options,
                            const struct batches_wanted *wanted, struct batches_made *made);

#endif
