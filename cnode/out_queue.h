/* SPDX-License-Identifier: Apache-2.0
 *
 * out_queue.h: bytes that wait to be written, as pieces for writev(2)
 * (internal).
 *
 * Small messages are packed one behind the other into blocks; a block never
 * moves, so what was lent to a writer stays where it is while more is packed
 * behind it. Bytes of others go in between as pieces that only point to them:
 *
 *      pieces   [ block 1 .... ][ shared ][ block 1 .. ][ shared ][ block 2 ]
 *
 * Whoever points to bytes holds a blob: a block is one, and so is everything
 * that is shared.
 */
#ifndef CNODE_OUT_QUEUE_H
#define CNODE_OUT_QUEUE_H

#include "base/alloc.h"

/* Bytes with several owners; the last one to go calls release, if any. */
typedef struct cnode__blob {
    size_t refs;
    size_t size; /* of bytes */
    void (*release)(void *arg);
    void *arg;
    uint8_t bytes[];
} cnode__blob;

/* Where the blobs of all connections of a node come from. Full blocks that were
 * written are kept, up to a number, for the next ones: giving a megabyte back
 * to the system and taking it again costs as much as all else does for a
 * message. */
typedef struct cnode__blobs {
    const cn_alloc *alloc;
    cnode__blob *spare; /* linked by arg */
    size_t n;
} cnode__blobs;

/* With one reference, or NULL. */
cnode__blob *cnode__blob_new(cnode__blobs *all, size_t size);
void cnode__blob_drop(cnode__blobs *all, cnode__blob *b);
/* Gives back what is kept. */
void cnode__blobs_trim(cnode__blobs *all);

typedef struct cnode__piece {
    const uint8_t *data;
    size_t len;
    cnode__blob *blob;
} cnode__piece;

typedef struct cnode__out {
    cnode__blobs *blobs;
    cnode__piece *pieces; /* a ring */
    size_t first;
    size_t n;
    size_t cap;         /* 0 or a power of two */
    cnode__blob *block; /* is being filled */
    size_t used;        /* of it */
    size_t bytes;       /* in all pieces */
} cnode__out;

void cnode__out_init(cnode__out *o, cnode__blobs *blobs);
void cnode__out_free(cnode__out *o);

/* Room for n bytes in a row, and for `shares` calls of cnode__out_share after
 * them and for the cnode__out_reserve that is committed then; NULL without
 * memory. */
uint8_t *cnode__out_reserve(cnode__out *o, size_t n, size_t shares);
void cnode__out_commit(cnode__out *o, size_t n);
/* A piece of b, for which there is room; takes a reference. */
void cnode__out_share(cnode__out *o, const uint8_t *data, size_t len,
                      cnode__blob *b);

/* The first pieces; how many. */
size_t cnode__out_lend(const cnode__out *o, cn_slice *v, size_t nv);
/* n bytes at the front are gone. */
void cnode__out_wrote(cnode__out *o, size_t n);
/* Nothing was sent for a while: gives back what an empty queue keeps. */
void cnode__out_trim(cnode__out *o);

#endif
