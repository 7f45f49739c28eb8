/* SPDX-License-Identifier: Apache-2.0
 *
 * ids.c: pids, ports and references: equality, and both directions. Old forms
 * are read, only the newest written.
 */
#include "ext_term/put.h"

static bool same_node(const char *a, uint16_t an, const char *b, uint16_t bn) {
    return an == bn && memcmp(a, b, an) == 0;
}

bool etf_pid_eq(const etf_pid *a, const etf_pid *b) {
    return a->id == b->id && a->serial == b->serial &&
           a->creation == b->creation &&
           same_node(a->node, a->node_len, b->node, b->node_len);
}

bool etf_port_eq(const etf_port *a, const etf_port *b) {
    return a->id == b->id && a->creation == b->creation &&
           same_node(a->node, a->node_len, b->node, b->node_len);
}

bool etf_ref_eq(const etf_ref *a, const etf_ref *b) {
    return a->n == b->n && a->n <= ETF_REF_WORDS &&
           a->creation == b->creation &&
           memcmp(a->ids, b->ids, sizeof a->ids[0] * a->n) == 0 &&
           same_node(a->node, a->node_len, b->node, b->node_len);
}

bool etf_view_is(etf_view v, const char *text) {
    return v.len == strlen(text) &&
           (v.len == 0 || memcmp(v.data, text, v.len) == 0);
}

bool etf_view_eq(etf_view a, etf_view b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* --- reading -------------------------------------------------------------- */

/* Only what is in use is written: the rest of a name is a thousand bytes. */
static int get_node(const etf__head *h, char node[ETF_NODE_MAX + 1],
                    uint16_t *len) {
    uint8_t room[ETF__LATIN1_ROOM];
    etf__head atom;
    etf_view text;

    node[0] = '\0';
    *len = 0;
    etf__head_inner(h, h->body, &atom);
    text = etf__head_text(&atom, room);
    if (text.len > ETF_NODE_MAX)
        return CN_ELIMIT;
    memcpy(node, text.data, text.len);
    node[text.len] = '\0';
    *len = (uint16_t)text.len;
    return 0;
}

/* The oldest form of a reference has its creation behind the word, the others
 * before the words. */
static void ref_numbers(const etf__head *h, cn_cursor *c, etf__numbers *out) {
    if (h->tag == ETF__NEWER_REFERENCE)
        out->creation = cn__take32(c);
    else if (h->tag == ETF__NEW_REFERENCE)
        out->creation = cn__take8(c);
    for (uint32_t i = 0; i < h->n; i++)
        out->words[i] = cn__take32(c);
    if (h->tag == ETF__REFERENCE)
        out->creation = cn__take8(c);
}

void etf__head_numbers(const etf__head *h, etf__numbers *out) {
    cn_cursor c = cn__cursor(h->rest, (size_t)(h->end - h->rest));

    *out = (etf__numbers){0};
    if (h->type == ETF_REF) {
        ref_numbers(h, &c, out);
        return;
    }
    out->id = h->tag == ETF__V4_PORT ? cn__take64(&c) : cn__take32(&c);
    if (h->type == ETF_PID)
        out->serial = cn__take32(&c);
    if (h->tag == ETF__PID || h->tag == ETF__PORT)
        out->creation = cn__take8(&c);
    else
        out->creation = cn__take32(&c);
}

int etf__head_pid(const etf__head *h, etf_pid *out) {
    etf__numbers n;

    etf__head_numbers(h, &n);
    out->id = (uint32_t)n.id;
    out->serial = n.serial;
    out->creation = n.creation;
    return get_node(h, out->node, &out->node_len);
}

int etf__head_port(const etf__head *h, etf_port *out) {
    etf__numbers n;

    etf__head_numbers(h, &n);
    out->id = n.id;
    out->creation = n.creation;
    return get_node(h, out->node, &out->node_len);
}

int etf__head_ref(const etf__head *h, etf_ref *out) {
    etf__numbers n;

    etf__head_numbers(h, &n);
    out->creation = n.creation;
    out->n = (uint16_t)h->n;
    memcpy(out->ids, n.words, sizeof out->ids);
    return get_node(h, out->node, &out->node_len);
}

/* --- writing -------------------------------------------------------------- */

#define OLD_PORTS (UINT64_C(1) << 28)         /* NEW_PORT_EXT below it */
enum { ID_ROOM = 3 + 4 + 4 * ETF_REF_WORDS }; /* beside the node, at most */

/* The node atom for the slow way, or 0. */
static size_t node_bytes(etf_writer *w, const char *node, uint16_t n,
                         uint8_t out[ETF__ATOM_ROOM]) {
    if (n <= ETF_NODE_MAX && node[n] == '\0' &&
        etf__utf8_count((const uint8_t *)node, n) <= n)
        return etf__atom_bytes(w, node, n, out);
    etf_writer_fail(w, CN_EBADARG);
    return 0;
}

/* On the usual way: puts the node, an ASCII atom, behind `front` bytes, and
 * gives its end; len stays. NULL: nothing is put. */
static inline uint8_t *node_at(const etf_writer *w, size_t front,
                               const char *node, uint16_t n) {
    uint8_t *p;

    if (n > ETF_NODE_MAX || node[n] != '\0' ||
        !etf__roomy(w, (size_t)n + ID_ROOM) ||
        (w->mode & ETF_LATIN1_ATOMS) != 0)
        return NULL;
    p = cn__put8(w->data + w->len + front, ETF__SMALL_ATOM_UTF8);
    p = cn__put8(p, (uint8_t)n);
    return etf__copy_ascii(p, node, n) ? p + n : NULL;
}

static void written(etf_writer *w, const uint8_t *end) {
    w->len = (size_t)(end - w->data);
}

static ETF__SLOW void put_any_pid(etf_writer *w, const etf_pid *pid) {
    uint8_t node[ETF__ATOM_ROOM], *p;
    size_t n = node_bytes(w, pid->node, pid->node_len, node);

    if (n == 0)
        return;
    p = etf__put(w, 1 + n + 12, 0);
    if (p == NULL)
        return;
    p = cn__put_bytes(cn__put8(p, ETF__NEW_PID), node, n);
    p = cn__put32(p, pid->id);
    p = cn__put32(p, pid->serial);
    (void)cn__put32(p, pid->creation);
}

void etf_put_pid(etf_writer *w, const etf_pid *pid) {
    uint8_t *p = node_at(w, 1, pid->node, pid->node_len);

    if (p == NULL) {
        put_any_pid(w, pid);
        return;
    }
    w->data[w->len] = ETF__NEW_PID;
    p = cn__put32(p, pid->id);
    p = cn__put32(p, pid->serial);
    written(w, cn__put32(p, pid->creation));
}

bool etf__wide_port(const etf_writer *w, uint64_t id) {
    return (w->mode & ETF_LATIN1_ATOMS) == 0 || id >= OLD_PORTS;
}

static ETF__SLOW void put_any_port(etf_writer *w, const etf_port *port) {
    uint8_t node[ETF__ATOM_ROOM], *p;
    size_t n = node_bytes(w, port->node, port->node_len, node);
    bool old = !etf__wide_port(w, port->id);

    if (n == 0)
        return;
    p = etf__put(w, 1 + n + (old ? 8 : 12), 0);
    if (p == NULL)
        return;
    p = cn__put8(p, old ? ETF__NEW_PORT : ETF__V4_PORT);
    p = cn__put_bytes(p, node, n);
    p = old ? cn__put32(p, (uint32_t)port->id) : cn__put64(p, port->id);
    (void)cn__put32(p, port->creation);
}

void etf_put_port(etf_writer *w, const etf_port *port) {
    uint8_t *p = node_at(w, 1, port->node, port->node_len);

    if (p == NULL) {
        put_any_port(w, port);
        return;
    }
    w->data[w->len] = ETF__V4_PORT;
    p = cn__put64(p, port->id);
    written(w, cn__put32(p, port->creation));
}

static ETF__SLOW void put_any_ref(etf_writer *w, const etf_ref *ref) {
    uint8_t node[ETF__ATOM_ROOM], *p;
    size_t n;

    if (ref->n > ETF_REF_WORDS) {
        etf_writer_fail(w, CN_EBADARG);
        return;
    }
    n = node_bytes(w, ref->node, ref->node_len, node);
    if (n == 0)
        return;
    p = etf__put(w, 3 + n + 4 + 4 * (size_t)ref->n, 0);
    if (p == NULL)
        return;
    p = cn__put16(cn__put8(p, ETF__NEWER_REFERENCE), ref->n);
    p = cn__put_bytes(p, node, n);
    p = cn__put32(p, ref->creation);
    for (uint16_t i = 0; i < ref->n; i++)
        p = cn__put32(p, ref->ids[i]);
}

void etf_put_ref(etf_writer *w, const etf_ref *ref) {
    uint8_t *p = NULL;

    if (ref->n <= ETF_REF_WORDS)
        p = node_at(w, 3, ref->node, ref->node_len);
    if (p == NULL) {
        put_any_ref(w, ref);
        return;
    }
    (void)cn__put16(cn__put8(w->data + w->len, ETF__NEWER_REFERENCE), ref->n);
    p = cn__put32(p, ref->creation);
    for (uint16_t i = 0; i < ref->n; i++)
        p = cn__put32(p, ref->ids[i]);
    written(w, p);
}
