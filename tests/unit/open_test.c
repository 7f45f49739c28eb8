/* SPDX-License-Identifier: Apache-2.0
 *
 * open_test.c: the version byte and the compressed envelope. What is refused
 * and what is not was tried with binary_to_term.
 */
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "tests/unit/support.h"
#include "tests/unit/vectors.h"

static uint8_t in[1 << 16];
static etf_error e;
static etf_opened o;

static etf_view bytes(const char *hex) {
    return (etf_view){in, unhex(hex, in, sizeof in)};
}

/* The envelope of a term that says it is of this size. */
static etf_view envelope(etf_view term, size_t size) {
    uLongf n = sizeof in - 6;

    in[0] = 131;
    in[1] = 80;
    for (int i = 0; i < 4; i++)
        in[2 + i] = (uint8_t)(size >> (24 - 8 * i));
    assert_int_equal(compress(in + 6, &n, term.data, term.len), Z_OK);
    return (etf_view){in, n + 6};
}

static etf_view one(size_t size) {
    static const uint8_t term[] = {97, 1};

    return envelope((etf_view){term, sizeof term}, size);
}

static void opens(etf_view v, const char *term, size_t used) {
    if (etf_open(&o, NULL, NULL, v, &e) != 0)
        fail_msg("%s at %zu", e.what, e.at);
    assert_hex(o.term.data, o.term.len, term);
    assert_int_equal(o.used, used);
    assert_int_equal(e.code, 0);
    etf_close(&o);
}

static void fails(const etf_limits *l, etf_view v, int code, size_t at,
                  const char *what) {
    int err = etf_open(&o, NULL, l, v, &e);

    if (err != code || e.code != code || e.at != at ||
        strstr(e.what, what) == NULL)
        fail_msg("%d, \"%s\" at %zu", err, e.what, e.at);
    assert_int_equal(o.term.len, 0);
    etf_close(&o);
    assert_int_equal(etf_open(&o, NULL, l, v, NULL), code);
}

static void plain(void **state) {
    (void)state;
    opens(bytes("836a"), "6a", 2);
    opens(bytes("836101 6101"), "6101", 3);
    fails(NULL, bytes(""), CN_ETRUNC, 0, "no bytes");
    fails(NULL, bytes("6a"), CN_EBADTERM, 0, "131");
    fails(NULL, bytes("83"), CN_ETRUNC, 1, "");
    fails(NULL, bytes("8361"), CN_ETRUNC, 1, "");
    fails(NULL, bytes("83680161"), CN_ETRUNC, 3, "");
    fails(NULL, bytes("836801 ff"), CN_EBADTERM, 3, "tag");
    fails(NULL, bytes("83 79 77875c7c 6101"), CN_EBADTERM, 1, "LOCAL_EXT");
    fails(&(etf_limits){.terms = 1}, bytes("836801 6a"), CN_ELIMIT, 1, "terms");
}

static void compressed(void **state) {
    etf_view v;

    (void)state;
    opens(bytes("8350 00000002 789c4b64040000c50063"), "6101", 16);
    opens(bytes("8350 00000002 789c4b64040000c50063 ffff"), "6101", 16);
    fails(NULL, bytes("8350 00000003 789c4b64040000c50063"), CN_EBADTERM, 6,
          "less than its size");
    fails(NULL, one(1), CN_EBADTERM, 6, "more than its size");
    fails(NULL, one(0), CN_EBADTERM, 2, "no bytes");
    v = one(2);
    for (size_t n = 2; n < v.len; n++) {
        v.len = n;
        assert_int_equal(etf_open(&o, NULL, NULL, v, &e), CN_ETRUNC);
    }
    v = one(2);
    in[v.len - 1] ^= 1;
    fails(NULL, v, CN_EBADTERM, 6, "zlib");
    fails(NULL, bytes("8350 00000002 ff9c4b64040000c50063"), CN_EBADTERM, 6,
          "zlib");
}

/* Bytes behind the term inside; errors inside; one envelope in another. */
static void inside(void **state) {
    static const uint8_t more[] = {97, 1, 0}, bad[] = {104, 2, 97, 1, 255};
    static const uint8_t nested[] = {80, 0, 0, 0, 2};
    etf_view v = envelope((etf_view){more, sizeof more}, sizeof more);

    (void)state;
    opens(v, "6101", v.len);
    v = envelope((etf_view){bad, sizeof bad}, sizeof bad);
    fails(NULL, v, CN_EBADTERM, 4, "tag");
    assert_int_equal(etf_open(&o, NULL, NULL, v, &e), CN_EBADTERM);
    assert_true(e.inflated);
    v = envelope((etf_view){nested, sizeof nested}, sizeof nested);
    fails(NULL, v, CN_EBADTERM, 0, "COMPRESSED");
}

static void bombs(void **state) {
    etf_limits small = {.inflated = 1000};
    static uint8_t zeros[60000] = {109, 0, 0, 0xea, 0x5b};
    etf_view v = {zeros, sizeof zeros};
    fault_alloc f;

    (void)state;
    fails(&small, envelope(v, sizeof zeros), CN_ELIMIT, 2, "too large");
    fails(NULL, bytes("8350 04000001 789c"), CN_ELIMIT, 2, "too large");
    fails(NULL, bytes("8350 03ffffff 789c4b64040000c50063"), CN_ETRUNC, 2,
          "so few");
    fault_init(&f, 1); /* nothing is asked for */
    assert_int_equal(
        etf_open(&o, &f.alloc, &small, envelope(v, sizeof zeros), &e),
        CN_ELIMIT);
    assert_int_equal(f.calls, 0);
    assert_int_equal(etf_open(&o, NULL, NULL, envelope(v, sizeof zeros), &e),
                     0);
    assert_true(etf_view_eq(o.term, v));
    etf_close(&o);
}

static int open_it(fault_alloc *f, void *arg) {
    etf_view v = one(2);
    etf_opened it;
    int err = etf_open(&it, &f->alloc, NULL, v, &e);

    (void)arg;
    if (err == 0)
        assert_hex(it.term.data, it.term.len, "6101");
    else
        assert_int_equal(err, CN_ENOMEM);
    assert_int_equal(e.code, err);
    etf_close(&it);
    etf_close(&it);
    return err;
}

static void out_of_memory(void **state) {
    (void)state;
    run_with_every_failure(open_it, NULL);
}

static void vector_opens(const vector *v) {
    etf_view all = envelope(v->term, v->term.len);

    assert_int_equal(etf_open(&o, NULL, NULL, all, &e), 0);
    assert_true(etf_view_eq(o.term, v->term));
    assert_int_equal(o.used, all.len);
    etf_close(&o);
}

static void vectors(void **state) {
    (void)state;
    assert_true(each_vector(vector_opens) > 500);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),         cmocka_unit_test(compressed),
        cmocka_unit_test(inside),        cmocka_unit_test(bombs),
        cmocka_unit_test(out_of_memory), cmocka_unit_test(vectors),
    };
    return cmocka_run_group_tests_name("open", tests, NULL, NULL);
}
