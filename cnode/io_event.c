/* SPDX-License-Identifier: Apache-2.0
 *
 * io_event.c: the process `logger_proxy`: log events that logger of Erlang and
 * Elixir, and the emulator when a process crashes, send to the node of the
 * group leader:
 *
 *   {log, Level, Format, Args, Meta}
 *   {log, Level, StringOrReport, Meta}
 *
 * Everything in them is what somebody else says: each part that is not as it
 * should be is left out, and a message that cannot be made to text is printed
 * as it came. Section "Message" of the kernel's logger.
 */
#include <stdio.h>
#include <string.h>

#include "cnode/io_parts.h"
#include "ext_term/term.h"

/* Most bytes of text of an event; what is beyond is cut. */
enum { TEXT_MAX = 1 << 20 };

/* --- parts --------------------------------------------------------------- */

static void set_level(cnode_log_event *e, etf_view name) {
    static const struct {
        const char *name;
        cn_level level;
    } levels[] = {{"emergency", CN_LOG_ERROR}, {"alert", CN_LOG_ERROR},
                  {"critical", CN_LOG_ERROR},  {"error", CN_LOG_ERROR},
                  {"warning", CN_LOG_WARN},    {"notice", CN_LOG_INFO},
                  {"info", CN_LOG_INFO},       {"debug", CN_LOG_DEBUG}};

    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (etf_view_is(name, levels[i].name)) {
            e->level = levels[i].level;
            (void)snprintf(e->severity, sizeof e->severity, "%s",
                           levels[i].name);
        }
}

/* What is too long is cut. */
typedef struct fixed {
    char *out;
    size_t cap;
    size_t len;
} fixed;

static void put_fixed(void *ctx, const void *text, size_t len) {
    fixed *f = ctx;
    size_t room = f->cap - 1 - f->len;

    if (len > room) {
        len = room;
        while (len > 0 && (((const char *)text)[len] & 0xc0) == 0x80)
            len--;
    }
    if (text != NULL)
        memcpy(f->out + f->len, text, len);
    f->len += len;
    f->out[f->len] = '\0';
}

static void copy_text(etf_view term, char *out, size_t cap) {
    fixed f = {out, cap, 0};

    if (cnode__io_text(term, CNODE_IO_UNICODE, put_fixed, &f) != 0)
        out[0] = '\0';
}

static void read_mfa(cnode_log_event *e, etf_view mfa) {
    etf_view module, function;
    uint8_t arity;

    if (etf_match(mfa, "{~t, ~t, ~i}", &module, &function, &arity) != 0)
        return;
    copy_text(module, e->module, sizeof e->module);
    copy_text(function, e->function, sizeof e->function);
    e->arity = arity;
}

static void read_meta(cnode_log_event *e, etf_view meta) {
    etf_view v;

    if (etf_type_of(meta) != ETF_MAP)
        return;
    e->meta = meta;
    if (etf_map_get(meta, "time", &v) == 0 &&
        etf_match(v, "~i", &e->time_us) != 0)
        e->time_us = 0;
    e->has_pid =
        etf_map_get(meta, "pid", &v) == 0 && etf_match(v, "~p", &e->pid) == 0;
    if (etf_map_get(meta, "mfa", &v) == 0)
        read_mfa(e, v);
    if (etf_map_get(meta, "file", &v) == 0)
        copy_text(v, e->file, sizeof e->file);
    if (etf_map_get(meta, "line", &v) == 0 && etf_match(v, "~i", &e->line) != 0)
        e->line = 0;
}

/* A map, or a list that begins with a tuple, as in logger.hrl. */
static bool is_report(etf_view message) {
    etf_reader r;

    etf_reader_init(&r, message);
    if (etf_peek(&r) == ETF_LIST) {
        (void)etf_get_list(&r);
        return etf_peek(&r) == ETF_TUPLE;
    }
    return etf_peek(&r) == ETF_MAP;
}

/* --- text ---------------------------------------------------------------- */

static void put_text(void *ctx, const void *text, size_t len) {
    cnode__text *t = ctx;
    size_t used = cn__buf_size(&t->buf);
    size_t room = used < TEXT_MAX ? TEXT_MAX - used : 0;

    cnode__text_put(t, text, len < room ? len : room);
}

/* ~0tp; a deep or huge term is cut. */
static void put_term(cnode__text *t, etf_view term) {
    const etf_text_options o = {.depth = 1000, .alloc = t->buf.alloc};
    size_t used = cn__buf_size(&t->buf), len = 0;
    uint8_t *room;

    (void)etf_format(&o, term, NULL, 0, &len);
    if (used >= TEXT_MAX || len == 0)
        return;
    if (len > TEXT_MAX - used)
        len = TEXT_MAX - used;
    room = cn__buf_reserve(&t->buf, len + 1);
    if (room == NULL) {
        t->failed = true;
        return;
    }
    (void)etf_format(&o, term, (char *)room, len + 1, NULL);
    cn__buf_commit(&t->buf, strlen((char *)room));
}

static void put_string(cnode__text *t, const char *s) {
    put_text(t, s, strlen(s));
}

static void put_pair(cnode__text *t, etf_view key, etf_view value) {
    if (cn__buf_size(&t->buf) > 0)
        put_string(t, "\n");
    put_term(t, key);
    put_string(t, ": ");
    if (etf_type_of(value) != ETF_NIL &&
        cnode_io_chars(value, CNODE_IO_UNICODE, NULL, NULL) == 0)
        (void)cnode_io_chars(value, CNODE_IO_UNICODE, put_text, t);
    else
        put_term(t, value);
}

static void put_map(cnode__text *t, etf_view report) {
    etf_reader r;

    etf_reader_init(&r, report);
    for (uint32_t n = etf_get_map(&r); n > 0; n--) {
        etf_view key = etf_get_term(&r), value = etf_get_term(&r);
        put_pair(t, key, value);
    }
}

/* A line for each pair, as logger:format_report. What a report_cb would make
 * of it only Erlang knows. */
static void put_report(cnode__text *t, etf_view report) {
    etf_reader r;

    if (etf_type_of(report) == ETF_MAP) {
        put_map(t, report);
        return;
    }
    etf_reader_init(&r, report);
    for (uint32_t n = etf_get_list(&r); n > 0; n--) {
        etf_view item = etf_get_term(&r), key, value;
        if (etf_match(item, "{~t, ~t}", &key, &value) == 0) {
            put_pair(t, key, value);
            continue;
        }
        if (cn__buf_size(&t->buf) > 0)
            put_string(t, "\n");
        put_term(t, item);
    }
}

static void put_format(cnode__text *t, etf_view form, etf_view args) {
    int err = cnode_io_lib_format(t->buf.alloc, form, args, put_text, t);

    t->failed = t->failed || err == CN_ENOMEM;
    if (err == 0 || t->failed)
        return;
    cnode__text_free(t);
    put_string(t, "FORMAT ERROR: ");
    put_term(t, form);
    put_string(t, " - ");
    put_term(t, args);
}

static void put_message(cnode__text *t, const cnode_log_event *e) {
    if (e->args.len > 0)
        put_format(t, e->message, e->args);
    else if (e->report)
        put_report(t, e->message);
    else if (cnode_io_chars(e->message, CNODE_IO_UNICODE, put_text, t) != 0)
        put_term(t, e->message);
}

/* --- where it goes ------------------------------------------------------- */

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* How many blanks there are from here on, and whether one of them ends a
 * line. */
static size_t blanks_at(etf_view text, size_t at, bool *newline) {
    size_t n = 0;

    *newline = false;
    if (text.data == NULL)
        return 0;
    for (; at + n < text.len && is_blank(text.data[at + n]); n++)
        *newline = *newline || text.data[at + n] == '\n';
    return n;
}

/* In one line, as logger_formatter has it: a comma for each newline. */
static void put_one_line(fixed *out, etf_view text) {
    bool newline;
    size_t at = blanks_at(text, 0, &newline), begin = newline ? at : 0;

    while (at < text.len) {
        size_t blanks = blanks_at(text, at, &newline);

        if (!newline) {
            at += blanks + (blanks == 0);
            continue;
        }
        put_fixed(out, text.data + begin, at - begin);
        begin = at += blanks;
        if (at == text.len)
            return;
        if (out->len > 0 && out->out[out->len - 1] != ',')
            put_fixed(out, ",", 1);
        put_fixed(out, " ", 1);
    }
    put_fixed(out, text.data + begin, at - begin);
}

static void log_event(cnode *n, const cnode_log_event *e) {
    char line[900] = "";
    fixed f = {line, sizeof line, 0};

    put_one_line(&f, etf_view_of(e->text, e->len));
    for (size_t i = 0; i < f.len; i++)
        line[i] = line[i] != '\0' ? line[i] : '?';
    cn__log(&n->config.log, e->level, "logger", "%s: %s", e->node, line);
}

/* What was cut may end within a character. */
static void whole_characters(cn_buf *b) {
    const uint8_t *p = cn__buf_at(b);
    size_t len = cn__buf_size(b), at = len;

    if (len < TEXT_MAX)
        return;
    while (at > 0 && len - at < 3 && (p[at - 1] & 0xc0) == 0x80)
        at--;
    if (at > 0 && etf__utf8_count(p + at - 1, len - at + 1) == SIZE_MAX)
        b->len -= len - at + 1;
}

static void tell(cnode *n, cnode_log_event *e, cnode__text *t) {
    put_message(t, e);
    whole_characters(&t->buf);
    if (cn__buf_append(&t->buf, "", 1) != 0 || t->failed) {
        cn__log(&n->config.log, CN_LOG_ERROR, "logger",
                "%s: an event was lost: out of memory", e->node);
        return;
    }
    e->text = (const char *)cn__buf_at(&t->buf);
    e->len = cn__buf_size(&t->buf) - 1;
    if (n->config.on_log_event != NULL)
        n->config.on_log_event(n, e, n->config.data);
    else
        log_event(n, e);
}

/* Nobody looks at it: then nothing is made. */
static bool wanted(const cnode *n, const cnode_log_event *e) {
    return n->config.on_log_event != NULL || cn__logs(&n->config.log, e->level);
}

static void on_message(cnode_proc *self, const cnode_msg *m, void *data) {
    cnode *n = self->node;
    cnode_log_event e = {.node = m->peer, .arity = -1};
    etf_view level, args, meta;
    cnode__text text;

    (void)data;
    if (etf_match(m->term, "{log, ~a, ~t, ~t, ~t}", &level, &e.message, &args,
                  &meta) == 0)
        e.args = args;
    else if (etf_match(m->term, "{log, ~a, ~t, ~t}", &level, &e.message,
                       &meta) != 0) {
        (void)cnode_refuse_msg(self, m);
        return;
    }
    set_level(&e, level);
    if (e.severity[0] == '\0' || !wanted(n, &e))
        return;
    e.report = e.args.len == 0 && is_report(e.message);
    read_meta(&e, meta);
    cnode__text_init(&text, &n->alloc);
    tell(n, &e, &text);
    cnode__text_free(&text);
}

int cnode__logger_proxy(cnode *n) {
    const cnode_proc_config c = {.name = "logger_proxy",
                                 .on_message = on_message};

    return cnode__spawn_lasting(n, &c, NULL);
}
