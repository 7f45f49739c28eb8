/* SPDX-License-Identifier: Apache-2.0
 *
 * node.c: who this node is, whom it knows, and which connection a signal
 * takes.
 *
 * A peer is another node, connected or not; a wire is one socket. The happy
 * path of a first message: route -> no connection, so the signal waits in
 * peer->pending and the shell dials -> cnode__wire_open starts the handshake
 * -> CNODE_EV_UP -> the pending signals go out.
 *
 * Failures end a wire: cnode__wire_fail marks it, the pump buries it. A peer
 * that was up is lost then: links and monitors see noconnection. A peer that
 * could not be reached is lost in the same way, and whoever wanted the
 * connection hears why.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "cnode/control.h"
#include "cnode/digest.h"
#include "cnode/node.h"

enum { DEFAULT_PENDING = 256 << 20, LOCAL_ROUNDS = 64 };

static const uint64_t every_flag = ~UINT64_C(0);
static const char lost_signal[] = "a signal for it could not be kept";

/* --- errors, time -------------------------------------------------------- */

int cnode__err(cnode *n, int code, const char *fmt, ...) {
    va_list ap;

    n->error.code = code;
    n->error.os_error = 0;
    va_start(ap, fmt);
    (void)vsnprintf(n->error.text, sizeof n->error.text, fmt, ap);
    va_end(ap);
    return code;
}

uint64_t cnode__now(cnode *n) {
    return n->shell->now(n->shell_ctx);
}

static void wake(cnode *n) {
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
    cnode__list_init(&n->wires);
    cnode__list_init(&n->ended);
    cnode__list_init(&n->wants);
    cn__buf_init(&n->local, &n->alloc);
    cnode__timers_init(&n->timers, &n->alloc);
    etf_writer_init(&n->packer, &n->alloc);
    etf_writer_init(&n->message, &n->alloc);
    etf_writer_init(&n->scratch, &n->alloc);
}

static uint32_t random_creation(cnode *n) {
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
    init_tables(n);
    n->creation = random_creation(n);
    n->next_pid = n->next_ref = n->next_unlink = 1;
    n->peer_now = n->name;
    err = copy_string(n, &n->config.address);
    if (err == 0)
        err = set_identity(n, c);
    if (err == 0)
        err = cnode__services(n);
    return err;
}

static void free_secret(cnode *n, char *s) {
    size_t size = s == NULL ? 0 : strlen(s) + 1;

    if (s != NULL)
        cnode__wipe(s, size);
    cn__free(&n->alloc, s, size, 1);
}

static void free_peer(cnode__peer *p) {
    cnode *n = p->node;

    (void)cn__map_remove(&n->peers, p->name, strlen(p->name));
    cnode__timer_drop(&n->timers, &p->timer);
    cn__buf_free(&p->pending);
    free_secret(n, p->cookie);
    cn__strfree(&n->alloc, p->address);
    cn__free(&n->alloc, p, 1, sizeof *p);
}

static void free_procs(cnode *n) {
    static const uint8_t shutdown[] = {119, 8,   's', 'h', 'u',
                                       't', 'd', 'o', 'w', 'n'};
    cnode_proc *p;
    size_t at = 0;

    for (; (p = cn__map_next(&n->procs, &at)) != NULL; at = 0)
        cnode__end(p, (etf_view){shutdown, sizeof shutdown});
    cnode__bury(n);
}

void cnode__adopt_creation(cnode *n, uint32_t creation) {
    if (!n->creation_used && creation >= 4)
        n->creation = creation;
    n->creation_used = true;
}

/* --- peers --------------------------------------------------------------- */

bool cnode__is_self(const cnode *n, const char *name, size_t len) {
    return len == 0 ||
           (strlen(n->name) == len && memcmp(n->name, name, len) == 0);
}

static void peer_timeout(cnode__timer *t);

static cnode__peer *new_peer(cnode *n, const char *name, size_t len) {
    cnode__peer *p = cn__calloc(&n->alloc, 1, sizeof *p);

    if (p == NULL)
        return NULL;
    p->node = n;
    memcpy(p->name, name, len);
    cnode__list_init(&p->links);
    cnode__list_init(&p->watches);
    cnode__list_init(&p->waiters);
    cn__buf_init(&p->pending, &n->alloc);
    if (cnode__timer_make(&n->timers, &p->timer, peer_timeout) == 0 &&
        cn__map_put(&n->peers, p->name, len, p) == 0)
        return p;
    cnode__timer_drop(&n->timers, &p->timer);
    cn__free(&n->alloc, p, 1, sizeof *p);
    return NULL;
}

int cnode__find_peer_n(cnode *n, const char *name, size_t len,
                       cnode__peer **out) {
    char text[CNODE__NAME_MAX + 1];

    *out = NULL;
    if (cnode__is_self(n, name, len))
        return 0;
    *out = cn__map_get(&n->peers, name, len);
    if (*out != NULL)
        return 0;
    if (len > CNODE__NAME_MAX || memchr(name, '\0', len) != NULL)
        return cnode__err(n, CN_EBADARG, "that is no node name");
    memcpy(text, name, len);
    text[len] = '\0';
    if (!cnode__name_ok(text))
        return cnode__err(n, CN_EBADARG,
                          "'%.100s' is no node name; it looks like name@host",
                          text);
    *out = new_peer(n, name, len);
    return *out == NULL ? cnode__err(n, CN_ENOMEM, "out of memory") : 0;
}

int cnode__find_peer(cnode *n, const char *name, cnode__peer **out) {
    *out = NULL;
    return name == NULL ? 0 : cnode__find_peer_n(n, name, strlen(name), out);
}

static bool has_wire(const cnode__peer *p) {
    const cnode *n = p->node;

    for (cnode__list *l = n->wires.next; l != &n->wires; l = l->next)
        if (cnode__list_of(cnode__wire, in_node, l)->peer == p)
            return true;
    return false;
}

static bool peer_in_use(const cnode__peer *p) {
    return p->held > 0 || p->up != NULL || p->dial != NULL || p->waiting ||
           p->cookie != NULL || p->address != NULL ||
           cn__buf_size(&p->pending) > 0 || !cnode__list_empty(&p->links) ||
           !cnode__list_empty(&p->watches) || !cnode__list_empty(&p->waiters);
}

/* undone: by somebody who still waits. */
static bool peer_wanted(const cnode__peer *p, bool undone) {
    const cnode *n = p->node;

    for (cnode__list *l = n->wants.next; l != &n->wants; l = l->next) {
        const cnode__want *w = cnode__list_of(cnode__want, in_node, l);
        if (w->peer == p && !(undone && w->done))
            return true;
    }
    return false;
}

static void release_peer(cnode__peer *p) {
    if (!peer_in_use(p) && !peer_wanted(p, false) && !has_wire(p))
        free_peer(p);
}

/* Around callbacks, which may take back what p is kept for. */
static void hold_peer(cnode__peer *p) {
    p->held++;
}

static void let_go_of_peer(cnode__peer *p) {
    p->held--;
    release_peer(p);
}

/* --- wires --------------------------------------------------------------- */

static void wire_timeout(cnode__timer *t);

cnode__wire *cnode__wire_new(cnode *n, cnode__peer *peer) {
    cnode__wire *w = cn__calloc(&n->alloc, 1, sizeof *w);

    if (w == NULL)
        return NULL;
    if (cnode__timer_make(&n->timers, &w->timer, wire_timeout) != 0) {
        cn__free(&n->alloc, w, 1, sizeof *w);
        return NULL;
    }
    w->node = n;
    w->peer = peer;
    w->dialled = peer != NULL;
    cnode__list_add(&n->wires, &w->in_node);
    return w;
}

static void free_wire(cnode__wire *w) {
    cnode *n = w->node;

    cnode__list_leave(&w->in_node);
    cnode__timer_drop(&n->timers, &w->timer);
    n->shell->close(n->shell_ctx, w);
    cnode_conn_free(w->conn);
    cn__free(&n->alloc, w, 1, sizeof *w);
}

static const char *wire_name(const cnode__wire *w) {
    if (w->peer != NULL)
        return w->peer->name;
    if (w->conn != NULL && cnode_conn_peer(w->conn)[0] != '\0')
        return cnode_conn_peer(w->conn);
    return "a peer without a name";
}

void cnode__wire_fail(cnode__wire *w, int code, int os_error,
                      const char *text) {
    if (w->failed)
        return;
    w->failed = true;
    (void)cn__fail(&w->error, code, os_error, "%s", text);
    wake(w->node);
}

static void fail_by_conn(cnode__wire *w) {
    const cn_error *e = cnode_conn_error(w->conn);
    cnode__wire_fail(w, e->code, e->os_error, e->text);
}

static void mark_dirty(cnode__wire *w) {
    w->dirty = true;
    wake(w->node);
}

static void rearm(cnode__wire *w) {
    cnode__timer_arm(&w->node->timers, &w->timer, cnode_conn_deadline(w->conn));
}

static void wire_timeout(cnode__timer *t) {
    cnode__wire *w = cnode__list_of(cnode__wire, timer, t);

    if (w->failed)
        return;
    if (w->conn == NULL) {
        cnode__wire_fail(w, CN_ETIMEDOUT, 0, "no answer while connecting");
        return;
    }
    if (cnode_conn_timeout(w->conn, cnode__now(w->node)) != 0) {
        fail_by_conn(w);
        return;
    }
    mark_dirty(w);
    rearm(w);
}

static void frame_hook(void *ctx, bool in, const char *text, etf_view payload) {
    cnode__wire *w = ctx;
    cnode *n = w->node;
    n->config.on_frame(n, wire_name(w), in, text, payload, n->config.data);
}

static const char *cookie_for(const cnode__peer *p, cnode *n) {
    return p != NULL && p->cookie != NULL ? p->cookie : n->cookie;
}

static void fill_conn_config(cnode__wire *w, cnode_conn_config *c) {
    cnode *n = w->node;

    *c = (cnode_conn_config){
        .initiator = w->dialled,
        .name = n->name,
        .takeover = !n->config.no_takeover,
        .creation = n->creation,
        .flags =
            cnode_conn_flags() | (n->config.visible ? CNODE_FLAG_PUBLISHED : 0),
        .setup_ms = n->config.setup_ms,
        .ticktime_ms = n->config.ticktime_s > UINT32_MAX / 1000
                           ? UINT32_MAX
                           : n->config.ticktime_s * 1000,
        .max_frame = n->config.max_frame,
        .max_queue = n->config.max_queue,
        .alloc = n->alloc,
        .log = n->config.log,
        .on_frame = n->config.on_frame != NULL ? frame_hook : NULL,
        .frame_ctx = w,
    };
    n->shell->random(n->shell_ctx, &c->challenge, sizeof c->challenge);
    if (!w->dialled)
        return;
    c->peer = w->peer->name;
    c->cookie = cookie_for(w->peer, n);
    if (!n->named) {
        c->dynamic_name = true;
        c->name = strchr(w->peer->name, '@') + 1;
    }
}

int cnode__wire_open(cnode__wire *w) {
    cnode *n = w->node;
    cnode_conn_config c;
    int err;

    if (w->failed)
        return w->error.code;
    n->creation_used = true;
    fill_conn_config(w, &c);
    err = cnode_conn_new(&w->conn, &c, cnode__now(n));
    if (err != 0) {
        cnode__wire_fail(w, err, 0, cn_strerror(err));
        return err;
    }
    rearm(w);
    mark_dirty(w);
    return 0;
}

/* --- dialling ------------------------------------------------------------ */

static int dial(cnode__peer *p) {
    cnode *n = p->node;
    cnode__wire *w = cnode__wire_new(n, p);
    uint32_t setup = n->config.setup_ms == 0 ? 7000 : n->config.setup_ms;
    int err;

    if (w == NULL)
        return CN_ENOMEM;
    p->dial = w;
    cnode__timer_arm(&n->timers, &w->timer, cnode__now(n) + setup);
    err = n->shell->dial(n->shell_ctx, w);
    if (err != 0)
        cnode__wire_fail(w, err, 0, cn_strerror(err));
    return 0;
}

static int want_connection(cnode__peer *p) {
    return p->up != NULL || p->dial != NULL || p->waiting ? 0 : dial(p);
}

/* --- down ---------------------------------------------------------------- */

static void tell_peer_event(cnode__peer *p, bool up, int status,
                            const char *text) {
    cnode *n = p->node;
    cnode_peer ev = {
        .name = p->name,
        .up = up,
        .hidden = (p->flags & CNODE_FLAG_PUBLISHED) == 0,
        .id = p->conn_id,
        .flags = p->flags,
        .status = status,
        .text = text,
    };
    if (n->config.on_peer != NULL && !n->closing)
        n->config.on_peer(n, &ev, n->config.data);
}

static void finish_wants(cnode__peer *p, const cn_error *e) {
    cnode *n = p->node;

    for (cnode__list *l = n->wants.next; l != &n->wants; l = l->next) {
        cnode__want *w = cnode__list_of(cnode__want, in_node, l);
        if (w->peer != p || w->done)
            continue;
        w->done = true;
        w->error = *e;
    }
}

/* All that crossed the connection, or waited for it, is over. */
static void lose(cnode__peer *p, const cn_error *why) {
    cnode *n = p->node;

    p->waiting = p->incomplete = false;
    cnode__timer_disarm(&n->timers, &p->timer);
    cnode__relations_lost(n, p, why);
}

/* The opposite of cnode__freeze; what a signal does not have is zero. */
static int thaw(cnode_ctrl *c, etf_reader *r, etf_view frame) {
    static const cnode_ctrl empty = {0};
    const char *why;

    *c = empty;
    return cnode__ctrl_get(c, r, frame, false, &why);
}

/* What was sent between the end of a connection and its burial is for the next
 * one, but only messages: links and monitors have just been lost. */
static void keep_messages(cnode__peer *p) {
    cn_buf *b = &p->pending;
    size_t to = b->head, at = b->head;

    while (at + 4 < b->len) {
        size_t size = cn__be32(b->data + at) + (size_t)4;
        cnode_ctrl c;
        etf_reader r;
        if (thaw(&c, &r, (etf_view){b->data + at + 4, size - 4}) == 0 &&
            c.signal <= CNODE_SIG_ALIAS_SEND) {
            memmove(b->data + to, b->data + at, size);
            to += size;
        }
        at += size;
    }
    b->len = to;
    if (cn__buf_size(b) == 0 || !p->node->named)
        cn__buf_free(b);
}

/* It could not be reached. Those who want it now hear so; those who come to
 * want it in a callback of this loss want another attempt. */
static void give_up(cnode__peer *p, const cn_error *why) {
    finish_wants(p, why);
    cn__buf_free(&p->pending);
    lose(p, why);
}

static void peer_down(cnode__peer *p, const cn_error *why) {
    cnode *n = p->node;

    p->up = NULL;
    n->stats.connections--;
    cn__log(&n->config.log, CN_LOG_INFO, "node", "%s is down: %s", p->name,
            why->text);
    if (n->dynamic && n->stats.connections == 0) {
        n->named = false; /* it was valid in that cluster only */
        (void)snprintf(n->name, sizeof n->name, "nonode@nohost");
    }
    keep_messages(p);
    lose(p, why);
    tell_peer_event(p, false, why->code, why->text);
}

/* Is the peer itself in a handshake with us? */
static bool handshake_from(const cnode__peer *p) {
    const cnode *n = p->node;

    for (cnode__list *l = n->wires.next; l != &n->wires; l = l->next) {
        cnode__wire *w = cnode__list_of(cnode__wire, in_node, l);
        if (!w->dialled && !w->failed && w->conn != NULL &&
            strcmp(cnode_conn_peer(w->conn), p->name) == 0)
            return true;
    }
    return false;
}

static void wait_for_its_attempt(cnode__peer *p) {
    cnode *n = p->node;
    uint32_t setup = n->config.setup_ms == 0 ? 7000 : n->config.setup_ms;

    p->waiting = true;
    cnode__timer_arm(&n->timers, &p->timer, cnode__now(n) + setup);
}

static void peer_timeout(cnode__timer *t) {
    cnode__peer *p = cnode__list_of(cnode__peer, timer, t);
    cn_error e;

    if (!p->waiting)
        return;
    (void)cn__fail(&e, CN_ETIMEDOUT, 0,
                   "it was connecting here itself, but did not finish");
    hold_peer(p);
    give_up(p, &e);
    let_go_of_peer(p);
}

static void dial_failed(cnode__peer *p, const cn_error *why) {
    cnode *n = p->node;

    if (why->code == CN_ECANCELED || handshake_from(p)) {
        wait_for_its_attempt(p);
        return;
    }
    cn__log(&n->config.log, CN_LOG_INFO, "node", "%s: %s", p->name, why->text);
    give_up(p, why);
}

/* A wire that ended without a fault is only worth a line where it is lost. */
static void log_end(const cnode__wire *w, const cn_error *why, bool was_up) {
    bool quiet = w->dialled ? !was_up : why->code == CN_ECANCELED;

    if (was_up && (why->code == 0 || why->code == CN_ECLOSED))
        quiet = true;
    if (!quiet)
        cn__log(&w->node->config.log, CN_LOG_WARN, "node", "%s: %s",
                wire_name(w), why->text);
}

static void explain_cookie(const cnode__wire *w, cn_error *why) {
    const cnode__peer *p = w->peer;

    if (why->code == CN_ECOOKIE && w->dialled && p != NULL)
        (void)cn__fail(
            why, CN_ECOOKIE, 0,
            "cookie rejected by %.100s: this node used %.200s", p->name,
            p->cookie != NULL ? "the cookie set for it" : p->node->cookie_from);
}

static void dial_again(cnode__peer *p) {
    cn_error why;
    int err;

    p->waiting = false;
    err = dial(p);
    if (err != 0) {
        (void)cn__fail(&why, err, 0, "%s", cn_strerror(err));
        give_up(p, &why);
    }
}

static bool wants_another(const cnode__peer *p) {
    return !p->node->closing && p->up == NULL && p->dial == NULL &&
           !p->waiting &&
           (peer_wanted(p, true) || cn__buf_size(&p->pending) > 0);
}

static void bury_wire(cnode__wire *w) {
    cnode__peer *p = w->peer;
    cn_error why = w->error;
    bool was_up = p != NULL && p->up == w;
    bool was_dial = p != NULL && p->dial == w;
    bool redial = w->redial && p != NULL && p->waiting;

    explain_cookie(w, &why);
    log_end(w, &why, was_up);
    if (was_dial)
        p->dial = NULL;
    free_wire(w);
    if (p == NULL)
        return;
    hold_peer(p);
    if (was_up)
        peer_down(p, &why);
    else if (was_dial)
        dial_failed(p, &why);
    if (redial || (was_up && wants_another(p)))
        dial_again(p);
    let_go_of_peer(p);
}

/* --- up ------------------------------------------------------------------ */

/* A wire that lost its peer to another wire. */
static void replace_wire(cnode__wire *w, const char *why) {
    w->peer = NULL;
    cnode__wire_fail(w, CN_ECANCELED, 0, why);
}

static void flush_pending(cnode__peer *p) {
    cn_buf b = p->pending;
    cnode *n = p->node;

    cn__buf_init(&p->pending, &n->alloc);
    while (cn__buf_size(&b) > 4 && p->up != NULL && !p->up->failed) {
        size_t len = cn__be32(cn__buf_at(&b));
        cnode_ctrl c;
        etf_reader r;
        if (thaw(&c, &r, (etf_view){cn__buf_at(&b) + 4, len}) == 0)
            cnode__tell(n, p, &c);
        cn__buf_consume(&b, len + 4, SIZE_MAX);
    }
    cn__buf_free(&b);
    if (p->incomplete && p->up != NULL)
        cnode__wire_fail(p->up, CN_ENOMEM, 0, lost_signal);
    p->incomplete = false;
}

static void adopt_name(cnode *n, const cnode_event *ev) {
    if (n->named)
        return;
    n->named = true;
    n->creation = ev->creation;
    (void)snprintf(n->name, sizeof n->name, "%s", ev->name);
}

static void take_over(cnode__peer *p) {
    cnode__wire *old = p->up;
    cn_error why;

    if (old == NULL)
        return;
    (void)cn__fail(&why, CN_ECLOSED, 0, "replaced by a new connection");
    replace_wire(old, why.text);
    peer_down(p, &why);
}

/* Two peers were asked for a name at once: the first one's is ours, the
 * second has to be told. */
static bool is_second_name(cnode__wire *w, const cnode_event *ev) {
    cnode__peer *p = w->peer;

    if (!w->dialled || !w->node->named || strcmp(ev->name, w->node->name) == 0)
        return false;
    p->dial = NULL;
    p->waiting = w->redial = true;
    cnode__wire_fail(w, CN_ECANCELED, 0, "this node has got a name meanwhile");
    return true;
}

static void peer_up(cnode__wire *w, const cnode_event *ev) {
    static const cn_error fine = {0};
    cnode *n = w->node;
    cnode__peer *p;

    if (is_second_name(w, ev))
        return;
    if (w->peer == NULL &&
        cnode__find_peer_n(n, ev->peer, strlen(ev->peer), &w->peer) != 0) {
        cnode__wire_fail(w, n->error.code, 0, n->error.text);
        return;
    }
    p = w->peer;
    take_over(p);
    if (p->dial != NULL && p->dial != w)
        replace_wire(p->dial, "the peer's own attempt was faster");
    p->dial = NULL;
    p->waiting = false;
    cnode__timer_disarm(&n->timers, &p->timer);
    p->up = w;
    p->conn_id = ++n->next_conn;
    p->creation = ev->peer_creation;
    p->flags = cnode_conn_common_flags(w->conn);
    n->stats.connections++;
    adopt_name(n, ev);
    cn__log(&n->config.log, CN_LOG_INFO, "node", "%s is up (%s)", p->name,
            p->flags & CNODE_FLAG_PUBLISHED ? "visible" : "hidden");
    tell_peer_event(p, true, 0, "");
    flush_pending(p);
    finish_wants(p, &fine);
}

/* --- a name at the door -------------------------------------------------- */

/* Names for those who have none: base 36 of 64 random bits, at their host. */
static void make_name(cnode *n, const char *host, char *out, size_t cap) {
    char text[16];
    uint64_t r;
    size_t i = sizeof text - 1;

    n->shell->random(n->shell_ctx, &r, sizeof r);
    text[i] = '\0';
    do {
        text[--i] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[r % 36];
        r /= 36;
    } while (r > 0 && i > 0);
    (void)snprintf(out, cap, "%s@%s", text + i, host);
}

static cnode_answer judge(cnode__wire *w, const char *name) {
    cnode *n = w->node;
    cnode__peer *p = cn__map_get(&n->peers, name, strlen(name));

    if (cnode__is_self(n, name, strlen(name)) || n->closing)
        return CNODE_ANSWER_NOT_ALLOWED;
    if (p == NULL)
        return CNODE_ANSWER_OK;
    if (p->up != NULL && !p->up->failed)
        return CNODE_ANSWER_ALIVE;
    if (p->dial == NULL || p->dial->failed)
        return CNODE_ANSWER_OK;
    /* Both dial at once: the attempt of the greater name stays; one that has
     * not reached the handshake gives way. */
    if (p->dial->conn != NULL && strcmp(n->name, name) > 0)
        return CNODE_ANSWER_NOK;
    replace_wire(p->dial, "the peer is connecting itself");
    p->dial = NULL;
    w->peer = p;
    w->redial = true;
    wait_for_its_attempt(p);
    return CNODE_ANSWER_OK_SIMULTANEOUS;
}

static void got_name(cnode__wire *w, const cnode_event *ev) {
    cnode *n = w->node;
    char name[CNODE__NAME_MAX + 32];
    cnode_answer a = CNODE_ANSWER_NAMED;
    const cnode__peer *p;

    if (ev->peer[0] == '\0') {
        make_name(n, ev->name, name, sizeof name);
    } else {
        (void)snprintf(name, sizeof name, "%s", ev->peer);
        a = judge(w, name);
    }
    p = cn__map_get(&n->peers, name, strlen(name));
    if (cnode_conn_answer(w->conn, a, cookie_for(p, n), name,
                          random_creation(n)) != 0)
        fail_by_conn(w);
}

/* --- reading ------------------------------------------------------------- */

static void handle_signal(cnode__wire *w, const cnode_event *ev) {
    cnode *n = w->node;
    const char *why = "";
    int err;

    if (w->peer == NULL)
        return; /* replaced while it had something to say */
    n->peer_now = w->peer->name;
    err = cnode__signal(n, w->peer, ev->ctrl, &why);
    n->peer_now = n->name;
    if (err != 0)
        cnode__wire_fail(w, err, 0, why);
}

static void handle_event(cnode__wire *w, const cnode_event *ev) {
    switch (ev->type) {
    case CNODE_EV_NAME:
        got_name(w, ev);
        break;
    case CNODE_EV_UP:
        peer_up(w, ev);
        break;
    case CNODE_EV_SIGNAL:
        handle_signal(w, ev);
        break;
    default:
        break;
    }
}

void cnode__wire_read(cnode__wire *w, const uint8_t *p, size_t len) {
    cnode_event ev;
    int r;

    if (w->failed)
        return;
    r = cnode_conn_feed(w->conn, p, len, cnode__now(w->node));
    while (r >= 0 && !w->failed) {
        r = cnode_conn_next(w->conn, &ev);
        if (r <= 0)
            break;
        handle_event(w, &ev);
    }
    if (r < 0 && !w->failed)
        fail_by_conn(w);
    if (!w->failed)
        rearm(w);
    mark_dirty(w);
}

void cnode__wire_eof(cnode__wire *w) {
    if (w->failed)
        return;
    if (w->conn == NULL) {
        cnode__wire_fail(w, CN_ECLOSED, 0, "closed");
        return;
    }
    (void)cnode_conn_eof(w->conn);
    fail_by_conn(w);
}

/* --- routing ------------------------------------------------------------- */

int cnode__freeze(etf_writer *w, const cnode_ctrl *c, etf_view *out) {
    cnode_ctrl copy = *c;
    int err;

    etf_writer_reset(w);
    err = cnode__ctrl_put(w, &copy, every_flag, false);
    return err != 0 ? err : etf_writer_finish(w, out);
}

/* As in a connection, what keeps links and monitors true may take twice as
 * much; and all of it must find room there, where each signal is some bytes
 * longer. */
static size_t pending_limit(const cnode *n, cnode_signal signal) {
    size_t max =
        n->config.max_queue == 0 ? DEFAULT_PENDING : n->config.max_queue;

    max -= max / 8;
    return signal <= CNODE_SIG_ALIAS_SEND || signal == CNODE_SIG_SPAWN_REQUEST
               ? max
           : max > SIZE_MAX / 2 ? SIZE_MAX
                                : max * 2;
}

static int keep_frozen(cnode *n, cn_buf *b, const cnode_ctrl *c) {
    etf_view f;
    uint8_t *p;
    int err = cnode__freeze(&n->scratch, c, &f);

    if (err != 0)
        return err;
    if (f.len > UINT32_MAX)
        return CN_ELIMIT;
    if (cn__buf_size(b) > pending_limit(n, c->signal))
        return CN_EBUSY;
    p = cn__buf_reserve(b, f.len + 4);
    if (p == NULL)
        return CN_ENOMEM;
    (void)cn__put_bytes(cn__put32(p, (uint32_t)f.len), f.data, f.len);
    cn__buf_commit(b, f.len + 4);
    wake(n);
    return 0;
}

static int route_pending(cnode__peer *p, const cnode_ctrl *c) {
    int err;

    if (p->node->closing || !p->node->named)
        return CN_ENOCONN; /* its own pids have no name to go out with */
    err = want_connection(p);
    return err != 0 ? err : keep_frozen(p->node, &p->pending, c);
}

/* Our own identifiers go without the name of the node, which may change. */
static int route_here(cnode *n, const cnode_ctrl *c) {
    cnode_ctrl local = *c;

    cnode__make_local(n, &local);
    return keep_frozen(n, &n->local, &local);
}

static int route_up(cnode__peer *p, const cnode_ctrl *c) {
    int err = cnode_conn_send(p->up->conn, c);

    if (err == 0)
        mark_dirty(p->up);
    if (err == 0 && c->signal <= CNODE_SIG_ALIAS_SEND)
        p->node->stats.messages_out++;
    return err;
}

int cnode__route(cnode *n, cnode__peer *peer, const cnode_ctrl *c) {
    int err;

    n->creation_used = true;
    if (peer == NULL)
        err = route_here(n, c);
    else if (peer->up != NULL && !peer->up->failed)
        err = route_up(peer, c);
    else
        err = route_pending(peer, c);
    if (err != 0)
        (void)cnode__err(n, err, "%s: %s", peer == NULL ? n->name : peer->name,
                         cn_strerror(err));
    return err;
}

void cnode__tell(cnode *n, cnode__peer *peer, const cnode_ctrl *c) {
    int err;

    if (peer != NULL && peer->up == NULL && peer->dial == NULL &&
        !peer->waiting)
        return; /* it was lost, and with it whom this was for */
    if (peer != NULL && n->closing)
        return; /* the end of the connection tells it all */
    err = cnode__route(n, peer, c);
    if (err == 0 || err == CN_ENOTSUP)
        return; /* such a peer keeps no links or monitors to tell about */
    cn__log(&n->config.log, CN_LOG_ERROR, "node", "a signal was lost: %s",
            n->error.text);
    if (peer != NULL && peer->up != NULL)
        cnode__wire_fail(peer->up, err, 0, lost_signal);
    else if (peer != NULL)
        peer->incomplete = true;
}

void cnode__answered(cnode *n, const char *node, int err) {
    const cnode__peer *p = cn__map_get(&n->peers, node, strlen(node));

    if (err == 0)
        return;
    cn__log(&n->config.log, CN_LOG_ERROR, "node", "an answer was lost: %s",
            n->error.text);
    if (p != NULL && p->up != NULL)
        cnode__wire_fail(p->up, err, 0, lost_signal);
}

void cnode__carried(cnode *n, const char *node, etf_view frame) {
    cnode__peer *peer;
    cnode_ctrl c;
    etf_reader r;

    if (thaw(&c, &r, frame) == 0 &&
        cnode__find_peer(n, node[0] == '\0' ? NULL : node, &peer) == 0) {
        c.from = cnode__pid_of(n, cnode__number_of(&c.from));
        if (cnode__route(n, peer, &c) == 0)
            return;
    }
    n->stats.dropped++;
    cn__log(&n->config.log, CN_LOG_ERROR, "node",
            "a message from another thread was lost: %s", n->error.text);
}

/* --- the pump ------------------------------------------------------------ */

static void run_local(cnode *n) {
    cn_buf b = n->local;

    cn__buf_init(&n->local, &n->alloc);
    n->peer_now = n->name;
    while (cn__buf_size(&b) > 4) {
        size_t len = cn__be32(cn__buf_at(&b));
        cnode_ctrl c;
        etf_reader r;
        const char *why;
        if (thaw(&c, &r, (etf_view){cn__buf_at(&b) + 4, len}) == 0) {
            if (c.from.node_len == 0)
                c.from = cnode__pid_of(n, cnode__number_of(&c.from));
            (void)cnode__signal(n, NULL, &c, &why);
        }
        cn__buf_consume(&b, len + 4, SIZE_MAX);
    }
    cn__buf_free(&b);
}

static void answer_want(cnode__want *w) {
    cnode__peer *p = w->peer;
    cnode *n = p->node;

    cnode__list_leave(&w->in_node);
    hold_peer(p);
    if (w->cb != NULL)
        w->cb(n, p->name, w->error.code, &w->error, w->data);
    let_go_of_peer(p);
    cn__free(&n->alloc, w, 1, sizeof *w);
}

static cnode__want *done_want(const cnode *n) {
    for (cnode__list *l = n->wants.next; l != &n->wants; l = l->next)
        if (cnode__list_of(cnode__want, in_node, l)->done)
            return cnode__list_of(cnode__want, in_node, l);
    return NULL;
}

/* One that is made in a callback waits for the next round. */
static void run_wants(cnode *n) {
    size_t left = 0;
    cnode__want *w;

    for (cnode__list *l = n->wants.next; l != &n->wants; l = l->next)
        left += cnode__list_of(cnode__want, in_node, l)->done;
    for (; left > 0 && (w = done_want(n)) != NULL; left--)
        answer_want(w);
}

static void close_wants(cnode *n) {
    cnode__want *w;

    while ((w = cnode__list_first(cnode__want, in_node, &n->wants)) != NULL) {
        if (!w->done)
            (void)cn__fail(&w->error, CN_ECLOSED, 0, "the node is closing");
        answer_want(w);
    }
}

static void run_wires(cnode *n) {
    cnode__list *l = n->wires.next;

    while (l != &n->wires) {
        cnode__wire *w = cnode__list_of(cnode__wire, in_node, l);
        l = l->next;
        if (w->failed) {
            bury_wire(w);
            l = n->wires.next;
        } else if (w->dirty) {
            w->dirty = false;
            n->shell->flush(n->shell_ctx, w);
        }
    }
}

static bool has_work(const cnode *n) {
    for (cnode__list *l = n->wires.next; l != &n->wires; l = l->next)
        if (cnode__list_of(cnode__wire, in_node, l)->failed)
            return true;
    return done_want(n) != NULL || cn__buf_size(&n->local) > 0 ||
           !cnode__list_empty(&n->ended);
}

bool cnode__pump(cnode *n) {
    bool worked = has_work(n);
    int rounds = 0;

    do {
        run_local(n);
        cnode__bury(n);
        run_wants(n);
        run_wires(n);
    } while ((cn__buf_size(&n->local) > 0 || !cnode__list_empty(&n->ended)) &&
             ++rounds < LOCAL_ROUNDS);
    return worked || has_work(n);
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
        free_wire(w);
        if (up)
            peer_down(p, &why);
    }
}

void cnode__destroy(cnode *n) {
    cnode__peer *p;
    size_t at = 0;

    n->closing = true;
    if (n->procs.alloc == NULL)
        return; /* was never initialised */
    free_procs(n);
    (void)cnode__pump(n);
    cnode__close_wires(n);
    close_wants(n);
    for (; (p = cn__map_next(&n->peers, &at)) != NULL; at = 0)
        free_peer(p);
    cnode__exports_free(n);
    cn__map_free(&n->procs);
    cn__map_free(&n->names);
    cn__map_free(&n->peers);
    cn__map_free(&n->links);
    cn__map_free(&n->watches);
    cn__map_free(&n->waiters);
    cn__map_free(&n->exports);
    cn__buf_free(&n->local);
    cnode__timers_free(&n->timers);
    etf_writer_free(&n->packer);
    etf_writer_free(&n->message);
    etf_writer_free(&n->scratch);
    free_string(n, n->config.address);
    cnode__wipe(n->cookie, sizeof n->cookie);
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

void cnode_get_stats(const cnode *n, cnode_stats *out) {
    *out = n->stats;
    out->processes = (uint32_t)n->procs.count;
}

int cnode_connect(cnode *n, const char *peer, cnode_connect_cb cb, void *data) {
    cnode__peer *p;
    cnode__want *w;
    int err = cnode__find_peer(n, peer, &p);

    if (err != 0)
        return err;
    if (p == NULL)
        return cnode__err(n, CN_EBADARG, "%s is this node", n->name);
    if (n->closing)
        return cnode__err(n, CN_ECLOSED, "the node is closing");
    w = cn__calloc(&n->alloc, 1, sizeof *w);
    if (w == NULL) {
        release_peer(p);
        return cnode__err(n, CN_ENOMEM, "out of memory");
    }
    w->peer = p;
    w->cb = cb;
    w->data = data;
    w->done = p->up != NULL && !p->up->failed;
    cnode__list_add(&n->wants, &w->in_node);
    err = want_connection(p);
    if (err != 0) {
        w->done = true;
        (void)cn__fail(&w->error, err, 0, "%s", cn_strerror(err));
    }
    wake(n);
    return 0;
}

static cnode__peer *peer_that_is_up(const cnode *n, const char *name) {
    cnode__peer *p = cn__map_get(&n->peers, name, strlen(name));
    return p != NULL && p->up != NULL && !p->up->failed ? p : NULL;
}

int cnode_disconnect(cnode *n, const char *peer) {
    cnode__peer *p = peer_that_is_up(n, peer);

    if (p == NULL)
        return cnode__err(n, CN_ENOCONN, "%s is not connected", peer);
    cnode__wire_fail(p->up, 0, 0, "disconnected");
    return 0;
}

bool cnode_connected(const cnode *n, const char *peer) {
    return peer_that_is_up(n, peer) != NULL;
}

const char *cnode_next_peer(const cnode *n, size_t *at) {
    const cnode__peer *p;

    while ((p = cn__map_next(&n->peers, at)) != NULL)
        if (p->up != NULL && !p->up->failed)
            return p->name;
    return NULL;
}

static int set_peer_string(cnode *n, const char *peer, const char *value,
                           bool cookie) {
    cnode__peer *p;
    char *copy = NULL;
    char **place;
    int err = cnode__find_peer(n, peer, &p);

    if (err == 0 && p == NULL)
        err = cnode__err(n, CN_EBADARG, "not for this node itself");
    if (err != 0)
        return err;
    if (value != NULL && (copy = cn__strdup(&n->alloc, value)) == NULL) {
        release_peer(p);
        return cnode__err(n, CN_ENOMEM, "out of memory");
    }
    place = cookie ? &p->cookie : &p->address;
    if (cookie)
        free_secret(n, *place);
    else
        cn__strfree(&n->alloc, *place);
    *place = copy;
    release_peer(p);
    return 0;
}

int cnode_set_address(cnode *n, const char *peer, const char *address) {
    return set_peer_string(n, peer, address, false);
}

int cnode_set_cookie(cnode *n, const char *peer, const char *cookie) {
    if (cookie != NULL &&
        (cookie[0] == '\0' || strlen(cookie) > CNODE__COOKIE_MAX))
        return cnode__err(n, CN_EBADARG, "a cookie has 1 to %d characters",
                          (int)CNODE__COOKIE_MAX);
    return set_peer_string(n, peer, cookie, true);
}
