/* SPDX-License-Identifier: Apache-2.0
 *
 * roundtrip.h: a property of every well-formed term, for the fuzz targets.
 */
#ifndef TESTS_FUZZ_ROUNDTRIP_H
#define TESTS_FUZZ_ROUNDTRIP_H

#include <stdlib.h>
#include <string.h>

#include "ext_term/ext_term.h"

#define REQUIRE(what)                                                          \
    do {                                                                       \
        if (!(what))                                                           \
            abort();                                                           \
    } while (0)

static inline bool is_term(etf_view in) {
    return etf_check(NULL, NULL, in, NULL) == 0;
}

/* Closures and what is too deep are printed for people only. */
static inline bool for_people(const char *text) {
    return strstr(text, "#Fun<") != NULL || strstr(text, "#too_deep") != NULL ||
           strstr(text, "#malformed") != NULL;
}

/* However it is printed, it is the same term. */
static inline void in_lines(etf_view term, const char *text, size_t n) {
    static char lines[1 << 20], again[1 << 20];
    static const etf_text_options forms[] = {
        {.width = 20, .range = ETF_RANGE_UNICODE},
        {.width = 80, .latin1 = true, .range = ETF_RANGE_LATIN1},
        {.style = ETF_STYLE_W, .latin1 = true}};
    etf_writer w;
    etf_view t;
    size_t m;

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        REQUIRE(etf_format(&forms[i], term, lines, sizeof lines, &m) == 0);
        if (m >= sizeof lines)
            continue;
        etf_writer_init(&w, NULL);
        REQUIRE(etf_parse_n(&w, lines, m, NULL) == 0);
        REQUIRE(etf_writer_finish(&w, &t) == 0);
        REQUIRE(etf_print(t, again, sizeof again) == n);
        REQUIRE(memcmp(text, again, n) == 0);
        etf_writer_free(&w);
    }
}

/* A term, but that its maps may have equal keys, as texts and patterns can. */
static inline bool sound(etf_view term) {
    etf_reader r;

    etf_reader_init(&r, term);
    etf_skip(&r);
    return etf_reader_finish(&r) == 0 && etf_reader_left(&r) == 0;
}

/* What a term prints is parsed to a term that prints the same; and parsing
 * needs as much memory as it says. */
static inline void roundtrip(etf_view term) {
    static char text[1 << 20], again[1 << 20];
    static uint8_t room[1 << 20];
    size_t n = etf_print(term, text, sizeof text);
    etf_writer w;
    etf_view t;
    int err;

    if (n >= sizeof text)
        return;
    etf_writer_init(&w, NULL);
    err = etf_parse_n(&w, text, n, NULL);
    REQUIRE(err == 0 || err == CN_ELIMIT || for_people(text));
    if (err == 0) {
        REQUIRE(etf_writer_finish(&w, &t) == 0 && sound(t));
        REQUIRE(etf_print(t, again, sizeof again) == n);
        REQUIRE(memcmp(text, again, n) == 0);
        in_lines(term, text, n);
    }
    etf_writer_free(&w);
    if (err != 0 || t.len > sizeof room)
        return;
    etf_writer_init_fixed(&w, room, t.len);
    REQUIRE(etf_parse_n(&w, text, n, NULL) == 0);
}

#endif
