/* SPDX-License-Identifier: Apache-2.0
 *
 * output.h: a process that is the group leader of what runs on another node:
 * what is written there appears on our stdout.
 * https://www.erlang.org/doc/apps/stdlib/io_protocol.html
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdio.h>

#include <cnode/cnode.h>

typedef struct cli_output cli_output;

/* Makes the process; what is written goes to `to`, or is dropped when that is
 * NULL. 0, CN_ENOMEM. */
int cli_output_new(cli_output **out, cnode *n, FILE *to);
/* After the node is gone. NULL is allowed. */
void cli_output_free(cli_output *out);

etf_pid cli_output_pid(const cli_output *out);
/* fn(arg) when all that was asked for is written: now, or later. */
void cli_output_when_idle(cli_output *out, void (*fn)(void *arg), void *arg);

/* fn(arg) when what comes cannot be written any more. */
void cli_output_when_broken(cli_output *out, void (*fn)(void *arg), void *arg);

typedef enum cli_encoding {
    CLI_UTF8,   /* binaries are UTF-8 */
    CLI_LATIN1, /* binaries are latin-1; written in UTF-8 as well */
    CLI_BYTES   /* all are bytes, written as they are */
} cli_encoding;

/* Writes chardata: characters, binaries and lists of those. 0, or CN_ETYPE
 * before anything is written. `to` may be NULL. */
int cli_put_chars(etf_view chars, cli_encoding e, FILE *to);

#endif
