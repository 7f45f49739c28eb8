/* SPDX-License-Identifier: Apache-2.0
 *
 * timer.c: a binary heap, earliest first; each timer knows its place.
 */
#include "cnode/timer.h"
#include "base/base.h"

void cnode__timers_init(cnode__timers *ts, const cn_alloc *alloc) {
    *ts = (cnode__timers){.alloc = alloc};
}

void cnode__timers_free(cnode__timers *ts) {
    cn__free(ts->alloc, ts->heap, ts->cap, sizeof *ts->heap);
    cnode__timers_init(ts, ts->alloc);
}

int cnode__timer_make(cnode__timers *ts, cnode__timer *t,
                      void (*fn)(cnode__timer *t)) {
    *t = (cnode__timer){.fn = fn};
    if (ts->made == ts->cap) {
        size_t cap = ts->cap == 0 ? 16 : ts->cap * 2;
        cnode__timer **heap =
            cn__resize(ts->alloc, ts->heap, ts->cap, cap, sizeof *heap);
        if (heap == NULL) {
            t->fn = NULL;
            return CN_ENOMEM;
        }
        ts->heap = heap;
        ts->cap = cap;
    }
    ts->made++;
    return 0;
}

static void put(cnode__timers *ts, size_t place, cnode__timer *t) {
    ts->heap[place - 1] = t;
    t->place = place;
}

static void rise(cnode__timers *ts, size_t place, cnode__timer *t) {
    for (; place > 1 && ts->heap[place / 2 - 1]->at > t->at; place /= 2)
        put(ts, place, ts->heap[place / 2 - 1]);
    put(ts, place, t);
}

static void sink(cnode__timers *ts, size_t place, cnode__timer *t) {
    for (;;) {
        size_t child = place * 2;
        if (child > ts->n)
            break;
        if (child < ts->n && ts->heap[child]->at < ts->heap[child - 1]->at)
            child++;
        if (ts->heap[child - 1]->at >= t->at)
            break;
        put(ts, place, ts->heap[child - 1]);
        place = child;
    }
    put(ts, place, t);
}

void cnode__timer_disarm(cnode__timers *ts, cnode__timer *t) {
    size_t place = t->place;
    cnode__timer *last;

    if (place == 0)
        return;
    t->place = 0;
    last = ts->heap[--ts->n];
    if (last == t)
        return;
    rise(ts, place, last);
    sink(ts, last->place, last);
}

void cnode__timer_arm(cnode__timers *ts, cnode__timer *t, uint64_t at) {
    if (t->place != 0 && t->at == at)
        return;
    cnode__timer_disarm(ts, t);
    t->at = at > ts->earliest ? at : ts->earliest;
    rise(ts, ++ts->n, t);
}

void cnode__timer_drop(cnode__timers *ts, cnode__timer *t) {
    if (t->fn == NULL)
        return;
    cnode__timer_disarm(ts, t);
    t->fn = NULL;
    ts->made--;
}

uint64_t cnode__timers_next(const cnode__timers *ts) {
    return ts->n == 0 ? UINT64_MAX : ts->heap[0]->at;
}

void cnode__timers_run(cnode__timers *ts, uint64_t now) {
    ts->earliest = now + 1;
    while (ts->n > 0 && ts->heap[0]->at <= now) {
        cnode__timer *t = ts->heap[0];
        cnode__timer_disarm(ts, t);
        t->fn(t);
    }
    ts->earliest = 0;
}
