/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_link.h: one exchange with the EPMD of a host over libuv, which can be
 * repeated (internal). What a lookup and a registration have in common.
 */
#ifndef EPMD_UV_LINK_H
#define EPMD_UV_LINK_H

#include <uv.h>

#include "epmd/epmd.h"

enum { EPMD__ADDRS = 8, EPMD__READ_SIZE = 4096 };

typedef enum epmd__link_state {
    EPMD__IDLE,       /* may be started; the timer may run for on_wake */
    EPMD__RESOLVING,  /* waits for the addresses of the host */
    EPMD__CONNECTING, /* to addrs[at], or closing that to try the next */
    EPMD__TALKING,    /* the client decides */
    EPMD__ENDING,     /* err is set, the socket is being closed */
    EPMD__CLOSING
} epmd__link_state;

typedef struct epmd__link epmd__link;
typedef struct epmd__resolve epmd__resolve;

/* Only ever called from the loop. Each may close the link. */
typedef struct epmd__link_ops {
    void (*on_event)(epmd__link *l, const epmd_event *ev);
    /* The exchange failed or its connection ended; idle again. */
    void (*on_end)(epmd__link *l, const cn_error *err);
    void (*on_wake)(epmd__link *l);
    /* After epmd__link_close: libuv holds nothing of it any more, so that it
     * can be freed. */
    void (*on_closed)(epmd__link *l);
} epmd__link_ops;

struct epmd__link {
    uv_loop_t *loop;
    cn_alloc allocator; /* a copy: closing may outlast who made it */
    const cn_alloc *alloc;
    const epmd__link_ops *ops;
    cn_log log;
    char *host; /* NULL: loopback */
    uint16_t port;
    uint32_t timeout_ms;
    epmd__link_state state;
    unsigned held; /* handles and requests that libuv has */
    bool has_timer;
    bool has_tcp;
    uv_timer_t timer;
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    epmd__resolve *resolve; /* the one whose answer is awaited */
    struct sockaddr_storage addrs[EPMD__ADDRS];
    size_t n_addrs, at;
    epmd_client *client;
    cn_error err; /* of this attempt: the first thing that went wrong */
    char in[EPMD__READ_SIZE];
};

/* libuv writes to sockets without MSG_NOSIGNAL: a peer that closes would end
 * the program. Ignores SIGPIPE unless the program has a handler for it. */
void epmd__ignore_sigpipe(void);

/* A socket that listens there; negative: an error of libuv's. Not libuv's own
 * bind, which puts off to tell that a port is in use. An IPv6 address takes
 * IPv4 as well unless only_six. */
int epmd__listen_at(const struct sockaddr_storage *a, bool only_six,
                    int backlog);

/* 0, CN_EBADARG or CN_ELIMIT. */
int epmd__check_name(const char *name);

/* l is zeroed memory of the owner. Nothing is held by libuv until a start
 * succeeds; until then epmd__link_free gives everything back. */
int epmd__link_init(epmd__link *l, uv_loop_t *loop, const epmd_config *c,
                    const epmd__link_ops *ops);
void epmd__link_free(epmd__link *l);
/* From idle. On failure the link stays idle. */
int epmd__link_start(epmd__link *l, const epmd_req *request);
/* From idle, after a start: on_wake in ms. Nothing when closing. */
void epmd__link_sleep(epmd__link *l, uint64_t ms);
/* After a start. Any number of times; on_closed comes once. */
void epmd__link_close(epmd__link *l);
/* The address that is, or was last, talked to. */
const struct sockaddr_storage *epmd__link_peer(const epmd__link *l);

#endif
