/* SPDX-License-Identifier: Apache-2.0
 *
 * global_change.c: names that this node registers and takes back. One after
 * the other: the lock `global` is taken on all nodes that are known, by the
 * registrar; the name is looked for in the own table, which is that of all now;
 * all nodes are told; the lock is given back. Who does not get the lock, or
 * finds that the members are others by then, sleeps a random time, which
 * becomes longer, and tries again: to a new one the name would be unknown, and
 * one that was lost may be in another part of the cluster, of which it would be
 * the only one to know the name.
 */
#include <string.h>

#include "cnode/global_parts.h"

typedef enum kind { REGISTER, REPLACE, UNREGISTER } kind;

typedef struct change {
    cnode__list in_list;
    kind kind;
    uint32_t times;
    int status;
    bool again;
    bool undone; /* one of the nodes had no room for it */
    cnode_global_method method;
    cnode_global_cb cb;
    void *data;
    etf_view name; /* a copy */
    etf_pid pid;
} change;

static size_t weight(etf_view name) {
    return sizeof(change) + name.len;
}

/* --- the end of one ------------------------------------------------------ */

/* NULL: its status tells. */
static const char *reason(const change *c) {
    return c->status == CN_EEXIST      ? "another process has that global name"
           : c->status == CN_ECANCELED ? "the lock was lost meanwhile"
           : c->undone                 ? "a node has no room for the name"
                                       : NULL;
}

static void answer(cnode__global *g, change *c) {
    cnode *n = g->node;

    cnode__list_leave(&c->in_list);
    g->change_bytes -= weight(c->name);
    cnode__global_done(n, c->cb, c->data, c->status, reason(c));
    etf_copy_free(&n->alloc, c->name);
    cn__free(&n->alloc, c, 1, sizeof *c);
}

static change *first(cnode__global *g) {
    return cnode__list_first(change, in_list, &g->changes);
}

static void in_a_while(cnode__global *g, uint32_t ms) {
    cnode__timer_arm(&g->node->timers, &g->pause, cnode__now(g->node) + ms);
    cnode__wake(g->node);
}

static void done(cnode__global *g, int status) {
    change *c = first(g);

    g->changing = false;
    c->status = status;
    /* The next one first, for the callback may free the node's memory. */
    if (c->in_list.next != &g->changes)
        in_a_while(g, 0);
    answer(g, c);
}

/* --- one ----------------------------------------------------------------- */

static int put_lock_id(cnode__global *g) {
    etf_pid self = cnode_self(g->registrar);
    uint8_t buf[CNODE__PID_TERM + 16];
    etf_writer w;
    etf_view id;
    int err;

    etf_writer_init_fixed(&w, buf, sizeof buf);
    (void)etf_pack(&w, "{global, ~p}", &self);
    err = etf_writer_finish(&w, &id);
    return err != 0 ? err : cnode__grip_begin(&g->change_grip, id);
}

static int take_lock(cnode__global *g) {
    const cnode__member *m;
    int err = put_lock_id(g);

    if (err == 0)
        err = cnode__grip_add(&g->change_grip, cnode__members_boss(g), 0);
    if (err == 0)
        err = cnode__grip_add(&g->change_grip, g->node->name, 1);
    for (size_t at = 0;
         err == 0 && (m = cn__map_next(&g->members, &at)) != NULL;)
        if (m->known)
            err = cnode__grip_add(&g->change_grip, m->name, 2);
    if (err != 0)
        return err;
    g->changing = true;
    g->change_moves = g->known_moves;
    cnode__grip_take(&g->change_grip);
    return 0;
}

/* Of this node; those of others are seen to be gone when they are watched. */
static bool is_gone(cnode *n, const etf_pid *pid) {
    return cnode__own_pid(n, pid) && cnode__proc_of(n, pid) == NULL;
}

static void begin(cnode__global *g) {
    change *c = first(g);
    int err = 0;

    c->again = false;
    if (c->kind == UNREGISTER && cnode__names_find(g, c->name) == NULL)
        done(g, 0);
    else if (c->kind != UNREGISTER && is_gone(g->node, &c->pid))
        done(g, CN_ENOPROC);
    else if ((err = take_lock(g)) != 0)
        done(g, err);
}

static void on_pause(cnode__timer *t) {
    cnode__global *g = cnode__list_of(cnode__global, pause, t);

    if (!g->changing && first(g) != NULL)
        begin(g);
}

static void ask_all(cnode__global *g, change *c) {
    etf_writer w, m;
    etf_view request, method;
    int err;

    etf_writer_init(&w, &g->node->alloc);
    etf_writer_init(&m, &g->node->alloc);
    cnode__merge_put_method(&m, c->method);
    err = etf_writer_finish(&m, &method);
    if (err == 0 && (c->kind == UNREGISTER || c->undone))
        err = etf_pack(&w, "{unregister, ~t}", c->name);
    else if (err == 0)
        err = etf_pack(&w, "{register, ~t, ~p, ~t}", c->name, &c->pid, method);
    if (err == 0)
        err = etf_writer_finish(&w, &request);
    if (err == 0) {
        cnode__grip_ask(&g->change_grip, request);
    } else {
        c->status = err;
        cnode__grip_release(&g->change_grip);
    }
    etf_writer_free(&w);
    etf_writer_free(&m);
}

static void on_taken(cnode__grip *grip, bool got) {
    cnode__global *g = cnode__list_of(cnode__global, change_grip, grip);
    change *c = first(g);

    if (!got || g->known_moves != g->change_moves)
        c->again = true;
    else if (c->kind == REGISTER && cnode__names_find(g, c->name) != NULL)
        c->status = CN_EEXIST;
    if (c->again || c->status != 0)
        cnode__grip_release(grip);
    else
        ask_all(g, c);
}

/* Every node has changed it, or is gone; or all of them are to take it back. */
static void on_step(cnode__grip *grip) {
    cnode__global *g = cnode__list_of(cnode__global, change_grip, grip);
    change *c = first(g);
    const cnode__gname *name = cnode__names_find(g, c->name);

    if (c->kind != UNREGISTER && grip->denied && !c->undone) {
        c->undone = true;
        c->status = CN_ELIMIT;
        ask_all(g, c);
        return;
    }
    if (c->kind != UNREGISTER && !c->undone &&
        (name == NULL || !cnode__gname_is(name, &c->pid)))
        c->status = is_gone(g->node, &c->pid) ? CN_ENOPROC : CN_ECANCELED;
    cnode__grip_release(grip);
}

static void on_released(cnode__grip *grip) {
    cnode__global *g = cnode__list_of(cnode__global, change_grip, grip);
    change *c = first(g);

    if (!c->again) {
        done(g, c->status);
        return;
    }
    g->changing = false;
    in_a_while(g, cnode__global_pause(g, c->times++));
}

/* --- life ---------------------------------------------------------------- */

int cnode__changes_init(cnode__global *g) {
    cnode__list_init(&g->changes);
    g->change_grip.node = g->node;
    g->change_grip.proc = g->registrar;
    g->change_grip.taken = on_taken;
    g->change_grip.step = on_step;
    g->change_grip.released = on_released;
    return cnode__timer_make(&g->node->timers, &g->pause, on_pause);
}

void cnode__changes_free(cnode__global *g) {
    change *c;

    cnode__timer_drop(&g->node->timers, &g->pause);
    while ((c = first(g)) != NULL) {
        c->status = CN_ECLOSED;
        answer(g, c);
    }
    cnode__grip_free(&g->change_grip);
}

/* --- public -------------------------------------------------------------- */

/* The bytes of a name, and of all changes that wait: others ask for them by
 * rpc. */
enum { MOST_NAME = 64 * 1024 - 256, MOST_WAITING = 64 * 1024 * 1024 };

static int add_change(cnode *n, const change *what, etf_view name) {
    cnode__global *g = cnode__global_full(n);
    etf_view key;
    change *c;
    int err;

    if (g == NULL)
        return CN_ENOTSUP;
    if (name.len > MOST_NAME)
        return cnode__err(n, CN_ELIMIT, "the name is too long");
    if (g->change_bytes + weight(name) > MOST_WAITING)
        return cnode__err(n, CN_ELIMIT, "too many names wait to be changed");
    err = cnode__global_key(g, name, &key);
    if (err != 0)
        return err;
    c = cn__calloc(&n->alloc, 1, sizeof *c);
    if (c == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    *c = *what;
    err = etf_copy(&n->alloc, key, &c->name);
    if (err != 0) {
        cn__free(&n->alloc, c, 1, sizeof *c);
        return cnode__err(n, CN_ENOMEM, "out of memory");
    }
    cnode__list_add(&g->changes, &c->in_list);
    g->change_bytes += weight(c->name);
    if (!g->changing && g->pause.place == 0)
        in_a_while(g, 0);
    return 0;
}

/* OTP allows no second name either. */
static bool has_other_name(cnode *n, const etf_pid *pid, etf_view name) {
    const cnode__gname *e;
    uint8_t buf[CNODE__PID_TERM];
    etf_writer w;
    etf_view term, key;

    etf_writer_init_fixed(&w, buf, sizeof buf);
    etf_put_pid(&w, pid);
    if (n->global == NULL || etf_writer_finish(&w, &term) != 0)
        return false;
    e = cn__map_get(&n->global->pids, term.data, term.len);
    return e != NULL && cnode__global_key(n->global, name, &key) == 0 &&
           !etf_view_eq(e->name, key);
}

int cnode__change_register(cnode *n, etf_view name, const etf_pid *pid,
                           const cnode_global_opts *o, cnode_global_cb cb,
                           void *data) {
    change c = {.cb = cb, .data = data, .pid = *pid};

    if (o != NULL && (unsigned)o->method > CNODE_GLOBAL_NOTIFY_ALL)
        return cnode__err(n, CN_EBADARG, "there is no such method");
    c.kind = o != NULL && o->replace ? REPLACE : REGISTER;
    c.method = o == NULL ? CNODE_GLOBAL_KILL : o->method;
    if (has_other_name(n, &c.pid, name))
        return cnode__err(n, CN_EEXIST,
                          "the process has another global name already");
    return add_change(n, &c, name);
}

int cnode_global_register_term(cnode_proc *p, etf_view name,
                               const cnode_global_opts *o, cnode_global_cb cb,
                               void *data) {
    etf_pid self = cnode_self(p);

    return p->ended ? cnode__gone(p)
                    : cnode__change_register(p->node, name, &self, o, cb, data);
}

int cnode_global_unregister_term(cnode *n, etf_view name, cnode_global_cb cb,
                                 void *data) {
    const change c = {.kind = UNREGISTER, .cb = cb, .data = data};

    return add_change(n, &c, name);
}

int cnode_global_register(cnode_proc *p, const char *name,
                          const cnode_global_opts *o, cnode_global_cb cb,
                          void *data) {
    uint8_t buf[CNODE__ATOM_ROOM];
    etf_view term;
    int err = cnode__global_atom(p->node, name, buf, &term);

    return err != 0 ? err : cnode_global_register_term(p, term, o, cb, data);
}

int cnode_global_unregister(cnode *n, const char *name, cnode_global_cb cb,
                            void *data) {
    uint8_t buf[CNODE__ATOM_ROOM];
    etf_view term;
    int err = cnode__global_atom(n, name, buf, &term);

    return err != 0 ? err : cnode_global_unregister_term(n, term, cb, data);
}
