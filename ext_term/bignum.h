/* SPDX-License-Identifier: Apache-2.0
 *
 * bignum.h: integers of any size as digits (internal).
 *
 * Decimal costs the square of the length, so it ends at ETF__DECIMAL_BYTES;
 * base 16 costs the length and has no limit of its own. Integers beyond it are
 * printed as 16#..., which is Erlang too.
 */
#ifndef EXT_TERM_BIGNUM_H
#define EXT_TERM_BIGNUM_H

#include "ext_term/lex.h"

enum {
    ETF__DECIMAL_BYTES = 2048, /* of the magnitude */
    ETF__DECIMAL_DIGITS = 4940
};

/* Puts the integer of the digits; underscores are skipped. CN_ELIMIT for a
 * magnitude above ETF__DECIMAL_BYTES, with base 16 above ETF__BIG_BYTES. */
int etf__put_digits(etf_writer *w, const etf__lex *x);
/* The decimal digits of a magnitude of at most ETF__DECIMAL_BYTES, without
 * sign and NUL; returns their number. */
size_t etf__decimal(etf_view magnitude, char out[ETF__DECIMAL_DIGITS]);

#endif
