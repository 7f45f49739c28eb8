/* SPDX-License-Identifier: Apache-2.0
 *
 * next_fuzz.c: any bytes as terms, read by etf_next, which has a quick way for
 * usual terms. It has to say what the slow way says, and what the getters say,
 * wherever the bytes end; and a term ends where skipping it ends.
 */
#include <math.h>

#include "tests/fuzz/roundtrip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_number(const etf_item *it, etf_reader at) {
    bool negative = false;
    etf_view v;
    double f;

    if (it->type == ETF_FLOAT) {
        f = etf_get_float(&at);
        REQUIRE(f == it->f && signbit(f) == signbit(it->f));
    } else if (it->wide) {
        v = etf_get_big(&at, &negative);
        REQUIRE(etf_view_eq(v, it->bytes) && negative == it->negative);
    } else {
        REQUIRE(etf_get_int(&at) == it->i);
    }
    REQUIRE(at.err == 0);
}

static void same_bytes(const etf_item *it, etf_reader at) {
    size_t bits = 0;
    etf_view v =
        it->type == ETF_ATOM ? etf_get_atom(&at) : etf_get_bits(&at, &bits);

    REQUIRE(at.err == 0 && etf_view_eq(v, it->bytes));
    REQUIRE(it->type != ETF_BITSTRING || bits % 8 == it->n);
}

static void same_header(const etf_item *it, etf_reader at) {
    uint32_t n = it->type == ETF_TUPLE ? etf_get_tuple(&at)
                 : it->type == ETF_MAP ? etf_get_map(&at)
                                       : etf_get_list(&at);

    REQUIRE(at.err == 0);
    REQUIRE(n == (it->type == ETF_STRING ? it->bytes.len : it->n));
}

static void same_as_getters(const etf_item *it, etf_reader at) {
    etf_type type = it->type == ETF_STRING ? ETF_LIST : it->type;

    REQUIRE(etf_peek(&at) == type);
    if (type == ETF_INT || type == ETF_FLOAT)
        same_number(it, at);
    else if (type == ETF_ATOM || type == ETF_BINARY || type == ETF_BITSTRING)
        same_bytes(it, at);
    else if (type == ETF_TUPLE || type == ETF_MAP || type == ETF_LIST)
        same_header(it, at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    etf_reader quick, slow, skipped, before;
    uint64_t left = 1;
    etf_item a = {0}, b = {0};

    etf_reader_init(&quick, (etf_view){data, size});
    skipped = slow = before = quick;
    etf_skip(&skipped);
    for (; left > 0 && etf_next(&quick, &a) != ETF_NONE; before = quick) {
        REQUIRE(etf__next(&slow, &b) == a.type && a.children == b.children);
        REQUIRE(etf_reader_left(&slow) == etf_reader_left(&quick));
        same_as_getters(&a, before);
        left += a.children - 1;
    }
    REQUIRE((left == 0) == (skipped.err == 0));
    if (left == 0)
        REQUIRE(etf_reader_left(&quick) == etf_reader_left(&skipped));
    else
        REQUIRE(etf__next(&slow, &b) == ETF_NONE && slow.err == quick.err);
    return 0;
}
