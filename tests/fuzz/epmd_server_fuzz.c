/* SPDX-License-Identifier: Apache-2.0
 *
 * epmd_server_fuzz.c: clients of an EPMD server. The input is a list of
 * actions on eight sessions, each two bytes (which session and what, how
 * much) and what it takes from the bytes behind them.
 */
#include <stdlib.h>
#include <string.h>

#include "epmd/epmd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SESSIONS = 8 };

typedef struct world {
    epmd_server *server;
    epmd_session *sessions[SESSIONS];
    uint64_t now;
} world;

static void reopen(world *w, unsigned i, uint8_t what) {
    epmd_peer peer = {.local = (what & 1) == 0, .address = {what & 3}};

    if (w->sessions[i] != NULL)
        epmd_session_free(w->sessions[i]);
    w->sessions[i] = NULL;
    if (epmd_server_open(w->server, &w->sessions[i], &peer, NULL) != 0)
        w->sessions[i] = NULL;
}

static void write_some(epmd_session *x, size_t most) {
    const uint8_t *p;
    size_t n = epmd_session_output(x, &p);
    volatile uint8_t last;

    if (n == 0)
        return;
    last = p[n - 1];
    (void)last;
    epmd_session_wrote(x, n < most ? n : most);
}

/* How many bytes of p it took. */
static size_t act(world *w, uint8_t what, uint8_t much, const uint8_t *p,
                  size_t left) {
    epmd_session *x = w->sessions[what % SESSIONS];
    size_t n = much < left ? much : left;

    if (x == NULL || (what >> 3) % 8 == 0) {
        reopen(w, what % SESSIONS, much);
        return 0;
    }
    switch ((what >> 3) % 8) {
    case 1:
        write_some(x, (size_t)much * 16);
        return 0;
    case 2:
        epmd_session_eof(x);
        return 0;
    case 3:
        w->now += (uint64_t)much * 1000;
        epmd_server_time(w->server, w->now, much);
        return 0;
    default:
        epmd_session_feed(x, p, n);
        return n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    epmd_server_config c = {.port = 4369,
                            .max_old = 2,
                            .max_nodes = 4,
                            .max_clients = 5,
                            .max_connections = 7,
                            .max_output = 512};
    world w = {0};

    if (size == 0)
        return 0;
    c.relaxed = (data[0] & 1) != 0;
    c.delay_ms = data[0] >> 1;
    if (epmd_server_new(&w.server, &c) != 0)
        abort();
    for (size_t at = 1; at + 2 <= size;) {
        size_t used =
            act(&w, data[at], data[at + 1], data + at + 2, size - at - 2);
        at += 2 + used;
        while (epmd_server_next(w.server) != NULL)
            ;
    }
    epmd_server_free(w.server);
    return 0;
}
