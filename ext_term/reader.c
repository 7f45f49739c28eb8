/* SPDX-License-Identifier: Apache-2.0
 *
 * reader.c: bytes into values. `look` reads the head of the next term without
 * moving, `move` goes behind it; a get in between takes what it wants, so
 * that an error leaves the reader at the term that caused it.
 *
 * Inside an opened STRING_EXT the terms do not exist as bytes: `look` makes
 * them one by one, and a [] at its end, so that nothing else need know.
 */
#include <math.h>

#include "base/alloc.h"
#include "ext_term/reader.h"

static void usual_form(etf_reader *r, bool yes) {
    bool room = r->end - r->data >= ETF__NEXT_ROOM;

    r->stop = yes ? r->end : r->data;
    r->quick = yes && room ? r->end - ETF__NEXT_ROOM + 1 : r->data;
}

void etf_reader_init(etf_reader *r, etf_view in) {
    static const uint8_t nothing[1] = {0};

    r->atoms = (etf_atoms){0};
    r->err_at = 0;
    r->err = 0;
    r->str_left = 0;
    r->in_str = false;
    r->data = in.data == NULL ? nothing : in.data;
    r->end = in.data == NULL ? nothing : in.data + in.len;
    r->at = r->data;
    usual_form(r, true);
}

void etf_reader_atoms(etf_reader *r, const etf_view *atoms, size_t n) {
    r->atoms = (etf_atoms){atoms, n};
}

int etf_reader_finish(const etf_reader *r) {
    return r->err;
}

size_t etf_reader_left(const etf_reader *r) {
    return (size_t)(r->end - r->at);
}

size_t etf_reader_pos(const etf_reader *r) {
    return (size_t)(r->at - r->data);
}

void etf__fail_at(etf_reader *r, int code, size_t at) {
    if (r->err != 0)
        return;
    r->err = code;
    r->err_at = at;
    usual_form(r, false);
}

void etf_reader_fail(etf_reader *r, int code) {
    etf__fail_at(r, code, etf_reader_pos(r));
}

/* Every element there can be, so that a view of one lives on. */
#define ONE(x) ETF__SMALL_INTEGER, (x)
#define FOUR(x) ONE(x), ONE((x) + 1), ONE((x) + 2), ONE((x) + 3)
#define SIXTEEN(x) FOUR(x), FOUR((x) + 4), FOUR((x) + 8), FOUR((x) + 12)
#define MANY(x)                                                                \
    SIXTEEN(x), SIXTEEN((x) + 16), SIXTEEN((x) + 32), SIXTEEN((x) + 48)

static cn_cursor in_string(const etf_reader *r) {
    static const uint8_t nil[] = {ETF__NIL};
    static const uint8_t bytes[] = {MANY(0), MANY(64), MANY(128), MANY(192)};

    if (r->str_left == 0)
        return cn__cursor(nil, 1);
    return cn__cursor(bytes + 2 * (size_t)*r->at, 2);
}

bool etf__look(etf_reader *r, etf__head *h) {
    cn_cursor c;
    int err;

    if (r->err != 0)
        return false;
    c = r->in_str ? in_string(r) : cn__cursor(r->at, etf_reader_left(r));
    err = etf__head_read_with(&c, h, etf__atoms(r));
    if (err != 0)
        etf__fail_at(r, err, (size_t)(h->at - r->data));
    return err == 0;
}

void etf__move(etf_reader *r, const etf__head *h) {
    if (!r->in_str) {
        r->at = h->end;
        return;
    }
    if (r->str_left == 0) {
        r->in_str = false;
        usual_form(r, true);
        return;
    }
    r->str_left--;
    r->at++;
}

/* The next head, which must be of this type. */
static bool expect(etf_reader *r, etf_type type, etf__head *h) {
    if (!etf__look(r, h))
        return false;
    if (h->type != type)
        etf_reader_fail(r, CN_ETYPE);
    return r->err == 0;
}

static etf_type peek(etf_reader *r) {
    etf__head h;

    if (r->in_str && r->err == 0)
        return r->str_left > 0 ? ETF_INT : ETF_NIL;
    if (r->at == r->end)
        return ETF_NONE;
    return etf__look(r, &h) ? h.type : ETF_NONE;
}

etf_type etf_peek(etf_reader *r) {
    size_t left = etf__quick(r);
    uint64_t children;

    if (left > 0 && etf__usual(r->at, left, &children) > 0)
        return etf__usual_type(*r->at);
    return peek(r);
}

void etf_get_version(etf_reader *r) {
    if (r->err != 0)
        return;
    if (r->at == r->end)
        etf_reader_fail(r, CN_ETRUNC);
    else if (r->in_str || *r->at != ETF__VERSION)
        etf_reader_fail(r, CN_EBADTERM);
    else
        r->at++;
}

/* --- numbers ---------------------------------------------------------------
 */

static int64_t get_int(etf_reader *r) {
    etf__head h;
    int64_t v;

    if (r->in_str && r->str_left > 0 && r->err == 0) {
        r->str_left--;
        return *r->at++;
    }
    if (!expect(r, ETF_INT, &h))
        return 0;
    if (etf__head_i64(&h, &v) != 0) {
        etf_reader_fail(r, CN_ERANGE);
        return 0;
    }
    etf__move(r, &h);
    return v;
}

int64_t etf_get_int(etf_reader *r) {
    size_t left = etf__quick(r);
    const uint8_t *p = r->at;

    if (left >= 2 && *p == ETF__SMALL_INTEGER) {
        r->at += 2;
        return p[1];
    }
    if (left >= 5 && *p == ETF__INTEGER) {
        r->at += 5;
        return (int32_t)cn__be32(p + 1);
    }
    return get_int(r);
}

uint64_t etf_get_uint(etf_reader *r) {
    const uint8_t *p = r->at;
    etf__head h;
    uint64_t v;

    if (etf__quick(r) >= 2 && *p == ETF__SMALL_INTEGER) {
        r->at += 2;
        return p[1];
    }
    if (!expect(r, ETF_INT, &h))
        return 0;
    if (etf__head_u64(&h, &v) != 0) {
        etf_reader_fail(r, CN_ERANGE);
        return 0;
    }
    etf__move(r, &h);
    return v;
}

etf_view etf_get_big(etf_reader *r, bool *negative) {
    etf__head h;
    etf_view m;

    *negative = false;
    if (!expect(r, ETF_INT, &h))
        return (etf_view){0};
    m = etf__head_magnitude(&h, r->tiny, negative);
    etf__move(r, &h);
    return m;
}

/* Exact when all that is below the 53 bits of a double is zero. */
static bool exact(etf_view m, double *v) {
    size_t low = m.len > 8 ? m.len - 8 : 0;
    uint64_t top = 0;

    for (size_t i = 0; i < low; i++)
        if (m.data[i] != 0)
            return false;
    if (low > 1024 / 8)
        return false;
    for (size_t i = m.len; i > low; i--)
        top = top << 8 | m.data[i - 1];
    if (top != 0 && top >> __builtin_ctzll(top) >= 1ULL << 53)
        return false;
    *v = ldexp((double)top, (int)low * 8);
    return isfinite(*v);
}

static double get_float(etf_reader *r) {
    etf__head h;
    bool negative = false;
    uint8_t room[8];
    double v = 0;

    if (!etf__look(r, &h))
        return 0;
    if (h.type == ETF_FLOAT)
        v = etf__head_float(&h);
    else if (h.type != ETF_INT)
        etf_reader_fail(r, CN_ETYPE);
    else if (!exact(etf__head_magnitude(&h, room, &negative), &v))
        etf_reader_fail(r, CN_ERANGE);
    if (r->err != 0)
        return 0;
    etf__move(r, &h);
    return negative ? -v : v;
}

double etf_get_float(etf_reader *r) {
    size_t left = etf__quick(r);
    const uint8_t *p = r->at;

    if (left >= 9 && *p == ETF__NEW_FLOAT && etf__finite(p + 1)) {
        r->at += 9;
        return etf__double(p + 1);
    }
    return get_float(r);
}

/* --- atoms, binaries, strings ----------------------------------------------
 */

static etf_view get_atom(etf_reader *r) {
    etf__head h;

    if (!expect(r, ETF_ATOM, &h))
        return (etf_view){0};
    etf__move(r, &h);
    return etf__head_text(&h, r->scratch);
}

etf_view etf_get_atom(etf_reader *r) {
    size_t left = etf__quick(r), size;
    const uint8_t *p = r->at;

    size = left > 0 ? etf__usual_atom(p, left) : 0;
    if (size == 0)
        return get_atom(r);
    r->at += size;
    if (*p == ETF__SMALL_ATOM_UTF8)
        return (etf_view){p + 2, size - 2};
    return (etf_view){p + 3, size - 3};
}

bool etf_get_bool(etf_reader *r) {
    etf__head h;
    etf_view text;
    bool yes;

    if (!expect(r, ETF_ATOM, &h))
        return false;
    text = (etf_view){h.body, h.n};
    yes = etf_view_is(text, "true");
    if (!yes && !etf_view_is(text, "false"))
        etf_reader_fail(r, CN_ETYPE);
    else
        etf__move(r, &h);
    return yes;
}

static etf_view get_binary(etf_reader *r) {
    etf__head h;

    if (!expect(r, ETF_BINARY, &h))
        return (etf_view){0};
    etf__move(r, &h);
    return (etf_view){h.body, h.n};
}

etf_view etf_get_binary(etf_reader *r) {
    size_t left = etf__quick(r);
    const uint8_t *p = r->at;
    uint32_t n;

    if (left < 5 || *p != ETF__BINARY)
        return get_binary(r);
    n = cn__be32(p + 1);
    if (n > left - 5)
        return get_binary(r);
    r->at += 5 + (size_t)n;
    return (etf_view){p + 5, n};
}

etf_view etf_get_bits(etf_reader *r, size_t *bits) {
    etf__head h;

    *bits = 0;
    if (!etf__look(r, &h))
        return (etf_view){0};
    if (h.type != ETF_BINARY && h.type != ETF_BITSTRING) {
        etf_reader_fail(r, CN_ETYPE);
        return (etf_view){0};
    }
    etf__move(r, &h);
    *bits = (size_t)h.n * 8;
    if (h.type == ETF_BITSTRING)
        *bits -= 8U - h.body[-1];
    return (etf_view){h.body, h.n};
}

/* A list of n bytes, opened. */
static void get_byte_list(etf_reader *r, char *out, uint32_t n) {
    etf__head h;
    uint64_t v;

    for (uint32_t i = 0; i < n && expect(r, ETF_INT, &h); i++) {
        if (etf__head_u64(&h, &v) != 0 || v > UINT8_MAX) {
            etf_reader_fail(r, CN_ETYPE);
            return;
        }
        out[i] = (char)(uint8_t)v;
        etf__move(r, &h);
    }
    etf_get_tail(r);
}

size_t etf_get_string(etf_reader *r, char *out, size_t cap) {
    etf__head h;
    size_t n = 0;

    if (etf__look(r, &h))
        n = h.type == ETF_NIL ? 0 : h.n;
    if (r->err == 0 && h.type != ETF_BINARY && h.type != ETF_LIST &&
        h.type != ETF_NIL)
        etf_reader_fail(r, CN_ETYPE);
    else if (n >= cap)
        etf_reader_fail(r, CN_ELIMIT);
    if (r->err == 0 && (h.type == ETF_BINARY || h.tag == ETF__STRING)) {
        memcpy(out, h.body, n); /* n of STRING_EXT may be 0 */
        etf__move(r, &h);
    } else if (r->err == 0) {
        get_byte_list(r, out, etf_get_list(r));
    }
    if (r->err != 0)
        n = 0;
    if (cap > 0)
        out[n] = '\0';
    return n;
}

/* --- tuples, lists, maps ----------------------------------------------------
 */

static uint32_t get_tuple(etf_reader *r) {
    etf__head h;

    if (!expect(r, ETF_TUPLE, &h))
        return 0;
    etf__move(r, &h);
    return h.n;
}

uint32_t etf_get_tuple(etf_reader *r) {
    size_t left = etf__quick(r);
    const uint8_t *p = r->at;

    if (left < 2 || *p != ETF__SMALL_TUPLE || p[1] > left - 2)
        return get_tuple(r);
    r->at += 2;
    return p[1];
}

void etf_get_tuple_n(etf_reader *r, uint32_t n) {
    size_t left = etf__quick(r);
    const uint8_t *p = r->at;
    etf__head h;

    if (left >= 2 && *p == ETF__SMALL_TUPLE && p[1] == n && n <= left - 2) {
        r->at += 2;
        return;
    }

    if (!expect(r, ETF_TUPLE, &h))
        return;
    if (h.n != n)
        etf_reader_fail(r, CN_ETYPE);
    else
        etf__move(r, &h);
}

static uint32_t get_map(etf_reader *r) {
    etf__head h;

    if (!expect(r, ETF_MAP, &h))
        return 0;
    etf__move(r, &h);
    return h.n;
}

void etf__into_string(etf_reader *r, uint32_t n) {
    r->str_left = n;
    r->in_str = true;
    usual_form(r, false);
}

uint32_t etf_get_map(etf_reader *r) {
    size_t left = etf__quick(r);
    const uint8_t *p = r->at;
    uint32_t n = left >= 5 && *p == ETF__MAP ? cn__be32(p + 1) : UINT32_MAX;

    if (n > INT32_MAX || (uint64_t)n * 2 > left - 5)
        return get_map(r);
    r->at += 5;
    return n;
}

/* [] stays where it is: it is its own tail. */
static uint32_t get_list(etf_reader *r) {
    etf__head h;

    if (!etf__look(r, &h) || h.type == ETF_NIL)
        return 0;
    if (h.type != ETF_LIST) {
        etf_reader_fail(r, CN_ETYPE);
        return 0;
    }
    if (h.tag == ETF__STRING) {
        r->at = h.body;
        etf__into_string(r, h.n);
    } else {
        etf__move(r, &h);
    }
    return h.n;
}

uint32_t etf_get_list(etf_reader *r) {
    size_t left = etf__quick(r);
    const uint8_t *p = r->at;
    uint32_t n = left >= 5 && *p == ETF__LIST ? cn__be32(p + 1) : 0;

    if (n == 0 || n >= left - 5)
        return get_list(r);
    r->at += 5;
    return n;
}

void etf_get_tail(etf_reader *r) {
    etf__head h;

    if (etf__quick(r) > 0 && *r->at == ETF__NIL) {
        r->at++;
        return;
    }
    if (expect(r, ETF_NIL, &h))
        etf__move(r, &h);
}

void etf_get_nil(etf_reader *r) {
    etf_get_tail(r);
}

/* --- identifiers ------------------------------------------------------------
 */

/* The node at p: an ASCII atom, or an index into the table. Returns what is
 * behind it, or NULL for what is not usual. */
static const uint8_t *quick_node(const etf_reader *r, const uint8_t *p,
                                 char *node, uint16_t *len) {
    size_t left = (size_t)(r->stop - p);
    etf_view text;

    if (left >= 2 && *p == ETF__ATOM_CACHE_REF && p[1] < r->atoms.n) {
        text = r->atoms.at[p[1]];
        p += 2;
    } else {
        size_t size = etf__usual_atom(p, left);
        if (size == 0 || *p != ETF__SMALL_ATOM_UTF8)
            return NULL;
        text = (etf_view){p + 2, size - 2};
        p += size;
    }
    if (text.len > ETF_NODE_MAX)
        return NULL;
    (void)cn__put_bytes((uint8_t *)node, text.data, text.len);
    node[text.len] = '\0';
    *len = (uint16_t)text.len;
    return p;
}

static bool quick_pid(etf_reader *r, etf_pid *out) {
    const uint8_t *p = r->at;

    if (etf__quick(r) < 16 || *p != ETF__NEW_PID)
        return false;
    p = quick_node(r, p + 1, out->node, &out->node_len);
    if (p == NULL || r->stop - p < 12)
        return false;
    out->id = cn__be32(p);
    out->serial = cn__be32(p + 4);
    out->creation = cn__be32(p + 8);
    r->at = p + 12;
    return true;
}

static void get_pid(etf_reader *r, etf_pid *out) {
    etf__head h;
    int err;

    if (expect(r, ETF_PID, &h)) {
        err = etf__head_pid(&h, out);
        if (err == 0)
            etf__move(r, &h);
        else
            etf_reader_fail(r, err);
    }
    if (r->err != 0)
        *out = (etf_pid){0};
}

void etf_get_pid(etf_reader *r, etf_pid *out) {
    if (!quick_pid(r, out))
        get_pid(r, out);
}

void etf_get_port(etf_reader *r, etf_port *out) {
    etf__head h;
    int err;

    if (expect(r, ETF_PORT, &h)) {
        err = etf__head_port(&h, out);
        if (err == 0)
            etf__move(r, &h);
        else
            etf_reader_fail(r, err);
    }
    if (r->err != 0)
        *out = (etf_port){0};
}

static bool quick_ref(etf_reader *r, etf_ref *out) {
    const uint8_t *p = r->at;
    uint16_t n;

    if (etf__quick(r) < 9 || *p != ETF__NEWER_REFERENCE)
        return false;
    n = cn__be16(p + 1);
    p = quick_node(r, p + 3, out->node, &out->node_len);
    if (p == NULL || n > ETF_REF_WORDS || r->stop - p < 4 + 4 * n)
        return false;
    out->n = n;
    out->creation = cn__be32(p);
    p += 4;
    for (uint16_t i = 0; i < ETF_REF_WORDS; i++)
        out->ids[i] = i < n ? cn__be32(p + (size_t)4 * i) : 0;
    r->at = p + (size_t)4 * n;
    return true;
}

static void get_ref(etf_reader *r, etf_ref *out) {
    etf__head h;
    int err;

    if (expect(r, ETF_REF, &h)) {
        err = etf__head_ref(&h, out);
        if (err == 0)
            etf__move(r, &h);
        else
            etf_reader_fail(r, err);
    }
    if (r->err != 0)
        *out = (etf_ref){0};
}

void etf_get_ref(etf_reader *r, etf_ref *out) {
    if (!quick_ref(r, out))
        get_ref(r, out);
}

void etf_get_export(etf_reader *r, etf_view *module, etf_view *function,
                    uint8_t *arity) {
    etf__head h, m, f;

    *module = *function = (etf_view){0};
    *arity = 0;
    if (!expect(r, ETF_EXPORT, &h))
        return;
    etf__head_inner(&h, h.body, &m);
    etf__head_inner(&h, h.rest, &f);
    *module = etf__head_text(&m, r->scratch);
    *function = etf__head_text(&f, r->scratch + ETF__LATIN1_ROOM);
    *arity = (uint8_t)h.n;
    etf__move(r, &h);
}

void etf_get_fun(etf_reader *r, etf_fun *out) {
    etf__head h, inner;
    etf__fun fun;
    int err;

    *out = (etf_fun){0};
    if (!expect(r, ETF_FUN, &h))
        return;
    etf__head_fun(&h, &fun);
    etf__head_inner(&h, fun.pid, &inner);
    err = etf__head_pid(&inner, &out->creator);
    if (err != 0) {
        etf_reader_fail(r, err);
        *out = (etf_fun){0};
        return;
    }
    etf__head_inner(&h, h.body, &inner);
    out->module = etf__head_text(&inner, r->scratch);
    out->arity = fun.arity;
    out->index = fun.index;
    out->uniq = fun.uniq;
    out->old_index = fun.old_index;
    out->old_uniq = fun.old_uniq;
    out->n = h.n;
    etf__move(r, &h);
}

void etf_get_record(etf_reader *r, etf_record *out) {
    etf__head h, atom;

    *out = (etf_record){0};
    if (!expect(r, ETF_RECORD, &h))
        return;
    etf__head_inner(&h, h.body, &atom);
    out->module = etf__head_text(&atom, r->scratch);
    etf__head_inner(&h, h.rest, &atom);
    out->name = etf__head_text(&atom, r->scratch + ETF__LATIN1_ROOM);
    out->exported = h.body[-1] != 0;
    out->n = h.n;
    out->fields = (etf_view){atom.end, (size_t)(h.end - atom.end)};
    etf__move(r, &h);
}

/* --- whole terms ---------------------------------------------------------- */

/* One term in an opened STRING_EXT, or at its end. */
static void skip_made(etf_reader *r) {
    etf__head h;

    if (etf__look(r, &h))
        etf__move(r, &h);
}

void etf_skip(etf_reader *r) {
    cn_cursor c = cn__cursor(r->at, etf_reader_left(r));
    const uint8_t *at;
    int err;

    if (r->err != 0 || r->in_str) {
        skip_made(r);
        return;
    }
    err = etf__skip(&c, etf__atoms(r), &at);
    if (err != 0)
        etf__fail_at(r, err, (size_t)(at - r->data));
    r->at = c.p;
}

static etf_view get_made(etf_reader *r) {
    etf__head h;

    if (!etf__look(r, &h))
        return (etf_view){0};
    etf__move(r, &h);
    return (etf_view){h.at, (size_t)(h.end - h.at)};
}

etf_view etf_get_term(etf_reader *r) {
    const uint8_t *from = r->at;

    if (r->err != 0 || r->in_str)
        return get_made(r);
    etf_skip(r);
    if (r->err != 0)
        return (etf_view){0};
    while (*from == ETF__LIST && cn__be32(from + 1) == 0) /* its tail */
        from += 5;
    return (etf_view){from, (size_t)(r->at - from)};
}

etf_type etf_type_of(etf_view term) {
    etf_reader r;

    etf_reader_init(&r, term);
    return etf_peek(&r);
}

int etf_element(etf_view tuple, uint32_t n, etf_view *out) {
    etf_reader r;

    etf_reader_init(&r, tuple);
    if (n >= etf_get_tuple(&r))
        etf_reader_fail(&r, CN_ERANGE);
    for (uint32_t i = 0; i < n && r.err == 0; i++)
        etf_skip(&r);
    *out = etf_get_term(&r);
    return r.err;
}

int etf_map_get(etf_view map, const char *atom_key, etf_view *out) {
    etf_reader r;
    bool hit = false;

    *out = (etf_view){0};
    etf_reader_init(&r, map);
    for (uint32_t n = etf_get_map(&r); n > 0 && r.err == 0; n--) {
        if (etf_peek(&r) == ETF_ATOM)
            hit = etf_view_is(etf_get_atom(&r), atom_key);
        else
            etf_skip(&r);
        if (hit) {
            *out = etf_get_term(&r);
            return r.err;
        }
        etf_skip(&r);
    }
    return r.err != 0 ? r.err : CN_ENOENT;
}

int etf_map_find(etf_view map, etf_view key, etf_view *out) {
    etf_reader r;
    int order = 1;

    *out = (etf_view){0};
    etf_reader_init(&r, map);
    for (uint32_t n = etf_get_map(&r); n > 0 && r.err == 0; n--) {
        etf_view here = etf_get_term(&r);
        int err =
            r.err == 0 ? etf_compare_exact(NULL, here, key, &order) : r.err;
        if (err != 0)
            return err;
        if (order == 0) {
            *out = etf_get_term(&r);
            return r.err;
        }
        etf_skip(&r);
    }
    return r.err != 0 ? r.err : CN_ENOENT;
}

int etf_copy(const cn_alloc *alloc, etf_view v, etf_view *out) {
    uint8_t *p;

    *out = (etf_view){0};
    if (v.len == 0)
        return 0;
    p = cn__resize(alloc, NULL, 0, v.len, 1);
    if (p == NULL)
        return CN_ENOMEM;
    memcpy(p, v.data, v.len);
    *out = (etf_view){p, v.len};
    return 0;
}

void etf_copy_free(const cn_alloc *alloc, etf_view v) {
    union {
        const uint8_t *c;
        uint8_t *p;
    } u = {v.data};

    cn__free(alloc, u.p, v.len, 1);
}
