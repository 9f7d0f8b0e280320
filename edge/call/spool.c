#include "edge/call/spool.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/panic.h"
#include "edge/call/own.h"
#include "edge/io/file.h"
#include "edge/media/g711.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define PIECES_PER_BLOCK ((unsigned)SPOOL_BLOCK_SAMPLES / TAP_PIECE_SAMPLES)

_Static_assert(SPOOL_BLOCK_SAMPLES % TAP_PIECE_SAMPLES == 0, "a block is whole pieces");
_Static_assert(SPOOL_NAME_BYTES <= FILE_NAME_BYTES_MAX, "a spool's name is a file's name");

/* A block in memory. */
struct page {
    uint64_t ref;
    uint8_t *bytes;       /* NULL: none */
    uint64_t first;       /* on the carrier's clock */
    unsigned samples;     /* so far */
    unsigned samples_max; /* then it is handed over */
    bool paused;
};

/* What every piece looks at is one line of memory. */
struct spool {
    struct page page;   /* being filled */
    uint64_t resume_at; /* on the carrier's clock: the first piece that is not paused any more */
    uint64_t ref;
    bool paused;
    struct spool_owner owner;
    struct file *file;
    bool busy;  /* a step of the file is under way */
    bool named; /* it is there, under its name */
    bool ending;
    const char *failed; /* why it ended before it should; NULL: it did not */
    char name[SPOOL_NAME_BYTES + 1];
    struct spool_head head; /* of the stream */
    uint64_t base;          /* on the carrier's clock: the file's sample 0 */
    struct page queue[SPOOL_QUEUE_MAX];
    unsigned queue_first, queue_count; /* the first may be with the kernel */
    unsigned blocks;                   /* handed over */
    uint64_t kept_samples;             /* up to the end of the last block that is written */
    uint64_t lost_samples, lost_in_row;
    uint64_t seq; /* of the event that tells its end */
};

/* ---- what may go wrong ---- */

enum trouble { DISK_FULL, TOO_LARGE, NOT_PERMITTED, NO_DIRECTORY, DISK_ERROR, DISK_SLOW, NO_ROOM };

static const char *const troubles[] = {
    [DISK_FULL] = "disk_full",         [TOO_LARGE] = "file_too_large",
    [NOT_PERMITTED] = "not_permitted", [NO_DIRECTORY] = "no_directory",
    [DISK_ERROR] = "disk_error",       [DISK_SLOW] = "disk_slow",
    [NO_ROOM] = "no_capacity",
};

static enum trouble trouble_of(int problem)
{
    switch (-problem) {
    case ENOSPC:
    case EDQUOT:
        return DISK_FULL;
    case EFBIG:
        return TOO_LARGE;
    case EACCES:
    case EPERM:
    case EROFS:
        return NOT_PERMITTED;
    case ENOENT:
    case ENOTDIR:
        return NO_DIRECTORY;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return NO_ROOM;
    default:
        return DISK_ERROR;
    }
}

static void count_trouble(struct calls *calls, enum trouble trouble)
{
    struct metrics *metrics = calls->metrics;
    switch (trouble) {
    case DISK_FULL:
        COUNT(metrics, recordings_disk_full);
        break;
    case TOO_LARGE:
        COUNT(metrics, recordings_file_too_large);
        break;
    case NOT_PERMITTED:
        COUNT(metrics, recordings_not_permitted);
        break;
    case NO_DIRECTORY:
        COUNT(metrics, recordings_no_directory);
        break;
    case DISK_ERROR:
        COUNT(metrics, recordings_disk_error);
        break;
    case DISK_SLOW:
        COUNT(metrics, recordings_disk_slow);
        break;
    case NO_ROOM:
        COUNT(metrics, recordings_no_capacity);
        break;
    }
}

/* ---- all of a core's ---- */

bool spools_open(struct spools *spools, const struct spools_config *config)
{
    *spools = (struct spools){.config = *config};
    if (!config->on)
        return true;
    if (!spools->config.file_blocks_max)
        spools->config.file_blocks_max = SPOOL_FILE_BLOCKS_MAX;
    if (!slab_open(&spools->spools, config->files_max, sizeof(struct spool)))
        return false;
    if (!spools->config.pages_max)
        spools->config.pages_max = SPOOL_PAGES_MAX;
    if (slab_open(&spools->pages, spools->config.pages_max, SPOOL_BLOCK_BYTES))
        return true;
    slab_close(&spools->spools);
    return false;
}

static void drop_page(struct spools *spools, struct page *page)
{
    if (page->bytes)
        slab_give(&spools->pages, page->ref);
    page->bytes = NULL;
}

/* All but the one that the kernel reads from. */
static void drop_pages(struct spools *spools, struct spool *spool)
{
    unsigned kept = spool->busy && spool->named && spool->queue_count;
    drop_page(spools, &spool->page);
    for (unsigned i = kept; i < spool->queue_count; i++)
        drop_page(spools, &spool->queue[(spool->queue_first + i) % SPOOL_QUEUE_MAX]);
    spool->queue_count = kept;
}

void spools_close(struct spools *spools)
{
    uint32_t at = 0;
    for (struct spool *spool; spools->spools.count && (spool = slab_walk(&spools->spools, &at));) {
        spool->busy = false;
        drop_pages(spools, spool);
        slab_give(&spools->spools, spool->ref);
    }
    slab_close(&spools->spools);
    slab_close(&spools->pages);
}

unsigned spools_count(const struct spools *spools)
{
    return spools->spools.live;
}

size_t spool_footprint_bytes(void)
{
    return sizeof(struct spool) + SPOOL_BLOCK_BYTES;
}

/* ---- the file ---- */

/* The next step, when none is under way. */
static void go_on(struct calls *calls, struct spool *spool)
{
    if (spool->busy) /* its answer will be here again */
        return;
    if (spool->queue_count) {
        const struct page *page = &spool->queue[spool->queue_first];
        spool->busy = true;
        file_write(calls->io, spool->file, span_from(page->bytes, SPOOL_BLOCK_BYTES));
    } else if (spool->ending) {
        spool->busy = true;
        file_close(calls->io, spool->file);
    }
}

/* The call has it no longer. The number of its last event is taken now, while there is a call. */
static void let_go(struct calls *calls, struct spool *spool)
{
    struct call *call = call_find(calls, spool->owner.ref);
    assert(!spool->ending && call && call->spool == spool);
    spool->ending = true;
    spool->seq = ++call->event_seq;
    call->spool = NULL;
    taps_leave(calls, call);
}

/* It ends here; what stands is kept. */
static void give_up(struct calls *calls, struct spool *spool, enum trouble trouble)
{
    if (spool->failed)
        return;
    spool->failed = troubles[trouble];
    count_trouble(calls, trouble);
    log_warn("recording failed", log_text("call", spool->owner.call),
             log_text("organization", spool->owner.organization),
             log_text("reason", troubles[trouble]), log_text("file", spool->name),
             log_number("kept_ms", spool->kept_samples * 1000 / SPOOL_RATE_HZ));
    drop_pages(&calls->spools, spool);
    if (!spool->ending)
        let_go(calls, spool);
    go_on(calls, spool);
}

/* The lock is gone: control may have it. */
static void tell_end(struct calls *calls, const struct spool *spool)
{
    const char *why = spool->failed ? spool->failed : "";
    if (spool->named)
        record_spool(calls, &spool->owner, spool->seq, "recording",
                     ",\"file\":\"%s\",\"samples\":%" PRIu64 ",\"lost_samples\":%" PRIu64 "%s%s%s",
                     spool->name, spool->kept_samples, spool->lost_samples,
                     spool->failed ? ",\"reason\":\"" : "", why, spool->failed ? "\"" : "");
    else
        record_spool(calls, &spool->owner, spool->seq, "recording_failed", ",\"reason\":\"%s\"",
                     why);
}

static void finish(struct calls *calls, struct spool *spool)
{
    assert(spool->ending && spool->queue_count == 0 && (spool->named || spool->failed));
    COUNT_BY(calls->metrics, recordings_lost_samples, spool->lost_samples);
    if (!spool->failed)
        COUNT(calls->metrics, recordings_finished);
    tell_end(calls, spool);
    slab_give(&calls->spools.spools, spool->ref);
    GAUGE_SUB(calls->metrics, recordings_open, 1);
}

static void opened(struct calls *calls, struct spool *spool, int result)
{
    if (result < 0) {
        give_up(calls, spool, trouble_of(result));
        return;
    }
    spool->named = true;
    COUNT(calls->metrics, recordings_started);
}

static void wrote(struct calls *calls, struct spool *spool, int result)
{
    struct page *page = &spool->queue[spool->queue_first];
    if (result == 0) {
        spool->kept_samples = page->first + page->samples - spool->base;
        COUNT_BY(calls->metrics, spool_bytes, SPOOL_BLOCK_BYTES);
    }
    drop_page(&calls->spools, page);
    spool->queue_first = (spool->queue_first + 1) % SPOOL_QUEUE_MAX;
    spool->queue_count--;
    if (result < 0)
        give_up(calls, spool, trouble_of(result));
}

void spool_on_file(struct calls *calls, const struct io_done *done)
{
    struct spool *spool = slab_find(&calls->spools.spools, done->owner);
    assert(spool && spool->busy);
    spool->busy = false;
    if (done->op == OP_FILE_CLOSE) {
        finish(calls, spool);
        return;
    }
    if (done->op == OP_FILE_OPEN)
        opened(calls, spool, done->result);
    else
        wrote(calls, spool, done->result);
    go_on(calls, spool);
}

/* ---- blocks ---- */

/* False: it has ended, because the disk has been asleep for too long. */
static bool lose(struct calls *calls, struct spool *spool, unsigned samples)
{
    spool->lost_samples += samples;
    spool->lost_in_row += samples;
    if (spool->lost_in_row < (uint64_t)SPOOL_LOST_MS_MAX * SPOOL_RATE_HZ / 1000)
        return true;
    give_up(calls, spool, spool->queue_count == SPOOL_QUEUE_MAX ? DISK_SLOW : NO_ROOM);
    return false;
}

/* The page at hand is full, or has to end here. */
static bool hand_over(struct calls *calls, struct spool *spool)
{
    struct page *page = &spool->page;
    if (!page->bytes || page->samples == 0)
        return true;
    if (spool->queue_count == SPOOL_QUEUE_MAX) {
        unsigned samples = page->samples;
        drop_page(&calls->spools, page);
        return lose(calls, spool, samples);
    }
    spool->head.flags = page->paused ? SPOOL_PAUSED : 0;
    spool->head.samples = (uint16_t)page->samples;
    spool->head.first_sample = page->first - spool->base;
    spool_head_write(&spool->head, page->bytes);
    spool->queue[(spool->queue_first + spool->queue_count++) % SPOOL_QUEUE_MAX] = *page;
    page->bytes = NULL;
    spool->blocks++;
    spool->lost_in_row = 0;
    go_on(calls, spool);
    return true;
}

/* A page that goes on at this piece. False: there is none. */
static bool find_page(struct calls *calls, struct spool *spool, uint64_t first, bool paused)
{
    struct page *page = &spool->page;
    if (page->bytes && page->samples == 0) {
        page->first = first;
        page->paused = paused;
    }
    if (page->bytes)
        return true;
    unsigned samples_max = page->samples_max;
    *page = (struct page){.first = first, .samples_max = samples_max, .paused = paused};
    page->bytes = slab_take(&calls->spools.pages, &page->ref);
    return page->bytes;
}

static void keep(struct page *page, const struct tap_piece *piece)
{
    uint8_t *caller = page->bytes + SPOOL_HEAD_BYTES + page->samples;
    uint8_t *agent = caller + SPOOL_BLOCK_SAMPLES;
    if (page->paused) {
        memset(caller, G711_ULAW_SILENCE, piece->samples);
        memset(agent, G711_ULAW_SILENCE, piece->samples);
    } else {
        memcpy(caller, piece->caller, piece->samples);
        memcpy(agent, piece->agent, piece->samples);
    }
    page->samples += piece->samples;
}

/* ---- a recording ---- */

static bool read_uuid(const char *text, uint8_t bytes[16])
{
    unsigned digits = 0;
    for (; *text; text++) {
        unsigned letter = (unsigned char)*text, value = letter - (letter >= 'a' ? 'a' - 10u : '0');
        if (*text == '-')
            continue;
        if (value > 15 || digits == 32)
            return false;
        bytes[digits / 2] = (uint8_t)(digits % 2 ? bytes[digits / 2] * 16u + value : value);
        digits++;
    }
    return digits == 32;
}

static struct spool_owner owner_of(const struct call *call)
{
    struct spool_owner owner = {.ref = call_ref(call)};
    span_copy_text(span_of(call->plan->call), owner.call, sizeof owner.call);
    span_copy_text(span_of(call->plan->organization), owner.organization,
                   sizeof owner.organization);
    return owner;
}

/* The file's sample 0 is this one of the carrier's, heard at started_at_ms. NULL: no room. */
static struct spool *make(struct calls *calls, struct call *call, uint64_t base,
                          int64_t started_at_ms)
{
    uint64_t ref;
    struct spools *spools = &calls->spools;
    struct spool *spool = slab_take(&spools->spools, &ref);
    if (!spool)
        return NULL;
    spool->ref = ref;
    spool->owner = owner_of(call);
    spool->base = base;
    spool->head.started_at_ms = started_at_ms;
    snprintf(spool->name, sizeof spool->name, "%s.%013" PRId64 ".spool", spool->owner.call,
             started_at_ms);
    spool->page.samples_max =
        (1 + call->slot * 7 % PIECES_PER_BLOCK) * TAP_PIECE_SAMPLES; /* each at its own moment */
    bool fine = read_uuid(spool->owner.call, spool->head.call) &&
                read_uuid(spool->owner.organization, spool->head.organization) &&
                spool_name_valid(span_of(spool->name));
    if (fine)
        spool->file = file_create(calls->io, spools->config.directory, spool->name, ref);
    if (!spool->file) {
        slab_give(&spools->spools, ref);
        return NULL;
    }
    spool->busy = true;
    GAUGE_ADD(calls->metrics, recordings_open, 1);
    return spool;
}

/* The call goes on, but whoever asked for a recording is not left to believe that there is one. */
static void refuse(struct calls *calls, struct call *call, const char *reason)
{
    COUNT(calls->metrics, recordings_refused);
    log_warn("recording refused", log_text("call", call->plan->call),
             log_text("organization", call->plan->organization), log_text("reason", reason));
    struct spool_owner owner = owner_of(call);
    record_spool(calls, &owner, ++call->event_seq, "recording_failed", ",\"reason\":\"%s\"",
                 reason);
}

void spool_begin(struct calls *calls, struct call *call)
{
    assert(call->carrier_state == CARRIER_STARTED);
    if (call->spool)
        return;
    if (!calls->spools.config.on) {
        refuse(calls, call, "no_spool");
        return;
    }
    uint64_t base = call->up.samples - call->up.samples % TAP_PIECE_SAMPLES;
    call->spool = taps_want(calls, call)
                      ? make(calls, call, base, base ? clock_wall_ms() : call->started_at_ms)
                      : NULL;
    if (call->spool)
        record_spool(calls, &call->spool->owner, ++call->event_seq, "recording_started",
                     ",\"file\":\"%s\"", call->spool->name);
    else
        refuse(calls, call, "no_capacity");
    if (!call->spool && call->tap)
        taps_leave(calls, call);
}

/* The file is full: the next one goes on at this sample. */
static void change_file(struct calls *calls, struct call *call, uint64_t base)
{
    struct spool *before = call->spool;
    int64_t later_ms = (int64_t)((base - before->base) * 1000 / SPOOL_RATE_HZ);
    struct spool *after = taps_want(calls, call)
                              ? make(calls, call, base, before->head.started_at_ms + later_ms)
                              : NULL;
    let_go(calls, before);
    go_on(calls, before);
    call->spool = after;
    if (after) {
        after->paused = before->paused;
        after->resume_at = before->resume_at;
    } else {
        taps_leave(calls, call);
        refuse(calls, call, "no_capacity");
    }
}

void spool_hear(struct calls *calls, struct call *call, const struct tap_piece *piece)
{
    struct spool *spool = call->spool;
    bool paused = spool->paused || piece->first_sample < spool->resume_at;
    if (spool->page.bytes && spool->page.paused != paused && !hand_over(calls, spool))
        return;
    if (!find_page(calls, spool, piece->first_sample, paused)) {
        lose(calls, spool, piece->samples);
        return;
    }
    keep(&spool->page, piece);
    if (spool->page.samples < spool->page.samples_max)
        return;
    bool goes_on = hand_over(calls, spool);
    spool->page.samples_max = SPOOL_BLOCK_SAMPLES;
    if (goes_on && spool->blocks >= calls->spools.config.file_blocks_max)
        change_file(calls, call, piece->first_sample + piece->samples);
}

void spool_erase(struct call *call, const struct tap_unheard *unheard)
{
    struct page *page = &call->spool->page;
    uint64_t from = unheard->first_sample, until = from + unheard->samples;
    if (!page->bytes)
        return;
    if (from < page->first)
        from = page->first;
    if (until > page->first + page->samples)
        until = page->first + page->samples;
    if (until > from)
        memset(page->bytes + SPOOL_HEAD_BYTES + SPOOL_BLOCK_SAMPLES + (from - page->first),
               G711_ULAW_SILENCE, (size_t)(until - from));
}

void spool_pause(struct calls *calls, struct call *call, bool paused)
{
    struct spool *spool = call->spool;
    uint64_t now = tap_clock(call->tap);
    if (spool->paused == paused)
        return;
    spool->paused = paused;
    if (!paused)
        spool->resume_at = now + (TAP_PIECE_SAMPLES - now % TAP_PIECE_SAMPLES) % TAP_PIECE_SAMPLES;
    record_spool(calls, &spool->owner, ++call->event_seq,
                 paused ? "recording_paused" : "recording_resumed",
                 ",\"file\":\"%s\",\"at_sample\":%" PRIu64, spool->name,
                 (paused ? now - now % TAP_PIECE_SAMPLES : spool->resume_at) - spool->base);
}

void spool_end(struct calls *calls, struct call *call)
{
    struct spool *spool = call->spool;
    if (!hand_over(calls, spool))
        return;
    let_go(calls, spool);
    drop_page(&calls->spools, &spool->page);
    go_on(calls, spool);
}
