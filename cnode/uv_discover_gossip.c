/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_discover_gossip.c: the socket of heartbeats, made as libcluster makes it:
 * bound to all addresses with SO_REUSEADDR, so that all nodes of a host hear;
 * the group joined; the own heartbeats looped back for the others. (The
 * SO_REUSEPORT that libcluster asks for has a number that Linux does not know;
 * two sockets of which one has both options and one only SO_REUSEADDR could
 * share the port all the same.)
 */
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>

#include "base/error.h"
#include "cnode/digest.h"
#include "cnode/sized.h"
#include "cnode/uv_discover.h"

#define GROUP "233.252.1.32"

enum {
    INTERVAL_MS = 5000,
    FORGET_MS = 30000,
    MAX_NEW = 10,
    MAX_NODES = 256,
    MAX_DIALS = 2 /* of the four threads that libuv resolves hosts with */
};

typedef struct gossip {
    cnode *node;
    cnode__gossip pure;
    cnode__timer timer;
    uv_udp_t udp;
    struct sockaddr_in to;
    uint32_t interval_ms;
    bool listen_only;
    uint8_t in[CNODE__GOSSIP_MAX + 1];
} gossip;

static void free_gossip(gossip *g) {
    cnode *n = g->node;

    cnode__timer_drop(&n->timers, &g->timer);
    cnode__wipe(&g->pure, sizeof g->pure);
    cn__free(&n->alloc, g, 1, sizeof *g);
}

/* --- out ----------------------------------------------------------------- */

static int send_heartbeat(gossip *g) {
    uint8_t out[CNODE__GOSSIP_MAX], iv[CNODE__GOSSIP_IV];
    uv_buf_t buf;
    int size;

    g->node->shell->random(g->node->shell_ctx, iv, sizeof iv);
    size = cnode__gossip_put(&g->pure, g->node->name, iv, out);
    if (size < 0)
        return UV_ENOMEM;
    buf = uv_buf_init((char *)out, (unsigned)size);
    size = uv_udp_try_send(&g->udp, &buf, 1,
                           (const struct sockaddr *)(const void *)&g->to);
    return size == UV_EAGAIN || size > 0 ? 0 : size;
}

static void tell_unsent(gossip *g, int r) {
    char text[CN_ERROR_TEXT];

    (void)snprintf(text, sizeof text, "heartbeats cannot be sent: %s",
                   uv_strerror(r));
    cnode_source_failed(g->pure.source, CN_EIO, text);
}

static void beat(gossip *g) {
    cnode *n = g->node;
    uint32_t chance;
    int r = n->named ? send_heartbeat(g) : 0;

    if (r != 0)
        tell_unsent(g, r);
    n->shell->random(n->shell_ctx, &chance, sizeof chance);
    cnode__timer_arm(&n->timers, &g->timer,
                     cnode__now(n) + 1 + chance % g->interval_ms);
}

static void on_time(cnode__timer *t) {
    beat(cnode__list_of(gossip, timer, t));
}

/* --- in ------------------------------------------------------------------ */

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf) {
    gossip *g = h->data;

    (void)hint;
    *buf = uv_buf_init((char *)g->in, sizeof g->in);
}

/* Other clusters may use the same port, so this is no more than a hint. */
static void tell_unread(gossip *g, const struct sockaddr *from) {
    char where[INET6_ADDRSTRLEN] = "?";

    (void)uv_ip_name(from, where, sizeof where);
    cn__log(&g->node->config.log, CN_LOG_DEBUG, "discover",
            "gossip: what %s has sent is no heartbeat", where);
    cnode_source_failed(g->pure.source, CN_EPROTO,
                        g->pure.secret
                            ? "something is sent here that is no heartbeat "
                              "with the secret of this node"
                            : "something is sent here that is no heartbeat; "
                              "do others use a secret?");
}

static void on_datagram(uv_udp_t *h, ssize_t n, const uv_buf_t *buf,
                        const struct sockaddr *from, unsigned flags) {
    gossip *g = h->data;
    char node[CNODE__NAME_MAX + 1];
    int err;

    (void)buf;
    if (from == NULL || n < 0)
        return; /* no more, or an error that belongs to something sent */
    err = (flags & UV_UDP_PARTIAL) != 0
              ? CN_EPROTO
              : cnode__gossip_get(&g->pure, g->in, (size_t)n, node);
    if (err == 0)
        cnode__gossip_heard(&g->pure, node, cnode__now(g->node));
    else
        tell_unread(g, from);
}

/* --- the socket ---------------------------------------------------------- */

static int set_multicast(gossip *g, const cnode_gossip_source *c,
                         const char *group) {
    int r = 0;

    if (c->broadcast_only)
        return 0;
    if (c->interface != NULL)
        r = uv_udp_set_multicast_interface(&g->udp, c->interface);
    if (r == 0)
        r = uv_udp_set_multicast_ttl(&g->udp, c->ttl == 0 ? 1 : c->ttl);
    if (r == 0)
        r = uv_udp_set_multicast_loop(&g->udp, !c->no_loopback);
    return r == 0 ? uv_udp_set_membership(&g->udp, group, c->interface,
                                          UV_JOIN_GROUP)
                  : r;
}

static int failed(cnode *n, int r, const char *what) {
    (void)cnode__err(n, r == UV_EADDRINUSE ? CN_EREFUSED : CN_EIO,
                     "gossip: %.100s: %s", what, uv_strerror(r));
    n->error.os_error = -r;
    return n->error.code;
}

static bool is_address(const char *text) {
    struct in_addr a;

    return text == NULL || inet_pton(AF_INET, text, &a) == 1;
}

/* The handle is open; whatever fails is closed with it. */
static int open_socket(gossip *g, const cnode_gossip_source *c) {
    cnode *n = g->node;
    const char *group = c->group == NULL ? GROUP : c->group;
    const char *address = c->address == NULL ? "0.0.0.0" : c->address;
    int port = c->port == 0 ? CNODE__GOSSIP_PORT : c->port;
    struct sockaddr_in own;
    int r;

    if (!is_address(group) || !is_address(address) || !is_address(c->interface))
        return cnode__err(n, CN_EBADARG,
                          "gossip: group, interface and address are IPv4 "
                          "addresses, as 233.252.1.32");
    (void)uv_ip4_addr(group, port, &g->to);
    (void)uv_ip4_addr(address, port, &own);
    r = uv_udp_bind(&g->udp, (const struct sockaddr *)(const void *)&own,
                    UV_UDP_REUSEADDR);
    if (r != 0)
        return failed(n, r, "binding the port");
    r = uv_udp_set_broadcast(&g->udp, 1);
    if (r != 0)
        return failed(n, r, "allowing broadcasts");
    r = set_multicast(g, c, group);
    return r == 0 ? 0 : failed(n, r, "joining the group");
}

static void on_closed(uv_handle_t *h) {
    gossip *g = h->data;

    cnode__uv_of(g->node)->handles--;
    free_gossip(g);
}

static void close_gossip(gossip *g) {
    cnode__timer_drop(&g->node->timers, &g->timer);
    uv_close((uv_handle_t *)&g->udp, on_closed);
}

/* --- life ---------------------------------------------------------------- */

static void start(cnode_source *s, void *data) {
    gossip *g = data;
    int r;

    g->pure.source = s;
    g->pure.filled_at = cnode__now(g->node);
    g->pure.allowance = g->pure.max_new;
    r = uv_udp_recv_start(&g->udp, on_alloc, on_datagram);
    if (r != 0)
        cnode_source_failed(s, CN_EIO, uv_strerror(r));
    if (!g->listen_only)
        beat(g);
}

static void stop(cnode_source *s, void *data) {
    (void)s;
    close_gossip(data);
}

static uint32_t or_else(uint32_t given, uint32_t otherwise) {
    return given != 0 ? given : otherwise;
}

static int set_up(gossip *g, const cnode_gossip_source *c) {
    cnode *n = g->node;

    g->interval_ms = or_else(c->interval_ms, INTERVAL_MS);
    g->listen_only = c->listen_only;
    g->pure.forget_ms = or_else(c->forget_ms, FORGET_MS);
    g->pure.max_new = or_else(c->max_new, MAX_NEW);
    g->pure.secret = c->secret != NULL;
    if (c->secret == NULL)
        return 0;
    if (c->secret[0] == '\0')
        return cnode__err(n, CN_EBADARG, "gossip: the secret is empty");
    if (cnode__cipher_key(c->secret, g->pure.key) != 0)
        return cnode__err(n, CN_ENOMEM, "gossip: OpenSSL has no SHA-256");
    return 0;
}

/* With an open handle. */
static int new_gossip(cnode *n, const cnode_gossip_source *c, gossip **out) {
    gossip *g = cn__calloc(&n->alloc, 1, sizeof *g);
    int err;

    if (g == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    g->node = n;
    g->udp.data = g;
    err = cnode__timer_make(&n->timers, &g->timer, on_time);
    if (err == 0)
        err = set_up(g, c);
    else
        (void)cnode__err(n, err, "out of memory");
    if (err == 0 && uv_udp_init(cnode__uv_of(n)->loop, &g->udp) != 0)
        err = cnode__err(n, CN_EIO, "gossip: no socket");
    if (err == 0)
        cnode__uv_of(n)->handles++;
    else
        free_gossip(g);
    *out = g;
    return err;
}

int cnode_discover_gossip_sized(cnode *n, const cnode_gossip_source *config,
                                size_t size, cnode_source **out) {
    cnode_source_config source = {
        .name = "gossip", .start = start, .stop = stop, .max_dials = MAX_DIALS};
    cnode_gossip_source c;
    gossip *g;
    int err;

    cnode__copy_sized(&c, sizeof c, config, size);
    err = new_gossip(n, &c, &g);
    if (err != 0)
        return err;
    source.data = g;
    source.max_nodes = or_else(c.max_nodes, MAX_NODES);
    err = open_socket(g, &c);
    if (err == 0)
        err = cnode_source_add(n, &source, out);
    if (err != 0)
        close_gossip(g);
    return err;
}
