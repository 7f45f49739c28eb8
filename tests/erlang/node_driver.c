/* SPDX-License-Identifier: Apache-2.0
 *
 * node_driver.c: a node that does what it is told, so that a suite can drive
 * the C side of everything. node_driver.erl is how Erlang talks to it.
 *
 *   node_driver --name drv@127.0.0.1 [--ticktime-s 4] [--visible] ...
 *
 * Each field of cnode_config is an option of its name; --connect PEER may come
 * several times. The cookie is that of $CNODE_COOKIE or --cookie. It is a
 * port with {packet, 4}: when it is ready it says {0, {ready, Name, Port}}.
 *
 * A command is a term. It comes as a gen_server:call to the process `driver`,
 * or, where the network is what is tested, as {Number, Command} on stdin, and
 * then the answer is {Number, Answer} on stdout. The end of stdin ends the
 * program. The commands, and their answers if not ok:
 *
 *   {spawn, Group, N, Mode}   N processes, of mode trap, plain (exits end it)
 *                             or echo (traps, and sends {self(), Body} for
 *                             {From, Body}): the list of their pids
 *   {link, Group, Targets}    with pids, the i-th process with the i-th, modulo
 *                             the length of the shorter side: one links with
 *                             all, or all with one
 *   {unlink, Group, Targets}
 *   {monitor, Group, Targets} pids and {Name, Node}, the same way
 *   {demonitor, Group}        all of them
 *   {exit, Group, Reason}     ends its processes
 *   {exit_signal, Group, Targets, Reason}
 *   {send, Target, Options}   a pid or {Name, Node} gets {Sender, I, X}, I from
 *                             1 to messages, from each of `senders` processes,
 *                             interleaved. X is a binary of `size` bytes, or
 *                             with `atoms` the atom a<I rem atoms>. When all
 *                             are queued: {sent, Senders, Busy}, with how often
 *                             the queue was full
 *   {remote, Group, Node, M, F, Args}
 *                             the first of the group spawns there, with link
 *                             and monitor: {Code, Pid}
 *   {alias, Group, Once}      of the first of the group: {ok, Ref}
 *   {unalias, Group, Ref}
 *   {alias_send, Ref, Term}   from `driver`
 *   {report, Group}           what arrived there, a map; see report()
 *   {connect, Node}           up, or {error, Code, Text}
 *   {disconnect, Node}
 *   {keep, Node, FirstMs, MaxMs, SteadyMs, Attempts}
 *   {policy, Node, Policy}    default, allow, hidden, deny
 *   {listen_unix, Path}
 *   {leave, Ms}               ok when it has, or {error, Code, Text}
 *   {cookie, Node, C}         as {address, Node, A}, and {found, Node, A} for
 *                             a lookup (--ask); [] takes it back
 *   peers                     names of those connected
 *   events                    {Now, [{Kind, Node, Id, Hidden, Code, Text, At}]}
 *                             with times in ms; of kind up, down, retry,
 *                             given_up (Id: failures) or lookup
 *   {flags, Node}             what was agreed on with it (conn.h), or 0
 *   stats                     a map
 *   {call, Node, Name, Ms, Request}
 *   {rpc, Node, M, F, Args, Ms}
 *                             {Code, Result}, Code 'CN_OK' or another
 *   {ping, Node}              {ok, Us}: what it took, or {error, Code, Text}
 *   {crc, Term}               crc32 of its bytes, without version byte
 *   {stall, Ms}               after the answer the loop stands so long
 *   {global_register, Group, Name, Options}
 *                             a full node (--full): a global name for the first
 *                             of the group. Options: kill, notify, notify_all
 *                             (the method), replace (re_register). ok, or
 *                             {error, 'CN_EEXIST', Text} when it is taken
 *   {global_unregister, Name}
 *   {global_whereis, Name}    a pid or undefined
 *   global_names              [{Name, Pid}], as this node has them
 *   global_nodes              the members it knows
 *   {global_sync, Ms}         ok, or {error, 'CN_ETIMEDOUT', Text}
 *   global_told               what its processes were told of conflicts:
 *                             [{Pid, {global_name_conflict, ...}}], in order
 *   {pg_join, Scope, Group, Of}
 *                             the processes of group Of join; the scope is
 *                             started
 *   {pg_members, Scope, Group}
 *   {global_lock, Group, Resource, Nodes, Tries}
 *                             for the first of the group; Nodes []: all
 *   {global_unlock, Group, Resource, Nodes}
 *   {export, M, F, Value}     M:F() gives Value here, as does what was exported
 *                             before
 *   stop
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include <base/bytes.h>
#include <base/map.h>
#include <cnode/cnode.h>
#include <cnode/global.h>
#include <cnode/pg.h>

enum {
    NAME_MAX_ = 256,
    MANY_CONNECTS = 16,
    MANY_REASONS = 16,
    STEP = 512 /* messages sent in one go */
};

typedef struct tally {
    etf_view reason;
    uint64_t n;
} tally;

/* How often something was told, by reason. */
typedef struct tallies {
    tally at[MANY_REASONS];
    size_t n;
    uint64_t all;
} tallies;

/* A link or monitor of a member, or a sender it got messages from. */
typedef struct relation {
    struct relation *next;
    uint64_t told;
    int64_t last; /* number of a message */
    bool off;
    etf_ref ref;
    etf_pid pid;
    size_t key_len;
    uint8_t key[];
} relation;

typedef struct group {
    struct group *next;
    struct driver *d;
    char name[NAME_MAX_];
    struct member *members;
    size_t n;
    bool echo;
    uint64_t messages;
    uint64_t bytes;
    uint64_t disorder;
    uint64_t strange; /* told of what was never asked for, or taken back */
    uint32_t crc;
    tallies exits, downs, ends;
    cn_map links, monitors, senders; /* of relations */
    relation *relations;
} group;

typedef struct member {
    group *group;
    cnode_proc *proc; /* NULL: it has ended */
    uint32_t index;
} member;

/* Who waits for an answer. */
typedef struct asker {
    struct asker *next;
    struct asker **before;
    struct driver *d;
    int64_t number; /* on stdin; 0: a call */
    cnode_from from;
    uint8_t tag[];
} asker;

typedef struct event {
    const char *kind;
    bool hidden;
    uint32_t id;
    uint64_t flags;
    int status;
    uint64_t at;
    char *name;
    char *text;
} event;

/* {send, ...} under way. */
typedef struct job {
    struct job *next;
    struct driver *d;
    asker *who;
    cnode_proc **senders;
    etf_pid *pids;
    uint32_t n; /* senders */
    uint32_t at;
    int64_t i;
    int64_t messages;
    int64_t atoms;
    uint64_t busy;
    etf_pid to;
    char name[NAME_MAX_]; /* empty: to a pid */
    char node[NAME_MAX_];
    etf_writer x;
} job;

typedef struct driver {
    cnode *node;
    cnode_proc *self;
    cnode_config config;
    const char *connect[MANY_CONNECTS];
    size_t connects;
    group *groups;
    asker *askers;
    job *jobs;
    event *events;
    size_t event_count;
    uint32_t stall_ms;
    int ending[2]; /* a pipe that is closed at the end */
    etf_writer out;
    etf_writer told; /* elements for global_told */
    size_t told_count;
    etf_view value; /* of the functions that are exported; a copy */
} driver;

static _Noreturn void die(const char *what, const char *why) {
    (void)fprintf(stderr, "node_driver: %s: %s\n", what, why);
    exit(1);
}

static void *take(size_t n) {
    void *p = calloc(1, n);

    if (p == NULL)
        die("memory", "none");
    return p;
}

static char *keep(const char *text) {
    size_t n = strlen(text == NULL ? "" : text) + 1;

    return memcpy(take(n), text == NULL ? "" : text, n);
}

static bool text_of(etf_view atom, char out[NAME_MAX_]) {
    if (atom.len >= NAME_MAX_ || memchr(atom.data, 0, atom.len) != NULL)
        return false;
    memcpy(out, atom.data, atom.len);
    out[atom.len] = '\0';
    return true;
}

/* --- answers -------------------------------------------------------------- */

static asker *asker_new(driver *d, const cnode_from *from, int64_t number) {
    size_t tag = from == NULL ? 0 : from->tag.len;
    asker *a = take(sizeof *a + tag);

    a->d = d;
    a->number = number;
    if (from != NULL) {
        memcpy(a->tag, from->tag.data, tag);
        a->from = (cnode_from){from->pid, {a->tag, tag}};
    }
    a->next = d->askers;
    a->before = &d->askers;
    if (a->next != NULL)
        a->next->before = &a->next;
    d->askers = a;
    return a;
}

static void asker_free(asker *a) {
    *a->before = a->next;
    if (a->next != NULL)
        a->next->before = a->before;
    free(a);
}

/* {Number, Answer} as a packet. */
static void write_packet(int64_t number, etf_view answer) {
    etf_writer w;
    etf_view v;
    uint8_t head[4];

    etf_writer_init(&w, NULL);
    etf_put_version(&w);
    (void)etf_pack(&w, "{~i, ~t}", number, answer);
    if (etf_writer_finish(&w, &v) != 0)
        die("answer", cn_strerror(w.err));
    cn__put32(head, (uint32_t)v.len);
    if (fwrite(head, 1, sizeof head, stdout) != sizeof head ||
        fwrite(v.data, 1, v.len, stdout) != v.len || fflush(stdout) != 0)
        die("stdout", "closed");
    etf_writer_free(&w);
}

/* What was put into d->out. */
static void answer(asker *a) {
    driver *d = a->d;
    etf_view v;

    if (etf_writer_finish(&d->out, &v) != 0)
        die("answer", cn_strerror(d->out.err));
    if (a->number != 0)
        write_packet(a->number, v);
    else if (cnode_reply(d->self, &a->from, "~t", v) != 0)
        (void)fprintf(stderr, "node_driver: answer: %s\n",
                      cnode_error(d->node)->text);
    asker_free(a);
}

static void answer_atom(asker *a, const char *atom) {
    etf_writer_reset(&a->d->out);
    etf_put_atom(&a->d->out, atom);
    answer(a);
}

static void answer_code(asker *a, int code) {
    driver *d = a->d;

    if (code == 0) {
        answer_atom(a, "ok");
        return;
    }
    etf_writer_reset(&d->out);
    (void)etf_pack(&d->out, "{error, ~a, ~b}", cn_errname(code),
                   cnode_error(d->node)->text);
    answer(a);
}

/* --- counting ------------------------------------------------------------- */

static void count(tallies *t, etf_view reason) {
    size_t i = 0;

    t->all++;
    while (i < t->n && !etf_view_eq(t->at[i].reason, reason))
        i++;
    if (i == MANY_REASONS)
        return;
    if (i == t->n) {
        if (etf_copy(NULL, reason, &t->at[i].reason) != 0)
            die("memory", "none");
        t->n++;
    }
    t->at[i].n++;
}

static void tallies_free(tallies *t) {
    for (size_t i = 0; i < t->n; i++)
        etf_copy_free(NULL, t->at[i].reason);
}

static void put_tallies(etf_writer *w, const tallies *t) {
    etf_begin_list(w);
    for (size_t i = 0; i < t->n; i++)
        (void)etf_pack(w, "{~t, ~i}", t->at[i].reason, t->at[i].n);
    etf_end_list(w);
}

typedef struct key {
    size_t len;
    uint8_t bytes[24 + ETF_NODE_MAX];
} key;

static void key_add(key *k, const void *p, size_t n) {
    memcpy(k->bytes + k->len, p, n);
    k->len += n;
}

static key key_of_pid(const member *m, const etf_pid *pid) {
    key k = {0};

    key_add(&k, &m->index, sizeof m->index);
    key_add(&k, &pid->id, sizeof pid->id);
    key_add(&k, &pid->serial, sizeof pid->serial);
    key_add(&k, &pid->creation, sizeof pid->creation);
    key_add(&k, pid->node, pid->node_len);
    return k;
}

/* References of this node: the words say all. */
static key key_of_ref(const member *m, const etf_ref *ref) {
    key k = {0};

    key_add(&k, &m->index, sizeof m->index);
    key_add(&k, ref->ids, ref->n * sizeof ref->ids[0]);
    return k;
}

static relation *relation_get(group *g, cn_map *map, const key *k) {
    relation *r = cn__map_get(map, k->bytes, k->len);

    if (r != NULL)
        return r;
    r = take(sizeof *r + k->len);
    r->key_len = k->len;
    memcpy(r->key, k->bytes, k->len);
    if (cn__map_put(map, r->key, r->key_len, r) != 0)
        die("memory", "none");
    r->next = g->relations;
    g->relations = r;
    return r;
}

static void told(group *g, cn_map *map, const key *k) {
    relation *r = cn__map_get(map, k->bytes, k->len);

    if (r == NULL || r->off)
        g->strange++;
    else
        r->told++;
}

/* --- processes ------------------------------------------------------------ */

/* Of {Sender, I, X}. */
static void note_order(member *m, etf_view term) {
    group *g = m->group;
    etf_pid from;
    int64_t i;
    etf_view x;
    relation *r;
    key k;

    if (etf_match(term, "{~p, ~i, ~t}", &from, &i, &x) != 0)
        return;
    k = key_of_pid(m, &from);
    r = relation_get(g, &g->senders, &k);
    r->pid = from;
    r->told++;
    if (i != r->last + 1)
        g->disorder++;
    r->last = i;
    g->crc = (uint32_t)crc32_z(g->crc, x.data, x.len);
}

/* What `global` tells of a name. */
static void note_conflict(driver *d, const etf_pid *self, etf_view term) {
    if (etf_match(term, "{global_name_conflict, _}") != 0 &&
        etf_match(term, "{global_name_conflict, _, _}") != 0)
        return;
    (void)etf_pack(&d->told, "{~p, ~t}", self, term);
    d->told_count++;
}

static void on_message(cnode_proc *self, const cnode_msg *m, void *data) {
    member *me = data;
    group *g = me->group;
    etf_pid from, pid = cnode_self(self);
    etf_view body;

    g->messages++;
    g->bytes += m->term.len;
    if (g->echo && etf_match(m->term, "{~p, ~t}", &from, &body) == 0) {
        if (cnode_send(self, &from, "{~p, ~t}", &pid, body) != 0)
            (void)fprintf(stderr, "node_driver: echo: %s\n",
                          cnode_error(g->d->node)->text);
        return;
    }
    note_conflict(g->d, &pid, m->term);
    note_order(me, m->term);
}

static void on_down(cnode_proc *self, const cnode_down *down, void *data) {
    member *me = data;
    key k = key_of_ref(me, &down->ref);

    (void)self;
    count(&me->group->downs, down->term);
    told(me->group, &me->group->monitors, &k);
}

static void on_exit_signal(cnode_proc *self, const cnode_exit_signal *e,
                           void *data) {
    member *me = data;
    key k = key_of_pid(me, &e->from);

    (void)self;
    count(&me->group->exits, e->term);
    told(me->group, &me->group->links, &k);
}

static void on_end(cnode_proc *self, etf_view reason, void *data) {
    member *me = data;

    (void)self;
    me->proc = NULL;
    count(&me->group->ends, reason);
}

static group *group_find(driver *d, const char *name) {
    group *g = d->groups;

    while (g != NULL && strcmp(g->name, name) != 0)
        g = g->next;
    return g;
}

static group *group_of(driver *d, etf_view atom) {
    char name[NAME_MAX_];

    return text_of(atom, name) ? group_find(d, name) : NULL;
}

static group *group_new(driver *d, const char *name, size_t n) {
    group *g = take(sizeof *g);

    g->d = d;
    (void)snprintf(g->name, sizeof g->name, "%s", name);
    g->n = n;
    g->members = take((n + 1) * sizeof *g->members);
    cn__map_init(&g->links, 1, cn_alloc_default());
    cn__map_init(&g->monitors, 2, cn_alloc_default());
    cn__map_init(&g->senders, 3, cn_alloc_default());
    g->next = d->groups;
    d->groups = g;
    return g;
}

static void group_free(group *g) {
    while (g->relations != NULL) {
        relation *r = g->relations;

        g->relations = r->next;
        free(r);
    }
    cn__map_free(&g->links);
    cn__map_free(&g->monitors);
    cn__map_free(&g->senders);
    tallies_free(&g->exits);
    tallies_free(&g->downs);
    tallies_free(&g->ends);
    free(g->members);
    free(g);
}

static int member_start(member *m, bool trap) {
    return cnode_spawn(
        m->group->d->node,
        &(cnode_proc_config){.on_message = on_message,
                             .on_down = on_down,
                             .on_exit = trap ? on_exit_signal : NULL,
                             .on_end = on_end,
                             .data = m},
        &m->proc);
}

static void put_self(etf_writer *w, const cnode_proc *p) {
    etf_pid pid = cnode_self(p);

    etf_put_pid(w, &pid);
}

static int start_members(group *g, bool trap, etf_writer *out) {
    int rc = 0;

    etf_writer_reset(out);
    etf_put_list(out, g->n);
    for (size_t i = 0; i < g->n && rc == 0; i++) {
        member *m = &g->members[i];

        *m = (member){.group = g, .index = (uint32_t)i};
        rc = member_start(m, trap);
        if (rc == 0)
            put_self(out, m->proc);
    }
    if (g->n > 0)
        etf_put_nil(out);
    return rc;
}

static void do_spawn(driver *d, asker *a, etf_view term) {
    etf_view name, mode;
    char text[NAME_MAX_];
    uint32_t n;
    group *g;
    int rc;

    if (etf_match(term, "{_, ~a, ~i, ~a}", &name, &n, &mode) != 0 ||
        !text_of(name, text) || group_find(d, text) != NULL) {
        answer_code(a, CN_EBADARG);
        return;
    }
    g = group_new(d, text, n);
    g->echo = etf_view_is(mode, "echo");
    rc = start_members(g, !etf_view_is(mode, "plain"), &d->out);
    if (rc != 0)
        answer_code(a, rc);
    else
        answer(a);
}

/* --- relations ------------------------------------------------------------ */

typedef int (*relate)(member *m, etf_view target, etf_view extra);

/* The i-th of either side with the i-th of the other, modulo its length. */
static int each_pair(group *g, etf_list targets, relate fn, etf_view extra) {
    etf_list at = targets;
    size_t n = g->n > targets.n ? g->n : targets.n;
    etf_view target;

    for (size_t i = 0; i < n && g->n > 0 && targets.n > 0; i++) {
        member *m = &g->members[i % g->n];
        int rc;

        if (at.n == 0)
            at = targets;
        (void)etf_list_next(&at, &target);
        rc = m->proc == NULL ? CN_ENOPROC : fn(m, target, extra);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int link_one(member *m, etf_view target, etf_view extra) {
    etf_pid pid;
    key k;

    (void)extra;
    if (etf_match(target, "~p", &pid) != 0)
        return CN_EBADARG;
    k = key_of_pid(m, &pid);
    relation_get(m->group, &m->group->links, &k)->off = false;
    return cnode_link(m->proc, &pid);
}

static int unlink_one(member *m, etf_view target, etf_view extra) {
    etf_pid pid;
    key k;

    (void)extra;
    if (etf_match(target, "~p", &pid) != 0)
        return CN_EBADARG;
    k = key_of_pid(m, &pid);
    relation_get(m->group, &m->group->links, &k)->off = true;
    return cnode_unlink(m->proc, &pid);
}

/* What a message, or a monitor, is for. */
static bool named(etf_view target, char name[NAME_MAX_], char node[NAME_MAX_]) {
    etf_view v[2];

    return etf_match(target, "{~a, ~a}", &v[0], &v[1]) == 0 &&
           text_of(v[0], name) && text_of(v[1], node);
}

static int monitor_one(member *m, etf_view target, etf_view extra) {
    char name[NAME_MAX_], node[NAME_MAX_];
    etf_pid pid;
    etf_ref ref;
    key k;
    int rc;

    (void)extra;
    if (etf_match(target, "~p", &pid) == 0)
        rc = cnode_monitor_pid(m->proc, &pid, &ref);
    else if (named(target, name, node))
        rc = cnode_monitor(m->proc, node, name, &ref);
    else
        rc = CN_EBADARG;
    if (rc != 0)
        return rc;
    k = key_of_ref(m, &ref);
    relation_get(m->group, &m->group->monitors, &k)->ref = ref;
    return 0;
}

static int exit_signal_one(member *m, etf_view target, etf_view reason) {
    etf_pid pid;

    if (etf_match(target, "~p", &pid) != 0)
        return CN_EBADARG;
    return cnode_send_exit(m->proc, &pid, "~t", reason);
}

static void do_pairs(driver *d, asker *a, etf_view term, relate fn) {
    etf_view name, extra = {0};
    etf_list targets;
    group *g;

    if ((etf_match(term, "{_, ~a, ~l}", &name, &targets) != 0 &&
         etf_match(term, "{_, ~a, ~l, ~t}", &name, &targets, &extra) != 0) ||
        (g = group_of(d, name)) == NULL)
        answer_code(a, CN_EBADARG);
    else
        answer_code(a, each_pair(g, targets, fn, extra));
}

static void do_link(driver *d, asker *a, etf_view term) {
    do_pairs(d, a, term, link_one);
}

static void do_unlink(driver *d, asker *a, etf_view term) {
    do_pairs(d, a, term, unlink_one);
}

static void do_monitor(driver *d, asker *a, etf_view term) {
    do_pairs(d, a, term, monitor_one);
}

static void do_exit_signal(driver *d, asker *a, etf_view term) {
    do_pairs(d, a, term, exit_signal_one);
}

static int demonitor(group *g, relation *r) {
    uint32_t index;
    member *m;

    memcpy(&index, r->key, sizeof index);
    m = &g->members[index];
    r->off = true;
    return m->proc == NULL ? CN_ENOPROC : cnode_demonitor(m->proc, &r->ref);
}

static void do_demonitor(driver *d, asker *a, etf_view term) {
    etf_view name;
    group *g =
        etf_match(term, "{_, ~a}", &name) == 0 ? group_of(d, name) : NULL;
    relation *r;
    int rc = g == NULL ? CN_EBADARG : 0;

    for (size_t i = 0; rc == 0 && (r = cn__map_next(&g->monitors, &i)) != NULL;)
        if (r->told == 0 && !r->off)
            rc = demonitor(g, r);
    answer_code(a, rc);
}

static void do_exit(driver *d, asker *a, etf_view term) {
    etf_view name, reason;
    group *g;
    int rc = 0;

    if (etf_match(term, "{_, ~a, ~t}", &name, &reason) != 0 ||
        (g = group_of(d, name)) == NULL) {
        answer_code(a, CN_EBADARG);
        return;
    }
    for (size_t i = 0; i < g->n && rc == 0; i++)
        if (g->members[i].proc != NULL)
            rc = cnode_exit(g->members[i].proc, "~t", reason);
    answer_code(a, rc);
}

/* --- report --------------------------------------------------------------- */

static void put_senders(etf_writer *w, const cn_map *senders) {
    relation *r;

    etf_begin_list(w);
    for (size_t i = 0; (r = cn__map_next(senders, &i)) != NULL;)
        (void)etf_pack(w, "{~p, ~i, ~i}", &r->pid, r->told, r->last);
    etf_end_list(w);
}

/* Of the links or monitors that are on: {never, once, more often} told. */
static void put_told(etf_writer *w, const cn_map *map) {
    uint64_t n[3] = {0};
    relation *r;

    for (size_t i = 0; (r = cn__map_next(map, &i)) != NULL;)
        if (!r->off)
            n[r->told < 2 ? r->told : 2]++;
    (void)etf_pack(w, "{~i, ~i, ~i}", n[0], n[1], n[2]);
}

static void put_atom_int(etf_writer *w, const char *atom, uint64_t v) {
    etf_put_atom(w, atom);
    etf_put_uint(w, v);
}

static uint64_t living(const group *g) {
    uint64_t n = 0;

    for (size_t i = 0; i < g->n; i++)
        n += g->members[i].proc != NULL;
    return n;
}

/* crc is of all X of the messages {Sender, I, X}, disorder how many of them did
 * not have the number after the one before from that sender to that process. */
static void report(const group *g, etf_writer *w) {
    etf_put_map(w, 12);
    put_atom_int(w, "living", living(g));
    put_atom_int(w, "messages", g->messages);
    put_atom_int(w, "bytes", g->bytes);
    put_atom_int(w, "crc", g->crc);
    put_atom_int(w, "disorder", g->disorder);
    put_atom_int(w, "strange", g->strange);
    etf_put_atom(w, "senders"); /* [{Pid, Messages, LastNumber}] */
    put_senders(w, &g->senders);
    etf_put_atom(w, "links"); /* {Untold, Once, More} */
    put_told(w, &g->links);
    etf_put_atom(w, "monitors");
    put_told(w, &g->monitors);
    etf_put_atom(w, "exits"); /* [{Reason, Times}] */
    put_tallies(w, &g->exits);
    etf_put_atom(w, "downs");
    put_tallies(w, &g->downs);
    etf_put_atom(w, "ends");
    put_tallies(w, &g->ends);
}

static void do_report(driver *d, asker *a, etf_view term) {
    etf_view name;
    group *g =
        etf_match(term, "{_, ~a}", &name) == 0 ? group_of(d, name) : NULL;

    if (g == NULL) {
        answer_code(a, CN_EBADARG);
        return;
    }
    etf_writer_reset(&d->out);
    report(g, &d->out);
    answer(a);
}

/* --- sending -------------------------------------------------------------- */

static void job_free(job *j) {
    job **at = &j->d->jobs;

    while (*at != j)
        at = &(*at)->next;
    *at = j->next;
    etf_writer_free(&j->x);
    free(j->senders);
    free(j->pids);
    free(j);
}

static void job_done(job *j) {
    driver *d = j->d;

    etf_writer_reset(&d->out);
    etf_put_tuple(&d->out, 3);
    etf_put_atom(&d->out, "sent");
    etf_begin_list(&d->out);
    for (uint32_t i = 0; i < j->n; i++) {
        etf_put_pid(&d->out, &j->pids[i]);
        (void)cnode_exit(j->senders[i], "normal");
    }
    etf_end_list(&d->out);
    etf_put_uint(&d->out, j->busy);
    answer(j->who);
    job_free(j);
}

static int job_send(job *j) {
    char atom[32];
    etf_view x;

    if (j->atoms > 0) {
        (void)snprintf(atom, sizeof atom, "a%" PRId64, j->i % j->atoms);
        etf_writer_reset(&j->x);
        etf_put_atom(&j->x, atom);
    }
    if (etf_writer_finish(&j->x, &x) != 0)
        die("message", cn_strerror(j->x.err));
    if (j->name[0] != '\0')
        return cnode_send_name(j->senders[j->at], j->node, j->name,
                               "{~p, ~i, ~t}", &j->pids[j->at], j->i, x);
    return cnode_send(j->senders[j->at], &j->to, "{~p, ~i, ~t}",
                      &j->pids[j->at], j->i, x);
}

static void job_step(cnode_proc *self, void *arg) {
    job *j = arg;
    int rc = 0;

    for (int n = 0; n < STEP && rc == 0 && j->i <= j->messages; n++) {
        rc = job_send(j);
        if (rc == 0 && ++j->at == j->n) {
            j->at = 0;
            j->i++;
        }
    }
    j->busy += rc == CN_EBUSY;
    if (rc != 0 && rc != CN_EBUSY) {
        answer_code(j->who, rc);
        job_free(j);
    } else if (j->i > j->messages) {
        job_done(j);
    } else if (cnode_after(self, rc == 0 ? 0 : 2, job_step, j) != 0) {
        die("timer", cnode_error(j->d->node)->text);
    }
}

static int64_t option(etf_view map, const char *name, int64_t otherwise) {
    etf_view v;
    int64_t i;

    if (etf_map_get(map, name, &v) == 0 && etf_match(v, "~i", &i) == 0)
        return i;
    return otherwise;
}

static void job_payload(job *j, size_t size) {
    uint8_t *bytes = take(size + 1);

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    etf_put_binary(&j->x, bytes, size);
    free(bytes);
}

static void job_start(job *j, etf_view options) {
    j->i = 1;
    j->messages = option(options, "messages", 1);
    j->atoms = option(options, "atoms", 0);
    j->n = (uint32_t)option(options, "senders", 1);
    etf_writer_init(&j->x, NULL);
    job_payload(j, (size_t)option(options, "size", 0));
    j->senders = take(j->n * sizeof(cnode_proc *));
    j->pids = take(j->n * sizeof *j->pids);
    for (uint32_t i = 0; i < j->n; i++) {
        if (cnode_spawn(j->d->node, &(cnode_proc_config){0}, &j->senders[i]) !=
            0)
            die("spawn", cnode_error(j->d->node)->text);
        j->pids[i] = cnode_self(j->senders[i]);
    }
    j->next = j->d->jobs;
    j->d->jobs = j;
    job_step(j->d->self, j);
}

static void do_send(driver *d, asker *a, etf_view term) {
    job *j = take(sizeof *j);
    etf_view target, options;

    *j = (job){.d = d, .who = a};
    if (etf_match(term, "{_, ~t, ~t}", &target, &options) != 0 ||
        (etf_match(target, "~p", &j->to) != 0 &&
         !named(target, j->name, j->node))) {
        free(j);
        answer_code(a, CN_EBADARG);
        return;
    }
    job_start(j, options);
}

/* --- connections ---------------------------------------------------------- */

static void on_connected(cnode *n, const char *peer, int status,
                         const cn_error *err, void *data) {
    asker *a = data;

    (void)n;
    (void)peer;
    etf_writer_reset(&a->d->out);
    if (status == 0)
        etf_put_atom(&a->d->out, "up");
    else
        (void)etf_pack(&a->d->out, "{error, ~a, ~b}", cn_errname(status),
                       err == NULL ? "" : err->text);
    answer(a);
}

static bool node_of(etf_view term, char node[NAME_MAX_]) {
    etf_view v;

    return etf_match(term, "{_, ~a}", &v) == 0 && text_of(v, node);
}

static void do_connect(driver *d, asker *a, etf_view term) {
    char node[NAME_MAX_];
    int rc = node_of(term, node) ? cnode_connect(d->node, node, on_connected, a)
                                 : CN_EBADARG;

    if (rc != 0)
        answer_code(a, rc);
}

static void on_pinged(cnode *n, const char *peer, int status,
                      const cn_error *err, uint64_t us, void *data) {
    asker *a = data;

    (void)n, (void)peer;
    etf_writer_reset(&a->d->out);
    if (status == 0)
        (void)etf_pack(&a->d->out, "{ok, ~i}", us);
    else
        (void)etf_pack(&a->d->out, "{error, ~a, ~b}", cn_errname(status),
                       err == NULL ? "" : err->text);
    answer(a);
}

static void do_ping(driver *d, asker *a, etf_view term) {
    char node[NAME_MAX_];
    int rc = node_of(term, node) ? cnode_ping(d->node, node, 0, on_pinged, a)
                                 : CN_EBADARG;

    if (rc != 0)
        answer_code(a, rc);
}

static void do_disconnect(driver *d, asker *a, etf_view term) {
    char node[NAME_MAX_];

    answer_code(a, node_of(term, node) ? cnode_disconnect(d->node, node)
                                       : CN_EBADARG);
}

/* {keep, Node, FirstMs, MaxMs, SteadyMs, Attempts} */
static void do_keep(driver *d, asker *a, etf_view term) {
    cnode_keep_opts o = {0};
    char node[NAME_MAX_];
    etf_view v;
    int rc = CN_EBADARG;

    if (etf_match(term, "{_, ~a, ~i, ~i, ~i, ~i}", &v, &o.first_ms, &o.max_ms,
                  &o.steady_ms, &o.attempts) == 0 &&
        text_of(v, node))
        rc = cnode_keep(d->node, node, &o);
    answer_code(a, rc);
}

/* {policy, Node, default | allow | hidden | deny} */
static void do_policy(driver *d, asker *a, etf_view term) {
    static const char *const names[] = {"default", "allow", "hidden", "deny"};
    char node[NAME_MAX_];
    etf_view v, policy;
    unsigned i = 0;

    if (etf_match(term, "{_, ~a, ~a}", &v, &policy) != 0 || !text_of(v, node)) {
        answer_code(a, CN_EBADARG);
        return;
    }
    while (i < 4 && !etf_view_is(policy, names[i]))
        i++;
    answer_code(a, cnode_set_policy(d->node, node, (cnode_policy)i));
}

static void do_listen_unix(driver *d, asker *a, etf_view term) {
    char path[NAME_MAX_];

    answer_code(a, node_of(term, path) ? cnode_listen_unix(d->node, path)
                                       : CN_EBADARG);
}

static void on_left(cnode *n, int status, const cn_error *err, void *data) {
    asker *a = data;

    (void)n;
    etf_writer_reset(&a->d->out);
    if (status == 0)
        etf_put_atom(&a->d->out, "ok");
    else
        (void)etf_pack(&a->d->out, "{error, ~a, ~b}", cn_errname(status),
                       err->text);
    answer(a);
}

/* {leave, Ms}: when it has. */
static void do_leave(driver *d, asker *a, etf_view term) {
    uint32_t ms;
    int rc = CN_EBADARG;

    if (etf_match(term, "{_, ~i}", &ms) == 0)
        rc = cnode_leave(d->node, ms, on_left, a);
    if (rc != 0)
        answer_code(a, rc);
}

/* {cookie | address | found, Node, Atom}; [] takes it back. */
static void do_setting(driver *d, asker *a, etf_view term) {
    int (*set)(cnode *, const char *, const char *) = cnode_set_cookie;
    char node[NAME_MAX_], text[NAME_MAX_], *value = text;
    etf_view v[3];
    int rc = CN_EBADARG;

    if (etf_match(term, "{~a, ~a, []}", &v[0], &v[1]) == 0 &&
        text_of(v[1], node))
        value = NULL, rc = 0;
    else if (etf_match(term, "{~a, ~a, ~a}", &v[0], &v[1], &v[2]) == 0 &&
             text_of(v[1], node) && text_of(v[2], text))
        rc = 0;
    if (rc == 0 && etf_view_is(v[0], "address"))
        set = cnode_set_address;
    else if (rc == 0 && etf_view_is(v[0], "found"))
        set = cnode_found;
    answer_code(a, rc == 0 ? set(d->node, node, value) : rc);
}

static void do_peers(driver *d, asker *a, etf_view term) {
    const char *name;

    (void)term;
    etf_writer_reset(&d->out);
    etf_begin_list(&d->out);
    for (size_t at = 0; (name = cnode_next_peer(d->node, &at)) != NULL;)
        etf_put_atom(&d->out, name);
    etf_end_list(&d->out);
    answer(a);
}

static void note(driver *d, event e, const char *name, const char *text) {
    event *grown = realloc(d->events, (d->event_count + 1) * sizeof *grown);

    if (grown == NULL)
        die("memory", "none");
    e.at = cnode_now(d->node);
    e.name = keep(name);
    e.text = keep(text);
    d->events = grown;
    d->events[d->event_count++] = e;
}

static void on_peer(cnode *n, const cnode_peer *p, void *data) {
    event e = {.kind = p->up ? "up" : "down",
               .hidden = p->hidden,
               .id = p->id,
               .flags = p->flags,
               .status = p->status};

    (void)n;
    note(data, e, p->name, p->text);
}

static void on_retry(cnode *n, const cnode_retry *r, void *data) {
    event e = {.kind = r->given_up ? "given_up" : "retry",
               .id = r->failures,
               .status = r->status};

    (void)n;
    note(data, e, r->name, r->text);
}

static void on_lookup(cnode *n, const char *peer, void *data) {
    (void)n;
    note(data, (event){.kind = "lookup"}, peer, "");
}

static void put_event(etf_writer *w, const event *e) {
    etf_put_tuple(w, 7);
    etf_put_atom(w, e->kind);
    etf_put_atom(w, e->name);
    etf_put_uint(w, e->id);
    etf_put_bool(w, e->hidden);
    etf_put_atom(w, cn_errname(e->status));
    etf_put_binary_str(w, e->text);
    etf_put_uint(w, e->at);
}

static void do_events(driver *d, asker *a, etf_view term) {
    (void)term;
    etf_writer_reset(&d->out);
    etf_put_tuple(&d->out, 2);
    etf_put_uint(&d->out, cnode_now(d->node));
    etf_begin_list(&d->out);
    for (size_t i = 0; i < d->event_count; i++)
        put_event(&d->out, &d->events[i]);
    etf_end_list(&d->out);
    answer(a);
}

static void do_flags(driver *d, asker *a, etf_view term) {
    char node[NAME_MAX_];
    uint64_t flags = 0;

    if (!node_of(term, node)) {
        answer_code(a, CN_EBADARG);
        return;
    }
    for (size_t i = 0; i < d->event_count; i++)
        if (strcmp(d->events[i].name, node) == 0)
            flags =
                strcmp(d->events[i].kind, "up") == 0 ? d->events[i].flags : 0;
    etf_writer_reset(&d->out);
    etf_put_uint(&d->out, flags);
    answer(a);
}

static void do_stats(driver *d, asker *a, etf_view term) {
    cnode_stats s;

    (void)term;
    cnode_get_stats(d->node, &s);
    etf_writer_reset(&d->out);
    etf_put_map(&d->out, 6);
    put_atom_int(&d->out, "messages_in", s.messages_in);
    put_atom_int(&d->out, "messages_out", s.messages_out);
    put_atom_int(&d->out, "dropped", s.dropped);
    put_atom_int(&d->out, "connections", s.connections);
    put_atom_int(&d->out, "processes", s.processes);
    put_atom_int(&d->out, "creation", cnode_creation(d->node));
    answer(a);
}

/* --- calls ---------------------------------------------------------------- */

static void on_result(cnode_proc *self, int status, etf_view result,
                      void *data) {
    asker *a = data;

    (void)self;
    etf_writer_reset(&a->d->out);
    if (result.len > 0)
        (void)etf_pack(&a->d->out, "{~a, ~t}", cn_errname(status), result);
    else
        (void)etf_pack(&a->d->out, "{~a, []}", cn_errname(status));
    answer(a);
}

static void do_call(driver *d, asker *a, etf_view term) {
    char node[NAME_MAX_], name[NAME_MAX_];
    cnode_call_opts to = {.node = node, .server = name};
    etf_view v[3];
    int rc = CN_EBADARG;

    if (etf_match(term, "{_, ~a, ~a, ~i, ~t}", &v[0], &v[1], &to.timeout_ms,
                  &v[2]) == 0 &&
        text_of(v[0], node) && text_of(v[1], name))
        rc = cnode_call(d->self, &to, on_result, a, "~t", v[2]);
    if (rc != 0)
        answer_code(a, rc);
}

static void do_rpc(driver *d, asker *a, etf_view term) {
    char node[NAME_MAX_], module[NAME_MAX_], function[NAME_MAX_];
    cnode_rpc_opts to = {.node = node, .module = module, .function = function};
    etf_view v[4];
    int rc = CN_EBADARG;

    if (etf_match(term, "{_, ~a, ~a, ~a, ~t, ~i}", &v[0], &v[1], &v[2], &v[3],
                  &to.timeout_ms) == 0 &&
        text_of(v[0], node) && text_of(v[1], module) && text_of(v[2], function))
        rc = cnode_rpc(d->self, &to, on_result, a, "~t", v[3]);
    if (rc != 0)
        answer_code(a, rc);
}

/* The link is noted as that of any other process it has. */
typedef struct remote {
    member *m;
    asker *who;
} remote;

static void on_spawned(cnode_proc *self, int status, etf_view result,
                       void *data) {
    remote *r = data;
    etf_pid pid;
    key k;

    if (status == 0 && etf_match(result, "~p", &pid) == 0) {
        k = key_of_pid(r->m, &pid);
        (void)relation_get(r->m->group, &r->m->group->links, &k);
    }
    on_result(self, status, result, r->who);
    free(r);
}

static int spawn_remote(remote *r, const cnode_spawn_opts *to, etf_view args) {
    group *g = r->m->group;
    etf_ref ref;
    key k;
    int rc =
        cnode_spawn_remote(r->m->proc, to, on_spawned, r, &ref, "~t", args);

    if (rc != 0)
        return rc;
    k = key_of_ref(r->m, &ref);
    relation_get(g, &g->monitors, &k)->ref = ref;
    return 0;
}

static void do_remote(driver *d, asker *a, etf_view term) {
    char node[NAME_MAX_], module[NAME_MAX_], function[NAME_MAX_];
    cnode_spawn_opts to = {.node = node,
                           .module = module,
                           .function = function,
                           .link = true,
                           .monitor = true};
    remote *r = take(sizeof *r);
    etf_view v[5];
    int rc = CN_EBADARG;
    group *g = NULL;

    if (etf_match(term, "{_, ~a, ~a, ~a, ~a, ~t}", &v[0], &v[1], &v[2], &v[3],
                  &v[4]) == 0)
        g = group_of(d, v[0]);
    if (g != NULL && g->n > 0 && g->members[0].proc != NULL &&
        text_of(v[1], node) && text_of(v[2], module) &&
        text_of(v[3], function)) {
        *r = (remote){&g->members[0], a};
        rc = spawn_remote(r, &to, v[4]);
    }
    if (rc != 0) {
        free(r);
        answer_code(a, rc);
    }
}

/* --- aliases -------------------------------------------------------------- */

static cnode_proc *first_of(driver *d, etf_view name) {
    group *g = group_of(d, name);

    return g == NULL || g->n == 0 ? NULL : g->members[0].proc;
}

static void do_alias(driver *d, asker *a, etf_view term) {
    etf_view name, once;
    etf_ref alias;
    int rc = CN_EBADARG;

    if (etf_match(term, "{_, ~a, ~a}", &name, &once) == 0 &&
        first_of(d, name) != NULL)
        rc = cnode_alias(first_of(d, name), etf_view_is(once, "true"), &alias);
    if (rc != 0) {
        answer_code(a, rc);
        return;
    }
    etf_writer_reset(&d->out);
    (void)etf_pack(&d->out, "{ok, ~r}", &alias);
    answer(a);
}

static void do_unalias(driver *d, asker *a, etf_view term) {
    etf_view name;
    etf_ref alias;
    int rc = CN_EBADARG;

    if (etf_match(term, "{_, ~a, ~r}", &name, &alias) == 0 &&
        first_of(d, name) != NULL)
        rc = cnode_unalias(first_of(d, name), &alias);
    answer_code(a, rc);
}

static void do_alias_send(driver *d, asker *a, etf_view term) {
    etf_view x;
    etf_ref alias;

    answer_code(a, etf_match(term, "{_, ~r, ~t}", &alias, &x) == 0
                       ? cnode_send_alias(d->self, &alias, "~t", x)
                       : CN_EBADARG);
}

/* --- global --------------------------------------------------------------- */

static void on_global(cnode *n, int status, const cn_error *err, void *data) {
    asker *a = data;

    (void)n;
    etf_writer_reset(&a->d->out);
    if (status == 0)
        etf_put_atom(&a->d->out, "ok");
    else
        (void)etf_pack(&a->d->out, "{error, ~a, ~b}", cn_errname(status),
                       err->text);
    answer(a);
}

static void global_option(cnode_global_opts *o, etf_view option) {
    if (etf_match(option, "replace") == 0)
        o->replace = true;
    else if (etf_match(option, "notify") == 0)
        o->method = CNODE_GLOBAL_NOTIFY;
    else if (etf_match(option, "notify_all") == 0)
        o->method = CNODE_GLOBAL_NOTIFY_ALL;
}

static void do_global_register(driver *d, asker *a, etf_view term) {
    cnode_global_opts o = {0};
    etf_view v[2], option;
    etf_list options;
    const group *g = NULL;
    int rc = CN_EBADARG;

    if (etf_match(term, "{_, ~a, ~t, ~l}", &v[0], &v[1], &options) == 0)
        g = group_of(d, v[0]);
    while (g != NULL && etf_list_next(&options, &option))
        global_option(&o, option);
    if (g != NULL && g->n > 0)
        rc = g->members[0].proc == NULL
                 ? CN_ENOPROC
                 : cnode_global_register_term(g->members[0].proc, v[1], &o,
                                              on_global, a);
    if (rc != 0)
        answer_code(a, rc);
}

static void do_global_unregister(driver *d, asker *a, etf_view term) {
    etf_view name;
    int rc = CN_EBADARG;

    if (etf_match(term, "{_, ~t}", &name) == 0)
        rc = cnode_global_unregister_term(d->node, name, on_global, a);
    if (rc != 0)
        answer_code(a, rc);
}

static void do_global_whereis(driver *d, asker *a, etf_view term) {
    etf_view name;
    etf_pid pid;

    if (etf_match(term, "{_, ~t}", &name) != 0 ||
        cnode_global_whereis_term(d->node, name, &pid) != 0) {
        answer_atom(a, "undefined");
        return;
    }
    etf_writer_reset(&d->out);
    etf_put_pid(&d->out, &pid);
    answer(a);
}

static void do_global_names(driver *d, asker *a, etf_view term) {
    size_t at = 0;
    etf_view name;
    etf_pid pid;

    (void)term;
    etf_writer_reset(&d->out);
    etf_begin_list(&d->out);
    while (cnode_global_next(d->node, &at, &name, &pid))
        (void)etf_pack(&d->out, "{~t, ~p}", name, &pid);
    etf_end_list(&d->out);
    answer(a);
}

static void do_global_nodes(driver *d, asker *a, etf_view term) {
    size_t at = 0;
    const char *node;

    (void)term;
    etf_writer_reset(&d->out);
    etf_begin_list(&d->out);
    while ((node = cnode_global_next_node(d->node, &at)) != NULL)
        etf_put_atom(&d->out, node);
    etf_end_list(&d->out);
    answer(a);
}

static void do_global_sync(driver *d, asker *a, etf_view term) {
    uint32_t ms;
    int rc = CN_EBADARG;

    if (etf_match(term, "{_, ~i}", &ms) == 0)
        rc = cnode_global_sync(d->node, ms, on_global, a);
    if (rc != 0)
        answer_code(a, rc);
}

enum { MOST_LOCKED = 16 };

/* Nodes by name, in memory that the next call uses again. */
static void lock_options(cnode_global_lock_opts *o, etf_list nodes) {
    static char text[MOST_LOCKED][NAME_MAX_];
    static const char *names[MOST_LOCKED];
    etf_view name;

    while (o->count < MOST_LOCKED && etf_list_next(&nodes, &name) &&
           etf_match(name, "~a", &name) == 0 && text_of(name, text[o->count])) {
        names[o->count] = text[o->count];
        o->count++;
    }
    o->nodes = o->count == 0 ? NULL : names;
}

static void do_global_lock(driver *d, asker *a, etf_view term) {
    cnode_global_lock_opts o = {0};
    etf_view name, resource;
    etf_list nodes;
    const group *g = NULL;
    int rc = CN_EBADARG;

    if (etf_match(term, "{_, ~a, ~t, ~l, ~i}", &name, &resource, &nodes,
                  &o.tries) == 0)
        g = group_of(d, name);
    if (g != NULL && g->n > 0 && g->members[0].proc != NULL) {
        lock_options(&o, nodes);
        rc = cnode_global_lock_term(g->members[0].proc, resource, &o, on_global,
                                    a);
    }
    if (rc != 0)
        answer_code(a, rc);
}

static void do_global_unlock(driver *d, asker *a, etf_view term) {
    cnode_global_lock_opts o = {0};
    etf_view name, resource;
    etf_list nodes;
    const group *g = NULL;
    int rc = CN_EBADARG;

    if (etf_match(term, "{_, ~a, ~t, ~l}", &name, &resource, &nodes) == 0)
        g = group_of(d, name);
    if (g != NULL && g->n > 0 && g->members[0].proc != NULL) {
        lock_options(&o, nodes);
        rc = cnode_global_unlock_term(g->members[0].proc, resource, &o,
                                      on_global, a);
    }
    if (rc != 0)
        answer_code(a, rc);
}

static void do_global_told(driver *d, asker *a, etf_view term) {
    etf_view all, one;

    (void)term;
    etf_writer_reset(&d->out);
    etf_begin_list(&d->out);
    if (d->told_count > 0 && etf_writer_finish(&d->told, &all) == 0)
        for (size_t i = 0; i < d->told_count; i++) {
            etf_reader r;

            etf_reader_init(&r, all);
            one = etf_get_term(&r);
            etf_put_term(&d->out, one);
            all.data += one.len, all.len -= one.len;
        }
    etf_end_list(&d->out);
    answer(a);
}

/* --- pg ------------------------------------------------------------------- */

static int pg_join(driver *d, etf_view scope, etf_view name, const group *of) {
    cnode_pg_opts o = {0};
    char text[NAME_MAX_];
    cnode_pg *pg;
    int rc;

    if (of == NULL || !text_of(scope, text))
        return CN_EBADARG;
    o.scope = text;
    rc = cnode_pg_start(d->node, &o, &pg);
    for (size_t i = 0; i < of->n && rc == 0; i++) {
        etf_pid pid;

        if (of->members[i].proc == NULL)
            return CN_ENOPROC;
        pid = cnode_self(of->members[i].proc);
        rc = cnode_pg_join(pg, &pid, 1, "~t", name);
    }
    return rc;
}

static void do_pg_join(driver *d, asker *a, etf_view term) {
    etf_view v[3];
    int rc = CN_EBADARG;

    if (etf_match(term, "{_, ~a, ~t, ~a}", &v[0], &v[1], &v[2]) == 0)
        rc = pg_join(d, v[0], v[1], group_of(d, v[2]));
    answer_code(a, rc);
}

static void do_pg_members(driver *d, asker *a, etf_view term) {
    etf_view v[2];
    char text[NAME_MAX_];
    etf_pid pids[64];
    cnode_pg *pg;
    size_t n;

    if (etf_match(term, "{_, ~a, ~t}", &v[0], &v[1]) != 0 ||
        !text_of(v[0], text) || (pg = cnode_pg_find(d->node, text)) == NULL) {
        answer_code(a, CN_EBADARG);
        return;
    }
    n = cnode_pg_members(pg, CNODE_PG_ALL, pids, 64, "~t", v[1]);
    etf_writer_reset(&d->out);
    etf_begin_list(&d->out);
    for (size_t i = 0; i < n && i < 64; i++)
        etf_put_pid(&d->out, &pids[i]);
    etf_end_list(&d->out);
    answer(a);
}

/* --- functions ------------------------------------------------------------ */

static int give_value(cnode_proc *self, etf_view args, etf_writer *result,
                      void *data) {
    const driver *d = data;

    (void)self;
    (void)args;
    etf_put_term(result, d->value);
    return 0;
}

static void do_export(driver *d, asker *a, etf_view term) {
    char module[NAME_MAX_], function[NAME_MAX_];
    etf_view m, f, value;
    int rc = CN_EBADARG;

    if (etf_match(term, "{_, ~a, ~a, ~t}", &m, &f, &value) == 0 &&
        text_of(m, module) && text_of(f, function)) {
        etf_copy_free(NULL, d->value);
        d->value = (etf_view){NULL, 0};
        rc = etf_copy(NULL, value, &d->value);
    }
    if (rc == 0)
        rc = cnode_export(d->node, module, function, 0, give_value, d);
    answer_code(a, rc);
}

/* --- the rest ------------------------------------------------------------- */

static void do_crc(driver *d, asker *a, etf_view term) {
    etf_view x;

    if (etf_match(term, "{_, ~t}", &x) != 0) {
        answer_code(a, CN_EBADARG);
        return;
    }
    etf_writer_reset(&d->out);
    etf_put_uint(&d->out, crc32_z(0, x.data, x.len));
    answer(a);
}

static void stand_still(cnode *n, void *arg) {
    driver *d = arg;

    (void)n;
    (void)usleep(d->stall_ms * 1000);
}

static void do_stall(driver *d, asker *a, etf_view term) {
    int rc = etf_match(term, "{_, ~i}", &d->stall_ms) == 0
                 ? cnode_post(d->node, stand_still, d)
                 : CN_EBADARG;

    answer_code(a, rc);
}

static void do_stop(driver *d, asker *a, etf_view term) {
    (void)term;
    answer_code(a, 0);
    cnode_stop(d->node);
}

static const struct command {
    const char *name;
    void (*run)(driver *d, asker *a, etf_view term);
} commands[] = {
    {"spawn", do_spawn},
    {"link", do_link},
    {"unlink", do_unlink},
    {"monitor", do_monitor},
    {"demonitor", do_demonitor},
    {"exit", do_exit},
    {"exit_signal", do_exit_signal},
    {"send", do_send},
    {"report", do_report},
    {"connect", do_connect},
    {"disconnect", do_disconnect},
    {"cookie", do_setting},
    {"address", do_setting},
    {"found", do_setting},
    {"keep", do_keep},
    {"policy", do_policy},
    {"listen_unix", do_listen_unix},
    {"leave", do_leave},
    {"peers", do_peers},
    {"events", do_events},
    {"flags", do_flags},
    {"remote", do_remote},
    {"alias", do_alias},
    {"unalias", do_unalias},
    {"alias_send", do_alias_send},
    {"stats", do_stats},
    {"call", do_call},
    {"rpc", do_rpc},
    {"crc", do_crc},
    {"stall", do_stall},
    {"stop", do_stop},
    {"global_register", do_global_register},
    {"global_unregister", do_global_unregister},
    {"global_whereis", do_global_whereis},
    {"global_names", do_global_names},
    {"global_nodes", do_global_nodes},
    {"global_sync", do_global_sync},
    {"global_told", do_global_told},
    {"pg_join", do_pg_join},
    {"pg_members", do_pg_members},
    {"global_lock", do_global_lock},
    {"global_unlock", do_global_unlock},
    {"export", do_export},
    {"ping", do_ping},
};

/* {Name, ...}, or Name alone. */
static etf_view name_of(etf_view term) {
    etf_view first, name;

    if (etf_element(term, 0, &first) != 0)
        first = term;
    return etf_match(first, "~a", &name) == 0 ? name : (etf_view){0};
}

static void obey(driver *d, asker *a, etf_view term) {
    etf_view name = name_of(term);

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (etf_view_is(name, commands[i].name)) {
            commands[i].run(d, a, term);
            return;
        }
    answer_code(a, CN_EBADARG);
}

static void on_call(cnode_proc *self, const cnode_from *from, etf_view request,
                    void *data) {
    (void)self;
    obey(data, asker_new(data, from, 0), request);
}

/* --- stdin ---------------------------------------------------------------- */

typedef struct packet {
    driver *d;
    size_t len;
    uint8_t bytes[];
} packet;

static bool read_all(void *to, size_t n) {
    uint8_t *p = to;

    while (n > 0) {
        ssize_t got = read(STDIN_FILENO, p, n);

        if (got <= 0)
            return false;
        p += got;
        n -= (size_t)got;
    }
    return true;
}

static void on_packet(cnode *n, void *arg) {
    packet *p = arg;
    etf_view command, in = {p->bytes + 1, p->len - 1};
    int64_t number;

    (void)n;
    if (etf_check(NULL, NULL, in, NULL) != 0 ||
        etf_match(in, "{~i, ~t}", &number, &command) != 0)
        die("stdin", "no {Number, Command}");
    obey(p->d, asker_new(p->d, NULL, number), command);
    free(p);
}

static void read_packet(driver *d, size_t n) {
    packet *p = take(sizeof *p + n);

    *p = (packet){.d = d, .len = n};
    if (n == 0 || !read_all(p->bytes, n) ||
        cnode_post(d->node, on_packet, p) != 0)
        die("stdin", "bad packet");
}

/* True when there is a packet, or the end of stdin; false when this program
 * ends. */
static bool input_waits(driver *d) {
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = d->ending[0], .events = POLLIN}};

    while (poll(fds, 2, -1) < 0)
        if (errno != EINTR)
            die("stdin", strerror(errno));
    return fds[1].revents == 0;
}

/* A thread of its own: the node is told from another one. */
static void *read_packets(void *arg) {
    driver *d = arg;
    uint8_t head[4];

    while (input_waits(d)) {
        if (!read_all(head, sizeof head)) {
            cnode_stop(d->node);
            break;
        }
        read_packet(d, cn__be32(head));
    }
    return NULL;
}

/* --- start and end -------------------------------------------------------- */

typedef struct setting {
    const char *name;
    size_t at;
    enum { TEXT, FLAG, U16, U32, SIZE } type;
} setting;

#define SETTING(field, type)                                                   \
    { #field, offsetof(cnode_config, field), type }
static const setting settings[] = {
    SETTING(name, TEXT),          SETTING(cookie, TEXT),
    SETTING(visible, FLAG),       SETTING(no_epmd, FLAG),
    SETTING(no_takeover, FLAG),   SETTING(port, U16),
    SETTING(address, TEXT),       SETTING(epmd_port, U16),
    SETTING(ticktime_s, U32),     SETTING(setup_ms, U32),
    SETTING(max_frame, SIZE),     SETTING(max_queue, SIZE),
    SETTING(max_mailbox, SIZE),   SETTING(max_dials, U32),
    SETTING(max_pending, SIZE),   SETTING(port_max, U16),
    SETTING(tick_intensity, U32), SETTING(policy, U32),
    SETTING(max_partial, SIZE),   SETTING(max_sequences, U32),
    SETTING(epmd_server, FLAG),   SETTING(full, FLAG),
    SETTING(max_stall_ms, U32),
};

/* --ticktime-s is ticktime_s. */
static const setting *setting_of(const char *arg) {
    char name[64];

    (void)snprintf(name, sizeof name, "%s", arg + 2);
    for (char *p = name; *p != '\0'; p++)
        if (*p == '-')
            *p = '_';
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        if (strcmp(name, settings[i].name) == 0)
            return &settings[i];
    die(arg, "no such option");
    return NULL;
}

static void set(void *field, const setting *s, char *value) {
    unsigned long long n = s->type == TEXT ? 0 : strtoull(value, NULL, 10);

    if (s->type == TEXT)
        *(const char **)field = value;
    else if (s->type == U16)
        *(uint16_t *)field = (uint16_t)n;
    else if (s->type == U32)
        *(uint32_t *)field = (uint32_t)n;
    else
        *(size_t *)field = (size_t)n;
}

static void options(driver *d, char **argv) {
    for (; *argv != NULL; argv++) {
        const setting *s;

        if (strncmp(*argv, "--", 2) != 0)
            die(*argv, "no option");
        if (strcmp(*argv, "--connect") == 0 && argv[1] != NULL &&
            d->connects < MANY_CONNECTS) {
            d->connect[d->connects++] = *++argv;
            continue;
        }
        if (strcmp(*argv, "--ask") == 0) {
            d->config.on_lookup = on_lookup;
            continue;
        }
        s = setting_of(*argv);
        if (s->type == FLAG)
            *((bool *)((char *)&d->config + s->at)) = true;
        else if (argv[1] == NULL)
            die(*argv, "needs a value");
        else
            set((char *)&d->config + s->at, s, *++argv);
    }
}

static void on_log(void *ctx, cn_level level, const char *where,
                   const char *text) {
    (void)ctx;
    (void)fprintf(stderr, "%d %s: %s\n", (int)level, where, text);
}

static void begin(driver *d) {
    cn_error error = {0};

    d->config.error = &error;
    d->config.data = d;
    d->config.on_peer = on_peer;
    d->config.on_retry = on_retry;
    d->config.log = (cn_log){.fn = on_log, .level = CN_LOG_INFO};
    etf_writer_init(&d->out, NULL);
    etf_writer_init(&d->told, NULL);
    if (cnode_new(&d->node, &d->config) != 0)
        die("node", error.text);
    if (cnode_spawn(d->node,
                    &(cnode_proc_config){
                        .name = "driver", .on_call = on_call, .data = d},
                    &d->self) != 0 ||
        cnode_listen(d->node) != 0)
        die("node", cnode_error(d->node)->text);
    for (size_t i = 0; i < d->connects; i++)
        if (cnode_connect(d->node, d->connect[i], NULL, NULL) != 0)
            die(d->connect[i], cnode_error(d->node)->text);
}

static void say_ready(driver *d) {
    etf_view v;

    etf_writer_reset(&d->out);
    (void)etf_pack(&d->out, "{ready, ~a, ~i}", cnode_name(d->node),
                   cnode_port(d->node));
    if (etf_writer_finish(&d->out, &v) != 0)
        die("ready", cn_strerror(d->out.err));
    write_packet(0, v);
}

static void end(driver *d) {
    cnode_free(d->node);
    while (d->jobs != NULL)
        job_free(d->jobs);
    while (d->askers != NULL)
        asker_free(d->askers);
    while (d->groups != NULL) {
        group *g = d->groups;

        d->groups = g->next;
        group_free(g);
    }
    for (size_t i = 0; i < d->event_count; i++) {
        free(d->events[i].name);
        free(d->events[i].text);
    }
    free(d->events);
    etf_writer_free(&d->out);
    etf_writer_free(&d->told);
    etf_copy_free(NULL, d->value);
}

int main(int argc, char **argv) {
    driver d = {0};
    pthread_t reader;
    int rc;

    (void)argc;
    options(&d, argv + 1);
    begin(&d);
    say_ready(&d);
    if (pipe(d.ending) != 0 ||
        pthread_create(&reader, NULL, read_packets, &d) != 0)
        die("thread", "cannot be made");
    rc = cnode_run(d.node);
    (void)close(d.ending[1]);
    (void)pthread_join(reader, NULL);
    end(&d);
    return rc == 0 ? 0 : 1;
}
