/* SPDX-License-Identifier: Apache-2.0
 *
 * parse.h: Erlang's text into bytes, with holes for etf_pack (internal).
 */
#ifndef EXT_TERM_PARSE_H
#define EXT_TERM_PARSE_H

#include "ext_term/frames.h"
#include "ext_term/lex.h"

/* A tuple, list, map or record that is not closed yet. The header is at `at`,
 * with the count still to come. */
typedef struct etf__level {
    char closer;     /* '}', ']', 'm' for a map or 'r' for a record */
    bool bytes;      /* a list that so far is a STRING_EXT */
    bool tail;       /* a list: its tail is a term of its own */
    bool closed;     /* a list: nothing but ] may follow */
    bool value;      /* a map: a key is there, its value is next */
    uint32_t closes; /* a list: [a | [b has one more ] to come */
    uint32_t n;
    size_t at;
    size_t names_end; /* a record: where the next name goes */
} etf__level;

typedef struct etf__parser {
    etf_writer *w;
    etf__lex x;
    size_t max_depth;
    const char *why;    /* what is wrong, if there is more to say */
    size_t moved;       /* bytes that made way for others */
    etf__frames levels; /* in the memory of the writer */
    bool match;         /* the text is a pattern to match: variables, := */
    /* Puts what belongs into the hole of this letter, '_' for anything and for
     * a variable; NULL when the text may have none. */
    int (*fill)(struct etf__parser *p, char letter);
    void *ctx;
} etf__parser;

/* Parses all of the text as one term. 0 or the error, which is also latched
 * in the writer; the token of p->x is where. w, fill and ctx are set. */
int etf__parse_run(etf__parser *p, const char *text, size_t n);
/* What is wrong with its token, after an error. */
const char *etf__parse_why(const etf__parser *p, int err);

/* For fill: is this place within the key of a map? */
bool etf__parse_in_key(const etf__parser *p);
/* For fill: put one term at this place. */
void etf__parse_int(etf__parser *p, bool negative, uint64_t magnitude);
void etf__parse_string(etf__parser *p, const char *bytes, size_t n);
void etf__parse_term(etf__parser *p, etf_view term);
int etf__parse_list(etf__parser *p, etf_list list);
/* Makes way for one that is put with etf_put_* and is none of those. */
void etf__parse_way(etf__parser *p);

#endif
