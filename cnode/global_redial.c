/* SPDX-License-Identifier: Apache-2.0
 *
 * global_redial.c: members that this node has lost while others still have
 * them. Two Erlang nodes that lose each other tell the whole cluster, which
 * parts from one of them. Full nodes of this library tell nobody, so that no
 * others are torn apart; two of them that lose each other would stay in one
 * cluster and not know each other's names. So:
 *
 *   lost            after a second or so a member, any, is asked whom it knows
 *   it knows him    this node connects to him, and they join as at first
 *   it does not     he is gone for others too, and after three such answers
 *                   forgotten
 *   no success      again, after a random time which becomes longer
 *   for twice the   of two who cannot reach each other, the one with the larger
 *   tick time       name leaves the cluster altogether; both have the same rule
 *
 * Twice, because somebody who does not answer any more is given up by all after
 * the tick time, but not by all at once. Who was sent away, or has been asked
 * to go, is not looked for, nor whom the program has disconnected.
 */
#include <string.h>

#include "cnode/global_parts.h"

enum { MOST_MISSING = 256, FIRST_MS = 1000, ANSWER_MS = 5000, DOUBTS = 3 };

typedef struct missing {
    cnode__list in_list;
    cnode__global *g;
    cnode__timer timer;
    uint64_t until;
    uint32_t times;
    uint32_t doubts; /* answers in a row without it */
    bool asking;
    bool over;    /* to be freed with the answer */
    bool strange; /* it is here, and no member, the last time too */
    size_t len;
    char name[];
} missing;

/* --- the set ------------------------------------------------------------- */

static void free_missing(missing *x) {
    cnode *n = x->g->node;

    cnode__list_leave(&x->in_list);
    cnode__timer_drop(&n->timers, &x->timer);
    cn__free(&n->alloc, x, 1, sizeof *x + x->len + 1);
}

static void drop(missing *x) {
    (void)cn__map_remove(&x->g->missing, x->name, x->len);
    x->over = true;
    cnode__timer_disarm(&x->g->node->timers, &x->timer);
    if (!x->asking)
        free_missing(x);
}

static uint64_t patience(const cnode *n) {
    return (uint64_t)cnode__global_ticktime(n) * 2000;
}

static void in_a_while(missing *x) {
    cnode__global *g = x->g;
    uint32_t ms = FIRST_MS + cnode__global_pause(g, x->times++ + 2);

    cnode__timer_arm(&g->node->timers, &x->timer, cnode__now(g->node) + ms);
    cnode__wake(g->node);
}

/* --- one ----------------------------------------------------------------- */

static void dial(missing *x) {
    cnode *n = x->g->node;

    cn__log(&n->config.log, CN_LOG_INFO, "global",
            "%s is missed, and others have it: it is connected to again",
            x->name);
    if (cnode_connect(n, x->name, NULL, NULL) != 0)
        cn__log(&n->config.log, CN_LOG_WARN, "global",
                "a member of the cluster is not connected to: %s",
                n->error.text);
}

static bool lists(etf_view nodes, const char *name) {
    etf_list list;
    etf_view e, node;

    if (etf_match(nodes, "~l", &list) != 0)
        return false;
    while (etf_list_next(&list, &e))
        if (etf_match(e, "~a", &node) == 0 && etf_view_is(node, name))
            return true;
    return false;
}

static const cnode__member *found(const missing *x) {
    const cnode__member *m =
        cnode__member_find(x->g, etf_view_of(x->name, x->len));

    return m != NULL && m->up ? m : NULL;
}

/* It is connected and does not join, for it has this node as a member still: an
 * attempt to connect to it failed, and then it has come itself. It has to
 * forget this node first. Only in the second look, as it may be coming now. */
static void let_it_forget(missing *x, const cnode__member *m) {
    bool joins = cnode__member_is_potential(m);

    if (!joins && x->strange)
        cnode__global_part(
            x->g, x->name, CN_ECLOSED,
            "it has this node as a member, which does not know it: "
            "both begin anew");
    x->strange = !joins && !x->strange;
}

static void on_answer(cnode_proc *p, int status, etf_view result, void *data) {
    missing *x = data;

    (void)p;
    x->asking = false;
    if (x->over) {
        free_missing(x);
        return;
    }
    if (status == 0 && lists(result, x->name)) {
        x->doubts = 0;
        if (found(x) == NULL)
            dial(x);
        else
            let_it_forget(x, found(x));
    } else if (status == 0) {
        x->doubts++;
    }
    if (x->doubts < DOUBTS)
        in_a_while(x);
    else
        drop(x);
}

/* Some member that is connected; NULL: there is none. */
static const cnode__member *somebody(cnode__global *g) {
    const cnode__member *m, *found = NULL;
    uint32_t count = 0;

    for (size_t at = 0; (m = cn__map_next(&g->members, &at)) != NULL;)
        if (m->known && m->up && cnode__global_random(g, ++count) == 1)
            found = m;
    return found;
}

static void ask(missing *x) {
    const cnode__member *m = somebody(x->g);
    cnode_call_opts o = {.server = CNODE__GNS, .timeout_ms = ANSWER_MS};

    if (m == NULL) { /* this node is alone */
        drop(x);
        return;
    }
    o.node = m->name;
    x->asking = cnode_call(x->g->self, &o, on_answer, x, "get_known") == 0;
    if (!x->asking)
        in_a_while(x);
}

/* To ask now would be to connect again. */
static void leave(missing *x) {
    cnode *n = x->g->node;

    cn__log(&n->config.log, CN_LOG_ERROR, "global",
            "%s cannot be reached, and other members can reach it: this node "
            "leaves the cluster",
            x->name);
    cnode__global_leave(n, CN_ETIMEDOUT,
                        "a member of the cluster cannot be reached");
    drop(x);
}

static void on_time(cnode__timer *t) {
    missing *x = cnode__list_of(missing, timer, t);
    cnode *n = x->g->node;

    if (n->leaving || n->closing) {
        drop(x);
        return;
    }
    if (found(x) != NULL) /* they join, which may take its time */
        x->until = cnode__now(n) + patience(n);
    if (cnode__now(n) >= x->until && x->doubts == 0 &&
        strcmp(n->name, x->name) > 0)
        leave(x);
    else
        ask(x);
}

/* --- what others use ----------------------------------------------------- */

static missing *new_missing(cnode__global *g, const cnode__member *m) {
    cnode *n = g->node;
    missing *x = cn__calloc(&n->alloc, 1, sizeof *x + m->len + 1);

    if (x == NULL)
        return NULL;
    cnode__list_init(&x->in_list);
    x->g = g;
    x->len = m->len;
    memcpy(x->name, m->name, m->len);
    if (cnode__timer_make(&n->timers, &x->timer, on_time) != 0) {
        cn__free(&n->alloc, x, 1, sizeof *x + m->len + 1);
        return NULL;
    }
    cnode__list_add(&g->missed, &x->in_list);
    if (cn__map_put(&g->missing, x->name, x->len, x) == 0)
        return x;
    free_missing(x);
    return NULL;
}

bool cnode__redial_begin(cnode__global *g, const cnode__member *m) {
    cnode *n = g->node;
    missing *x = NULL;

    if (n->leaving || n->closing)
        return false;
    if (cn__map_get(&g->missing, m->name, m->len) != NULL)
        return true;
    if (g->missing.count < MOST_MISSING)
        x = new_missing(g, m);
    if (x == NULL) {
        if (cnode__seldom(n, &g->quiet_missing))
            cn__log(&n->config.log, CN_LOG_ERROR, "global",
                    "%s is lost, and there is no room to look for it", m->name);
        return false;
    }
    x->until = cnode__now(n) + patience(n);
    in_a_while(x);
    return true;
}

void cnode__redial_end(cnode__global *g, const cnode__member *m) {
    missing *x = cn__map_get(&g->missing, m->name, m->len);

    if (x != NULL)
        drop(x);
}

/* The server has ended, and no answer comes any more. */
void cnode__redials_free(cnode__global *g) {
    missing *x;

    while ((x = cnode__list_first(missing, in_list, &g->missed)) != NULL)
        free_missing(x);
    cn__map_free(&g->missing);
}

void cnode__redials_init(cnode__global *g, uint64_t seed) {
    cn__map_init(&g->missing, seed, &g->node->alloc);
    cnode__list_init(&g->missed);
}
