/* SPDX-License-Identifier: Apache-2.0
 *
 * epmd_service_test.c: an EPMD server with its sockets, and the library's own
 * clients, in one loop.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "epmd/epmd.h"
#include "tests/unit/support.h"

typedef struct world {
    uv_loop_t loop;
    epmd_service *service;
    epmd_registration *registration;
    int told;   /* callbacks that have come */
    int status; /* of the last one */
    int killed, closed;
    uint16_t port; /* of the node that was found */
    size_t text;   /* bytes of the list */
} world;

static void on_alive(void *data, int status, const cn_error *err,
                     uint32_t creation) {
    world *w = data;

    (void)err;
    (void)creation;
    w->told++;
    w->status = status;
}

static void on_lookup(void *data, int status, const cn_error *err,
                      const epmd_port2 *reply, const struct sockaddr *addr) {
    world *w = data;

    (void)err;
    (void)addr;
    w->told++;
    w->status = status;
    w->port = reply != NULL ? reply->port : 0;
}

static void on_text(void *data, int status, const cn_error *err,
                    const char *text, size_t len) {
    world *w = data;

    (void)err;
    (void)text;
    w->told++;
    w->status = status;
    w->text = len;
}

static void on_closed(void *data) {
    ((world *)data)->closed++;
}

static void on_killed(void *data) {
    world *w = data;

    w->killed++;
    epmd_service_close(w->service, on_closed, w);
}

static void await(world *w, const int *counter) {
    int before = *counter;

    while (*counter == before)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
}

static int serve(world *w, fault_alloc *fault, uint16_t port) {
    epmd_service_config c = {.addresses = "127.0.0.1",
                             .port = port,
                             .any_port = true,
                             .server = {.alloc = &fault->alloc}};

    return epmd_serve(&w->service, &w->loop, &c, on_killed, w, NULL);
}

static void end(world *w) {
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
}

static void a_node_is_registered_found_and_gone(void **state) {
    fault_alloc fault;
    world w = {0};
    epmd_config c = {0};
    epmd_alive a = {.name = "shop", .port = 99};
    epmd_request *r;

    (void)state;
    fault_init(&fault, 0);
    assert_int_equal(uv_loop_init(&w.loop), 0);
    assert_int_equal(serve(&w, &fault, 0), 0);
    c.port = a.epmd.port = epmd_service_port(w.service);
    assert_int_equal(epmd_register(&w.registration, &w.loop, &a, on_alive, &w),
                     0);
    await(&w, &w.told);
    assert_int_equal(w.status, 0);
    assert_int_equal(epmd_service_count(w.service), 1);
    assert_int_equal(epmd_lookup(&r, &w.loop, &c, "shop", on_lookup, &w), 0);
    await(&w, &w.told);
    assert_int_equal(w.port, 99);
    assert_int_equal(
        epmd_ask(&r, &w.loop, &c, EPMD_KILL_REQ, NULL, on_text, &w), 0);
    await(&w, &w.told);
    assert_int_equal(w.text, 2);
    assert_int_equal(w.killed, 0);
    epmd_registration_close(w.registration, on_closed, &w);
    await(&w, &w.closed);
    while (epmd_service_count(w.service) > 0)
        (void)uv_run(&w.loop, UV_RUN_ONCE);
    assert_int_equal(
        epmd_ask(&r, &w.loop, &c, EPMD_KILL_REQ, NULL, on_text, &w), 0);
    await(&w, &w.closed);
    assert_int_equal(w.killed, 1);
    end(&w);
    assert_int_equal(fault.live, 0);
}

static void a_port_is_served_once(void **state) {
    fault_alloc fault;
    world w = {0};
    epmd_service *first;

    (void)state;
    fault_init(&fault, 0);
    assert_int_equal(uv_loop_init(&w.loop), 0);
    assert_int_equal(serve(&w, &fault, 0), 0);
    first = w.service;
    assert_int_equal(serve(&w, &fault, epmd_service_port(first)), CN_EEXIST);
    epmd_service_close(first, on_closed, &w);
    end(&w);
    assert_int_equal(w.closed, 1);
    assert_int_equal(fault.live, 0);
}

static void bad_addresses_are_refused(void **state) {
    static const char many[] =
        "127.0.0.1 127.0.0.2 127.0.0.3 127.0.0.4 127.0.0.5 127.0.0.6 127.0.0.7 "
        "127.0.0.8 127.0.0.9 127.0.1.1 127.0.1.2 127.0.1.3 127.0.1.4 127.0.1.5 "
        "127.0.1.6 127.0.1.7 127.0.1.8";
    epmd_service_config c = {.any_port = true};
    world w = {0};
    cn_error e;

    (void)state;
    assert_int_equal(uv_loop_init(&w.loop), 0);
    c.addresses = "localhost";
    assert_int_equal(epmd_serve(&w.service, &w.loop, &c, on_killed, &w, &e),
                     CN_EBADARG);
    assert_string_equal(e.text, "localhost is no IP address");
    c.addresses = many;
    assert_int_equal(epmd_serve(&w.service, &w.loop, &c, on_killed, &w, &e),
                     CN_ELIMIT);
    end(&w);
}

/* All defaults, and so the port that this variable names. */
static void it_needs_no_configuration(void **state) {
    fault_alloc fault;
    world w = {0};
    epmd_service *first;
    char port[8];

    (void)state;
    fault_init(&fault, 0);
    assert_int_equal(uv_loop_init(&w.loop), 0);
    assert_int_equal(serve(&w, &fault, 0), 0);
    first = w.service;
    (void)snprintf(port, sizeof port, "%u", epmd_service_port(first));
    assert_int_equal(setenv("ERL_EPMD_PORT", port, 1), 0);
    assert_int_equal(epmd_serve(&w.service, &w.loop, NULL, on_killed, &w, NULL),
                     CN_EEXIST);
    assert_int_equal(unsetenv("ERL_EPMD_PORT"), 0);
    epmd_service_close(first, on_closed, &w);
    end(&w);
    assert_int_equal(w.closed, 1);
}

/* One client may fail; the service goes on until it is closed. */
static int a_life(fault_alloc *fault, void *arg) {
    world w = {0};
    epmd_config c = {.timeout_ms = 30000};
    epmd_request *r;
    int err, failures = 0;

    (void)arg;
    assert_int_equal(uv_loop_init(&w.loop), 0);
    err = serve(&w, fault, 0);
    if (err == 0) {
        c.port = epmd_service_port(w.service);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(epmd_names(&r, &w.loop, &c, on_text, &w), 0);
            await(&w, &w.told);
            failures += w.status != 0;
        }
        assert_true(failures <= (fault->failed ? 1 : 0));
        epmd_service_close(w.service, on_closed, &w);
    }
    end(&w);
    return err;
}

static void memory_runs_out(void **state) {
    (void)state;
    run_with_every_failure(a_life, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_is_registered_found_and_gone),
        cmocka_unit_test(a_port_is_served_once),
        cmocka_unit_test(bad_addresses_are_refused),
        cmocka_unit_test(it_needs_no_configuration),
        cmocka_unit_test(memory_runs_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
