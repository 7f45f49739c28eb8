/* SPDX-License-Identifier: Apache-2.0
 *
 * epmd_client_test.c: the exchange with EPMD, whole, byte by byte, with every
 * allocation failing, late, malformed and endless.
 */
#include <stdio.h>
#include <string.h>

#include "epmd/epmd.h"
#include "tests/unit/support.h"

typedef struct exchange {
    epmd_op op;
    const char *reply; /* hex */
    bool eof;          /* then the connection ends */
    int status;        /* of the first _next: 1, 0 or an error */
    int after;         /* of the second */
    const char *event; /* what show() makes of it */
} exchange;

#define N25 "77 00 847d 4d 00 0006 0005 0003 6e3235 0000"

static const exchange exchanges[] = {
    {EPMD_PORT2_REQ, N25, true, 1, 0, "port2 33917 77 0 6 5"},
    {EPMD_PORT2_REQ, N25, false, 1, 0, "port2 33917 77 0 6 5"},
    {EPMD_PORT2_REQ, N25 "deadbeef", true, 1, 0, "port2 33917 77 0 6 5"},
    {EPMD_PORT2_REQ, "7701", true, CN_ENOENT, CN_ENOENT, NULL},
    {EPMD_PORT2_REQ, "77", true, CN_EPROTO, CN_EPROTO, NULL},
    {EPMD_PORT2_REQ, "", true, CN_EPROTO, CN_EPROTO, NULL},
    {EPMD_PORT2_REQ, "48545450", false, CN_EPROTO, CN_EPROTO, NULL},
    {EPMD_PORT2_REQ, "77 00 847d 4d 00 0006 0005 ffff", false, CN_EPROTO,
     CN_EPROTO, NULL},
    {EPMD_PORT2_REQ, "77 00 847d 4d 00 0006 0005 0003 6e32", true, CN_EPROTO,
     CN_EPROTO, NULL},
    {EPMD_PORT2_REQ, "77 00 847d 4d", false, 0, 0, NULL},
    {EPMD_ALIVE2_REQ, "76 00 6b02a5fc", false, 1, 0, "alive 1795335676"},
    {EPMD_ALIVE2_REQ, "76 00 6b02a5fc", true, 1, CN_ECLOSED,
     "alive 1795335676"},
    {EPMD_ALIVE2_REQ, "76 00 6b02a5fc 0102030405", false, 1, 0,
     "alive 1795335676"},
    {EPMD_ALIVE2_REQ, "79 00 0001", false, 1, 0, "alive 1"},
    {EPMD_ALIVE2_REQ, "76 01 00000063", false, CN_EEXIST, CN_EEXIST, NULL},
    {EPMD_ALIVE2_REQ, "79 01 0063", true, CN_EEXIST, CN_EEXIST, NULL},
    {EPMD_ALIVE2_REQ, "76 00 6b02", true, CN_EPROTO, CN_EPROTO, NULL},
    {EPMD_ALIVE2_REQ, "77", false, CN_EPROTO, CN_EPROTO, NULL},
    {EPMD_NAMES_REQ, "000037f5", true, 1, 0, "names ''"},
    {EPMD_NAMES_REQ, "000037f5 61620a", true, 1, 0, "names 'ab\n'"},
    {EPMD_NAMES_REQ, "000037f5 61620a", false, 0, 0, NULL},
    {EPMD_NAMES_REQ, "000037", true, CN_EPROTO, CN_EPROTO, NULL},
    {EPMD_NAMES_REQ, "48545450", false, CN_EPROTO, CN_EPROTO, NULL},
};

static epmd_req request(epmd_op op) {
    return (epmd_req){.op = op,
                      .node = {.port = 1234,
                               .node_type = EPMD_NODE_NORMAL,
                               .highest = 6,
                               .lowest = 5,
                               .name = {(const uint8_t *)"foo", 3}}};
}

static const char *show(const epmd_event *ev) {
    static char out[128];

    if (ev->type == EPMD_EV_ALIVE)
        snprintf(out, sizeof out, "alive %u", (unsigned)ev->u.creation);
    else if (ev->type == EPMD_EV_PORT2)
        snprintf(out, sizeof out, "port2 %u %u %u %u %u", ev->u.port2.port,
                 ev->u.port2.node_type, ev->u.port2.protocol,
                 ev->u.port2.highest, ev->u.port2.lowest);
    else
        snprintf(out, sizeof out, "names '%.*s'", (int)ev->u.names.len,
                 ev->u.names.text);
    return out;
}

static void feed(epmd_client *c, const exchange *x, size_t step) {
    uint8_t in[256];
    size_t n = unhex(x->reply, in, sizeof in);

    for (size_t at = 0; at < n; at += step)
        (void)epmd_client_feed(c, in + at, step < n - at ? step : n - at, 1);
    if (x->eof)
        (void)epmd_client_eof(c);
}

static void check(epmd_client *c, const exchange *x) {
    epmd_event ev;

    assert_int_equal(epmd_client_next(c, &ev), x->status);
    if (x->event != NULL)
        assert_string_equal(show(&ev), x->event);
    assert_int_equal(epmd_client_next(c, &ev), x->after);
    assert_int_equal(epmd_client_error(c)->code, x->after);
    assert_true((epmd_client_error(c)->text[0] != '\0') == (x->after < 0));
    assert_int_equal(epmd_client_deadline(c) != UINT64_MAX, x->status == 0);
}

static int exchange_scenario(fault_alloc *f, void *arg) {
    const exchange *x = arg;
    epmd_client_config config = {.alloc = &f->alloc};

    for (size_t step = 1; step <= 256; step += 255) {
        epmd_req r = request(x->op);
        epmd_client *c = NULL;
        int err = epmd_client_new(&c, &r, &config, 0);
        if (err != 0) {
            assert_int_equal(err, CN_ENOMEM);
            return err;
        }
        feed(c, x, step);
        err = epmd_client_error(c)->code;
        if (f->failed)
            assert_int_equal(err, CN_ENOMEM);
        else
            check(c, x);
        epmd_client_free(c);
        if (f->failed)
            return err;
    }
    return 0;
}

static void all_exchanges(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof exchanges / sizeof *exchanges; i++) {
        exchange x = exchanges[i];
        run_with_every_failure(exchange_scenario, &x);
    }
}

static void the_request_is_written_in_pieces(void **state) {
    epmd_req r = request(EPMD_PORT2_REQ);
    epmd_client *c;
    const uint8_t *p;
    uint8_t out[8];
    size_t n = 0;

    (void)state;
    assert_int_equal(epmd_client_new(&c, &r, NULL, 0), 0);
    while (epmd_client_output(c, &p) > 0) {
        out[n++] = *p;
        epmd_client_wrote(c, 1);
    }
    assert_hex(out, n, "0004 7a 666f6f");
    epmd_client_wrote(c, 99);
    assert_int_equal(epmd_client_output(c, &p), 0);
    epmd_client_free(c);
}

static void requests_that_cannot_be(void **state) {
    static const epmd_op others[] = {EPMD_ALIVE2_RESP, EPMD_PORT2_RESP};
    epmd_req r = request(EPMD_ALIVE2_REQ);
    epmd_client *c;

    (void)state;
    r.node.name.len = 0;
    assert_int_equal(epmd_client_new(&c, &r, NULL, 0), CN_EBADARG);
    for (size_t i = 0; i < 2; i++) {
        r = request(others[i]);
        assert_int_equal(epmd_client_new(&c, &r, NULL, 0), CN_EBADARG);
    }
    epmd_client_free(NULL);
}

static void silence_times_out(void **state) {
    epmd_req r = request(EPMD_PORT2_REQ);
    epmd_client *c;
    epmd_event ev;

    (void)state;
    assert_int_equal(epmd_client_new(&c, &r, NULL, 1000), 0);
    assert_int_equal(epmd_client_deadline(c), 11000);
    assert_int_equal(epmd_client_timeout(c, 10999), 0);
    assert_int_equal(epmd_client_next(c, &ev), 0);
    assert_int_equal(epmd_client_timeout(c, 11000), CN_ETIMEDOUT);
    assert_int_equal(epmd_client_timeout(c, 11001), CN_ETIMEDOUT);
    assert_int_equal(epmd_client_next(c, &ev), CN_ETIMEDOUT);
    assert_int_equal(epmd_client_deadline(c), UINT64_MAX);
    assert_int_equal(epmd_client_feed(c, (const uint8_t *)"w", 1, 11002),
                     CN_ETIMEDOUT);
    assert_int_equal(epmd_client_eof(c), CN_ETIMEDOUT);
    assert_non_null(strstr(epmd_client_error(c)->text, "10000 ms"));
    epmd_client_free(c);
}

/* Trickling does not move the deadline. */
static void a_late_reply_times_out(void **state) {
    epmd_client_config config = {.timeout_ms = 50};
    epmd_req r = request(EPMD_PORT2_REQ);
    epmd_client *c;
    epmd_event ev;

    (void)state;
    assert_int_equal(epmd_client_new(&c, &r, &config, 0), 0);
    assert_int_equal(epmd_client_feed(c, (const uint8_t *)"w", 1, 49), 0);
    assert_int_equal(epmd_client_feed(c, (const uint8_t *)"\1", 1, 50),
                     CN_ETIMEDOUT);
    assert_int_equal(epmd_client_next(c, &ev), CN_ETIMEDOUT);
    epmd_client_free(c);
}

/* The held link has no deadline and needs no memory, whatever comes. */
static void a_held_link_ignores_bytes(void **state) {
    static const uint8_t noise[4096] = {1};
    fault_alloc f;
    epmd_client_config config = {.alloc = &f.alloc};
    epmd_req r = request(EPMD_ALIVE2_REQ);
    epmd_client *c;
    epmd_event ev;
    size_t live;

    (void)state;
    fault_init(&f, 0);
    assert_int_equal(epmd_client_new(&c, &r, &config, 0), 0);
    epmd_client_feed(c, (const uint8_t *)"\x76\0\0\0\0\5", 6, 1);
    assert_int_equal(epmd_client_next(c, &ev), 1);
    assert_int_equal(ev.u.creation, 5);
    live = f.live;
    for (int i = 0; i < 100; i++)
        assert_int_equal(
            epmd_client_feed(c, noise, sizeof noise, UINT64_MAX - 1), 0);
    assert_int_equal(f.live, live);
    assert_int_equal(epmd_client_next(c, &ev), 0);
    assert_int_equal(epmd_client_timeout(c, UINT64_MAX - 1), 0);
    assert_int_equal(epmd_client_eof(c), CN_ECLOSED);
    assert_int_equal(epmd_client_next(c, &ev), CN_ECLOSED);
    epmd_client_free(c);
    assert_int_equal(f.live, 0);
}

static int feed_names(size_t bound, size_t total, size_t step) {
    static uint8_t zeros[4096];
    epmd_client_config config = {.max_names = bound};
    epmd_req r = request(EPMD_NAMES_REQ);
    epmd_client *c;
    epmd_event ev;
    int err = 0;

    assert_int_equal(epmd_client_new(&c, &r, &config, 0), 0);
    for (size_t at = 0; at < total && err == 0; at += step)
        err = epmd_client_feed(c, zeros, step < total - at ? step : total - at,
                               1);
    epmd_client_eof(c);
    err = epmd_client_next(c, &ev);
    if (err == 1)
        assert_int_equal(ev.u.names.len, total - 4);
    epmd_client_free(c);
    return err;
}

static void endless_names_are_bounded(void **state) {
    (void)state;
    assert_int_equal(feed_names(10, 14, 1), 1);
    assert_int_equal(feed_names(10, 15, 1), CN_ELIMIT);
    assert_int_equal(feed_names(10, 15, 15), CN_ELIMIT);
    assert_int_equal(feed_names(0, EPMD_NAMES_MAX + 4, 4096), 1);
    assert_int_equal(feed_names(0, EPMD_NAMES_MAX + 5, 4096), CN_ELIMIT);
    assert_int_equal(feed_names(SIZE_MAX, 5000, 4096), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_exchanges),
        cmocka_unit_test(the_request_is_written_in_pieces),
        cmocka_unit_test(requests_that_cannot_be),
        cmocka_unit_test(silence_times_out),
        cmocka_unit_test(a_late_reply_times_out),
        cmocka_unit_test(a_held_link_ignores_bytes),
        cmocka_unit_test(endless_names_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
