/* SPDX-License-Identifier: Apache-2.0
 *
 * io_format.c: io_lib:format. A directive is ~F.P.PadMC; its text is made in
 * a scratch buffer, and then padded or cut as Erlang does. Section
 * "io:fwrite/3" of the stdlib manual.
 */
#include <stdio.h>
#include <string.h>

#include "cnode/io_parts.h"
#include "ext_term/bignum.h"
#include "ext_term/term.h"

enum {
    FIELD_MAX = 64 * 1024,
    LINE = 80, /* of ~p */
    /* Brackets in brackets, and how much longer than the bytes of a term its
     * text may become by being broken into lines: the blanks before the lines
     * of a deep term are the square of it. */
    DEPTH = 10000,
    BLOAT = 16,
    /* What all of it may become is BLOAT times the format and its arguments,
     * and this: else a few bytes, which ask for one wide field after the other,
     * take all memory. */
    SPARE = 1024 * 1024
};

typedef struct format {
    etf_view text; /* what is left of it, UTF-8 */
    etf_reader args;
    uint32_t left; /* of them */
    cnode_io_sink put;
    void *ctx;
    uint64_t room; /* for so many bytes more; then it is over */
    bool over;
    size_t column;     /* from 0 */
    cnode__text piece; /* of a directive */
    const cn_alloc *alloc;
} format;

/* NONE: not given */
enum { NONE = -1 };

typedef struct directive {
    int32_t field;
    int32_t precision;
    bool left; /* adjusted */
    uint32_t pad;
    bool unicode;
    bool numbers; /* lists are no text */
} directive;

/* --- output -------------------------------------------------------------- */

static void put(format *f, const void *text, size_t len) {
    const uint8_t *p = text;

    f->over = f->over || len > f->room;
    if (f->over || p == NULL)
        return;
    f->room -= len;
    f->put(f->ctx, text, len);
    for (size_t i = 0; i < len; i++)
        if (p[i] == '\n')
            f->column = 0;
        else if (p[i] == '\t')
            f->column = (f->column + 8) / 8 * 8;
        else if ((p[i] & 0xc0) != 0x80)
            f->column++;
}

static void put_chars(format *f, uint32_t c, int64_t n) {
    uint8_t out[4];
    size_t len = etf__utf8_put(out, c);

    for (; n > 0 && !f->over; n--)
        put(f, out, len);
}

/* Where character n of the piece begins, or its end. */
static size_t char_at(etf_view v, int64_t n) {
    size_t at = 0;
    uint32_t c;

    for (; n > 0 && at < v.len; n--)
        at += etf__utf8_get(v.data + at, v.len - at, &c);
    return at;
}

static void put_adjusted(format *f, const directive *d, etf_view v,
                         int64_t blanks) {
    if (!d->left)
        put_chars(f, d->pad, blanks);
    put(f, v.data, v.len);
    if (d->left)
        put_chars(f, d->pad, blanks);
}

static int put_piece(format *f) {
    etf_view v = cnode__text_view(&f->piece);

    if (f->piece.failed)
        return CN_ENOMEM;
    put(f, v.data, v.len);
    return 0;
}

/* What a number or a term becomes in its field: stars when it is too long. */
static int put_term_piece(format *f, const directive *d, int32_t precision) {
    etf_view v = cnode__text_view(&f->piece);
    int64_t field = d->field != NONE ? d->field : precision;
    int64_t len,
        most = precision != NONE && precision < field ? precision : field;

    if (f->piece.failed)
        return CN_ENOMEM;
    if (field == NONE)
        return put_piece(f);
    len = (int64_t)etf__utf8_count(v.data, v.len);
    if (len <= most) {
        put_adjusted(f, d, v, field - len);
        return 0;
    }
    if (!d->left)
        put_chars(f, d->pad, field - most);
    put_chars(f, '*', most);
    if (d->left)
        put_chars(f, d->pad, field - most);
    return 0;
}

/* A string in its field: cut when it is too long. */
static int put_string_piece(format *f, const directive *d) {
    etf_view v = cnode__text_view(&f->piece);
    directive inner = *d;
    int64_t len, most;

    if (f->piece.failed)
        return CN_ENOMEM;
    if (d->field == NONE && d->precision == NONE)
        return put_piece(f);
    most = d->precision != NONE ? d->precision : d->field;
    if (d->field == NONE)
        inner.left = true;
    else if (d->field < most)
        return CN_EBADARG;
    v.len = char_at(v, most);
    len = (int64_t)etf__utf8_count(v.data, v.len);
    if (d->precision == NONE || d->field == NONE || d->field == most) {
        put_adjusted(f, &inner, v, most - len);
        return 0;
    }
    if (!d->left)
        put_chars(f, d->pad, d->field - most);
    put(f, v.data, v.len);
    put_chars(f, d->pad, d->left ? d->field - len : most - len);
    return 0;
}

/* --- arguments ----------------------------------------------------------- */

static int next_arg(format *f, etf_view *out) {
    if (f->left == 0)
        return CN_EBADARG;
    f->left--;
    *out = etf_get_term(&f->args);
    return etf_reader_finish(&f->args) == 0 ? 0 : CN_EBADARG;
}

static int next_int(format *f, int64_t *out) {
    etf_reader r;
    etf_view arg;
    int err = next_arg(f, &arg);

    if (err != 0)
        return err;
    etf_reader_init(&r, arg);
    *out = etf_get_int(&r);
    return etf_reader_finish(&r) == 0 ? 0 : CN_EBADARG;
}

/* --- terms --------------------------------------------------------------- */

static int format_term(format *f, const etf_text_options *o, etf_view term) {
    size_t len;
    uint8_t *room;
    int err = etf_format(o, term, NULL, 0, &len);

    if (err != 0 && err != CN_ELIMIT)
        return err;
    if (o->width > 0 && len / BLOAT > term.len + LINE) {
        etf_text_options flat = *o;
        flat.width = 0;
        return format_term(f, &flat, term);
    }
    room = cn__buf_reserve(&f->piece.buf, len + 1);
    if (room == NULL)
        return CN_ENOMEM;
    err = etf_format(o, term, (char *)room, len + 1, NULL);
    cn__buf_commit(&f->piece.buf, len);
    return err == CN_ELIMIT ? 0 : err;
}

static int term_directive(format *f, const directive *d, bool pretty) {
    etf_text_options o = {.style =
                              pretty && !d->numbers ? ETF_STYLE_P : ETF_STYLE_W,
                          .range = ETF_RANGE_LATIN1,
                          .latin1 = !d->unicode,
                          .depth = DEPTH,
                          .alloc = f->alloc};
    etf_view term;
    int err = next_arg(f, &term);

    if (pretty) {
        o.width = d->field == NONE ? LINE : (uint32_t)d->field;
        o.column = d->precision == NONE ? (uint32_t)f->column + 1
                                        : (uint32_t)d->precision;
    }
    if (err == 0)
        err = format_term(f, &o, term);
    if (err == 0)
        err = pretty ? put_piece(f) : put_term_piece(f, d, d->precision);
    return err;
}

/* ~P and ~W: how deep is not looked at. */
static int deep_directive(format *f, const directive *d, bool pretty) {
    int64_t depth;
    int err = term_directive(f, d, pretty);

    return err == 0 ? next_int(f, &depth) : err;
}

/* --- strings ------------------------------------------------------------- */

typedef struct narrow {
    format *f;
    bool wide; /* there is a character that is no latin-1 */
} narrow;

static void put_narrow(void *ctx, const void *text, size_t len) {
    narrow *n = ctx;
    const uint8_t *p = text;

    for (size_t i = 0; i < len; i++)
        n->wide = n->wide || p[i] > 0xc3;
    cnode__text_put(&n->f->piece, text, len);
}

static int string_directive(format *f, const directive *d) {
    cnode_io_encoding e = d->unicode ? CNODE_IO_UNICODE : CNODE_IO_LATIN1;
    narrow n = {.f = f};
    etf_view arg;
    int err = next_arg(f, &arg);

    if (err != 0)
        return err;
    if (cnode__io_text(arg, e, put_narrow, &n) != 0 &&
        (etf_type_of(arg) != ETF_BINARY || /* of bytes then */
         cnode_io_chars(arg, CNODE_IO_LATIN1, put_narrow, &n) != 0))
        return CN_EBADARG;
    if (n.wide && !d->unicode)
        return CN_EBADARG;
    return put_string_piece(f, d);
}

static int char_directive(format *f, const directive *d, uint32_t c) {
    int64_t n = d->precision != NONE ? d->precision
                : d->field != NONE   ? d->field
                                     : 1;
    int64_t blanks = d->field == NONE ? 0 : d->field - n;
    uint8_t out[4];

    if (etf__utf8_put(out, c) == 0 || blanks < 0)
        return CN_EBADARG;
    if (!d->left)
        put_chars(f, d->pad, blanks);
    put_chars(f, c, n);
    if (d->left)
        put_chars(f, d->pad, blanks);
    return 0;
}

static int char_argument(format *f, const directive *d) {
    int64_t c;
    int err = next_int(f, &c);

    if (err != 0)
        return err;
    if (!d->unicode)
        c &= 0xff;
    return c < 0 || c > 0x10ffff ? CN_EBADARG
                                 : char_directive(f, d, (uint32_t)c);
}

/* --- integers ------------------------------------------------------------ */

static void put_digits(cnode__text *t, uint64_t v, unsigned base) {
    char digits[64];
    size_t at = sizeof digits;

    do
        digits[--at] = "0123456789abcdefghijklmnopqrstuvwxyz"[v % base];
    while ((v /= base) != 0);
    cnode__text_put(t, digits + at, sizeof digits - at);
}

static int put_big(format *f, etf_view arg, unsigned base, bool *negative) {
    size_t len;
    char *room;
    int err = etf_big_text(f->alloc, arg, base, NULL, 0, &len);

    if (err != 0)
        return err == CN_ENOMEM ? err : CN_EBADARG;
    room = (char *)cn__buf_reserve(&f->piece.buf, len + 1);
    if (room == NULL)
        return CN_ENOMEM;
    err = etf_big_text(f->alloc, arg, base, room, len + 1, NULL);
    *negative = room[0] == '-';
    cn__buf_commit(&f->piece.buf, len);
    if (*negative)
        cn__buf_consume(&f->piece.buf, 1, SIZE_MAX);
    return err;
}

/* The digits without a sign. */
static int put_magnitude(format *f, etf_view arg, unsigned base,
                         bool *negative) {
    etf_item it = {0};
    etf_reader r;

    etf_reader_init(&r, arg);
    if (etf_next(&r, &it) != ETF_INT)
        return CN_EBADARG;
    if (it.wide) /* decimal costs nearly the square of the length */
        return base == 16 || (base == 10 && it.bytes.len <= ETF__DECIMAL_BYTES)
                   ? put_big(f, arg, base, negative)
                   : CN_ENOTSUP;
    *negative = it.i < 0;
    put_digits(&f->piece, it.i < 0 ? 0 - (uint64_t)it.i : (uint64_t)it.i, base);
    return 0;
}

static void make_upper(cnode__text *t) {
    uint8_t *p = t->buf.data;

    for (size_t i = t->buf.head; i < t->buf.len; i++)
        if (p[i] >= 'a' && p[i] <= 'z')
            p[i] = (uint8_t)(p[i] - 'a' + 'A');
}

/* Sign and prefix before the digits that are in the piece. */
static int put_before(format *f, bool negative, etf_view prefix) {
    etf_view digits = cnode__text_view(&f->piece);
    cnode__text whole;

    if (f->piece.failed)
        return CN_ENOMEM;
    if (!negative && prefix.len == 0)
        return 0;
    cnode__text_init(&whole, f->alloc);
    if (negative)
        cnode__text_put(&whole, "-", 1);
    cnode__text_put(&whole, prefix.data, prefix.len);
    cnode__text_put(&whole, digits.data, digits.len);
    cnode__text_free(&f->piece);
    f->piece = whole;
    return 0;
}

/* The prefix of ~x and ~X is an argument: text, or an atom. */
static int prefix_text(format *f, cnode__text *out) {
    etf_view arg;
    int err = next_arg(f, &arg);

    if (err != 0)
        return err;
    if (cnode__io_text(arg, CNODE_IO_UNICODE, cnode__text_put, out) != 0)
        return CN_EBADARG;
    return out->failed ? CN_ENOMEM : 0;
}

static int integer_directive(format *f, const directive *d, char c) {
    unsigned base = d->precision == NONE ? 10 : (unsigned)d->precision;
    bool negative = false, upper = c == 'B' || c == 'X' || c == '#';
    cnode__text prefix;
    etf_view arg;
    int err = next_arg(f, &arg);

    if (err != 0)
        return err;
    if (base < 2 || base > 36)
        return CN_EBADARG;
    cnode__text_init(&prefix, f->alloc);
    if (c == 'x' || c == 'X') {
        err = prefix_text(f, &prefix);
    } else if (c == '#' || c == '+') {
        put_digits(&prefix, base, 10);
        cnode__text_put(&prefix, "#", 1);
    }
    if (err == 0)
        err = put_magnitude(f, arg, base, &negative);
    if (err == 0 && upper)
        make_upper(&f->piece);
    if (err == 0)
        err = prefix.failed
                  ? CN_ENOMEM
                  : put_before(f, negative, cnode__text_view(&prefix));
    cnode__text_free(&prefix);
    return err == 0 ? put_term_piece(f, d, NONE) : err;
}

/* --- floats -------------------------------------------------------------- */

/* printf's exponent has two digits, that of Erlang as few as there are. */
static void shorten_exponent(char *text) {
    char *e = strchr(text, 'e'), *from;

    if (e == NULL)
        return;
    from = e += 2;
    while (*from == '0' && from[1] != '\0')
        from++;
    memmove(e, from, strlen(from) + 1);
}

static int put_float(format *f, const directive *d, double v, char c, int p) {
    char text[512];
    int n;

    /* More digits than a double has tell nothing. */
    if (p < (c == 'e' ? 2 : 1))
        return CN_EBADARG;
    if (p > 120)
        return CN_ENOTSUP;
    n = c == 'e' ? snprintf(text, sizeof text, "%.*e", p - 1, v)
                 : snprintf(text, sizeof text, "%.*f", p, v);
    if (n < 0 || (size_t)n >= sizeof text)
        return CN_ENOTSUP;
    shorten_exponent(text);
    cnode__text_put(&f->piece, text, strlen(text));
    return put_term_piece(f, d, d->field);
}

/* ~g: as ~f when that has digits to show, else as ~e. */
static int put_general(format *f, const directive *d, double v, int p) {
    static const double above[] = {0.1, 1, 10, 100, 1e3, 1e4};
    double a = v < 0 ? -v : v;
    int e = -2;

    while (e < 4 && a >= above[e + 2])
        e++;
    if (e < 4 && ((p <= 1 && e == -1) || (p - 1 > e && e >= -1)))
        return put_float(f, d, v, 'f', p - 1 - e);
    return put_float(f, d, v, 'e', p <= 1 ? 2 : p);
}

static int float_directive(format *f, const directive *d, char c) {
    int p = d->precision == NONE ? 6 : d->precision;
    etf_item it = {0};
    etf_reader r;
    etf_view arg;
    int err = next_arg(f, &arg);

    if (err != 0)
        return err;
    etf_reader_init(&r, arg);
    if (etf_next(&r, &it) != ETF_FLOAT)
        return CN_EBADARG;
    return c == 'g' ? put_general(f, d, it.f, p) : put_float(f, d, it.f, c, p);
}

/* --- the format ---------------------------------------------------------- */

/* 0: the end. */
static uint32_t next_char(format *f) {
    uint32_t c = 0;
    size_t n = etf__utf8_get(f->text.data, f->text.len, &c);

    f->text.data += n;
    f->text.len -= n;
    return n == 0 ? 0 : c;
}

static uint8_t peek_char(const format *f) {
    return f->text.len > 0 ? *f->text.data : 0;
}

static int64_t get_digits(format *f) {
    int64_t n = NONE;

    while (peek_char(f) >= '0' && peek_char(f) <= '9' && n <= FIELD_MAX)
        n = (n == NONE ? 0 : n * 10) + (int64_t)(next_char(f) - '0');
    return n;
}

/* Digits, or * for an argument, or neither. */
static int get_number(format *f, int64_t *out) {
    int err = 0;

    if (peek_char(f) == '*') {
        (void)next_char(f);
        err = next_int(f, out);
    } else {
        *out = get_digits(f);
    }
    if (err == 0 && (*out > FIELD_MAX || *out < -FIELD_MAX))
        err = CN_ELIMIT;
    if (err != 0)
        *out = NONE;
    return err;
}

static int get_field(format *f, directive *d) {
    bool star;
    int64_t n;
    int err;

    d->left = peek_char(f) == '-';
    if (d->left)
        (void)next_char(f);
    star = peek_char(f) == '*';
    err = get_number(f, &n);
    if (err == 0 && star && n < 0) {
        d->left = true;
        n = -n;
    }
    d->field = (int32_t)n;
    return err;
}

static int get_precision(format *f, directive *d) {
    int64_t n = NONE;
    bool star;
    int err = 0;

    if (peek_char(f) == '.') {
        (void)next_char(f);
        star = peek_char(f) == '*';
        err = get_number(f, &n);
        if (err == 0 && star && n < 0)
            err = CN_EBADARG;
    }
    d->precision = (int32_t)n;
    return err;
}

static int get_pad(format *f, directive *d) {
    int64_t c;
    int err;

    d->pad = ' ';
    if (peek_char(f) != '.')
        return 0;
    (void)next_char(f);
    if (peek_char(f) != '*') {
        d->pad = next_char(f);
        return d->pad == 0 ? CN_EBADARG : 0;
    }
    (void)next_char(f);
    err = next_int(f, &c);
    if (err == 0 && (c < 0 || c > 0x10ffff))
        err = CN_EBADARG;
    d->pad = err == 0 ? (uint32_t)c : ' ';
    return err;
}

static void get_modifiers(format *f, directive *d) {
    for (;;) {
        switch (peek_char(f)) {
        case 't':
            d->unicode = true;
            break;
        case 'l':
            d->numbers = true;
            break;
        case 'k':
            break;
        case 'K': /* with an order as an argument */
            if (f->left > 0) {
                f->left--;
                etf_skip(&f->args);
            }
            break;
        default:
            return;
        }
        (void)next_char(f);
    }
}

static int apply(format *f, const directive *d, uint32_t c) {
    etf_view ignored;

    switch (c) {
    case '~':
        return char_directive(f, d, '~');
    case 'n':
        put_chars(f, '\n', d->field == NONE ? 1 : d->field);
        return 0;
    case 'c':
        return char_argument(f, d);
    case 's':
        return string_directive(f, d);
    case 'p':
    case 'w':
        return term_directive(f, d, c == 'p');
    case 'P':
    case 'W':
        return deep_directive(f, d, c == 'P');
    case 'b':
    case 'B':
    case 'x':
    case 'X':
    case '#':
    case '+':
        return integer_directive(f, d, (char)c);
    case 'e':
    case 'f':
    case 'g':
        return float_directive(f, d, (char)c);
    case 'i':
        return next_arg(f, &ignored);
    default:
        return CN_EBADARG;
    }
}

static int do_directive(format *f) {
    directive d = {0};
    int err = get_field(f, &d);

    if (err == 0)
        err = get_precision(f, &d);
    if (err == 0)
        err = get_pad(f, &d);
    if (err != 0)
        return err;
    get_modifiers(f, &d);
    err = apply(f, &d, next_char(f));
    cnode__text_free(&f->piece);
    f->piece.failed = false;
    return err == 0 && f->over ? CN_ELIMIT : err;
}

static int run(format *f) {
    while (f->text.len > 0) {
        const uint8_t *tilde = memchr(f->text.data, '~', f->text.len);
        size_t n = tilde == NULL ? f->text.len : (size_t)(tilde - f->text.data);
        int err;

        put(f, f->text.data, n);
        f->text.data += n;
        f->text.len -= n;
        if (tilde == NULL)
            break;
        (void)next_char(f);
        err = do_directive(f);
        if (err != 0)
            return err;
    }
    if (f->over)
        return CN_ELIMIT;
    etf_get_tail(&f->args);
    return f->left == 0 && etf_reader_finish(&f->args) == 0 ? 0 : CN_EBADARG;
}

/* A format is a string, a binary or an atom. */
static int text_of(etf_view term, cnode__text *out) {
    if (cnode__io_text(term, CNODE_IO_UNICODE, cnode__text_put, out) != 0 &&
        cnode_io_chars(term, CNODE_IO_LATIN1, cnode__text_put, out) != 0)
        return CN_EBADARG;
    return out->failed ? CN_ENOMEM : 0;
}

int cnode_io_lib_format(const cn_alloc *alloc, etf_view term, etf_view args,
                        cnode_io_sink sink, void *ctx) {
    format f = {.put = sink, .ctx = ctx, .alloc = cn__alloc(alloc)};
    cnode__text text;
    int err;

    cnode__text_init(&text, f.alloc);
    cnode__text_init(&f.piece, f.alloc);
    err = text_of(term, &text);
    f.text = cnode__text_view(&text);
    f.room = ((uint64_t)f.text.len + args.len) * BLOAT + SPARE;
    etf_reader_init(&f.args, args);
    f.left = etf_get_list(&f.args);
    if (err == 0 && etf_reader_finish(&f.args) != 0)
        err = CN_EBADARG;
    if (err == 0)
        err = run(&f);
    cnode__text_free(&f.piece);
    cnode__text_free(&text);
    return err;
}
