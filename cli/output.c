/* SPDX-License-Identifier: Apache-2.0
 *
 * output.c: the I/O server. Requests are answered one after the other, in the
 * order in which they came. io:format sends its format and arguments, not
 * text: then the node of the sender is asked to apply the function, and what
 * comes back is written; requests that come meanwhile wait.
 */
#include "cli/output.h"

#include <stdlib.h>
#include <string.h>

#include "cli/deadline.h"
#include "cli/report.h"
#include "cli/text.h"

#define QUEUE_MAX ((size_t)64 * 1024 * 1024) /* bytes of requests waiting */

/* {io_request, From, ReplyAs, Request} */
typedef struct request {
    struct request *next;
    etf_view message; /* ours; the views below point into it */
    etf_pid from;
    etf_view reply_as;
    char peer[CLI_NAME_MAX];
    etf_reader list; /* the requests of {requests, [...]} that are left */
    uint32_t left;
    etf_view now; /* the one at work */
} request;

struct cli_output {
    cnode_proc *proc;
    FILE *to;
    request *first, **last;
    size_t queued;
    bool waiting;          /* for the sender's node to format */
    cli_encoding encoding; /* of what it formats */
    void (*on_idle)(void *arg);
    void *arg;
    void (*on_broken)(void *arg);
    void *broken_arg;
};

/* --- queue --------------------------------------------------------------- */

static void free_request(request *r) {
    etf_copy_free(NULL, r->message);
    free(r);
}

static void pop(cli_output *out) {
    request *r = out->first;

    out->first = r->next;
    if (out->first == NULL)
        out->last = &out->first;
    out->queued -= r->message.len;
    free_request(r);
}

static request *copy_request(const cnode_msg *m) {
    request *r = calloc(1, sizeof *r);

    if (r == NULL)
        return NULL;
    if (etf_copy(NULL, m->term, &r->message) != 0) {
        free(r);
        return NULL;
    }
    (void)snprintf(r->peer, sizeof r->peer, "%s", m->peer);
    return r;
}

/* Takes the message apart; false when it is no request. */
static bool open_request(request *r) {
    etf_view body, list;

    if (etf_match(r->message, "{io_request, ~p, ~t, ~t}", &r->from,
                  &r->reply_as, &body) != 0)
        return false;
    r->now = body;
    if (etf_match(body, "{requests, ~t}", &list) != 0)
        return true;
    etf_reader_init(&r->list, list);
    r->left = etf_get_list(&r->list);
    r->now = (etf_view){0};
    return true;
}

/* --- answers, as patterns ------------------------------------------------ */

static const char ok[] = "ok";
static const char error_request[] = "{error, request}";
static const char error_enotsup[] = "{error, enotsup}";
static const char error_chars[] = "{error, put_chars}";

static const char *put_chars(const cli_output *out, etf_view chars,
                             cli_encoding e) {
    bool broken;
    int rc;

    if (out->to == NULL)
        return ok;
    cli_write_begin();
    rc = cli_put_chars(chars, e, out->to);
    broken = rc == 0 && (fflush(out->to) != 0 || ferror(out->to));
    cli_deadline_unguard();
    if (broken && out->on_broken != NULL)
        out->on_broken(out->broken_arg);
    return rc == 0 ? ok : error_chars;
}

static void step(cli_output *out);
static void answer(cli_output *out, const char *pattern);

static void on_formatted(cnode_proc *p, int status, etf_view result,
                         void *data) {
    cli_output *out = data;

    (void)p;
    out->waiting = false;
    answer(out,
           status == 0 ? put_chars(out, result, out->encoding) : error_chars);
    step(out);
}

/* NULL: the answer comes later. */
static const char *format(cli_output *out, cli_encoding e, etf_view mod,
                          etf_view fun, etf_view args) {
    char m[CLI_ATOM_MAX], f[CLI_ATOM_MAX];
    etf_pid self = cnode_self(out->proc);
    cnode_rpc_opts to = {.node = out->first->peer,
                         .module = m,
                         .function = f,
                         .group_leader = &self,
                         .timeout_ms = UINT32_MAX};

    if (out->to == NULL)
        return ok;
    if (mod.len >= sizeof m || fun.len >= sizeof f)
        return error_request;
    memcpy(m, mod.data, mod.len);
    m[mod.len] = '\0';
    memcpy(f, fun.data, fun.len);
    f[fun.len] = '\0';
    if (cnode_rpc(out->proc, &to, on_formatted, out, "~t", args) != 0)
        return error_request;
    out->waiting = true;
    out->encoding = e;
    return NULL;
}

static cli_encoding encoding_of(etf_view name) {
    return etf_view_is(name, "latin1") ? CLI_LATIN1 : CLI_UTF8;
}

static const char *with_encoding(cli_output *out, etf_view req, bool *known) {
    etf_view encoding, chars, mod, fun, args;

    *known = true;
    if (etf_match(req, "{put_chars, ~a, ~t}", &encoding, &chars) == 0) {
        return put_chars(out, chars, encoding_of(encoding));
    }
    if (etf_match(req, "{put_chars, ~a, ~a, ~a, ~t}", &encoding, &mod, &fun,
                  &args) == 0) {
        return format(out, encoding_of(encoding), mod, fun, args);
    }
    *known = false;
    return NULL;
}

/* Requests of nodes that know no Unicode. */
static const char *without_encoding(cli_output *out, etf_view req,
                                    bool *known) {
    etf_view chars, mod, fun, args;

    *known = true;
    if (etf_match(req, "{put_chars, ~t}", &chars) == 0)
        return put_chars(out, chars, CLI_LATIN1);
    if (etf_match(req, "{put_chars, ~a, ~a, ~t}", &mod, &fun, &args) == 0)
        return format(out, CLI_LATIN1, mod, fun, args);
    *known = false;
    return NULL;
}

/* There is no input, and no terminal to ask. */
static const char *other(etf_view req) {
    static const char *const unsupported[] = {
        "get_line",     "get_chars",    "get_until",
        "get_password", "get_geometry", "setopts",
    };
    etf_view name = {0};
    etf_reader r;

    if (etf_match(req, "getopts") == 0)
        return "[{binary, true}, {encoding, unicode}]";
    etf_reader_init(&r, req);
    if (etf_get_tuple(&r) > 0)
        name = etf_get_atom(&r);
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++)
        if (etf_view_is(name, unsupported[i]))
            return error_enotsup;
    return error_request;
}

static const char *serve(cli_output *out, etf_view req) {
    bool known;
    const char *reply = with_encoding(out, req, &known);

    if (!known)
        reply = without_encoding(out, req, &known);
    return known ? reply : other(req);
}

/* --- the work ------------------------------------------------------------ */

static void reply(cli_output *out, const char *pattern) {
    request *r = out->first;
    uint8_t room[64];
    etf_writer w;
    etf_view term;

    etf_writer_init_fixed(&w, room, sizeof room);
    if (etf_pack(&w, pattern) == 0 && etf_writer_finish(&w, &term) == 0)
        (void)cnode_send(out->proc, &r->from, "{io_reply, ~t, ~t}", r->reply_as,
                         term);
    pop(out);
}

/* The one at work is done: goes on with the next of {requests, [...]}, which
 * an error ends. */
static void answer(cli_output *out, const char *pattern) {
    request *r = out->first;

    if (r->left > 0 && strncmp(pattern, "{error", 6) != 0) {
        r->now = (etf_view){0};
        return;
    }
    reply(out, pattern);
}

/* False: {requests, []}, or elements that are none. */
static bool next_of_list(request *r) {
    if (r->now.len > 0)
        return true;
    if (r->left == 0)
        return false;
    r->left--;
    r->now = etf_get_term(&r->list);
    return r->now.len > 0;
}

static void step(cli_output *out) {
    while (out->first != NULL && !out->waiting) {
        const char *pattern = next_of_list(out->first)
                                  ? serve(out, out->first->now)
                                  : error_request;

        if (pattern != NULL)
            answer(out, pattern);
    }
    if (out->first == NULL && out->on_idle != NULL) {
        void (*fn)(void *) = out->on_idle;

        out->on_idle = NULL;
        fn(out->arg);
    }
}

/* There is no room for it: whoever asked must not wait for ever. */
static void refuse(cnode_proc *self, etf_view message) {
    etf_pid from;
    etf_view reply_as, req;

    if (etf_match(message, "{io_request, ~p, ~t, ~t}", &from, &reply_as,
                  &req) == 0)
        (void)cnode_send(self, &from, "{io_reply, ~t, {error, enomem}}",
                         reply_as);
}

static void on_message(cnode_proc *self, const cnode_msg *m, void *data) {
    cli_output *out = data;
    request *r = NULL;

    if (m->term.len <= QUEUE_MAX - out->queued)
        r = copy_request(m);
    if (r == NULL) {
        refuse(self, m->term);
        return;
    }
    if (!open_request(r)) {
        free_request(r);
        return;
    }
    *out->last = r;
    out->last = &r->next;
    out->queued += r->message.len;
    step(out);
}

int cli_output_new(cli_output **out, cnode *n, FILE *to) {
    cli_output *o = calloc(1, sizeof *o);
    int rc;

    if (o == NULL)
        return CN_ENOMEM;
    o->to = to;
    o->last = &o->first;
    rc = cnode_spawn(
        n, &(cnode_proc_config){.on_message = on_message, .data = o}, &o->proc);
    if (rc != 0) {
        free(o);
        return rc;
    }
    *out = o;
    return 0;
}

void cli_output_free(cli_output *out) {
    if (out == NULL)
        return;
    while (out->first != NULL)
        pop(out);
    free(out);
}

etf_pid cli_output_pid(const cli_output *out) {
    return cnode_self(out->proc);
}

void cli_output_when_idle(cli_output *out, void (*fn)(void *arg), void *arg) {
    out->on_idle = fn;
    out->arg = arg;
    step(out);
}

void cli_output_when_broken(cli_output *out, void (*fn)(void *arg), void *arg) {
    out->on_broken = fn;
    out->broken_arg = arg;
}
