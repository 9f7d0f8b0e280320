#include "control/carrier/carrier_error.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    unsigned code;
    const char *words;
} table[] = {
    {31900, "the carrier failed and does not say how"},
    {31901, "the stream's address did not answer in time: firewall, or an edge that is full"},
    {31902, "the stream's address refused the connection: no edge listens there"},
    {31903, "the edge's end of the connection broke"},
    {31904, "the stream's address cannot be reached"},
    {31910, "TLS failed: the certificate must chain to a public authority and name the host"},
    {31920, "the handshake was not answered with 101: ticket, signature or path"},
    {31921, "our side closed the stream; on purpose it is no failure"},
    {31922, "the stream's address must begin with wss:"},
    {31923, "the stream's address is malformed"},
    {31924, "the WebSocket protocol was broken"},
    {31930, "the caller's audio was dropped: our side read too slowly"},
    {31931, "the agent's audio was dropped: more than ten minutes of it waited"},
    {31940, "the connector's name is invalid"},
    {31941, "the track is invalid: a two-way stream carries the inbound one"},
    {31942, "the connector is configured wrongly"},
    {31950, "a message of ours could not be decoded"},
    {31951, "a message of ours was invalid: unknown event, wrong fields or stream"},
};

unsigned carrier_error_code(const char *text)
{
    for (const char *at = text; *at; at++) {
        if (!isdigit((unsigned char)*at))
            continue;
        size_t digits = strspn(at, "0123456789");
        if (digits == 5 && strncmp(at, "319", 3) == 0)
            return (unsigned)strtoul(at, NULL, 10);
        at += digits - 1;
    }
    return 0;
}

const char *carrier_error_words(unsigned code)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].code == code)
            return table[i].words;
    return NULL;
}
