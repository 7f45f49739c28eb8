/* SPDX-License-Identifier: Apache-2.0
 *
 * reader_fuzz.c: any bytes as terms: at each one every get, right or wrong;
 * well-formed ones are printed, parsed and printed again.
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
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
    if (etf_check(NULL, NULL, in, NULL) == 0)
        roundtrip(in);
    return 0;
}
