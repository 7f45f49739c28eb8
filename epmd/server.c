/* SPDX-License-Identifier: Apache-2.0
 *
 * server.c: EPMD itself, pure: sessions that are fed bytes and time.
 * https://www.erlang.org/doc/apps/erts/erl_dist_protocol.html#epmd-protocol
 *
 * Happy path: _open makes a session; _feed collects until the request is
 * whole; request() does what it says and leaves an answer; _next hands the
 * session out; when _wrote has taken all of it the session is over, unless it
 * holds a name.
 *
 *   READING    until there is a whole request
 *   ANSWERING  until the answer is written
 *   KEPT       ALIVE2 was answered: until a byte or the end comes
 *   OVER       to be closed and freed
 *
 * A session that holds a name (entry) is in the list nodes and has no
 * deadline. All others are clients: when there are too many the oldest of the
 * most greedy address goes, see sources.c. They have a deadline and are in the
 * list clients, the first one to end in front, but for those whose name was
 * refused, who may stay. An answer is made once and shared by those who ask for
 * the same while nothing changes, and the bytes of all of them are bounded. No
 * event costs a walk over all sessions.
 *
 * Failures: a request that is none is not answered; without memory the session
 * is over, and the others are not touched.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/log.h"
#include "epmd/proto.h"
#include "epmd/sources.h"
#include "epmd/table.h"

enum {
    READ_MAX = EPMD__BODY_MAX + 2, /* what OTP's epmd reads at first */
    REFUSED_CREATION = 99,
    QUIET_MS = 10000 /* between two lines about the same trouble */
};

static const epmd_server_config standard = {.packet_timeout_ms = 60000,
                                            .max_old = 1000,
                                            .max_nodes = 65536,
                                            .max_clients = 8192,
                                            .max_connections = UINT32_MAX,
                                            .max_output =
                                                (size_t)64 * 1024 * 1024};

/* Bytes to write. They stay where they are as long as anybody has them lent
 * out, but count only for those who still wait for them. */
typedef struct answer {
    size_t waiting; /* sessions, and the server's lists */
    size_t holds;   /* the same, and sessions that are over */
    size_t size;    /* of bytes */
    size_t len;     /* how many of them are said */
    uint8_t bytes[];
} answer;

typedef enum state { READING, ANSWERING, KEPT, OVER } state;

struct epmd_session {
    cn__list link;   /* in clients, refused, nodes or ended */
    cn__list todo;   /* in todo or delayed of the server, or in none */
    cn__list unread; /* in unread of the server: a client that has an answer */
    epmd_server *server;
    void *data;
    epmd_peer peer;
    state state;
    epmd__client client;
    epmd__entry *entry; /* the name it holds, or NULL */
    uint64_t deadline;
    uint64_t answer_from; /* delay_ms */
    cn_buf in;
    size_t want; /* bytes of the request; 0: not known yet */
    answer *out;
    size_t out_at;
};

enum { NAMES, DUMP, LISTS };

struct epmd_server {
    epmd_server_config config;
    epmd__table table;
    epmd__sources sources;
    cn__list clients, refused, nodes, ended;
    cn__list todo, delayed;
    cn__list unread; /* who has waited longest is the first */
    size_t n_nodes;
    answer *lists[LISTS]; /* as they are now, or NULL */
    size_t output;        /* bytes of all answers */
    uint64_t now;
    uint32_t unix_s;
    uint64_t quiet; /* until then no more of those lines */
    epmd_session *killer;
    bool killed;
};

/* --- answers -------------------------------------------------------------- */

static void release(epmd_server *s, answer *a) {
    if (a != NULL && --a->holds == 0)
        cn__free(s->config.alloc, a, 1, sizeof *a + a->size);
}

/* Nobody waits for it any more on account of this one, who holds it still. */
static void discount(epmd_server *s, answer *a) {
    if (a != NULL && --a->waiting == 0)
        s->output -= a->size;
}

static void drop_lists(epmd_server *s) {
    for (int i = 0; i < LISTS; i++) {
        discount(s, s->lists[i]);
        release(s, s->lists[i]);
        s->lists[i] = NULL;
    }
}

/* For one to have. */
static answer *new_answer(epmd_server *s, size_t size) {
    answer *a = cn__calloc(s->config.alloc, 1, sizeof *a + size);

    if (a == NULL)
        return NULL;
    a->waiting = a->holds = 1;
    a->size = a->len = size;
    s->output += size;
    return a;
}

/* --- the life of a session ------------------------------------------------ */

static const char *about(const epmd_session *x) {
    return x->peer.text;
}

#define SAY(x, level, ...)                                                     \
    cn__log(&(x)->server->config.log, level, "epmd", __VA_ARGS__)

static void put_in_todo(epmd_session *x) {
    cn__list_leave(&x->todo);
    cn__list_add(&x->server->todo, &x->todo);
}

static void move(epmd_session *x, cn__list *to) {
    cn__list_leave(&x->link);
    cn__list_add(to, &x->link);
}

static void unregister(epmd_session *x) {
    epmd_server *s = x->server;

    if (x->entry == NULL)
        return;
    SAY(x, CN_LOG_INFO, "%.*s is gone", (int)x->entry->node.name.len,
        (const char *)x->entry->node.name.data);
    epmd__table_leave(&s->table, x->entry);
    x->entry = NULL;
    s->n_nodes--;
    drop_lists(s);
}

/* No longer counted; frees nothing but what it holds. */
static void let_go(epmd_session *x) {
    unregister(x);
    epmd__sources_leave(&x->server->sources, &x->client);
    cn__list_leave(&x->link);
    cn__list_leave(&x->unread);
    cn__buf_free(&x->in);
    if (x->server->killer == x) {
        x->server->killer = NULL;
        x->server->killed = true;
    }
}

/* To be closed at once; what is not written is lost. */
static void cut(epmd_session *x) {
    if (x->state == OVER)
        return;
    x->state = OVER;
    let_go(x);
    discount(x->server, x->out);
    cn__list_add(&x->server->ended, &x->link);
    put_in_todo(x);
}

/* To be closed when the answer is written. */
static void finish(epmd_session *x) {
    if (x->out == NULL)
        cut(x);
    else
        x->state = ANSWERING;
}

static void refuse_request(epmd_session *x, const char *why) {
    SAY(x, CN_LOG_DEBUG, "%s: %s, closed it", about(x), why);
    cut(x);
}

static void no_memory(epmd_session *x) {
    SAY(x, CN_LOG_ERROR, "%s: no memory for its request, closed it", about(x));
    cut(x);
}

/* a may be NULL: there was no memory for it. */
static void reply(epmd_session *x, answer *a) {
    epmd_server *s = x->server;

    if (a == NULL) {
        no_memory(x);
        return;
    }
    x->out = a;
    x->answer_from = s->now + s->config.delay_ms;
    if (x->client.source != NULL)
        cn__list_add(&s->unread, &x->unread);
    cn__list_leave(&x->todo);
    cn__list_add(s->config.delay_ms > 0 ? &s->delayed : &s->todo, &x->todo);
}

static void reply_bytes(epmd_session *x, const void *p, size_t n) {
    answer *a = new_answer(x->server, n);

    if (a != NULL)
        memcpy(a->bytes, p, n);
    reply(x, a);
}

/* --- room ----------------------------------------------------------------- */

static void warn_seldom(epmd_server *s, const char *who, const char *why) {
    if (s->now < s->quiet)
        return;
    s->quiet = s->now + QUIET_MS;
    cn__log(&s->config.log, CN_LOG_WARN, "epmd", "%s: closed, %s", who, why);
}

static bool evict(epmd_server *s, const char *why) {
    epmd__client *c = epmd__sources_greediest(&s->sources);
    epmd_session *x;

    if (c == NULL)
        return false;
    x = cn__list_of(epmd_session, client, c);
    warn_seldom(s, about(x), why);
    cut(x);
    return true;
}

bool epmd_server_make_room(epmd_server *s) {
    return evict(s, "there are no more descriptors");
}

/* Makes room for n more bytes of lists: nobody need wait for those that are
 * kept. */
static bool make_output_room(epmd_server *s, size_t n) {
    epmd_session *x;

    if (s->output + n > s->config.max_output)
        drop_lists(s);
    while (s->output + n > s->config.max_output &&
           (x = cn__list_first(epmd_session, unread, &s->unread)) != NULL) {
        warn_seldom(s, about(x), "it does not read its answer");
        cut(x);
    }
    return s->output + n <= s->config.max_output;
}

/* A client from now on, with the time of a new one. CN_ENOMEM. */
static int become_client(epmd_session *x) {
    epmd_server *s = x->server;
    int err;

    if (s->sources.clients >= s->config.max_clients)
        (void)evict(s, "there are too many connections");
    err = epmd__sources_enter(&s->sources, &x->client, x->peer.address);
    if (err != 0)
        return err;
    x->deadline = s->now + s->config.packet_timeout_ms;
    move(x, &s->clients);
    return 0;
}

/* --- requests ------------------------------------------------------------- */

static size_t list_room(const epmd_server *s, int which) {
    return 4 + (which == NAMES ? epmd__table_names_room(&s->table)
                               : epmd__table_dump_room(&s->table));
}

/* The text of NAMES or DUMP as it is now; NULL: no memory. */
static answer *make_list(epmd_server *s, int which, size_t room) {
    answer *a = NULL;

    if (make_output_room(s, room))
        a = new_answer(s, room);
    if (a == NULL)
        return NULL;
    cn__put32(a->bytes, s->config.port);
    room -= 4;
    a->len =
        4 + (which == NAMES ? epmd__table_names(&s->table, a->bytes + 4, room)
                            : epmd__table_dump(&s->table, a->bytes + 4, room));
    return a;
}

/* No room can be made for it. */
static void too_long(epmd_session *x, size_t room) {
    char why[100];

    (void)snprintf(why, sizeof why,
                   "the list takes %zu bytes, and max_output is %zu", room,
                   x->server->config.max_output);
    warn_seldom(x->server, about(x), why);
    cut(x);
}

static void on_list(epmd_session *x, int which) {
    epmd_server *s = x->server;

    if (s->lists[which] == NULL) {
        size_t room = list_room(s, which);
        if (room > s->config.max_output) {
            too_long(x, room);
            return;
        }
        s->lists[which] = make_list(s, which, room);
    }
    if (s->lists[which] != NULL) {
        s->lists[which]->waiting++;
        s->lists[which]->holds++;
    }
    reply(x, s->lists[which]);
}

/* Also names that are empty, which no node has: OTP's epmd takes them. */
static bool may_register(const epmd_node *n) {
    return (n->name.len == 0 || epmd_name_ok(n->name)) &&
           n->extra.len <= EPMD_FIELD_MAX;
}

/* 0: the session holds the name; CN_EEXIST: refused; CN_ENOMEM. */
static int take_name(epmd_session *x, const epmd_node *n) {
    epmd_server *s = x->server;
    int err;

    if (!may_register(n) || s->n_nodes >= s->config.max_nodes)
        return CN_EEXIST;
    err = epmd__table_add(&s->table, n, s->unix_s, &x->entry);
    if (err != 0)
        return err;
    x->entry->owner = x;
    x->entry->fd = x->peer.fd;
    s->n_nodes++;
    drop_lists(s);
    epmd__sources_leave(&s->sources, &x->client);
    move(x, &s->nodes);
    return 0;
}

static void say_registered(const epmd_session *x, const epmd_node *n, int err) {
    if (err == 0)
        SAY(x, CN_LOG_INFO, "%.*s is at port %u, creation %lu",
            (int)n->name.len, (const char *)n->name.data, (unsigned)n->port,
            (unsigned long)epmd__entry_creation(x->entry));
    else
        SAY(x, CN_LOG_INFO, "%.*s is refused: %s", (int)n->name.len,
            (const char *)n->name.data,
            epmd__table_find(&x->server->table, n->name) != NULL
                ? "the name is in use"
                : "not a good name, or there are too many");
}

static void register_node(epmd_session *x, const epmd_node *n) {
    epmd_alive2_reply r = {.extended = n->highest >= 6};
    uint8_t bytes[8];
    int err = take_name(x, n);
    int len;

    if (err == CN_ENOMEM) {
        no_memory(x);
        return;
    }
    say_registered(x, n, err);
    r.result = err != 0;
    r.creation =
        err == 0 ? epmd__entry_creation(x->entry) : (uint32_t)REFUSED_CREATION;
    len = epmd_put_alive2_reply(bytes, sizeof bytes, &r);
    x->state = KEPT;
    if (err != 0)
        move(x, &x->server->refused);
    reply_bytes(x, bytes, (size_t)len);
}

/* More may follow in the request; it is passed over. */
static void on_alive2(epmd_session *x, cn_cursor c) {
    epmd_node n = {0};

    if (c.left < 13) {
        refuse_request(x, "an ALIVE2 request that is too short");
        return;
    }
    n.port = cn__take16(&c);
    n.node_type = cn__take8(&c);
    n.protocol = cn__take8(&c);
    n.highest = cn__take16(&c);
    n.lowest = cn__take16(&c);
    n.name.len = cn__take16(&c);
    n.name.data = cn__take(&c, n.name.len);
    n.extra.len = cn__take16(&c);
    n.extra.data = cn__take(&c, n.extra.len);
    if (c.bad || memchr(n.name.data, 0, n.name.len) != NULL)
        refuse_request(x, "an ALIVE2 request that is malformed");
    else
        register_node(x, &n);
}

static void reply_port2(epmd_session *x, const epmd_node *n) {
    uint8_t bytes[EPMD_REPLY_MAX];
    epmd_port2_reply r = {.result = n == NULL};
    int len;

    if (n != NULL)
        r.node = *n;
    len = epmd_put_port2_reply(bytes, sizeof bytes, &r);
    reply_bytes(x, bytes, (size_t)len);
}

/* One NUL at the end is not of the name. 255 characters can be registered, but
 * not be asked for. */
static void on_port2(epmd_session *x, cn_cursor c) {
    epmd_view name = {c.p, c.left};
    const epmd__entry *e;
    size_t chars;

    if (name.len > 0 && name.data[name.len - 1] == 0)
        name.len--;
    chars = epmd__name_chars(name);
    if (chars == 0 || chars >= EPMD__NAME_CHARS) {
        refuse_request(x, "a PORT2 request without a good name");
        return;
    }
    e = epmd__table_find(&x->server->table, name);
    reply_port2(x, e != NULL ? &e->node : NULL);
}

static void on_kill(epmd_session *x) {
    epmd_server *s = x->server;
    bool allowed = s->config.relaxed || s->n_nodes == 0;

    SAY(x, CN_LOG_INFO, "%s: %s", about(x),
        allowed ? "told to end" : "told to end, but there are nodes");
    if (allowed && s->killer == NULL)
        s->killer = x;
    reply_bytes(x, allowed ? "OK" : "NO", 2);
}

static void on_stop(epmd_session *x, cn_cursor c) {
    const uint8_t *nul = memchr(c.p, 0, c.left);
    epmd_view name = {c.p, nul != NULL ? (size_t)(nul - c.p) : c.left};
    const epmd__entry *e;

    if (!x->server->config.relaxed || c.left == 0) {
        refuse_request(x, "a STOP request is not allowed");
        return;
    }
    e = epmd__table_find(&x->server->table, name);
    if (e != NULL)
        cut(e->owner);
    if (e != NULL)
        reply_bytes(x, "STOPPED", 7);
    else
        reply_bytes(x, "NOEXISTSTOPPED", 14);
}

static bool local_only(uint8_t op) {
    return op == EPMD_ALIVE2_REQ || op == EPMD_DUMP_REQ ||
           op == EPMD_KILL_REQ || op == EPMD_STOP_REQ;
}

static void dispatch(epmd_session *x, uint8_t op, cn_cursor c) {
    switch (op) {
    case EPMD_ALIVE2_REQ:
        on_alive2(x, c);
        return;
    case EPMD_PORT2_REQ:
        on_port2(x, c);
        return;
    case EPMD_NAMES_REQ:
        on_list(x, NAMES);
        return;
    case EPMD_DUMP_REQ:
        on_list(x, DUMP);
        return;
    case EPMD_KILL_REQ:
        on_kill(x);
        return;
    case EPMD_STOP_REQ:
        on_stop(x, c);
        return;
    default:
        refuse_request(x, "a request that is unknown");
    }
}

/* It is whole; its bytes are not needed after it. */
static void request(epmd_session *x) {
    cn_cursor c = cn__cursor(cn__buf_at(&x->in) + 2, x->want - 2);
    uint8_t op = cn__take8(&c);
    cn_buf in = x->in;

    cn__buf_init(&x->in, x->server->config.alloc);
    x->state = ANSWERING;
    if (local_only(op) && !x->peer.local)
        refuse_request(x, "a request that is for local peers only");
    else
        dispatch(x, op, c);
    cn__buf_free(&in);
}

/* --- bytes ---------------------------------------------------------------- */

size_t epmd_session_wants(const epmd_session *x) {
    size_t most = x->want > 0 ? x->want : (size_t)READ_MAX;

    if (x->state == READING)
        return most - cn__buf_size(&x->in);
    return x->state == KEPT ? (size_t)READ_MAX : 0;
}

/* There are more bytes of a request. */
static void collected(epmd_session *x) {
    size_t n = cn__buf_size(&x->in);

    if (x->want == 0 && n >= 2) {
        x->want = (size_t)cn__be16(cn__buf_at(&x->in)) + 2;
        if (x->want < 3 || x->want > READ_MAX || n > x->want) {
            refuse_request(x, "a request with a wrong length");
            return;
        }
    }
    if (n == x->want)
        request(x);
}

static void take(epmd_session *x, const uint8_t *in, size_t n) {
    if (cn__buf_append(&x->in, in, n) != 0)
        no_memory(x);
    else
        collected(x);
}

/* It is answered and then closed, but holds no name any more. */
static void again_client(epmd_session *x) {
    cn__list_leave(&x->unread);
    epmd__sources_leave(&x->server->sources, &x->client);
    if (become_client(x) != 0)
        no_memory(x);
    else
        cn__list_add(&x->server->unread, &x->unread);
}

void epmd_session_feed(epmd_session *x, const uint8_t *in, size_t n) {
    while (n > 0 && x->state == READING) {
        size_t wants = epmd_session_wants(x), fits = n < wants ? n : wants;

        take(x, in, fits);
        in += fits;
        n -= fits;
    }
    if (n == 0 || x->state != KEPT)
        return;
    SAY(x, CN_LOG_DEBUG, "%s: bytes where there should be none", about(x));
    unregister(x);
    finish(x);
    if (x->state == ANSWERING)
        again_client(x);
}

void epmd_session_eof(epmd_session *x) {
    if (x->state == READING || x->state == KEPT)
        cut(x);
}

void epmd_session_broke(epmd_session *x) {
    cut(x);
}

size_t epmd_session_output(const epmd_session *x, const uint8_t **out) {
    if (x->out == NULL || x->state == OVER || x->answer_from > x->server->now)
        return 0;
    *out = x->out->bytes + x->out_at;
    return x->out->len - x->out_at;
}

void epmd_session_wrote(epmd_session *x, size_t n) {
    if (x->out == NULL || x->state == OVER)
        return;
    x->out_at += n;
    if (x->out_at < x->out->len)
        return;
    if (x->state == ANSWERING) {
        cut(x);
        return;
    }
    discount(x->server, x->out);
    release(x->server, x->out);
    x->out = NULL;
    cn__list_leave(&x->unread);
}

bool epmd_session_over(const epmd_session *x) {
    return x->state == OVER;
}

void *epmd_session_data(const epmd_session *x) {
    return x->data;
}

/* --- sessions of a server ------------------------------------------------- */

static int add_session(epmd_server *s, epmd_session **out,
                       const epmd_peer *peer, void *data) {
    epmd_session *x = cn__calloc(s->config.alloc, 1, sizeof *x);

    if (x == NULL)
        return CN_ENOMEM;
    x->server = s;
    x->data = data;
    x->peer = *peer;
    cn__buf_init(&x->in, s->config.alloc);
    cn__list_init(&x->link);
    cn__list_init(&x->todo);
    cn__list_init(&x->unread);
    if (become_client(x) != 0) {
        cn__free(s->config.alloc, x, 1, sizeof *x);
        return CN_ENOMEM;
    }
    *out = x;
    return 0;
}

int epmd_server_open(epmd_server *s, epmd_session **out, const epmd_peer *peer,
                     void *data) {
    if (s->sources.clients + s->n_nodes >= s->config.max_connections &&
        !evict(s, "there are too many connections")) {
        warn_seldom(s, peer->text, "all connections are those of nodes");
        return CN_ELIMIT;
    }
    return add_session(s, out, peer, data);
}

void epmd_session_free(epmd_session *x) {
    if (x->state != OVER) {
        let_go(x);
        discount(x->server, x->out);
    }
    release(x->server, x->out);
    cn__list_leave(&x->link);
    cn__list_leave(&x->todo);
    cn__free(x->server->config.alloc, x, 1, sizeof *x);
}

epmd_session *epmd_server_next(epmd_server *s) {
    epmd_session *x = cn__list_first(epmd_session, todo, &s->todo);

    if (x != NULL)
        cn__list_leave(&x->todo);
    return x;
}

bool epmd_server_killed(const epmd_server *s) {
    return s->killed;
}

size_t epmd_server_count(const epmd_server *s) {
    return s->n_nodes;
}

/* --- time ----------------------------------------------------------------- */

static void end_delays(epmd_server *s) {
    epmd_session *x;

    while ((x = cn__list_first(epmd_session, todo, &s->delayed)) != NULL &&
           x->answer_from <= s->now)
        put_in_todo(x);
}

void epmd_server_time(epmd_server *s, uint64_t now, uint32_t unix_s) {
    epmd_session *x;

    s->now = now;
    s->unix_s = unix_s;
    end_delays(s);
    while ((x = cn__list_first(epmd_session, link, &s->clients)) != NULL &&
           x->deadline <= now)
        refuse_request(x, "it took too long");
}

uint64_t epmd_server_deadline(const epmd_server *s) {
    const epmd_session *x = cn__list_first(epmd_session, link, &s->clients);
    uint64_t at = x != NULL ? x->deadline : UINT64_MAX;

    x = cn__list_first(epmd_session, todo, &s->delayed);
    return x != NULL && x->answer_from < at ? x->answer_from : at;
}

/* --- birth and death ------------------------------------------------------ */

#define DEFAULT(c, field)                                                      \
    ((c)->field = (c)->field != 0 ? (c)->field : standard.field)

int epmd_server_new(epmd_server **out, const epmd_server_config *config) {
    static const epmd_server_config plain;
    epmd_server *s;

    config = config != NULL ? config : &plain;
    s = cn__calloc(config->alloc, 1, sizeof *s);
    if (s == NULL)
        return CN_ENOMEM;
    s->config = *config;
    DEFAULT(&s->config, packet_timeout_ms);
    DEFAULT(&s->config, max_old);
    DEFAULT(&s->config, max_nodes);
    DEFAULT(&s->config, max_clients);
    DEFAULT(&s->config, max_connections);
    DEFAULT(&s->config, max_output);
    epmd__table_init(&s->table, s->config.max_old, config->seed, config->alloc);
    epmd__sources_init(&s->sources, config->seed, config->alloc);
    cn__list_init(&s->clients);
    cn__list_init(&s->refused);
    cn__list_init(&s->unread);
    cn__list_init(&s->nodes);
    cn__list_init(&s->ended);
    cn__list_init(&s->todo);
    cn__list_init(&s->delayed);
    *out = s;
    return 0;
}

static void free_sessions(cn__list *l) {
    epmd_session *x;

    while ((x = cn__list_first(epmd_session, link, l)) != NULL)
        epmd_session_free(x);
}

void epmd_server_free(epmd_server *s) {
    if (s == NULL)
        return;
    free_sessions(&s->clients);
    free_sessions(&s->refused);
    free_sessions(&s->nodes);
    free_sessions(&s->ended);
    drop_lists(s);
    epmd__table_free(&s->table);
    epmd__sources_free(&s->sources);
    cn__free(s->config.alloc, s, 1, sizeof *s);
}
