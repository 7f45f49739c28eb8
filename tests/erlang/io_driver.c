/* SPDX-License-Identifier: Apache-2.0
 *
 * io_driver.c: the C side of io_SUITE: a terminal that remote code prints on
 * and reads from, and a process that prints on group leaders. `ctl` takes
 * commands, {From, Ref, Command}, and answers {Ref, Answer}.
 *
 *   io_driver NAME LOGNODE   with $CNODE_COOKIE; its log goes to LOGNODE as
 *                            well; writes a line when it is ready
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cnode/cnode.h>
#include <cnode/io.h>

typedef struct driver {
    cnode *node;
    cnode_proc *ctl;
    cnode_io *io;
    cn_log log;
    etf_writer out;
    char *text; /* what was printed here */
    size_t len;
    etf_view events[64];
    size_t n_events;
    int wants; /* how often input was wanted */
} driver;

static int on_output(cnode_io *io, const cnode_io_output *o, void *data) {
    driver *d = data;
    char *grown = realloc(d->text, d->len + o->len + 1);

    (void)io;
    if (grown == NULL)
        return CN_ENOMEM;
    d->text = grown;
    memcpy(d->text + d->len, o->text, o->len);
    d->len += o->len;
    return 0;
}

static void on_input(cnode_io *io, const cnode_io_input *i, void *data) {
    driver *d = data;

    (void)io;
    if (i->want != CNODE_IO_NOTHING)
        d->wants++;
}

/* {Severity, Text, Pid | none, {M, F, A}, Line, IsReport} */
static void on_log_event(cnode *n, const cnode_log_event *e, void *data) {
    driver *d = data;
    etf_view term;
    etf_writer w;

    (void)n;
    if (d->n_events == sizeof d->events / sizeof *d->events)
        return;
    etf_writer_init(&w, NULL);
    etf_put_tuple(&w, 6);
    etf_put_atom(&w, e->severity);
    etf_put_binary(&w, e->text, e->len);
    if (e->has_pid)
        etf_put_pid(&w, &e->pid);
    else
        etf_put_atom(&w, "none");
    (void)etf_pack(&w, "{~a, ~a, ~i}", e->module, e->function, e->arity);
    etf_put_uint(&w, e->line);
    etf_put_bool(&w, e->report);
    if (etf_writer_finish(&w, &term) == 0 &&
        etf_copy(NULL, term, &d->events[d->n_events]) == 0)
        d->n_events++;
    etf_writer_free(&w);
}

/* --- commands ------------------------------------------------------------ */

static void put_code(driver *d, int code) {
    etf_put_atom(&d->out, code == 0 ? "ok" : cn_errname(code));
}

static void take_output(driver *d) {
    etf_put_binary(&d->out, d->text, d->len);
    d->len = 0;
}

static void take_events(driver *d) {
    etf_begin_list(&d->out);
    for (size_t i = 0; i < d->n_events; i++) {
        etf_put_term(&d->out, d->events[i]);
        etf_copy_free(NULL, d->events[i]);
    }
    etf_end_list(&d->out);
    d->n_events = 0;
}

/* The answer of a group leader goes to who wanted it. */
static void on_reply(cnode_proc *p, int status, etf_view reply, void *data) {
    etf_pid *to = data;

    (void)cnode_send(p, to, "{replied, ~a, ~t}",
                     status == 0 ? "ok" : cn_errname(status),
                     reply.len > 0 ? reply : etf_view_of("j", 1));
    free(to);
}

static etf_pid *keep(const etf_pid *pid) {
    etf_pid *copy = malloc(sizeof *copy);

    if (copy == NULL)
        abort();
    *copy = *pid;
    return copy;
}

static bool print(driver *d, const etf_pid *from, etf_view command) {
    etf_pid leader;
    etf_view text, args;
    cnode_io_to to = {.pid = &leader};
    char format[200];

    if (etf_match(command, "{put, ~p, ~b}", &leader, &text) == 0) {
        put_code(d, cnode_io_put(d->ctl, &to, (const char *)text.data, text.len,
                                 on_reply, keep(from)));
        return true;
    }
    if (etf_match(command, "{format, ~p, ~b, ~t}", &leader, &text, &args) ==
        0) {
        (void)snprintf(format, sizeof format, "%.*s", (int)text.len,
                       (const char *)text.data);
        put_code(d, cnode_io_format(d->ctl, &to, on_reply, keep(from), format,
                                    "~t", args));
        return true;
    }
    if (etf_match(command, "{request, ~p, ~t}", &leader, &args) == 0) {
        put_code(
            d, cnode_io_request(d->ctl, &to, on_reply, keep(from), "~t", args));
        return true;
    }
    return false;
}

static void log_line(driver *d, int64_t level, etf_view text) {
    char line[200];

    (void)snprintf(line, sizeof line, "%.*s", (int)text.len,
                   (const char *)text.data);
    d->log.fn(d->log.ctx, (cn_level)level, "driver", line);
}

static void obey(driver *d, const etf_pid *from, etf_view command) {
    etf_view text;
    etf_pid pid;
    int64_t i;

    if (etf_match(command, "leader") == 0) {
        pid = cnode_io_pid(d->io);
        etf_put_pid(&d->out, &pid);
    } else if (etf_match(command, "output") == 0)
        take_output(d);
    else if (etf_match(command, "events") == 0)
        take_events(d);
    else if (etf_match(command, "wants") == 0)
        etf_put_int(&d->out, d->wants);
    else if (etf_match(command, "{feed, ~b}", &text) == 0)
        put_code(d, cnode_io_feed(d->io, (const char *)text.data, text.len));
    else if (etf_match(command, "eof") == 0)
        cnode_io_eof(d->io), put_code(d, 0);
    else if (etf_match(command, "{log, ~i, ~b}", &i, &text) == 0)
        log_line(d, i, text), put_code(d, 0);
    else if (etf_match(command, "stop") == 0)
        cnode_stop(d->node), put_code(d, 0);
    else if (!print(d, from, command))
        etf_put_atom(&d->out, "what");
}

static void on_message(cnode_proc *self, const cnode_msg *m, void *data) {
    driver *d = data;
    etf_view command, answer;
    etf_pid from;
    etf_ref ref;

    if (etf_match(m->term, "{~p, ~r, ~t}", &from, &ref, &command) != 0)
        return;
    etf_writer_reset(&d->out);
    obey(d, &from, command);
    if (etf_writer_finish(&d->out, &answer) == 0)
        (void)cnode_send(self, &from, "{~r, ~t}", &ref, answer);
}

/* --- the program --------------------------------------------------------- */

static int start(driver *d, cnode_logger *logger, const char *name) {
    const cnode_config config = {
        .name = name, .log = d->log, .on_log_event = on_log_event, .data = d};
    const cnode_proc_config ctl = {
        .name = "ctl", .on_message = on_message, .data = d};
    const cnode_io_config io = {.name = "tty",
                                .on_output = on_output,
                                .on_input = on_input,
                                .data = d,
                                .columns = 99};
    int err = cnode_new(&d->node, &config);

    if (err == 0)
        err = cnode_logger_attach(logger, d->node);
    if (err == 0)
        err = cnode_spawn(d->node, &ctl, &d->ctl);
    if (err == 0)
        err = cnode_io_start(&d->io, d->node, &io);
    return err == 0 ? cnode_listen(d->node) : err;
}

int main(int argc, char **argv) {
    const cnode_logger_config config = {.node = argc > 2 ? argv[2] : NULL,
                                        .name = "c"};
    static driver d;
    cnode_logger *logger;
    int err = cnode_logger_new(&logger, &config);

    if (err != 0)
        return 2;
    d.log = cnode_logger_hook(logger, CN_LOG_WARN);
    etf_writer_init(&d.out, NULL);
    err = start(&d, logger, argv[1]);
    if (err != 0) {
        (void)fprintf(stderr, "io_driver: %s\n", cn_strerror(err));
        return 1;
    }
    (void)puts("ready");
    (void)fflush(stdout);
    (void)cnode_run(d.node);
    take_events(&d);
    cnode_free(d.node);
    cnode_logger_free(logger);
    etf_writer_free(&d.out);
    free(d.text);
    return 0;
}
