/* SPDX-License-Identifier: Apache-2.0
 *
 * scan.c: where a term ends, while its bytes come in.
 *
 * `at` is always at a head. One whose bytes are not all there is read again
 * from its tag when there are more, and heads are short or are taken in steps:
 * a list of no elements is a head with one child here, and the names of a
 * record are steps of their own. So each byte is looked at a few times at most.
 */
#include <zlib.h>

#include "base/alloc.h"
#include "ext_term/reader.h"

enum state { AT_VERSION, AT_ENVELOPE, IN_TERM, IN_STREAM, AT_END, FAILED };

enum { STREAM_AT = 6 }; /* | 131 | 80 | size 4 | zlib stream | */

void etf_scanner_init(etf_scanner *s, const cn_alloc *alloc,
                      const etf_limits *limits, bool version) {
    *s = (etf_scanner){.most = etf__limits(limits),
                       .alloc = cn__alloc(alloc),
                       .left = 1,
                       .state = version ? AT_VERSION : IN_TERM};
    (void)etf__error(&s->error, 0, 0, "");
}

void etf_scanner_free(etf_scanner *s) {
    z_stream *z = s->stream;

    if (z == NULL)
        return;
    (void)inflateEnd(z);
    cn__free(s->alloc, z, 1, sizeof *z);
    s->stream = NULL;
}

static int fail(etf_scanner *s, int code, size_t at, const char *what) {
    etf_scanner_free(s);
    s->state = FAILED;
    return etf__error(&s->error, code, at, what);
}

/* --- heads ---------------------------------------------------------------- */

/* What a head takes at the least; 0: one byte. */
static const uint8_t least[256] = {
    [ETF__RECORD] = 6,
    [ETF__NEW_FLOAT] = 9,
    [ETF__BIT_BINARY] = 7,
    [ETF__NEW_PID] = 15,
    [ETF__NEW_PORT] = 11,
    [ETF__NEWER_REFERENCE] = 9,
    [ETF__SMALL_INTEGER] = 2,
    [ETF__INTEGER] = 5,
    [ETF__FLOAT] = 32,
    [ETF__ATOM] = 3,
    [ETF__REFERENCE] = 8,
    [ETF__PORT] = 8,
    [ETF__PID] = 12,
    [ETF__SMALL_TUPLE] = 2,
    [ETF__LARGE_TUPLE] = 5,
    [ETF__STRING] = 3,
    [ETF__LIST] = 5,
    [ETF__BINARY] = 5,
    [ETF__SMALL_BIG] = 3,
    [ETF__LARGE_BIG] = 6,
    [ETF__NEW_FUN] = 47,
    [ETF__EXPORT] = 7,
    [ETF__NEW_REFERENCE] = 10,
    [ETF__SMALL_ATOM] = 2,
    [ETF__MAP] = 5,
    [ETF__ATOM_UTF8] = 3,
    [ETF__SMALL_ATOM_UTF8] = 2,
    [ETF__V4_PORT] = 15,
};

/* The bytes behind the count of a head, whose count is there. */
static size_t counted(const uint8_t *p) {
    switch (*p) {
    case ETF__BINARY:
    case ETF__LARGE_BIG:
        return cn__be32(p + 1);
    case ETF__BIT_BINARY:
        return cn__be32(p + 1) == 0 ? 0 : (size_t)cn__be32(p + 1) - 1;
    case ETF__STRING:
    case ETF__ATOM:
    case ETF__ATOM_UTF8:
        return cn__be16(p + 1);
    case ETF__SMALL_BIG:
    case ETF__SMALL_ATOM:
    case ETF__SMALL_ATOM_UTF8:
        return p[1];
    default:
        return 0;
    }
}

/* How many bytes are missing to the head of which `have` are there. */
static size_t missing(const uint8_t *p, size_t have) {
    size_t size = have == 0 ? 1 : least[*p];

    if (have > 0 && have >= size)
        size += counted(p);
    return size > have ? size - have : 1;
}

typedef struct step {
    size_t size;
    uint64_t children;
    uint64_t names;
} step;

/* A head that is not usual, or not all there: CN_ETRUNC then. */
static int step_rare(etf_scanner *s, const uint8_t *p, size_t n, step *to) {
    cn_cursor c = cn__cursor(p, n);
    etf__head h;
    int err = etf__head_read(&c, &h);

    if (c.bad)
        return CN_ETRUNC;
    if (err == CN_EBADTERM)
        return fail(s, err, s->at, etf__head_what(&h, err));
    if ((h.tag == ETF__SMALL_BIG || h.tag == ETF__LARGE_BIG) &&
        h.n > s->most.big_bytes)
        return fail(s, CN_ELIMIT, s->at, "too large an integer");
    *to = (step){(size_t)(h.end - p), h.children, 0};
    return 0;
}

/* | 67 | n 4 | flags 1 |, and then n + 2 atoms */
static int step_record(etf_scanner *s, const uint8_t *p, size_t n, step *to) {
    if (n < 6)
        return CN_ETRUNC;
    if (p[5] > 1)
        return fail(s, CN_EBADTERM, s->at,
                    "record with flags that mean nothing");
    *to = (step){6, cn__be32(p + 1), (uint64_t)cn__be32(p + 1) + 2};
    return 0;
}

static int step_term(etf_scanner *s, const uint8_t *p, size_t n, step *to) {
    *to = (step){0};
    if (n == 0)
        return CN_ETRUNC;
    if (*p == ETF__RECORD)
        return step_record(s, p, n, to);
    if (*p == ETF__LIST) {
        *to = (step){5, n < 5 ? 0 : (uint64_t)cn__be32(p + 1) + 1, 0};
        return n < 5 ? CN_ETRUNC : 0;
    }
    if (*p != ETF__SMALL_BIG)
        to->size = etf__usual(p, n, &to->children);
    return to->size > 0 ? 0 : step_rare(s, p, n, to);
}

/* The name of a record, its module or a field. */
static int step_name(etf_scanner *s, const uint8_t *p, size_t n, step *to) {
    int err = step_term(s, p, n, to);

    if (n > 0 && etf__usual_type(*p) != ETF_ATOM && s->state != FAILED)
        return fail(s, CN_EBADTERM, s->at, "no atom where a name should be");
    return err;
}

/* --- a term --------------------------------------------------------------- */

static int count(etf_scanner *s, const step *to) {
    s->terms++;
    s->left += to->children - 1;
    s->names = to->names;
    if (s->terms + s->left > s->most.terms)
        return fail(s, CN_ELIMIT, s->at, "too many terms");
    return 0;
}

/* Each term that is still to come takes a byte at least. */
static size_t needed(const etf_scanner *s, const uint8_t *p, size_t n) {
    uint64_t more = s->names + s->left - 1;
    size_t here = missing(p, n);

    if (s->names > 0)
        more += s->names - 1; /* and a name two */
    return more > SIZE_MAX - here ? SIZE_MAX : here + (size_t)more;
}

static int scan_term(etf_scanner *s, const uint8_t *data, size_t n,
                     size_t *need) {
    step to;
    int err = 0;

    while (s->left > 0 || s->names > 0) {
        const uint8_t *p = data + s->at;
        size_t have = n - s->at;
        err = s->names > 0 ? step_name(s, p, have, &to)
                           : step_term(s, p, have, &to);
        if (err == CN_ETRUNC)
            *need = needed(s, p, have);
        if (err != 0)
            return err;
        if (s->names > 0)
            s->names--;
        else
            err = count(s, &to);
        if (err != 0)
            return err;
        s->at += to.size;
    }
    s->state = AT_END;
    return 0;
}

/* --- a compressed term ---------------------------------------------------- */

static int open_stream(etf_scanner *s, const uint8_t *data) {
    union {
        const cn_alloc *c;
        void *p;
    } hook = {s->alloc};
    z_stream *z;

    if (cn__be32(data + 2) > s->most.inflated)
        return fail(s, CN_ELIMIT, 2, "too large when inflated");
    z = cn__resize(s->alloc, NULL, 0, 1, sizeof *z);
    if (z == NULL)
        return fail(s, CN_ENOMEM, 2, cn_strerror(CN_ENOMEM));
    *z = (z_stream){
        .zalloc = etf__zlib_take, .zfree = etf__zlib_give, .opaque = hook.p};
    if (inflateInit(z) != Z_OK) {
        cn__free(s->alloc, z, 1, sizeof *z);
        return fail(s, CN_ENOMEM, 2, cn_strerror(CN_ENOMEM));
    }
    s->stream = z;
    s->at = STREAM_AT;
    s->state = IN_STREAM;
    return 0;
}

/* Inflates what is there into nothing; Z_OK: more is needed. */
static int inflate_some(etf_scanner *s, const uint8_t *data, size_t n,
                        uint32_t size) {
    z_stream *z = s->stream;
    uint8_t away[4096];
    int rc = Z_OK;

    while (rc == Z_OK && z->total_out <= size) {
        size_t have = n - s->at;
        uInt part = have > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uInt)have;
        union {
            const uint8_t *c;
            Bytef *p;
        } in = {data + s->at};
        z->next_in = in.p;
        z->avail_in = part;
        z->next_out = away;
        z->avail_out = sizeof away;
        rc = inflate(z, Z_NO_FLUSH);
        s->at += part - z->avail_in;
        if (rc == Z_BUF_ERROR || (s->at == n && z->avail_out > 0))
            break;
    }
    return rc == Z_BUF_ERROR ? Z_OK : rc;
}

static int scan_stream(etf_scanner *s, const uint8_t *data, size_t n,
                       size_t *need) {
    uint32_t size = cn__be32(data + 2);
    z_stream *z = s->stream;
    int rc = inflate_some(s, data, n, size);

    if (rc == Z_MEM_ERROR)
        return fail(s, CN_ENOMEM, STREAM_AT, cn_strerror(CN_ENOMEM));
    if (rc != Z_OK && rc != Z_STREAM_END)
        return fail(s, CN_EBADTERM, STREAM_AT, "not a zlib stream");
    if (z->total_out > size || (rc == Z_STREAM_END && z->total_out < size))
        return fail(s, CN_EBADTERM, STREAM_AT,
                    "the term does not inflate to its size");
    if (rc == Z_OK) {
        *need = 1;
        return CN_ETRUNC;
    }
    etf_scanner_free(s);
    s->state = AT_END;
    return 0;
}

/* --- the envelope --------------------------------------------------------- */

static int scan_version(etf_scanner *s, const uint8_t *data, size_t n,
                        size_t *need) {
    *need = 2;
    if (n == 0)
        return CN_ETRUNC;
    if (data[0] != ETF__VERSION)
        return fail(s, CN_EBADTERM, 0, "no version byte (131)");
    s->at = 1;
    s->state = AT_ENVELOPE;
    return 0;
}

static int scan_envelope(etf_scanner *s, const uint8_t *data, size_t n,
                         size_t *need) {
    if (n > 1 && data[1] != ETF__COMPRESSED) {
        s->state = IN_TERM;
        return 0;
    }
    *need = n > 1 ? STREAM_AT - n + 1 : 1;
    return n < STREAM_AT ? CN_ETRUNC : open_stream(s, data);
}

static int scan_from(etf_scanner *s, const uint8_t *data, size_t n,
                     size_t *need) {
    switch ((enum state)s->state) {
    case AT_VERSION:
        return scan_version(s, data, n, need);
    case AT_ENVELOPE:
        return scan_envelope(s, data, n, need);
    case IN_TERM:
        return scan_term(s, data, n, need);
    case IN_STREAM:
        return scan_stream(s, data, n, need);
    case AT_END:
        return 0;
    case FAILED:
    default:
        return s->error.code;
    }
}

int etf_scan(etf_scanner *s, const void *data, size_t n, size_t *need) {
    int err = n < s->at ? CN_EBADARG : 0;
    size_t nobody = 0;

    need = need != NULL ? need : &nobody;
    *need = 0;
    while (err == 0 && s->state != AT_END)
        err = scan_from(s, data, n, need);
    if (err == 0)
        *need = s->at;
    else if (err != CN_ETRUNC)
        *need = 0;
    return err;
}
