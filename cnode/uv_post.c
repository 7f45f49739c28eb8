/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_post.c: what other threads want of a node: signals to send, functions to
 * run, calls to wait for.
 *
 * A letter is written behind the others into one buffer under a lock; the one
 * that finds it empty wakes the loop, which takes the buffer away, leaves an
 * empty one that it has kept, and opens all letters in order. So there is no
 * allocation for a letter, and one wake-up for as many as come meanwhile.
 *
 * A letter that is never opened, because the node is closing, is only told so:
 * whoever waits for a call must not wait for ever.
 */
#include <string.h>

#include "cnode/sized.h"
#include "cnode/uv_shell.h"

enum { KEEP_LETTERS = 256 * 1024, DEFAULT_LETTERS = 256 << 20 };

typedef struct letter {
    void (*fn)(cnode *n, void *arg); /* NULL: a signal */
    void (*lost)(void *arg);         /* it was not opened; may be NULL */
    void *arg;
    size_t frame_len; /* the frame follows, and the name of the node */
    size_t name_len;  /* with its NUL */
} letter;

/* --- busy nodes ---------------------------------------------------------- */

/* Names, each with its NUL, of the nodes that have more than they take. Their
 * number is small: they are those that are connected and stuck. */
static char *find_busy(cnode__uv *s, const char *node) {
    cn_buf *b = &s->busy;

    for (size_t at = b->head; at < b->len;) {
        char *name = (char *)b->data + at;
        if (strcmp(name, node) == 0)
            return name;
        at += strlen(name) + 1;
    }
    return NULL;
}

static void forget_busy(cnode__uv *s, char *name) {
    size_t len = strlen(name) + 1;
    char *end = (char *)s->busy.data + s->busy.len;

    memmove(name, name + len, (size_t)(end - (name + len)));
    s->busy.len -= len;
}

void cnode__uv_busy(void *ctx, const char *node, bool busy) {
    cnode__uv *s = ctx;
    char *name;

    uv_mutex_lock(&s->mutex);
    name = find_busy(s, node);
    if (name != NULL && !busy)
        forget_busy(s, name);
    else if (name == NULL && busy) /* without memory they will be dropped */
        (void)cn__buf_append(&s->busy, node, strlen(node) + 1);
    uv_mutex_unlock(&s->mutex);
}

/* --- refusals ------------------------------------------------------------ */

/* Who was told CN_EBUSY is to hear from on_drain when to go on, so the loop has
 * to know. In the buffer are, for each node, how often that was since the loop
 * last looked, in 8 bytes, and its name with its NUL. The messages of a thread
 * to this node itself ("") are followed by nothing, as those of the loop. */
static uint8_t *find_refused(cnode__uv *s, const char *node) {
    cn_buf *b = &s->refused;

    for (size_t at = b->head; at < b->len;) {
        const char *name = (const char *)b->data + at + 8;
        if (strcmp(name, node) == 0)
            return b->data + at;
        at += 8 + strlen(name) + 1;
    }
    return NULL;
}

/* CN_EBUSY, or CN_ENOMEM: then the loop does not know of it. */
static int refuse(cnode__uv *s, const char *node) {
    size_t len = strlen(node) + 1;
    uint8_t *p = find_refused(s, node);

    if (len == 1)
        return CN_EBUSY;
    if (p != NULL) {
        (void)cn__put64(p, cn__be64(p) + 1);
        return CN_EBUSY;
    }
    p = cn__buf_reserve(&s->refused, 8 + len);
    if (p == NULL)
        return CN_ENOMEM;
    memcpy(cn__put64(p, 1), node, len);
    cn__buf_commit(&s->refused, 8 + len);
    (void)uv_async_send(&s->async);
    return CN_EBUSY;
}

static void tell_refused(cnode__uv *s, cn_buf *b) {
    while (cn__buf_size(b) > 0) {
        const uint8_t *p = cn__buf_at(b);
        const char *name = (const char *)p + 8;
        cnode__carry_refused(&s->node, name, cn__be64(p));
        cn__buf_consume(b, 8 + strlen(name) + 1, SIZE_MAX);
    }
}

/* --- posting ------------------------------------------------------------- */

static int append(cnode__uv *s, const letter *l, const void *frame,
                  const char *name) {
    bool first = cn__buf_size(&s->letters) == 0;
    uint8_t *p;

    if (l->frame_len > SIZE_MAX / 2)
        return CN_ELIMIT;
    p = cn__buf_reserve(&s->letters, sizeof *l + l->frame_len + l->name_len);
    if (p == NULL)
        return CN_ENOMEM;
    memcpy(p, l, sizeof *l);
    if (l->frame_len > 0)
        memcpy(p + sizeof *l, frame, l->frame_len);
    if (l->name_len > 0)
        memcpy(p + sizeof *l + l->frame_len, name, l->name_len);
    cn__buf_commit(&s->letters, sizeof *l + l->frame_len + l->name_len);
    if (first)
        (void)uv_async_send(&s->async);
    return 0;
}

/* More than the node may have queued is not taken from threads, either. */
static bool is_full(const cnode__uv *s) {
    size_t max = s->node.config.max_queue;

    return cn__buf_size(&s->letters) > (max == 0 ? DEFAULT_LETTERS : max);
}

int cnode__uv_carry(void *ctx, const char *node, etf_view frame) {
    cnode__uv *s = ctx;
    const letter l = {.frame_len = frame.len, .name_len = strlen(node) + 1};
    int err;

    uv_mutex_lock(&s->mutex);
    if (s->closed)
        err = CN_ECLOSED;
    else if (is_full(s) || find_busy(s, node) != NULL)
        err = refuse(s, node);
    else
        err = append(s, &l, frame.data, node);
    uv_mutex_unlock(&s->mutex);
    return err;
}

int cnode__uv_post(cnode__uv *s, void (*fn)(cnode *n, void *arg),
                   void (*lost)(void *arg), void *arg) {
    const letter l = {.fn = fn, .lost = lost, .arg = arg};
    int err;

    uv_mutex_lock(&s->mutex);
    err = s->closed ? CN_ECLOSED : append(s, &l, NULL, NULL);
    uv_mutex_unlock(&s->mutex);
    return err;
}

int cnode_post(cnode *n, void (*fn)(cnode *n, void *arg), void *arg) {
    return cnode__uv_post(cnode__uv_of(n), fn, NULL, arg);
}

/* --- opening ------------------------------------------------------------- */

static cn_buf take_letters(cnode__uv *s, cn_buf *refused) {
    cn_buf all;

    cn__buf_init(refused, &s->node.alloc);
    uv_mutex_lock(&s->mutex);
    all = s->letters;
    s->letters = s->spare;
    if (cn__buf_size(&s->refused) > 0) {
        cn_buf none = *refused;
        *refused = s->refused;
        s->refused = none;
    }
    uv_mutex_unlock(&s->mutex);
    cn__buf_init(&s->spare, &s->node.alloc);
    return all;
}

static void open_letter(cnode__uv *s, const letter *l, const uint8_t *frame,
                        bool deliver) {
    if (!deliver) {
        if (l->lost != NULL)
            l->lost(l->arg);
    } else if (l->fn != NULL) {
        l->fn(&s->node, l->arg);
    } else {
        cnode__carried(&s->node, (const char *)frame + l->frame_len,
                       (etf_view){frame, l->frame_len});
    }
}

void cnode__uv_open_letters(cnode__uv *s, bool deliver) {
    cn_buf refused, all = take_letters(s, &refused);

    while (cn__buf_size(&all) > 0) {
        const uint8_t *p = cn__buf_at(&all);
        letter l;
        memcpy(&l, p, sizeof l);
        open_letter(s, &l, p + sizeof l, deliver);
        cn__buf_consume(&all, sizeof l + l.frame_len + l.name_len, SIZE_MAX);
    }
    if (deliver) /* behind the letters: it was those that left no room */
        tell_refused(s, &refused);
    cn__buf_free(&refused);
    if (all.cap > KEEP_LETTERS || s->spare.data != NULL)
        cn__buf_free(&all);
    else
        s->spare = all;
}

void cnode__uv_close_letters(cnode__uv *s) {
    uv_mutex_lock(&s->mutex);
    s->closed = true;
    uv_mutex_unlock(&s->mutex);
    cnode__uv_open_letters(s, false);
    cn__buf_free(&s->letters);
    cn__buf_free(&s->spare);
    cn__buf_free(&s->busy);
}

/* --- calls that wait ----------------------------------------------------- */

static void end(cnode_proc *p) {
    static const uint8_t normal[] = {119, 6, 'n', 'o', 'r', 'm', 'a', 'l'};

    cnode__end(p, (etf_view){normal, sizeof normal});
}

typedef struct waiting {
    const cnode_call_opts *call; /* or */
    const cnode_rpc_opts *rpc;
    etf_view term; /* the request, or the arguments */
    etf_writer *result;
    int status;
    bool answered;
    uv_sem_t done;
} waiting;

static void on_answer(cnode_proc *p, int status, etf_view result, void *data) {
    waiting *w = data;

    w->answered = true;
    w->status = status;
    if (w->result != NULL && result.len > 0) {
        etf_put_term(w->result, result);
        if (w->result->err != 0 && w->status == 0)
            w->status = w->result->err;
    }
    end(p);
}

/* However the process ends: by an answer, an exit signal, or with the node. */
static void on_waiting_end(cnode_proc *p, etf_view reason, void *data) {
    waiting *w = data;

    (void)p;
    (void)reason;
    if (!w->answered)
        w->status = CN_ECLOSED;
    uv_sem_post(&w->done);
}

static void fail_waiting(waiting *w, int status) {
    w->status = status;
    uv_sem_post(&w->done);
}

static void on_call_lost(void *arg) {
    fail_waiting(arg, CN_ECLOSED);
}

static void start_call(cnode *n, void *arg) {
    waiting *w = arg;
    const cnode_proc_config c = {.on_end = on_waiting_end, .data = w};
    cnode_proc *p;
    int err = cnode__spawn_lasting(n, &c, &p);

    if (err != 0) {
        fail_waiting(w, err);
        return;
    }
    if (w->call != NULL)
        err = cnode_call(p, w->call, on_answer, w, "~t", w->term);
    else
        err = cnode_rpc(p, w->rpc, on_answer, w, "~t", w->term);
    if (err == 0)
        return;
    w->answered = true;
    w->status = err;
    end(p);
}

static int wait_for(cnode *n, waiting *w, const etf_in *in, size_t count) {
    const cn_alloc alloc = n->alloc; /* the node may go while this waits */
    etf_writer term;
    int err;

    if (n->shell->on_loop(n->shell_ctx))
        return cnode__err(n, CN_EBUG,
                          "this thread runs the loop, which would wait for "
                          "itself: cnode_call and cnode_rpc do not wait");
    if (uv_sem_init(&w->done, 0) != 0)
        return CN_ENOMEM;
    etf_writer_init(&term, &alloc);
    (void)etf_pack_args(&term, in, count);
    err = etf_writer_finish(&term, &w->term);
    if (err == 0)
        err = cnode__uv_post(cnode__uv_of(n), start_call, on_call_lost, w);
    if (err == 0) {
        uv_sem_wait(&w->done);
        err = w->status;
    }
    etf_writer_free(&term);
    uv_sem_destroy(&w->done);
    return err;
}

int cnode_call_wait_args_sized(cnode *n, const cnode_call_opts *given,
                               size_t size, etf_writer *result,
                               const etf_in *in, size_t count) {
    cnode_call_opts known;
    const cnode_call_opts *o =
        cnode__take_sized(&known, sizeof known, given, size);
    waiting w = {.call = o, .result = result};

    return wait_for(n, &w, in, count);
}

int cnode_rpc_wait_args_sized(cnode *n, const cnode_rpc_opts *given,
                              size_t size, etf_writer *result, const etf_in *in,
                              size_t count) {
    cnode_rpc_opts known;
    const cnode_rpc_opts *o =
        cnode__take_sized(&known, sizeof known, given, size);
    waiting w = {.rpc = o, .result = result};

    return wait_for(n, &w, in, count);
}
