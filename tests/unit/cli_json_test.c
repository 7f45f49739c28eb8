/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_json_test.c: terms as JSON and back, without loss. The bytes are those
 * of term_to_binary of OTP 25 to 27, without version byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "support.h"

/* Bytes, and their JSON. */
static const struct {
    const char *hex;
    const char *json;
} vectors[] = {
    {"6100", "0"},
    {"62ffffffff", "-1"},
    {"6e08 00 ffffffffffffff7f", "9223372036854775807"},
    {"6e08 01 0000000000000080", "-9223372036854775808"},
    {"6e08 00 0000000000000080", "{\"i\":\"9223372036854775808\"}"},
    {"6e09 01 000000000000000001", "{\"i\":\"-18446744073709551616\"}"},
    {"46 3ff8000000000000", "1.5"},
    {"46 3ff0000000000000", "1.0"},
    {"46 8000000000000000", "-0.0"},
    {"46 0000000000000001", "4.94065645841247e-324"},
    {"46 400921fb54442d18", "3.141592653589793"},
    {"7704 74727565", "true"},
    {"7704 6e756c6c", "null"},
    {"7702 6f6b", "{\"a\":\"ok\"}"},
    {"7702 c3a9", "{\"a\":\"\xc3\xa9\"}"},
    {"7701 00", "{\"a\":\"\\u0000\"}"},
    {"64 0002 6f6b", "{\"a\":[\"ok\",100]}"},
    {"73 01 e9", "{\"a\":[\"\xc3\xa9\",115]}"},
    {"76 0002 6f6b", "{\"a\":[\"ok\",118]}"},
    {"6d 00000003 746561", "\"tea\""},
    {"6d 00000003 225c0a", "\"\\\"\\\\\\n\""},
    {"6d 00000002 ff00", "{\"b\":\"ff00\"}"},
    {"4d 00000001 03 20", "{\"bits\":[3,\"20\"]}"},
    {"4d 00000001 03 3f", "{\"etf\":\"4d00000001033f\"}"},
    {"6a", "[]"},
    {"6b 0003 010203", "[1,2,3]"},
    {"6c 00000002 6101 620000ffff 6a", "[1,65535]"},
    {"6c 00000001 6a 6a", "[[]]"},
    {"6c 00000001 6101 6a", "{\"etf\":\"6c0000000161016a\"}"},
    {"6c 00000000 6107", "{\"etf\":\"6c000000006107\"}"},
    {"6c 00000001 6101 6102", "{\"improper\":[1,2]}"},
    {"6800", "{\"t\":[]}"},
    {"6802 6101 6800", "{\"t\":[1,{\"t\":[]}]}"},
    {"69 00000001 6101", "{\"etf\":\"69000000016101\"}"},
    {"74 00000000", "{}"},
    {"74 00000001 6d00000001 6b 6101", "{\"k\":1}"},
    {"74 00000001 6d00000001 61 6101", "{\"m\":[[\"a\",1]]}"},
    {"74 00000002 6d00000001 61 6101 6d00000001 74 6a", "{\"a\":1,\"t\":[]}"},
    {"74 00000002 7701 61 6101 7701 62 6a", "{\"a\":{\"a\":1,\"b\":[]}}"},
    {"74 00000001 7701 61 7400000000", "{\"a\":{\"a\":{}}}"},
    {"74 00000002 6101 6102 6103 74 00000001 6a 6a",
     "{\"m\":[[1,2],[3,{\"m\":[[[],[]]]}]]}"},
    {"58 7703 614062 00000001 00000002 00000003", "{\"pid\":[\"a@b\",1,2,3]}"},
    {"78 7703 614062 0000000100000000 00000003",
     "{\"port\":[\"a@b\",4294967296,3]}"},
    {"5a 0002 7703 614062 00000003 00000001 ffffffff",
     "{\"ref\":[\"a@b\",3,1,4294967295]}"},
    {"71 7705 6c69737473 7703 6d6170 6102", "{\"fun\":[\"lists\",\"map\",2]}"},
    {"71 7703 610062 7702 c3a9 61ff",
     "{\"fun\":[\"a\\u0000b\",\"\xc3\xa9\",255]}"},
};

#define NVECTORS (sizeof vectors / sizeof *vectors)

static void assert_prints(etf_view term, const char *json) {
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    assert_non_null(f);
    assert_int_equal(cli_json_print(term, f), 0);
    assert_int_equal(fclose(f), 0);
    if (json != NULL)
        assert_string_equal(text, json);
    free(text);
}

static int parses(fault_alloc *f, void *arg) {
    const char *json = arg;
    char why[CLI_JSON_WHY] = "";
    etf_writer w;
    int rc;

    etf_writer_init(&w, &f->alloc);
    rc = cli_json_parse(&w, json, strlen(json), why);
    if (f->failed)
        assert_int_not_equal(rc, 0);
    etf_writer_free(&w);
    return rc;
}

static void assert_parses(const char *json, const char *hex) {
    char why[CLI_JSON_WHY] = "";
    etf_writer w;
    etf_view term;
    char copy[256];

    etf_writer_init(&w, NULL);
    assert_int_equal(cli_json_parse(&w, json, strlen(json), why), 0);
    assert_int_equal(etf_writer_finish(&w, &term), 0);
    assert_hex(term.data, term.len, hex);
    etf_writer_free(&w);
    (void)snprintf(copy, sizeof copy, "%s", json);
    run_with_every_failure(parses, copy);
}

static void test_both_ways(void **state) {
    (void)state;
    for (size_t i = 0; i < NVECTORS; i++) {
        uint8_t bytes[64];
        size_t n = unhex(vectors[i].hex, bytes, sizeof bytes);

        assert_prints((etf_view){bytes, n}, vectors[i].json);
        assert_parses(vectors[i].json, vectors[i].hex);
    }
}

/* JSON that we would not write. */
static void test_other_json(void **state) {
    (void)state;
    assert_parses(" [ 1 , 2 ] ", "6b 0002 0102");
    assert_parses("1e2", "46 4059000000000000");
    assert_parses("{\"a\":{}}", "74 00000000");
    assert_parses("{\"m\":[]}", "74 00000000");
    assert_parses("{\"i\":\"-7\"}", "62 fffffff9");
    assert_parses("{\"i\":\"16#ff\"}", "61 ff");
    assert_parses("{\"t\":1,\"u\":2}",
                  "74 00000002 6d00000001 74 6101 6d00000001 75 6102");
    assert_parses("{\"b\":\"FF 00\"}", "6d 00000002 ff00");
}

static void test_refused(void **state) {
    static const char *const bad[] = {
        "",
        "{",
        "nul",
        "[1] 2",
        "99999999999999999999",
        "{\"k\":1,\"k\":2}",
        "\"\\ud800\"",
        "{\"a\":1}",
        "{\"a\":[\"ok\"]}",
        "{\"a\":[\"ok\",99]}",
        "{\"a\":[\"\xe2\x82\xac\",100]}",
        "{\"t\":1}",
        "{\"t\":{}}",
        "{\"m\":[1]}",
        "{\"m\":[[1]]}",
        "{\"improper\":[1]}",
        "{\"i\":12}",
        "{\"i\":\"\"}",
        "{\"i\":\"1.5\"}",
        "{\"i\":\"16#\"}",
        "{\"b\":\"f\"}",
        "{\"b\":\"fg\"}",
        "{\"b\":1}",
        "{\"bits\":[9,\"ff\"]}",
        "{\"bits\":[-1,\"ff\"]}",
        "{\"etf\":\"\"}",
        "{\"etf\":\"6802\"}",
        "{\"pid\":[\"n\",1,2]}",
        "{\"pid\":[\"n\",1,2,4294967296]}",
        "{\"port\":[\"n\",-1,2]}",
        "{\"ref\":[\"n\"]}",
        "{\"ref\":[\"n\",1,1,2,3,4,5,6]}",
        "{\"fun\":[\"m\",\"f\",256]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char why[CLI_JSON_WHY] = "";
        etf_writer w;

        etf_writer_init(&w, NULL);
        assert_int_equal(cli_json_parse(&w, bad[i], strlen(bad[i]), why),
                         CN_ESYNTAX);
        assert_true(why[0] != '\0');
        etf_writer_free(&w);
    }
}

/* Deeper than JSON goes: as bytes, and back. */
static void test_deep(void **state) {
    static uint8_t bytes[100001];
    char *text = NULL;
    size_t len = 0;
    char why[CLI_JSON_WHY];
    FILE *f = open_memstream(&text, &len);
    etf_writer w;
    etf_view back;

    (void)state;
    for (size_t i = 0; i + 1 < sizeof bytes; i += 2)
        memcpy(bytes + i, "\x68\x01", 2);
    bytes[sizeof bytes - 1] = 0x6a;
    assert_non_null(f);
    assert_int_equal(cli_json_print((etf_view){bytes, sizeof bytes}, f), 0);
    assert_int_equal(fclose(f), 0);
    etf_writer_init(&w, NULL);
    assert_int_equal(cli_json_parse(&w, text, len, why), 0);
    assert_int_equal(etf_writer_finish(&w, &back), 0);
    assert_int_equal(back.len, sizeof bytes);
    assert_memory_equal(back.data, bytes, sizeof bytes);
    etf_writer_free(&w);
    free(text);
}

/* Keys that differ only in their depth, for which the index has an order of
 * its own; and back in the order that they had. */
static void test_many_deep_keys(void **state) {
    enum { KEYS = 20000 };
    char *text = NULL, *at;
    size_t len = 0;
    char why[CLI_JSON_WHY], want[64];
    FILE *f = open_memstream(&text, &len);
    etf_writer w, back;
    etf_view term, again;

    (void)state;
    assert_non_null(f);
    etf_writer_init(&w, NULL);
    etf_put_map(&w, KEYS);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(etf_pack(&w, "[{~i, x}]", i * 7919 % KEYS) |
                             etf_pack(&w, "~i", i),
                         0);
    assert_int_equal(etf_writer_finish(&w, &term), 0);
    assert_int_equal(cli_json_print(term, f), 0);
    assert_int_equal(fclose(f), 0);
    at = text;
    for (int i = 0; i < KEYS; i++) {
        int n =
            snprintf(want, sizeof want, "%s[[{\"t\":[%d,{\"a\":\"x\"}]}],%d]",
                     i == 0 ? "{\"m\":[" : ",", i * 7919 % KEYS, i);

        assert_memory_equal(at, want, (size_t)n);
        at += n;
    }
    etf_writer_init(&back, NULL);
    assert_int_equal(cli_json_parse(&back, text, len, why), 0);
    assert_int_equal(etf_writer_finish(&back, &again), 0);
    assert_true(etf_view_eq(again, term));
    etf_writer_free(&back);
    etf_writer_free(&w);
    free(text);
}

static void test_malformed(void **state) {
    uint8_t bytes[] = {0x68, 0x02, 0x61, 0x01};
    FILE *f = fopen("/dev/null", "w");

    (void)state;
    assert_non_null(f);
    assert_int_equal(cli_json_print((etf_view){bytes, sizeof bytes}, f),
                     CN_ETRUNC);
    assert_int_equal(fclose(f), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways), cmocka_unit_test(test_other_json),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_deep),
        cmocka_unit_test(test_malformed), cmocka_unit_test(test_many_deep_keys),
    };

    return cmocka_run_group_tests_name("cli_json", tests, NULL, NULL);
}
