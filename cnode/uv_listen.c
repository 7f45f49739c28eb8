/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_listen.c: the socket that others connect to, and the name under which
 * EPMD tells them of it.
 */
#include <string.h>

#include "base/log.h"
#include "cnode/uv_shell.h"

enum { BACKLOG = 512 };

static void on_connection(uv_stream_t *server, int status);

static void on_refused(uv_handle_t *h) {
    cnode__uv *s = h->data;
    bool again = s->unaccepted;

    s->handles--;
    s->refusing = s->unaccepted = false;
    if (again && !uv_is_closing((uv_handle_t *)&s->listener))
        on_connection((uv_stream_t *)&s->listener, 0);
}

/* Accepts and closes, for libuv listens no more while one is not accepted. */
static void refuse(cnode__uv *s) {
    if (cnode__seldom(&s->node, &s->quiet))
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

static void on_connection(uv_stream_t *server, int status) {
    cnode__uv *s = server->data;

    if (status == 0 && !cnode__uv_accept(s))
        refuse(s);
    else if (status != 0 && cnode__seldom(&s->node, &s->quiet))
        cn__log(&s->node.config.log, CN_LOG_ERROR, "node",
                "a connection could not be accepted: %s", uv_strerror(status));
}

static int bind_to(cnode__uv *s, const char *address) {
    struct sockaddr_storage a;
    uint16_t port = s->node.config.port;
    int r = uv_ip4_addr(address, port, (struct sockaddr_in *)(void *)&a);

    if (r != 0)
        r = uv_ip6_addr(address, port, (struct sockaddr_in6 *)(void *)&a);
    if (r == 0)
        r = uv_tcp_bind(&s->listener, (struct sockaddr *)&a, 0);
    return r;
}

/* A node that is called by an IPv6 address must be there. */
static const char *default_address(const cnode *n) {
    return strchr(strchr(n->name, '@'), ':') != NULL ? "::" : "0.0.0.0";
}

static void keep_port(cnode__uv *s) {
    struct sockaddr_storage a;
    int len = sizeof a;

    if (uv_tcp_getsockname(&s->listener, (struct sockaddr *)&a, &len) != 0)
        return;
    s->node.port = ntohs(a.ss_family == AF_INET6
                             ? ((struct sockaddr_in6 *)(void *)&a)->sin6_port
                             : ((struct sockaddr_in *)(void *)&a)->sin_port);
}

static int open_listener(cnode__uv *s) {
    cnode *n = &s->node;
    const char *address = n->config.address;
    int r = uv_tcp_init(s->loop, &s->listener);

    if (r != 0)
        return cnode__err(n, CN_EIO, "listen: %s", uv_strerror(r));
    s->handles++;
    s->listening = true;
    s->listener.data = s;
    r = bind_to(s, address == NULL ? default_address(n) : address);
    if (r == UV_EINVAL)
        return cnode__err(n, CN_EBADARG, "listen: %.100s is no IP address",
                          address);
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
    cnode__uv *s = data;

    s->registered = status == 0;
    s->registration_status = status;
    s->registration_error = *err;
    if (status == 0)
        cnode__adopt_creation(&s->node, creation);
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
        (void)uv_run(s->loop, UV_RUN_ONCE);
    if (s->registration_status == 1)
        return cnode__err(n, CN_ECANCELED, "the node was stopped");
    if (s->registration_status != 0)
        n->error = s->registration_error;
    return s->registration_status == CN_EEXIST ? CN_EEXIST : 0;
}

int cnode_listen(cnode *n) {
    cnode__uv *s = cnode__uv_of(n);
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
    return cnode__uv_of(n)->registered;
}

/* --- the end ------------------------------------------------------------- */

static void on_listener_closed(uv_handle_t *h) {
    cnode__uv *s = h->data;
    s->handles--;
}

static void on_registration_closed(void *data) {
    cnode__uv *s = data;
    s->handles--;
}

void cnode__uv_unlisten(cnode__uv *s) {
    if (s->registration != NULL) {
        s->handles++;
        epmd_registration_close(s->registration, on_registration_closed, s);
        s->registration = NULL;
    }
    if (s->listening)
        uv_close((uv_handle_t *)&s->listener, on_listener_closed);
    s->listening = false;
}
