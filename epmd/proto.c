/* SPDX-License-Identifier: Apache-2.0
 *
 * proto.c: EPMD's messages, both directions, pure.
 * https://www.erlang.org/doc/apps/erts/erl_dist_protocol.html#epmd-protocol
 *
 *   request      length:16, op:8, what the op says; the length counts the rest
 *     ALIVE2       node
 *     PORT2, STOP  name, to the end
 *     others       nothing
 *   node         port:16 type:8 protocol:8 highest:16 lowest:16
 *                length:16 name, length:16 extra
 *   ALIVE2 reply 118, result:8, creation:32   or   121, result:8, creation:16
 *   PORT2 reply  119, 0, node                 or   119, result:8
 *   NAMES reply  port:32, then text to the end of the connection
 *
 * Replies carry no length: whoever reads one counts, and every count that is
 * read is bounded before anything waits for that many bytes.
 */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "epmd/proto.h"

enum { NODE_FIXED = 8 /* bytes of a node before its name's length */ };

/* --- names ---------------------------------------------------------------- */

static size_t utf8_length(uint8_t lead) {
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* Bytes of the character at p, or 0. */
static size_t utf8_size(const uint8_t *p, size_t left) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = utf8_length(p[0]);
    uint32_t code = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));

    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3fu);
    }
    if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    return n;
}

size_t epmd__name_chars(epmd_view name) {
    size_t chars = 0;

    for (size_t at = 0; at < name.len; chars++) {
        size_t n = utf8_size(name.data + at, name.len - at);
        if (n == 0 || name.data[at] == 0)
            return 0;
        at += n;
    }
    return chars;
}

bool epmd_name_ok(epmd_view name) {
    size_t chars = epmd__name_chars(name);

    return chars > 0 && chars <= EPMD__NAME_CHARS;
}

static int check_name(epmd_view name) {
    if (name.len > EPMD_FIELD_MAX)
        return CN_ELIMIT;
    if (name.len == 0 || memchr(name.data, 0, name.len) != NULL)
        return CN_EBADARG;
    return 0;
}

/* --- nodes ---------------------------------------------------------------- */

static size_t node_size(const epmd_node *n) {
    return NODE_FIXED + 2 + n->name.len + 2 + n->extra.len;
}

static int check_node(const epmd_node *n) {
    int err = check_name(n->name);

    return err == 0 && n->extra.len > EPMD_FIELD_MAX ? CN_ELIMIT : err;
}

static uint8_t *put_field(uint8_t *p, epmd_view v) {
    return cn__put_bytes(cn__put16(p, (uint16_t)v.len), v.data, v.len);
}

static uint8_t *put_node(uint8_t *p, const epmd_node *n) {
    p = cn__put16(p, n->port);
    p = cn__put8(p, n->node_type);
    p = cn__put8(p, n->protocol);
    p = cn__put16(p, n->highest);
    p = cn__put16(p, n->lowest);
    return put_field(put_field(p, n->name), n->extra);
}

/* 0, or CN_EPROTO when the length is out of bounds. A field that is cut
 * leaves the cursor bad, which the caller judges at the end. */
static int get_field(cn_cursor *c, epmd_view *v) {
    size_t n = cn__take16(c);

    if (n > EPMD_FIELD_MAX)
        return CN_EPROTO;
    *v = (epmd_view){cn__take(c, n), n};
    return 0;
}

/* 1: whole, 0: cut, CN_EPROTO. */
static int get_node(cn_cursor *c, epmd_node *n) {
    n->port = cn__take16(c);
    n->node_type = cn__take8(c);
    n->protocol = cn__take8(c);
    n->highest = cn__take16(c);
    n->lowest = cn__take16(c);
    if (get_field(c, &n->name) != 0 || get_field(c, &n->extra) != 0)
        return CN_EPROTO;
    return !c->bad;
}

/* --- requests ------------------------------------------------------------- */

static int request_size(const epmd_req *r, size_t *n) {
    *n = 3;
    switch (r->op) {
    case EPMD_ALIVE2_REQ:
        *n += node_size(&r->node);
        if (!epmd_name_ok(r->node.name))
            return CN_EBADARG;
        return check_node(&r->node);
    case EPMD_PORT2_REQ:
    case EPMD_STOP_REQ:
        *n += r->node.name.len;
        return check_name(r->node.name);
    case EPMD_NAMES_REQ:
    case EPMD_DUMP_REQ:
    case EPMD_KILL_REQ:
        return 0;
    default:
        return CN_EBADARG;
    }
}

int epmd_put_request(uint8_t *out, size_t cap, const epmd_req *r) {
    size_t n;
    int err = request_size(r, &n);

    if (err != 0)
        return err;
    if (n > cap)
        return CN_ELIMIT;
    out = cn__put16(out, (uint16_t)(n - 2));
    out = cn__put8(out, (uint8_t)r->op);
    if (r->op == EPMD_ALIVE2_REQ)
        put_node(out, &r->node);
    else if (n > 3)
        cn__put_bytes(out, r->node.name.data, r->node.name.len);
    return (int)n;
}

/* The name is what is left; some clients end it with a NUL. */
static int get_name(cn_cursor *c, epmd_view *name) {
    size_t n = c->left;

    if (n > 0 && c->p[n - 1] == 0)
        n--;
    *name = (epmd_view){c->p, n};
    return n > 0 && n <= EPMD_FIELD_MAX ? 0 : CN_EPROTO;
}

static int get_body(cn_cursor *c, epmd_req *r) {
    switch (cn__take8(c)) {
    case EPMD_ALIVE2_REQ:
        r->op = EPMD_ALIVE2_REQ;
        return get_node(c, &r->node) == 1 ? 0 : CN_EPROTO;
    case EPMD_PORT2_REQ:
        r->op = EPMD_PORT2_REQ;
        return get_name(c, &r->node.name);
    case EPMD_STOP_REQ:
        r->op = EPMD_STOP_REQ;
        return get_name(c, &r->node.name);
    case EPMD_NAMES_REQ:
        r->op = EPMD_NAMES_REQ;
        return 0;
    case EPMD_DUMP_REQ:
        r->op = EPMD_DUMP_REQ;
        return 0;
    case EPMD_KILL_REQ:
        r->op = EPMD_KILL_REQ;
        return 0;
    default:
        return CN_EPROTO;
    }
}

int epmd_get_request(const uint8_t *in, size_t n, epmd_req *r) {
    cn_cursor c;
    size_t len;

    memset(r, 0, sizeof *r);
    if (n < 2)
        return 0;
    len = cn__be16(in);
    if (len == 0 || len > EPMD__BODY_MAX)
        return CN_EPROTO;
    if (n - 2 < len)
        return 0;
    c = cn__cursor(in + 2, len);
    return get_body(&c, r) == 0 ? (int)(2 + len) : CN_EPROTO;
}

/* --- replies -------------------------------------------------------------- */

int epmd_put_alive2_reply(uint8_t *out, size_t cap,
                          const epmd_alive2_reply *r) {
    size_t n = r->extended ? 6 : 4;

    if (n > cap)
        return CN_ELIMIT;
    out = cn__put8(out, r->extended ? EPMD_ALIVE2_X_RESP : EPMD_ALIVE2_RESP);
    out = cn__put8(out, r->result);
    if (r->extended)
        cn__put32(out, r->creation);
    else
        cn__put16(out, (uint16_t)r->creation);
    return (int)n;
}

int epmd_get_alive2_reply(const uint8_t *in, size_t n, epmd_alive2_reply *r) {
    cn_cursor c = cn__cursor(in, n);
    uint8_t op = cn__take8(&c);

    memset(r, 0, sizeof *r);
    if (c.bad)
        return 0;
    if (op != EPMD_ALIVE2_X_RESP && op != EPMD_ALIVE2_RESP)
        return CN_EPROTO;
    r->extended = op == EPMD_ALIVE2_X_RESP;
    r->result = cn__take8(&c);
    r->creation = r->extended ? cn__take32(&c) : cn__take16(&c);
    return c.bad ? 0 : (int)(n - c.left);
}

int epmd_put_port2_reply(uint8_t *out, size_t cap, const epmd_port2_reply *r) {
    size_t n = r->result == 0 ? 2 + node_size(&r->node) : 2;
    int err = r->result == 0 ? check_node(&r->node) : 0;

    if (err != 0)
        return err;
    if (n > cap)
        return CN_ELIMIT;
    out = cn__put8(out, EPMD_PORT2_RESP);
    out = cn__put8(out, r->result);
    if (r->result == 0)
        put_node(out, &r->node);
    return (int)n;
}

int epmd_get_port2_reply(const uint8_t *in, size_t n, epmd_port2_reply *r) {
    cn_cursor c = cn__cursor(in, n);
    uint8_t op = cn__take8(&c);
    int whole;

    memset(r, 0, sizeof *r);
    if (!c.bad && op != EPMD_PORT2_RESP)
        return CN_EPROTO;
    r->result = cn__take8(&c);
    if (c.bad)
        return 0;
    whole = r->result != 0 ? 1 : get_node(&c, &r->node);
    return whole == 1 ? (int)(n - c.left) : whole;
}

int epmd_put_names_port(uint8_t *out, size_t cap, uint16_t port) {
    if (cap < 4)
        return CN_ELIMIT;
    cn__put32(out, port);
    return 4;
}

int epmd_put_names_line(uint8_t *out, size_t cap, epmd_view name,
                        uint16_t port) {
    char rest[24];
    int n = snprintf(rest, sizeof rest, " at port %u\n", (unsigned)port);
    int err = check_name(name);

    if (err != 0)
        return err;
    if (5 + name.len + (size_t)n > cap)
        return CN_ELIMIT;
    out = cn__put_bytes(out, "name ", 5);
    out = cn__put_bytes(out, name.data, name.len);
    cn__put_bytes(out, rest, (size_t)n);
    return (int)(5 + name.len) + n;
}

/* --- the text of a NAMES reply -------------------------------------------- */

/* The decimal number at the end of p[0..n), whose length goes to *digits. */
static bool trailing_port(const char *p, size_t n, size_t *digits,
                          uint16_t *port) {
    uint32_t value = 0, unit = 1;
    size_t i = 0;

    for (; i < n && p[n - 1 - i] >= '0' && p[n - 1 - i] <= '9'; i++) {
        if (i == 5)
            return false;
        value += unit * (uint32_t)(p[n - 1 - i] - '0');
        unit *= 10;
    }
    *digits = i;
    *port = (uint16_t)value;
    return i > 0 && value <= UINT16_MAX;
}

/* "name X at port N". X may be anything, even " at port ", so the end of the
 * line is read first. */
static bool parse_line(const char *p, size_t n, epmd_name *out) {
    static const char before[] = "name ", between[] = " at port ";
    size_t b = sizeof before - 1, m = sizeof between - 1, digits;

    if (n < b || memcmp(p, before, b) != 0)
        return false;
    p += b;
    n -= b;
    if (!trailing_port(p, n, &digits, &out->port))
        return false;
    n -= digits;
    if (n <= m || memcmp(p + n - m, between, m) != 0)
        return false;
    out->name = p;
    out->len = n - m;
    return true;
}

bool epmd_names_next(const char **text, size_t *len, epmd_name *out) {
    while (*len > 0) {
        const char *line = *text, *end = memchr(line, '\n', *len);
        size_t n = end != NULL ? (size_t)(end - line) : *len;
        size_t used = end != NULL ? n + 1 : n;

        *text += used;
        *len -= used;
        if (parse_line(line, n, out))
            return true;
    }
    return false;
}
