/* SPDX-License-Identifier: Apache-2.0
 *
 * reconnect.c: peers that are to be kept connected.
 *
 * Whenever one has no connection and none on the way, a timer is set for the
 * next attempt. An attempt that is made for another reason in between, because
 * something is sent, leaves the timer alone: if it succeeds, so much the
 * better.
 */
#include "cnode/node.h"
#include "cnode/sized.h"

enum {
    FIRST_MS = 1000,
    MAX_MS = 60000,
    STEADY_MS = 10000,
    DOUBLINGS = 16 /* more is never needed, and does not overflow */
};

struct cnode__keep {
    cnode__peer *peer;
    cnode__timer timer;
    cnode_keep_opts opts;
    uint32_t failures; /* in a row */
    uint64_t up_at;
};

static uint32_t or_else(uint32_t given, uint32_t otherwise) {
    return given != 0 ? given : otherwise;
}

/* Between the half and the whole of what doubles. */
uint32_t cnode__keep_wait(cnode *n, const cnode_keep_opts *o,
                          uint32_t failures) {
    uint32_t doubled = failures == 0          ? 0
                       : failures > DOUBLINGS ? DOUBLINGS
                                              : failures - 1;
    uint64_t whole = (uint64_t)or_else(o->first_ms, FIRST_MS) << doubled;
    uint32_t max = or_else(o->max_ms, MAX_MS);
    uint32_t chance;

    if (whole > max)
        whole = max;
    n->shell->random(n->shell_ctx, &chance, sizeof chance);
    return (uint32_t)(whole - chance % (whole / 2 + 1));
}

bool cnode__keep_end(cnode__peer *p) {
    cnode *n = p->node;
    cnode__keep *k = p->keep;

    if (k == NULL)
        return false;
    p->keep = NULL;
    cnode__timer_drop(&n->timers, &k->timer);
    cn__free(&n->alloc, k, 1, sizeof *k);
    return true;
}

static void tell(cnode__peer *p, const cn_error *why, uint32_t failures,
                 uint32_t wait_ms, bool given_up) {
    cnode *n = p->node;
    cnode_retry r = {.name = p->name,
                     .status = why->code,
                     .text = why->text,
                     .failures = failures,
                     .wait_ms = wait_ms,
                     .given_up = given_up};

    if (given_up)
        cn__log(&n->config.log, CN_LOG_WARN, "node",
                "%s: given up after %u attempts: %s", p->name,
                (unsigned)failures, why->text);
    else
        cn__log(&n->config.log, CN_LOG_INFO, "node",
                "%s: the next attempt is made in %u ms", p->name,
                (unsigned)wait_ms);
    if (n->config.on_retry != NULL)
        n->config.on_retry(n, &r, n->config.data);
}

void cnode__keep_retry(cnode__peer *p, const cn_error *why, bool was_up) {
    cnode__keep *k = p->keep;
    cnode *n = p->node;
    uint32_t failures, wait_ms;

    /* With the timer set, this was an attempt that others made. */
    if (k == NULL || n->closing || k->timer.place != 0)
        return;
    failures = k->failures += !was_up;
    if (k->opts.attempts != 0 && failures >= k->opts.attempts) {
        (void)cnode__keep_end(p);
        tell(p, why, failures, 0, true);
        return;
    }
    wait_ms = cnode__keep_wait(n, &k->opts, failures);
    cnode__timer_arm(&n->timers, &k->timer, cnode__now(n) + wait_ms);
    tell(p, why, failures, wait_ms, false);
}

void cnode__keep_up(cnode__peer *p) {
    if (p->keep == NULL)
        return;
    cnode__timer_disarm(&p->node->timers, &p->keep->timer);
    p->keep->up_at = cnode__now(p->node);
}

/* One that comes up and goes down again and again counts as failures. */
void cnode__keep_down(cnode__peer *p) {
    cnode__keep *k = p->keep;

    if (k == NULL)
        return;
    if (cnode__now(p->node) - k->up_at >= k->opts.steady_ms)
        k->failures = 0;
    else
        k->failures++;
}

static void on_time(cnode__timer *t) {
    cnode__keep *k = cnode__list_of(cnode__keep, timer, t);
    cnode__peer *p = k->peer;
    cn_error why;
    int err;

    if (cnode__peer_on_the_way(p))
        return; /* whatever becomes of that comes here again */
    err = cnode__peer_dial(p, false);
    if (err == 0)
        return;
    (void)cn__fail(&why, err, 0, "%s", cn_strerror(err));
    cnode__peer_hold(p);
    cnode__keep_retry(p, &why, false);
    cnode__peer_let_go(p);
}

static cnode__keep *new_keep(cnode__peer *p) {
    cnode *n = p->node;
    cnode__keep *k = cn__calloc(&n->alloc, 1, sizeof *k);

    if (k == NULL)
        return NULL;
    k->peer = p;
    k->up_at = cnode__now(n);
    if (cnode__timer_make(&n->timers, &k->timer, on_time) == 0)
        return k;
    cn__free(&n->alloc, k, 1, sizeof *k);
    return NULL;
}

static int keep(cnode__peer *p, const cnode_keep_opts *o) {
    bool is_new = p->keep == NULL;
    int err = 0;

    if (cnode__policy_of(p->node, p) == CNODE_POLICY_DENY)
        return cnode__err(p->node, CN_ENOTALLOWED, "%s: " CNODE__DENIED,
                          p->name);
    if (is_new)
        p->keep = new_keep(p);
    if (p->keep == NULL)
        return cnode__err(p->node, CN_ENOMEM, "out of memory");
    p->keep->opts = (cnode_keep_opts){
        .first_ms = o->first_ms,
        .max_ms = o->max_ms,
        .steady_ms = or_else(o->steady_ms, STEADY_MS),
        .attempts = o->attempts,
    };
    if (is_new && !cnode__peer_on_the_way(p))
        err = cnode__peer_dial(p, false);
    if (err != 0)
        (void)cnode__keep_end(p);
    return err == 0 ? 0 : cnode__err(p->node, err, "%s", cn_strerror(err));
}

int cnode_keep_sized(cnode *n, const char *peer, const cnode_keep_opts *given,
                     size_t size) {
    cnode_keep_opts known;
    const cnode_keep_opts *o =
        cnode__take_sized(&known, sizeof known, given, size);
    cnode__peer *p;
    int err;

    err = cnode__may_connect(n);
    if (err == 0)
        err = cnode__global_may_connect(n);
    if (err == 0)
        err = cnode__find_peer(n, peer, &p);
    if (err != 0)
        return err;
    if (p == NULL)
        return cnode__err(n, CN_EBADARG, "%s is this node", n->name);
    err = keep(p, o);
    cnode__peer_release(p);
    cnode__wake(n);
    return err;
}
