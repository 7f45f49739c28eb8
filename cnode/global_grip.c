/* SPDX-License-Identifier: Apache-2.0
 *
 * global_grip.c: one lock held on many nodes. All who want a lock ask the same
 * node first, the boss, so that one of them has it and the others have to wait
 * there instead of taking it from each other half and half.
 *
 * A node that cannot be reached is left out, as in gen_server:multi_call. That
 * each call is answered exactly once, at the latest by the end of its
 * connection, is what moves a grip on.
 */
#include <stdio.h>
#include <string.h>

#include "cnode/global_parts.h"

static void forget(cnode__grip *grip) {
    const cn_alloc *alloc = &grip->proc->node->alloc;

    if (grip->id.len > 0)
        etf_copy_free(alloc, grip->id);
    grip->id.len = 0;
    grip->n = 0;
}

int cnode__grip_begin(cnode__grip *grip, etf_view id) {
    forget(grip);
    if (etf_copy(&grip->proc->node->alloc, id, &grip->id) == 0)
        return 0;
    grip->id.len = 0;
    return CN_ENOMEM;
}

static int make_room(cnode__grip *grip) {
    size_t cap = grip->cap == 0 ? 4 : grip->cap * 2;
    cnode__finger *f;

    if (grip->n < grip->cap)
        return 0;
    f = cn__resize(&grip->proc->node->alloc, grip->fingers, grip->cap, cap,
                   sizeof *f);
    if (f == NULL)
        return CN_ENOMEM;
    grip->fingers = f;
    grip->cap = cap;
    return 0;
}

/* Only the boss and whom it is done for come twice, and they come first. */
static bool is_first_twice(const cnode__grip *grip, const char *node) {
    for (size_t i = 0; i < grip->n && grip->fingers[i].stage < 2; i++)
        if (strcmp(grip->fingers[i].node, node) == 0)
            return true;
    return false;
}

int cnode__grip_add(cnode__grip *grip, const char *node, int stage) {
    cnode__finger *f;

    if (is_first_twice(grip, node))
        return 0;
    if (make_room(grip) != 0)
        return CN_ENOMEM;
    f = &grip->fingers[grip->n++];
    f->grip = grip;
    f->stage = stage;
    f->holds = false;
    (void)snprintf(f->node, sizeof f->node, "%s", node);
    return 0;
}

/* --- asking -------------------------------------------------------------- */

static int ask(cnode__finger *f, cnode_call_cb cb, etf_view request) {
    const cnode_call_opts o = {
        .node = f->node, .server = CNODE__GNS, .timeout_ms = UINT32_MAX};
    int err = cnode_call(f->grip->proc, &o, cb, f, "~t", request);

    if (err == 0)
        f->grip->waiting++;
    else
        cn__log(&f->grip->proc->node->config.log, CN_LOG_WARN, "global",
                "%s cannot be asked: %s", f->node,
                f->grip->proc->node->error.text);
    return err;
}

/* {set_lock, Id} or {del_lock, Id}. */
static int ask_lock(cnode__finger *f, cnode_call_cb cb, const char *what) {
    const cnode_call_opts o = {
        .node = f->node, .server = CNODE__GNS, .timeout_ms = UINT32_MAX};
    int err =
        cnode_call(f->grip->proc, &o, cb, f, "{~a, ~t}", what, f->grip->id);

    if (err == 0)
        f->grip->waiting++;
    return err;
}

/* --- releasing ----------------------------------------------------------- */

static void release_boss(cnode__grip *grip);

static void on_all_released(cnode_proc *p, int status, etf_view result,
                            void *data) {
    cnode__grip *grip = ((cnode__finger *)data)->grip;

    (void)p, (void)status, (void)result;
    if (--grip->waiting == 0)
        grip->released(grip);
}

static void on_one_released(cnode_proc *p, int status, etf_view result,
                            void *data) {
    cnode__grip *grip = ((cnode__finger *)data)->grip;

    (void)p, (void)status, (void)result;
    if (--grip->waiting == 0)
        release_boss(grip);
}

static void let_go(cnode__finger *f, cnode_call_cb cb) {
    if (!f->holds)
        return;
    f->holds = false;
    (void)ask_lock(f, cb, "del_lock");
}

static void release_boss(cnode__grip *grip) {
    if (grip->n > 0)
        let_go(&grip->fingers[0], on_all_released);
    if (grip->waiting == 0)
        grip->released(grip);
}

void cnode__grip_release(cnode__grip *grip) {
    for (size_t i = 1; i < grip->n; i++)
        let_go(&grip->fingers[i], on_one_released);
    if (grip->waiting == 0)
        release_boss(grip);
}

/* --- taking -------------------------------------------------------------- */

static void take_stage(cnode__grip *grip);

static void stage_done(cnode__grip *grip) {
    if (grip->refused) {
        grip->taken(grip, false);
        return;
    }
    grip->stage++;
    take_stage(grip);
}

static void on_taken(cnode_proc *p, int status, etf_view result, void *data) {
    cnode__finger *f = data;
    cnode__grip *grip = f->grip;

    (void)p;
    f->holds = status == 0 && etf_match(result, "true") == 0;
    if (status == 0 && !f->holds)
        grip->refused = true;
    if (--grip->waiting == 0)
        stage_done(grip);
}

enum { LAST_STAGE = 2 };

static void take_stage(cnode__grip *grip) {
    for (; grip->stage <= LAST_STAGE && grip->waiting == 0; grip->stage++) {
        for (size_t i = 0; i < grip->n; i++)
            if (grip->fingers[i].stage == grip->stage)
                (void)ask_lock(&grip->fingers[i], on_taken, "set_lock");
        if (grip->waiting > 0)
            return;
    }
    grip->taken(grip, true);
}

void cnode__grip_take(cnode__grip *grip) {
    grip->stage = 0;
    grip->refused = false;
    take_stage(grip);
}

/* --- with it ------------------------------------------------------------- */

static void on_step(cnode_proc *p, int status, etf_view result, void *data) {
    cnode__grip *grip = ((cnode__finger *)data)->grip;

    (void)p, (void)status, (void)result;
    if (--grip->waiting == 0)
        grip->step(grip);
}

void cnode__grip_ask(cnode__grip *grip, etf_view request) {
    for (size_t i = 0; i < grip->n; i++)
        if (grip->fingers[i].holds)
            (void)ask(&grip->fingers[i], on_step, request);
    if (grip->waiting == 0)
        grip->step(grip);
}

void cnode__grip_free(cnode__grip *grip) {
    if (grip->proc == NULL)
        return;
    forget(grip);
    cn__free(&grip->proc->node->alloc, grip->fingers, grip->cap,
             sizeof *grip->fingers);
    grip->fingers = NULL;
    grip->cap = 0;
}
