/* SPDX-License-Identifier: Apache-2.0
 *
 * pattern_fuzz.c: a pattern, a NUL, and a term. The term is matched, and the
 * pattern is packed with arguments that may be of the wrong type.
 */
#include "tests/fuzz/roundtrip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void pack(const char *pattern, etf_view term, long i) {
    static const etf_pid pid = {1, 2, 3, 1, "a"};
    etf_writer w;
    etf_view t;
    etf_error e;
    int err;

    etf_writer_init(&w, NULL);
    if (etf_check(NULL, NULL, term, NULL) != 0)
        term = (etf_view){(const uint8_t *)"j", 1};
    err = etf_pack(&w, pattern, i, term, "text", term, 1.5, &pid);
    etf_writer_reset(&w);
    REQUIRE(etf_pack_why(&w, &e, pattern, i, term, "text", term, 1.5, &pid) ==
            err);
    REQUIRE(e.code == err && e.at <= strlen(pattern));
    etf_writer_reset(&w);
    if (etf_pack(&w, pattern, term, i) == 0) {
        REQUIRE(etf_writer_finish(&w, &t) == 0 && sound(t));
        roundtrip(t);
    }
    etf_writer_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *end = memchr(data, 0, size);
    const char *pattern = (const char *)data;
    etf_view term, a, b;
    etf_error e;
    short n = 0;
    int err;

    if (end == NULL)
        return 0;
    term = (etf_view){end + 1, size - (size_t)(end + 1 - data)};
    err = etf_match(term, pattern, &n, &a, &b);
    REQUIRE(etf_match_why(term, &e, pattern, &n, &a, &b) == err);
    REQUIRE(e.code == err && e.at <= strlen(pattern));
    if (etf_match(term, pattern, &a, &b) == 0)
        REQUIRE((a.len == 0 || a.data != NULL) && (b.len == 0 || b.data));
    (void)etf_match(term, pattern);
    pack(pattern, term, n);
    return 0;
}
