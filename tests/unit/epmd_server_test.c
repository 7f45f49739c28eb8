/* SPDX-License-Identifier: Apache-2.0
 *
 * epmd_server_test.c: an EPMD server that is fed bytes and time. What OTP's
 * epmd answers to the same bytes is compared in epmd_SUITE; here are the cases
 * that need a clock, many clients, or no memory.
 */
#include <stdio.h>
#include <string.h>

#include "epmd/epmd.h"
#include "tests/unit/support.h"

enum { UNIX_S = 1000, MINUTE = 60000 };

#define FOO "0010 78 04d2 4d 00 0006 0005 0003 666f6f 0000"
#define OLD_FOO "0010 78 04d2 4d 00 0005 0005 0003 666f6f 0000"
#define BAR "0010 78 04d3 4d 00 0006 0005 0003 626172 0000"
#define NAMES "0001 6e"
#define DUMP "0001 64"
#define KILL "0001 6b"
#define ASK_FOO "0004 7a 666f6f"
#define STOP_FOO "0004 73 666f6f"
#define REFUSED "76 01 00000063"

typedef struct fixture {
    fault_alloc fault;
    epmd_server_config config;
    epmd_server *server;
    uint64_t now;
} fixture;

static int setup(void **state) {
    static fixture f;

    memset(&f, 0, sizeof f);
    fault_init(&f.fault, 0);
    f.config =
        (epmd_server_config){.port = 4369, .alloc = &f.fault.alloc, .seed = 1};
    *state = &f;
    return 0;
}

static void start(fixture *f) {
    assert_int_equal(epmd_server_new(&f->server, &f->config), 0);
    epmd_server_time(f->server, f->now, UNIX_S);
}

static int teardown(void **state) {
    fixture *f = *state;

    epmd_server_free(f->server);
    assert_int_equal(f->fault.live, 0);
    return 0;
}

static void pass(fixture *f, uint64_t ms) {
    f->now += ms;
    epmd_server_time(f->server, f->now, UNIX_S);
}

static epmd_session *open_from(fixture *f, bool local, uint8_t address) {
    epmd_peer peer = {.local = local, .fd = 7, .address = {address}};
    epmd_session *x;

    assert_int_equal(epmd_server_open(f->server, &x, &peer, NULL), 0);
    return x;
}

static epmd_session *connect_to(fixture *f) {
    return open_from(f, true, 1);
}

static void feed(epmd_session *x, const char *hex) {
    uint8_t in[4096];

    epmd_session_feed(x, in, unhex(hex, in, sizeof in));
}

/* Takes what it says, all at once. */
static size_t read_all(epmd_session *x, uint8_t *out, size_t cap) {
    const uint8_t *p;
    size_t n = epmd_session_output(x, &p);

    assert_true(n <= cap);
    if (n > 0)
        memcpy(out, p, n);
    epmd_session_wrote(x, n);
    return n;
}

static void assert_says(epmd_session *x, const char *hex) {
    uint8_t out[4096];

    assert_hex(out, read_all(x, out, sizeof out), hex);
}

/* What one request is answered, and that the connection is closed then. */
static void assert_asked(fixture *f, const char *request, const char *answer) {
    epmd_session *x = connect_to(f);

    feed(x, request);
    assert_says(x, answer);
    assert_true(epmd_session_over(x));
    epmd_session_free(x);
}

static void assert_text(fixture *f, const char *request, const char *want,
                        size_t len) {
    epmd_session *x = connect_to(f);
    uint8_t out[4096];
    size_t n;

    feed(x, request);
    n = read_all(x, out, sizeof out);
    assert_int_equal(n, 4 + len);
    assert_hex(out, 4, "00001111");
    assert_memory_equal(out + 4, want, len);
    assert_true(epmd_session_over(x));
    epmd_session_free(x);
}

#define ASSERT_NAMES(f, text) assert_text(f, NAMES, text, sizeof(text "") - 1)
#define ASSERT_DUMP(f, text) assert_text(f, DUMP, text, sizeof(text "") - 1)

static epmd_session *register_as(fixture *f, const char *request,
                                 const char *answer) {
    epmd_session *x = connect_to(f);

    feed(x, request);
    assert_says(x, answer);
    assert_false(epmd_session_over(x));
    return x;
}

/* --- names and creations ----------------------------------------------------
 */

static void a_node_is_found_until_it_goes(void **state) {
    fixture *f = *state;
    epmd_session *x;

    start(f);
    assert_asked(f, ASK_FOO, "77 01");
    x = register_as(f, FOO, "76 00 000003e9");
    assert_int_equal(epmd_server_count(f->server), 1);
    assert_asked(f, ASK_FOO, "77 00 04d2 4d 00 0006 0005 0003 666f6f 0000");
    epmd_session_eof(x);
    assert_true(epmd_session_over(x));
    assert_asked(f, ASK_FOO, "77 01");
    assert_int_equal(epmd_server_count(f->server), 0);
    epmd_session_free(x);
}

static void a_name_comes_back_with_the_next_creation(void **state) {
    fixture *f = *state;

    start(f);
    epmd_session_free(register_as(f, FOO, "76 00 000003e9"));
    pass(f, (uint64_t)1000 * MINUTE);
    epmd_session_free(register_as(f, FOO, "76 00 000003ea"));
    epmd_session_free(register_as(f, OLD_FOO, "79 00 0002"));
    epmd_session_free(register_as(f, OLD_FOO, "79 00 0003"));
    epmd_session_free(register_as(f, FOO, "76 00 000003ed"));
}

static void creations_pass_over_small_numbers(void **state) {
    fixture *f = *state;

    start(f);
    epmd_server_time(f->server, 0, UINT32_MAX);
    epmd_session_free(register_as(f, FOO, "76 00 00000004"));
    epmd_server_time(f->server, 0, UINT32_MAX - 1);
    epmd_session_free(register_as(f, BAR, "76 00 ffffffff"));
    epmd_session_free(register_as(f, BAR, "76 00 00000004"));
}

static void the_oldest_name_gives_its_counter(void **state) {
    fixture *f = *state;
    char request[] = "000e 78 04d2 4d 00 0006 0005 0001 61 0000";
    char *letter = strstr(request, "61");

    f->config.max_old = 2;
    start(f);
    for (; letter[1] < '4'; letter[1]++) { /* a, b, c: three old names */
        epmd_session *x = connect_to(f);
        feed(x, request);
        epmd_session_free(x);
    }
    epmd_server_time(f->server, 0, 5000);
    epmd_session_free(register_as(f, FOO, "76 00 000003e9")); /* a's */
    ASSERT_DUMP(f, "old/unused name <b>, port = 1234, fd = 7 \n\0"
                   "old/unused name <c>, port = 1234, fd = 7 \n\0"
                   "old/unused name <foo>, port = 1234, fd = 7 \n\0");
}

static void a_name_is_refused_while_it_is_in_use(void **state) {
    fixture *f = *state;
    epmd_session *x, *y;

    start(f);
    x = register_as(f, FOO, "76 00 000003e9");
    y = register_as(f, FOO, REFUSED);
    epmd_session_free(register_as(f, OLD_FOO, "79 01 0063"));
    pass(f, (uint64_t)10 * MINUTE); /* it stays, as with OTP's */
    assert_false(epmd_session_over(y));
    epmd_session_eof(y);
    assert_true(epmd_session_over(y));
    ASSERT_NAMES(f, "name foo at port 1234\n");
    epmd_session_free(x);
    epmd_session_free(y);
}

static void lists_have_the_newest_first(void **state) {
    fixture *f = *state;
    epmd_session *x, *y;

    start(f);
    ASSERT_NAMES(f, "");
    x = register_as(f, FOO, "76 00 000003e9");
    y = register_as(f, BAR, "76 00 000003e9");
    ASSERT_NAMES(f, "name bar at port 1235\nname foo at port 1234\n");
    epmd_session_free(x);
    ASSERT_DUMP(f, "active name     <bar> at port 1235, fd = 7\n\0"
                   "old/unused name <foo>, port = 1234, fd = 7 \n\0");
    epmd_session_free(y);
}

static void a_byte_more_gives_the_name_up(void **state) {
    fixture *f = *state;
    epmd_session *x;

    start(f);
    x = register_as(f, FOO, "76 00 000003e9");
    feed(x, "00");
    assert_true(epmd_session_over(x));
    ASSERT_NAMES(f, "");
    epmd_session_free(x);
}

/* --- pieces -----------------------------------------------------------------
 */

static void requests_come_in_pieces(void **state) {
    fixture *f = *state;
    uint8_t in[64];
    size_t n = unhex(FOO, in, sizeof in);
    epmd_session *x;

    start(f);
    for (size_t step = 1; step < n; step++) {
        x = connect_to(f);
        for (size_t at = 0; at < n; at += step)
            epmd_session_feed(x, in + at, step < n - at ? step : n - at);
        assert_int_equal(epmd_server_count(f->server), 1);
        epmd_session_free(x);
    }
}

/* Too many at once are no request. When the length was read before, the rest
 * is behind the request. */
static void bytes_behind_a_request(void **state) {
    fixture *f = *state;
    epmd_session *x;

    start(f);
    assert_asked(f, NAMES "00", "");
    x = connect_to(f);
    feed(x, "0010");
    assert_int_equal(epmd_session_wants(x), 16);
    feed(x, "78 04d2 4d 00 0006 0005 0003 666f6f 0000 ff");
    assert_says(x, "76 00 000003e9");
    assert_true(epmd_session_over(x));
    ASSERT_NAMES(f, "");
    epmd_session_free(x);
}

static void what_is_no_request_is_not_answered(void **state) {
    static const char *const bad[] = {
        "0000",
        "0bf2 6e",
        "0001 71",
        "0001 7a",
        "0002 7a00",
        "0003 7a0061",
        "0002 7aff",
        "000d 78 04d2 4d 00 0006 0005 0000 0000",
        "000e 78 04d2 4d 00 0006 0005 0001 00 0000",
        "000e 78 04d2 4d 00 0006 0005 0002 61 0000",
        "000e 78 04d2 4d 00 0006 0005 0001 61 0001",
        STOP_FOO};
    fixture *f = *state;

    start(f);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_asked(f, bad[i], "");
}

static void a_half_closed_client_is_answered(void **state) {
    fixture *f = *state;
    epmd_session *x;

    start(f);
    x = connect_to(f);
    feed(x, ASK_FOO);
    epmd_session_eof(x);
    assert_says(x, "77 01");
    epmd_session_free(x);
}

/* --- who may what -----------------------------------------------------------
 */

static void some_requests_are_for_local_peers(void **state) {
    static const char *const local[] = {FOO, DUMP, KILL, STOP_FOO};
    fixture *f = *state;
    epmd_session *x;

    f->config.relaxed = true;
    start(f);
    for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
        x = open_from(f, false, 9);
        feed(x, local[i]);
        assert_says(x, "");
        assert_true(epmd_session_over(x));
        epmd_session_free(x);
    }
    x = open_from(f, false, 9);
    feed(x, ASK_FOO);
    assert_says(x, "77 01");
    epmd_session_free(x);
    assert_false(epmd_server_killed(f->server));
}

static void kill_waits_for_the_nodes(void **state) {
    fixture *f = *state;
    epmd_session *x, *k;

    start(f);
    x = register_as(f, FOO, "76 00 000003e9");
    assert_asked(f, KILL, "4e4f");
    assert_false(epmd_server_killed(f->server));
    epmd_session_free(x);
    k = connect_to(f);
    feed(k, KILL);
    assert_false(epmd_server_killed(f->server));
    assert_says(k, "4f4b");
    assert_true(epmd_server_killed(f->server));
    epmd_session_free(k);
}

static void relaxed_means_kill_and_stop(void **state) {
    fixture *f = *state;
    epmd_session *x;

    f->config.relaxed = true;
    start(f);
    assert_asked(f, STOP_FOO, "4e4f4558495354 53544f50504544");
    x = register_as(f, FOO, "76 00 000003e9");
    assert_asked(f, "0006 73 666f6f 00 61", "53544f50504544");
    assert_true(epmd_session_over(x));
    epmd_session_free(x);
    x = register_as(f, FOO, "76 00 000003ea");
    assert_asked(f, KILL, "4f4b");
    assert_true(epmd_server_killed(f->server));
    epmd_session_free(x);
}

/* --- time -------------------------------------------------------------------
 */

/* One byte a second does not hold a connection longer than any other way. */
static void a_slow_client_is_cut(void **state) {
    fixture *f = *state;
    epmd_session *x;
    int seconds = 0;

    start(f);
    x = connect_to(f);
    feed(x, "0100");
    for (; !epmd_session_over(x); seconds++) {
        pass(f, 1000);
        feed(x, "6e");
    }
    assert_int_equal(seconds, 60);
    assert_ptr_equal(epmd_server_next(f->server), x);
    assert_null(epmd_server_next(f->server));
    epmd_session_free(x);
    assert_true(epmd_server_deadline(f->server) == UINT64_MAX);
}

static void a_client_that_does_not_read_is_cut(void **state) {
    fixture *f = *state;
    epmd_session *x;
    const uint8_t *p;

    start(f);
    x = connect_to(f);
    feed(x, NAMES);
    assert_int_equal(epmd_session_output(x, &p), 4);
    epmd_session_wrote(x, 1);
    assert_true(epmd_server_deadline(f->server) == MINUTE);
    pass(f, MINUTE);
    assert_true(epmd_session_over(x));
    epmd_session_free(x);
}

static void a_node_has_no_deadline(void **state) {
    fixture *f = *state;
    epmd_session *x;

    start(f);
    x = register_as(f, FOO, "76 00 000003e9");
    assert_true(epmd_server_deadline(f->server) == UINT64_MAX);
    pass(f, UINT32_MAX);
    assert_false(epmd_session_over(x));
    epmd_session_free(x);
}

static void answers_are_held_back(void **state) {
    fixture *f = *state;
    epmd_session *x;

    f->config.delay_ms = 50;
    start(f);
    x = connect_to(f);
    feed(x, ASK_FOO);
    assert_null(epmd_server_next(f->server));
    assert_says(x, "");
    assert_true(epmd_server_deadline(f->server) == 50);
    pass(f, 50);
    assert_ptr_equal(epmd_server_next(f->server), x);
    assert_says(x, "77 01");
    epmd_session_free(x);
}

/* --- many -------------------------------------------------------------------
 */

/* Who has the most connections loses the oldest of them; others do not. */
static void the_greedy_pay_for_the_room(void **state) {
    enum { MOST = 8 };
    fixture *f = *state;
    epmd_session *modest, *greedy[MOST], *x;

    f->config.max_clients = MOST;
    start(f);
    modest = open_from(f, false, 1);
    for (int i = 0; i < MOST; i++)
        greedy[i] = open_from(f, false, 2);
    assert_false(epmd_session_over(modest));
    assert_true(epmd_session_over(greedy[0]));
    assert_false(epmd_session_over(greedy[1]));
    x = open_from(f, false, 3);
    assert_true(epmd_session_over(greedy[1]));
    assert_true(epmd_server_make_room(f->server));
    assert_true(epmd_session_over(greedy[2]));
    epmd_session_free(x);
}

/* The one that is to go next, looked for among all. */
static size_t next_to_go(epmd_session *const *all, const uint8_t *address,
                         size_t n) {
    size_t count[8] = {0}, most = n;

    for (size_t i = 0; i < n; i++)
        count[address[i]] += all[i] != NULL;
    for (size_t i = 0; i < n; i++)
        if (all[i] != NULL &&
            (most == n || count[address[i]] > count[address[most]]))
            most = i;
    return most;
}

/* Clients of a few addresses come, go and are thrown out, by chance. */
static void the_greediest_one_is_known(void **state) {
    enum { ALL = 2000 };
    static epmd_session *all[ALL];
    static uint8_t address[ALL];
    fixture *f = *state;
    uint64_t chance = 1;
    size_t n = 0;

    start(f);
    while (n < ALL) {
        size_t most = next_to_go(all, address, n), i;
        chance = chance * 6364136223846793005U + 1442695040888963407U;
        i = n == 0 ? 0 : (chance >> 33) % n;
        switch (chance >> 61) {
        case 0:
        case 1:
            assert_int_equal(epmd_server_make_room(f->server), most < n);
            if (most == n)
                break;
            assert_true(epmd_session_over(all[most]));
            epmd_session_free(all[most]);
            all[most] = NULL;
            break;
        case 2:
            if (n == 0 || all[i] == NULL)
                break;
            epmd_session_free(all[i]);
            all[i] = NULL;
            break;
        default:
            address[n] = (uint8_t)((chance >> 40) % 8);
            all[n] = open_from(f, false, address[n]);
            n++;
        }
    }
}

/* Those whose name was refused may stay; they hide nobody who may not. */
static void the_refused_hide_nobody(void **state) {
    fixture *f = *state;
    epmd_session *node, *refused, *slow;

    start(f);
    node = register_as(f, FOO, "76 00 000003e9");
    refused = register_as(f, FOO, REFUSED);
    pass(f, 1000);
    slow = connect_to(f);
    assert_true(epmd_server_deadline(f->server) == MINUTE + 1000);
    pass(f, MINUTE);
    assert_true(epmd_session_over(slow));
    assert_false(epmd_session_over(refused));
    assert_true(epmd_server_make_room(f->server)); /* a client all the same */
    assert_true(epmd_session_over(refused));
    epmd_session_free(node);
}

/* Who gives its name up before it has read its answer is a client again, with
 * the time that one has. */
static void a_name_that_is_given_up_at_once(void **state) {
    fixture *f = *state;
    epmd_session *x;

    f->config.delay_ms = 50;
    start(f);
    x = connect_to(f);
    feed(x, FOO);
    assert_int_equal(epmd_server_count(f->server), 1);
    feed(x, "00");
    assert_int_equal(epmd_server_count(f->server), 0);
    assert_false(epmd_session_over(x));
    pass(f, 50);
    assert_true(epmd_server_deadline(f->server) == MINUTE);
    pass(f, MINUTE);
    assert_true(epmd_session_over(x));
}

static void nodes_do_not_lose_their_connections(void **state) {
    fixture *f = *state;
    epmd_peer peer = {.local = true};
    epmd_session *x, *y, *refused;

    f->config.max_connections = 2;
    start(f);
    x = register_as(f, FOO, "76 00 000003e9");
    y = register_as(f, BAR, "76 00 000003e9");
    assert_int_equal(epmd_server_open(f->server, &refused, &peer, NULL),
                     CN_ELIMIT);
    assert_false(epmd_server_make_room(f->server));
    epmd_session_free(y);
    y = connect_to(f);
    epmd_session_free(connect_to(f));
    assert_true(epmd_session_over(y));
    epmd_session_free(x);
}

static void too_many_nodes_are_refused(void **state) {
    fixture *f = *state;

    f->config.max_nodes = 1;
    start(f);
    (void)register_as(f, FOO, "76 00 000003e9");
    epmd_session_free(register_as(f, BAR, REFUSED));
}

static void lists_that_nobody_reads_are_bounded(void **state) {
    fixture *f = *state;
    epmd_session *first, *second;

    f->config.max_output = 200;
    start(f);
    first = connect_to(f);
    (void)register_as(f, FOO, "76 00 000003e9");
    feed(first, NAMES); /* at most 71 bytes */
    (void)register_as(f, BAR, "76 00 000003e9");
    second = connect_to(f);
    feed(second, DUMP); /* at most 138: together more than 200 */
    assert_true(epmd_session_over(first));
    assert_false(epmd_session_over(second));
    assert_true(f->fault.live < 4096);
}

static void keep_line(void *ctx, cn_level level, const char *where,
                      const char *text) {
    (void)level, (void)where;
    (void)snprintf(ctx, 200, "%s", text);
}

/* It can never be answered, and nobody else has to go for it. */
static void a_list_that_is_longer_than_all_may_be(void **state) {
    fixture *f = *state;
    epmd_session *first, *second;
    char line[200] = "";

    f->config.max_output = 100;
    f->config.log = (cn_log){keep_line, line, CN_LOG_WARN};
    start(f);
    (void)register_as(f, FOO, "76 00 000003e9");
    first = connect_to(f);
    feed(first, NAMES);
    (void)register_as(f, BAR, "76 00 000003e9");
    second = connect_to(f);
    feed(second, NAMES);
    assert_true(epmd_session_over(second));
    assert_false(epmd_session_over(first));
    assert_non_null(strstr(line, "closed, the list takes 138 bytes, and "
                                 "max_output is 100"));
}

/* Lists that are kept for the next one to ask go first. */
static void nobody_goes_for_a_list_that_nobody_reads(void **state) {
    fixture *f = *state;
    epmd_session *first, *second;

    f->config.max_output = 150;
    start(f);
    (void)register_as(f, FOO, "76 00 000003e9");
    assert_text(f, NAMES, "name foo at port 1234\n", 22); /* 71 are kept */
    first = connect_to(f);
    feed(first, ASK_FOO);
    second = connect_to(f);
    feed(second, DUMP);
    assert_false(epmd_session_over(first));
    assert_false(epmd_session_over(second));
}

static void register_number(fixture *f, unsigned i) {
    char name[8];
    uint8_t out[64];
    epmd_req r = {.op = EPMD_ALIVE2_REQ, .node = {.port = 1, .highest = 6}};
    epmd_session *x = connect_to(f);
    int n;

    (void)snprintf(name, sizeof name, "n%u", i);
    r.node.name = (epmd_view){(const uint8_t *)name, strlen(name)};
    n = epmd_put_request(out, sizeof out, &r);
    assert_true(n > 0);
    epmd_session_feed(x, out, (size_t)n);
    assert_int_equal(read_all(x, out, sizeof out), 6);
    assert_int_equal(out[1], 0);
}

static void thousands_of_nodes(void **state) {
    enum { NODES = 20000 };
    fixture *f = *state;
    static uint8_t text[1 << 20];
    epmd_session *x;
    const char *p = (const char *)text + 4;
    size_t n, lines = 0;
    epmd_name name;

    start(f);
    for (unsigned i = 0; i < NODES; i++)
        register_number(f, i);
    x = connect_to(f);
    feed(x, NAMES);
    n = read_all(x, text, sizeof text) - 4;
    while (epmd_names_next(&p, &n, &name))
        lines++;
    assert_int_equal(lines, NODES);
}

/* --- no memory --------------------------------------------------------------
 */

/* Whatever fails, the server goes on, and gives the name the next time. */
static int a_life(fault_alloc *fault, void *arg) {
    static const char *const requests[] = {FOO, BAR, NAMES, DUMP, ASK_FOO};
    fixture f = {.config = {.alloc = &fault->alloc, .relaxed = true}};
    epmd_peer peer = {.local = true};
    uint8_t in[64];
    const uint8_t *p;
    int err = epmd_server_new(&f.server, &f.config);

    (void)arg;
    for (int round = 0; err == 0 && round < 2; round++)
        for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
            epmd_session *x;
            if (epmd_server_open(f.server, &x, &peer, NULL) != 0)
                continue;
            epmd_session_feed(x, in, unhex(requests[i], in, sizeof in));
            epmd_session_wrote(x, epmd_session_output(x, &p));
            if (round == 0)
                epmd_session_free(x);
        }
    if (err == 0 && !fault->failed)
        assert_int_equal(epmd_server_count(f.server), 2);
    epmd_server_free(f.server);
    return err;
}

static void memory_runs_out(void **state) {
    (void)state;
    run_with_every_failure(a_life, NULL);
}

static void a_server_without_a_configuration(void **state) {
    const epmd_peer peer = {.local = true};
    epmd_session *x;
    epmd_server *s;

    (void)state;
    assert_int_equal(epmd_server_new(&s, NULL), 0);
    epmd_server_time(s, 0, UNIX_S);
    assert_int_equal(epmd_server_open(s, &x, &peer, NULL), 0);
    assert_int_equal(epmd_server_deadline(s), MINUTE);
    epmd_server_free(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_node_is_found_until_it_goes),
        TEST(a_name_comes_back_with_the_next_creation),
        TEST(creations_pass_over_small_numbers),
        TEST(the_oldest_name_gives_its_counter),
        TEST(a_name_is_refused_while_it_is_in_use),
        TEST(lists_have_the_newest_first),
        TEST(a_byte_more_gives_the_name_up),
        TEST(requests_come_in_pieces),
        TEST(bytes_behind_a_request),
        TEST(what_is_no_request_is_not_answered),
        TEST(a_half_closed_client_is_answered),
        TEST(some_requests_are_for_local_peers),
        TEST(kill_waits_for_the_nodes),
        TEST(relaxed_means_kill_and_stop),
        TEST(a_slow_client_is_cut),
        TEST(a_client_that_does_not_read_is_cut),
        TEST(a_node_has_no_deadline),
        TEST(answers_are_held_back),
        TEST(the_greedy_pay_for_the_room),
        TEST(the_greediest_one_is_known),
        TEST(the_refused_hide_nobody),
        TEST(a_name_that_is_given_up_at_once),
        TEST(nodes_do_not_lose_their_connections),
        TEST(too_many_nodes_are_refused),
        TEST(lists_that_nobody_reads_are_bounded),
        TEST(a_list_that_is_longer_than_all_may_be),
        TEST(nobody_goes_for_a_list_that_nobody_reads),
        TEST(thousands_of_nodes),
        cmocka_unit_test(a_server_without_a_configuration),
        cmocka_unit_test(memory_runs_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
