/* SPDX-License-Identifier: Apache-2.0
 *
 * sim_play.c: the program of a simulated node: processes that do at random
 * what the library can do, and hand on to the model what they are told.
 */
#include <string.h>

#include "tests/unit/sim.h"

static const char *const proc_names[SIM_NAMES] = {"one", "two"};

/* What a call gives must not depend on a callback that runs inside. */
#define CALL(s, r, call)                                                       \
    do {                                                                       \
        (s)->in_call++;                                                        \
        (r) = (call);                                                          \
        (s)->in_call--;                                                        \
    } while (0)

/* --- whom ---------------------------------------------------------------- */

static sim_proc *some_proc(sim *s) {
    sim_proc *p = NULL;

    for (int k = 0; k < 3; k++) {
        p = &s->proc[sim_random(s, (uint32_t)s->procs)];
        if (!sim_dead(p))
            break;
    }
    return p;
}

static int some_node(sim *s) {
    return (int)sim_random(s, (uint32_t)s->count);
}

/* --- sending ------------------------------------------------------------- */

enum { BODY_MAX = 6000, HUGE_MAX = 300000 };

static size_t body_size(sim *s) {
    uint32_t how = sim_random(s, 10);

    if (s->max_queue == 0 && sim_random(s, 60) == 0)
        return sim_random(s, HUGE_MAX); /* in fragments */
    return sim_random(s, how < 7 ? 20 : how < 9 ? 400 : BODY_MAX);
}

static void note_sent(sim_proc *p, const sim_sent *m, int err) {
    sim *s = p->sim;

    SIM_SAY(s, "%s %d sends %d to %d on %s: way %d, %s", sim_name(p->node),
            p->uid, s->sents, m->to, sim_name(m->node), (int)m->way,
            cn_errname(err));
    if (err == 0)
        s->sent[s->sents++] = *m;
}

static int send_it(sim_proc *p, const sim_sent *m) {
    static uint8_t body[HUGE_MAX];
    sim *s = p->sim;
    size_t n = body_size(s);
    etf_view v = {body, n};
    int r;

    for (size_t i = 0; i < n; i++)
        body[i] = (uint8_t)((size_t)s->sents + i);
    if (m->way == SIM_PID)
        CALL(s, r,
             cnode_send(p->proc, &s->proc[m->to].pid, "{m, ~i, ~b}", s->sents,
                        v));
    else if (m->way == SIM_ALIAS)
        CALL(s, r,
             cnode_send_alias(p->proc, &s->alias[m->alias].ref, "{m, ~i, ~b}",
                              s->sents, v));
    else if (m->way == SIM_EXIT2)
        CALL(
            s, r,
            cnode_send_exit(p->proc, &s->proc[m->to].pid, "{x, ~i}", s->sents));
    else
        CALL(s, r,
             cnode_send_name(p->proc, sim_name(m->node), proc_names[m->alias],
                             "{m, ~i, ~b}", s->sents, v));
    return r;
}

static void do_send(sim_proc *p, sim_way way) {
    sim *s = p->sim;
    sim_sent m = {.from = p->uid, .to = -1, .way = way};

    if (s->sents == SIM_SENT || (way == SIM_ALIAS && s->aliases == 0))
        return;
    if (way == SIM_NAME) {
        m.node = some_node(s);
        m.alias = (int)sim_random(s, SIM_NAMES);
    } else if (way == SIM_ALIAS) {
        m.alias = (int)sim_random(s, (uint32_t)s->aliases);
        m.to = s->alias[m.alias].owner;
        m.node = s->proc[m.to].node;
    } else {
        m.to = some_proc(s)->uid;
        m.node = s->proc[m.to].node;
    }
    m.epoch = sim_message_epoch(s, p->node, m.node);
    note_sent(p, &m, send_it(p, &m));
}

static void do_burst(sim_proc *p) {
    for (uint32_t n = 2 + sim_random(p->sim, 4); n > 0; n--)
        do_send(p, SIM_PID);
}

/* --- relations ----------------------------------------------------------- */

/* One that p has to do with, if there is one. */
static sim_proc *some_tied(sim_proc *p) {
    sim *s = p->sim;
    sim_proc *q = some_proc(s);

    for (int k = 0; k < s->procs && !s->tie[p->uid][q->uid].begun; k++)
        q = &s->proc[k];
    return q;
}

static void do_link(sim_proc *p) {
    sim *s = p->sim;
    sim_proc *q = sim_chance(s, 40) ? some_tied(p) : some_proc(s);
    int r;

    if (q == p)
        return;
    CALL(s, r, cnode_link(p->proc, &q->pid));
    SIM_SAY(s, "%s %d links %d on %s: %s", sim_name(p->node), p->uid, q->uid,
            sim_name(q->node), cn_errname(r));
    if (r == 0)
        sim_linked(p, q);
}

static void do_unlink(sim_proc *p) {
    sim *s = p->sim;
    sim_proc *q = some_tied(p);
    int r;

    if (q == p)
        return;
    CALL(s, r, cnode_unlink(p->proc, &q->pid));
    SIM_SAY(s, "%s %d unlinks %d on %s: %s", sim_name(p->node), p->uid, q->uid,
            sim_name(q->node), cn_errname(r));
    sim_unlinked(p, q, r == 0 && !sim_dead(p));
}

/* What crosses on the way. */
static void do_flurry(sim_proc *p) {
    for (uint32_t n = 2 + sim_random(p->sim, 4); n > 0; n--)
        if (sim_chance(p->sim, 50))
            do_link(p);
        else
            do_unlink(p);
}

static void do_monitor(sim_proc *p, bool by_name) {
    sim *s = p->sim;
    sim_proc *q = by_name ? NULL : some_proc(s);
    int node = by_name ? some_node(s) : q->node;
    int name = by_name ? (int)sim_random(s, SIM_NAMES) : -1;
    etf_ref ref;
    int r;

    if (s->monitors == SIM_MONITORS - SIM_SPAWNS)
        return;
    if (by_name)
        CALL(s, r,
             cnode_monitor(p->proc, sim_name(node), proc_names[name], &ref));
    else
        CALL(s, r, cnode_monitor_pid(p->proc, &q->pid, &ref));
    SIM_SAY(s, "%s %d monitors %d (name %d) on %s: number %d, %s",
            sim_name(p->node), p->uid, by_name ? -1 : q->uid, name,
            sim_name(node), s->monitors, cn_errname(r));
    if (r == 0)
        sim_watched(p, q, node, name, &ref);
}

static void do_demonitor(sim_proc *p) {
    sim *s = p->sim;
    sim_monitor *m;
    int r;

    if (s->monitors == 0)
        return;
    m = &s->monitor[sim_random(s, (uint32_t)s->monitors)];
    if (m->watcher != p->uid)
        return;
    CALL(s, r, cnode_demonitor(p->proc, &m->ref));
    SIM_SAY(s, "%s %d gives up monitor %d: %s", sim_name(p->node), p->uid,
            (int)(m - s->monitor), cn_errname(r));
    if ((r == 0) != (m->state == SIM_WAITING) && !sim_dead(p))
        sim_fail(s, "monitor %d is given up: %s", (int)(m - s->monitor),
                 cn_errname(r));
    m->state = SIM_GONE;
}

static void do_alias(sim_proc *p) {
    sim *s = p->sim;
    sim_alias *a = &s->alias[s->aliases];
    int r;

    if (s->aliases == SIM_ALIASES)
        return;
    *a = (sim_alias){.owner = p->uid, .once = sim_chance(s, 50)};
    CALL(s, r, cnode_alias(p->proc, a->once, &a->ref));
    if (r != 0)
        return;
    SIM_SAY(s, "%s %d makes alias %d%s", sim_name(p->node), p->uid, s->aliases,
            a->once ? ", for once" : "");
    a->active = true;
    s->aliases++;
}

static void do_unalias(sim_proc *p) {
    sim *s = p->sim;
    sim_alias *a;
    int r;

    if (s->aliases == 0)
        return;
    a = &s->alias[sim_random(s, (uint32_t)s->aliases)];
    if (a->owner != p->uid)
        return;
    CALL(s, r, cnode_unalias(p->proc, &a->ref));
    SIM_SAY(s, "%s %d takes alias %d back: %s", sim_name(p->node), p->uid,
            (int)(a - s->alias), cn_errname(r));
    if ((r == 0) != a->active && !sim_dead(p))
        sim_fail(s, "alias %d is taken back: %s", (int)(a - s->alias),
                 cn_errname(r));
    a->active = false;
}

/* --- life ---------------------------------------------------------------- */

static void do_exit(sim_proc *p) {
    sim *s = p->sim;
    sim_reason reason = {sim_chance(s, 30) ? SIM_NORMAL : SIM_BYE, p->uid};
    cnode_proc *proc = p->proc;
    int r;

    if (reason.kind == SIM_NORMAL)
        reason.n = 0;
    if (sim_dead(p))
        return; /* by a signal; it will hear of it */
    SIM_SAY(s, "%s %d ends%s", sim_name(p->node), p->uid,
            reason.kind == SIM_NORMAL ? " normally" : "");
    sim_end_now(p, reason);
    s->memory.fail_at = 0;
    if (reason.kind == SIM_NORMAL)
        CALL(s, r, cnode_exit(proc, "normal"));
    else
        CALL(s, r, cnode_exit(proc, "{bye, ~i}", p->uid));
    if (r != 0)
        sim_fail(s, "exit: %s", cn_errname(r));
}

static const cnode_proc_config behaviour;

static void do_birth(sim *s, int node) {
    cnode_proc_config c = behaviour;
    int name = sim_chance(s, 50) ? (int)sim_random(s, SIM_NAMES) : -1;
    bool trap = sim_chance(s, 50);
    cnode_proc *proc;
    sim_proc *p;
    int r;

    if (s->procs == SIM_PROCS)
        return;
    if (name >= 0 && cnode_whereis(&s->nodes[node].node, proc_names[name]))
        name = -1;
    c.name = name < 0 ? NULL : proc_names[name];
    c.data = &s->proc[s->procs];
    if (!trap)
        c.on_exit = NULL;
    CALL(s, r, cnode_spawn(&s->nodes[node].node, &c, &proc));
    if (r != 0) {
        sim_refused(s, "spawn", r);
        return;
    }
    p = sim_born(s, node, proc, trap, name);
    SIM_SAY(s, "%s has process %d%s, name %d", sim_name(node), p->uid,
            trap ? ", which traps exits" : "", name);
}

/* --- calls --------------------------------------------------------------- */

enum { ANSWER, ANSWER_LATER, NO_ANSWER, DIE, WAYS };

static void on_result(cnode_proc *self, int status, etf_view result,
                      void *data);

static void do_call(sim_proc *p) {
    sim *s = p->sim;
    bool by_name = sim_chance(s, 50);
    sim_proc *q = by_name ? NULL : some_proc(s);
    int number = s->calls;
    uint32_t ms = sim_chance(s, 30) ? UINT32_MAX : 1 + sim_random(s, 900);
    sim_call *c = &s->call[number];
    cnode_call_opts o = {.timeout_ms = ms};
    int r;

    if (s->calls == SIM_CALLS)
        return;
    c->sim = s;
    c->state = SIM_WAITING;
    c->caller = p->uid;
    c->target = by_name ? -1 : q->uid;
    c->node = by_name ? some_node(s) : q->node;
    c->name = by_name ? (int)sim_random(s, SIM_NAMES) : -1;
    c->epoch = sim_epoch(s, p->node, c->node);
    c->tick = s->tick;
    c->due = ms == UINT32_MAX ? UINT64_MAX : s->now + ms;
    c->server = -1;
    c->never = false;
    o.pid = by_name ? NULL : &q->pid;
    o.node = by_name ? sim_name(c->node) : NULL;
    o.server = by_name ? proc_names[c->name] : NULL;
    CALL(s, r,
         cnode_call(p->proc, &o, on_result, c, "{c, ~i, ~i}", number,
                    (int)sim_random(s, WAYS)));
    SIM_SAY(s, "%s %d calls %d (name %d) on %s: number %d, %s",
            sim_name(p->node), p->uid, c->target, c->name, sim_name(c->node),
            number, cn_errname(r));
    s->calls += r == 0;
}

static void answer(sim_proc *p, sim_call *c, const cnode_from *from) {
    sim *s = p->sim;
    int r;

    c->never = false;
    CALL(s, r, cnode_reply(p->proc, from, "{ok, ~i}", (int)(c - s->call)));
    SIM_SAY(s, "%s %d answers call %d: %s", sim_name(p->node), p->uid,
            (int)(c - s->call), cn_errname(r));
    if (r != 0)
        c->never = true;
}

static void answer_later(cnode_proc *self, void *arg) {
    sim_call *c = arg;
    sim_proc *p = cnode_proc_data(self);
    cnode_from from = {c->from, {c->tag, c->tag_len}};

    sim_called_back(p);
    answer(p, c, &from);
}

static void plan_answer(sim_proc *p, sim_call *c, const cnode_from *from) {
    sim *s = p->sim;
    int r;

    c->from = from->pid;
    c->tag_len = from->tag.len;
    memcpy(c->tag, from->tag.data, from->tag.len);
    CALL(s, r, cnode_after(p->proc, sim_random(s, 500), answer_later, c));
    if (r != 0)
        sim_refused(s, "after", r);
}

/* --- other nodes --------------------------------------------------------- */

static void on_connected(cnode *n, const char *peer, int status,
                         const cn_error *err, void *data) {
    sim *s = data;

    SIM_SAY(s, "%s hears about %s: %s", n->name, peer, cn_errname(status));
    if (s->in_call > 0)
        sim_fail(s, "a connect is answered inside a call");
    if (status != 0 && err->text[0] == '\0')
        sim_fail(s, "no text for %s", cn_errname(status));
    s->answered++;
}

static void do_connect(sim *s, int node) {
    int to = some_node(s);
    int r;

    if (to == node)
        return;
    SIM_SAY(s, "%s wants %s", sim_name(node), sim_name(to));
    CALL(s, r,
         cnode_connect(&s->nodes[node].node, sim_name(to), on_connected, s));
    s->asked += r == 0;
}

static void do_disconnect(sim *s, int node) {
    int to = some_node(s);
    int r;

    if (s->faultless)
        return;
    CALL(s, r, cnode_disconnect(&s->nodes[node].node, sim_name(to)));
    if (r == 0)
        SIM_SAY(s, "%s disconnects %s", sim_name(node), sim_name(to));
}

static void on_spawned(cnode_proc *self, int status, etf_view pid, void *data) {
    sim_proc *p = cnode_proc_data(self);
    sim_spawn *w = data;

    sim_called_back(p);
    SIM_SAY(p->sim, "%s %d: spawn %d: %s", sim_name(p->node), p->uid,
            (int)(w - p->sim->spawn), cn_errname(status));
    sim_got_spawned(p, w, status, pid);
}

static void do_spawn(sim_proc *p) {
    sim *s = p->sim;
    int number = s->spawns;
    sim_spawn *w = &s->spawn[number];
    cnode_spawn_opts o = {.module = "sim", .function = "child"};
    int r;

    if (s->spawns == SIM_SPAWNS || s->procs > SIM_PROCS - SIM_SPAWNS / 2)
        return;
    *w = (sim_spawn){.sim = s, .asker = p->uid, .node = some_node(s)};
    w->child = -1;
    o.node = sim_name(w->node);
    o.link = w->link = sim_chance(s, 50);
    o.monitor = w->monitor = sim_chance(s, 50);
    w->epoch = sim_epoch(s, p->node, w->node);
    CALL(s, r,
         cnode_spawn_remote(p->proc, &o, on_spawned, w, &w->ref, "[~i]",
                            number));
    SIM_SAY(s, "%s %d spawns on %s%s%s: number %d, %s", sim_name(p->node),
            p->uid, o.node, w->link ? ", link" : "",
            w->monitor ? ", monitor" : "", number, cn_errname(r));
    s->spawns += r == 0;
}

/* --- at random ----------------------------------------------------------- */

static void do_something(sim_proc *p) {
    sim *s = p->sim;
    uint32_t what = sim_random(s, 100);

    if (what < 22)
        do_send(p, SIM_PID);
    else if (what < 28)
        do_burst(p);
    else if (what < 34)
        do_send(p, SIM_NAME);
    else if (what < 40)
        do_send(p, SIM_ALIAS);
    else if (what < 44)
        do_send(p, SIM_EXIT2);
    else if (what < 53)
        do_link(p);
    else if (what < 56)
        do_unlink(p);
    else if (what < 58)
        do_flurry(p);
    else if (what < 66)
        do_monitor(p, false);
    else if (what < 70)
        do_monitor(p, true);
    else if (what < 73)
        do_demonitor(p);
    else if (what < 76)
        do_alias(p);
    else if (what < 78)
        do_unalias(p);
    else if (what < 87)
        do_call(p);
    else if (what < 91)
        do_spawn(p);
    else if (what < 95)
        do_exit(p);
    else if (what < 98)
        do_connect(s, p->node);
    else
        do_disconnect(s, p->node);
}

static void react(sim_proc *p) {
    sim *s = p->sim;

    if (!s->over && p->proc != NULL && sim_chance(s, 12))
        do_something(p);
}

void sim_act(sim *s) {
    sim_proc *p = s->procs == 0 ? NULL : some_proc(s);
    int node = some_node(s);

    if (p != NULL && p->proc != NULL && !sim_chance(s, 8))
        do_something(p);
    else if (s->nodes[node].live)
        do_birth(s, node);
}

/* --- what is told -------------------------------------------------------- */

static void on_message(cnode_proc *self, const cnode_msg *m, void *data) {
    sim_proc *p = data;
    long number = -1;
    etf_view body;

    (void)self;
    sim_called_back(p);
    (void)etf_match(m->term, "{m, ~i, ~b}", &number, &body);
    SIM_SAY(p->sim, "%s %d gets %ld", sim_name(p->node), p->uid, number);
    sim_got_message(p, m);
    react(p);
}

static void serve(sim_proc *p, sim_call *c, long how, const cnode_from *from) {
    c->never = true;
    if (how == ANSWER)
        answer(p, c, from);
    else if (how == ANSWER_LATER)
        plan_answer(p, c, from);
    else if (how == DIE)
        do_exit(p);
}

static void on_call(cnode_proc *self, const cnode_from *from, etf_view request,
                    void *data) {
    sim_proc *p = data;
    sim *s = p->sim;
    long number = -1, how = 0;

    (void)self;
    sim_called_back(p);
    if (etf_match(request, "{c, ~i, ~i}", &number, &how) != 0 || number < 0 ||
        number >= s->calls) {
        sim_fail(s, "process %d gets a call that nobody made", p->uid);
        return;
    }
    SIM_SAY(s, "%s %d is called: %ld", sim_name(p->node), p->uid, number);
    sim_got_request(p, &s->call[number]);
    serve(p, &s->call[number], how, from);
    react(p);
}

static void on_result(cnode_proc *self, int status, etf_view result,
                      void *data) {
    sim_proc *p = cnode_proc_data(self);
    sim_call *c = data;

    sim_called_back(p);
    SIM_SAY(p->sim, "%s %d: call %d: %s", sim_name(p->node), p->uid,
            (int)(c - p->sim->call), cn_errname(status));
    sim_got_result(p, c, status, result);
    react(p);
}

static void on_down(cnode_proc *self, const cnode_down *d, void *data) {
    sim_proc *p = data;
    char why[64] = "";

    (void)self;
    sim_called_back(p);
    (void)etf_print(d->term, why, sizeof why);
    SIM_SAY(p->sim, "%s %d: down %s", sim_name(p->node), p->uid, why);
    sim_got_down(p, d);
    react(p);
}

static void on_exit_signal(cnode_proc *self, const cnode_exit_signal *e,
                           void *data) {
    sim_proc *p = data;
    const sim_proc *q = sim_proc_of(p->sim, &e->from);
    char why[64] = "";

    (void)self;
    sim_called_back(p);
    (void)etf_print(e->term, why, sizeof why);
    SIM_SAY(p->sim, "%s %d: exit of %d: %s", sim_name(p->node), p->uid,
            q == NULL ? -1 : q->uid, why);
    sim_got_exit(p, e);
    react(p);
}

static void on_end(cnode_proc *self, etf_view reason, void *data) {
    sim_proc *p = data;
    char why[64] = "";

    (void)self;
    (void)etf_print(reason, why, sizeof why);
    SIM_SAY(p->sim, "%s %d has ended: %s", sim_name(p->node), p->uid, why);
    sim_ended(p, sim_reason_of(reason));
}

static const cnode_proc_config behaviour = {
    .on_message = on_message,
    .on_call = on_call,
    .on_down = on_down,
    .on_exit = on_exit_signal,
    .on_end = on_end,
};

void sim_on_peer(cnode *n, const cnode_peer *peer, void *data) {
    sim_node *x = n->shell_ctx;
    sim *s = x->sim;
    int j = sim_node_of(peer->name, strlen(peer->name));

    (void)data;
    s->tick++;
    SIM_SAY(s, "%s: %s is %s, link %u", sim_name(x->i), peer->name,
            peer->up ? "up" : "down", s->reading);
    if (s->in_call > 0)
        sim_fail(s, "%s hears of %s inside a call", sim_name(x->i), peer->name);
    if (j < 0 || peer->up == s->up[x->i][j]) {
        sim_fail(s, "%s hears twice that %s is %s", sim_name(x->i), peer->name,
                 peer->up ? "up" : "down");
        return;
    }
    s->up[x->i][j] = peer->up;
    s->falling[x->i][j] = false;
    s->uplink[x->i][j] = s->reading;
}

/* --- functions for others ------------------------------------------------ */

static int make_child(cnode_proc *self, sim_spawn *w) {
    sim *s = w->sim;
    sim_node *x = self->node->shell_ctx;
    cnode_proc_config c = behaviour;
    bool trap = sim_chance(s, 50);
    sim_proc *p = sim_born(s, x->i, self, trap, -1);

    c.data = p;
    if (!trap)
        c.on_exit = NULL;
    SIM_SAY(s, "%s has process %d by spawn %d", sim_name(x->i), p->uid,
            (int)(w - s->spawn));
    sim_made_child(w, p);
    s->memory.fail_at = 0;
    if (cnode_become(self, &c) != 0)
        sim_fail(s, "become fails");
    react(p);
    if (p->proc != NULL && sim_chance(s, 20))
        do_exit(p);
    return CNODE_LATER;
}

static int child(cnode_proc *self, etf_view args, etf_writer *result,
                 void *data) {
    sim *s = data;
    long number = -1;

    (void)result;
    if (etf_match(args, "[~i]", &number) != 0 || number < 0 ||
        number >= s->spawns || s->procs == SIM_PROCS) {
        sim_fail(s, "a process is spawned that nobody asked for");
        return CN_EBADARG;
    }
    return make_child(self, &s->spawn[number]);
}

int sim_export(sim *s, int i) {
    return cnode_export(&s->nodes[i].node, "sim", "child", 1, child, s);
}
