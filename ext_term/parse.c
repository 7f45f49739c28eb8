/* SPDX-License-Identifier: Apache-2.0
 *
 * parse.c: Erlang's text into bytes. Goes over the text once, with a stack of
 * the brackets that are open; the counts are put into the headers when the
 * brackets close.
 *
 * A list begins as what its first element allows: bytes make a STRING_EXT,
 * which the first element that is no byte turns into a LIST_EXT. So the result
 * is what the BEAM writes for the same term, and is never longer on the way
 * than at the end, which a writer on a fixed array counts on.
 */
#include "ext_term/parse.h"
#include "ext_term/bignum.h"

enum { MOVED_MAX = 1 << 28, MOVED_TIMES = 64, EXPORTED = 1 };

/* --- building ------------------------------------------------------------- */

static etf__level *top(etf__parser *p) {
    return p->levels.n == 0 ? NULL : etf__frames_top(&p->levels);
}

/* STRING_EXT to LIST_EXT, from the right, in place. */
static void widen(etf_writer *w, etf__level *l) {
    uint8_t *d;

    l->bytes = false;
    if (etf__put_more(w, (size_t)l->n + 2) == NULL)
        return;
    d = w->data + l->at;
    for (size_t i = l->n; i > 0; i--) {
        d[5 + 2 * (i - 1) + 1] = d[3 + (i - 1)];
        d[5 + 2 * (i - 1)] = ETF__SMALL_INTEGER;
    }
    d[0] = ETF__LIST;
}

static void next_of_list(etf_writer *w, etf__level *l, bool byte) {
    if (l->n == 0) {
        l->bytes = byte;
        (void)etf__put_more(w, byte ? 3 : 5);
    } else if (l->bytes && (!byte || l->n == ETF__STRING_MAX)) {
        widen(w, l);
    }
}

/* What comes late moves what is there; in a text made for it each bracket would
 * move all that is inside of it. */
static uint8_t *gap(etf__parser *p, size_t at, size_t n) {
    p->moved += p->w->len - at;
    if (p->moved > MOVED_MAX && p->moved / MOVED_TIMES > p->w->len) {
        p->why = "brackets that would move too much";
        etf_writer_fail(p->w, CN_ELIMIT);
        return NULL;
    }
    return etf__put_gap(p->w, at, n);
}

static void next_of_tuple(etf__parser *p, const etf__level *l) {
    if (l->n == UINT8_MAX)
        (void)gap(p, l->at + 2, 3);
    if (l->n == ETF__ARITY_MAX)
        etf_writer_fail(p->w, CN_ELIMIT);
}

/* Makes way for one more term; true when it is to be a bare byte. */
static bool way(etf__parser *p, bool byte) {
    etf__level *l = top(p);

    if (l == NULL)
        return false;
    if (l->tail) {
        if (l->bytes)
            widen(p->w, l);
        return false;
    }
    if (l->closer == ']')
        next_of_list(p->w, l, byte);
    else if (l->closer == '}')
        next_of_tuple(p, l);
    if (l->n == UINT32_MAX)
        etf_writer_fail(p->w, CN_ELIMIT);
    else
        l->n++;
    return l->bytes;
}

void etf__parse_way(etf__parser *p) {
    (void)way(p, false);
}

bool etf__parse_in_key(const etf__parser *p) {
    const etf__level *l = (const etf__level *)(const void *)p->levels.at;

    for (size_t i = 0; i < p->levels.n; i++)
        if (l[i].closer == 'm' && !l[i].value)
            return true;
    return false;
}

void etf__parse_int(etf__parser *p, bool negative, uint64_t magnitude) {
    bool byte = !negative && magnitude <= UINT8_MAX;
    uint8_t le[8], *out;

    if (way(p, byte)) {
        out = etf__put_more(p->w, 1);
        if (out != NULL)
            *out = (uint8_t)magnitude;
        return;
    }
    for (unsigned i = 0; i < 8; i++)
        le[i] = (uint8_t)(magnitude >> (8 * i));
    etf_put_big(p->w, le, sizeof le, negative);
}

static int push(etf__parser *p, char closer) {
    etf__level *l;

    if (p->levels.n == p->max_depth) {
        p->why = "brackets nested too deeply";
        return CN_ELIMIT;
    }
    (void)way(p, false);
    l = etf__frames_push(&p->levels);
    if (l == NULL)
        return CN_ENOMEM;
    *l = (etf__level){.closer = closer, .at = p->w->len};
    if (closer == '}')
        (void)etf__put_more(p->w, 2);
    else if (closer == 'm')
        (void)etf__put_more(p->w, 5);
    else if (closer == 'r')
        (void)etf__put_more(p->w, 6);
    return 0;
}

static void pop_list(etf_writer *w, const etf__level *l) {
    uint8_t *d;

    if (l->n == 0 || (!l->bytes && !l->tail))
        etf_put_nil(w);
    if (l->n == 0 || !etf__put_stored(w))
        return;
    d = w->data + l->at;
    if (l->bytes)
        (void)cn__put16(cn__put8(d, ETF__STRING), (uint16_t)l->n);
    else
        (void)cn__put32(cn__put8(d, ETF__LIST), l->n);
}

static void pop(etf__parser *p) {
    etf__level *l = top(p);
    uint8_t *d;

    etf__frames_pop(&p->levels); /* what was there stays until a push */
    if (l->closer == ']') {
        pop_list(p->w, l);
        return;
    }
    if (!etf__put_stored(p->w))
        return;
    d = p->w->data + l->at;
    if (l->closer == 'm')
        (void)cn__put32(cn__put8(d, ETF__MAP), l->n / 2);
    else if (l->closer == 'r')
        (void)cn__put8(cn__put32(cn__put8(d, ETF__RECORD), l->n), EXPORTED);
    else if (l->n > UINT8_MAX)
        (void)cn__put32(cn__put8(d, ETF__LARGE_TUPLE), l->n);
    else
        (void)cn__put8(cn__put8(d, ETF__SMALL_TUPLE), (uint8_t)l->n);
}

/* A list in the place of a tail is more elements of the same list. */
static bool joins(etf__parser *p) {
    etf__level *l = top(p);

    if (l == NULL || !l->tail)
        return false;
    l->tail = false;
    l->closed = true;
    return true;
}

void etf__parse_string(etf__parser *p, const char *bytes, size_t n) {
    if (joins(p)) {
        for (size_t i = 0; i < n; i++)
            etf__parse_int(p, false, (uint8_t)bytes[i]);
    } else {
        (void)way(p, false);
        etf_put_string(p->w, bytes, n);
    }
}

static void join_list(etf__parser *p, const etf__head *h, etf_view term) {
    etf__level *l = top(p);
    size_t rest = term.len - (size_t)(h->end - term.data);
    uint8_t *out;

    if (l->bytes)
        widen(p->w, l);
    if (h->n > UINT32_MAX - l->n)
        etf_writer_fail(p->w, CN_ELIMIT);
    l->n += h->n;
    l->tail = true; /* the list that joins brings its own */
    out = etf__put_more(p->w, rest);
    if (out != NULL)
        (void)cn__put_bytes(out, h->end, rest);
}

static void put_tail(etf__parser *p, etf_view term) {
    cn_cursor c = cn__cursor(term.data, term.len);
    etf__head h;

    if (etf__head_read(&c, &h) != 0) {
        etf_writer_fail(p->w, CN_EBADARG);
    } else if (h.type != ETF_LIST && h.type != ETF_NIL) {
        (void)way(p, false);
        etf_put_term(p->w, term);
    } else if (joins(p) && h.tag == ETF__STRING) {
        for (uint32_t i = 0; i < h.n; i++)
            etf__parse_int(p, false, h.body[i]);
    } else if (h.type == ETF_LIST) {
        join_list(p, &h, term);
    }
}

void etf__parse_term(etf__parser *p, etf_view term) {
    if (term.data == NULL || term.len == 0) {
        etf_writer_fail(p->w, CN_EBADARG);
    } else if (top(p) != NULL && top(p)->tail) {
        put_tail(p, term);
    } else if (term.len == 2 && term.data[0] == ETF__SMALL_INTEGER) {
        etf__parse_int(p, false, term.data[1]);
    } else {
        (void)way(p, false);
        etf_put_term(p->w, term);
    }
}

/* --- terms of one token or a few -------------------------------------------
 */

static int put_atom(etf__parser *p) {
    char room[ETF__ATOM_BYTES];
    size_t n;
    int err = etf__lex_atom(&p->x, room, &n);

    if (err != 0)
        return err;
    (void)way(p, false);
    etf_put_atom_n(p->w, room, n);
    etf__lex_next(&p->x);
    return 0;
}

static int put_int(etf__parser *p) {
    bool negative = p->x.tok == ETF__T_INT && p->x.negative;
    uint64_t v;
    int err = 0;

    if (etf__lex_u64(&p->x, &v)) {
        etf__parse_int(p, negative, v);
    } else {
        (void)way(p, false);
        err = etf__put_digits(p->w, &p->x);
    }
    if (err == 0)
        etf__lex_next(&p->x);
    return err;
}

static int put_float(etf__parser *p) {
    double v;

    if (!etf__lex_float(&p->x, &v)) {
        p->why = "a float that is too large";
        return CN_ERANGE;
    }
    (void)way(p, false);
    etf_put_float(p->w, v);
    etf__lex_next(&p->x);
    return 0;
}

static bool is_ascii(const char *s, size_t n) {
    uint8_t all = 0;

    for (size_t i = 0; i < n; i++)
        all |= (uint8_t)s[i];
    return all < 0x80;
}

/* The quick way of put_chars: ASCII as it stands, onto a STRING_EXT. */
static bool put_ascii(etf__parser *p) {
    const etf__lex *x = &p->x;
    etf__level *l = top(p);
    uint8_t *out;

    if (!x->plain || x->indent > 0 || x->len == 0 || (l->n > 0 && !l->bytes) ||
        x->len > ETF__STRING_MAX - l->n || !is_ascii(x->text, x->len))
        return false;
    etf__parse_int(p, false, (uint8_t)x->text[0]);
    out = etf__put_more(p->w, x->len - 1);
    if (out != NULL)
        (void)cn__put_bytes(out, x->text + 1, x->len - 1);
    l->n += (uint32_t)(x->len - 1);
    return true;
}

static int put_chars(etf__parser *p) {
    etf__chars s = etf__lex_chars(&p->x);
    uint32_t c;
    int more;

    if (put_ascii(p))
        return 0;
    while ((more = etf__chars_next(&s, &c)) == 1)
        etf__parse_int(p, false, c);
    return more == 0 ? 0 : CN_ESYNTAX;
}

/* "one" "two" is one string, as in C. */
static int put_string(etf__parser *p) {
    bool joined = joins(p);
    int err = joined ? 0 : push(p, ']');

    while (err == 0 && p->x.tok == ETF__T_STRING) {
        err = put_chars(p);
        if (err == 0)
            etf__lex_next(&p->x);
    }
    if (err == 0 && !joined)
        pop(p);
    return err;
}

int etf__parse_list(etf__parser *p, etf_list list) {
    bool joined = joins(p);
    int err = joined ? 0 : push(p, ']');
    etf_view element;

    while (err == 0 && etf_list_next(&list, &element))
        etf__parse_term(p, element);
    if (err == 0 && !joined)
        pop(p);
    return err;
}

typedef struct binary {
    etf_writer *w;
    uint8_t last; /* bits in the last byte */
} binary;

static bool put_binary_bits(void *ctx, uint8_t byte, unsigned bits) {
    binary *b = ctx;
    uint8_t *out = etf__put_more(b->w, 1);

    if (out != NULL)
        *out = byte;
    b->last = (uint8_t)bits;
    return true;
}

static int put_binary(etf__parser *p) {
    binary b = {p->w, 8};
    size_t at, n;
    uint8_t *d;
    int err;

    (void)way(p, false);
    at = p->w->len;
    (void)etf__put_more(p->w, 5);
    err = etf__lex_binary(&p->x, put_binary_bits, &b);
    if (err == 0 && !etf__put_counts(p->w))
        err = p->w->err; /* and not all of it is there */
    if (err != 0)
        return err;
    n = p->w->len - at - 5;
    if (n > UINT32_MAX)
        return CN_ELIMIT;
    if (b.last != 8)
        (void)etf__put_gap(p->w, at + 5, 1);
    if (etf__put_stored(p->w)) {
        d = cn__put8(p->w->data + at,
                     b.last == 8 ? ETF__BINARY : ETF__BIT_BINARY);
        d = cn__put32(d, (uint32_t)n);
        if (b.last != 8)
            *d = b.last;
    }
    etf__lex_next(&p->x);
    return 0;
}

static int put_identifier(etf__parser *p) {
    etf__lex_id id;
    int err = etf__lex_identifier(&p->x, &id);

    if (err != 0)
        return err;
    (void)way(p, false);
    if (id.kind == 'P')
        etf_put_pid(p->w, &id.u.pid);
    else if (id.kind == 'O')
        etf_put_port(p->w, &id.u.port);
    else
        etf_put_ref(p->w, &id.u.ref);
    etf__lex_next(&p->x);
    return 0;
}

static int put_fun(etf__parser *p) {
    etf__lex_export e;
    int err = etf__lex_export_read(&p->x, &e);

    if (err != 0)
        return err;
    (void)way(p, false);
    etf__put_export(p->w, (etf_view){(uint8_t *)e.module, e.module_len},
                    (etf_view){(uint8_t *)e.function, e.function_len}, e.arity);
    etf__lex_next(&p->x);
    return 0;
}

/* --- records: #module:name{field = value, ...} ------------------------------
 */

/* The atom token, put at `at`, and what moves for it; *at is then behind it. */
static int put_name(etf__parser *p, size_t *at) {
    char room[ETF__ATOM_BYTES];
    uint8_t term[ETF__ATOM_ROOM], *out;
    size_t n;
    int err;

    if (p->x.tok != ETF__T_ATOM)
        return CN_ESYNTAX;
    err = etf__lex_atom(&p->x, room, &n);
    if (err != 0)
        return err;
    n = etf__atom_bytes(p->w, room, n, term);
    out = gap(p, *at, n);
    if (out != NULL)
        (void)cn__put_bytes(out, term, n);
    *at += n;
    etf__lex_next(&p->x);
    return 0;
}

static int take(etf__parser *p, char c) {
    if (!etf__lex_is(&p->x, c))
        return CN_ESYNTAX;
    etf__lex_next(&p->x);
    return 0;
}

/* From # to the brace. */
static int open_record(etf__parser *p) {
    int err = push(p, 'r');
    etf__level *l = top(p);

    if (err != 0)
        return err;
    etf__lex_next(&p->x);
    l->names_end = p->w->len;
    err = put_name(p, &l->names_end);
    if (err == 0)
        err = take(p, ':');
    if (err == 0)
        err = put_name(p, &l->names_end);
    return err != 0 ? err : take(p, '{');
}

/* A name and its equals sign, before the value. */
static int put_field(etf__parser *p) {
    int err = put_name(p, &top(p)->names_end);

    return err != 0 ? err : take(p, '=');
}

static bool in_record(etf__parser *p) {
    return top(p) != NULL && top(p)->closer == 'r';
}

static int put_hole(etf__parser *p) {
    char letter = p->x.tok == ETF__T_HOLE ? (char)p->x.value : '_';
    int err = p->fill == NULL ? CN_ESYNTAX : p->fill(p, letter);

    if (err == 0)
        etf__lex_next(&p->x);
    return err;
}

/* --- brackets ----------------------------------------------------------------
 */

/* The bracket the token opens, or 0. */
static char opener(const etf__parser *p) {
    if (p->x.tok == ETF__T_MAP)
        return 'm';
    if (etf__lex_is(&p->x, '{'))
        return '}';
    return etf__lex_is(&p->x, '[') ? ']' : 0;
}

static bool at_closer(etf__parser *p) {
    char c = top(p)->closer;

    return etf__lex_is(&p->x, c == ']' ? ']' : '}');
}

/* One term, or the opening bracket of one. */
static int begin(etf__parser *p) {
    char closer;
    int err;

    if (in_record(p) && (err = put_field(p)) != 0)
        return err;
    closer = opener(p);
    if (etf__lex_is(&p->x, '#'))
        return open_record(p);

    if (closer != 0) {
        err = push(p, closer);
        if (err == 0)
            etf__lex_next(&p->x);
        return err;
    }
    switch (p->x.tok) {
    case ETF__T_ATOM:
        return put_atom(p);
    case ETF__T_INT:
    case ETF__T_CHAR:
        return put_int(p);
    case ETF__T_FLOAT:
        return put_float(p);
    case ETF__T_STRING:
        return put_string(p);
    case ETF__T_BIN:
        return put_binary(p);
    case ETF__T_ID:
        return put_identifier(p);
    case ETF__T_FUN:
        return put_fun(p);
    case ETF__T_VAR:
        return p->match ? put_hole(p) : CN_ESYNTAX;
    case ETF__T_HOLE:
    case ETF__T_ANY:
        return put_hole(p);
    default:
        return CN_ESYNTAX;
    }
}

/* Behind the bar of a list. A list there goes on with this one: its bracket
 * is only counted. */
static bool begin_tail(etf__parser *p) {
    etf__level *l = top(p);

    l->tail = !etf__lex_is(&p->x, '[');
    if (l->tail)
        return false;
    l->closes++;
    etf__lex_next(&p->x);
    return true;
}

static bool at_arrow(const etf__parser *p) {
    return p->x.tok == ETF__T_ARROW || (p->match && p->x.tok == ETF__T_EXACT);
}

/* Takes what separates two terms; false when there is none. *opened: what
 * follows is inside a new bracket. */
static bool separator(etf__parser *p, bool *opened) {
    etf__level *l = top(p);
    bool arrow = l->closer == 'm' && !l->value;

    *opened = false;
    if (l->tail || l->closed)
        return false;
    if (l->closer == ']' && etf__lex_is(&p->x, '|')) {
        etf__lex_next(&p->x);
        *opened = begin_tail(p);
        return true;
    }
    if (arrow ? !at_arrow(p) : !etf__lex_is(&p->x, ','))
        return false;
    l->value = arrow;
    etf__lex_next(&p->x);
    return true;
}

/* Takes a closing bracket; false when it is none, or too early. */
static bool close_one(etf__parser *p) {
    etf__level *l = top(p);

    if (!at_closer(p) || (l->closer == 'm' && l->n % 2 != 0))
        return false;
    if (l->closes > 0) {
        l->closes--;
        l->closed = true;
    } else {
        pop(p);
    }
    etf__lex_next(&p->x);
    return true;
}

/* Behind a term: everything up to the next one, or to the end. */
static int after(etf__parser *p, bool *more) {
    bool opened;

    *more = false;
    while (p->levels.n > 0) {
        if (close_one(p))
            continue;
        if (!separator(p, &opened))
            return CN_ESYNTAX;
        if (opened && at_closer(p))
            continue;
        *more = true;
        return 0;
    }
    return p->x.tok == ETF__T_END ? 0 : CN_ESYNTAX;
}

static int terms(etf__parser *p) {
    bool more = true;
    size_t depth;
    int err;

    while (more) {
        depth = p->levels.n;
        err = begin(p);
        if (err == 0 && p->levels.n > depth && !at_closer(p))
            continue;
        if (err == 0)
            err = after(p, &more);
        if (err != 0)
            return err;
        if (!etf__put_counts(p->w))
            return p->w->err;
    }
    return 0;
}

/* To the lists that are open in the writer all this is one term. */
static int run(etf__parser *p, const etf_text_options *o, const char *text,
               size_t n) {
    etf_writer *w = p->w;
    uint32_t open;
    int err;

    etf__put_one(w);
    open = w->depth;
    w->depth = 0;
    p->max_depth = o->depth > 0 ? o->depth : ETF_TEXT_DEPTH;
    p->why = NULL;
    p->moved = 0;
    etf__frames_init(&p->levels, o->alloc != NULL ? o->alloc : w->alloc,
                     sizeof(etf__level));
    etf__lex_init(&p->x, text, n);
    p->x.holes = p->fill != NULL;
    p->x.node = o->node;
    p->x.creation = o->creation;
    etf__lex_next(&p->x);
    err = terms(p);
    etf__frames_free(&p->levels);
    w->depth = open;
    if (err != 0)
        etf_writer_fail(w, err);
    return err != 0 ? err : w->err;
}

int etf__parse_run(etf__parser *p, const char *text, size_t n) {
    return run(p, &(etf_text_options){0}, text, n);
}

/* What is said of a token that does not fit, or is none. */
static const char *token_why(const etf__lex *x) {
    const char *why = NULL;

    if (x->tok == ETF__T_END)
        return "the text ends too early";
    if (x->tok == ETF__T_BAD)
        return "no part of a term";
    if (x->tok == ETF__T_VAR || x->tok == ETF__T_ANY)
        return "a variable, which has no value";
    if (etf__lex_is(x, '.'))
        return "a dot, which is no part of a term";
    if (x->tok == ETF__T_ATOM || x->tok == ETF__T_STRING || x->sigil)
        why = etf__chars_why(etf__lex_chars(x));
    return why != NULL ? why : "not expected here";
}

const char *etf__parse_why(const etf__parser *p, int err) {
    const etf__lex *x = &p->x;

    if (p->why != NULL || x->why != NULL)
        return p->why != NULL ? p->why : x->why;
    if (err == CN_ELIMIT && x->tok == ETF__T_ATOM)
        return "an atom of more than 255 characters";
    if (err == CN_ELIMIT && x->tok == ETF__T_INT)
        return "an integer that is too large";
    return err != CN_ESYNTAX ? cn_strerror(err) : token_why(x);
}

int etf_parse_with(const etf_text_options *options, etf_writer *w,
                   const char *text, size_t n, etf_error *error) {
    static const etf_text_options standard = {0};
    etf__parser p;
    int err;

    p.w = w;
    p.match = false;
    p.fill = NULL;
    p.ctx = NULL;
    err = run(&p, options != NULL ? options : &standard, text, n);
    if (error != NULL && err == 0)
        *error = (etf_error){.what = ""};
    else if (error != NULL)
        *error = (etf_error){
            .code = err, .at = p.x.at, .what = etf__parse_why(&p, err)};
    return err;
}

int etf_parse_n(etf_writer *w, const char *text, size_t n, size_t *column) {
    etf_error error;
    int err = etf_parse_with(NULL, w, text, n, &error);

    if (column != NULL)
        *column = error.at;
    return err;
}

int etf_parse(etf_writer *w, const char *text, size_t *column) {
    return etf_parse_n(w, text, strlen(text), column);
}
