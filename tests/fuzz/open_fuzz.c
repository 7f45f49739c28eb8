/* SPDX-License-Identifier: Apache-2.0
 *
 * open_fuzz.c: any bytes as what term_to_binary made, plain or compressed.
 * What is opened is a term, and opens again without the bytes behind it; cut
 * short it does not. And every term comes out of the envelope it was put in.
 */
#include "tests/fuzz/roundtrip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const etf_limits limits = {.inflated = 1 << 20};

static void require_open(etf_view in, etf_view term, size_t used) {
    etf_opened o;
    etf_error e;

    REQUIRE(etf_open(&o, NULL, &limits, in, &e) == 0 && e.code == 0);
    REQUIRE(o.used == used && etf_view_eq(o.term, term));
    etf_close(&o);
}

static void require_cut(etf_view in) {
    etf_opened o;
    etf_error e;

    REQUIRE(etf_open(&o, NULL, &limits, in, &e) == CN_ETRUNC);
    REQUIRE(e.code == CN_ETRUNC && *e.what != '\0' && o.term.len == 0);
    etf_close(&o);
}

static void any_bytes(etf_view in) {
    etf_opened o;
    etf_error e;
    int err = etf_open(&o, NULL, &limits, in, &e);

    REQUIRE(err == e.code && (err == 0) == (*e.what == '\0'));
    if (err == 0) {
        REQUIRE(is_term(o.term) && o.used <= in.len);
        require_open((etf_view){in.data, o.used}, o.term, o.used);
        require_cut((etf_view){in.data, o.used - 1});
    }
    etf_close(&o);
}

static void envelope(etf_view term, int level) {
    etf_writer w;
    etf_view out;

    etf_writer_init(&w, NULL);
    etf_put_compressed(&w, term, level);
    REQUIRE(etf_writer_finish(&w, &out) == 0 && out.len <= term.len + 1);
    require_open(out, term, out.len);
    require_cut((etf_view){out.data, out.len / 2});
    etf_writer_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    etf_view in = {data, size};

    any_bytes(in);
    if (is_term(in))
        envelope(in, (int)(size % 10));
    return 0;
}
