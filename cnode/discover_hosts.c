/* SPDX-License-Identifier: Apache-2.0
 *
 * discover_hosts.c: the hosts in a file .hosts.erlang: atoms, each with a dot
 * behind it, and comments from % to the end of the line.
 * https://www.erlang.org/doc/apps/kernel/net_adm.html
 */
#include <string.h>

#include "cnode/discover_parts.h"

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '@';
}

static const char *skip_blanks(const char *p) {
    for (;;) {
        while (is_blank(*p))
            p++;
        if (*p != '%')
            return p;
        p += strcspn(p, "\n");
    }
}

/* Takes the text of an atom, with or without quotes. An escape is any
 * character behind a backslash: hosts have none of the others. */
static int take_atom(const char **at, char *out, size_t cap) {
    bool quoted = **at == '\'';
    const char *p = *at + quoted;
    size_t n = 0;

    if (!quoted && (*p < 'a' || *p > 'z'))
        return CN_ESYNTAX;
    while (quoted ? *p != '\'' : is_plain(*p)) {
        p += *p == '\\';
        if (*p == '\0' || *p == '\n')
            return CN_ESYNTAX;
        if (n + 1 >= cap)
            return CN_ELIMIT;
        out[n++] = *p++;
    }
    out[n] = '\0';
    *at = p + quoted;
    return n == 0 ? CN_ESYNTAX : 0;
}

int cnode__hosts_next(const char **text, char *out, size_t cap) {
    const char *p = *text = skip_blanks(*text);
    int err;

    if (*p == '\0')
        return 0;
    err = take_atom(&p, out, cap);
    if (err != 0)
        return err;
    p = skip_blanks(p);
    if (*p != '.' || (p[1] != '\0' && p[1] != '%' && !is_blank(p[1])))
        return CN_ESYNTAX;
    *text = p + 1;
    return 1;
}
