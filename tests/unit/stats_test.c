/* SPDX-License-Identifier: Apache-2.0
 *
 * Statistics: what crosses connections, what is dropped and why, what a peer
 * and a process are told of, and pings.
 */
#include <string.h>

#include "tests/unit/mesh.h"

static cnode_peer_stats of_peer(mesh *m, int i, const char *peer) {
    cnode_peer_stats s;

    (void)cnode_get_peer_stats(mesh_cnode(m, i), peer, &s);
    return s;
}

static cnode_stats of_node(mesh *m, int i) {
    cnode_stats s;

    cnode_get_stats(mesh_cnode(m, i), &s);
    return s;
}

/* Nodes 0 and 1; leaves the scenario when one cannot be made. */
#define START_TWO(m)                                                           \
    do {                                                                       \
        OK((m), mesh_start((m), 0, NULL));                                     \
        OK((m), mesh_start((m), 1, NULL));                                     \
    } while (0)

/* --- what crosses -------------------------------------------------------- */

static void both_sides_count_the_same(mesh *m) {
    cnode_proc *p, *q;
    cnode_peer_stats a, b;
    cnode_proc_stats s;

    START_TWO(m);
    NEED(m, p = mesh_proc(m, 0, "p"));
    NEED(m, q = mesh_proc(m, 1, "q"));
    for (int i = 0; i < 5; i++)
        OK(m, cnode_send_name(p, "b@h", "q", "{hello, ~i}", i));
    OK(m, cnode_monitor(p, "b@h", "q", NULL));
    WANT(m, of_peer(m, 1, "a@h").signals_in == 6);
    a = of_peer(m, 0, "b@h"), b = of_peer(m, 1, "a@h");
    WANT(m, a.up && b.up && a.connects == 1 && a.id != 0);
    WANT(m, a.messages_out == 5 && b.messages_in == 5);
    WANT(m, a.signals_out == 6 && a.frames_out == 6 && b.frames_in == 6);
    WANT(m, a.messages_in == 0 && b.signals_out == 0);
    WANT(m, a.bytes_out == b.bytes_in && a.bytes_in == b.bytes_out);
    WANT(m, a.bytes_out > 120 && a.queued == 0);
    WANT(m, a.queued_high > 100 && a.queued_high < a.bytes_out);
    WANT(m, of_node(m, 0).bytes_out == a.bytes_out);
    WANT(m, of_node(m, 1).signals_in == 6 && of_node(m, 1).connects == 1);
    cnode_get_proc_stats(q, &s);
    WANT(m, s.received == 5 && s.dropped == 0 && s.mailbox_messages == 0);
}

static void ticks_are_counted(mesh *m) {
    const cnode_config quick = {.ticktime_s = 4};
    cnode_peer_stats a, b;

    OK(m, mesh_start(m, 0, &quick));
    OK(m, mesh_start(m, 1, &quick));
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, "up"));
    WANT(m, cnode_connected(mesh_cnode(m, 1), "a@h"));
    for (int i = 0; i < 10; i++) {
        mesh_advance(m, 1000);
        mesh_settle(m);
    }
    a = of_peer(m, 0, "b@h"), b = of_peer(m, 1, "a@h");
    WANT(m, a.ticks_out >= 8 && a.ticks_out <= 10);
    WANT(m, a.ticks_out == b.ticks_in && a.ticks_in == b.ticks_out);
    WANT(m, a.frames_out == 0 && a.up_ms == 10000);
    SAID(m, "up: b@h OK");
}

/* What a connection has counted stays with the peer and the node. */
static void reconnects_add_up(mesh *m) {
    cnode *a;
    cnode_proc *p;
    uint64_t bytes;

    START_TWO(m);
    a = mesh_cnode(m, 0);
    OK(m, cnode_set_address(a, "b@h", "kept:1"));
    NEED(m, p = mesh_proc(m, 0, "p"));
    NEED(m, mesh_proc(m, 1, "q"));
    OK(m, cnode_send_name(p, "b@h", "q", "one"));
    WANT(m, of_peer(m, 0, "b@h").signals_out == 1);
    bytes = of_peer(m, 0, "b@h").bytes_out;
    mesh_break(m, 0);
    WANT(m, !of_peer(m, 0, "b@h").up && of_peer(m, 0, "b@h").downs == 1);
    WANT(m, of_peer(m, 0, "b@h").bytes_out == bytes);
    WANT(m, of_node(m, 0).bytes_out == bytes && of_node(m, 0).downs == 1);
    OK(m, cnode_send_name(p, "b@h", "q", "two"));
    WANT(m, of_peer(m, 0, "b@h").connects == 2);
    WANT(m, of_peer(m, 0, "b@h").messages_out == 2);
    WANT(m, of_peer(m, 0, "b@h").bytes_out > bytes);
    WANT(m, of_node(m, 0).bytes_out == of_peer(m, 0, "b@h").bytes_out);
}

/* --- what does not arrive ------------------------------------------------ */

static void only_calls(cnode_proc *p, const cnode_from *from, etf_view request,
                       void *data) {
    (void)p, (void)from, (void)request, (void)data;
}

static void drops_have_a_cause(mesh *m) {
    const cnode_config small = {.max_mailbox = 300};
    const cnode_proc_config server = {.name = "server", .on_call = only_calls};
    const cnode_proc_config box = {.name = "box"};
    cnode_proc *p, *q;
    cnode_proc_stats s;
    cnode_stats n;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, mesh_start(m, 1, &small));
    NEED(m, p = mesh_proc(m, 0, "p"));
    OK(m, cnode_spawn(mesh_cnode(m, 1), &server, NULL));
    OK(m, cnode_spawn(mesh_cnode(m, 1), &box, &q));
    OK(m, cnode_send_name(p, "b@h", "nobody", "x"));
    OK(m, cnode_send_name(p, "b@h", "server", "x"));
    for (int i = 0; i < 10; i++)
        OK(m, cnode_send_name(p, "b@h", "box", "{some, message, ~i}", i));
    WANT(m, of_peer(m, 1, "a@h").signals_in == 12);
    n = of_node(m, 1);
    cnode_get_proc_stats(q, &s);
    WANT(m, n.drops[CNODE_DROP_NOBODY] == 1);
    WANT(m, n.drops[CNODE_DROP_UNWANTED] == 1);
    WANT(m, n.drops[CNODE_DROP_MAILBOX] > 4 && n.drops[CNODE_DROP_MEMORY] == 0);
    WANT(m, s.dropped == n.drops[CNODE_DROP_MAILBOX]);
    WANT(m, s.received == 10 && s.mailbox_messages == 10 - s.dropped);
    WANT(m, s.mailbox_bytes > 0 && s.mailbox_bytes <= 300);
    WANT(m, n.dropped == 2 + s.dropped);
}

static void the_unreached_are_counted(mesh *m) {
    cnode *a;
    cnode_proc *p;

    OK(m, mesh_start(m, 0, NULL));
    a = mesh_cnode(m, 0);
    OK(m, cnode_set_address(a, "b@h", "kept:1"));
    m->cut = true;
    NEED(m, p = mesh_proc(m, 0, "p"));
    OK(m, cnode_send_name(p, "b@h", "q", "one"));
    OK(m, cnode_send_name(p, "b@h", "q", "two"));
    OK(m, cnode_monitor(p, "b@h", "q", NULL));
    WANT(m, of_peer(m, 0, "b@h").unreached == 2);
    WANT(m, of_peer(m, 0, "b@h").failures == 1);
    WANT(m, of_node(m, 0).unreached == 2 && of_node(m, 0).failures == 1);
    WANT(m, of_peer(m, 0, "b@h").queued == 0 && of_node(m, 0).dropped == 0);
}

static void stalls_are_counted(mesh *m) {
    static char filler[400];
    const etf_view body = {(const uint8_t *)filler, sizeof filler};
    const cnode_config small = {.max_queue = 4000};
    cnode_proc *p;
    int refused = 0;

    OK(m, mesh_start(m, 0, &small));
    OK(m, mesh_start(m, 1, NULL));
    NEED(m, p = mesh_proc(m, 0, "p"));
    OK(m, cnode_send_name(p, "b@h", "q", "one"));
    WANT(m, of_peer(m, 0, "b@h").up);
    mesh_stall(m, 0, true);
    for (int i = 0; i < 20; i++)
        refused += cnode_send_name(p, "b@h", "q", "~b", body) == CN_EBUSY;
    WANT(m, refused > 5 && of_peer(m, 0, "b@h").refused == (uint64_t)refused);
    WANT(m, of_peer(m, 0, "b@h").stalls == 1);
    WANT(m, of_peer(m, 0, "b@h").queued > 4000);
    WANT(m, of_node(m, 0).queued == of_peer(m, 0, "b@h").queued);
    mesh_stall(m, 0, false);
    WANT(m, of_peer(m, 0, "b@h").queued == 0);
    OK(m, cnode_send_name(p, "b@h", "q", "two"));
    WANT(m, of_peer(m, 0, "b@h").stalls == 1);
    WANT(m, of_peer(m, 0, "b@h").queued_high > 4000);
}

/* --- pings --------------------------------------------------------------- */

static void on_ping(cnode *n, const char *peer, int status, const cn_error *err,
                    uint64_t us, void *data) {
    mesh *m = mesh_of(n);

    m->answered++;
    m->noticed |= status != 0;
    assert_int_equal(status, err->code);
    assert_int_equal(status != 0, err->text[0] != '\0');
    mesh_say(m, "%s: %s %s %d", (const char *)data, peer, cn_errname(status),
             (int)us);
}

/* By a process whose number is easily guessed. */
static int kill_last(mesh *m) {
    cnode *n = mesh_cnode(m, 0);
    etf_pid last = cnode__pid_of(n, n->next_pid - 1);
    cnode_proc *p;
    int err = cnode_spawn(n, &(cnode_proc_config){0}, &p);

    if (err == 0)
        err = cnode_send_exit(p, &last, "kill");
    if (err == 0)
        err = cnode_exit(p, "normal");
    return err;
}

static void a_ping_measures(mesh *m) {
    cnode *a;

    START_TWO(m);
    a = mesh_cnode(m, 0);
    ASK(m, cnode_ping(a, "b@h", 0, on_ping, "first"));
    mesh_settle(m);
    SAID(m, "first: b@h CN_OK 0");
    mesh_stall(m, 1, true);
    ASK(m, cnode_ping(a, "b@h", 0, on_ping, "slow"));
    OK(m, kill_last(m));
    mesh_settle(m);
    mesh_advance(m, 7);
    mesh_stall(m, 1, false);
    mesh_settle(m);
    SAID(m, "slow: b@h CN_OK 7000");
    WANT(m, of_peer(m, 0, "b@h").pings == 2);
    WANT(m, of_peer(m, 0, "b@h").rtt_us == 7000);
    WANT(m, of_peer(m, 0, "b@h").rtt_min_us == 0);
    WANT(m, a->procs.count == mesh_cnode(m, 1)->procs.count);
}

static void a_ping_fails(mesh *m) {
    cnode *a;

    START_TWO(m);
    a = mesh_cnode(m, 0);
    ASK(m, cnode_ping(a, "b@h", 0, on_ping, "up"));
    mesh_settle(m);
    SAID(m, "up: b@h CN_OK 0");
    mesh_stall(m, 1, true);
    ASK(m, cnode_ping(a, "b@h", 100, on_ping, "late"));
    mesh_settle(m);
    mesh_advance(m, 100);
    mesh_settle(m);
    SAID(m, "late: b@h CN_ETIMEDOUT 0");
    ASK(m, cnode_ping(a, "b@h", 0, on_ping, "lost"));
    mesh_settle(m);
    mesh_break(m, 0);
    mesh_settle(m);
    SAID(m, "lost: b@h CN_ENOCONN 0");
    m->cut = true;
    ASK(m, cnode_ping(a, "b@h", 0, on_ping, "cut"));
    mesh_settle(m);
    SAID(m, "cut: b@h CN_ENOENT 0");
    WANT(m, of_peer(m, 0, "b@h").pings == 0);
    assert_int_not_equal(cnode_ping(a, "a@h", 0, on_ping, "own"), 0);
    assert_int_not_equal(cnode_ping(a, "no name", 0, on_ping, "bad"), 0);
    m->noticed = true;
}

static void a_ping_ends_with_the_node(mesh *m) {
    START_TWO(m);
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, "up"));
    mesh_settle(m);
    SAID(m, "up: b@h OK");
    mesh_stall(m, 1, true);
    ASK(m, cnode_ping(mesh_cnode(m, 0), "b@h", 0, on_ping, "freed"));
    mesh_settle(m);
    mesh_stop(m, 0);
    SAID(m, "freed: b@h CN_ECLOSED 0");
}

/* --- structs that grow --------------------------------------------------- */

static void an_older_program_gets_its_fields(mesh *m) {
    struct {
        cnode_stats s;
        uint8_t after[16];
    } now;
    cnode_peer_stats peer;

    OK(m, mesh_start(m, 0, NULL));
    memset(&now, 0x5a, sizeof now);
    cnode_get_stats_sized(mesh_cnode(m, 0), &now.s,
                          offsetof(cnode_stats, drops));
    assert_int_equal(((uint8_t *)&now)[offsetof(cnode_stats, drops)], 0x5a);
    assert_int_not_equal(now.s.processes, 0x5a5a5a5a);
    cnode_get_stats_sized(mesh_cnode(m, 0), &now.s, sizeof now);
    assert_int_equal(now.after[0], 0);
    assert_int_equal(cnode_get_peer_stats(mesh_cnode(m, 0), "x@h", &peer),
                     CN_ENOENT);
    assert_int_equal(peer.connects, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(both_sides_count_the_same),
        MESH_CASE(ticks_are_counted),
        MESH_CASE(reconnects_add_up),
        MESH_CASE(drops_have_a_cause),
        MESH_CASE(the_unreached_are_counted),
        MESH_CASE(stalls_are_counted),
        MESH_CASE(a_ping_measures),
        MESH_CASE(a_ping_fails),
        MESH_CASE(a_ping_ends_with_the_node),
        MESH_CASE(an_older_program_gets_its_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
