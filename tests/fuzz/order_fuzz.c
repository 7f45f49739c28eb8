/* SPDX-License-Identifier: Apache-2.0
 *
 * order_fuzz.c: any bytes as a term, which an index takes when etf_check does,
 * and finds the keys of; any two terms, which are in one order or the other.
 */
#include "tests/fuzz/roundtrip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void find_keys(const etf_index *x) {
    const etf_node *map = etf_index_root(x), *out;
    uint32_t n = etf_index_type(x, map) == ETF_MAP ? etf_index_size(x, map) : 0;

    for (uint32_t i = 0; i < n; i++) {
        etf_view key = etf_index_view(x, etf_index_key(x, map, i));
        REQUIRE(etf_index_get(x, map, key, &out) == 0);
        REQUIRE(out == etf_index_value(x, map, i));
    }
}

static void index_one(etf_view in) {
    etf_index x;
    int err = etf_index_make(&x, NULL, NULL, in);

    REQUIRE((err == 0) == is_term(in));
    if (err == 0)
        find_keys(&x);
    else
        REQUIRE(x.err_at <= in.len);
    etf_index_free(&x);
}

static int order_of(etf_view a, etf_view b, bool exact) {
    int order = 0;
    int err = exact ? etf_compare_exact(NULL, a, b, &order)
                    : etf_compare(NULL, a, b, &order);

    REQUIRE(err == 0);
    return order;
}

static void order_two(etf_view a, etf_view b) {
    uint32_t g = 0, h = 0;

    REQUIRE(order_of(a, b, false) == -order_of(b, a, false));
    REQUIRE(order_of(a, b, true) == -order_of(b, a, true));
    if (order_of(a, b, true) != 0)
        return;
    REQUIRE(order_of(a, b, false) == 0);
    REQUIRE(etf_phash2(NULL, a, ETF_PHASH2_ALL, &g) ==
            etf_phash2(NULL, b, ETF_PHASH2_ALL, &h));
    REQUIRE(g == h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    etf_view in = {data, size}, a, b;
    etf_reader r;
    int order;

    index_one(in);
    etf_reader_init(&r, in);
    a = etf_get_term(&r);
    if (r.err != 0)
        return 0;
    b.len = etf_reader_left(&r);
    b.data = data + size - b.len;
    if (is_term(a) && is_term(b))
        order_two(a, b);
    else
        (void)etf_compare(NULL, a, b, &order);
    return 0;
}
