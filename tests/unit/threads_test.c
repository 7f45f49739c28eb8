/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads: eight of them send, post and call into one node while its peers,
 * each a node with a loop and a thread of its own, come and go. Made for the
 * thread sanitizer; each test holds without it, too.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <uv.h>

#include "cnode/cnode.h"
#include "tests/unit/support.h"

enum { THREADS = 8, PEERS = 2, ROUNDS = 4, LONG = 30000 };

/* --- a node in a thread of its own --------------------------------------- */

typedef struct runner {
    uv_thread_t thread;
    uv_sem_t ready;
    cnode *node;
    cnode_proc *proc;
    char name[32];
    uint16_t port; /* 0: any */
    size_t max_queue;
    uint32_t ticktime_s;
    void (*prepare)(struct runner *r);
    void *data;
    void (*on_drain)(cnode *n, const char *peer, void *drain);
    void *drain;
} runner;

static void run_node(void *arg) {
    runner *r = arg;
    const cnode_config c = {.name = r->name,
                            .cookie = "secret",
                            .no_epmd = true,
                            .address = "127.0.0.1",
                            .port = r->port,
                            .max_queue = r->max_queue,
                            .ticktime_s = r->ticktime_s,
                            .on_drain = r->on_drain,
                            .data = r->drain};

    assert_int_equal(cnode_new(&r->node, &c), 0);
    assert_int_equal(cnode_listen(r->node), 0);
    r->port = cnode_port(r->node);
    r->prepare(r);
    uv_sem_post(&r->ready);
    (void)cnode_run(r->node);
    cnode_free(r->node);
}

static void start(runner *r) {
    assert_int_equal(uv_sem_init(&r->ready, 0), 0);
    assert_int_equal(uv_thread_create(&r->thread, run_node, r), 0);
    uv_sem_wait(&r->ready);
}

static void stop(runner *r) {
    cnode_stop(r->node);
    assert_int_equal(uv_thread_join(&r->thread), 0);
    uv_sem_destroy(&r->ready);
}

/* --- servers ------------------------------------------------------------- */

static void answer(cnode_proc *p, const cnode_from *from, etf_view request,
                   void *data) {
    (void)data;
    (void)cnode_reply(p, from, "{ok, ~t}", request);
}

static int twice(cnode_proc *self, etf_view args, etf_writer *result,
                 void *data) {
    int i;

    (void)self, (void)data;
    return etf_match(args, "[~i]", &i) == 0
               ? etf_pack(result, "~i", 2 * (int64_t)i)
               : CN_EBADARG;
}

static void count(cnode_proc *p, const cnode_msg *m, void *data) {
    (void)p, (void)m;
    atomic_fetch_add((atomic_int *)data, 1);
}

static void make_server(runner *r) {
    const cnode_proc_config server = {.name = "server", .on_call = answer};
    const cnode_proc_config sink = {
        .name = "sink", .on_message = count, .data = r->data};

    assert_int_equal(cnode_spawn(r->node, &server, NULL), 0);
    assert_int_equal(cnode_spawn(r->node, &sink, NULL), 0);
    assert_int_equal(cnode_export(r->node, "m", "twice", 1, twice, NULL), 0);
}

static void make_client(runner *r) {
    static const cnode_proc_config plain = {.name = "client"};

    make_server(r);
    assert_int_equal(cnode_spawn(r->node, &plain, &r->proc), 0);
}

static const char *const peer_names[PEERS] = {"p0@127.0.0.1", "p1@127.0.0.1"};

typedef struct address {
    const char *peer;
    unsigned port;
    uv_sem_t done;
} address;

static void set_address(cnode *n, void *arg) {
    address *a = arg;
    char text[32];

    (void)snprintf(text, sizeof text, "127.0.0.1:%u", a->port);
    assert_int_equal(cnode_set_address(n, a->peer, text), 0);
    uv_sem_post(&a->done);
}

static void introduce(cnode *n, const char *peer, unsigned port) {
    address a = {.peer = peer, .port = port};

    assert_int_equal(uv_sem_init(&a.done, 0), 0);
    assert_int_equal(cnode_post(n, set_address, &a), 0);
    uv_sem_wait(&a.done);
    uv_sem_destroy(&a.done);
}

static void start_peer(runner *r, int i, uint16_t port, atomic_int *got,
                       runner *client) {
    *r = (runner){.prepare = make_server, .data = got, .port = port};
    (void)snprintf(r->name, sizeof r->name, "%s", peer_names[i]);
    start(r);
    introduce(client->node, peer_names[i], r->port);
}

static void start_client(runner *r, atomic_int *got) {
    *r = (runner){.prepare = make_client, .data = got};
    (void)snprintf(r->name, sizeof r->name, "client@127.0.0.1");
    start(r);
}

/* --- eight threads while peers come and go ------------------------------- */

typedef struct worker {
    uv_thread_t thread;
    runner *client;
    atomic_bool *over;
    atomic_int *posted;
    int number;
    int posts;
    int here;        /* messages sent to this node */
    atomic_int good; /* calls that were answered */
    int bad;         /* ... not, for there was no peer */
} worker;

static void count_post(cnode *n, void *arg) {
    (void)n;
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void one_call(worker *w, const char *peer) {
    const cnode_call_opts o = {
        .node = peer, .server = "server", .timeout_ms = 3000};
    etf_writer result;
    etf_view term;
    int got, status;

    etf_writer_init(&result, NULL);
    status = cnode_call_wait(w->client->node, &o, &result, "~i", w->number);
    atomic_fetch_add(&w->good, status == 0);
    w->bad += status != 0;
    if (status == 0) {
        assert_int_equal(etf_writer_finish(&result, &term), 0);
        assert_int_equal(etf_match(term, "{ok, ~i}", &got), 0);
        assert_int_equal(got, w->number);
    }
    etf_writer_free(&result);
}

static void one_turn(worker *w, int i) {
    const char *peer = peer_names[(w->number + i) % PEERS];

    (void)cnode_send_name(w->client->proc, peer, "sink", "{hello, ~i}", i);
    w->here += cnode_send_name(w->client->proc, NULL, "sink", "~i", i) == 0;
    w->posts += cnode_post(w->client->node, count_post, w->posted) == 0;
    if (i % 8 == 0)
        one_call(w, peer);
}

static void work(void *arg) {
    worker *w = arg;

    for (int i = 0; !atomic_load(w->over); i++)
        one_turn(w, i);
}

static void wait_for_calls(cnode *n, const char *peer) {
    const cnode_call_opts o = {
        .node = peer, .server = "server", .timeout_ms = LONG};
    int tries = 0;

    while (cnode_call_wait(n, &o, NULL, "here") != 0)
        assert_true(++tries < 1000);
}

static void peers_come_and_go(void **state) {
    runner client, peers[PEERS];
    worker workers[THREADS];
    atomic_int posted = 0, got[PEERS] = {0}, here = 0;
    atomic_bool over = false;
    int posts = 0, sent = 0;

    (void)state;
    start_client(&client, &here);
    for (int i = 0; i < PEERS; i++)
        start_peer(&peers[i], i, 0, &got[i], &client);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){
            .client = &client, .over = &over, .posted = &posted, .number = i};
        assert_int_equal(
            uv_thread_create(&workers[i].thread, work, &workers[i]), 0);
    }
    for (int i = 0; i < ROUNDS; i++) {
        runner *r = &peers[i % PEERS];
        wait_for_calls(client.node, r->name);
        stop(r);
        start_peer(r, i % PEERS, 0, &got[i % PEERS], &client);
        wait_for_calls(client.node, r->name);
    }
    for (int i = 0; i < THREADS; i++) /* some may have begun late */
        while (atomic_load(&workers[i].good) == 0)
            wait_for_calls(client.node, peers[0].name);
    atomic_store(&over, true);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(uv_thread_join(&workers[i].thread), 0);
        posts += workers[i].posts;
        sent += workers[i].here;
    }
    wait_for_calls(client.node, client.name); /* behind all that was sent */
    assert_int_equal(atomic_load(&posted), posts);
    assert_int_equal(atomic_load(&here), sent);
    assert_true(atomic_load(&got[0]) > 0 && atomic_load(&got[1]) > 0);
    stop(&client);
    for (int i = 0; i < PEERS; i++)
        stop(&peers[i]);
}

/* --- calls that wait ----------------------------------------------------- */

static void loop_is_refused(cnode *n, void *arg) {
    const cnode_call_opts o = {.node = NULL, .server = "server"};
    int *err = arg;

    *err = cnode_call_wait(n, &o, NULL, "x");
    cnode_stop(n);
}

static void calls_wait(void **state) {
    const cnode_call_opts nobody = {.node = "p0@127.0.0.1", .server = "nobody"};
    cnode_rpc_opts o = {
        .node = "p0@127.0.0.1", .module = "m", .function = "twice"};
    atomic_int got = 0;
    runner client, peer;
    etf_writer result;
    etf_view term;
    int value;

    (void)state;
    start_client(&client, &got);
    start_peer(&peer, 0, 0, &got, &client);
    etf_writer_init(&result, NULL);
    assert_int_equal(cnode_rpc_wait(client.node, &o, &result, "[~i]", 21), 0);
    assert_int_equal(etf_writer_finish(&result, &term), 0);
    assert_int_equal(etf_match(term, "~i", &value), 0);
    assert_int_equal(value, 42);
    etf_writer_reset(&result);
    assert_int_equal(cnode_rpc_wait(client.node, &o, &result, "[x]"),
                     CN_EREMOTE);
    assert_int_equal(etf_writer_finish(&result, &term), 0);
    assert_int_equal(etf_match(term, "{error, badarg, _}"), 0);
    etf_writer_free(&result);
    assert_int_equal(cnode_call_wait(client.node, &nobody, NULL, "x"),
                     CN_ENOPROC);
    assert_int_equal(cnode_call_wait(client.node, &nobody, NULL, "{"),
                     CN_ESYNTAX);
    o.node = "no name";
    assert_int_equal(cnode_rpc_wait(client.node, &o, NULL, "[]"), CN_EBADARG);
    assert_int_equal(cnode_rpc_wait(client.node, NULL, NULL, "[]"), CN_EBADARG);
    assert_int_equal(cnode_call_wait(client.node, NULL, NULL, "x"), CN_EBADARG);
    stop(&peer);
    stop(&client);
}

static void calls_are_refused_on_the_loop(void **state) {
    const cnode_config c = {.name = "a@127.0.0.1", .cookie = "secret"};
    cnode *n;
    int err = 0;

    (void)state;
    assert_int_equal(cnode_new(&n, &c), 0);
    assert_int_equal(cnode_post(n, loop_is_refused, &err), 0);
    assert_int_equal(cnode_run(n), 0);
    assert_int_equal(err, CN_EBUG);
    assert_non_null(strstr(cnode_error(n)->text, "runs the loop"));
    cnode_free(n);
}

static void never(cnode_proc *p, const cnode_from *from, etf_view request,
                  void *data) {
    (void)from, (void)request;
    uv_sem_post(data);
    cnode_stop(cnode_of(p));
}

static void make_silent(runner *r) {
    const cnode_proc_config c = {
        .name = "silent", .on_call = never, .data = r->data};

    assert_int_equal(cnode_spawn(r->node, &c, NULL), 0);
}

/* Its process ends with the node, and so does the waiting. */
static void a_call_waits_for_a_node_that_goes(void **state) {
    const cnode_call_opts o = {
        .server = "silent", .node = "gone@127.0.0.1", .timeout_ms = UINT32_MAX};
    runner r = {.prepare = make_silent, .name = "gone@127.0.0.1"};
    uv_sem_t asked;

    (void)state;
    assert_int_equal(uv_sem_init(&asked, 0), 0);
    r.data = &asked;
    start(&r);
    assert_int_equal(cnode_call_wait(r.node, &o, NULL, "x"), CN_ECLOSED);
    uv_sem_wait(&asked);
    assert_int_equal(uv_thread_join(&r.thread), 0);
    uv_sem_destroy(&r.ready);
    uv_sem_destroy(&asked);
}

/* --- more than is taken -------------------------------------------------- */

typedef struct order {
    atomic_int next;
    atomic_bool in_order;
} order;

static void in_order(cnode_proc *p, const cnode_msg *m, void *data) {
    order *o = data;
    int i = 0;

    (void)p;
    if (etf_match(m->term, "{~i, _}", &i) != 0 ||
        i != atomic_fetch_add(&o->next, 1))
        atomic_store(&o->in_order, false);
}

static void make_ordered(runner *r) {
    const cnode_proc_config c = {
        .name = "sink", .on_message = in_order, .data = r->data};
    const cnode_proc_config server = {.name = "server", .on_call = answer};

    assert_int_equal(cnode_spawn(r->node, &c, NULL), 0);
    assert_int_equal(cnode_spawn(r->node, &server, NULL), 0);
}

typedef struct ticks {
    uint64_t n;
    uv_sem_t counted;
} ticks;

static void count_ticks(cnode *n, void *arg) {
    ticks *t = arg;
    cnode_stats s;

    cnode_get_stats(n, &s);
    t->n = s.ticks_in + s.ticks_out;
    uv_sem_post(&t->counted);
}

static uint64_t ticks_of(cnode *n) {
    ticks t = {0};

    assert_int_equal(uv_sem_init(&t.counted, 0), 0);
    assert_int_equal(cnode_post(n, count_ticks, &t), 0);
    uv_sem_wait(&t.counted);
    uv_sem_destroy(&t.counted);
    return t.n;
}

/* A thread is faster than the connection, whose queue is small: it is told so,
 * and all that was accepted arrives, in order. */
static void a_full_queue_loses_nothing(void **state) {
    static char big[10000];
    const etf_view body = {(const uint8_t *)big, sizeof big};
    enum { MESSAGES = 1000 };
    order o = {.in_order = true};
    runner client = {.prepare = make_client,
                     .name = "client@127.0.0.1",
                     .max_queue = 100000,
                     .ticktime_s = 1000};
    runner peer = {.prepare = make_ordered,
                   .name = "p0@127.0.0.1",
                   .data = &o,
                   .ticktime_s = 1000};
    atomic_int here = 0;
    int busy = 0;

    (void)state;
    client.data = &here;
    start(&client);
    start(&peer);
    introduce(client.node, peer.name, peer.port);
    for (int i = 0; i < MESSAGES;) {
        int err = cnode_send_name(client.proc, peer.name, "sink", "{~i, ~b}", i,
                                  body);
        assert_true(err == 0 || err == CN_EBUSY);
        i += err == 0;
        busy += err != 0;
        if (err != 0)
            uv_sleep(0);
    }
    while (atomic_load(&o.next) < MESSAGES && atomic_load(&o.in_order))
        wait_for_calls(client.node, peer.name);
    assert_true(atomic_load(&o.in_order));
    assert_true(busy > 0);
    assert_int_equal(ticks_of(client.node), 0); /* nor did it wait for any */
    stop(&client);
    stop(&peer);
}

/* --- threads that wait for on_drain -------------------------------------- */

typedef struct drain {
    uv_mutex_t mutex;
    uv_cond_t called;
    unsigned calls;
} drain;

static void on_drain(cnode *n, const char *peer, void *data) {
    drain *d = data;

    (void)n, (void)peer;
    uv_mutex_lock(&d->mutex);
    d->calls++;
    uv_cond_broadcast(&d->called);
    uv_mutex_unlock(&d->mutex);
}

static unsigned calls_of(drain *d) {
    unsigned calls;

    uv_mutex_lock(&d->mutex);
    calls = d->calls;
    uv_mutex_unlock(&d->mutex);
    return calls;
}

static void wait_for_drain(drain *d, unsigned seen) {
    uv_mutex_lock(&d->mutex);
    while (d->calls == seen)
        uv_cond_wait(&d->called, &d->mutex);
    uv_mutex_unlock(&d->mutex);
}

static void stand_still(cnode *n, void *gate) {
    (void)n;
    uv_sem_wait(gate);
}

typedef struct refusals {
    const char *peer;
    uint64_t n;
    uv_sem_t counted;
} refusals;

static void count_refused(cnode *n, void *arg) {
    refusals *r = arg;
    cnode_peer_stats s;

    assert_int_equal(cnode_get_peer_stats(n, r->peer, &s), 0);
    r->n = s.refused;
    uv_sem_post(&r->counted);
}

static uint64_t refused_of(cnode *n, const char *peer) {
    refusals r = {.peer = peer};

    assert_int_equal(uv_sem_init(&r.counted, 0), 0);
    assert_int_equal(cnode_post(n, count_refused, &r), 0);
    uv_sem_wait(&r.counted);
    uv_sem_destroy(&r.counted);
    return r.n;
}

enum { TO_DRAIN = 300 };

/* Sends on from *next until something is refused. */
static void send_until_busy(cnode_proc *p, const char *peer, int *next) {
    static char filler[1000];
    const etf_view body = {(const uint8_t *)filler, sizeof filler};
    int err = 0;

    for (; err == 0 && *next < TO_DRAIN; *next += err == 0)
        err = cnode_send_name(p, peer, "sink", "{~i, ~b}", *next, body);
    assert_true(err == 0 || err == CN_EBUSY);
}

/* Who is refused although the loop has not seen a full queue, because it does
 * not come to what threads have sent, hears of it as well, and so does who is
 * refused while something is held. All are counted. */
static void refused_threads_hear_when_to_go_on(void **state) {
    order o = {.in_order = true};
    drain d = {.calls = 0};
    runner client = {.prepare = make_client,
                     .name = "client@127.0.0.1",
                     .max_queue = 20000,
                     .on_drain = on_drain,
                     .drain = &d};
    runner peer = {.prepare = make_ordered, .name = "p0@127.0.0.1", .data = &o};
    atomic_int here = 0;
    uv_sem_t gate;
    uint64_t busy = 0;
    int next = 0;

    (void)state;
    client.data = &here;
    assert_int_equal(uv_mutex_init(&d.mutex), 0);
    assert_int_equal(uv_cond_init(&d.called), 0);
    assert_int_equal(uv_sem_init(&gate, 0), 0);
    start(&client);
    start(&peer);
    introduce(client.node, peer.name, peer.port);
    assert_int_equal(cnode_post(client.node, stand_still, &gate), 0);
    while (next < TO_DRAIN) {
        unsigned seen = calls_of(&d);
        send_until_busy(client.proc, peer.name, &next);
        if (busy++ == 0)
            uv_sem_post(&gate);
        if (next < TO_DRAIN)
            wait_for_drain(&d, seen);
    }
    while (atomic_load(&o.next) < TO_DRAIN && atomic_load(&o.in_order))
        wait_for_calls(client.node, peer.name);
    assert_true(atomic_load(&o.in_order));
    assert_true(busy > 1);
    assert_int_equal(refused_of(client.node, peer.name), busy - 1);
    stop(&client);
    stop(&peer);
    uv_sem_destroy(&gate);
    uv_cond_destroy(&d.called);
    uv_mutex_destroy(&d.mutex);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers_come_and_go),
        cmocka_unit_test(calls_wait),
        cmocka_unit_test(calls_are_refused_on_the_loop),
        cmocka_unit_test(a_call_waits_for_a_node_that_goes),
        cmocka_unit_test(a_full_queue_loses_nothing),
        cmocka_unit_test(refused_threads_hear_when_to_go_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
