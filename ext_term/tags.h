/* SPDX-License-Identifier: Apache-2.0
 *
 * tags.h: the tags of the external term format and its limits, written once
 * (internal). X(name, value, type, shape): the shape names the function of
 * head.c that reads what follows the tag.
 *
 * 82 (atom cache reference) is only good where the caller has a table of the
 * atoms. Left out on purpose, and so rejected: 80 (compressed), which is no
 * term but an envelope (see open.c), 117 (old fun), which no release reads any
 * more, and 121 (local term), which none but its author can.
 * See "External Term Format" in the ERTS user's guide.
 */
#ifndef EXT_TERM_TAGS_H
#define EXT_TERM_TAGS_H

/* clang-format off */
#define ETF__TAG_MAP(X)                                                        \
    X(RECORD,           67, ETF_RECORD, record)                                \
    X(NEW_FLOAT,        70, ETF_FLOAT,  new_float)                             \
    X(BIT_BINARY,       77, ETF_BITSTRING, bit_binary)                         \
    X(ATOM_CACHE_REF,   82, ETF_ATOM,   cache_ref)                             \
    X(NEW_PID,          88, ETF_PID,    pid)                                   \
    X(NEW_PORT,         89, ETF_PORT,   port)                                  \
    X(NEWER_REFERENCE,  90, ETF_REF,    newer_ref)                             \
    X(SMALL_INTEGER,    97, ETF_INT,    small_int)                             \
    X(INTEGER,          98, ETF_INT,    integer)                               \
    X(FLOAT,            99, ETF_FLOAT,  float_text)                            \
    X(ATOM,            100, ETF_ATOM,   latin1)                                \
    X(REFERENCE,       101, ETF_REF,    reference)                             \
    X(PORT,            102, ETF_PORT,   port)                                  \
    X(PID,             103, ETF_PID,    pid)                                   \
    X(SMALL_TUPLE,     104, ETF_TUPLE,  tuple)                                 \
    X(LARGE_TUPLE,     105, ETF_TUPLE,  tuple)                                 \
    X(NIL,             106, ETF_NIL,    nil)                                   \
    X(STRING,          107, ETF_LIST,   string)                                \
    X(LIST,            108, ETF_LIST,   list)                                  \
    X(BINARY,          109, ETF_BINARY, binary)                                \
    X(SMALL_BIG,       110, ETF_INT,    big)                                   \
    X(LARGE_BIG,       111, ETF_INT,    big)                                   \
    X(NEW_FUN,         112, ETF_FUN,    fun)                                   \
    X(EXPORT,          113, ETF_EXPORT, export)                                \
    X(NEW_REFERENCE,   114, ETF_REF,    new_ref)                               \
    X(SMALL_ATOM,      115, ETF_ATOM,   latin1)                                \
    X(MAP,             116, ETF_MAP,    map)                                   \
    X(ATOM_UTF8,       118, ETF_ATOM,   utf8)                                  \
    X(SMALL_ATOM_UTF8, 119, ETF_ATOM,   utf8)                                  \
    X(V4_PORT,         120, ETF_PORT,   port)
/* clang-format on */

enum etf__tag {
    ETF__VERSION = 131,
    ETF__COMPRESSED = 80, /* only directly behind the version */
    ETF__OLD_FUN = 117,   /* these two are rejected */
    ETF__LOCAL = 121,
#define ETF__TAG_ENUM(name, value, type, shape) ETF__##name = (value),
    ETF__TAG_MAP(ETF__TAG_ENUM)
#undef ETF__TAG_ENUM
};

/* What every release from 25 to 29 accepts. */
enum etf__limit {
    ETF__ATOM_CHARS = 255,
    ETF__ATOM_BYTES = 1020,
    ETF__STRING_MAX = 65535,
    ETF__ARITY_MAX = (1 << 24) - 1,
    ETF__BIG_BYTES = 524280,
    ETF__FREE_VARS = 255,
    ETF__FLOAT_TEXT = 31,
    ETF__OLD_CREATION = 3,
    ETF__OLD_REF_WORD = (1 << 18) - 1
};

#endif
