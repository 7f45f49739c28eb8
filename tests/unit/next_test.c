/* SPDX-License-Identifier: Apache-2.0
 *
 * next_test.c: etf_next tells what the heads tell, and so does the quick way
 * of etf_skip, on good terms, on cut ones and on broken ones.
 */
#include <stdlib.h>
#include <string.h>

#include "ext_term/term.h"
#include "tests/unit/support.h"
#include "tests/unit/vectors.h"

static uint8_t in[4096];
static etf_reader r;
static etf_item it;

static void start(const char *hex) {
    etf_reader_init(&r, (etf_view){in, unhex(hex, in, sizeof in)});
}

static void done(void) {
    assert_int_equal(etf_next(&r, &it), ETF_NONE);
    assert_int_equal(etf_reader_finish(&r), 0);
    assert_int_equal(etf_reader_left(&r), 0);
}

/* The next term is of this type; what is in the item is then asserted. */
#define NEXT(kind)                                                             \
    do {                                                                       \
        assert_int_equal(etf_next(&r, &it), kind);                             \
        assert_int_equal(it.type, kind);                                       \
    } while (0)

#define PADDING "6a6a6a6a6a6a6a6a6a6a"

/* Each with more bytes behind it, where the quick way is open, and at the end
 * of the input, where it is not. */
static void next_int(const char *hex, int64_t v, bool padded) {
    char text[256];

    (void)snprintf(text, sizeof text, "%s%s", hex, padded ? PADDING : "");
    start(text);
    NEXT(ETF_INT);
    assert_false(it.wide);
    assert_int_equal(it.children, 0);
    assert_true(it.i == v);
    assert_int_equal(etf_reader_left(&r), padded ? 10 : 0);
}

#define INT(hex, v)                                                            \
    do {                                                                       \
        next_int(hex, v, true);                                                \
        next_int(hex, v, false);                                               \
    } while (0)

static void integers(void **state) {
    (void)state;
    INT("6100", 0);
    INT("61ff", 255);
    INT("62ffffffff", -1);
    INT("6280000000", INT32_MIN);
    INT("6e040000000080", 2147483648);
    INT("6e0801 0000000000000080", INT64_MIN);
    INT("6e0800 ffffffffffffff7f", INT64_MAX);
    INT("6e0a00 01000000000000000000", 1);
    INT("6e0001", 0);
    INT("6f00000001 0105", -5);
    INT("6c000000006107", 7);
    start("6e0801 0100000000000080 6e0a00 00000000000000000100" PADDING);
    NEXT(ETF_INT);
    assert_true(it.wide && it.negative);
    assert_hex(it.bytes.data, it.bytes.len, "0100000000000080");
    NEXT(ETF_INT);
    assert_true(it.wide && !it.negative);
    assert_hex(it.bytes.data, it.bytes.len, "000000000000000001");
}

static void leaves(void **state) {
    (void)state;
    start("463ff8000000000000 77026f6b 770a61746f6d5f6e725f3132 7702c3a9 7700"
          "6400016f 7301e9 760002c3a9 6d00000003616263 6b0003010203 6a 6b0000"
          "4d000000020401 20" PADDING);
    NEXT(ETF_FLOAT);
    assert_true(it.f == 1.5);
    NEXT(ETF_ATOM);
    assert_true(etf_view_is(it.bytes, "ok"));
    NEXT(ETF_ATOM);
    assert_true(etf_view_is(it.bytes, "atom_nr_12"));
    NEXT(ETF_ATOM);
    assert_true(etf_view_is(it.bytes, "\xc3\xa9"));
    NEXT(ETF_ATOM);
    assert_int_equal(it.bytes.len, 0);
    NEXT(ETF_ATOM);
    assert_true(etf_view_is(it.bytes, "o"));
    NEXT(ETF_ATOM);
    assert_true(etf_view_is(it.bytes, "\xc3\xa9"));
    NEXT(ETF_ATOM);
    assert_true(etf_view_is(it.bytes, "\xc3\xa9"));
    NEXT(ETF_BINARY);
    assert_true(etf_view_is(it.bytes, "abc"));
    NEXT(ETF_STRING);
    assert_hex(it.bytes.data, it.bytes.len, "010203");
    assert_int_equal(it.children, 0);
    NEXT(ETF_NIL);
    NEXT(ETF_NIL);
    NEXT(ETF_BITSTRING);
    assert_int_equal(it.n, 4);
    assert_hex(it.bytes.data, it.bytes.len, "0120");
}

static void containers(void **state) {
    (void)state;
    start("6801 6a 6c00000002 6101 6102 6a 6900000001 6a 7400000001 6101 6102"
          "6c00000000 6a");
    NEXT(ETF_TUPLE);
    assert_int_equal(it.n, 1);
    assert_int_equal(it.children, 1);
    NEXT(ETF_NIL);
    NEXT(ETF_LIST);
    assert_int_equal(it.n, 2);
    assert_int_equal(it.children, 3);
    for (int i = 0; i < 2; i++)
        NEXT(ETF_INT);
    NEXT(ETF_NIL);
    NEXT(ETF_TUPLE);
    assert_int_equal(it.n, 1);
    NEXT(ETF_NIL);
    NEXT(ETF_MAP);
    assert_int_equal(it.n, 1);
    assert_int_equal(it.children, 2);
    for (int i = 0; i < 2; i++)
        NEXT(ETF_INT);
    NEXT(ETF_NIL);
    done();
}

/* An identifier is its bytes, so that it can be read or kept. */
static void identifiers(void **state) {
    static const char *const hex[] = {
        "58 7703614062 000000010000000200000003",
        "58 7304e9614062 000000010000000200000003",
        "67 640003614062 00000001 00000002 03",
        "78 7703614062 0000000100000002 00000004",
        "59 7703614062 00000009 00000004",
        "5a0002 7703614062 00000005 0000000700000008",
        "720002 7703614062 03 0000000700000008",
        "71 770161 770162 6102",
    };
    static const etf_type type[] = {ETF_PID,  ETF_PID, ETF_PID, ETF_PORT,
                                    ETF_PORT, ETF_REF, ETF_REF, ETF_EXPORT};

    (void)state;
    for (size_t i = 0; i < sizeof hex / sizeof *hex; i++) {
        start(hex[i]);
        NEXT(type[i]);
        assert_hex(it.bytes.data, it.bytes.len, hex[i]);
        assert_int_equal(it.children, 0);
        done();
    }
    start("43 00000002 01 77016d 770172 77017a 770161 6101 6102");
    NEXT(ETF_RECORD);
    assert_int_equal(it.n, 2);
    assert_int_equal(it.children, 2);
    assert_int_equal(it.bytes.len, 18);
    for (int i = 0; i < 2; i++)
        NEXT(ETF_INT);
    done();
}

/* An error stays, and a walk may begin in an opened STRING_EXT. */
static void walks(void **state) {
    etf_walk w;

    (void)state;
    start("6b00020102" PADDING);
    assert_int_equal(etf_get_list(&r), 2);
    w = etf_walk_begin(&r);
    assert_int_equal(etf_walk_next(&w, &it), ETF_INT);
    assert_int_equal(etf_walk_next(&w, &it), ETF_INT);
    assert_true(it.i == 2);
    assert_int_equal(etf_walk_next(&w, &it), ETF_NIL);
    assert_int_equal(etf_walk_next(&w, &it), ETF_NIL);
    etf_walk_end(&w);
    assert_int_equal(etf_reader_left(&r), 9);
    start("6101ff" PADDING);
    w = etf_walk_begin(&r);
    assert_int_equal(etf_walk_next(&w, &it), ETF_INT);
    assert_int_equal(etf_walk_next(&w, &it), ETF_NONE);
    assert_int_equal(etf_walk_next(&w, &it), ETF_NONE);
    etf_walk_end(&w);
    assert_int_equal(r.err, CN_EBADTERM);
    assert_int_equal(r.err_at, 2);
}

static void in_a_string(void **state) {
    (void)state;
    start("6b0002 0506 6107");
    assert_int_equal(etf_get_list(&r), 2);
    NEXT(ETF_INT);
    assert_int_equal(it.i, 5);
    assert_int_equal(etf_peek(&r), ETF_INT);
    NEXT(ETF_INT);
    assert_int_equal(it.i, 6);
    assert_int_equal(etf_peek(&r), ETF_NIL);
    NEXT(ETF_NIL);
    NEXT(ETF_INT);
    done();
}

#define FAILS(hex, code, at)                                                   \
    do {                                                                       \
        start(hex);                                                            \
        while (etf_next(&r, &it) != ETF_NONE)                                  \
            continue;                                                          \
        assert_int_equal(etf_reader_finish(&r), code);                         \
        assert_int_equal(r.err_at, at);                                        \
        assert_int_equal(etf_next(&r, &it), ETF_NONE);                         \
        assert_int_equal(it.type, ETF_NONE);                                   \
        assert_int_equal(it.children, 0);                                      \
    } while (0)

static void refused(void **state) {
    (void)state;
    FAILS("6a 7701ff" PADDING, CN_EBADTERM, 1);
    FAILS("7709 61616161616161 61ff" PADDING, CN_EBADTERM, 0);
    FAILS("7711 ff61616161616161 6161616161616161 61" PADDING, CN_EBADTERM, 0);
    FAILS("467ff0000000000000" PADDING, CN_EBADTERM, 0);
    FAILS("46fff8000000000000" PADDING, CN_EBADTERM, 0);
    FAILS("4d000000010001" PADDING, CN_EBADTERM, 0);
    FAILS("6d0000000b" PADDING, CN_ETRUNC, 0);
    FAILS("6b000b" PADDING, CN_ETRUNC, 0);
    FAILS("680b" PADDING, CN_ETRUNC, 0);
    FAILS("6c0000000a" PADDING, CN_ETRUNC, 0);
    FAILS("7400000006" PADDING, CN_ETRUNC, 0);
    FAILS("770b" PADDING, CN_ETRUNC, 0);
    FAILS("6e0a" PADDING, CN_ETRUNC, 0);
    FAILS("5a0006 7703614062 00000005" PADDING PADDING, CN_EBADTERM, 0);
    FAILS("58 7703614062 0000000100000002", CN_ETRUNC, 0);
    FAILS("50" PADDING, CN_EBADTERM, 0);
    FAILS("61", CN_ETRUNC, 0);
}

/* --- against the heads ---------------------------------------------------- */

/* One term through the heads, the slow way: 0 or the error, and its byte. */
static int by_heads(etf_view v, size_t *at, size_t *size) {
    cn_cursor c = cn__cursor(v.data, v.len);
    uint64_t left = 1;
    etf__head h;
    int err = 0;

    while (left > 0 && err == 0) {
        err = etf__head_read(&c, &h);
        *at = (size_t)(h.at - v.data);
        left += h.children - 1;
        if (err == 0 && left > c.left)
            err = CN_ETRUNC;
    }
    *size = (size_t)(c.p - v.data);
    return err;
}

static int by_next(etf_view v, size_t *at, size_t *size) {
    uint64_t left = 1;

    etf_reader_init(&r, v);
    if (v.len == 0)
        etf_reader_fail(&r, CN_ETRUNC);
    for (; left > 0 && etf_next(&r, &it) != ETF_NONE; left += it.children - 1)
        if (left + it.children - 1 > etf_reader_left(&r))
            etf_reader_fail(&r, CN_ETRUNC);
    *at = r.err_at;
    *size = etf_reader_pos(&r);
    return r.err;
}

/* A walk with an end and a new beginning wherever it may be. */
static void walk(etf_view v, bool pauses) {
    etf_reader one = {0}, many = {0};
    etf_item a = {0}, b = {0};
    etf_walk w;

    etf_reader_init(&one, v);
    etf_reader_init(&many, v);
    w = etf_walk_begin(&many);
    while (etf_next(&one, &a) != ETF_NONE) {
        assert_int_equal(etf_walk_next(&w, &b), a.type);
        assert_int_equal(b.children, a.children);
        if (pauses) {
            etf_walk_end(&w);
            assert_int_equal(etf_reader_pos(&many), etf_reader_pos(&one));
            w = etf_walk_begin(&many);
        }
    }
    assert_int_equal(etf_walk_next(&w, &b), ETF_NONE);
    etf_walk_end(&w);
    assert_int_equal(etf_reader_pos(&many), etf_reader_pos(&one));
    assert_int_equal(many.err, one.err);
    assert_int_equal(many.err_at, one.err_at);
}

static int by_skip(etf_view v, size_t *at, size_t *size) {
    etf_reader_init(&r, v);
    etf_skip(&r);
    *at = r.err_at;
    *size = etf_reader_pos(&r);
    return r.err;
}

/* In memory of exactly that size, so that the sanitizers see a byte too many.
 */
static void alike(const uint8_t *data, size_t n) {
    size_t at = 0, at_skip, at_next, size, size_skip, size_next;
    uint8_t *copy = malloc(n + 1);
    etf_view v = {copy + 1, n};
    int err;

    assert_non_null(copy);
    memcpy(copy + 1, data, n);
    err = by_heads(v, &at, &size);
    assert_int_equal(by_skip(v, &at_skip, &size_skip), err);
    assert_int_equal(by_next(v, &at_next, &size_next) != 0, err != 0);
    if (err == 0) {
        assert_int_equal(size_skip, size);
        assert_int_equal(size_next, size);
    } else {
        assert_int_equal(at_skip, at);
    }
    walk(v, false);
    walk(v, true);
    free(copy);
}

static void vector_alike(const vector *v) {
    static uint8_t copy[1 << 15];
    size_t n = v->term.len;

    alike(v->term.data, n);
    if (n > 300)
        return;
    for (size_t i = 0; i < n; i++)
        alike(v->term.data, i);
    memcpy(copy, v->term.data, n);
    for (size_t i = 0; i < n; i++) {
        copy[i] = (uint8_t)(copy[i] + 1);
        alike(copy, n);
        copy[i] = 0xff;
        alike(copy, n);
        copy[i] = v->term.data[i];
    }
}

static void vectors(void **state) {
    (void)state;
    assert_true(each_vector(vector_alike) > 500);
}

/* Any two tags in a row, with counts that fit and that do not. */
static void tag_pairs(void **state) {
    uint8_t room[64];

    (void)state;
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 60; b < 130; b++) {
            memset(room, 0, sizeof room);
            room[0] = (uint8_t)a;
            room[1] = (uint8_t)(b % 3);
            room[4] = 1;
            room[2] = room[3] = room[5] = (uint8_t)b;
            alike(room, sizeof room);
            alike(room, 9 + b % 7);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),    cmocka_unit_test(leaves),
        cmocka_unit_test(containers),  cmocka_unit_test(identifiers),
        cmocka_unit_test(in_a_string), cmocka_unit_test(refused),
        cmocka_unit_test(vectors),     cmocka_unit_test(tag_pairs),
        cmocka_unit_test(walks),
    };
    return cmocka_run_group_tests_name("next", tests, NULL, NULL);
}
