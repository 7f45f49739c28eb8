/* SPDX-License-Identifier: Apache-2.0
 *
 * sim_net.c: the network between simulated nodes, and the shell that they see
 * it through. It does what uv_wire.c and TCP do: dials that are answered late
 * or never, writes that take a part, closing that lingers, bytes that come in
 * other pieces than they were sent, an end that is noticed later by one side.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cnode/conn_parts.h"
#include "tests/unit/sim.h"

enum { LINGER_MS = 3000, MAX_READY = 256 };

static const char *const names[SIM_NODES] = {"a@h", "b@h", "c@h", "d@h", "e@h"};

const char *sim_name(int node) {
    return names[node];
}

int sim_node_of(const char *name, size_t len) {
    for (int i = 0; i < SIM_NODES; i++)
        if (len == 3 && memcmp(names[i], name, 3) == 0)
            return i;
    return -1;
}

/* --- links --------------------------------------------------------------- */

static sim_end *other_of(sim_end *e) {
    return &e->link->end[e == &e->link->end[0]];
}

static bool is_done(const sim_end *e) {
    return e->wire == NULL && e->kept == NULL;
}

static sim_end *clear_end(sim_link *l, int k) {
    sim_end *e = &l->end[k];

    *e = (sim_end){.link = l,
                   .node = -1,
                   .told_at = UINT64_MAX,
                   .in = e->in,
                   .in_cap = e->in_cap};
    return e;
}

static sim_link *new_link(sim *s) {
    sim_link *l = NULL;

    for (int i = 0; i < SIM_LINKS && l == NULL; i++)
        if (s->links[i].id == 0)
            l = &s->links[i];
    if (l == NULL)
        return NULL;
    l->sim = s;
    l->id = ++s->next_link;
    l->dialling = l->hangs = l->cut = false;
    (void)clear_end(l, 0);
    (void)clear_end(l, 1);
    return l;
}

static void release(sim_link *l) {
    if (is_done(&l->end[0]) && is_done(&l->end[1]))
        l->id = 0;
}

/* This side's socket is gone; what it has written may still arrive. */
static void shut(sim_end *e, bool reset) {
    cnode_conn_free(e->kept);
    e->kept = NULL;
    e->closed = true;
    if (reset)
        other_of(e)->in_len = 0;
    release(e->link);
}

static cnode_conn *conn_of(const sim_end *e) {
    return e->wire != NULL ? e->wire->conn : e->kept;
}

/* --- writing ------------------------------------------------------------- */

static size_t room(const sim *s, const sim_end *to) {
    if (to->link->cut || is_done(to) || to->wire == NULL)
        return SIZE_MAX; /* nobody will read it */
    return to->in_len < s->pipe_size ? s->pipe_size - to->in_len : 0;
}

static void give(sim_end *to, const uint8_t *p, size_t n) {
    if (to->link->cut || to->wire == NULL)
        return;
    if (to->in_len + n > to->in_cap) {
        to->in_cap = (to->in_len + n) * 2;
        to->in = realloc(to->in, to->in_cap);
        assert_non_null(to->in);
    }
    memcpy(to->in + to->in_len, p, n);
    to->in_len += n;
}

static void check_queue(sim *s, const cnode_conn *c) {
    size_t most = s->max_queue * 2 + 8192;

    if (s->max_queue > 0 && cnode_conn_queued(c) > most)
        sim_fail(s, "a queue to %s holds %zu bytes", cnode_conn_peer(c),
                 cnode_conn_queued(c));
}

static void write_out(sim_end *e) {
    sim *s = e->link->sim;
    cnode_conn *c = conn_of(e);
    sim_end *to = other_of(e);
    cn_slice v;
    size_t some, lent;

    if (c == NULL || e->closed || e->link->dialling)
        return;
    check_queue(s, c);
    while ((lent = cnode_conn_output(c, &v, 1)) > 0 &&
           (some = room(s, to)) > 0) {
        if (some > v.len)
            some = v.len;
        if (some > 1 && sim_chance(s, 10))
            some = 1 + sim_random(s, (uint32_t)some);
        give(to, v.data, some);
        cnode_conn_wrote(c, some);
    }
    if (lent == 0 && e->kept != NULL)
        shut(e, false);
}

/* --- the shell ----------------------------------------------------------- */

static int shell_dial(void *ctx, cnode__wire *w) {
    sim_node *x = ctx;
    sim *s = x->sim;
    sim_link *l = new_link(s);

    if (l == NULL)
        return CN_EHOST;
    l->dialling = true;
    l->target = sim_node_of(w->peer->name, strlen(w->peer->name));
    l->open_at = s->now + (uint64_t)sim_random(s, 4) * sim_random(s, 20);
    l->hangs = !s->calm && sim_chance(s, (uint32_t)s->fault_rate);
    l->end[0].wire = w;
    l->end[0].node = x->i;
    w->handle = &l->end[0];
    SIM_SAY(s, "%s dials %s: link %u", sim_name(x->i), w->peer->name, l->id);
    return 0;
}

static void shell_flush(void *ctx, cnode__wire *w) {
    (void)ctx;
    if (w->handle != NULL)
        write_out(w->handle);
}

static void linger(sim_end *e) {
    sim *s = e->link->sim;

    e->in_len = 0;
    e->linger_until = s->now + LINGER_MS;
    write_out(e);
    write_out(other_of(e)); /* what waited for room goes nowhere now */
}

static void shell_close(void *ctx, cnode__wire *w) {
    sim_end *e = w->handle;
    sim *s = ((sim_node *)ctx)->sim;

    if (e == NULL)
        return;
    w->handle = NULL;
    e->wire = NULL;
    e->kept = w->conn;
    w->conn = NULL;
    SIM_SAY(s, "%s closes link %u", sim_name(e->node), e->link->id);
    if (e->kept != NULL && !e->told &&
        (cnode_conn_up(e->kept) || cnode_conn_queued(e->kept) > 0))
        linger(e);
    else
        shut(e, sim_chance(s, 30));
}

static uint64_t shell_now(void *ctx) {
    return ((sim_node *)ctx)->sim->now;
}

static void shell_random(void *ctx, void *p, size_t n) {
    sim *s = ((sim_node *)ctx)->sim;
    uint8_t *out = p;

    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)sim_random(s, 256);
}

static bool shell_on_loop(void *ctx) {
    (void)ctx;
    return true;
}

static int shell_carry(void *ctx, const char *node, etf_view frame) {
    (void)ctx;
    (void)node;
    (void)frame;
    return CN_EBUG;
}

static void shell_wake(void *ctx) {
    ((sim_node *)ctx)->woken = true;
}

static const cnode__shell shell = {
    .dial = shell_dial,
    .flush = shell_flush,
    .close = shell_close,
    .now = shell_now,
    .random = shell_random,
    .on_loop = shell_on_loop,
    .carry = shell_carry,
    .wake = shell_wake,
};

/* --- nodes --------------------------------------------------------------- */

static void on_log(void *ctx, cn_level level, const char *where,
                   const char *text) {
    const sim_node *x = ctx;

    SIM_SAY(x->sim, "%s log %s: %s", sim_name(x->i), where, text);
    sim_logged(x->sim, x->i, level, text);
}

void sim_start(sim *s, int i) {
    sim_node *x = &s->nodes[i];
    cnode_config c = {.name = names[i],
                      .cookie = "secret",
                      .visible = (i & 1) != 0,
                      .ticktime_s = s->ticktime_s,
                      .setup_ms = s->setup_ms,
                      .max_queue = s->max_queue,
                      .alloc = s->memory.alloc,
                      .log = {on_log, x, s->trace ? CN_LOG_DEBUG : CN_LOG_INFO},
                      .on_peer = sim_on_peer};

    memset(&x->node, 0, sizeof x->node);
    x->sim = s;
    x->i = i;
    x->live = x->woken = true;
    x->life++;
    x->paused_until = 0;
    SIM_SAY(s, "%s starts, life %u", names[i], x->life);
    s->memory.fail_at = 0;
    if (cnode__init(&x->node, &c, &shell, x) != 0 || sim_export(s, i) != 0)
        sim_fail(s, "%s does not start: %s", names[i], x->node.error.text);
    if (sim_chance(s, 20))
        x->node.lacks |= CNODE_FLAG_FRAGMENTS;
    if (sim_chance(s, 20))
        x->node.lacks |= CNODE_FLAG_DIST_HDR_ATOM_CACHE;
}

static void cut(sim_link *l, bool quietly);

void sim_stop(sim *s, int i, bool crash) {
    sim_node *x = &s->nodes[i];

    SIM_SAY(s, "%s %s", names[i], crash ? "crashes" : "stops");
    sim_node_gone(s, i);
    for (int k = 0; crash && k < SIM_LINKS; k++) {
        sim_link *l = &s->links[k];
        if (l->id != 0 && !l->cut &&
            (l->end[0].node == i || l->end[1].node == i))
            cut(l, sim_chance(s, 30));
    }
    cnode__destroy(&x->node);
    x->live = false;
}

bool sim_same_link(sim *s, int i, int j) {
    const cnode__peer *p =
        cn__map_get(&s->nodes[i].node.peers, names[j], strlen(names[j]));
    const cnode__peer *q =
        cn__map_get(&s->nodes[j].node.peers, names[i], strlen(names[i]));
    const sim_end *a = p == NULL || p->up == NULL ? NULL : p->up->handle;
    const sim_end *b = q == NULL || q->up == NULL ? NULL : q->up->handle;

    return a != NULL && b != NULL && a->link == b->link;
}

/* --- events -------------------------------------------------------------- */

/* As long as the buffers behind the output may be. */
static void set_stride(sim *s, const cnode__wire *w) {
    if (w->conn != NULL)
        cnode__conn_stride(w->conn, (size_t)sim_random(s, 4) * 50000);
}

static bool accept_link(sim_link *l) {
    sim *s = l->sim;
    sim_node *x = &s->nodes[l->target];
    cnode__wire *w = cnode__wire_new(&x->node, NULL);
    sim_end *e = &l->end[1];

    if (w == NULL) {
        sim_refused(s, "accept", CN_ENOMEM);
        return false;
    }
    e->wire = w;
    e->node = l->target;
    w->handle = e;
    SIM_SAY(s, "link %u from %s to %s opens", l->id, sim_name(l->end[0].node),
            sim_name(l->target));
    (void)cnode__wire_open(w);
    if (cnode__wire_open(l->end[0].wire) != 0)
        SIM_SAY(s, "... but %s has given it up", sim_name(l->end[0].node));
    else
        set_stride(s, l->end[0].wire);
    set_stride(s, w);
    return true;
}

static void open_link(sim_link *l) {
    sim *s = l->sim;
    bool refused = l->target < 0 || l->target >= s->count ||
                   !s->nodes[l->target].live || s->ending ||
                   (!s->calm && sim_chance(s, (uint32_t)s->fault_rate));

    l->dialling = false;
    if (!refused && accept_link(l))
        return;
    SIM_SAY(s, "link %u from %s is refused", l->id, sim_name(l->end[0].node));
    l->end[1].closed = true;
    cnode__wire_fail(l->end[0].wire, CN_EREFUSED, 0, "refused");
}

static size_t piece(sim *s, size_t n) {
    uint32_t how = sim_random(s, 8);

    if (how < 5)
        return n;
    if (how < 7)
        return 1 + sim_random(s, (uint32_t)n);
    return n < 3 ? n : 1 + sim_random(s, 3);
}

/* To where the connection has room, if it has. */
static void read_piece(cnode__wire *w, uint8_t *p, size_t n) {
    size_t room, more;
    uint8_t *to = cnode__wire_room(w, &room, &more);

    if (to == NULL || n > room) {
        cnode__wire_read(w, p, n);
        return;
    }
    memcpy(to, p, n);
    cnode__wire_filled(w, to, n);
}

/* Each read is a block of its own, so that reading beyond it is found out. */
static void read_end(sim_end *e) {
    sim *s = e->link->sim;
    size_t n = piece(s, e->in_len);
    uint8_t *p = malloc(n);

    assert_non_null(p);
    memcpy(p, e->in, n);
    e->in_len -= n;
    memmove(e->in, e->in + n, e->in_len);
    SIM_SAY(s, "%s reads %zu bytes of link %u, %zu left", sim_name(e->node), n,
            e->link->id, e->in_len);
    s->reading = e->link->id;
    read_piece(e->wire, p, n);
    s->reading = 0;
    free(p);
    write_out(other_of(e));
}

static void tell_end(sim_end *e) {
    sim *s = e->link->sim;

    SIM_SAY(s, "%s sees the end of link %u", sim_name(e->node), e->link->id);
    e->told = true;
    e->in_len = 0;
    if (e->wire != NULL)
        cnode__wire_eof(e->wire);
    else
        shut(e, true);
}

static bool is_paused(const sim *s, int node) {
    return node >= 0 && s->nodes[node].paused_until > s->now;
}

static bool can_read(const sim *s, const sim_end *e) {
    return e->in_len > 0 && e->wire != NULL && e->wire->conn != NULL &&
           !e->wire->failed && e->stalled_until <= s->now;
}

static bool can_end(const sim *s, sim_end *e) {
    if (e->told || is_done(e) || e->link->dialling)
        return false;
    if (e->link->cut)
        return e->told_at <= s->now;
    return other_of(e)->closed && e->in_len == 0 && e->stalled_until <= s->now;
}

static bool lingers_long(const sim *s, const sim_end *e) {
    return e->kept != NULL && e->linger_until <= s->now;
}

static bool end_is_ready(const sim *s, sim_end *e) {
    return !is_paused(s, e->node) &&
           (can_read(s, e) || can_end(s, e) || lingers_long(s, e));
}

static void step_end(sim *s, sim_end *e) {
    if (can_read(s, e))
        read_end(e);
    else if (can_end(s, e))
        tell_end(e);
    else
        shut(e, true);
}

static bool link_is_ready(const sim *s, const sim_link *l) {
    return l->dialling && !l->hangs && l->open_at <= s->now &&
           l->end[0].wire != NULL && !is_paused(s, l->end[0].node) &&
           !is_paused(s, l->target);
}

static bool node_is_ready(const sim *s, const sim_node *x) {
    return x->live && x->paused_until <= s->now &&
           (x->woken || cnode__deadline(&x->node) <= s->now);
}

static void step_node(sim *s, sim_node *x) {
    if (cnode__deadline(&x->node) <= s->now)
        cnode__run_timers(&x->node, s->now);
    x->woken = false;
    if (cnode__pump(&x->node))
        x->woken = true;
}

typedef struct ready {
    sim_node *node;
    sim_link *link;
    sim_end *end;
} ready;

static int find_ready(sim *s, ready *r) {
    int n = 0;

    for (int i = 0; i < s->count; i++)
        if (node_is_ready(s, &s->nodes[i]))
            r[n++] = (ready){.node = &s->nodes[i]};
    for (int i = 0; i < SIM_LINKS && n + 3 <= MAX_READY; i++) {
        sim_link *l = &s->links[i];
        if (l->id == 0)
            continue;
        if (link_is_ready(s, l))
            r[n++] = (ready){.link = l};
        for (int k = 0; k < 2; k++)
            if (end_is_ready(s, &l->end[k]))
                r[n++] = (ready){.end = &l->end[k]};
    }
    return n;
}

bool sim_step(sim *s) {
    ready r[MAX_READY];
    int n = find_ready(s, r);
    int k;

    if (n == 0)
        return false;
    s->tick++;
    k = (int)sim_random(s, (uint32_t)n);
    if (r[k].node != NULL)
        step_node(s, r[k].node);
    else if (r[k].link != NULL)
        open_link(r[k].link);
    else
        step_end(s, r[k].end);
    return true;
}

/* --- time ---------------------------------------------------------------- */

static void sooner(const sim *s, uint64_t *next, uint64_t at) {
    if (at > s->now && at < *next)
        *next = at;
}

static void end_times(sim *s, sim_end *e, uint64_t *next) {
    if (is_done(e))
        return;
    sooner(s, next, e->stalled_until);
    if (e->link->cut && !e->told)
        sooner(s, next, e->told_at);
    if (e->kept != NULL)
        sooner(s, next, e->linger_until);
}

void sim_advance(sim *s, uint64_t most) {
    uint64_t next = s->now + most;

    for (int i = 0; i < s->count; i++) {
        sim_node *x = &s->nodes[i];
        sooner(s, &next, x->paused_until);
        if (x->live)
            sooner(s, &next, cnode__deadline(&x->node));
    }
    for (int i = 0; i < SIM_LINKS; i++) {
        sim_link *l = &s->links[i];
        if (l->id == 0)
            continue;
        if (l->dialling && !l->hangs)
            sooner(s, &next, l->open_at);
        end_times(s, &l->end[0], &next);
        end_times(s, &l->end[1], &next);
    }
    s->now = next;
}

/* --- faults -------------------------------------------------------------- */

static sim_link *some_link(sim *s) {
    uint32_t at = sim_random(s, SIM_LINKS);

    for (uint32_t i = 0; i < SIM_LINKS; i++) {
        sim_link *l = &s->links[(at + i) % SIM_LINKS];
        if (l->id != 0 && !l->dialling && !l->cut)
            return l;
    }
    return NULL;
}

static uint64_t some_time(sim *s) {
    uint32_t tick = s->ticktime_s * 1000;

    switch (sim_random(s, 4)) {
    case 0:
        return s->now;
    case 1:
        return s->now + sim_random(s, 100);
    default:
        return s->now + sim_random(s, tick * 2);
    }
}

/* A part of what is on the way still arrives. quietly: nobody is told. */
static void cut(sim_link *l, bool quietly) {
    sim *s = l->sim;

    l->cut = true;
    for (int k = 0; k < 2; k++) {
        sim_end *e = &l->end[k];
        if (e->in_len > 0)
            e->in_len =
                sim_chance(s, 50) ? 0 : sim_random(s, (uint32_t)e->in_len + 1);
        e->told_at = quietly || sim_chance(s, 25) ? UINT64_MAX : some_time(s);
    }
    SIM_SAY(s, "link %u is cut%s", l->id, quietly ? ", nobody is told" : "");
    write_out(&l->end[0]);
    write_out(&l->end[1]);
}

static void stall(sim *s, sim_end *e) {
    e->stalled_until = some_time(s);
    SIM_SAY(s, "what goes to %s over link %u stalls until %llu",
            e->node < 0 ? "nobody" : sim_name(e->node), e->link->id,
            (unsigned long long)e->stalled_until);
}

static void pause_node(sim *s) {
    sim_node *x = &s->nodes[sim_random(s, (uint32_t)s->count)];

    x->paused_until = some_time(s);
    SIM_SAY(s, "%s pauses until %llu", sim_name(x->i),
            (unsigned long long)x->paused_until);
}

static void restart(sim *s) {
    int i = (int)sim_random(s, (uint32_t)s->count);

    if (s->nodes[i].live)
        sim_stop(s, i, sim_chance(s, 50));
    else
        sim_start(s, i);
}

void sim_fault(sim *s) {
    sim_link *l = some_link(s);
    uint32_t what = sim_random(s, 10);

    if (what < 2)
        restart(s);
    else if (what == 2)
        pause_node(s);
    else if (l != NULL && what < 7)
        stall(s, &l->end[sim_random(s, 2)]);
    else if (l != NULL)
        cut(l, sim_chance(s, 15));
}

void sim_heal(sim *s) {
    s->calm = true;
    for (int i = 0; i < s->count; i++) {
        s->nodes[i].paused_until = 0;
        if (!s->nodes[i].live)
            sim_start(s, i);
    }
    for (int i = 0; i < SIM_LINKS; i++) {
        s->links[i].end[0].stalled_until = 0;
        s->links[i].end[1].stalled_until = 0;
    }
}

void sim_cut_all(sim *s) {
    s->ending = true;
    for (int i = 0; i < SIM_LINKS; i++)
        if (s->links[i].id != 0 && !s->links[i].dialling && !s->links[i].cut)
            cut(&s->links[i], false);
}

void sim_net_free(sim *s) {
    for (int i = 0; i < s->count; i++)
        if (s->nodes[i].live)
            sim_stop(s, i, false);
    for (int i = 0; i < SIM_LINKS; i++)
        for (int k = 0; k < 2; k++) {
            sim_end *e = &s->links[i].end[k];
            if (s->links[i].id != 0 && e->kept != NULL)
                shut(e, true);
        }
}
