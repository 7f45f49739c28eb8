/* SPDX-License-Identifier: Apache-2.0
 *
 * cookie.c: where the cookie comes from. It is never printed, and wiped when
 * the node has its copy.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/session.h"

/* A plain memset of memory that is not read any more may be left out by the
 * compiler. */
void cli_cookie_wipe(cli_cookie *c) {
    explicit_bzero(c->text, sizeof c->text);
}

/* Up to the first newline, which Erlang allows at the end. */
static bool plausible(cli_cookie *c) {
    c->text[strcspn(c->text, "\r\n")] = '\0';
    for (const char *p = c->text; *p != '\0'; p++)
        if (*p < ' ' || *p > '~')
            return false;
    /* An atom, in Erlang. */
    return c->text[0] != '\0' && strlen(c->text) <= 255;
}

/* Whoever has the other end of a pipe may never write. */
static bool comes_in_time(int fd, uint64_t until_ns) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint64_t now;
    int rc;

    do {
        now = cli_now_ns();
        rc = now >= until_ns
                 ? 0
                 : poll(&p, 1, (int)((until_ns - now) / 1000000 + 1));
    } while (rc < 0 && errno == EINTR);
    if (rc == 0)
        errno = ETIMEDOUT;
    return rc > 0;
}

/* What is behind a NUL is not a cookie's, nor what is before. */
static int read_fd(cli_cookie *c, int fd, uint32_t ms) {
    uint64_t until_ns = cli_now_ns() + (uint64_t)ms * 1000000;
    size_t n = 0;

    while (n < sizeof c->text - 1) {
        ssize_t got = -1;

        if (comes_in_time(fd, until_ns))
            got = read(fd, c->text + n, sizeof c->text - 1 - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
        /* Whoever writes to a pipe may keep it open. */
        if (memchr(c->text + n - got, '\n', (size_t)got) != NULL)
            break;
    }
    c->text[n] = '\0';
    if (memchr(c->text, '\0', n) != NULL)
        cli_cookie_wipe(c);
    c->own = true;
    return 0;
}

static void warn_if_open(const cli_options *o, int fd, const char *path) {
    struct stat st;

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        cli_say(o,
                "warning: other users may read the cookie in %s; "
                "`chmod 600 %s` keeps it secret",
                path, path);
}

static int unreadable(const cli_options *o, const cli_cookie *c, int error) {
    if (error == ETIMEDOUT) {
        cli_say(o, "no cookie came from %s within %g s", c->source,
                o->timeout_s);
        return CLI_TIMEOUT;
    }
    cli_say(o, "cannot read the cookie from %s: %s", c->source,
            strerror(error));
    return CLI_LOCAL;
}

static int judge(const cli_options *o, cli_cookie *c) {
    if (plausible(c))
        return 0;
    cli_cookie_wipe(c);
    cli_say(o,
            "%s holds no cookie: that is a line of 1 to 255 printable ASCII "
            "characters",
            c->source);
    return CLI_LOCAL;
}

static int from_file(const cli_options *o, cli_cookie *c) {
    /* A FIFO that nobody writes to would hold up open. */
    int fd = open(o->cookie_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int rc;

    (void)snprintf(c->source, sizeof c->source, "file %s", o->cookie_file);
    if (fd < 0)
        return unreadable(o, c, errno);
    warn_if_open(o, fd, o->cookie_file);
    rc = read_fd(c, fd, cli_deadline_left_ms());
    if (rc != 0)
        rc = unreadable(o, c, errno);
    (void)close(fd);
    return rc != 0 ? rc : judge(o, c);
}

static int from_fd(const cli_options *o, cli_cookie *c) {
    (void)snprintf(c->source, sizeof c->source, "descriptor %d", o->cookie_fd);
    if (read_fd(c, o->cookie_fd, cli_deadline_left_ms()) != 0)
        return unreadable(o, c, errno);
    return judge(o, c);
}

static int from_option(const cli_options *o, cli_cookie *c) {
    size_t n = strlen(o->cookie);

    (void)snprintf(c->source, sizeof c->source, "--cookie");
    c->own = true;
    cli_say(o, "warning: other users of this machine can read what stands "
               "after --cookie; use --cookie-file");
    memcpy(c->text, o->cookie, n < sizeof c->text ? n : sizeof c->text - 1);
    return judge(o, c);
}

static bool warn_if_open_in(const cli_options *o, const char *dir,
                            const char *rest) {
    char path[4096];
    int fd;

    if (dir == NULL ||
        snprintf(path, sizeof path, "%s%s", dir, rest) >= (int)sizeof path)
        return false;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    warn_if_open(o, fd, path);
    (void)close(fd);
    return true;
}

/* The library reads it, and tells where it was. */
static void look_at_default(const cli_options *o) {
    if (getenv("CNODE_COOKIE") == NULL &&
        !warn_if_open_in(o, getenv("HOME"), "/.erlang.cookie"))
        (void)warn_if_open_in(o, getenv("XDG_CONFIG_HOME"),
                              "/erlang/.erlang.cookie");
}

int cli_cookie_read(const cli_options *o, cli_cookie *c) {
    memset(c, 0, sizeof *c);
    if (o->cookie_file != NULL)
        return from_file(o, c);
    if (o->cookie_fd >= 0)
        return from_fd(o, c);
    if (o->cookie != NULL)
        return from_option(o, c);
    look_at_default(o);
    return 0;
}
