/* SPDX-License-Identifier: Apache-2.0
 *
 * io_input.c: requests to read. The prompt is shown, then what was fed is taken
 * as far as it is enough; if it is not, the program is asked for more, each
 * time that it has fed something. While it is asked the one that reads is
 * monitored, so that nobody types for a process that has ended.
 */
#include <string.h>

#include "cnode/io_parts.h"
#include "ext_term/term.h"

enum { KEEP = 4096 }; /* bytes of memory for input */

/* --- the buffer ---------------------------------------------------------- */

static etf_view fed(const cnode_io *io) {
    return etf_view_of(cn__buf_at(&io->input), cn__buf_size(&io->input));
}

/* Bytes of the first line with its newline; 0: there is none yet. */
static size_t line_of(etf_view v) {
    const uint8_t *end = v.data == NULL ? NULL : memchr(v.data, '\n', v.len);

    return end == NULL ? 0 : (size_t)(end - v.data) + 1;
}

static bool ends_line(etf_view v) {
    return v.data != NULL && v.len > 0 && v.data[v.len - 1] == '\n';
}

/* It is the end of all, or nothing. */
static bool is_rest(etf_view v, etf_view all) {
    if (v.len == 0 || v.data == NULL || all.data == NULL)
        return v.len == 0;
    return v.len <= all.len &&
           memcmp(v.data, all.data + all.len - v.len, v.len) == 0;
}

/* Bytes of the first *count characters, and how many there are less. */
static size_t chars_of(etf_view v, uint64_t *count) {
    size_t at = 0;
    uint32_t c;

    for (; *count > 0 && at < v.len; --*count)
        at += etf__utf8_get(v.data + at, v.len - at, &c);
    return at;
}

/* --- the end of a read --------------------------------------------------- */

/* Whatever becomes of it. */
static void end_read(cnode_io *io) {
    if (io->read.watched)
        (void)cnode_demonitor(io->proc, &io->read.watch);
    io->read.watched = false;
    etf_copy_free(&io->node->alloc, io->read.more);
    io->read.more = (etf_view){NULL, 0};
}

/* --- answers ------------------------------------------------------------- */

static bool put_latin1(etf_writer *w, etf_view text, bool binary) {
    size_t at = 0, n = 0;
    uint8_t *room = NULL;
    uint32_t c = 0;

    if (binary) { /* in place: it only becomes shorter */
        room = cn__calloc(w->alloc, text.len + 1, 1);
        if (room == NULL)
            etf_writer_fail(w, CN_ENOMEM);
    } else {
        etf_begin_list(w);
    }
    while (at < text.len && (room != NULL || !binary)) {
        at += etf__utf8_get(text.data + at, text.len - at, &c);
        if (c > 0xff)
            break;
        if (binary)
            room[n++] = (uint8_t)c;
        else
            etf_put_int(w, c);
    }
    if (binary)
        etf_put_binary(w, room, n);
    else
        etf_end_list(w);
    cn__free(w->alloc, room, text.len + 1, 1);
    return at == text.len && c <= 0xff;
}

static void put_unicode(etf_writer *w, etf_view text, bool binary) {
    size_t at = 0;
    uint32_t c;

    if (binary) {
        etf_put_binary(w, text.data, text.len);
        return;
    }
    etf_begin_list(w);
    while (at < text.len) {
        at += etf__utf8_get(text.data + at, text.len - at, &c);
        etf_put_int(w, c);
    }
    etf_end_list(w);
}

/* The first len bytes that were fed are the answer; those up to used are taken,
 * unless there is no memory for the answer. */
static void answer_text(cnode_io *io, size_t len, size_t used) {
    const cnode__io_read *r = &io->read;
    etf_view text = etf_view_of(cn__buf_at(&io->input), len), term;
    bool translated = true;
    etf_writer w;

    etf_writer_init(&w, &io->node->alloc);
    if (r->latin1)
        translated = len == 0 || put_latin1(&w, text, r->binary);
    if (!r->latin1 || len == 0)
        put_unicode(&w, text, r->binary);
    end_read(io);
    if (etf_writer_finish(&w, &term) != 0) {
        cnode__io_answer(io, "{error, enomem}");
    } else {
        if (used > 0)
            cn__buf_consume(&io->input, used, KEEP);
        if (translated)
            cnode__io_answer_term(io, term);
        else
            cnode__io_answer(io, "{error, {no_translation, unicode, latin1}}");
    }
    etf_writer_free(&w);
}

static void answer_eof(cnode_io *io) {
    io->eof = false;
    end_read(io);
    cnode__io_answer(io, "eof");
}

static void fail_read(cnode_io *io, const char *pattern) {
    end_read(io);
    cnode__io_answer(io, pattern);
}

/* --- asking the program -------------------------------------------------- */

/* missing: characters. */
static void ask(cnode_io *io, uint64_t missing) {
    cnode__io_read *r = &io->read;
    const cnode_io_input i = {.want = r->want,
                              .count = missing,
                              .again = r->again,
                              .echo =
                                  !io->no_echo && r->want != CNODE_IO_PASSWORD,
                              .peer = io->peer,
                              .from = &io->from};

    io->phase = IO_READING;
    if (fed(io).len >= io->config.max_input) {
        fail_read(io, "{error, enomem}");
        return;
    }
    if (!r->watched)
        r->watched = cnode_monitor_pid(io->proc, &io->from, &r->watch) == 0;
    if (!r->watched) {
        fail_read(io, "{error, enomem}");
        return;
    }
    r->again = true;
    io->config.on_input(io, &i, io->config.data);
}

/* Whom a read was for is gone. */
void cnode__io_down(cnode_proc *p, const cnode_down *d, void *data) {
    static const cnode_io_input nothing = {.want = CNODE_IO_NOTHING};
    cnode_io *io = data;

    (void)p;
    if (!io->read.watched || !etf_ref_eq(&d->ref, &io->read.watch))
        return;
    io->read.watched = false;
    if (io->phase != IO_READING)
        return; /* it is parsed just now */
    io->config.on_input(io, &nothing, io->config.data);
    end_read(io);
    cnode__io_drop(io);
    cnode__io_step(io);
}

/* --- code of the sender that reads --------------------------------------- */

/* What it has left must be the end of what it was given: so nobody can put
 * words into the input of others. */
static int take_parsed(cnode_io *io, etf_view value, etf_view rest) {
    size_t given = io->read.given;
    etf_view left;
    cnode__text text;
    int err;

    if (given == 0) { /* it was given the end */
        io->eof = etf_match(rest, "eof") == 0 && etf_match(value, "eof") != 0;
        return 0;
    }
    cnode__text_init(&text, &io->node->alloc);
    err = cnode_io_chars(rest, CNODE_IO_UNICODE, cnode__text_put, &text);
    left = cnode__text_view(&text);
    if (text.failed)
        err = CN_ENOMEM;
    if (err == 0 && !is_rest(left, (etf_view){fed(io).data, given}))
        err = CN_ETYPE;
    if (err == 0)
        cn__buf_consume(&io->input, given - left.len, KEEP);
    cnode__text_free(&text);
    return err;
}

/* The same when nothing of it is left. */
static void take_given(cnode_io *io) {
    if (io->read.given > 0)
        cn__buf_consume(&io->input, io->read.given, KEEP);
    else
        io->eof = false;
}

static int keep_going(cnode_io *io, etf_view more) {
    etf_view copy;
    int err = etf_copy(&io->node->alloc, more, &copy);

    if (err != 0)
        return err;
    etf_copy_free(&io->node->alloc, io->read.more);
    io->read.more = copy;
    take_given(io);
    return 0;
}

static void parsed(cnode_io *io, etf_view result) {
    etf_view value, rest;
    int err = CN_ETYPE;

    if (etf_match(result, "{done, ~t, ~t}", &value, &rest) == 0) {
        err = take_parsed(io, value, rest);
        if (err == 0) {
            end_read(io);
            cnode__io_answer_term(io, value);
        }
    } else if (etf_match(result, "{more, ~t}", &value) == 0) {
        err = keep_going(io, value);
        if (err == 0)
            cnode__io_try_read(io);
    }
    if (err == 0)
        return;
    take_given(io);
    fail_read(io, err == CN_ENOMEM ? "{error, enomem}" : "{error, get_until}");
}

static void on_parsed(cnode_proc *p, int status, etf_view result, void *data) {
    cnode_io *io = data;

    (void)p;
    if (status == 0)
        parsed(io, result);
    else
        fail_read(io, cnode__io_short_of_memory(status, result)
                          ? "{error, enomem}"
                          : "{error, get_until}");
    cnode__io_step(io);
}

/* [Continuation, Line | Arguments], the line `eof` at the end. */
static void parse(cnode_io *io, size_t len) {
    const cnode__io_read *r = &io->read;
    etf_view args = {NULL, 0};
    etf_reader more;
    etf_writer w;
    uint32_t n;
    int err;

    etf_reader_init(&more, r->args);
    n = etf_get_list(&more);
    etf_writer_init(&w, &io->node->alloc);
    etf_put_list(&w, 2 + (size_t)n);
    if (r->more.len > 0)
        etf_put_term(&w, r->more);
    else
        etf_put_nil(&w);
    if (len > 0)
        put_unicode(&w, etf_view_of(cn__buf_at(&io->input), len), false);
    else
        etf_put_atom(&w, "eof");
    for (; n > 0; n--)
        etf_put_term(&w, etf_get_term(&more));
    etf_get_tail(&more);
    etf_put_nil(&w);
    err = etf_reader_finish(&more);
    if (err == 0)
        err = etf_writer_finish(&w, &args);
    if (err == 0)
        err = cnode__io_ask(io, IO_PARSING, r->mod, r->fun, args, on_parsed);
    etf_writer_free(&w);
    io->read.given = len;
    if (err != 0)
        fail_read(io,
                  err == CN_ENOMEM ? "{error, enomem}" : "{error, get_until}");
}

/* --- reading ------------------------------------------------------------- */

static void read_line(cnode_io *io) {
    etf_view text = fed(io);
    size_t len = line_of(text), shown;

    if (len == 0 && !io->eof) {
        ask(io, 0);
        return;
    }
    if (len == 0)
        len = text.len;
    if (io->read.want == CNODE_IO_PARSE) {
        parse(io, len);
        return;
    }
    if (len == 0) {
        answer_eof(io);
        return;
    }
    shown = len;
    if (io->read.want == CNODE_IO_PASSWORD &&
        ends_line((etf_view){text.data, len}))
        shown--;
    answer_text(io, shown, len);
}

static void read_chars(cnode_io *io) {
    uint64_t missing = io->read.count;
    etf_view text = fed(io);
    size_t len = chars_of(text, &missing);

    if (missing > 0 && !io->eof)
        ask(io, missing);
    else if (missing > 0 && len == 0)
        answer_eof(io);
    else
        answer_text(io, len, len);
}

void cnode__io_try_read(cnode_io *io) {
    io->phase = IO_READING;
    if (io->read.want == CNODE_IO_COUNT)
        read_chars(io);
    else
        read_line(io);
}

void cnode__io_prompted(cnode_io *io, int status) {
    char text[CNODE__IO_ERROR];

    if (status == 0)
        cnode__io_try_read(io);
    else
        fail_read(io, cnode__io_error(status, text));
}

/* A prompt is text, {format, Format, Args}, or any term. */
static int prompt_text(cnode_io *io, cnode__text *out) {
    const cn_alloc *a = &io->node->alloc;
    etf_view prompt = io->read.prompt, form, args;
    char room[256];

    if (prompt.len == 0)
        return 0;
    if (etf_match(prompt, "{format, ~t, ~t}", &form, &args) == 0)
        return cnode_io_lib_format(a, form, args, cnode__text_put, out);
    if (cnode__io_text(prompt, CNODE_IO_UNICODE, cnode__text_put, out) == 0)
        return 0;
    (void)etf_print(prompt, room, sizeof room);
    cnode__text_put(out, room, strlen(room));
    return 0;
}

void cnode__io_begin_read(cnode_io *io, const cnode__io_read *r) {
    cnode__text prompt;
    int status = 0, err;

    io->read = *r;
    io->read.binary = io->config.binary == CNODE_IO_BINARY_AUTO
                          ? etf_type_of(r->prompt) == ETF_BINARY
                          : io->config.binary == CNODE_IO_BINARY_ALWAYS;
    cnode__text_init(&prompt, &io->node->alloc);
    err = prompt_text(io, &prompt);
    if (err == 0 && prompt.failed)
        err = CN_ENOMEM;
    if (err == CN_ENOMEM || cn__buf_size(&prompt.buf) == 0 ||
        cnode__io_show(io, IO_PROMPTING, cnode__text_view(&prompt), &status))
        cnode__io_prompted(io, err == CN_ENOMEM ? err : status);
    cnode__text_free(&prompt);
}

/* --- the program --------------------------------------------------------- */

int cnode_io_feed(cnode_io *io, const char *text, size_t len) {
    if (etf__utf8_count((const uint8_t *)text, len) == SIZE_MAX)
        return cnode__err(io->node, CN_EBADARG, "input: it is no UTF-8");
    if (cn__buf_size(&io->input) > io->config.max_input ||
        len > io->config.max_input - cn__buf_size(&io->input))
        return cnode__err(io->node, CN_ELIMIT, "input: over max_input");
    if (cn__buf_append(&io->input, text, len) != 0)
        return cnode__err(io->node, CN_ENOMEM, "out of memory");
    cnode__io_soon(io);
    return 0;
}

void cnode_io_eof(cnode_io *io) {
    io->eof = true;
    cnode__io_soon(io);
}
