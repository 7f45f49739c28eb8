/* SPDX-License-Identifier: Apache-2.0
 *
 * head.c: reads one head: a tag and what belongs to it, up to the elements.
 * Everything that walks over terms is a loop around etf__head_read, so this is
 * the only place that believes a byte, and the place that checks it first:
 * each count is held against the bytes that are left.
 * https://www.erlang.org/doc/apps/erts/erl_ext_dist.html
 */
#include <math.h>

#include "ext_term/term.h"

static int bad(etf__head *h, const char *what) {
    h->what = what;
    return CN_EBADTERM;
}

static int body(cn_cursor *c, etf__head *h, uint32_t n) {
    h->body = cn__take(c, n);
    h->n = n;
    return 0;
}

static int head_small_int(cn_cursor *c, etf__head *h) {
    return body(c, h, 1);
}
static int head_integer(cn_cursor *c, etf__head *h) {
    return body(c, h, 4);
}

/* | n: 1 or 4 | sign 1 | magnitude n, least significant byte first | */
static int head_big(cn_cursor *c, etf__head *h) {
    uint32_t n = h->tag == ETF__SMALL_BIG ? cn__take8(c) : cn__take32(c);

    if (n > ETF__BIG_BYTES)
        return bad(h, "integer of more than 524280 bytes");
    h->negative = cn__take8(c) != 0;
    (void)body(c, h, n);
    while (!c->bad && h->n > 0 && h->body[h->n - 1] == 0)
        h->n--;
    return 0;
}

static int head_new_float(cn_cursor *c, etf__head *h) {
    (void)body(c, h, 8);
    if (c->bad || isfinite(etf__head_float(h)))
        return 0;
    return bad(h, "float that is infinite or not a number");
}

static bool float_text(const etf__head *h, double *v) {
    char text[ETF__FLOAT_TEXT];
    char *comma;

    memcpy(text, h->body, h->n);
    comma = memchr(text, ',', h->n);
    if (comma != NULL)
        *comma = '.';
    return etf__float_scan(text, h->n, v);
}

/* The text is padded with NULs. The BEAM takes a comma for the point too. */
static int head_float_text(cn_cursor *c, etf__head *h) {
    double v;

    (void)body(c, h, ETF__FLOAT_TEXT);
    if (c->bad)
        return 0;
    h->n = (uint32_t)strnlen((const char *)h->body, ETF__FLOAT_TEXT);
    if (float_text(h, &v))
        return 0;
    return bad(h, "text that is not a float");
}

static const char long_atom[] = "atom of more than 255 characters";

static int head_latin1(cn_cursor *c, etf__head *h) {
    uint32_t n = h->tag == ETF__SMALL_ATOM ? cn__take8(c) : cn__take16(c);

    if (n > ETF__ATOM_CHARS)
        return bad(h, long_atom);
    return body(c, h, n);
}

static int head_utf8(cn_cursor *c, etf__head *h) {
    uint32_t n = h->tag == ETF__SMALL_ATOM_UTF8 ? cn__take8(c) : cn__take16(c);

    size_t chars;

    if (n > ETF__ATOM_BYTES)
        return bad(h, long_atom);
    (void)body(c, h, n);
    if (c->bad)
        return 0;
    chars = etf__utf8_count(h->body, n);
    if (chars == SIZE_MAX)
        return bad(h, "atom that is not UTF-8");
    return chars > ETF__ATOM_CHARS ? bad(h, long_atom) : 0;
}

static int head_binary(cn_cursor *c, etf__head *h) {
    return body(c, h, cn__take32(c));
}

/* | n 4 | bits used in the last byte 1 | n bytes | */
static int head_bit_binary(cn_cursor *c, etf__head *h) {
    uint32_t n = cn__take32(c);
    uint8_t bits = cn__take8(c);

    if (!c->bad && (n == 0 || bits == 0 || bits > 8))
        return bad(h, "bitstring whose last byte has not 1 to 8 bits");
    if (bits == 8)
        h->type = ETF_BINARY;
    return body(c, h, n);
}

static int head_nil(cn_cursor *c, etf__head *h) {
    (void)c;
    (void)h;
    return 0;
}

static int head_tuple(cn_cursor *c, etf__head *h) {
    h->n = h->tag == ETF__SMALL_TUPLE ? cn__take8(c) : cn__take32(c);
    h->children = h->n;
    return h->n > ETF__ARITY_MAX ? bad(h, "tuple of 2^24 elements or more") : 0;
}

static int head_string(cn_cursor *c, etf__head *h) {
    uint16_t n = cn__take16(c);

    if (n == 0)
        h->type = ETF_NIL;
    return body(c, h, n);
}

static int head_list(cn_cursor *c, etf__head *h) {
    h->n = cn__take32(c);
    h->children = (uint64_t)h->n + 1;
    return 0;
}

static int head_map(cn_cursor *c, etf__head *h) {
    h->n = cn__take32(c);
    h->children = (uint64_t)h->n * 2;
    return h->n > INT32_MAX ? bad(h, "map of 2^31 pairs or more") : 0;
}

/* --- heads with an atom inside ------------------------------------------- */

static bool is_atom_tag(uint8_t tag) {
    return tag == ETF__ATOM || tag == ETF__SMALL_ATOM ||
           tag == ETF__ATOM_UTF8 || tag == ETF__SMALL_ATOM_UTF8;
}

/* The atom of an index into the table; h->atoms is the table. */
static int head_cache_ref(cn_cursor *c, etf__head *h) {
    uint8_t i = cn__take8(c);

    if (h->atoms == NULL)
        return bad(h, "ATOM_CACHE_REF without a table of atoms");
    if (!c->bad && i >= h->atoms->n)
        return bad(h, "ATOM_CACHE_REF beyond the table of atoms");
    if (c->bad)
        return 0;
    h->body = h->atoms->at[i].data;
    h->n = (uint32_t)h->atoms->at[i].len;
    return 0;
}

static int inner_atom(cn_cursor *c, etf__head *outer) {
    etf__head atom = {.tag = cn__take8(c), .atoms = outer->atoms};
    int err;

    if (c->bad)
        return 0;
    if (atom.tag == ETF__ATOM_CACHE_REF)
        err = head_cache_ref(c, &atom);
    else if (!is_atom_tag(atom.tag))
        err = bad(&atom, "no atom where a node, module, function, record or "
                         "field has its name");
    else if (atom.tag == ETF__ATOM || atom.tag == ETF__SMALL_ATOM)
        err = head_latin1(c, &atom);
    else
        err = head_utf8(c, &atom);
    outer->what = atom.what;
    return err;
}

/* The atom every such head begins with: node or module. */
static int first_atom(cn_cursor *c, etf__head *h) {
    int err;

    h->body = c->p;
    err = inner_atom(c, h);
    h->rest = c->p;
    return err;
}

static int old_creation(cn_cursor *c, etf__head *h) {
    if (cn__take8(c) <= ETF__OLD_CREATION)
        return 0;
    return bad(h, "creation above 3 in an identifier of the old form");
}

/* | node | id 4 | serial 4 | creation 4 or 1 | */
static int head_pid(cn_cursor *c, etf__head *h) {
    int err = first_atom(c, h);

    if (err != 0)
        return err;
    (void)cn__take64(c);
    if (h->tag == ETF__PID)
        return old_creation(c, h);
    (void)cn__take32(c);
    return 0;
}

/* | node | id 8 or 4 | creation 4 or 1 | */
static int head_port(cn_cursor *c, etf__head *h) {
    int err = first_atom(c, h);

    if (err != 0)
        return err;
    (void)cn__take(c, h->tag == ETF__V4_PORT ? 8 : 4);
    if (h->tag == ETF__PORT)
        return old_creation(c, h);
    (void)cn__take32(c);
    return 0;
}

static int ref_words(cn_cursor *c, etf__head *h, bool old) {
    uint32_t first = h->n > 0 ? cn__take32(c) : 0;

    if (h->n > 1)
        (void)cn__take(c, 4 * ((size_t)h->n - 1));
    if (old && first > ETF__OLD_REF_WORD)
        return bad(h, "word above 2^18 in a reference of the old form");
    return 0;
}

/* | n 2 | node | creation 4 or 1 | n words of 4 | */
static int many_words(cn_cursor *c, etf__head *h, bool old) {
    int err;

    h->n = cn__take16(c);
    if (h->n > ETF_REF_WORDS)
        return bad(h, "reference of more than 5 words");
    if (h->n == 0 && old && !c->bad)
        return bad(h, "reference of no words in the old form");
    err = first_atom(c, h);
    if (err == 0 && old)
        err = old_creation(c, h);
    else if (err == 0)
        (void)cn__take32(c);
    return err != 0 ? err : ref_words(c, h, old);
}

static int head_newer_ref(cn_cursor *c, etf__head *h) {
    return many_words(c, h, false);
}
static int head_new_ref(cn_cursor *c, etf__head *h) {
    return many_words(c, h, true);
}

/* | node | id 4 | creation 1 | */
static int head_reference(cn_cursor *c, etf__head *h) {
    int err = first_atom(c, h);

    if (err != 0)
        return err;
    h->n = 1;
    err = ref_words(c, h, true);
    return err != 0 ? err : old_creation(c, h);
}

static const char bad_arity[] = "arity that is not an integer from 0 to 255";

/* The tag of a term inside a head, which lists of no elements may precede; a
 * few, so that no head is long. */
static uint8_t inner_tag(cn_cursor *c) {
    uint8_t tag = cn__take8(c);

    for (int i = 0; i < 8 && tag == ETF__LIST; i++) {
        if (cn__take32(c) != 0)
            break;
        tag = cn__take8(c);
    }
    return tag;
}

/* An integer inside a head. The BEAM takes it in any form, if it is one that it
 * keeps in a word; here it must fit 32 bits, as all that are ever sent. */
static int inner_int(cn_cursor *c, int64_t *v) {
    etf__head h = {.tag = inner_tag(c)};
    int err = CN_EBADTERM;

    if (c->bad)
        return 0;
    if (h.tag == ETF__SMALL_INTEGER)
        err = head_small_int(c, &h);
    else if (h.tag == ETF__INTEGER)
        err = head_integer(c, &h);
    else if (h.tag == ETF__SMALL_BIG ||
             (h.tag == ETF__LARGE_BIG &&
              (c->left < 4 || cn__be32(c->p) <= UINT8_MAX)))
        err = head_big(c, &h);
    if (err != 0 || c->bad)
        return err;
    if (etf__head_i64(&h, v) != 0 || *v > UINT32_MAX || *v < INT32_MIN)
        return CN_EBADTERM;
    return 0;
}

/* | module | function | arity: an integer term | */
static int head_export(cn_cursor *c, etf__head *h) {
    int err = first_atom(c, h);
    int64_t arity = 0;

    if (err == 0)
        err = inner_atom(c, h);
    if (err != 0 || c->bad)
        return err;
    if (inner_int(c, &arity) != 0 || arity < 0 || arity > UINT8_MAX)
        return bad(h, bad_arity);
    h->n = (uint32_t)arity;
    return 0;
}

static int inner_pid(cn_cursor *c, etf__head *outer) {
    etf__head pid = {.tag = inner_tag(c), .atoms = outer->atoms};
    int err;

    if (c->bad)
        return 0;
    if (pid.tag != ETF__NEW_PID && pid.tag != ETF__PID)
        return bad(outer, "closure whose creator is no pid");
    err = head_pid(c, &pid);
    outer->what = pid.what;
    return err;
}

/* | size 4 | arity 1 | uniq 16 | index 4 | n 4 | module | old index |
 * | old uniq | pid | n free variables |
 * Size is not looked at: some releases write it wrong, and none reads it. */
static int head_fun(cn_cursor *c, etf__head *h) {
    int64_t number;
    int err;

    (void)cn__take(c, 4 + 1 + 16 + 4);
    h->n = cn__take32(c);
    h->children = h->n;
    if (h->n > ETF__FREE_VARS)
        return bad(h, "closure of more than 255 free variables");
    err = first_atom(c, h);
    for (int i = 0; i < 2 && err == 0; i++)
        if (inner_int(c, &number) != 0)
            err = bad(h, "closure whose old index or uniq is no integer");
    return err != 0 ? err : inner_pid(c, h);
}

/* | n 4 | flags 1 | module | name | n names | n values | */
static int head_record(cn_cursor *c, etf__head *h) {
    int err;

    h->n = cn__take32(c);
    h->children = h->n;
    if (cn__take8(c) > 1)
        return bad(h, "record with flags that mean nothing");
    if (!c->bad && (uint64_t)h->n * 3 > c->left)
        return CN_ETRUNC;
    err = first_atom(c, h);
    for (uint64_t i = 0; i <= h->n && err == 0 && !c->bad; i++)
        err = inner_atom(c, h);
    return err;
}

/* --- the head ------------------------------------------------------------ */

typedef int (*shape_fn)(cn_cursor *c, etf__head *h);

static const struct shape {
    etf_type type;
    shape_fn read;
} shapes[256] = {
#define ETF__TAG_SHAPE(name, value, kind, shape) [value] = {kind, head_##shape},
    ETF__TAG_MAP(ETF__TAG_SHAPE)
#undef ETF__TAG_SHAPE
};

static const char *no_tag(uint8_t tag) {
    switch (tag) {
    case ETF__COMPRESSED:
        return "COMPRESSED inside a term";
    case ETF__OLD_FUN:
        return "FUN_EXT, which no release reads any more";
    case ETF__LOCAL:
        return "LOCAL_EXT, which only the node that wrote it can read";
    case ETF__VERSION:
        return "version byte where a term should be";
    default:
        return "tag that is not known";
    }
}

static int read_one(cn_cursor *c, etf__head *h, const etf_atoms *atoms) {
    const struct shape *s;
    int err;

    *h = (etf__head){.at = c->p, .atoms = atoms};
    h->tag = cn__take8(c);
    if (c->bad)
        return CN_ETRUNC;
    s = &shapes[h->tag];
    if (s->read == NULL)
        return bad(h, no_tag(h->tag));
    h->type = s->type;
    err = s->read(c, h);
    if (err == 0 && (c->bad || h->children > c->left))
        err = CN_ETRUNC;
    h->end = c->p;
    return err;
}

int etf__head_read_with(cn_cursor *c, etf__head *h, const etf_atoms *atoms) {
    int err;

    do
        err = read_one(c, h, atoms);
    while (err == 0 && h->tag == ETF__LIST && h->n == 0);
    return err;
}

int etf__head_read(cn_cursor *c, etf__head *h) {
    return etf__head_read_with(c, h, NULL);
}

void etf__head_atom(const uint8_t *p, const uint8_t *end, etf__head *h) {
    cn_cursor c = cn__cursor(p, (size_t)(end - p));

    (void)read_one(&c, h, NULL);
}

void etf__head_inner(const etf__head *outer, const uint8_t *p, etf__head *h) {
    cn_cursor c = cn__cursor(p, (size_t)(outer->end - p));

    (void)etf__head_read_with(&c, h, outer->atoms);
}

/* --- what the head says -------------------------------------------------- */

etf_view etf__head_text(const etf__head *h, uint8_t room[ETF__LATIN1_ROOM]) {
    bool same = h->tag != ETF__ATOM && h->tag != ETF__SMALL_ATOM;
    size_t len = 0;

    if (!same) {
        same = true;
        for (uint32_t i = 0; i < h->n; i++)
            same = same && h->body[i] < 0x80;
    }
    if (same)
        return (etf_view){h->body, h->n};
    for (uint32_t i = 0; i < h->n; i++)
        len += etf__utf8_put(room + len, h->body[i]);
    return (etf_view){room, len};
}

static uint64_t magnitude(const etf__head *h) {
    uint64_t v = 0;

    for (uint32_t i = h->n; i > 0; i--)
        v = v << 8 | h->body[i - 1];
    return v;
}

int etf__head_i64(const etf__head *h, int64_t *v) {
    uint64_t m;

    if (h->tag == ETF__SMALL_INTEGER) {
        *v = h->body[0];
        return 0;
    }
    if (h->tag == ETF__INTEGER) {
        *v = (int32_t)cn__be32(h->body);
        return 0;
    }
    if (h->n > 8)
        return CN_ERANGE;
    m = magnitude(h);
    if (m > (uint64_t)INT64_MAX + (h->negative ? 1 : 0))
        return CN_ERANGE;
    *v = h->negative ? (int64_t)(0 - m) : (int64_t)m;
    return 0;
}

int etf__head_u64(const etf__head *h, uint64_t *v) {
    int64_t small;

    if (h->tag == ETF__SMALL_BIG || h->tag == ETF__LARGE_BIG) {
        if (h->n > 8 || (h->negative && h->n > 0))
            return CN_ERANGE;
        *v = magnitude(h);
        return 0;
    }
    if (etf__head_i64(h, &small) != 0 || small < 0)
        return CN_ERANGE;
    *v = (uint64_t)small;
    return 0;
}

etf_view etf__head_magnitude(const etf__head *h, uint8_t room[8],
                             bool *negative) {
    int64_t v;
    size_t n = 0;

    if (h->tag == ETF__SMALL_BIG || h->tag == ETF__LARGE_BIG) {
        *negative = h->negative && h->n > 0;
        return (etf_view){h->body, h->n};
    }
    (void)etf__head_i64(h, &v);
    *negative = v < 0;
    for (uint64_t m = (uint64_t)(v < 0 ? -v : v); m > 0; m >>= 8)
        room[n++] = (uint8_t)m;
    return (etf_view){room, n};
}

void etf__head_fun(const etf__head *h, etf__fun *out) {
    const uint8_t *p = h->at + 1 + 4;
    cn_cursor c = cn__cursor(h->rest, (size_t)(h->end - h->rest));
    int64_t old_index = 0, old_uniq = 0;

    (void)inner_int(&c, &old_index);
    (void)inner_int(&c, &old_uniq);
    *out = (etf__fun){.arity = p[0],
                      .uniq = p + 1,
                      .index = cn__be32(p + 17),
                      .old_index = (int32_t)old_index,
                      .old_uniq = (int32_t)old_uniq,
                      .pid = c.p};
}

uint64_t etf__head_atoms(const etf__head *h) {
    switch (h->type) {
    case ETF_ATOM:
    case ETF_PID:
    case ETF_PORT:
    case ETF_REF:
        return 1;
    case ETF_EXPORT:
    case ETF_FUN: /* module and the node of its pid */
        return 2;
    case ETF_RECORD:
        return (uint64_t)h->n + 2;
    default:
        return 0;
    }
}

double etf__head_float(const etf__head *h) {
    double v = 0;
    uint64_t bits;

    if (h->tag == ETF__FLOAT) {
        (void)float_text(h, &v);
        return v;
    }
    bits = cn__be64(h->body);
    memcpy(&v, &bits, sizeof v);
    return v;
}
