/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_logger.c: the log of this program for the logger of an Erlang node. Lines
 * come from any thread into a queue under a lock; the first one posts a
 * function to the loop, which sends them to `logger_proxy` there, as a node
 * does with the events of processes that others lead:
 *
 *   {log, Level, "~ts", [Text], #{pid => .., time => ..}}
 *
 * Without `gl` in the last one they are events of that node. As long as lines
 * wait and cannot go, a timer looks again; nothing is dialled.
 */
#include <stdio.h>
#include <string.h>

#include <uv.h>

#include "base/log.h"
#include "cnode/io.h"
#include "cnode/node.h"
#include "cnode/sized.h"

enum { MAX_LINES = 1000, RETRY_MS = 200, AT_ONCE = 100 };

typedef struct line {
    struct line *next;
    cn_level level;
    int64_t time_us;
    size_t len;
    char text[];
} line;

struct cnode_logger {
    cnode_logger_config config; /* the names are copies */
    cn_alloc alloc;
    uv_mutex_t mutex;
    line *first, **last;
    uint32_t lines;
    uint64_t dropped;
    uint64_t told; /* of these */
    cnode *node;   /* NULL: not attached, or not any more */
    cnode_proc *proc;
    bool attached;
    bool posted;
    bool timing;
    bool sending; /* ... in this thread: what that logs is not kept */
    uv_thread_t sender;
};

/* --- the queue ----------------------------------------------------------- */

static int64_t now_us(void) {
    uv_timeval64_t tv;

    return uv_gettimeofday(&tv) == 0 ? tv.tv_sec * 1000000 + tv.tv_usec : 0;
}

static void free_line(cnode_logger *l, line *x) {
    cn__free(&l->alloc, x, sizeof *x + x->len + 1, 1);
}

/* NAME: WHERE: TEXT */
static line *make_line(cnode_logger *l, cn_level level, const char *where,
                       const char *text) {
    const char *name = l->config.name != NULL ? l->config.name : "";
    const char *colon = *name != '\0' ? ": " : "";
    size_t len =
        strlen(name) + strlen(colon) + strlen(where) + 2 + strlen(text);
    line *x = cn__calloc(&l->alloc, sizeof *x + len + 1, 1);

    if (x == NULL)
        return NULL;
    x->level = level;
    x->time_us = now_us();
    x->len = len;
    (void)snprintf(x->text, len + 1, "%s%s%s: %s", name, colon, where, text);
    return x;
}

static void run(cnode *n, void *arg);

/* With the lock. */
static void want_run(cnode_logger *l) {
    if (l->node != NULL && !l->posted)
        l->posted = cnode_post(l->node, run, l) == 0;
}

static bool is_own(const cnode_logger *l) {
    uv_thread_t self = uv_thread_self();

    return l->sending && uv_thread_equal(&self, &l->sender);
}

static void on_line(void *ctx, cn_level level, const char *where,
                    const char *text) {
    cnode_logger *l = ctx;
    line *x = NULL;

    if (cn__logs(&l->config.next, level))
        l->config.next.fn(l->config.next.ctx, level, where, text);
    uv_mutex_lock(&l->mutex);
    if (is_own(l)) {
        uv_mutex_unlock(&l->mutex);
        return;
    }
    if (l->lines < l->config.max_lines)
        x = make_line(l, level, where, text);
    if (x != NULL) {
        *l->last = x;
        l->last = &x->next;
        l->lines++;
    } else {
        l->dropped++;
    }
    want_run(l);
    uv_mutex_unlock(&l->mutex);
}

static line *take(cnode_logger *l) {
    line *x;

    uv_mutex_lock(&l->mutex);
    x = l->first;
    if (x != NULL) {
        l->first = x->next;
        if (l->first == NULL)
            l->last = &l->first;
        l->lines--;
    }
    uv_mutex_unlock(&l->mutex);
    return x;
}

/* It could not be sent yet: in front of the others. */
static void put_back(cnode_logger *l, line *x) {
    uv_mutex_lock(&l->mutex);
    x->next = l->first;
    if (l->first == NULL)
        l->last = &x->next;
    l->first = x;
    l->lines++;
    uv_mutex_unlock(&l->mutex);
}

/* --- sending ------------------------------------------------------------- */

static int send_event(cnode_logger *l, cn_level level, int64_t time_us,
                      const char *text, size_t len) {
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    etf_pid self = cnode_self(l->proc);
    int err;

    uv_mutex_lock(&l->mutex);
    l->sender = uv_thread_self();
    l->sending = true;
    uv_mutex_unlock(&l->mutex);
    err = cnode_send_name(l->proc, l->config.node, "logger_proxy",
                          "{log, ~a, ~s, [~b], #{pid => ~p, time => ~i}}",
                          levels[level & 3], "~ts", etf_view_of(text, len),
                          &self, time_us);
    uv_mutex_lock(&l->mutex);
    l->sending = false;
    uv_mutex_unlock(&l->mutex);
    return err;
}

/* 0, also when there is nothing to tell. */
static int tell_dropped(cnode_logger *l) {
    uint64_t dropped = cnode_logger_dropped(l);
    char text[60];
    line *x;
    int err;

    if (dropped == l->told)
        return 0;
    (void)snprintf(text, sizeof text, "%llu lines were lost",
                   (unsigned long long)(dropped - l->told));
    x = make_line(l, CN_LOG_WARN, "log", text);
    if (x == NULL)
        return CN_ENOMEM;
    err = send_event(l, x->level, x->time_us, x->text, x->len);
    free_line(l, x);
    if (err == 0)
        l->told = dropped;
    return err;
}

/* False: it must wait. A line that can never be sent is dropped. */
static bool send_line(cnode_logger *l, line *x) {
    int err = send_event(l, x->level, x->time_us, x->text, x->len);

    if (err == CN_EBUSY || err == CN_ENOMEM) {
        put_back(l, x);
        return false;
    }
    free_line(l, x);
    if (err != 0) {
        uv_mutex_lock(&l->mutex);
        l->dropped++;
        uv_mutex_unlock(&l->mutex);
    }
    return true;
}

/* False: something waits that cannot go now. */
static bool send_lines(cnode_logger *l) {
    line *x = NULL;

    if (!cnode_connected(l->node, l->config.node))
        return false;
    for (int i = 0; i < AT_ONCE; i++) {
        x = take(l);
        if (x == NULL)
            return tell_dropped(l) == 0;
        if (!send_line(l, x))
            return false;
    }
    /* The loop has other things to do in between. */
    uv_mutex_lock(&l->mutex);
    want_run(l);
    uv_mutex_unlock(&l->mutex);
    return true;
}

static void on_timer(cnode_proc *p, void *arg) {
    cnode_logger *l = arg;

    (void)p;
    l->timing = false;
    run(l->node, l);
}

static void run(cnode *n, void *arg) {
    cnode_logger *l = arg;

    (void)n;
    uv_mutex_lock(&l->mutex);
    l->posted = false;
    uv_mutex_unlock(&l->mutex);
    if (l->node == NULL || send_lines(l) || l->timing)
        return;
    l->timing = cnode_after(l->proc, RETRY_MS, on_timer, l) == 0;
}

/* --- life ---------------------------------------------------------------- */

static void on_message(cnode_proc *self, const cnode_msg *m, void *data) {
    (void)data;
    (void)cnode_refuse_msg(self, m);
}

/* The node goes: lines are kept for nobody from here on. */
static void on_end(cnode_proc *self, etf_view reason, void *data) {
    cnode_logger *l = data;

    (void)self, (void)reason;
    uv_mutex_lock(&l->mutex);
    l->node = NULL;
    l->proc = NULL;
    uv_mutex_unlock(&l->mutex);
}

int cnode_logger_new_sized(cnode_logger **out, const cnode_logger_config *c,
                           size_t size) {
    cnode_logger_config config;
    cn_alloc alloc;
    cnode_logger *l;

    cnode__copy_sized(&config, sizeof config, c, size);
    alloc = *cn__alloc(&config.alloc);
    if (config.node == NULL || *config.node == '\0')
        return CN_EBADARG;
    l = cn__calloc(&alloc, 1, sizeof *l);
    if (l == NULL)
        return CN_ENOMEM;
    l->alloc = alloc;
    l->config = config;
    if (l->config.max_lines == 0)
        l->config.max_lines = MAX_LINES;
    l->last = &l->first;
    l->config.node = cn__strdup(&alloc, config.node);
    l->config.name =
        config.name != NULL ? cn__strdup(&alloc, config.name) : NULL;
    if (l->config.node == NULL || (config.name != NULL && !l->config.name) ||
        uv_mutex_init(&l->mutex) != 0) {
        cn__strfree(&alloc, (char *)(uintptr_t)l->config.node);
        cn__strfree(&alloc, (char *)(uintptr_t)l->config.name);
        cn__free(&alloc, l, 1, sizeof *l);
        return CN_ENOMEM;
    }
    *out = l;
    return 0;
}

cn_log cnode_logger_hook(cnode_logger *l, cn_level level) {
    return (cn_log){on_line, l, level};
}

int cnode_logger_attach(cnode_logger *l, cnode *n) {
    const cnode_proc_config c = {
        .on_message = on_message, .on_end = on_end, .data = l};
    cnode_proc *p;
    int err;

    if (l->attached)
        return cnode__err(n, CN_EBUG, "this logger has a node already");
    err = cnode__spawn_lasting(n, &c, &p);
    if (err != 0)
        return err;
    l->attached = true;
    uv_mutex_lock(&l->mutex);
    l->node = n;
    l->proc = p;
    want_run(l);
    uv_mutex_unlock(&l->mutex);
    return 0;
}

uint64_t cnode_logger_dropped(const cnode_logger *l) {
    uv_mutex_t *mutex = (uv_mutex_t *)(uintptr_t)&l->mutex;
    uint64_t dropped;

    uv_mutex_lock(mutex);
    dropped = l->dropped;
    uv_mutex_unlock(mutex);
    return dropped;
}

void cnode_logger_free(cnode_logger *l) {
    line *x;

    if (l == NULL)
        return;
    while ((x = take(l)) != NULL)
        free_line(l, x);
    uv_mutex_destroy(&l->mutex);
    cn__strfree(&l->alloc, (char *)(uintptr_t)l->config.node);
    cn__strfree(&l->alloc, (char *)(uintptr_t)l->config.name);
    cn__free(&l->alloc, l, 1, sizeof *l);
}
