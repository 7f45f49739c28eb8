/* SPDX-License-Identifier: Apache-2.0
 *
 * explain.c: reads captures. Records are taken from the bytes one by one; a
 * message of a handshake is put into words here, a frame is given to a
 * connection that stands where the handshake has ended, one for each
 * direction, so that frames mean here what they meant there: the cache of
 * atoms and fragments included.
 *
 * Failures: a record that cannot be one ends the reading. A message that makes
 * no sense is a message with an error; the reader of its direction begins
 * anew, for the real one has ended there, too.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/map.h"
#include "cnode/conn_parts.h"
#include "cnode/control.h"

enum {
    MAX_CONNECTIONS = 1024,
    KEEP_BUFFER = 256 * 1024,
    TEXT = 1024,
    LOST = 16
};

typedef struct side {
    char name[CNODE__NAME_MAX + 1];
    uint64_t flags;
    cnode_conn *reader;  /* of what this side has said; NULL: none yet */
    uint64_t lost[LOST]; /* sequences that begin with a cut fragment; 0: none */
    unsigned next_lost;
} side;

typedef struct link {
    uint32_t id;
    bool dialled;
    side sides[2]; /* 0: the peer, whose word comes in; 1: the writer */
} link;

struct cnode_dump {
    cn_alloc alloc;
    cn_buf in;
    size_t used; /* bytes of `in` that the last message needed */
    bool begun;
    cn_map links; /* by id */
    cn_buf frame; /* one put together */
    cn_error error;
    char text[TEXT];
    size_t text_len;
    char why[CN_ERROR_TEXT];
};

/* --- words --------------------------------------------------------------- */

static void say(cnode_dump *d, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void say(cnode_dump *d, const char *fmt, ...) {
    size_t room = sizeof d->text - d->text_len;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(d->text + d->text_len, room, fmt, ap);
    va_end(ap);
    if (n > 0)
        d->text_len += (size_t)n < room ? (size_t)n : room - 1;
}

/* Bytes of others as ASCII. */
static void say_bytes(cnode_dump *d, const uint8_t *p, size_t n) {
    for (size_t i = 0; p != NULL && i < n && i < 300; i++)
        say(d, "%c", p[i] >= ' ' && p[i] < 127 ? p[i] : '?');
}

static void say_flags(cnode_dump *d, uint64_t flags) {
    char names[512];

    (void)cnode_flags_print(flags, names, sizeof names);
    say(d, ", flags 0x%" PRIx64 " %s", flags, names);
}

static void complain(cnode_dump *d, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void complain(cnode_dump *d, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(d->why, sizeof d->why, fmt, ap);
    va_end(ap);
}

/* --- connections --------------------------------------------------------- */

static void end_reader(side *s) {
    cnode_conn_free(s->reader);
    s->reader = NULL;
}

static void free_link(cnode_dump *d, link *l) {
    (void)cn__map_remove(&d->links, &l->id, sizeof l->id);
    end_reader(&l->sides[0]);
    end_reader(&l->sides[1]);
    cn__free(&d->alloc, l, 1, sizeof *l);
}

/* NULL with d->error set: no memory; without: there are too many. */
static link *find_link(cnode_dump *d, uint32_t id) {
    link *l = cn__map_get(&d->links, &id, sizeof id);

    if (l != NULL || d->links.count >= MAX_CONNECTIONS)
        return l;
    l = cn__calloc(&d->alloc, 1, sizeof *l);
    if (l != NULL) {
        l->id = id;
        if (cn__map_put(&d->links, &l->id, sizeof l->id, l) == 0)
            return l;
        cn__free(&d->alloc, l, 1, sizeof *l);
    }
    (void)cn__fail(&d->error, CN_ENOMEM, 0, "out of memory");
    return NULL;
}

/* A connection that stands behind its handshake, fed by one side. */
static int need_reader(cnode_dump *d, link *l, bool out) {
    side *s = &l->sides[out];
    const cnode_conn_config c = {.name = "dump@dump",
                                 .cookie = "dump",
                                 .peer = "dump@dump",
                                 .initiator = true,
                                 .max_frame = UINT32_MAX,
                                 .alloc = d->alloc};

    if (s->reader != NULL)
        return 0;
    if (cnode_conn_new(&s->reader, &c, 0) != 0)
        return cn__fail(&d->error, CN_ENOMEM, 0, "out of memory");
    cnode__conn_resume(s->reader, l->sides[!out].flags, s->flags);
    return 0;
}

/* --- the handshake ------------------------------------------------------- */

static void keep_name(side *s, const uint8_t *p, size_t n) {
    if (p == NULL || n > CNODE__NAME_MAX)
        return;
    for (size_t i = 0; i < n; i++)
        s->name[i] = (char)(p[i] > ' ' && p[i] < 127 ? p[i] : '?');
    s->name[n] = '\0';
}

static void explain_name(cnode_dump *d, side *s, cn_cursor *c, bool challenge) {
    uint64_t flags = cn__take64(c);
    uint32_t creation;
    const uint8_t *name;
    uint16_t n;

    if (challenge)
        (void)cn__take32(c);
    creation = cn__take32(c);
    n = cn__take16(c);
    name = cn__take(c, n);
    if (c->bad)
        return;
    s->flags = flags;
    keep_name(s, name, n);
    say(d, challenge ? "challenge from " : "name ");
    say_bytes(d, name, n);
    say(d, ", creation %" PRIu32, creation);
    say_flags(d, flags);
}

static void explain_old_name(cnode_dump *d, side *s, cn_cursor *c,
                             bool challenge) {
    uint16_t version = cn__take16(c);
    uint32_t flags = cn__take32(c);
    const uint8_t *name;
    size_t n;

    if (challenge)
        (void)cn__take32(c);
    n = c->left;
    name = cn__take(c, n);
    if (c->bad)
        return;
    s->flags = flags;
    keep_name(s, name, n);
    say(d, "%s in the old form ", challenge ? "challenge" : "name");
    say_bytes(d, name, n);
    say(d, ", version %u", version);
    say_flags(d, flags);
}

static void explain_status(cnode_dump *d, link *l, cn_cursor *c) {
    size_t n = c->left;
    const uint8_t *text = cn__take(c, n);

    say(d, "status ");
    if (n <= 6 || memcmp(text, "named:", 6) != 0) {
        say_bytes(d, text, n);
        return;
    }
    *c = cn__cursor(text + 6, n - 6);
    n = cn__take16(c);
    text = cn__take(c, n);
    say(d, "named: ");
    say_bytes(d, text, n);
    /* The one who asked for it is the one who dialled. */
    keep_name(&l->sides[l->dialled], text, n);
    say(d, ", creation %" PRIu32, cn__take32(c));
}

static void explain_complement(cnode_dump *d, side *s, cn_cursor *c) {
    uint64_t high = cn__take32(c);
    uint32_t creation = cn__take32(c);

    if (c->bad)
        return;
    s->flags |= high << 32;
    say(d, "complement, creation %" PRIu32, creation);
    say_flags(d, s->flags);
}

static void explain_handshake(cnode_dump *d, link *l, cnode_dump_message *m) {
    cn_cursor c = cn__cursor(m->bytes.data, m->bytes.len);
    side *s = &l->sides[m->out];
    bool to_acceptor = m->out == l->dialled;
    uint8_t tag = cn__take8(&c);

    if (tag == 'N')
        explain_name(d, s, &c, !to_acceptor);
    else if (tag == 'n')
        explain_old_name(d, s, &c, !to_acceptor);
    else if (tag == 's')
        explain_status(d, l, &c);
    else if (tag == 'c')
        explain_complement(d, s, &c);
    else if (tag == 'r')
        say(d, "challenge and digest, masked");
    else if (tag == 'a')
        say(d, "digest, masked");
    else
        complain(d, "not a message of the handshake: tag %u", tag);
    if (c.bad)
        complain(d, "a message of the handshake that is too short");
}

/* --- frames -------------------------------------------------------------- */

/* 131 69 or 70, sequence (8), fragment (8), counting down to 1: the id of the
 * sequence, or 0 for another frame. */
static uint64_t sequence_of(etf_view in, uint64_t *left) {
    if (in.len < 18 || in.data[0] != 131 ||
        (in.data[1] != CNODE__FRAGMENT_FIRST && in.data[1] != CNODE__FRAGMENT))
        return 0;
    *left = cn__be64(in.data + 10);
    return cn__be64(in.data + 2);
}

static void explain_fragment(cnode_dump *d, etf_view in) {
    uint64_t left = 0, sequence = sequence_of(in, &left);

    if (sequence != 0)
        say(d, "%s of sequence %" PRIu64 ", number %" PRIu64 ": ",
            in.data[1] == CNODE__FRAGMENT_FIRST ? "first fragment" : "fragment",
            sequence, left);
}

/* Sequences whose first fragment was cut are not put together. Few are open at
 * a time; an older one than the last of them is told of as an error. */
static void lose(side *s, uint64_t sequence) {
    s->lost[s->next_lost++ % LOST] = sequence;
}

/* Is it a later fragment of such a sequence? */
static bool is_lost(side *s, etf_view in) {
    uint64_t left = 0, sequence = sequence_of(in, &left);

    if (sequence == 0 || in.data[1] != CNODE__FRAGMENT)
        return false;
    for (size_t i = 0; i < LOST; i++) {
        if (s->lost[i] != sequence)
            continue;
        s->lost[i] = left == 1 ? 0 : sequence;
        return true;
    }
    return false;
}

/* Over the atoms of a header; returns how many there are. */
static size_t pass_atoms(cn_cursor *c) {
    size_t n = cn__take8(c);
    const uint8_t *flags = n == 0 ? NULL : cn__take(c, n / 2 + 1);
    bool wide;

    if (flags == NULL)
        return 0;
    wide = (flags[n / 2] >> (n % 2 * 4) & 1) != 0;
    for (size_t i = 0; i < n && !c->bad; i++) {
        bool is_new = (flags[i / 2] >> (i % 2 * 4) & 8) != 0;
        (void)cn__take8(c);
        if (is_new)
            (void)cn__take(c, wide ? cn__take16(c) : cn__take8(c));
    }
    return n;
}

/* Where the control message of a frame ends; 0: it is not all there. */
static size_t end_of_control(etf_view in) {
    static const etf_view any[UINT8_MAX] = {{NULL, 0}};
    cn_cursor c = cn__cursor(in.data, in.len);
    bool simple = cn__take8(&c) == CNODE__PASS_THROUGH;
    uint8_t tag = simple ? 0 : cn__take8(&c);
    etf_reader r;
    size_t n = 0;

    if (tag == CNODE__FRAGMENT_FIRST)
        (void)cn__take(&c, 16); /* sequence and fragment */
    if (tag == CNODE__FRAGMENT_FIRST || tag == CNODE__HEADER)
        n = pass_atoms(&c);
    else if (!simple)
        return 0;
    if (c.bad)
        return 0;
    etf_reader_init(&r, (etf_view){c.p, c.left});
    etf_reader_atoms(&r, any, n);
    if (simple)
        etf_get_version(&r);
    etf_skip(&r);
    return r.err != 0 ? 0 : in.len - etf_reader_left(&r);
}

/* What a cut frame has of its header and control message, which the cache of
 * atoms needs, with an empty list in place of its payload: one that begins a
 * sequence of fragments is made a whole one. */
static etf_view shorten(cnode_dump *d, side *s, const cnode_dump_message *m) {
    static const uint8_t whole[] = {131, CNODE__HEADER}, nil[] = {131, 106};
    static const etf_view none = {NULL, 0};
    etf_view in = m->bytes;
    size_t n = end_of_control(in), at = 0, version = 1;
    uint64_t left = 0, sequence = sequence_of(in, &left);

    if (n == 0)
        return none;
    cn__buf_consume(&d->frame, cn__buf_size(&d->frame), KEEP_BUFFER);
    if (sequence != 0)
        at = 18;
    if (left > 1)
        lose(s, sequence);
    if (in.data[0] == CNODE__PASS_THROUGH)
        version = 0;
    if ((at > 0 && cn__buf_append(&d->frame, whole, sizeof whole) != 0) ||
        cn__buf_append(&d->frame, in.data + at, n - at) != 0 ||
        cn__buf_append(&d->frame, nil + version, sizeof nil - version) != 0) {
        (void)cn__fail(&d->error, CN_ENOMEM, 0, "out of memory");
        return none;
    }
    return (etf_view){cn__buf_at(&d->frame), cn__buf_size(&d->frame)};
}

/* 1: *ctrl is the signal that the frame completes; 0: none. */
static int read_frame(side *s, etf_view frame, const cnode_ctrl **ctrl) {
    uint8_t head[4];
    cnode_event ev = {.ctrl = NULL};
    int r;

    (void)cn__put32(head, (uint32_t)frame.len);
    r = cnode_conn_feed(s->reader, head, sizeof head, 0);
    if (r == 0)
        r = cnode_conn_feed(s->reader, frame.data, frame.len, 0);
    if (r == 0)
        r = cnode_conn_next(s->reader, &ev);
    if (r == 1)
        *ctrl = ev.ctrl;
    return r;
}

static void explain_signal(cnode_dump *d, side *s, etf_view frame,
                           cnode_dump_message *m) {
    int r = read_frame(s, frame, &m->ctrl);

    if (r == 1) {
        char text[512];
        (void)cnode__ctrl_print(m->ctrl, text, sizeof text);
        say(d, "%s", text);
    } else if (r == CN_ENOMEM) {
        (void)cn__fail(&d->error, CN_ENOMEM, 0, "out of memory");
    } else if (r < 0) {
        complain(d, "%s", cnode_conn_error(s->reader)->text);
        end_reader(s);
    } else {
        say(d, "more is to come");
    }
}

static void explain_frame(cnode_dump *d, link *l, cnode_dump_message *m) {
    etf_view frame = m->bytes;
    side *s = &l->sides[m->out];

    if (m->size == 0) {
        say(d, "tick");
        return;
    }
    m->cut = m->bytes.len < m->size;
    explain_fragment(d, frame);
    if (is_lost(s, frame)) {
        say(d, "the beginning was cut");
        return;
    }
    if (m->cut)
        frame = shorten(d, s, m);
    if (frame.len == 0) {
        complain(d, "the frame was cut and cannot be explained");
        return;
    }
    if (need_reader(d, l, m->out) != 0)
        return;
    explain_signal(d, s, frame, m);
}

/* --- records ------------------------------------------------------------- */

static void explain(cnode_dump *d, link *l, cnode_dump_message *m) {
    switch (m->kind) {
    case CNODE_CAPTURE_OPEN:
        l->dialled = m->out;
        keep_name(&l->sides[1], m->bytes.data, m->bytes.len);
        say(d, "%s ", m->out ? "connected by" : "accepted by");
        say_bytes(d, m->bytes.data, m->bytes.len);
        break;
    case CNODE_CAPTURE_HANDSHAKE:
        explain_handshake(d, l, m);
        break;
    case CNODE_CAPTURE_FRAME:
        explain_frame(d, l, m);
        break;
    case CNODE_CAPTURE_CLOSE:
        say(d, "closed%s", m->bytes.len > 0 ? ": " : "");
        say_bytes(d, m->bytes.data, m->bytes.len);
        break;
    case CNODE_CAPTURE_FULL:
    default:
        break;
    }
}

static void fill(cnode_dump *d, cnode_dump_message *m) {
    const uint8_t *p = cn__buf_at(&d->in);

    *m = (cnode_dump_message){.kind = (cnode_capture_kind)p[4],
                              .out = p[5] != 0,
                              .connection = cn__be32(p + 6),
                              .time_us = cn__be64(p + 10),
                              .size = cn__be32(p + 18),
                              .peer = "",
                              .text = d->text,
                              .error = d->why};
    m->bytes =
        (etf_view){p + CNODE__CAPTURE_RECORD, d->used - CNODE__CAPTURE_RECORD};
    d->text_len = 0;
    d->text[0] = d->why[0] = '\0';
}

static int take_record(cnode_dump *d, cnode_dump_message *m) {
    link *l;

    fill(d, m);
    if (m->kind == CNODE_CAPTURE_FULL) {
        say(d, "the capture is full");
        return 1;
    }
    l = find_link(d, m->connection);
    if (l == NULL && d->error.code == 0) {
        complain(d, "more than %d connections at a time are not explained",
                 (int)MAX_CONNECTIONS);
        return 1;
    }
    if (l == NULL)
        return d->error.code;
    m->peer = l->sides[0].name;
    explain(d, l, m);
    return d->error.code != 0 ? d->error.code : 1;
}

/* What the last message lent is let go. */
static void let_go(cnode_dump *d) {
    const uint8_t *p = cn__buf_at(&d->in);
    link *l = NULL;
    uint32_t id;

    if (d->used > CNODE__CAPTURE_HEAD && p[4] == CNODE_CAPTURE_CLOSE) {
        id = cn__be32(p + 6);
        l = cn__map_get(&d->links, &id, sizeof id);
    }
    if (l != NULL)
        free_link(d, l);
    if (d->used > 0)
        cn__buf_consume(&d->in, d->used, KEEP_BUFFER);
    d->used = 0;
}

static int begin(cnode_dump *d) {
    const uint8_t *p = cn__buf_at(&d->in);
    size_t magic = sizeof CNODE__CAPTURE_MAGIC - 1;
    size_t n = cn__buf_size(&d->in);

    if (n == 0)
        return 0;
    if (memcmp(p, CNODE__CAPTURE_MAGIC, n < magic ? n : magic) != 0)
        return cn__fail(&d->error, CN_EPROTO, 0, "this is no capture");
    if (n < CNODE__CAPTURE_HEAD)
        return 0;
    if (cn__be16(p + magic) != CNODE__CAPTURE_VERSION)
        return cn__fail(&d->error, CN_EVERSION, 0,
                        "a capture of version %u, want %d", cn__be16(p + magic),
                        (int)CNODE__CAPTURE_VERSION);
    cn__buf_consume(&d->in, CNODE__CAPTURE_HEAD, KEEP_BUFFER);
    d->begun = true;
    return 0;
}

static bool known(const uint8_t *p) {
    return p[4] >= CNODE_CAPTURE_OPEN && p[4] <= CNODE_CAPTURE_FULL;
}

int cnode_dump_next(cnode_dump *d, cnode_dump_message *m) {
    const uint8_t *p;
    size_t len;

    if (d->error.code != 0)
        return d->error.code;
    let_go(d);
    if (!d->begun && (begin(d) != 0 || !d->begun))
        return d->error.code;
    do {
        let_go(d);
        if (cn__buf_size(&d->in) < CNODE__CAPTURE_RECORD)
            return 0;
        p = cn__buf_at(&d->in);
        len = cn__be32(p);
        if (len < CNODE__CAPTURE_MIN)
            return cn__fail(&d->error, CN_EPROTO, 0,
                            "a record of %zu bytes, less than it must have",
                            len);
        if (cn__buf_size(&d->in) - 4 < len)
            return 0;
        d->used = 4 + len;
    } while (!known(p));
    return take_record(d, m);
}

/* --- life ---------------------------------------------------------------- */

int cnode_dump_new(cnode_dump **out, const cn_alloc *alloc) {
    cnode_dump *d;

    alloc = cn__alloc(alloc);
    *out = d = cn__calloc(alloc, 1, sizeof *d);
    if (d == NULL)
        return CN_ENOMEM;
    d->alloc = *alloc;
    cn__buf_init(&d->in, &d->alloc);
    cn__buf_init(&d->frame, &d->alloc);
    cn__map_init(&d->links, 0, &d->alloc);
    return 0;
}

void cnode_dump_free(cnode_dump *d) {
    cn_alloc alloc;
    link *l;
    size_t at = 0;

    if (d == NULL)
        return;
    while ((l = cn__map_first(&d->links, &at)) != NULL)
        free_link(d, l);
    cn__map_free(&d->links);
    cn__buf_free(&d->in);
    cn__buf_free(&d->frame);
    alloc = d->alloc;
    cn__free(&alloc, d, 1, sizeof *d);
}

int cnode_dump_feed(cnode_dump *d, const uint8_t *in, size_t n) {
    if (d->error.code != 0)
        return d->error.code;
    let_go(d);
    if (cn__buf_append(&d->in, in, n) != 0)
        return cn__fail(&d->error, CN_ENOMEM, 0, "out of memory");
    return 0;
}

int cnode_dump_eof(cnode_dump *d) {
    if (d->error.code != 0)
        return d->error.code;
    if (d->begun && cn__buf_size(&d->in) == d->used)
        return 0;
    return cn__fail(&d->error, CN_ETRUNC, 0,
                    d->begun ? "the capture ends inside a record"
                             : "the capture ends before it begins");
}

const cn_error *cnode_dump_error(const cnode_dump *d) {
    return &d->error;
}
