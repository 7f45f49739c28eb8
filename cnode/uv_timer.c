/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_timer.c: the one timer of a node on libuv.
 *
 * A timer of libuv is a time that its loop waits at most: the system sets one
 * and takes it back in every turn, which with a message in each is a tenth of
 * what that costs. So where there are timers that are descriptors it is one of
 * these, which is set when the time gets earlier and is otherwise left alone.
 */
#include "cnode/uv_shell.h"

/* What is due by now, and what it was set for: the loop's clock may be a little
 * behind the system's. */
static void run_due(cnode__uv *s) {
    uint64_t now = uv_now(s->loop), at = s->timer_at;

    s->timer_at = UINT64_MAX; /* it is not set any more */
    cnode__run_timers(&s->node, at != UINT64_MAX && at > now ? at : now);
}

#ifdef __linux__

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Nothing to read: it was set anew since. */
static void on_timer(uv_poll_t *t, int status, int events) {
    cnode__uv *s = t->data;
    uint64_t times;

    (void)status, (void)events;
    if (read(s->timer_fd, &times, sizeof times) == (ssize_t)sizeof times)
        run_due(s);
}

int cnode__uv_open_timer(cnode__uv *s) {
    int r;

    s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (s->timer_fd < 0)
        return uv_translate_sys_error(errno);
    r = uv_poll_init(s->loop, &s->timer, s->timer_fd);
    if (r != 0)
        (void)close(s->timer_fd);
    return r != 0 ? r : uv_poll_start(&s->timer, UV_READABLE, on_timer);
}

void cnode__uv_shut_timer(cnode__uv *s) {
    (void)close(s->timer_fd);
}

/* A nanosecond more, for 0 would mean none. */
static void start(cnode__uv *s, uint64_t at) {
    struct itimerspec when = {.it_interval = {0}};

    when.it_value.tv_sec = (time_t)(at / 1000);
    when.it_value.tv_nsec = (long)(at % 1000 * 1000000 + 1);
    (void)timerfd_settime(s->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

#else

static void on_timer(uv_timer_t *t) {
    run_due(t->data);
}

int cnode__uv_open_timer(cnode__uv *s) {
    return uv_timer_init(s->loop, &s->timer);
}

void cnode__uv_shut_timer(cnode__uv *s) {
    (void)s;
}

static void start(cnode__uv *s, uint64_t at) {
    uint64_t now = uv_now(s->loop);

    (void)uv_timer_start(&s->timer, on_timer, at > now ? at - now : 0, 0);
}

#endif

/* One that is set too early stays: the timeout of a call, say, which has its
 * answer, and will be followed by that of the next call. */
void cnode__uv_set_timer(cnode__uv *s) {
    uint64_t at = cnode__deadline(&s->node);

    if (at >= s->timer_at)
        return;
    s->timer_at = at;
    start(s, at);
}
