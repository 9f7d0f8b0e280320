#include "tests/sim/story.h"

#include "tests/sim/trace.h"

#include <stdio.h>
#include <stdlib.h>

void story_excuse(struct story *story, enum end reason)
{
    story->excused[reason] = true;
}

static void name(struct story *story)
{
    unsigned number = story->number;
    struct ticket ticket = {.home_core = (uint16_t)story->home_core,
                            .expires_at_ms = kernel_wall_ms() + story->ticket_life_ms};
    snprintf(story->call, sizeof story->call, "00000000-0000-4000-8000-%012x", number);
    snprintf(story->organization, sizeof story->organization, "00000000-0000-4000-9000-%012x",
             number % 2);
    snprintf(story->call_sid, sizeof story->call_sid, "CA%032x", number + 1);
    snprintf(story->account_sid, sizeof story->account_sid, "AC%032x", 7);
    snprintf(story->stream_sid, sizeof story->stream_sid, "MZ%032x", number + 1);
    snprintf(story->signature, sizeof story->signature, "signature+of+story+%08u=", number);
    for (size_t i = 0; i < sizeof ticket.nonce; i++)
        ticket.nonce[i] = (uint8_t)dice_draw(&story->dice);
    ticket_write(&ticket, story->ticket);
}

static uint64_t life_ns(struct dice *dice)
{
    if (dice_chance(dice, 30))
        return dice_between(dice, 15, 40) * SECOND;
    if (dice_chance(dice, 250))
        return dice_between(dice, 4, 10) * SECOND;
    return dice_between(dice, 100, 4000) * MS;
}

/* Some fates take their time: deadlines of ten seconds, of two sessions one behind the other. */
static bool is_slow(const struct story *story)
{
    enum carrier_fate carrier = story->carrier.fate;
    enum ai_fate ai = story->ai_fate;
    return carrier == CARRIER_DEAF || carrier == CARRIER_SLOW || ai == AI_DEAF || ai == AI_SLOW ||
           ai == AI_SILENT || ai == AI_MUTE || story->session_max_s < 3600;
}

static void draw_fates(struct story *story, const struct story_rules *rules)
{
    struct dice *dice = &story->dice;
    if (dice_chance(dice, rules->misfortune_permille))
        story->carrier.fate = (enum carrier_fate)dice_below(dice, CARRIER_FATES);
    if (dice_chance(dice, rules->misfortune_permille))
        story->ai_fate = (enum ai_fate)dice_below(dice, AI_FATES);
    story->denied = !story->prepared && dice_chance(dice, rules->misfortune_permille / 4);
    story->chatty = !rules->strict && dice_chance(dice, 300);
    story->duration_max_s = 3600;
    if (rules->life_ns) {
        story->duration_max_s = 7200;
        return;
    }
    if (is_slow(story) && dice_chance(dice, 500))
        story->life_ns = dice_between(dice, 15, 45) * SECOND;
    if (!rules->strict && dice_chance(dice, 50)) {
        story->duration_max_s = 1 + (unsigned)dice_below(dice, 5);
        story_excuse(story, END_duration_limit);
    }
    if (story->chatty)
        story_excuse(story, END_agent_hung_up);
}

static void draw_how_it_is(struct story *story, const struct story_rules *rules)
{
    static const unsigned appends[] = {20, 20, 20, 40, 60, 100};
    struct dice *dice = &story->dice;
    story->pcm = dice_chance(dice, 300);
    story->carrier_tls = dice_chance(dice, 300);
    story->ai_tls = dice_chance(dice, 300);
    story->prepared = dice_chance(dice, 700);
    story->transcribed = dice_chance(dice, 700);
    story->firm = dice_chance(dice, 150);
    story->home_core = (unsigned)dice_below(dice, rules->cores_count);
    story->append_ms = appends[dice_below(dice, 6)];
    story->interrupt_after_ms = dice_chance(dice, 200) ? 100 + (unsigned)dice_below(dice, 500) : 0;
    story->session_max_s = dice_chance(dice, 100) ? 10 + (unsigned)dice_below(dice, 10) : 3600;
    story->life_ns = rules->life_ns ? rules->life_ns : life_ns(dice);
    story->ticket_life_ms = 20000;
    if (!story->strict && dice_chance(dice, 100)) { /* it may expire on the way */
        story->ticket_life_ms = 2000;
        story_excuse(story, END_carrier_no_show);
    }
    story->prepare_ns = kernel_now_ns() + dice_below(dice, 1500) * MS;
    if (story->session_max_s < 3600)
        story_excuse(story, END_ai_expired);
    story->ai_port = (uint16_t)(20000 + story->number);
}

/* From dice of its own, so that everything else is as it is without. */
static void draw_recording(struct story *story, const struct story_rules *rules)
{
    struct dice dice = dice_open(rules->seed, 200 + story->number);
    story->recorded = dice_chance(&dice, rules->recorded_permille);
    if (story->recorded && rules->long_s && dice_chance(&dice, 500))
        story->life_ns = rules->long_s * SECOND;
    else if (rules->lasting && dice_chance(&dice, story->recorded ? 300 : 150))
        story->life_ns = dice_between(&dice, 10, dice_chance(&dice, 300) ? 60 : 20) * SECOND;
    story->wordy = rules->wordy && dice_chance(&dice, 300);
}

void story_open(struct story *story, unsigned number, const struct story_rules *rules)
{
    struct story old = *story;
    *story = (struct story){.number = number,
                            .strict = rules->strict,
                            .dice = dice_open(rules->seed, 100 + number),
                            .caller = old.caller,
                            .agent = old.agent};
    story->carrier.peer = old.carrier.peer;
    story->carrier.peer.tcp = NULL;
    story->carrier.intruder = old.carrier.intruder;
    story->carrier.intruder.tcp = NULL;
    story->carrier.played = old.carrier.played;
    story->carrier.played_room = old.carrier.played_room;
    for (size_t i = 0; i < AIS_MAX; i++) {
        story->ais[i].peer = old.ais[i].peer;
        story->ais[i].peer.tcp = NULL;
    }
    draw_how_it_is(story, rules);
    name(story);
    ledger_open(&story->caller, dice_draw(&story->dice));
    ledger_open(&story->agent, dice_draw(&story->dice));
    pcm_open(&story->agent_pcm);
    resample_open(&story->agent_filter, RESAMPLE_24_TO_8);
    draw_fates(story, rules);
    draw_recording(story, rules);
    carrier_open(story);
    trace("story: number, fates", number, story->carrier.fate, story->ai_fate);
}

void story_free(struct story *story)
{
    ledger_free(&story->caller);
    ledger_free(&story->agent);
    free(story->carrier.played);
    peer_free(&story->carrier.peer);
    peer_free(&story->carrier.intruder);
    for (size_t i = 0; i < AIS_MAX; i++)
        peer_free(&story->ais[i].peer);
}
