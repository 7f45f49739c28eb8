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

static etf_record record_of(const char *module, const char *fields, size_t len,
                            uint32_t n) {
    return (etf_record){.module = etf_view_of(module, 3),
                        .name = etf_view_of("r", 1),
                        .exported = true,
                        .n = n,
                        .fields = etf_view_of(fields, len)};
}

static void measures(const etf_record *record, size_t size) {
    etf_view out;

    etf_writer_init_fixed(&w, NULL, 0);
    etf_put_record_n(&w, record);
    assert_int_equal(etf_writer_finish(&w, &out), CN_ELIMIT);
    assert_int_equal(out.len, size);
}

/* Names with a NUL, and fields in latin-1, which are written in UTF-8. */
static void record_views(void **state) {
    const char fields[] = {'w', 1, 'z', 's', 1, '\xe9', 'd', 0, 1, 0};
    etf_record record = record_of("a\0b", fields, sizeof fields, 3);

    (void)state;
    measures(&record, 24);
    etf_writer_init(&w, NULL);
    etf_put_record_n(&w, &record);
    for (int i = 1; i <= 3; i++)
        etf_put_int(&w, i);
    finishes("43 00000003 01 7703610062 770172 77017a 7702c3a9 770100"
             "6101 6102 6103");
    etf_writer_init(&w, NULL);
    etf_writer_mode(&w, ETF_LATIN1_ATOMS);
    record.n = 0;
    record.fields.len = 0;
    etf_put_record_n(&w, &record);
    finishes("43 00000000 01 640003610062 64000172");
}

static void record_view_slips(void **state) {
    const char fields[] = {'w', 1, 'z', 'w', 1, 'a', 'a', 1};
    etf_record record = record_of("a\0b", fields, 6, 1);

    (void)state;
    etf_writer_init(&w, NULL);
    etf_put_record_n(&w, &record); /* one field too many */
    fails(CN_EBADARG);
    record.n = 3;
    etf_put_record_n(&w, &record); /* too few */
    fails(CN_EBADARG);
    record.fields.len = 8;
    etf_put_record_n(&w, &record); /* one that is no atom */
    fails(CN_EBADARG);
    record = record_of("a\xff"
                       "b",
                       fields, 3, 1);
    etf_put_record_n(&w, &record);
    fails(CN_EBADARG);
    record.n = 1U << 31;
    etf_put_record_n(&w, &record);
    fails(CN_ELIMIT);
}

static const uint8_t ff_uniq[] = {0x6b, 0x5c, 0x55, 0xab, 0x5c, 0x38,
                                  0x55, 0x74, 0x22, 0x9e, 0x9f, 0x8c,
                                  0x1b, 0x74, 0x70, 0x17};

/* fun(Y) -> {X, Y, Z} end of a module ff, from OTP 27. */
static etf_fun ff_of(uint32_t n) {
    return (etf_fun){.module = etf_view_of("ff", 2),
                     .arity = 1,
                     .uniq = ff_uniq,
                     .old_uniq = 0x035ae2ad,
                     .creator = {0, 0, 0, 13, "nonode@nohost"},
                     .n = n};
}

#define FF                                                                     \
    "70 0000004f 01 6b5c55ab5c385574229e9f8c1b747017 00000000 00000002"        \
    "77026666 6100 62035ae2ad 58770d6e6f6e6f6465406e6f686f7374"                \
    "00000000 00000000 00000000 770568656c6c6f 6b000107"

static void closures(void **state) {
    static const etf_view free[] = {{(const uint8_t *)"w\5hello", 7},
                                    {(const uint8_t *)"k\0\1\7", 4}};
    etf_fun ff = ff_of(2);

    (void)state;
    etf_writer_init(&w, NULL);
    etf_put_fun(&w, &ff, free);
    finishes(FF);
    ff.n = 0;
    etf_writer_init(&w, NULL);
    etf_writer_mode(&w, ETF_LATIN1_ATOMS);
    etf_put_tuple(&w, 1);
    etf_put_fun(&w, &ff, NULL);
    finishes("6801 70 00000046 01 6b5c55ab5c385574229e9f8c1b747017"
             "00000000 00000000 6400026666 6100 62035ae2ad"
             "5864000d6e6f6e6f6465406e6f686f7374 00000000 00000000 00000000");
    ff.module = etf_view_of("f\0", 2);
    etf_writer_init(&w, NULL);
    etf_put_fun(&w, &ff, NULL);
    finishes("70 00000044 01 6b5c55ab5c385574229e9f8c1b747017 00000000 00000000"
             "77026600 6100 62035ae2ad 58770d6e6f6e6f6465406e6f686f7374"
             "00000000 00000000 00000000");
}

/* What a reader gives goes back as it was. */
static void closures_copied(void **state) {
    uint8_t bytes[256];
    size_t n = unhex(FF, bytes, sizeof bytes);
    etf_view free[2];
    etf_reader r;
    etf_fun fun;

    (void)state;
    etf_reader_init(&r, etf_view_of(bytes, n));
    etf_get_fun(&r, &fun);
    for (int i = 0; i < 2; i++)
        free[i] = etf_get_term(&r);
    assert_int_equal(etf_reader_finish(&r), 0);
    etf_writer_init(&w, NULL);
    etf_put_fun(&w, &fun, free);
    finishes(FF);
}

static void closure_slips(void **state) {
    static const etf_view none[1];
    etf_fun f = ff_of(1);

    (void)state;
    etf_writer_init(&w, NULL);
    etf_put_fun(&w, &f, none);
    fails(CN_EBADARG);
    etf_put_fun(&w, &f, NULL);
    fails(CN_EBADARG);
    f.n = 256;
    etf_put_fun(&w, &f, none);
    fails(CN_ELIMIT);
    f = ff_of(0);
    f.module = etf_view_of("\xff", 1);
    etf_put_fun(&w, &f, NULL);
    fails(CN_EBADARG);
    f.module = etf_view_of(NULL, 1);
    etf_put_fun(&w, &f, NULL);
    fails(CN_EBADARG);
    f = ff_of(0);
    f.uniq = NULL;
    etf_put_fun(&w, &f, NULL);
    fails(CN_EBADARG);
    f = ff_of(0);
    f.creator.node_len = 300;
    etf_put_fun(&w, &f, NULL);
    fails(CN_EBADARG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records),       cmocka_unit_test(record_slips),
        cmocka_unit_test(record_views),  cmocka_unit_test(record_view_slips),
        cmocka_unit_test(closures),      cmocka_unit_test(closures_copied),
        cmocka_unit_test(closure_slips),
    };
    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
