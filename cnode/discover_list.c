/* SPDX-License-Identifier: Apache-2.0
 *
 * discover_list.c: a source that always names the same nodes.
 */
#include <string.h>

#include "cnode/discover_parts.h"

typedef struct list {
    size_t size;  /* of all of it */
    char names[]; /* each with its NUL */
} list;

static void start(cnode_source *s, void *data) {
    const list *l = data;
    const char *end = l->names + l->size - sizeof *l;
    int err = 0;

    cnode__source_by_hand(s);
    for (const char *p = l->names; p < end && err == 0; p += strlen(p) + 1)
        err = cnode_source_found(s, p);
    if (err != 0)
        cnode_source_failed(s, err, cnode_error(cnode_source_node(s))->text);
}

static void stop(cnode_source *s, void *data) {
    list *l = data;

    cn__free(&cnode_source_node(s)->alloc, l, 1, l->size);
}

static int check(cnode *n, const char *const *nodes, size_t count,
                 size_t *size) {
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(nodes[i]);
        if (len > CNODE__NAME_MAX || !cnode__name_ok(nodes[i]))
            return cnode__err(
                n, CN_EBADARG,
                "'%.100s' is no node name; it looks like name@host", nodes[i]);
        *size += len + 1;
    }
    return 0;
}

int cnode_discover_list(cnode *n, const char *const *nodes, size_t count,
                        cnode_source **out) {
    size_t size = sizeof(list);
    cnode_source_config c = {.name = "list", .start = start, .stop = stop};
    char *at;
    list *l;
    int err = count > UINT32_MAX ? CN_ELIMIT : check(n, nodes, count, &size);

    if (err != 0)
        return err;
    l = cn__calloc(&n->alloc, 1, size);
    if (l == NULL)
        return cnode__err(n, CN_ENOMEM, "out of memory");
    l->size = size;
    at = l->names;
    for (size_t i = 0; i < count; i++) {
        memcpy(at, nodes[i], strlen(nodes[i]) + 1);
        at += strlen(nodes[i]) + 1;
    }
    c.data = l;
    c.max_nodes = count == 0 ? 1 : (uint32_t)count;
    err = cnode_source_add(n, &c, out);
    if (err != 0)
        cn__free(&n->alloc, l, 1, size);
    return err;
}
