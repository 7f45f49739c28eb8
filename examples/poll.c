/* SPDX-License-Identifier: Apache-2.0
 *
 * poll.c: a connection in a loop of your own. No libuv and no node are at
 * work here, only conn.h and poll(2): the program dials a node, becomes
 * `poll@127.0.0.1` to it, and answers messages to `echo` until the node goes.
 *
 *      $ CNODE_COOKIE=... ./poll shop@127.0.0.1 40551
 *      shop> {echo, 'poll@127.0.0.1'} ! {self(), hello}, flush().
 *
 * The port is what `cnode names` or epmd:names() tell. All of a connection is
 * the four lines in serve(): time, output, input, events.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cnode/conn.h>

#define NAME "poll@127.0.0.1"

typedef struct program {
    int fd;
    cnode_conn *conn;
    etf_pid self;
} program;

static uint64_t now_ms(void) {
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- what is said -------------------------------------------------------- */

/* {From, Term} is answered with {self(), Term}. */
static void echo(program *p, const cnode_ctrl *in) {
    cnode_ctrl out = {.signal = CNODE_SIG_SEND, .from = p->self};
    etf_writer w;
    etf_view term;

    etf_writer_init(&w, NULL);
    if (etf_match(in->term, "{~p, ~t}", &out.to, &term) == 0 &&
        etf_pack(&w, "{~p, ~t}", &p->self, term) == 0 &&
        etf_writer_finish(&w, &out.term) == 0)
        (void)cnode_conn_send(p->conn, &out);
    etf_writer_free(&w);
}

/* Who links with or monitors what is not here wants to know it. A node of
 * cnode.h does this, and much more, by itself. */
static void nobody(program *p, const cnode_ctrl *in) {
    static const uint8_t noproc[] = {119, 6, 'n', 'o', 'p', 'r', 'o', 'c'};
    cnode_ctrl out = {.signal = CNODE_SIG_DOWN,
                      .by_name = in->by_name,
                      .name = in->name,
                      .from = in->to,
                      .to = in->from,
                      .ref = in->ref,
                      .term = {noproc, sizeof noproc}};

    if (in->signal == CNODE_SIG_LINK)
        out.signal = CNODE_SIG_EXIT;
    (void)cnode_conn_send(p->conn, &out);
}

static void handle(program *p, const cnode_event *ev) {
    if (ev->type == CNODE_EV_UP) {
        p->self = (etf_pid){.id = 1, .creation = ev->creation};
        p->self.node_len = (uint16_t)snprintf(p->self.node, sizeof p->self.node,
                                              "%s", ev->name);
        printf("up: %s\n", ev->peer);
        (void)fflush(stdout);
    } else if (ev->type == CNODE_EV_SIGNAL) {
        const cnode_ctrl *c = ev->ctrl;
        if (c->signal == CNODE_SIG_REG_SEND && etf_view_is(c->name, "echo"))
            echo(p, c);
        else if (c->signal == CNODE_SIG_MONITOR || c->signal == CNODE_SIG_LINK)
            nobody(p, c);
    }
}

/* --- the loop ------------------------------------------------------------ */

static int write_some(program *p) {
    cn_slice v[16];
    struct iovec io[16];
    size_t n = cnode_conn_output(p->conn, v, 16);
    struct msghdr m = {.msg_iov = io, .msg_iovlen = n};
    ssize_t did;

    for (size_t i = 0; i < n; i++)
        io[i] = (struct iovec){(void *)(uintptr_t)v[i].data, v[i].len};
    did = n == 0 ? 0 : sendmsg(p->fd, &m, MSG_NOSIGNAL);
    if (did < 0)
        return -1;
    cnode_conn_wrote(p->conn, (size_t)did);
    return 0;
}

static int read_some(program *p) {
    static uint8_t in[65536];
    ssize_t n = recv(p->fd, in, sizeof in, 0);
    cnode_event ev;
    int r;

    if (n <= 0)
        return cnode_conn_eof(p->conn, now_ms());
    r = cnode_conn_feed(p->conn, in, (size_t)n, now_ms());
    while (r == 0 && (r = cnode_conn_next(p->conn, &ev)) == 1) {
        handle(p, &ev);
        r = 0;
    }
    return r;
}

static int wait_ms(const program *p) {
    uint64_t at = cnode_conn_deadline(p->conn), now = now_ms();

    return at <= now ? 0 : (int)(at - now);
}

static void serve(program *p) {
    struct pollfd poll_fd = {.fd = p->fd};
    int err = 0;

    while (err == 0) {
        size_t waiting = cnode_conn_queued(p->conn);
        poll_fd.events = waiting > 0 ? POLLIN | POLLOUT : POLLIN;
        (void)poll(&poll_fd, 1, wait_ms(p));
        err = cnode_conn_timeout(p->conn, now_ms());
        if (err == 0 && (poll_fd.revents & POLLOUT) != 0)
            err = write_some(p);
        if (err == 0 && (poll_fd.revents & (POLLIN | POLLHUP | POLLERR)) != 0)
            err = read_some(p);
    }
}

/* --- the beginning ------------------------------------------------------- */

static int dial(const char *port) {
    struct sockaddr_in a = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    perror("poll: connect");
    return -1;
}

int main(int argc, char **argv) {
    cnode_conn_config c = {.initiator = true,
                           .name = NAME,
                           .creation = (uint32_t)time(NULL),
                           .flags = cnode_conn_flags(),
                           .cookie = getenv("CNODE_COOKIE")};
    program p = {0};

    if (argc < 3 || c.cookie == NULL)
        return fprintf(stderr, "usage: CNODE_COOKIE=... poll NODE PORT "
                               "[TICKTIME]\n"),
               2;
    if (argc > 3) /* seconds, as net_ticktime of the other node */
        c.ticktime_ms = (uint32_t)strtoul(argv[3], NULL, 10) * 1000;
    c.peer = argv[1];
    if (getrandom(&c.challenge, sizeof c.challenge, 0) != sizeof c.challenge)
        return 1;
    p.fd = dial(argv[2]);
    if (p.fd < 0 || cnode_conn_new(&p.conn, &c, now_ms()) != 0)
        return 1;
    serve(&p);
    printf("down: %s\n", cnode_conn_error(p.conn)->text);
    cnode_conn_free(p.conn);
    return close(p.fd) != 0;
}
