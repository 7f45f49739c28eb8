/* SPDX-License-Identifier: Apache-2.0
 *
 * serve.h: what `cnode serve` offers: its processes and functions.
 */
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include <cnode/cnode.h>

#include "cli/options.h"

/* Must outlive the node. */
typedef struct cli_server {
    const cli_options *o;
    cnode *node;
    uint64_t began_ms;   /* cnode_now at the start */
    bool stopping;       /* processes that end are not started again */
    uint64_t dropped;    /* messages that echo did not know */
    uint64_t unsent;     /* answers that could not be sent */
    uint64_t sink_count; /* messages, and their external size */
    uint64_t sink_bytes;
    etf_pid asker; /* of mortal; no node: nobody asked yet */
} cli_server;

/* The sources of --discover, for a node; without one the words are only looked
 * at. 0 or an exit status, with the reason told. */
int cli_serve_discover(const cli_options *o, cnode *n);
/* The processes echo, sink and mortal, and cnode:loop/0. 0 or CN_E*. */
int cli_serve_processes(cli_server *s);
/* The functions cnode:echo/1, add/2, info/0, sleep/1, fail/1. 0 or CN_E*. */
int cli_serve_functions(cli_server *s);

#endif
