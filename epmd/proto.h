/* SPDX-License-Identifier: Apache-2.0
 *
 * proto.h: what the server needs of the messages beyond epmd.h (internal).
 */
#ifndef EPMD_PROTO_H
#define EPMD_PROTO_H

#include "epmd/epmd.h"

enum {
    EPMD__BODY_MAX = 3057, /* of a request; OTP's server refuses longer ones */
    EPMD__NAME_CHARS = 255 /* the most of a name, in characters */
};

/* How many characters the name has; 0: none, or it is not UTF-8 without
 * NUL. */
size_t epmd__name_chars(epmd_view name);

#endif
