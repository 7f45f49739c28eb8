/* SPDX-License-Identifier: Apache-2.0
 *
 * drain_test.c: back-pressure (drain.c) and messages that are not copied
 * (shared.c), between nodes in one process.
 */
#include <stdlib.h>
#include <string.h>

#include "mesh.h"

static char filler[400];
static const etf_view body = {(const uint8_t *)filler, sizeof filler};

static void on_drain(cnode *n, const char *peer, void *data) {
    (void)data;
    mesh_say(mesh_of(n), "%s: drained %s", cnode_name(n), peer);
}

/* Two that are connected, and what the first one writes is held back. */
static cnode_proc *stalled_pair(mesh *m, const cnode_config *config) {
    cnode_proc *p;

    if (mesh_start(m, 0, config) != 0 || mesh_start(m, 1, NULL) != 0)
        return NULL;
    p = mesh_proc(m, 0, "p");
    if (p == NULL || cnode_send_name(p, "b@h", "nobody", "one") != 0)
        return NULL;
    mesh_settle(m);
    mesh_stall(m, 0, true);
    return p;
}

static int send_until_busy(cnode_proc *p, int *sent) {
    int err = 0;

    for (*sent = 0; *sent < 10000 && err == 0; ++*sent)
        err = cnode_send_name(p, "b@h", "nobody", "~b", body);
    --*sent;
    return err == CN_EBUSY ? 0 : err == 0 ? CN_EBUG : err;
}

static size_t queued(mesh *m) {
    cnode_peer_stats s;

    return cnode_get_peer_stats(mesh_cnode(m, 0), "b@h", &s) == 0 ? s.queued
                                                                  : 0;
}

static void drains_once(mesh *m) {
    static const cnode_config small = {.max_queue = 8000, .on_drain = on_drain};
    cnode_proc *p;
    int sent;

    NEED(m, p = stalled_pair(m, &small));
    for (int round = 0; round < 2; round++) {
        OK(m, send_until_busy(p, &sent));
        WANT(m, sent > 15 && sent < 25);
        OK(m, send_until_busy(p, &sent)); /* told once more */
        WANT(m, sent == 0 && queued(m) > 8000);
        SAID(m, "");
        mesh_stall(m, 0, false);
        SAID(m, "a@h: drained b@h");
        mesh_stall(m, 0, true);
    }
    WANT(m, mesh_cnode(m, 0)->stats.messages_out > 30);
}

/* Who was never refused hears nothing. */
static void quiet(mesh *m) {
    static const cnode_config small = {.max_queue = 8000, .on_drain = on_drain};
    cnode_proc *p;

    NEED(m, p = stalled_pair(m, &small));
    for (int i = 0; i < 18; i++)
        OK(m, cnode_send_name(p, "b@h", "nobody", "~b", body));
    mesh_stall(m, 0, false);
    SAID(m, "");
}

/* A peer that takes nothing does not delay another one. */
static void others_go_on(mesh *m) {
    static const cnode_config small = {.max_queue = 8000, .on_drain = on_drain};
    cnode_proc *p;
    int sent;

    NEED(m, p = stalled_pair(m, &small));
    OK(m, mesh_start(m, 2, NULL));
    NEED(m, mesh_proc(m, 2, "carol"));
    OK(m, send_until_busy(p, &sent));
    OK(m, cnode_send_name(p, "c@h", "carol", "hello"));
    SAID(m, "carol: hello");
    mesh_stall(m, 0, false);
    SAID(m, "a@h: drained b@h");
}

static void on_number(cnode_proc *p, const cnode_msg *msg, void *data) {
    int *last = data;
    int i = -1;

    (void)p;
    if (etf_match(msg->term, "{~i, _}", &i) == 0 && i == *last + 1)
        *last = i;
}

static void parks(mesh *m) {
    static const cnode_config small = {
        .max_queue = 8000, .max_parked = 16000, .on_drain = on_drain};
    int last = -1, sent, err = 0;
    const cnode_proc_config counter = {
        .name = "counter", .on_message = on_number, .data = &last};
    cnode_proc *p, *q;

    NEED(m, p = stalled_pair(m, &small));
    OK(m, cnode_spawn(mesh_cnode(m, 1), &counter, &q));
    for (sent = 0; sent < 1000 && err == 0; sent++)
        err = cnode_send_name(p, "b@h", "counter", "{~i, ~b}", sent, body);
    sent--;
    OK(m, err == CN_EBUSY ? 0 : err);
    WANT(m, err == CN_EBUSY && queued(m) > 24000 && queued(m) < 25000);
    mesh_stall(m, 0, false);
    SAID(m, "a@h: drained b@h");
    WANT(m, last == sent - 1);
}

/* Parked is owed the call too, without any CN_EBUSY. */
static void parked_only(mesh *m) {
    static const cnode_config small = {.max_queue = 8000,
                                       .low_queue = 100,
                                       .max_parked = 16000,
                                       .on_drain = on_drain};
    cnode_peer_stats stats;
    cnode_proc *p;

    NEED(m, p = stalled_pair(m, &small));
    for (int i = 0; i < 30; i++)
        OK(m, cnode_send_name(p, "b@h", "nobody", "~b", body));
    cnode_get_peer_stats(mesh_cnode(m, 0), "b@h", &stats);
    WANT(m, stats.stalls == 1 && stats.refused == 0);
    mesh_stall(m, 0, false);
    SAID(m, "a@h: drained b@h");
}

/* What waited is gone with the connection: go on with the next one. */
static void lost(mesh *m) {
    static const cnode_config small = {.max_queue = 8000, .on_drain = on_drain};
    cnode_proc *p;
    int sent;

    NEED(m, p = stalled_pair(m, &small));
    OK(m, send_until_busy(p, &sent));
    mesh_break(m, 0);
    SAID(m, "a@h: drained b@h");
    WANT(m, m->nodes[0].downs == 1);
}

/* The same for what waits for a connection, made in the end or not. */
static void pending(mesh *m) {
    static const cnode_config small = {.max_queue = 8000, .on_drain = on_drain};
    cnode_proc *p;
    int sent;

    OK(m, mesh_start(m, 0, &small));
    OK(m, mesh_start(m, 1, NULL));
    NEED(m, p = mesh_proc(m, 0, "p"));
    m->nodes[0].slow = true;
    OK(m, send_until_busy(p, &sent));
    SAID(m, "");
    m->nodes[0].slow = false;
    SAID(m, "a@h: drained b@h");
    WANT(m, mesh_cnode(m, 1)->stats.dropped == (uint64_t)sent);
    mesh_stop(m, 1);
    mesh_settle(m);
    m->cut = true;
    OK(m, send_until_busy(p, &sent));
    SAID(m, "a@h: drained b@h");
}

/* --- shared -------------------------------------------------------------- */

static void on_release(void *arg) {
    mesh_say(arg, "released");
}

static size_t taken;

static void on_big(cnode_proc *p, const cnode_msg *msg, void *data) {
    etf_view bytes;

    (void)data;
    if (etf_match(msg->term, "{big, ~b}", &bytes) == 0 && bytes.len > 0 &&
        bytes.data[bytes.len - 1] == 'x')
        mesh_say(mesh_of(cnode_of(p)), "got %zu", bytes.len);
    taken++;
}

static const cnode_proc_config taker = {.name = "big", .on_message = on_big};

static int send_big(cnode_proc *p, const char *node, const uint8_t *bytes,
                    size_t n, mesh *m) {
    etf_writer w;
    int err;

    etf_writer_init(&w, &p->node->alloc);
    etf_put_tuple(&w, 2);
    etf_put_atom(&w, "big");
    etf_put_binary_ref(&w, bytes, n);
    err = cnode_send_name_shared(p, node, "big", &w, on_release, m);
    etf_writer_free(&w);
    return err;
}

static void shared(mesh *m) {
    static uint8_t bytes[100000];
    cnode_proc *p, *q;

    bytes[sizeof bytes - 1] = 'x';
    OK(m, mesh_start(m, 0, NULL));
    OK(m, mesh_start(m, 1, NULL));
    NEED(m, p = mesh_proc(m, 0, "p"));
    OK(m, cnode_spawn(mesh_cnode(m, 0), &taker, &q));
    OK(m, cnode_spawn(mesh_cnode(m, 1), &taker, &q));
    OK(m, send_big(p, "b@h", bytes, sizeof bytes, m)); /* not connected yet */
    SAID(m, "released\ngot 100000");
    OK(m, send_big(p, NULL, bytes, sizeof bytes, m));
    SAID(m, "got 100000\nreleased");
    mesh_stall(m, 0, true);
    OK(m, send_big(p, "b@h", bytes, sizeof bytes, m));
    SAID(m, "");
    mesh_stall(m, 0, false);
    SAID(m, "released\ngot 100000");
    mesh_stall(m, 0, true);
    OK(m, send_big(p, "b@h", bytes, sizeof bytes, m));
    mesh_break(m, 0);
    SAID(m, "released");
}

/* A node that ends gives back what it was lent. */
static void shared_at_the_end(mesh *m) {
    static uint8_t bytes[100000];
    cnode_proc *p;

    NEED(m, p = stalled_pair(m, NULL));
    OK(m, send_big(p, "b@h", bytes, sizeof bytes, m));
    mesh_stop(m, 0);
    mesh_settle(m);
    mesh_stall(m, 0, false);
    SAID(m, "p: ended shutdown\nreleased");
}

/* 0: refused with that code. */
static int refused(mesh *m, cnode_proc *p, etf_writer *w, int code) {
    int err = cnode_send_name_shared(p, "b@h", "q", w, on_release, m);

    return err == code ? 0 : err == 0 ? CN_EBUG : err;
}

static void shared_refused(mesh *m) {
    cnode_proc *p;
    etf_writer w;

    OK(m, mesh_start(m, 0, NULL));
    NEED(m, p = mesh_proc(m, 0, "p"));
    etf_writer_init(&w, NULL);
    OK(m, refused(m, p, &w, CN_EBADARG));
    etf_writer_fail(&w, CN_ERANGE);
    OK(m, refused(m, p, &w, CN_ERANGE));
    m->nodes[0].elsewhere = true;
    OK(m, refused(m, p, &w, CN_EBUG));
    m->nodes[0].elsewhere = false;
    SAID(m, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(drains_once),       MESH_CASE(quiet),
        MESH_CASE(others_go_on),      MESH_CASE(parks),
        MESH_CASE(parked_only),       MESH_CASE(lost),
        MESH_CASE(pending),           MESH_CASE(shared),
        MESH_CASE(shared_at_the_end), MESH_CASE(shared_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
