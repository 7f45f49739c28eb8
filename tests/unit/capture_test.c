/* SPDX-License-Identifier: Apache-2.0
 *
 * Captures: two connections talk, one of them is listened to, and what was
 * written down is read again; whole, in single bytes, cut anywhere, and when
 * the file takes no more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cnode/capture.h"
#include "cnode/digest.h"
#include "tests/unit/mesh.h"

typedef struct talk {
    cnode_conn *a, *b;
    cnode_capture *capture;
    FILE *file;
    uint8_t *bytes; /* of the file */
    size_t len;
    int errors; /* lines in the log */
    int warnings;
    uint64_t now;
    uint64_t without; /* flags that are not announced */
} talk;

static uint64_t clock_of(void *ctx) {
    talk *t = ctx;
    return t->now++;
}

static void on_log(void *ctx, cn_level level, const char *where,
                   const char *text) {
    talk *t = ctx;

    assert_string_equal(where, "capture");
    assert_non_null(strstr(text, "nothing more is written"));
    t->errors += level == CN_LOG_ERROR;
    t->warnings += level == CN_LOG_WARN;
}

static void listen_to(talk *t, FILE *out, uint64_t max_bytes,
                      size_t max_message) {
    const cnode_capture_config c = {.out = out,
                                    .max_bytes = max_bytes,
                                    .max_message = max_message,
                                    .clock_us = clock_of,
                                    .ctx = t,
                                    .log = {on_log, t, CN_LOG_DEBUG}};

    t->file = out;
    assert_int_equal(cnode_capture_new(&t->capture, &c), 0);
}

static cnode_conn *make(talk *t, bool initiator) {
    const cnode_conn_config c = {.initiator = initiator,
                                 .name = initiator ? "a@h" : "b@h",
                                 .peer = "b@h",
                                 .cookie = "abc",
                                 .creation = initiator ? 5 : 6,
                                 .challenge =
                                     initiator ? 0xaaa1aaa2 : 0xbbb1bbb2,
                                 .flags = cnode_conn_flags() & ~t->without,
                                 .capture = initiator ? t->capture : NULL};
    cnode_conn *conn;

    assert_int_equal(cnode_conn_new(&conn, &c, 0), 0);
    return conn;
}

/* In single bytes, so that no message comes whole; they stay until the next is
 * fed. */
static void carry(cnode_conn *from, cnode_conn *to) {
    static uint8_t bytes[2];
    static unsigned at;
    cn_slice v;

    while (cnode_conn_output(from, &v, 1) > 0) {
        uint8_t *byte = &bytes[at++ % 2];
        *byte = *v.data;
        assert_int_equal(cnode_conn_feed(to, byte, 1, 0), 0);
        cnode_conn_wrote(from, 1);
    }
}

static void start(talk *t) {
    cnode_event ev;

    t->a = make(t, true);
    t->b = make(t, false);
    carry(t->a, t->b);
    assert_int_equal(cnode_conn_next(t->b, &ev), 1);
    assert_int_equal(cnode_conn_answer(t->b, CNODE_ANSWER_OK, "abc", NULL, 0),
                     0);
    carry(t->b, t->a);
    assert_int_equal(cnode_conn_next(t->a, &ev), 0);
    carry(t->a, t->b);
    assert_int_equal(cnode_conn_next(t->b, &ev), 1);
    carry(t->b, t->a);
    assert_int_equal(cnode_conn_next(t->a, &ev), 1);
    assert_true(cnode_conn_up(t->a) && cnode_conn_up(t->b));
}

static void say(cnode_conn *from, cnode_conn *to, const char *text) {
    cnode_ctrl c = {.signal = CNODE_SIG_REG_SEND};
    etf_writer w;

    etf_writer_init(&w, NULL);
    assert_int_equal(etf_parse(&w, text, NULL), 0);
    assert_int_equal(etf_writer_finish(&w, &c.term), 0);
    c.from = (etf_pid){.id = 7, .creation = 5, .node_len = 3};
    memcpy(c.from.node, "x@h", 4);
    c.name = (etf_view){(const uint8_t *)"box", 3};
    assert_int_equal(cnode_conn_send(from, &c), 0);
    carry(from, to);
    etf_writer_free(&w);
}

static void end(talk *t) {
    (void)cnode_conn_eof(t->a, 0);
    cnode_conn_free(t->a);
    cnode_conn_free(t->b);
    cnode_capture_free(t->capture);
}

static void load(talk *t) {
    long n;

    assert_int_equal(fseek(t->file, 0, SEEK_END), 0);
    n = ftell(t->file);
    assert_true(n > 0);
    t->len = (size_t)n;
    t->bytes = malloc(t->len);
    assert_non_null(t->bytes);
    rewind(t->file);
    assert_int_equal(fread(t->bytes, 1, t->len, t->file), t->len);
    (void)fclose(t->file);
}

static void forget(talk *t) {
    free(t->bytes);
}

static cnode_dump *reader_of(const uint8_t *p, size_t n) {
    cnode_dump *d;

    assert_int_equal(cnode_dump_new(&d, NULL), 0);
    assert_int_equal(cnode_dump_feed(d, p, n), 0);
    return d;
}

static void converse(talk *t) {
    cnode_event ev;

    start(t);
    say(t->a, t->b, "{hello, 1}");
    say(t->b, t->a, "[<<\"bytes\">>]");
    assert_int_equal(cnode_conn_timeout(t->b, 15000), 0);
    assert_int_equal(cnode_conn_timeout(t->b, 30000), 0);
    carry(t->b, t->a);
    assert_int_equal(cnode_conn_next(t->a, &ev), 1);
    assert_int_equal(cnode_conn_next(t->a, &ev), 0);
}

/* --- there and back ------------------------------------------------------ */

static void expect(cnode_dump *d, cnode_capture_kind kind, bool out,
                   const char *text, cnode_dump_message *m) {
    assert_int_equal(cnode_dump_next(d, m), 1);
    if (strncmp(m->text, text, strlen(text)) != 0)
        fail_msg("want %s, got %s (%s)", text, m->text, m->error);
    assert_int_equal(m->kind, kind);
    assert_int_equal(m->out, out);
    assert_int_equal(m->connection, 1);
    assert_string_equal(m->error, "");
}

static void is_read_again(void **state) {
    talk t = {.now = 1000};
    cnode_dump_message m;
    cnode_dump *d;

    (void)state;
    listen_to(&t, tmpfile(), 0, 0);
    converse(&t);
    end(&t);
    load(&t);
    d = reader_of(t.bytes, t.len);
    expect(d, CNODE_CAPTURE_OPEN, true, "connected by a@h", &m);
    assert_int_equal(m.time_us, 1000);
    expect(d, CNODE_CAPTURE_HANDSHAKE, true, "name a@h, creation 5, flags 0x",
           &m);
    assert_non_null(strstr(m.text, " SEND_SENDER"));
    expect(d, CNODE_CAPTURE_HANDSHAKE, false, "status ok", &m);
    expect(d, CNODE_CAPTURE_HANDSHAKE, false, "challenge from b@h, creation 6",
           &m);
    assert_string_equal(m.peer, "b@h");
    expect(d, CNODE_CAPTURE_HANDSHAKE, true, "challenge and digest, masked",
           &m);
    expect(d, CNODE_CAPTURE_HANDSHAKE, false, "digest, masked", &m);
    expect(d, CNODE_CAPTURE_FRAME, true, "REG_SEND <x@h.7.0> box", &m);
    assert_int_equal(m.ctrl->signal, CNODE_SIG_REG_SEND);
    assert_int_equal(etf_match(m.ctrl->term, "{hello, 1}"), 0);
    assert_int_equal(m.size, m.bytes.len);
    assert_string_equal(m.peer, "b@h");
    expect(d, CNODE_CAPTURE_FRAME, false, "REG_SEND <x@h.7.0> box", &m);
    assert_int_equal(etf_match(m.ctrl->term, "[<<\"bytes\">>]"), 0);
    expect(d, CNODE_CAPTURE_FRAME, false, "tick", &m);
    assert_null(m.ctrl);
    expect(d, CNODE_CAPTURE_CLOSE, false,
           "closed: the peer closed the connection", &m);
    assert_int_equal(m.time_us, 1009);
    assert_int_equal(cnode_dump_next(d, &m), 0);
    assert_int_equal(cnode_dump_eof(d), 0);
    cnode_dump_free(d);
    forget(&t);
}

static bool holds(const talk *t, const void *p, size_t n) {
    return memmem(t->bytes, t->len, p, n) != NULL;
}

/* Neither challenge nor digest, with which a cookie could be guessed. */
static void secrets_are_masked(void **state) {
    static const uint8_t challenges[2][4] = {{0xaa, 0xa1, 0xaa, 0xa2},
                                             {0xbb, 0xb1, 0xbb, 0xb2}};
    uint8_t digest[16];
    talk t = {0};

    (void)state;
    listen_to(&t, tmpfile(), 0, 0);
    converse(&t);
    end(&t);
    load(&t);
    for (int i = 0; i < 2; i++) {
        assert_false(holds(&t, challenges[i], 4));
        cnode__digest("abc", cn__be32(challenges[i]), digest);
        assert_false(holds(&t, digest, sizeof digest));
    }
    assert_true(holds(&t, "hello", 5));
    forget(&t);
}

/* --- cut, full, broken --------------------------------------------------- */

static void long_messages_are_cut(void **state) {
    talk t = {0};
    cnode_dump_message m;
    cnode_dump *d;

    (void)state;
    listen_to(&t, tmpfile(), 0, 60);
    start(&t);
    say(t.a, t.b,
        "{\"a text that is far too long to be kept in sixty bytes\"}");
    say(t.a, t.b, "ok");
    end(&t);
    load(&t);
    d = reader_of(t.bytes, t.len);
    for (int i = 0; i < 6; i++)
        assert_int_equal(cnode_dump_next(d, &m), 1);
    expect(d, CNODE_CAPTURE_FRAME, true, "REG_SEND <x@h.7.0> box", &m);
    assert_true(m.cut && m.size > 60);
    assert_int_equal(m.bytes.len, 60);
    expect(d, CNODE_CAPTURE_FRAME, true, "REG_SEND <x@h.7.0> box", &m);
    assert_false(m.cut);
    assert_int_equal(etf_match(m.ctrl->term, "ok"), 0);
    cnode_dump_free(d);
    forget(&t);
}

/* What is cut of a message in fragments is told of, and what comes behind it is
 * read: its header has put atoms into the cache. */
static void long_fragments_are_cut(void **state) {
    static char text[200000];
    talk t = {0};
    cnode_dump_message m;
    cnode_dump *d;
    int fragments = 0;

    (void)state;
    memset(text, '7', sizeof text - 1);
    memcpy(text, "{<<\"", 4);
    memcpy(text + sizeof text - 5, "\">>}", 5);
    listen_to(&t, tmpfile(), 0, 80);
    start(&t);
    say(t.a, t.b, text);
    say(t.a, t.b, "ok");
    end(&t);
    load(&t);
    d = reader_of(t.bytes, t.len);
    for (int i = 0; i < 7; i++)
        assert_int_equal(cnode_dump_next(d, &m), 1);
    assert_non_null(strstr(m.text, "first fragment of sequence"));
    assert_non_null(strstr(m.text, "REG_SEND <x@h.7.0> box"));
    assert_true(m.cut);
    while (cnode_dump_next(d, &m) == 1 && strstr(m.text, "fragment") != NULL) {
        assert_string_equal(m.error, "");
        assert_non_null(strstr(m.text, "the beginning was cut"));
        fragments++;
    }
    assert_true(fragments >= 3);
    assert_string_equal(m.text, "REG_SEND <x@h.7.0> box");
    assert_int_equal(etf_match(m.ctrl->term, "ok"), 0);
    cnode_dump_free(d);
    forget(&t);
}

static void has_a_largest_size(void **state) {
    talk t = {0};
    cnode_dump_message m;
    cnode_dump *d;
    int n = 0;

    (void)state;
    listen_to(&t, tmpfile(), 700, 0);
    start(&t);
    for (int i = 0; i < 50; i++)
        say(t.a, t.b, "{some, message}");
    assert_int_equal(cnode_capture_status(t.capture), CN_ELIMIT);
    assert_int_equal(t.warnings, 1);
    assert_true(cnode_conn_up(t.a));
    end(&t);
    load(&t);
    assert_true(t.len <= 700);
    d = reader_of(t.bytes, t.len);
    while (cnode_dump_next(d, &m) == 1)
        n++;
    assert_true(n > 7);
    assert_int_equal(cnode_dump_eof(d), 0);
    assert_int_equal(t.bytes[t.len - 18], CNODE_CAPTURE_FULL);
    assert_int_equal(t.errors, 0);
    cnode_dump_free(d);
    forget(&t);
}

static void a_full_disk_harms_nobody(void **state) {
    talk t = {0};
    FILE *full = fopen("/dev/full", "w");
    const cnode_capture_config c = {.out = full,
                                    .log = {on_log, &t, CN_LOG_DEBUG}};
    static char buffer[400]; /* what fits is taken by stdio */

    (void)state;
    assert_non_null(full);
    assert_int_equal(cnode_capture_new(&t.capture, &c), CN_EIO);
    assert_null(t.capture);
    assert_int_equal(t.errors, 1);
    assert_int_equal(cnode_capture_new(&t.capture, NULL), CN_EBADARG);
    (void)fclose(full);
    t.errors = 0;
    full = fmemopen(buffer, sizeof buffer, "w");
    assert_non_null(full);
    listen_to(&t, full, 0, 0);
    start(&t);
    for (int i = 0; i < 10; i++)
        say(t.a, t.b, "{some, message}");
    assert_int_equal(cnode_capture_status(t.capture), CN_EIO);
    assert_int_equal(t.errors, 1);
    assert_true(cnode_conn_up(t.a));
    end(&t);
    (void)fclose(full);
}

static void ends_anywhere(void **state) {
    talk t = {0};
    cnode_dump_message m;
    int whole = 0;

    (void)state;
    listen_to(&t, tmpfile(), 0, 0);
    converse(&t);
    end(&t);
    load(&t);
    for (size_t n = 0; n < t.len; n++) {
        cnode_dump *d = reader_of(t.bytes, n);
        int r, seen = 0;
        while ((r = cnode_dump_next(d, &m)) == 1)
            seen++;
        assert_int_equal(r, 0);
        assert_true(seen >= whole);
        r = cnode_dump_eof(d);
        assert_true(r == CN_ETRUNC || (r == 0 && seen >= whole));
        whole = seen;
        cnode_dump_free(d);
    }
    assert_int_equal(whole, 9);
    forget(&t);
}

/* A frame that makes no sense is told of; the next one is read all the same,
 * if it does not refer to atoms that went before. */
static void nonsense_is_told(void **state) {
    talk t = {.without = CNODE_FLAG_DIST_HDR_ATOM_CACHE | CNODE_FLAG_FRAGMENTS};
    cnode_dump_message m;
    cnode_dump *d;
    size_t at;

    (void)state;
    listen_to(&t, tmpfile(), 0, 0);
    start(&t);
    say(t.a, t.b, "one");
    say(t.a, t.b, "two");
    end(&t);
    load(&t);
    at = (size_t)((uint8_t *)memmem(t.bytes, t.len, "one", 3) - t.bytes);
    t.bytes[at - 2] = 250; /* its tag */
    d = reader_of(t.bytes, t.len);
    for (int i = 0; i < 7; i++)
        assert_int_equal(cnode_dump_next(d, &m), 1);
    assert_non_null(strstr(m.error, "malformed or missing payload"));
    assert_null(m.ctrl);
    expect(d, CNODE_CAPTURE_FRAME, true, "REG_SEND <x@h.7.0> box", &m);
    assert_int_equal(etf_match(m.ctrl->term, "two"), 0);
    cnode_dump_free(d);
    forget(&t);
}

/* A record of connection 1; both sides have the flags of an OTP node. */
static void feed_record(cnode_dump *d, int kind, bool out, const char *hex) {
    uint8_t bytes[256], head[22], *p;
    size_t n = unhex(hex, bytes, sizeof bytes);

    p = cn__put32(head, (uint32_t)n + 18);
    p = cn__put8(cn__put8(p, (uint8_t)kind), out);
    p = cn__put32(cn__put64(cn__put32(p, 1), 0), (uint32_t)n);
    assert_int_equal(cnode_dump_feed(d, head, (size_t)(p - head)), 0);
    assert_int_equal(cnode_dump_feed(d, bytes, n), 0);
}

static void headers_and_fragments_are_read(void **state) {
    static const uint8_t head[12] = "CNODECAP\0\1";
    cnode_dump *d = reader_of(head, sizeof head);
    cnode_dump_message m;

    (void)state;
    feed_record(d, CNODE_CAPTURE_OPEN, true, "614068");
    expect(d, CNODE_CAPTURE_OPEN, true, "connected by a@h", &m);
    feed_record(d, CNODE_CAPTURE_HANDSHAKE, true,
                "4e 0000006d07df7fbd 00000001 0003 614068");
    expect(d, CNODE_CAPTURE_HANDSHAKE, true, "name a@h", &m);
    feed_record(d, CNODE_CAPTURE_HANDSHAKE, false,
                "4e 0000006d07df7fbd 00000000 00000001 0003 624068");
    expect(d, CNODE_CAPTURE_HANDSHAKE, false, "challenge from b@h", &m);
    feed_record(d, CNODE_CAPTURE_FRAME, false,
                "8344038808000361406801000203626f786804610658520000000001"
                "00000000000000015201520268016105");
    expect(d, CNODE_CAPTURE_FRAME, false, "REG_SEND <a@h.1.0> box", &m);
    assert_int_equal(etf_match(m.ctrl->term, "{5}"), 0);
    feed_record(d, CNODE_CAPTURE_FRAME, false,
                "83450000000000000007000000000000000203880800036140680100"
                "0203626f786804610658520000000001000000000000000152015202"
                "6801");
    expect(d, CNODE_CAPTURE_FRAME, false,
           "first fragment of sequence 7, number 2: more is to come", &m);
    assert_null(m.ctrl);
    feed_record(d, CNODE_CAPTURE_FRAME, false,
                "8346000000000000000700000000000000016105");
    expect(d, CNODE_CAPTURE_FRAME, false,
           "fragment of sequence 7, number 1: REG_SEND <a@h.1.0> box", &m);
    assert_int_equal(etf_match(m.ctrl->term, "{5}"), 0);
    cnode_dump_free(d);
}

static void refuse(const char *hex, int code) {
    uint8_t bytes[64];
    cnode_dump_message m;
    cnode_dump *d = reader_of(bytes, unhex(hex, bytes, sizeof bytes));

    assert_int_equal(cnode_dump_next(d, &m), code);
    assert_int_equal(cnode_dump_error(d)->code, code);
    assert_true(cnode_dump_error(d)->text[0] != '\0');
    assert_int_equal(cnode_dump_feed(d, bytes, 1), code);
    cnode_dump_free(d);
}

static void what_is_no_capture(void **state) {
    (void)state;
    refuse("7f454c46", CN_EPROTO);
    refuse("434e4f4445434150 0002 0000", CN_EVERSION);
    refuse("434e4f4445434150 0001 0000 00000011 03 00 00000001 "
           "0000000000000000 00000000",
           CN_EPROTO);
}

/* --- nodes --------------------------------------------------------------- */

static void a_node_is_listened_to(mesh *m) {
    FILE *f = tmpfile();
    const cnode_capture_config c = {.out = f};
    cnode_config config = {.capture = NULL};
    cnode_dump_message x;
    cnode_dump *d;
    uint8_t bytes[4096];
    cnode_proc *p;
    size_t n;
    int frames = 0;

    assert_non_null(f);
    assert_int_equal(cnode_capture_new(&config.capture, &c), 0);
    if (mesh_start(m, 0, &config) == 0 && mesh_start(m, 1, NULL) == 0 &&
        (p = mesh_proc(m, 0, "p")) != NULL) {
        (void)cnode_send_name(p, "b@h", "nobody", "hello");
        mesh_settle(m);
    }
    for (int i = 0; i < MESH_NODES; i++)
        if (m->nodes[i].live)
            mesh_stop(m, i);
    cnode_capture_free(config.capture);
    rewind(f);
    n = fread(bytes, 1, sizeof bytes, f);
    d = reader_of(bytes, n);
    while (cnode_dump_next(d, &x) == 1)
        frames += x.ctrl != NULL && etf_match(x.ctrl->term, "hello") == 0;
    assert_int_equal(cnode_dump_eof(d), 0);
    cnode_dump_free(d);
    (void)fclose(f);
    assert_true(frames == 1 || (m->fault != NULL && m->fault->failed));
}

/* Any allocation of writer and reader may fail. */
static int with_failures(fault_alloc *f, void *arg) {
    talk *t = arg;
    cnode_dump_message m;
    cnode_dump *d;
    int err = cnode_dump_new(&d, &f->alloc);

    if (err == 0)
        err = cnode_dump_feed(d, t->bytes, t->len);
    while (err == 0 && (err = cnode_dump_next(d, &m)) == 1)
        err = 0;
    assert_true(err == 0 || err == CN_ENOMEM);
    cnode_dump_free(d);
    return err;
}

static void runs_out_of_memory(void **state) {
    talk t = {0};

    (void)state;
    listen_to(&t, tmpfile(), 0, 0);
    converse(&t);
    end(&t);
    load(&t);
    run_with_every_failure(with_failures, &t);
    forget(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_read_again),
        cmocka_unit_test(secrets_are_masked),
        cmocka_unit_test(long_messages_are_cut),
        cmocka_unit_test(long_fragments_are_cut),
        cmocka_unit_test(has_a_largest_size),
        cmocka_unit_test(a_full_disk_harms_nobody),
        cmocka_unit_test(ends_anywhere),
        cmocka_unit_test(nonsense_is_told),
        cmocka_unit_test(headers_and_fragments_are_read),
        cmocka_unit_test(what_is_no_capture),
        cmocka_unit_test(runs_out_of_memory),
        MESH_CASE(a_node_is_listened_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
