/* SPDX-License-Identifier: Apache-2.0
 *
 * conn_in_test.c: what a connection reads behind distribution headers: atoms
 * from the peer's cache, and messages in fragments. Recorded bytes and made
 * ones, whole, byte by byte and with every allocation failing; then what a
 * peer must not send, and what it must not make us keep.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cnode/conn_parts.h"
#include "cnode/control.h"
#include "tests/unit/support.h"

/* --- a connection and what it hears --------------------------------------- */

#define HANDSHAKE                                                              \
    "0003 736f6b"                                                              \
    "0020 4e 0000000d07df7fbd d79cdb9c 6b02a5f9 000d"                          \
    "6e3235403132372e302e302e31"                                               \
    "0011 61 e7b6321ac6e1cbc32686c7c1e783678c"

static const cnode_conn_config usual = {
    .initiator = true,
    .name = "py@127.0.0.1",
    .peer = "n25@127.0.0.1",
    .cookie = "abc",
    .creation = 0x12345678,
    .challenge = 1974820125,
    .flags = UINT64_C(0xd07df7fbc),
};

/* The same in each run. */
static uint64_t drawn;

static uint32_t draw(void) {
    drawn = drawn * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(drawn >> 33);
}

typedef struct ear {
    cnode_conn *c;
    int err; /* of the connection */
    bool in_place;
    const uint8_t *block; /* what is being fed */
    size_t block_len;
    size_t len;
    char log[16384];
} ear;

static void note(ear *e, const cnode_ctrl *ctrl) {
    const etf_view *terms[] = {&ctrl->term, &ctrl->token, &ctrl->opts};
    size_t room = sizeof e->log - e->len, n;

    e->len += cnode__ctrl_print(ctrl, e->log + e->len, room);
    for (size_t i = 0; i < 3; i++)
        if (terms[i]->len > 0)
            assert_int_equal(etf_check(NULL, NULL, *terms[i], NULL), 0);
    if (ctrl->term.len > 0) {
        e->log[e->len++] = ' ';
        room = sizeof e->log / 2 - e->len;
        n = etf_print(ctrl->term, e->log + e->len, room);
        e->len += n < room ? n : room - 1;
    }
    e->in_place = ctrl->term.data >= e->block &&
                  ctrl->term.data < e->block + e->block_len;
    e->len += (size_t)snprintf(e->log + e->len, 2, "\n");
    assert_true(e->len < sizeof e->log - 1000);
}

/* From a block of its own, so that nothing can look at it afterwards. */
static int feed(ear *e, const uint8_t *in, size_t n) {
    uint8_t *block = malloc(n == 0 ? 1 : n);
    cnode_event ev;
    int r;

    assert_non_null(block);
    if (n > 0)
        memcpy(block, in, n);
    e->block = block;
    e->block_len = n;
    r = cnode_conn_feed(e->c, block, n, 0);
    while (r >= 0 && (r = cnode_conn_next(e->c, &ev)) == 1)
        if (ev.type == CNODE_EV_SIGNAL)
            note(e, ev.ctrl);
    free(block);
    e->err = r;
    return r;
}

/* Bodies of frames in hex, separated by '/'; the lengths are put in front. */
static size_t frames_of(const char *text, uint8_t *out, size_t cap) {
    static char one[1 << 17];
    size_t len = 0;

    for (;;) {
        size_t n = strcspn(text, "/");
        assert_true(n < sizeof one);
        memcpy(one, text, n);
        one[n] = '\0';
        n = unhex(one, out + len + 4, cap - len - 4);
        (void)cn__put32(out + len, (uint32_t)n);
        len += n + 4;
        text += strcspn(text, "/");
        if (*text++ == '\0')
            return len;
    }
}

static int feed_in_steps(ear *e, const uint8_t *in, size_t n, size_t step) {
    int r = 0;

    for (size_t at = 0; at < n && r >= 0; at += step)
        r = feed(e, in + at, step < n - at ? step : n - at);
    return r;
}

static uint8_t bytes[1 << 20];

static int hear(ear *e, const char *frames, size_t step) {
    return feed_in_steps(e, bytes, frames_of(frames, bytes, sizeof bytes),
                         step);
}

static int start(ear *e, const cnode_conn_config *config) {
    static uint8_t hello[200];
    cn_slice v;
    int err;

    *e = (ear){0};
    err = cnode_conn_new(&e->c, config, 0);
    if (err != 0)
        return err;
    err = feed(e, hello, unhex(HANDSHAKE, hello, sizeof hello));
    while (err == 0 && cnode_conn_output(e->c, &v, 1) > 0)
        cnode_conn_wrote(e->c, v.len);
    return err;
}

static void assert_log(ear *e, const char *want) {
    if (strcmp(e->log, want) != 0)
        fail_msg("want:\n%sgot:\n%s", want, e->log);
    e->log[0] = '\0';
    e->len = 0;
}

/* --- scripts ---------------------------------------------------------------
 */

#define P1 "58 5200 00000055 00000000 6b02a5f9" /* with a header that has */
#define P2 "58 5201 00000002 00000000 12345678" /* both nodes in front */
#define REF1 "5a 0003 5200 6b02a5f9 0001adfa 27c40001 9b04df2e"
#define REF2 "5a 0003 5201 12345678 00000001 00000002 00000003"
#define LEARN                                                                  \
    "83 44 03 ef0f 41 0d 6e3235403132372e302e302e31"                           \
    "0d 0d 63746c403132372e302e302e31 97 05 68656c6c6f"                        \
    "6803 6116" P1 P2 "5202"
#define N25 "<n25@127.0.0.1.85.0>"
#define CTL "<ctl@127.0.0.1.2.0>"
#define WORDS "#Ref<n25@127.0.0.1.2600787758.667156481."
#define LEARNT "SEND_SENDER " N25 " " CTL " hello\n"

/* A message to a name, which needs no atoms. */
#define PLAIN_PID "58 7703614062 00000001 00000002 00000004"
#define CONTROL "6804 6106" PLAIN_PID "7700 770173"
#define HEARD "REG_SEND <a@b.1.2> s "
#define FIRST(id, number) "83 45 00000000000000" id " 00000000000000" number
#define NEXT(id, number) "83 46 00000000000000" id " 00000000000000" number

static const struct {
    const char *what, *frames, *log;
} scripts[] = {
    {"no atoms", "83 44 00 6803 6116" PLAIN_PID PLAIN_PID "770568656c6c6f",
     "SEND_SENDER <a@b.1.2> <a@b.1.2> hello\n"},
    {"ticks", "/ / 83 44 00" CONTROL "6101 / ", HEARD "1\n"},
    {"the vectors of a reference",
     "83 44 03 98 08  10 0d 63746c403132372e302e302e31 20 03 737276"
     "ff 05 68656c6c6f  6804 6106 58 5200 00000001 00000000 12345678 7700 5201"
     "6802 5202 5201 /"
     "83 44 03 10 00  10 20 ff  6804 6106 58 5200 00000001 00000000 12345678"
     "7700 5201 6802 5201 5202",
     "REG_SEND <ctl@127.0.0.1.1.0> srv {hello,srv}\n"
     "REG_SEND <ctl@127.0.0.1.1.0> srv {srv,hello}\n"},
    {"long atoms",
     "83 44 01 18 30 0003 616263" CONTROL "5200 /"
     "83 44 02 88 01 31 0002 c3a9 32 0001 62" CONTROL "6802 5200 5201",
     HEARD "abc\n" HEARD "{\xc3\xa9,b}\n"},
    {"recorded",
     LEARN
     "/ 83 44 02 6700 41 0d 6803 6101" P1 P2
     "/ 83 44 02 6700 41 0d 6804 6123 6101" P1 P2
     "/ 83 44 02 6700 41 0d 6804 6124 614d" P1 P2
     "/ 83 44 04 877e00 41 05 00 45 03 666f6f 97 6804 6106" P1 "5201 5202 5203"
     "/ 83 44 04 67ae00 41 0d 4e 02 6d79 25 06 726561736f6e"
     "6803 6118" P1 P2 "6802 5202 5203"
     "/ 83 44 02 6700 41 0d 6804 6113" P1 P2 REF1
     "/ 83 44 02 6700 41 0d 6804 6114" P1 P2 REF1
     "/ 83 44 03 6e0e 50 02 7732 0d 8a 03 627965 6804 611c 5200" P2 REF2 "5202",
     LEARNT "LINK " N25 " " CTL "\n"
            "UNLINK_ID 1 " N25 " " CTL "\n"
            "UNLINK_ID_ACK 77 " N25 " " CTL "\n"
            "REG_SEND " N25 " foo hello\n"
            "PAYLOAD_EXIT " N25 " " CTL " {my,reason}\n"
            "MONITOR_P " N25 " " CTL " " WORDS "110074>\n"
            "DEMONITOR_P " N25 " " CTL " " WORDS "110074>\n"
            "PAYLOAD_MONITOR_P_EXIT w2 " CTL " #Ref<ctl@127.0.0.1.3.2.1> "
            "bye\n"},
    {"recorded, the rest",
     LEARN "/ 83 44 03 6709 41 0d 5b 04 6b696c6c 6803 611a" P1 P2 "5202"
           "/ 83 44 02 6700 41 0d 6803 6107" P1 P2
           "/ 83 44 05 678a07 41 0d 30 02 6d79 31 05 6c6162656c 97"
           "6804 6117" P1 P2 "6805 6100 6802 5202 5203 6101" P1 "6100 5204"
           "/ 83 44 08 87a8a9f9 00 41 57 01 6d 58 01 66 ed 04 6c696e6b 9d"
           "07 6d6f6e69746f72 0b 08 7072696f72697479 34 04 68696768 33 01 61"
           "6806 611d 5a 0003 5200 6b02a5f9 0001ae00 27c40001 9b04df2e"
           "58 5200 00000055 00000000 6b02a5f9 58 5200 00000047 00000000"
           "6b02a5f9 6803 5201 5202 6102"
           "6c 00000003 5203 5204 6802 5205 5206 6a 6c 00000002 5207 6101 6a"
           "/ 83 44 03 670e 41 0d 68 09 7669615f616c696173"
           "6803 6121" P1 REF2 "5202",
     LEARNT "PAYLOAD_EXIT2 " N25 " " CTL " kill\n"
            "GROUP_LEADER " N25 " " CTL "\n"
            "SEND_SENDER_TT " N25 " " CTL " token "
            "{0,{my,label},1,#Pid<'n25@127.0.0.1'.85.0.1795335673>,0} hello\n"
            "SPAWN_REQUEST " WORDS "110080> " N25 " leader "
            "<n25@127.0.0.1.71.0> m:f/2 options "
            "[link,monitor,{priority,high}] [a,1]\n"
            "ALIAS_SEND " N25 " #Ref<ctl@127.0.0.1.3.2.1> via_alias\n"},
    /* The first of two new atoms in one slot is what came first. */
    {"a slot twice",
     "83 44 02 88 00 05 01 61 05 01 62" CONTROL "6802 5200 5201 /"
     "83 44 02 80 00 05 05 01 63" CONTROL "6802 5200 5201 /"
     "83 44 01 00 05" CONTROL "5200",
     HEARD "{a,b}\n" HEARD "{b,c}\n" HEARD "c\n"},
    {"the empty atom, the last slot",
     "83 44 02 f8 00 00 00 ff 01 61" CONTROL "6802 5200 5201 /"
     "83 44 01 07 ff" CONTROL "5200",
     HEARD "{'',a}\n" HEARD "a\n"},
    /* Only what is needed is rewritten; 82 in a binary is none. */
    {"both kinds of terms",
     "83 44 01 08 05 01 61" CONTROL "6d 00000002 5200 /"
     "83 44 01 00 05 6805 6110" PLAIN_PID "7700 5200 6a" CONTROL,
     HEARD "<<82,0>>\n"
           "REG_SEND_TT <a@b.1.2> a token [] {6,#Pid<a@b.1.2.4>,'',s}\n"},
    /* Control message only, a byte each, others between; the atom of the
     * first one is what it was. */
    {
        "fragments",
        "83 44 01 08 05 01 61" CONTROL "5200 /" FIRST(
            "05",
            "04") "01 00 05" CONTROL
                  "/" FIRST("09", "02") "00" CONTROL "6d 00000003 01 /" NEXT(
                      "05",
                      "03") "68 /"
                            "83 44 01 08 05 01 62" CONTROL
                            "5200 /" NEXT("05", "02") "01 / /" NEXT("09", "01") "02 03 /" NEXT(
                                "05",
                                "01") "52 00 /" FIRST("05",
                                                      "01") "01 00 05" CONTROL
                                                            "5200 /" FIRST(
                                                                "05",
                                                                "02") "0"
                                                                      "0" CONTROL
                                                                      "61 "
                                                                      "/" NEXT(
                                                                          "05",
                                                                          "01") "07",
        HEARD "a\n" HEARD "b\n" HEARD "<<1,2,3>>\n" HEARD "{a}\n" HEARD
              "b\n" HEARD "7\n"},
    {"fragments with nothing in them",
     FIRST("ff", "04") "00" CONTROL "/" NEXT("ff", "03") "/" NEXT(
         "ff", "02") "6101 /" NEXT("ff", "01"),
     HEARD "1\n"},
    /* The head of each is that of the one before, or nearly. */
    {"the same again",
     LEARN "/ 83 44 02 6700 41 0d 6803 6116" P1 P2 "6101 /"
           "83 44 02 6700 41 0d 6803 6116" P1 P2 "6d 00000002 5200 / /"
           "83 44 02 6700 41 0d 6803 6116" P1 P2 "6802 5200 6103 ff /"
           "83 44 02 6700 41 0d 6803 6116" P1 P2 "6d 00000000 / / /"
           "83 44 02 6700 41 0d 6803 6116" P2 P1 "6104 /"
           "83 44 02 6700 41 0d 6803 6116" P1 P2 "6105",
     LEARNT "SEND_SENDER " N25 " " CTL " 1\n"
            "SEND_SENDER " N25 " " CTL " <<82,0>>\n"
            "SEND_SENDER " N25 " " CTL " {'n25@127.0.0.1',3}\n"
            "SEND_SENDER " N25 " " CTL " <<>>\n"
            "SEND_SENDER " CTL " " N25 " 4\n"
            "SEND_SENDER " N25 " " CTL " 5\n"},
    {"the same again, but what it refers to",
     "83 44 01 08 05 01 61" CONTROL "5200 / 83 44 01 00 05" CONTROL "5200 /"
     "83 44 01 00 05" CONTROL "5200 / 83 44 01 08 05 01 62" CONTROL "6101 /"
     "83 44 01 00 05" CONTROL "5200 / 83 44 01 00 05" CONTROL "6801 5200 /"
     "83 44 01 08 05 01 61" CONTROL "5200 /"
     "83 44 01 08 05 01 61" CONTROL "5200",
     HEARD "a\n" HEARD "a\n" HEARD "a\n" HEARD "1\n" HEARD "b\n" HEARD
           "{b}\n" HEARD "a\n" HEARD "a\n"},
    {"the same again, to a name",
     "83 44 00" CONTROL "6101 / 83 44 00" CONTROL "6102 /"
     "83 44 00 6804 6106" PLAIN_PID "7700 770174 6103 /"
     "83 44 00 6804 6106" PLAIN_PID "7700 770174 6104 /"
     "83 44 01 08 05 01 75 6804 6106" PLAIN_PID "7700 5200 6105 /"
     "83 44 01 08 05 01 75 6804 6106" PLAIN_PID "7700 5200 6106 /"
     "83 44 00 6804 6106" PLAIN_PID "7700 640001e9 6107 /"
     "83 44 00 6804 6106" PLAIN_PID "7700 640001e9 6108",
     HEARD "1\n" HEARD "2\n"
           "REG_SEND <a@b.1.2> t 3\nREG_SEND <a@b.1.2> t 4\n"
           "REG_SEND <a@b.1.2> u 5\nREG_SEND <a@b.1.2> u 6\n"
           "REG_SEND <a@b.1.2> \xc3\xa9 7\nREG_SEND <a@b.1.2> \xc3\xa9 8\n"},
    {"the same again, with a token",
     "83 44 00 6805 6110" PLAIN_PID "7700 770173 6a 6101 /"
     "83 44 00 6805 6110" PLAIN_PID "7700 770173 6a 6102 /"
     "83 44 01 08 05 01 61 6805 6110" PLAIN_PID "7700 770173 5200 5200 /"
     "83 44 01 08 05 01 61 6805 6110" PLAIN_PID "7700 770173 5200 5200",
     "REG_SEND_TT <a@b.1.2> s token [] 1\n"
     "REG_SEND_TT <a@b.1.2> s token [] 2\n"
     "REG_SEND_TT <a@b.1.2> s token a a\n"
     "REG_SEND_TT <a@b.1.2> s token a a\n"},
    {"a fragment of what has no payload",
     FIRST("01", "02") "00 6803 6101" PLAIN_PID PLAIN_PID
                       "/" NEXT("01", "01") "00",
     "LINK <a@b.1.2> <a@b.1.2>\n"},
};

static void play(size_t step) {
    ear e;

    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        assert_int_equal(start(&e, &usual), 0);
        if (hear(&e, scripts[i].frames, step) < 0)
            fail_msg("%s: %s\n%s", scripts[i].what, cnode_conn_error(e.c)->text,
                     e.log);
        assert_log(&e, scripts[i].log);
        cnode_conn_free(e.c);
    }
}

static void test_whole(void **state) {
    (void)state;
    play(SIZE_MAX / 2);
}

static void test_in_steps(void **state) {
    (void)state;
    for (size_t step = 1; step < 90; step += step < 9 ? 1 : 20)
        play(step);
}

static int scenario(fault_alloc *f, void *arg) {
    cnode_conn_config config = usual;
    ear e;
    int err;

    config.alloc = f->alloc;
    err = start(&e, &config);
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts && err == 0; i++)
        err = hear(&e, scripts[i].frames, *(size_t *)arg);
    assert_int_equal(err, f->failed ? CN_ENOMEM : 0);
    cnode_conn_free(e.c);
    return err;
}

static void test_no_memory(void **state) {
    size_t steps[] = {7, SIZE_MAX / 2};

    (void)state;
    run_with_every_failure(scenario, &steps[0]);
    run_with_every_failure(scenario, &steps[1]);
}

/* --- what ends a connection ------------------------------------------------
 */

#define X50                                                                    \
    "78787878787878787878787878787878787878787878787878"                       \
    "78787878787878787878787878787878787878787878787878"
#define X250 X50 X50 X50 X50 X50

static const struct {
    const char *frames, *text;
} bad[] = {
    {"70 83 6801 6105", "starts with 112, 131, want 131 and 68, 69 or 70"},
    {"83", "starts with 131, 0,"},
    {"84 44 00" CONTROL "6101", "starts with 132, 68"},
    {"83 43 00" CONTROL "6101", "starts with 131, 67"},
    {"83 47 00" CONTROL "6101", "starts with 131, 71"},
    {"83 50 00000000", "starts with 131, 80"}, /* compressed */
    /* the header */
    {"83 44", "header is longer than its frame"},
    {"83 44 01", "header is longer than its frame"},
    {"83 44 02 00", "header is longer than its frame"},
    {"83 44 01 00", "header is longer than its frame"},
    {"83 44 01 08 00", "header is longer than its frame"},
    {"83 44 01 08 00 02 61", "header is longer than its frame"},
    {"83 44 01 18 00 01", "header is longer than its frame"},
    {"83 44 ff" X50, "header is longer than its frame"},
    {"83 44 01 00 05" CONTROL "5200",
     "atom 1 of the distribution header is in slot 5 of the atom cache, which "
     "is empty"},
    {"83 44 02 f8 00 05 01 61 ff 01 62" CONTROL "6101 /"
     "83 44 02 70 00 05 fe" CONTROL "6101",
     "atom 2 of the distribution header is in slot 2046"},
    {"83 44 02 88 00 05 01 61 06 01 62" CONTROL "6101 /"
     "83 44 02 10 00 05 06" CONTROL "6101",
     "atom 2 of the distribution header is in slot 262"},
    {"83 44 01 08 05 01 ff" CONTROL "6101", "atom 1 of the distribution header "
                                            "is not UTF-8 or has more than"},
    {"83 44 01 18 05 0100" X250 "787878787878" CONTROL "6101",
     "more than 255 characters"},
    {"83 44 01 18 05 0400" X250, "header is longer than its frame"},
    /* the terms */
    {"83 44 00", "not a tuple"},
    {"83 44 00 83" CONTROL "6101", "not a tuple"},
    {"83 44 00" CONTROL "83 6101", "payload"},
    {"83 44 00" CONTROL, "payload (the data ends too early"},
    {"83 44 01 08 05 01 61" CONTROL, "payload (the data ends too early"},
    {"83 44 00" CONTROL "5200", "malformed or missing payload"},
    {"83 44 01 08 05 01 61" CONTROL "5201", "malformed or missing payload"},
    {"83 44 01 08 05 01 61" CONTROL "6802 5200 52", "payload"},
    {"83 44 01 08 05 01 61" CONTROL "50 00000002 789c", "payload"},
    {"83 44 01 08 05 01 61 6804 6106" PLAIN_PID "7700 5201 6101",
     "malformed control message"},
    {"83 44 01 08 05 01 61 5200", "not a tuple"},
    {"83 44 01 08 05 01 61 6801 5200", "not a tuple"},
    {"83 44 00 6801 6163", "unknown control message, number 99"},
    /* behind one that is right */
    {"83 44 00" CONTROL "6101 / 83 44 00" CONTROL, "payload"},
    {"83 44 00" CONTROL "6101 / 83 44 00" CONTROL "6d 00000002 01", "payload"},
    {"83 44 00" CONTROL "6101 / 83 44 00" CONTROL "6d 000000", "payload"},
    {"83 44 00" CONTROL "6101 / 83 44 00" CONTROL "6802 6101", "payload"},
    {"83 44 00" CONTROL "6101 / 83 44 00" CONTROL "5200", "payload"},
    {"83 44 00" CONTROL "6101 / 83 44 00" CONTROL "6d ffffffff 01", "payload"},
    /* fragments */
    {"83 45", "without sequence or number"},
    {"83 46 0000000000000001 00000000000000", "without sequence or number"},
    {FIRST("00", "02") "00" CONTROL "61", "without sequence or number"},
    {FIRST("01", "00") "00" CONTROL "61", "without sequence or number"},
    {NEXT("01", "00"), "without sequence or number"},
    {NEXT("07", "01") "6101",
     "fragment 1 of sequence 7, of which there was no first one"},
    {FIRST("07", "03"), "header is longer than its frame"},
    {FIRST("07", "03") "01 00 05" CONTROL, "which is empty"},
    {FIRST("07", "03") "00", "first fragment has no whole control message"},
    {FIRST("07", "03") "00 6804 6106" PLAIN_PID "7700 7701",
     "first fragment has no whole control message (the data ends too early"},
    {FIRST("07", "03") "00" CONTROL "/" NEXT("07", "01") "6101",
     "fragment 1 of sequence 7, want 2"},
    {FIRST("07", "03") "00" CONTROL "/" NEXT("07", "03") "6101",
     "fragment 3 of sequence 7, want 2"},
    {FIRST("07", "03") "00" CONTROL
                       "/" NEXT("07", "02") "61 /" NEXT("07", "02") "01",
     "fragment 2 of sequence 7, want 1"},
    {FIRST("07", "03") "00" CONTROL "/" NEXT("08", "02"),
     "fragment 2 of sequence 8, of which"},
    {FIRST("07", "02") "00" CONTROL
                       "/" NEXT("07", "01") "6101 /" NEXT("07", "01") "6101",
     "fragment 1 of sequence 7, of which"},
    {FIRST("07", "02") "00" CONTROL "/" FIRST("07", "02") "00" CONTROL,
     "sequence 7, begins while one of that number is unfinished"},
    {FIRST("07", "02") "00" CONTROL "/" FIRST("07", "01") "00" CONTROL "6101",
     "sequence 7, begins while one of that number is unfinished"},
    {FIRST("07", "02") "00" CONTROL "/" NEXT("07", "01"),
     "malformed or missing payload"},
    {FIRST("07", "02") "00 6801 6163 /" NEXT("07", "01"), "number 99"},
};

static void test_bad(void **state) {
    ear e;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof bad / sizeof *bad; i++) {
        const char *text = bad[i / 2].text;
        assert_int_equal(start(&e, &usual), 0);
        if (hear(&e, bad[i / 2].frames, i % 2 ? 1 : SIZE_MAX / 2) != CN_EPROTO)
            fail_msg("%s: taken: %s", bad[i / 2].frames, e.log);
        if (strstr(cnode_conn_error(e.c)->text, text) == NULL)
            fail_msg("%s:\n%s", bad[i / 2].frames, cnode_conn_error(e.c)->text);
        assert_int_equal(feed(&e, bytes, 1), CN_EPROTO);
        cnode_conn_free(e.c);
    }
}

/* Without a part of its end no message is one, nor runs past its frame. */
static void test_cut(void **state) {
    static uint8_t frame[4096];
    ear e;

    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        size_t n = frames_of(scripts[i].frames, frame, sizeof frame);
        size_t first = cn__be32(frame);
        if (first == 0 || frame[5] != 68)
            continue;
        assert_true(first + 4 <= n);
        for (size_t cut = 1; cut < first; cut++) {
            assert_int_equal(start(&e, &usual), 0);
            (void)cn__put32(frame, (uint32_t)cut);
            assert_int_equal(feed(&e, frame, cut + 4), CN_EPROTO);
            assert_string_equal(e.log, "");
            cnode_conn_free(e.c);
        }
    }
}

/* What was not agreed on is not taken. */
static void test_other_flags(void **state) {
    static const struct {
        uint64_t without;
        const char *frames, *text;
    } rows[] = {
        {CNODE_FLAG_FRAGMENTS, FIRST("01", "01") "00" CONTROL "6101",
         "starts with 131, 69, want 131 and 68"},
        {CNODE_FLAG_FRAGMENTS, NEXT("01", "01"),
         "starts with 131, 70, want 131 and 68"},
        {CNODE_FLAG_FRAGMENTS, "70 83 6801 6105", "starts with 112, 131"},
        {CNODE_FLAG_DIST_HDR_ATOM_CACHE, "70 83 6801 6105",
         "starts with 112, 131"},
        {CNODE_FLAG_FRAGMENTS | CNODE_FLAG_DIST_HDR_ATOM_CACHE,
         "83 44 00 6801 6105", "starts with 131, want 112"},
    };
    ear e;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cnode_conn_config config = usual;
        config.flags &= ~rows[i].without;
        assert_int_equal(start(&e, &config), 0);
        assert_int_equal(hear(&e, rows[i].frames, 1000), CN_EPROTO);
        assert_non_null(strstr(cnode_conn_error(e.c)->text, rows[i].text));
        cnode_conn_free(e.c);
    }
}

/* --- limits ----------------------------------------------------------------
 */

static void hears(const cnode_conn_config *config, const char *frames,
                  const char *limit) {
    ear e;
    int err;

    assert_int_equal(start(&e, config), 0);
    err = hear(&e, frames, 50);
    assert_int_equal(err, limit == NULL ? 0 : CN_ELIMIT);
    if (limit != NULL && strstr(cnode_conn_error(e.c)->text, limit) == NULL)
        fail_msg("%s", cnode_conn_error(e.c)->text);
    cnode_conn_free(e.c);
}

static void test_limits(void **state) {
    cnode_conn_config config = usual;

    (void)state;
    config.max_frame = 310;
    hears(&config,
          FIRST("07", "02") "00" CONTROL "6d 00000064" X50 "/" NEXT("07", "01")
              X50,
          NULL);
    hears(&config,
          FIRST("07", "03") "00" CONTROL "6d 00000196" X250 "/" NEXT("07", "02")
              X50,
          "a message of 332 bytes and more is over the limit of "
          "310");
    /* Each of the little terms is an atom of 250 characters. */
    hears(&config, "83 44 01 08 05 fa" X250 CONTROL "5200", NULL);
    hears(&config, "83 44 01 08 05 fa" X250 CONTROL "6802 5200 5200",
          "over the limit of 310 bytes: too long with its atoms in place");
    config.max_frame = 0;
    config.max_sequences = 2;
    hears(&config,
          FIRST("07", "02") "00" CONTROL
                            "/" FIRST("08", "02") "00" CONTROL "/" NEXT(
                                "08", "01") "6101 /" FIRST("09",
                                                           "02") "00" CONTROL,
          NULL);
    hears(&config,
          FIRST("07", "02") "00" CONTROL "/" FIRST(
              "08", "02") "00" CONTROL "/" FIRST("09", "02") "00" CONTROL,
          "more messages came only in part so far than the limit of 2");
    config.max_sequences = 0;
    config.max_partial = 1000;
    hears(&config,
          FIRST("07", "ff") "00" CONTROL X250 X250 "/" NEXT("07", "fe") X250,
          NULL);
    hears(&config,
          FIRST("07", "ff") "00" CONTROL X250 X250 "/" NEXT("07", "fe")
              X250 X250,
          "take more than the limit of 1000 bytes");
    /* Atoms count too. */
    hears(&config,
          FIRST("07", "02") "01 08 05 fa" X250 CONTROL
                            "/" FIRST("08", "02") "01 08 05 fa" X250 CONTROL,
          NULL);
    hears(&config,
          FIRST("07", "02") "01 08 05 fa" X250 CONTROL "/" FIRST(
              "08", "02") "01 08 05 fa" X250 CONTROL
                          "/" FIRST("09", "02") "01 08 05 fa" X250 CONTROL,
          "take more than the limit of 1000 bytes");
}

/* A header with n new atoms of len characters, from this slot on. */
static size_t make_frame(uint8_t *out, size_t n, size_t len, unsigned slot,
                         char c) {
    uint8_t *p = out + 4, *flags;

    p = cn__put8(cn__put8(cn__put8(p, 131), 68), (uint8_t)n);
    flags = p;
    memset(p, 0, n / 2 + 1);
    p += n / 2 + 1;
    for (size_t i = 0; i < n; i++, slot++) {
        flags[i / 2] |= (uint8_t)((8 | slot >> 8) << (i % 2 * 4));
        p = cn__put8(cn__put8(p, (uint8_t)slot), (uint8_t)len);
        memset(p, c, len);
        p += len;
    }
    p += unhex("6801 6105", p, 100); /* which is known, and does nothing */
    (void)cn__put32(out, (uint32_t)(p - out - 4));
    return (size_t)(p - out);
}

/* Whatever is announced, there are 2048 slots, and an atom that is replaced is
 * gone. */
static void test_cache_is_bounded(void **state) {
    static uint8_t frame[1 << 17];
    cnode_conn_config config = usual;
    fault_alloc f;
    size_t full = 0;
    ear e;

    (void)state;
    fault_init(&f, 0);
    config.alloc = f.alloc;
    assert_int_equal(start(&e, &config), 0);
    for (int round = 0; round < 40; round++)
        for (unsigned slot = 0; slot < 2048; slot += 128) {
            size_t n =
                make_frame(frame, 128, 255, slot, (char)('a' + round % 26));
            assert_int_equal(feed(&e, frame, n), 0);
            e.len = 0;
            if (round == 1 && slot == 0)
                full = f.live;
        }
    assert_true(full > (size_t)2048 * 255 && full < 700000);
    assert_true(f.live <= full);
    cnode_conn_free(e.c);
    assert_int_equal(f.live, 0);
}

/* --- memory and copies -----------------------------------------------------
 */

static void test_in_place(void **state) {
    ear e;

    (void)state;
    assert_int_equal(start(&e, &usual), 0);
    assert_int_equal(hear(&e, "83 44 00" CONTROL "6d 00000001 01", 1000), 0);
    assert_true(e.in_place);
    /* 82 as a byte of a binary is no reason to copy it. */
    assert_int_equal(
        hear(&e, "83 44 01 08 05 01 61" CONTROL "6d 00000002 5200", 1000), 0);
    assert_true(e.in_place);
    assert_int_equal(hear(&e, FIRST("07", "01") "00" CONTROL "6101", 1000), 0);
    assert_true(e.in_place);
    assert_int_equal(hear(&e, "83 44 01 00 05" CONTROL "5200", 1000), 0);
    assert_false(e.in_place);
    assert_int_equal(hear(&e, "83 44 00" CONTROL "6d 00000001 01", 20), 0);
    assert_false(e.in_place); /* it came in two parts */
    cnode_conn_free(e.c);
}

/* Many messages in one feed; what follows the one that is cut off counts. */
static void test_rest_of_a_feed(void **state) {
    ear e;
    size_t n;

    (void)state;
    for (size_t cut = 1; cut < 60; cut++) {
        assert_int_equal(start(&e, &usual), 0);
        n = frames_of("83 44 00" CONTROL "6101 / 83 44 00" CONTROL "6102 /"
                      "83 44 00" CONTROL "6103 / / 83 44 00" CONTROL "6104",
                      bytes, sizeof bytes);
        assert_int_equal(feed(&e, bytes, cut), 0);
        assert_int_equal(feed(&e, bytes + cut, n - cut), 0);
        assert_log(&e, HEARD "1\n" HEARD "2\n" HEARD "3\n" HEARD "4\n");
        assert_int_equal(cnode_conn_eof(e.c, 0), CN_ECLOSED);
        assert_string_equal(cnode_conn_error(e.c)->text,
                            "the peer closed the connection");
        cnode_conn_free(e.c);
    }
}

/* Fed again before all was taken: nothing is lost. */
static void test_fed_twice(void **state) {
    static uint8_t more[100];
    cnode_event ev;
    size_t n, m;
    ear e;

    (void)state;
    assert_int_equal(start(&e, &usual), 0);
    n = frames_of("83 44 00" CONTROL "6101 / 83 44 00" CONTROL "6102", bytes,
                  sizeof bytes);
    m = frames_of("83 44 00" CONTROL "6103", more, sizeof more);
    assert_int_equal(cnode_conn_feed(e.c, bytes, n, 0), 0);
    assert_int_equal(cnode_conn_next(e.c, &ev), 1);
    note(&e, ev.ctrl);
    assert_int_equal(cnode_conn_feed(e.c, more, 10, 0), 0);
    assert_int_equal(cnode_conn_feed(e.c, more + 10, m - 10, 0), 0);
    memset(bytes, 0, n);
    memset(more, 0, 10);
    while (cnode_conn_next(e.c, &ev) == 1)
        note(&e, ev.ctrl);
    assert_log(&e, HEARD "1\n" HEARD "2\n" HEARD "3\n");
    cnode_conn_free(e.c);
}

/* Rows of messages that are alike, and others between them: what is heard does
 * not depend on whether one was seen beside the last. */
static void test_rows(void **state) {
    static const char *const messages[] = {
        "",
        "83 44 00" CONTROL "6101",
        "83 44 00" CONTROL "6802 6101 6102",
        "83 44 01 08 05 01 61" CONTROL "5200",
        "83 44 01 08 05 01 62" CONTROL "5200",
        "83 44 01 00 05" CONTROL "6802 5200 6101",
        "83 44 01 00 05" CONTROL "6d 00000003 010203",
        "83 44 02 80 00 05 05 01 62" CONTROL "6802 5200 5201",
        "83 44 01 00 05 6804 6106" PLAIN_PID "7700 5200 6101",
        "83 44 00 6803 6116" PLAIN_PID PLAIN_PID "6101",
        "83 44 00 6803 6101" PLAIN_PID PLAIN_PID,
        "83 44 00 6805 6110" PLAIN_PID "7700 770173 6a 6102",
        FIRST("07", "02") "01 00 05" CONTROL "/" NEXT("07", "01") "5200",
        FIRST("07", "01") "01 00 05" CONTROL "5200",
    };
    static uint8_t all[1 << 16];
    ear whole, parts;
    size_t kind = 0;

    (void)state;
    drawn = 7;
    for (int round = 0; round < 300; round++) {
        size_t n = frames_of("83 44 01 08 05 01 63" CONTROL "5200", all, 100);
        for (int k = 0; k < 60; k++) {
            if (draw() % 3 == 0)
                kind = draw() % (sizeof messages / sizeof *messages);
            n += frames_of(messages[kind], all + n, sizeof all - n);
        }
        assert_int_equal(start(&whole, &usual), 0);
        assert_int_equal(start(&parts, &usual), 0);
        assert_int_equal(feed(&whole, all, n), 0);
        assert_int_equal(feed_in_steps(&parts, all, n, 1), 0);
        assert_log(&whole, parts.log);
        cnode_conn_free(whole.c);
        cnode_conn_free(parts.c);
    }
}

static void test_no_allocation_per_message(void **state) {
    static const char *const messages[] = {
        "83 44 00" CONTROL "6101",
        "83 44 01 00 05" CONTROL "6802 5200 6101",
        "83 44 01 08 05 01 61" CONTROL "5200", /* announced again */
        FIRST("07", "02") "01 00 05" CONTROL "/" NEXT("07", "01") "5200",
    };
    cnode_conn_config config = usual;
    fault_alloc f;
    ear e;

    (void)state;
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        size_t most = i == 3 ? 200 : 0; /* a sequence and its atoms */
        fault_init(&f, 0);
        config.alloc = f.alloc;
        assert_int_equal(start(&e, &config), 0);
        assert_int_equal(hear(&e, messages[2], 1000), 0);
        assert_int_equal(hear(&e, messages[i], 1000), 0);
        f.calls = 0;
        for (int k = 0; k < 100; k++) {
            assert_int_equal(hear(&e, messages[i], 1000), 0);
            e.len = 0;
        }
        assert_true(f.calls <= most);
        cnode_conn_free(e.c);
    }
}

/* When nothing but ticks came for an interval, what was needed to read is
 * given back. */
static void test_rest(void **state) {
    cnode_conn_config config = usual;
    fault_alloc f;
    size_t before;
    ear e;

    (void)state;
    fault_init(&f, 0);
    config.alloc = f.alloc;
    assert_int_equal(start(&e, &config), 0);
    assert_int_equal(cnode_conn_timeout(e.c, 15000), 0);
    assert_int_equal(cnode_conn_timeout(e.c, 30000), 0);
    before = f.live;
    assert_int_equal(hear(&e,
                          "83 44 00" CONTROL
                          "6101 /" FIRST("07", "02") "00" CONTROL "/" NEXT(
                              "07", "01") "6101",
                          9),
                     0);
    assert_true(f.live > before + 1000);
    assert_int_equal(cnode_conn_timeout(e.c, 45000), 0);
    assert_true(f.live > before + 1000);
    assert_int_equal(hear(&e, "", 1), 0);
    assert_int_equal(cnode_conn_timeout(e.c, 60000), 0);
    assert_true(f.live < before + 600); /* the table of sequences */
    assert_int_equal(hear(&e, "83 44 00" CONTROL "6102", 9), 0);
    assert_log(&e, HEARD "1\n" HEARD "1\n" HEARD "2\n");
    cnode_conn_free(e.c);
    assert_int_equal(f.live, 0);
}

/* A large one, as the BEAM cuts it, between small ones. */
static void test_large_in_fragments(void **state) {
    enum { PART = 65536, PARTS = 300, ROOM = PART + 200 };
    static uint8_t frame[ROOM];
    cnode_conn_config config = usual;
    fault_alloc f;
    ear e;

    (void)state;
    fault_init(&f, 0);
    config.alloc = f.alloc;
    assert_int_equal(start(&e, &config), 0);
    for (uint64_t id = PARTS; id > 0; id--) {
        uint8_t *p = frame + 4;
        p = cn__put8(cn__put8(p, 131), id == PARTS ? 69 : 70);
        p = cn__put64(cn__put64(p, 0x0000053000000a63), id);
        if (id == PARTS) {
            p += unhex("00" CONTROL "6d", p, 100);
            p = cn__put32(p, PARTS * PART);
        }
        memset(p, 7, PART);
        p += PART;
        (void)cn__put32(frame, (uint32_t)(p - frame - 4));
        assert_int_equal(feed(&e, frame, (size_t)(p - frame)), 0);
        assert_int_equal(hear(&e, "83 44 00" CONTROL "6101", 1000), 0);
        assert_true(f.live < (size_t)PARTS * PART * 2 + 10000);
        assert_int_equal(strncmp(e.log, id == 1 ? HEARD "<<7,7" : HEARD "1\n",
                                 strlen(HEARD) + 2),
                         0);
        e.len = 0;
    }
    assert_true(f.live < 300000);
    cnode_conn_free(e.c);
}

/* --- large ones, read to where they belong ---------------------------------
 */

typedef struct stream {
    uint8_t *data;
    size_t len;
    size_t cap;
    size_t messages;
} stream;

static uint8_t *room_at_end(stream *s, size_t n) {
    if (s->cap - s->len < n) {
        s->cap = s->cap * 2 + n;
        s->data = realloc(s->data, s->cap);
        assert_non_null(s->data);
    }
    s->len += n;
    return s->data + s->len - n;
}

/* A frame of a head in hex and n bytes. */
static void add_frame(stream *s, const char *head, size_t n) {
    uint8_t text[200];
    size_t len = unhex(head, text, sizeof text);
    uint8_t *p = room_at_end(s, 4 + len + n);

    p = cn__put32(p, (uint32_t)(len + n));
    p = cn__put_bytes(p, text, len);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)draw();
}

static void add_part(stream *s, unsigned kind, unsigned id, unsigned number,
                     const char *head, size_t n) {
    char text[200];

    (void)snprintf(text, sizeof text, "83 %02x %016x %016x %s", kind, id,
                   number, head);
    add_frame(s, text, n);
}

/* Sometimes as the BEAM cuts them, sometimes otherwise. */
static size_t part_size(void) {
    static const size_t sizes[] = {65536, 65536, 65536, 1, 20000, 200000};
    return sizes[draw() % 6];
}

static void add_between(stream *s) {
    switch (draw() % 8) {
    case 0:
        add_frame(s, "", 0);
        break;
    case 1:
        add_frame(s, "83 44 01 08 05 01 62" CONTROL "5200", 0);
        s->messages++;
        break;
    case 2:
        add_frame(s, "83 44 00" CONTROL "6d 00030d40", 200000);
        s->messages++;
        break;
    default:
        break;
    }
}

/* Two sequences go on in turn; each part but the last is of one size. */
static void add_large(stream *s) {
    unsigned parts[2] = {1U + draw() % 6, 1U + draw() % 6};
    unsigned left[2] = {parts[0], draw() % 3 == 0 ? parts[1] : 0};
    size_t size[2] = {part_size(), part_size()};

    while (left[0] + left[1] > 0) {
        unsigned i = left[0] == 0 || (left[1] > 0 && draw() % 2 == 0);
        bool first = left[i] == parts[i];
        size_t last = size[i] / 3 + 1, n = left[i] == 1 ? last : size[i];
        char head[100];
        (void)snprintf(head, sizeof head, "01 08 05 01 61" CONTROL "6d %08zx",
                       (parts[i] - 1) * size[i] + last);
        add_part(s, first ? 69 : 70, i + 5, left[i], first ? head : "", n);
        left[i]--;
        s->messages += left[i] == 0;
        add_between(s);
    }
}

typedef struct sum {
    uint64_t hash;
    size_t n; /* signals */
} sum;

static void add_sum(sum *s, const cnode_ctrl *ctrl) {
    if (ctrl->term.len > 0)
        assert_int_equal(etf_check(NULL, NULL, ctrl->term, NULL), 0);
    for (size_t i = 0; i < ctrl->term.len; i++)
        s->hash = (s->hash ^ ctrl->term.data[i]) * 1099511628211U;
    s->n++;
}

static int pull(cnode_conn *c, sum *s) {
    cnode_event ev;
    int r;

    while ((r = cnode_conn_next(c, &ev)) == 1)
        if (ev.type == CNODE_EV_SIGNAL)
            add_sum(s, ev.ctrl);
    return r;
}

enum way { FED, FED_OURS, TO_ROOMS };

/* The next n bytes, or less of them; how many. */
static size_t give(cnode_conn *c, enum way way, const uint8_t *in, size_t n,
                   sum *s, int *r) {
    size_t room = 0, more = SIZE_MAX;
    uint8_t *p = way == TO_ROOMS ? cnode__conn_room(c, &room, &more) : NULL;

    assert_true(p == NULL ? room == 0 && more > 0 : room > 0);
    if (p != NULL) {
        n = n < room ? n : room;
        memcpy(p, in, n);
        cnode__conn_filled(c, p, n, 0);
        *r = pull(c, s);
        return n;
    }
    n = n < more ? n : more;
    p = malloc(n > 0 ? n : 1);
    assert_non_null(p);
    memcpy(p, in, n);
    *r =
        way == FED ? cnode_conn_feed(c, p, n, 0) : cnode__conn_feed(c, p, n, 0);
    if (*r == 0)
        *r = pull(c, s);
    memset(p, 0xaa, n);
    free(p);
    return n;
}

static int take_stream(const cnode_conn_config *config, const stream *s,
                       enum way way, size_t piece, sum *out) {
    size_t at = 0;
    ear e;
    int r = start(&e, config);

    *out = (sum){0};
    while (r == 0 && at < s->len) {
        size_t n = piece == 0 ? 1 + draw() % 100000 : piece;
        n = n < s->len - at ? n : s->len - at;
        at += give(e.c, way, s->data + at, n, out, &r);
    }
    if (r == 0) {
        cnode_conn_stats st;
        cnode_conn_get_stats(e.c, &st);
        assert_true(st.bytes_in > s->len && st.signals_in == s->messages);
        assert_int_equal(cnode_conn_eof(e.c, 0), CN_ECLOSED);
        assert_null(strstr(cnode_conn_error(e.c)->text, "inside"));
    }
    cnode_conn_free(e.c);
    return r;
}

/* Where even the smallest frames are large. */
static void test_small_as_large(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts * 12; i++) {
        size_t n = frames_of(scripts[i / 12].frames, bytes, sizeof bytes);
        size_t step = i % 4 == 3 ? n : 1 + i % 4 * 17, at = 0;
        sum want = {0}, got = {0};
        ear e;
        int r = 0;
        assert_int_equal(start(&e, &usual), 0);
        assert_int_equal(cnode_conn_feed(e.c, bytes, n, 0), 0);
        assert_int_equal(pull(e.c, &want), 0);
        cnode_conn_free(e.c);
        assert_int_equal(start(&e, &usual), 0);
        e.c->large = i % 2 ? 23 : 5;
        while (at < n) {
            at += give(e.c, (enum way)(i / 4 % 3), bytes + at,
                       step < n - at ? step : n - at, &got, &r);
            assert_int_equal(r, 0);
        }
        assert_true(got.n == want.n && got.hash == want.hash);
        cnode_conn_free(e.c);
    }
}

/* However the bytes come, and whoever owns them. */
static void test_large_ways(void **state) {
    static const size_t pieces[] = {SIZE_MAX, 0, 0, 4096, 65536, 262144};

    (void)state;
    drawn = 11;
    for (int round = 0; round < 6; round++) {
        stream s = {0};
        sum want, got;
        for (int k = 0; k < 8; k++)
            add_large(&s);
        assert_int_equal(take_stream(&usual, &s, FED, SIZE_MAX, &want), 0);
        assert_int_equal(want.n, s.messages);
        for (size_t i = 0; i < 18; i++) {
            enum way way = (enum way)(i % 3);
            assert_int_equal(take_stream(&usual, &s, way, pieces[i / 3], &got),
                             0);
            assert_int_equal(got.n, want.n);
            assert_true(got.hash == want.hash);
        }
        free(s.data);
    }
}

/* Of large messages in a row, as the BEAM cuts them, hardly more is copied than
 * their heads, but of the first, which nothing lets expect. */
static void test_large_in_place(void **state) {
    size_t at = 0, placed = 0, messages = 20, parts = 16, size = 65536;
    stream s = {0};
    sum got = {0};
    char head[100];
    ear e;

    (void)state;
    (void)snprintf(head, sizeof head, "01 08 05 01 61" CONTROL "6d %08zx",
                   parts * size + 10);
    for (size_t i = 0; i < messages; i++)
        for (size_t k = parts + 1; k > 0; k--)
            add_part(&s, k > parts ? 69 : 70, 5, (unsigned)k,
                     k > parts ? head : "", k == 1 ? 10 : size);
    assert_int_equal(start(&e, &usual), 0);
    while (at < s.len) {
        size_t room = 0, more = SIZE_MAX, n = 256UL * 1024;
        uint8_t *p = cnode__conn_room(e.c, &room, &more);
        room = room < s.len - at ? room : s.len - at;
        n = more < n ? more : n;
        n = n < s.len - at - room ? n : s.len - at - room;
        if (room > 0) {
            memcpy(p, s.data + at, room);
            cnode__conn_filled(e.c, p, room, 0);
            assert_int_equal(pull(e.c, &got), 0);
        }
        placed += room;
        assert_int_equal(cnode__conn_feed(e.c, s.data + at + room, n, 0), 0);
        assert_int_equal(pull(e.c, &got), 0);
        at += room + n;
    }
    assert_int_equal(got.n, messages);
    assert_true(placed > (s.len - 4 * size) / 100 * 90);
    cnode_conn_free(e.c);
    free(s.data);
}

typedef struct large_case {
    stream s;
    enum way way;
    size_t piece;
} large_case;

static int large_scenario(fault_alloc *f, void *arg) {
    const large_case *k = arg;
    cnode_conn_config config = usual;
    sum got;
    int err;

    config.alloc = f->alloc;
    err = take_stream(&config, &k->s, k->way, k->piece, &got);
    /* Where there is no room, there may be some when the bytes have come. */
    assert_true(err == 0 || (f->failed && err == CN_ENOMEM));
    assert_int_equal(f->live, 0);
    return err;
}

static void test_large_no_memory(void **state) {
    large_case k = {0};

    (void)state;
    drawn = 3;
    for (int i = 0; i < 2; i++)
        add_large(&k.s);
    for (int i = 0; i < 6; i++) {
        k.way = (enum way)(i % 3);
        k.piece = i < 3 ? 50000 : SIZE_MAX;
        run_with_every_failure(large_scenario, &k);
    }
    free(k.s.data);
}

/* A frame of 100 MB begins and goes on for 3 MB; head: its first bytes. What
 * the peer says of lengths makes no more room than it has earned. */
static void assert_bounded(const stream *head) {
    static const uint8_t zeros[1000];
    cnode_conn_config config = usual;
    fault_alloc f;
    sum got = {0};
    ear e;
    int r = 0;

    fault_init(&f, 0);
    config.alloc = f.alloc;
    assert_int_equal(start(&e, &config), 0);
    for (size_t at = 0; at < head->len && r == 0;)
        at += give(e.c, TO_ROOMS, head->data + at, head->len - at, &got, &r);
    for (size_t sent = 0; sent < 3000000 && r == 0;) {
        sent += give(e.c, TO_ROOMS, zeros, sizeof zeros, &got, &r);
        assert_true(f.live < 2 * sent + 700000);
    }
    assert_int_equal(r, 0);
    assert_int_equal(cnode_conn_eof(e.c, 0), CN_ECLOSED);
    assert_non_null(strstr(cnode_conn_error(e.c)->text, "inside a message"));
    cnode_conn_free(e.c);
}

static void test_room_is_bounded(void **state) {
    stream s = {0};

    (void)state;
    add_frame(&s, "83 44 00", 0);
    (void)cn__put32(s.data, 100000000);
    assert_bounded(&s);
    s.len = 0;
    add_part(&s, 69, 5, 1000, "00" CONTROL "6d 7fffffff", 100);
    add_part(&s, 70, 5, 999, "", 0);
    (void)cn__put32(s.data + s.len - 22, 100000000);
    assert_bounded(&s);
    free(s.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_in_steps),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_other_flags),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_cache_is_bounded),
        cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_rest_of_a_feed),
        cmocka_unit_test(test_fed_twice),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_no_allocation_per_message),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_large_in_fragments),
        cmocka_unit_test(test_small_as_large),
        cmocka_unit_test(test_large_ways),
        cmocka_unit_test(test_large_in_place),
        cmocka_unit_test(test_large_no_memory),
        cmocka_unit_test(test_room_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
