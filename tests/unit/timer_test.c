/* SPDX-License-Identifier: Apache-2.0
 *
 * timer_test.c: the heap of timers: order, moving, disarming, dropping inside
 * a callback, many at random against a plain search, and no memory.
 */
#include <stdlib.h>

#include "cnode/timer.h"
#include "tests/unit/support.h"

typedef struct probe {
    cnode__timer timer; /* first: what fn is given */
    cnode__timers *all;
    int runs;
    int turn;           /* it was the n-th of the last run */
    uint64_t again;     /* fn arms it for that time; 0: not */
    struct probe *drop; /* fn drops this one */
} probe;

static int turns;

static void on_time(cnode__timer *t) {
    probe *p = (probe *)t;

    assert_int_equal(t->place, 0);
    p->runs++;
    p->turn = ++turns;
    if (p->again != 0)
        cnode__timer_arm(p->all, t, p->again);
    if (p->drop != NULL)
        cnode__timer_drop(p->all, &p->drop->timer);
}

static void make(cnode__timers *all, probe *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        p[i] = (probe){.all = all};
        assert_int_equal(cnode__timer_make(all, &p[i].timer, on_time), 0);
    }
    turns = 0;
}

static void test_order(void **state) {
    cnode__timers all;
    probe p[4];

    (void)state;
    cnode__timers_init(&all, cn_alloc_default());
    assert_int_equal(cnode__timers_next(&all), UINT64_MAX);
    make(&all, p, 4);
    assert_int_equal(cnode__timers_next(&all), UINT64_MAX);
    cnode__timer_arm(&all, &p[0].timer, 30);
    cnode__timer_arm(&all, &p[1].timer, 10);
    cnode__timer_arm(&all, &p[2].timer, 20);
    cnode__timer_arm(&all, &p[3].timer, 0);
    assert_int_equal(cnode__timers_next(&all), 0);
    cnode__timers_run(&all, 9);
    assert_int_equal(p[3].turn, 1);
    assert_int_equal(cnode__timers_next(&all), 10);
    cnode__timers_run(&all, 20);
    assert_int_equal(p[1].turn, 2);
    assert_int_equal(p[2].turn, 3);
    assert_int_equal(p[0].runs, 0);
    cnode__timers_run(&all, 20);
    assert_int_equal(turns, 3);
    cnode__timers_run(&all, UINT64_MAX - 1);
    assert_int_equal(p[0].turn, 4);
    assert_int_equal(cnode__timers_next(&all), UINT64_MAX);
    cnode__timers_free(&all);
}

static void test_move_and_disarm(void **state) {
    cnode__timers all;
    probe p[3];

    (void)state;
    cnode__timers_init(&all, cn_alloc_default());
    make(&all, p, 3);
    for (size_t i = 0; i < 3; i++)
        cnode__timer_arm(&all, &p[i].timer, 10 * (i + 1));
    cnode__timer_arm(&all, &p[0].timer, 25); /* later */
    cnode__timer_arm(&all, &p[2].timer, 5);  /* sooner */
    cnode__timer_arm(&all, &p[2].timer, 5);  /* the same again */
    assert_int_equal(cnode__timers_next(&all), 5);
    cnode__timer_disarm(&all, &p[1].timer);
    cnode__timer_disarm(&all, &p[1].timer); /* twice is harmless */
    cnode__timers_run(&all, 24);
    assert_int_equal(p[2].runs, 1);
    assert_int_equal(p[1].runs, 0);
    assert_int_equal(p[0].runs, 0);
    cnode__timers_run(&all, 25);
    assert_int_equal(p[0].runs, 1);
    cnode__timers_free(&all);
}

/* A timer that always asks for the past neither holds up the run nor takes
 * the turn of another. */
static void test_armed_by_callback(void **state) {
    cnode__timers all;
    probe p[3];

    (void)state;
    cnode__timers_init(&all, cn_alloc_default());
    make(&all, p, 3);
    p[0].again = 1;
    p[1].again = 50;
    cnode__timer_arm(&all, &p[0].timer, 1);
    cnode__timer_arm(&all, &p[1].timer, 5);
    cnode__timer_arm(&all, &p[2].timer, 20);
    cnode__timers_run(&all, 20);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(p[i].runs, 1);
    assert_int_equal(cnode__timers_next(&all), 21);
    cnode__timers_run(&all, 21);
    assert_int_equal(p[0].runs, 2);
    assert_int_equal(p[1].runs, 1);
    cnode__timer_disarm(&all, &p[0].timer);
    assert_int_equal(cnode__timers_next(&all), 50);
    cnode__timers_free(&all);
}

static void test_drop(void **state) {
    cnode__timers all;
    probe p[4];

    (void)state;
    cnode__timers_init(&all, cn_alloc_default());
    make(&all, p, 4);
    for (size_t i = 0; i < 4; i++)
        cnode__timer_arm(&all, &p[i].timer, i);
    p[0].drop = &p[0]; /* itself */
    p[1].drop = &p[2]; /* another one that is due */
    cnode__timers_run(&all, 10);
    assert_int_equal(p[0].runs, 1);
    assert_int_equal(p[2].runs, 0);
    assert_int_equal(p[3].runs, 1);
    assert_int_equal(all.made, 2);
    cnode__timer_drop(&all, &p[0].timer); /* twice is harmless */
    assert_int_equal(all.made, 2);
    cnode__timer_drop(&all, &(cnode__timer){0}); /* one never made, too */
    assert_int_equal(all.made, 2);
    cnode__timers_free(&all);
}

enum { MANY = 300 };

static uint64_t earliest(const probe *p) {
    uint64_t at = UINT64_MAX;

    for (size_t i = 0; i < MANY; i++)
        if (p[i].timer.place != 0 && p[i].timer.at < at)
            at = p[i].timer.at;
    return at;
}

/* What was due ran, once, and in the order of time. */
static void check_run(probe *p, const uint64_t *due, uint64_t now) {
    uint64_t last = 0;

    turns = 0;
    for (size_t i = 0; i < MANY; i++)
        p[i].turn = 0;
    cnode__timers_run(p->all, now);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(p[i].turn != 0, due[i] <= now);
    for (int turn = 1; turn <= turns; turn++)
        for (size_t i = 0; i < MANY; i++)
            if (p[i].turn == turn) {
                assert_true(due[i] >= last);
                last = due[i];
            }
}

static void test_many_at_random(void **state) {
    static probe p[MANY];
    uint64_t due[MANY];
    cnode__timers all;
    unsigned seed = 7;

    (void)state;
    cnode__timers_init(&all, cn_alloc_default());
    make(&all, p, MANY);
    for (uint64_t now = 0; now < 4000; now += 100) {
        for (size_t n = 0; n < 400; n++) {
            size_t i = (size_t)rand_r(&seed) % MANY;
            if (rand_r(&seed) % 4 == 0)
                cnode__timer_disarm(&all, &p[i].timer);
            else
                cnode__timer_arm(&all, &p[i].timer,
                                 now + (uint64_t)rand_r(&seed) % 300);
            assert_int_equal(cnode__timers_next(&all), earliest(p));
        }
        for (size_t i = 0; i < MANY; i++)
            due[i] = p[i].timer.place != 0 ? p[i].timer.at : UINT64_MAX;
        check_run(p, due, now + 99);
        assert_int_equal(cnode__timers_next(&all), earliest(p));
    }
    cnode__timers_free(&all);
}

/* Only making one takes memory: what was made can be armed. */
static int many_scenario(fault_alloc *f, void *arg) {
    cnode__timers all;
    probe p[40] = {0};
    size_t made = 0;
    int err = 0;

    (void)arg;
    cnode__timers_init(&all, &f->alloc);
    turns = 0;
    for (; made < 40 && err == 0; made += err == 0) {
        p[made].all = &all;
        err = cnode__timer_make(&all, &p[made].timer, on_time);
    }
    assert_int_equal(err, f->failed ? CN_ENOMEM : 0);
    for (size_t i = 0; i < made; i++)
        cnode__timer_arm(&all, &p[i].timer, 40 - i);
    cnode__timers_run(&all, 40);
    assert_int_equal(turns, made);
    cnode__timers_free(&all);
    return err;
}

static void test_no_memory(void **state) {
    (void)state;
    run_with_every_failure(many_scenario, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_move_and_disarm),
        cmocka_unit_test(test_armed_by_callback),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_many_at_random),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
