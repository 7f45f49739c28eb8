/* SPDX-License-Identifier: Apache-2.0
 *
 * capture_file.h: what the writer and the reader of captures share, and the
 * tap that a connection has (internal).
 */
#ifndef CNODE_CAPTURE_FILE_H
#define CNODE_CAPTURE_FILE_H

#include "cnode/capture.h"

#define CNODE__CAPTURE_MAGIC "CNODECAP"

enum {
    CNODE__CAPTURE_VERSION = 1,
    CNODE__CAPTURE_HEAD = 12,       /* of the file */
    CNODE__CAPTURE_RECORD = 4 + 18, /* before the message */
    CNODE__CAPTURE_MIN = 18
};

/* Listens to one connection. */
typedef struct cnode__tap cnode__tap;

/* NULL: no memory, and the capture is given up. */
cnode__tap *cnode__tap_new(cnode_capture *c, bool dialled, const char *name);
/* Bytes that were read (out false) or written. */
void cnode__tap_bytes(cnode__tap *t, bool out, const uint8_t *p, size_t n);
/* The connection is over; why may be empty. NULL is allowed. */
void cnode__tap_free(cnode__tap *t, const char *why);

#endif
