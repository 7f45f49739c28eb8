/* SPDX-License-Identifier: Apache-2.0
 *
 * lex.c: Erlang's text as tokens. Follows erl_scan for what a literal term
 * consists of; words that Erlang reserves are taken as atoms, except fun.
 * https://www.erlang.org/doc/system/data_types.html
 */
#include <limits.h>
#include <math.h>

#include "ext_term/lex.h"

void etf__lex_init(etf__lex *x, const char *in, size_t n) {
    *x = (etf__lex){.in = in, .n = n, .holes = true};
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

static void bad(etf__lex *x, const char *why) {
    x->why = why;
    token(x, ETF__T_BAD, 0);
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
    size_t i = dot + 1, k;

    if (dot >= x->n || x->in[dot] != '.')
        return 0;
    k = digits(x, i, 10);
    if (k == 0)
        return 0;
    i += k;
    if (i == x->n || (x->in[i] != 'e' && x->in[i] != 'E'))
        return i - dot;
    k = i + 1;
    if (k < x->n && (x->in[k] == '-' || x->in[k] == '+'))
        k++;
    return digits(x, k, 10) == 0 ? i - dot : k + digits(x, k, 10) - dot;
}

/* #e-12 behind a float in a base of its own; its length, or 0. */
static size_t based_exponent(const etf__lex *x, size_t at) {
    size_t i = at, k;

    if (x->n - at < 2 || x->in[i++] != '#' || (x->in[i++] | 0x20) != 'e')
        return 0;
    if (i < x->n && (x->in[i] == '-' || x->in[i] == '+'))
        i++;
    k = digits(x, i, 10);
    return k > 0 ? i + k - at : 0;
}

/* 16#1.8#e2 of release 28: behind the digits before the dot. */
static void based_float(etf__lex *x, unsigned base) {
    size_t n;

    if (x->next == x->n || x->in[x->next] != '.')
        return;
    n = digits(x, x->next + 1, base);
    if (n == 0)
        return;
    n += 1 + based_exponent(x, x->next + 1 + n);
    if ((base & (base - 1)) != 0) {
        bad(x, "a float in a base that is no power of two");
        return;
    }
    x->len += n;
    token(x, ETF__T_FLOAT, n);
}

static void based(etf__lex *x, size_t start, size_t n) {
    unsigned base = 0;

    for (size_t i = start; i < start + n && base <= 36; i++)
        if (x->in[i] != '_')
            base = base * 10 + digit_of(x->in[i]);
    x->text = x->in + start + n + 1;
    x->len = base >= 2 && base <= 36 ? digits(x, start + n + 1, base) : 0;
    x->base = (uint8_t)base;
    x->next = start + n + 1 + x->len;
    x->tok = x->len > 0 ? ETF__T_INT : ETF__T_BAD;
    if (x->len > 0)
        based_float(x, base);
}

static void number(etf__lex *x) {
    size_t start = x->next + (x->negative ? 1 : 0), n, f;

    n = digits(x, start, 10);
    f = fraction(x, start + n);
    if (f > 0) {
        x->text = x->in + x->next;
        x->len = start + n + f - x->next;
        x->base = 10;
        token(x, ETF__T_FLOAT, x->len);
    } else if (start + n < x->n && x->in[start + n] == '#') {
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

/* In a base of a power of two, digits and exponent are bits. Of digits that
 * there is no room for it only matters whether they are all 0. */
static uint64_t based_mantissa(const etf__lex *x, int bits, size_t n,
                               int64_t *exponent) {
    bool behind = false;
    uint64_t m = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned digit = digit_of(x->text[i]);

        behind = behind || x->text[i] == '.';
        if (x->text[i] == '.' || x->text[i] == '_')
            continue;
        if (m >> (64 - bits) == 0) {
            m = m << bits | digit;
            *exponent -= behind;
        } else {
            m |= digit != 0;
            *exponent += !behind;
        }
    }
    return m;
}

static bool read_based(const etf__lex *x, double *v) {
    const char *mark = memchr(x->text, '#', x->len);
    size_t n = mark == NULL ? x->len : (size_t)(mark - x->text), i = n + 2;
    bool minus = i < x->len && x->text[i] == '-';
    int bits = __builtin_ctz(x->base);
    int64_t given = 0, exponent = 0;
    uint64_t m;

    for (; i < x->len; i++)
        if (is_digit(x->text[i]) && given < 100000)
            given = given * 10 + (x->text[i] - '0');
    m = based_mantissa(x, bits, n, &exponent);
    exponent = (exponent + (minus ? -given : given)) * bits;
    if (exponent < INT_MIN / 2 || exponent > INT_MAX / 2)
        return false;
    *v = ldexp((double)m, (int)exponent);
    *v = x->negative ? -*v : *v;
    return isfinite(*v);
}

/* The nearest double needs no more digits than there is room for. */
bool etf__lex_float(const etf__lex *x, double *v) {
    char copy[1024];
    size_t n = 0;

    if (x->base != 10)
        return read_based(x, v);

    for (size_t i = 0; i < x->len; i++) {
        if (x->text[i] == '_')
            continue;
        if (n == sizeof copy)
            return false;
        copy[n++] = x->text[i];
    }
    return etf__float_scan(copy, n, v);
}

/* --- characters --------------------------------------------------------------
 */

static int hex_escape(etf__chars *s, uint32_t *c) {
    bool braces = s->left > 0 && *s->p == '{';
    size_t i = braces ? 1 : 0, from = i;

    *c = 0;
    for (; i < s->left && digit_of(s->p[i]) < 16 && (braces || i < 2); i++)
        if (*c <= 0x10ffff) /* else it is no character, and stays so */
            *c = *c << 4 | digit_of(s->p[i]);
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

/* At the end of a line? */
static bool ends_line(const char *p, size_t left) {
    return left > 0 &&
           (*p == '\n' || (left > 1 && p[0] == '\r' && p[1] == '\n'));
}

/* A new line in triple quotes is followed by their indentation, which the lexer
 * has seen, unless the line is empty. */
static void skip_indent(etf__chars *s) {
    size_t n = s->indent < s->left ? s->indent : s->left;

    if (ends_line(s->p, s->left))
        return;
    s->p += n;
    s->left -= n;
}

/* One character as it stands. */
static int verbatim(etf__chars *s, uint32_t *c) {
    size_t k = etf__utf8_get((const uint8_t *)s->p, s->left, c);

    s->p += k;
    s->left -= k;
    if (k > 0 && *c == '\n' && s->indent > 0)
        skip_indent(s);
    return k > 0 ? 1 : -1;
}

/* \^A is 1; \^? is 127 */
static int control_escape(etf__chars *s, uint32_t *c) {
    if (s->left == 0 || *s->p < '?' || *s->p > '~')
        return -1;
    *c = *s->p == '?' ? 127 : (uint32_t)*s->p & 31;
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
    return (etf__chars){x->text, x->len, x->indent, x->verbatim};
}

int etf__chars_next(etf__chars *s, uint32_t *c) {
    uint8_t is_char[4];

    if (s->left == 0)
        return 0;
    if (s->verbatim || *s->p != '\\')
        return verbatim(s, c);
    s->p++;
    s->left--;
    if (escape(s, c) < 0)
        return -1;
    return etf__utf8_put(is_char, *c) > 0 ? 1 : -1;
}

/* Behind a failure c is 0, or what an escape in hexadecimal says. */
const char *etf__chars_why(etf__chars s) {
    uint8_t room[4];
    const char *p;
    uint32_t c;
    int more;

    do {
        p = s.p;
        c = 0;
        more = etf__chars_next(&s, &c);
    } while (more == 1);
    if (more == 0)
        return NULL;
    if (s.verbatim || *p != '\\' || (s.left > 0 && (uint8_t)*s.p >= 0x80))
        return "bytes that are not UTF-8";
    return etf__utf8_put(room, c) == 0
               ? "a character that Unicode does not have"
               : "an escape that Erlang does not have";
}

/* $a, $\n */
static void character(etf__lex *x) {
    etf__chars s = {.p = x->in + x->next + 1, .left = left(x) - 1};

    etf__chars from = s;

    if (etf__chars_next(&s, &x->value) != 1)
        bad(x, etf__chars_why(from));
    else
        token(x, ETF__T_CHAR, left(x) - s.left);
}

/* --- atoms and strings ---------------------------------------------------- */

/* From the quote at `from` to the one that ends it. */
static void delimited(etf__lex *x, size_t from, char end, etf__tok tok) {
    size_t i = from + 1;

    x->text = x->in + i;
    x->plain = true;
    while (i < x->n && x->in[i] != end) {
        if (x->in[i] == '\\' && !x->verbatim) {
            x->plain = false;
            i++;
        }
        i++;
    }
    if (i >= x->n) {
        bad(x, "a quote that is not closed");
        return;
    }
    x->len = i - from - 1;
    x->tok = tok;
    x->next = i + 1;
}

static size_t run_of(const etf__lex *x, size_t at, char c) {
    size_t n = 0;

    while (at + n < x->n && x->in[at + n] == c)
        n++;
    return n;
}

static size_t blanks_at(const etf__lex *x, size_t at) {
    size_t n = 0;

    while (at + n < x->n && is_blank(x->in[at + n]) && x->in[at + n] != '\n')
        n++;
    return n;
}

/* The quotes at `at`. Where they are no triple ones, each two of them are a
 * token, which must not count the others again. */
static size_t quotes_at(etf__lex *x, size_t at) {
    if (at >= x->quotes)
        x->quotes = at + run_of(x, at, '"');
    return x->quotes - at;
}

/* Do three quotes or more begin a text over lines? Only blanks may follow. */
static bool triple(etf__lex *x, size_t at, size_t *quotes, size_t *first_line) {
    size_t behind;

    *quotes = quotes_at(x, at);
    behind = at + *quotes + blanks_at(x, at + *quotes);
    *first_line = behind + 1;
    return *quotes >= 3 && behind < x->n && x->in[behind] == '\n';
}

/* The line at `at` without the indentation; false when it has less, and is not
 * empty. */
static bool has_indent(const etf__lex *x, size_t at, const char *indent,
                       size_t n) {
    if (ends_line(x->in + at, x->n - at))
        return true;
    return x->n - at >= n && memcmp(x->in + at, indent, n) == 0;
}

static size_t next_line(const etf__lex *x, size_t at) {
    const char *end = memchr(x->in + at, '\n', x->n - at);

    return end == NULL ? x->n : (size_t)(end - x->in) + 1;
}

/* Where the line with the closing quotes is, or x->n. */
static size_t closing_line(const etf__lex *x, size_t at, size_t quotes) {
    while (at < x->n && run_of(x, at + blanks_at(x, at), '"') < quotes)
        at = next_line(x, at);
    return at;
}

/* The lines between, without what the closing quotes are indented by. */
static void triple_quoted(etf__lex *x, size_t first, size_t quotes,
                          etf__tok tok) {
    size_t last = closing_line(x, first, quotes);
    size_t indent = last < x->n ? blanks_at(x, last) : 0;

    if (last == x->n) {
        bad(x, "triple quotes that are not closed");
        return;
    }
    for (size_t at = first; at < last; at = next_line(x, at))
        if (!has_indent(x, at, x->in + last, indent)) {
            bad(x, "a line that is less indented than its closing quotes");
            return;
        }
    x->indent = indent;
    x->plain = false;
    x->text = x->in + first;
    x->len = last > first ? last - first - 1 : 0;
    if (x->len > 0 && x->text[x->len - 1] == '\r')
        x->len--;
    if (x->len >= indent && !ends_line(x->text, x->len)) {
        x->text += indent;
        x->len -= indent;
    }
    x->next = last + indent + quotes;
    x->tok = tok;
}

static void string(etf__lex *x) {
    size_t quotes, first;

    if (triple(x, x->next, &quotes, &first)) {
        x->verbatim = true;
        triple_quoted(x, first, quotes, ETF__T_STRING);
    } else {
        delimited(x, x->next, '"', ETF__T_STRING);
    }
}

/* ~"...", ~s, ~S, ~b and ~B; false when it is none. A capital takes the text
 * as it stands, and so do triple quotes without a letter. */
static bool sigil(etf__lex *x) {
    static const char opening[] = "\"'([{</|`#", closing[] = "\"')]}>/|`#";
    char letter = left(x) > 1 ? x->in[x->next + 1] : 0;
    bool named = letter != 0 && strchr("sSbB", letter) != NULL;
    size_t at = x->next + (named ? 2 : 1), quotes, first;
    const char *hit;
    etf__tok tok;

    if (at >= x->n || x->in[at] == '\0' || (x->holes && x->in[at] != '"'))
        return false;
    hit = strchr(opening, x->in[at]);
    if (hit == NULL)
        return false;
    tok = named && (letter | 0x20) == 's' ? ETF__T_STRING : ETF__T_BIN;
    x->sigil = true;
    x->verbatim = letter == 'S' || letter == 'B';
    if (triple(x, at, &quotes, &first)) {
        x->verbatim = x->verbatim || !named;
        triple_quoted(x, first, quotes, tok);
    } else {
        delimited(x, at, closing[hit - opening], tok);
    }
    return true;
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
    etf__chars s = {.p = x->in + x->next, .left = left(x)};
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

/* --- tokens --------------------------------------------------------------- */

static const struct fixed {
    const char *text;
    etf__tok tok;
    char value;
} fixed[] = {
    {"#{", ETF__T_MAP, 0},      {"<<", ETF__T_BIN, 0},
    {">>", ETF__T_BIN_END, 0},  {"=>", ETF__T_ARROW, 0},
    {":=", ETF__T_EXACT, 0},    {"#Pid<", ETF__T_ID, 'P'},
    {"#Port<", ETF__T_ID, 'O'}, {"#Ref<", ETF__T_ID, 'R'},
    {"#", ETF__T_PUNCT, '#'},   {"=", ETF__T_PUNCT, '='},
};

static bool fixed_text(etf__lex *x) {
    if (strchr("#<>=:", x->in[x->next]) == NULL || x->in[x->next] == '\0')
        return false;
    if (starts(x, "#Fun<")) {
        bad(x, "a function with a body, which has no literal");
        return true;
    }
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (!starts(x, fixed[i].text))
            continue;
        x->value = (uint32_t)fixed[i].value;
        token(x, fixed[i].tok, strlen(fixed[i].text));
        return true;
    }
    return false;
}

/* <0.1.2> */
static bool short_pid(etf__lex *x) {
    if (left(x) < 2 || x->in[x->next] != '<' || !is_digit(x->in[x->next + 1]))
        return false;
    x->value = 'P';
    token(x, ETF__T_ID, 1);
    return true;
}

/* Name or _Name; _ alone is none. */
static bool variable(etf__lex *x) {
    etf__chars s = {.p = x->in + x->next, .left = left(x)};
    uint32_t c;
    size_t n = 0;

    if (verbatim(&s, &c) != 1 || etf__is_lower(c) || !etf__is_name(c))
        return false;
    do
        n = left(x) - s.left;
    while (s.left > 0 && verbatim(&s, &c) == 1 && etf__is_name(c));
    x->text = x->in + x->next;
    x->len = n;
    token(x, n == 1 && *x->text == '_' ? ETF__T_ANY : ETF__T_VAR, n);
    return true;
}

static void other(etf__lex *x) {
    const uint8_t *p = (const uint8_t *)x->in + x->next;
    uint32_t any;
    bool not_utf8 = etf__utf8_get(p, left(x), &any) == 0;
    char c = x->in[x->next];

    if (c == '~' && sigil(x))
        return;
    if (c == '~' && left(x) > 1) {
        x->value = (uint8_t)x->in[x->next + 1];
        token(x, ETF__T_HOLE, 2);
    } else if (c != '\0' && strchr("{}[]|,:/>.-", c) != NULL) {
        x->value = (uint8_t)c;
        token(x, ETF__T_PUNCT, 1);
    } else {
        bad(x, not_utf8 ? "bytes that are not UTF-8" : NULL);
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
    x->sigil = x->verbatim = false;
    x->indent = 0;
    c = x->in[x->next];
    x->negative = c == '-' && left(x) > 1 && is_digit(x->in[x->next + 1]);
    if (x->negative || is_digit(c))
        number(x);
    else if (c == '"')
        string(x);
    else if (c == '\'')
        delimited(x, x->next, '\'', ETF__T_ATOM);
    else if (c == '$')
        character(x);
    else if (c >= 'a' && c <= 'z')
        (void)word(x);
    else if (!short_pid(x) && !fixed_text(x) && !word(x) && !variable(x))
        other(x);
}

bool etf__lex_is(const etf__lex *x, char c) {
    return x->tok == ETF__T_PUNCT && x->value == (uint8_t)c;
}

/* --- identifiers ---------------------------------------------------------- */

static bool number_at(etf__lex *x, size_t i, uint64_t max, uint64_t *v) {
    size_t from = i;

    for (*v = 0; i < x->n && is_digit(x->in[i]); i++)
        if (__builtin_mul_overflow(*v, 10, v) ||
            __builtin_add_overflow(*v, digit_of(x->in[i]), v))
            return false;
    x->next = i;
    return i > from && *v <= max;
}

/* A dot and a decimal number; "1.2" must not become a float here. */
static bool field(etf__lex *x, uint64_t max, uint64_t *v) {
    *v = 0;
    return left(x) > 0 && x->in[x->next] == '.' &&
           number_at(x, x->next + 1, max, v);
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

/* Erlang's own text of an identifier begins with a number for the node, which
 * only that node knows, but that 0 is itself. */
static bool is_short(const etf__lex *x) {
    return left(x) > 0 && is_digit(x->in[x->next]);
}

static int own_node(etf__lex *x, char node[ETF_NODE_MAX + 1], uint16_t *len,
                    uint32_t *creation) {
    uint64_t number;
    size_t n;

    x->at = x->next;
    if (!number_at(x, x->next, UINT64_MAX, &number))
        return CN_ESYNTAX;
    x->why = "an identifier of another node, whose name it does not have";
    if (number != 0)
        return CN_ESYNTAX;
    x->why = "an identifier whose node is not given";
    if (x->node == NULL)
        return CN_ESYNTAX;
    x->why = NULL;
    n = strlen(x->node);
    if (n > ETF_NODE_MAX)
        return CN_ELIMIT;
    memcpy(node, x->node, n + 1);
    *len = (uint16_t)n;
    *creation = x->creation;
    return 0;
}

static int read_pid(etf__lex *x, etf_pid *pid) {
    bool own = is_short(x);
    int err = own ? own_node(x, pid->node, &pid->node_len, &pid->creation)
                  : node_name(x, pid->node, &pid->node_len);

    if (err != 0)
        return err;
    return field32(x, &pid->id) && field32(x, &pid->serial) &&
                   (own || field32(x, &pid->creation))
               ? 0
               : CN_ESYNTAX;
}

static int read_port(etf__lex *x, etf_port *port) {
    bool own = is_short(x);
    int err = own ? own_node(x, port->node, &port->node_len, &port->creation)
                  : node_name(x, port->node, &port->node_len);

    if (err != 0)
        return err;
    return field(x, UINT64_MAX, &port->id) &&
                   (own || field32(x, &port->creation))
               ? 0
               : CN_ESYNTAX;
}

/* Erlang's text has the words from the last to the first. */
static void turn_words(etf_ref *ref) {
    for (unsigned i = 0; i < ref->n / 2U; i++) {
        uint32_t word = ref->ids[i];
        ref->ids[i] = ref->ids[ref->n - 1 - i];
        ref->ids[ref->n - 1 - i] = word;
    }
}

static int read_ref(etf__lex *x, etf_ref *ref) {
    bool own = is_short(x);
    int err = own ? own_node(x, ref->node, &ref->node_len, &ref->creation)
                  : node_name(x, ref->node, &ref->node_len);

    if (err != 0)
        return err;
    if (!own && !field32(x, &ref->creation))
        return CN_ESYNTAX;
    while (left(x) > 0 && x->in[x->next] == '.') {
        if (ref->n == ETF_REF_WORDS || !field32(x, &ref->ids[ref->n]))
            return CN_ESYNTAX;
        ref->n++;
    }
    if (own)
        turn_words(ref);
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
