/* flight: what each core did last, for the panic's report.
 *
 * What it is: a ring of the last FLIGHT_RECORDS small records per core, written by that core alone,
 * without locks, and printed to stderr by the panic reporter: the dying core's in full, of the
 * others the newest few. What it is not: a log, or a place for texts of callers: a record is a
 * time, a constant name and two numbers (ids, sizes, reasons; never a secret). Cost: five stores
 * and one clock read; for per-connection and per-call facts, not per frame. Owner: the caller
 * places struct flight and keeps it until the process ends. Bound: fixed size. */
#ifndef RINGBRIDGE_EDGE_REPORT_FLIGHT_H
#define RINGBRIDGE_EDGE_REPORT_FLIGHT_H

#include <stdint.h>

#define FLIGHT_RECORDS 256 /* power of two */
#define FLIGHT_OTHERS  8   /* records shown of cores that did not die */

struct flight_record {
    uint64_t at_ns;   /* monotonic */
    const char *what; /* a literal */
    uint64_t first, second;
};

struct flight {
    unsigned core;
    uint64_t written; /* in all; the newest is records[(written - 1) % FLIGHT_RECORDS] */
    struct flight_record records[FLIGHT_RECORDS];
};

/* Empties it and shows it to the panic reporter. Boot thread, before other threads; at most
 * CORES_MAX times. */
void flight_open(struct flight *flight, unsigned core);

/* Says that the calling thread is this core, so that its panic is told as this core's. */
void flight_adopt(const struct flight *flight);

/* Adds a record, over the oldest. what is a literal: "call started". The core's own thread. */
void flight_note(struct flight *flight, const char *what, uint64_t first, uint64_t second);

/* Writes the newest count records, oldest first, one line each:
 * "flight core 3: -1.250 ms call ended 17 4". Neither allocates nor locks. Any thread; a record
 * that is being written just then may come out mixed. */
void flight_dump(int descriptor, const struct flight *flight, uint64_t count);

#endif
