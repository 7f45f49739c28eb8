/* SPDX-License-Identifier: Apache-2.0
 *
 * conn.c: one connection: first the handshake (handshake.c), then frames
 * (conn_in.c, conn_out.c) and ticks.
 *
 * Failures: the first one is kept in `error` and every later call returns it.
 */
#include <inttypes.h>
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

int cnode_conn_new(cnode_conn **out, const cnode_conn_config *config,
                   uint64_t now) {
    cnode_conn *c = cn__calloc(&config->alloc, 1, sizeof *c);
    const cn_alloc *alloc;
    int err;

    *out = NULL;
    if (c == NULL)
        return CN_ENOMEM;
    c->config = *config;
    set_defaults(&c->config);
    alloc = &c->config.alloc;
    cnode__conn_in_init(c);
    cn__buf_init(&c->out, alloc);
    cn__buf_init(&c->lent, alloc);
    cnode__out_init(&c->queue, alloc);
    cnode__out_cache_init(&c->out_cache, alloc);
    cnode__flows_init(c);
    etf_writer_init(&c->writer, cn__alloc(alloc));
    c->interval = c->config.ticktime_ms / c->config.intensity +
                  (c->config.ticktime_ms % c->config.intensity != 0);
    c->deadline = now + c->config.setup_ms;
    err = cnode__hs_init(&c->hs, config, &c->out, &c->error);
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

void cnode_conn_free(cnode_conn *c) {
    cn_alloc alloc;

    if (c == NULL)
        return;
    alloc = c->config.alloc;
    cnode__tap_free(c->tap, c->error.text);
    cnode__hs_free(&c->hs);
    cnode__conn_in_free(c);
    cn__buf_free(&c->out);
    cn__buf_free(&c->lent);
    cnode__flows_free(c);
    cnode__out_free(&c->queue);
    cnode__out_cache_clear(&c->out_cache);
    etf_writer_free(&c->writer);
    cn__free(&alloc, c, 1, sizeof *c);
}

/* --- events -------------------------------------------------------------- */

static void fill_event(const cnode_conn *c, cnode_event *ev,
                       cnode_event_type type) {
    *ev = (cnode_event){
        .type = type,
        .peer = c->hs.peer,
        .peer_flags = c->hs.peer_flags,
        .peer_creation = c->hs.peer_creation,
        .name = c->hs.name,
        .creation = c->hs.creation,
        .ctrl = type == CNODE_EV_SIGNAL ? &c->work->ctrl : NULL,
    };
}

/* One step of the handshake: 1 a step was made, 0 more bytes are needed. */
static int step_handshake(cnode_conn *c) {
    const uint8_t *p = cn__buf_at(&c->in);
    int64_t n = cnode__hs_measure(&c->hs, p, cn__buf_size(&c->in));
    int err;

    if (n <= 0)
        return (int)n;
    err = cnode__hs_message(&c->hs, p + 2, (size_t)n - 2);
    cn__buf_consume(&c->in, (size_t)n, CNODE__KEEP_BUFFER);
    /* Whole messages count, not bytes: a peer that trickles is cut off. */
    c->deadline = c->fed_at + c->config.setup_ms;
    return err != 0 ? err : 1;
}

static int next_handshake(cnode_conn *c, cnode_event *ev) {
    int step = 1;

    while (step == 1 && c->hs.state != HS_DONE &&
           c->hs.state != HS_EXPECT_ANSWER)
        step = step_handshake(c);
    if (step < 0)
        return step;
    if (c->hs.state == HS_EXPECT_ANSWER && !c->name_told) {
        c->name_told = true;
        fill_event(c, ev, CNODE_EV_NAME);
        if (c->hs.dynamic_name)
            ev->name = c->hs.peer, ev->peer = "";
        return 1;
    }
    return 0;
}

static void log_flags(const cnode_conn *c) {
    char flags[512];

    if (!cn__logs(&c->config.log, CN_LOG_DEBUG))
        return;
    (void)cnode_flags_print(cnode_conn_common_flags(c), flags, sizeof flags);
    cn__log_line(&c->config.log, CN_LOG_DEBUG, "conn", "%s: both know %s",
                 c->hs.peer, flags);
}

/* The handshake just ended: from now on there are ticks. */
static int come_up(cnode_conn *c, cnode_event *ev) {
    c->up = true;
    c->deadline = c->fed_at + c->interval;
    c->heard = c->spoke = true;
    fill_event(c, ev, CNODE_EV_UP);
    log_flags(c);
    return 1;
}

void cnode__conn_trace(cnode_conn *c, bool in, const cnode_ctrl *ctrl) {
    char text[512];

    if (c->config.on_frame == NULL)
        return;
    (void)cnode__ctrl_print(ctrl, text, sizeof text);
    c->config.on_frame(c->config.frame_ctx, in, text, ctrl->term);
}

void cnode__conn_resume(cnode_conn *c, uint64_t flags, uint64_t peer_flags) {
    cnode_event ev;

    c->hs.flags = flags;
    c->hs.peer_flags = peer_flags;
    c->hs.state = HS_DONE;
    (void)come_up(c, &ev);
}

void cnode__conn_said(cnode_conn *c, const cnode_ctrl *ctrl, uint8_t op) {
    size_t queued = cnode_conn_queued(c);
    cnode_ctrl said;

    c->stats.signals_out++;
    if (queued > c->stats.queued_high)
        c->stats.queued_high = queued;
    if (c->config.on_frame == NULL)
        return;
    said = *ctrl;
    said.op = op;
    cnode__conn_trace(c, false, &said);
}

int cnode_conn_next(cnode_conn *c, cnode_event *ev) {
    int r;

    if (c->error.code != 0)
        return c->error.code;
    if (!c->up) {
        r = next_handshake(c, ev);
        if (r == 0 && c->hs.state == HS_DONE)
            r = come_up(c, ev);
    } else {
        r = cnode__conn_next_signal(c);
        c->stats.signals_in += r == 1;
        if (r == 1)
            fill_event(c, ev, CNODE_EV_SIGNAL);
    }
    if (r < 0 && c->error.code == 0)
        (void)cn__fail(&c->error, r, 0, "%s", cn_strerror(r));
    return r;
}

int cnode_conn_answer(cnode_conn *c, cnode_answer a, const char *cookie,
                      const char *name, uint32_t creation) {
    int err;

    if (c->error.code != 0)
        return c->error.code;
    err = cnode__hs_answer(&c->hs, a, cookie, name, creation);
    if (err != 0 && c->error.code == 0)
        (void)cn__fail(&c->error, err, 0, "%s", cn_strerror(err));
    return err;
}

void cnode_conn_hide(cnode_conn *c) {
    if (c->hs.state == HS_EXPECT_ANSWER)
        c->hs.flags &= ~CNODE_FLAG_PUBLISHED;
}

int cnode_conn_eof(cnode_conn *c) {
    if (c->error.code != 0)
        return c->error.code;
    if (!c->up)
        return cnode__hs_ended(&c->hs, false);
    return cn__fail(&c->error, CN_ECLOSED, 0,
                    cnode__conn_in_part(c)
                        ? "the peer closed the connection inside a message"
                        : "the peer closed the connection");
}

/* --- time ---------------------------------------------------------------- */

uint64_t cnode_conn_deadline(const cnode_conn *c) {
    return c->deadline;
}

static int send_tick(cnode_conn *c) {
    if (cnode__conn_put_tick(c) != 0)
        return cn__fail(&c->error, CN_ENOMEM, 0, "out of memory");
    c->tick_left = 4; /* there is nothing in front of it */
    c->stats.ticks_out++;
    cn__log(&c->config.log, CN_LOG_DEBUG, "conn", "%s: tick", c->hs.peer);
    return 0;
}

int cnode_conn_timeout(cnode_conn *c, uint64_t now) {
    bool tick;

    if (c->error.code != 0)
        return c->error.code;
    if (now < c->deadline)
        return 0;
    if (!c->up)
        return cnode__hs_ended(&c->hs, true);
    c->silent = c->heard ? 0 : c->silent + 1;
    if (c->silent >= c->config.intensity)
        return cn__fail(&c->error, CN_ETIMEDOUT, 0,
                        "nothing was heard for %" PRIu64 " ms "
                        "(net_tick_timeout)",
                        (uint64_t)c->silent * c->interval);
    tick = (!c->spoke || !c->heard) && cnode_conn_queued(c) == 0;
    if (!c->spoke)
        cnode__conn_trim_output(c);
    c->heard = c->spoke = false;
    cnode__conn_in_rest(c);
    c->deadline = now + c->interval;
    return tick ? send_tick(c) : 0;
}

/* --- what it is ---------------------------------------------------------- */

bool cnode_conn_up(const cnode_conn *c) {
    return c->up && c->error.code == 0;
}

uint64_t cnode_conn_common_flags(const cnode_conn *c) {
    return c->hs.flags & c->hs.peer_flags;
}

const char *cnode_conn_peer(const cnode_conn *c) {
    return c->hs.peer;
}

void cnode_conn_get_stats_sized(const cnode_conn *c, cnode_conn_stats *out,
                                size_t size) {
    cnode__copy_sized(out, size, &c->stats, sizeof c->stats);
}

const cn_error *cnode_conn_error(const cnode_conn *c) {
    return &c->error;
}
