/* dice: what a seed decides. One stream of numbers per part of the world, so that a part that draws
 * more changes nothing for the others. Pure. */
#ifndef RINGBRIDGE_TESTS_SIM_DICE_H
#define RINGBRIDGE_TESTS_SIM_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
    uint64_t state;
};

/* SplitMix64: any state is a good one. */
static inline uint64_t dice_draw(struct dice *dice)
{
    uint64_t word = dice->state += 0x9e3779b97f4a7c15u;
    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
    word = (word ^ word >> 27) * 0x94d049bb133111ebu;
    return word ^ word >> 31;
}

static inline struct dice dice_open(uint64_t seed, uint64_t part)
{
    struct dice dice = {seed * 0x2545f4914f6cdd1du + part};
    dice_draw(&dice);
    return dice;
}

/* 0 .. sides - 1. */
static inline uint64_t dice_below(struct dice *dice, uint64_t sides)
{
    return sides ? dice_draw(dice) % sides : 0;
}

/* least .. most. */
static inline uint64_t dice_between(struct dice *dice, uint64_t least, uint64_t most)
{
    return least + dice_below(dice, most - least + 1);
}

/* True in so many of 1000 cases. */
static inline bool dice_chance(struct dice *dice, unsigned permille)
{
    return permille && dice_below(dice, 1000) < permille;
}

#endif
