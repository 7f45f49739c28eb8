/* SPDX-License-Identifier: Apache-2.0
 *
 * discover_dns_test.c: answers of DNS servers, and files of hosts.
 */
#include <stdio.h>
#include <string.h>

#include "cnode/discover_parts.h"
#include "tests/unit/support.h"

/* id, flags, counts of questions and answers; a.b SRV IN */
#define HEAD(flags, answers) "1234 " flags " 0001 " answers " 0000 0000 "
#define ASKED(type) "0161 0162 00 " type " 0001 "

enum { HOSTS = 1024 };

/* The hosts in an answer, with blanks between them; then what it ended with. */
static int read_answer(cnode__dns_type type, const char *hex,
                       char hosts[HOSTS]) {
    uint8_t in[1024];
    size_t n = unhex(hex, in, sizeof in), len = 0;
    char host[CNODE__DNS_NAME + 1];
    cnode__dns_answer a;
    int err = cnode__dns_open(&a, type, in, n);

    *hosts = '\0';
    if (err != 0)
        return err;
    while ((err = cnode__dns_next(&a, host)) == 1)
        len += (size_t)snprintf(hosts + len, HOSTS - len, "%s%s",
                                len == 0 ? "" : " ", host);
    return err;
}

typedef struct row {
    cnode__dns_type type;
    const char *hex;
    int end;
    const char *hosts;
} row;

static const row rows[] = {
    /* Two addresses, behind an alias. */
    {CNODE__DNS_A,
     HEAD("8180", "0003")
         ASKED("0001") "c00c 0005 0001 00000005 0004 0163 c00e "
                       "c027 0001 0001 00000005 0004 0a000001 "
                       "c027 0001 0001 00000005 0004 0a0000ff",
     0, "10.0.0.1 10.0.0.255"},
    {CNODE__DNS_AAAA,
     HEAD("8180", "0001") ASKED("001c") "c00c 001c 0001 00000005 0010 "
                                        "fd00000000000000 0000000000000001",
     0, "fd00::1"},
    /* SRV: whole, with a pointer, "." for none. */
    {CNODE__DNS_SRV,
     HEAD("8180", "0003") ASKED(
         "0021") "c00c 0021 0001 00000005 000c 0000 0000 1111 027830 0168 00 "
                 "c00c 0021 0001 00000005 000b 0000 0000 1111 027831 c00e "
                 "c00c 0021 0001 00000005 0007 0000 0000 1111 00",
     0, "x0.h x1.b"},
    /* Others' types and classes are passed over. */
    {CNODE__DNS_A,
     HEAD("8180", "0002") ASKED("0001") "c00c 0001 0003 00000005 0004 0a000001 "
                                        "c00c 0010 0001 00000005 0002 0141",
     0, ""},
    {CNODE__DNS_A, HEAD("8180", "0000") ASKED("0001"), 0, ""},
    {CNODE__DNS_A, HEAD("8183", "0000") ASKED("0001"), CN_ENOENT, ""},
    {CNODE__DNS_A, HEAD("8182", "0000") ASKED("0001"), CN_EREFUSED, ""},
    {CNODE__DNS_A, HEAD("0180", "0000") ASKED("0001"), CN_EPROTO, ""},
    {CNODE__DNS_A, "", CN_EPROTO, ""},
    /* An address of five bytes. */
    {CNODE__DNS_A,
     HEAD("8180", "0001")
         ASKED("0001") "c00c 0001 0001 00000005 0005 0a00000100",
     CN_EPROTO, ""},
    /* A pointer to itself, one forward, a loop of two, a label that is none. */
    {CNODE__DNS_SRV,
     HEAD("8180", "0001")
         ASKED("0021") "c00c 0021 0001 00000005 0008 0000 0000 1111 c027",
     CN_EPROTO, ""},
    {CNODE__DNS_SRV,
     HEAD("8180", "0001")
         ASKED("0021") "c00c 0021 0001 00000005 0008 0000 0000 1111 c0ff",
     CN_EPROTO, ""},
    {CNODE__DNS_SRV,
     HEAD("8180", "0001")
         ASKED("0021") "c00c 0021 0001 00000005 000a 0000 0000 1111 0178 c027",
     CN_EPROTO, ""},
    {CNODE__DNS_SRV,
     HEAD("8180", "0001")
         ASKED("0021") "c00c 0021 0001 00000005 0008 0000 0000 1111 4100",
     CN_EPROTO, ""},
    /* Bytes behind the target, and a character that no host has. */
    {CNODE__DNS_SRV,
     HEAD("8180", "0001")
         ASKED("0021") "c00c 0021 0001 00000005 000a 0000 0000 1111 0178 00 00",
     CN_EPROTO, ""},
    {CNODE__DNS_SRV,
     HEAD("8180", "0001")
         ASKED("0021") "c00c 0021 0001 00000005 0009 0000 0000 1111 0140 00",
     CN_EPROTO, ""},
};

static void reads_answers(void **state) {
    char hosts[HOSTS];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int end = read_answer(rows[i].type, rows[i].hex, hosts);
        if (end != rows[i].end || strcmp(hosts, rows[i].hosts) != 0)
            fail_msg("row %zu: %s, '%s'", i, cn_errname(end), hosts);
    }
}

/* Each prefix is refused where it is cut, and no byte is read behind it. */
static void reads_cut_answers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t all[1024];
        size_t n = unhex(rows[i].hex, all, sizeof all);
        for (size_t cut = 0; cut < n; cut++) {
            uint8_t *in = test_malloc(cut + 1);
            char host[CNODE__DNS_NAME + 1];
            cnode__dns_answer a;
            memcpy(in, all, cut);
            if (cnode__dns_open(&a, rows[i].type, in, cut) == 0)
                while (cnode__dns_next(&a, host) == 1)
                    assert_true(host[0] != '\0');
            test_free(in);
        }
    }
}

/* Names have 255 bytes at the most. */
static void refuses_long_names(void **state) {
    uint8_t in[1024];
    size_t n = unhex(HEAD("8180", "0001") "00 0021 0001 00 0021 0001 00000005 "
                                          "0000 0000 0000 1111",
                     in, sizeof in);
    char host[CNODE__DNS_NAME + 1];
    cnode__dns_answer a;

    (void)state;
    for (int labels = 1; labels < 8; labels++) {
        size_t at = n;
        for (int i = 0; i < labels; i++) {
            in[at] = 63;
            memset(in + at + 1, 'x', 63);
            at += 64;
        }
        in[at++] = 0;
        cn__put16(in + n - 8, (uint16_t)(at - n + 6));
        assert_int_equal(cnode__dns_open(&a, CNODE__DNS_SRV, in, at), 0);
        assert_int_equal(cnode__dns_next(&a, host),
                         labels <= 4 ? 1 : CN_EPROTO);
        if (labels <= 4)
            assert_int_equal(strlen(host), (size_t)labels * 64 - 1);
    }
}

/* --- .hosts.erlang ------------------------------------------------------- */

/* A chain of n pointers to the name "x". */
static int read_chain(unsigned n) {
    static const char head[] =
        HEAD("8180", "0001") ASKED("0021") "00 0021 0004 00000005";
    uint8_t in[1024];
    char host[CNODE__DNS_NAME + 1];
    cnode__dns_answer a;
    size_t at = unhex(head, in, sizeof in), first, more;

    in[7]++; /* the chain is the data of a record of another class */
    at += unhex("0000 0178 00", in + at, sizeof in - at);
    first = at - 3;
    for (unsigned i = 1; i < n; i++, at += 2) {
        size_t to = i == 1 ? first : at - 2;
        in[at] = (uint8_t)(0xc0 | to >> 8);
        in[at + 1] = (uint8_t)to;
    }
    more = at - first;
    in[first - 2] = (uint8_t)(more >> 8);
    in[first - 1] = (uint8_t)more;
    first = at - 2;
    at += unhex("00 0021 0001 00000005 0008 0000 0000 1111", in + at,
                sizeof in - at);
    in[at++] = (uint8_t)(0xc0 | first >> 8);
    in[at++] = (uint8_t)first;
    assert_int_equal(cnode__dns_open(&a, CNODE__DNS_SRV, in, at), 0);
    return cnode__dns_next(&a, host);
}

static void refuses_long_chains(void **state) {
    (void)state;
    assert_int_equal(read_chain(127), 1);
    assert_int_equal(read_chain(128), CN_EPROTO);
}

static void reads_hosts(void **state) {
    const char *text = "'super.eua.example.com'.\n% a comment\n  'b-2'.% one\n"
                       "plain_1 . 'a\\'b\\\\'.\n\n'last'.";
    static const char *const want[] = {"super.eua.example.com", "b-2",
                                       "plain_1", "a'b\\", "last"};
    char host[64];

    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        assert_int_equal(cnode__hosts_next(&text, host, sizeof host), 1);
        assert_string_equal(host, want[i]);
    }
    assert_int_equal(cnode__hosts_next(&text, host, sizeof host), 0);
    assert_int_equal(cnode__hosts_next(&text, host, sizeof host), 0);
}

static void refuses_hosts(void **state) {
    static const char *const bad[] = {"'a'",      "'a",     "'a\n'.", "a.b.",
                                      "'a'.'b'.", "\"a\".", "''.",    "A.",
                                      "'a'..",    "1.",     "'\\",    "'a' b."};
    char host[64];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *text = bad[i];
        if (cnode__hosts_next(&text, host, sizeof host) != CN_ESYNTAX ||
            text != bad[i])
            fail_msg("%s", bad[i]);
    }
    {
        const char *text = "'abc'.";
        assert_int_equal(cnode__hosts_next(&text, host, 3), CN_ELIMIT);
        assert_int_equal(cnode__hosts_next(&text, host, 4), 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_answers),
        cmocka_unit_test(reads_cut_answers),
        cmocka_unit_test(refuses_long_names),
        cmocka_unit_test(refuses_long_chains),
        cmocka_unit_test(reads_hosts),
        cmocka_unit_test(refuses_hosts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
