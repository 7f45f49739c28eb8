/* SPDX-License-Identifier: Apache-2.0
 *
 * writer_test.c: what the writer writes, byte by byte; growing, fixed and
 * measuring; lists of unknown length; errors that stay.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support.h"
#include "tests/unit/vectors.h"

static etf_writer w;

/* One call, the bytes it must give; growing, fixed and measuring agree. */
#define WRITES(hex, call)                                                      \
    do {                                                                       \
        static uint8_t fixed[1 << 17];                                         \
        etf_view out, same;                                                    \
        etf_writer_init(&w, NULL);                                             \
        call;                                                                  \
        assert_int_equal(etf_writer_finish(&w, &out), 0);                      \
        assert_hex(out.data, out.len, hex);                                    \
        etf_view grown = out;                                                  \
        etf_writer first = w;                                                  \
        etf_writer_init_fixed(&w, NULL, 0);                                    \
        call;                                                                  \
        assert_int_equal(etf_writer_finish(&w, &same), CN_ELIMIT);             \
        assert_int_equal(same.len, grown.len);                                 \
        etf_writer_init_fixed(&w, fixed, grown.len);                           \
        call;                                                                  \
        assert_int_equal(etf_writer_finish(&w, &same), 0);                     \
        assert_true(etf_view_eq(same, grown));                                 \
        etf_writer_free(&first);                                               \
    } while (0)

#define FAILS(code, call)                                                      \
    do {                                                                       \
        etf_writer_init(&w, NULL);                                             \
        call;                                                                  \
        etf_put_nil(&w); /* harmless */                                        \
        assert_int_equal(etf_writer_finish(&w, NULL), code);                   \
        etf_writer_free(&w);                                                   \
    } while (0)

static void integers(void **state) {
    static const uint8_t two64[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0};

    (void)state;
    WRITES("6100", etf_put_int(&w, 0));
    WRITES("61ff", etf_put_int(&w, 255));
    WRITES("6200000100", etf_put_int(&w, 256));
    WRITES("62ffffffff", etf_put_int(&w, -1));
    WRITES("627fffffff", etf_put_int(&w, INT32_MAX));
    WRITES("6280000000", etf_put_int(&w, INT32_MIN));
    WRITES("6e040000000080", etf_put_int(&w, 2147483648));
    WRITES("6e040101000080", etf_put_int(&w, -2147483649));
    WRITES("6e080100000000000000 80", etf_put_int(&w, INT64_MIN));
    WRITES("6e0800ffffffffffffffff", etf_put_uint(&w, UINT64_MAX));
    WRITES("6e0900000000000000000001", etf_put_big(&w, two64, 11, false));
    WRITES("6e0901000000000000000001", etf_put_big(&w, two64, 9, true));
    WRITES("6100", etf_put_big(&w, two64, 8, true));
    WRITES("6100", etf_put_big(&w, NULL, 0, false));
    WRITES("62fffffffb", etf_put_big(&w, (const uint8_t *)"\5", 1, true));
}

static void big_sizes(void **state) {
    uint8_t *m = calloc(1, 524281);
    etf_view out;

    (void)state;
    assert_non_null(m);
    memset(m, 1, 524281);
    etf_writer_init(&w, NULL);
    etf_put_big(&w, m, 255, false);
    etf_put_big(&w, m, 256, true);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_hex(out.data, 3, "6eff00");
    assert_hex(out.data + 258, 6, "6f0000010001");
    etf_put_big(&w, m, 524280, true);
    assert_int_equal(etf_writer_finish(&w, NULL), 0);
    etf_put_big(&w, m, 524281, true);
    assert_int_equal(etf_writer_finish(&w, NULL), CN_ELIMIT);
    etf_writer_free(&w);
    free(m);
}

static void floats_and_atoms(void **state) {
    char chars[257];

    (void)state;
    memset(chars, 'a', 256);
    chars[256] = '\0';
    WRITES("463ff0000000000000", etf_put_float(&w, 1.0));
    WRITES("468000000000000000", etf_put_float(&w, -0.0));
    WRITES("77026f6b", etf_put_atom(&w, "ok"));
    WRITES("7700", etf_put_atom_n(&w, NULL, 0));
    WRITES("7702c3a9", etf_put_atom(&w, "\xc3\xa9"));
    WRITES("770474727565", etf_put_bool(&w, true));
    WRITES("770566616c7365", etf_put_bool(&w, false));
    FAILS(CN_ERANGE, etf_put_float(&w, NAN));
    FAILS(CN_ERANGE, etf_put_float(&w, (double)INFINITY));
    FAILS(CN_EBADARG, etf_put_atom(&w, "\xff"));
    FAILS(CN_EBADARG, etf_put_atom(&w, "\xc0\x80"));
    FAILS(CN_EBADARG, etf_put_atom(&w, "\xed\xa0\x80"));
    FAILS(CN_EBADARG, etf_put_atom(&w, NULL));
    FAILS(CN_EBADARG, etf_put_atom_n(&w, NULL, 1));
    FAILS(CN_ELIMIT, etf_put_atom(&w, chars));
}

static void long_atom(void **state) {
    char text[2 * 256 + 1] = "";
    etf_view out;

    (void)state;
    for (size_t i = 0; i < 128; i++)
        memcpy(text + 2 * i, "\xc3\xa9", 3);
    etf_writer_init(&w, NULL);
    etf_put_atom(&w, text);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_hex(out.data, 5, "760100c3a9");
    assert_int_equal(out.len, 259);
    for (size_t i = 128; i < 256; i++)
        memcpy(text + 2 * i, "\xc3\xa9", 3);
    etf_writer_reset(&w);
    etf_put_atom(&w, text);
    assert_int_equal(etf_writer_finish(&w, NULL), CN_ELIMIT);
    etf_writer_free(&w);
}

static void bytes(void **state) {
    (void)state;
    WRITES("6d00000000", etf_put_binary(&w, NULL, 0));
    WRITES("6d00000003010203", etf_put_binary(&w, "\1\2\3", 3));
    WRITES("6d00000002686f", etf_put_binary_str(&w, "ho"));
    WRITES("4d0000000103a0", etf_put_bits(&w, "\xbf", 3));
    WRITES("4d00000002040120", etf_put_bits(&w, "\x01\x2f", 12));
    WRITES("6d0000000101", etf_put_bits(&w, "\1", 8));
    WRITES("6d00000000", etf_put_bits(&w, NULL, 0));
    WRITES("6a", etf_put_string(&w, "", 0));
    WRITES("6b0003616263", etf_put_string(&w, "abc", 3));
    FAILS(CN_EBADARG, etf_put_binary(&w, NULL, 1));
    FAILS(CN_EBADARG, etf_put_bits(&w, NULL, 1));
    FAILS(CN_EBADARG, etf_put_string(&w, NULL, 1));
    FAILS(CN_EBADARG, etf_put_binary_str(&w, NULL));
    FAILS(CN_ELIMIT, etf_put_binary(&w, "", (size_t)UINT32_MAX + 1));
}

static void string_sizes(void **state) {
    char *text = calloc(1, 65536);
    etf_view out;

    (void)state;
    assert_non_null(text);
    etf_writer_init(&w, NULL);
    etf_put_string(&w, text, 65535);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_int_equal(out.len, 3 + 65535);
    etf_writer_reset(&w);
    etf_put_string(&w, text, 65536);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_hex(out.data, 7, "6c000100006100");
    assert_int_equal(out.len, 5 + 2 * 65536 + 1);
    assert_int_equal(etf_check(NULL, NULL, out, NULL), 0);
    etf_writer_free(&w);
    free(text);
}

static void headers(void **state) {
    (void)state;
    WRITES("836800", etf_put_version(&w); etf_put_tuple(&w, 0));
    WRITES("68ff", etf_put_tuple(&w, 255));
    WRITES("6900000100", etf_put_tuple(&w, 256));
    WRITES("7400000002", etf_put_map(&w, 2));
    WRITES("6c00000002", etf_put_list(&w, 2));
    WRITES("6a", etf_put_list(&w, 0));
    WRITES("6a", etf_put_nil(&w));
    WRITES("71770161770162 6103", etf_put_export(&w, "a", "b", 3));
    WRITES(
        "71 7703610062 7700 61ff",
        etf_put_export_n(&w, etf_view_of("a\0b", 3), etf_view_of("", 0), 255));
    WRITES("6101", etf_put_term(&w, (etf_view){(const uint8_t *)"a\1", 2}));
    FAILS(CN_ELIMIT, etf_put_tuple(&w, 1 << 24));
    FAILS(CN_ELIMIT, etf_put_map(&w, (size_t)1 << 31));
    FAILS(CN_ELIMIT, etf_put_list(&w, (size_t)1 << 32));
    FAILS(CN_EBADARG, etf_put_term(&w, (etf_view){NULL, 0}));
    FAILS(CN_EBADARG, etf_put_export(&w, NULL, "b", 3));
    FAILS(CN_EBADARG, etf_put_export(&w, "a", "\xff", 3));
    FAILS(CN_EBADARG,
          etf_put_export_n(&w, etf_view_of(NULL, 1), etf_view_of("b", 1), 3));
}

static void identifiers(void **state) {
    etf_pid pid = {1, 2, 3, 3, "a@b"};
    etf_port port = {0x100000002, 4, 3, "a@b"};
    etf_ref ref = {{7, 8, 9}, 5, 3, 3, "a@b"};

    (void)state;
    WRITES("58 7703614062 000000010000000200000003", etf_put_pid(&w, &pid));
    WRITES("78 7703614062 000000010000000200000004", etf_put_port(&w, &port));
    WRITES("5a0003 7703614062 00000005 000000070000000800000009",
           etf_put_ref(&w, &ref));
    ref.n = 6;
    FAILS(CN_EBADARG, etf_put_ref(&w, &ref));
    pid.node[0] = (char)0xff;
    FAILS(CN_EBADARG, etf_put_pid(&w, &pid));
    port.node_len = 256;
    FAILS(CN_EBADARG, etf_put_port(&w, &port));
    port.node_len = 0; /* forgotten */
    FAILS(CN_EBADARG, etf_put_port(&w, &port));
    ref.n = 3;
    ref.node_len = 2;
    FAILS(CN_EBADARG, etf_put_ref(&w, &ref));
    pid = (etf_pid){.id = 77, .node = "a@b"};
    FAILS(CN_EBADARG, etf_put_pid(&w, &pid));
    pid = (etf_pid){.id = 1};
    WRITES("58 7700 000000010000000000000000", etf_put_pid(&w, &pid));
}

/* Said in the header: counts are believed. */
static void counts_are_believed(void **state) {
    etf_view out;

    (void)state;
    etf_writer_init(&w, NULL);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_int_equal(out.len, 0);
    etf_put_tuple(&w, 2);
    etf_put_int(&w, 1);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_int_equal(etf_check(NULL, NULL, out, NULL), CN_ETRUNC);
    etf_put_int(&w, 2);
    etf_put_int(&w, 3);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_int_equal(etf_check(NULL, NULL, out, NULL), CN_EBADTERM);
    etf_writer_free(&w);
}

static void open_lists(void **state) {
    (void)state;
    WRITES("6a", etf_begin_list(&w); etf_end_list(&w));
    WRITES("6b000101", etf_begin_list(&w); etf_put_int(&w, 1);
           etf_end_list(&w));
    WRITES("6c00000002 6a 6c00000001 6a6a 6a", etf_begin_list(&w);
           etf_begin_list(&w); etf_end_list(&w); etf_begin_list(&w);
           etf_begin_list(&w); etf_end_list(&w); etf_end_list(&w);
           etf_end_list(&w));
    WRITES("6c00000003 68026101 74000000016101 6102 6103 6c0000000161056a 6a",
           etf_begin_list(&w);
           etf_put_tuple(&w, 2); etf_put_int(&w, 1); etf_put_map(&w, 1);
           etf_put_int(&w, 1); etf_put_int(&w, 2); etf_put_int(&w, 3);
           etf_put_list(&w, 1); etf_put_int(&w, 5); etf_put_nil(&w);
           etf_end_list(&w));
    FAILS(CN_EBUG, etf_end_list(&w));
    FAILS(CN_EBUG, etf_begin_list(&w));
    FAILS(CN_EBUG, etf_begin_list(&w); etf_put_tuple(&w, 1); etf_end_list(&w));
    FAILS(CN_ELIMIT, for (int i = 0; i < 33; i++) etf_begin_list(&w));
}

static void open_lists_of_bytes(void **state) {
    etf_view seven = {(const uint8_t *)"a\7", 2};
    etf_view none = {(const uint8_t *)"h\0", 2};

    (void)state;
    WRITES("6b0003 0100ff", etf_begin_list(&w); etf_put_int(&w, 1);
           etf_put_uint(&w, 0); etf_put_big(&w, (const uint8_t *)"\xff", 1, 0);
           etf_end_list(&w));
    WRITES("6b0002 0707", etf_begin_list(&w); etf_put_term(&w, seven);
           etf_put_term(&w, seven); etf_end_list(&w));
    WRITES("6c00000003 6101 6102 6200000100 6a", etf_begin_list(&w);
           etf_put_int(&w, 1); etf_put_int(&w, 2); etf_put_int(&w, 256);
           etf_end_list(&w));
    WRITES("6c00000003 6101 62ffffffff 6102 6a", etf_begin_list(&w);
           etf_put_int(&w, 1); etf_put_int(&w, -1); etf_put_int(&w, 2);
           etf_end_list(&w));
    WRITES("6c00000003 6101 6800 6102 6a", etf_begin_list(&w);
           etf_put_int(&w, 1); etf_put_term(&w, none); etf_put_int(&w, 2);
           etf_end_list(&w));
    WRITES("6c00000002 6102 68016103 6a", etf_begin_list(&w);
           etf_put_int(&w, 2); etf_put_tuple(&w, 1); etf_put_int(&w, 3);
           etf_end_list(&w));
    WRITES("6c00000003 6101 6b000102 6a6a", etf_begin_list(&w);
           etf_put_int(&w, 1); etf_begin_list(&w); etf_put_int(&w, 2);
           etf_end_list(&w); etf_put_nil(&w); etf_end_list(&w));
    /* a list header is what it says */
    WRITES("6c00000001 6101 6a", etf_put_list(&w, 1); etf_put_int(&w, 1);
           etf_put_nil(&w));
    /* the level is used again */
    WRITES("6c00000002 6c000000016a6a 6b000105 6a", etf_begin_list(&w);
           etf_begin_list(&w); etf_put_nil(&w); etf_end_list(&w);
           etf_begin_list(&w); etf_put_int(&w, 5); etf_end_list(&w);
           etf_end_list(&w));
}

/* Numbers that come by a pattern are seen when the list ends. */
static void open_lists_of_parsed_bytes(void **state) {
    etf_view out;

    (void)state;
    etf_writer_init(&w, NULL);
    etf_begin_list(&w);
    for (int i = 1; i < 4; i++)
        assert_int_equal(etf_pack(&w, "~i", i), 0);
    etf_end_list(&w);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_hex(out.data, out.len, "6b0003 010203");
    etf_writer_reset(&w);
    etf_begin_list(&w);
    for (int i = 254; i < 257; i++)
        assert_int_equal(etf_pack(&w, "~i", i), 0);
    etf_end_list(&w);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_hex(out.data, out.len, "6c00000003 61fe61ff6200000100 6a");
    etf_writer_free(&w);
}

static void put_ints(size_t n, int64_t last) {
    etf_begin_list(&w);
    for (size_t i = 1; i < n; i++)
        etf_put_int(&w, (int64_t)(i & 255));
    etf_put_int(&w, last);
    etf_end_list(&w);
}

static void open_list_sizes(void **state) {
    static uint8_t room[3 + 65535];
    etf_view out;

    (void)state;
    etf_writer_init_fixed(&w, room, sizeof room);
    put_ints(65535, 255);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_hex(out.data, 6, "6bffff010203");
    assert_int_equal(out.len, 3 + 65535);
    etf_writer_init(&w, NULL);
    put_ints(65536, 255);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_hex(out.data, 9, "6c0001000061016102");
    assert_int_equal(out.len, 5 + 2 * 65536 + 1);
    assert_int_equal(etf_check(NULL, NULL, out, NULL), 0);
    etf_writer_reset(&w);
    put_ints(65535, 256);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_int_equal(out.len, 5 + 2 * 65534 + 5 + 1);
    etf_writer_free(&w);
}

/* --- modes ------------------------------------------------------------------
 */

#define WRITES_AS_25(hex, call)                                                \
    WRITES(hex, etf_writer_mode(&w, ETF_LATIN1_ATOMS); call)

/* What term_to_binary of OTP 25.2.3 gives. */
static void latin1_atoms(void **state) {
    char text[2 * 255 + 1] = "";

    (void)state;
    for (size_t i = 0; i < 255; i++)
        memcpy(text + 2 * i, "\xc3\xa9", 3);
    WRITES_AS_25("64 0002 6f6b", etf_put_atom(&w, "ok"));
    WRITES_AS_25("64 0000", etf_put_atom(&w, ""));
    WRITES_AS_25("64 0004 74727565", etf_put_bool(&w, true));
    WRITES_AS_25("64 0002 e961", etf_put_atom(&w, "\xc3\xa9"
                                                  "a"));
    WRITES_AS_25("77 04 e282ac61", etf_put_atom(&w, "\xe2\x82\xac"
                                                    "a"));
    WRITES_AS_25("77 04 c3a9cebb", etf_put_atom(&w, "\xc3\xa9\xce\xbb"));
    WRITES_AS_25("71 640005 6c69737473 640003 6d6170 6102",
                 etf_put_export(&w, "lists", "map", 2));
    etf_writer_init(&w, NULL);
    etf_writer_mode(&w, ETF_LATIN1_ATOMS);
    etf_put_atom(&w, text);
    assert_int_equal(w.len, 3 + 255);
    assert_hex(w.data, 4, "64 00ff e9");
    for (size_t i = 0; i < 255; i++)
        memcpy(text + 2 * i, "\xce\xb1", 3);
    etf_writer_reset(&w); /* keeps the mode */
    etf_put_atom(&w, text);
    assert_int_equal(w.len, 3 + 510);
    assert_hex(w.data, 5, "76 01fe ceb1");
    etf_writer_mode(&w, 0);
    etf_put_atom(&w, "ok");
    assert_hex(w.data + 513, 4, "77026f6b");
    etf_writer_free(&w);
    FAILS(CN_EBADARG, etf_writer_mode(&w, 1U << 30));
    FAILS(CN_EBADARG, etf_writer_mode(&w, ETF_LATIN1_ATOMS);
          etf_put_atom(&w, "\xff"));
}

static void latin1_identifiers(void **state) {
    etf_pid euro = {5, 1, 2, 3, "\xe2\x82\xac"};
    etf_port port = {0x0fffffff, 5, 1, "a"};
    etf_port accent = {0x10000000, 5, 2, "\xc3\xa9"};
    etf_ref ref = {{1, 2, 3}, 5, 3, 2, "\xc3\xa9"};

    (void)state;
    WRITES_AS_25("58 7703e282ac 00000005 00000001 00000002",
                 etf_put_pid(&w, &euro));
    WRITES_AS_25("59 64000161 0fffffff 00000005", etf_put_port(&w, &port));
    WRITES("78 770161 000000000fffffff 00000005", etf_put_port(&w, &port));
    port.id++;
    WRITES_AS_25("78 64000161 0000000010000000 00000005",
                 etf_put_port(&w, &port));
    WRITES_AS_25("78 640001e9 0000000010000000 00000005",
                 etf_put_port(&w, &accent));
    WRITES_AS_25("5a 0003 640001e9 00000005 00000001 00000002 00000003",
                 etf_put_ref(&w, &ref));
}

/* --- binaries by reference --------------------------------------------------
 */

static uint8_t large[3][1000];

/* {1, Bin, [Bin, Small], Bin} with something behind each, or not. */
static void put_refs(etf_writer *x, size_t n, bool by_ref) {
    void (*put)(etf_writer *, const void *, size_t) =
        by_ref ? etf_put_binary_ref : etf_put_binary;

    for (size_t i = 0; i < 3; i++)
        memset(large[i], (int)(i + 1), sizeof large[i]);
    etf_put_tuple(x, 4);
    etf_put_int(x, 1);
    put(x, large[0], n);
    etf_begin_list(x);
    etf_put_int(x, 7);
    put(x, large[1], n + 1);
    put(x, "small", 5);
    etf_end_list(x);
    put(x, large[2], n + 2);
}

static void join(const etf_view *v, size_t n, uint8_t *out, size_t *len) {
    *len = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(v[i].len > 0);
        memcpy(out + *len, v[i].data, v[i].len);
        *len += v[i].len;
    }
}

static void refs_in_pieces(void **state) {
    static uint8_t joined[4096];
    etf_view v[8], want, got;
    etf_writer copied;
    size_t n, len;

    (void)state;
    etf_writer_init(&copied, NULL);
    put_refs(&copied, 300, false);
    assert_int_equal(etf_writer_finish(&copied, &want), 0);
    etf_writer_init(&w, NULL);
    for (int again = 0; again < 2; again++) {
        put_refs(&w, 300, true);
        assert_int_equal(etf_writer_size(&w), want.len);
        assert_int_equal(etf_writer_slices(&w, v, 5, &n), CN_ELIMIT);
        assert_int_equal(n, 6); /* nothing behind the last binary */
        assert_int_equal(etf_writer_slices(&w, v, n, &n), 0);
        join(v, n, joined, &len);
        assert_int_equal(len, want.len);
        assert_memory_equal(joined, want.data, len);
        assert_ptr_equal(v[1].data, large[0]);
        assert_ptr_equal(v[3].data, large[1]);
        assert_ptr_equal(v[5].data, large[2]);
        etf_writer_reset(&w);
        assert_int_equal(etf_writer_size(&w), 0);
    }
    put_refs(&w, 300, true);
    assert_int_equal(etf_writer_finish(&w, &got), 0); /* is always whole */
    assert_true(etf_view_eq(got, want));
    assert_int_equal(etf_writer_slices(&w, v, 1, &n), 0);
    assert_int_equal(n, 1);
    assert_true(etf_view_eq(v[0], want));
    etf_put_nil(&w);
    assert_int_equal(etf_writer_size(&w), want.len + 1);
    etf_writer_free(&w);
    etf_writer_free(&copied);
}

static void refs_that_are_copied(void **state) {
    static uint8_t room[2000];
    etf_view v[2], out;
    size_t n;

    (void)state;
    etf_writer_init(&w, NULL);
    etf_put_binary_ref(&w, large[0], ETF_REF_MIN - 1);
    assert_int_equal(etf_writer_slices(&w, v, 2, &n), 0);
    assert_int_equal(n, 1);
    etf_put_binary_ref(&w, large[0], ETF_REF_MIN);
    assert_int_equal(etf_writer_slices(&w, v, 2, &n), 0);
    assert_int_equal(n, 2);
    etf_writer_reset(&w);
    assert_int_equal(etf_writer_slices(&w, NULL, 0, &n), 0);
    assert_int_equal(n, 0);
    etf_writer_free(&w);
    etf_writer_init_fixed(&w, room, 1005);
    etf_put_binary_ref(&w, large[0], 1000);
    memset(large[0], 0xff, 1000);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_hex(out.data, 7, "6d000003e8 0101");
    etf_writer_init_fixed(&w, room, 1004);
    etf_put_binary_ref(&w, large[0], 1000);
    assert_int_equal(etf_writer_size(&w), 1005);
    assert_int_equal(etf_writer_slices(&w, v, 2, &n), CN_ELIMIT);
    FAILS(CN_EBADARG, etf_put_binary_ref(&w, NULL, 1000));
    FAILS(CN_ELIMIT, etf_put_binary_ref(&w, "", (size_t)UINT32_MAX + 1));
    FAILS(CN_EBUG, etf_begin_list(&w);
          assert_int_equal(etf_writer_slices(&w, v, 2, &n), CN_EBUG));
}

static void first_error_stays(void **state) {
    etf_view out;

    (void)state;
    etf_writer_init(&w, NULL);
    etf_put_int(&w, 1);
    etf_writer_fail(&w, CN_ERANGE);
    etf_writer_fail(&w, CN_EBUG);
    etf_put_int(&w, 2);
    assert_int_equal(etf_writer_finish(&w, &out), CN_ERANGE);
    assert_int_equal(out.len, 2);
    etf_writer_reset(&w);
    etf_put_int(&w, 3);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_hex(out.data, out.len, "6103");
    etf_writer_free(&w);
}

static void nothing_behind_a_full_array(void **state) {
    uint8_t room[8];
    etf_view out;

    (void)state;
    memset(room, 0xee, sizeof room);
    etf_writer_init_fixed(&w, room, 4);
    etf_put_int(&w, 1);
    etf_put_binary(&w, "12345", 5);
    etf_put_nil(&w); /* would fit, but does not follow */
    assert_int_equal(etf_writer_finish(&w, &out), CN_ELIMIT);
    assert_int_equal(out.len, 2 + 10 + 1);
    assert_hex(room, 8, "6101eeeeeeeeeeee");
}

/* --- wherever the room ends -------------------------------------------------
 */

static const etf_pid a_pid = {1, 2, 3, 13, "n27@127.0.0.1"};
static const etf_ref a_ref = {{7, 8, 9, 10, 11}, 5, 5, 13, "n27@127.0.0.1"};
static const etf_port a_port = {1, 2, 13, "n27@127.0.0.1"};
static const char letters[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmno";

static void put_kind(etf_writer *x, int kind) {
    switch (kind) {
    case 0:
        etf_put_int(x, 7);
        return;
    case 1:
        etf_put_int(x, -300);
        return;
    case 2:
        etf_put_int(x, INT64_MIN);
        return;
    case 3:
        etf_put_uint(x, (uint64_t)1 << 40);
        return;
    case 4:
        etf_put_big(x, (const uint8_t *)letters, 20, true);
        return;
    case 5:
        etf_put_float(x, 1.5);
        return;
    case 6:
        etf_put_pid(x, &a_pid);
        return;
    case 7:
        etf_put_ref(x, &a_ref);
        return;
    case 8:
        etf_put_port(x, &a_port);
        return;
    case 9:
        etf_put_tuple(x, 3);
        return;
    case 10:
        etf_put_map(x, 3);
        return;
    case 11:
        etf_put_nil(x);
        return;
    case 12:
        etf_put_atom(x, "caf\xc3\xa9");
        return;
    case 13:
        etf_put_bool(x, false);
        return;
    default:
        break;
    }
    kind -= 14;
    if (kind < 41)
        etf_put_atom_n(x, letters, (size_t)kind);
    else if (kind < 82)
        etf_put_binary(x, letters, (size_t)kind - 41);
    else
        etf_put_string(x, letters, (size_t)kind - 82);
}

enum { KINDS = 14 + 3 * 41, BEFORE = 300 };

/* Behind any number of bytes, so with any room left in the array, a term is
 * what it is alone in an array of its size. */
static void wherever_the_room_ends(void **state) {
    uint8_t alone[64];
    etf_view want, got;
    etf_writer grow;

    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        etf_writer_init_fixed(&w, NULL, 0);
        put_kind(&w, kind);
        (void)etf_writer_finish(&w, &want);
        etf_writer_init_fixed(&w, alone, want.len);
        put_kind(&w, kind);
        assert_int_equal(etf_writer_finish(&w, &want), 0);
        for (size_t before = 0; before < BEFORE; before++) {
            etf_writer_init(&grow, NULL);
            for (size_t i = 0; i < before; i++)
                etf_put_nil(&grow);
            put_kind(&grow, kind);
            assert_int_equal(etf_writer_finish(&grow, &got), 0);
            assert_int_equal(got.len, before + want.len);
            assert_memory_equal(got.data + before, want.data, want.len);
            etf_writer_free(&grow);
        }
    }
}

/* What is written over does not show: only the bytes of the terms count. */
static void nothing_behind_the_end(void **state) {
    uint8_t room[64 + 8];
    etf_view out;

    (void)state;
    for (size_t cap = 0; cap <= 64; cap++) {
        for (int kind = 0; kind < KINDS; kind++) {
            memset(room, 0xee, sizeof room);
            etf_writer_init_fixed(&w, room, cap);
            put_kind(&w, kind);
            put_kind(&w, 2);
            put_kind(&w, kind);
            (void)etf_writer_finish(&w, &out);
            assert_int_equal(w.err, out.len > cap ? CN_ELIMIT : 0);
            assert_hex(room + cap, 8, "eeeeeeeeeeeeeeee");
        }
    }
}

static void an_error_ends_the_usual_way(void **state) {
    etf_view out;

    (void)state;
    etf_writer_init(&w, NULL);
    etf_put_nil(&w);
    etf_writer_fail(&w, CN_ERANGE);
    for (int kind = 0; kind < KINDS; kind++)
        put_kind(&w, kind);
    assert_int_equal(etf_writer_finish(&w, &out), CN_ERANGE);
    assert_int_equal(out.len, 1);
    etf_writer_free(&w);
}

static int scenario(fault_alloc *f, void *arg) {
    etf_writer g;
    etf_view v[32], out;
    size_t n;
    int err;

    (void)arg;
    etf_writer_init(&g, &f->alloc);
    etf_put_tuple(&g, 10);
    etf_begin_list(&g);
    for (int i = 0; i < 300; i++) {
        etf_put_tuple(&g, 2);
        etf_put_atom(&g, "number");
        etf_put_int(&g, i);
    }
    etf_end_list(&g);
    for (int i = 0; i < 9; i++)
        etf_put_binary_ref(&g, large[0], 1000);
    err = etf_writer_slices(&g, v, 32, &n);
    assert_int_equal(err, f->failed ? CN_ENOMEM : 0);
    err = etf_writer_finish(&g, &out);
    assert_int_equal(err, f->failed ? CN_ENOMEM : 0);
    if (err == 0)
        assert_int_equal(etf_check(NULL, NULL, out, NULL), 0);
    etf_writer_free(&g);
    return err;
}

static void out_of_memory(void **state) {
    (void)state;
    run_with_every_failure(scenario, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),
        cmocka_unit_test(big_sizes),
        cmocka_unit_test(floats_and_atoms),
        cmocka_unit_test(long_atom),
        cmocka_unit_test(bytes),
        cmocka_unit_test(string_sizes),
        cmocka_unit_test(headers),
        cmocka_unit_test(identifiers),
        cmocka_unit_test(open_lists),
        cmocka_unit_test(counts_are_believed),
        cmocka_unit_test(open_lists_of_bytes),
        cmocka_unit_test(open_lists_of_parsed_bytes),
        cmocka_unit_test(open_list_sizes),
        cmocka_unit_test(latin1_atoms),
        cmocka_unit_test(latin1_identifiers),
        cmocka_unit_test(refs_in_pieces),
        cmocka_unit_test(refs_that_are_copied),
        cmocka_unit_test(first_error_stays),
        cmocka_unit_test(nothing_behind_a_full_array),
        cmocka_unit_test(wherever_the_room_ends),
        cmocka_unit_test(nothing_behind_the_end),
        cmocka_unit_test(an_error_ends_the_usual_way),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
