/* SPDX-License-Identifier: Apache-2.0
 *
 * lines.c: stderr without stdio. poll tells whether a pipe has room for
 * PIPE_BUF bytes, so as many are written at once.
 */
#include "cli/lines.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/deadline.h"

static const char *dropping; /* the program; NULL: lines wait */
static unsigned long lost;

static int wait_ms(void) {
    uint32_t ms = cli_deadline_left_ms();

    if (dropping != NULL)
        return 0;
    return ms > INT_MAX ? -1 : (int)ms;
}

static bool has_room(void) {
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    int rc;

    do
        rc = poll(&p, 1, wait_ms());
    while (rc < 0 && errno == EINTR);
    return rc > 0;
}

/* False: there was no room for all of it. An error is nothing that could be
 * told to anybody. */
static bool put(const char *text, size_t n) {
    while (n > 0) {
        ssize_t did;

        if (!has_room())
            return false;
        did = write(STDERR_FILENO, text, n < PIPE_BUF ? n : PIPE_BUF);
        if (did < 0 && errno == EINTR)
            continue;
        if (did < 0)
            return errno != EAGAIN;
        text += did;
        n -= (size_t)did;
    }
    return true;
}

void cli_lines_drop(const char *program) {
    dropping = program;
}

void cli_lines_lost(void) {
    char text[200];
    int n;

    if (lost == 0)
        return;
    n = snprintf(text, sizeof text,
                 "%.50s: warning: %lu lines of the log were lost\n", dropping,
                 lost);
    if (n > 0 && put(text, (size_t)n))
        lost = 0;
}

void cli_line(const char *fmt, ...) {
    char text[CLI_LINE_MAX + 1];
    /* Half a line would be worse than none. */
    size_t cap = dropping != NULL ? PIPE_BUF : sizeof text, n;
    va_list ap;
    int made;

    va_start(ap, fmt);
    made = vsnprintf(text, cap, fmt, ap);
    va_end(ap);
    if (made < 0)
        return;
    n = (size_t)made < cap ? (size_t)made : cap - 1;
    text[n++] = '\n';
    cli_lines_lost();
    if ((lost > 0 || !put(text, n)) && dropping != NULL)
        lost++;
}
