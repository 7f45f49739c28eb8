/* SPDX-License-Identifier: Apache-2.0
 *
 * reader_test.c: what the reader takes and what it refuses; where it says the
 * error is; terms cut at every byte.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support.h"
#include "tests/unit/vectors.h"

static uint8_t in[4096];
static etf_reader r;

static etf_view term(const char *hex) {
    return (etf_view){in, unhex(hex, in, sizeof in)};
}

static void start(const char *hex) {
    etf_reader_init(&r, term(hex));
}

static void done(void) {
    assert_int_equal(etf_reader_finish(&r), 0);
    assert_int_equal(etf_reader_left(&r), 0);
}

/* The call latches this error at this byte. */
#define FAILS(hex, code, at, call)                                             \
    do {                                                                       \
        start(hex);                                                            \
        call;                                                                  \
        assert_int_equal(etf_reader_finish(&r), code);                         \
        assert_int_equal(r.err_at, at);                                        \
        assert_int_equal(etf_get_int(&r), 0);                                  \
    } while (0)

#define INT(hex, value)                                                        \
    do {                                                                       \
        start(hex);                                                            \
        assert_int_equal(etf_get_int(&r), value);                              \
        done();                                                                \
    } while (0)

static void integers(void **state) {
    (void)state;
    INT("6100", 0);
    INT("61ff", 255);
    INT("6200000001", 1);
    INT("62ffffffff", -1);
    INT("6e040000000080", 2147483648);
    INT("6e040101000080", -2147483649);
    INT("6e0801 0000000000000080", INT64_MIN);
    INT("6e0300000000", 0);
    INT("6e0000", 0);
    INT("6e0001", 0);
    INT("6e0105 05", -5);
    INT("6f0000000a00 05000000000000000000", 5);
    FAILS("6e0800 0000000000000080", CN_ERANGE, 0, etf_get_int(&r));
    FAILS("6e0801 0100000000000080", CN_ERANGE, 0, etf_get_int(&r));
    FAILS("6e0900000000000000000001", CN_ERANGE, 0, etf_get_int(&r));
    FAILS("6a", CN_ETYPE, 0, etf_get_int(&r));
    FAILS("62ffffffff", CN_ERANGE, 0, etf_get_uint(&r));
    FAILS("6e010105", CN_ERANGE, 0, etf_get_uint(&r));
    FAILS("6f 00080000 00 00", CN_EBADTERM, 0, etf_get_int(&r));
    start("6e0800ffffffffffffffff");
    assert_true(etf_get_uint(&r) == UINT64_MAX);
    done();
}

static void big_integers(void **state) {
    bool negative;
    etf_view m;

    (void)state;
    start("6e0901 0000000000000000 01 6107 62ffffff00 6e0201 0000");
    m = etf_get_big(&r, &negative);
    assert_true(negative);
    assert_hex(m.data, m.len, "000000000000000001");
    m = etf_get_big(&r, &negative);
    assert_false(negative);
    assert_hex(m.data, m.len, "07");
    m = etf_get_big(&r, &negative);
    assert_true(negative);
    assert_hex(m.data, m.len, "0001");
    m = etf_get_big(&r, &negative);
    assert_false(negative);
    assert_int_equal(m.len, 0);
    done();
}

#define FLOAT(hex, value)                                                      \
    do {                                                                       \
        start(hex);                                                            \
        assert_true(etf_get_float(&r) == (value));                             \
        done();                                                                \
    } while (0)

static void floats(void **state) {
    (void)state;
    FLOAT("463ff8000000000000", 1.5);
    FLOAT("63 312e3530303030303030303030303030303030303030652b3030 0000000000",
          1.5);
    FLOAT("6105", 5.0);
    FLOAT("62ffffffff", -1.0);
    FLOAT("6e0700 00000000000020", 9007199254740992.0);
    FLOAT("6e0900 0000000000000000 01", 18446744073709551616.0);
    FLOAT("6e0000", 0.0);
    FAILS("6e0700 01000000000020", CN_ERANGE, 0, etf_get_float(&r));
    FAILS("6e0900 0100000000000000 01", CN_ERANGE, 0, etf_get_float(&r));
    FAILS("467ff0000000000000", CN_EBADTERM, 0, etf_get_float(&r));
    FAILS("467ff8000000000000", CN_EBADTERM, 0, etf_get_float(&r));
    FAILS("6a", CN_ETYPE, 0, etf_get_float(&r));
    FAILS("63 3165350000000000000000000000000000000000000000000000 0000000000",
          CN_EBADTERM, 0, etf_get_float(&r));
    FAILS("63 20312e35000000000000000000000000000000000000000000000000000000",
          CN_EBADTERM, 0, etf_get_float(&r));
}

static void atoms(void **state) {
    etf_view a;

    (void)state;
    start("77026f6b 64000161 7301e9 7602c3 a9");
    assert_true(etf_view_is(etf_get_atom(&r), "ok"));
    assert_true(etf_view_is(etf_get_atom(&r), "a"));
    a = etf_get_atom(&r);
    assert_true(etf_view_is(a, "\xc3\xa9"));
    (void)etf_peek(&r);
    assert_true(etf_view_is(a, "\xc3\xa9"));
    start("770474727565 770566616c7365 770178");
    assert_true(etf_get_bool(&r));
    assert_false(etf_get_bool(&r));
    assert_false(etf_get_bool(&r));
    assert_int_equal(r.err, CN_ETYPE);
    assert_int_equal(r.err_at, 13);
    FAILS("7701ff", CN_EBADTERM, 0, etf_get_atom(&r));
    FAILS("7702c080", CN_EBADTERM, 0, etf_get_atom(&r));
    FAILS("7703eda080", CN_EBADTERM, 0, etf_get_atom(&r));
    FAILS("7703", CN_ETRUNC, 0, etf_get_atom(&r));
    FAILS("640100", CN_EBADTERM, 0, etf_get_atom(&r));
    FAILS("5200", CN_EBADTERM, 0, etf_get_atom(&r));
}

static void binaries_and_strings(void **state) {
    char text[4];
    size_t bits;
    etf_view b;

    (void)state;
    start("6d00000003010203 4d000000020401 20 4d000000010801");
    b = etf_get_binary(&r);
    assert_hex(b.data, b.len, "010203");
    assert_int_equal(etf_peek(&r), ETF_BITSTRING);
    b = etf_get_bits(&r, &bits);
    assert_int_equal(bits, 12);
    assert_hex(b.data, b.len, "0120");
    assert_int_equal(etf_peek(&r), ETF_BINARY);
    b = etf_get_bits(&r, &bits);
    assert_hex(b.data, b.len, "01");
    assert_int_equal(bits, 8);
    done();
    start("6b0003616263 6d0000000178 6a 6c0000000161416a 6b0000");
    assert_int_equal(etf_get_string(&r, text, sizeof text), 3);
    assert_string_equal(text, "abc");
    assert_int_equal(etf_get_string(&r, text, sizeof text), 1);
    assert_string_equal(text, "x");
    assert_int_equal(etf_get_string(&r, text, sizeof text), 0);
    assert_string_equal(text, "");
    assert_int_equal(etf_get_string(&r, text, sizeof text), 1);
    assert_string_equal(text, "A");
    assert_int_equal(etf_get_string(&r, text, sizeof text), 0);
    done();
    FAILS("6b0003616263", CN_ELIMIT, 0, etf_get_string(&r, text, 3));
    FAILS("6d00000003616263", CN_ELIMIT, 0, etf_get_string(&r, text, 3));
    FAILS("6d00000003616263", CN_ELIMIT, 0, etf_get_string(&r, text, 0));
    FAILS("6c0000000162000001006a", CN_ETYPE, 5, etf_get_string(&r, text, 4));
    FAILS("6c000000016e090000000000000000 00016a", CN_ETYPE, 5,
          etf_get_string(&r, text, 4));
    FAILS("6101", CN_ETYPE, 0, etf_get_string(&r, text, 4));
    FAILS("4d000000010001", CN_EBADTERM, 0, etf_get_bits(&r, &bits));
    FAILS("4d000000010901", CN_EBADTERM, 0, etf_get_bits(&r, &bits));
    FAILS("4d0000000001", CN_EBADTERM, 0, etf_get_bits(&r, &bits));
}

static void lists(void **state) {
    etf_view t;

    (void)state;
    start("6b000301fe03 6a 6c00000002 770161 6102 6a 6b0000");
    assert_int_equal(etf_get_list(&r), 3);
    assert_int_equal(etf_get_int(&r), 1);
    assert_int_equal(etf_peek(&r), ETF_INT);
    t = etf_get_term(&r);
    assert_int_equal(etf_get_int(&r), 3);
    assert_hex(t.data, t.len, "61fe");
    assert_int_equal(etf_peek(&r), ETF_NIL);
    etf_get_tail(&r);
    assert_int_equal(etf_get_list(&r), 0);
    etf_get_tail(&r);
    assert_int_equal(etf_get_list(&r), 2);
    etf_skip(&r);
    etf_skip(&r);
    etf_get_tail(&r);
    assert_int_equal(etf_get_list(&r), 0);
    etf_get_tail(&r);
    done();
    FAILS("6b000101 6107", CN_ETYPE, 4, (void)etf_get_list(&r); etf_skip(&r);
          etf_get_int(&r));
    FAILS("6b00020102", CN_ETYPE, 4, (void)etf_get_list(&r); etf_skip(&r);
          etf_get_tail(&r));
    FAILS("6c0000000161016102", CN_ETYPE, 7, (void)etf_get_list(&r);
          etf_skip(&r); etf_get_tail(&r));
    FAILS("6b0002 0102", CN_ETYPE, 3, (void)etf_get_list(&r);
          (void)etf_get_list(&r));
}

/* Lists of no elements are their tails. */
static void odd_lists(void **state) {
    (void)state;
    INT("6c000000006107", 7);
    INT("6c00000000 6c00000000 6107", 7);
    start("6c00000000 6b000108");
    assert_int_equal(etf_get_list(&r), 1);
    assert_int_equal(etf_get_int(&r), 8);
    etf_get_tail(&r);
    done();
}

static void tuples_and_maps(void **state) {
    (void)state;
    start("6802 61017700 6900000001 6101 7400000001 6101 6102");
    etf_get_tuple_n(&r, 2);
    etf_skip(&r);
    etf_skip(&r);
    assert_int_equal(etf_get_tuple(&r), 1);
    etf_skip(&r);
    assert_int_equal(etf_get_map(&r), 1);
    etf_skip(&r);
    etf_skip(&r);
    done();
    FAILS("68026101 6102", CN_ETYPE, 0, etf_get_tuple_n(&r, 3));
    FAILS("6101", CN_ETYPE, 0, (void)etf_get_tuple(&r));
    FAILS("6101", CN_ETYPE, 0, (void)etf_get_map(&r));
    FAILS("6803 6101 6102", CN_ETRUNC, 4, etf_skip(&r));
    FAILS("6804 6101", CN_ETRUNC, 0, etf_get_tuple(&r));
    FAILS("69ffffffff", CN_EBADTERM, 0, etf_get_tuple(&r));
    FAILS("6901000000", CN_EBADTERM, 0, etf_get_tuple(&r));
    FAILS("74ffffffff", CN_EBADTERM, 0, etf_get_map(&r));
    FAILS("7400000002 6101 61", CN_ETRUNC, 0, etf_get_map(&r));
    FAILS("6cffffffff 6101", CN_ETRUNC, 0, (void)etf_get_list(&r));
    FAILS("", CN_ETRUNC, 0, etf_get_int(&r));
}

static void identifiers(void **state) {
    etf_pid pid, same;
    etf_port port;
    etf_ref ref;
    etf_view m, f;
    uint8_t arity;

    (void)state;
    start("58 7703614062 000000010000000200000003 67 640003614062"
          "00000001 00000002 03");
    etf_get_pid(&r, &pid);
    assert_string_equal(pid.node, "a@b");
    assert_int_equal(pid.node_len, 3);
    assert_int_equal(pid.id, 1);
    assert_int_equal(pid.serial, 2);
    assert_int_equal(pid.creation, 3);
    etf_get_pid(&r, &same);
    assert_true(etf_pid_eq(&pid, &same));
    same.creation++;
    assert_false(etf_pid_eq(&pid, &same));
    done();
    start("78 7703614062 0000000100000002 00000004 59 7703614062 00000009"
          "00000004 66 7703614062 00000009 02");
    etf_get_port(&r, &port);
    assert_true(port.id == 0x100000002);
    assert_int_equal(port.creation, 4);
    etf_get_port(&r, &port);
    assert_true(port.id == 9);
    etf_get_port(&r, &port);
    assert_int_equal(port.creation, 2);
    done();
    start("5a0002 7703614062 00000005 0000000700000008 720002 7703614062 03"
          "0000000700000008 65 7703614062 00000007 02");
    etf_get_ref(&r, &ref);
    assert_int_equal(ref.n, 2);
    assert_int_equal(ref.creation, 5);
    assert_int_equal(ref.ids[1], 8);
    etf_get_ref(&r, &ref);
    assert_int_equal(ref.creation, 3);
    assert_int_equal(ref.ids[0], 7);
    etf_get_ref(&r, &ref);
    assert_int_equal(ref.n, 1);
    assert_int_equal(ref.creation, 2);
    done();
    start("71 7301e9 7301e8 6102");
    etf_get_export(&r, &m, &f, &arity);
    assert_true(etf_view_is(m, "\xc3\xa9"));
    assert_true(etf_view_is(f, "\xc3\xa8"));
    assert_int_equal(arity, 2);
    done();
}

static void bad_identifiers(void **state) {
    etf_pid pid;

    (void)state;
    FAILS("58 6107 000000010000000200000003", CN_EBADTERM, 0, etf_skip(&r));
    FAILS("67 7703614062 0000000100000002 04", CN_EBADTERM, 0, etf_skip(&r));
    FAILS("66 7703614062 00000001 04", CN_EBADTERM, 0, etf_skip(&r));
    FAILS("65 7703614062 00040000 01", CN_EBADTERM, 0, etf_skip(&r));
    FAILS("65 7703614062 00000000 04", CN_EBADTERM, 0, etf_skip(&r));
    FAILS("720001 7703614062 04 00000000", CN_EBADTERM, 0, etf_skip(&r));
    FAILS("720001 7703614062 01 00040000", CN_EBADTERM, 0, etf_skip(&r));
    FAILS("5a0006 7703614062 00000001", CN_EBADTERM, 0, etf_skip(&r));
    FAILS("71 770161 770162 62ffffffff", CN_EBADTERM, 0, etf_skip(&r));
    FAILS("71 770161 770162 6200000100", CN_EBADTERM, 0, etf_skip(&r));
    FAILS("71 770161 6102 6102", CN_EBADTERM, 0, etf_skip(&r));
    FAILS("6107", CN_ETYPE, 0, etf_get_pid(&r, &pid));
    assert_int_equal(pid.node_len, 0);
}

/* A pid whose node is n bytes, 'x' but for the last one. */
static size_t put_long_pid(size_t n, uint8_t last) {
    static const uint8_t numbers[] = {0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3};

    in[0] = 0x58;
    in[1] = 0x77;
    in[2] = (uint8_t)n;
    memset(in + 3, 'x', n);
    if (n > 0)
        in[3 + n - 1] = last;
    memcpy(in + 3 + n, numbers, sizeof numbers);
    return 3 + n + sizeof numbers;
}

/* Whole it is read, cut it is refused, and so is what is no UTF-8. */
static void pids_of_all_lengths(void **state) {
    etf_pid pid;

    (void)state;
    for (size_t n = 0; n <= ETF_NODE_MAX; n++) {
        size_t len = put_long_pid(n, 'y');
        etf_reader_init(&r, (etf_view){in, len});
        etf_get_pid(&r, &pid);
        assert_int_equal(pid.node_len, n);
        assert_int_equal(strlen(pid.node), n);
        assert_memory_equal(pid.node, in + 3, n);
        assert_int_equal(pid.id * 100 + pid.serial * 10 + pid.creation, 123);
        done();
        for (size_t cut = 1; cut < len; cut += n / 8 + 1) {
            etf_reader_init(&r, (etf_view){in, len - cut});
            etf_get_pid(&r, &pid);
            assert_int_equal(r.err, CN_ETRUNC);
            assert_int_equal(pid.node_len, 0);
        }
        (void)put_long_pid(n, 0xe9);
        etf_reader_init(&r, (etf_view){in, len});
        etf_get_pid(&r, &pid);
        assert_int_equal(r.err, n == 0 ? 0 : CN_EBADTERM);
    }
}

/* The node may be one of a distribution header's atoms. */
static void pid_with_cached_node(void **state) {
    static const etf_view atoms[] = {{(const uint8_t *)"a@b", 3},
                                     {(const uint8_t *)"\xc3\xa9@b", 4}};
    static const uint8_t bytes[] = {0x58, 0x52, 0, 0, 0, 0, 1, 0,
                                    0,    0,    2, 0, 0, 0, 3};
    etf_pid pid;

    (void)state;
    memcpy(in, bytes, sizeof bytes);
    for (uint8_t i = 0; i < 2; i++) {
        in[2] = i;
        etf_reader_init(&r, (etf_view){in, sizeof bytes});
        etf_reader_atoms(&r, atoms, 2);
        etf_get_pid(&r, &pid);
        assert_int_equal(pid.node_len, atoms[i].len);
        assert_memory_equal(pid.node, atoms[i].data, atoms[i].len);
        assert_int_equal(pid.creation, 3);
        done();
    }
    in[2] = 2;
    etf_reader_init(&r, (etf_view){in, sizeof bytes});
    etf_reader_atoms(&r, atoms, 2);
    etf_get_pid(&r, &pid);
    assert_int_equal(r.err, CN_EBADTERM);
}

/* 128 characters are 256 bytes: an atom, but no node. */
static void long_node(void **state) {
    etf_pid pid;

    (void)state;
    memcpy(in, "\x58\x76\x01\x00", 4);
    for (size_t i = 0; i < 128; i++)
        memcpy(in + 4 + 2 * i, "\xc3\xa9", 2);
    memset(in + 260, 0, 12);
    etf_reader_init(&r, (etf_view){in, 272});
    etf_skip(&r);
    done();
    etf_reader_init(&r, (etf_view){in, 272});
    etf_get_pid(&r, &pid);
    assert_int_equal(r.err, CN_ELIMIT);
}

#define FUN "70 00000000 01 00112233445566778899aabbccddeeff 00000000 "

static void funs_and_records(void **state) {
    static const char fun[] =
        FUN "00000002 770161 6100 62e6735100"
            "58 7703614062 000000000000000000000000 6101 6102";

    (void)state;
    start(fun);
    assert_int_equal(etf_peek(&r), ETF_FUN);
    etf_skip(&r);
    done();
    start("43 00000002 01 77016d 770172 77017a 770161 6101 6102");
    assert_int_equal(etf_peek(&r), ETF_RECORD);
    assert_int_equal(etf_get_term(&r).len, 22);
    done();
    FAILS(FUN "00000100", CN_EBADTERM, 0, etf_skip(&r));
    FAILS(FUN "00000000 6100", CN_EBADTERM, 0, etf_skip(&r));
    FAILS(FUN "00000000 770161 770161", CN_EBADTERM, 0, etf_skip(&r));
    FAILS(FUN "00000000 770161 6100 6100 6100", CN_EBADTERM, 0, etf_skip(&r));
    FAILS("43 00000000 02 77016d 770172", CN_EBADTERM, 0, etf_skip(&r));
    FAILS("43 7fffffff 00 77016d 770172", CN_ETRUNC, 0, etf_skip(&r));
    FAILS("43 00000001 00 77016d 770172 6101", CN_EBADTERM, 0, etf_skip(&r));
    FAILS("43 00000001 00 77016d 770172 770161", CN_ETRUNC, 0, etf_skip(&r));
}

static void closure_parts(void **state) {
    etf_fun fun;

    (void)state;
    start("70 00000000 02 00112233445566778899aabbccddeeff 00000007 00000001"
          "7301e9 6105 62ffffffff 67 7703614062 00000001 00000002 03 6109");
    etf_get_fun(&r, &fun);
    assert_true(etf_view_is(fun.module, "\xc3\xa9"));
    assert_int_equal(fun.arity, 2);
    assert_int_equal(fun.index, 7);
    assert_hex(fun.uniq, 16, "00112233445566778899aabbccddeeff");
    assert_int_equal(fun.old_index, 5);
    assert_int_equal(fun.old_uniq, -1);
    assert_string_equal(fun.creator.node, "a@b");
    assert_int_equal(fun.creator.creation, 3);
    assert_int_equal(fun.n, 1);
    assert_int_equal(etf_get_int(&r), 9);
    done();
    FAILS("6101", CN_ETYPE, 0, etf_get_fun(&r, &fun));
    assert_null(fun.uniq);
}

static void record_parts(void **state) {
    etf_record record;
    etf_reader names;

    (void)state;
    start("43 00000002 01 7301e9 7301e8 77017a 770161 6101 6102"
          "43 00000000 00 77016d 770172");
    etf_get_record(&r, &record);
    assert_true(etf_view_is(record.module, "\xc3\xa9"));
    assert_true(etf_view_is(record.name, "\xc3\xa8"));
    assert_true(record.exported);
    assert_int_equal(record.n, 2);
    etf_reader_init(&names, record.fields);
    assert_true(etf_view_is(etf_get_atom(&names), "z"));
    assert_true(etf_view_is(etf_get_atom(&names), "a"));
    assert_int_equal(etf_reader_left(&names), 0);
    assert_int_equal(etf_get_int(&r), 1);
    assert_int_equal(etf_get_int(&r), 2);
    etf_get_record(&r, &record);
    assert_false(record.exported);
    assert_int_equal(record.n, 0);
    assert_int_equal(record.fields.len, 0);
    done();
    FAILS("6101", CN_ETYPE, 0, etf_get_record(&r, &record));
}

/* What belongs to another layer or to nobody. */
static void refused_tags(void **state) {
    static const uint8_t good[] = {67,  70,  77,  88,  89,  90,  97,  98,
                                   99,  100, 101, 102, 103, 104, 105, 106,
                                   107, 108, 109, 110, 111, 112, 113, 114,
                                   115, 116, 118, 119, 120};
    uint8_t room[64] = {0};

    (void)state;
    for (unsigned tag = 0; tag < 256; tag++) {
        room[0] = (uint8_t)tag;
        etf_reader_init(&r, (etf_view){room, sizeof room});
        if (memchr(good, (int)tag, sizeof good) == NULL) {
            assert_int_equal(etf_peek(&r), ETF_NONE);
            assert_int_equal(r.err, CN_EBADTERM);
        }
    }
}

static void version(void **state) {
    (void)state;
    start("836a");
    etf_get_version(&r);
    etf_get_nil(&r);
    assert_int_equal(etf_peek(&r), ETF_NONE);
    done();
    FAILS("6a", CN_EBADTERM, 0, etf_get_version(&r));
    FAILS("", CN_ETRUNC, 0, etf_get_version(&r));
    FAILS("6801 836a", CN_EBADTERM, 2, etf_skip(&r));
    start("6a");
    etf_reader_fail(&r, CN_EPROTO);
    etf_reader_fail(&r, CN_EBUG);
    etf_get_nil(&r);
    assert_int_equal(etf_reader_finish(&r), CN_EPROTO);
    assert_int_equal(etf_reader_left(&r), 1);
}

static void depth_costs_no_stack(void **state) {
    size_t n = 4 << 20;
    etf_error e;
    etf_limits deeper = {.depth = 4 << 20};
    uint8_t *deep = malloc(n + 1);

    (void)state;
    assert_non_null(deep);
    for (size_t i = 0; i < n; i += 2) {
        deep[i] = 104;
        deep[i + 1] = 1;
    }
    deep[n] = 106;
    assert_int_equal(etf_check(NULL, &deeper, (etf_view){deep, n + 1}, &e), 0);
    assert_int_equal(etf_check(NULL, &deeper, (etf_view){deep, n}, &e),
                     CN_ETRUNC);
    assert_int_equal(e.at, n - 2);
    free(deep);
}

static void lookups(void **state) {
    etf_view t = term("6803 6101 6802 61026103 770161"), e;

    (void)state;
    assert_int_equal(etf_type_of(t), ETF_TUPLE);
    assert_int_equal(etf_element(t, 1, &e), 0);
    assert_hex(e.data, e.len, "680261026103");
    assert_int_equal(etf_element(t, 3, &e), CN_ERANGE);
    assert_int_equal(etf_element(e, 0, &e), CN_ETRUNC);
    t = term("7400000003 6101 6102 640001e9 6103 770162 6104");
    assert_int_equal(etf_map_get(t, "b", &e), 0);
    assert_hex(e.data, e.len, "6104");
    assert_int_equal(etf_map_get(t, "\xc3\xa9", &e), 0);
    assert_hex(e.data, e.len, "6103");
    assert_int_equal(etf_map_get(t, "c", &e), CN_ENOENT);
    assert_int_equal(etf_map_get(term("6101"), "c", &e), CN_ETYPE);
    assert_int_equal(etf_type_of((etf_view){NULL, 0}), ETF_NONE);
    assert_int_equal(etf_check(NULL, NULL, term("6a6a"), NULL), CN_EBADTERM);
    assert_false(etf_view_is(t, "x"));
    assert_true(etf_view_eq((etf_view){NULL, 0}, (etf_view){in, 0}));
}

static void any_key(void **state) {
    uint8_t a[64], b[16];
    etf_view map = {a, unhex("7400000003 6d0000000161 6101 6103 6102"
                             "6802610161ff 6103",
                             a, sizeof a)};
    etf_view e;

#define KEY(hex) ((etf_view){b, unhex(hex, b, sizeof b)})
    (void)state;
    assert_int_equal(etf_map_find(map, KEY("6d0000000161"), &e), 0);
    assert_hex(e.data, e.len, "6101");
    assert_int_equal(etf_map_find(map, KEY("6200000003"), &e), 0);
    assert_hex(e.data, e.len, "6102");
    assert_int_equal(etf_map_find(map, KEY("680261016e0100ff"), &e), 0);
    assert_hex(e.data, e.len, "6103");
    assert_int_equal(etf_map_find(map, KEY("464008000000000000"), &e),
                     CN_ENOENT);
    assert_int_equal(e.len, 0);
    assert_int_equal(etf_map_find(map, KEY("62"), &e), CN_ETRUNC);
    assert_int_equal(etf_map_find(KEY("6a"), map, &e), CN_ETYPE);
    map.len--;
    assert_int_equal(etf_map_find(map, KEY("680261016e0100ff"), &e), CN_ETRUNC);
#undef KEY
}

static int copying(fault_alloc *f, void *arg) {
    etf_view copy, empty;
    int err = etf_copy(&f->alloc, term("680161016a"), &copy);

    (void)arg;
    if (err == 0)
        assert_hex(copy.data, copy.len, "680161016a");
    etf_copy_free(&f->alloc, copy);
    assert_int_equal(etf_copy(&f->alloc, (etf_view){in, 0}, &empty), 0);
    etf_copy_free(&f->alloc, empty);
    return err;
}

static void copies(void **state) {
    (void)state;
    run_with_every_failure(copying, NULL);
}

/* Whole: good. Cut anywhere: an early end, and in memory of exactly that
 * size, so that the sanitizers see a byte too many. */
static void cut_everywhere(const vector *v) {
    assert_int_equal(etf_check(NULL, NULL, v->term, NULL), 0);
    for (size_t n = 0; n < v->term.len; n++) {
        uint8_t *part = malloc(n + 1);
        assert_non_null(part);
        memcpy(part + 1, v->term.data, n);
        assert_int_equal(etf_check(NULL, NULL, (etf_view){part + 1, n}, NULL),
                         CN_ETRUNC);
        free(part);
        if (n > 300 && n + 100 < v->term.len)
            n = v->term.len - 100; /* the middle is like the rest */
    }
}

static void vectors(void **state) {
    (void)state;
    assert_true(each_vector(cut_everywhere) > 500);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),
        cmocka_unit_test(big_integers),
        cmocka_unit_test(floats),
        cmocka_unit_test(atoms),
        cmocka_unit_test(binaries_and_strings),
        cmocka_unit_test(lists),
        cmocka_unit_test(odd_lists),
        cmocka_unit_test(tuples_and_maps),
        cmocka_unit_test(identifiers),
        cmocka_unit_test(bad_identifiers),
        cmocka_unit_test(pids_of_all_lengths),
        cmocka_unit_test(pid_with_cached_node),
        cmocka_unit_test(long_node),
        cmocka_unit_test(funs_and_records),
        cmocka_unit_test(closure_parts),
        cmocka_unit_test(record_parts),
        cmocka_unit_test(refused_tags),
        cmocka_unit_test(version),
        cmocka_unit_test(depth_costs_no_stack),
        cmocka_unit_test(lookups),
        cmocka_unit_test(any_key),
        cmocka_unit_test(copies),
        cmocka_unit_test(vectors),
    };
    return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}
