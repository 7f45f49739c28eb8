/* SPDX-License-Identifier: Apache-2.0
 *
 * float.c: floats and their text. The C library follows the locale in what it
 * takes for the decimal point; here it is always a dot.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ext_term/term.h"

/* Long literals are cut: beyond this many characters digits cannot change
 * the nearest double (768 significant ones decide at most). */
enum { TEXT_MAX = 1100 };

static size_t digits(const char *s, size_t n) {
    size_t i = 0;

    while (i < n && s[i] >= '0' && s[i] <= '9')
        i++;
    return i;
}

/* Where the dot is, or n when this is no float. */
static size_t dot_of(const char *s, size_t n) {
    size_t i = n > 0 && (s[0] == '-' || s[0] == '+') ? 1 : 0;
    size_t dot, k = digits(s + i, n - i);

    dot = i + k;
    if (k == 0 || dot == n || s[dot] != '.')
        return n;
    i = dot + 1;
    k = digits(s + i, n - i);
    i += k;
    if (k == 0)
        return n;
    if (i == n)
        return dot;
    if (s[i] != 'e' && s[i] != 'E')
        return n;
    i++;
    if (i < n && (s[i] == '-' || s[i] == '+'))
        i++;
    k = digits(s + i, n - i);
    return k > 0 && i + k == n ? dot : n;
}

/* The decimal point of the locale, without localeconv, which no thread but
 * one may call. */
static size_t point(char out[16]) {
    char half[24];
    int n = snprintf(half, sizeof half, "%.1f", 0.5);

    if (n < 3 || n > 17) {
        out[0] = '.';
        return 1;
    }
    memcpy(out, half + 1, (size_t)n - 2);
    return (size_t)n - 2;
}

/* The powers of ten that a double holds exactly. */
enum { TENS = 22 };
static const double ten[TENS + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* Digits whose number and power of ten are exact need one operation, which
 * rounds once. W. Clinger: How to Read Floating Point Numbers Accurately. */
static bool scan_short(const char *s, size_t n, size_t dot, double *v) {
    bool negative = s[0] == '-';
    int64_t m = 0, exponent = 0;
    size_t i = negative || s[0] == '+' ? 1 : 0;
    char *end;

    if (FLT_EVAL_METHOD != 0 || n > 30)
        return false;
    for (; i < n && s[i] != 'e' && s[i] != 'E'; i++) {
        if (s[i] == '.')
            continue;
        if (m > 900719925474098) /* 2^53 / 10 */
            return false;
        m = m * 10 + (s[i] - '0');
        exponent -= i > dot;
    }
    if (i < n) {
        char text[16] = "";
        if (n - i > sizeof text) /* or a sum with it could overflow */
            return false;
        memcpy(text, s + i + 1, n - i - 1);
        exponent += strtol(text, &end, 10);
    }
    if (exponent < -TENS || exponent > TENS)
        return false;
    *v = exponent < 0 ? (double)m / ten[-exponent] : (double)m * ten[exponent];
    *v = negative ? -*v : *v;
    return true;
}

bool etf__float_scan(const char *text, size_t n, double *v) {
    char copy[TEXT_MAX + 20], pt[16];
    size_t dot = dot_of(text, n), k;

    if (dot == n || n > TEXT_MAX)
        return false;
    if (scan_short(text, n, dot, v))
        return true;
    k = point(pt);
    memcpy(copy, text, dot);
    memcpy(copy + dot, pt, k);
    memcpy(copy + dot + k, text + dot + 1, n - dot - 1);
    copy[n - 1 + k] = '\0';
    *v = strtod(copy, NULL);
    return isfinite(*v);
}

/* The digits of m, without the zeros behind; returns their number, and in *all
 * that with the zeros. */
static int digits_of(uint64_t m, char digit[20], int *all) {
    char text[20];
    int n = 0, at = sizeof text;

    for (; m > 0; m /= 10)
        text[--at] = (char)('0' + m % 10);
    while (at < (int)sizeof text)
        digit[n++] = text[at++];
    *all = n;
    while (n > 1 && digit[n - 1] == '0')
        n--;
    return n;
}

/* Up to 15 digits, when few powers of ten are needed: one division shows
 * whether they read back as v. */
static int short_digits(double v, char digit[20], int *exponent) {
    int n;

    if (FLT_EVAL_METHOD != 0 || v >= 1e15 || v < 1e-5)
        return 0;
    for (int k = 0; k <= TENS; k++) {
        double m = nearbyint(v * ten[k]);
        if (m >= 1e15)
            return 0;
        if (m / ten[k] != v)
            continue;
        n = digits_of((uint64_t)m, digit, exponent);
        *exponent -= k;
        return n;
    }
    return 0;
}

/* v with so many digits behind the first, 16 at most, as "d.ddde+x"; true when
 * it reads back as v. */
static bool reads_back(double v, int precision, char text[40]) {
    (void)snprintf(text, 40, "%.*e", precision, v);
    return strtod(text, NULL) == v;
}

/* Below a power of two the doubles are closer to each other than above it. So
 * the nearest decimal may be too far when it is below, while the next one
 * above, which is farther, is not. */
static bool next_reads_back(double v, int precision, char text[40]) {
    int e;
    char *last = strchr(text, 'e') - 1;

    if (frexp(v, &e) != 0.5 || precision == 0 || *last == '9')
        return false;
    ++*last;
    return strtod(text, NULL) == v;
}

static void long_digits(double v, char text[40]) {
    int precision = v >= DBL_MIN ? 14 : 0;

    while (precision < 16 && !reads_back(v, precision, text) &&
           !next_reads_back(v, precision, text))
        precision++;
    if (precision == 16)
        (void)reads_back(v, precision, text);
}

/* Digits and decimal exponent of v > 0: 0.DIGITS * 10^exponent. */
static int shortest(double v, char digit[20], int *exponent) {
    int n = short_digits(v, digit, exponent);
    char text[40], *e;

    if (n > 0)
        return n;
    long_digits(v, text);
    e = strchr(text, 'e');
    *exponent = (int)strtol(e + 1, NULL, 10) + 1;
    for (const char *p = text; p < e; p++)
        if (*p >= '0' && *p <= '9')
            digit[n++] = *p;
    while (n > 1 && digit[n - 1] == '0')
        n--;
    return n;
}

static size_t put_plain(char *out, const char *digit, int n, int exponent) {
    size_t at = 0;
    int i = 0;

    if (exponent <= 0)
        out[at++] = '0';
    for (; i < exponent; i++)
        out[at++] = i < n ? digit[i] : '0';
    out[at++] = '.';
    for (int zeros = exponent; zeros < 0; zeros++)
        out[at++] = '0';
    if (i >= n)
        out[at++] = '0';
    for (; i < n; i++)
        out[at++] = digit[i];
    return at;
}

static size_t put_scientific(char *out, const char *digit, int n,
                             int exponent) {
    size_t at = 0;

    out[at++] = digit[0];
    out[at++] = '.';
    if (n == 1)
        out[at++] = '0';
    for (int i = 1; i < n; i++)
        out[at++] = digit[i];
    return at + (size_t)snprintf(out + at, 8, "e%d", exponent - 1);
}

/* Erlang takes the shorter of 0.001 and 1.0e-3, and the second beyond 2^53,
 * where the digits of the first would claim to be exact. */
static bool is_plain(double v, int n, int exponent) {
    char out[32];
    int plain;

    if (v >= 9007199254740992.0)
        return false;
    if (exponent <= 0)
        plain = 2 - exponent + n;
    else
        plain = exponent >= n ? exponent + 2 : n + 1;
    return plain <=
           (int)put_scientific(out, "0000000000000000000", n, exponent);
}

size_t etf__float_text(double v, char out[ETF__FLOAT_ROOM]) {
    char digit[20] = "0";
    size_t at = 0;
    int n, exponent;

    if (signbit(v)) {
        out[at++] = '-';
        v = -v;
    }
    if (v == 0) {
        memcpy(out + at, "0.0", 3);
        return at + 3;
    }
    n = shortest(v, digit, &exponent);
    if (is_plain(v, n, exponent))
        return at + put_plain(out + at, digit, n, exponent);
    return at + put_scientific(out + at, digit, n, exponent);
}
