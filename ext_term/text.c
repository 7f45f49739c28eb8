/* SPDX-License-Identifier: Apache-2.0
 *
 * text.c: prints terms. One loop over the heads with a stack of the brackets
 * that are open.
 */
#include <inttypes.h>
#include <stdarg.h>

#include "ext_term/bignum.h"
#include "ext_term/frames.h"
#include "ext_term/lex.h"

/* --- output ------------------------------------------------------------------
 */

typedef struct output {
    FILE *file; /* or NULL for the array */
    char *buf;
    size_t cap;
    size_t len; /* goes on counting behind cap */
    bool failed;
} output;

static void put(output *o, const void *text, size_t n) {
    if (o->file != NULL)
        o->failed |= fwrite(text, 1, n, o->file) != n;
    else if (o->len < o->cap)
        memcpy(o->buf + o->len, text,
               n < o->cap - o->len ? n : o->cap - o->len);
    o->len += n;
}

static void put_text(output *o, const char *text) {
    put(o, text, strlen(text));
}

static void put_char(output *o, uint32_t c) {
    uint8_t out[4];

    put(o, out, etf__utf8_put(out, c));
}

__attribute__((format(printf, 2, 3))) static void
put_format(output *o, const char *format, ...) {
    char line[64];
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    if (n > 0)
        put(o, line, (size_t)n);
}

/* --- characters
 * ---------------------------------------------------------------- */

/* The letter of \n and the like, or 0. */
static char escape_of(uint32_t c) {
    static const char letter[] = "btnvfr";

    if (c >= '\b' && c <= '\r')
        return letter[c - '\b'];
    if (c == 27)
        return 'e';
    return c == 127 ? 'd' : 0;
}

static void put_quoted_char(output *o, uint32_t c, char quote) {
    char letter = escape_of(c);

    if (c == (uint8_t)quote || c == '\\')
        put_format(o, "\\%c", (char)c);
    else if (letter != 0)
        put_format(o, "\\%c", letter);
    else if (c < 32 || (c > 127 && c < 160))
        put_format(o, "\\%03o", (unsigned)c);
    else
        put_char(o, c);
}

static void put_quoted(output *o, etf_view text, char quote) {
    uint32_t c;

    put(o, &quote, 1);
    for (size_t i = 0; i < text.len;) {
        i += etf__utf8_get(text.data + i, text.len - i, &c);
        put_quoted_char(o, c, quote);
    }
    put(o, &quote, 1);
}

/* As io_lib:printable_latin1_list and printable_unicode_list see it. */
static bool printable_latin1(uint64_t c) {
    return (c >= 32 && c < 127) || (c >= 160 && c < 256) ||
           (c >= '\b' && c <= '\r') || c == 27;
}

static bool printable(uint32_t c) {
    return printable_latin1(c) || (c >= 256 && c != 0xfffe && c != 0xffff);
}

/* --- atoms
 * ------------------------------------------------------------------------ */

static bool reserved(etf_view text) {
    static const char *const words[] = {
        "after",   "and",   "andalso", "band", "begin", "bnot",
        "bor",     "bsl",   "bsr",     "bxor", "case",  "catch",
        "cond",    "div",   "else",    "end",  "fun",   "if",
        "let",     "maybe", "not",     "of",   "or",    "orelse",
        "receive", "rem",   "try",     "when", "xor"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (etf_view_is(text, words[i]))
            return true;
    return false;
}

static bool needs_quotes(etf_view text) {
    uint32_t c;

    for (size_t i = 0; i < text.len;) {
        bool first = i == 0;
        i += etf__utf8_get(text.data + i, text.len - i, &c);
        if (first ? !etf__is_lower(c) : !etf__is_name(c))
            return true;
    }
    return text.len == 0 || reserved(text);
}

static void put_atom(output *o, const etf__head *h) {
    uint8_t room[ETF__LATIN1_ROOM];
    etf_view text = etf__head_text(h, room);

    if (needs_quotes(text))
        put_quoted(o, text, '\'');
    else
        put(o, text.data, text.len);
}

/* The atom at p, inside of h; returns what is behind it. */
static const uint8_t *put_inner_atom(output *o, const uint8_t *p,
                                     const etf__head *h) {
    etf__head atom;

    etf__head_atom(p, h->end, &atom);
    put_atom(o, &atom);
    return atom.end;
}

/* --- numbers
 * ------------------------------------------------------------------------ */

static void put_hex(output *o, const etf__head *h) {
    put_text(o, h->negative ? "-16#" : "16#");
    put_format(o, "%x", h->body[h->n - 1]);
    for (uint32_t i = h->n - 1; i > 0; i--)
        put_format(o, "%02x", h->body[i - 1]);
}

static void put_int(output *o, const etf__head *h) {
    char digits[ETF__DECIMAL_DIGITS];
    int64_t v;

    if (etf__head_i64(h, &v) == 0) {
        put_format(o, "%" PRId64, v);
    } else if (h->n > ETF__DECIMAL_BYTES) {
        put_hex(o, h);
    } else {
        put_text(o, h->negative ? "-" : "");
        put(o, digits, etf__decimal((etf_view){h->body, h->n}, digits));
    }
}

static void put_float(output *o, const etf__head *h) {
    char text[ETF__FLOAT_ROOM];

    put(o, text, etf__float_text(etf__head_float(h), text));
}

/* --- binaries
 * ------------------------------------------------------------------------- */

/* 0: bytes; 1: ASCII; 2: UTF-8. */
static int text_kind(const etf__head *h) {
    uint32_t c = 0;
    int kind = 1;

    for (size_t i = 0, k; i < h->n; i += k) {
        k = etf__utf8_get(h->body + i, h->n - i, &c);
        if (k == 0 || !printable(c))
            return 0;
        if (k > 1)
            kind = 2;
    }
    return kind;
}

static void put_bytes(output *o, const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        put_format(o, i == 0 ? "%u" : ",%u", p[i]);
}

static void put_binary(output *o, const etf__head *h) {
    int kind = text_kind(h);

    put_text(o, "<<");
    if (kind == 0)
        put_bytes(o, h->body, h->n);
    else if (h->n > 0)
        put_quoted(o, (etf_view){h->body, h->n}, '"');
    put_text(o, kind == 2 ? "/utf8>>" : ">>");
}

static void put_bits(output *o, const etf__head *h) {
    unsigned used = h->body[-1];

    put_text(o, "<<");
    put_bytes(o, h->body, h->n - 1);
    put_format(o, "%s%u:%u>>", h->n > 1 ? "," : "",
               (unsigned)h->body[h->n - 1] >> (8 - used), used);
}

/* --- identifiers and funs
 * ------------------------------------------------------------------ */

static void put_pid(output *o, const etf__head *h) {
    cn_cursor c = cn__cursor(h->rest, (size_t)(h->end - h->rest));
    uint32_t id = cn__take32(&c), serial = cn__take32(&c);

    put_text(o, "#Pid<");
    (void)put_inner_atom(o, h->body, h);
    put_format(o, ".%" PRIu32 ".%" PRIu32, id, serial);
    put_format(o, ".%" PRIu32 ">",
               h->tag == ETF__PID ? cn__take8(&c) : cn__take32(&c));
}

static void put_port(output *o, const etf__head *h) {
    cn_cursor c = cn__cursor(h->rest, (size_t)(h->end - h->rest));
    uint64_t id = h->tag == ETF__V4_PORT ? cn__take64(&c) : cn__take32(&c);

    put_text(o, "#Port<");
    (void)put_inner_atom(o, h->body, h);
    put_format(o, ".%" PRIu64 ".%" PRIu32 ">", id,
               h->tag == ETF__PORT ? cn__take8(&c) : cn__take32(&c));
}

/* The order of the fields differs between the tags; the words come last. */
static void put_ref(output *o, const etf__head *h) {
    const uint8_t *words = h->end - 4 * (size_t)h->n;
    uint32_t creation = 0;

    if (h->tag == ETF__NEWER_REFERENCE) {
        creation = cn__be32(h->rest);
    } else if (h->tag == ETF__NEW_REFERENCE) {
        creation = h->rest[0];
    } else {
        words = h->rest;
        creation = h->end[-1];
    }
    put_text(o, "#Ref<");
    (void)put_inner_atom(o, h->body, h);
    put_format(o, ".%" PRIu32, creation);
    for (uint32_t i = 0; i < h->n; i++)
        put_format(o, ".%" PRIu32, cn__be32(words + 4 * (size_t)i));
    put_text(o, ">");
}

static void put_export(output *o, const etf__head *h) {
    put_text(o, "fun ");
    (void)put_inner_atom(o, h->body, h);
    put_text(o, ":");
    (void)put_inner_atom(o, h->rest, h);
    put_format(o, "/%" PRIu32, h->n);
}

/* #Fun<module.index.uniq>; what it holds is not printed. */
static void put_closure(output *o, const etf__head *h) {
    cn_cursor c = cn__cursor(h->rest, (size_t)(h->end - h->rest));
    etf__head number;

    put_text(o, "#Fun<");
    (void)put_inner_atom(o, h->body, h);
    for (int i = 0; i < 2 && etf__head_read(&c, &number) == 0; i++) {
        put_text(o, ".");
        put_int(o, &number);
    }
    put_text(o, ">");
}

/* --- the walk
 * ----------------------------------------------------------------------------------
 */

typedef struct level {
    const uint8_t *names; /* of a record: those to come */
    uint32_t more;        /* terms to come, pairs of a map; no tail */
    char closer;          /* '}', ']', 'm' for a map or 'r' for a record */
    bool begun;           /* the next one needs a comma */
    bool other;           /* a map: the value is next; a list: tail is out */
} level;
typedef struct printer {
    output *o;
    cn_cursor c;
    size_t max_depth;
    etf__frames levels;
} printer;

static bool latin1_element(cn_cursor *c, etf__head *h) {
    uint64_t v;

    return etf__head_read(c, h) == 0 && h->type == ETF_INT &&
           etf__head_u64(h, &v) == 0 && printable_latin1(v);
}

/* Is the list at the cursor a text to its end? It may be made of several, one
 * as the tail of the other. */
static bool is_text(cn_cursor c, etf__head h) {
    etf__head element;

    while (h.type == ETF_LIST) {
        if (h.tag == ETF__STRING) {
            for (uint32_t i = 0; i < h.n; i++)
                if (!printable_latin1(h.body[i]))
                    return false;
            return true;
        }
        for (uint32_t i = 0; i < h.n; i++)
            if (!latin1_element(&c, &element))
                return false;
        if (etf__head_read(&c, &h) != 0)
            return false;
    }
    return h.type == ETF_NIL;
}

/* Prints what is_text said yes to. */
static void put_list_text(printer *p, etf__head h) {
    etf__head element;
    uint64_t v;

    put_text(p->o, "\"");
    while (h.type == ETF_LIST) {
        if (h.tag == ETF__STRING) {
            for (uint32_t i = 0; i < h.n; i++)
                put_quoted_char(p->o, h.body[i], '"');
            break;
        }
        for (uint32_t i = 0; i < h.n; i++) {
            (void)etf__head_read(&p->c, &element);
            (void)etf__head_u64(&element, &v);
            put_quoted_char(p->o, (uint32_t)v, '"');
        }
        (void)etf__head_read(&p->c, &h);
    }
    put_text(p->o, "\"");
}

/* Moves behind the children of h. */
static int skip_children(printer *p, const etf__head *h) {
    etf_reader r;

    etf_reader_init(&r, (etf_view){p->c.p, p->c.left});
    for (uint64_t i = 0; i < h->children && r.err == 0; i++)
        etf_skip(&r);
    (void)cn__take(&p->c, etf_reader_pos(&r));
    return r.err;
}

static int open(printer *p, const etf__head *h, char closer) {
    level *l;

    if (p->levels.n == p->max_depth)
        return CN_ELIMIT;
    l = etf__frames_push(&p->levels);
    if (l == NULL)
        return CN_ENOMEM;
    *l = (level){.closer = closer, .more = h->n};
    if (closer == 'r') {
        put_text(p->o, "#");
        l->names = put_inner_atom(p->o, h->body, h);
        put_text(p->o, ":");
        l->names = put_inner_atom(p->o, l->names, h);
    }
    put_text(p->o, closer == ']' ? "[" : closer == 'm' ? "#{" : "{");
    return 0;
}

static int put_list(printer *p, const etf__head *h) {
    if (is_text(p->c, *h)) {
        put_list_text(p, *h);
        return 0;
    }
    if (h->tag != ETF__STRING)
        return open(p, h, ']');
    put_text(p->o, "[");
    put_bytes(p->o, h->body, h->n);
    put_text(p->o, "]");
    return 0;
}

/* A term without elements. */
static void put_leaf(output *o, const etf__head *h) {
    static void (*const print[])(output *, const etf__head *) = {
        [ETF_INT] = put_int,        [ETF_FLOAT] = put_float,
        [ETF_ATOM] = put_atom,      [ETF_BINARY] = put_binary,
        [ETF_BITSTRING] = put_bits, [ETF_PID] = put_pid,
        [ETF_PORT] = put_port,      [ETF_REF] = put_ref,
        [ETF_FUN] = put_closure,    [ETF_EXPORT] = put_export,
    };

    if (h->type == ETF_NIL)
        put_text(o, "[]");
    else
        print[h->type](o, h);
}

/* One term, or the beginning of one. */
static int put_term(printer *p) {
    etf__head h;
    int err = etf__head_read(&p->c, &h);

    if (err != 0)
        return err;
    switch (h.type) {
    case ETF_TUPLE:
        return open(p, &h, '}');
    case ETF_LIST:
        return put_list(p, &h);
    case ETF_MAP:
        return open(p, &h, 'm');
    case ETF_RECORD:
        return open(p, &h, 'r');
    default:
        put_leaf(p->o, &h);
        return skip_children(p, &h);
    }
}

static void put_field_name(printer *p, level *l) {
    etf__head name;

    etf__head_atom(l->names, p->c.p, &name); /* the values are behind it */
    put_atom(p->o, &name);
    put_text(p->o, " = ");
    l->names = name.end;
}

/* What stands before the next term of l; false when none is left. */
static bool put_separator(printer *p, level *l) {
    if (l->closer == 'm' && l->other) {
        put_text(p->o, " => ");
        l->other = false;
        return true;
    }
    if (l->more == 0)
        return false;
    if (l->begun)
        put_text(p->o, ",");
    l->begun = true;
    l->more--;
    l->other = l->closer == 'm';
    if (l->closer == 'r')
        put_field_name(p, l);
    return true;
}

/* The tail of a list: another list goes on with this one, and what is no list
 * comes behind a bar, when *more says that a term follows. */
static int put_tail(printer *p, level *l, bool *more) {
    cn_cursor before = p->c;
    etf__head h;
    int err = etf__head_read(&p->c, &h);

    if (err != 0)
        return err;
    l->other = h.type != ETF_LIST || h.tag == ETF__STRING;
    if (!l->other) {
        l->more = h.n;
    } else if (h.type == ETF_LIST) {
        put_text(p->o, ",");
        put_bytes(p->o, h.body, h.n);
    } else if (h.type != ETF_NIL) {
        p->c = before;
        put_text(p->o, "|");
        *more = true;
    }
    return 0;
}

/* Behind a term: everything up to the next one, or to the end. */
static int put_between(printer *p, bool *more) {
    level *l;
    int err = 0;

    for (*more = false; p->levels.n > 0 && err == 0 && !*more;) {
        l = etf__frames_top(&p->levels);
        if (put_separator(p, l)) {
            *more = true;
        } else if (l->closer == ']' && !l->other) {
            err = put_tail(p, l, more);
        } else {
            put_text(p->o, l->closer == ']' ? "]" : "}");
            etf__frames_pop(&p->levels);
        }
    }
    return err;
}

/* What stands where the text had to end. */
static const char *marker(int err) {
    if (err == CN_ELIMIT)
        return "#too_deep";
    return err == CN_ENOMEM ? "#no_memory" : "#malformed";
}

static int print(output *o, etf_view term) {
    printer p;
    bool more = true;
    int err = 0;

    p.o = o;
    p.c = cn__cursor(term.data, term.data == NULL ? 0 : term.len);
    p.max_depth = ETF_TEXT_DEPTH;
    etf__frames_init(&p.levels, NULL, sizeof(level));
    while (err == 0 && more) {
        err = put_term(&p);
        if (err == 0)
            err = put_between(&p, &more);
    }
    if (err != 0)
        put_text(o, marker(err));
    etf__frames_free(&p.levels);
    return err;
}

size_t etf_print(etf_view term, char *out, size_t cap) {
    output o = {.buf = out, .cap = cap};

    (void)print(&o, term);
    if (cap > 0)
        out[o.len < cap ? o.len : cap - 1] = '\0';
    return o.len;
}

int etf_print_file(etf_view term, FILE *out) {
    output o = {.file = out};
    int err = print(&o, term);

    return o.failed ? CN_EIO : err;
}
