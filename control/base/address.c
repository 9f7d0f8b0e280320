#include "control/base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct block {
    uint32_t network;
    unsigned bits;
};

static const struct block not_public[] = {
    {0x00000000, 8},  /* this network */
    {0x0a000000, 8},  /* private */
    {0x64400000, 10}, /* shared by carriers' customers; a cloud's metadata */
    {0x7f000000, 8},  /* loopback */
    {0xa83f8110, 32}, /* Azure's metadata */
    {0xa9fe0000, 16}, /* link-local; most clouds' metadata */
    {0xac100000, 12}, /* private */
    {0xc0000000, 24}, /* protocol assignments; a cloud's metadata */
    {0xc0000200, 24}, /* documentation */
    {0xc0586300, 24}, /* 6to4 relays, gone */
    {0xc0a80000, 16}, /* private */
    {0xc6120000, 15}, /* benchmarking */
    {0xc6336400, 24}, /* documentation */
    {0xcb007100, 24}, /* documentation */
    {0xe0000000, 3},  /* multicast, reserved, broadcast */
};

static bool is_public_4(uint32_t address)
{
    for (size_t i = 0; i < sizeof not_public / sizeof not_public[0]; i++) {
        uint32_t mask = UINT32_MAX << (32 - not_public[i].bits);
        if ((address & mask) == not_public[i].network)
            return false;
    }
    return true;
}

static uint32_t read_4(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Global unicast is 2000::/3. What carries an IPv4 address is as public as that address. */
static bool is_public_6(const uint8_t bytes[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const uint8_t translated[12] = {0x00, 0x64, 0xff, 0x9b};
    static const uint8_t teredo[4] = {0x20, 0x01, 0x00, 0x00};
    static const uint8_t documentation[4] = {0x20, 0x01, 0x0d, 0xb8};
    if (memcmp(bytes, mapped, 12) == 0 || memcmp(bytes, translated, 12) == 0)
        return is_public_4(read_4(bytes + 12));
    if (bytes[0] == 0x20 && bytes[1] == 0x02) /* 6to4 */
        return is_public_4(read_4(bytes + 2));
    if (memcmp(bytes, teredo, 4) == 0 || memcmp(bytes, documentation, 4) == 0)
        return false;
    return (bytes[0] & 0xe0) == 0x20;
}

bool address_is_public(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in four;
        memcpy(&four, address, sizeof four);
        return is_public_4(ntohl(four.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 six;
        memcpy(&six, address, sizeof six);
        return is_public_6(six.sin6_addr.s6_addr);
    }
    return false;
}

bool address_text_is_public(const char *text)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, text, &four) == 1)
        return is_public_4(ntohl(four.s_addr));
    return inet_pton(AF_INET6, text, &six) == 1 && is_public_6(six.s6_addr);
}

const char *address_write_key(const char *text, char key[ADDRESS_KEY_BYTES])
{
    struct in6_addr six;
    if (inet_pton(AF_INET6, text, &six) != 1) {
        snprintf(key, ADDRESS_KEY_BYTES, "%s", text);
    } else if (IN6_IS_ADDR_V4MAPPED(&six)) {
        inet_ntop(AF_INET, six.s6_addr + 12, key, ADDRESS_KEY_BYTES);
    } else {
        memset(six.s6_addr + 8, 0, 8);
        inet_ntop(AF_INET6, &six, key, ADDRESS_KEY_BYTES);
    }
    return key;
}
