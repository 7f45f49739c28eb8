/* SPDX-License-Identifier: Apache-2.0
 *
 * discover_uv_test.c: sources with real sockets, on this machine only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <uv.h>

#include "cnode/discover.h"
#include "tests/unit/support.h"

typedef struct seen {
    int found, gone, up, errors;
    char node[300];
    char text[CN_ERROR_TEXT];
    bool (*enough)(const struct seen *s);
} seen;

static void on_event(cnode *n, const cnode_discover_event *e, void *data) {
    seen *s = data;

    s->found += e->kind == CNODE_DISCOVER_FOUND;
    s->gone += e->kind == CNODE_DISCOVER_GONE;
    s->up += e->kind == CNODE_DISCOVER_UP;
    s->errors += e->kind == CNODE_DISCOVER_ERROR;
    if (e->node != NULL)
        (void)snprintf(s->node, sizeof s->node, "%s", e->node);
    (void)snprintf(s->text, sizeof s->text, "%s", e->text);
    if (s->enough(s))
        cnode_stop(n);
}

static bool has_found(const seen *s) {
    return s->found > 0;
}

static bool has_failed(const seen *s) {
    return s->errors > 0;
}

static cnode *new_node(const char *name, uv_loop_t *loop, seen *s) {
    const cnode_config c = {
        .name = name, .cookie = "key", .no_epmd = true, .loop = loop};
    const cnode_discover_opts o = {
        .on_event = on_event, .data = s, .report_only = true};
    cnode *n;

    assert_int_equal(cnode_new(&n, &c), 0);
    assert_int_equal(cnode_discover(n, &o), 0);
    return n;
}

static uint16_t free_udp_port(void) {
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&a, &len), 0);
    (void)close(fd);
    return ntohs(a.sin_port);
}

/* Two nodes of one loop hear of one another. */
static void gossips(const char *one, const char *other, bool heard) {
    cnode_gossip_source c = {.secret = one,
                             .port = free_udp_port(),
                             .interface = "127.0.0.1",
                             .interval_ms = 20};
    seen a = {.enough = heard ? has_found : has_failed};
    seen b = {.enough = heard ? has_found : has_failed};
    cnode *na, *nb;
    uv_loop_t loop;

    assert_int_equal(uv_loop_init(&loop), 0);
    na = new_node("a@127.0.0.1", &loop, &a);
    nb = new_node("b@127.0.0.1", &loop, &b);
    assert_int_equal(cnode_discover_gossip(na, &c, NULL), 0);
    c.secret = other;
    assert_int_equal(cnode_discover_gossip(nb, &c, NULL), 0);
    while (!a.enough(&a) || !b.enough(&b))
        (void)uv_run(&loop, UV_RUN_ONCE);
    if (heard) {
        assert_string_equal(a.node, "b@127.0.0.1");
        assert_string_equal(b.node, "a@127.0.0.1");
    } else {
        assert_int_equal(a.found + b.found, 0);
        assert_non_null(strstr(a.text, "no heartbeat"));
    }
    cnode_free(na);
    cnode_free(nb);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void gossips_openly(void **state) {
    (void)state;
    gossips(NULL, NULL, true);
}

static void gossips_secretly(void **state) {
    (void)state;
    gossips("one", "one", true);
    gossips("one", "two", false);
    gossips("one", NULL, false);
}

static void refuses_bad_gossip(void **state) {
    static const struct {
        cnode_gossip_source c;
        int code;
    } rows[] = {
        {{.secret = ""}, CN_EBADARG},
        {{.group = "nonsense"}, CN_EBADARG},
        {{.address = "::"}, CN_EBADARG},
        {{.interface = "lo"}, CN_EBADARG},
        {{.interface = "192.0.2.77"}, CN_EIO},
        {{.address = "192.0.2.77"}, CN_EIO},
        {{.group = "192.0.2.77", .interface = "127.0.0.1"}, CN_EIO},
    };
    seen s = {.enough = has_found};
    cnode *n = new_node("a@127.0.0.1", NULL, &s);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int err = cnode_discover_gossip(n, &rows[i].c, NULL);
        if (err != rows[i].code)
            fail_msg("row %zu: %s", i, cn_errname(err));
        assert_true(cnode_error(n)->text[0] != '\0');
    }
    cnode_free(n);
}

/* The system's own names need no network. */
static void asks_for_addresses(void **state) {
    const cnode_dns_source c = {
        .name = "127.0.0.9", .basename = "app", .family = 4};
    seen s = {.enough = has_found};
    cnode *n = new_node("a@127.0.0.1", NULL, &s);

    (void)state;
    assert_int_equal(cnode_discover_dns(n, &c, NULL), 0);
    assert_int_equal(cnode_run(n), 0);
    assert_string_equal(s.node, "app@127.0.0.9");
    cnode_free(n);
}

static void refuses_bad_dns(void **state) {
    static const cnode_dns_source rows[] = {
        {.name = NULL},
        {.name = ""},
        {.name = "x", .basename = "a@b"},
        {.name = "x", .basename = ""},
        {.name = "x", .family = 5},
        {.name = "x", .server = "localhost"},
        {.name = "x", .server = "10.0.0.1:"},
        {.name = "x", .server = "10.0.0.1:0"},
        {.name = "x", .server = "10.0.0.1:53x"},
        {.name = "x", .server = "10.0.0.1:99999"},
    };
    seen s = {.enough = has_found};
    cnode *n = new_node("a@127.0.0.1", NULL, &s);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (cnode_discover_dns(n, &rows[i], NULL) != CN_EBADARG)
            fail_msg("row %zu", i);
    assert_int_equal(cnode_discover_dns(n, NULL, NULL), CN_EBADARG);
    assert_int_equal(cnode_discover_epmd(n, NULL, NULL), 0); /* the own host */
    cnode_free(n);
}

/* The node is freed while the resolver works for it. */
static void is_freed_while_it_asks(void **state) {
    static const char *const hosts[] = {"localhost"};
    const cnode_dns_source system = {.name = "localhost"};
    const cnode_dns_source server = {
        .name = "x", .server = "127.0.0.1:1", .timeout_ms = 1000};
    const cnode_epmd_source epmd = {.hosts = hosts, .count = 1, .port = 1};
    seen s = {.enough = has_found};
    uv_loop_t loop;
    cnode *n;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    n = new_node("a@127.0.0.1", &loop, &s);
    assert_int_equal(cnode_discover_dns(n, &system, NULL), 0);
    assert_int_equal(cnode_discover_dns(n, &server, NULL), 0);
    assert_int_equal(cnode_discover_epmd(n, &epmd, NULL), 0);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    cnode_free(n);
    while (uv_run(&loop, UV_RUN_DEFAULT) != 0)
        ;
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* What libuv resolves hosts with, which takes as long as a test likes. */
static uv_sem_t begun, go;
static bool slow;

CN_API int getaddrinfo(const char *name, const char *service,
                       const struct addrinfo *req, struct addrinfo **pai) {
    union {
        void *object;
        int (*fn)(const char *, const char *, const struct addrinfo *,
                  struct addrinfo **);
    } real = {dlsym(RTLD_NEXT, "getaddrinfo")};

    if (!slow)
        return real.fn(name, service, req, pai);
    uv_sem_post(&begun);
    uv_sem_wait(&go);
    *pai = NULL;
    return EAI_AGAIN;
}

/* A host is still being resolved when the node is no more. */
static void is_outlived_by_the_resolver(void **state) {
    static const char *const hosts[] = {"localhost"};
    const cnode_epmd_source epmd = {.hosts = hosts, .count = 1, .port = 1};
    seen s = {.enough = has_found};
    uv_loop_t loop;
    cnode *n;

    (void)state;
    slow = true;
    assert_int_equal(uv_sem_init(&begun, 0), 0);
    assert_int_equal(uv_sem_init(&go, 0), 0);
    assert_int_equal(uv_loop_init(&loop), 0);
    n = new_node("a@127.0.0.1", &loop, &s);
    assert_int_equal(cnode_discover_epmd(n, &epmd, NULL), 0);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    uv_sem_wait(&begun);
    cnode_free(n);
    uv_sem_post(&go);
    while (uv_run(&loop, UV_RUN_DEFAULT) != 0)
        ;
    assert_int_equal(uv_loop_close(&loop), 0);
    uv_sem_destroy(&begun);
    uv_sem_destroy(&go);
    slow = false;
}

static void write_file(const char *path, const char *text) {
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void reads_files_of_hosts(void **state) {
    static const struct {
        const char *text;
        int code;
    } rows[] = {{"'127.0.0.1'.\n", 0},
                {"", CN_EBADARG},
                {"'a'.\n\nb", CN_ESYNTAX},
                {"'a@b'.", CN_EBADARG},
                {"% none\n", CN_EBADARG}};
    char path[] = "/tmp/discover_uv_test_XXXXXX";
    cnode_epmd_source c = {.hosts_file = path, .port = 1};
    seen s = {.enough = has_failed};
    cnode *n = new_node("a@127.0.0.1", NULL, &s);
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    (void)close(fd);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_file(path, rows[i].text);
        if (cnode_discover_epmd(n, &c, NULL) != rows[i].code)
            fail_msg("row %zu: %s", i, cnode_error(n)->text);
        if (rows[i].code == CN_ESYNTAX)
            assert_non_null(strstr(cnode_error(n)->text, "line 3"));
    }
    (void)unlink(path);
    assert_int_equal(cnode_discover_epmd(n, &c, NULL), CN_ENOENT);
    assert_int_equal(cnode_run(n), 0); /* nobody is at that port */
    assert_non_null(strstr(s.text, "127.0.0.1"));
    cnode_free(n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gossips_openly),
        cmocka_unit_test(gossips_secretly),
        cmocka_unit_test(refuses_bad_gossip),
        cmocka_unit_test(asks_for_addresses),
        cmocka_unit_test(refuses_bad_dns),
        cmocka_unit_test(is_freed_while_it_asks),
        cmocka_unit_test(is_outlived_by_the_resolver),
        cmocka_unit_test(reads_files_of_hosts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
