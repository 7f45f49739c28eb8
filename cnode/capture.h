/* SPDX-License-Identifier: Apache-2.0
 *
 * capture.h: what crosses connections, written down message by message, and
 * read again. `cnode dump` prints such a file.
 *
 * A capture holds all that the nodes say to each other, in the clear: keep
 * the file to yourself. What belongs to the cookie is not in it: challenges
 * and digests of the handshake are zeros.
 *
 * The file. Numbers are big-endian.
 *
 *      "CNODECAP" (8)   version, 1 (2)   zero (2)   then records:
 *
 *      length (4)       of what follows in the record, 18 or more
 *      kind (1)         of cnode_capture_kind
 *      way (1)          0: in, to the node that wrote this; 1: out. OPEN: 1
 *                       when that node dialled
 *      connection (4)   from 1, in the order of their making
 *      time (8)         microseconds since 1970, UTC
 *      size (4)         of the message on the wire, without its length field
 *      message          length - 18 bytes of it, fewer than size when it was
 *                       cut. OPEN: name of the node; CLOSE: why, as text
 *
 * A message is recorded when it is complete: in, when its last bytes were
 * read; out, when they were taken by the socket. A frame of size 0 is a tick.
 * Records of a version 1 file may come to have other kinds: skip those.
 */
#ifndef CNODE_CAPTURE_H
#define CNODE_CAPTURE_H

#include <stdio.h>

#include <cnode/conn.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cnode_capture_kind {
    CNODE_CAPTURE_OPEN = 1, /* a connection; nothing was said yet */
    CNODE_CAPTURE_HANDSHAKE,
    CNODE_CAPTURE_FRAME,
    CNODE_CAPTURE_CLOSE,
    CNODE_CAPTURE_FULL /* max_bytes is reached, nothing comes any more */
} cnode_capture_kind;

/* --- writing ------------------------------------------------------------- */

typedef struct cnode_capture cnode_capture;

typedef struct cnode_capture_config {
    FILE *out;          /* stays the caller's; flushed after each turn */
    uint64_t max_bytes; /* written at most; 0: 64 MiB */
    size_t max_message; /* of one message at most; 0: 128 KiB */
    uint64_t (*clock_us)(void *ctx); /* since 1970; NULL: the system's */
    void *ctx;
    cn_log log; /* ERROR: the file could not be written; WARN: it is full */
    cn_alloc alloc;
} cnode_capture_config;

/* Use cnode_capture_new: it passes the size that the caller knows. */
CN_API int cnode_capture_new_sized(cnode_capture **out,
                                   const cnode_capture_config *c, size_t size);
/* Begins a file. Then give it to a node (cnode_config.capture) or to a
 * connection (cnode_conn_config.capture); it must outlive them, and belongs to
 * their thread. Whatever becomes of the file, they go on: when it cannot be
 * written, is full, or there is no memory, the log says so once and nothing
 * more is recorded. CN_EBADARG: no file is given; CN_ENOMEM, CN_EIO. */
static inline int cnode_capture_new(cnode_capture **out,
                                    const cnode_capture_config *c) {
    return cnode_capture_new_sized(out, c, sizeof *c);
}
/* Does not close the file. NULL is allowed. */
CN_API void cnode_capture_free(cnode_capture *c);
/* 0; CN_ELIMIT: it is full; CN_EIO, CN_ENOMEM: it was given up. */
CN_API int cnode_capture_status(const cnode_capture *c);

/* --- reading ------------------------------------------------------------- */

/* Bytes of the file go in, messages come out, explained. It opens nothing and
 * believes nothing: any bytes may be fed. */
typedef struct cnode_dump cnode_dump;

typedef struct cnode_dump_message {
    cnode_capture_kind kind;
    bool out;
    uint32_t connection;
    uint64_t time_us;
    const char *peer; /* its name, as far as known, else "" */
    etf_view bytes;   /* of the message, as they were kept */
    size_t size;      /* of the message as it was sent */
    const char *text; /* what it is, in one line without control characters */
    /* What is wrong with it, or why it is not explained; else "". */
    const char *error;
    /* FRAME: the signal that it carries or, as the last one of several
     * fragments, completes; else NULL. When the payload was not kept, cut is
     * set and ctrl->term empty. */
    const cnode_ctrl *ctrl;
    bool cut;
} cnode_dump_message;

/* alloc NULL: the default. CN_ENOMEM. */
CN_API int cnode_dump_new(cnode_dump **out, const cn_alloc *alloc);
CN_API void cnode_dump_free(cnode_dump *d);
/* Bytes of the file. CN_ENOMEM, or the error of before. */
CN_API int cnode_dump_feed(cnode_dump *d, const uint8_t *in, size_t n);
/* 1: *m is the next message, lent until the next call on d; 0: none yet;
 * CN_EPROTO: this is no capture, or it is broken from here on (see
 * cnode_dump_error); CN_EVERSION: of another version; CN_ENOMEM. */
CN_API int cnode_dump_next(cnode_dump *d, cnode_dump_message *m);
/* The file ends: 0, or CN_ETRUNC when that is inside a record, as when the
 * program that wrote it was killed. */
CN_API int cnode_dump_eof(cnode_dump *d);
CN_API const cn_error *cnode_dump_error(const cnode_dump *d);

#ifdef __cplusplus
}
#endif
#endif
