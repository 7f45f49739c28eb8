/* SPDX-License-Identifier: Apache-2.0
 *
 * log.h: the level is tested before anything is formatted (internal).
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/base.h"

static inline bool cn__logs(const cn_log *l, cn_level level) {
    return l->fn != NULL && level <= l->level;
}

void cn__log_line(const cn_log *l, cn_level level, const char *where,
                  const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#define cn__log(l, level, ...)                                                 \
    do {                                                                       \
        if (cn__logs((l), (level)))                                            \
            cn__log_line((l), (level), __VA_ARGS__);                           \
    } while (0)

#endif
