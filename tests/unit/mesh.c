/* SPDX-License-Identifier: Apache-2.0
 *
 * mesh.c: the shell of nodes in memory. See mesh.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/mesh.h"

static const char cookie[] = "secret";

/* One side of a connection. */
struct mesh_end {
    mesh_end *next;
    mesh_end *other; /* NULL: still dialling */
    mesh *net;
    mesh_node *owner; /* of a node ... */
    cnode__wire *wire;
    mesh_raw *raw;    /* ... or played */
    cnode_conn *kept; /* the wire is gone, this still has something to say */
    bool dialling;
    bool closed;
    bool told; /* that the other has closed */
    bool stalled;
    uint8_t *in;
    size_t in_len;
};

typedef struct mesh_letter {
    struct mesh_letter *next;
    mesh_node *to;
    char node[256];
    size_t len;
    uint8_t frame[];
} mesh_letter;

/* --- lines --------------------------------------------------------------- */

void mesh_say(mesh *m, const char *fmt, ...) {
    size_t len = strlen(m->said);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(m->said + len, sizeof m->said - len, fmt, ap);
    va_end(ap);
    len = strlen(m->said);
    if (len + 1 < sizeof m->said)
        memcpy(m->said + len, "\n", 2);
}

/* How the other side tells of trouble. */
static void notice(mesh *m, const char *text) {
    if (strstr(text, "noproc") != NULL || strstr(text, "noconn") != NULL ||
        strstr(text, "system_limit") != NULL || strstr(text, "enomem") != NULL)
        m->noticed = true;
}

void mesh_say_term(mesh *m, const char *who, const char *what, etf_view term) {
    char text[2048] = "nothing";

    if (term.len > 0)
        (void)etf_print(term, text, sizeof text);
    notice(m, text);
    mesh_say(m, "%s:%s%s %s", who, *what == '\0' ? "" : " ", what, text);
}

bool mesh_said(mesh *m, const char *want) {
    size_t n = strlen(want);

    mesh_settle(m);
    return strncmp(m->said, want, n) == 0 &&
           (n == 0 ? m->said[0] == '\0' : strcmp(m->said + n, "\n") == 0);
}

static bool noticed(const mesh *m) {
    if (m->noticed)
        return true;
    for (int i = 0; i < MESH_NODES; i++) {
        const mesh_node *x = &m->nodes[i];
        if (x->troubles > 0 || x->downs > 0 || x->node.stats.dropped > 0)
            return true;
    }
    return false;
}

bool mesh_excused(mesh *m) {
    return m->fault != NULL && m->fault->failed && noticed(m);
}

/* --- the shell ----------------------------------------------------------- */

static mesh_end *new_end(mesh *m, mesh_node *owner, cnode__wire *w) {
    mesh_end *e = calloc(1, sizeof *e);

    assert_non_null(e);
    e->net = m;
    e->owner = owner;
    e->wire = w;
    e->next = m->ends;
    m->ends = e;
    if (w != NULL)
        w->handle = e;
    return e;
}

static cnode_conn *conn_of(const mesh_end *e) {
    return e->raw != NULL    ? e->raw->conn
           : e->wire != NULL ? e->wire->conn
                             : e->kept;
}

static void give(mesh_end *to, const uint8_t *p, size_t n) {
    if (to == NULL || to->closed)
        return;
    to->in = realloc(to->in, to->in_len + n);
    assert_non_null(to->in);
    memcpy(to->in + to->in_len, p, n);
    to->in_len += n;
}

static void write_out(mesh_end *e) {
    cnode_conn *c = conn_of(e);
    cn_slice v;

    if (c == NULL || e->stalled || e->closed || e->other == NULL)
        return;
    while (cnode_conn_output(c, &v, 1) > 0) {
        give(e->other, v.data, v.len);
        cnode_conn_wrote(c, v.len);
    }
    if (e->wire != NULL)
        cnode__wire_wrote(e->wire);
}

static void end_end(mesh_end *e) {
    cnode_conn_free(e->kept);
    e->kept = NULL;
    e->closed = true;
}

static int shell_dial(void *ctx, cnode__wire *w) {
    mesh_node *x = ctx;

    new_end(x->mesh, x, w)->dialling = true;
    return 0;
}

static void shell_flush(void *ctx, cnode__wire *w) {
    (void)ctx;
    if (w->handle != NULL)
        write_out(w->handle);
}

static void shell_close(void *ctx, cnode__wire *w) {
    mesh_end *e = w->handle;

    (void)ctx;
    if (e == NULL)
        return;
    e->kept = w->conn;
    e->wire = NULL;
    e->dialling = false;
    w->conn = NULL;
    w->handle = NULL;
    write_out(e);
    if (!e->stalled)
        end_end(e);
}

static uint64_t shell_now(void *ctx) {
    return ((mesh_node *)ctx)->mesh->now;
}

static void shell_random(void *ctx, void *p, size_t n) {
    mesh *m = ((mesh_node *)ctx)->mesh;
    uint8_t *out = p;

    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(++m->chance * 37);
}

static bool shell_on_loop(void *ctx) {
    return !((mesh_node *)ctx)->elsewhere;
}

static int shell_carry(void *ctx, const char *node, etf_view frame) {
    mesh_node *x = ctx;
    mesh_letter *l = calloc(1, sizeof *l + frame.len);
    mesh_letter **at = &x->mesh->letters;

    assert_non_null(l);
    l->to = x;
    l->len = frame.len;
    (void)snprintf(l->node, sizeof l->node, "%s", node);
    memcpy(l->frame, frame.data, frame.len);
    while (*at != NULL)
        at = &(*at)->next;
    *at = l;
    return 0;
}

static void shell_unlisten(void *ctx) {
    ((mesh_node *)ctx)->deaf = true;
}

static size_t shell_lingering(void *ctx) {
    const mesh_node *x = ctx;
    size_t n = 0;

    for (const mesh_end *e = x->mesh->ends; e != NULL; e = e->next)
        n += e->owner == x && e->kept != NULL && !e->closed;
    return n;
}

static void shell_wake(void *ctx) {
    (void)ctx;
}

static const cnode__shell functions = {
    .dial = shell_dial,
    .flush = shell_flush,
    .close = shell_close,
    .now = shell_now,
    .random = shell_random,
    .on_loop = shell_on_loop,
    .carry = shell_carry,
    .wake = shell_wake,
    .unlisten = shell_unlisten,
    .lingering = shell_lingering,
};

/* --- nodes --------------------------------------------------------------- */

mesh *mesh_of(cnode *n) {
    return ((mesh_node *)n->shell_ctx)->mesh;
}

cnode *mesh_cnode(mesh *m, int i) {
    return &m->nodes[i].node;
}

static void on_log(void *ctx, cn_level level, const char *where,
                   const char *text) {
    mesh_node *x = ctx;

    (void)where;
    assert_null(strstr(text, cookie));
    if (level > CN_LOG_WARN)
        return;
    x->troubles++;
    (void)snprintf(x->log, sizeof x->log, "%s", text);
}

static void on_peer(cnode *n, const cnode_peer *p, void *data) {
    mesh_node *x = n->shell_ctx;

    (void)data;
    if (p->up) {
        x->ups++;
    } else {
        x->downs++;
        x->down_status = p->status;
    }
}

int mesh_start(mesh *m, int i, const cnode_config *config) {
    static const cnode_config plain = {0};
    static const char *const names[MESH_NODES] = {"a@h", "b@h", "c@h", "d@h"};
    cnode_config c = config == NULL ? plain : *config;
    mesh_node *x = &m->nodes[i];

    memset(&x->node, 0, sizeof x->node);
    x->mesh = m;
    if (c.name == NULL)
        c.name = names[i];
    if (c.name[0] == '\0')
        c.name = NULL;
    if (c.cookie == NULL)
        c.cookie = cookie;
    if (m->victim == i)
        c.alloc = m->fault->alloc;
    if (c.log.fn == NULL)
        c.log = (cn_log){on_log, x, CN_LOG_DEBUG};
    if (c.on_peer == NULL)
        c.on_peer = on_peer;
    x->live = true;
    return cnode__init(&x->node, &c, &functions, x);
}

void mesh_stop(mesh *m, int i) {
    mesh_node *x = &m->nodes[i];
    mesh_letter **at = &m->letters;

    while (*at != NULL) {
        mesh_letter *l = *at;
        if (l->to == x) {
            *at = l->next;
            free(l);
        } else {
            at = &l->next;
        }
    }
    if (x->live)
        cnode__destroy(&x->node);
    x->live = false;
}

void mesh_break(mesh *m, int i) {
    for (mesh_end *e = m->ends; e != NULL; e = e->next)
        if (e->owner == &m->nodes[i] && e->other != NULL && !e->closed) {
            e->in_len = e->other->in_len = 0;
            e->stalled = e->other->stalled = false;
            e->other->closed = e->closed = true;
        }
    mesh_settle(m);
}

void mesh_stall(mesh *m, int i, bool stalled) {
    for (mesh_end *e = m->ends; e != NULL; e = e->next)
        if (e->owner == &m->nodes[i] && !e->closed) {
            e->stalled = stalled;
            write_out(e);
            if (!stalled && e->wire == NULL)
                end_end(e);
        }
}

/* --- played peers -------------------------------------------------------- */

mesh_raw *mesh_play(mesh *m, int i, const char *name) {
    mesh_raw *r = &m->raws[i];

    *r = (mesh_raw){.mesh = m, .answer = CNODE_ANSWER_OK, .creation = 77};
    (void)snprintf(r->name, sizeof r->name, "%s", name);
    return r;
}

static void open_raw(mesh_raw *r, const char *peer) {
    cnode_conn_config c = {.initiator = peer != NULL,
                           .name = r->name,
                           .peer = peer,
                           .cookie = cookie,
                           .takeover = true,
                           .creation = r->creation,
                           .challenge = 4711,
                           .flags = cnode_conn_flags() & ~r->lacks};

    cnode_conn_free(r->conn);
    r->conn = NULL;
    r->up = false;
    assert_int_equal(cnode_conn_new(&r->conn, &c, r->mesh->now), 0);
}

void mesh_raw_dial(mesh_raw *r, int node) {
    mesh *m = r->mesh;
    mesh_node *x = &m->nodes[node];
    cnode__wire *w = cnode__wire_new(&x->node, NULL);
    mesh_end *mine, *its;

    if (w == NULL) {
        x->troubles++; /* the real shell logs this */
        return;
    }
    if (r->end != NULL) /* it has forgotten that one */
        r->end->raw = NULL;
    mine = new_end(m, NULL, NULL);
    its = new_end(m, x, w);
    mine->other = its;
    its->other = mine;
    mine->raw = r;
    r->end = mine;
    open_raw(r, x->node.name);
    (void)cnode__wire_open(w);
    write_out(mine);
}

void mesh_raw_close(mesh_raw *r) {
    if (r->end != NULL) {
        r->end->closed = true;
        r->end->raw = NULL;
    }
    r->end = NULL;
    r->up = false;
    cnode_conn_free(r->conn);
    r->conn = NULL;
}

void mesh_raw_send(mesh_raw *r, cnode_ctrl *c) {
    if (r->conn == NULL && mesh_excused(r->mesh))
        return; /* the node has ended the connection, for want of memory */
    assert_non_null(r->conn);
    assert_int_equal(cnode_conn_send(r->conn, c), 0);
    write_out(r->end);
}

static void set_name(const mesh_raw *r, char *node, uint16_t *len) {
    *len = (uint16_t)strlen(r->name);
    memcpy(node, r->name, *len + 1U);
}

etf_pid mesh_raw_pid(const mesh_raw *r, uint32_t id) {
    etf_pid pid = {.id = id, .creation = r->creation};

    set_name(r, pid.node, &pid.node_len);
    return pid;
}

etf_ref mesh_raw_ref(const mesh_raw *r, uint32_t id) {
    etf_ref ref = {.n = 3, .ids = {id, 1, 2}, .creation = r->creation};

    set_name(r, ref.node, &ref.node_len);
    return ref;
}

static void raw_signal(mesh_raw *r, const cnode_ctrl *c) {
    r->signals++;
    r->last = c->signal;
    r->id = c->id;
    r->from = c->from;
    r->to = c->to;
    r->ref = c->ref;
    (void)cnode__ctrl_print(c, r->text, sizeof r->text);
    r->term[0] = r->token[0] = '\0';
    if (c->token.len > 0)
        (void)etf_print(c->token, r->token, sizeof r->token);
    if (c->term.len > 0)
        (void)etf_print(c->term, r->term, sizeof r->term);
    notice(r->mesh, r->text);
    notice(r->mesh, r->term);
}

static void raw_event(mesh_raw *r, const cnode_event *ev) {
    switch (ev->type) {
    case CNODE_EV_NAME:
        (void)cnode_conn_answer(
            r->conn, ev->peer[0] == '\0' ? CNODE_ANSWER_NAMED : r->answer,
            cookie, "given@h", 12345);
        break;
    case CNODE_EV_UP:
        r->up = true;
        break;
    case CNODE_EV_SIGNAL:
        raw_signal(r, ev->ctrl);
        break;
    default:
        break;
    }
}

static void raw_read(mesh_raw *r, const uint8_t *p, size_t n) {
    mesh_end *end = r->end;
    cnode_event ev;

    if (cnode_conn_feed(r->conn, p, n, r->mesh->now) == 0)
        while (cnode_conn_next(r->conn, &ev) == 1)
            raw_event(r, &ev);
    write_out(end);
    if (cnode_conn_error(r->conn)->code != 0)
        mesh_raw_close(r);
}

/* --- steps --------------------------------------------------------------- */

static mesh_node *find_node(mesh *m, const char *name) {
    for (int i = 0; i < MESH_NODES; i++) {
        mesh_node *x = &m->nodes[i];
        if (x->live && !x->deaf && strcmp(x->node.name, name) == 0)
            return x;
    }
    return NULL;
}

static mesh_raw *find_raw(mesh *m, const char *name) {
    for (int i = 0; i < MESH_RAWS; i++)
        if (strcmp(m->raws[i].name, name) == 0)
            return &m->raws[i];
    return NULL;
}

static void accept_raw(mesh_end *e, mesh_raw *r) {
    e->other = new_end(e->net, NULL, NULL);
    e->other->other = e;
    if (r->end != NULL)
        mesh_raw_close(r);
    e->other->raw = r;
    r->end = e->other;
    open_raw(r, NULL);
    (void)cnode__wire_open(e->wire);
}

static void accept_node(mesh_end *e, mesh_node *x) {
    cnode__wire *w = cnode__wire_new(&x->node, NULL);

    if (w == NULL) {
        x->troubles++; /* the real shell logs this */
        cnode__wire_fail(e->wire, CN_ECLOSED, 0, "closed at once");
        return;
    }
    e->other = new_end(e->net, x, w);
    e->other->other = e;
    (void)cnode__wire_open(w);
    (void)cnode__wire_open(e->wire);
}

static bool open_dial(mesh_end *e) {
    const cnode__peer *p;
    mesh_node *x;
    mesh_raw *r;

    if (!e->dialling || e->closed || e->wire == NULL || e->owner->slow)
        return false;
    e->dialling = false;
    p = e->wire->peer;
    if (p == NULL)
        return true; /* replaced meanwhile */
    x = find_node(e->net, p->name);
    r = find_raw(e->net, p->name);
    if (e->net->cut || (x == NULL && r == NULL))
        cnode__wire_fail(e->wire, CN_ENOENT, 0, "nobody has that name");
    else if (x != NULL)
        accept_node(e, x);
    else
        accept_raw(e, r);
    return true;
}

/* Each read is a block of its own, so that reading beyond it is found out. */
static void read_some(mesh_end *e, size_t n) {
    uint8_t *p = malloc(n);

    assert_non_null(p);
    memcpy(p, e->in, n);
    e->in_len -= n;
    memmove(e->in, e->in + n, e->in_len);
    if (e->raw != NULL)
        raw_read(e->raw, p, n);
    else
        cnode__wire_read(e->wire, p, n);
    free(p);
}

static bool deaf(const mesh_end *e) {
    if (e->raw != NULL)
        return e->raw->mute;
    return e->wire == NULL || e->wire->failed || e->wire->conn == NULL;
}

static bool step_end(mesh_end *e) {
    size_t chunk = e->net->chunk;

    if (open_dial(e))
        return true;
    if (e->other == NULL || deaf(e))
        return false;
    if (e->in_len > 0) {
        read_some(e, chunk == 0 || chunk > e->in_len ? e->in_len : chunk);
        return true;
    }
    if (!e->other->closed || e->told)
        return false;
    e->told = true;
    if (e->raw != NULL)
        mesh_raw_close(e->raw);
    else
        cnode__wire_eof(e->wire);
    return true;
}

static bool step_letters(mesh *m) {
    mesh_letter *l = m->letters;

    if (l == NULL)
        return false;
    m->letters = l->next;
    cnode__carried(&l->to->node, l->node, (etf_view){l->frame, l->len});
    free(l);
    return true;
}

static bool step(mesh *m) {
    bool moved = step_letters(m);

    for (int i = 0; i < MESH_NODES; i++) {
        mesh_node *x = &m->nodes[i];
        if (!x->live)
            continue;
        if (cnode__deadline(&x->node) <= m->now)
            cnode__run_timers(&x->node, m->now);
        moved = cnode__pump(&x->node) || moved;
    }
    for (mesh_end *e = m->ends; e != NULL; e = e->next)
        moved = step_end(e) || moved;
    return moved;
}

void mesh_settle(mesh *m) {
    int rounds = 0;

    while (step(m))
        if (++rounds > 200000)
            fail_msg("it does not come to rest");
}

void mesh_advance(mesh *m, uint64_t ms) {
    uint64_t until = m->now + ms;

    mesh_settle(m);
    for (;;) {
        uint64_t next = until;
        for (int i = 0; i < MESH_NODES; i++)
            if (m->nodes[i].live && cnode__deadline(&m->nodes[i].node) < next)
                next = cnode__deadline(&m->nodes[i].node);
        if (next > m->now)
            m->now = next;
        mesh_settle(m);
        if (m->now >= until)
            return;
    }
}

/* --- processes that write down ------------------------------------------- */

static const char *name_of(cnode_proc *p, void *data) {
    return data != NULL ? data : p->name != NULL ? p->name : "?";
}

static void see_message(cnode_proc *p, const cnode_msg *msg, void *data) {
    mesh_say_term(mesh_of(p->node), name_of(p, data), "", msg->term);
}

static void see_call(cnode_proc *p, const cnode_from *from, etf_view request,
                     void *data) {
    mesh *m = mesh_of(p->node);
    etf_view reason;
    int err = 0;

    mesh_say_term(m, name_of(p, data), "asked", request);
    if (etf_match(request, "{stop, ~t}", &reason) == 0)
        err = cnode_exit(p, "~t", reason);
    else if (etf_match(request, "wait") != 0)
        err = cnode_reply(p, from, "{ok, ~t}", request);
    if (err != 0)
        m->noticed = true;
}

static void see_cast(cnode_proc *p, etf_view request, void *data) {
    mesh_say_term(mesh_of(p->node), name_of(p, data), "cast", request);
}

static void see_down(cnode_proc *p, const cnode_down *d, void *data) {
    mesh_say_term(mesh_of(p->node), name_of(p, data), "down", d->term);
}

static void see_exit(cnode_proc *p, const cnode_exit_signal *e, void *data) {
    mesh_say_term(mesh_of(p->node), name_of(p, data), "exit", e->term);
}

static void see_end(cnode_proc *p, etf_view reason, void *data) {
    /* The name is forgotten when a process ends. */
    mesh_say_term(mesh_of(p->node), data != NULL ? data : "?", "ended", reason);
}

const cnode_proc_config mesh_observer = {
    .on_message = see_message,
    .on_call = see_call,
    .on_cast = see_cast,
    .on_down = see_down,
    .on_exit = see_exit,
    .on_end = see_end,
};

/* Dies of exit signals. */
cnode_proc *mesh_proc(mesh *m, int i, const char *name) {
    union {
        const char *c;
        void *p;
    } u = {name};
    cnode_proc_config c = mesh_observer;
    cnode_proc *p = NULL;

    c.name = name;
    c.data = u.p;
    c.on_exit = NULL;
    (void)cnode_spawn(mesh_cnode(m, i), &c, &p);
    return p;
}

void mesh_result(cnode_proc *p, int status, etf_view result, void *data) {
    mesh *m = mesh_of(p->node);

    m->answered++;
    if (status != 0) {
        m->noticed = true;
        assert_int_equal(cnode_error(p->node)->code, status);
        assert_true(cnode_error(p->node)->text[0] != '\0');
    }
    mesh_say_term(m, data, cn_errname(status) + 3, result);
}

void mesh_connected(cnode *n, const char *peer, int status, const cn_error *err,
                    void *data) {
    mesh *m = mesh_of(n);

    m->answered++;
    if (status != 0) {
        m->noticed = true;
        assert_non_null(strstr(err->text, peer));
    }
    mesh_say(m, "%s: %s %s", data == NULL ? n->name : (const char *)data, peer,
             cn_errname(status) + 3);
}

/* --- playing ------------------------------------------------------------- */

void mesh_free(mesh *m) {
    mesh_end *e, *next;

    for (int i = 0; i < MESH_NODES; i++)
        mesh_stop(m, i);
    for (int i = 0; i < MESH_RAWS; i++)
        cnode_conn_free(m->raws[i].conn);
    for (e = m->ends; e != NULL; e = next) {
        next = e->next;
        cnode_conn_free(e->kept);
        free(e->in);
        free(e);
    }
}

/* Whatever was asked is answered, at the latest when all is cut. */
static void all_is_answered(mesh *m) {
    m->cut = true;
    for (int i = 0; i < MESH_NODES; i++)
        m->nodes[i].slow = false;
    mesh_advance(m, 60000);
    for (int i = 0; i < MESH_NODES; i++)
        mesh_break(m, i);
    mesh_advance(m, 60000);
    if (m->asked != m->answered)
        fail_msg("%d asked, %d answered; said: %s", m->asked, m->answered,
                 m->said);
}

typedef struct play {
    mesh_scenario scenario;
    size_t chunk;
    int victim;
} play;

static int play_once(fault_alloc *f, void *arg) {
    const play *p = arg;
    mesh *m = calloc(1, sizeof *m);

    assert_non_null(m);
    m->now = 1000;
    m->chunk = p->chunk;
    m->victim = p->victim;
    m->fault = p->victim >= 0 ? f : NULL;
    p->scenario(m);
    all_is_answered(m);
    mesh_free(m);
    free(m);
    return 0;
}

void mesh_run_twice(mesh_scenario scenario) {
    play whole = {scenario, 0, -1}, bytes = {scenario, 1, -1};

    (void)play_once(NULL, &whole);
    (void)play_once(NULL, &bytes);
}

void mesh_run(mesh_scenario scenario) {
    play p = {scenario, 0, 0};

    mesh_run_twice(scenario);
    for (p.victim = 0; p.victim < 2; p.victim++)
        run_with_every_failure(play_once, &p);
}

void mesh_run_case(void **state) {
    const mesh_case *c = *state;
    mesh_run(c->scenario);
}
