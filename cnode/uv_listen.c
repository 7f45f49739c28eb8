/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_listen.c: the socket that others connect to, and the name under which
 * EPMD tells them of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "cnode/uv_shell.h"
#include "epmd/uv_link.h"

enum { BACKLOG = 512 };

static void take_one(cnode__door *d);

static void on_refused(uv_handle_t *h) {
    cnode__door *d = h->data;
    bool again = d->unaccepted;

    d->shell->handles--;
    d->refusing = d->unaccepted = false;
    if (again && d->open)
        take_one(d);
}

/* Accepts and closes, for libuv listens no more while one is not accepted. */
static void refuse(cnode__door *d) {
    cnode__uv *s = d->shell;

    if (cnode__seldom(&s->node, &s->quiet))
        cn__log(&s->node.config.log, CN_LOG_ERROR, "node",
                "no memory for a connection, closed it");
    d->unaccepted = d->refusing;
    if (d->refusing ||
        cnode__uv_same(d, s->loop, &d->refused.tcp, &d->refused.pipe) != 0)
        return;
    d->refusing = true;
    d->refused.handle.data = d;
    s->handles++;
    (void)uv_accept(&d->u.stream, &d->refused.stream);
    uv_close(&d->refused.handle, on_refused);
}

static void take_one(cnode__door *d) {
    if (!cnode__uv_accept(d))
        refuse(d);
}

static void on_connection(uv_stream_t *server, int status) {
    cnode__door *d = server->data;
    cnode__uv *s = d->shell;

    if (status == 0)
        take_one(d);
    else if (cnode__seldom(&s->node, &s->quiet))
        cn__log(&s->node.config.log, CN_LOG_ERROR, "node",
                "a connection could not be accepted: %s", uv_strerror(status));
}

static void on_door_closed(uv_handle_t *h) {
    cnode__door *d = h->data;

    d->shell->handles--;
    h->data = NULL;
}

/* Also while it closes. */
static bool in_use(const cnode__door *d) {
    return d->u.handle.data != NULL;
}

/* Its handle was initialised. */
static void open_door(cnode__uv *s, cnode__door *d) {
    d->shell = s;
    d->open = true;
    d->u.handle.data = d;
    s->handles++;
}

static void close_door(cnode__door *d) {
    if (d->open)
        uv_close(&d->u.handle, on_door_closed);
    d->open = false;
}

/* --- TCP ----------------------------------------------------------------- */

/* Of libuv, for digits. */
static int parse_address(const char *address, struct sockaddr_storage *a) {
    if (uv_ip4_addr(address, 0, (struct sockaddr_in *)(void *)a) == 0)
        return 0;
    return uv_ip6_addr(address, 0, (struct sockaddr_in6 *)(void *)a);
}

static void set_port(struct sockaddr_storage *a, uint16_t port) {
    if (a->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)a)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)(void *)a)->sin_port = htons(port);
}

/* The first port of the range that is free. */
static int listen_in_range(const cnode_config *c, struct sockaddr_storage *a) {
    unsigned port = c->port;
    unsigned last = c->port_max > c->port ? c->port_max : c->port;
    int fd;

    do {
        set_port(a, (uint16_t)port);
        fd = epmd__listen_at(a, false, BACKLOG);
    } while (fd == UV_EADDRINUSE && ++port <= last);
    return fd;
}

/* A node that is called by an IPv6 address must be there. */
static const char *default_address(const cnode *n) {
    return strchr(strchr(n->name, '@'), ':') != NULL ? "::" : "0.0.0.0";
}

static void keep_port(cnode__uv *s) {
    struct sockaddr_storage a;
    int len = sizeof a;

    if (uv_tcp_getsockname(&s->tcp.u.tcp, (struct sockaddr *)&a, &len) != 0)
        return;
    s->node.port = ntohs(a.ss_family == AF_INET6
                             ? ((struct sockaddr_in6 *)(void *)&a)->sin6_port
                             : ((struct sockaddr_in *)(void *)&a)->sin_port);
}

/* Takes the descriptor over, or closes it. */
static int watch_listener(cnode__uv *s, int fd) {
    int r = uv_tcp_init(s->loop, &s->tcp.u.tcp);

    if (r == 0) {
        open_door(s, &s->tcp);
        r = uv_tcp_open(&s->tcp.u.tcp, fd);
    }
    if (r != 0)
        (void)close(fd);
    else
        r = uv_listen(&s->tcp.u.stream, BACKLOG, on_connection);
    if (r != 0)
        close_door(&s->tcp);
    return r;
}

static int listen_failed(cnode *n, int r) {
    const cnode_config *c = &n->config;
    char range[16] = "";
    bool given = c->address != NULL;

    if (c->port_max > c->port)
        (void)snprintf(range, sizeof range, " to %u", (unsigned)c->port_max);
    (void)cnode__err(n, r == UV_EADDRINUSE ? CN_EREFUSED : CN_EIO,
                     "listen on port %u%s%s%.60s: %s", (unsigned)c->port, range,
                     given ? " of " : "", given ? c->address : "",
                     uv_strerror(r));
    n->error.os_error = -r;
    return n->error.code;
}

static int open_listener(cnode__uv *s) {
    cnode *n = &s->node;
    const char *address = n->config.address;
    struct sockaddr_storage a = {0};
    int r;

    if (address == NULL)
        address = default_address(n);
    if (parse_address(address, &a) != 0)
        return cnode__err(n, CN_EBADARG, "listen: %.100s is no IP address",
                          address);
    r = listen_in_range(&n->config, &a);
    if (r >= 0)
        r = watch_listener(s, r);
    if (r != 0)
        return listen_failed(n, r);
    keep_port(s);
    return 0;
}

static void on_alive(void *data, int status, const cn_error *err,
                     uint32_t creation) {
    cnode__uv *s = data;

    s->registered = status == 0;
    s->registration_status = status;
    s->registration_error = *err;
    if (status == 0)
        cnode__adopt_creation(&s->node, creation);
    else
        cnode__uv_serve_epmd(s);
}

static int register_name(cnode__uv *s) {
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
    while (s->registration_status == 1 && !cnode__uv_stopped(s))
        cnode__uv_turn(s);
    if (s->registration_status == 1)
        return cnode__err(n, CN_ECANCELED, "the node was stopped");
    if (s->registration_status != 0)
        n->error = s->registration_error;
    return s->registration_status == CN_EEXIST ? CN_EEXIST : 0;
}

static bool is_loopback(const char *address) {
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

/* Others must be able to connect to a full node, or it is thrown out of their
 * cluster as soon as it is in. */
static int check_reachable(cnode__uv *s) {
    cnode *n = &s->node;
    const char *address = n->config.address;
    const char *host = strchr(n->name, '@') + 1;
    struct sockaddr_storage a;

    if (address != NULL && is_loopback(address) && !is_loopback(host) &&
        parse_address(host, &a) == 0)
        return cnode__err(
            n, CN_EBADARG,
            "a full node must be reached by the others at %.100s, "
            "but it listens on %.50s only",
            host, address);
    if (n->config.no_epmd || s->registered)
        return 0;
    return cnode__err(n, CN_EEPMD,
                      "a full node must be found by the others, but EPMD does "
                      "not know it: %s",
                      s->registration_error.text);
}

int cnode_listen(cnode *n) {
    cnode__uv *s = cnode__uv_of(n);
    int err = n->config.no_epmd ? 0 : cnode__uv_may_wait(s, "cnode_listen");

    if (err != 0)
        return err;
    s->thread = uv_thread_self();
    if (!n->named)
        return cnode__err(n, CN_EBADARG, "a node without a name cannot listen");
    if (in_use(&s->tcp))
        return cnode__err(n, CN_EBUG, "it listens already");
    err = cnode__may_connect(n);
    if (err == 0)
        err = open_listener(s);
    if (err == 0)
        cnode__uv_open_epmd(s);
    if (err == 0 && !n->config.no_epmd)
        err = register_name(s);
    if (err == 0 && n->config.full) {
        err = check_reachable(s);
        if (err != 0)
            cnode__uv_unlisten(s);
    }
    n->listens = err == 0;
    return err;
}

bool cnode_registered(const cnode *n) {
    return cnode__uv_of(n)->registered;
}

/* --- Unix ---------------------------------------------------------------- */

static bool is_socket(const char *path) {
    struct stat st;

    return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* A socket that somebody has left behind, and nobody listens at. */
static bool is_stale(const char *path) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd, r;

    if (strlen(path) >= sizeof a.sun_path || !is_socket(path))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    memcpy(a.sun_path, path, strlen(path));
    r = connect(fd, (struct sockaddr *)&a, sizeof a) == 0 ? 0 : errno;
    (void)close(fd);
    return r == ECONNREFUSED;
}

/* The listening socket; negative: an error of libuv's. */
static int listen_at_path(const char *path) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = fd < 0 ? -1 : 0;

    memcpy(a.sun_path, path, strlen(path));
    if (r == 0)
        r = bind(fd, (struct sockaddr *)&a, sizeof a);
    if (r != 0 && errno == EADDRINUSE && is_stale(path) && unlink(path) == 0)
        r = bind(fd, (struct sockaddr *)&a, sizeof a);
    if (r == 0)
        r = listen(fd, BACKLOG);
    if (r == 0)
        return fd;
    r = uv_translate_sys_error(errno);
    if (fd >= 0)
        (void)close(fd);
    return r;
}

/* Takes the descriptor over, or closes it. */
static int watch_local(cnode__uv *s, int fd) {
    int r = uv_pipe_init(s->loop, &s->local.u.pipe, 0);

    if (r == 0) {
        open_door(s, &s->local);
        r = uv_pipe_open(&s->local.u.pipe, fd);
    }
    if (r != 0)
        (void)close(fd);
    else
        r = uv_listen(&s->local.u.stream, BACKLOG, on_connection);
    if (r != 0)
        close_door(&s->local);
    return r;
}

static int check_unix(cnode__uv *s, const char *path) {
    cnode *n = &s->node;
    int err = cnode__may_connect(n);

    if (err != 0)
        return err;
    if (!n->named)
        return cnode__err(n, CN_EBADARG, "a node without a name cannot listen");
    if (in_use(&s->local))
        return cnode__err(n, CN_EBUG, "it listens at a Unix socket already");
    if (path[0] == '\0' ||
        strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path)
        return cnode__err(n, CN_EBADARG, "'%.100s' is no path for a socket",
                          path);
    return 0;
}

int cnode_listen_unix(cnode *n, const char *path) {
    cnode__uv *s = cnode__uv_of(n);
    int r, err = check_unix(s, path);

    if (err != 0)
        return err;
    s->path = cn__strdup(&n->alloc, path);
    if (s->path == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    r = listen_at_path(path);
    if (r >= 0) {
        r = watch_local(s, r);
        if (r == 0)
            return 0;
        (void)unlink(path);
    }
    cn__strfree(&n->alloc, s->path);
    s->path = NULL;
    (void)cnode__err(n, r == UV_EADDRINUSE ? CN_EREFUSED : CN_EIO,
                     "listen at %.100s: %s", path,
                     r != UV_EADDRINUSE ? uv_strerror(r)
                     : is_socket(path)  ? "somebody listens there already"
                                        : "there is a file that is no socket");
    n->error.os_error = -r;
    return n->error.code;
}

static void close_local(cnode__uv *s) {
    if (s->local.open)
        (void)unlink(s->path);
    close_door(&s->local);
    cn__strfree(&s->node.alloc, s->path);
    s->path = NULL;
}

/* --- who has come -------------------------------------------------------- */

void cnode__uv_where(void *ctx, const cnode__wire *w, char *out, size_t cap) {
    const cnode__socket *l = w->handle;
    struct sockaddr_storage a = {0};
    char ip[INET6_ADDRSTRLEN];
    int len = sizeof a;

    (void)ctx;
    out[0] = '\0';
    if (l == NULL || !l->opened)
        return;
    if (l->u.handle.type == UV_NAMED_PIPE) {
        (void)snprintf(out, cap, "the other end of a Unix socket");
        return;
    }
    if (uv_tcp_getpeername(&l->u.tcp, (struct sockaddr *)&a, &len) != 0 ||
        uv_ip_name((const struct sockaddr *)&a, ip, sizeof ip) != 0)
        return;
    (void)snprintf(out, cap, a.ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip,
                   ntohs(a.ss_family == AF_INET6
                             ? ((struct sockaddr_in6 *)(void *)&a)->sin6_port
                             : ((struct sockaddr_in *)(void *)&a)->sin_port));
}

/* --- the end ------------------------------------------------------------- */

static void on_registration_closed(void *data) {
    cnode__uv *s = data;
    s->handles--;
}

void cnode__uv_unlisten(void *ctx) {
    cnode__uv *s = ctx;

    if (s->registration != NULL) {
        s->handles++;
        epmd_registration_close(s->registration, on_registration_closed, s);
        s->registration = NULL;
        s->registered = false;
    }
    cnode__uv_close_epmd(s);
    close_door(&s->tcp);
    close_local(s);
}
