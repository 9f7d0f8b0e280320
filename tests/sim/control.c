#include "tests/sim/control.h"

#include "common/panic.h"
#include "edge/call/call.h"
#include "edge/io/resolve.h"
#include "tests/sim/bounds.h"
#include "tests/sim/onlooker.h"
#include "tests/sim/reader.h"
#include "tests/sim/trace.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LETTERS_MAX 4096

struct waiting {
    uint64_t due_ns;
    unsigned core;
    struct letter letter;
};

static struct {
    struct control_config config;
    struct dice dice, records;
    struct waiting letters[LETTERS_MAX];
    unsigned letters_count;
    uint64_t away_from_ns, away_until_ns, order_ns, record_ns;
    struct control_figures figures;
} control;

struct link *control_link(void)
{
    return (struct link *)(void *)&control;
}

const struct control_figures *control_figures(void)
{
    return &control.figures;
}

void control_open(const struct control_config *config)
{
    assert(control.letters_count == 0);
    control.config = *config;
    control.figures = (struct control_figures){0};
    control.dice = dice_open(config->seed, 3);
    control.away_from_ns = control.away_until_ns = control.order_ns = control.record_ns = NEVER;
    control.records = dice_open(config->seed, 9);
    if (config->records && dice_chance(&control.records, 500))
        control.record_ns = kernel_now_ns() + dice_below(&control.records, 3000) * MS;
    if (config->reliable)
        return;
    if (dice_chance(&control.dice, config->misfortune_permille)) {
        control.away_from_ns = kernel_now_ns() + dice_below(&control.dice, 5000) * MS;
        control.away_until_ns = control.away_from_ns + dice_below(&control.dice, 5000) * MS;
    }
    if (dice_chance(&control.dice, config->misfortune_permille))
        control.order_ns = kernel_now_ns() + dice_below(&control.dice, 6000) * MS;
}

static bool misfortune(unsigned permille)
{
    return !control.config.reliable && control.config.misfortune_permille &&
           dice_chance(&control.dice, permille);
}

static bool is_away(void)
{
    uint64_t now_ns = kernel_now_ns();
    return now_ns >= control.away_from_ns && now_ns < control.away_until_ns;
}

/* ---- letters ---- */

static void write_letter(uint64_t due_ns, unsigned core, struct letter letter)
{
    assert(control.letters_count < LETTERS_MAX);
    control.letters[control.letters_count++] = (struct waiting){due_ns, core, letter};
}

/* A letter that finds no room is tried again. */
static bool post(struct waiting *waiting)
{
    trace("letter: kind, core", waiting->letter.kind, waiting->core, 0);
    if (mail_send(control.config.inboxes[waiting->core], waiting->letter))
        return true;
    waiting->due_ns = kernel_now_ns() + 5 * MS;
    return false;
}

static uint64_t post_due(uint64_t now_ns)
{
    uint64_t next_ns = NEVER;
    for (unsigned i = 0; i < control.letters_count;) {
        struct waiting *waiting = &control.letters[i];
        if (waiting->due_ns <= now_ns && post(waiting)) {
            *waiting = control.letters[--control.letters_count];
            continue;
        }
        if (waiting->due_ns < next_ns)
            next_ns = waiting->due_ns;
        i++;
    }
    return next_ns;
}

void link_answer_free(struct link_answer *answer)
{
    if (answer)
        plan_free(answer->plan);
    free(answer);
}

static void drop(struct letter letter)
{
    if (letter.kind == LETTER_PLAN)
        plan_free(letter.content);
    else if (letter.kind == LETTER_ANSWER)
        link_answer_free(letter.content);
    else
        free(letter.content);
}

/* What waits is lost with the link, answers too. */
void control_close(void)
{
    for (unsigned i = 0; i < control.letters_count; i++)
        drop(control.letters[i].letter);
    control.letters_count = 0;
}

/* ---- plans ---- */

static struct plan *make_plan(struct story *story)
{
    char json[4096], error[200];
    struct dice *dice = &story->dice;
    bool greets = dice_chance(dice, 600);
    int bytes = snprintf(
        json, sizeof json,
        "{\"call\":\"%s\",\"organization\":\"%s\",\"call_sid\":\"%s\",\"account_sid\":\"%s\","
        "\"ticket\":\"%s\",\"expires_at_ms\":%" PRId64 ",\"home_core\":%u,\"signatures\":[\"%s\"],"
        "\"duration_max_s\":%u,\"append_ms\":%u,\"record\":%s,\"ai\":{\"backend\":\"openai_"
        "realtime\",\"url\":"
        "\"%s://127.0.0.1:%u/v1/realtime?model=m\",\"key\":\"sk-sim\",\"format\":\"%s\",\"model\":"
        "\"m\",\"voice\":\"v\",\"instructions\":\"be brief\",\"greeting\":\"%s\","
        "\"transcription_model\":\"%s\",\"language\":\"en\",\"tools\":[],"
        "\"tool_waits\":[{\"name\":\"end_call\",\"at_edge\":\"end_call\"},{\"name\":"
        "\"collect_digits\",\"at_edge\":\"collect_digits\"},{\"name\":\"look_up\",\"interim_ms\":"
        "500,\"deadline_ms\":2000}],"
        "\"greeting_interruptible\":%s,\"interrupt_after_ms\":%u,\"session_max_s\":%u}}",
        story->call, story->organization, story->call_sid, story->account_sid, story->ticket,
        kernel_wall_ms() + story->ticket_life_ms, story->home_core, story->signature,
        story->duration_max_s, story->append_ms, story->recorded ? "true" : "false",
        story->ai_tls ? "wss" : "ws", (unsigned)story->ai_port, story->pcm ? "pcm" : "pcmu",
        greets ? "hello" : "", story->transcribed ? "t" : "", story->firm ? "false" : "true",
        story->interrupt_after_ms, story->session_max_s);
    assert(bytes > 0 && (size_t)bytes < sizeof json);
    struct plan *plan =
        plan_read(span_from(json, (size_t)bytes), control.config.cores_count, error, sizeof error);
    expect(plan, "%s", error);
    return plan;
}

static struct story *find_story(struct span call)
{
    for (unsigned i = 0; i < control.config.stories_count; i++)
        if (span_is(call, control.config.stories[i].call))
            return &control.config.stories[i];
    return NULL;
}

static struct story *find_by_ticket(struct span ticket)
{
    for (unsigned i = 0; i < control.config.stories_count; i++)
        if (span_is(ticket, control.config.stories[i].ticket))
            return &control.config.stories[i];
    return NULL;
}

static uint64_t prepare_due(uint64_t now_ns)
{
    uint64_t next_ns = NEVER;
    for (unsigned i = 0; i < control.config.stories_count; i++) {
        struct story *story = &control.config.stories[i];
        if (story->told || !story->prepared)
            continue;
        if (story->prepare_ns > now_ns) {
            next_ns = story->prepare_ns < next_ns ? story->prepare_ns : next_ns;
            continue;
        }
        story->told = story->plan_taken = true;
        control.figures.plans++;
        write_letter(now_ns, story->home_core,
                     (struct letter){.kind = LETTER_PLAN, .content = make_plan(story)});
    }
    return next_ns;
}

/* ---- orders ---- */

static void order_hangup(struct story *story)
{
    struct link_hangup order = {.reason = END_hung_up_by_order};
    memcpy(order.call, story->call, sizeof order.call);
    story_excuse(story, END_hung_up_by_order);
    for (unsigned core = 0; core < control.config.cores_count; core++) {
        struct link_hangup *copy = malloc(sizeof *copy);
        assert(copy);
        *copy = order;
        write_letter(kernel_now_ns(), core,
                     (struct letter){.kind = LETTER_HANGUP, .content = copy});
    }
}

static void order_say(struct story *story)
{
    struct link_say order = {.interruptible = dice_chance(&control.dice, 500),
                             .text = "this call is recorded"};
    memcpy(order.call, story->call, sizeof order.call);
    for (unsigned core = 0; core < control.config.cores_count; core++) {
        struct link_say *copy = malloc(sizeof *copy);
        assert(copy);
        *copy = order;
        write_letter(kernel_now_ns(), core, (struct letter){.kind = LETTER_SAY, .content = copy});
    }
}

static void order_record(uint64_t now_ns)
{
    struct dice *dice = &control.records;
    struct story *story = &control.config.stories[dice_below(dice, control.config.stories_count)];
    struct link_record order = {.action = (enum link_record_action)dice_below(dice, 4)};
    if (order.action == LINK_RECORD_STOP && dice_chance(dice, 500))
        order.action = LINK_RECORD_PAUSE;
    memcpy(order.call, story->call, sizeof order.call);
    story->recordings.stopped |= order.action == LINK_RECORD_STOP;
    control.record_ns = dice_chance(dice, 900) ? now_ns + dice_below(dice, 900) * MS : NEVER;
    for (unsigned core = 0; core < control.config.cores_count; core++) {
        struct link_record *copy = malloc(sizeof *copy);
        assert(copy);
        *copy = order;
        write_letter(now_ns, core, (struct letter){.kind = LETTER_RECORD, .content = copy});
    }
}

static void give_order(uint64_t now_ns)
{
    struct story *story =
        &control.config.stories[dice_below(&control.dice, control.config.stories_count)];
    bool again = dice_chance(&control.dice, 700);
    control.order_ns = again ? now_ns + dice_below(&control.dice, 2000) * MS : NEVER;
    if (dice_chance(&control.dice, 200))
        order_hangup(story);
    else
        order_say(story);
}

uint64_t control_step(uint64_t now_ns)
{
    uint64_t next_ns = is_away() ? control.away_until_ns : prepare_due(now_ns);
    if (now_ns >= control.order_ns)
        give_order(now_ns);
    if (now_ns >= control.record_ns)
        order_record(now_ns);
    uint64_t letters_ns = post_due(now_ns);
    next_ns = letters_ns < next_ns ? letters_ns : next_ns;
    return sooner(next_ns, sooner(control.order_ns, control.record_ns));
}

/* ---- requests ---- */

struct link_answer *control_make_answer(int status, const char *body)
{
    struct link_answer *answer = calloc(1, sizeof *answer + strlen(body));
    assert(answer);
    answer->status = status;
    snprintf(answer->content_type, sizeof answer->content_type, "text/xml");
    answer->body_bytes = strlen(body);
    memcpy(answer->body, body, strlen(body));
    return answer;
}

static struct link_answer *answer_admit(struct span json)
{
    struct story *story = find_by_ticket(peer_member(json, "ticket"));
    bool right = story && span_is(peer_member(json, "signature"), story->signature);
    if (!right || story->plan_taken || story->denied)
        return control_make_answer(403, "");
    struct link_answer *answer = control_make_answer(200, "");
    answer->plan = make_plan(story);
    story->plan_taken = true;
    control.figures.plans++;
    return answer;
}

static struct link_answer *answer_listen(struct span json)
{
    for (unsigned i = 0; i < control.config.onlookers_count; i++)
        if (span_is(peer_member(json, "ticket"), control.config.onlookers[i].ticket))
            return onlooker_answer(&control.config.onlookers[i]);
    sim_fail("a ticket that nobody has");
}

static struct reader *find_reader(struct span json, const char *name, const char *before)
{
    struct span text = peer_member(json, name);
    size_t bytes = strlen(before);
    if (!span_starts(text, before))
        return NULL;
    unsigned number = (unsigned)strtoul((const char *)text.data + bytes, NULL, 10);
    return number < control.config.readers_count ? &control.config.readers[number] : NULL;
}

/* Jansson leaves a key out when memory runs out while it writes. */
static bool is_garbled(struct span json)
{
    static const char *const holes[] = {",\":", "{\":", ",:", "{:"};
    bool garbled = false;
    for (size_t i = 0; i < sizeof holes / sizeof holes[0]; i++)
        garbled |= memmem(json.data, json.bytes, holes[i], strlen(holes[i])) != NULL;
    expect(!garbled || control.config.forgets, "%.*s", (int)json.bytes, (const char *)json.data);
    return garbled;
}

static struct link_answer *answer_for(struct span json)
{
    struct span kind = peer_member(json, "kind");
    struct reader *reader = find_reader(json, "target", "/reader/");
    if (is_garbled(json))
        return control_make_answer(400, "");
    if (span_is(kind, "admit"))
        return answer_admit(json);
    if (span_is(kind, "listen"))
        return answer_listen(json);
    if (span_is(kind, "more")) {
        reader = find_reader(json, "ask", "reader ");
        expect(reader, "more of what nobody asked for");
        return reader_answer_more(reader, peer_number(json, "from"));
    }
    return reader ? reader_answer(reader) : control_make_answer(200, "<Response/>");
}

bool link_request(struct link *link, unsigned core, uint64_t id, char *json, size_t json_bytes,
                  struct span body, unsigned deadline_ms)
{
    world_enter();
    struct span text = span_from(json, json_bytes);
    bool admit = span_is(peer_member(text, "kind"), "admit"), refused = misfortune(20);
    trace_bytes("request", core, text);
    (void)link, (void)body;
    struct link_answer *answer = NULL;
    uint64_t delay_ns = dice_between(&control.dice, 1, misfortune(50) ? 4900 : 80) * MS;
    if (refused)
        goto done;
    control.figures.http_asked += !admit;
    if (is_away() || misfortune(30)) {
        answer = control_make_answer(0, "");
        delay_ns = dice_chance(&control.dice, 500) ? 0 : deadline_ms * MS;
    } else {
        answer = answer_for(text);
    }
    write_letter(kernel_now_ns() + delay_ns, core,
                 (struct letter){.kind = LETTER_ANSWER, .id = id, .content = answer});
done:
    free(json);
    world_leave();
    return !refused;
}

bool link_ready(const struct link *link)
{
    (void)link;
    return true;
}

/* ---- events ---- */

static void take_ending(struct story *story, struct span json)
{
    struct story_events *events = &story->events;
    struct span reason = peer_member(json, "reason");
    for (enum end end = END_NONE; end < END_COUNT; end++)
        if (end != END_NONE && span_is(reason, end_name(end)))
            events->reason = end;
    expect(events->reason != END_NONE, "a reason");
    expect(events->ended++ == 0, "one ending");
    control.figures.ends[events->reason]++;
    events->early_dropped = peer_number(json, "early_dropped_bytes");
    events->late_dropped = peer_number(json, "late_dropped_bytes");
    events->slow_dropped = peer_number(json, "slow_dropped_bytes");
    events->gap_samples = peer_number(json, "gap_samples");
    events->frames_up = peer_number(json, "frames_up");
    events->bytes_down = peer_number(json, "bytes_down");
    events->duration_ms = peer_number(json, "duration_ms");
}

/* What the AI asks for comes soon, late, twice or never; some of it ends the call. */
static void answer_tool(struct story *story, uint64_t number)
{
    struct dice *dice = &control.dice;
    for (bool again = dice_chance(dice, 900); again; again = dice_chance(dice, 100)) {
        bool ends = dice_chance(dice, 50);
        uint64_t due_ns =
            kernel_now_ns() + dice_below(dice, dice_chance(dice, 300) ? 8000 : 400) * MS;
        if (ends)
            story_excuse(story, END_transferred);
        for (unsigned core = 0; core < control.config.cores_count; core++) {
            struct link_tool_result *result = calloc(1, sizeof *result);
            assert(result);
            memcpy(result->call, story->call, sizeof result->call);
            result->number = number;
            result->end = ends ? END_transferred : END_NONE;
            snprintf(result->output, sizeof result->output, "{\"ok\":true}");
            write_letter(due_ns, core,
                         (struct letter){.kind = LETTER_TOOL_RESULT, .content = result});
        }
    }
}

static void owe(struct story_events *events, uint64_t seq)
{
    expect(events->owed_count < OWED_MAX, "numbers are left out");
    events->owed[events->owed_count++] = seq;
}

static bool pay(struct story_events *events, uint64_t seq)
{
    for (unsigned i = 0; i < events->owed_count; i++)
        if (events->owed[i] == seq) {
            events->owed[i] = events->owed[--events->owed_count];
            return true;
        }
    return false;
}

/* The number of a recording's end is given when its call lets go of it, and told later. */
static void take_number(struct story *story, uint64_t seq, bool of_recording)
{
    struct story_events *events = &story->events;
    if (of_recording && seq < events->seq && (pay(events, seq) || control.config.forgets))
        return;
    bool may_owe = control.config.forgets || story->recordings.count || story->recordings.failed;
    expect(seq == events->seq + 1 || (may_owe && seq > events->seq),
           "seq %" PRIu64 " after %" PRIu64, seq, events->seq);
    for (uint64_t missing = events->seq + 1; !control.config.forgets && missing < seq; missing++)
        owe(events, missing);
    events->seq = seq;
}

static void take_event(struct span json)
{
    struct story *story = find_story(peer_member(json, "call"));
    struct span kind = peer_member(json, "kind");
    expect(story && span_is(peer_member(json, "organization"), story->organization), "%.*s",
           (int)json.bytes, (const char *)json.data);
    struct story_events *events = &story->events;
    bool of_recording = span_starts(kind, "recording");
    uint64_t seq = peer_number(json, "seq");
    expect(events->ended == 0 || of_recording, "nothing after the end");
    take_number(story, seq, of_recording);
    events->told++;
    if (of_recording)
        recording_take(story, kind, json, bounds_clock(story->call));
    if (span_is(kind, "ended"))
        story->recordings.clock_at_end = bounds_clock(story->call);
    events->tools += span_is(kind, "tool_call");
    events->started += span_is(kind, "started");
    events->ready += span_is(kind, "ai_ready");
    events->lost += span_is(kind, "ai_lost");
    events->resumed += span_is(kind, "ai_resumed") || span_is(kind, "ai_renewed");
    if (span_is(kind, "tool_call") && memmem(json.data, json.bytes, "\"at_edge\":false", 15))
        answer_tool(story, seq);
    if (span_is(kind, "ended"))
        take_ending(story, json);
}

bool link_event(struct link *link, char *json, size_t json_bytes)
{
    world_enter();
    struct span text = span_from(json, json_bytes);
    bool refused = misfortune(2);
    (void)link;
    trace_bytes("event", json_bytes > 0, text);
    take_event(text);
    control.figures.events++;
    control.figures.refused += refused;
    free(json);
    world_leave();
    return !refused;
}

/* ---- the resolver ---- */

static struct story *find_by_port(uint16_t port)
{
    for (unsigned i = 0; i < control.config.stories_count; i++)
        if (control.config.stories[i].ai_port == port)
            return &control.config.stories[i];
    return NULL;
}

static bool befalls(struct story *story, enum ai_fate fate)
{
    bool again = story->asked > 1;
    if (story->ai_fate != fate || (again && dice_chance(&control.dice, 500)))
        return false;
    story_excuse(story, fate == AI_UNRESOLVED ? END_ai_unresolved : END_ai_not_ready);
    return true;
}

bool resolve_ask(struct resolve *resolve, const char *host, uint16_t port, struct mail *answer_to,
                 uint64_t id)
{
    world_enter();
    struct story *story = find_by_port(port);
    struct resolved *resolved = calloc(1, sizeof *resolved);
    unsigned core = 0;
    (void)resolve, (void)host;
    expect(story && resolved, "a port of ours");
    story->asked++;
    while (control.config.inboxes[core] != answer_to)
        core++;
    bool refused = misfortune(10);
    trace("resolve: story", story->number, refused, 0);
    bool silent = befalls(story, AI_UNANSWERED);
    if (refused)
        story_excuse(story, END_ai_unresolved);
    resolved->count =
        befalls(story, AI_UNRESOLVED) ? 0 : 1 + (unsigned)dice_below(&control.dice, 3);
    for (unsigned i = 0; i < resolved->count; i++) {
        struct sockaddr_in *address = (struct sockaddr_in *)(void *)&resolved->addresses[i];
        resolved->bytes[i] = sizeof *address;
        *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    }
    if (refused || silent)
        free(resolved);
    else
        write_letter(kernel_now_ns() + dice_below(&control.dice, 60) * MS, core,
                     (struct letter){.kind = LETTER_RESOLVED, .id = id, .content = resolved});
    world_leave();
    return !refused;
}
