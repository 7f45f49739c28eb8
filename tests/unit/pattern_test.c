/* SPDX-License-Identifier: Apache-2.0
 *
 * pattern_test.c: etf_pack and etf_match: every hole, every literal, every
 * slip a program can make.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support.h"
#include "tests/unit/vectors.h"

static etf_writer w;
static uint8_t in[4096];

static etf_view view_of(const char *text) {
    return etf_view_of(text, strlen(text));
}

static etf_view hex(const char *digits) {
    static uint8_t bytes[512];

    return etf_view_of(bytes, unhex(digits, bytes, sizeof bytes));
}

/* The term of a text, in static memory. */
static etf_view term(const char *text) {
    etf_view t;
    size_t column;

    etf_writer_init_fixed(&w, in, sizeof in);
    if (etf_parse(&w, text, &column) != 0)
        fail_msg("%s: syntax error at %zu", text, column);
    (void)etf_writer_finish(&w, &t);
    return t;
}

/* The packed bytes are those of the text. */
#define PACKS(text, ...)                                                       \
    do {                                                                       \
        etf_writer packed;                                                     \
        etf_view got, want;                                                    \
        etf_writer_init(&packed, NULL);                                        \
        assert_int_equal(etf_pack(&packed, __VA_ARGS__), 0);                   \
        assert_int_equal(etf_writer_finish(&packed, &got), 0);                 \
        want = term(text);                                                     \
        assert_memory_equal(got.data, want.data, got.len);                     \
        assert_int_equal(got.len, want.len);                                   \
        etf_writer_init_fixed(&w, in, got.len);                                \
        assert_int_equal(etf_pack(&w, __VA_ARGS__), 0);                        \
        etf_writer_init_fixed(&w, NULL, 0);                                    \
        assert_int_equal(etf_pack(&w, __VA_ARGS__), CN_ELIMIT);                \
        assert_int_equal(w.len, got.len);                                      \
        etf_writer_free(&packed);                                              \
    } while (0)

#define PACK_FAILS(code, ...)                                                  \
    do {                                                                       \
        etf_writer_init(&w, NULL);                                             \
        assert_int_equal(etf_pack(&w, __VA_ARGS__), code);                     \
        assert_int_equal(etf_writer_finish(&w, NULL), code);                   \
        etf_writer_free(&w);                                                   \
    } while (0)

#define MATCHES(text, ...)                                                     \
    assert_int_equal(etf_match(term(text), __VA_ARGS__), 0)
#define DIFFERS(text, ...)                                                     \
    assert_int_equal(etf_match(term(text), __VA_ARGS__), CN_ETYPE)

static const etf_pid pid = {1, 2, 3, 3, "a@b"};
static const etf_port port = {4, 5, 3, "a@b"};
static const etf_ref ref = {{7, 8}, 6, 2, 3, "a@b"};

static void pack_holes(void **state) {
    etf_view empty = etf_view_of(NULL, 0);

    (void)state;
    PACKS("{ok,'a b'}", "{~a, ~a}", "ok", view_of("a b"));
    PACKS("{\"ab\",\"c\",[]}", "{~s, ~s, ~s}", "ab", view_of("c"), empty);
    PACKS("{<<\"ab\">>,<<\"c\">>,<<>>}", "{~b, ~b, ~b}", "ab", view_of("c"),
          empty);
    PACKS("{-1,2,65535}", "{~i, ~i, ~i}", -1, 2U, (unsigned short)65535);
    PACKS("{18446744073709551615,-9223372036854775808}", "{~i, ~i}", ULLONG_MAX,
          LLONG_MIN);
    PACKS("{1.5,2.0}", "{~f, ~f}", 1.5, 2.0F);
    PACKS("{#Pid<a@b.1.2.3>,#Port<a@b.4.5>,#Ref<a@b.6.7.8>}", "{~p, ~o, ~r}",
          &pid, &port, &ref);
    PACKS("{[x],1}", "{~t, ~t}", hex("6c000000017701786a"),
          etf_view_of("a\1", 2));
    PACKS("#{k => 7,\"x\" => y}", "#{k => ~i, ~s => ~a}", 7, "x", "y");
    PACKS("x", "~a", "x");
    PACKS("{<<1,2>>,<<1>>}", "{~b, ~b}", etf_view_of("\1\2", 2),
          ((etf_view){(const uint8_t *)"\1", 1}));
}

static void pack_lists(void **state) {
    char bytes[600];

    (void)state;
    memset(bytes, 1, sizeof bytes);
    PACKS("[1,2]", "[~i, ~i]", 1, 2);
    PACKS("[1,256]", "[~i, ~i]", 1, 256);
    PACKS("[1,-1]", "[~i, ~i]", 1, -1);
    PACKS("[1,2,a,3]", "[~i, ~i, ~a, ~i]", 1, 2, "a", 3);
    PACKS("[1,97,98]", "[~i | ~s]", 1, "ab");
    PACKS("[a,97,98]", "[~a | ~s]", "a", "ab");
    PACKS("[1]", "[~i | ~t]", 1, hex("6a"));
    PACKS("[1,7,8]", "[~i | ~t]", 1, hex("6b00020708"));
    PACKS("[1,x]", "[~i | ~t]", 1, hex("6c000000017701786a"));
    PACKS("[1,x|y]", "[~i | ~t]", 1, hex("6c00000001770178770179"));
    PACKS("[1|x]", "[~i | ~t]", 1, hex("770178"));
    PACKS("[1|2]", "[~i | ~i]", 1, 2);
    PACKS("[1,2,3]", "[~i | [~i | [~i]]]", 1, 2, 3);
    PACKS("[1,2|3]", "[~i | [~i | ~i]]", 1, 2, 3);
    PACKS("[[1],[2],[]]", "[[~i], [~i], []]", 1, 2);
    etf_writer_init(&w, NULL);
    assert_int_equal(etf_pack(&w, "~s", etf_view_of(bytes, 600)), 0);
    assert_hex(w.data, 4, "6b025801");
    etf_writer_free(&w);
}

/* One more term of what is being written. */
static void pack_between(void **state) {
    etf_view out;

    (void)state;
    etf_writer_init(&w, NULL);
    etf_begin_list(&w);
    assert_int_equal(etf_pack(&w, "{~i, [x, y]}", 1), 0);
    etf_put_tuple(&w, 2);
    assert_int_equal(etf_pack(&w, "a"), 0);
    assert_int_equal(etf_pack(&w, "[]"), 0);
    etf_end_list(&w);
    assert_int_equal(etf_writer_finish(&w, &out), 0);
    assert_hex(out.data, out.len,
               "6c00000002 6802 6101 6c00000002 770178770179 6a"
               "6802 770161 6a 6a");
    etf_writer_free(&w);
}

static void pack_slips(void **state) {
    const char *none = NULL;
    etf_in no_format = {ETF_ARG_I64, {.i64 = 1}};

    (void)state;
    PACK_FAILS(CN_EBADARG, "~i");
    PACK_FAILS(CN_EBADARG, "~i", 1, 2);
    PACK_FAILS(CN_EBADARG, "~i", "1");
    PACK_FAILS(CN_EBADARG, "~i", 1.0);
    PACK_FAILS(CN_EBADARG, "~a", 1);
    PACK_FAILS(CN_EBADARG, "~a", none);
    PACK_FAILS(CN_EBADARG, "~f", 1);
    PACK_FAILS(CN_EBADARG, "~p", &ref);
    PACK_FAILS(CN_EBADARG, "~r", (const etf_ref *)NULL);
    PACK_FAILS(CN_EBADARG, "~t", "x");
    PACK_FAILS(CN_EBADARG, "~t", etf_view_of(NULL, 0));
    PACK_FAILS(CN_EBADARG, "[a | ~t]", hex("ff"));
    PACK_FAILS(CN_EBADARG, "~a", "\xff");
    PACK_FAILS(CN_EBADARG, none);
    PACK_FAILS(CN_ESYNTAX, "~x", 1);
    PACK_FAILS(CN_ESYNTAX, "_");
    PACK_FAILS(CN_ESYNTAX, "{a");
    PACK_FAILS(CN_ESYNTAX, "");
    PACK_FAILS(CN_ESYNTAX, "~");
    PACK_FAILS(CN_ESYNTAX, "[a | ~s, b]", "x");
    PACK_FAILS(CN_ESYNTAX, "[| a]");
    PACK_FAILS(CN_ERANGE, "~f", 1e308 * 10);
    etf_writer_init(&w, NULL);
    assert_int_equal(etf_pack_args(&w, &no_format, 1), CN_EBADARG);
    etf_writer_reset(&w);
    assert_int_equal(etf_pack_args(&w, &no_format, 0), CN_EBADARG);
    etf_writer_free(&w);
}

static int packing(fault_alloc *f, void *arg) {
    etf_writer g;
    int err;

    (void)arg;
    etf_writer_init(&g, &f->alloc);
    err = etf_pack(&g, "{~i, [~s | ~t], #{<<1,2,3:5>> => ~b}, [1,2,3,x]}", 1,
                   "a long enough string to make it grow, once or twice, and "
                   "again, until it is longer than what it had at first",
                   hex("6b00020708"),
                   "a binary that is long enough too, to grow once more, and "
                   "then something else, but nothing that would tell much");
    assert_int_equal(err, f->failed ? CN_ENOMEM : 0);
    etf_writer_free(&g);
    return err;
}

static void pack_out_of_memory(void **state) {
    (void)state;
    run_with_every_failure(packing, NULL);
}

static void match_integers(void **state) {
    signed char c;
    short s;
    int i;
    long l;
    long long ll;
    unsigned char uc;
    unsigned short us;
    unsigned u;
    unsigned long ul;
    unsigned long long ull;

    (void)state;
    MATCHES("{-128,-32768,-2147483648,-1,-9223372036854775808}",
            "{~i,~i,~i,~i,~i}", &c, &s, &i, &l, &ll);
    assert_int_equal(c, -128);
    assert_int_equal(s, -32768);
    assert_int_equal(i, INT_MIN);
    assert_int_equal(l, -1);
    assert_true(ll == LLONG_MIN);
    MATCHES("{255,65535,4294967295,7,18446744073709551615}", "{~i,~i,~i,~i,~i}",
            &uc, &us, &u, &ul, &ull);
    assert_int_equal(uc, 255);
    assert_int_equal(us, 65535);
    assert_int_equal(u, UINT_MAX);
    assert_int_equal(ul, 7);
    assert_true(ull == ULLONG_MAX);
    DIFFERS("128", "~i", &c);
    DIFFERS("-129", "~i", &c);
    DIFFERS("2147483648", "~i", &i);
    DIFFERS("9223372036854775808", "~i", &ll);
    DIFFERS("256", "~i", &uc);
    DIFFERS("-1", "~i", &ul);
    DIFFERS("18446744073709551616", "~i", &ull);
    DIFFERS("1.0", "~i", &i);
}

static void match_holes(void **state) {
    etf_view a, b, s, t;
    etf_pid p;
    etf_port o;
    etf_ref r;
    double f;

    (void)state;
    MATCHES("{ok,<<\"x\">>,\"abc\",{1,2},1.5}", "{~a, ~b, ~s, ~t, ~f}", &a, &b,
            &s, &t, &f);
    assert_true(etf_view_is(a, "ok"));
    assert_true(etf_view_is(b, "x"));
    assert_true(etf_view_is(s, "abc"));
    assert_hex(t.data, t.len, "680261016102");
    assert_true(f == 1.5);
    MATCHES("{[],<<\"bin\">>}", "{~s, ~s}", &s, &b);
    assert_int_equal(s.len, 0);
    assert_true(etf_view_is(b, "bin"));
    MATCHES("{#Pid<a@b.1.2.3>,#Port<a@b.4.5>,#Ref<a@b.6.7.8>}", "{~p, ~o, ~r}",
            &p, &o, &r);
    assert_true(etf_pid_eq(&p, &pid));
    assert_true(etf_port_eq(&o, &port));
    assert_true(etf_ref_eq(&r, &ref));
    DIFFERS("[a]", "~s", &s);
    DIFFERS("a", "~b", &s);
    DIFFERS("\"a\"", "~a", &s);
    DIFFERS("1", "~f", &f);
    DIFFERS("#Pid<a@b.1.2.3>", "~r", &r);
    assert_int_equal(etf_match(hex("7301e9"), "~a", &a), CN_ENOTSUP);
    assert_int_equal(etf_match(hex("73016b"), "~a", &a), 0);
}

static void match_lists(void **state) {
    etf_view t, u;
    int i, j;

    (void)state;
    MATCHES("[1,2]", "[~i, ~i]", &i, &j);
    assert_int_equal(i * 10 + j, 12);
    MATCHES("[1,256]", "[~i, ~i]", &i, &j);
    MATCHES("[7,8]", "[~t, ~t]", &t, &u);
    assert_hex(t.data, t.len, "6107");
    assert_hex(u.data, u.len, "6108");
    MATCHES("[7]", "[_ | ~t]", &t);
    assert_hex(t.data, t.len, "6a");
    MATCHES("[a|b]", "[_ | ~t]", &t);
    assert_hex(t.data, t.len, "770162");
    MATCHES("[a|b]", "[a | b]");
    MATCHES("[1,2,3]", "[~i | _]", &i);
    MATCHES("[a,b,c|d]", "[a | _]");
    MATCHES("[1,2,3]", "[1 | [2 | [3]]]");
    MATCHES("{[1,2,3],x}", "{[1 | _], x}");
    MATCHES("[[1],[],[a]]", "[[~i], [], [_]]", &i);
    MATCHES("[]", "[]");
    DIFFERS("[1,2]", "[_ | ~t]", &t);
    DIFFERS("[1,2]", "[~i]", &i);
    DIFFERS("[1]", "[~i, ~i]", &i, &j);
    DIFFERS("[]", "[_ | _]");
    DIFFERS("[a|b]", "[a]");
    DIFFERS("[1]", "[]");
    DIFFERS("[]", "{}");
}

/* A list with lists as tails, as bytes from elsewhere may have it, is the same
 * list: here [97 | [98 | "cd"]], and [97 | [98 | c]], which is none. */
static void match_joined(void **state) {
    static const char *const same[] = {
        "[97,98,99,100]",    "\"abcd\"",
        "\"ab\" \"cd\"",     "[97 | [98,99 | [100]]]",
        "[97 | \"bcd\"]",    "[97,98 | \"cd\"]",
        "[97,98,99 | _]",    "[97 | _]",
        "[97,98,99,100|[]]", "[97 | [98 | [99 | \"d\"]]]"};
    static const char *const others[] = {"[97,98,99]",
                                         "[97,98,99,100,101]",
                                         "\"abc\"",
                                         "\"abcde\"",
                                         "[97 | \"bc\"]",
                                         "[97,98 | X]",
                                         "[97,98,99,100 | \"e\"]",
                                         "[97 | []]"};
    static const char joined[] = "6c00000001 6161 6c00000001 6162 6b00026364";
    etf_view tail;
    etf_list rest;

    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        assert_int_equal(etf_match(hex(joined), same[i]), 0);
        assert_int_equal(etf_match(term("\"abcd\""), same[i]), 0);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(etf_match(hex(joined), others[i]), CN_ETYPE);
        assert_int_equal(etf_match(term("\"abcd\""), others[i]), CN_ETYPE);
    }
    assert_int_equal(etf_match(hex(joined), "[97,98,99|~l]", &rest), 0);
    assert_int_equal(rest.n, 1);
    assert_int_equal(etf_match(hex(joined), "[97|~t]", &tail), CN_ETYPE);
    assert_int_equal(etf_match(hex("6c00000001 6161 6c00000001 6162 770163"),
                               "[97,98|~t]", &tail),
                     0);
    assert_hex(tail.data, tail.len, "770163");
    assert_int_equal(
        etf_match(hex("6c00000001 6161 6c00000001 6162"), "[97,98]"),
        CN_ETRUNC);
}

static void match_literals(void **state) {
    (void)state;
    MATCHES("{ok,'a b',\"\\n\"}", "{ok, 'a\\sb', \"\\n\"}");
    MATCHES("{1,-1,255,16#ffffffffffffffffff}",
            "{1, -1, 16#ff, 4722366482869645213695}");
    MATCHES("-4722366482869645213695", "-16#ffffffffffffffffff");
    DIFFERS("4722366482869645213694", "4722366482869645213695");
    DIFFERS("1", "4722366482869645213695");
    DIFFERS("4722366482869645213695", "1");
    DIFFERS("1", "-1");
    MATCHES("97", "$a");
    MATCHES("1.5", "1.5");
    MATCHES("1.5", "16#1.8");
    MATCHES("10.5", "1_0.5");
    DIFFERS("1.8", "16#1.8");
    DIFFERS("1", "1.0");
    DIFFERS("1.0", "1");
    DIFFERS("1.5", "1.25");
    MATCHES("\"abc\"", "\"ab\" \"c\"");
    MATCHES("[97,8364]", "\"a\\x{20ac}\"");
    DIFFERS("\"abc\"", "\"ab\"");
    DIFFERS("\"abc\"", "\"abcd\"");
    DIFFERS("\"abc\"", "\"abd\"");
    DIFFERS("[97|b]", "\"a\"");
    MATCHES("[]", "\"\"");
    MATCHES("<<\"abc\",1,5:3>>", "<<97,\"bc\",1,5:3>>");
    DIFFERS("<<\"abc\">>", "<<\"ab\">>");
    DIFFERS("<<\"abc\">>", "<<\"abcd\">>");
    DIFFERS("<<\"abc\">>", "<<\"abd\">>");
    DIFFERS("<<5:3>>", "<<5:4>>");
    DIFFERS("<<5:3>>", "<<4:3>>");
    DIFFERS("abc", "<<\"abc\">>");
    MATCHES("<<>>", "<<>>");
    MATCHES("{#Pid<a@b.1.2.3>,#Port<a@b.4.5>,#Ref<a@b.6.7.8>,fun m:f/1}",
            "{#Pid<a@b.1.2.3>,#Port<a@b.4.5>,#Ref<a@b.6.7.8>,fun m:f/1}");
    DIFFERS("#Pid<a@b.1.2.3>", "#Pid<a@b.1.2.4>");
    DIFFERS("#Port<a@b.1.2>", "#Port<a@b.1.3>");
    DIFFERS("#Ref<a@b.1.2>", "#Ref<a@b.1.2.0>");
    DIFFERS("fun m:f/1", "fun m:f/2");
    DIFFERS("fun m:f/1", "fun m:g/1");
    DIFFERS("ok", "error");
    DIFFERS("{a,b}", "{a}");
    DIFFERS("{a}", "{a, b}");
    /* The tag does not matter. */
    assert_int_equal(etf_match(hex("7301e9"), "'\xc3\xa9'"), 0);
    assert_int_equal(etf_match(hex("6200000007"), "7"), 0);
    assert_int_equal(etf_match(hex("6c00000001610161016a"), "_"), 0);
}

static void match_maps(void **state) {
    etf_view t;
    int i;

    (void)state;
    MATCHES("#{a => 1,b => {2},\"k\" => x}", "#{b => {~i}, \"k\" => ~t}", &i,
            &t);
    assert_int_equal(i, 2);
    assert_hex(t.data, t.len, "770178");
    MATCHES("{#{a => 1},y}", "{#{}, ~a}", &t);
    MATCHES("#{#{a => [1]} => 1}", "#{#{a => [_]} => ~i}", &i);
    MATCHES("#{1 => a,1.0 => b}", "#{1.0 => b, 1 => a}");
    DIFFERS("#{a => 1}", "#{b => ~i}", &i);
    DIFFERS("#{a => 1}", "#{a => ~a}", &t);
    DIFFERS("#{}", "#{a => _}");
    DIFFERS("[]", "#{}");
    assert_int_equal(etf_match(term("#{a => 1}"), "#{~a => _}", &t),
                     CN_ESYNTAX);
}

/* := is what Erlang has in a pattern; a key may be a name that is known. */
static void match_exact_maps(void **state) {
    etf_view t;
    int i;

    (void)state;
    MATCHES("#{a => 1,b => {2}}", "#{b := {~i}}", &i);
    assert_int_equal(i, 2);
    MATCHES("{k,#{j => 1,k => 2}}", "{Key, #{Key := ~i}}", &i);
    assert_int_equal(i, 2);
    DIFFERS("{k,#{j => 1}}", "{Key, #{Key := ~i}}", &i);
    assert_int_equal(etf_match(term("#{a => 1}"), "#{Key := ~t}", &t),
                     CN_ESYNTAX);
    PACK_FAILS(CN_ESYNTAX, "#{a := ~i}", 1);
}

static void match_names(void **state) {
    etf_view t;

    (void)state;
    MATCHES("{a,[a,b],\"a\"}", "{X, [X, Y], _Z}");
    DIFFERS("{a,b}", "{X, X}");
    DIFFERS("{1,1.0}", "{X, X}");
    MATCHES("{[],#{1 => a,2 => b},#{2 => b,1 => a}}", "{_, X, X}");
    MATCHES("{[1,2],\"\\1\\2\",97,\"a\"}", "{X, X, Y, [Y]}");
    assert_int_equal(
        etf_match(hex("6803 6107 6200000007 6e010007"), "{X, X, X}"), 0);
    MATCHES("{a,x,a}", "{Abc_1@, ~a, Abc_1@}", &t);
    DIFFERS("{a,b}", "{A, AB, C}");
    MATCHES("{1,2,3,4,5,6,7,8}", "{A, B, C, D, E, F, G, H}");
    assert_int_equal(
        etf_match(term("{1,2,3,4,5,6,7,8,9}"), "{A, B, C, D, E, F, G, H, I}"),
        CN_ELIMIT);
    assert_int_equal(etf_match(hex("6802 770161 7701"), "{X, X}"), CN_ETRUNC);
    PACK_FAILS(CN_ESYNTAX, "{X}");
    PACK_FAILS(CN_ESYNTAX, "_");
}

/* The elements of the list, each as text, one behind the other. */
static const char *elements(etf_list list) {
    static char text[200];
    etf_view element;
    size_t n = list.n, at = 0;

    text[0] = '\0';
    for (; etf_list_next(&list, &element); n--) {
        at += etf_print(element, text + at, sizeof text - at);
        text[at++] = ' ';
        text[at] = '\0';
    }
    assert_int_equal(n, 0);
    assert_false(etf_list_next(&list, &element));
    return text;
}

static void match_rests(void **state) {
    etf_list rest;
    int i;

    (void)state;
    MATCHES("[1,a,{b}]", "[~i | ~l]", &i, &rest);
    assert_string_equal(elements(rest), "a {b} ");
    PACKS("[0,a,{b}]", "[~i | ~l]", 0, &rest);
    PACKS("{[a,{b}]}", "{~l}", &rest);
    MATCHES("[1,2,3]", "[~i | ~l]", &i, &rest);
    assert_string_equal(elements(rest), "2 3 ");
    PACKS("{[2,3],[x,2,3]}", "{~l, [~a | ~l]}", &rest, "x", &rest);
    MATCHES("{[a],[]}", "{~l, _}", &rest);
    assert_string_equal(elements(rest), "a ");
    MATCHES("{[a],[]}", "{_, ~l}", &rest);
    assert_int_equal(rest.n, 0);
    MATCHES("[a]", "[_ | ~l]", &rest);
    assert_string_equal(elements(rest), "");
    PACKS("[]", "~l", &rest);
    PACKS("[a]", "[a | ~l]", &rest);
    MATCHES("{[1,[2],3],x}", "{[1 | ~l], x}", &rest);
    assert_string_equal(elements(rest), "[2] 3 ");
    DIFFERS("[a|b]", "[_ | ~l]", &rest);
    DIFFERS("[a,b|c]", "~l", &rest);
    DIFFERS("{a}", "~l", &rest);
    /* Lists as tails: [a | [b | "cd"]]. */
    assert_int_equal(etf_match(hex("6c00000001 770161 6c00000001 770162"
                                   "6b00026364"),
                               "[_ | ~l]", &rest),
                     0);
    assert_string_equal(elements(rest), "b 99 100 ");
    PACKS("[x,b,99,100]", "[~a | ~l]", "x", &rest);
    assert_int_equal(etf_match(term("[a]"), "[_ | ~l]", &i), CN_EBADARG);
    assert_int_equal(etf_match(hex("6c00000002 770161 7701"), "~l", &rest),
                     CN_ETRUNC);
    PACK_FAILS(CN_EBADARG, "~l", 1);
    PACK_FAILS(CN_EBADARG, "~l", (etf_list *)NULL);
}

static void match_slips(void **state) {
    static char deep[80], many[257];
    etf_view t;
    etf_out bad = {ETF_ARG_I64, 3, in};
    etf_out bad_size[] = {etf__out_format("~i"), bad};
    char byte = 0;
    int i;

    (void)state;
    assert_int_equal(etf_match(term("a"), "~i", &t), CN_EBADARG);
    assert_int_equal(etf_match(term("a"), "~a", &i), CN_EBADARG);
    assert_int_equal(etf_match(term("a"), "~a", &byte), CN_EBADARG);
    assert_int_equal(etf_match(term("a"), "~a"), CN_EBADARG);
    assert_int_equal(etf_match(term("a"), "a", &t), CN_EBADARG);
    assert_int_equal(etf_match(term("a"), "~a", (etf_view *)NULL), CN_EBADARG);
    assert_int_equal(etf_match(term("a"), "~x", &t), CN_ESYNTAX);
    assert_int_equal(etf_match(term("a"), "a b"), CN_ESYNTAX);
    assert_int_equal(etf_match(term("a"), ""), CN_ESYNTAX);
    assert_int_equal(etf_match_args(term("a"), NULL, 0), CN_EBADARG);
    assert_int_equal(etf_match_args(term("1"), bad_size, 2), CN_EBADARG);
    /* Slips behind the place where the term differs. */
    assert_int_equal(etf_match(term("{a}"), "{b, ~i", &i), CN_ESYNTAX);
    assert_int_equal(etf_match(term("{a}"), "{b, ~i}", &t), CN_EBADARG);
    assert_int_equal(etf_match(term("{a}"), "{b, ~i}"), CN_EBADARG);
    assert_int_equal(etf_match(term("{a}"), "{b}", &i), CN_EBADARG);
    assert_int_equal(etf_match(term("{a}"), "{b, #{~a := 1}}", &t), CN_ESYNTAX);
    assert_int_equal(etf_match(term("{a}"), "{b, #{{x, _} := 1}}"), CN_ETYPE);
    assert_int_equal(etf_match(term("{a}"), "{b, K, #{K := L, L := _}}"),
                     CN_ETYPE);
    assert_int_equal(etf_match(term("{a}"), "{b, K, #{L := _}}"), CN_ESYNTAX);
    assert_int_equal(etf_match(term("#{}"), "#{[a | ~l] := 1}", &t),
                     CN_ESYNTAX);
    memset(many, 'x', 256);
    assert_int_equal(etf_match(term("a"), many), CN_ELIMIT);
    assert_int_equal(etf_match(hex("7701"), "~a", &t), CN_ETRUNC);
    /* Said in the header: one term is looked at, and patterns know no records.
     */
    assert_int_equal(etf_match(hex("61016102"), "1"), 0);
    assert_int_equal(etf_match(term("a"), "#m:r{a = ~i}", &i), CN_ESYNTAX);
    assert_int_equal(etf_match(hex("ff"), "_"), CN_EBADTERM);
    for (int k = 0; k < 33; k++) {
        deep[k] = '{';
        deep[34 + k] = '}';
    }
    deep[33] = 'a';
    assert_int_equal(etf_match(term(deep), deep), CN_ELIMIT);
    deep[66] = '\0';
    assert_int_equal(etf_match(term(deep + 1), deep + 1), 0);
}

/* What is said, and at which byte of the pattern. */
#define PACK_WHY(byte, text, ...)                                              \
    do {                                                                       \
        etf_error e_;                                                          \
        int err;                                                               \
        etf_writer_init(&w, NULL);                                             \
        err = etf_pack(&w, __VA_ARGS__);                                       \
        etf_writer_reset(&w);                                                  \
        assert_int_equal(etf_pack_why(&w, &e_, __VA_ARGS__), err);             \
        assert_int_equal(e_.code, err);                                        \
        assert_string_equal(e_.what, text);                                    \
        assert_int_equal(e_.at, byte);                                         \
        assert_int_equal(etf_writer_finish(&w, NULL), err);                    \
        etf_writer_free(&w);                                                   \
    } while (0)

#define MATCH_WHY(term, byte, text, ...)                                       \
    do {                                                                       \
        etf_view t_ = (term);                                                  \
        etf_error e_;                                                          \
        int err = etf_match(t_, __VA_ARGS__);                                  \
        assert_int_equal(etf_match_why(t_, &e_, __VA_ARGS__), err);            \
        assert_int_equal(e_.code, err);                                        \
        assert_string_equal(e_.what, text);                                    \
        assert_int_equal(e_.at, byte);                                         \
    } while (0)

static void pack_why(void **state) {
    static char many[257];
    const char *none = NULL;
    etf_pid unended = {.node = "a@b"};
    etf_error e;

    (void)state;
    memset(many, 'x', 256);
    PACK_WHY(0, "", "{a, ~i}", 1);
    PACK_WHY(4, "~i needs an integer", "{a, ~i}", "1");
    PACK_WHY(4, "~f needs a double", "{a, ~f}", 1);
    PACK_WHY(0, "~p needs a pointer to an etf_pid", "~p", &ref);
    PACK_WHY(0, "~r needs a pointer to an etf_ref", "~r", &pid);
    PACK_WHY(0, "~o needs a pointer to an etf_port", "~o", &pid);
    PACK_WHY(0, "~l needs a pointer to an etf_list", "~l", 1);
    PACK_WHY(0, "~t needs an etf_view of a term", "~t", "x");
    PACK_WHY(4, "~a, ~b and ~s need a const char * or an etf_view", "[1, ~b]",
             none);
    PACK_WHY(8, "a hole without an argument", "{~i, a, ~i}", 1);
    PACK_WHY(4, "more arguments than holes", "{~i}", 1, 2);
    PACK_WHY(5, "a hole of no known letter: ~a ~b ~f ~i ~l ~o ~p ~r ~s ~t",
             "{ok, ~d}", 1);
    PACK_WHY(1, "a variable, which has no value", "{Name}");
    PACK_WHY(4, "not expected here", "#{a := ~i}", 1);
    PACK_WHY(5, "the text ends too early", "{a, b");
    PACK_WHY(0, "no pattern, or more than 16 arguments", none);
    PACK_WHY(4, "an atom of more than 255 characters", "{a, ~a}", many);
    PACK_WHY(1, "text that is not UTF-8", "{~a}", "\xff");
    PACK_WHY(0, "a view that holds no term", "~t", etf_view_of(NULL, 0));
    PACK_WHY(1, "an identifier whose node is not UTF-8 or not of node_len",
             "[~p]", &unended);
    PACK_WHY(3, "a float that is no number", "{1,~f}", 1e308 * 10);
    etf_writer_init(&w, NULL);
    etf_put_float(&w, 1e308 * 10);
    assert_int_equal(etf_pack_why(&w, &e, "a"), CN_ERANGE);
    assert_string_equal(e.what, "an error from before");
    etf_writer_free(&w);
    etf_writer_init_fixed(&w, many, 1);
    assert_int_equal(etf_pack_why(&w, &e, "{a}"), CN_ELIMIT);
    assert_int_equal(e.code, CN_ELIMIT);
    assert_string_equal(e.what, cn_strerror(CN_ELIMIT));
}

static void match_why_slips(void **state) {
    static char many[257];
    const char *none = NULL;
    etf_view t;
    char byte = 0;
    double f;
    int i;

    (void)state;
    MATCH_WHY(term("{b,1}"), 0, "", "{b, ~i}", &i);
    MATCH_WHY(term("a"), 1, "~i needs a pointer to an integer that is not char",
              "{~i}", &byte);
    MATCH_WHY(term("1"), 0, "~f needs a pointer to a double", "~f", &i);
    MATCH_WHY(term("1"), 0, "~p needs a pointer to an etf_pid", "~p", &i);
    MATCH_WHY(term("1"), 0, "~t needs a pointer to an etf_view", "~t", &i);
    MATCH_WHY(term("1"), 0, "~a, ~b and ~s need a pointer to an etf_view", "~b",
              &f);
    MATCH_WHY(term("1"), 4, "a hole without an argument", "{a, ~i}");
    MATCH_WHY(term("1"), 7, "more arguments than holes", "{a, ~i}", &i, &t);
    MATCH_WHY(term("a"), 1, "more arguments than holes", "a", &i);
    MATCH_WHY(term("1"), 4,
              "a hole of no known letter: ~a ~b ~f ~i ~l ~o ~p ~r ~s ~t",
              "{a, ~u}", &i);
    MATCH_WHY(term("1"), 6, "the text ends too early", "{a, ~i", &i);
    MATCH_WHY(term("a"), 2, "not expected here", "a b");
    MATCH_WHY(term("1"), 0, "no pattern, or more than 16 arguments", none);
    MATCH_WHY(term("#{a => 1}"), 2,
              "in the key of a map: a hole, or a new name", "#{~a := _}", &t);
    MATCH_WHY(term("#{a => 1}"), 2,
              "in the key of a map: a hole, or a new name", "#{K := _}");
    MATCH_WHY(term("{b}"), 6, "in the key of a map: a hole, or a new name",
              "{a, #{N := 1}}");
    MATCH_WHY(term("a"), 0, "not expected in a match", "#m:r{a = 1}");
    memset(many, 'x', 256);
    MATCH_WHY(term("a"), 0, "an atom of more than 255 characters", many);
    MATCH_WHY(term("{1,2,3,4,5,6,7,8,9}"), 17, "more than 8 names",
              "{A,B,C,D,E,F,G,H,I}");
}

static void match_why_differs(void **state) {
    static const char differs[] = "the term is another one here";
    etf_view t;
    etf_list l;
    etf_pid p;
    double f;
    unsigned char c;
    int i;

    (void)state;
    MATCH_WHY(term("{b,1}"), 1, differs, "{a, ~i}", &i);
    MATCH_WHY(term("{b,1}"), 0, differs, "[a, ~i]", &i);
    MATCH_WHY(term("{b}"), 4, "no integer for ~i, or one that does not fit",
              "{b, ~i}", &i);
    MATCH_WHY(term("{b,300}"), 4, "no integer for ~i, or one that does not fit",
              "{b, ~i}", &c);
    MATCH_WHY(term("{b,1,2}"), 6, differs, "{b, ~i}", &i);
    MATCH_WHY(term("{b,1}"), 4, "no binary for ~b", "{b, ~b}", &t);
    MATCH_WHY(term("{b,1}"), 4, "no atom for ~a", "{b, ~a}", &t);
    MATCH_WHY(term("1"), 0, "no float for ~f", "~f", &f);
    MATCH_WHY(term("1"), 0, "no pid for ~p", "~p", &p);
    MATCH_WHY(term("1"), 0, "no binary or list of bytes for ~s", "~s", &t);
    MATCH_WHY(term("[a|b]"), 0, "no proper list for ~l", "~l", &l);
    MATCH_WHY(term("[a,b]"), 5, "no term for ~t", "[_ | ~t]", &t);
    MATCH_WHY(term("[a,b]"), 5, differs, "[_ | Rest]");
    MATCH_WHY(term("[a|b]"), 5, "no proper list for ~l", "[_ | ~l]", &l);
    MATCH_WHY(term("[a|b]"), 2, differs, "[a]");
    MATCH_WHY(term("[a,b]"), 2, differs, "[a]");
    MATCH_WHY(term("{a,#{k => 1}}"), 6, differs, "{a, #{n := ~i}}", &i);
    MATCH_WHY(term("{a,#{}}"), 6, differs, "{a, #{n := ~i}}", &i);
    MATCH_WHY(term("#{k => 1, n => a}"), 15,
              "no integer for ~i, or one that does not fit",
              "#{k := 1, n := ~i}", &i);
    MATCH_WHY(term("{a,b}"), 4, differs, "{X, X}");
    MATCH_WHY(term("{a,<<1,2>>}"), 9, differs, "{a, <<1,3>>}");
    MATCH_WHY(term("{a,\"bc\"}"), 4, differs, "{a, \"bd\"}");
    MATCH_WHY(hex("836161"), 0, cn_strerror(CN_EBADTERM), "~i", &i);
    MATCH_WHY(hex("68026161"), 3, cn_strerror(CN_ETRUNC), "{_,_}");
}

/* Each vector matches itself where patterns can say it, and a cut one is an
 * error, not a crash. */
static void self_match(const vector *v) {
    uint8_t *part = malloc(v->term.len);
    etf_view t;
    int err;

    assert_non_null(part);
    assert_int_equal(etf_match(v->term, "~t", &t), 0);
    assert_true(t.len <= v->term.len);
    if (v->canonical) {
        err = etf_match(v->term, v->text);
        assert_true(err == 0 || err == CN_ELIMIT);
    }
    memcpy(part, v->term.data, v->term.len - 1);
    assert_int_not_equal(etf_match(etf_view_of(part, v->term.len - 1), v->text),
                         0);
    free(part);
}

static void vectors(void **state) {
    (void)state;
    assert_true(each_vector(self_match) > 500);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pack_holes),
        cmocka_unit_test(pack_lists),
        cmocka_unit_test(pack_between),
        cmocka_unit_test(pack_slips),
        cmocka_unit_test(pack_out_of_memory),
        cmocka_unit_test(match_integers),
        cmocka_unit_test(match_holes),
        cmocka_unit_test(match_lists),
        cmocka_unit_test(match_literals),
        cmocka_unit_test(match_joined),
        cmocka_unit_test(match_maps),
        cmocka_unit_test(match_exact_maps),
        cmocka_unit_test(match_names),
        cmocka_unit_test(match_rests),
        cmocka_unit_test(match_slips),
        cmocka_unit_test(pack_why),
        cmocka_unit_test(match_why_slips),
        cmocka_unit_test(match_why_differs),
        cmocka_unit_test(vectors),
    };
    return cmocka_run_group_tests_name("pattern", tests, NULL, NULL);
}
