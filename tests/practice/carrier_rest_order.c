#include "tests/practice/carrier_rest_order.h"

#include "common/panic.h"

#include <stdio.h>
#include <stdlib.h>

static int hex(char character)
{
    const char *digits = "0123456789abcdef";
    const char *at = character ? strchr(digits, character | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

static bool undo(struct span text, char *value, size_t room)
{
    const char *from = (const char *)text.data;
    size_t used = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        char character = from[i] == '+' ? ' ' : from[i];
        if (from[i] == '%') {
            if (i + 2 >= text.bytes || hex(from[i + 1]) < 0 || hex(from[i + 2]) < 0)
                return false;
            character = (char)(hex(from[i + 1]) * 16 + hex(from[i + 2]));
            i += 2;
        }
        if (used + 1 >= room)
            return false;
        value[used++] = character;
    }
    value[used] = '\0';
    return true;
}

static size_t find(struct span text, char character)
{
    const void *at = text.bytes ? memchr(text.data, character, text.bytes) : NULL;
    return at ? (size_t)((const uint8_t *)at - text.data) : text.bytes;
}

bool carrier_rest_next(struct span *rest, char name[64], char value[CARRIER_ORDER_VALUE_BYTES])
{
    if (rest->bytes == 0)
        return false;
    struct span pair = span_from(rest->data, find(*rest, '&'));
    size_t taken = pair.bytes < rest->bytes ? pair.bytes + 1 : pair.bytes;
    *rest = span_from(rest->data + taken, rest->bytes - taken);
    size_t equals = find(pair, '=');
    size_t begins = equals < pair.bytes ? equals + 1 : equals;
    return undo(span_from(pair.data, equals), name, 64) &&
           undo(span_from(pair.data + begins, pair.bytes - begins), value,
                CARRIER_ORDER_VALUE_BYTES);
}

enum text { TEXT_FROM, TEXT_TO, TEXT_URL, TEXT_STATUS, TEXT_AMD, TEXT_COUNT };

static char *text_at(const struct carrier_rest_order *order, enum text text)
{
    return order->texts + (size_t)text * CARRIER_ORDER_VALUE_BYTES;
}

/* Several words in one value are none of them. */
static bool add_event(struct carrier_order *order, const char *value)
{
    static const char *const events[] = {"initiated", "ringing", "answered", "completed"};
    for (unsigned i = 0; i < sizeof events / sizeof events[0]; i++)
        if (strcmp(value, events[i]) == 0) {
            order->events |= 1u << i;
            return true;
        }
    return false;
}

static bool take(struct carrier_rest_order *order, const char *name, const char *value)
{
    static const char *const names[TEXT_COUNT] = {"From", "To", "Url", "StatusCallback",
                                                  "AsyncAmdStatusCallback"};
    for (enum text text = 0; text < TEXT_COUNT; text++)
        if (strcmp(name, names[text]) == 0)
            snprintf(text_at(order, text), CARRIER_ORDER_VALUE_BYTES, "%s", value);
    return strcmp(name, "StatusCallbackEvent") != 0 || add_event(&order->order, value);
}

static int judge(const struct carrier_rest_order *order, const char **why)
{
    struct carrier_url url;
    *why = "No 'To' number is specified";
    if (text_at(order, TEXT_TO)[0] != '+')
        return text_at(order, TEXT_TO)[0] ? 21211 : 21201;
    *why = "The 'From' number is not one";
    if (text_at(order, TEXT_FROM)[0] != '+')
        return 21212;
    *why = "Url parameter is required, and has to be one";
    if (!carrier_url_read(text_at(order, TEXT_URL), &url))
        return 21205;
    *why = "StatusCallback is not a URL";
    if (text_at(order, TEXT_STATUS)[0] && !carrier_url_read(text_at(order, TEXT_STATUS), &url))
        return 21609;
    return 0;
}

int carrier_rest_order_read(struct span form, struct carrier_rest_order *order, const char **why)
{
    char name[64], value[CARRIER_ORDER_VALUE_BYTES];
    *order = (struct carrier_rest_order){.texts = calloc(TEXT_COUNT, CARRIER_ORDER_VALUE_BYTES)};
    assert(order->texts);
    while (form.bytes > 0) {
        *why = "A parameter is malformed";
        if (!carrier_rest_next(&form, name, value))
            return 20001;
        *why = "StatusCallbackEvent is not one of initiated, ringing, answered, completed";
        if (!take(order, name, value))
            return 21626;
    }
    if (order->order.events == 0)
        order->order.events = EVENT_COMPLETED;
    order->order.from = text_at(order, TEXT_FROM);
    order->order.to = text_at(order, TEXT_TO);
    order->order.url = text_at(order, TEXT_URL);
    order->order.status_url = text_at(order, TEXT_STATUS);
    order->order.amd_url = text_at(order, TEXT_AMD);
    return judge(order, why);
}

void carrier_rest_order_free(struct carrier_rest_order *order)
{
    free(order->texts);
    order->texts = NULL;
}
