/* SPDX-License-Identifier: Apache-2.0
 *
 * commands.h: the commands. Each gets the options, with its words in args,
 * and returns the exit status.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"

int cli_ping(const cli_options *o);
int cli_names(const cli_options *o);
int cli_call(const cli_options *o);
int cli_cast(const cli_options *o);
int cli_send(const cli_options *o);
int cli_global(const cli_options *o);
int cli_term(const cli_options *o);
int cli_dump(const cli_options *o);
int cli_serve(const cli_options *o);
int cli_epmd(const cli_options *o);
int cli_pg(const cli_options *o);

#endif
