/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_text_fuzz.c: bytes as what the command line, an answer of EPMD and a
 * called process give: names, hexadecimal digits, text for a terminal, and
 * terms that are to be written as characters, as they are or by a format.
 */
#include <stdlib.h>
#include <string.h>

#include <cnode/io.h>

#include "cli/text.h"

#define REQUIRE(what)                                                          \
    do {                                                                       \
        if (!(what))                                                           \
            abort();                                                           \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void names(const char *text) {
    char node[CLI_NAME_MAX], m[CLI_ATOM_MAX], f[CLI_ATOM_MAX];

    if (cli_node_name(text, node) == 0)
        REQUIRE(strchr(node, '@') != NULL && cli_is_utf8(node, strlen(node)));
    if (cli_mod_fun(text, m, f) == 0)
        REQUIRE(cli_is_utf8(m, strlen(m)) && cli_is_utf8(f, strlen(f)));
}

static void hex(const char *text, size_t len) {
    uint8_t *bytes = malloc(len / 2 + 1);
    long n;

    REQUIRE(bytes != NULL);
    n = cli_hex_parse(text, len, bytes);
    REQUIRE(n <= (long)(len / 2));
    free(bytes);
}

static void tame(char *text) {
    size_t len = strlen(text);

    cli_tame(text);
    REQUIRE(strlen(text) == len);
    for (size_t i = 0; i < len; i++)
        REQUIRE((unsigned char)text[i] >= ' ' && text[i] != 0x7f);
}

static void put_file(void *ctx, const void *text, size_t len) {
    REQUIRE(fwrite(text, 1, len, ctx) == len);
}

/* All or nothing; and UTF-8, unless bytes are asked for. */
static void chars(etf_view term, cnode_io_encoding e) {
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    int rc;

    REQUIRE(f != NULL);
    rc = cnode_io_chars(term, e, put_file, f);
    REQUIRE(fclose(f) == 0);
    REQUIRE(rc == 0 || len == 0);
    REQUIRE(e == CNODE_IO_BYTES || cli_is_utf8(text, len));
    free(text);
}

/* [Format, Args] */
static void format(etf_view term) {
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    etf_view form, args;

    REQUIRE(f != NULL);
    if (etf_match(term, "[~t, ~t]", &form, &args) == 0)
        (void)cnode_io_lib_format(NULL, form, args, put_file, f);
    REQUIRE(fclose(f) == 0);
    REQUIRE(cli_is_utf8(text, len));
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    etf_view term = {data, size};
    char *text = malloc(size + 1);

    REQUIRE(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    names(text);
    hex(text, size);
    tame(text);
    if (etf_check(NULL, NULL, term, NULL) == 0) {
        for (int e = CNODE_IO_UNICODE; e <= CNODE_IO_BYTES; e++)
            chars(term, (cnode_io_encoding)e);
        format(term);
    }
    free(text);
    return 0;
}
