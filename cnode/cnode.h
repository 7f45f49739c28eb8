/* SPDX-License-Identifier: Apache-2.0
 *
 * cnode.h: a node. A C program that makes one becomes a member of an
 * Erlang/Elixir cluster: it has processes that Erlang code can send to, call,
 * link with and monitor, and functions that it can apply with erpc and rpc.
 * https://www.erlang.org/doc/apps/erts/erl_dist_protocol.html
 *
 * Threads: one thread, the one that runs the loop, owns a node and all that
 * belongs to it, and every callback runs there. From any other thread only
 * these may be called: cnode_send and its kin, cnode_post, cnode_stop,
 * cnode_complete, cnode_fail and cnode_deferred_wanted, and cnode_call_wait and
 * cnode_rpc_wait, which are for other threads only. They allocate in their own
 * thread, with the allocator of the node, while the loop does too: one that is
 * not the default must be safe for that. Without such calls it is used in the
 * thread of the loop alone. Until cnode_run is called the thread that made the
 * node is that of the loop. End the other threads' work before cnode_free; only
 * those that wait for a call may still do so then, and answers may still be
 * completed: they get CN_ECLOSED.
 *
 * Callbacks: no callback ever runs inside a call that the program makes; it
 * runs later, from the loop. Everything that a callback is lent (views,
 * messages) dies when it returns; etf_copy keeps a term. Any call is allowed
 * in a callback, closing the object it belongs to included, except those that
 * run the loop: cnode_run, cnode_listen and cnode_receive, which are CN_EBUG
 * then, unless the loop is yours, and cnode_free, which must not be called.
 *
 * Errors: calls return 0 or a negative CN_E* code; cnode_error tells more
 * about the last one. Terms given to a call are copied before it returns.
 *
 * Options: several calls are macros, those with a pattern and its arguments.
 * The preprocessor takes the commas of a compound literal for theirs, and what
 * the compiler says then helps nobody. Give such options a name, or the literal
 * parentheses of its own:
 *
 *     cnode_rpc(p, (&(cnode_rpc_opts){.node = peer, .module = "lists",
 *                                     .function = "sum"}),
 *               on_sum, NULL, "[[~i, ~i]]", 1, 2);
 *
 * A pointer to options that is NULL stands for options that are all zero, here
 * and in the other headers: then the defaults hold, and what has to be given is
 * missing. A process has to have a configuration: without one cnode_spawn and
 * cnode_become are CN_EBADARG.
 *
 * Growth: structs that the program fills or is given may get more fields at
 * their end. Start them zeroed; the inline functions pass the size that the
 * program was compiled with on to those that end in _sized, which bindings
 * call themselves.
 */
#ifndef CNODE_CNODE_H
#define CNODE_CNODE_H

#include <base/base.h>
#include <ext_term/ext_term.h>

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s;
struct cnode_capture;
struct cnode_log_event;

typedef struct cnode cnode;           /* a node */
typedef struct cnode_proc cnode_proc; /* a process on it */

/* --- the node ------------------------------------------------------------ */

/* A connection to another node came up or went down: for one and the same node
 * first up, then down, then up again, and never the same twice in a row. Why it
 * is down: 0 when this node asked for it; CN_ECLOSED: the peer closed it, or
 * has made a new one; CN_ETIMEDOUT: nothing was heard of it for the tick time;
 * CN_EPROTO, CN_ELIMIT, CN_EBADTERM: it sent what a node does not send, or more
 * than is taken; CN_EIO: the socket failed; CN_ENOTALLOWED: cnode_set_policy;
 * CN_ENOMEM, CN_EBUSY: a signal for it that must not be lost could not be kept.
 */
typedef struct cnode_peer {
    const char *name;
    bool up;
    bool hidden;      /* either side is hidden */
    uint32_t id;      /* another one for each connection */
    uint64_t flags;   /* what both sides can do (conn.h) */
    int status;       /* down: why, CN_E*; 0 when asked for */
    const char *text; /* down: the same for a person to read */
} cnode_peer;

/* Which other nodes this one has to do with, see cnode_set_policy. */
typedef enum cnode_policy {
    CNODE_POLICY_DEFAULT, /* as cnode_config.policy says; there: ALLOW */
    CNODE_POLICY_ALLOW,   /* it may connect, and is connected to */
    CNODE_POLICY_HIDDEN,  /* the same, but to it this node is a hidden one,
                             also if it is visible to others */
    CNODE_POLICY_DENY     /* neither: who connects is told `not_allowed`,
                             sending to it is CN_ENOTALLOWED */
} cnode_policy;

/* A peer that is to be kept is not connected, because an attempt has failed or
 * the connection was lost (on_peer has told that already). */
typedef struct cnode_retry {
    const char *name;
    int status;        /* why, as in cnode_connect_cb or cnode_peer */
    const char *text;  /* the same for a person to read */
    uint32_t failures; /* so far in a row; 0: a connection that had been up
                          for steady_ms is lost */
    uint32_t wait_ms;  /* until the next attempt */
    bool given_up;     /* there will be none: cnode_keep_opts.attempts */
} cnode_retry;

/* Everything may be left zero except the name. Strings are copied. */
typedef struct cnode_config {
    /* "echo@127.0.0.1". NULL: the first node that is connected to gives a
     * name; until then nothing can be sent, and it is lost with the last
     * connection. Such a node cannot listen. A pid or reference that was made
     * under another name is not known any more; links and monitors between
     * the processes of this node stay. */
    const char *name;
    /* The shared secret. NULL: read from cookie_file, else $CNODE_COOKIE,
     * else ~/.erlang.cookie, else $XDG_CONFIG_HOME/erlang/.erlang.cookie. */
    const char *cookie;
    const char *cookie_file;
    bool visible;           /* in nodes() of the others; default: hidden */
    bool no_epmd;           /* listen without registering with EPMD */
    bool no_takeover;       /* a peer that says this name is connected already
                               is believed (CN_EEXIST), not told to drop the
                               other connection */
    uint16_t port;          /* to listen on; 0: any free port */
    const char *address;    /* to listen on, digits; NULL: all of IPv4, or, when
                               the host in the name is an IPv6 address, all
                               of both */
    uint16_t epmd_port;     /* 0: $ERL_EPMD_PORT, else 4369 */
    uint32_t ticktime_s;    /* net_ticktime; 0: 60 s */
    uint32_t setup_ms;      /* net_setuptime; 0: 7,000 ms */
    size_t max_frame;       /* largest message taken, bytes; 0: 128 MiB */
    size_t max_queue;       /* most bytes waiting to be sent to one peer, above
                               it CN_EBUSY; 0: 256 MiB */
    size_t max_mailbox;     /* most bytes in a mailbox; messages above it are
                               dropped with a line in the log; 0: 256 MiB */
    struct uv_loop_s *loop; /* somebody else's loop; NULL: one of our own */
    cn_alloc alloc;         /* zero: the default; see "Threads" above */
    cn_log log;             /* zero: silent */
    void (*on_peer)(cnode *n, const cnode_peer *p, void *data);
    /* Each control message, in (true) or out, decoded into one line; payload
     * is a whole term or empty. For debugging. */
    void (*on_frame)(cnode *n, const char *peer, bool in, const char *text,
                     etf_view payload, void *data);
    void *data;      /* given to the callbacks above */
    cn_error *error; /* filled when cnode_new fails; may be NULL */
    /* Most connections that are being made at once because something is sent
     * to a node that is not connected (a message, a link, an answer to a
     * process that a peer has named), or another node asks for it by rpc
     * (net_adm:ping/1); above it sending to one more is CN_EBUSY. It keeps a
     * peer from using up the descriptors by naming nodes that do not answer.
     * cnode_connect is not bound by it, nor does it count. 0: 256 */
    uint32_t max_dials;
    /* Most bytes that wait for connections which are being made, to all nodes
     * together, above it CN_EBUSY. 0: twice max_queue */
    size_t max_pending;
    /* Messages that come in fragments and are not whole yet, from one peer:
     * most bytes that all of them take, 0: four times max_frame, and how many
     * there may be, 0: 4,096. A peer that goes over either loses its
     * connection. */
    size_t max_partial;
    uint32_t max_sequences;
    /* What crosses the connections is recorded there (capture.h); it must
     * outlive the node. NULL: nowhere */
    struct cnode_capture *capture;
    /* --- more about connections --- */
    /* The last of a range of ports that begins with port; the first one that
     * is free is listened on. 0: no range */
    uint16_t port_max;
    /* net_tickintensity: how many times in a ticktime_s a peer is looked at,
     * and a tick sent if nothing else was. One that is silent is given up
     * after ticktime_s, at the latest after one more part of it. As in Erlang,
     * all nodes should have the same ticktime_s; the intensity is a matter of
     * each. 4 to 1,000; 0: 4 */
    uint32_t tick_intensity;
    /* Of peers that have none of their own (cnode_set_policy), and of those
     * that want a name given. */
    cnode_policy policy;
    /* What becomes of a peer that is to be kept, see cnode_keep. */
    void (*on_retry)(cnode *n, const cnode_retry *r, void *data);
    /* Where is this node? Asked once for each attempt to connect to a peer
     * that cnode_set_address knows nothing of, instead of EPMD; the answer is
     * cnode_found, in this callback or later. */
    void (*on_lookup)(cnode *n, const char *peer, void *data);
    /* Back-pressure, for each peer. Once a message to it has got CN_EBUSY
     * because more than max_queue bytes wait, or was parked, on_drain is
     * called exactly once, from the loop, when low_queue bytes or less wait
     * (0: half of max_queue): now go on. It also comes when the connection is
     * lost, with all that waited. On the loop's thread CN_EBUSY for another
     * cause (max_dials, max_pending) is not followed by it, nor is on any
     * thread that of messages between processes of this node; try again later.
     * CN_EBUSY that other threads get for a peer always is, after what they
     * have sent before has left the way; it may be one call for several
     * threads, and come before a thread that was refused begins to wait for it:
     * note a number that on_drain raises before each attempt to send.
     * data is that of the config. */
    size_t low_queue;
    void (*on_drain)(cnode *n, const char *peer, void *data);
    /* Messages above max_queue are parked, up to so many bytes, instead of
     * being refused: the call returns 0, they go out in their order, and
     * on_drain comes. 0: none are. The most that ever waits for a peer is
     * max_queue + max_parked and one message; what keeps links and monitors
     * true may take twice as much. */
    size_t max_parked;
    /* Most functions that run at once because other nodes have asked for them
     * by erpc, rpc or spawn, until they end or have answered; above it the
     * callers get `system_limit`. 0: 262,144 */
    uint32_t max_functions;
    /* --- global.h --- */
    /* A full member of the cluster's `global`; visible is implied. Such a node
     * needs a name, and must be reachable: it connects only after cnode_listen,
     * which fails (CN_EEPMD, CN_EREFUSED) when others could not find it. With
     * no_epmd it needs a fixed port. */
    bool full;
    /* Whoever is a member and does not answer holds up the whole cluster. A
     * full node whose loop has stood still for so long, by its own clock,
     * closes all connections before it does anything else; cnode_keep brings
     * it back. 0: half of ticktime_s */
    uint32_t max_stall_ms;
    /* --- EPMD --- */
    /* Serves EPMD itself, from cnode_listen on, whenever nobody does at
     * epmd_port on this machine: at once, or when the one that did goes away.
     * Other nodes, of Erlang too, register with this one then. When it ends,
     * another node with this option, or an `epmd` that is started, takes over,
     * and all of them register again. It listens as OTP's does: everywhere, or
     * at $ERL_EPMD_ADDRESS and loopback. A request to end (`epmd -kill`) is
     * refused as long as a node is registered. It takes half of the descriptors
     * that the process may have (RLIMIT_NOFILE) at most. */
    bool epmd_server;
    /* --- what others print and log here (io.h) --- */
    /* The output that comes to the process `user` of this node, UTF-8 of len
     * bytes; NULL: it goes to the log, 1,000 lines of a request at most. */
    void (*on_output)(cnode *n, const char *text, size_t len, const char *peer,
                      void *data);
    /* Log events of processes whose group leader is on this node; NULL: they
     * are lines of its log. */
    void (*on_log_event)(cnode *n, const struct cnode_log_event *e, void *data);
} cnode_config;

/* Use cnode_new: it passes the size of the struct that the caller knows. */
CN_API int cnode_new_sized(cnode **out, const cnode_config *c, size_t size);
/* Makes a node; nothing is opened or sent yet. From here on the program
 * ignores SIGPIPE, unless it has a handler of its own. CN_EBADARG: bad name;
 * CN_EIO: no cookie could be read; CN_ENOMEM. */
static inline int cnode_new(cnode **out, const cnode_config *c) {
    return cnode_new_sized(out, c, sizeof *c);
}

/* Accepts connections, and registers with EPMD unless no_epmd: waits for its
 * answer by running the loop. EPMD's creation becomes that of the node if no
 * pid or reference has left it yet. When EPMD cannot be reached this is 0 all
 * the same: a line is logged and the registration is tried again until it
 * works; cnode_registered tells, cnode_error why not. CN_EEXIST: the name is
 * taken; CN_EREFUSED: the port, or each of the range, is in use; CN_ECANCELED:
 * cnode_stop; CN_EIO. */
CN_API int cnode_listen(cnode *n);
CN_API bool cnode_registered(const cnode *n);
/* Accepts connections at a Unix socket, whether or not it listens otherwise;
 * peers dial it at "unix:path". The file is made with the rights that umask
 * leaves, and removed at the end; one that nobody listens at any more is
 * replaced. CN_EREFUSED: somebody listens there, or it is no socket;
 * CN_EBADARG: no name yet, or the path is too long; CN_EBUG: twice; CN_ECLOSED:
 * cnode_leave; CN_EIO, CN_ENOMEM. */
CN_API int cnode_listen_unix(cnode *n, const char *path);

/* Runs the loop until cnode_stop. A stop ends one cnode_run, this one or the
 * next, and what is called after it does not see it any more. With somebody
 * else's loop use uv_run instead, which cnode_stop does not end: that is for
 * uv_stop. As long as there is the node, uv_run finds something to wait for.
 * CN_EBUG: in a callback. */
CN_API int cnode_run(cnode *n);
/* Makes cnode_run return. Any thread. */
CN_API void cnode_stop(cnode *n);
/* Runs fn(n, arg) on the loop's thread. Any thread. CN_ENOMEM, CN_ECLOSED. */
CN_API int cnode_post(cnode *n, void (*fn)(cnode *n, void *arg), void *arg);

/* Ends all processes (on_end gets `shutdown`, other nodes see
 * `noconnection`), gives the peers
 * 3 seconds to take what is queued, closes everything and frees the node. It
 * runs the loop until its own handles are closed. */
CN_API void cnode_free(cnode *n);

/* "echo@127.0.0.1", or "nonode@nohost" while it has no name. */
CN_API const char *cnode_name(const cnode *n);
CN_API uint32_t cnode_creation(const cnode *n);
/* The port it listens on, 0 before. */
CN_API uint16_t cnode_port(const cnode *n);
CN_API void *cnode_data(const cnode *n);
/* More about the last call that failed on this node. */
CN_API const cn_error *cnode_error(const cnode *n);

/* --- statistics ---------------------------------------------------------- */

/* Why a message came to nobody here. */
typedef enum cnode_drop {
    CNODE_DROP_NOBODY,   /* no such process or alias, or a call is over */
    CNODE_DROP_UNWANTED, /* a server that takes calls and casts only */
    CNODE_DROP_MAILBOX,  /* the mailbox is full */
    CNODE_DROP_MEMORY,   /* out of memory */
    CNODE_DROP_THREAD,   /* from another thread, and then it could not be sent:
                            the log says why */
    CNODE_DROPS = 8      /* room for more */
} cnode_drop;

/* Counted from the birth of the node. Bytes and frames are those of
 * connections that came up, their handshakes included, and of attempts that
 * have ended. A signal is a control message: a message to a process, a link,
 * an answer, ... with what it carries. The structs of this section may grow at
 * the end; the calls pass the size that the caller knows. */
typedef struct cnode_stats {
    uint64_t messages_in; /* messages from other nodes to processes here */
    uint64_t messages_out;
    uint64_t dropped; /* messages that came to nobody: the sum of drops */
    uint32_t connections;
    uint32_t processes;
    uint64_t drops[CNODE_DROPS]; /* by cnode_drop */
    uint64_t unreached; /* messages that waited for a connection which could
                           not be made */
    uint64_t signals_in;
    uint64_t signals_out;
    uint64_t frames_in; /* a message in fragments is several */
    uint64_t frames_out;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t ticks_in;
    uint64_t ticks_out;
    uint64_t queued;   /* bytes that wait now, for all peers together */
    uint64_t connects; /* connections that came up */
    uint64_t failures; /* attempts of this node that did not */
    uint64_t downs;    /* connections that were up and ended */
} cnode_stats;
CN_API void cnode_get_stats_sized(const cnode *n, cnode_stats *out,
                                  size_t size);
static inline void cnode_get_stats(const cnode *n, cnode_stats *out) {
    cnode_get_stats_sized(n, out, sizeof *out);
}

/* The same for one peer, through all its connections. A peer about which there
 * is nothing to remember (it is not connected nor wanted, has no address or
 * cookie set, no links or monitors) is forgotten, and its counts with it. */
typedef struct cnode_peer_stats {
    bool up;
    uint32_t id;       /* of the connection, as in cnode_peer */
    uint32_t connects; /* connections that came up: reconnects are those beyond
                          the first */
    uint32_t failures;
    uint32_t downs;
    uint64_t up_ms; /* how long this connection has been up */
    uint64_t messages_in;
    uint64_t messages_out;
    uint64_t signals_in;
    uint64_t signals_out;
    uint64_t frames_in;
    uint64_t frames_out;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t ticks_in;
    uint64_t ticks_out;
    uint64_t queued;      /* bytes that wait now, for it or for a connection */
    uint64_t queued_high; /* the most there were on a connection */
    uint64_t stalls;      /* how often the queue became full */
    uint64_t refused;     /* signals that got CN_EBUSY, of any thread */
    uint64_t unreached;
    uint32_t pings; /* answered ones */
    uint32_t rtt_us;
    uint32_t rtt_min_us; /* of all pings */
} cnode_peer_stats;
/* CN_ENOENT: nothing is known of it, *out is zero. */
CN_API int cnode_get_peer_stats_sized(const cnode *n, const char *peer,
                                      cnode_peer_stats *out, size_t size);
static inline int cnode_get_peer_stats(const cnode *n, const char *peer,
                                       cnode_peer_stats *out) {
    return cnode_get_peer_stats_sized(n, peer, out, sizeof *out);
}

typedef struct cnode_proc_stats {
    uint64_t mailbox_messages; /* that wait to be received */
    uint64_t mailbox_bytes;    /* with what it costs to keep them */
    uint64_t received;         /* messages from here and other nodes that came
                                  to it, those in the mailbox too */
    uint64_t dropped;          /* messages to it that it did not get */
} cnode_proc_stats;
CN_API void cnode_get_proc_stats_sized(const cnode_proc *p,
                                       cnode_proc_stats *out, size_t size);
static inline void cnode_get_proc_stats(const cnode_proc *p,
                                        cnode_proc_stats *out) {
    cnode_get_proc_stats_sized(p, out, sizeof *out);
}

/* status 0: the peer has answered after so many microseconds. */
typedef void (*cnode_ping_cb)(cnode *n, const char *peer, int status,
                              const cn_error *err, uint64_t us, void *data);
/* How long a peer takes to answer: from the call that sends to the callback
 * of the answer, so the way there and back, what is queued in front of it on
 * both sides, and this loop's turn are in it; processes of the peer are not,
 * for the answer is made where it reads its connection (a monitor on a name
 * that no process can have). The time of connecting, if it must, is not in it
 * either. cb (may be NULL) runs exactly once; status as in cnode_connect_cb,
 * CN_ENOCONN: the connection was lost, CN_ETIMEDOUT: no answer in timeout_ms
 * (0: 5,000; UINT32_MAX: never gives up), CN_ECLOSED: cnode_free. The time is
 * kept as rtt_us of cnode_peer_stats. */
CN_API int cnode_ping(cnode *n, const char *peer, uint32_t timeout_ms,
                      cnode_ping_cb cb, void *data);

/* --- connections --------------------------------------------------------- */

/* status 0: up; else why not, and err->text says it for a person, with the name
 * of the peer. */
typedef void (*cnode_connect_cb)(cnode *n, const char *peer, int status,
                                 const cn_error *err, void *data);

/* Connects; nothing to do when connected. Sending connects by itself, so this
 * is for those who want to know, or who connect to more than max_dials at
 * once. cb (may be NULL) runs exactly once, with
 * CN_ECLOSED when cnode_free comes first.
 * Its status: CN_EHOST, CN_EEPMD, CN_ENOENT (not registered), CN_EREFUSED,
 * CN_ECOOKIE, CN_ENOTALLOWED, CN_EFLAGS, CN_EEXIST (this node's name is
 * connected there already), CN_EPROTO (not an Erlang node), CN_EVERSION,
 * CN_ECLOSED, CN_ETIMEDOUT. What the call itself may return: CN_EBADARG,
 * CN_ENOTALLOWED (by cnode_set_policy), CN_ENOMEM. */
CN_API int cnode_connect(cnode *n, const char *peer, cnode_connect_cb cb,
                         void *data);
/* Sends what is queued and closes. Ends cnode_keep too, together with an
 * attempt that is under way (who waits for it is told CN_ECLOSED). CN_ENOCONN:
 * it was neither connected nor to be kept. */
CN_API int cnode_disconnect(cnode *n, const char *peer);
CN_API bool cnode_connected(const cnode *n, const char *peer);
/* Peers that are up; *at starts at 0; NULL at the end. */
CN_API const char *cnode_next_peer(const cnode *n, size_t *at);
/* Dial this peer at "host:port", "[v6]:port" or "unix:path" and leave EPMD
 * out. NULL takes it back. CN_EBADARG: it is none of these, or not of a node;
 * whether the host is there is seen when it is dialled. */
CN_API int cnode_set_address(cnode *n, const char *peer, const char *address);
/* The cookie for one peer, both ways; NULL takes it back. */
CN_API int cnode_set_cookie(cnode *n, const char *peer, const char *cookie);
/* When to connect again. All may be zero. */
typedef struct cnode_keep_opts {
    uint32_t first_ms;  /* the first wait; 0: 1,000 ms */
    uint32_t max_ms;    /* the longest; 0: 60,000 ms */
    uint32_t steady_ms; /* a connection that was up so long was a success:
                           the waits begin anew; 0: 10,000 ms */
    uint32_t attempts;  /* gives up after so many failures in a row; 0: never */
} cnode_keep_opts;
/* Keeps a peer connected: connects now, and whenever the connection is lost or
 * an attempt fails, again after a wait, which doubles with each failure and is
 * cut by up to one half at random, so that many nodes do not come back all at
 * once. A cookie that is refused is tried again like everything else, for it
 * may be changed there. on_retry of cnode_config tells. cnode_disconnect ends
 * it, and so does CNODE_POLICY_DENY. Again with other options changes them. o
 * may be NULL. CN_EBADARG, CN_ENOTALLOWED (cnode_set_policy), CN_ENOMEM. */
CN_API int cnode_keep_sized(cnode *n, const char *peer,
                            const cnode_keep_opts *o, size_t size);
static inline int cnode_keep(cnode *n, const char *peer,
                             const cnode_keep_opts *o) {
    return cnode_keep_sized(n, peer, o, sizeof *o);
}
/* Answers config.on_lookup: the address, in the form of cnode_set_address; "":
 * EPMD knows; NULL: there is none, the attempt ends with CN_ENOENT. An address
 * that cannot be is CN_EBADARG for the attempt. An attempt that is not answered
 * ends after setup_ms. CN_ENOENT: nobody asks for this peer (any more). */
CN_API int cnode_found(cnode *n, const char *peer, const char *address);
/* Shakes hands over a descriptor that the program has connected to peer: a
 * stream socket of TCP or Unix, a tunnel to it, one end of a socketpair. In
 * everything else as cnode_connect. With 0 the descriptor is the node's; with
 * an error it is still the caller's: CN_EBADARG (no such descriptor, or bad
 * name), CN_EEXIST (it is connected, or just being connected to),
 * CN_ENOTALLOWED, CN_ECLOSED, CN_EIO, CN_ENOMEM. */
CN_API int cnode_connect_fd(cnode *n, int fd, const char *peer,
                            cnode_connect_cb cb, void *data);
/* The same for one that somebody has connected to the program: the peer says
 * who it is, and on_peer tells when it is up. */
CN_API int cnode_accept_fd(cnode *n, int fd);

/* The end of cnode_leave. 0: every peer has taken all that was sent to it;
 * CN_ETIMEDOUT: not in time; CN_ENOCONN: one is lost, or could not be reached;
 * CN_ECLOSED: cnode_free came first. */
typedef void (*cnode_leave_cb)(cnode *n, int status, const cn_error *err,
                               void *data);
/* Leaves in good order: gives its name back to EPMD, takes no connections,
 * sends what is queued, also to nodes that are just being connected to, and
 * closes each connection when its peer has read all of it, after timeout_ms at
 * the latest (0: 5,000). cb (may be NULL) runs once. The peers see
 * `noconnection` for what is linked and monitored; who should see other
 * reasons ends its processes with cnode_exit before. Processes live on, but
 * nothing goes out any more (CN_ENOCONN), and nothing brings the node back.
 * What other threads send has to come before: the last of them calls this by
 * cnode_post, which comes behind what it has sent. CN_ECLOSED: it leaves
 * already. */
CN_API int cnode_leave(cnode *n, uint32_t timeout_ms, cnode_leave_cb cb,
                       void *data);
/* Whether this node has to do with a peer. CNODE_POLICY_DENY ends what
 * connection there is with CN_ENOTALLOWED, any other policy holds from the
 * next one on. Names are what peers say of themselves, so whoever knows the
 * cookie can have any: to keep somebody out for certain, see to the cookie.
 * CN_EBADARG. */
CN_API int cnode_set_policy(cnode *n, const char *peer, cnode_policy policy);

/* --- processes ----------------------------------------------------------- */

typedef struct cnode_msg {
    etf_view term;       /* well-formed, without version byte */
    const char *peer;    /* node it came from, own name for local ones */
    const etf_pid *from; /* the sender; NULL when the peer did not say */
} cnode_msg;

/* What a monitor tells when its process is gone. */
typedef struct cnode_down {
    etf_ref ref;   /* what cnode_monitor gave */
    etf_view item; /* pid, or {Name, Node} */
    etf_view term; /* reason: noproc, noconnection, normal, ... */
} cnode_down;

/* A linked process ended, or somebody sent an exit signal. */
typedef struct cnode_exit_signal {
    etf_pid from;
    etf_view term; /* reason */
} cnode_exit_signal;

/* Who made a gen_server:call, to answer with cnode_reply. The tag is lent as
 * the message is. */
typedef struct cnode_from {
    etf_pid pid;
    etf_view tag;
} cnode_from;

/* A mailbox is full: what of it is given up. Each message that is lost so is
 * counted, and the first one since the mailbox was read is logged, at most one
 * such line a second for the node. What links and monitors tell is not counted
 * among what fills it, and never lost. */
typedef enum cnode_when_full {
    CNODE_FULL_DROP_NEW,    /* the message that has come */
    CNODE_FULL_DROP_OLDEST, /* those that have waited longest */
    CNODE_FULL_END          /* the process: {system_limit, mailbox} */
} cnode_when_full;

/* Whether system messages (sys:get_status and its kin) are answered. */
typedef enum cnode_sys {
    CNODE_SYS_DEFAULT, /* by those that have on_call, on_cast or on_event */
    CNODE_SYS_ON,
    CNODE_SYS_OFF /* they are messages as others are */
} cnode_sys;

typedef struct cnode_proc_config {
    const char *name; /* to register under; NULL: none */
    /* Without on_message the process has a mailbox: see cnode_receive. */
    void (*on_message)(cnode_proc *self, const cnode_msg *m, void *data);
    /* gen_server calls and casts; those not set come to on_message. */
    void (*on_call)(cnode_proc *self, const cnode_from *from, etf_view request,
                    void *data);
    void (*on_cast)(cnode_proc *self, etf_view request, void *data);
    /* Not set: {'DOWN', Ref, process, Item, Reason} as a message. */
    void (*on_down)(cnode_proc *self, const cnode_down *d, void *data);
    /* Set: exit signals come here instead of ending the process. */
    void (*on_exit)(cnode_proc *self, const cnode_exit_signal *e, void *data);
    /* Trap exits without on_exit: {'EXIT', From, Reason} as a message. */
    bool trap_exit;
    /* The process has ended, by whatever cause; self is freed after it. */
    void (*on_end)(cnode_proc *self, etf_view reason, void *data);
    void *data;
    /* The bounds of its mailbox: most bytes, 0: max_mailbox of the node; most
     * messages, 0: any number. What links and monitors tell is kept above
     * them; when it alone is more than max_mailbox, and than 64 MiB, the
     * process is ended as by CNODE_FULL_END. */
    size_t max_mailbox;
    uint32_t max_messages;
    cnode_when_full when_full;
    /* The process is a manager of events to gen_event:notify and sync_notify,
     * which come here; gen_event:call comes to on_call, with the query alone;
     * which_handlers tells the name of the process as the only one. */
    void (*on_event)(cnode_proc *self, etf_view event, void *data);
    /* Puts one term, what sys:get_state and sys:get_status tell. Not set:
     * `undefined`. (In OTP 25, where servers answer get_state in another form
     * than later, sys:get_state/1 returns {ok, State}.) */
    void (*put_state)(cnode_proc *self, etf_writer *out, void *data);
    /* get_state, get_status, suspend, resume and terminate are done, others
     * get {error, {unknown_system_msg, Request}}. While it is suspended,
     * messages wait in the mailbox, within its bounds; what is no message
     * (on_down, on_exit, answers, timers) comes all the same. */
    cnode_sys sys;
} cnode_proc_config;

/* Makes a process; it is cheap, there may be a million (300 bytes for one that
 * is idle and has no name). out may be NULL. CN_EEXIST: the name is registered;
 * CN_EBADARG: it cannot be; CN_ECLOSED, CN_ENOMEM. */
CN_API int cnode_spawn_sized(cnode *n, const cnode_proc_config *c, size_t size,
                             cnode_proc **out);
static inline int cnode_spawn(cnode *n, const cnode_proc_config *c,
                              cnode_proc **out) {
    return cnode_spawn_sized(n, c, sizeof *c, out);
}
/* Another behaviour for a process, e.g. one that Erlang has spawned. The name
 * in c, if any, is registered in addition. What is in its mailbox goes to the
 * callbacks. */
CN_API int cnode_become_sized(cnode_proc *p, const cnode_proc_config *c,
                              size_t size);
static inline int cnode_become(cnode_proc *p, const cnode_proc_config *c) {
    return cnode_become_sized(p, c, sizeof *c);
}
/* Ends a process with a reason: its links and monitors are told. p must not
 * be used any more. The reason is a pattern as in etf_pack; when there is no
 * memory for it, it is system_limit. An error (CN_ESYNTAX, CN_EBADARG: the
 * pattern) leaves p as it is. */
#define cnode_exit(p, ...) cnode_exit_args((p), ETF_INS(__VA_ARGS__))
CN_API int cnode_exit_args(cnode_proc *p, const etf_in *reason, size_t n);

CN_API etf_pid cnode_self(const cnode_proc *p);
CN_API cnode *cnode_of(const cnode_proc *p);
CN_API void *cnode_proc_data(const cnode_proc *p);
/* Whom its output goes to: the process `user` of this node, unless the node
 * that spawned it, or somebody later, said who. */
CN_API etf_pid cnode_group_leader(const cnode_proc *p);
/* group_leader(Leader, Pid), for a process of any node. It is a signal: the
 * process has it some time later. Errors as for cnode_send. */
CN_API int cnode_set_group_leader(cnode *n, const etf_pid *to,
                                  const etf_pid *leader);
/* A registered process, or NULL. */
CN_API cnode_proc *cnode_whereis(const cnode *n, const char *name);
/* Names are atoms: UTF-8, at most 255 characters. CN_EEXIST: another process
 * has it; CN_EBADARG: the process has a name already, or that can be none
 * (`undefined` is none); CN_ENOPROC; CN_ENOMEM. */
CN_API int cnode_register(cnode_proc *p, const char *name);
/* A new reference. */
CN_API etf_ref cnode_make_ref(cnode *n);

/* Takes the next message out of a mailbox. Waits up to timeout_ms (0: not at
 * all, UINT32_MAX: for ever) by running the loop. *out is lent until the next
 * call for p. CN_ETIMEDOUT; CN_ECANCELED: cnode_stop was called, outside of
 * cnode_run; CN_ENOPROC: the process was ended by an exit signal, p is gone;
 * CN_EBUG: to wait in a callback.
 * A program that only receives waits for anything else in between, such as
 * cnode_connect, with cnode_run until the callback calls cnode_stop:
 *
 *     static void up(cnode *n, const char *peer, int status,
 *                    const cn_error *err, void *data) {
 *         *(int *)data = status;
 *         cnode_stop(n);
 *     }
 *     ...
 *     int status = cnode_connect(n, "shop@127.0.0.1", up, &result);
 *     if (status == 0)
 *         status = cnode_run(n);
 *     if (status == 0 && result == 0)
 *         status = cnode_receive(p, 5000, &message);
 */
CN_API int cnode_receive(cnode_proc *p, uint32_t timeout_ms, cnode_msg *out);

/* --- sending ------------------------------------------------------------- */

/* A message from a process to a pid, as a pattern; it connects by itself.
 * As in Erlang, nothing tells when the receiver does not exist.
 * A trace (seq_trace) goes on through it: when the message that p received
 * last was traced, so is what p sends until it receives another one, as a
 * message, a call, a spawn request, or by its end to a link. What is sent from
 * other threads is not.
 * Any thread (p must stay alive meanwhile); order is kept within a thread.
 * What another thread sends is on its way when this returns 0: it waits where
 * CN_EBUSY would be said to the loop's thread, and then CN_EBUSY is said to
 * the threads. CN_EBUSY: too much is queued for
 * that node, or too much and too many wait for connections that are being
 * made (max_queue, max_pending and max_dials of cnode_config);
 * CN_ENOTALLOWED: cnode_set_policy; CN_ENOCONN: this node has no name yet;
 * CN_ENOPROC: p has ended, as its links and monitors know (also in its
 * on_end); CN_ENOMEM; CN_ESYNTAX, CN_EBADARG: the pattern. */
#define cnode_send(p, to, ...) cnode_send_args((p), (to), ETF_INS(__VA_ARGS__))
CN_API int cnode_send_args(cnode_proc *p, const etf_pid *to, const etf_in *in,
                           size_t n);
/* The same to a registered name; node NULL: this node. */
#define cnode_send_name(p, node, name, ...)                                    \
    cnode_send_name_args((p), (node), (name), ETF_INS(__VA_ARGS__))
CN_API int cnode_send_name_args(cnode_proc *p, const char *node,
                                const char *name, const etf_in *in, size_t n);
/* The same to an alias. */
#define cnode_send_alias(p, alias, ...)                                        \
    cnode_send_alias_args((p), (alias), ETF_INS(__VA_ARGS__))
CN_API int cnode_send_alias_args(cnode_proc *p, const etf_ref *alias,
                                 const etf_in *in, size_t n);
/* The same with priority: when the alias was made with CNODE_ALIAS_PRIORITY
 * (in Erlang: alias([priority]), from OTP 28 on) the message goes before those
 * without. Anywhere else, and to nodes that do not know it, it is a message
 * like any other. */
#define cnode_send_priority(p, alias, ...)                                     \
    cnode_send_priority_args((p), (alias), ETF_INS(__VA_ARGS__))
CN_API int cnode_send_priority_args(cnode_proc *p, const etf_ref *alias,
                                    const etf_in *in, size_t n);
/* exit(Pid, Reason): an exit signal. */
#define cnode_send_exit(p, to, ...)                                            \
    cnode_send_exit_args((p), (to), ETF_INS(__VA_ARGS__))
CN_API int cnode_send_exit_args(cnode_proc *p, const etf_pid *to,
                                const etf_in *in, size_t n);
/* The same to the process that an alias stands for, with priority or not.
 * CN_ENOTSUP: its node is older than OTP 28. */
#define cnode_exit_alias(p, alias, priority, ...)                              \
    cnode_exit_alias_args((p), (alias), (priority), ETF_INS(__VA_ARGS__))
CN_API int cnode_exit_alias_args(cnode_proc *p, const etf_ref *alias,
                                 bool priority, const etf_in *in, size_t n);

/* A message without a copy of its large binaries: w holds the term, those put
 * with etf_put_binary_ref point to the program's memory, and from there they go
 * to writev(2). When this returns 0 they must stay as they are until
 * release(arg), which is called exactly once, from the loop, when they are
 * written or thrown away with their connection, at the latest by cnode_free;
 * after an error it is never called. The rest of w is copied, so w can be used
 * again at once. To this node, and to one that is not connected yet, all is
 * copied and release comes in the next turn of the loop. Only on the thread
 * of the loop (CN_EBUG): from others with cnode_post. Errors as of cnode_send;
 * CN_EBADARG: w is empty. */
CN_API int cnode_send_shared(cnode_proc *p, const etf_pid *to, etf_writer *w,
                             void (*release)(void *arg), void *arg);
/* The same to a registered name; node NULL: this node. */
CN_API int cnode_send_name_shared(cnode_proc *p, const char *node,
                                  const char *name, etf_writer *w,
                                  void (*release)(void *arg), void *arg);

/* Is this message a gen_server:call? Then from and request are lent as m is. */
CN_API bool cnode_msg_is_call(const cnode_msg *m, cnode_from *from,
                              etf_view *request);
/* Is it a gen_server:cast? */
CN_API bool cnode_msg_is_cast(const cnode_msg *m, etf_view *request);
/* Answers a call, with every form of tag that OTP 25 to 29 uses. */
#define cnode_reply(p, from, ...)                                              \
    cnode_reply_args((p), (from), ETF_INS(__VA_ARGS__))
CN_API int cnode_reply_args(cnode_proc *p, const cnode_from *from,
                            const etf_in *in, size_t n);

/* Ends the call at the caller, as if p had ended with that reason: in Erlang
 * gen_server:call exits with it; p lives on. A caller that does not monitor p
 * gets the reply {error, Reason}. A pattern, as for cnode_reply. */
#define cnode_refuse(p, from, ...)                                             \
    cnode_refuse_args((p), (from), ETF_INS(__VA_ARGS__))
CN_API int cnode_refuse_args(cnode_proc *p, const cnode_from *from,
                             const etf_in *in, size_t n);
/* For a message that on_message knows nothing about: when somebody waits for an
 * answer to it (a call to a gen_server or gen_event, a system message), it is
 * refused with {bad_call, Request}, and this is true. A process that has none
 * of the callbacks but on_call, on_cast and on_event does so by itself. */
CN_API bool cnode_refuse_msg(cnode_proc *p, const cnode_msg *m);

/* --- links and monitors -------------------------------------------------- */

/* Errors of this section that are not said: those of cnode_send. A node that
 * cannot be reached is none, for that is told by `noconnection`, as to who is
 * linked; only a node that has no name yet and is to watch elsewhere gets
 * CN_ENOCONN, and nothing comes then. As in Erlang a link to what does not
 * exist ends p with `noproc`, unless it traps exits. */
CN_API int cnode_link(cnode_proc *p, const etf_pid *to);
CN_API int cnode_unlink(cnode_proc *p, const etf_pid *to);
/* Tells on_down, exactly once, when the process ends, is not there (noproc) or
 * the connection is lost (noconnection). *ref may be NULL. */
CN_API int cnode_monitor_pid(cnode_proc *p, const etf_pid *to, etf_ref *ref);
/* node NULL: this node. */
CN_API int cnode_monitor(cnode_proc *p, const char *node, const char *name,
                         etf_ref *ref);
/* After it returns, on_down does not come any more. CN_ENOENT. */
CN_API int cnode_demonitor(cnode_proc *p, const etf_ref *ref);

/* What the reference of a monitor is besides: an alias of the watching process,
 * to be sent along with a request, so that no late answer comes to it. */
typedef enum cnode_alias_mode {
    CNODE_ALIAS_NONE,
    CNODE_ALIAS_EXPLICIT,       /* until cnode_unalias */
    CNODE_ALIAS_DEMONITOR,      /* as long as the monitor */
    CNODE_ALIAS_REPLY_DEMONITOR /* until a message comes, which ends the
                                   monitor too */
} cnode_alias_mode;

typedef struct cnode_monitor_opts {
    const etf_pid *pid; /* either a pid ... */
    const char *name;   /* ... or a name, and node NULL: this one */
    const char *node;
    cnode_alias_mode alias;
    bool alias_priority; /* as CNODE_ALIAS_PRIORITY */
    bool priority;       /* its DOWN goes before other messages */
    etf_view tag;        /* instead of 'DOWN' in the message, which comes
                            without on_down; empty: 'DOWN' */
} cnode_monitor_opts;
CN_API int cnode_monitor_with_sized(cnode_proc *p, const cnode_monitor_opts *o,
                                    size_t size, etf_ref *ref);
static inline int cnode_monitor_with(cnode_proc *p, const cnode_monitor_opts *o,
                                     etf_ref *ref) {
    return cnode_monitor_with_sized(p, o, sizeof *o, ref);
}

/* A message {~r...} sent to the alias reaches p until it is taken back, or
 * until the first one when once. */
CN_API int cnode_alias(cnode_proc *p, bool once, etf_ref *alias);
enum {
    CNODE_ALIAS_REPLY = 1,   /* as once */
    CNODE_ALIAS_PRIORITY = 2 /* what is sent to it with priority goes before
                                other messages in the mailbox, exit signals
                                that are trapped as messages too */
};
CN_API int cnode_alias_with(cnode_proc *p, unsigned how, etf_ref *alias);
/* Also the alias that a monitor has; the monitor stays. CN_ENOENT. */
CN_API int cnode_unalias(cnode_proc *p, const etf_ref *alias);

/* --- calls to other nodes ------------------------------------------------ */

/* The answer to a call; runs exactly once, unless the calling process ends
 * first. status 0: result is the value. CN_EREMOTE: it raised, result is
 * {Class, Reason, Stacktrace}, or {badrpc, Reason} from rex; CN_EEXITED: the
 * process that ran it (or the server) ended, result is the reason; CN_ENOPROC:
 * the server does not exist; CN_ENOTSUP: the node cannot run it, result is an
 * atom; CN_ETIMEDOUT; CN_ENOCONN and the codes of cnode_connect_cb: not
 * reached. result is empty where not said. cnode_error(cnode_of(p)) has the
 * text: the node, the server, and the beginning of what was said about it.
 * When status is 0 it is still that of an earlier call. */
typedef void (*cnode_call_cb)(cnode_proc *p, int status, etf_view result,
                              void *data);

/* What the server is to the caller. */
typedef enum cnode_call_form {
    CNODE_CALL_SERVER, /* gen_server, gen_statem: {'$gen_call', From, Request}
                        */
    CNODE_CALL_SYS,    /* the module sys: "get_state", "suspend", ... */
    CNODE_CALL_EVENT   /* gen_event: "{sync_notify, Event}",
                          "{call, Handler, Query}", "which_handlers", ... */
} cnode_call_form;

typedef struct cnode_call_opts {
    const char *node;    /* NULL: this one, or that of the pid */
    const char *server;  /* a registered name ... */
    const etf_pid *pid;  /* ... or a pid */
    uint32_t timeout_ms; /* 0: 5,000; UINT32_MAX: never */
    cnode_call_form form;
    /* ... or a name registered with `global`. A full node knows it, any other
     * asks `node` first, within the time. CN_ENOPROC: nobody has it. */
    const char *global;
} cnode_call_opts;
/* gen_server:call: cnode_call(p, &to, cb, data, "{left, ~b}", "tea").
 * CN_EBADARG: no server is given, or more than one. */
#define cnode_call(p, o, cb, data, ...)                                        \
    cnode_call_args((p), (o), (cb), (data), ETF_INS(__VA_ARGS__))
CN_API int cnode_call_args_sized(cnode_proc *p, const cnode_call_opts *o,
                                 size_t size, cnode_call_cb cb, void *data,
                                 const etf_in *in, size_t n);
static inline int cnode_call_args(cnode_proc *p, const cnode_call_opts *o,
                                  cnode_call_cb cb, void *data,
                                  const etf_in *in, size_t n) {
    return cnode_call_args_sized(p, o, sizeof *o, cb, data, in, n);
}
/* gen_server:cast; o->timeout_ms is not used. */
#define cnode_cast(p, o, ...) cnode_cast_args((p), (o), ETF_INS(__VA_ARGS__))
CN_API int cnode_cast_args_sized(cnode_proc *p, const cnode_call_opts *o,
                                 size_t size, const etf_in *in, size_t n);
static inline int cnode_cast_args(cnode_proc *p, const cnode_call_opts *o,
                                  const etf_in *in, size_t n) {
    return cnode_cast_args_sized(p, o, sizeof *o, in, n);
}

typedef struct cnode_rpc_opts {
    const char *node; /* NULL: this one */
    const char *module;
    const char *function;
    const etf_pid *group_leader; /* whom its output goes to; NULL: as that of
                                    the calling process */
    uint32_t timeout_ms;         /* 0: 5,000; UINT32_MAX: never */
    bool by_rex;                 /* rpc:call of old, through the server rex */
    bool block; /* rpc:block_call: rex does nothing else meanwhile */
} cnode_rpc_opts;
/* erpc:call; the arguments are a list: cnode_rpc(p, &o, cb, data, "[~i]", 1).
 * CN_EBADARG: they are not, or module or function is missing. When it times out
 * the function keeps running there, as in Erlang. */
#define cnode_rpc(p, o, cb, data, ...)                                         \
    cnode_rpc_args((p), (o), (cb), (data), ETF_INS(__VA_ARGS__))
CN_API int cnode_rpc_args_sized(cnode_proc *p, const cnode_rpc_opts *o,
                                size_t size, cnode_call_cb cb, void *data,
                                const etf_in *in, size_t n);
static inline int cnode_rpc_args(cnode_proc *p, const cnode_rpc_opts *o,
                                 cnode_call_cb cb, void *data, const etf_in *in,
                                 size_t n) {
    return cnode_rpc_args_sized(p, o, sizeof *o, cb, data, in, n);
}
/* erpc:cast: waits for nothing. */
#define cnode_rpc_cast(p, o, ...)                                              \
    cnode_rpc_cast_args((p), (o), ETF_INS(__VA_ARGS__))
CN_API int cnode_rpc_cast_args_sized(cnode_proc *p, const cnode_rpc_opts *o,
                                     size_t size, const etf_in *in, size_t n);
static inline int cnode_rpc_cast_args(cnode_proc *p, const cnode_rpc_opts *o,
                                      const etf_in *in, size_t n) {
    return cnode_rpc_cast_args_sized(p, o, sizeof *o, in, n);
}

/* What came of one node, in the order of the nodes; status and result as in
 * cnode_call_cb. A node that could not be asked at all has what the call for
 * one node would return. */
typedef struct cnode_many_result {
    const char *node;
    int status;
    etf_view result;
} cnode_many_result;
/* Runs exactly once, when all have answered or failed, unless the calling
 * process ends first. */
typedef void (*cnode_many_cb)(cnode_proc *p, const cnode_many_result *results,
                              size_t n, void *data);
/* erpc:multicall: the function on all the nodes at once, o->timeout_ms for all
 * of them together; o->node is not used. A node may be in the list twice. */
#define cnode_rpc_many(p, nodes, n, o, cb, data, ...)                          \
    cnode_rpc_many_args((p), (nodes), (n), (o), (cb), (data),                  \
                        ETF_INS(__VA_ARGS__))
CN_API int cnode_rpc_many_args_sized(cnode_proc *p, const char *const *nodes,
                                     size_t n, const cnode_rpc_opts *o,
                                     size_t size, cnode_many_cb cb, void *data,
                                     const etf_in *in, size_t count);
static inline int cnode_rpc_many_args(cnode_proc *p, const char *const *nodes,
                                      size_t n, const cnode_rpc_opts *o,
                                      cnode_many_cb cb, void *data,
                                      const etf_in *in, size_t count) {
    return cnode_rpc_many_args_sized(p, nodes, n, o, sizeof *o, cb, data, in,
                                     count);
}
/* gen_server:multi_call: the server o->server of each of the nodes. */
#define cnode_call_many(p, nodes, n, o, cb, data, ...)                         \
    cnode_call_many_args((p), (nodes), (n), (o), (cb), (data),                 \
                         ETF_INS(__VA_ARGS__))
CN_API int cnode_call_many_args_sized(cnode_proc *p, const char *const *nodes,
                                      size_t n, const cnode_call_opts *o,
                                      size_t size, cnode_many_cb cb, void *data,
                                      const etf_in *in, size_t count);
static inline int cnode_call_many_args(cnode_proc *p, const char *const *nodes,
                                       size_t n, const cnode_call_opts *o,
                                       cnode_many_cb cb, void *data,
                                       const etf_in *in, size_t count) {
    return cnode_call_many_args_sized(p, nodes, n, o, sizeof *o, cb, data, in,
                                      count);
}
/* rpc:sbcast: a message to the name on each of the nodes, and which have got
 * it: where nobody has the name it is CN_EREMOTE. It is sent there by
 * erlang:send, so hidden nodes can be asked, too. */
#define cnode_sbcast(p, nodes, n, name, timeout_ms, cb, data, ...)             \
    cnode_sbcast_args((p), (nodes), (n), (name), (timeout_ms), (cb), (data),   \
                      ETF_INS(__VA_ARGS__))
CN_API int cnode_sbcast_args(cnode_proc *p, const char *const *nodes, size_t n,
                             const char *name, uint32_t timeout_ms,
                             cnode_many_cb cb, void *data, const etf_in *in,
                             size_t count);
/* rpc:abcast: a message to the name on each of the nodes. All are tried; the
 * first error is returned. */
#define cnode_send_many(p, nodes, n, name, ...)                                \
    cnode_send_many_args((p), (nodes), (n), (name), ETF_INS(__VA_ARGS__))
CN_API int cnode_send_many_args(cnode_proc *p, const char *const *nodes,
                                size_t n, const char *name, const etf_in *in,
                                size_t count);
/* gen_server:abcast: a cast instead. */
#define cnode_cast_many(p, nodes, n, name, ...)                                \
    cnode_cast_many_args((p), (nodes), (n), (name), ETF_INS(__VA_ARGS__))
CN_API int cnode_cast_many_args(cnode_proc *p, const char *const *nodes,
                                size_t n, const char *name, const etf_in *in,
                                size_t count);

/* The same two for other threads: they wait for the answer, while the loop
 * runs in its own thread. They return what cnode_call_cb gets as its status.
 * result, an initialised writer or NULL, gets its result, behind what is in
 * it. CN_EBUG: this is the thread of the loop; CN_ECLOSED: the node is being
 * freed. cnode_error is not for other threads. */
#define cnode_call_wait(n, o, result, ...)                                     \
    cnode_call_wait_args((n), (o), (result), ETF_INS(__VA_ARGS__))
CN_API int cnode_call_wait_args_sized(cnode *n, const cnode_call_opts *o,
                                      size_t size, etf_writer *result,
                                      const etf_in *in, size_t count);
static inline int cnode_call_wait_args(cnode *n, const cnode_call_opts *o,
                                       etf_writer *result, const etf_in *in,
                                       size_t count) {
    return cnode_call_wait_args_sized(n, o, sizeof *o, result, in, count);
}
#define cnode_rpc_wait(n, o, result, ...)                                      \
    cnode_rpc_wait_args((n), (o), (result), ETF_INS(__VA_ARGS__))
CN_API int cnode_rpc_wait_args_sized(cnode *n, const cnode_rpc_opts *o,
                                     size_t size, etf_writer *result,
                                     const etf_in *in, size_t count);
static inline int cnode_rpc_wait_args(cnode *n, const cnode_rpc_opts *o,
                                      etf_writer *result, const etf_in *in,
                                      size_t count) {
    return cnode_rpc_wait_args_sized(n, o, sizeof *o, result, in, count);
}

/* Spawns on another node. result of cb is the pid; CN_ENOTSUP with an atom
 * when it was refused, such as badopt. With monitor, on_down comes with *ref,
 * which is also the alias, if one is asked for; ref may be NULL. When no
 * process was made only cb tells, not on_down or on_exit. When the calling
 * process ends before, the new one hears of it by the link, as in Erlang.
 * CN_EBADARG: the arguments or the options are no list. */
typedef struct cnode_spawn_opts {
    const char *node; /* NULL: this one */
    const char *module;
    const char *function;
    const etf_pid *group_leader;
    bool link;
    bool monitor;
    /* As in cnode_monitor_opts, for the monitor. */
    cnode_alias_mode alias;
    bool priority;
    etf_view tag;
    /* More options of erlang:spawn_opt, for the node that spawns, as a pattern
     * without holes: "[{priority, high}, {max_heap_size, 100000}]". */
    const char *options;
} cnode_spawn_opts;
#define cnode_spawn_remote(p, o, cb, data, ref, ...)                           \
    cnode_spawn_remote_args((p), (o), (cb), (data), (ref), ETF_INS(__VA_ARGS__))
CN_API int cnode_spawn_remote_args_sized(cnode_proc *p,
                                         const cnode_spawn_opts *o, size_t size,
                                         cnode_call_cb cb, void *data,
                                         etf_ref *ref, const etf_in *in,
                                         size_t n);
static inline int cnode_spawn_remote_args(cnode_proc *p,
                                          const cnode_spawn_opts *o,
                                          cnode_call_cb cb, void *data,
                                          etf_ref *ref, const etf_in *in,
                                          size_t n) {
    return cnode_spawn_remote_args_sized(p, o, sizeof *o, cb, data, ref, in, n);
}

/* --- functions for other nodes ------------------------------------------- */

/* What a function returns when its answer comes later, by cnode_return or
 * cnode_raise from a callback, or never: then its process goes on living with
 * what cnode_become gave it. */
#define CNODE_LATER 1

/* Runs in a process of its own, self, which ends with it. args is a proper
 * list of the exported arity. 0: what was put into result is the value. A
 * CN_E* code raises error:Reason: CN_EBADARG badarg, CN_ENOMEM system_limit,
 * any other the code's text as an atom. Or cnode_raise. */
typedef int (*cnode_function)(cnode_proc *self, etf_view args,
                              etf_writer *result, void *data);
/* Erlang may apply Module:Function/Arity with erpc, rpc and spawn. Applying
 * again replaces. */
CN_API int cnode_export(cnode *n, const char *module, const char *function,
                        uint8_t arity, cnode_function fn, void *data);
/* The value, later; ends self, which must not be used any more. When there is
 * no memory for it the caller gets system_limit as an error. An error
 * (CN_ESYNTAX, CN_EBADARG: the pattern) leaves self as it is. */
#define cnode_return(self, ...) cnode_return_args((self), ETF_INS(__VA_ARGS__))
CN_API int cnode_return_args(cnode_proc *self, const etf_in *in, size_t n);
typedef enum cnode_class { CNODE_ERROR, CNODE_EXIT, CNODE_THROW } cnode_class;
/* Raises instead. In the function itself: return cnode_raise(...). Later it
 * ends self as cnode_return does. */
#define cnode_raise(self, class, ...)                                          \
    cnode_raise_args((self), (class), ETF_INS(__VA_ARGS__))
CN_API int cnode_raise_args(cnode_proc *self, cnode_class c, const etf_in *in,
                            size_t n);

/* A function that works on, in this thread or another, may want to know when
 * nobody waits for its answer any more: the caller has timed out, has ended,
 * or is not connected. As in Erlang nothing else comes of that: it goes on
 * until it answers. */
/* Somebody waits for what self, the process of a function, comes to; never so
 * for a cast. */
CN_API bool cnode_wanted(const cnode_proc *self);
/* fn(self, arg), once, when that is over, unless self ends before. It may end
 * self. CN_ENOENT: nobody waits; CN_ENOMEM. */
CN_API int cnode_on_abandon(cnode_proc *self,
                            void (*fn)(cnode_proc *self, void *arg), void *arg);

/* An answer that comes later, from any thread: of a function, which returns
 * CNODE_LATER then, or (from not NULL) to a call that a server has received.
 * It must be completed or failed exactly once, whatever happens; that ends it.
 * Also when the process has ended meanwhile, or the node was freed; until then
 * the allocator of the node is needed. Who completes it allocates and frees
 * with that in its own thread, so one that is not the default must be safe for
 * use by several threads at once. CN_EBUG: from is NULL, and p is no function's
 * process; CN_ENOMEM. Thread of the loop.
 *
 *     static int factor(cnode_proc *self, etf_view args, etf_writer *out,
 *                       void *pool) {
 *         cnode_deferred *d;
 *         int err = cnode_defer(self, NULL, &d);
 *         return err != 0 ? err : (start(pool, args, d), CNODE_LATER);
 *     }
 */
typedef struct cnode_deferred cnode_deferred;
CN_API int cnode_defer(cnode_proc *p, const cnode_from *from,
                       cnode_deferred **out);
/* Somebody still waits for it, as far as this node knows. Any thread. */
CN_API bool cnode_deferred_wanted(cnode_deferred *d);
/* The answer, a pattern. Any thread. d is gone in any case. When the term
 * cannot be made (CN_ENOMEM, CN_ESYNTAX, CN_EBADARG) the caller gets
 * `system_limit` as an error; CN_ENOPROC: the process has ended; CN_ECLOSED:
 * the node has. */
#define cnode_complete(d, ...) cnode_complete_args((d), ETF_INS(__VA_ARGS__))
CN_API int cnode_complete_args(cnode_deferred *d, const etf_in *in, size_t n);
/* The same for an exception: a function raises it, a call is refused with it
 * (cnode_refuse), then the class does not matter. */
#define cnode_fail(d, class, ...)                                              \
    cnode_fail_args((d), (class), ETF_INS(__VA_ARGS__))
CN_API int cnode_fail_args(cnode_deferred *d, cnode_class c, const etf_in *in,
                           size_t n);

/* --- time ---------------------------------------------------------------- */

/* fn(p, arg) after so many milliseconds, unless p ends before; 0: in the next
 * turn of the loop. CN_ENOPROC: p has ended; CN_ENOMEM. */
CN_API int cnode_after(cnode_proc *p, uint32_t ms,
                       void (*fn)(cnode_proc *p, void *arg), void *arg);
/* Takes that back, of several with the same fn and arg the one that was asked
 * for first: fn is not called. False: there is none, or it has been called. To
 * find it takes as long as the process has timers. */
CN_API bool cnode_cancel_after(cnode_proc *p,
                               void (*fn)(cnode_proc *p, void *arg),
                               const void *arg);
/* Milliseconds of the loop's clock; only differences mean something. */
CN_API uint64_t cnode_now(const cnode *n);

#ifdef __cplusplus
}
#endif
#endif
