/* SPDX-License-Identifier: Apache-2.0
 *
 * vectors.c: the codec as two files, on whatever machine: every vector of
 * tests/data is read, printed, parsed and hashed, and has to give what Erlang
 * gave. A line for each says all that came out, also of damaged copies of it,
 * so that the lines of two machines can be compared.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "etf.h"

enum { LONGEST = 1 << 16, DAMAGED = 20 };

static char line[LONGEST], printed[4 * LONGEST];
static uint8_t bytes[LONGEST / 2], damaged[LONGEST / 2];
static size_t failed;

#define EXPECT(what)                                                           \
    do {                                                                       \
        if (!(what)) {                                                         \
            printf("line %d: %s does not hold for %s\n", __LINE__, #what,      \
                   line);                                                      \
            failed++;                                                          \
        }                                                                      \
    } while (0)

/* --- a digest of everything that came out --------------------------------- */

typedef struct digest {
    uint64_t sum;
} digest;

static void add_number(digest *d, uint64_t v) {
    for (int i = 0; i < 8; i++)
        d->sum = (d->sum ^ (v >> (8 * i) & 0xff)) * UINT64_C(0x100000001b3);
}

static void add_bytes(digest *d, const void *p, size_t n) {
    const uint8_t *b = p;

    add_number(d, n);
    for (size_t i = 0; i < n; i++)
        add_number(d, b[i]);
}

static void add_double(digest *d, double v) {
    uint64_t u;

    memcpy(&u, &v, sizeof u);
    add_number(d, u);
}

/* --- reading ----------------------------------------------------------------
 */

static void add_value(digest *d, etf_reader *r, etf_type type) {
    etf_reader at = *r;
    etf_view v;
    bool minus = false;

    add_number(d, (uint64_t)etf_get_int(&at));
    at = *r;
    add_number(d, etf_get_uint(&at));
    at = *r;
    add_double(d, etf_get_float(&at));
    at = *r;
    v = etf_get_big(&at, &minus);
    add_bytes(d, v.data, v.len);
    add_number(d, minus);
    at = *r;
    v = etf_get_atom(&at);
    add_bytes(d, v.data, v.len);
    add_number(d, (uint64_t)type);
}

/* Every value of the term, to its end or to the first error. */
static void add_term(digest *d, etf_view term) {
    etf_reader r;
    etf_type type;

    etf_reader_init(&r, term);
    while ((type = etf_peek(&r)) != ETF_NONE) {
        add_value(d, &r, type);
        if (type == ETF_LIST)
            add_number(d, etf_get_list(&r));
        else if (type == ETF_TUPLE)
            add_number(d, etf_get_tuple(&r));
        else if (type == ETF_MAP)
            add_number(d, etf_get_map(&r));
        else
            etf_skip(&r);
    }
    add_number(d, (uint64_t)r.err);
    add_number(d, r.err_at);
}

/* The same by etf_next, which has code of its own in the header. */
static void add_items(digest *d, etf_view term) {
    etf_item it = {0};
    etf_reader r;

    etf_reader_init(&r, term);
    for (uint64_t left = 1; left > 0; left += it.children - 1) {
        if (etf_next(&r, &it) == ETF_NONE)
            break;
        add_number(d, (uint64_t)it.type);
        add_number(d, it.children);
        if (it.type == ETF_FLOAT)
            add_double(d, it.f);
        else if (it.type == ETF_INT && !it.wide)
            add_number(d, (uint64_t)it.i);
        else if (it.type == ETF_ATOM || it.type == ETF_BINARY ||
                 it.type == ETF_STRING || it.type == ETF_INT)
            add_bytes(d, it.bytes.data, it.bytes.len);
    }
    add_number(d, (uint64_t)r.err);
}

static void add_check(digest *d, etf_view term) {
    etf_error e;

    add_number(d, (uint64_t)etf_check(NULL, NULL, term, &e));
    add_number(d, e.at);
    add_bytes(d, e.what, strlen(e.what));
}

static void add_print(digest *d, etf_view term) {
    size_t n = etf_print(term, printed, sizeof printed);

    add_bytes(d, printed, n < sizeof printed ? n : sizeof printed - 1);
}

static void add_hash(digest *d, etf_view term) {
    uint32_t h = 0;

    add_number(d, (uint64_t)etf_phash2(NULL, term, ETF_PHASH2_ALL, &h));
    add_number(d, h);
}

static void add_all(digest *d, etf_view term) {
    add_term(d, term);
    add_items(d, term);
    add_check(d, term);
    add_print(d, term);
    add_hash(d, term);
}

static void add_damaged(digest *d, etf_view term) {
    uint32_t seed = (uint32_t)term.len;

    for (int i = 0; i < DAMAGED; i++) {
        memcpy(damaged, term.data, term.len);
        for (int k = 0; k <= i % 3; k++) {
            seed = seed * 1664525 + 1013904223;
            damaged[(seed >> 8) % term.len] = (uint8_t)(seed >> 24);
        }
        etf_view t = {damaged, term.len - (i % 7 == 6)};
        add_all(d, t);
    }
}

/* --- the vectors ---------------------------------------------------------- */

static unsigned nibble(char c) {
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static etf_view from_hex(const char *hex) {
    size_t n = strlen(hex) / 2;

    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
    return (etf_view){bytes, n};
}

static void expect_parse(const char *text, etf_view term) {
    etf_writer w;
    etf_view t = {NULL, 0};

    etf_writer_init(&w, NULL);
    EXPECT(etf_parse(&w, text, NULL) == 0);
    EXPECT(etf_writer_finish(&w, &t) == 0 && etf_view_eq(t, term));
    etf_writer_free(&w);
}

static void term_vector(void) {
    digest d = {0};
    char *hex = strchr(line + 2, '\t');
    etf_view term;

    if (hex == NULL)
        return;
    *hex++ = '\0';
    term = from_hex(hex);
    EXPECT(etf_print(term, printed, sizeof printed) == strlen(line + 2));
    EXPECT(strcmp(printed, line + 2) == 0);
    if (line[0] == '=')
        expect_parse(line + 2, term);
    add_all(&d, term);
    add_damaged(&d, term);
    printf("%016" PRIx64 " %.40s\n", d.sum, hex);
}

static void hash_vector(void) {
    uint32_t narrow, wide, h = 0;
    digest d = {0};
    etf_view term;
    int at = 0;

    if (sscanf(line, "%" SCNu32 " %" SCNu32 " %n", &narrow, &wide, &at) < 2)
        return;
    term = from_hex(line + at);
    EXPECT(etf_phash2(NULL, term, ETF_PHASH2_RANGE, &h) == 0 && h == narrow);
    EXPECT(etf_phash2(NULL, term, ETF_PHASH2_ALL, &h) == 0 && h == wide);
    add_damaged(&d, term);
    printf("%016" PRIx64 " %.40s\n", d.sum, line + at);
}

/* --- what 32 bits do not count ----------------------------------------------
 */

static void expand_large(void) {
    enum { ATOM = 255 * 4, N = 4198405 }; /* N * (3 + ATOM) is 2^32 and 1019 */
    static char text[ATOM];
    const etf_view table = etf_view_of(text, ATOM);
    uint8_t *in = malloc(5 + 2 * N + 1);
    etf_writer w;

    for (size_t i = 0; i < ATOM; i += 4)
        memcpy(text + i, "\xf0\x9f\x98\x80", 4);
    memcpy(in, "\x6c\0\x40\x10\x05", 5);
    for (size_t i = 0; i < N; i++)
        memcpy(in + 5 + 2 * i, "R\0", 2);
    in[5 + 2 * N] = 106;
    etf_writer_init_fixed(&w, damaged, sizeof damaged);
    EXPECT(etf_expand(&w, &table, 1, etf_view_of(in, 5 + 2 * N + 1)) ==
           CN_ELIMIT);
    EXPECT(w.len == 0 || (uint64_t)w.len == UINT64_C(4294968321));
    free(in);
}

/* Lists in lists, each on a line of its own and further to the right. */
static void print_large(void) {
    enum { DEPTH = 100000 };
    const etf_text_options o = {.width = 10};
    uint8_t *in = malloc(8 * DEPTH + 2), *p = in;
    size_t len;

    for (size_t i = 0; i < DEPTH; i++, p += 5)
        memcpy(p, "\x6c\0\0\0\2", 5);
    memcpy(p, "\x61\1", 2);
    p += 2;
    for (size_t i = 0; i < DEPTH; i++, p += 3)
        memcpy(p, "\x61\2\x6a", 3);
    EXPECT(etf_format(&o, etf_view_of(in, 8 * DEPTH + 2), printed, 100, &len) ==
           0);
    EXPECT(len >= UINT32_MAX);
    free(in);
}

static void write_large(void) {
    etf_writer w;

    etf_writer_init_fixed(&w, damaged, sizeof damaged);
    etf_put_string(&w, line, 0x7ffffffe);
    EXPECT(etf_writer_finish(&w, NULL) == CN_ELIMIT);
    EXPECT(w.len == 0 || (uint64_t)w.len == UINT64_C(0x100000002));
    etf_writer_init_fixed(&w, damaged, sizeof damaged);
    etf_put_binary(&w, line, SIZE_MAX);
    EXPECT(etf_writer_finish(&w, NULL) == CN_ELIMIT && w.len == 0);
    etf_writer_init_fixed(&w, damaged, sizeof damaged);
    etf_put_int(&w, 300);
    etf_put_binary(&w, line, UINT32_MAX - 1);
    EXPECT(etf_writer_finish(&w, NULL) == CN_ELIMIT);
    EXPECT(w.len == 5 || (uint64_t)w.len == UINT64_C(0x100000008));
}

/* An index of 4 GiB, which only where it cannot be is worth the memory. */
static void index_large(void) {
    const size_t n = (size_t)1 << 28;
    size_t need = 1;
    etf_index x;
    uint8_t *in;

    if (SIZE_MAX > UINT32_MAX)
        return;
    in = malloc(5 + n + 1);
    EXPECT(in != NULL);
    if (in == NULL)
        return;
    memset(in, 106, 5 + n + 1);
    memcpy(in, "\x6c\x10\0\0\0", 5);
    EXPECT(etf_index_build(&x, NULL, NULL, etf_view_of(in, 5 + n + 1), NULL, 0,
                           &need) == CN_ELIMIT);
    EXPECT(need == 0);
    EXPECT(etf_index_make(&x, NULL, NULL, etf_view_of(in, 5 + n + 1)) ==
           CN_ELIMIT);
    free(in);
}

static void each_line(const char *path, void (*vector)(void)) {
    FILE *f = fopen(path, "r");
    size_t n = 0;

    if (f == NULL) {
        perror(path);
        exit(1);
    }
    for (; fgets(line, sizeof line, f) != NULL; n++) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '#')
            vector();
    }
    (void)fclose(f);
    if (n < 100) {
        printf("%s: only %zu lines\n", path, n);
        failed++;
    }
}

int main(void) {
    each_line("tests/data/term_vectors.txt", term_vector);
    each_line("tests/data/phash2_vectors.txt", hash_vector);
    (void)strcpy(line, "what is large");
    expand_large();
    print_large();
    write_large();
    index_large();
    printf("%zu failed\n", failed);
    return failed != 0;
}
