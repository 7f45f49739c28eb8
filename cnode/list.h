/* SPDX-License-Identifier: Apache-2.0
 *
 * list.h: the doubly linked ring of base/list.h under the names that the files
 * of a node use (internal).
 */
#ifndef CNODE_LIST_H
#define CNODE_LIST_H

#include "base/list.h"

typedef cn__list cnode__list;

#define cnode__list_init cn__list_init
#define cnode__list_empty cn__list_empty
#define cnode__list_add cn__list_add
#define cnode__list_leave cn__list_leave
#define cnode__list_move cn__list_move
#define cnode__list_of cn__list_of
#define cnode__list_first cn__list_first

#endif
