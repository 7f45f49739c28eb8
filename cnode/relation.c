/* SPDX-License-Identifier: Apache-2.0
 *
 * relation.c: what ties processes together: links, monitors, aliases.
 *
 * A link is kept once for each local process in it. A monitor that a process
 * here has is a waiter, one that somebody has on a process here is a watch;
 * when both processes are here there are both. Every relation stands in two
 * lists, that of its process and that of its peer (NULL: a local one has no
 * peer), so that the end of either finds all of them.
 */
#include <string.h>

#include "cnode/control.h"
#include "cnode/node.h"
#include "cnode/sized.h"

/* --- keys ---------------------------------------------------------------- */

enum { PID_TERM_MAX = CNODE__PID_TERM, LINK_KEY_MAX = PID_TERM_MAX + 8 };

static void forget_node(uint32_t *creation, uint16_t *len, char *node) {
    *creation = 0;
    *len = 0;
    node[0] = '\0';
}

static etf_pid local_pid(const cnode *n, etf_pid pid) {
    if (cnode__own_pid(n, &pid))
        forget_node(&pid.creation, &pid.node_len, pid.node);
    return pid;
}

static size_t put_pid_term(const etf_pid *pid, uint8_t *buf, size_t cap) {
    etf_writer w;
    etf_view v = {NULL, 0};

    etf_writer_init_fixed(&w, buf, cap);
    etf_put_pid(&w, pid);
    return etf_writer_finish(&w, &v) == 0 ? v.len : 0;
}

static size_t put_pid_key(const cnode *n, const etf_pid *pid, uint8_t *buf) {
    etf_pid local = local_pid(n, *pid);
    return put_pid_term(&local, buf, PID_TERM_MAX);
}

static size_t put_ref_key(const etf_ref *ref, uint8_t *buf) {
    etf_writer w;
    etf_view v = {NULL, 0};

    etf_writer_init_fixed(&w, buf, PID_TERM_MAX);
    etf_put_ref(&w, ref);
    return etf_writer_finish(&w, &v) == 0 ? v.len : 0;
}

static size_t link_key(const cnode_proc *p, const etf_pid *other,
                       uint8_t key[LINK_KEY_MAX]) {
    memcpy(key, &p->number, 8);
    return 8 + put_pid_key(p->node, other, key + 8);
}

static void get_pid_term(const uint8_t *p, size_t n, etf_pid *out) {
    etf_reader r;

    etf_reader_init(&r, (etf_view){p, n});
    etf_get_pid(&r, out);
}

/* --- links --------------------------------------------------------------- */

cnode__link *cnode__link_find(cnode_proc *p, const etf_pid *other) {
    uint8_t key[LINK_KEY_MAX];
    size_t n = link_key(p, other, key);
    return cn__map_get(&p->node->links, key, n);
}

int cnode__link_add(cnode_proc *p, const etf_pid *other, cnode__peer *peer) {
    cnode *n = p->node;
    uint8_t key[LINK_KEY_MAX];
    size_t len = link_key(p, other, key);
    cnode__link *l = cn__calloc(&n->alloc, 1, sizeof *l + len);

    if (l == NULL)
        return CN_ENOMEM;
    l->proc = p;
    l->key_len = len;
    memcpy(l->key, key, len);
    cnode__list_init(&l->in_peer);
    if (cn__map_put(&n->links, l->key, len, l) != 0) {
        cn__free(&n->alloc, l, 1, sizeof *l + len);
        return CN_ENOMEM;
    }
    cnode__list_add(&p->links, &l->in_proc);
    if (peer != NULL)
        cnode__list_add(&peer->links, &l->in_peer);
    return 0;
}

void cnode__link_drop(cnode__link *l) {
    cnode *n = l->proc->node;

    (void)cn__map_remove(&n->links, l->key, l->key_len);
    cnode__list_leave(&l->in_proc);
    cnode__list_leave(&l->in_peer);
    cn__free(&n->alloc, l, 1, sizeof *l + l->key_len);
}

void cnode__link_other(const cnode__link *l, etf_pid *out) {
    get_pid_term(l->key + 8, l->key_len - 8, out);
}

static int tell_link(cnode_proc *p, const etf_pid *to, cnode_signal signal,
                     uint64_t id) {
    cnode *n = p->node;
    cnode__peer *peer;
    cnode_ctrl c;
    int err = cnode__find_peer_n(n, to->node, to->node_len, &peer);

    if (err != 0)
        return err;
    cnode__ctrl_clear(&c, signal);
    c.from = cnode__pid_of(n, p->number);
    c.to = *to;
    c.id = id;
    return cnode__route(n, peer, &c);
}

int cnode_link(cnode_proc *p, const etf_pid *to) {
    cnode *n = p->node;
    cnode__link *l = cnode__link_find(p, to);
    cnode__peer *peer;
    int err;

    if (p->ended)
        return cnode__gone(p);
    if (l != NULL && l->unlink_id == 0)
        return 0;
    err = cnode__find_peer_n(n, to->node, to->node_len, &peer);
    if (err != 0)
        return err;
    if (l == NULL && cnode__link_add(p, to, peer) != 0)
        return cnode__err(n, CN_ENOMEM, "link: out of memory");
    err = tell_link(p, to, CNODE_SIG_LINK, 0);
    if (err == 0 && l != NULL)
        l->unlink_id = 0; /* active again; the late ACK will be ignored */
    if (err != 0 && l == NULL && (l = cnode__link_find(p, to)) != NULL)
        cnode__link_drop(l);
    return err;
}

int cnode_unlink(cnode_proc *p, const etf_pid *to) {
    cnode__link *l = cnode__link_find(p, to);
    uint64_t id = p->node->next_unlink++;
    int err;

    if (l == NULL || l->unlink_id != 0)
        return 0;
    err = tell_link(p, to, CNODE_SIG_UNLINK, id);
    if (err == 0)
        l->unlink_id = id;
    return err;
}

/* --- watches ------------------------------------------------------------- */

static size_t watch_size(size_t ref, size_t pid, size_t name) {
    return sizeof(cnode__watch) + ref + pid + name;
}

cnode__watch *cnode__watch_find(cnode *n, const etf_ref *ref,
                                const etf_pid *watcher) {
    uint8_t key[2 * PID_TERM_MAX];
    size_t len = put_ref_key(ref, key);

    len += put_pid_key(n, watcher, key + len);
    return cn__map_get(&n->watches, key, len);
}

int cnode__watch_add(cnode_proc *p, cnode__peer *peer, const etf_ref *ref,
                     const etf_pid *watcher, etf_view name) {
    cnode *n = p->node;
    uint8_t key[2 * PID_TERM_MAX];
    size_t ref_len = put_ref_key(ref, key);
    size_t pid_len = put_pid_key(n, watcher, key + ref_len);
    size_t size = watch_size(ref_len, pid_len, name.len);
    cnode__watch *w;

    if (cn__map_get(&n->watches, key, ref_len + pid_len) != NULL)
        return 0; /* the same monitor twice */
    w = cn__calloc(&n->alloc, 1, size);
    if (w == NULL)
        return CN_ENOMEM;
    w->proc = p;
    w->ref_len = (uint16_t)ref_len;
    w->pid_len = (uint16_t)pid_len;
    w->name_len = (uint16_t)name.len;
    memcpy(w->key, key, ref_len + pid_len);
    if (name.len > 0)
        memcpy(w->key + ref_len + pid_len, name.data, name.len);
    cnode__list_init(&w->in_peer);
    cnode__list_init(&w->pendings);
    if (cn__map_put(&n->watches, w->key, ref_len + pid_len, w) != 0) {
        cn__free(&n->alloc, w, size, 1);
        return CN_ENOMEM;
    }
    cnode__list_add(&p->watches, &w->in_proc);
    if (peer != NULL)
        cnode__list_add(&peer->watches, &w->in_peer);
    return 0;
}

void cnode__watch_drop(cnode__watch *w) {
    cnode_proc *p = w->proc;
    cnode *n = p->node;
    cnode__list waited;

    cn__list_move(&w->pendings, &waited);
    (void)cn__map_remove(&n->watches, w->key, (size_t)w->ref_len + w->pid_len);
    cnode__list_leave(&w->in_proc);
    cnode__list_leave(&w->in_peer);
    cn__free(&n->alloc, w, watch_size(w->ref_len, w->pid_len, w->name_len), 1);
    cnode__pending_unwatched(p, w, &waited);
}

void cnode__watch_fire(cnode__watch *w, etf_view reason) {
    cnode *n = w->proc->node;
    cnode__peer *peer;
    etf_reader r;
    cnode_ctrl c;

    cnode__ctrl_clear(&c, CNODE_SIG_DOWN);
    etf_reader_init(&r, (etf_view){w->key, w->ref_len});
    etf_get_ref(&r, &c.ref);
    get_pid_term(w->key + w->ref_len, w->pid_len, &c.to);
    c.from = cnode__pid_of(n, w->proc->number);
    c.by_name = w->name_len > 0;
    c.name = (etf_view){w->key + w->ref_len + w->pid_len, w->name_len};
    c.term = reason;
    if (cnode__find_peer_n(n, c.to.node, c.to.node_len, &peer) == 0)
        (void)cnode__tell(n, peer, &c);
    cnode__watch_drop(w);
}

/* --- references and waiters ---------------------------------------------- */

/* Three words, the first of 18 bits, as the BEAM makes them. */
etf_ref cnode__ref_of(const cnode *n, uint64_t number) {
    etf_ref ref;
    size_t len = strlen(n->name);

    ref.n = 3;
    ref.ids[0] = (uint32_t)(number & 0x3ffff);
    ref.ids[1] = (uint32_t)(number >> 18);
    ref.ids[2] = (uint32_t)(number >> 50);
    ref.ids[3] = ref.ids[4] = 0;
    ref.creation = n->creation;
    ref.node_len = (uint16_t)len;
    memcpy(ref.node, n->name, len + 1);
    return ref;
}

etf_ref cnode_make_ref(cnode *n) {
    n->creation_used = true;
    return cnode__ref_of(n, n->next_ref++);
}

static bool number_of_ref(const cnode *n, const etf_ref *ref,
                          uint64_t *number) {
    if (ref->n != 3 || ref->ids[0] > 0x3ffff ||
        (ref->node_len > 0 && ref->creation != n->creation) ||
        !cnode__is_self(n, ref->node, ref->node_len))
        return false;
    *number = (uint64_t)ref->ids[0] | (uint64_t)ref->ids[1] << 18 |
              (uint64_t)ref->ids[2] << 50;
    return true;
}

static void make_pid_local(const cnode *n, etf_pid *pid) {
    if (cnode__own_pid(n, pid))
        forget_node(&pid->creation, &pid->node_len, pid->node);
}

void cnode__make_local(const cnode *n, cnode_ctrl *c) {
    uint64_t number;

    make_pid_local(n, &c->from);
    make_pid_local(n, &c->to);
    if (number_of_ref(n, &c->ref, &number))
        forget_node(&c->ref.creation, &c->ref.node_len, c->ref.node);
}

cnode__waiter *cnode__waiter_find(cnode *n, const etf_ref *ref) {
    uint64_t number;

    if (!number_of_ref(n, ref, &number))
        return NULL;
    return cn__map_get(&n->waiters, &number, sizeof number);
}

static cnode__waiter *new_waiter(cnode *n, etf_view item, etf_view tag) {
    cnode__waiter *w = cn__calloc(&n->alloc, 1, sizeof *w + item.len + tag.len);

    if (w == NULL)
        return NULL;
    w->number = n->next_ref++;
    w->item_len = w->item_cap = item.len;
    w->tag_len = tag.len;
    if (item.len > 0)
        memcpy(w->item, item.data, item.len);
    if (tag.len > 0)
        memcpy(w->item + item.len, tag.data, tag.len);
    cnode__list_init(&w->in_peer);
    return w;
}

static void free_waiter(cnode *n, cnode__waiter *w) {
    w->gone = true;
    if (!w->held)
        cn__free(&n->alloc, w, 1, sizeof *w + w->item_cap + w->tag_len);
}

int cnode__waiter_make(cnode_proc *p, cnode__peer *peer, cnode__wait kind,
                       etf_view item, etf_view tag, cnode__waiter **out) {
    cnode *n = p->node;
    cnode__waiter *w;

    *out = NULL;
    if (p->ended)
        return cnode__gone(p);
    w = new_waiter(n, item, tag);
    if (w == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    w->kind = kind;
    w->proc = p;
    w->peer = peer;
    if (cnode__timer_make(&n->timers, &w->timer, cnode__call_timer) != 0 ||
        cn__map_put(&n->waiters, &w->number, sizeof w->number, w) != 0) {
        cnode__timer_drop(&n->timers, &w->timer);
        free_waiter(n, w);
        return cnode__err(n, CN_ENOMEM, "out of memory");
    }
    cnode__list_add(&p->waiters, &w->in_proc);
    if (peer != NULL)
        cnode__list_add(&peer->waiters, &w->in_peer);
    if (kind == WAIT_CALL || kind == WAIT_REX)
        p->calls++;
    *out = w;
    return 0;
}

int cnode__waiter_add(cnode_proc *p, cnode__peer *peer, cnode__wait kind,
                      etf_view item, cnode__waiter **out) {
    return cnode__waiter_make(p, peer, kind, item, (etf_view){NULL, 0}, out);
}

/* Nothing finds it any more. */
static void detach(cnode__waiter *w) {
    cnode *n = w->proc->node;

    if (w->kind == WAIT_CALL || w->kind == WAIT_REX)
        w->proc->calls--;
    (void)cn__map_remove(&n->waiters, &w->number, sizeof w->number);
    cnode__timer_drop(&n->timers, &w->timer);
    cnode__list_leave(&w->in_proc);
    cnode__list_leave(&w->in_peer);
}

void cnode__waiter_drop(cnode__waiter *w) {
    cnode *n = w->proc->node;

    detach(w);
    free_waiter(n, w);
}

void cnode__waiter_target(cnode__waiter *w, const etf_pid *pid) {
    w->item_len = put_pid_term(pid, w->item, w->item_cap);
}

/* --- monitors ------------------------------------------------------------ */

/* The item of a DOWN: a pid, or {Name, Node}. */
static void target_of(const cnode__waiter *w, cnode_ctrl *c) {
    etf_view item = {w->item, w->item_len};
    etf_view node;

    c->by_name = etf_match(item, "{~a, ~a}", &c->name, &node) == 0;
    if (!c->by_name)
        get_pid_term(item.data, item.len, &c->to);
}

static int monitor(cnode_proc *p, const char *node, size_t len,
                   const cnode_monitor_opts *o, etf_view item, etf_ref *ref) {
    cnode *n = p->node;
    cnode__peer *peer;
    cnode__waiter *w;
    cnode_ctrl c;
    int err = cnode__find_peer_n(n, node, len, &peer);

    if (err == 0)
        err = cnode__waiter_make(p, peer, WAIT_MONITOR, item, o->tag, &w);
    if (err != 0)
        return err;
    w->alias = o->alias;
    w->alias_priority = o->alias_priority;
    w->priority = o->priority;
    cnode__ctrl_clear(&c, CNODE_SIG_MONITOR);
    c.from = cnode__pid_of(n, p->number);
    c.ref = cnode__ref_of(n, w->number);
    target_of(w, &c);
    err = cnode__route(n, peer, &c);
    if (err != 0) {
        cnode__waiter_drop(w);
        return err;
    }
    if (ref != NULL)
        *ref = c.ref;
    return 0;
}

static int monitor_pid(cnode_proc *p, const cnode_monitor_opts *o,
                       etf_ref *ref) {
    uint8_t buf[PID_TERM_MAX];
    size_t n = put_pid_term(o->pid, buf, sizeof buf);
    return monitor(p, o->pid->node, o->pid->node_len, o, (etf_view){buf, n},
                   ref);
}

static int monitor_name(cnode_proc *p, const cnode_monitor_opts *o,
                        etf_ref *ref) {
    uint8_t buf[1100];
    const char *where = o->node != NULL ? o->node : p->node->name;
    etf_writer w;
    etf_view item;
    int err;

    etf_writer_init_fixed(&w, buf, sizeof buf);
    (void)etf_pack(&w, "{~a, ~a}", o->name, where);
    err = etf_writer_finish(&w, &item);
    if (err != 0)
        return cnode__err(p->node, CN_EBADARG, "monitor: bad name");
    return monitor(p, where, strlen(where), o, item, ref);
}

int cnode_monitor_with_sized(cnode_proc *p, const cnode_monitor_opts *given,
                             size_t size, etf_ref *ref) {
    cnode_monitor_opts known;
    const cnode_monitor_opts *o =
        cnode__take_sized(&known, sizeof known, given, size);
    if ((o->pid == NULL) == (o->name == NULL))
        return cnode__err(p->node, CN_EBADARG,
                          "monitor: give a process by pid or by name");
    return o->pid != NULL ? monitor_pid(p, o, ref) : monitor_name(p, o, ref);
}

int cnode_monitor_pid(cnode_proc *p, const etf_pid *to, etf_ref *ref) {
    const cnode_monitor_opts o = {.pid = to};
    return monitor_pid(p, &o, ref);
}

int cnode_monitor(cnode_proc *p, const char *node, const char *name,
                  etf_ref *ref) {
    const cnode_monitor_opts o = {.node = node, .name = name};
    return monitor_name(p, &o, ref);
}

void cnode__send_demonitor(cnode__waiter *w) {
    cnode *n = w->proc->node;
    cnode_ctrl c;

    cnode__ctrl_clear(&c, CNODE_SIG_DEMONITOR);
    c.from = cnode__pid_of(n, w->proc->number);
    c.ref = cnode__ref_of(n, w->number);
    target_of(w, &c);
    (void)cnode__tell(n, w->peer, &c);
}

/* What is left of a monitor whose alias is to be taken back explicitly. */
static void stay_as_alias(cnode__waiter *w) {
    w->kind = WAIT_ALIAS;
    w->alias = CNODE_ALIAS_NONE;
    w->peer = NULL;
    w->item_len = 0;
    cnode__list_leave(&w->in_peer);
}

/* Tells the other side that nobody watches any more. */
static void end_monitor(cnode__waiter *w) {
    if (w->pending_reply) { /* whoever asked for the process hears of it */
        w->kind = WAIT_SPAWN;
        w->alias = CNODE_ALIAS_NONE;
        return;
    }
    cnode__send_demonitor(w);
    if (w->alias == CNODE_ALIAS_EXPLICIT)
        stay_as_alias(w);
    else
        cnode__waiter_drop(w);
}

static bool is_monitor(const cnode__waiter *w) {
    return w->kind == WAIT_MONITOR || w->kind == WAIT_SPAWN_MONITOR;
}

int cnode_demonitor(cnode_proc *p, const etf_ref *ref) {
    cnode__waiter *w = cnode__waiter_find(p->node, ref);

    if (w == NULL || w->proc != p || !is_monitor(w))
        return cnode__err(p->node, CN_ENOENT, "no such monitor");
    end_monitor(w);
    return 0;
}

static void put_down(etf_writer *w, const cnode__waiter *m,
                     const cnode_down *d) {
    static const uint8_t down[] = {119, 4, 'D', 'O', 'W', 'N'};
    etf_view tag = {m->item + m->item_cap, m->tag_len};

    if (tag.len == 0)
        tag = (etf_view){down, sizeof down};
    (void)etf_pack(w, "{~t, ~r, process, ~t, ~t}", tag, &d->ref, d->item,
                   d->term);
}

static void deliver_down(cnode_proc *p, const cnode__waiter *from,
                         const cnode_down *d) {
    cnode__message m = {
        .system = true, .priority = from->priority, .apart = true};
    etf_writer w;

    if (p->kind->config.on_down != NULL) {
        p->kind->config.on_down(p, d, p->data);
        return;
    }
    etf_writer_init(&w, &p->node->alloc);
    put_down(&w, from, d);
    if (etf_writer_finish(&w, &m.term) == 0)
        cnode__deliver(p, &m);
    else
        cnode__drop_message(p, "out of memory");
    etf_writer_free(&w);
}

void cnode__fire_down(cnode__waiter *w, etf_view reason) {
    cnode_proc *p = w->proc;
    cnode *n = p->node;
    bool stays = w->alias == CNODE_ALIAS_EXPLICIT;
    cnode_down d = {
        cnode__ref_of(n, w->number), {w->item, w->item_len}, reason};

    w->held = true; /* d is in it, and it may be dropped in the callback */
    if (stays)
        stay_as_alias(w);
    else
        detach(w);
    if (!p->ended)
        deliver_down(p, w, &d);
    w->held = false;
    if (!stays || w->gone)
        free_waiter(n, w);
}

/* --- aliases ------------------------------------------------------------- */

int cnode_alias_with(cnode_proc *p, unsigned how, etf_ref *alias) {
    bool once = (how & CNODE_ALIAS_REPLY) != 0;
    cnode__waiter *w;
    int err = cnode__waiter_add(p, NULL, once ? WAIT_ALIAS_ONCE : WAIT_ALIAS,
                                (etf_view){NULL, 0}, &w);

    if (err != 0)
        return err;
    w->alias_priority = (how & CNODE_ALIAS_PRIORITY) != 0;
    *alias = cnode__ref_of(p->node, w->number);
    return 0;
}

int cnode_alias(cnode_proc *p, bool once, etf_ref *alias) {
    return cnode_alias_with(p, once ? CNODE_ALIAS_REPLY : 0, alias);
}

static bool is_alias(const cnode__waiter *w) {
    return w->kind == WAIT_ALIAS || w->kind == WAIT_ALIAS_ONCE ||
           (is_monitor(w) && w->alias != CNODE_ALIAS_NONE);
}

int cnode_unalias(cnode_proc *p, const etf_ref *alias) {
    cnode__waiter *w = cnode__waiter_find(p->node, alias);

    if (w == NULL || w->proc != p || !is_alias(w))
        return cnode__err(p->node, CN_ENOENT, "no such alias");
    if (is_monitor(w))
        w->alias = CNODE_ALIAS_NONE; /* the monitor stays */
    else
        cnode__waiter_drop(w);
    return 0;
}

cnode__waiter *cnode__alias_find(cnode *n, const etf_ref *alias) {
    cnode__waiter *w = cnode__waiter_find(n, alias);
    return w != NULL && is_alias(w) ? w : NULL;
}

void cnode__alias_used(cnode__waiter *w) {
    if (w->kind == WAIT_ALIAS_ONCE)
        cnode__waiter_drop(w);
    else if (w->alias == CNODE_ALIAS_REPLY_DEMONITOR)
        end_monitor(w);
}

/* --- ends ---------------------------------------------------------------- */

static void end_link(cnode__link *l, etf_view reason) {
    cnode_proc *p = l->proc;
    cnode *n = p->node;
    cnode__peer *peer;
    cnode_ctrl c;

    if (l->unlink_id == 0) {
        cnode__ctrl_clear(&c, CNODE_SIG_EXIT);
        c.from = cnode__pid_of(n, p->number);
        cnode__link_other(l, &c.to);
        c.term = reason;
        cnode__trace_put(p, &c);
        if (cnode__find_peer_n(n, c.to.node, c.to.node_len, &peer) == 0)
            (void)cnode__tell(n, peer, &c);
    }
    cnode__link_drop(l);
}

/* --- orphans ------------------------------------------------------------- */

cnode__orphan *cnode__orphan_find(cnode *n, const etf_ref *ref) {
    uint64_t number;

    if (!number_of_ref(n, ref, &number))
        return NULL;
    return cn__map_get(&n->orphans, &number, sizeof number);
}

void cnode__orphan_drop(cnode *n, cnode__orphan *o) {
    (void)cn__map_remove(&n->orphans, &o->number, sizeof o->number);
    cnode__list_leave(&o->in_node);
    cn__free(&n->alloc, o, 1, sizeof *o + o->len);
}

/* Without memory the process will see noproc. */
static void leave_orphan(const cnode__waiter *w, etf_view reason) {
    cnode *n = w->proc->node;
    cnode__orphan *o = cn__calloc(&n->alloc, 1, sizeof *o + reason.len);

    if (o != NULL) {
        o->peer = w->peer;
        o->number = w->number;
        o->len = reason.len;
        memcpy(o->reason, reason.data, reason.len);
        if (cn__map_put(&n->orphans, &o->number, sizeof o->number, o) == 0) {
            cnode__list_add(&n->parents, &o->in_node);
            return;
        }
        cn__free(&n->alloc, o, 1, sizeof *o + reason.len);
    }
    cn__log(&n->config.log, CN_LOG_ERROR, "node",
            "out of memory, the reason of an end was lost");
}

static void lose_orphans(cnode *n, const cnode__peer *peer) {
    cnode__list *l = n->parents.next;

    while (l != &n->parents) {
        cnode__orphan *o = cnode__list_of(cnode__orphan, in_node, l);
        l = l->next;
        if (o->peer == peer)
            cnode__orphan_drop(n, o);
    }
}

/* --- ends of processes --------------------------------------------------- */

static void end_waiter(cnode__waiter *w, etf_view reason) {
    if (w->pending_reply && w->link)
        leave_orphan(w, reason);
    if (w->kind == WAIT_MONITOR) {
        cnode__send_demonitor(w);
        cnode__waiter_drop(w);
    } else if (w->kind == WAIT_ALIAS || w->kind == WAIT_ALIAS_ONCE) {
        cnode__waiter_drop(w);
    } else {
        cnode__call_cancel(w);
    }
}

typedef struct wakeup {
    cnode__list in_proc;
    cnode_proc *proc;
    cnode__timer timer;
    void (*fn)(cnode_proc *p, void *arg);
    void *arg;
} wakeup;

static void free_wakeup(wakeup *a) {
    cnode *n = a->proc->node;

    cnode__list_leave(&a->in_proc);
    cnode__timer_drop(&n->timers, &a->timer);
    cn__free(&n->alloc, a, 1, sizeof *a);
}

void cnode__relations_end(cnode_proc *p, etf_view reason) {
    cnode__link *l;
    cnode__watch *w;
    cnode__waiter *m;
    wakeup *a;

    while ((l = cnode__list_first(cnode__link, in_proc, &p->links)) != NULL)
        end_link(l, reason);
    while ((w = cnode__list_first(cnode__watch, in_proc, &p->watches)) != NULL)
        cnode__watch_fire(w, reason);
    while ((m = cnode__list_first(cnode__waiter, in_proc, &p->waiters)) != NULL)
        end_waiter(m, reason);
    while ((a = cnode__list_first(wakeup, in_proc, &p->timers)) != NULL)
        free_wakeup(a);
}

static void lose_link(cnode__link *l, etf_view reason) {
    cnode_proc *p = l->proc;
    bool active = l->unlink_id == 0;
    etf_pid other;
    const cnode__exit e = {.from = &other, .reason = reason, .linked = true};

    cnode__link_other(l, &other);
    cnode__link_drop(l);
    if (active)
        cnode__exit_signal(p, &e);
}

static void lose_waiter(cnode__waiter *w, etf_view reason,
                        const cn_error *why) {
    if (w->kind == WAIT_MONITOR ||
        (w->kind == WAIT_SPAWN_MONITOR && !w->pending_reply))
        cnode__fire_down(w, reason);
    else
        cnode__call_lost(w, why);
}

/* "Exactly once, before anything from a new connection": nothing of a lost
 * peer stays in its lists. */
void cnode__relations_lost(cnode *n, cnode__peer *peer, const cn_error *why) {
    uint8_t buf[32];
    etf_view reason = cnode__atom("noconnection", buf, sizeof buf);
    cnode__list links, waiters;
    cnode__link *l;
    cnode__watch *w;
    cnode__waiter *m;

    lose_orphans(n, peer);
    /* Callbacks may make new ones for the next connection; those stay. */
    links = waiters = (cnode__list){NULL, NULL};
    cnode__list_init(&links);
    cnode__list_init(&waiters);
    while ((w = cnode__list_first(cnode__watch, in_peer, &peer->watches)) !=
           NULL)
        cnode__watch_drop(w);
    while ((l = cnode__list_first(cnode__link, in_peer, &peer->links)) !=
           NULL) {
        cnode__list_leave(&l->in_peer);
        cnode__list_add(&links, &l->in_peer);
    }
    while ((m = cnode__list_first(cnode__waiter, in_peer, &peer->waiters)) !=
           NULL) {
        cnode__list_leave(&m->in_peer);
        cnode__list_add(&waiters, &m->in_peer);
    }
    n->peer_now = peer->name;
    while ((l = cnode__list_first(cnode__link, in_peer, &links)) != NULL)
        lose_link(l, reason);
    while ((m = cnode__list_first(cnode__waiter, in_peer, &waiters)) != NULL)
        lose_waiter(m, reason, why);
    n->peer_now = n->name;
}

/* --- signals that were lost ---------------------------------------------- */

/* From here to here there is no connection to end when there is no memory for
 * a signal. But what it was to end is there, and hangs in no list of a peer: so
 * it goes into one of those that are lost. Its reason is gone. */
static void add_unheard(cnode__list *list, cnode__list *in_peer) {
    if (cnode__list_empty(in_peer))
        cnode__list_add(list, in_peer);
}

static void unheard_link(cnode *n, const cnode_ctrl *c) {
    cnode_proc *p = cnode__proc_of(n, &c->to);
    cnode__link *l = p == NULL ? NULL : cnode__link_find(p, &c->from);

    if (l != NULL && c->signal == CNODE_SIG_EXIT)
        add_unheard(&n->unheard_links, &l->in_peer);
    else if (l != NULL && l->unlink_id == c->id)
        cnode__link_drop(l);
}

void cnode__unheard(cnode *n, const cnode_ctrl *c) {
    cnode_signal s = c->signal;
    cnode__waiter *m = NULL;
    cnode__watch *w = NULL;
    cnode_ctrl local;

    n->unheard = true;
    cnode__ctrl_copy(&local, c);
    cnode__make_local(n, &local);
    if (s == CNODE_SIG_EXIT || s == CNODE_SIG_UNLINK_ACK)
        unheard_link(n, &local);
    else if (s == CNODE_SIG_DOWN || s == CNODE_SIG_SPAWN_REPLY)
        m = cnode__waiter_find(n, &local.ref);
    else if (s == CNODE_SIG_DEMONITOR)
        w = cnode__watch_find(n, &local.ref, &local.from);
    if (m != NULL)
        add_unheard(&n->unheard_waiters, &m->in_peer);
    if (w != NULL)
        add_unheard(&n->unheard_watches, &w->in_peer);
    cnode__wake(n);
}

/* What ended it may have been lost before it came. */
void cnode__check_heard(cnode *n, const cnode_ctrl *c) {
    cnode__watch *w;
    cnode__link *l;

    if (!n->unheard)
        return;
    if (c->signal == CNODE_SIG_LINK && cnode__proc_of(n, &c->from) == NULL) {
        l = cnode__link_find(cnode__proc_of(n, &c->to), &c->from);
        add_unheard(&n->unheard_links, &l->in_peer);
    }
    if (c->signal == CNODE_SIG_MONITOR &&
        cnode__waiter_find(n, &c->ref) == NULL) {
        w = cnode__watch_find(n, &c->ref, &c->from);
        add_unheard(&n->unheard_watches, &w->in_peer);
    }
}

void cnode__run_unheard(cnode *n, void (*run)(cnode *n)) {
    static const cn_error why = {CN_ENOMEM, 0, "out of memory"};
    uint8_t buf[32];
    etf_view reason = cnode__atom("system_limit", buf, sizeof buf);
    cnode__list links, watches, waiters;
    cnode__link *l;
    cnode__watch *w;
    cnode__waiter *m;

    cnode__list_move(&n->unheard_links, &links);
    cnode__list_move(&n->unheard_watches, &watches);
    cnode__list_move(&n->unheard_waiters, &waiters);
    run(n);
    n->peer_now = n->name;
    while ((w = cnode__list_first(cnode__watch, in_peer, &watches)) != NULL)
        cnode__watch_drop(w);
    while ((l = cnode__list_first(cnode__link, in_peer, &links)) != NULL)
        lose_link(l, reason);
    while ((m = cnode__list_first(cnode__waiter, in_peer, &waiters)) != NULL)
        lose_waiter(m, reason, &why);
    n->unheard = cn__buf_size(&n->local) > 0 ||
                 !cnode__list_empty(&n->unheard_links) ||
                 !cnode__list_empty(&n->unheard_watches) ||
                 !cnode__list_empty(&n->unheard_waiters);
}

/* --- wakeups ------------------------------------------------------------- */

static void ring(cnode__timer *t) {
    wakeup *a = cnode__list_of(wakeup, timer, t);
    cnode_proc *p = a->proc;
    void (*fn)(cnode_proc *, void *) = a->fn;
    void *arg = a->arg;

    free_wakeup(a);
    p->node->peer_now = p->node->name;
    cnode__trace_got(p, (etf_view){NULL, 0}); /* a message of its own */
    fn(p, arg);
}

int cnode_after(cnode_proc *p, uint32_t ms,
                void (*fn)(cnode_proc *p, void *arg), void *arg) {
    cnode *n = p->node;
    wakeup *a;

    if (p->ended)
        return cnode__gone(p);
    a = cn__calloc(&n->alloc, 1, sizeof *a);
    if (a == NULL || cnode__timer_make(&n->timers, &a->timer, ring) != 0) {
        cn__free(&n->alloc, a, 1, sizeof *a);
        return cnode__err(n, CN_ENOMEM, "out of memory");
    }
    a->proc = p;
    a->fn = fn;
    a->arg = arg;
    cnode__list_add(&p->timers, &a->in_proc);
    cnode__timer_arm(&n->timers, &a->timer, cnode__now(n) + ms);
    n->shell->wake(n->shell_ctx);
    return 0;
}

bool cnode_cancel_after(cnode_proc *p, void (*fn)(cnode_proc *p, void *arg),
                        const void *arg) {
    for (cnode__list *l = p->timers.next; l != &p->timers; l = l->next) {
        wakeup *a = cnode__list_of(wakeup, in_proc, l);
        if (a->fn == fn && a->arg == arg) {
            free_wakeup(a);
            return true;
        }
    }
    return false;
}
