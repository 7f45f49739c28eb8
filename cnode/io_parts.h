/* SPDX-License-Identifier: Apache-2.0
 *
 * io_parts.h: what the files of io.h share (internal).
 *
 *   io.c        group leaders: the queue of requests and their answers
 *   io_input.c  what is read: the text that was fed, and what is taken from it
 *   io_chars.c  chardata as text
 *   io_format.c io_lib:format
 *   io_put.c    printing on other group leaders
 *   io_event.c  log events of other nodes
 *   uv_logger.c log lines for another node
 */
#ifndef CNODE_IO_PARTS_H
#define CNODE_IO_PARTS_H

#include "cnode/io.h"
#include "cnode/node.h"

/* --- io_chars.c --- */
/* cnode_io_chars, and of an atom its text. */
int cnode__io_text(etf_view term, cnode_io_encoding e, cnode_io_sink put,
                   void *ctx);
/* A text that grows. */
typedef struct cnode__text {
    cn_buf buf;
    bool failed; /* out of memory */
} cnode__text;
void cnode__text_init(cnode__text *t, const cn_alloc *alloc);
void cnode__text_free(cnode__text *t);
/* A sink: ctx is the cnode__text. */
void cnode__text_put(void *ctx, const void *text, size_t len);
/* The bytes that are in it. */
static inline etf_view cnode__text_view(const cnode__text *t) {
    return etf_view_of(cn__buf_at(&t->buf), cn__buf_size(&t->buf));
}

/* --- io.c --- */
/* What a group leader is waiting for. */
typedef enum cnode__io_phase {
    IO_IDLE,
    IO_FORMATTING, /* text, from the sender's node */
    IO_WRITING,    /* the program, to have written it */
    IO_PROMPTING,  /* ... a prompt */
    IO_READING,    /* input */
    IO_PARSING     /* the sender's node, to read it */
} cnode__io_phase;

/* {io_request, From, ReplyAs, Request} */
typedef struct cnode__io_request {
    struct cnode__io_request *next;
    size_t len;
    uint8_t bytes[]; /* the message, and behind it the name of the peer */
} cnode__io_request;

/* A request to read that is at work. Views are into the message. */
typedef struct cnode__io_read {
    cnode_io_want want;
    uint64_t count;
    bool latin1;
    bool binary;
    bool again;
    bool watched; /* by this monitor */
    etf_ref watch;
    etf_view prompt;
    etf_view mod, fun, args; /* CNODE_IO_PARSE */
    etf_view more;           /* its continuation, a copy; empty: [] */
    size_t given;            /* bytes of input that it looks at; 0: the end */
} cnode__io_read;

enum { CNODE__IO_SLOW = 32 };

struct cnode_io {
    cnode_io_config config;
    cnode *node;
    cnode_proc *proc;
    cnode__io_request *first, **last;
    size_t queued;  /* bytes */
    size_t waiting; /* requests */
    cnode__io_phase phase;
    bool stepping;
    bool busy; /* something was asked for since on_idle */
    bool done; /* cnode_io_done was called ... */
    int done_status;
    cnode__timer tick; /* the program has done something */
    /* the first request */
    bool open;
    const char *peer;
    etf_pid from;
    etf_view reply_as;
    etf_view now; /* the one at work; empty: the next of the list */
    etf_reader list;
    uint32_t left; /* in {requests, [...]} */
    /* what is formatted */
    bool latin1;
    etf_view mod, fun, args;
    cnode__io_read read;
    cn_buf input; /* fed and not read */
    bool eof;     /* behind it */
    bool no_echo;
    bool latin1_set;   /* setopts, for getopts */
    size_t lines;      /* user: of the first request, for the log */
    struct {           /* nodes that did not format in time, see io.c */
        uint64_t node; /* a hash of its name */
        uint64_t until;
    } slow[CNODE__IO_SLOW];
    size_t next_slow;
};

/* The one at work is answered, by a pattern or a term. */
void cnode__io_answer(cnode_io *io, const char *pattern);
void cnode__io_answer_term(cnode_io *io, etf_view term);
/* Nobody waits for the answer any more. */
void cnode__io_drop(cnode_io *io);
/* Shows text to the program. True: it is done, with *status; false: later. */
bool cnode__io_show(cnode_io *io, cnode__io_phase later, etf_view text,
                    int *status);
/* Goes on, in the next turn of the loop. */
void cnode__io_soon(cnode_io *io);
void cnode__io_step(cnode_io *io);
/* Has the sender's node apply a function; 0 or CN_E*. */
int cnode__io_ask(cnode_io *io, cnode__io_phase phase, etf_view mod,
                  etf_view fun, etf_view args, cnode_call_cb cb);
/* That is why it, or this node, did not do it. */
bool cnode__io_short_of_memory(int status, etf_view result);
/* A pattern for a code; the buffer is for it. */
enum { CNODE__IO_ERROR = 40 };
const char *cnode__io_error(int code, char out[CNODE__IO_ERROR]);

/* The process `user`, whose output goes to config.on_output or the log. */
int cnode__user(cnode *n);

/* --- io_input.c --- */
/* Begins a request to read; prompt and the rest are views of it. */
void cnode__io_begin_read(cnode_io *io, const cnode__io_read *r);
/* Its prompt was written. */
void cnode__io_prompted(cnode_io *io, int status);
/* There may be enough input now. */
void cnode__io_try_read(cnode_io *io);
void cnode__io_down(cnode_proc *p, const cnode_down *d, void *data);

/* --- io_event.c --- */
/* The process `logger_proxy`. */
int cnode__logger_proxy(cnode *n);

#endif
