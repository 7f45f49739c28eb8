/* SPDX-License-Identifier: Apache-2.0
 *
 * handshake.c: who are you, and do you know the cookie?
 *
 *      initiator A                          acceptor B
 *      N name, flags, creation   ------->
 *                                <-------   s status
 *     (s true/false              ------->   only after status alive)
 *                                <-------   N challenge, flags, creation, name
 *     (c flags, creation         ------->   only after n instead of N)
 *      r challenge, digest       ------->
 *                                <-------   a digest
 *
 * Each message has two bytes of length in front. The states are named for
 * what they wait for; each has a function of its own. A wrong cookie is never
 * said on the wire: the one who finds it closes.
 *
 * OTP 23 and 24 may begin with n, the form of version 5, when they do not know
 * which version the other speaks. It has only half of the flags and no
 * creation; c has the rest.
 */
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "cnode/digest.h"
#include "cnode/handshake.h"

/* Milliseconds: a peer that closes sooner does so for what it was told; and
 * about when, after the connection was made, the first lose patience. */
enum { AT_ONCE = 1000, PATIENCE = 5000 };

/* --- names --------------------------------------------------------------- */

/* ASCII: OTP sends other characters as latin-1 here and as UTF-8 in pids. */
static bool printable(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i] <= ' ' || p[i] >= 127)
            return false;
    return n > 0;
}

bool cnode__name_ok(const char *name) {
    const char *at = strchr(name, '@');
    size_t n = strlen(name);

    return at != NULL && at != name && at[1] != '\0' &&
           strchr(at + 1, '@') == NULL && n <= CNODE__NAME_MAX &&
           printable((const uint8_t *)name, n);
}

static bool host_ok(const char *host) {
    size_t n = strlen(host);

    return n <= CNODE__NAME_MAX && strchr(host, '@') == NULL &&
           printable((const uint8_t *)host, n);
}

static bool copy_text(char *to, size_t max, const char *from) {
    size_t n = strlen(from);

    if (n > max)
        return false;
    memcpy(to, from, n + 1);
    return true;
}

/* A name from the wire; empty when it cannot be one. */
static void keep_name(char to[CNODE__NAME_MAX + 1], const uint8_t *p,
                      size_t n) {
    to[0] = '\0';
    if (p == NULL || n > CNODE__NAME_MAX || !printable(p, n))
        return;
    memcpy(to, p, n);
    to[n] = '\0';
}

/* --- sending ------------------------------------------------------------- */

static int send_message(cnode__hs *h, const uint8_t *body, size_t n) {
    uint8_t *p = cn__buf_reserve(h->out, n + 2);

    if (p == NULL)
        return cn__fail(h->error, CN_ENOMEM, 0, "out of memory");
    cn__put_bytes(cn__put16(p, (uint16_t)n), body, n);
    cn__buf_commit(h->out, n + 2);
    return 0;
}

static int send_name(cnode__hs *h) {
    uint8_t m[1 + 8 + 4 + 2 + CNODE__NAME_MAX];
    size_t n = strlen(h->name);
    uint8_t *p = cn__put8(m, 'N');

    p = cn__put64(p, h->flags);
    p = cn__put32(p, h->creation);
    p = cn__put16(p, (uint16_t)n);
    p = cn__put_bytes(p, h->name, n);
    return send_message(h, m, (size_t)(p - m));
}

static int send_status(cnode__hs *h, const char *status) {
    uint8_t m[32];
    size_t n = strlen(status);

    (void)cn__put_bytes(cn__put8(m, 's'), status, n);
    return send_message(h, m, n + 1);
}

static int send_named(cnode__hs *h) {
    uint8_t m[7 + 2 + CNODE__NAME_MAX + 4];
    size_t n = strlen(h->peer);
    uint8_t *p = cn__put_bytes(m, "snamed:", 7);

    p = cn__put16(p, (uint16_t)n);
    p = cn__put_bytes(p, h->peer, n);
    p = cn__put32(p, h->peer_creation);
    return send_message(h, m, (size_t)(p - m));
}

static int send_challenge(cnode__hs *h) {
    uint8_t m[1 + 8 + 4 + 4 + 2 + CNODE__NAME_MAX];
    size_t n = strlen(h->name);
    uint8_t *p = cn__put8(m, 'N');

    p = cn__put64(p, h->flags);
    p = cn__put32(p, h->challenge);
    p = cn__put32(p, h->creation);
    p = cn__put16(p, (uint16_t)n);
    p = cn__put_bytes(p, h->name, n);
    h->state = h->old ? HS_EXPECT_COMPLEMENT : HS_EXPECT_REPLY;
    return send_message(h, m, (size_t)(p - m));
}

static int send_reply(cnode__hs *h, uint32_t peer_challenge) {
    uint8_t m[1 + 4 + CNODE__DIGEST];

    cnode__digest(h->cookie, peer_challenge, m + 5);
    (void)cn__put32(cn__put8(m, 'r'), h->challenge);
    h->state = HS_EXPECT_ACK;
    return send_message(h, m, sizeof m);
}

static int send_ack(cnode__hs *h, uint32_t peer_challenge) {
    uint8_t m[1 + CNODE__DIGEST];

    cnode__digest(h->cookie, peer_challenge, m + 1);
    (void)cn__put8(m, 'a');
    h->state = HS_DONE;
    return send_message(h, m, sizeof m);
}

/* --- checks -------------------------------------------------------------- */

static int malformed(cnode__hs *h, const char *what) {
    return cn__fail(h->error, CN_EPROTO, 0, "handshake: malformed %s", what);
}

static uint64_t expand_flags(uint64_t flags) {
    return flags & CNODE_FLAG_MANDATORY_25_DIGEST ? flags | CNODE__MANDATORY
                                                  : flags;
}

static int check_flags(cnode__hs *h) {
    uint64_t missing = CNODE__MANDATORY & ~h->peer_flags;
    char names[160];

    if (missing == 0)
        return 0;
    (void)cnode_flags_print(missing, names, sizeof names);
    return cn__fail(h->error, CN_EFLAGS, 0,
                    "handshake: the peer lacks mandatory flags: %s", names);
}

static int check_digest(cnode__hs *h, const uint8_t *theirs) {
    uint8_t ours[CNODE__DIGEST];
    bool same;

    cnode__digest(h->cookie, h->challenge, ours);
    same = cnode__digest_eq(ours, theirs);
    cnode__wipe(ours, sizeof ours);
    return same ? 0
                : cn__fail(h->error, CN_ECOOKIE, 0,
                           "handshake: the peer has another cookie");
}

/* --- initiator ----------------------------------------------------------- */

static int got_named(cnode__hs *h, cn_cursor *c) {
    char host[CNODE__NAME_MAX + 1];
    uint16_t n = cn__take16(c);
    const uint8_t *p = cn__take(c, n);
    char given[CNODE__NAME_MAX + 1];

    h->creation = cn__take32(c);
    if (c->bad || !h->dynamic_name)
        return malformed(h, "status named:");
    memcpy(host, h->name, sizeof host);
    keep_name(given, p, n);
    if (!cnode__name_ok(given) || strcmp(strchr(given, '@') + 1, host) != 0)
        return malformed(h, "name given by the peer");
    memcpy(h->name, given, sizeof given);
    h->state = HS_EXPECT_CHALLENGE;
    return 0;
}

static int got_alive(cnode__hs *h) {
    int err;

    if (h->takeover) {
        h->state = HS_EXPECT_CHALLENGE;
        return send_status(h, "true");
    }
    err = send_status(h, "false");
    return err != 0 ? err
                    : cn__fail(h->error, CN_EEXIST, 0,
                               "handshake: a node named %s is connected there "
                               "already",
                               h->name);
}

static bool left_is(const cn_cursor *c, const char *text) {
    return c->left == strlen(text) && memcmp(c->p, text, c->left) == 0;
}

static int got_status(cnode__hs *h, cn_cursor *c) {
    if (c->left >= 6 && memcmp(c->p, "named:", 6) == 0) {
        (void)cn__take(c, 6);
        return got_named(h, c);
    }
    if (left_is(c, "ok") || left_is(c, "ok_simultaneous")) {
        if (h->dynamic_name)
            return cn__fail(h->error, CN_ENOTSUP, 0,
                            "handshake: the peer does not give out names");
        h->state = HS_EXPECT_CHALLENGE;
        return 0;
    }
    if (left_is(c, "alive"))
        return got_alive(h);
    if (left_is(c, "nok"))
        return cn__fail(h->error, CN_ECANCELED, 0,
                        "handshake: the peer is connecting here itself");
    if (left_is(c, "not_allowed"))
        return cn__fail(h->error, CN_ENOTALLOWED, 0,
                        "handshake: the peer does not allow the node %s",
                        h->name);
    return malformed(h, "status");
}

static int got_challenge(cnode__hs *h, cn_cursor *c) {
    uint64_t flags = cn__take64(c);
    uint32_t challenge = cn__take32(c);
    uint32_t creation = cn__take32(c);
    uint16_t n = cn__take16(c);
    const uint8_t *name = cn__take(c, n);
    char text[CNODE__NAME_MAX + 1];
    int err;

    if (c->bad)
        return malformed(h, "challenge");
    keep_name(text, name, n);
    if (strcmp(text, h->peer) != 0)
        return cn__fail(h->error, CN_EPROTO, 0,
                        "handshake: it says that its name is '%.80s'", text);
    h->peer_flags = expand_flags(flags);
    h->peer_creation = creation;
    err = check_flags(h);
    return err != 0 ? err : send_reply(h, challenge);
}

static int got_ack(cnode__hs *h, cn_cursor *c) {
    const uint8_t *digest = cn__take(c, CNODE__DIGEST);
    int err;

    if (digest == NULL || c->left > 0)
        return malformed(h, "challenge_ack");
    err = check_digest(h, digest);
    if (err == 0)
        h->state = HS_DONE;
    return err;
}

/* --- acceptor ------------------------------------------------------------ */

/* Its name and flags are known. */
static int judge_flags(cnode__hs *h) {
    int unsent, err = check_flags(h);

    if (err == 0) {
        h->state = HS_EXPECT_ANSWER;
        return 0;
    }
    unsent = send_status(h, "not_allowed");
    return unsent != 0 ? unsent : err;
}

static int got_old_name(cnode__hs *h, cn_cursor *c) {
    uint16_t version = cn__take16(c);
    uint32_t flags = cn__take32(c);

    if (c->bad)
        return malformed(h, "send_name");
    keep_name(h->peer, c->p, c->left);
    if (!cnode__name_ok(h->peer))
        return malformed(h, "name of the peer");
    h->old = true;
    h->peer_flags = expand_flags(flags);
    if (version != 5 || (h->peer_flags & CNODE_FLAG_HANDSHAKE_23) == 0)
        return cn__fail(h->error, CN_EVERSION, 0,
                        "handshake: %s speaks only version %u of the "
                        "distribution protocol; version 6 (OTP 23 and later) "
                        "is needed",
                        h->peer, (unsigned)version);
    return judge_flags(h);
}

static int got_name(cnode__hs *h, cn_cursor *c) {
    uint64_t flags = cn__take64(c);
    uint32_t creation = cn__take32(c);
    uint16_t n = cn__take16(c);
    const uint8_t *name = cn__take(c, n);
    bool wants_name = (flags & CNODE_FLAG_NAME_ME) != 0;

    if (c->bad)
        return malformed(h, "send_name");
    keep_name(h->peer, name, n);
    if (wants_name ? !host_ok(h->peer) : !cnode__name_ok(h->peer))
        return malformed(h, "name of the peer");
    h->dynamic_name = wants_name;
    h->peer_flags = expand_flags(flags);
    if (wants_name)
        h->peer_flags &= ~CNODE_FLAG_PUBLISHED;
    h->peer_creation = creation;
    return judge_flags(h);
}

/* The flags above 31, and the creation. */
static int got_complement(cnode__hs *h, cn_cursor *c) {
    uint64_t high = cn__take32(c);
    uint32_t creation = cn__take32(c);

    if (c->bad)
        return malformed(h, "complement");
    h->peer_flags |= high << 32 & ~CNODE_FLAG_NAME_ME;
    h->peer_creation = creation;
    h->state = HS_EXPECT_REPLY;
    return 0;
}

static int refuse(cnode__hs *h, const char *status, int code,
                  const char *text) {
    int err = send_status(h, status);

    return err != 0 ? err : cn__fail(h->error, code, 0, "%s", text);
}

static int accept_with(cnode__hs *h, const char *status) {
    int err = send_status(h, status);
    return err != 0 ? err : send_challenge(h);
}

static int ask_if_alive(cnode__hs *h) {
    h->state = HS_EXPECT_STATUS_REPLY;
    return send_status(h, "alive");
}

static int accept_named(cnode__hs *h, const char *name, uint32_t creation) {
    int err;

    if (!h->dynamic_name || name == NULL || !cnode__name_ok(name))
        return cn__fail(h->error, CN_EBADARG, 0, "no name for the peer");
    (void)copy_text(h->peer, CNODE__NAME_MAX, name);
    h->peer_creation = creation;
    /* Both sides know now that this is a hidden node with a given name. */
    h->flags = (h->flags & ~CNODE_FLAG_PUBLISHED) | CNODE_FLAG_NAME_ME;
    err = send_named(h);
    return err != 0 ? err : send_challenge(h);
}

int cnode__hs_answer(cnode__hs *h, cnode_answer a, const char *cookie,
                     const char *name, uint32_t creation) {
    if (h->state != HS_EXPECT_ANSWER)
        return CN_EBUG;
    if (a == CNODE_ANSWER_NOK)
        return refuse(h, "nok", CN_ECANCELED,
                      "handshake: this node is connecting there itself");
    if (a == CNODE_ANSWER_NOT_ALLOWED)
        return refuse(h, "not_allowed", CN_ENOTALLOWED,
                      "handshake: the peer is not allowed here");
    if (cookie == NULL || !copy_text(h->cookie, CNODE__COOKIE_MAX, cookie))
        return cn__fail(h->error, CN_EBADARG, 0, "no cookie for %s", h->peer);
    if (a == CNODE_ANSWER_NAMED)
        return accept_named(h, name, creation);
    if (h->dynamic_name)
        return cn__fail(h->error, CN_EBADARG, 0, "the peer wants a name");
    if (a == CNODE_ANSWER_ALIVE)
        return ask_if_alive(h);
    return accept_with(h, a == CNODE_ANSWER_OK_SIMULTANEOUS ? "ok_simultaneous"
                                                            : "ok");
}

static int got_status_reply(cnode__hs *h, cn_cursor *c) {
    if (left_is(c, "true"))
        return send_challenge(h);
    if (left_is(c, "false"))
        return cn__fail(h->error, CN_ECANCELED, 0,
                        "handshake: the peer keeps its other connection");
    return malformed(h, "status reply");
}

static int got_reply(cnode__hs *h, cn_cursor *c) {
    uint32_t challenge = cn__take32(c);
    const uint8_t *digest = cn__take(c, CNODE__DIGEST);
    int err;

    if (digest == NULL || c->left > 0)
        return malformed(h, "challenge_reply");
    err = check_digest(h, digest);
    return err != 0 ? err : send_ack(h, challenge);
}

/* --- the table ----------------------------------------------------------- */

static char expected_tag(cnode__hs_state s) {
    switch (s) {
    case HS_EXPECT_STATUS:
    case HS_EXPECT_STATUS_REPLY:
        return 's';
    case HS_EXPECT_CHALLENGE:
    case HS_EXPECT_NAME:
        return 'N';
    case HS_EXPECT_ACK:
        return 'a';
    case HS_EXPECT_COMPLEMENT:
        return 'c';
    case HS_EXPECT_REPLY:
        return 'r';
    case HS_EXPECT_ANSWER:
    case HS_DONE:
    default:
        return '\0';
    }
}

static const char *awaited(cnode__hs_state s) {
    switch (s) {
    case HS_EXPECT_STATUS:
        return "its status";
    case HS_EXPECT_CHALLENGE:
        return "its challenge";
    case HS_EXPECT_ACK:
        return "its challenge_ack";
    case HS_EXPECT_NAME:
        return "its name";
    case HS_EXPECT_STATUS_REPLY:
        return "its answer to status alive";
    case HS_EXPECT_COMPLEMENT:
        return "the rest of its flags";
    case HS_EXPECT_REPLY:
        return "its challenge_reply";
    case HS_EXPECT_ANSWER:
    case HS_DONE:
    default:
        return "an answer";
    }
}

static int unexpected(cnode__hs *h) {
    if (h->state == HS_EXPECT_STATUS || h->state == HS_EXPECT_NAME)
        return cn__fail(h->error, CN_EPROTO, 0,
                        "handshake: this is not the distribution protocol");
    return cn__fail(h->error, CN_EPROTO, 0,
                    "handshake: something else came, waited for %s",
                    awaited(h->state));
}

int64_t cnode__hs_measure(cnode__hs *h, const uint8_t *p, size_t n) {
    size_t len;

    if (n < 2)
        return 0;
    h->heard = true;
    len = cn__be16(p);
    /* Length and tag are looked at at once, so that some other service is
     * found out by its first bytes and not by a timeout. */
    if (len == 0 || len > CNODE__HS_MESSAGE_MAX)
        return unexpected(h);
    if (n > 2 && p[2] != (uint8_t)expected_tag(h->state) &&
        !(h->state == HS_EXPECT_NAME && p[2] == 'n'))
        return unexpected(h);
    return n < len + 2 ? 0 : (int64_t)len + 2;
}

int cnode__hs_message(cnode__hs *h, const uint8_t *p, size_t n) {
    cn_cursor c = cn__cursor(p, n);
    uint8_t tag = cn__take8(&c);

    switch (h->state) {
    case HS_EXPECT_STATUS:
        return got_status(h, &c);
    case HS_EXPECT_CHALLENGE:
        return got_challenge(h, &c);
    case HS_EXPECT_ACK:
        return got_ack(h, &c);
    case HS_EXPECT_NAME:
        return tag == 'n' ? got_old_name(h, &c) : got_name(h, &c);
    case HS_EXPECT_STATUS_REPLY:
        return got_status_reply(h, &c);
    case HS_EXPECT_COMPLEMENT:
        return got_complement(h, &c);
    case HS_EXPECT_REPLY:
        return got_reply(h, &c);
    case HS_EXPECT_ANSWER:
    case HS_DONE:
    default:
        return CN_EBUG;
    }
}

int cnode__hs_silent(cnode__hs *h) {
    return cn__fail(h->error, CN_ETIMEDOUT, 0,
                    "handshake: no answer, waited for %s", awaited(h->state));
}

/* Whoever rejects a cookie closes when it reads our answer to its challenge;
 * whoever gives up does so some seconds after the connection was made, 7 unless
 * it was told otherwise. Both only close. */
int cnode__hs_ended(cnode__hs *h, uint64_t since_begin, uint64_t since_last) {
    bool at_once = since_last < AT_ONCE && since_begin < PATIENCE;

    if (h->state == HS_EXPECT_ACK && at_once)
        return cn__fail(h->error, CN_ECOOKIE, 0,
                        "handshake: the cookie was rejected by the peer: it "
                        "closed the connection at our answer to its challenge");
    if (!at_once)
        return cn__fail(h->error, CN_ECLOSED, 0,
                        "handshake: the peer gave up: it closed the connection "
                        "after %" PRIu64 " ms, waited for %s",
                        since_begin, awaited(h->state));
    return cn__fail(h->error, CN_ECLOSED, 0,
                    "handshake: the peer closed the connection, waited for "
                    "%s%s",
                    awaited(h->state),
                    h->heard || !h->initiator ? ""
                                              : " (is it an Erlang node?)");
}

static int init_initiator(cnode__hs *h, const cnode_conn_config *c) {
    if (c->peer == NULL || !cnode__name_ok(c->peer) || c->cookie == NULL ||
        !copy_text(h->cookie, CNODE__COOKIE_MAX, c->cookie))
        return CN_EBADARG;
    (void)copy_text(h->peer, CNODE__NAME_MAX, c->peer);
    if (c->dynamic_name) {
        if (!host_ok(h->name))
            return CN_EBADARG;
        h->flags = (h->flags & ~CNODE_FLAG_PUBLISHED) | CNODE_FLAG_NAME_ME;
        h->creation = 0;
    }
    return send_name(h);
}

int cnode__hs_init(cnode__hs *h, const cnode_conn_config *c, cn_buf *out,
                   cn_error *error) {
    *h = (cnode__hs){
        .state = c->initiator ? HS_EXPECT_STATUS : HS_EXPECT_NAME,
        .initiator = c->initiator,
        .dynamic_name = c->initiator && c->dynamic_name,
        .takeover = c->takeover,
        .flags = c->flags,
        .creation = c->creation,
        .challenge = c->challenge,
        .error = error,
        .out = out,
    };
    if (c->name == NULL || !copy_text(h->name, CNODE__NAME_MAX, c->name) ||
        (!h->dynamic_name && !cnode__name_ok(c->name)))
        return CN_EBADARG;
    return c->initiator ? init_initiator(h, c) : 0;
}

void cnode__hs_free(cnode__hs *h) {
    cnode__wipe(h->cookie, sizeof h->cookie);
}
