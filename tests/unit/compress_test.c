/* SPDX-License-Identifier: Apache-2.0
 *
 * compress_test.c: compressed terms byte by byte as the BEAM makes them, plain
 * when that is shorter; and memory.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tests/unit/support.h"
#include "tests/unit/vectors.h"

static etf_writer w;

static etf_view term_of(etf_writer *x) {
    etf_view v;

    assert_int_equal(etf_writer_finish(x, &v), 0);
    return v;
}

static void gives(etf_view term, int level, const char *hex) {
    etf_view out;

    etf_writer_init(&w, NULL);
    etf_put_compressed(&w, term, level);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_hex(out.data, out.len, hex);
    etf_writer_free(&w);
}

/* What term_to_binary of OTP 27 gives. */
static void as_the_beam(void **state) {
    etf_writer x;

    (void)state;
    etf_writer_init(&x, NULL);
    etf_put_list(&x, 40);
    for (int i = 0; i < 40; i++)
        etf_put_atom(&x, "hello");
    etf_put_nil(&x);
    gives(term_of(&x), 1,
          "8350 0000011e 7801cb616060d02867cd48cdc9c91fa5d08220"
          "0b003447677f");
    gives(term_of(&x), 6,
          "8350 0000011e 789ccb616060d02867cd48cdc9c91fa5d0a82c003447677f");
    etf_writer_reset(&x);
    etf_put_binary(&x, (uint8_t[100]){0}, 100);
    gives(term_of(&x), 6, "8350 00000069 789ccb6560604861a0030000549200d2");
    etf_writer_free(&x);
}

/* 14 zeros stay, 15 are compressed: then both forms take as many bytes. */
static void the_shorter_form(void **state) {
    etf_writer x;

    (void)state;
    etf_writer_init(&x, NULL);
    etf_put_string(&x, (char[14]){0}, 14);
    gives(term_of(&x), 6, "83 6b000e 0000000000000000000000000000");
    etf_writer_reset(&x);
    etf_put_string(&x, (char[15]){0}, 15);
    gives(term_of(&x), 6, "8350 00000012 789ccb66e0674005000888007b");
    gives(term_of(&x), 0, "83 6b000f 000000000000000000000000000000");
    etf_writer_reset(&x);
    etf_put_nil(&x);
    gives(term_of(&x), 9, "83 6a");
    etf_writer_free(&x);
}

static void large_ones(void **state) {
    static uint8_t back[1 << 20];
    etf_view term, out;
    etf_writer x;
    uLongf n;

    (void)state;
    etf_writer_init(&x, NULL);
    etf_begin_list(&x);
    for (int i = 0; i < 100000; i++)
        etf_put_int(&x, i % 1000);
    etf_end_list(&x);
    term = term_of(&x);
    for (int level = 1; level <= 9; level++) {
        etf_writer_init(&w, NULL);
        etf_put_compressed(&w, term, level);
        assert_int_equal(etf_writer_finish(&w, &out), 0);
        assert_true(out.len < term.len / 10);
        n = sizeof back;
        assert_int_equal(uncompress(back, &n, out.data + 6, out.len - 6), Z_OK);
        assert_int_equal(n, term.len);
        assert_memory_equal(back, term.data, n);
        etf_writer_free(&w);
    }
    etf_writer_free(&x);
}

static void fixed_and_measured(void **state) {
    etf_view zeros = {(const uint8_t *)"k\0\17\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                      18};
    uint8_t room[19];
    etf_view out;

    (void)state;
    etf_writer_init_fixed(&w, NULL, 0);
    etf_put_compressed(&w, zeros, 6);
    assert_int_equal(etf_writer_finish(&w, &out), CN_ELIMIT);
    assert_int_equal(out.len, 19);
    etf_writer_init_fixed(&w, room, sizeof room);
    etf_put_compressed(&w, zeros, 6);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_hex(out.data, out.len, "835000000012789ccb66e0674005000888007b");
}

static void slips(void **state) {
    static const struct {
        etf_view term;
        int level, err;
    } bad[] = {{{NULL, 0}, 6, CN_EBADARG},
               {{(const uint8_t *)"j", 1}, -1, CN_EBADARG},
               {{(const uint8_t *)"j", 1}, 10, CN_EBADARG},
               {{(const uint8_t *)"j", (size_t)1 << 32}, 6, CN_ELIMIT}};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        etf_writer_init(&w, NULL);
        etf_put_compressed(&w, bad[i].term, bad[i].level);
        assert_int_equal(etf_writer_finish(&w, NULL), bad[i].err);
        etf_writer_free(&w);
    }
    etf_writer_init(&w, NULL);
    etf_begin_list(&w);
    etf_put_compressed(&w, bad[1].term, 6);
    etf_end_list(&w);
    assert_int_equal(etf_writer_finish(&w, NULL), CN_EBUG);
    etf_writer_free(&w);
}

static int scenario(fault_alloc *f, void *arg) {
    static const uint8_t term[2000] = {'m', 0, 0, 7, 203};
    etf_writer g;
    int err;

    (void)arg;
    etf_writer_init(&g, &f->alloc);
    etf_put_compressed(&g, (etf_view){term, sizeof term}, 6);
    err = etf_writer_finish(&g, NULL);
    assert_int_equal(err, f->failed ? CN_ENOMEM : 0);
    etf_writer_free(&g);
    return err;
}

static void out_of_memory(void **state) {
    (void)state;
    run_with_every_failure(scenario, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_beam), cmocka_unit_test(the_shorter_form),
        cmocka_unit_test(large_ones),  cmocka_unit_test(fixed_and_measured),
        cmocka_unit_test(slips),       cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests_name("compress", tests, NULL, NULL);
}
