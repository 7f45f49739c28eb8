/* SPDX-License-Identifier: Apache-2.0
 *
 * print.h: what the two halves of printing share (internal): print.c is the
 * output and the terms without elements, text.c the walk and the lines.
 */
#ifndef EXT_TERM_PRINT_H
#define EXT_TERM_PRINT_H

#include "ext_term/frames.h"
#include "ext_term/term.h"

typedef struct etf__output {
    FILE *file; /* or NULL for the array */
    char *buf;
    size_t cap;
    size_t len;   /* bytes; goes on counting behind cap */
    size_t chars; /* the same in characters */
    bool muted;   /* only the characters are counted */
    bool failed;
    /* how */
    etf_text_style style;
    etf_text_range range;
    bool latin1;
} etf__output;

void etf__out(etf__output *o, const void *text, size_t n);
void etf__out_text(etf__output *o, const char *text);
/* One ASCII character, n times. */
void etf__out_char(etf__output *o, char c, size_t n);

/* The integers of a list, or the bytes of a binary, as a number list. */
void etf__out_bytes(etf__output *o, const uint8_t *p, size_t n);
/* The decimal digits of v. */
enum { ETF__U64_ROOM = 20 };
void etf__out_uint(etf__output *o, uint64_t v);
/* One character of a text or atom in these quotes. */
void etf__out_quoted(etf__output *o, uint32_t c, char quote);
/* Those at p that need no escape, up to the first that does; their number. */
size_t etf__out_plain(etf__output *o, const uint8_t *p, size_t n, char quote);
/* Bytes as the characters of a text, without its quotes. */
void etf__out_latin1(etf__output *o, const uint8_t *p, size_t n);
/* The atom at p inside of h; returns what is behind it. */
const uint8_t *etf__out_atom(etf__output *o, const uint8_t *p,
                             const etf__head *h);
/* Is this a character of a list that is shown as text? */
bool etf__shown(const etf__output *o, uint64_t c);
/* Is this binary shown as text? */
bool etf__shown_binary(const etf__output *o, const etf__head *h);
/* A term without elements; what belongs to a closure is left. */
void etf__out_leaf(etf__output *o, const etf__head *h);

#endif
