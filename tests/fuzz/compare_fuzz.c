/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_fuzz.c: three terms, one behind the other. Both orders are orders:
 * antisymmetric and transitive; what is exactly equal is equal, has the same
 * hash and is found as a key. Malformed bytes are compared too.
 */
#include "tests/fuzz/roundtrip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int (*compare_fn)(const cn_alloc *alloc, etf_view a, etf_view b,
                          int *order);

static int sign(compare_fn compare, etf_view a, etf_view b) {
    int order = 0;

    REQUIRE(compare(NULL, a, b, &order) == 0);
    return (order > 0) - (order < 0);
}

static void require_order(compare_fn compare, const etf_view t[3]) {
    for (int i = 0; i < 3; i++) {
        etf_view a = t[i], b = t[(i + 1) % 3], c = t[(i + 2) % 3];
        int ab = sign(compare, a, b), bc = sign(compare, b, c);
        REQUIRE(sign(compare, a, a) == 0 && sign(compare, b, a) == -ab);
        if (ab <= 0 && bc <= 0)
            REQUIRE(sign(compare, a, c) == (ab == 0 ? bc : -1));
    }
}

static void require_equal(etf_view a, etf_view b) {
    uint32_t x = 0, y = 0;

    REQUIRE(sign(etf_compare, a, b) == 0);
    REQUIRE(etf_phash2(NULL, a, ETF_PHASH2_ALL, &x) ==
            etf_phash2(NULL, b, ETF_PHASH2_ALL, &y));
    REQUIRE(x == y);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    etf_view in = {data, size}, t[3];
    etf_reader r;
    int order;

    etf_reader_init(&r, in);
    for (int i = 0; i < 3; i++)
        t[i] = etf_get_term(&r);
    (void)etf_compare(NULL, in, (etf_view){data, size / 2}, &order);
    (void)etf_compare_exact(NULL, (etf_view){data + size / 2, size / 2}, in,
                            &order);
    if (!is_term(t[0]) || !is_term(t[1]) || !is_term(t[2]))
        return 0;
    require_order(etf_compare, t);
    require_order(etf_compare_exact, t);
    if (sign(etf_compare_exact, t[0], t[1]) == 0)
        require_equal(t[0], t[1]);
    return 0;
}
