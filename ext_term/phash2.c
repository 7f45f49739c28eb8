/* SPDX-License-Identifier: Apache-2.0
 *
 * phash2.c: erlang:phash2/1,2, bit for bit.
 *
 * The hash is a state of 32 bits into which each part of the term is mixed in
 * turn, with a constant for its kind. What follows here by what means is
 * Erlang's choice and must stay: bytes of a list go in four at a time, a map
 * is the exclusive or of its pairs, so that their order does not matter, and
 * of a reference or pid only the first number counts.
 */
#include "ext_term/frames.h"

/* --- mixing --------------------------------------------------------------- */

/* The kinds; each is this many times the golden ratio. */
enum kind {
    K_SMALL = 1, /* also functions and the start of a binary's words */
    K_NIL,
    K_ATOM,
    K_BYTES,
    K_PID,
    K_PORT,
    K_REF,
    K_TUPLE = 9,
    K_NEGATIVE,
    K_POSITIVE,
    K_FLOAT,
    K_BINARY,
    K_FUNCTION,
    K_BITS,
    K_MAP,
    K_PAIRS = 19
};

static const uint32_t golden = 0x9e3779b9;
static const uint32_t nil_alone = 3468870702;

static uint32_t constant(enum kind k) {
    return (uint32_t)k * golden;
}

typedef struct mix {
    uint32_t a, b, c;
} mix;

/* Bob Jenkins' reversible mix of 96 bits, "Hash Functions", Dr. Dobb's Journal
 * 9/1997. */
static void stir(mix *m) {
    static const uint8_t shift[3][3] = {{13, 8, 13}, {12, 16, 5}, {3, 10, 15}};

    for (int i = 0; i < 3; i++) {
        m->a = (m->a - m->b - m->c) ^ (m->c >> shift[i][0]);
        m->b = (m->b - m->c - m->a) ^ (m->a << shift[i][1]);
        m->c = (m->c - m->a - m->b) ^ (m->b >> shift[i][2]);
    }
}

static uint32_t mix2(uint32_t hash, uint32_t x, uint32_t y, enum kind k) {
    mix m = {constant(k) + x, constant(k) + y, hash};

    stir(&m);
    return m.c;
}

static uint32_t mix1(uint32_t hash, uint32_t x, enum kind k) {
    return mix2(hash, x, 0, k);
}

static uint32_t le32(const uint8_t *p, size_t n) {
    uint32_t v = 0;

    for (size_t i = 0; i < n && i < 4; i++)
        v |= (uint32_t)p[i] << 8 * i;
    return v;
}

/* Twelve bytes at a time; the last word leaves its lowest byte to the
 * length. */
static uint32_t mix_block(const uint8_t *p, size_t n, uint32_t start) {
    mix m = {golden, golden, start};
    size_t left = n;

    for (; left >= 12; left -= 12, p += 12) {
        m.a += le32(p, 4);
        m.b += le32(p + 4, 4);
        m.c += le32(p + 8, 4);
        stir(&m);
    }
    m.a += le32(p, left);
    if (left > 4)
        m.b += le32(p + 4, left - 4);
    m.c += (uint32_t)n;
    if (left > 8)
        m.c += le32(p + 8, left - 8) << 8;
    stir(&m);
    return m.c;
}

/* --- parts ---------------------------------------------------------------- */

/* The value of an atom: P. J. Weinberger's hash of its text, in latin-1 where
 * that has the character. */
static uint32_t atom_value(const etf__head *h) {
    uint8_t room[ETF__LATIN1_ROOM];
    etf_view text = etf__head_text(h, room);
    uint32_t v = 0, high;

    for (size_t i = 0; i < text.len; i++) {
        uint32_t c = text.data[i];
        if ((c & 0xfe) == 0xc2 && i + 1 < text.len)
            c = (c << 6 | (text.data[++i] & 0x3fU)) & 0xff;
        v = (v << 4) + c;
        high = v & 0xf0000000;
        v = (v ^ high >> 24) ^ high;
    }
    return v;
}

static uint32_t inner_atom_value(const uint8_t *p, const uint8_t *end) {
    etf__head h;

    etf__head_atom(p, end, &h);
    return atom_value(&h);
}

static uint32_t mix_int(uint32_t hash, const etf__head *h) {
    uint8_t room[8];
    bool negative;
    etf_view m = etf__head_magnitude(h, room, &negative);
    uint32_t low = le32(m.data, m.len);
    size_t i = 0;

    if (m.len <= 4 && low < (1U << 27) + (negative ? 1 : 0)) {
        if (negative) /* twice, the second time with its sign */
            hash = mix1(hash, low, K_SMALL);
        return mix1(hash, negative ? 0 - low : low, K_SMALL);
    }
    for (; i < m.len; i += 8)
        hash = mix2(hash, le32(m.data + i, m.len - i),
                    m.len - i > 4 ? le32(m.data + i + 4, m.len - i - 4) : 0,
                    negative ? K_NEGATIVE : K_POSITIVE);
    return hash;
}

/* The two zeros are one here. */
static uint32_t mix_float(uint32_t hash, const etf__head *h) {
    double v = etf__head_float(h);
    uint64_t bits = 0;

    if (v < 0 || v > 0)
        memcpy(&bits, &v, sizeof bits);
    return mix2(hash, (uint32_t)(bits >> 32), (uint32_t)bits, K_FLOAT);
}

static uint32_t mix_binary(uint32_t hash, const etf__head *h) {
    uint32_t bits = h->type == ETF_BITSTRING ? h->body[-1] : 0;
    size_t n = h->n - (bits > 0 ? 1U : 0U);
    uint32_t start = constant(K_BINARY) + hash;

    if (h->n == 0)
        return start;
    hash = mix_block(h->body, n, start);
    if (bits > 0)
        hash = mix2(hash, bits, (uint32_t)h->body[n] >> (8 - bits), K_BITS);
    return hash;
}

static uint32_t mix_export(uint32_t hash, const etf__head *h) {
    hash = mix2(hash, h->n, inner_atom_value(h->body, h->end), K_SMALL);
    return mix1(hash, inner_atom_value(h->rest, h->end), K_FUNCTION);
}

static uint32_t mix_fun(uint32_t hash, const etf__head *h) {
    etf__fun fun;

    etf__head_fun(h, &fun);
    hash = mix2(hash, h->n, inner_atom_value(h->body, h->end), K_SMALL);
    return mix2(hash, fun.index, (uint32_t)fun.old_uniq, K_SMALL);
}

static uint32_t mix_id(uint32_t hash, const etf__head *h) {
    etf__numbers id;

    etf__head_numbers(h, &id);
    if (h->type == ETF_PID)
        return mix1(hash, (uint32_t)id.id, K_PID);
    if (h->type == ETF_PORT)
        return mix2(hash, (uint32_t)id.id, (uint32_t)(id.id >> 32), K_PORT);
    return mix1(hash, h->n > 0 ? id.words[0] : 0, K_REF);
}

static uint32_t mix_nil(uint32_t hash) {
    return hash == 0 ? nil_alone : mix1(hash, 2, K_NIL);
}

static uint32_t mix_atom(uint32_t hash, const etf__head *h) {
    uint32_t v = atom_value(h);

    return hash == 0 ? v : mix1(hash, v, K_ATOM);
}

/* A term that has no elements, or what stands before its elements. */
static uint32_t mix_head(uint32_t hash, const etf__head *h) {
    switch (h->type) {
    case ETF_INT:
        return mix_int(hash, h);
    case ETF_FLOAT:
        return mix_float(hash, h);
    case ETF_ATOM:
        return mix_atom(hash, h);
    case ETF_BINARY:
    case ETF_BITSTRING:
        return mix_binary(hash, h);
    case ETF_TUPLE:
        return mix1(hash, h->n, K_TUPLE);
    case ETF_MAP:
        return mix1(hash, h->n, K_MAP);
    case ETF_FUN:
        return mix_fun(hash, h);
    case ETF_EXPORT:
        return mix_export(hash, h);
    case ETF_NIL:
        return mix_nil(hash);
    default:
        return mix_id(hash, h);
    }
}

/* --- the walk ------------------------------------------------------------- */

typedef struct frame {
    uint64_t left;  /* terms to come; of a list without its tail */
    etf_type type;  /* ETF_NONE: a list of which all was read */
    bool paired;    /* a map: a value was taken, which ends a pair */
    uint32_t hash;  /* a map: what was before it */
    uint32_t pairs; /* and the pairs of the map around it */
} frame;

typedef struct walk {
    cn_cursor c;
    etf__frames frames;
    uint32_t hash;
    uint32_t pairs; /* of the innermost map */
} walk;

typedef struct run {
    uint32_t word;
    unsigned n;
} run;

static void run_byte(walk *w, run *r, uint8_t byte) {
    r->word = r->word << 8 | byte;
    if (++r->n < 4)
        return;
    w->hash = mix1(w->hash, r->word, K_BYTES);
    *r = (run){0};
}

static void run_end(walk *w, run *r) {
    if (r->n > 0)
        w->hash = mix1(w->hash, r->word, K_BYTES);
    *r = (run){0};
}

static bool is_byte(const etf__head *h, uint8_t *byte) {
    uint64_t v;

    if (h->type != ETF_INT || etf__head_u64(h, &v) != 0 || v > UINT8_MAX)
        return false;
    *byte = (uint8_t)v;
    return true;
}

/* The bytes that the list, or what is left of it, begins with; then *h is the
 * term behind them: an element, or with f->type ETF_NONE the tail. */
static int walk_run(walk *w, frame *f, etf__head *h) {
    run r = {0};
    uint8_t byte;
    int err;

    for (;;) {
        err = etf__head_read(&w->c, h);
        if (err != 0)
            return err;
        if (f->left > 0) {
            f->left--;
            if (!is_byte(h, &byte))
                break;
            run_byte(w, &r, byte);
        } else if (h->type == ETF_LIST && h->tag == ETF__LIST) {
            f->left = h->n;
        } else {
            for (uint32_t i = 0; h->type == ETF_LIST && i < h->n; i++)
                run_byte(w, &r, h->body[i]);
            if (h->type == ETF_LIST)
                h->type = ETF_NIL;
            f->type = ETF_NONE;
            break;
        }
    }
    run_end(w, &r);
    return 0;
}

static int walk_push(walk *w, const etf__head *h) {
    frame *f = etf__frames_push(&w->frames);

    if (f == NULL)
        return CN_ENOMEM;
    *f = (frame){h->children, h->type, false, w->hash, w->pairs};
    if (h->type == ETF_LIST)
        f->left = h->n;
    if (h->type == ETF_MAP)
        w->hash = w->pairs = 0;
    return 0;
}

static int walk_term(walk *w, const etf__head *h) {
    static const uint8_t nil[] = {ETF__NIL};
    cn_cursor c = cn__cursor(nil, 1);
    etf__head end;

    if (h->type == ETF_RECORD) /* not the same on every node */
        return CN_ENOTSUP;
    if (h->type == ETF_LIST && h->tag == ETF__STRING) {
        run r = {0};
        for (uint32_t i = 0; i < h->n; i++)
            run_byte(w, &r, h->body[i]);
        run_end(w, &r);
        (void)etf__head_read(&c, &end);
        h = &end;
    }
    if (h->type != ETF_LIST)
        w->hash = mix_head(w->hash, h);
    return h->children > 0 ? walk_push(w, h) : 0;
}

static void walk_pop(walk *w, const frame *f) {
    if (f->type == ETF_MAP) {
        w->hash = mix1(f->hash, w->pairs, K_PAIRS);
        w->pairs = f->pairs;
    }
    etf__frames_pop(&w->frames);
}

/* A pair of the map is complete. */
static void walk_pair(walk *w) {
    w->pairs ^= w->hash;
    w->hash = 0;
}

/* The next term of the frame, which may be at its end: then h->at is NULL. */
static int walk_next(walk *w, frame *f, etf__head *h) {
    int err;

    h->at = NULL;
    if (f->type == ETF_LIST) {
        err = walk_run(w, f, h);
        if (f->type == ETF_NONE)
            etf__frames_pop(&w->frames);
        return err;
    }
    if (f->type == ETF_MAP && f->paired)
        walk_pair(w);
    if (f->left == 0) {
        walk_pop(w, f);
        return 0;
    }
    f->left--;
    f->paired = f->left % 2 == 0;
    return etf__head_read(&w->c, h);
}

static int walk_all(walk *w) {
    etf__head h;
    int err = etf__head_read(&w->c, &h);

    if (err == 0)
        err = walk_term(w, &h);
    while (err == 0 && w->frames.n > 0) {
        err = walk_next(w, etf__frames_top(&w->frames), &h);
        if (err == 0 && h.at != NULL)
            err = walk_term(w, &h);
    }
    return err;
}

int etf_phash2(const cn_alloc *alloc, etf_view term, uint64_t range,
               uint32_t *hash) {
    walk w = {.c = cn__cursor(term.data, term.len)};
    int err;

    *hash = 0;
    if (range == 0 || range > ETF_PHASH2_ALL)
        return CN_EBADARG;
    etf__frames_init(&w.frames, alloc, sizeof(frame));
    err = walk_all(&w);
    etf__frames_free(&w.frames);
    if (err == 0)
        *hash = (uint32_t)(w.hash % range);
    return err;
}
