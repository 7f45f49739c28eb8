/* SPDX-License-Identifier: Apache-2.0
 *
 * handshake_fuzz.c: the first byte picks the role and what the node that owns
 * the connection wants, the second how the rest is cut: what the peer says.
 * Cookie and challenges are those of the recorded handshakes.
 */
#include <stdlib.h>
#include <string.h>

#include "cnode/conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static cnode_conn *make(uint8_t how) {
    cnode_conn_config config = {
        .initiator = how & 1,
        .takeover = how & 2,
        .dynamic_name = (how & 5) == 5,
        .name = (how & 5) == 5 ? "127.0.0.1" : "py@127.0.0.1",
        .peer = "n25@127.0.0.1",
        .cookie = "abc",
        .challenge = how & 1 ? 1974820125 : 77,
        .flags = cnode_conn_flags(),
    };
    cnode_conn *c;

    if (cnode_conn_new(&c, &config, 0) != 0)
        abort();
    return c;
}

/* Pulls what there is; false when the connection is dead. */
static bool pull(cnode_conn *c, uint8_t how) {
    const cn_error *e;
    cnode_event ev;
    int r;

    while ((r = cnode_conn_next(c, &ev)) == 1)
        if (ev.type == CNODE_EV_NAME)
            (void)cnode_conn_answer(c, (cnode_answer)(how >> 3 & 7), "abc",
                                    "x@127.0.0.1", 5);
    e = cnode_conn_error(c);
    if (r != e->code || (r != 0 && e->text[0] == '\0'))
        abort();
    return r == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cnode_conn *c;
    cn_slice v;
    size_t n;

    if (size < 2)
        return 0;
    c = make(data[0]);
    for (size_t at = 2, step = data[1] + 1u; at < size; at += step) {
        n = step < size - at ? step : size - at;
        if (cnode_conn_feed(c, data + at, n, at) != 0 || !pull(c, data[0]))
            break;
        if (cnode_conn_output(c, &v, 1) > 0)
            cnode_conn_wrote(c, v.len);
    }
    if ((data[0] & 0x80 ? cnode_conn_eof(c, size)
                        : cnode_conn_timeout(c, UINT64_MAX)) == 0 &&
        !cnode_conn_up(c))
        abort(); /* whoever was not up by now has an error */
    cnode_conn_free(c);
    return 0;
}
