/* SPDX-License-Identifier: Apache-2.0
 *
 * conn_test.c: a whole connection. Two of them joined by memory and a clock of
 * their own, whole, byte by byte and with every allocation failing; then one
 * against recorded bytes of OTP 25, and against peers that send what they must
 * not, stop, or are silent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cnode/conn_parts.h"
#include "cnode/control.h"
#include "cnode/handshake.h"
#include "tests/unit/support.h"

/* --- two connections joined ---------------------------------------------- */

typedef struct scene {
    const char *what;
    cnode_conn_config a; /* merged into the usual; see config_of */
    const char *b_name;  /* when it is not b@h */
    cnode_answer answer;
    const char *cookie; /* that b knows */
    const char *given;
    const char *log; /* what happens */
} scene;

typedef struct pair {
    const scene *s;
    cnode_conn *a, *b;
    uint64_t now;
    size_t step; /* bytes that one feed gets */
    size_t len;
    char log[4096];
    int err; /* the first error of either side */
    etf_view payload;
} pair;

static void note(pair *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void note(pair *p, const char *fmt, ...) {
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(p->log + p->len, sizeof p->log - p->len, fmt, ap);
    va_end(ap);
    assert_true(n > 0 && (size_t)n + 2 < sizeof p->log - p->len);
    p->len += (size_t)n;
    memcpy(p->log + p->len, "\n", 2);
    p->len++;
}

static void assert_log(pair *p, const char *want) {
    if (strcmp(p->log, want) != 0)
        fail_msg("%s (steps of %zu):\nwant:\n%sgot:\n%s",
                 p->s != NULL ? p->s->what : "", p->step, want, p->log);
    p->log[0] = '\0';
    p->len = 0;
}

static const char *event_text(const cnode_event *ev) {
    static char text[512];

    if (ev->type == CNODE_EV_SIGNAL)
        (void)cnode__ctrl_print(ev->ctrl, text, sizeof text);
    else if (ev->type == CNODE_EV_UP)
        snprintf(text, sizeof text, "up %s %u, here %s %u", ev->peer,
                 (unsigned)ev->peer_creation, ev->name, (unsigned)ev->creation);
    else
        snprintf(text, sizeof text, "name '%s' '%s'", ev->peer, ev->name);
    return text;
}

static int dead(pair *p, cnode_conn *c) {
    const cn_error *e = cnode_conn_error(c);

    note(p, "%s dead %s: %s", c == p->a ? "a" : "b", cn_errname(e->code),
         e->text);
    if (p->err == 0)
        p->err = e->code;
    return e->code;
}

static int pull(pair *p, cnode_conn *c) {
    cnode_event ev;
    int r;

    while ((r = cnode_conn_next(c, &ev)) == 1) {
        note(p, "%s %s", c == p->a ? "a" : "b", event_text(&ev));
        if (ev.type == CNODE_EV_NAME &&
            cnode_conn_answer(c, p->s->answer, p->s->cookie, p->s->given, 99) !=
                0)
            return dead(p, c);
    }
    return r < 0 ? dead(p, c) : 0;
}

/* The first piece of what is to be written, or NULL. */
static const uint8_t *output(cnode_conn *c, size_t *n) {
    cn_slice v = {NULL, 0};

    (void)cnode_conn_output(c, &v, 1);
    *n = v.len;
    return v.data;
}

/* One piece from one side to the other; how many bytes it had. */
static size_t carry(pair *p, cnode_conn *from, cnode_conn *to) {
    size_t n;
    const uint8_t *out = output(from, &n);

    if (n > p->step)
        n = p->step;
    if (n == 0)
        return 0;
    if (cnode_conn_feed(to, out, n, p->now) != 0)
        (void)dead(p, to);
    (void)pull(p, to); /* which may look into what was fed */
    cnode_conn_wrote(from, n);
    return n;
}

/* Until nothing moves, or a side is dead and its last words are said. */
static void pump(pair *p) {
    size_t moved;

    do {
        moved = 0;
        if (cnode_conn_error(p->b)->code == 0)
            moved += carry(p, p->a, p->b);
        if (cnode_conn_error(p->a)->code == 0)
            moved += carry(p, p->b, p->a);
    } while (moved > 0);
    if (p->err == 0)
        return;
    if (cnode_conn_error(p->a)->code == 0) {
        (void)cnode_conn_eof(p->a, 0);
        (void)dead(p, p->a);
    } else if (cnode_conn_error(p->b)->code == 0) {
        (void)cnode_conn_eof(p->b, 0);
        (void)dead(p, p->b);
    }
}

static cnode_conn_config config_of(const scene *s, bool initiator,
                                   const cn_alloc *alloc) {
    cnode_conn_config c = s->a;

    c.initiator = initiator;
    c.flags = c.flags != 0 ? c.flags : cnode_conn_flags();
    if (alloc != NULL)
        c.alloc = *alloc;
    if (initiator) {
        c.name = c.name != NULL ? c.name : "a@h";
        c.cookie = "abc";
        c.creation = 11;
        c.peer = "b@h";
        c.challenge = 0xfffffffe;
    } else {
        c.name = s->b_name != NULL ? s->b_name : "b@h";
        c.creation = 22;
        c.challenge = 1;
        c.dynamic_name = false;
    }
    return c;
}

static int join_up(pair *p, const scene *s, size_t step,
                   const cn_alloc *alloc) {
    cnode_conn_config a = config_of(s, true, alloc);
    cnode_conn_config b = config_of(s, false, alloc);
    int err;

    *p = (pair){.s = s, .step = step};
    err = cnode_conn_new(&p->a, &a, p->now);
    if (err == 0)
        err = cnode_conn_new(&p->b, &b, p->now);
    if (err == 0)
        pump(p);
    return err;
}

static void part(pair *p) {
    cnode_conn_free(p->a);
    cnode_conn_free(p->b);
}

#define CLOSED(who, what)                                                      \
    who " dead CN_ECLOSED: handshake: the peer closed the connection, waited " \
        "for its " what "\n"

static const scene scenes[] = {
    {"good",
     {0},
     NULL,
     CNODE_ANSWER_OK,
     "abc",
     NULL,
     "b name 'a@h' 'b@h'\nb up a@h 11, here b@h 22\n"
     "a up b@h 22, here a@h 11\n"},
    {"simultaneous",
     {0},
     NULL,
     CNODE_ANSWER_OK_SIMULTANEOUS,
     "abc",
     NULL,
     "b name 'a@h' 'b@h'\nb up a@h 11, here b@h 22\n"
     "a up b@h 22, here a@h 11\n"},
    {"given name",
     {.dynamic_name = true, .name = "h"},
     NULL,
     CNODE_ANSWER_NAMED,
     "abc",
     "x@h",
     "b name '' 'h'\nb up x@h 99, here b@h 22\na up b@h 22, here x@h 99\n"},
    {"taken over",
     {.takeover = true},
     NULL,
     CNODE_ANSWER_ALIVE,
     "abc",
     NULL,
     "b name 'a@h' 'b@h'\nb up a@h 11, here b@h 22\n"
     "a up b@h 22, here a@h 11\n"},
    {"alive",
     {0},
     NULL,
     CNODE_ANSWER_ALIVE,
     "abc",
     NULL,
     "b name 'a@h' 'b@h'\n"
     "a dead CN_EEXIST: handshake: a node named a@h is connected there "
     "already\n"
     "b dead CN_ECANCELED: handshake: the peer keeps its other connection\n"},
    {"nok",
     {0},
     NULL,
     CNODE_ANSWER_NOK,
     "abc",
     NULL,
     "b name 'a@h' 'b@h'\n"
     "b dead CN_ECANCELED: handshake: this node is connecting there itself\n"
     "a dead CN_ECANCELED: handshake: the peer is connecting here itself\n"},
    {"not allowed",
     {0},
     NULL,
     CNODE_ANSWER_NOT_ALLOWED,
     NULL,
     NULL,
     "b name 'a@h' 'b@h'\n"
     "b dead CN_ENOTALLOWED: handshake: the peer is not allowed here\n"
     "a dead CN_ENOTALLOWED: handshake: the peer does not allow the node "
     "a@h\n"},
    {"other cookies",
     {0},
     NULL,
     CNODE_ANSWER_OK,
     "abd",
     NULL,
     "b name 'a@h' 'b@h'\n"
     "b dead CN_ECOOKIE: handshake: the peer has another cookie\n"
     "a dead CN_ECOOKIE: handshake: the cookie was rejected by the peer: it "
     "closed the connection at our answer to its challenge\n"},
    {"other name",
     {0},
     "b@i",
     CNODE_ANSWER_OK,
     "abc",
     NULL,
     "b name 'a@h' 'b@i'\n"
     "a dead CN_EPROTO: handshake: it says that its name is 'b@i'\n" CLOSED(
         "b", "challenge_reply")},
    {"flags missing",
     {.flags = CNODE__MANDATORY & ~UINT64_C(0x20000)},
     NULL,
     CNODE_ANSWER_OK,
     "abc",
     NULL,
     "b dead CN_EFLAGS: handshake: the peer lacks mandatory flags: MAP_TAG\n"
     "a dead CN_ENOTALLOWED: handshake: the peer does not allow the node "
     "a@h\n"},
    {"no cookie to answer with",
     {0},
     NULL,
     CNODE_ANSWER_OK,
     NULL,
     NULL,
     "b name 'a@h' 'b@h'\nb dead CN_EBADARG: no cookie for a@h\n"
     "a dead CN_ECLOSED: handshake: the peer closed the connection, waited "
     "for its status (is it an Erlang node?)\n"},
};

static void play(size_t step) {
    pair p;

    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        assert_int_equal(join_up(&p, &scenes[i], step, NULL), 0);
        assert_log(&p, scenes[i].log);
        assert_int_equal(cnode_conn_up(p.a), p.err == 0);
        assert_int_equal(cnode_conn_up(p.b), p.err == 0);
        part(&p);
    }
}

static void test_whole(void **state) {
    (void)state;
    play(SIZE_MAX);
}

static void test_byte_by_byte(void **state) {
    (void)state;
    play(1);
}

static void assert_no_memory(const pair *p, int err) {
    if (err == 0)
        err = cnode_conn_error(p->a)->code;
    if (err != CN_ENOMEM)
        err = cnode_conn_error(p->b)->code;
    assert_int_equal(err, CN_ENOMEM);
}

static int scene_scenario(fault_alloc *f, void *arg) {
    scene s = *(scene *)arg;
    pair p;
    int err = join_up(&p, &s, 7, &f->alloc);

    if (f->failed && p.b != NULL)
        assert_no_memory(&p, err);
    assert_true(p.b != NULL || err == CN_ENOMEM);
    part(&p);
    return f->failed ? CN_ENOMEM : 0;
}

static void test_no_memory(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        scene s = scenes[i];
        run_with_every_failure(scene_scenario, &s);
    }
}

/* --- signals ------------------------------------------------------------- */

static etf_pid pid_of(const char *node, uint32_t id) {
    etf_pid p = {.id = id, .creation = 11};

    p.node_len = (uint16_t)strlen(node);
    memcpy(p.node, node, p.node_len + 1u);
    return p;
}

static etf_view text_view(const char *text) {
    return (etf_view){(const uint8_t *)text, strlen(text)};
}

static const uint8_t ok_term[] = {119, 2, 'o', 'k'};
static const uint8_t nil_term[] = {106};

/* A signal of each kind, with all that any of them needs. */
static cnode_ctrl signal_of(cnode_signal kind) {
    cnode_ctrl c = {.signal = kind,
                    .name = text_view("foo"),
                    .term = {ok_term, sizeof ok_term},
                    .module = text_view("m"),
                    .function = text_view("f"),
                    .arity = 1,
                    .opts = {nil_term, 1},
                    .id = 7,
                    .from = pid_of("a@h", 1),
                    .to = pid_of("b@h", 2),
                    .group_leader = pid_of("a@h", 3),
                    .ref = {.ids = {1, 2, 3},
                            .n = 3,
                            .node_len = 3,
                            .node = "a@h",
                            .creation = 11}};
    return c;
}

static const char *const sent_log =
    "b SEND_SENDER <a@h.1.0> <b@h.2.0>\n"
    "b REG_SEND <a@h.1.0> foo\n"
    "b ALTACT_SIG_SEND <a@h.1.0> #Ref<a@h.3.2.1>\n"
    "b LINK <a@h.1.0> <b@h.2.0>\n"
    "b UNLINK_ID 7 <a@h.1.0> <b@h.2.0>\n"
    "b UNLINK_ID_ACK 7 <a@h.1.0> <b@h.2.0>\n"
    "b PAYLOAD_EXIT <a@h.1.0> <b@h.2.0>\n"
    "b PAYLOAD_EXIT2 <a@h.1.0> <b@h.2.0>\n"
    "b MONITOR_P <a@h.1.0> <b@h.2.0> #Ref<a@h.3.2.1>\n"
    "b DEMONITOR_P <a@h.1.0> <b@h.2.0> #Ref<a@h.3.2.1>\n"
    "b PAYLOAD_MONITOR_P_EXIT <a@h.1.0> <b@h.2.0> #Ref<a@h.3.2.1>\n"
    "b SPAWN_REQUEST #Ref<a@h.3.2.1> <a@h.1.0> leader <a@h.3.0> m:f/1\n"
    "b SPAWN_REPLY #Ref<a@h.3.2.1> <b@h.2.0> 7 <a@h.1.0>\n"
    "b GROUP_LEADER <a@h.1.0> <b@h.2.0>\n";

static void send_all(pair *p, cnode_conn *c) {
    for (int kind = 0; kind < CNODE_SIG_OTHER; kind++) {
        cnode_ctrl s = signal_of((cnode_signal)kind);
        int err = cnode_conn_send(c, &s);
        if (err != 0 && p->err == 0)
            p->err = err;
    }
}

static void test_signals(void **state) {
    pair p;

    (void)state;
    for (size_t step = 1; step < 1000; step += 99) {
        assert_int_equal(join_up(&p, &scenes[0], step, NULL), 0);
        assert_log(&p, scenes[0].log);
        send_all(&p, p.a);
        pump(&p);
        assert_log(&p, sent_log);
        send_all(&p, p.b); /* the same the other way */
        pump(&p);
        for (size_t i = 0; i < p.len; i++)
            if ((i == 0 || p.log[i - 1] == '\n') && p.log[i] == 'a')
                p.log[i] = 'b';
        assert_log(&p, sent_log);
        assert_int_equal(p.err, 0);
        part(&p);
    }
}

static int signals_scenario(fault_alloc *f, void *arg) {
    pair p;
    int err = join_up(&p, &scenes[0], SIZE_MAX, &f->alloc);

    (void)arg;
    if (err == 0 && p.err == 0) {
        send_all(&p, p.a);
        /* Sending without memory harms only what was to be sent. */
        assert_int_equal(cnode_conn_error(p.a)->code, 0);
        pump(&p);
    }
    /* What only saves bytes, the atom cache, may do without memory; then all
     * arrives as ever. */
    if (f->failed && err == 0 && p.err == 0)
        assert_non_null(strstr(p.log, sent_log));
    else if (f->failed)
        assert_int_equal(err != 0 ? err : p.err, CN_ENOMEM);
    part(&p);
    return f->failed ? CN_ENOMEM : 0;
}

static void test_signals_no_memory(void **state) {
    (void)state;
    run_with_every_failure(signals_scenario, NULL);
}

/* --- the hook ------------------------------------------------------------ */

static void on_frame(void *ctx, bool in, const char *text, etf_view payload) {
    char term[32];

    assert_true(payload.len == 0 ||
                etf_print(payload, term, sizeof term) < sizeof term);
    note(ctx, "%s %s [%s]", in ? "in" : "out", text,
         payload.len == 0 ? "" : term);
}

static void test_hook(void **state) {
    scene s = scenes[0];
    cnode_ctrl link = signal_of(CNODE_SIG_LINK), send, by_name;
    pair p;

    (void)state;
    s.a.on_frame = on_frame;
    s.a.frame_ctx = &p;
    assert_int_equal(join_up(&p, &s, SIZE_MAX, NULL), 0);
    assert_log(&p, s.log);
    send = signal_of(CNODE_SIG_REG_SEND);
    by_name = signal_of(CNODE_SIG_DOWN);
    by_name.by_name = true;
    link.term = (etf_view){NULL, 0};
    assert_int_equal(cnode_conn_send(p.a, &send), 0);
    assert_int_equal(cnode_conn_send(p.b, &link), 0);
    assert_int_equal(cnode_conn_send(p.b, &by_name), 0);
    pump(&p);
    assert_log(&p,
               "out REG_SEND <a@h.1.0> foo [ok]\n"
               "out LINK <a@h.1.0> <b@h.2.0> []\n"
               "out PAYLOAD_MONITOR_P_EXIT foo <b@h.2.0> #Ref<a@h.3.2.1> [ok]\n"
               "in REG_SEND <a@h.1.0> foo [ok]\nb REG_SEND <a@h.1.0> foo\n"
               "in LINK <a@h.1.0> <b@h.2.0> []\na LINK <a@h.1.0> <b@h.2.0>\n"
               "in PAYLOAD_MONITOR_P_EXIT foo <b@h.2.0> #Ref<a@h.3.2.1> [ok]\n"
               "a PAYLOAD_MONITOR_P_EXIT foo <b@h.2.0> #Ref<a@h.3.2.1>\n");
    part(&p);
}

static void on_log(void *ctx, cn_level level, const char *where,
                   const char *text) {
    assert_int_equal(level, CN_LOG_DEBUG);
    note(ctx, "%s: %s", where, text);
}

static void test_log(void **state) {
    scene s = {.answer = CNODE_ANSWER_OK,
               .cookie = "abc",
               .a.flags = CNODE_FLAG_MANDATORY_25_DIGEST};
    pair p;

    (void)state;
    s.a.log = (cn_log){on_log, &p, CN_LOG_DEBUG};
    assert_int_equal(join_up(&p, &s, SIZE_MAX, NULL), 0);
    assert_int_equal(cnode_conn_timeout(p.a, 15000), 0);
    assert_int_equal(cnode_conn_timeout(p.a, 30000), 0);
    assert_log(&p, "b name 'a@h' 'b@h'\n"
                   "conn: a@h: both know MANDATORY_25_DIGEST\n"
                   "b up a@h 11, here b@h 22\n"
                   "conn: b@h: both know MANDATORY_25_DIGEST\n"
                   "a up b@h 22, here a@h 11\nconn: b@h: tick\n");
    part(&p);
    s.a.log.level = CN_LOG_INFO;
    assert_int_equal(join_up(&p, &s, SIZE_MAX, NULL), 0);
    assert_log(&p, scenes[0].log);
    part(&p);
}

/* --- one connection and recorded bytes ----------------------------------- */

#define N25 "6e3235403132372e302e302e31"
#define SOK "0003 736f6b"
#define CHALLENGE "0020 4e 0000000d07df7fbd d79cdb9c 6b02a5f9 000d" N25
#define ACK "0011 61 e7b6321ac6e1cbc32686c7c1e783678c"

static const cnode_conn_config recorded = {
    .initiator = true,
    .name = "py@127.0.0.1",
    .peer = "n25@127.0.0.1",
    .cookie = "abc",
    .creation = 0x12345678,
    .challenge = 1974820125,
    .flags = UINT64_C(0xd07df7fbc),
};

static int feed_hex(cnode_conn *c, const char *hex, size_t step, uint64_t now) {
    static uint8_t bytes[1 << 14];
    size_t n = unhex(hex, bytes, sizeof bytes);
    int err = 0;

    for (size_t at = 0; at < n && err == 0; at += step)
        err =
            cnode_conn_feed(c, bytes + at, step < n - at ? step : n - at, now);
    return err;
}

static void drain(cnode_conn *c) {
    size_t n;

    while (output(c, &n) != NULL)
        cnode_conn_wrote(c, n);
}

static void come_up(cnode_conn *c, uint64_t now) {
    cnode_event ev;

    assert_int_equal(feed_hex(c, SOK CHALLENGE ACK, SIZE_MAX / 2, now), 0);
    assert_int_equal(cnode_conn_next(c, &ev), 1);
    assert_int_equal(ev.type, CNODE_EV_UP);
    drain(c);
}

static cnode_conn *open_at(const cnode_conn_config *config, uint64_t now) {
    cnode_conn *c;

    assert_int_equal(cnode_conn_new(&c, config, now), 0);
    come_up(c, now);
    return c;
}

static void assert_output(cnode_conn *c, const char *hex) {
    size_t n;
    const uint8_t *out = output(c, &n);

    assert_int_equal(out == NULL, n == 0);
    assert_hex(out, n, hex);
    cnode_conn_wrote(c, n);
}

/* The capture of the protocol reference: what we say is what it said. */
static void test_recorded_handshake(void **state) {
    cnode_conn *c;
    cnode_event ev;

    (void)state;
    for (size_t step = 1; step < 100; step += 98) {
        assert_int_equal(cnode_conn_new(&c, &recorded, 0), 0);
        assert_output(c, "001b 4e 0000000d07df7fbc 12345678 000c"
                         "7079403132372e302e302e31");
        assert_int_equal(feed_hex(c, SOK CHALLENGE, step, 0), 0);
        assert_int_equal(cnode_conn_next(c, &ev), 0);
        assert_output(c, "0015 72 75b55d1d 724b39cca1e8700c14ea67823553563b");
        assert_int_equal(feed_hex(c, ACK, step, 0), 0);
        assert_false(cnode_conn_up(c));
        assert_int_equal(cnode_conn_next(c, &ev), 1);
        assert_true(cnode_conn_up(c));
        assert_string_equal(event_text(&ev), "up n25@127.0.0.1 1795335673, "
                                             "here py@127.0.0.1 305419896");
        assert_true(ev.peer_flags == UINT64_C(0xd07df7fbd));
        assert_true(cnode_conn_common_flags(c) == UINT64_C(0xd07df7fbc));
        assert_string_equal(cnode_conn_peer(c), "n25@127.0.0.1");
        assert_int_equal(cnode_conn_next(c, &ev), 0);
        assert_output(c, "");
        cnode_conn_free(c);
    }
}

/* The same without headers and fragments, so that frames are pass-through. */
static const cnode_conn_config plain = {
    .initiator = true,
    .name = "py@127.0.0.1",
    .peer = "n25@127.0.0.1",
    .cookie = "abc",
    .creation = 0x12345678,
    .challenge = 1974820125,
    .flags = UINT64_C(0xd075d5fbc),
};

/* Every frame of the recording, each announced by its name; ticks between. */
static int frames_of_file(uint8_t *all, size_t cap, char names[][32],
                          size_t *n) {
    FILE *f = fopen("tests/data/dist_vectors.txt", "r");
    char line[8192];
    int count = 0;

    if (f == NULL)
        fail_msg("run the tests in the root of the source tree");
    while (fgets(line, sizeof line, f) != NULL) {
        char *hex = strchr(line, ' ');
        size_t len;
        if (line[0] == '#' || line[0] >= 'a' || hex == NULL)
            continue;
        *hex++ = '\0';
        line[strcspn(line, "*")] = '\0';
        len = unhex(hex, all + *n + 8, cap - *n - 8);
        (void)cn__put32(cn__put32(all + *n, 0), (uint32_t)len);
        *n += len + 8;
        snprintf(names[count++], 32, "%.31s", line);
    }
    (void)fclose(f);
    return count;
}

static void test_recorded_frames(void **state) {
    static uint8_t all[1 << 15];
    static char names[100][32];
    static const size_t chunks[] = {1, 2, 3, 5, 64, 1000, sizeof all};
    size_t n = 0;
    int count = frames_of_file(all, sizeof all, names, &n);
    cnode_event ev;

    (void)state;
    assert_true(count >= 34);
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        cnode_conn *c = open_at(&plain, 0);
        int got = 0, r;
        for (size_t at = 0; at < n; at += chunks[i]) {
            size_t left = n - at;
            assert_int_equal(
                cnode_conn_feed(c, all + at,
                                left < chunks[i] ? left : chunks[i], 0),
                0);
            while ((r = cnode_conn_next(c, &ev)) == 1)
                assert_string_equal(cnode__op_name(ev.ctrl->op), names[got++]);
            assert_int_equal(r, 0);
        }
        assert_int_equal(got, count);
        assert_int_equal(cnode_conn_eof(c, 0), CN_ECLOSED);
        assert_string_equal(cnode_conn_error(c)->text,
                            "the peer closed the connection");
        cnode_conn_free(c);
    }
}

/* --- what ends a connection ---------------------------------------------- */

#define PID "58 7703614062 00000001 00000002 00000004"

static const struct {
    const char *hex;
    int events, err;
    const char *text;
} frames[] = {
    {"00000001 70", 0, CN_EPROTO, "not a tuple"},
    {"00000003 834400", 0, CN_EPROTO, "a frame starts with 131, want 112"},
    {"00000006 70 83 6801 6163", 0, CN_EPROTO,
     "unknown control message, number 99"},
    {"0000000f 70 83 6801 6e0800ffffffffffffffff", 0, CN_EPROTO,
     "unknown control message, number 18446744073709551615"},
    {"00000005 70 83 6802 61", 0, CN_EPROTO, "not a tuple"},
    {"00000008 70 83 6802 6101 6101", 0, CN_EPROTO, "wrong number of elements"},
    {"00000009 70 83 6803 6101 6a6a6a", 0, CN_EPROTO,
     "malformed control message"},
    {"00000000 00000000 00000006 70 83 6801 6163 00000000", 0, CN_EPROTO,
     "number 99"},
    {"00000007 70 83 6801 6105 00", 1, 0, NULL}, /* more behind it */
    {"00000006 70 83 6801 6105 00000006 70 83 6801 6105"
     "00000006 71 83 6801 6105",
     2, CN_EPROTO, "starts with 113"},
    {"00000001 00", 0, CN_EPROTO, "starts with 0"},
    {"08000001", 0, CN_ELIMIT, "134217729 bytes is over the limit"},
    {"ffffffff 70", 0, CN_ELIMIT, "4294967295 bytes is over the limit"},
    {"08000000 70", 0, 0, NULL}, /* the largest there may be: waits */
};

static void assert_dead(cnode_conn *c, int err) {
    cnode_ctrl s = signal_of(CNODE_SIG_SEND);
    cnode_event ev;
    char text[CN_ERROR_TEXT];

    memcpy(text, cnode_conn_error(c)->text, sizeof text);
    assert_false(cnode_conn_up(c));
    assert_int_equal(cnode_conn_next(c, &ev), err);
    assert_int_equal(cnode_conn_feed(c, ok_term, 1, 0), err);
    assert_int_equal(cnode_conn_send(c, &s), err);
    assert_int_equal(cnode_conn_timeout(c, UINT64_MAX), err);
    assert_int_equal(cnode_conn_answer(c, CNODE_ANSWER_OK, "", "", 0), err);
    assert_int_equal(cnode_conn_eof(c, 0), err);
    assert_int_equal(cnode_conn_error(c)->code, err);
    assert_string_equal(cnode_conn_error(c)->text, text);
    assert_output(c, "");
}

static void test_bad_frames(void **state) {
    cnode_event ev;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof frames / sizeof *frames; i++) {
        cnode_conn *c = open_at(&plain, 0);
        int events = 0, r;
        assert_int_equal(feed_hex(c, frames[i / 2].hex, i % 2 ? 1 : 1000, 0),
                         0);
        while ((r = cnode_conn_next(c, &ev)) == 1)
            events++;
        assert_int_equal(events, frames[i / 2].events);
        assert_int_equal(r, frames[i / 2].err);
        if (r != 0) {
            if (strstr(cnode_conn_error(c)->text, frames[i / 2].text) == NULL)
                fail_msg("%s: %s", frames[i / 2].hex,
                         cnode_conn_error(c)->text);
            assert_dead(c, r);
        }
        cnode_conn_free(c);
    }
}

static void test_max_frame(void **state) {
    cnode_conn_config config = plain;
    cnode_event ev;
    cnode_conn *c;

    (void)state;
    config.max_frame = 6;
    c = open_at(&config, 0);
    assert_int_equal(feed_hex(c, "00000006 70 83 6801 6105", 1, 0), 0);
    assert_int_equal(cnode_conn_next(c, &ev), 1);
    assert_int_equal(ev.ctrl->signal, CNODE_SIG_OTHER);
    /* The length alone is enough. */
    assert_int_equal(feed_hex(c, "00000007", 1, 0), 0);
    assert_int_equal(cnode_conn_next(c, &ev), CN_ELIMIT);
    assert_string_equal(cnode_conn_error(c)->text,
                        "a message of 7 bytes is over the limit of 6");
    assert_dead(c, CN_ELIMIT);
    cnode_conn_free(c);
}

static void test_eof(void **state) {
    static const struct {
        const char *in, *text;
        int err;
    } rows[] = {
        {"",
         "handshake: the peer closed the connection, waited for its "
         "status (is it an Erlang node?)",
         CN_ECLOSED},
        {"0003 73",
         "handshake: the peer closed the connection, waited for "
         "its status",
         CN_ECLOSED},
        {SOK,
         "handshake: the peer closed the connection, waited for its "
         "challenge",
         CN_ECLOSED},
        {SOK CHALLENGE,
         "handshake: the cookie was rejected by the peer: it closed the "
         "connection at our answer to its challenge",
         CN_ECOOKIE},
        {SOK CHALLENGE ACK, "the peer closed the connection", CN_ECLOSED},
        {SOK CHALLENGE ACK "00000000", "the peer closed the connection",
         CN_ECLOSED},
        {SOK CHALLENGE ACK "0000",
         "the peer closed the connection inside a "
         "message",
         CN_ECLOSED},
        {SOK CHALLENGE ACK "00000006 70 83 6801 61",
         "the peer closed the connection inside a message", CN_ECLOSED},
        {SOK CHALLENGE ACK "00000006 70 83 6801 6105",
         "the peer closed the connection", CN_ECLOSED},
    };
    cnode_event ev;
    cnode_conn *c;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(cnode_conn_new(&c, &plain, 0), 0);
        assert_int_equal(feed_hex(c, rows[i].in, 1000, 0), 0);
        while (cnode_conn_next(c, &ev) == 1)
            ;
        assert_int_equal(cnode_conn_eof(c, 0), rows[i].err);
        assert_string_equal(cnode_conn_error(c)->text, rows[i].text);
        drain(c);
        assert_dead(c, rows[i].err);
        cnode_conn_free(c);
    }
}

/* The same end of the stream is a rejected cookie, or the patience of a peer
 * that has not seen our answer, perhaps because we were late. */
static void test_gave_up(void **state) {
    static const struct {
        uint64_t fed, ended;
        int err;
    } rows[] = {
        {20, 21, CN_ECOOKIE},     {20, 900, CN_ECOOKIE},
        {2500, 3400, CN_ECOOKIE}, {20, 7020, CN_ECLOSED},
        {20, 1100, CN_ECLOSED},   {7000, 7001, CN_ECLOSED},
        {20, 0, CN_ECOOKIE}, /* a clock that stands still */
    };
    char text[CN_ERROR_TEXT];
    cnode_event ev;
    cnode_conn *c;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(cnode_conn_new(&c, &plain, 10), 0);
        assert_int_equal(feed_hex(c, SOK CHALLENGE, 1000, rows[i].fed), 0);
        assert_int_equal(cnode_conn_next(c, &ev), 0);
        assert_int_equal(cnode_conn_eof(c, rows[i].ended), rows[i].err);
        (void)snprintf(text, sizeof text,
                       "handshake: the peer gave up: it closed the connection "
                       "after %u ms, waited for its challenge_ack",
                       (unsigned)(rows[i].ended - 10));
        if (rows[i].err == CN_ECLOSED)
            assert_string_equal(cnode_conn_error(c)->text, text);
        cnode_conn_free(c);
    }
}

/* --- time ---------------------------------------------------------------- */

/* Each message gives the peer the whole time again, a part of one does not. */
static void test_setup_time(void **state) {
    cnode_event ev;
    cnode_conn *c;

    (void)state;
    assert_int_equal(cnode_conn_new(&c, &plain, 100), 0);
    assert_int_equal(cnode_conn_deadline(c), 7100);
    assert_int_equal(cnode_conn_timeout(c, 7099), 0);
    assert_int_equal(feed_hex(c, "0003 73", 1, 5000), 0);
    assert_int_equal(cnode_conn_next(c, &ev), 0);
    assert_int_equal(cnode_conn_deadline(c), 7100);
    assert_int_equal(feed_hex(c, "6f6b", 1, 6000), 0);
    assert_int_equal(cnode_conn_next(c, &ev), 0);
    assert_int_equal(cnode_conn_deadline(c), 13000);
    assert_int_equal(cnode_conn_timeout(c, 13000), CN_ETIMEDOUT);
    assert_string_equal(cnode_conn_error(c)->text,
                        "handshake: no answer, waited for its challenge");
    drain(c);
    assert_dead(c, CN_ETIMEDOUT);
    cnode_conn_free(c);
}

static void test_setup_time_of_acceptor(void **state) {
    cnode_conn_config config = config_of(&scenes[0], false, NULL);
    cnode_event ev;
    cnode_conn *c;

    (void)state;
    config.setup_ms = 50;
    assert_int_equal(cnode_conn_new(&c, &config, 1), 0);
    assert_int_equal(cnode_conn_deadline(c), 51);
    assert_int_equal(feed_hex(c,
                              "0016 4e 0000000d07df7fbc 00000004"
                              "0007 61403132372e31",
                              3, 20),
                     0);
    assert_int_equal(cnode_conn_next(c, &ev), 1);
    assert_int_equal(cnode_conn_next(c, &ev), 0); /* told once */
    assert_int_equal(cnode_conn_deadline(c), 70);
    assert_int_equal(cnode_conn_answer(c, CNODE_ANSWER_OK, "c", NULL, 0), 0);
    assert_int_equal(cnode_conn_timeout(c, 70), CN_ETIMEDOUT);
    assert_string_equal(cnode_conn_error(c)->text,
                        "handshake: no answer, waited for its "
                        "challenge_reply");
    cnode_conn_free(c);
}

/* Two that have nothing to say tick once an interval and live forever. */
static void test_ticks(void **state) {
    scene s = scenes[0];
    pair p;
    size_t n;

    (void)state;
    s.a.ticktime_ms = 4000;
    assert_int_equal(join_up(&p, &s, 1, NULL), 0);
    assert_int_equal(cnode_conn_deadline(p.a), 1000);
    p.now = 1000; /* what was said in the handshake counts */
    assert_int_equal(cnode_conn_timeout(p.a, p.now), 0);
    assert_int_equal(cnode_conn_timeout(p.b, p.now), 0);
    assert_null(output(p.a, &n));
    assert_null(output(p.b, &n));
    for (int i = 0; i < 20; i++) {
        p.now += 1000;
        assert_int_equal(cnode_conn_deadline(p.a), p.now);
        assert_int_equal(cnode_conn_timeout(p.a, p.now - 1), 0);
        assert_null(output(p.a, &n));
        assert_int_equal(cnode_conn_timeout(p.a, p.now), 0);
        assert_int_equal(cnode_conn_timeout(p.b, p.now), 0);
        assert_hex(output(p.a, &n), 4, "00000000");
        assert_int_equal(cnode_conn_queued(p.a), 4);
        assert_int_equal(cnode_conn_queued(p.b), 4);
        pump(&p);
    }
    assert_true(cnode_conn_up(p.a) && cnode_conn_up(p.b));
    part(&p);
}

/* A tick only when nothing was written or nothing came, and nothing waits. */
static void test_when_to_tick(void **state) {
    static const struct {
        bool heard, spoke, waits, tick;
    } rows[] = {
        {true, true, false, false}, {true, false, false, true},
        {false, true, false, true}, {false, false, false, true},
        {true, false, true, false}, {false, false, true, false},
    };
    cnode_ctrl s = signal_of(CNODE_SIG_LINK);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cnode_conn *c = open_at(&plain, 0);
        size_t before;
        assert_int_equal(cnode_conn_timeout(c, 15000), 0);
        if (rows[i].heard)
            assert_int_equal(feed_hex(c, "00000000", 1, 16000), 0);
        if (rows[i].spoke || rows[i].waits)
            assert_int_equal(cnode_conn_send(c, &s), 0);
        if (rows[i].spoke)
            drain(c);
        before = cnode_conn_queued(c);
        assert_int_equal(cnode_conn_timeout(c, 30000), 0);
        assert_int_equal(cnode_conn_queued(c) - before, rows[i].tick ? 4 : 0);
        assert_int_equal(cnode_conn_deadline(c), 45000);
        cnode_conn_free(c);
    }
}

/* The interval in which something came, then four in which nothing did. */
static void silence(const char *last_words) {
    cnode_conn *c = open_at(&plain, 0);
    cnode_event ev;
    uint64_t now = 0;

    for (int i = 0; i < 7; i++) {
        now += 15000;
        assert_int_equal(cnode_conn_deadline(c), now);
        assert_int_equal(cnode_conn_timeout(c, now), 0);
        drain(c);
        if (i == 2) {
            assert_int_equal(feed_hex(c, last_words, 1, now + 1), 0);
            assert_int_equal(cnode_conn_next(c, &ev), 0);
        }
    }
    assert_int_equal(cnode_conn_timeout(c, now + 15000), CN_ETIMEDOUT);
    assert_string_equal(cnode_conn_error(c)->text,
                        "nothing was heard for 60000 ms (net_tick_timeout)");
    assert_dead(c, CN_ETIMEDOUT);
    cnode_conn_free(c);
}

static void test_silent_peer(void **state) {
    (void)state;
    silence("00000000");
    silence("00000100 70 83 68"); /* in the middle of a frame */
    silence("00");
}

static void test_tick_settings(void **state) {
    static const struct {
        uint32_t ticktime, intensity;
        uint64_t interval;
    } rows[] = {
        {0, 0, 15000},
        {60000, 7, 8572},
        {1, 1000, 1},
        {UINT32_MAX, 4, 1073741824},
        {UINT32_MAX, 1, UINT32_MAX},
        {UINT32_MAX, UINT32_MAX, 1},
    };
    cnode_conn_config config = plain;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cnode_conn *c;
        config.ticktime_ms = rows[i].ticktime;
        config.intensity = rows[i].intensity;
        c = open_at(&config, 5);
        assert_int_equal(cnode_conn_deadline(c), 5 + rows[i].interval);
        cnode_conn_free(c);
    }
    config.ticktime_ms = UINT32_MAX; /* the text has room for the time */
    config.intensity = 3;
    cnode_conn *c = open_at(&config, 0);
    for (uint64_t now = 1; now <= 3; now++)
        assert_int_equal(cnode_conn_timeout(c, now * UINT32_MAX), 0);
    assert_int_equal(cnode_conn_timeout(c, UINT64_C(4) * UINT32_MAX),
                     CN_ETIMEDOUT);
    assert_non_null(strstr(cnode_conn_error(c)->text, "4294967295 ms"));
    cnode_conn_free(c);
}

/* Whenever they came up: they look at their peers at the same moments, and no
 * later than they would alone; nor does it move them when somebody is late. */
static void test_in_step(void **state) {
    cnode_conn_config config = plain;
    cnode__rules *rules;
    uint64_t at[20] = {0};
    cnode_conn *c;

    (void)state;
    config.ticktime_ms = 4000;
    rules = cnode__rules_new(&config);
    assert_non_null(rules);
    cnode__rules_in_step(rules);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t now = 5000 + (uint64_t)97 * i;
        assert_int_equal(cnode__conn_new(&c, rules, &config, now), 0);
        come_up(c, now);
        at[i] = cnode_conn_deadline(c);
        assert_in_range(at[i], now + 1, now + 1000);
        assert_int_equal(at[i] % 1000, at[0] % 1000);
        for (unsigned k = 1; k <= 3; k++) {
            assert_int_equal(cnode_conn_timeout(c, at[i] + (uint64_t)90 * k),
                             0);
            assert_int_equal(cnode_conn_deadline(c), at[i] + 1000);
            at[i] += 1000;
            drain(c);
        }
        cnode_conn_free(c);
    }
    cnode__rules_drop(rules);
}

/* --- sending ------------------------------------------------------------- */

static void test_queue(void **state) {
    cnode_conn_config config = plain;
    cnode_ctrl send = signal_of(CNODE_SIG_SEND);
    cnode_ctrl link = signal_of(CNODE_SIG_LINK);
    cnode_ctrl spawn = signal_of(CNODE_SIG_SPAWN_REQUEST);
    cnode_conn *c;
    int err;

    (void)state;
    config.max_queue = 1000;
    c = open_at(&config, 0);
    while ((err = cnode_conn_send(c, &send)) == 0)
        assert_true(cnode_conn_queued(c) < 1100);
    assert_int_equal(err, CN_EBUSY);
    assert_true(cnode_conn_queued(c) > 1000);
    assert_int_equal(cnode_conn_send(c, &spawn), CN_EBUSY);
    while ((err = cnode_conn_send(c, &link)) == 0)
        assert_true(cnode_conn_queued(c) < 2100);
    assert_int_equal(err, CN_EBUSY);
    assert_true(cnode_conn_queued(c) > 2000);
    assert_int_equal(cnode_conn_error(c)->code, 0);
    drain(c);
    assert_int_equal(cnode_conn_queued(c), 0);
    assert_int_equal(cnode_conn_send(c, &send), 0);
    assert_int_equal(cnode_conn_send(c, &spawn), 0);
    cnode_conn_free(c);
}

/* What is lent stays where it is until it is written, whatever is sent. */
static void test_lent(void **state) {
    cnode_conn *c = open_at(&plain, 0);
    cnode_ctrl send = signal_of(CNODE_SIG_SEND);
    uint8_t copy[200];
    const uint8_t *out, *again;
    size_t n, one, all = 0;

    (void)state;
    assert_int_equal(cnode_conn_send(c, &send), 0);
    out = output(c, &one);
    assert_true(one > 10 && one < sizeof copy);
    memcpy(copy, out, one);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(cnode_conn_send(c, &send), 0);
    assert_memory_equal(out, copy, one);
    assert_int_equal(cnode_conn_queued(c), one * 1001);
    again = output(c, &n); /* asked again: the same, and more behind it */
    assert_ptr_equal(again, out);
    assert_true(n > one);
    cnode_conn_wrote(c, 10);
    again = output(c, &n);
    assert_ptr_equal(again, out + 10);
    cnode_conn_wrote(c, one - 10);
    for (; (again = output(c, &n)) != NULL; all += n) {
        for (size_t i = 0; i < n; i++)
            assert_int_equal(again[i], copy[(all + i) % one]);
        cnode_conn_wrote(c, n);
    }
    assert_int_equal(all, one * 1000);
    cnode_conn_free(c);
}

static void test_send_refused(void **state) {
    cnode_conn_config config = plain;
    cnode_ctrl send = signal_of(CNODE_SIG_REG_SEND);
    cnode_ctrl other = signal_of(CNODE_SIG_OTHER);
    cnode_ctrl alias = signal_of(CNODE_SIG_ALIAS_SEND);
    cnode_conn *c;

    (void)state;
    assert_int_equal(cnode_conn_new(&c, &config, 0), 0);
    drain(c);
    assert_int_equal(cnode_conn_send(c, &send), CN_ENOCONN);
    assert_output(c, "");
    cnode_conn_free(c);
    config.flags &= ~(CNODE_FLAG_ALIAS | CNODE_FLAG_ALTACT_SIG |
                      CNODE_FLAG_DIST_HDR_ATOM_CACHE | CNODE_FLAG_FRAGMENTS);
    c = open_at(&config, 0);
    assert_int_equal(cnode_conn_send(c, &alias), CN_ENOTSUP);
    assert_int_equal(cnode_conn_send(c, &other), CN_ENOTSUP);
    send.name = text_view("\xff");
    assert_int_equal(cnode_conn_send(c, &send), CN_EBADARG);
    send.term.len = (size_t)1 << 30; /* not looked at */
    assert_int_equal(cnode_conn_send(c, &send), CN_ELIMIT);
    send.term.len = sizeof ok_term;
    assert_output(c, "");
    send.name = text_view("x"); /* and nothing of it stays */
    send.from = pid_of("a@h", 1);
    assert_int_equal(cnode_conn_send(c, &send), 0);
    assert_output(c, "00000022 70 83 6804 6106"
                     "58 7703614068 00000001 00000000 0000000b"
                     "7700 770178 83 77026f6b");
    cnode_conn_free(c);
}

/* A large message passes, and gives its memory back at both ends. */
static void test_large(void **state) {
    scene s = scenes[0];
    cnode_ctrl send = signal_of(CNODE_SIG_SEND);
    size_t size = 5 << 20;
    uint8_t *term = calloc(1, size);
    fault_alloc f;
    pair p;

    (void)state;
    assert_non_null(term);
    term[0] = 109;
    (void)cn__put32(term + 1, (uint32_t)(size - 5));
    send.term = (etf_view){term, size};
    fault_init(&f, 0);
    assert_int_equal(join_up(&p, &s, 60000, &f.alloc), 0);
    assert_log(&p, s.log);
    assert_int_equal(cnode_conn_send(p.a, &send), 0);
    assert_true(f.live > size);
    pump(&p);
    assert_log(&p, "b SEND_SENDER <a@h.1.0> <b@h.2.0>\n");
    assert_true(f.live < 200000);
    part(&p);
    assert_int_equal(f.live, 0);
    free(term);
}

/* The buffers that a large message had are gone; now there is no memory for
 * a tick. */
static void test_tick_without_memory(void **state) {
    cnode_conn_config config = plain;
    cnode_ctrl send = signal_of(CNODE_SIG_SEND);
    static uint8_t term[100000] = {109, 0, 1, 134, 155};
    fault_alloc f;
    cnode_conn *c;

    (void)state;
    assert_int_equal(etf_check(NULL, NULL, (etf_view){term, sizeof term}, NULL),
                     0);
    send.term = (etf_view){term, sizeof term};
    fault_init(&f, 0);
    config.alloc = f.alloc;
    c = open_at(&config, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cnode_conn_send(c, &send), 0);
        drain(c);
    }
    assert_int_equal(cnode_conn_timeout(c, 15000), 0);
    f.fail_at = f.calls + 1;
    assert_int_equal(cnode_conn_timeout(c, 30000), CN_ENOMEM);
    assert_dead(c, CN_ENOMEM);
    cnode_conn_free(c);
    assert_int_equal(f.live, 0);
}

/* --- the rest ------------------------------------------------------------ */

static void test_new_refuses(void **state) {
    cnode_conn_config config = plain;
    cnode_conn *c = (cnode_conn *)&config;

    (void)state;
    config.peer = "nobody";
    assert_int_equal(cnode_conn_new(&c, &config, 0), CN_EBADARG);
    assert_null(c);
    config = (cnode_conn_config){0};
    assert_int_equal(cnode_conn_new(&c, &config, 0), CN_EBADARG);
    assert_int_equal(cnode_conn_new(&c, NULL, 0), CN_EBADARG);
    cnode_conn_free(NULL);
}

static void test_answer_unasked(void **state) {
    cnode_conn *c = open_at(&plain, 0);

    (void)state;
    assert_int_equal(cnode_conn_answer(c, CNODE_ANSWER_OK, "c", NULL, 0),
                     CN_EBUG);
    assert_dead(c, CN_EBUG);
    cnode_conn_free(c);
}

/* All of the handshake at once, before anybody answered. */
static void test_hasty_peer(void **state) {
    cnode_conn_config config = {
        .name = "py@127.0.0.1", .challenge = 77, .flags = plain.flags};
    cnode_event ev;
    cnode_conn *c;

    (void)state;
    assert_int_equal(cnode_conn_new(&c, &config, 0), 0);
    assert_int_equal(feed_hex(c,
                              "001c 4e 0000000d07df7fbd 6b050e8a 000d"
                              "766563403132372e302e302e31"
                              "0015 72 c22400f1"
                              "d07a28650fff793ea551a0c6696ce7db"
                              "00000006 70 83 6801 6105",
                              1000, 0),
                     0);
    assert_int_equal(cnode_conn_next(c, &ev), 1);
    assert_int_equal(ev.type, CNODE_EV_NAME);
    assert_int_equal(cnode_conn_next(c, &ev), 0);
    assert_int_equal(cnode_conn_answer(c, CNODE_ANSWER_OK, "abc", NULL, 0), 0);
    assert_int_equal(cnode_conn_next(c, &ev), 1);
    assert_int_equal(ev.type, CNODE_EV_UP);
    assert_int_equal(cnode_conn_next(c, &ev), 1);
    assert_int_equal(ev.ctrl->op, 5);
    assert_int_equal(cnode_conn_next(c, &ev), 0);
    cnode_conn_free(c);
}

static void test_flags(void **state) {
    char text[32];
    size_t n;

    (void)state;
    assert_true((cnode_conn_flags() & CNODE__MANDATORY) == CNODE__MANDATORY);
    assert_true(cnode_conn_flags() == UINT64_C(0x2d07df7fbc));
    assert_int_equal(cnode_flags_print(0, text, sizeof text), 0);
    assert_string_equal(text, "");
    n = cnode_flags_print(1 | CNODE_FLAG_NATIVE_RECORDS | UINT64_C(1) << 63,
                          text, sizeof text);
    assert_string_equal(text, "PUBLISHED NATIVE_RECORDS");
    assert_int_equal(n, strlen(text));
    assert_int_equal(cnode_flags_print(5, text, 4), 29);
    assert_string_equal(text, "PUB");
    assert_int_equal(cnode_flags_print(5, NULL, 0), 29);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_signals_no_memory),
        cmocka_unit_test(test_hook),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_recorded_handshake),
        cmocka_unit_test(test_recorded_frames),
        cmocka_unit_test(test_bad_frames),
        cmocka_unit_test(test_max_frame),
        cmocka_unit_test(test_eof),
        cmocka_unit_test(test_gave_up),
        cmocka_unit_test(test_setup_time),
        cmocka_unit_test(test_setup_time_of_acceptor),
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_when_to_tick),
        cmocka_unit_test(test_silent_peer),
        cmocka_unit_test(test_tick_settings),
        cmocka_unit_test(test_in_step),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_lent),
        cmocka_unit_test(test_send_refused),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_tick_without_memory),
        cmocka_unit_test(test_new_refuses),
        cmocka_unit_test(test_answer_unasked),
        cmocka_unit_test(test_hasty_peer),
        cmocka_unit_test(test_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
