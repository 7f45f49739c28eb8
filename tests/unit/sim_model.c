/* SPDX-License-Identifier: Apache-2.0
 *
 * sim_model.c: what the program of a simulated node may be told. It knows what
 * the programs have done, what they were told before, and which losses the
 * logs have told of; it does not look into the tables of a node, except when
 * all is at rest, to compare two of them.
 *
 * An epoch is a stretch of one node's view of another: it ends when the log
 * says that the other is lost. What is sent in one epoch arrives without gaps
 * as far as it arrives, and all of it if the epoch lasts.
 */
#include <string.h>

#include "tests/unit/sim.h"

void sim_model_reset(sim *s) {
    memset(s->up, 0, sizeof s->up);
    memset(s->falling, 0, sizeof s->falling);
    memset(s->uplink, 0, sizeof s->uplink);
    memset(s->epoch, 0, sizeof s->epoch);
    memset(s->downs, 0, sizeof s->downs);
    for (int i = 0; i < SIM_NODES; i++)
        for (int k = 0; k < SIM_NAMES; k++) {
            s->owner[i][k] = -1;
            s->unowned[i][k] = UINT32_MAX;
        }
    for (int i = 0; i < s->procs; i++)
        memset(s->tie[i], 0, sizeof s->tie[i]);
    s->asked = s->answered = 0;
    s->procs = s->sents = s->monitors = s->calls = s->aliases = s->spawns = 0;
}

/* --- losses -------------------------------------------------------------- */

/* Between the failure of a connection and the word of it there is an epoch of
 * its own: what is sent then is for the next connection. */
uint32_t sim_epoch(sim *s, int i, int j) {
    bool limbo;

    if (i == j)
        return 0;
    limbo = s->nodes[i].live && s->up[i][j] && !s->falling[i][j] &&
            !cnode_connected(&s->nodes[i].node, sim_name(j));
    return s->epoch[i][j] * 2 + limbo;
}

void sim_logged(sim *s, int i, cn_level level, const char *text) {
    int j = sim_node_of(text, 3);
    bool down;

    s->refused |= strstr(text, "refused a link") != NULL;
    if (level > CN_LOG_INFO || strlen(text) < 4 || j < 0)
        return;
    down = strncmp(text + 3, " is down", 8) == 0;
    s->downs[i][j] += down;
    s->falling[i][j] |= down;
    if (!down && (level != CN_LOG_INFO || text[3] != ':'))
        return;
    s->epoch[i][j]++;
    if (s->faultless && !s->ending)
        sim_fail(s, "nothing is broken, but %s says: %s", sim_name(i), text);
}

/* Of a message, which waits for that one. */
uint32_t sim_message_epoch(sim *s, int i, int j) {
    return (sim_epoch(s, i, j) + 1) & ~UINT32_C(1);
}

static bool lost_since(sim *s, int i, int j, uint32_t epoch) {
    return i != j && sim_epoch(s, i, j) > epoch;
}

/* What comes from another node comes over the connection that is up. */
static void check_source(sim_proc *p, int node) {
    sim *s = p->sim;

    if (node != p->node &&
        (!s->up[p->node][node] || s->reading != s->uplink[p->node][node]))
        sim_fail(s, "%s hears of %s over link %u, the connection is link %u",
                 sim_name(p->node), sim_name(node), s->reading,
                 s->up[p->node][node] ? s->uplink[p->node][node] : 0);
}

/* --- processes ----------------------------------------------------------- */

sim_reason sim_reason_of(etf_view term) {
    static const struct {
        const char *text;
        sim_reason_kind kind;
    } atoms[] = {{"normal", SIM_NORMAL},     {"noconnection", SIM_NOCONN},
                 {"noproc", SIM_NOPROC},     {"killed", SIM_KILLED},
                 {"shutdown", SIM_SHUTDOWN}, {"system_limit", SIM_LIMIT}};
    sim_reason r = {SIM_OTHER, 0};

    if (etf_match(term, "{x, ~i}", &r.n) == 0)
        r.kind = SIM_HIT;
    else if (etf_match(term, "{bye, ~i}", &r.n) == 0)
        r.kind = SIM_BYE;
    for (size_t i = 0; i < sizeof atoms / sizeof *atoms; i++)
        if (r.kind == SIM_OTHER && etf_match(term, atoms[i].text) == 0)
            r.kind = atoms[i].kind;
    return r;
}

static bool same_reason(sim_reason a, sim_reason b) {
    return a.kind == b.kind && a.n == b.n;
}

sim_reason sim_fate(const sim_proc *p) {
    if (p->reason.kind == SIM_ALIVE && p->proc != NULL && p->proc->ended)
        return sim_reason_of(p->proc->reason);
    return p->reason;
}

bool sim_dead(const sim_proc *p) {
    return sim_fate(p).kind != SIM_ALIVE;
}

sim_proc *sim_proc_of(sim *s, const etf_pid *pid) {
    for (int i = 0; i < s->procs; i++)
        if (etf_pid_eq(&s->proc[i].pid, pid))
            return &s->proc[i];
    return NULL;
}

sim_proc *sim_born(sim *s, int node, cnode_proc *proc, bool trap, int name) {
    sim_proc *p = &s->proc[s->procs];

    memset(p, 0, sizeof *p);
    p->sim = s;
    p->uid = s->procs++;
    p->node = node;
    p->life = s->nodes[node].life;
    p->proc = proc;
    p->pid = cnode_self(proc);
    p->trap = trap;
    p->name = name;
    if (name >= 0) {
        s->owner[node][name] = p->uid;
        s->unowned[node][name] = s->tick;
    }
    memset(s->tie[p->uid], 0, sizeof s->tie[p->uid]);
    for (int i = 0; i < p->uid; i++)
        memset(&s->tie[i][p->uid], 0, sizeof s->tie[i][p->uid]);
    return p;
}

static bool was_unowned(const sim *s, int node, int name, uint32_t since) {
    int uid = s->owner[node][name];
    return s->unowned[node][name] >= since ||
           (uid >= 0 && sim_dead(&s->proc[uid]));
}

void sim_end_now(sim_proc *p, sim_reason reason) {
    sim *s = p->sim;

    p->reason = reason;
    p->proc = NULL;
    for (int j = 0; j < s->count; j++)
        p->end_epoch[j] = sim_epoch(s, p->node, j);
    if (p->name >= 0 && s->owner[p->node][p->name] == p->uid) {
        s->owner[p->node][p->name] = -1;
        s->unowned[p->node][p->name] = UINT32_MAX;
    }
}

void sim_node_gone(sim *s, int i) {
    static const sim_reason shutdown = {SIM_SHUTDOWN, 0};

    for (int k = 0; k < s->procs; k++)
        if (s->proc[k].node == i && s->proc[k].reason.kind == SIM_ALIVE)
            sim_end_now(&s->proc[k], sim_dead(&s->proc[k])
                                         ? sim_fate(&s->proc[k])
                                         : shutdown);
    for (int j = 0; j < s->count; j++) {
        s->up[i][j] = s->falling[i][j] = false;
        s->epoch[i][j]++;
    }
}

void sim_called_back(sim_proc *p) {
    sim *s = p->sim;

    s->tick++;
    if (s->in_call > 0)
        sim_fail(s, "a callback of process %d runs inside a call", p->uid);
    if (p->reason.kind != SIM_ALIVE)
        sim_fail(s, "process %d has ended and is called back", p->uid);
}

/* --- order --------------------------------------------------------------- */

/* It is still on the way, or was dropped where nobody promises anything. */
static bool may_be_missing(const sim *s, const sim_sent *m) {
    return m->got || m->to < 0 ||
           (m->way == SIM_ALIAS && !s->alias[m->alias].active);
}

/* All that `from` has sent to p in this epoch, up to that number, is there. */
static void check_gap(sim_proc *p, int from, int until, uint32_t epoch) {
    sim *s = p->sim;

    for (int k = p->last_from[from]; k < until; k++) {
        const sim_sent *m = &s->sent[k];
        if (m->from == from && m->to == p->uid && m->epoch == epoch &&
            !may_be_missing(s, m))
            sim_fail(s, "%d to %d: signal %d was lost, what came later is here",
                     from, p->uid, k);
    }
}

static void got_signal(sim_proc *p, int number, bool at_once) {
    sim *s = p->sim;
    sim_sent *m = &s->sent[number];

    if (m->got)
        sim_fail(s, "signal %d comes twice", number);
    if (m->to >= 0 ? m->to != p->uid
                   : m->node != p->node || m->alias != p->name)
        sim_fail(s, "signal %d is not for process %d", number, p->uid);
    if (number < p->last_from[m->from])
        sim_fail(s, "%d to %d: signal %d comes after %d", m->from, p->uid,
                 number, p->last_from[m->from] - 1);
    if (p->known_dead[m->from])
        sim_fail(s, "signal %d comes after the end of process %d", number,
                 m->from);
    if (at_once)
        check_source(p, s->proc[m->from].node);
    check_gap(p, m->from, number, m->epoch);
    p->last_from[m->from] = number + 1;
    m->got = true;
}

static void got_by_alias(sim *s, const sim_sent *m, int number) {
    sim_alias *a = &s->alias[m->alias];

    if (!a->active)
        sim_fail(s, "signal %d comes by an alias that was taken back", number);
    if (a->once)
        a->active = false;
}

void sim_got_message(sim_proc *p, const cnode_msg *msg) {
    sim *s = p->sim;
    long number = -1;
    etf_view body;
    const sim_sent *m;

    if (etf_match(msg->term, "{m, ~i, ~b}", &number, &body) != 0 ||
        number < 0 || number >= s->sents) {
        sim_fail(s, "process %d gets a message that nobody has sent", p->uid);
        return;
    }
    m = &s->sent[number];
    for (size_t i = 0; i < body.len; i++)
        if (body.data[i] != (uint8_t)((size_t)number + i))
            sim_fail(s, "signal %ld: its bytes are not those sent", number);
    if (msg->from == NULL || !etf_pid_eq(msg->from, &s->proc[m->from].pid) ||
        strcmp(msg->peer, sim_name(s->proc[m->from].node)) != 0)
        sim_fail(s, "signal %ld: it says that another has sent it", number);
    if (m->way == SIM_ALIAS)
        got_by_alias(s, m, (int)number);
    got_signal(p, (int)number, true);
}

/* p has heard how q ended: nothing of it is still to come. */
static void heard_end(sim_proc *p, sim_proc *q) {
    check_source(p, q->node);
    if (q->reason.kind != SIM_ALIVE)
        check_gap(p, q->uid, p->sim->sents, q->end_epoch[p->node]);
    p->known_dead[q->uid] = true;
}

/* Is it how q ended, beyond doubt? */
static bool is_its_end(const sim_proc *q, sim_reason r) {
    return r.kind != SIM_ALIVE && r.kind != SIM_NOCONN &&
           r.kind != SIM_NOPROC && r.kind != SIM_SHUTDOWN &&
           r.kind != SIM_LIMIT && same_reason(sim_fate(q), r);
}

/* May a process that is tied to q since that epoch be told this? What q has
 * got of p from that number on, it got after the tie was made. */
static bool reason_is_true(sim_proc *p, const sim_proc *q, sim_reason r,
                           uint32_t epoch, int number) {
    sim *s = p->sim;

    if (s->hungry && r.kind == SIM_LIMIT)
        return true; /* it was not tied */
    if (r.kind == SIM_NOCONN &&
        (s->hungry || lost_since(s, p->node, q->node, epoch)))
        return true;
    if (r.kind == SIM_NOPROC && sim_dead(q) && q->last_from[p->uid] <= number)
        return true;
    return r.kind != SIM_ALIVE && r.kind != SIM_SHUTDOWN &&
           same_reason(sim_fate(q), r);
}

/* --- links --------------------------------------------------------------- */

static void tie(sim_proc *p, const sim_proc *q) {
    sim *s = p->sim;
    sim_tie *t = &s->tie[p->uid][q->uid];

    t->credits++;
    if (!t->begun)
        t->first = sim_epoch(s, p->node, q->node);
    t->begun = true;
}

/* The connection of two nodes, if they agree that it is the one. */
static uint32_t shared_link(const sim *s, int i, int j) {
    if (i == j)
        return UINT32_MAX;
    return s->up[i][j] && s->up[j][i] && s->uplink[i][j] == s->uplink[j][i]
               ? s->uplink[i][j]
               : 0;
}

void sim_linked(sim_proc *p, sim_proc *q) {
    sim *s = p->sim;
    sim_tie *t = &s->tie[p->uid][q->uid];
    sim_tie *u = &s->tie[q->uid][p->uid];

    tie(p, q);
    tie(q, p);
    t->number = s->sents;
    t->linked = true;
    t->epoch = sim_epoch(s, p->node, q->node);
    t->downs = s->downs[p->node][q->node];
    t->over = shared_link(s, p->node, q->node);
    u->in = true;
    u->in_epoch = t->epoch;
    u->in_told = u->told;
}

/* What p has linked and unlinked tells it nothing any more, unless the other
 * has linked over a connection that p does not know of yet. */
void sim_unlinked(sim_proc *p, sim_proc *q, bool done) {
    sim *s = p->sim;
    sim_tie *t = &s->tie[p->uid][q->uid];
    sim_tie *u = &s->tie[q->uid][p->uid];

    if (done && t->linked && !u->unlinked && t->over != 0 &&
        t->over == shared_link(s, p->node, q->node))
        t->credits = 0;
    t->linked = u->linked = false;
    t->unlinked = u->unlinked = true;
}

static void told_by_link(sim_proc *p, sim_proc *q, sim_reason r) {
    sim *s = p->sim;
    sim_tie *t = &s->tie[p->uid][q->uid];

    if (t->credits <= 0)
        sim_fail(s, "process %d is told too often that %d has ended", p->uid,
                 q->uid);
    if (!reason_is_true(p, q, r, t->first, t->number))
        sim_fail(s, "process %d is told by its link that %d ended: %d, %ld",
                 p->uid, q->uid, (int)r.kind, r.n);
    t->credits--;
    t->told++;
    t->linked = false;
    if (is_its_end(q, r))
        heard_end(p, q);
}

static bool is_hit(const sim *s, const sim_proc *p, sim_reason r) {
    return r.kind == SIM_HIT && r.n >= 0 && r.n < s->sents &&
           s->sent[r.n].way == SIM_EXIT2 && s->sent[r.n].to == p->uid &&
           !s->sent[r.n].got;
}

void sim_got_exit(sim_proc *p, const cnode_exit_signal *e) {
    sim *s = p->sim;
    sim_reason r = sim_reason_of(e->term);
    sim_proc *q = sim_proc_of(s, &e->from);

    if (q == NULL && s->hungry && r.kind == SIM_LIMIT)
        ; /* it could not begin */
    else if (q == NULL)
        sim_fail(s, "process %d gets an exit signal of nobody", p->uid);
    else if (is_hit(s, p, r) && s->sent[r.n].from == q->uid)
        got_signal(p, (int)r.n, true);
    else
        told_by_link(p, q, r);
}

/* An exit signal has ended p: somebody must have sent it. */
static void explain_end(sim_proc *p, sim_reason r) {
    sim *s = p->sim;

    if (s->hungry && r.kind == SIM_LIMIT)
        return;
    if (is_hit(s, p, r)) {
        got_signal(p, (int)r.n, false); /* it was some time ago */
        return;
    }
    for (int k = 0; k < s->procs; k++) {
        const sim_tie *t = &s->tie[p->uid][k];
        if (t->credits > 0 &&
            reason_is_true(p, &s->proc[k], r, t->first, t->number))
            return;
    }
    sim_fail(s, "process %d ends without a cause: %d, %ld", p->uid, (int)r.kind,
             r.n);
}

void sim_ended(sim_proc *p, sim_reason reason) {
    sim *s = p->sim;

    if (s->in_call > 0)
        sim_fail(s, "process %d ends inside a call", p->uid);
    if (p->reason.kind != SIM_ALIVE) {
        if (!same_reason(p->reason, reason))
            sim_fail(s, "process %d ended for another reason", p->uid);
        return;
    }
    if (p->trap)
        sim_fail(s, "process %d traps exits and has ended", p->uid);
    explain_end(p, reason);
    sim_end_now(p, reason);
}

/* --- monitors ------------------------------------------------------------ */

void sim_watched(sim_proc *p, sim_proc *q, int node, int name,
                 const etf_ref *ref) {
    sim *s = p->sim;

    s->monitor[s->monitors++] = (sim_monitor){
        .state = SIM_WAITING,
        .watcher = p->uid,
        .target = q == NULL ? -1 : q->uid,
        .node = node,
        .name = name,
        .ref = *ref,
        .epoch = sim_epoch(s, p->node, node),
        .downs = s->downs[p->node][node],
        .tick = s->tick,
        .number = s->sents,
    };
}

static sim_monitor *find_monitor(sim *s, const sim_proc *p,
                                 const etf_ref *ref) {
    for (int i = 0; i < s->monitors; i++)
        if (s->monitor[i].watcher == p->uid &&
            etf_ref_eq(&s->monitor[i].ref, ref))
            return &s->monitor[i];
    return NULL;
}

static void down_by_name(sim_proc *p, const sim_monitor *m, sim_reason r) {
    sim *s = p->sim;

    if (s->hungry && r.kind == SIM_LIMIT)
        return;
    if (r.kind == SIM_NOCONN && lost_since(s, p->node, m->node, m->epoch))
        return;
    if (r.kind == SIM_NOPROC && was_unowned(s, m->node, m->name, m->tick))
        return;
    for (int k = 0; k < s->procs; k++) {
        const sim_proc *q = &s->proc[k];
        if (q->node == m->node && q->name == m->name &&
            r.kind != SIM_SHUTDOWN && same_reason(sim_fate(q), r))
            return;
    }
    sim_fail(s, "process %d is told that the name %d of %s is gone: %d, %ld",
             p->uid, m->name, sim_name(m->node), (int)r.kind, r.n);
}

void sim_got_down(sim_proc *p, const cnode_down *d) {
    sim *s = p->sim;
    sim_reason r = sim_reason_of(d->term);
    sim_monitor *m = find_monitor(s, p, &d->ref);
    sim_proc *q;

    if (m == NULL && s->hungry && r.kind == SIM_LIMIT)
        return; /* of a process that could not begin */
    if (m == NULL || m->state != SIM_WAITING) {
        sim_fail(s, "process %d is told by a monitor that %s", p->uid,
                 m == NULL ? "nobody made" : "is done");
        return;
    }
    m->state = SIM_DONE;
    if (m->target < 0) {
        down_by_name(p, m, r);
        return;
    }
    q = &s->proc[m->target];
    if (!reason_is_true(p, q, r, m->epoch, m->number))
        sim_fail(s, "process %d is told by its monitor that %d ended: %d, %ld",
                 p->uid, q->uid, (int)r.kind, r.n);
    if (is_its_end(q, r))
        heard_end(p, q);
}

/* --- calls --------------------------------------------------------------- */

void sim_got_request(sim_proc *p, sim_call *c) {
    sim *s = p->sim;

    check_source(p, s->proc[c->caller].node);
    if (c->server >= 0)
        sim_fail(s, "call %d comes twice", (int)(c - s->call));
    if (c->target >= 0 ? c->target != p->uid
                       : c->node != p->node || c->name != p->name)
        sim_fail(s, "call %d is not for process %d", (int)(c - s->call),
                 p->uid);
    if (p->known_dead[c->caller])
        sim_fail(s, "call %d comes after the end of process %d",
                 (int)(c - s->call), c->caller);
    c->server = p->uid;
}

static bool server_ended_so(const sim *s, const sim_call *c, sim_reason r) {
    for (int k = 0; k < s->procs; k++) {
        const sim_proc *q = &s->proc[k];
        if ((c->target >= 0 ? k == c->target
                            : q->node == c->node && q->name == c->name) &&
            sim_dead(q) && r.kind != SIM_SHUTDOWN &&
            same_reason(sim_fate(q), r))
            return true;
    }
    return false;
}

static bool answer_is_true(const sim *s, const sim_call *c, const sim_proc *p,
                           etf_view result) {
    long n = -1;

    return etf_match(result, "{ok, ~i}", &n) == 0 && n == c - s->call &&
           c->server >= 0 && !c->never && !p->known_dead[c->server];
}

static bool result_is_true(sim *s, const sim_call *c, const sim_proc *p,
                           int status, etf_view result) {
    if (status == 0)
        return answer_is_true(s, c, p, result);
    if (lost_since(s, p->node, c->node, c->epoch))
        return true; /* any word for it */
    if (s->hungry &&
        (status == CN_ENOMEM ||
         (status == CN_EEXITED && sim_reason_of(result).kind == SIM_LIMIT)))
        return true;
    if (status == CN_ETIMEDOUT)
        return s->now >= c->due;
    if (status == CN_ENOPROC)
        return c->target >= 0 ? sim_dead(&s->proc[c->target])
                              : was_unowned(s, c->node, c->name, c->tick);
    return status == CN_EEXITED && server_ended_so(s, c, sim_reason_of(result));
}

void sim_got_result(sim_proc *p, sim_call *c, int status, etf_view result) {
    sim *s = p->sim;

    if (c->caller != p->uid || c->state != SIM_WAITING)
        sim_fail(s, "call %d ends twice", (int)(c - s->call));
    c->state = SIM_DONE;
    if (status == 0)
        check_source(p, c->node);
    if (!result_is_true(s, c, p, status, result))
        sim_fail(s, "call %d ends with %s, which is not true",
                 (int)(c - s->call), cn_errname(status));
}

/* --- spawns -------------------------------------------------------------- */

/* The child is linked when it begins, its parent when it hears of it. */
void sim_made_child(sim_spawn *w, sim_proc *child) {
    sim *s = w->sim;
    sim_proc *p = &s->proc[w->asker];
    sim_tie *t = &s->tie[child->uid][p->uid];

    check_source(child, p->node);
    if (w->child >= 0)
        sim_fail(s, "spawn %d comes twice", (int)(w - s->spawn));
    w->child = child->uid;
    if (!w->link)
        return;
    tie(child, p);
    tie(p, child);
    t->number = SIM_SENT; /* it may be gone already */
    t->linked = true;
    t->epoch = sim_epoch(s, child->node, p->node);
    t->downs = s->downs[child->node][p->node];
    t->over = shared_link(s, child->node, p->node);
}

static void got_child(sim_proc *p, sim_spawn *w) {
    sim *s = p->sim;
    sim_proc *child = &s->proc[w->child];

    check_source(p, child->node);
    if (p->known_dead[child->uid])
        sim_fail(s, "spawn %d is answered after the end of the process",
                 (int)(w - s->spawn));
    if (w->monitor)
        sim_watched(p, child, w->node, -1, &w->ref);
}

void sim_got_spawned(sim_proc *p, sim_spawn *w, int status, etf_view pid) {
    sim *s = p->sim;
    etf_pid who;

    if (w->state != SIM_WAITING || w->asker != p->uid)
        sim_fail(s, "spawn %d is answered twice", (int)(w - s->spawn));
    w->state = SIM_DONE;
    if (status != 0) {
        if (!lost_since(s, p->node, w->node, w->epoch) && !s->hungry)
            sim_fail(s, "spawn %d ends with %s", (int)(w - s->spawn),
                     cn_errname(status));
    } else if (w->child < 0 && s->hungry) {
        ; /* it has ended before it could begin */
    } else if (w->child < 0 || etf_match(pid, "~p", &who) != 0 ||
               !etf_pid_eq(&who, &s->proc[w->child].pid)) {
        sim_fail(s, "spawn %d is answered with another process",
                 (int)(w - s->spawn));
    } else {
        got_child(p, w);
    }
}

/* --- at rest ------------------------------------------------------------- */

static void rest_connections(sim *s, int i) {
    for (int j = 0; j < s->count; j++) {
        if (s->up[i][j] != s->up[j][i])
            sim_fail(s, "%s is connected to %s, which is not to it",
                     sim_name(s->up[i][j] ? i : j),
                     sim_name(s->up[i][j] ? j : i));
        else if (s->up[i][j] && (s->uplink[i][j] != s->uplink[j][i] ||
                                 !sim_same_link(s, i, j)))
            sim_fail(s, "%s and %s are connected over two links", sim_name(i),
                     sim_name(j));
        if (i != j &&
            s->up[i][j] != cnode_connected(&s->nodes[i].node, sim_name(j)))
            sim_fail(s, "%s was not told about %s", sim_name(i), sim_name(j));
    }
}

static void rest_node(sim *s, int i) {
    const cnode *n = &s->nodes[i].node;

    if (n->pending > 0 || cn__buf_size(&n->local) > 0 || n->dials > 0 ||
        !cnode__list_empty(&n->failed) || !cnode__list_empty(&n->dirty) ||
        !cnode__list_empty(&n->ended) || !cnode__list_empty(&n->wants) ||
        !cnode__list_empty(&n->born))
        sim_fail(s, "%s is not at rest", sim_name(i));
    for (const cnode__list *l = n->wires.next; l != &n->wires; l = l->next) {
        const cnode__wire *w = cnode__list_of(cnode__wire, in_node, l);
        if (w->conn == NULL || cnode_conn_queued(w->conn) > 0 ||
            w->peer == NULL || w->peer->up != w)
            sim_fail(s, "%s has a connection too many", sim_name(i));
    }
    if (s->ending && n->peers.count > 0)
        sim_fail(s, "%s remembers %zu peers", sim_name(i), n->peers.count);
}

/* Who waits here, and who is watched here, is what the programs have asked
 * for and have not been told of. */
static void rest_tables(sim *s, int i) {
    const cnode *n = &s->nodes[i].node;
    size_t waiters = 0, watches = 0;

    for (int k = 0; k < s->monitors; k++) {
        const sim_monitor *m = &s->monitor[k];
        bool waits = m->state == SIM_WAITING && !sim_dead(&s->proc[m->watcher]);
        waiters += waits && s->proc[m->watcher].node == i;
        watches += waits && m->node == i;
    }
    for (int k = 0; k < s->calls; k++) {
        const sim_call *c = &s->call[k];
        bool waits = c->state == SIM_WAITING && !sim_dead(&s->proc[c->caller]);
        waiters += waits && s->proc[c->caller].node == i;
        watches += waits && c->node == i;
    }
    for (int k = 0; k < s->aliases; k++)
        waiters += s->alias[k].active &&
                   !sim_dead(&s->proc[s->alias[k].owner]) &&
                   s->proc[s->alias[k].owner].node == i;
    if (n->waiters.count != waiters || n->watches.count != watches)
        sim_fail(s, "%s has %zu waiters, not %zu, and %zu watches, not %zu",
                 sim_name(i), n->waiters.count, waiters, n->watches.count,
                 watches);
}

static void rest_sent(sim *s, int number) {
    const sim_sent *m = &s->sent[number];

    if (may_be_missing(s, m) || sim_dead(&s->proc[m->to]))
        return;
    if (m->epoch == sim_message_epoch(s, s->proc[m->from].node, m->node))
        sim_fail(s, "signal %d was lost, and nobody was told", number);
}

static bool is_cut_off(const sim *s, int i, int j, uint32_t downs) {
    return i != j && (!s->up[i][j] || s->downs[i][j] != downs);
}

static void rest_monitor(sim *s, const sim_monitor *m) {
    const sim_proc *p = &s->proc[m->watcher];

    if (m->state != SIM_WAITING || sim_dead(p))
        return;
    if (is_cut_off(s, p->node, m->node, m->downs) ||
        (m->target >= 0 ? sim_dead(&s->proc[m->target])
                        : s->owner[m->node][m->name] < 0))
        sim_fail(s, "process %d was not told by monitor %d", p->uid,
                 (int)(m - s->monitor));
}

static void rest_call(sim *s, const sim_call *c) {
    const sim_proc *p = &s->proc[c->caller];

    if (c->state != SIM_WAITING || sim_dead(p))
        return;
    if (c->due != UINT64_MAX || c->server < 0 || !c->never ||
        sim_dead(&s->proc[c->server]))
        sim_fail(s, "call %d of process %d has no end", (int)(c - s->call),
                 p->uid);
    if (lost_since(s, p->node, c->node, c->epoch))
        sim_fail(s, "call %d outlives its connection", (int)(c - s->call));
}

static bool spares(const sim_proc *p, sim_reason r) {
    return !p->trap && r.kind == SIM_NORMAL;
}

/* p has linked, or was linked to, and has heard nothing. */
static void rest_tie(sim *s, const sim_proc *p, const sim_proc *q) {
    const sim_tie *t = &s->tie[p->uid][q->uid];
    sim_reason fate = sim_fate(q);
    bool gone = fate.kind != SIM_ALIVE;

    if (!t->begun || t->unlinked || sim_dead(p) || spares(p, fate))
        return;
    if (t->linked && (gone || is_cut_off(s, p->node, q->node, t->downs)))
        sim_fail(s, "process %d was not told by its link to %d", p->uid,
                 q->uid);
    if (t->in && !s->refused && gone && fate.kind != SIM_SHUTDOWN &&
        t->told == t->in_told && t->in_epoch == sim_epoch(s, q->node, p->node))
        sim_fail(s, "process %d was not told by the link of %d", p->uid,
                 q->uid);
}

static void rest_link(sim *s, const sim_proc *p, const sim_proc *q) {
    const cnode__link *l, *m;

    if (sim_dead(p) || !s->tie[p->uid][q->uid].begun)
        return;
    l = cnode__link_find(p->proc, &q->pid);
    if (sim_dead(q)) {
        if (l != NULL)
            sim_fail(s, "process %d keeps its link to %d, which has ended",
                     p->uid, q->uid);
        return;
    }
    m = cnode__link_find(q->proc, &p->pid);
    if ((l == NULL) != (m == NULL) && !s->refused)
        sim_fail(s, "processes %d and %d do not agree that they are linked",
                 p->uid, q->uid);
    if (l != NULL && l->unlink_id != 0)
        sim_fail(s, "process %d still waits to be unlinked from %d", p->uid,
                 q->uid);
}

static void rest_spawn(sim *s, const sim_spawn *w) {
    if (w->state == SIM_WAITING && !sim_dead(&s->proc[w->asker]))
        sim_fail(s, "spawn %d has no answer", (int)(w - s->spawn));
}

void sim_check_rest(sim *s) {
    for (int i = 0; i < s->count; i++) {
        rest_connections(s, i);
        rest_node(s, i);
        rest_tables(s, i);
    }
    for (int i = 0; i < s->sents; i++)
        rest_sent(s, i);
    for (int i = 0; i < s->monitors; i++)
        rest_monitor(s, &s->monitor[i]);
    for (int i = 0; i < s->calls; i++)
        rest_call(s, &s->call[i]);
    for (int i = 0; i < s->spawns; i++)
        rest_spawn(s, &s->spawn[i]);
    for (int i = 0; i < s->procs; i++)
        for (int k = 0; k < s->procs; k++) {
            rest_tie(s, &s->proc[i], &s->proc[k]);
            rest_link(s, &s->proc[i], &s->proc[k]);
        }
    if (s->asked != s->answered)
        sim_fail(s, "%d connects, %d answers", s->asked, s->answered);
}
