/* SPDX-License-Identifier: Apache-2.0
 *
 * phash2_test.c: the hashes a real phash2 gave, ranges, memory that ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext_term/ext_term.h"
#include "tests/unit/support.h"

static uint32_t hash(etf_view t, uint64_t range) {
    uint32_t h = 0;

    assert_int_equal(etf_phash2(NULL, t, range, &h), 0);
    return h;
}

static void as_erlang(void **state) {
    static char line[1 << 16];
    static uint8_t room[1 << 15];
    FILE *in = fopen("tests/data/phash2_vectors.txt", "r");
    unsigned long narrow, wide;
    size_t n = 0;
    char *at;

    (void)state;
    assert_non_null(in);
    while (fgets(line, sizeof line, in) != NULL) {
        narrow = strtoul(line, &at, 10);
        if (at == line) /* a comment */
            continue;
        wide = strtoul(at, &at, 10);
        line[strcspn(line, "\n")] = '\0';
        etf_view t = {room, unhex(at, room, sizeof room)};
        assert_int_equal(hash(t, ETF_PHASH2_RANGE), narrow);
        assert_int_equal(hash(t, ETF_PHASH2_ALL), wide);
        assert_int_equal(hash(t, 7), wide % 7);
        n++;
    }
    (void)fclose(in);
    assert_true(n > 400);
}

/* Forms that the BEAM reads and does not write give what the new ones give. */
static void other_forms(void **state) {
    static const char *const pair[][2] = {
        {"6107", "6200000007"},
        {"6107", "6e030007 0000"},
        {"770161", "64000161"},
        {"7702c3a9", "7301e9"},
        {"6b00020102", "6c00000002610161026a"},
        {"6b00020102", "6c0000000161016b000102"},
        {"6a", "6b0000"},
        {"6107", "6c000000006107"},
        {"463ff8000000000000", "63312e3530303030303030303030303030303030303030"
                               "652b30300000000000"},
    };
    uint8_t a[64] = {0}, b[64] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof pair / sizeof pair[0]; i++)
        assert_int_equal(
            hash((etf_view){a, unhex(pair[i][0], a, sizeof a)}, ETF_PHASH2_ALL),
            hash((etf_view){b, unhex(pair[i][1], b, sizeof b)},
                 ETF_PHASH2_ALL));
}

static void refusals(void **state) {
    uint8_t in[] = {0x61, 7, 0x68}, record[32];
    uint32_t h;

    (void)state;
    assert_int_equal(etf_phash2(NULL, (etf_view){in, 2}, 0, &h), CN_EBADARG);
    assert_int_equal(
        etf_phash2(NULL, (etf_view){in, 2}, ETF_PHASH2_ALL + 1, &h),
        CN_EBADARG);
    assert_int_equal(etf_phash2(NULL, (etf_view){in, 1}, 7, &h), CN_ETRUNC);
    assert_int_equal(etf_phash2(NULL, (etf_view){in + 2, 1}, 7, &h), CN_ETRUNC);
    assert_int_equal(
        etf_phash2(NULL,
                   (etf_view){record, unhex("68024300000000017701"
                                            "6d7701726101",
                                            record, sizeof record)},
                   7, &h),
        CN_ENOTSUP);
}

static int deep(fault_alloc *f, void *arg) {
    static uint8_t in[2 * 1000 + 1];
    uint32_t h;

    (void)arg;
    for (size_t i = 0; i < 1000; i++)
        memcpy(in + 2 * i, "\x68\x01", 2);
    in[2000] = 0x6a;
    return etf_phash2(&f->alloc, (etf_view){in, sizeof in}, 1 << 20, &h);
}

static void without_memory(void **state) {
    (void)state;
    run_with_every_failure(deep, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_erlang),
        cmocka_unit_test(other_forms),
        cmocka_unit_test(refusals),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
