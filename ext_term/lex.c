/* SPDX-License-Identifier: Apache-2.0
 *
 * lex.c: Erlang's text as tokens. Follows erl_scan for what a literal term
 * consists of; words that Erlang reserves are taken as atoms, except fun.
 * https://www.erlang.org/doc/system/data_types.html
 */
#include "ext_term/lex.h"

void etf__lex_init(etf__lex *x, const char *in, size_t n) {
    *x = (etf__lex){.in = in, .n = n};
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static size_t left(const etf__lex *x) {
    return x->n - x->next;
}

static bool starts(const etf__lex *x, const char *text) {
    size_t n = strlen(text);

    return left(x) >= n && memcmp(x->in + x->next, text, n) == 0;
}

static void blanks(etf__lex *x) {
    while (left(x) > 0) {
        if (x->in[x->next] == '%')
            while (left(x) > 0 && x->in[x->next] != '\n')
                x->next++;
        else if (is_blank(x->in[x->next]))
            x->next++;
        else
            return;
    }
}

static void token(etf__lex *x, etf__tok tok, size_t n) {
    x->tok = tok;
    x->next += n;
}

/* --- numbers ---------------------------------------------------------------
 */

static unsigned digit_of(char c) {
    if (is_digit(c))
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A') + 10;
    return 99;
}

/* Digits of the base with single underscores between them. */
static size_t digits(const etf__lex *x, size_t from, unsigned base) {
    size_t i = from;

    while (i < x->n) {
        if (digit_of(x->in[i]) < base)
            i++;
        else if (i > from && x->in[i] == '_' && i + 1 < x->n &&
                 digit_of(x->in[i + 1]) < base)
            i += 2;
        else
            break;
    }
    return i - from;
}

static size_t fraction(const etf__lex *x, size_t dot) {
    size_t i = dot, k;

    if (i + 1 >= x->n || x->in[i] != '.' || !is_digit(x->in[i + 1]))
        return 0;
    for (i++; i < x->n && is_digit(x->in[i]);)
        i++;
    if (i == x->n || (x->in[i] != 'e' && x->in[i] != 'E'))
        return i - dot;
    k = i + 1;
    if (k < x->n && (x->in[k] == '-' || x->in[k] == '+'))
        k++;
    if (k == x->n || !is_digit(x->in[k]))
        return i - dot;
    while (k < x->n && is_digit(x->in[k]))
        k++;
    return k - dot;
}

static void based(etf__lex *x, size_t start, size_t n) {
    unsigned base = 0;

    for (size_t i = 0; i < n && base <= 36; i++)
        base = base * 10 + digit_of(x->in[start + i]);
    x->text = x->in + start + n + 1;
    x->len = base >= 2 && base <= 36 ? digits(x, start + n + 1, base) : 0;
    x->base = (uint8_t)base;
    x->next = start + n + 1 + x->len;
    x->tok = x->len > 0 ? ETF__T_INT : ETF__T_BAD;
}

static void number(etf__lex *x) {
    size_t start = x->next + (x->negative ? 1 : 0), n, f;

    n = digits(x, start, 10);
    f = fraction(x, start + n);
    if (f > 0) {
        x->text = x->in + x->next;
        x->len = start + n + f - x->next;
        token(x, ETF__T_FLOAT, x->len);
    } else if (start + n < x->n && x->in[start + n] == '#' && n <= 2) {
        based(x, start, n);
    } else {
        x->base = 10;
        x->text = x->in + start;
        x->len = n;
        x->next = start;
        token(x, ETF__T_INT, n);
    }
}

bool etf__lex_u64(const etf__lex *x, uint64_t *magnitude) {
    uint64_t v = 0;

    if (x->tok == ETF__T_CHAR) {
        *magnitude = x->value;
        return true;
    }
    for (size_t i = 0; i < x->len; i++) {
        if (x->text[i] == '_')
            continue;
        if (__builtin_mul_overflow(v, x->base, &v) ||
            __builtin_add_overflow(v, digit_of(x->text[i]), &v))
            return false;
    }
    *magnitude = v;
    return true;
}

/* --- characters --------------------------------------------------------------
 */

static int hex_escape(etf__chars *s, uint32_t *c) {
    bool braces = s->left > 0 && *s->p == '{';
    size_t i = braces ? 1 : 0, from = i, max = braces ? 8 : 2;

    *c = 0;
    while (i < s->left && i - from < max && digit_of(s->p[i]) < 16)
        *c = *c << 4 | digit_of(s->p[i++]);
    if (i == from || (!braces && i != 2))
        return -1;
    if (braces && (i == s->left || s->p[i++] != '}'))
        return -1;
    s->p += i;
    s->left -= i;
    return 1;
}

static int octal_escape(etf__chars *s, uint32_t *c) {
    size_t i = 0;

    *c = 0;
    while (i < s->left && i < 3 && s->p[i] >= '0' && s->p[i] <= '7')
        *c = *c << 3 | digit_of(s->p[i++]);
    s->p += i;
    s->left -= i;
    return 1;
}

/* One character as it stands. */
static int verbatim(etf__chars *s, uint32_t *c) {
    size_t k = etf__utf8_get((const uint8_t *)s->p, s->left, c);

    s->p += k;
    s->left -= k;
    return k > 0 ? 1 : -1;
}

static int control_escape(etf__chars *s, uint32_t *c) {
    if (s->left == 0 || *s->p < '@' || *s->p > '_')
        return -1;
    *c = (uint32_t)*s->p - '@';
    s->p++;
    s->left--;
    return 1;
}

static int escape(etf__chars *s, uint32_t *c) {
    static const char name[] = "bdefnrstv";
    static const char value[] = "\b\177\033\f\n\r \t\v";
    const char *hit;

    if (s->left == 0)
        return -1;
    if (*s->p >= '0' && *s->p <= '7')
        return octal_escape(s, c);
    hit = *s->p == '\0' ? NULL : strchr(name, *s->p);
    if (hit == NULL && *s->p != 'x' && *s->p != '^')
        return verbatim(s, c);
    s->left--;
    if (*s->p++ == 'x')
        return hex_escape(s, c);
    if (hit == NULL)
        return control_escape(s, c);
    *c = (uint32_t)value[hit - name];
    return 1;
}

etf__chars etf__lex_chars(const etf__lex *x) {
    return (etf__chars){x->text, x->len};
}

int etf__chars_next(etf__chars *s, uint32_t *c) {
    uint8_t is_char[4];

    if (s->left == 0)
        return 0;
    if (*s->p != '\\')
        return verbatim(s, c);
    s->p++;
    s->left--;
    if (escape(s, c) < 0)
        return -1;
    return etf__utf8_put(is_char, *c) > 0 ? 1 : -1;
}

/* $a, $\n */
static void character(etf__lex *x) {
    etf__chars s = {x->in + x->next + 1, left(x) - 1};

    if (etf__chars_next(&s, &x->value) != 1)
        token(x, ETF__T_BAD, 0);
    else
        token(x, ETF__T_CHAR, left(x) - s.left);
}

/* --- atoms and strings
 * --------------------------------------------------------- */

static void quoted(etf__lex *x, etf__tok tok) {
    size_t i = x->next + 1;

    x->text = x->in + i;
    x->plain = true;
    while (i < x->n && x->in[i] != x->in[x->next]) {
        if (x->in[i] == '\\') {
            x->plain = false;
            i++;
        }
        i++;
    }
    if (i >= x->n) {
        token(x, ETF__T_BAD, 0);
        return;
    }
    x->len = i - x->next - 1;
    token(x, tok, x->len + 2);
}

bool etf__is_lower(uint32_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 0xdf && c <= 0xff && c != 0xf7);
}

bool etf__is_name(uint32_t c) {
    return etf__is_lower(c) || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '@' ||
           (c >= 0xc0 && c <= 0xde && c != 0xd7);
}

static bool word(etf__lex *x) {
    etf__chars s = {x->in + x->next, left(x)};
    uint32_t c;
    size_t n = 0;

    if (verbatim(&s, &c) != 1 || !etf__is_lower(c))
        return false;
    do
        n = left(x) - s.left;
    while (s.left > 0 && verbatim(&s, &c) == 1 && etf__is_name(c));
    x->text = x->in + x->next;
    x->len = n;
    x->plain = true;
    token(x, ETF__T_ATOM, n);
    if (n == 3 && memcmp(x->text, "fun", 3) == 0)
        x->tok = ETF__T_FUN;
    return true;
}

int etf__lex_atom(const etf__lex *x, char room[ETF__ATOM_BYTES], size_t *n) {
    etf__chars s = etf__lex_chars(x);
    uint32_t c;
    int more;

    *n = 0;
    for (size_t chars = 0; (more = etf__chars_next(&s, &c)) == 1; chars++) {
        if (chars == ETF__ATOM_CHARS)
            return CN_ELIMIT;
        *n += etf__utf8_put((uint8_t *)room + *n, c);
    }
    return more == 0 ? 0 : CN_ESYNTAX;
}

/* --- tokens
 * ---------------------------------------------------------------------- */

static const struct fixed {
    const char *text;
    etf__tok tok;
    char value;
} fixed[] = {
    {"#{", ETF__T_MAP, 0},     {"<<", ETF__T_BIN, 0},
    {">>", ETF__T_BIN_END, 0}, {"=>", ETF__T_ARROW, 0},
    {"#Pid<", ETF__T_ID, 'P'}, {"#Port<", ETF__T_ID, 'O'},
    {"#Ref<", ETF__T_ID, 'R'},
};

static bool fixed_text(etf__lex *x) {
    if (strchr("#<>=", x->in[x->next]) == NULL || x->in[x->next] == '\0')
        return false;
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (!starts(x, fixed[i].text))
            continue;
        x->value = (uint32_t)fixed[i].value;
        token(x, fixed[i].tok, strlen(fixed[i].text));
        return true;
    }
    return false;
}

static void other(etf__lex *x) {
    char c = x->in[x->next];

    if (c == '~' && left(x) > 1) {
        x->value = (uint8_t)x->in[x->next + 1];
        token(x, ETF__T_HOLE, 2);
    } else if (c == '_') {
        token(x, ETF__T_ANY, 1);
    } else if (c != '\0' && strchr("{}[]|,:/>.", c) != NULL) {
        x->value = (uint8_t)c;
        token(x, ETF__T_PUNCT, 1);
    } else {
        token(x, ETF__T_BAD, 0);
    }
}

void etf__lex_next(etf__lex *x) {
    char c;

    blanks(x);
    x->at = x->next;
    if (left(x) == 0) {
        x->tok = ETF__T_END;
        return;
    }
    c = x->in[x->next];
    x->negative = c == '-' && left(x) > 1 && is_digit(x->in[x->next + 1]);
    if (x->negative || is_digit(c))
        number(x);
    else if (c == '"')
        quoted(x, ETF__T_STRING);
    else if (c == '\'')
        quoted(x, ETF__T_ATOM);
    else if (c == '$')
        character(x);
    else if (c >= 'a' && c <= 'z')
        (void)word(x);
    else if (!fixed_text(x) && !word(x))
        other(x);
}

bool etf__lex_is(const etf__lex *x, char c) {
    return x->tok == ETF__T_PUNCT && x->value == (uint8_t)c;
}

/* --- identifiers
 * ------------------------------------------------------------------ */

/* A dot and a decimal number; "1.2" must not become a float here. */
static bool field(etf__lex *x, uint64_t max, uint64_t *v) {
    size_t i = x->next + 1, from = i;

    *v = 0;
    if (left(x) == 0 || x->in[x->next] != '.')
        return false;
    for (; i < x->n && is_digit(x->in[i]); i++)
        if (__builtin_mul_overflow(*v, 10, v) ||
            __builtin_add_overflow(*v, digit_of(x->in[i]), v))
            return false;
    x->next = i;
    return i > from && *v <= max;
}

static bool field32(etf__lex *x, uint32_t *v) {
    uint64_t wide;
    bool good = field(x, UINT32_MAX, &wide);

    *v = (uint32_t)wide;
    return good;
}

static int node_name(etf__lex *x, char node[ETF_NODE_MAX + 1], uint16_t *len) {
    char room[ETF__ATOM_BYTES];
    size_t n;
    int err;

    etf__lex_next(x);
    if (x->tok != ETF__T_ATOM)
        return CN_ESYNTAX;
    err = etf__lex_atom(x, room, &n);
    if (err != 0)
        return err;
    if (n > ETF_NODE_MAX)
        return CN_ELIMIT;
    memcpy(node, room, n);
    node[n] = '\0';
    *len = (uint16_t)n;
    return 0;
}

static int read_pid(etf__lex *x, etf_pid *pid) {
    int err = node_name(x, pid->node, &pid->node_len);

    if (err != 0)
        return err;
    return field32(x, &pid->id) && field32(x, &pid->serial) &&
                   field32(x, &pid->creation)
               ? 0
               : CN_ESYNTAX;
}

static int read_port(etf__lex *x, etf_port *port) {
    int err = node_name(x, port->node, &port->node_len);

    if (err != 0)
        return err;
    return field(x, UINT64_MAX, &port->id) && field32(x, &port->creation)
               ? 0
               : CN_ESYNTAX;
}

static int read_ref(etf__lex *x, etf_ref *ref) {
    int err = node_name(x, ref->node, &ref->node_len);

    if (err != 0)
        return err;
    if (!field32(x, &ref->creation))
        return CN_ESYNTAX;
    while (left(x) > 0 && x->in[x->next] == '.') {
        if (ref->n == ETF_REF_WORDS || !field32(x, &ref->ids[ref->n]))
            return CN_ESYNTAX;
        ref->n++;
    }
    return 0;
}

int etf__lex_identifier(etf__lex *x, etf__lex_id *out) {
    int err;

    memset(out, 0, sizeof *out);
    out->kind = (char)x->value;
    if (out->kind == 'P')
        err = read_pid(x, &out->u.pid);
    else if (out->kind == 'O')
        err = read_port(x, &out->u.port);
    else
        err = read_ref(x, &out->u.ref);
    if (err != 0)
        return err;
    /* Not the next token, which could be the >> around it. */
    if (left(x) == 0 || x->in[x->next] != '>')
        return CN_ESYNTAX;
    x->next++;
    return 0;
}

static int export_atom(etf__lex *x, char out[ETF__ATOM_BYTES + 1], size_t *n,
                       char then) {
    int err;

    etf__lex_next(x);
    if (x->tok != ETF__T_ATOM)
        return CN_ESYNTAX;
    err = etf__lex_atom(x, out, n);
    if (err != 0)
        return err;
    out[*n] = '\0';
    etf__lex_next(x);
    return etf__lex_is(x, then) ? 0 : CN_ESYNTAX;
}

int etf__lex_export_read(etf__lex *x, etf__lex_export *out) {
    uint64_t arity;
    int err = export_atom(x, out->module, &out->module_len, ':');

    if (err == 0)
        err = export_atom(x, out->function, &out->function_len, '/');
    if (err != 0)
        return err;
    etf__lex_next(x);
    if (x->tok != ETF__T_INT || x->negative || !etf__lex_u64(x, &arity) ||
        arity > UINT8_MAX)
        return CN_ESYNTAX;
    out->arity = (uint8_t)arity;
    return 0;
}

/* --- binaries
 * ------------------------------------------------------------------------ */

typedef struct packer {
    etf__put_bits put;
    void *ctx;
    uint8_t part; /* bits that wait for their byte, from the left */
    unsigned bits;
} packer;

static bool add_bits(packer *p, uint64_t v, unsigned bits) {
    uint8_t full;

    while (bits > 0) {
        unsigned take = 8 - p->bits < bits ? 8 - p->bits : bits;
        unsigned value = (unsigned)(v >> (bits - take)) & ((1U << take) - 1);

        p->part = (uint8_t)(p->part | value << (8 - p->bits - take));
        p->bits += take;
        bits -= take;
        if (p->bits < 8)
            continue;
        full = p->part;
        p->part = 0;
        p->bits = 0;
        if (!p->put(p->ctx, full, 8))
            return false;
    }
    return true;
}

static bool add_utf8(packer *p, uint32_t c) {
    uint8_t out[4];
    size_t n = etf__utf8_put(out, c);

    for (size_t i = 0; i < n; i++)
        if (!add_bits(p, out[i], 8))
            return false;
    return n > 0;
}

/* Behind a segment: /utf8? The token is then behind it. */
static int utf8_suffix(etf__lex *x, bool *utf8) {
    *utf8 = etf__lex_is(x, '/');
    if (!*utf8)
        return 0;
    etf__lex_next(x);
    if (x->tok != ETF__T_ATOM || x->len != 4 || memcmp(x->text, "utf8", 4) != 0)
        return CN_ESYNTAX;
    etf__lex_next(x);
    return 0;
}

/* Without /utf8 a character gives its low byte, as in Erlang. */
static int string_segment(etf__lex *x, packer *p) {
    etf__chars s = etf__lex_chars(x);
    uint32_t c;
    bool utf8;
    int err, more;

    etf__lex_next(x);
    err = utf8_suffix(x, &utf8);
    if (err != 0)
        return err;
    while ((more = etf__chars_next(&s, &c)) == 1)
        if (!(utf8 ? add_utf8(p, c) : add_bits(p, c & 0xff, 8)))
            return CN_ETYPE;
    return more == 0 ? 0 : CN_ESYNTAX;
}

static int size_suffix(etf__lex *x, unsigned *bits) {
    uint64_t size;

    *bits = 8;
    if (!etf__lex_is(x, ':'))
        return 0;
    etf__lex_next(x);
    if (x->tok != ETF__T_INT || x->negative || !etf__lex_u64(x, &size))
        return CN_ESYNTAX;
    if (size > 64)
        return CN_ELIMIT;
    *bits = (unsigned)size;
    etf__lex_next(x);
    return 0;
}

static int int_segment(etf__lex *x, packer *p) {
    bool negative = x->tok == ETF__T_INT && x->negative, utf8;
    unsigned bits;
    uint64_t v;
    int err;

    if (!etf__lex_u64(x, &v))
        return CN_ELIMIT;
    etf__lex_next(x);
    err = size_suffix(x, &bits);
    if (err == 0)
        err = utf8_suffix(x, &utf8);
    if (err != 0)
        return err;
    if (utf8 && (negative || v > 0x10ffff || !add_utf8(p, (uint32_t)v)))
        return CN_ESYNTAX;
    if (!utf8 && !add_bits(p, negative ? 0 - v : v, bits))
        return CN_ETYPE;
    return 0;
}

static int segment(etf__lex *x, packer *p) {
    if (x->tok == ETF__T_STRING)
        return string_segment(x, p);
    if (x->tok == ETF__T_INT || x->tok == ETF__T_CHAR)
        return int_segment(x, p);
    return CN_ESYNTAX;
}

int etf__lex_binary(etf__lex *x, etf__put_bits put, void *ctx) {
    packer p = {.put = put, .ctx = ctx};
    int err;

    etf__lex_next(x);
    if (x->tok == ETF__T_BIN_END)
        return 0;
    for (;;) {
        err = segment(x, &p);
        if (err != 0)
            return err;
        if (x->tok == ETF__T_BIN_END)
            break;
        if (!etf__lex_is(x, ','))
            return CN_ESYNTAX;
        etf__lex_next(x);
    }
    return p.bits == 0 || p.put(ctx, p.part, p.bits) ? 0 : CN_ETYPE;
}
