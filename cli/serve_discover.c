/* SPDX-License-Identifier: Apache-2.0
 *
 * serve_discover.c: --discover: the sources of nodes that `cnode serve` has.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cnode/discover.h>

#include "cli/report.h"
#include "cli/serve.h"
#include "cli/text.h"

enum { MAX_WORDS = 64, TEXT_MAX = 4096, SECRET_MAX = 1024 };

typedef struct source {
    const cli_options *o;
    cnode *node; /* NULL: only looks at the words */
    const char *word;
    char text[TEXT_MAX]; /* behind the colon; cut at its commas */
    const char *words[MAX_WORDS];
    size_t count;
} source;

static int bad(const source *s, const char *why) {
    return cli_usage(s->o, "--discover %.200s: %s", s->word, why);
}

/* What a call to the library said. */
static int done(const source *s, int rc) {
    if (rc == 0)
        return 0;
    cli_say(s->o, "--discover %.200s: %s", s->word, cnode_error(s->node)->text);
    return CLI_LOCAL;
}

/* --- each kind ----------------------------------------------------------- */

static int add_list(source *s) {
    static char names[MAX_WORDS][CLI_NAME_MAX];

    if (s->count == 0)
        return bad(s, "list:NODE,NODE names nodes");
    for (size_t i = 0; i < s->count; i++) {
        if (cli_node_name(s->words[i], names[i]) != 0)
            return bad(s, "bad node name");
        s->words[i] = names[i];
    }
    if (s->node == NULL)
        return 0;
    return done(s, cnode_discover_list(s->node, s->words, s->count, NULL));
}

static int add_epmd(source *s) {
    const cnode_epmd_source c = {.hosts = s->words, .count = s->count};

    return s->node == NULL ? 0
                           : done(s, cnode_discover_epmd(s->node, &c, NULL));
}

static int add_hosts(source *s) {
    const cnode_epmd_source c = {.hosts_file =
                                     s->count == 0 ? "" : s->words[0]};

    return s->node == NULL ? 0
                           : done(s, cnode_discover_epmd(s->node, &c, NULL));
}

/* [BASE@]NAME */
static int add_name(source *s, bool srv) {
    char *at = s->count == 1 ? strchr(s->text, '@') : NULL;
    cnode_dns_source c = {.srv = srv, .name = s->text};

    if (at != NULL) {
        *at = '\0';
        c.basename = s->text;
        c.name = at + 1;
    }
    if (s->count != 1 || c.name[0] == '\0' ||
        (c.basename != NULL && c.basename[0] == '\0'))
        return bad(s, "dns:[BASE@]NAME and srv:[BASE@]NAME need one name");
    return s->node == NULL ? 0 : done(s, cnode_discover_dns(s->node, &c, NULL));
}

static int add_dns(source *s) {
    return add_name(s, false);
}

static int add_srv(source *s) {
    return add_name(s, true);
}

/* The first line of f. 0, an errno, or -1 when there is nothing on it. */
static int read_line(FILE *f, char line[SECRET_MAX]) {
    errno = 0;
    if (fgets(line, SECRET_MAX, f) == NULL)
        return ferror(f) ? errno : -1;
    line[strcspn(line, "\r\n")] = '\0';
    return line[0] == '\0' ? -1 : 0;
}

static int read_secret(const source *s, const char *path,
                       char secret[SECRET_MAX]) {
    FILE *f = fopen(path, "re");
    int error = f == NULL ? errno : 0;
    struct stat st;

    if (f != NULL && fstat(fileno(f), &st) == 0 &&
        (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        cli_say(s->o, "warning: other users may read the secret in %s", path);
    if (f != NULL) {
        error = read_line(f, secret);
        (void)fclose(f);
    }
    if (error == 0)
        return 0;
    cli_say(s->o, "cannot read the secret of gossip from %s: %s", path,
            error > 0 ? strerror(error) : "its first line is empty");
    return CLI_LOCAL;
}

static int open_gossip(source *s, cnode_gossip_source *c) {
    char secret[SECRET_MAX] = "";
    int rc = 0;

    c->secret = getenv("CNODE_GOSSIP_SECRET");
    if (s->o->gossip_secret_file != NULL) {
        rc = read_secret(s, s->o->gossip_secret_file, secret);
        c->secret = secret;
    }
    if (rc == 0)
        rc = done(s, cnode_discover_gossip(s->node, c, NULL));
    explicit_bzero(secret, sizeof secret);
    c->secret = NULL;
    return rc;
}

/* [PORT] */
static int add_gossip(source *s) {
    cnode_gossip_source c = {.interface = s->o->gossip_interface,
                             .group = s->o->gossip_group};
    char *end = s->text;
    unsigned long port = s->count == 0 ? 0 : strtoul(s->text, &end, 10);

    if (s->count > 1 || *end != '\0' || port > UINT16_MAX ||
        (s->count == 1 && (port == 0 || s->text[0] < '0' || s->text[0] > '9')))
        return bad(s, "gossip:PORT needs a port");
    c.port = (uint16_t)port;
    return s->node == NULL ? 0 : open_gossip(s, &c);
}

/* --- all of them --------------------------------------------------------- */

/* Each word may be told as `kind` alone or as `kind:text`. */
static int cut(source *s, const char *colon) {
    size_t n = colon == NULL ? 0 : strlen(colon + 1);

    if (n >= sizeof s->text)
        return bad(s, "too long");
    memcpy(s->text, colon == NULL ? "" : colon + 1, n + 1);
    for (char *p = strtok(s->text, ","); p != NULL; p = strtok(NULL, ",")) {
        if (s->count == MAX_WORDS)
            return bad(s, "too many at once");
        s->words[s->count++] = p;
    }
    return 0;
}

static int add(source *s) {
    static const struct {
        const char *kind;
        int (*fn)(source *s);
    } kinds[] = {{"list", add_list},   {"epmd", add_epmd},
                 {"hosts", add_hosts}, {"dns", add_dns},
                 {"srv", add_srv},     {"gossip", add_gossip}};
    size_t n = strcspn(s->word, ":");
    int rc = cut(s, s->word[n] == ':' ? s->word + n : NULL);

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && rc == 0; i++)
        if (strlen(kinds[i].kind) == n &&
            memcmp(kinds[i].kind, s->word, n) == 0)
            return kinds[i].fn(s);
    return rc != 0 ? rc
                   : bad(s, "it is one of list, epmd, hosts, dns, srv, gossip");
}

int cli_serve_discover(const cli_options *o, cnode *n) {
    int rc = 0;

    for (size_t i = 0; i < o->ndiscover && rc == 0; i++) {
        source s = {.o = o, .node = n, .word = o->discover[i]};
        rc = add(&s);
    }
    return rc;
}
