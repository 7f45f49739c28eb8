/* SPDX-License-Identifier: Apache-2.0
 *
 * conn.h: one connection of the distribution protocol, pure: bytes and time
 * go in, events and bytes come out. It opens no socket, reads no clock and
 * starts no thread, so it runs in any event loop; a node (cnode.h) is this
 * plus processes, on libuv.
 * https://www.erlang.org/doc/apps/erts/erl_dist_protocol.html
 *
 * The loop around it:
 *
 *      read  -> cnode_conn_feed, then cnode_conn_next until it returns 0
 *      write <- cnode_conn_output, cnode_conn_wrote
 *      timer: at cnode_conn_deadline call cnode_conn_timeout
 *
 * Times are milliseconds of any steady clock. A connection belongs to one
 * thread. When a call returns an error, or cnode_conn_next a negative value,
 * the connection is dead: cnode_conn_error says why; write what output there
 * is, close, free.
 */
#ifndef CNODE_CONN_H
#define CNODE_CONN_H

#include <base/base.h>
#include <ext_term/ext_term.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- capability flags ---------------------------------------------------- */

/* Section "Distribution Flags". */
#define CNODE_FLAG_MAP(X)                                                      \
    X(PUBLISHED, 0)                                                            \
    X(EXTENDED_REFERENCES, 2)                                                  \
    X(DIST_MONITOR, 3)                                                         \
    X(FUN_TAGS, 4)                                                             \
    X(DIST_MONITOR_NAME, 5)                                                    \
    X(NEW_FUN_TAGS, 7)                                                         \
    X(EXTENDED_PIDS_PORTS, 8)                                                  \
    X(EXPORT_PTR_TAG, 9)                                                       \
    X(BIT_BINARIES, 10)                                                        \
    X(NEW_FLOATS, 11)                                                          \
    X(UNICODE_IO, 12)                                                          \
    X(DIST_HDR_ATOM_CACHE, 13)                                                 \
    X(SMALL_ATOM_TAGS, 14)                                                     \
    X(UTF8_ATOMS, 16)                                                          \
    X(MAP_TAG, 17)                                                             \
    X(BIG_CREATION, 18)                                                        \
    X(SEND_SENDER, 19)                                                         \
    X(BIG_SEQTRACE_LABELS, 20)                                                 \
    X(EXIT_PAYLOAD, 22)                                                        \
    X(FRAGMENTS, 23)                                                           \
    X(HANDSHAKE_23, 24)                                                        \
    X(UNLINK_ID, 25)                                                           \
    X(MANDATORY_25_DIGEST, 26)                                                 \
    X(SPAWN, 32)                                                               \
    X(NAME_ME, 33)                                                             \
    X(V4_NC, 34)                                                               \
    X(ALIAS, 35)                                                               \
    X(ALTACT_SIG, 37)                                                          \
    X(NATIVE_RECORDS, 38)

#define CNODE_FLAG_CONST(name, bit)                                            \
    static const uint64_t CNODE_FLAG_##name = UINT64_C(1) << (bit);
CNODE_FLAG_MAP(CNODE_FLAG_CONST)
#undef CNODE_FLAG_CONST

/* What a connection of this library announces (without PUBLISHED). */
CN_API uint64_t cnode_conn_flags(void);
/* The names of the flags, separated by blanks; as snprintf. */
CN_API size_t cnode_flags_print(uint64_t flags, char *out, size_t cap);

/* --- control messages ---------------------------------------------------- */

/* What a signal is, whatever form it has on the wire. */
typedef enum cnode_signal {
    CNODE_SIG_SEND,
    CNODE_SIG_REG_SEND,
    CNODE_SIG_ALIAS_SEND,
    CNODE_SIG_LINK,
    CNODE_SIG_UNLINK,
    CNODE_SIG_UNLINK_ACK,
    CNODE_SIG_EXIT,  /* a linked process ended */
    CNODE_SIG_EXIT2, /* exit/2 */
    CNODE_SIG_MONITOR,
    CNODE_SIG_DEMONITOR,
    CNODE_SIG_DOWN, /* a monitored process ended */
    CNODE_SIG_SPAWN_REQUEST,
    CNODE_SIG_SPAWN_REPLY,
    CNODE_SIG_GROUP_LEADER,
    CNODE_SIG_OTHER /* known by name, not handled here */
} cnode_signal;

/* A signal taken apart. Only the fields that its kind has are set; views and
 * names are borrowed. */
typedef struct cnode_ctrl {
    cnode_signal signal;
    uint8_t op;      /* number on the wire; ignored when sending */
    bool by_name;    /* DOWN, MONITOR, DEMONITOR, EXIT2: `name` instead of a pid
                        (EXIT2: only to peers with ALTACT_SIG) */
    etf_view name;   /* registered name, text of an atom */
    etf_view token;  /* trace token, empty when there is none */
    etf_view term;   /* message, reason, or argument list */
    etf_view module; /* SPAWN_REQUEST: text of atoms */
    etf_view function;
    int64_t arity;
    etf_view opts;        /* SPAWN_REQUEST: a list */
    etf_view result;      /* SPAWN_REPLY: text of an atom; empty: a pid */
    uint64_t id;          /* UNLINK(_ACK): id; SPAWN_REPLY: flags */
    etf_pid from;         /* DOWN: who ended; SPAWN_REPLY: the new pid; SEND:
                             node_len 0 when the peer did not say */
    etf_pid to;           /* MONITOR, DEMONITOR: the monitored one */
    etf_pid group_leader; /* SPAWN_REQUEST */
    etf_ref ref;          /* monitor, alias, spawn request */
    bool to_alias; /* EXIT2: `ref` instead of a pid, for peers with ALTACT_SIG;
                      others get CN_ENOTSUP */
    bool priority; /* messages and EXIT2: goes before others, if the receiver
                      has made its alias so; lost on the way to others */
} cnode_ctrl;

enum { CNODE_SPAWN_LINK = 1, CNODE_SPAWN_MONITOR = 2 };

/* --- the connection ------------------------------------------------------ */

typedef struct cnode_conn cnode_conn;

struct cnode_capture;

typedef struct cnode_conn_config {
    bool initiator;       /* we dialled */
    const char *name;     /* ours, ASCII; only the host for dynamic_name */
    const char *peer;     /* initiator: the name that was dialled */
    const char *cookie;   /* initiator; else given with cnode_conn_answer */
    bool dynamic_name;    /* initiator: let the peer give us a name */
    bool takeover;        /* initiator: on status `alive` go on */
    uint32_t creation;    /* ours */
    uint32_t challenge;   /* unpredictable, new for each connection */
    uint64_t flags;       /* cnode_conn_flags(), with PUBLISHED or not */
    uint32_t setup_ms;    /* longest wait for a handshake message; 0: 7,000 */
    uint32_t ticktime_ms; /* 0: 60,000 */
    uint32_t intensity;   /* ticks in a ticktime; 0: 4 */
    size_t max_frame;     /* larger ones end the connection, put together
                             from fragments too; 0: 128 MiB */
    size_t max_queue;     /* output above it is CN_EBUSY; 0: 256 MiB */
    cn_alloc alloc;
    cn_log log; /* CN_LOG_DEBUG: what both sides know, and ticks */
    /* Each control message as text, see cnode_config.on_frame. */
    void (*on_frame)(void *ctx, bool in, const char *text, etf_view payload);
    void *frame_ctx;
    /* Messages in fragments that are not whole yet: most bytes that all of
     * them may take, 0: four times max_frame, and how many there may be, 0:
     * 4,096. A peer that goes over either loses its connection. */
    size_t max_partial;
    uint32_t max_sequences;
    /* What crosses it is recorded there (capture.h); NULL: nowhere. */
    struct cnode_capture *capture;
} cnode_conn_config;

typedef enum cnode_event_type {
    CNODE_EV_NAME = 1, /* acceptor: the peer said who it is; answer it */
    CNODE_EV_UP,       /* the handshake is done */
    CNODE_EV_SIGNAL    /* ctrl is a signal */
} cnode_event_type;

typedef struct cnode_event {
    cnode_event_type type;
    const char *peer;    /* its name; NAME: empty when it wants one given */
    uint64_t peer_flags; /* as it announced them */
    uint32_t peer_creation;
    const char *name;       /* UP: ours, given by the peer if it was dynamic;
                               NAME: the host of a peer that wants a name */
    uint32_t creation;      /* UP: ours */
    const cnode_ctrl *ctrl; /* SIGNAL; lent until the next call */
} cnode_event;

/* The acceptor's word on CNODE_EV_NAME. Section "Distribution Handshake",
 * recv_status. */
typedef enum cnode_answer {
    CNODE_ANSWER_OK,
    CNODE_ANSWER_OK_SIMULTANEOUS, /* our own attempt is given up */
    CNODE_ANSWER_NOK,             /* our own attempt goes on */
    CNODE_ANSWER_ALIVE,           /* that name is connected; the peer decides */
    CNODE_ANSWER_NOT_ALLOWED,
    CNODE_ANSWER_NAMED /* here is your name */
} cnode_answer;

/* CN_EBADARG, also without a configuration; CN_ENOMEM. */
CN_API int cnode_conn_new(cnode_conn **out, const cnode_conn_config *c,
                          uint64_t now);
CN_API void cnode_conn_free(cnode_conn *c);

/* Bytes from the peer. They are not copied where a message is whole in them:
 * until cnode_conn_next returns 0 or less, or the next feed, they must stay as
 * they are, and an event may lend parts of them. CN_ENOMEM, or the error that
 * killed it before. */
CN_API int cnode_conn_feed(cnode_conn *c, const uint8_t *in, size_t n,
                           uint64_t now);
/* 1: *ev is the next event, lent until the next call on c; 0: none yet;
 * negative: dead. */
CN_API int cnode_conn_next(cnode_conn *c, cnode_event *ev);
/* What to write, in pieces for writev(2): fills up to nv of v, none of them
 * empty, and returns how many; 0: nothing. They are lent until
 * cnode_conn_wrote, and stay where they are when more is sent meanwhile. There
 * may be more than fits into v, and asked again before cnode_conn_wrote it
 * lends the same, perhaps with more behind it. */
CN_API size_t cnode_conn_output(cnode_conn *c, cn_slice *v, size_t nv);
/* So many bytes of that, from the first on, are written. */
CN_API void cnode_conn_wrote(cnode_conn *c, size_t n);
/* When to call cnode_conn_timeout. */
CN_API uint64_t cnode_conn_deadline(const cnode_conn *c);
/* Sends a tick, or finds that the peer is silent: CN_ETIMEDOUT. */
CN_API int cnode_conn_timeout(cnode_conn *c, uint64_t now);

/* Answers CNODE_EV_NAME. The cookie is not looked at when the peer is refused;
 * name and creation only with CNODE_ANSWER_NAMED, which is the only other
 * answer to a peer that wants a name. The code of the refusal, CN_EBADARG,
 * CN_ENOMEM: the connection is dead, its last words are in the output. */
CN_API int cnode_conn_answer(cnode_conn *c, cnode_answer a, const char *cookie,
                             const char *name, uint32_t creation);
/* Acceptor, before that answer: to this peer we are a hidden node. */
CN_API void cnode_conn_hide(cnode_conn *c);
/* Queues a signal in the form that the peer understands; its terms are copied.
 * Where fragments were agreed on, one larger than 64 KiB goes out in fragments,
 * with signals of other processes between them; those of the same process
 * (ctrl->from) wait behind it. (A node makes them longer on a socket with a
 * long buffer, where one that is no longer only waits for its turn.) CN_EBUSY:
 * more than max_queue bytes wait, so the most that ever does is that and one
 * message; signals that keep links and monitors true may take twice as much.
 * CN_ENOTSUP: the peer does not know such signals; CN_ELIMIT: too long;
 * CN_ENOCONN: not up. None of these harms the connection. */
CN_API int cnode_conn_send(cnode_conn *c, const cnode_ctrl *ctrl);
/* Queues a message (SEND, REG_SEND, ALIAS_SEND) without a copy of its term: v
 * has the n pieces of it, encoded and without version byte, as
 * etf_writer_slices gives them; ctrl->term is not looked at. When this returns
 * 0 the bytes must stay as they are until release(arg), which is called exactly
 * once: from cnode_conn_wrote or cnode_conn_free, on whatever thread that is,
 * and never from in here. It must not free c. After an error it is never
 * called. The array v itself is copied. Errors as of cnode_conn_send, and
 * CN_EBADARG: no message, or no bytes. */
CN_API int cnode_conn_send_shared(cnode_conn *c, const cnode_ctrl *ctrl,
                                  const cn_slice *v, size_t n,
                                  void (*release)(void *arg), void *arg);

/* What has crossed the connection, the handshake included. */
typedef struct cnode_conn_stats {
    uint64_t bytes_in; /* fed, and said to be written */
    uint64_t bytes_out;
    uint64_t frames_in; /* with more than a length; a message in fragments is
                           several */
    uint64_t frames_out;
    uint64_t ticks_in;
    uint64_t ticks_out;
    uint64_t signals_in; /* control messages, with what they carry */
    uint64_t signals_out;
    size_t queued_high; /* most bytes that waited to be written */
} cnode_conn_stats;
/* Use cnode_conn_get_stats: it passes the size that the caller knows. */
CN_API void cnode_conn_get_stats_sized(const cnode_conn *c,
                                       cnode_conn_stats *out, size_t size);
static inline void cnode_conn_get_stats(const cnode_conn *c,
                                        cnode_conn_stats *out) {
    cnode_conn_get_stats_sized(c, out, sizeof *out);
}

CN_API bool cnode_conn_up(const cnode_conn *c);
/* Both sides' flags ANDed, and the bytes that wait to be written. */
CN_API uint64_t cnode_conn_common_flags(const cnode_conn *c);
CN_API size_t cnode_conn_queued(const cnode_conn *c);
CN_API const char *cnode_conn_peer(const cnode_conn *c);
/* The peer closed the stream: what that means in this state, and at this time:
 * in answer to the reply to its challenge it has rejected the cookie,
 * CN_ECOOKIE; after seconds it has given up, CN_ECLOSED. */
CN_API int cnode_conn_eof(cnode_conn *c, uint64_t now);
/* Why it is dead; code 0: it is not. Valid until the next call for c. */
CN_API const cn_error *cnode_conn_error(const cnode_conn *c);

#ifdef __cplusplus
}
#endif
#endif
