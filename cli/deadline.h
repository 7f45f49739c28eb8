/* SPDX-License-Identifier: Apache-2.0
 *
 * deadline.h: --timeout, which is for the whole command: how much of it is
 * left, and how what blocks without end is given up, such as the writing to a
 * pipe that nobody reads.
 */
#ifndef CLI_DEADLINE_H
#define CLI_DEADLINE_H

#include "cli/options.h"

/* The time begins to run. o must stay. */
void cli_deadline_start(const cli_options *o);
/* UINT32_MAX: there is no limit. */
uint32_t cli_deadline_left_ms(void);

/* What follows may take any time: there is no limit from now on. */
void cli_deadline_lift(void);

/* From here to cli_deadline_unguard the program ends with status when the time
 * is up, and says "what within N s", unless what is NULL. Guards may be
 * nested: the outermost counts. */
void cli_deadline_guard(int status, const char *what);
void cli_deadline_unguard(void);

/* Nanoseconds of a monotonic clock. */
uint64_t cli_now_ns(void);

#endif
