/* SPDX-License-Identifier: Apache-2.0
 *
 * handshake_test.c: both roles against recorded bytes of real nodes and
 * against peers that lie, each script whole, byte by byte, with every message
 * cut short and with every allocation failing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cnode/digest.h"
#include "cnode/handshake.h"
#include "tests/unit/support.h"

/* Names: py@127.0.0.1, n25@127.0.0.1, vec@127.0.0.1. */
#define PY "7079403132372e302e302e31"
#define N25 "6e3235403132372e302e302e31"
#define VEC "766563403132372e302e302e31"
#define HOST "3132372e302e302e31"
#define OTP25 "0000000d07df7fbd"
#define HIDDEN "0000000d07df7fbc"

/* --- scripts ------------------------------------------------------------- */

/* In hex, without the two bytes of length. */
typedef struct step {
    const char *in;  /* message of the peer; NULL: the script ends */
    const char *out; /* the messages that answer it; NULL: none */
} step;

typedef struct script {
    const char *what;
    cnode_conn_config config;
    const char *first; /* what the initiator says at once */
    step steps[6];
    cnode_answer answer; /* acceptor */
    const char *given;   /* name given to the peer */
    int err;             /* how it ends; 0: done */
    const char *text;    /* in the error's text */
} script;

#define A_COMMON                                                               \
    .initiator = true, .peer = "n25@127.0.0.1", .cookie = "abc",               \
    .creation = 0x12345678, .challenge = 1974820125,                           \
    .flags = UINT64_C(0x0000000d07df7fbc)
#define A_CONFIG A_COMMON, .name = "py@127.0.0.1"
#define A_DYNAMIC A_COMMON, .name = "127.0.0.1", .dynamic_name = true
#define B_CONFIG                                                               \
    .name = "py@127.0.0.1", .creation = 0x12345678, .challenge = 77,           \
    .flags = UINT64_C(0x0000000d075f5fbd)

#define A_NAME "4e" HIDDEN "12345678 000c" PY
#define CHALLENGE "4e" OTP25 "d79cdb9c 6b02a5f9 000d" N25
#define REPLY "72 75b55d1d 724b39cca1e8700c14ea67823553563b"
#define ACK "61 e7b6321ac6e1cbc32686c7c1e783678c"

/* tests/data/dist_vectors.txt: OTP 25 dials. */
#define V_NAME "4e" OTP25 "6b050e8a 000d" VEC
#define V_CHALLENGE "4e 0000000d075f5fbd 0000004d 12345678 000c" PY
#define V_REPLY "72 c22400f1 d07a28650fff793ea551a0c6696ce7db"
#define V_ACK "61 19b5d52ce157cf9eb65a5a31f2e7af7d"

#define A_BREAKS(what, in, err, text)                                          \
    {                                                                          \
        (what), {A_CONFIG}, A_NAME, {{in, NULL}}, CNODE_ANSWER_OK, NULL,       \
            (err), (text)                                                      \
    }
#define A_BREAKS_AT_CHALLENGE(what, in, err, text)                             \
    {                                                                          \
        (what), {A_CONFIG}, A_NAME, {{"736f6b", NULL}, {in, NULL}},            \
            CNODE_ANSWER_OK, NULL, (err), (text)                               \
    }
#define B_BREAKS(what, in, out, err, text)                                     \
    {                                                                          \
        (what), {B_CONFIG}, NULL, {{in, out}}, CNODE_ANSWER_OK, NULL, (err),   \
            (text)                                                             \
    }

static const script scripts[] = {
    /* --- initiator */
    {"good",
     {A_CONFIG},
     A_NAME,
     {{"736f6b", NULL}, {CHALLENGE, REPLY}, {ACK, NULL}},
     CNODE_ANSWER_OK,
     NULL,
     0,
     NULL},
    {"ok_simultaneous, extra bytes",
     {A_CONFIG},
     A_NAME,
     {{"73 6f6b5f73696d756c74616e656f7573", NULL},
      {CHALLENGE "deadbeef", REPLY},
      {ACK, NULL}},
     CNODE_ANSWER_OK,
     NULL,
     0,
     NULL},
    {"alive, taken over",
     {A_CONFIG, .takeover = true},
     A_NAME,
     {{"73 616c697665", "73 74727565"}, {CHALLENGE, REPLY}, {ACK, NULL}},
     CNODE_ANSWER_OK,
     NULL,
     0,
     NULL},
    {"OTP 26 without the short form of flags",
     {A_CONFIG},
     A_NAME,
     {{"736f6b", NULL},
      {"4e 0000000403070f94 d79cdb9c 6b02a5f9 000d" N25, REPLY},
      {ACK, NULL}},
     CNODE_ANSWER_OK,
     NULL,
     0,
     NULL},
    {"only the digest of the mandatory flags",
     {A_CONFIG},
     A_NAME,
     {{"736f6b", NULL},
      {"4e 0000000004000000 d79cdb9c 6b02a5f9 000d" N25, REPLY},
      {ACK, NULL}},
     CNODE_ANSWER_OK,
     NULL,
     0,
     NULL},
    {"a name is given",
     {A_DYNAMIC},
     "4e 0000000f07df7fbc 00000000 0009" HOST,
     {{"73 6e616d65643a 0017"
       "335049394247314f455236593940 3132372e302e302e31 5cd7dc4b",
       NULL},
      {CHALLENGE, REPLY},
      {ACK, NULL}},
     CNODE_ANSWER_OK,
     NULL,
     0,
     NULL},
    {"alive",
     {A_CONFIG},
     A_NAME,
     {{"73 616c697665", "73 66616c7365"}},
     CNODE_ANSWER_OK,
     NULL,
     CN_EEXIST,
     "connected there already"},
    A_BREAKS("nok", "73 6e6f6b", CN_ECANCELED, "connecting here itself"),
    A_BREAKS("not_allowed", "73 6e6f745f616c6c6f776564", CN_ENOTALLOWED,
             "does not allow the node py@127.0.0.1"),
    A_BREAKS("unknown status", "73 6d61796265", CN_EPROTO, "malformed status"),
    A_BREAKS("empty status", "73", CN_EPROTO, "malformed status"),
    A_BREAKS("ok and more", "73 6f6b00", CN_EPROTO, "malformed status"),
    A_BREAKS("a name nobody asked for", "73 6e616d65643a 0003 614062 00000009",
             CN_EPROTO, "status named"),
    A_BREAKS("HTTP", "4854", CN_EPROTO, "not the distribution protocol"),
    A_BREAKS("a challenge first", CHALLENGE, CN_EPROTO,
             "not the distribution protocol"),
    A_BREAKS_AT_CHALLENGE("status twice", "736f6b", CN_EPROTO,
                          "something else came, waited for its challenge"),
    A_BREAKS_AT_CHALLENGE("old challenge", "6e 0005 07df7fbd 00000001" N25,
                          CN_EPROTO, "waited for its challenge"),
    A_BREAKS_AT_CHALLENGE("another name",
                          "4e" OTP25 "d79cdb9c 6b02a5f9 000d" VEC, CN_EPROTO,
                          "its name is 'vec@127.0.0.1'"),
    A_BREAKS_AT_CHALLENGE("a name that begins with the right one",
                          "4e" OTP25 "d79cdb9c 6b02a5f9 000e" N25 "31",
                          CN_EPROTO, "its name is 'n25@127.0.0.11'"),
    A_BREAKS_AT_CHALLENGE("a name with NUL",
                          "4e" OTP25 "d79cdb9c 6b02a5f9 000f" N25 "0031",
                          CN_EPROTO, "its name is ''"),
    A_BREAKS_AT_CHALLENGE("a name beyond the end",
                          "4e" OTP25 "d79cdb9c 6b02a5f9 000e" N25, CN_EPROTO,
                          "malformed challenge"),
    A_BREAKS_AT_CHALLENGE("challenge cut", "4e" OTP25 "d79cdb", CN_EPROTO,
                          "malformed challenge"),
    A_BREAKS_AT_CHALLENGE("flags missing",
                          "4e 0000000001050f94 d79cdb9c 6b02a5f9 000d" N25,
                          CN_EFLAGS, "lacks mandatory flags: MAP_TAG"),
    A_BREAKS_AT_CHALLENGE("no flags",
                          "4e 0000000000000000 d79cdb9c 6b02a5f9 000d" N25,
                          CN_EFLAGS, "EXTENDED_REFERENCES FUN_TAGS"),
    {"wrong cookie of the peer",
     {A_CONFIG},
     A_NAME,
     {{"736f6b", NULL},
      {CHALLENGE, REPLY},
      {"61 e7b6321ac6e1cbc32686c7c1e783678d", NULL}},
     CNODE_ANSWER_OK,
     NULL,
     CN_ECOOKIE,
     "another cookie"},
    {"ack too short",
     {A_CONFIG},
     A_NAME,
     {{"736f6b", NULL},
      {CHALLENGE, REPLY},
      {"61 e7b6321ac6e1cbc32686c7c1e78367", NULL}},
     CNODE_ANSWER_OK,
     NULL,
     CN_EPROTO,
     "malformed challenge_ack"},
    {"ack too long",
     {A_CONFIG},
     A_NAME,
     {{"736f6b", NULL}, {CHALLENGE, REPLY}, {ACK "00", NULL}},
     CNODE_ANSWER_OK,
     NULL,
     CN_EPROTO,
     "malformed challenge_ack"},
    {"no dynamic names there",
     {A_DYNAMIC},
     "4e 0000000f07df7fbc 00000000 0009" HOST,
     {{"736f6b", NULL}},
     CNODE_ANSWER_OK,
     NULL,
     CN_ENOTSUP,
     "does not give out names"},
    {"given a name at another host",
     {A_DYNAMIC},
     "4e 0000000f07df7fbc 00000000 0009" HOST,
     {{"73 6e616d65643a 0003 614062 00000009", NULL}},
     CNODE_ANSWER_OK,
     NULL,
     CN_EPROTO,
     "name given by the peer"},
    {"given no name",
     {A_DYNAMIC},
     "4e 0000000f07df7fbc 00000000 0009" HOST,
     {{"73 6e616d65643a 0000 00000009", NULL}},
     CNODE_ANSWER_OK,
     NULL,
     CN_EPROTO,
     "name given by the peer"},
    {"given half a name",
     {A_DYNAMIC},
     "4e 0000000f07df7fbc 00000000 0009" HOST,
     {{"73 6e616d65643a 0003 614062 000000", NULL}},
     CNODE_ANSWER_OK,
     NULL,
     CN_EPROTO,
     "status named"},
    /* --- acceptor */
    {"good",
     {B_CONFIG},
     NULL,
     {{V_NAME, "736f6b" V_CHALLENGE}, {V_REPLY, V_ACK}},
     CNODE_ANSWER_OK,
     NULL,
     0,
     NULL},
    {"simultaneous, extra bytes",
     {B_CONFIG},
     NULL,
     {{V_NAME "0102", "73 6f6b5f73696d756c74616e656f7573" V_CHALLENGE},
      {V_REPLY, V_ACK}},
     CNODE_ANSWER_OK_SIMULTANEOUS,
     NULL,
     0,
     NULL},
    {"alive, true",
     {B_CONFIG},
     NULL,
     {{V_NAME, "73 616c697665"},
      {"73 74727565", V_CHALLENGE},
      {V_REPLY, V_ACK}},
     CNODE_ANSWER_ALIVE,
     NULL,
     0,
     NULL},
    {"alive, false",
     {B_CONFIG},
     NULL,
     {{V_NAME, "73 616c697665"}, {"73 66616c7365", NULL}},
     CNODE_ANSWER_ALIVE,
     NULL,
     CN_ECANCELED,
     "keeps its other connection"},
    {"alive, what?",
     {B_CONFIG},
     NULL,
     {{V_NAME, "73 616c697665"}, {"73 7472756500", NULL}},
     CNODE_ANSWER_ALIVE,
     NULL,
     CN_EPROTO,
     "malformed status reply"},
    {"alive, a reply at once",
     {B_CONFIG},
     NULL,
     {{V_NAME, "73 616c697665"}, {V_REPLY, NULL}},
     CNODE_ANSWER_ALIVE,
     NULL,
     CN_EPROTO,
     "waited for its answer to status"},
    {"nok",
     {B_CONFIG},
     NULL,
     {{V_NAME, "73 6e6f6b"}},
     CNODE_ANSWER_NOK,
     NULL,
     CN_ECANCELED,
     "connecting there itself"},
    {"not_allowed",
     {B_CONFIG},
     NULL,
     {{V_NAME, "73 6e6f745f616c6c6f776564"}},
     CNODE_ANSWER_NOT_ALLOWED,
     NULL,
     CN_ENOTALLOWED,
     "not allowed here"},
    {"gives a name",
     {B_CONFIG},
     NULL,
     {{"4e 0000000f07df7fbd 00000000 0009" HOST,
       "73 6e616d65643a 000b 5840" HOST "00000063"
       "4e 0000000f075f5fbc 0000004d 12345678 000c" PY},
      {V_REPLY, V_ACK}},
     CNODE_ANSWER_NAMED,
     "X@127.0.0.1",
     0,
     NULL},
    {"gives a name that is none",
     {B_CONFIG},
     NULL,
     {{"4e 0000000f07df7fbd 00000000 0009" HOST, NULL}},
     CNODE_ANSWER_NAMED,
     "X",
     CN_EBADARG,
     "no name for the peer"},
    {"has no name to give",
     {B_CONFIG},
     NULL,
     {{"4e 0000000f07df7fbd 00000000 0009" HOST, NULL}},
     CNODE_ANSWER_OK,
     NULL,
     CN_EBADARG,
     "wants a name"},
    {"gives a name to one that has one",
     {B_CONFIG},
     NULL,
     {{V_NAME, NULL}},
     CNODE_ANSWER_NAMED,
     "X@127.0.0.1",
     CN_EBADARG,
     "no name for the peer"},
    B_BREAKS("wants a name, has one", "4e 0000000f07df7fbd 00000000 000d" VEC,
             NULL, CN_EPROTO, "name of the peer"),
    B_BREAKS("wants a name, no host", "4e 0000000f07df7fbd 00000000 0000", NULL,
             CN_EPROTO, "name of the peer"),
    {"a name in the old form",
     {B_CONFIG},
     NULL,
     {{"6e 0005 07df7fbc" VEC, "736f6b" V_CHALLENGE},
      {"63 0000000f 00000055", NULL},
      {V_REPLY, V_ACK}},
     CNODE_ANSWER_OK,
     NULL,
     0,
     NULL},
    {"a name in the old form, alive, extra bytes",
     {B_CONFIG},
     NULL,
     {{"6e 0005 07df7fbc" VEC, "73 616c697665"},
      {"73 74727565", V_CHALLENGE},
      {"63 0000000f 00000055 00", NULL},
      {V_REPLY, V_ACK}},
     CNODE_ANSWER_ALIVE,
     NULL,
     0,
     NULL},
    {"a name in the old form, no complement",
     {B_CONFIG},
     NULL,
     {{"6e 0005 07df7fbc" VEC, "736f6b" V_CHALLENGE}, {V_REPLY, NULL}},
     CNODE_ANSWER_OK,
     NULL,
     CN_EPROTO,
     "waited for the rest of its flags"},
    {"a name in the old form, half a complement",
     {B_CONFIG},
     NULL,
     {{"6e 0005 07df7fbc" VEC, "736f6b" V_CHALLENGE},
      {"63 0000000f 000055", NULL}},
     CNODE_ANSWER_OK,
     NULL,
     CN_EPROTO,
     "malformed complement"},
    B_BREAKS("only version 5", "6e 0005 02df7fbc 7079406c6f63616c686f7374",
             NULL, CN_EVERSION, "py@localhost speaks only version 5"),
    B_BREAKS("only version 4", "6e 0004 07df7fbc 7079406c6f63616c686f7374",
             NULL, CN_EVERSION, "py@localhost speaks only version 4"),
    B_BREAKS("the old form, no name", "6e 0005", NULL, CN_EPROTO,
             "malformed send_name"),
    B_BREAKS("the old form, an empty name", "6e 0005 07df7fbc", NULL, CN_EPROTO,
             "name of the peer"),
    B_BREAKS("the old form, a bad name", "6e 0005 07df7fbc 0a1b", NULL,
             CN_EPROTO, "name of the peer"),
    B_BREAKS("the old form, flags missing", "6e 0005 01050f94" VEC,
             "73 6e6f745f616c6c6f776564", CN_EFLAGS, "flags: MAP_TAG"),
    B_BREAKS("a status", "736f6b", NULL, CN_EPROTO,
             "not the distribution protocol"),
    B_BREAKS("HTTP", "4745 5420", NULL, CN_EPROTO,
             "not the distribution protocol"),
    B_BREAKS("name cut", "4e" OTP25 "6b050e8a 000e" VEC, NULL, CN_EPROTO,
             "malformed send_name"),
    B_BREAKS("no name", "4e" OTP25 "6b050e8a 0000", NULL, CN_EPROTO,
             "name of the peer"),
    B_BREAKS("no @", "4e" OTP25 "6b050e8a 0003 616263", NULL, CN_EPROTO,
             "name of the peer"),
    B_BREAKS("no host", "4e" OTP25 "6b050e8a 0002 6140", NULL, CN_EPROTO,
             "name of the peer"),
    B_BREAKS("two @", "4e" OTP25 "6b050e8a 0005 6140624063", NULL, CN_EPROTO,
             "name of the peer"),
    B_BREAKS("a blank", "4e" OTP25 "6b050e8a 0004 61204062", NULL, CN_EPROTO,
             "name of the peer"),
    B_BREAKS("NUL", "4e" OTP25 "6b050e8a 0004 61406200", NULL, CN_EPROTO,
             "name of the peer"),
    B_BREAKS("DEL", "4e" OTP25 "6b050e8a 0004 6140627f", NULL, CN_EPROTO,
             "name of the peer"),
    B_BREAKS("latin-1", "4e" OTP25 "6b050e8a 0004 e9406263", NULL, CN_EPROTO,
             "name of the peer"),
    B_BREAKS("flags missing", "4e 0000000001050f94 6b050e8a 000d" VEC,
             "73 6e6f745f616c6c6f776564", CN_EFLAGS, "flags: MAP_TAG"),
    {"wrong cookie of the peer",
     {B_CONFIG},
     NULL,
     {{V_NAME, "736f6b" V_CHALLENGE},
      {"72 c22400f1 d07a28650fff793ea551a0c6696ce7dc", NULL}},
     CNODE_ANSWER_OK,
     NULL,
     CN_ECOOKIE,
     "another cookie"},
    {"reply cut",
     {B_CONFIG},
     NULL,
     {{V_NAME, "736f6b" V_CHALLENGE},
      {"72 c22400f1 d07a28650fff793ea551a0c6696ce7", NULL}},
     CNODE_ANSWER_OK,
     NULL,
     CN_EPROTO,
     "malformed challenge_reply"},
    {"reply too long",
     {B_CONFIG},
     NULL,
     {{V_NAME, "736f6b" V_CHALLENGE}, {V_REPLY "00", NULL}},
     CNODE_ANSWER_OK,
     NULL,
     CN_EPROTO,
     "malformed challenge_reply"},
    {"a complement, which only version 5 has",
     {B_CONFIG},
     NULL,
     {{V_NAME, "736f6b" V_CHALLENGE}, {"63 0000000d 00000055", NULL}},
     CNODE_ANSWER_OK,
     NULL,
     CN_EPROTO,
     "waited for its challenge_reply"},
};

enum { SCRIPTS = sizeof scripts / sizeof *scripts };

static const script *find(const char *what, bool initiator) {
    for (size_t i = 0; i < SCRIPTS; i++)
        if (strcmp(scripts[i].what, what) == 0 &&
            scripts[i].config.initiator == initiator)
            return &scripts[i];
    fail_msg("no script '%s'", what);
    return NULL;
}

/* --- playing them -------------------------------------------------------- */

typedef struct play {
    const script *s;
    cnode__hs hs;
    cn_buf out;
    cn_error error;
    bool trickle;
} play;

static int start(play *p, const script *s, const cn_alloc *alloc) {
    *p = (play){.s = s};
    cn__buf_init(&p->out, alloc);
    return cnode__hs_init(&p->hs, &s->config, &p->out, &p->error);
}

static void stop(play *p) {
    static const char none[CNODE__COOKIE_MAX + 1];

    cnode__hs_free(&p->hs);
    assert_memory_equal(p->hs.cookie, none, sizeof none);
    cn__buf_free(&p->out);
}

/* The messages said since the last time, lengths checked and left out. */
static void assert_said(play *p, const char *hex) {
    uint8_t said[1024];
    size_t n = 0;

    while (cn__buf_size(&p->out) > 0) {
        const uint8_t *at = cn__buf_at(&p->out);
        size_t len;
        assert_true(cn__buf_size(&p->out) > 2);
        len = cn__be16(at);
        assert_true(len > 0 && len + 2 <= cn__buf_size(&p->out));
        memcpy(said + n, at + 2, len);
        n += len;
        cn__buf_consume(&p->out, len + 2, SIZE_MAX);
    }
    assert_hex(said, n, hex == NULL ? "" : hex);
}

/* A message as it comes, in a block of its own. */
static uint8_t *message(const char *hex, size_t *n) {
    uint8_t body[2048], *p;
    size_t len = unhex(hex, body, sizeof body);

    p = malloc(len + 2);
    assert_non_null(p);
    cn__put_bytes(cn__put16(p, (uint16_t)len), body, len);
    *n = len + 2;
    return p;
}

static int take(play *p, const uint8_t *m, size_t n) {
    int64_t whole = cnode__hs_measure(&p->hs, m, n);
    int err;

    if (whole < 0)
        return (int)whole;
    assert_int_equal(whole, n);
    err = cnode__hs_message(&p->hs, m + 2, n - 2);
    if (err == 0 && p->hs.state == HS_EXPECT_ANSWER)
        err = cnode__hs_answer(&p->hs, p->s->answer, "abc", p->s->given, 99);
    return err;
}

/* Until a message is whole nothing happens, unless it is none. */
static int trickle(play *p, const uint8_t *m, size_t n) {
    for (size_t have = 0; have < n; have++) {
        uint8_t *part = malloc(have == 0 ? 1 : have);
        int64_t r;
        assert_non_null(part);
        memcpy(part, m, have);
        r = cnode__hs_measure(&p->hs, part, have);
        free(part);
        if (r != 0)
            return (int)r;
    }
    return take(p, m, n);
}

static int step_of(play *p, const step *st) {
    size_t n;
    uint8_t *m = message(st->in, &n);
    int err = p->trickle ? trickle(p, m, n) : take(p, m, n);

    free(m);
    return err;
}

static void assert_end(play *p, int err) {
    if (err != p->s->err)
        fail_msg("%s: %s, %s", p->s->what, cn_errname(err), p->error.text);
    assert_int_equal(p->error.code, err);
    if (err == 0)
        assert_int_equal(p->hs.state, HS_DONE);
    else if (strstr(p->error.text, p->s->text) == NULL)
        fail_msg("%s: %s", p->s->what, p->error.text);
    assert_null(strstr(p->error.text, "abc"));
}

/* The first n steps, all of which must go well but the last of the script. */
static int steps(play *p, size_t n) {
    int err = 0;

    assert_said(p, p->s->first);
    for (size_t i = 0; i < n && p->s->steps[i].in != NULL; i++) {
        if (err != 0)
            fail_msg("%s: %s too early", p->s->what, p->error.text);
        err = step_of(p, &p->s->steps[i]);
        assert_said(p, p->s->steps[i].out);
    }
    return err;
}

static void play_all(bool by_byte) {
    play p;

    for (size_t i = 0; i < SCRIPTS; i++) {
        assert_int_equal(start(&p, &scripts[i], NULL), 0);
        p.trickle = by_byte;
        assert_end(&p, steps(&p, SIZE_MAX));
        stop(&p);
    }
}

static void test_whole(void **state) {
    (void)state;
    play_all(false);
}

static void test_byte_by_byte(void **state) {
    (void)state;
    play_all(true);
}

static void test_what_was_learnt(void **state) {
    play p;

    (void)state;
    assert_int_equal(start(&p, find("good", true), NULL), 0);
    assert_int_equal(steps(&p, SIZE_MAX), 0);
    assert_true(p.hs.peer_flags == UINT64_C(0xd07df7fbd));
    assert_int_equal(p.hs.peer_creation, 0x6b02a5f9);
    assert_string_equal(p.hs.peer, "n25@127.0.0.1");
    stop(&p);
    assert_int_equal(start(&p, find("a name is given", true), NULL), 0);
    assert_int_equal(steps(&p, SIZE_MAX), 0);
    assert_string_equal(p.hs.name, "3PI9BG1OER6Y9@127.0.0.1");
    assert_int_equal(p.hs.creation, 0x5cd7dc4b);
    assert_true((p.hs.flags & CNODE_FLAG_PUBLISHED) == 0);
    stop(&p);
    assert_int_equal(start(&p, find("gives a name", false), NULL), 0);
    assert_int_equal(steps(&p, SIZE_MAX), 0);
    assert_string_equal(p.hs.peer, "X@127.0.0.1");
    assert_int_equal(p.hs.peer_creation, 99);
    assert_true((p.hs.peer_flags & CNODE_FLAG_PUBLISHED) == 0);
    stop(&p);
    assert_int_equal(start(&p, find("a name in the old form", false), NULL), 0);
    assert_int_equal(steps(&p, SIZE_MAX), 0);
    assert_string_equal(p.hs.peer, "vec@127.0.0.1");
    assert_int_equal(p.hs.peer_creation, 0x55);
    assert_true(p.hs.peer_flags == UINT64_C(0xd07df7fbc)); /* not NAME_ME */
    stop(&p);
    /* MANDATORY_25_DIGEST stands for the others. */
    assert_int_equal(
        start(&p, find("only the digest of the mandatory flags", true), NULL),
        0);
    assert_int_equal(steps(&p, SIZE_MAX), 0);
    assert_true(p.hs.peer_flags == (CNODE__MANDATORY | 1 << 26));
    stop(&p);
}

/* Each message of each script cut at each byte: an error that says what, or
 * only bytes that do not matter were lost; nothing is read behind the end. */
static void cut(const script *s, size_t at) {
    size_t n;
    uint8_t *m = message(s->steps[at].in, &n);
    play p;

    for (size_t len = 1; len < n - 2; len++) {
        uint8_t *body = malloc(len);
        int err;
        assert_non_null(body);
        memcpy(body, m + 2, len);
        assert_int_equal(start(&p, s, NULL), 0);
        assert_int_equal(steps(&p, at), 0);
        err = cnode__hs_message(&p.hs, body, len);
        assert_int_equal(p.error.code, err);
        assert_int_equal(p.error.text[0] != '\0', err != 0);
        stop(&p);
        free(body);
    }
    free(m);
}

static void test_cut(void **state) {
    (void)state;
    for (size_t i = 0; i < SCRIPTS; i++)
        for (size_t at = 0; scripts[i].steps[at].in != NULL; at++)
            cut(&scripts[i], at);
}

static int no_memory_scenario(fault_alloc *f, void *arg) {
    const script *s = arg;
    play p;
    int err = start(&p, s, &f->alloc);

    for (size_t i = 0; err == 0 && s->steps[i].in != NULL; i++) {
        err = step_of(&p, &s->steps[i]);
        cn__buf_free(&p.out); /* so that each message allocates */
    }
    if (f->failed) {
        assert_int_equal(err, CN_ENOMEM);
        assert_int_equal(p.error.code, CN_ENOMEM);
    }
    stop(&p);
    return f->failed ? err : 0;
}

static void test_no_memory(void **state) {
    (void)state;
    for (size_t i = 0; i < SCRIPTS; i++) {
        script s = scripts[i];
        run_with_every_failure(no_memory_scenario, &s);
    }
}

/* --- the end of the stream, silence -------------------------------------- */

static void test_ended(void **state) {
    static const struct {
        const char *script;
        bool initiator;
        size_t steps;
        int err;
        const char *waited;
    } rows[] = {
        {"good", true, 0, CN_ECLOSED, "its status"},
        {"good", true, 1, CN_ECLOSED, "its challenge"},
        {"good", true, 2, CN_ECOOKIE, "its challenge_ack"},
        {"good", false, 0, CN_ECLOSED, "its name"},
        {"good", false, 1, CN_ECLOSED, "its challenge_reply"},
        {"a name in the old form", false, 1, CN_ECLOSED,
         "the rest of its flags"},
        {"alive, true", false, 1, CN_ECLOSED, "its answer to status alive"},
    };
    play p;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const script *s = find(rows[i].script, rows[i].initiator);
        assert_int_equal(start(&p, s, NULL), 0);
        assert_int_equal(steps(&p, rows[i].steps), 0);
        assert_int_equal(cnode__hs_silent(&p.hs), CN_ETIMEDOUT);
        assert_non_null(strstr(p.error.text, rows[i].waited));
        assert_int_equal(cnode__hs_ended(&p.hs, 300, 100), rows[i].err);
        assert_non_null(strstr(p.error.text, rows[i].err == CN_ECOOKIE
                                                 ? "the cookie was rejected"
                                                 : rows[i].waited));
        assert_int_equal(strstr(p.error.text, "is it an Erlang node") != NULL,
                         i == 0);
        assert_int_equal(cnode__hs_ended(&p.hs, 7004, 7000), CN_ECLOSED);
        assert_non_null(strstr(p.error.text, rows[i].waited));
        assert_non_null(strstr(p.error.text, "gave up"));
        assert_non_null(strstr(p.error.text, "after 7004 ms"));
        stop(&p);
    }
}

/* --- lengths ------------------------------------------------------------- */

static void test_measure(void **state) {
    static const struct {
        const char *hex;
        int64_t measure;
    } rows[] = {
        {"", 0},
        {"00", 0},
        {"0000", CN_EPROTO}, /* the length alone */
        {"0801", CN_EPROTO},
        {"ffff", CN_EPROTO},
        {"0800", 0},
        {"0000 73", CN_EPROTO},
        {"0801 73", CN_EPROTO},
        {"ffff 73", CN_EPROTO},
        {"0800 73", 0},
        {"0001 73", 3},
        {"0001 73 ffff", 3},
        {"0003 73 6f", 0},
        {"0003 73 6f6b", 5},
        {"0003 74 6f6b", CN_EPROTO},
        {"0003 6e 6f6b", CN_EPROTO},
    };
    uint8_t bytes[16];
    play p;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = unhex(rows[i].hex, bytes, sizeof bytes);
        assert_int_equal(start(&p, find("good", true), NULL), 0);
        assert_int_equal(cnode__hs_measure(&p.hs, bytes, n), rows[i].measure);
        stop(&p);
    }
}

/* A message as long as it may be, filled with what is ignored. */
static void test_longest(void **state) {
    static uint8_t m[2 + CNODE__HS_MESSAGE_MAX];
    uint8_t *at = cn__put16(m, CNODE__HS_MESSAGE_MAX);
    play p;

    (void)state;
    (void)unhex(CHALLENGE, at, CNODE__HS_MESSAGE_MAX);
    assert_int_equal(start(&p, find("good", true), NULL), 0);
    assert_int_equal(steps(&p, 1), 0);
    assert_int_equal(take(&p, m, sizeof m), 0);
    assert_said(&p, REPLY);
    stop(&p);
}

/* --- names, cookies, digests --------------------------------------------- */

static const char *many(char c, size_t n) {
    static char text[512];

    memset(text, c, n);
    text[n] = '\0';
    return text;
}

static void test_names(void **state) {
    static const char *const good[] = {"a@b", "a@127.0.0.1", "a@::1", "~@!"};
    static const char *const bad[] = {
        "",      "@",     "a",       "a@",     "@b",         "a@b@c",   "a@@b",
        "a b@c", "a@b\n", "a@b\x7f", "\xe9@b", "a@\xc3\xa9", "\x1b[m@b"};
    char name[600];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(cnode__name_ok(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(cnode__name_ok(bad[i]));
    snprintf(name, sizeof name, "%s@b", many('a', 253));
    assert_true(cnode__name_ok(name));
    snprintf(name, sizeof name, "%s@b", many('a', 254));
    assert_false(cnode__name_ok(name));
}

static int try_config(cnode_conn_config c) {
    cn_error error = {0};
    cn_buf out;
    cnode__hs h;
    int err;

    cn__buf_init(&out, NULL);
    err = cnode__hs_init(&h, &c, &out, &error);
    cnode__hs_free(&h);
    cn__buf_free(&out);
    return err;
}

static void test_config(void **state) {
    cnode_conn_config a = {A_CONFIG}, b = {B_CONFIG}, c;

    (void)state;
    assert_int_equal(try_config(a), 0);
    assert_int_equal(try_config(b), 0);
#define REFUSED(from, field, value)                                            \
    do {                                                                       \
        c = (from);                                                            \
        c.field = (value);                                                     \
        assert_int_equal(try_config(c), CN_EBADARG);                           \
    } while (0)
    REFUSED(a, name, NULL);
    REFUSED(a, name, "py");
    REFUSED(a, name, many('a', 300));
    REFUSED(a, peer, NULL);
    REFUSED(a, peer, "n25");
    REFUSED(a, cookie, NULL);
    REFUSED(a, cookie, many('c', 256));
    REFUSED(b, name, NULL);
    REFUSED(b, name, "py@");
    a.dynamic_name = true;
    REFUSED(a, name, "py@127.0.0.1");
    REFUSED(a, name, "");
    REFUSED(a, name, "a b");
    a.name = "127.0.0.1";
    a.cookie = many('c', 255);
    assert_int_equal(try_config(a), 0);
#undef REFUSED
}

static void test_answer(void **state) {
    static const char *const cookies[] = {NULL, ""};
    const script *s = find("good", false);
    size_t n;
    uint8_t *m = message(V_NAME, &n);
    play p;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const char *cookie = i < 2 ? cookies[i] : many('c', 256);
        assert_int_equal(start(&p, s, NULL), 0);
        assert_int_equal(cnode__hs_answer(&p.hs, CNODE_ANSWER_OK, "abc", "", 0),
                         CN_EBUG);
        assert_int_equal(cnode__hs_message(&p.hs, m + 2, n - 2), 0);
        assert_int_equal(p.hs.state, HS_EXPECT_ANSWER);
        assert_int_equal(
            cnode__hs_answer(&p.hs, CNODE_ANSWER_OK, cookie, NULL, 0),
            i == 1 ? 0 : CN_EBADARG);
        stop(&p);
    }
    /* Who is refused needs no cookie. */
    assert_int_equal(start(&p, s, NULL), 0);
    assert_int_equal(cnode__hs_message(&p.hs, m + 2, n - 2), 0);
    assert_int_equal(
        cnode__hs_answer(&p.hs, CNODE_ANSWER_NOT_ALLOWED, NULL, NULL, 0),
        CN_ENOTALLOWED);
    assert_said(&p, "73 6e6f745f616c6c6f776564");
    stop(&p);
    free(m);
}

/* erlang:md5([Cookie, integer_to_list(Challenge)]) */
static void test_digest(void **state) {
    const struct {
        const char *cookie;
        uint32_t challenge;
        const char *hex;
    } rows[] = {
        {"abc", 0U, "577571be4de9dcce85a041ba0410f29f"},
        {"abc", 77U, "d07a28650fff793ea551a0c6696ce7db"},
        {"abc", 2147483648U, "770d862ab3623a660114b9c5e3e8d4ac"},
        {"abc", 4294967295U, "beec35cc2e8e170d9c45291c5c1eb475"},
        {"abc", 3617381276U, "724b39cca1e8700c14ea67823553563b"},
        {"", 7, "8f14e45fceea167a5a36dedd4bea2543"},
        {many('x', 255), 7, "2366c3051c216671e8529571ba69c20b"},

    };
    uint8_t out[CNODE__DIGEST], other[CNODE__DIGEST];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cnode__digest(rows[i].cookie, rows[i].challenge, out);
        assert_hex(out, sizeof out, rows[i].hex);
    }
    memcpy(other, out, sizeof out);
    assert_true(cnode__digest_eq(out, other));
    for (size_t bit = 0; bit < sizeof out * 8; bit++) {
        other[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(cnode__digest_eq(out, other));
        other[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    cnode__wipe(out, sizeof out);
    assert_hex(out, sizeof out, "00000000000000000000000000000000");
    cnode__wipe(NULL, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_what_was_learnt),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_ended),
        cmocka_unit_test(test_measure),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
