/* SPDX-License-Identifier: Apache-2.0
 *
 * support.c: see support.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support.h"

static void *faulty(void *ctx, void *p, size_t old_size, size_t new_size) {
    fault_alloc *f = ctx;
    void *q;

    if (new_size == 0) {
        f->live -= old_size;
        free(p);
        return NULL;
    }
    if (new_size > old_size && ++f->calls == f->fail_at) {
        f->failed = true;
        return NULL;
    }
    q = realloc(p, new_size);
    if (q != NULL)
        f->live += new_size - old_size;
    return q;
}

void fault_init(fault_alloc *f, size_t n) {
    *f = (fault_alloc){.fail_at = n};
    f->alloc = (cn_alloc){faulty, f};
}

void run_with_every_failure(fault_scenario scenario, void *arg) {
    fault_alloc f;
    size_t calls;

    fault_init(&f, 0);
    assert_int_equal(scenario(&f, arg), 0);
    assert_int_equal(f.live, 0);
    calls = f.calls;
    for (size_t n = 1; n <= calls; n++) {
        fault_init(&f, n);
        (void)scenario(&f, arg);
        if (f.live != 0)
            fail_msg("%zu bytes left when allocation %zu fails", f.live, n);
    }
}

static int digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

size_t unhex(const char *hex, uint8_t *out, size_t cap) {
    size_t n = 0;

    while (*hex != '\0') {
        if (*hex == ' ' || *hex == '|' || *hex == '\n') {
            hex++;
            continue;
        }
        if (digit(hex[0]) < 0 || digit(hex[1]) < 0 || n == cap)
            fail_msg("bad hex or too long: %s", hex);
        out[n++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
        hex += 2;
    }
    return n;
}

void assert_hex(const uint8_t *data, size_t n, const char *hex) {
    static uint8_t want[1 << 17];
    size_t m = unhex(hex, want, sizeof want);

    if (n != m || (n > 0 && memcmp(data, want, n) != 0)) {
        print_message("want: %s\n got: ", hex);
        for (size_t i = 0; i < n; i++)
            print_message("%02x", data[i]);
        print_message("\n");
        fail_msg("the bytes differ");
    }
}
