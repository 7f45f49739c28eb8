/* SPDX-License-Identifier: Apache-2.0
 *
 * index_test.c: every term through an index and back, elements, keys in any
 * encoding, lists in parts, limits, keys that are equal or were chosen to be
 * slow, the end of memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext_term/index.h"
#include "tests/unit/support.h"
#include "tests/unit/vectors.h"

static etf_view from_hex(const char *hex) {
    static uint8_t room[4][1024];
    static int turn;

    turn = (turn + 1) % 4;
    return (etf_view){room[turn], unhex(hex, room[turn], sizeof room[0])};
}

/* --- there and back ------------------------------------------------------- */

typedef struct copy {
    const etf_index *x;
    etf_writer w;
} copy;

/* The children of a node, first of them and how many, in the order in which
 * they are written. */
static uint32_t count_children(const copy *c, const etf_node *node) {
    uint32_t n = etf_index_size(c->x, node);

    switch (etf_index_type(c->x, node)) {
    case ETF_TUPLE:
        return n;
    case ETF_LIST:
        return n + 1;
    case ETF_MAP:
        return 2 * n;
    default:
        return 0;
    }
}

static const etf_node *child(const copy *c, const etf_node *node, uint32_t i) {
    uint32_t n = etf_index_size(c->x, node);

    if (etf_index_type(c->x, node) == ETF_MAP)
        return i % 2 == 0 ? etf_index_key(c->x, node, i / 2)
                          : etf_index_value(c->x, node, i / 2);
    return i < n ? etf_index_nth(c->x, node, i) : etf_index_tail(c->x, node);
}

static void put_head(copy *c, const etf_node *node) {
    uint32_t n = etf_index_size(c->x, node);

    switch (etf_index_type(c->x, node)) {
    case ETF_TUPLE:
        etf_put_tuple(&c->w, n);
        break;
    case ETF_LIST:
        etf_put_list(&c->w, n);
        break;
    case ETF_MAP:
        etf_put_map(&c->w, n);
        break;
    default:
        etf_put_term(&c->w, etf_index_view(c->x, node));
        break;
    }
}

/* Writes all nodes again, through the public calls only. */
static void put_node(copy *c, const etf_node *root) {
    struct {
        const etf_node *node;
        uint32_t i;
    } stack[1024];
    size_t n = 1;

    put_head(c, root);
    stack[0].node = root;
    stack[0].i = 0;
    while (n > 0) {
        const etf_node *node = stack[n - 1].node, *next;
        uint32_t i = stack[n - 1].i++;
        if (i == count_children(c, node)) {
            n--;
            continue;
        }
        next = child(c, node, i);
        assert_non_null(next);
        put_head(c, next);
        assert_true(n < 1024);
        stack[n].node = next;
        stack[n++].i = 0;
    }
}

static void expect_same(const etf_index *x, etf_view term) {
    copy c = {.x = x};
    etf_view out;
    int order;

    etf_writer_init(&c.w, NULL);
    put_node(&c, etf_index_root(x));
    assert_int_equal(etf_writer_finish(&c.w, &out), 0);
    assert_int_equal(etf_compare_exact(NULL, term, out, &order), 0);
    assert_int_equal(order, 0);
    etf_writer_free(&c.w);
}

/* The term, in all sizes of memory that are too small, and then in what is
 * enough; on each memory that begins at another place. */
static void there_and_back(etf_view term) {
    size_t need = 0, used;
    etf_index x;
    uint8_t *mem;

    assert_int_equal(etf_index_build(&x, NULL, NULL, term, NULL, 0, &need),
                     CN_ELIMIT);
    assert_true(need > 0);
    for (;;) {
        size_t cap = need;
        mem = malloc(cap + 1);
        assert_non_null(mem);
        if (etf_index_build(&x, NULL, NULL, term, mem + 1, cap, &need) == 0)
            break;
        assert_true(need > cap);
        free(mem);
    }
    expect_same(&x, term);
    used = need;
    assert_int_equal(
        etf_index_build(&x, NULL, NULL, term, mem + 1, used, &need), 0);
    assert_int_equal(need, used);
    free(mem);
}

static void one_vector(const vector *v) {
    there_and_back(v->term);
}

static void every_vector(void **state) {
    (void)state;
    assert_true(each_vector(one_vector) > 100);
}

/* --- elements ------------------------------------------------------------- */

static void elements(void **state) {
    etf_view term = from_hex(
        "6805 6107 6b00020102 6c000000026163 77016177 0162 6d00000002 0809 "
        "463ff8000000000000");
    etf_index x;
    const etf_node *root, *list;
    int64_t i;
    double f;
    etf_view v;

    (void)state;
    assert_int_equal(etf_index_make(&x, NULL, NULL, term), 0);
    root = etf_index_root(&x);
    assert_int_equal(etf_index_type(&x, root), ETF_TUPLE);
    assert_int_equal(etf_index_size(&x, root), 5);
    assert_int_equal(etf_index_i64(&x, etf_index_nth(&x, root, 0), &i), 0);
    assert_int_equal(i, 7);
    list = etf_index_nth(&x, root, 1);
    assert_int_equal(etf_index_size(&x, list), 2);
    assert_int_equal(etf_index_i64(&x, etf_index_nth(&x, list, 1), &i), 0);
    assert_int_equal(i, 2);
    assert_null(etf_index_nth(&x, list, 2));
    assert_int_equal(etf_index_type(&x, etf_index_tail(&x, list)), ETF_NIL);
    assert_int_equal(etf_index_bytes(&x, list, &v), 0);
    assert_hex(v.data, v.len, "0102");
    list = etf_index_nth(&x, root, 2);
    assert_int_equal(etf_index_bytes(&x, list, &v), CN_ETYPE);
    assert_int_equal(etf_index_bytes(&x, etf_index_tail(&x, list), &v), 0);
    assert_true(etf_view_is(v, "b"));
    assert_int_equal(etf_index_bytes(&x, etf_index_nth(&x, root, 3), &v), 0);
    assert_hex(v.data, v.len, "0809");
    assert_int_equal(etf_index_f64(&x, etf_index_nth(&x, root, 4), &f), 0);
    assert_true(f > 1.4 && f < 1.6);
    assert_int_equal(etf_index_f64(&x, etf_index_nth(&x, root, 0), &f), 0);
    assert_true(f > 6.9 && f < 7.1);
    assert_null(etf_index_nth(&x, root, 5));
    etf_index_free(&x);
}

/* What is not there is no term, and can be asked for what is in it. */
static void nothing_in_nothing(void **state) {
    etf_index x;
    const etf_node *none;
    etf_view v;
    int64_t i;
    double f;

    (void)state;
    assert_int_equal(etf_index_make(&x, NULL, NULL, from_hex("6107")), 0);
    none = etf_index_get_atom(&x, etf_index_root(&x), "a");
    assert_null(none);
    assert_null(etf_index_get_atom(&x, none, "b"));
    assert_null(etf_index_nth(&x, none, 0));
    assert_null(etf_index_key(&x, none, 0));
    assert_null(etf_index_value(&x, none, 0));
    assert_null(etf_index_tail(&x, none));
    assert_int_equal(etf_index_type(&x, none), ETF_NONE);
    assert_int_equal(etf_index_size(&x, none), 0);
    assert_int_equal(etf_index_view(&x, none).len, 0);
    assert_int_equal(etf_index_i64(&x, none, &i), CN_ENOENT);
    assert_int_equal(etf_index_f64(&x, none, &f), CN_ENOENT);
    assert_int_equal(etf_index_bytes(&x, none, &v), CN_ENOENT);
    assert_int_equal(
        etf_index_get(&x, etf_index_root(&x), from_hex("6107"), &none),
        CN_ETYPE);
    assert_int_equal(etf_index_get(&x, NULL, from_hex("6107"), &none),
                     CN_ENOENT);
    etf_index_free(&x);
    assert_null(etf_index_root(&x));
}

/* --- lists in parts ------------------------------------------------------- */

static void lists_in_parts(void **state) {
    static const char *const same[] = {
        "6c00000004 6101 6102 6103 770161 6a",
        "6c00000001 6101 6c00000001 6102 6c00000001 6103 6c00000001 770161 6a",
        "6c00000001 6101 6c00000000 6c00000003 6102 6103 770161 6a",
    };
    etf_view bytes;
    etf_index x;
    int64_t i;
    etf_view v;

    (void)state;
    for (size_t k = 0; k < 3; k++) {
        there_and_back(from_hex(same[k]));
        assert_int_equal(etf_index_make(&x, NULL, NULL, from_hex(same[k])), 0);
        assert_int_equal(etf_index_size(&x, etf_index_root(&x)), 4);
        assert_int_equal(
            etf_index_i64(&x, etf_index_nth(&x, etf_index_root(&x), 2), &i), 0);
        assert_int_equal(i, 3);
        assert_int_equal(
            etf_index_bytes(&x, etf_index_nth(&x, etf_index_root(&x), 3), &v),
            0);
        etf_index_free(&x);
    }
    bytes = from_hex("6c00000001 6101 6b0002 0203");
    there_and_back(bytes);
    assert_int_equal(etf_index_make(&x, NULL, NULL, bytes), 0);
    assert_int_equal(etf_index_size(&x, etf_index_root(&x)), 3);
    v = etf_index_view(&x, etf_index_nth(&x, etf_index_root(&x), 2));
    assert_hex(v.data, v.len, "6103");
    etf_index_free(&x);
}

/* A list that was written cell by cell, each with a list in it that was, too:
 * [[1,2], [1,2], ...]. */
static void many_parts(void **state) {
    enum { CELLS = 50000 };
    static const uint8_t cell[] = {108, 0, 0,   0, 1, 108, 0, 0,  0, 1,
                                   97,  1, 108, 0, 0, 0,   1, 97, 2, 106};
    static uint8_t in[CELLS * sizeof cell + 1];
    const etf_node *last;
    etf_index x;
    int64_t i;

    (void)state;
    for (size_t k = 0; k < CELLS; k++)
        memcpy(in + k * sizeof cell, cell, sizeof cell);
    in[sizeof in - 1] = ETF__NIL;
    assert_int_equal(etf_index_make(&x, NULL, NULL, (etf_view){in, sizeof in}),
                     0);
    assert_int_equal(etf_index_size(&x, etf_index_root(&x)), CELLS);
    last = etf_index_nth(&x, etf_index_root(&x), CELLS - 1);
    assert_int_equal(etf_index_size(&x, last), 2);
    assert_int_equal(etf_index_i64(&x, etf_index_nth(&x, last, 1), &i), 0);
    assert_int_equal(i, 2);
    etf_index_free(&x);
}

/* --- keys ----------------------------------------------------------------- */

static void expect_at(const etf_index *x, const char *key, int64_t value) {
    const etf_node *node;
    int64_t i;

    if (etf_index_get(x, etf_index_root(x), from_hex(key), &node) != 0)
        fail_msg("no %s", key);
    assert_int_equal(etf_index_i64(x, node, &i), 0);
    assert_int_equal(i, value);
}

/* Keys that equal others only by ==, or not at all, and the same keys in
 * another encoding. */
static const char *const keys[][2] = {
    {"6101", "6200000001"},
    {"463ff0000000000000", "63312e3030303030303030303030303030303030303030652b"
                           "30300000000000"},
    {"770161", "64000161"},
    {"7702c3a9", "7301e9"},
    {"6d000000020102", "4d00000002080102"},
    {"4d0000000103a0", "4d0000000103bf"},
    {"6b00020102", "6c0000000161016c0000000161026a"},
    {"6802 6101 6b000161", "6900000002 6e010001 6c0000000161616a"},
    {"6a", "6b0000"},
    {"7400000002 6101 6102 6103 6104", "7400000002 6103 6104 6101 6102"},
    {"6801 7400000002 6101 6102 6103 6104",
     "6801 7400000002 6103 6104 6101 6102"},
    {"58770161000000010000000200000003", "6777016100000001 00000002 03"},
    {"787701610000000000000001 00000003", "597701610000000100000003"},
    {"5a0001 770161 00000003 00000001",
     "5a0003 77 01 61 00000003 00000001 00000000 00000000"},
    {"7177016177016261 02", "71640001617301626200000002"},
    {"0", "0"}};

static void keys_in_any_form(void **state) {
    (void)state;
    for (int some = 3; some < 15; some += 11) {
        uint8_t in[1024] = {ETF__MAP, 0, 0, 0, 0};
        size_t n = 5;
        etf_index x;
        const etf_node *node;
        for (int i = 0; i < some; i++) {
            n += unhex(keys[i][0], in + n, sizeof in - n);
            in[n++] = ETF__SMALL_INTEGER;
            in[n++] = (uint8_t)i;
        }
        in[4] = (uint8_t)some;
        there_and_back((etf_view){in, n});
        assert_int_equal(etf_index_make(&x, NULL, NULL, (etf_view){in, n}), 0);
        for (int i = 0; i < some; i++) {
            expect_at(&x, keys[i][0], i);
            expect_at(&x, keys[i][1], i);
        }
        assert_non_null(etf_index_get_atom(&x, etf_index_root(&x), "a"));
        assert_null(etf_index_get_atom(&x, etf_index_root(&x), "b"));
        assert_int_equal(
            etf_index_get(&x, etf_index_root(&x), from_hex("6102"), &node),
            CN_ENOENT);
        assert_int_equal(
            etf_index_get(&x, etf_index_root(&x), from_hex("61"), &node),
            CN_ETRUNC);
        etf_index_free(&x);
    }
}

static void equal_keys(void **state) {
    (void)state;
    for (int n = 2; n < 15; n++) {
        for (int twice = 0; twice < n; twice++) {
            uint8_t in[1024] = {ETF__MAP, 0, 0, 0, 0};
            size_t at = 5, second;
            etf_index x;
            in[4] = (uint8_t)(n + 1);
            for (int i = 0; i < n; i++) {
                at += unhex(keys[i][0], in + at, sizeof in - at);
                in[at++] = ETF__NIL;
            }
            second = at;
            at += unhex(keys[twice][1], in + at, sizeof in - at);
            in[at++] = ETF__NIL;
            assert_int_equal(etf_index_make(&x, NULL, NULL, (etf_view){in, at}),
                             CN_EBADTERM);
            assert_int_equal(x.err_at, second);
        }
    }
}

/* The key is in both forms, as an atom of latin-1 too. */
static void many_atoms(void **state) {
    enum { N = 5000 };
    etf_writer w;
    etf_view term;
    etf_index x;
    char name[32];
    int64_t v;

    (void)state;
    etf_writer_init(&w, NULL);
    etf_put_map(&w, N);
    for (int i = 0; i < N; i++) {
        uint8_t old[40] = {ETF__ATOM, 0};
        int n = snprintf(name, sizeof name, "some_key_%d", i);
        old[2] = (uint8_t)n;
        memcpy(old + 3, name, (size_t)n);
        if (i % 2 == 0)
            etf_put_atom(&w, name);
        else
            etf_put_term(&w, (etf_view){old, 3 + (size_t)n});
        etf_put_int(&w, i);
    }
    assert_int_equal(etf_writer_finish(&w, &term), 0);
    assert_int_equal(etf_index_make(&x, NULL, NULL, term), 0);
    assert_false(x.sorted);
    for (int i = 0; i < N; i++) {
        (void)snprintf(name, sizeof name, "some_key_%d", i);
        assert_int_equal(
            etf_index_i64(&x, etf_index_get_atom(&x, etf_index_root(&x), name),
                          &v),
            0);
        assert_int_equal(v, i);
    }
    etf_index_free(&x);
    etf_writer_free(&w);
}

/* --- keys chosen to be slow ----------------------------------------------- */

enum { SLOW = 20000 };

/* Keys that differ only where the hash does not look. */
static etf_view slow_keys(etf_writer *w, int again) {
    etf_view out;

    etf_writer_init(w, NULL);
    etf_put_map(w, SLOW);
    for (int i = 0; i < SLOW; i++) {
        etf_put_list(w, 1);
        etf_put_tuple(w, 2);
        etf_put_int(w, i == SLOW - 1 ? again : i * 7919 % SLOW);
        etf_put_atom(w, "x");
        etf_put_nil(w);
        etf_put_int(w, i);
    }
    assert_int_equal(etf_writer_finish(w, &out), 0);
    return out;
}

static int make_slow(fault_alloc *f, void *arg) {
    etf_index x;
    int err = etf_index_make(&x, &f->alloc, NULL, *(etf_view *)arg);

    if (err == 0)
        assert_true(x.sorted);
    etf_index_free(&x);
    return err;
}

static void slow_are_sorted(void **state) {
    etf_writer w;
    etf_view term = slow_keys(&w, (SLOW - 1) * 7919 % SLOW);
    etf_index x;
    size_t at;

    (void)state;
    assert_int_equal(etf_index_make(&x, NULL, NULL, term), 0);
    assert_true(x.sorted);
    for (int i = 0; i < SLOW; i += 97) {
        uint8_t key[32], *p = key;
        const etf_node *node;
        int64_t v;
        p = cn__put32(cn__put8(p, ETF__LIST), 1);
        p = cn__put8(cn__put8(p, ETF__SMALL_TUPLE), 2);
        p = cn__put32(cn__put8(p, ETF__INTEGER), (uint32_t)(i * 7919 % SLOW));
        p = cn__put_bytes(p, "\x77\1x\x6a", 4);
        assert_int_equal(etf_index_get(&x, etf_index_root(&x),
                                       (etf_view){key, (size_t)(p - key)},
                                       &node),
                         0);
        assert_int_equal(etf_index_i64(&x, node, &v), 0);
        assert_int_equal(v, i);
    }
    etf_index_free(&x);
    run_with_every_failure(make_slow, &term);
    etf_writer_free(&w);
    term = slow_keys(&w, 0);
    assert_int_equal(etf_index_make(&x, NULL, NULL, term), CN_EBADTERM);
    at = x.err_at;
    assert_int_equal(etf__unique_keys(NULL, NULL, term, &at), CN_EBADTERM);
    assert_int_equal(at, x.err_at);
    etf_writer_free(&w);
}

/* The hash of an integer, which nobody tells: the first pair of a map of nine
 * has the slot that its low bits choose, with the others of them in it. */
static uint32_t hash_of(int64_t key) {
    uint8_t mem[4096];
    const uint32_t *slot;
    const etf_node *map;
    uint32_t at = 0;
    etf_view term;
    etf_writer w;
    etf_index x;

    etf_writer_init(&w, NULL);
    etf_put_map(&w, ETF__MAP_FEW + 1);
    for (int i = 0; i <= ETF__MAP_FEW; i++) {
        etf_put_int(&w, i == 0 ? key : -i);
        etf_put_nil(&w);
    }
    assert_int_equal(etf_writer_finish(&w, &term), 0);
    assert_int_equal(
        etf_index_build(&x, NULL, NULL, term, mem, sizeof mem, NULL), 0);
    map = etf_index_root(&x);
    slot = (const uint32_t *)(const void *)&x.nodes[map->first + 2 * map->n];
    while ((slot[at] & 15) != 1)
        at++;
    etf_writer_free(&w);
    return (slot[at] & ~15U) | at;
}

/* Keys of which all want the same of 512 slots. The last that a table takes is
 * 256 slots further on; then there is none, and the pairs are sorted. */
static void same_slot(void **state) {
    enum { N = 258, SLOTS = 512 };
    int64_t key[N + 1];
    const etf_node *node;
    etf_view term;
    etf_writer w;
    etf_index x;
    size_t n = 0;

    (void)state;
    for (int64_t i = 1; n <= N; i++)
        if (hash_of(i) % SLOTS == 7)
            key[n++] = i;
    for (uint32_t pairs = N - 1; pairs <= N; pairs++) {
        etf_writer_init(&w, NULL);
        etf_put_map(&w, pairs);
        for (uint32_t i = 0; i < pairs; i++) {
            etf_put_int(&w, key[i]);
            etf_put_float(&w, i); /* the more bytes the more steps in all */
        }
        assert_int_equal(etf__table_slots(pairs), SLOTS);
        assert_int_equal(etf_writer_finish(&w, &term), 0);
        assert_int_equal(etf_index_make(&x, NULL, NULL, term), 0);
        assert_int_equal(x.sorted, pairs == N);
        for (uint32_t i = 0; i <= N; i++) {
            uint8_t in[5] = {ETF__INTEGER};
            int err;

            (void)cn__put32(in + 1, (uint32_t)key[i]);
            err =
                etf_index_get(&x, etf_index_root(&x), (etf_view){in, 5}, &node);
            assert_int_equal(err, i < pairs ? 0 : CN_ENOENT);
        }
        etf_index_free(&x);
        etf_writer_free(&w);
    }
}

/* Maps as keys of maps as keys, each with another beside it from which it
 * differs only at the end. */
static void maps_in_keys(void **state) {
    enum { DEEP = 20000 };
    etf_writer w;
    etf_view term;
    etf_index x;

    (void)state;
    etf_writer_init(&w, NULL);
    for (int i = 0; i < DEEP; i++) {
        etf_put_map(&w, 2);
        etf_put_map(&w, 2);
        etf_put_int(&w, 2);
        etf_put_int(&w, 1);
        etf_put_int(&w, 1);
        etf_put_int(&w, 1);
        etf_put_nil(&w);
    }
    etf_put_nil(&w);
    for (int i = 0; i < DEEP; i++)
        etf_put_nil(&w);
    assert_int_equal(etf_writer_finish(&w, &term), 0);
    assert_int_equal(etf_index_make(&x, NULL, NULL, term), 0);
    assert_true(x.sorted);
    etf_index_free(&x);
    etf_writer_free(&w);
}

/* --- limits and errors ---------------------------------------------------- */

static int build(etf_limits limits, etf_view term) {
    etf_index x;
    int err = etf_index_make(&x, NULL, &limits, term);

    etf_index_free(&x);
    return err;
}

static void limits(void **state) {
    etf_view nested = from_hex("6801 6c00000001 7400000001 6101 6102 6a");
    etf_view atoms = from_hex("6803 770161 77016277 0163");
    etf_view big = from_hex("6e0900000000000000000001");
    size_t need = 1;
    etf_index x;

    (void)state;
    assert_int_equal(build((etf_limits){.depth = 3}, nested), 0);
    assert_int_equal(build((etf_limits){.depth = 2}, nested), CN_ELIMIT);
    assert_int_equal(build((etf_limits){.terms = 6}, nested), 0);
    assert_int_equal(build((etf_limits){.terms = 5}, nested), CN_ELIMIT);
    assert_int_equal(build((etf_limits){.atoms = 3}, atoms), 0);
    assert_int_equal(build((etf_limits){.atoms = 2}, atoms), CN_ELIMIT);
    assert_int_equal(build((etf_limits){.big_bytes = 9}, big), 0);
    assert_int_equal(build((etf_limits){.big_bytes = 8}, big), CN_ELIMIT);
    big =
        from_hex("6802 6e0900000000000000000001 6d00000009 000000000000000000");
    assert_int_equal(build((etf_limits){.big_bytes = 8}, big), CN_ELIMIT);
    /* A limit is not a matter of memory. */
    uint8_t mem[512];
    assert_int_equal(etf_index_build(&x, NULL, &(etf_limits){.depth = 2},
                                     nested, mem, sizeof mem, &need),
                     CN_ELIMIT);
    assert_int_equal(need, 0);
}

static int error_of(const char *hex, size_t *at) {
    etf_view v = from_hex(hex);
    uint8_t *bytes = malloc(v.len + 1); /* so that reading on is noticed */
    etf_index x;
    int err;

    assert_non_null(bytes);
    memcpy(bytes, v.data, v.len);
    err = etf_index_make(&x, NULL, NULL, (etf_view){bytes, v.len});
    *at = x.err_at;
    etf_index_free(&x);
    free(bytes);
    return err;
}

static void malformed(void **state) {
    static const struct {
        const char *hex;
        int err;
        size_t at;
    } bad[] = {
        {"", CN_ETRUNC, 0},
        {"61", CN_ETRUNC, 0},
        {"6101 00", CN_EBADTERM, 2},
        {"6802 6101", CN_ETRUNC, 4},
        {"6802 6101 50", CN_EBADTERM, 4},
        {"6802 6d00000009 0000000000000000", CN_ETRUNC, 2},
        {"6803 6d00000004 00000000 6d00000009 00 00", CN_ETRUNC, 11},
        {"6804 6801 6801 6101", CN_ETRUNC, 4},
        {"6801 7701ff 6a6a6a6a6a6a6a6a6a", CN_EBADTERM, 2},
        {"6801 467ff0000000000000 6a", CN_EBADTERM, 2},
        {"6cffffffff 6101 6102 6103 6104", CN_ETRUNC, 0},
        {"74ffffffff 6101 6102 6103 6104", CN_EBADTERM, 0},
        {"43 00000002 01 77016d 770172 770161 770161 6101 6102", CN_EBADTERM,
         15},
        {"43 00000009 01 77016d 770172 770161 770162 770163 770164 770165 "
         "770166 770167 770168 64000161 6a 6a 6a 6a 6a 6a 6a 6a 6a",
         CN_EBADTERM, 36},
    };
    size_t at;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int err = error_of(bad[i].hex, &at);
        if (err != bad[i].err || at != bad[i].at)
            fail_msg("%s: %s at %zu", bad[i].hex, cn_errname(err), at);
    }
}

/* Each vector without its last bytes, and with each of its bytes changed. */
static void one_damaged(const vector *v) {
    for (size_t n = 0; n < v->term.len && n < 300; n++) {
        uint8_t *bytes = malloc(v->term.len);
        etf_view term = {bytes, v->term.len};
        etf_index x;
        int err;
        assert_non_null(bytes);
        memcpy(bytes, v->term.data, v->term.len);
        bytes[n] ^= (uint8_t)(1 << n % 8);
        err = etf_index_make(&x, NULL, NULL, term);
        if (err == 0)
            expect_same(&x, term);
        if (etf_check(NULL, NULL, term, NULL) != 0)
            assert_int_not_equal(err, 0);
        etf_index_free(&x);
        memcpy(bytes, v->term.data, n);
        (void)etf_index_make(&x, NULL, NULL, (etf_view){bytes, n});
        etf_index_free(&x);
        free(bytes);
    }
}

static void damaged(void **state) {
    (void)state;
    assert_true(each_vector(one_damaged) > 100);
}

/* --- tuples in tuples ----------------------------------------------------- */

/* So many tuples, each the first element of the one before, in which small
 * integers come behind it; the innermost begins with []. */
typedef struct chain {
    size_t depth, arity, len;
    uint8_t bytes[4096];
} chain;

static void make_chain(chain *c, size_t depth, size_t arity) {
    *c = (chain){.depth = depth, .arity = arity};
    assert_true(depth * (2 + 2 * (arity - 1)) + 1 <= sizeof c->bytes);
    for (size_t i = 0; i < depth; i++) {
        c->bytes[c->len++] = ETF__SMALL_TUPLE;
        c->bytes[c->len++] = (uint8_t)arity;
    }
    c->bytes[c->len++] = ETF__NIL;
    for (size_t i = 0; i < depth * (arity - 1); i++) {
        c->bytes[c->len++] = ETF__SMALL_INTEGER;
        c->bytes[c->len++] = (uint8_t)i;
    }
}

/* The tuple that is the first to announce too much for `len` bytes. */
static size_t first_too_long(const chain *c, size_t len) {
    size_t i = 0;

    while (i < c->depth && 2 * i + 2 + c->arity <= len &&
           1 + c->arity * (i + 1) <= len)
        i++;
    return i;
}

/* With memory enough, and from a block of its own, so that reading on is
 * noticed. */
static int index_of(const uint8_t *bytes, size_t len, etf_limits limits,
                    size_t *at) {
    size_t cap = (len + 1) * sizeof(etf_node);
    uint8_t *copied = malloc(len > 0 ? len : 1);
    void *mem = malloc(cap);
    etf_index x;
    int err;

    assert_non_null(copied);
    assert_non_null(mem);
    memcpy(copied, bytes, len);
    err = etf_index_build(&x, NULL, &limits, (etf_view){copied, len}, mem, cap,
                          NULL);
    *at = x.err_at;
    free(mem);
    free(copied);
    return err;
}

/* The chain, whole and without its last bytes. */
static void chain_cut(const chain *c) {
    there_and_back((etf_view){c->bytes, c->len});
    for (size_t len = 0; len < c->len; len++) {
        size_t i = first_too_long(c, len), at;
        int err = index_of(c->bytes, len, (etf_limits){0}, &at);
        assert_int_equal(err, CN_ETRUNC);
        if (i < c->depth && 2 * i < len)
            assert_int_equal(at, 2 * i);
        else
            assert_true(at + 2 > len);
    }
}

static void chain_limits(const chain *c) {
    size_t last = 2 * (c->depth - 1), terms = 1 + c->arity * c->depth, at;
    uint32_t depth = (uint32_t)c->depth;

    assert_int_equal(
        index_of(c->bytes, c->len, (etf_limits){.depth = depth}, &at), 0);
    assert_int_equal(
        index_of(c->bytes, c->len, (etf_limits){.terms = terms}, &at), 0);
    if (depth > 1) {
        assert_int_equal(
            index_of(c->bytes, c->len, (etf_limits){.depth = depth - 1}, &at),
            CN_ELIMIT);
        assert_int_equal(at, last);
    }
    assert_int_equal(
        index_of(c->bytes, c->len, (etf_limits){.terms = terms - 1}, &at),
        CN_ELIMIT);
    assert_int_equal(at, last);
}

/* Memory for each number of nodes: all that is too small says what is enough.
 */
static void chain_memory(const chain *c) {
    etf_view term = {c->bytes, c->len};
    size_t need, got;
    etf_index x;

    (void)etf_index_build(&x, NULL, NULL, term, NULL, 0, &need);
    for (size_t cap = 0; cap < need; cap += 16) {
        uint8_t *mem = malloc(cap + 1);
        assert_non_null(mem);
        assert_int_equal(
            etf_index_build(&x, NULL, NULL, term, mem + 1, cap, &got),
            CN_ELIMIT);
        assert_int_equal(got, need);
        free(mem);
    }
}

static void tuples_in_tuples(void **state) {
    static const struct {
        size_t depth, arity;
    } all[] = {{1, 2},   {2, 1},   {3, 255}, {7, 255}, {127, 2}, {128, 2},
               {129, 2}, {255, 1}, {257, 1}, {40, 20}, {200, 3}};
    static chain c;

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        make_chain(&c, all[i].depth, all[i].arity);
        chain_cut(&c);
        chain_limits(&c);
        chain_memory(&c);
    }
}

/* One tuple of a chain is empty, so the next one is the second element of the
 * one before, and two integers remain; or it is no term. */
static void broken_chain(void **state) {
    static chain c;
    size_t at;

    (void)state;
    make_chain(&c, 400, 2);
    for (size_t i = 0; i < c.depth; i++) {
        uint8_t *head = &c.bytes[2 * i];
        head[1] = 0;
        assert_int_equal(index_of(c.bytes, c.len, (etf_limits){0}, &at),
                         CN_EBADTERM);
        assert_int_equal(at, i == 0 ? 2 : c.len - 4);
        head[1] = 2;
        head[0] = ETF__VERSION;
        assert_int_equal(index_of(c.bytes, c.len, (etf_limits){0}, &at),
                         CN_EBADTERM);
        assert_int_equal(at, 2 * i);
        head[0] = ETF__SMALL_TUPLE;
    }
}

/* The last tuple of a chain has more elements than there are bytes. */
static void wide_in_chain(void **state) {
    uint8_t bytes[600 + 2 + UINT8_MAX];
    size_t at;

    (void)state;
    for (size_t n = 0; n <= 600; n += n < 20 ? 2 : 58) {
        size_t len = n + 2 + UINT8_MAX;
        memset(bytes, ETF__NIL, sizeof bytes);
        for (size_t i = 0; i <= n; i += 2) {
            bytes[i] = ETF__SMALL_TUPLE;
            bytes[i + 1] = i < n ? 1 : UINT8_MAX;
        }
        there_and_back((etf_view){bytes, len});
        while (--len >= n + 2) {
            assert_int_equal(index_of(bytes, len, (etf_limits){0}, &at),
                             CN_ETRUNC);
            assert_int_equal(at, n);
        }
    }
}

/* What a row ends with behind a container. */
static void ends_of_rows(void **state) {
    static const char *const ends[] = {
        "6105",     "6a",         "6200000005",   "770161",         "6800",
        "6b000105", "7400000000", "6d0000000105", "6c000000016a6a",
    };
    char hex[200];

    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        (void)snprintf(hex, sizeof hex, "6802 6802 6801 61 01 %s %s", ends[i],
                       ends[i]);
        there_and_back(from_hex(hex));
        (void)snprintf(hex, sizeof hex,
                       "6802 6c00000001 6801 61 01 %s 6d00000008 "
                       "0000000000000000",
                       ends[i]);
        there_and_back(from_hex(hex));
    }
}

/* --- unique keys ---------------------------------------------------------- */

static void unique_keys(void **state) {
    size_t at = 99;

    (void)state;
    assert_int_equal(etf__unique_keys(NULL, NULL,
                                      from_hex("7400000002 6101 6a "
                                               "463ff0000000000000 6a"),
                                      &at),
                     0);
    assert_int_equal(
        etf__unique_keys(NULL, NULL,
                         from_hex("6801 7400000002 6101 6a 6e010001 6a"), &at),
        CN_EBADTERM);
    assert_int_equal(at, 10);
}

/* --- sorted --------------------------------------------------------------- */

static void sorted_pairs(void **state) {
    etf_view term = from_hex("7400000003 770161 6a 463ff0000000000000 6a 6102 "
                             "7400000002 770162 6a 770161 6a 6a6a");
    etf__sorted s;
    const etf_node *n;

    (void)state;
    assert_int_equal(etf__sorted_open(&s, NULL, NULL, term), 0);
    assert_int_equal(s.x.used, term.len - 2);
    n = &s.x.nodes[s.x.nodes[0].first];
    assert_int_equal(term.data[n[0].at], ETF__SMALL_INTEGER);
    assert_int_equal(term.data[n[2].at], ETF__NEW_FLOAT);
    assert_int_equal(term.data[n[4].at], ETF__SMALL_ATOM_UTF8);
    n = &s.x.nodes[n[1].first];
    assert_int_equal(term.data[n[0].at + 2], 'a');
    assert_int_equal(term.data[n[2].at + 2], 'b');
    etf__sorted_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector),
        cmocka_unit_test(elements),
        cmocka_unit_test(nothing_in_nothing),
        cmocka_unit_test(lists_in_parts),
        cmocka_unit_test(many_parts),
        cmocka_unit_test(keys_in_any_form),
        cmocka_unit_test(equal_keys),
        cmocka_unit_test(many_atoms),
        cmocka_unit_test(slow_are_sorted),
        cmocka_unit_test(same_slot),
        cmocka_unit_test(maps_in_keys),
        cmocka_unit_test(limits),
        cmocka_unit_test(malformed),
        cmocka_unit_test(damaged),
        cmocka_unit_test(tuples_in_tuples),
        cmocka_unit_test(broken_chain),
        cmocka_unit_test(wide_in_chain),
        cmocka_unit_test(ends_of_rows),
        cmocka_unit_test(unique_keys),
        cmocka_unit_test(sorted_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
