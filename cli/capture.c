/* SPDX-License-Identifier: Apache-2.0
 *
 * capture.c: opens the file of --capture. It holds what others say to each
 * other, so that nobody else may read it.
 */
#include "cli/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/report.h"

static int say_no_file(const cli_options *o, int error) {
    cli_say(o, "%s: %s", o->capture, strerror(error));
    return CLI_LOCAL;
}

static FILE *open_file(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "wb");
    int error = errno;

    if (f == NULL && fd >= 0)
        (void)close(fd);
    errno = error;
    return f;
}

static void on_log(void *ctx, cn_level level, const char *where,
                   const char *text) {
    const cli_options *const *o = ctx;

    (void)where;
    cli_say(*o, "%s: %s: %s", level == CN_LOG_WARN ? "warning" : "error",
            (*o)->capture, text);
}

int cli_capture_open(const cli_options *o, cli_capture *out) {
    cnode_capture_config c = {.max_bytes = o->capture_max};
    int rc;

    *out = (cli_capture){.o = o};
    c.log = (cn_log){on_log, &out->o, CN_LOG_WARN};
    if (o->capture == NULL)
        return 0;
    c.out = out->file = open_file(o->capture);
    if (c.out == NULL)
        return say_no_file(o, errno);
    rc = cnode_capture_new(&out->capture, &c);
    if (rc == 0)
        return 0;
    rc = rc == CN_EIO ? say_no_file(o, errno) : cli_fail(o, rc);
    cli_capture_close(out);
    return rc;
}

void cli_capture_close(cli_capture *c) {
    cnode_capture_free(c->capture);
    if (c->file != NULL)
        (void)fclose(c->file);
    *c = (cli_capture){.o = c->o};
}
