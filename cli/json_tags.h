/* SPDX-License-Identifier: Apache-2.0
 *
 * json_tags.h: the objects that stand for what JSON has not: each has exactly
 * one member, with one of these names. A map whose only key is one of them is
 * written in pairs.
 */
#ifndef CLI_JSON_TAGS_H
#define CLI_JSON_TAGS_H

#include <ext_term/ext_term.h>

#define TAG_ATOM "a"            /* "text", ["text", tag], {"key": value} */
#define TAG_BINARY "b"          /* "hex" */
#define TAG_BITS "bits"         /* [bits, "hex"] */
#define TAG_INTEGER "i"         /* "decimal" */
#define TAG_TUPLE "t"           /* [element...] */
#define TAG_IMPROPER "improper" /* [element..., tail] */
#define TAG_MAP "m"             /* [[key, value]...] */
#define TAG_PID "pid"           /* [node, id, serial, creation] */
#define TAG_PORT "port"         /* [node, id, creation] */
#define TAG_REF "ref"           /* [node, creation, word...] */
#define TAG_FUN "fun"           /* [module, function, arity] */
#define TAG_ETF "etf"           /* "hex", anything else */

/* Tags of the external term format that a choice depends on. */
enum {
    TAG_SMALL_INTEGER_EXT = 97,
    TAG_ATOM_EXT = 100,
    TAG_SMALL_TUPLE_EXT = 104,
    TAG_LARGE_TUPLE_EXT = 105,
    TAG_NIL_EXT = 106,
    TAG_STRING_EXT = 107,
    TAG_LIST_EXT = 108,
    TAG_BINARY_EXT = 109,
    TAG_SMALL_ATOM_EXT = 115,
    TAG_MAP_EXT = 116,
    TAG_ATOM_UTF8_EXT = 118,
    TAG_SMALL_ATOM_UTF8_EXT = 119
};

/* Is it one of the names? */
bool cli_json_is_tag(etf_view name);

#endif
