/* SPDX-License-Identifier: Apache-2.0
 *
 * epmd_uv_test.c: lookups, lists and registrations over libuv, against OTP's
 * own daemon, which is started, killed and started again, and against a
 * server in the test's loop that answers as it is told.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uv.h>

#include "epmd/epmd.h"
#include "tests/unit/support.h"

enum { WATCHDOG_MS = 300000, CONNS = 16 };

#define N25 "77 00 847d 4d 00 0006 0005 0003 6e3235 0000"
#define ALIVE_7 "76 00 00000007"
#define ALIVE_8 "76 00 00000008"
#define TAKEN "76 01 00000063"

/* --- a server that follows a script ------------------------------------------
 */

/* HANG is KEEP for a client that does not wait for long. */
typedef enum then { KEEP, HANG, CLOSE, RESET, FLOOD } then;

typedef struct script {
    const char *hex; /* the answer to a request; NULL ends an array */
    then then;
    bool bytewise;
} script;

typedef struct conn {
    uv_tcp_t tcp; /* first: its handle is freed as the connection */
    uv_write_t write;
    struct server *server;
    script script;
    uint8_t in[EPMD_REQ_MAX], out[256];
    size_t in_len, out_len, out_at;
} conn;

typedef struct server {
    uv_tcp_t listener;
    bool listening;
    uint16_t port;
    const script *scripts; /* one for each connection, the last again */
    conn *conns[CONNS];
    int accepted, requests, gone;
    uint8_t request[EPMD_REQ_MAX]; /* the last one */
    int request_len;
} server;

static void conn_closed(uv_handle_t *h) {
    conn *c = (conn *)h;

    for (int i = 0; i < CONNS; i++)
        if (c->server->conns[i] == c)
            c->server->conns[i] = NULL;
    c->server->gone++;
    free(c);
}

static void close_conn(conn *c) {
    if (c != NULL && !uv_is_closing((uv_handle_t *)&c->tcp))
        uv_close((uv_handle_t *)&c->tcp, conn_closed);
}

static void answer(conn *c);

static void conn_wrote(uv_write_t *w, int status) {
    conn *c = w->data;

    if (status == 0)
        answer(c);
    else
        close_conn(c);
}

static void send_bytes(conn *c, const void *p, size_t n) {
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)p, (unsigned)n);

    c->write.data = c;
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, conn_wrote) != 0)
        close_conn(c);
}

static void finish(conn *c) {
    static const uint8_t zeros[65536];

    if (c->script.then == FLOOD)
        send_bytes(c, zeros, sizeof zeros);
    else if (c->script.then == RESET)
        uv_tcp_close_reset(&c->tcp, conn_closed);
    else if (c->script.then == CLOSE)
        close_conn(c);
}

static void answer(conn *c) {
    size_t left = c->out_len - c->out_at, n = c->script.bytewise ? 1 : left;
    const uint8_t *p = c->out + c->out_at;

    if (left == 0) {
        finish(c);
        return;
    }
    c->out_at += n;
    send_bytes(c, p, n);
}

static void conn_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf) {
    conn *c = (conn *)h;

    (void)hint;
    *buf = uv_buf_init((char *)c->in + c->in_len,
                       (unsigned)(sizeof c->in - c->in_len));
}

static void conn_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf) {
    conn *c = (conn *)s;
    epmd_req r;

    (void)buf;
    if (n < 0) {
        close_conn(c);
        return;
    }
    c->in_len += (size_t)n;
    n = epmd_get_request(c->in, c->in_len, &r);
    if (n <= 0)
        return;
    c->server->requests++;
    c->server->request_len = (int)n;
    memcpy(c->server->request, c->in, (size_t)n);
    answer(c);
}

static void on_connection(uv_stream_t *s, int status) {
    server *sv = s->data;
    conn *c = calloc(1, sizeof *c);

    assert_int_equal(status, 0);
    assert_non_null(c);
    assert_true(sv->accepted < CONNS);
    c->server = sv;
    c->script = *sv->scripts;
    if (sv->scripts[1].hex != NULL)
        sv->scripts++;
    c->out_len = unhex(c->script.hex, c->out, sizeof c->out);
    sv->conns[sv->accepted++] = c;
    assert_int_equal(uv_tcp_init(s->loop, &c->tcp), 0);
    assert_int_equal(uv_accept(s, (uv_stream_t *)&c->tcp), 0);
    uv_tcp_nodelay(&c->tcp, 1);
    uv_read_start((uv_stream_t *)&c->tcp, conn_alloc, conn_read);
}

static uint16_t bound_port(const uv_tcp_t *t) {
    struct sockaddr_in a;
    int n = sizeof a;

    assert_int_equal(uv_tcp_getsockname(t, (struct sockaddr *)&a, &n), 0);
    return ntohs(a.sin_port);
}

static void serve(server *s, uv_loop_t *loop, const script *scripts) {
    struct sockaddr_in a;

    *s = (server){.scripts = scripts, .listening = true};
    uv_ip4_addr("127.0.0.1", 0, &a);
    uv_tcp_init(loop, &s->listener);
    s->listener.data = s;
    assert_int_equal(uv_tcp_bind(&s->listener, (struct sockaddr *)&a, 0), 0);
    assert_int_equal(
        uv_listen((uv_stream_t *)&s->listener, CONNS, on_connection), 0);
    s->port = bound_port(&s->listener);
}

static void close_server(server *s) {
    if (!s->listening)
        return;
    s->listening = false;
    uv_close((uv_handle_t *)&s->listener, NULL);
    for (int i = 0; i < CONNS; i++)
        close_conn(s->conns[i]);
}

/* --- fixture -------------------------------------------------------------- */

typedef struct fixture {
    uv_loop_t loop;
    uv_timer_t watchdog;
    server server;
    pid_t daemon; /* OTP's epmd, or 0 */
} fixture;

static void on_watchdog(uv_timer_t *t) {
    (void)t;
    fail_msg("what was waited for did not happen");
}

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);

    if (f == NULL)
        return -1;
    uv_loop_init(&f->loop);
    uv_timer_init(&f->loop, &f->watchdog);
    uv_timer_start(&f->watchdog, on_watchdog, WATCHDOG_MS, 0);
    uv_unref((uv_handle_t *)&f->watchdog);
    *state = f;
    return 0;
}

static void kill_daemon(fixture *f) {
    if (f->daemon == 0)
        return;
    kill(f->daemon, SIGKILL);
    waitpid(f->daemon, NULL, 0);
    f->daemon = 0;
}

/* All handles must be gone, or closing themselves. */
static int teardown(void **state) {
    fixture *f = *state;

    kill_daemon(f);
    close_server(&f->server);
    while (uv_loop_alive(&f->loop))
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&f->watchdog, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    free(f);
    return 0;
}

#define RUN_UNTIL(f, condition)                                                \
    while (!(condition))                                                       \
    uv_run(&(f)->loop, UV_RUN_ONCE)

/* Nothing listens there, unless the daemon is started on it. */
static uint16_t free_port(fixture *f) {
    server s;

    serve(&s, &f->loop, NULL);
    close_server(&s);
    while (uv_loop_alive(&f->loop))
        uv_run(&f->loop, UV_RUN_ONCE);
    return s.port;
}

/* --- OTP's daemon --------------------------------------------------------- */

static const char *daemon_path(void) {
    static char path[4096];
    const char *dirs = getenv("PATH");
    glob_t g;

    for (; dirs != NULL && *dirs != '\0'; dirs += *dirs == ':') {
        size_t n = strcspn(dirs, ":");
        snprintf(path, sizeof path, "%.*s/epmd", (int)n, dirs);
        if (access(path, X_OK) == 0)
            return path;
        dirs += n;
    }
    if (glob("/usr/lib/erlang/erts-*/bin/epmd", 0, NULL, &g) != 0)
        fail_msg("OTP's epmd is not installed");
    snprintf(path, sizeof path, "%s", g.gl_pathv[0]);
    globfree(&g);
    return path;
}

/* Its debug output says when it serves. */
static void await_daemon(int fd) {
    char said[4096];
    size_t n = 0;

    for (;;) {
        ssize_t got = read(fd, said + n, sizeof said - 1 - n);
        if (got <= 0)
            fail_msg("epmd does not start");
        n += (size_t)got;
        said[n] = '\0';
        if (strstr(said, "entering the main select()") != NULL)
            return;
    }
}

/* The pipe stays open, or the daemon would die of its debug output. */
static void start_daemon(fixture *f, uint16_t port) {
    static int fds[2] = {-1, -1};
    char number[8];
    char *argv[] = {"epmd",     "-port",     number, "-relaxed_command_check",
                    "-address", "127.0.0.1", "-d",   "-d",
                    NULL};
    posix_spawn_file_actions_t actions;

    close(fds[0]);
    snprintf(number, sizeof number, "%u", (unsigned)port);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 2);
    assert_int_equal(
        posix_spawn(&f->daemon, daemon_path(), &actions, NULL, argv, environ),
        0);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    await_daemon(fds[0]);
}

/* --- what callbacks say --------------------------------------------------- */

typedef struct got {
    int calls;
    int status;
    int os_error;
    char text[CN_ERROR_TEXT];
    epmd_port2 port2;
    char ip[64];
    uint16_t port; /* of the address */
    char names[512];
    uint32_t creation;
    epmd_request *cancel; /* in the callback */
    epmd_registration *close;
    int closed;
} got;

static void note(got *g, int status, const cn_error *err) {
    assert_int_equal(err->code, status);
    assert_true((err->text[0] != '\0') == (status != 0));
    g->calls++;
    g->status = status;
    g->os_error = err->os_error;
    snprintf(g->text, sizeof g->text, "%s", err->text);
    if (g->cancel != NULL)
        epmd_cancel(g->cancel);
}

static void on_lookup(void *data, int status, const cn_error *err,
                      const epmd_port2 *reply, const struct sockaddr *addr) {
    got *g = data;

    note(g, status, err);
    assert_true((reply != NULL) == (status == 0));
    assert_true((addr != NULL) == (status == 0));
    if (status != 0)
        return;
    g->port2 = *reply;
    uv_ip_name(addr, g->ip, sizeof g->ip);
    g->port = ntohs(((const struct sockaddr_in *)(const void *)addr)->sin_port);
}

static void on_names(void *data, int status, const cn_error *err,
                     const char *text, size_t len) {
    got *g = data;
    epmd_name n;
    size_t at = 0;

    note(g, status, err);
    g->names[0] = '\0';
    while (status == 0 && epmd_names_next(&text, &len, &n))
        at += (size_t)snprintf(g->names + at, sizeof g->names - at, "%.*s=%u ",
                               (int)n.len, n.name, (unsigned)n.port);
}

static void on_reg_closed(void *data) {
    ((got *)data)->closed++;
}

static void on_alive(void *data, int status, const cn_error *err,
                     uint32_t creation) {
    got *g = data;

    note(g, status, err);
    g->creation = creation;
    if (g->close != NULL)
        epmd_registration_close(g->close, on_reg_closed, g);
}

static epmd_config at_port(uint16_t port) {
    return (epmd_config){.port = port};
}

static got lookup(fixture *f, const epmd_config *c, const char *name) {
    got g = {0};
    epmd_request *r;

    assert_int_equal(epmd_lookup(&r, &f->loop, c, name, on_lookup, &g), 0);
    assert_int_equal(g.calls, 0);
    RUN_UNTIL(f, g.calls > 0);
    return g;
}

static got names(fixture *f, const epmd_config *c) {
    got g = {0};
    epmd_request *r;

    assert_int_equal(epmd_names(&r, &f->loop, c, on_names, &g), 0);
    assert_int_equal(g.calls, 0);
    RUN_UNTIL(f, g.calls > 0);
    return g;
}

/* The daemon may see the end of a link after the next request. */
static void await_names(fixture *f, const epmd_config *c, const char *want) {
    got g;

    do
        g = names(f, c);
    while (strcmp(g.names, want) != 0);
}

static epmd_registration *enroll(fixture *f, const epmd_alive *a, got *g) {
    epmd_registration *r;

    *g = (got){0};
    assert_int_equal(epmd_register(&r, &f->loop, a, on_alive, g), 0);
    assert_int_equal(g->calls, 0);
    return r;
}

static void leave(fixture *f, epmd_registration *r) {
    got g = {0};

    epmd_registration_close(r, on_reg_closed, &g);
    assert_int_equal(g.closed, 0);
    RUN_UNTIL(f, g.closed == 1);
}

/* --- against OTP's daemon ------------------------------------------------- */

static void register_find_and_leave(void **state) {
    fixture *f = *state;
    epmd_config c = at_port(free_port(f));
    epmd_alive alive = {.name = "n25", .port = 1234, .epmd = c};
    epmd_alive second = {.name = "other", .port = 5, .hidden = true, .epmd = c};
    got g, h, found;
    epmd_registration *r, *s;

    start_daemon(f, c.port);
    r = enroll(f, &alive, &g);
    RUN_UNTIL(f, g.calls == 1);
    assert_int_equal(g.status, 0);
    assert_true(g.creation > 3);
    s = enroll(f, &second, &h);
    RUN_UNTIL(f, h.calls == 1);
    found = lookup(f, &c, "n25");
    assert_int_equal(found.status, 0);
    assert_int_equal(found.port2.port, 1234);
    assert_int_equal(found.port2.node_type, EPMD_NODE_NORMAL);
    assert_int_equal(found.port2.highest, 6);
    assert_int_equal(found.port2.lowest, 5);
    assert_string_equal(found.ip, "127.0.0.1");
    assert_int_equal(found.port, 1234);
    assert_int_equal(lookup(f, &c, "other").port2.node_type, EPMD_NODE_HIDDEN);
    assert_string_equal(names(f, &c).names, "other=5 n25=1234 ");
    leave(f, r);
    await_names(f, &c, "other=5 ");
    leave(f, s);
    await_names(f, &c, "");
    assert_int_equal(g.calls, 1);
}

/* Containers often have none. */
static bool has_ipv6(void) {
    struct sockaddr_in6 a = {.sin6_family = AF_INET6,
                             .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;

    if (fd >= 0)
        close(fd);
    return bound;
}

static void found_by_ipv6(void **state) {
    fixture *f = *state;
    epmd_config c = at_port(free_port(f));
    epmd_alive alive = {.name = "n25", .port = 1234, .epmd = c};
    epmd_registration *r;
    got g, h;

    if (!has_ipv6())
        return;
    start_daemon(f, c.port);
    c.host = alive.epmd.host = "::1";
    r = enroll(f, &alive, &g);
    RUN_UNTIL(f, g.calls == 1);
    assert_int_equal(g.status, 0);
    h = lookup(f, &c, "n25");
    assert_int_equal(h.status, 0);
    assert_string_equal(h.ip, "::1");
    assert_int_equal(h.port, 1234);
    leave(f, r);
}

static void unknown_and_taken_names(void **state) {
    fixture *f = *state;
    epmd_config c = at_port(free_port(f));
    epmd_alive alive = {.name = "n25", .port = 1234, .epmd = c};
    got g, h, found;
    epmd_registration *r, *s;

    start_daemon(f, c.port);
    found = lookup(f, &c, "nobody");
    assert_int_equal(found.status, CN_ENOENT);
    assert_non_null(strstr(found.text, "nobody"));
    assert_non_null(strstr(found.text, "127.0.0.1"));
    r = enroll(f, &alive, &g);
    RUN_UNTIL(f, g.calls == 1);
    s = enroll(f, &alive, &h);
    RUN_UNTIL(f, h.calls == 1);
    assert_int_equal(h.status, CN_EEXIST);
    assert_non_null(strstr(h.text, "n25"));
    /* final: nothing keeps the loop busy but the first one's link */
    leave(f, r);
    RUN_UNTIL(f, !uv_loop_alive(&f->loop));
    assert_int_equal(h.calls, 1);
    leave(f, s);
}

/* Counts the lines that tell of an end of trouble. */
static void on_warning(void *ctx, cn_level level, const char *where,
                       const char *text) {
    (void)where;
    if (level == CN_LOG_WARN && strcmp(text, "n25: registered now") == 0)
        ++*(int *)ctx;
}

static void comes_back_after_kill(void **state) {
    fixture *f = *state;
    int back = 0;
    epmd_config c = {.port = free_port(f),
                     .log = {on_warning, &back, CN_LOG_WARN}};
    epmd_alive alive = {.name = "n25", .port = 1234, .epmd = c};
    uint32_t creation;
    epmd_registration *r;
    got g;

    start_daemon(f, c.port);
    r = enroll(f, &alive, &g);
    RUN_UNTIL(f, g.calls == 1);
    creation = g.creation;
    for (int i = 0; i < 2; i++) {
        kill_daemon(f);
        RUN_UNTIL(f, g.calls == 2 + 2 * i);
        assert_int_equal(g.status, CN_EEPMD);
        start_daemon(f, c.port);
        RUN_UNTIL(f, g.calls == 3 + 2 * i);
        assert_int_equal(g.status, 0);
        assert_int_equal(back, i + 1);
        assert_int_equal(g.creation, creation);
        assert_int_equal(lookup(f, &c, "n25").port, 1234);
    }
    leave(f, r);
}

static void waits_for_an_epmd_to_start(void **state) {
    fixture *f = *state;
    epmd_config c = at_port(free_port(f));
    epmd_alive alive = {.name = "n25", .port = 1234, .epmd = c};
    epmd_registration *r;
    got g;

    r = enroll(f, &alive, &g);
    RUN_UNTIL(f, g.calls == 1);
    assert_int_equal(g.status, CN_EEPMD);
    assert_int_equal(g.os_error, ECONNREFUSED);
    start_daemon(f, c.port);
    RUN_UNTIL(f, g.calls == 2);
    assert_int_equal(g.status, 0);
    leave(f, r);
}

/* --- against the script: answers ------------------------------------------ */

static got ask(fixture *f, const script *scripts, bool list) {
    epmd_config c;
    got g;

    serve(&f->server, &f->loop, scripts);
    c = at_port(f->server.port);
    c.timeout_ms = scripts->then == HANG ? 50 : 0;
    g = list ? names(f, &c) : lookup(f, &c, "n25");
    close_server(&f->server);
    while (uv_loop_alive(&f->loop))
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(g.calls, 1);
    return g;
}

#define ASK(f, list, ...)                                                      \
    ask((f), (script[]){{__VA_ARGS__}, {0}}, (list)).status

static void answers_to_lookups(void **state) {
    fixture *f = *state;

    assert_int_equal(ASK(f, false, N25, CLOSE, false), 0);
    assert_hex(f->server.request, (size_t)f->server.request_len,
               "0004 7a 6e3235");
    assert_int_equal(ASK(f, false, N25, CLOSE, true), 0);
    assert_int_equal(ASK(f, false, N25 "ff00", FLOOD, false), 0);
    assert_int_equal(ASK(f, false, "7701", CLOSE, false), CN_ENOENT);
    assert_int_equal(ASK(f, false, "48545450", KEEP, false), CN_EPROTO);
    assert_int_equal(ASK(f, false, "", CLOSE, false), CN_EPROTO);
    assert_int_equal(ASK(f, false, "77 00 84", CLOSE, false), CN_EPROTO);
    assert_int_equal(ASK(f, false, "", RESET, false), CN_EEPMD);
    assert_int_equal(ASK(f, false, "", FLOOD, false), CN_EPROTO);
    assert_int_equal(ASK(f, false, "", HANG, false), CN_ETIMEDOUT);
    assert_int_equal(ASK(f, false, "77 00 84", HANG, false), CN_ETIMEDOUT);
}

static void answers_to_lists(void **state) {
    fixture *f = *state;

    assert_int_equal(ASK(f, true, "000037f5", CLOSE, false), 0);
    assert_hex(f->server.request, (size_t)f->server.request_len, "0001 6e");
    assert_int_equal(ASK(f, true, "000037f5 61620a", CLOSE, true), 0);
    assert_int_equal(ASK(f, true, "0000", CLOSE, false), CN_EPROTO);
    assert_int_equal(ASK(f, true, "48545450", KEEP, false), CN_EPROTO);
    assert_int_equal(ASK(f, true, "000037f5", FLOOD, false), CN_ELIMIT);
    assert_int_equal(ASK(f, true, "000037f5", HANG, false), CN_ETIMEDOUT);
    assert_int_equal(ASK(f, true, "000037f5", RESET, false), CN_EEPMD);
}

/* --- hosts and connections ------------------------------------------------ */

static void hosts_are_resolved(void **state) {
    static const script found[] = {{N25, CLOSE, false}, {0}};
    fixture *f = *state;
    epmd_config c = {0};
    got g;

    serve(&f->server, &f->loop, found);
    c.port = f->server.port;
    c.host = "localhost";
    g = lookup(f, &c, "n25");
    assert_int_equal(g.status, 0);
    assert_string_equal(g.ip, "127.0.0.1");
    assert_int_equal(g.port, 33917);
    c.host = "127.0.0.1";
    assert_int_equal(lookup(f, &c, "n25").status, 0);
    c.host = "a..b"; /* refused by the resolver without asking anyone */
    g = lookup(f, &c, "n25");
    assert_int_equal(g.status, CN_EHOST);
    assert_non_null(strstr(g.text, "a..b"));
    assert_non_null(strstr(g.text, "n25"));
}

static void nothing_listens(void **state) {
    fixture *f = *state;
    epmd_config c = at_port(free_port(f));
    char expected[64];
    got g = lookup(f, &c, "n25");

    assert_int_equal(g.status, CN_EEPMD);
    assert_int_equal(g.os_error, ECONNREFUSED);
    snprintf(expected, sizeof expected, "127.0.0.1:%u", (unsigned)c.port);
    assert_non_null(strstr(g.text, expected));
    c.host = "::1";
    g = lookup(f, &c, "n25");
    assert_int_equal(g.status, CN_EEPMD);
    snprintf(expected, sizeof expected, "[::1]:%u", (unsigned)c.port);
    assert_non_null(strstr(g.text, expected));
    c.host = "255.255.255.255"; /* refused by the kernel at once */
    assert_int_equal(lookup(f, &c, "n25").status, CN_EEPMD);
}

static void the_environment_names_the_port(void **state) {
    static const char *const bad[] = {"", "0", "65536", "12x", "-1", "x"};
    static const script found[] = {{N25, CLOSE, false}, {0}};
    fixture *f = *state;
    char number[8];

    unsetenv("ERL_EPMD_PORT");
    assert_int_equal(epmd_default_port(), 4369);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("ERL_EPMD_PORT", bad[i], 1);
        assert_int_equal(epmd_default_port(), 4369);
    }
    serve(&f->server, &f->loop, found);
    snprintf(number, sizeof number, "%u", (unsigned)f->server.port);
    setenv("ERL_EPMD_PORT", number, 1);
    assert_int_equal(lookup(f, NULL, "n25").status, 0);
    unsetenv("ERL_EPMD_PORT");
}

/* A listener whose queue is full swallows connections; each address gets its
 * share of the time. */
static void connecting_times_out(void **state) {
    fixture *f = *state;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fds[8], listener = socket(AF_INET, SOCK_STREAM, 0);
    epmd_config c = {.timeout_ms = 200};
    got g;

    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listener, 0), 0);
    getsockname(listener, (struct sockaddr *)&a, &len);
    for (int i = 0; i < 8; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fds[i], (struct sockaddr *)&a, sizeof a);
    }
    c.port = ntohs(a.sin_port);
    g = lookup(f, &c, "n25");
    assert_int_equal(g.status, CN_ETIMEDOUT);
    assert_non_null(strstr(g.text, "cannot connect"));
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    close(listener);
}

/* --- a resolver that is busy ---------------------------------------------- */

typedef struct busy {
    uv_work_t work;
    uv_sem_t go;
    bool over;
} busy;

static void block(uv_work_t *w) {
    uv_sem_wait(&((busy *)w->data)->go);
}

static void unblocked(uv_work_t *w, int status) {
    (void)status;
    ((busy *)w->data)->over = true;
}

/* main leaves libuv one worker, which this occupies. */
static void occupy(fixture *f, busy *b) {
    *b = (busy){.over = false};
    b->work.data = b;
    assert_int_equal(uv_sem_init(&b->go, 0), 0);
    assert_int_equal(uv_queue_work(&f->loop, &b->work, block, unblocked), 0);
}

static void release(fixture *f, busy *b) {
    uv_sem_post(&b->go);
    RUN_UNTIL(f, b->over);
    uv_sem_destroy(&b->go);
}

static void resolving_times_out_and_is_canceled(void **state) {
    fixture *f = *state;
    epmd_config c = {.host = "localhost", .port = 1, .timeout_ms = 30};
    epmd_request *r;
    got g = {0};
    busy b;

    occupy(f, &b);
    assert_int_equal(lookup(f, &c, "n25").status, CN_ETIMEDOUT);
    assert_int_equal(epmd_lookup(&r, &f->loop, &c, "n25", on_lookup, &g), 0);
    epmd_cancel(r);
    release(f, &b);
    RUN_UNTIL(f, !uv_loop_alive(&f->loop));
    assert_int_equal(g.calls, 0);
}

/* The answer of a resolve that was given up meets the next attempt. */
static void a_registration_outlives_slow_resolving(void **state) {
    static const script ok[] = {{ALIVE_7, KEEP, false}, {0}};
    fixture *f = *state;
    epmd_alive a = {.name = "n25",
                    .epmd = {.host = "localhost", .timeout_ms = 200}};
    epmd_registration *r;
    busy b;
    got g;

    serve(&f->server, &f->loop, ok);
    a.epmd.port = f->server.port;
    occupy(f, &b);
    r = enroll(f, &a, &g);
    RUN_UNTIL(f, g.calls == 1);
    assert_int_equal(g.status, CN_ETIMEDOUT);
    release(f, &b);
    RUN_UNTIL(f, g.calls == 2);
    assert_int_equal(g.status, 0);
    leave(f, r);
}

/* --- canceling ------------------------------------------------------------ */

/* After each number of turns of the loop. */
static void canceling_at_any_time(void **state) {
    static const script slow[] = {{N25, CLOSE, true}, {0}};
    fixture *f = *state;
    epmd_config c;

    for (int turns = 0; turns < 12; turns++) {
        epmd_request *r;
        got g = {0};
        serve(&f->server, &f->loop, slow);
        c = at_port(f->server.port);
        c.host = turns % 2 == 0 ? NULL : "localhost";
        assert_int_equal(epmd_lookup(&r, &f->loop, &c, "n25", on_lookup, &g),
                         0);
        for (int i = 0; i < turns && g.calls == 0; i++)
            uv_run(&f->loop, UV_RUN_ONCE);
        if (g.calls == 0)
            epmd_cancel(r);
        close_server(&f->server);
        int calls = g.calls;
        RUN_UNTIL(f, !uv_loop_alive(&f->loop));
        assert_int_equal(g.calls, calls);
    }
}

static void canceling_in_the_callback(void **state) {
    static const script found[] = {{N25, CLOSE, false}, {0}};
    fixture *f = *state;
    epmd_config c;
    got g = {0};

    serve(&f->server, &f->loop, found);
    c = at_port(f->server.port);
    assert_int_equal(epmd_lookup(&g.cancel, &f->loop, &c, "n25", on_lookup, &g),
                     0);
    RUN_UNTIL(f, g.calls == 1);
    close_server(&f->server);
    RUN_UNTIL(f, !uv_loop_alive(&f->loop));
    g = (got){0};
    assert_int_equal(epmd_lookup(&g.cancel, &f->loop, &c, "n25", on_lookup, &g),
                     0);
    RUN_UNTIL(f, g.calls == 1);
    assert_int_equal(g.status, CN_EEPMD);
    RUN_UNTIL(f, !uv_loop_alive(&f->loop));
    assert_int_equal(g.calls, 1);
}

static void closing_a_registration_in_its_callback(void **state) {
    static const script ok[] = {{ALIVE_7, KEEP, false}, {0}};
    fixture *f = *state;
    epmd_alive a = {.name = "n25"};
    got g;

    serve(&f->server, &f->loop, ok);
    a.epmd = at_port(f->server.port);
    for (int i = 0; i < 2; i++) { /* registered, and refused */
        epmd_registration *r = enroll(f, &a, &g);
        g.close = r;
        RUN_UNTIL(f, g.closed == 1);
        assert_int_equal(g.calls, 1);
        assert_int_equal(g.status, i == 0 ? 0 : CN_EEPMD);
        close_server(&f->server);
        RUN_UNTIL(f, !uv_loop_alive(&f->loop));
    }
}

static void closing_a_registration_at_any_time(void **state) {
    static const script flaky[] = {{ALIVE_7, CLOSE, true}, {0}};
    fixture *f = *state;
    epmd_alive a = {.name = "n25"};

    for (int turns = 0; turns < 24; turns++) {
        epmd_registration *r;
        got g;
        serve(&f->server, &f->loop, flaky);
        a.epmd = at_port(f->server.port);
        r = enroll(f, &a, &g);
        for (int i = 0; i < turns; i++)
            uv_run(&f->loop, UV_RUN_NOWAIT);
        epmd_registration_close(r, NULL, NULL);
        close_server(&f->server);
        RUN_UNTIL(f, !uv_loop_alive(&f->loop));
    }
}

/* --- registrations against the script ------------------------------------- */

static void the_first_creation_stays(void **state) {
    static const script scripts[] = {{ALIVE_7, CLOSE, true},
                                     {TAKEN, KEEP, false},
                                     {"79 00 0002 ffff", KEEP, false},
                                     {0}};
    static const int told[] = {0, CN_EEPMD, CN_EEXIST, 0};
    fixture *f = *state;
    epmd_alive a = {.name = "n25", .port = 1234, .hidden = true};
    epmd_registration *r;
    got g;

    serve(&f->server, &f->loop, scripts);
    a.epmd = at_port(f->server.port);
    r = enroll(f, &a, &g);
    for (int i = 0; i < 4; i++) {
        RUN_UNTIL(f, g.calls == i + 1);
        assert_int_equal(g.status, told[i]);
        assert_int_equal(g.creation, 7);
    }
    assert_hex(f->server.request, (size_t)f->server.request_len,
               "0010 78 04d2 48 00 0006 0005 0003 6e3235 0000");
    assert_int_equal(f->server.gone, 2); /* a refused link is closed, too */
    leave(f, r);
    RUN_UNTIL(f, f->server.gone == 3);
}

static void bad_arguments(void **state) {
    static char name[258], host[2000];
    fixture *f = *state;
    epmd_alive a = {.name = name};
    epmd_config c = {.host = host};
    epmd_registration *r;
    epmd_request *q;
    static const char *const bad[] = {"", "a@b", "\xff"};

    for (size_t i = 0; i < 3; i++) {
        a.name = bad[i];
        assert_int_equal(
            epmd_lookup(&q, &f->loop, NULL, bad[i], on_lookup, NULL),
            CN_EBADARG);
        assert_int_equal(epmd_register(&r, &f->loop, &a, on_alive, NULL),
                         CN_EBADARG);
    }
    assert_int_equal(epmd_lookup(&q, &f->loop, NULL, NULL, on_lookup, NULL),
                     CN_EBADARG);
    assert_int_equal(epmd_register(&r, &f->loop, NULL, on_alive, NULL),
                     CN_EBADARG);
    memset(name, 'x', 256);
    assert_int_equal(epmd_lookup(&q, &f->loop, NULL, name, on_lookup, NULL),
                     CN_ELIMIT);
    memset(host, 'x', sizeof host - 1);
    assert_int_equal(epmd_lookup(&q, &f->loop, &c, "n", on_lookup, NULL),
                     CN_EHOST);
    assert_false(uv_loop_alive(&f->loop));
}

/* --- every allocation failing --------------------------------------------- */

typedef struct faulty {
    fixture *f;
    const char *host;
    bool list;
} faulty;

static int request_scenario(fault_alloc *fa, void *arg) {
    static const script found[] = {{N25, CLOSE, true}, {0}};
    static const script list[] = {{"000037f5 61620a", CLOSE, true}, {0}};
    faulty *x = arg;
    fixture *f = x->f;
    epmd_config c = {.host = x->host, .alloc = &fa->alloc};
    epmd_request *r;
    got g = {0};
    int err;

    serve(&f->server, &f->loop, x->list ? list : found);
    c.port = f->server.port;
    err = x->list ? epmd_names(&r, &f->loop, &c, on_names, &g)
                  : epmd_lookup(&r, &f->loop, &c, "n25", on_lookup, &g);
    if (err == 0)
        RUN_UNTIL(f, g.calls == 1);
    close_server(&f->server);
    RUN_UNTIL(f, !uv_loop_alive(&f->loop));
    err = err != 0 ? err : g.status;
    assert_int_equal(err, fa->failed ? CN_ENOMEM : 0);
    return err;
}

static void requests_without_memory(void **state) {
    faulty x = {.f = *state};

    run_with_every_failure(request_scenario, &x);
    x.host = "localhost";
    run_with_every_failure(request_scenario, &x);
    x.list = true;
    run_with_every_failure(request_scenario, &x);
}

/* Once it is under way, a registration survives a lack of memory. */
static int registration_scenario(fault_alloc *fa, void *arg) {
    static const script scripts[] = {
        {ALIVE_7, CLOSE, false}, {ALIVE_8, KEEP, false}, {0}};
    fixture *f = arg;
    epmd_alive a = {.name = "n25",
                    .epmd = {.host = "localhost", .alloc = &fa->alloc}};
    epmd_registration *r;
    got g = {0};
    int err;

    serve(&f->server, &f->loop, scripts);
    a.epmd.port = f->server.port;
    err = epmd_register(&r, &f->loop, &a, on_alive, &g);
    if (err == 0) {
        RUN_UNTIL(f, g.calls > 0 && g.status == 0 && f->server.requests > 1);
        leave(f, r);
    }
    close_server(&f->server);
    RUN_UNTIL(f, !uv_loop_alive(&f->loop));
    assert_true(err == 0 || (err == CN_ENOMEM && fa->failed));
    return err;
}

static void registrations_without_memory(void **state) {
    run_with_every_failure(registration_scenario, *state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(register_find_and_leave),
        TEST(found_by_ipv6),
        TEST(unknown_and_taken_names),
        TEST(comes_back_after_kill),
        TEST(waits_for_an_epmd_to_start),
        TEST(answers_to_lookups),
        TEST(answers_to_lists),
        TEST(hosts_are_resolved),
        TEST(nothing_listens),
        TEST(the_environment_names_the_port),
        TEST(connecting_times_out),
        TEST(resolving_times_out_and_is_canceled),
        TEST(a_registration_outlives_slow_resolving),
        TEST(canceling_at_any_time),
        TEST(canceling_in_the_callback),
        TEST(closing_a_registration_in_its_callback),
        TEST(closing_a_registration_at_any_time),
        TEST(the_first_creation_stays),
        TEST(bad_arguments),
        TEST(requests_without_memory),
        TEST(registrations_without_memory),
    };
    setenv("UV_THREADPOOL_SIZE", "1", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
