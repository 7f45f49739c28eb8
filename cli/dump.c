/* SPDX-License-Identifier: Apache-2.0
 *
 * dump.c: explains a capture: a line for each message, as text or as JSON.
 *
 * Failures: what is wrong with one message stands on its line. When the file
 * is broken or ends too early, what is before that is printed all the same.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <cnode/capture.h>

#include "cli/commands.h"
#include "cli/deadline.h"
#include "cli/json.h"
#include "cli/report.h"
#include "cli/text.h"

enum { PAYLOAD_TEXT = 2048 };

static const char *const kinds[] = {
    [CNODE_CAPTURE_OPEN] = "open",   [CNODE_CAPTURE_HANDSHAKE] = "handshake",
    [CNODE_CAPTURE_FRAME] = "frame", [CNODE_CAPTURE_CLOSE] = "close",
    [CNODE_CAPTURE_FULL] = "full",
};

static const char *kind_of(const cnode_dump_message *m) {
    return m->kind == CNODE_CAPTURE_FRAME && m->size == 0 ? "tick"
                                                          : kinds[m->kind];
}

/* 2026-11-28T03:22:11.123456Z */
static void print_time(uint64_t us) {
    time_t s = (time_t)(us / 1000000);
    char text[40] = "";
    struct tm tm;

    if (gmtime_r(&s, &tm) != NULL)
        (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    printf("%s.%06uZ", text, (unsigned)(us % 1000000));
}

/* --- text ---------------------------------------------------------------- */

/* Of a long one its beginning. */
static void print_payload(const cnode_dump_message *m) {
    char term[PAYLOAD_TEXT];

    if (m->ctrl == NULL)
        return;
    if (m->cut)
        printf(" (payload not kept)");
    else if (m->ctrl->term.len > 0) {
        if (etf_print(m->ctrl->term, term, sizeof term) >= sizeof term)
            memcpy(term + sizeof term - 4, "...", 4);
        printf(" %s", term);
    }
}

static void print_text(const cnode_dump_message *m) {
    print_time(m->time_us);
    printf(" %" PRIu32, m->connection);
    if (m->kind == CNODE_CAPTURE_HANDSHAKE || m->kind == CNODE_CAPTURE_FRAME)
        printf(" %s %s %zu:", m->out ? "to" : "from",
               *m->peer != '\0' ? m->peer : "?", m->size);
    if (*m->text != '\0')
        printf(" %s", m->text);
    print_payload(m);
    if (*m->error != '\0')
        printf(" error: %s", m->error);
    (void)putchar('\n');
}

/* --- JSON ---------------------------------------------------------------- */

/* Text of this program and the library: ASCII or UTF-8, no control
 * characters. */
static void print_string(const char *name, const char *text) {
    printf(",\"%s\":\"", name);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            (void)putchar('\\');
        (void)putchar((unsigned char)*text < ' ' ? '?' : *text);
    }
    (void)putchar('"');
}

static int print_json(const cnode_dump_message *m) {
    int rc = 0;

    printf("{\"time_us\":%" PRIu64 ",\"connection\":%" PRIu32, m->time_us,
           m->connection);
    print_string("kind", kind_of(m));
    print_string("way", m->out ? "out" : "in");
    print_string("peer", m->peer);
    printf(",\"size\":%zu,\"kept\":%zu", m->size, m->bytes.len);
    print_string("text", m->text);
    if (*m->error != '\0')
        print_string("error", m->error);
    if (m->ctrl != NULL && !m->cut && m->ctrl->term.len > 0) {
        printf(",\"payload\":");
        rc = cli_json_print(m->ctrl->term, stdout);
        if (rc != 0 && rc != CN_ENOMEM && rc != CN_EIO) {
            printf("null"); /* no term that a node would take, either */
            rc = 0;
        }
    }
    if (m->kind != CNODE_CAPTURE_OPEN && m->kind != CNODE_CAPTURE_CLOSE) {
        printf(",\"bytes\":\"");
        cli_hex_print(m->bytes.data, m->bytes.len, stdout);
        (void)putchar('"');
    }
    printf("}\n");
    return rc;
}

/* --- the file ------------------------------------------------------------ */

static int say_broken(const cli_options *o, const cnode_dump *d) {
    const cn_error *e = cnode_dump_error(d);

    if (e->code == CN_ENOMEM)
        return cli_fail(o, e->code);
    cli_say(o, "%s: %s", o->args[0], e->text);
    return CLI_USAGE;
}

static int print_messages(const cli_options *o, cnode_dump *d) {
    cnode_dump_message m;
    int r, rc = 0;

    while (rc == 0 && (r = cnode_dump_next(d, &m)) != 0) {
        if (r < 0)
            return say_broken(o, d);
        if (o->json)
            rc = print_json(&m);
        else
            print_text(&m);
        if (ferror(stdout))
            return cli_wrote(o);
    }
    return rc == 0 ? 0 : cli_fail(o, rc);
}

static int print_file(const cli_options *o, cnode_dump *d, FILE *f) {
    static uint8_t chunk[65536];
    size_t n;
    bool empty = true;
    int rc = 0;

    while (rc == 0 && (n = fread(chunk, 1, sizeof chunk, f)) > 0) {
        empty = false;
        if (cnode_dump_feed(d, chunk, n) != 0)
            return say_broken(o, d);
        rc = print_messages(o, d);
    }
    if (rc != 0)
        return rc;
    if (ferror(f)) {
        cli_say(o, "%s: %s", o->args[0], strerror(errno));
        return CLI_LOCAL;
    }
    if (empty) {
        cli_say(o, "%s: the capture is empty", o->args[0]);
        return CLI_USAGE;
    }
    rc = cli_wrote(o);
    return rc == 0 && cnode_dump_eof(d) != 0 ? say_broken(o, d) : rc;
}

int cli_dump(const cli_options *o) {
    const char *path = o->args[0];
    bool from_stdin = strcmp(path, "-") == 0;
    FILE *f = from_stdin ? stdin : fopen(path, "rb");
    cnode_dump *d;
    int rc;

    if (f == NULL) {
        cli_say(o, "%s: %s", path, strerror(errno));
        return CLI_LOCAL;
    }
    cli_deadline_guard(CLI_TIMEOUT, "the capture could not be dumped");
    rc = cnode_dump_new(&d, NULL);
    if (rc != 0) {
        rc = cli_fail(o, rc);
    } else {
        rc = print_file(o, d, f);
        cnode_dump_free(d);
    }
    cli_deadline_unguard();
    if (!from_stdin)
        (void)fclose(f);
    return rc;
}
