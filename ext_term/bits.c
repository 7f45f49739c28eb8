/* SPDX-License-Identifier: Apache-2.0
 *
 * bits.c: the segments of a binary in text, <<"a", 300:16/little, 1.5/float>>.
 * https://www.erlang.org/doc/system/bit_syntax.html
 */
#include <math.h>

#include "ext_term/bignum.h"
#include "ext_term/lex.h"

/* Of one segment, and of one character of a string, which takes less text: a
 * short text must not make a long binary. */
enum { SIZE_MAX_BITS = 4096, CHARACTER_MAX_BITS = 512 };

typedef struct packer {
    etf__put_bits put;
    void *ctx;
    uint8_t part; /* bits that wait for their byte, from the left */
    unsigned bits;
} packer;

/* What stands behind the value. */
typedef enum kind { INTEGER, FLOAT, UTF_8, UTF_16, UTF_32 } kind;
typedef struct spec {
    kind kind;
    uint32_t bits;
    bool sized; /* the size is given */
    bool little;
} spec;

/* An integer as its two's complement, least significant byte first; beyond n
 * bytes all are `beyond`. */
typedef struct integer {
    const uint8_t *byte;
    size_t n;
    uint8_t beyond;
} integer;
enum { ROOM = ETF__DECIMAL_BYTES + 8 };

/* --- bits ----------------------------------------------------------------- */

/* The low bits of a byte, 1 to 8 of them. */
static bool add_bits(packer *p, uint8_t v, unsigned bits) {
    unsigned room = 8 - p->bits, full;

    full = (unsigned)(v & ((1U << bits) - 1)) << 8 >> bits; /* to the left */
    p->part = (uint8_t)(p->part | full >> p->bits);
    if (bits < room) {
        p->bits += bits;
        return true;
    }
    if (!p->put(p->ctx, p->part, 8))
        return false;
    p->part = (uint8_t)(full << room);
    p->bits = bits - room;
    return true;
}

static uint8_t byte_of(const integer *v, size_t i) {
    return i < v->n ? v->byte[i] : v->beyond;
}

/* The most significant byte may be unfinished; it comes first, or as the last
 * of a little-endian one. */
static bool add_integer(packer *p, const integer *v, const spec *s) {
    size_t whole = s->bits / 8;
    unsigned rest = s->bits % 8;

    if (!s->little && rest > 0 && !add_bits(p, byte_of(v, whole), rest))
        return false;
    for (size_t i = 0; i < whole; i++)
        if (!add_bits(p, byte_of(v, s->little ? i : whole - 1 - i), 8))
            return false;
    return !s->little || rest == 0 || add_bits(p, byte_of(v, whole), rest);
}

static bool add_u64(packer *p, uint64_t u, uint32_t bits, bool little) {
    uint8_t byte[8];
    const integer v = {byte, sizeof byte, 0};
    const spec s = {.bits = bits, .little = little};

    for (unsigned i = 0; i < 8; i++)
        byte[i] = (uint8_t)(u >> (8 * i));
    return add_integer(p, &v, &s);
}

/* --- characters and floats -------------------------------------------------
 */

static bool add_utf16(packer *p, uint32_t c, bool little) {
    if (c < 0x10000)
        return add_u64(p, c, 16, little);
    c -= 0x10000;
    return add_u64(p, 0xd800 + (c >> 10), 16, little) &&
           add_u64(p, 0xdc00 + (c & 0x3ff), 16, little);
}

/* 0, CN_ESYNTAX for what is no character, CN_ETYPE when put ended it. */
static int add_char(packer *p, uint32_t c, const spec *s) {
    uint8_t utf8[4];
    size_t n = etf__utf8_put(utf8, c);
    bool more = true;

    if (n == 0)
        return CN_ESYNTAX;
    if (s->kind == UTF_16)
        more = add_utf16(p, c, s->little);
    else if (s->kind == UTF_32)
        more = add_u64(p, c, 32, s->little);
    for (size_t i = 0; s->kind == UTF_8 && more && i < n; i++)
        more = add_bits(p, utf8[i], 8);
    return more ? 0 : CN_ETYPE;
}

/* Half precision: sign, 5 bits of exponent, 10 of fraction, rounded to even. */
static bool half_bits(double v, uint64_t *bits) {
    uint64_t sign = signbit(v) ? 0x8000 : 0;
    double m = fabs(v), scaled;
    int e;

    (void)frexp(m, &e);
    e = m == 0 || e < -13 ? -13 : e; /* subnormal ones share an exponent */
    scaled = nearbyint(ldexp(m, 11 - e));
    *bits = sign | ((uint64_t)scaled + ((uint64_t)(e + 13) << 10));
    return (*bits & 0x7fff) < 0x7c00;
}

static bool single_bits(double v, uint64_t *bits) {
    float f = (float)v;
    uint32_t u;

    memcpy(&u, &f, sizeof u);
    *bits = u;
    return isfinite(f);
}

static int add_float(packer *p, double v, const spec *s) {
    uint32_t bits = s->sized ? s->bits : 64;
    uint64_t u;
    bool good = true;

    memcpy(&u, &v, sizeof u);
    if (bits == 16)
        good = half_bits(v, &u);
    else if (bits == 32)
        good = single_bits(v, &u);
    else if (bits != 64)
        return bits == 0 ? 0 : CN_ESYNTAX;
    if (!good)
        return CN_ERANGE;
    return add_u64(p, u, bits, s->little) ? 0 : CN_ETYPE;
}

/* --- behind a value: :Size/Type-Type ----------------------------------------
 */

static bool is_word(const etf__lex *x, const char *word) {
    return x->tok == ETF__T_ATOM && x->plain && x->len == strlen(word) &&
           memcmp(x->text, word, x->len) == 0;
}

static int small_number(etf__lex *x, uint64_t max, uint32_t *n) {
    uint64_t v;

    if (x->tok != ETF__T_INT || x->negative || !etf__lex_u64(x, &v))
        return CN_ESYNTAX;
    if (v > max)
        return CN_ELIMIT;
    *n = (uint32_t)v;
    etf__lex_next(x);
    return 0;
}

/* unit:N, which multiplies the size. */
static int unit(etf__lex *x, spec *s) {
    uint32_t n;
    int err;

    etf__lex_next(x);
    if (!etf__lex_is(x, ':') || !s->sized)
        return CN_ESYNTAX;
    etf__lex_next(x);
    err = small_number(x, 256, &n);
    if (err != 0)
        return err;
    if (n == 0 || s->bits > SIZE_MAX_BITS / n)
        return n == 0 ? CN_ESYNTAX : CN_ELIMIT;
    s->bits *= n;
    return 0;
}

static int one_type(etf__lex *x, spec *s) {
    static const struct {
        const char *word;
        kind kind;
    } kinds[] = {{"integer", INTEGER},
                 {"float", FLOAT},
                 {"utf8", UTF_8},
                 {"utf16", UTF_16},
                 {"utf32", UTF_32}};

    if (is_word(x, "unit"))
        return unit(x, s);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (is_word(x, kinds[i].word)) {
            s->kind = kinds[i].kind;
            etf__lex_next(x);
            return 0;
        }
    if (is_word(x, "little"))
        s->little = true;
    else if (!is_word(x, "big") && !is_word(x, "signed") &&
             !is_word(x, "unsigned"))
        return CN_ESYNTAX;
    etf__lex_next(x);
    return 0;
}

/* The token is that behind the value, then that behind all of it. */
static int suffix(etf__lex *x, spec *s) {
    int err = 0;

    *s = (spec){.bits = 8};
    if (etf__lex_is(x, ':')) {
        etf__lex_next(x);
        s->sized = true;
        err = small_number(x, SIZE_MAX_BITS, &s->bits);
    }
    if (err == 0 && etf__lex_is(x, '/'))
        do {
            etf__lex_next(x);
            err = one_type(x, s);
        } while (err == 0 && etf__lex_is(x, '-'));
    if (err == 0 && s->kind >= UTF_8 && s->sized)
        err = CN_ESYNTAX;
    return err;
}

/* --- segments --------------------------------------------------------------
 */

/* The string at `at`, behind which the lexer already is. */
static int bad_text(etf__lex *x, size_t at, etf__chars text) {
    x->at = at;
    x->why = etf__chars_why(text);
    return CN_ESYNTAX;
}

/* Without a type a character is an integer, as in Erlang. */
static int add_character(packer *p, uint32_t c, const spec *s) {
    if (s->kind == INTEGER && s->bits == 8)
        return add_bits(p, (uint8_t)c, 8) ? 0 : CN_ETYPE;
    if (s->kind == INTEGER)
        return add_u64(p, c, s->bits, s->little) ? 0 : CN_ETYPE;
    return s->kind == FLOAT ? add_float(p, c, s) : add_char(p, c, s);
}

static int one_string(etf__lex *x, packer *p, const etf__lex *string,
                      const spec *s) {
    const etf__chars text = etf__lex_chars(string);
    etf__chars chars = text;
    uint32_t c;
    int err = 0, more;

    while (err == 0 && (more = etf__chars_next(&chars, &c)) != 0)
        err = more < 0 ? bad_text(x, string->at, text) : add_character(p, c, s);
    return err;
}

/* Strings one after the other are one. What is behind the last says how all of
 * them are put, so they are read twice. */
static int string_segment(etf__lex *x, packer *p) {
    etf__lex string = *x;
    int err;
    spec s;

    while (x->tok == ETF__T_STRING)
        etf__lex_next(x);
    err = suffix(x, &s);
    if (err == 0 && s.bits > CHARACTER_MAX_BITS)
        err = CN_ELIMIT;
    for (; err == 0 && string.tok == ETF__T_STRING; etf__lex_next(&string))
        err = one_string(x, p, &string, &s);
    return err;
}

static void low_bytes(uint64_t u, bool negative, uint8_t room[ROOM]) {
    uint64_t low = negative ? 0 - u : u;

    for (unsigned i = 0; i < 8; i++)
        room[i] = (uint8_t)(low >> (8 * i));
}

/* The same of any number of bytes, of which m is the magnitude. */
static void complement(etf_view m, bool negative, uint8_t room[ROOM]) {
    unsigned carry = 1;

    for (size_t i = 0; i < m.len; i++) {
        carry += (uint8_t)~m.data[i];
        room[i] = negative ? (uint8_t)carry : m.data[i];
        carry >>= 8;
    }
}

/* The two's complement of the integer or character token; *u is its magnitude
 * when that has 64 bits, else UINT64_MAX. */
static int read_integer(const etf__lex *x, uint8_t room[ROOM], integer *v,
                        uint64_t *u) {
    uint8_t term[ROOM];
    etf_writer w;
    etf_reader r;
    etf_view m;
    bool minus = x->tok == ETF__T_INT && x->negative;
    int err;

    if (etf__lex_u64(x, u)) {
        low_bytes(*u, minus, room);
        *v = (integer){room, 8, minus && *u > 0 ? 0xff : 0};
        return 0;
    }
    *u = UINT64_MAX;
    etf_writer_init_fixed(&w, term, sizeof term);
    err = etf__put_digits(&w, x);
    if (err != 0 || w.err != 0)
        return err != 0 ? err : CN_ELIMIT;
    etf_reader_init(&r, (etf_view){w.data, w.len});
    m = etf_get_big(&r, &minus);
    complement(m, minus, room);
    *v = (integer){room, m.len, minus ? 0xff : 0};
    return 0;
}

static int int_segment(etf__lex *x, packer *p) {
    bool negative = x->tok == ETF__T_INT && x->negative;
    uint8_t room[ROOM];
    uint64_t u;
    integer v;
    spec s;
    int err = read_integer(x, room, &v, &u);

    if (err != 0)
        return err;
    etf__lex_next(x);
    err = suffix(x, &s);
    if (err != 0)
        return err;
    if (s.kind == FLOAT)
        return u == UINT64_MAX
                   ? CN_ERANGE
                   : add_float(p, negative ? -(double)u : (double)u, &s);
    if (s.kind == INTEGER)
        return add_integer(p, &v, &s) ? 0 : CN_ETYPE;
    return negative || u > 0x10ffff ? CN_ESYNTAX : add_char(p, (uint32_t)u, &s);
}

static int float_segment(etf__lex *x, packer *p) {
    double v;
    spec s;
    int err;

    if (!etf__lex_float(x, &v))
        return CN_ERANGE;
    etf__lex_next(x);
    err = suffix(x, &s);
    if (err != 0)
        return err;
    return s.kind == FLOAT ? add_float(p, v, &s) : CN_ESYNTAX;
}

static int segment(etf__lex *x, packer *p) {
    if (x->tok == ETF__T_STRING)
        return string_segment(x, p);
    if (x->tok == ETF__T_INT || x->tok == ETF__T_CHAR)
        return int_segment(x, p);
    return x->tok == ETF__T_FLOAT ? float_segment(x, p) : CN_ESYNTAX;
}

static int segments(etf__lex *x, packer *p) {
    int err;

    etf__lex_next(x);
    if (x->tok == ETF__T_BIN_END)
        return 0;
    for (;;) {
        err = segment(x, p);
        if (err != 0 || x->tok == ETF__T_BIN_END)
            return err;
        if (!etf__lex_is(x, ','))
            return CN_ESYNTAX;
        etf__lex_next(x);
    }
}

/* ~"...": the characters as UTF-8. */
static int sigil(const etf__lex *x, packer *p) {
    static const spec utf8 = {.kind = UTF_8};
    etf__chars chars = etf__lex_chars(x);
    uint32_t c;
    int err = 0, more;

    while (err == 0 && (more = etf__chars_next(&chars, &c)) != 0)
        err = more < 0 ? CN_ESYNTAX : add_char(p, c, &utf8);
    return err;
}

int etf__lex_binary(etf__lex *x, etf__put_bits put, void *ctx) {
    packer p = {.put = put, .ctx = ctx};
    int err = x->sigil ? sigil(x, &p) : segments(x, &p);

    if (err != 0)
        return err;
    return p.bits == 0 || p.put(ctx, p.part, p.bits) ? 0 : CN_ETYPE;
}
