/* SPDX-License-Identifier: Apache-2.0
 *
 * index_fuzz.c: any bytes as a term. It has an index if it is well-formed, and
 * the index says of every term in it what a reader says.
 */
#include "tests/fuzz/roundtrip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const etf_index *x, const etf_node *node, etf_reader *r);

static void same_elements(const etf_index *x, const etf_node *node,
                          etf_reader *r) {
    uint32_t n = etf_get_tuple(r);

    REQUIRE(etf_index_size(x, node) == n);
    for (uint32_t i = 0; i < n; i++)
        same(x, etf_index_nth(x, node, i), r);
    REQUIRE(etf_index_nth(x, node, n) == NULL);
}

/* A list as the tail of a list is joined by the index, not by the reader. */
static void same_list(const etf_index *x, const etf_node *node, etf_reader *r) {
    uint32_t i = 0;

    while (etf_peek(r) == ETF_LIST)
        for (uint32_t n = etf_get_list(r); n > 0; n--)
            same(x, etf_index_nth(x, node, i++), r);
    REQUIRE(etf_index_size(x, node) == i);
    REQUIRE(etf_index_nth(x, node, i) == NULL);
    same(x, etf_index_tail(x, node), r);
}

static void same_pairs(const etf_index *x, const etf_node *node,
                       etf_reader *r) {
    uint32_t n = etf_get_map(r);
    const etf_node *value;

    REQUIRE(etf_index_size(x, node) == n);
    for (uint32_t i = 0; i < n; i++) {
        REQUIRE(etf_index_get(x, node, etf_get_term(r), &value) == 0);
        same(x, value, r);
        REQUIRE(etf_index_key(x, node, i) && etf_index_value(x, node, i));
    }
    REQUIRE(etf_index_key(x, node, n) == NULL);
}

static void same(const etf_index *x, const etf_node *node, etf_reader *r) {
    etf_type type = etf_peek(r);
    etf_reader at = *r;

    REQUIRE(node != NULL && etf_index_type(x, node) == type);
    REQUIRE(etf_view_eq(etf_index_view(x, node), etf_get_term(&at)));
    if (type == ETF_TUPLE)
        same_elements(x, node, r);
    else if (type == ETF_LIST)
        same_list(x, node, r);
    else if (type == ETF_MAP)
        same_pairs(x, node, r);
    else
        *r = at;
    REQUIRE(r->err == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    etf_view in = {data, size};
    etf_reader r;
    etf_index x;
    int err = etf_index_make(&x, NULL, NULL, in);

    REQUIRE((err == 0) == is_term(in));
    REQUIRE(err == 0 || x.err_at <= size);
    etf_reader_init(&r, in);
    if (err == 0)
        same(&x, etf_index_root(&x), &r);
    etf_index_free(&x);
    return 0;
}
