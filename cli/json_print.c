/* SPDX-License-Identifier: Apache-2.0
 *
 * json_print.c: a term as JSON. Where a term is encoded in another way than
 * our writer would (an atom in latin-1, bytes as a LIST_EXT), or has no JSON
 * of its own (a closure), its bytes are written instead, so that nothing is
 * lost in any case.
 */
#include "cli/json.h"

#include <stdlib.h>
#include <string.h>

#include "cli/json_tags.h"
#include "cli/text.h"

/* Below this terms are written as their bytes: parsers of JSON have their
 * limits, and each level is looked through once more. */
#define DEPTH 200

typedef enum shape {
    ITEMS,       /* [1, 2] and all that ends so */
    BINARY_KEYS, /* {"k": v} */
    ATOM_KEYS,   /* {"a": {"k": v}} */
    PAIRS        /* {"m": [[k, v]]} */
} shape;

/* An opened array or object. */
typedef struct frame {
    shape shape;
    bool list;     /* its tail is still to be read */
    uint32_t done; /* terms, keys and values counted apart */
    uint32_t all;
    const char *close;
} frame;

typedef struct printer {
    FILE *out;
    etf_reader r;
    etf_writer w; /* what our writer would make of a term */
    size_t depth;
    frame stack[DEPTH];
} printer;

/* The next term with all its bytes: what etf_get_term lends begins behind
 * headers of lists without elements, which stand for their tail. */
static etf_view take(etf_reader *r) {
    const uint8_t *at = r->at;

    etf_skip(r);
    return (etf_view){at, (size_t)(r->at - at)};
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

/* Only the usual case; names with a NUL, or in latin-1, are left to bytes. */
static bool print_export(printer *p, etf_view term, etf_reader *r) {
    char mod[CLI_ATOM_MAX], fun[CLI_ATOM_MAX];
    etf_view m, f;
    uint8_t arity;

    etf_get_export(r, &m, &f, &arity);
    if (etf_reader_finish(r) != 0 || m.len >= sizeof mod || f.len >= sizeof fun)
        return false;
    memcpy(mod, m.data, m.len);
    mod[m.len] = '\0';
    memcpy(fun, f.data, f.len);
    fun[f.len] = '\0';
    etf_put_export(&p->w, mod, fun, arity);
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

static void open_frame(printer *p, frame f, const char *text) {
    (void)fputs(text, p->out);
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

/* Looks at a LIST_EXT: CN_OK as a JSON array, CN_ETYPE for an improper list,
 * other codes when our writer would encode it in another way. */
static int list_kind(etf_view term, uint32_t *n) {
    etf_reader r;
    bool bytes = true;
    etf_type tail;

    if (memcmp(term.data + 1, "\0\0\0", 4) == 0)
        return CN_EBADTERM;
    etf_reader_init(&r, term);
    *n = etf_get_list(&r);
    for (uint32_t i = 0; i < *n; i++) {
        bytes = bytes && *r.at == TAG_SMALL_INTEGER_EXT;
        etf_skip(&r);
    }
    tail = etf_peek(&r);
    if (tail == ETF_LIST || (tail == ETF_NIL && *r.at != TAG_NIL_EXT))
        return CN_EBADTERM;
    if (tail != ETF_NIL)
        return CN_ETYPE;
    return bytes && *n <= UINT16_MAX ? CN_EBADTERM : CN_OK;
}

static bool open_list(printer *p, etf_view term) {
    uint32_t n;

    switch (list_kind(term, &n)) {
    case CN_OK:
        (void)etf_get_list(&p->r);
        open_frame(p, (frame){ITEMS, true, 0, n, "]"}, "[");
        return true;
    case CN_ETYPE:
        (void)etf_get_list(&p->r);
        open_frame(p, (frame){ITEMS, false, 0, n + 1, "]}"},
                   "{\"" TAG_IMPROPER "\":[");
        return true;
    default:
        return false;
    }
}

static bool open_tuple(printer *p, etf_view term) {
    etf_reader r;
    uint32_t n;

    etf_reader_init(&r, term);
    n = etf_get_tuple(&r);
    if (term.data[0] !=
        (n <= UINT8_MAX ? TAG_SMALL_TUPLE_EXT : TAG_LARGE_TUPLE_EXT))
        return false;
    (void)etf_get_tuple(&p->r);
    open_frame(p, (frame){ITEMS, false, 0, n, "]}"}, "{\"" TAG_TUPLE "\":[");
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

static shape map_shape(printer *p, etf_view term, uint32_t *n) {
    bool binaries = true, atoms = true;
    etf_reader r;

    etf_reader_init(&r, term);
    *n = etf_get_map(&r);
    for (uint32_t i = 0; i < *n && (binaries || atoms); i++) {
        etf_view key = take(&r);

        binaries = binaries && binary_key(key, *n == 1);
        atoms = atoms && atom_key(p, key);
        etf_skip(&r);
    }
    return binaries ? BINARY_KEYS : atoms ? ATOM_KEYS : PAIRS;
}

static bool open_map(printer *p, etf_view term) {
    static const char *const opens[] = {[BINARY_KEYS] = "{",
                                        [ATOM_KEYS] = "{\"" TAG_ATOM "\":{",
                                        [PAIRS] = "{\"" TAG_MAP "\":["};
    static const char *const closes[] = {
        [BINARY_KEYS] = "}", [ATOM_KEYS] = "}}", [PAIRS] = "]}"};
    uint32_t n;
    shape s = map_shape(p, term, &n);

    if (term.data[0] != TAG_MAP_EXT || n > UINT32_MAX / 2)
        return false;
    (void)etf_get_map(&p->r);
    open_frame(p, (frame){s, false, 0, 2 * n, closes[s]}, opens[s]);
    return true;
}

/* Opens what has terms in it; false: it is to be written as its bytes. */
static bool open_container(printer *p, etf_view term, etf_type type) {
    if (p->depth == DEPTH)
        return false;
    if (type == ETF_TUPLE)
        return open_tuple(p, term);
    if (type == ETF_MAP)
        return open_map(p, term);
    return open_list(p, term);
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

/* A key that is a JSON string; it has been looked at by map_shape. */
static bool print_key(printer *p, const frame *f) {
    if (f->shape == BINARY_KEYS)
        print_string(p, etf_get_binary(&p->r));
    else if (f->shape == ATOM_KEYS)
        print_string(p, etf_get_atom(&p->r));
    else
        return false;
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
        if (f->list)
            etf_get_tail(&p->r);
        (void)fputs(f->close, p->out);
        p->depth--;
    }
}

static void print_term(printer *p) {
    etf_reader ahead = p->r;
    etf_view term = take(&ahead);
    etf_type type;

    if (etf_reader_finish(&ahead) != 0) {
        p->r = ahead;
        return;
    }
    type = etf_type_of(term);
    if (type == ETF_TUPLE || type == ETF_MAP ||
        (type == ETF_LIST && term.data[0] == TAG_LIST_EXT)) {
        if (open_container(p, term, type))
            return;
        print_bytes(p, term);
    } else if (type == ETF_NIL && term.len == 1) {
        (void)fputs("[]", p->out);
    } else if (type == ETF_LIST || type == ETF_NIL) {
        if (!print_string_ext(p, term))
            print_bytes(p, term);
    } else {
        print_leaf(p, term);
    }
    p->r = ahead;
}

static int print_all(printer *p) {
    do {
        frame *f = p->depth > 0 ? &p->stack[p->depth - 1] : NULL;

        if (f != NULL)
            print_separator(p, f);
        if (f == NULL || f->done % 2 == 0 || !print_key(p, f))
            print_term(p);
        close_frames(p);
    } while (p->depth > 0 && etf_reader_finish(&p->r) == 0);
    return etf_reader_finish(&p->r);
}

int cli_json_print(etf_view term, FILE *out) {
    int rc = etf_check(NULL, NULL, term, NULL);
    printer *p;

    if (rc != 0)
        return rc;
    p = calloc(1, sizeof *p);
    if (p == NULL)
        return CN_ENOMEM;
    p->out = out;
    etf_reader_init(&p->r, term);
    etf_writer_init(&p->w, NULL);
    rc = print_all(p);
    etf_writer_free(&p->w);
    free(p);
    return rc == 0 && ferror(out) ? CN_EIO : rc;
}
