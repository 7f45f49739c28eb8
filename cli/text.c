/* SPDX-License-Identifier: Apache-2.0
 *
 * text.c: hexadecimal, UTF-8, names and whole files.
 */
#include "cli/text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- hexadecimal --------------------------------------------------------- */

void cli_hex_print(const void *data, size_t n, FILE *out) {
    const uint8_t *p = data;

    for (size_t i = 0; i < n; i++) {
        (void)fputc("0123456789abcdef"[p[i] >> 4], out);
        (void)fputc("0123456789abcdef"[p[i] & 15], out);
    }
}

static int digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

long cli_hex_parse(const char *text, size_t len, uint8_t *out) {
    long n = 0;

    for (size_t i = 0; i < len; i++) {
        int high, low;

        if (strchr(" \t\r\n", text[i]) != NULL && text[i] != '\0')
            continue;
        high = digit(text[i++]);
        low = i < len ? digit(text[i]) : -1;
        if (high < 0 || low < 0)
            return -1;
        out[n++] = (uint8_t)(high << 4 | low);
    }
    return n;
}

/* --- UTF-8 --------------------------------------------------------------- */

/* Length of the character that starts at p, 0 when it is none. */
static size_t utf8_char(const uint8_t *p, size_t left) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80   ? 1
               : p[0] < 0xc0 ? 0
               : p[0] < 0xe0 ? 2
               : p[0] < 0xf0 ? 3
               : p[0] < 0xf8 ? 4
                             : 0;
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7fU >> n);

    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fU);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    return n;
}

bool cli_is_utf8(const void *data, size_t n) {
    const uint8_t *p = data;

    while (n > 0) {
        size_t k = utf8_char(p, n);

        if (k == 0)
            return false;
        p += k;
        n -= k;
    }
    return true;
}

size_t cli_utf8_length(const char *text, size_t n) {
    size_t chars = 0;

    for (size_t i = 0; i < n; i++)
        chars += ((unsigned char)text[i] & 0xc0) != 0x80;
    return chars;
}

void cli_tame(char *text) {
    unsigned char before = 0;

    for (char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;

        /* U+0080 to U+009F are c2 and the character. */
        if (c < ' ' || c == 0x7f || (before == 0xc2 && c < 0xa0))
            *p = '?';
        if (before == 0xc2 && c < 0xa0)
            p[-1] = '?';
        before = c;
    }
}

/* --- files --------------------------------------------------------------- */

int cli_read_all(FILE *in, char **out, size_t *len) {
    size_t cap = 4096, n = 0, got;
    char *p = malloc(cap + 1);

    while (p != NULL && (got = fread(p + n, 1, cap - n, in)) > 0) {
        n += got;
        if (n == cap) {
            char *more = realloc(p, cap * 2 + 1);

            if (more == NULL)
                free(p);
            p = more;
            cap *= 2;
        }
    }
    if (p == NULL)
        return CN_ENOMEM;
    if (ferror(in)) {
        free(p);
        return CN_EIO;
    }
    p[n] = '\0';
    *out = p;
    *len = n;
    return 0;
}

/* --- names --------------------------------------------------------------- */

static void host_name(char out[CLI_NAME_MAX], bool only_short) {
    if (gethostname(out, CLI_NAME_MAX) != 0)
        memcpy(out, "localhost", sizeof "localhost");
    out[CLI_NAME_MAX - 1] = '\0';
    if (only_short)
        out[strcspn(out, ".")] = '\0';
}

int cli_node_name(const char *given, char out[CLI_NAME_MAX]) {
    char host[CLI_NAME_MAX];
    const char *at = strchr(given, '@');
    int n;

    host_name(host, true);
    for (const char *p = given; *p != '\0'; p++)
        if (*p <= ' ' || *p > '~')
            return -1;
    if (at == given || *given == '\0' ||
        (at != NULL && (at[1] == '\0' || strchr(at + 1, '@') != NULL)))
        return -1;
    n = at != NULL ? snprintf(out, CLI_NAME_MAX, "%s", given)
                   : snprintf(out, CLI_NAME_MAX, "%s@%s", given, host);
    return n > 0 && n < CLI_NAME_MAX ? 0 : -1;
}

void cli_own_name(const char *peer, char out[CLI_NAME_MAX]) {
    const char *at = strchr(peer, '@');
    const char *peer_host = at != NULL ? at + 1 : peer;
    char host[CLI_NAME_MAX];
    bool is_long = strpbrk(peer_host, ".:") != NULL;

    host_name(host, !is_long);
    if (strncmp(peer_host, "127.", 4) == 0 || strcmp(peer_host, "::1") == 0 ||
        strcmp(peer_host, "localhost") == 0)
        (void)snprintf(host, sizeof host, "%s", peer_host);
    else if (is_long && strchr(host, '.') == NULL)
        memcpy(host, "127.0.0.1", sizeof "127.0.0.1");
    (void)snprintf(out, CLI_NAME_MAX, "cnode_%ld@%.200s", (long)getpid(), host);
}

/* --- atoms --------------------------------------------------------------- */

static bool atom_fits(const char *text, size_t n) {
    return cli_utf8_length(text, n) <= 255 && cli_is_utf8(text, n) &&
           memchr(text, 0, n) == NULL;
}

static int store_atom(const char *text, size_t n, char out[CLI_ATOM_MAX]) {
    if (!atom_fits(text, n))
        return -1;
    memcpy(out, text, n);
    out[n] = '\0';
    return 0;
}

int cli_atom(const char *given, size_t n, char out[CLI_ATOM_MAX]) {
    uint8_t room[CLI_ATOM_MAX + 8];
    etf_writer w;
    etf_reader r;
    etf_view term, text;

    if (n == 0)
        return -1;
    if (given[0] != '\'')
        return store_atom(given, n, out);
    etf_writer_init_fixed(&w, room, sizeof room);
    if (etf_parse_n(&w, given, n, NULL) != 0 ||
        etf_writer_finish(&w, &term) != 0)
        return -1;
    etf_reader_init(&r, term);
    text = etf_get_atom(&r);
    if (etf_reader_finish(&r) != 0)
        return -1;
    return store_atom((const char *)text.data, text.len, out);
}

/* Where an atom ends: behind its closing quote, or at the next colon. */
static size_t atom_end(const char *text) {
    size_t i = 1;

    if (text[0] != '\'')
        return strcspn(text, ":");
    while (text[i] != '\0' && text[i] != '\'')
        i += text[i] == '\\' && text[i + 1] != '\0' ? 2 : 1;
    return text[i] == '\'' ? i + 1 : i;
}

/* name/2 is no name: the arity is that of the arguments. */
static bool ends_with_arity(const char *fun) {
    const char *slash = strrchr(fun, '/');

    return fun[0] != '\'' && slash != NULL && slash != fun &&
           slash[1] != '\0' &&
           slash[1 + strspn(slash + 1, "0123456789")] == '\0';
}

/* What stands in a call or a list needs quotes to be a name. */
static bool is_plain(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strchr(" \t\r\n()[]{},;\"", text[i]) != NULL)
            return false;
    return true;
}

static int name_in_call(const char *text, size_t n, char out[CLI_ATOM_MAX]) {
    return text[0] == '\'' || is_plain(text, n) ? cli_atom(text, n, out) : -1;
}

int cli_mod_fun(const char *given, char mod[CLI_ATOM_MAX],
                char fun[CLI_ATOM_MAX]) {
    size_t n = atom_end(given);

    if (given[n] != ':' || name_in_call(given, n, mod) != 0)
        return -1;
    given += n + 1;
    n = atom_end(given);
    if (given[n] != '\0' || ends_with_arity(given))
        return -1;
    return name_in_call(given, n, fun);
}

/* --- terms --------------------------------------------------------------- */

static bool is_blank(char c) {
    return c != '\0' && strchr(" \t\r\n\f\v", c) != NULL;
}

/* Where, from i on, something else than blanks and comments stands. */
static size_t skip_blank(const char *text, size_t n, size_t i) {
    while (i < n && (is_blank(text[i]) || text[i] == '%')) {
        if (text[i] == '%')
            while (i + 1 < n && text[i + 1] != '\n')
                i++;
        i++;
    }
    return i;
}

bool cli_is_no_term(const char *text, size_t n) {
    return skip_blank(text, n, 0) == n;
}

/* A dot as behind a form of Erlang. */
static bool is_full_stop(const char *text, size_t n, size_t i) {
    return i < n && text[i] == '.' &&
           (i + 1 == n || is_blank(text[i + 1]) || text[i + 1] == '%');
}

static bool begins_term(char c) {
    return c != '\0' && strchr("+-*/=>!|,;:.()]}", c) == NULL;
}

/* etf_parse_with takes a term and nothing but it; what is wrong for it may be
 * the dot behind a term, or one more term. */
int cli_parse_text(etf_writer *w, const char *text, size_t n, etf_error *e) {
    int rc = etf_parse_with(NULL, w, text, n, e);
    size_t end = e->at, next = end;

    if (rc == CN_ESYNTAX && cli_is_no_term(text, n))
        return CN_ENOENT;
    if (rc != CN_ESYNTAX || end == 0 || end >= n)
        return rc;
    if (is_full_stop(text, n, end))
        next = skip_blank(text, n, end + 1);
    else if (!is_blank(text[end - 1]))
        return rc;
    if (next < n && !begins_term(text[next]))
        return rc;
    etf_writer_reset(w);
    if (etf_parse_n(w, text, end, NULL) != 0)
        return rc;
    e->at = next;
    return next == n ? 0 : CN_EEXIST;
}

void cli_position(const char *text, size_t at, size_t *row, size_t *column) {
    *row = *column = 1;
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n') {
            ++*row;
            *column = 1;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            ++*column;
        }
    }
}
