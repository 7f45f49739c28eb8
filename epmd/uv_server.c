/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_server.c: an EPMD server's sockets.
 *
 * Happy path: epmd_serve opens a door for each address; on_connection accepts
 * and opens a session; on_read feeds it; pump writes what sessions have to say
 * and closes those that are over.
 *
 * Failures: a connection that breaks is told to its session. One that there is
 * no memory for waits at its door (libuv accepts no other there meanwhile)
 * until something has been freed; it is looked at again each second.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "epmd/uv_link.h"

enum {
    DOORS = 16,
    BACKLOG = 1024,
    SPARE_FILES = 64, /* descriptors that are for others */
    AGAIN_MS = 1000
};

typedef struct door {
    uv_tcp_t tcp;
    epmd_service *service;
    bool open;
    bool waits; /* a connection that was not accepted */
} door;

typedef struct conn {
    uv_tcp_t tcp; /* first: its handle is that of the connection */
    cn__list link;
    epmd_service *service;
    epmd_session *session; /* NULL: it was not opened */
    uv_write_t write;
    size_t writing; /* bytes; 0: no write is under way */
} conn;

struct epmd_service {
    uv_loop_t *loop;
    const cn_alloc *alloc;
    cn_log log;
    epmd_server *server;
    uint16_t port;
    door doors[DOORS];
    size_t n_doors;
    uv_timer_t timer;
    cn__list conns;
    unsigned held; /* handles that libuv has */
    bool stopped;  /* serves no more */
    bool closing;
    epmd_service_cb on_killed;
    void *data;
    void (*closed)(void *data);
    void *closed_data;
    char in[EPMD__READ_SIZE];
};

static void pump(epmd_service *s);
static void take_one(door *d);

static void tell_time(epmd_service *s) {
    epmd_server_time(s->server, uv_now(s->loop), (uint32_t)time(NULL));
}

/* --- the end -------------------------------------------------------------- */

static void release(epmd_service *s) {
    epmd_server_free(s->server);
    cn__free(s->alloc, s, 1, sizeof *s);
}

static void let_go(epmd_service *s) {
    void (*closed)(void *) = s->closed;
    void *data = s->closed_data;

    s->held--;
    if (!s->closing || s->held > 0)
        return;
    release(s);
    if (closed != NULL)
        closed(data);
}

static void on_closed(uv_handle_t *h) {
    let_go(h->data);
}

static void on_door_closed(uv_handle_t *h) {
    let_go(((door *)h->data)->service);
}

static void on_conn_closed(uv_handle_t *h) {
    conn *c = h->data;
    epmd_service *s = c->service;

    if (c->session != NULL)
        epmd_session_free(c->session);
    cn__list_leave(&c->link);
    cn__free(s->alloc, c, 1, sizeof *c);
    for (size_t i = 0; i < s->n_doors; i++)
        if (s->doors[i].waits && s->doors[i].open)
            take_one(&s->doors[i]);
    if (!s->stopped)
        pump(s);
    let_go(s);
}

static void close_conn(conn *c) {
    if (!uv_is_closing((uv_handle_t *)&c->tcp))
        uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
}

/* Serves no more; the timer and the service itself stay. */
static void stop(epmd_service *s) {
    s->stopped = true;
    (void)uv_timer_stop(&s->timer);
    for (size_t i = 0; i < s->n_doors; i++) {
        if (s->doors[i].open)
            uv_close((uv_handle_t *)&s->doors[i].tcp, on_door_closed);
        s->doors[i].open = false;
    }
    for (cn__list *at = s->conns.next; at != &s->conns; at = at->next)
        close_conn(cn__list_of(conn, link, at));
}

void epmd_service_close(epmd_service *s, void (*closed)(void *data),
                        void *data) {
    if (s->closing)
        return;
    s->closing = true;
    s->closed = closed;
    s->closed_data = data;
    stop(s);
    uv_close((uv_handle_t *)&s->timer, on_closed);
}

/* --- connections ---------------------------------------------------------- */

static void on_written(uv_write_t *w, int status) {
    conn *c = w->data;
    epmd_service *s = c->service;
    size_t n = c->writing;

    c->writing = 0;
    if (uv_is_closing((uv_handle_t *)&c->tcp))
        return;
    tell_time(s);
    if (status < 0)
        epmd_session_broke(c->session);
    else
        epmd_session_wrote(c->session, n);
    pump(s);
}

static void write_output(conn *c) {
    const uint8_t *p;
    size_t n = epmd_session_output(c->session, &p);
    uv_buf_t buf;

    if (n == 0 || c->writing > 0)
        return;
    buf = uv_buf_init((char *)(uintptr_t)p, (unsigned)n);
    c->write.data = c;
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written) == 0)
        c->writing = n;
    else
        epmd_session_broke(c->session);
}

static void on_timer(uv_timer_t *t) {
    epmd_service *s = t->data;

    tell_time(s);
    for (size_t i = 0; i < s->n_doors; i++)
        if (s->doors[i].waits)
            take_one(&s->doors[i]);
    pump(s);
}

static void set_timer(epmd_service *s) {
    uint64_t at = epmd_server_deadline(s->server), now = uv_now(s->loop);
    bool waits = false;

    for (size_t i = 0; i < s->n_doors; i++)
        waits = waits || s->doors[i].waits;
    if (waits && at > now + AGAIN_MS)
        at = now + AGAIN_MS;
    if (at == UINT64_MAX)
        (void)uv_timer_stop(&s->timer);
    else
        (void)uv_timer_start(&s->timer, on_timer, at > now ? at - now : 0, 0);
}

/* What came of it all. The owner is told last: it may close. */
static void pump(epmd_service *s) {
    epmd_session *x;

    while ((x = epmd_server_next(s->server)) != NULL) {
        conn *c = epmd_session_data(x);
        if (epmd_session_over(x))
            close_conn(c);
        else
            write_output(c);
    }
    if (!epmd_server_killed(s->server)) {
        set_timer(s);
        return;
    }
    stop(s);
    s->on_killed(s->data);
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf) {
    conn *c = h->data;
    size_t wants = epmd_session_wants(c->session);

    (void)hint;
    if (wants > sizeof c->service->in)
        wants = sizeof c->service->in;
    *buf = uv_buf_init(c->service->in, (unsigned)wants);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    conn *c = stream->data;
    epmd_service *s = c->service;

    if (n == 0)
        return;
    tell_time(s);
    if (n == UV_EOF)
        epmd_session_eof(c->session);
    else if (n < 0)
        epmd_session_broke(c->session);
    else
        epmd_session_feed(c->session, (const uint8_t *)buf->base, (size_t)n);
    if (n < 0 || epmd_session_wants(c->session) == 0)
        (void)uv_read_stop(stream);
    pump(s);
}

/* --- who connects --------------------------------------------------------- */

/* As IPv6. */
static void address_of(const struct sockaddr_storage *a, uint8_t out[16]) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (a->ss_family == AF_INET6) {
        memcpy(out, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
               16);
        return;
    }
    memcpy(out, mapped, sizeof mapped);
    memcpy(out + sizeof mapped,
           &((const struct sockaddr_in *)(const void *)a)->sin_addr, 4);
}

static bool is_loopback(const uint8_t a[16]) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const uint8_t six[16] = {[15] = 1};

    return memcmp(a, six, sizeof six) == 0 ||
           (memcmp(a, mapped, sizeof mapped) == 0 && a[12] == 127);
}

static void name_peer(const struct sockaddr_storage *a, epmd_peer *peer) {
    char ip[INET6_ADDRSTRLEN] = "?";
    unsigned port =
        ntohs(a->ss_family == AF_INET6
                  ? ((const struct sockaddr_in6 *)(const void *)a)->sin6_port
                  : ((const struct sockaddr_in *)(const void *)a)->sin_port);

    (void)uv_ip_name((const struct sockaddr *)a, ip, sizeof ip);
    (void)snprintf(peer->text, sizeof peer->text,
                   a->ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, port);
}

/* False: it is gone already. */
static bool find_peer(const conn *c, epmd_peer *peer) {
    struct sockaddr_storage theirs = {0}, ours = {0};
    int theirs_len = sizeof theirs, ours_len = sizeof ours;
    uint8_t own[16];
    uv_os_fd_t fd = -1;

    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&theirs, &theirs_len) !=
            0 ||
        uv_tcp_getsockname(&c->tcp, (struct sockaddr *)&ours, &ours_len) != 0)
        return false;
    (void)uv_fileno((const uv_handle_t *)&c->tcp, &fd);
    peer->fd = fd;
    address_of(&theirs, peer->address);
    address_of(&ours, own);
    peer->local =
        is_loopback(peer->address) || memcmp(own, peer->address, 16) == 0;
    name_peer(&theirs, peer);
    return true;
}

static conn *new_conn(epmd_service *s) {
    conn *c = cn__calloc(s->alloc, 1, sizeof *c);

    if (c == NULL)
        return NULL;
    if (uv_tcp_init(s->loop, &c->tcp) != 0) {
        cn__free(s->alloc, c, 1, sizeof *c);
        return NULL;
    }
    c->service = s;
    c->tcp.data = c;
    cn__list_add(&s->conns, &c->link);
    s->held++;
    return c;
}

static void open_session(conn *c) {
    epmd_service *s = c->service;
    epmd_peer peer = {0};
    int err = CN_ECLOSED;

    if (find_peer(c, &peer))
        err = epmd_server_open(s->server, &c->session, &peer, c);
    if (err == CN_ENOMEM)
        cn__log(&s->log, CN_LOG_ERROR, "epmd",
                "%s: closed, there is no memory for it", peer.text);
    if (err != 0 ||
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0)
        close_conn(c);
}

static void take_one(door *d) {
    epmd_service *s = d->service;
    conn *c = new_conn(s);

    d->waits = c == NULL;
    if (c == NULL)
        (void)epmd_server_make_room(s->server);
    else if (uv_accept((uv_stream_t *)&d->tcp, (uv_stream_t *)&c->tcp) == 0)
        open_session(c);
    else
        close_conn(c);
}

static void on_connection(uv_stream_t *stream, int status) {
    door *d = stream->data;
    epmd_service *s = d->service;

    tell_time(s);
    if (status == 0) {
        take_one(d);
    } else {
        cn__log(&s->log, CN_LOG_DEBUG, "epmd",
                "a connection could not be accepted: %s", uv_strerror(status));
        if (status == UV_EMFILE || status == UV_ENFILE)
            (void)epmd_server_make_room(s->server);
    }
    pump(s);
}

/* --- doors ---------------------------------------------------------------- */

typedef struct address {
    struct sockaddr_storage at;
    bool optional; /* not every machine has it */
} address;

static uint16_t *port_of(struct sockaddr_storage *a) {
    return a->ss_family == AF_INET6
               ? &((struct sockaddr_in6 *)(void *)a)->sin6_port
               : &((struct sockaddr_in *)(void *)a)->sin_port;
}

static int parse(const char *text, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    if (uv_ip4_addr(text, 0, (struct sockaddr_in *)(void *)out) == 0)
        return 0;
    return uv_ip6_addr(text, 0, (struct sockaddr_in6 *)(void *)out);
}

static bool has_address(const address *list, size_t n,
                        const struct sockaddr_storage *a) {
    for (size_t i = 0; i < n; i++)
        if (memcmp(&list[i].at, a, sizeof *a) == 0)
            return true;
    return false;
}

/* Once. */
static int add_address(address *list, size_t *n, const char *text,
                       bool optional, cn_error *e) {
    struct sockaddr_storage a;

    if (parse(text, &a) != 0)
        return cn__fail(e, CN_EBADARG, 0, "%.60s is no IP address", text);
    if (has_address(list, *n, &a))
        return 0;
    if (*n == DOORS)
        return cn__fail(e, CN_ELIMIT, 0,
                        "it cannot listen at more than %d addresses", DOORS);
    list[(*n)++] = (address){a, optional};
    return 0;
}

static int read_addresses(const char *text, address *list, size_t *n,
                          cn_error *e) {
    int err = 0;

    while (err == 0 && *(text += strspn(text, ", ")) != '\0') {
        size_t len = strcspn(text, ", ");
        char one[64];
        (void)snprintf(one, sizeof one, "%.*s", (int)len, text);
        err = add_address(list, n, one, false, e);
        text += len;
    }
    return err;
}

static int find_addresses(const char *text, address *list, size_t *n,
                          cn_error *e) {
    bool all = text == NULL || text[strspn(text, ", ")] == '\0';
    int err = all ? 0 : read_addresses(text, list, n, e);

    if (err == 0)
        err = add_address(list, n, all ? "0.0.0.0" : "127.0.0.1", false, e);
    if (err == 0)
        err = add_address(list, n, all ? "::" : "::1", true, e);
    return err;
}

int epmd__listen_at(const struct sockaddr_storage *a, bool only_six,
                    int backlog) {
    bool six = a->ss_family == AF_INET6;
    socklen_t len =
        six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1, only = only_six;
    int r = 0;

    if (fd < 0)
        return uv_translate_sys_error(errno);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (six &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) != 0) ||
        bind(fd, (const struct sockaddr *)a, len) != 0 ||
        listen(fd, backlog) != 0)
        r = uv_translate_sys_error(errno);
    if (r == 0)
        return fd;
    (void)close(fd);
    return r;
}

/* After the first one all others are at the port that it got. */
static void keep_port(epmd_service *s, int fd) {
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof a;
    uint16_t port = 0;

    if (s->port == 0 && getsockname(fd, (struct sockaddr *)&a, &len) == 0) {
        (void)memcpy(&port, port_of(&a), sizeof port);
        s->port = ntohs(port);
    }
}

static bool is_absent(int r) {
    return r == UV_EAFNOSUPPORT || r == UV_EADDRNOTAVAIL ||
           r == UV_EPROTONOSUPPORT;
}

static int not_opened(const address *a, int r, cn_error *e) {
    epmd_peer where = {0};

    name_peer(&a->at, &where);
    if (r == UV_EADDRINUSE)
        return cn__fail(e, CN_EEXIST, -r, "somebody listens at %s already",
                        where.text);
    return cn__fail(e, r == UV_ENOMEM ? CN_ENOMEM : CN_EIO, -r,
                    "it cannot listen at %s: %s", where.text, uv_strerror(r));
}

/* The sockets, before libuv knows of them: what fails leaves nothing. */
static int open_sockets(epmd_service *s, const char *text, int fds[DOORS],
                        cn_error *e) {
    address list[DOORS] = {0};
    size_t n = 0;
    int err = find_addresses(text, list, &n, e);

    for (size_t i = 0; err == 0 && i < n; i++) {
        int fd;
        *port_of(&list[i].at) = htons(s->port);
        fd = epmd__listen_at(&list[i].at, true, BACKLOG);
        if (fd >= 0) {
            keep_port(s, fd);
            fds[s->n_doors++] = fd;
        } else if (!list[i].optional || !is_absent(fd)) {
            err = not_opened(&list[i], fd, e);
        }
    }
    return err;
}

static void close_sockets(const epmd_service *s, const int fds[DOORS]) {
    for (size_t i = 0; i < s->n_doors; i++)
        (void)close(fds[i]);
}

/* Takes the descriptor over. Of libuv, which has no reason to refuse a socket
 * that listens. */
static int open_door(epmd_service *s, door *d, int fd) {
    int r = uv_tcp_init(s->loop, &d->tcp);

    d->service = s;
    d->open = true;
    d->tcp.data = d;
    s->held++;
    if (r == 0)
        r = uv_tcp_open(&d->tcp, fd);
    if (r != 0)
        (void)close(fd);
    else
        r = uv_listen((uv_stream_t *)&d->tcp, BACKLOG, on_connection);
    return r;
}

static int open_doors(epmd_service *s, const int fds[DOORS], cn_error *e) {
    int r = 0;

    (void)uv_timer_init(s->loop, &s->timer);
    s->timer.data = s;
    s->held = 1;
    for (size_t i = 0; i < s->n_doors; i++) {
        int now = open_door(s, &s->doors[i], fds[i]);
        r = r != 0 ? r : now;
    }
    return r == 0 ? 0
                  : cn__fail(e, CN_EIO, -r, "it cannot listen: %s",
                             uv_strerror(r));
}

/* --- birth ---------------------------------------------------------------- */

static uint32_t files_for_connections(void) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > UINT32_MAX)
        return 0;
    return limit.rlim_cur > 4 * (rlim_t)SPARE_FILES
               ? (uint32_t)limit.rlim_cur - SPARE_FILES
               : (uint32_t)limit.rlim_cur / 2 + 1;
}

static int new_server(epmd_service *s, const epmd_service_config *c) {
    epmd_server_config config = c->server;
    int err;

    config.port = s->port;
    if (config.max_connections == 0)
        config.max_connections = files_for_connections();
    (void)uv_random(NULL, NULL, &config.seed, sizeof config.seed, 0, NULL);
    err = epmd_server_new(&s->server, &config);
    if (err == 0)
        tell_time(s);
    return err;
}

static epmd_service *new_service(uv_loop_t *loop,
                                 const epmd_service_config *c) {
    epmd_service *s = cn__calloc(c->server.alloc, 1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->loop = loop;
    s->alloc = c->server.alloc;
    s->log = c->server.log;
    s->port = c->port;
    if (s->port == 0 && !c->any_port)
        s->port = epmd_default_port();
    cn__list_init(&s->conns);
    return s;
}

int epmd_serve(epmd_service **out, uv_loop_t *loop,
               const epmd_service_config *config, epmd_service_cb on_killed,
               void *data, cn_error *error) {
    static const epmd_service_config plain;
    cn_error ignored = {0}, *e = error != NULL ? error : &ignored;
    int fds[DOORS] = {0};
    epmd_service *s;
    int err;

    epmd__ignore_sigpipe();
    config = config != NULL ? config : &plain;
    s = new_service(loop, config);
    if (s == NULL)
        return cn__fail(e, CN_ENOMEM, 0, "%s", cn_strerror(CN_ENOMEM));
    s->on_killed = on_killed;
    s->data = data;
    err = open_sockets(s, config->addresses, fds, e);
    if (err == 0 && (err = new_server(s, config)) != 0)
        (void)cn__fail(e, err, 0, "%s", cn_strerror(err));
    if (err != 0) {
        close_sockets(s, fds);
        release(s);
        return err;
    }
    err = open_doors(s, fds, e);
    if (err == 0)
        *out = s;
    else
        epmd_service_close(s, NULL, NULL);
    return err;
}

uint16_t epmd_service_port(const epmd_service *s) {
    return s->port;
}

size_t epmd_service_count(const epmd_service *s) {
    return epmd_server_count(s->server);
}
