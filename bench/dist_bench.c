/* SPDX-License-Identifier: Apache-2.0
 *
 * dist_bench.c: the C side of what bench/dist_bench.escript measures (dist.h
 * tells what that is).
 *
 *   dist_bench KIND serve NAME                prints "ready PORT", serves
 *                             (frames parts: with fragments)
 *   dist_bench KIND send NAME TARGET PORT SIZE COUNT
 *                             prints "ok NS CPU PEER_CPU", of all
 *   dist_bench KIND ping NAME TARGET PORT SIZE COUNT
 *                             prints "ok P50 P99 CPU", of one
 *   dist_bench KIND connect NAME TARGET PORT AT_ONCE COUNT
 *                             prints "ok NS CPU 0", of all
 *   dist_bench frames crowd NAME TARGET PORT 0 COUNT
 *                             prints "ok BYTES RSS 0", of one connection
 *
 * KIND is own, ei, frames, plain or uv. It ends when its input does.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/dist.h"

/* --- clocks and reports --------------------------------------------------- */

uint64_t bench_now(void) {
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static uint64_t nanoseconds(struct timeval t) {
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_usec * 1000U;
}

uint64_t bench_cpu(void) {
    struct rusage used;

    (void)getrusage(RUSAGE_SELF, &used);
    return nanoseconds(used.ru_utime) + nanoseconds(used.ru_stime);
}

const uint8_t *bench_payload(size_t size) {
    uint8_t *p = malloc(size);

    if (p == NULL)
        DIE("no memory\n");
    for (size_t i = 0; i < size; i++)
        p[i] = (uint8_t)i;
    return p;
}

void bench_say(const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    (void)vprintf(fmt, ap);
    va_end(ap);
    (void)fflush(stdout);
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void bench_say_times(uint64_t *times, long n, uint64_t cpu) {
    qsort(times, (size_t)n, sizeof *times, by_value);
    bench_say("ok %llu %llu %llu\n", (unsigned long long)times[n / 2],
              (unsigned long long)times[n * 99 / 100],
              (unsigned long long)(cpu / (uint64_t)n));
}

/* --- sockets -------------------------------------------------------------- */

static struct sockaddr_in loopback(uint16_t port) {
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int bench_listen(uint16_t *port) {
    struct sockaddr_in a = loopback(0);
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) != 0 ||
        listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        DIE("cannot listen: %s\n", strerror(errno));
    *port = ntohs(a.sin_port);
    return fd;
}

static int no_delay(int fd) {
    int on = 1;

    if (fd < 0)
        DIE("no connection: %s\n", strerror(errno));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

int bench_dial(uint16_t port) {
    struct sockaddr_in a = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
        DIE("cannot connect to port %u: %s\n", port, strerror(errno));
    return no_delay(fd);
}

int bench_accept(int listener) {
    return no_delay(accept(listener, NULL, NULL));
}

void bench_raise_limit(void) {
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
}

void bench_write(int fd, const void *data, size_t n) {
    const uint8_t *p = data;

    while (n > 0) {
        ssize_t r = write(fd, p, n);
        if (r < 0)
            DIE("writing: %s\n", strerror(errno));
        p += r;
        n -= (size_t)r;
    }
}

size_t bench_read(int fd, void *room, size_t cap) {
    ssize_t r = read(fd, room, cap);

    if (r < 0 && errno != ECONNRESET)
        DIE("reading: %s\n", strerror(errno));
    return r < 0 ? 0 : (size_t)r;
}

bool bench_read_all(int fd, void *room, size_t n) {
    uint8_t *p = room;

    while (n > 0) {
        size_t r = bench_read(fd, p, n);
        if (r == 0)
            return false;
        p += r;
        n -= r;
    }
    return true;
}

/* --- the command line ----------------------------------------------------- */

static void *watch_input(void *arg) {
    char c;

    while (read(STDIN_FILENO, &c, 1) > 0)
        ;
    _exit(0);
    return arg;
}

typedef struct command {
    const char *kind, *verb;
    void (*run)(const job *j);
} command;

static const command commands[] = {
    {"own", "serve", own_serve},         {"own", "send", own_send},
    {"own", "ping", own_ping},           {"own", "connect", own_connect},
    {"own", "calm", own_calm},           {"frames", "idle", frames_idle},
    {"plain", "idle", plain_idle},       {"ei", "serve", ei_serve},
    {"ei", "send", ei_bench_send},       {"ei", "ping", ei_ping},
    {"ei", "connect", ei_bench_connect}, {"frames", "serve", frames_serve},
    {"frames", "parts", frames_parts},   {"frames", "send", frames_send},
    {"frames", "crowd", frames_crowd},   {"plain", "serve", plain_serve},
    {"plain", "send", plain_send},       {"plain", "ping", plain_ping},
    {"uv", "serve", uv_serve},           {"uv", "ping", uv_ping},
};

static const command *find(const char *kind, const char *verb) {
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].kind, kind) == 0 &&
            strcmp(commands[i].verb, verb) == 0)
            return &commands[i];
    DIE("there is no '%s %s'\n", kind, verb);
}

static long number(const char *text) {
    return strtol(text, NULL, 10);
}

/* The system's table of a process with threads grows by waiting for all
 * processors, 10 ms and more, when there are 64, 256, ... descriptors: that is
 * not what is measured. */
static void make_room_for_descriptors(void) {
    int fd = dup2(STDIN_FILENO, 1023);

    if (fd >= 0)
        (void)close(fd);
}

int main(int argc, char **argv) {
    pthread_t watcher;
    job j = {0};

    if (argc != 4 && argc != 8)
        DIE("usage: dist_bench KIND VERB NAME [TARGET PORT SIZE COUNT]\n");
    j.name = argv[3];
    if (argc == 8) {
        j.target = argv[4];
        j.port = (uint16_t)number(argv[5]);
        j.size = (size_t)number(argv[6]);
        j.count = number(argv[7]);
        j.at_once = number(argv[6]);
    }
    if (pthread_create(&watcher, NULL, watch_input, NULL) != 0)
        DIE("no thread\n");
    make_room_for_descriptors();
    find(argv[1], argv[2])->run(&j);
    return 0;
}
