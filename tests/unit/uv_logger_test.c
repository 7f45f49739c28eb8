/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_logger_test.c: log lines of one node become events at another: from
 * several threads, in order, bounded, none because of another.
 */
#include <stdio.h>
#include <string.h>

#include <uv.h>

#include "cnode/io.h"
#include "tests/unit/support.h"

enum { THREADS = 4, EACH = 50, MOST = 300 };

typedef struct events {
    int n;
    char text[MOST][400];
    etf_pid pid; /* of the last one */
} events;

static void on_event(cnode *n, const cnode_log_event *e, void *data) {
    events *x = data;

    (void)n;
    assert_true(x->n < MOST);
    assert_true(e->has_pid && e->time_us > 0);
    x->pid = e->pid;
    (void)snprintf(x->text[x->n++], sizeof *x->text, "%s %s %s", e->node,
                   e->severity, e->text);
}

static void pair(uv_loop_t *loop, cnode_logger *l, cnode **a, cnode **b,
                 events *x) {
    const cnode_config here = {.name = "a@127.0.0.1",
                               .cookie = "secret",
                               .loop = loop,
                               .log = cnode_logger_hook(l, CN_LOG_DEBUG)};
    const cnode_config there = {.name = "b@127.0.0.1",
                                .cookie = "secret",
                                .no_epmd = true,
                                .address = "127.0.0.1",
                                .loop = loop,
                                .on_log_event = on_event,
                                .data = x};
    char address[32];

    assert_int_equal(uv_loop_init(loop), 0);
    assert_int_equal(cnode_new(a, &here), 0);
    assert_int_equal(cnode_new(b, &there), 0);
    assert_int_equal(cnode_listen(*b), 0);
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", cnode_port(*b));
    assert_int_equal(cnode_set_address(*a, "b@127.0.0.1", address), 0);
}

static void part(uv_loop_t *loop, cnode *a, cnode *b) {
    cnode_free(a);
    cnode_free(b);
    assert_int_equal(uv_loop_close(loop), 0);
}

/* Until so many events have come. */
static void wait_for(uv_loop_t *loop, events *x, int n) {
    while (x->n < n)
        assert_int_not_equal(uv_run(loop, UV_RUN_ONCE), 0);
}

static void count_line(void *ctx, cn_level level, const char *where,
                       const char *text) {
    (void)level, (void)where, (void)text;
    (*(int *)ctx)++;
}

static void lines_wait_for_the_node(void **state) {
    static events x;
    int next = 0;
    const cnode_logger_config c = {.node = "b@127.0.0.1",
                                   .name = "prog",
                                   .max_lines = 2,
                                   .next = {count_line, &next, CN_LOG_ERROR}};
    cnode_logger *l;
    uv_loop_t loop;
    cnode *a, *b;
    cn_log log;

    (void)state;
    memset(&x, 0, sizeof x);
    assert_int_equal(cnode_logger_new(&l, &c), 0);
    pair(&loop, l, &a, &b, &x);
    log = cnode_logger_hook(l, CN_LOG_DEBUG);
    log.fn(log.ctx, CN_LOG_ERROR, "here", "one");
    log.fn(log.ctx, CN_LOG_DEBUG, "here", "two ~p");
    log.fn(log.ctx, CN_LOG_ERROR, "here", "three");
    assert_int_equal(next, 2);
    assert_int_equal(cnode_logger_attach(l, a), 0);
    assert_int_equal(cnode_logger_attach(l, a), CN_EBUG);
    assert_int_equal(cnode_logger_dropped(l), 1);
    assert_false(cnode_connected(a, "b@127.0.0.1")); /* nor does it connect */
    assert_int_equal(cnode_connect(a, "b@127.0.0.1", NULL, NULL), 0);
    wait_for(&loop, &x, 3);
    assert_string_equal(x.text[0], "a@127.0.0.1 error prog: here: one");
    assert_string_equal(x.text[1], "a@127.0.0.1 debug prog: here: two ~p");
    assert_non_null(strstr(x.text[2], "warning prog: log: "));
    assert_non_null(strstr(x.text[2], " lines were lost"));
    part(&loop, a, b);
    log.fn(log.ctx, CN_LOG_ERROR, "here", "after the node");
    cnode_logger_free(l);
    cnode_logger_free(NULL);
}

static int count(const events *x, const char *what) {
    int n = 0;

    for (int i = 0; i < x->n; i++)
        n += strstr(x->text[i], what) != NULL;
    return n;
}

/* Whoever gets events knows the process that sends them. */
static void nobody_stops_it(void **state) {
    static events x;
    const cnode_logger_config c = {.node = "b@127.0.0.1"};
    cnode_logger *l;
    uv_loop_t loop;
    cnode *a, *b;
    cnode_proc *p;
    cn_log log;

    (void)state;
    memset(&x, 0, sizeof x);
    assert_int_equal(cnode_logger_new(&l, &c), 0);
    pair(&loop, l, &a, &b, &x);
    log = cnode_logger_hook(l, CN_LOG_INFO);
    assert_int_equal(cnode_logger_attach(l, a), 0);
    assert_int_equal(cnode_connect(a, "b@127.0.0.1", NULL, NULL), 0);
    log.fn(log.ctx, CN_LOG_INFO, "here", "one");
    while (count(&x, "here: one") == 0)
        assert_int_not_equal(uv_run(&loop, UV_RUN_ONCE), 0);
    assert_int_equal(cnode_spawn(b, &(cnode_proc_config){0}, &p), 0);
    assert_int_equal(cnode_send_exit(p, &x.pid, "kill"), 0);
    while (count(&x, "is ignored") == 0)
        assert_int_not_equal(uv_run(&loop, UV_RUN_ONCE), 0);
    log.fn(log.ctx, CN_LOG_INFO, "here", "two");
    while (count(&x, "here: two") == 0)
        assert_int_not_equal(uv_run(&loop, UV_RUN_ONCE), 0);
    part(&loop, a, b);
    cnode_logger_free(l);
}

static void log_much(void *arg) {
    const cn_log *log = arg;
    char text[40];

    for (int i = 0; i < EACH; i++) {
        (void)snprintf(text, sizeof text, "line %d", i);
        log->fn(log->ctx, CN_LOG_WARN, "thread", text);
    }
}

static void lines_of_many_threads(void **state) {
    static events x;
    const cnode_logger_config c = {.node = "b@127.0.0.1"};
    uv_thread_t threads[THREADS];
    cnode_logger *l;
    uv_loop_t loop;
    cnode *a, *b;
    cn_log log;
    int all;

    (void)state;
    memset(&x, 0, sizeof x);
    assert_int_equal(cnode_logger_new(&l, &c), 0);
    pair(&loop, l, &a, &b, &x);
    log = cnode_logger_hook(l, CN_LOG_WARN);
    assert_int_equal(cnode_logger_attach(l, a), 0);
    assert_int_equal(cnode_connect(a, "b@127.0.0.1", NULL, NULL), 0);
    while (count(&x, "is up") == 0) /* its own last line about that */
        assert_int_not_equal(uv_run(&loop, UV_RUN_ONCE), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(uv_thread_create(&threads[i], log_much, &log), 0);
    while (count(&x, "line ") < THREADS * EACH)
        assert_int_not_equal(uv_run(&loop, UV_RUN_ONCE), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(uv_thread_join(&threads[i]), 0);
    for (int i = 0; i < EACH; i++) {
        char text[40];
        (void)snprintf(text, sizeof text, "thread: line %d", i);
        assert_true(count(&x, text) >= THREADS);
    }
    assert_int_equal(cnode_logger_dropped(l), 0);
    all = x.n; /* and nothing follows from them */
    for (int i = 0; i < 20; i++)
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(x.n, all);
    assert_int_equal(count(&x, "line "), THREADS * EACH); /* once each */
    part(&loop, a, b);
    cnode_logger_free(l);
}

static void a_long_name_hides_nothing(void **state) {
    static events x;
    static char name[300];
    const cnode_logger_config c = {
        .node = "b@127.0.0.1", .name = name, .max_lines = 1};
    cnode_logger *l;
    uv_loop_t loop;
    cnode *a, *b;
    cn_log log;

    (void)state;
    memset(&x, 0, sizeof x);
    memset(name, 'n', sizeof name - 1);
    assert_int_equal(cnode_logger_new(&l, &c), 0);
    pair(&loop, l, &a, &b, &x);
    log = cnode_logger_hook(l, CN_LOG_INFO);
    log.fn(log.ctx, CN_LOG_INFO, "here", "one");
    log.fn(log.ctx, CN_LOG_INFO, "here", "two");
    assert_int_equal(cnode_logger_attach(l, a), 0);
    assert_int_equal(cnode_connect(a, "b@127.0.0.1", NULL, NULL), 0);
    while (count(&x, "nnn: log: ") == 0 || count(&x, " lines were lost") == 0)
        assert_int_not_equal(uv_run(&loop, UV_RUN_ONCE), 0);
    part(&loop, a, b);
    cnode_logger_free(l);
}

static int make(fault_alloc *f, void *arg) {
    const cnode_logger_config c = {
        .node = "b@h", .name = "x", .alloc = f->alloc};
    cnode_logger *l;
    int err = cnode_logger_new(&l, &c);
    cn_log log;

    (void)arg;
    if (err != 0)
        return err;
    log = cnode_logger_hook(l, CN_LOG_INFO);
    log.fn(log.ctx, CN_LOG_INFO, "a", "b");
    err = cnode_logger_dropped(l) == 0 ? 0 : CN_ENOMEM;
    cnode_logger_free(l);
    return err;
}

static void without_memory(void **state) {
    cnode_logger *l;

    (void)state;
    run_with_every_failure(make, NULL);
    assert_int_equal(cnode_logger_new(&l, &(cnode_logger_config){.node = ""}),
                     CN_EBADARG);
    assert_int_equal(cnode_logger_new(&l, NULL), CN_EBADARG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_wait_for_the_node),
        cmocka_unit_test(nobody_stops_it),
        cmocka_unit_test(lines_of_many_threads),
        cmocka_unit_test(a_long_name_hides_nothing),
        cmocka_unit_test(without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
