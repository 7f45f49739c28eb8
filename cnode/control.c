/* SPDX-License-Identifier: Apache-2.0
 *
 * control.c: control messages from bytes and to bytes, all from CTRL_MAP.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cnode/control.h"

typedef struct ctrl_row {
    const char *name; /* NULL: the protocol does not have this number */
    const char *layout;
    uint8_t elements; /* in the layout */
    uint8_t op;
    uint8_t signal;
    bool payload;
} ctrl_row;

static const ctrl_row rows[] = {
#define CTRL_ROW(name, op, sig, layout, payload)                               \
    [(op)] = {#name, (layout),        sizeof(layout) - 1,                      \
              (op),  CNODE_SIG_##sig, (payload)},
    CTRL_MAP(CTRL_ROW)
#undef CTRL_ROW
};

static const ctrl_row *row_of(uint64_t op) {
    return op < sizeof rows / sizeof *rows && rows[op].name != NULL ? &rows[op]
                                                                    : NULL;
}

const char *cnode__op_name(uint64_t op) {
    const ctrl_row *row = row_of(op);
    return row == NULL ? NULL : row->name;
}

/* --- from bytes ---------------------------------------------------------- */

static void get_pid_or_name(cnode_ctrl *c, etf_reader *r, etf_pid *pid) {
    c->by_name = etf_peek(r) == ETF_ATOM;
    if (c->by_name)
        c->name = etf_get_atom(r);
    else
        etf_get_pid(r, pid);
}

static void get_pid_or_atom(cnode_ctrl *c, etf_reader *r) {
    if (etf_peek(r) != ETF_ATOM) {
        etf_get_pid(r, &c->from);
        return;
    }
    c->result = etf_get_atom(r);
    if (c->result.len == 0)
        etf_reader_fail(r, CN_EBADTERM); /* '' would stand for a pid */
}

/* The reader has room for one latin-1 atom; the next one would overwrite it.
 */
static etf_view keep_text(etf_reader *r, etf_view text) {
    uint8_t *room = r->scratch + sizeof r->scratch / 2;

    if (text.data != r->scratch)
        return text;
    memcpy(room, text.data, text.len);
    return (etf_view){room, text.len};
}

static void get_mfa(cnode_ctrl *c, etf_reader *r) {
    etf_get_tuple_n(r, 3);
    c->module = keep_text(r, etf_get_atom(r));
    c->function = etf_get_atom(r);
    c->arity = etf_get_int(r);
}

static void get_element(cnode_ctrl *c, etf_reader *r, char letter) {
    switch (letter) {
    case 'f':
        etf_get_pid(r, &c->from);
        break;
    case 't':
        etf_get_pid(r, &c->to);
        break;
    case 'T':
        get_pid_or_name(c, r, &c->to);
        break;
    case 'F':
        get_pid_or_name(c, r, &c->from);
        break;
    case 'n':
        c->name = etf_get_atom(r);
        break;
    case 'r':
        etf_get_ref(r, &c->ref);
        break;
    case 'i':
        c->id = etf_get_uint(r);
        break;
    case 'k':
        c->token = etf_get_term(r);
        break;
    case 'x':
        c->term = etf_get_term(r);
        break;
    case 'g':
        etf_get_pid(r, &c->group_leader);
        break;
    case 'm':
        get_mfa(c, r);
        break;
    case 'o':
        c->opts = etf_get_term(r);
        break;
    case 'v':
        get_pid_or_atom(c, r);
        break;
    default:
        etf_skip(r);
    }
}

static void clear_pid(etf_pid *p) {
    p->id = p->serial = p->creation = 0;
    p->node_len = 0;
    p->node[0] = '\0';
}

void cnode__ctrl_clear(cnode_ctrl *c, cnode_signal signal) {
    static const etf_view none = {NULL, 0};

    c->signal = signal;
    c->op = 0;
    c->by_name = c->to_alias = c->priority = false;
    c->name = c->token = c->term = none;
    c->module = c->function = c->opts = c->result = none;
    c->id = 0;
    c->arity = 0;
    clear_pid(&c->from);
    clear_pid(&c->to);
    clear_pid(&c->group_leader);
    c->ref.n = c->ref.node_len = 0;
    c->ref.creation = 0;
    c->ref.node[0] = '\0';
}

/* Names are some bytes, and there is room for a thousand. */
static void copy_pid(etf_pid *to, const etf_pid *from) {
    to->id = from->id;
    to->serial = from->serial;
    to->creation = from->creation;
    to->node_len = from->node_len;
    memcpy(to->node, from->node, (size_t)from->node_len + 1);
}

static void copy_ref(etf_ref *to, const etf_ref *from) {
    to->n = from->n;
    memcpy(to->ids, from->ids, sizeof to->ids);
    to->creation = from->creation;
    to->node_len = from->node_len;
    memcpy(to->node, from->node, (size_t)from->node_len + 1);
}

void cnode__ctrl_copy(cnode_ctrl *to, const cnode_ctrl *from) {
    to->signal = from->signal;
    to->op = from->op;
    to->by_name = from->by_name;
    to->to_alias = from->to_alias;
    to->priority = from->priority;
    to->name = from->name;
    to->token = from->token;
    to->term = from->term;
    to->module = from->module;
    to->function = from->function;
    to->arity = from->arity;
    to->opts = from->opts;
    to->result = from->result;
    to->id = from->id;
    copy_pid(&to->from, &from->from);
    copy_pid(&to->to, &from->to);
    copy_pid(&to->group_leader, &from->group_leader);
    copy_ref(&to->ref, &from->ref);
}

/* --- priority and aliases --------------------------------------------------
 */

/* The letter of the last element that such a signal has. */
static char altact_target(const cnode_ctrl *c) {
    if (c->signal == CNODE_SIG_REG_SEND || c->by_name)
        return 'n';
    return c->signal == CNODE_SIG_ALIAS_SEND || c->to_alias ? 'r' : 't';
}

/* Bits that are not known do not matter, not even how many they are. */
static uint8_t get_altact_flags(etf_reader *r) {
    bool negative;
    etf_view number = etf_get_big(r, &negative);

    if (negative)
        etf_reader_fail(r, CN_EBADTERM);
    return number.len == 0 ? 0 : number.data[0];
}

/* {37, Flags, From, To} and perhaps a token; what follows is for later
 * releases. */
static void get_altact(cnode_ctrl *c, etf_reader *r, uint32_t arity) {
    uint8_t flags = get_altact_flags(r);
    bool alias = (flags & CNODE__ALTACT_ALIAS) != 0;
    bool name = (flags & CNODE__ALTACT_NAME) != 0;
    bool quit = (flags & CNODE__ALTACT_EXIT) != 0;
    bool token = (flags & CNODE__ALTACT_TOKEN) != 0;

    if ((alias && name) || (token && arity < 5))
        etf_reader_fail(r, CN_EBADTERM);
    c->signal = quit    ? CNODE_SIG_EXIT2
                : alias ? CNODE_SIG_ALIAS_SEND
                : name  ? CNODE_SIG_REG_SEND
                        : CNODE_SIG_SEND;
    c->priority = (flags & CNODE__ALTACT_PRIORITY) != 0;
    c->to_alias = quit && alias;
    c->by_name = quit && name;
    etf_get_pid(r, &c->from);
    get_element(c, r, altact_target(c));
    if (token)
        c->token = etf_get_term(r);
    for (uint32_t i = token ? 5 : 4; i < arity; i++)
        etf_skip(r);
}

/* The same the other way; 0: such a signal needs no flags. */
static uint8_t altact_flags(const cnode_ctrl *c) {
    uint8_t flags = c->priority ? CNODE__ALTACT_PRIORITY : 0;
    char target = altact_target(c);

    if (c->signal == CNODE_SIG_EXIT2 && (flags != 0 || target != 't'))
        flags |= CNODE__ALTACT_EXIT;
    if (target == 'r')
        flags |= CNODE__ALTACT_ALIAS;
    if (flags == 0)
        return 0;
    if (target == 'n')
        flags |= CNODE__ALTACT_NAME;
    return c->token.len > 0 ? flags | CNODE__ALTACT_TOKEN : flags;
}

static bool may_be_altact(cnode_signal s) {
    return s <= CNODE_SIG_ALIAS_SEND || s == CNODE_SIG_EXIT2;
}

/* --- one message -----------------------------------------------------------
 */

static bool arity_fits(const ctrl_row *row, uint32_t arity) {
    uint32_t want = row->elements + 1U;
    return row->layout[0] == '*' ? arity >= want : arity == want;
}

/* The row of the message, or NULL with the error. */
static const ctrl_row *get_head(cnode_ctrl *c, etf_reader *r, uint32_t *arity,
                                int *err, const char **why) {
    const ctrl_row *row;
    uint64_t op;

    *arity = etf_get_tuple(r);
    op = etf_get_uint(r);
    *why = "the control message is not a tuple with a number in front";
    *err = etf_reader_finish(r) != 0 ? CN_EPROTO : 0;
    if (*err != 0)
        return NULL;
    row = row_of(op);
    if (row != NULL)
        return row;
    c->op = op > UINT8_MAX ? UINT8_MAX : (uint8_t)op;
    c->id = op;
    *err = CN_ENOTSUP;
    return NULL;
}

static int get_tuple(cnode_ctrl *c, etf_reader *r, const char **why) {
    uint32_t arity;
    int err;
    const ctrl_row *row = get_head(c, r, &arity, &err, why);

    if (row == NULL)
        return err;
    cnode__ctrl_clear(c, (cnode_signal)row->signal);
    c->op = row->op;
    *why = "wrong number of elements in the control message";
    if (!arity_fits(row, arity))
        return CN_EPROTO;
    if (row->op == CNODE__OP_ALTACT_SIG_SEND)
        get_altact(c, r, arity);
    else
        for (const char *l = row->layout; *l != '\0'; l++)
            get_element(c, r, *l);
    *why = "malformed control message";
    return etf_reader_finish(r) != 0 ? CN_EPROTO : 0;
}

static const char bad_payload[] = "malformed or missing payload";

int cnode__ctrl_get(cnode_ctrl *c, etf_reader *r, etf_view frame, bool versions,
                    const char **why) {
    int err;

    etf_reader_init(r, frame);
    if (versions)
        etf_get_version(r);
    err = get_tuple(c, r, why);
    if (err != 0 || !rows[c->op].payload)
        return err;
    if (versions)
        etf_get_version(r);
    c->term = etf_get_term(r);
    *why = bad_payload;
    return etf_reader_finish(r) != 0 ? CN_EPROTO : 0;
}

/* --- behind a distribution header ----------------------------------------- */

/* A term that is there and needs no table. */
static bool is_plain(etf_view in, etf_view *term) {
    etf_reader r;

    etf_reader_init(&r, in);
    *term = etf_get_term(&r);
    return etf_reader_finish(&r) == 0;
}

/* Most payloads are plain, and are looked at once. */
static int get_payload(cnode_ctrl *c, etf_reader *r, bool *plain) {
    etf_view rest = {r->at, etf_reader_left(r)};

    *plain = is_plain(rest, &c->term);
    if (!*plain)
        c->term = etf_get_term(r);
    return etf_reader_finish(r) != 0 ? CN_EPROTO : 0;
}

/* Every two bytes may stand for the longest of the atoms. */
static bool surely_fits(etf_view term, const etf_view *atoms, size_t n,
                        size_t max) {
    size_t longest = 0;

    for (size_t i = 0; i < n; i++)
        longest = atoms[i].len > longest ? atoms[i].len : longest;
    return term.len / 2 + 1 <= max / (longest + 3);
}

static size_t size_without_table(const etf_view *atoms, size_t n,
                                 etf_view term) {
    etf_writer count;

    etf_writer_init_fixed(&count, NULL, 0);
    (void)etf_expand(&count, atoms, n, term);
    return etf_writer_size(&count);
}

/* Makes a term one that stands for itself; where it is in w then is known when
 * w does not grow any more, so *term keeps only its length and *at is set. */
static int own(etf_view *term, const etf_view *atoms, size_t n, etf_writer *w,
               size_t max, size_t *at) {
    etf_view plain;

    *at = SIZE_MAX;
    if (term->len == 0 || is_plain(*term, &plain))
        return 0;
    *at = etf_writer_size(w);
    if (!surely_fits(*term, atoms, n, max - *at) &&
        size_without_table(atoms, n, *term) > max - *at)
        return CN_ELIMIT;
    if (etf_expand(w, atoms, n, *term) != 0)
        return w->err;
    term->len = etf_writer_size(w) - *at;
    return 0;
}

static int own_all(cnode_ctrl *c, const etf_view *atoms, size_t n,
                   etf_writer *w, size_t max) {
    etf_view *terms[] = {&c->token, &c->opts, &c->term};
    size_t at[3];
    etf_view all;
    int err = 0;

    for (size_t i = 0; i < 3 && err == 0; i++)
        err = own(terms[i], atoms, n, w, max, &at[i]);
    if (err == 0)
        err = etf_writer_finish(w, &all);
    for (size_t i = 0; i < 3 && err == 0; i++)
        if (at[i] != SIZE_MAX)
            terms[i]->data = all.data + at[i];
    return err;
}

int cnode__ctrl_get_tuple(cnode_ctrl *c, etf_reader *r, bool *payload,
                          const char **why) {
    int err = get_tuple(c, r, why);

    *payload = err == 0 && rows[c->op].payload;
    return err;
}

int cnode__ctrl_get_rest(cnode_ctrl *c, etf_reader *r, bool payload,
                         etf_writer *w, size_t max, const char **why) {
    bool plain = false;
    int err = payload ? get_payload(c, r, &plain) : 0;

    *why = bad_payload;
    if (err != 0 || (plain && c->token.len == 0 && c->opts.len == 0))
        return err;
    etf_writer_reset(w);
    *why = "too long with its atoms in place";
    return own_all(c, r->atoms.at, r->atoms.n, w, max);
}

/* --- to bytes ------------------------------------------------------------ */

/* Old form, new form, and the flags that the new one needs; a signal without
 * an old form needs the flags. */
static int choose_op(const cnode_ctrl *c, uint64_t flags, uint8_t *op) {
    static const struct {
        uint8_t old_op, old_tt, new_op, new_tt;
    } forms[] = {
        [CNODE_SIG_SEND] = {2, 12, 22, 23},
        [CNODE_SIG_REG_SEND] = {0, 0, 6, 16},
        [CNODE_SIG_ALIAS_SEND] = {0, 0, 33, 34},
        [CNODE_SIG_LINK] = {0, 0, 1, 1},
        [CNODE_SIG_UNLINK] = {4, 4, 35, 35},
        [CNODE_SIG_UNLINK_ACK] = {0, 0, 36, 36},
        [CNODE_SIG_EXIT] = {3, 13, 24, 25},
        [CNODE_SIG_EXIT2] = {8, 18, 26, 27},
        [CNODE_SIG_MONITOR] = {0, 0, 19, 19},
        [CNODE_SIG_DEMONITOR] = {0, 0, 20, 20},
        [CNODE_SIG_DOWN] = {21, 21, 28, 28},
        [CNODE_SIG_SPAWN_REQUEST] = {0, 0, 29, 30},
        [CNODE_SIG_SPAWN_REPLY] = {0, 0, 31, 32},
        [CNODE_SIG_GROUP_LEADER] = {0, 0, 7, 7},
    };
    enum {
#define FLAG_BIT(name, bit) BIT_##name = (bit),
        CNODE_FLAG_MAP(FLAG_BIT)
#undef FLAG_BIT
    };
#define NEED(name) (UINT64_C(1) << BIT_##name)
    static const uint64_t needs[] = {
        [CNODE_SIG_SEND] = NEED(SEND_SENDER),
        [CNODE_SIG_ALIAS_SEND] = NEED(ALIAS),
        [CNODE_SIG_UNLINK] = NEED(UNLINK_ID),
        [CNODE_SIG_UNLINK_ACK] = NEED(UNLINK_ID),
        [CNODE_SIG_EXIT] = NEED(EXIT_PAYLOAD),
        [CNODE_SIG_EXIT2] = NEED(EXIT_PAYLOAD),
        /* the BEAM wants both */
        [CNODE_SIG_MONITOR] = NEED(DIST_MONITOR) | NEED(DIST_MONITOR_NAME),
        [CNODE_SIG_DEMONITOR] = NEED(DIST_MONITOR) | NEED(DIST_MONITOR_NAME),
        [CNODE_SIG_DOWN] = NEED(EXIT_PAYLOAD),
        [CNODE_SIG_SPAWN_REQUEST] = NEED(SPAWN),
        [CNODE_SIG_SPAWN_REPLY] = NEED(SPAWN),
        [CNODE_SIG_GROUP_LEADER] = 0,
    };
#undef NEED
    bool traced = c->token.len > 0;
    bool modern;

    if (c->signal >= CNODE_SIG_OTHER)
        return CN_ENOTSUP;
    if (may_be_altact(c->signal) && altact_flags(c) != 0) {
        *op = CNODE__OP_ALTACT_SIG_SEND;
        if ((flags & CNODE_FLAG_ALTACT_SIG) != 0)
            return 0;
        if (c->to_alias || c->by_name)
            return CN_ENOTSUP;
    }
    modern = (flags & needs[c->signal]) == needs[c->signal];
    if (modern)
        *op = traced ? forms[c->signal].new_tt : forms[c->signal].new_op;
    else
        *op = traced ? forms[c->signal].old_tt : forms[c->signal].old_op;
    return *op == 0 ? CN_ENOTSUP : 0;
}

static void put_text_atom(etf_writer *w, etf_view text) {
    etf_put_atom_n(w, (const char *)text.data, text.len);
}

static void put_pid_or_name(etf_writer *w, const cnode_ctrl *c,
                            const etf_pid *pid) {
    if (c->by_name)
        put_text_atom(w, c->name);
    else
        etf_put_pid(w, pid);
}

static void put_element(etf_writer *w, const cnode_ctrl *c, char letter) {
    switch (letter) {
    case 'f':
        etf_put_pid(w, &c->from);
        break;
    case 't':
        etf_put_pid(w, &c->to);
        break;
    case 'T':
        put_pid_or_name(w, c, &c->to);
        break;
    case 'F':
        put_pid_or_name(w, c, &c->from);
        break;
    case 'n':
        put_text_atom(w, c->name);
        break;
    case 'r':
        etf_put_ref(w, &c->ref);
        break;
    case 'i':
        etf_put_uint(w, c->id);
        break;
    case 'k':
        etf_put_term(w, c->token);
        break;
    case 'x':
        etf_put_term(w, c->term);
        break;
    case 'g':
        etf_put_pid(w, &c->group_leader);
        break;
    case 'm':
        etf_put_tuple(w, 3);
        put_text_atom(w, c->module);
        put_text_atom(w, c->function);
        etf_put_int(w, c->arity);
        break;
    case 'o':
        etf_put_term(w, c->opts);
        break;
    case 'v':
        if (c->result.len > 0)
            put_text_atom(w, c->result);
        else
            etf_put_pid(w, &c->from);
        break;
    default:
        etf_put_atom_n(w, "", 0);
    }
}

static void put_tuple(etf_writer *w, const cnode_ctrl *c, const ctrl_row *row) {
    uint8_t flags;

    if (row->op != CNODE__OP_ALTACT_SIG_SEND) {
        etf_put_tuple(w, row->elements + 1U);
        etf_put_uint(w, row->op);
        for (const char *l = row->layout; *l != '\0'; l++)
            put_element(w, c, *l);
        return;
    }
    flags = altact_flags(c);
    etf_put_tuple(w, flags & CNODE__ALTACT_TOKEN ? 5 : 4);
    etf_put_uint(w, row->op);
    etf_put_uint(w, flags);
    etf_put_pid(w, &c->from);
    put_element(w, c, altact_target(c));
    if (flags & CNODE__ALTACT_TOKEN)
        etf_put_term(w, c->token);
}

int cnode__ctrl_put_tuple(etf_writer *w, const cnode_ctrl *c, uint64_t flags,
                          bool versions, uint8_t *op, bool *payload) {
    const ctrl_row *row;
    int err = choose_op(c, flags, op);

    if (err != 0)
        return err;
    row = row_of(*op);
    if (versions)
        etf_put_version(w);
    put_tuple(w, c, row);
    *payload = row->payload;
    return w->err;
}

int cnode__ctrl_put(etf_writer *w, cnode_ctrl *c, uint64_t flags,
                    bool versions) {
    bool payload;
    int err = cnode__ctrl_put_tuple(w, c, flags, versions, &c->op, &payload);

    if (err != 0 || !payload)
        return err;
    if (versions)
        etf_put_version(w);
    etf_put_term(w, c->term);
    return w->err;
}

/* --- to text ------------------------------------------------------------- */

typedef struct line {
    char *out;
    size_t cap;
    size_t len;
} line;

static void add(line *l, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void add(line *l, const char *fmt, ...) {
    size_t room = l->len < l->cap ? l->cap - l->len : 0;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(room == 0 ? NULL : l->out + l->len, room, fmt, ap);
    va_end(ap);
    if (n > 0)
        l->len += (size_t)n;
}

static void add_pid(line *l, const etf_pid *p) {
    add(l, " <%s.%" PRIu32 ".%" PRIu32 ">", p->node, p->id, p->serial);
}

static void add_view(line *l, etf_view v) {
    add(l, " %.*s", (int)(v.len > 255 ? 255 : v.len), (const char *)v.data);
}

static void add_ref(line *l, const etf_ref *r) {
    add(l, " #Ref<%s", r->node);
    for (uint16_t i = r->n; i > 0; i--)
        add(l, ".%" PRIu32, r->ids[i - 1]);
    add(l, ">");
}

/* At most so much of it as a line has room for beside the rest. */
static void add_term(line *l, const char *what, etf_view term) {
    char text[200];

    if (term.len == 0)
        return;
    (void)etf_print(term, text, sizeof text);
    add(l, " %s%s", what, text);
}

static void add_element(line *l, const cnode_ctrl *c, char letter) {
    if ((letter == 'T' || letter == 'F') && c->by_name)
        letter = 'n';
    switch (letter) {
    case 'f':
    case 'F':
        add_pid(l, &c->from);
        break;
    case 't':
    case 'T':
        add_pid(l, &c->to);
        break;
    case 'n':
        add_view(l, c->name);
        break;
    case 'r':
        add_ref(l, &c->ref);
        break;
    case 'i':
        add(l, " %" PRIu64, c->id);
        break;
    case 'm':
        add_view(l, c->module);
        add(l, ":%.*s/%" PRId64,
            (int)(c->function.len > 255 ? 255 : c->function.len),
            (const char *)c->function.data, c->arity);
        break;
    case 'g':
        add(l, " leader");
        add_pid(l, &c->group_leader);
        break;
    case 'o':
        if (etf_match(c->opts, "[]") != 0)
            add_term(l, "options ", c->opts);
        break;
    case 'k':
        add_term(l, "token ", c->token);
        break;
    case 'v':
        if (c->result.len > 0)
            add_view(l, c->result);
        else
            add_pid(l, &c->from);
        break;
    default:
        break;
    }
}

static void add_altact(line *l, const cnode_ctrl *c) {
    if (c->signal == CNODE_SIG_EXIT2)
        add(l, " exit");
    if (c->priority)
        add(l, " priority");
    add_pid(l, &c->from);
    add_element(l, c, altact_target(c));
    add_element(l, c, 'k');
}

/* U+0080 to U+009F in UTF-8, or the first half of it where the line is cut. */
static bool is_c1(const char *text) {
    unsigned char next = (unsigned char)text[1];
    return (unsigned char)text[0] == 0xc2 &&
           (next == '\0' || (next >= 0x80 && next < 0xa0));
}

/* Names come from the peer and the line goes to a terminal. */
static void hide_control_characters(char *text) {
    for (; *text != '\0'; text++) {
        if (is_c1(text)) {
            *text++ = '?';
            if (*text == '\0')
                return;
            *text = '?';
        } else if ((unsigned char)*text < ' ' || *text == 127) {
            *text = '?';
        }
    }
}

size_t cnode__ctrl_print(const cnode_ctrl *c, char *out, size_t cap) {
    const ctrl_row *row = row_of(c->op);
    line l = {out, cap, 0};

    if (cap > 0)
        out[0] = '\0';
    if (row == NULL) {
        add(&l, "control message %" PRIu64, c->id);
        return l.len;
    }
    add(&l, "%s", row->name);
    if (row->op == CNODE__OP_ALTACT_SIG_SEND)
        add_altact(&l, c);
    else
        for (const char *p = row->layout; *p != '\0'; p++)
            add_element(&l, c, *p);
    if (cap > 0)
        hide_control_characters(out);
    return l.len;
}
