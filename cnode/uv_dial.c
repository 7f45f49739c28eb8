/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_dial.c: how a wire comes to its socket.
 *
 * Dialling: EPMD lookup (or a given address) -> connect -> cnode__uv_start.
 * Accepting: a door has one -> cnode__uv_start, and the peer will say who it
 * is. Or the program has connected one, in either role.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cnode/uv_shell.h"

/* Without a descriptor libuv closes what comes and tells nobody. So one is
 * always left free for that: who would get the last one is refused here, and
 * hears why. */
static bool descriptors_left(const cnode__uv *s, int wanted) {
    int any = uv_backend_fd(s->loop);
    int one = fcntl(any, F_DUPFD_CLOEXEC, 0);
    int two = wanted < 2 ? one : fcntl(any, F_DUPFD_CLOEXEC, 0);
    bool enough = one >= 0 && two >= 0;

    if (two >= 0 && two != one)
        (void)close(two);
    if (one >= 0)
        (void)close(one);
    return enough;
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

/* Where to, if it was to anywhere: as given, or as EPMD has told. */
static void cannot_connect(cnode__socket *l, int code, int r) {
    const char *address = cnode__wire_address(l->wire);
    char what[CN_ERROR_TEXT] = "connecting";

    if (address != NULL)
        (void)snprintf(what, sizeof what, "connecting to %.150s", address);
    else if (l->errand != NULL && l->errand->port != 0)
        (void)snprintf(what, sizeof what, "connecting to port %u",
                       (unsigned)l->errand->port);
    cnode__uv_fail(l, code, r, what);
}

static void on_connect(uv_connect_t *req, int status) {
    cnode__socket *l = req->data;

    if (l->wire != NULL && status != 0)
        cannot_connect(l, status_of_connect(status), status);
    else if (l->wire != NULL)
        cnode__uv_start(l);
    cnode__uv_let_go(l);
}

static uint16_t port_of(const struct sockaddr *addr) {
    return ntohs(
        addr->sa_family == AF_INET6
            ? ((const struct sockaddr_in6 *)(const void *)addr)->sin6_port
            : ((const struct sockaddr_in *)(const void *)addr)->sin_port);
}

static void connect_to(cnode__socket *l, const struct sockaddr *addr) {
    cnode__errand *e = cnode__uv_errand(l);
    int r = e == NULL ? UV_ENOMEM : uv_tcp_init(l->shell->loop, &l->u.tcp);

    if (r == 0) {
        l->opened = true;
        l->u.handle.data = l;
        e->u.connect.data = l;
        e->port = port_of(addr);
        r = uv_tcp_connect(&e->u.connect, &l->u.tcp, addr, on_connect);
    }
    if (r != 0)
        cannot_connect(l, status_of_connect(r), r);
    else
        l->holds++;
}

static void connect_pipe(cnode__socket *l, const char *path) {
    cnode__errand *e = cnode__uv_errand(l);
    int r = e == NULL ? UV_ENOMEM : uv_pipe_init(l->shell->loop, &l->u.pipe, 0);

    if (r != 0) {
        cannot_connect(l, CN_EIO, r);
        return;
    }
    l->opened = true;
    l->u.handle.data = l;
    e->u.connect.data = l;
    l->holds++;
    uv_pipe_connect(&e->u.connect, &l->u.pipe, path, on_connect);
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
    uint16_t port = l->errand->port;

    if (res->ai_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)res->ai_addr)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)(void *)res->ai_addr)->sin_port = htons(port);
    connect_to(l, res->ai_addr);
}

static void on_resolved(uv_getaddrinfo_t *req, int status,
                        struct addrinfo *res) {
    cnode__socket *l = req->data;
    cnode__wire *w = l->wire;

    l->resolving = false;
    if (w != NULL && (status != 0 || res == NULL))
        cnode__uv_fail(l, CN_EHOST, status, "resolving the host name");
    else if (w != NULL)
        use_resolved(l, res);
    cnode__uv_let_go(l);
    uv_freeaddrinfo(res);
}

static int resolve(cnode__socket *l, const char *host, uint16_t port) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    cnode__errand *e = cnode__uv_errand(l);
    int r;

    if (e == NULL)
        return CN_ENOMEM;
    e->port = port;
    e->u.resolve.data = l;
    r = uv_getaddrinfo(l->shell->loop, &e->u.resolve, on_resolved, host, NULL,
                       &hints);
    if (r != 0)
        return r == UV_ENOMEM ? CN_ENOMEM : CN_EHOST;
    l->resolving = true;
    l->holds++;
    return 0;
}

static int dial_address(cnode__socket *l, const char *address) {
    char text[CN_ERROR_TEXT], host[CNODE__HOST_MAX + 1];
    uint16_t port;

    if (strncmp(address, "unix:", 5) == 0 && address[5] != '\0') {
        connect_pipe(l, address + 5);
        return 0;
    }
    if (cnode__split_address(address, host, &port))
        return resolve(l, host, port);
    (void)snprintf(text, sizeof text, CNODE__NO_ADDRESS, address);
    cnode__wire_fail(l->wire, CN_EBADARG, 0, text);
    return 0;
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
    cnode__uv *s = ctx;
    cnode__socket *l = cnode__uv_link(s, w);
    const char *address = cnode__wire_address(w);

    if (l == NULL)
        return CN_ENOMEM;
    w->handle = l;
    if (!descriptors_left(s, 2)) {
        cannot_connect(l, CN_EIO, UV_EMFILE);
        return 0;
    }
    return address != NULL ? dial_address(l, address)
                           : dial_epmd(l, w->peer->name);
}

/* --- accepting ----------------------------------------------------------- */

int cnode__uv_same(const cnode__door *d, uv_loop_t *loop, uv_tcp_t *tcp,
                   uv_pipe_t *pipe) {
    return d->u.handle.type == UV_TCP ? uv_tcp_init(loop, tcp)
                                      : uv_pipe_init(loop, pipe, 0);
}

/* A socket for somebody who will say who he is. */
static cnode__socket *accepted_link(cnode__uv *s) {
    cnode__wire *w = cnode__wire_new(&s->node, NULL);
    cnode__socket *l = w == NULL ? NULL : cnode__uv_link(s, w);

    if (w != NULL && l == NULL)
        cnode__wire_fail(w, CN_ENOMEM, 0, "out of memory");
    if (l != NULL)
        w->handle = l;
    return l;
}

static void refuse_last(cnode__socket *l) {
    cnode__uv *s = l->shell;

    if (cnode__seldom(&s->node, &s->quiet))
        cn__log(&s->node.config.log, CN_LOG_ERROR, "node",
                "no descriptors for a connection, closed it");
    cnode__wire_fail(l->wire, CN_ECANCELED, 0, "no descriptors");
}

bool cnode__uv_accept(cnode__door *d) {
    cnode__uv *s = d->shell;
    cnode__socket *l = accepted_link(s);
    int r;

    if (l == NULL)
        return false;
    if (cnode__uv_same(d, s->loop, &l->u.tcp, &l->u.pipe) != 0) {
        cnode__wire_fail(l->wire, CN_ENOMEM, 0, "out of memory");
        return false;
    }
    l->opened = true;
    l->u.handle.data = l;
    r = uv_accept(&d->u.stream, &l->u.stream);
    if (r != 0)
        cnode__uv_fail(l, CN_EIO, r, "accepting");
    else if (!descriptors_left(s, 1))
        refuse_last(l);
    else
        cnode__uv_start(l);
    return true;
}

/* --- what the program has connected -------------------------------------- */

/* AF_INET, AF_INET6, AF_UNIX, or -1: no connected stream of such a kind. */
static int family_of(int fd) {
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof a, size = sizeof(int);
    int type = 0;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
        type != SOCK_STREAM || getpeername(fd, (struct sockaddr *)&a, &len))
        return -1;
    return a.ss_family == AF_INET || a.ss_family == AF_INET6 ||
                   a.ss_family == AF_UNIX
               ? a.ss_family
               : -1;
}

/* Opens the socket on a copy of the descriptor, so that the caller's is as it
 * was if anything goes wrong. Of libuv. */
static int open_copy(cnode__socket *l, int fd, int family) {
    uv_loop_t *loop = l->shell->loop;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    int r = copy < 0            ? uv_translate_sys_error(errno)
            : family == AF_UNIX ? uv_pipe_init(loop, &l->u.pipe, 0)
                                : uv_tcp_init(loop, &l->u.tcp);

    if (r == 0) {
        l->opened = true;
        l->u.handle.data = l;
        r = family == AF_UNIX ? uv_pipe_open(&l->u.pipe, copy)
                              : uv_tcp_open(&l->u.tcp, copy);
    }
    if (r != 0 && copy >= 0)
        (void)close(copy);
    return r;
}

/* 0: *out is a socket without a wire. */
static int adopt(cnode *n, int fd, cnode__socket **out) {
    int family = family_of(fd), r;

    if (family < 0)
        return cnode__err(n, CN_EBADARG,
                          "descriptor %d is no connected stream socket", fd);
    *out = cnode__uv_link(cnode__uv_of(n), NULL);
    if (*out == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    r = open_copy(*out, fd, family);
    if (r == 0)
        return 0;
    cnode__uv_drop(*out);
    return cnode__err(n, r == UV_ENOMEM ? CN_ENOMEM : CN_EIO,
                      "descriptor %d: %s", fd, uv_strerror(r));
}

static void start_adopted(cnode__socket *l, cnode__wire *w, int fd) {
    (void)close(fd);
    l->wire = w;
    w->handle = l;
    cnode__uv_start(l);
}

int cnode_connect_fd(cnode *n, int fd, const char *peer, cnode_connect_cb cb,
                     void *data) {
    cnode__socket *l;
    cnode__wire *w;
    int err = adopt(n, fd, &l);

    if (err != 0)
        return err;
    err = cnode__connect_over(n, peer, l, cb, data, &w);
    if (err != 0)
        cnode__uv_drop(l);
    else
        start_adopted(l, w, fd);
    return err;
}

int cnode_accept_fd(cnode *n, int fd) {
    cnode__socket *l;
    cnode__wire *w;
    int err = cnode__may_connect(n);

    if (err == 0 && !n->named)
        err = cnode__err(n, CN_EBADARG,
                         "nobody can connect to a node without a name");
    if (err == 0)
        err = adopt(n, fd, &l);
    if (err != 0)
        return err;
    w = cnode__wire_new(n, NULL);
    if (w == NULL) {
        cnode__uv_drop(l);
        return cnode__err(n, CN_ENOMEM, "out of memory");
    }
    start_adopted(l, w, fd);
    return 0;
}
