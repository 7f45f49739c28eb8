/* SPDX-License-Identifier: Apache-2.0
 *
 * control_test.c: control messages. What a real node sends
 * (tests/data/dist_vectors.txt) is taken apart and put together to the same
 * bytes, cut at every byte, with every element of another type; then what no
 * node sends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cnode/control.h"
#include "tests/unit/support.h"

#define PID "58 7703614062 00000001 00000002 00000004"
#define PID2 "58 7703634064 00000003 00000000 00000004"
#define REF "5a 0003 7703614062 00000004 00000001 00000002 00000003"
#define OK "83 77026f6b"

static const uint64_t ALL = ~UINT64_C(0);

/* --- vectors ------------------------------------------------------------- */

/* `frame` is a block of its own without the 112 in front. */
typedef struct message {
    const char *name;
    uint8_t *frame;
    size_t n;
} message;

static const char *layout_of(const char *name) {
#define LAYOUT(n, op, sig, layout, payload)                                    \
    if (strcmp(name, #n) == 0)                                                 \
        return layout;
    CTRL_MAP(LAYOUT)
#undef LAYOUT
    fail_msg("%s is no control message", name);
    return NULL;
}

static bool has_payload(const char *name) {
#define PAYLOAD(n, op, sig, layout, payload)                                   \
    if (strcmp(name, #n) == 0)                                                 \
        return payload;
    CTRL_MAP(PAYLOAD)
#undef PAYLOAD
    return false;
}

/* One line of the file: name, a star that does not matter here, hex. */
static bool parse_line(char *line, message *m) {
    static uint8_t bytes[4096];
    char *hex = strchr(line, ' ');
    size_t n;

    if (line[0] == '#' || hex == NULL || line[0] >= 'a')
        return false; /* a comment, or of the handshake */
    *hex++ = '\0';
    line[strcspn(line, "*")] = '\0';
    n = unhex(hex, bytes, sizeof bytes);
    assert_true(n > 1 && bytes[0] == 112);
    m->name = line;
    m->n = n - 1;
    m->frame = malloc(m->n);
    assert_non_null(m->frame);
    memcpy(m->frame, bytes + 1, m->n);
    return true;
}

static size_t each_in(const char *file, void (*test)(const message *m)) {
    char line[8192];
    FILE *f = fopen(file, "r");
    size_t count = 0;
    message m;

    if (f == NULL)
        fail_msg("run the tests in the root of the source tree");
    while (fgets(line, sizeof line, f) != NULL)
        if (parse_line(line, &m)) {
            test(&m);
            free(m.frame);
            count++;
        }
    (void)fclose(f);
    return count;
}

static void each_message(void (*test)(const message *m)) {
    assert_true(each_in("tests/data/dist_vectors.txt", test) >= 34);
    assert_int_equal(each_in("tests/data/altact_vectors.txt", test), 9);
}

static int get(cnode_ctrl *c, const uint8_t *p, size_t n, const char **why) {
    static etf_reader r;

    memset(c, 0x5a, sizeof *c); /* nothing may lean on what was there */
    return cnode__ctrl_get(c, &r, (etf_view){p, n}, true, why);
}

/* From a block of exactly n bytes, so that reading on is noticed. */
static int get_exact(cnode_ctrl *c, const uint8_t *p, size_t n,
                     const char **why) {
    uint8_t *copy = malloc(n == 0 ? 1 : n);
    int err;

    assert_non_null(copy);
    if (n > 0)
        memcpy(copy, p, n);
    err = get(c, copy, n, why);
    free(copy);
    return err;
}

static uint64_t flags_for(const char *name) {
    static const char *const old[] = {"SEND",           "SEND_TT", "EXIT",
                                      "EXIT2",          "EXIT_TT", "EXIT2_TT",
                                      "MONITOR_P_EXIT", "UNLINK"};

    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        if (strcmp(name, old[i]) == 0)
            return CNODE_FLAG_DIST_MONITOR | CNODE_FLAG_DIST_MONITOR_NAME;
    if (strncmp(name, "ALIAS_SEND", 10) == 0)
        return cnode_conn_flags() & ~CNODE_FLAG_ALTACT_SIG;
    return cnode_conn_flags();
}

static void assert_frame(const cnode_ctrl *c, const message *m, bool versions,
                         etf_writer *w) {
    cnode_ctrl copy = *c;

    etf_writer_reset(w);
    if (c->op == 4)
        copy.signal = CNODE_SIG_UNLINK; /* not for us, but said to the old */
    assert_int_equal(cnode__ctrl_put(w, &copy, flags_for(m->name), versions),
                     0);
    assert_int_equal(copy.op, c->op);
    assert_int_equal(etf_writer_finish(w, NULL), 0);
    if (versions) {
        assert_int_equal(w->len, m->n);
        assert_memory_equal(w->data, m->frame, m->n);
    }
}

static void check_round(const message *m) {
    const char *why = "";
    cnode_ctrl c;
    etf_reader r;
    etf_writer w, plain;

    etf_writer_init(&w, NULL);
    etf_writer_init(&plain, NULL);
    assert_int_equal(get(&c, m->frame, m->n, &why), 0);
    assert_string_equal(cnode__op_name(c.op), m->name);
    assert_int_equal(c.term.len > 0,
                     has_payload(m->name) || strchr(layout_of(m->name), 'x'));
    if (c.op != CNODE__OP_ALTACT_SIG_SEND)
        assert_int_equal(c.token.len > 0, strstr(m->name, "_TT") != NULL);
    assert_frame(&c, m, true, &w);
    /* Without version bytes, as behind a distribution header. */
    assert_frame(&c, m, false, &plain);
    assert_int_equal(plain.len, m->n - 1 - has_payload(m->name));
    assert_int_equal(
        cnode__ctrl_get(&c, &r, (etf_view){plain.data, plain.len}, false, &why),
        0);
    assert_frame(&c, m, true, &w);
    etf_writer_free(&w);
    etf_writer_free(&plain);
}

static void check_cuts(const message *m) {
    const char *why;
    cnode_ctrl c;

    for (size_t n = 0; n < m->n; n++) {
        why = "";
        assert_int_equal(get_exact(&c, m->frame, n, &why), CN_EPROTO);
        assert_string_not_equal(why, "");
    }
    assert_int_equal(get_exact(&c, m->frame, m->n, &why), 0);
}

/* What stands behind a message is ignored, as every release does. */
static void check_more(const message *m) {
    static const char *const more[] = {"83 77026f6b", "ff", "00"};
    uint8_t frame[4096];
    const char *why;
    cnode_ctrl c;

    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        size_t n = unhex(more[i], frame + m->n, sizeof frame - m->n);
        memcpy(frame, m->frame, m->n);
        assert_int_equal(get_exact(&c, frame, m->n + n, &why), 0);
        if (!has_payload(m->name) && strchr(layout_of(m->name), 'x') == NULL)
            assert_int_equal(c.term.len, 0);
    }
}

static void check_arity(const message *m) {
    const char *why;
    cnode_ctrl c;

    assert_int_equal(m->frame[1], 104);
    for (int delta = -1; delta <= 1; delta += 2) {
        m->frame[2] = (uint8_t)(m->frame[2] + delta);
        assert_int_equal(get(&c, m->frame, m->n, &why), CN_EPROTO);
        if (strcmp(m->name, "ALTACT_SIG_SEND") != 0) /* may have more */
            assert_string_equal(
                why, "wrong number of elements in the control message");
        m->frame[2] = (uint8_t)(m->frame[2] - delta);
    }
}

/* The message with element `at` replaced by a float. */
static void replace(etf_writer *w, const message *m, uint32_t at) {
    etf_view rest = {m->frame + 1, m->n - 1}, element;
    uint32_t arity = m->frame[2];
    etf_reader r;

    etf_writer_reset(w);
    etf_put_version(w);
    etf_put_tuple(w, arity);
    etf_reader_init(&r, rest);
    etf_get_tuple(&r);
    for (uint32_t i = 0; i < arity; i++) {
        element = etf_get_term(&r);
        if (i == at)
            etf_put_float(w, 1.5);
        else
            etf_put_term(w, element);
    }
    if (etf_reader_left(&r) > 0) {
        etf_put_version(w);
        etf_get_version(&r);
        etf_put_term(w, etf_get_term(&r));
    }
    assert_int_equal(etf_writer_finish(w, NULL), 0);
}

static void check_types(const message *m) {
    const char *layout = layout_of(m->name), *why;
    etf_writer w;
    cnode_ctrl c;

    etf_writer_init(&w, NULL);
    for (uint32_t at = 0; at < m->frame[2]; at++) {
        bool any = at > 0 && strchr("-kxo", layout[at - 1]) != NULL;
        replace(&w, m, at);
        assert_int_equal(get_exact(&c, w.data, w.len, &why),
                         any ? 0 : CN_EPROTO);
    }
    etf_writer_free(&w);
}

static const message *now_put;

static int put_scenario(fault_alloc *f, void *arg) {
    const char *why;
    cnode_ctrl c;
    etf_writer w;
    int err;

    (void)arg;
    assert_int_equal(get(&c, now_put->frame, now_put->n, &why), 0);
    if (c.op == 4)
        c.signal = CNODE_SIG_UNLINK;
    etf_writer_init(&w, &f->alloc);
    err = cnode__ctrl_put(&w, &c, flags_for(now_put->name), true);
    assert_int_equal(err, f->failed ? CN_ENOMEM : 0);
    etf_writer_free(&w);
    return err;
}

static void check_no_memory(const message *m) {
    now_put = m;
    run_with_every_failure(put_scenario, NULL);
}

static void test_round(void **state) {
    (void)state;
    each_message(check_round);
}

static void test_cuts(void **state) {
    (void)state;
    each_message(check_cuts);
}

static void test_more_behind(void **state) {
    (void)state;
    each_message(check_more);
}

static void test_arity(void **state) {
    (void)state;
    each_message(check_arity);
}

static void test_types(void **state) {
    (void)state;
    each_message(check_types);
}

static void test_no_memory(void **state) {
    (void)state;
    each_message(check_no_memory);
}

/* --- what no node sends -------------------------------------------------- */

static const struct {
    const char *hex;
    int err;
    const char *why; /* how it begins; for CN_ENOTSUP: the number */
} bad[] = {
    {"", CN_EPROTO, "the control message is not a tuple"},
    {"83", CN_EPROTO, "the control message is not a tuple"},
    {"6801 6105", CN_EPROTO, "the control message is not a tuple"},
    {"83 6101", CN_EPROTO, "the control message is not a tuple"},
    {"83 6a", CN_EPROTO, "the control message is not a tuple"},
    {"83 6800", CN_EPROTO, "the control message is not a tuple"},
    {"83 69ffffffff 6101", CN_EPROTO, "the control message is not a tuple"},
    {"83 6801 770161", CN_EPROTO, "the control message is not a tuple"},
    {"83 6801 62ffffffff", CN_EPROTO, "the control message is not a tuple"},
    {"83 6801 6e09000000000000000000 01", CN_EPROTO, "the control message"},
    {"83 50 00000002 789c4b64040000c50063", CN_EPROTO, "the control message"},
    {"83 6801 6100", CN_ENOTSUP, "0"},
    {"83 6801 6109", CN_ENOTSUP, "9"},
    {"83 6801 610a", CN_ENOTSUP, "10"},
    {"83 6801 610b", CN_ENOTSUP, "11"},
    {"83 6801 610e", CN_ENOTSUP, "14"},
    {"83 6801 610f", CN_ENOTSUP, "15"},
    {"83 6801 6111", CN_ENOTSUP, "17"},
    {"83 6803 6126" PID PID OK, CN_ENOTSUP, "38"},
    {"83 6801 61ff", CN_ENOTSUP, "255"},
    {"83 6801 6200000101", CN_ENOTSUP, "257"}, /* not 1 */
    {"83 6801 6e0800ffffffffffffffff", CN_ENOTSUP, "18446744073709551615"},
    /* the payload */
    {"83 6803 6116" PID PID, CN_EPROTO, "malformed or missing payload"},
    {"83 6803 6116" PID PID "83", CN_EPROTO, "malformed or missing payload"},
    {"83 6803 6116" PID PID "77026f6b", CN_EPROTO, "malformed or missing"},
    {"83 6803 6116" PID PID "83 7705", CN_EPROTO, "malformed or missing"},
    {"83 6803 6116" PID PID "83 8377026f6b", CN_EPROTO, "malformed or missing"},
    {"83 6803 6116" PID PID "83 5200", CN_EPROTO, "malformed or missing"},
    {"83 6803 6116" PID PID "83 50 00000002 789c4b64040000c50063", CN_EPROTO,
     "malformed or missing payload"},
    {"83 6803 6116" PID PID "83 6cffffffff 6101", CN_EPROTO, "malformed or"},
    {"83 6803 6116" PID PID "83 467ff8000000000000", CN_EPROTO, "malformed or"},
    /* elements */
    {"83 6803 6116 5a" PID "83 6a", CN_EPROTO, "malformed control message"},
    {"83 6804 6123 6e090000000000000000 0001" PID PID2, CN_EPROTO,
     "malformed control message"},
    {"83 6804 6123 62ffffffff" PID PID2, CN_EPROTO, "malformed control"},
    {"83 6804 6106" PID "7700 6d00000001 61" OK, CN_EPROTO, "malformed"},
    {"83 6804 6113" PID "6101" REF, CN_EPROTO, "malformed control message"},
    {"83 6804 6113" PID PID2 PID, CN_EPROTO, "malformed control message"},
    {"83 6805 611f" REF PID "6100 6101", CN_EPROTO, "malformed control"},
    {"83 6805 611f" REF PID "6100 7700", CN_EPROTO, "malformed control"},
    {"83 6805 611f" REF PID "62ffffffff" PID2, CN_EPROTO, "malformed control"},
    {"83 6806 611d" REF PID PID "6802 770161 770162 6a 83 6a", CN_EPROTO,
     "malformed control message"},
    {"83 6806 611d" REF PID PID "6803 770161 6101 6101 6a 83 6a", CN_EPROTO,
     "malformed control message"},
    {"83 6806 611d" REF PID PID "6803 770161 770162 770163 6a 83 6a", CN_EPROTO,
     "malformed control message"},
    {"83 6806 611d" REF PID PID "6803 770161 770162 6100 6a", CN_EPROTO,
     "malformed or missing payload"},
    {"83 6801 6125 83 6a", CN_EPROTO, "wrong number of elements"},
    {"83 6803 6125 6101" PID "83 6a", CN_EPROTO, "wrong number of elements"},
    {"83 6804 6125 6102" PID PID "83 6a", CN_EPROTO, "malformed control"},
    {"83 6804 6125 610c" PID REF "83 6a", CN_EPROTO, "malformed control"},
    {"83 6804 6125 6104" PID PID "83 6a", CN_EPROTO, "malformed control"},
    {"83 6804 6125 6108" PID PID "83 6a", CN_EPROTO, "malformed control"},
    {"83 6804 6125 6101" PID REF "83 6a", CN_EPROTO, "malformed control"},
    {"83 6804 6125 62ffffffff" PID PID "83 6a", CN_EPROTO, "malformed control"},
    {"83 6804 6125 7700" PID PID "83 6a", CN_EPROTO, "malformed control"},
    {"83 6804 6125 6101 6a" PID "83 6a", CN_EPROTO, "malformed control"},
    {"83 6802 6105 6101", CN_EPROTO, "wrong number of elements"},
};

static void test_bad(void **state) {
    uint8_t frame[512];
    char number[32];
    cnode_ctrl c;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *why = "";
        size_t n = unhex(bad[i].hex, frame, sizeof frame);
        int err = get_exact(&c, frame, n, &why);
        if (err == CN_ENOTSUP) {
            snprintf(number, sizeof number, "%llu", (unsigned long long)c.id);
            why = number;
        }
        if (err != bad[i].err || strstr(why, bad[i].why) != why)
            fail_msg("%s: %s, %s", bad[i].hex, cn_errname(err), why);
    }
}

/* --- what is taken in forms of its own ----------------------------------- */

static void take(cnode_ctrl *c, const char *hex) {
    static uint8_t frame[512];
    const char *why = "";
    size_t n = unhex(hex, frame, sizeof frame);

    if (get(c, frame, n, &why) != 0)
        fail_msg("%s: %s", hex, why);
}

static void test_other_forms(void **state) {
    cnode_ctrl c;

    (void)state;
    take(&c, "83 69 00000003 6200000016" PID PID2 OK); /* wide forms */
    assert_int_equal(c.signal, CNODE_SIG_SEND);
    assert_int_equal(c.from.id, 1);
    assert_string_equal(c.to.node, "c@d");
    take(&c, "83 6803 6102 6400046a756e6b" PID OK); /* '' is not looked at */
    assert_int_equal(c.from.node_len, 0);
    assert_int_equal(c.to.serial, 2);
    take(&c, "83 6804 6123 6e0800ffffffffffffffff" PID PID2);
    assert_true(c.id == UINT64_MAX);
    take(&c, "83 6804 6106" PID "6a 6400026f6b" OK); /* OTP 25's own atoms */
    assert_true(etf_view_is(c.name, "ok"));
    /* two latin-1 atoms, which are converted */
    take(&c, "83 6806 611d" REF PID PID "6803 640001e9 640002e0e1 6102"
             "6a 83 6a");
    assert_true(etf_view_is(c.module, "\xc3\xa9"));
    assert_true(etf_view_is(c.function, "\xc3\xa0\xc3\xa1"));
    assert_int_equal(c.arity, 2);
}

static void test_not_handled(void **state) {
    static const struct {
        const char *hex, *name;
        cnode_signal signal;
    } rows[] = {
        {"83 6803 6104" PID PID2, "UNLINK", CNODE_SIG_OTHER},
        {"83 6801 6105", "NODE_LINK", CNODE_SIG_OTHER},
        {"83 6803 6107" PID PID2, "GROUP_LEADER", CNODE_SIG_GROUP_LEADER},
    };
    cnode_ctrl c;
    etf_writer w;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        take(&c, rows[i].hex);
        assert_int_equal(c.signal, rows[i].signal);
        assert_string_equal(cnode__op_name(c.op), rows[i].name);
        if (c.signal != CNODE_SIG_OTHER)
            continue;
        etf_writer_init(&w, NULL);
        assert_int_equal(cnode__ctrl_put(&w, &c, ALL, true), CN_ENOTSUP);
        assert_int_equal(w.len, 0);
        etf_writer_free(&w);
    }
}

static void test_op_names(void **state) {
    static const uint64_t none[] = {0,  9,  10, 11,  14,
                                    15, 17, 38, 257, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_null(cnode__op_name(none[i]));
    assert_string_equal(cnode__op_name(1), "LINK");
    assert_string_equal(cnode__op_name(36), "UNLINK_ID_ACK");
}

/* --- the form that the peer understands ---------------------------------- */

static const uint8_t nil = 106;

static int op_of(cnode_ctrl c, uint64_t flags) {
    static const char *const text = "ok";
    etf_view atom = {(const uint8_t *)text, 2};
    etf_writer w;
    int err;

    c.name = c.module = c.function = atom;
    c.term = c.opts = (etf_view){&nil, 1};
    etf_writer_init(&w, NULL);
    err = cnode__ctrl_put(&w, &c, flags, true);
    if (err == 0)
        assert_int_equal(etf_writer_finish(&w, NULL), 0);
    etf_writer_free(&w);
    return err == 0 ? c.op : err;
}

static int op_sent(cnode_signal s, bool traced, uint64_t flags) {
    cnode_ctrl c = {.signal = s};

    if (traced)
        c.token = (etf_view){&nil, 1};
    return op_of(c, flags);
}

static void test_forms(void **state) {
    static const struct {
        cnode_signal signal;
        uint64_t needs; /* the bits without which: */
        int op, traced, old, old_traced;
    } rows[] = {
        {CNODE_SIG_SEND, 1 << 19, 22, 23, 2, 12},
        {CNODE_SIG_REG_SEND, 0, 6, 16, 6, 16},
        {CNODE_SIG_LINK, 0, 1, 1, 1, 1},
        {CNODE_SIG_UNLINK, 1 << 25, 35, 35, 4, 4},
        {CNODE_SIG_UNLINK_ACK, 1 << 25, 36, 36, CN_ENOTSUP, CN_ENOTSUP},
        {CNODE_SIG_EXIT, 1 << 22, 24, 25, 3, 13},
        {CNODE_SIG_EXIT2, 1 << 22, 26, 27, 8, 18},
        {CNODE_SIG_MONITOR, 1 << 3, 19, 19, CN_ENOTSUP, CN_ENOTSUP},
        {CNODE_SIG_MONITOR, 1 << 5, 19, 19, CN_ENOTSUP, CN_ENOTSUP},
        {CNODE_SIG_DEMONITOR, 1 << 3, 20, 20, CN_ENOTSUP, CN_ENOTSUP},
        {CNODE_SIG_DEMONITOR, 1 << 5, 20, 20, CN_ENOTSUP, CN_ENOTSUP},
        {CNODE_SIG_DOWN, 1 << 22, 28, 28, 21, 21},
        {CNODE_SIG_SPAWN_REQUEST, UINT64_C(1) << 32, 29, 30, CN_ENOTSUP,
         CN_ENOTSUP},
        {CNODE_SIG_SPAWN_REPLY, UINT64_C(1) << 32, 31, 32, CN_ENOTSUP,
         CN_ENOTSUP},
        {CNODE_SIG_GROUP_LEADER, 0, 7, 7, 7, 7},
        {CNODE_SIG_OTHER, 0, CN_ENOTSUP, CN_ENOTSUP, CN_ENOTSUP, CN_ENOTSUP},
        {(cnode_signal)99, 0, CN_ENOTSUP, CN_ENOTSUP, CN_ENOTSUP, CN_ENOTSUP},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cnode_signal s = rows[i].signal;
        assert_int_equal(op_sent(s, false, ALL), rows[i].op);
        assert_int_equal(op_sent(s, true, ALL), rows[i].traced);
        assert_int_equal(op_sent(s, false, rows[i].needs),
                         rows[i].needs == 1 << 3 || rows[i].needs == 1 << 5
                             ? CN_ENOTSUP
                             : rows[i].op);
        assert_int_equal(op_sent(s, false, ALL & ~rows[i].needs),
                         rows[i].needs == 0 ? rows[i].op : rows[i].old);
        assert_int_equal(op_sent(s, true, ALL & ~rows[i].needs),
                         rows[i].needs == 0 ? rows[i].traced
                                            : rows[i].old_traced);
    }
}

/* Aliases, priority and exits to what is no pid: what goes to whom how. */
static void test_altact_forms(void **state) {
    static const uint64_t old = ~(UINT64_C(1) << 37);
    static const uint64_t older = ~(UINT64_C(1) << 37 | UINT64_C(1) << 35);
    static const struct {
        cnode_ctrl c;
        int modern, fallback, oldest;
    } rows[] = {
        {{.signal = CNODE_SIG_ALIAS_SEND}, 37, 33, CN_ENOTSUP},
        {{.signal = CNODE_SIG_ALIAS_SEND, .priority = true},
         37,
         33,
         CN_ENOTSUP},
        {{.signal = CNODE_SIG_SEND}, 22, 22, 22},
        {{.signal = CNODE_SIG_SEND, .priority = true}, 37, 22, 22},
        {{.signal = CNODE_SIG_REG_SEND, .priority = true}, 37, 6, 6},
        {{.signal = CNODE_SIG_EXIT2}, 26, 26, 26},
        {{.signal = CNODE_SIG_EXIT2, .priority = true}, 37, 26, 26},
        {{.signal = CNODE_SIG_EXIT2, .to_alias = true},
         37,
         CN_ENOTSUP,
         CN_ENOTSUP},
        {{.signal = CNODE_SIG_EXIT2, .by_name = true},
         37,
         CN_ENOTSUP,
         CN_ENOTSUP},
        {{.signal = CNODE_SIG_LINK, .priority = true}, 1, 1, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(op_of(rows[i].c, ALL), rows[i].modern);
        assert_int_equal(op_of(rows[i].c, old), rows[i].fallback);
        assert_int_equal(op_of(rows[i].c, older), rows[i].oldest);
    }
}

/* Bits that mean nothing yet, and elements behind the known ones. */
static void test_altact_of_the_future(void **state) {
    cnode_ctrl c;

    (void)state;
    take(&c, "83 6804 6125 6e0900010000000000000001" PID PID2 OK);
    assert_int_equal(c.signal, CNODE_SIG_SEND);
    assert_true(c.priority);
    take(&c, "83 6804 6125 61c4" PID REF OK);
    assert_int_equal(c.signal, CNODE_SIG_ALIAS_SEND);
    take(&c, "83 6805 6125 6104" PID REF "6a" OK);
    assert_int_equal(c.token.len, 0); /* nobody said that it is one */
    take(&c, "83 6806 6125 6106" PID REF "6106 6107" OK);
    assert_int_equal(c.token.len, 2);
    take(&c, "83 6804 6125 6118" PID "7703666f6f" OK);
    assert_int_equal(c.signal, CNODE_SIG_EXIT2);
    assert_true(c.by_name && etf_view_is(c.name, "foo"));
}

static void test_put_refuses(void **state) {
    static char many[300];
    cnode_ctrl c = {.signal = CNODE_SIG_REG_SEND,
                    .name = {(const uint8_t *)"\xff", 1}};
    etf_writer w;

    (void)state;
    etf_writer_init(&w, NULL);
    assert_int_equal(cnode__ctrl_put(&w, &c, ALL, true), CN_EBADARG);
    memset(many, 'a', sizeof many);
    c.name = (etf_view){(const uint8_t *)many, sizeof many};
    etf_writer_reset(&w);
    assert_int_equal(cnode__ctrl_put(&w, &c, ALL, true), CN_ELIMIT);
    etf_writer_free(&w);
}

/* --- as text ------------------------------------------------------------- */

static const struct {
    const char *hex, *text;
} printed[] = {
    {"83 6803 6101" PID PID2, "LINK <a@b.1.2> <c@d.3.0>"},
    {"83 6803 6102 7700" PID OK, "SEND <a@b.1.2>"},
    {"83 6804 6103" PID PID2 "6a", "EXIT <a@b.1.2> <c@d.3.0>"},
    {"83 6801 6105", "NODE_LINK"},
    {"83 6804 6106" PID "7700 7703666f6f" OK, "REG_SEND <a@b.1.2> foo"},
    {"83 6805 6110" PID "7700 7703666f6f 6a" OK,
     "REG_SEND_TT <a@b.1.2> foo token []"},
    {"83 6804 6113" PID PID2 REF,
     "MONITOR_P <a@b.1.2> <c@d.3.0> #Ref<a@b.3.2.1>"},
    {"83 6804 6113" PID "7703666f6f" REF,
     "MONITOR_P <a@b.1.2> foo #Ref<a@b.3.2.1>"},
    {"83 6804 611c" PID PID2 REF OK,
     "PAYLOAD_MONITOR_P_EXIT <a@b.1.2> <c@d.3.0> #Ref<a@b.3.2.1>"},
    {"83 6804 611c 7703666f6f" PID2 REF OK,
     "PAYLOAD_MONITOR_P_EXIT foo <c@d.3.0> #Ref<a@b.3.2.1>"},
    {"83 6806 611d" REF PID PID "6803 77016d 770166 6102 6a 83 6a",
     "SPAWN_REQUEST #Ref<a@b.3.2.1> <a@b.1.2> leader <a@b.1.2> m:f/2"},
    {"83 6807 611e" REF PID PID2
     "6803 77016d 770166 6100 6c00000001 77046c696e6b 6a 6105 83 6a",
     "SPAWN_REQUEST_TT #Ref<a@b.3.2.1> <a@b.1.2> leader <c@d.3.0> m:f/0 "
     "options [link] token 5"},
    {"83 6805 611f" REF PID "6103" PID2,
     "SPAWN_REPLY #Ref<a@b.3.2.1> <a@b.1.2> 3 <c@d.3.0>"},
    {"83 6805 611f" REF PID "6100 77066261646f7074",
     "SPAWN_REPLY #Ref<a@b.3.2.1> <a@b.1.2> 0 badopt"},
    {"83 6803 6121" PID REF OK, "ALIAS_SEND <a@b.1.2> #Ref<a@b.3.2.1>"},
    {"83 6804 6123 6e08000000000000000080" PID PID2,
     "UNLINK_ID 9223372036854775808 <a@b.1.2> <c@d.3.0>"},
    {"83 6804 6125 6104" PID REF OK,
     "ALTACT_SIG_SEND <a@b.1.2> #Ref<a@b.3.2.1>"},
    {"83 6804 6125 6111" PID PID2 OK,
     "ALTACT_SIG_SEND exit priority <a@b.1.2> <c@d.3.0>"},
    {"83 6805 6125 6106" PID REF "6105" OK,
     "ALTACT_SIG_SEND <a@b.1.2> #Ref<a@b.3.2.1> token 5"},
    {"83 6804 6125 6109" PID "7703666f6f" OK,
     "ALTACT_SIG_SEND priority <a@b.1.2> foo"},
    /* A name cannot write on somebody's terminal, or a second line. */
    {"83 6804 6106" PID "7700 7705 611b0a7f62" OK, "REG_SEND <a@b.1.2> a???b"},
    {"83 6804 6106" PID "7700 7708 61c29b32c39bc285" OK,
     "REG_SEND <a@b.1.2> a??2\xc3\x9b??"},
    {"83 6803 6107 58 7703610a62 00000001 00000002 00000004" PID,
     "GROUP_LEADER <a?b.1.2> <a@b.1.2>"},
};

static void test_print(void **state) {
    char text[256];
    cnode_ctrl c;

    (void)state;
    for (size_t i = 0; i < sizeof printed / sizeof *printed; i++) {
        size_t n = strlen(printed[i].text);
        take(&c, printed[i].hex);
        assert_int_equal(cnode__ctrl_print(&c, text, sizeof text), n);
        assert_string_equal(text, printed[i].text);
        for (size_t cap = 0; cap <= n; cap++) { /* too little room */
            memset(text, 'x', sizeof text);
            assert_int_equal(cnode__ctrl_print(&c, text, cap), n);
            if (cap > 0)
                assert_int_equal(strlen(text), cap - 1);
            assert_int_equal(text[cap], 'x');
            assert_memory_equal(text, printed[i].text, cap == 0 ? 0 : cap - 1);
        }
    }
    take(&c, "83 6804 6106" PID "7700 7703 c2a02e" OK);
    (void)cnode__ctrl_print(&c, text, sizeof text);
    assert_string_equal(text, "REG_SEND <a@b.1.2> \xc2\xa0.");
    c = (cnode_ctrl){.op = 99, .id = 99};
    (void)cnode__ctrl_print(&c, text, sizeof text);
    assert_string_equal(text, "control message 99");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_more_behind),
        cmocka_unit_test(test_arity),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_other_forms),
        cmocka_unit_test(test_not_handled),
        cmocka_unit_test(test_op_names),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_altact_forms),
        cmocka_unit_test(test_altact_of_the_future),
        cmocka_unit_test(test_put_refuses),
        cmocka_unit_test(test_print),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
