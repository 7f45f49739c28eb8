/* SPDX-License-Identifier: Apache-2.0
 *
 * sim_test.c: many schedules of a simulated cluster, see sim.h.
 *
 *   SIM_SCHEDULES=n  how many, 2,000 when not set
 *   SIM_SEED=n       the first one's number, 1 when not set; alone it plays
 *                    that one schedule and writes down all that happens
 *   SIM_HUNGRY=1     allocations fail in nearly all of them, else in an eighth
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/sim.h"

static uint64_t number_of(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text == NULL || *text == '\0' ? otherwise : strtoull(text, NULL, 10);
}

/* For what ends the program at once: a crash, abort, a sanitizer. */
static char playing[96];

static void last_words(void) {
    if (playing[0] != '\0')
        (void)!write(STDERR_FILENO, playing, strlen(playing));
}

static void on_abort(int number) {
    (void)number;
    last_words();
}

extern void __sanitizer_set_death_callback(void (*fn)(void))
    __attribute__((weak));

static int set_up(void **state) {
    (void)state;
    (void)signal(SIGABRT, on_abort);
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(last_words);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    last_words();
    return 0;
}

static void play(sim *s, uint64_t seed, bool trace) {
    (void)snprintf(playing, sizeof playing,
                   "it was at: SIM_SEED=%llu build/tests/unit/sim_test\n",
                   (unsigned long long)seed);
    if (!sim_run(s, seed, trace))
        fail_msg("schedule %llu: %s", (unsigned long long)seed, s->why);
    playing[0] = '\0';
}

static void test_schedules(void **state) {
    bool one = getenv("SIM_SEED") != NULL && getenv("SIM_SCHEDULES") == NULL;
    uint64_t first = number_of("SIM_SEED", 1);
    uint64_t count = number_of("SIM_SCHEDULES", one ? 1 : 2000);
    sim *s = calloc(1, sizeof *s);

    (void)state;
    assert_non_null(s);
    for (uint64_t seed = first; seed < first + count; seed++)
        play(s, seed, one);
    sim_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_schedules, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
