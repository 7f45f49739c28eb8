/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_epmd.c: a node that serves EPMD itself when nobody else does.
 *
 * Whoever gets the port serves; the others register with it. They notice when
 * it goes away, because their registration breaks: then each tries to get the
 * port, at once and, as long as it is not registered, again and again. A node
 * that serves is registered with itself, as any other.
 */
#include <stdlib.h>
#include <sys/resource.h>

#include "base/log.h"
#include "cnode/uv_shell.h"

enum { AGAIN_MS = 500 };

static void on_closed(void *data) {
    cnode__uv *s = data;

    s->handles--;
}

static void close_service(cnode__uv *s) {
    if (s->epmd == NULL)
        return;
    s->handles++;
    epmd_service_close(s->epmd, on_closed, s);
    s->epmd = NULL;
}

/* There was no node: it was told to end, and so it does, for a while. */
static void on_killed(void *data) {
    cnode__uv *s = data;

    cn__log(&s->node.config.log, CN_LOG_WARN, "node",
            "somebody ended the port mapper (EPMD)");
    close_service(s);
}

static void say_failed(cnode__uv *s, const cn_error *e) {
    cn_level level = e->code == CN_EEXIST ? CN_LOG_DEBUG : CN_LOG_WARN;

    if (level == CN_LOG_DEBUG || cnode__seldom(&s->node, &s->quiet))
        cn__log(&s->node.config.log, level, "node", "serve EPMD: %s", e->text);
}

/* Half of the descriptors: anybody may connect to EPMD, and the node needs some
 * all the same. 0: there is no limit. */
static uint32_t connections(void) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > UINT32_MAX)
        return 0;
    return (uint32_t)limit.rlim_cur / 2 + 1;
}

void cnode__uv_serve_epmd(cnode__uv *s) {
    cnode *n = &s->node;
    epmd_service_config c = {.addresses = getenv("ERL_EPMD_ADDRESS"),
                             .port = n->config.epmd_port,
                             .server = {.max_connections = connections(),
                                        .alloc = &n->alloc,
                                        .log = n->config.log}};
    cn_error e;

    if (s->epmd_timer.data == NULL || s->epmd != NULL)
        return;
    if (epmd_serve(&s->epmd, s->loop, &c, on_killed, s, &e) != 0)
        say_failed(s, &e);
    else
        cn__log(&n->config.log, CN_LOG_INFO, "node", "serves EPMD at port %u",
                (unsigned)epmd_service_port(s->epmd));
}

/* Who is registered knows of an EPMD. */
static void on_timer(uv_timer_t *t) {
    cnode__uv *s = t->data;

    if (!s->registered)
        cnode__uv_serve_epmd(s);
}

void cnode__uv_open_epmd(cnode__uv *s) {
    if (!s->node.config.epmd_server || s->epmd_timer.data != NULL)
        return;
    (void)uv_timer_init(s->loop, &s->epmd_timer);
    s->epmd_timer.data = s;
    s->handles++;
    (void)uv_timer_start(&s->epmd_timer, on_timer, AGAIN_MS, AGAIN_MS);
    cnode__uv_serve_epmd(s);
}

static void on_timer_closed(uv_handle_t *h) {
    on_closed(h->data);
    h->data = NULL;
}

void cnode__uv_close_epmd(cnode__uv *s) {
    uv_handle_t *timer = (uv_handle_t *)&s->epmd_timer;

    close_service(s);
    if (timer->data != NULL && !uv_is_closing(timer))
        uv_close(timer, on_timer_closed);
}
