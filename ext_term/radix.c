/* SPDX-License-Identifier: Apache-2.0
 *
 * radix.c: from one radix into another by divide and conquer. Each digit of the
 * old radix A is a number of one digit in the new, larger one; then pairs of
 * numbers are joined, high * A^k + low, with k = 1, 2, 4 and so on, until one
 * is left. All of it is done in the new radix, so there is no division, and all
 * factors have the same length, a power of two, so that Karatsuba's
 * multiplication halves them evenly: n digits cost n^1.6.
 * A. Karatsuba, Y. Ofman: Multiplication of Many-Digital Numbers by Automatic
 * Computers, 1962.
 */
#include "ext_term/radix.h"
#include "base/alloc.h"

/* So many products of two digits, and a carry, fit into 64 bits. */
enum { SHORT = 16 };

size_t etf__radix_room(size_t n) {
    size_t room = 1;

    while (room < n)
        room *= 2;
    return room;
}

/* r = a + b; returns the carry. */
static uint32_t add(uint32_t *r, const uint32_t *a, const uint32_t *b, size_t n,
                    uint32_t radix) {
    uint32_t carry = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t sum = a[i] + b[i] + carry;
        carry = sum >= radix;
        r[i] = carry ? sum - radix : sum;
    }
    return carry;
}

/* r = a - b; returns what is borrowed. */
static uint32_t subtract(uint32_t *r, const uint32_t *a, const uint32_t *b,
                         size_t n, uint32_t radix) {
    uint32_t borrow = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t take = b[i] + borrow;
        borrow = a[i] < take;
        r[i] = borrow ? a[i] + radix - take : a[i] - take;
    }
    return borrow;
}

/* r += carry, where the sum is known to fit. */
static void propagate(uint32_t *r, uint32_t carry, uint32_t radix) {
    for (; carry > 0; r++) {
        uint32_t sum = *r + carry;
        carry = sum >= radix;
        *r = carry ? sum - radix : sum;
    }
}

/* r = |a - b|; true when it is negative. */
static bool distance(uint32_t *r, const uint32_t *a, const uint32_t *b,
                     size_t n, uint32_t radix) {
    if (subtract(r, a, b, n, radix) == 0)
        return false;
    (void)subtract(r, b, a, n, radix);
    return true;
}

/* r[0..2n) = a * b, column by column. */
static void multiply_short(uint32_t *r, const uint32_t *a, const uint32_t *b,
                           size_t n, uint32_t radix) {
    uint64_t column = 0;

    for (size_t k = 0; k < 2 * n; k++) {
        size_t from = k < n ? 0 : k - n + 1;
        for (size_t i = from; i < n && i <= k; i++)
            column += (uint64_t)a[i] * b[k - i];
        if (radix == ETF__DECIMAL_RADIX) { /* faster by a constant */
            r[k] = (uint32_t)(column % ETF__DECIMAL_RADIX);
            column /= ETF__DECIMAL_RADIX;
        } else {
            r[k] = (uint32_t)(column % ETF__BINARY_RADIX);
            column /= ETF__BINARY_RADIX;
        }
    }
}

/* r[0..2n) = a * b, with room for 4n digits. With a = a1 * B + a0 and so on,
 * the middle is a1*b0 + a0*b1 = a0*b0 + a1*b1 - (a1 - a0) * (b1 - b0). The
 * depth of the recursion is the logarithm of n. */
static void multiply(uint32_t *r, const uint32_t *a, const uint32_t *b,
                     size_t n, uint32_t radix, uint32_t *room) {
    size_t half = n / 2;
    uint32_t *middle = room, *product = room + n, carry;
    bool negative;

    if (n <= SHORT) {
        multiply_short(r, a, b, n, radix);
        return;
    }
    negative = distance(middle, a + half, a, half, radix);
    negative ^= distance(middle + half, b + half, b, half, radix);
    multiply(product, middle, middle + half, half, radix, room + 2 * n);
    multiply(r, a, b, half, radix, room + 2 * n);
    multiply(r + n, a + half, b + half, half, radix, room + 2 * n);
    carry = add(middle, r, r + n, n, radix);
    if (negative)
        carry += add(middle, middle, product, n, radix);
    else
        carry -= subtract(middle, middle, product, n, radix);
    carry += add(r + half, r + half, middle, n, radix);
    propagate(r + half + n, carry, radix);
}

static bool is_zero(const uint32_t *a, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (a[i] != 0)
            return false;
    return true;
}

/* The numbers of k digits, two by two: low and high become high * power + low.
 * product has 2k digits. */
static void join(uint32_t *digit, size_t n, size_t k, const uint32_t *power,
                 uint32_t radix, uint32_t *product) {
    uint32_t carry;

    for (size_t i = 0; i < n; i += 2 * k) {
        uint32_t *low = digit + i, *high = low + k;
        if (is_zero(high, k))
            continue;
        multiply(product, high, power, k, radix, product + 2 * k);
        carry = add(low, product, low, k, radix);
        memcpy(high, product + k, k * sizeof *high);
        propagate(high, carry, radix);
    }
}

int etf__radix_convert(const cn_alloc *alloc, uint32_t *digit, size_t n,
                       uint32_t from, uint32_t to) {
    size_t room = etf__radix_room(n), all = 4 * room + 8;
    uint32_t *power = cn__calloc(alloc, all, sizeof *power), *product;

    if (power == NULL)
        return CN_ENOMEM;
    memset(digit + n, 0, (room - n) * sizeof *digit);
    product = power + room;
    power[0] = from;
    for (size_t k = 1; k < room; k *= 2) {
        join(digit, room, k, power, to, product);
        if (2 * k == room)
            break;
        multiply(product, power, power, k, to, product + 2 * k);
        memcpy(power, product, 2 * k * sizeof *power);
    }
    cn__free(alloc, power, all, sizeof *power);
    return 0;
}
