/* SPDX-License-Identifier: Apache-2.0
 *
 * client.c: one exchange with EPMD as a state machine, pure.
 *
 * Happy path: _new encodes the request; the caller writes it and feeds what
 * comes. Each state is named for what it waits for:
 *
 *   EXPECT_ALIVE2  the short reply, then HELD for as long as the link stands
 *   EXPECT_PORT2   the reply, then OVER
 *   EXPECT_NAMES   text to the end of the connection, then OVER
 *   EXPECT_TEXT    the same of KILL, STOP and DUMP, without a port before it
 *   HELD, OVER     nothing: bytes are dropped
 *
 * Failures are latched in err and end in OVER: a reply that cannot be one, is
 * cut by the end of the connection, is late or too long. Replies have no
 * length, so what is kept is bounded by the largest that can be right.
 */
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "epmd/epmd.h"

enum { DEFAULT_TIMEOUT_MS = 10000, NAMES_HEADER = 4 };

typedef enum state {
    EXPECT_ALIVE2,
    EXPECT_PORT2,
    EXPECT_NAMES,
    EXPECT_TEXT,
    HELD,
    OVER
} state;

struct epmd_client {
    const cn_alloc *alloc;
    state state;
    bool pending; /* event is to be handed out */
    epmd_event event;
    cn_error err;
    uint64_t deadline;
    uint32_t timeout_ms;
    size_t max_names;
    cn_buf in;
    size_t out_at, out_len;
    uint8_t out[EPMD_REQ_MAX];
};

static state first_state(epmd_op op) {
    switch (op) {
    case EPMD_ALIVE2_REQ:
        return EXPECT_ALIVE2;
    case EPMD_PORT2_REQ:
        return EXPECT_PORT2;
    case EPMD_NAMES_REQ:
        return EXPECT_NAMES;
    case EPMD_KILL_REQ:
    case EPMD_STOP_REQ:
    case EPMD_DUMP_REQ:
        return EXPECT_TEXT;
    default:
        return OVER;
    }
}

static void configure(epmd_client *c, const epmd_client_config *config,
                      uint64_t now) {
    c->timeout_ms = config->timeout_ms > 0 ? config->timeout_ms
                                           : (uint32_t)DEFAULT_TIMEOUT_MS;
    c->max_names =
        config->max_names > 0 ? config->max_names : (size_t)EPMD_NAMES_MAX;
    c->deadline = now + c->timeout_ms;
    c->alloc = config->alloc;
    cn__buf_init(&c->in, config->alloc);
}

int epmd_client_new(epmd_client **out, const epmd_req *request,
                    const epmd_client_config *config, uint64_t now) {
    static const epmd_client_config standard;
    epmd_client *c;
    int n;

    if (first_state(request->op) == OVER)
        return CN_EBADARG;
    config = config != NULL ? config : &standard;
    c = cn__calloc(config->alloc, 1, sizeof *c);
    if (c == NULL)
        return CN_ENOMEM;
    configure(c, config, now);
    c->state = first_state(request->op);
    n = epmd_put_request(c->out, sizeof c->out, request);
    if (n < 0) {
        epmd_client_free(c);
        return n;
    }
    c->out_len = (size_t)n;
    *out = c;
    return 0;
}

void epmd_client_free(epmd_client *c) {
    if (c == NULL)
        return;
    cn__buf_free(&c->in);
    cn__free(c->alloc, c, 1, sizeof *c);
}

static int fail(epmd_client *c, int code, const char *text) {
    c->state = OVER;
    c->deadline = UINT64_MAX;
    return cn__fail(&c->err, code, 0, "%s", text);
}

static int succeed(epmd_client *c, state next, epmd_event event) {
    c->state = next;
    c->deadline = UINT64_MAX;
    c->event = event;
    c->pending = true;
    return 0;
}

/* --- a function for each state -------------------------------------------- */

static int on_alive2(epmd_client *c) {
    epmd_alive2_reply r;
    int n = epmd_get_alive2_reply(cn__buf_at(&c->in), cn__buf_size(&c->in), &r);

    if (n < 0)
        return fail(c, n, "the answer is not EPMD's");
    if (n == 0)
        return 0;
    if (r.result != 0)
        return fail(c, CN_EEXIST, "EPMD refuses the name: it is in use");
    return succeed(
        c, HELD, (epmd_event){.type = EPMD_EV_ALIVE, .u.creation = r.creation});
}

static int on_port2(epmd_client *c) {
    epmd_port2_reply r;
    int n = epmd_get_port2_reply(cn__buf_at(&c->in), cn__buf_size(&c->in), &r);
    epmd_port2 port2 = {r.node.port, r.node.node_type, r.node.protocol,
                        r.node.highest, r.node.lowest};

    if (n < 0)
        return fail(c, n, "the answer is not EPMD's");
    if (n == 0)
        return 0;
    if (r.result != 0)
        return fail(c, CN_ENOENT, "the name is not registered");
    return succeed(c, OVER,
                   (epmd_event){.type = EPMD_EV_PORT2, .u.port2 = port2});
}

/* The 32 bits at the front are EPMD's own port. They may differ from the one
 * that was connected to, behind a forwarder; but text from some other kind of
 * server never looks like a port. */
static int on_names(epmd_client *c) {
    size_t n = cn__buf_size(&c->in);

    if (n >= NAMES_HEADER && cn__be32(cn__buf_at(&c->in)) > UINT16_MAX)
        return fail(c, CN_EPROTO, "the answer is not EPMD's");
    return 0;
}

static int on_names_end(epmd_client *c) {
    size_t n = cn__buf_size(&c->in);
    epmd_event ev = {.type = EPMD_EV_NAMES};

    if (n < NAMES_HEADER)
        return fail(c, CN_EPROTO, "closed before the answer was whole");
    ev.u.names.text = (const char *)cn__buf_at(&c->in) + NAMES_HEADER;
    ev.u.names.len = n - NAMES_HEADER;
    return succeed(c, OVER, ev);
}

/* Nothing at all is an answer, too: it is not allowed. */
static int on_text_end(epmd_client *c) {
    epmd_event ev = {.type = EPMD_EV_TEXT};

    ev.u.names.text = (const char *)cn__buf_at(&c->in);
    ev.u.names.len = cn__buf_size(&c->in);
    return succeed(c, OVER, ev);
}

/* --- verbs ---------------------------------------------------------------- */

/* Goes on until the end of the connection. */
static bool is_list(const epmd_client *c) {
    return c->state == EXPECT_NAMES || c->state == EXPECT_TEXT;
}

/* Bytes beyond the bound: lists go on for ever, the others had enough to judge
 * long before. */
static size_t room(const epmd_client *c) {
    size_t bound = EPMD_REPLY_MAX;

    if (is_list(c) &&
        __builtin_add_overflow(c->max_names, NAMES_HEADER, &bound))
        bound = SIZE_MAX;
    return bound - cn__buf_size(&c->in);
}

static int judge(epmd_client *c) {
    switch (c->state) {
    case EXPECT_ALIVE2:
        return on_alive2(c);
    case EXPECT_PORT2:
        return on_port2(c);
    case EXPECT_NAMES:
        return on_names(c);
    default:
        return 0;
    }
}

int epmd_client_feed(epmd_client *c, const uint8_t *in, size_t n,
                     uint64_t now) {
    size_t fits;

    if (c->err.code != 0 || c->state == HELD || c->state == OVER || n == 0)
        return c->err.code;
    if (now >= c->deadline)
        return epmd_client_timeout(c, now);
    fits = n < room(c) ? n : room(c);
    if (fits < n && is_list(c))
        return fail(c, CN_ELIMIT, "the list of names is too long");
    if (cn__buf_append(&c->in, in, fits) != 0)
        return fail(c, CN_ENOMEM, cn_strerror(CN_ENOMEM));
    return judge(c);
}

int epmd_client_eof(epmd_client *c) {
    switch (c->state) {
    case EXPECT_ALIVE2:
    case EXPECT_PORT2:
        return fail(c, CN_EPROTO, "closed before the answer was whole");
    case EXPECT_NAMES:
        return on_names_end(c);
    case EXPECT_TEXT:
        return on_text_end(c);
    case HELD:
        return fail(c, CN_ECLOSED, "the connection to EPMD is lost");
    default:
        return c->err.code;
    }
}

/* An event that was reached stays true even when the link broke after it. */
int epmd_client_next(epmd_client *c, epmd_event *ev) {
    if (!c->pending)
        return c->err.code;
    c->pending = false;
    *ev = c->event;
    return 1;
}

size_t epmd_client_output(const epmd_client *c, const uint8_t **out) {
    *out = c->out + c->out_at;
    return c->out_len - c->out_at;
}

void epmd_client_wrote(epmd_client *c, size_t n) {
    size_t left = c->out_len - c->out_at;

    c->out_at += n < left ? n : left;
}

uint64_t epmd_client_deadline(const epmd_client *c) {
    return c->deadline;
}

int epmd_client_timeout(epmd_client *c, uint64_t now) {
    if (c->err.code != 0 || now < c->deadline)
        return c->err.code;
    fail(c, CN_ETIMEDOUT, "");
    return cn__fail(&c->err, CN_ETIMEDOUT, 0, "no answer within %u ms",
                    (unsigned)c->timeout_ms);
}

const cn_error *epmd_client_error(const epmd_client *c) {
    return &c->err;
}
