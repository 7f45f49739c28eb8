/* SPDX-License-Identifier: Apache-2.0
 *
 * wire.c: a socket with a connection on it, from the node's side: its
 * handshake, who may come in, what it reads, how it fails.
 */
#include <stdio.h>
#include <string.h>

#include "cnode/conn_parts.h"
#include "cnode/node.h"

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
    w->dialled = peer != NULL;
    cnode__list_add(&n->wires, &w->in_node);
    cnode__list_init(&w->in_peer);
    cnode__list_init(&w->in_work);
    if (peer != NULL)
        cnode__wire_join(w, peer);
    return w;
}

void cnode__wire_join(cnode__wire *w, cnode__peer *p) {
    w->peer = p;
    cnode__list_add(&p->wires, &w->in_peer);
}

void cnode__wire_uncount(cnode__wire *w) {
    w->node->dials -= w->counted;
    w->counted = false;
}

void cnode__wire_free(cnode__wire *w) {
    cnode *n = w->node;

    cnode__list_leave(&w->in_node);
    cnode__list_leave(&w->in_peer);
    cnode__list_leave(&w->in_work);
    cnode__wire_uncount(w);
    cnode__stats_keep(w);
    cnode__timer_drop(&n->timers, &w->timer);
    n->shell->close(n->shell_ctx, w);
    cnode_conn_free(w->conn);
    cn__strfree(&n->alloc, w->address);
    cn__free(&n->alloc, w->why, 1, sizeof *w->why);
    cn__free(&n->alloc, w, 1, sizeof *w);
}

const char *cnode__wire_address(const cnode__wire *w) {
    if (w->address != NULL)
        return w->address[0] == '\0' ? NULL : w->address;
    return w->peer->address;
}

const char *cnode__wire_name(const cnode__wire *w) {
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
    cnode__list_leave(&w->in_work);
    cnode__list_add(&w->node->failed, &w->in_work);
    w->why = cn__calloc(&w->node->alloc, 1, sizeof *w->why);
    if (w->why != NULL)
        (void)cn__fail(w->why, code, os_error, "%s", text);
    cnode__wake(w->node);
}

const cn_error *cnode__wire_why(const cnode__wire *w) {
    static const cn_error none = {0};
    static const cn_error no_memory = {CN_ENOMEM, 0, "out of memory"};

    return w->why != NULL ? w->why : w->failed ? &no_memory : &none;
}

static void fail_by_conn(cnode__wire *w) {
    const cn_error *e = cnode_conn_error(w->conn);
    cnode__wire_fail(w, e->code, e->os_error, e->text);
}

void cnode__wire_dirty(cnode__wire *w) {
    if (cnode__list_empty(&w->in_work))
        cnode__list_add(&w->node->dirty, &w->in_work);
    cnode__wake(w->node);
}

void cnode__wire_clean(cnode__wire *w) {
    cnode__list_leave(&w->in_work);
    cnode__wire_wrote(w);
}

void cnode__wire_wrote(cnode__wire *w) {
    if (w->peer != NULL && w->peer->up == w)
        cnode__drain_check(w->peer);
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
    cnode__wire_dirty(w);
    rearm(w);
}

static void frame_hook(void *ctx, bool in, const char *text, etf_view payload) {
    cnode__wire *w = ctx;
    cnode *n = w->node;
    n->config.on_frame(n, cnode__wire_name(w), in, text, payload,
                       n->config.data);
}

static const char *cookie_for(const cnode__peer *p, cnode *n) {
    return p != NULL && p->cookie != NULL ? p->cookie : n->cookie;
}

/* peer NULL: not known yet. */
static bool shows_itself(const cnode *n, const cnode__peer *peer) {
    return n->config.visible &&
           (peer == NULL || cnode__policy_of(n, peer) != CNODE_POLICY_HIDDEN);
}

static void fill_conn_config(cnode__wire *w, cnode_conn_config *c) {
    cnode *n = w->node;

    *c = (cnode_conn_config){
        .initiator = w->dialled,
        .name = n->name,
        .takeover = !n->config.no_takeover,
        .creation = n->creation,
        .flags = (cnode_conn_flags() & ~n->lacks) |
                 (shows_itself(n, w->peer) ? CNODE_FLAG_PUBLISHED : 0),
        .setup_ms = n->config.setup_ms,
        .ticktime_ms = n->config.ticktime_s > UINT32_MAX / 1000
                           ? UINT32_MAX
                           : n->config.ticktime_s * 1000,
        .intensity = n->config.tick_intensity,
        .max_frame = n->config.max_frame,
        .max_queue = cnode__queue_max(n),
        .max_partial = n->config.max_partial,
        .max_sequences = n->config.max_sequences,
        .alloc = n->alloc,
        .log = n->config.log,
        .on_frame = n->config.on_frame != NULL ? frame_hook : NULL,
        .frame_ctx = w,
        .capture = n->config.capture,
    };
    n->shell->random(n->shell_ctx, &c->challenge, sizeof c->challenge);
    if (w->peer == NULL)
        return; /* accepted: the peer will say who it is */
    c->peer = w->peer->name;
    c->cookie = cookie_for(w->peer, n);
    if (!n->named) {
        c->dynamic_name = true;
        c->name = strchr(w->peer->name, '@') + 1;
    }
}

/* The configuration of a node does not change, but for what is each
 * connection's own. */
static int new_conn(cnode__wire *w) {
    cnode *n = w->node;
    cnode_conn_config c;

    fill_conn_config(w, &c);
    if (n->rules == NULL) {
        n->rules = cnode__rules_new(&c);
        if (n->rules != NULL)
            cnode__rules_in_step(n->rules);
    }
    return n->rules == NULL
               ? CN_ENOMEM
               : cnode__conn_new(&w->conn, n->rules, &c, cnode__now(n));
}

int cnode__wire_open(cnode__wire *w) {
    cnode *n = w->node;
    int err;

    if (w->failed)
        return cnode__wire_why(w)->code;
    n->creation_used = true;
    err = new_conn(w);
    if (err != 0) {
        cnode__wire_fail(w, err, 0, cn_strerror(err));
        return err;
    }
    rearm(w);
    cnode__wire_dirty(w);
    return 0;
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

/* p NULL: it says that it is this node. */
static cnode_answer judge(cnode__wire *w, cnode__peer *p) {
    const cnode *n = w->node;

    if (p == NULL || n->closing || cnode__policy_of(n, p) == CNODE_POLICY_DENY)
        return CNODE_ANSWER_NOT_ALLOWED;
    if (n->leaving && p->dial == NULL && !p->waiting)
        return CNODE_ANSWER_NOT_ALLOWED;
    if (p->up != NULL && !p->up->failed)
        return CNODE_ANSWER_ALIVE;
    if (p->dial == NULL || p->dial->failed)
        return CNODE_ANSWER_OK;
    /* Both dial at once: the attempt of the greater name stays; one that has
     * not reached the handshake gives way. */
    if (p->dial->conn != NULL && strcmp(n->name, p->name) > 0)
        return CNODE_ANSWER_NOK;
    cnode__wire_replace(p->dial, "the peer is connecting itself");
    p->dial = NULL;
    w->redial = true;
    cnode__peer_await(p);
    return CNODE_ANSWER_OK_SIMULTANEOUS;
}

static void answer_name(cnode__wire *w, cnode_answer a, const char *name) {
    cnode *n = w->node;

    if (cnode_conn_answer(w->conn, a, cookie_for(w->peer, n), name,
                          cnode__random_creation(n)) != 0)
        fail_by_conn(w);
}

static void give_name(cnode__wire *w, const char *host) {
    char name[CNODE__NAME_MAX + 32];
    bool denied = w->node->leaving ||
                  cnode__policy_of(w->node, NULL) == CNODE_POLICY_DENY;

    make_name(w->node, host, name, sizeof name);
    answer_name(w, denied ? CNODE_ANSWER_NOT_ALLOWED : CNODE_ANSWER_NAMED,
                name);
}

static void got_name(cnode__wire *w, const cnode_event *ev) {
    cnode *n = w->node;
    cnode__peer *p;
    cnode_answer a;

    if (cnode__find_peer(n, ev->peer, &p) != 0) {
        cnode__wire_fail(w, n->error.code, 0, n->error.text);
        return;
    }
    a = judge(w, p);
    if (a != CNODE_ANSWER_NOT_ALLOWED && a != CNODE_ANSWER_NOK)
        cnode__wire_join(w, p);
    else if (p != NULL)
        cnode__peer_release(p);
    if (w->peer != NULL && !shows_itself(n, w->peer))
        cnode_conn_hide(w->conn);
    answer_name(w, a, ev->peer);
}

/* --- reading ------------------------------------------------------------- */

static void handle_signal(cnode__wire *w, const cnode_ctrl *ctrl) {
    cnode *n = w->node;
    const char *why = "";
    int err;

    if (w->peer == NULL)
        return; /* replaced while it had something to say */
    n->peer_now = w->peer->name;
    err = cnode__signal(n, w->peer, ctrl, &why);
    n->peer_now = n->name;
    if (err != 0)
        cnode__wire_fail(w, err, 0, why);
}

static void handle_event(cnode__wire *w, const cnode_event *ev) {
    switch (ev->type) {
    case CNODE_EV_NAME:
        if (ev->peer[0] == '\0')
            give_name(w, ev->name);
        else
            got_name(w, ev);
        break;
    case CNODE_EV_UP:
        cnode__peer_up(w, ev);
        break;
    case CNODE_EV_SIGNAL:
        handle_signal(w, ev->ctrl);
        break;
    default:
        break;
    }
}

/* 1: one more was handled; else as cnode_conn_next. */
static int read_one(cnode__wire *w) {
    const cnode_ctrl *ctrl;
    cnode_event ev;
    int r;

    if (w->conn->up) {
        r = cnode__conn_signal(w->conn, &ctrl);
        if (r == 1)
            handle_signal(w, ctrl);
    } else {
        r = cnode_conn_next(w->conn, &ev);
        if (r == 1)
            handle_event(w, &ev);
    }
    return r;
}

/* Handles what has come; r is what became of taking it. */
static void read_all(cnode__wire *w, int r) {
    while (r >= 0 && !w->failed) {
        r = read_one(w);
        if (r == 0)
            break;
    }
    if (r < 0 && !w->failed)
        fail_by_conn(w);
    if (!w->failed)
        rearm(w);
    cnode__wire_dirty(w);
}

void cnode__wire_read(cnode__wire *w, uint8_t *p, size_t len) {
    cnode__global_awake(w->node);
    if (!w->failed)
        read_all(w, cnode__conn_feed(w->conn, p, len, cnode__now(w->node)));
}

uint8_t *cnode__wire_room(cnode__wire *w, size_t *n, size_t *more) {
    *n = 0;
    *more = SIZE_MAX;
    return w->failed || w->conn == NULL ? NULL
                                        : cnode__conn_room(w->conn, n, more);
}

void cnode__wire_filled(cnode__wire *w, const uint8_t *room, size_t n) {
    cnode__global_awake(w->node);
    if (w->failed)
        return;
    cnode__conn_filled(w->conn, room, n, cnode__now(w->node));
    read_all(w, 0);
}

void cnode__wire_eof(cnode__wire *w) {
    if (w->failed)
        return;
    if (w->conn == NULL) {
        cnode__wire_fail(w, CN_ECLOSED, 0, "closed");
        return;
    }
    (void)cnode_conn_eof(w->conn, cnode__now(w->node));
    fail_by_conn(w);
}
