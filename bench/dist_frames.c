/* SPDX-License-Identifier: Apache-2.0
 *
 * dist_frames.c: what a peer and the machine can do at most. The connection is
 * that of conn.h, without atom cache and (or, to count, with) fragments,
 * on a blocking socket; then frames that were made beforehand are written in
 * blocks of 64 KB, or frames are counted by their lengths and not looked into.
 */
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <uv.h>

#include "bench/dist.h"
#include "cnode/conn.h"
#include "epmd/epmd.h"

enum {
    BLOCK = 64 * 1024,
    ROOM = 256 * 1024,
    CREATION = 7,
    TICK_MS = 1000 * CALM_TICKTIME / 4,
    HEAD = 4 + 18 /* length, and what tells a message's last fragment */
};

typedef struct line {
    int fd;
    cnode_conn *conn;
    const char *name; /* of the node here */
    char peer[256];
} line;

static uint8_t room[ROOM];
static bool in_parts;       /* new lines take fragments */
static uint32_t ticktime_s; /* of new lines; 0: the usual one */
static uint64_t grain = 1;  /* of the lines' clock, ms */

static uint64_t now_ms(void) {
    return bench_now() / 1000000 / grain * grain;
}

static void new_line(line *l, int fd, const char *name, const char *peer) {
    cnode_conn_config c = {
        .initiator = peer != NULL,
        .name = name,
        .peer = peer,
        .cookie = COOKIE,
        .takeover = true,
        .creation = CREATION,
        .challenge = 77,
        .flags = cnode_conn_flags() & ~CNODE_FLAG_DIST_HDR_ATOM_CACHE &
                 ~(in_parts ? 0 : CNODE_FLAG_FRAGMENTS),
        .ticktime_ms = ticktime_s * 1000,
        .max_frame = 1 << 30,
        .max_queue = 1 << 30,
    };

    l->fd = fd;
    l->name = name;
    if (cnode_conn_new(&l->conn, &c, now_ms()) != 0)
        DIE("frames: no connection\n");
}

static void flush(line *l) {
    cn_slice v;

    while (cnode_conn_output(l->conn, &v, 1) > 0) {
        bench_write(l->fd, v.data, v.len);
        cnode_conn_wrote(l->conn, v.len);
    }
}

static void greet(line *l, const cnode_event *ev) {
    if (ev->type == CNODE_EV_NAME &&
        cnode_conn_answer(l->conn, CNODE_ANSWER_OK, COOKIE, NULL, 0) != 0)
        DIE("frames: %s\n", cnode_conn_error(l->conn)->text);
    (void)snprintf(l->peer, sizeof l->peer, "%s", ev->peer);
}

/* The next signal, or (up) the end of the handshake. False: closed. */
static bool await(line *l, cnode_event *ev, bool up) {
    for (;;) {
        int r = cnode_conn_next(l->conn, ev);
        size_t n;
        if (r < 0)
            DIE("frames: %s\n", cnode_conn_error(l->conn)->text);
        if (r == 1 && ev->type != CNODE_EV_SIGNAL)
            greet(l, ev);
        flush(l);
        if (r == 1 && ev->type == (up ? CNODE_EV_UP : CNODE_EV_SIGNAL))
            return true;
        if (r == 1)
            continue;
        n = bench_read(l->fd, room, sizeof room);
        if (n == 0)
            return false;
        (void)cnode_conn_feed(l->conn, room, n, now_ms());
    }
}

static void dial_line(line *l, uint16_t port, const char *name,
                      const char *peer) {
    cnode_event ev;

    new_line(l, bench_dial(port), name, peer);
    if (!await(l, &ev, true))
        DIE("frames: %s closed the connection\n", peer);
}

static void close_line(line *l) {
    cnode_conn_free(l->conn);
    (void)close(l->fd);
}

static etf_pid own_pid(const line *l) {
    etf_pid pid = {.id = 1, .creation = CREATION};

    pid.node_len = (uint16_t)snprintf(pid.node, sizeof pid.node, "%s", l->name);
    return pid;
}

/* A message as a pattern, to a pid or, when there is none, to `bench`. */
#define SEND(l, to, ...) send_args((l), (to), ETF_INS(__VA_ARGS__))

static void send_args(line *l, const etf_pid *to, const etf_in *in, size_t n) {
    static const cnode_ctrl none;
    cnode_ctrl c = none;
    etf_writer w;
    int err;

    etf_writer_init(&w, NULL);
    (void)etf_pack_args(&w, in, n);
    c.signal = to == NULL ? CNODE_SIG_REG_SEND : CNODE_SIG_SEND;
    c.name = (etf_view){(const uint8_t *)"bench", 5};
    c.from = own_pid(l);
    if (to != NULL)
        c.to = *to;
    err = etf_writer_finish(&w, &c.term);
    if (err == 0)
        err = cnode_conn_send(l->conn, &c);
    if (err != 0)
        DIE("frames: sending: %s\n", cn_strerror(err));
    etf_writer_free(&w);
}

/* --- sending -------------------------------------------------------------- */

typedef struct block {
    uint8_t *data;
    size_t frame; /* bytes of one */
    long n;       /* how many */
} block;

static block make_block(line *l, const etf_pid *to, size_t size) {
    const uint8_t *payload = bench_payload(size);
    size_t n, at = 0;
    cn_slice v;
    block b;

    SEND(l, to, "~b", ((etf_view){payload, size}));
    n = cnode_conn_queued(l->conn);
    b.frame = n;
    b.n = n > BLOCK ? 1 : BLOCK / (long)n;
    b.data = malloc(n * (size_t)b.n);
    if (b.data == NULL)
        DIE("no memory\n");
    while (cnode_conn_output(l->conn, &v, 1) > 0) {
        memcpy(b.data + at, v.data, v.len);
        at += v.len;
        cnode_conn_wrote(l->conn, v.len);
    }
    for (long i = 1; i < b.n; i++)
        memcpy(b.data + (size_t)i * n, b.data, n);
    return b;
}

static etf_pid open_sink(line *l, long count) {
    cnode_event ev;
    etf_pid me = own_pid(l), to;

    SEND(l, NULL, "{open, ~p, sink, ~i}", &me, (int64_t)count);
    if (!await(l, &ev, false) ||
        etf_match(ev.ctrl->term, "{opened, ~p}", &to) != 0)
        DIE("frames: no answer\n");
    return to;
}

void frames_send(const job *j) {
    line l;
    cnode_event ev;
    etf_pid to;
    block b;
    uint64_t began, cpu;
    int64_t peer_cpu;

    dial_line(&l, j->port, j->name, j->target);
    to = open_sink(&l, j->count);
    b = make_block(&l, &to, j->size);
    cpu = bench_cpu();
    began = bench_now();
    for (long left = j->count; left > 0; left -= b.n)
        bench_write(l.fd, b.data, b.frame * (size_t)(left < b.n ? left : b.n));
    if (!await(&l, &ev, false) ||
        etf_match(ev.ctrl->term, "{done, ~i}", &peer_cpu) != 0)
        DIE("frames: no answer at the end\n");
    bench_say("ok %llu %llu %lld\n", (unsigned long long)(bench_now() - began),
              (unsigned long long)(bench_cpu() - cpu), (long long)peer_cpu);
}

/* --- counting ------------------------------------------------------------- */

typedef struct counter {
    long left;   /* messages */
    size_t skip; /* bytes of the current frame that are still to come */
    uint8_t head[HEAD];
    size_t have, want; /* of the head */
} counter;

static size_t be32(const uint8_t *p) {
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

/* What has no fragments, or is the last one: of those the number is 1. */
static bool ends_message(const uint8_t *head) {
    static const uint8_t last[8] = {0, 0, 0, 0, 0, 0, 0, 1};

    return head[4] != 131 || (head[5] != 'E' && head[5] != 'F') ||
           memcmp(head + 14, last, sizeof last) == 0;
}

/* The length has come, then what there is behind it of the head. */
static void take_head(counter *c) {
    size_t frame = be32(c->head), want = frame < HEAD - 4 ? frame : HEAD - 4;

    if (in_parts && c->want == 4 && want > 0) {
        c->want += want;
        return;
    }
    c->skip = frame - (c->want - 4);
    c->left -= frame > 0 && (!in_parts || ends_message(c->head)); /* no tick */
    c->have = 0;
    c->want = 4;
}

/* A message counts when the head of its last frame has come; the rest is
 * skipped. */
static void count_bytes(counter *c, const uint8_t *p, size_t n) {
    while (n > 0) {
        size_t some = c->skip < n ? c->skip : n;
        c->skip -= some;
        p += some;
        n -= some;
        while (c->skip == 0 && n > 0 && c->have < c->want) {
            c->head[c->have++] = *p++;
            n--;
        }
        if (c->have == c->want)
            take_head(c);
    }
}

static void count_frames(line *l, long count) {
    counter c = {.left = count, .want = 4};
    size_t n;

    while ((c.left > 0 || c.skip > 0) &&
           (n = bench_read(l->fd, room, sizeof room)) > 0)
        count_bytes(&c, room, n);
}

static void serve_line(line *l) {
    cnode_event ev;
    etf_pid client, me = own_pid(l);
    int64_t count;
    uint64_t cpu;

    if (!await(l, &ev, true))
        return;
    while (await(l, &ev, false)) {
        if (etf_match(ev.ctrl->term, "{open, ~p, sink, ~i}", &client, &count) !=
            0)
            continue;
        cpu = bench_cpu();
        SEND(l, &client, "{opened, ~p}", &me);
        flush(l);
        count_frames(l, (long)count);
        SEND(l, &client, "{done, ~i}", (int64_t)(bench_cpu() - cpu));
        flush(l);
    }
}

static void on_alive(void *data, int status, const cn_error *err,
                     uint32_t creation) {
    (void)creation;
    if (status != 0)
        DIE("frames: %s\n", err->text);
    uv_stop(data);
}

/* The loop holds the registration, though it does not run any more. */
static void register_name(const char *name, uint16_t port) {
    static uv_loop_t loop;
    static char alive[256];
    epmd_registration *r;
    epmd_alive a = {.name = alive, .port = port, .hidden = true};

    (void)snprintf(alive, sizeof alive, "%.*s", (int)strcspn(name, "@"), name);
    if (uv_loop_init(&loop) != 0 ||
        epmd_register(&r, &loop, &a, on_alive, &loop) != 0)
        DIE("frames: cannot register\n");
    (void)uv_run(&loop, UV_RUN_DEFAULT);
}

void frames_serve(const job *j) {
    uint16_t port;
    int listener = bench_listen(&port);

    register_name(j->name, port);
    bench_say("ready %u\n", port);
    for (;;) {
        line l;
        new_line(&l, bench_accept(listener), j->name, NULL);
        serve_line(&l);
        close_line(&l);
    }
}

void frames_parts(const job *j) {
    in_parts = true;
    frames_serve(j);
}

/* --- a crowd -------------------------------------------------------------- */

static void ask_memory(line *l, int64_t *bytes, int64_t *rss) {
    cnode_event ev;
    etf_pid me = own_pid(l);

    SEND(l, NULL, "{memory, ~p}", &me);
    if (!await(l, &ev, false) ||
        etf_match(ev.ctrl->term, "{memory, ~i, ~i}", bytes, rss) != 0)
        DIE("frames: no answer\n");
}

/* What a connection takes on the other side: the difference between one and
 * count more. What it takes to answer must be there before, too. */
void frames_crowd(const job *j) {
    line first, *all = calloc((size_t)j->count, sizeof *all);
    int64_t bytes, rss, bytes_then, rss_then;

    if (all == NULL)
        DIE("no memory\n");
    bench_raise_limit();
    dial_line(&first, j->port, j->name, j->target);
    ask_memory(&first, &bytes, &rss);
    ask_memory(&first, &bytes, &rss);
    for (long i = 0; i < j->count; i++) {
        char name[256];
        (void)snprintf(name, sizeof name, "c%ld%s", i, j->name);
        dial_line(&all[i], j->port, strdup(name), j->target);
    }
    ask_memory(&first, &bytes_then, &rss_then);
    bench_say("ok %lld %lld 0\n", (long long)(bytes_then - bytes) / j->count,
              (long long)(rss_then - rss) / j->count);
}

/* --- peers with nothing to say -------------------------------------------- */

typedef struct crowd {
    int epoll;
    line *all; /* the first one asks */
    long n;
} crowd;

static void add_peer(crowd *k, const job *j) {
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = (uint64_t)k->n};
    char name[256];
    line *l = &k->all[k->n++];

    (void)snprintf(name, sizeof name, "i%ld%s", k->n, j->name);
    dial_line(l, j->port, strdup(name), j->target);
    if (epoll_ctl(k->epoll, EPOLL_CTL_ADD, l->fd, &ev) != 0)
        DIE("frames: epoll\n");
}

static void hear(line *l) {
    size_t n = bench_read(l->fd, room, sizeof room);
    cnode_event ev;

    if (n == 0)
        DIE("frames: %s was lost\n", l->name);
    (void)cnode_conn_feed(l->conn, room, n, now_ms());
    while (cnode_conn_next(l->conn, &ev) == 1)
        ;
}

/* The ticks that are due; how long until the next ones. */
static int tick_all(crowd *k) {
    uint64_t now = now_ms();

    for (long i = 0; i < k->n; i++) {
        line *l = &k->all[i];
        if (cnode_conn_timeout(l->conn, now) != 0)
            DIE("frames: %s: %s\n", l->name, cnode_conn_error(l->conn)->text);
        flush(l);
    }
    return (int)(now + grain - bench_now() / 1000000);
}

static void be_calm(crowd *k, uint64_t ms) {
    struct epoll_event ev[64];
    const uint64_t end = now_ms() + ms;

    while (now_ms() < end) {
        int n = epoll_wait(k->epoll, ev, 64, tick_all(k));
        for (int i = 0; i < n; i++)
            hear(&k->all[ev[i].data.u64]);
    }
}

static uint64_t ticks_of(const crowd *k) {
    uint64_t ticks = 0;

    for (long i = 0; i < k->n; i++) {
        cnode_conn_stats s;
        cnode_conn_get_stats(k->all[i].conn, &s);
        ticks += s.ticks_in;
    }
    return ticks;
}

static int64_t ask_cpu(line *l) {
    cnode_event ev;
    etf_pid me = own_pid(l);
    int64_t cpu;

    SEND(l, NULL, "{cpu, ~p}", &me);
    if (!await(l, &ev, false) ||
        etf_match(ev.ctrl->term, "{cpu, ~i}", &cpu) != 0)
        DIE("frames: no answer\n");
    return cpu;
}

void frames_idle(const job *j) {
    crowd k = {.epoll = epoll_create1(0),
               .all = calloc((size_t)j->count + 1, sizeof(line))};
    uint64_t ticks;
    int64_t cpu;

    if (k.all == NULL || k.epoll < 0)
        DIE("no memory\n");
    bench_raise_limit();
    ticktime_s = CALM_TICKTIME;
    grain = TICK_MS; /* one ticker for all, as in a node */
    while (k.n <= j->count)
        add_peer(&k, j);
    be_calm(&k, 1000);
    ticks = ticks_of(&k);
    cpu = ask_cpu(k.all);
    be_calm(&k, 1000 * j->size);
    cpu = ask_cpu(k.all) - cpu;
    ticks = ticks_of(&k) - ticks;
    bench_say("ok %llu %llu 0\n", (unsigned long long)cpu / j->size,
              (unsigned long long)ticks / j->size);
}
