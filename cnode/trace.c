/* SPDX-License-Identifier: Apache-2.0
 *
 * trace.c: trace tokens. Section "seq_trace" of the kernel manual.
 *
 * A message of a sequential trace carries {Flags, Label, Serial, From, Last}.
 * Whoever receives it sends everything with the same flags and label until it
 * receives something else: Serial is its own clock, which each token that it
 * gets sets forward, and Last the serial that it has received. Nothing is
 * traced on this node itself; the token is only carried on, so that a trace
 * goes through it.
 */
#include <string.h>

#include "cnode/node.h"

typedef struct cnode__trace {
    uint64_t flags;
    uint64_t last;
    size_t label_len;
    uint8_t label[];
} cnode__trace;

static size_t size_of(size_t label_len) {
    return sizeof(cnode__trace) + label_len;
}

void cnode__trace_free(cnode_proc *p) {
    cnode__trace *t = p->extra == NULL ? NULL : p->extra->trace;

    if (t == NULL)
        return;
    cn__free(&p->node->alloc, t, size_of(t->label_len), 1);
    p->extra->trace = NULL;
}

static void lost(cnode *n) {
    cn__log(&n->config.log, CN_LOG_WARN, "process",
            "out of memory, a trace ends here");
}

/* Makes it that of the process; a trace is not worth more than a line when
 * there is no memory. */
static void keep(cnode_proc *p, const cnode__trace *head, etf_view label) {
    cnode *n = p->node;
    cnode__extra *x = cnode__extra_of(p);
    cnode__trace *t =
        x == NULL ? NULL
                  : cn__resize(&n->alloc, NULL, 0, size_of(label.len), 1);

    if (t == NULL) {
        lost(n);
        return;
    }
    *t = *head;
    t->label_len = label.len;
    memcpy(t->label, label.data, label.len);
    x->trace = t;
    if (x->trace_clock < t->last)
        x->trace_clock = t->last;
}

void cnode__trace_got(cnode_proc *p, etf_view token) {
    cnode__trace head = {0};
    etf_view label;
    etf_reader r;

    cnode__trace_free(p);
    if (token.len == 0)
        return;
    etf_reader_init(&r, token);
    etf_get_tuple_n(&r, 5);
    head.flags = etf_get_uint(&r);
    label = etf_get_term(&r);
    head.last = etf_get_uint(&r);
    if (etf_reader_finish(&r) == 0) /* else it is no token: [] is none, too */
        keep(p, &head, label);
}

/* The BEAM shows a spawn request as two messages, and counts them so. */
static uint64_t tick(cnode__extra *x, cnode_signal signal) {
    x->trace_clock += signal == CNODE_SIG_SPAWN_REQUEST ? 2 : 1;
    return x->trace_clock;
}

void cnode__trace_put(cnode_proc *p, cnode_ctrl *c) {
    etf_writer *w = &p->node->token;
    const cnode__trace *t = p->extra == NULL ? NULL : p->extra->trace;
    uint64_t clock;

    if (t == NULL)
        return;
    clock = tick(p->extra, c->signal);
    etf_writer_reset(w);
    etf_put_tuple(w, 5);
    etf_put_uint(w, t->flags);
    etf_put_term(w, (etf_view){t->label, t->label_len});
    etf_put_uint(w, clock);
    etf_put_pid(w, &c->from);
    etf_put_uint(w, t->last);
    if (etf_writer_finish(w, &c->token) != 0) {
        c->token = (etf_view){NULL, 0};
        lost(p->node);
    }
}
