/* SPDX-License-Identifier: Apache-2.0
 *
 * conn.c: one connection: first the handshake (handshake.c), then frames
 * (conn_in.c, conn_out.c) and ticks.
 *
 * Failures: the first one is kept in `error` and every later call returns it.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "cnode/conn_parts.h"
#include "cnode/control.h"
#include "cnode/sized.h"

enum {
    DEFAULT_FRAME = 128 << 20,
    DEFAULT_QUEUE = 256 << 20,
    DEFAULT_SETUP = 7000,
    DEFAULT_TICKTIME = 60000,
    DEFAULT_INTENSITY = 4
};

uint64_t cnode_conn_flags(void) {
    return CNODE__MANDATORY | CNODE_FLAG_DIST_MONITOR |
           CNODE_FLAG_DIST_MONITOR_NAME | CNODE_FLAG_UNICODE_IO |
           CNODE_FLAG_SMALL_ATOM_TAGS | CNODE_FLAG_SEND_SENDER |
           CNODE_FLAG_BIG_SEQTRACE_LABELS | CNODE_FLAG_EXIT_PAYLOAD |
           CNODE_FLAG_UNLINK_ID | CNODE_FLAG_MANDATORY_25_DIGEST |
           CNODE_FLAG_SPAWN | CNODE_FLAG_V4_NC | CNODE_FLAG_ALIAS |
           CNODE_FLAG_ALTACT_SIG | CNODE_FLAG_DIST_HDR_ATOM_CACHE |
           CNODE_FLAG_FRAGMENTS;
}

size_t cnode_flags_print(uint64_t flags, char *out, size_t cap) {
    static const struct {
        const char *name;
        unsigned bit;
    } names[] = {
#define FLAG_NAME(name, bit) {#name, (bit)},
        CNODE_FLAG_MAP(FLAG_NAME)
#undef FLAG_NAME
    };
    size_t len = 0;

    if (cap > 0)
        out[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t room = len < cap ? cap - len : 0;
        int n;
        if ((flags >> names[i].bit & 1) == 0)
            continue;
        n = snprintf(room == 0 ? NULL : out + len, room, "%s%s",
                     len == 0 ? "" : " ", names[i].name);
        len += n > 0 ? (size_t)n : 0;
    }
    return len;
}

static void set_defaults(cnode_conn_config *c) {
    if (c->setup_ms == 0)
        c->setup_ms = DEFAULT_SETUP;
    if (c->ticktime_ms == 0)
        c->ticktime_ms = DEFAULT_TICKTIME;
    if (c->intensity == 0)
        c->intensity = DEFAULT_INTENSITY;
    if (c->max_frame == 0)
        c->max_frame = DEFAULT_FRAME;
    if (c->max_queue == 0)
        c->max_queue = DEFAULT_QUEUE;
}

cnode__rules *cnode__rules_new(const cnode_conn_config *config) {
    cnode__rules *r = cn__calloc(&config->alloc, 1, sizeof *r);

    if (r == NULL)
        return NULL;
    r->refs = 1;
    r->config = *config;
    set_defaults(&r->config);
    etf_writer_init(&r->writer, &r->config.alloc);
    r->blobs.alloc = cn__alloc(&r->config.alloc);
    return r;
}

/* Not all nodes of a machine at once. */
void cnode__rules_in_step(cnode__rules *r) {
    r->in_step = true;
    r->phase = r->config.challenge;
}

void cnode__rules_drop(cnode__rules *r) {
    cn_alloc alloc;

    if (r == NULL || --r->refs > 0)
        return;
    alloc = r->config.alloc;
    etf_writer_free(&r->writer);
    cnode__blobs_trim(&r->blobs);
    cn__free(&alloc, r, 1, sizeof *r);
}

int cnode_conn_new(cnode_conn **out, const cnode_conn_config *config,
                   uint64_t now) {
    cnode__rules *rules;
    int err;

    *out = NULL;
    if (config == NULL)
        return CN_EBADARG;
    rules = cnode__rules_new(config);
    if (rules == NULL)
        return CN_ENOMEM;
    err = cnode__conn_new(out, rules, config, now);
    cnode__rules_drop(rules);
    return err;
}

/* --- what kills it ------------------------------------------------------- */

/* Never written to. */
static cn_error no_memory = {CN_ENOMEM, 0, "out of memory"};

cn_error *cnode__conn_why(cnode_conn *c) {
    if (c->error == NULL)
        c->error = cn__calloc(&c->rules->config.alloc, 1, sizeof *c->error);
    if (c->error == NULL)
        c->error = &no_memory;
    return c->error;
}

int cnode__conn_fail(cnode_conn *c, int code, const char *fmt, ...) {
    cn_error *e = cnode__conn_why(c);
    va_list ap;

    if (e == &no_memory)
        return e->code;
    e->code = code;
    va_start(ap, fmt);
    (void)vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    return code;
}

static void free_error(cnode_conn *c) {
    if (c->error != &no_memory)
        cn__free(&c->rules->config.alloc, c->error, 1, sizeof *c->error);
    c->error = NULL;
}

/* Room for a reason is there during the handshake and while signals are taken
 * apart, for that is where most things go wrong. */
void cnode__conn_relax(cnode_conn *c) {
    if (!cnode__conn_dead(c) && c->greeting == NULL && c->work == NULL)
        free_error(c);
}

/* --- birth and death ----------------------------------------------------- */

static int greet(cnode_conn *c, const cnode_conn_config *config, uint64_t now) {
    const cn_alloc *alloc = &c->rules->config.alloc;
    cnode__greeting *g = cn__calloc(alloc, 1, sizeof *g);

    c->greeting = g;
    if (g == NULL || cnode__conn_why(c)->code != 0)
        return CN_ENOMEM;
    g->began = now;
    cn__buf_init(&g->out, alloc);
    cn__buf_init(&g->lent, alloc);
    return cnode__hs_init(&g->hs, config, &g->out, c->error);
}

int cnode__conn_new(cnode_conn **out, cnode__rules *rules,
                    const cnode_conn_config *config, uint64_t now) {
    const cnode_conn_config *own = &rules->config;
    cnode_conn *c = cn__calloc(&own->alloc, 1, sizeof *c);
    int err;

    *out = NULL;
    if (c == NULL)
        return CN_ENOMEM;
    c->rules = rules;
    rules->refs++;
    c->frame_ctx = config->frame_ctx;
    cnode__conn_in_init(c);
    cnode__out_init(&c->queue, &rules->blobs);
    c->stride = CNODE__FRAGMENT_SIZE;
    c->interval = own->ticktime_ms / own->intensity +
                  (own->ticktime_ms % own->intensity != 0);
    c->fed_at = now;
    c->deadline = now + own->setup_ms;
    err = greet(c, config, now);
    if (err != 0) {
        cnode_conn_free(c);
        return err;
    }
    if (config->capture != NULL)
        c->tap =
            cnode__tap_new(config->capture, config->initiator, config->name);
    *out = c;
    return 0;
}

/* The peer has had time to read what it was told. */
static void end_greeting(cnode_conn *c) {
    cnode__greeting *g = c->greeting;

    if (g == NULL)
        return;
    cnode__hs_free(&g->hs);
    cn__buf_free(&g->out);
    cn__buf_free(&g->lent);
    cn__free(&c->rules->config.alloc, g, 1, sizeof *g);
    c->greeting = NULL;
}

void cnode_conn_free(cnode_conn *c) {
    cnode__rules *rules;
    cn_alloc alloc;

    if (c == NULL)
        return;
    rules = c->rules;
    alloc = rules->config.alloc;
    cnode__tap_free(c->tap, cnode_conn_error(c)->text);
    end_greeting(c);
    cnode__conn_in_free(c);
    cnode__conn_out_free(c);
    cn__strfree(&alloc, c->peer);
    free_error(c);
    cn__free(&alloc, c, 1, sizeof *c);
    cnode__rules_drop(rules);
}

/* --- events -------------------------------------------------------------- */

static void fill_event(const cnode_conn *c, cnode_event *ev,
                       cnode_event_type type) {
    *ev = (cnode_event){
        .type = type,
        .peer = cnode_conn_peer(c),
        .peer_flags = c->peer_flags,
        .peer_creation = c->peer_creation,
        .ctrl = type == CNODE_EV_SIGNAL ? &c->work->ctrl : NULL,
    };
}

/* One of the handshake. */
static void fill_greeting(cnode_conn *c, cnode_event *ev,
                          cnode_event_type type) {
    const cnode__hs *h = &c->greeting->hs;

    c->peer_flags = h->peer_flags;
    c->peer_creation = h->peer_creation;
    fill_event(c, ev, type);
    ev->name = h->name;
    ev->creation = h->creation;
    if (type == CNODE_EV_NAME && h->dynamic_name)
        ev->name = h->peer, ev->peer = "";
}

/* One step of the handshake: 1 a step was made, 0 more bytes are needed. */
static int step_handshake(cnode_conn *c) {
    cnode__hs *h = &c->greeting->hs;
    const uint8_t *p = cn__buf_at(&c->in);
    int64_t n = cnode__hs_measure(h, p, cn__buf_size(&c->in));
    int err;

    if (n <= 0)
        return (int)n;
    err = cnode__hs_message(h, p + 2, (size_t)n - 2);
    cn__buf_consume(&c->in, (size_t)n, CNODE__KEEP_BUFFER);
    /* Whole messages count, not bytes: a peer that trickles is cut off. */
    c->deadline = c->fed_at + c->rules->config.setup_ms;
    return err != 0 ? err : 1;
}

static int next_handshake(cnode_conn *c, cnode_event *ev) {
    cnode__greeting *g = c->greeting;
    int step = 1;

    while (step == 1 && g->hs.state != HS_DONE &&
           g->hs.state != HS_EXPECT_ANSWER)
        step = step_handshake(c);
    if (step < 0)
        return step;
    if (g->hs.state == HS_EXPECT_ANSWER && !g->name_told) {
        g->name_told = true;
        fill_greeting(c, ev, CNODE_EV_NAME);
        return 1;
    }
    return 0;
}

static void log_flags(const cnode_conn *c) {
    char flags[512];

    if (!cn__logs(&c->rules->config.log, CN_LOG_DEBUG))
        return;
    (void)cnode_flags_print(c->common, flags, sizeof flags);
    cn__log_line(&c->rules->config.log, CN_LOG_DEBUG, "conn",
                 "%s: both know %s", c->peer, flags);
}

/* The next time to look at the peer. */
static uint64_t next_look(const cnode_conn *c, uint64_t now) {
    uint64_t at = now + c->interval;

    if (!c->rules->in_step)
        return at;
    return at - (at - c->rules->phase % c->interval) % c->interval;
}

/* The handshake just ended: from now on there are ticks. */
static int come_up(cnode_conn *c, cnode_event *ev) {
    const cnode__hs *h = &c->greeting->hs;

    c->peer = cn__strdup(&c->rules->config.alloc, h->peer);
    if (c->peer == NULL)
        return cnode__conn_fail(c, CN_ENOMEM, "out of memory");
    c->up = true;
    c->common = h->flags & h->peer_flags;
    c->deadline = next_look(c, c->fed_at);
    c->heard = c->spoke = true;
    if (cn__buf_size(&c->in) == 0)
        cn__buf_free(&c->in);
    fill_greeting(c, ev, CNODE_EV_UP);
    log_flags(c);
    return 1;
}

void cnode__conn_greeted(cnode_conn *c) {
    const cnode__greeting *g = c->greeting;

    if (!c->up || g == NULL || cn__buf_size(&g->out) > 0 ||
        cn__buf_size(&g->lent) > 0)
        return;
    end_greeting(c);
    cnode__conn_relax(c);
}

void cnode__conn_trace(cnode_conn *c, bool in, const cnode_ctrl *ctrl) {
    char text[512];

    if (c->rules->config.on_frame == NULL)
        return;
    (void)cnode__ctrl_print(ctrl, text, sizeof text);
    c->rules->config.on_frame(c->frame_ctx, in, text, ctrl->term);
}

void cnode__conn_resume(cnode_conn *c, uint64_t flags, uint64_t peer_flags) {
    cnode_event ev;

    cnode__hs *h = &c->greeting->hs;

    h->flags = flags;
    h->peer_flags = peer_flags;
    h->state = HS_DONE;
    (void)come_up(c, &ev);
}

void cnode__conn_said(cnode_conn *c, const cnode_ctrl *ctrl, uint8_t op) {
    size_t queued = cnode_conn_queued(c);
    cnode_ctrl said;

    c->stats.signals_out++;
    if (queued > c->stats.queued_high)
        c->stats.queued_high = queued;
    if (c->rules->config.on_frame == NULL)
        return;
    said = *ctrl;
    said.op = op;
    cnode__conn_trace(c, false, &said);
}

static int dies(cnode_conn *c, int r) {
    if (r < 0 && !cnode__conn_dead(c))
        (void)cnode__conn_fail(c, r, "%s", cn_strerror(r));
    return r;
}

int cnode__conn_signal(cnode_conn *c, const cnode_ctrl **ctrl) {
    int r;

    if (cnode__conn_dead(c))
        return c->error->code;
    if (c->greeting != NULL)
        cnode__conn_greeted(c);
    r = cnode__conn_next_signal(c);
    if (r != 1)
        return dies(c, r);
    c->stats.signals_in++;
    *ctrl = &c->work->ctrl;
    return 1;
}

static int next_greeting(cnode_conn *c, cnode_event *ev) {
    int r;

    if (cnode__conn_dead(c))
        return c->error->code;
    r = next_handshake(c, ev);
    if (r == 0 && c->greeting->hs.state == HS_DONE)
        r = come_up(c, ev);
    return dies(c, r);
}

int cnode_conn_next(cnode_conn *c, cnode_event *ev) {
    const cnode_ctrl *ctrl;
    int r;

    if (!c->up)
        return next_greeting(c, ev);
    r = cnode__conn_signal(c, &ctrl);
    if (r == 1)
        fill_event(c, ev, CNODE_EV_SIGNAL);
    return r;
}

int cnode_conn_answer(cnode_conn *c, cnode_answer a, const char *cookie,
                      const char *name, uint32_t creation) {
    int err;

    if (cnode__conn_dead(c))
        return c->error->code;
    err = c->up ? CN_EBUG
                : cnode__hs_answer(&c->greeting->hs, a, cookie, name, creation);
    if (err != 0 && !cnode__conn_dead(c))
        (void)cnode__conn_fail(c, err, "%s", cn_strerror(err));
    return err;
}

void cnode_conn_hide(cnode_conn *c) {
    if (!c->up && c->greeting->hs.state == HS_EXPECT_ANSWER)
        c->greeting->hs.flags &= ~CNODE_FLAG_PUBLISHED;
}

static uint64_t since(uint64_t then, uint64_t now) {
    return now > then ? now - then : 0;
}

int cnode_conn_eof(cnode_conn *c, uint64_t now) {
    if (cnode__conn_dead(c))
        return c->error->code;
    if (!c->up)
        return cnode__hs_ended(&c->greeting->hs, since(c->greeting->began, now),
                               since(c->fed_at, now));
    return cnode__conn_fail(c, CN_ECLOSED, "%s",
                            cnode__conn_in_part(c)
                                ? "the peer closed the connection inside a "
                                  "message"
                                : "the peer closed the connection");
}

/* --- time ---------------------------------------------------------------- */

uint64_t cnode_conn_deadline(const cnode_conn *c) {
    return c->deadline;
}

static int send_tick(cnode_conn *c) {
    if (cnode__conn_put_tick(c) != 0)
        return cnode__conn_fail(c, CN_ENOMEM, "out of memory");
    c->tick_left = 4; /* there is nothing in front of it */
    c->stats.ticks_out++;
    cn__log(&c->rules->config.log, CN_LOG_DEBUG, "conn", "%s: tick", c->peer);
    return 0;
}

int cnode_conn_timeout(cnode_conn *c, uint64_t now) {
    bool tick;

    if (cnode__conn_dead(c))
        return c->error->code;
    if (now < c->deadline)
        return 0;
    if (!c->up)
        return cnode__hs_silent(&c->greeting->hs);
    c->silent = c->heard ? 0 : c->silent + 1;
    if (c->silent >= c->rules->config.intensity)
        return cnode__conn_fail(c, CN_ETIMEDOUT,
                                "nothing was heard for %" PRIu64 " ms "
                                "(net_tick_timeout)",
                                (uint64_t)c->silent * c->interval);
    tick = (!c->spoke || !c->heard) && cnode_conn_queued(c) == 0;
    if (!c->spoke)
        cnode__conn_trim_output(c);
    c->heard = c->spoke = false;
    cnode__conn_in_rest(c);
    cnode__conn_relax(c);
    c->deadline = next_look(c, now);
    return tick ? send_tick(c) : 0;
}

/* --- what it is ---------------------------------------------------------- */

bool cnode_conn_up(const cnode_conn *c) {
    return c->up && !cnode__conn_dead(c);
}

uint64_t cnode_conn_common_flags(const cnode_conn *c) {
    return c->common;
}

const char *cnode_conn_peer(const cnode_conn *c) {
    return c->peer != NULL ? c->peer : c->greeting->hs.peer;
}

void cnode_conn_get_stats_sized(const cnode_conn *c, cnode_conn_stats *out,
                                size_t size) {
    cnode__copy_sized(out, size, &c->stats, sizeof c->stats);
}

const cn_error *cnode_conn_error(const cnode_conn *c) {
    static const cn_error none = {0};

    return c->error != NULL ? c->error : &none;
}
