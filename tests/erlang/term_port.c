/* SPDX-License-Identifier: Apache-2.0
 *
 * term_port.c: the codec as an Erlang port, for term_SUITE.erl, which compares
 * it with the codec of the BEAM.
 *
 * All terms are without version byte. The operations (see port.h):
 *
 *   c  check: on an error the byte where it is, in 32 bits, and why
 *   r  through the getters of a reader and the putters of a writer. Argument:
 *      0 to memory that grows, 1 measured first and then to an array of just
 *      that size, 2 read by etf_next, 3 lists by etf_begin_list, 4 written as
 *      OTP 25 does
 *   p  text of a term as etf_format; the argument is the style, and shifted by
 *      2 the range, by 4 latin1, by 8 the width, in 12 bits, by 20 the column
 *   x  term of a text
 *   h  phash2 of a term, in 32 bits; the argument is the range, 0 the widest
 *   j  JSON of a term                       k  term of a JSON text
 *   z  compressed, with 131; the argument is the level
 *   o  order of two terms, each with its length before it: 0, 1 or 2 for less,
 *      equal, greater; the argument is 1 for the exact order
 *   s  the places in the list, from 0 and in 32 bits, of the terms in order,
 *      each with its length before it; the argument as of o
 *   i  through an index, all keys of maps looked up
 *   n  as the BEAM would write it; the argument is the mode of the writer
 *   u  the term in an envelope with 131, then in 32 bits the bytes it took
 *   l  the length of a term, found a few bytes at a time as the argument says
 */
#include <cli/json.h>

#include "tests/erlang/port.h"

#define STRING_MAX 65535

/* --- through reader and writer -------------------------------------------- */

static void copy_int(etf_reader *r, etf_writer *w) {
    etf_reader small = *r, natural = *r;
    int64_t i = etf_get_int(&small);
    uint64_t u = etf_get_uint(&natural);
    bool negative;
    etf_view big = etf_get_big(r, &negative);

    if (etf_reader_finish(&small) == 0)
        etf_put_int(w, i);
    else if (etf_reader_finish(&natural) == 0)
        etf_put_uint(w, u);
    else
        etf_put_big(w, big.data, big.len, negative);
}

static void copy_atom(etf_reader *r, etf_writer *w) {
    etf_view v = etf_get_atom(r);

    etf_put_atom_n(w, (const char *)v.data, v.len);
}

static void copy_binary(etf_reader *r, etf_writer *w) {
    etf_view v = etf_get_binary(r);

    etf_put_binary(w, v.data, v.len);
}

static void copy_bits(etf_reader *r, etf_writer *w) {
    size_t bits;
    etf_view v = etf_get_bits(r, &bits);

    etf_put_bits(w, v.data, bits);
}

static void copy_pid(etf_reader *r, etf_writer *w) {
    etf_pid pid;

    etf_get_pid(r, &pid);
    etf_put_pid(w, &pid);
}

static void copy_port(etf_reader *r, etf_writer *w) {
    etf_port port;

    etf_get_port(r, &port);
    etf_put_port(w, &port);
}

static void copy_ref(etf_reader *r, etf_writer *w) {
    etf_ref ref;

    etf_get_ref(r, &ref);
    etf_put_ref(w, &ref);
}

static void copy_export(etf_reader *r, etf_writer *w) {
    etf_view module, function;
    uint8_t arity;

    etf_get_export(r, &module, &function, &arity);
    etf_put_export_n(w, module, function, arity);
}

/* Its free variables are only copied. */
static void copy_fun(etf_reader *r, etf_writer *w) {
    static etf_view free[255];
    etf_reader variables;
    etf_fun fun;

    etf_get_fun(r, &fun);
    variables = *r; /* the name of the module may be in r */
    for (uint32_t i = 0; i < fun.n; i++)
        free[i] = etf_get_term(&variables);
    if (etf_reader_finish(&variables) != 0)
        etf_reader_fail(r, etf_reader_finish(&variables));
    else
        etf_put_fun(w, &fun, free);
    for (uint32_t i = 0; i < fun.n; i++)
        etf_skip(r);
}

/* Returns how many terms follow. */
static uint64_t copy_record(etf_reader *r, etf_writer *w) {
    etf_record record;

    etf_get_record(r, &record);
    etf_put_record_n(w, &record);
    return record.n;
}

/* A list of bytes becomes a string, as Erlang writes it. Returns how many
 * terms follow. */
static uint64_t copy_list(etf_reader *r, etf_writer *w) {
    static char text[STRING_MAX + 1];
    etf_reader string = *r;
    size_t n = etf_get_string(&string, text, sizeof text);

    if (etf_reader_finish(&string) == 0) {
        *r = string;
        etf_put_string(w, text, n);
        return 0;
    }
    n = etf_get_list(r);
    etf_put_list(w, n);
    return n + 1;
}

/* Copies a term, or the beginning of one; returns how many terms follow. */
static uint64_t copy_one(etf_reader *r, etf_writer *w) {
    uint32_t n;

    switch (etf_peek(r)) {
    case ETF_NONE:
        etf_reader_fail(r, CN_ETRUNC);
        return 0;
    case ETF_INT:
        copy_int(r, w);
        return 0;
    case ETF_FLOAT:
        etf_put_float(w, etf_get_float(r));
        return 0;
    case ETF_ATOM:
        copy_atom(r, w);
        return 0;
    case ETF_BINARY:
        copy_binary(r, w);
        return 0;
    case ETF_BITSTRING:
        copy_bits(r, w);
        return 0;
    case ETF_TUPLE:
        n = etf_get_tuple(r);
        etf_put_tuple(w, n);
        return n;
    case ETF_LIST:
        return copy_list(r, w);
    case ETF_NIL:
        etf_get_nil(r);
        etf_put_nil(w);
        return 0;
    case ETF_MAP:
        n = etf_get_map(r);
        etf_put_map(w, n);
        return (uint64_t)n * 2;
    case ETF_PID:
        copy_pid(r, w);
        return 0;
    case ETF_PORT:
        copy_port(r, w);
        return 0;
    case ETF_REF:
        copy_ref(r, w);
        return 0;
    case ETF_EXPORT:
        copy_export(r, w);
        return 0;
    case ETF_FUN:
        copy_fun(r, w);
        return 0;
    case ETF_RECORD:
        return copy_record(r, w);
    case ETF_STRING: /* from etf_next only */
        break;
    }
    die("no type");
    return 0;
}

static void copy_alone(etf_view term, etf_writer *w) {
    etf_reader r;

    etf_reader_init(&r, term);
    (void)copy_one(&r, w);
}

/* The same with what etf_next says. */
static void copy_item(const etf_item *it, etf_writer *w) {
    const char *text = (const char *)it->bytes.data;

    switch (it->type) {
    case ETF_INT:
        if (it->wide)
            etf_put_big(w, it->bytes.data, it->bytes.len, it->negative);
        else
            etf_put_int(w, it->i);
        break;
    case ETF_FLOAT:
        etf_put_float(w, it->f);
        break;
    case ETF_ATOM:
        etf_put_atom_n(w, text, it->bytes.len);
        break;
    case ETF_BINARY:
        etf_put_binary(w, text, it->bytes.len);
        break;
    case ETF_BITSTRING:
        etf_put_bits(w, text, 8 * (it->bytes.len - 1) + it->n);
        break;
    case ETF_TUPLE:
        etf_put_tuple(w, it->n);
        break;
    case ETF_LIST:
        etf_put_list(w, it->n);
        break;
    case ETF_STRING:
        etf_put_string(w, text, it->bytes.len);
        break;
    case ETF_NIL:
        etf_put_nil(w);
        break;
    case ETF_MAP:
        etf_put_map(w, it->n);
        break;
    case ETF_FUN:
    case ETF_RECORD:
        etf_put_term(w, it->bytes);
        break;
    case ETF_NONE:
    case ETF_PID:
    case ETF_PORT:
    case ETF_REF:
    case ETF_EXPORT:
        copy_alone(it->bytes, w);
        break;
    }
}

static int copy_by_next(etf_view term, etf_writer *w) {
    etf_reader r;
    etf_item it = {0};

    etf_reader_init(&r, term);
    for (uint64_t left = 1; left > 0 && etf_next(&r, &it) != ETF_NONE;) {
        copy_item(&it, w);
        left += it.children - 1;
    }
    if (etf_reader_left(&r) > 0)
        etf_reader_fail(&r, CN_EBADTERM);
    return etf_reader_finish(&r);
}

/* Proper lists, as far as they may be nested, without their length. */
#define OPEN_MAX 32

static bool is_proper_list(etf_reader r) {
    uint32_t n = etf_get_list(&r);

    for (uint32_t i = 0; i < n && etf_reader_finish(&r) == 0; i++)
        etf_skip(&r);
    return n > 0 && etf_peek(&r) == ETF_NIL;
}

/* What is left in each of the open lists; the outermost of them is none. */
typedef struct open_lists {
    uint64_t left[OPEN_MAX + 1];
    unsigned n;
} open_lists;

static void close_lists(open_lists *o, etf_reader *r, etf_writer *w) {
    while (o->n > 0 && o->left[o->n] == 0) {
        etf_get_tail(r);
        etf_end_list(w);
        o->n--;
    }
}

static int copy_open_lists(etf_view term, etf_writer *w) {
    open_lists o = {{1}, 0};
    etf_reader r;

    etf_reader_init(&r, term);
    while (o.left[0] + o.n > 0 && etf_reader_finish(&r) == 0) {
        o.left[o.n]--;
        if (o.n < OPEN_MAX && etf_peek(&r) == ETF_LIST && is_proper_list(r)) {
            o.left[++o.n] = etf_get_list(&r);
            etf_begin_list(w);
        } else {
            o.left[o.n] += copy_one(&r, w);
        }
        close_lists(&o, &r, w);
    }
    if (etf_reader_left(&r) > 0)
        etf_reader_fail(&r, CN_EBADTERM);
    return etf_reader_finish(&r);
}

static int copy(etf_view term, etf_writer *w) {
    etf_reader r;

    etf_reader_init(&r, term);
    for (uint64_t left = 1; left > 0 && etf_reader_finish(&r) == 0; left--)
        left += copy_one(&r, w);
    if (etf_reader_left(&r) > 0)
        etf_reader_fail(&r, CN_EBADTERM);
    return etf_reader_finish(&r);
}

/* --- operations ------------------------------------------------------------
 */

static int writer_end(int err, etf_writer *w, bytes *out) {
    etf_view v = {0};

    if (err == 0)
        err = etf_writer_finish(w, &v);
    if (err == 0)
        bytes_put(out, v.data, v.len);
    etf_writer_free(w);
    return err;
}

static int op_check(uint32_t arg, etf_view in, bytes *out) {
    etf_error e;
    int err = etf_check(NULL, NULL, in, &e);

    (void)arg;
    if (err != e.code)
        die("two verdicts");
    if (err != 0) {
        bytes_add32(out, (uint32_t)e.at);
        bytes_put(out, e.what, strlen(e.what));
    }
    return err;
}

static int copy_measured(etf_view in, bytes *out) {
    etf_writer w;
    etf_view v;
    int err;

    etf_writer_init_fixed(&w, NULL, 0);
    err = copy(in, &w);
    if (err != 0)
        return err;
    (void)etf_writer_finish(&w, &v);
    etf_writer_init_fixed(&w, bytes_add(out, v.len), v.len);
    err = copy(in, &w);
    return err != 0 ? err : etf_writer_finish(&w, NULL);
}

static int op_reencode(uint32_t arg, etf_view in, bytes *out) {
    etf_writer w;

    if (arg == 1)
        return copy_measured(in, out);
    etf_writer_init(&w, NULL);
    if (arg == 2)
        return writer_end(copy_by_next(in, &w), &w, out);
    if (arg == 3)
        return writer_end(copy_open_lists(in, &w), &w, out);
    if (arg == 4)
        etf_writer_mode(&w, ETF_LATIN1_ATOMS);
    return writer_end(copy(in, &w), &w, out);
}

static int op_print(uint32_t arg, etf_view in, bytes *out) {
    const etf_text_options o = {.style = arg & 3,
                                .range = arg >> 2 & 3,
                                .latin1 = arg >> 4 & 1,
                                .width = arg >> 8 & 0xfff,
                                .column = arg >> 20};
    size_t n;
    int err = etf_format(&o, in, NULL, 0, &n);

    (void)etf_format(&o, in, (char *)bytes_add(out, n + 1), n + 1, NULL);
    out->len--;
    return err;
}

static int op_compress(uint32_t arg, etf_view in, bytes *out) {
    etf_writer w;

    etf_writer_init(&w, NULL);
    etf_put_compressed(&w, in, (int)arg);
    return writer_end(0, &w, out);
}

static int op_parse(uint32_t arg, etf_view in, bytes *out) {
    etf_writer w;
    int err;

    (void)arg;
    etf_writer_init(&w, NULL);
    err = etf_parse_n(&w, (const char *)in.data, in.len, NULL);
    return writer_end(err, &w, out);
}

static int op_phash2(uint32_t arg, etf_view in, bytes *out) {
    uint32_t hash;
    int err = etf_phash2(NULL, in, arg == 0 ? ETF_PHASH2_ALL : arg, &hash);

    bytes_add32(out, hash);
    return err;
}

static int op_json_print(uint32_t arg, etf_view in, bytes *out) {
    char *text = NULL;
    size_t n = 0;
    FILE *file = open_memstream(&text, &n);
    int err;

    (void)arg;
    if (file == NULL)
        die("out of memory");
    err = cli_json_print(in, file);
    (void)fclose(file);
    bytes_put(out, text, n);
    free(text);
    return err;
}

static int op_json_parse(uint32_t arg, etf_view in, bytes *out) {
    char why[CLI_JSON_WHY];
    etf_writer w;
    int err;

    (void)arg;
    etf_writer_init(&w, NULL);
    err = cli_json_parse(&w, (const char *)in.data, in.len, why);
    return writer_end(err, &w, out);
}

/* --- order ------------------------------------------------------------------
 */

static int compare(uint32_t exact, etf_view a, etf_view b, int *order) {
    return exact == 1 ? etf_compare_exact(NULL, a, b, order)
                      : etf_compare(NULL, a, b, order);
}

/* Terms with their lengths before them. */
static size_t split(etf_view in, etf_view *to, size_t most) {
    cn_cursor c = cn__cursor(in.data, in.len);
    size_t n = 0;

    for (; c.left > 0; n++) {
        etf_view v = {NULL, cn__take32(&c)};

        v.data = cn__take(&c, v.len);
        if (c.bad || n == most)
            die("bad item");
        to[n] = v;
    }
    return n;
}

static int op_compare(uint32_t arg, etf_view in, bytes *out) {
    etf_view v[2];
    int order = 0, back = 0;
    int err =
        split(in, v, 2) == 2 ? compare(arg, v[0], v[1], &order) : CN_EBADARG;

    if (err == 0)
        err = compare(arg, v[1], v[0], &back);
    if (err == 0 && (order > 0) - (order < 0) != (back < 0) - (back > 0))
        die("not antisymmetric");
    *bytes_add(out, 1) = (uint8_t)((order > 0) - (order < 0) + 1);
    return err;
}

#define SORT_MAX 4096

/* By insertion, which keeps what is equal in its order; for the times that
 * counts, sorting is left to who uses the library. */
static int op_sort(uint32_t arg, etf_view in, bytes *out) {
    static etf_view v[SORT_MAX];
    static uint32_t at[SORT_MAX];
    size_t n = split(in, v, SORT_MAX);
    int order, err = 0;

    for (uint32_t i = 0; i < n && err == 0; i++) {
        uint32_t low = 0, high = i;

        while (low < high && err == 0) {
            uint32_t mid = low + (high - low) / 2;

            err = compare(arg, v[i], v[at[mid]], &order);
            if (order < 0)
                high = mid;
            else
                low = mid + 1;
        }
        memmove(at + low + 1, at + low, (i - low) * sizeof *at);
        at[low] = i;
    }
    for (size_t i = 0; i < n; i++)
        bytes_add32(out, at[i]);
    return err;
}

/* --- forms ------------------------------------------------------------------
 */

static int op_normal(uint32_t arg, etf_view in, bytes *out) {
    etf_writer w;
    int err;

    etf_writer_init(&w, NULL);
    etf_writer_mode(&w, arg);
    err = etf_put_normal(&w, NULL, NULL, in);
    return writer_end(err, &w, out);
}

static int op_open(uint32_t arg, etf_view in, bytes *out) {
    etf_opened o;
    int err = etf_open(&o, NULL, NULL, in, NULL);

    (void)arg;
    bytes_put(out, o.term.data, o.term.len);
    if (err == 0)
        bytes_add32(out, (uint32_t)o.used);
    etf_close(&o);
    return err;
}

static int op_scan(uint32_t arg, etf_view in, bytes *out) {
    etf_scanner s;
    size_t have = 0, need = 0;
    int err;

    etf_scanner_init(&s, NULL, NULL, false);
    do {
        have = in.len - have < arg ? in.len : have + arg;
        err = etf_scan(&s, in.data, have, &need);
        if (err == CN_ETRUNC && need == 0)
            die("nothing is needed");
    } while (err == CN_ETRUNC && have < in.len);
    etf_scanner_free(&s);
    bytes_add32(out, (uint32_t)need);
    return err;
}

/* --- index ------------------------------------------------------------------
 */

/* What is still to be written of a term, the next at the top. */
typedef struct todo {
    const etf_node **node;
    size_t n;
    size_t cap;
} todo;

static void todo_add(todo *t, const etf_node *node) {
    if (node == NULL)
        die("no node");
    if (t->n == t->cap) {
        t->cap = 2 * t->cap + 64;
        t->node = realloc(t->node, t->cap * sizeof *t->node);
        if (t->node == NULL)
            die("out of memory");
    }
    t->node[t->n++] = node;
}

static void index_elements(const etf_index *x, const etf_node *node, todo *t) {
    for (uint32_t i = etf_index_size(x, node); i > 0; i--)
        todo_add(t, etf_index_nth(x, node, i - 1));
    if (etf_index_nth(x, node, etf_index_size(x, node)) != NULL)
        die("one element more");
}

static void index_pairs(const etf_index *x, const etf_node *map, todo *t) {
    const etf_node *found;

    for (uint32_t i = etf_index_size(x, map); i > 0; i--) {
        const etf_node *key = etf_index_key(x, map, i - 1);
        const etf_node *value = etf_index_value(x, map, i - 1);

        if (etf_index_get(x, map, etf_index_view(x, key), &found) != 0 ||
            found != value)
            die("a key is not found");
        todo_add(t, value);
        todo_add(t, key);
    }
}

static void index_one(const etf_index *x, const etf_node *node, etf_writer *w,
                      todo *t) {
    uint32_t n = etf_index_size(x, node);

    switch (etf_index_type(x, node)) {
    case ETF_TUPLE:
        etf_put_tuple(w, n);
        index_elements(x, node, t);
        break;
    case ETF_LIST:
        if (etf_index_view(x, node).data[0] == 107) {
            etf_put_term(w, etf_index_view(x, node));
            break;
        }
        etf_put_list(w, n);
        todo_add(t, etf_index_tail(x, node));
        index_elements(x, node, t);
        break;
    case ETF_MAP:
        etf_put_map(w, n);
        index_pairs(x, node, t);
        break;
    default:
        etf_put_term(w, etf_index_view(x, node));
    }
}

static int op_index(uint32_t arg, etf_view in, bytes *out) {
    etf_index x;
    etf_writer w;
    todo t = {0};
    int err = etf_index_make(&x, NULL, NULL, in);

    (void)arg;
    etf_writer_init(&w, NULL);
    if (err == 0)
        todo_add(&t, etf_index_root(&x));
    while (t.n > 0) {
        const etf_node *node = t.node[--t.n];

        index_one(&x, node, &w, &t);
    }
    err = writer_end(err, &w, out);
    free(t.node);
    etf_index_free(&x);
    return err;
}

static const op_fn ops[256] = {
    ['c'] = op_check,      ['r'] = op_reencode, ['p'] = op_print,
    ['x'] = op_parse,      ['h'] = op_phash2,   ['j'] = op_json_print,
    ['k'] = op_json_parse, ['z'] = op_compress, ['o'] = op_compare,
    ['s'] = op_sort,       ['i'] = op_index,    ['n'] = op_normal,
    ['u'] = op_open,       ['l'] = op_scan,
};

int main(void) {
    return port_run(ops);
}
