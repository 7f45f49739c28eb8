/* SPDX-License-Identifier: Apache-2.0
 *
 * discover.h: how a node finds the others of its cluster.
 *
 * A source names nodes: a fixed list, the port mappers (EPMD) of some hosts,
 * DNS, the UDP gossip of Elixir's libcluster, or one of the program's own. A
 * node that some source names is connected to, tried again until it is there,
 * and kept connected from then on as by cnode_keep. When no source names it
 * any more it is not tried again; a connection to it stays, unless drop_gone.
 *
 *     cnode_discover(n, &(cnode_discover_opts){.on_event = on_event});
 *     cnode_discover_dns(n, &(cnode_dns_source){.name = "app.svc"}, NULL);
 *
 * What discovery has connected is a connection like any other: cnode_disconnect
 * and CNODE_POLICY_DENY end it, and then the node is left alone until it is
 * gone and found again. Peers that the program keeps by itself are not touched
 * when they are gone. The own name is never found.
 *
 * Threads and callbacks: as in cnode.h. Everything here belongs to the thread
 * of the loop; a source that works in a thread of its own brings its reports
 * with cnode_post. Strings are copied, and so are arrays.
 *
 * Errors: calls return 0 or a negative CN_E* code; cnode_error tells more. What
 * goes wrong later is an event and a line in the log.
 */
#ifndef CNODE_DISCOVER_H
#define CNODE_DISCOVER_H

#include <cnode/cnode.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- what becomes of found nodes ----------------------------------------- */

typedef enum cnode_discover_kind {
    CNODE_DISCOVER_FOUND, /* a source names a node that none named before */
    CNODE_DISCOVER_UP,    /* it is connected, whoever made the connection */
    CNODE_DISCOVER_DOWN,  /* it is so no more */
    CNODE_DISCOVER_GONE,  /* no source names it; nothing more is told of it */
    CNODE_DISCOVER_ERROR  /* it could not be connected to, and will be tried
                             again; without a node: a source has failed */
} cnode_discover_kind;

typedef struct cnode_discover_event {
    cnode_discover_kind kind;
    const char *node;   /* NULL: ERROR of a source */
    const char *source; /* one that names the node, or has failed; "": none */
    int status;         /* ERROR, DOWN: why, CN_E*, as in cnode_peer */
    const char *text;   /* the same for a person to read */
} cnode_discover_event;

/* All may be zero. */
typedef struct cnode_discover_opts {
    void (*on_event)(cnode *n, const cnode_discover_event *e, void *data);
    void *data;       /* for on_event */
    bool report_only; /* connects to nobody, and ends no connection */
    bool drop_gone;   /* a node that is gone is disconnected, unless the
                         program keeps it by itself */
    /* A node is first tried after a random time up to this, so that those who
     * hear of one another at once do not all dial at once. 0: 500 ms */
    uint32_t jitter_ms;
    cnode_keep_opts keep; /* when one is tried again; attempts is not used */
} cnode_discover_opts;

CN_API int cnode_discover_sized(cnode *n, const cnode_discover_opts *o,
                                size_t size);
/* Says how this node deals with what its sources name. Before the first source;
 * again changes what happens from then on. Without it nodes are connected and
 * only the log tells. CN_ENOMEM, CN_ECLOSED (cnode_leave, cnode_free). */
static inline int cnode_discover(cnode *n, const cnode_discover_opts *o) {
    return cnode_discover_sized(n, o, sizeof *o);
}

/* --- a source of your own ------------------------------------------------ */

typedef struct cnode_source cnode_source;

typedef struct cnode_source_config {
    const char *name; /* for events and the log: "consul" */
    /* Begin to report. From the loop, once; may be NULL. */
    void (*start)(cnode_source *s, void *data);
    /* From the loop, once, also if start was never called: report no more, give
     * back what data stands for. s must not be used after it. It comes after
     * cnode_source_remove, cnode_leave, and in cnode_free. May be NULL. */
    void (*stop)(cnode_source *s, void *data);
    void *data;
    uint32_t max_nodes; /* most nodes that it may name at once; 0: 1,000 */
    /* Most attempts at once to connect to nodes that have not been connected
     * yet; the others wait. 0: 16 */
    uint32_t max_dials;
} cnode_source_config;

CN_API int cnode_source_add_sized(cnode *n, const cnode_source_config *c,
                                  size_t size, cnode_source **out);
/* out may be NULL. CN_EBADARG: no name; CN_ENOMEM, CN_ECLOSED. */
static inline int cnode_source_add(cnode *n, const cnode_source_config *c,
                                   cnode_source **out) {
    return cnode_source_add_sized(n, c, sizeof *c, out);
}
/* What only it names is gone. s must not be used by the program any more. */
CN_API void cnode_source_remove(cnode_source *s);
CN_API cnode *cnode_source_node(const cnode_source *s);

/* Names a node, until _gone; naming it again changes nothing. CN_EBADARG: that
 * is no name of a node; CN_ELIMIT: max_nodes; CN_ENOMEM. */
CN_API int cnode_source_found(cnode_source *s, const char *node);
/* Names it for so long, and again for so long from the last time on. As long as
 * the node is connected it stays. */
CN_API int cnode_source_heard(cnode_source *s, const char *node, uint32_t ms);
/* Names it no more; node may be NULL. */
CN_API void cnode_source_gone(cnode_source *s, const char *node);
/* For a source that always has the whole list: what it has not named between
 * _begin and _end is gone. */
CN_API void cnode_source_begin(cnode_source *s);
CN_API void cnode_source_end(cnode_source *s);
/* It could not find out; what it has named stays. The same trouble as before
 * is told again after a minute at the earliest, unless _end was called in
 * between, and another one after a second. */
CN_API void cnode_source_failed(cnode_source *s, int status, const char *text);

/* --- a fixed list -------------------------------------------------------- */

/* Names these nodes for good. The log warns, once, of each that cannot be
 * connected to. CN_EBADARG: one is no name of a node. */
CN_API int cnode_discover_list(cnode *n, const char *const *nodes, size_t count,
                               cnode_source **out);

/* --- the nodes of some hosts --------------------------------------------- */

/* Asks the EPMD of each host for the names that are registered there:
 * name@host. A host that does not answer keeps the nodes it had.
 * https://www.erlang.org/doc/apps/kernel/net_adm.html#world/0 */
typedef struct cnode_epmd_source {
    const char *const *hosts; /* count of them */
    size_t count;
    /* A file of hosts in addition, as net_adm:host_file/0 reads it: quoted
     * atoms, each with a dot behind it. "": .hosts.erlang in the working
     * directory, else in $HOME. NULL: none. With neither hosts nor file it is
     * the own host, by the name that this node has for it. */
    const char *hosts_file;
    uint16_t port;        /* of EPMD; 0: that of the node */
    uint32_t interval_ms; /* between two rounds; 0: 5,000 */
    uint32_t max_nodes;   /* 0: 1,000 */
} cnode_epmd_source;

CN_API int cnode_discover_epmd_sized(cnode *n, const cnode_epmd_source *c,
                                     size_t size, cnode_source **out);
/* CN_ENOENT: there is no such file; CN_ESYNTAX: it is no list of hosts;
 * CN_EBADARG: no host at all, or the node has no name yet; CN_ELIMIT: more than
 * 256 hosts; CN_EIO, CN_ENOMEM, CN_ECLOSED. */
static inline int cnode_discover_epmd(cnode *n, const cnode_epmd_source *c,
                                      cnode_source **out) {
    return cnode_discover_epmd_sized(n, c, sizeof *c, out);
}

/* --- DNS ----------------------------------------------------------------- */

/* Asks for a name again and again, as dns_cluster and libcluster's DNSPoll,
 * Kubernetes.DNS and Kubernetes.DNSSRV do. A and AAAA records name the nodes
 * basename@ADDRESS, SRV records basename@TARGET. To be found so a node must
 * have the same basename and that address or target as its host. An answer
 * that there is no such name means no nodes, and is told; when the server does
 * not answer, all stays as it is. */
typedef struct cnode_dns_source {
    const char *name;     /* "app-headless.default.svc.cluster.local" */
    const char *basename; /* NULL: of this node, in front of its @ */
    bool srv;             /* SRV records; else A and AAAA */
    int family;           /* 4: A only; 6: AAAA only; 0: both */
    /* The IPv4 address of the server to ask, "10.0.0.10" or "10.0.0.10:53".
     * NULL: as this system resolves names (for A and AAAA /etc/hosts counts,
     * too). */
    const char *server;
    uint32_t interval_ms; /* between two questions; 0: 5,000 */
    uint32_t timeout_ms;  /* for a server's answer to SRV, or when server is
                             given; in whole seconds; 0: 2,000 */
    uint32_t max_nodes;   /* 0: 1,000 */
} cnode_dns_source;

CN_API int cnode_discover_dns_sized(cnode *n, const cnode_dns_source *c,
                                    size_t size, cnode_source **out);
/* The resolver works in libuv's thread pool and cannot be interrupted:
 * cnode_free waits for it. CN_EBADARG: no name, server or basename, or the node
 * has no name yet; CN_ENOMEM, CN_ECLOSED. */
static inline int cnode_discover_dns(cnode *n, const cnode_dns_source *c,
                                     cnode_source **out) {
    return cnode_discover_dns_sized(n, c, sizeof *c, out);
}

/* --- gossip -------------------------------------------------------------- */

/* The heartbeats of libcluster's strategy Gossip (3.3 and newer; older ones
 * used the group 230.1.1.251): each node sends its name by UDP to a multicast
 * group, or as a broadcast, and connects to whom it hears of.
 *
 * Who may send to the port decides what is heard. Without a secret anybody can
 * name nodes: this node then dials where it is told, at most max_new new names
 * a second, max_nodes names and two attempts at once; and who is dialled gets
 * a digest of the cookie, at which he may guess. With a secret heartbeats are
 * encrypted (AES-256-CBC, the key is the SHA-256 of the secret) but not
 * authenticated: who has heard one can repeat it, and may change it in the
 * dark. A name that is not heard for forget_ms is gone, unless the node is
 * connected. The cookie decides who is let in, as ever. */
typedef struct cnode_gossip_source {
    const char *secret;    /* NULL: none */
    uint16_t port;         /* 0: 45,892 */
    const char *group;     /* an IPv4 address; NULL: 233.252.1.32 */
    const char *interface; /* address of the interface for multicast; NULL: as
                              the system routes it */
    const char *address;   /* to bind to; NULL: 0.0.0.0 */
    uint8_t ttl;           /* of multicast; 0: 1, this network only */
    bool no_loopback;      /* nodes of this host do not hear this one */
    bool broadcast_only;   /* joins no group: sends to the address in group,
                              which may be 255.255.255.255 */
    bool listen_only;      /* sends nothing */
    uint32_t interval_ms;  /* longest time between two heartbeats; 0: 5,000 */
    uint32_t forget_ms;    /* 0: 30,000 */
    uint32_t max_new;      /* new names a second; 0: 10 */
    uint32_t max_nodes;    /* 0: 256 */
} cnode_gossip_source;

CN_API int cnode_discover_gossip_sized(cnode *n, const cnode_gossip_source *c,
                                       size_t size, cnode_source **out);
/* Opens the socket. CN_EBADARG: something is no IPv4 address, or the secret is
 * empty; CN_EREFUSED: the port is used without SO_REUSEADDR; CN_EIO: no such
 * interface, or the group could not be joined; CN_ENOMEM, CN_ECLOSED. */
static inline int cnode_discover_gossip(cnode *n, const cnode_gossip_source *c,
                                        cnode_source **out) {
    return cnode_discover_gossip_sized(n, c, sizeof *c, out);
}

#ifdef __cplusplus
}
#endif
#endif
