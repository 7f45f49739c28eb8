/* SPDX-License-Identifier: Apache-2.0
 *
 * term.h: what the files of ext_term share (internal).
 */
#ifndef EXT_TERM_TERM_H
#define EXT_TERM_TERM_H

#include "base/bytes.h"
#include "ext_term/ext_term.h"
#include "ext_term/tags.h"

/* --- head.c: one step into the bytes ------------------------------------- */

/* A term without its elements. For a term that has none, it is all of it. */
typedef struct etf__head {
    etf_type type;
    uint8_t tag;
    bool negative;          /* a big integer */
    const uint8_t *at;      /* the tag */
    const uint8_t *body;    /* text, bytes, magnitude; node or module atom */
    const uint8_t *rest;    /* identifiers: behind the node */
    const uint8_t *end;     /* where the elements begin */
    uint32_t n;             /* bytes, elements, pairs, words, arity */
    uint64_t children;      /* the terms that follow and belong to it */
    const etf_atoms *atoms; /* what cache references stand for, or NULL */
    const char *what;       /* after CN_EBADTERM */
} etf__head;

/* Reads and checks the head at the cursor, which moves behind it; 0,
 * CN_ETRUNC or CN_EBADTERM. On an error h->at is where. A list of no elements
 * is its tail, so the head is that of the tail. */
int etf__head_read(cn_cursor *c, etf__head *h);
/* The same where atom cache references may be; atoms NULL: none. The text of
 * such an atom is in the table, not between at and end. */
int etf__head_read_with(cn_cursor *c, etf__head *h, const etf_atoms *atoms);
/* The same for an atom inside another head that was checked. */
void etf__head_atom(const uint8_t *p, const uint8_t *end, etf__head *h);
/* And where that one may have cache references. */
void etf__head_inner(const etf__head *outer, const uint8_t *p, etf__head *h);

enum { ETF__LATIN1_ROOM = 2 * ETF__ATOM_CHARS };
/* The text of an atom in UTF-8; room for what must be converted. */
etf_view etf__head_text(const etf__head *h, uint8_t room[ETF__LATIN1_ROOM]);
/* CN_ERANGE when it does not fit. */
int etf__head_i64(const etf__head *h, int64_t *v);
int etf__head_u64(const etf__head *h, uint64_t *v);
double etf__head_float(const etf__head *h);
/* How many atoms the head holds: itself, or those in it. */
uint64_t etf__head_atoms(const etf__head *h);
/* Sign and magnitude of any integer, least significant byte first; that of a
 * small one goes to room. */
etf_view etf__head_magnitude(const etf__head *h, uint8_t room[8],
                             bool *negative);
/* What tells a closure from others, besides its module and variables. */
typedef struct etf__fun {
    uint8_t arity;
    const uint8_t *uniq; /* 16 bytes */
    uint32_t index;
    int32_t old_index;
    int32_t old_uniq;
    const uint8_t *pid; /* of the creator; a term */
} etf__fun;
void etf__head_fun(const etf__head *h, etf__fun *out);

/* --- skip.c ----------------------------------------------------------------
 */

/* Moves the cursor behind one term and all in it; 0 or the error, with *at the
 * head that is wrong, and the cursor there too. Iterative. atoms may be NULL.
 */
int etf__skip(cn_cursor *c, const etf_atoms *atoms, const uint8_t **at);
/* The first term of the bytes; all of them when it is malformed. */
etf_view etf__first(etf_view in);

/* --- check.c ----------------------------------------------------------------
 */

/* etf_check, but for bytes behind the term; *used is where they begin. */
int etf__check_first(const cn_alloc *alloc, const etf_limits *limits,
                     etf_view in, etf_error *e, size_t *used);
/* The limits with their defaults in place. */
etf_limits etf__limits(const etf_limits *l);
/* What is wrong with no bytes at all. */
#define ETF__NO_BYTES "there are no bytes"
/* Fills *e, which may be NULL; returns code. */
int etf__error(etf_error *e, int code, size_t at, const char *what);
/* What a head's error means. */
const char *etf__head_what(const etf__head *h, int code);

/* --- open.c --------------------------------------------------------------- */

/* zlib's memory from the hook, which is its `opaque`. */
void *etf__zlib_take(void *alloc, unsigned items, unsigned size);
void etf__zlib_give(void *alloc, void *p);

/* --- unique.c --------------------------------------------------------------
 */

/* Are the keys of each map in the term, and the field names of each record,
 * different? 0; CN_EBADTERM with *at the offset of the second of two that are
 * equal, CN_ENOMEM, or what else the term, or a limit of l (NULL: the
 * defaults), gives. Never takes more than n log n steps. */
int etf__unique_keys(const cn_alloc *alloc, const etf_limits *l, etf_view term,
                     size_t *at);

/* --- ids.c ---------------------------------------------------------------- */

/* The numbers of an identifier, whatever its kind. */
typedef struct etf__numbers {
    uint64_t id;
    uint32_t serial;
    uint32_t creation;
    uint32_t words[ETF_REF_WORDS]; /* h->n of them, the rest 0 */
} etf__numbers;
void etf__head_numbers(const etf__head *h, etf__numbers *out);
/* 0, or CN_ELIMIT for a node name that is too long. */
int etf__head_pid(const etf__head *h, etf_pid *out);
int etf__head_port(const etf__head *h, etf_port *out);
int etf__head_ref(const etf__head *h, etf_ref *out);

/* --- writer.c ------------------------------------------------------------- */

/* Room for the next term, which takes n bytes now and has `children` elements
 * that follow; NULL after an error and when only measuring. */
uint8_t *etf__put(etf_writer *w, size_t n, uint64_t children);
/* Room for n more bytes of the term that is being written. */
uint8_t *etf__put_more(etf_writer *w, size_t n);
/* Opens a gap of n bytes at `at`; NULL like etf__put. */
uint8_t *etf__put_gap(etf_writer *w, size_t at, size_t n);
/* Is all that was put there, or is the writer only counting, or dead? */
bool etf__put_stored(const etf_writer *w);
bool etf__put_counts(const etf_writer *w);
/* Counts a term whose bytes follow by etf__put_more. An integer from 0 to 255
 * better goes to etf_put_int: an open list that is a STRING_EXT becomes a
 * LIST_EXT here, and is looked at again when it ends, which a writer that only
 * measures cannot. */
void etf__put_one(etf_writer *w);
/* The error; before, when it was asked for, all maps are sorted. */
int etf__put_verdict(etf_writer *w);
/* Like etf__put_one, and until etf__put_among gets back what etf__put_alone
 * gave no open list counts. */
uint32_t etf__put_alone(etf_writer *w);
void etf__put_among(etf_writer *w, uint32_t open);
/* An atom as the mode of the writer wants it, with its tag; the bytes, or 0
 * when it is none, which is latched. */
enum { ETF__ATOM_ROOM = 3 + ETF__ATOM_BYTES };
size_t etf__atom_bytes(etf_writer *w, const char *text, size_t n,
                       uint8_t out[ETF__ATOM_ROOM]);
void etf__put_export(etf_writer *w, etf_view module, etf_view function,
                     uint32_t arity);

/* --- ids.c, normal.c ----------------------------------------------------- */

/* Is this port a V4_PORT_EXT in the mode of the writer? */
bool etf__wide_port(const etf_writer *w, uint64_t id);
/* The same bytes with the maps sorted, from w->settled to the end. */
void etf__settle(etf_writer *w);

/* --- record.c ------------------------------------------------------------- */

/* The head of a record before its names, which are put one by one: module,
 * name and n fields. */
void etf__put_record(etf_writer *w, bool exported, uint32_t n);
/* An atom that belongs to the term that is being written. */
void etf__put_name(etf_writer *w, etf_view text);
/* What a closure has before its free variables, at most. */
enum { ETF__FUN_ROOM = 64 + 2 * ETF__ATOM_ROOM };

/* --- utf8.c --------------------------------------------------------------- */

/* The character at p; its bytes, or 0 when it is malformed. */
size_t etf__utf8_get(const uint8_t *p, size_t left, uint32_t *c);
/* Up to 4 bytes; 0 for what is no character. */
size_t etf__utf8_put(uint8_t *out, uint32_t c);
/* Characters of a valid text, or SIZE_MAX. */
size_t etf__utf8_count(const uint8_t *p, size_t n);

/* --- float.c -------------------------------------------------------------- */

enum { ETF__FLOAT_ROOM = 40 };
/* sign? digits '.' digits exponent?; false when it is something else or
 * infinite. Needs no NUL. */
bool etf__float_scan(const char *text, size_t n, double *v);
/* The shortest text that reads back as v, as Erlang prints it. */
size_t etf__float_text(double v, char out[ETF__FLOAT_ROOM]);

#endif
