/* SPDX-License-Identifier: Apache-2.0
 *
 * timer.h: all times a node waits for, in one heap (internal). Room is taken
 * when a timer is made, so arming it cannot fail.
 */
#ifndef CNODE_TIMER_H
#define CNODE_TIMER_H

#include "base/alloc.h"

typedef struct cnode__timer {
    uint64_t at;
    size_t place; /* in the heap, from 1; 0: not armed */
    void (*fn)(struct cnode__timer *t);
} cnode__timer;

typedef struct cnode__timers {
    cnode__timer **heap;
    size_t n;
    size_t cap;
    size_t made;       /* timers that exist */
    uint64_t earliest; /* during a run: what is armed comes after it, so that
                          the run ends and no timer starves another */
    const cn_alloc *alloc;
} cnode__timers;

void cnode__timers_init(cnode__timers *ts, const cn_alloc *alloc);
void cnode__timers_free(cnode__timers *ts);
/* 0 or CN_ENOMEM. */
int cnode__timer_make(cnode__timers *ts, cnode__timer *t,
                      void (*fn)(cnode__timer *t));
void cnode__timer_drop(cnode__timers *ts, cnode__timer *t);
/* Again with another time moves it. */
void cnode__timer_arm(cnode__timers *ts, cnode__timer *t, uint64_t at);
void cnode__timer_disarm(cnode__timers *ts, cnode__timer *t);
/* The earliest time, UINT64_MAX when there is none. */
uint64_t cnode__timers_next(const cnode__timers *ts);
/* Runs what is due, each once: disarmed, then fn, which may arm it again. */
void cnode__timers_run(cnode__timers *ts, uint64_t now);

#endif
