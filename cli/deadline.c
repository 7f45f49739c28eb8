/* SPDX-License-Identifier: Apache-2.0
 *
 * deadline.c: a timer signal around what may block. Its handler ends the
 * program, for stdio is in the middle of something; all it says is made
 * before. SIGALRM is left to whoever has started this with an alarm.
 */
#include "cli/deadline.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/report.h"
#include "cli/text.h"

static const cli_options *options;
static uint64_t began_ns;
static unsigned guards;
static timer_t timer;
static bool has_timer;
static bool lifted;

/* What the handler sees. */
static char said[1024];
static volatile size_t said_len;
static volatile sig_atomic_t last_status;

uint32_t cli_deadline_left_ms(void) {
    uint64_t gone = (cli_now_ns() - began_ns) / 1000000;

    if (options == NULL || options->timeout_ms == 0 || lifted)
        return UINT32_MAX;
    return gone >= options->timeout_ms ? 0
                                       : options->timeout_ms - (uint32_t)gone;
}

void cli_deadline_lift(void) {
    lifted = true;
}

static void leave(int sig) {
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t did = 0;

    (void)sig;
    if (said_len > 0 && poll(&p, 1, 0) > 0)
        did = write(STDERR_FILENO, said, said_len);
    (void)did; /* an error could not be told anyhow */
    _exit((int)last_status);
}

static size_t make_text(const char *what) {
    char start[CLI_LINE_START], tame[512];
    int n;

    if (what == NULL || options->verbose < 0)
        return 0;
    (void)snprintf(tame, sizeof tame, "%s", what);
    cli_tame(tame);
    n = snprintf(said, sizeof said, "%s%s within %g s\nhint: %s\n",
                 cli_line_start(options, start), tame, options->timeout_s,
                 cli_hint(CN_ETIMEDOUT));
    return n > 0 && (size_t)n < sizeof said ? (size_t)n : 0;
}

void cli_deadline_start(const cli_options *o) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                             .sigev_signo = SIGRTMIN};
    sigset_t set;

    options = o;
    began_ns = cli_now_ns();
    (void)signal(SIGRTMIN, leave);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGRTMIN);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    has_timer = timer_create(CLOCK_MONOTONIC, &event, &timer) == 0;
}

static void set_timer(uint32_t ms, long ns) {
    struct itimerspec t = {.it_value = {ms / 1000, ms % 1000 * 1000000L + ns}};

    if (has_timer)
        (void)timer_settime(timer, 0, &t, NULL);
}

void cli_deadline_guard(int status, const char *what) {
    uint32_t ms = cli_deadline_left_ms();

    if (guards++ > 0 || ms == UINT32_MAX)
        return;
    last_status = status;
    said_len = make_text(what);
    set_timer(ms, 1); /* none at all would be no timer */
}

void cli_deadline_unguard(void) {
    if (--guards == 0)
        set_timer(0, 0);
}

uint64_t cli_now_ns(void) {
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}
