/* SPDX-License-Identifier: Apache-2.0
 *
 * chars.c: chardata to a file. The characters of a nested list stand in the
 * bytes of the term in the order in which they are to be written, so the walk
 * needs no stack: it enters lists and passes over their ends.
 */
#include "cli/output.h"
#include "cli/text.h"

static void put_binary(etf_reader *r, cli_encoding e, FILE *to) {
    etf_view v = etf_get_binary(r);

    if (e == CLI_UTF8 && !cli_is_utf8(v.data, v.len))
        etf_reader_fail(r, CN_ETYPE);
    else if (to != NULL && e != CLI_LATIN1)
        (void)fwrite(v.data, 1, v.len, to);
    else if (to != NULL)
        for (size_t i = 0; i < v.len; i++)
            cli_put_utf8(v.data[i], to);
}

static void put_char(etf_reader *r, cli_encoding e, FILE *to) {
    uint64_t c = etf_get_uint(r);

    if (c > (e == CLI_BYTES ? 0xff : 0x10ffff))
        etf_reader_fail(r, CN_ETYPE);
    else if (to == NULL || etf_reader_finish(r) != 0)
        return;
    else if (e == CLI_BYTES)
        (void)fputc((int)c, to);
    else
        cli_put_utf8((uint32_t)c, to);
}

static int walk(etf_view chars, cli_encoding e, FILE *to) {
    etf_reader r;

    etf_reader_init(&r, chars);
    while (etf_reader_finish(&r) == 0)
        switch (etf_peek(&r)) {
        case ETF_NONE:
            return etf_reader_finish(&r);
        case ETF_NIL:
            etf_get_nil(&r);
            break;
        case ETF_LIST:
            (void)etf_get_list(&r);
            break;
        case ETF_INT:
            put_char(&r, e, to);
            break;
        case ETF_BINARY:
            put_binary(&r, e, to);
            break;
        default:
            return CN_ETYPE;
        }
    return CN_ETYPE;
}

int cli_put_chars(etf_view chars, cli_encoding e, FILE *to) {
    etf_type type = etf_type_of(chars);

    /* A character alone is none. */
    if ((type != ETF_LIST && type != ETF_NIL && type != ETF_BINARY) ||
        walk(chars, e, NULL) != 0)
        return CN_ETYPE;
    if (to != NULL)
        (void)walk(chars, e, to);
    return 0;
}
