/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_json_fuzz.c: bytes as a term or, when they are none, as JSON. What is
 * understood is printed as JSON and comes back as the same bytes; but for
 * maps that have a key twice, which are no terms of Erlang.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void roundtrip(etf_view term) {
    char *text = NULL, why[CLI_JSON_WHY] = "";
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    etf_writer w;
    etf_view back = {0};

    etf_writer_init(&w, NULL);
    if (f == NULL || cli_json_print(term, f) != 0 || fclose(f) != 0)
        abort();
    if (cli_json_parse(&w, text, len, why) == 0)
        (void)etf_writer_finish(&w, &back);
    if (!etf_view_eq(term, back) && strstr(why, "duplicate") == NULL)
        abort();
    etf_writer_free(&w);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char why[CLI_JSON_WHY];
    etf_view term = {data, size};
    etf_writer w;

    etf_writer_init(&w, NULL);
    if (etf_check(NULL, NULL, term, NULL) == 0 ||
        (cli_json_parse(&w, (const char *)data, size, why) == 0 &&
         etf_writer_finish(&w, &term) == 0 &&
         etf_check(NULL, NULL, term, NULL) == 0))
        roundtrip(term);
    etf_writer_free(&w);
    return 0;
}
