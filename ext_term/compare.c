/* SPDX-License-Identifier: Apache-2.0
 *
 * compare.c: the order of whole terms: two walks over their bytes at once,
 * head by head, until one decides.
 *
 * Only maps cannot be compared in the order of their bytes. Mostly they need
 * not: when both sides have the same pairs in the same order, the bytes tell
 * that they are equal, and a difference elsewhere decides without them. So a
 * map is walked like a tuple first; if there is a difference inside, that
 * decides nothing, and the outermost map around it is compared anew through
 * two sorted indexes. A map is thus looked at twice at most, however deep it
 * is.
 */
#include "ext_term/frames.h"
#include "ext_term/index.h"

/* --- lists ---------------------------------------------------------------- */

etf__list etf__list_open(cn_cursor *c, const etf__head *h) {
    bool string = h->tag == ETF__STRING;

    if (string) {
        c->left += h->n;
        c->p = h->body;
    }
    return (etf__list){h->n, string};
}

int etf__list_next(cn_cursor *c, etf__list *list, etf__head *h, bool *tail) {
    static const uint8_t nil[] = {ETF__NIL};
    cn_cursor none = cn__cursor(nil, sizeof nil);
    int err = 0;

    for (;;) {
        *tail = list->left == 0;
        if (list->string && !*tail) {
            *h =
                (etf__head){.type = ETF_INT, .tag = ETF__SMALL_INTEGER, .n = 1};
            h->body = cn__take(c, 1);
        } else {
            err = etf__head_read(list->string ? &none : c, h);
        }
        if (err != 0 || !*tail || h->type != ETF_LIST)
            break;
        *list = etf__list_open(c, h);
    }
    if (!*tail)
        list->left--;
    return err;
}

/* --- the walk ------------------------------------------------------------- */

typedef struct frame {
    etf_type type;
    bool exact;       /* as it was around a map */
    etf__list a, b;   /* what is not a list has its terms in a.left */
    const uint8_t *x; /* a map of some pairs: its heads */
    const uint8_t *y;
} frame;

typedef struct walk {
    cn_cursor a, b;
    etf__frames frames;
    uint32_t maps; /* open ones of some pairs */
    bool exact;
    int order;
} walk;

static int walk_push(walk *w, const etf__head *g, const etf__head *h) {
    frame *f = etf__frames_push(&w->frames);

    if (f == NULL)
        return CN_ENOMEM;
    *f = (frame){.type = g->type, .exact = w->exact};
    f->a.left = (uint32_t)g->children;
    if (g->type == ETF_LIST) {
        f->a = etf__list_open(&w->a, g);
        f->b = etf__list_open(&w->b, h);
    } else if (g->type == ETF_MAP && g->n > 1) {
        f->x = g->at;
        f->y = h->at;
        w->maps++;
    }
    return 0;
}

static int walk_heads(walk *w, const etf__head *g, const etf__head *h) {
    w->order = etf__head_order(g, h, w->exact);
    if (w->order != 0 || (g->children == 0 && g->type != ETF_LIST))
        return 0;
    return walk_push(w, g, h);
}

static int walk_terms(walk *w) {
    etf__head g, h;
    int err = etf__head_read(&w->a, &g);

    if (err == 0)
        err = etf__head_read(&w->b, &h);
    return err != 0 ? err : walk_heads(w, &g, &h);
}

/* What both sides have in bytes. */
static void walk_strings(walk *w, frame *f) {
    uint32_t n = f->a.left < f->b.left ? f->a.left : f->b.left;
    const uint8_t *p = cn__take(&w->a, n), *q = cn__take(&w->b, n);

    w->order = memcmp(p, q, n);
    f->a.left -= n;
    f->b.left -= n;
}

static int walk_list(walk *w, frame *f) {
    bool atail, btail;
    etf__head g, h;
    int err;

    if (f->a.string && f->b.string && f->a.left > 0 && f->b.left > 0) {
        walk_strings(w, f);
        return 0;
    }
    err = etf__list_next(&w->a, &f->a, &g, &atail);
    if (err == 0)
        err = etf__list_next(&w->b, &f->b, &h, &btail);
    if (err != 0)
        return err;
    if (atail && btail)
        etf__frames_pop(&w->frames);
    if (atail == btail)
        return walk_heads(w, &g, &h);
    w->order = atail ? -etf__tail_order(&g) : etf__tail_order(&h);
    return 0;
}

/* --- maps ----------------------------------------------------------------- */

/* Terms that were let in are not judged again. */
static const etf_limits none = {.depth = UINT32_MAX,
                                .terms = UINT64_MAX,
                                .atoms = UINT64_MAX,
                                .big_bytes = UINT32_MAX};

/* Everything from the map at p on. */
static etf_view map_on(const cn_cursor *c, const uint8_t *p) {
    return (etf_view){p, (size_t)(c->p - p) + c->left};
}

static void go_behind(cn_cursor *c, etf_view all, size_t n) {
    *c = cn__cursor(all.data + n, all.len - n);
}

/* What is behind the maps may be long, and an index would take its memory for
 * that too. */
static int sorted_order(walk *w, etf__sorted *x, etf__sorted *y, frame *f) {
    etf_view a = map_on(&w->a, f->x), b = map_on(&w->b, f->y);
    int err = etf__sorted_open(x, w->frames.alloc, &none, etf__first(a));

    if (err == 0)
        err = etf__sorted_open(y, w->frames.alloc, &none, etf__first(b));
    if (err == 0)
        err = etf__sorted_compare(&x->x, &y->x, w->exact, &w->order);
    if (err == 0) {
        go_behind(&w->a, a, x->x.used);
        go_behind(&w->b, b, y->x.used);
    }
    return err;
}

/* There is a difference inside a map, the order of which is not known yet. */
static int walk_maps(walk *w) {
    etf__sorted x, y;
    frame *f;
    int err;

    for (;;) {
        f = etf__frames_top(&w->frames);
        w->maps -= f->x != NULL ? 1U : 0U;
        if (w->maps == 0)
            break;
        etf__frames_pop(&w->frames);
    }
    w->exact = f->exact;
    y.x = (etf_index){0};
    err = sorted_order(w, &x, &y, f);
    etf__sorted_close(&x);
    etf__sorted_close(&y);
    etf__frames_pop(&w->frames);
    return err;
}

/* --- all ------------------------------------------------------------------ */

static int walk_next(walk *w) {
    frame *f = etf__frames_top(&w->frames);

    if (f->type == ETF_LIST)
        return walk_list(w, f);
    w->exact = f->exact;
    if (f->a.left == 0) {
        w->maps -= f->x != NULL ? 1U : 0U;
        etf__frames_pop(&w->frames);
        return 0;
    }
    w->exact = w->exact || (f->type == ETF_MAP && f->a.left % 2 == 0);
    f->a.left--;
    return walk_terms(w);
}

static int walk_all(walk *w) {
    int err = walk_terms(w);

    while (err == 0) {
        if (w->order != 0 && w->maps > 0)
            err = walk_maps(w);
        else if (w->order != 0 || w->frames.n == 0)
            break;
        else
            err = walk_next(w);
    }
    return err;
}

static int compare(const cn_alloc *alloc, etf_view a, etf_view b, bool exact,
                   int *order) {
    walk w;
    int err;

    *order = 0;
    if (a.len > 0 && a.len == b.len && memcmp(a.data, b.data, a.len) == 0)
        return 0;
    w.a = cn__cursor(a.data, a.len);
    w.b = cn__cursor(b.data, b.len);
    w.maps = 0;
    w.exact = exact;
    w.order = 0;
    etf__frames_init(&w.frames, alloc, sizeof(frame));
    err = walk_all(&w);
    etf__frames_free(&w.frames);
    if (err == 0)
        *order = (w.order > 0) - (w.order < 0);
    return err;
}

int etf_compare(const cn_alloc *alloc, etf_view a, etf_view b, int *order) {
    return compare(alloc, a, b, false, order);
}

int etf_compare_exact(const cn_alloc *alloc, etf_view a, etf_view b,
                      int *order) {
    return compare(alloc, a, b, true, order);
}
