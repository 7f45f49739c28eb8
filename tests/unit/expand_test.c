/* SPDX-License-Identifier: Apache-2.0
 *
 * expand_test.c: atoms that are indexes into a table, where they are read and
 * where they are put in place.
 */
#include <string.h>

#include "tests/unit/support.h"
#include "tests/unit/vectors.h"

static const uint8_t e_acute[] = {0xc3, 0xa9};
static uint8_t long_text[510];
static const etf_view table[] = {
    {(const uint8_t *)"a@b", 3},  {(const uint8_t *)"m", 1},
    {(const uint8_t *)"true", 4}, {e_acute, 2},
    {(const uint8_t *)"", 0},     {long_text, sizeof long_text}};

enum { ATOMS = sizeof table / sizeof *table };

static uint8_t in[4096];
static etf_reader r;

static etf_view term(const char *hex) {
    return (etf_view){in, unhex(hex, in, sizeof in)};
}

static void start(const char *hex) {
    etf_reader_init(&r, term(hex));
    etf_reader_atoms(&r, table, ATOMS);
}

static void reading(void **state) {
    etf_view m, f;
    etf_pid pid;
    etf_ref ref;
    etf_item it;
    uint8_t arity;

    (void)state;
    start("5203 5202 68015201 58 5200 000000010000000200000003 5a0001 5200"
          "00000004 00000005 71 5201 5203 6102 5204 77026f6b 5203");
    assert_int_equal(etf_peek(&r), ETF_ATOM);
    assert_true(etf_view_is(etf_get_atom(&r), "\xc3\xa9"));
    assert_true(etf_get_bool(&r));
    assert_int_equal(etf_get_term(&r).len, 4);
    etf_get_pid(&r, &pid);
    assert_string_equal(pid.node, "a@b");
    assert_int_equal(pid.creation, 3);
    etf_get_ref(&r, &ref);
    assert_string_equal(ref.node, "a@b");
    assert_int_equal(ref.ids[0], 5);
    etf_get_export(&r, &m, &f, &arity);
    assert_true(etf_view_is(m, "m"));
    assert_true(etf_view_is(f, "\xc3\xa9"));
    assert_int_equal(etf_next(&r, &it), ETF_ATOM);
    assert_int_equal(it.bytes.len, 0);
    assert_int_equal(etf_next(&r, &it), ETF_ATOM);
    assert_int_equal(etf_next(&r, &it), ETF_ATOM);
    assert_true(etf_view_is(it.bytes, "\xc3\xa9"));
    assert_int_equal(etf_reader_finish(&r), 0);
    assert_int_equal(etf_reader_left(&r), 0);
}

#define FAILS(hex, code, at)                                                   \
    do {                                                                       \
        start(hex);                                                            \
        etf_skip(&r);                                                          \
        assert_int_equal(etf_reader_finish(&r), code);                         \
        assert_int_equal(r.err_at, at);                                        \
    } while (0)

static void refused(void **state) {
    (void)state;
    FAILS("5206", CN_EBADTERM, 0);
    FAILS("6802 6101 52ff", CN_EBADTERM, 4);
    FAILS("52", CN_ETRUNC, 0);
    FAILS("58 5206 000000010000000200000003", CN_EBADTERM, 0);
    etf_reader_init(&r, term("5200"));
    etf_skip(&r);
    assert_int_equal(etf_reader_finish(&r), CN_EBADTERM);
    etf_reader_init(&r, term("58 5200 000000010000000200000003"));
    etf_skip(&r);
    assert_int_equal(etf_reader_finish(&r), CN_EBADTERM);
}

/* Each part of an identifier is missing once; nothing of it is given. */
static void cut_identifiers(void **state) {
    static const char *const ids[] = {"58 5200 000000010000000200000003",
                                      ("58 7703614062 000000010000000200"
                                       "000003"),
                                      "5a0002 5200 00000004 0000000500000006",
                                      "5a0001 7703614062 00000004 00000005"};
    etf_pid pid;
    etf_ref ref;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        size_t n = term(ids[i]).len;
        for (size_t cut = 0; cut <= n; cut++) {
            etf_reader_init(&r, (etf_view){in, cut});
            etf_reader_atoms(&r, table, ATOMS);
            if (i < 2)
                etf_get_pid(&r, &pid);
            else
                etf_get_ref(&r, &ref);
            assert_int_equal(etf_reader_finish(&r) == 0, cut == n);
            assert_string_equal(i < 2 ? pid.node : ref.node,
                                cut == n ? "a@b" : "");
        }
    }
    assert_int_equal(ref.ids[0], 5);
    assert_int_equal(ref.ids[1], 0);
    start("58 5205 000000010000000200000003"); /* no node has such a name */
    etf_get_pid(&r, &pid);
    assert_int_equal(etf_reader_finish(&r), CN_ELIMIT);
}

static void expands(const char *from, const char *to) {
    etf_writer w;
    etf_view out;

    etf_writer_init(&w, NULL);
    etf_put_tuple(&w, 1);
    assert_int_equal(etf_expand(&w, table, ATOMS, term(from)), 0);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_hex(out.data + 2, out.len - 2, to);
    etf_writer_free(&w);
}

#define FUN_TAIL "01 00112233445566778899aabbccddeeff 00000000 "
#define ZEROS "000000000000000000000000 "

static void expanding(void **state) {
    (void)state;
    expands("5203", "7702c3a9");
    expands("6803 5201 6107 5204", "6803 77016d 6107 7700");
    expands("7400000001 5202 6c00000001 5201 5203",
            "7400000001 770474727565 6c00000001 77016d 7702c3a9");
    expands("58 5200 000000010000000200000003",
            "58 7703614062 000000010000000200000003");
    expands("720001 5200 01 00000005", "720001 7703614062 01 00000005");
    expands("65 5200 00000005 01", "65 7703614062 00000005 01");
    expands("78 5200 0000000000000005 00000001",
            "78 7703614062 0000000000000005 00000001");
    expands("71 5201 770161 6102", "71 77016d 770161 6102");
    expands("71 770161 5201 6102", "71 770161 77016d 6102");
    expands("43 00000002 01 5201 5202 5203 770161 6101 5204",
            "43 00000002 01 77016d 770474727565 7702c3a9 770161 6101 7700");
    expands("6c00000000 6c00000000 5201", "77016d");
    expands("6802 6a 6b00020102", "6802 6a 6b00020102");
}

/* Closures in closures, each with the size it then has. */
static void closures(void **state) {
    (void)state;
    expands("70 00000000 " FUN_TAIL
            "00000000 5201 6100 6200000001 58 5200" ZEROS,
            "70 00000039 " FUN_TAIL
            "00000000 77016d 6100 6200000001 58 7703614062" ZEROS);
    expands("6802 70 00000000 " FUN_TAIL "00000002 5201 6100 6101 58 5200" ZEROS
            "70 00000000 " FUN_TAIL "00000001 5201 6100 6101 58 5200" ZEROS
            "5202 6801 5203 6109",
            "6802 70 00000079 " FUN_TAIL
            "00000002 77016d 6100 6101 58 7703614062" ZEROS
            "70 0000003c " FUN_TAIL
            "00000001 77016d 6100 6101 58 7703614062" ZEROS
            "770474727565 6801 7702c3a9 6109");
}

static void long_atom(void **state) {
    etf_writer w;
    etf_view out;

    (void)state;
    etf_writer_init(&w, NULL);
    assert_int_equal(etf_expand(&w, table, ATOMS, term("5205")), 0);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_int_equal(out.len, 3 + sizeof long_text);
    assert_hex(out.data, 5, "7601fe c3a9");
    etf_reader_init(&r, out);
    assert_int_equal(etf_get_atom(&r).len, sizeof long_text);
    etf_writer_free(&w);
}

static void expand_fails(const char *hex, int code) {
    etf_writer w;

    etf_writer_init(&w, NULL);
    assert_int_equal(etf_expand(&w, table, ATOMS, term(hex)), code);
    assert_int_equal(etf_writer_finish(&w, NULL), code);
    assert_int_equal(etf_expand(&w, table, ATOMS, term("6a")), code);
    etf_writer_free(&w);
}

static void expand_refused(void **state) {
    (void)state;
    expand_fails("5206", CN_EBADTERM);
    expand_fails("6a6a", CN_EBADTERM);
    expand_fails("", CN_ETRUNC);
    expand_fails("6802 5201", CN_ETRUNC);
    expand_fails("6802 6802 6101 6101", CN_ETRUNC);
}

/* Terms without an index stay as they are, but for wrong sizes of closures and
 * heads of lists of no elements. */
static void same(const vector *v) {
    etf_writer w;
    etf_view out;

    etf_writer_init(&w, NULL);
    assert_int_equal(etf_expand(&w, NULL, 0, v->term), 0);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    if (strchr(v->text, '#') == NULL && v->term.data[0] == out.data[0])
        assert_true(etf_view_eq(out, v->term));
    else
        assert_true(etf_print(out, NULL, 0) == strlen(v->text));
    etf_writer_free(&w);
}

static void vectors(void **state) {
    (void)state;
    assert_true(each_vector(same) > 500);
}

/* More closures in each other than the inline stack holds. */
static int deep(fault_alloc *f, void *arg) {
    static uint8_t one[64];
    size_t n =
        unhex("70 00000000 " FUN_TAIL "00000001 5201 6100 6101 58 5200" ZEROS,
              one, sizeof one);
    etf_writer w;
    int err;

    (void)arg;
    assert_true(n * 60 < sizeof in);
    for (size_t i = 0; i < 60; i++)
        memcpy(in + i * n, one, n);
    in[60 * n] = 106;
    etf_writer_init(&w, &f->alloc);
    err = etf_expand(&w, table, ATOMS, (etf_view){in, 60 * n + 1});
    etf_writer_free(&w);
    return err;
}

static void out_of_memory(void **state) {
    (void)state;
    run_with_every_failure(deep, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading),         cmocka_unit_test(refused),
        cmocka_unit_test(cut_identifiers), cmocka_unit_test(expanding),
        cmocka_unit_test(closures),        cmocka_unit_test(long_atom),
        cmocka_unit_test(expand_refused),  cmocka_unit_test(vectors),
        cmocka_unit_test(out_of_memory),
    };
    for (size_t i = 0; i < sizeof long_text; i += 2)
        memcpy(long_text + i, e_acute, 2);
    return cmocka_run_group_tests_name("expand", tests, NULL, NULL);
}
