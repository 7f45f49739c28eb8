/* SPDX-License-Identifier: Apache-2.0
 *
 * discover_gossip.c: the heartbeats of libcluster (Cluster.Strategy.Gossip).
 *
 *      "heartbeat::" (11)   the map #{node => Node} as term_to_binary makes it
 *
 * With a secret all that is encrypted, behind the 16 bytes of its IV. Older
 * releases write atoms with other tags, and newer versions might put more into
 * the map: both are read.
 */
#include <string.h>

#include "cnode/discover_parts.h"

#define PRELUDE "heartbeat::"

enum { PRELUDE_SIZE = sizeof PRELUDE - 1 };

/* --- bytes --------------------------------------------------------------- */

static size_t put_plain(const char *node, uint8_t *out, size_t cap) {
    etf_writer w;
    etf_view term;

    memcpy(out, PRELUDE, PRELUDE_SIZE);
    etf_writer_init_fixed(&w, out + PRELUDE_SIZE, cap - PRELUDE_SIZE);
    etf_put_version(&w);
    etf_put_map(&w, 1);
    etf_put_atom(&w, "node");
    etf_put_atom(&w, node);
    return etf_writer_finish(&w, &term) == 0 ? PRELUDE_SIZE + term.len : 0;
}

int cnode__gossip_put(const cnode__gossip *g, const char *node,
                      const uint8_t iv[CNODE__GOSSIP_IV], uint8_t *out) {
    uint8_t plain[CNODE__GOSSIP_MAX / 2];
    size_t n = put_plain(node, plain, sizeof plain);
    int size;

    if (!g->secret) {
        memcpy(out, plain, n);
        return (int)n;
    }
    memcpy(out, iv, CNODE__GOSSIP_IV);
    size = cnode__encrypt(g->key, iv, plain, n, out + CNODE__GOSSIP_IV);
    return size < 0 ? size : CNODE__GOSSIP_IV + size;
}

/* An atom, or an empty view behind anything else. */
static etf_view take_atom(etf_reader *r) {
    if (etf_peek(r) == ETF_ATOM)
        return etf_get_atom(r);
    etf_skip(r);
    return (etf_view){NULL, 0};
}

static int read_plain(const uint8_t *p, size_t n,
                      char node[CNODE__NAME_MAX + 1]) {
    bool found = false;
    etf_reader r;

    if (n < PRELUDE_SIZE || memcmp(p, PRELUDE, PRELUDE_SIZE) != 0)
        return CN_EPROTO;
    etf_reader_init(&r, etf_view_of(p + PRELUDE_SIZE, n - PRELUDE_SIZE));
    etf_get_version(&r);
    for (uint32_t left = etf_get_map(&r); left > 0 && r.err == 0; left--) {
        bool ours = etf_view_is(take_atom(&r), "node");
        etf_view value = take_atom(&r);
        if (ours)
            found = value.len > 0 &&
                    cnode__string_of(value, node, CNODE__NAME_MAX + 1);
    }
    return etf_reader_finish(&r) == 0 && found ? 0 : CN_EPROTO;
}

int cnode__gossip_get(const cnode__gossip *g, const uint8_t *p, size_t n,
                      char node[CNODE__NAME_MAX + 1]) {
    uint8_t plain[CNODE__GOSSIP_MAX];
    int size;

    if (n > CNODE__GOSSIP_MAX || (g->secret && n <= CNODE__GOSSIP_IV))
        return CN_EPROTO;
    if (!g->secret)
        return read_plain(p, n, node);
    size = cnode__decrypt(g->key, p, p + CNODE__GOSSIP_IV, n - CNODE__GOSSIP_IV,
                          plain);
    return size < 0 ? size : read_plain(plain, (size_t)size, node);
}

/* --- who is believed ----------------------------------------------------- */

/* May one more name come? At the most max_new in a second, in the long run. */
static bool may_come(cnode__gossip *g, uint64_t now) {
    uint64_t more = (now - g->filled_at) * g->max_new / 1000;

    if (more > 0) {
        g->filled_at = now;
        g->allowance = more >= g->max_new - g->allowance
                           ? g->max_new
                           : g->allowance + (uint32_t)more;
    }
    if (g->allowance == 0)
        return false;
    g->allowance--;
    return true;
}

static void tell(cnode_source *s, int err) {
    cnode_source_failed(
        s, err,
        err == CN_EBADARG ? "a heartbeat has a name that no node can have"
        : err == CN_ELIMIT
            ? "heartbeats name more nodes than are taken; are they "
              "all yours?"
            : cn_strerror(err));
}

void cnode__gossip_heard(cnode__gossip *g, const char *node, uint64_t now) {
    int err;

    if (cnode__is_self(cnode_source_node(g->source), node, strlen(node)))
        return;
    if (!cnode__source_names(g->source, node) && !may_come(g, now))
        return; /* it will be heard again */
    err = cnode_source_heard(g->source, node, g->forget_ms);
    if (err != 0)
        tell(g->source, err);
}
