/* SPDX-License-Identifier: Apache-2.0
 *
 * mailbox.c: messages that wait until their process takes them, in order, up
 * to the bounds of its config. What a link or monitor told is kept above them,
 * because it is told once; but others make links, too, and may end them again
 * and again: above a bound of its own the process is ended.
 */
#include <string.h>

#include "base/bytes.h"
#include "cnode/node.h"

enum { DEFAULT_MAILBOX = 256 << 20, LEAST_TOLD = 64 << 20 };

/* --- what is lost -------------------------------------------------------- */

static void drop(cnode_proc *p, cnode_drop kind, const char *why) {
    cnode *n = p->node;

    cnode__stats_dropped(n, kind);
    p->dropped++;
    if (p->overflowed || !cnode__seldom(n, &n->quiet_full))
        return;
    p->overflowed = true;
    cn__log(&n->config.log, CN_LOG_ERROR, "process",
            "%s: messages are dropped: %s",
            p->name == NULL ? "a process" : p->name, why);
}

void cnode__drop_message(cnode_proc *p, const char *why) {
    drop(p, CNODE_DROP_MEMORY, why);
}

/* --- in and out ---------------------------------------------------------- */

static void count(cnode_proc *p, const cnode__mail *m) {
    p->mails++;
    if (m->system) {
        p->system_mails++;
        p->extra->system_bytes += m->size;
    } else {
        p->mail_bytes += m->size;
    }
}

/* Those with priority stand in front, in the order in which they came. */
static void insert(cnode_proc *p, cnode__mail *m) {
    cnode__mail *before = m->priority ? p->extra->last_priority : p->last;
    cnode__mail **at = before == NULL ? &p->first : &before->next;

    m->next = *at;
    *at = m;
    if (m->next == NULL)
        p->last = m;
    if (m->priority)
        p->extra->last_priority = m;
    if (m->priority && !m->system)
        p->extra->spared = NULL;
    count(p, m);
}

/* Takes out the message behind `before`; NULL: the first. */
static cnode__mail *take_behind(cnode_proc *p, cnode__mail *before) {
    cnode__mail **at = before == NULL ? &p->first : &before->next;
    cnode__mail *m = *at;

    if (m == NULL)
        return NULL;
    *at = m->next;
    if (p->last == m)
        p->last = before;
    if (p->extra->last_priority == m)
        p->extra->last_priority = before;
    if (p->extra->spared == m)
        p->extra->spared = before;
    p->mails--;
    if (m->system) {
        p->system_mails--;
        p->extra->system_bytes -= m->size;
    } else {
        p->mail_bytes -= m->size;
    }
    return m;
}

cnode__mail *cnode__mail_take(cnode_proc *p) {
    cnode__mail *m = take_behind(p, NULL);

    if (m != NULL)
        p->overflowed = false;
    return m;
}

void cnode__mail_free(cnode *n, cnode__mail *m) {
    if (m != NULL)
        cn__free(&n->alloc, m, m->size, 1);
}

void cnode__mail_free_all(cnode_proc *p) {
    cnode__mail *m;

    while ((m = cnode__mail_take(p)) != NULL)
        cnode__mail_free(p->node, m);
    if (p->extra == NULL)
        return;
    cnode__mail_free(p->node, p->extra->lent);
    p->extra->lent = NULL;
}

/* --- keeping ------------------------------------------------------------- */

static size_t max_bytes(const cnode_proc *p) {
    size_t own = p->kind->config.max_mailbox;
    size_t all = p->node->config.max_mailbox;

    return own != 0 ? own : all != 0 ? all : DEFAULT_MAILBOX;
}

static bool has_room(const cnode_proc *p, size_t size) {
    size_t max = max_bytes(p);
    uint32_t most = p->kind->config.max_messages;

    return size <= max && p->mail_bytes <= max - size &&
           (most == 0 || p->mails - p->system_mails < most);
}

static cnode__mail *behind(const cnode_proc *p, const cnode__mail *m) {
    return m == NULL ? p->first : m->next;
}

/* There may be many that are kept: they are passed over once. */
static bool drop_oldest(cnode_proc *p) {
    cnode__mail *before, *m;

    if (p->extra == NULL) /* there is one with the first message */
        return false;
    before = p->extra->spared;
    while ((m = behind(p, before)) != NULL && m->system)
        before = m;
    if (m == NULL)
        return false;
    p->extra->spared = before;
    cnode__mail_free(p->node, take_behind(p, before));
    drop(p, CNODE_DROP_MAILBOX, "the mailbox is full");
    return true;
}

static void end_full(cnode_proc *p) {
    static const uint8_t reason[] = {
        104, 2,   119, 12,  's', 'y', 's', 't', 'e', 'm', '_', 'l', 'i',
        'm', 'i', 't', 119, 7,   'm', 'a', 'i', 'l', 'b', 'o', 'x'};

    drop(p, CNODE_DROP_MAILBOX, "the mailbox is full, the process is ended");
    cnode__end(p, (etf_view){reason, sizeof reason});
}

/* Does what the config says until there is room; false: there is none. */
static bool make_room(cnode_proc *p, size_t size) {
    cnode_when_full when = p->kind->config.when_full;

    while (!has_room(p, size)) {
        if (when == CNODE_FULL_DROP_OLDEST && size <= max_bytes(p) &&
            drop_oldest(p))
            continue;
        if (when == CNODE_FULL_END)
            end_full(p);
        else
            drop(p, CNODE_DROP_MAILBOX, "the mailbox is full");
        return false;
    }
    return true;
}

/* The same for what a link or monitor tells. */
static bool may_be_told(cnode_proc *p, size_t size) {
    size_t max = max_bytes(p) > LEAST_TOLD ? max_bytes(p) : LEAST_TOLD;
    size_t have = p->extra == NULL ? 0 : p->extra->system_bytes;

    if (size <= max && have <= max - size)
        return true;
    end_full(p);
    return false;
}

static void keep_sender(cnode__mail *m, const etf_pid *from, const char *peer) {
    m->has_from = from != NULL && cnode__pid_is_of(from, peer);
    if (!m->has_from)
        return;
    m->from_id = from->id;
    m->from_serial = from->serial;
    m->from_creation = from->creation;
}

/* What cnode__take cannot do without. */
static bool can_lend(cnode_proc *p) {
    cnode__extra *x = cnode__extra_of(p);

    if (x != NULL && x->lent_from == NULL)
        x->lent_from = cn__calloc(&p->node->alloc, 1, sizeof *x->lent_from);
    return x != NULL && x->lent_from != NULL;
}

void cnode__mail_keep(cnode_proc *p, const cnode__message *in) {
    const char *peer = p->node->peer_now;
    size_t peer_len = strlen(peer) + 1;
    size_t size = sizeof(cnode__mail) + in->term.len + in->token.len + peer_len;
    cnode__mail *m = NULL;
    uint8_t *at;

    if (!(in->system ? may_be_told(p, size) : make_room(p, size)))
        return;
    if (can_lend(p))
        m = cn__resize(&p->node->alloc, NULL, 0, size, 1);
    if (m == NULL) {
        cnode__drop_message(p, "out of memory");
        return;
    }
    *m = (cnode__mail){.size = size,
                       .len = in->term.len,
                       .token_len = in->token.len,
                       .system = in->system,
                       .apart = in->apart,
                       .priority = in->priority};
    at = cn__put_bytes(m->bytes, in->term.data, in->term.len);
    at = cn__put_bytes(at, in->token.data, in->token.len);
    memcpy(at, peer, peer_len);
    keep_sender(m, in->from, peer);
    insert(p, m);
}

/* --- taking -------------------------------------------------------------- */

void cnode__mail_received(cnode_proc *p, const cnode__mail *m) {
    if (!m->apart)
        cnode__trace_got(p, (etf_view){m->bytes + m->len, m->token_len});
}

void cnode__mail_open(const cnode__mail *m, cnode_msg *out, etf_pid *from) {
    *out = (cnode_msg){.term = {m->bytes, m->len},
                       .peer = (const char *)m->bytes + m->len + m->token_len};
    if (!m->has_from)
        return;
    from->id = m->from_id;
    from->serial = m->from_serial;
    from->creation = m->from_creation;
    cnode__set_node(from, out->peer);
    out->from = from;
}

/* For cnode_receive, which the shell has, because it waits. */
bool cnode__take(cnode_proc *p, cnode_msg *out) {
    cnode__extra *x = p->extra; /* there is one with the first message */

    if (x == NULL)
        return false;
    cnode__mail_free(p->node, x->lent);
    x->lent = cnode__mail_take(p);
    if (x->lent == NULL)
        return false;
    cnode__mail_received(p, x->lent);
    cnode__mail_open(x->lent, out, x->lent_from);
    return true;
}
