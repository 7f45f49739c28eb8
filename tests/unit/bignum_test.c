/* SPDX-License-Identifier: Apache-2.0
 *
 * bignum_test.c: integers of any size to and from digits and bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "ext_term/bignum.h"
#include "tests/unit/support.h"

static etf_writer w;
static char text[1300000], again[1300000];

static etf_view from_text(const char *digits, size_t n, unsigned base) {
    etf_view t;

    etf_writer_reset(&w);
    etf_put_big_text(&w, digits, n, base);
    assert_int_equal(etf_writer_finish(&w, &t), 0);
    assert_int_equal(etf_check(NULL, NULL, t, NULL), 0);
    return t;
}

static void to_text(etf_view t, unsigned base, const char *want) {
    size_t n;

    assert_int_equal(etf_big_text(NULL, t, base, again, sizeof again, &n), 0);
    assert_int_equal(n, strlen(want));
    assert_string_equal(again, want);
}

static void small(void **state) {
    static const struct {
        const char *in, *hex, *out;
        unsigned base;
    } cases[] = {
        {"0", "6100", "0", 10},
        {"-0", "6100", "0", 10},
        {"0", "6100", "0", 16},
        {"+255", "61ff", "255", 10},
        {"-1", "62ffffffff", "-1", 10},
        {"00000000000000000000000000012", "610c", "12", 10},
        {"-0FfA", "62fffff006", "-ffa", 16},
        {"2147483648", "6e040000000080", "2147483648", 10},
        {"-18446744073709551616", "6e0901 000000000000000001",
         "-18446744073709551616", 10},
        {"10000000000000000", "6e0700 0000c16ff28623", "10000000000000000", 10},
        {"10000000000000000", "6e0900 000000000000000001", "10000000000000000",
         16},
    };
    etf_view t;

    (void)state;
    etf_writer_init(&w, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        t = from_text(cases[i].in, strlen(cases[i].in), cases[i].base);
        assert_hex(t.data, t.len, cases[i].hex);
        to_text(t, cases[i].base, cases[i].out);
    }
    etf_writer_free(&w);
}

static void refuses(const char *digits, unsigned base, int code) {
    etf_writer_reset(&w);
    etf_put_big_text(&w, digits, strlen(digits), base);
    assert_int_equal(etf_writer_finish(&w, NULL), code);
}

static void bad_text(void **state) {
    static const uint8_t atom[] = {0x77, 1, 'a'}, one[] = {0x61, 1};
    size_t n;

    (void)state;
    etf_writer_init(&w, NULL);
    refuses("", 10, CN_ESYNTAX);
    refuses("-", 10, CN_ESYNTAX);
    refuses("--1", 10, CN_ESYNTAX);
    refuses("1_0", 10, CN_ESYNTAX);
    refuses("1a", 10, CN_ESYNTAX);
    refuses("1g", 16, CN_ESYNTAX);
    refuses(" 1", 10, CN_ESYNTAX);
    refuses("1", 2, CN_EBADARG);
    assert_int_equal(etf_big_text(NULL, (etf_view){atom, 3}, 10, text, 9, &n),
                     CN_ETYPE);
    assert_string_equal(text, "");
    assert_int_equal(n, 0);
    assert_int_equal(etf_big_text(NULL, (etf_view){one, 2}, 8, text, 9, &n),
                     CN_EBADARG);
    assert_int_equal(etf_big_text(NULL, (etf_view){one, 1}, 10, text, 9, NULL),
                     CN_ETRUNC);
    etf_writer_free(&w);
}

static void like_snprintf(void **state) {
    char few[4];
    size_t n;
    etf_view t;

    (void)state;
    etf_writer_init(&w, NULL);
    t = from_text("-123456789012345678901234567890", 31, 10);
    assert_int_equal(etf_big_text(NULL, t, 10, few, sizeof few, &n), 0);
    assert_string_equal(few, "-12");
    assert_int_equal(n, 31);
    assert_int_equal(etf_big_text(NULL, t, 16, NULL, 0, &n), 0);
    assert_int_equal(n, 26);
    etf_writer_free(&w);
}

/* "12345678901..." in base 10 and 16: erlang:phash2(I, 1 bsl 32) of each. */
static const struct {
    size_t digits;
    uint32_t decimal, hex;
} hashes[] = {
    {1, 539485162, 539485162},        {6, 1335519829, 2490896777},
    {7, 2357113913, 2412875819},      {9, 2163430133, 1324417602},
    {10, 3975004904, 4160530689},     {19, 570128672, 569032481},
    {20, 4008297509, 1656734235},     {21, 1018600831, 3615828604},
    {38, 1273256073, 2579061774},     {96, 18552080, 4063248496},
    {97, 2433356615, 845231694},      {100, 1340356329, 420150659},
    {575, 1675989904, 24573587},      {576, 1031723905, 3911698305},
    {577, 385742796, 3237018824},     {4932, 3606745488, 992430940},
    {5000, 1834313242, 2075855178},   {77777, 2098779891, 757245393},
    {100000, 3949671058, 2944699575},
};

static void as_erlang(void **state) {
    uint32_t hash;
    etf_view t;

    (void)state;
    etf_writer_init(&w, NULL);
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        for (size_t k = 0; k < hashes[i].digits; k++)
            text[k] = "1234567890"[k % 10];
        text[hashes[i].digits] = '\0';
        t = from_text(text, hashes[i].digits, 10);
        assert_int_equal(etf_phash2(NULL, t, ETF_PHASH2_ALL, &hash), 0);
        assert_int_equal(hash, hashes[i].decimal);
        to_text(t, 10, text);
        t = from_text(text, hashes[i].digits, 16);
        assert_int_equal(etf_phash2(NULL, t, ETF_PHASH2_ALL, &hash), 0);
        assert_int_equal(hash, hashes[i].hex);
        to_text(t, 16, text);
    }
    etf_writer_free(&w);
}

/* Both ways against the schoolbook, for all lengths and the edges of words. */
static void as_schoolbook(void **state) {
    static uint8_t m[ETF__DECIMAL_BYTES];
    etf_view t;
    size_t n;

    (void)state;
    etf_writer_init(&w, NULL);
    for (size_t len = 1; len <= sizeof m; len += 1 + len / 30) {
        for (int fill = 0; fill < 4; fill++) {
            memset(m, fill == 0 ? 0xff : 0, len);
            for (size_t i = 0; fill == 3 && i < len; i++)
                m[i] = (uint8_t)(i * i * 7 + len);
            m[len - 1] |= fill == 1 ? 0x80 : 1;
            n = etf__decimal((etf_view){m, len}, text);
            text[n] = '\0';
            etf_writer_reset(&w);
            etf_put_big(&w, m, len, false);
            (void)etf_writer_finish(&w, &t);
            to_text(t, 10, text);
            t = from_text(text, n, 10);
            etf_writer again_w;
            etf_view u;
            etf_writer_init(&again_w, NULL);
            etf_put_big(&again_w, m, len, false);
            (void)etf_writer_finish(&again_w, &u);
            assert_true(etf_view_eq(t, u));
            etf_writer_free(&again_w);
        }
    }
    etf_writer_free(&w);
}

static void limits(void **state) {
    (void)state;
    etf_writer_init(&w, NULL);
    memset(text, 'f', 2 * ETF__BIG_BYTES + 1);
    (void)from_text(text, (size_t)2 * ETF__BIG_BYTES, 16);
    etf_writer_reset(&w);
    etf_put_big_text(&w, text, 2 * ETF__BIG_BYTES + 1, 16);
    assert_int_equal(etf_writer_finish(&w, NULL), CN_ELIMIT);
    memset(text, '0', sizeof text);
    etf_writer_reset(&w);
    (void)from_text(text, sizeof text, 10);
    text[1] = '1';
    etf_writer_reset(&w);
    etf_put_big_text(&w, text, 1262596, 10);
    assert_int_equal(etf_writer_finish(&w, NULL), CN_ELIMIT);
    etf_writer_free(&w);
}

static void bytes(void **state) {
    static const uint8_t big[] = {0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    uint8_t out[12];
    bool negative;
    etf_view t;
    size_t n;

    (void)state;
    etf_writer_init(&w, NULL);
    etf_put_big_bytes(&w, big, sizeof big, true, true);
    (void)etf_writer_finish(&w, &t);
    assert_hex(t.data, t.len, "6e0901 090807060504030201");
    assert_int_equal(etf_big_bytes(t, true, out, 12, &n, &negative), 0);
    assert_true(negative);
    assert_int_equal(n, 9);
    assert_hex(out, 12, "000000010203040506070809");
    assert_int_equal(etf_big_bytes(t, false, out, 12, &n, &negative), 0);
    assert_hex(out, 12, "090807060504030201000000");
    assert_int_equal(etf_big_bytes(t, false, out, 8, &n, &negative), CN_ELIMIT);
    assert_int_equal(n, 9);
    etf_writer_reset(&w);
    etf_put_big_bytes(&w, big, 4, false, false);
    etf_put_big_bytes(&w, NULL, 0, true, true);
    (void)etf_writer_finish(&w, &t);
    assert_hex(t.data, t.len, "6202010000 6100");
    assert_int_equal(
        etf_big_bytes((etf_view){t.data + 5, 2}, true, NULL, 0, &n, &negative),
        0);
    assert_int_equal(n, 0);
    etf_writer_reset(&w);
    etf_put_nil(&w);
    (void)etf_writer_finish(&w, &t);
    assert_int_equal(etf_big_bytes(t, true, out, 12, &n, &negative), CN_ETYPE);
    etf_writer_free(&w);
}

static int converting(fault_alloc *f, void *arg) {
    static const char digits[] = "-1234567890123456789012345678901234567890";
    etf_writer g;
    etf_view t;
    int err;

    (void)arg;
    etf_writer_init(&g, &f->alloc);
    etf_put_big_text(&g, digits, sizeof digits - 1, 10);
    etf_put_big_bytes(&g, digits, sizeof digits, true, false);
    err = etf_writer_finish(&g, &t);
    if (err == 0)
        err = etf_big_text(&f->alloc, t, 10, text, sizeof text, NULL);
    assert_int_equal(err, f->failed ? CN_ENOMEM : 0);
    etf_writer_free(&g);
    return err;
}

static void out_of_memory(void **state) {
    (void)state;
    run_with_every_failure(converting, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small),         cmocka_unit_test(bad_text),
        cmocka_unit_test(like_snprintf), cmocka_unit_test(as_erlang),
        cmocka_unit_test(as_schoolbook), cmocka_unit_test(limits),
        cmocka_unit_test(bytes),         cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests_name("bignum", tests, NULL, NULL);
}
