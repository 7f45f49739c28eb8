/* SPDX-License-Identifier: Apache-2.0
 *
 * pattern.c: etf_pack and etf_match. Pack is the text parser with holes that
 * are filled. Match walks over the pattern and the term at the same time; it
 * recurses over the pattern, which the program wrote, never over the term,
 * which came from outside.
 */
#include <math.h>

#include "ext_term/bignum.h"
#include "ext_term/parse.h"
#include "ext_term/reader.h"

enum { MATCH_DEPTH = 32, VARIABLES = 8 };

/* --- pack -------------------------------------------------------------------
 */

typedef struct packing {
    const etf_in *in;
    size_t left;
} packing;

/* The bytes of a ~a, ~s or ~b. */
static bool in_text(const etf_in *in, etf_view *text) {
    if (in->type == ETF_ARG_VIEW)
        *text = in->v.view;
    else if (in->type == ETF_ARG_STR && in->v.str != NULL)
        *text = (etf_view){(const uint8_t *)in->v.str, strlen(in->v.str)};
    else
        return false;
    return true;
}

static int pack_text(etf__parser *p, const etf_in *in, char letter) {
    etf_view text;
    const char *s;

    if (!in_text(in, &text))
        return CN_EBADARG;
    s = (const char *)text.data;
    if (letter == 's') {
        etf__parse_string(p, s, text.len);
        return 0;
    }
    etf__parse_way(p);
    if (letter == 'a')
        etf_put_atom_n(p->w, s, text.len);
    else
        etf_put_binary(p->w, s, text.len);
    return 0;
}

static int pack_int(etf__parser *p, const etf_in *in) {
    int64_t v = in->v.i64;

    if (in->type == ETF_ARG_U64)
        etf__parse_int(p, false, in->v.u64);
    else if (in->type == ETF_ARG_I64)
        etf__parse_int(p, v < 0, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
    else
        return CN_EBADARG;
    return 0;
}

static int pack_float(etf__parser *p, const etf_in *in) {
    if (in->type != ETF_ARG_F64)
        return CN_EBADARG;
    etf__parse_way(p);
    etf_put_float(p->w, in->v.f64);
    return 0;
}

static int pack_id(etf__parser *p, const etf_in *in, char letter) {
    etf_arg_type want = letter == 'p'   ? ETF_ARG_PID
                        : letter == 'r' ? ETF_ARG_REF
                                        : ETF_ARG_PORT;

    if (in->type != want || in->v.pid == NULL)
        return CN_EBADARG;
    etf__parse_way(p);
    if (letter == 'p')
        etf_put_pid(p->w, in->v.pid);
    else if (letter == 'r')
        etf_put_ref(p->w, in->v.ref);
    else
        etf_put_port(p->w, in->v.port);
    return 0;
}

static int pack_list(etf__parser *p, const etf_in *in) {
    if (in->type != ETF_ARG_LIST || in->v.list == NULL)
        return CN_EBADARG;
    return etf__parse_list(p, *in->v.list);
}

static bool is_hole(char letter) {
    switch (letter) {
    case 'a':
    case 's':
    case 'b':
    case 'i':
    case 'f':
    case 'p':
    case 'r':
    case 'o':
    case 't':
    case 'l':
        return true;
    default:
        return false;
    }
}

/* The letter of a pattern that is one hole and nothing else, or 0. Messages
 * are often made and taken by these. */
static char lone_hole(const char *pattern) {
    return pattern[0] == '~' && is_hole(pattern[1]) && pattern[2] == '\0'
               ? pattern[1]
               : '\0';
}

static int pack_hole(etf__parser *p, char letter) {
    packing *k = p->ctx;
    const etf_in *in = k->in;

    if (!is_hole(letter))
        return CN_ESYNTAX;
    if (k->left == 0)
        return CN_EBADARG;
    k->in++;
    k->left--;
    if (letter == 'a' || letter == 's' || letter == 'b')
        return pack_text(p, in, letter);
    if (letter == 'i')
        return pack_int(p, in);
    if (letter == 'f')
        return pack_float(p, in);
    if (letter == 'l')
        return pack_list(p, in);
    if (letter != 't')
        return pack_id(p, in, letter);
    if (in->type != ETF_ARG_VIEW)
        return CN_EBADARG;
    etf__parse_term(p, in->v.view);
    return 0;
}

/* Without the parser: false when it has to do it, for there is a slip, or an
 * argument that is more than a put. */
static bool pack_lone(etf_writer *w, char letter, const etf_in *in) {
    if (letter == 'b' && in->type == ETF_ARG_VIEW)
        etf_put_binary(w, in->v.view.data, in->v.view.len);
    else if (letter == 'i' && in->type == ETF_ARG_I64)
        etf_put_int(w, in->v.i64);
    else if (letter == 't' && in->type == ETF_ARG_VIEW && in->v.view.len > 0)
        etf_put_term(w, in->v.view);
    else
        return false;
    return true;
}

static bool pack_has_pattern(const etf_in *in, size_t n) {
    return n > 0 && n <= ETF_ARGS_MAX + 1 && in[0].type == ETF_ARG_STR &&
           in[0].v.str != NULL;
}

int etf_pack_args(etf_writer *w, const etf_in *in, size_t n) {
    etf__parser p;
    packing k;

    if (!pack_has_pattern(in, n)) {
        etf_writer_fail(w, CN_EBADARG);
        return w->err;
    }
    if (n == 2 && pack_lone(w, lone_hole(in[0].v.str), in + 1))
        return w->err;
    k = (packing){in + 1, n - 1};
    p.w = w;
    p.match = false;
    p.fill = pack_hole;
    p.ctx = &k;
    (void)etf__parse_run(&p, in[0].v.str, strlen(in[0].v.str));
    if (k.left > 0)
        etf_writer_fail(w, CN_EBADARG);
    return w->err;
}

/* --- match: the arguments ------------------------------------------------- */

typedef struct variable {
    etf_view name;
    etf_view term;
} variable;

typedef struct matcher {
    etf__lex x;
    const etf_out *out;
    size_t left;
    bool in_key;
    unsigned n_vars;
    variable var[VARIABLES];
} matcher;

static bool fits(const etf_out *out, char letter) {
    if (out->p == NULL)
        return false;
    switch (letter) {
    case 'a':
    case 's':
    case 'b':
    case 't':
        return out->type == ETF_ARG_VIEW;
    case 'i':
        return out->type == ETF_ARG_I64 || out->type == ETF_ARG_U64;
    case 'f':
        return out->type == ETF_ARG_F64;
    case 'p':
        return out->type == ETF_ARG_PID;
    case 'r':
        return out->type == ETF_ARG_REF;
    case 'l':
        return out->type == ETF_ARG_LIST;
    default:
        return out->type == ETF_ARG_PORT;
    }
}

static int take_out(const etf_out **at, size_t *left, char letter,
                    const etf_out **out) {
    if (!is_hole(letter))
        return CN_ESYNTAX;
    if (*left == 0 || !fits(*at, letter))
        return CN_EBADARG;
    *out = (*at)++;
    (*left)--;
    return 0;
}

/* --- match: holes --------------------------------------------------------- */

static int equal(bool yes) {
    return yes ? 0 : CN_ETYPE;
}

static void store(const etf_out *out, uint64_t v) {
    union {
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
    } u;

    if (out->size == 1)
        u.u8 = (uint8_t)v;
    else if (out->size == 2)
        u.u16 = (uint16_t)v;
    else if (out->size == 4)
        u.u32 = (uint32_t)v;
    else
        u.u64 = v;
    memcpy(out->p, &u, out->size);
}

static int match_int(etf_reader *r, const etf_out *out) {
    unsigned bits = out->size * 8;
    uint64_t u;
    int64_t i;

    if (out->size > 8 || out->size == 0 || (out->size & (out->size - 1)) != 0)
        return CN_EBADARG;
    if (out->type == ETF_ARG_U64) {
        u = etf_get_uint(r);
        if (bits < 64 && u >> bits != 0)
            return CN_ETYPE;
        store(out, u);
    } else {
        i = etf_get_int(r);
        if (bits < 64 && (i < -(1LL << (bits - 1)) || i >= 1LL << (bits - 1)))
            return CN_ETYPE;
        store(out, (uint64_t)i);
    }
    return 0;
}

static int match_atom_view(etf_reader *r, etf_view *out) {
    *out = etf_get_atom(r);
    return out->data == r->scratch ? CN_ENOTSUP : 0;
}

/* Only bytes that lie there as such. */
static int match_string_view(etf_reader *r, etf_view *out) {
    etf_view term;

    if (etf_peek(r) == ETF_BINARY) {
        *out = etf_get_binary(r);
        return 0;
    }
    term = etf_get_term(r);
    if (r->err != 0)
        return 0;
    if (term.data[0] == ETF__NIL)
        *out = (etf_view){term.data, 0};
    else if (term.data[0] == ETF__STRING)
        *out = (etf_view){term.data + 3, term.len - 3};
    else
        return CN_ETYPE;
    return 0;
}

static int match_float(etf_reader *r, double *out) {
    if (etf_peek(r) != ETF_FLOAT)
        return CN_ETYPE;
    *out = etf_get_float(r);
    return 0;
}

/* The list of which n elements are still to be read, to its proper end. */
static int match_list(etf_reader *r, uint32_t n, etf_list *out) {
    *out = (etf_list){
        .at = r->at, .size = etf_reader_left(r), .here = n, .bytes = r->in_str};
    do {
        for (out->n += n; n > 0 && r->err == 0; n--)
            etf_skip(r);
        n = etf_get_list(r);
    } while (n > 0);
    etf_get_tail(r);
    return 0;
}

bool etf_list_next(etf_list *l, etf_view *element) {
    etf_reader r;

    if (l->n == 0)
        return false;
    etf_reader_init(&r, (etf_view){l->at, l->size});
    if (l->here == 0) { /* it goes on with another one */
        l->here = etf_get_list(&r);
        l->bytes = r.in_str;
    }
    if (l->bytes)
        etf__into_string(&r, l->here);
    *element = etf_get_term(&r);
    l->size = etf_reader_left(&r);
    l->at = r.at;
    l->here--;
    l->n--;
    return true;
}

static bool same_text(etf_view v, const etf__lex *x) {
    return v.len == x->len && memcmp(v.data, x->text, v.len) == 0;
}

/* The first time a variable takes the term, later the term must be equal. */
static int match_variable(matcher *m, etf_reader *r) {
    etf_view term = etf_get_term(r);
    int err, order;
    unsigned i = 0;

    if (r->err != 0)
        return r->err;
    while (i < m->n_vars && !same_text(m->var[i].name, &m->x))
        i++;
    if (i < m->n_vars) {
        err = etf_compare_exact(NULL, m->var[i].term, term, &order);
        return err != 0 ? err : equal(order == 0);
    }
    if (m->in_key || i == VARIABLES)
        return m->in_key ? CN_ESYNTAX : CN_ELIMIT;
    m->var[m->n_vars++] =
        (variable){{(const uint8_t *)m->x.text, m->x.len}, term};
    return 0;
}

static int fill_hole(etf_reader *r, char letter, const etf_out *out) {
    switch (letter) {
    case 'a':
        return match_atom_view(r, out->p);
    case 's':
        return match_string_view(r, out->p);
    case 'b':
        *(etf_view *)out->p = etf_get_binary(r);
        return 0;
    case 'i':
        return match_int(r, out);
    case 'f':
        return match_float(r, out->p);
    case 'p':
        etf_get_pid(r, out->p);
        return 0;
    case 'r':
        etf_get_ref(r, out->p);
        return 0;
    case 'o':
        etf_get_port(r, out->p);
        return 0;
    case 'l':
        return match_list(r, etf_get_list(r), out->p);
    default:
        *(etf_view *)out->p = etf_get_term(r);
        return 0;
    }
}

static int match_hole(matcher *m, etf_reader *r) {
    char letter = (char)m->x.value;
    const etf_out *out;
    int err =
        m->in_key ? CN_ESYNTAX : take_out(&m->out, &m->left, letter, &out);

    return err != 0 ? err : fill_hole(r, letter, out);
}

/* --- match: literals ------------------------------------------------------ */

static int literal_atom(matcher *m, etf_reader *r) {
    char room[ETF__ATOM_BYTES];
    etf_view text, want = {(const uint8_t *)m->x.text, m->x.len};
    size_t n;
    int err;

    if (!m->x.plain) {
        err = etf__lex_atom(&m->x, room, &n);
        if (err != 0)
            return err;
        want = (etf_view){(const uint8_t *)room, n};
    }
    text = etf_get_atom(r);
    return equal(etf_view_eq(text, want));
}

static int literal_big(const etf__lex *x, etf_reader *r) {
    uint8_t room[ETF__DECIMAL_BYTES + 8];
    etf_writer w;
    etf_reader literal;
    etf_view a, b;
    bool minus_a, minus_b;
    int err;

    etf_writer_init_fixed(&w, room, sizeof room);
    err = etf__put_digits(&w, x);
    if (err != 0 || w.err != 0)
        return CN_ELIMIT;
    etf_reader_init(&literal, (etf_view){w.data, w.len});
    a = etf_get_big(&literal, &minus_a);
    b = etf_get_big(r, &minus_b);
    return equal(etf_view_eq(a, b) && minus_a == minus_b);
}

static int literal_int(const etf__lex *x, etf_reader *r) {
    bool negative = x->tok == ETF__T_INT && x->negative, minus;
    uint64_t want, have = 0;
    etf_view m;

    if (!etf__lex_u64(x, &want))
        return literal_big(x, r);
    m = etf_get_big(r, &minus);
    if (m.len > 8)
        return CN_ETYPE;
    for (size_t i = m.len; i > 0; i--)
        have = have << 8 | m.data[i - 1];
    return equal(have == want && (minus == negative || want == 0));
}

static int literal_float(const etf__lex *x, etf_reader *r) {
    double want, have;

    if (!etf__lex_float(x, &want))
        return CN_ERANGE;
    if (etf_peek(r) != ETF_FLOAT)
        return CN_ETYPE;
    have = etf_get_float(r);
    return equal(want == have && signbit(want) == signbit(have));
}

/* Is there one more element, of this list or of one that is its tail? It is
 * taken from the *left. */
static bool another(etf_reader *r, uint32_t *left) {
    if (*left == 0 && etf_peek(r) == ETF_LIST)
        *left = etf_get_list(r);
    if (*left == 0)
        return false;
    --*left;
    return true;
}

static int literal_chars(const etf__lex *x, etf_reader *r, uint32_t *left) {
    etf__chars s = etf__lex_chars(x);
    uint32_t c;
    int more;

    while ((more = etf__chars_next(&s, &c)) == 1)
        if (!another(r, left) || etf_get_int(r) != (int64_t)c)
            return CN_ETYPE;
    return more == 0 ? 0 : CN_ESYNTAX;
}

/* Against what is left of a list; leaves the token behind the last string. */
static int literal_string(matcher *m, etf_reader *r, uint32_t left) {
    int err = 0;

    while (err == 0 && m->x.tok == ETF__T_STRING) {
        err = literal_chars(&m->x, r, &left);
        if (err == 0)
            etf__lex_next(&m->x);
    }
    if (err != 0)
        return err;
    etf_get_tail(r);
    return equal(left == 0);
}

typedef struct comparing {
    etf_view have;
    size_t bits; /* that are left */
} comparing;

static bool compare_bits(void *ctx, uint8_t byte, unsigned bits) {
    comparing *c = ctx;
    uint8_t mask = (uint8_t)(0xff00U >> bits);

    if (c->bits < bits || ((c->have.data[0] ^ byte) & mask) != 0)
        return false;
    c->have.data++;
    c->bits -= bits;
    return true;
}

static int literal_binary(matcher *m, etf_reader *r) {
    comparing c;
    int err;

    c.have = etf_get_bits(r, &c.bits);
    if (r->err != 0)
        return CN_ETYPE;
    err = etf__lex_binary(&m->x, compare_bits, &c);
    return err != 0 ? err : equal(c.bits == 0);
}

static int literal_id(matcher *m, etf_reader *r) {
    etf__lex_id want;
    etf_pid pid;
    etf_port port;
    etf_ref ref;
    int err = etf__lex_identifier(&m->x, &want);

    if (err != 0)
        return err;
    if (want.kind == 'P') {
        etf_get_pid(r, &pid);
        return equal(etf_pid_eq(&pid, &want.u.pid));
    }
    if (want.kind == 'O') {
        etf_get_port(r, &port);
        return equal(etf_port_eq(&port, &want.u.port));
    }
    etf_get_ref(r, &ref);
    return equal(etf_ref_eq(&ref, &want.u.ref));
}

static int literal_fun(matcher *m, etf_reader *r) {
    etf__lex_export want;
    etf_view module, function;
    uint8_t arity;
    int err = etf__lex_export_read(&m->x, &want);

    if (err != 0)
        return err;
    etf_get_export(r, &module, &function, &arity);
    return equal(arity == want.arity && module.len == want.module_len &&
                 memcmp(module.data, want.module, module.len) == 0 &&
                 function.len == want.function_len &&
                 memcmp(function.data, want.function, function.len) == 0);
}

/* --- match: brackets ------------------------------------------------------ */

static int match_term(matcher *m, etf_reader *r, unsigned depth);

/* From the opening bracket to the token behind the closing one. */
static int match_tuple(matcher *m, etf_reader *r, unsigned depth) {
    uint32_t arity = etf_get_tuple(r), n = 0;
    int err = r->err;

    if (err == 0)
        etf__lex_next(&m->x);
    while (err == 0 && !etf__lex_is(&m->x, '}')) {
        if (n > 0 && !etf__lex_is(&m->x, ','))
            return CN_ESYNTAX;
        if (n > 0)
            etf__lex_next(&m->x);
        err = n == arity ? CN_ETYPE : match_term(m, r, depth);
        n++;
    }
    if (err != 0 || n != arity)
        return err != 0 ? err : CN_ETYPE;
    etf__lex_next(&m->x);
    return 0;
}

static int match_elements(matcher *m, etf_reader *r, uint32_t n,
                          unsigned depth);

static int match_list_rest(matcher *m, etf_reader *r, uint32_t n) {
    const etf_out *out;
    int err = m->in_key ? CN_ESYNTAX : take_out(&m->out, &m->left, 'l', &out);

    return err != 0 ? err : match_list(r, n, out->p);
}

/* Behind the bar; n elements are left. */
static int match_rest(matcher *m, etf_reader *r, uint32_t n, unsigned depth) {
    int err = 0;

    if (m->x.tok == ETF__T_ANY) {
        for (uint64_t i = 0; i <= n && r->err == 0; i++)
            etf_skip(r);
        etf__lex_next(&m->x);
    } else if (m->x.tok == ETF__T_HOLE && m->x.value == 'l') {
        err = match_list_rest(m, r, n);
        if (err == 0)
            err = r->err;
        if (err == 0)
            etf__lex_next(&m->x);
    } else if (etf__lex_is(&m->x, '[')) {
        etf__lex_next(&m->x);
        err = depth == 0 ? CN_ELIMIT : match_elements(m, r, n, depth - 1);
    } else if (m->x.tok == ETF__T_STRING) {
        err = literal_string(m, r, n);
    } else {
        err = another(r, &n) ? CN_ETYPE : match_term(m, r, depth);
    }
    if (err != 0)
        return err;
    if (!etf__lex_is(&m->x, ']'))
        return CN_ESYNTAX;
    etf__lex_next(&m->x);
    return 0;
}

static int match_elements(matcher *m, etf_reader *r, uint32_t n,
                          unsigned depth) {
    bool first = true;
    int err = 0;

    for (; err == 0 && !etf__lex_is(&m->x, ']'); first = false) {
        if (!first && etf__lex_is(&m->x, '|')) {
            etf__lex_next(&m->x);
            return match_rest(m, r, n, depth);
        }
        if (!first && !etf__lex_is(&m->x, ','))
            return CN_ESYNTAX;
        if (!first)
            etf__lex_next(&m->x);
        err = another(r, &n) ? match_term(m, r, depth) : CN_ETYPE;
    }
    if (err != 0)
        return err;
    if (n != 0)
        return CN_ETYPE;
    etf_get_tail(r);
    if (r->err == 0)
        etf__lex_next(&m->x);
    return r->err;
}

static int match_key(matcher *m, etf_view key, unsigned depth) {
    bool outer = m->in_key;
    etf_reader r;
    int err;

    etf_reader_init(&r, key);
    m->in_key = true;
    err = match_term(m, &r, depth);
    m->in_key = outer;
    return err;
}

/* Goes to the value under the key the pattern is at; pairs is where the first
 * of the n pairs begins. */
static int find_key(matcher *m, etf_reader *r, const uint8_t *pairs, uint32_t n,
                    unsigned depth) {
    etf__lex key = m->x;
    int err = CN_ETYPE;

    r->at = pairs;
    for (uint32_t i = 0; i < n && r->err == 0; i++) {
        m->x = key;
        err = match_key(m, etf_get_term(r), depth);
        if (err != CN_ETYPE)
            return err;
        etf_skip(r);
    }
    m->x = key;
    return CN_ETYPE;
}

static int match_pair(matcher *m, etf_reader *r, const uint8_t *pairs,
                      uint32_t n, unsigned depth) {
    int err = find_key(m, r, pairs, n, depth);

    if (err != 0)
        return err;
    if (m->x.tok != ETF__T_EXACT && m->x.tok != ETF__T_ARROW)
        return CN_ESYNTAX;
    etf__lex_next(&m->x);
    return match_term(m, r, depth);
}

static int match_map(matcher *m, etf_reader *r, unsigned depth) {
    uint32_t n = etf_get_map(r);
    const uint8_t *pairs = r->at, *end;
    bool first = true;
    int err;

    for (uint64_t i = 0; i < 2 * (uint64_t)n && r->err == 0; i++)
        etf_skip(r);
    end = r->at;
    err = r->err;
    if (err == 0)
        etf__lex_next(&m->x);
    for (; err == 0 && !etf__lex_is(&m->x, '}'); first = false) {
        if (!first && !etf__lex_is(&m->x, ','))
            return CN_ESYNTAX;
        if (!first)
            etf__lex_next(&m->x);
        err = match_pair(m, r, pairs, n, depth);
    }
    if (err != 0)
        return err;
    r->at = end;
    etf__lex_next(&m->x);
    return 0;
}

static int match_open(matcher *m, etf_reader *r, unsigned depth) {
    bool map = m->x.tok == ETF__T_MAP;
    bool tuple = etf__lex_is(&m->x, '{');
    uint32_t n;

    if (!map && !tuple && !etf__lex_is(&m->x, '['))
        return CN_ESYNTAX;
    if (depth == 0)
        return CN_ELIMIT;
    if (map)
        return match_map(m, r, depth - 1);
    if (tuple)
        return match_tuple(m, r, depth - 1);
    n = etf_get_list(r);
    if (r->err != 0)
        return r->err;
    etf__lex_next(&m->x);
    return match_elements(m, r, n, depth - 1);
}

/* A pattern of one token, or that etf__lex_* takes as a whole. */
static int match_leaf(matcher *m, etf_reader *r) {
    switch (m->x.tok) {
    case ETF__T_ANY:
        etf_skip(r);
        return 0;
    case ETF__T_VAR:
        return match_variable(m, r);
    case ETF__T_HOLE:
        return match_hole(m, r);
    case ETF__T_ATOM:
        return literal_atom(m, r);
    case ETF__T_INT:
    case ETF__T_CHAR:
        return literal_int(&m->x, r);
    case ETF__T_FLOAT:
        return literal_float(&m->x, r);
    case ETF__T_BIN:
        return literal_binary(m, r);
    case ETF__T_ID:
        return literal_id(m, r);
    default:
        return literal_fun(m, r);
    }
}

/* What a match is, by what was found and what the reader says. */
static int verdict(const etf_reader *r, int err) {
    if (err == CN_ETYPE || err == CN_ERANGE || err == 0)
        err = r->err != 0 ? r->err : err;
    return err == CN_ERANGE ? CN_ETYPE : err;
}

/* The pattern at the token against the next term; goes behind both, or stays at
 * the token that made it end. */
static int match_term(matcher *m, etf_reader *r, unsigned depth) {
    int err;

    switch (m->x.tok) {
    case ETF__T_STRING:
        return verdict(r, literal_string(m, r, etf_get_list(r)));
    case ETF__T_ANY:
    case ETF__T_VAR:
    case ETF__T_HOLE:
    case ETF__T_ATOM:
    case ETF__T_INT:
    case ETF__T_CHAR:
    case ETF__T_FLOAT:
    case ETF__T_BIN:
    case ETF__T_ID:
    case ETF__T_FUN:
        err = verdict(r, match_leaf(m, r));
        if (err == 0)
            etf__lex_next(&m->x);
        return err;
    default:
        return verdict(r, match_open(m, r, depth));
    }
}

/* --- match ---------------------------------------------------------------- */

typedef struct checking {
    const etf_out *out;
    size_t left;
    unsigned n_names;
    etf_view name[VARIABLES];
} checking;

/* A name; in a key only one that has stood before. */
static int check_name(etf__parser *p) {
    checking *k = p->ctx;
    unsigned i = 0;

    while (i < k->n_names && !same_text(k->name[i], &p->x))
        i++;
    if (i < k->n_names || i == VARIABLES)
        return 0;
    if (etf__parse_in_key(p))
        return CN_ESYNTAX;
    k->name[k->n_names++] = (etf_view){(const uint8_t *)p->x.text, p->x.len};
    return 0;
}

static int check_hole(etf__parser *p, char letter) {
    static const uint8_t nil[] = {ETF__NIL};
    checking *k = p->ctx;
    const etf_out *out;
    int err = 0;

    if (p->x.tok == ETF__T_VAR)
        err = check_name(p);
    else if (letter != '_')
        err = etf__parse_in_key(p) ? CN_ESYNTAX
                                   : take_out(&k->out, &k->left, letter, &out);
    if (err == 0)
        etf__parse_term(p, (etf_view){nil, 1});
    return err;
}

static const char more_arguments[] = "more arguments than holes";

/* Looks for a slip in all of the pattern. */
static etf_error run_check(const etf_out *out, size_t n,
                           int (*fill)(etf__parser *p, char letter)) {
    checking k = {.out = out + 1, .left = n - 1};
    const char *pattern = out[0].p;
    etf_error e = {.what = ""};
    etf_writer w;
    etf__parser p;
    int err;

    etf_writer_init_fixed(&w, NULL, 0);
    p.w = &w;
    p.match = true;
    p.fill = fill;
    p.ctx = &k;
    err = etf__parse_run(&p, pattern, strlen(pattern));
    if (err == CN_ELIMIT && p.x.tok == ETF__T_END)
        err = 0; /* that is the writer without room */
    if (err != 0)
        e = (etf_error){err, p.x.at, etf__parse_why(&p, err), false};
    else if (k.left > 0)
        e = (etf_error){CN_EBADARG, p.x.at, more_arguments, false};
    return e;
}

/* A term may fail to match before the slip in the pattern is reached. So that
 * a slip is never taken for another term, look at all of the pattern then. */
static int check_pattern(const etf_out *out, size_t n) {
    etf_error slip = run_check(out, n, check_hole);

    return slip.code != 0 ? slip.code : CN_ETYPE;
}

/* "~b" for a binary, which many messages are, needs no reader. */
static bool match_binary(etf_view term, const etf_out *out) {
    etf_view *bytes = out->p;
    uint32_t n;

    if (out->type != ETF_ARG_VIEW || bytes == NULL || term.len < 5 ||
        term.data[0] != ETF__BINARY)
        return false;
    n = cn__be32(term.data + 1);
    if (n > term.len - 5)
        return false;
    *bytes = (etf_view){term.data + 5, n};
    return true;
}

static int match_hole_alone(etf_view term, char letter, const etf_out *out) {
    etf_reader r;

    etf_reader_init(&r, term);
    return verdict(&r, fill_hole(&r, letter, out));
}

static int run_match(matcher *m, etf_view term, const etf_out *out, size_t n) {
    const char *pattern = out[0].p;
    etf_reader r;

    etf_reader_init(&r, term);
    *m = (matcher){.out = out + 1, .left = n - 1};
    etf__lex_init(&m->x, pattern, strlen(pattern));
    etf__lex_next(&m->x);
    return match_term(m, &r, MATCH_DEPTH);
}

static int match_pattern(etf_view term, const etf_out *out, size_t n) {
    matcher m;
    int err = run_match(&m, term, out, n);

    if (err == CN_ETYPE)
        return check_pattern(out, n);
    if (err != 0)
        return err;
    if (m.x.tok != ETF__T_END)
        return CN_ESYNTAX;
    return m.left > 0 ? CN_EBADARG : 0;
}

static bool match_has_pattern(const etf_out *out, size_t n) {
    return n > 0 && n <= ETF_ARGS_MAX + 1 && out[0].type == ETF_ARG_FORMAT &&
           out[0].p != NULL;
}

int etf_match_args(etf_view term, const etf_out *out, size_t n) {
    char letter;

    if (!match_has_pattern(out, n))
        return CN_EBADARG;
    letter = n == 2 ? lone_hole(out[0].p) : '\0';
    if (letter == 'b' && match_binary(term, out + 1))
        return 0;
    if (letter != '\0' && fits(out + 1, letter))
        return match_hole_alone(term, letter, out + 1);
    return match_pattern(term, out, n);
}

/* --- why ------------------------------------------------------------------
 *
 * The same calls on a slow way, which the others do not pay for.
 */

static const char no_pattern[] = "no pattern, or more than 16 arguments";
static const char in_a_key[] = "in the key of a map: a hole, or a new name";

/* What the argument of this hole is to be. */
static const char *hole_takes(char letter, bool match) {
    switch (letter) {
    case 'i':
        return match ? "~i needs a pointer to an integer that is not char"
                     : "~i needs an integer";
    case 'f':
        return match ? "~f needs a pointer to a double" : "~f needs a double";
    case 'p':
        return "~p needs a pointer to an etf_pid";
    case 'r':
        return "~r needs a pointer to an etf_ref";
    case 'o':
        return "~o needs a pointer to an etf_port";
    case 'l':
        return "~l needs a pointer to an etf_list";
    case 't':
        return match ? "~t needs a pointer to an etf_view"
                     : "~t needs an etf_view of a term";
    default:
        return match ? "~a, ~b and ~s need a pointer to an etf_view"
                     : "~a, ~b and ~s need a const char * or an etf_view";
    }
}

/* Why a hole was refused before which there were `left` arguments; NULL for
 * what is no hole. */
static const char *hole_why(char letter, size_t left, bool match) {
    if (letter == '_')
        return NULL;
    if (!is_hole(letter))
        return "a hole of no known letter: ~a ~b ~f ~i ~l ~o ~p ~r ~s ~t";
    return left == 0 ? "a hole without an argument" : hole_takes(letter, match);
}

/* Why the writer refused a value of the right type. */
static const char *value_why(char letter, int err) {
    if (err == CN_EBADARG && letter == 'a')
        return "text that is not UTF-8";
    if (err == CN_EBADARG && letter == 't')
        return "a view that holds no term";
    if (err == CN_EBADARG)
        return "an identifier whose node is not UTF-8 or not of node_len";
    if (err == CN_ELIMIT && letter == 'a')
        return "an atom of more than 255 characters";
    return err == CN_ERANGE ? "a float that is no number" : cn_strerror(err);
}

static int pack_hole_why(etf__parser *p, char letter) {
    packing *k = p->ctx;
    size_t left = k->left;
    int err = pack_hole(p, letter);

    if (err == CN_ESYNTAX || err == CN_EBADARG)
        p->why = hole_why(letter, left, false);
    if (err != 0 || etf__put_counts(p->w))
        return err;
    p->why = value_why(letter, p->w->err);
    return p->w->err;
}

int etf_pack_why_args(etf_writer *w, etf_error *e, const etf_in *in, size_t n) {
    packing k = {in + 1, n - 1};
    etf__parser p = {.w = w, .fill = pack_hole_why, .ctx = &k};
    int err;

    *e = (etf_error){.what = ""};
    if (w->err != 0 || !pack_has_pattern(in, n)) {
        e->what = w->err != 0 ? "an error from before" : no_pattern;
        etf_writer_fail(w, CN_EBADARG);
        return e->code = w->err;
    }
    err = etf__parse_run(&p, in[0].v.str, strlen(in[0].v.str));
    if (err != 0)
        *e = (etf_error){err, p.x.at, etf__parse_why(&p, err), false};
    else if (k.left > 0)
        *e = (etf_error){CN_EBADARG, p.x.at, more_arguments, false};
    if (k.left > 0)
        etf_writer_fail(w, CN_EBADARG);
    return w->err;
}

static int check_hole_why(etf__parser *p, char letter) {
    const checking *k = p->ctx;
    size_t left = k->left;
    int err = check_hole(p, letter);

    if (err != 0)
        p->why = etf__parse_in_key(p) ? in_a_key : hole_why(letter, left, true);
    return err;
}

/* What a hole did not find. */
static const char *hole_misses(char letter) {
    switch (letter) {
    case 'a':
        return "no atom for ~a";
    case 'b':
        return "no binary for ~b";
    case 's':
        return "no binary or list of bytes for ~s";
    case 'i':
        return "no integer for ~i, or one that does not fit";
    case 'f':
        return "no float for ~f";
    case 'p':
        return "no pid for ~p";
    case 'r':
        return "no reference for ~r";
    case 'o':
        return "no port for ~o";
    case 'l':
        return "no proper list for ~l";
    default:
        return "no term for ~t";
    }
}

/* Why a match ended at its token, where the pattern as such is right. */
static const char *match_why(const matcher *m, int err) {
    etf__tok tok = m->x.tok;

    if (err == CN_ETYPE)
        return tok == ETF__T_HOLE ? hole_misses((char)m->x.value)
                                  : "the term is another one here";
    if (err == CN_ELIMIT)
        return tok == ETF__T_VAR ? "more than 8 names"
                                 : "brackets nested deeper than 32";
    return err == CN_ESYNTAX ? "not expected in a match" : cn_strerror(err);
}

int etf_match_why_args(etf_view term, etf_error *e, const etf_out *out,
                       size_t n) {
    int err = etf_match_args(term, out, n);
    matcher m;

    *e = (etf_error){.what = ""};
    if (err != 0 && !match_has_pattern(out, n))
        e->what = no_pattern;
    else if (err != 0)
        *e = run_check(out, n, check_hole_why);
    if (err != 0 && e->what[0] == '\0') {
        (void)run_match(&m, term, out, n);
        e->at = m.x.at;
        e->what = match_why(&m, err);
    }
    return e->code = err;
}
