/* SPDX-License-Identifier: Apache-2.0
 *
 * check_test.c: what etf_check refuses, where it says the error is and what it
 * calls it; limits; the memory it takes.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support.h"
#include "tests/unit/vectors.h"

static uint8_t in[1 << 17];
static etf_error e;

#define FUN "70 00000000 01 00112233445566778899aabbccddeeff 00000000 "
#define PID "58 7703614062 000000000000000000000000"

static etf_view term(const char *hex) {
    return (etf_view){in, unhex(hex, in, sizeof in)};
}

static void good(const char *hex) {
    if (etf_check(NULL, NULL, term(hex), &e) != 0)
        fail_msg("%s: %s at %zu", hex, e.what, e.at);
    assert_int_equal(e.code, 0);
    assert_int_equal(e.at, 0);
    assert_string_equal(e.what, "");
}

/* With this error, at this byte, with these words in its text. */
static void bad_within(const etf_limits *l, const char *hex, int code,
                       size_t at, const char *what) {
    int err = etf_check(NULL, l, term(hex), &e);

    if (err != code || e.code != code || e.at != at ||
        strstr(e.what, what) == NULL)
        fail_msg("%s: %d, \"%s\" at %zu", hex, err, e.what, e.at);
    assert_int_equal(etf_check(NULL, l, term(hex), NULL), code);
}

static void bad(const char *hex, size_t at, const char *what) {
    bad_within(NULL, hex, CN_EBADTERM, at, what);
}

static void early(const char *hex, size_t at) {
    bad_within(NULL, hex, CN_ETRUNC, at, "");
}

static void malformed(void **state) {
    (void)state;
    bad("6802 6101 ff", 4, "not known");
    bad("00", 0, "not known");
    bad("6801 836a", 2, "version byte");
    bad("836a", 0, "version byte");
    bad("50 00000001 00", 0, "COMPRESSED");
    bad("75 00000000", 0, "FUN_EXT");
    bad("6801 79 77875c7c 6101", 2, "LOCAL_EXT");
    bad("5200", 0, "ATOM_CACHE_REF");
    bad("58 5200 000000010000000200000003", 0, "ATOM_CACHE_REF");
    bad("6a6a", 1, "behind");
    bad("7701ff", 0, "UTF-8");
    bad("58 7701ff 000000010000000200000003", 0, "UTF-8");
    bad("64 0100", 0, "255 characters");
    bad("76 03fd", 0, "255 characters");
    bad("467ff0000000000000", 0, "not a number");
    bad("6f 00080000 00 00", 0, "524280");
    bad("4d 00000001 00 01", 0, "1 to 8 bits");
    bad("4d 00000000 08", 0, "1 to 8 bits");
    bad("69 01000000", 0, "2^24");
    bad("74 80000000", 0, "2^31");
    bad("58 6107 000000010000000200000003", 0, "no atom");
    bad("67 7703614062 0000000100000002 04", 0, "creation above 3");
    bad("65 7703614062 00040000 01", 0, "2^18");
    bad("5a0006 7703614062 00000001", 0, "5 words");
    bad("71 770161 770162 62ffffffff", 0, "arity");
    bad("71 770161 770162 6a", 0, "arity");
    bad("43 00000000 02 77016d 770172", 0, "flags");
    early("", 0);
    assert_string_equal(e.what, "there are no bytes");
    early("6803 6101 6102", 4);
    early("6d00000002 61", 0);
    early("6c00000001 61", 0);
}

/* What looks wrong and is not: each was given to binary_to_term of 25 and 29.
 */
static void odd_but_good(void **state) {
    (void)state;
    good("71 770161 770162 6e01 00 05");
    good("71 770161 770162 6e02 00 0500");
    good("71 770161 770162 6f00000001 00 05");
    good("71 770161 770162 6c00000000 6105");
    good(FUN "00000000 77016d 6e010005 6e0400ffffffff " PID);
    good(FUN "00000000 77016d 6c000000006100 62ffffffff 6c00000000" PID);
    good(FUN "00000001 77016d 6100 6100 67 770161 00000000 00000000 01 6a");
    good("63 312c3500000000000000000000000000000000000000000000000000000000");
    good("63 2b312e35653030303500 00"
         "4142434445464748494a4b4c4d4e4f5051525354");
    good("63 312e35652d34303000000000000000000000000000000000000000000000 00");
    good("67 770161 ffffffff ffffffff 03");
    good("66 770161 ffffffff 03");
    good("5a0000 770161 00000001");
    good("4d 00000001 08 01");
    good("7701 00");
    good("6c00000001 6101 6b00020102");
    good("6f00000000 00");
    bad("71 770161 770162 6e01 01 05", 0, "arity");
    bad("71 770161 770162 6e02 00 0001", 0, "arity");
    bad("58 6c00000000 770161 000000000000000000000000", 0, "no atom");
    bad("720000 770161 01", 0, "no words");
    bad("4d 00000000 00", 0, "1 to 8 bits");
    bad("63 312e3565343030000000000000000000000000000000000000000000000000", 0,
        "float");
}

static void equal_keys(void **state) {
    (void)state;
    good("7400000002 6101 6101 6102 6101");
    good("7400000002 6101 6101 463ff0000000000000 6101");
    good("6802 7400000001 6101 6101 7400000001 6101 6101");
    bad("7400000002 6101 6102 6101 6102", 9, "twice");
    bad("7400000002 6101 6102 62 00000001 6102", 9, "twice");
    bad("7400000002 770161 6102 64000161 6102", 10, "twice");
    bad("7400000002 6b00020102 6102 6c00000002 6101 6102 6a 6102", 12, "twice");
    bad("6802 6a 7400000001 6101 7400000002 6a 6a 6a 6a", 17, "twice");
    good("43 00000002 01 77016d 770172 77017a 770161 6101 6101");
    bad("43 00000002 01 77016d 770172 770161 64000161 6101 6101", 15, "twice");
}

static void limits(void **state) {
    etf_limits terms = {.terms = 3}, depth = {.depth = 2}, atoms = {.atoms = 2};
    etf_limits big = {.big_bytes = 8};

    (void)state;
    assert_int_equal(etf_check(NULL, &terms, term("6802 6101 6102"), &e), 0);
    bad_within(&terms, "6803 6101 6102 6103", CN_ELIMIT, 0, "terms");
    bad_within(&terms, "6802 6101 6801 6101", CN_ELIMIT, 4, "terms");
    bad_within(&terms, "6c00000002 6101 6102 6a", CN_ELIMIT, 0, "terms");
    assert_int_equal(etf_check(NULL, &terms, term("6b00050102030405"), &e), 0);
    assert_int_equal(etf_check(NULL, &depth, term("6801 6801 6a"), &e), 0);
    assert_int_equal(
        etf_check(NULL, &depth, term("6802 6801 6a 6801 68 00"), &e), 0);
    bad_within(&depth, "6801 6801 6801 6a", CN_ELIMIT, 4, "deep");
    bad_within(&depth, "6802 6a 6c00000001 6a 7400000001 6a6a", CN_ELIMIT, 9,
               "deep");
    assert_int_equal(etf_check(NULL, &atoms, term("6802 770161 770162"), &e),
                     0);
    bad_within(&atoms, "6803 770161 770162 7301e9", CN_ELIMIT, 8, "atoms");
    bad_within(&atoms,
               "6802 71 770161 770162 6102 58 770161"
               "000000000000000000000000",
               CN_ELIMIT, 11, "atoms");
    bad_within(&atoms, "43 00000001 01 77016d 770172 77017a 6101", CN_ELIMIT, 0,
               "atoms");
    assert_int_equal(
        etf_check(NULL, &big, term("6e0a00 01020304050607080000"), &e), 0);
    bad_within(&big, "6801 6e0900 010203040506070809", CN_ELIMIT, 2, "integer");
}

/* Tuples of one, n deep. */
static etf_view nested(size_t n) {
    for (size_t i = 0; i < 2 * n; i += 2)
        memcpy(in + i, "\x68\x01", 2);
    in[2 * n] = 106;
    return (etf_view){in, 2 * n + 1};
}

static void depths(void **state) {
    etf_limits l = {.depth = 50000};

    (void)state;
    assert_int_equal(etf_check(NULL, &l, nested(50000), &e), 0);
    assert_int_equal(etf_check(NULL, &l, nested(50001), &e), CN_ELIMIT);
    assert_int_equal(e.at, 100000);
    assert_int_equal(etf_check(NULL, NULL, nested(65000), &e), 0);
}

static int deep_check(fault_alloc *f, void *arg) {
    etf_limits l = {.depth = 10000};

    (void)arg;
    return etf_check(&f->alloc, &l, nested(10000), &e);
}

static int map_check(fault_alloc *f, void *arg) {
    (void)arg;
    return etf_check(&f->alloc, NULL,
                     term("7400000002 7400000001 6a6a 6a 6101 6a"), &e);
}

static void memory(void **state) {
    etf_limits l = {.depth = 10};
    fault_alloc f;

    (void)state;
    run_with_every_failure(deep_check, NULL);
    run_with_every_failure(map_check, NULL);
    fault_init(&f, 1);
    l.depth = 64;
    assert_int_equal(etf_check(&f.alloc, &l, nested(64), &e), 0);
    assert_int_equal(etf_check(&f.alloc, NULL, nested(60000), &e), 0);
    assert_int_equal(f.calls, 0);
    l.depth = 65;
    assert_int_equal(etf_check(&f.alloc, &l, nested(65), &e), CN_ENOMEM);
    assert_int_equal(e.at, 128);
}

static void vector_checks(const vector *v) {
    etf_limits l = {.depth = 1 << 16, .terms = 1 << 17, .atoms = 1 << 17};

    assert_int_equal(etf_check(NULL, NULL, v->term, &e), 0);
    assert_int_equal(etf_check(NULL, &l, v->term, &e), 0);
}

static void vectors(void **state) {
    (void)state;
    assert_true(each_vector(vector_checks) > 500);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed),  cmocka_unit_test(odd_but_good),
        cmocka_unit_test(equal_keys), cmocka_unit_test(limits),
        cmocka_unit_test(depths),     cmocka_unit_test(memory),
        cmocka_unit_test(vectors),
    };
    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
