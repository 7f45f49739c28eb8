/* SPDX-License-Identifier: Apache-2.0
 *
 * vectors.h: the terms of tests/data/term_vectors.txt, which a real
 * term_to_binary made.
 */
#ifndef TESTS_UNIT_VECTORS_H
#define TESTS_UNIT_VECTORS_H

#include <stdbool.h>

#include "ext_term/ext_term.h"

typedef struct vector {
    const char *text; /* as etf_print prints it */
    etf_view term;
    bool canonical; /* the text gives these bytes again */
} vector;

/* Calls test for each vector; returns how many there were. */
size_t each_vector(void (*test)(const vector *v));

#endif
