/* SPDX-License-Identifier: Apache-2.0
 *
 * ei_port.c: Erlang's own C library, ei, as a port, so that term_SUITE.erl can
 * compare what its calls and ours write.
 *
 *   r  a term through ei_decode_* and ei_x_encode_*; CN_ENOTSUP where ei cannot
 *      hold it: atoms with NUL, records
 */
#include <ei.h>

#include "tests/erlang/port.h"

#define STRING_MAX 65535

/* A term on its way through ei. */
typedef struct way {
    const char *in;
    int at;
    int type;
    int size;
    ei_x_buff out;
} way;

static int copy_int(way *w) {
    erlang_big *big;
    long long i;
    unsigned long long u;
    int err;

    if (ei_decode_longlong(w->in, &w->at, &i) == 0)
        return ei_x_encode_longlong(&w->out, i);
    if (ei_decode_ulonglong(w->in, &w->at, &u) == 0)
        return ei_x_encode_ulonglong(&w->out, u);
    big = ei_alloc_big((unsigned)w->size);
    err = ei_decode_big(w->in, &w->at, big) == 0 ? ei_x_encode_big(&w->out, big)
                                                 : -1;
    ei_free_big(big);
    return err;
}

static int copy_float(way *w) {
    double v;

    if (ei_decode_double(w->in, &w->at, &v) != 0)
        return -1;
    return ei_x_encode_double(&w->out, v);
}

static int copy_atom(way *w) {
    char text[MAXATOMLEN_UTF8];
    erlang_char_encoding was, result;

    if (ei_decode_atom_as(w->in, &w->at, text, sizeof text, ERLANG_UTF8, &was,
                          &result) != 0)
        return -1;
    return ei_x_encode_atom_as(&w->out, text, ERLANG_UTF8, ERLANG_UTF8);
}

static int copy_binary(way *w) {
    const char *p;
    unsigned offset;
    size_t bits;

    if (ei_decode_bitstring(w->in, &w->at, &p, &offset, &bits) != 0)
        return -1;
    if (bits % 8 == 0)
        return ei_x_encode_binary(&w->out, p, (int)(bits / 8));
    return ei_x_encode_bitstring(&w->out, p, offset, bits);
}

static int copy_string(way *w) {
    static char text[STRING_MAX + 1];

    if (ei_decode_string(w->in, &w->at, text) != 0)
        return -1;
    return ei_x_encode_string_len(&w->out, text, w->size);
}

static int copy_pid(way *w) {
    erlang_pid pid;

    if (ei_decode_pid(w->in, &w->at, &pid) != 0)
        return -1;
    return ei_x_encode_pid(&w->out, &pid);
}

static int copy_port(way *w) {
    erlang_port port;

    if (ei_decode_port(w->in, &w->at, &port) != 0)
        return -1;
    return ei_x_encode_port(&w->out, &port);
}

static int copy_ref(way *w) {
    erlang_ref ref;

    if (ei_decode_ref(w->in, &w->at, &ref) != 0)
        return -1;
    return ei_x_encode_ref(&w->out, &ref);
}

static int copy_fun(way *w) {
    erlang_fun fun;
    int err;

    if (ei_decode_fun(w->in, &w->at, &fun) != 0)
        return -1;
    err = ei_x_encode_fun(&w->out, &fun);
    free_fun(&fun);
    return err;
}

static int copy_container(way *w, uint64_t *left) {
    int n;

    if (ei_decode_tuple_header(w->in, &w->at, &n) == 0) {
        *left += (uint64_t)n;
        return ei_x_encode_tuple_header(&w->out, n);
    }
    if (ei_decode_map_header(w->in, &w->at, &n) == 0) {
        *left += 2 * (uint64_t)n;
        return ei_x_encode_map_header(&w->out, n);
    }
    if (ei_decode_list_header(w->in, &w->at, &n) != 0)
        return -1;
    if (n == 0)
        return ei_x_encode_empty_list(&w->out);
    *left += (uint64_t)n + 1;
    return ei_x_encode_list_header(&w->out, n);
}

static int copy_one(way *w, uint64_t *left) {
    if (ei_get_type(w->in, &w->at, &w->type, &w->size) != 0)
        return -1;
    switch (w->type) {
    case ERL_SMALL_INTEGER_EXT:
    case ERL_INTEGER_EXT:
    case ERL_SMALL_BIG_EXT:
    case ERL_LARGE_BIG_EXT:
        return copy_int(w);
    case ERL_FLOAT_EXT:
    case NEW_FLOAT_EXT:
        return copy_float(w);
    case ERL_ATOM_EXT:
        return copy_atom(w);
    case ERL_BINARY_EXT:
    case ERL_BIT_BINARY_EXT:
        return copy_binary(w);
    case ERL_STRING_EXT:
        return copy_string(w);
    case ERL_PID_EXT:
    case ERL_NEW_PID_EXT:
        return copy_pid(w);
    case ERL_PORT_EXT:
    case ERL_NEW_PORT_EXT:
    case ERL_V4_PORT_EXT:
        return copy_port(w);
    case ERL_REFERENCE_EXT:
    case ERL_NEW_REFERENCE_EXT:
    case ERL_NEWER_REFERENCE_EXT:
        return copy_ref(w);
    case ERL_FUN_EXT:
    case ERL_NEW_FUN_EXT:
    case ERL_EXPORT_EXT:
        return copy_fun(w);
    default:
        return copy_container(w, left);
    }
}

/* Ei reads behind the end of what is malformed, so it only gets good terms. */
static int op_reencode(uint32_t arg, etf_view in, bytes *out) {
    way w = {.in = (const char *)in.data};
    uint64_t left = 1;
    int err = ei_x_new(&w.out);

    (void)arg;
    for (; left > 0 && err == 0; left--)
        err = copy_one(&w, &left);
    if (err == 0)
        bytes_put(out, w.out.buff, (size_t)w.out.index);
    (void)ei_x_free(&w.out);
    return err == 0 ? 0 : CN_ENOTSUP;
}

static const op_fn ops[256] = {['r'] = op_reencode};

int main(void) {
    return port_run(ops);
}
