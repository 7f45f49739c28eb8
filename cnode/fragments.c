/* SPDX-License-Identifier: Apache-2.0
 *
 * fragments.c: see fragments.h. What counts against the limit are the bytes
 * that are taken, not those that have come.
 */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "cnode/fragments.h"

enum {
    FIRST_CAP = 256 * 1024, /* most that is taken on the word of a peer */
    KEEP_SPARE = 2 << 20,
    WORTH_ROOM = 16 * 1024 /* less is not worth a read of its own */
};

void cnode__fragments_init(cnode__fragments *f, uint64_t seed,
                           const cn_alloc *alloc) {
    *f = (cnode__fragments){.alloc = cn__alloc(alloc)};
    cn__map_init(&f->open, seed, alloc);
}

static size_t size_of(const cnode__sequence *s) {
    return sizeof *s + s->cap + s->atoms_size;
}

static void free_sequence(cnode__fragments *f, cnode__sequence *s) {
    f->bytes -= size_of(s);
    cn__free(f->alloc, s->data, s->cap, 1);
    cn__free(f->alloc, s->atoms, s->atoms_size, 1);
    cn__free(f->alloc, s, 1, sizeof *s);
}

void cnode__fragments_rest(cnode__fragments *f) {
    cn__free(f->alloc, f->spare, f->spare_cap, 1);
    f->spare = NULL;
    f->spare_cap = 0;
}

void cnode__fragments_save(cnode__fragments *f, uint8_t *data, size_t cap) {
    if (cap > KEEP_SPARE || cap <= f->spare_cap) {
        cn__free(f->alloc, data, cap, 1);
        return;
    }
    cnode__fragments_rest(f);
    f->spare = data;
    f->spare_cap = cap;
}

void cnode__fragments_done(cnode__fragments *f) {
    cnode__sequence *s = f->whole;

    if (s == NULL)
        return;
    cnode__fragments_save(f, s->data, s->cap);
    f->bytes -= s->cap;
    s->data = NULL;
    s->cap = 0;
    free_sequence(f, s);
    f->whole = NULL;
}

void cnode__fragments_free(cnode__fragments *f) {
    cnode__sequence *s;
    size_t at = 0;

    cnode__fragments_done(f);
    while ((s = cn__map_first(&f->open, &at)) != NULL) {
        (void)cn__map_remove(&f->open, &s->id, sizeof s->id);
        free_sequence(f, s);
    }
    cn__map_free(&f->open);
    cnode__fragments_rest(f);
}

/* --- limits --------------------------------------------------------------- */

static int no_memory(cn_error *e) {
    return cn__fail(e, CN_ENOMEM, 0,
                    "out of memory for a message in fragments");
}

static int too_long(const cnode__fragments *f, size_t len, cn_error *e) {
    return cn__fail(e, CN_ELIMIT, 0,
                    "a message of %zu bytes and more is over the limit of %zu",
                    len, f->max_message);
}

/* Counts n bytes more. */
static int take(cnode__fragments *f, size_t n, cn_error *e) {
    if (n > f->max_bytes || f->bytes > f->max_bytes - n)
        return cn__fail(e, CN_ELIMIT, 0,
                        "the messages that came only in part so far take more "
                        "than the limit of %zu bytes",
                        f->max_bytes);
    f->bytes += n;
    return 0;
}

/* --- the bytes ------------------------------------------------------------ */

static int resize(cnode__fragments *f, cnode__sequence *s, size_t cap,
                  cn_error *e) {
    int err = take(f, cap - s->cap, e);
    uint8_t *p;

    if (err != 0)
        return err;
    p = cn__resize(f->alloc, s->data, s->cap, cap, 1);
    if (p == NULL) {
        f->bytes -= cap - s->cap;
        return no_memory(e);
    }
    s->data = p;
    s->cap = cap;
    return 0;
}

/* Twice as much, but not more than a message may have; exactly what is needed
 * when there is no room for that. */
static int grow(cnode__fragments *f, cnode__sequence *s, size_t need,
                cn_error *e) {
    size_t most = f->max_message > SIZE_MAX - s->start
                      ? SIZE_MAX
                      : s->start + f->max_message;
    size_t cap = s->cap > most / 2 ? most : s->cap * 2;

    if (need <= s->cap)
        return 0;
    if (cap < need || f->bytes + (cap - s->cap) > f->max_bytes)
        cap = need;
    return resize(f, s, cap, e);
}

static int append(cnode__fragments *f, cnode__sequence *s, etf_view part,
                  cn_error *e) {
    int err = grow(f, s, s->start + s->len + part.len, e);

    if (err != 0)
        return err;
    (void)cn__put_bytes(s->data + s->start + s->len, part.data, part.len);
    s->len += part.len;
    return 0;
}

/* All of the message, if the peer lets expect no more than FIRST_CAP. */
static size_t expected(const cnode__fragments *f, uint64_t count, size_t len) {
    size_t cap =
        len > 0 && count > FIRST_CAP / len ? FIRST_CAP : (size_t)count * len;

    if (cap < len || cap > f->max_message || cap > f->max_bytes - f->bytes)
        return len;
    return cap;
}

static void take_spare(cnode__fragments *f, cnode__sequence *s, size_t len) {
    if (f->spare_cap < len || f->spare_cap > f->max_bytes - f->bytes)
        return;
    s->data = f->spare;
    s->cap = f->spare_cap;
    f->bytes += s->cap;
    f->spare = NULL;
    f->spare_cap = 0;
}

/* --- the atoms ------------------------------------------------------------ */

/* In one block: the views, then what they show. */
static int copy_atoms(cnode__fragments *f, cnode__sequence *s,
                      const etf_view *atoms, size_t n, cn_error *e) {
    size_t size = n * sizeof *atoms;
    uint8_t *text;
    int err;

    for (size_t i = 0; i < n; i++)
        size += atoms[i].len;
    err = n == 0 ? 0 : take(f, size, e);
    if (err != 0 || n == 0)
        return err;
    s->atoms = cn__resize(f->alloc, NULL, 0, size, 1);
    s->atoms_size = size;
    if (s->atoms == NULL) {
        f->bytes -= size;
        s->atoms_size = 0;
        return no_memory(e);
    }
    text = (uint8_t *)(s->atoms + n);
    for (size_t i = 0; i < n; i++) {
        s->atoms[i] = (etf_view){text, atoms[i].len};
        text = cn__put_bytes(text, atoms[i].data, atoms[i].len);
    }
    s->n = n;
    return 0;
}

/* --- sequences ------------------------------------------------------------ */

/* The memory of `in`; false: it is copied. */
static bool take_memory(cnode__fragments *f, cnode__sequence *s, etf_view first,
                        cn_buf *in) {
    if (in == NULL || in->cap > f->max_bytes ||
        f->bytes > f->max_bytes - in->cap)
        return false;
    s->start = (size_t)(first.data - in->data);
    s->len = first.len;
    s->data = cn__buf_take(in, &s->cap);
    f->bytes += s->cap;
    return true;
}

static int fill(cnode__fragments *f, cnode__sequence *s, etf_view first,
                cn_buf *in, const etf_view *atoms, size_t n, cn_error *e) {
    int err = copy_atoms(f, s, atoms, n, e);

    if (err != 0)
        return err;
    if (take_memory(f, s, first, in))
        return 0;
    take_spare(f, s, first.len);
    if (s->cap == 0)
        err = resize(f, s, expected(f, s->awaited + 1, first.len), e);
    return err != 0 ? err : append(f, s, first, e);
}

static int new_sequence(cnode__fragments *f, cnode__sequence **out,
                        cn_error *e) {
    int err = take(f, sizeof **out, e);

    *out = NULL;
    if (err != 0)
        return err;
    *out = cn__calloc(f->alloc, 1, sizeof **out);
    if (*out != NULL)
        return 0;
    f->bytes -= sizeof **out;
    return no_memory(e);
}

static int may_begin(const cnode__fragments *f, uint64_t id, size_t len,
                     cn_error *e) {
    if (cnode__fragments_open(f, id))
        return cn__fail(e, CN_EPROTO, 0,
                        "a message in fragments, sequence %" PRIx64
                        ", begins while one of that number is unfinished",
                        id);
    if (len > f->max_message)
        return too_long(f, len, e);
    if (f->open.count >= f->max_open)
        return cn__fail(e, CN_ELIMIT, 0,
                        "more messages came only in part so far than the limit "
                        "of %zu",
                        f->max_open);
    return 0;
}

int cnode__fragments_begin(cnode__fragments *f, uint64_t id, uint64_t count,
                           etf_view first, cn_buf *in, const etf_view *atoms,
                           size_t n, cn_error *e) {
    cnode__sequence *s;
    int err = may_begin(f, id, first.len, e);

    if (err == 0)
        err = new_sequence(f, &s, e);
    if (err != 0)
        return err;
    s->id = id;
    s->awaited = count - 1;
    err = fill(f, s, first, in, atoms, n, e);
    if (err == 0 && cn__map_put(&f->open, &s->id, sizeof s->id, s) != 0)
        err = no_memory(e);
    if (err != 0)
        free_sequence(f, s);
    return err;
}

static int out_of_order(const cnode__sequence *s, uint64_t id, uint64_t number,
                        cn_error *e) {
    if (s == NULL)
        return cn__fail(e, CN_EPROTO, 0,
                        "fragment %" PRIu64 " of sequence %" PRIx64
                        ", of which there was no first one",
                        number, id);
    return cn__fail(e, CN_EPROTO, 0,
                    "fragment %" PRIu64 " of sequence %" PRIx64
                    ", want %" PRIu64,
                    number, id, s->awaited);
}

int cnode__fragments_part(cnode__fragments *f, uint64_t id, uint64_t number,
                          size_t size, cn_error *e) {
    cnode__sequence *s = cn__map_get(&f->open, &id, sizeof id);

    if (s == NULL || number != s->awaited)
        return out_of_order(s, id, number, e);
    if (size > f->max_message || s->len > f->max_message - size)
        return too_long(f, s->len + size, e);
    f->fed = s;
    f->missing = size;
    return 0;
}

int cnode__fragments_put(cnode__fragments *f, etf_view bytes, cn_error *e) {
    int err = append(f, f->fed, bytes, e);

    if (err == 0)
        f->missing -= bytes.len;
    return err;
}

/* As there is, or as much again. */
uint8_t *cnode__fragments_room(cnode__fragments *f, size_t *n) {
    cnode__sequence *s = f->fed;
    size_t end = s->start + s->len;
    cn_error e;

    *n = s->cap - end;
    if (*n < WORTH_ROOM)
        *n = s->cap > FIRST_CAP ? s->cap : FIRST_CAP;
    if (*n > f->missing)
        *n = f->missing;
    if (grow(f, s, end + *n, &e) != 0)
        return NULL;
    return s->data + end;
}

void cnode__fragments_got(cnode__fragments *f, size_t n) {
    f->fed->len += n;
    f->missing -= n;
}

int cnode__fragments_end(cnode__fragments *f) {
    cnode__sequence *s = f->fed;

    f->fed = NULL;
    if (--s->awaited > 0)
        return 0;
    (void)cn__map_remove(&f->open, &s->id, sizeof s->id);
    f->whole = s;
    return 1;
}
