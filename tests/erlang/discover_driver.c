/* SPDX-License-Identifier: Apache-2.0
 *
 * discover_driver.c: the C side of discover_SUITE: a node that finds others,
 * and tells what it finds.
 *
 *   discover_driver NAME WORD...     with $CNODE_COOKIE
 *
 * Each word adds a source, or says something for the sources behind it:
 *
 *   list=NODE,NODE   epmd=HOST,HOST   hosts=FILE   dns=NAME   srv=NAME   gossip
 *   base= server= family= secret= port= group= interface= interval= max_nodes=
 *   broadcast listen     and for all of them: report drop
 *
 * It writes a line when it is ready, "ready PORT", and one for each event:
 * "KIND NODE SOURCE CODE TEXT", with - for what is not there. The end of stdin
 * ends it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include <cnode/discover.h>

enum { MAX_WORDS = 16 };

typedef struct driver {
    cnode *node;
    cnode_discover_opts opts;
    cnode_epmd_source epmd;
    cnode_dns_source dns;
    cnode_gossip_source gossip;
    uv_loop_t loop;
    uv_pipe_t input;
    char trash[256];
} driver;

static void on_event(cnode *n, const cnode_discover_event *e, void *data) {
    static const char *const kinds[] = {"found", "up", "down", "gone", "error"};

    (void)n;
    (void)data;
    printf("%s %s %s %s %s\n", kinds[e->kind], e->node == NULL ? "-" : e->node,
           *e->source == '\0' ? "-" : e->source, cn_errname(e->status),
           *e->text == '\0' ? "-" : e->text);
    (void)fflush(stdout);
}

/* Cuts the text at its commas. */
static size_t words(char *text, const char *out[MAX_WORDS]) {
    size_t n = 0;

    for (char *p = strtok(text, ","); p != NULL && n < MAX_WORDS;
         p = strtok(NULL, ","))
        out[n++] = p;
    return n;
}

static int add_list(driver *d, char *value) {
    const char *nodes[MAX_WORDS];
    size_t n = words(value, nodes);

    return cnode_discover_list(d->node, nodes, n, NULL);
}

static int add_epmd(driver *d, char *value) {
    const char *hosts[MAX_WORDS];
    cnode_epmd_source c = d->epmd;

    c.count = words(value, hosts);
    c.hosts = hosts;
    return cnode_discover_epmd(d->node, &c, NULL);
}

static int add_hosts(driver *d, const char *value) {
    cnode_epmd_source c = d->epmd;

    c.hosts_file = value;
    return cnode_discover_epmd(d->node, &c, NULL);
}

static int add_dns(driver *d, const char *value, bool srv) {
    cnode_dns_source c = d->dns;

    c.name = value;
    c.srv = srv;
    return cnode_discover_dns(d->node, &c, NULL);
}

static void set_interval(driver *d, uint32_t ms) {
    d->epmd.interval_ms = d->dns.interval_ms = d->gossip.interval_ms = ms;
    d->opts.keep.first_ms = d->opts.keep.max_ms = ms;
}

static void set_max(driver *d, uint32_t n) {
    d->epmd.max_nodes = d->dns.max_nodes = d->gossip.max_nodes = n;
}

/* What a word says for those behind it; false: nothing. */
static bool set(driver *d, const char *key, const char *value) {
    const struct {
        const char *key;
        const char **text;
    } texts[] = {{"base", &d->dns.basename},
                 {"server", &d->dns.server},
                 {"secret", &d->gossip.secret},
                 {"group", &d->gossip.group},
                 {"interface", &d->gossip.interface}};
    unsigned number = (unsigned)strtoul(value, NULL, 10);

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(key, texts[i].key) == 0) {
            *texts[i].text = value;
            return true;
        }
    if (strcmp(key, "port") == 0)
        d->gossip.port = (uint16_t)number;
    else if (strcmp(key, "family") == 0)
        d->dns.family = (int)number;
    else if (strcmp(key, "interval") == 0)
        set_interval(d, number);
    else if (strcmp(key, "max_nodes") == 0)
        set_max(d, number);
    else if (strcmp(key, "broadcast") == 0)
        d->gossip.broadcast_only = true;
    else if (strcmp(key, "listen") == 0)
        d->gossip.listen_only = true;
    else if (strcmp(key, "report") == 0)
        d->opts.report_only = true;
    else if (strcmp(key, "drop") == 0)
        d->opts.drop_gone = true;
    else
        return false;
    return true;
}

static int obey(driver *d, char *word) {
    char *value = strchr(word, '=');

    if (value != NULL)
        *value++ = '\0';
    else
        value = word + strlen(word);
    if (set(d, word, value))
        return cnode_discover(d->node, &d->opts);
    if (strcmp(word, "list") == 0)
        return add_list(d, value);
    if (strcmp(word, "epmd") == 0)
        return add_epmd(d, value);
    if (strcmp(word, "hosts") == 0)
        return add_hosts(d, value);
    if (strcmp(word, "dns") == 0 || strcmp(word, "srv") == 0)
        return add_dns(d, value, word[0] == 's');
    if (strcmp(word, "gossip") == 0)
        return cnode_discover_gossip(d->node, &d->gossip, NULL);
    return CN_EBADARG;
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf) {
    driver *d = h->data;

    (void)hint;
    *buf = uv_buf_init(d->trash, sizeof d->trash);
}

static void on_input(uv_stream_t *s, ssize_t n, const uv_buf_t *buf) {
    driver *d = s->data;

    (void)buf;
    if (n < 0)
        uv_stop(&d->loop);
}

static int run(driver *d, char **list) {
    int err = cnode_listen(d->node);

    for (; err == 0 && *list != NULL; list++)
        err = obey(d, *list);
    if (err != 0) {
        printf("failed %s %s\n", cn_errname(err), cnode_error(d->node)->text);
        return 1;
    }
    printf("ready %u\n", cnode_port(d->node));
    (void)fflush(stdout);
    return uv_run(&d->loop, UV_RUN_DEFAULT) < 0;
}

static int serve(driver *d, char **list) {
    const cnode_config c = {.name = list[0], .loop = &d->loop};
    int status = 1;

    d->opts.on_event = on_event;
    d->input.data = d;
    if (uv_pipe_init(&d->loop, &d->input, 0) != 0 ||
        uv_pipe_open(&d->input, STDIN_FILENO) != 0 ||
        uv_read_start((uv_stream_t *)&d->input, on_alloc, on_input) != 0)
        return 1;
    if (cnode_new(&d->node, &c) == 0) {
        if (cnode_discover(d->node, &d->opts) == 0)
            status = run(d, list + 1);
        cnode_free(d->node);
    }
    uv_close((uv_handle_t *)&d->input, NULL);
    (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    return status;
}

int main(int argc, char **argv) {
    static driver d;
    int status;

    if (argc < 2 || uv_loop_init(&d.loop) != 0)
        return 2;
    status = serve(&d, argv + 1);
    return uv_loop_close(&d.loop) == 0 ? status : 3;
}
