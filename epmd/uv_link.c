/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_link.c: resolve, connect, exchange.
 *
 * Happy path: start makes the client and finds the addresses (at once for
 * loopback and literals, else by uv_getaddrinfo); connect_next; on_connected
 * writes the request; on_read feeds the client; pump hands its events out.
 *
 * Failures: while connecting, the socket is closed and the next address
 * tried, each with its share of the time that is left. Anything else goes to
 * end(), which closes the socket and then calls on_end. Because on_end waits
 * for the close callback, the link is ready to be started again in it. The
 * one exception is a name that resolves too slowly: libuv cannot interrupt
 * that, so its request is left to itself, and only closing waits for it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "epmd/uv_link.h"

struct epmd__resolve {
    uv_getaddrinfo_t req;
    epmd__link *link;
};

static void connect_next(epmd__link *l);

/* --- small things --------------------------------------------------------- */

void epmd__ignore_sigpipe(void) {
    struct sigaction now;

    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        (void)signal(SIGPIPE, SIG_IGN);
}

uint16_t epmd_default_port(void) {
    const char *text = getenv("ERL_EPMD_PORT");
    char *end = NULL;
    long port = text != NULL ? strtol(text, &end, 10) : 0;

    if (text == NULL || *end != '\0' || port < 1 || port > UINT16_MAX)
        return EPMD_PORT;
    return (uint16_t)port;
}

int epmd__check_name(const char *name) {
    epmd_view v;

    if (name == NULL)
        return CN_EBADARG;
    v = (epmd_view){(const uint8_t *)name, strlen(name)};
    if (v.len > EPMD_NAME_MAX)
        return CN_ELIMIT;
    return epmd_name_ok(v) && strchr(name, '@') == NULL ? 0 : CN_EBADARG;
}

const struct sockaddr_storage *epmd__link_peer(const epmd__link *l) {
    return &l->addrs[l->at < l->n_addrs ? l->at : l->n_addrs - 1];
}

/* "shop:4369", for texts: the host as it was given, else the address. */
static const char *where(const epmd__link *l, char *out, size_t cap) {
    char ip[INET6_ADDRSTRLEN] = "?";
    const struct sockaddr_storage *peer = epmd__link_peer(l);
    const char *host = l->host;

    if (host == NULL) {
        (void)uv_ip_name((const struct sockaddr *)peer, ip, sizeof ip);
        host = ip;
    }
    (void)snprintf(out, cap,
                   strchr(host, ':') != NULL ? "[%.150s]:%u" : "%.150s:%u",
                   host, (unsigned)l->port);
    return out;
}

#define WHERE(l) where((l), (char[200]){0}, 200)

int epmd__link_init(epmd__link *l, uv_loop_t *loop, const epmd_config *c,
                    const epmd__link_ops *ops) {
    epmd__ignore_sigpipe();
    l->loop = loop;
    l->allocator = *cn__alloc(c->alloc);
    l->alloc = &l->allocator;
    l->ops = ops;
    l->log = c->log;
    l->port = c->port != 0 ? c->port : epmd_default_port();
    l->timeout_ms = c->timeout_ms;
    if (c->host != NULL && (l->host = cn__strdup(l->alloc, c->host)) == NULL)
        return CN_ENOMEM;
    return 0;
}

void epmd__link_free(epmd__link *l) {
    epmd_client_free(l->client);
    cn__strfree(l->alloc, l->host);
    l->client = NULL;
    l->host = NULL;
}

/* --- the end of an attempt, and of the link ------------------------------- */

static void let_go(epmd__link *l) {
    l->held--;
    if (l->state == EPMD__CLOSING && l->held == 0)
        l->ops->on_closed(l);
}

/* Its answer will find nobody. */
static void abandon_resolve(epmd__link *l) {
    if (l->resolve != NULL)
        (void)uv_cancel((uv_req_t *)&l->resolve->req);
    l->resolve = NULL;
}

static void report(epmd__link *l) {
    l->state = EPMD__IDLE;
    l->ops->on_end(l, &l->err);
}

static void on_tcp_closed(uv_handle_t *h) {
    epmd__link *l = h->data;

    l->has_tcp = false;
    if (l->state == EPMD__CONNECTING) {
        l->at++;
        connect_next(l);
    } else if (l->state == EPMD__ENDING) {
        report(l);
    }
    let_go(l);
}

static void close_tcp(epmd__link *l) {
    if (!uv_is_closing((uv_handle_t *)&l->tcp))
        uv_close((uv_handle_t *)&l->tcp, on_tcp_closed);
}

/* l->err says why. */
static void end(epmd__link *l) {
    l->state = EPMD__ENDING;
    (void)uv_timer_stop(&l->timer);
    abandon_resolve(l);
    if (l->has_tcp)
        close_tcp(l);
    else
        report(l);
}

static void on_timer_closed(uv_handle_t *h) {
    let_go(h->data);
}

void epmd__link_close(epmd__link *l) {
    if (l->state == EPMD__CLOSING)
        return;
    l->state = EPMD__CLOSING;
    abandon_resolve(l);
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
    if (l->has_tcp)
        close_tcp(l);
}

/* --- talking -------------------------------------------------------------- */

static void arm_timer(epmd__link *l, uv_timer_cb cb) {
    uint64_t deadline = epmd_client_deadline(l->client), now = uv_now(l->loop);

    if (deadline == UINT64_MAX)
        (void)uv_timer_stop(&l->timer);
    else
        (void)uv_timer_start(&l->timer, cb, deadline > now ? deadline - now : 0,
                             0);
}

static void on_talk_timer(uv_timer_t *t);

/* Hands out what the client has, as long as nobody closed the link. */
static void pump(epmd__link *l) {
    epmd_event ev;
    int got = 0;

    while (l->state == EPMD__TALKING &&
           (got = epmd_client_next(l->client, &ev)) == 1)
        l->ops->on_event(l, &ev);
    if (l->state != EPMD__TALKING)
        return;
    arm_timer(l, on_talk_timer);
    if (got < 0) {
        l->err = *epmd_client_error(l->client);
        cn__wrap(&l->err, "EPMD at %s", WHERE(l));
        end(l);
    }
}

static void on_talk_timer(uv_timer_t *t) {
    epmd__link *l = t->data;

    (void)epmd_client_timeout(l->client, uv_now(l->loop));
    pump(l);
}

static void broke(epmd__link *l, int status) {
    cn__fail(&l->err, CN_EEPMD, -status,
             "the connection to EPMD at %s broke: %s", WHERE(l),
             uv_strerror(status));
    end(l);
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf) {
    epmd__link *l = h->data;

    (void)hint;
    *buf = uv_buf_init(l->in, sizeof l->in);
}

/* libuv calls a reset that comes along with data an end; a list of names that
 * was cut that way must not pass for a whole one. */
static ssize_t true_end(const epmd__link *l) {
    int error = 0;
    socklen_t size = sizeof error;
    uv_os_fd_t fd;

    if (uv_fileno((const uv_handle_t *)&l->tcp, &fd) == 0)
        (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error != 0 ? uv_translate_sys_error(error) : UV_EOF;
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf) {
    epmd__link *l = s->data;

    if (l->state != EPMD__TALKING || n == 0)
        return;
    if (n == UV_EOF)
        n = true_end(l);
    if (n < 0 && n != UV_EOF) {
        broke(l, (int)n);
        return;
    }
    if (n == UV_EOF)
        (void)epmd_client_eof(l->client);
    else
        (void)epmd_client_feed(l->client, (const uint8_t *)buf->base, (size_t)n,
                               uv_now(l->loop));
    pump(l);
}

static void on_written(uv_write_t *w, int status) {
    epmd__link *l = w->data;
    const uint8_t *p;

    if (l->state != EPMD__TALKING)
        return;
    if (status < 0)
        broke(l, status);
    else
        epmd_client_wrote(l->client, epmd_client_output(l->client, &p));
}

static void talk(epmd__link *l) {
    const uint8_t *p;
    size_t n = epmd_client_output(l->client, &p);
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)p, (unsigned)n);
    int err;

    l->state = EPMD__TALKING;
    l->err = (cn_error){0};
    l->write.data = l;
    err = uv_write(&l->write, (uv_stream_t *)&l->tcp, &buf, 1, on_written);
    if (err == 0)
        err = uv_read_start((uv_stream_t *)&l->tcp, on_alloc, on_read);
    if (err != 0)
        broke(l, err);
    else
        arm_timer(l, on_talk_timer);
}

/* --- connecting ----------------------------------------------------------- */

/* The first failure is kept: after "refused" on 127.0.0.1, that there is no
 * IPv6 says nothing. */
static void connect_failed(epmd__link *l, int status) {
    int code = status == UV_ETIMEDOUT ? CN_ETIMEDOUT : CN_EEPMD;

    cn__log(&l->log, CN_LOG_DEBUG, "epmd", "connecting to %s: %s", WHERE(l),
            uv_strerror(status));
    if (l->err.code == 0)
        cn__fail(&l->err, code, -status, "cannot connect to EPMD at %s: %s",
                 WHERE(l), uv_strerror(status));
    close_tcp(l);
}

static void on_connect_timer(uv_timer_t *t) {
    connect_failed(t->data, UV_ETIMEDOUT);
}

static void on_connected(uv_connect_t *c, int status) {
    epmd__link *l = c->data;

    if (l->state != EPMD__CONNECTING || uv_is_closing((uv_handle_t *)&l->tcp))
        return;
    (void)uv_timer_stop(&l->timer);
    if (status < 0)
        connect_failed(l, status);
    else
        talk(l);
}

/* An address that swallows packets must leave time for the others. */
static void arm_connect_timer(epmd__link *l) {
    uint64_t deadline = epmd_client_deadline(l->client), now = uv_now(l->loop);
    uint64_t left = deadline > now ? deadline - now : 0;

    (void)uv_timer_start(&l->timer, on_connect_timer,
                         left / (l->n_addrs - l->at), 0);
}

static void connect_next(epmd__link *l) {
    int err;

    l->state = EPMD__CONNECTING;
    if (l->at == l->n_addrs) {
        end(l);
        return;
    }
    (void)uv_tcp_init(l->loop, &l->tcp);
    l->tcp.data = l;
    l->connect.data = l;
    l->has_tcp = true;
    l->held++;
    err =
        uv_tcp_connect(&l->connect, &l->tcp,
                       (const struct sockaddr *)&l->addrs[l->at], on_connected);
    if (err != 0)
        connect_failed(l, err);
    else
        arm_connect_timer(l);
}

/* --- finding the addresses ------------------------------------------------ */

static void add_literal(epmd__link *l, const char *text) {
    struct sockaddr_storage *a = &l->addrs[l->n_addrs];

    memset(a, 0, sizeof *a);
    if (uv_ip4_addr(text, l->port, (struct sockaddr_in *)a) == 0 ||
        uv_ip6_addr(text, l->port, (struct sockaddr_in6 *)a) == 0)
        l->n_addrs++;
}

static void add_family(epmd__link *l, const struct addrinfo *found,
                       int family) {
    for (; found != NULL && l->n_addrs < EPMD__ADDRS; found = found->ai_next) {
        struct sockaddr_storage *a = &l->addrs[l->n_addrs];
        if (found->ai_family != family || found->ai_addrlen > sizeof *a)
            continue;
        memset(a, 0, sizeof *a);
        memcpy(a, found->ai_addr, found->ai_addrlen);
        if (family == AF_INET)
            ((struct sockaddr_in *)a)->sin_port = htons(l->port);
        else
            ((struct sockaddr_in6 *)a)->sin6_port = htons(l->port);
        l->n_addrs++;
    }
}

static void unresolved(epmd__link *l, int status) {
    int code =
        status == UV_EAI_MEMORY || status == UV_ENOMEM ? CN_ENOMEM : CN_EHOST;

    cn__fail(&l->err, code, 0, "host %.150s cannot be resolved: %s", l->host,
             uv_strerror(status));
    end(l);
}

static void resolved(epmd__link *l, int status, const struct addrinfo *found) {
    l->resolve = NULL;
    (void)uv_timer_stop(&l->timer);
    add_family(l, found, AF_INET);
    add_family(l, found, AF_INET6);
    if (status != 0 || l->n_addrs == 0)
        unresolved(l, status != 0 ? status : UV_EAI_NODATA);
    else
        connect_next(l);
}

static void on_resolved(uv_getaddrinfo_t *req, int status,
                        struct addrinfo *found) {
    epmd__resolve *r = req->data;
    epmd__link *l = r->link;
    bool awaited = l->resolve == r;

    cn__free(l->alloc, r, 1, sizeof *r);
    if (awaited)
        resolved(l, status, found);
    uv_freeaddrinfo(found);
    let_go(l);
}

static int start_resolve(epmd__link *l) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    epmd__resolve *r = cn__calloc(l->alloc, 1, sizeof *r);
    int err;

    if (r == NULL)
        return CN_ENOMEM;
    r->link = l;
    r->req.data = r;
    err = uv_getaddrinfo(l->loop, &r->req, on_resolved, l->host, NULL, &hints);
    if (err != 0) {
        cn__free(l->alloc, r, 1, sizeof *r);
        return err == UV_ENOMEM ? CN_ENOMEM : CN_EHOST;
    }
    l->resolve = r;
    l->held++;
    return 0;
}

/* Either there are addresses then, or a resolve is under way. */
static int find_addresses(epmd__link *l) {
    l->at = l->n_addrs = 0;
    if (l->host == NULL) {
        add_literal(l, "127.0.0.1");
        add_literal(l, "::1");
        return 0;
    }
    add_literal(l, l->host);
    return l->n_addrs > 0 ? 0 : start_resolve(l);
}

/* --- start ---------------------------------------------------------------- */

static void on_resolve_timer(uv_timer_t *t) {
    epmd__link *l = t->data;

    cn__fail(&l->err, CN_ETIMEDOUT, 0, "host %.150s was not resolved in time",
             l->host);
    end(l);
}

static int new_client(epmd__link *l, const epmd_req *request) {
    epmd_client_config config = {.timeout_ms = l->timeout_ms,
                                 .alloc = l->alloc};

    uv_update_time(l->loop);
    epmd_client_free(l->client);
    l->client = NULL;
    return epmd_client_new(&l->client, request, &config, uv_now(l->loop));
}

static void init_timer(epmd__link *l) {
    if (l->has_timer)
        return;
    (void)uv_timer_init(l->loop, &l->timer);
    l->timer.data = l;
    l->has_timer = true;
    l->held++;
}

/* All that can fail comes before anything libuv would have to close. */
int epmd__link_start(epmd__link *l, const epmd_req *request) {
    int err = new_client(l, request);

    if (err == 0)
        err = find_addresses(l);
    if (err != 0)
        return err;
    l->err = (cn_error){0};
    init_timer(l);
    if (l->resolve == NULL) {
        connect_next(l);
    } else {
        l->state = EPMD__RESOLVING;
        arm_timer(l, on_resolve_timer);
    }
    return 0;
}

static void on_sleep_timer(uv_timer_t *t) {
    epmd__link *l = t->data;

    l->ops->on_wake(l);
}

void epmd__link_sleep(epmd__link *l, uint64_t ms) {
    if (l->state == EPMD__IDLE)
        (void)uv_timer_start(&l->timer, on_sleep_timer, ms, 0);
}
