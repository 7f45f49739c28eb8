/* SPDX-License-Identifier: Apache-2.0
 *
 * parse_fuzz.c: any text as a term. What is taken is well-formed, and printing
 * and parsing are inverses from there on.
 */
#include "tests/fuzz/roundtrip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t column, len;
    etf_writer w;
    etf_view t;
    int err;

    etf_writer_init(&w, NULL);
    err = etf_parse_n(&w, (const char *)data, size, &column);
    REQUIRE(column <= size);
    REQUIRE(etf_writer_finish(&w, &t) == err);
    if (err == 0) {
        REQUIRE(sound(t));
        roundtrip(t);
    }
    len = t.len;
    etf_writer_free(&w);
    etf_writer_init_fixed(&w, NULL, 0);
    REQUIRE(etf_parse_n(&w, (const char *)data, size, NULL) != 0);
    REQUIRE(err != 0 || w.len == len);
    return 0;
}
