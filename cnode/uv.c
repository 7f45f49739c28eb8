/* SPDX-License-Identifier: Apache-2.0
 *
 * uv.c: the shell of a node on libuv: the clock, threads, and turns of the
 * loop.
 *
 * In each turn of the loop: callbacks feed what happened to the node; then,
 * before the loop waits (uv_prepare), the pump runs what came of it, output is
 * written and the one timer is set (uv_timer.c). An idle handle keeps the loop
 * from waiting while the pump has more to do.
 *
 * What other threads want comes by uv_post.c.
 */
#include <stdlib.h>
#include <string.h>

#include "cnode/sized.h"
#include "cnode/uv_shell.h"
#include "epmd/uv_link.h"

/* --- clock, randomness, threads ------------------------------------------ */

static uint64_t shell_now(void *ctx) {
    const cnode__uv *s = ctx;
    return uv_now(s->loop);
}

static uint64_t shell_clock_us(void *ctx) {
    (void)ctx;
    return uv_hrtime() / 1000;
}

static void shell_random(void *ctx, void *p, size_t n) {
    (void)ctx;
    /* The system's generator does not fail for a few bytes; a program that
     * cannot have unpredictable challenges must not go on. */
    if (uv_random(NULL, NULL, p, n, 0, NULL) != 0)
        abort();
}

static bool shell_on_loop(void *ctx) {
    cnode__uv *s = ctx;
    const uv_thread_t self = uv_thread_self();
    const uv_thread_t owner = s->thread;
    return uv_thread_equal(&self, &owner) != 0;
}

/* The pump comes by itself in each turn; nothing to do. */
static void shell_wake(void *ctx) {
    (void)ctx;
}

static size_t shell_lingering(void *ctx) {
    return ((cnode__uv *)ctx)->lingering;
}

void cnode_stop(cnode *n) {
    cnode__uv *s = cnode__uv_of(n);

    uv_mutex_lock(&s->mutex);
    s->stop = true;
    if (!s->closed)
        (void)uv_async_send(&s->async);
    uv_mutex_unlock(&s->mutex);
}

bool cnode__uv_stopped(cnode__uv *s) {
    return s->stop;
}

static void on_async(uv_async_t *a) {
    cnode__uv_open_letters(a->data, true);
    cnode__uv_give_answers(a->data);
}

static const cnode__shell uv_functions = {
    .dial = cnode__uv_dial,
    .flush = cnode__uv_flush,
    .close = cnode__uv_close,
    .now = shell_now,
    .random = shell_random,
    .on_loop = shell_on_loop,
    .carry = cnode__uv_carry,
    .wake = shell_wake,
    .busy = cnode__uv_busy,
    .unlisten = cnode__uv_unlisten,
    .lingering = shell_lingering,
    .clock_us = shell_clock_us,
    .where = cnode__uv_where,
};

/* --- turns of the loop --------------------------------------------------- */

static void on_idle(uv_idle_t *h) {
    (void)h;
}

static void set_idle(cnode__uv *s, bool idles) {
    s->idles = idles;
    if (idles)
        (void)uv_idle_start(&s->idle, on_idle);
    else
        (void)uv_idle_stop(&s->idle);
}

static void on_prepare(uv_prepare_t *h) {
    cnode__uv *s = h->data;

    if (!shell_on_loop(s)) /* to read it costs less than to write it */
        s->thread = uv_thread_self();
    s->turn++;
    if (cnode__pump(&s->node) != s->idles)
        set_idle(s, !s->idles);
    cnode__uv_set_timer(s);
}

/* Callbacks run in these turns, and a turn within a turn would be the end of
 * both. Of a loop that the program runs itself this cannot be seen. */
int cnode__uv_may_wait(cnode__uv *s, const char *call) {
    return s->turning ? cnode__err(&s->node, CN_EBUG,
                                   "%s: not in a callback: it would run the "
                                   "loop that runs the callback",
                                   call)
                      : 0;
}

void cnode__uv_turn(cnode__uv *s) {
    s->turning = true;
    (void)uv_run(s->loop, UV_RUN_ONCE);
    s->turning = false;
}

int cnode_run(cnode *n) {
    cnode__uv *s = cnode__uv_of(n);
    int err = cnode__uv_may_wait(s, "cnode_run");

    if (err != 0)
        return err;
    s->thread = uv_thread_self();
    while (!cnode__uv_stopped(s))
        cnode__uv_turn(s);
    s->stop = false;
    return 0;
}

static void wait_for_mail(cnode__uv *s, cnode_proc *p, const bool *late) {
    p->receiving = true;
    while (p->first == NULL && !p->ended && !*late && !cnode__uv_stopped(s))
        cnode__uv_turn(s);
    p->receiving = false;
}

typedef struct receive_wait {
    cnode__timer timer;
    bool late;
} receive_wait;

static void on_wait_over(cnode__timer *t) {
    cnode__list_of(receive_wait, timer, t)->late = true;
}

int cnode_receive(cnode_proc *p, uint32_t timeout_ms, cnode_msg *out) {
    cnode__uv *s = cnode__uv_of(p->node);
    cnode *n = p->node;
    receive_wait wait = {.late = false};
    int err = timeout_ms == 0 ? 0 : cnode__uv_may_wait(s, "cnode_receive");

    if (err != 0)
        return err;
    err = cnode__timer_make(&n->timers, &wait.timer, on_wait_over);
    if (err != 0)
        return cnode__err(n, err, "out of memory");
    if (p->first == NULL && timeout_ms > 0) {
        uv_update_time(s->loop);
        if (timeout_ms != UINT32_MAX)
            cnode__timer_arm(&n->timers, &wait.timer,
                             uv_now(s->loop) + timeout_ms);
        wait_for_mail(s, p, &wait.late);
    }
    cnode__timer_drop(&n->timers, &wait.timer);
    if (p->ended)
        return cnode__err(n, CN_ENOPROC, "the process has ended");
    if (cnode__take(p, out))
        return 0;
    return cnode__uv_stopped(s)
               ? cnode__err(n, CN_ECANCELED, "the node was stopped")
               : cnode__err(n, CN_ETIMEDOUT, "no message came");
}

/* --- birth and death ----------------------------------------------------- */

static void on_handle_closed(uv_handle_t *h) {
    cnode__uv *s = h->data;
    s->handles--;
}

static void close_handle(cnode__uv *s, uv_handle_t *h) {
    if (h->data != s || uv_is_closing(h))
        return;
    uv_close(h, on_handle_closed);
}

/* Has that worked? data is how close_handle knows which ones are there. */
static bool opened(cnode__uv *s, uv_handle_t *h, int r, const char *what) {
    if (r != 0) {
        (void)cn__fail(&s->node.error, r == UV_ENOMEM ? CN_ENOMEM : CN_EIO, -r,
                       "cannot open the %s of the node's loop: %s", what,
                       uv_strerror(r));
        return false;
    }
    h->data = s;
    s->handles++;
    return true;
}

static int open_handles(cnode__uv *s) {
    uv_handle_t *timer = (uv_handle_t *)&s->timer;

    if (!opened(s, (uv_handle_t *)&s->prepare,
                uv_prepare_init(s->loop, &s->prepare), "turns") ||
        !opened(s, (uv_handle_t *)&s->idle, uv_idle_init(s->loop, &s->idle),
                "turns") ||
        !opened(s, timer, cnode__uv_open_timer(s), "timer") ||
        !opened(s, (uv_handle_t *)&s->async,
                uv_async_init(s->loop, &s->async, on_async), "wake-up"))
        return s->node.error.code;
    return uv_prepare_start(&s->prepare, on_prepare) == 0 ? 0 : CN_EIO;
}

static void close_all(cnode__uv *s) {
    cnode__uv_close_letters(s);
    cnode__uv_unlisten(s);
    close_handle(s, (uv_handle_t *)&s->prepare);
    close_handle(s, (uv_handle_t *)&s->idle);
    close_handle(s, (uv_handle_t *)&s->timer);
    close_handle(s, (uv_handle_t *)&s->async);
    while (s->handles > 0) {
        s->turn++; /* sockets that linger may read again */
        (void)uv_run(s->loop, UV_RUN_ONCE);
    }
    if (s->timer.data == s)
        cnode__uv_shut_timer(s);
}

static int open_loop(cnode__uv *s, const cnode_config *c) {
    if (uv_mutex_init(&s->mutex) != 0)
        return CN_ENOMEM;
    epmd__ignore_sigpipe();
    s->thread = uv_thread_self();
    s->loop = c->loop;
    if (s->loop != NULL)
        return 0;
    s->loop = &s->own_loop;
    s->owns_loop = uv_loop_init(&s->own_loop) == 0;
    return s->owns_loop ? 0 : CN_EIO;
}

static void free_shell(cnode__uv *s) {
    const cn_alloc a = s->node.alloc;

    close_all(s);
    if (s->owns_loop) {
        while (uv_loop_close(&s->own_loop) == UV_EBUSY)
            (void)uv_run(&s->own_loop, UV_RUN_ONCE);
    }
    uv_mutex_destroy(&s->mutex);
    cn__free(&a, s->chunk, CNODE__READ_CHUNK, 1);
    cn__free(&a, s, 1, sizeof *s);
}

void cnode_free(cnode *n) {
    cnode__uv *s;

    if (n == NULL)
        return;
    s = cnode__uv_of(n);
    cnode__destroy(n);
    free_shell(s);
}

/* What a call that failed left in e, or else the code alone. */
static int tell_why(const cnode_config *c, int err, const cn_error *e) {
    if (c->error == NULL)
        return err;
    if (e != NULL && e->code != 0)
        *c->error = *e;
    else
        (void)cn__fail(c->error, err, 0, "%s", cn_strerror(err));
    return err;
}

int cnode_new_sized(cnode **out, const cnode_config *config, size_t size) {
    cnode_config c;
    cnode__uv *s;
    int err;

    *out = NULL;
    cnode__copy_sized(&c, sizeof c, config, size);
    s = cn__calloc(&c.alloc, 1, sizeof *s);
    if (s == NULL)
        return tell_why(&c, CN_ENOMEM, NULL);
    s->node.alloc = *cn__alloc(&c.alloc);
    cn__buf_init(&s->letters, &s->node.alloc);
    cn__buf_init(&s->spare, &s->node.alloc);
    cn__buf_init(&s->busy, &s->node.alloc);
    cn__buf_init(&s->refused, &s->node.alloc);
    cnode__list_init(&s->deferred);
    /* Not zeroed, for then all of its pages would be there from the start: that
     * took longer than all the rest of connecting. */
    s->chunk = cn__resize(&s->node.alloc, NULL, 0, CNODE__READ_CHUNK, 1);
    err = s->chunk == NULL ? CN_ENOMEM : open_loop(s, &c);
    if (err != 0) {
        cn__free(&s->node.alloc, s->chunk, CNODE__READ_CHUNK, 1);
        cn__free(&c.alloc, s, 1, sizeof *s);
        return tell_why(&c, err, NULL);
    }
    s->timer_at = UINT64_MAX;
    err = open_handles(s);
    if (err == 0)
        err = cnode__init(&s->node, &c, &uv_functions, s);
    if (err == 0) {
        *out = &s->node;
        return 0;
    }
    (void)tell_why(&c, err, &s->node.error);
    cnode_free(&s->node);
    return err;
}
