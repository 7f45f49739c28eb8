/* SPDX-License-Identifier: Apache-2.0
 *
 * dist.h: what the files of dist_bench share.
 *
 * What is measured always goes the same way. One side serves, as the
 * registered process `bench` of a node. The other sends it
 *
 *      {open, From, sink | echo, Count}      and gets {opened, Pid}
 *
 * then Count binaries to Pid, each of which an echo sends back; after the last
 * one a sink answers {done, Cpu}: the nanoseconds of processor time that its
 * program has used since it was opened.
 *
 *   dist_own.c     this library as a program uses it
 *   dist_ei.c      Erlang's own library for C
 *   dist_frames.c  frames made beforehand, and frames counted unread: what the
 *                  other side, and the machine, can do at most
 *   dist_plain.c   sockets with nothing on them, blocking and on libuv
 */
#ifndef BENCH_DIST_H
#define BENCH_DIST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define DIE(...) (fprintf(stderr, "dist_bench: " __VA_ARGS__), exit(1))

#define COOKIE "bench"

/* net_ticktime in seconds: each side ticks four times in it. */
#define CALM_TICKTIME 4

typedef struct job {
    const char *name;   /* of the node here */
    const char *target; /* node, or for plain nothing */
    uint16_t port;      /* of the target, where there is no EPMD */
    size_t size;        /* of a message */
    long count;
    long at_once;
} job;

/* Nanoseconds of the clock, and of processor time of this program. */
uint64_t bench_now(void);
uint64_t bench_cpu(void);
/* `size` bytes to send. */
const uint8_t *bench_payload(size_t size);
/* A line for the one who started this program. */
void bench_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* "ok", 50 % and 99 % of the times, processor time of one. */
void bench_say_times(uint64_t *times, long n, uint64_t cpu);

/* Blocking sockets on the loopback; a failure ends the program. */
int bench_listen(uint16_t *port);
int bench_dial(uint16_t port);
int bench_accept(int listener);
/* As many descriptors as the system lets this program have. */
void bench_raise_limit(void);
void bench_write(int fd, const void *data, size_t n);
/* At least one byte; 0: closed. */
size_t bench_read(int fd, void *room, size_t cap);
/* All of it, false: closed. */
bool bench_read_all(int fd, void *room, size_t n);

void own_serve(const job *j);
/* The same at CALM_TICKTIME. */
void own_calm(const job *j);
void own_send(const job *j);
void own_ping(const job *j);
void own_connect(const job *j);

void ei_serve(const job *j);
void ei_bench_send(const job *j);
void ei_ping(const job *j);
void ei_bench_connect(const job *j);

void frames_serve(const job *j);
void frames_parts(const job *j); /* with fragments */
void frames_send(const job *j);
void frames_crowd(const job *j);
/* count peers of a node at CALM_TICKTIME that only tick, for size seconds:
 * "ok", nanoseconds of processor time that the node took in a second, ticks
 * that it sent in it. */
void frames_idle(const job *j);

void plain_serve(const job *j);
void plain_send(const job *j);
void plain_ping(const job *j);
/* What frames_idle measures, of sockets alone: each is written 4 bytes to, and
 * read from, once in a second. */
void plain_idle(const job *j);
void uv_serve(const job *j);
void uv_ping(const job *j);

#endif
