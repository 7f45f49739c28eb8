/* SPDX-License-Identifier: Apache-2.0
 *
 * dump_fuzz.c: a capture, fed in pieces of as many bytes as the first byte
 * says; or, when its top bit is set, as the records of one connection behind a
 * head that is made here. Whatever it holds: each message has one line of text
 * or an error, lies within what was fed, and the pieces do not matter.
 */
#include <stdlib.h>
#include <string.h>

#include "cnode/capture.h"
#include "ext_term/ext_term.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
    if (!ok)
        abort();
}

static const uint8_t head[12] = "CNODECAP\0\1";

static size_t look_at(const cnode_dump_message *m) {
    size_t n = strlen(m->text);

    require(n > 0 || m->error[0] != '\0');
    require(strpbrk(m->text, "\n\r\033") == NULL);
    for (size_t i = 0; i < m->bytes.len; i++)
        n = n * 31 + m->bytes.data[i];
    require(strlen(m->peer) < 256);
    if (m->ctrl != NULL)
        (void)etf_print(m->ctrl->term, NULL, 0);
    return n;
}

/* A number for all that was said. */
static size_t read_all(const uint8_t *p, size_t n, size_t step, bool framed) {
    cnode_dump_message m;
    cnode_dump *d;
    size_t sum = 0;
    int r = 0;

    require(cnode_dump_new(&d, NULL) == 0);
    if (framed)
        require(cnode_dump_feed(d, head, sizeof head) == 0);
    while (r == 0 && n > 0) {
        size_t now = step < n ? step : n;
        require(cnode_dump_feed(d, p, now) == 0);
        while ((r = cnode_dump_next(d, &m)) == 1)
            sum = sum * 31 + look_at(&m);
        p += now;
        n -= now;
    }
    require(r <= 0 && cnode_dump_error(d)->code == r);
    (void)cnode_dump_eof(d);
    cnode_dump_free(d);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bool framed;
    size_t step;

    if (size == 0)
        return 0;
    framed = data[0] & 0x80;
    step = (data[0] & 0x7fu) + 1;
    require(read_all(data + 1, size - 1, step, framed) ==
            read_all(data + 1, size - 1, size, framed));
    return 0;
}
