/* SPDX-License-Identifier: Apache-2.0
 *
 * lex.h: Erlang's text as tokens, for etf_parse, etf_pack and etf_match
 * (internal). A token says where it is; nothing is copied.
 */
#ifndef EXT_TERM_LEX_H
#define EXT_TERM_LEX_H

#include "ext_term/term.h"

typedef enum etf__tok {
    ETF__T_END,
    ETF__T_BAD,    /* no token of Erlang's */
    ETF__T_ATOM,   /* text is what is between the quotes, escaped */
    ETF__T_INT,    /* text is the digits */
    ETF__T_FLOAT,  /* text is all of it */
    ETF__T_CHAR,   /* $a: value is the character */
    ETF__T_STRING, /* text is what is between the quotes, escaped */
    ETF__T_HOLE,   /* ~i: value is the letter */
    ETF__T_ANY,    /* _ */
    ETF__T_VAR,    /* Name: text is all of it */
    ETF__T_FUN,    /* the word fun */
    ETF__T_ID,     /* #Pid< #Port< #Ref< or <: value is P, O or R */
    ETF__T_MAP,    /* #{ */
    ETF__T_BIN,    /* <<, or ~"..." with text as of a string */
    ETF__T_BIN_END,
    ETF__T_ARROW, /* => */
    ETF__T_EXACT, /* := */
    ETF__T_PUNCT  /* value is the character */
} etf__tok;

typedef struct etf__lex {
    const char *in;
    size_t n;
    size_t next; /* where the next token begins, or blanks before it */
    /* the token */
    etf__tok tok;
    size_t at;
    const char *text;
    size_t len;
    uint32_t value;
    uint8_t base;
    bool negative;
    bool plain;      /* an atom or string without escapes */
    bool verbatim;   /* a string that has none, whatever is in it */
    bool sigil;      /* ~"..." is a string, or a binary without << */
    size_t indent;   /* a string in triple quotes: of its lines */
    size_t quotes;   /* where the last quotes that were counted end */
    const char *why; /* what is wrong, if there is more to say */
    /* the caller's, after etf__lex_init */
    bool holes;       /* ~s( is a hole and a bracket; true at first */
    const char *node; /* of <0.1.2>; NULL at first */
    uint32_t creation;
} etf__lex;

void etf__lex_init(etf__lex *x, const char *in, size_t n);
/* Reads the next token. */
void etf__lex_next(etf__lex *x);
/* Is the token this character? */
bool etf__lex_is(const etf__lex *x, char c);

/* Characters of the text of an atom or string: 1, 0 at the end, -1 when
 * malformed. */
typedef struct etf__chars {
    const char *p;
    size_t left;
    size_t indent;
    bool verbatim;
} etf__chars;
etf__chars etf__lex_chars(const etf__lex *x);
int etf__chars_next(etf__chars *s, uint32_t *c);
/* Why they are malformed; NULL when they are not. */
const char *etf__chars_why(etf__chars s);

/* What an atom without quotes begins with, and what it goes on with. */
bool etf__is_lower(uint32_t c);
bool etf__is_name(uint32_t c);

/* The atom token as UTF-8 in room; 0, CN_ESYNTAX or CN_ELIMIT. */
int etf__lex_atom(const etf__lex *x, char room[ETF__ATOM_BYTES], size_t *n);
/* The integer or character token when 64 bits hold it. */
bool etf__lex_u64(const etf__lex *x, uint64_t *magnitude);
/* The float token; false when it is too large, or longer than 1024. */
bool etf__lex_float(const etf__lex *x, double *v);
/* The identifier that begins with this token, which becomes its '>'; 0,
 * CN_ESYNTAX or CN_ELIMIT. kind is what value says. */
typedef struct etf__lex_id {
    char kind;
    union {
        etf_pid pid;
        etf_port port;
        etf_ref ref;
    } u;
} etf__lex_id;
int etf__lex_identifier(etf__lex *x, etf__lex_id *out);
/* fun Module:Function/Arity, from the token fun up to its arity. */
typedef struct etf__lex_export {
    char module[ETF__ATOM_BYTES + 1];
    char function[ETF__ATOM_BYTES + 1];
    size_t module_len;
    size_t function_len;
    uint8_t arity;
} etf__lex_export;
int etf__lex_export_read(etf__lex *x, etf__lex_export *out);

/* The segments of a binary, from the token << up to its >>, or those of a
 * sigil, which is one token (bits.c). Whole bytes go to put one by one; the
 * last, unfinished one with the bits it has. put returns false to end it. 0,
 * CN_ESYNTAX, CN_ELIMIT, or CN_ETYPE when put ended it. */
typedef bool (*etf__put_bits)(void *ctx, uint8_t byte, unsigned bits);
int etf__lex_binary(etf__lex *x, etf__put_bits put, void *ctx);

#endif
