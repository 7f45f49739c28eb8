/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_discover_dns.c: nodes that DNS knows.
 *
 * A and AAAA are asked for with getaddrinfo(3), SRV, and all when a server is
 * given, with res_nquery(3); both in libuv's thread pool. What comes back is
 * read in the thread of the loop. A question cannot be taken back: when the
 * source is stopped meanwhile, all this lives on until the answer comes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>

#include "base/error.h"
#include "cnode/sized.h"
#include "cnode/uv_discover.h"

enum { TIMEOUT_MS = 2000, DNS_PORT = 53, RETRIES = 2, ANSWER_SIZE = 65535 };

/* One question to a server; its answer as it came. */
typedef struct query {
    cnode__dns_type type;
    int size;   /* of the answer; negative: there is none ... */
    int reason; /* ... h_errno */
    uint8_t answer[ANSWER_SIZE];
} query;

typedef struct dns {
    cnode *node;
    cnode_source *source; /* NULL: stopped */
    cnode_dns_source config;
    cnode__timer timer;
    union {
        uv_req_t request;
        uv_getaddrinfo_t addresses;
        uv_work_t work;
    } u;
    bool asking;
    bool has_server;
    struct sockaddr_in server;
    size_t failures; /* of names in this round */
    size_t queries;
    query *query; /* queries of them; NULL: getaddrinfo */
    char name[CNODE__DNS_NAME + 1];
    char basename[CNODE__NAME_MAX + 1];
} dns;

static void free_dns(dns *d) {
    cnode *n = d->node;

    cnode__timer_drop(&n->timers, &d->timer);
    cn__free(&n->alloc, d->query, d->queries, sizeof *d->query);
    cn__free(&n->alloc, d, 1, sizeof *d);
}

/* --- what came of a round ------------------------------------------------ */

static void fail(const dns *d, int status, const char *why) {
    char text[CN_ERROR_TEXT];

    (void)snprintf(text, sizeof text, "%.150s: %.80s", d->name, why);
    cnode_source_failed(d->source, status, text);
}

static void add(dns *d, const char *host) {
    int err =
        cnode__uv_found(d->source, d->basename, strlen(d->basename), host);

    if (err != 0 && d->failures++ == 0)
        fail(d, err, cn_strerror(err));
}

/* Those that are named are all there are. */
static void finish(dns *d, int status, const char *why) {
    if (status != 0)
        fail(d, status, why);
    if (status != 0 && status != CN_ENOENT)
        return;
    if (status != 0 || d->failures > 0)
        cnode__source_sweep(d->source);
    else
        cnode_source_end(d->source);
}

/* --- getaddrinfo --------------------------------------------------------- */

/* An address that means something on one cable only is no name of a node. */
static bool is_global(const struct sockaddr *a) {
    const struct sockaddr_in6 *six =
        (const struct sockaddr_in6 *)(const void *)a;

    return a->sa_family != AF_INET6 || !IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr);
}

static void take_addresses(dns *d, int status, const struct addrinfo *res) {
    char host[INET6_ADDRSTRLEN];

    if (status == UV_EAI_NONAME || status == UV_EAI_NODATA) {
        finish(d, CN_ENOENT, "there is no such name");
        return;
    }
    if (status != 0) {
        finish(d, CN_EHOST, uv_strerror(status));
        return;
    }
    for (; res != NULL; res = res->ai_next)
        if (is_global(res->ai_addr) &&
            uv_ip_name(res->ai_addr, host, sizeof host) == 0)
            add(d, host);
    finish(d, 0, "");
}

/* The next round, or the end. True: it goes on. */
static bool is_answered(dns *d) {
    d->asking = false;
    cnode__uv_of(d->node)->handles--;
    if (d->source == NULL) {
        free_dns(d);
        return false;
    }
    d->failures = 0;
    cnode_source_begin(d->source);
    cnode__uv_next_round(d->node, &d->timer, d->config.interval_ms);
    return true;
}

static void on_addresses(uv_getaddrinfo_t *req, int status,
                         struct addrinfo *res) {
    dns *d = req->data;

    if (is_answered(d))
        take_addresses(d, status, res);
    uv_freeaddrinfo(res);
}

static int ask_system(dns *d) {
    static const int families[] = {
        [0] = AF_UNSPEC, [4] = AF_INET, [6] = AF_INET6};
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_family = families[d->config.family]};

    return uv_getaddrinfo(cnode__uv_of(d->node)->loop, &d->u.addresses,
                          on_addresses, d->name, NULL, &hints);
}

/* --- a server, or SRV ---------------------------------------------------- */

/* In a thread of the pool: reads only what does not change meanwhile. */
static void query_all(uv_work_t *req) {
    dns *d = req->data;
    uint32_t ms =
        d->config.timeout_ms == 0 ? (uint32_t)TIMEOUT_MS : d->config.timeout_ms;
    struct __res_state res = {0};

    for (size_t i = 0; i < d->queries; i++)
        d->query[i].size = -1, d->query[i].reason = TRY_AGAIN;
    if (res_ninit(&res) != 0)
        return;
    res.retrans = ms < 1000 ? 1 : (int)(ms / 1000);
    res.retry = RETRIES;
    if (d->has_server) {
        res.nscount = 1;
        res.nsaddr_list[0] = d->server;
    }
    for (size_t i = 0; i < d->queries; i++) {
        query *q = &d->query[i];
        q->size = (d->has_server ? res_nquery : res_nsearch)(
            &res, d->name, ns_c_in, (int)q->type, q->answer, sizeof q->answer);
        q->reason = res.res_h_errno;
    }
    res_nclose(&res);
}

/* 0, CN_ENOENT, or why it is not known. */
static int take_answer(dns *d, const query *q, const char **why) {
    cnode__dns_answer a;
    char host[CNODE__DNS_NAME + 1];
    int got;

    if (q->size < 0) {
        *why = hstrerror(q->reason);
        return q->reason == HOST_NOT_FOUND ? CN_ENOENT
               : q->reason == NO_DATA      ? 0
                                           : CN_EHOST;
    }
    *why = "the answer is malformed";
    got = cnode__dns_open(&a, q->type, q->answer, (size_t)q->size);
    if (got != 0)
        return got;
    while ((got = cnode__dns_next(&a, host)) == 1)
        add(d, host);
    return got;
}

static void take_answers(dns *d) {
    const char *why = "", *first = "";
    int status = 0;

    for (size_t i = 0; i < d->queries; i++) {
        int err = take_answer(d, &d->query[i], &why);
        if (err == 0 || (status != 0 && status != CN_ENOENT))
            continue;
        status = err;
        first = why;
    }
    finish(d, status, status == CN_ENOENT ? "there is no such name" : first);
}

static void on_queried(uv_work_t *req, int status) {
    dns *d = req->data;

    (void)status; /* it is only canceled when the source is stopped */
    if (is_answered(d))
        take_answers(d);
}

/* --- rounds -------------------------------------------------------------- */

static void ask(dns *d) {
    cnode__uv *s = cnode__uv_of(d->node);
    int r;

    d->u.request.data = d;
    r = d->query != NULL
            ? uv_queue_work(s->loop, &d->u.work, query_all, on_queried)
            : ask_system(d);
    if (r == 0) {
        d->asking = true;
        s->handles++;
        return;
    }
    fail(d, CN_EHOST, uv_strerror(r));
    cnode__uv_next_round(d->node, &d->timer, d->config.interval_ms);
}

static void on_time(cnode__timer *t) {
    ask(cnode__list_of(dns, timer, t));
}

static void start(cnode_source *s, void *data) {
    dns *d = data;

    d->source = s;
    ask(d);
}

static void stop(cnode_source *s, void *data) {
    dns *d = data;

    (void)s;
    d->source = NULL;
    cnode__timer_drop(&d->node->timers, &d->timer);
    if (d->asking)
        (void)uv_cancel(&d->u.request);
    else
        free_dns(d);
}

/* --- making one ---------------------------------------------------------- */

static bool read_server(const char *text, struct sockaddr_in *out) {
    size_t len = strcspn(text, ":");
    const char *digits = text + len + 1;
    unsigned long port = DNS_PORT;
    char address[INET_ADDRSTRLEN];

    if (text[len] == ':')
        port = strspn(digits, "0123456789") == strlen(digits)
                   ? strtoul(digits, NULL, 10)
                   : 0;
    if (len >= sizeof address)
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    return port > 0 && port <= UINT16_MAX &&
           uv_ip4_addr(address, (int)port, out) == 0;
}

static int set_names(dns *d, const cnode_dns_source *c) {
    cnode *n = d->node;
    const char *host;

    if (c->name == NULL || c->name[0] == '\0' ||
        strlen(c->name) > CNODE__DNS_NAME)
        return cnode__err(n, CN_EBADARG, "what is the name to ask DNS for?");
    memcpy(d->name, c->name, strlen(c->name) + 1);
    if (c->basename == NULL)
        return cnode__uv_own_name(n, d->basename, &host);
    if (c->basename[0] == '\0' || strchr(c->basename, '@') != NULL ||
        strlen(c->basename) > CNODE__NAME_MAX)
        return cnode__err(n, CN_EBADARG,
                          "'%.100s' cannot stand in front of an @",
                          c->basename);
    memcpy(d->basename, c->basename, strlen(c->basename) + 1);
    return 0;
}

static int set_queries(dns *d) {
    static const cnode__dns_type types[] = {CNODE__DNS_A, CNODE__DNS_AAAA};
    const cnode_dns_source *c = &d->config;
    size_t first = c->family == 6, last = c->family == 4;

    if (!c->srv && !d->has_server)
        return 0;
    d->queries = c->srv ? 1 : 2 - first - last;
    d->query = cn__calloc(&d->node->alloc, d->queries, sizeof *d->query);
    if (d->query == NULL)
        return cnode__err(d->node, CN_ENOMEM, "out of memory");
    for (size_t i = 0; i < d->queries; i++)
        d->query[i].type = c->srv ? CNODE__DNS_SRV : types[first + i];
    return 0;
}

static int set_up(dns *d, const cnode_dns_source *c) {
    cnode *n = d->node;
    int err = set_names(d, c);

    if (err != 0)
        return err;
    if (c->family != 0 && c->family != 4 && c->family != 6)
        return cnode__err(n, CN_EBADARG, "the family is 0, 4 or 6");
    d->has_server = c->server != NULL;
    if (d->has_server && !read_server(c->server, &d->server))
        return cnode__err(n, CN_EBADARG,
                          "'%.100s' is no DNS server; it looks like "
                          "10.0.0.10:53",
                          c->server);
    return set_queries(d);
}

static int new_dns(cnode *n, const cnode_dns_source *c, dns **out) {
    dns *d = cn__calloc(&n->alloc, 1, sizeof *d);
    int err;

    if (d == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    d->node = n;
    d->config = *c;
    d->config.name = d->config.basename = d->config.server = NULL;
    err = cnode__timer_make(&n->timers, &d->timer, on_time);
    if (err != 0) {
        cn__free(&n->alloc, d, 1, sizeof *d);
        return cnode__err(n, err, "out of memory");
    }
    err = set_up(d, c);
    if (err != 0)
        free_dns(d);
    *out = d;
    return err;
}

int cnode_discover_dns_sized(cnode *n, const cnode_dns_source *config,
                             size_t size, cnode_source **out) {
    cnode_source_config source = {.start = start, .stop = stop};
    cnode_dns_source c;
    dns *d;
    int err;

    cnode__copy_sized(&c, sizeof c, config, size);
    err = new_dns(n, &c, &d);
    if (err != 0)
        return err;
    source.name = c.srv ? "srv" : "dns";
    source.data = d;
    source.max_nodes = c.max_nodes;
    err = cnode_source_add(n, &source, out);
    if (err != 0)
        free_dns(d);
    return err;
}
