/* SPDX-License-Identifier: Apache-2.0
 *
 * peer.c: the other nodes, connected or not.
 *
 * A peer is another node; a wire is one socket. The happy path of a first
 * message: route -> no connection, so the signal waits in peer->pending and
 * the shell dials -> cnode__wire_open starts the handshake -> CNODE_EV_UP ->
 * the pending signals go out.
 *
 * Failures end a wire: cnode__wire_fail marks it, the pump buries it. A peer
 * that was up is lost then: links and monitors see noconnection. A peer that
 * could not be reached is lost in the same way, and whoever wanted the
 * connection hears why.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cnode/digest.h"
#include "cnode/node.h"

enum { DEFAULT_DIALS = 256 };

/* --- peers --------------------------------------------------------------- */

bool cnode__is_self(const cnode *n, const char *name, size_t len) {
    return len == 0 || (len < sizeof n->name && n->name[len] == '\0' &&
                        memcmp(n->name, name, len) == 0);
}

static void peer_timeout(cnode__timer *t);

static cnode__peer *new_peer(cnode *n, const char *name, size_t len) {
    cnode__peer *p = cn__calloc(&n->alloc, 1, sizeof *p + len + 1);

    if (p == NULL)
        return NULL;
    p->node = n;
    p->name_len = (uint16_t)len;
    memcpy(p->name, name, len);
    cnode__list_init(&p->in_born);
    cnode__list_init(&p->in_drained);
    cnode__list_init(&p->wires);
    cnode__list_init(&p->wants);
    cnode__list_init(&p->links);
    cnode__list_init(&p->watches);
    cnode__list_init(&p->waiters);
    cn__buf_init(&p->pending, &n->alloc);
    if (cnode__timer_make(&n->timers, &p->timer, peer_timeout) == 0 &&
        cn__map_put(&n->peers, p->name, len, p) == 0) {
        cnode__list_add(&n->born, &p->in_born);
        cnode__wake(n);
        return p;
    }
    cnode__timer_drop(&n->timers, &p->timer);
    cn__free(&n->alloc, p, 1, sizeof *p + len + 1);
    return NULL;
}

/* Who sends often sends to the same node. */
static cnode__peer *known_peer(cnode *n, const char *name, size_t len) {
    if (n->last_peer != NULL && n->last_peer_len == len &&
        memcmp(n->last_peer->name, name, len) == 0)
        return n->last_peer;
    n->last_peer = cn__map_get(&n->peers, name, len);
    n->last_peer_len = len;
    return n->last_peer;
}

int cnode__find_peer_n(cnode *n, const char *name, size_t len,
                       cnode__peer **out) {
    char text[CNODE__NAME_MAX + 1];

    *out = NULL;
    if (cnode__is_self(n, name, len))
        return 0;
    *out = known_peer(n, name, len);
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

static void free_secret(cnode *n, char *s) {
    size_t size = s == NULL ? 0 : strlen(s) + 1;

    if (s != NULL)
        cnode__wipe(s, size);
    cn__free(&n->alloc, s, size, 1);
}

void cnode__peer_weigh(cnode__peer *p) {
    size_t size = cn__buf_size(&p->pending);

    p->node->pending += size - p->weighed; /* modulo SIZE_MAX + 1 */
    p->weighed = size;
}

static void drop_pending(cnode__peer *p) {
    cn__buf_free(&p->pending);
    cnode__peer_weigh(p);
}

void cnode__peer_free(cnode__peer *p) {
    cnode *n = p->node;

    if (n->last_peer == p)
        n->last_peer = NULL;
    (void)cn__map_remove(&n->peers, p->name, strlen(p->name));
    (void)cnode__keep_end(p);
    cnode__list_leave(&p->in_born);
    cnode__list_leave(&p->in_drained);
    cnode__timer_drop(&n->timers, &p->timer);
    drop_pending(p);
    free_secret(n, p->cookie);
    cn__strfree(&n->alloc, p->address);
    cn__free(&n->alloc, p->counts.past, 1, sizeof *p->counts.past);
    cn__free(&n->alloc, p, 1, sizeof *p + p->name_len + 1);
}

static bool peer_in_use(const cnode__peer *p) {
    return p->held > 0 || p->up != NULL || p->dial != NULL || p->waiting ||
           p->cookie != NULL || p->address != NULL || p->keep != NULL ||
           p->policy != CNODE_POLICY_DEFAULT || cn__buf_size(&p->pending) > 0 ||
           !cnode__list_empty(&p->wires) || !cnode__list_empty(&p->links) ||
           !cnode__list_empty(&p->watches) || !cnode__list_empty(&p->waiters);
}

void cnode__peer_release(cnode__peer *p) {
    if (!peer_in_use(p))
        cnode__peer_free(p);
}

/* Around callbacks, which may take back what p is kept for. */
void cnode__peer_hold(cnode__peer *p) {
    p->held++;
}

void cnode__peer_let_go(cnode__peer *p) {
    p->held--;
    cnode__peer_release(p);
}

/* --- dialling ------------------------------------------------------------ */

/* The peer itself is in a handshake with us. */
static cnode__wire *handshake_from(const cnode__peer *p) {
    for (cnode__list *l = p->wires.next; l != &p->wires; l = l->next) {
        cnode__wire *w = cnode__list_of(cnode__wire, in_peer, l);
        if (!w->dialled && !w->failed && w != p->up)
            return w;
    }
    return NULL;
}

void cnode__peer_await(cnode__peer *p) {
    cnode *n = p->node;
    uint32_t setup = n->config.setup_ms == 0 ? 7000 : n->config.setup_ms;

    p->waiting = true;
    cnode__timer_arm(&n->timers, &p->timer, cnode__now(n) + setup);
}

/* One attempt at a time: a second one, begun when the peer's own has got as far
 * as its name, could come up on one side while the first does on the other. */
static bool leave_it_to_the_peer(cnode__peer *p) {
    cnode__wire *w = handshake_from(p);

    if (w == NULL)
        return false;
    w->redial = true;
    cnode__peer_await(p);
    return true;
}

static int new_attempt(cnode__peer *p, bool counted) {
    cnode *n = p->node;
    uint32_t setup = n->config.setup_ms == 0 ? 7000 : n->config.setup_ms;
    cnode__wire *w;

    if (cnode__policy_of(n, p) == CNODE_POLICY_DENY)
        return CN_ENOTALLOWED;
    w = cnode__wire_new(n, p);
    if (w == NULL)
        return CN_ENOMEM;
    p->dial = w;
    w->counted = counted;
    n->dials += counted;
    cnode__timer_arm(&n->timers, &w->timer, cnode__now(n) + setup);
    return 0;
}

static int dial_now(cnode__peer *p, bool counted) {
    int err = new_attempt(p, counted);

    if (err == 0)
        cnode__lookup(p->dial);
    return err;
}

int cnode__peer_dial(cnode__peer *p, bool counted) {
    if (cnode__policy_of(p->node, p) != CNODE_POLICY_DENY &&
        leave_it_to_the_peer(p))
        return 0;
    return dial_now(p, counted);
}

bool cnode__peer_on_the_way(const cnode__peer *p) {
    return p->up != NULL || p->dial != NULL || p->waiting;
}

/* Whom something is sent to may be the choice of a peer, which must not have
 * all the descriptors by naming nodes that do not answer. */
int cnode__peer_want(cnode__peer *p) {
    cnode *n = p->node;
    uint32_t max =
        n->config.max_dials == 0 ? DEFAULT_DIALS : n->config.max_dials;

    if (cnode__policy_of(n, p) == CNODE_POLICY_DENY)
        return CN_ENOTALLOWED;
    if (cnode__peer_on_the_way(p))
        return 0;
    if (cnode__global_may_connect(n) != 0)
        return n->error.code;
    if (n->dials < max)
        return cnode__peer_dial(p, true);
    if (cnode__seldom(n, &n->quiet_dials))
        cn__log(&n->config.log, CN_LOG_WARN, "node",
                "%s is not connected to: %u attempts are being made already",
                p->name, (unsigned)n->dials);
    return CN_EBUSY;
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
    if (n->closing)
        return;
    if (n->config.on_peer != NULL)
        n->config.on_peer(n, &ev, n->config.data);
    cnode__discover_peer(n, &ev);
}

void cnode__name_error(const char *name, const cn_error *e, cn_error *out) {
    *out = *e;
    if (e->text[0] != '\0' && strstr(e->text, name) == NULL)
        (void)cn__wrap(out, "%.100s", name);
}

void cnode__peer_answer(cnode__peer *p, const cn_error *e) {
    cnode__want *w;

    while ((w = cnode__list_first(cnode__want, in_list, &p->wants)) != NULL) {
        cnode__list_leave(&w->in_list);
        cnode__list_add(&p->node->wants, &w->in_list);
        cnode__name_error(p->name, e, &w->error);
    }
}

/* All that crossed the connection, or waited for it, is over. */
static void lose(cnode__peer *p, const cn_error *why) {
    cnode *n = p->node;

    p->waiting = p->incomplete = false;
    cnode__timer_disarm(&n->timers, &p->timer);
    cnode__relations_lost(n, p, why);
}

/* What was sent between the end of a connection and its burial is for the next
 * one, but only messages and exit/2: links and monitors have just been lost. */
static void keep_messages(cnode__peer *p) {
    cn_buf *b = &p->pending;
    size_t at = b->head, to = at;

    while (at + 4 < b->len) {
        size_t size = cn__be32(b->data + at) + (size_t)4;
        cnode_ctrl c;
        etf_reader r;
        if (cnode__thaw(&c, &r, (etf_view){b->data + at + 4, size - 4}) == 0 &&
            (c.signal <= CNODE_SIG_ALIAS_SEND || c.signal == CNODE_SIG_EXIT2)) {
            memmove(b->data + to, b->data + at, size);
            to += size;
        }
        at += size;
    }
    b->len = to;
    if (cn__buf_size(b) == 0 || !p->node->named)
        cn__buf_free(b);
    cnode__peer_weigh(p);
}

/* It could not be reached. Those who want it now hear so; those who come to
 * want it in a callback of this loss want another attempt. */
static void give_up(cnode__peer *p, const cn_error *why) {
    cn__log(&p->node->config.log, CN_LOG_INFO, "node", "%s: %s", p->name,
            why->text);
    cnode__peer_answer(p, why);
    p->node->unsent += cn__buf_size(&p->pending);
    cnode__stats_unreached(p);
    drop_pending(p);
    cnode__drain_check(p);
    lose(p, why);
}

void cnode__peer_down(cnode__peer *p, const cn_error *why) {
    cnode *n = p->node;

    p->up = NULL;
    n->stats.connections--;
    n->stats.downs++, p->counts.downs++;
    cn__log(&n->config.log, CN_LOG_INFO, "node", "%s is down: %s", p->name,
            why->text);
    if (n->dynamic && n->stats.connections == 0) {
        n->named = false; /* it was valid in that cluster only */
        (void)snprintf(n->name, sizeof n->name, "nonode@nohost");
    }
    keep_messages(p);
    cnode__keep_down(p);
    cnode__drain_check(p);
    lose(p, why);
    cnode__global_down(n, p, why->code);
    tell_peer_event(p, false, why->code, why->text);
}

/* What becomes of that one is seen when it is up or buried, and it has a time
 * limit of its own. */
static bool waits_for_a_wire(const cnode__peer *p) {
    for (cnode__list *l = p->wires.next; l != &p->wires; l = l->next)
        if (cnode__list_of(cnode__wire, in_peer, l)->redial)
            return true;
    return false;
}

static void peer_timeout(cnode__timer *t) {
    cnode__peer *p = cnode__list_of(cnode__peer, timer, t);
    cn_error e;

    if (!p->waiting || waits_for_a_wire(p))
        return;
    (void)cn__fail(&e, CN_ETIMEDOUT, 0,
                   "it was connecting here itself, but did not finish");
    cnode__peer_hold(p);
    give_up(p, &e);
    if (!cnode__peer_on_the_way(p))
        cnode__keep_retry(p, &e, false);
    cnode__peer_let_go(p);
}

static void dial_failed(cnode__peer *p, const cn_error *why) {
    cnode *n = p->node;

    n->stats.failures++, p->counts.failures++;
    if (why->code == CN_ECANCELED || handshake_from(p))
        cnode__peer_await(p);
    else
        give_up(p, why);
}

/* A wire that ended without a fault is only worth a line where it is lost, and
 * one that gave way to another (it has no peer then) not even that. */
static void log_end(const cnode__wire *w, const cn_error *why, bool was_up) {
    bool canceled = why->code == CN_ECANCELED;
    bool quiet = w->dialled ? !was_up : canceled && w->peer == NULL;

    if (was_up && (why->code == 0 || why->code == CN_ECLOSED))
        quiet = true;
    if (!quiet)
        cn__log(&w->node->config.log, canceled ? CN_LOG_INFO : CN_LOG_WARN,
                "node", "%s: %s", cnode__wire_name(w), why->text);
}

/* Names are what others say; where one is tells who it is. */
static void explain_cookie(const cnode__wire *w, cn_error *why) {
    const cnode__peer *p = w->peer;
    const cnode *n = w->node;
    const char *used = p != NULL && p->cookie != NULL ? "the cookie set for it"
                                                      : n->cookie_from;
    char where[80] = "";

    if (why->code != CN_ECOOKIE || (w->dialled && p == NULL))
        return;
    if (w->dialled) {
        (void)cn__fail(why, CN_ECOOKIE, 0,
                       "cookie rejected by %.100s: this node used %.200s",
                       p->name, used);
        return;
    }
    if (n->shell->where != NULL)
        n->shell->where(n->shell_ctx, w, where, sizeof where);
    (void)cn__fail(why, CN_ECOOKIE, 0,
                   "handshake: the peer%s%s has another cookie; this node used "
                   "%.200s",
                   where[0] != '\0' ? " at " : "", where, used);
}

/* Without regard to another that comes in under its name: whoever only says
 * that name, and has no cookie, could keep us from the peer for ever. */
static void dial_again(cnode__peer *p) {
    cn_error why;
    int err;

    p->waiting = false;
    err = dial_now(p, true);
    if (err != 0) {
        (void)cn__fail(&why, err, 0, "%s", cn_strerror(err));
        give_up(p, &why);
    }
}

static bool wants_another(const cnode__peer *p) {
    return !p->node->closing && !p->node->leaving &&
           !cnode__peer_on_the_way(p) &&
           (!cnode__list_empty(&p->wants) || cn__buf_size(&p->pending) > 0);
}

void cnode__wire_bury(cnode__wire *w) {
    cnode__peer *p = w->peer;
    cn_error why = *cnode__wire_why(w);
    bool was_up = p != NULL && p->up == w;
    bool was_dial = p != NULL && p->dial == w;
    bool redial = w->redial && p != NULL && p->waiting;

    explain_cookie(w, &why);
    log_end(w, &why, was_up);
    if (was_dial)
        p->dial = NULL;
    cnode__wire_free(w);
    if (p == NULL)
        return;
    cnode__peer_hold(p);
    if (was_up)
        cnode__peer_down(p, &why);
    else if (was_dial)
        dial_failed(p, &why);
    if (redial || (was_up && wants_another(p)))
        dial_again(p);
    if ((was_up || was_dial || redial) && !cnode__peer_on_the_way(p))
        cnode__keep_retry(p, &why, was_up);
    cnode__peer_let_go(p);
}

/* --- up ------------------------------------------------------------------ */

/* A wire that lost its peer to another wire. */
void cnode__wire_replace(cnode__wire *w, const char *why) {
    cnode__stats_keep(w);
    w->peer = NULL;
    cnode__list_leave(&w->in_peer);
    cnode__wire_fail(w, CN_ECANCELED, 0, why);
}

static void flush_pending(cnode__peer *p) {
    cn_buf b = p->pending;
    cnode *n = p->node;

    cn__buf_init(&p->pending, &n->alloc);
    cnode__peer_weigh(p);
    while (cn__buf_size(&b) > 4 && p->up != NULL && !p->up->failed) {
        size_t len = cn__be32(cn__buf_at(&b));
        cnode_ctrl c;
        etf_reader r;
        if (cnode__thaw(&c, &r, (etf_view){cn__buf_at(&b) + 4, len}) == 0)
            (void)cnode__tell(n, p, &c);
        cn__buf_consume(&b, len + 4, SIZE_MAX);
    }
    cn__buf_free(&b);
    if (p->incomplete && p->up != NULL)
        cnode__wire_fail(p->up, CN_ENOMEM, 0, CNODE__LOST_SIGNAL);
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
    cnode__wire_replace(old, why.text);
    cnode__peer_down(p, &why);
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

/* Its name was given here, so it becomes known with the handshake's end. */
static bool join_named(cnode__wire *w, const char *name) {
    cnode *n = w->node;
    cnode__peer *p;

    if (cnode__find_peer(n, name, &p) != 0)
        cnode__wire_fail(w, n->error.code, 0, n->error.text);
    else if (p == NULL)
        cnode__wire_fail(w, CN_EBADARG, 0, "the peer has this node's own name");
    else
        cnode__wire_join(w, p);
    return w->peer != NULL;
}

/* Erlang does not connect to a node with the other kind of name, but lets it
 * in: so a member would be there for those that it has found itself only. */
#define MIXED_NAMES                                                            \
    "%s: long and short names do not mix: this node is %s, and nodes of "      \
    "Erlang do not connect from one kind to the other; give all of a cluster " \
    "hosts with a dot (long), or none (short)"

static bool is_long(const char *name) {
    const char *at = strchr(name, '@');

    return at != NULL && strpbrk(at + 1, ".:") != NULL;
}

void cnode__peer_up(cnode__wire *w, const cnode_event *ev) {
    static const cn_error fine = {0};
    cnode *n = w->node;
    cnode__peer *p;

    if (is_second_name(w, ev))
        return;
    if (w->peer == NULL && !join_named(w, ev->peer))
        return;
    p = w->peer;
    take_over(p);
    if (p->dial != NULL && p->dial != w)
        cnode__wire_replace(p->dial, "the peer's own attempt was faster");
    p->dial = NULL;
    p->waiting = false;
    cnode__timer_disarm(&n->timers, &p->timer);
    cnode__wire_uncount(w);
    p->up = w;
    p->conn_id = ++n->next_conn;
    p->creation = ev->peer_creation;
    cnode__keep_up(p);
    p->flags = cnode_conn_common_flags(w->conn);
    n->stats.connections++;
    n->stats.connects++, p->counts.connects++;
    p->counts.up_at = cnode__now(n);
    adopt_name(n, ev);
    cn__log(&n->config.log, CN_LOG_INFO, "node", "%s is up (%s)", p->name,
            p->flags & CNODE_FLAG_PUBLISHED ? "visible" : "hidden");
    if (n->config.full && (p->flags & CNODE_FLAG_PUBLISHED) != 0 &&
        is_long(p->name) != is_long(n->name))
        cn__log(&n->config.log, CN_LOG_WARN, "node", MIXED_NAMES, p->name,
                n->name);
    tell_peer_event(p, true, 0, "");
    flush_pending(p);
    cnode__peer_answer(p, &fine);
    if (n->leaving)
        cnode__leave_wire(w);
    else if (p->up != NULL && !p->up->failed)
        cnode__global_up(n, p);
    cnode__pg_up(n, p);
}

/* --- public -------------------------------------------------------------- */

static void start_wanting(cnode__want *w) {
    cnode__peer *p = w->peer;
    cnode *n = p->node;
    int err = 0;

    if (p->up != NULL && !p->up->failed) {
        cnode__list_add(&n->wants, &w->in_list);
        return;
    }
    cnode__list_add(&p->wants, &w->in_list);
    if (!cnode__peer_on_the_way(p))
        err = cnode__peer_dial(p, false);
    if (err != 0) {
        (void)cn__fail(&w->error, err, 0, "%.100s: %s", p->name,
                       err == CN_ENOTALLOWED ? CNODE__DENIED
                                             : cn_strerror(err));
        cnode__list_leave(&w->in_list);
        cnode__list_add(&n->wants, &w->in_list);
    }
}

int cnode__may_connect(cnode *n) {
    if (n->closing)
        return cnode__err(n, CN_ECLOSED, "the node is closing");
    return n->leaving ? cnode__err(n, CN_ECLOSED, "the node leaves") : 0;
}

/* A peer that may be connected to; not held. */
static int find_other(cnode *n, const char *peer, cnode__peer **out) {
    int err = cnode__may_connect(n);

    if (err == 0)
        err = cnode__global_may_connect(n);
    if (err == 0)
        err = cnode__find_peer(n, peer, out);
    if (err != 0)
        return err;
    if (*out == NULL)
        return cnode__err(n, CN_EBADARG, "%s is this node", n->name);
    if (cnode__policy_of(n, *out) != CNODE_POLICY_DENY)
        return 0;
    cnode__peer_release(*out);
    return cnode__err(n, CN_ENOTALLOWED, "%s: " CNODE__DENIED, peer);
}

/* Holds p; NULL: no memory, and p may be gone. */
static cnode__want *new_want(cnode__peer *p, cnode_connect_cb cb, void *data) {
    cnode *n = p->node;
    cnode__want *w = cn__calloc(&n->alloc, 1, sizeof *w);

    if (w == NULL) {
        cnode__peer_release(p);
        (void)cnode__err(n, CN_ENOMEM, "out of memory");
        return NULL;
    }
    w->peer = p;
    w->cb = cb;
    w->data = data;
    cnode__peer_hold(p);
    return w;
}

int cnode_connect(cnode *n, const char *peer, cnode_connect_cb cb, void *data) {
    cnode__peer *p;
    cnode__want *w;
    int err = find_other(n, peer, &p);

    if (err != 0)
        return err;
    w = new_want(p, cb, data);
    if (w == NULL)
        return CN_ENOMEM;
    start_wanting(w);
    cnode__wake(n);
    return 0;
}

int cnode__connect_over(cnode *n, const char *peer, void *handle,
                        cnode_connect_cb cb, void *data, cnode__wire **out) {
    cnode__peer *p;
    cnode__want *w;
    int err = find_other(n, peer, &p);

    if (err != 0)
        return err;
    if (cnode__peer_on_the_way(p))
        return cnode__err(n, CN_EEXIST, "%s is connected to already", peer);
    w = new_want(p, cb, data);
    if (w == NULL)
        return CN_ENOMEM;
    if (new_attempt(p, false) != 0) {
        cnode__peer_let_go(p);
        cn__free(&n->alloc, w, 1, sizeof *w);
        return cnode__err(n, CN_ENOMEM, "out of memory");
    }
    cnode__list_add(&p->wants, &w->in_list);
    *out = p->dial;
    p->dial->handle = handle;
    return 0;
}

static cnode__peer *peer_that_is_up(const cnode *n, const char *name) {
    cnode__peer *p = cn__map_get(&n->peers, name, strlen(name));
    return p != NULL && p->up != NULL && !p->up->failed ? p : NULL;
}

int cnode_disconnect(cnode *n, const char *peer) {
    cnode__peer *p = cn__map_get(&n->peers, peer, strlen(peer));
    bool up = p != NULL && p->up != NULL && !p->up->failed;
    bool kept = p != NULL && cnode__keep_end(p);

    if (up)
        cnode__wire_fail(p->up, 0, 0, "disconnected");
    else if (kept && p->dial != NULL)
        cnode__wire_fail(p->dial, CN_ECLOSED, 0, "disconnected");
    if (kept)
        cnode__peer_release(p);
    return up || kept ? 0
                      : cnode__err(n, CN_ENOCONN, "%s is not connected", peer);
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
        cnode__peer_release(p);
        return cnode__err(n, CN_ENOMEM, "out of memory");
    }
    place = cookie ? &p->cookie : &p->address;
    if (cookie)
        free_secret(n, *place);
    else
        cn__strfree(&n->alloc, *place);
    *place = copy;
    cnode__peer_release(p);
    return 0;
}

bool cnode__split_address(const char *text, char host[CNODE__HOST_MAX + 1],
                          uint16_t *port) {
    const char *colon = strrchr(text, ':');
    size_t n = colon == NULL ? 0 : (size_t)(colon - text);
    unsigned long p;
    char *end;

    if (n > 1 && text[0] == '[' && text[n - 1] == ']')
        text++, n -= 2;
    else if (n > 0 && (text[0] == '[' || memchr(text, ':', n) != NULL))
        return false;
    if (n == 0 || n > CNODE__HOST_MAX || colon[1] < '0' || colon[1] > '9')
        return false;
    p = strtoul(colon + 1, &end, 10);
    if (*end != '\0' || p == 0 || p > 65535)
        return false;
    memcpy(host, text, n);
    host[n] = '\0';
    *port = (uint16_t)p;
    return true;
}

static bool is_address(const char *text) {
    char host[CNODE__HOST_MAX + 1];
    uint16_t port;

    return (strncmp(text, "unix:", 5) == 0 && text[5] != '\0') ||
           cnode__split_address(text, host, &port);
}

int cnode_set_address(cnode *n, const char *peer, const char *address) {
    if (address != NULL && !is_address(address))
        return cnode__err(n, CN_EBADARG, CNODE__NO_ADDRESS, address);
    return set_peer_string(n, peer, address, false);
}

int cnode_set_cookie(cnode *n, const char *peer, const char *cookie) {
    if (cookie != NULL &&
        (cookie[0] == '\0' || strlen(cookie) > CNODE__COOKIE_MAX))
        return cnode__err(n, CN_EBADARG, "a cookie has 1 to %d characters",
                          (int)CNODE__COOKIE_MAX);
    return set_peer_string(n, peer, cookie, true);
}
