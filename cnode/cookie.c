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

static int unreadable(const char *path, int error, cn_error *e) {
    return cn__fail(e, CN_EIO, error, "cookie file %.120s: %s", path,
                    strerror(error));
}

static int read_file(const char *path, char *cookie, size_t cap, cn_error *e) {
    char line[CNODE__COOKIE_MAX + 3];
    FILE *f = fopen(path, "re");
    size_t n, end;
    int error;

    if (f == NULL)
        return unreadable(path, errno, e);
    (void)setvbuf(f, NULL, _IONBF, 0); /* no copy stays in a buffer */
    n = fread(line, 1, sizeof line - 1, f);
    error = ferror(f) ? errno : 0;
    (void)fclose(f);
    if (error != 0)
        return unreadable(path, error, e);
    line[n] = '\0';
    end = strcspn(line, "\r\n");
    if (end < n && line[end] == '\0') /* what is behind a NUL is not read */
        end = 0;
    line[end] = '\0';
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

/* CN_ENOENT: there is no such file. One that is of no use is not passed over:
 * its owner means it. */
static int try_path(const char *dir, const char *name, char *cookie, size_t cap,
                    char *from, size_t from_cap, cn_error *e) {
    char path[1024];
    int rc;

    if (dir == NULL ||
        snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return CN_ENOENT;
    (void)snprintf(from, from_cap, "%.200s", path);
    rc = read_file(path, cookie, cap, e);
    return rc != 0 && (e->os_error == ENOENT || e->os_error == ENOTDIR)
               ? CN_ENOENT
               : rc;
}

int cnode__read_cookie(const char *file, char *cookie, size_t cap, char *from,
                       size_t from_cap, cn_error *e) {
    const char *value = getenv("CNODE_COOKIE");
    const char *home = getenv("HOME");
    int rc;

    if (file != NULL) {
        (void)snprintf(from, from_cap, "%.200s", file);
        return read_file(file, cookie, cap, e);
    }
    if (value != NULL) {
        (void)snprintf(from, from_cap, "$CNODE_COOKIE");
        return from_environment(value, cookie, cap, e);
    }
    rc = try_path(home, ".erlang.cookie", cookie, cap, from, from_cap, e);
    if (rc == 0)
        (void)snprintf(from, from_cap, "~/.erlang.cookie");
    if (rc != CN_ENOENT)
        return rc;
    rc = try_path(getenv("XDG_CONFIG_HOME"), "erlang/.erlang.cookie", cookie,
                  cap, from, from_cap, e);
    if (rc != CN_ENOENT)
        return rc;
    return cn__fail(e, CN_EIO, 0,
                    "no cookie: give one, or set $CNODE_COOKIE, or make "
                    "~/.erlang.cookie");
}
