/* SPDX-License-Identifier: Apache-2.0
 *
 * pg_wire.c: what scopes say to each other, version 0 of the protocol:
 *
 *   {discover, Scope}             here I am; OTP 29 adds a version
 *   {sync, Scope, [{Group, [Pid]}]}   as a cast: these are all my members
 *   {join, Scope, Group, PidOrPids}
 *   {leave, Scope, PidOrPids, [Group]}
 *
 * Who is discovered answers with its sync, and discovers in turn. A sync says
 * all that we have, so who asks for it again, and only that is sent twice, gets
 * it once in a while. The pg of
 * OTP 25 ends when it gets anything else, and also when something leaves a
 * group of which it does not know that we are in it. So a scope hears of our
 * changes only after it has got our sync; once one cannot be sent to it, it
 * hears nothing until another sync could be, which says all.
 *
 * A scope speaks for processes of its own node, and a node has one: what comes
 * from elsewhere is not believed. What is no message of a scope, is logged and
 * changes nothing.
 */
#include <string.h>

#include "cnode/pg_parts.h"

enum {
    RETRY_MS = 200,
    SYNC_MS = 1000, /* between two that the same node has asked for */
    /* pids times groups of one leave; in earnest either of them is one */
    MOST_PAIRS = 1 << 16
};

/* --- sending ------------------------------------------------------------- */

static void again(cnode_pg *s, uint32_t ms) {
    uint64_t at = cnode__now(s->node) + ms;

    if (s->retry_timer.place == 0 || s->retry_timer.at > at)
        cnode__timer_arm(&s->node->timers, &s->retry_timer, at);
}

static void later(cnode_pg *s) {
    s->lacking = true;
    again(s, RETRY_MS);
}

/* As in Erlang, nothing is connected for it. */
static int send(cnode_pg *s, const etf_pid *to, etf_view message) {
    if (!cnode_connected(s->node, to->node))
        return CN_ENOCONN;
    return cnode_send(s->proc, to, "~t", message);
}

void cnode__pg_broadcast(cnode_pg *s, etf_view message) {
    cnode__pg_owner *o;

    for (size_t at = 0; (o = cn__map_next(&s->peers, &at)) != NULL;) {
        if (!o->synced)
            continue;
        o->synced = message.len > 0 && send(s, o->pid, message) == 0;
        if (!o->synced)
            later(s);
    }
}

/* All of ours in one group; false: none are. */
static bool put_group(cnode_pg *s, etf_writer *w, const cnode__pg_group *g) {
    if (g->local == 0)
        return false;
    etf_put_tuple(w, 2);
    etf_put_term(w, (etf_view){g->key, g->key_len});
    etf_begin_list(w);
    for (const cnode__list *l = g->members.next; l != &g->members;
         l = l->next) {
        const cnode__pg_member *m =
            cnode__list_of(const cnode__pg_member, in_group, l);
        etf_pid pid;

        if (!m->owner->local)
            continue;
        pid = cnode__pg_pid(s, m);
        for (size_t i = 0; i < m->times; i++)
            etf_put_pid(w, &pid);
    }
    etf_end_list(w);
    return true;
}

static int make_sync(cnode_pg *s, etf_view *out) {
    etf_writer *w = &s->message;
    etf_pid self = cnode_self(s->proc);
    const cnode__pg_group *g;

    cnode__next_term(w);
    etf_put_tuple(w, 2);
    etf_put_atom(w, "$gen_cast");
    etf_put_tuple(w, 3);
    etf_put_atom(w, "sync");
    etf_put_pid(w, &self);
    etf_begin_list(w);
    for (size_t at = 0; (g = cn__map_next(&s->groups, &at)) != NULL;)
        (void)put_group(s, w, g);
    etf_end_list(w);
    return etf_writer_finish(w, out);
}

/* made: what make_sync has said, and the message. */
static void send_made(cnode_pg *s, cnode__pg_owner *o, int made,
                      etf_view message) {
    int err = made == 0 ? send(s, o->pid, message) : made;

    o->synced = err == 0;
    if (err == 0) {
        o->asked = false;
        o->next_sync = cnode__now(s->node) + SYNC_MS;
    } else if (err != CN_ENOCONN) {
        later(s);
    }
}

static void send_sync(cnode_pg *s, cnode__pg_owner *o) {
    etf_view message;
    int made = make_sync(s, &message);

    send_made(s, o, made, message);
}

/* To those who have not got it, and those who have asked again. It is the same
 * for all, and made when the first one is found. */
static void send_syncs(cnode_pg *s) {
    uint64_t now = cnode__now(s->node);
    etf_view message = {NULL, 0};
    bool is_made = false;
    cnode__pg_owner *o;
    int made = 0;

    for (size_t at = 0; (o = cn__map_next(&s->peers, &at)) != NULL;) {
        if (o->synced && o->asked && now < o->next_sync)
            again(s, (uint32_t)(o->next_sync - now));
        if (o->synced && (!o->asked || now < o->next_sync))
            continue;
        if (!is_made)
            made = make_sync(s, &message);
        is_made = true;
        send_made(s, o, made, message);
    }
}

static void send_discover(cnode_pg *s, const etf_pid *to) {
    etf_pid self = cnode_self(s->proc);
    int err = cnode_send(s->proc, to, "{discover, ~p}", &self);

    if (err != 0 && err != CN_ENOCONN)
        later(s);
}

/* --- looking for scopes -------------------------------------------------- */

static bool hides_from(const cnode *n, const cnode__peer *p) {
    return !n->config.visible || cnode__policy_of(n, p) == CNODE_POLICY_HIDDEN;
}

/* Nobody else tells two of each other when one is hidden to the other. Who
 * hides looks; the other one would do no harm, but is asked anyway. */
static bool looks_at(const cnode_pg *s, const cnode__peer *p) {
    return p->up != NULL && !p->up->failed &&
           (cnode__peer_is_visible(p) || hides_from(s->node, p));
}

static bool knows(const cnode_pg *s, const cnode__peer *p) {
    return cn__map_get(&s->peers, p->name, strlen(p->name)) != NULL;
}

void cnode__pg_discover(cnode_pg *s, const cnode__peer *p) {
    etf_pid self;

    if (s->proc == NULL || !looks_at(s, p))
        return;
    self = cnode_self(s->proc);
    if (cnode_send_name(s->proc, p->name, s->name, "{discover, ~p}", &self) !=
        0)
        later(s);
    if (!cnode__peer_is_visible(p) && s->discover_ms != UINT32_MAX)
        again(s, s->discover_ms);
}

void cnode__pg_retry(cnode__timer *t) {
    cnode_pg *s = cnode__list_of(cnode_pg, retry_timer, t);
    bool lacking = s->lacking;
    cnode__peer *p;

    s->lacking = false;
    send_syncs(s);
    for (size_t at = 0; (p = cn__map_next(&s->node->peers, &at)) != NULL;)
        if (!knows(s, p) && (lacking || !cnode__peer_is_visible(p)))
            cnode__pg_discover(s, p);
}

/* --- other scopes -------------------------------------------------------- */

static void strange(cnode_pg *s, const char *from, const char *why,
                    etf_view term) {
    cnode *n = s->node;
    char text[300];

    if (!cnode__seldom(n, &s->quiet))
        return;
    (void)etf_print(term, text, sizeof text);
    cn__log(&n->config.log, CN_LOG_WARN, "pg", "scope %s: %s from %s: %s",
            s->name, why, from, text);
}

static void free_peer(cnode_pg *s, cnode__pg_owner *o) {
    const cn_alloc *a = &s->node->alloc;

    cn__free(a, o->pid, 1, sizeof *o->pid);
    cn__free(a, o, 1, sizeof *o);
}

void cnode__pg_drop_peer(cnode_pg *s, cnode__pg_owner *o) {
    (void)cn__map_remove(&s->peers, o->pid->node, o->pid->node_len);
    cnode__pg_leave_all(s, o);
    free_peer(s, o);
}

/* What cannot be kept of a node is lost with the connection: both sides know
 * then, and begin anew. */
static void lose(cnode_pg *s, const char *node) {
    cnode__peer *p;

    cnode__set_error(s->node, CN_ENOMEM, "out of memory");
    if (cnode__find_peer(s->node, node, &p) == 0 && p != NULL &&
        p->up != NULL && !p->up->failed)
        cnode__wire_fail(p->up, CN_ENOMEM, 0,
                         "pg: there is no memory for its members");
}

static cnode__pg_owner *new_peer(cnode_pg *s, const etf_pid *pid) {
    const cn_alloc *a = &s->node->alloc;
    cnode__pg_owner *o = cn__calloc(a, 1, sizeof *o);

    if (o == NULL)
        return NULL;
    cnode__list_init(&o->members);
    o->pid = cn__calloc(a, 1, sizeof *o->pid);
    if (o->pid != NULL) {
        *o->pid = *pid;
        if (cnode__monitor_words(s->proc, pid, o->monitor) == 0) {
            if (cn__map_put(&s->peers, o->pid->node, pid->node_len, o) == 0)
                return o;
            cnode__demonitor_words(s->proc, o->monitor);
        }
    }
    free_peer(s, o);
    return NULL;
}

static void forget(cnode_pg *s, cnode__pg_owner *o) {
    cnode__demonitor_words(s->proc, o->monitor);
    cnode__pg_drop_peer(s, o);
}

/* The scope with this pid, if it is known. */
static cnode__pg_owner *peer_of(const cnode_pg *s, const etf_pid *pid) {
    cnode__pg_owner *o = cn__map_get(&s->peers, pid->node, pid->node_len);

    return o != NULL && etf_pid_eq(o->pid, pid) ? o : NULL;
}

/* Known from now on. Another one of its node, which is heard of no more than
 * once, has ended: there is one process of a name. NULL: out of memory. */
static cnode__pg_owner *meet(cnode_pg *s, const etf_pid *pid, bool *is_new) {
    cnode__pg_owner *o = cn__map_get(&s->peers, pid->node, pid->node_len);
    uint64_t next_sync = o == NULL ? 0 : o->next_sync;

    *is_new = o == NULL || !etf_pid_eq(o->pid, pid);
    if (!*is_new)
        return o;
    if (o != NULL)
        forget(s, o);
    if (s->stopped)
        return NULL;
    o = new_peer(s, pid);
    if (o == NULL)
        lose(s, pid->node);
    else
        o->next_sync = next_sync;
    return o;
}

/* It waits if that node had one a moment ago. */
static void answer_sync(cnode_pg *s, cnode__pg_owner *o) {
    uint64_t now = cnode__now(s->node);

    if (now >= o->next_sync) {
        send_sync(s, o);
        return;
    }
    o->asked = true;
    again(s, (uint32_t)(o->next_sync - now));
}

static void on_discover(cnode_pg *s, const etf_pid *pid) {
    bool is_new;
    cnode__pg_owner *o = meet(s, pid, &is_new);

    if (o == NULL)
        return;
    answer_sync(s, o);
    if (is_new)
        send_discover(s, pid);
}

/* --- members of others --------------------------------------------------- */

/* A walk over what stands for one pid or a list of them. */
typedef struct pids {
    etf_reader r;
    uint32_t n;
    bool list;
} pids;

static void pids_begin(pids *p, etf_view term) {
    etf_reader_init(&p->r, term);
    p->list = etf_type_of(term) != ETF_PID;
    p->n = p->list ? etf_get_list(&p->r) : 1;
}

static bool pids_next(pids *p, etf_pid *out) {
    if (p->n == 0)
        return false;
    p->n--;
    etf_get_pid(&p->r, out);
    return p->r.err == 0;
}

/* Pids of that node, and nothing else? *n: how many. */
static bool pids_ok(etf_view term, const etf_pid *scope, size_t *n) {
    etf_pid pid;
    pids p;

    pids_begin(&p, term);
    for (*n = 0; pids_next(&p, &pid); ++*n)
        if (!cnode__pid_is_of(&pid, scope->node))
            return false;
    if (p.list)
        etf_get_tail(&p.r);
    return etf_reader_finish(&p.r) == 0;
}

/* It has had more than it may, if so. */
static void end_over(cnode_pg *s, cnode__pg_owner *o) {
    if (o->over == 0)
        return;
    cn__log(&s->node->config.log, CN_LOG_ERROR, "pg",
            "scope %s: the members of %s%s take more than %zu bytes: none of "
            "%s is known any more",
            s->name, o->pid->node,
            o->over == s->max_bytes ? "" : ", with those of all other nodes,",
            o->over, o->over == s->max_bytes ? "them" : "its own");
    cnode__pg_leave_all(s, o);
}

/* A member, old or new; NULL: it is over, or lost. times: how often all of o's
 * have joined then. */
static cnode__pg_member *admit(cnode_pg *s, cnode__pg_group *g,
                               cnode__pg_owner *o, const etf_pid *pid,
                               size_t times) {
    cnode__pg_member *m = cnode__pg_member_of(s, g, o, pid);
    size_t cost = m == NULL ? cnode__pg_cost(g) : 0;
    size_t others = s->times - o->times;

    if (o->bytes + cost + times * CNODE__PG_TIME > s->max_bytes)
        o->over = s->max_bytes;
    else if (s->bytes + cost + (others + times) * CNODE__PG_TIME > s->max_total)
        o->over = s->max_total;
    if (o->over != 0)
        return NULL;
    if (m != NULL)
        return m;
    m = cnode__pg_member_new(s, g, o, pid);
    if (m == NULL)
        lose(s, o->pid->node);
    return m;
}

/* The held group of a term. */
static int group_of(cnode_pg *s, cnode__pg_owner *o, etf_view term,
                    cnode__pg_group **g) {
    int err = cnode__pg_find(s, term, true, g);

    if (err == CN_ENOMEM)
        lose(s, o->pid->node);
    else if (err != 0)
        strange(s, o->pid->node, "a group that is no term", term);
    return err;
}

static void join(cnode_pg *s, cnode__pg_owner *o, cnode__pg_group *g,
                 etf_view list) {
    cnode__pg_batch b;
    etf_pid pid;
    pids p;

    cnode__pg_batch_init(&b, s);
    pids_begin(&p, list);
    while (pids_next(&p, &pid) && !s->stopped) {
        cnode__pg_member *m = admit(s, g, o, &pid, o->times + 1);
        if (m == NULL)
            break;
        cnode__pg_set(s, m, m->times + 1);
        cnode__pg_batch_add(&b, g, true, &pid, 1);
    }
    cnode__pg_batch_end(&b);
}

static void on_join(cnode_pg *s, const etf_pid *scope, etf_view group,
                    etf_view list, etf_view all) {
    cnode__pg_owner *o = peer_of(s, scope);
    cnode__pg_group *g;
    size_t n;

    if (o == NULL || o->over != 0)
        return; /* from before it was lost */
    if (!pids_ok(list, scope, &n)) {
        strange(s, scope->node, "what joins are not its processes", all);
        return;
    }
    if (group_of(s, o, group, &g) != 0)
        return;
    join(s, o, g, list);
    cnode__pg_let_go(s, g);
    end_over(s, o);
}

static void leave(cnode_pg *s, cnode__pg_owner *o, cnode__pg_group *g,
                  etf_view list, cnode__pg_batch *b) {
    etf_pid pid;
    pids p;

    pids_begin(&p, list);
    while (pids_next(&p, &pid) && !s->stopped) {
        cnode__pg_member *m = cnode__pg_member_of(s, g, o, &pid);
        if (m == NULL)
            continue;
        cnode__pg_batch_turn(b, g, false);
        cnode__pg_set(s, m, m->times - 1);
        cnode__pg_batch_add(b, g, false, &pid, 1);
    }
}

static void leave_groups(cnode_pg *s, cnode__pg_owner *o, etf_view groups,
                         etf_view list) {
    cnode__pg_batch b;
    etf_reader r;
    uint32_t n;

    cnode__pg_batch_init(&b, s);
    etf_reader_init(&r, groups);
    for (n = etf_get_list(&r); n > 0 && !s->stopped; n--) {
        cnode__pg_group *g;
        int err = cnode__pg_find(s, etf_get_term(&r), false, &g);

        if (err == CN_ENOMEM) {
            lose(s, o->pid->node);
            break;
        }
        if (err != 0 || g == NULL)
            continue;
        cnode__pg_hold(g);
        leave(s, o, g, list, &b);
        cnode__pg_let_go(s, g);
    }
    cnode__pg_batch_end(&b);
}

/* Who is left is asked for instead. */
static void too_much_leaves(cnode_pg *s, const cnode__pg_owner *o,
                            etf_view all) {
    strange(s, o->pid->node, "too much leaves at once", all);
    send_discover(s, o->pid);
}

static void on_leave(cnode_pg *s, const etf_pid *scope, etf_view list,
                     etf_view groups, etf_view all) {
    cnode__pg_owner *o = peer_of(s, scope);
    int64_t n_groups = cnode__list_length(groups);
    size_t n_pids;

    if (o == NULL || o->over != 0)
        return;
    if (!pids_ok(list, scope, &n_pids) || n_groups < 0)
        strange(s, scope->node, "what leaves are not its processes", all);
    else if (n_pids > 1 && n_groups > 1 &&
             n_pids > MOST_PAIRS / (size_t)n_groups)
        too_much_leaves(s, o, all);
    else
        leave_groups(s, o, groups, list);
}

/* --- all members of another scope ---------------------------------------- */

static bool sync_ok(etf_view groups, const etf_pid *scope) {
    etf_view group, list;
    etf_reader r;
    size_t n;

    etf_reader_init(&r, groups);
    for (uint32_t left = etf_get_list(&r); left > 0; left--)
        if (etf_match(etf_get_term(&r), "{~t, ~t}", &group, &list) != 0 ||
            !pids_ok(list, scope, &n))
            return false;
    etf_get_tail(&r);
    return etf_reader_finish(&r) == 0;
}

/* Counts how often each is wanted; false: it is over, or lost. */
static bool count_group(cnode_pg *s, cnode__pg_owner *o, etf_view group,
                        etf_view list, size_t *times) {
    cnode__pg_group *g;
    int err = group_of(s, o, group, &g);
    bool fine = true;
    etf_pid pid;
    pids p;

    if (err != 0)
        return err != CN_ENOMEM;
    pids_begin(&p, list);
    while (fine && pids_next(&p, &pid)) {
        cnode__pg_member *m = admit(s, g, o, &pid, ++*times);
        fine = m != NULL;
        if (fine)
            m->wanted++;
    }
    cnode__pg_let_go(s, g);
    return fine;
}

static bool count_all(cnode_pg *s, cnode__pg_owner *o, etf_view groups) {
    etf_view group = {NULL, 0}, list = group;
    size_t times = 0;
    bool fine = true;
    etf_reader r;

    for (cnode__list *l = o->members.next; l != &o->members; l = l->next)
        cnode__list_of(cnode__pg_member, in_owner, l)->wanted = 0;
    etf_reader_init(&r, groups);
    for (uint32_t n = etf_get_list(&r); n > 0 && fine; n--) {
        (void)etf_match(etf_get_term(&r), "{~t, ~t}", &group, &list);
        fine = count_group(s, o, group, list, &times);
    }
    return fine;
}

/* Callbacks that run meanwhile change members of this node only. */
static void take_over(cnode_pg *s, cnode__pg_owner *o) {
    cnode__list *next;
    cnode__pg_batch b;

    cnode__pg_batch_init(&b, s);
    for (cnode__list *l = o->members.next; l != &o->members && !s->stopped;
         l = next) {
        cnode__pg_member *m = cnode__list_of(cnode__pg_member, in_owner, l);
        cnode__pg_group *g = m->group;
        etf_pid pid = cnode__pg_pid(s, m);
        size_t had = m->times, has = m->wanted;

        next = l->next;
        cnode__pg_batch_turn(&b, g, has > had);
        cnode__pg_hold(g);
        cnode__pg_set(s, m, has);
        cnode__pg_batch_add(&b, g, has > had, &pid,
                            has > had ? has - had : had - has);
        cnode__pg_let_go(s, g);
    }
    cnode__pg_batch_end(&b);
}

static void on_sync(cnode_pg *s, const etf_pid *scope, etf_view groups,
                    etf_view all) {
    cnode__pg_owner *o;
    bool is_new;

    if (!sync_ok(groups, scope)) {
        strange(s, scope->node, "what is no list of its members", all);
        return;
    }
    o = meet(s, scope, &is_new);
    if (o == NULL)
        return;
    if (is_new)
        answer_sync(s, o);
    o->over = 0;
    (void)count_all(s, o, groups);
    if (o->over != 0)
        end_over(s, o);
    else
        take_over(s, o);
}

/* --- the process --------------------------------------------------------- */

/* Only the scope of that node speaks for it. */
static bool believed(cnode_pg *s, const char *peer, const etf_pid *scope,
                     etf_view all) {
    if (cnode__pid_is_of(scope, peer) &&
        strcmp(scope->node, s->node->name) != 0)
        return true;
    strange(s, peer, "a message of another node's scope", all);
    return false;
}

static void on_message(cnode_proc *self, const cnode_msg *m, void *data) {
    cnode_pg *s = data;
    etf_view t = m->term, a, b;
    etf_pid pid;

    (void)self;
    cnode__pg_drain(s);
    if (s->stopped)
        return;
    if (etf_match(t, "{discover, ~p}", &pid) == 0 ||
        etf_match(t, "{discover, ~p, _}", &pid) == 0) {
        if (believed(s, m->peer, &pid, t))
            on_discover(s, &pid);
    } else if (etf_match(t, "{join, ~p, ~t, ~t}", &pid, &a, &b) == 0) {
        if (believed(s, m->peer, &pid, t))
            on_join(s, &pid, a, b, t);
    } else if (etf_match(t, "{leave, ~p, ~t, ~t}", &pid, &a, &b) == 0) {
        if (believed(s, m->peer, &pid, t))
            on_leave(s, &pid, a, b, t);
    } else if (etf_match(t, "{'$gen_cast', {sync, ~p, ~t}}", &pid, &a) == 0) {
        if (believed(s, m->peer, &pid, t))
            on_sync(s, &pid, a, t);
    } else {
        strange(s, m->peer, "no message of a scope", t);
    }
}

/* In Erlang the scope would end; nobody is to wait for an answer. */
static void on_call(cnode_proc *self, const cnode_from *from, etf_view request,
                    void *data) {
    strange(data, from->pid.node, "no call of a scope", request);
    cnode__answer(self, from, "{error, badarg}");
}

static void on_down(cnode_proc *self, const cnode_down *d, void *data) {
    cnode_pg *s = data;
    cnode__pg_owner *o;
    uint64_t number;
    etf_pid pid;

    (void)self;
    cnode__pg_drain(s);
    if (s->stopped || etf_match(d->item, "~p", &pid) != 0)
        return;
    number = cnode__number_of(&pid);
    o = cnode__own_pid(s->node, &pid)
            ? cn__map_get(&s->locals, &number, sizeof number)
            : cn__map_get(&s->peers, pid.node, pid.node_len);
    if (o == NULL || memcmp(o->monitor, d->ref.ids, sizeof o->monitor) != 0)
        return;
    if (o->local)
        cnode__pg_drop_local(s, o);
    else
        cnode__pg_drop_peer(s, o);
}

static void on_end(cnode_proc *self, etf_view reason, void *data) {
    (void)self;
    (void)reason;
    cnode__pg_ended(data);
}

const cnode_proc_config cnode__pg_process = {.on_message = on_message,
                                             .on_call = on_call,
                                             .on_down = on_down,
                                             .on_end = on_end};
