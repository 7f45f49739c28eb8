/* SPDX-License-Identifier: Apache-2.0
 *
 * process.c: processes of this node. A process is a pid, perhaps a name,
 * and either callbacks or a mailbox. It ends once: cnode__end takes it out
 * of every table and tells links and monitors; cnode__bury, from the pump,
 * calls on_end and frees it, so a callback can end its own process.
 */
#include <string.h>

#include "cnode/node.h"

enum { DEFAULT_MAILBOX = 256 << 20, KEEP_WRITER = 64 * 1024 };

/* --- pids ---------------------------------------------------------------- */

static void set_node(etf_pid *pid, const char *node) {
    size_t len = strlen(node);

    pid->node_len = (uint16_t)len;
    memcpy(pid->node, node, len + 1);
}

static etf_pid make_pid(uint64_t number, uint32_t creation, const char *node) {
    etf_pid pid;

    /* 28 bits of id, the rest in the serial: never used twice. */
    pid.id = (uint32_t)(number & 0x0fffffff);
    pid.serial = (uint32_t)(number >> 28);
    pid.creation = creation;
    set_node(&pid, node);
    return pid;
}

etf_pid cnode__pid_of(const cnode *n, uint64_t number) {
    return make_pid(number, n->creation, n->name);
}

uint64_t cnode__number_of(const etf_pid *pid) {
    return (uint64_t)pid->serial << 28 | pid->id;
}

bool cnode__own_pid(const cnode *n, const etf_pid *pid) {
    return pid->node_len == 0 || (pid->creation == n->creation &&
                                  cnode__is_self(n, pid->node, pid->node_len));
}

cnode_proc *cnode__proc_of(cnode *n, const etf_pid *pid) {
    uint64_t number = cnode__number_of(pid);

    if (!cnode__own_pid(n, pid) || pid->id > 0x0fffffff)
        return NULL;
    return cn__map_get(&n->procs, &number, sizeof number);
}

cnode_proc *cnode__proc_named(cnode *n, etf_view name) {
    return cn__map_get(&n->names, name.data, name.len);
}

etf_pid cnode_self(const cnode_proc *p) {
    p->node->creation_used = true;
    return cnode__pid_of(p->node, p->number);
}

cnode *cnode_of(const cnode_proc *p) {
    return p->node;
}
void *cnode_proc_data(const cnode_proc *p) {
    return p->config.data;
}

/* --- names --------------------------------------------------------------- */

cnode_proc *cnode_whereis(const cnode *n, const char *name) {
    return cn__map_get(&n->names, name, strlen(name));
}

int cnode_register(cnode_proc *p, const char *name) {
    cnode *n = p->node;
    char *copy;

    if (p->ended)
        return cnode__gone(p);
    if (p->name != NULL || name[0] == '\0' || strlen(name) > 255 ||
        strcmp(name, "undefined") == 0)
        return cnode__err(n, CN_EBADARG, "'%.100s' cannot be registered", name);
    if (cnode_whereis(n, name) != NULL)
        return cnode__err(n, CN_EEXIST, "'%s' is registered already", name);
    copy = cn__strdup(&n->alloc, name);
    if (copy == NULL || cn__map_put(&n->names, copy, strlen(copy), p) != 0) {
        cn__strfree(&n->alloc, copy);
        return cnode__err(n, CN_ENOMEM, "out of memory");
    }
    p->name = copy;
    return 0;
}

static void forget_name(cnode_proc *p) {
    if (p->name == NULL)
        return;
    (void)cn__map_remove(&p->node->names, p->name, strlen(p->name));
    cn__strfree(&p->node->alloc, p->name);
    p->name = NULL;
}

/* --- birth --------------------------------------------------------------- */

int cnode__proc_new(cnode *n, const cnode_proc_config *c, cnode_proc **out) {
    cnode_proc *p;

    *out = NULL;
    if (n->closing)
        return cnode__err(n, CN_ECLOSED, "the node is closing");
    p = cn__calloc(&n->alloc, 1, sizeof *p);
    if (p == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    p->node = n;
    p->number = n->next_pid++;
    p->config = *c;
    p->config.name = NULL;
    cnode__list_init(&p->in_node);
    cnode__list_init(&p->links);
    cnode__list_init(&p->watches);
    cnode__list_init(&p->waiters);
    cnode__list_init(&p->timers);
    if (cn__map_put(&n->procs, &p->number, sizeof p->number, p) != 0) {
        cn__free(&n->alloc, p, 1, sizeof *p);
        return cnode__err(n, CN_ENOMEM, "out of memory");
    }
    *out = p;
    return 0;
}

static void unmake(cnode_proc *p) {
    cnode *n = p->node;
    (void)cn__map_remove(&n->procs, &p->number, sizeof p->number);
    cn__free(&n->alloc, p, 1, sizeof *p);
}

int cnode_spawn(cnode *n, const cnode_proc_config *c, cnode_proc **out) {
    cnode_proc *p;
    int err = cnode__proc_new(n, c, &p);

    if (out != NULL)
        *out = NULL;
    if (err == 0 && c->name != NULL && (err = cnode_register(p, c->name)) != 0)
        unmake(p);
    if (err == 0 && out != NULL)
        *out = p;
    return err;
}

/* --- mail ---------------------------------------------------------------- */

static size_t mail_size(size_t len, const char *peer) {
    return sizeof(cnode__mail) + len + strlen(peer) + 1;
}

static void free_mail(cnode_proc *p, cnode__mail *m) {
    if (m != NULL)
        cn__free(&p->node->alloc, m, mail_size(m->len, m->peer), 1);
}

static void drop(cnode_proc *p, cnode_drop kind, const char *why) {
    cnode *n = p->node;

    cnode__stats_dropped(n, kind);
    p->dropped++;
    if (p->overflowed)
        return;
    p->overflowed = true;
    cn__log(&n->config.log, CN_LOG_ERROR, "process",
            "%s: messages are dropped: %s",
            p->name == NULL ? "a process" : p->name, why);
}

void cnode__drop_message(cnode_proc *p, const char *why) {
    drop(p, CNODE_DROP_MEMORY, why);
}

static void keep_sender(cnode__mail *m, const etf_pid *from) {
    m->has_from = from != NULL && strcmp(from->node, m->peer) == 0;
    if (!m->has_from)
        return;
    m->from_id = from->id;
    m->from_serial = from->serial;
    m->from_creation = from->creation;
}

static void keep_mail(cnode_proc *p, const etf_pid *from, etf_view term) {
    cnode *n = p->node;
    size_t max =
        n->config.max_mailbox == 0 ? DEFAULT_MAILBOX : n->config.max_mailbox;
    size_t size = mail_size(term.len, n->peer_now);
    size_t peer_len = strlen(n->peer_now) + 1;
    cnode__mail *m;

    if (size > max || p->mail_bytes > max - size) {
        drop(p, CNODE_DROP_MAILBOX, "the mailbox is full");
        return;
    }
    m = cn__resize(&n->alloc, NULL, 0, size, 1);
    if (m == NULL) {
        cnode__drop_message(p, "out of memory");
        return;
    }
    *m = (cnode__mail){.len = term.len};
    memcpy(m->term, term.data, term.len);
    memcpy(m->term + term.len, n->peer_now, peer_len);
    m->peer = (const char *)m->term + term.len;
    keep_sender(m, from);
    if (p->last == NULL)
        p->first = m;
    else
        p->last->next = m;
    p->last = m;
    p->mail_bytes += size;
    p->mails++;
}

static cnode__mail *take_mail(cnode_proc *p) {
    cnode__mail *m = p->first;

    if (m == NULL)
        return NULL;
    p->first = m->next;
    if (p->first == NULL)
        p->last = NULL;
    p->mail_bytes -= mail_size(m->len, m->peer);
    p->mails--;
    p->overflowed = false;
    return m;
}

static void free_mailbox(cnode_proc *p) {
    cnode__mail *m;

    while ((m = take_mail(p)) != NULL)
        free_mail(p, m);
    free_mail(p, p->lent);
    p->lent = NULL;
}

static const etf_pid *sender_of(const cnode__mail *m, etf_pid *pid) {
    if (!m->has_from)
        return NULL;
    pid->id = m->from_id;
    pid->serial = m->from_serial;
    pid->creation = m->from_creation;
    set_node(pid, m->peer);
    return pid;
}

/* For cnode_receive, which the shell has, because it waits. */
bool cnode__take(cnode_proc *p, cnode_msg *out) {
    free_mail(p, p->lent);
    p->lent = take_mail(p);
    if (p->lent == NULL)
        return false;
    *out = (cnode_msg){.term = {p->lent->term, p->lent->len},
                       .peer = p->lent->peer,
                       .from = sender_of(p->lent, &p->lent_from)};
    return true;
}

/* --- delivery ------------------------------------------------------------ */

static bool has_mailbox(const cnode_proc *p) {
    return p->config.on_message == NULL && p->config.on_call == NULL &&
           p->config.on_cast == NULL;
}

static bool deliver_request(cnode_proc *p, const cnode_msg *m) {
    cnode_from from;
    etf_view request;

    if (p->config.on_call != NULL && cnode_msg_is_call(m, &from, &request)) {
        p->config.on_call(p, &from, request, p->config.data);
        return true;
    }
    if (p->config.on_cast != NULL && cnode_msg_is_cast(m, &request)) {
        p->config.on_cast(p, request, p->config.data);
        return true;
    }
    return false;
}

static void hand_over(cnode_proc *p, const cnode_msg *m) {
    if (deliver_request(p, m))
        return;
    if (p->config.on_message != NULL)
        p->config.on_message(p, m, p->config.data);
    else /* a server that takes calls only */
        cnode__stats_dropped(p->node, CNODE_DROP_UNWANTED), p->dropped++;
}

void cnode__deliver(cnode_proc *p, const etf_pid *from, etf_view term) {
    cnode_msg m = {term, p->node->peer_now, from};

    if (p->ended || (p->calls > 0 && cnode__call_reply(p, term)))
        return;
    p->received++;
    if (has_mailbox(p) || p->first != NULL) /* nothing overtakes */
        keep_mail(p, from, term);
    else
        hand_over(p, &m);
}

/* A mailbox has become something with callbacks: they get what is in it. */
static void empty_mailbox(cnode_proc *p, void *arg) {
    cnode *n = p->node;
    cnode__mail *mail;
    etf_pid from;

    (void)arg;
    while (!p->ended && !has_mailbox(p) && (mail = take_mail(p)) != NULL) {
        cnode_msg m = {
            {mail->term, mail->len}, mail->peer, sender_of(mail, &from)};
        n->peer_now = mail->peer;
        hand_over(p, &m);
        n->peer_now = n->name;
        free_mail(p, mail);
    }
}

int cnode_become(cnode_proc *p, const cnode_proc_config *c) {
    int err = p->ended ? cnode__gone(p) : 0;

    if (err == 0 && p->first != NULL)
        err = cnode_after(p, 0, empty_mailbox, NULL);
    if (err == 0 && c->name != NULL)
        err = cnode_register(p, c->name);
    if (err != 0)
        return err;
    p->config = *c;
    p->config.name = NULL;
    return 0;
}

bool cnode_msg_is_call(const cnode_msg *m, cnode_from *from,
                       etf_view *request) {
    return etf_match(m->term, "{'$gen_call', {~p, ~t}, ~t}", &from->pid,
                     &from->tag, request) == 0;
}

bool cnode_msg_is_cast(const cnode_msg *m, etf_view *request) {
    return etf_match(m->term, "{'$gen_cast', ~t}", request) == 0;
}

/* --- exit signals -------------------------------------------------------- */

static bool is_atom(etf_view term, const char *text) {
    etf_reader r;

    etf_reader_init(&r, term);
    return etf_peek(&r) == ETF_ATOM && etf_view_is(etf_get_atom(&r), text);
}

etf_view cnode__atom(const char *text, uint8_t *buf, size_t cap) {
    etf_writer w;
    etf_view v = {NULL, 0};

    etf_writer_init_fixed(&w, buf, cap);
    etf_put_atom(&w, text);
    (void)etf_writer_finish(&w, &v);
    return v;
}

static void deliver_exit(cnode_proc *p, const etf_pid *from, etf_view reason) {
    cnode_exit_signal e;
    etf_writer w;
    etf_view term;

    if (p->config.on_exit != NULL) {
        e.from = *from;
        e.term = reason;
        p->config.on_exit(p, &e, p->config.data);
        return;
    }
    etf_writer_init(&w, &p->node->alloc);
    (void)etf_pack(&w, "{'EXIT', ~p, ~t}", from, reason);
    if (etf_writer_finish(&w, &term) == 0)
        cnode__deliver(p, NULL, term);
    else
        cnode__drop_message(p, "out of memory");
    etf_writer_free(&w);
}

/* Section "Exit Signals" of the reference manual, chapter Processes. */
void cnode__exit_signal(cnode_proc *p, const etf_pid *from, etf_view reason,
                        bool linked) {
    uint8_t buf[16];
    bool own = !linked && cnode__proc_of(p->node, from) == p;

    if (p->ended)
        return;
    if (!linked && is_atom(reason, "kill"))
        cnode__end(p, cnode__atom("killed", buf, sizeof buf));
    else if (p->config.on_exit != NULL || p->config.trap_exit)
        deliver_exit(p, from, reason);
    else if (own || !is_atom(reason, "normal"))
        cnode__end(p, reason);
}

/* --- end ----------------------------------------------------------------- */

static const uint8_t system_limit[] = {119, 12,  's', 'y', 's', 't', 'e',
                                       'm', '_', 'l', 'i', 'm', 'i', 't'};

/* Long reasons are given up when there is no memory, in favour of another;
 * links and monitors get the true one all the same. */
static void keep_reason(cnode_proc *p, etf_view reason) {
    if (reason.len <= sizeof p->short_reason) {
        p->reason = (etf_view){p->short_reason, reason.len};
        memcpy(p->short_reason, reason.data, reason.len);
    } else if (etf_copy(&p->node->alloc, reason, &p->reason) == 0) {
        p->reason_is_copy = true;
    } else {
        p->reason = (etf_view){system_limit, sizeof system_limit};
    }
}

void cnode__end(cnode_proc *p, etf_view reason) {
    cnode *n = p->node;

    if (p->ended)
        return;
    p->ended = true;
    keep_reason(p, reason);
    (void)cn__map_remove(&n->procs, &p->number, sizeof p->number);
    forget_name(p);
    cnode__relations_end(p, reason);
    cnode__list_add(&n->ended, &p->in_node);
    n->shell->wake(n->shell_ctx);
}

static void bury(cnode_proc *p) {
    cnode *n = p->node;

    if (p->config.on_end != NULL)
        p->config.on_end(p, p->reason, p->config.data);
    free_mailbox(p);
    cnode__task_free(p);
    if (p->reason_is_copy)
        etf_copy_free(&n->alloc, p->reason);
    cn__free(&n->alloc, p, 1, sizeof *p);
}

void cnode__bury(cnode *n) {
    cnode__list *l = n->ended.next;

    while (l != &n->ended) {
        cnode_proc *p = cnode__list_of(cnode_proc, in_node, l);
        l = l->next;
        /* Its function or cnode_receive is still on the stack. */
        if (p->receiving || (p->task != NULL && p->task->running))
            continue;
        cnode__list_leave(&p->in_node);
        bury(p);
        l = n->ended.next;
    }
}

int cnode_exit_args(cnode_proc *p, const etf_in *reason, size_t count) {
    cnode *n = p->node;
    etf_writer w;
    etf_view term;
    int err;

    etf_writer_init(&w, &n->alloc);
    (void)etf_pack_args(&w, reason, count);
    err = etf_writer_finish(&w, &term);
    if (err == 0)
        cnode__end(p, term);
    etf_writer_free(&w);
    return err == 0 ? 0 : cnode__err(n, err, "exit: %s", cn_strerror(err));
}

/* --- sending ------------------------------------------------------------- */

static int send_here(cnode *n, const char *node, size_t node_len, cnode_ctrl *c,
                     const etf_in *in, size_t count) {
    cnode__peer *peer = NULL;
    int err;

    etf_writer_reset(&n->message);
    (void)etf_pack_args(&n->message, in, count);
    err = etf_writer_finish(&n->message, &c->term);
    if (err != 0)
        cnode__set_error(n, err, "send: %s", cn_strerror(err));
    else if (node != NULL)
        err = cnode__find_peer_n(n, node, node_len, &peer);
    if (err == 0)
        err = cnode__route(n, peer, c);
    if (n->message.cap > KEEP_WRITER)
        etf_writer_free(&n->message);
    return err;
}

static int carry(cnode *n, const char *node, size_t node_len, cnode_ctrl *c) {
    char name[CNODE__NAME_MAX + 1];
    etf_writer w;
    etf_view frozen;
    int err;

    if (node != NULL)
        memcpy(name, node, node_len);
    name[node_len] = '\0';
    etf_writer_init(&w, &n->alloc);
    err = cnode__freeze(&w, c, &frozen);
    if (err == 0)
        err = n->shell->carry(n->shell_ctx, name, frozen);
    etf_writer_free(&w);
    return err;
}

static int send_there(cnode *n, const char *node, size_t node_len,
                      cnode_ctrl *c, const etf_in *in, size_t count) {
    etf_writer w;
    int err;

    etf_writer_init(&w, &n->alloc);
    (void)etf_pack_args(&w, in, count);
    err = etf_writer_finish(&w, &c->term);
    if (err == 0)
        err = carry(n, node, node_len, c);
    etf_writer_free(&w);
    return err;
}

/* Packs the message and sends it (node NULL: to this node); what another
 * thread sends is carried to that of the loop. */
static int send_packed(cnode_proc *p, const char *node, size_t node_len,
                       cnode_ctrl *c, const etf_in *in, size_t count) {
    cnode *n = p->node;

    if (n->shell->on_loop(n->shell_ctx)) {
        c->from = cnode__pid_of(n, p->number);
        return send_here(n, node, node_len, c, in, count);
    }
    c->from = make_pid(p->number, 0, "");
    return send_there(n, node, node_len, c, in, count);
}

static void start(cnode_ctrl *c, cnode_signal signal) {
    static const cnode_ctrl empty = {0};

    *c = empty;
    c->signal = signal;
}

int cnode_send_args(cnode_proc *p, const etf_pid *to, const etf_in *in,
                    size_t n) {
    cnode_ctrl c;

    start(&c, CNODE_SIG_SEND);
    c.to = *to;
    return send_packed(p, to->node, to->node_len, &c, in, n);
}

int cnode_send_name_args(cnode_proc *p, const char *node, const char *name,
                         const etf_in *in, size_t n) {
    cnode_ctrl c;

    if (node != NULL && strlen(node) > CNODE__NAME_MAX)
        return CN_EBADARG;
    start(&c, CNODE_SIG_REG_SEND);
    c.name = (etf_view){(const uint8_t *)name, strlen(name)};
    return send_packed(p, node, node == NULL ? 0 : strlen(node), &c, in, n);
}

int cnode_send_alias_args(cnode_proc *p, const etf_ref *alias, const etf_in *in,
                          size_t n) {
    cnode_ctrl c;

    start(&c, CNODE_SIG_ALIAS_SEND);
    c.ref = *alias;
    return send_packed(p, alias->node, alias->node_len, &c, in, n);
}

int cnode_send_exit_args(cnode_proc *p, const etf_pid *to, const etf_in *in,
                         size_t n) {
    cnode_ctrl c;

    start(&c, CNODE_SIG_EXIT2);
    c.to = *to;
    return send_packed(p, to->node, to->node_len, &c, in, n);
}

/* --- answers ------------------------------------------------------------- */

static bool get_improper_alias(etf_view tag, etf_view *alias) {
    return etf_match(tag, "[alias | ~t]", alias) == 0;
}

/* The alias in [alias|Ref] or [[alias|Ref]|_], as gen_server makes tags. */
static bool alias_of_tag(etf_view tag, etf_ref *out) {
    etf_view alias, head;

    if (!get_improper_alias(tag, &alias)) {
        if (etf_match(tag, "[~t | _]", &head) != 0 ||
            !get_improper_alias(head, &alias))
            return false;
    }
    return etf_match(alias, "~r", out) == 0;
}

static bool peer_has_alias(cnode *n, const etf_ref *alias) {
    const cnode__peer *peer;

    if (cnode__is_self(n, alias->node, alias->node_len))
        return true;
    peer = cn__map_get(&n->peers, alias->node, alias->node_len);
    return peer != NULL && peer->up != NULL &&
           (peer->flags & CNODE_FLAG_ALIAS) != 0;
}

int cnode_reply_args(cnode_proc *p, const cnode_from *from, const etf_in *in,
                     size_t count) {
    cnode *n = p->node;
    etf_writer w;
    etf_view value;
    etf_ref alias;
    int err;

    etf_writer_init(&w, &n->alloc);
    (void)etf_pack_args(&w, in, count);
    err = etf_writer_finish(&w, &value);
    if (err != 0)
        cnode__set_error(n, err, "reply: %s", cn_strerror(err));
    else if (alias_of_tag(from->tag, &alias) && peer_has_alias(n, &alias))
        err = cnode_send_alias(p, &alias, "{~t, ~t}", from->tag, value);
    else
        err = cnode_send(p, &from->pid, "{~t, ~t}", from->tag, value);
    etf_writer_free(&w);
    return err;
}
