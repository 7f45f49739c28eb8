/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_client.c: lookups and lists: one exchange, one callback, gone.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "epmd/uv_link.h"

struct epmd_request {
    epmd__link link; /* first: the link's callbacks find the request */
    char *name;      /* of PORT2 and STOP, else NULL */
    epmd_op op;
    epmd_lookup_cb lookup_cb;
    epmd_names_cb names_cb;
    void *data;
};

static void release(epmd_request *r) {
    epmd__link_free(&r->link);
    cn__strfree(r->link.alloc, r->name);
    cn__free(r->link.alloc, r, 1, sizeof *r);
}

static void on_closed(epmd__link *l) {
    release((epmd_request *)l);
}

/* The node listens where its EPMD does, on another port. */
static void node_address(const epmd__link *l, uint16_t port,
                         struct sockaddr_storage *out) {
    *out = *epmd__link_peer(l);
    if (out->ss_family == AF_INET)
        ((struct sockaddr_in *)out)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)out)->sin6_port = htons(port);
}

static void found(epmd_request *r, const epmd_port2 *reply) {
    static const cn_error none;
    struct sockaddr_storage addr;

    node_address(&r->link, reply->port, &addr);
    r->lookup_cb(r->data, 0, &none, reply, (const struct sockaddr *)&addr);
}

static void on_event(epmd__link *l, const epmd_event *ev) {
    static const cn_error none;
    epmd_request *r = (epmd_request *)l;

    if (ev->type == EPMD_EV_PORT2)
        found(r, &ev->u.port2);
    else
        r->names_cb(r->data, 0, &none, ev->u.names.text, ev->u.names.len);
    epmd__link_close(l);
}

static void on_end(epmd__link *l, const cn_error *err) {
    epmd_request *r = (epmd_request *)l;
    cn_error e = *err;

    if (r->name != NULL)
        cn__wrap(&e, "node %s", r->name);
    cn__log(&l->log, CN_LOG_DEBUG, "epmd", "%s", e.text);
    if (r->lookup_cb != NULL)
        r->lookup_cb(r->data, e.code, &e, NULL, NULL);
    else
        r->names_cb(r->data, e.code, &e, NULL, 0);
    epmd__link_close(l);
}

static const epmd__link_ops request_ops = {
    .on_event = on_event, .on_end = on_end, .on_closed = on_closed};

static epmd_request *new_request(const epmd_config *c, epmd_op op,
                                 const char *name, void *data) {
    epmd_request *r = cn__calloc(c->alloc, 1, sizeof *r);

    if (r == NULL)
        return NULL;
    r->link.alloc = c->alloc;
    r->data = data;
    r->op = op;
    if (name != NULL && (r->name = cn__strdup(c->alloc, name)) == NULL) {
        release(r);
        return NULL;
    }
    return r;
}

static int start(epmd_request *r, uv_loop_t *loop, const epmd_config *c) {
    epmd_req request = {.op = r->op};
    int err = epmd__link_init(&r->link, loop, c, &request_ops);

    if (err != 0)
        return err;
    if (r->name != NULL)
        request.node.name =
            (epmd_view){(const uint8_t *)r->name, strlen(r->name)};
    return epmd__link_start(&r->link, &request);
}

static int launch(epmd_request **out, epmd_request *r, uv_loop_t *loop,
                  const epmd_config *c) {
    int err = start(r, loop, c);

    if (err != 0)
        release(r);
    else
        *out = r;
    return err;
}

static const epmd_config standard;

int epmd_lookup(epmd_request **out, uv_loop_t *loop, const epmd_config *c,
                const char *name, epmd_lookup_cb cb, void *data) {
    int err = epmd__check_name(name);
    epmd_request *r;

    if (err != 0)
        return err;
    c = c != NULL ? c : &standard;
    r = new_request(c, EPMD_PORT2_REQ, name, data);
    if (r == NULL)
        return CN_ENOMEM;
    r->lookup_cb = cb;
    return launch(out, r, loop, c);
}

static int list(epmd_request **out, uv_loop_t *loop, const epmd_config *c,
                epmd_op op, const char *name, epmd_names_cb cb, void *data) {
    epmd_request *r;

    c = c != NULL ? c : &standard;
    r = new_request(c, op, name, data);
    if (r == NULL)
        return CN_ENOMEM;
    r->names_cb = cb;
    return launch(out, r, loop, c);
}

int epmd_names(epmd_request **out, uv_loop_t *loop, const epmd_config *c,
               epmd_names_cb cb, void *data) {
    return list(out, loop, c, EPMD_NAMES_REQ, NULL, cb, data);
}

int epmd_ask(epmd_request **out, uv_loop_t *loop, const epmd_config *c,
             epmd_op op, const char *name, epmd_names_cb cb, void *data) {
    int err = op == EPMD_STOP_REQ ? epmd__check_name(name) : 0;

    if (err != 0)
        return err;
    if (op != EPMD_STOP_REQ && op != EPMD_KILL_REQ && op != EPMD_DUMP_REQ)
        return CN_EBADARG;
    return list(out, loop, c, op, op == EPMD_STOP_REQ ? name : NULL, cb, data);
}

void epmd_cancel(epmd_request *r) {
    epmd__link_close(&r->link);
}
