/* SPDX-License-Identifier: Apache-2.0
 *
 * support.h: what every unit test needs: cmocka, an allocator whose n-th
 * allocation fails and that knows what is still allocated, hex.
 */
#ifndef TESTS_UNIT_SUPPORT_H
#define TESTS_UNIT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

typedef struct fault_alloc {
    cn_alloc alloc; /* give &f->alloc to what is tested */
    size_t calls;   /* allocations and growths so far */
    size_t fail_at; /* this one fails, counted from 1; 0: none */
    size_t live;    /* bytes that are allocated now */
    bool failed;    /* the failure has happened */
} fault_alloc;

/* Ready, with the n-th allocation failing; n == 0: none. */
void fault_init(fault_alloc *f, size_t n);

/* Runs scenario(f, arg) once without a failure, where it must return 0, then
 * once for each allocation it made, with that one failing; there it may
 * return anything, but must leave nothing allocated. */
typedef int (*fault_scenario)(fault_alloc *f, void *arg);
void run_with_every_failure(fault_scenario scenario, void *arg);

/* Bytes from hex; blanks and '|' are skipped. Returns the length. */
size_t unhex(const char *hex, uint8_t *out, size_t cap);
/* Asserts that data is what the hex says. */
void assert_hex(const uint8_t *data, size_t n, const char *hex);

#endif
