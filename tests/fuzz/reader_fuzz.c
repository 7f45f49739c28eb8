/* SPDX-License-Identifier: Apache-2.0
 *
 * reader_fuzz.c: any bytes as terms: at each one every get, right or wrong;
 * scanned in parts, opened, expanded; well-formed ones are printed, parsed and
 * printed again.
 */
#include "tests/fuzz/roundtrip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TRY(call) (at = *r, (void)(call))

static void get_all(const etf_reader *r, char text[16]) {
    etf_pid pid;
    etf_ref ref;
    etf_port port;
    etf_fun fun;
    etf_record record;
    etf_item item;
    etf_view view[2];
    etf_reader at;
    size_t bits;
    uint8_t arity;
    bool minus;

    TRY(etf_get_int(&at));
    TRY(etf_get_uint(&at));
    TRY(etf_get_big(&at, &minus));
    TRY(etf_get_float(&at));
    TRY(etf_get_atom(&at));
    TRY(etf_get_bool(&at));
    TRY(etf_get_bits(&at, &bits));
    TRY(etf_get_string(&at, text, 16));
    TRY(etf_get_map(&at));
    TRY(etf_get_tail(&at));
    TRY(etf_get_pid(&at, &pid));
    TRY(etf_get_port(&at, &port));
    TRY(etf_get_ref(&at, &ref));
    TRY(etf_get_fun(&at, &fun));
    TRY(etf_get_record(&at, &record));
    TRY(etf_next(&at, &item));
    TRY(etf_get_export(&at, &view[0], &view[1], &arity));
}

/* Scanned byte by byte, or cut somewhere, as it is in one piece. */
static void scan(etf_view in, bool version) {
    size_t step = in.len > 256 ? in.len / 3 : 1, need, part;
    etf_scanner once, parts;
    int err, part_err = CN_ETRUNC;

    etf_scanner_init(&once, NULL, NULL, version);
    etf_scanner_init(&parts, NULL, NULL, version);
    err = etf_scan(&once, in.data, in.len, &need);
    for (size_t n = 0; n < in.len && part_err == CN_ETRUNC; n += step)
        part_err = etf_scan(&parts, in.data, n, &part);
    if (part_err == CN_ETRUNC)
        part_err = etf_scan(&parts, in.data, in.len, &part);
    REQUIRE(err == part_err && (err == CN_ETRUNC || need == part));
    REQUIRE(once.error.at == parts.error.at);
    REQUIRE(need > 0 || err != 0);
    if (err == 0 && !version)
        REQUIRE(sound((etf_view){in.data, need}));
    if (err == CN_EBADTERM || err == CN_ETRUNC)
        REQUIRE(version || etf_check(NULL, NULL, in, NULL) != 0);
    etf_scanner_free(&once);
    etf_scanner_free(&parts);
}

static void open_it(etf_view in) {
    etf_limits small = {.inflated = 1 << 16};
    etf_opened o;
    etf_error e;

    if (etf_open(&o, NULL, &small, in, &e) == 0)
        REQUIRE(o.used <= in.len && etf_check(NULL, NULL, o.term, NULL) == 0);
    else
        REQUIRE(e.what[0] != '\0' && (e.inflated || e.at <= in.len));
    etf_close(&o);
}

/* With a table of atoms: what expands is a term. */
static void expand(etf_view in) {
    static const etf_view atoms[] = {{(const uint8_t *)"a@b", 3},
                                     {(const uint8_t *)"", 0}};
    etf_writer w;
    etf_view out;

    etf_writer_init(&w, NULL);
    if (etf_expand(&w, atoms, 2, in) == 0)
        REQUIRE(etf_writer_finish(&w, &out) == 0 && sound(out));
    etf_writer_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t nothing[1];
    etf_view in = {data, size};
    etf_type type;
    etf_reader r;
    char text[16];

    etf_reader_init(&r, in);
    while ((type = etf_peek(&r)) != ETF_NONE) {
        get_all(&r, text);
        if (type == ETF_LIST)
            (void)etf_get_list(&r);
        else if (type == ETF_TUPLE)
            (void)etf_get_tuple(&r);
        else
            (void)etf_get_term(&r);
    }
    REQUIRE(r.err == 0 ? etf_reader_pos(&r) == size : r.err_at <= size);
    in.data = size == 0 ? nothing : data;
    scan(in, false);
    scan(in, true);
    open_it(in);
    expand(in);
    if (etf_check(NULL, NULL, in, NULL) == 0)
        roundtrip(in);
    return 0;
}
