/* SPDX-License-Identifier: Apache-2.0
 *
 * text.c: prints terms: one loop over the heads with a stack of the brackets
 * that are open. On one line that is all. With a width there are three walks:
 * the first measures each bracket, the second finds how far tagged tuples can
 * be indented, and the third prints, breaking what does not fit. The rules are
 * those that io:format("~p") shows: what fits into the rest of the line stays
 * on it, elements fill the lines, and nothing follows a broken one on its line.
 */
#include "base/alloc.h"
#include "ext_term/lex.h"
#include "ext_term/print.h"

/* What was measured, in the order in which the walk meets it: tuples, lists
 * that are no text, maps, records, and each pair of a map. */
typedef struct node {
    uint32_t chars; /* on one line; UINT32_MAX for more */
    uint32_t n;     /* of a list: elements, those of joined tails too; of a
                       pair: 1 when others may stand on its line */
} node;

typedef struct nodes {
    node *at;
    size_t n;
    size_t cap;
} nodes;

typedef struct level {
    const uint8_t *names; /* of a record: those to come */
    const uint8_t *bytes; /* a list: elements that are bare bytes */
    uint32_t more;        /* terms to come, pairs of a map; no tail */
    uint32_t left;        /* the same, with the elements of joined tails */
    char closer;          /* '}', ']', 'm' for a map or 'r' for a record */
    bool begun;           /* the next one needs a comma */
    bool other;           /* a map: the value is next; a list: tail is out */
    /* with lines */
    uint32_t closing; /* brackets that close right behind this one */
    int64_t column;   /* where its elements begin, from 1 */
    uint32_t value_closing;
    /* while measuring */
    size_t node;
    size_t pair;
    size_t start;
    size_t pair_start;
    bool pair_simple;
} level;

typedef struct printer {
    etf__output *o;
    const cn_alloc *alloc;
    cn_cursor c;
    size_t max_depth;
    etf__frames levels;
    /* lines */
    nodes nodes;
    bool measuring;
    bool trying;     /* only looking whether the indentation does */
    size_t node;     /* the next one */
    int64_t width;   /* of the lines; 0: one line */
    int64_t column;  /* of what comes next, from 1 */
    int64_t tag_max; /* tags that are longer are indented by this; -1: none */
} printer;

enum { NO_GOOD = 1 }; /* the indentation is too deep */

/* --- what was measured ---------------------------------------------------- */

static uint32_t saturated(size_t n) {
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* A new node while measuring, else only its number. */
static bool next_node(printer *p, size_t *at) {
    nodes *k = &p->nodes;
    size_t cap = k->cap == 0 ? 64 : 2 * k->cap;
    node *more;

    *at = p->node++;
    if (!p->measuring || *at < k->cap)
        return true;
    more = cn__resize(p->alloc, k->at, k->cap, cap, sizeof *more);
    if (more == NULL)
        return false;
    k->at = more;
    k->cap = cap;
    return true;
}

/* --- lists that are text --------------------------------------------------
 */

static bool shown_element(const printer *p, cn_cursor *c, etf__head *h) {
    uint64_t v;

    return etf__head_read(c, h) == 0 && h->type == ETF_INT &&
           etf__head_u64(h, &v) == 0 && etf__shown(p->o, v);
}

/* Is the list at the cursor a text to its end? It may be made of several, one
 * as the tail of the other. */
static bool is_text(const printer *p, etf__head h) {
    cn_cursor c = p->c;
    etf__head element;

    while (h.type == ETF_LIST) {
        if (h.tag == ETF__STRING) {
            for (uint32_t i = 0; i < h.n; i++)
                if (!etf__shown(p->o, h.body[i]))
                    return false;
            return true;
        }
        for (uint32_t i = 0; i < h.n; i++)
            if (!shown_element(p, &c, &element))
                return false;
        if (etf__head_read(&c, &h) != 0)
            return false;
    }
    return h.type == ETF_NIL;
}

/* Prints what is_text said yes to. */
static void put_text(printer *p, etf__head h) {
    etf__head element;
    uint64_t v = 0;

    etf__out_char(p->o, '"', 1);
    while (h.type == ETF_LIST) {
        if (h.tag == ETF__STRING) {
            etf__out_latin1(p->o, h.body, h.n);
            break;
        }
        for (uint32_t i = 0; i < h.n; i++) {
            (void)etf__head_read(&p->c, &element);
            (void)etf__head_u64(&element, &v);
            etf__out_quoted(p->o, (uint32_t)v, '"');
        }
        (void)etf__head_read(&p->c, &h);
    }
    etf__out_char(p->o, '"', 1);
}

/* --- one line -------------------------------------------------------------
 */

static bool numbers_of_bits(const printer *p, const etf__head *h) {
    return h->type == ETF_BITSTRING ||
           (h->type == ETF_BINARY && h->n > 0 && !etf__shown_binary(p->o, h));
}

/* May others stand on the line of this term, when lines are broken? */
static bool is_simple(const printer *p, const etf__head *h) {
    switch (h->type) {
    case ETF_TUPLE:
    case ETF_MAP:
        return h->n == 0;
    case ETF_RECORD:
        return false;
    case ETF_LIST:
        return is_text(p, *h);
    default:
        return !numbers_of_bits(p, h);
    }
}

/* Moves behind the children of h. */
static int skip_children(printer *p, const etf__head *h) {
    etf_reader r;

    if (h->children == 0)
        return 0;
    etf_reader_init(&r, (etf_view){p->c.p, p->c.left});
    for (uint64_t i = 0; i < h->children && r.err == 0; i++)
        etf_skip(&r);
    (void)cn__take(&p->c, etf_reader_pos(&r));
    return r.err;
}

/* The bracket that begins h, or 0 for a leaf. */
static char bracket_of(const printer *p, const etf__head *h) {
    switch (h->type) {
    case ETF_TUPLE:
        return '}';
    case ETF_MAP:
        return 'm';
    case ETF_RECORD:
        return 'r';
    case ETF_LIST:
        return is_text(p, *h) ? 0 : ']';
    default:
        return 0;
    }
}

static void put_opening(printer *p, level *l, const etf__head *h) {
    if (l->closer == 'r') {
        etf__out_char(p->o, '#', 1);
        l->names = etf__out_atom(p->o, h->body, h);
        etf__out_char(p->o, ':', 1);
        l->names = etf__out_atom(p->o, l->names, h);
    }
    etf__out_text(p->o, l->closer == ']' ? "[" : l->closer == 'm' ? "#{" : "{");
}

static int open(printer *p, const etf__head *h, char closer) {
    level *l;

    if (p->levels.n == p->max_depth)
        return CN_ELIMIT;
    l = etf__frames_push(&p->levels);
    if (l == NULL)
        return CN_ENOMEM;
    *l = (level){.closer = closer, .more = h->n, .start = p->o->chars};
    if (h->tag == ETF__STRING)
        l->bytes = h->body;
    if (p->width > 0 && !next_node(p, &l->node))
        return CN_ENOMEM;
    l->left = h->n;
    if (p->width > 0 && !p->measuring)
        l->left = p->nodes.at[l->node].n;
    put_opening(p, l, h);
    return 0;
}

static void close_level(printer *p, level *l) {
    etf__out_char(p->o, l->closer == ']' ? ']' : '}', 1);
    if (p->measuring)
        p->nodes.at[l->node] =
            (node){saturated(p->o->chars - l->start), l->left};
    etf__frames_pop(&p->levels);
}

static int put_leaf(printer *p, const etf__head *h) {
    if (h->type == ETF_LIST) {
        put_text(p, *h);
        return 0;
    }
    etf__out_leaf(p->o, h);
    return skip_children(p, h);
}

/* A list of bare bytes, as a whole. */
static int put_byte_list(printer *p, const etf__head *h) {
    size_t start = p->o->chars, at = 0;

    if (p->width > 0 && !next_node(p, &at))
        return CN_ENOMEM;
    etf__out_char(p->o, '[', 1);
    etf__out_bytes(p->o, h->body, h->n);
    etf__out_char(p->o, ']', 1);
    if (p->measuring)
        p->nodes.at[at] = (node){saturated(p->o->chars - start), h->n};
    return 0;
}

/* One term, or the beginning of one. */
static int put_term(printer *p, const etf__head *h) {
    char closer = bracket_of(p, h);

    if (closer == ']' && h->tag == ETF__STRING)
        return put_byte_list(p, h);
    return closer != 0 ? open(p, h, closer) : put_leaf(p, h);
}

static void put_field_name(printer *p, level *l) {
    l->names = etf__out_atom(
        p->o, l->names, &(etf__head){.end = p->c.p}); /* values follow them */
    etf__out_text(p->o, " = ");
}

static void end_pair(printer *p, level *l) {
    if (p->measuring && l->closer == 'm' && l->begun)
        p->nodes.at[l->pair] =
            (node){saturated(p->o->chars - l->pair_start), l->pair_simple};
}

static int begin_pair(printer *p, level *l) {
    l->other = true;
    l->pair_start = p->o->chars;
    l->pair_simple = true;
    return p->width == 0 || next_node(p, &l->pair) ? 0 : CN_ENOMEM;
}

/* What stands before the next term of l; *more says whether there is one. */
static int put_separator(printer *p, level *l, bool *more) {
    *more = true;
    if (l->closer == 'm' && l->other) {
        etf__out_text(p->o, " => ");
        l->other = false;
        return 0;
    }
    end_pair(p, l);
    *more = l->more > 0;
    if (!*more)
        return 0;
    if (l->begun)
        etf__out_char(p->o, ',', 1);
    l->begun = true;
    l->more--;
    if (l->closer == 'r')
        put_field_name(p, l);
    return l->closer == 'm' ? begin_pair(p, l) : 0;
}

/* The next element of a list that may be bare bytes. */
static int read_element(printer *p, level *l, etf__head *h) {
    if (l->bytes == NULL)
        return etf__head_read(&p->c, h);
    *h = (etf__head){.type = ETF_INT,
                     .tag = ETF__SMALL_INTEGER,
                     .at = l->bytes,
                     .body = l->bytes,
                     .n = 1};
    l->bytes++;
    return 0;
}

static int read_next(printer *p, level *l, etf__head *h) {
    int err = read_element(p, l, h);

    if (err == 0 && p->measuring && l->closer == 'm')
        l->pair_simple = l->pair_simple && is_simple(p, h);
    return err;
}

/* Behind the elements of a list: another list as the tail goes on with this
 * one; *h is what does not, with [] for the end. */
static int read_tail(printer *p, level *l, etf__head *h) {
    int err = 0;

    *h = (etf__head){.type = ETF_NIL};
    if (l->bytes == NULL)
        err = etf__head_read(&p->c, h);
    l->other = err != 0 || h->type != ETF_LIST;
    if (!l->other) {
        l->more = h->n;
        l->bytes = h->tag == ETF__STRING ? h->body : NULL;
        if (p->measuring)
            l->left = saturated((size_t)l->left + h->n);
    }
    return err;
}

/* Behind a term: everything up to the next one, whose head is *h, or to the
 * end of the brackets above the base. */
static int put_between(printer *p, size_t base, etf__head *h, bool *more) {
    level *l;
    int err = 0;

    for (*more = false; p->levels.n > base && err == 0 && !*more;) {
        l = etf__frames_top(&p->levels);
        err = put_separator(p, l, more);
        if (err == 0 && *more)
            return read_next(p, l, h);
        if (err != 0)
            return err;
        if (l->closer != ']' || l->other) {
            close_level(p, l);
            continue;
        }
        err = read_tail(p, l, h);
        *more = err == 0 && l->other && h->type != ETF_NIL;
        if (*more)
            etf__out_char(p->o, '|', 1);
    }
    return err;
}

/* All of the term whose head is h, on one line. */
static int put_flat(printer *p, etf__head h) {
    size_t base = p->levels.n;
    bool more = true;
    int err = 0;

    while (err == 0 && more) {
        err = put_term(p, &h);
        if (err == 0)
            err = put_between(p, base, &h, &more);
    }
    return err;
}

/* --- lines ----------------------------------------------------------------
 */

/* After what was broken nothing goes on the same line. */
enum { FULL = INT32_MAX };

static void new_line(printer *p, int64_t column) {
    etf__out_char(p->o, '\n', 1);
    if (!p->trying)
        etf__out_char(p->o, ' ', (size_t)(column - 1));
    p->column = column;
}

/* The width of a leaf. */
static size_t leaf_chars(printer *p, const etf__head *h) {
    cn_cursor c = p->c;
    size_t chars = p->o->chars;
    bool muted = p->o->muted;

    p->o->muted = true;
    (void)put_leaf(p, h);
    chars = p->o->chars - chars;
    p->o->chars -= chars;
    p->o->muted = muted;
    p->c = c;
    return chars;
}

static int64_t chars_of(printer *p, const etf__head *h, char closer) {
    if (closer != 0)
        return p->nodes.at[p->node].chars;
    return (int64_t)leaf_chars(p, h);
}

static bool fits(const printer *p, int64_t chars, uint32_t closing) {
    return chars < p->width - p->column - closing;
}

/* The same behind a comma. */
static bool fits_behind(const printer *p, int64_t chars, uint32_t closing) {
    return chars + 1 < p->width - p->column - (closing == 0 ? 1 : closing);
}

/* Does the walk that tries give up on elements in this column? */
static bool too_far(const printer *p, int64_t column) {
    return p->trying && column > p->width / 2;
}

/* Numbers of a binary that does not fit, as many on a line as go there. */
static void put_long_binary(printer *p, const etf__head *h, uint32_t closing) {
    int64_t column = p->column + 2, room = p->width - column - closing, left;
    bool bits = h->type == ETF_BITSTRING;
    char text[8];
    int len;

    room = room < 8 ? 8 : room;
    left = room;
    etf__out_text(p->o, "<<");
    for (uint32_t i = 0; i < h->n; i++) {
        bool last = i + 1 == h->n;
        len = last && bits
                  ? snprintf(text, sizeof text, "%d:%d",
                             h->body[i] >> (8 - h->body[-1]), h->body[-1])
                  : snprintf(text, sizeof text, "%d%s", h->body[i],
                             last ? "" : ",");
        if (len > left) {
            new_line(p, column);
            left = room;
        }
        etf__out(p->o, text, (size_t)len);
        left -= len;
    }
    etf__out_text(p->o, ">>");
}

/* Behind the brace of a tuple that begins with an atom. */
static int open_tagged(printer *p, level *l) {
    int64_t column = p->column, indent;
    size_t before = p->o->chars;
    etf__head tag;
    int err = etf__head_read(&p->c, &tag);

    if (err != 0)
        return err;
    etf__out_leaf(p->o, &tag);
    l->left--;
    l->more--;
    indent = (int64_t)(p->o->chars - before) + 2;
    p->column = column + indent;
    if (p->tag_max > 0 && indent > p->tag_max) {
        l->begun = true;
        l->column = column + p->tag_max;
        return too_far(p, l->column) ? NO_GOOD : 0;
    }
    etf__out_char(p->o, ',', 1);
    l->column = p->column;
    return too_far(p, l->column + 1) ? NO_GOOD : 0;
}

/* Where what follows `chars` characters in the column begins: behind them, or
 * on a line of its own. */
static int indented(printer *p, int64_t column, int64_t chars, int64_t *to) {
    bool line = p->tag_max > 0 && chars > p->tag_max;

    *to = column + (line ? p->tag_max : chars);
    if (too_far(p, *to))
        return NO_GOOD;
    if (line)
        new_line(p, *to);
    else
        p->column = *to;
    return 0;
}

static int open_lines(printer *p, const etf__head *h, char closer,
                      uint32_t closing) {
    size_t before = p->o->chars;
    level *l;
    int err = open(p, h, closer);

    if (err != 0)
        return err;
    l = etf__frames_top(&p->levels);
    l->closing = closing;
    l->column = p->column + (closer == 'm' ? 2 : 1);
    if (closer == '}' && h->n > 1 &&
        etf_type_of((etf_view){p->c.p, p->c.left}) == ETF_ATOM)
        return open_tagged(p, l);
    if (closer == 'r' && h->n > 0)
        return indented(p, p->column, (int64_t)(p->o->chars - before),
                        &l->column);
    p->column = l->column;
    return 0;
}

/* A term in this column, broken if it must be. */
static int put_lines(printer *p, const etf__head *h, uint32_t closing) {
    char closer = bracket_of(p, h);
    int64_t chars = chars_of(p, h, closer);
    int err;

    if (fits(p, chars, closing)) {
        p->column = is_simple(p, h) ? p->column + chars : FULL;
        return put_flat(p, *h);
    }
    if (closer != 0)
        return open_lines(p, h, closer, closing);
    if (numbers_of_bits(p, h)) {
        put_long_binary(p, h, closing);
        err = 0;
    } else {
        err = put_leaf(p, h);
    }
    p->column = FULL;
    return err;
}

/* A term of l that others stand before. */
static int put_next(printer *p, level *l, const etf__head *h, char separator,
                    uint32_t closing) {
    int64_t chars = chars_of(p, h, bracket_of(p, h));

    etf__out_char(p->o, separator, 1);
    if (is_simple(p, h) && fits_behind(p, chars, closing)) {
        p->column += chars + 1;
        return put_flat(p, *h);
    }
    new_line(p, l->column);
    return put_lines(p, h, closing);
}

static int put_flat_next(printer *p) {
    etf__head h;
    int err = etf__head_read(&p->c, &h);

    return err != 0 ? err : put_flat(p, h);
}

static int put_lines_next(printer *p, uint32_t closing) {
    etf__head h;
    int err = etf__head_read(&p->c, &h);

    return err != 0 ? err : put_lines(p, &h, closing);
}

/* The separator before a pair or field of so many characters; true when it
 * goes on the line. */
static bool same_line(printer *p, level *l, int64_t chars, bool simple,
                      uint32_t closing) {
    bool behind = l->begun;

    l->begun = true;
    if (behind)
        etf__out_char(p->o, ',', 1);
    if (behind && simple && fits_behind(p, chars, closing)) {
        p->column += chars + 1;
        return true;
    }
    if (behind)
        new_line(p, l->column);
    if (!fits(p, chars, closing))
        return false;
    p->column = simple ? p->column + chars : FULL;
    return true;
}

static int put_pair(printer *p, level *l, uint32_t closing) {
    const node *pair = &p->nodes.at[p->node++];
    int err;

    if (!same_line(p, l, pair->chars, pair->n != 0, closing)) {
        l->other = true;
        l->value_closing = closing;
        return put_lines_next(p, closing);
    }
    err = put_flat_next(p);
    etf__out_text(p->o, " => ");
    return err != 0 ? err : put_flat_next(p);
}

/* A term that is the last on its line. */
static int put_last(printer *p, const etf__head *h, uint32_t closing) {
    size_t depth = p->levels.n;
    int err = put_lines(p, h, closing);

    if (p->levels.n == depth)
        p->column = FULL;
    return err;
}

static int put_value(printer *p, level *l) {
    etf__head h;
    int err = etf__head_read(&p->c, &h);

    l->other = false;
    etf__out_text(p->o, " =>");
    new_line(p, l->column + (p->tag_max > 0 ? p->tag_max : 4));
    return err != 0 ? err : put_last(p, &h, l->value_closing);
}

/* The characters of the next name with its equals sign. */
static int64_t name_chars(printer *p, const level *l) {
    size_t before = p->o->chars, after;
    bool muted = p->o->muted;

    p->o->muted = true;
    (void)etf__out_atom(p->o, l->names, &(etf__head){.end = p->c.p});
    after = p->o->chars;
    p->o->chars = before;
    p->o->muted = muted;
    return (int64_t)(after - before) + 3;
}

static int put_field(printer *p, level *l, uint32_t closing) {
    const etf__head names = {.end = p->c.p};
    int64_t name = name_chars(p, l), chars;
    etf__head h;
    int err = etf__head_read(&p->c, &h);

    if (err != 0)
        return err;
    chars = chars_of(p, &h, bracket_of(p, &h));
    if (same_line(p, l, name + chars, is_simple(p, &h), closing)) {
        l->names = etf__out_atom(p->o, l->names, &names);
        etf__out_text(p->o, " = ");
        return put_flat(p, h);
    }
    l->names = etf__out_atom(p->o, l->names, &names);
    etf__out_text(p->o, p->tag_max > 0 && name > p->tag_max ? " =" : " = ");
    err = indented(p, l->column, name, &chars);
    return err != 0 ? err : put_last(p, &h, closing);
}

static int put_element(printer *p, level *l, uint32_t closing) {
    etf__head h;
    int err = read_element(p, l, &h);

    if (err != 0)
        return err;
    if (l->begun)
        return put_next(p, l, &h, ',', closing);
    l->begun = true;
    return put_lines(p, &h, closing);
}

/* The next part of the bracket on top, or its end. */
static int put_part(printer *p) {
    level *l = etf__frames_top(&p->levels);
    uint32_t closing = l->left == 1 ? l->closing + 1 : 0;
    etf__head h = {.type = ETF_NIL};
    int err = 0;

    if (l->closer == 'm' && l->other)
        return put_value(p, l);
    while (l->closer == ']' && l->more == 0 && !l->other && err == 0)
        err = read_tail(p, l, &h);
    if (err != 0)
        return err;
    if (l->left == 0) {
        if (l->closer == ']' && l->other && h.type != ETF_NIL)
            return put_next(p, l, &h, '|', l->closing + 1);
        close_level(p, l);
        p->column = FULL;
        return 0;
    }
    l->left--;
    l->more--;
    if (l->closer == 'm')
        return put_pair(p, l, closing);
    if (l->closer == 'r')
        return put_field(p, l, closing);
    return put_element(p, l, closing);
}

/* Goes over the term from its beginning. */
static int walk_lines(printer *p, cn_cursor from, int64_t column) {
    etf__head h;
    int err;

    p->c = from;
    p->node = 0;
    p->column = column;
    p->levels.n = 0;
    err = etf__head_read(&p->c, &h);
    if (err == 0)
        err = put_lines(p, &h, 0);
    while (err == 0 && p->levels.n > 0)
        err = put_part(p);
    return err;
}

static int measure(printer *p) {
    etf__head h;
    int err = etf__head_read(&p->c, &h);

    p->measuring = true;
    p->o->muted = true;
    if (err == 0)
        err = put_flat(p, h);
    p->measuring = false;
    p->o->muted = false;
    return err;
}

/* How far what follows the tag of a tuple is indented: behind the tag, or when
 * that goes too far to the right, by 4 or by 1. */
static int find_indentation(printer *p, cn_cursor from, int64_t column) {
    int err = NO_GOOD;

    p->trying = true;
    p->o->muted = true;
    for (int i = 0; i < 2 && err == NO_GOOD; i++) {
        p->tag_max = i == 0 ? -1 : 4;
        err = walk_lines(p, from, column);
    }
    if (err == NO_GOOD) {
        p->tag_max = 1;
        err = 0;
    }
    p->trying = false;
    p->o->muted = false;
    return err;
}

static int print_lines(printer *p, int64_t column) {
    cn_cursor from = p->c;
    int err = measure(p);

    if (err == 0)
        err = find_indentation(p, from, column);
    return err != 0 ? err : walk_lines(p, from, column);
}

static int print_line(printer *p) {
    etf__head h;
    int err = etf__head_read(&p->c, &h);

    return err != 0 ? err : put_flat(p, h);
}

/* What stands where the text had to end. */
static const char *marker(int err) {
    if (err == CN_ELIMIT)
        return "#too_deep";
    return err == CN_ENOMEM ? "#no_memory" : "#malformed";
}

static int print(const etf_text_options *options, etf__output *o,
                 etf_view term) {
    static const etf_text_options standard = {0};
    const etf_text_options *t = options != NULL ? options : &standard;
    printer p = {.o = o, .alloc = t->alloc};
    int err;

    o->style = t->style;
    o->range = t->range;
    o->latin1 = t->latin1;
    p.c = cn__cursor(term.data, term.data == NULL ? 0 : term.len);
    p.max_depth = t->depth > 0 ? t->depth : ETF_TEXT_DEPTH;
    p.width = t->style == ETF_STYLE_W ? 0 : t->width;
    etf__frames_init(&p.levels, t->alloc, sizeof(level));
    if (p.width > 0)
        err = print_lines(&p, t->column > 0 ? t->column : 1);
    else
        err = print_line(&p);
    if (err != 0)
        etf__out_text(o, marker(err));
    etf__frames_free(&p.levels);
    cn__free(t->alloc, p.nodes.at, p.nodes.cap, sizeof(node));
    return err;
}

int etf_format(const etf_text_options *options, etf_view term, char *out,
               size_t cap, size_t *len) {
    etf__output o = {.buf = out, .cap = cap};
    int err = print(options, &o, term);

    if (cap > 0)
        out[o.len < cap ? o.len : cap - 1] = '\0';
    if (len != NULL)
        *len = o.len;
    return err;
}

int etf_format_file(const etf_text_options *options, etf_view term, FILE *out) {
    etf__output o = {.file = out};
    int err = print(options, &o, term);

    return o.failed ? CN_EIO : err;
}

size_t etf_print(etf_view term, char *out, size_t cap) {
    size_t len;

    (void)etf_format(NULL, term, out, cap, &len);
    return len;
}

int etf_print_file(etf_view term, FILE *out) {
    return etf_format_file(NULL, term, out);
}
