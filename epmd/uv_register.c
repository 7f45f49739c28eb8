/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_register.c: a registration that comes back by itself.
 *
 * Happy path: ALIVE2 succeeds and the link stays open; EPMD forgets the name
 * when it closes, so closing is all there is to unregistering.
 *
 * Every end of an exchange, be it refused, broken or late, goes to failed():
 * the owner is told when that is news, and the next attempt is set up. The
 * one end that is final is a name that is taken before it ever was ours.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "epmd/uv_link.h"

enum {
    QUICK_MS = 100, /* the first retry: EPMD is often just being restarted */
    FIRST_MS = 1000,
    LAST_MS = 10000,
    STEADY_MS = 10000,   /* held that long, a loss starts over with QUICK_MS;
                          * an EPMD that hangs up at once is not hammered */
    VERSION_HIGHEST = 6, /* what OTP's nodes say, too */
    VERSION_LOWEST = 5,
    UNTOLD = 1 /* no status */
};

struct epmd_registration {
    epmd__link link; /* first: the link's callbacks find the registration */
    char *name;
    uint16_t port;
    bool hidden;
    bool ours;         /* was registered at least once, with creation */
    uint32_t creation; /* the first one */
    unsigned tries;    /* retries since it last was steady */
    uint64_t since;    /* when it was last registered */
    int told;          /* the status the owner knows */
    epmd_alive_cb cb;
    void *data;
    void (*closed)(void *data);
    void *closed_data;
};

static void release(epmd_registration *r) {
    epmd__link_free(&r->link);
    cn__strfree(r->link.alloc, r->name);
    cn__free(r->link.alloc, r, 1, sizeof *r);
}

static void on_closed(epmd__link *l) {
    epmd_registration *r = (epmd_registration *)l;
    void (*closed)(void *) = r->closed;
    void *data = r->closed_data;

    release(r);
    if (closed != NULL)
        closed(data);
}

static void tell(epmd_registration *r, int status, const cn_error *err) {
    bool again = r->told != 0 && r->told != UNTOLD;

    if (status == r->told && status != 0)
        return;
    r->told = status;
    /* Who was told of the trouble is told of its end. */
    cn__log(&r->link.log, status == 0 && !again ? CN_LOG_INFO : CN_LOG_WARN,
            "epmd", "%s: %s", r->name,
            status != 0 ? err->text
            : again     ? "registered now"
                        : "registered");
    r->cb(r->data, status, err, r->creation);
}

static void on_event(epmd__link *l, const epmd_event *ev) {
    static const cn_error none;
    epmd_registration *r = (epmd_registration *)l;

    if (!r->ours)
        r->creation = ev->u.creation;
    r->ours = true;
    r->since = uv_now(l->loop);
    tell(r, 0, &none);
}

/* Half fixed, half by chance, so that the nodes of a host do not return all at
 * once. */
static uint64_t backoff(unsigned tries) {
    uint64_t ms = FIRST_MS;
    uint32_t chance = 0;

    if (tries == 0)
        ms = QUICK_MS;
    for (unsigned i = 1; i < tries && ms < LAST_MS; i++)
        ms *= 2;
    ms = ms < LAST_MS ? ms : (uint64_t)LAST_MS;
    (void)uv_random(NULL, NULL, &chance, sizeof chance, 0, NULL);
    return ms / 2 + chance % (ms / 2 + 1);
}

static void retry(epmd_registration *r) {
    if (r->told == 0 && uv_now(r->link.loop) - r->since >= STEADY_MS)
        r->tries = 0;
    epmd__link_sleep(&r->link, backoff(r->tries));
    r->tries++;
}

/* The owner is told last: it may close. */
static void failed(epmd_registration *r, const cn_error *err) {
    cn_error e = *err;

    if (e.code == CN_ECLOSED)
        e.code = CN_EEPMD;
    cn__wrap(&e, "register %s", r->name);
    if (e.code != CN_EEXIST || r->ours)
        retry(r);
    tell(r, e.code, &e);
}

static void on_end(epmd__link *l, const cn_error *err) {
    failed((epmd_registration *)l, err);
}

static int start(epmd_registration *r) {
    epmd_req request = {
        .op = EPMD_ALIVE2_REQ,
        .node = {.port = r->port,
                 .node_type = r->hidden ? EPMD_NODE_HIDDEN : EPMD_NODE_NORMAL,
                 .highest = VERSION_HIGHEST,
                 .lowest = VERSION_LOWEST,
                 .name = {(const uint8_t *)r->name, strlen(r->name)}}};

    return epmd__link_start(&r->link, &request);
}

static void on_wake(epmd__link *l) {
    epmd_registration *r = (epmd_registration *)l;
    int code = start(r);
    cn_error err;

    if (code == 0)
        return;
    cn__fail(&err, code, 0, "%s", cn_strerror(code));
    failed(r, &err);
}

static const epmd__link_ops registration_ops = {.on_event = on_event,
                                                .on_end = on_end,
                                                .on_wake = on_wake,
                                                .on_closed = on_closed};

static int fill(epmd_registration *r, uv_loop_t *loop, const epmd_alive *a) {
    int err = epmd__link_init(&r->link, loop, &a->epmd, &registration_ops);

    r->port = a->port;
    r->hidden = a->hidden;
    r->told = UNTOLD;
    r->name = cn__strdup(a->epmd.alloc, a->name);
    return r->name == NULL ? CN_ENOMEM : err;
}

int epmd_register(epmd_registration **out, uv_loop_t *loop, const epmd_alive *a,
                  epmd_alive_cb cb, void *data) {
    int err = a == NULL ? CN_EBADARG : epmd__check_name(a->name);
    epmd_registration *r;

    if (err != 0)
        return err;
    r = cn__calloc(a->epmd.alloc, 1, sizeof *r);
    if (r == NULL)
        return CN_ENOMEM;
    r->cb = cb;
    r->data = data;
    err = fill(r, loop, a);
    if (err == 0)
        err = start(r);
    if (err != 0)
        release(r);
    else
        *out = r;
    return err;
}

void epmd_registration_close(epmd_registration *r, void (*closed)(void *data),
                             void *data) {
    r->closed = closed;
    r->closed_data = data;
    epmd__link_close(&r->link);
}
