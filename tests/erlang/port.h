/* SPDX-License-Identifier: Apache-2.0
 *
 * port.h: programs that are ports of term_codec.erl.
 *
 * Requests and answers are {packet, 4}. A request is an operation, an argument
 * of 32 bits and any number of items, each with its length before it; the
 * answer has for each item a status (0, or the code without its sign), a
 * length and that many bytes. The operation q is the end.
 */
#ifndef TESTS_ERLANG_PORT_H
#define TESTS_ERLANG_PORT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <base/bytes.h>
#include <ext_term/ext_term.h>

#define REQUEST_MAX ((size_t)1 << 30)

static inline void die(const char *why) {
    (void)fprintf(stderr, "port: %s\n", why);
    exit(1);
}

typedef struct bytes {
    uint8_t *data;
    size_t len;
    size_t cap;
} bytes;

/* Room for n bytes at the end. */
static inline uint8_t *bytes_add(bytes *b, size_t n) {
    if (n > b->cap - b->len) {
        b->cap = 2 * (b->len + n);
        b->data = realloc(b->data, b->cap);
        if (b->data == NULL)
            die("out of memory");
    }
    b->len += n;
    return b->data + b->len - n;
}

static inline void bytes_add32(bytes *b, uint32_t v) {
    uint8_t *p = bytes_add(b, 4);

    cn__put32(p, v);
}

static inline void bytes_put(bytes *b, const void *data, size_t n) {
    if (n > 0)
        memcpy(bytes_add(b, n), data, n);
}

/* false at the end of stdin. */
static inline bool request_read(bytes *b) {
    uint8_t head[4];
    size_t n;

    if (fread(head, 1, 4, stdin) != 4)
        return false;
    n = cn__be32(head);
    if (n > REQUEST_MAX)
        die("request too large");
    b->len = 0;
    return fread(bytes_add(b, n), 1, n, stdin) == n;
}

static inline void answer_write(bytes *b) {
    cn__put32(b->data, (uint32_t)(b->len - 4));
    if (fwrite(b->data, 1, b->len, stdout) != b->len || fflush(stdout) != 0)
        die("cannot write");
}

/* 0, or a code; out is to be added to. */
typedef int (*op_fn)(uint32_t arg, etf_view in, bytes *out);

/* The item is copied to memory of its own size, so that a sanitizer or
 * valgrind sees a step beyond its end. */
static inline void item(op_fn op, uint32_t arg, etf_view in, bytes *out) {
    uint8_t *own = malloc(in.len + (in.len == 0));
    size_t at = out->len;
    int err;

    if (own == NULL)
        die("out of memory");
    memcpy(own, in.data, in.len);
    (void)bytes_add(out, 5);
    err = op(arg, (etf_view){own, in.len}, out);
    out->data[at] = (uint8_t)-err;
    cn__put32(out->data + at + 1, (uint32_t)(out->len - at - 5));
    free(own);
}

static inline void request(const op_fn *ops, cn_cursor c, bytes *out) {
    op_fn op = ops[cn__take8(&c)];
    uint32_t arg = cn__take32(&c);

    if (op == NULL)
        die("no such operation");
    out->len = 0;
    (void)bytes_add(out, 4);
    while (c.left > 0 && !c.bad) {
        size_t n = cn__take32(&c);
        const uint8_t *p = cn__take(&c, n);

        if (c.bad)
            die("bad request");
        item(op, arg, (etf_view){p, n}, out);
    }
}

/* All requests; the status of the program. */
static inline int port_run(const op_fn ops[256]) {
    bytes in = {0}, out = {0};

    while (request_read(&in) && in.len > 0 && in.data[0] != 'q') {
        request(ops, cn__cursor(in.data, in.len), &out);
        answer_write(&out);
    }
    free(in.data);
    free(out.data);
    return 0;
}

#endif
