/* SPDX-License-Identifier: Apache-2.0
 *
 * control.h: control messages, from one table (internal). Section "Protocol
 * between Connected Nodes".
 *
 * A row: name, number, kind of signal, layout, payload.
 * The layout has a letter for each element of the tuple behind the number:
 *
 *   -  unused, the atom ''         f  pid it comes from
 *   t  pid it goes to              T  pid or registered name it goes to
 *   F  pid or name it comes from   n  registered name
 *   r  reference                   i  unlink id or spawn flags
 *   k  trace token                 x  reason, inside the tuple
 *   g  group leader                m  {Module, Function, Arity}
 *   o  option list                 v  pid or atom (spawn result)
 *   *  anything: the flags of ALTACT_SIG_SEND, which say what its last
 *      elements are
 */
#ifndef CNODE_CONTROL_H
#define CNODE_CONTROL_H

#include <string.h>

#include "cnode/conn.h"

#define CTRL_MAP(X)                                                            \
    X(LINK, 1, LINK, "ft", false)                                              \
    X(SEND, 2, SEND, "-t", true)                                               \
    X(EXIT, 3, EXIT, "ftx", false)                                             \
    X(UNLINK, 4, OTHER, "ft", false)                                           \
    X(NODE_LINK, 5, OTHER, "", false)                                          \
    X(REG_SEND, 6, REG_SEND, "f-n", true)                                      \
    X(GROUP_LEADER, 7, GROUP_LEADER, "ft", false)                              \
    X(EXIT2, 8, EXIT2, "ftx", false)                                           \
    X(SEND_TT, 12, SEND, "-tk", true)                                          \
    X(EXIT_TT, 13, EXIT, "ftkx", false)                                        \
    X(REG_SEND_TT, 16, REG_SEND, "f-nk", true)                                 \
    X(EXIT2_TT, 18, EXIT2, "ftkx", false)                                      \
    X(MONITOR_P, 19, MONITOR, "fTr", false)                                    \
    X(DEMONITOR_P, 20, DEMONITOR, "fTr", false)                                \
    X(MONITOR_P_EXIT, 21, DOWN, "Ftrx", false)                                 \
    X(SEND_SENDER, 22, SEND, "ft", true)                                       \
    X(SEND_SENDER_TT, 23, SEND, "ftk", true)                                   \
    X(PAYLOAD_EXIT, 24, EXIT, "ft", true)                                      \
    X(PAYLOAD_EXIT_TT, 25, EXIT, "ftk", true)                                  \
    X(PAYLOAD_EXIT2, 26, EXIT2, "ft", true)                                    \
    X(PAYLOAD_EXIT2_TT, 27, EXIT2, "ftk", true)                                \
    X(PAYLOAD_MONITOR_P_EXIT, 28, DOWN, "Ftr", true)                           \
    X(SPAWN_REQUEST, 29, SPAWN_REQUEST, "rfgmo", true)                         \
    X(SPAWN_REQUEST_TT, 30, SPAWN_REQUEST, "rfgmok", true)                     \
    X(SPAWN_REPLY, 31, SPAWN_REPLY, "rtiv", false)                             \
    X(SPAWN_REPLY_TT, 32, SPAWN_REPLY, "rtivk", false)                         \
    X(ALIAS_SEND, 33, ALIAS_SEND, "fr", true)                                  \
    X(ALIAS_SEND_TT, 34, ALIAS_SEND, "frk", true)                              \
    X(UNLINK_ID, 35, UNLINK, "ift", false)                                     \
    X(UNLINK_ID_ACK, 36, UNLINK_ACK, "ift", false)                             \
    X(ALTACT_SIG_SEND, 37, OTHER, "*ft", true)

enum cnode__op {
#define CTRL_OP(name, op, sig, layout, payload) CNODE__OP_##name = (op),
    CTRL_MAP(CTRL_OP)
#undef CTRL_OP
};

/* Flags of ALTACT_SIG_SEND. */
enum {
    CNODE__ALTACT_PRIORITY = 1,
    CNODE__ALTACT_TOKEN = 2,
    CNODE__ALTACT_ALIAS = 4,
    CNODE__ALTACT_NAME = 8,
    CNODE__ALTACT_EXIT = 16
};

/* A signal with nothing in it; much cheaper than zeroing all of the struct. */
void cnode__ctrl_clear(cnode_ctrl *c, cnode_signal signal);

/* The same as *to = *from, without what is behind the names. */
void cnode__ctrl_copy(cnode_ctrl *to, const cnode_ctrl *from);

/* "SEND_SENDER", or NULL for a number the protocol does not have. */
const char *cnode__op_name(uint64_t op);

/* Takes one message apart: the control tuple, with what follows it as the
 * payload, each with or without a version byte as `versions` says. The
 * payload is checked to its end. r is used to read and must live as long as
 * the views of c. CN_EPROTO with *why (static text) on
 * anything that is not such a message; CN_ENOTSUP with the number in c->id
 * when it is unknown. Elements behind a tuple that has no payload, and bytes
 * behind the payload, are ignored, as every release does. */
int cnode__ctrl_get(cnode_ctrl *c, etf_reader *r, etf_view frame, bool versions,
                    const char **why);

/* The same in two steps. First the tuple, at which r stands, and which may
 * refer to the atoms of r; *payload: there is to be one behind it. */
int cnode__ctrl_get_tuple(cnode_ctrl *c, etf_reader *r, bool *payload,
                          const char **why);
/* Then the payload, if there is one, which is all that r has left. Terms that
 * refer to the atoms of r are rewritten, into w, which is reset: c has none
 * that needs the table. CN_ELIMIT when they would take more than max bytes;
 * CN_ENOMEM. */
int cnode__ctrl_get_rest(cnode_ctrl *c, etf_reader *r, bool payload,
                         etf_writer *w, size_t max, const char **why);

/* Writes the tuple and the payload in the form for a peer with these flags.
 * CN_ENOTSUP, or what the writer latched. c->op is set to the number. */
int cnode__ctrl_put(etf_writer *w, cnode_ctrl *c, uint64_t flags,
                    bool versions);

/* The tuple alone, with its number in *op; *payload: one belongs behind it. */
int cnode__ctrl_put_tuple(etf_writer *w, const cnode_ctrl *c, uint64_t flags,
                          bool versions, uint8_t *op, bool *payload);

/* A pid without the room behind the name of its node, unless it is none. */
static inline void cnode__copy_pid(etf_pid *to, const etf_pid *from) {
    if (from->node_len > ETF_NODE_MAX) {
        *to = *from;
        return;
    }
    to->id = from->id;
    to->serial = from->serial;
    to->creation = from->creation;
    to->node_len = from->node_len;
    memcpy(to->node, from->node, (size_t)from->node_len + 1);
}

/* One line without control characters, C1 neither: name and elements, as
 * snprintf. */
size_t cnode__ctrl_print(const cnode_ctrl *c, char *out, size_t cap);

#endif
