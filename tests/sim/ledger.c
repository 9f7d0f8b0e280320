#include "tests/sim/ledger.h"

#include "common/panic.h"
#include "tests/sim/trace.h"

#include <stdlib.h>

#define SOUGHT_BYTES_MAX 400

void ledger_open(struct ledger *ledger, uint64_t salt)
{
    ledger->salt = salt;
    ledger->count = 0;
}

void ledger_free(struct ledger *ledger)
{
    free(ledger->bytes);
    free(ledger->said_ns);
    *ledger = (struct ledger){0};
}

static uint8_t *extend(struct ledger *ledger, size_t bytes, uint64_t now_ns)
{
    size_t count = ledger->count + bytes;
    if (count > ledger->room) {
        ledger->room = 2 * count;
        ledger->pieces_room = ledger->room / LEDGER_PIECE_BYTES + 2;
        ledger->bytes = realloc(ledger->bytes, ledger->room);
        ledger->said_ns = realloc(ledger->said_ns, ledger->pieces_room * sizeof(uint64_t));
        assert(ledger->bytes && ledger->said_ns);
    }
    size_t piece = (ledger->count + LEDGER_PIECE_BYTES - 1) / LEDGER_PIECE_BYTES;
    for (; piece * LEDGER_PIECE_BYTES < count; piece++)
        ledger->said_ns[piece] = now_ns;
    uint8_t *place = ledger->bytes + ledger->count;
    ledger->count = count;
    return place;
}

static uint64_t scramble(uint64_t word)
{
    word = (word ^ word >> 31) * 0xbf58476d1ce4e5b9u;
    word = (word ^ word >> 29) * 0x94d049bb133111ebu;
    return word ^ word >> 32;
}

/* Loud enough to be speech: magnitudes from 2 segments below the top. */
const uint8_t *ledger_speak(struct ledger *ledger, size_t bytes, uint64_t now_ns)
{
    size_t first = ledger->count;
    uint8_t *place = extend(ledger, bytes, now_ns);
    for (size_t i = 0; i < bytes; i++) {
        uint64_t word = scramble(ledger->salt ^ (first + i) / 8);
        place[i] = (uint8_t)(word >> (first + i) % 8 * 8) & 0xbf;
    }
    return place;
}

void ledger_put(struct ledger *ledger, struct span bytes, uint64_t now_ns)
{
    if (bytes.bytes)
        memcpy(extend(ledger, bytes.bytes, now_ns), bytes.data, bytes.bytes);
}

void ledger_keep_silent(struct ledger *ledger, size_t bytes, uint64_t now_ns)
{
    if (bytes)
        memset(extend(ledger, bytes, now_ns), LEDGER_SILENCE, bytes);
}

static bool find(struct ear *ear, const struct ledger *ledger, struct span bytes)
{
    size_t sought = bytes.bytes < SOUGHT_BYTES_MAX ? bytes.bytes : SOUGHT_BYTES_MAX;
    const uint8_t *place =
        memmem(ledger->bytes + ear->at, ledger->count - ear->at, bytes.data, sought);
    if (!place)
        return false;
    size_t at = (size_t)(place - ledger->bytes);
    if (ear->found)
        ear->skipped += at - ear->at;
    ear->at = at;
    return true;
}

static size_t common(const uint8_t *left, const uint8_t *right, size_t bytes)
{
    size_t same = 0;
    if (memcmp(left, right, bytes) == 0)
        return bytes;
    while (left[same] == right[same])
        same++;
    return same;
}

void ear_time(struct ear *ear, const struct ledger *ledger, uint64_t now_ns)
{
    uint64_t said_ns = ledger->said_ns[ear->at / LEDGER_PIECE_BYTES];
    if (said_ns < ear->watched_ns || now_ns - said_ns <= ear->delay_ns_max)
        return;
    ear->delay_ns_max = now_ns - said_ns;
    trace("latest so far: us", (int64_t)ear->delay_ns_max / 1000, (int64_t)ear->at,
          (int64_t)(ledger->salt & 0xffff));
}

bool ear_hear(struct ear *ear, const struct ledger *ledger, struct span bytes, uint64_t now_ns)
{
    while (bytes.bytes) {
        size_t left = ledger->count - ear->at;
        size_t same = left < bytes.bytes ? left : bytes.bytes;
        same = same ? common(ledger->bytes + ear->at, bytes.data, same) : 0;
        if (same == 0) {
            if (!find(ear, ledger, bytes))
                return false;
            continue;
        }
        ear->found = true;
        ear_time(ear, ledger, now_ns);
        ear->at += same;
        ear->heard += same;
        bytes = span_from(bytes.data + same, bytes.bytes - same);
    }
    return true;
}
