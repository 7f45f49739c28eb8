/* SPDX-License-Identifier: Apache-2.0
 *
 * text.h: hexadecimal, UTF-8, names and whole files, as the commands need
 * them.
 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include <ext_term/ext_term.h>

/* Two digits a byte, lower case. */
void cli_hex_print(const void *data, size_t n, FILE *out);
/* Bytes of hex digits, with or without blanks between; out has room for
 * len / 2 bytes. How many there were, or -1. */
long cli_hex_parse(const char *text, size_t len, uint8_t *out);

/* Is it UTF-8, without surrogates and overlong forms? */
bool cli_is_utf8(const void *data, size_t n);
/* How many characters UTF-8 has. */
size_t cli_utf8_length(const char *text, size_t n);

/* Makes control characters into question marks: text of others must not steer
 * a terminal, nor be taken for more lines. */
void cli_tame(char *text);

/* All that can be read, with a NUL behind; freed with free(). 0, CN_EIO (see
 * errno) or CN_ENOMEM. */
int cli_read_all(FILE *in, char **out, size_t *len);

#define CLI_NAME_MAX 256 /* with its NUL */

/* The name of a node: NAME@HOST, or NAME alone on this machine's short host
 * name. 0, or -1 when it cannot be one. */
int cli_node_name(const char *given, char out[CLI_NAME_MAX]);
/* cnode_PID@HOST, with a host of the kind that the peer has. */
void cli_own_name(const char *peer, char out[CLI_NAME_MAX]);

/* The text of an atom: a quoted one is unquoted, any other taken as it is.
 * At most 255 characters of UTF-8. 0 or -1. */
#define CLI_ATOM_MAX (255 * 4 + 1)
int cli_atom(const char *given, size_t n, char out[CLI_ATOM_MAX]);
/* MOD:FUN, each an atom, in quotes if it has blanks or brackets. 0 or -1. */
int cli_mod_fun(const char *given, char mod[CLI_ATOM_MAX],
                char fun[CLI_ATOM_MAX]);

/* Writes the term of a text, with or without the dot behind it that Erlang's
 * files have, and comments. As etf_parse_with; *e is where and why it is wrong.
 * CN_ENOENT: there is no term; CN_EEXIST: at e->at there is one more. */
int cli_parse_text(etf_writer *w, const char *text, size_t n, etf_error *e);

/* Nothing but blanks and comments? */
bool cli_is_no_term(const char *text, size_t n);

/* Where in a text the byte at `at` is, both from 1; column counts
 * characters. */
void cli_position(const char *text, size_t at, size_t *row, size_t *column);

#endif
