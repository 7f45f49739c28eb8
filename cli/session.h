/* SPDX-License-Identifier: Apache-2.0
 *
 * session.h: a node for the time of one command: its name and cookie, the
 * connection to one peer, and a deadline for all of it.
 */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include <cnode/cnode.h>

#include "cli/capture.h"
#include "cli/deadline.h"
#include "cli/options.h"
#include "cli/report.h"
#include "cli/text.h"

#define CLI_COOKIE_MAX 1024

/* Where the cookie came from, and itself unless the library reads it. */
typedef struct cli_cookie {
    char source[200]; /* for a person to read; empty: the library knows */
    bool own;         /* text is it */
    char text[CLI_COOKIE_MAX];
} cli_cookie;

/* By --cookie-file, --cookie-fd or --cookie; else the library looks at its
 * places. 0 or an exit status, with the reason told. */
int cli_cookie_read(const cli_options *o, cli_cookie *c);
void cli_cookie_wipe(cli_cookie *c);

/* Where the log of a node goes: to stderr. */
typedef struct cli_log {
    const cli_options *o;
    bool muted; /* unless --verbose: what goes wrong is told once, at the end */
} cli_log;
/* Log lines to stderr, of the level that -q, -v and -vv ask for. */
cn_log cli_log_hook(cli_log *log);

/* The fields of a node's configuration that all commands share. The cookie
 * must live until cnode_new, the log as long as the node. */
void cli_node_config(cli_log *log, const cli_cookie *c, cnode_config *out);
/* The node could not be made. Returns the exit status. */
int cli_say_no_node(const cli_options *o, const cli_cookie *c, int status,
                    const cn_error *err);
/* What --address says is none. Returns CLI_USAGE. */
int cli_bad_address(const cli_options *o);
/* Tells why a peer could not be reached; returns the exit status. err may be
 * NULL. */
int cli_say_unreached(const cli_options *o, const char *peer,
                      const cli_cookie *c, int status, const cn_error *err);

typedef struct cli_session cli_session;
struct cli_session {
    const cli_options *o;
    cnode *node;
    cnode_proc *proc;        /* for calls, messages and time */
    char peer[CLI_NAME_MAX]; /* the node the command is about */
    cli_cookie cookie;       /* one descriptor can be read only once */
    cli_log log;
    cli_capture capture;
    bool may_rename; /* a broken handshake may be about our having no name */
    bool up;         /* the connection */
    bool ended;
    int status;          /* exit status, once ended */
    const char *verdict; /* a word before what went wrong, or NULL */
    /* The connection is up: runs once; ends with cli_session_end. */
    void (*start)(cli_session *s);
    void *data;
};

/* Runs a command on a peer: reads the cookie, makes the node, connects and
 * starts. s has o, start and data set. Returns the exit status, with stdout
 * flushed. */
int cli_session_run(cli_session *s, const char *peer);
/* Ends it; cli_session_run returns status. Later calls change nothing. */
void cli_session_end(cli_session *s, int status);
/* Ends it by a CN_E* code of a call that failed here. */
void cli_session_fail(cli_session *s, int code);
/* Ends it well once the peer has read all that was sent to it: nothing answers
 * a message, and a connection that is closed while the other side still sends
 * may take with it what has not been read there. */
void cli_session_end_when_taken(cli_session *s);
/* The peer has answered a call that ended so, well or not. */
bool cli_is_answer(int status);
/* The node that the peer believes we are asks its net_kernel, as
 * net_adm:ping/1 does, and gets `yes`. 0 or a CN_E* code. */
int cli_session_ping(cli_session *s, cnode_call_cb cb);

#endif
