/* SPDX-License-Identifier: Apache-2.0
 *
 * scan_fuzz.c: how the bytes come, and then the bytes, with or without a
 * version byte. However they are cut, the scanner finds the same end or the
 * same error, never asks for more than there must be, and agrees with a reader
 * and with etf_open.
 */
#include "tests/fuzz/roundtrip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct result {
    int err;
    size_t need; /* of the last call: the length of the term, or what lacks */
    etf_error error;
} result;

/* In steps of at least `step` bytes; 0: all at once. */
static result scan(etf_view in, bool version, size_t step) {
    etf_scanner s;
    result r = {.err = CN_ETRUNC};
    size_t n = step == 0 ? in.len : 0, least = 0;

    etf_scanner_init(&s, NULL, NULL, version);
    while ((r.err = etf_scan(&s, in.data, n, &r.need)) == CN_ETRUNC) {
        REQUIRE(r.need > 0);
        least = n + r.need;
        if (n == in.len)
            break;
        n = in.len - n > step ? n + step : in.len;
    }
    REQUIRE(r.err != 0 || r.need <= n);
    REQUIRE(r.err != 0 || r.need >= least);
    if (r.err != 0 && r.err != CN_ETRUNC) {
        r.error = s.error;
        REQUIRE(etf_scan(&s, in.data, n, &n) == r.err);
    }
    etf_scanner_free(&s);
    return r;
}

/* Which of two errors is seen first may differ. */
static void as_reader(etf_view in, const result *r) {
    etf_reader t;

    etf_reader_init(&t, in);
    etf_skip(&t);
    if (r->err == CN_ELIMIT)
        return;
    REQUIRE((t.err == 0) == (r->err == 0));
    REQUIRE(t.err != 0 || in.len - etf_reader_left(&t) == r->need);
}

static void as_opened(etf_view in, const result *r) {
    etf_opened o;
    int err = etf_open(&o, NULL, NULL, in, NULL);

    REQUIRE(err != 0 || (r->err == 0 && r->need == o.used));
    etf_close(&o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    etf_view in;
    result whole, parts;
    bool version;

    if (size == 0)
        return 0;
    in = (etf_view){data + 1, size - 1};
    version = (data[0] & 1) != 0;
    whole = scan(in, version, 0);
    parts = scan(in, version, 1 + data[0] / 2);
    REQUIRE(whole.err == parts.err && whole.error.at == parts.error.at);
    REQUIRE(whole.err != 0 || whole.need == parts.need);
    if (version)
        as_opened(in, &whole);
    else
        as_reader(in, &whole);
    return 0;
}
