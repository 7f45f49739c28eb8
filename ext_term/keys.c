/* SPDX-License-Identifier: Apache-2.0
 *
 * keys.c: the keys of maps in an index: that they differ, and finding one.
 *
 * A map of a few pairs is searched one by one. A greater one has a hash table
 * behind its nodes, open and with linear probing, of slots of 32 bits: the
 * number of the pair, from 1, in as many low bits as number the slots, and
 * above them those of the hash that did not choose the slot, so that only few
 * keys that are different are ever compared.
 *
 * The hash is of the value, not of the encoding, and cheap: of long keys and
 * deep ones it takes a part. There is no secret in it, so keys can be chosen
 * that make every table slow. No seed would help against those that differ
 * only in what the hash leaves out; so instead steps are counted. When a table
 * takes more than there is reason for, the index is built again without tables
 * and with the pairs of all maps sorted, which costs n log n whatever the keys
 * are, and looking up is a binary search.
 */
#include "ext_term/index.h"

enum {
    STEPS_MAX = 256, /* to find a key */
    HASH_BYTES = 64, /* of either end of a long text */
    HASH_TERMS = 16  /* of a key that has elements */
};

/* --- hash ----------------------------------------------------------------- */

static uint64_t stir(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0x9e3779b97f4a7c15U;
    return h ^ h >> 32;
}

static uint64_t hash_all(uint64_t h, const uint8_t *p, size_t n) {
    uint64_t v;

    for (; n >= 8; n -= 8, p += 8) {
        memcpy(&v, p, 8);
        h = stir(h, v);
    }
    if (n == 0)
        return h;
    v = 0;
    memcpy(&v, p, n);
    return stir(h, v);
}

static uint64_t hash_bytes(etf_type type, const uint8_t *p, size_t n) {
    uint64_t h = stir((uint64_t)type, n);

    if (n <= (size_t)2 * HASH_BYTES)
        return hash_all(h, p, n);
    h = hash_all(h, p, HASH_BYTES);
    return hash_all(h, p + n - HASH_BYTES, HASH_BYTES);
}

static uint64_t hash_int(const etf__head *h) {
    uint8_t room[8];
    bool negative;
    etf_view m = etf__head_magnitude(h, room, &negative);
    uint64_t v = negative ? 1 : 0;

    return stir(v, hash_bytes(ETF_INT, m.data, m.len));
}

static uint64_t hash_float(const etf__head *h) {
    double v = etf__head_float(h);

    return hash_bytes(ETF_FLOAT, (const uint8_t *)&v, sizeof v);
}

static uint64_t hash_atom(const etf__head *h) {
    uint8_t room[ETF__LATIN1_ROOM];
    etf_view text = etf__head_text(h, room);

    return hash_bytes(ETF_ATOM, text.data, text.len);
}

/* A node name alone would be the same for most; words that are missing are
 * words of 0. */
static uint64_t hash_id(const etf__head *h) {
    etf__numbers id;
    uint64_t v;

    etf__head_numbers(h, &id);
    v = stir((uint64_t)h->type, id.id);
    v = stir(v, (uint64_t)id.serial << 32 | id.creation);
    for (int i = 0; i < ETF_REF_WORDS; i++)
        v = stir(v, id.words[i]);
    return v;
}

static uint64_t hash_fun(const etf__head *h) {
    etf__head module, function;

    etf__head_atom(h->body, h->end, &module);
    if (h->type == ETF_FUN)
        return stir(hash_atom(&module), h->n);
    etf__head_atom(h->rest, h->end, &function);
    return stir(stir(hash_atom(&module), hash_atom(&function)), h->n);
}

/* A term without its elements, except for a list, of which even the number of
 * elements depends on the encoding. The bits of a bitstring behind its last
 * whole byte are left out. */
static uint64_t hash_head(const etf__head *h) {
    switch (h->type) {
    case ETF_INT:
        return hash_int(h);
    case ETF_FLOAT:
        return hash_float(h);
    case ETF_ATOM:
        return hash_atom(h);
    case ETF_BINARY:
        return hash_bytes(ETF_BINARY, h->body, h->n);
    case ETF_BITSTRING:
        return hash_bytes(ETF_BITSTRING, h->body, h->n - 1);
    case ETF_PID:
    case ETF_PORT:
    case ETF_REF:
        return hash_id(h);
    case ETF_FUN:
    case ETF_EXPORT:
        return hash_fun(h);
    case ETF_LIST:
        return stir(ETF_LIST, 0);
    default:
        return stir((uint64_t)h->type, h->n);
    }
}

/* The first elements of a list as long as they are bytes, whatever their
 * encoding. */
static uint64_t hash_list(uint64_t v, cn_cursor *c, etf__head *h) {
    etf__list list = etf__list_open(c, h);
    uint64_t byte;
    bool tail;

    for (int i = 0; i < 2 * HASH_BYTES; i++) {
        if (etf__list_next(c, &list, h, &tail) != 0 || tail ||
            h->type != ETF_INT || etf__head_u64(h, &byte) != 0 ||
            byte > UINT8_MAX)
            break;
        v = stir(v, byte);
    }
    return v;
}

/* The first terms inside, up to where the encoding begins to matter. */
static uint64_t hash_elements(uint64_t v, cn_cursor *c, etf__head *h) {
    uint64_t left = h->children;

    for (int i = 0; i < HASH_TERMS && left > 0; i++) {
        if (etf__head_read(c, h) != 0)
            break;
        v = stir(v, hash_head(h));
        if (h->type == ETF_LIST)
            return hash_list(v, c, h);
        if (h->type != ETF_TUPLE && h->children > 0)
            break;
        left += h->children - 1;
    }
    return v;
}

/* The numbers of most slots come from the low bits; so these are the best. */
static uint32_t fold(uint64_t v) {
    return (uint32_t)(stir(v, 0) >> 32);
}

static int hash_key(etf_view key, uint32_t *hash) {
    cn_cursor c = cn__cursor(key.data, key.len);
    etf__head h;
    uint64_t v;
    int err;

    if (key.len >= 2 && key.data[0] == ETF__SMALL_ATOM_UTF8 &&
        key.data[1] == key.len - 2) {
        *hash = fold(hash_bytes(ETF_ATOM, key.data + 2, key.len - 2));
        return 0;
    }
    err = etf__head_read(&c, &h);
    if (err != 0)
        return err;
    v = hash_head(&h);
    if (h.type == ETF_LIST)
        v = hash_list(v, &c, &h);
    else if (h.type == ETF_TUPLE)
        v = hash_elements(v, &c, &h);
    *hash = fold(v);
    return 0;
}

/* --- equality ------------------------------------------------------------- */

static etf_view view_of(const etf_index *x, const etf_node *node) {
    return (etf_view){x->data + node->at, node->end - node->at};
}

/* Tags under which other bytes are another value, with a number for what they
 * make. */
static const uint8_t plain[256] = {
    [ETF__SMALL_ATOM_UTF8] = 1, [ETF__ATOM_UTF8] = 1,     [ETF__ATOM] = 1,
    [ETF__SMALL_ATOM] = 1,      [ETF__SMALL_INTEGER] = 2, [ETF__INTEGER] = 2,
    [ETF__NEW_FLOAT] = 3,       [ETF__BINARY] = 4,
};

/* Equal, if it can be seen at once: 1, 0, or -1. */
static int same_bytes(etf_view a, etf_view b) {
    uint8_t x = a.data[0], y = b.data[0];

    if (a.len == b.len && memcmp(a.data, b.data, a.len) == 0)
        return 1;
    if (plain[x] == 0 || plain[y] == 0)
        return -1;
    return x == y || plain[x] != plain[y] ? 0 : -1;
}

/* The steps that comparing two keys takes at most. */
static uint64_t cost(etf_view a, etf_view b) {
    return (uint64_t)a.len + b.len;
}

static int same_keys(const etf_index *x, etf_view a, etf_view b, bool *same) {
    int known = same_bytes(a, b), order, err;
    cn_cursor p = cn__cursor(a.data, a.len), q = cn__cursor(b.data, b.len);
    etf__head g, h;

    *same = known == 1;
    if (known >= 0)
        return 0;
    err = etf__head_read(&p, &g);
    if (err == 0)
        err = etf__head_read(&q, &h);
    if (err != 0 || g.type != h.type ||
        (g.type != ETF_LIST && (g.children != h.children || g.children == 0))) {
        *same = err == 0 && etf__head_order(&g, &h, true) == 0;
        return err;
    }
    err = etf_compare_exact(x->alloc, a, b, &order);
    *same = err == 0 && order == 0;
    return err;
}

/* --- tables --------------------------------------------------------------- */

uint32_t etf__table_slots(uint32_t pairs) {
    uint32_t slots = 16;

    if (pairs <= ETF__MAP_FEW)
        return 0;
    while (slots < pairs + pairs / 2)
        slots *= 2;
    return slots;
}

uint32_t etf__table_nodes(uint32_t pairs) {
    return etf__table_slots(pairs) /
           (uint32_t)(sizeof(etf_node) / sizeof(uint32_t));
}

typedef struct table {
    uint32_t *slot;
    uint32_t mask;
} table;

static table table_of(const etf_index *x, const etf_node *map) {
    return (table){(uint32_t *)(void *)&x->nodes[map->first + 2 * map->n],
                   etf__table_slots(map->n) - 1};
}

static const etf_node *key_of(const etf_index *x, const etf_node *map,
                              uint32_t i) {
    return &x->nodes[map->first + 2 * i];
}

static int equal_key(etf_index *x, const etf_node *key) {
    x->err_at = key->at;
    return CN_EBADTERM;
}

static bool spend(uint64_t *budget, uint64_t n) {
    bool enough = n <= *budget;

    *budget = enough ? *budget - n : 0;
    return enough;
}

/* Puts pair i where it belongs. */
static int table_enter(etf_index *x, const etf_node *map, table t, uint32_t i,
                       uint64_t *budget) {
    const etf_node *key = key_of(x, map, i), *other;
    uint32_t hash = 0, at;
    bool same;
    int err = hash_key(view_of(x, key), &hash);

    for (at = hash & t.mask; err == 0 && t.slot[at] != 0;
         at = (at + 1) & t.mask) {
        if (!spend(budget, ((at - hash) & t.mask) < STEPS_MAX ? 1 : UINT64_MAX))
            return CN_ELIMIT;
        if (((t.slot[at] ^ hash) & ~t.mask) != 0)
            continue;
        other = key_of(x, map, (t.slot[at] & t.mask) - 1);
        if (!spend(budget, cost(view_of(x, key), view_of(x, other))))
            return CN_ELIMIT;
        err = same_keys(x, view_of(x, key), view_of(x, other), &same);
        if (err == 0 && same)
            err = equal_key(x, key);
    }
    t.slot[at] = (hash & ~t.mask) | (i + 1);
    return err;
}

static int table_fill(etf_index *x, const etf_node *map, uint64_t *budget) {
    table t = table_of(x, map);
    int err = 0;

    memset(t.slot, 0, ((size_t)t.mask + 1) * sizeof *t.slot);
    for (uint32_t i = 0; i < map->n && err == 0; i++)
        err = table_enter(x, map, t, i, budget);
    return err;
}

/* Is key j that of a pair before it? */
static int differs(etf_index *x, const etf_node *map, uint32_t j,
                   uint64_t *budget) {
    const etf_node *key = key_of(x, map, j);
    etf_view b = view_of(x, key);
    bool same;
    int err;

    for (uint32_t i = 0; i < j; i++) {
        etf_view a = view_of(x, key_of(x, map, i));
        int known = same_bytes(a, b);
        if (known == 0)
            continue;
        if (known == 1)
            return equal_key(x, key);
        if (!spend(budget, cost(a, b)))
            return CN_ELIMIT;
        err = same_keys(x, a, b, &same);
        if (err != 0 || same)
            return err != 0 ? err : equal_key(x, key);
    }
    return 0;
}

int etf__keys_enter(etf_index *x, const etf_node *map, uint64_t *budget) {
    int err = 0;

    if (map->n > ETF__MAP_FEW)
        return table_fill(x, map, budget);
    for (uint32_t j = 1; j < map->n && err == 0; j++)
        err = differs(x, map, j, budget);
    return err;
}

/* --- finding -------------------------------------------------------------- */

/* In each: 0 or CN_ENOENT, or the error of a comparison. */
static int find_few(const etf_index *x, const etf_node *map, etf_view key,
                    uint32_t *at) {
    bool same = false;
    int err;

    for (uint32_t i = 0; i < map->n; i++) {
        err = same_keys(x, view_of(x, key_of(x, map, i)), key, &same);
        *at = i;
        if (err != 0 || same)
            return err;
    }
    return CN_ENOENT;
}

static int find_sorted(const etf_index *x, const etf_node *map, etf_view key,
                       uint32_t *at) {
    uint32_t low = 0, high = map->n;
    int order, err;

    while (low < high) {
        *at = low + (high - low) / 2;
        err = etf_compare_exact(x->alloc, key, view_of(x, key_of(x, map, *at)),
                                &order);
        if (err != 0 || order == 0)
            return err;
        if (order < 0)
            high = *at;
        else
            low = *at + 1;
    }
    return CN_ENOENT;
}

/* No key is further from its slot than STEPS_MAX, but the slots that are in use
 * may go on much longer. */
static int find_hashed(const etf_index *x, const etf_node *map, etf_view key,
                       uint32_t *at) {
    table t = table_of(x, map);
    uint32_t hash = 0;
    bool same = false;
    int err = hash_key(key, &hash);

    for (uint32_t step = 0; err == 0 && step <= STEPS_MAX; step++) {
        uint32_t i = (hash + step) & t.mask;
        if (t.slot[i] == 0)
            break;
        if (((t.slot[i] ^ hash) & ~t.mask) != 0)
            continue;
        *at = (t.slot[i] & t.mask) - 1;
        err = same_keys(x, view_of(x, key_of(x, map, *at)), key, &same);
        if (same)
            return 0;
    }
    return err != 0 ? err : CN_ENOENT;
}

static int find(const etf_index *x, const etf_node *map, etf_view key,
                const etf_node **out) {
    uint32_t at = 0;
    int err;

    *out = NULL;
    if (map == NULL)
        return CN_ENOENT;
    if (etf_index_type(x, map) != ETF_MAP)
        return CN_ETYPE;
    if (map->n <= ETF__MAP_FEW)
        err = find_few(x, map, key, &at);
    else if (x->sorted)
        err = find_sorted(x, map, key, &at);
    else
        err = find_hashed(x, map, key, &at);
    if (err == 0)
        *out = key_of(x, map, at) + 1;
    return err;
}

int etf_index_get(const etf_index *x, const etf_node *map, etf_view key,
                  const etf_node **out) {
    cn_cursor c = cn__cursor(key.data, key.len);
    etf__head h;
    int err = etf__head_read(&c, &h);

    *out = NULL;
    return err != 0 ? err : find(x, map, key, out);
}

const etf_node *etf_index_get_atom(const etf_index *x, const etf_node *map,
                                   const char *key) {
    uint8_t room[3 + ETF__ATOM_BYTES];
    const etf_node *out = NULL;
    size_t n = strlen(key);
    uint8_t *p = room;

    if (n > ETF__ATOM_BYTES)
        return NULL;
    if (n <= UINT8_MAX)
        p = cn__put8(cn__put8(p, ETF__SMALL_ATOM_UTF8), (uint8_t)n);
    else
        p = cn__put16(cn__put8(p, ETF__ATOM_UTF8), (uint16_t)n);
    p = cn__put_bytes(p, key, n);
    (void)find(x, map, (etf_view){room, (size_t)(p - room)}, &out);
    return out;
}
