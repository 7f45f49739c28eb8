/* SPDX-License-Identifier: Apache-2.0
 *
 * pg_table.c: the groups of a scope and their members. Every step takes the
 * same time however many there are: a member is found by group, owner and pid
 * in one map.
 */
#include <string.h>

#include "cnode/pg_parts.h"

/* --- groups -------------------------------------------------------------- */

static cnode__pg_group *new_group(cnode_pg *s, etf_view key) {
    const cn_alloc *a = &s->node->alloc;
    cnode__pg_group *g = cn__calloc(a, 1, sizeof *g + key.len);

    if (g == NULL)
        return NULL;
    cnode__list_init(&g->members);
    cnode__list_init(&g->watches);
    g->key_len = key.len;
    memcpy(g->key, key.data, key.len);
    if (cn__map_put(&s->groups, g->key, g->key_len, g) == 0)
        return g;
    cn__free(a, g, 1, sizeof *g + key.len);
    return NULL;
}

/* Exactly equal terms have the same bytes then. */
static int make_key(cnode_pg *s, etf_view term, etf_view *key) {
    cnode__next_term(&s->key);
    (void)etf_put_normal(&s->key, &s->node->alloc, NULL, term);
    return etf_writer_finish(&s->key, key);
}

int cnode__pg_find(cnode_pg *s, etf_view term, bool make,
                   cnode__pg_group **out) {
    etf_view key;
    int err = make_key(s, term, &key);

    *out = NULL;
    if (err != 0)
        return err;
    *out = cn__map_get(&s->groups, key.data, key.len);
    if (!make)
        return 0;
    if (*out == NULL)
        *out = new_group(s, key);
    if (*out == NULL)
        return CN_ENOMEM;
    cnode__pg_hold(*out);
    return 0;
}

int cnode__pg_find_args(cnode_pg *s, const etf_in *in, size_t count, bool make,
                        cnode__pg_group **out) {
    etf_view term;
    int err;

    *out = NULL;
    cnode__next_term(&s->term);
    err = cnode__pack(s->node, &s->term, "pg: the group", in, count, &term);
    if (err != 0)
        return err;
    err = cnode__pg_find(s, term, make, out);
    return err == 0 ? 0
                    : cnode__err(s->node, err, "pg: the group: %s",
                                 cn_strerror(err));
}

void cnode__pg_hold(cnode__pg_group *g) {
    g->holds++;
}

void cnode__pg_let_go(cnode_pg *s, cnode__pg_group *g) {
    if (--g->holds > 0)
        return;
    (void)cn__map_remove(&s->groups, g->key, g->key_len);
    cn__free(&s->node->alloc, g, 1, sizeof *g + g->key_len);
}

/* --- members ------------------------------------------------------------- */

size_t cnode__pg_cost(const cnode__pg_group *g) {
    return sizeof(cnode__pg_member) + 4 * sizeof(cn_map_slot) + sizeof *g +
           g->key_len;
}

static cnode__pg_key key_of(const cnode__pg_group *g, const cnode__pg_owner *o,
                            const etf_pid *pid) {
    return (cnode__pg_key){.group = (uint64_t)(uintptr_t)g,
                           .owner = (uint64_t)(uintptr_t)o,
                           .id = pid->id,
                           .serial = pid->serial,
                           .creation = o->local ? 0 : pid->creation};
}

cnode__pg_member *cnode__pg_member_of(const cnode_pg *s,
                                      const cnode__pg_group *g,
                                      const cnode__pg_owner *o,
                                      const etf_pid *pid) {
    cnode__pg_key key = key_of(g, o, pid);

    return cn__map_get(&s->members, &key, sizeof key);
}

cnode__pg_member *cnode__pg_member_new(cnode_pg *s, cnode__pg_group *g,
                                       cnode__pg_owner *o, const etf_pid *pid) {
    const cn_alloc *a = &s->node->alloc;
    cnode__pg_member *m = cn__calloc(a, 1, sizeof *m);

    if (m == NULL)
        return NULL;
    m->key = key_of(g, o, pid);
    if (cn__map_put(&s->members, &m->key, sizeof m->key, m) != 0) {
        cn__free(a, m, 1, sizeof *m);
        return NULL;
    }
    m->group = g;
    m->owner = o;
    cnode__pg_hold(g);
    cnode__list_add(&g->members, &m->in_group);
    cnode__list_add(&o->members, &m->in_owner);
    o->bytes += cnode__pg_cost(g);
    if (!o->local)
        s->bytes += cnode__pg_cost(g);
    return m;
}

void cnode__pg_set(cnode_pg *s, cnode__pg_member *m, size_t times) {
    cnode__pg_group *g = m->group;

    g->count += times - m->times; /* modulo SIZE_MAX + 1 */
    if (m->owner->local) {
        g->local += times - m->times;
    } else {
        m->owner->times += times - m->times;
        s->times += times - m->times;
    }
    m->times = times;
    if (times > 0)
        return;
    (void)cn__map_remove(&s->members, &m->key, sizeof m->key);
    cnode__list_leave(&m->in_group);
    cnode__list_leave(&m->in_owner);
    m->owner->bytes -= cnode__pg_cost(g);
    if (!m->owner->local)
        s->bytes -= cnode__pg_cost(g);
    cn__free(&s->node->alloc, m, 1, sizeof *m);
    cnode__pg_let_go(s, g);
}

etf_pid cnode__pg_pid(const cnode_pg *s, const cnode__pg_member *m) {
    etf_pid pid;

    if (m->owner->local)
        return cnode__pid_of(s->node, m->owner->number);
    pid = *m->owner->pid;
    pid.id = m->key.id;
    pid.serial = m->key.serial;
    pid.creation = m->key.creation;
    return pid;
}
