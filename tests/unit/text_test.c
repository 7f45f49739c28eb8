/* SPDX-License-Identifier: Apache-2.0
 *
 * text_test.c: etf_print and etf_parse, each alone and as inverses.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support.h"
#include "tests/unit/vectors.h"

static etf_writer w;
static char text[1 << 16];

/* The text gives these bytes (NULL: some): growing, measured, and on an array
 * that is just large enough. */
static void parses(const char *source, const char *hex) {
    static uint8_t room[1 << 16];
    size_t column, len;
    etf_view t;
    int err;

    etf_writer_init(&w, NULL);
    err = etf_parse(&w, source, &column);
    if (err != 0)
        fail_msg("%s: %s at %zu", source, cn_errname(err), column);
    (void)etf_writer_finish(&w, &t);
    if (hex != NULL)
        assert_hex(t.data, t.len, hex);
    assert_int_equal(etf_check(NULL, NULL, t, NULL), 0);
    len = t.len;
    etf_writer_free(&w);
    etf_writer_init_fixed(&w, NULL, 0);
    assert_int_equal(etf_parse(&w, source, NULL), CN_ELIMIT);
    assert_int_equal(w.len, len);
    etf_writer_init_fixed(&w, room, len);
    assert_int_equal(etf_parse(&w, source, NULL), 0);
    if (hex != NULL)
        assert_hex(room, len, hex);
}

static void refuses(const char *source, int code, size_t at) {
    size_t column = 999;

    etf_writer_init(&w, NULL);
    assert_int_equal(etf_parse(&w, source, &column), code);
    if (column != at)
        fail_msg("%s: column %zu, not %zu", source, column, at);
    assert_int_equal(etf_writer_finish(&w, NULL), code);
    etf_writer_free(&w);
}

static void prints(const char *hex, const char *want) {
    static uint8_t in[1 << 16];
    etf_view t = {in, unhex(hex, in, sizeof in)};

    assert_int_equal(etf_print(t, text, sizeof text), strlen(want));
    assert_string_equal(text, want);
}

static void numbers(void **state) {
    (void)state;
    parses("16#ff", "61ff");
    parses("2#101", "6105");
    parses("36#Zz", "620000050f");
    parses("1_000_000", "62000f4240");
    parses("-16#1_0", "62fffffff0");
    parses("-0", "6100");
    parses("[0016#ff,1_6#f_f]", "6b0002 ffff");
    refuses("00#1", CN_ESYNTAX, 0);
    refuses("16_#1", CN_ESYNTAX, 2);
    refuses("99999999999999999999#1", CN_ESYNTAX, 0);
    parses("$a", "6161");
    parses("$\\x{00000000000000041}", "6141");
    refuses("$\\x{ffffffffffffffffff}", CN_ESYNTAX, 0);
    refuses("$\\x{10000000000041}", CN_ESYNTAX, 0);
    parses("$\\n", "610a");
    parses("$\xe2\x82\xac", "62000020ac");
    parses("-1.5e+3", "46c097700000000000");
    parses("1.0E-0", "463ff0000000000000");
    parses("36#zzzzzzzzzzzzzzzz", "6e0b00ffffffff803e1ee24f9506");
    refuses("1_", CN_ESYNTAX, 1);
    refuses("1.", CN_ESYNTAX, 1);
    refuses("1.5e", CN_ESYNTAX, 3);
    refuses("37#1", CN_ESYNTAX, 0);
    refuses("1#0", CN_ESYNTAX, 0);
    refuses("2#2", CN_ESYNTAX, 0);
    refuses("1.0e309", CN_ERANGE, 0);
    parses("1.0e-9223372036854775808", "46 0000000000000000");
    refuses("- 1", CN_ESYNTAX, 0);
    refuses("$", CN_ESYNTAX, 0);
}

/* Of release 28; the values are what it makes of them. */
static void based_floats(void **state) {
    static const char *const same[][2] = {
        {"16#1.8", "1.5"},
        {"-16#1.8#e2", "-384.0"},
        {"2#0.011#e5", "12.0"},
        {"16#ff.ff#e-3", "0.062499046325683594"},
        {"16#f_f.0_1", "255.00390625"},
        {"16#123456789abcdef.fedcba98#e1", "1.3117684674637903e18"},
        {"32#v.v", "31.96875"},
        {"8#7.7#E+2", "504.0"},
        {"2#1.0#e1_0", "1024.0"},
        {"16#0.0", "0.0"},
        {"16#1.0#e200", "6.668014432879854e240"},
        {"16#1.0#e-260", "8.487983164e-314"},
        {"16#1000000000000000000.0#e-18", "1.0"},
    };
    etf_view t;

    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        etf_writer_init(&w, NULL);
        assert_int_equal(etf_parse(&w, same[i][0], NULL), 0);
        (void)etf_writer_finish(&w, &t);
        (void)etf_print(t, text, sizeof text);
        assert_string_equal(text, same[i][1]);
        etf_writer_free(&w);
    }
    refuses("16#1.0#e256", CN_ERANGE, 0);
    refuses("16#1.0#e99999999999999999999", CN_ERANGE, 0);
    refuses("10#1.5", CN_ESYNTAX, 0);
    refuses("16#1.", CN_ESYNTAX, 4);
    refuses("16#1.8#", CN_ESYNTAX, 6);
}

static void atoms(void **state) {
    (void)state;
    parses("'a\\'b\\\\'", "7704 61 27 62 5c");
    parses("'\\x{e9}\\x41\\101\\^A\\s\\z'", "7707 c3a9 41 41 01 20 7a");
    parses("\xc3\xa9t", "7703c3a974");
    parses("a@b_C9", "7706614062 5f4339");
    parses("''", "7700");
    refuses("A", CN_ESYNTAX, 0);
    refuses("'a", CN_ESYNTAX, 0);
    refuses("'\\x{d800}'", CN_ESYNTAX, 0);
    refuses("'\\x{110000}'", CN_ESYNTAX, 0);
    refuses("'\\x{1'", CN_ESYNTAX, 0);
    refuses("'\\x1'", CN_ESYNTAX, 0);
    refuses("'\xff'", CN_ESYNTAX, 0);
    refuses("\xe2\x82\xac", CN_ESYNTAX, 0);
    refuses("'a\\'", CN_ESYNTAX, 0);
}

static void strings(void **state) {
    (void)state;
    parses("\"abc\"", "6b0003616263");
    parses("\"a\" \"b\" %c\n \"c\"", "6b0003616263");
    parses("\"\"", "6a");
    parses("\"a\\x{20ac}\"", "6c00000002 6161 62000020ac 6a");
    parses("[1,2,a]", "6c00000003 6101 6102 770161 6a");
    parses("[1,2|a]", "6c00000002 6101 6102 770161");
    parses("[1,2|\"ab\"]", "6b000401026162");
    parses("[1|[2|[3|[]]]]", "6b0003010203");
    parses("[1|[2,x]]", "6c00000003 6101 6102 770178 6a");
    parses("[a|{}]", "6c00000001 770161 6800");
    parses("[[1],[]]", "6c00000002 6b000101 6a 6a");
    refuses("[a|b,c]", CN_ESYNTAX, 4);
    refuses("[a|b|c]", CN_ESYNTAX, 4);
    refuses("[a|[b],c]", CN_ESYNTAX, 6);
    refuses("[a|]", CN_ESYNTAX, 3);
    refuses("[|a]", CN_ESYNTAX, 1);
    refuses("[a,]", CN_ESYNTAX, 3);
    refuses("[a|[b,]]", CN_ESYNTAX, 6);
    refuses("[a}", CN_ESYNTAX, 2);
    refuses("\"a", CN_ESYNTAX, 0);
}

static void binaries(void **state) {
    (void)state;
    parses("<<>>", "6d00000000");
    parses("<< 1 , 2:8, $a, \"b\" >>", "6d0000000401026162");
    parses("<<300:16, -1:12, 0:4>>", "6d00000004 012cfff0");
    parses("<<257, -1>>", "6d00000002 01ff");
    parses("<<1:1>>", "4d000000010180");
    parses("<<1:0>>", "6d00000000");
    parses("<<1:1, \"a\", 3:7>>", "6d00000002 b083");
    parses("<<\"\xc3\xa9\">>", "6d00000001e9");
    parses("<<\"\xc3\xa9\"/utf8, 8364/utf8>>", "6d00000005 c3a9e282ac");
    parses("<<1:64, 16#ffffffffffffffff:64>>",
           "6d00000010 0000000000000001ffffffffffffffff");
    parses("<<-1:70,1:2>>", "6d00000009 fffffffffffffffffd");
    parses("<<1:20/little,258:12/little>>", "6d00000004 01000021");
    parses("<<1.5:16/float,-0.0:16/float,1.0e-7:16/float,65504:16/float>>",
           "6d00000008 3e00 8000 0002 7bff");
    parses("<<1.5:32/little-float,3/float,2:1/float-unit:32>>",
           "6d00000010 0000c03f 4008000000000000 40000000");
    parses("<<\"ab\":16/little,\"\xc3\xa9\xe2\x82\xac\"/utf16>>",
           "6d00000008 61006200 00e920ac");
    parses("<<16#1f600/utf16,16#1f600/utf16-little,65/utf32>>",
           "6d0000000c d83dde00 3dd800de 00000041");
    parses("<<3:2/unit:8,-3:12/little-signed,0:4/unsigned-big-integer>>",
           "6d00000004 0003 fd f0");
    parses("<<16#123456789abcdef0123:80/little, -16#123456789abcdef0123:72>>",
           "6d00000013 2301efcdab8967452301 dcba9876543210fedd");
    parses("<<18446744073709551616>>", "6d0000000100");
    parses("<<\"a\" \"\" \"bc\":16,\"d\"\n\"e\",\"\xc3\xa9\" \"f\"/utf8>>",
           "6d0000000b 006100620063 6465 c3a966");
    refuses("<<\"a\" \"\\x{d800}\">>", CN_ESYNTAX, 6);
    parses("<<0:4096>>", NULL);
    refuses("<<0:4097>>", CN_ELIMIT, 4);
    refuses("<<0:4096/unit:2>>", CN_ELIMIT, 15);
    parses("<<\"a\":64/little,\"b\":0>>", "6d00000008 6100000000000000");
    parses("<<\"ab\":512>>", NULL);
    refuses("<<\"ab\":513>>", CN_ELIMIT, 10);
    refuses("<<1/unit:8>>", CN_ESYNTAX, 8);
    refuses("<<1.5>>", CN_ESYNTAX, 5);
    refuses("<<1.5:24/float>>", CN_ESYNTAX, 14);
    refuses("<<65520:16/float>>", CN_ERANGE, 16);
    refuses("<<1:8/utf8>>", CN_ESYNTAX, 10);
    refuses("<<1/little little>>", CN_ESYNTAX, 11);
    refuses("<<1", CN_ESYNTAX, 3);
    refuses("<<1,>>", CN_ESYNTAX, 4);
    refuses("<<a>>", CN_ESYNTAX, 2);
    refuses("<<\"a\"/foo>>", CN_ESYNTAX, 6);
    refuses("<<16#d800/utf8>>", CN_ESYNTAX, 14);
}

static void brackets(void **state) {
    (void)state;
    parses(" { } ", "6800");
    parses("{a,{b}}%", "6802 770161 6801 770162");
    parses("#{}", "7400000000");
    parses("#{a=>1,b=>#{}}", "7400000002 770161 6101 770162 7400000000");
    refuses("", CN_ESYNTAX, 0);
    refuses("  ", CN_ESYNTAX, 2);
    refuses("a b", CN_ESYNTAX, 2);
    refuses("{a b}", CN_ESYNTAX, 3);
    refuses("{a", CN_ESYNTAX, 2);
    refuses("{a,}", CN_ESYNTAX, 3);
    refuses("#{a}", CN_ESYNTAX, 3);
    refuses("#{a=>}", CN_ESYNTAX, 5);
    refuses("#{a=>b,}", CN_ESYNTAX, 7);
    refuses("#{a=>b=>c}", CN_ESYNTAX, 6);
    refuses("{a=>b}", CN_ESYNTAX, 2);
    refuses("}", CN_ESYNTAX, 0);
    refuses("~i", CN_ESYNTAX, 0);
    refuses("_", CN_ESYNTAX, 0);
    refuses("a.", CN_ESYNTAX, 1);
}

static void identifiers(void **state) {
    (void)state;
    parses("#Pid<'a@b'.1.2.3>", "58 7703614062 000000010000000200000003");
    parses("{#Port<a.18446744073709551615.2>}",
           "6801 78 770161 ffffffffffffffff00000002");
    parses("#Ref<a.1.2.3.4.5.6>",
           "5a0005 770161 00000001 00000002000000030000000400000005 00000006");
    parses("fun 'A':b / 255", "71 770141 770162 61ff");
    refuses("#Pid<a.1.2>", CN_ESYNTAX, 5);
    refuses("#Pid<a.1.2.3.4>", CN_ESYNTAX, 5);
    refuses("#Pid<a.1.2.4294967296>", CN_ESYNTAX, 5);
    refuses("#Pid<1.1.2.3>", CN_ESYNTAX, 5);
    refuses("#Port<a.18446744073709551616.2>", CN_ESYNTAX, 6);
    refuses("#Ref<a.1.2.3.4.5.6.7>", CN_ESYNTAX, 5);
    refuses("#Ref<a>", CN_ESYNTAX, 5);
    refuses("#Fun<a.1.2>", CN_ESYNTAX, 0);
    refuses("fun m:f/256", CN_ESYNTAX, 8);
    refuses("fun m:f", CN_ESYNTAX, 7);
    refuses("fun", CN_ESYNTAX, 3);
}

static void escapes(void **state) {
    (void)state;
    parses("\"\\^A\\^a\\^[\\^?\"", "6b0004 01 01 1b 7f");
    parses("1_0.5", "464025000000000000");
    parses("1.5e1_0", "46420bf08eb0000000");
    parses("$\\x{1F600}", "620001f600");
    refuses("\"\\^\x7f\"", CN_ESYNTAX, 0);
    refuses("1_.5", CN_ESYNTAX, 1);
    refuses("1._5", CN_ESYNTAX, 1);
}

/* Strings of release 27. */
static void sigils(void **state) {
    (void)state;
    parses("\"\"\"\nabc\n\"\"\"", "6b0003616263");
    parses("\"\"\"  \n  a\\n\n\n    b\"\n  \"\"\"",
           "6b0009 615c6e 0a 0a 2020 6222");
    parses("{\"\"\"\n\"\"\"}", "6801 6a");
    parses("\"\"\"\"\n\"\"\"\n\"\"\"\"", "6b0003222222");
    parses("\"\"\"\"", "6a");
    parses("~\"a\\n\xc3\xa9\"", "6d00000004 610ac3a9");
    parses("{~b(a\\n),~B[a\\n],~s{a\\n},~S<a\\n>,~'a',~|a|,~/a/,~`a`,~#a#}",
           "6809 6d00000002610a 6d00000003615c6e 6b0002610a 6b0003615c6e"
           "6d0000000161 6d0000000161 6d0000000161 6d0000000161 6d0000000161");
    parses("~\"\"\"\n a\\n\n \"\"\"", "6d00000003615c6e");
    parses("~b\"\"\"\n a\\n\n \"\"\"", "6d00000002610a");
    parses("[~s\"ab\"]", "6c00000001 6b00026162 6a");
    /* Lines that end as in DOS. */
    parses("\"\"\"\r\na\r\nb\r\n\"\"\"", "6b0004 610d0a62");
    parses("\"\"\"\r\n  a\r\n\r\n  b\r\n  \"\"\"", "6b0006 610d0a0d0a62");
    parses("\"\"\"\n\r\na\n\"\"\"", "6b0003 0d0a61");
    parses("\"\"\"\na\r\r\n\"\"\"", "6b0002 610d");
    parses("\"\"\"\n\r\r\n\"\"\"", "6b0001 0d");
    parses("\"\"\"\n  a\n\r\n  \"\"\"", "6b0002 610a");
    parses("\"\"\"\n  \r\n  \"\"\"", "6a");
    parses("\"\"\"\n\r\n  \"\"\"", "6a");
    parses("\"\"\"\n\r\r\n\r\r\"\"\"", NULL);
    refuses("\"\"\"\n a\nb\n \"\"\"", CN_ESYNTAX, 0);
    refuses("\"\"\"\nabc", CN_ESYNTAX, 0);
    refuses("~x\"abc\"", CN_ESYNTAX, 0);
    refuses("~\"abc", CN_ESYNTAX, 0);
    refuses("~\"a\"x", CN_ESYNTAX, 4);
    refuses("~\"\\x{d800}\"", CN_ESYNTAX, 0);
    refuses("~", CN_ESYNTAX, 0);
}

static void records(void **state) {
    (void)state;
    parses("#m:r{}", "43 00000000 01 77016d 770172");
    parses("[#m:'R x'{a = 1, b=[x], 'C'=\"hi\"}]",
           "6c00000001 43 00000003 01 77016d 7703522078 770161 770162 770143"
           "6101 6c000000017701786a 6b00026869 6a");
    parses("#m:r{a = #m:s{a = 1,b = 2},b = {#m:t{}}}",
           "43 00000002 01 77016d 770172 770161 770162"
           "43 00000002 01 77016d 770173 770161 770162 6101 6102"
           "6801 43 00000000 01 77016d 770174");
    refuses("#m{a=1}", CN_ESYNTAX, 2);
    refuses("#m:r", CN_ESYNTAX, 4);
    refuses("#m:r{a}", CN_ESYNTAX, 6);
    refuses("#m:r{a=>1}", CN_ESYNTAX, 6);
    refuses("#m:r{1=1}", CN_ESYNTAX, 5);
    refuses("#m:r{a=1,}", CN_ESYNTAX, 9);
    refuses("#m:r{a=}", CN_ESYNTAX, 7);
    refuses("# m", CN_ESYNTAX, 3);
}

/* Records in the first field of one another move what is inside of them for
 * each name; there is an end to it. */
static void quadratic(void **state) {
    enum { N = 200000 };
    static char source[N * 20];
    char *p = source;
    etf_error error;

    (void)state;
    for (size_t i = 0; i < N; i++)
        p += sprintf(p, "#m:r{a=");
    *p++ = '1';
    for (size_t i = 0; i < N; i++)
        p += sprintf(p, ",b=1}");
    etf_writer_init(&w, NULL);
    assert_int_equal(
        etf_parse_with(NULL, &w, source, (size_t)(p - source), &error),
        CN_ELIMIT);
    assert_string_equal(error.what, "brackets that would move too much");
    etf_writer_free(&w);
}

/* Quotes that are many strings, and no triple ones: a quadratic way through
 * four millions of them would not come to its end. */
static void many_quotes(void **state) {
    enum { N = 4000000 };
    char *source = malloc(N + 3);
    size_t column = 0;

    (void)state;
    assert_non_null(source);
    memset(source, '"', N + 1);
    memcpy(source + N, "\"x", 3);
    etf_writer_init(&w, NULL);
    assert_int_equal(etf_parse(&w, source, &column), CN_ESYNTAX);
    assert_int_equal(column, N);
    etf_writer_reset(&w);
    assert_int_equal(etf_parse_n(&w, source, N, NULL), 0);
    assert_int_equal(w.len, 1);
    etf_writer_free(&w);
    free(source);
}

/* The names of a record are written in the way that the writer has for atoms.
 */
static void old_names(void **state) {
    etf_view t;

    (void)state;
    etf_writer_init(&w, NULL);
    etf_writer_mode(&w, ETF_LATIN1_ATOMS);
    assert_int_equal(etf_parse(&w, "#m:'\xc3\xa9'{a=b}", NULL), 0);
    assert_int_equal(etf_writer_finish(&w, &t), 0);
    assert_hex(t.data, t.len,
               "43 00000001 01 6400016d 640001e9 64000161 64000162");
    etf_writer_free(&w);
}

/* As they are on the node itself. */
static void own_identifiers(void **state) {
    etf_text_options o = {.node = "a@b", .creation = 7};
    etf_error error;
    const char source[] = "[<0.1.2>,#Port<0.300>,"
                          "#Ref<0.1879924616.587726850.56397>,#Pid<a.1.2.3>]";
    etf_view t;

    (void)state;
    etf_writer_init(&w, NULL);
    assert_int_equal(etf_parse_with(&o, &w, source, sizeof source - 1, &error),
                     0);
    assert_string_equal(error.what, "");
    assert_int_equal(etf_writer_finish(&w, &t), 0);
    assert_hex(t.data, t.len,
               "6c00000004"
               "58 7703614062 00000001 00000002 00000007"
               "78 7703614062 000000000000012c 00000007"
               "5a0003 7703614062 00000007 0000dc4d 23080002 700d5f88"
               "58 770161 00000001 00000002 00000003 6a");
    etf_writer_free(&w);
    refuses("<0.1.2>", CN_ESYNTAX, 1);
    refuses("#Port<0.1>", CN_ESYNTAX, 6);
}

static void says(const char *source, size_t at, const char *what) {
    etf_text_options o = {.node = "a@b", .depth = 3};
    etf_error error;

    etf_writer_init(&w, NULL);
    assert_int_not_equal(etf_parse_with(&o, &w, source, strlen(source), &error),
                         0);
    assert_string_equal(error.what, what);
    assert_int_equal(error.at, at);
    assert_int_equal(error.code, etf_writer_finish(&w, NULL));
    etf_writer_free(&w);
}

static void reasons(void **state) {
    (void)state;
    says("{a", 2, "the text ends too early");
    says("{a b}", 3, "not expected here");
    says("{a,!}", 3, "no part of a term");
    says("{a,B}", 3, "a variable, which has no value");
    says("[_]", 1, "a variable, which has no value");
    says("{a,b}.", 5, "a dot, which is no part of a term");
    says("['a\xff']", 1, "bytes that are not UTF-8");
    says("\"a\\n\xff\"", 0, "bytes that are not UTF-8");
    says("\"a\\\xff\"", 0, "bytes that are not UTF-8");
    says("~B\"\xed\xa0\x80\"", 0, "bytes that are not UTF-8");
    says("<<\"\xff\"/utf8>>", 2, "bytes that are not UTF-8");
    says("[$\xff]", 1, "bytes that are not UTF-8");
    says("[\xff]", 1, "bytes that are not UTF-8");
    says("[\xe2\x88\x80]", 1, "no part of a term");
    says("\"\\x{110000}\"", 0, "a character that Unicode does not have");
    says("'\\x{d800}'", 0, "a character that Unicode does not have");
    says("$\\x{110000}", 0, "a character that Unicode does not have");
    says("\"\\x{}\"", 0, "an escape that Erlang does not have");
    says("$\\xz", 0, "an escape that Erlang does not have");
    says("{#Fun<a.1.2>}", 1, "a function with a body, which has no literal");
    says("{'a}", 1, "a quote that is not closed");
    says("<1.2.3>", 1,
         "an identifier of another node, whose name it does not have");
    says("[[[[]]]]", 3, "brackets nested too deeply");
    says("{1.0e309}", 1, "a float that is too large");
}

static void limits(void **state) {
    char atom[300] = "";
    size_t column;

    (void)state;
    memset(atom, 'a', 255);
    etf_writer_init(&w, NULL);
    assert_int_equal(etf_parse(&w, atom, NULL), 0);
    atom[255] = 'a';
    assert_int_equal(etf_parse(&w, atom, &column), CN_ELIMIT);
    etf_writer_free(&w);
}

/* Tuples and lists whose header changes with their size. */
static void sizes(void **state) {
    static char source[400000], again[400000];
    static const struct {
        const char *item;
        int n;
        char open, close;
    } cases[] = {
        {"1", 255, '{', '}'},   {"1", 256, '{', '}'},   {"a", 70000, '{', '}'},
        {"1", 65535, '[', ']'}, {"1", 65536, '[', ']'}, {"300", 3, '[', ']'},
    };
    etf_view t;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *p = source;
        *p++ = cases[i].open;
        for (int k = 0; k < cases[i].n; k++)
            p += sprintf(p, k == 0 ? "%s" : ",%s", cases[i].item);
        *p++ = cases[i].close;
        *p = '\0';
        etf_writer_init(&w, NULL);
        assert_int_equal(etf_parse(&w, source, NULL), 0);
        (void)etf_writer_finish(&w, &t);
        assert_int_equal(etf_check(NULL, NULL, t, NULL), 0);
        assert_int_equal(etf_print(t, again, sizeof again), strlen(source));
        assert_string_equal(again, source);
        etf_writer_free(&w);
    }
}

static void big_numbers(void **state) {
    static char source[20000], again[20000];
    etf_view t;

    (void)state;
    memset(source, 'f', 16003);
    memcpy(source, "16#", 3);
    etf_writer_init(&w, NULL);
    assert_int_equal(etf_parse(&w, source, NULL), 0);
    (void)etf_writer_finish(&w, &t);
    assert_int_equal(t.len, 6 + 8000);
    (void)etf_print(t, again, sizeof again);
    assert_string_equal(again, source);
    etf_writer_reset(&w);
    memset(source, '9', 4932);
    source[4932] = '\0';
    source[0] = '-';
    assert_int_equal(etf_parse(&w, source, NULL), 0);
    (void)etf_writer_finish(&w, &t);
    (void)etf_print(t, again, sizeof again);
    assert_string_equal(again, source);
    etf_writer_reset(&w);
    memset(source, '9', 5000);
    source[5000] = '\0';
    assert_int_equal(etf_parse(&w, source, NULL), CN_ELIMIT);
    etf_writer_free(&w);
}

static void like_snprintf(void **state) {
    static const uint8_t hello[] = {0x77, 5, 'h', 'e', 'l', 'l', 'o'};
    etf_view t = {hello, sizeof hello};
    char small[4] = "xyz";

    (void)state;
    assert_int_equal(etf_print(t, NULL, 0), 5);
    assert_int_equal(etf_print(t, small, sizeof small), 5);
    assert_string_equal(small, "hel");
    assert_int_equal(etf_print(t, small, 1), 5);
    assert_string_equal(small, "");
}

static void malformed(void **state) {
    (void)state;
    prints("", "#malformed");
    prints("68026101ff", "{1,#malformed");
    prints("6c00000001610161", "[1#malformed");
    prints("7400000001 6161 52", "#{97 => #malformed");
    prints("6801", "#malformed");
}

static void odd_terms(void **state) {
    (void)state;
    prints("6c00000001 6161 6c00000001 6162 6b00026364", "\"abcd\"");
    prints("6c00000001 6161 6c00000001 6101 6b00026364", "[97,1,99,100]");
    prints("43 00000000 00 77016d 770172", "#m:r{}");
    prints("6801 43 00000001 00 77016d 770141 770178 6801 6a",
           "{#m:'A'{x = {[]}}}");
    prints("6802 70 00000000 01 00112233445566778899aabbccddeeff 00000000"
           "00000001 770161 6105 62ffffffff"
           "58 7703614062 000000000000000000000000 6801 6101 6102",
           "{#Fun<a.5.-1>,2}");
    prints("6d00000003 e282ac", "<<\"\xe2\x82\xac\"/utf8>>");
    prints("6d00000003 c29f41", "<<194,159,65>>");
}

/* ETF_TEXT_DEPTH brackets go both ways, one more does not. */
static void depth(void **state) {
    const size_t N = ETF_TEXT_DEPTH + 1;
    char *deep = malloc(2 * N), *again = malloc(2 * N);
    size_t column;
    etf_view t;

    (void)state;
    assert_non_null(deep);
    assert_non_null(again);
    memset(deep, '{', N);
    memset(deep + N, '}', N);
    etf_writer_init(&w, NULL);
    assert_int_equal(etf_parse_n(&w, deep, 2 * N, &column), CN_ELIMIT);
    assert_int_equal(column, N - 1);
    etf_writer_reset(&w);
    assert_int_equal(etf_parse_n(&w, deep + 1, 2 * N - 2, NULL), 0);
    assert_int_equal(etf_writer_finish(&w, &t), 0);
    assert_int_equal(etf_check(NULL, NULL, t, NULL), 0);
    assert_int_equal(etf_print(t, again, 2 * N), 2 * N - 2);
    assert_memory_equal(again, deep + 1, 2 * N - 2);
    etf_writer_reset(&w);
    for (size_t i = 0; i < N; i++)
        etf_put_tuple(&w, 1);
    etf_put_nil(&w);
    assert_int_equal(etf_writer_finish(&w, &t), 0);
    assert_int_equal(etf_print(t, again, 2 * N), N - 1 + 9);
    assert_string_equal(again + N - 2, "{#too_deep");
    etf_writer_free(&w);
    free(deep);
    free(again);
}

static void to_a_file(void **state) {
    static const uint8_t t[] = {0x68, 2, 0x61, 1, 0x6a};
    static const uint8_t bad[] = {0x68, 1, 0xff};
    char *out = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&out, &n);

    (void)state;
    assert_non_null(f);
    assert_int_equal(etf_print_file((etf_view){t, sizeof t}, f), 0);
    assert_int_equal(etf_print_file((etf_view){bad, 3}, f), CN_EBADTERM);
    assert_int_equal(fclose(f), 0);
    assert_string_equal(out, "{1,[]}{#malformed");
    free(out);
    f = fopen("/dev/null", "r");
    assert_non_null(f);
    assert_int_equal(etf_print_file((etf_view){t, sizeof t}, f), CN_EIO);
    (void)fclose(f);
}

/* Print, parse, and print: what Erlang says of the vector. */
static void both_ways(const vector *v) {
    etf_view t;
    size_t column;
    int err;

    assert_int_equal(etf_print(v->term, text, sizeof text), strlen(v->text));
    assert_string_equal(text, v->text);
    if (!v->canonical)
        return;
    etf_writer_init(&w, NULL);
    err = etf_parse(&w, v->text, &column);
    if (err != 0)
        fail_msg("%s: %s at %zu", v->text, cn_errname(err), column);
    (void)etf_writer_finish(&w, &t);
    assert_int_equal(t.len, v->term.len);
    assert_memory_equal(t.data, v->term.data, t.len);
    etf_writer_free(&w);
}

static void vectors(void **state) {
    (void)state;
    assert_true(each_vector(both_ways) > 500);
}

/* A locale with a decimal comma changes nothing. */
static void other_locale(void **state) {
    (void)state;
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL)
        skip();
    (void)each_vector(both_ways);
    (void)setlocale(LC_ALL, "C");
}

/* --- etf_format ---------------------------------------------------------- */

static etf_view hex_term(const char *hex) {
    static uint8_t in[1 << 16];

    return (etf_view){in, unhex(hex, in, sizeof in)};
}

static void formats(const etf_text_options *o, const char *hex,
                    const char *want) {
    size_t n;

    assert_int_equal(etf_format(o, hex_term(hex), text, sizeof text, &n), 0);
    assert_string_equal(text, want);
    assert_int_equal(n, strlen(want));
}

/* Of a control sequence such as ~40tp, and l or u. */
static etf_text_options options_of(const char *control, char range) {
    char *end;
    etf_text_options o = {.width = 80};

    o.range = range == 'l' ? ETF_RANGE_LATIN1 : ETF_RANGE_UNICODE;
    if (control[1] >= '0' && control[1] <= '9')
        o.width = (uint32_t)strtoul(control + 1, &end, 10);
    o.latin1 = strchr(control, 't') == NULL;
    o.style = strchr(control, 'w') != NULL ? ETF_STYLE_W : ETF_STYLE_P;
    return o;
}

static void unescape(char *s) {
    char *to = s;

    for (; *s != '\0'; s++) {
        if (*s == '\\')
            *to++ = *++s == 'n' ? '\n' : *s;
        else
            *to++ = *s;
    }
    *to = '\0';
}

/* The text of a term that is parsed is the term, however it was printed. */
static void parses_back(const char *source, etf_view term) {
    static char before[1 << 16], after[1 << 16];
    etf_view t;

    etf_writer_init(&w, NULL);
    assert_int_equal(etf_parse(&w, source, NULL), 0);
    assert_int_equal(etf_writer_finish(&w, &t), 0);
    (void)etf_print(term, before, sizeof before);
    (void)etf_print(t, after, sizeof after);
    assert_string_equal(after, before);
    etf_writer_free(&w);
}

/* Each line of tests/data/text_vectors.txt. */
static void as_io_format(void **state) {
    static char line[1 << 16];
    FILE *f = fopen("tests/data/text_vectors.txt", "r");
    char *control, *range, *hex, *want, *rest;
    etf_text_options o;
    size_t n = 0;

    (void)state;
    assert_non_null(f);
    for (; fgets(line, sizeof line, f) != NULL; n++) {
        if (line[0] == '#')
            continue;
        control = strtok_r(line, "\t", &rest);
        range = strtok_r(NULL, "\t", &rest);
        hex = strtok_r(NULL, "\t", &rest);
        want = strtok_r(NULL, "\n", &rest);
        unescape(want);
        o = options_of(control, *range);
        formats(&o, hex, want);
        parses_back(want, hex_term(hex));
    }
    (void)fclose(f);
    assert_true(n > 600);
}

/* As io_lib_pretty:print(T, 11, 20, -1), and ~20p. */
static void lines(void **state) {
    static const char hex[] = "6802 770161 6802 770162 6b00050102030405";
    etf_text_options o = {.width = 20, .column = 11};

    (void)state;
    formats(&o, hex,
            "{a,\n           {b,\n            [1,2,\n             3,4,\n"
            "             5]}}");
    o.column = 0;
    formats(&o, hex, "{a,{b,[1,2,3,4,\n       5]}}");
    /* Records, a list in the tail of one, bytes in a tail. */
    formats(&o,
            "43 00000002 01 77036d6f64 770172 770161 77026262"
            "6b000801020304050607ff 6c00000001 6101 6b00020102",
            "#mod:r{\n    a = [1,2,3,4,\n         5,6,7,\n"
            "         255],\n    bb = [1,1,2]}");
    o.width = 7;
    formats(&o, "43 00000000 01 77036d6f64 7705 6162636465", "#mod:abcde{}");
}

static void format_limits(void **state) {
    etf_text_options o = {.depth = 2};
    size_t n;

    (void)state;
    formats(&o, "6801 6801 6101", "{{1}}");
    assert_int_equal(etf_format(&o, hex_term("6801 6801 6800"), text, 20, &n),
                     CN_ELIMIT);
    assert_string_equal(text, "{{#too_deep");
    o.width = 10;
    assert_int_equal(etf_format(&o, hex_term("6801 6801 6800"), text, 20, &n),
                     CN_ELIMIT);
    assert_string_equal(text, "#too_deep");
    assert_int_equal(etf_format(&o, hex_term("6801"), text, 20, NULL),
                     CN_ETRUNC);
    assert_string_equal(text, "#malformed");
    assert_int_equal(etf_format(NULL, hex_term("6101"), NULL, 0, &n), 0);
    assert_int_equal(n, 1);
}

static int formatting(fault_alloc *f, void *arg) {
    static uint8_t deep[301];
    etf_text_options o = {.width = 20, .alloc = &f->alloc};
    int err;

    (void)arg;
    for (size_t i = 0; i < 150; i++)
        memcpy(deep + 2 * i, "\x68\x01", 2);
    deep[300] = 106;
    err = etf_format(&o, (etf_view){deep, 301}, text, sizeof text, NULL);
    assert_int_equal(err, f->failed ? CN_ENOMEM : 0);
    if (err != 0)
        assert_non_null(strstr(text, "#no_memory"));
    return err;
}

static int parsing(fault_alloc *f, void *arg) {
    etf_writer g;
    int err;

    (void)arg;
    etf_writer_init(&g, &f->alloc);
    err = etf_parse(&g,
                    "{[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,x],"
                    "<<\"a binary that is as long as this one is, and then"
                    " some, and with a few bits more\",1:1>>,"
                    "#{a => \"\\x{20ac}\"},['a longer atom'|tail],"
                    "16#ffffffffffffffffffffffffffffffffffffffffffffffff,"
                    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"
                    "]]]]]]]]]]]]]]]]]}",
                    NULL);
    assert_int_equal(err, f->failed ? CN_ENOMEM : 0);
    etf_writer_free(&g);
    return err;
}

/* A binary that is the first thing for which there is no memory. */
static int parsing_binary(fault_alloc *f, void *arg) {
    etf_error error;
    etf_writer g;
    int err;

    (void)arg;
    etf_writer_init(&g, &f->alloc);
    err = etf_parse_with(NULL, &g, "<<1:3>>", 7, &error);
    assert_int_equal(err, f->failed ? CN_ENOMEM : 0);
    assert_int_equal(g.err, err);
    assert_string_equal(error.what, err != 0 ? cn_strerror(err) : "");
    etf_writer_free(&g);
    return err;
}

static void out_of_memory(void **state) {
    (void)state;
    run_with_every_failure(parsing_binary, NULL);
    run_with_every_failure(parsing, NULL);
    run_with_every_failure(formatting, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),       cmocka_unit_test(atoms),
        cmocka_unit_test(based_floats),  cmocka_unit_test(strings),
        cmocka_unit_test(binaries),      cmocka_unit_test(brackets),
        cmocka_unit_test(identifiers),   cmocka_unit_test(limits),
        cmocka_unit_test(sizes),         cmocka_unit_test(big_numbers),
        cmocka_unit_test(like_snprintf), cmocka_unit_test(malformed),
        cmocka_unit_test(odd_terms),     cmocka_unit_test(depth),
        cmocka_unit_test(to_a_file),     cmocka_unit_test(vectors),
        cmocka_unit_test(other_locale),  cmocka_unit_test(as_io_format),
        cmocka_unit_test(lines),         cmocka_unit_test(escapes),
        cmocka_unit_test(sigils),        cmocka_unit_test(records),
        cmocka_unit_test(quadratic),     cmocka_unit_test(own_identifiers),
        cmocka_unit_test(reasons),       cmocka_unit_test(format_limits),
        cmocka_unit_test(many_quotes),   cmocka_unit_test(old_names),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
