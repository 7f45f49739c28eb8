/* SPDX-License-Identifier: Apache-2.0
 *
 * conn_out_test.c: what a connection writes: the form of its frames, the atoms
 * that it refers to, large messages in fragments, bytes that are shared.
 * A small receiver of its own, as the protocol reference describes one, puts
 * together again what was written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cnode/conn_parts.h"
#include "cnode/control.h"
#include "ext_term/tags.h"
#include "support.h"

/* --- a connection to a recorded peer ------------------------------------- */

#define PEER "6e3235403132372e302e302e31" /* n25@127.0.0.1 */
#define STATUS_OK "0003 736f6b"
#define CHALLENGE "0020 4e 0000000d07df7fbd d79cdb9c 6b02a5f9 000d" PEER
#define ACK "0011 61 e7b6321ac6e1cbc32686c7c1e783678c"

#define NO_FORM                                                                \
    (UINT64_C(0xd07df7fbc) &                                                   \
     ~(CNODE_FLAG_DIST_HDR_ATOM_CACHE | CNODE_FLAG_FRAGMENTS))

/* flags: of the two that fix the form of frames. */
static cnode_conn_config config_with(uint64_t flags) {
    return (cnode_conn_config){
        .initiator = true,
        .name = "py@127.0.0.1",
        .peer = "n25@127.0.0.1",
        .cookie = "abc",
        .creation = 0x12345678,
        .challenge = 1974820125,
        .flags = NO_FORM | flags,
    };
}

/* The first piece of what is to be written, or NULL. */
static const uint8_t *output(cnode_conn *c, size_t *n) {
    cn_slice v = {NULL, 0};

    (void)cnode_conn_output(c, &v, 1);
    *n = v.len;
    return v.data;
}

static int drain(cnode_conn *c) {
    size_t n;

    while (output(c, &n) != NULL)
        cnode_conn_wrote(c, n);
    return 0;
}

static int open_with(const cnode_conn_config *config, cnode_conn **c) {
    static const char hex[] = STATUS_OK CHALLENGE ACK;
    uint8_t bytes[sizeof hex];
    size_t n = unhex(hex, bytes, sizeof bytes);
    cnode_event ev;
    int err = cnode_conn_new(c, config, 0);

    if (err == 0)
        err = cnode_conn_feed(*c, bytes, n, 0);
    if (err == 0)
        err = cnode_conn_next(*c, &ev);
    return err < 0 ? err : drain(*c);
}

static cnode_conn *opened(uint64_t flags) {
    cnode_conn_config config = config_with(flags);
    cnode_conn *c = NULL;

    assert_int_equal(open_with(&config, &c), 0);
    assert_true(cnode_conn_up(c));
    return c;
}

static void assert_output(cnode_conn *c, const char *hex) {
    size_t n;
    const uint8_t *out = output(c, &n);

    assert_int_equal(out == NULL, n == 0);
    assert_hex(out, n, hex);
    cnode_conn_wrote(c, n);
}

/* --- what is sent -------------------------------------------------------- */

static etf_pid pid_of(const char *node, uint32_t id) {
    etf_pid pid = {.id = id, .creation = 11};

    pid.node_len = (uint16_t)strlen(node);
    memcpy(pid.node, node, pid.node_len + 1U);
    return pid;
}

static const uint8_t ok_term[] = {119, 2, 'o', 'k'};

static cnode_ctrl send_of(etf_view term) {
    return (cnode_ctrl){.signal = CNODE_SIG_SEND,
                        .term = term,
                        .from = pid_of("a@h", 1),
                        .to = pid_of("b@h", 2)};
}

/* --- the form of frames -------------------------------------------------- */

#define FROM "58 7703614068 00000001 00000000 0000000b"
#define TO "58 7703624068 00000002 00000000 0000000b"

static void test_form(void **state) {
    static const char *const plain =
        "0000002f 70 83 6803 6116" FROM TO "83 77026f6b";
    static const char *const header =
        "0000002f 83 44 00 6803 6116" FROM TO "77026f6b";
    cnode_ctrl send = send_of((etf_view){ok_term, sizeof ok_term});
    cnode_conn *c = opened(0);

    (void)state;
    assert_int_equal(cnode_conn_send(c, &send), 0);
    assert_output(c, plain);
    cnode_conn_free(c);
    c = opened(CNODE_FLAG_FRAGMENTS);
    assert_int_equal(cnode_conn_send(c, &send), 0);
    assert_output(c, header);
    cnode_conn_free(c);
}

/* --- a receiver ---------------------------------------------------------- */

enum { ATOM_MAX = 1020, OPEN_MAX = 64 };

typedef struct table {
    unsigned n;
    etf_view v[255];
    uint8_t text[255][ATOM_MAX];
} table;

typedef struct sequence {
    uint64_t id, next;
    table *atoms;
    uint8_t *bytes;
    size_t len, cap;
} sequence;

typedef struct receiver {
    uint8_t slots[2048][ATOM_MAX];
    int32_t slot_len[2048]; /* -1: never defined */
    uint8_t *in;
    size_t len, cap;
    sequence open[OPEN_MAX];
    size_t max_frame;
    unsigned frames, fragments, news, refs;
    /* Both terms of a message, expanded. */
    void (*take)(void *arg, etf_view both);
    void *arg;
} receiver;

static receiver *new_receiver(void (*take)(void *arg, etf_view both),
                              void *arg) {
    receiver *r = calloc(1, sizeof *r);

    assert_non_null(r);
    for (int i = 0; i < 2048; i++)
        r->slot_len[i] = -1;
    r->take = take;
    r->arg = arg;
    return r;
}

static void close_sequence(sequence *s) {
    free(s->atoms);
    free(s->bytes);
    *s = (sequence){0};
}

static void free_receiver(receiver *r) {
    for (int i = 0; i < OPEN_MAX; i++)
        close_sequence(&r->open[i]);
    free(r->in);
    free(r);
}

static void add_bytes(uint8_t **to, size_t *len, size_t *cap, const uint8_t *p,
                      size_t n) {
    if (*cap - *len < n) {
        *cap = (*len + n) * 2;
        *to = realloc(*to, *cap);
        assert_non_null(*to);
    }
    memcpy(*to + *len, p, n);
    *len += n;
}

static void read_atom(receiver *r, table *t, cn_cursor *in, unsigned half,
                      bool wide) {
    unsigned slot = (half & 7) << 8 | cn__take8(in);
    unsigned i = t->n++;
    size_t n;

    r->refs++;
    if ((half & 8) != 0) {
        n = wide ? cn__take16(in) : cn__take8(in);
        const uint8_t *text = cn__take(in, n);
        assert_non_null(text);
        assert_true(n <= ATOM_MAX);
        memcpy(r->slots[slot], text, n);
        r->slot_len[slot] = (int32_t)n;
        r->news++;
    }
    assert_true(r->slot_len[slot] >= 0);
    memcpy(t->text[i], r->slots[slot], (size_t)r->slot_len[slot]);
    t->v[i] = (etf_view){t->text[i], (size_t)r->slot_len[slot]};
}

static table *read_table(receiver *r, cn_cursor *in) {
    table *t = calloc(1, sizeof *t);
    unsigned n = cn__take8(in);
    const uint8_t *flags = n == 0 ? NULL : cn__take(in, n / 2 + 1);
    bool wide;

    assert_non_null(t);
    if (n == 0)
        return t;
    assert_non_null(flags);
    wide = (flags[n / 2] >> n % 2 * 4 & 1) != 0;
    for (unsigned i = 0; i < n; i++)
        read_atom(r, t, in, (unsigned)flags[i / 2] >> i % 2 * 4 & 15U, wide);
    assert_false(in->bad);
    return t;
}

static void take_terms(receiver *r, table *t, etf_view in) {
    etf_writer w;
    etf_view both;
    etf_reader reader;
    size_t first;

    etf_writer_init(&w, NULL);
    etf_reader_init(&reader, in);
    etf_reader_atoms(&reader, t->v, t->n);
    etf_skip(&reader);
    first = etf_reader_pos(&reader);
    assert_int_equal(etf_expand(&w, t->v, t->n, (etf_view){in.data, first}), 0);
    if (first < in.len)
        assert_int_equal(
            etf_expand(&w, t->v, t->n,
                       (etf_view){in.data + first, in.len - first}),
            0);
    assert_int_equal(etf_writer_finish(&w, &both), 0);
    r->take(r->arg, both);
    etf_writer_free(&w);
}

static sequence *sequence_of(receiver *r, uint64_t id) {
    for (int i = 0; i < OPEN_MAX; i++)
        if (r->open[i].id == id)
            return &r->open[i];
    fail_msg("no such sequence");
    return NULL;
}

static void take_fragment(receiver *r, cn_cursor *in, bool first) {
    uint64_t id = cn__take64(in), n = cn__take64(in);
    sequence *s;

    assert_true(id != 0);
    r->fragments++;
    if (first) {
        for (int i = 0; i < OPEN_MAX; i++)
            assert_true(r->open[i].id != id);
        s = sequence_of(r, 0);
        s->id = id;
        s->next = n;
        s->atoms = read_table(r, in);
    } else {
        s = sequence_of(r, id);
    }
    assert_true(n > 0 && s->next == n);
    add_bytes(&s->bytes, &s->len, &s->cap, in->p, in->left);
    s->next--;
    if (s->next > 0)
        return;
    take_terms(r, s->atoms, (etf_view){s->bytes, s->len});
    close_sequence(s);
}

static void take_frame(receiver *r, cn_cursor in) {
    uint8_t kind;
    table *t;

    r->frames++;
    assert_int_equal(cn__take8(&in), 131);
    kind = cn__take8(&in);
    if (kind == 69 || kind == 70) {
        take_fragment(r, &in, kind == 69);
        return;
    }
    assert_int_equal(kind, 68);
    t = read_table(r, &in);
    take_terms(r, t, (etf_view){in.p, in.left});
    free(t);
}

static void receive(receiver *r, const uint8_t *p, size_t n) {
    size_t at = 0;

    add_bytes(&r->in, &r->len, &r->cap, p, n);
    while (r->len - at >= 4) {
        size_t len = cn__be32(r->in + at);
        if (r->len - at - 4 < len)
            break;
        r->max_frame = len > r->max_frame ? len : r->max_frame;
        if (len > 0)
            take_frame(r, cn__cursor(r->in + at + 4, len));
        at += len + 4;
    }
    memmove(r->in, r->in + at, r->len - at);
    r->len -= at;
}

/* All that is to be written, `step` bytes at a time. */
static void deliver(cnode_conn *c, receiver *r, size_t step) {
    cn_slice v[3];
    size_t n;

    while ((n = cnode_conn_output(c, v, 3)) > 0) {
        size_t left = step;
        for (size_t i = 0; i < n && left > 0; i++) {
            size_t part = v[i].len < left ? v[i].len : left;
            receive(r, v[i].data, part);
            left -= part;
        }
        cnode_conn_wrote(c, step - left);
    }
}

/* What was taken, in order, as text: "1:5" is a message from process 1 with a
 * payload of 5 bytes. */
typedef struct journal {
    char text[1 << 16];
    size_t len;
    etf_view last; /* the payload that is expected */
} journal;

static void note_message(void *arg, etf_view both) {
    journal *j = arg;
    cnode_ctrl ctrl = {0};
    etf_reader r;
    const char *why;

    assert_int_equal(cnode__ctrl_get(&ctrl, &r, both, false, &why), 0);
    j->len += (size_t)snprintf(j->text + j->len, sizeof j->text - j->len,
                               "%u:%zu ", ctrl.from.id, ctrl.term.len);
    if (j->last.data != NULL) {
        assert_int_equal(ctrl.term.len, j->last.len);
        assert_memory_equal(ctrl.term.data, j->last.data, j->last.len);
    }
}

/* --- the atom cache ------------------------------------------------------ */

#define ALL (CNODE_FLAG_DIST_HDR_ATOM_CACHE | CNODE_FLAG_FRAGMENTS)

/* The vectors of the protocol reference differ in the slots, which the sender
 * chooses: the same message for the second time has no text in it. */
static void test_cache_second_time(void **state) {
    cnode_ctrl send = send_of((etf_view){ok_term, sizeof ok_term});
    cnode_conn *c = opened(ALL);
    journal j = {.last = send.term};
    receiver *r = new_receiver(note_message, &j);
    const uint8_t *p;
    size_t n;

    (void)state;
    assert_int_equal(cnode_conn_send(c, &send), 0);
    p = output(c, &n);
    assert_hex(p + 4, 3, "83 44 03");
    assert_int_equal(p[7] & 0x88, 0x88); /* two new ones, and a third */
    assert_int_equal(p[8] & 0xf8, 0x08); /* no long atoms */
    deliver(c, r, SIZE_MAX);
    assert_int_equal(r->news, 3);
    assert_int_equal(cnode_conn_send(c, &send), 0);
    p = output(c, &n);
    assert_int_equal(p[7] & 0x88, 0);
    assert_hex(p + 4 + 8, n - 4 - 8,
               "6803 6116 58 5200 00000001 00000000 0000000b"
               "58 5201 00000002 00000000 0000000b 5202");
    deliver(c, r, SIZE_MAX);
    assert_int_equal(r->news, 3);
    assert_string_equal(j.text, "1:4 1:4 ");
    free_receiver(r);
    cnode_conn_free(c);
}

/* Random terms full of atoms of all kinds; what comes is what was sent. */
static uint32_t seed = 1;

static uint32_t random_below(uint32_t n) {
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static void put_random_atom(etf_writer *w) {
    static const char e_acute[] = "\xc3\xa9";
    char text[600];
    size_t n = 0;

    if (random_below(200) == 0) /* 400 bytes */
        for (int i = 0; i < 200; i++)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s", e_acute);
    else
        n = (size_t)snprintf(text, sizeof text, "atom%u", random_below(5000));
    etf_put_atom_n(w, text, n);
}

static void put_random_ids(etf_writer *w) {
    char node[32];
    etf_pid pid = pid_of("a@h", random_below(9));
    etf_ref ref = {.n = 3, .node_len = 3, .node = "r@h", .creation = 4};
    etf_port port = {.id = 7, .node_len = 3, .node = "p@h", .creation = 4};

    (void)snprintf(node, sizeof node, "n%u@h", random_below(50));
    pid.node_len = (uint16_t)strlen(node);
    memcpy(pid.node, node, pid.node_len + 1U);
    etf_put_tuple(w, 4);
    etf_put_pid(w, &pid);
    etf_put_ref(w, &ref);
    etf_put_port(w, &port);
    etf_put_export(w, "lists", "map", 2);
}

static void put_random_term(etf_writer *w, unsigned n) {
    static const uint8_t latin1[] = {100, 0, 2, 'o', 0xe9};

    etf_put_list(w, n);
    for (unsigned i = 0; i < n; i++) {
        switch (random_below(8)) {
        case 0:
            put_random_ids(w);
            break;
        case 1:
            etf_put_term(w, (etf_view){latin1, sizeof latin1});
            break;
        case 2:
            etf_put_binary(w, "w\x05hello", 7);
            break;
        case 3:
            etf_put_map(w, 1);
            put_random_atom(w);
            etf_put_string(w, "w\x01x", 3);
            break;
        default:
            put_random_atom(w);
        }
    }
    etf_put_nil(w);
}

static void test_cache_random(void **state) {
    cnode_conn *c = opened(ALL);
    journal j = {0};
    receiver *r = new_receiver(note_message, &j);
    etf_writer w;

    (void)state;
    etf_writer_init(&w, NULL);
    for (int i = 0; i < 400; i++) {
        cnode_ctrl send = send_of((etf_view){0});
        etf_writer_reset(&w);
        put_random_term(&w, i % 10 == 0 ? 500 : 1 + random_below(60));
        assert_int_equal(etf_writer_finish(&w, &j.last), 0);
        send.term = j.last;
        assert_int_equal(cnode_conn_send(c, &send), 0);
        deliver(c, r, 1 + random_below(5000));
        j.len = 0;
    }
    assert_int_equal(r->frames, 400);
    assert_true(r->news > 2100); /* every slot was used, and many twice */
    assert_true(r->refs > r->news);
    etf_writer_free(&w);
    free_receiver(r);
    cnode_conn_free(c);
}

/* Between processes of some nodes, with and without atoms, while the cache is
 * turned over: whose names are where is never taken for granted. */
static void check_names(void *arg, etf_view both) {
    const cnode_ctrl *want = arg;
    cnode_ctrl got = {0};
    etf_reader r;
    const char *why;

    assert_int_equal(cnode__ctrl_get(&got, &r, both, false, &why), 0);
    assert_int_equal(got.signal, CNODE_SIG_SEND);
    assert_memory_equal(&got.from, &want->from, sizeof got.from);
    assert_memory_equal(&got.to, &want->to, sizeof got.to);
    assert_int_equal(got.term.len, want->term.len);
    assert_memory_equal(got.term.data, want->term.data, got.term.len);
}

static etf_pid random_pid(void) {
    char node[300];

    if (random_below(20) == 0)
        (void)snprintf(node, sizeof node, "%0*u@h", 240, random_below(4));
    else
        (void)snprintf(node, sizeof node, "node%u@h", random_below(3));
    return pid_of(node, random_below(100));
}

static void test_cache_names(void **state) {
    cnode_conn *c = opened(ALL);
    cnode_ctrl send = send_of((etf_view){0});
    receiver *r = new_receiver(check_names, &send);
    etf_writer w;

    (void)state;
    etf_writer_init(&w, NULL);
    for (int i = 0; i < 20000; i++) {
        if (random_below(4) == 0)
            send.from = random_pid();
        if (random_below(4) == 0)
            send.to = random_pid();
        etf_writer_reset(&w);
        if (random_below(2) == 0)
            etf_put_binary(&w, "R\x01", 2);
        else
            put_random_atom(&w);
        assert_int_equal(etf_writer_finish(&w, &send.term), 0);
        assert_int_equal(cnode_conn_send(c, &send), 0);
        deliver(c, r, SIZE_MAX);
    }
    assert_int_equal(r->frames, 20000);
    etf_writer_free(&w);
    free_receiver(r);
    cnode_conn_free(c);
}

/* A closure has its size in it: its atoms, and all behind it, stay. */
static void test_cache_fun(void **state) {
    static const char hex[] =
        "6802 70 0000004f 01 6b5c55ab5c388574229e9f8c1b747017 00000000 00000002"
        "77026676 6100 62035ae2ad 58770d6e6f6e6f6465406e6f686f7374"
        "000000000000000000000000 770568656c6c6f 6b000107 7701 61";
    uint8_t term[200];
    cnode_ctrl send = send_of((etf_view){term, unhex(hex, term, sizeof term)});
    cnode_conn *c = opened(ALL);
    journal j = {.last = send.term};
    receiver *r = new_receiver(note_message, &j);

    (void)state;
    assert_int_equal(cnode_conn_send(c, &send), 0);
    deliver(c, r, 1);
    assert_int_equal(r->refs, 2);
    free_receiver(r);
    cnode_conn_free(c);
}

/* --- fragments ----------------------------------------------------------- */

static etf_view binary(size_t size) {
    uint8_t *p = malloc(size);

    assert_non_null(p);
    p[0] = 109;
    (void)cn__put32(p + 1, (uint32_t)(size - 5));
    for (size_t i = 5; i < size; i++)
        p[i] = (uint8_t)(i * 31 + (i >> 16));
    return (etf_view){p, size};
}

static void free_binary(etf_view v) {
    free((void *)(uintptr_t)v.data);
}

static int send_from(cnode_conn *c, uint32_t from, etf_view term) {
    cnode_ctrl send = send_of(term);

    send.from.id = from;
    return cnode_conn_send(c, &send);
}

/* Process 1 is in the middle of something: others pass it, it does not pass
 * itself. */
static void test_fragments(void **state) {
    const size_t size = 1000000;
    etf_view big = binary(size);
    etf_view ok = {ok_term, sizeof ok_term};

    (void)state;
    for (int way = 0; way < 4; way++) {
        cnode_conn *c = opened(way % 2 == 0 ? ALL : CNODE_FLAG_FRAGMENTS);
        journal j = {0};
        receiver *r = new_receiver(note_message, &j);
        assert_int_equal(send_from(c, 1, big), 0);
        assert_int_equal(send_from(c, 2, ok), 0);
        assert_int_equal(send_from(c, 1, ok), 0);
        assert_int_equal(send_from(c, 1, big), 0);
        assert_int_equal(send_from(c, 1, ok), 0);
        assert_int_equal(send_from(c, 3, big), 0);
        assert_int_equal(send_from(c, 3, ok), 0);
        assert_int_equal(send_from(c, 2, ok), 0);
        assert_true(cnode_conn_queued(c) > 3 * size);
        deliver(c, r, way < 2 ? SIZE_MAX : 777);
        assert_int_equal(cnode_conn_queued(c), 0);
        assert_string_equal(j.text, "2:4 2:4 1:1000000 1:4 3:1000000 3:4 "
                                    "1:1000000 1:4 ");
        assert_true(r->max_frame <= 65536 + 200);
        assert_int_equal(r->fragments, 3 * 16);
        assert_int_equal(r->len, 0);
        free_receiver(r);
        cnode_conn_free(c);
    }
    free_binary(big);
}

/* A large message is not kept out by a stream of small ones. */
static void test_fragments_have_their_turn(void **state) {
    etf_view big = binary(640000), small = binary(1000);
    cnode_conn *c = opened(ALL);
    journal j = {0};
    receiver *r = new_receiver(note_message, &j);

    (void)state;
    assert_int_equal(send_from(c, 1, big), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(send_from(c, 2, small), 0);
    assert_int_equal(send_from(c, 3, small), 0);
    deliver(c, r, SIZE_MAX);
    assert_true(strstr(j.text, "1:640000") < strstr(j.text, "3:1000"));
    free_receiver(r);
    cnode_conn_free(c);
    free_binary(big);
    free_binary(small);
}

/* Without the flag a large message is one frame. */
static void test_no_fragments(void **state) {
    etf_view big = binary(1000000);
    cnode_conn *c = opened(CNODE_FLAG_DIST_HDR_ATOM_CACHE);
    journal j = {.last = big};
    receiver *r = new_receiver(note_message, &j);

    (void)state;
    assert_int_equal(send_from(c, 1, big), 0);
    deliver(c, r, 100000);
    assert_int_equal(r->frames, 1);
    assert_string_equal(j.text, "1:1000000 ");
    free_receiver(r);
    cnode_conn_free(c);
    free_binary(big);
}

/* Nothing is as large as the limit by itself. */
static void test_fragment_sizes(void **state) {
    (void)state;
    for (size_t size = 65400; size < 65600; size++) {
        etf_view term = binary(size);
        cnode_conn *c = opened(ALL);
        journal j = {.last = term};
        receiver *r = new_receiver(note_message, &j);
        assert_int_equal(send_from(c, 1, term), 0);
        deliver(c, r, SIZE_MAX);
        assert_true(j.len > 0);
        assert_true(r->fragments == 0 || r->fragments == 2);
        assert_true(r->max_frame <= 65536 + 200);
        free_receiver(r);
        cnode_conn_free(c);
        free_binary(term);
    }
}

/* The longer the buffer behind it, the fewer they are. */
static void test_fragments_by_buffer(void **state) {
    static const struct {
        size_t buffer, size, frames;
    } rows[] = {
        {0, 100000, 2},          {64 * 1024 + 100, 65536, 1},
        {100000, 100001, 2},     {1 << 20, 1000000, 1},
        {1 << 20, (1 << 20), 2}, {SIZE_MAX, 2000000, 1},
        {SIZE_MAX, 5 << 20, 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cnode_conn *c = opened(ALL);
        journal j = {.last = binary(rows[i].size)};
        receiver *r = new_receiver(note_message, &j);

        cnode__conn_stride(c, rows[i].buffer);
        assert_int_equal(send_from(c, 1, j.last), 0);
        cnode__conn_stride(c, 0); /* of the next one */
        deliver(c, r, SIZE_MAX);
        if (r->frames != rows[i].frames)
            fail_msg("row %zu: %u frames", i, (unsigned)r->frames);
        free_binary(j.last);
        free_receiver(r);
        cnode_conn_free(c);
    }
}

/* What needs no fragments, for the buffer behind is long, is not in front of
 * others either when there is a queue already. Two that are behind each other
 * take turns. */
static void test_whole_ones_have_their_turn(void **state) {
    etf_view big = binary(300000), small = binary(1000);
    cnode_conn *c = opened(ALL);
    journal j = {0};
    receiver *r = new_receiver(note_message, &j);

    (void)state;
    cnode__conn_stride(c, 500000);
    for (int i = 0; i < 4; i++)
        assert_int_equal(send_from(c, 1, big), 0);
    assert_int_equal(send_from(c, 1, small), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(send_from(c, 2, big), 0);
    assert_int_equal(send_from(c, 3, small), 0);
    assert_true(cnode_conn_queued(c) > 7 * big.len);
    deliver(c, r, SIZE_MAX);
    assert_int_equal(cnode_conn_queued(c), 0);
    assert_string_equal(j.text, "1:300000 1:300000 3:1000 1:300000 2:300000 "
                                "1:300000 2:300000 1:1000 2:300000 ");
    assert_int_equal(r->fragments, 0);
    assert_int_equal(r->frames, 9);
    free_receiver(r);
    cnode_conn_free(c);
    free_binary(big);
    free_binary(small);
}

/* --- shared bytes -------------------------------------------------------- */

static void count(void *arg) {
    ++*(int *)arg;
}

static void test_shared(void **state) {
    etf_view big = binary(500000);
    cn_slice v[] = {{(const uint8_t *)"h\x02w\x01x", 5},
                    {NULL, 0},
                    {big.data, 100},
                    {big.data + 100, big.len - 100}};
    cn_slice small = {ok_term, sizeof ok_term};
    uint64_t forms[] = {0, CNODE_FLAG_DIST_HDR_ATOM_CACHE, CNODE_FLAG_FRAGMENTS,
                        ALL};

    (void)state;
    for (int way = 1; way < 8; way++) {
        cnode_conn *c = opened(forms[way % 4]);
        cnode_ctrl send = send_of((etf_view){0});
        journal j = {0};
        receiver *r = new_receiver(note_message, &j);
        int released = 0;
        if (way % 4 == 0) {
            free_receiver(r);
            cnode_conn_free(c);
            continue;
        }
        assert_int_equal(
            cnode_conn_send_shared(c, &send, v, 4, count, &released), 0);
        assert_int_equal(
            cnode_conn_send_shared(c, &send, &small, 1, count, &released), 0);
        assert_int_equal(released, 0);
        if (way < 4) {
            deliver(c, r, 12345);
            assert_string_equal(j.text, "1:500005 1:4 ");
            assert_int_equal(released, 2);
        }
        cnode_conn_free(c);
        assert_int_equal(released, 2);
        free_receiver(r);
    }
    free_binary(big);
}

static void test_shared_refused(void **state) {
    cn_slice v = {ok_term, sizeof ok_term};
    cnode_ctrl send = send_of((etf_view){0});
    cnode_conn_config config = config_with(ALL);
    cnode_conn *c;
    int released = 0;

    (void)state;
    config.max_queue = 1;
    assert_int_equal(open_with(&config, &c), 0);
    assert_int_equal(cnode_conn_send_shared(c, &send, &v, 0, count, &released),
                     CN_EBADARG);
    send.signal = CNODE_SIG_LINK;
    assert_int_equal(cnode_conn_send_shared(c, &send, &v, 1, count, &released),
                     CN_EBADARG);
    send.signal = CNODE_SIG_SEND;
    assert_int_equal(cnode_conn_send_shared(c, &send, &v, 1, count, &released),
                     0);
    assert_int_equal(cnode_conn_send_shared(c, &send, &v, 1, count, &released),
                     CN_EBUSY);
    assert_int_equal(released, 0);
    cnode_conn_free(c);
    assert_int_equal(released, 1);
}

/* --- the short way ------------------------------------------------------- */

static void assert_same_output(cnode_conn *a, cnode_conn *b) {
    const uint8_t *p, *q;
    size_t n, m;

    while ((p = output(a, &n)) != NULL) {
        q = output(b, &m);
        assert_int_equal(n, m);
        assert_memory_equal(p, q, n);
        cnode_conn_wrote(a, n);
        cnode_conn_wrote(b, n);
    }
    assert_int_equal(cnode_conn_queued(b), 0);
}

static cnode__brief brief_of(const cnode_ctrl *c) {
    return (cnode__brief){
        .node = {(const uint8_t *)c->from.node, c->from.node_len},
        .id = c->from.id,
        .serial = c->from.serial,
        .creation = c->from.creation,
        .to = &c->to,
        .term = c->term};
}

/* The tag and the length of a binary need not lie before it. */
static void take_off_tag(cnode__brief *m) {
    if (m->term.data[0] != ETF__BINARY)
        return;
    memcpy(m->tag, m->term.data, 5);
    m->tag_len = 5;
    m->term.data += 5;
    m->term.len -= 5;
}

/* Two names that want the same slot go the long way, too. */
static int brief_or_long(cnode_conn *c, const cnode__brief *m,
                         const cnode_ctrl *send) {
    int err = cnode__conn_brief(c, m);

    return err == 1 ? cnode_conn_send(c, send) : err;
}

static void put_some_term(etf_writer *w) {
    static const uint8_t bytes[300] = {119};

    switch (random_below(5)) {
    case 0:
        put_random_term(w, random_below(4));
        break;
    case 1:
        etf_put_int(w, random_below(100000));
        break;
    case 2:
        etf_put_atom(w, "ok");
        break;
    default:
        etf_put_binary(w, bytes, random_below(sizeof bytes));
    }
}

/* What goes out is the same, and counted the same. */
static void test_brief(void **state) {
    cnode_conn *c = opened(ALL), *twin = opened(ALL);
    cnode_ctrl send = send_of((etf_view){0});
    cnode_conn_stats sc, st;
    etf_writer w;

    (void)state;
    etf_writer_init(&w, NULL);
    for (int i = 0; i < 3000; i++) {
        cnode__brief m;
        if (random_below(4) == 0) {
            send.from = random_pid();
            send.to = random_pid();
        }
        etf_writer_reset(&w);
        put_some_term(&w);
        assert_int_equal(etf_writer_finish(&w, &send.term), 0);
        m = brief_of(&send);
        if (random_below(2) == 0)
            take_off_tag(&m);
        assert_int_equal(cnode_conn_send(twin, &send), 0);
        assert_int_equal(brief_or_long(c, &m, &send), 0);
        if (random_below(10) == 0)
            assert_same_output(c, twin);
    }
    assert_same_output(c, twin);
    cnode_conn_get_stats(c, &sc);
    cnode_conn_get_stats(twin, &st);
    assert_memory_equal(&sc, &st, sizeof sc);
    etf_writer_free(&w);
    cnode_conn_free(c);
    cnode_conn_free(twin);
}

static void on_frame(void *ctx, bool in, const char *text, etf_view payload) {
    (void)ctx, (void)in, (void)text, (void)payload;
}

/* What must go the long way is left alone, and what may not go is refused. */
static void test_brief_refused(void **state) {
    cnode_conn_config config = config_with(ALL);
    cnode_ctrl send = send_of((etf_view){ok_term, sizeof ok_term});
    cnode__brief m = brief_of(&send);
    etf_view big = binary(200000);
    cnode_conn *c = opened(CNODE_FLAG_FRAGMENTS);
    cnode_event ev;

    (void)state;
    assert_int_equal(cnode__conn_brief(c, &m), 1);
    assert_int_equal(cnode_conn_queued(c), 0);
    cnode_conn_free(c);
    config.on_frame = on_frame;
    assert_int_equal(open_with(&config, &c), 0);
    assert_int_equal(cnode__conn_brief(c, &m), 1);
    cnode_conn_free(c);
    c = opened(ALL);
    m.term = big;
    assert_int_equal(cnode__conn_brief(c, &m), 1);
    m.term = send.term;
    assert_int_equal(cnode__conn_brief(c, &m), 0);
    send.term = big;
    assert_int_equal(cnode_conn_send(c, &send), 0);
    assert_int_equal(cnode__conn_brief(c, &m), 1); /* behind the fragments */
    cnode_conn_free(c);
    config = config_with(ALL);
    config.max_queue = 10;
    assert_int_equal(open_with(&config, &c), 0);
    assert_int_equal(cnode__conn_brief(c, &m), 0);
    assert_int_equal(cnode__conn_brief(c, &m), CN_EBUSY);
    (void)cnode_conn_eof(c, 0);
    assert_int_equal(cnode__conn_brief(c, &m), CN_ECLOSED);
    assert_int_equal(cnode_conn_next(c, &ev), CN_ECLOSED);
    cnode_conn_free(c);
    assert_int_equal(cnode_conn_new(&c, &config, 0), 0);
    assert_int_equal(cnode__conn_brief(c, &m), CN_ENOCONN);
    cnode_conn_free(c);
    free_binary(big);
}

static int briefs(fault_alloc *f, void *arg) {
    cnode_conn_config config = config_with(ALL);
    cnode_ctrl send = send_of(*(const etf_view *)arg);
    cnode_conn *c = NULL;
    int err;

    config.alloc = f->alloc;
    err = open_with(&config, &c);
    for (uint32_t i = 0; i < 9 && err == 0; i++) {
        const cnode__brief m = brief_of(&send);
        err = brief_or_long(c, &m, &send);
    }
    cnode_conn_free(c);
    return err;
}

static void test_brief_memory(void **state) {
    etf_writer w;
    etf_view term;

    (void)state;
    etf_writer_init(&w, NULL);
    put_random_term(&w, 100);
    assert_int_equal(etf_writer_finish(&w, &term), 0);
    run_with_every_failure(briefs, &term);
    etf_writer_free(&w);
}

/* --- memory -------------------------------------------------------------- */

static void take_nothing(void *arg, etf_view both) {
    (void)arg, (void)both;
}

static int all_kinds(fault_alloc *f, void *arg) {
    cnode_conn_config config = config_with(ALL);
    const etf_view *terms = arg;
    cn_slice v = {terms[0].data, terms[0].len};
    cnode_ctrl send = send_of((etf_view){0});
    receiver *r = new_receiver(take_nothing, NULL);
    cnode_conn *c = NULL;
    int released = 0, shared = CN_ENOMEM;
    int err;

    config.alloc = f->alloc;
    err = open_with(&config, &c);
    for (uint32_t i = 0; i < 6 && err == 0; i++)
        err = send_from(c, i % 3, terms[i % 2]);
    if (err == 0)
        err = shared =
            cnode_conn_send_shared(c, &send, &v, 1, count, &released);
    if (c != NULL)
        deliver(c, r, SIZE_MAX);
    if (err == 0 && c != NULL)
        err = cnode_conn_error(c)->code;
    cnode_conn_free(c);
    assert_int_equal(released, shared == 0);
    free_receiver(r);
    return err;
}

/* Without memory a send is refused; what was taken comes, or the connection
 * says why not. */
static void test_no_memory(void **state) {
    etf_view terms[] = {binary(200000), {0}};
    etf_writer w;

    (void)state;
    etf_writer_init(&w, NULL);
    put_random_term(&w, 100);
    assert_int_equal(etf_writer_finish(&w, &terms[1]), 0);
    run_with_every_failure(all_kinds, terms);
    etf_writer_free(&w);
    free_binary(terms[0]);
}

/* A queue that gets long again and again takes no new memory for that, and what
 * it keeps is bounded. */
static void test_busy_memory(void **state) {
    cnode_conn_config config = config_with(ALL);
    etf_view small = binary(1000);
    cnode_conn *c;
    fault_alloc f;
    size_t calls = 0;

    (void)state;
    fault_init(&f, 0);
    config.alloc = f.alloc;
    assert_int_equal(open_with(&config, &c), 0);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 800; i++)
            assert_int_equal(send_from(c, 1, small), 0);
        (void)drain(c);
        if (round == 1)
            calls = f.calls;
    }
    assert_int_equal(f.calls, calls);
    for (int i = 0; i < 8000; i++)
        assert_int_equal(send_from(c, 1, small), 0);
    (void)drain(c);
    assert_true(f.live < 2 << 20);
    cnode_conn_free(c);
    assert_int_equal(f.live, 0);
    free_binary(small);
}

/* What was only needed while there was something to say is given back. */
static void test_idle_memory(void **state) {
    cnode_conn_config config = config_with(ALL);
    etf_view big = binary(3 << 20), ok = {ok_term, sizeof ok_term};
    journal j = {0};
    receiver *r = new_receiver(note_message, &j);
    cnode_conn *c;
    fault_alloc f;
    size_t fresh;

    (void)state;
    fault_init(&f, 0);
    config.alloc = f.alloc;
    assert_int_equal(open_with(&config, &c), 0);
    fresh = f.live;
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(send_from(c, i % 7, i % 50 == 0 ? big : ok), 0);
    deliver(c, r, SIZE_MAX);
    assert_int_equal(cnode_conn_timeout(c, 15000), 0);
    assert_int_equal(cnode_conn_timeout(c, 30000), 0);
    deliver(c, r, SIZE_MAX); /* a tick */
    assert_int_equal(cnode_conn_timeout(c, 45000), 0);
    deliver(c, r, SIZE_MAX);
    assert_true(f.live <= fresh + 1024);
    assert_int_equal(send_from(c, 1, ok), 0);
    deliver(c, r, SIZE_MAX); /* and the atoms are told again */
    free_receiver(r);
    cnode_conn_free(c);
    assert_int_equal(f.live, 0);
    free_binary(big);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_cache_second_time),
        cmocka_unit_test(test_cache_random),
        cmocka_unit_test(test_cache_names),
        cmocka_unit_test(test_cache_fun),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_fragments_have_their_turn),
        cmocka_unit_test(test_no_fragments),
        cmocka_unit_test(test_fragment_sizes),
        cmocka_unit_test(test_fragments_by_buffer),
        cmocka_unit_test(test_whole_ones_have_their_turn),
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_shared_refused),
        cmocka_unit_test(test_brief),
        cmocka_unit_test(test_brief_refused),
        cmocka_unit_test(test_brief_memory),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_busy_memory),
        cmocka_unit_test(test_idle_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
