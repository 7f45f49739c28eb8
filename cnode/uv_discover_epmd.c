/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_discover_epmd.c: the nodes that are registered on some hosts.
 *
 * A round asks every host at once, and is over when each has answered or
 * failed. One that has failed keeps the nodes it had, and what failed first is
 * told, for all.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cnode/sized.h"
#include "cnode/uv_discover.h"

enum { MAX_HOSTS = 256, MAX_FILE = 65536 };

typedef struct host {
    struct world *world;
    epmd_request *request; /* under way */
    bool own;              /* this machine: EPMD is asked at the loopback */
    char *name;
} host;

typedef struct world {
    cnode *node;
    cnode_source *source;
    cnode_epmd_source config; /* only its numbers */
    cnode__timer timer;
    size_t count;
    size_t waiting; /* hosts that have not answered */
    size_t failures;
    cn_error error; /* the first one of the round */
    host hosts[MAX_HOSTS];
} world;

/* --- a round ------------------------------------------------------------- */

static void note(world *w, int status, const char *where, const char *text) {
    if (w->failures++ == 0)
        (void)cn__fail(&w->error, status, 0, "%.100s: %s", where, text);
}

static void finish(world *w) {
    size_t others = w->failures - 1;
    char text[CN_ERROR_TEXT + 40];

    cnode__uv_next_round(w->node, &w->timer, w->config.interval_ms);
    if (w->failures == 0) {
        cnode_source_end(w->source);
        return;
    }
    (void)snprintf(text, sizeof text, "%s%s", w->error.text,
                   others == 0 ? "" : ", and there is trouble with others");
    cnode__source_sweep(w->source);
    cnode_source_failed(w->source, w->error.code, text);
}

static void read_names(host *h, const char *text, size_t len) {
    epmd_name name;

    while (epmd_names_next(&text, &len, &name)) {
        int err =
            cnode__uv_found(h->world->source, name.name, name.len, h->name);
        if (err != 0 && err != CN_EBADARG) /* others than nodes have names */
            note(h->world, err, h->name, cn_strerror(err));
    }
}

static void on_names(void *data, int status, const cn_error *err,
                     const char *text, size_t len) {
    host *h = data;
    world *w = h->world;

    h->request = NULL;
    if (status == 0) {
        read_names(h, text, len);
    } else {
        note(w, status, h->name, err->text);
        cnode__source_keep_host(w->source, h->name);
    }
    if (--w->waiting == 0)
        finish(w);
}

static void ask(host *h) {
    cnode *n = h->world->node;
    uint16_t port = h->world->config.port;
    const epmd_config c = {.host = h->own ? NULL : h->name,
                           .port = port != 0 ? port : n->config.epmd_port,
                           .timeout_ms = n->config.setup_ms,
                           .alloc = &n->alloc,
                           .log = n->config.log};
    int err = epmd_names(&h->request, cnode__uv_of(n)->loop, &c, on_names, h);

    if (err == 0) {
        h->world->waiting++;
        return;
    }
    note(h->world, err, h->name, cn_strerror(err));
    cnode__source_keep_host(h->world->source, h->name);
}

static void begin_round(world *w) {
    w->failures = 0;
    cnode_source_begin(w->source);
    for (size_t i = 0; i < w->count; i++)
        ask(&w->hosts[i]);
    if (w->waiting == 0)
        finish(w);
}

static void on_time(cnode__timer *t) {
    begin_round(cnode__list_of(world, timer, t));
}

/* --- which hosts --------------------------------------------------------- */

static void free_world(world *w) {
    cnode *n = w->node;

    for (size_t i = 0; i < w->count; i++)
        cn__strfree(&n->alloc, w->hosts[i].name);
    cnode__timer_drop(&n->timers, &w->timer);
    cn__free(&n->alloc, w, 1, sizeof *w);
}

static int add_host(world *w, const char *name) {
    cnode *n = w->node;
    host *h = &w->hosts[w->count];

    if (name[0] == '\0' || strchr(name, '@') != NULL)
        return cnode__err(n, CN_EBADARG, "'%.100s' is no host", name);
    if (w->count == MAX_HOSTS)
        return cnode__err(n, CN_ELIMIT, "more than %d hosts", MAX_HOSTS);
    h->world = w;
    h->name = cn__strdup(&n->alloc, name);
    if (h->name == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    w->count++;
    return 0;
}

static int add_text(world *w, const char *path, const char *text) {
    const char *at = text;
    char name[CNODE__NAME_MAX + 1];
    int line = 1, err = 0, got;

    while (err == 0 && (got = cnode__hosts_next(&at, name, sizeof name)) != 0) {
        err = got < 0 ? got : add_host(w, name);
        if (got > 0)
            continue;
        for (const char *p = text; p < at; p++)
            line += *p == '\n';
        return cnode__err(w->node, err,
                          "%.100s, line %d: that is no host; each is a quoted "
                          "atom with a dot behind it",
                          path, line);
    }
    return err;
}

/* The file, or NULL; *path is where it is. */
static FILE *open_file(const char *given, char path[512]) {
    const char *home = getenv("HOME");
    FILE *f;

    (void)snprintf(path, 512, "%s", *given != '\0' ? given : ".hosts.erlang");
    f = fopen(path, "re");
    if (f != NULL || *given != '\0' || home == NULL)
        return f;
    (void)snprintf(path, 512, "%s/.hosts.erlang", home);
    return fopen(path, "re");
}

static int add_file(world *w, const char *given) {
    cnode *n = w->node;
    char path[512], *text;
    FILE *f = open_file(given, path);
    size_t size;
    int err;

    if (f == NULL)
        return cnode__err(n, errno == ENOENT ? CN_ENOENT : CN_EIO, "%.200s: %s",
                          path, strerror(errno));
    text = cn__calloc(&n->alloc, 1, MAX_FILE);
    size = text == NULL ? 0 : fread(text, 1, MAX_FILE - 1, f);
    if (text == NULL)
        err = cnode__err(n, CN_ENOMEM, "out of memory");
    else if (ferror(f) || size == MAX_FILE - 1 || strlen(text) != size)
        err = cnode__err(n, CN_EIO, "%.200s cannot be read as text", path);
    else
        err = add_text(w, path, text);
    (void)fclose(f);
    cn__free(&n->alloc, text, 1, MAX_FILE);
    return err;
}

static int add_own_host(world *w) {
    char alive[CNODE__NAME_MAX + 1];
    const char *name;
    int err = cnode__uv_own_name(w->node, alive, &name);

    if (err == 0)
        err = add_host(w, name);
    w->hosts[0].own = true;
    return err;
}

static int add_hosts(world *w, const cnode_epmd_source *c) {
    int err = 0;

    for (size_t i = 0; i < c->count && err == 0; i++)
        err = add_host(w, c->hosts[i]);
    if (err == 0 && c->hosts_file != NULL)
        err = add_file(w, c->hosts_file);
    if (err == 0 && c->count == 0 && c->hosts_file == NULL)
        err = add_own_host(w);
    if (err == 0 && w->count == 0)
        err = cnode__err(w->node, CN_EBADARG, "no hosts to ask");
    return err;
}

/* --- life ---------------------------------------------------------------- */

static void start(cnode_source *s, void *data) {
    world *w = data;

    w->source = s;
    begin_round(w);
}

static void stop(cnode_source *s, void *data) {
    world *w = data;

    (void)s;
    for (size_t i = 0; i < w->count; i++)
        if (w->hosts[i].request != NULL)
            epmd_cancel(w->hosts[i].request);
    free_world(w);
}

static int new_world(cnode *n, const cnode_epmd_source *c, world **out) {
    world *w = cn__calloc(&n->alloc, 1, sizeof *w);
    int err;

    if (w == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    w->node = n;
    w->config = *c;
    err = cnode__timer_make(&n->timers, &w->timer, on_time);
    if (err != 0) {
        cn__free(&n->alloc, w, 1, sizeof *w);
        return cnode__err(n, err, "out of memory");
    }
    err = add_hosts(w, c);
    if (err != 0)
        free_world(w);
    *out = w;
    return err;
}

int cnode_discover_epmd_sized(cnode *n, const cnode_epmd_source *config,
                              size_t size, cnode_source **out) {
    cnode_source_config source = {.name = "epmd", .start = start, .stop = stop};
    cnode_epmd_source c;
    world *w;
    int err;

    cnode__copy_sized(&c, sizeof c, config, size);
    err = new_world(n, &c, &w);
    if (err != 0)
        return err;
    source.data = w;
    source.max_nodes = c.max_nodes;
    err = cnode_source_add(n, &source, out);
    if (err != 0)
        free_world(w);
    return err;
}
