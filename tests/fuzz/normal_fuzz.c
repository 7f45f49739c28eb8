/* SPDX-License-Identifier: Apache-2.0
 *
 * normal_fuzz.c: a term written again is a well-formed term, is as long as
 * measured, and written once more is the same; so it is with sorted maps, and
 * a writer that sorts at its end agrees. The first byte chooses the mode.
 */
#include <stdlib.h>

#include "ext_term/ext_term.h"
#include "tests/fuzz/roundtrip.h"

static int put(etf_writer *w, uint32_t mode, etf_view in, etf_view *out) {
    etf_writer_init(w, NULL);
    etf_writer_mode(w, mode);
    (void)etf_put_normal(w, NULL, NULL, in);
    return etf_writer_finish(w, out);
}

static void measured(uint32_t mode, etf_view in, size_t len) {
    etf_writer w;

    etf_writer_init_fixed(&w, NULL, 0);
    etf_writer_mode(&w, mode);
    (void)etf_put_normal(&w, NULL, NULL, in);
    REQUIRE(etf_writer_size(&w) == len);
}

static void sorted(uint32_t mode, etf_view in, etf_view want) {
    etf_view out;
    etf_writer w;

    etf_writer_init(&w, NULL);
    etf_writer_mode(&w, mode);
    etf_put_term(&w, in);
    REQUIRE(etf_writer_finish(&w, &out) == 0);
    REQUIRE(etf_view_eq(out, want));
    etf_writer_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    etf_view in = {data + 1, size - 1}, out, again;
    etf_writer w, x;
    uint32_t mode;
    int err;

    if (size < 2)
        return 0;
    mode = data[0] & (ETF_LATIN1_ATOMS | ETF_DETERMINISTIC);
    err = put(&w, mode, in, &out);
    REQUIRE((err == 0) == (etf_check(NULL, NULL, in, NULL) == 0));
    if (err == 0) {
        REQUIRE(etf_check(NULL, NULL, out, NULL) == 0);
        REQUIRE(put(&x, mode, out, &again) == 0);
        REQUIRE(etf_view_eq(out, again));
        etf_writer_free(&x);
        measured(mode, in, out.len);
        if ((mode & ETF_DETERMINISTIC) != 0)
            sorted(mode, in, out);
    }
    etf_writer_free(&w);
    return 0;
}
