/* SPDX-License-Identifier: Apache-2.0
 *
 * Signals from other threads to a peer that takes no more: they are held, in
 * order, over the loss of its connection too, and nobody else waits for them.
 */
#include <stdio.h>
#include <string.h>

#include "tests/unit/mesh.h"

enum { MANY = 30 };

typedef struct seen {
    int next;
    bool in_order;
} seen;

static void on_message(cnode_proc *p, const cnode_msg *m, void *data) {
    seen *x = data;
    int i = 0;

    (void)p;
    if (etf_match(m->term, "{~i, _}", &i) != 0 || i < x->next)
        x->in_order = false;
    else
        x->next = i + 1;
}

static int send_many(cnode_proc *p, int from, int n) {
    static char filler[300];
    const etf_view body = {(const uint8_t *)filler, sizeof filler};
    int err = 0;

    for (int i = from; i < from + n && err == 0; i++)
        err = cnode_send_name(p, "b@h", "sink", "{~i, ~b}", i, body);
    return err;
}

/* What the sink has seen; it may outlive a scenario. */
static seen sink_saw;

static void start_with_sink(mesh *m, cnode_proc **p) {
    const cnode_config small = {.max_queue = 2000};
    const cnode_proc_config sink = {
        .name = "sink", .on_message = on_message, .data = &sink_saw};

    *p = NULL;
    sink_saw = (seen){.in_order = true};
    OK(m, mesh_start(m, 0, &small));
    OK(m, mesh_start(m, 1, NULL));
    OK(m, mesh_start(m, 2, NULL));
    OK(m, cnode_spawn(mesh_cnode(m, 1), &sink, NULL));
    NEED(m, mesh_proc(m, 2, "c"));
    NEED(m, *p = mesh_proc(m, 0, "p"));
    ASK(m, cnode_connect(mesh_cnode(m, 0), "b@h", mesh_connected, "up"));
    mesh_settle(m);
    m->said[0] = '\0';
    if (!cnode_connected(mesh_cnode(m, 0), "b@h"))
        *p = NULL;
}

static cnode_peer_stats stats_of(mesh *m) {
    cnode_peer_stats s;

    (void)cnode_get_peer_stats(mesh_cnode(m, 0), "b@h", &s);
    return s;
}

static void what_is_not_taken_is_held(mesh *m) {
    cnode_proc *p;

    start_with_sink(m, &p);
    if (p == NULL)
        return;
    m->nodes[0].elsewhere = true;
    mesh_stall(m, 0, true);
    OK(m, send_many(p, 0, MANY));
    mesh_settle(m);
    WANT(m, sink_saw.next == 0 && stats_of(m).queued < 4000);
    mesh_stall(m, 0, false);
    OK(m, send_many(p, MANY, 3));
    WANT(m, sink_saw.next == MANY + 3 && sink_saw.in_order);
    WANT(m, mesh_cnode(m, 0)->stats.dropped == 0);
    WANT(m, cnode__list_empty(&mesh_cnode(m, 0)->holds));
}

/* The others' messages pass by what is held. */
static void nobody_else_waits(mesh *m) {
    cnode_proc *p;

    start_with_sink(m, &p);
    if (p == NULL)
        return;
    m->nodes[0].elsewhere = true;
    mesh_stall(m, 0, true);
    OK(m, send_many(p, 0, MANY));
    mesh_settle(m);
    OK(m, cnode_send_name(p, NULL, "p", "here"));
    mesh_settle(m);
    SAID(m, "p: here");
    mesh_stall(m, 0, false);
    OK(m, cnode_send_name(p, "c@h", "c", "there"));
    mesh_settle(m);
    SAID(m, "c: there");
    WANT(m, sink_saw.next == MANY && sink_saw.in_order);
}

/* What was in the connection is lost with it, what was held is not. */
static void is_held_over_a_lost_connection(mesh *m) {
    cnode_proc *p;

    start_with_sink(m, &p);
    if (p == NULL)
        return;
    m->nodes[0].elsewhere = true;
    mesh_stall(m, 0, true);
    OK(m, send_many(p, 0, MANY));
    mesh_settle(m);
    mesh_break(m, 0);
    mesh_settle(m);
    WANT(m, sink_saw.next == MANY && sink_saw.in_order);
    WANT(m, stats_of(m).connects == 2);
}

static void ends_with_the_node(mesh *m) {
    cnode_proc *p;

    start_with_sink(m, &p);
    if (p == NULL)
        return;
    m->nodes[0].elsewhere = true;
    mesh_stall(m, 0, true);
    OK(m, send_many(p, 0, MANY));
    mesh_settle(m);
    m->nodes[0].elsewhere = false;
    mesh_stop(m, 0);
    WANT(m, m->nodes[0].troubles > 0);
    WANT(m, strstr(m->nodes[0].log, "were lost: the node is closing") != NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(what_is_not_taken_is_held),
        MESH_CASE(nobody_else_waits),
        MESH_CASE(is_held_over_a_lost_connection),
        MESH_CASE(ends_with_the_node),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
