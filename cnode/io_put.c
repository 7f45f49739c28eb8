/* SPDX-License-Identifier: Apache-2.0
 *
 * io_put.c: printing on a group leader. One process of the node, made when it
 * is first needed, asks for all others: so what they print stays in order, and
 * answers do not come to processes that do not know what they are. The monitor
 * of the group leader is what a request is told by.
 */
#include <string.h>

#include "cnode/io_parts.h"
#include "ext_term/term.h"

enum { TIMEOUT_MS = 5000 };

/* Its data: those that are not answered. */
typedef struct printer {
    cn_map asked; /* by the words of the reference */
} printer;

enum { KEY_SIZE = 3 * sizeof(uint32_t) };

typedef struct asked {
    cnode *node;
    cnode_proc *printer;
    etf_pid who; /* that prints; it may have ended */
    etf_ref ref;
    bool waits; /* it is in the map */
    cnode__timer timer;
    cnode_io_cb cb;
    void *data;
} asked;

static void free_asked(asked *a) {
    cnode *n = a->node;

    if (a->waits) {
        printer *pr = a->printer->data;
        (void)cn__map_remove(&pr->asked, a->ref.ids, KEY_SIZE);
    }
    cnode__timer_drop(&n->timers, &a->timer);
    cn__free(&n->alloc, a, 1, sizeof *a);
}

static void tell(asked *a, int status, etf_view reply) {
    cnode_proc *p = cnode__proc_of(a->node, &a->who);
    cnode_io_cb cb = a->cb;
    void *data = a->data;

    free_asked(a);
    if (cb != NULL && p != NULL && !p->ended)
        cb(p, status, reply, data);
}

/* --- answers ------------------------------------------------------------- */

static asked *find(const printer *pr, const etf_ref *ref) {
    asked *a = cn__map_get(&pr->asked, ref->ids, KEY_SIZE);

    return a != NULL && etf_ref_eq(&a->ref, ref) ? a : NULL;
}

static void on_message(cnode_proc *self, const cnode_msg *m, void *data) {
    etf_view reply, reason;
    etf_ref ref;
    asked *a;

    if (etf_match(m->term, "{io_reply, ~r, ~t}", &ref, &reply) != 0) {
        (void)cnode_refuse_msg(self, m);
        return;
    }
    a = find(data, &ref);
    if (a == NULL)
        return;
    (void)cnode_demonitor(self, &ref);
    if (etf_match(reply, "{error, ~t}", &reason) == 0)
        tell(a, CN_EREMOTE, reason);
    else
        tell(a, 0, reply);
}

static void on_down(cnode_proc *self, const cnode_down *d, void *data) {
    asked *a = find(data, &d->ref);

    (void)self;
    if (a == NULL)
        return;
    if (etf_match(d->term, "noproc") == 0)
        tell(a, CN_ENOPROC, (etf_view){NULL, 0});
    else if (etf_match(d->term, "noconnection") == 0)
        tell(a, CN_ENOCONN, (etf_view){NULL, 0});
    else
        tell(a, CN_EEXITED, d->term);
}

static void on_timer(cnode__timer *t) {
    asked *a = cnode__list_of(asked, timer, t);

    (void)cnode_demonitor(a->printer, &a->ref);
    tell(a, CN_ETIMEDOUT, (etf_view){NULL, 0});
}

static void free_printer(cnode *n, printer *pr) {
    cn__map_free(&pr->asked);
    cn__free(&n->alloc, pr, 1, sizeof *pr);
}

/* Somebody has ended it: who waits hears of that. */
static void on_end(cnode_proc *self, etf_view reason, void *data) {
    printer *pr = data;
    cnode *n = self->node;
    size_t at = 0;
    asked *a;

    if (n->printer == self->number)
        n->printer = 0;
    while ((a = cn__map_first(&pr->asked, &at)) != NULL)
        tell(a, CN_EEXITED, reason);
    free_printer(n, pr);
}

/* --- requests ------------------------------------------------------------ */

static int start_printer(cnode *n, cnode_proc **out) {
    printer *pr = cn__calloc(&n->alloc, 1, sizeof *pr);
    const cnode_proc_config c = {.on_message = on_message,
                                 .on_down = on_down,
                                 .on_end = on_end,
                                 .data = pr};
    uint64_t seed;
    int err;

    if (pr == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    n->shell->random(n->shell_ctx, &seed, sizeof seed);
    cn__map_init(&pr->asked, seed, &n->alloc);
    err = cnode__spawn_lasting(n, &c, out);
    if (err == 0)
        n->printer = (*out)->number;
    else
        free_printer(n, pr);
    return err;
}

static int find_printer(cnode *n, cnode_proc **out) {
    etf_pid pid = cnode__pid_of(n, n->printer);

    *out = n->printer == 0 ? NULL : cnode__proc_of(n, &pid);
    return *out != NULL && !(*out)->ended ? 0 : start_printer(n, out);
}

static int watch(asked *a, const cnode_io_to *to, const etf_pid *leader) {
    return to->name != NULL
               ? cnode_monitor(a->printer, to->node, to->name, &a->ref)
               : cnode_monitor_pid(a->printer, leader, &a->ref);
}

static int send_request(asked *a, const cnode_io_to *to, const etf_pid *leader,
                        etf_view request) {
    etf_pid self = cnode_self(a->printer);

    return to->name != NULL
               ? cnode_send_name(a->printer, to->node, to->name,
                                 "{io_request, ~p, ~r, ~t}", &self, &a->ref,
                                 request)
               : cnode_send(a->printer, leader, "{io_request, ~p, ~r, ~t}",
                            &self, &a->ref, request);
}

static int wait_for(asked *a) {
    printer *pr = a->printer->data;

    a->waits = cn__map_put(&pr->asked, a->ref.ids, KEY_SIZE, a) == 0;
    return a->waits ? 0 : cnode__err(a->node, CN_ENOMEM, "out of memory");
}

static int start(asked *a, const cnode_io_to *to, const etf_pid *leader,
                 etf_view request) {
    uint32_t ms = to->timeout_ms == 0 ? TIMEOUT_MS : to->timeout_ms;
    int err = watch(a, to, leader);

    if (err != 0)
        return err;
    err = wait_for(a);
    if (err == 0)
        err = send_request(a, to, leader, request);
    if (err != 0) {
        (void)cnode_demonitor(a->printer, &a->ref);
    } else if (ms != UINT32_MAX) {
        cnode__timer_arm(&a->node->timers, &a->timer, cnode__now(a->node) + ms);
        cnode__wake(a->node);
    }
    return err;
}

static int ask(cnode_proc *p, const cnode_io_to *to, cnode_io_cb cb, void *data,
               etf_view request) {
    static const cnode_io_to own = {.pid = NULL};
    cnode *n = p->node;
    etf_pid leader = cnode_group_leader(p);
    cnode_proc *process;
    asked *a;
    int err;

    if (to == NULL)
        to = &own;
    if (to->pid != NULL)
        leader = *to->pid;
    if (p->ended)
        return cnode__gone(p);
    err = find_printer(n, &process);
    if (err != 0)
        return err;
    a = cn__calloc(&n->alloc, 1, sizeof *a);
    if (a == NULL || cnode__timer_make(&n->timers, &a->timer, on_timer) != 0) {
        cn__free(&n->alloc, a, 1, sizeof *a);
        return cnode__err(n, CN_ENOMEM, "out of memory");
    }
    a->node = n;
    a->printer = process;
    a->who = cnode_self(p);
    a->cb = cb;
    a->data = data;
    err = start(a, to, &leader, request);
    if (err != 0)
        free_asked(a);
    return err;
}

int cnode_io_request_args(cnode_proc *p, const cnode_io_to *to, cnode_io_cb cb,
                          void *data, const etf_in *in, size_t count) {
    cnode *n = p->node;
    etf_view request;
    etf_writer w;
    int err;

    etf_writer_init(&w, &n->alloc);
    err = cnode__pack(n, &w, "print", in, count, &request);
    if (err == 0)
        err = ask(p, to, cb, data, request);
    etf_writer_free(&w);
    return err;
}

int cnode_io_put(cnode_proc *p, const cnode_io_to *to, const char *text,
                 size_t len, cnode_io_cb cb, void *data) {
    if (etf__utf8_count((const uint8_t *)text, len) == SIZE_MAX)
        return cnode__err(p->node, CN_EBADARG, "print: the text is no UTF-8");
    return cnode_io_request(p, to, cb, data, "{put_chars, unicode, ~b}",
                            etf_view_of(text, len));
}

/* A string of Unicode characters. */
static void put_format(etf_writer *w, const char *format) {
    size_t left = strlen(format), k;
    uint32_t c = 0;

    etf_begin_list(w);
    for (; left > 0; format += k, left -= k) {
        k = etf__utf8_get((const uint8_t *)format, left, &c);
        if (k == 0) {
            etf_writer_fail(w, CN_EBADARG);
            break;
        }
        etf_put_uint(w, c);
    }
    etf_end_list(w);
}

int cnode_io_format_args(cnode_proc *p, const cnode_io_to *to, cnode_io_cb cb,
                         void *data, const char *format, const etf_in *in,
                         size_t count) {
    cnode *n = p->node;
    etf_view request;
    etf_writer w;
    int err;

    etf_writer_init(&w, &n->alloc);
    etf_put_tuple(&w, 5);
    etf_put_atom(&w, "put_chars");
    etf_put_atom(&w, "unicode");
    etf_put_atom(&w, "io_lib");
    etf_put_atom(&w, "format");
    etf_put_list(&w, 2);
    put_format(&w, format);
    (void)etf_pack_args(&w, in, count);
    etf_put_nil(&w);
    err = etf_writer_finish(&w, &request);
    err = err == 0 ? ask(p, to, cb, data, request)
                   : cnode__err(n, err, "print: %s", cn_strerror(err));
    etf_writer_free(&w);
    return err;
}
