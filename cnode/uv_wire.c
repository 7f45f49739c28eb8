/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_wire.c: the sockets of a node's wires, once they are there (uv_dial.c).
 *
 * A cnode__socket is the memory behind a socket. It outlives its wire: it takes
 * over the connection, writes what that still has to say, lets the peer read
 * it in peace (shutdown, then what comes is thrown away until the peer closes),
 * and goes with libuv's last callback. LINGER_MS bounds all of that.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cnode/conn_parts.h"
#include "cnode/uv_shell.h"

enum { LINGER_MS = 3000 };

/* --- links --------------------------------------------------------------- */

cnode__socket *cnode__uv_link(cnode__uv *s, cnode__wire *w) {
    cnode__socket *l = cn__calloc(&s->node.alloc, 1, sizeof *l);

    if (l == NULL)
        return NULL;
    l->shell = s;
    l->wire = w;
    l->holds = 1;
    s->handles++;
    return l;
}

cnode__errand *cnode__uv_errand(cnode__socket *l) {
    if (l->errand == NULL)
        l->errand = cn__calloc(&l->shell->node.alloc, 1, sizeof *l->errand);
    return l->errand;
}

void cnode__uv_end_errand(cnode__socket *l) {
    cn__free(&l->shell->node.alloc, l->errand, 1, sizeof *l->errand);
    l->errand = NULL;
}

/* A callback that was waited for has come. */
void cnode__uv_let_go(cnode__socket *l) {
    if (--l->holds > 0)
        return;
    cnode__uv_end_errand(l);
    l->shell->handles--;
    cnode_conn_free(l->conn);
    cn__free(&l->shell->node.alloc, l, 1, sizeof *l);
}

static void on_link_closed(uv_handle_t *h) {
    cnode__uv_let_go(h->data);
}

static void on_linger_closed(uv_handle_t *h) {
    cnode__socket *l = h->data;

    cn__free(&l->shell->node.alloc, l->linger, 1, sizeof *l->linger);
    l->linger = NULL;
    cnode__uv_let_go(l);
}

/* Closes what is open; the memory goes with the last callback. */
void cnode__uv_drop(cnode__socket *l) {
    if (l->closing)
        return;
    l->closing = true;
    if (l->linger != NULL) {
        l->shell->lingering--;
        l->holds++;
        uv_close((uv_handle_t *)l->linger, on_linger_closed);
    }
    if (l->opened) {
        l->holds++;
        uv_close(&l->u.handle, on_link_closed);
    }
    cnode__uv_let_go(l);
}

void cnode__uv_fail(cnode__socket *l, int code, int uv_err, const char *what) {
    char text[CN_ERROR_TEXT];

    if (l->wire == NULL)
        return;
    (void)snprintf(text, sizeof text, "%s: %s", what, uv_strerror(uv_err));
    cnode__wire_fail(l->wire, code, -uv_err, text);
}

static void give_up(cnode__socket *l) {
    size_t left = cnode_conn_queued(l->conn);

    l->shell->node.unsent += left;
    if (left > 0)
        cn__log(&l->shell->node.config.log, CN_LOG_WARN, "node",
                "%s: the connection closed with %zu bytes unsent",
                cnode_conn_peer(l->conn), left);
    cnode__uv_drop(l);
}

/* The socket is of no more use, for a reason of libuv's. */
static void end_link(cnode__socket *l, int uv_err, const char *what) {
    l->ended = true;
    if (l->wire == NULL)
        give_up(l);
    else if (uv_err == UV_EOF || uv_err == UV_ECONNRESET || uv_err == UV_EPIPE)
        cnode__wire_eof(l->wire);
    else
        cnode__uv_fail(l, CN_EIO, uv_err, what);
}

/* Nothing more can be written. Where that is because the peer has closed, what
 * it had said before is still there to be read, and the end behind it. */
static void end_writing(cnode__socket *l, int uv_err) {
    bool closed = uv_err == UV_ECONNRESET || uv_err == UV_EPIPE;

    if (l->wire != NULL && closed)
        l->ended = true;
    else
        end_link(l, uv_err, "writing");
}

/* --- reading ------------------------------------------------------------- */

/* libuv tells when there is something to read, and gets no memory to read it
 * to: what comes belongs to two places, in one readv(2). The first is in a
 * large message that has begun; the other is one chunk for all, what is there
 * is fed before the next read. */
static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf) {
    (void)h, (void)size;
    *buf = uv_buf_init(NULL, 0);
}

static void write_more(cnode__socket *l);

/* What was read may have an answer: that goes out at once, without waiting for
 * what else there is to read and to do in this turn. */
static void answer(cnode__socket *l) {
    cnode__wire *w = l->wire;

    if (w->failed)
        return;
    write_more(l);
    if (!w->failed && cnode_conn_queued(w->conn) == 0)
        cnode__wire_clean(w);
}

/* How much it may still read in this turn. */
static size_t share_of(cnode__socket *l) {
    if (l->read_in != l->shell->turn) {
        l->read_in = l->shell->turn;
        l->read = 0;
    }
    return CNODE__READ_CHUNK - l->read;
}

/* The two places; returns how many bytes they have. */
static size_t places(cnode__socket *l, struct iovec v[2]) {
    size_t share = share_of(l), more = SIZE_MAX;

    v[0] = (struct iovec){NULL, 0};
    if (l->wire != NULL)
        v[0].iov_base = cnode__wire_room(l->wire, &v[0].iov_len, &more);
    if (v[0].iov_len > share)
        v[0].iov_len = share;
    share -= v[0].iov_len;
    v[1] = (struct iovec){l->shell->chunk, more < share ? more : share};
    return v[0].iov_len + v[1].iov_len;
}

static ssize_t read_some(cnode__socket *l, const struct iovec v[2]) {
    int first = v[0].iov_len == 0, last = v[1].iov_len == 0;
    uv_os_fd_t fd;
    ssize_t n;

    if (uv_fileno(&l->u.handle, &fd) != 0)
        return -EBADF;
    do {
        n = first + last == 0 ? readv(fd, v, 2)
                              : read(fd, v[first].iov_base, v[first].iov_len);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* In a handshake nothing is answered from here: what gives way to a connection
 * is closed before the peer hears of that. */
static void take_in(cnode__socket *l, const struct iovec v[2], size_t n) {
    size_t first = n < v[0].iov_len ? n : v[0].iov_len;
    bool up = l->wire != NULL && l->wire->conn != NULL &&
              cnode_conn_up(l->wire->conn);

    l->read += (uint32_t)n;
    if (first > 0 && l->wire != NULL)
        cnode__wire_filled(l->wire, v[0].iov_base, first);
    if (n > first && l->wire != NULL)
        cnode__wire_read(l->wire, v[1].iov_base, n - first);
    if (up && l->wire != NULL)
        answer(l);
}

/* Until there is nothing more, or its share of this turn is read. */
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    cnode__socket *l = stream->data;
    struct iovec v[2];
    size_t size;

    (void)buf;
    n = n == UV_ENOBUFS ? 0 : n;
    while (n >= 0 && !l->closing && (size = places(l, v)) > 0) {
        n = read_some(l, v);
        if (n > 0)
            take_in(l, v, (size_t)n);
        else if (n == 0)
            n = UV_EOF;
        if (n >= 0 && (size_t)n < size)
            return;
    }
    if (n >= 0 || n == -EAGAIN)
        return;
    (void)uv_read_stop(stream);
    end_link(l, (int)n, "reading");
}

/* --- writing ------------------------------------------------------------- */

static void measure_buffer(cnode__socket *l);

static cnode_conn *conn_of(const cnode__socket *l) {
    return l->wire != NULL ? l->wire->conn : l->conn;
}

static void on_written(uv_write_t *req, int status) {
    cnode__socket *l = req->data;
    bool closing = l->closing;
    size_t lent = l->errand->lent;

    l->writing = false;
    cnode__uv_let_go(l);
    if (closing)
        return;
    if (status != 0) {
        end_writing(l, status);
        return;
    }
    cnode_conn_wrote(conn_of(l), lent);
    measure_buffer(l);
    write_more(l);
    if (l->wire != NULL)
        cnode__wire_wrote(l->wire);
}

/* What is to be written, as libuv wants it; how many bytes. */
static size_t lent_output(cnode_conn *c, uv_buf_t *bufs, unsigned *n) {
    cn_slice v[CNODE__WRITE_SLICES];
    size_t count = cnode_conn_output(c, v, CNODE__WRITE_SLICES);
    size_t all = 0;

    *n = 0;
    for (size_t i = 0; i < count && all < CNODE__WRITE_MAX; i++) {
        union {
            const uint8_t *c;
            char *p;
        } u = {v[i].data};
        size_t len = CNODE__WRITE_MAX - all;
        len = v[i].len < len ? v[i].len : len;
        bufs[(*n)++] = uv_buf_init(u.p, (unsigned)len);
        all += len;
    }
    return all;
}

static void write_later(cnode__socket *l, const uv_buf_t *bufs, unsigned n,
                        size_t size) {
    cnode__errand *e = cnode__uv_errand(l);
    int r = UV_ENOMEM;

    if (e != NULL) {
        e->u.write.data = l;
        e->lent = size;
        r = uv_write(&e->u.write, &l->u.stream, bufs, n, on_written);
    }
    if (r != 0) {
        end_writing(l, r);
        return;
    }
    l->writing = true;
    l->holds++;
}

static void shut_down(cnode__socket *l);

/* Out of memory between two fragments. */
static void check_output(cnode__socket *l) {
    const cn_error *e = cnode_conn_error(conn_of(l));

    if (l->wire != NULL && e->code != 0)
        cnode__wire_fail(l->wire, e->code, e->os_error, e->text);
}

/* As much as the socket takes at once, for a while; the rest in later turns of
 * the loop, so that a peer that takes a lot and fast does not delay others. */
static void write_more(cnode__socket *l) {
    cnode_conn *c = conn_of(l);
    uv_buf_t bufs[CNODE__WRITE_SLICES];
    size_t done = 0, size;
    unsigned n;
    int r;

    if (c == NULL || !l->connected || l->writing || l->ended || l->closing)
        return;
    while ((size = lent_output(c, bufs, &n)) > 0) {
        r = done < CNODE__WRITE_TURN ? uv_try_write(&l->u.stream, bufs, n)
                                     : UV_EAGAIN;
        if (r > 0) {
            cnode_conn_wrote(c, (size_t)r);
            /* One that takes not all of it is full, and need not be asked. */
            done += (size_t)r < size ? CNODE__WRITE_TURN : (size_t)r;
            if (cnode_conn_queued(c) == 0)
                break;
        } else if (r == 0 || r == UV_EAGAIN) {
            write_later(l, bufs, n, size);
            return;
        } else {
            end_writing(l, r);
            return;
        }
    }
    if (l->errand != NULL)
        cnode__uv_end_errand(l);
    check_output(l);
    if (l->wire == NULL)
        shut_down(l);
}

void cnode__uv_flush(void *ctx, cnode__wire *w) {
    cnode__socket *l = w->handle;

    (void)ctx;
    if (l != NULL)
        write_more(l);
}

/* The system makes the buffer as large as the way to the peer is long. What it
 * says counts its own needs, as much again as the bytes. */
static void measure_buffer(cnode__socket *l) {
    int size = 0;

    if (uv_send_buffer_size(&l->u.handle, &size) == 0 && size > 0)
        cnode__conn_stride(conn_of(l), (size_t)size / 2);
}

void cnode__uv_start(cnode__socket *l) {
    int r;

    if (l->u.handle.type == UV_TCP)
        (void)uv_tcp_nodelay(&l->u.tcp, 1);
    if (cnode__wire_open(l->wire) != 0)
        return;
    l->connected = true;
    measure_buffer(l);
    r = uv_read_start(&l->u.stream, on_alloc, on_read);
    if (r != 0)
        end_link(l, r, "reading");
}

/* --- the end of a wire --------------------------------------------------- */

static void on_linger(uv_timer_t *t) {
    cnode__socket *l = t->data;

    l->shell->node.late = true; /* a peer has not taken all in time */
    give_up(l);
}

static void on_shut_down(uv_shutdown_t *req, int status) {
    cnode__socket *l = req->data;

    if (status != 0)
        cnode__uv_drop(l);
    cnode__uv_let_go(l);
}

/* All is written: tell the peer so, and wait until it closes too. Closing at
 * once would reset the connection if the peer had sent something that was not
 * read here, and take back what is still on the way to it. */
static void shut_down(cnode__socket *l) {
    cnode__errand *e = cnode__uv_errand(l);

    if (e != NULL)
        e->u.shutdown.data = l;
    if (e == NULL ||
        uv_shutdown(&e->u.shutdown, &l->u.stream, on_shut_down) != 0)
        cnode__uv_drop(l);
    else
        l->holds++;
}

static uint64_t linger_ms(cnode *n) {
    uint64_t now = cnode__now(n);

    if (!n->leaving || n->closing)
        return LINGER_MS;
    return n->leave_at > now ? n->leave_at - now : 0;
}

static void linger(cnode__socket *l) {
    uv_timer_t *t = cn__calloc(&l->shell->node.alloc, 1, sizeof *t);

    if (t == NULL || uv_timer_init(l->shell->loop, t) != 0) {
        cn__free(&l->shell->node.alloc, t, 1, sizeof *t);
        cnode__uv_drop(l);
        return;
    }
    t->data = l;
    l->linger = t;
    l->shell->lingering++;
    (void)uv_timer_start(t, on_linger, linger_ms(&l->shell->node), 0);
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
        (void)uv_cancel((uv_req_t *)&l->errand->u.resolve);
    if (l->connected && !l->ended &&
        (cnode_conn_up(l->conn) || cnode_conn_queued(l->conn) > 0))
        linger(l);
    else
        cnode__uv_drop(l);
}
