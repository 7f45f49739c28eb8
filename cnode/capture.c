/* SPDX-License-Identifier: Apache-2.0
 *
 * capture.c: writes down what crosses connections. A tap hears the bytes of a
 * connection as they are read and written, finds the messages in them by
 * nothing but their length fields (two bytes in the handshake, four behind
 * it), keeps the beginning of each and makes a record of it when it is
 * complete. So it does not depend on how the connection makes or reads them.
 *
 * The handshake ends, in each direction, with the message that carries that
 * side's digest.
 *
 * Failures: the first one ends the capture, with a line in the log.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/log.h"
#include "cnode/capture_file.h"
#include "cnode/sized.h"

enum {
    DEFAULT_MESSAGE = 128 * 1024,
    KEEP_BUFFER = 64 * 1024,
    CHALLENGE = 4 /* bytes */
};

struct cnode_capture {
    cnode_capture_config config;
    uint64_t left; /* bytes that may still be written */
    uint32_t connections;
    int status;
};

typedef struct way {
    bool framed; /* the handshake is over */
    uint8_t head[4];
    size_t head_len;
    size_t size; /* of the message, when the head is complete */
    size_t left; /* of it that has not come yet */
    cn_buf kept;
} way;

struct cnode__tap {
    cnode_capture *capture;
    cn_alloc alloc;
    uint32_t id;
    bool dialled;
    way ways[2]; /* in, out */
};

/* --- the file ------------------------------------------------------------ */

static void give_up(cnode_capture *c, int status, cn_level level,
                    const char *why) {
    if (c->status != 0)
        return;
    c->status = status;
    cn__log(&c->config.log, level, "capture",
            "nothing more is written to the capture: %s", why);
}

static bool put(cnode_capture *c, const void *p, size_t n) {
    if (n == 0 || fwrite(p, 1, n, c->config.out) == n)
        return true;
    give_up(c, CN_EIO, CN_LOG_ERROR, strerror(errno));
    return false;
}

static void flush(cnode_capture *c) {
    if (c->status != CN_EIO && fflush(c->config.out) != 0)
        give_up(c, CN_EIO, CN_LOG_ERROR, strerror(errno));
}

static uint64_t now_us(const cnode_capture *c) {
    struct timespec ts;

    if (c->config.clock_us != NULL)
        return c->config.clock_us(c->config.ctx);
    if (timespec_get(&ts, TIME_UTC) == 0)
        return 0;
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

typedef struct record {
    cnode_capture_kind kind;
    bool out;
    uint32_t connection;
    size_t size;
    const void *message;
    size_t len;
} record;

static void put_record(cnode_capture *c, const record *r) {
    uint8_t head[CNODE__CAPTURE_RECORD], *p = head;

    p = cn__put32(p, (uint32_t)(CNODE__CAPTURE_MIN + r->len));
    p = cn__put8(p, (uint8_t)r->kind);
    p = cn__put8(p, r->out);
    p = cn__put32(p, r->connection);
    p = cn__put64(p, now_us(c));
    (void)cn__put32(p, (uint32_t)r->size);
    if (put(c, head, sizeof head))
        (void)put(c, r->message, r->len);
}

/* Room for the record that says that there is no more is always left. */
static void write_record(cnode_capture *c, const record *r) {
    static const record full = {.kind = CNODE_CAPTURE_FULL};
    uint64_t need = (uint64_t)CNODE__CAPTURE_RECORD + r->len;

    if (c->status != 0)
        return;
    if (need > c->left) {
        put_record(c, &full);
        flush(c);
        give_up(c, CN_ELIMIT, CN_LOG_WARN, "it is as large as it may become");
        return;
    }
    c->left -= need;
    put_record(c, r);
}

static int begin(cnode_capture *c) {
    uint8_t head[CNODE__CAPTURE_HEAD] = CNODE__CAPTURE_MAGIC;
    uint64_t least = CNODE__CAPTURE_HEAD + CNODE__CAPTURE_RECORD;

    (void)cn__put16(head + 8, CNODE__CAPTURE_VERSION);
    c->left = c->config.max_bytes;
    if (c->left == 0)
        c->left = UINT64_C(64) << 20;
    c->left = c->left < least ? 0 : c->left - least;
    (void)put(c, head, sizeof head);
    flush(c);
    return c->status;
}

int cnode_capture_new_sized(cnode_capture **out,
                            const cnode_capture_config *config, size_t size) {
    cnode_capture_config own;
    cnode_capture *c;
    int err;

    *out = NULL;
    cnode__copy_sized(&own, sizeof own, config, size);
    if (own.out == NULL)
        return CN_EBADARG;
    own.alloc = *cn__alloc(&own.alloc);
    if (own.max_message == 0)
        own.max_message = DEFAULT_MESSAGE;
    if (own.max_message > INT32_MAX)
        own.max_message = INT32_MAX;
    c = cn__calloc(&own.alloc, 1, sizeof *c);
    if (c == NULL)
        return CN_ENOMEM;
    c->config = own;
    err = begin(c);
    if (err != 0)
        cnode_capture_free(c);
    else
        *out = c;
    return err;
}

void cnode_capture_free(cnode_capture *c) {
    cn_alloc alloc;

    if (c == NULL)
        return;
    flush(c);
    alloc = c->config.alloc;
    cn__free(&alloc, c, 1, sizeof *c);
}

int cnode_capture_status(const cnode_capture *c) {
    return c->status;
}

/* --- the tap ------------------------------------------------------------- */

cnode__tap *cnode__tap_new(cnode_capture *c, bool dialled, const char *name) {
    cnode__tap *t = cn__calloc(&c->config.alloc, 1, sizeof *t);
    size_t len = strlen(name);

    if (t == NULL) {
        give_up(c, CN_ENOMEM, CN_LOG_ERROR, "out of memory");
        return NULL;
    }
    t->capture = c;
    t->alloc = c->config.alloc;
    t->dialled = dialled;
    t->id = ++c->connections;
    cn__buf_init(&t->ways[0].kept, &t->alloc);
    cn__buf_init(&t->ways[1].kept, &t->alloc);
    write_record(c,
                 &(record){CNODE_CAPTURE_OPEN, dialled, t->id, len, name, len});
    return t;
}

void cnode__tap_free(cnode__tap *t, const char *why) {
    cn_alloc alloc;
    size_t len = strlen(why);

    if (t == NULL)
        return;
    alloc = t->alloc;
    write_record(t->capture,
                 &(record){CNODE_CAPTURE_CLOSE, false, t->id, len, why, len});
    flush(t->capture);
    cn__buf_free(&t->ways[0].kept);
    cn__buf_free(&t->ways[1].kept);
    cn__free(&alloc, t, 1, sizeof *t);
}

static void blank(uint8_t *p, size_t len, size_t from, size_t n) {
    if (from >= len)
        return;
    memset(p + from, 0, n < len - from ? n : len - from);
}

/* Section "Distribution Handshake". What is not known might hold anything. */
static void mask(uint8_t *p, size_t len, bool to_acceptor) {
    switch (len > 0 ? p[0] : 0) {
    case 'N': /* flags, challenge, ... from the acceptor */
        if (!to_acceptor)
            blank(p, len, 1 + 8, CHALLENGE);
        break;
    case 'n': /* version, flags, challenge, ... in the old form */
        if (!to_acceptor)
            blank(p, len, 1 + 2 + 4, CHALLENGE);
        break;
    case 's':
    case 'c':
        break;
    default:
        blank(p, len, 1, len);
    }
}

/* With its digest a side has said its last word of the handshake. */
static bool ends_handshake(const uint8_t *p, size_t len, bool to_acceptor) {
    return len > 0 && p[0] == (to_acceptor ? 'r' : 'a');
}

static void complete(cnode__tap *t, bool out) {
    way *w = &t->ways[out];
    uint8_t none = 0;
    uint8_t *p = w->kept.data == NULL ? &none : w->kept.data + w->kept.head;
    size_t len = cn__buf_size(&w->kept);
    bool framed = w->framed;

    if (!framed) {
        mask(p, len, out == t->dialled);
        w->framed = ends_handshake(p, len, out == t->dialled);
    }
    write_record(t->capture, &(record){framed ? CNODE_CAPTURE_FRAME
                                              : CNODE_CAPTURE_HANDSHAKE,
                                       out, t->id, w->size, p, len});
    cn__buf_consume(&w->kept, len, KEEP_BUFFER);
    w->head_len = 0;
}

/* One byte of a length field. */
static void take_head(way *w, uint8_t byte) {
    size_t want = w->framed ? 4 : 2;

    w->head[w->head_len++] = byte;
    if (w->head_len < want)
        return;
    w->size = w->framed ? cn__be32(w->head) : cn__be16(w->head);
    w->left = w->size;
}

static bool head_complete(const way *w) {
    return w->head_len == (w->framed ? 4u : 2u);
}

/* How many bytes of the message were in p. */
static size_t take_body(cnode__tap *t, way *w, const uint8_t *p, size_t n) {
    size_t have = cn__buf_size(&w->kept);
    size_t room = t->capture->config.max_message - have;
    size_t took = n < w->left ? n : w->left;

    if (cn__buf_append(&w->kept, p, took < room ? took : room) != 0)
        give_up(t->capture, CN_ENOMEM, CN_LOG_ERROR, "out of memory");
    w->left -= took;
    return took;
}

void cnode__tap_bytes(cnode__tap *t, bool out, const uint8_t *p, size_t n) {
    way *w = &t->ways[out];

    while (n > 0 && t->capture->status == 0) {
        size_t took = 1;
        if (!head_complete(w))
            take_head(w, *p);
        else
            took = take_body(t, w, p, n);
        p += took;
        n -= took;
        if (head_complete(w) && w->left == 0)
            complete(t, out);
    }
    flush(t->capture);
}
