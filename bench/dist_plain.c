/* SPDX-License-Identifier: Apache-2.0
 *
 * dist_plain.c: sockets with nothing on them, for comparison: messages of one
 * size and no form, sent in writes of 64 KB and counted in reads of as much,
 * or sent to and fro. Blocking, and to and fro on libuv also.
 */
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "bench/dist.h"

enum { CHUNK = 64 * 1024 };

/* What a client sends first. */
typedef struct request {
    uint64_t size;
    uint64_t count;
    uint64_t echo;
} request;

static uint8_t chunk[CHUNK];

/* --- blocking ------------------------------------------------------------- */

static void sink(int fd, uint64_t bytes) {
    uint64_t cpu = bench_cpu();
    size_t n;

    while (bytes > 0 && (n = bench_read(fd, chunk, sizeof chunk)) > 0)
        bytes -= n;
    cpu = bench_cpu() - cpu;
    bench_write(fd, &cpu, sizeof cpu);
}

static void echo(int fd, size_t size, uint64_t count) {
    while (count-- > 0 && bench_read_all(fd, chunk, size))
        bench_write(fd, chunk, size);
}

void plain_serve(const job *j) {
    uint16_t port;
    int listener = bench_listen(&port);

    (void)j;
    bench_say("ready %u\n", port);
    for (;;) {
        int fd = bench_accept(listener);
        request r;
        if (bench_read_all(fd, &r, sizeof r)) {
            if (r.echo != 0)
                echo(fd, r.size, r.count);
            else
                sink(fd, r.size * r.count);
        }
        (void)close(fd);
    }
}

static int open_client(const job *j, bool to_and_fro) {
    request r = {j->size, (uint64_t)j->count, to_and_fro};
    int fd = bench_dial(j->port);

    if (to_and_fro && j->size > sizeof chunk)
        DIE("plain: too large\n");
    bench_write(fd, &r, sizeof r);
    return fd;
}

void plain_send(const job *j) {
    int fd = open_client(j, false);
    uint64_t left = j->size * (uint64_t)j->count;
    uint64_t began = bench_now(), cpu = bench_cpu(), peer_cpu;

    while (left > 0) {
        size_t n = left < sizeof chunk ? (size_t)left : sizeof chunk;
        bench_write(fd, chunk, n);
        left -= n;
    }
    if (!bench_read_all(fd, &peer_cpu, sizeof peer_cpu))
        DIE("plain: no answer\n");
    bench_say("ok %llu %llu %llu\n", (unsigned long long)(bench_now() - began),
              (unsigned long long)(bench_cpu() - cpu),
              (unsigned long long)peer_cpu);
}

static uint64_t *new_times(const job *j) {
    uint64_t *times = calloc((size_t)j->count, sizeof *times);

    if (times == NULL)
        DIE("no memory\n");
    return times;
}

void plain_ping(const job *j) {
    int fd = open_client(j, true);
    uint64_t *times = new_times(j);
    uint64_t cpu = bench_cpu();

    for (long i = 0; i < j->count; i++) {
        uint64_t began = bench_now();
        bench_write(fd, chunk, j->size);
        if (!bench_read_all(fd, chunk, j->size))
            DIE("plain: no echo\n");
        times[i] = bench_now() - began;
    }
    bench_say_times(times, j->count, bench_cpu() - cpu);
}

void plain_idle(const job *j) {
    int *fds = calloc(2 * (size_t)j->count, sizeof *fds);
    uint16_t port;
    int listener = bench_listen(&port);
    uint64_t cpu = 0;

    if (fds == NULL)
        DIE("no memory\n");
    bench_raise_limit();
    for (long i = 0; i < 2 * j->count; i += 2) {
        fds[i] = bench_dial(port);
        fds[i + 1] = bench_accept(listener);
    }
    for (size_t second = 0; second <= j->size; second++) {
        if (second == 1) /* the first one only warms up */
            cpu = bench_cpu();
        for (long i = 0; i < 2 * j->count; i += 2)
            bench_write(fds[i], chunk, 4);
        for (long i = 0; i < 2 * j->count; i += 2)
            (void)bench_read(fds[i + 1], chunk, sizeof chunk);
    }
    bench_say("ok %llu %ld 0\n",
              (unsigned long long)(bench_cpu() - cpu) / j->size, j->count);
}

/* --- on libuv ------------------------------------------------------------- */

typedef struct end {
    uv_tcp_t tcp;
    bool asked;  /* server: the request has come */
    size_t size; /* of a message */
    size_t have; /* bytes of the one that is coming */
    void (*got)(struct end *e);
    const job *job;
    uint64_t *times;
    long n;
    uint64_t began, cpu;
} end;

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf) {
    (void)h, (void)hint;
    *buf = uv_buf_init((char *)chunk, sizeof chunk);
}

static void on_closed(uv_handle_t *h) {
    free(h);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf) {
    end *e = s->data;
    request r;

    if (n < 0) {
        uv_close((uv_handle_t *)s, on_closed);
        return;
    }
    if (!e->asked && (size_t)n >= sizeof r) {
        memcpy(&r, buf->base, sizeof r);
        e->size = r.size;
        e->asked = true;
        n -= (ssize_t)sizeof r;
    }
    for (e->have += (size_t)n; e->have >= e->size && e->size > 0;) {
        e->have -= e->size;
        e->got(e);
    }
}

static void write_one(end *e) {
    uv_buf_t buf = uv_buf_init((char *)chunk, (unsigned)e->size);

    if (uv_try_write((uv_stream_t *)&e->tcp, &buf, 1) != (int)e->size)
        DIE("uv: writing\n");
}

static void on_connection(uv_stream_t *listener, int status) {
    end *e = calloc(1, sizeof *e);

    if (e == NULL || status != 0 || uv_tcp_init(listener->loop, &e->tcp) != 0 ||
        uv_accept(listener, (uv_stream_t *)&e->tcp) != 0)
        DIE("uv: accepting\n");
    (void)uv_tcp_nodelay(&e->tcp, 1);
    e->tcp.data = e;
    e->got = write_one;
    (void)uv_read_start((uv_stream_t *)&e->tcp, on_alloc, on_read);
}

void uv_serve(const job *j) {
    uv_loop_t loop;
    uv_tcp_t listener;
    uint16_t port;
    int fd = bench_listen(&port);

    (void)j;
    if (uv_loop_init(&loop) != 0 || uv_tcp_init(&loop, &listener) != 0 ||
        uv_tcp_open(&listener, fd) != 0 ||
        uv_listen((uv_stream_t *)&listener, 16, on_connection) != 0)
        DIE("uv: cannot listen\n");
    bench_say("ready %u\n", port);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
}

static void on_pong(end *e) {
    e->times[e->n++] = bench_now() - e->began;
    if (e->n == e->job->count) {
        bench_say_times(e->times, e->n, bench_cpu() - e->cpu);
        exit(0);
    }
    e->began = bench_now();
    write_one(e);
}

void uv_ping(const job *j) {
    end e = {.asked = true, .size = j->size, .got = on_pong, .job = j};
    uv_loop_t loop;

    e.times = new_times(j);
    if (uv_loop_init(&loop) != 0 || uv_tcp_init(&loop, &e.tcp) != 0 ||
        uv_tcp_open(&e.tcp, open_client(j, true)) != 0)
        DIE("uv: cannot connect\n");
    e.tcp.data = &e;
    (void)uv_read_start((uv_stream_t *)&e.tcp, on_alloc, on_read);
    e.cpu = bench_cpu();
    e.began = bench_now();
    write_one(&e);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
}
