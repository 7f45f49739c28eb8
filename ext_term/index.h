/* SPDX-License-Identifier: Apache-2.0
 *
 * index.h: what the index and the order of terms share (internal).
 *
 * An index is an array of nodes, one for each term. The children of a node lie
 * next to one another, at x->nodes[node->first], behind their parent:
 *
 *   tuple, fun, record   n children: elements, free variables, values
 *   LIST_EXT             n elements and the tail, which is no list
 *   map                  n pairs: key, value, key, value; behind them, for
 *                        more than ETF__MAP_FEW pairs in an index that is not
 *                        sorted, the slots of its hash table
 *   anything else        none; n is the number of bytes of its text, data or
 *                        magnitude, which end where the node ends
 *
 * Elements of STRING_EXT are no nodes. A list as the tail of a list is joined:
 * its elements lie with those of the whole list, at the upper end of the
 * memory, and one that came from a STRING_EXT has `at` ETF__NODE_BYTE and its
 * value in n.
 */
#ifndef EXT_TERM_INDEX_H
#define EXT_TERM_INDEX_H

#include "ext_term/term.h"

enum {
    ETF__MAP_FEW = 8, /* pairs that are searched one by one */
    ETF__INDEX_INSIDE = 2048
};
#define ETF__NODE_BYTE UINT32_MAX /* in `at`: of no byte of the input */
#define ETF__BYTE_NIL 256         /* in n: [] behind a joined STRING_EXT */

/* The head of a node. */
void etf__node_head(const etf_index *x, const etf_node *node, etf__head *h);

/* --- sort.c --------------------------------------------------------------- */

/* An index for the time of a call, in which the pairs of each map, of inner
 * maps too, are in the order of their keys: that of etf_compare_exact, which is
 * that of term_to_binary(T, [deterministic]). To write a term in this order:
 *
 *     etf__sorted s;
 *     int err = etf__sorted_open(&s, alloc, limits, term);
 *     ... walk from s.x.nodes[0]: a map's pair i is the node number
 *         node->first + 2 * i and the one behind it; etf__node_head gives the
 *         head of a node; for a node without children the bytes node->at to
 *         node->end of s.x.data are the term ...
 *     etf__sorted_close(&s);
 *
 * s.x.used is the length of the term, behind which there may be more bytes.
 * 0, or the error, with s.x.err_at; equal keys are CN_EBADTERM. Small terms
 * take no memory. Close it whatever came back. */
typedef struct etf__sorted {
    etf_index x;
    _Alignas(8) uint8_t inside[ETF__INDEX_INSIDE];
} etf__sorted;
int etf__sorted_open(etf__sorted *s, const cn_alloc *alloc,
                     const etf_limits *limits, etf_view term);
void etf__sorted_close(etf__sorted *s);

/* Sorts the pairs of all maps of an index without hash tables. */
int etf__index_sort(etf_index *x);
/* The order of the first terms of two indexes that are sorted. */
int etf__sorted_compare(const etf_index *a, const etf_index *b, bool exact,
                        int *order);

/* --- index.c -------------------------------------------------------------- */

typedef enum etf__index_mode {
    ETF__INDEX_TABLES, /* for lookup; the term ends where the bytes do */
    ETF__INDEX_SORTED  /* maps sorted; the bytes may go on */
} etf__index_mode;
/* etf_index_build in either mode. */
int etf__index_build(etf_index *x, const cn_alloc *alloc,
                     const etf_limits *limits, etf_view in,
                     etf__index_mode mode, void *mem, size_t cap, size_t *need);
/* The same with the memory at `inside`, or else allocated; freed by
 * etf_index_free, after errors too. */
int etf__index_grow(etf_index *x, const cn_alloc *alloc,
                    const etf_limits *limits, etf_view in, etf__index_mode mode,
                    void *inside, size_t cap);

/* --- keys.c --------------------------------------------------------------- */

/* Slots of the hash table of a map, 0 when it has none; and the nodes that
 * they take the place of. */
uint32_t etf__table_slots(uint32_t pairs);
uint32_t etf__table_nodes(uint32_t pairs);
/* Are the keys of the map different? Fills its table, if it has one, which may
 * take *budget steps. CN_EBADTERM with x->err_at for equal keys; CN_ELIMIT with
 * *budget 0 when the keys seem to be chosen to be slow. */
int etf__keys_enter(etf_index *x, const etf_node *map, uint64_t *budget);

/* --- unique.c ------------------------------------------------------------- */

/* Are the field names of the record different? CN_EBADTERM with *at the offset
 * from `from` of the second one, CN_ENOMEM. */
int etf__unique_fields(const cn_alloc *alloc, const etf__head *record,
                       const uint8_t *from, size_t *at);

/* --- compare.c ------------------------------------------------------------ */

/* A list as its elements, however it is encoded. */
typedef struct etf__list {
    uint32_t left; /* elements before the next list, if there is one */
    bool string;
} etf__list;
/* Opens the list whose head was just read from the cursor. */
etf__list etf__list_open(cn_cursor *c, const etf__head *h);
/* The head of the next element, or with *tail that of the tail, which is no
 * list; the elements of an element must be read before the next call. */
int etf__list_next(cn_cursor *c, etf__list *list, etf__head *h, bool *tail);

/* --- order.c -------------------------------------------------------------- */

/* The order of two terms as far as their heads tell it: less than, equal to or
 * greater than 0. Where it is 0 the elements decide. */
int etf__head_order(const etf__head *a, const etf__head *b, bool exact);
/* The order of a list to a tail that is none. */
int etf__tail_order(const etf__head *tail);

#endif
