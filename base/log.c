/* SPDX-License-Identifier: Apache-2.0
 *
 * log.c: one line of log, without control characters, cut when it is very long.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"

/* Names that others give may hold anything: they neither end the line, so that
 * what follows looks like another, nor steer a terminal. */
static void make_plain(char *line) {
    for (; *line != '\0'; line++)
        if (((unsigned char)*line < ' ' && *line != '\t') || *line == 127)
            *line = '?';
}

void cn__log_line(const cn_log *l, cn_level level, const char *where,
                  const char *fmt, ...) {
    char line[1024];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    make_plain(line);
    l->fn(l->ctx, level, where, line);
}
