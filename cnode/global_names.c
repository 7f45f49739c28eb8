/* SPDX-License-Identifier: Apache-2.0
 *
 * global_names.c: the table of names. Each is kept with its pid, which is
 * watched: with the process, or the connection to its node, the name goes, and
 * nobody is told, for every node watches by itself. The method is a fun of
 * whoever registered it, and is handed on as it came.
 */
#include <string.h>

#include "cnode/global_parts.h"

/* What others may make this node keep. */
enum {
    MOST_NAMES = 1000000,
    MOST_BYTES = 64 * 1024, /* of one, with its method */
    MOST_IN_ALL = 512 * 1024 * 1024
};
/* Those that are not watched yet: so many are tried again at once. */
enum { AGAIN_MS = 200, AT_ONCE = 1000 };

static size_t weight(const cnode__gname *e) {
    return sizeof *e + e->name.len + e->method.len + e->pid.len;
}

static void free_name(cnode__global *g, cnode__gname *e) {
    const cn_alloc *alloc = &g->node->alloc;

    etf_copy_free(alloc, e->name);
    etf_copy_free(alloc, e->method);
    etf_copy_free(alloc, e->pid);
    cn__strfree(alloc, e->ext);
    cn__free(alloc, e, 1, sizeof *e);
}

void cnode__gname_pid(const cnode__gname *name, etf_pid *pid) {
    etf_reader r;

    etf_reader_init(&r, name->pid);
    etf_get_pid(&r, pid);
}

bool cnode__gname_is(const cnode__gname *name, const etf_pid *pid) {
    etf_pid own;

    cnode__gname_pid(name, &own);
    return etf_pid_eq(&own, pid);
}

cnode__gname *cnode__names_find(cnode__global *g, etf_view name) {
    cnode *n = g->node;
    etf_view key;

    if (cnode__global_key(g, name, &key) == 0)
        return cn__map_get(&g->names, key.data, key.len);
    if (cnode__seldom(n, &g->quiet_names))
        cn__log(&n->config.log, CN_LOG_ERROR, "global", "%s", n->error.text);
    return NULL;
}

/* --- removing ------------------------------------------------------------ */

static void drop_name(cnode__global *g, cnode__gname *e) {
    cnode__list_leave(&e->unwatched);
    g->name_bytes -= weight(e);
    (void)cn__map_remove(&g->names, e->name.data, e->name.len);
    (void)cn__map_remove(&g->watched, e->monitor, sizeof e->monitor);
    if (cn__map_get(&g->pids, e->pid.data, e->pid.len) == e)
        (void)cn__map_remove(&g->pids, e->pid.data, e->pid.len);
    free_name(g, e);
}

void cnode__names_delete(cnode__global *g, etf_view name) {
    cnode__gname *e = cnode__names_find(g, name);

    if (e == NULL)
        return;
    if (cnode__list_empty(&e->unwatched))
        cnode__demonitor_words(g->self, e->monitor);
    drop_name(g, e);
}

bool cnode__names_on_down(cnode__global *g, const etf_ref *ref) {
    cnode__gname *e = cn__map_get(&g->watched, ref->ids, sizeof e->monitor);

    if (e != NULL)
        drop_name(g, e);
    return e != NULL;
}

/* --- inserting ----------------------------------------------------------- */

static int copy_pid(cnode__global *g, const etf_pid *pid, etf_view *out) {
    uint8_t buf[CNODE__PID_TERM];
    etf_writer w;
    etf_view term;

    etf_writer_init_fixed(&w, buf, sizeof buf);
    etf_put_pid(&w, pid);
    if (etf_writer_finish(&w, &term) != 0)
        return CN_ELIMIT;
    return etf_copy(&g->node->alloc, term, out);
}

static int copy_ext(cnode__global *g, etf_view ext, char **out) {
    char text[CNODE__NAME_MAX + 1];

    if (ext.len == 0)
        return 0;
    if (!cnode__string_of(ext, text, sizeof text))
        return CN_ELIMIT;
    *out = cn__strdup(&g->node->alloc, text);
    return *out == NULL ? CN_ENOMEM : 0;
}

void cnode__names_set_ext(cnode__global *g, cnode__gname *name, etf_view node) {
    char *ext = NULL;

    if (copy_ext(g, node, &ext) != 0)
        return; /* nothing but a remark for others is lost */
    cn__strfree(&g->node->alloc, name->ext);
    name->ext = ext;
}

/* Not in any map. */
static cnode__gname *new_name(cnode__global *g, etf_view key,
                              const etf_pid *pid, etf_view method,
                              etf_view ext) {
    const cn_alloc *alloc = &g->node->alloc;
    cnode__gname *e = cn__calloc(alloc, 1, sizeof *e);

    if (e == NULL)
        return NULL;
    cnode__list_init(&e->unwatched);
    if (etf_copy(alloc, key, &e->name) == 0 &&
        etf_copy(alloc, method, &e->method) == 0 &&
        copy_pid(g, pid, &e->pid) == 0 && copy_ext(g, ext, &e->ext) == 0)
        return e;
    free_name(g, e);
    return NULL;
}

static int watch(cnode__global *g, cnode__gname *e) {
    etf_pid pid;
    int err;

    cnode__gname_pid(e, &pid);
    err = cnode__monitor_words(g->self, &pid, e->monitor);
    if (err != 0)
        return err;
    if (cn__map_put(&g->watched, e->monitor, sizeof e->monitor, e) == 0)
        return 0;
    cnode__demonitor_words(g->self, e->monitor);
    return cnode__err(g->node, CN_ENOMEM, "out of memory");
}

static void watch_soon(cnode__global *g) {
    cnode *n = g->node;

    if (cnode__list_empty(&g->unwatched) || g->watch_timer.place != 0)
        return;
    cnode__timer_arm(&n->timers, &g->watch_timer,
                     cnode__now(n) + (uint64_t)AGAIN_MS);
    cnode__wake(n);
}

/* To watch it this node connects to that of the process. Many names of many
 * nodes come at once where two clusters meet. */
static int watch_or_wait(cnode__global *g, cnode__gname *e) {
    int err = watch(g, e);

    if (err != CN_EBUSY)
        return err;
    cnode__list_add(&g->unwatched, &e->unwatched);
    watch_soon(g);
    return 0;
}

static void cannot_keep(cnode__global *g, const char *node) {
    cnode *n = g->node;

    if (cnode__seldom(n, &g->quiet_names))
        cn__log(&n->config.log, CN_LOG_ERROR, "global",
                "a name of %s cannot be taken over: %s", node, n->error.text);
}

/* True: it must wait again. */
static bool try_to_watch(cnode__global *g, cnode__gname *e) {
    etf_pid pid;

    if (watch_or_wait(g, e) == 0)
        return !cnode__list_empty(&e->unwatched);
    cnode__gname_pid(e, &pid);
    cannot_keep(g, pid.node);
    drop_name(g, e);
    return false;
}

static void watch_again(cnode__timer *t) {
    cnode__global *g = cnode__list_of(cnode__global, watch_timer, t);
    const cnode__gname *again = NULL; /* the first that stands behind others */
    cnode__gname *e;

    for (int i = 0; i < AT_ONCE; i++) {
        e = cnode__list_first(cnode__gname, unwatched, &g->unwatched);
        if (e == NULL || e == again)
            break;
        cnode__list_leave(&e->unwatched);
        if (try_to_watch(g, e) && again == NULL)
            again = e;
    }
    watch_soon(g);
}

static int try_insert(cnode__global *g, etf_view name, const etf_pid *pid,
                      etf_view method, etf_view ext) {
    cnode *n = g->node;
    cnode__gname *e;
    etf_view key;
    int err;

    if (name.len + method.len > MOST_BYTES || g->names.count >= MOST_NAMES ||
        g->name_bytes + name.len + method.len > MOST_IN_ALL)
        return cnode__err(n, CN_ELIMIT, "too many names, or too long a one");
    err = cnode__global_key(g, name, &key);
    if (err != 0)
        return err;
    e = new_name(g, key, pid, method, ext);
    if (e == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    err = cn__map_put(&g->names, e->name.data, e->name.len, e);
    if (err != 0) {
        free_name(g, e);
        return cnode__err(n, err, "out of memory");
    }
    g->name_bytes += weight(e);
    err = cn__map_put(&g->pids, e->pid.data, e->pid.len, e);
    err = err != 0 ? cnode__err(n, err, "out of memory") : watch_or_wait(g, e);
    if (err != 0)
        drop_name(g, e);
    return err;
}

int cnode__names_insert(cnode__global *g, etf_view name, const etf_pid *pid,
                        etf_view method, etf_view ext) {
    int err;

    cnode__names_delete(g, name);
    err = try_insert(g, name, pid, method, ext);
    if (err != 0)
        cannot_keep(g, pid->node);
    return err;
}

/* --- the table ----------------------------------------------------------- */

void cnode__names_put(const cnode__global *g, etf_writer *w) {
    const cnode__gname *e;

    etf_begin_list(w);
    for (size_t at = 0; (e = cn__map_next(&g->names, &at)) != NULL;)
        (void)etf_pack(w, "{~t, ~t, ~t}", e->name, e->pid, e->method);
    etf_end_list(w);
}

void cnode__names_put_ext(const cnode__global *g, etf_writer *w) {
    const cnode__gname *e;

    etf_begin_list(w);
    for (size_t at = 0; (e = cn__map_next(&g->names, &at)) != NULL;)
        if (e->ext != NULL)
            (void)etf_pack(w, "{~t, ~t, ~a}", e->name, e->pid, e->ext);
    etf_end_list(w);
}

void cnode__names_init(cnode__global *g, uint64_t seed) {
    const cn_alloc *alloc = &g->node->alloc;

    cn__map_init(&g->names, seed, alloc);
    cn__map_init(&g->watched, seed, alloc);
    cn__map_init(&g->pids, seed, alloc);
    cnode__list_init(&g->unwatched);
}

int cnode__names_start(cnode__global *g) {
    return cnode__timer_make(&g->node->timers, &g->watch_timer, watch_again);
}

void cnode__names_free(cnode__global *g) {
    cnode__gname *e;
    size_t at = 0;

    cnode__timer_drop(&g->node->timers, &g->watch_timer);
    while ((e = cn__map_first(&g->names, &at)) != NULL)
        drop_name(g, e);
    cn__map_free(&g->names);
    cn__map_free(&g->watched);
    cn__map_free(&g->pids);
}

/* --- public -------------------------------------------------------------- */

static bool is_alive(cnode *n, const etf_pid *pid) {
    return !cnode__own_pid(n, pid) || cnode__proc_of(n, pid) != NULL;
}

int cnode_global_whereis_term(cnode *n, etf_view name, etf_pid *out) {
    cnode__global *g = cnode__global_full(n);
    const cnode__gname *e;

    if (g == NULL)
        return CN_ENOTSUP;
    e = cnode__names_find(g, name);
    if (e != NULL)
        cnode__gname_pid(e, out);
    return e != NULL && is_alive(n, out)
               ? 0
               : cnode__err(n, CN_ENOENT, "nobody has that name");
}

int cnode_global_whereis(cnode *n, const char *name, etf_pid *out) {
    uint8_t buf[CNODE__ATOM_ROOM];
    etf_view term;
    int err = cnode__global_atom(n, name, buf, &term);

    return err != 0 ? err : cnode_global_whereis_term(n, term, out);
}

bool cnode_global_next(const cnode *n, size_t *at, etf_view *name,
                       etf_pid *pid) {
    const cnode__gname *e = n->global == NULL || !n->global->full
                                ? NULL
                                : cn__map_next(&n->global->names, at);

    if (e == NULL)
        return false;
    *name = e->name;
    if (pid != NULL)
        cnode__gname_pid(e, pid);
    return true;
}

int cnode_global_send_args(cnode_proc *p, const char *name, const etf_in *in,
                           size_t n) {
    etf_pid to;
    int err = cnode_global_whereis(p->node, name, &to);

    return err != 0 ? err : cnode_send_args(p, &to, in, n);
}
