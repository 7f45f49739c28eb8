/* SPDX-License-Identifier: Apache-2.0
 *
 * conn_parts.h: what the files of a connection share (internal).
 *
 *   conn.c       life, handshake, ticks
 *   conn_in.c    from bytes to signals
 *   conn_out.c   from signals to bytes
 *   fragments_out.c  large signals, in parts, and what waits behind them
 */
#ifndef CNODE_CONN_PARTS_H
#define CNODE_CONN_PARTS_H

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/map.h"
#include "cnode/cache_out.h"
#include "cnode/capture_file.h"
#include "cnode/conn.h"
#include "cnode/fragments.h"
#include "cnode/handshake.h"
#include "cnode/header.h"
#include "cnode/list.h"
#include "cnode/out_queue.h"

enum {
    CNODE__PASS_THROUGH = 112,
    CNODE__VERSION = 131,
    CNODE__HEADER = 68,         /* behind 131: a message */
    CNODE__FRAGMENT_FIRST = 69, /* ... the first fragment of one */
    CNODE__FRAGMENT = 70,       /* ... one that follows */
    /* Buffers that have grown larger are given back when they are empty. */
    CNODE__KEEP_BUFFER = 64 * 1024,
    /* ... and these as soon as nothing more is at hand. */
    CNODE__KEEP_BUSY = 2 << 20,
    CNODE__SAME_MAX = 256
};

/* What signals are taken apart with. It is there while signals come: a
 * connection that only ticks has none. */
typedef struct cnode__work {
    etf_reader reader;
    cnode_ctrl ctrl;
    etf_writer expanded; /* terms whose atoms were in the table */
    cnode__fragments fragments;
    bool more_large;               /* the next frame is likely to be as large */
    size_t same_len;               /* 0: nothing is remembered */
    uint8_t same[CNODE__SAME_MAX]; /* the last frame up to its payload */
} cnode__work;

/* What signals are put together with, there in the same way. */
typedef struct cnode__talk {
    cnode__out_cache cache;
    cnode__list flows;      /* senders with a sequence of fragments, in turn */
    cn_map flow_of;         /* the same by sender */
    size_t flow_bytes;      /* that they have still to say */
    size_t since_fragment;  /* bytes of others since the last one */
    uint64_t last_sequence; /* id */
} cnode__talk;

/* What is there until the handshake is over. */
typedef struct cnode__greeting {
    cnode__hs hs;
    cn_buf out;
    cn_buf lent; /* what the writer has of it */
    bool name_told;
    uint64_t began; /* when the connection was made */
} cnode__greeting;

/* What connections of one node have in common: a configuration, of which only
 * what is the same for all of them is looked at. */
typedef struct cnode__rules {
    size_t refs;
    bool in_step; /* all tick at the same time, see cnode__rules_in_step ... */
    uint32_t phase; /* ... so many milliseconds after a whole interval */
    cnode_conn_config config;
    etf_writer writer;  /* of control tuples, empty between two calls */
    cnode__blobs blobs; /* of all queues */
} cnode__rules;

/* A signal on its way out: its control tuple and its payload, in pieces, from
 * which the front is taken. */
typedef struct cnode__parcel {
    etf_view ctrl;
    bool payload; /* it has one */
    const cn_slice *v;
    size_t nv;
    size_t skip;       /* of the first piece */
    size_t len;        /* bytes of payload */
    cnode__blob *blob; /* whose the pieces are; NULL: lent, to be copied */
} cnode__parcel;

/* A node may have thousands of connections of which few have anything to say.
 * What only those need, or only the handshake, has memory of its own, which
 * goes when it has not been used for an interval between ticks. */
struct cnode_conn {
    cnode__rules *rules;
    void *frame_ctx;
    cn_error *error;           /* NULL, or its code 0: alive */
    cnode__greeting *greeting; /* NULL: it is over */
    char *peer;                /* its name, from then on */
    uint64_t peer_flags;       /* as it announced them ... */
    uint64_t common;           /* ... and both */
    uint32_t peer_creation;
    bool up : 1;
    bool used_given : 1; /* the last event used bytes of `given`, not of `in` */
    bool worked : 1;     /* a frame came in this interval */
    bool heard : 1;      /* a byte came */
    bool spoke : 1;      /* something but a tick went out */
    cn_buf in;           /* of a frame that is not whole; all before it is up */
    etf_view given;      /* what was fed, and is not in `in` */
    uint8_t *ours;       /* ... from its first byte, if it may be changed */
    size_t used;         /* bytes that the last event used */
    cnode__work *work;
    cnode__cache *cache; /* NULL: no signal has come yet */
    cnode__out queue;
    cnode__talk *talk;
    uint64_t deadline;
    uint64_t fed_at;    /* time of the last feed */
    uint32_t interval;  /* between ticks, ms */
    uint32_t silent;    /* intervals without a byte from the peer */
    uint32_t tick_left; /* bytes of a tick that are still to go out */
    uint32_t stride;    /* a larger signal goes in fragments of that size */
    uint32_t large;     /* frames in are from that size on */
    cnode_conn_stats stats;
    cnode__tap *tap; /* NULL: nothing is recorded */
};

/* The frames of this connection have distribution headers, in both directions;
 * else they are pass-through. */
static inline bool cnode__conn_headers(const cnode_conn *c) {
    return (c->common &
            (CNODE_FLAG_DIST_HDR_ATOM_CACHE | CNODE_FLAG_FRAGMENTS)) != 0;
}

static inline bool cnode__conn_dead(const cnode_conn *c) {
    return c->error != NULL && c->error->code != 0;
}

/* --- conn.c --- */
/* With one reference; NULL: no memory. */
cnode__rules *cnode__rules_new(const cnode_conn_config *config);
void cnode__rules_drop(cnode__rules *r);
/* Connections that begin from now on look at their peers, and tick, at the same
 * moments: a loop with a thousand of them wakes up once for all of that. */
void cnode__rules_in_step(cnode__rules *r);
/* cnode_conn_new with rules made of such a configuration, which are shared. */
int cnode__conn_new(cnode_conn **out, cnode__rules *rules,
                    const cnode_conn_config *config, uint64_t now);
/* Room for what kills the connection. Without memory nobody learns the true
 * reason: then that is the reason. */
cn_error *cnode__conn_why(cnode_conn *c);
/* Gives that room back where it is not likely to be needed. */
void cnode__conn_relax(cnode_conn *c);
/* Kills it; returns the code that cnode_conn_error has then. */
int cnode__conn_fail(cnode_conn *c, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void cnode__conn_trace(cnode_conn *c, bool in, const cnode_ctrl *ctrl);
/* A signal has been queued: counts and traces it. */
void cnode__conn_said(cnode_conn *c, const cnode_ctrl *ctrl, uint8_t op);

/* cnode_conn_next of a connection that is up, without the event. */
int cnode__conn_signal(cnode_conn *c, const cnode_ctrl **ctrl);
/* Frees the memory of the handshake, when it is over and all is written. */
void cnode__conn_greeted(cnode_conn *c);
/* Goes on where a handshake has ended, with the flags of both sides, in order
 * to read what a connection has carried. */
void cnode__conn_resume(cnode_conn *c, uint64_t flags, uint64_t peer_flags);

/* --- conn_out.c --- */
enum {
    CNODE__FRAGMENT_SIZE = 64 * 1024,
    CNODE__FRAGMENT_MAX = 2 * 1024 * 1024
};
/* The buffer behind the output holds so many bytes. What is sent while a
 * fragment goes out waits for all of that already, so a fragment may be as
 * long: the fewer they are, the less the peer has to put together. From 64 KiB,
 * which it is without this call, to CNODE__FRAGMENT_MAX. What is longer than 64
 * KiB, but not so long, is no fragment; when more than so many bytes wait
 * already it lets others pass all the same. */
void cnode__conn_stride(cnode_conn *c, size_t bytes);
/* Puts a frame into the queue: a whole signal when sequence is 0, else the
 * first of `fragments`, with the first `part` bytes of the payload, which are
 * taken from p. CN_ENOMEM, CN_ELIMIT: nothing was done. */
int cnode__conn_put(cnode_conn *c, cnode__parcel *p, uint64_t sequence,
                    uint64_t fragments, size_t part);
int cnode__conn_put_tick(cnode_conn *c);
/* A message of a process of this node, without a trace, to a pid: what most
 * signals are, in the form that takes the least to put into a frame. */
typedef struct cnode__brief {
    etf_view node; /* ours */
    uint32_t id, serial, creation;
    const etf_pid *to;
    uint8_t tag[5]; /* tag_len bytes of the term, the rest follows in `term`; */
    uint8_t tag_len; /* 0, or 5: it is a binary */
    etf_view term;
} cnode__brief;
/* cnode_conn_send of it; or 1: nothing was done, it must go by that one. */
int cnode__conn_brief(cnode_conn *c, const cnode__brief *m);
/* Nothing was sent for a while: gives back all memory that can be had again. */
void cnode__conn_trim_output(cnode_conn *c);
void cnode__conn_out_free(cnode_conn *c);
/* Takes n bytes of the payload into the queue, by reference. */
void cnode__conn_share(cnode_conn *c, cnode__parcel *p, size_t n);

/* --- fragments_out.c --- */
/* Must it go in fragments? */
bool cnode__is_large(const cnode_conn *c, const cnode__parcel *p);
/* Has its sender a sequence of fragments that is not finished? */
bool cnode__flow_open(const cnode_conn *c, const cnode_ctrl *ctrl);
/* A signal that is kept, with a blob of its own: its control tuple is copied,
 * and the payload too, unless copy is false: then only where its pieces are,
 * and the caller may give the blob a function that ends the loan. */
typedef struct cnode__load {
    struct cnode__load *next;
    cnode__parcel parcel;
    cn_slice v[];
} cnode__load;
/* NULL without memory. */
cnode__load *cnode__load_new(cnode_conn *c, const cnode__parcel *p, bool copy);
void cnode__load_drop(cnode_conn *c, cnode__load *load);
/* Takes the load; 0, or CN_ENOMEM or CN_ELIMIT and it is still the caller's. */
int cnode__flow_add(cnode_conn *c, const cnode_ctrl *ctrl, cnode__load *load);
/* Puts fragments into the queue until there is enough in it to write. */
void cnode__flow_fill(cnode_conn *c);
/* Others have put so many bytes into the queue: now and then it is the turn of
 * a fragment. */
void cnode__flow_passed(cnode_conn *c, size_t n);
void cnode__flows_init(cnode__talk *t, uint64_t seed, const cn_alloc *alloc);
/* Of c->talk. */
void cnode__flows_free(cnode_conn *c);

/* --- conn_in.c --- */
/* 1: c->work->ctrl is the next signal; 0: not enough bytes; negative: dead.
 * What the last one used is consumed. */
int cnode__conn_next_signal(cnode_conn *c);
void cnode__conn_in_init(cnode_conn *c);
void cnode__conn_in_free(cnode_conn *c);
/* Once an interval: gives back what was not used in the last one. */
void cnode__conn_in_rest(cnode_conn *c);
/* cnode_conn_feed with bytes that may be changed. */
int cnode__conn_feed(cnode_conn *c, uint8_t *in, size_t n, uint64_t now);
/* Where the next *n bytes are best read to, or NULL, and how many behind these
 * into any memory, to be fed: SIZE_MAX: as many as come at once. Large messages
 * are not copied then. To be asked when all that was fed is taken. */
uint8_t *cnode__conn_room(cnode_conn *c, size_t *n, size_t *more);
/* So many bytes were read to there; what comes of it tells
 * cnode__conn_next_signal, as after cnode_conn_feed. */
void cnode__conn_filled(cnode_conn *c, const uint8_t *room, size_t n,
                        uint64_t now);
/* Is there a part of a message that was not taken? */
bool cnode__conn_in_part(const cnode_conn *c);

#endif
