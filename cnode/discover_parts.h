/* SPDX-License-Identifier: Apache-2.0
 *
 * discover_parts.h: what the files of discovery share (internal).
 *
 *   discover.c         sources, found nodes, who is dialled when, events
 *   discover_list.c    a fixed list
 *   discover_hosts.c   the text of a .hosts.erlang
 *   discover_dns.c     answers of DNS servers
 *   discover_gossip.c  heartbeats
 *   uv_discover*.c     sockets and the resolver
 */
#ifndef CNODE_DISCOVER_PARTS_H
#define CNODE_DISCOVER_PARTS_H

#include "base/bytes.h"
#include "cnode/cipher.h"
#include "cnode/discover.h"
#include "cnode/node.h"

/* --- discover.c --- */
/* It names this node at the moment. */
bool cnode__source_names(const cnode_source *s, const char *node);
/* Between _begin and _end: names again all nodes of a host, name@host. */
void cnode__source_keep_host(cnode_source *s, const char *host);
/* _end of a round in which something has failed. */
void cnode__source_sweep(cnode_source *s);
/* A person has named its nodes: one that is not there is worth a warning. */
void cnode__source_by_hand(cnode_source *s);

/* --- discover_hosts.c --- */
/* Takes the next host off the text and unquotes it into out. 1; 0: the end;
 * CN_ESYNTAX: *text stands at what is no host; CN_ELIMIT: a host is longer
 * than cap - 1. */
int cnode__hosts_next(const char **text, char *out, size_t cap);

/* --- discover_dns.c --- */
/* RFC 1035, 2782, 3596. */
typedef enum cnode__dns_type {
    CNODE__DNS_A = 1,
    CNODE__DNS_AAAA = 28,
    CNODE__DNS_SRV = 33
} cnode__dns_type;

enum { CNODE__DNS_NAME = 255 };

typedef struct cnode__dns_answer {
    cn_cursor left;
    const uint8_t *message;
    size_t size;
    cnode__dns_type type;
    unsigned records;
} cnode__dns_answer;

/* Opens the answer to a question of that type. 0; CN_ENOENT: there is no such
 * name; CN_EREFUSED: the server says no for another reason; CN_EPROTO: that is
 * no answer. */
int cnode__dns_open(cnode__dns_answer *a, cnode__dns_type type,
                    const uint8_t *p, size_t n);
/* The next host: an address as digits, or the target of SRV without the dot
 * at its end; out has room for CNODE__DNS_NAME + 1. 1; 0: the end;
 * CN_EPROTO. */
int cnode__dns_next(cnode__dns_answer *a, char *out);

/* --- discover_gossip.c --- */
enum {
    CNODE__GOSSIP_PORT = 45892,
    CNODE__GOSSIP_IV = 16,
    /* The longest of libcluster, with the longest name there is, has about
     * 1,080 bytes. */
    CNODE__GOSSIP_MAX = 2048
};

typedef struct cnode__gossip {
    bool secret;
    uint8_t key[CNODE__CIPHER_KEY];
    uint32_t forget_ms;
    uint32_t max_new;
    uint32_t allowance; /* new names that may come now */
    uint64_t filled_at; /* when it was last added to */
    cnode_source *source;
} cnode__gossip;

/* The heartbeat of a node: its size; out has CNODE__GOSSIP_MAX. iv is random;
 * not used without a secret. CN_ENOMEM: of OpenSSL. */
int cnode__gossip_put(const cnode__gossip *g, const char *node,
                      const uint8_t iv[CNODE__GOSSIP_IV], uint8_t *out);
/* Whom a datagram names. 0; CN_EPROTO: it is no heartbeat, or of another
 * secret; CN_ENOMEM. */
int cnode__gossip_get(const cnode__gossip *g, const uint8_t *p, size_t n,
                      char node[CNODE__NAME_MAX + 1]);
/* The source has heard of this node. */
void cnode__gossip_heard(cnode__gossip *g, const char *node, uint64_t now);

#endif
