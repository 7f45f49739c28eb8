/* SPDX-License-Identifier: Apache-2.0
 *
 * json_parse.c: JSON as a term. jansson parses the text, and bounds its
 * depth; what it made is then walked with a stack of our own.
 */
#include "cli/json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json_tags.h"
#include "cli/text.h"

/* jansson parses no deeper than this. */
#define DEPTH 2048

typedef enum shape {
    ITEMS,       /* elements */
    BINARY_KEYS, /* members of an object */
    ATOM_KEYS,
    PAIRS /* [key, value] arrays */
} shape;

/* A term whose header is written and whose elements follow. */
typedef struct frame {
    shape shape;
    bool nil; /* a list: its end is to be written */
    const json_t *node;
    size_t at; /* elements done; keys and values of pairs counted apart */
    void *member;
} frame;

typedef struct parser {
    etf_writer *w;
    char *why;
    size_t depth;
    frame stack[DEPTH];
} parser;

static int complain(const parser *p, const char *what) {
    (void)snprintf(p->why, CLI_JSON_WHY, "%s", what);
    return CN_ESYNTAX;
}

static const char long_atom[] = "an atom of more than 255 characters";

static void put_name(parser *p, const char *text, size_t n) {
    if (cli_utf8_length(text, n) > 255)
        etf_writer_fail(p->w, complain(p, long_atom));
    else
        etf_put_atom_n(p->w, text, n);
}

static int push(parser *p, shape s, bool nil, const json_t *node) {
    if (p->depth == DEPTH)
        return complain(p, "nested too deeply");
    p->stack[p->depth++] = (frame){s, nil, node, 0, NULL};
    return 0;
}

/* --- leaves -------------------------------------------------------------- */

static bool uint_of(const json_t *v, uint64_t max, uint64_t *out) {
    if (!json_is_integer(v) || json_integer_value(v) < 0 ||
        (uint64_t)json_integer_value(v) > max)
        return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

static bool uint32_of(const json_t *v, uint32_t *out) {
    uint64_t n;

    if (!uint_of(v, UINT32_MAX, &n))
        return false;
    *out = (uint32_t)n;
    return true;
}

static int put_latin1(parser *p, const json_t *text, uint8_t tag) {
    uint8_t room[3 + 255];
    size_t head = tag == TAG_ATOM_EXT ? 3 : 2, n = 0;
    const unsigned char *s = (const unsigned char *)json_string_value(text);
    size_t len = json_string_length(text);

    for (size_t i = 0; i < len; i++) {
        unsigned c = s[i];

        if (c >= 0x80) { /* only two bytes, of which the first is C2 or C3 */
            if (c > 0xc3)
                return complain(p, "not a character of latin-1");
            c = (c & 3U) << 6 | (s[++i] & 0x3fU);
        }
        if (n == 255)
            return complain(p, long_atom);
        room[head + n++] = (uint8_t)c;
    }
    room[0] = tag;
    room[1] = 0;
    room[head - 1] = (uint8_t)n;
    etf_put_term(p->w, (etf_view){room, head + n});
    return 0;
}

static int put_long_utf8(parser *p, const json_t *text) {
    uint8_t room[3 + CLI_ATOM_MAX];
    size_t len = json_string_length(text);

    if (len >= CLI_ATOM_MAX)
        return complain(p, long_atom);
    room[0] = TAG_ATOM_UTF8_EXT;
    room[1] = (uint8_t)(len >> 8);
    room[2] = (uint8_t)len;
    memcpy(room + 3, json_string_value(text), len);
    if (etf_check(NULL, NULL, (etf_view){room, 3 + len}, NULL) != 0)
        return complain(p, long_atom);
    etf_put_term(p->w, (etf_view){room, 3 + len});
    return 0;
}

/* ["text", tag]: an atom in another encoding than ours. */
static int put_atom_as(parser *p, const json_t *pair) {
    const json_t *text = json_array_get(pair, 0);
    uint64_t tag;

    if (json_array_size(pair) != 2 || !json_is_string(text) ||
        !uint_of(json_array_get(pair, 1), 255, &tag))
        return complain(p, "\"a\" needs a string, or a string and a tag");
    if (tag == TAG_ATOM_EXT || tag == TAG_SMALL_ATOM_EXT)
        return put_latin1(p, text, (uint8_t)tag);
    if (tag == TAG_ATOM_UTF8_EXT)
        return put_long_utf8(p, text);
    return complain(p, "unknown encoding of an atom");
}

static int put_atom(parser *p, const json_t *v) {
    if (json_is_array(v))
        return put_atom_as(p, v);
    if (json_is_object(v)) {
        etf_put_map(p->w, json_object_size(v));
        return push(p, ATOM_KEYS, false, v);
    }
    if (!json_is_string(v))
        return complain(p, "\"a\" needs a string, an array or an object");
    put_name(p, json_string_value(v), json_string_length(v));
    return 0;
}

/* Hands the bytes of a string of hex digits to put. */
static int with_hex(parser *p, const json_t *v, size_t bits,
                    int (*put)(parser *p, const uint8_t *data, size_t n,
                               size_t bits)) {
    size_t len = json_string_length(v);
    uint8_t *data;
    long n;
    int rc;

    if (!json_is_string(v))
        return complain(p, "hexadecimal digits are needed");
    data = malloc(len / 2 + 1);
    if (data == NULL)
        return CN_ENOMEM;
    n = cli_hex_parse(json_string_value(v), len, data);
    rc = n < 0 ? complain(p, "not hexadecimal") : put(p, data, (size_t)n, bits);
    free(data);
    return rc;
}

static int hex_binary(parser *p, const uint8_t *data, size_t n, size_t bits) {
    (void)bits;
    etf_put_binary(p->w, data, n);
    return 0;
}

static int hex_bits(parser *p, const uint8_t *data, size_t n, size_t bits) {
    if (n != bits / 8 + (bits % 8 != 0))
        return complain(p, "\"bits\" does not say how many there are");
    etf_put_bits(p->w, data, bits);
    return 0;
}

static int hex_etf(parser *p, const uint8_t *data, size_t n, size_t bits) {
    (void)bits;
    if (etf_check(NULL, NULL, (etf_view){data, n}, NULL) != 0)
        return complain(p, "\"etf\" holds a malformed term");
    etf_put_term(p->w, (etf_view){data, n});
    return 0;
}

static int put_binary(parser *p, const json_t *v) {
    return with_hex(p, v, 0, hex_binary);
}

static int put_etf(parser *p, const json_t *v) {
    return with_hex(p, v, 0, hex_etf);
}

static int put_bits(parser *p, const json_t *v) {
    uint64_t bits;

    if (json_array_size(v) != 2 ||
        !uint_of(json_array_get(v, 0), SIZE_MAX / 16, &bits))
        return complain(p, "\"bits\" needs [bits, hex]");
    return with_hex(p, json_array_get(v, 1), (size_t)bits, hex_bits);
}

/* As etf_print has it: decimal, or 16#HEX when it is very large. */
static int put_integer(parser *p, const json_t *v) {
    const char *s = json_is_string(v) ? json_string_value(v) : "";
    const char *digits = s + (*s == '-');
    bool hex = strncmp(digits, "16#", 3) == 0;

    digits += hex ? 3 : 0;
    if (*digits == '\0' ||
        digits[strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789")] !=
            '\0')
        return complain(p, "\"i\" needs a string of digits");
    return etf_parse_n(p->w, s, strlen(s), NULL);
}

/* --- identifiers --------------------------------------------------------- */

static bool node_of(const json_t *v, char node[ETF_NODE_MAX + 1],
                    uint16_t *len) {
    size_t n = json_string_length(v);

    if (!json_is_string(v) || n > ETF_NODE_MAX)
        return false;
    memcpy(node, json_string_value(v), n);
    node[n] = '\0';
    *len = (uint16_t)n;
    return true;
}

static int put_pid(parser *p, const json_t *v) {
    etf_pid pid = {0};

    if (json_array_size(v) != 4 ||
        !node_of(json_array_get(v, 0), pid.node, &pid.node_len) ||
        !uint32_of(json_array_get(v, 1), &pid.id) ||
        !uint32_of(json_array_get(v, 2), &pid.serial) ||
        !uint32_of(json_array_get(v, 3), &pid.creation))
        return complain(p, "\"pid\" needs [node, id, serial, creation]");
    etf_put_pid(p->w, &pid);
    return 0;
}

static int put_port(parser *p, const json_t *v) {
    etf_port port = {0};

    if (json_array_size(v) != 3 ||
        !node_of(json_array_get(v, 0), port.node, &port.node_len) ||
        !uint_of(json_array_get(v, 1), INT64_MAX, &port.id) ||
        !uint32_of(json_array_get(v, 2), &port.creation))
        return complain(p, "\"port\" needs [node, id, creation]");
    etf_put_port(p->w, &port);
    return 0;
}

static int put_ref(parser *p, const json_t *v) {
    etf_ref ref = {0};
    size_t n = json_array_size(v);
    bool good = n >= 2 && n <= 2 + ETF_REF_WORDS &&
                node_of(json_array_get(v, 0), ref.node, &ref.node_len) &&
                uint32_of(json_array_get(v, 1), &ref.creation);

    for (size_t i = 2; good && i < n; i++)
        good = uint32_of(json_array_get(v, i), &ref.ids[ref.n++]);
    if (!good)
        return complain(p, "\"ref\" needs [node, creation, word...]");
    etf_put_ref(p->w, &ref);
    return 0;
}

/* The text of a string, in which there may be a NUL; without data for what is
 * none. */
static etf_view text_of(const json_t *v) {
    return (etf_view){(const uint8_t *)json_string_value(v),
                      json_string_length(v)};
}

static bool is_long(etf_view atom) {
    return cli_utf8_length((const char *)atom.data, atom.len) > 255;
}

static int put_fun(parser *p, const json_t *v) {
    etf_view mod = text_of(json_array_get(v, 0));
    etf_view fun = text_of(json_array_get(v, 1));
    uint64_t arity;

    if (json_array_size(v) != 3 || mod.data == NULL || fun.data == NULL ||
        !uint_of(json_array_get(v, 2), UINT8_MAX, &arity))
        return complain(p, "\"fun\" needs [module, function, arity]");
    if (is_long(mod) || is_long(fun))
        return complain(p, long_atom);
    etf_put_export_n(p->w, mod, fun, (uint8_t)arity);
    return 0;
}

/* --- containers ---------------------------------------------------------- */

static int put_tuple(parser *p, const json_t *v) {
    if (!json_is_array(v))
        return complain(p, "\"t\" needs an array");
    etf_put_tuple(p->w, json_array_size(v));
    return push(p, ITEMS, false, v);
}

static int put_improper(parser *p, const json_t *v) {
    if (json_array_size(v) < 2)
        return complain(p, "\"improper\" needs an array of two or more");
    etf_put_list(p->w, json_array_size(v) - 1);
    return push(p, ITEMS, false, v);
}

static int put_map(parser *p, const json_t *v) {
    if (!json_is_array(v))
        return complain(p, "\"m\" needs an array of pairs");
    for (size_t i = 0; i < json_array_size(v); i++)
        if (json_array_size(json_array_get(v, i)) != 2)
            return complain(p, "\"m\" needs an array of pairs");
    etf_put_map(p->w, json_array_size(v));
    return push(p, PAIRS, false, v);
}

/* Erlang writes a list of bytes as STRING_EXT. */
static bool put_byte_list(const parser *p, const json_t *v) {
    size_t n = json_array_size(v);
    char room[256];
    char *s = n <= sizeof room ? room : malloc(n);
    uint64_t byte;
    size_t i = 0;

    if (s == NULL) {
        etf_writer_fail(p->w, CN_ENOMEM);
        return true;
    }
    while (i < n && uint_of(json_array_get(v, i), 255, &byte))
        s[i++] = (char)byte;
    if (i == n)
        etf_put_string(p->w, s, n);
    if (s != room)
        free(s);
    return i == n;
}

static int put_list(parser *p, const json_t *v) {
    size_t n = json_array_size(v);

    if (n == 0) {
        etf_put_nil(p->w);
        return 0;
    }
    if (n <= UINT16_MAX && put_byte_list(p, v))
        return 0;
    etf_put_list(p->w, n);
    return push(p, ITEMS, true, v);
}

typedef struct tag {
    const char *name;
    int (*put)(parser *p, const json_t *v);
} tag;

static const tag tags[] = {
    {TAG_ATOM, put_atom},   {TAG_BINARY, put_binary},
    {TAG_BITS, put_bits},   {TAG_INTEGER, put_integer},
    {TAG_TUPLE, put_tuple}, {TAG_IMPROPER, put_improper},
    {TAG_MAP, put_map},     {TAG_PID, put_pid},
    {TAG_PORT, put_port},   {TAG_REF, put_ref},
    {TAG_FUN, put_fun},     {TAG_ETF, put_etf},
};

#define NTAGS (sizeof tags / sizeof *tags)

bool cli_json_is_tag(etf_view name) {
    for (size_t i = 0; i < NTAGS; i++)
        if (etf_view_is(name, tags[i].name))
            return true;
    return false;
}

static int put_object(parser *p, const json_t *v) {
    if (json_object_size(v) == 1)
        for (size_t i = 0; i < NTAGS; i++) {
            const json_t *arg = json_object_get(v, tags[i].name);

            if (arg != NULL)
                return tags[i].put(p, arg);
        }
    etf_put_map(p->w, json_object_size(v));
    return push(p, BINARY_KEYS, false, v);
}

/* --- the walk ------------------------------------------------------------ */

static int put_value(parser *p, const json_t *v) {
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return put_object(p, v);
    case JSON_ARRAY:
        return put_list(p, v);
    case JSON_STRING:
        etf_put_binary(p->w, json_string_value(v), json_string_length(v));
        return 0;
    case JSON_INTEGER:
        etf_put_int(p->w, json_integer_value(v));
        return 0;
    case JSON_REAL:
        etf_put_float(p->w, json_real_value(v));
        return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        etf_put_bool(p->w, json_is_true(v));
        return 0;
    case JSON_NULL:
        etf_put_atom(p->w, "null");
        return 0;
    }
    return CN_EBUG;
}

/* The next member: its key is written, its value returned. */
static const json_t *next_member(parser *p, frame *f) {
    /* jansson's iterators want an object they could change. */
    union {
        const json_t *c;
        json_t *m;
    } u = {f->node};
    const char *key;
    size_t n;

    f->member = f->member == NULL ? json_object_iter(u.m)
                                  : json_object_iter_next(u.m, f->member);
    if (f->member == NULL)
        return NULL;
    key = json_object_iter_key(f->member);
    n = json_object_iter_key_len(f->member);
    if (f->shape == ATOM_KEYS)
        put_name(p, key, n);
    else
        etf_put_binary(p->w, key, n);
    return json_object_iter_value(f->member);
}

/* What is to be written next in the frame, or NULL at its end. */
static const json_t *next_value(parser *p, frame *f) {
    size_t i = f->at++;

    if (f->shape == ITEMS)
        return json_array_get(f->node, i);
    if (f->shape == PAIRS)
        return json_array_get(json_array_get(f->node, i / 2), i % 2);
    return next_member(p, f);
}

static int put_all(parser *p, const json_t *root) {
    int rc = put_value(p, root);

    while (rc == 0 && p->depth > 0) {
        frame *f = &p->stack[p->depth - 1];
        const json_t *v = next_value(p, f);

        if (v != NULL) {
            rc = put_value(p, v);
            continue;
        }
        if (f->nil)
            etf_put_nil(p->w);
        p->depth--;
    }
    return rc;
}

static int put_root(etf_writer *w, const json_t *root, char *why) {
    parser *p = calloc(1, sizeof *p);
    int rc;

    if (p == NULL)
        return CN_ENOMEM;
    p->w = w;
    p->why = why;
    rc = put_all(p, root);
    if (rc == 0)
        rc = etf_writer_finish(w, NULL);
    if (rc == CN_ERANGE || rc == CN_ELIMIT || rc == CN_EBADARG)
        rc = complain(p, "a term cannot be that large");
    free(p);
    return rc;
}

int cli_json_parse(etf_writer *w, const char *text, size_t len,
                   char why[CLI_JSON_WHY]) {
    json_error_t error;
    json_t *root = json_loadb(
        text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES,
        &error);
    int rc;

    if (root == NULL && json_error_code(&error) == json_error_out_of_memory)
        return CN_ENOMEM;
    if (root == NULL) {
        (void)snprintf(why, CLI_JSON_WHY, "line %d, column %d: %s", error.line,
                       error.column, error.text);
        return CN_ESYNTAX;
    }
    rc = put_root(w, root, why);
    json_decref(root);
    return rc;
}
