/* SPDX-License-Identifier: Apache-2.0
 *
 * global_member.c: the other nodes: visible ones that are connected, and those
 * that members of the cluster tell of, which are connected to then.
 *
 * From OTP 25 on a cluster keeps itself from splitting into parts that overlap:
 * who loses a connection tells all others, and they part from the one that was
 * lost. This node believes it when it is told so, and goes when it is sent
 * away, but tells nothing of its own: were it the one that cannot reach others,
 * it would tear those apart that can. What it does instead is in
 * global_redial.c.
 */
#include <string.h>

#include "cnode/global_parts.h"

/* A connection that two others have lost, so that the many who tell of it are
 * believed once. */
typedef struct loss {
    cnode__list in_order;
    int64_t creation;
    int64_t id;
    size_t len;
    char key[]; /* A NUL B */
} loss;

/* What others may make this node keep. */
enum { MOST_LOSSES = 4096, MOST_MEMBERS = 4096 };
/* ... and make it connect to at once: attempts take descriptors. */
enum { MOST_REACHING = 64 };

/* --- the set ------------------------------------------------------------- */

cnode__member *cnode__member_find(const cnode__global *g, etf_view name) {
    return cn__map_get(&g->members, name.data, name.len);
}

static cnode__member *new_member(cnode__global *g, etf_view name) {
    const cn_alloc *alloc = &g->node->alloc;
    cnode__member *m = cn__calloc(alloc, 1, sizeof *m + name.len + 1);

    if (m == NULL)
        return NULL;
    cnode__list_init(&m->candidate);
    cnode__list_init(&m->asker);
    cnode__list_init(&m->unreached);
    m->len = name.len;
    memcpy(m->name, name.data, name.len);
    if (cnode__name_ok(m->name) &&
        cn__map_put(&g->members, m->name, m->len, m) == 0)
        return m;
    cn__free(alloc, m, 1, sizeof *m + m->len + 1);
    return NULL;
}

cnode__member *cnode__member_get(cnode__global *g, etf_view name) {
    cnode__member *m = cnode__member_find(g, name);

    if (m != NULL)
        return m;
    if (cnode__is_self(g->node, (const char *)name.data, name.len) ||
        g->members.count >= MOST_MEMBERS || name.len > CNODE__NAME_MAX ||
        memchr(name.data, '\0', name.len) != NULL)
        return NULL;
    return new_member(g, name);
}

static void free_member(cnode__global *g, cnode__member *m) {
    (void)cn__map_remove(&g->members, m->name, m->len);
    cnode__list_leave(&m->candidate);
    cnode__list_leave(&m->asker);
    cnode__list_leave(&m->unreached);
    cn__free(&g->node->alloc, m, 1, sizeof *m + m->len + 1);
}

void cnode__member_release(cnode__global *g, cnode__member *m) {
    if (!m->up && !m->known && m->join == NULL && g->him != m)
        free_member(g, m);
}

void cnode__member_known(cnode__global *g, cnode__member *m, uint32_t version) {
    if (m->known)
        return;
    m->known = true;
    m->version = version;
    cnode__redial_end(g, m);
    g->known++;
    g->known_moves++;
    cn__log(&g->node->config.log, CN_LOG_INFO, "global",
            "%s is a member of this node's cluster", m->name);
}

void cnode__member_lost(cnode__global *g, cnode__member *m) {
    cnode__join_end(g, m, false);
    cnode__list_leave(&m->unreached);
    if (m->known) {
        m->known = false;
        g->known--;
        g->known_moves++;
    }
    m->synced = false;
    cnode__sync_look(g);
}

bool cnode__members_each(cnode__global *g, etf_view nodes,
                         cnode__member_fn fn) {
    etf_list list;
    etf_view e, name;

    if (etf_match(nodes, "~l", &list) != 0)
        return false;
    while (etf_list_next(&list, &e)) {
        uint32_t version = 0;
        cnode__member *m;

        if (etf_match(e, "{~a, ~i}", &name, &version) != 0 &&
            etf_match(e, "~a", &name) != 0)
            return false;
        m = cnode__member_get(g, name);
        if (m != NULL)
            fn(g, m, version);
    }
    return true;
}

/* Atoms are compared by their characters, and so are these by their bytes. */
const char *cnode__members_boss(const cnode__global *g) {
    const char *boss = g->node->name;
    const cnode__member *m;

    for (size_t at = 0; (m = cn__map_next(&g->members, &at)) != NULL;)
        if (m->known && strcmp(m->name, boss) > 0)
            boss = m->name;
    return boss;
}

void cnode__members_put_known(const cnode__global *g, etf_writer *w,
                              bool versions) {
    const cnode__member *m;

    etf_begin_list(w);
    for (size_t at = 0; (m = cn__map_next(&g->members, &at)) != NULL;)
        if (m->known && versions)
            (void)etf_pack(w, "{~a, ~i}", m->name, m->version);
        else if (m->known)
            etf_put_atom_n(w, m->name, m->len);
    etf_end_list(w);
}

const char *cnode_global_next_node(const cnode *n, size_t *at) {
    const cnode__member *m;

    if (n->global == NULL)
        return NULL;
    while ((m = cn__map_next(&n->global->members, at)) != NULL)
        if (m->known)
            return m->name;
    return NULL;
}

/* --- reaching ------------------------------------------------------------ */

static void greet(cnode__global *g, const cnode__member *m) {
    cnode__global_tell(g, m->name, "{'$gen_cast', {in_sync, ~a, true}}",
                       g->node->name);
}

/* It can be known and still not be reached: then it is as if it was lost. */
static void reached(cnode__global *g, cnode__member *m, int status,
                    const cn_error *err) {
    m->reaching = false;
    if (status == 0 && m->up) {
        greet(g, m);
        return;
    }
    if (!m->up) {
        cn__log(&g->node->config.log, CN_LOG_WARN, "global",
                "a member of the cluster cannot be reached: %s",
                status == 0 ? "it is hidden" : err->text);
        if (status != 0 && m->known)
            (void)cnode__redial_begin(g, m);
        cnode__member_lost(g, m);
        cnode__member_release(g, m);
    }
}

static void reach_others(cnode__global *g) {
    cnode__member *m;

    while (g->reaching < MOST_REACHING &&
           (m = cnode__list_first(cnode__member, unreached, &g->unreached)) !=
               NULL) {
        cnode__list_leave(&m->unreached);
        cnode__member_reach(g, m);
    }
}

static void on_reached(cnode *n, const char *peer, int status,
                       const cn_error *err, void *data) {
    cnode__global *g = n->global;
    cnode__member *m;

    (void)data;
    if (g == NULL)
        return;
    g->reaching--;
    m = cnode__member_find(g, etf_view_of(peer, strlen(peer)));
    if (m != NULL)
        reached(g, m, status, err);
    reach_others(g);
}

/* Once at a time, and not all at once. */
static bool has_to_wait(cnode__global *g, cnode__member *m) {
    if (m->reaching)
        return true;
    if (g->reaching < MOST_REACHING)
        return false;
    if (cnode__list_empty(&m->unreached))
        cnode__list_add(&g->unreached, &m->unreached);
    return true;
}

void cnode__member_reach(cnode__global *g, cnode__member *m) {
    cnode *n = g->node;

    if (m->up) {
        greet(g, m);
        return;
    }
    if (has_to_wait(g, m))
        return;
    if (cnode_connect(n, m->name, on_reached, NULL) == 0) {
        m->reaching = true;
        g->reaching++;
        return;
    }
    cn__log(&n->config.log, CN_LOG_WARN, "global",
            "a member of the cluster is not connected to: %s", n->error.text);
    if (n->error.code != CN_ENOTALLOWED)
        (void)cnode__redial_begin(g, m);
    cnode__member_lost(g, m);
    cnode__member_release(g, m);
}

/* --- up and down --------------------------------------------------------- */

bool cnode__member_is_potential(const cnode__member *m) {
    return m->known || (m->join != NULL && m->join->greeted);
}

void cnode__global_up(cnode *n, const cnode__peer *p) {
    cnode__global *g = n->global;
    cnode__member *m;

    if (g == NULL || n->leaving)
        return;
    cnode__grips_settle(g, p->name);
    if (!g->full || !cnode__peer_is_visible(p))
        return;
    m = cnode__member_get(g, etf_view_of(p->name, strlen(p->name)));
    if (m == NULL) {
        cn__log(&n->config.log, CN_LOG_ERROR, "global",
                "no memory to join %s: it is disconnected", p->name);
        cnode__wire_fail(p->up, CN_ENOMEM, 0, CNODE__LOST_SIGNAL);
        return;
    }
    m->up = true;
    if (!m->known)
        cnode__join_start(g, m);
}

void cnode__global_down(cnode *n, const cnode__peer *p, int why) {
    cnode__global *g = n->global;
    cnode__member *m =
        g == NULL
            ? NULL
            : cnode__member_find(g, etf_view_of(p->name, strlen(p->name)));

    if (m == NULL || n->closing)
        return;
    m->up = false;
    if (why != 0 && cnode__member_is_potential(m))
        (void)cnode__redial_begin(g, m);
    cnode__member_lost(g, m);
    cnode__member_release(g, m);
}

/* --- partitions ---------------------------------------------------------- */

/* Parts from it, because others have, or because it wants that. */
static void part(cnode__global *g, cnode__member *m, const char *why) {
    cn__log(&g->node->config.log, CN_LOG_WARN, "global",
            "%s: %s, to keep the parts of the cluster apart", m->name, why);
    cnode__member_lost(g, m);
}

void cnode__member_remove(cnode__global *g, cnode__member *m) {
    if (!cnode__member_is_potential(m))
        return;
    part(g, m, "it asks to be disconnected, and is");
    /* cnode_keep may bring it back. */
    cnode__global_part(g, m->name, CN_ECLOSED,
                       "it has parted from this node, as `global` wants");
}

static void drop_loss(cnode__global *g, loss *l) {
    (void)cn__map_remove(&g->losses, l->key, l->len);
    cnode__list_leave(&l->in_order);
    cn__free(&g->node->alloc, l, 1, sizeof *l + l->len);
}

static void add_loss(cnode__global *g, const char *key, size_t len,
                     int64_t creation, int64_t id) {
    loss *l = cnode__list_first(loss, in_order, &g->loss_order);

    if (l != NULL && g->losses.count >= MOST_LOSSES)
        drop_loss(g, l);
    l = cn__calloc(&g->node->alloc, 1, sizeof *l + len);
    if (l == NULL)
        return; /* then it may be believed again */
    cnode__list_init(&l->in_order);
    l->creation = creation;
    l->id = id;
    l->len = len;
    memcpy(l->key, key, len);
    if (cn__map_put(&g->losses, l->key, len, l) == 0)
        cnode__list_add(&g->loss_order, &l->in_order);
    else
        cn__free(&g->node->alloc, l, 1, sizeof *l + len);
}

/* Is it told for the first time? */
static bool is_new_loss(cnode__global *g, etf_view a, etf_view b,
                        int64_t creation, int64_t id) {
    char key[2 * CNODE__NAME_MAX + 1];
    size_t len = a.len + 1 + b.len;
    loss *l;

    if (a.len > CNODE__NAME_MAX || b.len > CNODE__NAME_MAX)
        return false;
    memcpy(key, a.data, a.len);
    key[a.len] = '\0';
    memcpy(key + a.len + 1, b.data, b.len);
    l = cn__map_get(&g->losses, key, len);
    if (l == NULL) {
        add_loss(g, key, len, creation, id);
        return true;
    }
    if (l->creation == creation && id <= l->id)
        return false;
    l->creation = creation;
    l->id = id;
    return true;
}

void cnode__member_lost_by(cnode__global *g, etf_view term) {
    int64_t creation, id;
    etf_view a, b;
    cnode__member *m;

    if (etf_match(term, "{lost_connection, ~a, ~i, ~i, ~a}", &a, &creation, &id,
                  &b) != 0 ||
        !is_new_loss(g, a, b, creation, id))
        return;
    m = cnode__member_find(g, etf_view_is(b, g->node->name) ? a : b);
    if (m == NULL || !cnode__member_is_potential(m))
        return;
    cnode__global_tell(g, m->name, "{remove_connection, ~a}", g->node->name);
    part(g, m, "another member has lost it, so it is asked to disconnect");
    cnode__member_release(g, m);
}

/* --- life ---------------------------------------------------------------- */

void cnode__members_init(cnode__global *g, uint64_t seed) {
    cn__map_init(&g->members, seed, &g->node->alloc);
    cn__map_init(&g->losses, seed, &g->node->alloc);
    cnode__list_init(&g->loss_order);
    cnode__list_init(&g->unreached);
}

void cnode__members_free(cnode__global *g) {
    cnode__member *m;
    size_t at = 0;
    loss *l;

    while ((m = cn__map_first(&g->members, &at)) != NULL)
        free_member(g, m);
    while ((l = cnode__list_first(loss, in_order, &g->loss_order)) != NULL)
        drop_loss(g, l);
    cn__map_free(&g->members);
    cn__map_free(&g->losses);
}
