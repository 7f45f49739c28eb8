/* SPDX-License-Identifier: Apache-2.0
 *
 * print.c: terms without elements as text, as io:format has it for ~w, ~p and
 * the two with t.
 */
#include <inttypes.h>

#include "ext_term/bignum.h"
#include "ext_term/lex.h"
#include "ext_term/print.h"

/* --- output ---------------------------------------------------------------
 */

static size_t characters(const uint8_t *p, size_t n) {
    size_t chars = 0;

    for (size_t i = 0; i < n; i++)
        chars += (p[i] & 0xc0) != 0x80;
    return chars;
}

/* Where size_t has 32 bits a text can be longer than it counts. */
static void advance(size_t *at, size_t n) {
    if (__builtin_add_overflow(*at, n, at))
        *at = SIZE_MAX;
}

void etf__out(etf__output *o, const void *text, size_t n) {
    advance(&o->chars, characters(text, n));
    if (o->muted)
        return;
    if (o->file != NULL)
        o->failed |= fwrite(text, 1, n, o->file) != n;
    else if (o->len < o->cap)
        memcpy(o->buf + o->len, text,
               n < o->cap - o->len ? n : o->cap - o->len);
    advance(&o->len, n);
}

void etf__out_text(etf__output *o, const char *text) {
    etf__out(o, text, strlen(text));
}

void etf__out_char(etf__output *o, char c, size_t n) {
    if (o->file != NULL && !o->muted) {
        for (; n > 0; n--)
            etf__out(o, &c, 1);
        return;
    }
    /* Not one by one: there may be any number of blanks before a line. */
    advance(&o->chars, n);
    if (o->muted)
        return;
    if (o->len < o->cap)
        memset(o->buf + o->len, c, n < o->cap - o->len ? n : o->cap - o->len);
    advance(&o->len, n);
}

void etf__out_uint(etf__output *o, uint64_t v) {
    char text[ETF__U64_ROOM];
    size_t at = sizeof text;

    do
        text[--at] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    etf__out(o, text + at, sizeof text - at);
}

/* --- characters -----------------------------------------------------------
 */

/* The letter of \n and the like, or 0. */
static char escape_of(uint32_t c) {
    static const char letter[] = "btnvfr";

    if (c >= '\b' && c <= '\r')
        return letter[c - '\b'];
    if (c == 27)
        return 'e';
    return c == 127 ? 'd' : 0;
}

/* \x{20AC} */
static void out_code(etf__output *o, uint32_t c) {
    char text[16];

    etf__out(o, text,
             (size_t)snprintf(text, sizeof text, "\\x{%" PRIX32 "}", c));
}

void etf__out_quoted(etf__output *o, uint32_t c, char quote) {
    char letter = escape_of(c);
    uint8_t utf8[4];

    if (c == (uint8_t)quote || c == '\\')
        letter = (char)c;
    if (letter != 0) {
        etf__out(o, (char[]){'\\', letter}, 2);
    } else if (c < 32 || (c > 127 && c < 160)) {
        etf__out(o,
                 (char[]){'\\', (char)('0' + (c >> 6)),
                          (char)('0' + (c >> 3 & 7)), (char)('0' + (c & 7))},
                 4);
    } else if (o->latin1 && c > 255) {
        out_code(o, c);
    } else {
        etf__out(o, utf8, etf__utf8_put(utf8, c));
    }
}

size_t etf__out_plain(etf__output *o, const uint8_t *p, size_t n, char quote) {
    size_t plain = 0;

    while (plain < n && p[plain] >= 32 && p[plain] < 127 &&
           p[plain] != (uint8_t)quote && p[plain] != '\\')
        plain++;
    if (plain > 0)
        etf__out(o, p, plain);
    return plain;
}

static void out_quoted_utf8(etf__output *o, etf_view text, char quote) {
    uint32_t c;

    etf__out_char(o, quote, 1);
    for (size_t i = 0; i < text.len;) {
        i += etf__out_plain(o, text.data + i, text.len - i, quote);
        if (i == text.len)
            break;
        i += etf__utf8_get(text.data + i, text.len - i, &c);
        etf__out_quoted(o, c, quote);
    }
    etf__out_char(o, quote, 1);
}

/* As io_lib:printable_latin1_list and printable_unicode_list see it. */
static bool printable_latin1(uint64_t c) {
    return (c >= 32 && c < 127) || (c >= 160 && c < 256) ||
           (c >= '\b' && c <= '\r') || c == 27;
}

static bool printable(uint64_t c) {
    return printable_latin1(c) || (c >= 256 && c <= 0x10ffff && c != 0xfffe &&
                                   c != 0xffff && (c < 0xd800 || c > 0xdfff));
}

bool etf__shown(const etf__output *o, uint64_t c) {
    if (o->style == ETF_STYLE_W)
        return false;
    return o->range == ETF_RANGE_UNICODE && !o->latin1 ? printable(c)
                                                       : printable_latin1(c);
}

/* --- atoms ----------------------------------------------------------------
 */

static bool reserved(etf_view text) {
    static const char *const words[] = {
        "after",   "and",   "andalso", "band", "begin", "bnot",
        "bor",     "bsl",   "bsr",     "bxor", "case",  "catch",
        "cond",    "div",   "else",    "end",  "fun",   "if",
        "let",     "maybe", "not",     "of",   "or",    "orelse",
        "receive", "rem",   "try",     "when", "xor"};

    if (text.len > 7 || text.len < 2)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (words[i][0] == (char)text.data[0] && etf_view_is(text, words[i]))
            return true;
    return false;
}

static bool needs_quotes(etf_view text) {
    uint32_t c = 0;

    for (size_t i = 0; i < text.len;) {
        bool first = i == 0;
        i += etf__utf8_get(text.data + i, text.len - i, &c);
        if (first ? !etf__is_lower(c) : !etf__is_name(c))
            return true;
    }
    return text.len == 0 || reserved(text);
}

static void out_atom(etf__output *o, const etf__head *h) {
    uint8_t room[ETF__LATIN1_ROOM];
    etf_view text = etf__head_text(h, room);

    if (needs_quotes(text))
        out_quoted_utf8(o, text, '\'');
    else
        etf__out(o, text.data, text.len);
}

const uint8_t *etf__out_atom(etf__output *o, const uint8_t *p,
                             const etf__head *h) {
    etf__head atom;

    etf__head_atom(p, h->end, &atom);
    out_atom(o, &atom);
    return atom.end;
}

/* --- numbers --------------------------------------------------------------
 */

static void out_hex(etf__output *o, const etf__head *h) {
    static const char digit[] = "0123456789abcdef";

    etf__out_text(o, "16#");
    for (uint32_t i = h->n; i > 0; i--) {
        uint8_t b = h->body[i - 1];
        if (i < h->n || b > 15)
            etf__out(o, &digit[b >> 4], 1);
        etf__out(o, &digit[b & 15], 1);
    }
}

static void out_int(etf__output *o, const etf__head *h) {
    char digits[ETF__DECIMAL_DIGITS];
    uint8_t room[8];
    bool negative;
    etf_view m = etf__head_magnitude(h, room, &negative);
    uint64_t v = 0;

    if (negative)
        etf__out_char(o, '-', 1);
    if (m.len > ETF__DECIMAL_BYTES) {
        out_hex(o, h);
    } else if (m.len > 8) {
        etf__out(o, digits, etf__decimal(m, digits));
    } else {
        for (size_t i = m.len; i > 0; i--)
            v = v << 8 | m.data[i - 1];
        etf__out_uint(o, v);
    }
}

static void out_float(etf__output *o, const etf__head *h) {
    char text[ETF__FLOAT_ROOM];

    etf__out(o, text, etf__float_text(etf__head_float(h), text));
}

/* --- binaries -------------------------------------------------------------
 */

typedef enum text_kind { BYTES, LATIN1, UTF8, NO_UTF8 } text_kind;

/* ASCII counts as latin-1. What comes first decides: a character that is not
 * shown, or bytes that are none. */
static text_kind utf8_kind(const etf__output *o, const etf__head *h) {
    bool wide = o->range != ETF_RANGE_LATIN1;
    text_kind kind = LATIN1;
    uint32_t c = 0;

    for (size_t i = 0, k; i < h->n; i += k) {
        k = etf__utf8_get(h->body + i, h->n - i, &c);
        if (k == 0)
            return NO_UTF8;
        if (!(wide ? printable(c) : printable_latin1(c)))
            return BYTES;
        if (k > 1)
            kind = UTF8;
    }
    return kind;
}

static text_kind kind_of(const etf__output *o, const etf__head *h) {
    text_kind kind = NO_UTF8;

    if (o->style == ETF_STYLE_W || h->n == 0)
        return BYTES;
    if (!o->latin1)
        kind = utf8_kind(o, h);
    if (kind != NO_UTF8)
        return kind;
    if (o->range == ETF_RANGE_MIXED && !o->latin1)
        return BYTES;
    for (uint32_t i = 0; i < h->n; i++)
        if (!printable_latin1(h->body[i]))
            return BYTES;
    return LATIN1;
}

bool etf__shown_binary(const etf__output *o, const etf__head *h) {
    return kind_of(o, h) != BYTES;
}

void etf__out_bytes(etf__output *o, const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            etf__out_char(o, ',', 1);
        etf__out_uint(o, p[i]);
    }
}

void etf__out_latin1(etf__output *o, const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n;) {
        i += etf__out_plain(o, p + i, n - i, '"');
        if (i < n)
            etf__out_quoted(o, p[i++], '"');
    }
}

static void out_latin1(etf__output *o, const etf__head *h) {
    etf__out_char(o, '"', 1);
    etf__out_latin1(o, h->body, h->n);
    etf__out_char(o, '"', 1);
}

static void out_binary(etf__output *o, const etf__head *h) {
    text_kind kind = kind_of(o, h);

    etf__out_text(o, "<<");
    if (kind == BYTES)
        etf__out_bytes(o, h->body, h->n);
    else if (kind == LATIN1)
        out_latin1(o, h);
    else
        out_quoted_utf8(o, (etf_view){h->body, h->n}, '"');
    etf__out_text(o, kind == UTF8 ? "/utf8>>" : ">>");
}

static void out_bits(etf__output *o, const etf__head *h) {
    unsigned used = h->body[-1];

    etf__out_text(o, "<<");
    etf__out_bytes(o, h->body, h->n - 1);
    if (h->n > 1)
        etf__out_char(o, ',', 1);
    etf__out_uint(o, (unsigned)h->body[h->n - 1] >> (8 - used));
    etf__out_char(o, ':', 1);
    etf__out_uint(o, used);
    etf__out_text(o, ">>");
}

/* --- identifiers and funs -------------------------------------------------
 */

static void out_field(etf__output *o, uint64_t v) {
    etf__out_char(o, '.', 1);
    etf__out_uint(o, v);
}

/* #Pid<node.id.serial.creation>, #Port<node.id.creation>,
 * #Ref<node.creation.word...> */
static void out_id(etf__output *o, const etf__head *h) {
    etf__numbers n;

    etf__head_numbers(h, &n);
    etf__out_text(o, h->type == ETF_PID    ? "#Pid<"
                     : h->type == ETF_PORT ? "#Port<"
                                           : "#Ref<");
    (void)etf__out_atom(o, h->body, h);
    if (h->type != ETF_REF)
        out_field(o, n.id);
    if (h->type == ETF_PID)
        out_field(o, n.serial);
    out_field(o, n.creation);
    for (uint32_t i = 0; h->type == ETF_REF && i < h->n; i++)
        out_field(o, n.words[i]);
    etf__out_char(o, '>', 1);
}

static void out_export(etf__output *o, const etf__head *h) {
    etf__out_text(o, "fun ");
    (void)etf__out_atom(o, h->body, h);
    etf__out_char(o, ':', 1);
    (void)etf__out_atom(o, h->rest, h);
    etf__out_char(o, '/', 1);
    etf__out_uint(o, h->n);
}

/* #Fun<module.index.uniq>; what it holds is not printed. */
static void out_closure(etf__output *o, const etf__head *h) {
    cn_cursor c = cn__cursor(h->rest, (size_t)(h->end - h->rest));
    etf__head number;

    etf__out_text(o, "#Fun<");
    (void)etf__out_atom(o, h->body, h);
    for (int i = 0; i < 2 && etf__head_read(&c, &number) == 0; i++) {
        etf__out_char(o, '.', 1);
        out_int(o, &number);
    }
    etf__out_char(o, '>', 1);
}

static void out_nil(etf__output *o, const etf__head *h) {
    (void)h;
    etf__out_text(o, "[]");
}

void etf__out_leaf(etf__output *o, const etf__head *h) {
    static void (*const out[])(etf__output *, const etf__head *) = {
        [ETF_INT] = out_int,        [ETF_FLOAT] = out_float,
        [ETF_ATOM] = out_atom,      [ETF_BINARY] = out_binary,
        [ETF_BITSTRING] = out_bits, [ETF_PID] = out_id,
        [ETF_PORT] = out_id,        [ETF_REF] = out_id,
        [ETF_FUN] = out_closure,    [ETF_EXPORT] = out_export,
        [ETF_NIL] = out_nil,
    };

    out[h->type](o, h);
}
