/* SPDX-License-Identifier: Apache-2.0
 *
 * handshake.h: the handshake in both roles (internal). We speak version 6, and
 * understand a peer that introduces itself in the form of version 5. Section
 * "Distribution Handshake".
 */
#ifndef CNODE_HANDSHAKE_H
#define CNODE_HANDSHAKE_H

#include "base/buf.h"
#include "base/error.h"
#include "cnode/conn.h"

enum {
    CNODE__NAME_MAX = 255,
    CNODE__COOKIE_MAX = 255,
    /* No handshake message is longer, with room for extra data that future
     * versions may append. */
    CNODE__HS_MESSAGE_MAX = 2048
};

/* Bits that no peer may lack, OTP 25's list. */
#define CNODE__MANDATORY UINT64_C(0x01070F94)

/* What is awaited. */
typedef enum cnode__hs_state {
    HS_EXPECT_STATUS, /* initiator */
    HS_EXPECT_CHALLENGE,
    HS_EXPECT_ACK,
    HS_EXPECT_NAME,   /* acceptor */
    HS_EXPECT_ANSWER, /* of the node that owns this connection */
    HS_EXPECT_STATUS_REPLY,
    HS_EXPECT_COMPLEMENT, /* only of a peer that said its name in the old form
                           */
    HS_EXPECT_REPLY,
    HS_DONE
} cnode__hs_state;

typedef struct cnode__hs {
    cnode__hs_state state;
    bool initiator;
    bool dynamic_name;
    bool takeover;
    bool heard; /* something came from the peer */
    bool old;   /* the peer said its name in the form of version 5 */
    uint64_t flags;
    uint32_t creation;
    uint32_t challenge;
    uint64_t peer_flags;
    uint32_t peer_creation;
    char name[CNODE__NAME_MAX + 1];
    char peer[CNODE__NAME_MAX + 1];
    char cookie[CNODE__COOKIE_MAX + 1];
    cn_error *error;
    cn_buf *out;
} cnode__hs;

/* CN_EBADARG: a name or cookie that cannot be. out and error are borrowed. */
int cnode__hs_init(cnode__hs *h, const cnode_conn_config *c, cn_buf *out,
                   cn_error *error);
/* Wipes the secrets. */
void cnode__hs_free(cnode__hs *h);

/* The length of the message at the front of p, with its length field: 0: not
 * complete yet; negative: it is none, *error says why. */
int64_t cnode__hs_measure(cnode__hs *h, const uint8_t *p, size_t n);
/* One message without its length field. 0, or what killed the connection. Look
 * at the state behind it: HS_EXPECT_ANSWER and HS_DONE are for the caller. */
int cnode__hs_message(cnode__hs *h, const uint8_t *p, size_t n);
int cnode__hs_answer(cnode__hs *h, cnode_answer a, const char *cookie,
                     const char *name, uint32_t creation);
/* The error for silence. */
int cnode__hs_silent(cnode__hs *h);
/* ... and for a stream that ended here, so many milliseconds after it began,
 * and after the last message of the peer. */
int cnode__hs_ended(cnode__hs *h, uint64_t since_begin, uint64_t since_last);

/* Is it name@host, both sides not empty, printable ASCII, one '@'? */
bool cnode__name_ok(const char *name);

#endif
