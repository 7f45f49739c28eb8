/* SPDX-License-Identifier: Apache-2.0
 *
 * order_test.c: the order that a real node gave, other encodings, laws that an
 * order keeps, depth, maps chosen to be slow, memory that ends.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext_term/term.h"
#include "tests/unit/support.h"

static int sign(int v) {
    return (v > 0) - (v < 0);
}

static int loose(etf_view a, etf_view b) {
    int order = 9;

    assert_int_equal(etf_compare(NULL, a, b, &order), 0);
    return order;
}

static int exact(etf_view a, etf_view b) {
    int order = 9;

    assert_int_equal(etf_compare_exact(NULL, a, b, &order), 0);
    return order;
}

/* --- the vectors ---------------------------------------------------------- */

typedef struct placed {
    int loose, exact;
    etf_view term;
} placed;

enum { MANY = 1000 };
static placed vectors[MANY];
static uint8_t bytes[1 << 20];

static size_t read_vectors(const char *name) {
    static char line[1 << 16];
    FILE *in = fopen(name, "r");
    size_t n = 0, used = 0;
    char *at;

    assert_non_null(in);
    while (fgets(line, sizeof line, in) != NULL) {
        placed *v = &vectors[n];
        if (line[0] == '#')
            continue;
        line[strcspn(line, "\n")] = '\0';
        v->loose = (int)strtol(line, &at, 10);
        v->exact = (int)strtol(at, &at, 10);
        v->term.data = bytes + used;
        v->term.len = unhex(at, bytes + used, sizeof bytes - used);
        used += v->term.len;
        assert_true(++n < MANY);
    }
    (void)fclose(in);
    return n;
}

static void compare_all(const char *name) {
    size_t n = read_vectors(name);

    assert_true(n > 500);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            const placed *a = &vectors[i], *b = &vectors[j];
            if (loose(a->term, b->term) != sign(a->loose - b->loose) ||
                exact(a->term, b->term) != sign(a->exact - b->exact))
                fail_msg("%s: %zu and %zu", name, i, j);
        }
    }
}

static void as_otp_25(void **state) {
    (void)state;
    compare_all("tests/data/order_vectors.txt");
}

static void as_otp_29(void **state) {
    (void)state;
    compare_all("tests/data/order_vectors_29.txt");
}

/* What is equal by =:= has the same hash, and what is not == is not =:=. */
static void agrees_with_hash(void **state) {
    size_t n = read_vectors("tests/data/order_vectors.txt");
    uint32_t g, h;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            etf_view a = vectors[i].term, b = vectors[j].term;
            if (exact(a, b) != 0)
                continue;
            assert_int_equal(loose(a, b), 0);
            assert_int_equal(etf_phash2(NULL, a, ETF_PHASH2_ALL, &g), 0);
            assert_int_equal(etf_phash2(NULL, b, ETF_PHASH2_ALL, &h), 0);
            assert_int_equal(g, h);
        }
    }
}

/* --- other encodings ------------------------------------------------------ */

static etf_view from_hex(const char *hex, uint8_t *room, size_t cap) {
    return (etf_view){room, unhex(hex, room, cap)};
}

static void other_forms(void **state) {
    static const char *const pair[][2] = {
        {"6107", "6200000007"},
        {"6107", "6e03000700 00"},
        {"6100", "6e0001"},
        {"62ffffffff", "6e0101 01"},
        {"62ffffffff", "6f00000002 01 0100"},
        {"770161", "64000161"},
        {"770161", "730161"},
        {"770161", "76000161"},
        {"7702c3a9", "7301e9"},
        {"6801770161", "6900000001770161"},
        {"6b00020102", "6c00000002610161026a"},
        {"6b00020102", "6c0000000161016b000102"},
        {"6b00020102", "6c0000000161016c0000000161026a"},
        {"6c00000003610177016161026a",
         "6c0000000161016c000000027701616102 6b0000"},
        {"6c000000016101770161", "6c0000000161016c00000000770161"},
        {"6a", "6b0000"},
        {"6107", "6c000000006107"},
        {"463ff8000000000000", "63312e3530303030303030303030303030303030303030"
                               "652b30300000000000"},
        {"6d000000020102", "4d00000002080102"},
        {"4d0000000103a0", "4d0000000103bf"},
        {"58770161000000010000000200000003", "677701610000000100000002 03"},
        {"787701610000000000000001 00000003", "5977016100000001 00000003"},
        {"787701610000000000000001 00000003", "6677016100000001 03"},
        {"5a0001 770161 00000003 00000001", "65770161 00000001 03"},
        {"5a0001 770161 00000003 00000001", "720001 770161 03 00000001"},
        {"5a0001 770161 00000003 00000001",
         "5a0003 640001 61 00000003 00000001 00000000 00000000"},
        {"7177016177016261 02", "71640001617301626200000002"},
        {"74000000027701616101 7701626102", "74000000026400016261026400016161 "
                                            "01"},
        {"7400000002 7400000002 6101 6102 6103 6104 6105 6106 6106",
         "7400000002 6106 6106 7400000002 6103 6104 6101 6102 6105"},
    };
    uint8_t a[128], b[128];

    (void)state;
    for (size_t i = 0; i < sizeof pair / sizeof pair[0]; i++) {
        etf_view x = from_hex(pair[i][0], a, sizeof a);
        etf_view y = from_hex(pair[i][1], b, sizeof b);
        if (exact(x, y) != 0 || loose(y, x) != 0)
            fail_msg("%s is not %s", pair[i][0], pair[i][1]);
    }
}

static void lists_of_any_form(void **state) {
    static const char *const rising[] = {
        "6b00020102",                          /* [1,2] */
        "6c0000000161016c0000000261026100 6a", /* [1,2,0] */
        "6b0003010201",                        /* [1,2,1] */
        "6c000000026101610277 0161",           /* [1,2|a] */
    };
    uint8_t a[64], b[64];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++) {
            etf_view x = from_hex(rising[i], a, sizeof a);
            etf_view y = from_hex(rising[j], b, sizeof b);
            assert_int_equal(loose(x, y), sign((int)i - (int)j));
        }
    }
    /* An atom as the tail is less than [], and [] less than a list. */
    assert_int_equal(loose(from_hex(rising[3], a, sizeof a),
                           from_hex(rising[0], b, sizeof b)),
                     -1);
}

/* --- laws ----------------------------------------------------------------- */

static uint32_t seed = 1;

static uint32_t roll(uint32_t n) {
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static void put_leaf(etf_writer *w) {
    switch (roll(7)) {
    case 0:
        etf_put_int(w, (int64_t)roll(3) - 1);
        break;
    case 1:
        etf_put_float(w, (double)roll(3) - 1);
        break;
    case 2:
        etf_put_atom_n(w, "ab", 1 + roll(2));
        break;
    case 3:
        etf_put_string(w, "\1\1\0", roll(4));
        break;
    case 4:
        etf_put_bits(w, "\xa0", 2 + roll(3));
        break;
    case 5:
        etf_put_uint(w, UINT64_MAX - roll(2));
        break;
    default:
        etf_put_nil(w);
        break;
    }
}

/* Small terms, so that many are equal. Keys are told apart by their number,
 * and come in either order. */
static void put_random(etf_writer *w, int depth) {
    uint32_t n = roll(3), first = roll(2);
    uint32_t kind = depth == 0 ? 9 : roll(6);

    if (kind == 0)
        etf_put_tuple(w, n);
    else if (kind == 1)
        etf_put_list(w, n);
    else if (kind == 2)
        etf_put_map(w, n);
    else {
        put_leaf(w);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (kind == 2) {
            etf_put_tuple(w, 2);
            etf_put_int(w, (int64_t)(i ^ first));
            put_random(w, depth - 1);
        }
        put_random(w, depth - 1);
    }
    if (kind == 1 && n > 0)
        put_random(w, 0);
}

enum { POOL = 300 };
static etf_view pool[POOL];

static void fill_pool(etf_writer *w) {
    size_t at[POOL + 1];
    etf_view all;

    etf_writer_init(w, NULL);
    for (int i = 0; i < POOL; i++) {
        etf_put_nil(w);
        at[i] = w->len;
        put_random(w, 3);
    }
    at[POOL] = w->len + 1;
    assert_int_equal(etf_writer_finish(w, &all), 0);
    for (int i = 0; i < POOL; i++)
        pool[i] = (etf_view){all.data + at[i], at[i + 1] - at[i] - 1};
}

static void check_pair(etf_view a, etf_view b) {
    uint32_t g, h;

    assert_int_equal(loose(a, b), -loose(b, a));
    assert_int_equal(exact(a, b), -exact(b, a));
    if (exact(a, b) != 0)
        return;
    assert_int_equal(etf_phash2(NULL, a, ETF_PHASH2_ALL, &g), 0);
    assert_int_equal(etf_phash2(NULL, b, ETF_PHASH2_ALL, &h), 0);
    assert_int_equal(g, h);
}

/* a <= b and b <= c is a <= c. */
static void check_triple(int (*order)(etf_view, etf_view), etf_view a,
                         etf_view b, etf_view c) {
    if (order(a, b) <= 0 && order(b, c) <= 0)
        assert_true(order(a, c) <= 0);
    if (order(a, b) == 0)
        assert_int_equal(order(a, c), order(b, c));
}

static void keeps_the_laws(void **state) {
    etf_writer w;

    (void)state;
    fill_pool(&w);
    for (int i = 0; i < 20000; i++) {
        etf_view a = pool[roll(POOL)], b = pool[roll(POOL)];
        etf_view c = pool[roll(POOL)];
        check_pair(a, b);
        check_triple(loose, a, b, c);
        check_triple(exact, a, b, c);
    }
    etf_writer_free(&w);
}

/* --- depth and size ------------------------------------------------------- */

enum { DEEP = 100000 };

/* #{2 => #{2 => ... last, 1 => 1}, 1 => 1}, or with the pairs the other way
 * round. */
static void put_deep_maps(etf_writer *w, bool front, uint8_t last) {
    for (int i = 0; i < DEEP; i++) {
        etf_put_map(w, 2);
        if (front) {
            etf_put_int(w, 1);
            etf_put_int(w, 1);
        }
        etf_put_int(w, 2);
    }
    etf_put_int(w, last);
    for (int i = 0; i < DEEP && !front; i++) {
        etf_put_int(w, 1);
        etf_put_int(w, 1);
    }
}

static etf_view deep_maps(etf_writer *w, bool front, uint8_t last) {
    etf_view out;

    etf_writer_init(w, NULL);
    put_deep_maps(w, front, last);
    assert_int_equal(etf_writer_finish(w, &out), 0);
    return out;
}

static void maps_of_any_depth(void **state) {
    etf_writer w[3];
    etf_view a = deep_maps(&w[0], true, 1);
    etf_view b = deep_maps(&w[1], false, 1);
    etf_view c = deep_maps(&w[2], false, 2);

    (void)state;
    assert_int_equal(exact(a, b), 0);
    assert_int_equal(exact(a, c), -1);
    assert_int_equal(loose(c, b), 1);
    for (int i = 0; i < 3; i++)
        etf_writer_free(&w[i]);
}

/* [[[...]]] as deep as that, and in it, instead of [], the last byte. */
static etf_view deep_lists(uint8_t *room, uint8_t last) {
    uint8_t *p = room;

    for (size_t i = 0; i < DEEP; i++) {
        *p++ = ETF__LIST;
        p = cn__put32(p, 1);
    }
    p = cn__put8(cn__put8(p, ETF__SMALL_INTEGER), last);
    memset(p, ETF__NIL, DEEP);
    return (etf_view){room, (size_t)(p - room) + DEEP};
}

static void lists_of_any_depth(void **state) {
    static uint8_t a[6 * DEEP + 2], b[6 * DEEP + 2];

    (void)state;
    assert_int_equal(loose(deep_lists(a, 1), deep_lists(b, 1)), 0);
    assert_int_equal(loose(deep_lists(a, 1), deep_lists(b, 2)), -1);
    assert_int_equal(exact(deep_lists(a, 3), deep_lists(b, 2)), 1);
}

/* --- errors --------------------------------------------------------------- */

static void malformed(void **state) {
    uint8_t a[64], b[64];
    etf_view good = from_hex("6802 6101 6102", a, sizeof a);
    int order;

    (void)state;
    assert_int_equal(etf_compare(NULL, good,
                                 from_hex("6802 6101 6301", b, sizeof b),
                                 &order),
                     CN_ETRUNC);
    assert_int_equal(
        etf_compare(NULL, good, from_hex("6802 6101 01", b, sizeof b), &order),
        CN_EBADTERM);
    assert_int_equal(etf_compare(NULL, good, (etf_view){NULL, 0}, &order),
                     CN_ETRUNC);
    /* Equal keys, where they stand in the way. */
    assert_int_equal(
        etf_compare(NULL, from_hex("7400000002610161016101 6102", a, sizeof a),
                    from_hex("7400000002610161016102 6102", b, sizeof b),
                    &order),
        CN_EBADTERM);
}

static int with_memory(fault_alloc *f, void *arg) {
    etf_view *v = arg;
    int order;

    return etf_compare(&f->alloc, v[0], v[1], &order);
}

static etf_view big_map(etf_writer *w, int step) {
    etf_view out;

    etf_writer_init(w, NULL);
    etf_put_map(w, 211);
    for (int i = 0; i < 211; i++) {
        etf_put_int(w, i * step % 211);
        for (int d = 0; d < 30; d++)
            etf_put_tuple(w, 1);
        etf_put_int(w, 1);
    }
    assert_int_equal(etf_writer_finish(w, &out), 0);
    return out;
}

static void without_memory(void **state) {
    etf_writer w[2];
    etf_view v[2] = {big_map(&w[0], 5), big_map(&w[1], 7)};

    (void)state;
    assert_int_equal(exact(v[0], v[1]), 0);
    run_with_every_failure(with_memory, v);
    etf_writer_free(&w[0]);
    etf_writer_free(&w[1]);
}

/* No piece of memory may be larger than this. */
static void *take_small(void *ctx, void *p, size_t old_size, size_t new_size) {
    if (new_size > *(const size_t *)ctx)
        return NULL;
    return cn_alloc_default()->realloc(NULL, p, old_size, new_size);
}

/* A list of cells as the value of a small map, and a long binary behind it,
 * which takes no memory. */
static etf_view map_before_much(etf_writer *w, int64_t first) {
    static const uint8_t much[200000];
    etf_view out;

    etf_writer_init(w, NULL);
    etf_put_tuple(w, 2);
    etf_put_map(w, 2);
    for (int i = 0; i < 2; i++) {
        etf_put_int(w, i == 0 ? first : 1 - first);
        for (int k = 0; k < 200; k++) {
            etf_put_list(w, 1);
            etf_put_int(w, k);
        }
        etf_put_nil(w);
    }
    etf_put_binary(w, much, sizeof much);
    assert_int_equal(etf_writer_finish(w, &out), 0);
    return out;
}

static void memory_of_a_map(void **state) {
    size_t most = 100000;
    const cn_alloc small = {take_small, &most};
    etf_writer w[3];
    etf_view v[2] = {map_before_much(&w[0], 0), map_before_much(&w[1], 1)};
    int order = 1;

    (void)state;
    assert_int_equal(etf_compare(&small, v[0], v[1], &order), 0);
    assert_int_equal(order, 0);
    /* The same of maps that are sorted as they were put. */
    most = 500000;
    etf_writer_init(&w[2], &small);
    etf_writer_mode(&w[2], ETF_DETERMINISTIC);
    assert_int_equal(etf_element(v[0], 0, &v[0]), 0);
    etf_put_term(&w[2], v[0]);
    etf_put_binary(&w[2], v[0].data + v[0].len, 200000);
    assert_int_equal(etf_writer_finish(&w[2], NULL), 0);
    for (int i = 0; i < 3; i++)
        etf_writer_free(&w[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_otp_25),
        cmocka_unit_test(as_otp_29),
        cmocka_unit_test(agrees_with_hash),
        cmocka_unit_test(other_forms),
        cmocka_unit_test(lists_of_any_form),
        cmocka_unit_test(keeps_the_laws),
        cmocka_unit_test(maps_of_any_depth),
        cmocka_unit_test(lists_of_any_depth),
        cmocka_unit_test(malformed),
        cmocka_unit_test(without_memory),
        cmocka_unit_test(memory_of_a_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
