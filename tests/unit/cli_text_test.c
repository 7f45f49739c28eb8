/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_text_test.c: names, atoms, options and chardata of the command.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/report.h"
#include "cli/text.h"
#include "support.h"

static void test_hex(void **state) {
    uint8_t out[8];

    (void)state;
    assert_int_equal(cli_hex_parse("00 fF\n7a", 8, out), 3);
    assert_memory_equal(out, "\x00\xff\x7a", 3);
    assert_int_equal(cli_hex_parse("", 0, out), 0);
    assert_int_equal(cli_hex_parse("0", 1, out), -1);
    assert_int_equal(cli_hex_parse("0g", 2, out), -1);
    assert_int_equal(cli_hex_parse("0 0", 3, out), -1);
    assert_int_equal(cli_hex_parse("00\0", 3, out), -1);
}

static void test_utf8(void **state) {
    (void)state;
    assert_true(cli_is_utf8("a\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e", 10));
    assert_true(cli_is_utf8("", 0));
    assert_false(cli_is_utf8("\xc3", 1));
    assert_false(cli_is_utf8("\xc0\x80", 2));
    assert_false(cli_is_utf8("\xed\xa0\x80", 3));
    assert_false(cli_is_utf8("\xf4\x90\x80\x80", 4));
    assert_false(cli_is_utf8("\x80", 1));
}

static void assert_tamed(const char *text, const char *expected) {
    char copy[100];

    (void)snprintf(copy, sizeof copy, "%s", text);
    cli_tame(copy);
    assert_string_equal(copy, expected);
}

static void test_tame(void **state) {
    (void)state;
    assert_tamed("", "");
    assert_tamed("a\nb\x1b[1m\x7f", "a?b?[1m?");
    assert_tamed("\xc2\x9b"
                 "1m\xc2",
                 "??1m\xc2");
    /* Characters that only share a byte with those. */
    assert_tamed("\xc2\xa0\xe2\x82\xac\xf0\x9d\x84\x9e",
                 "\xc2\xa0\xe2\x82\xac\xf0\x9d\x84\x9e");
}

static void test_node_name(void **state) {
    char name[CLI_NAME_MAX], host[CLI_NAME_MAX], expected[600];
    char longest[300];

    (void)state;
    assert_int_equal(cli_node_name("shop@10.0.0.7", name), 0);
    assert_string_equal(name, "shop@10.0.0.7");
    assert_int_equal(gethostname(host, sizeof host), 0);
    host[strcspn(host, ".")] = '\0';
    (void)snprintf(expected, sizeof expected, "shop@%s", host);
    assert_int_equal(cli_node_name("shop", name), 0);
    assert_string_equal(name, expected);
    assert_int_equal(cli_node_name("", name), -1);
    assert_int_equal(cli_node_name("@h", name), -1);
    assert_int_equal(cli_node_name("a@", name), -1);
    assert_int_equal(cli_node_name("a@b@c", name), -1);
    assert_int_equal(cli_node_name("a b@c", name), -1);
    assert_int_equal(cli_node_name("a\x01@c", name), -1);
    assert_int_equal(cli_node_name("\xff@c", name), -1);
    assert_int_equal(cli_node_name("\xc3\xa9@c", name), -1);
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(cli_node_name(longest, name), -1);
}

static void test_own_name(void **state) {
    char name[CLI_NAME_MAX];

    (void)state;
    cli_own_name("shop@127.0.0.1", name);
    assert_string_equal(strchr(name, '@'), "@127.0.0.1");
    assert_memory_equal(name, "cnode_", 6);
    cli_own_name("shop@db.example.org", name);
    assert_non_null(strchr(name, '.'));
    cli_own_name("shop@db", name);
    assert_null(strchr(name, '.'));
}

static void test_mod_fun(void **state) {
    char m[CLI_ATOM_MAX], f[CLI_ATOM_MAX];

    (void)state;
    assert_int_equal(cli_mod_fun("lists:seq", m, f), 0);
    assert_string_equal(m, "lists");
    assert_string_equal(f, "seq");
    assert_int_equal(cli_mod_fun("Elixir.Enum:count", m, f), 0);
    assert_string_equal(m, "Elixir.Enum");
    assert_int_equal(cli_mod_fun("'Elixir.Enum':'any?'", m, f), 0);
    assert_string_equal(m, "Elixir.Enum");
    assert_string_equal(f, "any?");
    assert_int_equal(cli_mod_fun("'a:\\'b':'c d'", m, f), 0);
    assert_string_equal(m, "a:'b");
    assert_string_equal(f, "c d");
    assert_int_equal(cli_mod_fun("erlang:+", m, f), 0);
    assert_string_equal(f, "+");
    assert_int_equal(cli_mod_fun("lists", m, f), -1);
    assert_int_equal(cli_mod_fun("lists:", m, f), -1);
    assert_int_equal(cli_mod_fun(":seq", m, f), -1);
    assert_int_equal(cli_mod_fun("a:b:c", m, f), -1);
    assert_int_equal(cli_mod_fun("'a:b", m, f), -1);
    assert_int_equal(cli_mod_fun("'a'x:b", m, f), -1);
    assert_int_equal(cli_mod_fun("a:'b\\", m, f), -1);
    assert_int_equal(cli_mod_fun("lists:seq(1,10)", m, f), -1);
    assert_int_equal(cli_mod_fun("lists:seq ", m, f), -1);
    assert_int_equal(cli_mod_fun("a b:c", m, f), -1);
    assert_int_equal(cli_mod_fun("'a b':'c(1)'", m, f), 0);
    assert_string_equal(m, "a b");
    assert_string_equal(f, "c(1)");
}

static void test_position(void **state) {
    size_t row, column;

    (void)state;
    cli_position("a\nb\xc3\xa9"
                 "c",
                 5, &row, &column);
    assert_int_equal(row, 2);
    assert_int_equal(column, 3);
}

/* --- options ------------------------------------------------------------- */

/* The words of a line; the result stays until the next call. */
static int parse(cli_options *o, const char *line, char *why) {
    static char copy[400];
    static char *argv[30];
    int argc = 0;

    (void)snprintf(copy, sizeof copy, "%s", line);
    for (char *p = strtok(copy, " "); p != NULL; p = strtok(NULL, " "))
        argv[argc++] = p;
    return cli_options_parse(o, argc, argv, why, 160);
}

static void test_options(void **state) {
    cli_options o = {0};
    char why[160];

    (void)state;
    assert_int_equal(parse(&o,
                           "/usr/bin/cnode -n a@b call --timeout 1.5 "
                           "x@y m:f -vv --format=json -- --rpc",
                           why),
                     0);
    assert_string_equal(o.program, "cnode");
    assert_string_equal(o.command_name, "call");
    assert_string_equal(o.name, "a@b");
    assert_int_equal(o.timeout_ms, 1500);
    assert_int_equal(o.verbose, 2);
    assert_int_equal(o.format, CLI_JSON);
    assert_int_equal(o.nargs, 3);
    assert_string_equal(o.args[0], "x@y");
    assert_string_equal(o.args[2], "--rpc");
    assert_false(o.rpc);
    assert_int_equal(cli_options_check(&o, CLI_CALL, why, sizeof why), 0);

    assert_int_equal(parse(&o, "cnode send x y -1 -nfoo -q", why), 0);
    assert_string_equal(o.args[2], "-1");
    assert_string_equal(o.name, "foo");
    assert_int_equal(o.verbose, -1);

    assert_int_equal(parse(&o, "cnode ping x --rpc", why), 0);
    assert_int_equal(cli_options_check(&o, CLI_PING, why, sizeof why), -1);
    assert_int_equal(cli_options_check(&o, CLI_CALL, why, sizeof why), 0);

    assert_int_equal(
        parse(&o, "cnode serve --connect a@b --connect c@d --port 0", why), 0);
    assert_int_equal(o.nconnect, 2);
    assert_string_equal(o.connect[1], "c@d");
}

static void test_bad_options(void **state) {
    static const char *const bad[] = {
        "cnode --nonsense",
        "cnode -x",
        "cnode --timeout",
        "cnode --timeout 0",
        "cnode --timeout x",
        "cnode --timeout 1.2.3",
        "cnode --timeout .",
        "cnode --timeout inf",
        "cnode --timeout 1e9",
        "cnode --timeout 99999999",
        "cnode --port 65536",
        "cnode --port -1",
        "cnode --port=",
        "cnode --format xml",
        "cnode --from raw",
        "cnode --to raw",
        "cnode --visible=yes",
        "cnode --cookie-fd x",
        "cnode --max-frame 0",
        "cnode --name=",
        "cnode -n",
        "cnode --max-frame 99999999999999999999",
        "cnode --ticktime -1",
    };
    cli_options o = {0};
    char why[160];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        why[0] = '\0';
        assert_int_equal(parse(&o, bad[i], why), -1);
        assert_true(why[0] != '\0');
    }
    /* What follows a mistyped option may be the cookie. */
    assert_int_equal(parse(&o, "cnode --cokie=SECRET", why), -1);
    assert_null(strstr(why, "SECRET"));
}

static void test_status(void **state) {
    (void)state;
    assert_int_equal(cli_status(0), CLI_DONE);
    assert_int_equal(cli_status(CN_EREMOTE), CLI_NO);
    assert_int_equal(cli_status(CN_ESYNTAX), CLI_USAGE);
    assert_int_equal(cli_status(CN_ENOENT), CLI_UNREACHED);
    assert_int_equal(cli_status(CN_ECOOKIE), CLI_REFUSED);
    assert_int_equal(cli_status(CN_EEXIST), CLI_REFUSED);
    assert_int_equal(cli_status(CN_ETIMEDOUT), CLI_TIMEOUT);
    assert_int_equal(cli_status(CN_ENOMEM), CLI_LOCAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hex),       cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_node_name), cmocka_unit_test(test_own_name),
        cmocka_unit_test(test_mod_fun),   cmocka_unit_test(test_position),
        cmocka_unit_test(test_options),   cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_status),    cmocka_unit_test(test_tame),
    };

    return cmocka_run_group_tests_name("cli_text", tests, NULL, NULL);
}
