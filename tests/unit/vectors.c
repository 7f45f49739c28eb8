/* SPDX-License-Identifier: Apache-2.0
 *
 * vectors.c: see vectors.h.
 */
#include <stdio.h>
#include <string.h>

#include "tests/unit/support.h"
#include "tests/unit/vectors.h"

size_t each_vector(void (*test)(const vector *v)) {
    static char line[1 << 16];
    static uint8_t bytes[1 << 15];
    FILE *f = fopen("tests/data/term_vectors.txt", "r");
    size_t n = 0;
    char *hex;

    if (f == NULL)
        fail_msg("run the tests in the root of the source tree");
    for (; fgets(line, sizeof line, f) != NULL; n++) {
        vector v = {.text = line + 2, .canonical = line[0] == '='};
        if (line[0] == '#')
            continue;
        hex = strchr(line + 2, '\t');
        assert_non_null(hex);
        *hex++ = '\0';
        v.term = (etf_view){bytes, unhex(hex, bytes, sizeof bytes)};
        test(&v);
    }
    (void)fclose(f);
    return n;
}
