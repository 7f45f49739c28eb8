/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes on libuv, over TCP on 127.0.0.1 without EPMD: two nodes on one loop,
 * and one with its own loop in a thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <uv.h>

#include "cnode/cnode.h"
#include "cnode/node.h"
#include "cnode/uv_shell.h"
#include "tests/unit/support.h"

enum { LONG = 20000, SENDERS = 8, EACH = 500 };

static void listen_as(cnode **n, const char *name, uv_loop_t *loop) {
    const cnode_config c = {.name = name,
                            .cookie = "secret",
                            .no_epmd = true,
                            .address = "127.0.0.1",
                            .loop = loop};

    assert_int_equal(cnode_new(n, &c), 0);
    assert_int_equal(cnode_listen(*n), 0);
    assert_int_not_equal(cnode_port(*n), 0);
}

static void introduce(cnode *n, const char *peer, unsigned port) {
    char address[32];

    (void)snprintf(address, sizeof address, "127.0.0.1:%u", port);
    assert_int_equal(cnode_set_address(n, peer, address), 0);
}

static void echo(cnode_proc *p, const cnode_msg *m, void *data) {
    etf_pid from;
    etf_view what;

    (void)data;
    if (etf_match(m->term, "{~p, ~t}", &from, &what) == 0)
        (void)cnode_send(p, &from, "{echo, ~t}", what);
}

static const cnode_proc_config echo_server = {.name = "echo",
                                              .on_message = echo};

/* --- two nodes on a loop of the program ---------------------------------- */

static void round_trips(void **state) {
    static const cnode_proc_config box = {0};
    uv_loop_t loop;
    cnode *a, *b;
    cnode_proc *p;
    cnode_msg m;
    etf_pid self;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    listen_as(&a, "a@127.0.0.1", &loop);
    listen_as(&b, "b@127.0.0.1", &loop);
    introduce(a, "b@127.0.0.1", cnode_port(b));
    assert_int_equal(cnode_spawn(b, &echo_server, NULL), 0);
    assert_int_equal(cnode_spawn(a, &box, &p), 0);
    self = cnode_self(p);
    assert_int_equal(cnode_receive(p, 0, &m), CN_ETIMEDOUT);
    assert_int_equal(cnode_receive(p, 10, &m), CN_ETIMEDOUT);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(
            cnode_send_name(p, "b@127.0.0.1", "echo", "{~p, ~i}", &self, i), 0);
        assert_int_equal(cnode_receive(p, LONG, &m), 0);
        assert_int_equal(etf_match(m.term, "{echo, ~i}", &(int){0}), 0);
        assert_string_equal(m.peer, "b@127.0.0.1");
    }
    assert_true(cnode_connected(a, "b@127.0.0.1"));
    cnode_free(a);
    while (cnode_connected(b, "a@127.0.0.1"))
        (void)uv_run(&loop, UV_RUN_ONCE);
    cnode_free(b);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* --- two loops ------------------------------------------------------------ */

static void count_echo(cnode_proc *p, const cnode_msg *m, void *data) {
    echo(p, m, NULL);
    ++*(int *)data;
}

static void count_message(cnode_proc *p, const cnode_msg *m, void *data) {
    (void)p, (void)m;
    ++*(int *)data;
}

/* The turn that reads a message writes the answer, too: it does not wait for
 * the next one, in which the loop does not run here. */
static void answers_in_the_same_turn(void **state) {
    int asked = 0, answered = 0;
    const cnode_proc_config server = {
        .name = "echo", .on_message = count_echo, .data = &asked};
    const cnode_proc_config box = {.on_message = count_message,
                                   .data = &answered};
    uv_loop_t la, lb;
    cnode *a, *b;
    cnode_proc *p;
    etf_pid self;

    (void)state;
    assert_int_equal(uv_loop_init(&la), 0);
    assert_int_equal(uv_loop_init(&lb), 0);
    listen_as(&a, "a@127.0.0.1", &la);
    listen_as(&b, "b@127.0.0.1", &lb);
    introduce(a, "b@127.0.0.1", cnode_port(b));
    assert_int_equal(cnode_spawn(b, &server, NULL), 0);
    assert_int_equal(cnode_spawn(a, &box, &p), 0);
    self = cnode_self(p);
    for (int i = 1; i <= 10; i++) {
        assert_int_equal(
            cnode_send_name(p, "b@127.0.0.1", "echo", "{~p, ~i}", &self, i), 0);
        while (asked < i) {
            (void)uv_run(&la, UV_RUN_NOWAIT);
            (void)uv_run(&lb, UV_RUN_NOWAIT);
        }
        for (int turn = 0; turn < 5 && answered < i; turn++)
            (void)uv_run(&la, UV_RUN_ONCE);
        assert_int_equal(answered, i);
    }
    cnode_free(a);
    while (cnode_connected(b, "a@127.0.0.1"))
        (void)uv_run(&lb, UV_RUN_ONCE);
    cnode_free(b);
    assert_int_equal(uv_loop_close(&la), 0);
    assert_int_equal(uv_loop_close(&lb), 0);
}

/* --- a node in a thread --------------------------------------------------- */

typedef struct other {
    uv_thread_t thread;
    uv_sem_t ready;
    cnode *node;
    unsigned port;
} other;

static void run_other(void *arg) {
    other *o = arg;

    listen_as(&o->node, "b@127.0.0.1", NULL);
    assert_int_equal(cnode_spawn(o->node, &echo_server, NULL), 0);
    o->port = cnode_port(o->node);
    uv_sem_post(&o->ready);
    (void)cnode_run(o->node);
    cnode_free(o->node);
}

static void start_other(other *o) {
    assert_int_equal(uv_sem_init(&o->ready, 0), 0);
    assert_int_equal(uv_thread_create(&o->thread, run_other, o), 0);
    uv_sem_wait(&o->ready);
}

static void stop_other(other *o) {
    cnode_stop(o->node);
    assert_int_equal(uv_thread_join(&o->thread), 0);
    uv_sem_destroy(&o->ready);
}

/* --- on_drain ------------------------------------------------------------- */

enum { BLOCKS = 400 };

typedef struct filler {
    cnode_proc *p;
    int sent; /* the last one is a question */
    int answered;
} filler;

static void fill(filler *f) {
    static const uint8_t block[20000];
    etf_view bytes = {block, sizeof block};
    etf_pid self = cnode_self(f->p);
    int err = 0;

    while (err == 0 && f->sent <= BLOCKS) {
        err = f->sent < BLOCKS
                  ? cnode_send_name(f->p, "b@127.0.0.1", "echo", "~b", bytes)
                  : cnode_send_name(f->p, "b@127.0.0.1", "echo", "{~p, done}",
                                    &self);
        f->sent += err == 0;
    }
    assert_true(err == 0 || err == CN_EBUSY);
}

static void fill_again(cnode *n, const char *peer, void *data) {
    (void)n, (void)peer;
    fill(data);
}

/* The socket takes at once what the queue holds, so on_drain comes while the
 * output is written; what it sends goes out without another event. */
static void sends_when_it_is_drained(void **state) {
    filler f = {0};
    const cnode_config c = {.name = "a@127.0.0.1",
                            .cookie = "secret",
                            .no_epmd = true,
                            .max_queue = 50000,
                            .on_drain = fill_again,
                            .data = &f};
    const cnode_proc_config box = {.on_message = count_message,
                                   .data = &f.answered};
    cnode_stats s;
    other o;
    cnode *a;

    (void)state;
    start_other(&o);
    assert_int_equal(cnode_new(&a, &c), 0);
    introduce(a, "b@127.0.0.1", o.port);
    assert_int_equal(cnode_spawn(a, &box, &f.p), 0);
    fill(&f);
    while (f.answered == 0)
        (void)uv_run(cnode__uv_of(a)->loop, UV_RUN_ONCE);
    cnode_get_stats(a, &s);
    assert_int_equal(s.ticks_in + s.ticks_out, 0); /* nor did it wait for any */
    cnode_free(a);
    stop_other(&o);
}

typedef struct sender {
    uv_thread_t thread;
    cnode_proc *p;
    atomic_int *posted;
    int number;
} sender;

static void count_post(cnode *n, void *arg) {
    (void)n;
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void run_sender(void *arg) {
    sender *s = arg;
    cnode *n = cnode_of(s->p);

    for (int i = 0; i < EACH; i++) {
        if (cnode_send_name(s->p, "b@127.0.0.1", "count", "{~i, ~i}", s->number,
                            i) != 0 ||
            cnode_post(n, count_post, s->posted) != 0)
            return;
    }
}

typedef struct tally {
    int next[SENDERS];
    int got;
    bool in_order;
} tally;

static void count(cnode_proc *p, const cnode_msg *m, void *data) {
    tally *t = data;
    int who, number;

    if (etf_match(m->term, "{~i, ~i}", &who, &number) != 0 || who < 0 ||
        who >= SENDERS || t->next[who]++ != number)
        t->in_order = false;
    if (++t->got == SENDERS * EACH)
        (void)cnode_send_name(p, "a@127.0.0.1", "done", "done");
}

static void spawn_counter(cnode *n, void *arg) {
    const cnode_proc_config c = {
        .name = "count", .on_message = count, .data = arg};
    (void)cnode_spawn(n, &c, NULL);
}

static void sends_from_threads(void **state) {
    static const cnode_proc_config box = {.name = "done"};
    other o;
    tally t = {.in_order = true};
    atomic_int posted = 0;
    sender senders[SENDERS];
    cnode *a;
    cnode_proc *p;
    cnode_msg m;

    (void)state;
    start_other(&o);
    assert_int_equal(cnode_post(o.node, spawn_counter, &t), 0);
    listen_as(&a, "a@127.0.0.1", NULL);
    introduce(a, "b@127.0.0.1", o.port);
    assert_int_equal(cnode_spawn(a, &box, &p), 0);
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (sender){.p = p, .posted = &posted, .number = i};
        assert_int_equal(
            uv_thread_create(&senders[i].thread, run_sender, &senders[i]), 0);
    }
    assert_int_equal(cnode_receive(p, LONG * 3, &m), 0);
    assert_int_equal(etf_match(m.term, "done"), 0);
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(uv_thread_join(&senders[i].thread), 0);
    do /* nothing else comes, while the last posts do */
        assert_int_equal(cnode_receive(p, 50, &m), CN_ETIMEDOUT);
    while (atomic_load(&posted) < SENDERS * EACH);
    assert_int_equal(atomic_load(&posted), SENDERS * EACH);
    cnode_free(a);
    stop_other(&o);
    assert_int_equal(t.got, SENDERS * EACH);
    assert_true(t.in_order);
}

/* --- one wake-up ---------------------------------------------------------- */

enum { LETTERS = 2000 };

static void run_writer(void *arg) {
    sender *s = arg;

    for (int i = 0; i < LETTERS; i++) {
        assert_int_equal(cnode_send_name(s->p, NULL, "count", "~i", i), 0);
        assert_int_equal(cnode_post(cnode_of(s->p), count_post, s->posted), 0);
    }
}

static void on_each_turn(uv_prepare_t *h) {
    ++*(int *)h->data;
}

/* All that threads have asked for while the loop was busy is opened in the turn
 * in which it wakes up, and delivered before it waits again. */
static void one_wake_up_does_all(void **state) {
    int turns = 0, got = 0;
    const cnode_proc_config counter = {
        .name = "count", .on_message = count_message, .data = &got};
    atomic_int posted = 0;
    sender s = {.posted = &posted};
    uv_prepare_t turn;
    uv_loop_t loop;
    cnode *a;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    listen_as(&a, "a@127.0.0.1", &loop);
    assert_int_equal(cnode_spawn(a, &counter, &s.p), 0);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(uv_prepare_init(&loop, &turn), 0);
    turn.data = &turns;
    assert_int_equal(uv_prepare_start(&turn, on_each_turn), 0);
    assert_int_equal(uv_thread_create(&s.thread, run_writer, &s), 0);
    assert_int_equal(uv_thread_join(&s.thread), 0);
    while (atomic_load(&posted) == 0)
        (void)uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(atomic_load(&posted), LETTERS);
    assert_int_equal(turns, 1);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(got, LETTERS);
    uv_close((uv_handle_t *)&turn, NULL);
    cnode_free(a);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void stop_it(void *arg) {
    cnode_stop(arg);
}

static void is_stopped_from_a_thread(void **state) {
    static const cnode_proc_config box = {0};
    uv_thread_t thread;
    cnode *a;
    cnode_proc *p;
    cnode_msg m;

    (void)state;
    listen_as(&a, "a@127.0.0.1", NULL);
    assert_int_equal(cnode_spawn(a, &box, &p), 0);
    assert_int_equal(uv_thread_create(&thread, stop_it, a), 0);
    assert_int_equal(cnode_receive(p, UINT32_MAX, &m), CN_ECANCELED);
    assert_int_equal(uv_thread_join(&thread), 0);
    assert_int_equal(cnode_run(a), 0); /* takes the stop */
    assert_int_equal(uv_thread_create(&thread, stop_it, a), 0);
    assert_int_equal(cnode_run(a), 0);
    assert_int_equal(uv_thread_join(&thread), 0);
    assert_int_equal(cnode_receive(p, 0, &m), CN_ETIMEDOUT);
    cnode_free(a);
}

/* --- peers that behave badly ---------------------------------------------- */

/* A played peer: a handshake over a plain socket, and then nothing is read. */
static int accept_blocking(int listener) {
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    return fd;
}

static int listener_at(unsigned *port) {
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0), small = 4096;

    assert_true(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

typedef struct played {
    uv_thread_t thread;
    uv_sem_t go;
    int listener;
    unsigned port;
    bool was_up;
    size_t flood; /* bytes of ticks that it says once it is up */
    size_t said;  /* ... and that were taken */
} played;

static void converse(cnode_conn *c, int fd, bool *up) {
    uint8_t buf[4096];
    cnode_event ev;

    while (!*up) {
        ssize_t n = read(fd, buf, sizeof buf);
        cn_slice v;
        if (n <= 0 || cnode_conn_feed(c, buf, (size_t)n, 1) != 0)
            return;
        while (cnode_conn_next(c, &ev) == 1) {
            if (ev.type == CNODE_EV_NAME)
                (void)cnode_conn_answer(c, CNODE_ANSWER_OK, "secret", NULL, 0);
            *up = *up || ev.type == CNODE_EV_UP;
        }
        while (cnode_conn_output(c, &v, 1) > 0) {
            n = write(fd, v.data, v.len);
            if (n <= 0)
                return;
            cnode_conn_wrote(c, (size_t)n);
        }
    }
}

static size_t say_ticks(int fd, size_t n) {
    static const uint8_t ticks[1 << 20];
    size_t said = 0;

    while (said < n) {
        size_t left = n - said;
        ssize_t w = write(fd, ticks, left < sizeof ticks ? left : sizeof ticks);
        if (w <= 0)
            break;
        said += (size_t)w;
    }
    return said;
}

/* Shakes hands, reads nothing more, and goes when it is told to. */
static void play(void *arg) {
    played *x = arg;
    cnode_conn_config cc = {.name = "r@127.0.0.1",
                            .creation = 9,
                            .challenge = 4711,
                            .flags = cnode_conn_flags()};
    cnode_conn *c = NULL;
    int fd = accept_blocking(x->listener);

    if (cnode_conn_new(&c, &cc, 1) == 0)
        converse(c, fd, &x->was_up);
    x->said = say_ticks(fd, x->flood);
    uv_sem_wait(&x->go);
    cnode_conn_free(c);
    (void)close(fd);
}

static void start_flood(played *x, size_t flood) {
    *x = (played){.flood = flood};
    x->listener = listener_at(&x->port);
    assert_int_equal(uv_sem_init(&x->go, 0), 0);
    assert_int_equal(uv_thread_create(&x->thread, play, x), 0);
}

static void start_played(played *x) {
    start_flood(x, 0);
}

static void end_played(played *x) {
    assert_int_equal(uv_thread_join(&x->thread), 0);
    uv_sem_destroy(&x->go);
    (void)close(x->listener);
    assert_true(x->was_up);
}

/* What would run the loop in a callback, which it runs already, says so. */
static void wait_in_a_callback(cnode_proc *p, void *data) {
    cnode *n = cnode_of(p);
    cnode_msg m;

    assert_int_equal(cnode_run(n), CN_EBUG);
    assert_non_null(strstr(cnode_error(n)->text, "cnode_run: not in a call"));
    assert_int_equal(cnode_receive(p, 10, &m), CN_EBUG);
    assert_int_equal(cnode_receive(p, 0, &m), CN_ETIMEDOUT);
    assert_int_equal(cnode_listen(n), CN_EBUG);
    *(bool *)data = true;
    cnode_stop(n);
}

static void nothing_waits_in_a_callback(void **state) {
    const cnode_config c = {.name = "a@127.0.0.1", .cookie = "secret"};
    const cnode_proc_config mailbox = {.name = NULL};
    bool asked = false;
    cnode *n;
    cnode_proc *p;
    cnode_msg m;

    (void)state;
    assert_int_equal(cnode_new(&n, &c), 0);
    assert_int_equal(cnode_spawn(n, &mailbox, &p), 0);
    assert_int_equal(cnode_after(p, 0, wait_in_a_callback, &asked), 0);
    assert_int_equal(cnode_run(n), 0);
    assert_true(asked);
    asked = false;
    assert_int_equal(cnode_after(p, 0, wait_in_a_callback, &asked), 0);
    assert_int_equal(cnode_receive(p, UINT32_MAX, &m), CN_ECANCELED);
    assert_true(asked);
    cnode_free(n);
}

static void stop_when_connected(cnode *n, const char *peer, int status,
                                const cn_error *err, void *data) {
    (void)peer;
    (void)err;
    *(int *)data = status;
    cnode_stop(n);
}

/* 10 MB that the peer does not read. */
static void connect_and_fill(cnode *a, const played *x) {
    static char big[1 << 20];
    const etf_view body = {(const uint8_t *)big, sizeof big};
    static const cnode_proc_config plain = {.name = "p"};
    cnode_proc *p;
    int status = 1;

    introduce(a, "r@127.0.0.1", x->port);
    assert_int_equal(
        cnode_connect(a, "r@127.0.0.1", stop_when_connected, &status), 0);
    assert_int_equal(cnode_run(a), 0);
    assert_int_equal(status, 0);
    assert_int_equal(cnode_spawn(a, &plain, &p), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(cnode_send_name(p, "r@127.0.0.1", "x", "~b", body), 0);
}

static void is_freed_with_unsent_output(void **state) {
    played x;
    cnode *a;

    (void)state;
    start_played(&x);
    listen_as(&a, "a@127.0.0.1", NULL);
    connect_and_fill(a, &x);
    cnode_free(a); /* gives up, for the peer does not read before it has */
    uv_sem_post(&x.go);
    end_played(&x);
}

static void keep_status(cnode *n, const char *peer, int status,
                        const cn_error *err, void *data) {
    (void)n;
    (void)peer;
    if (status != 0)
        assert_non_null(strstr(err->text, "too many open files"));
    *(int *)data = status;
}

/* A flood is read in shares: what comes in one turn of the loop is bounded,
 * however much is there. */
typedef struct watched {
    cnode *node;
    uint64_t ticks;
    uint64_t most; /* ticks in one turn */
    uint64_t want;
} watched;

static void on_turn(uv_prepare_t *h) {
    watched *x = h->data;
    cnode_peer_stats s;
    uint64_t n;

    if (cnode_get_peer_stats(x->node, "r@127.0.0.1", &s) != 0)
        return;
    n = s.ticks_in - x->ticks;
    x->ticks = s.ticks_in;
    x->most = n > x->most ? n : x->most;
    if (s.ticks_in == x->want)
        uv_stop(h->loop);
}

static void a_flood_is_read_in_shares(void **state) {
    enum { FLOOD = 64 << 20, SHARE = 256 * 1024 };
    watched x = {.want = FLOOD / 4};
    int status = 1;
    uv_prepare_t turn;
    uv_loop_t loop;
    played flood;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    start_flood(&flood, FLOOD);
    listen_as(&x.node, "a@127.0.0.1", &loop);
    introduce(x.node, "r@127.0.0.1", flood.port);
    assert_int_equal(uv_prepare_init(&loop, &turn), 0);
    turn.data = &x;
    assert_int_equal(uv_prepare_start(&turn, on_turn), 0);
    assert_int_equal(cnode_connect(x.node, "r@127.0.0.1", keep_status, &status),
                     0);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 1);
    assert_int_equal(status, 0);
    assert_true(x.most <= SHARE / 4 + 1);
    uv_sem_post(&flood.go);
    uv_close((uv_handle_t *)&turn, NULL);
    cnode_free(x.node);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
    end_played(&flood);
}

/* What a peer says until it has heard of the end is read, however much. */
static void reads_on_while_it_is_freed(void **state) {
    enum { FLOOD = 8 << 20 };
    int status = 1;
    played flood;
    cnode *a;

    (void)state;
    start_flood(&flood, FLOOD);
    listen_as(&a, "a@127.0.0.1", NULL);
    introduce(a, "r@127.0.0.1", flood.port);
    assert_int_equal(
        cnode_connect(a, "r@127.0.0.1", stop_when_connected, &status), 0);
    assert_int_equal(cnode_run(a), 0);
    assert_int_equal(status, 0);
    uv_sem_post(&flood.go);
    cnode_free(a);
    end_played(&flood);
    assert_int_equal(flood.said, FLOOD);
}

static void stop_on_down(cnode *n, const cnode_peer *p, void *data) {
    (void)data;
    if (!p->up)
        cnode_stop(n);
}

static void a_peer_goes_with_a_write_in_flight(void **state) {
    const cnode_config c = {
        .name = "a@127.0.0.1", .cookie = "secret", .on_peer = stop_on_down};
    played x;
    cnode *a;

    (void)state;
    start_played(&x);
    assert_int_equal(cnode_new(&a, &c), 0);
    connect_and_fill(a, &x);
    uv_sem_post(&x.go);
    assert_int_equal(cnode_run(a), 0);
    assert_false(cnode_connected(a, "r@127.0.0.1"));
    cnode_free(a);
    end_played(&x);
}

/* What was queued before a disconnect arrives. */
static void nothing_queued_is_lost(void **state) {
    static const cnode_proc_config box = {.name = "box"};
    uv_loop_t loop;
    cnode *a, *b;
    cnode_proc *p, *q;
    cnode_msg m;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    listen_as(&a, "a@127.0.0.1", &loop);
    listen_as(&b, "b@127.0.0.1", &loop);
    introduce(a, "b@127.0.0.1", cnode_port(b));
    assert_int_equal(cnode_spawn(a, &box, &p), 0);
    assert_int_equal(cnode_spawn(b, &box, &q), 0);
    assert_int_equal(cnode_send_name(p, "b@127.0.0.1", "box", "first"), 0);
    assert_int_equal(cnode_receive(q, LONG, &m), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(cnode_send_name(p, "b@127.0.0.1", "box", "~i", i), 0);
    cnode_free(a);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(cnode_receive(q, LONG, &m), 0);
        assert_int_equal(etf_match(m.term, "~i", &(int){0}), 0);
    }
    cnode_free(b);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* An exit signal for the one that waits in cnode_receive. */
static void kill_it(cnode_proc *p, void *arg) {
    (void)cnode_exit(arg, "killed");
    (void)p;
}

static void ends_while_it_receives(void **state) {
    static const cnode_proc_config box = {0};
    cnode *a;
    cnode_proc *p, *q;
    cnode_msg m;

    (void)state;
    listen_as(&a, "a@127.0.0.1", NULL);
    assert_int_equal(cnode_spawn(a, &box, &p), 0);
    assert_int_equal(cnode_spawn(a, &box, &q), 0);
    assert_int_equal(cnode_after(q, 10, kill_it, p), 0);
    assert_int_equal(cnode_receive(p, LONG, &m), CN_ENOPROC);
    cnode_free(a);
}

/* --- what goes wrong ----------------------------------------------------- */

/* Whichever allocation fails, config.error says it. */
static int make_node(fault_alloc *f, void *arg) {
    cn_error why = {0};
    const cnode_config c = {.name = "a@127.0.0.1",
                            .cookie = "secret",
                            .visible = true,
                            .alloc = f->alloc,
                            .error = &why};
    cnode *n;
    int err = cnode_new(&n, &c);

    (void)arg;
    assert_int_equal(why.code, err);
    assert_int_equal(why.text[0] != '\0', err != 0);
    cnode_free(n);
    return err;
}

static void says_why_it_is_not_made(void **state) {
    (void)state;
    run_with_every_failure(make_node, NULL);
}

/* A node on a range of ports, where some are taken. */
static int listen_in(uint16_t first, uint16_t last, uint16_t *port) {
    const cnode_config c = {.name = "a@127.0.0.1",
                            .cookie = "secret",
                            .no_epmd = true,
                            .address = "127.0.0.1",
                            .port = first,
                            .port_max = last};
    cnode *n;
    int err;

    assert_int_equal(cnode_new(&n, &c), 0);
    err = cnode_listen(n);
    *port = cnode_port(n);
    if (err == CN_EREFUSED)
        assert_non_null(strstr(cnode_error(n)->text, "in use"));
    cnode_free(n);
    return err;
}

static bool take_port(int *fd, uint16_t port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true((*fd = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
    if (bind(*fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(*fd, 1) == 0)
        return true;
    assert_int_equal(errno, EADDRINUSE);
    (void)close(*fd);
    return false;
}

/* This one and the next. */
static bool take_ports(int *one, int *two, uint16_t first) {
    if (!take_port(one, first))
        return false;
    if (take_port(two, (uint16_t)(first + 1)))
        return true;
    (void)close(*one);
    return false;
}

static void listens_in_a_range(void **state) {
    uint16_t first = 20011, port;
    int one, two;

    (void)state;
    while (!take_ports(&one, &two, first))
        first = (uint16_t)(first + 3);
    assert_int_equal(listen_in(first, 0, &port), CN_EREFUSED);
    assert_int_equal(listen_in(first, (uint16_t)(first + 1), &port),
                     CN_EREFUSED);
    assert_int_equal(listen_in(first, (uint16_t)(first + 500), &port), 0);
    assert_in_range(port, first + 2, first + 500);
    (void)close(one);
    assert_int_equal(listen_in(first, (uint16_t)(first + 500), &port), 0);
    assert_int_equal(port, first);
    (void)close(two);
}

/* --- other ways to be connected ------------------------------------------ */

static void is_up(cnode *n, const char *peer, int status, const cn_error *err,
                  void *data) {
    (void)peer;
    if (status != 0)
        print_error("%s\n", err->text);
    *(int *)data = status;
    cnode_stop(n);
}

static cnode *plain_node(const char *name, uv_loop_t *loop) {
    const cnode_config c = {
        .name = name, .cookie = "secret", .no_epmd = true, .loop = loop};
    cnode *n;

    assert_int_equal(cnode_new(&n, &c), 0);
    return n;
}

static void converse_with(cnode *a, const char *echo_node) {
    static const cnode_proc_config box = {0};
    cnode_proc *p;
    cnode_msg m;
    etf_pid self;

    assert_int_equal(cnode_spawn(a, &box, &p), 0);
    self = cnode_self(p);
    assert_int_equal(
        cnode_send_name(p, echo_node, "echo", "{~p, hello}", &self), 0);
    assert_int_equal(cnode_receive(p, LONG, &m), 0);
    assert_int_equal(etf_match(m.term, "{echo, hello}"), 0);
    assert_string_equal(m.peer, echo_node);
}

static void listens_at_a_unix_socket(void **state) {
    char dir[] = "/tmp/cnode_test_XXXXXX", path[64], address[80], text[200];
    struct stat st;
    uv_loop_t loop;
    cnode *a, *b, *c;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/b", dir);
    (void)snprintf(address, sizeof address, "unix:%s", path);
    assert_int_equal(uv_loop_init(&loop), 0);
    a = plain_node("a@h", &loop);
    b = plain_node("b@h", &loop);
    c = plain_node("c@h", &loop);
    assert_int_equal(cnode_listen_unix(b, ""), CN_EBADARG);
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(cnode_listen_unix(b, text), CN_EBADARG);
    assert_int_equal(cnode_listen_unix(b, "/nonexistent/b"), CN_EIO);
    assert_true((fd = open(path, O_CREAT | O_WRONLY, 0600)) >= 0);
    (void)close(fd);
    assert_int_equal(cnode_listen_unix(b, path), CN_EREFUSED);
    assert_non_null(strstr(cnode_error(b)->text, "no socket"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(cnode_listen_unix(b, path), 0);
    assert_int_equal(cnode_listen_unix(b, path), CN_EBUG);
    assert_int_equal(cnode_listen_unix(c, path), CN_EREFUSED);
    assert_non_null(strstr(cnode_error(c)->text, "listens there"));
    assert_int_equal(cnode_spawn(b, &echo_server, NULL), 0);
    assert_int_equal(cnode_set_address(a, "b@h", address), 0);
    converse_with(a, "b@h");
    cnode_free(a);
    cnode_free(b);
    assert_int_equal(lstat(path, &st), -1);
    cnode_free(c);
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* One that was left behind by a program that was killed. */
static void replaces_a_stale_socket(void **state) {
    char dir[] = "/tmp/cnode_test_XXXXXX";
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    cnode *n = plain_node("a@h", NULL);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s/a", dir);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    (void)close(fd);
    assert_int_equal(cnode_listen_unix(n, at.sun_path), 0);
    cnode_free(n);
    assert_int_equal(rmdir(dir), 0);
}

/* Two ends of one pair, and one of another kind. */
static void adopts_descriptors(void **state) {
    uv_loop_t loop;
    cnode *a, *b;
    int fds[2], up = 1, none;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    a = plain_node("a@h", &loop);
    b = plain_node("b@h", &loop);
    assert_int_equal(cnode_spawn(b, &echo_server, NULL), 0);
    assert_true((none = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
    assert_int_equal(cnode_accept_fd(a, -1), CN_EBADARG);
    assert_int_equal(cnode_accept_fd(a, none), CN_EBADARG);
    assert_int_equal(close(none), 0); /* it is still ours */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(cnode_connect_fd(a, fds[0], "a@h", NULL, NULL),
                     CN_EBADARG);
    assert_int_equal(cnode_connect_fd(a, fds[0], "b@h", is_up, &up), 0);
    assert_int_equal(cnode_connect_fd(a, fds[1], "b@h", is_up, &up), CN_EEXIST);
    assert_int_equal(cnode_accept_fd(b, fds[1]), 0);
    assert_int_equal(cnode_run(a), 0);
    assert_int_equal(up, 0);
    converse_with(a, "b@h");
    cnode_free(a);
    while (cnode_connected(b, "a@h"))
        (void)uv_run(&loop, UV_RUN_ONCE);
    cnode_free(b);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* --- one that says a lot, and goes ---------------------------------------- */

typedef struct goer {
    uv_loop_t loop;
    int fd;
    cnode_conn *c;
    bool up;
    int heard; /* of what it has said */
} goer;

enum { GOER_LARGE = 150000, GOER_SMALL = 1000, GOER_LAST = 40 };

static void goer_writes(goer *g) {
    cn_slice v;

    while (cnode_conn_output(g->c, &v, 1) > 0) {
        ssize_t n = write(g->fd, v.data, v.len);
        if (n < 0)
            assert_int_equal(errno, EAGAIN);
        else
            cnode_conn_wrote(g->c, (size_t)n);
        if (n < 0)
            return;
    }
}

static void goer_says(goer *g, size_t size, int times) {
    static const uint8_t zeros[GOER_LARGE];
    cnode_ctrl c = {.signal = CNODE_SIG_REG_SEND};
    etf_writer w;

    c.from = (etf_pid){.id = 1, .creation = 9, .node_len = 3, .node = "r@h"};
    c.name = (etf_view){(const uint8_t *)"ear", 3};
    etf_writer_init(&w, NULL);
    etf_put_binary(&w, zeros, size);
    assert_int_equal(etf_writer_finish(&w, &c.term), 0);
    for (int i = 0; i < times; i++)
        assert_int_equal(cnode_conn_send(g->c, &c), 0);
    etf_writer_free(&w);
    goer_writes(g);
}

static void goer_listens(goer *g) {
    uint8_t buf[4096];
    cnode_event ev;
    ssize_t n = read(g->fd, buf, sizeof buf);

    if (n > 0)
        assert_int_equal(cnode_conn_feed(g->c, buf, (size_t)n, 1), 0);
    while (cnode_conn_next(g->c, &ev) == 1) {
        if (ev.type == CNODE_EV_NAME)
            assert_int_equal(
                cnode_conn_answer(g->c, CNODE_ANSWER_OK, "secret", NULL, 0), 0);
        g->up = g->up || ev.type == CNODE_EV_UP;
    }
    goer_writes(g);
}

/* At the first message, which is large, it says the last, and goes: nobody
 * reads the answer. */
static void hear_goer(cnode_proc *p, const cnode_msg *m, void *data) {
    goer *g = data;

    (void)m;
    if (g->heard++ == 0) {
        goer_says(g, GOER_SMALL, GOER_LAST);
        assert_int_equal(cnode_conn_queued(g->c), 0);
        assert_int_equal(close(g->fd), 0);
    }
    (void)cnode_send_name(p, "r@h", "nobody", "answer");
}

static void hears_all_of_one_that_goes(void **state) {
    const cnode_conn_config cc = {.name = "r@h",
                                  .creation = 9,
                                  .challenge = 4711,
                                  .flags = cnode_conn_flags()};
    goer g = {0};
    const cnode_proc_config ear = {
        .name = "ear", .on_message = hear_goer, .data = &g};
    int fds[2];
    cnode *a;

    (void)state;
    assert_int_equal(uv_loop_init(&g.loop), 0);
    a = plain_node("a@h", &g.loop);
    assert_int_equal(cnode_spawn(a, &ear, NULL), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    g.fd = fds[1];
    assert_int_equal(fcntl(g.fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(cnode_conn_new(&g.c, &cc, 1), 0);
    assert_int_equal(cnode_connect_fd(a, fds[0], "r@h", NULL, NULL), 0);
    while (!g.up || !cnode_connected(a, "r@h")) {
        (void)uv_run(&g.loop, UV_RUN_NOWAIT);
        goer_listens(&g);
    }
    goer_says(&g, GOER_LARGE, 1);
    while (g.heard == 0) {
        (void)uv_run(&g.loop, UV_RUN_NOWAIT);
        if (g.heard == 0)
            goer_writes(&g);
    }
    while (cnode_connected(a, "r@h"))
        (void)uv_run(&g.loop, UV_RUN_ONCE);
    assert_int_equal(g.heard, 1 + GOER_LAST);
    cnode_conn_free(g.c);
    cnode_free(a);
    assert_int_equal(uv_loop_close(&g.loop), 0);
}

static void keep_code(cnode *n, const char *peer, int status,
                      const cn_error *err, void *data) {
    (void)peer;
    assert_non_null(strstr(err->text, "'nowhere' is no address"));
    *(int *)data = status;
    cnode_stop(n);
}

static void found_at(cnode *n, const char *peer, void *data) {
    assert_int_equal(cnode_found(n, peer, data), 0);
}

static void finds_by_callback(void **state) {
    char address[32];
    const cnode_config c = {.name = "a@127.0.0.1",
                            .cookie = "secret",
                            .on_lookup = found_at,
                            .data = address};
    int up = 1;
    other o;
    cnode *a;

    (void)state;
    start_other(&o);
    assert_int_equal(cnode_new(&a, &c), 0);
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", o.port);
    converse_with(a, "b@127.0.0.1");
    (void)snprintf(address, sizeof address, "nowhere");
    assert_int_equal(cnode_connect(a, "c@127.0.0.1", keep_code, &up), 0);
    assert_int_equal(cnode_run(a), 0);
    assert_int_equal(up, CN_EBADARG);
    cnode_free(a);
    stop_other(&o);
}

static void has_left(cnode *n, int status, const cn_error *err, void *data) {
    (void)err;
    *(int *)data = status;
    cnode_stop(n);
}

/* Much is queued, and all of it arrives. */
static void leaves_when_all_is_sent(void **state) {
    enum { MESSAGES = 100, SIZE = 200000 };
    static const cnode_proc_config box = {0}, sink = {.name = "sink"};
    uint8_t *bytes = calloc(1, SIZE);
    int status = 1;
    uv_loop_t loop;
    cnode *a, *b;
    cnode_proc *p, *s;
    cnode_msg m;
    etf_view body = {bytes, SIZE};

    (void)state;
    assert_non_null(bytes);
    assert_int_equal(uv_loop_init(&loop), 0);
    listen_as(&a, "a@127.0.0.1", &loop);
    listen_as(&b, "b@127.0.0.1", &loop);
    introduce(a, "b@127.0.0.1", cnode_port(b));
    assert_int_equal(cnode_spawn(a, &box, &p), 0);
    assert_int_equal(cnode_spawn(b, &sink, &s), 0);
    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(cnode_send_name(p, "b@127.0.0.1", "sink", "~b", body),
                         0);
    assert_int_equal(cnode_leave(a, LONG, has_left, &status), 0);
    assert_int_equal(cnode_run(a), 0);
    assert_int_equal(status, 0);
    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(cnode_receive(s, LONG, &m), 0);
    assert_int_equal(cnode_listen(a), CN_ECLOSED);
    free(bytes);
    cnode_free(a);
    cnode_free(b);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void count_lines(void *ctx, cn_level level, const char *where,
                        const char *text) {
    (void)level;
    (void)where;
    if (strstr(text, "no descriptors") != NULL)
        ++*(int *)ctx;
}

/* Leaves so many free, and no gaps below them. */
static void limit_descriptors(rlim_t left, struct rlimit *before) {
    struct rlimit limit;
    int top = 0, fd;

    for (fd = 0; fd < 200; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            top = fd;
    do
        assert_true((fd = dup(0)) >= 0);
    while (fd < top);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, before), 0);
    limit = *before;
    limit.rlim_cur = (rlim_t)fd + 1 + left;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void connect_to(int fd, uint16_t port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
}

static bool is_open(int fd) {
    return recv(fd, &(char){0}, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* One connection fits; the others are closed, with a line in the log, and an
 * attempt of our own does not take what is left for such a line. */
static void runs_out_of_descriptors(void **state) {
    enum { CLIENTS = 5 };
    int lines = 0, dialled = 1, fds[CLIENTS];
    uv_loop_t loop;
    const cnode_config c = {.name = "a@127.0.0.1",
                            .cookie = "secret",
                            .no_epmd = true,
                            .address = "127.0.0.1",
                            .loop = &loop,
                            .log = {count_lines, &lines, CN_LOG_ERROR}};
    struct rlimit before;
    cnode *n;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(cnode_new(&n, &c), 0);
    assert_int_equal(cnode_listen(n), 0);
    for (int i = 0; i < CLIENTS; i++)
        assert_true((fds[i] = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
    limit_descriptors(2, &before);
    connect_to(fds[0], cnode_port(n));
    while (cnode__list_empty(&n->wires))
        (void)uv_run(&loop, UV_RUN_ONCE);
    introduce(n, "b@127.0.0.1", cnode_port(n));
    assert_int_equal(cnode_connect(n, "b@127.0.0.1", keep_status, &dialled), 0);
    while (dialled == 1)
        (void)uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(dialled, CN_EIO);
    for (int i = 1; i < CLIENTS; i++) {
        connect_to(fds[i], cnode_port(n));
        while (is_open(fds[i]))
            (void)uv_run(&loop, UV_RUN_NOWAIT);
        assert_true(is_open(fds[0]));
    }
    assert_true(lines > 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    cnode_free(n);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* A loop that has none left for the node is told of, and is left as it was. */
static void no_descriptor_for_a_node(void **state) {
    uv_loop_t loop;
    cn_error why = {0};
    const cnode_config c = {.name = "a@127.0.0.1",
                            .cookie = "secret",
                            .no_epmd = true,
                            .loop = &loop,
                            .error = &why};
    struct rlimit before;
    cnode *n;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    limit_descriptors(0, &before);
    assert_int_equal(cnode_new(&n, &c), CN_EIO);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_null(n);
    assert_non_null(strstr(why.text, "the node's loop: too many open files"));
    assert_int_equal(uv_loop_close(&loop), 0);
}

static uint16_t free_port(void) {
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)close(fd);
    return ntohs(at.sin_port);
}

/* Who only connects to the EPMD of a node leaves it half of the descriptors. */
static void epmd_leaves_descriptors(void **state) {
    enum { FILES = 320, CROWD = 200 };
    cnode_config c = {.name = "b@127.0.0.1",
                      .cookie = "secret",
                      .address = "127.0.0.1",
                      .epmd_server = true};
    struct rlimit was, few;
    int fds[CROWD];
    uv_loop_t loop;
    cnode *n;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    few = (struct rlimit){FILES, was.rlim_max};
    assert_int_equal(uv_loop_init(&loop), 0);
    c.loop = &loop;
    c.epmd_port = free_port();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_int_equal(cnode_new(&n, &c), 0);
    assert_int_equal(cnode_listen(n), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    for (int i = 0; i < CROWD; i++)
        connect_to(fds[i] = socket(AF_INET, SOCK_STREAM, 0), c.epmd_port);
    for (int i = 0; is_open(fds[0]) && i < 100000; i++)
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    assert_false(is_open(fds[0])); /* the oldest one has to go */
    assert_true(is_open(fds[CROWD - 1]));
    for (int i = 0; i < CROWD; i++)
        (void)close(fds[i]);
    cnode_free(n);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* --- many that are idle --------------------------------------------------- */

static void on_up(cnode *n, const char *peer, int status, const cn_error *err,
                  void *data) {
    (void)n, (void)peer, (void)err;
    assert_int_equal(status, 0);
    ++*(int *)data;
}

/* Connects to b, which has the address `port`. */
static void join_b(cnode **n, int i, uv_loop_t *loop, unsigned port) {
    char name[32];
    int up = 0;
    cnode_config c = {
        .name = name, .cookie = "secret", .no_epmd = true, .loop = loop};

    (void)snprintf(name, sizeof name, "a%d@127.0.0.1", i);
    assert_int_equal(cnode_new(n, &c), 0);
    introduce(*n, "b@127.0.0.1", port);
    assert_int_equal(cnode_connect(*n, "b@127.0.0.1", on_up, &up), 0);
    while (up == 0)
        (void)uv_run(loop, UV_RUN_ONCE);
}

/* 1,536 bytes are promised, with what malloc and libuv take beside. */
static void idle_connections(void **state) {
    enum { CROWD = 64, EACH_MOST = 1290 };
    fault_alloc memory;
    uv_loop_t loop;
    cnode *b, *a[CROWD + 1];
    size_t before = 0;

    (void)state;
    fault_init(&memory, 0);
    assert_int_equal(uv_loop_init(&loop), 0);
    {
        const cnode_config c = {.name = "b@127.0.0.1",
                                .cookie = "secret",
                                .no_epmd = true,
                                .address = "127.0.0.1",
                                .loop = &loop,
                                .alloc = memory.alloc};
        assert_int_equal(cnode_new(&b, &c), 0);
        assert_int_equal(cnode_listen(b), 0);
    }
    for (int i = 0; i <= CROWD; i++) {
        join_b(&a[i], i, &loop, cnode_port(b));
        if (i == 0)
            before = memory.live;
    }
    if (memory.live - before > (size_t)CROWD * EACH_MOST)
        fail_msg("an idle connection takes %zu bytes",
                 (memory.live - before) / CROWD);
    for (int i = 0; i <= CROWD; i++)
        cnode_free(a[i]);
    cnode_free(b);
    assert_int_equal(memory.live, 0);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* --- who it was that has another cookie ------------------------------------
 */

static void keep_cookie_line(void *ctx, cn_level level, const char *where,
                             const char *text) {
    (void)level, (void)where;
    if (strstr(text, "cookie") != NULL)
        (void)snprintf(ctx, 300, "%s", text);
}

static void keep_refusal(cnode *n, const char *peer, int status,
                         const cn_error *err, void *data) {
    (void)n, (void)peer, (void)err;
    *(int *)data = status;
}

/* The name is only what it says, and may be one that it was given here. */
static void says_who_has_another_cookie(void **state) {
    static const char before[] =
        "a@127.0.0.1: handshake: the peer at 127.0.0.1:";
    char line[300] = "", *rest;
    int dialled = 1;
    uv_loop_t loop;
    const cnode_config there = {.name = "b@127.0.0.1",
                                .cookie = "secret",
                                .no_epmd = true,
                                .address = "127.0.0.1",
                                .loop = &loop,
                                .log = {keep_cookie_line, line, CN_LOG_WARN}};
    const cnode_config here = {
        .name = "a@127.0.0.1", .cookie = "other", .loop = &loop};
    unsigned long port;
    cnode *a, *b;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(cnode_new(&b, &there), 0);
    assert_int_equal(cnode_new(&a, &here), 0);
    assert_int_equal(cnode_listen(b), 0);
    introduce(a, "b@127.0.0.1", cnode_port(b));
    assert_int_equal(cnode_connect(a, "b@127.0.0.1", keep_refusal, &dialled),
                     0);
    while (dialled == 1 || line[0] == '\0')
        (void)uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(dialled, CN_ECOOKIE);
    assert_memory_equal(line, before, sizeof before - 1);
    port = strtoul(line + sizeof before - 1, &rest, 10);
    assert_true(port > 0 && port != cnode_port(b));
    assert_string_equal(rest, " has another cookie; this node used the cookie "
                              "it was given");
    cnode_free(a);
    cnode_free(b);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* A node to whom others give a name. */
static void no_configuration(void **state) {
    cnode *n;

    (void)state;
    assert_int_equal(setenv("CNODE_COOKIE", "key", 1), 0);
    assert_int_equal(cnode_new(&n, NULL), 0);
    assert_string_equal(cnode_name(n), "nonode@nohost");
    cnode_free(n);
    assert_int_equal(unsetenv("CNODE_COOKIE"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(answers_in_the_same_turn),
        cmocka_unit_test(sends_when_it_is_drained),
        cmocka_unit_test(sends_from_threads),
        cmocka_unit_test(one_wake_up_does_all),
        cmocka_unit_test(is_stopped_from_a_thread),
        cmocka_unit_test(nothing_waits_in_a_callback),
        cmocka_unit_test(is_freed_with_unsent_output),
        cmocka_unit_test(a_flood_is_read_in_shares),
        cmocka_unit_test(reads_on_while_it_is_freed),
        cmocka_unit_test(a_peer_goes_with_a_write_in_flight),
        cmocka_unit_test(nothing_queued_is_lost),
        cmocka_unit_test(ends_while_it_receives),
        cmocka_unit_test(says_why_it_is_not_made),
        cmocka_unit_test(listens_in_a_range),
        cmocka_unit_test(listens_at_a_unix_socket),
        cmocka_unit_test(replaces_a_stale_socket),
        cmocka_unit_test(adopts_descriptors),
        cmocka_unit_test(hears_all_of_one_that_goes),
        cmocka_unit_test(finds_by_callback),
        cmocka_unit_test(leaves_when_all_is_sent),
        cmocka_unit_test(runs_out_of_descriptors),
        cmocka_unit_test(no_descriptor_for_a_node),
        cmocka_unit_test(epmd_leaves_descriptors),
        cmocka_unit_test(idle_connections),
        cmocka_unit_test(says_who_has_another_cookie),
        cmocka_unit_test(no_configuration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
