/* SPDX-License-Identifier: Apache-2.0
 *
 * record_test.c: native records and closures, byte by byte.
 */
#include <string.h>

#include "tests/unit/support.h"
#include "tests/unit/vectors.h"

static etf_writer w;

static void finishes(const char *hex) {
    etf_view out;

    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_hex(out.data, out.len, hex);
    assert_int_equal(etf_check(NULL, NULL, out, NULL), 0);
    etf_writer_free(&w);
}

static void fails(int code) {
    assert_int_equal(etf_writer_finish(&w, NULL), code);
    etf_writer_free(&w);
}

/* #m:r{z = 1, a = 2}, as OTP 29 writes it. */
static void records(void **state) {
    static const char *const fields[] = {"z", "a"};

    (void)state;
    etf_writer_init(&w, NULL);
    etf_put_record(&w, true, "m", "r", fields, 2);
    etf_put_int(&w, 1);
    etf_put_int(&w, 2);
    finishes("43 00000002 01 77016d 770172 77017a 770161 6101 6102");
    etf_writer_init(&w, NULL);
    etf_put_record(&w, false, "m", "r", NULL, 0);
    finishes("43 00000000 00 77016d 770172");
    etf_writer_init(&w, NULL);
    etf_begin_list(&w);
    etf_put_record(&w, true, "m", "r", fields, 1);
    etf_put_int(&w, 1);
    etf_put_int(&w, 2);
    etf_end_list(&w);
    finishes("6c00000002 43 00000001 01 77016d 770172 77017a 6101 6102 6a");
}

static void record_slips(void **state) {
    static const char *const same[] = {"a", "b", "a"};
    static const char *const none[] = {"a", NULL};
    static const char *const bad[] = {"\xff"};

    (void)state;
    etf_writer_init(&w, NULL);
    etf_put_record(&w, true, "m", "r", same, 3);
    fails(CN_EBADARG);
    etf_put_record(&w, true, "m", "r", none, 2);
    fails(CN_EBADARG);
    etf_put_record(&w, true, "m", "r", NULL, 1);
    fails(CN_EBADARG);
    etf_put_record(&w, true, NULL, "r", NULL, 0);
    fails(CN_EBADARG);
    etf_put_record(&w, true, "m", NULL, NULL, 0);
    fails(CN_EBADARG);
    etf_put_record(&w, true, "m", "r", bad, 1);
    fails(CN_EBADARG);
    etf_put_record(&w, true, "m", "r", same, (size_t)1 << 31);
    fails(CN_ELIMIT);
    etf_begin_list(&w); /* its value is missing */
    etf_put_record(&w, true, "m", "r", same, 1);
    etf_end_list(&w);
    fails(CN_EBUG);
}

/* fun(Y) -> {X, Y, Z} end of a module ff, from OTP 27. */
static const etf_closure ff = {"ff",
                               1,
                               {0x6b, 0x5c, 0x55, 0xab, 0x5c, 0x38, 0x55, 0x74,
                                0x22, 0x9e, 0x9f, 0x8c, 0x1b, 0x74, 0x70, 0x17},
                               0,
                               0,
                               0x035ae2ad,
                               {0, 0, 0, 13, "nonode@nohost"}};

static void closures(void **state) {
    static const etf_view free[] = {{(const uint8_t *)"w\5hello", 7},
                                    {(const uint8_t *)"k\0\1\7", 4}};

    (void)state;
    etf_writer_init(&w, NULL);
    etf_put_fun(&w, &ff, free, 2);
    finishes("70 0000004f 01 6b5c55ab5c385574229e9f8c1b747017 00000000 00000002"
             "77026666 6100 62035ae2ad 58770d6e6f6e6f6465406e6f686f7374"
             "00000000 00000000 00000000 770568656c6c6f 6b000107");
    etf_writer_init(&w, NULL);
    etf_writer_mode(&w, ETF_LATIN1_ATOMS);
    etf_put_tuple(&w, 1);
    etf_put_fun(&w, &ff, NULL, 0);
    finishes("6801 70 00000046 01 6b5c55ab5c385574229e9f8c1b747017"
             "00000000 00000000 6400026666 6100 62035ae2ad"
             "5864000d6e6f6e6f6465406e6f686f7374 00000000 00000000 00000000");
}

static void closure_slips(void **state) {
    static const etf_view none[256];
    etf_closure f = ff;

    (void)state;
    etf_writer_init(&w, NULL);
    etf_put_fun(&w, &f, none, 1);
    fails(CN_EBADARG);
    etf_put_fun(&w, &f, none, 256);
    fails(CN_ELIMIT);
    f.module = "\xff";
    etf_put_fun(&w, &f, NULL, 0);
    fails(CN_EBADARG);
    f.module = NULL;
    etf_put_fun(&w, &f, NULL, 0);
    fails(CN_EBADARG);
    f = ff;
    f.pid.node_len = 300;
    etf_put_fun(&w, &f, NULL, 0);
    fails(CN_EBADARG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records),
        cmocka_unit_test(record_slips),
        cmocka_unit_test(closures),
        cmocka_unit_test(closure_slips),
    };
    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
