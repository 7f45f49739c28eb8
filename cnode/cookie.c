/* SPDX-License-Identifier: Apache-2.0
 *
 * cookie.c: finds the cookie where Erlang looks for it. Section "Security" of
 * the chapter Distributed Erlang.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cnode/digest.h"
#include "cnode/node.h"

static bool acceptable(const char *cookie) {
    for (const char *p = cookie; *p != '\0'; p++)
        if (*p < 32 || *p > 126)
            return false;
    return cookie[0] != '\0';
}

static int read_file(const char *path, char *cookie, size_t cap, cn_error *e) {
    char line[CNODE__COOKIE_MAX + 3];
    FILE *f = fopen(path, "re");
    bool got;

    if (f == NULL)
        return cn__fail(e, CN_EIO, errno, "cookie file %.120s: %s", path,
                        strerror(errno));
    (void)setvbuf(f, NULL, _IONBF, 0); /* no copy stays in a buffer */
    got = fgets(line, sizeof line, f) != NULL;
    (void)fclose(f);
    line[got ? strcspn(line, "\r\n") : 0] = '\0';
    if (!acceptable(line) || strlen(line) >= cap) {
        cnode__wipe(line, sizeof line);
        return cn__fail(e, CN_EIO, 0,
                        "cookie file %.120s: it does not begin with a line of "
                        "1 to %zu printable characters",
                        path, cap - 1);
    }
    memcpy(cookie, line, strlen(line) + 1);
    cnode__wipe(line, sizeof line);
    return 0;
}

static int from_environment(const char *value, char *cookie, size_t cap,
                            cn_error *e) {
    if (!acceptable(value) || strlen(value) >= cap)
        return cn__fail(e, CN_EIO, 0,
                        "$CNODE_COOKIE has not 1 to %zu printable characters",
                        cap - 1);
    memcpy(cookie, value, strlen(value) + 1);
    return 0;
}

static bool try_path(const char *dir, const char *name, char *cookie,
                     size_t cap, char *from, size_t from_cap) {
    char path[1024];
    cn_error e;

    if (dir == NULL ||
        snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return false;
    (void)snprintf(from, from_cap, "%.200s", path);
    return read_file(path, cookie, cap, &e) == 0;
}

int cnode__read_cookie(const char *file, char *cookie, size_t cap, char *from,
                       size_t from_cap, cn_error *e) {
    const char *value = getenv("CNODE_COOKIE");
    const char *home = getenv("HOME");

    if (file != NULL) {
        (void)snprintf(from, from_cap, "%.200s", file);
        return read_file(file, cookie, cap, e);
    }
    if (value != NULL) {
        (void)snprintf(from, from_cap, "$CNODE_COOKIE");
        return from_environment(value, cookie, cap, e);
    }
    if (try_path(home, ".erlang.cookie", cookie, cap, from, from_cap)) {
        (void)snprintf(from, from_cap, "~/.erlang.cookie");
        return 0;
    }
    if (try_path(getenv("XDG_CONFIG_HOME"), "erlang/.erlang.cookie", cookie,
                 cap, from, from_cap))
        return 0;
    return cn__fail(e, CN_EIO, 0,
                    "no cookie: give one, or set $CNODE_COOKIE, or make "
                    "~/.erlang.cookie");
}
