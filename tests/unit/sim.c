/* SPDX-License-Identifier: Apache-2.0
 *
 * sim.c: one schedule: chance, what happens next, and the end, where all must
 * come to rest. See sim.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/sim.h"

/* --- chance -------------------------------------------------------------- */

/* splitmix64, by Sebastiano Vigna, from the public description. */
static uint64_t next_chance(sim *s) {
    uint64_t z = (s->chance += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint32_t sim_random(sim *s, uint32_t n) {
    return n == 0 ? 0 : (uint32_t)((next_chance(s) >> 32) * n >> 32);
}

bool sim_chance(sim *s, uint32_t percent) {
    return sim_random(s, 100) < percent;
}

/* --- words --------------------------------------------------------------- */

void sim_say(const sim *s, const char *fmt, ...) {
    va_list ap;

    (void)printf("%8llu  ", (unsigned long long)s->now);
    va_start(ap, fmt);
    (void)vprintf(fmt, ap);
    va_end(ap);
    (void)printf("\n");
}

/* The first failure is the one that counts. */
void sim_fail(sim *s, const char *fmt, ...) {
    va_list ap;

    if (s->failed)
        return;
    s->failed = true;
    va_start(ap, fmt);
    (void)vsnprintf(s->why, sizeof s->why, fmt, ap);
    va_end(ap);
    SIM_SAY(s, "FAILED: %s", s->why);
}

void sim_refused(sim *s, const char *what, int err) {
    if (!s->hungry || err != CN_ENOMEM)
        sim_fail(s, "%s: %s", what, cn_errname(err));
}

/* --- the schedule -------------------------------------------------------- */

static void set_up(sim *s, uint64_t seed, bool trace) {
    static const size_t pipes[] = {64, 700, 8192, 65536};
    static const size_t queues[] = {0, 0, 1000, 20000};

    s->seed = s->chance = seed;
    s->trace = trace;
    s->failed = s->calm = s->over = s->ending = false;
    s->now = 1000;
    s->tick = 1;
    s->in_call = 0;
    s->reading = s->next_link = 0;
    fault_init(&s->memory, 0);
    for (int i = 0; i < SIM_NODES; i++)
        s->nodes[i].life = 0;
    s->count = 2 + (int)sim_random(s, 2) * (int)sim_random(s, 4);
    s->pipe_size = pipes[sim_random(s, 4)];
    s->max_queue = queues[sim_random(s, 4)];
    s->ticktime_s = 1;
    s->setup_ms = 300 + sim_random(s, 500);
    s->fault_rate = (int)sim_random(s, 3) * 8;
    s->faultless = sim_chance(s, 15);
    if (s->faultless)
        s->fault_rate = 0, s->max_queue = 0;
    s->hungry =
        !s->faultless && (seed % 8 == 0 || getenv("SIM_HUNGRY") != NULL);
    s->refused = false;
    sim_model_reset(s);
    for (int i = 0; i < s->count; i++)
        sim_start(s, i);
}

static void play(sim *s) {
    int steps = 60 + (int)sim_random(s, 160);
    uint32_t fault = s->faultless ? 0 : sim_random(s, 4);

    for (int i = 0; i < steps && !s->failed; i++) {
        uint32_t what = sim_random(s, 100);
        if (s->hungry && sim_chance(s, 10)) {
            s->memory.fail_at = s->memory.calls + 1 + sim_random(s, 12);
            SIM_SAY(s, "allocation %zu fails", s->memory.fail_at);
        }
        if (what < fault * 2)
            sim_fault(s);
        else if (what < 30)
            sim_act(s);
        else if ((what < 33 && !s->faultless) || !sim_step(s))
            sim_advance(s, 1 + sim_random(s, 400));
    }
}

static void settle(sim *s, uint64_t ms) {
    uint64_t until = s->now + ms;
    int rounds = 0;

    while (!s->failed && s->now < until) {
        if (!sim_step(s))
            sim_advance(s, until - s->now);
        if (++rounds > 100000)
            sim_fail(s, "it does not come to rest");
    }
    while (!s->failed && sim_step(s))
        if (++rounds > 100000)
            sim_fail(s, "it does not come to rest");
}

/* A link that nobody is told about is found out by the ticks, which leads to
 * dials, which may wait for the setup time; sockets linger for 3 s. */
static void come_to_rest(sim *s) {
    s->over = true;
    s->memory.fail_at = 0;
    sim_heal(s);
    SIM_SAY(s, "the network is healed");
    settle(s, 1500 + 2 * s->setup_ms + 1000);
    if (!s->failed)
        sim_check_rest(s);
    SIM_SAY(s, "all connections are cut");
    sim_cut_all(s);
    settle(s, 3100);
    if (!s->failed)
        sim_check_rest(s);
}

bool sim_run(sim *s, uint64_t seed, bool trace) {
    set_up(s, seed, trace);
    play(s);
    if (!s->failed)
        come_to_rest(s);
    if (s->failed)
        return false; /* what is left may be in any state */
    sim_net_free(s);
    if (s->memory.live != 0)
        sim_fail(s, "%zu bytes are left", s->memory.live);
    return !s->failed;
}

void sim_free(sim *s) {
    for (int i = 0; i < SIM_LINKS; i++)
        for (int k = 0; k < 2; k++)
            free(s->links[i].end[k].in);
    free(s);
}
