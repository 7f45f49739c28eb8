/* SPDX-License-Identifier: Apache-2.0
 *
 * epmd_proto_test.c: EPMD's messages against what OTP's nodes and its daemon
 * sent, cut at every byte, and malformed.
 */
#include <stdio.h>
#include <string.h>

#include "epmd/epmd.h"
#include "tests/unit/support.h"

static epmd_view text(const char *s) {
    return (epmd_view){(const uint8_t *)s, strlen(s)};
}

static const char ALIVE_FOO[] = "0010 78 04d2 4d 00 0006 0005 0003 666f6f 0000";

static epmd_req alive_foo(void) {
    return (epmd_req){.op = EPMD_ALIVE2_REQ,
                      .node = {.port = 1234,
                               .node_type = EPMD_NODE_NORMAL,
                               .highest = 6,
                               .lowest = 5,
                               .name = text("foo")}};
}

static void assert_request(const epmd_req *r, const char *hex) {
    uint8_t out[EPMD_REQ_MAX];
    int n = epmd_put_request(out, sizeof out, r);
    epmd_req back;

    assert_true(n > 0);
    assert_hex(out, (size_t)n, hex);
    for (int cap = 0; cap < n; cap++) {
        assert_int_equal(epmd_put_request(out, (size_t)cap, r), CN_ELIMIT);
        assert_int_equal(epmd_get_request(out, (size_t)cap, &back), 0);
    }
    assert_int_equal(epmd_put_request(out, (size_t)n, r), n);
    assert_int_equal(epmd_get_request(out, sizeof out, &back), n);
    assert_int_equal(back.op, r->op);
    assert_int_equal(back.node.name.len, r->node.name.len);
    assert_int_equal(back.node.port, r->node.port);
    assert_int_equal(back.node.extra.len, r->node.extra.len);
    assert_int_equal(epmd_put_request(out + n, sizeof out - (size_t)n, &back),
                     n);
    assert_memory_equal(out, out + n, (size_t)n);
}

static void requests(void **state) {
    epmd_req alive = alive_foo(), port2 = {.op = EPMD_PORT2_REQ};

    (void)state;
    assert_request(&alive, ALIVE_FOO);
    alive.node.highest = 5;
    alive.node.extra = text("\1\2");
    assert_request(&alive,
                   "0012 78 04d2 4d 00 0005 0005 0003 666f6f 0002 0102");
    port2.node.name = text("n25");
    assert_request(&port2, "0004 7a 6e3235");
    port2.op = EPMD_STOP_REQ;
    assert_request(&port2, "0004 73 6e3235");
    assert_request(&(epmd_req){.op = EPMD_NAMES_REQ}, "0001 6e");
    assert_request(&(epmd_req){.op = EPMD_DUMP_REQ}, "0001 64");
    assert_request(&(epmd_req){.op = EPMD_KILL_REQ}, "0001 6b");
}

static int put_named(epmd_op op, epmd_view name) {
    uint8_t out[EPMD_REQ_MAX];
    epmd_req r = alive_foo();

    r.op = op;
    r.node.name = name;
    return epmd_put_request(out, sizeof out, &r);
}

static void bad_requests_are_not_written(void **state) {
    static uint8_t many[EPMD_FIELD_MAX + 1];
    uint8_t out[EPMD_REQ_MAX];
    epmd_req r = alive_foo();

    (void)state;
    memset(many, 'x', sizeof many);
    assert_int_equal(put_named(EPMD_PORT2_REQ, text("")), CN_EBADARG);
    assert_int_equal(put_named(EPMD_ALIVE2_REQ, text("")), CN_EBADARG);
    assert_int_equal(
        put_named(EPMD_PORT2_REQ, (epmd_view){(const uint8_t *)"a\0b", 3}),
        CN_EBADARG);
    assert_int_equal(put_named(EPMD_ALIVE2_REQ, text("\xff")), CN_EBADARG);
    assert_int_equal(put_named(EPMD_PORT2_REQ, (epmd_view){many, sizeof many}),
                     CN_ELIMIT);
    assert_true(put_named(EPMD_PORT2_REQ, (epmd_view){many, EPMD_FIELD_MAX}) >
                0);
    assert_int_equal(put_named((epmd_op)7, text("a")), CN_EBADARG);
    r.node.extra = (epmd_view){many, sizeof many};
    assert_int_equal(epmd_put_request(out, sizeof out, &r), CN_ELIMIT);
}

static void largest_messages_fit(void **state) {
    static uint8_t field[EPMD_FIELD_MAX];
    static uint8_t out[EPMD_REQ_MAX];
    epmd_port2_reply reply = {.node.name = {field, sizeof field},
                              .node.extra = {field, sizeof field}};
    epmd_req r = {.op = EPMD_ALIVE2_REQ, .node = reply.node};

    (void)state;
    for (size_t i = 0; i < sizeof field; i += 4) /* 255 characters */
        memcpy(field + i, "\xf0\x9f\x98\x80", 4);
    assert_int_equal(epmd_put_request(out, sizeof out, &r), EPMD_REQ_MAX);
    assert_int_equal(epmd_get_request(out, sizeof out, &r), EPMD_REQ_MAX);
    assert_int_equal(epmd_put_port2_reply(out, sizeof out, &reply),
                     EPMD_REPLY_MAX);
    assert_int_equal(epmd_get_port2_reply(out, sizeof out, &reply),
                     EPMD_REPLY_MAX);
}

static int get_request(const char *hex, epmd_req *r) {
    static uint8_t in[4096];

    return epmd_get_request(in, unhex(hex, in, sizeof in), r);
}

static void requests_of_others(void **state) {
    static const char *const bad[] = {
        "0000",                                        /* no op */
        "0bf2",                                        /* too long */
        "ffff 78",                                     /* much too long */
        "0001 01",                                     /* unknown op */
        "0001 7a",                                     /* no name */
        "0002 7a 00",                                  /* nothing but the NUL */
        "0001 73",                                     /* STOP without a name */
        "0001 78",                                     /* no node */
        "000f 78 04d2 4d 00 0006 0005 0003 666f6f 00", /* extra's length cut */
        "0010 78 04d2 4d 00 0006 0005 0004 666f6f 0000", /* name too long */
        "0010 78 04d2 4d 00 0006 0005 0003 666f6f 0001", /* extra too long */
        "0010 78 04d2 4d 00 0006 0005 ffff 666f6f 0000", /* absurd */
    };
    epmd_req r;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (get_request(bad[i], &r) != CN_EPROTO)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(get_request("0005 7a 6e323500", &r), 7);
    assert_int_equal(r.node.name.len, 3);
    assert_int_equal(get_request("0bf1 6e", &r), 0);
}

static void names_of_nodes(void **state) {
    static const char *const good[] = {"a", "\xc3\xa9", "\xe2\x82\xac",
                                       "\xf0\x9f\x98\x80", "\xed\x9f\xbf"};
    static const char *const bad[] = {
        "",          "\x80",         "\xc0\x80",         "\xc3",
        "a\xe2\x82", "\xe0\x9f\xbf", "\xed\xa0\x80",     "\xf0\x8f\xbf\xbf",
        "\xf5",      "\xc3(",        "\xf4\x90\x80\x80", "\xff"};
    uint8_t many[256];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(epmd_name_ok(text(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(epmd_name_ok(text(bad[i])));
    assert_false(epmd_name_ok((epmd_view){(const uint8_t *)"a\0", 2}));
    memset(many, 'x', sizeof many);
    assert_true(epmd_name_ok((epmd_view){many, 255}));
    assert_false(epmd_name_ok((epmd_view){many, 256}));
}

static void assert_alive2(const char *hex, epmd_alive2_reply want) {
    uint8_t in[16], out[16];
    size_t n = unhex(hex, in, sizeof in);
    epmd_alive2_reply r;

    for (size_t i = 0; i < n; i++) {
        assert_int_equal(epmd_get_alive2_reply(in, i, &r), 0);
        assert_int_equal(epmd_put_alive2_reply(out, i, &want), CN_ELIMIT);
    }
    assert_int_equal(epmd_get_alive2_reply(in, sizeof in, &r), n);
    assert_int_equal(r.extended, want.extended);
    assert_int_equal(r.result, want.result);
    assert_int_equal(r.creation, want.creation);
    assert_int_equal(epmd_put_alive2_reply(out, sizeof out, &r), n);
    assert_memory_equal(in, out, n);
}

static void alive2_replies(void **state) {
    epmd_alive2_reply r;

    (void)state;
    assert_alive2("76 00 6b02a5fc",
                  (epmd_alive2_reply){true, 0, UINT32_C(0x6b02a5fc)});
    assert_alive2("76 01 00000063", (epmd_alive2_reply){true, 1, 99});
    assert_alive2("79 00 0001", (epmd_alive2_reply){false, 0, 1});
    assert_int_equal(epmd_get_alive2_reply((const uint8_t *)"w", 1, &r),
                     CN_EPROTO);
}

static const char PORT2_N25[] = "77 00 847d 4d 00 0006 0005 0003 6e3235 0000";

static void port2_replies(void **state) {
    uint8_t in[64], out[64];
    size_t n = unhex(PORT2_N25, in, sizeof in);
    epmd_port2_reply r;

    (void)state;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(epmd_get_port2_reply(in, i, &r), 0);
    assert_int_equal(epmd_get_port2_reply(in, sizeof in, &r), n);
    assert_int_equal(r.result, 0);
    assert_int_equal(r.node.port, 33917);
    assert_int_equal(r.node.node_type, EPMD_NODE_NORMAL);
    assert_int_equal(r.node.protocol, 0);
    assert_int_equal(r.node.highest, 6);
    assert_int_equal(r.node.lowest, 5);
    assert_int_equal(r.node.name.len, 3);
    assert_memory_equal(r.node.name.data, "n25", 3);
    assert_int_equal(epmd_put_port2_reply(out, sizeof out, &r), n);
    assert_memory_equal(in, out, n);
    assert_int_equal(epmd_put_port2_reply(out, n - 1, &r), CN_ELIMIT);
    r.node.name.len = 0;
    assert_int_equal(epmd_put_port2_reply(out, sizeof out, &r), CN_EBADARG);
}

static void port2_refusals_and_nonsense(void **state) {
    uint8_t in[64], out[2];
    epmd_port2_reply r;
    size_t n = unhex("77 01", in, sizeof in);

    (void)state;
    assert_int_equal(epmd_get_port2_reply(in, n, &r), 2);
    assert_int_equal(r.result, 1);
    assert_int_equal(epmd_put_port2_reply(out, sizeof out, &r), 2);
    assert_memory_equal(in, out, 2);
    assert_int_equal(epmd_get_port2_reply((const uint8_t *)"H", 1, &r),
                     CN_EPROTO);
    n = unhex("77 00 847d 4d 00 0006 0005 03fd", in, sizeof in);
    assert_int_equal(epmd_get_port2_reply(in, n, &r), CN_EPROTO);
    n = unhex("77 00 847d 4d 00 0006 0005 0001 61 ffff", in, sizeof in);
    assert_int_equal(epmd_get_port2_reply(in, n, &r), CN_EPROTO);
}

static void names_replies(void **state) {
    uint8_t out[64];
    int n;

    (void)state;
    assert_int_equal(epmd_put_names_port(out, 3, 1), CN_ELIMIT);
    assert_int_equal(epmd_put_names_port(out, 4, 0x37f5), 4);
    assert_hex(out, 4, "000037f5");
    n = epmd_put_names_line(out, sizeof out, text("n25"), 33917);
    assert_int_equal(n, 23);
    assert_memory_equal(out, "name n25 at port 33917\n", 23);
    assert_int_equal(epmd_put_names_line(out, 22, text("n25"), 33917),
                     CN_ELIMIT);
    assert_int_equal(epmd_put_names_line(out, sizeof out, text(""), 1),
                     CN_EBADARG);
}

/* The names and ports in the text, as "a=1 b=2 ". */
static const char *walk(const char *in, size_t n) {
    static char out[512];
    size_t at = 0;
    epmd_name name;

    out[0] = '\0';
    while (epmd_names_next(&in, &n, &name))
        at += (size_t)snprintf(out + at, sizeof out - at, "%.*s=%u ",
                               (int)name.len, name.name, (unsigned)name.port);
    assert_int_equal(n, 0);
    return out;
}

static void walking_over_names(void **state) {
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},
        {"\n\n", ""},
        {"name a at port 1\n", "a=1 "},
        {"name a at port 1", "a=1 "},
        {"name a at port 1\nname b at port 65535\n", "a=1 b=65535 "},
        {"name a at port 65536\nname b at port 0\n", "b=0 "},
        {"name a at port 000001\nname a at port 99999999999\n", ""},
        {"name a at port \nname a at port -1\nname a at port x1\n", ""},
        {"name  at port 1\nname at port 1\nat port 1\n1\n", ""},
        {"name a at port 1 at port 2\n", "a at port 1=2 "},
        {"nam", ""},
        {"name a at port 1\ngarbage\nname b at port 2\n", "a=1 b=2 "},
        {"name \xff at port 7\n", "\xff=7 "},
    };
    char copy[128];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(walk(cases[i].in, strlen(cases[i].in)),
                            cases[i].out);
    for (size_t n = 0; n < strlen(cases[4].in); n++) { /* not NUL-terminated */
        memset(copy, '9', sizeof copy);
        memcpy(copy, cases[4].in, n);
        (void)walk(copy, n);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(bad_requests_are_not_written),
        cmocka_unit_test(largest_messages_fit),
        cmocka_unit_test(requests_of_others),
        cmocka_unit_test(names_of_nodes),
        cmocka_unit_test(alive2_replies),
        cmocka_unit_test(port2_replies),
        cmocka_unit_test(port2_refusals_and_nonsense),
        cmocka_unit_test(names_replies),
        cmocka_unit_test(walking_over_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
