/* SPDX-License-Identifier: Apache-2.0
 *
 * json_print.c: a term as JSON. Where a term is encoded in another way than
 * our writer would (an atom in latin-1, bytes as a LIST_EXT), or has no JSON
 * of its own (a closure), its bytes are written instead, so that nothing is
 * lost in any case.
 *
 * What stands before the elements of a list depends on its tail, and of a map
 * on all of its keys: an index finds them at once. The walk itself follows the
 * bytes, which tells what the index leaves out: headers of lists without
 * elements, which stand for their tail.
 */
#include "cli/json.h"

#include <stdlib.h>
#include <string.h>

#include "cli/json_tags.h"
#include "cli/text.h"

/* Below this terms are written as their bytes: parsers of JSON have their
 * limits. */
#define DEPTH 200

typedef enum shape {
    ITEMS,       /* [1, 2] and all that ends so */
    BINARY_KEYS, /* {"k": v} */
    ATOM_KEYS,   /* {"a": {"k": v}} */
    PAIRS        /* {"m": [[k, v]]} */
} shape;

/* A pair of a map: where its key is, and its number in the index. */
typedef struct pair {
    const uint8_t *at;
    uint32_t i;
} pair;

/* An opened array or object. */
typedef struct frame {
    shape shape;
    const etf_node *node;
    pair *order;   /* of a map that the index has in another order */
    uint32_t done; /* terms, keys and values counted apart */
    uint32_t all;
    const char *close;
} frame;

typedef struct printer {
    FILE *out;
    etf_index index;
    const uint8_t *at; /* where the next term begins */
    etf_writer w;      /* what our writer would make of a term */
    size_t depth;
    frame stack[DEPTH];
} printer;

/* Behind the last byte of a term. */
static const uint8_t *end_of(const printer *p, const etf_node *node) {
    etf_view v = etf_index_view(&p->index, node);

    return v.data + v.len;
}

/* All the bytes of the term that begins at `at`, also those before what the
 * index knows of it. */
static etf_view from(const printer *p, const uint8_t *at,
                     const etf_node *node) {
    return (etf_view){at, (size_t)(end_of(p, node) - at)};
}

/* --- strings ------------------------------------------------------------- */

static void print_string(const printer *p, etf_view v) {
    (void)fputc('"', p->out);
    for (size_t i = 0; i < v.len; i++) {
        int c = v.data[i];

        if (c == '"' || c == '\\')
            (void)fprintf(p->out, "\\%c", c);
        else if (c == '\n')
            (void)fputs("\\n", p->out);
        else if (c < ' ' || c == 0x7f)
            (void)fprintf(p->out, "\\u%04x", c);
        else
            (void)fputc(c, p->out);
    }
    (void)fputc('"', p->out);
}

static void print_hex(const printer *p, const char *tag, etf_view v) {
    (void)fprintf(p->out, "{\"%s\":\"", tag);
    cli_hex_print(v.data, v.len, p->out);
    (void)fputs("\"}", p->out);
}

static void print_bytes(const printer *p, etf_view term) {
    print_hex(p, TAG_ETF, term);
}

/* --- terms without terms in them ----------------------------------------- */

/* Would our writer make the same bytes, with what put has just done? */
static bool same(printer *p, etf_view term) {
    etf_view ours;

    return etf_writer_finish(&p->w, &ours) == 0 && etf_view_eq(ours, term);
}

static bool print_int(printer *p, etf_view term, etf_reader *r) {
    etf_reader big = *r;
    bool negative;
    int64_t v = etf_get_int(r);
    etf_view magnitude;

    if (etf_reader_finish(r) == 0) {
        etf_put_int(&p->w, v);
        if (!same(p, term))
            return false;
        (void)fprintf(p->out, "%lld", (long long)v);
        return true;
    }
    magnitude = etf_get_big(&big, &negative);
    etf_put_big(&p->w, magnitude.data, magnitude.len, negative);
    if (etf_reader_finish(&big) != 0 || !same(p, term))
        return false;
    (void)fputs("{\"" TAG_INTEGER "\":\"", p->out);
    (void)etf_print_file(term, p->out);
    (void)fputs("\"}", p->out);
    return true;
}

/* The shortest text that is the same number again, and a float in JSON. */
static bool print_float(printer *p, etf_view term, etf_reader *r) {
    double v = etf_get_float(r);
    char text[40];

    etf_put_float(&p->w, v);
    if (!same(p, term))
        return false;
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    (void)fprintf(p->out, "%s%s", text,
                  strpbrk(text, ".e") == NULL ? ".0" : "");
    return true;
}

static bool is_json_atom(etf_view text) {
    return etf_view_is(text, "true") || etf_view_is(text, "false") ||
           etf_view_is(text, "null");
}

/* Files of OTP 25 and older have their atoms in latin-1: the tag of the
 * encoding stands beside such a one. */
static bool print_atom(printer *p, etf_view term, etf_reader *r) {
    etf_view text = etf_get_atom(r);
    bool ours;

    etf_put_atom_n(&p->w, (const char *)text.data, text.len);
    ours = same(p, term);
    if (!ours && term.data[0] == TAG_LIST_EXT)
        return false;
    if (ours && is_json_atom(text)) {
        (void)fwrite(text.data, 1, text.len, p->out);
        return true;
    }
    (void)fputs(ours ? "{\"" TAG_ATOM "\":" : "{\"" TAG_ATOM "\":[", p->out);
    print_string(p, text);
    if (!ours)
        (void)fprintf(p->out, ",%d]", term.data[0]);
    (void)fputc('}', p->out);
    return true;
}

static bool print_binary(printer *p, etf_view term, etf_reader *r) {
    etf_view v = etf_get_binary(r);

    if (term.data[0] != TAG_BINARY_EXT)
        return false;
    if (cli_is_utf8(v.data, v.len))
        print_string(p, v);
    else
        print_hex(p, TAG_BINARY, v);
    return true;
}

static bool print_bits(printer *p, etf_view term, etf_reader *r) {
    size_t bits;
    etf_view v = etf_get_bits(r, &bits);

    etf_put_bits(&p->w, v.data, bits);
    if (!same(p, term))
        return false;
    (void)fprintf(p->out, "{\"" TAG_BITS "\":[%zu,\"", bits);
    cli_hex_print(v.data, v.len, p->out);
    (void)fputs("\"]}", p->out);
    return true;
}

static void print_node(const printer *p, const char *tag, const char *node,
                       size_t n) {
    (void)fprintf(p->out, "{\"%s\":[", tag);
    print_string(p, (etf_view){(const uint8_t *)node, n});
}

static bool print_pid(printer *p, etf_view term, etf_reader *r) {
    etf_pid pid;

    etf_get_pid(r, &pid);
    if (etf_reader_finish(r) != 0)
        return false;
    etf_put_pid(&p->w, &pid);
    if (!same(p, term))
        return false;
    print_node(p, TAG_PID, pid.node, pid.node_len);
    (void)fprintf(p->out, ",%u,%u,%u]}", pid.id, pid.serial, pid.creation);
    return true;
}

static bool print_port(printer *p, etf_view term, etf_reader *r) {
    etf_port port;

    etf_get_port(r, &port);
    if (etf_reader_finish(r) != 0 || port.id > INT64_MAX)
        return false;
    etf_put_port(&p->w, &port);
    if (!same(p, term))
        return false;
    print_node(p, TAG_PORT, port.node, port.node_len);
    (void)fprintf(p->out, ",%llu,%u]}", (unsigned long long)port.id,
                  port.creation);
    return true;
}

static bool print_ref(printer *p, etf_view term, etf_reader *r) {
    etf_ref ref;

    etf_get_ref(r, &ref);
    if (etf_reader_finish(r) != 0)
        return false;
    etf_put_ref(&p->w, &ref);
    if (!same(p, term))
        return false;
    print_node(p, TAG_REF, ref.node, ref.node_len);
    (void)fprintf(p->out, ",%u", ref.creation);
    for (unsigned i = 0; i < ref.n; i++)
        (void)fprintf(p->out, ",%u", ref.ids[i]);
    (void)fputs("]}", p->out);
    return true;
}

/* Only the usual case; names in latin-1 are left to bytes. */
static bool print_export(printer *p, etf_view term, etf_reader *r) {
    etf_view m, f;
    uint8_t arity;

    etf_get_export(r, &m, &f, &arity);
    if (etf_reader_finish(r) != 0)
        return false;
    etf_put_export_n(&p->w, m, f, arity);
    if (!same(p, term))
        return false;
    (void)fputs("{\"" TAG_FUN "\":[", p->out);
    print_string(p, m);
    (void)fputc(',', p->out);
    print_string(p, f);
    (void)fprintf(p->out, ",%u]}", arity);
    return true;
}

typedef bool (*leaf_fn)(printer *p, etf_view term, etf_reader *r);

static const leaf_fn leaves[] = {
    [ETF_INT] = print_int,   [ETF_FLOAT] = print_float,
    [ETF_ATOM] = print_atom, [ETF_BINARY] = print_binary,
    [ETF_PID] = print_pid,   [ETF_BITSTRING] = print_bits,
    [ETF_PORT] = print_port, [ETF_REF] = print_ref,
    [ETF_FUN] = NULL,        [ETF_EXPORT] = print_export,
    [ETF_RECORD] = NULL,
};

static void print_leaf(printer *p, etf_view term) {
    etf_type type = etf_type_of(term);
    leaf_fn fn = leaves[type];
    etf_reader r;

    etf_reader_init(&r, term);
    etf_writer_reset(&p->w);
    if (fn == NULL || !fn(p, term, &r))
        print_bytes(p, term);
}

/* --- terms with terms in them -------------------------------------------- */

/* The elements begin behind `head` bytes. */
static void open_frame(printer *p, frame f, size_t head, const char *text) {
    (void)fputs(text, p->out);
    p->at += head;
    p->stack[p->depth++] = f;
}

/* STRING_EXT: the bytes are in place. */
static bool print_string_ext(const printer *p, etf_view term) {
    if (term.data[0] != TAG_STRING_EXT || term.len < 4)
        return false;
    for (size_t i = 3; i < term.len; i++)
        (void)fprintf(p->out, "%c%d", i == 3 ? '[' : ',', term.data[i]);
    (void)fputc(']', p->out);
    return true;
}

enum { LIST_HEAD = 5, MAP_HEAD = 5 };

static uint32_t count_in(etf_view term) {
    const uint8_t *n = term.data + 1;

    return (uint32_t)n[0] << 24 | (uint32_t)n[1] << 16 | (uint32_t)n[2] << 8 |
           n[3];
}

/* Elements that Erlang would write as STRING_EXT. */
static bool is_byte_list(etf_view term, uint32_t n) {
    const uint8_t *at = term.data + LIST_HEAD;

    if (n > UINT16_MAX)
        return false;
    while (n > 0 && *at == TAG_SMALL_INTEGER_EXT) {
        at += 2;
        n--;
    }
    return n == 0;
}

/* Looks at a LIST_EXT: CN_OK as a JSON array, CN_ETYPE for an improper list,
 * other codes when our writer would encode it in another way. */
static int list_kind(const printer *p, const etf_node *node, etf_view term,
                     uint32_t n) {
    const etf_node *tail = etf_index_tail(&p->index, node);
    etf_view end;

    /* More elements than the head says: there is a list in the tail. */
    if (n == 0 || etf_index_size(&p->index, node) != n)
        return CN_EBADTERM;
    if (etf_index_type(&p->index, tail) != ETF_NIL)
        return CN_ETYPE;
    end = from(p, end_of(p, etf_index_nth(&p->index, node, n - 1)), tail);
    if (end.data[0] != TAG_NIL_EXT)
        return CN_EBADTERM;
    return is_byte_list(term, n) ? CN_EBADTERM : CN_OK;
}

static bool open_list(printer *p, const etf_node *node, etf_view term) {
    uint32_t n = count_in(term);

    switch (list_kind(p, node, term, n)) {
    case CN_OK:
        open_frame(p, (frame){ITEMS, node, NULL, 0, n, "]"}, LIST_HEAD, "[");
        return true;
    case CN_ETYPE:
        open_frame(p, (frame){ITEMS, node, NULL, 0, n + 1, "]}"}, LIST_HEAD,
                   "{\"" TAG_IMPROPER "\":[");
        return true;
    default:
        return false;
    }
}

static bool open_tuple(printer *p, const etf_node *node, etf_view term) {
    uint32_t n = etf_index_size(&p->index, node);
    bool is_small = n <= UINT8_MAX;

    if (term.data[0] != (is_small ? TAG_SMALL_TUPLE_EXT : TAG_LARGE_TUPLE_EXT))
        return false;
    open_frame(p, (frame){ITEMS, node, NULL, 0, n, "]}"}, is_small ? 2 : 5,
               "{\"" TAG_TUPLE "\":[");
    return true;
}

static bool plain_key(etf_view text) {
    return cli_is_utf8(text.data, text.len) &&
           (text.len == 0 || memchr(text.data, 0, text.len) == NULL);
}

static bool binary_key(etf_view key, bool alone) {
    etf_reader r;
    etf_view text;

    if (key.data[0] != TAG_BINARY_EXT)
        return false;
    etf_reader_init(&r, key);
    text = etf_get_binary(&r);
    return plain_key(text) && !(alone && cli_json_is_tag(text));
}

static bool atom_key(printer *p, etf_view key) {
    etf_reader r;
    etf_view text;

    if (etf_type_of(key) != ETF_ATOM)
        return false;
    etf_reader_init(&r, key);
    text = etf_get_atom(&r);
    etf_writer_reset(&p->w);
    etf_put_atom_n(&p->w, (const char *)text.data, text.len);
    return plain_key(text) && same(p, key);
}

static bool in_order(const printer *p, const etf_node *map, uint32_t n) {
    const uint8_t *before = NULL;

    for (uint32_t i = 0; i < n; i++) {
        const etf_node *key = etf_index_key(&p->index, map, i);
        const uint8_t *at = etf_index_view(&p->index, key).data;

        if (before != NULL && at < before)
            return false;
        before = at;
    }
    return true;
}

static int by_place(const void *x, const void *y) {
    const pair *a = x, *b = y;

    return (a->at > b->at) - (a->at < b->at);
}

/* The pairs in the order of the bytes; NULL: there is no memory. */
static pair *order_of(const printer *p, const etf_node *map, uint32_t n) {
    pair *order = calloc(n, sizeof *order);

    for (uint32_t i = 0; order != NULL && i < n; i++) {
        const etf_node *key = etf_index_key(&p->index, map, i);

        order[i] = (pair){etf_index_view(&p->index, key).data, i};
    }
    if (order != NULL)
        qsort(order, n, sizeof *order, by_place);
    return order;
}

static uint32_t nth_pair(const pair *order, uint32_t i) {
    return order != NULL ? order[i].i : i;
}

static shape map_shape(printer *p, const etf_node *map, const pair *order,
                       uint32_t n) {
    bool binaries = true, atoms = true;
    const uint8_t *at = p->at + MAP_HEAD;

    for (uint32_t i = 0; i < n && (binaries || atoms); i++) {
        uint32_t k = nth_pair(order, i);
        etf_view key = from(p, at, etf_index_key(&p->index, map, k));

        binaries = binaries && binary_key(key, n == 1);
        atoms = atoms && atom_key(p, key);
        at = end_of(p, etf_index_value(&p->index, map, k));
    }
    return binaries ? BINARY_KEYS : atoms ? ATOM_KEYS : PAIRS;
}

static bool open_map(printer *p, const etf_node *node, etf_view term) {
    static const char *const opens[] = {[BINARY_KEYS] = "{",
                                        [ATOM_KEYS] = "{\"" TAG_ATOM "\":{",
                                        [PAIRS] = "{\"" TAG_MAP "\":["};
    static const char *const closes[] = {
        [BINARY_KEYS] = "}", [ATOM_KEYS] = "}}", [PAIRS] = "]}"};
    uint32_t n = etf_index_size(&p->index, node);
    pair *order = NULL;
    shape s;

    if (term.data[0] != TAG_MAP_EXT || n > UINT32_MAX / 2)
        return false;
    if (!in_order(p, node, n)) {
        order = order_of(p, node, n);
        if (order == NULL)
            return false;
    }
    s = map_shape(p, node, order, n);
    open_frame(p, (frame){s, node, order, 0, 2 * n, closes[s]}, MAP_HEAD,
               opens[s]);
    return true;
}

/* Opens what has terms in it; false: it is to be written as its bytes. */
static bool open_container(printer *p, const etf_node *node, etf_view term,
                           etf_type type) {
    if (p->depth == DEPTH)
        return false;
    if (type == ETF_TUPLE)
        return open_tuple(p, node, term);
    if (type == ETF_MAP)
        return open_map(p, node, term);
    return open_list(p, node, term);
}

/* --- the walk ------------------------------------------------------------ */

/* What stands before the next term of the frame. */
static void print_separator(const printer *p, frame *f) {
    bool value = f->shape != ITEMS && f->done % 2 == 1;

    if (value)
        (void)fputc(f->shape == PAIRS ? ',' : ':', p->out);
    else if (f->done > 0)
        (void)fputc(',', p->out);
    if (f->shape == PAIRS && !value)
        (void)fputc('[', p->out);
    f->done++;
}

/* The next term of the frame. */
static const etf_node *next_of(const printer *p, const frame *f) {
    uint32_t i = f->done - 1, k;

    if (f->shape == ITEMS && i < etf_index_size(&p->index, f->node))
        return etf_index_nth(&p->index, f->node, i);
    if (f->shape == ITEMS)
        return etf_index_tail(&p->index, f->node);
    k = nth_pair(f->order, i / 2);
    return i % 2 == 0 ? etf_index_key(&p->index, f->node, k)
                      : etf_index_value(&p->index, f->node, k);
}

/* A key that is a JSON string; it has been looked at by map_shape. */
static bool print_key(printer *p, const frame *f, const etf_node *key) {
    etf_reader r;

    if (f->shape != BINARY_KEYS && f->shape != ATOM_KEYS)
        return false;
    etf_reader_init(&r, etf_index_view(&p->index, key));
    print_string(p, f->shape == BINARY_KEYS ? etf_get_binary(&r)
                                            : etf_get_atom(&r));
    p->at = end_of(p, key);
    return true;
}

/* Closes what is complete. */
static void close_frames(printer *p) {
    while (p->depth > 0) {
        frame *f = &p->stack[p->depth - 1];

        if (f->shape == PAIRS && f->done > 0 && f->done % 2 == 0)
            (void)fputc(']', p->out);
        if (f->done < f->all)
            return;
        p->at = end_of(p, f->node);
        free(f->order);
        (void)fputs(f->close, p->out);
        p->depth--;
    }
}

static bool print_simple(printer *p, etf_view term, etf_type type) {
    if (type == ETF_NIL && term.len == 1)
        (void)fputs("[]", p->out);
    else if (type == ETF_LIST || type == ETF_NIL)
        return print_string_ext(p, term);
    else
        print_leaf(p, term);
    return true;
}

static void print_term(printer *p, const etf_node *node) {
    etf_view term = from(p, p->at, node);
    etf_type type = etf_index_type(&p->index, node);

    if (term.len == etf_index_view(&p->index, node).len) {
        if (type == ETF_TUPLE || type == ETF_MAP ||
            (type == ETF_LIST && term.data[0] == TAG_LIST_EXT)) {
            if (open_container(p, node, term, type))
                return;
        } else if (print_simple(p, term, type)) {
            p->at = end_of(p, node);
            return;
        }
    }
    print_bytes(p, term);
    p->at = end_of(p, node);
}

static void print_all(printer *p) {
    do {
        frame *f = p->depth > 0 ? &p->stack[p->depth - 1] : NULL;
        const etf_node *node = etf_index_root(&p->index);

        if (f != NULL) {
            print_separator(p, f);
            node = next_of(p, f);
        }
        if (f == NULL || f->done % 2 == 0 || !print_key(p, f, node))
            print_term(p, node);
        close_frames(p);
    } while (p->depth > 0);
}

int cli_json_print(etf_view term, FILE *out) {
    printer *p = calloc(1, sizeof *p);
    int rc;

    if (p == NULL)
        return CN_ENOMEM;
    rc = etf_index_make(&p->index, NULL, NULL, term);
    if (rc == 0) {
        p->out = out;
        p->at = term.data;
        etf_writer_init(&p->w, NULL);
        print_all(p);
        etf_writer_free(&p->w);
        etf_index_free(&p->index);
    }
    free(p);
    return rc == 0 && ferror(out) ? CN_EIO : rc;
}
