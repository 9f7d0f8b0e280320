#include "control/service/tokens.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/panic.h"

#include <pthread.h>
#include <stdlib.h>

_Static_assert(ACCOUNTS_TOKENS_MAX <= SIGNATURE_TOKENS_MAX, "every token can be tried");

struct entry {
    char account[TOKENS_ACCOUNT_BYTES + 1]; /* "" : free */
    uint64_t asked_ms;
    struct accounts_tokens tokens; /* count 0: known to be nobody's */
};

struct tokens {
    const struct options *options;
    struct metrics *metrics;
    pthread_mutex_t lock;
    struct entry entries[TOKENS_SETS][TOKENS_WAYS];
    uint64_t second; /* of the lookups counted */
    unsigned lookups;
};

struct tokens *tokens_open(const struct options *options, struct metrics *metrics)
{
    struct tokens *tokens = calloc(1, sizeof *tokens);
    if (!tokens)
        return NULL;
    tokens->options = options;
    tokens->metrics = metrics;
    pthread_mutex_init(&tokens->lock, NULL);
    return tokens;
}

void tokens_close(struct tokens *tokens)
{
    pthread_mutex_destroy(&tokens->lock);
    explicit_bzero(tokens->entries, sizeof tokens->entries);
    free(tokens);
}

struct signature_tokens tokens_for_signature(const struct accounts_tokens *found)
{
    struct signature_tokens view = {.tokens = {NULL}};
    for (int i = 0; i < found->count; i++)
        view.tokens[i] = found->token[i];
    return view;
}

static bool well_formed(const char *account_sid)
{
    if (strlen(account_sid) != TOKENS_ACCOUNT_BYTES || strncmp(account_sid, "AC", 2) != 0)
        return false;
    return strspn(account_sid + 2, "0123456789abcdefABCDEF") == TOKENS_ACCOUNT_BYTES - 2;
}

static void add(struct accounts_tokens *found, const char *token)
{
    if (!token || token[0] == '\0' || found->count == ACCOUNTS_TOKENS_MAX)
        return;
    struct span span = span_of(token);
    if (span_copy_text(span, found->token[found->count], sizeof found->token[0]))
        found->count++;
}

/* The installation's own. Without a TWILIO_ACCOUNT_SID they are tried for every account that is not
 * an organisation's. */
static bool add_own(const struct options *options, const char *account_sid,
                    struct accounts_tokens *found)
{
    if (options->account_sid && strcmp(options->account_sid, account_sid) != 0)
        return false;
    add(found, options->auth_token);
    add(found, options->auth_token_previous);
    return found->count > 0;
}

/* ---- what is remembered; all with the lock held ---- */

static struct entry *set_of(struct tokens *tokens, const char *account_sid)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *account_sid; account_sid++)
        hash = (hash ^ (uint8_t)*account_sid) * 16777619u;
    return tokens->entries[hash % TOKENS_SETS];
}

static struct entry *find(struct tokens *tokens, const char *account_sid)
{
    struct entry *set = set_of(tokens, account_sid);
    for (size_t way = 0; way < TOKENS_WAYS; way++)
        if (strcmp(set[way].account, account_sid) == 0)
            return &set[way];
    return NULL;
}

/* Nobody's accounts go first, then the oldest: inventions do not push out what is real. */
static struct entry *make_room(struct tokens *tokens, const char *account_sid)
{
    struct entry *set = set_of(tokens, account_sid), *worst = &set[0];
    for (size_t way = 0; way < TOKENS_WAYS; way++) {
        struct entry *entry = &set[way];
        bool worse_kind = entry->tokens.count == 0 && worst->tokens.count > 0;
        bool same_kind = (entry->tokens.count == 0) == (worst->tokens.count == 0);
        if (worse_kind || (same_kind && entry->asked_ms < worst->asked_ms))
            worst = entry;
    }
    return worst;
}

static void remember(struct tokens *tokens, const char *account_sid, uint64_t now_ms,
                     const struct accounts_tokens *found)
{
    struct entry *entry = find(tokens, account_sid);
    if (!entry)
        entry = make_room(tokens, account_sid);
    accounts_wipe(&entry->tokens);
    memcpy(entry->account, account_sid, strlen(account_sid) + 1);
    entry->asked_ms = now_ms;
    entry->tokens = *found;
}

static bool may_look_up(struct tokens *tokens, uint64_t now_ms)
{
    if (tokens->second != now_ms / 1000) {
        tokens->second = now_ms / 1000;
        tokens->lookups = 0;
    }
    return tokens->lookups++ < TOKENS_LOOKUPS_PER_SECOND;
}

enum answer { REMEMBERED, ASK, THROTTLED };

static enum answer recall(struct tokens *tokens, const char *account_sid, uint64_t now_ms,
                          struct accounts_tokens *found)
{
    const struct entry *entry = find(tokens, account_sid);
    if (entry && now_ms - entry->asked_ms < TOKENS_FRESH_MS) {
        *found = entry->tokens;
        return REMEMBERED;
    }
    bool known = entry && entry->tokens.count > 0;
    return known || may_look_up(tokens, now_ms) ? ASK : THROTTLED;
}

/* The database is away: what was known for sure a while ago. */
static enum tokens_found recall_stale(struct tokens *tokens, const char *account_sid,
                                      uint64_t now_ms, struct accounts_tokens *found)
{
    pthread_mutex_lock(&tokens->lock);
    const struct entry *entry = find(tokens, account_sid);
    bool known = entry && entry->tokens.count > 0 && now_ms - entry->asked_ms < TOKENS_STALE_MS;
    if (known)
        *found = entry->tokens;
    pthread_mutex_unlock(&tokens->lock);
    return known ? TOKENS_FOUND : TOKENS_AWAY;
}

/* ---- the question ---- */

static enum tokens_found look_up(struct tokens *tokens, struct db *db, const char *account_sid,
                                 uint64_t now_ms, struct accounts_tokens *found)
{
    int unopened = 0;
    enum db_result result =
        accounts_tokens(db, &tokens->options->seal, account_sid, found, &unopened);
    if (result != DB_OK)
        return recall_stale(tokens, account_sid, now_ms, found);
    if (unopened > 0) {
        COUNT_BY(tokens->metrics, tokens_unopened, (uint64_t)unopened);
        log_error("a sealed token does not open: RINGBRIDGE_SECRET_KEY is not the one it was "
                  "sealed with",
                  log_text("account", account_sid));
    }
    if (found->count == 0 && !tokens->options->account_sid)
        add_own(tokens->options, account_sid, found);
    pthread_mutex_lock(&tokens->lock);
    remember(tokens, account_sid, now_ms, found);
    pthread_mutex_unlock(&tokens->lock);
    return found->count > 0 ? TOKENS_FOUND : TOKENS_UNKNOWN;
}

enum tokens_found tokens_find(struct tokens *tokens, struct db *db, const char *account_sid,
                              struct accounts_tokens *found)
{
    *found = (struct accounts_tokens){.count = 0};
    if (!well_formed(account_sid))
        return TOKENS_UNKNOWN;
    if (tokens->options->account_sid && add_own(tokens->options, account_sid, found))
        return TOKENS_FOUND;
    uint64_t now_ms = clock_monotonic_ns() / 1000000u;
    pthread_mutex_lock(&tokens->lock);
    enum answer answer = recall(tokens, account_sid, now_ms, found);
    pthread_mutex_unlock(&tokens->lock);
    if (answer == THROTTLED) {
        COUNT(tokens->metrics, lookups_throttled);
        return TOKENS_BUSY;
    }
    if (answer == ASK)
        return look_up(tokens, db, account_sid, now_ms, found);
    return found->count > 0 ? TOKENS_FOUND : TOKENS_UNKNOWN;
}
