/* SPDX-License-Identifier: Apache-2.0
 *
 * epmd.h: the Erlang port mapper (EPMD), seen from a node: find the port of
 * a node, list the nodes of a host, register and stay registered; and the port
 * mapper itself.
 * https://www.erlang.org/doc/apps/erts/erl_dist_protocol.html#epmd-protocol
 *
 * Its parts, each usable without the ones below it:
 *   messages   requests and replies, to and from bytes
 *   client     one request and its reply as a state machine without I/O
 *   libuv      lookups, lists and a registration that comes back by itself
 *   server     EPMD itself as a state machine without I/O
 *   service    the same with sockets, over libuv
 *
 * Threads: nothing here has state of its own; an object belongs to one
 * thread at a time, and those of the libuv part to the thread of their loop.
 *
 * Errors: every int is 0 (or what the call says) or a negative CN_E* code.
 */
#ifndef EPMD_EPMD_H
#define EPMD_EPMD_H

#include <base/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EPMD_PORT 4369    /* where EPMD listens unless told otherwise */
#define EPMD_NAME_MAX 255 /* bytes of a node's name, without '@' and host */
#define EPMD_FIELD_MAX                                                         \
    1020 /* bytes of a name or an extra field in a message                     \
          */
#define EPMD_NAMES_MAX                                                         \
    (1024 * 1024) /* default bound of a NAMES reply, bytes                     \
                   */

/* --- messages ------------------------------------------------------------ */

/* Borrowed bytes. */
typedef struct epmd_view {
    const uint8_t *data;
    size_t len;
} epmd_view;

typedef enum epmd_op {
    EPMD_DUMP_REQ = 100, /* local clients only, as KILL and STOP */
    EPMD_KILL_REQ = 107,
    EPMD_NAMES_REQ = 110,
    EPMD_STOP_REQ = 115,
    EPMD_ALIVE2_X_RESP = 118,
    EPMD_PORT2_RESP = 119,
    EPMD_ALIVE2_REQ = 120,
    EPMD_ALIVE2_RESP = 121,
    EPMD_PORT2_REQ = 122
} epmd_op;

#define EPMD_NODE_NORMAL 77 /* 'M' */
#define EPMD_NODE_HIDDEN 72 /* 'H' */

/* What EPMD knows about a node. */
typedef struct epmd_node {
    uint16_t port;     /* where the node listens */
    uint8_t node_type; /* EPMD_NODE_*; informational */
    uint8_t protocol;  /* 0: TCP over IP */
    uint16_t highest;  /* versions of the distribution protocol */
    uint16_t lowest;
    epmd_view name;  /* 1 to EPMD_FIELD_MAX bytes, no NUL */
    epmd_view extra; /* 0 to EPMD_FIELD_MAX bytes, normally none */
} epmd_node;

typedef struct epmd_req {
    epmd_op op;     /* one of EPMD_*_REQ */
    epmd_node node; /* ALIVE2: all of it; PORT2 and STOP: only the name */
} epmd_req;

typedef struct epmd_alive2_reply {
    bool extended;     /* ALIVE2_X_RESP, for those who ask with highest >= 6 */
    uint8_t result;    /* 0: registered */
    uint32_t creation; /* 16 bits unless extended; below 4 on old servers */
} epmd_alive2_reply;

typedef struct epmd_port2_reply {
    uint8_t result; /* 0: found; else node is zero */
    epmd_node node;
} epmd_port2_reply;

#define EPMD_REQ_MAX (2 + 13 + 2 * EPMD_FIELD_MAX) /* with its length */
#define EPMD_REPLY_MAX (14 + 2 * EPMD_FIELD_MAX)   /* ALIVE2 and PORT2 */
#define EPMD_LINE_MAX (EPMD_FIELD_MAX + 32)        /* of a NAMES reply */

/* Writing: the message goes to out, and its size (> 0) is returned.
 * CN_ELIMIT: cap is too small or a field too long; CN_EBADARG: an unknown op,
 * an empty name, one with a NUL, or, to be registered, one that is not
 * UTF-8. */
CN_API int epmd_put_request(uint8_t *out, size_t cap, const epmd_req *r);
CN_API int epmd_put_alive2_reply(uint8_t *out, size_t cap,
                                 const epmd_alive2_reply *r);
CN_API int epmd_put_port2_reply(uint8_t *out, size_t cap,
                                const epmd_port2_reply *r);
/* A NAMES reply is the port EPMD itself listens on, as 32 bits, then a line
 * for each node, then the end of the connection. */
CN_API int epmd_put_names_port(uint8_t *out, size_t cap, uint16_t port);
CN_API int epmd_put_names_line(uint8_t *out, size_t cap, epmd_view name,
                               uint16_t port);

/* Reading: n bytes are there so far. Returns how many of them the message
 * took (> 0), 0 when it goes on beyond n, or CN_EPROTO as soon as it cannot
 * become a message any more. Views in *r point into in. A request that is
 * well-formed may still have a bad name: see epmd_name_ok. */
CN_API int epmd_get_request(const uint8_t *in, size_t n, epmd_req *r);
CN_API int epmd_get_alive2_reply(const uint8_t *in, size_t n,
                                 epmd_alive2_reply *r);
CN_API int epmd_get_port2_reply(const uint8_t *in, size_t n,
                                epmd_port2_reply *r);

/* Can this be registered: UTF-8, 1 to 255 characters, no NUL? */
CN_API bool epmd_name_ok(epmd_view name);

/* One line of a NAMES reply. */
typedef struct epmd_name {
    const char *name; /* borrowed from the text, not NUL-terminated; may hold
                       * any byte but a newline: the other side wrote it */
    size_t len;
    uint16_t port;
} epmd_name;

/* Takes the next line "name X at port N\n" off the text; lines that are
 * something else are passed over. False at the end. */
CN_API bool epmd_names_next(const char **text, size_t *len, epmd_name *out);

/* --- client: one exchange, without I/O ----------------------------------- */

/* Connect to EPMD by any means, then: write what _output lends, feed what is
 * read, pull with _next. Times are milliseconds of any monotonic clock.
 *
 * PORT2, NAMES, KILL, STOP and DUMP end with one event. ALIVE2 gives
 * EPMD_EV_ALIVE and goes on: the name is registered as long as the connection
 * stands, bytes that come are dropped, and when it ends _next says CN_ECLOSED.
 * After an error close the connection: EPMD keeps it open after refusing a
 * name. */
typedef struct epmd_client epmd_client;

typedef struct epmd_client_config {
    uint32_t timeout_ms;   /* from _new to the whole reply; 0: 10000 */
    size_t max_names;      /* bytes of NAMES text; 0: EPMD_NAMES_MAX */
    const cn_alloc *alloc; /* NULL: default; must outlive the client */
} epmd_client_config;

/* A node as PORT2 describes it. */
typedef struct epmd_port2 {
    uint16_t port;
    uint8_t node_type, protocol;
    uint16_t highest, lowest;
} epmd_port2;

typedef enum epmd_event_type {
    EPMD_EV_ALIVE = 1, /* registered: creation */
    EPMD_EV_PORT2,     /* found: port2 */
    EPMD_EV_NAMES,     /* the list: names, for epmd_names_next */
    EPMD_EV_TEXT       /* of KILL, STOP and DUMP: names has the whole answer */
} epmd_event_type;

typedef struct epmd_event {
    epmd_event_type type;
    union {
        uint32_t creation; /* as EPMD gave it */
        epmd_port2 port2;
        struct {
            const char *text; /* lent until epmd_client_free */
            size_t len;
        } names;
    } u;
} epmd_event;

/* The request is encoded before this returns. config may be NULL. The codes of
 * epmd_put_request, or CN_ENOMEM. */
CN_API int epmd_client_new(epmd_client **out, const epmd_req *request,
                           const epmd_client_config *config, uint64_t now);
CN_API void epmd_client_free(epmd_client *c); /* c may be NULL */

/* Bytes in. 0 or the error that _next will say too. */
CN_API int epmd_client_feed(epmd_client *c, const uint8_t *in, size_t n,
                            uint64_t now);
/* EPMD closed the connection: ends a NAMES reply, cuts any other. */
CN_API int epmd_client_eof(epmd_client *c);
/* 1: *ev is filled; 0: nothing new; < 0: the exchange is over:
 * CN_ENOENT (PORT2: name not registered), CN_EEXIST (ALIVE2: refused, name
 * in use), CN_EPROTO (malformed or cut), CN_ELIMIT (NAMES too long),
 * CN_ETIMEDOUT, CN_ECLOSED (see above), CN_ENOMEM. */
CN_API int epmd_client_next(epmd_client *c, epmd_event *ev);
/* Bytes to write, lent until the next call on c; 0: none. */
CN_API size_t epmd_client_output(const epmd_client *c, const uint8_t **out);
/* That many of them went out. */
CN_API void epmd_client_wrote(epmd_client *c, size_t n);
/* When to call _timeout; UINT64_MAX: never. */
CN_API uint64_t epmd_client_deadline(const epmd_client *c);
/* 0, or CN_ETIMEDOUT when the deadline has passed. */
CN_API int epmd_client_timeout(epmd_client *c, uint64_t now);
/* What went wrong; code is 0 when nothing did. Lent until _free. */
CN_API const cn_error *epmd_client_error(const epmd_client *c);

/* --- libuv --------------------------------------------------------------- */

/* Rules for all of this part:
 * - Call it on the thread of the loop only. A callback is never called from
 *   within the call that was given it. When a call fails, *out is untouched
 *   and the callback is never called.
 * - Closing and canceling are allowed at any time, in callbacks too.
 * - Strings are copied. Memory is freed when libuv has closed the handles, so
 *   the loop must run on until then; a name that is just being resolved by the
 *   operating system cannot be interrupted and delays that.
 * - What a callback is given is lent until it returns; err is never NULL.
 * - SIGPIPE is ignored from the first request on, unless the program has a
 *   handler for it: libuv's writes raise it. */
struct uv_loop_s;
struct sockaddr;

typedef struct epmd_config {
    const char *host;      /* NULL: loopback, 127.0.0.1 then ::1 */
    uint16_t port;         /* 0: epmd_default_port() */
    uint32_t timeout_ms;   /* of one attempt in all; 0: 10000 */
    const cn_alloc *alloc; /* NULL: default; must outlive the object */
    cn_log log;
} epmd_config;

/* $ERL_EPMD_PORT when it is a port number, else EPMD_PORT. */
CN_API uint16_t epmd_default_port(void);

/* A lookup or a list under way. It ends by itself after its callback; from
 * then on the pointer must not be used. */
typedef struct epmd_request epmd_request;

/* status 0: reply is what EPMD knows of the node, and addr the address a
 * dialler should connect to: the one at which EPMD answered, with the node's
 * port. Else reply and addr are NULL, err->text explains with whom and why,
 * and status is
 *   CN_EHOST      the host name cannot be resolved
 *   CN_EEPMD      EPMD cannot be connected to, or the connection broke
 *   CN_ENOENT     no node of that name is registered
 *   CN_ETIMEDOUT  no address, no connection or no answer in time
 *   CN_EPROTO     what answered is not an EPMD
 *   CN_ENOMEM */
typedef void (*epmd_lookup_cb)(void *data, int status, const cn_error *err,
                               const epmd_port2 *reply,
                               const struct sockaddr *addr);

/* Asks the EPMD on config->host for the port of a node (PORT2_REQ). name is
 * the part before '@'. c may be NULL. The addresses of the host are tried in
 * turn, IPv4 before IPv6: Erlang nodes listen on IPv4 unless told otherwise,
 * while EPMD listens on both.
 * cb is called exactly once, unless epmd_cancel comes first.
 * Returns 0, CN_EBADARG (name empty, with '@', not UTF-8), CN_ELIMIT (longer
 * than EPMD_NAME_MAX), CN_EHOST (host cannot be a host name), CN_ENOMEM. */
CN_API int epmd_lookup(epmd_request **out, struct uv_loop_s *loop,
                       const epmd_config *c, const char *name,
                       epmd_lookup_cb cb, void *data);

/* status 0: text has the lines for epmd_names_next. Else as above, or
 * CN_ELIMIT (more than EPMD_NAMES_MAX bytes). */
typedef void (*epmd_names_cb)(void *data, int status, const cn_error *err,
                              const char *text, size_t len);

/* Asks for all nodes registered on a host (NAMES_REQ); as epmd_lookup. */
CN_API int epmd_names(epmd_request **out, struct uv_loop_s *loop,
                      const epmd_config *c, epmd_names_cb cb, void *data);

/* Asks EPMD to end (EPMD_KILL_REQ), to close the connection of a node by name
 * (EPMD_STOP_REQ), or for all that it knows (EPMD_DUMP_REQ); name is NULL but
 * for STOP. The text is the whole answer: "OK" or "NO"; "STOPPED" or
 * "NOEXISTSTOPPED"; 32 bits and lines. Nothing: it is not allowed. Otherwise
 * as epmd_names; CN_EBADARG: another op. */
CN_API int epmd_ask(epmd_request **out, struct uv_loop_s *loop,
                    const epmd_config *c, epmd_op op, const char *name,
                    epmd_names_cb cb, void *data);

/* No callback any more. Harmless inside the request's own callback. */
CN_API void epmd_cancel(epmd_request *r);

/* Holds a registration: connects to EPMD, asks for the name (ALIVE2_REQ) and
 * keeps the connection. When EPMD is not there or goes away it tries again,
 * quickly once, then after 1 s, doubling up to 10 s, with jitter, always with
 * the same name and port. The creation is that of the first success for good,
 * because identifiers made with it are out in the cluster. */
typedef struct epmd_registration epmd_registration;

typedef struct epmd_alive {
    const char *name; /* the part before '@', at most EPMD_NAME_MAX bytes */
    uint16_t port;    /* where the node listens */
    bool hidden;
    epmd_config epmd; /* normally host NULL: EPMD takes local names only */
} epmd_alive;

/* Called whenever the state changes; err is never NULL:
 *   0         registered (again), with creation
 *   CN_EEXIST the name is taken. Final, unless it was ours before: then it
 *             goes on trying
 *   CN_EEPMD  EPMD is not there or went away; it goes on trying
 *   other     an attempt failed for that reason; it goes on trying */
typedef void (*epmd_alive_cb)(void *data, int status, const cn_error *err,
                              uint32_t creation);

/* 0 or the codes of epmd_lookup; CN_EBADARG, too: a is NULL. */
CN_API int epmd_register(epmd_registration **out, struct uv_loop_s *loop,
                         const epmd_alive *a, epmd_alive_cb cb, void *data);

/* Unregisters. The alive callback is not called any more; closed (may be
 * NULL) is, once, when nothing of the registration is left. EPMD forgets the
 * name when it sees the connection end, a moment later. */
CN_API void epmd_registration_close(epmd_registration *r,
                                    void (*closed)(void *data), void *data);

/* --- server: EPMD itself, without I/O ------------------------------------ */

/* Answers as OTP's epmd (25 to 29) does, byte for byte, and closes where that
 * closes:
 *   ALIVE2   local peers only. The name is registered as long as its
 *            connection stands and is silent: a byte more, and it is not. One
 *            that is taken, is longer than 255 characters or is not UTF-8 is
 *            refused (result 1, creation 99), on a connection that stays.
 *   PORT2    any peer; the name has 1 to 254 characters
 *   NAMES    any peer; the newest node first
 *   DUMP     local peers only; names that are remembered, too
 *   KILL     local peers only; "NO" while nodes are registered, unless relaxed
 *   STOP     local peers only, and only if relaxed: the node's connection is
 *            closed, "STOPPED"; of an unknown name "NOEXISTSTOPPED"
 * What is none of these closes the connection without an answer.
 *
 * Accept a connection and give it to _open; feed what is read; then, and after
 * _time, take what is to be done from epmd_server_next. Sessions belong to
 * their server: one thread at a time for all of them. */
typedef struct epmd_server epmd_server;
typedef struct epmd_session epmd_session;

/* Everything may be left zero but the port. */
typedef struct epmd_server_config {
    uint16_t port; /* the one it is reached at: Erlang's client drops a list
                      that tells another */
    bool relaxed;  /* -relaxed_command_check: STOP, and KILL with nodes */
    uint32_t packet_timeout_ms; /* for a request, from the connection to the
                                   last byte of its answer; 0: 60,000 */
    uint32_t delay_ms;          /* answers wait so long: a busy server; 0 */
    uint32_t max_old;           /* names remembered, see below; 0: 1,000 */
    uint32_t max_nodes;       /* names registered; one more is refused as if it
                                 were taken; 0: 65,536 */
    uint32_t max_clients;     /* connections that are not those of registered
                                 nodes. Of more, the oldest one of the peer address
                                 that has the most is closed; 0: 8,192 */
    uint32_t max_connections; /* of both kinds, for want of descriptors: a
                                 client's is closed for a new one, that of a
                                 node never; 0: as many as the others allow */
    size_t max_output;     /* bytes of lists that wait to be read. For more, the
                              client that has waited longest is closed; who asks
                              for a list that is longer than that is closed, and
                              the log tells; 0: 64 MiB */
    uint64_t seed;         /* anything that peers cannot guess */
    const cn_alloc *alloc; /* NULL: default; must outlive the server */
    cn_log log;
} epmd_server_config;

/* A name that is not registered any more is remembered, with its creation, so
 * that the next node of that name gets another one. A name that was never seen
 * gets one that begins with the time (or has that of the oldest remembered
 * one, if there are more than max_old). Clients that know version 5 only get 1
 * to 3. */

/* Who has connected. */
typedef struct epmd_peer {
    bool local; /* 127.0.0.0/8, ::1, or the address that it connected to */
    int fd;     /* only told in a DUMP */
    uint8_t address[16]; /* IPv6, or IPv4 as ::ffff:a.b.c.d */
    char text[64];       /* for the log */
} epmd_peer;

/* 0 or CN_ENOMEM. config may be NULL. */
CN_API int epmd_server_new(epmd_server **out, const epmd_server_config *config);
/* With all its sessions; s may be NULL. */
CN_API void epmd_server_free(epmd_server *s);

/* It is now: milliseconds of any monotonic clock, and seconds since 1970. To
 * be told before anything else, and whenever the deadline has come. */
CN_API void epmd_server_time(epmd_server *s, uint64_t now, uint32_t unix_s);
/* UINT64_MAX: none. */
CN_API uint64_t epmd_server_deadline(const epmd_server *s);

/* A connection. CN_ELIMIT: there are max_connections, all of nodes; CN_ENOMEM;
 * with either, close it. */
CN_API int epmd_server_open(epmd_server *s, epmd_session **out,
                            const epmd_peer *peer, void *data);
/* The descriptors are used up: closes one client's connection, as above.
 * False: there is none. */
CN_API bool epmd_server_make_room(epmd_server *s);
/* A session that has output, or is over; each is returned once for that. NULL:
 * no more. */
CN_API epmd_session *epmd_server_next(epmd_server *s);
/* A KILL was allowed, and its answer has been written: end now. */
CN_API bool epmd_server_killed(const epmd_server *s);
/* How many nodes are registered. */
CN_API size_t epmd_server_count(const epmd_server *s);

CN_API void *epmd_session_data(const epmd_session *x);
/* How many bytes OTP's epmd would read now, at most; 0: none, it does not
 * read. Who does the same leaves to the system what it does with data behind
 * a request. */
CN_API size_t epmd_session_wants(const epmd_session *x);
/* Bytes in: any number. */
CN_API void epmd_session_feed(epmd_session *x, const uint8_t *in, size_t n);
/* The peer has closed its side; what it has asked for is still answered. */
CN_API void epmd_session_eof(epmd_session *x);
/* The connection is broken: nothing can be written any more. */
CN_API void epmd_session_broke(epmd_session *x);
/* Bytes to write, lent until _wrote has taken the last of them, or _free;
 * 0: none. */
CN_API size_t epmd_session_output(const epmd_session *x, const uint8_t **out);
CN_API void epmd_session_wrote(epmd_session *x, size_t n);
/* Close the connection, then free the session. */
CN_API bool epmd_session_over(const epmd_session *x);
/* At any time; gives up its name if it has one. */
CN_API void epmd_session_free(epmd_session *x);

/* --- service: EPMD over libuv -------------------------------------------- */

/* The rules of the libuv part above hold here as well. */
typedef struct epmd_service epmd_service;

typedef struct epmd_service_config {
    const char *addresses;     /* IPv4 and IPv6 in digits, between commas or
                                  blanks; loopback is added, 16 in all. NULL or
                                  none: all of both kinds */
    uint16_t port;             /* 0: epmd_default_port() */
    bool any_port;             /* with port 0: any that is free */
    epmd_server_config server; /* port and seed are filled in. max_connections
                                  0: what the limit of descriptors allows */
} epmd_service_config;

/* A KILL was allowed: it serves no more, and all connections are closed. It is
 * still to be closed itself. */
typedef void (*epmd_service_cb)(void *data);

/* Serves from now on. config may be NULL. What is wrong is also in *error,
 * which may be NULL: CN_EEXIST (somebody listens at that port already),
 * CN_EBADARG (addresses), CN_ELIMIT (more than 16), CN_EIO (another error of
 * the system), CN_ENOMEM. */
CN_API int epmd_serve(epmd_service **out, struct uv_loop_s *loop,
                      const epmd_service_config *config,
                      epmd_service_cb on_killed, void *data, cn_error *error);
CN_API uint16_t epmd_service_port(const epmd_service *s);
/* How many nodes are registered. */
CN_API size_t epmd_service_count(const epmd_service *s);
/* closed (may be NULL) is called once when nothing of it is left. */
CN_API void epmd_service_close(epmd_service *s, void (*closed)(void *data),
                               void *data);

#ifdef __cplusplus
}
#endif
#endif
