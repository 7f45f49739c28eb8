/* SPDX-License-Identifier: Apache-2.0
 *
 * scan_test.c: terms that come in parts: in two at every byte, byte by byte,
 * and with no more than was asked for.
 */
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "tests/unit/support.h"
#include "tests/unit/vectors.h"

static uint8_t in[1 << 17];
static etf_scanner s;
static size_t need;

/* The first n bytes in memory of exactly that size. */
static int scan(const uint8_t *data, size_t n) {
    uint8_t *copy = malloc(n + 1);
    int err;

    assert_non_null(copy);
    memcpy(copy, data, n);
    err = etf_scan(&s, copy, n, &need);
    free(copy);
    return err;
}

/* Complete at `len` of n bytes, however they come. */
static void complete(const uint8_t *data, size_t n, size_t len, bool version) {
    size_t step = n > 300 ? 61 : 1;

    for (size_t cut = 0; cut < len; cut += step) {
        etf_scanner_init(&s, NULL, NULL, version);
        assert_int_equal(scan(data, cut), CN_ETRUNC);
        assert_in_range(need, 1, len - cut);
        assert_int_equal(scan(data, n), 0);
        assert_int_equal(need, len);
        assert_int_equal(scan(data, n), 0);
        etf_scanner_free(&s);
    }
    etf_scanner_init(&s, NULL, NULL, version);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(scan(data, i), CN_ETRUNC);
        assert_in_range(need, 1, len - i);
    }
    assert_int_equal(scan(data, len), 0);
    assert_int_equal(need, len);
    etf_scanner_free(&s);
}

/* Gives just what is asked for; returns the number of calls. */
static unsigned obey(const uint8_t *data, bool version) {
    unsigned calls = 1;
    size_t n = 0;

    etf_scanner_init(&s, NULL, NULL, version);
    while (scan(data, n) == CN_ETRUNC) {
        n += need;
        calls++;
    }
    assert_int_equal(s.error.code, 0);
    assert_int_equal(need, n);
    etf_scanner_free(&s);
    return calls;
}

static void vector_scans(const vector *v) {
    size_t n = v->term.len;

    in[0] = 131;
    memcpy(in + 1, v->term.data, n);
    memset(in + 1 + n, 0xff, 8);
    complete(in + 1, n, n, false);
    complete(in + 1, n + 8, n, false);
    complete(in, n + 8, n + 1, true);
    (void)obey(in + 1, false);
    (void)obey(in, true);
}

static void vectors(void **state) {
    (void)state;
    assert_true(each_vector(vector_scans) > 500);
}

static size_t compressed(const vector *v) {
    uLongf n = sizeof in - 6;

    in[0] = 131;
    in[1] = 80;
    for (int i = 0; i < 4; i++)
        in[2 + i] = (uint8_t)(v->term.len >> (24 - 8 * i));
    assert_int_equal(compress(in + 6, &n, v->term.data, v->term.len), Z_OK);
    return n + 6;
}

static void vector_inflates(const vector *v) {
    size_t n = compressed(v);

    memset(in + n, 0xff, 8);
    complete(in, n, n, true);
    complete(in, n + 8, n, true);
    (void)obey(in, true);
}

static void envelopes(void **state) {
    (void)state;
    assert_true(each_vector(vector_inflates) > 500);
}

/* Few calls where sizes are told. */
static void asks_for_enough(void **state) {
    size_t n = unhex("6d 00010000", in, sizeof in);

    (void)state;
    memset(in + n, 0, 65536);
    assert_int_equal(obey(in, false), 4);
    memset(in, 106, 20);
    (void)unhex("690000000a", in, sizeof in);
    assert_int_equal(obey(in, false), 4);
}

#define FAILS(hex, version, err, byte, text)                                   \
    do {                                                                       \
        size_t n_ = unhex(hex, in, sizeof in);                                 \
        for (size_t cut_ = 0; cut_ <= n_; cut_ += n_) {                        \
            etf_scanner_init(&s, NULL, NULL, version);                         \
            (void)scan(in, cut_);                                              \
            assert_int_equal(scan(in, n_), err);                               \
            assert_int_equal(s.error.code, err);                               \
            assert_int_equal(s.error.at, byte);                                \
            assert_non_null(strstr(s.error.what, text));                       \
            assert_int_equal(scan(in, n_), err);                               \
            assert_int_equal(need, 0);                                         \
            etf_scanner_free(&s);                                              \
        }                                                                      \
    } while (0)

static void refused(void **state) {
    (void)state;
    FAILS("6802 6101 ff", false, CN_EBADTERM, 4, "tag");
    FAILS("836802 6101 ff", true, CN_EBADTERM, 5, "tag");
    FAILS("6802", true, CN_EBADTERM, 0, "131");
    FAILS("8379", true, CN_EBADTERM, 1, "LOCAL_EXT");
    FAILS("50", false, CN_EBADTERM, 0, "COMPRESSED");
    FAILS("7702c080", false, CN_EBADTERM, 0, "UTF-8");
    FAILS("6c00000000 6c00000000 82", false, CN_EBADTERM, 10, "tag");
    FAILS("43 00000002 02", false, CN_EBADTERM, 0, "flags");
    FAILS("43 00000002 01 77016d 61", false, CN_EBADTERM, 9, "name");
    FAILS("6cffffffff", false, CN_ELIMIT, 0, "terms");
    FAILS("8350 00000002 ff9c", true, CN_EBADTERM, 6, "zlib");
    FAILS("8350 00000003 789c4b64040000c50063", true, CN_EBADTERM, 6, "size");
    FAILS("8350 00000001 789c4b64040000c50063", true, CN_EBADTERM, 6, "size");
    FAILS("8350 04000001 789c", true, CN_ELIMIT, 2, "inflated");
    etf_scanner_init(&s, NULL, NULL, false);
    assert_int_equal(scan((const uint8_t *)"\x68\x02\x6a", 3), CN_ETRUNC);
    assert_int_equal(scan((const uint8_t *)"\x68\x02", 2), CN_EBADARG);
}

static void nobody_asks(void **state) {
    (void)state;
    etf_scanner_init(&s, NULL, NULL, true);
    assert_int_equal(etf_scan(&s, "\x83\x68\x01", 3, NULL), CN_ETRUNC);
    assert_int_equal(etf_scan(&s, "\x83\x68\x01\x6a", 4, NULL), 0);
    etf_scanner_init(&s, NULL, NULL, true);
    assert_int_equal(etf_scan(&s, "\x01", 1, NULL), CN_EBADTERM);
}

/* Heads that could be long are taken in steps: a hundred thousand calls that
 * each went back to the beginning would be felt. */
static void long_heads(void **state) {
    size_t n = unhex("43 00008000 01 77016d 770172", in, sizeof in);

    (void)state;
    etf_scanner_init(&s, NULL, NULL, false);
    for (size_t i = 0; i < 32768; i++, n += 2)
        memcpy(in + n, "\x77\x00", 2);
    memset(in + n, 106, 32768);
    n += 32768;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(etf_scan(&s, in, i, &need), CN_ETRUNC);
    assert_int_equal(etf_scan(&s, in, n, &need), 0);
    assert_int_equal(need, n);
    etf_scanner_init(&s, NULL, NULL, false);
    for (n = 0; n < 100000; n += 5)
        memcpy(in + n, "\x6c\0\0\0\0", 5);
    for (size_t i = 0; i <= n; i++)
        assert_int_equal(etf_scan(&s, in, i, &need), CN_ETRUNC);
    assert_int_equal(need, 1);
}

/* An integer inside a head may be the tail of a list of no elements. */
static void lists_in_heads(void **state) {
    (void)state;
    complete(in, unhex("71 770161 770162 6c00000000 6102", in, sizeof in), 14,
             false);
    complete(
        in, unhex("71 770161 770162 6c00000000 6c00000000 6102", in, sizeof in),
        19, false);
}

static int scan_it(fault_alloc *f, void *arg) {
    size_t n = unhex("8350 00000002 789c4b64040000c50063", in, sizeof in);
    int err;

    (void)arg;
    etf_scanner_init(&s, &f->alloc, NULL, true);
    err = etf_scan(&s, in, n - 1, &need);
    if (err == CN_ETRUNC)
        err = etf_scan(&s, in, n, &need);
    etf_scanner_free(&s);
    return err;
}

static void memory(void **state) {
    fault_alloc f;

    (void)state;
    run_with_every_failure(scan_it, NULL);
    fault_init(&f, 1);
    etf_scanner_init(&s, &f.alloc, NULL, true);
    assert_int_equal(etf_scan(&s, "\x83\x68\x01\x6a", 4, &need), 0);
    assert_int_equal(f.calls, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),         cmocka_unit_test(envelopes),
        cmocka_unit_test(asks_for_enough), cmocka_unit_test(refused),
        cmocka_unit_test(nobody_asks),     cmocka_unit_test(lists_in_heads),
        cmocka_unit_test(long_heads),      cmocka_unit_test(memory),
    };
    return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}
