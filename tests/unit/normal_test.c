/* SPDX-License-Identifier: Apache-2.0
 *
 * normal_test.c: terms written again as the BEAM writes them, against what
 * real ones wrote; sorted maps; writers that sort; any depth; memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support.h"
#include "tests/unit/vectors.h"

static etf_writer w;

static etf_view bytes_of(const char *hex, uint8_t *room, size_t cap) {
    return (etf_view){room, unhex(hex, room, cap)};
}

/* Growing, fixed and measuring. */
static void gives(uint32_t mode, etf_view in, etf_view want) {
    uint8_t *room = malloc(want.len);
    etf_view out;

    assert_non_null(room);
    etf_writer_init(&w, NULL);
    etf_writer_mode(&w, mode);
    assert_int_equal(etf_put_normal(&w, NULL, NULL, in), 0);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    if (!etf_view_eq(out, want)) {
        for (size_t i = 0; i < in.len; i++)
            print_message("%02x", in.data[i]);
        print_message("\n got ");
        for (size_t i = 0; i < out.len; i++)
            print_message("%02x", out.data[i]);
        fail_msg("differs");
    }
    etf_writer_free(&w);
    etf_writer_init_fixed(&w, room, want.len);
    etf_writer_mode(&w, mode);
    assert_int_equal(etf_put_normal(&w, NULL, NULL, in), 0);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_true(etf_view_eq(out, want));
    etf_writer_init_fixed(&w, NULL, 0);
    etf_writer_mode(&w, mode);
    assert_int_equal(etf_put_normal(&w, NULL, NULL, in), CN_ELIMIT);
    assert_int_equal(etf_writer_size(&w), want.len);
    free(room);
}

static void normal(const char *in, const char *want) {
    uint8_t a[512], b[512];

    gives(0, bytes_of(in, a, sizeof a), bytes_of(want, b, sizeof b));
}

/* A writer that sorts at its end gives the same for the term put verbatim. */
static void sorts(uint32_t mode, etf_view in, etf_view want) {
    etf_view out;

    etf_writer_init(&w, NULL);
    etf_writer_mode(&w, mode | ETF_DETERMINISTIC);
    etf_put_term(&w, in);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_true(etf_view_eq(out, want));
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_true(etf_view_eq(out, want));
    etf_writer_free(&w);
}

static void vectors(const char *name, uint32_t mode) {
    static char line[1 << 17];
    static uint8_t in[1 << 15], out[1 << 15];
    FILE *f = fopen(name, "r");
    char *plain, *det;
    size_t n = 0;

    if (f == NULL)
        fail_msg("run the tests in the root of the source tree");
    for (; fgets(line, sizeof line, f) != NULL; n++) {
        etf_view term, want;
        plain = strchr(line, ' ');
        assert_non_null(plain);
        *plain++ = '\0';
        det = strchr(plain, ' ');
        assert_non_null(det);
        *det++ = '\0';
        term = bytes_of(line, in, sizeof in);
        if (strcmp(plain, "-") != 0)
            gives(mode, term, bytes_of(plain, out, sizeof out));
        want = bytes_of(det, out, sizeof out);
        gives(mode | ETF_DETERMINISTIC, term, want);
        sorts(mode, term, want);
    }
    assert_true(n > 100);
    (void)fclose(f);
}

static void as_otp_25(void **state) {
    (void)state;
    vectors("tests/data/normal_vectors_25.txt", ETF_LATIN1_ATOMS);
}

static void as_otp_27(void **state) {
    (void)state;
    vectors("tests/data/normal_vectors_27.txt", 0);
}

static void lists(void **state) {
    (void)state;
    normal("6c00000000 6107", "6107");
    normal("6c00000000 6c00000000 6b0000", "6a");
    normal("6c00000001 6101 6c00000001 6102 6c00000000 6a", "6b00020102");
    normal("6c00000001 6101 6b00020203", "6b0003010203");
    normal("6c00000001 7700 6b00020203", "6c00000003 7700 6102 6103 6a");
    normal("6c00000001 6101 6102", "6c00000001 6101 6102");
    normal("6c00000001 6101 6c00000001 6102 6103", "6c00000002 6101 6102 6103");
    normal("6c00000002 62000000ff 6e0100ff 6a", "6b0002ffff");
    normal("6c00000001 6200000100 6a", "6c00000001 6200000100 6a");
}

static void list_sizes(void **state) {
    uint8_t *in = malloc(5 + 2 * 65536 + 1), *want = malloc(3 + 65535);

    (void)state;
    assert_non_null(in);
    assert_non_null(want);
    memcpy(in, "l\0\1\0\0", 5);
    for (size_t i = 0; i < 65536; i++)
        memcpy(in + 5 + 2 * i, "a\7", 2);
    in[5 + 2 * 65536] = 'j';
    gives(0, (etf_view){in, 5 + 2 * 65536 + 1},
          (etf_view){in, 5 + 2 * 65536 + 1});
    memcpy(in, "l\0\0\xff\xff", 5);
    in[5 + 2 * 65535] = 'j';
    memcpy(want, "k\xff\xff", 3);
    memset(want + 3, 7, 65535);
    gives(0, (etf_view){in, 5 + 2 * 65535 + 1}, (etf_view){want, 3 + 65535});
    free(in);
    free(want);
}

static void numbers_and_bits(void **state) {
    (void)state;
    normal("6e0300000000", "6100");
    normal("6e0000", "6100");
    normal("6e010205", "62fffffffb");
    normal("6f0000000500 0000008000", "6e04000000 0080");
    normal("63312e3530303030303030303030303030303030303030652b30300000000000",
           "463ff8000000000000");
    normal("4d0000000208 0102", "6d000000020102");
    normal("4d0000000103 bf", "4d0000000103a0");
}

static void records_and_closures(void **state) {
    (void)state;
    normal("43 00000002 01 7301 6d 640001 72 76 0001 7a 640001e9 62000000ff "
           "6c0000000161016a",
           "43 00000002 01 77016d 770172 77017a 7702c3a9 61ff 6b000101");
    normal(
        "70 00000001 01 6b5c55ab5c385574229e9f8c1b747017 00000003 00000002"
        "6400026666 6200000000 6200000007"
        "67 640003614062 00000001 00000002 03 7305 68656c6c6f 6c0000000161076a",
        "70 00000042 01 6b5c55ab5c385574229e9f8c1b747017 00000003 00000002"
        "77026666 6100 6107 58 7703614062 000000010000000200000003"
        "770568656c6c6f 6b000107");
    normal("70 00000000 00 6b5c55ab5c385574229e9f8c1b747017 00000003 00000000"
           "77016d 6e0400ffffffff 6e040000000080"
           "58 77016e 00000001 00000002 00000003",
           "70 0000003a 00 6b5c55ab5c385574229e9f8c1b747017 00000003 00000000"
           "77016d 62ffffffff 6280000000"
           "58 77016e 000000010000000200000003");
    normal("71 640001 6d 73 01 66 6200000003", "71 77016d 770166 6103");
}

/* Keys that are lists of other lengths, one of them in pieces. */
static void lists_as_keys(void **state) {
    uint8_t room[64];
    etf_view map;

    (void)state;
    normal("74 00000002 6c00000001 6162 6b0000 6101"
           "6c00000002 617e 6179 6b000115 6102",
           "74 00000002 6b000162 6101 6b00037e7915 6102");
    map = bytes_of("74 00000002 6c00000001 7700 6a 6101"
                   "6c00000002 7700 7700 6a 6102",
                   room, sizeof room);
    assert_int_equal(etf_check(NULL, NULL, map, NULL), 0);
    map = bytes_of("74 00000002 6c00000001 7700 6c00000001 7700 6a 6101"
                   "6c00000002 7700 7700 6a 6102",
                   room, sizeof room);
    assert_int_equal(etf_check(NULL, NULL, map, NULL), CN_EBADTERM);
}

/* A node name of 255 characters of 4 bytes, more than an etf_pid holds. */
static void long_nodes(void **state) {
    static uint8_t term[4 + 1020 + 12];
    uint8_t *p = term;

    (void)state;
    memcpy(p, "Xv\3\xfc", 4);
    p += 4;
    for (int i = 0; i < 255; i++, p += 4)
        memcpy(p, "\xf0\x9f\x98\x80", 4);
    gives(0, (etf_view){term, sizeof term}, (etf_view){term, sizeof term});
}

static void what_is_no_term(void **state) {
    static const struct {
        const char *hex;
        int err;
    } bad[] = {{"61", CN_ETRUNC},
               {"610101", CN_EBADTERM},
               {"74000000026101610261016103", CN_EBADTERM},
               {"6802 6101", CN_ETRUNC},
               {"836101", CN_EBADTERM}};
    uint8_t room[64];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (uint32_t mode = 0; mode <= ETF_DETERMINISTIC; mode += 2) {
            etf_writer_init(&w, NULL);
            etf_writer_mode(&w, mode);
            assert_int_equal(
                etf_put_normal(&w, NULL, NULL,
                               bytes_of(bad[i].hex, room, sizeof room)),
                bad[i].err);
            assert_int_equal(etf_writer_finish(&w, NULL), bad[i].err);
            etf_writer_free(&w);
        }
    etf_writer_init(&w, NULL);
    assert_int_equal(etf_put_normal(&w, NULL, NULL, (etf_view){NULL, 0}),
                     CN_ETRUNC);
    etf_writer_free(&w);
}

static void in_open_lists(void **state) {
    uint8_t a[16], b[32];
    etf_view byte = bytes_of("6e010007", a, sizeof a), out;
    etf_view list = bytes_of("6c00000001 7301 61 6a", b, sizeof b);

    (void)state;
    etf_writer_init(&w, NULL);
    etf_begin_list(&w);
    etf_put_normal(&w, NULL, NULL, byte);
    etf_put_normal(&w, NULL, NULL, byte);
    etf_end_list(&w);
    etf_begin_list(&w);
    etf_put_normal(&w, NULL, NULL, byte);
    etf_put_normal(&w, NULL, NULL, list);
    etf_put_tuple(&w, 2);
    etf_put_normal(&w, NULL, NULL, list);
    etf_put_normal(&w, NULL, NULL, byte);
    etf_end_list(&w);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_hex(out.data, out.len,
               "6b00020707 6c00000003 6107 6c000000017701616a"
               "6802 6c000000017701616a 6107 6a");
    etf_writer_free(&w);
}

/* --- writers that sort ------------------------------------------------------
 */

static void put_pair(const char *key, int value) {
    etf_put_atom(&w, key);
    etf_put_int(&w, value);
}

static void sorted_at_the_end(void **state) {
    etf_view out, v[4];
    size_t n;

    (void)state;
    etf_writer_init(&w, NULL);
    etf_writer_mode(&w, ETF_DETERMINISTIC);
    for (int again = 0; again < 2; again++) {
        etf_put_version(&w);
        etf_put_map(&w, 2);
        put_pair("b", 1);
        etf_put_atom(&w, "a");
        etf_put_map(&w, 2);
        put_pair("d", 2);
        put_pair("c", 3);
        assert_int_equal(etf_writer_finish(&w, &out), 0);
        assert_hex(out.data, out.len,
                   "83 74 00000002 770161 74 00000002 770163 6103 770164 6102 "
                   "770162 6101");
        etf_put_version(&w); /* and one more behind it */
        etf_put_map(&w, 2);
        put_pair("y", 1);
        put_pair("x", 2);
        assert_int_equal(etf_writer_slices(&w, v, 4, &n), 0);
        assert_int_equal(n, 1);
        assert_hex(v[0].data + out.len, v[0].len - out.len,
                   "83 74 00000002 770178 6102 770179 6101");
        etf_writer_reset(&w);
    }
    etf_writer_free(&w);
}

static void sorted_in_an_array(void **state) {
    uint8_t room[32];
    etf_view out;

    (void)state;
    for (size_t cap = 14; cap < sizeof room; cap++) {
        etf_writer_init_fixed(&w, room, cap);
        etf_writer_mode(&w, ETF_DETERMINISTIC);
        etf_put_map(&w, 2);
        put_pair("b", 1);
        put_pair("a", 2);
        assert_int_equal(etf_writer_finish(&w, &out), cap < 15 ? CN_ELIMIT : 0);
        assert_int_equal(out.len, 15);
        if (cap >= 15)
            assert_hex(room, 15, "74 00000002 770161 6102 770162 6101");
    }
}

static void sorted_with_the_rest(void **state) {
    static uint8_t big[300];
    etf_view nil = {(const uint8_t *)"j", 1}, out;

    (void)state;
    etf_writer_init(&w, NULL);
    etf_writer_mode(&w, ETF_DETERMINISTIC);
    etf_put_map(&w, 2);
    etf_put_atom(&w, "b");
    etf_put_binary_ref(&w, big, sizeof big);
    put_pair("a", 1);
    etf_put_compressed(&w, nil, 6);
    etf_put_map(&w, 2);
    put_pair("b", 1);
    put_pair("a", 2);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_hex(out.data, 18, "74 00000002 770161 6101 770162 6d 0000012c");
    assert_hex(out.data + 318, out.len - 318,
               "836a 74 00000002 770161 6102 770162 6101");
    etf_writer_reset(&w);
    etf_put_map(&w, 2); /* equal keys */
    put_pair("b", 1);
    put_pair("b", 2);
    assert_int_equal(etf_writer_finish(&w, NULL), CN_EBADTERM);
    etf_writer_reset(&w);
    etf_put_map(&w, 1);
    etf_put_int(&w, 1);
    assert_int_equal(etf_writer_finish(&w, NULL), CN_ETRUNC);
    etf_writer_free(&w);
}

/* --- depth, limits and memory -----------------------------------------------
 */

enum { DEEP = 300000 };

static void deep(void **state) {
    etf_writer x;
    etf_view in, out;

    (void)state;
    etf_writer_init(&x, NULL);
    for (int i = 0; i < DEEP; i++) {
        if (i % 3 == 0) {
            etf_put_tuple(&x, 1);
        } else if (i % 3 == 1) {
            etf_put_list(&x, 1);
        } else {
            etf_put_map(&x, 1);
            etf_put_nil(&x);
        }
    }
    etf_put_nil(&x);
    for (int i = 0; i < DEEP; i++)
        if (i % 3 == 1)
            etf_put_nil(&x);
    assert_int_equal(etf_writer_finish(&x, &in), 0);
    for (uint32_t mode = 0; mode <= ETF_DETERMINISTIC; mode += 2) {
        etf_writer_init(&w, NULL);
        etf_writer_mode(&w, mode);
        assert_int_equal(etf_put_normal(&w, NULL, NULL, in), 0);
        assert_int_equal(etf_writer_finish(&w, &out), 0);
        assert_true(etf_view_eq(in, out));
        etf_writer_reset(&w);
        assert_int_equal(
            etf_put_normal(&w, NULL, &(etf_limits){.depth = DEEP - 1}, in),
            CN_ELIMIT);
        etf_writer_free(&w);
    }
    etf_writer_free(&x);
}

static int scenario(fault_alloc *f, void *arg) {
    const etf_view *in = arg;
    etf_writer g;
    int err;

    etf_writer_init(&g, &f->alloc);
    etf_writer_mode(&g, ETF_DETERMINISTIC);
    etf_put_term(&g, *in);
    (void)etf_put_normal(&g, &f->alloc, NULL, *in);
    err = etf_writer_finish(&g, NULL);
    assert_int_equal(err, f->failed ? CN_ENOMEM : 0);
    etf_writer_free(&g);
    return err;
}

static void out_of_memory(void **state) {
    etf_writer x;
    etf_view in;

    (void)state;
    etf_writer_init(&x, NULL);
    for (int i = 0; i < 100; i++)
        etf_put_tuple(&x, 1);
    etf_put_map(&x, 200);
    for (int i = 200; i > 0; i--) {
        etf_put_int(&x, (int64_t)i * 1000);
        etf_put_atom(&x, "a");
    }
    assert_int_equal(etf_writer_finish(&x, &in), 0);
    run_with_every_failure(scenario, &in);
    etf_writer_free(&x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_otp_25),
        cmocka_unit_test(as_otp_27),
        cmocka_unit_test(lists),
        cmocka_unit_test(list_sizes),
        cmocka_unit_test(numbers_and_bits),
        cmocka_unit_test(records_and_closures),
        cmocka_unit_test(lists_as_keys),
        cmocka_unit_test(long_nodes),
        cmocka_unit_test(what_is_no_term),
        cmocka_unit_test(in_open_lists),
        cmocka_unit_test(sorted_at_the_end),
        cmocka_unit_test(sorted_in_an_array),
        cmocka_unit_test(sorted_with_the_rest),
        cmocka_unit_test(deep),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests_name("normal", tests, NULL, NULL);
}
