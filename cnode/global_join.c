/* SPDX-License-Identifier: Apache-2.0
 *
 * global_join.c: how two nodes become members of one cluster. Each has the role
 * of the one that begins and that of the one that answers, often both at once:
 *
 *   connected      init_connect {8, MyTag}, MyLocker        both ways
 *   heard of him   init_connect_ack                         both ways
 *   after a while  lock `global` here, at him and at all nodes known here,
 *                  for the two lockers; lock_set true       who begins
 *                  the same, but not at him; lock_set true  who answers
 *   both locked    exchange: all names                      both ways
 *   names merged   resolved: what he is to change, and who is known here
 *   his resolved   both changes are made; the nodes known here are told of
 *                  him and his (new_nodes), he and his are known, the lock is
 *                  given back, and all of his are connected to and greeted
 *                  (in_sync)
 *
 * Two that have lost only each other join like that too, and know many of the
 * same nodes. The names of these are on both sides and so in no change, but a
 * third node that has lost one of them lacks his. So new_nodes says whom the
 * sender had before, {had, Node} behind what Erlang nodes read; who does not
 * have one of those looks for him, and joins with him.
 *
 * Whatever goes wrong ends this quietly: lock_set false, and there is another
 * try later; tags that do not fit (a connection was replaced while messages
 * were under way), and it begins anew on both sides; a lost connection. Who
 * does not go on for the tick time, while the lock is held for him, is
 * disconnected.
 *
 * The locker has one node at a time in hand; the others wait in two lists:
 * those it may begin with, and those that have begun themselves.
 */
#include <string.h>

#include "cnode/global_parts.h"

enum {
    FIRST_MS = 200, /* as OTP waits: with nobody known, ... */
    KNOWN_MS = 1000,
    EACH_MS = 100,
    MOST_MS = 3000
};

static void locker_next(cnode__global *g);

/* --- tags ---------------------------------------------------------------- */

/* Has he this tag? */
static bool is_tag_of(const cnode__member *m, int64_t tag) {
    return m->join != NULL && m->join->my_tag == tag;
}

static void send_cancel(cnode__global *g, const cnode__member *m, int64_t tag) {
    cnode__global_tell(g, m->name, "{cancel_connect, ~a, ~i}", g->node->name,
                       tag);
}

/* Half a join would leave him waiting: the connection ends, and with it all. */
static void no_memory(cnode__global *g, const cnode__member *m) {
    cnode__answered(g->node, m->name,
                    cnode__err(g->node, CN_ENOMEM, "out of memory"));
}

/* --- the lists of the locker --------------------------------------------- */

static void leave_candidates(cnode__global *g, cnode__member *m) {
    if (cnode__list_empty(&m->candidate))
        return;
    cnode__list_leave(&m->candidate);
    g->candidate_count--;
}

static void add_candidate(cnode__global *g, cnode__member *m) {
    if (!cnode__list_empty(&m->candidate))
        return;
    cnode__list_add(&g->candidates, &m->candidate);
    g->candidate_count++;
}

static void add_asker(cnode__global *g, cnode__member *m) {
    if (cnode__list_empty(&m->asker))
        cnode__list_add(&g->askers, &m->asker);
}

static void leave_lists(cnode__global *g, cnode__member *m) {
    leave_candidates(g, m);
    cnode__list_leave(&m->asker);
}

/* --- begin and end ------------------------------------------------------- */

void cnode__join_start(cnode__global *g, cnode__member *m) {
    cnode *n = g->node;
    etf_pid locker = cnode_self(g->locker);

    if (m->join != NULL)
        return;
    m->join = cn__calloc(&n->alloc, 1, sizeof *m->join);
    if (m->join == NULL) {
        no_memory(g, m);
        return;
    }
    m->join->my_tag = g->next_tag++;
    cnode__global_tell(g, m->name,
                       "{'$gen_cast', {init_connect, {~i, ~i}, ~a, {locker, "
                       "no_longer_a_pid, #{}, ~p}}}",
                       (int)CNODE__GLOBAL_VERSION, m->join->my_tag, n->name,
                       &locker);
}

static void free_join(cnode__global *g, cnode__join *j) {
    const cn_alloc *alloc = &g->node->alloc;

    etf_copy_free(alloc, j->names);
    etf_copy_free(alloc, j->ops);
    etf_copy_free(alloc, j->early);
    cn__free(alloc, j, 1, sizeof *j);
}

static void release(cnode__global *g) {
    cnode__timer_disarm(&g->node->timers, &g->locker_timer);
    g->state = LOCKER_RELEASING;
    cnode__grip_release(&g->grip);
}

/* A locker that is still locking sees it when it is done. */
static void let_go_of(cnode__global *g, const cnode__member *m) {
    if (g->him != m)
        return;
    g->merge++;
    if (g->state == LOCKER_WAITING || g->state == LOCKER_HOLDING)
        release(g);
}

void cnode__join_end(cnode__global *g, cnode__member *m, bool tell) {
    cnode__join *j = m->join;

    if (j == NULL)
        return;
    m->join = NULL;
    leave_lists(g, m);
    if (tell && j->greeted)
        send_cancel(g, m, j->his_tag);
    free_join(g, j);
    let_go_of(g, m);
}

static void restart(cnode__global *g, cnode__member *m, bool tell) {
    cnode__join_end(g, m, tell);
    if (m->up && !m->known)
        cnode__join_start(g, m);
}

/* --- the locker ---------------------------------------------------------- */

static uint32_t patience(cnode__global *g) {
    size_t ms = KNOWN_MS + EACH_MS * g->known;

    if (g->just_synced)
        return 0;
    if (g->known == 0)
        ms = FIRST_MS;
    else if (ms > MOST_MS)
        ms = MOST_MS;
    /* Not as long as others, who began at the same time. */
    return (uint32_t)ms + cnode__global_random(g, (uint32_t)ms / 4);
}

static void wait_a_while(cnode__global *g) {
    cnode__timer_arm(&g->node->timers, &g->locker_timer,
                     cnode__now(g->node) + patience(g));
    cnode__wake(g->node);
}

/* {global, [L1, L2]}, in the order of terms, so that it is the same for both.
 */
static int put_lock_id(cnode__global *g, const etf_pid *his, etf_view *out) {
    etf_pid mine = cnode_self(g->locker);
    etf_view a, b;
    int order = 0, err;

    cnode__next_term(&g->ops);
    etf_put_pid(&g->ops, &mine);
    a.len = etf_writer_size(&g->ops);
    etf_put_pid(&g->ops, his);
    err = etf_writer_finish(&g->ops, &b);
    if (err != 0)
        return err;
    a.data = b.data;
    b.data += a.len;
    b.len -= a.len;
    err = etf_compare(&g->node->alloc, a, b, &order);
    cnode__next_term(&g->his_ops);
    if (err == 0 && order <= 0)
        err = etf_pack(&g->his_ops, "{global, [~t, ~t]}", a, b);
    else if (err == 0)
        err = etf_pack(&g->his_ops, "{global, [~t, ~t]}", b, a);
    return err == 0 ? etf_writer_finish(&g->his_ops, out) : err;
}

/* Whom to lock: the boss, then this node and the one that it begins with, then
 * all that are known. */
static int add_fingers(cnode__global *g, const cnode__member *m) {
    const cnode__member *k;
    int err = cnode__grip_add(&g->grip, cnode__members_boss(g), 0);

    if (err == 0)
        err = cnode__grip_add(&g->grip, g->node->name, 1);
    if (err == 0 && g->initiator)
        err = cnode__grip_add(&g->grip, m->name, 1);
    for (size_t at = 0;
         err == 0 && (k = cn__map_next(&g->members, &at)) != NULL;)
        if (k->known)
            err = cnode__grip_add(&g->grip, k->name, 2);
    return err;
}

/* The lists are those of nodes in a join. */
static void take_lock(cnode__global *g, cnode__member *m, bool initiator) {
    etf_view id;
    int err = put_lock_id(g, &m->join->locker, &id);

    if (err == 0)
        err = cnode__grip_begin(&g->grip, id);
    g->initiator = initiator;
    if (err == 0)
        err = add_fingers(g, m);
    if (err != 0) { /* others are in the lists still */
        no_memory(g, m);
        wait_a_while(g);
        return;
    }
    cnode__timer_disarm(&g->node->timers, &g->locker_timer);
    g->state = LOCKER_LOCKING;
    g->him = m;
    g->him_tag = m->join->my_tag;
    cnode__grip_take(&g->grip);
}

static void locker_next(cnode__global *g) {
    cnode__member *m;

    if (g->state != LOCKER_FREE)
        return;
    m = cnode__list_first(cnode__member, asker, &g->askers);
    if (m != NULL) {
        cnode__list_leave(&m->asker);
        m->join->wants_lock = false;
        take_lock(g, m, false);
    } else if (g->candidate_count > 0 &&
               (g->just_synced || g->locker_timer.place == 0)) {
        wait_a_while(g);
    }
    g->just_synced = false;
}

static cnode__member *pick_candidate(cnode__global *g) {
    uint32_t skip = cnode__global_random(g, (uint32_t)g->candidate_count) - 1;
    const cnode__list *l = g->candidates.next;

    while (skip-- > 0)
        l = l->next;
    return cnode__list_of(cnode__member, candidate, l);
}

static void locker_free(cnode__global *g) {
    cnode__member *m = g->him;

    g->state = LOCKER_FREE;
    g->him = NULL;
    cnode__member_release(g, m);
    locker_next(g);
}

/* It is free, and somebody may wait for it. */
static void locker_wakes(cnode__global *g) {
    if (!cnode__list_empty(&g->askers))
        locker_next(g);
    else if (g->candidate_count == 0)
        return;
    else if (cnode__lock_is_set(g))
        wait_a_while(g);
    else
        take_lock(g, pick_candidate(g), true);
}

/* While it holds the lock nobody in the cluster can change a name. */
static void watch_locker(cnode__global *g) {
    cnode__timer_arm(&g->node->timers, &g->locker_timer,
                     cnode__now(g->node) +
                         (uint64_t)cnode__global_ticktime(g->node) * 1000);
    cnode__wake(g->node);
}

static void locker_is_stuck(cnode__global *g) {
    cn__log(&g->node->config.log, CN_LOG_ERROR, "global",
            "%s does not go on with joining this node: it is disconnected",
            g->him->name);
    cnode__global_part(g, g->him->name, CN_ETIMEDOUT,
                       "it does not go on with joining this node");
}

static void on_locker_timer(cnode__timer *t) {
    cnode__global *g = cnode__list_of(cnode__global, locker_timer, t);

    if (g->state == LOCKER_RELEASING)
        locker_free(g);
    else if (g->state == LOCKER_FREE)
        locker_wakes(g);
    else if (g->state == LOCKER_WAITING || g->state == LOCKER_HOLDING)
        locker_is_stuck(g);
}

/* It may be in the middle of anything that ended a join, which is not over: the
 * next one comes later. */
static void on_released(cnode__grip *grip) {
    cnode__global *g = cnode__list_of(cnode__global, grip, grip);

    cnode__timer_arm(&g->node->timers, &g->locker_timer, cnode__now(g->node));
    cnode__wake(g->node);
}

static void send_lock_set(cnode__global *g, const cnode__member *m, bool set) {
    etf_pid locker = cnode_self(g->locker);
    etf_view known;

    cnode__next_term(&g->his_ops);
    cnode__members_put_known(g, &g->his_ops, false);
    if (etf_writer_finish(&g->his_ops, &known) != 0)
        no_memory(g, m);
    else
        cnode__global_tell(g, m->name,
                           "{'$gen_cast', {lock_set, ~p, ~a, ~t, ~i}}", &locker,
                           set ? "true" : "false", known, m->join->his_tag);
}

/* Both are locked: my names for his. */
static void both_locked(cnode__global *g, cnode__member *m) {
    etf_view names = {NULL, 0};

    g->state = LOCKER_HOLDING;
    watch_locker(g);
    m->join->wants_lock = false;
    cnode__list_leave(&m->asker);
    m->join->locked = true;
    cnode__next_term(&g->his_ops);
    cnode__names_put(g, &g->his_ops);
    if (etf_writer_finish(&g->his_ops, &names) != 0) {
        no_memory(g, m);
        return;
    }
    cnode__global_tell(g, m->name, "{'$gen_cast', {exchange, ~a, ~t, [], ~i}}",
                       g->node->name, names, m->join->his_tag);
    if (m->join != NULL && m->join->exchanged)
        cnode__merge_start(g, m);
}

static void on_taken(cnode__grip *grip, bool got) {
    cnode__global *g = cnode__list_of(cnode__global, grip, grip);
    cnode__member *m = g->him;
    bool valid = is_tag_of(m, g->him_tag);

    if (!got && valid && !g->initiator)
        send_lock_set(g, m, false);
    if (!got || !valid) {
        if (m->join != NULL && m->join->wants_lock)
            add_asker(g, m);
        release(g);
        return;
    }
    g->state = LOCKER_WAITING;
    watch_locker(g);
    send_lock_set(g, m, true);
    if (!g->initiator || m->join->wants_lock)
        both_locked(g, m);
}

/* --- what he says -------------------------------------------------------- */

/* {Version, Tag}; later ones may say more behind it. */
static bool read_version(etf_view vsn, uint32_t *version, int64_t *tag) {
    etf_reader r;

    etf_reader_init(&r, vsn);
    if (etf_get_tuple(&r) < 2)
        return false;
    *version = (uint32_t)etf_get_uint(&r);
    *tag = etf_get_int(&r);
    if (*version > CNODE__GLOBAL_VERSION)
        *version = CNODE__GLOBAL_VERSION;
    return etf_reader_finish(&r) == 0;
}

static void on_init_connect(cnode__global *g, cnode__member *m, etf_view vsn,
                            etf_view init) {
    int64_t tag;
    uint32_t version;
    etf_pid locker;

    if (!read_version(vsn, &version, &tag) ||
        etf_match(init, "{locker, _, _, ~p}", &locker) != 0) {
        cnode__global_bad(g, m, "init_connect");
        return;
    }
    if (m->join == NULL)
        return;             /* it is known, and will be told so */
    if (m->join->greeted) { /* out of step: both begin anew */
        send_cancel(g, m, tag);
        restart(g, m, true);
        return;
    }
    m->join->his_tag = tag;
    m->join->locker = locker;
    m->join->greeted = true;
    m->version = version;
    cnode__global_tell(g, m->name, "{init_connect_ack, ~a, ~i, ~i}",
                       g->node->name, tag, m->join->my_tag);
    add_candidate(g, m);
    locker_next(g);
}

static void on_lock_set(cnode__global *g, cnode__member *m, bool set) {
    if (g->him == m && g->state == LOCKER_WAITING) {
        if (set)
            both_locked(g, m);
        else
            release(g);
        return;
    }
    if (!set || !m->join->greeted || m->join->wants_lock || m->join->locked)
        return;
    m->join->wants_lock = true;
    if (g->him == m && g->initiator && g->state == LOCKER_LOCKING)
        return; /* seen when this side has its locks */
    add_asker(g, m);
    locker_next(g);
}

void cnode__join_refused(cnode__global *g, const cnode__member *m) {
    if (g->him == m && g->state == LOCKER_WAITING)
        release(g);
}

/* Nothing is kept there yet. */
static bool keep(cnode__global *g, cnode__member *m, etf_view term,
                 etf_view *out) {
    if (etf_copy(&g->node->alloc, term, out) == 0)
        return true;
    no_memory(g, m);
    return false;
}

static void on_exchange(cnode__global *g, cnode__member *m, etf_view names) {
    if (m->join->exchanged || !keep(g, m, names, &m->join->names))
        return;
    m->join->exchanged = true;
    if (m->join->locked)
        cnode__merge_start(g, m);
}

static void learn(cnode__global *g, cnode__member *m, uint32_t version) {
    cnode__member_known(g, m, version);
    cnode__join_end(g, m, false);
}

static void reach(cnode__global *g, cnode__member *m, uint32_t version) {
    (void)version;
    cnode__member_reach(g, m);
}

/* The nodes known here hear of him and his. */
static void tell_known(cnode__global *g, const cnode__member *him,
                       etf_view message) {
    const cnode__member *m;

    for (size_t at = 0; (m = cn__map_next(&g->members, &at)) != NULL;)
        if (m->known && m->up && m != him)
            cnode__global_tell(g, m->name, "{'$gen_cast', ~t}", message);
}

/* The elements of a list, into one that is open. */
static void put_elements(etf_writer *w, etf_view list) {
    etf_list l;
    etf_view e;

    if (etf_match(list, "~l", &l) == 0)
        while (etf_list_next(&l, &e))
            etf_put_term(w, e);
}

/* {had, Node} for each of his that is known here already. */
static void put_had(cnode__global *g, etf_view known) {
    etf_list list;
    etf_view e, node;

    if (etf_match(known, "~l", &list) != 0)
        return;
    while (etf_list_next(&list, &e)) {
        const cnode__member *m = NULL;

        if (etf_match(e, "{~a, _}", &node) == 0 ||
            etf_match(e, "~a", &node) == 0)
            m = cnode__member_find(g, node);
        if (m != NULL && m->known)
            (void)etf_pack(&g->his_ops, "{had, ~a}", m->name);
    }
}

/* What both have made of the names, and {new_nodes, ...} with it. */
static int put_new_nodes(cnode__global *g, const cnode__member *m,
                         etf_view his_ops, etf_view known, etf_view ext,
                         etf_view *ops, etf_view *out) {
    etf_writer *w = &g->his_ops;
    int err;

    cnode__next_term(&g->ops);
    etf_begin_list(&g->ops);
    put_elements(&g->ops, m->join->ops);
    put_elements(&g->ops, his_ops);
    etf_end_list(&g->ops);
    err = etf_writer_finish(&g->ops, ops);
    if (err != 0)
        return err;
    cnode__next_term(w);
    etf_put_tuple(w, 6);
    etf_put_atom(w, "new_nodes");
    etf_put_atom(w, g->node->name);
    etf_put_term(w, *ops);
    etf_put_term(w, ext);
    etf_begin_list(w);
    (void)etf_pack(w, "{~a, ~i}", m->name, m->version);
    put_elements(w, known);
    etf_end_list(w);
    etf_begin_list(w);
    (void)etf_pack(w, "{vsn, ~i}", (int)CNODE__GLOBAL_VERSION);
    (void)etf_pack(w, "{lock, ~t}", g->grip.id);
    put_had(g, known);
    etf_end_list(w);
    return etf_writer_finish(w, out);
}

/* Both sides have decided: it is done. */
static void finish(cnode__global *g, cnode__member *m, etf_view his) {
    etf_view his_ops, known, ext, ops, message;

    if (etf_match(his, "{~t, ~t, ~t}", &his_ops, &known, &ext) != 0 ||
        put_new_nodes(g, m, his_ops, known, ext, &ops, &message) != 0) {
        no_memory(g, m);
        return;
    }
    cnode__merge_apply(g, ops, ext, (etf_view){NULL, 0});
    tell_known(g, m, message);
    cnode__member_known(g, m, m->version);
    if (!cnode__members_each(g, known, learn)) {
        cnode__global_bad(g, m, "resolved");
        return;
    }
    m->synced = true;
    g->just_synced = true;
    (void)cnode__members_each(g, known, reach);
    cnode__join_end(g, m, false);
    cnode__sync_look(g);
}

static void on_resolved(cnode__global *g, cnode__member *m, etf_view term) {
    etf_view v[3];
    etf_view his;

    if (etf_match(term, "{resolved, _, ~t, ~t, _, ~t, _}", &v[0], &v[1],
                  &v[2]) != 0)
        return;
    if (m->join->early.len > 0) {
        cnode__global_bad(g, m, "a second resolved");
        return;
    }
    cnode__next_term(&g->key);
    (void)etf_pack(&g->key, "{~t, ~t, ~t}", v[0], v[1], v[2]);
    if (etf_writer_finish(&g->key, &his) != 0)
        no_memory(g, m);
    else if (keep(g, m, his, &m->join->early))
        cnode__join_merged(g, m);
}

void cnode__join_merged(cnode__global *g, cnode__member *m) {
    etf_view his = m->join->early;

    if (!m->join->merged || his.len == 0)
        return;
    m->join->early = (etf_view){NULL, 0};
    finish(g, m, his);
    etf_copy_free(&g->node->alloc, his);
}

static void greet_new(cnode__global *g, cnode__member *m, uint32_t version) {
    bool was_known = m->known;

    if (m->missed)
        return;
    learn(g, m, version);
    if (!was_known)
        cnode__member_reach(g, m);
}

static void each_had(cnode__global *g, etf_view extra, cnode__member_fn fn) {
    etf_list list;
    etf_view e, node;

    if (etf_match(extra, "~l", &list) != 0)
        return;
    while (etf_list_next(&list, &e)) {
        cnode__member *m = NULL;

        if (etf_match(e, "{had, ~a}", &node) == 0)
            m = cnode__member_get(g, node);
        if (m != NULL)
            fn(g, m, 0);
    }
}

/* The sender had him and told this node so then: he was lost here since, and
 * his names with him. They come when both have met again, and join. */
static void miss(cnode__global *g, cnode__member *m, uint32_t version) {
    (void)version;
    m->missed = !m->known && cnode__redial_begin(g, m);
}

static void missed(cnode__global *g, cnode__member *m, uint32_t version) {
    (void)version;
    m->missed = false;
    cnode__member_release(g, m);
}

/* False: it is no list of nodes. */
static bool greet_all(cnode__global *g, etf_view nodes, etf_view extra) {
    bool ok;

    each_had(g, extra, miss);
    ok = cnode__members_each(g, nodes, greet_new);
    each_had(g, extra, missed);
    return ok;
}

static void on_new_nodes(cnode__global *g, cnode__member *from, etf_view term) {
    etf_view ops, ext, nodes, lock = {NULL, 0}, extra, e;
    etf_list list;

    if (etf_match(term, "{new_nodes, _, ~t, ~t, ~t, ~t}", &ops, &ext, &nodes,
                  &extra) != 0 ||
        !greet_all(g, nodes, extra)) {
        cnode__global_bad(g, from, "new_nodes");
        return;
    }
    if (etf_match(extra, "~l", &list) == 0)
        while (etf_list_next(&list, &e))
            if (etf_match(e, "{lock, {global, ~t}}", &lock) == 0)
                break;
    cnode__merge_apply(g, ops, ext, lock);
}

/* Whoever has this node as a member does not join with it. That this one has
 * him will come at once; if not, one of both has lost the other meanwhile, and
 * he is looked for. */
static void on_in_sync(cnode__global *g, cnode__member *m, bool has) {
    m->synced = true;
    if (has && !m->known)
        (void)cnode__redial_begin(g, m);
    cnode__join_end(g, m, false);
    cnode__sync_look(g);
}

/* The tag stands last in these. */
static bool has_tag(const cnode__member *m, etf_view tag) {
    int64_t value;

    return etf_match(tag, "~i", &value) == 0 && is_tag_of(m, value);
}

void cnode__join_on_cast(cnode__global *g, cnode__member *m, etf_view term) {
    etf_view a, b, set;
    etf_pid locker;

    if (etf_match(term, "{init_connect, ~t, _, ~t}", &a, &b) == 0) {
        on_init_connect(g, m, a, b);
    } else if (etf_match(term, "{lock_set, ~p, ~a, _, ~t}", &locker, &set,
                         &a) == 0) {
        if (has_tag(m, a))
            on_lock_set(g, m, etf_view_is(set, "true"));
    } else if (etf_match(term, "{exchange, _, ~t, _, ~t}", &a, &b) == 0) {
        if (has_tag(m, b))
            on_exchange(g, m, a);
    } else if (etf_match(term, "{resolved, _, _, _, _, _, ~t}", &a) == 0) {
        if (has_tag(m, a))
            on_resolved(g, m, term);
    } else if (etf_match(term, "{new_nodes, _, _, _, _, _}") == 0) {
        on_new_nodes(g, m, term);
    } else if (etf_match(term, "{in_sync, _, ~a}", &a) == 0) {
        on_in_sync(g, m, etf_view_is(a, "true"));
    }
}

void cnode__join_on_message(cnode__global *g, cnode__member *m, etf_view term) {
    int64_t mine, his;

    if (etf_match(term, "{init_connect_ack, _, ~i, ~i}", &mine, &his) == 0) {
        /* Unless he has not been heard of yet: then it is out of step too. */
        if (m->join != NULL &&
            (m->join->my_tag != mine ||
             (m->join->greeted && m->join->his_tag != his))) {
            send_cancel(g, m, his);
            restart(g, m, true);
        }
    } else if (etf_match(term, "{cancel_connect, _, ~i}", &mine) == 0) {
        if (is_tag_of(m, mine))
            restart(g, m, true);
    }
}

/* --- life ---------------------------------------------------------------- */

int cnode__joins_init(cnode__global *g) {
    cnode__list_init(&g->candidates);
    cnode__list_init(&g->askers);
    g->next_tag = 1;
    g->grip.node = g->node;
    g->grip.proc = g->locker;
    g->grip.taken = on_taken;
    g->grip.released = on_released;
    return cnode__timer_make(&g->node->timers, &g->locker_timer,
                             on_locker_timer);
}

void cnode__joins_free(cnode__global *g) {
    cnode__member *m;

    for (size_t at = 0; (m = cn__map_next(&g->members, &at)) != NULL;)
        if (m->join != NULL) {
            free_join(g, m->join);
            m->join = NULL;
        }
    g->him = NULL;
    cnode__timer_drop(&g->node->timers, &g->locker_timer);
    cnode__grip_free(&g->grip);
}
