/* SPDX-License-Identifier: Apache-2.0
 *
 * fragments_out.c: large signals go out in fragments, so that those of other
 * senders pass between them. Section "Distribution Header for Fragmented
 * Messages":
 *
 *      131 'E' | sequence (8) | n (8)   | atoms, control tuple, payload...
 *      131 'F' | sequence (8) | n-1 (8) | payload...       down to 1
 *
 * A flow is a sender with such a sequence under way, or with a large signal
 * that waits, whole, because the queue is long. What it sends meanwhile waits
 * behind it, for the peer hands a signal over when it has all of it, and two
 * signals of a process must not overtake each other. The payload was copied
 * once, or is somebody's that is shared: the queue points to it.
 *
 * The flows take turns, one fragment each, when the queue gets short (_fill);
 * and when others keep it long, after as much of them (_passed).
 */
#include "base/bytes.h"
#include "cnode/conn_parts.h"

enum {
    SIZE = CNODE__FRAGMENT_SIZE,
    HEAD = 4 + 2 + 8 + 8,
    ENOUGH = 4 * SIZE /* least bytes in the queue for one write */
};

/* Who sends; two nodes' pids may look alike, and then only wait more. */
typedef struct sender {
    uint32_t id, serial, creation;
} sender;

typedef struct flow {
    cnode__list in_turn;
    sender key;
    uint64_t sequence;
    uint64_t left; /* fragments of the first load; 0: it is not begun */
    size_t size;   /* of each of them */
    cnode__load *first;
    cnode__load *last;
} flow;

/* --- loads --------------------------------------------------------------- */

/* One piece of memory: the load, its slices, and the bytes that are copied. */
static size_t size_of_load(const cnode__parcel *p, bool copy) {
    size_t nv = copy ? 1 : p->nv;
    size_t size;

    if (__builtin_mul_overflow(nv, sizeof(cn_slice), &size) ||
        __builtin_add_overflow(size, sizeof(cnode__load) + p->ctrl.len,
                               &size) ||
        __builtin_add_overflow(size, copy ? p->len : 0, &size))
        return 0;
    return size;
}

static void fill_slices(cnode__load *load, const cnode__parcel *p, bool copy,
                        uint8_t *room) {
    uint8_t *at = room;

    if (!copy) {
        (void)cn__put_bytes((uint8_t *)load->v, p->v, p->nv * sizeof *p->v);
        return;
    }
    for (size_t i = 0; i < p->nv; i++)
        at = cn__put_bytes(at, p->v[i].data, p->v[i].len);
    load->v[0] = (cn_slice){room, p->len};
    load->parcel.nv = 1;
}

cnode__load *cnode__load_new(cnode_conn *c, const cnode__parcel *p, bool copy) {
    size_t size = size_of_load(p, copy);
    cnode__blob *b = size == 0 ? NULL : cnode__blob_new(c->queue.blobs, size);
    cnode__load *load;
    uint8_t *room;

    if (b == NULL)
        return NULL;
    load = (cnode__load *)(void *)b->bytes;
    *load = (cnode__load){.parcel = *p};
    room = (uint8_t *)(load->v + (copy ? 1 : p->nv));
    load->parcel.ctrl.data = room;
    room = cn__put_bytes(room, p->ctrl.data, p->ctrl.len);
    load->parcel.v = load->v;
    load->parcel.blob = b;
    fill_slices(load, p, copy, room);
    return load;
}

void cnode__load_drop(cnode_conn *c, cnode__load *load) {
    cnode__blob_drop(c->queue.blobs, load->parcel.blob);
}

void cnode__conn_stride(cnode_conn *c, size_t bytes) {
    c->stride = bytes < SIZE                  ? SIZE
                : bytes > CNODE__FRAGMENT_MAX ? CNODE__FRAGMENT_MAX
                                              : (uint32_t)bytes;
}

/* --- flows --------------------------------------------------------------- */

void cnode__flows_init(cnode__talk *t, uint64_t seed, const cn_alloc *alloc) {
    cnode__list_init(&t->flows);
    cn__map_init(&t->flow_of, seed << 32 | 1, alloc);
}

static size_t weight(const cnode__load *load) {
    return load->parcel.ctrl.len + load->parcel.len;
}

/* Takes the first load off, and what is left of it. */
static void pop(cnode_conn *c, flow *f) {
    cnode__load *load = f->first;

    c->talk->flow_bytes -= weight(load);
    f->first = load->next;
    f->left = 0;
    cnode__load_drop(c, load);
}

static void free_flow(cnode_conn *c, flow *f) {
    cnode__list_leave(&f->in_turn);
    (void)cn__map_remove(&c->talk->flow_of, &f->key, sizeof f->key);
    cn__free(c->queue.blobs->alloc, f, 1, sizeof *f);
}

void cnode__flows_free(cnode_conn *c) {
    flow *f;

    while ((f = cnode__list_first(flow, in_turn, &c->talk->flows)) != NULL) {
        while (f->first != NULL)
            pop(c, f);
        free_flow(c, f);
    }
    cn__map_free(&c->talk->flow_of);
}

static sender key_of(const cnode_ctrl *ctrl) {
    return (sender){ctrl->from.id, ctrl->from.serial, ctrl->from.creation};
}

static flow *find(const cnode_conn *c, const cnode_ctrl *ctrl) {
    sender key = key_of(ctrl);

    return cn__map_get(&c->talk->flow_of, &key, sizeof key);
}

bool cnode__flow_open(const cnode_conn *c, const cnode_ctrl *ctrl) {
    return c->talk->flow_of.count > 0 && ctrl->from.node_len > 0 &&
           find(c, ctrl) != NULL;
}

/* One that the socket's buffer has room for delays nobody, unless there is a
 * queue in front of the socket: then it, too, waits for its turn. */
bool cnode__is_large(const cnode_conn *c, const cnode__parcel *p) {
    size_t most = c->queue.bytes < c->stride ? c->stride : SIZE;

    return p->payload && p->ctrl.len + p->len > most &&
           (cnode_conn_common_flags(c) & CNODE_FLAG_FRAGMENTS) != 0;
}

static bool takes_several(const cnode_conn *c, const cnode__load *load) {
    return weight(load) > c->stride;
}

static flow *new_flow(cnode_conn *c, const cnode_ctrl *ctrl) {
    flow *f = cn__calloc(c->queue.blobs->alloc, 1, sizeof *f);

    if (f == NULL)
        return NULL;
    f->key = key_of(ctrl);
    if (cn__map_put(&c->talk->flow_of, &f->key, sizeof f->key, f) != 0) {
        cn__free(c->queue.blobs->alloc, f, 1, sizeof *f);
        return NULL;
    }
    cnode__list_add(&c->talk->flows, &f->in_turn);
    return f;
}

static void push(cnode_conn *c, flow *f, cnode__load *load) {
    if (f->first == NULL)
        f->first = load;
    else
        f->last->next = load;
    f->last = load;
    c->talk->flow_bytes += weight(load);
}

/* The first fragment; the control tuple is whole in it. */
static int begin(cnode_conn *c, flow *f) {
    cnode__parcel *p = &f->first->parcel;
    size_t size = c->stride;
    size_t part = p->ctrl.len < size ? size - p->ctrl.len : 0;
    uint64_t n = 1 + (p->len - part + size - 1) / size;
    int err = cnode__conn_put(c, p, c->talk->last_sequence + 1, n, part);

    if (err != 0)
        return err;
    c->talk->flow_bytes -= part;
    f->sequence = ++c->talk->last_sequence;
    f->left = n - 1;
    f->size = size;
    return 0;
}

static int next_fragment(cnode_conn *c, flow *f) {
    cnode__parcel *load = &f->first->parcel;
    size_t n = load->len < f->size ? load->len : f->size;
    uint8_t *p = cnode__out_reserve(&c->queue, HEAD, load->nv);

    if (p == NULL)
        return CN_ENOMEM;
    p = cn__put32(p, (uint32_t)(HEAD - 4 + n));
    p = cn__put8(cn__put8(p, CNODE__VERSION), CNODE__FRAGMENT);
    (void)cn__put64(cn__put64(p, f->sequence), f->left);
    cnode__out_commit(&c->queue, HEAD);
    c->stats.frames_out++;
    cnode__conn_share(c, load, n);
    c->talk->flow_bytes -= n;
    if (--f->left == 0)
        pop(c, f);
    return 0;
}

/* The first of those that wait, whole. */
static int put_whole(cnode_conn *c, flow *f, size_t *put) {
    cnode__parcel *p = &f->first->parcel;
    size_t len = p->len, before = c->queue.bytes;
    int err = cnode__conn_put(c, p, 0, 0, len);

    if (err != 0)
        return err;
    *put += c->queue.bytes - before;
    c->talk->flow_bytes -= len - p->len;
    pop(c, f);
    return 0;
}

/* What waited behind a sequence or in front of one, but not much more than the
 * shortest fragment. */
static int go_on(cnode_conn *c, flow *f) {
    size_t put = 0;
    int err = 0;

    while (err == 0 && f->first != NULL && f->left == 0 && put < SIZE)
        err = takes_several(c, f->first) ? begin(c, f) : put_whole(c, f, &put);
    return err;
}

static int step(cnode_conn *c) {
    flow *f = cnode__list_first(flow, in_turn, &c->talk->flows);
    int err = f->left > 0 ? next_fragment(c, f) : 0;

    c->talk->since_fragment = 0;
    if (err == 0)
        err = go_on(c, f);
    if (err != 0)
        return err;
    cnode__list_leave(&f->in_turn);
    cnode__list_add(&c->talk->flows, &f->in_turn);
    if (f->first == NULL)
        free_flow(c, f);
    return 0;
}

int cnode__flow_add(cnode_conn *c, const cnode_ctrl *ctrl, cnode__load *load) {
    flow *f = find(c, ctrl);
    int err;

    if (f != NULL) {
        push(c, f, load);
        return 0;
    }
    f = new_flow(c, ctrl);
    if (f == NULL)
        return CN_ENOMEM;
    push(c, f, load);
    err = takes_several(c, load) ? begin(c, f) : 0;
    if (err != 0) {
        c->talk->flow_bytes -= weight(load);
        free_flow(c, f);
    }
    return err;
}

/* What is left in the queue is written first; with nothing there, nobody would
 * come back to try again. */
void cnode__flow_fill(cnode_conn *c) {
    size_t enough = c->stride > ENOUGH ? c->stride : ENOUGH;
    int err = 0;

    while (err == 0 && c->queue.bytes < enough &&
           !cnode__list_empty(&c->talk->flows))
        err = step(c);
    if (err != 0 && c->queue.bytes == 0 && !cnode__conn_dead(c))
        (void)cnode__conn_fail(c, err,
                               "out of memory inside a message of %zu bytes",
                               c->talk->flow_bytes);
}

void cnode__flow_passed(cnode_conn *c, size_t n) {
    if (cnode__list_empty(&c->talk->flows))
        return;
    c->talk->since_fragment += n;
    if (c->talk->since_fragment >= c->stride)
        (void)step(c); /* without memory it is not the turn yet */
}
