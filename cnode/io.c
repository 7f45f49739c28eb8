/* SPDX-License-Identifier: Apache-2.0
 *
 * io.c: a process that is a group leader. What comes is kept in a queue, and
 * the first request is at work until it is answered; only one that waits, for
 * the program or for the sender's node, leaves the loop that goes through them.
 * {requests, [...]} is walked where it stands; such a list in a list is none.
 * https://www.erlang.org/doc/apps/stdlib/io_protocol.html
 */
#include <stdio.h>
#include <string.h>

#include "cnode/io_parts.h"
#include "cnode/sized.h"

enum {
    MAX_QUEUE = 64 << 20,
    MAX_INPUT = 1 << 20,
    FORMAT_MS = 10000,
    LINE_MOST = 800,   /* user: lines of a log are short */
    LINES_MOST = 1000, /* ... of one request */
    SLOW_MS = 60000
};

static const char ok[] = "ok";
static const char error_request[] = "{error, request}";
static const char error_enotsup[] = "{error, enotsup}";
static const char error_chars[] = "{error, put_chars}";

/* --- the queue ----------------------------------------------------------- */

static size_t size_of(size_t len, const char *peer) {
    return sizeof(cnode__io_request) + len + strlen(peer) + 1;
}

static const char *peer_of(const cnode__io_request *q) {
    return (const char *)q->bytes + q->len;
}

/* A request, which may be a list of them, is over. */
static void tell_left_out(cnode_io *io) {
    if (io->lines > LINES_MOST)
        cn__log(&io->node->config.log, CN_LOG_WARN, "user",
                "%s: %zu more lines were left out", io->peer,
                io->lines - LINES_MOST);
    io->lines = 0;
}

static void pop(cnode_io *io) {
    cnode__io_request *q = io->first;
    size_t size = size_of(q->len, peer_of(q));

    tell_left_out(io);
    io->first = q->next;
    if (io->first == NULL)
        io->last = &io->first;
    io->queued -= size;
    io->waiting--;
    io->open = false;
    cn__free(&io->node->alloc, q, size, 1);
}

static int push(cnode_io *io, etf_view message, const char *peer) {
    size_t size = size_of(message.len, peer);
    cnode__io_request *q;

    if (size > io->config.max_queue - io->queued)
        return CN_EBUSY;
    q = cn__calloc(&io->node->alloc, size, 1);
    if (q == NULL)
        return CN_ENOMEM;
    q->len = message.len;
    memcpy(q->bytes, message.data, message.len);
    memcpy(q->bytes + message.len, peer, strlen(peer) + 1);
    *io->last = q;
    io->last = &q->next;
    io->queued += size;
    io->waiting++;
    io->busy = true;
    return 0;
}

/* It was a request when it came. */
static void open_first(cnode_io *io) {
    const cnode__io_request *q = io->first;
    etf_view list;

    (void)etf_match(etf_view_of(q->bytes, q->len), "{io_request, ~p, ~t, ~t}",
                    &io->from, &io->reply_as, &io->now);
    io->peer = peer_of(q);
    io->open = true;
    io->left = 0;
    if (etf_match(io->now, "{requests, ~t}", &list) != 0)
        return;
    etf_reader_init(&io->list, list);
    io->left = etf_get_list(&io->list);
    io->now = (etf_view){NULL, 0};
}

/* --- answers ------------------------------------------------------------- */

const char *cnode__io_error(int code, char out[CNODE__IO_ERROR]) {
    const char *name = cn_errname(code) + strlen("CN_");
    size_t at = (size_t)snprintf(out, CNODE__IO_ERROR, "{error, ");

    for (; *name != '\0' && at < CNODE__IO_ERROR - 2; name++)
        out[at++] = *name >= 'A' && *name <= 'Z' ? (char)(*name + 32) : *name;
    memcpy(out + at, "}", 2);
    return out;
}

static bool is_error(etf_view term) {
    etf_view reason;
    return etf_match(term, "{error, ~t}", &reason) == 0;
}

/* A node that is gone is not connected to again for it. */
static void reply(cnode_io *io, etf_view term) {
    cnode *n = io->node;

    if (cnode__pid_is_of(&io->from, io->peer) &&
        strcmp(io->peer, n->name) != 0 && !cnode_connected(n, io->peer))
        return;
    cnode__answered(n, io->from.node,
                    cnode_send(io->proc, &io->from, "{io_reply, ~t, ~t}",
                               io->reply_as, term));
}

/* Goes on with the next of {requests, [...]}, which an error ends. */
void cnode__io_answer_term(cnode_io *io, etf_view term) {
    io->phase = IO_IDLE;
    if (io->left > 0 && !is_error(term)) {
        io->now = (etf_view){NULL, 0};
        return;
    }
    reply(io, term);
    pop(io);
}

void cnode__io_drop(cnode_io *io) {
    io->phase = IO_IDLE;
    pop(io);
}

void cnode__io_answer(cnode_io *io, const char *pattern) {
    uint8_t room[128];
    etf_writer w;
    etf_view term = {NULL, 0};

    etf_writer_init_fixed(&w, room, sizeof room);
    (void)etf_pack(&w, pattern);
    (void)etf_writer_finish(&w, &term);
    cnode__io_answer_term(io, term);
}

static void answer_status(cnode_io *io, int status) {
    char text[CNODE__IO_ERROR];

    cnode__io_answer(io, status == 0 ? ok : cnode__io_error(status, text));
}

/* --- output -------------------------------------------------------------- */

/* The phase is set first, for the program may be done before it returns. */
bool cnode__io_show(cnode_io *io, cnode__io_phase later, etf_view text,
                    int *status) {
    const cnode_io_output o = {.text = (const char *)text.data,
                               .len = text.len,
                               .peer = io->peer,
                               .from = &io->from,
                               .prompt = later == IO_PROMPTING};

    *status = 0;
    if (io->config.on_output == NULL)
        return true;
    io->phase = later;
    io->done = false;
    *status = io->config.on_output(io, &o, io->config.data);
    return *status != CNODE_IO_LATER;
}

static void show(cnode_io *io, etf_view text) {
    int status;

    if (cnode__io_show(io, IO_WRITING, text, &status))
        answer_status(io, status);
}

static void put_chars(cnode_io *io, etf_view chars, bool latin1) {
    cnode_io_encoding e = latin1 ? CNODE_IO_LATIN1 : CNODE_IO_UNICODE;
    cnode__text text;
    etf_reader r;
    etf_view bytes;

    if (cnode_io_chars(chars, e, NULL, NULL) != 0) {
        cnode__io_answer(io, error_chars);
        return;
    }
    etf_reader_init(&r, chars);
    if (!latin1 && etf_peek(&r) == ETF_BINARY) {
        bytes = etf_get_binary(&r);
        show(io, bytes);
        return;
    }
    cnode__text_init(&text, &io->node->alloc);
    (void)cnode_io_chars(chars, e, cnode__text_put, &text);
    if (text.failed)
        answer_status(io, CN_ENOMEM);
    else
        show(io, cnode__text_view(&text));
    cnode__text_free(&text);
}

/* --- nodes that do not format -------------------------------------------- */

/* Requests are served one after the other, so a node that does not do its part
 * in time would hold up all others once for each of its own. For a while it is
 * not asked again. */
static uint64_t hash_of(const char *name) {
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

    for (; *name != '\0'; name++)
        h = (h ^ (uint8_t)*name) * UINT64_C(1099511628211);
    return h;
}

static bool is_slow(const cnode_io *io) {
    uint64_t hash = hash_of(io->peer), now = cnode__now(io->node);

    for (size_t i = 0; i < CNODE__IO_SLOW; i++)
        if (io->slow[i].until > now && io->slow[i].node == hash)
            return true;
    return false;
}

/* In the place of the one that was noted first. */
static void note_slow(cnode_io *io) {
    io->slow[io->next_slow].node = hash_of(io->peer);
    io->slow[io->next_slow].until = cnode__now(io->node) + SLOW_MS;
    io->next_slow = (io->next_slow + 1) % CNODE__IO_SLOW;
    cn__log(&io->node->config.log, CN_LOG_WARN, "io",
            "%s did not format its output in time; for %d s it is done here",
            io->peer, SLOW_MS / 1000);
}

/* --- formats ------------------------------------------------------------- */

/* On the node that the request came from: nobody can make this one ask
 * another. */
int cnode__io_ask(cnode_io *io, cnode__io_phase phase, etf_view mod,
                  etf_view fun, etf_view args, cnode_call_cb cb) {
    char m[CNODE__ATOM_TEXT], f[CNODE__ATOM_TEXT];
    etf_pid self = cnode_self(io->proc);
    const cnode_rpc_opts to = {.node = io->peer,
                               .module = m,
                               .function = f,
                               .group_leader = &self,
                               .timeout_ms = io->config.format_ms};

    int err = CN_EBADARG;

    if (cnode__string_of(mod, m, sizeof m) &&
        cnode__string_of(fun, f, sizeof f))
        err = cnode_rpc(io->proc, &to, cb, io, "~t", args);
    if (err == 0)
        io->phase = phase;
    return err;
}

bool cnode__io_short_of_memory(int status, etf_view result) {
    return status == CN_ENOMEM || etf_match(result, "system_limit") == 0 ||
           etf_match(result, "{error, system_limit, _}") == 0;
}

/* The functions of io_lib that io uses, without the help of Erlang. */
static int format_here(const cnode_io *io, cnode__text *out) {
    static const uint8_t write[] = {107, 0, 2, '~', 'w'};
    etf_view form, args;

    if (!etf_view_is(io->mod, "io_lib"))
        return CN_ENOTSUP;
    if ((etf_view_is(io->fun, "format") || etf_view_is(io->fun, "fwrite")) &&
        etf_match(io->args, "[~t, ~t]", &form, &args) == 0)
        return cnode_io_lib_format(&io->node->alloc, form, args,
                                   cnode__text_put, out);
    if (etf_view_is(io->fun, "write") && etf_match(io->args, "[_]") == 0)
        return cnode_io_lib_format(&io->node->alloc,
                                   etf_view_of(write, sizeof write), io->args,
                                   cnode__text_put, out);
    return CN_ENOTSUP;
}

static void show_formatted_here(cnode_io *io) {
    cnode__text text;
    int err;

    cnode__text_init(&text, &io->node->alloc);
    err = format_here(io, &text);
    if (err == CN_ENOMEM || text.failed)
        answer_status(io, CN_ENOMEM);
    else if (err != 0)
        cnode__io_answer(io, error_chars);
    else
        show(io, cnode__text_view(&text));
    cnode__text_free(&text);
}

/* The function has raised: not because the node does not have it. */
static bool raised(int status, etf_view result) {
    return status == CN_EREMOTE && etf_match(result, "{error, undef, _}") != 0;
}

static void on_formatted(cnode_proc *p, int status, etf_view result,
                         void *data) {
    cnode_io *io = data;

    (void)p;
    if (status == CN_ETIMEDOUT)
        note_slow(io);
    if (status == 0)
        put_chars(io, result, io->latin1);
    else if (cnode__io_short_of_memory(status, result))
        answer_status(io, CN_ENOMEM);
    else if (raised(status, result))
        cnode__io_answer(io, error_chars);
    else
        show_formatted_here(io);
    cnode__io_step(io);
}

static void format(cnode_io *io, bool latin1, etf_view mod, etf_view fun,
                   etf_view args) {
    int err;

    io->latin1 = latin1;
    io->mod = mod;
    io->fun = fun;
    io->args = args;
    if (io->config.on_output == NULL) {
        cnode__io_answer(io, ok);
        return;
    }
    err = is_slow(io)
              ? CN_ETIMEDOUT
              : cnode__io_ask(io, IO_FORMATTING, mod, fun, args, on_formatted);
    if (err == CN_ENOMEM)
        answer_status(io, err);
    else if (err != 0)
        show_formatted_here(io);
}

/* --- options ------------------------------------------------------------- */

static bool flag_of(etf_view option, const char *name, bool *out) {
    etf_view key;
    etf_reader r;
    etf_view value;

    if (etf_match(option, "{~a, ~t}", &key, &value) == 0) {
        if (!etf_view_is(key, name))
            return false;
        etf_reader_init(&r, value);
        *out = etf_get_bool(&r);
        return etf_reader_finish(&r) == 0;
    }
    *out = true;
    return etf_match(option, "~a", &key) == 0 && etf_view_is(key, name);
}

/* One of io:setopts: true when it is one. */
static bool set_option(cnode_io *io, etf_view option) {
    etf_view encoding;
    bool on;

    if (flag_of(option, "list", &on) || flag_of(option, "binary", &on)) {
        if (flag_of(option, "list", &on))
            on = !on;
        io->config.binary = on ? CNODE_IO_BINARY_ALWAYS : CNODE_IO_BINARY_NEVER;
        return true;
    }
    if (flag_of(option, "echo", &on)) {
        io->no_echo = !on;
        return true;
    }
    if (etf_match(option, "{encoding, ~a}", &encoding) != 0)
        return false;
    io->latin1_set = etf_view_is(encoding, "latin1");
    return io->latin1_set || etf_view_is(encoding, "unicode") ||
           etf_view_is(encoding, "utf8");
}

/* All of them, or none. */
static void set_options(cnode_io *io, etf_view options) {
    const cnode_io_binary binary = io->config.binary;
    const bool no_echo = io->no_echo, latin1 = io->latin1_set;
    bool good = true;
    etf_reader r;

    etf_reader_init(&r, options);
    for (uint32_t n = etf_get_list(&r); n > 0 && good; n--) {
        etf_view option = etf_get_term(&r);
        good = etf_reader_finish(&r) == 0 && set_option(io, option);
    }
    if (good)
        etf_get_tail(&r);
    if (good && etf_reader_finish(&r) == 0) {
        cnode__io_answer(io, ok);
        return;
    }
    io->config.binary = binary;
    io->no_echo = no_echo;
    io->latin1_set = latin1;
    cnode__io_answer(io, error_enotsup);
}

static void tell_options(cnode_io *io) {
    uint8_t room[128];
    etf_writer w;
    etf_view term = {NULL, 0};

    etf_writer_init_fixed(&w, room, sizeof room);
    (void)etf_pack(
        &w, "[{binary, ~a}, {encoding, ~a}, {echo, ~a}]",
        io->config.binary == CNODE_IO_BINARY_ALWAYS ? "true" : "false",
        io->latin1_set ? "latin1" : "unicode", io->no_echo ? "false" : "true");
    (void)etf_writer_finish(&w, &term);
    cnode__io_answer_term(io, term);
}

static void tell_geometry(cnode_io *io, etf_view which) {
    etf_view name;
    uint32_t n = 0;
    char text[24];

    if (etf_match(which, "~a", &name) != 0) {
        cnode__io_answer(io, error_request);
        return;
    }
    if (etf_view_is(name, "columns"))
        n = io->config.columns;
    else if (etf_view_is(name, "rows"))
        n = io->config.rows;
    (void)snprintf(text, sizeof text, "%u", n);
    cnode__io_answer(io, n == 0 ? error_enotsup : text);
}

/* --- requests ------------------------------------------------------------ */

/* {Name, ...}, or Name with no arguments; without the encoding, which is the
 * first argument of most but does not stand in requests of old. */
typedef struct parts {
    etf_view name;
    bool latin1;
    uint32_t n;
    etf_view at[5];
} parts;

static bool is_encoding(etf_view term, bool *latin1) {
    etf_view name;

    if (etf_match(term, "~a", &name) != 0)
        return false;
    *latin1 = etf_view_is(name, "latin1");
    return *latin1 || etf_view_is(name, "unicode") || etf_view_is(name, "utf8");
}

/* with: how many arguments there are with an encoding. */
static bool has_args(parts *p, uint32_t with) {
    if (p->n + 1 == with) {
        p->latin1 = true;
        return true;
    }
    if (p->n != with || !is_encoding(p->at[0], &p->latin1))
        return false;
    memmove(p->at, p->at + 1, (with - 1) * sizeof *p->at);
    return true;
}

static bool take_apart(etf_view request, etf_reader *r, parts *p) {
    uint32_t n = 0;

    etf_reader_init(r, request);
    if (etf_peek(r) == ETF_TUPLE)
        n = etf_get_tuple(r) - 1;
    p->name = etf_get_atom(r);
    p->n = n;
    if (etf_reader_finish(r) != 0 || n > sizeof p->at / sizeof *p->at)
        return false;
    for (uint32_t i = 0; i < n; i++)
        p->at[i] = etf_get_term(r);
    return etf_reader_finish(r) == 0;
}

static bool atoms_of(const parts *p, uint32_t at, etf_view *mod,
                     etf_view *fun) {
    return etf_match(p->at[at], "~a", mod) == 0 &&
           etf_match(p->at[at + 1], "~a", fun) == 0;
}

static bool serve_output(cnode_io *io, parts *p) {
    etf_view mod, fun;

    if (!etf_view_is(p->name, "put_chars"))
        return false;
    if (p->n <= 2 && has_args(p, 2))
        put_chars(io, p->at[0], p->latin1);
    else if (has_args(p, 4) && atoms_of(p, 0, &mod, &fun))
        format(io, p->latin1, mod, fun, p->at[2]);
    else
        return false;
    return true;
}

static bool count_of(etf_view term, uint64_t *n) {
    etf_reader r;

    etf_reader_init(&r, term);
    *n = etf_get_uint(&r);
    return etf_reader_finish(&r) == 0;
}

static bool serve_input(cnode_io *io, parts *p) {
    cnode__io_read r = {0};

    if (etf_view_is(p->name, "get_line") && has_args(p, 2)) {
        r.want = CNODE_IO_LINE;
        r.prompt = p->at[0];
    } else if (etf_view_is(p->name, "get_chars") && has_args(p, 3) &&
               count_of(p->at[1], &r.count)) {
        r.want = CNODE_IO_COUNT;
        r.prompt = p->at[0];
    } else if (etf_view_is(p->name, "get_until") && has_args(p, 5) &&
               atoms_of(p, 1, &r.mod, &r.fun)) {
        r.want = CNODE_IO_PARSE;
        r.prompt = p->at[0];
        r.args = p->at[3];
    } else if (etf_view_is(p->name, "get_password") && has_args(p, 1)) {
        r.want = CNODE_IO_PASSWORD;
    } else {
        return false;
    }
    r.latin1 = p->latin1;
    if (io->config.on_input == NULL)
        cnode__io_answer(io, error_enotsup);
    else
        cnode__io_begin_read(io, &r);
    return true;
}

static bool serve_other(cnode_io *io, const parts *p) {
    if (etf_view_is(p->name, "getopts") && p->n == 0)
        tell_options(io);
    else if (etf_view_is(p->name, "setopts") && p->n == 1)
        set_options(io, p->at[0]);
    else if (etf_view_is(p->name, "get_geometry") && p->n == 1)
        tell_geometry(io, p->at[0]);
    else
        return false;
    return true;
}

static void serve(cnode_io *io) {
    etf_reader r;
    parts p;

    if (!take_apart(io->now, &r, &p) ||
        !(serve_output(io, &p) || serve_input(io, &p) || serve_other(io, &p)))
        cnode__io_answer(io, error_request);
}

/* False: {requests, []}, or elements that are none. */
static bool next_of_list(cnode_io *io) {
    if (io->now.len > 0)
        return true;
    if (io->left == 0)
        return false;
    io->left--;
    io->now = etf_get_term(&io->list);
    return io->now.len > 0;
}

/* --- the work ------------------------------------------------------------ */

/* What the program has done meanwhile. */
static void resume(cnode_io *io) {
    if (io->phase == IO_READING) {
        cnode__io_try_read(io);
    } else if (io->done && io->phase == IO_WRITING) {
        io->done = false;
        answer_status(io, io->done_status);
    } else if (io->done && io->phase == IO_PROMPTING) {
        io->done = false;
        cnode__io_prompted(io, io->done_status);
    }
}

void cnode__io_step(cnode_io *io) {
    if (io->stepping)
        return;
    io->stepping = true;
    while (io->first != NULL && io->phase == IO_IDLE && !io->proc->ended) {
        if (!io->open)
            open_first(io);
        if (next_of_list(io))
            serve(io);
        else
            cnode__io_answer(io, error_request);
    }
    io->stepping = false;
    if (io->first == NULL && io->busy && !io->proc->ended) {
        io->busy = false;
        if (io->config.on_idle != NULL)
            io->config.on_idle(io, io->config.data);
    }
}

static void on_tick(cnode__timer *t) {
    cnode_io *io = cnode__list_of(cnode_io, tick, t);

    if (io->proc->ended)
        return;
    resume(io);
    cnode__io_step(io);
}

void cnode__io_soon(cnode_io *io) {
    cnode__timer_arm(&io->node->timers, &io->tick, cnode__now(io->node));
    cnode__wake(io->node);
}

/* There is no room for it: whoever asked must not wait for ever. */
static void refuse(cnode_io *io, const etf_pid *from, etf_view reply_as) {
    cnode__answered(io->node, from->node,
                    cnode_send(io->proc, from,
                               "{io_reply, ~t, {error, enomem}}", reply_as));
}

static void on_message(cnode_proc *self, const cnode_msg *m, void *data) {
    cnode_io *io = data;
    etf_view reply_as, request;
    etf_pid from;

    if (etf_match(m->term, "{io_request, ~p, ~t, ~t}", &from, &reply_as,
                  &request) != 0) {
        (void)cnode_refuse_msg(self, m);
        return;
    }
    if (push(io, m->term, m->peer) != 0)
        refuse(io, &from, reply_as);
    else
        cnode__io_step(io);
}

/* --- life ---------------------------------------------------------------- */

static void free_io(cnode_io *io) {
    cnode *n = io->node;

    while (io->first != NULL)
        pop(io);
    etf_copy_free(&n->alloc, io->read.more);
    cn__buf_free(&io->input);
    cnode__timer_drop(&n->timers, &io->tick);
    cn__free(&n->alloc, io, 1, sizeof *io);
}

static void on_end(cnode_proc *self, etf_view reason, void *data) {
    cnode_io *io = data;
    void (*told)(void *) = io->config.on_end;
    void *arg = io->config.data;

    (void)self, (void)reason;
    free_io(io);
    if (told != NULL)
        told(arg);
}

static void set_config(cnode_io *io, const cnode_io_config *c, size_t size) {
    cnode_io_config *mine = &io->config;

    cnode__copy_sized(mine, sizeof *mine, c, size);
    if (mine->max_queue == 0)
        mine->max_queue = MAX_QUEUE;
    if (mine->max_input == 0)
        mine->max_input = MAX_INPUT;
    if (mine->format_ms == 0)
        mine->format_ms = FORMAT_MS;
}

int cnode_io_start_sized(cnode_io **out, cnode *n, const cnode_io_config *c,
                         size_t size) {
    cnode_io *io = cn__calloc(&n->alloc, 1, sizeof *io);
    cnode_proc_config proc = {.on_message = on_message,
                              .on_down = cnode__io_down,
                              .trap_exit = true,
                              .on_end = on_end,
                              .data = io};
    int err;

    if (io == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    io->node = n;
    io->last = &io->first;
    set_config(io, c, size);
    cn__buf_init(&io->input, &n->alloc);
    proc.name = io->config.name;
    err = cnode__timer_make(&n->timers, &io->tick, on_tick);
    if (err != 0)
        cnode__set_error(n, err, "out of memory");
    if (err == 0)
        err = cnode_spawn(n, &proc, &io->proc);
    if (err != 0) {
        free_io(io);
        return err;
    }
    io->config.name = NULL; /* the caller's */
    *out = io;
    return 0;
}

void cnode_io_stop(cnode_io *io) {
    static const uint8_t normal[] = {119, 6, 'n', 'o', 'r', 'm', 'a', 'l'};

    cnode__end(io->proc, etf_view_of(normal, sizeof normal));
}

etf_pid cnode_io_pid(const cnode_io *io) {
    return cnode_self(io->proc);
}

size_t cnode_io_waiting(const cnode_io *io) {
    return io->waiting;
}

int cnode_io_done(cnode_io *io, int status) {
    if ((io->phase != IO_WRITING && io->phase != IO_PROMPTING) || io->done)
        return CN_ENOENT;
    io->done = true;
    io->done_status = status;
    cnode__io_soon(io);
    return 0;
}

void cnode_io_resize(cnode_io *io, uint32_t columns, uint32_t rows) {
    io->config.columns = columns;
    io->config.rows = rows;
}

/* --- user ---------------------------------------------------------------- */

/* How much of it is the next line, and how much is gone with it. */
static size_t next_line(const char *at, size_t left, size_t *used) {
    const char *end = memchr(at, '\n', left < LINE_MOST ? left : LINE_MOST);
    size_t len = end != NULL ? (size_t)(end - at) : left;

    if (len > LINE_MOST)
        len = LINE_MOST;
    while (end == NULL && len < left && len > 1 && (at[len] & 0xc0) == 0x80)
        len--; /* a character stays whole */
    *used = len + (end != NULL);
    return len;
}

/* A NUL does not end it. */
static void log_line(const cnode_io *io, const char *text, size_t len) {
    char line[LINE_MOST + 1];

    for (size_t i = 0; i < len; i++)
        line[i] = text[i] != '\0' ? text[i] : '?';
    line[len] = '\0';
    cn__log(&io->node->config.log, CN_LOG_INFO, "user", "%s: %s", io->peer,
            line);
}

static void log_lines(cnode_io *io, const cnode_io_output *o) {
    size_t used;

    for (size_t at = 0; at < o->len; at += used) {
        size_t len = next_line(o->text + at, o->len - at, &used);
        if (++io->lines <= LINES_MOST)
            log_line(io, o->text + at, len);
    }
}

static int on_user_output(cnode_io *io, const cnode_io_output *o, void *data) {
    cnode *n = data;

    if (n->config.on_output != NULL)
        n->config.on_output(n, o->text, o->len, o->peer, n->config.data);
    else if (cn__logs(&n->config.log, CN_LOG_INFO))
        log_lines(io, o);
    return 0;
}

int cnode__user(cnode *n) {
    const cnode_io_config c = {
        .name = "user", .on_output = on_user_output, .data = n};
    cnode_io *io;
    int err = cnode_io_start(&io, n, &c);

    if (err == 0) {
        n->user = io->proc->number;
        io->proc->lasting = true;
    }
    return err;
}
