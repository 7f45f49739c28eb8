/* SPDX-License-Identifier: Apache-2.0
 *
 * node.c: who this node is, its life, and the pump that runs what the events
 * of a turn have left to do.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "cnode/conn_parts.h"
#include "cnode/digest.h"
#include "cnode/node.h"

enum { LOCAL_ROUNDS = 64, KEEP_LOCAL = 64 * 1024, KEEP_WRITER = 64 * 1024 };

/* --- errors, time -------------------------------------------------------- */

void cnode__set_error(cnode *n, int code, const char *fmt, ...) {
    va_list ap;

    n->error.code = code;
    n->error.os_error = 0;
    va_start(ap, fmt);
    (void)vsnprintf(n->error.text, sizeof n->error.text, fmt, ap);
    va_end(ap);
}

/* What is wrong is looked for when it is known to be. */
static int not_packed(cnode *n, etf_writer *w, const char *what, int err,
                      const etf_in *in, size_t count) {
    etf_error why;

    etf_writer_reset(w);
    (void)etf_pack_why_args(w, &why, in, count);
    if (why.code != err || why.what[0] == '\0' || in[0].type != ETF_ARG_STR ||
        in[0].v.str == NULL)
        return cnode__err(n, err, "%s: %s", what, cn_strerror(err));
    return cnode__err(n, err, "%s: %s, at byte %zu of %.100s", what, why.what,
                      why.at, in[0].v.str);
}

int cnode__pack(cnode *n, etf_writer *w, const char *what, const etf_in *in,
                size_t count, etf_view *out) {
    int err;

    (void)etf_pack_args(w, in, count);
    err = etf_writer_finish(w, out);
    return err == 0 ? 0 : not_packed(n, w, what, err, in, count);
}

uint64_t cnode__now(cnode *n) {
    return n->shell->now(n->shell_ctx);
}

bool cnode__seldom(cnode *n, uint64_t *next) {
    uint64_t now = cnode__now(n);

    if (now < *next)
        return false;
    *next = now + 1000;
    return true;
}

void cnode__wake(cnode *n) {
    n->shell->wake(n->shell_ctx);
}

/* --- life ---------------------------------------------------------------- */

static int copy_string(cnode *n, const char **s) {
    if (*s == NULL)
        return 0;
    *s = cn__strdup(&n->alloc, *s);
    return *s == NULL ? CN_ENOMEM : 0;
}

static void free_string(cnode *n, const char *s) {
    union {
        const char *c;
        char *p;
    } u = {s};
    cn__strfree(&n->alloc, u.p);
}

static int set_identity(cnode *n, const cnode_config *c) {
    int err = 0;

    if (c->name != NULL && !cnode__name_ok(c->name))
        return cnode__err(n, CN_EBADARG,
                          "'%.100s' is no node name; it looks like name@host",
                          c->name);
    n->named = c->name != NULL;
    n->dynamic = !n->named;
    (void)snprintf(n->name, sizeof n->name, "%s",
                   n->named ? c->name : "nonode@nohost");
    if (c->cookie == NULL)
        return cnode__read_cookie(c->cookie_file, n->cookie, sizeof n->cookie,
                                  n->cookie_from, sizeof n->cookie_from,
                                  &n->error);
    if (strlen(c->cookie) >= sizeof n->cookie || c->cookie[0] == '\0')
        err = cnode__err(n, CN_EBADARG, "a cookie has 1 to %zu characters",
                         sizeof n->cookie - 1);
    else
        memcpy(n->cookie, c->cookie, strlen(c->cookie) + 1);
    (void)snprintf(n->cookie_from, sizeof n->cookie_from,
                   "the cookie it was given");
    return err;
}

static int check_config(cnode *n, const cnode_config *c) {
    if (c->tick_intensity != 0 &&
        (c->tick_intensity < 4 || c->tick_intensity > 1000))
        return cnode__err(n, CN_EBADARG, "the tick intensity is 4 to 1000");
    if (c->port_max != 0 && (c->port == 0 || c->port_max < c->port))
        return cnode__err(n, CN_EBADARG,
                          "a range of ports begins with the lower one, and "
                          "not with 0");
    if ((unsigned)c->policy > CNODE_POLICY_DENY)
        return cnode__err(n, CN_EBADARG, "there is no such policy");
    if (c->full && c->name == NULL)
        return cnode__err(n, CN_EBADARG,
                          "a full node needs a name of its own: others have to "
                          "find it");
    if (c->full && c->no_epmd && c->port == 0)
        return cnode__err(n, CN_EBADARG,
                          "a full node without EPMD needs a fixed port: others "
                          "have to find it");
    return 0;
}

static void init_tables(cnode *n) {
    uint64_t seed;

    n->shell->random(n->shell_ctx, &seed, sizeof seed);
    cn__map_init(&n->procs, seed, &n->alloc);
    cn__map_init(&n->names, seed, &n->alloc);
    cn__map_init(&n->peers, seed, &n->alloc);
    cn__map_init(&n->links, seed, &n->alloc);
    cn__map_init(&n->watches, seed, &n->alloc);
    cn__map_init(&n->waiters, seed, &n->alloc);
    cn__map_init(&n->exports, seed, &n->alloc);
    cn__map_init(&n->kinds, seed, &n->alloc);
    cn__map_init(&n->orphans, seed, &n->alloc);
    cnode__list_init(&n->parents);
    cnode__list_init(&n->wires);
    cnode__list_init(&n->failed);
    cnode__list_init(&n->dirty);
    cnode__list_init(&n->ended);
    cnode__list_init(&n->wants);
    cnode__list_init(&n->born);
    cnode__list_init(&n->lookups);
    cnode__list_init(&n->holds);
    cnode__list_init(&n->drained);
    cnode__list_init(&n->loans);
    cnode__list_init(&n->unheard_links);
    cnode__list_init(&n->unheard_watches);
    cnode__list_init(&n->unheard_waiters);
    cn__buf_init(&n->local, &n->alloc);
    cn__buf_init(&n->spare, &n->alloc);
    cnode__timers_init(&n->timers, &n->alloc);
    etf_writer_init(&n->packer, &n->alloc);
    etf_writer_init(&n->message, &n->alloc);
    etf_writer_init(&n->scratch, &n->alloc);
    etf_writer_init(&n->token, &n->alloc);
}

uint32_t cnode__random_creation(cnode *n) {
    uint32_t creation;

    n->shell->random(n->shell_ctx, &creation, sizeof creation);
    return creation < 4 ? creation + 4 : creation; /* 1..3 are for old nodes */
}

int cnode__init(cnode *n, const cnode_config *c, const cnode__shell *shell,
                void *ctx) {
    int err;

    n->config = *c;
    n->alloc = *cn__alloc(&c->alloc);
    n->config.alloc = n->alloc;
    n->shell = shell;
    n->shell_ctx = ctx;
    n->config.name = n->config.cookie = n->config.cookie_file = NULL;
    n->config.visible = c->visible || c->full;
    init_tables(n);
    n->creation = cnode__random_creation(n);
    n->next_pid = n->next_ref = n->next_unlink = 1;
    n->peer_now = n->name;
    err = copy_string(n, &n->config.address);
    if (err == 0)
        err = check_config(n, c);
    if (err == 0)
        err = set_identity(n, c);
    if (err == 0)
        err = cnode__services(n);
    return err;
}

static void free_procs(cnode *n) {
    static const uint8_t shutdown[] = {119, 8,   's', 'h', 'u',
                                       't', 'd', 'o', 'w', 'n'};
    cnode_proc *p;
    size_t at = 0;

    while ((p = cn__map_first(&n->procs, &at)) != NULL)
        cnode__end(p, (etf_view){shutdown, sizeof shutdown});
    cnode__bury(n);
}

void cnode__adopt_creation(cnode *n, uint32_t creation) {
    if (!n->creation_used && creation >= 4)
        n->creation = creation;
    n->creation_used = true;
}

/* --- the pump ------------------------------------------------------------ */

static void run_local(cnode *n) {
    cn_buf b = n->local;

    if (cn__buf_size(&b) == 0)
        return;
    n->local = n->spare; /* for what these have as their consequence */
    cn__buf_init(&n->spare, &n->alloc);
    n->peer_now = n->name;
    while (cn__buf_size(&b) > 4) {
        size_t len = cn__be32(cn__buf_at(&b));
        cnode_ctrl c;
        etf_reader r;
        const char *why;
        if (cnode__thaw(&c, &r, (etf_view){cn__buf_at(&b) + 4, len}) == 0) {
            if (c.from.node_len == 0) {
                c.from.creation = n->creation;
                cnode__set_node(&c.from, n->name);
            }
            (void)cnode__signal(n, NULL, &c, &why);
        }
        cn__buf_consume(&b, len + 4, KEEP_LOCAL);
    }
    cn__buf_free(&n->spare);
    n->spare = b;
}

static void answer_want(cnode__want *w) {
    cnode__peer *p = w->peer;
    cnode *n = p->node;

    cnode__list_leave(&w->in_list);
    if (w->cb != NULL)
        w->cb(n, p->name, w->error.code, &w->error, w->data);
    cnode__peer_let_go(p);
    cn__free(&n->alloc, w, 1, sizeof *w);
}

/* One that is made in a callback waits for the next round. */
static void run_wants(cnode *n) {
    cnode__list now;
    cnode__want *w;

    cnode__list_move(&n->wants, &now);
    while ((w = cnode__list_first(cnode__want, in_list, &now)) != NULL)
        answer_want(w);
}

static void close_wants(cnode *n) {
    cnode__peer *p;
    size_t at = 0;
    cn_error why;

    (void)cn__fail(&why, CN_ECLOSED, 0, "the node is closing");
    while ((p = cn__map_next(&n->peers, &at)) != NULL)
        cnode__peer_answer(p, &why);
    while (!cnode__list_empty(&n->wants))
        run_wants(n);
}

/* A burial may have output as its consequence, which is flushed at once; what
 * fails meanwhile waits for the next round. */
static void run_wires(cnode *n) {
    cnode__list now;
    cnode__wire *w;

    cnode__list_move(&n->failed, &now);
    while ((w = cnode__list_first(cnode__wire, in_work, &now)) != NULL)
        cnode__wire_bury(w);
    cnode__list_move(&n->dirty, &now);
    while ((w = cnode__list_first(cnode__wire, in_work, &now)) != NULL) {
        cnode__list_leave(&w->in_work);
        n->shell->flush(n->shell_ctx, w);
        cnode__wire_wrote(w);
    }
}

/* The call that a peer was made for may have failed. */
static void run_born(cnode *n) {
    cnode__peer *p;

    while ((p = cnode__list_first(cnode__peer, in_born, &n->born)) != NULL) {
        cnode__list_leave(&p->in_born);
        cnode__peer_release(p);
    }
}

static bool has_work(const cnode *n) {
    return !cnode__list_empty(&n->failed) || !cnode__list_empty(&n->wants) ||
           cn__buf_size(&n->local) > 0 || !cnode__list_empty(&n->ended) ||
           !cnode__list_empty(&n->lookups) || !cnode__list_empty(&n->drained) ||
           !cnode__list_empty(&n->loans) || n->unheard ||
           cnode__discover_has_work(n);
}

/* Beside what is work: nothing that the pump does would do anything. A loop may
 * have hundreds of nodes, and each turn of it comes by all of them. */
static bool is_quiet(const cnode *n) {
    return !n->leaving && n->message.cap <= KEEP_WRITER &&
           cnode__list_empty(&n->dirty) && cnode__list_empty(&n->born) &&
           cnode__list_empty(&n->holds);
}

/* One large message must not occupy memory for good, but many in a row would
 * get it again each time: it goes in a turn that has none. True: there may be
 * one more turn at once for that. */
static bool rest_writer(cnode *n) {
    bool used = n->message_used;

    n->message_used = false;
    if (n->message.cap <= KEEP_WRITER)
        return false;
    if (!used)
        etf_writer_free(&n->message);
    return used;
}

bool cnode__pump(cnode *n) {
    bool worked = has_work(n), carried;
    int rounds = 0;

    if (!worked && is_quiet(n))
        return false;
    do {
        if (n->unheard)
            cnode__run_unheard(n, run_local);
        else
            run_local(n);
        cnode__bury(n);
        run_wants(n);
        cnode__run_lookups(n);
        run_wires(n);
        cnode__loans_run(n);
        carried = cnode__carry_on(n); /* there may be room now */
        cnode__drain_run(n);
        cnode__discover_run(n);
    } while ((carried || cn__buf_size(&n->local) > 0 ||
              !cnode__list_empty(&n->ended)) &&
             ++rounds < LOCAL_ROUNDS);
    run_born(n);
    cnode__left(n);
    /* on_drain, say, may have sent something since the wires were written to.
     */
    return rest_writer(n) || worked || carried || has_work(n) ||
           !cnode__list_empty(&n->dirty);
}

uint64_t cnode__deadline(const cnode *n) {
    return cnode__timers_next(&n->timers);
}

void cnode__run_timers(cnode *n, uint64_t now) {
    cnode__timers_run(&n->timers, now);
}

void cnode__close_wires(cnode *n) {
    cnode__wire *w;

    while ((w = cnode__list_first(cnode__wire, in_node, &n->wires)) != NULL) {
        cnode__peer *p = w->peer;
        cn_error why;
        bool up = p != NULL && p->up == w;
        (void)cn__fail(&why, CN_ECLOSED, 0, "the node is closing");
        if (p != NULL && p->dial == w)
            p->dial = NULL;
        cnode__wire_free(w);
        if (up)
            cnode__peer_down(p, &why);
    }
}

void cnode__destroy(cnode *n) {
    cnode__orphan *o;
    cnode__peer *p;
    size_t at = 0;

    n->closing = true;
    if (n->procs.alloc == NULL)
        return; /* was never initialised */
    cnode__discover_end(n);
    free_procs(n);
    (void)cnode__pump(n);
    cnode__pubsubs_free(n);
    cnode__pg_free(n);
    cnode__carry_end(n);
    cnode__close_wires(n);
    close_wants(n);
    cnode__discover_free(n);
    cnode__loans_run(n);
    cnode__left(n);
    while ((p = cn__map_first(&n->peers, &at)) != NULL)
        cnode__peer_free(p);
    cnode__exports_free(n);
    cn__map_free(&n->procs);
    cn__map_free(&n->names);
    cn__map_free(&n->peers);
    cn__map_free(&n->links);
    cn__map_free(&n->watches);
    cn__map_free(&n->waiters);
    cn__map_free(&n->exports);
    cn__map_free(&n->kinds);
    while ((o = cnode__list_first(cnode__orphan, in_node, &n->parents)) != NULL)
        cnode__orphan_drop(n, o);
    cn__map_free(&n->orphans);
    cn__buf_free(&n->local);
    cn__buf_free(&n->spare);
    cnode__timers_free(&n->timers);
    etf_writer_free(&n->packer);
    etf_writer_free(&n->message);
    etf_writer_free(&n->scratch);
    etf_writer_free(&n->token);
    free_string(n, n->config.address);
    cnode__wipe(n->cookie, sizeof n->cookie);
    cnode__rules_drop(n->rules);
}

/* --- public -------------------------------------------------------------- */

const char *cnode_name(const cnode *n) {
    return n->name;
}
uint32_t cnode_creation(const cnode *n) {
    return n->creation;
}
uint16_t cnode_port(const cnode *n) {
    return n->port;
}
void *cnode_data(const cnode *n) {
    return n->config.data;
}
const cn_error *cnode_error(const cnode *n) {
    return &n->error;
}

uint64_t cnode_now(const cnode *n) {
    return n->shell->now(n->shell_ctx);
}
