/* SPDX-License-Identifier: Apache-2.0
 *
 * builtin_pg.c: functions of the module `pg` that other nodes, shells and tools
 * apply here by rpc: what this node knows of the groups of a scope. As there a
 * scope that does not run here is badarg.
 */
#include "cnode/node.h"
#include "cnode/pg.h"

/* --- arguments ----------------------------------------------------------- */

/* "pg", when none is given. */
static cnode_pg *scope_of(const cnode_proc *self, const etf_view *scope) {
    char name[CNODE__ATOM_TEXT];

    if (scope == NULL)
        return cnode_pg_find(self->node, NULL);
    return cnode__string_of(*scope, name, sizeof name)
               ? cnode_pg_find(self->node, name)
               : NULL;
}

/* [] or [Scope]. */
static cnode_pg *only_scope(const cnode_proc *self, etf_view args) {
    etf_view scope;

    if (etf_match(args, "[]") == 0)
        return scope_of(self, NULL);
    return etf_match(args, "[~a]", &scope) == 0 ? scope_of(self, &scope) : NULL;
}

/* [Group] or [Scope, Group]. */
static cnode_pg *scope_and_group(const cnode_proc *self, etf_view args,
                                 etf_view *group) {
    etf_view scope;

    if (etf_match(args, "[~t]", group) == 0)
        return scope_of(self, NULL);
    return etf_match(args, "[~a, ~t]", &scope, group) == 0
               ? scope_of(self, &scope)
               : NULL;
}

/* --- functions ----------------------------------------------------------- */

static int put_members(const cnode_proc *self, etf_view args, bool local,
                       etf_writer *out) {
    cnode_pg_place place = {0};
    etf_view group;
    etf_pid pid;
    cnode_pg *s = scope_and_group(self, args, &group);

    if (s == NULL)
        return CN_EBADARG;
    etf_begin_list(out);
    while (cnode_pg_next_member(s, group, &place, &pid))
        if (!local || cnode__own_pid(self->node, &pid))
            etf_put_pid(out, &pid);
    etf_end_list(out);
    return 0;
}

static int put_groups(const cnode_proc *self, etf_view args, bool local,
                      etf_writer *out) {
    const cnode_pg *s = only_scope(self, args);
    cnode_pg_group group;
    size_t at = 0;

    if (s == NULL)
        return CN_EBADARG;
    etf_begin_list(out);
    while (cnode_pg_next_group(s, &at, &group))
        if (!local || group.local > 0)
            etf_put_term(out, group.term);
    etf_end_list(out);
    return 0;
}

static int get_members(cnode_proc *self, etf_view args, etf_writer *out,
                       void *data) {
    (void)data;
    return put_members(self, args, false, out);
}

static int get_local_members(cnode_proc *self, etf_view args, etf_writer *out,
                             void *data) {
    (void)data;
    return put_members(self, args, true, out);
}

static int which_groups(cnode_proc *self, etf_view args, etf_writer *out,
                        void *data) {
    (void)data;
    return put_groups(self, args, false, out);
}

static int which_local_groups(cnode_proc *self, etf_view args, etf_writer *out,
                              void *data) {
    (void)data;
    return put_groups(self, args, true, out);
}

const cnode__builtin_fn cnode__builtins_pg[] = {
    {"pg", "get_members", 1, {.fn = get_members}},
    {"pg", "get_members", 2, {.fn = get_members}},
    {"pg", "get_local_members", 1, {.fn = get_local_members}},
    {"pg", "get_local_members", 2, {.fn = get_local_members}},
    {"pg", "which_groups", 0, {.fn = which_groups}},
    {"pg", "which_groups", 1, {.fn = which_groups}},
    {"pg", "which_local_groups", 0, {.fn = which_local_groups}},
    {"pg", "which_local_groups", 1, {.fn = which_local_groups}},
    {NULL, NULL, 0, {NULL, NULL}},
};
