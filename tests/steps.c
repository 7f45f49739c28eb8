/* SPDX-License-Identifier: Apache-2.0
 *
 * steps.c: what must not cost the square of how many there are. scripts/steps
 * has callgrind count the instructions below measured(), for some and for four
 * times as many:
 *
 *     steps SCENARIO COUNT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cnode/io.h"
#include "epmd/epmd.h"
#include "tests/unit/mesh.h"

typedef struct scenario {
    const char *name;
    void (*prepare)(size_t n);
    void (*run)(size_t n); /* is measured */
    void (*end)(size_t n);
} scenario;

/* --- the port mapper --------------------------------------------------------
 */

static epmd_server *server;

static void start_server(epmd_server_config c) {
    c.seed = 1;
    if (epmd_server_new(&server, &c) != 0)
        abort();
    epmd_server_time(server, 1, 1);
}

static void end_server(size_t n) {
    (void)n;
    epmd_server_free(server);
}

static epmd_session *open_one(size_t i, const char *hex) {
    epmd_peer peer = {.local = true};
    uint8_t in[64];
    epmd_session *x;

    memcpy(peer.address, &i, sizeof i);
    if (epmd_server_open(server, &x, &peer, NULL) != 0)
        abort();
    epmd_session_feed(x, in, unhex(hex, in, sizeof in));
    return x;
}

static void read_answer(epmd_session *x) {
    const uint8_t *out;

    epmd_session_wrote(x, epmd_session_output(x, &out));
}

#define FOO "0010 78 04d2 4d 00 0006 0005 0003 666f6f 0000"
#define NAMES "0001 6e"

/* Each new client is one too many; all are of other addresses. */
static void prepare_evict(size_t n) {
    start_server((epmd_server_config){.max_clients = (uint32_t)n});
    for (size_t i = 0; i < n; i++)
        (void)open_one(i, "");
}

static void evict(size_t n) {
    for (size_t i = 0; i < n; i++)
        (void)open_one(n + i, "");
}

/* Those whose name is taken, who stay as long as they like. */
static void prepare_refused(size_t n) {
    start_server((epmd_server_config){.max_clients = UINT32_MAX});
    for (size_t i = 0; i < n; i++)
        read_answer(open_one(i, FOO));
}

static void refused(size_t n) {
    for (size_t i = 0; i < n; i++) {
        epmd_server_time(server, 2 + i, 1);
        if (epmd_server_deadline(server) != UINT64_MAX)
            abort();
    }
}

/* Lists that nobody reads, more than there may be. */
static void prepare_unread(size_t n) {
    start_server(
        (epmd_server_config){.max_clients = UINT32_MAX, .max_output = 300});
    for (size_t i = 0; i < n; i++)
        (void)open_one(i, "");
}

static void unread(size_t n) {
    for (size_t i = 0; i < n; i++) {
        epmd_session *x = open_one(n + 2 * i, FOO);
        (void)open_one(n + 2 * i + 1, NAMES);
        epmd_session_free(x); /* it is another list the next time */
    }
}

/* --- callers that give up ---------------------------------------------------
 */

static mesh world;
static cnode__pending *owed;
static size_t given_up;

static void gave_up(cnode__pending *x) {
    (void)x;
    given_up++;
}

static void ended(cnode__pending *x) {
    (void)x;
}

static void prepare_pending(size_t n) {
    const cnode_proc_config c = {0};
    cnode_proc *p;
    cnode *node;

    world.victim = -1;
    owed = calloc(n, sizeof *owed);
    if (owed == NULL || mesh_start(&world, 0, NULL) != 0)
        abort();
    node = mesh_cnode(&world, 0);
    if (cnode_spawn(node, &c, &p) != 0 || cnode__extra_of(p) == NULL)
        abort();
    for (size_t i = 0; i < n; i++) {
        etf_ref ref = cnode_make_ref(node);
        etf_pid caller = cnode_self(p);
        cnode_from from = {.pid = caller};
        etf_writer w;

        etf_writer_init(&w, NULL);
        (void)etf_pack(&w, "~r", &ref);
        ref.node_len = 0;
        ref.node[0] = '\0';
        cnode__set_node(&caller, "");
        if (etf_writer_finish(&w, &from.tag) != 0 ||
            cnode__watch_add(p, NULL, &ref, &caller, (etf_view){NULL, 0}) != 0)
            abort();
        owed[i].watch = cnode__watch_find(node, &ref, &caller);
        if (owed[i].watch == NULL)
            abort();
        owed[i].gave_up = gave_up;
        owed[i].ended = ended;
        cnode__pending_add(p, &owed[i]);
        etf_writer_free(&w);
    }
}

/* Those who have asked last give up first. */
static void give_up(size_t n) {
    for (size_t i = n; i-- > 0;)
        cnode__watch_drop(owed[i].watch);
    if (given_up != n)
        abort();
}

static void end_pending(size_t n) {
    (void)n;
    mesh_free(&world);
    free(owed);
}

/* --- printing ---------------------------------------------------------------
 */

static cnode_proc *leader;
static size_t printed;

static void on_printed(cnode_proc *p, int status, etf_view reply, void *data) {
    (void)p, (void)reply, (void)data;
    printed += status == CN_EEXITED;
}

static void be_silent(cnode_proc *p, const cnode_msg *m, void *data) {
    (void)p, (void)m, (void)data;
}

/* Much is printed where nobody answers, and then something elsewhere. */
static void prepare_print(size_t n) {
    const cnode_proc_config mute = {.on_message = be_silent};
    cnode_proc *p, *silent;
    etf_pid to;

    world.victim = -1;
    if (mesh_start(&world, 0, NULL) != 0 ||
        cnode_spawn(mesh_cnode(&world, 0), &mute, &silent) != 0 ||
        cnode_spawn(mesh_cnode(&world, 0), &mute, &leader) != 0 ||
        cnode_spawn(mesh_cnode(&world, 0), &mute, &p) != 0)
        abort();
    for (size_t i = 0; i < 2 * n; i++) {
        cnode_io_to where = {.pid = &to};
        to = cnode_self(i < n ? silent : leader);
        if (cnode_io_put(p, &where, "x", 1, on_printed, NULL) != 0)
            abort();
    }
    mesh_settle(&world);
}

static void print(size_t n) {
    if (cnode_exit(leader, "bye") != 0)
        abort();
    mesh_settle(&world);
    if (printed != n)
        abort();
}

static void end_print(size_t n) {
    (void)n;
    mesh_free(&world);
}

/* --- all ------------------------------------------------------------------ */

static const scenario all[] = {
    {"evict", prepare_evict, evict, end_server},
    {"refused", prepare_refused, refused, end_server},
    {"unread", prepare_unread, unread, end_server},
    {"pending", prepare_pending, give_up, end_pending},
    {"print", prepare_print, print, end_print},
};

/* callgrind counts what is done in it. */
__attribute__((noinline)) void measured(const scenario *s, size_t n);
void measured(const scenario *s, size_t n) {
    s->run(n);
}

int main(int argc, char **argv) {
    size_t n = argc == 3 ? (size_t)strtoul(argv[2], NULL, 10) : 0;

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (argc == 1)
            (void)puts(all[i].name);
        else if (n > 0 && strcmp(all[i].name, argv[1]) == 0) {
            all[i].prepare(n);
            measured(&all[i], n);
            all[i].end(n);
            return 0;
        }
    }
    return argc == 1 ? 0 : 2;
}
