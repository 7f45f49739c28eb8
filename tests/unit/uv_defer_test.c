/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers that come later, from other threads, in time and too late.
 */
#include <stdatomic.h>
#include <string.h>

#include <uv.h>

#include "cnode/cnode.h"
#include "tests/unit/support.h"

enum { MANY = 200, ROUNDS = 50 };

typedef struct world {
    cnode *node;
    cnode_proc *asker;
    cnode_proc *server;
    cnode_deferred *kept;
    uv_thread_t threads[MANY];
    int started;
    int answered;
    int wanted; /* answers */
    int last_status;
    char last[128];
} world;

static void on_result(cnode_proc *p, int status, etf_view result, void *data) {
    world *w = data;

    w->last_status = status;
    w->last[0] = '\0';
    if (result.len > 0)
        (void)etf_print(result, w->last, sizeof w->last);
    if (++w->answered == w->wanted)
        cnode_stop(cnode_of(p));
}

static void complete(void *arg) {
    assert_int_equal(cnode_complete(arg, "{done, ~i}", 1), 0);
}

static void fail_with(void *arg) {
    assert_int_equal(cnode_fail(arg, CNODE_THROW, "ball"), 0);
}

static void badly(void *arg) {
    assert_int_not_equal(cnode_complete(arg, "{"), 0);
}

static void begin(world *w, void (*fn)(void *), cnode_deferred *d) {
    assert_int_equal(uv_thread_create(&w->threads[w->started++], fn, d), 0);
}

static void act(world *w, etf_view what, cnode_deferred *d) {
    if (etf_view_is(what, "complete"))
        begin(w, complete, d);
    else if (etf_view_is(what, "fail"))
        begin(w, fail_with, d);
    else if (etf_view_is(what, "badly"))
        begin(w, badly, d);
    else
        w->kept = d;
}

static int work(cnode_proc *self, etf_view args, etf_writer *out, void *data) {
    cnode_deferred *d;
    etf_view what;
    int err;

    (void)out;
    if (etf_match(args, "[~a]", &what) != 0)
        return CN_EBADARG;
    err = cnode_defer(self, NULL, &d);
    if (err != 0)
        return err;
    act(data, what, d);
    return CNODE_LATER;
}

static void on_call(cnode_proc *p, const cnode_from *from, etf_view request,
                    void *data) {
    cnode_deferred *d;
    etf_view what;

    assert_int_equal(etf_match(request, "~a", &what), 0);
    assert_int_equal(cnode_defer(p, from, &d), 0);
    act(data, what, d);
}

static void open_world(world *w, const cn_alloc *alloc) {
    const cnode_proc_config server = {
        .name = "server", .on_call = on_call, .data = w};
    cnode_config c = {.name = "a@127.0.0.1", .cookie = "secret"};

    *w = (world){.wanted = 1};
    if (alloc != NULL)
        c.alloc = *alloc;
    assert_int_equal(cnode_new(&w->node, &c), 0);
    assert_int_equal(cnode_spawn(w->node, &(cnode_proc_config){0}, &w->asker),
                     0);
    assert_int_equal(cnode_spawn(w->node, &server, &w->server), 0);
    assert_int_equal(cnode_export(w->node, "m", "work", 1, work, w), 0);
}

static void join(world *w) {
    while (w->started > 0)
        assert_int_equal(uv_thread_join(&w->threads[--w->started]), 0);
}

static void close_world(world *w) {
    join(w);
    cnode_free(w->node);
}

/* 0: whatever it takes. */
static uint32_t forever(uint32_t ms) {
    return ms == 0 ? UINT32_MAX : ms;
}

static void apply(world *w, const char *what, uint32_t timeout_ms) {
    const cnode_rpc_opts o = {.node = "a@127.0.0.1",
                              .module = "m",
                              .function = "work",
                              .timeout_ms = forever(timeout_ms)};

    assert_int_equal(cnode_rpc(w->asker, &o, on_result, w, "[~a]", what), 0);
}

static void call(world *w, const char *what, uint32_t timeout_ms) {
    const cnode_call_opts o = {.server = "server",
                               .timeout_ms = forever(timeout_ms)};

    assert_int_equal(cnode_call(w->asker, &o, on_result, w, "~a", what), 0);
}

static void expect(world *w, int status, const char *text) {
    assert_int_equal(cnode_run(w->node), 0);
    assert_int_equal(w->last_status, status);
    assert_string_equal(w->last, text);
    w->answered = 0;
}

static void of_functions(void **state) {
    world w;

    (void)state;
    open_world(&w, NULL);
    apply(&w, "complete", 0);
    expect(&w, 0, "{done,1}");
    apply(&w, "fail", 0);
    expect(&w, CN_EREMOTE, "{throw,ball,[]}");
    apply(&w, "badly", 0);
    expect(&w, CN_EREMOTE, "{error,system_limit,[{m,work,1,[]}]}");
    assert_int_equal(cnode_defer(w.asker, NULL, &w.kept), CN_EBUG);
    close_world(&w);
}

static void of_servers(void **state) {
    world w;

    (void)state;
    open_world(&w, NULL);
    call(&w, "complete", 0);
    expect(&w, 0, "{done,1}");
    call(&w, "fail", 0);
    expect(&w, CN_EEXITED, "ball");
    call(&w, "badly", 0);
    expect(&w, CN_EEXITED, "system_limit");
    close_world(&w);
}

/* The caller gives up: the handle knows, and its answer goes nowhere. */
static void unwanted(void **state) {
    world w;

    (void)state;
    open_world(&w, NULL);
    apply(&w, "keep", 10);
    expect(&w, CN_ETIMEDOUT, "");
    apply(&w, "complete", 0); /* what is before has happened then */
    expect(&w, 0, "{done,1}");
    assert_false(cnode_deferred_wanted(w.kept));
    assert_int_equal(cnode_complete(w.kept, "x"), 0);
    call(&w, "keep", 10);
    assert_true(w.kept != NULL);
    expect(&w, CN_ETIMEDOUT, "");
    call(&w, "complete", 0);
    expect(&w, 0, "{done,1}");
    assert_false(cnode_deferred_wanted(w.kept));
    assert_int_equal(cnode_complete(w.kept, "x"), 0);
    close_world(&w);
}

/* The process has ended, or all of the node. */
static void too_late(void **state) {
    world w;

    (void)state;
    open_world(&w, NULL);
    call(&w, "keep", 10);
    expect(&w, CN_ETIMEDOUT, "");
    assert_int_equal(cnode_exit(w.server, "bye"), 0);
    apply(&w, "complete", 0);
    expect(&w, 0, "{done,1}");
    assert_false(cnode_deferred_wanted(w.kept));
    assert_int_equal(cnode_complete(w.kept, "x"), CN_ENOPROC);
    apply(&w, "keep", 10);
    expect(&w, CN_ETIMEDOUT, "");
    close_world(&w);
    assert_false(cnode_deferred_wanted(w.kept));
    assert_int_equal(cnode_complete(w.kept, "x"), CN_ECLOSED);
}

static void from_many_threads(void **state) {
    world w;

    (void)state;
    open_world(&w, NULL);
    w.wanted = MANY;
    for (int i = 0; i < MANY / 2; i++) {
        apply(&w, "complete", 0);
        call(&w, "complete", 0);
    }
    expect(&w, 0, "{done,1}");
    close_world(&w);
}

/* May be before, during or after the end of the node. */
static void complete_some_time(void *arg) {
    int err = cnode_complete(arg, "x");

    assert_true(err == 0 || err == CN_ECLOSED);
}

static void races_with_the_end(void **state) {
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        world w;

        open_world(&w, NULL);
        apply(&w, "keep", 1);
        expect(&w, CN_ETIMEDOUT, "");
        begin(&w, complete_some_time, w.kept);
        cnode_free(w.node);
        join(&w);
    }
}

/* Any allocation may fail: whoever asks hears of it. */
static void without_memory(void **state) {
    static const uint8_t tag[] = {119, 1, 'a'};
    cnode_deferred *d = NULL;

    (void)state;
    for (size_t n = 1; d == NULL; n++) {
        cnode_from from = {.tag = {tag, sizeof tag}};
        fault_alloc fault;
        world w;
        int err;

        fault_init(&fault, 0);
        open_world(&w, &fault.alloc);
        from.pid = cnode_self(w.asker);
        fault.fail_at = fault.calls + n;
        err = cnode_defer(w.server, &from, &d);
        fault.fail_at = 0;
        assert_int_equal(err, d == NULL ? CN_ENOMEM : 0);
        if (d != NULL)
            assert_int_equal(cnode_complete(d, "x"), 0);
        close_world(&w);
        assert_int_equal(fault.live, 0);
    }
}

/* --- whose threads allocate ------------------------------------------------
 */

typedef struct watched {
    cn_alloc alloc;
    uv_mutex_t mutex;
    uv_thread_t loop;
    size_t live;
    size_t elsewhere; /* calls in other threads */
} watched;

static void *watch(void *ctx, void *p, size_t old_size, size_t new_size) {
    watched *a = ctx;
    uv_thread_t self = uv_thread_self();

    uv_mutex_lock(&a->mutex);
    a->live += new_size - (p == NULL ? 0 : old_size);
    a->elsewhere += !uv_thread_equal(&self, &a->loop);
    uv_mutex_unlock(&a->mutex);
    return cn_alloc_default()->realloc(cn_alloc_default()->ctx, p, old_size,
                                       new_size);
}

/* As the header says: only the threads that call allocate, and who completes
 * an answer does; also when its node is gone. */
static void allocates_where_it_is_called(void **state) {
    watched a = {.alloc = {watch, &a}, .loop = uv_thread_self()};
    uv_thread_t thread;
    world w;

    (void)state;
    assert_int_equal(uv_mutex_init(&a.mutex), 0);
    open_world(&w, &a.alloc);
    apply(&w, "keep", 10);
    expect(&w, CN_ETIMEDOUT, "");
    assert_int_equal(cnode_complete(w.kept, "x"), 0);
    assert_int_equal(a.elsewhere, 0);
    apply(&w, "complete", 0);
    expect(&w, 0, "{done,1}");
    join(&w);
    assert_true(a.elsewhere > 0);
    apply(&w, "keep", 10);
    expect(&w, CN_ETIMEDOUT, "");
    close_world(&w);
    assert_true(a.live > 0);
    assert_int_equal(uv_thread_create(&thread, complete_some_time, w.kept), 0);
    assert_int_equal(uv_thread_join(&thread), 0);
    assert_int_equal(a.live, 0);
    uv_mutex_destroy(&a.mutex);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_functions),
        cmocka_unit_test(of_servers),
        cmocka_unit_test(unwanted),
        cmocka_unit_test(too_late),
        cmocka_unit_test(from_many_threads),
        cmocka_unit_test(races_with_the_end),
        cmocka_unit_test(without_memory),
        cmocka_unit_test(allocates_where_it_is_called),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
