/* SPDX-License-Identifier: Apache-2.0
 *
 * discover_dns.c: reads what a DNS server has answered. RFC 1035, section 4.
 *
 *      header (12)   id, flags, number of questions, answers, ...
 *      questions     name, type (2), class (2)
 *      records       name, type (2), class (2), ttl (4), length (2), data
 *
 * A name is labels, a length and so many bytes, up to an empty one, or up to a
 * pointer to where the rest of it stands in the message. Here pointers only
 * lead backward, and only so many are followed: long chains of them in each of
 * thousands of records would take the loop's time.
 */
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>

#include "cnode/discover_parts.h"

enum {
    CLASS_IN = 1,
    NAME_ERROR = 3, /* there is no such name */
    ANSWER_BIT = 0x8000,
    MAX_LABEL = 63,
    MAX_HOPS = 127, /* a name has no more labels */
    POINTER = 0xC0
};

/* --- names --------------------------------------------------------------- */

/* What becomes a host of a node's name: letters, digits, and what else is used
 * in names of services. */
static bool is_host_char(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool put_label(char *out, size_t *len, const uint8_t *p, size_t n) {
    if (*len + n + 1 > CNODE__DNS_NAME)
        return false;
    if (*len > 0)
        out[(*len)++] = '.';
    for (size_t i = 0; i < n; i++) {
        if (!is_host_char(p[i]))
            return false;
        out[(*len)++] = (char)p[i];
    }
    return true;
}

/* Where a pointer leads, which must be in front of it. */
static bool follow(const cnode__dns_answer *a, cn_cursor *c, uint8_t high,
                   size_t *limit) {
    const uint8_t *low = cn__take(c, 1);
    size_t to;

    if (low == NULL)
        return false;
    to = (size_t)(high & ~POINTER) << 8 | *low;
    if (to >= *limit)
        return false;
    *limit = to;
    *c = cn__cursor(a->message + to, a->size - to);
    return true;
}

/* Takes a name; out NULL: only moves behind it. */
static bool take_name(cnode__dns_answer *a, char *out) {
    cn_cursor at = a->left, *c = &a->left;
    size_t limit = (size_t)(a->left.p - a->message), len = 0, hops = 0;

    for (;;) {
        const uint8_t *n = cn__take(c, 1), *label;
        if (n == NULL)
            return false;
        if (*n >= POINTER) {
            if (out == NULL)
                return cn__take(c, 1) != NULL;
            if (c == &a->left) {
                at = a->left;
                (void)cn__take(&a->left, 1);
                c = &at;
            }
            if (++hops > MAX_HOPS || !follow(a, c, *n, &limit))
                return false;
            continue;
        }
        if (*n > MAX_LABEL)
            return false;
        if (*n == 0)
            break;
        label = cn__take(c, *n);
        if (label == NULL || (out != NULL && !put_label(out, &len, label, *n)))
            return false;
    }
    if (out != NULL)
        out[len] = '\0';
    return !a->left.bad;
}

/* --- the answer ---------------------------------------------------------- */

int cnode__dns_open(cnode__dns_answer *a, cnode__dns_type type,
                    const uint8_t *p, size_t n) {
    uint16_t flags;
    unsigned questions;

    *a = (cnode__dns_answer){
        .left = cn__cursor(p, n), .message = p, .size = n, .type = type};
    (void)cn__take(&a->left, 2);
    flags = cn__take16(&a->left);
    questions = cn__take16(&a->left);
    a->records = cn__take16(&a->left);
    (void)cn__take(&a->left, 4);
    for (; questions > 0 && !a->left.bad; questions--)
        if (!take_name(a, NULL) || cn__take(&a->left, 4) == NULL)
            return CN_EPROTO;
    if (a->left.bad || (flags & ANSWER_BIT) == 0)
        return CN_EPROTO;
    if ((flags & 15) == NAME_ERROR)
        return CN_ENOENT;
    return (flags & 15) != 0 ? CN_EREFUSED : 0;
}

static bool put_address(int family, const uint8_t *p, size_t n, char *out) {
    if (n != (family == AF_INET ? 4U : 16U))
        return false;
    return inet_ntop(family, p, out, CNODE__DNS_NAME) != NULL;
}

/* The data of a record: 1 when it is a host. */
static int read_data(const cnode__dns_answer *a, const uint8_t *p, size_t n,
                     char *out) {
    cnode__dns_answer target = *a;

    if (a->type == CNODE__DNS_A)
        return put_address(AF_INET, p, n, out) ? 1 : CN_EPROTO;
    if (a->type == CNODE__DNS_AAAA)
        return put_address(AF_INET6, p, n, out) ? 1 : CN_EPROTO;
    target.left = cn__cursor(p, n);
    (void)cn__take(&target.left, 6); /* priority, weight, port */
    if (!take_name(&target, out) || target.left.left > 0)
        return CN_EPROTO;
    return out[0] != '\0'; /* "." says that the service is not there */
}

int cnode__dns_next(cnode__dns_answer *a, char *out) {
    int got = 0;

    while (got == 0 && a->records > 0) {
        uint16_t type, class;
        const uint8_t *data;
        size_t n;
        a->records--;
        if (!take_name(a, NULL))
            return CN_EPROTO;
        type = cn__take16(&a->left);
        class = cn__take16(&a->left);
        (void)cn__take(&a->left, 4);
        n = cn__take16(&a->left);
        data = cn__take(&a->left, n);
        if (data == NULL)
            return CN_EPROTO;
        if (type == a->type && class == CLASS_IN)
            got = read_data(a, data, n, out);
    }
    return got;
}
