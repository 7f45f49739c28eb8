/* SPDX-License-Identifier: Apache-2.0
 *
 * stats.c: what is counted, put together, and how long a peer takes to answer.
 *
 * Each counter is kept where what it counts happens: those of a connection in
 * cnode_conn, those of messages and of a peer's life in cnode__counts. When a
 * connection ends, what it has counted is added to its peer and to the node.
 *
 * A ping is a monitor on the name `undefined`, which no process of an Erlang
 * node can have: the node answers noproc by itself, from where it reads the
 * connection, so no process there has a part in the time. Each ping has a
 * process of its own here, whose end is the end of the ping.
 */
#include <string.h>

#include "base/bytes.h"
#include "cnode/conn_parts.h"
#include "cnode/node.h"
#include "cnode/sized.h"

/* --- adding up ----------------------------------------------------------- */

static void add(cnode_conn_stats *sum, const cnode_conn_stats *s) {
    sum->bytes_in += s->bytes_in;
    sum->bytes_out += s->bytes_out;
    sum->frames_in += s->frames_in;
    sum->frames_out += s->frames_out;
    sum->ticks_in += s->ticks_in;
    sum->ticks_out += s->ticks_out;
    sum->signals_in += s->signals_in;
    sum->signals_out += s->signals_out;
    if (s->queued_high > sum->queued_high)
        sum->queued_high = s->queued_high;
}

static void add_past(cnode__peer *p, const cnode_conn_stats *s) {
    cnode__counts *c = &p->counts;

    if (c->past == NULL)
        c->past = cn__calloc(&p->node->alloc, 1, sizeof *c->past);
    if (c->past != NULL)
        add(c->past, s);
    else
        cn__log(&p->node->config.log, CN_LOG_WARN, "node",
                "%s: no memory for what its connection has counted", p->name);
}

void cnode__stats_keep(cnode__wire *w) {
    static const cnode_conn_stats none = {0};

    if (w->conn == NULL)
        return;
    add(&w->node->past, &w->conn->stats);
    if (w->peer != NULL)
        add_past(w->peer, &w->conn->stats);
    w->conn->stats = none;
}

void cnode__stats_dropped(cnode *n, cnode_drop why) {
    n->stats.dropped++;
    n->stats.drops[why]++;
}

void cnode__stats_routed(cnode__peer *p, int err) {
    cnode__counts *c = &p->counts;

    if (err == CN_EBUSY || (err == 0 && cnode__is_parked(p))) {
        c->stalls += !c->stalled;
        c->refused += err == CN_EBUSY;
        c->stalled = true;
    } else {
        c->stalled = c->stalled && err != 0;
    }
}

/* Signals that wait are frames with their length in front; messages are those
 * that somebody may miss. */
void cnode__stats_unreached(cnode__peer *p) {
    const cn_buf *b = &p->pending;
    size_t at = b->head;

    while (at + 4 < b->len) {
        size_t len = cn__be32(b->data + at);
        cnode_ctrl c;
        etf_reader r;
        if (cnode__thaw(&c, &r, (etf_view){b->data + at + 4, len}) == 0 &&
            c.signal <= CNODE_SIG_ALIAS_SEND) {
            p->counts.unreached++;
            p->node->stats.unreached++;
        }
        at += len + 4;
    }
}

/* --- what a program is told ---------------------------------------------- */

static void sum_of_peers(const cnode *n, cnode_conn_stats *sum,
                         uint64_t *queued) {
    const cnode__peer *p;
    size_t at = 0;

    *queued = n->pending;
    while ((p = cn__map_next(&n->peers, &at)) != NULL) {
        if (p->up == NULL || p->up->conn == NULL)
            continue;
        add(sum, &p->up->conn->stats);
        *queued += cnode_conn_queued(p->up->conn);
    }
}

void cnode_get_stats_sized(const cnode *n, cnode_stats *out, size_t size) {
    cnode_stats s = n->stats;
    cnode_conn_stats sum = n->past;

    s.processes = (uint32_t)n->procs.count;
    sum_of_peers(n, &sum, &s.queued);
    s.bytes_in = sum.bytes_in;
    s.bytes_out = sum.bytes_out;
    s.frames_in = sum.frames_in;
    s.frames_out = sum.frames_out;
    s.ticks_in = sum.ticks_in;
    s.ticks_out = sum.ticks_out;
    s.signals_in = sum.signals_in;
    s.signals_out = sum.signals_out;
    cnode__copy_sized(out, size, &s, sizeof s);
}

static void fill_peer(const cnode__peer *p, cnode_peer_stats *s) {
    const cnode__counts *c = &p->counts;
    cnode_conn_stats sum = {0};
    const cnode_conn *conn = p->up == NULL ? NULL : p->up->conn;

    if (c->past != NULL)
        sum = *c->past;
    if (conn != NULL)
        add(&sum, &conn->stats);
    *s = (cnode_peer_stats){
        .up = p->up != NULL && !p->up->failed,
        .id = p->conn_id,
        .connects = c->connects,
        .failures = c->failures,
        .downs = c->downs,
        .messages_in = c->messages_in,
        .messages_out = c->messages_out,
        .signals_in = sum.signals_in,
        .signals_out = sum.signals_out,
        .frames_in = sum.frames_in,
        .frames_out = sum.frames_out,
        .bytes_in = sum.bytes_in,
        .bytes_out = sum.bytes_out,
        .ticks_in = sum.ticks_in,
        .ticks_out = sum.ticks_out,
        .queued = cn__buf_size(&p->pending) +
                  (conn == NULL ? 0 : cnode_conn_queued(conn)),
        .queued_high = sum.queued_high,
        .stalls = c->stalls,
        .refused = c->refused,
        .unreached = c->unreached,
        .up_ms = p->up == NULL ? 0 : cnode_now(p->node) - c->up_at,
        .pings = c->pings,
        .rtt_us = c->rtt_us,
        .rtt_min_us = c->rtt_min_us,
    };
}

int cnode_get_peer_stats_sized(const cnode *n, const char *peer,
                               cnode_peer_stats *out, size_t size) {
    const cnode__peer *p = cn__map_get(&n->peers, peer, strlen(peer));
    cnode_peer_stats s = {0};

    if (p != NULL)
        fill_peer(p, &s);
    cnode__copy_sized(out, size, &s, sizeof s);
    return p == NULL ? CN_ENOENT : 0;
}

void cnode_get_proc_stats_sized(const cnode_proc *p, cnode_proc_stats *out,
                                size_t size) {
    const cnode_proc_stats s = {
        .mailbox_messages = p->mails,
        .mailbox_bytes = p->mail_bytes,
        .received = p->received,
        .dropped = p->dropped,
    };

    cnode__copy_sized(out, size, &s, sizeof s);
}

/* --- ping ---------------------------------------------------------------- */

typedef struct ping {
    cnode_ping_cb cb;
    void *data;
    cnode_proc *proc;
    uint64_t began; /* microseconds; 0: it is being connected to */
    int status;     /* 1: none yet */
    uint64_t took;
    cn_error error;
    char peer[CNODE__NAME_MAX + 1];
} ping;

uint64_t cnode__clock_us(cnode *n) {
    if (n->shell->clock_us != NULL)
        return n->shell->clock_us(n->shell_ctx);
    return cnode__now(n) * 1000;
}

static void count_ping(cnode *n, const ping *g) {
    cnode__peer *p = cn__map_get(&n->peers, g->peer, strlen(g->peer));
    cnode__counts *c = p == NULL ? NULL : &p->counts;

    if (c == NULL || g->status != 0)
        return;
    c->rtt_us = g->took > UINT32_MAX ? UINT32_MAX : (uint32_t)g->took;
    if (c->pings++ == 0 || c->rtt_us < c->rtt_min_us)
        c->rtt_min_us = c->rtt_us;
}

/* The end of the process, by whatever cause, is the answer. */
static void on_ping_end(cnode_proc *p, etf_view reason, void *data) {
    cnode *n = cnode_of(p);
    ping *g = data;

    (void)reason;
    if (g->status == 1)
        g->status = cn__fail(&g->error, CN_ECLOSED, 0, "the ping was ended");
    count_ping(n, g);
    if (g->cb != NULL)
        g->cb(n, g->peer, g->status, &g->error, g->took, g->data);
    cn__free(&n->alloc, g, 1, sizeof *g);
}

static void end_ping(ping *g, int status, const char *text) {
    static const uint8_t normal[] = {119, 6, 'n', 'o', 'r', 'm', 'a', 'l'};

    if (g->status != 1)
        return;
    g->status = status;
    if (status != 0)
        (void)cn__fail(&g->error, status, 0, "%s", text);
    cnode__end(g->proc, (etf_view){normal, sizeof normal});
}

static void end_badly(ping *g, int status, const char *why) {
    char text[CN_ERROR_TEXT];

    (void)snprintf(text, sizeof text, "%.100s: %s", g->peer, why);
    end_ping(g, status, text);
}

static void on_pong(cnode_proc *p, const cnode_down *d, void *data) {
    ping *g = data;

    if (etf_match(d->term, "noproc") != 0) {
        end_badly(g, CN_ENOCONN, "the connection was lost");
        return;
    }
    g->took = cnode__clock_us(cnode_of(p)) - g->began;
    end_ping(g, 0, "");
}

static void on_ping_late(cnode_proc *p, void *arg) {
    (void)p;
    end_badly(arg, CN_ETIMEDOUT, "no answer to the ping in time");
}

static void send_ping(ping *g) {
    cnode *n = cnode_of(g->proc);
    int err;

    g->began = cnode__clock_us(n);
    err = cnode_monitor(g->proc, g->peer, "undefined", NULL);
    if (err != 0)
        end_ping(g, err, cnode_error(n)->text);
}

/* The ping may be over: its process is found by its number. */
static void on_ping_connected(cnode *n, const char *peer, int status,
                              const cn_error *err, void *data) {
    uint64_t *number = data;
    cnode_proc *p = cn__map_get(&n->procs, number, sizeof *number);

    (void)peer;
    cn__free(&n->alloc, number, 1, sizeof *number);
    if (p == NULL)
        return;
    if (status != 0)
        end_ping(p->data, status, err->text);
    else
        send_ping(p->data);
}

static int connect_for_ping(ping *g) {
    cnode *n = cnode_of(g->proc);
    uint64_t *number = cn__calloc(&n->alloc, 1, sizeof *number);
    int err;

    if (number == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    *number = g->proc->number;
    err = cnode_connect(n, g->peer, on_ping_connected, number);
    if (err != 0)
        cn__free(&n->alloc, number, 1, sizeof *number);
    return err;
}

static int start_ping(ping *g, uint32_t timeout_ms) {
    int err = connect_for_ping(g);

    if (err == 0 && timeout_ms != UINT32_MAX)
        err = cnode_after(g->proc, timeout_ms == 0 ? 5000 : timeout_ms,
                          on_ping_late, g);
    return err;
}

int cnode_ping(cnode *n, const char *peer, uint32_t timeout_ms,
               cnode_ping_cb cb, void *data) {
    cnode_proc_config c = {.on_down = on_pong, .on_end = on_ping_end};
    ping *g;
    int err;

    if (strlen(peer) > CNODE__NAME_MAX)
        return cnode__err(n, CN_EBADARG, "that is no node name");
    g = cn__calloc(&n->alloc, 1, sizeof *g);
    if (g == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    *g = (ping){.cb = cb, .data = data, .status = 1};
    memcpy(g->peer, peer, strlen(peer) + 1);
    c.data = g;
    err = cnode__spawn_lasting(n, &c, &g->proc);
    if (err != 0) {
        cn__free(&n->alloc, g, 1, sizeof *g);
        return err;
    }
    err = start_ping(g, timeout_ms);
    if (err == 0)
        return 0;
    g->cb = NULL; /* the caller hears it now */
    end_ping(g, err, "");
    return err;
}
