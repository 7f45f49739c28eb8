/* SPDX-License-Identifier: Apache-2.0
 *
 * log.c: one line of log, cut when it is very long.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"

void cn__log_line(const cn_log *l, cn_level level, const char *where,
                  const char *fmt, ...) {
    char line[1024];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    l->fn(l->ctx, level, where, line);
}
