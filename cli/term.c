/* SPDX-License-Identifier: Apache-2.0
 *
 * term.c: a term from one encoding into another. The input is read whole, and
 * nothing is written before all of it is understood.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/deadline.h"
#include "cli/json.h"
#include "cli/report.h"
#include "cli/text.h"

enum { VERSION = 131 };

typedef struct input {
    const cli_options *o;
    const char *name; /* for a person to read */
    char *text;
    size_t len;
    etf_writer w; /* the term, without version byte */
} input;

/* --- from etf and hex ---------------------------------------------------- */

static int not_a_term(const input *in, const etf_error *e) {
    if (e->code == CN_ENOMEM)
        return cli_fail(in->o, e->code);
    return cli_usage(in->o, "%s: not a term, at byte %zu%s: %s", in->name,
                     e->at, e->inflated ? " after inflation" : "",
                     *e->what != '\0' ? e->what : "malformed");
}

/* One term and nothing behind it, but for what follows a zlib stream. */
static int from_bytes(input *in, const uint8_t *data, size_t n) {
    const etf_limits limits = {.inflated = UINT32_MAX};
    etf_opened opened;
    etf_error e;
    int rc = etf_open(&opened, NULL, &limits, (etf_view){data, n}, &e);

    if (rc == 0 && opened.owned == NULL && opened.used < n)
        e = (etf_error){CN_EBADTERM, opened.used, "bytes behind it", false};
    if (e.code == 0)
        etf_put_term(&in->w, opened.term);
    etf_close(&opened);
    rc = e.code == 0 ? 0 : not_a_term(in, &e);
    if (n == 0 || data[0] != VERSION)
        cli_say_hint(in->o, "the version byte 131 (hex 83) comes first");
    return rc;
}

static int from_etf(input *in) {
    return from_bytes(in, (const uint8_t *)in->text, in->len);
}

static int from_hex(input *in) {
    uint8_t *data = malloc(in->len / 2 + 1);
    long n;
    int rc;

    if (data == NULL)
        return cli_fail(in->o, CN_ENOMEM);
    n = cli_hex_parse(in->text, in->len, data);
    rc = n < 0 ? cli_usage(in->o, "%s: not hexadecimal", in->name)
               : from_bytes(in, data, (size_t)n);
    free(data);
    return rc;
}

/* --- from text ----------------------------------------------------------- */

static int check_written(input *in) {
    etf_view term;
    int rc = etf_writer_finish(&in->w, &term);

    return rc == 0 ? cli_check_term(in->o, in->name, term)
                   : cli_fail(in->o, rc);
}

static int from_erlang(input *in) {
    etf_error e;
    int rc = cli_parse_text(&in->w, in->text, in->len, &e);

    return rc == 0 ? check_written(in)
                   : cli_bad_text(in->o, rc, in->name, in->text, &e);
}

static int from_json(input *in) {
    char why[CLI_JSON_WHY];
    int rc = cli_json_parse(&in->w, in->text, in->len, why);

    if (rc == CN_ESYNTAX && cli_is_no_term(in->text, in->len))
        return cli_usage(in->o, "%s: no term", in->name);
    if (rc == CN_ESYNTAX)
        return cli_usage(in->o, "%s: %s", in->name, why);
    return rc == 0 ? check_written(in) : cli_fail(in->o, rc);
}

/* --- to ------------------------------------------------------------------ */

static int print_term(cli_format to, etf_view term) {
    int rc;

    switch (to) {
    case CLI_ETF:
        (void)fputc(VERSION, stdout);
        (void)fwrite(term.data, 1, term.len, stdout);
        return 0;
    case CLI_HEX:
        (void)fputs("83", stdout);
        cli_hex_print(term.data, term.len, stdout);
        rc = 0;
        break;
    case CLI_JSON:
        rc = cli_json_print(term, stdout);
        break;
    default:
        rc = etf_print_file(term, stdout);
        break;
    }
    (void)fputc('\n', stdout);
    return rc;
}

static int convert(input *in) {
    etf_view term;
    int rc;

    switch (in->o->from) {
    case CLI_ETF:
        rc = from_etf(in);
        break;
    case CLI_HEX:
        rc = from_hex(in);
        break;
    case CLI_JSON:
        rc = from_json(in);
        break;
    default:
        rc = from_erlang(in);
        break;
    }
    if (rc != 0)
        return rc;
    rc = etf_writer_finish(&in->w, &term);
    if (rc == 0)
        rc = print_term(in->o->to, term);
    return rc == 0 || rc == CN_EIO ? cli_wrote(in->o) : cli_fail(in->o, rc);
}

static int read_input(input *in) {
    const char *path = in->o->nargs > 0 ? in->o->args[0] : "-";
    bool from_stdin = strcmp(path, "-") == 0;
    char what[CLI_LINE_START + 200];
    FILE *f;
    int rc = CN_EIO;

    in->name = from_stdin ? "stdin" : path;
    (void)snprintf(what, sizeof what, "%.200s: its end did not come", in->name);
    cli_deadline_guard(CLI_TIMEOUT, what);
    f = from_stdin ? stdin : fopen(path, "rb");
    if (f != NULL)
        rc = cli_read_all(f, &in->text, &in->len);
    cli_deadline_unguard();
    if (rc == CN_EIO) {
        cli_say(in->o, "%s: %s", in->name, strerror(errno));
        rc = CLI_LOCAL;
    } else if (rc != 0) {
        rc = cli_fail(in->o, rc);
    }
    if (f != NULL && !from_stdin)
        (void)fclose(f);
    return rc;
}

int cli_term(const cli_options *o) {
    input in = {.o = o};
    int rc;

    etf_writer_init(&in.w, NULL);
    rc = read_input(&in);
    if (rc == 0) {
        cli_write_begin();
        rc = convert(&in);
        cli_deadline_unguard();
    }
    etf_writer_free(&in.w);
    free(in.text);
    return rc;
}
