/* SPDX-License-Identifier: Apache-2.0
 *
 * io.h: input and output between nodes. Each process of a cluster has a group
 * leader: another process, to which it sends what it prints and which it asks
 * for what it reads. That may be one on this node, so that a C program is the
 * terminal of what it has spawned elsewhere; and C code may print on one that
 * is in Erlang. Log events follow the same way, in both directions.
 * https://www.erlang.org/doc/apps/stdlib/io_protocol.html
 *
 * Threads and callbacks are as in cnode.h: all here belongs to the thread of
 * the loop, except for the log hook of cnode_logger.
 */
#ifndef CNODE_IO_H
#define CNODE_IO_H

#include <cnode/cnode.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- text ---------------------------------------------------------------- */

typedef enum cnode_io_encoding {
    CNODE_IO_UNICODE, /* binaries are UTF-8 */
    CNODE_IO_LATIN1,  /* binaries are latin-1; what comes out is UTF-8 */
    CNODE_IO_BYTES    /* binaries and lists are bytes, which stay as they are */
} cnode_io_encoding;

/* Where text goes, piece by piece. */
typedef void (*cnode_io_sink)(void *ctx, const void *text, size_t len);

/* Chardata (characters, binaries, and lists of those in lists) as text.
 * Nothing is written unless all of it is good; put may be NULL, to ask only.
 * However deep the lists are, no memory is taken. A character alone as a tail
 * is taken, too. CN_ETYPE: it is none. */
CN_API int cnode_io_chars(etf_view chars, cnode_io_encoding e,
                          cnode_io_sink put, void *ctx);

/* What io_lib:format(Format, Args) makes, in UTF-8. Made here are ~c ~s ~p ~w
 * ~P ~W ~b ~B ~x ~X ~+ ~# ~e ~f ~g ~i ~n ~~ with field, precision and pad (also
 * as *), and the modifiers t l k K. Terms are printed by etf_format, which says
 * where that differs from Erlang: identifiers of processes, and the order of
 * maps. As in Erlang ~p breaks lines at column 80, unless that makes the text
 * of a deep term much longer. The depth of ~P and ~W is not looked at, all is
 * printed; ~lp is as ~w; k and K change nothing. CN_EBADARG: Erlang would
 * raise badarg; CN_ENOTSUP: ~b of an integer of more than 64 bits in a base
 * other than 10 and 16, or of more than 2 KiB in base 10; CN_ELIMIT: a field of
 * more than 64 KiB, or more text than 16 times the bytes of both and 1 MiB;
 * CN_ENOMEM. Then part of it may be written. alloc may be NULL. */
CN_API int cnode_io_lib_format(const cn_alloc *alloc, etf_view format,
                               etf_view args, cnode_io_sink put, void *ctx);

/* --- a group leader in C -------------------------------------------------
 *
 * A process that answers all requests of the I/O protocol, those without an
 * encoding of old too, one after the other in the order in which they came.
 * io:format sends a format and its arguments: they are made to text by the node
 * they come from, exactly as it would itself, while later requests wait; a node
 * that cannot (another one in C), or does not in format_ms, has it done here by
 * cnode_io_lib_format; one that was too late is not asked for the next minute.
 * Requests of io:read and io:fread, which are read by code of the sender, are
 * done in the same way. */

typedef struct cnode_io cnode_io;

/* Something to be written. */
typedef struct cnode_io_output {
    const char *text; /* UTF-8, not NUL-terminated; may be empty */
    size_t len;
    const char *peer;    /* the node it came from */
    const etf_pid *from; /* who waits until it is written */
    bool prompt;         /* of a request to read: input is wanted next */
} cnode_io_output;

typedef enum cnode_io_want {
    CNODE_IO_LINE,     /* up to a newline: io:get_line, IO.gets */
    CNODE_IO_COUNT,    /* so many characters: io:get_chars */
    CNODE_IO_PARSE,    /* lines, until the sender's code has enough: io:read */
    CNODE_IO_PASSWORD, /* a line that must not be seen: io:get_password */
    CNODE_IO_NOTHING   /* who asked has ended */
} cnode_io_want;

/* More input is wanted than was fed. */
typedef struct cnode_io_input {
    cnode_io_want want;
    uint64_t count; /* CNODE_IO_COUNT: characters that are missing */
    bool again;     /* what has been fed since was not enough */
    bool echo;      /* false: what is typed must not be seen */
    const char *peer;
    const etf_pid *from;
} cnode_io_input;

/* What reads are answered with, until io:setopts says something else. */
typedef enum cnode_io_binary {
    CNODE_IO_BINARY_AUTO, /* binaries when the prompt is one, as in Elixir, else
                             lists, as in Erlang */
    CNODE_IO_BINARY_NEVER,
    CNODE_IO_BINARY_ALWAYS
} cnode_io_binary;

/* on_output says this when the text is not written yet: cnode_io_done does. */
#define CNODE_IO_LATER 1

/* All may be left zero. */
typedef struct cnode_io_config {
    const char *name; /* to register under; NULL: none */
    /* 0: written; CNODE_IO_LATER: cnode_io_done will tell, and the next request
     * waits until then; a CN_E* code: who printed gets {error, Reason}, with
     * the code in lower case (CN_EIO: eio). NULL: all is dropped. */
    int (*on_output)(cnode_io *io, const cnode_io_output *o, void *data);
    /* Input is wanted: cnode_io_feed and cnode_io_eof give it, now or later.
     * NULL: there is none, {error, enotsup}. */
    void (*on_input)(cnode_io *io, const cnode_io_input *i, void *data);
    /* All that was asked for is answered. */
    void (*on_idle)(cnode_io *io, void *data);
    /* The process has ended, and io with it: also with the node. */
    void (*on_end)(void *data);
    void *data;
    cnode_io_binary binary;
    uint32_t columns; /* of the terminal; 0: not told */
    uint32_t rows;
    size_t max_queue;   /* most bytes of requests that wait; those above it get
                           {error, enomem}; 0: 64 MiB */
    size_t max_input;   /* most bytes fed and not read; 0: 1 MiB */
    uint32_t format_ms; /* how long the sender's node may take to format or to
                           parse; 0: 10,000 ms */
} cnode_io_config;

/* Makes one. *out lives until on_end. CN_EBADARG, CN_EEXIST: the name;
 * CN_ENOMEM. */
CN_API int cnode_io_start_sized(cnode_io **out, cnode *n,
                                const cnode_io_config *c, size_t size);
static inline int cnode_io_start(cnode_io **out, cnode *n,
                                 const cnode_io_config *c) {
    return cnode_io_start_sized(out, n, c, sizeof *c);
}
/* Ends it; who waits sees that it has ended. io must not be used any more,
 * on_end comes later. */
CN_API void cnode_io_stop(cnode_io *io);
/* To be the group_leader in cnode_rpc_opts and cnode_spawn_opts, and for
 * cnode_set_group_leader. */
CN_API etf_pid cnode_io_pid(const cnode_io *io);
/* Requests that are not answered yet; those in a list count as one. */
CN_API size_t cnode_io_waiting(const cnode_io *io);

/* The text of on_output has been written (0) or not (a CN_E* code). CN_ENOENT:
 * nothing waits for it. */
CN_API int cnode_io_done(cnode_io *io, int status);
/* Some of what is read, in UTF-8, whether or not it is wanted already; a
 * terminal feeds lines with their newlines. It is copied. CN_EBADARG: no
 * UTF-8; CN_ELIMIT: max_input; CN_ENOMEM. */
CN_API int cnode_io_feed(cnode_io *io, const char *text, size_t len);
/* The input ends behind all that was fed. What is wanted later asks again. */
CN_API void cnode_io_eof(cnode_io *io);
/* The size of the terminal. */
CN_API void cnode_io_resize(cnode_io *io, uint32_t columns, uint32_t rows);

/* --- printing on a group leader ------------------------------------------ */

/* Where to print. NULL, or all zero: the group leader of the process. */
typedef struct cnode_io_to {
    const etf_pid *pid;  /* a group leader ... */
    const char *name;    /* ... or the name of one, such as "user", ... */
    const char *node;    /* ... there; NULL: here */
    uint32_t timeout_ms; /* 0: 5,000; UINT32_MAX: never */
} cnode_io_to;

/* The answer, exactly once, unless the process that prints ends first. status
 * 0: reply is what came, `ok` for output. CN_EREMOTE: it was {error, Reason},
 * reply is the reason; CN_EEXITED: the group leader has ended, reply is why;
 * CN_ENOPROC: there is none; CN_ENOCONN: not reached; CN_ETIMEDOUT. reply is
 * empty where not said. */
typedef void (*cnode_io_cb)(cnode_proc *p, int status, etf_view reply,
                            void *data);

/* Prints text, which is UTF-8. What all processes of a node print on one group
 * leader arrives in the order of the calls; the group leader is monitored until
 * it answers. cb may be NULL. Errors as of cnode_send, and CN_EBADARG: no
 * UTF-8. */
CN_API int cnode_io_put(cnode_proc *p, const cnode_io_to *to, const char *text,
                        size_t len, cnode_io_cb cb, void *data);
/* io:format, by the group leader: the arguments are a list as a pattern:
 *     cnode_io_format(p, NULL, NULL, NULL, "~p of ~p~n", "[~i, ~t]", 1, term)
 */
#define cnode_io_format(p, to, cb, data, format, ...)                          \
    cnode_io_format_args((p), (to), (cb), (data), (format),                    \
                         ETF_INS(__VA_ARGS__))
CN_API int cnode_io_format_args(cnode_proc *p, const cnode_io_to *to,
                                cnode_io_cb cb, void *data, const char *format,
                                const etf_in *in, size_t n);
/* Any other request: "{get_line, unicode, ~b}". */
#define cnode_io_request(p, to, cb, data, ...)                                 \
    cnode_io_request_args((p), (to), (cb), (data), ETF_INS(__VA_ARGS__))
CN_API int cnode_io_request_args(cnode_proc *p, const cnode_io_to *to,
                                 cnode_io_cb cb, void *data, const etf_in *in,
                                 size_t n);

/* --- log events of other nodes -------------------------------------------
 *
 * logger, of Erlang and Elixir, sends the events of a process to the node of
 * its group leader. So those of processes whose group leader is here come here,
 * with the crashes of such processes, and to no log of their own node; they go
 * to on_log_event of cnode_config. Without it they are lines of the log of this
 * node, all in one line.
 * https://www.erlang.org/doc/apps/kernel/logger_chapter.html */

enum { CNODE_LOG_NAME = 256 }; /* longer ones are cut */

typedef struct cnode_log_event {
    const char *node;  /* it came from; what follows is what it says */
    cn_level level;    /* the nearest to: */
    char severity[16]; /* "emergency", "alert", "critical", "error", "warning",
                          "notice", "info" or "debug" */
    /* The message for a person to read, made here, also of reports: the node
     * that has trouble is not asked for it. UTF-8 with a NUL behind it, perhaps
     * of several lines; what could not be formatted is printed as the term it
     * is. Control characters are as they came. */
    const char *text;
    size_t len;
    int64_t time_us; /* since 1970; 0: not told */
    bool has_pid;
    etf_pid pid; /* of the process */
    char module[CNODE_LOG_NAME];
    char function[CNODE_LOG_NAME]; /* "": not told, as module and file */
    int arity;                     /* -1: not told */
    char file[CNODE_LOG_NAME];
    uint32_t line; /* 0: not told */
    /* As they came. */
    etf_view message; /* a string, a report, or the format */
    etf_view args;    /* of the format; empty: message is none */
    bool report;      /* message is a report: a map or a list of pairs */
    etf_view meta;    /* a map, or empty */
} cnode_log_event;

/* --- log lines for an Erlang node ----------------------------------------
 *
 * Sends the log of this program to the logger of a node, as events of level
 * error, warning, info or debug, for a program whose log is kept there:
 *
 *     cnode_logger_config log = {.node = "log@10.0.0.7"};
 *     cnode_logger_new(&logger, &log);
 *     config.log = cnode_logger_hook(logger, CN_LOG_INFO);
 *     cnode_new(&node, &config);
 *     cnode_logger_attach(logger, node);
 *     cnode_keep(node, "log@10.0.0.7", NULL);
 *     ...
 *     cnode_free(node);
 *     cnode_logger_free(logger);
 *
 * It never connects by itself: lines wait until the node is connected, in order
 * and up to max_lines; above it the newest are dropped, and an event tells how
 * many were. What sending a line makes the library log goes to `next` only, so
 * a line cannot cause another one. */

typedef struct cnode_logger cnode_logger;

typedef struct cnode_logger_config {
    const char *node;   /* whose logger gets them; must be given */
    const char *name;   /* a word for this program in each event; NULL: none */
    uint32_t max_lines; /* that wait; 0: 1,000 */
    cn_log next;        /* gets all lines as well; zero: nobody does */
    cn_alloc alloc;     /* zero: the default; used in all threads that log */
} cnode_logger_config;

/* CN_EBADARG: no node; CN_ENOMEM. */
CN_API int cnode_logger_new_sized(cnode_logger **out,
                                  const cnode_logger_config *c, size_t size);
static inline int cnode_logger_new(cnode_logger **out,
                                   const cnode_logger_config *c) {
    return cnode_logger_new_sized(out, c, sizeof *c);
}
/* The hook, for cnode_config.log and for the program's own lines. It may be
 * called from any thread. */
CN_API cn_log cnode_logger_hook(cnode_logger *l, cn_level level);
/* From here on lines go out, by a process of n. Once. CN_EBUG: twice, and the
 * errors of cnode_spawn. */
CN_API int cnode_logger_attach(cnode_logger *l, cnode *n);
/* Lines that were dropped so far. Any thread. */
CN_API uint64_t cnode_logger_dropped(const cnode_logger *l);
/* After cnode_free. NULL is allowed. */
CN_API void cnode_logger_free(cnode_logger *l);

#ifdef __cplusplus
}
#endif
#endif
