/* SPDX-License-Identifier: Apache-2.0
 *
 * io_test.c: group leaders in C: every request, in order; input; formats;
 * senders that end, do not answer or send nonsense.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cnode/io_parts.h"
#include "tests/unit/io_formats.h"
#include "tests/unit/mesh.h"

/* --- a terminal ---------------------------------------------------------- */

/* What it is told is written down. It lives longer than the nodes. */
typedef struct terminal {
    mesh *m;
    cnode_io *io;
    int status; /* of output */
    bool ended;
    bool feeds; /* answers at once, in the callback */
    const char *typed;
} terminal;

static terminal t;

static int on_output(cnode_io *io, const cnode_io_output *o, void *data) {
    (void)io, (void)data;
    mesh_say(t.m, "%s%s: %.*s", o->prompt ? "prompt " : "", o->peer,
             (int)o->len, o->text);
    return t.status;
}

static void on_input(cnode_io *io, const cnode_io_input *i, void *data) {
    static const char *const names[] = {"line", "chars", "parse", "password",
                                        "nothing"};
    (void)data;
    mesh_say(t.m, "wants %s %d%s%s", names[i->want], (int)i->count,
             i->again ? " again" : "", i->echo ? "" : " unseen");
    if (t.feeds && t.typed != NULL) {
        if (cnode_io_feed(io, t.typed, strlen(t.typed)) != 0)
            t.m->noticed = true;
        t.typed = NULL;
    } else if (t.feeds) {
        cnode_io_eof(io);
    }
}

static void on_end(void *data) {
    (void)data;
    t.ended = true;
}

static const cnode_io_config both = {.name = "tty",
                                     .on_output = on_output,
                                     .on_input = on_input,
                                     .on_end = on_end,
                                     .columns = 132};

static int open_terminal(mesh *m, const cnode_io_config *c) {
    cnode_io_config config = *c;

    t = (terminal){.m = m};
    config.data = &t;
    return cnode_io_start(&t.io, mesh_cnode(m, 1), &config);
}

/* A request of process `alice` on node 0 to the terminal on node 1. */
#define REQUEST(m, alice, ...) OK(m, request(alice, ETF_INS(__VA_ARGS__)))

static int request(cnode_proc *alice, const etf_in *in, size_t n) {
    etf_pid self = cnode_self(alice);
    etf_view term;
    etf_writer w;
    int err;

    etf_writer_init(&w, NULL);
    (void)etf_pack_args(&w, in, n);
    err = etf_writer_finish(&w, &term);
    if (err == 0)
        err = cnode_send_name(alice, "b@h", "tty", "{io_request, ~p, r, ~t}",
                              &self, term);
    etf_writer_free(&w);
    return err;
}

#define SCENE(m, alice, config)                                                \
    OK(m, mesh_start(m, 0, NULL));                                             \
    OK(m, mesh_start(m, 1, NULL));                                             \
    OK(m, open_terminal(m, config));                                           \
    NEED(m, (alice) = mesh_proc(m, 0, "alice"))

/* --- output -------------------------------------------------------------- */

static void all_forms_of_output(mesh *m) {
    cnode_proc *alice;

    SCENE(m, alice, &both);
    REQUEST(m, alice, "{put_chars, unicode, ~b}", "h\xc3\xa9");
    SAID(m, "a@h: h\xc3\xa9\nalice: {io_reply,r,ok}");
    REQUEST(m, alice, "{put_chars, unicode, [[104, 8364] | ~b]}", "!");
    SAID(m, "a@h: h\xe2\x82\xac!\nalice: {io_reply,r,ok}");
    REQUEST(m, alice, "{put_chars, latin1, ~b}", "h\xe9");
    SAID(m, "a@h: h\xc3\xa9\nalice: {io_reply,r,ok}");
    REQUEST(m, alice, "{put_chars, ~s}", "of old");
    SAID(m, "a@h: of old\nalice: {io_reply,r,ok}");
    REQUEST(m, alice, "{put_chars, unicode, ~b}", "bad \xff");
    SAID(m, "alice: {io_reply,r,{error,put_chars}}");
    REQUEST(m, alice, "{put_chars, unicode, atom}");
    SAID(m, "alice: {io_reply,r,{error,put_chars}}");
    REQUEST(m, alice, "{put_chars, utf7, ~b}", "x");
    SAID(m, "alice: {io_reply,r,{error,request}}");
}

static void formats_by_the_sender(mesh *m) {
    cnode_proc *alice;

    SCENE(m, alice, &both);
    /* This node does not have io_lib: it is done here. */
    REQUEST(m, alice, "{put_chars, unicode, io_lib, format, [~s, [x, ~i]]}",
            "~p-~w", 7);
    REQUEST(m, alice, "{put_chars, unicode, ~b}", "behind it");
    SAID(m, "a@h: x-7\na@h: behind it\n"
            "alice: {io_reply,r,ok}\nalice: {io_reply,r,ok}");
    REQUEST(m, alice, "{put_chars, io_lib, write, [{a, ~s}]}", "b");
    SAID(m, "a@h: {a,[98]}\nalice: {io_reply,r,ok}");
    REQUEST(m, alice, "{put_chars, unicode, io_lib, format, [~s, []]}", "~p");
    SAID(m, "alice: {io_reply,r,{error,put_chars}}");
    REQUEST(m, alice, "{put_chars, unicode, os, cmd, [~s]}", "true");
    SAID(m, "alice: {io_reply,r,{error,put_chars}}");
}

static int io_lib_format(cnode_proc *self, etf_view args, etf_writer *result,
                         void *data) {
    (void)self, (void)args, (void)data;
    etf_put_string(result, "made there", 10);
    return 0;
}

static int fails(cnode_proc *self, etf_view args, etf_writer *result,
                 void *data) {
    (void)self, (void)args, (void)result, (void)data;
    return CN_EBADARG;
}

static int never(cnode_proc *self, etf_view args, etf_writer *result,
                 void *data) {
    (void)self, (void)args, (void)result, (void)data;
    return CNODE_LATER;
}

static void what_the_sender_formats_is_taken(mesh *m) {
    cnode_proc *alice;

    SCENE(m, alice, &both);
    OK(m, cnode_export(mesh_cnode(m, 0), "io_lib", "format", 2, io_lib_format,
                       NULL));
    REQUEST(m, alice, "{put_chars, unicode, io_lib, format, [~s, []]}", "x");
    SAID(m, "a@h: made there\nalice: {io_reply,r,ok}");
    OK(m, cnode_export(mesh_cnode(m, 0), "io_lib", "format", 2, fails, NULL));
    REQUEST(m, alice, "{put_chars, unicode, io_lib, format, [~s, []]}", "x");
    SAID(m, "alice: {io_reply,r,{error,put_chars}}");
}

static void a_sender_that_does_not_format(mesh *m) {
    cnode_io_config c = both;
    cnode_proc *alice;

    c.format_ms = 300;
    SCENE(m, alice, &c);
    OK(m, cnode_export(mesh_cnode(m, 0), "io_lib", "format", 2, never, NULL));
    REQUEST(m, alice, "{put_chars, unicode, io_lib, format, [~s, [x]]}",
            "late ~p");
    REQUEST(m, alice, "{put_chars, unicode, ~b}", "waits");
    SAID(m, "");
    mesh_advance(m, 301);
    SAID(m, "a@h: late x\na@h: waits\n"
            "alice: {io_reply,r,ok}\nalice: {io_reply,r,ok}");
    /* Nobody waits for it each time. */
    REQUEST(m, alice, "{put_chars, unicode, io_lib, format, [~s, [y]]}",
            "at once ~p");
    SAID(m, "a@h: at once y\nalice: {io_reply,r,ok}");
    mesh_advance(m, 60000);
    OK(m, cnode_export(mesh_cnode(m, 0), "io_lib", "format", 2, io_lib_format,
                       NULL));
    REQUEST(m, alice, "{put_chars, unicode, io_lib, format, [~s, []]}", "x");
    SAID(m, "a@h: made there\nalice: {io_reply,r,ok}");
}

static void output_that_takes_its_time(mesh *m) {
    cnode_proc *alice;

    SCENE(m, alice, &both);
    t.status = CNODE_IO_LATER;
    REQUEST(m, alice, "{put_chars, unicode, ~b}", "one");
    REQUEST(m, alice, "{put_chars, unicode, ~b}", "two");
    SAID(m, "a@h: one");
    WANT(m, cnode_io_waiting(t.io) == 2);
    OK(m, cnode_io_done(t.io, 0));
    assert_int_equal(cnode_io_done(t.io, 0), CN_ENOENT);
    SAID(m, "a@h: two\nalice: {io_reply,r,ok}");
    OK(m, cnode_io_done(t.io, CN_EIO));
    SAID(m, "alice: {io_reply,r,{error,eio}}");
    assert_int_equal(cnode_io_done(t.io, 0), CN_ENOENT);
    t.status = CN_ENOMEM;
    REQUEST(m, alice, "{put_chars, unicode, ~b}", "three");
    SAID(m, "a@h: three\nalice: {io_reply,r,{error,enomem}}");
}

static void lists_of_requests(mesh *m) {
    cnode_proc *alice;

    SCENE(m, alice, &both);
    REQUEST(m, alice,
            "{requests, [{put_chars, unicode, ~b}, getopts, "
            "{put_chars, unicode, io_lib, format, [~s, []]}]}",
            "one", "two");
    SAID(m, "a@h: one\na@h: two\nalice: {io_reply,r,ok}");
    REQUEST(m, alice,
            "{requests, [{put_chars, unicode, ~b}, {put_chars, unicode, x}, "
            "{put_chars, unicode, ~b}]}",
            "one", "not this");
    SAID(m, "a@h: one\nalice: {io_reply,r,{error,put_chars}}");
    REQUEST(m, alice, "{requests, []}");
    SAID(m, "alice: {io_reply,r,{error,request}}");
    REQUEST(m, alice, "{requests, [{requests, [getopts]}]}");
    SAID(m, "alice: {io_reply,r,{error,request}}");
    REQUEST(m, alice, "{requests, ~s}", "abc");
    SAID(m, "alice: {io_reply,r,{error,request}}");
    REQUEST(m, alice, "{requests, x}");
    SAID(m, "alice: {io_reply,r,{error,request}}");
}

static void options(mesh *m) {
    cnode_proc *alice;

    SCENE(m, alice, &both);
    REQUEST(m, alice, "getopts");
    SAID(m, "alice: {io_reply,r,[{binary,false},{encoding,unicode},"
            "{echo,true}]}");
    REQUEST(m, alice, "{setopts, [binary, {encoding, latin1}, {echo, false}]}");
    REQUEST(m, alice, "getopts");
    SAID(m, "alice: {io_reply,r,ok}\n"
            "alice: {io_reply,r,[{binary,true},{encoding,latin1},"
            "{echo,false}]}");
    REQUEST(m, alice, "{setopts, [list, {encoding, utf7}]}");
    REQUEST(m, alice, "{setopts, [{binary, false} | x]}");
    REQUEST(m, alice, "getopts");
    SAID(m, "alice: {io_reply,r,{error,enotsup}}\n"
            "alice: {io_reply,r,{error,enotsup}}\n"
            "alice: {io_reply,r,[{binary,true},{encoding,latin1},"
            "{echo,false}]}");
    REQUEST(m, alice, "{get_geometry, columns}");
    SAID(m, "alice: {io_reply,r,132}");
    REQUEST(m, alice, "{get_geometry, rows}");
    SAID(m, "alice: {io_reply,r,{error,enotsup}}");
    cnode_io_resize(t.io, 80, 24);
    REQUEST(m, alice, "{get_geometry, rows}");
    SAID(m, "alice: {io_reply,r,24}");
}

/* --- input --------------------------------------------------------------- */

static void lines(mesh *m) {
    cnode_proc *alice;

    SCENE(m, alice, &both);
    REQUEST(m, alice, "{get_line, unicode, ~s}", "name> ");
    SAID(m, "prompt a@h: name> \nwants line 0");
    OK(m, cnode_io_feed(t.io, "Jos", 3));
    SAID(m, "wants line 0 again");
    OK(m, cnode_io_feed(t.io, "\xc3\xa9\nmore\nrest", 12));
    SAID(m, "alice: {io_reply,r,\"Jos\xc3\xa9\\n\"}");
    REQUEST(m, alice, "{get_line, unicode, ~b}", "");
    SAID(m, "alice: {io_reply,r,<<\"more\\n\">>}");
    cnode_io_eof(t.io);
    REQUEST(m, alice, "{get_line, unicode, ''}");
    SAID(m, "alice: {io_reply,r,\"rest\"}");
    REQUEST(m, alice, "{get_line, ''}");
    SAID(m, "alice: {io_reply,r,eof}");
    REQUEST(m, alice, "{get_line, unicode, {format, ~s, [1]}}", "~p> ");
    SAID(m, "prompt a@h: 1> \nwants line 0");
    cnode_io_eof(t.io);
    SAID(m, "alice: {io_reply,r,eof}");
    assert_int_equal(cnode_io_feed(t.io, "\xff", 1), CN_EBADARG);
    assert_string_equal(cnode_error(mesh_cnode(m, 1))->text,
                        "input: it is no UTF-8");
}

static void characters(mesh *m) {
    cnode_proc *alice;

    SCENE(m, alice, &both);
    t.feeds = true;
    t.typed = "\xe2\x82\xac"
              "10\n";
    REQUEST(m, alice, "{get_chars, unicode, ~b, 2}", "");
    SAID(m, "wants chars 2\nalice: {io_reply,r,<<\"\xe2\x82\xac"
            "1\"/utf8>>}");
    REQUEST(m, alice, "{get_chars, unicode, '', 0}");
    SAID(m, "alice: {io_reply,r,[]}");
    REQUEST(m, alice, "{get_chars, unicode, '', 9}");
    SAID(m, "wants chars 7\nalice: {io_reply,r,\"0\\n\"}");
    REQUEST(m, alice, "{get_chars, '', 1}");
    SAID(m, "alice: {io_reply,r,eof}");
    REQUEST(m, alice, "{get_chars, unicode, '', -1}");
    SAID(m, "alice: {io_reply,r,{error,request}}");
    t.typed = "\xe2\x82\xac\xc3\xa9";
    REQUEST(m, alice, "{get_chars, latin1, '', 1}");
    SAID(m, "wants chars 1\n"
            "alice: {io_reply,r,{error,{no_translation,unicode,latin1}}}");
    REQUEST(m, alice, "{get_chars, latin1, ~b, 1}", "");
    SAID(m, "alice: {io_reply,r,<<233>>}");
    REQUEST(m, alice, "{get_password, unicode}");
    t.typed = "secret\n";
    SAID(m, "wants password 0 unseen\nalice: {io_reply,r,\"secret\"}");
}

static void nobody_waits_any_more(mesh *m) {
    cnode_proc *alice, *bob;

    SCENE(m, alice, &both);
    NEED(m, bob = mesh_proc(m, 0, "bob"));
    REQUEST(m, bob, "{get_line, unicode, ''}");
    REQUEST(m, alice, "{get_line, unicode, ''}");
    SAID(m, "wants line 0");
    OK(m, cnode_exit(bob, "bye"));
    SAID(m, "bob: ended bye\nwants nothing 0 unseen\nwants line 0");
    OK(m, cnode_io_feed(t.io, "x\n", 2));
    SAID(m, "alice: {io_reply,r,\"x\\n\"}");
    REQUEST(m, alice, "{get_line, unicode, ''}");
    SAID(m, "wants line 0");
    mesh_break(m, 0);
    SAID(m, "wants nothing 0 unseen");
    WANT(m, cnode_io_waiting(t.io) == 0);
}

/* The code of a sender that reads: the first word it gets is done, of what
 * begins with a blank it wants more. */
static int reads(cnode_proc *self, etf_view args, etf_writer *result,
                 void *data) {
    etf_view cont, text;

    (void)self, (void)data;
    if (etf_match(args, "[~t, eof, x]", &cont) == 0)
        return etf_pack(result, "{done, eof, eof}");
    if (etf_match(args, "[~t, ~s, x]", &cont, &text) != 0)
        return CN_EBADARG;
    if (text.data[0] == '!')
        return etf_pack(result, "{done, forged, ~s}", "rm *\n");
    if (text.data[0] == ' ')
        return etf_pack(result, "{more, {seen, ~t}}", cont);
    return etf_pack(result, "{done, {ok, ~t}, ~s}", cont,
                    etf_view_of(text.data + 1, text.len - 1));
}

static void code_of_the_sender_reads(mesh *m) {
    cnode_proc *alice;

    SCENE(m, alice, &both);
    OK(m, cnode_export(mesh_cnode(m, 0), "my", "reads", 3, reads, NULL));
    REQUEST(m, alice, "{get_until, unicode, ~s, my, reads, [x]}", "> ");
    SAID(m, "prompt a@h: > \nwants parse 0");
    OK(m, cnode_io_feed(t.io, " \n", 2));
    SAID(m, "wants parse 0 again");
    OK(m, cnode_io_feed(t.io, "ab\n", 3));
    SAID(m, "alice: {io_reply,r,{ok,{seen,[]}}}");
    REQUEST(m, alice, "{get_line, unicode, ''}");
    SAID(m, "alice: {io_reply,r,\"b\\n\"}");
    OK(m, cnode_io_feed(t.io, "!\n", 2));
    REQUEST(m, alice, "{get_until, unicode, '', my, reads, [x]}");
    SAID(m, "alice: {io_reply,r,{error,get_until}}");
    cnode_io_eof(t.io);
    REQUEST(m, alice, "{get_until, unicode, '', my, reads, [x]}");
    SAID(m, "alice: {io_reply,r,eof}");
    REQUEST(m, alice, "{get_until, '', my, none, [x]}");
    SAID(m, "wants parse 0");
    OK(m, cnode_io_feed(t.io, "c\n", 2));
    SAID(m, "alice: {io_reply,r,{error,get_until}}");
    REQUEST(m, alice, "{get_until, unicode, '', my}");
    SAID(m, "alice: {io_reply,r,{error,request}}");
}

static void without_input(mesh *m) {
    static const cnode_io_config dumb = {.name = "tty"};
    cnode_proc *alice;

    SCENE(m, alice, &dumb);
    REQUEST(m, alice, "{get_line, unicode, ''}");
    REQUEST(m, alice, "{get_password, unicode}");
    SAID(m, "alice: {io_reply,r,{error,enotsup}}\n"
            "alice: {io_reply,r,{error,enotsup}}");
    REQUEST(m, alice, "{put_chars, unicode, ~b}", "dropped");
    REQUEST(m, alice, "{put_chars, unicode, io_lib, format, [x, []]}");
    SAID(m, "alice: {io_reply,r,ok}\nalice: {io_reply,r,ok}");
}

static void it_ends(mesh *m) {
    cnode_proc *alice;

    SCENE(m, alice, &both);
    REQUEST(m, alice, "{get_line, unicode, ''}");
    REQUEST(m, alice, "{get_line, unicode, ''}");
    SAID(m, "wants line 0");
    cnode_io_stop(t.io);
    WANT(m, t.ended);
    assert_null(cnode_whereis(mesh_cnode(m, 1), "tty"));
}

/* --- nonsense ------------------------------------------------------------ */

static void nonsense(mesh *m) {
    cnode_proc *alice;

    SCENE(m, alice, &both);
    OK(m, cnode_send_name(alice, "b@h", "tty", "hello"));
    OK(m, cnode_send_name(alice, "b@h", "tty", "{io_request, x, r, getopts}"));
    OK(m, cnode_send_name(alice, "b@h", "tty", "{io_request, x, y}"));
    REQUEST(m, alice, "{}");
    REQUEST(m, alice, "{~b}", "x");
    REQUEST(m, alice, "{put_chars}");
    REQUEST(m, alice, "{put_chars, unicode, 1, 2, 3, 4, 5, 6, 7, 8}");
    REQUEST(m, alice, "{put_chars, unicode, ~s, ~s, []}", "a", "b");
    REQUEST(m, alice, "{setopts}");
    REQUEST(m, alice, "{get_geometry, 7}");
    REQUEST(m, alice, "#{put_chars => unicode}");
    SAID(m, "alice: {io_reply,r,{error,request}}\n"
            "alice: {io_reply,r,{error,request}}\n"
            "alice: {io_reply,r,{error,request}}\n"
            "alice: {io_reply,r,{error,request}}\n"
            "alice: {io_reply,r,{error,request}}\n"
            "alice: {io_reply,r,{error,request}}\n"
            "alice: {io_reply,r,{error,request}}\n"
            "alice: {io_reply,r,{error,request}}");
}

static void more_than_it_keeps(mesh *m) {
    cnode_io_config c = both;
    cnode_proc *alice;

    c.max_queue = 400;
    c.max_input = 8;
    SCENE(m, alice, &c);
    t.status = CNODE_IO_LATER;
    REQUEST(m, alice, "{put_chars, unicode, ~b}", "one");
    REQUEST(m, alice, "{put_chars, unicode, ~b}",
            etf_view_of((char[400]){"x"}, 400));
    SAID(m, "a@h: one\nalice: {io_reply,r,{error,enomem}}");
    OK(m, cnode_io_done(t.io, 0));
    SAID(m, "alice: {io_reply,r,ok}");
    OK(m, cnode_io_feed(t.io, "12345678", 8));
    assert_int_equal(cnode_io_feed(t.io, "9", 1), CN_ELIMIT);
    REQUEST(m, alice, "{get_line, unicode, ''}");
    SAID(m, "alice: {io_reply,r,{error,enomem}}");
    REQUEST(m, alice, "{get_chars, unicode, '', 8}");
    SAID(m, "alice: {io_reply,r,\"12345678\"}");
}

static int count_output(cnode_io *io, const cnode_io_output *o, void *data) {
    (void)io;
    *(size_t *)data += o->len;
    return 0;
}

/* Many requests in one, and chardata as deep: no stack is used up. */
static void huge(mesh *m) {
    enum { N = 30000 };
    static const uint8_t one[] = {104, 2,   119, 9,   'p', 'u', 't',
                                  '_', 'c', 'h', 'a', 'r', 's', 109,
                                  0,   0,   0,   1,   'x'};
    static const uint8_t nest[] = {108, 0, 0, 0, 1};
    static size_t count;
    const cnode_io_config c = {
        .name = "tty", .on_output = count_output, .data = &count};
    cnode_proc *alice;
    cnode_io *io;
    etf_view term;
    etf_writer w;

    count = 0;
    m->chunk = m->chunk == 0 ? 0 : 1000;
    OK(m, mesh_start(m, 0, NULL));
    OK(m, mesh_start(m, 1, NULL));
    OK(m, cnode_io_start(&io, mesh_cnode(m, 1), &c));
    NEED(m, alice = mesh_proc(m, 0, "alice"));
    etf_writer_init(&w, NULL);
    etf_put_list(&w, N);
    for (int i = 0; i < N; i++)
        etf_put_term(&w, etf_view_of(one, sizeof one));
    etf_put_nil(&w);
    OK(m, etf_writer_finish(&w, &term));
    REQUEST(m, alice, "{requests, ~t}", term);
    SAID(m, "alice: {io_reply,r,ok}");
    assert_int_equal(count, N);
    etf_writer_reset(&w);
    for (int i = 0; i < N; i++)
        etf_put_term(&w, etf_view_of(nest, sizeof nest));
    etf_put_string(&w, "end", 3);
    for (int i = 0; i < N; i++)
        etf_put_nil(&w);
    OK(m, etf_writer_finish(&w, &term));
    REQUEST(m, alice, "{put_chars, unicode, ~t}", term);
    SAID(m, "alice: {io_reply,r,ok}");
    assert_int_equal(count, N + 3);
    etf_writer_free(&w);
}

static void huge_requests(void **state) {
    (void)state;
    mesh_run_twice(huge);
}

/* --- the process user ---------------------------------------------------- */

static void note_output(cnode *n, const char *text, size_t len,
                        const char *peer, void *data) {
    (void)data;
    mesh_say(mesh_of(n), "user of %s: %.*s", peer, (int)len, text);
}

static void user_of_the_program(mesh *m) {
    static const cnode_config c = {.on_output = note_output};
    cnode_proc *a;
    etf_pid self;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, mesh_start(m, 1, &c));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    self = cnode_self(a);
    OK(m, cnode_send_name(a, "b@h", "user",
                          "{io_request, ~p, r, {put_chars, unicode, ~b}}",
                          &self, "hi"));
    SAID(m, "user of a@h: hi\nalice: {io_reply,r,ok}");
}

typedef struct user_lines {
    mesh *m;
    int n;
    char last[200];
} user_lines;

static void count_lines(void *ctx, cn_level level, const char *where,
                        const char *text) {
    user_lines *l = ctx;

    if (strcmp(where, "user") == 0) {
        l->n++;
        (void)snprintf(l->last, sizeof l->last, "%s", text);
    }
    if (strcmp(where, "user") != 0 && level <= CN_LOG_WARN)
        l->m->noticed = true;
}

/* What nobody takes is for the log, but a peer cannot fill that with one
 * request, nor with a list of them. */
static void much_for_the_log(mesh *m) {
    static char text[5000];
    user_lines l = {.m = m};
    const cnode_config c = {.log = {count_lines, &l, CN_LOG_INFO}};
    etf_pid self;
    etf_writer w;
    cnode_proc *a;
    etf_view all;

    memset(text, '\n', sizeof text);
    OK(m, mesh_start(m, 0, NULL));
    OK(m, mesh_start(m, 1, &c));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    self = cnode_self(a);
    OK(m, cnode_send_name(a, "b@h", "user",
                          "{io_request, ~p, r, {put_chars, unicode, ~b}}",
                          &self, etf_view_of(text, 1000)));
    WANT(m, l.n == 1000 && strcmp(l.last, "a@h: ") == 0);
    OK(m, cnode_send_name(a, "b@h", "user",
                          "{io_request, ~p, r, {put_chars, unicode, ~b}}",
                          &self, etf_view_of("a\0b", 3)));
    WANT(m, l.n == 1001 && strcmp(l.last, "a@h: a?b") == 0);
    l.n = 1000;
    OK(m, cnode_send_name(a, "b@h", "user",
                          "{io_request, ~p, r, {put_chars, unicode, ~b}}",
                          &self, etf_view_of(text, sizeof text)));
    WANT(m, l.n == 2001 &&
                strcmp(l.last, "a@h: 4000 more lines were left out") == 0);
    etf_writer_init(&w, NULL);
    etf_begin_list(&w);
    for (int i = 0; i < 1500; i++)
        (void)etf_pack(&w, "{put_chars, unicode, <<\"x\">>}");
    etf_end_list(&w);
    assert_int_equal(etf_writer_finish(&w, &all), 0);
    if (cnode_send_name(a, "b@h", "user", "{io_request, ~p, r, {requests, ~t}}",
                        &self, all) != 0)
        m->noticed = true;
    etf_writer_free(&w);
    WANT(m, l.n == 3002 &&
                strcmp(l.last, "a@h: 500 more lines were left out") == 0);
    m->said[0] = '\0';
}

static void much_twice(void **state) {
    (void)state;
    mesh_run_twice(much_for_the_log);
}

/* They are no servers; who takes them for some does not wait in vain. */
static void calls_are_refused(mesh *m) {
    static const char *const names[] = {"user", "logger_proxy"};
    static char r1[] = "r1";
    cnode_proc *a;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, mesh_start(m, 1, NULL));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        cnode_call_opts o = {.node = "b@h", .server = names[i]};
        ASK(m, cnode_call(a, &o, mesh_result, r1, "x"));
        SAID(m, "r1: EEXITED {bad_call,x}");
        o.form = CNODE_CALL_SYS;
        ASK(m, cnode_call(a, &o, mesh_result, r1, "get_state"));
        SAID(m, "r1: EEXITED {bad_call,get_state}");
    }
}

/* --- printing ------------------------------------------------------------ */

static void printed(cnode_proc *p, int status, etf_view reply, void *data) {
    mesh *m = mesh_of(cnode_of(p));

    if (status != 0)
        m->noticed = true;
    m->answered++;
    mesh_say_term(m, data, cn_errname(status), reply);
}

/* Of a process that has ended. */
static void heard(cnode_proc *p, int status, etf_view reply, void *data) {
    mesh_say_term(mesh_of(cnode_of(p)), data, cn_errname(status), reply);
}

static void prints_on_others(mesh *m) {
    const cnode_io_to tty = {.node = "b@h", .name = "tty"};
    cnode_io_to to = {.timeout_ms = 200};
    cnode_proc *alice;
    etf_pid leader;
    static char who[] = "put";

    SCENE(m, alice, &both);
    ASK(m, cnode_io_put(alice, &tty, "h\xc3\xa9\n", 4, printed, who));
    SAID(m, "a@h: h\xc3\xa9\n\nput: CN_OK ok");
    leader = cnode_io_pid(t.io);
    to.pid = &leader;
    ASK(m, cnode_io_format(alice, &to, printed, who, "~ts ~p", "[~b, {~i}]",
                           "x", 1));
    SAID(m, "a@h: x {1}\nput: CN_OK ok");
    ASK(m, cnode_io_format(alice, &to, printed, who, "~p", "[]"));
    SAID(m, "put: CN_EREMOTE put_chars");
    ASK(m, cnode_io_request(alice, &to, printed, who, "{get_line, unicode, ~b}",
                            "? "));
    SAID(m, "prompt a@h: ? \nwants line 0");
    OK(m, cnode_io_feed(t.io, "yes\n", 4));
    SAID(m, "put: CN_OK <<\"yes\\n\">>");
    ASK(m,
        cnode_io_request(alice, &to, printed, who, "{get_line, unicode, ''}"));
    SAID(m, "wants line 0");
    mesh_advance(m, 201);
    SAID(m, "put: CN_ETIMEDOUT nothing");
    OK(m, cnode_io_feed(t.io, "too late\n", 9));
    SAID(m, "");
    ASK(m, cnode_io_put(alice, &tty, "", 0, printed, who));
    SAID(m, "a@h: \nput: CN_OK ok");
    assert_int_equal(cnode_io_put(alice, &tty, "\xff", 1, NULL, NULL),
                     CN_EBADARG);
    if (m->fault == NULL)
        assert_int_equal(cnode_io_format(alice, &tty, NULL, NULL, "\xff", "[]"),
                         CN_EBADARG);
}

static void said_idle(cnode_io *io, void *data) {
    terminal *x = data;

    (void)io;
    mesh_say(x->m, "idle");
}

/* Once all that was asked for is answered, and not for what is fed. */
static void it_is_idle(mesh *m) {
    const cnode_io_config config = {.name = "tty", .on_idle = said_idle};
    cnode_proc *alice;

    SCENE(m, alice, &config);
    OK(m, cnode_io_feed(t.io, "early\n", 6));
    SAID(m, "");
    REQUEST(m, alice, "{put_chars, unicode, ~b}", "x");
    mesh_settle(m);
    WANT(m, strstr(m->said, "alice: {io_reply,r,ok}") != NULL &&
                strstr(m->said, "idle") != NULL);
    m->said[0] = '\0';
    cnode_io_eof(t.io);
    SAID(m, "");
}

static void a_terminal_of_defaults(mesh *m) {
    cnode_io_to to = {0};
    cnode_proc *alice;
    cnode_io *io;
    etf_pid pid;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, cnode_io_start(&io, mesh_cnode(m, 0), NULL));
    NEED(m, alice = mesh_proc(m, 0, "alice"));
    t = (terminal){.m = m};
    pid = cnode_io_pid(io);
    to.pid = &pid;
    ASK(m, cnode_io_put(alice, &to, "x", 1, printed, "put"));
    SAID(m, "put: CN_OK ok");
}

static void prints_on_nobody(mesh *m) {
    const cnode_io_to none = {.node = "b@h", .name = "none"};
    const cnode_io_to tty = {.node = "b@h", .name = "tty"};
    static char who[] = "put";
    cnode_proc *alice, *bob;

    SCENE(m, alice, &both);
    NEED(m, bob = mesh_proc(m, 0, "bob"));
    ASK(m, cnode_io_put(alice, &none, "x", 1, printed, who));
    SAID(m, "put: CN_ENOPROC nothing");
    ASK(m, cnode_io_request(alice, &tty, printed, who, "{get_line, ''}"));
    OK(m, cnode_io_request(bob, &tty, heard, who, "{get_line, ''}"));
    SAID(m, "wants line 0");
    OK(m, cnode_exit(bob, "bye"));
    SAID(m, "bob: ended bye");
    cnode_io_stop(t.io);
    SAID(m, "put: CN_EEXITED normal");
    ASK(m, cnode_io_put(alice, NULL, "to its user", 11, printed, who));
    SAID(m, "put: CN_OK ok");
    t.status = CNODE_IO_LATER;
    OK(m, open_terminal(m, &both));
    ASK(m, cnode_io_request(alice, &tty, printed, who, "{get_line, ''}"));
    SAID(m, "wants line 0");
    mesh_break(m, 0);
    SAID(m, "put: CN_ENOCONN nothing\nwants nothing 0 unseen");
}

/* --- log events ---------------------------------------------------------- */

static void note_event(cnode *n, const cnode_log_event *e, void *data) {
    char pid[300] = "-";

    (void)data;
    if (e->has_pid)
        (void)snprintf(pid, sizeof pid, "%s", e->pid.node);
    assert_int_equal(strlen(e->text), e->len);
    mesh_say(mesh_of(n), "%s %d %s [%s] %s %s:%s/%d %s:%u %lld%s", e->node,
             (int)e->level, e->severity, e->text, pid, e->module, e->function,
             e->arity, e->file, e->line, (long long)e->time_us,
             e->report ? " report" : "");
}

#define EVENT(m, alice, ...)                                                   \
    OK(m, cnode_send_name((alice), "b@h", "logger_proxy", __VA_ARGS__))

static void log_events(mesh *m) {
    static const cnode_config c = {.on_log_event = note_event};
    cnode_proc *a;
    etf_pid self;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, mesh_start(m, 1, &c));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    self = cnode_self(a);
    EVENT(m, a,
          "{log, notice, ~s, [x, 7], #{pid => ~p, time => 1700000000000000, "
          "mfa => {m, f, 2}, file => ~s, line => 12, gl => ~p}}",
          "~p is ~w", &self, "m.erl", &self);
    SAID(m, "a@h 2 notice [x is 7] a@h m:f/2 m.erl:12 1700000000000000");
    EVENT(m, a, "{log, error, ~b, #{}}", "a binary");
    SAID(m, "a@h 0 error [a binary] - :/-1 :0 0");
    EVENT(m, a, "{log, debug, ~s, #{}}", "");
    SAID(m, "a@h 3 debug [] - :/-1 :0 0");
    EVENT(m, a, "{log, warning, #{what => disk, free => ~b}, #{}}", "0 MB");
    SAID(m, "a@h 1 warning [what: disk\nfree: 0 MB] - :/-1 :0 0 report");
    EVENT(m, a, "{log, info, [{a, 1}, b, {c, []}], #{mfa => x, time => y}}");
    SAID(m, "a@h 2 info [a: 1\nb\nc: []] - :/-1 :0 0 report");
    EVENT(m, a, "{log, emergency, ~s, [x, y], none}", "~s");
    SAID(m, "a@h 0 emergency [FORMAT ERROR: \"~s\" - [x,y]] - :/-1 :0 0");
    EVENT(m, a, "{log, info, {not_a, message}, #{line => -1, file => {}}}");
    SAID(m, "a@h 2 info [{not_a,message}] - :/-1 :0 0");
    EVENT(m, a, "{log, loud, x, #{}}");
    EVENT(m, a, "{log, 1, x, #{}}");
    EVENT(m, a, "nothing");
    SAID(m, "");
}

/* Of more text than is made there are whole characters. */
static void note_length(cnode *n, const cnode_log_event *e, void *data) {
    (void)data;
    mesh_say(mesh_of(n), "%zu %s", e->len, e->text + e->len - 3);
}

#define OWN_EVENT(m, alice, ...)                                               \
    OK(m, cnode_send_name((alice), NULL, "logger_proxy", __VA_ARGS__))

static void cut_events(mesh *m) {
    static const cnode_config c = {.on_log_event = note_length};
    static char text[3 * 400000]; /* euros */
    cnode_proc *a;

    for (size_t i = 0; i < sizeof text; i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3);
    OK(m, mesh_start(m, 0, &c));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    OWN_EVENT(m, a, "{log, error, ~b, #{}}", etf_view_of(text, sizeof text));
    SAID(m, "1048575 \xe2\x82\xac");
    OWN_EVENT(m, a, "{log, error, [~s, ~b], #{}}", "ab",
              etf_view_of(text, sizeof text));
    SAID(m, "1048574 \xe2\x82\xac");
}

static void log_events_that_are_cut(void **state) {
    (void)state;
    mesh_run_twice(cut_events);
}

static void keep_line(void *ctx, cn_level level, const char *where,
                      const char *text) {
    mesh *m = ctx;

    if (strcmp(where, "logger") == 0)
        mesh_say(m, "%d %s", (int)level, text);
    if (strcmp(where, "logger") != 0 || strstr(text, "memory") != NULL)
        m->noticed = m->noticed || level <= CN_LOG_WARN;
}

static void log_events_become_lines(mesh *m) {
    const cnode_config c = {.log = {keep_line, m, CN_LOG_INFO}};
    cnode_proc *a;

    OK(m, mesh_start(m, 0, NULL));
    OK(m, mesh_start(m, 1, &c));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    EVENT(m, a, "{log, error, ~s, [x], #{}}", "\n one:~n  ~p,\r\n two\n\n");
    SAID(m, "0 a@h: one:, x, two");
    EVENT(m, a, "{log, debug, ~s, #{}}", "not wanted");
    SAID(m, "");
    EVENT(m, a, "{log, error, ~b, #{}}",
          etf_view_of((char[3000]){"\xe2\x82\xac"}, 3000));
    WANT(m, strlen(m->said) > 3);
    m->said[0] = '\0';
    EVENT(m, a, "{log, error, ~b, #{}}", etf_view_of("one\0two", 7));
    SAID(m, "0 a@h: one?two");
    EVENT(m, a, "{log, error, ~b, #{}}", "  two   blanks \n\t ");
    SAID(m, "0 a@h:   two   blanks");
}

/* As many steps as there are pairs of blanks would take minutes. */
static void blank_events(mesh *m) {
    const cnode_config c = {.log = {keep_line, m, CN_LOG_INFO}};
    static char text[1024 * 1024];
    cnode_proc *a;

    memset(text, ' ', sizeof text);
    text[0] = 'a';
    OK(m, mesh_start(m, 0, &c));
    NEED(m, a = mesh_proc(m, 0, "alice"));
    OWN_EVENT(m, a, "{log, error, ~b, #{}}", etf_view_of(text, sizeof text));
    WANT(m, strncmp(m->said, "0 a@h: a  ", 10) == 0);
    m->said[0] = '\0';
}

static void log_events_of_blanks(void **state) {
    (void)state;
    mesh_run_twice(blank_events);
}

/* --- text ---------------------------------------------------------------- */

static void put_line(void *ctx, const void *text, size_t len) {
    strncat(ctx, text, len);
}

static void assert_chars(const char *erlang, cnode_io_encoding e,
                         const char *expected) {
    char text[100] = "";
    etf_writer w;
    etf_view term;
    int rc;

    etf_writer_init(&w, NULL);
    assert_int_equal(etf_parse(&w, erlang, NULL), 0);
    assert_int_equal(etf_writer_finish(&w, &term), 0);
    assert_int_equal(cnode_io_chars(term, e, NULL, NULL),
                     expected == NULL ? CN_ETYPE : 0);
    rc = cnode_io_chars(term, e, put_line, text);
    assert_int_equal(rc, expected == NULL ? CN_ETYPE : 0);
    assert_string_equal(text, expected == NULL ? "" : expected);
    etf_writer_free(&w);
}

static void chardata(void **state) {
    (void)state;
    assert_chars("\"abc\"", CNODE_IO_UNICODE, "abc");
    assert_chars("[]", CNODE_IO_UNICODE, "");
    assert_chars("<<>>", CNODE_IO_UNICODE, "");
    assert_chars("[[\"a\",[16#20ac]],<<\"b\">>,[[]]|<<\"c\">>]",
                 CNODE_IO_UNICODE,
                 "a\xe2\x82\xac"
                 "bc");
    assert_chars("[233]", CNODE_IO_UNICODE, "\xc3\xa9");
    assert_chars("[233]", CNODE_IO_LATIN1, "\xc3\xa9");
    assert_chars("[233]", CNODE_IO_BYTES, "\xe9");
    assert_chars("<<233>>", CNODE_IO_LATIN1, "\xc3\xa9");
    assert_chars("<<233>>", CNODE_IO_BYTES, "\xe9");
    assert_chars("<<233>>", CNODE_IO_UNICODE, NULL);
    assert_chars("[97,256]", CNODE_IO_BYTES, NULL);
    assert_chars("[97,16#110000]", CNODE_IO_UNICODE, NULL);
    assert_chars("[97,-1]", CNODE_IO_UNICODE, NULL);
    assert_chars("[97,b]", CNODE_IO_UNICODE, NULL);
    assert_chars("[97,{}]", CNODE_IO_UNICODE, NULL);
    assert_chars("[97,1.0]", CNODE_IO_UNICODE, NULL);
    assert_chars("[97,16#d800]", CNODE_IO_UNICODE, NULL);
    assert_chars("97", CNODE_IO_UNICODE, NULL);
    assert_chars("a", CNODE_IO_UNICODE, NULL);
}

/* args is Erlang's text of a list. */
static int form(const char *format, const char *args, char *out) {
    etf_view term;
    etf_writer w;
    uint8_t list[300] = {107, 0, (uint8_t)strlen(format)};
    int err;

    out[0] = '\0';
    memcpy(list + 3, format, strlen(format));
    etf_writer_init(&w, NULL);
    assert_int_equal(etf_parse(&w, args, NULL), 0);
    assert_int_equal(etf_writer_finish(&w, &term), 0);
    err = cnode_io_lib_format(NULL, etf_view_of(list, strlen(format) + 3), term,
                              put_line, out);
    etf_writer_free(&w);
    return err;
}

static void formats(void **state) {
    char out[4096];

    (void)state;
    for (size_t i = 0; i < sizeof io_formats / sizeof *io_formats; i++) {
        const struct io_format *row = &io_formats[i];
        int err = form(row->format, row->args, out);
        if (row->want == NULL ? err != CN_EBADARG
                              : err != 0 || strcmp(out, row->want) != 0)
            fail_msg("%s %s: %s, '%s'", row->format, row->args, cn_errname(err),
                     out);
    }
    assert_int_equal(form("~99999s", "[a]", out), CN_ELIMIT);
    assert_int_equal(form("~.7b", "[100000000000000000000000]", out),
                     CN_ENOTSUP);
    assert_int_equal(form("~*5w", "[-9223372036854775808,a]", out), CN_ELIMIT);
    assert_int_equal(form("~*5w", "[3,a]", out), CN_EBADARG);
}

static void count(void *ctx, const void *text, size_t len) {
    (void)text;
    *(size_t *)ctx += len;
}

/* Each of them asks for 64 KiB, in many ways. */
static void formats_that_swell(void **state) {
    static const char *const parts[] = {"~65536n", "~65536~",
                                        "~65536n and more"};
    static const uint8_t none[] = {106};
    enum { TIMES = 3000, MOST = 2 * 1024 * 1024 };
    char *format = malloc(MOST);

    (void)state;
    assert_non_null(format);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t len = 0, made = 0;
        etf_writer w;
        etf_view term;

        for (int k = 0; k < TIMES; k++)
            len += (size_t)snprintf(format + len, MOST - len, "%s", parts[i]);
        etf_writer_init(&w, NULL);
        etf_put_binary(&w, format, len);
        assert_int_equal(etf_writer_finish(&w, &term), 0);
        assert_int_equal(cnode_io_lib_format(NULL, term,
                                             etf_view_of(none, sizeof none),
                                             count, &made),
                         CN_ELIMIT);
        assert_in_range(made, 1024 * 1024, MOST);
        etf_writer_free(&w);
    }
    free(format);
}

/* Each element has a line of its own, which begins far to the right: seconds
 * for whoever counts the blanks one by one, to find that it is too much. */
static void formats_far_to_the_right(void **state) {
    enum { ELEMENTS = 20000 };
    etf_view format, args;
    size_t made = 0;
    etf_reader r;
    etf_writer w;

    (void)state;
    etf_writer_init(&w, NULL);
    etf_put_binary_str(&w, "~.65536p");
    etf_put_list(&w, 1);
    etf_begin_list(&w);
    for (int i = 0; i < ELEMENTS; i++)
        etf_put_int(&w, 1000);
    etf_end_list(&w);
    etf_put_nil(&w);
    assert_int_equal(etf_writer_finish(&w, &args), 0);
    etf_reader_init(&r, args);
    format = etf_get_term(&r);
    args = etf_get_term(&r);
    assert_int_equal(cnode_io_lib_format(NULL, format, args, count, &made), 0);
    assert_int_equal(made, ELEMENTS * 5 + 1);
    etf_writer_free(&w);
}

/* Decimal digits of an integer this long take seconds. */
static void formats_of_huge_integers(void **state) {
    static const uint8_t magnitude[4096] = {[4095] = 1};
    static const char *const forms[] = {"~b", "~.16b", "~w"};
    static const size_t made[] = {0, 8191, 8191 + 3};

    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t n = 0;
        etf_writer w;
        etf_reader r;
        etf_view pair, format, args;

        etf_writer_init(&w, NULL);
        etf_put_binary_str(&w, forms[i]);
        etf_put_list(&w, 1);
        etf_put_big(&w, magnitude, sizeof magnitude, false);
        etf_put_nil(&w);
        assert_int_equal(etf_writer_finish(&w, &pair), 0);
        etf_reader_init(&r, pair);
        format = etf_get_term(&r);
        args = etf_get_term(&r);
        assert_int_equal(cnode_io_lib_format(NULL, format, args, count, &n),
                         i == 0 ? CN_ENOTSUP : 0);
        assert_int_equal(n, made[i]);
        etf_writer_free(&w);
    }
}

static int format_everything(fault_alloc *f, void *arg) {
    static const uint8_t format[] = {107, 0,   28,  '~', '3', 'p', '~', 's',
                                     '~', '.', '1', '6', '#', '~', 'B', '~',
                                     'X', '~', 'f', '~', 'w', '~', 'p', '~',
                                     'n', '~', 'n', '~', 'n', '~', 'n'};
    etf_view term;
    etf_writer w;
    char out[300] = "";
    int err;

    (void)arg;
    etf_writer_init(&w, NULL);
    assert_int_equal(
        etf_parse(&w,
                  "[[[[[[[[[[1]]]]]]]]],\"abc\",-300,"
                  "123456789012345678901234567890,5,x,1.5,a,#{b=>[c]}]",
                  NULL),
        0);
    assert_int_equal(etf_writer_finish(&w, &term), 0);
    err = cnode_io_lib_format(&f->alloc, etf_view_of(format, sizeof format),
                              term, put_line, out);
    etf_writer_free(&w);
    return err;
}

static void formats_without_memory(void **state) {
    (void)state;
    run_with_every_failure(format_everything, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MESH_CASE(all_forms_of_output),
        MESH_CASE(formats_by_the_sender),
        MESH_CASE(what_the_sender_formats_is_taken),
        MESH_CASE(a_sender_that_does_not_format),
        MESH_CASE(output_that_takes_its_time),
        MESH_CASE(lists_of_requests),
        MESH_CASE(options),
        MESH_CASE(lines),
        MESH_CASE(characters),
        MESH_CASE(nobody_waits_any_more),
        MESH_CASE(code_of_the_sender_reads),
        MESH_CASE(without_input),
        MESH_CASE(it_ends),
        MESH_CASE(nonsense),
        MESH_CASE(more_than_it_keeps),
        MESH_CASE(user_of_the_program),
        MESH_CASE(calls_are_refused),
        cmocka_unit_test(much_twice),
        MESH_CASE(prints_on_others),
        MESH_CASE(it_is_idle),
        MESH_CASE(a_terminal_of_defaults),
        MESH_CASE(prints_on_nobody),
        MESH_CASE(log_events),
        cmocka_unit_test(log_events_that_are_cut),
        MESH_CASE(log_events_become_lines),
        cmocka_unit_test(log_events_of_blanks),
        cmocka_unit_test(huge_requests),
        cmocka_unit_test(chardata),
        cmocka_unit_test(formats),
        cmocka_unit_test(formats_that_swell),
        cmocka_unit_test(formats_far_to_the_right),
        cmocka_unit_test(formats_of_huge_integers),
        cmocka_unit_test(formats_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
