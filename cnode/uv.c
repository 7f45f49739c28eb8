/* SPDX-License-Identifier: Apache-2.0
 *
 * uv.c: the shell of a node on libuv: sockets, the clock, and threads.
 *
 * In each turn of the loop: callbacks feed what happened to the node; then,
 * before the loop waits (uv_prepare), the pump runs what came of it, output is
 * written and the one timer is set. An idle handle keeps the loop from waiting
 * while the pump has more to do.
 *
 * Dialling: EPMD lookup (or a given address) -> connect -> cnode__wire_open.
 * A link is the memory behind a socket. It outlives its wire: it takes over the
 * connection, writes what that still has to say, lets the peer read it in
 * peace (shutdown, then what comes is thrown away until the peer closes), and
 * goes with libuv's last callback. LINGER_MS bounds all of that.
 *
 * Other threads put signals and functions into `inbox` under a mutex and wake
 * the loop, which takes all of them at once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/bytes.h"
#include "cnode/node.h"
#include "epmd/epmd.h"
#include "epmd/uv_link.h"

enum { READ_CHUNK = 64 * 1024, BACKLOG = 512, LINGER_MS = 3000 };

typedef struct uv_shell uv_shell;

/* The socket of a wire. */
typedef struct uv_link {
    uv_shell *shell;
    cnode__wire *wire; /* NULL: it has let go */
    cnode_conn *conn;  /* taken over from it */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u;
    uv_timer_t linger;
    uv_write_t write;
    uv_shutdown_t shutdown;
    uv_connect_t connect;
    uv_getaddrinfo_t resolve;
    epmd_request *lookup;
    uint16_t port;
    bool opened;    /* the handle was initialised */
    bool connected; /* it reads and writes */
    bool resolving;
    bool writing;
    bool ended; /* the peer has closed, or it is broken */
    bool lingers;
    bool closing;
    int holds; /* callbacks of libuv that still come, and one until closing */
} uv_link;

/* Something from another thread. */
typedef struct uv_letter {
    struct uv_letter *next;
    void (*fn)(cnode *n, void *arg);
    void *arg;
    size_t len;
    uint8_t frame[];
    /* the node name stands behind the frame */
} uv_letter;

struct uv_shell {
    cnode node; /* first: a cnode is one of these */
    uv_loop_t *loop;
    uv_loop_t own_loop;
    bool owns_loop;
    _Atomic uv_thread_t thread; /* whose loop it is; others only read it */
    uv_prepare_t prepare;
    uv_idle_t idle;
    uv_timer_t timer;
    uv_async_t async;
    uv_tcp_t listener;
    bool listening;
    uv_tcp_t refused; /* a connection there is no memory for */
    bool refusing;
    bool unaccepted; /* one more came meanwhile */
    int handles;     /* open ones, of links too */
    uv_mutex_t mutex;
    uv_letter *first;
    uv_letter *last;
    bool closed; /* no more letters */
    bool stop;
    epmd_registration *registration;
    bool registered;
    int registration_status; /* 1: no answer yet */
    cn_error registration_error;
    uint8_t chunk[READ_CHUNK];
};

static uv_shell *shell_of(const cnode *n) {
    union {
        const cnode *c;
        uv_shell *s;
    } u = {n};
    return u.s;
}

/* --- links --------------------------------------------------------------- */

static uv_link *new_link(uv_shell *s, cnode__wire *w) {
    uv_link *l = cn__calloc(&s->node.alloc, 1, sizeof *l);

    if (l == NULL)
        return NULL;
    l->shell = s;
    l->wire = w;
    l->holds = 1;
    s->handles++;
    return l;
}

/* A callback that was waited for has come. */
static void let_go(uv_link *l) {
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
static void close_link(uv_link *l) {
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

static void fail_link(uv_link *l, int code, int uv_err, const char *what) {
    char text[CN_ERROR_TEXT];

    if (l->wire == NULL)
        return;
    (void)snprintf(text, sizeof text, "%s: %s", what, uv_strerror(uv_err));
    cnode__wire_fail(l->wire, code, -uv_err, text);
}

static void give_up(uv_link *l) {
    size_t left = cnode_conn_queued(l->conn);

    if (left > 0)
        cn__log(&l->shell->node.config.log, CN_LOG_WARN, "node",
                "%s: the connection closed with %zu bytes unsent",
                cnode_conn_peer(l->conn), left);
    close_link(l);
}

/* The socket is of no more use, for a reason of libuv's. */
static void end_link(uv_link *l, int uv_err, const char *what) {
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
    uv_link *l = h->data;

    (void)size;
    /* One chunk for all: what is read is fed before the next read. */
    *buf = uv_buf_init((char *)l->shell->chunk, READ_CHUNK);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    uv_link *l = stream->data;

    if (n > 0 && l->wire != NULL)
        cnode__wire_read(l->wire, (const uint8_t *)buf->base, (size_t)n);
    if (n >= 0)
        return;
    (void)uv_read_stop(stream);
    end_link(l, (int)n, "reading");
}

static void write_more(uv_link *l);

static cnode_conn *conn_of(const uv_link *l) {
    return l->wire != NULL ? l->wire->conn : l->conn;
}

static void on_written(uv_write_t *req, int status) {
    uv_link *l = req->data;
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

static void write_later(uv_link *l, uv_buf_t buf) {
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

static void shut_down(uv_link *l);

static void write_more(uv_link *l) {
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

static void shell_flush(void *ctx, cnode__wire *w) {
    uv_link *l = w->handle;

    (void)ctx;
    if (l != NULL)
        write_more(l);
}

/* --- the end of a wire --------------------------------------------------- */

static void on_linger(uv_timer_t *t) {
    give_up(t->data);
}

static void on_shut_down(uv_shutdown_t *req, int status) {
    uv_link *l = req->data;

    if (status != 0)
        close_link(l);
    let_go(l);
}

/* All is written: tell the peer so, and wait until it closes too. Closing at
 * once would reset the connection if the peer had sent something that was not
 * read here, and take back what is still on the way to it. */
static void shut_down(uv_link *l) {
    l->shutdown.data = l;
    if (uv_shutdown(&l->shutdown, &l->u.stream, on_shut_down) != 0)
        close_link(l);
    else
        l->holds++;
}

static void linger(uv_link *l) {
    if (uv_timer_init(l->shell->loop, &l->linger) != 0) {
        close_link(l);
        return;
    }
    l->linger.data = l;
    l->lingers = true;
    (void)uv_timer_start(&l->linger, on_linger, LINGER_MS, 0);
    write_more(l);
}

static void shell_close(void *ctx, cnode__wire *w) {
    uv_link *l = w->handle;

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

static void start_wire(uv_link *l) {
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
    uv_link *l = req->data;
    cnode__wire *w = l->wire;

    let_go(l);
    if (w == NULL)
        return;
    if (status != 0)
        fail_link(l, status_of_connect(status), status, "connecting");
    else
        start_wire(l);
}

static void connect_to(uv_link *l, const struct sockaddr *addr) {
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

static void connect_pipe(uv_link *l, const char *path) {
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
    uv_link *l = data;

    (void)reply;
    l->lookup = NULL;
    if (l->wire == NULL)
        return;
    if (status != 0)
        cnode__wire_fail(l->wire, status, err->os_error, err->text);
    else
        connect_to(l, addr);
}

static void use_resolved(uv_link *l, struct addrinfo *res) {
    if (res->ai_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)res->ai_addr)->sin6_port =
            htons(l->port);
    else
        ((struct sockaddr_in *)(void *)res->ai_addr)->sin_port = htons(l->port);
    connect_to(l, res->ai_addr);
}

static void on_resolved(uv_getaddrinfo_t *req, int status,
                        struct addrinfo *res) {
    uv_link *l = req->data;
    cnode__wire *w = l->wire;

    l->resolving = false;
    if (w != NULL && (status != 0 || res == NULL))
        fail_link(l, CN_EHOST, status, "resolving the host name");
    else if (w != NULL)
        use_resolved(l, res);
    let_go(l);
    uv_freeaddrinfo(res);
}

static int resolve(uv_link *l, const char *host, uint16_t port) {
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

static int dial_address(uv_link *l, const char *address) {
    char host[256];
    uint16_t port;

    if (strncmp(address, "unix:", 5) == 0) {
        connect_pipe(l, address + 5);
        return 0;
    }
    if (!split_address(address, host, sizeof host, &port))
        return CN_EBADARG;
    return resolve(l, host, port);
}

static int dial_epmd(uv_link *l, const char *name) {
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

static int shell_dial(void *ctx, cnode__wire *w) {
    uv_link *l = new_link(ctx, w);

    if (l == NULL)
        return CN_ENOMEM;
    w->handle = l;
    return w->peer->address != NULL ? dial_address(l, w->peer->address)
                                    : dial_epmd(l, w->peer->name);
}

/* --- clock, randomness, threads ------------------------------------------ */

static uint64_t shell_now(void *ctx) {
    const uv_shell *s = ctx;
    return uv_now(s->loop);
}

static void shell_random(void *ctx, void *p, size_t n) {
    (void)ctx;
    /* The system's generator does not fail for a few bytes; a program that
     * cannot have unpredictable challenges must not go on. */
    if (uv_random(NULL, NULL, p, n, 0, NULL) != 0)
        abort();
}

static bool shell_on_loop(void *ctx) {
    uv_shell *s = ctx;
    const uv_thread_t self = uv_thread_self();
    const uv_thread_t owner = s->thread;
    return uv_thread_equal(&self, &owner) != 0;
}

/* The pump comes by itself in each turn; nothing to do. */
static void shell_wake(void *ctx) {
    (void)ctx;
}

static int post(uv_shell *s, uv_letter *letter) {
    bool closed;

    uv_mutex_lock(&s->mutex);
    closed = s->closed;
    if (!closed) {
        if (s->last == NULL)
            s->first = letter;
        else
            s->last->next = letter;
        s->last = letter;
        (void)uv_async_send(&s->async);
    }
    uv_mutex_unlock(&s->mutex);
    return closed ? CN_ECLOSED : 0;
}

static void free_letter(uv_shell *s, uv_letter *l) {
    size_t name = l->fn != NULL ? 0 : strlen((char *)l->frame + l->len) + 1;
    cn__free(&s->node.alloc, l, 1, sizeof *l + l->len + name);
}

static int send_letter(uv_shell *s, uv_letter *l) {
    int err = post(s, l);

    if (err != 0)
        free_letter(s, l);
    return err;
}

static int shell_carry(void *ctx, const char *node, etf_view frame) {
    uv_shell *s = ctx;
    size_t name = strlen(node) + 1;
    uv_letter *l = cn__calloc(&s->node.alloc, 1, sizeof *l + frame.len + name);

    if (l == NULL)
        return CN_ENOMEM;
    l->len = frame.len;
    memcpy(l->frame, frame.data, frame.len);
    memcpy(l->frame + frame.len, node, name);
    return send_letter(s, l);
}

int cnode_post(cnode *n, void (*fn)(cnode *n, void *arg), void *arg) {
    uv_shell *s = shell_of(n);
    uv_letter *l = cn__calloc(&n->alloc, 1, sizeof *l);

    if (l == NULL)
        return CN_ENOMEM;
    l->fn = fn;
    l->arg = arg;
    return send_letter(s, l);
}

void cnode_stop(cnode *n) {
    uv_shell *s = shell_of(n);

    uv_mutex_lock(&s->mutex);
    s->stop = true;
    if (!s->closed)
        (void)uv_async_send(&s->async);
    uv_mutex_unlock(&s->mutex);
}

static bool stopped(uv_shell *s) {
    bool stop;

    uv_mutex_lock(&s->mutex);
    stop = s->stop;
    uv_mutex_unlock(&s->mutex);
    return stop;
}

static uv_letter *take_letters(uv_shell *s) {
    uv_letter *all;

    uv_mutex_lock(&s->mutex);
    all = s->first;
    s->first = s->last = NULL;
    uv_mutex_unlock(&s->mutex);
    return all;
}

static void open_letters(uv_shell *s, bool deliver) {
    uv_letter *l = take_letters(s);

    while (l != NULL) {
        uv_letter *next = l->next;
        if (deliver && l->fn != NULL)
            l->fn(&s->node, l->arg);
        else if (deliver)
            cnode__carried(&s->node, (char *)l->frame + l->len,
                           (etf_view){l->frame, l->len});
        free_letter(s, l);
        l = next;
    }
}

static void on_async(uv_async_t *a) {
    open_letters(a->data, true);
}

static const cnode__shell uv_functions = {
    .dial = shell_dial,
    .flush = shell_flush,
    .close = shell_close,
    .now = shell_now,
    .random = shell_random,
    .on_loop = shell_on_loop,
    .carry = shell_carry,
    .wake = shell_wake,
};

/* --- turns of the loop --------------------------------------------------- */

static void on_idle(uv_idle_t *h) {
    (void)h;
}

static void on_timer(uv_timer_t *t) {
    uv_shell *s = t->data;
    cnode__run_timers(&s->node, uv_now(s->loop));
}

static void set_timer(uv_shell *s) {
    uint64_t at = cnode__deadline(&s->node);
    uint64_t now = uv_now(s->loop);

    if (at == UINT64_MAX)
        (void)uv_timer_stop(&s->timer);
    else
        (void)uv_timer_start(&s->timer, on_timer, at > now ? at - now : 0, 0);
}

static void on_prepare(uv_prepare_t *h) {
    uv_shell *s = h->data;

    s->thread = uv_thread_self();
    if (cnode__pump(&s->node))
        (void)uv_idle_start(&s->idle, on_idle);
    else
        (void)uv_idle_stop(&s->idle);
    set_timer(s);
}

int cnode_run(cnode *n) {
    uv_shell *s = shell_of(n);

    s->thread = uv_thread_self();
    while (!stopped(s))
        (void)uv_run(s->loop, UV_RUN_ONCE);
    s->stop = false;
    return 0;
}

static void wait_for_mail(uv_shell *s, cnode_proc *p, const bool *late) {
    p->receiving = true;
    while (p->first == NULL && !p->ended && !*late && !stopped(s))
        (void)uv_run(s->loop, UV_RUN_ONCE);
    p->receiving = false;
}

typedef struct receive_wait {
    cnode__timer timer;
    bool late;
} receive_wait;

static void on_wait_over(cnode__timer *t) {
    cnode__list_of(receive_wait, timer, t)->late = true;
}

int cnode_receive(cnode_proc *p, uint32_t timeout_ms, cnode_msg *out) {
    uv_shell *s = shell_of(p->node);
    cnode *n = p->node;
    receive_wait wait = {.late = false};
    int err = cnode__timer_make(&n->timers, &wait.timer, on_wait_over);

    if (err != 0)
        return cnode__err(n, err, "out of memory");
    if (p->first == NULL && timeout_ms > 0) {
        uv_update_time(s->loop);
        if (timeout_ms != UINT32_MAX)
            cnode__timer_arm(&n->timers, &wait.timer,
                             uv_now(s->loop) + timeout_ms);
        wait_for_mail(s, p, &wait.late);
    }
    cnode__timer_drop(&n->timers, &wait.timer);
    if (p->ended)
        return cnode__err(n, CN_ENOPROC, "the process has ended");
    if (cnode__take(p, out))
        return 0;
    return stopped(s) ? cnode__err(n, CN_ECANCELED, "the node was stopped")
                      : cnode__err(n, CN_ETIMEDOUT, "no message came");
}

/* --- listening ----------------------------------------------------------- */

static void on_connection(uv_stream_t *server, int status);

static void on_refused(uv_handle_t *h) {
    uv_shell *s = h->data;
    bool again = s->unaccepted;

    s->handles--;
    s->refusing = s->unaccepted = false;
    if (again && !uv_is_closing((uv_handle_t *)&s->listener))
        on_connection((uv_stream_t *)&s->listener, 0);
}

/* Accepts and closes, for libuv listens no more while one is not accepted. */
static void refuse(uv_shell *s) {
    cn__log(&s->node.config.log, CN_LOG_ERROR, "node",
            "no memory for a connection, closed it");
    s->unaccepted = s->refusing;
    if (s->refusing || uv_tcp_init(s->loop, &s->refused) != 0)
        return;
    s->refusing = true;
    s->refused.data = s;
    s->handles++;
    (void)uv_accept((uv_stream_t *)&s->listener, (uv_stream_t *)&s->refused);
    uv_close((uv_handle_t *)&s->refused, on_refused);
}

static uv_link *accepted_link(uv_shell *s) {
    cnode__wire *w = cnode__wire_new(&s->node, NULL);
    uv_link *l = w == NULL ? NULL : new_link(s, w);

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

static void on_connection(uv_stream_t *server, int status) {
    uv_shell *s = server->data;
    uv_link *l;
    int r;

    if (status != 0) {
        cn__log(&s->node.config.log, CN_LOG_ERROR, "node",
                "a connection could not be accepted: %s", uv_strerror(status));
        return;
    }
    l = accepted_link(s);
    if (l == NULL) {
        refuse(s);
        return;
    }
    r = uv_accept(server, &l->u.stream);
    if (r != 0)
        fail_link(l, CN_EIO, r, "accepting");
    else
        start_wire(l);
}

static int bind_to(uv_shell *s, const char *address) {
    struct sockaddr_storage a;
    uint16_t port = s->node.config.port;
    int r = uv_ip4_addr(address, port, (struct sockaddr_in *)(void *)&a);

    if (r != 0)
        r = uv_ip6_addr(address, port, (struct sockaddr_in6 *)(void *)&a);
    if (r == 0)
        r = uv_tcp_bind(&s->listener, (struct sockaddr *)&a, 0);
    return r;
}

static void keep_port(uv_shell *s) {
    struct sockaddr_storage a;
    int len = sizeof a;

    if (uv_tcp_getsockname(&s->listener, (struct sockaddr *)&a, &len) != 0)
        return;
    s->node.port = ntohs(a.ss_family == AF_INET6
                             ? ((struct sockaddr_in6 *)(void *)&a)->sin6_port
                             : ((struct sockaddr_in *)(void *)&a)->sin_port);
}

static int open_listener(uv_shell *s) {
    cnode *n = &s->node;
    const char *address = n->config.address;
    int r = uv_tcp_init(s->loop, &s->listener);

    if (r != 0)
        return cnode__err(n, CN_EIO, "listen: %s", uv_strerror(r));
    s->handles++;
    s->listening = true;
    s->listener.data = s;
    r = bind_to(s, address == NULL ? "0.0.0.0" : address);
    if (r == 0)
        r = uv_listen((uv_stream_t *)&s->listener, BACKLOG, on_connection);
    if (r != 0) {
        (void)cnode__err(n, r == UV_EADDRINUSE ? CN_EREFUSED : CN_EIO,
                         "listen on port %u: %s", (unsigned)n->config.port,
                         uv_strerror(r));
        n->error.os_error = -r;
        return n->error.code;
    }
    keep_port(s);
    return 0;
}

static void on_alive(void *data, int status, const cn_error *err,
                     uint32_t creation) {
    uv_shell *s = data;

    s->registered = status == 0;
    s->registration_status = status;
    s->registration_error = *err;
    if (status == 0)
        cnode__adopt_creation(&s->node, creation);
}

static int register_name(uv_shell *s) {
    cnode *n = &s->node;
    char alive[CNODE__NAME_MAX + 1];
    size_t len = (size_t)(strchr(n->name, '@') - n->name);
    epmd_alive a = {.name = alive,
                    .port = n->port,
                    .hidden = !n->config.visible,
                    .epmd = {.port = n->config.epmd_port,
                             .alloc = &n->alloc,
                             .log = n->config.log}};
    int err;

    memcpy(alive, n->name, len);
    alive[len] = '\0';
    s->registration_status = 1;
    err = epmd_register(&s->registration, s->loop, &a, on_alive, s);
    if (err != 0)
        return cnode__err(n, err, "epmd: %s", cn_strerror(err));
    while (s->registration_status == 1 && !stopped(s))
        (void)uv_run(s->loop, UV_RUN_ONCE);
    if (s->registration_status == 1)
        return cnode__err(n, CN_ECANCELED, "the node was stopped");
    if (s->registration_status != 0)
        n->error = s->registration_error;
    return s->registration_status == CN_EEXIST ? CN_EEXIST : 0;
}

int cnode_listen(cnode *n) {
    uv_shell *s = shell_of(n);
    int err;

    s->thread = uv_thread_self();
    if (!n->named)
        return cnode__err(n, CN_EBADARG, "a node without a name cannot listen");
    if (s->listening)
        return cnode__err(n, CN_EBUG, "it listens already");
    err = open_listener(s);
    if (err != 0 || n->config.no_epmd)
        return err;
    return register_name(s);
}

bool cnode_registered(const cnode *n) {
    return shell_of(n)->registered;
}

/* --- birth and death ----------------------------------------------------- */

static void on_handle_closed(uv_handle_t *h) {
    uv_shell *s = h->data;
    s->handles--;
}

static void close_handle(uv_shell *s, uv_handle_t *h) {
    if (h->data != s || uv_is_closing(h))
        return;
    uv_close(h, on_handle_closed);
}

static void on_registration_closed(void *data) {
    uv_shell *s = data;
    s->handles--;
}

/* data is set last, so that close_handle knows which ones are there. */
static int open_handles(uv_shell *s) {
    if (uv_prepare_init(s->loop, &s->prepare) != 0 ||
        uv_idle_init(s->loop, &s->idle) != 0 ||
        uv_timer_init(s->loop, &s->timer) != 0 ||
        uv_async_init(s->loop, &s->async, on_async) != 0)
        return CN_EIO;
    s->prepare.data = s->idle.data = s->timer.data = s->async.data = s;
    s->handles += 4;
    return uv_prepare_start(&s->prepare, on_prepare) == 0 ? 0 : CN_EIO;
}

static void close_all(uv_shell *s) {
    uv_mutex_lock(&s->mutex);
    s->closed = true;
    uv_mutex_unlock(&s->mutex);
    open_letters(s, false);
    if (s->registration != NULL) {
        s->handles++;
        epmd_registration_close(s->registration, on_registration_closed, s);
        s->registration = NULL;
    }
    if (s->listening)
        close_handle(s, (uv_handle_t *)&s->listener);
    close_handle(s, (uv_handle_t *)&s->prepare);
    close_handle(s, (uv_handle_t *)&s->idle);
    close_handle(s, (uv_handle_t *)&s->timer);
    close_handle(s, (uv_handle_t *)&s->async);
    while (s->handles > 0)
        (void)uv_run(s->loop, UV_RUN_ONCE);
}

static int open_loop(uv_shell *s, const cnode_config *c) {
    if (uv_mutex_init(&s->mutex) != 0)
        return CN_ENOMEM;
    epmd__ignore_sigpipe();
    s->thread = uv_thread_self();
    s->loop = c->loop;
    if (s->loop != NULL)
        return 0;
    s->loop = &s->own_loop;
    s->owns_loop = uv_loop_init(&s->own_loop) == 0;
    return s->owns_loop ? 0 : CN_EIO;
}

static void free_shell(uv_shell *s) {
    const cn_alloc a = s->node.alloc;

    close_all(s);
    if (s->owns_loop) {
        while (uv_loop_close(&s->own_loop) == UV_EBUSY)
            (void)uv_run(&s->own_loop, UV_RUN_ONCE);
    }
    uv_mutex_destroy(&s->mutex);
    cn__free(&a, s, 1, sizeof *s);
}

void cnode_free(cnode *n) {
    uv_shell *s;

    if (n == NULL)
        return;
    s = shell_of(n);
    cnode__destroy(n);
    free_shell(s);
}

int cnode_new_sized(cnode **out, const cnode_config *config, size_t size) {
    cnode_config c = {0};
    uv_shell *s;
    int err;

    *out = NULL;
    memcpy(&c, config, size < sizeof c ? size : sizeof c);
    s = cn__calloc(&c.alloc, 1, sizeof *s);
    if (s == NULL)
        return CN_ENOMEM;
    s->node.alloc = *cn__alloc(&c.alloc);
    err = open_loop(s, &c);
    if (err != 0) {
        cn__free(&c.alloc, s, 1, sizeof *s);
        return err;
    }
    err = open_handles(s);
    if (err == 0)
        err = cnode__init(&s->node, &c, &uv_functions, s);
    if (err == 0) {
        *out = &s->node;
        return 0;
    }
    if (c.error != NULL) {
        *c.error = s->node.error;
        if (c.error->code == 0)
            *c.error = (cn_error){.code = err, .text = "out of memory"};
    }
    cnode_free(&s->node);
    return err;
}
