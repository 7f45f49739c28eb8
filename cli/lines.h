/* SPDX-License-Identifier: Apache-2.0
 *
 * lines.h: lines to stderr. A line waits for room no longer than the command
 * may take, and in a node that serves not at all: whoever does not read its
 * log must not hold up those it serves.
 */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#define CLI_LINE_MAX 8192

/* One line, without its newline. What is beyond CLI_LINE_MAX is left out. */
void cli_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* From now on lines without room are dropped and counted, and once there is
 * room it is said how many were. program is what such a line begins with. */
void cli_lines_drop(const char *program);
/* Says it, if there is something to say. */
void cli_lines_lost(void);

#endif
