/* SPDX-License-Identifier: Apache-2.0
 *
 * capture.h: --capture FILE: what crosses the connections of this command, in
 * a file.
 */
#ifndef CLI_CAPTURE_H
#define CLI_CAPTURE_H

#include <cnode/capture.h>

#include "cli/options.h"

typedef struct cli_capture {
    const cli_options *o;
    FILE *file;
    cnode_capture *capture; /* NULL without --capture */
} cli_capture;

/* 0, or an exit status after telling why. What happens to the file later is
 * said on stderr. */
int cli_capture_open(const cli_options *o, cli_capture *out);
/* After the node is freed. */
void cli_capture_close(cli_capture *c);

#endif
