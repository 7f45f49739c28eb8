/* SPDX-License-Identifier: Apache-2.0
 *
 * discover_gossip_test.c: heartbeats. The bytes are those of OTP 25, 27 and 29.
 */
#include <stdio.h>
#include <string.h>

#include "cnode/discover_parts.h"
#include "tests/unit/mesh.h"

#define IV "000102030405060708090a0b0c0d0e0f"
#define PRELUDE "6865617274626561743a3a"
#define PLAIN_25 PRELUDE "8374000000016400046e6f6465640003614062"
#define PLAIN_27 PRELUDE "83740000000177046e6f64657703614062"
#define SECRET_25                                                              \
    IV "0293fcf646d248542d82eea283216c73f5dd17025c14365b8935e2fad54a4c95"
#define SECRET_27                                                              \
    IV "0293fcf646d248542d82eea283216c73deb64a265484254be21fe3022b200304"

static void make(cnode__gossip *g, const char *secret) {
    *g = (cnode__gossip){
        .secret = secret != NULL, .forget_ms = 30000, .max_new = 10};
    if (secret != NULL)
        assert_int_equal(cnode__cipher_key(secret, g->key), 0);
}

static void writes(void **state) {
    uint8_t out[CNODE__GOSSIP_MAX], iv[CNODE__GOSSIP_IV];
    cnode__gossip g;
    int n;

    (void)state;
    assert_int_equal(unhex(IV, iv, sizeof iv), sizeof iv);
    make(&g, NULL);
    n = cnode__gossip_put(&g, "a@b", iv, out);
    assert_hex(out, (size_t)n, PLAIN_27);
    make(&g, "somepassword");
    n = cnode__gossip_put(&g, "a@b", iv, out);
    assert_hex(out, (size_t)n, SECRET_27);
}

static int get(const char *secret, const char *hex, char *node) {
    uint8_t in[CNODE__GOSSIP_MAX + 1];
    size_t n = unhex(hex, in, sizeof in);
    cnode__gossip g;

    make(&g, secret);
    return cnode__gossip_get(&g, in, n, node);
}

static void reads(void **state) {
    static const char *const plain[] = {
        PLAIN_25,
        PLAIN_27,
        /* More than we know of: #{node => 'a@b', vsn => [1]}, and the other way
         * round. */
        PRELUDE "8374 00000002 7704 6e6f6465 7703 614062 7703 76736e 6b000101",
        PRELUDE "8374 00000002 7703 76736e 6b000101 7704 6e6f6465 7703 614062",
        PRELUDE "8374 00000002 6101 6102 7704 6e6f6465 7703 614062",
        /* Atoms of UTF-8 with two bytes of length, and latin-1 with one. */
        PRELUDE "8374 00000001 760004 6e6f6465 760003 614062",
        PRELUDE "8374 00000001 7304 6e6f6465 7303 614062",
    };
    char node[CNODE__NAME_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        assert_int_equal(get(NULL, plain[i], node), 0);
        assert_string_equal(node, "a@b");
    }
    assert_int_equal(get("somepassword", SECRET_25, node), 0);
    assert_string_equal(node, "a@b");
    assert_int_equal(get("somepassword", SECRET_27, node), 0);
    assert_string_equal(node, "a@b");
}

static void refuses(void **state) {
    static const char *const bad[] = {
        "",
        "68",
        PRELUDE,
        PRELUDE "83",
        PRELUDE "8374 00000000",
        PRELUDE "8374 00000001 7704 6e6f6465",      /* cut */
        PRELUDE "8374 00000001 7704 6e6f6465 7700", /* no name */
        PRELUDE "8374 00000001 7704 6e6f6465 6101", /* no atom */
        PRELUDE "8374 00000001 7704 6e6f6466 7703 614062",
        PRELUDE "8374 ffffffff 7704 6e6f6465 7703 614062",
        PRELUDE "8374 00000001 7704 6e6f6465 7703 610062", /* a NUL */
        PRELUDE "7400000001 7704 6e6f6465 7703 614062",    /* no version */
        PRELUDE "8350 00000000",                           /* compressed */
        "6865617274626561743a3b 8374 00000001 7704 6e6f6465 7703 614062",
    };
    char node[CNODE__NAME_MAX + 1];
    uint8_t long_one[CNODE__GOSSIP_MAX + 1] = {0};
    cnode__gossip g;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(get(NULL, bad[i], node), CN_EPROTO);
        assert_int_equal(get("somepassword", bad[i], node), CN_EPROTO);
    }
    assert_int_equal(get(NULL, SECRET_27, node), CN_EPROTO);
    assert_int_equal(get("somepassword", PLAIN_27, node), CN_EPROTO);
    assert_int_equal(get("otherpassword", SECRET_27, node), CN_EPROTO);
    assert_int_equal(get("somepassword", IV, node), CN_EPROTO);
    make(&g, "somepassword");
    assert_int_equal(cnode__gossip_get(&g, long_one, sizeof long_one, node),
                     CN_EPROTO);
}

/* Every name that a node can have comes back, at every change of a byte it is
 * refused or another name, and at every length it ends. */
static void round_trips(void **state) {
    static const uint8_t iv[CNODE__GOSSIP_IV] = {1, 2, 3};
    char name[CNODE__NAME_MAX + 1] = "a@", node[CNODE__NAME_MAX + 1];
    uint8_t out[CNODE__GOSSIP_MAX];
    cnode__gossip g;

    (void)state;
    for (int way = 0; way < 2; way++) {
        make(&g, way == 0 ? NULL : "s");
        for (size_t len = 3; len <= CNODE__NAME_MAX; len += 12) {
            int n;
            memset(name + 2, 'h', len - 2);
            name[len] = '\0';
            n = cnode__gossip_put(&g, name, iv, out);
            assert_true(n > 0);
            assert_int_equal(cnode__gossip_get(&g, out, (size_t)n, node), 0);
            assert_string_equal(node, name);
            for (int cut = 0; cut < n; cut++)
                assert_true(cnode__gossip_get(&g, out, (size_t)cut, node) < 0);
            for (int i = 0; i < n; i++) {
                out[i] ^= 0x11;
                (void)cnode__gossip_get(&g, out, (size_t)n, node);
                out[i] ^= 0x11;
            }
        }
    }
}

/* --- who is believed ----------------------------------------------------- */

static cnode__gossip heard;

static void start(cnode_source *s, void *data) {
    (void)data;
    heard.source = s;
}

static int found, errors;

static void on_event(cnode *n, const cnode_discover_event *e, void *data) {
    (void)data;
    mesh_of(n)->noticed |= e->status == CN_ENOMEM;
    found += e->kind == CNODE_DISCOVER_FOUND;
    found -= e->kind == CNODE_DISCOVER_GONE;
    errors += e->node == NULL;
}

static void hear(mesh *m, int from, int to) {
    char name[40];

    for (int i = from; i < to; i++) {
        (void)snprintf(name, sizeof name, "x%d@h", i);
        cnode__gossip_heard(&heard, name, m->now);
    }
    mesh_settle(m);
}

static void forged_names_are_bounded(mesh *m) {
    static const cnode_discover_opts idle = {.on_event = on_event,
                                             .report_only = true};
    static const cnode_source_config c = {
        .name = "gossip", .start = start, .max_nodes = 25};
    cnode *a = mesh_cnode(m, 0);

    found = errors = 0;
    make(&heard, NULL);
    heard.allowance = 10;
    heard.filled_at = m->now;
    OK(m, mesh_start(m, 0, NULL));
    OK(m, cnode_discover(a, &idle));
    OK(m, cnode_source_add(a, &c, NULL));
    mesh_settle(m);
    cnode__gossip_heard(&heard, "a@h", m->now); /* itself: costs nothing */
    hear(m, 0, 1000);
    WANT(m, found == 10);
    hear(m, 0, 1000);
    WANT(m, found == 10);
    mesh_advance(m, 100);
    hear(m, 0, 1000);
    WANT(m, found == 11);
    mesh_advance(m, 60000); /* nobody was heard */
    WANT(m, found == 0);
    hear(m, 0, 1000);
    WANT(m, found == 10); /* what was not used is not saved */
    mesh_advance(m, 1000);
    hear(m, 0, 1000);
    mesh_advance(m, 1000);
    hear(m, 0, 1000);
    WANT(m, found == 25 && errors == 1);
    cnode__gossip_heard(&heard, "nohost", m->now);
    WANT(m, found == 25);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes),
        cmocka_unit_test(reads),
        cmocka_unit_test(refuses),
        cmocka_unit_test(round_trips),
        MESH_CASE(forged_names_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
