/* SPDX-License-Identifier: Apache-2.0
 *
 * conn_parts.h: what the files of a connection share (internal).
 *
 *   conn.c       life, handshake, ticks
 *   conn_in.c    from bytes to signals
 *   conn_out.c   from signals to bytes
 */
#ifndef CNODE_CONN_PARTS_H
#define CNODE_CONN_PARTS_H

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "cnode/capture_file.h"
#include "cnode/conn.h"
#include "cnode/fragments.h"
#include "cnode/handshake.h"
#include "cnode/header.h"

enum {
    CNODE__PASS_THROUGH = 112,
    CNODE__HEADER = 68,         /* behind 131: a message */
    CNODE__FRAGMENT_FIRST = 69, /* ... the first fragment of one */
    CNODE__FRAGMENT = 70,       /* ... one that follows */
    /* Buffers that have grown larger are given back when they are empty. */
    CNODE__KEEP_BUFFER = 64 * 1024,
    /* ... and these as soon as nothing more is at hand. */
    CNODE__KEEP_BUSY = 2 << 20
};

/* What signals are taken apart with. It is there while signals come: a
 * connection that only ticks has none. */
typedef struct cnode__work {
    etf_reader reader;
    cnode_ctrl ctrl;
    etf_writer expanded; /* terms whose atoms were in the table */
} cnode__work;

struct cnode_conn {
    cnode_conn_config config; /* its strings are not used after _new */
    cn_error error;
    cnode__hs hs;
    bool up;
    bool name_told;
    cn_buf in;       /* of a frame that is not whole; all before it is up */
    etf_view given;  /* what was fed, and is not in `in` */
    size_t used;     /* bytes that the last event used */
    bool used_given; /* ... of `given`, not of `in` */
    bool worked;     /* a frame came in this interval */
    cnode__work *work;
    cnode__cache cache;
    cnode__fragments fragments;
    cn_buf out;
    cn_buf lent;
    etf_writer writer;
    uint64_t deadline;
    uint64_t fed_at;   /* time of the last feed */
    uint32_t interval; /* between ticks, ms */
    uint32_t silent;   /* intervals without a byte from the peer */
    bool heard;        /* a byte came in this interval */
    bool spoke;        /* something but a tick went out in this interval */
    size_t tick_left;  /* bytes of a tick that are still to go out */
    cnode_conn_stats stats;
    cnode__tap *tap; /* NULL: nothing is recorded */
};

/* The frames of this connection have distribution headers, in both directions;
 * else they are pass-through. */
static inline bool cnode__conn_headers(const cnode_conn *c) {
    return (c->hs.flags & c->hs.peer_flags &
            (CNODE_FLAG_DIST_HDR_ATOM_CACHE | CNODE_FLAG_FRAGMENTS)) != 0;
}

/* --- conn.c --- */
void cnode__conn_trace(cnode_conn *c, bool in, const cnode_ctrl *ctrl);
/* A signal has been queued: counts and traces it. */
void cnode__conn_said(cnode_conn *c, const cnode_ctrl *ctrl);

/* n bytes of what is lent are written: for the tap, while they are there. */
void cnode__conn_tap_output(cnode_conn *c, size_t n);
/* Goes on where a handshake has ended, with the flags of both sides, in order
 * to read what a connection has carried. */
void cnode__conn_resume(cnode_conn *c, uint64_t flags, uint64_t peer_flags);

/* --- conn_in.c --- */
/* 1: c->work->ctrl is the next signal; 0: not enough bytes; negative: dead.
 * What the last one used is consumed. */
int cnode__conn_next_signal(cnode_conn *c);
void cnode__conn_in_init(cnode_conn *c);
void cnode__conn_in_free(cnode_conn *c);
/* Once an interval: gives back what was not used in the last one. */
void cnode__conn_in_rest(cnode_conn *c);
/* Is there a part of a message that was not taken? */
bool cnode__conn_in_part(const cnode_conn *c);

#endif
