/* SPDX-License-Identifier: Apache-2.0
 *
 * json.h: terms as JSON and back, without loss: what cli_json_parse makes of
 * the text of cli_json_print is the same bytes again. The mapping is in
 * cnode(1), section JSON.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdio.h>

#include <ext_term/ext_term.h>

/* One line without newline. 0, CN_ENOMEM, CN_EIO or the error of the term. */
int cli_json_print(etf_view term, FILE *out);

#define CLI_JSON_WHY 200

/* 0, or CN_ESYNTAX with why, or CN_ENOMEM. */
int cli_json_parse(etf_writer *w, const char *text, size_t len,
                   char why[CLI_JSON_WHY]);

#endif
