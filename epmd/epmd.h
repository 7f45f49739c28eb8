/* SPDX-License-Identifier: Apache-2.0
 *
 * epmd.h: the Erlang port mapper (EPMD), seen from a node: find the port of
 * a node, list the nodes of a host, register and stay registered.
 * https://www.erlang.org/doc/apps/erts/erl_dist_protocol.html#epmd-protocol
 *
 * Three parts, each usable without the ones below it:
 *   messages   requests and replies, to and from bytes
 *   client     one request and its reply as a state machine without I/O
 *   libuv      lookups, lists and a registration that comes back by itself
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
 * PORT2 and NAMES end with one event. ALIVE2 gives EPMD_EV_ALIVE and goes on:
 * the name is registered as long as the connection stands, bytes that come
 * are dropped, and when it ends _next says CN_ECLOSED. After an error close
 * the connection: EPMD keeps it open after refusing a name. */
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
    EPMD_EV_NAMES      /* the list: names, for epmd_names_next */
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

/* The request, ALIVE2, PORT2 or NAMES, is encoded before this returns. config
 * may be NULL. The codes of epmd_put_request, or CN_ENOMEM. */
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

/* 0 or the codes of epmd_lookup. */
CN_API int epmd_register(epmd_registration **out, struct uv_loop_s *loop,
                         const epmd_alive *a, epmd_alive_cb cb, void *data);

/* Unregisters. The alive callback is not called any more; closed (may be
 * NULL) is, once, when nothing of the registration is left. EPMD forgets the
 * name when it sees the connection end, a moment later. */
CN_API void epmd_registration_close(epmd_registration *r,
                                    void (*closed)(void *data), void *data);

#ifdef __cplusplus
}
#endif
#endif
