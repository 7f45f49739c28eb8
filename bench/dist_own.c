/* SPDX-License-Identifier: Apache-2.0
 *
 * dist_own.c: this library, used as programs use it: a pattern for each
 * message, a callback for each that comes.
 */
#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "bench/dist.h"
#include "cnode/cnode.h"

/* So many bytes of messages are sent, then the loop turns; above MAX_QUEUE
 * waiting ones a message is not taken until on_drain. The socket's buffer holds
 * more than that, and what has left the processor's cache costs twice as much
 * to send. */
enum { BATCH = 64 * 1024, MAX_QUEUE = 512 << 10 };

/* From this size on messages go without a copy, and so many bytes of them in a
 * turn, which is what the library writes at once. */
enum { LARGE = 64 * 1024, LARGE_BATCH = 1024 * 1024 };

static void on_drain(cnode *n, const char *peer, void *client);

/* client: who sends, if any */
static cnode *new_node(const char *name, uv_loop_t *loop, void *client,
                       uint32_t ticktime_s) {
    cn_error why;
    cnode *n;
    cnode_config c = {.name = name,
                      .cookie = COOKIE,
                      .address = "127.0.0.1",
                      .loop = loop,
                      .max_queue = MAX_QUEUE,
                      .ticktime_s = ticktime_s,
                      .on_drain = on_drain,
                      .data = client,
                      .error = &why};

    if (cnode_new(&n, &c) != 0)
        DIE("own: %s\n", why.text);
    return n;
}

static void must(const cnode *n, int status, const char *what) {
    if (status != 0)
        DIE("own: %s: %s\n", what, cnode_error(n)->text);
}

/* --- serving -------------------------------------------------------------- */

typedef struct session {
    etf_pid client;
    long left;
    uint64_t cpu;
} session;

static void on_sink(cnode_proc *p, const cnode_msg *m, void *data) {
    session *s = data;
    etf_view bytes;

    if (etf_match(m->term, "~b", &bytes) != 0 || --s->left > 0)
        return;
    (void)cnode_send(p, &s->client, "{done, ~i}",
                     (int64_t)(bench_cpu() - s->cpu));
    (void)cnode_exit(p, "normal");
}

static void on_echo(cnode_proc *p, const cnode_msg *m, void *data) {
    session *s = data;
    etf_view bytes;

    if (etf_match(m->term, "~b", &bytes) != 0)
        return;
    (void)cnode_send(p, &s->client, "~b", bytes);
    if (--s->left == 0)
        (void)cnode_exit(p, "normal");
}

static void on_session_end(cnode_proc *p, etf_view reason, void *data) {
    (void)p, (void)reason;
    free(data);
}

static void open_session(cnode_proc *bench, const etf_pid *client,
                         etf_view what, int64_t count) {
    session *s = calloc(1, sizeof *s);
    bool echo = etf_view_is(what, "echo");
    cnode_proc_config c = {.on_message = echo ? on_echo : on_sink,
                           .on_end = on_session_end,
                           .data = s};
    cnode_proc *p;
    etf_pid pid;

    if (s == NULL)
        DIE("no memory\n");
    *s = (session){*client, (long)count, bench_cpu()};
    must(cnode_of(bench), cnode_spawn(cnode_of(bench), &c, &p), "spawn");
    pid = cnode_self(p);
    (void)cnode_send(bench, client, "{opened, ~p}", &pid);
}

static long resident(void) {
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f != NULL && fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f != NULL)
        (void)fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static void tell_memory(cnode_proc *p, const etf_pid *to) {
    struct mallinfo2 m = mallinfo2();

    (void)cnode_send(p, to, "{memory, ~i, ~i}",
                     (int64_t)(m.uordblks + m.hblkhd), (int64_t)resident());
}

static void on_bench(cnode_proc *p, const cnode_msg *m, void *data) {
    etf_pid from;
    etf_view what;
    int64_t count;

    (void)data;
    if (etf_match(m->term, "{open, ~p, ~a, ~i}", &from, &what, &count) == 0)
        open_session(p, &from, what, count);
    else if (etf_match(m->term, "{memory, ~p}", &from) == 0)
        tell_memory(p, &from);
    else if (etf_match(m->term, "{cpu, ~p}", &from) == 0)
        (void)cnode_send(p, &from, "{cpu, ~i}", (int64_t)bench_cpu());
}

static void serve(const job *j, uint32_t ticktime_s) {
    cnode *n = new_node(j->name, NULL, NULL, ticktime_s);
    cnode_proc_config c = {.name = "bench", .on_message = on_bench};

    must(n, cnode_spawn(n, &c, NULL), "spawn");
    must(n, cnode_listen(n), "listen");
    bench_say("ready %u\n", cnode_port(n));
    (void)cnode_run(n);
}

void own_serve(const job *j) {
    serve(j, 0);
}

void own_calm(const job *j) {
    serve(j, CALM_TICKTIME);
}

/* --- sending -------------------------------------------------------------- */

typedef struct client {
    cnode_proc *proc;
    const job *job;
    etf_view payload;
    etf_pid to;
    long sent;
    uint64_t began, cpu;
    uint64_t *times;
    long got;
} client;

/* The payload stays as it is, and nobody need know when it was sent. */
static void on_release(void *arg) {
    (void)arg;
}

static int send_large(cnode_proc *p, const client *c) {
    etf_writer w;
    int err;

    etf_writer_init(&w, NULL);
    etf_put_binary_ref(&w, c->payload.data, c->payload.len);
    err = cnode_send_shared(p, &c->to, &w, on_release, NULL);
    etf_writer_free(&w);
    return err;
}

static int send_one(cnode_proc *p, const client *c) {
    if (c->payload.len >= LARGE)
        return send_large(p, c);
    return cnode_send(p, &c->to, "~b", c->payload);
}

static void send_batch(cnode_proc *p, void *data) {
    client *c = data;
    etf_pid me = cnode_self(p);
    size_t bytes = 0, batch = c->job->size >= LARGE ? LARGE_BATCH : BATCH;
    int err = 0;

    while (c->sent < c->job->count && bytes < batch &&
           (err = send_one(p, c)) == 0) {
        c->sent++;
        bytes += c->job->size + 64;
    }
    if (err == 0 && c->sent < c->job->count)
        err = cnode_send(p, &me, "more");
    if (err != CN_EBUSY)
        must(cnode_of(p), err, "send");
}

static void on_drain(cnode *n, const char *peer, void *data) {
    client *c = data;

    (void)n, (void)peer;
    if (c != NULL)
        send_batch(c->proc, c);
}

static void on_send_client(cnode_proc *p, const cnode_msg *m, void *data) {
    client *c = data;
    int64_t peer_cpu;

    if (c->began != 0 && etf_match(m->term, "more") == 0) {
        send_batch(p, c);
    } else if (etf_match(m->term, "{opened, ~p}", &c->to) == 0) {
        c->cpu = bench_cpu();
        c->began = bench_now();
        send_batch(p, c);
    } else if (etf_match(m->term, "{done, ~i}", &peer_cpu) == 0) {
        bench_say(
            "ok %llu %llu %lld\n", (unsigned long long)(bench_now() - c->began),
            (unsigned long long)(bench_cpu() - c->cpu), (long long)peer_cpu);
        cnode_stop(cnode_of(p));
    }
}

static void on_ping_client(cnode_proc *p, const cnode_msg *m, void *data) {
    client *c = data;
    etf_view bytes;

    if (c->began != 0 && etf_match(m->term, "~b", &bytes) == 0)
        c->times[c->got++] = bench_now() - c->began;
    else if (etf_match(m->term, "{opened, ~p}", &c->to) == 0)
        c->cpu = bench_cpu();
    if (c->got == c->job->count) {
        bench_say_times(c->times, c->got, bench_cpu() - c->cpu);
        cnode_stop(cnode_of(p));
        return;
    }
    c->began = bench_now();
    must(cnode_of(p), send_one(p, c), "send");
}

static void run_client(client *c, const char *what,
                       void (*on_message)(cnode_proc *, const cnode_msg *,
                                          void *)) {
    const job *j = c->job;
    cnode *n = new_node(j->name, NULL, c, 0);
    cnode_proc_config config = {.on_message = on_message, .data = c};
    cnode_proc *p;
    etf_pid me;

    c->payload = (etf_view){bench_payload(j->size), j->size};
    must(n, cnode_spawn(n, &config, &p), "spawn");
    c->proc = p;
    me = cnode_self(p);
    must(n,
         cnode_send_name(p, j->target, "bench", "{open, ~p, ~a, ~i}", &me, what,
                         (int64_t)j->count),
         "send");
    (void)cnode_run(n);
    cnode_free(n);
}

void own_send(const job *j) {
    client c = {.job = j};

    run_client(&c, "sink", on_send_client);
}

void own_ping(const job *j) {
    client c = {.job = j, .times = calloc((size_t)j->count, sizeof(uint64_t))};

    if (c.times == NULL)
        DIE("no memory\n");
    run_client(&c, "echo", on_ping_client);
}

/* --- connecting ----------------------------------------------------------- */

static void on_connected(cnode *n, const char *peer, int status,
                         const cn_error *err, void *data) {
    long *left = data;

    (void)n;
    if (status != 0)
        DIE("own: connecting to %s: %s\n", peer, err->text);
    (*left)--;
}

static cnode *connect_one(const job *j, uv_loop_t *loop, long i, long *left) {
    char name[256];
    cnode *n;

    (void)snprintf(name, sizeof name, "c%ld%s", i, j->name);
    n = new_node(name, loop, NULL, 0);
    must(n, cnode_connect(n, j->target, on_connected, left), "connect");
    return n;
}

/* Each connection is that of a node of its own, as with ei: a node has but one
 * to another. All live in one loop. */
void own_connect(const job *j) {
    cnode **nodes = calloc((size_t)j->count, sizeof(cnode *));
    uint64_t began = bench_now(), cpu = bench_cpu(), took;
    uv_loop_t loop;

    if (nodes == NULL || uv_loop_init(&loop) != 0)
        DIE("no memory\n");
    for (long i = 0; i < j->count;) {
        long left = 0, end = i + j->at_once;
        for (; i < j->count && i < end; i++, left++)
            nodes[i] = connect_one(j, &loop, i, &left);
        while (left > 0)
            (void)uv_run(&loop, UV_RUN_ONCE);
    }
    took = bench_now() - began;
    cpu = bench_cpu() - cpu;
    bench_say("ok %llu %llu 0\n", (unsigned long long)took,
              (unsigned long long)cpu);
    exit(0); /* without waiting for each of them */
}
