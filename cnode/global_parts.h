/* SPDX-License-Identifier: Apache-2.0
 *
 * global_parts.h: the part of `global` that a visible node needs (internal).
 */
#ifndef CNODE_GLOBAL_PARTS_H
#define CNODE_GLOBAL_PARTS_H

#include "cnode/cnode.h"

int cnode__global(cnode *n);

#endif
