/* SPDX-License-Identifier: Apache-2.0
 *
 * error.h: fill and wrap a cn_error (internal).
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/base.h"

/* Store code, errno and text; returns code. */
int cn__fail(cn_error *e, int code, int os_error, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Put "context: " before the text that is there; returns e->code. */
int cn__wrap(cn_error *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
