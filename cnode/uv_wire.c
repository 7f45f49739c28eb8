/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_wire.c: the sockets of a node's wires.
 *
 * Dialling: EPMD lookup (or a given address) -> connect -> cnode__wire_open.
 *
 * A cnode__socket is the memory behind a socket. It outlives its wire: it takes
 * over the connection, writes what that still has to say, lets the peer read
 * it in peace (shutdown, then what comes is thrown away until the peer closes),
 * and goes with libuv's last callback. LINGER_MS bounds all of that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cnode/uv_shell.h"

enum { LINGER_MS = 3000 };

/* --- links --------------------------------------------------------------- */

static cnode__socket *new_link(cnode__uv *s, cnode__wire *w) {
    cnode__socket *l = cn__calloc(&s->node.alloc, 1, sizeof *l);

    if (l == NULL)
        return NULL;
    l->shell = s;
    l->wire = w;
    l->holds = 1;
    s->handles++;
    return l;
}

/* A callback that was waited for has come. */
static void let_go(cnode__socket *l) {
    if (--l->holds > 0)
        return;
    l->shell->handles--;
    cnode_conn_free(l->conn);
    cn__free(&l->shell->node.alloc, l, 1, sizeof *l);
}

static void on_link_closed(uv_handle_t *h) {
    let_go(h->data);
}

/* Closes what is open; the memory goes with the last callback. */
static void close_link(cnode__socket *l) {
    if (l->closing)
        return;
    l->closing = true;
    if (l->lingers) {
        l->holds++;
        uv_close((uv_handle_t *)&l->linger, on_link_closed);
    }
    if (l->opened) {
        l->holds++;
        uv_close(&l->u.handle, on_link_closed);
    }
    let_go(l);
}

static void fail_link(cnode__socket *l, int code, int uv_err,
                      const char *what) {
    char text[CN_ERROR_TEXT];

    if (l->wire == NULL)
        return;
    (void)snprintf(text, sizeof text, "%s: %s", what, uv_strerror(uv_err));
    cnode__wire_fail(l->wire, code, -uv_err, text);
}

static void give_up(cnode__socket *l) {
    size_t left = cnode_conn_queued(l->conn);

    if (left > 0)
        cn__log(&l->shell->node.config.log, CN_LOG_WARN, "node",
                "%s: the connection closed with %zu bytes unsent",
                cnode_conn_peer(l->conn), left);
    close_link(l);
}

/* The socket is of no more use, for a reason of libuv's. */
static void end_link(cnode__socket *l, int uv_err, const char *what) {
    l->ended = true;
    if (l->wire == NULL)
        give_up(l);
    else if (uv_err == UV_EOF || uv_err == UV_ECONNRESET || uv_err == UV_EPIPE)
        cnode__wire_eof(l->wire);
    else
        fail_link(l, CN_EIO, uv_err, what);
}

/* --- reading and writing ------------------------------------------------- */

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf) {
    cnode__socket *l = h->data;

    (void)size;
    /* One chunk for all: what is read is fed before the next read. */
    *buf = uv_buf_init((char *)l->shell->chunk, CNODE__READ_CHUNK);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    cnode__socket *l = stream->data;

    if (n > 0 && l->wire != NULL)
        cnode__wire_read(l->wire, (const uint8_t *)buf->base, (size_t)n);
    if (n >= 0)
        return;
    (void)uv_read_stop(stream);
    end_link(l, (int)n, "reading");
}

static void write_more(cnode__socket *l);

static cnode_conn *conn_of(const cnode__socket *l) {
    return l->wire != NULL ? l->wire->conn : l->conn;
}

static void on_written(uv_write_t *req, int status) {
    cnode__socket *l = req->data;
    bool closing = l->closing;
    size_t n;

    l->writing = false;
    let_go(l);
    if (closing)
        return;
    if (status != 0) {
        end_link(l, status, "writing");
        return;
    }
    /* All of what was lent, for nothing was written besides. */
    (void)cnode_conn_output(conn_of(l), &n);
    cnode_conn_wrote(conn_of(l), n > INT32_MAX ? INT32_MAX : n);
    write_more(l);
}

static uv_buf_t lent_output(cnode_conn *c) {
    union {
        const uint8_t *c;
        char *p;
    } u;
    size_t n;

    u.c = cnode_conn_output(c, &n);
    return uv_buf_init(u.p, (unsigned)(n > INT32_MAX ? INT32_MAX : n));
}

static void write_later(cnode__socket *l, uv_buf_t buf) {
    int r;

    l->write.data = l;
    r = uv_write(&l->write, &l->u.stream, &buf, 1, on_written);
    if (r != 0) {
        end_link(l, r, "writing");
        return;
    }
    l->writing = true;
    l->holds++;
}

static void shut_down(cnode__socket *l);

static void write_more(cnode__socket *l) {
    cnode_conn *c = conn_of(l);
    uv_buf_t buf;
    int r;

    if (c == NULL || !l->connected || l->writing || l->ended || l->closing)
        return;
    while ((buf = lent_output(c)).len > 0) {
        r = uv_try_write(&l->u.stream, &buf, 1);
        if (r > 0) {
            cnode_conn_wrote(c, (size_t)r);
        } else if (r == 0 || r == UV_EAGAIN) {
            write_later(l, buf);
            return;
        } else {
            end_link(l, r, "writing");
            return;
        }
    }
    if (l->wire == NULL)
        shut_down(l);
}

void cnode__uv_flush(void *ctx, cnode__wire *w) {
    cnode__socket *l = w->handle;

    (void)ctx;
    if (l != NULL)
        write_more(l);
}

/* --- the end of a wire --------------------------------------------------- */

static void on_linger(uv_timer_t *t) {
    give_up(t->data);
}

static void on_shut_down(uv_shutdown_t *req, int status) {
    cnode__socket *l = req->data;

    if (status != 0)
        close_link(l);
    let_go(l);
}

/* All is written: tell the peer so, and wait until it closes too. Closing at
 * once would reset the connection if the peer had sent something that was not
 * read here, and take back what is still on the way to it. */
static void shut_down(cnode__socket *l) {
    l->shutdown.data = l;
    if (uv_shutdown(&l->shutdown, &l->u.stream, on_shut_down) != 0)
        close_link(l);
    else
        l->holds++;
}

static void linger(cnode__socket *l) {
    if (uv_timer_init(l->shell->loop, &l->linger) != 0) {
        close_link(l);
        return;
    }
    l->linger.data = l;
    l->lingers = true;
    (void)uv_timer_start(&l->linger, on_linger, LINGER_MS, 0);
    write_more(l);
}

void cnode__uv_close(void *ctx, cnode__wire *w) {
    cnode__socket *l = w->handle;

    (void)ctx;
    if (l == NULL)
        return;
    w->handle = NULL;
    l->wire = NULL;
    l->conn = w->conn;
    w->conn = NULL;
    if (l->lookup != NULL)
        epmd_cancel(l->lookup);
    l->lookup = NULL;
    if (l->resolving)
        (void)uv_cancel((uv_req_t *)&l->resolve);
    if (l->connected && !l->ended &&
        (cnode_conn_up(l->conn) || cnode_conn_queued(l->conn) > 0))
        linger(l);
    else
        close_link(l);
}

/* --- dialling ------------------------------------------------------------ */

static int status_of_connect(int uv_err) {
    switch (uv_err) {
    case UV_ETIMEDOUT:
        return CN_ETIMEDOUT;
    case UV_EHOSTUNREACH:
    case UV_ENETUNREACH:
        return CN_EHOST;
    default:
        return CN_EREFUSED;
    }
}

static void start_wire(cnode__socket *l) {
    int r;

    if (l->u.handle.type == UV_TCP)
        (void)uv_tcp_nodelay(&l->u.tcp, 1);
    if (cnode__wire_open(l->wire) != 0)
        return;
    l->connected = true;
    r = uv_read_start(&l->u.stream, on_alloc, on_read);
    if (r != 0)
        end_link(l, r, "reading");
}

static void on_connect(uv_connect_t *req, int status) {
    cnode__socket *l = req->data;
    cnode__wire *w = l->wire;

    let_go(l);
    if (w == NULL)
        return;
    if (status != 0)
        fail_link(l, status_of_connect(status), status, "connecting");
    else
        start_wire(l);
}

static void connect_to(cnode__socket *l, const struct sockaddr *addr) {
    int r = uv_tcp_init(l->shell->loop, &l->u.tcp);

    if (r == 0) {
        l->opened = true;
        l->u.handle.data = l;
        l->connect.data = l;
        r = uv_tcp_connect(&l->connect, &l->u.tcp, addr, on_connect);
    }
    if (r != 0)
        fail_link(l, status_of_connect(r), r, "connecting");
    else
        l->holds++;
}

static void connect_pipe(cnode__socket *l, const char *path) {
    int r = uv_pipe_init(l->shell->loop, &l->u.pipe, 0);

    if (r != 0) {
        fail_link(l, CN_EIO, r, "connecting");
        return;
    }
    l->opened = true;
    l->u.handle.data = l;
    l->connect.data = l;
    l->holds++;
    uv_pipe_connect(&l->connect, &l->u.pipe, path, on_connect);
}

static void on_lookup(void *data, int status, const cn_error *err,
                      const epmd_port2 *reply, const struct sockaddr *addr) {
    cnode__socket *l = data;

    (void)reply;
    l->lookup = NULL;
    if (l->wire == NULL)
        return;
    if (status != 0)
        cnode__wire_fail(l->wire, status, err->os_error, err->text);
    else
        connect_to(l, addr);
}

static void use_resolved(cnode__socket *l, struct addrinfo *res) {
    if (res->ai_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)res->ai_addr)->sin6_port =
            htons(l->port);
    else
        ((struct sockaddr_in *)(void *)res->ai_addr)->sin_port = htons(l->port);
    connect_to(l, res->ai_addr);
}

static void on_resolved(uv_getaddrinfo_t *req, int status,
                        struct addrinfo *res) {
    cnode__socket *l = req->data;
    cnode__wire *w = l->wire;

    l->resolving = false;
    if (w != NULL && (status != 0 || res == NULL))
        fail_link(l, CN_EHOST, status, "resolving the host name");
    else if (w != NULL)
        use_resolved(l, res);
    let_go(l);
    uv_freeaddrinfo(res);
}

static int resolve(cnode__socket *l, const char *host, uint16_t port) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int r;

    l->port = port;
    l->resolve.data = l;
    r = uv_getaddrinfo(l->shell->loop, &l->resolve, on_resolved, host, NULL,
                       &hints);
    if (r != 0)
        return r == UV_ENOMEM ? CN_ENOMEM : CN_EHOST;
    l->resolving = true;
    l->holds++;
    return 0;
}

/* "host:port", "[v6]:port" */
static bool split_address(const char *text, char *host, size_t cap,
                          uint16_t *port) {
    const char *colon = strrchr(text, ':');
    size_t n = colon == NULL ? 0 : (size_t)(colon - text);
    unsigned long p;
    char *end;

    if (n > 1 && text[0] == '[' && text[n - 1] == ']')
        text++, n -= 2;
    else if (n > 0 && (text[0] == '[' || memchr(text, ':', n) != NULL))
        return false;
    if (n == 0 || n >= cap)
        return false;
    p = strtoul(colon + 1, &end, 10);
    if (end == colon + 1 || *end != '\0' || p == 0 || p > 65535)
        return false;
    memcpy(host, text, n);
    host[n] = '\0';
    *port = (uint16_t)p;
    return true;
}

static int dial_address(cnode__socket *l, const char *address) {
    char host[256];
    uint16_t port;

    if (strncmp(address, "unix:", 5) == 0 && address[5] != '\0') {
        connect_pipe(l, address + 5);
        return 0;
    }
    if (!split_address(address, host, sizeof host, &port))
        return CN_EBADARG;
    return resolve(l, host, port);
}

static int dial_epmd(cnode__socket *l, const char *name) {
    cnode *n = &l->shell->node;
    const char *at = strchr(name, '@');
    char alive[CNODE__NAME_MAX + 1];
    epmd_config c = {.host = at + 1,
                     .port = n->config.epmd_port,
                     .timeout_ms = n->config.setup_ms,
                     .alloc = &n->alloc,
                     .log = n->config.log};

    memcpy(alive, name, (size_t)(at - name));
    alive[at - name] = '\0';
    return epmd_lookup(&l->lookup, l->shell->loop, &c, alive, on_lookup, l);
}

int cnode__uv_dial(void *ctx, cnode__wire *w) {
    cnode__socket *l = new_link(ctx, w);

    if (l == NULL)
        return CN_ENOMEM;
    w->handle = l;
    return w->peer->address != NULL ? dial_address(l, w->peer->address)
                                    : dial_epmd(l, w->peer->name);
}

/* --- accepting ----------------------------------------------------------- */

static cnode__socket *accepted_link(cnode__uv *s) {
    cnode__wire *w = cnode__wire_new(&s->node, NULL);
    cnode__socket *l = w == NULL ? NULL : new_link(s, w);

    if (w != NULL && l == NULL)
        cnode__wire_fail(w, CN_ENOMEM, 0, "out of memory");
    if (l == NULL)
        return NULL;
    w->handle = l;
    if (uv_tcp_init(s->loop, &l->u.tcp) != 0) {
        cnode__wire_fail(w, CN_ENOMEM, 0, "out of memory");
        return NULL;
    }
    l->opened = true;
    l->u.handle.data = l;
    return l;
}

/* Without a descriptor libuv closes what comes and tells nobody. So the last
 * one is left free: what has got it is closed here, and the log says why. */
static bool has_last_descriptor(const cnode__socket *l) {
    struct rlimit limit;
    uv_os_fd_t fd;

    return uv_fileno(&l->u.handle, &fd) == 0 &&
           getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
           (rlim_t)fd + 1 >= limit.rlim_cur;
}

static void refuse_last(cnode__socket *l) {
    cnode__uv *s = l->shell;

    if (cnode__seldom(&s->node, &s->quiet))
        cn__log(&s->node.config.log, CN_LOG_ERROR, "node",
                "no descriptors for a connection, closed it");
    cnode__wire_fail(l->wire, CN_ECANCELED, 0, "no descriptors");
}

bool cnode__uv_accept(cnode__uv *s) {
    cnode__socket *l = accepted_link(s);
    int r;

    if (l == NULL)
        return false;
    r = uv_accept((uv_stream_t *)&s->listener, &l->u.stream);
    if (r != 0)
        fail_link(l, CN_EIO, r, "accepting");
    else if (has_last_descriptor(l))
        refuse_last(l);
    else
        start_wire(l);
    return true;
}
