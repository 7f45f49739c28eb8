/* SPDX-License-Identifier: Apache-2.0
 *
 * epmd_fuzz.c: the first byte picks the exchange, the second how its reply is
 * cut. The rest is the reply, a request and a text of names at once.
 */
#include <stdlib.h>

#include "epmd/epmd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void exchange(epmd_op op, size_t step, const uint8_t *p, size_t n) {
    epmd_req r = {.op = op, .node.name = {(const uint8_t *)"foo", 3}};
    epmd_client *c;
    epmd_event ev;

    if (epmd_client_new(&c, &r, NULL, 0) != 0)
        abort();
    for (size_t at = 0; at < n; at += step)
        (void)epmd_client_feed(c, p + at, step < n - at ? step : n - at, 1);
    if (epmd_client_eof(c) == 0 && epmd_client_next(c, &ev) == 0)
        abort(); /* the end of the connection decides */
    epmd_client_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const epmd_op ops[] = {EPMD_ALIVE2_REQ, EPMD_PORT2_REQ,
                                  EPMD_NAMES_REQ};
    const char *text = (const char *)data;
    epmd_name name;
    epmd_req r;

    if (size < 2)
        return 0;
    exchange(ops[data[0] % 3], data[1] + 1u, data + 2, size - 2);
    (void)epmd_get_request(data + 2, size - 2, &r);
    while (epmd_names_next(&text, &size, &name))
        ;
    return 0;
}
