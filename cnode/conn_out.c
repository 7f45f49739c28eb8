/* SPDX-License-Identifier: Apache-2.0
 *
 * conn_out.c: frames of a connection, from signals to bytes. The flags that
 * both sides announced fix their form for as long as it lives:
 *
 *      length (4)  'p'  131 control tuple  131 payload
 *      length (4)  131 'D' atoms  control tuple  payload
 *
 * the second one, with a distribution header, when either the atom cache
 * (cache_out.c) or fragments (fragments_out.c) were agreed on; without the
 * cache it lists no atoms.
 *
 * Frames are written right into the queue (out_queue.c), one behind the other.
 * The handshake's bytes come before all frames, from a buffer of their own.
 */
#include "base/bytes.h"
#include "cnode/conn_parts.h"
#include "cnode/control.h"
#include "ext_term/tags.h"

/* "Never send frames of 1 GiB": lengths are signed somewhere out there. */
enum { MAX_BODY = (1 << 30) - 4 };

/* The atoms of a payload go by reference, too, as the BEAM does it, unless it
 * is so large that it goes a piece at a time. It costs the sender about 2 ns
 * for each term and 20 to 40 ns for each atom, and where a message is full of
 * atoms less than half of its bytes are left. */
enum { SCAN_MAX = CNODE__FRAGMENT_SIZE };

/* --- the queue ----------------------------------------------------------- */

/* True: there is more of it behind what was lent. */
static bool lend_greeting(cnode__greeting *g, cn_slice *v, size_t *n) {
    if (cn__buf_size(&g->lent) == 0) {
        cn_buf empty = g->lent;
        g->lent = g->out;
        g->out = empty;
    }
    if (cn__buf_size(&g->lent) > 0)
        v[(*n)++] = (cn_slice){cn__buf_at(&g->lent), cn__buf_size(&g->lent)};
    return cn__buf_size(&g->out) > 0;
}

/* fill: with fragments whose turn it is. */
static size_t lend(cnode_conn *c, cn_slice *v, size_t nv, bool fill) {
    cnode__greeting *g = c->greeting;
    size_t n = 0;

    if (nv == 0)
        return 0;
    if (g != NULL && lend_greeting(g, v, &n))
        return n;
    if (fill && c->talk != NULL && !cnode__list_empty(&c->talk->flows))
        cnode__flow_fill(c);
    return n + cnode__out_lend(&c->queue, v + n, nv - n);
}

size_t cnode_conn_output(cnode_conn *c, cn_slice *v, size_t nv) {
    return lend(c, v, nv, true);
}

static size_t wrote_greeting(cnode_conn *c, size_t n) {
    cn_buf *lent = &c->greeting->lent;
    size_t part = cn__buf_size(lent);

    part = n < part ? n : part;
    if (part > 0)
        cn__buf_consume(lent, part, CNODE__KEEP_BUFFER);
    cnode__conn_greeted(c);
    return part;
}

static void take_off(cnode_conn *c, size_t n) {
    if (c->greeting != NULL)
        n -= wrote_greeting(c, n);
    cnode__out_wrote(&c->queue, n);
}

/* The same, and the tap sees them. */
static void tap_and_take_off(cnode_conn *c, size_t n) {
    cn_slice v;

    while (n > 0 && lend(c, &v, 1, false) > 0) {
        size_t part = n < v.len ? n : v.len;
        cnode__tap_bytes(c->tap, true, v.data, part);
        take_off(c, part);
        n -= part;
    }
}

void cnode_conn_wrote(cnode_conn *c, size_t n) {
    uint32_t of_tick = n < c->tick_left ? (uint32_t)n : c->tick_left;

    c->stats.bytes_out += n;
    c->tick_left -= of_tick;
    c->spoke |= n > of_tick;
    if (c->tap != NULL)
        tap_and_take_off(c, n);
    else
        take_off(c, n);
}

size_t cnode_conn_queued(const cnode_conn *c) {
    const cnode__greeting *g = c->greeting;
    size_t greeting =
        g == NULL ? 0 : cn__buf_size(&g->out) + cn__buf_size(&g->lent);

    return greeting + c->queue.bytes +
           (c->talk == NULL ? 0 : c->talk->flow_bytes);
}

int cnode__conn_put_tick(cnode_conn *c) {
    uint8_t *p = cnode__out_reserve(&c->queue, 4, 0);

    if (p == NULL)
        return CN_ENOMEM;
    (void)cn__put32(p, 0);
    cnode__out_commit(&c->queue, 4);
    return 0;
}

static int make_talk(cnode_conn *c) {
    const cnode_conn_config *config = &c->rules->config;
    cnode__talk *t;

    t = cn__calloc(&config->alloc, 1, sizeof *t);
    if (t == NULL)
        return CN_ENOMEM;
    cnode__flows_init(t, config->challenge, &config->alloc);
    cnode__out_cache_init(&t->cache, &config->alloc);
    c->talk = t;
    return 0;
}

static void free_talk(cnode_conn *c) {
    cnode__talk *t = c->talk;

    if (t == NULL)
        return;
    cnode__flows_free(c);
    cnode__out_cache_clear(&t->cache);
    cn__free(&c->rules->config.alloc, t, 1, sizeof *t);
    c->talk = NULL;
}

void cnode__conn_trim_output(cnode_conn *c) {
    if (cnode_conn_queued(c) > 0)
        return;
    cnode__out_trim(&c->queue);
    free_talk(c);
    etf_writer_free(&c->rules->writer);
    cnode__blobs_trim(&c->rules->blobs);
}

void cnode__conn_out_free(cnode_conn *c) {
    free_talk(c);
    cnode__out_free(&c->queue);
    cnode__blobs_trim(&c->rules->blobs);
}

/* --- frames -------------------------------------------------------------- */

void cnode__conn_share(cnode_conn *c, cnode__parcel *p, size_t n) {
    p->len -= n;
    while (n > 0) {
        size_t part = p->v->len - p->skip;
        part = n < part ? n : part;
        cnode__out_share(&c->queue, p->v->data + p->skip, part, p->blob);
        p->skip += part;
        n -= part;
        if (p->skip < p->v->len)
            return;
        p->skip = 0;
        p->v++;
        p->nv--;
    }
}

/* What a frame will be made of. */
typedef struct plan {
    bool headers;
    bool cached;
    uint64_t sequence; /* 0: a whole signal */
    uint64_t fragments;
    size_t head; /* bytes from behind the length to the control tuple */
    size_t ctrl;
    size_t part;    /* of the payload, as it is */
    size_t payload; /* ... and as it is written */
} plan;

static void plan_frame(cnode_conn *c, const cnode__parcel *p, plan *f) {
    f->headers = cnode__conn_headers(c);
    f->cached =
        (cnode_conn_common_flags(c) & CNODE_FLAG_DIST_HDR_ATOM_CACHE) != 0;
    f->ctrl = p->ctrl.len;
    f->payload = f->part;
    f->head = !f->headers ? 1 : f->sequence != 0 ? 2 + 8 + 8 + 1 : 2 + 1;
    if (!f->cached)
        return;
    cnode__out_cache_begin(&c->talk->cache);
    f->ctrl = cnode__out_cache_scan(&c->talk->cache, p->ctrl);
    if (p->payload && p->blob == NULL && p->nv == 1 && f->part <= SCAN_MAX)
        f->payload = cnode__out_cache_scan(&c->talk->cache,
                                           (etf_view){p->v->data, p->v->len});
    f->head += cnode__out_cache_head_size(&c->talk->cache) - 1;
}

static uint8_t *put_head(cnode_conn *c, const plan *f, uint8_t *p) {
    if (!f->headers)
        return cn__put8(p, CNODE__PASS_THROUGH);
    p = cn__put8(p, CNODE__VERSION);
    p = cn__put8(p, f->sequence != 0 ? CNODE__FRAGMENT_FIRST : CNODE__HEADER);
    if (f->sequence != 0)
        p = cn__put64(cn__put64(p, f->sequence), f->fragments);
    return f->cached ? cnode__out_cache_put_head(&c->talk->cache, p)
                     : cn__put8(p, 0);
}

static uint8_t *put_term(cnode_conn *c, const plan *f, uint8_t *p, etf_view v) {
    return f->cached ? cnode__out_cache_put(&c->talk->cache, p, v)
                     : cn__put_bytes(p, v.data, v.len);
}

static uint8_t *put_pieces(cnode_conn *c, const plan *f, uint8_t *to,
                           const cnode__parcel *p) {
    for (size_t i = 0; i < p->nv; i++)
        to = put_term(c, f, to, (etf_view){p->v[i].data, p->v[i].len});
    return to;
}

int cnode__conn_put(cnode_conn *c, cnode__parcel *p, uint64_t sequence,
                    uint64_t fragments, size_t part) {
    plan f = {.sequence = sequence, .fragments = fragments, .part = part};
    bool share = p->blob != NULL;
    size_t body, copied;
    uint8_t *to;

    plan_frame(c, p, &f);
    copied = f.head + f.ctrl + (!f.headers && p->payload ? 1 : 0) +
             (share ? 0 : f.payload);
    body = copied + (share ? f.payload : 0);
    if (body > MAX_BODY)
        return CN_ELIMIT;
    to = cnode__out_reserve(&c->queue, copied + 4, share ? p->nv : 0);
    if (to == NULL)
        return CN_ENOMEM;
    to = put_head(c, &f, cn__put32(to, (uint32_t)body));
    to = put_term(c, &f, to, p->ctrl);
    if (!f.headers && p->payload)
        to = cn__put8(to, CNODE__VERSION);
    if (!share && p->payload)
        (void)put_pieces(c, &f, to, p);
    cnode__out_commit(&c->queue, copied + 4);
    c->stats.frames_out++;
    if (share)
        cnode__conn_share(c, p, part);
    return 0;
}

/* --- sending ------------------------------------------------------------- */

/* Messages wait for room; what keeps links and monitors true may take twice
 * as much, for losing it would be worse. */
static size_t queue_limit(const cnode_conn *c, cnode_signal signal) {
    size_t max = c->rules->config.max_queue;

    if (signal <= CNODE_SIG_ALIAS_SEND || signal == CNODE_SIG_SPAWN_REQUEST)
        return max;
    return max > SIZE_MAX / 2 ? SIZE_MAX : max * 2;
}

static int may_send(cnode_conn *c, cnode_signal signal) {
    if (cnode__conn_dead(c))
        return c->error->code;
    if (!c->up)
        return CN_ENOCONN;
    if (cnode_conn_queued(c) > queue_limit(c, signal))
        return CN_EBUSY;
    return c->talk != NULL ? 0 : make_talk(c);
}

static int write_ctrl(cnode_conn *c, const cnode_ctrl *ctrl, uint8_t *op,
                      cnode__parcel *p) {
    int err = cnode__ctrl_put_tuple(&c->rules->writer, ctrl,
                                    cnode_conn_common_flags(c),
                                    !cnode__conn_headers(c), op, &p->payload);

    return err != 0 ? err : etf_writer_finish(&c->rules->writer, &p->ctrl);
}

/* One large message must not occupy memory for as long as the peer lives. */
static void clear_writer(cnode_conn *c) {
    if (c->rules->writer.cap > CNODE__KEEP_BUFFER)
        etf_writer_free(&c->rules->writer);
    else
        etf_writer_reset(&c->rules->writer);
}

/* --- a message to a pid -------------------------------------------------- */

/* Nearly all that is sent, most of it by few processes to few. It goes by a
 * short way: its control tuple, {22, From, To}, has one size, and the names of
 * both nodes are where they were the last time. So there is nothing to write,
 * search and copy, which took twice as long as all the rest. */
enum {
    OP_SEND_SENDER = 22,
    TUPLE_SIZE = 4 + 2 * (1 + 2 + 12),
    NAMES_MAX = 512
};

static bool is_usual(const cnode_conn *c, const cnode__brief *m) {
    const uint64_t need =
        CNODE_FLAG_SEND_SENDER | CNODE_FLAG_DIST_HDR_ATOM_CACHE;

    return (c->common & need) == need && m->node.len - 1 < UINT8_MAX &&
           m->to->node_len - 1U < UINT8_MAX &&
           m->term.len < CNODE__FRAGMENT_SIZE - NAMES_MAX &&
           cnode__list_empty(&c->talk->flows);
}

/* A term that is no container, and no atom or something with one in it. */
static bool has_no_atoms(const cnode__brief *m) {
    if (m->tag_len > 0)
        return true; /* of a binary */
    switch (m->term.len == 0 ? ETF__NIL : m->term.data[0]) {
    case ETF__NIL:
    case ETF__STRING:
    case ETF__BINARY:
    case ETF__BIT_BINARY:
    case ETF__SMALL_INTEGER:
    case ETF__INTEGER:
    case ETF__NEW_FLOAT:
    case ETF__SMALL_BIG:
    case ETF__LARGE_BIG:
        return true;
    default:
        return false;
    }
}

static etf_view node_of(const etf_pid *pid) {
    return (etf_view){(const uint8_t *)pid->node, pid->node_len};
}

static uint8_t *put_pid(uint8_t *p, uint8_t node, uint32_t id, uint32_t serial,
                        uint32_t creation) {
    p = cn__put8(p, ETF__NEW_PID);
    p = cn__put8(cn__put8(p, ETF__ATOM_CACHE_REF), node);
    return cn__put32(cn__put32(cn__put32(p, id), serial), creation);
}

static uint8_t *put_tuple(uint8_t *p, const cnode__brief *m, uint8_t from,
                          uint8_t to) {
    p = cn__put8(cn__put8(p, ETF__SMALL_TUPLE), 3);
    p = cn__put8(cn__put8(p, ETF__SMALL_INTEGER), OP_SEND_SENDER);
    p = put_pid(p, from, m->id, m->serial, m->creation);
    return put_pid(p, to, m->to->id, m->to->serial, m->to->creation);
}

/* As it is. */
static void put_whole(uint8_t *p, const cnode__brief *m) {
    p = cn__put_bytes(p, m->tag, m->tag_len);
    (void)cn__put_bytes(p, m->term.data, m->term.len);
}

/* Room for a frame of so many bytes, with its beginning; NULL: no memory. */
static uint8_t *begin_frame(cnode_conn *c, size_t body) {
    uint8_t *p = cnode__out_reserve(&c->queue, 4 + body, 0);

    if (p == NULL)
        return NULL;
    p = cn__put32(p, (uint32_t)body);
    return cn__put8(cn__put8(p, CNODE__VERSION), CNODE__HEADER);
}

static void end_frame(cnode_conn *c, size_t body) {
    cnode__out_commit(&c->queue, 4 + body);
    c->stats.frames_out++;
}

/* Nothing in it is new to the peer. */
static int put_bare(cnode_conn *c, const cnode__brief *m,
                    const uint8_t head[CNODE__OUT_PAIR]) {
    size_t body = 2 + CNODE__OUT_PAIR + TUPLE_SIZE + m->tag_len + m->term.len;
    uint8_t *p = begin_frame(c, body);

    if (p == NULL)
        return CN_ENOMEM;
    p = cn__put_bytes(p, head, CNODE__OUT_PAIR);
    put_whole(put_tuple(p, m, 0, 1), m);
    end_frame(c, body);
    return 0;
}

/* With the names of both nodes in the frame. */
static int put_named(cnode_conn *c, const cnode__brief *m, bool bare,
                     uint8_t from, uint8_t to) {
    cnode__out_cache *cache = &c->talk->cache;
    size_t payload =
        bare ? m->tag_len + m->term.len : cnode__out_cache_scan(cache, m->term);
    size_t body = 2 + cnode__out_cache_head_size(cache) + TUPLE_SIZE + payload;
    uint8_t *p = begin_frame(c, body);

    if (p == NULL)
        return CN_ENOMEM;
    p = cnode__out_cache_put_head(cache, p);
    p = put_tuple(p, m, from, to);
    if (bare)
        put_whole(p, m);
    else
        (void)cnode__out_cache_put(cache, p, m->term);
    end_frame(c, body);
    return 0;
}

/* 1: it must go the long way. */
static int put_usual(cnode_conn *c, const cnode__brief *m) {
    cnode__out_cache *cache = &c->talk->cache;
    etf_view their = node_of(m->to);
    uint8_t head[CNODE__OUT_PAIR], from, to;
    bool bare = has_no_atoms(m);

    if (bare && cnode__out_cache_pair(cache, m->node, their, head))
        return put_bare(c, m, head);
    cnode__out_cache_begin(cache);
    if (!cnode__out_cache_name(cache, 0, m->node, &from) ||
        !cnode__out_cache_name(cache, 1, their, &to))
        return 1;
    return put_named(c, m, bare, from, to);
}

int cnode__conn_brief(cnode_conn *c, const cnode__brief *m) {
    int err = may_send(c, CNODE_SIG_SEND);

    if (err != 0)
        return err;
    if (c->rules->config.on_frame != NULL || !is_usual(c, m))
        return 1;
    err = put_usual(c, m);
    if (err == 0)
        cnode__conn_said(c, NULL, OP_SEND_SENDER);
    return err;
}

/* False: it must go the long way. */
static bool send_usual(cnode_conn *c, const cnode_ctrl *ctrl, int *err) {
    const cnode__brief m = {.node = node_of(&ctrl->from),
                            .id = ctrl->from.id,
                            .serial = ctrl->from.serial,
                            .creation = ctrl->from.creation,
                            .to = &ctrl->to,
                            .term = ctrl->term};

    if (ctrl->signal != CNODE_SIG_SEND || ctrl->token.len > 0 ||
        ctrl->priority || !is_usual(c, &m))
        return false;
    *err = put_usual(c, &m);
    if (*err == 0)
        cnode__conn_said(c, ctrl, OP_SEND_SENDER);
    return *err != 1;
}

/* --- any signal ---------------------------------------------------------- */

/* One that has to wait, or to go in fragments. */
static int send_later(cnode_conn *c, const cnode_ctrl *ctrl,
                      const cnode__parcel *p) {
    cnode__load *load = cnode__load_new(c, p, true);
    int err;

    if (load == NULL)
        return CN_ENOMEM;
    err = cnode__flow_add(c, ctrl, load);
    if (err != 0)
        cnode__load_drop(c, load);
    return err;
}

static int send_now(cnode_conn *c, cnode__parcel *p) {
    size_t before = c->queue.bytes;
    int err = cnode__conn_put(c, p, 0, 0, p->len);

    if (err == 0)
        cnode__flow_passed(c, c->queue.bytes - before);
    return err;
}

static bool must_wait(const cnode_conn *c, const cnode_ctrl *ctrl,
                      const cnode__parcel *p) {
    return cnode__flow_open(c, ctrl) || cnode__is_large(c, p);
}

int cnode_conn_send(cnode_conn *c, const cnode_ctrl *ctrl) {
    cn_slice v = {ctrl->term.data, ctrl->term.len};
    cnode__parcel p = {.v = &v, .nv = 1, .len = v.len};
    int err = may_send(c, ctrl->signal);
    uint8_t op;

    if (err != 0 || send_usual(c, ctrl, &err))
        return err;
    if (v.len > MAX_BODY && !cnode__conn_headers(c))
        return CN_ELIMIT; /* before anything of it is copied */
    err = write_ctrl(c, ctrl, &op, &p);
    if (!p.payload)
        p.nv = p.len = 0;
    if (err == 0)
        err =
            must_wait(c, ctrl, &p) ? send_later(c, ctrl, &p) : send_now(c, &p);
    clear_writer(c);
    if (err == 0)
        cnode__conn_said(c, ctrl, op);
    return err;
}

static int send_load(cnode_conn *c, const cnode_ctrl *ctrl, cnode__load *load) {
    int err;

    if (must_wait(c, ctrl, &load->parcel))
        return cnode__flow_add(c, ctrl, load);
    err = send_now(c, &load->parcel);
    if (err == 0)
        cnode__load_drop(c, load); /* the queue has it */
    return err;
}

/* Only the last owner may call the function, and not in here: all of the
 * pieces are in the queue, or wait for it. */
static int share(cnode_conn *c, const cnode_ctrl *ctrl, const cnode__parcel *p,
                 void (*release)(void *arg), void *arg) {
    cnode__load *load = cnode__load_new(c, p, false);
    int err;

    if (load == NULL)
        return CN_ENOMEM;
    load->parcel.blob->release = release;
    load->parcel.blob->arg = arg;
    err = send_load(c, ctrl, load);
    if (err == 0)
        return 0;
    load->parcel.blob->release = NULL;
    cnode__load_drop(c, load);
    return err;
}

int cnode_conn_send_shared(cnode_conn *c, const cnode_ctrl *ctrl,
                           const cn_slice *v, size_t n,
                           void (*release)(void *arg), void *arg) {
    cnode_ctrl out = *ctrl;
    cnode__parcel p = {.v = v, .nv = n};
    int err = may_send(c, ctrl->signal);
    uint8_t op;

    if (err != 0)
        return err;
    out.term = n == 1 ? (etf_view){v->data, v->len} : (etf_view){NULL, 0};
    for (size_t i = 0; i < n; i++)
        if (__builtin_add_overflow(p.len, v[i].len, &p.len))
            return CN_ELIMIT;
    if (p.len == 0 || ctrl->signal > CNODE_SIG_ALIAS_SEND)
        return CN_EBADARG;
    err = write_ctrl(c, &out, &op, &p);
    if (err == 0)
        err = share(c, &out, &p, release, arg);
    clear_writer(c);
    if (err == 0)
        cnode__conn_said(c, &out, op);
    return err;
}
