/* SPDX-License-Identifier: Apache-2.0
 *
 * term_bench.c: one term, treated by this codec and by ei.
 *
 *   term_bench FILE OP LIB REPEATS   does it so often and prints nanoseconds
 *   term_bench FILE                  the same for lines "OP LIB REPEATS"
 *
 * OP is skip, walk, encode or index, LIB is etf or ei. `measured` is the
 * function that does it, for a profiler to count. A walk takes every value:
 * with ei as its programs do, the type and then the value, here with
 * etf_walk_next.
 * Encoding is from a list of values that both take from the same place.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ei.h>

#include "ext_term/ext_term.h"

#define DIE(...) (fprintf(stderr, "term_bench: " __VA_ARGS__), exit(1))

/* The same identifier for both. */
typedef struct id {
    etf_pid pid;
    etf_ref ref;
    erlang_pid ei_pid;
    erlang_ref ei_ref;
} id;

/* The same big integer. */
typedef struct integer {
    erlang_big ei;
    etf_view magnitude;
    bool negative;
} integer;

/* Small, so that what is measured is not the memory that they are in. */
typedef struct value {
    uint8_t type; /* etf_type */
    bool is_big;
    uint32_t n; /* elements, or bytes at data */
    union {
        int64_t i;
        double f;
        id *id;
        integer *big;
        const uint8_t *data; /* of an atom, binary or string */
    } v;
} value;

static uint8_t *file;
static etf_view term; /* behind the version byte */
static value *values;
static size_t n_values;
static etf_writer writer;
static ei_x_buff ei_out;
static char *room; /* for what ei copies */
static void *nodes;
static size_t nodes_size;
static volatile uint64_t sink;

static void load(const char *path) {
    FILE *in = fopen(path, "rb");
    long size;

    if (in == NULL || fseek(in, 0, SEEK_END) != 0 || (size = ftell(in)) < 2)
        DIE("%s: cannot be read\n", path);
    rewind(in);
    file = malloc((size_t)size);
    room = malloc((size_t)size);
    if (file == NULL || room == NULL ||
        fread(file, 1, (size_t)size, in) != (size_t)size)
        DIE("%s: cannot be read\n", path);
    (void)fclose(in);
    term = (etf_view){file + 1, (size_t)size - 1};
}

/* --- what is encoded -------------------------------------------------------
 */

/* ei's form of the same value, by ei itself. */
static void ei_form(const value *v, const uint8_t *at) {
    int index = 0, type, size;
    const char *buf = (const char *)at;

    if (v->type == ETF_PID && ei_decode_pid(buf, &index, &v->v.id->ei_pid) != 0)
        DIE("ei: a pid\n");
    if (v->type == ETF_REF && ei_decode_ref(buf, &index, &v->v.id->ei_ref) != 0)
        DIE("ei: a reference\n");
    if (v->type != ETF_INT)
        return;
    (void)ei_get_type(buf, &index, &type, &size);
    v->v.big->ei = *ei_alloc_big((unsigned)size);
    if (ei_decode_big(buf, &index, &v->v.big->ei) != 0)
        DIE("ei: an integer\n");
}

static void take_big(value *v, const etf_item *it, const uint8_t *at) {
    v->v.big = calloc(1, sizeof *v->v.big);
    if (v->v.big == NULL)
        DIE("no memory\n");
    v->v.big->magnitude = it->bytes;
    v->v.big->negative = it->negative;
    ei_form(v, at);
}

static void take_id(value *v, const uint8_t *at) {
    etf_reader one;

    v->v.id = calloc(1, sizeof *v->v.id);
    if (v->v.id == NULL)
        DIE("no memory\n");
    etf_reader_init(&one, (etf_view){at, term.len - (size_t)(at - term.data)});
    if (v->type == ETF_PID)
        etf_get_pid(&one, &v->v.id->pid);
    if (v->type == ETF_REF)
        etf_get_ref(&one, &v->v.id->ref);
    ei_form(v, at);
}

static void take(value *v, const etf_item *it, const uint8_t *at) {
    *v = (value){.type = (uint8_t)it->type,
                 .n = it->n,
                 .is_big = it->type == ETF_INT && it->wide};
    if (v->is_big) {
        take_big(v, it, at);
    } else if (it->type == ETF_PID || it->type == ETF_REF) {
        take_id(v, at);
    } else if (it->type == ETF_INT) {
        v->v.i = it->i;
    } else if (it->type == ETF_FLOAT) {
        v->v.f = it->f;
    } else if (it->type == ETF_ATOM || it->type == ETF_BINARY ||
               it->type == ETF_STRING) {
        v->v.data = it->bytes.data;
        v->n = (uint32_t)it->bytes.len;
    }
}

static void read_values(void) {
    etf_reader r;
    etf_item it = {0};

    values = calloc(term.len, sizeof *values);
    if (values == NULL)
        DIE("no memory\n");
    etf_reader_init(&r, term);
    while (etf_reader_left(&r) > 0) {
        const uint8_t *at = term.data + etf_reader_pos(&r);
        if (etf_next(&r, &it) == ETF_NONE)
            DIE("not a term\n");
        take(&values[n_values++], &it, at);
    }
}

/* --- this codec ------------------------------------------------------------
 */

static void etf_skip_op(void) {
    etf_reader r;

    etf_reader_init(&r, term);
    etf_skip(&r);
    sink += etf_reader_pos(&r);
}

static void etf_walk_op(void) {
    etf_reader r;
    etf_walk w;
    etf_item it = {0};
    uint64_t sum = 0;

    etf_reader_init(&r, term);
    w = etf_walk_begin(&r);
    while (etf_walk_next(&w, &it) != ETF_NONE)
        switch (it.type) {
        case ETF_INT:
            sum += (uint64_t)it.i;
            break;
        case ETF_FLOAT:
            sum += it.f > 0;
            break;
        case ETF_TUPLE:
        case ETF_LIST:
        case ETF_MAP:
            sum += it.n;
            break;
        case ETF_NIL:
            break;
        default:
            sum += it.bytes.len;
        }
    sink += sum;
}

static void etf_put_value(const value *v) {
    switch (v->type) {
    case ETF_INT:
        if (v->is_big)
            etf_put_big(&writer, v->v.big->magnitude.data,
                        v->v.big->magnitude.len, v->v.big->negative);
        else
            etf_put_int(&writer, v->v.i);
        break;
    case ETF_FLOAT:
        etf_put_float(&writer, v->v.f);
        break;
    case ETF_ATOM:
        etf_put_atom_n(&writer, (const char *)v->v.data, v->n);
        break;
    case ETF_BINARY:
        etf_put_binary(&writer, v->v.data, v->n);
        break;
    case ETF_TUPLE:
        etf_put_tuple(&writer, v->n);
        break;
    case ETF_STRING:
        etf_put_string(&writer, (const char *)v->v.data, v->n);
        break;
    case ETF_LIST:
        etf_put_list(&writer, v->n);
        break;
    case ETF_MAP:
        etf_put_map(&writer, v->n);
        break;
    case ETF_PID:
        etf_put_pid(&writer, &v->v.id->pid);
        break;
    case ETF_REF:
        etf_put_ref(&writer, &v->v.id->ref);
        break;
    default:
        etf_put_nil(&writer);
    }
}

static void etf_encode_op(void) {
    etf_writer_reset(&writer);
    etf_put_version(&writer);
    for (size_t i = 0; i < n_values; i++)
        etf_put_value(&values[i]);
    if (etf_writer_finish(&writer, NULL) != 0)
        DIE("etf: cannot encode\n");
    sink += writer.len;
}

static void etf_index_op(void) {
    etf_index x;

    if (etf_index_build(&x, NULL, NULL, term, nodes, nodes_size, NULL) != 0)
        DIE("etf: cannot index\n");
    sink += (uintptr_t)nodes;
}

/* --- ei ----------------------------------------------------------------------
 */

static void ei_skip_op(void) {
    int index = 0;

    if (ei_skip_term((const char *)term.data, &index) != 0)
        DIE("ei: cannot skip\n");
    sink += (uint64_t)index;
}

static uint64_t ei_number(const char *buf, int *index, int type) {
    double f;
    long long i;
    int arity, size;
    erlang_big *big;

    if (type == NEW_FLOAT_EXT || type == ERL_FLOAT_EXT)
        return ei_decode_double(buf, index, &f) == 0 && f > 0;
    if (ei_decode_longlong(buf, index, &i) == 0)
        return (uint64_t)i;
    (void)ei_get_type(buf, index, &arity, &size);
    big = ei_alloc_big((unsigned)size);
    if (big == NULL || ei_decode_big(buf, index, big) != 0)
        DIE("ei: an integer\n");
    ei_free_big(big);
    return (uint64_t)size;
}

static uint64_t ei_one(const char *buf, int *index) {
    char atom[MAXATOMLEN_UTF8];
    erlang_pid pid;
    erlang_ref ref;
    int type, size, n = 0, rc = -1;
    long len;

    (void)ei_get_type(buf, index, &type, &size);
    switch (type) {
    case ERL_SMALL_INTEGER_EXT:
    case ERL_INTEGER_EXT:
    case ERL_SMALL_BIG_EXT:
    case ERL_LARGE_BIG_EXT:
    case ERL_FLOAT_EXT:
    case NEW_FLOAT_EXT:
        return ei_number(buf, index, type);
    case ERL_ATOM_EXT:
        rc = ei_decode_atom_as(buf, index, atom, sizeof atom, ERLANG_UTF8, NULL,
                               NULL);
        break;
    case ERL_BINARY_EXT:
        rc = ei_decode_binary(buf, index, room, &len);
        break;
    case ERL_STRING_EXT:
        rc = ei_decode_string(buf, index, room);
        break;
    case ERL_SMALL_TUPLE_EXT:
    case ERL_LARGE_TUPLE_EXT:
        rc = ei_decode_tuple_header(buf, index, &n);
        break;
    case ERL_LIST_EXT:
    case ERL_NIL_EXT:
        rc = ei_decode_list_header(buf, index, &n);
        break;
    case ERL_MAP_EXT:
        rc = ei_decode_map_header(buf, index, &n);
        break;
    case ERL_PID_EXT:
    case ERL_NEW_PID_EXT:
        rc = ei_decode_pid(buf, index, &pid);
        break;
    default:
        rc = ei_decode_ref(buf, index, &ref);
    }
    if (rc != 0)
        DIE("ei: type %d\n", type);
    return (uint64_t)size + (uint64_t)n;
}

static void ei_walk_op(void) {
    const char *buf = (const char *)term.data;
    uint64_t sum = 0;
    int index = 0;

    while ((size_t)index < term.len)
        sum += ei_one(buf, &index);
    sink += sum;
}

static int ei_put_value(value *v) {
    const char *bytes = (const char *)v->v.data;

    switch (v->type) {
    case ETF_INT:
        return v->is_big ? ei_x_encode_big(&ei_out, &v->v.big->ei)
                         : ei_x_encode_longlong(&ei_out, v->v.i);
    case ETF_FLOAT:
        return ei_x_encode_double(&ei_out, v->v.f);
    case ETF_ATOM:
        return ei_x_encode_atom_len_as(&ei_out, bytes, (int)v->n, ERLANG_UTF8,
                                       ERLANG_UTF8);
    case ETF_BINARY:
        return ei_x_encode_binary(&ei_out, bytes, (int)v->n);
    case ETF_TUPLE:
        return ei_x_encode_tuple_header(&ei_out, v->n);
    case ETF_STRING:
        return ei_x_encode_string_len(&ei_out, bytes, (int)v->n);
    case ETF_LIST:
        return ei_x_encode_list_header(&ei_out, v->n);
    case ETF_MAP:
        return ei_x_encode_map_header(&ei_out, v->n);
    case ETF_PID:
        return ei_x_encode_pid(&ei_out, &v->v.id->ei_pid);
    case ETF_REF:
        return ei_x_encode_ref(&ei_out, &v->v.id->ei_ref);
    default:
        return ei_x_encode_empty_list(&ei_out);
    }
}

static void ei_encode_op(void) {
    ei_out.index = 0;
    (void)ei_x_encode_version(&ei_out);
    for (size_t i = 0; i < n_values; i++)
        if (ei_put_value(&values[i]) != 0)
            DIE("ei: cannot encode\n");
    sink += (uint64_t)ei_out.index;
}

/* --- measuring ---------------------------------------------------------------
 */

typedef void (*operation)(void);

static operation find(const char *op, const char *lib) {
    static const struct {
        const char *op, *lib;
        operation run;
    } all[] = {
        {"skip", "etf", etf_skip_op},     {"skip", "ei", ei_skip_op},
        {"walk", "etf", etf_walk_op},     {"walk", "ei", ei_walk_op},
        {"encode", "etf", etf_encode_op}, {"encode", "ei", ei_encode_op},
        {"index", "etf", etf_index_op},
    };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(all[i].op, op) == 0 && strcmp(all[i].lib, lib) == 0)
            return all[i].run;
    DIE("no %s of %s\n", op, lib);
}

__attribute__((noinline)) static void measured(operation run, long repeats) {
    for (long i = 0; i < repeats; i++)
        run();
}

static uint64_t now(void) {
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void report(const char *op, const char *lib, long repeats) {
    operation run = find(op, lib);
    uint64_t from;

    run(); /* what is allocated once is there */
    from = now();
    measured(run, repeats);
    printf("%llu\n", (unsigned long long)(now() - from));
    (void)fflush(stdout);
}

/* Both make the same bytes, or nothing is compared. */
static void prepare(void) {
    read_values();
    etf_writer_init(&writer, NULL);
    (void)ei_x_new(&ei_out);
    etf_encode_op();
    ei_encode_op();
    if (writer.len != (size_t)ei_out.index || writer.len != term.len + 1 ||
        memcmp(writer.data, file, writer.len) != 0 ||
        memcmp(ei_out.buff, file, writer.len) != 0)
        DIE("the two make different bytes\n");
    nodes_size = 64 * (n_values + 64);
    nodes = malloc(nodes_size);
    if (nodes == NULL)
        DIE("no memory\n");
}

int main(int argc, char **argv) {
    char op[16], lib[16], line[80];
    long repeats;

    if (argc != 2 && argc != 5)
        DIE("usage: term_bench FILE [OP LIB REPEATS]\n");
    (void)ei_init();
    load(argv[1]);
    prepare();
    if (argc == 5) {
        report(argv[2], argv[3], strtol(argv[4], NULL, 10));
        return 0;
    }
    while (fgets(line, sizeof line, stdin) != NULL)
        if (sscanf(line, "%15s %15s %ld", op, lib, &repeats) == 3)
            report(op, lib, repeats);
    return 0;
}
