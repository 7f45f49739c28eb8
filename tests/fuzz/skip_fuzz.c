/* SPDX-License-Identifier: Apache-2.0
 *
 * skip_fuzz.c: any bytes as one term. Skipping it, taking it whole, opening
 * everything in it and checking it have to agree on its end, or that it has
 * none; the first two and the check also on what is wrong and where.
 */
#include "tests/fuzz/roundtrip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void open_all(etf_reader *r) {
    for (uint64_t left = 1; left > 0 && r->err == 0; left--) {
        switch (etf_peek(r)) {
        case ETF_LIST:
            left += (uint64_t)etf_get_list(r) + 1;
            break;
        case ETF_TUPLE:
            left += etf_get_tuple(r);
            break;
        case ETF_MAP:
            left += 2 * (uint64_t)etf_get_map(r);
            break;
        default:
            etf_skip(r);
        }
    }
}

static size_t end_of(const etf_reader *r, etf_view in) {
    return in.len - etf_reader_left(r);
}

static void require_same(const etf_reader *a, const etf_reader *b) {
    REQUIRE(a->err == b->err);
    REQUIRE(a->err != 0 ? a->err_at == b->err_at
                        : etf_reader_left(a) == etf_reader_left(b));
}

/* Keys may be equal, which skipping does not look at; it is said before what
 * is said of bytes behind the term. */
static void check(const etf_reader *skipped, etf_view in) {
    etf_error e = {0};
    int err = etf_check(NULL, NULL, in, &e);

    if (skipped->err != 0)
        REQUIRE(err == skipped->err && e.at == skipped->err_at);
    else if (etf_reader_left(skipped) > 0)
        REQUIRE(err == CN_EBADTERM && e.at <= end_of(skipped, in));
    else
        REQUIRE(err == 0 || (err == CN_EBADTERM && e.at < in.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    etf_view in = {data, size}, whole;
    etf_reader skipped, taken, opened;

    etf_reader_init(&skipped, in);
    taken = opened = skipped;
    etf_skip(&skipped);
    whole = etf_get_term(&taken);
    open_all(&opened);
    require_same(&skipped, &taken);
    REQUIRE((skipped.err == 0) == (opened.err == 0));
    if (skipped.err == 0) {
        REQUIRE(end_of(&opened, in) == end_of(&skipped, in));
        REQUIRE(whole.data + whole.len == data + end_of(&skipped, in));
    }
    check(&skipped, in);
    return 0;
}
