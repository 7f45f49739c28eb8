/* SPDX-License-Identifier: Apache-2.0
 *
 * out_queue.c: bytes that wait to be written, as pieces.
 *
 * Blocks start small and double up to BLOCK_MAX, so that a connection with
 * little to say has little memory. What goes on while the queue runs neither
 * allocates nor frees: an empty queue starts over in the block that it has, and
 * one that is long takes over the blocks that are written.
 */
#include "cnode/out_queue.h"

enum {
    BLOCK_MIN = 128,
    BLOCK_MAX = 64 * 1024,
    SPARE_MAX = 16, /* blocks */
    FIRST_PIECES = 4
};

static cnode__blob *take_spare(cnode__blobs *all, size_t size) {
    cnode__blob *b = size == BLOCK_MAX ? all->spare : NULL;

    if (b == NULL)
        return NULL;
    all->spare = b->arg;
    all->n--;
    return b;
}

cnode__blob *cnode__blob_new(cnode__blobs *all, size_t size) {
    cnode__blob *b;

    if (size > SIZE_MAX - sizeof *b)
        return NULL;
    b = take_spare(all, size);
    if (b == NULL)
        b = all->alloc->realloc(all->alloc->ctx, NULL, 0, sizeof *b + size);
    if (b != NULL) {
        b->refs = 1;
        b->size = size;
        b->release = NULL;
    }
    return b;
}

static void free_blob(cnode__blobs *all, cnode__blob *b) {
    if (b->size == BLOCK_MAX && all->n < SPARE_MAX) {
        b->arg = all->spare;
        all->spare = b;
        all->n++;
        return;
    }
    cn__free(all->alloc, b, 1, sizeof *b + b->size);
}

void cnode__blob_drop(cnode__blobs *all, cnode__blob *b) {
    void (*release)(void *) = b->release;
    void *arg = b->arg;

    if (--b->refs > 0)
        return;
    free_blob(all, b);
    if (release != NULL)
        release(arg);
}

void cnode__blobs_trim(cnode__blobs *all) {
    cnode__blob *b;

    while ((b = take_spare(all, BLOCK_MAX)) != NULL)
        cn__free(all->alloc, b, 1, sizeof *b + b->size);
}

void cnode__out_init(cnode__out *o, cnode__blobs *blobs) {
    *o = (cnode__out){.blobs = blobs};
}

static void drop_block(cnode__out *o) {
    if (o->block != NULL)
        cnode__blob_drop(o->blobs, o->block);
    o->block = NULL;
    o->used = 0;
}

static void drop_pieces(cnode__out *o) {
    cn__free(o->blobs->alloc, o->pieces, o->cap, sizeof *o->pieces);
    o->pieces = NULL;
    o->cap = o->first = 0;
}

void cnode__out_free(cnode__out *o) {
    cnode__out_wrote(o, o->bytes);
    drop_block(o);
    drop_pieces(o);
}

void cnode__out_trim(cnode__out *o) {
    if (o->bytes > 0)
        return;
    drop_block(o);
    drop_pieces(o);
}

static cnode__piece *piece_at(const cnode__out *o, size_t i) {
    return &o->pieces[(o->first + i) & (o->cap - 1)];
}

static bool grow_pieces(cnode__out *o) {
    size_t cap = o->cap == 0 ? FIRST_PIECES : o->cap * 2;
    cnode__piece *p = cn__resize(o->blobs->alloc, NULL, 0, cap, sizeof *p);

    if (p == NULL)
        return false;
    for (size_t i = 0; i < o->n; i++)
        p[i] = *piece_at(o, i);
    cn__free(o->blobs->alloc, o->pieces, o->cap, sizeof *p);
    o->pieces = p;
    o->cap = cap;
    o->first = 0;
    return true;
}

static bool new_block(cnode__out *o, size_t n) {
    size_t size = o->block == NULL ? BLOCK_MIN : o->block->size * 2;
    cnode__blob *b;

    if (size > BLOCK_MAX)
        size = BLOCK_MAX;
    b = cnode__blob_new(o->blobs, n > size ? n : size);
    if (b == NULL)
        return false;
    drop_block(o);
    o->block = b;
    return true;
}

uint8_t *cnode__out_reserve(cnode__out *o, size_t n, size_t shares) {
    while (o->cap - o->n < shares + 1)
        if (!grow_pieces(o))
            return NULL;
    if ((o->block == NULL || o->block->size - o->used < n) && !new_block(o, n))
        return NULL;
    return o->block->bytes + o->used;
}

void cnode__out_share(cnode__out *o, const uint8_t *data, size_t len,
                      cnode__blob *b) {
    cnode__piece *last = o->n == 0 ? NULL : piece_at(o, o->n - 1);

    if (len == 0)
        return;
    o->bytes += len;
    if (last != NULL && last->blob == b && last->data + last->len == data) {
        last->len += len;
        return;
    }
    b->refs++;
    *piece_at(o, o->n++) = (cnode__piece){data, len, b};
}

void cnode__out_commit(cnode__out *o, size_t n) {
    cnode__out_share(o, o->block->bytes + o->used, n, o->block);
    o->used += n;
}

size_t cnode__out_lend(const cnode__out *o, cn_slice *v, size_t nv) {
    size_t n = nv < o->n ? nv : o->n;

    for (size_t i = 0; i < n; i++)
        v[i] = (cn_slice){piece_at(o, i)->data, piece_at(o, i)->len};
    return n;
}

/* The block of an empty queue is filled again, unless it was made for one
 * large message. */
static void start_over(cnode__out *o) {
    o->used = 0;
    if (o->block != NULL && o->block->size > BLOCK_MAX)
        drop_block(o);
}

void cnode__out_wrote(cnode__out *o, size_t n) {
    o->bytes -= n;
    while (n > 0) {
        cnode__piece *p = piece_at(o, 0);
        size_t part = n < p->len ? n : p->len;
        cnode__blob *b = p->blob;
        p->data += part;
        p->len -= part;
        n -= part;
        if (p->len > 0)
            return;
        o->first++;
        o->n--;
        cnode__blob_drop(o->blobs, b);
    }
    if (o->bytes == 0)
        start_over(o);
}
