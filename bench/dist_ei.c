/* SPDX-License-Identifier: Apache-2.0
 *
 * dist_ei.c: Erlang's own library, used as its programs use it. It has one
 * process a node and blocks, so a child of the program serves each connection.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <ei.h>

#include "bench/dist.h"

static void must(int r, const char *what) {
    if (r < 0)
        DIE("ei: %s: error %d\n", what, erl_errno);
}

/* "alive@host" */
static void init_node(ei_cnode *ec, const char *name) {
    char alive[256];
    const char *at = strchr(name, '@');
    struct in_addr addr = {htonl(INADDR_LOOPBACK)};

    if (at == NULL)
        DIE("ei: a name without @\n");
    (void)snprintf(alive, sizeof alive, "%.*s", (int)(at - name), name);
    must(ei_connect_xinit(ec, at + 1, alive, name, &addr, COOKIE, 1), "init");
}

static int connect_node(ei_cnode *ec, const job *j) {
    char target[256];
    int fd;

    (void)snprintf(target, sizeof target, "%s", j->target);
    fd = ei_connect(ec, target);
    must(fd, "connect");
    return fd;
}

static void encode_binary(ei_x_buff *x, const void *bytes, size_t n) {
    x->index = 0;
    (void)ei_x_encode_version(x);
    (void)ei_x_encode_binary(x, bytes, (int)n);
}

/* The next message that is not a tick; false: closed. */
static bool receive(int fd, ei_x_buff *x) {
    erlang_msg m;
    int r;

    do {
        x->index = 0;
        r = ei_xreceive_msg(fd, &m, x);
    } while (r == ERL_TICK);
    return r == ERL_MSG;
}

/* The name of a tuple {Name, ...} of which *index is behind the name. */
static int tuple_name(const ei_x_buff *x, int *index, char *name) {
    int version, arity;

    *index = 0;
    if (ei_decode_version(x->buff, index, &version) != 0 ||
        ei_decode_tuple_header(x->buff, index, &arity) != 0 ||
        ei_decode_atom(x->buff, index, name) != 0)
        return -1;
    return arity;
}

/* --- serving -------------------------------------------------------------- */

static bool get_open(const ei_x_buff *x, erlang_pid *client, bool *echo,
                     long *count) {
    char name[MAXATOMLEN_UTF8];
    int index;

    if (tuple_name(x, &index, name) != 4 || strcmp(name, "open") != 0 ||
        ei_decode_pid(x->buff, &index, client) != 0 ||
        ei_decode_atom(x->buff, &index, name) != 0 ||
        ei_decode_long(x->buff, &index, count) != 0)
        return false;
    *echo = strcmp(name, "echo") == 0;
    return true;
}

static void send_opened(ei_cnode *ec, int fd, erlang_pid *client,
                        ei_x_buff *x) {
    x->index = 0;
    (void)ei_x_encode_version(x);
    (void)ei_x_encode_tuple_header(x, 2);
    (void)ei_x_encode_atom(x, "opened");
    (void)ei_x_encode_pid(x, ei_self(ec));
    must(ei_send(fd, client, x->buff, x->index), "send");
}

static void send_done(int fd, erlang_pid *client, uint64_t cpu, ei_x_buff *x) {
    x->index = 0;
    (void)ei_x_encode_version(x);
    (void)ei_x_encode_tuple_header(x, 2);
    (void)ei_x_encode_atom(x, "done");
    (void)ei_x_encode_longlong(x, (long long)cpu);
    must(ei_send(fd, client, x->buff, x->index), "send");
}

static char *room;
static long room_size;

static bool decode_binary(const ei_x_buff *x, long *len) {
    int index = 0, version, type, size;

    if (ei_decode_version(x->buff, &index, &version) != 0 ||
        ei_get_type(x->buff, &index, &type, &size) != 0)
        return false;
    if (size > room_size) {
        free(room);
        room = malloc((size_t)size);
        room_size = size;
        if (room == NULL)
            DIE("no memory\n");
    }
    return ei_decode_binary(x->buff, &index, room, len) == 0;
}

static void serve_session(ei_cnode *ec, int fd, erlang_pid *client, bool echo,
                          long count) {
    uint64_t cpu = bench_cpu();
    ei_x_buff in, out;
    long len;

    (void)ei_x_new(&in);
    (void)ei_x_new(&out);
    send_opened(ec, fd, client, &out);
    while (count > 0 && receive(fd, &in)) {
        if (!decode_binary(&in, &len))
            continue;
        count--;
        if (echo) {
            encode_binary(&out, room, (size_t)len);
            must(ei_send(fd, client, out.buff, out.index), "send");
        }
    }
    if (!echo && count == 0)
        send_done(fd, client, bench_cpu() - cpu, &out);
    (void)ei_x_free(&in);
    (void)ei_x_free(&out);
}

static void serve_connection(ei_cnode *ec, int fd) {
    ei_x_buff x;
    erlang_pid client;
    bool echo;
    long count;

    (void)ei_x_new(&x);
    while (receive(fd, &x))
        if (get_open(&x, &client, &echo, &count))
            serve_session(ec, fd, &client, echo, count);
    (void)ei_x_free(&x);
    (void)close(fd);
}

void ei_serve(const job *j) {
    ei_cnode ec;
    ErlConnect peer;
    int port = 0, listener, fd;

    (void)ei_init();
    init_node(&ec, j->name);
    listener = ei_listen(&ec, &port, 16);
    must(listener, "listen");
    must(ei_publish(&ec, port), "publish");
    bench_say("ready %d\n", port);
    (void)signal(SIGCHLD, SIG_IGN);
    for (;;) {
        fd = ei_accept(&ec, listener, &peer);
        if (fd >= 0 && fork() == 0) {
            serve_connection(&ec, fd);
            _exit(0);
        }
        (void)close(fd);
    }
}

/* --- sending -------------------------------------------------------------- */

typedef struct client {
    ei_cnode ec;
    int fd;
    erlang_pid to;
    ei_x_buff in, out;
    const uint8_t *payload;
} client;

static void open_client(client *c, const job *j, const char *what) {
    char name[MAXATOMLEN_UTF8], bench[] = "bench";
    int index;

    (void)ei_init();
    init_node(&c->ec, j->name);
    c->fd = connect_node(&c->ec, j);
    c->payload = bench_payload(j->size);
    (void)ei_x_new(&c->in);
    (void)ei_x_new_with_version(&c->out);
    (void)ei_x_encode_tuple_header(&c->out, 4);
    (void)ei_x_encode_atom(&c->out, "open");
    (void)ei_x_encode_pid(&c->out, ei_self(&c->ec));
    (void)ei_x_encode_atom(&c->out, what);
    (void)ei_x_encode_long(&c->out, j->count);
    must(ei_reg_send(&c->ec, c->fd, bench, c->out.buff, c->out.index), "send");
    if (!receive(c->fd, &c->in) || tuple_name(&c->in, &index, name) != 2 ||
        ei_decode_pid(c->in.buff, &index, &c->to) != 0)
        DIE("ei: no answer\n");
}

static void send_one(client *c, size_t size) {
    encode_binary(&c->out, c->payload, size);
    must(ei_send(c->fd, &c->to, c->out.buff, c->out.index), "send");
}

void ei_bench_send(const job *j) {
    client c;
    char name[MAXATOMLEN_UTF8];
    uint64_t began, cpu;
    long long peer_cpu;
    int index;

    open_client(&c, j, "sink");
    cpu = bench_cpu();
    began = bench_now();
    for (long i = 0; i < j->count; i++)
        send_one(&c, j->size);
    if (!receive(c.fd, &c.in) || tuple_name(&c.in, &index, name) != 2 ||
        ei_decode_longlong(c.in.buff, &index, &peer_cpu) != 0)
        DIE("ei: no answer at the end\n");
    bench_say("ok %llu %llu %lld\n", (unsigned long long)(bench_now() - began),
              (unsigned long long)(bench_cpu() - cpu), peer_cpu);
}

void ei_ping(const job *j) {
    client c;
    uint64_t *times = calloc((size_t)j->count, sizeof *times);
    uint64_t cpu;
    long len;

    if (times == NULL)
        DIE("no memory\n");
    open_client(&c, j, "echo");
    cpu = bench_cpu();
    for (long i = 0; i < j->count; i++) {
        uint64_t began = bench_now();
        send_one(&c, j->size);
        if (!receive(c.fd, &c.in) || !decode_binary(&c.in, &len))
            DIE("ei: no echo\n");
        times[i] = bench_now() - began;
    }
    bench_say_times(times, j->count, bench_cpu() - cpu);
}

/* It has no way to make more than one at a time in a thread. */
void ei_bench_connect(const job *j) {
    uint64_t began, cpu;
    ei_cnode ec;

    (void)ei_init();
    began = bench_now();
    cpu = bench_cpu();
    for (long i = 0; i < j->count; i++) {
        char name[256];
        (void)snprintf(name, sizeof name, "c%ld%s", i, j->name);
        init_node(&ec, name);
        (void)connect_node(&ec, j);
    }
    bench_say("ok %llu %llu 0\n", (unsigned long long)(bench_now() - began),
              (unsigned long long)(bench_cpu() - cpu));
}
