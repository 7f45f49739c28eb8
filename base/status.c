/* SPDX-License-Identifier: Apache-2.0
 *
 * status.c: status codes as names and texts, and the error detail objects
 * carry.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

const char *cn_version(void) {
    return CN_VERSION;
}

const char *cn_strerror(int status) {
    switch (status) {
#define CN_STATUS_TEXT(name, value, text)                                      \
    case CN_##name:                                                            \
        return text;
        CN_STATUS_MAP(CN_STATUS_TEXT)
#undef CN_STATUS_TEXT
    default:
        return "unknown status";
    }
}

const char *cn_errname(int status) {
    switch (status) {
#define CN_STATUS_NAME(name, value, text)                                      \
    case CN_##name:                                                            \
        return "CN_" #name;
        CN_STATUS_MAP(CN_STATUS_NAME)
#undef CN_STATUS_NAME
    default:
        return "CN_UNKNOWN";
    }
}

int cn__fail(cn_error *e, int code, int os_error, const char *fmt, ...) {
    va_list ap;

    e->code = code;
    e->os_error = os_error;
    va_start(ap, fmt);
    (void)vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    return code;
}

int cn__wrap(cn_error *e, const char *fmt, ...) {
    char inner[CN_ERROR_TEXT];
    size_t room;
    va_list ap;
    int n;

    memcpy(inner, e->text, sizeof inner);
    va_start(ap, fmt);
    n = vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n + 3 > sizeof e->text)
        return e->code;
    memcpy(e->text + n, ": ", 2);
    room = sizeof e->text - (size_t)n - 3;
    memcpy(e->text + n + 2, inner, strnlen(inner, room));
    e->text[(size_t)n + 2 + strnlen(inner, room)] = '\0';
    return e->code;
}
