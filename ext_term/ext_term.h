/* SPDX-License-Identifier: Apache-2.0
 *
 * ext_term.h: Erlang's external term format.
 * https://www.erlang.org/doc/apps/erts/erl_ext_dist.html
 *
 * A term is its bytes: nothing is ever built in memory. A reader walks over
 * the bytes and lends views into them; a writer makes them. Both keep their
 * first error, after which every call is harmless, so one check at the end is
 * enough. etf_pack and etf_match do the same from a pattern; etf_parse and
 * etf_print translate between terms and Erlang's text.
 *
 * Threads: no call here has state of its own; one object belongs to one
 * thread at a time.
 *
 * A version byte (131) stands before a term in files, ports and
 * term_to_binary; inside libcnode terms are kept without it.
 */
#ifndef EXT_TERM_EXT_TERM_H
#define EXT_TERM_EXT_TERM_H

#include <stdio.h>
#include <string.h>

#include <base/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- views and identifiers ---------------------------------------------- */

/* Borrowed bytes: one whole term, or the text of an atom, or the bytes of a
 * binary, as the call that returns it says. Valid as long as the bytes that
 * were read. */
typedef struct etf_view {
    const uint8_t *data;
    size_t len;
} etf_view;

#define ETF_NODE_MAX 255 /* bytes of a node name in an identifier */

/* Identifiers own their node name, so they can be kept and copied by
 * assignment. Identity is all of node, creation and numbers. Node names of
 * more than ETF_NODE_MAX bytes, which no live node has, give CN_ELIMIT. One
 * that is made by hand needs both node and node_len, its length without NUL;
 * etf_put_* refuse a node that does not end there. */
typedef struct etf_pid {
    uint32_t id;
    uint32_t serial;
    uint32_t creation;
    uint16_t node_len;
    char node[ETF_NODE_MAX + 1]; /* UTF-8, NUL-terminated */
} etf_pid;

typedef struct etf_port {
    uint64_t id;
    uint32_t creation;
    uint16_t node_len;
    char node[ETF_NODE_MAX + 1];
} etf_port;

#define ETF_REF_WORDS 5

typedef struct etf_ref {
    uint32_t ids[ETF_REF_WORDS]; /* the first is the least significant */
    uint32_t creation;
    uint16_t n; /* words in use, 0 to ETF_REF_WORDS */
    uint16_t node_len;
    char node[ETF_NODE_MAX + 1];
} etf_ref;

CN_API bool etf_pid_eq(const etf_pid *a, const etf_pid *b);
CN_API bool etf_port_eq(const etf_port *a, const etf_port *b);
CN_API bool etf_ref_eq(const etf_ref *a, const etf_ref *b);

/* A closure of compiled code, without its free variables, for the node that has
 * this code: uniq, the two indexes and old_uniq are numbers of its compiler. */
typedef struct etf_fun {
    etf_view module; /* in UTF-8 */
    uint8_t arity;   /* without the free variables */
    uint32_t index;
    const uint8_t *uniq; /* 16 bytes, the MD5 of the module */
    int32_t old_index;   /* these two as older compilers count and hash */
    int32_t old_uniq;
    etf_pid creator;
    uint32_t n; /* free variables */
} etf_fun;

/* A native record (OTP 29), without its values. */
typedef struct etf_record {
    etf_view module; /* in UTF-8 */
    etf_view name;
    bool exported;
    uint32_t n;      /* fields */
    etf_view fields; /* their names: n atoms, as a reader takes them */
} etf_record;

/* A view of bytes of your own; easier in an argument than a compound literal.
 */
static inline etf_view etf_view_of(const void *data, size_t n) {
    etf_view v = {(const uint8_t *)data, n};
    return v;
}
/* Is this view exactly this text? */
CN_API bool etf_view_is(etf_view v, const char *text);
CN_API bool etf_view_eq(etf_view a, etf_view b);

/* --- limits -------------------------------------------------------------- */

/* What a term from elsewhere may take. 0 in a field is the default, and NULL
 * for the whole all defaults. */
typedef struct etf_limits {
    uint32_t depth;     /* nested containers; default 1,000,000 */
    uint64_t terms;     /* all terms in it; default 2^32-1 as the BEAM */
    uint64_t atoms;     /* atoms among them; default as terms */
    uint64_t inflated;  /* bytes after inflation; default 64 MiB */
    uint32_t big_bytes; /* magnitude of an integer; default 524280 */
} etf_limits;

/* --- writer -------------------------------------------------------------- */

/* The fields are private; the struct is here so that it lives on the stack. */
typedef struct etf_writer {
    uint8_t *data;
    size_t len;   /* goes on counting after CN_ELIMIT of a fixed array */
    size_t limit; /* below it there is room, and nothing else to look at */
    size_t cap;
    const cn_alloc *alloc; /* NULL: the caller's array, never grown */
    int err;
    uint32_t mode;           /* ETF_LATIN1_ATOMS, ETF_DETERMINISTIC */
    uint32_t depth;          /* open etf_begin_list */
    uint32_t open_wide;      /* bit of each: has elements that are no bytes */
    size_t open_at[32];      /* where their headers are */
    uint32_t open_n[32];     /* elements so far */
    uint64_t open_left[32];  /* terms the last element still waits for */
    struct etf__piece *refs; /* of etf_put_binary_ref, in order */
    size_t n_refs;
    size_t cap_refs;
    size_t ref_bytes; /* in all of them, not in len */
    size_t settled;   /* up to here maps are sorted */
} etf_writer;

/* A writer that grows; alloc NULL is the default allocator. */
CN_API void etf_writer_init(etf_writer *w, const cn_alloc *alloc);
/* A writer on the caller's array. When it is full, etf_writer_finish says
 * CN_ELIMIT and out->len is the size that was needed; data NULL and cap 0
 * only measures. */
CN_API void etf_writer_init_fixed(etf_writer *w, void *data, size_t cap);
/* How terms are written from here on, 0 after init: what OTP 26 and later
 * write in term_to_binary, and every release to other nodes.
 * ETF_LATIN1_ATOMS: as term_to_binary of OTP 25: atoms whose characters all are
 * latin-1 as ATOM_EXT, also within identifiers, and ports below 2^28 as
 * NEW_PORT_EXT. Terms that are put encoded stay what they are.
 * ETF_DETERMINISTIC: as term_to_binary(Term, [deterministic]): the pairs of
 * maps in the order of their keys, at every level. For this etf_writer_finish
 * and etf_writer_slices rewrite what was put, once, as etf_put_normal does;
 * they give CN_EBADTERM for equal keys and CN_ETRUNC when elements are missing.
 * A writer that only measures cannot see maps: what it says is right unless
 * terms were put encoded that are not as the BEAM writes them. Other flags
 * latch CN_EBADARG. */
#define ETF_LATIN1_ATOMS 1U
#define ETF_DETERMINISTIC 2U
CN_API void etf_writer_mode(etf_writer *w, uint32_t flags);
/* Empties the writer, keeps its memory and mode, forgets its error. */
CN_API void etf_writer_reset(etf_writer *w);
CN_API void etf_writer_free(etf_writer *w);
/* The verdict: 0 or the first error. *out (may be NULL) is lent until the
 * next call on w. CN_EBUG: a list was not ended or ended twice.
 * The counts that etf_put_tuple, etf_put_list, etf_put_map and etf_put_record
 * were given are believed: too few or too many elements, a list without its
 * tail, two terms, or nothing at all are not seen here. etf_check tells. What
 * does count is etf_begin_list, for the term that an element is, and
 * ETF_DETERMINISTIC, which sees that elements are missing. */
CN_API int etf_writer_finish(etf_writer *w, etf_view *out);
/* Bytes of all that was put, those by reference too. */
CN_API size_t etf_writer_size(const etf_writer *w);
/* Latches an error of the caller's own. */
CN_API void etf_writer_fail(etf_writer *w, int code);

CN_API void etf_put_version(etf_writer *w);
CN_API inline void etf_put_int(etf_writer *w, int64_t v);
CN_API void etf_put_uint(etf_writer *w, uint64_t v);
/* A big integer from its magnitude, least significant byte first. */
CN_API void etf_put_big(etf_writer *w, const uint8_t *magnitude, size_t n,
                        bool negative);
/* NaN and infinities latch CN_ERANGE: Erlang has none. */
CN_API inline void etf_put_float(etf_writer *w, double v);
/* UTF-8; CN_EBADARG for bad UTF-8, CN_ELIMIT above 255 characters. */
CN_API inline void etf_put_atom(etf_writer *w, const char *text);
CN_API inline void etf_put_atom_n(etf_writer *w, const char *text, size_t n);
CN_API void etf_put_bool(etf_writer *w, bool v);
CN_API inline void etf_put_binary(etf_writer *w, const void *data, size_t n);
/* A binary with the bytes of a C string. */
CN_API inline void etf_put_binary_str(etf_writer *w, const char *text);
/* The same for a big binary, without a copy: the writer keeps the pointer when
 * n >= ETF_REF_MIN, so data must stay as it is until the term was sent or
 * finished. etf_writer_slices lends the term in pieces. etf_writer_finish
 * always gives a whole term: it copies what is kept only as a pointer. Smaller
 * binaries are copied at once, and so are all in a fixed array. */
#define ETF_REF_MIN 256
CN_API void etf_put_binary_ref(etf_writer *w, const void *data, size_t n);
/* All that was put in pieces, for writev(2): v[0] to v[*n - 1], in order and
 * none empty. 0, with the pieces lent until the next call on w; the first
 * error, or CN_EBUG as etf_writer_finish; or CN_ELIMIT, which is not latched,
 * when nv is less than *n, which is at most twice the binaries plus one. */
CN_API int etf_writer_slices(etf_writer *w, etf_view *v, size_t nv, size_t *n);
/* A bitstring of `bits` bits, most significant bit first. */
CN_API void etf_put_bits(etf_writer *w, const void *data, size_t bits);
/* An Erlang string, a list of small integers: bytes as they are. */
CN_API inline void etf_put_string(etf_writer *w, const char *bytes, size_t n);
/* Headers; the elements follow, and nobody counts whether they do: see
 * etf_writer_finish. A map takes 2n terms, key then value. A list
 * header with n > 0 takes n terms and a tail, usually etf_put_nil; with n == 0
 * it is [] itself, and takes nothing; it stays a LIST_EXT, whatever its
 * elements are. Tuples have less than 2^24 elements: CN_ELIMIT. */
CN_API inline void etf_put_tuple(etf_writer *w, size_t n);
CN_API inline void etf_put_map(etf_writer *w, size_t n);
CN_API inline void etf_put_list(etf_writer *w, size_t n);
CN_API inline void etf_put_nil(etf_writer *w);
/* A list whose length is not known: what is put between the two, nested up to
 * 32 deep. etf_end_list counts the elements and writes the tail. As the BEAM
 * does, it makes a STRING_EXT of 1 to 65535 elements that all are integers from
 * 0 to 255, so that [etf_put_int 1, 2, 3] is the same as etf_put_string. */
CN_API void etf_begin_list(etf_writer *w);
CN_API void etf_end_list(etf_writer *w);
/* CN_EBADARG for a node that is no UTF-8 or whose NUL is not at node_len. */
CN_API void etf_put_pid(etf_writer *w, const etf_pid *pid);
CN_API void etf_put_port(etf_writer *w, const etf_port *port);
CN_API void etf_put_ref(etf_writer *w, const etf_ref *ref);
/* fun Module:Function/Arity; with views for names that are no C strings. */
CN_API void etf_put_export(etf_writer *w, const char *module,
                           const char *function, uint8_t arity);
CN_API void etf_put_export_n(etf_writer *w, etf_view module, etf_view function,
                             uint8_t arity);
/* The head of a native record, which only OTP 29 and later know: then its n
 * values are put, in the order of the fields. Two fields of the same name are
 * CN_EBADARG. Records of older releases are tuples, as ever. */
CN_API void etf_put_record(etf_writer *w, bool exported, const char *module,
                           const char *name, const char *const *fields,
                           size_t n);

/* The same as etf_get_record gave it, or with names that are no C strings. That
 * the fields differ is believed here; CN_EBADARG when they are not n atoms, as
 * indexes of etf_reader_atoms are none. */
CN_API void etf_put_record_n(etf_writer *w, const etf_record *record);
/* A whole closure with fun->n free variables, each an encoded term that is
 * believed as by etf_put_term. At most 255: CN_ELIMIT. */
CN_API void etf_put_fun(etf_writer *w, const etf_fun *fun,
                        const etf_view *free);
/* A term that is already encoded, without version byte; believed, not
 * checked: it comes from a reader, a writer or etf_check. */
CN_API void etf_put_term(etf_writer *w, etf_view term);
/* The same term as the BEAM would write it, by the mode of the writer, whatever
 * its bytes are: old tags become new ones, integers the shortest, lists of
 * bytes STRING_EXT, lists that are tails one list, unused bits 0, the size of
 * closures right. The pairs of a map keep their order, unless ETF_DETERMINISTIC
 * is set. The term is checked first, so it may come from anywhere; limits
 * (NULL: the defaults) are those of etf_check. Memory: 16 bytes for each term
 * in it, from alloc (NULL: the default), when they are more than about 100. 0,
 * or the error of w, which is latched. */
CN_API int etf_put_normal(etf_writer *w, const cn_alloc *alloc,
                          const etf_limits *limits, etf_view term);
/* What term_to_binary(Term, [{compressed, Level}]) makes of an encoded term,
 * which is believed too: the version byte, and the term compressed by zlib, or
 * plain when that is shorter. Level 0 is plain, 1 the fastest, 9 the smallest;
 * Erlang's `compressed` is 6. For files and ports: the version byte stands
 * before a whole term, so within an open list this is CN_EBUG, and between
 * nodes nothing is compressed. Terms above 4 GiB are CN_ELIMIT. */
CN_API void etf_put_compressed(etf_writer *w, etf_view term, int level);

/* --- reader -------------------------------------------------------------- */

typedef enum etf_type {
    ETF_NONE = 0, /* end of the bytes, or malformed */
    ETF_INT,      /* any integer, big ones too */
    ETF_FLOAT,
    ETF_ATOM,
    ETF_BINARY,
    ETF_BITSTRING, /* bits do not fill the last byte */
    ETF_TUPLE,
    ETF_LIST, /* not empty; STRING_EXT too */
    ETF_NIL,
    ETF_MAP,
    ETF_PID,
    ETF_PORT,
    ETF_REF,
    ETF_FUN,    /* a closure */
    ETF_EXPORT, /* fun M:F/A */
    ETF_RECORD, /* native record of OTP 29 */
    ETF_STRING  /* from etf_next only: a list of bytes that is packed */
} etf_type;

typedef struct etf_atoms {
    const etf_view *at;
    size_t n;
} etf_atoms;

/* The fields are private, but for err and err_at. */
typedef struct etf_reader {
    const uint8_t *at; /* the next term */
    /* Before it a term may be read up to ETF__NEXT_ROOM bytes unasked. At the
     * first byte of all, like stop, where terms are not bytes in their usual
     * form: in an opened STRING_EXT and after an error. */
    const uint8_t *quick;
    const uint8_t *stop; /* the end of the bytes, or see quick */
    const uint8_t *data;
    const uint8_t *end;
    etf_atoms atoms;       /* of etf_reader_atoms */
    size_t err_at;         /* byte of the first error */
    int err;               /* 0 or the first error, CN_E* */
    uint32_t str_left;     /* elements left of an opened STRING_EXT */
    bool in_str;           /* inside an opened STRING_EXT */
    uint8_t tiny[8];       /* the magnitude of a small integer */
    uint8_t scratch[1024]; /* latin-1 atoms in UTF-8 */
} etf_reader;

/* A reader at the start of `in`. */
CN_API void etf_reader_init(etf_reader *r, etf_view in);
/* The verdict: 0 or the first error; r->err_at is its byte. Bytes that are
 * left over are no error: see etf_reader_left. */
CN_API int etf_reader_finish(const etf_reader *r);
CN_API size_t etf_reader_left(const etf_reader *r);
/* The byte, from 0, where the next term begins. */
CN_API size_t etf_reader_pos(const etf_reader *r);
/* Latches an error of the caller's own at the current byte. */
CN_API void etf_reader_fail(etf_reader *r, int code);
/* Terms behind a distribution header stand in for their atoms with an index
 * into the header's (ATOM_CACHE_REF). This gives the reader that table, n
 * texts in UTF-8 as etf_get_atom gives them, which must live as long as the
 * reader; without it such an index is CN_EBADTERM. What etf_get_term lends, and
 * the heads in etf_item, still have the indexes in them and only mean something
 * together with the table; etf_expand makes a term that stands for itself. */
CN_API void etf_reader_atoms(etf_reader *r, const etf_view *atoms, size_t n);
/* Writes the one term in `in` with its atoms in place of the indexes; also the
 * sizes in closures are then right. An index of two bytes may stand for an atom
 * of a thousand: a writer that only measures tells before memory is taken. 0 or
 * the error, which w latches too; CN_ELIMIT for more bytes than a size_t, or
 * the size of a closure, can count. */
CN_API int etf_expand(etf_writer *w, const etf_view *atoms, size_t n,
                      etf_view in);

/* Each etf_get_* expects one kind of term and moves behind it. A term of
 * another kind latches CN_ETYPE, a number that does not fit CN_ERANGE,
 * malformed bytes CN_EBADTERM, an early end CN_ETRUNC; the result is then 0
 * or an empty view. */
CN_API etf_type etf_peek(etf_reader *r);
CN_API void etf_get_version(etf_reader *r);
CN_API int64_t etf_get_int(etf_reader *r);
CN_API uint64_t etf_get_uint(etf_reader *r);
/* Any integer as sign and magnitude, least significant byte first, no leading
 * zeros. For small ones the bytes are in the reader, until the next get. */
CN_API etf_view etf_get_big(etf_reader *r, bool *negative);
/* Floats, and integers that a double holds exactly. */
CN_API double etf_get_float(etf_reader *r);
/* The text in UTF-8. Points into the input, except for latin-1 atoms with
 * characters above 127: those are in the reader until the next such atom. */
CN_API etf_view etf_get_atom(etf_reader *r);
/* The atoms true and false. */
CN_API bool etf_get_bool(etf_reader *r);
CN_API etf_view etf_get_binary(etf_reader *r);
/* Binary or bitstring; *bits is the size in bits. */
CN_API etf_view etf_get_bits(etf_reader *r, size_t *bits);
/* A list of bytes (STRING_EXT, or [] or LIST_EXT of 0..255) or a binary,
 * copied to out with a NUL behind it; returns the length. CN_ELIMIT when it
 * does not fit into cap. */
CN_API size_t etf_get_string(etf_reader *r, char *out, size_t cap);
CN_API uint32_t etf_get_tuple(etf_reader *r);
CN_API void etf_get_tuple_n(etf_reader *r, uint32_t n);
/* Pairs; 2n terms follow. */
CN_API uint32_t etf_get_map(etf_reader *r);
/* Opens a list and returns its elements, 0 for []. Get the elements, then
 * etf_get_tail, which also must be called for an empty list. STRING_EXT feeds
 * its bytes as integers. */
CN_API uint32_t etf_get_list(etf_reader *r);
/* Expects the end of a proper list. */
CN_API void etf_get_tail(etf_reader *r);
CN_API void etf_get_nil(etf_reader *r);
CN_API void etf_get_pid(etf_reader *r, etf_pid *out);
CN_API void etf_get_port(etf_reader *r, etf_port *out);
CN_API void etf_get_ref(etf_reader *r, etf_ref *out);
/* fun Module:Function/Arity */
CN_API void etf_get_export(etf_reader *r, etf_view *module, etf_view *function,
                           uint8_t *arity);
/* out->module may be in the reader, until the next get. The out->n free
 * variables are the next terms. */
CN_API void etf_get_fun(etf_reader *r, etf_fun *out);
/* The names of record and module may be in the reader, until the next get. The
 * out->n values are the next terms, in the order of the fields. */
CN_API void etf_get_record(etf_reader *r, etf_record *out);
/* The next term as it is, well-formed to its end. Inside an opened STRING_EXT,
 * whose elements are no terms in the input, the view is of a constant. */
CN_API etf_view etf_get_term(etf_reader *r);
/* Moves behind the next term. Iterative: depth costs no stack. */
CN_API void etf_skip(etf_reader *r);

/* What etf_next tells of a term. */
typedef struct etf_item {
    etf_type type;
    bool wide;         /* an integer that an int64_t does not hold */
    bool negative;     /* the sign of a wide one */
    uint32_t n;        /* elements, pairs, fields, free variables, arity */
    uint64_t children; /* the terms that follow and belong to it */
    int64_t i;         /* an integer that is not wide */
    double f;          /* a float */
    etf_view bytes;    /* see etf_next */
} etf_item;

/* The fast way through terms of any kind: reads the next one, whatever it is,
 * moves behind it or, when it has elements, to the first, and returns its
 * type; ETF_NONE at the end and after an error. Only these fields are set,
 * besides type and children:
 *   ETF_INT        wide; i, or else negative and the magnitude in bytes, least
 *                  significant byte first
 *   ETF_FLOAT      f
 *   ETF_ATOM       bytes: the text, as etf_get_atom gives it
 *   ETF_BINARY     bytes
 *   ETF_BITSTRING  bytes; n: the bits used in the last one, 1 to 7
 *   ETF_STRING     bytes: a whole list, of a small integer for each byte
 *   ETF_TUPLE      n elements follow
 *   ETF_LIST       n elements follow, and then the tail, mostly ETF_NIL
 *   ETF_MAP        n pairs follow, 2n terms
 *   ETF_RECORD     n; bytes: the whole head; the values follow
 *   ETF_FUN        n; bytes: the whole head; the free variables follow
 *   ETF_EXPORT, ETF_PID, ETF_PORT, ETF_REF
 *                  bytes: the whole term, for a reader of its own
 * Compilers may warn of fields that no call has set: begin with {0}. So a walk
 * over a whole term is
 *   etf_item it = {0};
 *   for (uint64_t left = 1; left > 0 && etf_next(&r, &it) != ETF_NONE;)
 *       left += it.children - 1;
 * Elements of a STRING_EXT that etf_get_list opened come as ETF_INT. */
__attribute__((always_inline)) static inline etf_type etf_next(etf_reader *r,
                                                               etf_item *it);

/* The same over many terms, twice as fast: the place of the reader is in a
 * variable of its own, which a compiler keeps in a register where the reader
 * itself has to be in memory. From etf_walk_begin to etf_walk_end, which brings
 * the reader to where the walk is, only etf_walk_next may be called for it; its
 * errors are the reader's. */
typedef struct etf_walk { /* private */
    const uint8_t *at;
    const uint8_t *quick;
    const uint8_t *end;
    etf_reader *reader;
} etf_walk;
__attribute__((always_inline)) static inline etf_walk
etf_walk_begin(etf_reader *r);
__attribute__((always_inline)) static inline etf_type
etf_walk_next(etf_walk *w, etf_item *it);
__attribute__((always_inline)) static inline void
etf_walk_end(const etf_walk *w);

/* The type of the term in the view. */
CN_API etf_type etf_type_of(etf_view term);

/* Nth element (from 0) of a tuple; CN_ETYPE, CN_ERANGE. */
CN_API int etf_element(etf_view tuple, uint32_t n, etf_view *out);
/* The value under an atom key; CN_ENOENT when it is not there. */
CN_API int etf_map_get(etf_view map, const char *atom_key, etf_view *out);
/* The value under a key that is equal (=:=), whatever its encoding; one pair
 * after the other, etf_index is for more. Errors as of etf_map_get, and those
 * of etf_compare_exact, which also takes memory of the default allocator for
 * some keys. */
CN_API int etf_map_find(etf_view map, etf_view key, etf_view *out);

/* A copy of the bytes of a view, to keep; freed with etf_copy_free. */
CN_API int etf_copy(const cn_alloc *alloc, etf_view v, etf_view *out);
CN_API void etf_copy_free(const cn_alloc *alloc, etf_view v);

/* The rest of etf_next: the same for any term, as a function; for bindings. */
CN_API etf_type etf__next(etf_reader *r, etf_item *it);

/* Private: etf_next for the usual terms, in the caller's loop. Everything else
 * is left to etf__next, and so is what is malformed. */
enum { ETF__NEXT_ROOM = 11 };

enum etf__way {
    ETF__WAY_OTHER,
    ETF__WAY_SMALL_INTEGER,
    ETF__WAY_INTEGER,
    ETF__WAY_FLOAT,
    ETF__WAY_ATOM,
    ETF__WAY_BINARY,
    ETF__WAY_STRING,
    ETF__WAY_NIL,
    ETF__WAY_TUPLE,
    ETF__WAY_LIST,
    ETF__WAY_MAP,
    ETF__WAY_BIG
};
/* By tag. */
CN_API extern const uint8_t etf__ways[256];

static inline uint32_t etf__next32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

/* The same, sooner for a length below 256, as most are. */
static inline size_t etf__next_count(const uint8_t *p) {
    return (p[0] | p[1] | p[2]) == 0 ? p[3] : etf__next32(p);
}

/* p + n where n was just loaded and the next term waits for it: what else is
 * added to p is added before. */
static inline const uint8_t *etf__next_late(const uint8_t *p, size_t n) {
    __asm__("" : "+r"(p));
    return p + n;
}

/* Up to 16 bytes of ASCII? The second eight overlap the first. */
static inline bool etf__next_ascii(const uint8_t *p, size_t n, size_t left) {
    uint64_t first, last = 0, mask = 0x8080808080808080;

    memcpy(&first, p, sizeof first);
    if (n >= 8) {
        if (n > 16 || n > left)
            return false;
        memcpy(&last, p + n - 8, sizeof last);
    } else {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        mask &= ((uint64_t)1 << 8 * n) - 1;
#else
        mask &= ~(~(uint64_t)0 >> 8 * n);
#endif
    }
    return ((first | last) & mask) == 0;
}

/* | n 1 | sign 1 | n bytes of magnitude |, the least significant first; false
 * for what is not usual: leading zeros, 64 bits. */
static inline bool etf__next_big(const uint8_t *p, size_t left, etf_item *it) {
    size_t n = p[0];
    uint64_t v;

    if (n > left)
        return false;
    if (n > 8) {
        it->wide = true;
        it->negative = p[1] != 0;
        it->bytes.data = p + 2;
        it->bytes.len = n;
        return p[1 + n] != 0;
    }
    memcpy(&v, p + 2, sizeof v);
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    v &= n > 0 ? ~(uint64_t)0 >> (64 - 8 * n) : 0;
    if (v > INT64_MAX)
        return false;
    it->wide = false;
    it->i = p[1] != 0 ? -(int64_t)v : (int64_t)v;
    return true;
}

/* NOLINTNEXTLINE(readability-function-size): one flat switch, in place */
static inline etf_type etf_walk_next(etf_walk *w, etf_item *it) {
    const uint8_t *p = w->at;
    etf_item other;
    uint64_t bits;
    size_t n;

    if (p >= w->quick)
        goto other;
    it->children = 0;
    switch ((enum etf__way)etf__ways[*p]) {
    case ETF__WAY_SMALL_INTEGER:
        w->at = p + 2;
        it->i = p[1];
        it->wide = false;
        return it->type = ETF_INT;
    case ETF__WAY_INTEGER:
        w->at = p + 5;
        it->i = (int32_t)etf__next32(p + 1);
        it->wide = false;
        return it->type = ETF_INT;
    case ETF__WAY_BIG:
        if (!etf__next_big(p + 1, (size_t)(w->end - p) - 3, it))
            goto other;
        w->at = etf__next_late(p + 3, p[1]);
        return it->type = ETF_INT;
    case ETF__WAY_FLOAT:
        bits = (uint64_t)etf__next32(p + 1) << 32 | etf__next32(p + 5);
        if ((bits >> 52 & 0x7ff) == 0x7ff) /* infinite or no number */
            goto other;
        w->at = p + 9;
        memcpy(&it->f, &bits, sizeof it->f);
        return it->type = ETF_FLOAT;
    case ETF__WAY_ATOM:
        n = p[1];
        if (!etf__next_ascii(p + 2, n, (size_t)(w->end - p) - 2))
            goto other;
        w->at = etf__next_late(p + 2, n);
        it->bytes.data = p + 2;
        it->bytes.len = n;
        return it->type = ETF_ATOM;
    case ETF__WAY_BINARY:
        n = etf__next_count(p + 1);
        if (n > (size_t)(w->end - p) - 5)
            goto other;
        w->at = etf__next_late(p + 5, n);
        it->bytes.data = p + 5;
        it->bytes.len = n;
        return it->type = ETF_BINARY;
    case ETF__WAY_STRING:
        n = (size_t)p[1] << 8 | p[2];
        if (n == 0 || n > (size_t)(w->end - p) - 3)
            goto other;
        w->at = etf__next_late(p + 3, n);
        it->bytes.data = p + 3;
        it->bytes.len = n;
        return it->type = ETF_STRING;
    case ETF__WAY_NIL:
        w->at = p + 1;
        return it->type = ETF_NIL;
    case ETF__WAY_TUPLE:
        n = p[1];
        if (n > (size_t)(w->end - p) - 2)
            goto other;
        w->at = p + 2;
        it->n = (uint32_t)n;
        it->children = n;
        return it->type = ETF_TUPLE;
    case ETF__WAY_LIST:
        n = etf__next32(p + 1);
        if (n == 0 || n >= (size_t)(w->end - p) - 5)
            goto other;
        w->at = p + 5;
        it->n = (uint32_t)n;
        it->children = (uint64_t)n + 1;
        return it->type = ETF_LIST;
    case ETF__WAY_MAP:
        n = etf__next32(p + 1);
        if (n > INT32_MAX || n > ((size_t)(w->end - p) - 5) / 2)
            goto other;
        w->at = p + 5;
        it->n = (uint32_t)n;
        it->children = (uint64_t)n * 2;
        return it->type = ETF_MAP;
    case ETF__WAY_OTHER:
        goto other;
    }
    __builtin_unreachable();
other: /* into a local, so that *it can live in registers, as *w does */
    w->reader->at = w->at;
    (void)etf__next(w->reader, &other);
    w->at = w->reader->at;
    w->quick = w->reader->quick;
    *it = other;
    return other.type;
}

static inline etf_walk etf_walk_begin(etf_reader *r) {
    etf_walk w = {r->at, r->quick, r->end, r};

    return w;
}

static inline void etf_walk_end(const etf_walk *w) {
    w->reader->at = w->at;
}

static inline etf_type etf_next(etf_reader *r, etf_item *it) {
    etf_walk w = etf_walk_begin(r);
    etf_type type = etf_walk_next(&w, it);

    etf_walk_end(&w);
    return type;
}

/* --- the usual way of writing --------------------------------------------
 *
 * Private: the smallest terms are written in place, in the caller's loop, when
 * there is room and nothing else to look at, which one comparison tells: a
 * function call took longer than the rest. The functions are in the library
 * too, for callers that do not inline them, and for bindings.
 */

/* What is not as usual: errors, growing, open lists, big integers. */
CN_API void etf__other_int(etf_writer *w, int64_t v);
CN_API void etf__other_float(etf_writer *w, double v);
CN_API void etf__other_tuple(etf_writer *w, size_t n);
CN_API void etf__other_map(etf_writer *w, size_t n);
CN_API void etf__other_list(etf_writer *w, size_t n);
CN_API void etf__other_atom(etf_writer *w, const char *text, size_t n);
CN_API void etf__other_binary(etf_writer *w, const void *data, size_t n);
CN_API void etf__other_string(etf_writer *w, const char *bytes, size_t n);

/* | tag | v 1 |; false: it is not as usual. */
CN_API inline bool etf__put_two(etf_writer *w, uint8_t tag, uint8_t v) {
    uint8_t *p;

    if (w->len >= w->limit)
        return false;
    p = w->data + w->len;
    w->len += 2;
    p[0] = tag;
    p[1] = v;
    return true;
}

/* | tag | v 4 | */
CN_API inline bool etf__put_five(etf_writer *w, uint8_t tag, uint32_t v) {
    uint8_t *p;

    if (w->len >= w->limit)
        return false;
    p = w->data + w->len;
    w->len += 5;
    p[0] = tag;
    p[1] = (uint8_t)(v >> 24);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 8);
    p[4] = (uint8_t)v;
    return true;
}

inline void etf_put_int(etf_writer *w, int64_t v) {
    bool small = (uint64_t)v <= UINT8_MAX;

    if (small ? !etf__put_two(w, 97, (uint8_t)v)
              : v != (int32_t)v || !etf__put_five(w, 98, (uint32_t)v))
        etf__other_int(w, v);
}

inline void etf_put_float(etf_writer *w, double v) {
    uint64_t bits;
    uint8_t *p;

    memcpy(&bits, &v, sizeof bits);
    if (w->len >= w->limit || (bits >> 52 & 0x7ff) == 0x7ff) {
        etf__other_float(w, v);
        return;
    }
    p = w->data + w->len;
    w->len += 9;
    p[0] = 70;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    bits = __builtin_bswap64(bits);
#endif
    memcpy(p + 1, &bits, sizeof bits);
}

inline void etf_put_tuple(etf_writer *w, size_t n) {
    if (n > UINT8_MAX || !etf__put_two(w, 104, (uint8_t)n))
        etf__other_tuple(w, n);
}

inline void etf_put_map(etf_writer *w, size_t n) {
    if (n > INT32_MAX || !etf__put_five(w, 116, (uint32_t)n))
        etf__other_map(w, n);
}

inline void etf_put_list(etf_writer *w, size_t n) {
    if (n - 1 >= UINT32_MAX || !etf__put_five(w, 108, (uint32_t)n))
        etf__other_list(w, n);
}

/* Where the bytes of a short text go, behind a head of `head` bytes; NULL: it
 * is not as usual. */
CN_API inline uint8_t *etf__put_short(etf_writer *w, size_t head,
                                      const void *text, size_t n) {
    uint8_t *p;

    if (n - 4 > 12 || w->len + 16 >= w->limit || text == NULL)
        return NULL;
    p = w->data + w->len + head;
    w->len += head + n;
    return p;
}

/* Copies 4 to 16 bytes as two words, of which the second ends with them and may
 * overlap the first; their bits together. */
CN_API inline uint64_t etf__copy_short(uint8_t *to, const void *text,
                                       size_t n) {
    const uint8_t *from = (const uint8_t *)text;
    uint64_t first, last;
    uint32_t head, tail;

    if (n >= 8) {
        /* cppcheck-suppress nullPointer ; etf__put_short saw to it */
        memcpy(&first, from, 8);
        memcpy(&last, from + (n - 8), 8);
        memcpy(to, &first, 8);
        memcpy(to + (n - 8), &last, 8);
        return first | last;
    }
    /* cppcheck-suppress nullPointer */
    memcpy(&head, from, 4);
    /* cppcheck-suppress [nullPointerArithmetic, pointerOutOfBoundsCond] */
    memcpy(&tail, from + (n - 4), 4);
    memcpy(to, &head, 4);
    memcpy(to + (n - 4), &tail, 4);
    return head | tail;
}

inline void etf_put_atom_n(etf_writer *w, const char *text, size_t n) {
    size_t len = w->len;
    uint8_t *p = etf__put_short(w, 2, text, n);

    if (p != NULL && (w->mode & ETF_LATIN1_ATOMS) == 0 &&
        (etf__copy_short(p, text, n) & 0x8080808080808080U) == 0) {
        p[-2] = 119;
        p[-1] = (uint8_t)n;
        return;
    }
    w->len = len;
    etf__other_atom(w, text, n);
}

inline void etf_put_atom(etf_writer *w, const char *text) {
    etf_put_atom_n(w, text, text != NULL ? strlen(text) : 1);
}

inline void etf_put_binary(etf_writer *w, const void *data, size_t n) {
    uint8_t *p = etf__put_short(w, 5, data, n);

    if (p == NULL) {
        etf__other_binary(w, data, n);
        return;
    }
    (void)etf__copy_short(p, data, n);
    p[-5] = 109;
    p[-4] = p[-3] = p[-2] = 0;
    p[-1] = (uint8_t)n;
}

inline void etf_put_binary_str(etf_writer *w, const char *text) {
    etf_put_binary(w, text, text != NULL ? strlen(text) : 1);
}

inline void etf_put_string(etf_writer *w, const char *bytes, size_t n) {
    uint8_t *p = etf__put_short(w, 3, bytes, n);

    if (p == NULL) {
        etf__other_string(w, bytes, n);
        return;
    }
    (void)etf__copy_short(p, bytes, n);
    p[-3] = 107;
    p[-2] = 0;
    p[-1] = (uint8_t)n;
}

inline void etf_put_nil(etf_writer *w) {
    if (w->len < w->limit)
        w->data[w->len++] = 106;
    else
        etf__other_list(w, 0);
}

/* --- hash ---------------------------------------------------------------- */

#define ETF_PHASH2_RANGE (1U << 27)        /* of erlang:phash2/1 */
#define ETF_PHASH2_ALL ((uint64_t)1 << 32) /* the widest range */

/* erlang:phash2(Term, Range), so that a C program finds the shard that Erlang
 * would; the same in every release since R14. Memory (alloc NULL is the
 * default) is only taken for terms nested deeper than 16.
 * https://www.erlang.org/doc/apps/erts/erlang.html#phash2/2
 * 0; CN_EBADARG for a range of 0 or above ETF_PHASH2_ALL, CN_ENOMEM, CN_ENOTSUP
 * for a native record, whose hash in OTP 29 depends on the order in which the
 * node came to know the names of the fields; or the error of the term. */
CN_API int etf_phash2(const cn_alloc *alloc, etf_view term, uint64_t range,
                      uint32_t *hash);

/* --- check, scan, envelope ----------------------------------------------- */

/* Where and why bytes are no term. */
typedef struct etf_error {
    int code;         /* 0 or CN_E* */
    size_t at;        /* the byte, from 0; 0 when code is 0 */
    const char *what; /* constant English text, such as "atom that is not
                         UTF-8", or "" */
    bool inflated;    /* at counts in what etf_open inflated */
} etf_error;

/* Is `in` exactly one term, without version byte, that the BEAM would take?
 * Every byte is looked at, also that the keys of a map, and the fields of a
 * record, differ. What passes can be given to all other calls; what comes from
 * elsewhere should pass first, unless a reader goes through all of it.
 * 0, and what *e (may be NULL) then says, too:
 *   CN_ETRUNC    it ends too early
 *   CN_EBADTERM  malformed, or more bytes than a term
 *   CN_ELIMIT    over a limit. A packed list of small integers counts as one
 *                term, and the atoms in identifiers, funs and records count.
 *   CN_ENOMEM    memory (alloc NULL is the default) is taken for maps and
 *                records of more than one pair or field, and for terms of more
 *                than twice limits->depth bytes that nest deeper than 64 */
CN_API int etf_check(const cn_alloc *alloc, const etf_limits *limits,
                     etf_view in, etf_error *e);

/* Where a term ends that comes in parts. The fields are private but for error.
 */
typedef struct etf_scanner {
    etf_error error; /* after an error other than CN_ETRUNC */
    etf_limits most;
    size_t at;      /* of the next head */
    uint64_t left;  /* terms still to come */
    uint64_t names; /* atoms of a record that come before its terms */
    uint64_t terms; /* that were met */
    int state;
    const cn_alloc *alloc;
    void *stream;
} etf_scanner;

/* version: the term has its version byte in front and may be compressed. */
CN_API void etf_scanner_init(etf_scanner *s, const cn_alloc *alloc,
                             const etf_limits *limits, bool version);
CN_API void etf_scanner_free(etf_scanner *s);
/* data: all n bytes from the first one of the term on, each time; it may have
 * moved. What was scanned before is not looked at again, so a term costs as
 * much in any parts as in one.
 *
 *   0            the term is complete, and *need its whole length, from data
 *                on; there may be more bytes behind it
 *   CN_ETRUNC    so far it is good; call again with at least *need more bytes,
 *                that is with n + *need or more in all
 *   CN_EBADTERM  malformed, as etf_check would find it, but for equal keys and
 *                fields; CN_ELIMIT: over limits->terms, big_bytes, inflated.
 *                s->error is set, and every later call gives the same
 *   CN_ENOMEM    see below; CN_EBADARG: fewer bytes than before
 *
 * After other errors *need is 0. need may be NULL. For the next term the
 * scanner is initialized again. No memory is taken, but for a compressed term.
 * Its bytes do not tell where it ends, so it is inflated as it comes, and the
 * output thrown away: that takes the 40 KiB or so that zlib needs, from alloc
 * (NULL is the default), until the end or etf_scanner_free, and as long as
 * inflating takes. What is inside is not looked at, and the inflated size is;
 * etf_open does the rest. */
CN_API int etf_scan(etf_scanner *s, const void *data, size_t n, size_t *need);

/* A term as it is in files, ports and what term_to_binary makes. */
typedef struct etf_opened {
    etf_view term; /* without version byte; in the input, or in `owned` */
    size_t used;   /* bytes of the input that it takes */
    const cn_alloc *alloc; /* the rest is private */
    void *owned;
    size_t owned_size;
} etf_opened;

/* Takes off the version byte (131) and, where the term is compressed, inflates
 * it, into memory of alloc (NULL is the default), as zlib's own then is too.
 * The term has been checked as by etf_check. Bytes behind it are left alone, as
 * binary_to_term does: o->used says where they begin.
 * 0 or the error, and what *e (may be NULL) then says: those of etf_check, and
 * CN_ELIMIT, before anything is taken, when a term says it is larger inflated
 * than limits->inflated; a size that so few bytes cannot reach is CN_ETRUNC.
 * Errors of the stream are at its beginning, byte 6. After an error o->term is
 * empty and etf_close does nothing. */
CN_API int etf_open(etf_opened *o, const cn_alloc *alloc,
                    const etf_limits *limits, etf_view in, etf_error *e);
/* Gives back what etf_open took; the views into it end. */
CN_API void etf_close(etf_opened *o);

/* --- index ---------------------------------------------------------------- */

/* For terms that are read more than once, or not in their order: an array of
 * 16 bytes for each term inside, made in one pass, through which elements are
 * found at once and the keys of a map in a few steps.
 *
 *     etf_index x;
 *     int64_t port;
 *     if (etf_index_make(&x, NULL, NULL, term) == 0 &&
 *         etf_index_i64(&x, etf_index_get_atom(&x, etf_index_root(&x), "port"),
 *                       &port) == 0)
 *         listen_on(port);
 *     etf_index_free(&x);
 *
 * The index borrows the bytes of the term, and views that come out of it are
 * of these bytes; both live as long as they do. Once made it does not change,
 * and any number of threads may read it.
 *
 * The term is checked as by etf_check, except for the errors of limits that
 * are named below. A list is one list however its bytes nest. */

/* One term; its fields are private. Belongs to its index and lives as long. A
 * call that takes a node also takes NULL, which is no term, so that calls can
 * be nested and only the last one be checked. */
typedef struct etf_node {
    uint32_t at, end, first, n;
} etf_node;

/* The fields are private, but for err_at. */
typedef struct etf_index {
    size_t err_at; /* after an error: its byte */
    const uint8_t *data;
    size_t used;
    etf_node *nodes;
    uint32_t n;
    bool sorted; /* the pairs of maps are; else there are hash tables */
    const cn_alloc *alloc;
    void *owned;
    size_t owned_size;
} etf_index;

/* An index in the caller's memory, which may be reused when the index is not
 * needed any more; there is nothing to free. 0, with *need the bytes of it that
 * are in use, or
 *   CN_ELIMIT   with *need > 0: cap is too small; call again with *need bytes,
 *               until it fits, which takes one call more or, for lists that
 *               were written cell by cell, two. *need is at most 16 times
 *               the length of the term, for such lists 32 times, and mostly 2
 *               to 8 times. With *need 0: over a limit; also a term of 4 GiB,
 *               or a map of more than 2^30 pairs.
 *   CN_EBADTERM, CN_ETRUNC   as etf_check, equal keys or fields too
 *   CN_ENOMEM   alloc (NULL is the default) gave nothing. It is asked only for
 *               records of more than 8 fields, and for maps whose keys are
 *               deeply nested or were chosen to be slow; what it gives is given
 *               back before the call returns.
 * mem may be NULL with cap 0, to ask for the size. need may be NULL. */
CN_API int etf_index_build(etf_index *x, const cn_alloc *alloc,
                           const etf_limits *limits, etf_view term, void *mem,
                           size_t cap, size_t *need);
/* An index in memory of its own, from alloc. 0 or the error of
 * etf_index_build; etf_index_free is harmless after an error. */
CN_API int etf_index_make(etf_index *x, const cn_alloc *alloc,
                          const etf_limits *limits, etf_view term);
CN_API void etf_index_free(etf_index *x);

/* The whole term. */
CN_API const etf_node *etf_index_root(const etf_index *x);
/* ETF_NONE for NULL. */
CN_API etf_type etf_index_type(const etf_index *x, const etf_node *node);
/* Elements of a tuple or list (without its tail), pairs of a map, values of a
 * record, free variables of a fun, bytes of a binary or bitstring or of the
 * text of an atom; else 0. */
CN_API uint32_t etf_index_size(const etf_index *x, const etf_node *node);
/* The bytes of the term, for a reader, etf_compare or etf_put_term. For an
 * element of a list of small integers they are of a constant. */
CN_API etf_view etf_index_view(const etf_index *x, const etf_node *node);

/* Element i, from 0, of a tuple or a list, value of a record, free variable of
 * a fun; NULL beyond the last one and for other types. At once. */
CN_API const etf_node *etf_index_nth(const etf_index *x, const etf_node *node,
                                     uint32_t i);
/* What is behind the last element of a list, mostly []; NULL for others. */
CN_API const etf_node *etf_index_tail(const etf_index *x, const etf_node *list);
/* Pair i, from 0, of a map, in any order; NULL beyond the last. */
CN_API const etf_node *etf_index_key(const etf_index *x, const etf_node *map,
                                     uint32_t i);
CN_API const etf_node *etf_index_value(const etf_index *x, const etf_node *map,
                                       uint32_t i);
/* The value under a key that is equal (=:=), whatever its encoding; in at most
 * 256 steps, mostly two, and in 8 or fewer for small maps. *out is NULL unless
 * the result is 0. CN_ENOENT when it is not there, and for NULL as the map,
 * CN_ETYPE for what is no map, the error of a key that is no term; CN_ENOMEM,
 * which only keys that are deeply nested or have maps in them can give. */
CN_API int etf_index_get(const etf_index *x, const etf_node *map, etf_view key,
                         const etf_node **out);
/* The value under an atom, in UTF-8; NULL when there is none. */
CN_API const etf_node *etf_index_get_atom(const etf_index *x,
                                          const etf_node *map, const char *key);

/* The value of a term: 0; CN_ENOENT for NULL, CN_ETYPE for another type,
 * CN_ERANGE for what does not fit. Floats also take integers that a double
 * holds exactly. */
CN_API int etf_index_i64(const etf_index *x, const etf_node *node, int64_t *v);
CN_API int etf_index_u64(const etf_index *x, const etf_node *node, uint64_t *v);
CN_API int etf_index_f64(const etf_index *x, const etf_node *node, double *v);
/* The text of an atom in UTF-8, the bytes of a binary or of a list that was
 * written as STRING_EXT, or none for []. CN_ENOTSUP for atoms in latin-1 with
 * characters above 127: take those from a reader of etf_index_view. */
CN_API int etf_index_bytes(const etf_index *x, const etf_node *node,
                           etf_view *out);

/* --- order ---------------------------------------------------------------- */

/* Erlang's order of terms, from their bytes: *order is less than, equal to or
 * greater than 0 as a is less than, equal to or greater than b.
 * https://www.erlang.org/doc/system/expressions.html#term-comparisons
 *
 * etf_compare is that of `==` and `<`, where 1 equals 1.0; integers and floats
 * of any size compare by their exact value. etf_compare_exact is that of the
 * keys of maps and of lists:sort in a set of them: 0 means `=:=`, integers are
 * less than floats, and -0.0 is less than 0.0, as since OTP 27. Identifiers,
 * funs, records: as the BEAM does it; where releases differ, as the later one.
 *
 * How a term was encoded does not matter. Behind the first difference nothing
 * is looked at, and bytes that are the same are equal, so check terms first
 * that may be malformed. 0; CN_ENOMEM; the error of a malformed term; CN_ELIMIT
 * for maps of 4 GiB. Memory (alloc NULL is the default) is only taken for terms
 * nested deeper than 12, and for maps that differ or have their pairs in
 * another order. */
CN_API int etf_compare(const cn_alloc *alloc, etf_view a, etf_view b,
                       int *order);
CN_API int etf_compare_exact(const cn_alloc *alloc, etf_view a, etf_view b,
                             int *order);

/* --- pack and match ------------------------------------------------------ */

/* The elements of a list, or what is left of them, as etf_match gives them;
 * borrowed like a view. */
typedef struct etf_list {
    size_t n; /* that are left; the rest is private */
    const uint8_t *at;
    size_t size;
    uint32_t here;
    bool bytes;
} etf_list;

/* Takes the next element; false when none is left. The view of an element of a
 * STRING_EXT, which is no term in the bytes, is of a constant. */
CN_API bool etf_list_next(etf_list *list, etf_view *element);

/* etf_pack(w, "{reply, ~i, ~t}", n, term) writes the term of the pattern;
 * etf_match(term, "{reply, ~i, ~t}", &n, &view) takes it apart.
 *
 * A pattern is Erlang's text of a term with holes:
 *        pack takes                          match gives
 *   ~a   char const* or etf_view, an atom    etf_view
 *   ~s   char const* or etf_view,            etf_view (binaries and STRING_EXT,
 *        a string (list of bytes)             which are bytes in place)
 *   ~b   char const* or etf_view, a binary   etf_view
 *   ~i   any integer type                    any integer type that it fits
 *   ~f   double                              double
 *   ~p   etf_pid const*                      etf_pid
 *   ~r   etf_ref const*                      etf_ref
 *   ~o   etf_port const*                     etf_port
 *   ~t   etf_view, an encoded term           etf_view
 *   ~l   etf_list const*, a list             etf_list, of a proper list
 *   _    -                                   anything, not given
 *   Name -                                   anything, but the same (=:=)
 *                                             wherever Name stands
 *
 * Match takes pointers to the outputs, pack takes values. Literals match when
 * they are equal (1 matches 1, not 1.0), whatever tag they came with. The type
 * of each argument is checked: a mismatch, or one too many or too few, is
 * CN_EBADARG, never undefined behaviour. A bad pattern is CN_ESYNTAX, and so is
 * a native record in a match, though a pack takes it; a term
 * that does not match CN_ETYPE, a malformed one CN_EBADTERM or CN_ETRUNC, a
 * pattern nested deeper than ETF_TEXT_DEPTH in a pack and 32 in a match
 * CN_ELIMIT.
 * Outputs of a failed match are unspecified. A match is of the first term in
 * the view; bytes behind it are ignored, etf_check finds them. At most
 * ETF_ARGS_MAX arguments.
 *
 * Lists: [A, B] and [A | Tail]. In a pack a list as the tail joins. In a match
 * [A | _] takes any rest and [A | ~l] one that is a proper list, but [A | ~t]
 * and [A | Name] only what is behind the last element, such as []: the rest of
 * a list is no term in the bytes, so there is nothing to view.
 * Maps: #{k := ~i} in a match, where => does as well, and #{k => ~i} in a pack.
 * A match takes maps with more keys too. A key has no holes, but names that
 * have stood before; with _ in it, it is the first in the bytes that fits.
 * A pattern has at most 8 names, and etf_match takes memory (of the default
 * allocator) only where a name stands twice for a map. ~a matches atoms that
 * are latin-1 with characters above 127, which only old files have, with
 * CN_ENOTSUP; take those with ~t. etf_pack adds one term to what w holds, also
 * between other etf_put_*, and returns the error of w, which it latches.
 *
 * These two are macros. An argument with a comma outside of parentheses, such
 * as a compound literal, needs parentheses of its own, or etf_view_of:
 *     etf_pack(w, "~b", ((etf_view){data, n}));
 *     etf_pack(w, "~b", etf_view_of(data, n));
 * They are the same in C++, from C++11 on; before, and in bindings,
 * etf_pack_args and etf_match_args take the arguments as arrays. */
#define ETF_ARGS_MAX 16

typedef enum etf_arg_type {
    ETF_ARG_END = 0,
    ETF_ARG_I64,
    ETF_ARG_U64,
    ETF_ARG_F64,
    ETF_ARG_STR,
    ETF_ARG_VIEW,
    ETF_ARG_PID,
    ETF_ARG_REF,
    ETF_ARG_PORT,
    ETF_ARG_FORMAT,
    ETF_ARG_LIST
} etf_arg_type;

/* One value going in. The macros fill these in; bindings do it by hand. */
typedef struct etf_in {
    etf_arg_type type;
    union {
        int64_t i64;
        uint64_t u64;
        double f64;
        const char *str;
        etf_view view;
        const etf_pid *pid;
        const etf_ref *ref;
        const etf_port *port;
        const etf_list *list;
    } v;
} etf_in;

/* One place for a value coming out: size is that of the C integer. */
typedef struct etf_out {
    etf_arg_type type;
    uint32_t size;
    void *p;
} etf_out;

/* The first element is the pattern, and n counts it. Its type is ETF_ARG_STR in
 * a pack; in a match it is ETF_ARG_FORMAT, and p the text, which is only read;
 * any other is CN_EBADARG. */
CN_API int etf_pack_args(etf_writer *w, const etf_in *in, size_t n);
CN_API int etf_match_args(etf_view term, const etf_out *out, size_t n);

/* etf_pack_why(w, &e, "{~i}", n) and etf_match_why(term, &e, "{~i}", &n) do and
 * return what etf_pack and etf_match do, and *e then says at which byte of the
 * pattern that ended, and why: "~i needs an integer", "more arguments than
 * holes", "no binary for ~b", "the term is another one here". For logs, tests
 * and debuggers: they are slower, and a match that fails is done twice. */
CN_API int etf_pack_why_args(etf_writer *w, etf_error *e, const etf_in *in,
                             size_t n);
CN_API int etf_match_why_args(etf_view term, etf_error *e, const etf_out *out,
                              size_t n);

/* How many there are, up to 17. */
#define ETF__PICK(_0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13,  \
                  _14, _15, _16, n, ...)                                       \
    n
#define ETF__COUNT(...)                                                        \
    ETF__PICK(__VA_ARGS__, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4,   \
              3, 2, 1, 0)

#ifndef __cplusplus

/* Each argument becomes an etf_in or etf_out of its own type. */
static inline etf_in etf__in_i64(int64_t x) {
    return (etf_in){ETF_ARG_I64, {.i64 = x}};
}
static inline etf_in etf__in_u64(uint64_t x) {
    return (etf_in){ETF_ARG_U64, {.u64 = x}};
}
static inline etf_in etf__in_f64(double x) {
    return (etf_in){ETF_ARG_F64, {.f64 = x}};
}
static inline etf_in etf__in_str(const char *x) {
    return (etf_in){ETF_ARG_STR, {.str = x}};
}
static inline etf_in etf__in_view(etf_view x) {
    return (etf_in){ETF_ARG_VIEW, {.view = x}};
}
static inline etf_in etf__in_pid(const etf_pid *x) {
    return (etf_in){ETF_ARG_PID, {.pid = x}};
}
static inline etf_in etf__in_ref(const etf_ref *x) {
    return (etf_in){ETF_ARG_REF, {.ref = x}};
}
static inline etf_in etf__in_port(const etf_port *x) {
    return (etf_in){ETF_ARG_PORT, {.port = x}};
}
static inline etf_in etf__in_list(const etf_list *x) {
    return (etf_in){ETF_ARG_LIST, {.list = x}};
}
static inline etf_out etf__out_format(const char *x) {
    union {
        const char *c;
        void *p;
    } u = {x};
    return (etf_out){ETF_ARG_FORMAT, 0, u.p};
}
static inline etf_out etf__out_signed_char(signed char *x) {
    return (etf_out){ETF_ARG_I64, sizeof *x, x};
}
static inline etf_out etf__out_short(short *x) {
    return (etf_out){ETF_ARG_I64, sizeof *x, x};
}
static inline etf_out etf__out_int(int *x) {
    return (etf_out){ETF_ARG_I64, sizeof *x, x};
}
static inline etf_out etf__out_long(long *x) {
    return (etf_out){ETF_ARG_I64, sizeof *x, x};
}
static inline etf_out etf__out_long_long(long long *x) {
    return (etf_out){ETF_ARG_I64, sizeof *x, x};
}
static inline etf_out etf__out_unsigned_char(unsigned char *x) {
    return (etf_out){ETF_ARG_U64, sizeof *x, x};
}
static inline etf_out etf__out_unsigned_short(unsigned short *x) {
    return (etf_out){ETF_ARG_U64, sizeof *x, x};
}
static inline etf_out etf__out_unsigned_int(unsigned int *x) {
    return (etf_out){ETF_ARG_U64, sizeof *x, x};
}
static inline etf_out etf__out_unsigned_long(unsigned long *x) {
    return (etf_out){ETF_ARG_U64, sizeof *x, x};
}
static inline etf_out etf__out_unsigned_long_long(unsigned long long *x) {
    return (etf_out){ETF_ARG_U64, sizeof *x, x};
}
static inline etf_out etf__out_double(double *x) {
    return (etf_out){ETF_ARG_F64, sizeof *x, x};
}
static inline etf_out etf__out_view(etf_view *x) {
    return (etf_out){ETF_ARG_VIEW, sizeof *x, x};
}
static inline etf_out etf__out_pid(etf_pid *x) {
    return (etf_out){ETF_ARG_PID, sizeof *x, x};
}
static inline etf_out etf__out_ref(etf_ref *x) {
    return (etf_out){ETF_ARG_REF, sizeof *x, x};
}
static inline etf_out etf__out_port(etf_port *x) {
    return (etf_out){ETF_ARG_PORT, sizeof *x, x};
}
static inline etf_out etf__out_list(etf_list *x) {
    return (etf_out){ETF_ARG_LIST, sizeof *x, x};
}

#define ETF_IN(x)                                                              \
    _Generic((x),                                                              \
        char *: etf__in_str,                                                   \
        const char *: etf__in_str,                                             \
        _Bool: etf__in_i64,                                                    \
        char: etf__in_i64,                                                     \
        signed char: etf__in_i64,                                              \
        short: etf__in_i64,                                                    \
        int: etf__in_i64,                                                      \
        long: etf__in_i64,                                                     \
        long long: etf__in_i64,                                                \
        unsigned char: etf__in_u64,                                            \
        unsigned short: etf__in_u64,                                           \
        unsigned int: etf__in_u64,                                             \
        unsigned long: etf__in_u64,                                            \
        unsigned long long: etf__in_u64,                                       \
        double: etf__in_f64,                                                   \
        float: etf__in_f64,                                                    \
        etf_view: etf__in_view,                                                \
        etf_pid *: etf__in_pid,                                                \
        const etf_pid *: etf__in_pid,                                          \
        etf_ref *: etf__in_ref,                                                \
        const etf_ref *: etf__in_ref,                                          \
        etf_port *: etf__in_port,                                              \
        const etf_port *: etf__in_port,                                        \
        etf_list *: etf__in_list,                                              \
        const etf_list *: etf__in_list)(x)
#define ETF_OUT(x)                                                             \
    _Generic((x),                                                              \
        char *: etf__out_format,                                               \
        const char *: etf__out_format,                                         \
        signed char *: etf__out_signed_char,                                   \
        short *: etf__out_short,                                               \
        int *: etf__out_int,                                                   \
        long *: etf__out_long,                                                 \
        long long *: etf__out_long_long,                                       \
        unsigned char *: etf__out_unsigned_char,                               \
        unsigned short *: etf__out_unsigned_short,                             \
        unsigned int *: etf__out_unsigned_int,                                 \
        unsigned long *: etf__out_unsigned_long,                               \
        unsigned long long *: etf__out_unsigned_long_long,                     \
        double *: etf__out_double,                                             \
        etf_view *: etf__out_view,                                             \
        etf_pid *: etf__out_pid,                                               \
        etf_ref *: etf__out_ref,                                               \
        etf_port *: etf__out_port,                                             \
        etf_list *: etf__out_list)(x)

/* M(a), M(b), ... for up to 17 arguments. */
#define ETF__EACH_1(M, a) M(a)
#define ETF__EACH_2(M, a, ...) M(a), ETF__EACH_1(M, __VA_ARGS__)
#define ETF__EACH_3(M, a, ...) M(a), ETF__EACH_2(M, __VA_ARGS__)
#define ETF__EACH_4(M, a, ...) M(a), ETF__EACH_3(M, __VA_ARGS__)
#define ETF__EACH_5(M, a, ...) M(a), ETF__EACH_4(M, __VA_ARGS__)
#define ETF__EACH_6(M, a, ...) M(a), ETF__EACH_5(M, __VA_ARGS__)
#define ETF__EACH_7(M, a, ...) M(a), ETF__EACH_6(M, __VA_ARGS__)
#define ETF__EACH_8(M, a, ...) M(a), ETF__EACH_7(M, __VA_ARGS__)
#define ETF__EACH_9(M, a, ...) M(a), ETF__EACH_8(M, __VA_ARGS__)
#define ETF__EACH_10(M, a, ...) M(a), ETF__EACH_9(M, __VA_ARGS__)
#define ETF__EACH_11(M, a, ...) M(a), ETF__EACH_10(M, __VA_ARGS__)
#define ETF__EACH_12(M, a, ...) M(a), ETF__EACH_11(M, __VA_ARGS__)
#define ETF__EACH_13(M, a, ...) M(a), ETF__EACH_12(M, __VA_ARGS__)
#define ETF__EACH_14(M, a, ...) M(a), ETF__EACH_13(M, __VA_ARGS__)
#define ETF__EACH_15(M, a, ...) M(a), ETF__EACH_14(M, __VA_ARGS__)
#define ETF__EACH_16(M, a, ...) M(a), ETF__EACH_15(M, __VA_ARGS__)
#define ETF__EACH_17(M, a, ...) M(a), ETF__EACH_16(M, __VA_ARGS__)
#define ETF__JOIN_(a, b) a##b
#define ETF__JOIN(a, b) ETF__JOIN_(a, b)
#define ETF__EACH(M, ...)                                                      \
    ETF__JOIN(ETF__EACH_, ETF__COUNT(__VA_ARGS__))(M, __VA_ARGS__)

/* "pattern", args... as the two arguments (array, count) of the _args calls;
 * for use in macros of other layers too. */
#define ETF_INS(...)                                                           \
    ((const etf_in[]){ETF__EACH(ETF_IN, __VA_ARGS__)}), ETF__COUNT(__VA_ARGS__)
#define ETF_OUTS(...)                                                          \
    ((etf_out[]){ETF__EACH(ETF_OUT, __VA_ARGS__)}), ETF__COUNT(__VA_ARGS__)

#elif __cplusplus >= 201103L

/* The same in C++: by overloads, into an array that lives as long as the call
 * it stands in. */
extern "C++" {

static inline etf_in etf__in_i64(int64_t x) {
    etf_in in = {ETF_ARG_I64, {x}};
    return in;
}
static inline etf_in etf__in_u64(uint64_t x) {
    etf_in in = {ETF_ARG_U64, {}};
    in.v.u64 = x;
    return in;
}
static inline etf_in etf__in(bool x) {
    return etf__in_i64(x);
}
static inline etf_in etf__in(char x) {
    return etf__in_i64(x);
}
static inline etf_in etf__in(signed char x) {
    return etf__in_i64(x);
}
static inline etf_in etf__in(short x) {
    return etf__in_i64(x);
}
static inline etf_in etf__in(int x) {
    return etf__in_i64(x);
}
static inline etf_in etf__in(long x) {
    return etf__in_i64(x);
}
static inline etf_in etf__in(long long x) {
    return etf__in_i64(x);
}
static inline etf_in etf__in(unsigned char x) {
    return etf__in_u64(x);
}
static inline etf_in etf__in(unsigned short x) {
    return etf__in_u64(x);
}
static inline etf_in etf__in(unsigned x) {
    return etf__in_u64(x);
}
static inline etf_in etf__in(unsigned long x) {
    return etf__in_u64(x);
}
static inline etf_in etf__in(unsigned long long x) {
    return etf__in_u64(x);
}
static inline etf_in etf__in(double x) {
    etf_in in = {ETF_ARG_F64, {}};
    in.v.f64 = x;
    return in;
}
static inline etf_in etf__in(float x) {
    return etf__in((double)x);
}
static inline etf_in etf__in(etf_view x) {
    etf_in in = {ETF_ARG_VIEW, {}};
    in.v.view = x;
    return in;
}
static inline etf_in etf__in(const char *x) {
    etf_in in = {ETF_ARG_STR, {}};
    in.v.str = x;
    return in;
}
static inline etf_in etf__in(const etf_pid *x) {
    etf_in in = {ETF_ARG_PID, {}};
    in.v.pid = x;
    return in;
}
static inline etf_in etf__in(const etf_ref *x) {
    etf_in in = {ETF_ARG_REF, {}};
    in.v.ref = x;
    return in;
}
static inline etf_in etf__in(const etf_port *x) {
    etf_in in = {ETF_ARG_PORT, {}};
    in.v.port = x;
    return in;
}
static inline etf_in etf__in(const etf_list *x) {
    etf_in in = {ETF_ARG_LIST, {}};
    in.v.list = x;
    return in;
}
/* Other pointers are no bool. */
template <class T> etf_in etf__in(const T *) = delete;
template <class T> etf_in etf__in(T *x) {
    return etf__in(const_cast<const T *>(x));
}

static inline etf_out etf__out_of(etf_arg_type type, uint32_t size,
                                  const void *x) {
    etf_out out = {type, size, const_cast<void *>(x)};
    return out;
}
static inline etf_out etf__out(const char *x) {
    return etf__out_of(ETF_ARG_FORMAT, 0, x);
}
static inline etf_out etf__out(signed char *x) {
    return etf__out_of(ETF_ARG_I64, sizeof *x, x);
}
static inline etf_out etf__out(short *x) {
    return etf__out_of(ETF_ARG_I64, sizeof *x, x);
}
static inline etf_out etf__out(int *x) {
    return etf__out_of(ETF_ARG_I64, sizeof *x, x);
}
static inline etf_out etf__out(long *x) {
    return etf__out_of(ETF_ARG_I64, sizeof *x, x);
}
static inline etf_out etf__out(long long *x) {
    return etf__out_of(ETF_ARG_I64, sizeof *x, x);
}
static inline etf_out etf__out(unsigned char *x) {
    return etf__out_of(ETF_ARG_U64, sizeof *x, x);
}
static inline etf_out etf__out(unsigned short *x) {
    return etf__out_of(ETF_ARG_U64, sizeof *x, x);
}
static inline etf_out etf__out(unsigned *x) {
    return etf__out_of(ETF_ARG_U64, sizeof *x, x);
}
static inline etf_out etf__out(unsigned long *x) {
    return etf__out_of(ETF_ARG_U64, sizeof *x, x);
}
static inline etf_out etf__out(unsigned long long *x) {
    return etf__out_of(ETF_ARG_U64, sizeof *x, x);
}
static inline etf_out etf__out(double *x) {
    return etf__out_of(ETF_ARG_F64, sizeof *x, x);
}
static inline etf_out etf__out(etf_view *x) {
    return etf__out_of(ETF_ARG_VIEW, sizeof *x, x);
}
static inline etf_out etf__out(etf_pid *x) {
    return etf__out_of(ETF_ARG_PID, sizeof *x, x);
}
static inline etf_out etf__out(etf_ref *x) {
    return etf__out_of(ETF_ARG_REF, sizeof *x, x);
}
static inline etf_out etf__out(etf_port *x) {
    return etf__out_of(ETF_ARG_PORT, sizeof *x, x);
}
static inline etf_out etf__out(etf_list *x) {
    return etf__out_of(ETF_ARG_LIST, sizeof *x, x);
}

template <class T, size_t n> struct etf__array {
    T at[n];
    static_assert(n <= ETF_ARGS_MAX + 1, "a pattern and 16 arguments");
};
template <class... A>
static inline etf__array<etf_in, sizeof...(A)> etf__ins(A... x) {
    return {{etf__in(x)...}};
}
template <class... A>
static inline etf__array<etf_out, sizeof...(A)> etf__outs(A... x) {
    return {{etf__out(x)...}};
}
}

#define ETF_INS(...) etf__ins(__VA_ARGS__).at, ETF__COUNT(__VA_ARGS__)
#define ETF_OUTS(...) etf__outs(__VA_ARGS__).at, ETF__COUNT(__VA_ARGS__)

#endif

#define etf_pack(w, ...) etf_pack_args((w), ETF_INS(__VA_ARGS__))
#define etf_match(term, ...) etf_match_args((term), ETF_OUTS(__VA_ARGS__))
#define etf_pack_why(w, e, ...)                                                \
    etf_pack_why_args((w), (e), ETF_INS(__VA_ARGS__))
#define etf_match_why(term, e, ...)                                            \
    etf_match_why_args((term), (e), ETF_OUTS(__VA_ARGS__))

/* --- text ---------------------------------------------------------------- */

/* Brackets in brackets; neither printing nor parsing goes deeper. */
#define ETF_TEXT_DEPTH 1000000

typedef enum etf_text_style {
    ETF_STYLE_P = 0, /* as ~p: lists and binaries that look like text are it */
    ETF_STYLE_W      /* as ~w: they are numbers; always on one line */
} etf_text_style;

/* Which characters ~p shows in lists and binaries, as erl's option +pc. */
typedef enum etf_text_range {
    ETF_RANGE_MIXED = 0, /* latin-1 in lists; in binaries Unicode, as UTF-8 */
    ETF_RANGE_LATIN1,    /* +pc latin1, what erl does if it is not told */
    ETF_RANGE_UNICODE    /* +pc unicode; binaries may be latin-1 too */
} etf_text_range;

/* How to print and parse; all 0, or NULL instead, is as etf_print and
 * etf_parse. The text is UTF-8 in any case. */
typedef struct etf_text_options {
    etf_text_style style;
    etf_text_range range;
    bool latin1;           /* ~p and ~w instead of ~tp and ~tw: characters above
                              255 are escaped, binaries of UTF-8 no text */
    uint32_t width;        /* ~p: break lines to this width, as ~Np does; 0: one
                              line, as ~0p; 80 is what Erlang takes */
    uint32_t column;       /* where the first line begins; 0 is 1, the left */
    uint32_t depth;        /* brackets in brackets; 0 is ETF_TEXT_DEPTH */
    const cn_alloc *alloc; /* NULL: the default */
    const char *node;      /* parsing: whose <0.1.2> is; NULL: nobody's */
    uint32_t creation;     /* the same */
} etf_text_options;

/* Writes the term that Erlang's text stands for, without trailing dot, as one
 * more term of w. That is all that io:format prints by ~w and ~p and etf_format
 * prints, and Erlang's literals:
 *   comments; adjacent strings; strings in triple quotes; sigils, of which ~",
 *     ~b and ~B are binaries in UTF-8; 16#ff, 1_000, $a, and in quotes all
 *     escapes; floats such as 16#1.8#e2 in bases that are powers of two;
 *   segments of binaries with :Size, up to 4096 bits, or 512 for each character
 *     of a string, and types: integer, float, utf8, utf16, utf32, big, little,
 *     signed, unsigned, unit:N;
 *   fun m:f/1;
 *   native records as release 29 prints them, #module:name{field = value}: they
 *     become exported ones, which the text does not tell;
 *   the identifiers of etf_format, and with a node in the options, those that
 *     Erlang prints there, <0.1.2>, #Port<0.1> and #Ref<0.1.2.3>. The same with
 *     another number than 0 are of a node that only Erlang knows: CN_ESYNTAX.
 * #Fun<...> has no literal. The text is UTF-8. Words that Erlang reserves are
 * taken as atoms. That the keys of a map, or the fields of a record, differ is
 * not checked, and Erlang refuses a term where they do not.
 *
 * 0, or the error, which w latches too, with more in *error (may be NULL), at
 * being the byte, from 0, of the token that does not fit: CN_ESYNTAX; CN_ERANGE
 * for a float that is too large; CN_ELIMIT for brackets nested deeper than the
 * options say, atoms above 255 characters, integers above 2048 bytes that are
 * not in base 16, and for a deep nest of large tuples or records whose headers
 * could only be written by moving all of it again and again; CN_ENOMEM. Memory
 * is only taken for brackets nested deeper than 10: of the options' allocator,
 * or the writer's; the default one for a writer on an array. */
CN_API int etf_parse_with(const etf_text_options *options, etf_writer *w,
                          const char *text, size_t n, etf_error *error);

/* The same without options; *column (may be NULL) is the byte, from 0. */
CN_API int etf_parse(etf_writer *w, const char *text, size_t *column);
CN_API int etf_parse_n(etf_writer *w, const char *text, size_t n,
                       size_t *column);

/* Prints a term as io:format does, character by character: with a width of 80
 * and a range as io:format("~tp", [Term]) does in an erl with that +pc; native
 * records as in release 29. Otherwise than in Erlang are
 *   pids, ports and references, which are #Pid<node.id.serial.creation>,
 *     #Port<node.id.creation> and #Ref<node.creation.word...>;
 *   integers above 2048 bytes, which are in base 16;
 *   the atoms of fun m:f/1 and #Fun<m.1.2>, which Erlang does not quote where
 *     it should, and of which it prints characters above 127 wrong;
 *   maps, whose pairs are in the order of the bytes;
 *   the width of combining characters, which are counted one by one;
 *   with ETF_RANGE_LATIN1, before release 29, binaries with a character that is
 *     not in the range and then bytes that are no UTF-8: latin-1 there;
 *   maybe and else, which are in quotes, as from release 27 on.
 * Lines are broken where they exceed the width, but for atoms, numbers and
 * text, which are never broken. The further in, the more blanks are before a
 * line, so a deep term gives a text as long as the square of its size; depth
 * puts an end to it.
 * etf_parse takes all this back, but for closures, which are
 * #Fun<module.index.uniq>.
 *
 * out is always NUL-terminated when cap > 0; *len (may be NULL) is the length
 * of the whole text, also when cap is too small for it, and SIZE_MAX when that
 * is more than a size_t can count. 0; CN_ELIMIT for depth,
 * CN_ENOMEM, or the error of the term: then the text ends at the place with
 * "#too_deep", "#no_memory" or "#malformed". With a width the term is looked
 * through first, and the text is only that. Memory is taken for terms nested
 * deeper than 5 and, with a width, 8 bytes for each bracket and each pair of a
 * map. */
CN_API int etf_format(const etf_text_options *options, etf_view term, char *out,
                      size_t cap, size_t *len);
/* The same into a file; CN_EIO when it cannot be written. */
CN_API int etf_format_file(const etf_text_options *options, etf_view term,
                           FILE *out);

/* etf_format without options, one line as of ~0tp; returns the length. */
CN_API size_t etf_print(etf_view term, char *out, size_t cap);
/* etf_format_file without options. */
CN_API int etf_print_file(etf_view term, FILE *out);

/* --- bignum ---------------------------------------------------------------
 *
 * Integers of any size, up to the 524280 bytes that a term can have, exact in
 * both directions. For arithmetic take the bytes to a library of your own. */

/* The integer in base 10 or 16, as integer_to_list(I, Base), but in lower case;
 * like etf_format: NUL-terminated, *len (may be NULL) is that of the whole.
 * Base 10 costs n^1.6, some seconds for the largest, and memory of 28
 * bytes for each byte of the integer (alloc NULL: the default). 0; CN_ETYPE for
 * no integer, CN_EBADARG for another base, CN_ENOMEM, or the error of the term;
 * then the text is empty. */
CN_API int etf_big_text(const cn_alloc *alloc, etf_view integer, unsigned base,
                        char *out, size_t cap, size_t *len);
/* An integer from its digits in base 10 or 16, with - or + before them, as
 * list_to_integer(List, Base). Costs the same. CN_ESYNTAX for anything else,
 * CN_ELIMIT above 524280 bytes. */
CN_API void etf_put_big_text(etf_writer *w, const char *digits, size_t n,
                             unsigned base);

/* Sign and magnitude of the integer, which fills all of out: zeros are before
 * it with big_endian, else behind it. *len is how many bytes it needs, 0 for 0;
 * CN_ELIMIT when that is more than cap, and nothing is written. CN_ETYPE for no
 * integer, or the error of the term. */
CN_API int etf_big_bytes(etf_view integer, bool big_endian, void *out,
                         size_t cap, size_t *len, bool *negative);
/* etf_put_big, and with big_endian from the most significant byte, as
 * binary:decode_unsigned does. */
CN_API void etf_put_big_bytes(etf_writer *w, const void *bytes, size_t n,
                              bool big_endian, bool negative);

#ifdef __cplusplus
}
#endif
#endif
