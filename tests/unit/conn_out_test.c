/* SPDX-License-Identifier: Apache-2.0
 *
 * conn_out_test.c: what a connection writes: the form of its frames.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cnode/conn_parts.h"
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

static int drain(cnode_conn *c) {
    size_t n;

    while (cnode_conn_output(c, &n) != NULL)
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
    const uint8_t *out = cnode_conn_output(c, &n);

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
