/* SPDX-License-Identifier: Apache-2.0
 *
 * process.c: processes of this node. A process is a pid, perhaps a name,
 * and either callbacks or a mailbox. It ends once: cnode__end takes it out
 * of every table and tells links and monitors; cnode__bury, from the pump,
 * calls on_end and frees it, so a callback can end its own process.
 */
#include <string.h>

#include "cnode/control.h"
#include "cnode/node.h"
#include "cnode/sized.h"
#include "ext_term/term.h"

/* --- pids ---------------------------------------------------------------- */

void cnode__set_node(etf_pid *pid, const char *node) {
    size_t len = strlen(node);

    pid->node_len = (uint16_t)len;
    memcpy(pid->node, node, len + 1);
}

static void set_pid(etf_pid *pid, uint64_t number, uint32_t creation,
                    const char *node) {
    cnode__split_number(number, &pid->id, &pid->serial);
    pid->creation = creation;
    cnode__set_node(pid, node);
}

static etf_pid make_pid(uint64_t number, uint32_t creation, const char *node) {
    etf_pid pid;

    set_pid(&pid, number, creation, node);
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
    /* Messages come in rows. */
    if (n->last_proc == NULL || n->last_proc->number != number)
        n->last_proc = cn__map_get(&n->procs, &number, sizeof number);
    return n->last_proc;
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
    return p->data;
}

/* --- group leaders ------------------------------------------------------- */

int cnode__lead(cnode_proc *p, const etf_pid *leader) {
    const cn_alloc *alloc = &p->node->alloc;
    cnode__extra *x = cnode__extra_of(p);
    uint8_t buf[CNODE__PID_TERM];
    etf_writer w;
    etf_view term, copy;

    etf_writer_init_fixed(&w, buf, sizeof buf);
    etf_put_pid(&w, leader);
    if (x == NULL || etf_writer_finish(&w, &term) != 0 ||
        etf_copy(alloc, term, &copy) != 0)
        return CN_ENOMEM;
    if (x->leader.len > 0)
        etf_copy_free(alloc, x->leader);
    x->leader = copy;
    return 0;
}

etf_pid cnode_group_leader(const cnode_proc *p) {
    etf_reader r;
    etf_pid pid;

    if (p->extra == NULL || p->extra->leader.len == 0) {
        p->node->creation_used = true;
        return cnode__pid_of(p->node, p->node->user);
    }
    etf_reader_init(&r, p->extra->leader);
    etf_get_pid(&r, &pid);
    return pid;
}

int cnode_set_group_leader(cnode *n, const etf_pid *to, const etf_pid *leader) {
    cnode__peer *peer;
    cnode_ctrl c;
    int err = cnode__find_peer_n(n, to->node, to->node_len, &peer);

    if (err != 0)
        return err;
    cnode__ctrl_clear(&c, CNODE_SIG_GROUP_LEADER);
    c.from = *leader;
    c.to = *to;
    return cnode__route(n, peer, &c);
}

/* --- names --------------------------------------------------------------- */

cnode_proc *cnode_whereis(const cnode *n, const char *name) {
    return cn__map_get(&n->names, name, strlen(name));
}

/* Why the process cannot have that name; NULL: it may. */
static const char *bad_name(const cnode_proc *p, const char *name) {
    if (p->name != NULL)
        return "the process has a name already";
    if (name[0] == '\0')
        return "it is empty";
    if (strcmp(name, "undefined") == 0)
        return "it stands for no name";
    return cnode__is_atom(name) ? NULL
                                : "it is no UTF-8, or has more than 255 "
                                  "characters";
}

int cnode_register(cnode_proc *p, const char *name) {
    cnode *n = p->node;
    const char *bad;
    char *copy;

    if (p->ended)
        return cnode__gone(p);
    bad = bad_name(p, name);
    if (bad != NULL)
        return cnode__err(n, CN_EBADARG, "'%.100s' cannot be registered: %s",
                          name, bad);
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

/* --- kinds --------------------------------------------------------------- */

/* Byte by byte the same for the same kind: it is a key. */
static void make_key(const cnode_proc_config *c, cnode_proc_config *key) {
    memset(key, 0, sizeof *key);
    key->on_message = c->on_message;
    key->on_call = c->on_call;
    key->on_cast = c->on_cast;
    key->on_down = c->on_down;
    key->on_exit = c->on_exit;
    key->trap_exit = c->trap_exit;
    key->on_end = c->on_end;
    key->max_mailbox = c->max_mailbox;
    key->max_messages = c->max_messages;
    key->when_full = c->when_full;
    key->on_event = c->on_event;
    key->put_state = c->put_state;
    key->sys = c->sys;
}

/* Does on_message get whatever comes, requests and system messages too? */
static bool takes_all(const cnode_proc_config *c) {
    return c->on_message != NULL && c->on_call == NULL && c->on_cast == NULL &&
           c->on_event == NULL && c->sys != CNODE_SYS_ON;
}

static cnode__kind *take_kind(cnode *n, const cnode_proc_config *c) {
    cnode_proc_config key;
    cnode__kind *k;

    make_key(c, &key);
    k = cn__map_get(&n->kinds, &key, sizeof key);
    if (k == NULL) {
        k = cn__calloc(&n->alloc, 1, sizeof *k);
        if (k == NULL)
            return NULL;
        memcpy(&k->config, &key, sizeof key);
        k->plain = takes_all(&key);
        if (cn__map_put(&n->kinds, &k->config, sizeof key, k) != 0) {
            cn__free(&n->alloc, k, 1, sizeof *k);
            return NULL;
        }
    }
    k->users++;
    return k;
}

static void leave_kind(cnode *n, cnode__kind *k) {
    if (--k->users > 0)
        return;
    (void)cn__map_remove(&n->kinds, &k->config, sizeof k->config);
    cn__free(&n->alloc, k, 1, sizeof *k);
}

/* --- birth --------------------------------------------------------------- */

cnode__extra *cnode__extra_of(cnode_proc *p) {
    if (p->extra == NULL) {
        p->extra = cn__calloc(&p->node->alloc, 1, sizeof *p->extra);
        if (p->extra != NULL)
            cnode__list_init(&p->extra->pendings);
    }
    return p->extra;
}

static void free_extra(cnode_proc *p) {
    const cn_alloc *alloc = &p->node->alloc;
    cnode__extra *x = p->extra;

    if (x == NULL)
        return;
    cnode__pending_end(p);
    cnode__task_free(p);
    cnode__trace_free(p);
    if (x->leader.len > 0)
        etf_copy_free(alloc, x->leader);
    cn__free(alloc, x->lent_from, 1, sizeof *x->lent_from);
    cn__free(alloc, x, 1, sizeof *x);
    p->extra = NULL;
}

static void free_proc(cnode_proc *p) {
    cnode *n = p->node;

    free_extra(p);
    if (p->kind != NULL)
        leave_kind(n, p->kind);
    cn__free(&n->alloc, p, 1, sizeof *p);
}

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
    p->data = c->data;
    p->kind = take_kind(n, c);
    cnode__list_init(&p->in_node);
    cnode__list_init(&p->links);
    cnode__list_init(&p->watches);
    cnode__list_init(&p->waiters);
    cnode__list_init(&p->timers);
    if (p->kind == NULL ||
        cn__map_put(&n->procs, &p->number, sizeof p->number, p) != 0) {
        free_proc(p);
        return cnode__err(n, CN_ENOMEM, "out of memory");
    }
    *out = p;
    return 0;
}

static void forget_number(cnode_proc *p) {
    (void)cn__map_remove(&p->node->procs, &p->number, sizeof p->number);
    if (p->node->last_proc == p)
        p->node->last_proc = NULL;
}

static void unmake(cnode_proc *p) {
    forget_number(p);
    free_proc(p);
}

int cnode_spawn_sized(cnode *n, const cnode_proc_config *given, size_t size,
                      cnode_proc **out) {
    cnode_proc_config known;
    const cnode_proc_config *c =
        cnode__take_sized(&known, sizeof known, given, size);
    cnode_proc *p;
    int err = given != NULL ? cnode__proc_new(n, c, &p)
                            : cnode__err(n, CN_EBADARG,
                                         "spawn: no configuration is given");

    if (out != NULL)
        *out = NULL;
    if (err == 0 && c->name != NULL && (err = cnode_register(p, c->name)) != 0)
        unmake(p);
    if (err == 0 && out != NULL)
        *out = p;
    return err;
}

int cnode__spawn_lasting(cnode *n, const cnode_proc_config *c,
                         cnode_proc **out) {
    cnode_proc *p;
    int err = cnode_spawn(n, c, &p);

    if (err == 0)
        p->lasting = true;
    if (out != NULL)
        *out = p;
    return err;
}

/* --- delivery ------------------------------------------------------------ */

static bool has_mailbox(const cnode_proc *p) {
    return p->kind->config.on_message == NULL &&
           p->kind->config.on_call == NULL && p->kind->config.on_cast == NULL &&
           p->kind->config.on_event == NULL;
}

static bool is_suspended(const cnode_proc *p) {
    return p->extra != NULL && p->extra->suspended;
}

static bool deliver_request(cnode_proc *p, const cnode_msg *m) {
    cnode_from from;
    etf_view request;

    if (p->kind->config.on_call != NULL &&
        cnode_msg_is_call(m, &from, &request)) {
        p->kind->config.on_call(p, &from, request, p->data);
        return true;
    }
    if (p->kind->config.on_cast != NULL && cnode_msg_is_cast(m, &request)) {
        p->kind->config.on_cast(p, request, p->data);
        return true;
    }
    return cnode__gen_event(p, m);
}

static void hand_over(cnode_proc *p, const cnode_msg *m) {
    if (cnode__gen_system(p, m->term) || deliver_request(p, m))
        return;
    if (p->kind->config.on_message != NULL) {
        p->kind->config.on_message(p, m, p->data);
        return;
    }
    /* a server that takes other things only */
    (void)cnode_refuse_msg(p, m);
    cnode__stats_dropped(p->node, CNODE_DROP_UNWANTED), p->dropped++;
}

void cnode__deliver(cnode_proc *p, const cnode__message *m) {
    cnode_msg msg = {m->term, p->node->peer_now, m->from};

    if (p->ended || (p->calls > 0 && cnode__call_reply(p, m)))
        return;
    p->received++;
    if (p->kind->plain && p->extra == NULL && p->first == NULL &&
        m->token.len == 0) { /* most of them: all of what is below */
        p->kind->config.on_message(p, &msg, p->data);
        return;
    }
    if (is_suspended(p) && cnode__gen_system(p, m->term))
        return;
    if (has_mailbox(p) || is_suspended(p) ||
        p->first != NULL) { /* nothing overtakes */
        cnode__mail_keep(p, m);
        return;
    }
    if (!m->apart)
        cnode__trace_got(p, m->token);
    hand_over(p, &msg);
}

/* A mailbox has become something with callbacks: they get what is in it. */
static void empty_mailbox(cnode_proc *p, void *arg) {
    cnode *n = p->node;
    cnode__mail *mail;
    etf_pid from;

    (void)arg;
    while (!p->ended && !has_mailbox(p) && !is_suspended(p) &&
           (mail = cnode__mail_take(p)) != NULL) {
        cnode_msg m;
        cnode__mail_open(mail, &m, &from);
        cnode__mail_received(p, mail);
        n->peer_now = m.peer;
        hand_over(p, &m);
        n->peer_now = n->name;
        cnode__mail_free(n, mail);
    }
}

int cnode__mail_resume(cnode_proc *p) {
    int err = p->first == NULL ? 0 : cnode_after(p, 0, empty_mailbox, NULL);

    if (err == 0)
        p->extra->suspended = false;
    return err;
}

int cnode_become_sized(cnode_proc *p, const cnode_proc_config *given,
                       size_t size) {
    cnode_proc_config known;
    const cnode_proc_config *c =
        cnode__take_sized(&known, sizeof known, given, size);
    cnode *n = p->node;
    cnode__kind *kind = NULL;
    int err = p->ended ? cnode__gone(p) : 0;

    if (err == 0 && given == NULL)
        err = cnode__err(n, CN_EBADARG, "become: no configuration is given");
    if (err == 0 && (kind = take_kind(n, c)) == NULL)
        err = cnode__err(n, CN_ENOMEM, "out of memory");
    if (err == 0 && p->first != NULL)
        err = cnode_after(p, 0, empty_mailbox, NULL);
    if (err == 0 && c->name != NULL)
        err = cnode_register(p, c->name);
    if (err != 0) {
        if (kind != NULL)
            leave_kind(n, kind);
        return err;
    }
    leave_kind(n, p->kind);
    p->kind = kind;
    p->data = c->data;
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

bool cnode__is_atom(const char *text) {
    return text != NULL &&
           etf__utf8_count((const uint8_t *)text, strlen(text)) <= 255;
}

static void deliver_exit(cnode_proc *p, const cnode__exit *e) {
    cnode__message m = {
        .token = e->token, .system = e->linked, .priority = e->priority};
    etf_writer w;

    if (p->kind->config.on_exit != NULL) {
        cnode__trace_got(p, e->token);
        const cnode_exit_signal signal = {*e->from, e->reason};
        p->kind->config.on_exit(p, &signal, p->data);
        return;
    }
    etf_writer_init(&w, &p->node->alloc);
    (void)etf_pack(&w, "{'EXIT', ~p, ~t}", e->from, e->reason);
    if (etf_writer_finish(&w, &m.term) == 0)
        cnode__deliver(p, &m);
    else
        cnode__drop_message(p, "out of memory");
    etf_writer_free(&w);
}

static void ignore_exit(const cnode_proc *p, const cnode__exit *e) {
    cn__log(&p->node->config.log, CN_LOG_DEBUG, "node",
            "%s: an exit signal for the process %s is ignored", e->from->node,
            p->name != NULL ? p->name : "of the library");
}

/* Section "Exit Signals" of the reference manual, chapter Processes. */
void cnode__exit_signal(cnode_proc *p, const cnode__exit *e) {
    const cnode_proc_config *c = &p->kind->config;
    uint8_t buf[16];
    bool own = !e->linked && cnode__proc_of(p->node, e->from) == p;

    if (p->ended)
        return;
    if (p->lasting)
        ignore_exit(p, e);
    else if (!e->linked && is_atom(e->reason, "kill"))
        cnode__end(p, cnode__atom("killed", buf, sizeof buf));
    else if (c->on_exit != NULL || c->trap_exit)
        deliver_exit(p, e);
    else if (own || !is_atom(e->reason, "normal")) {
        if (e->token.len > 0) /* its links go on with the trace */
            cnode__trace_got(p, e->token);
        cnode__end(p, e->reason);
    }
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
    forget_number(p);
    forget_name(p);
    cnode__relations_end(p, reason);
    keep_reason(p, reason); /* where the relations were */
    cnode__list_add(&n->ended, &p->in_node);
    n->shell->wake(n->shell_ctx);
}

static void bury(cnode_proc *p) {
    if (p->kind->config.on_end != NULL)
        p->kind->config.on_end(p, p->reason, p->data);
    cnode__mail_free_all(p);
    if (p->reason_is_copy)
        etf_copy_free(&p->node->alloc, p->reason);
    free_proc(p);
}

static bool on_the_stack(const cnode_proc *p) {
    const cnode__task *t = p->extra == NULL ? NULL : p->extra->task;
    return p->receiving || (t != NULL && t->running);
}

void cnode__bury(cnode *n) {
    cnode__list *l = n->ended.next;

    while (l != &n->ended) {
        cnode_proc *p = cnode__list_of(cnode_proc, in_node, l);
        l = l->next;
        /* Its function or cnode_receive is still on the stack. */
        if (on_the_stack(p))
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
    err = cnode__pack(n, &w, "exit", reason, count, &term);
    if (err == CN_ENOMEM) { /* it is not to be used any more in any case */
        term = (etf_view){system_limit, sizeof system_limit};
        err = 0;
    }
    if (err == 0)
        cnode__end(p, term);
    etf_writer_free(&w);
    return err;
}

/* --- sending ------------------------------------------------------------- */

static int send_here(cnode *n, const char *node, size_t node_len, cnode_ctrl *c,
                     const etf_in *in, size_t count) {
    cnode__peer *peer = NULL;
    int err;

    etf_writer_reset(&n->message);
    err = cnode__pack(n, &n->message, "send", in, count, &c->term);
    if (err == 0 && node != NULL)
        err = cnode__find_peer_n(n, node, node_len, &peer);
    if (err == 0)
        err = cnode__route(n, peer, c);
    n->message_used = true;
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
        if (p->ended) /* its links and monitors have been told */
            return cnode__gone(p);
        set_pid(&c->from, p->number, n->creation, n->name);
        if (c->signal != CNODE_SIG_EXIT2) /* these have none in Erlang */
            cnode__trace_put(p, c);
        return send_here(n, node, node_len, c, in, count);
    }
    c->from = make_pid(p->number, 0, "");
    return send_there(n, node, node_len, c, in, count);
}

int cnode_send_args(cnode_proc *p, const etf_pid *to, const etf_in *in,
                    size_t n) {
    cnode_ctrl c;
    int err;

    if (cnode__send_brief(p, to, in, n, &err))
        return err;
    cnode__ctrl_clear(&c, CNODE_SIG_SEND);
    cnode__copy_pid(&c.to, to);
    return send_packed(p, to->node, to->node_len, &c, in, n);
}

/* The error belongs to the thread of the loop. */
static int bad_send(cnode *n, const char *why) {
    if (n->shell->on_loop(n->shell_ctx))
        cnode__set_error(n, CN_EBADARG, "send: %s", why);
    return CN_EBADARG;
}

int cnode_send_name_args(cnode_proc *p, const char *node, const char *name,
                         const etf_in *in, size_t n) {
    cnode_ctrl c;

    if (name == NULL)
        return bad_send(p->node, "no name is given");
    if (node != NULL && strlen(node) > CNODE__NAME_MAX)
        return bad_send(p->node, "the name of the node is too long");
    cnode__ctrl_clear(&c, CNODE_SIG_REG_SEND);
    c.name = (etf_view){(const uint8_t *)name, strlen(name)};
    return send_packed(p, node, node == NULL ? 0 : strlen(node), &c, in, n);
}

static int send_alias(cnode_proc *p, const etf_ref *alias, bool priority,
                      const etf_in *in, size_t n) {
    cnode_ctrl c;

    cnode__ctrl_clear(&c, CNODE_SIG_ALIAS_SEND);
    c.ref = *alias;
    c.priority = priority;
    return send_packed(p, alias->node, alias->node_len, &c, in, n);
}

int cnode_send_alias_args(cnode_proc *p, const etf_ref *alias, const etf_in *in,
                          size_t n) {
    return send_alias(p, alias, false, in, n);
}

int cnode_send_priority_args(cnode_proc *p, const etf_ref *alias,
                             const etf_in *in, size_t n) {
    return send_alias(p, alias, true, in, n);
}

int cnode_send_exit_args(cnode_proc *p, const etf_pid *to, const etf_in *in,
                         size_t n) {
    cnode_ctrl c;

    cnode__ctrl_clear(&c, CNODE_SIG_EXIT2);
    c.to = *to;
    return send_packed(p, to->node, to->node_len, &c, in, n);
}

int cnode_exit_alias_args(cnode_proc *p, const etf_ref *alias, bool priority,
                          const etf_in *in, size_t n) {
    cnode_ctrl c;

    cnode__ctrl_clear(&c, CNODE_SIG_EXIT2);
    c.ref = *alias;
    c.to_alias = true;
    c.priority = priority;
    return send_packed(p, alias->node, alias->node_len, &c, in, n);
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

/* One that is not connected had it when it made the tag. By the pid a late
 * answer would reach a process that does not wait for it any more. */
static bool peer_has_alias(cnode *n, const etf_ref *alias) {
    const cnode__peer *peer;

    if (cnode__is_self(n, alias->node, alias->node_len))
        return true;
    peer = cn__map_get(&n->peers, alias->node, alias->node_len);
    return peer == NULL || peer->up == NULL ||
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
    err = cnode__pack(n, &w, "reply", in, count, &value);
    if (err == 0 && alias_of_tag(from->tag, &alias) &&
        peer_has_alias(n, &alias))
        err = cnode_send_alias(p, &alias, "{~t, ~t}", from->tag, value);
    else if (err == 0)
        err = cnode_send(p, &from->pid, "{~t, ~t}", from->tag, value);
    etf_writer_free(&w);
    return err;
}
