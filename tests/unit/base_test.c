/* SPDX-License-Identifier: Apache-2.0
 *
 * base_test.c: status codes, buffer, cursor, map, log.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "base/map.h"
#include "tests/unit/support.h"

static void status_names(void **state) {
    (void)state;
    assert_string_equal(cn_errname(CN_ENOMEM), "CN_ENOMEM");
    assert_string_equal(cn_strerror(CN_ETIMEDOUT), "timed out");
    assert_string_equal(cn_errname(7), "CN_UNKNOWN");
    assert_string_equal(cn_strerror(-999), "unknown status");
    assert_string_equal(cn_version(), CN_VERSION);
}

static void errors_are_wrapped_and_cut(void **state) {
    cn_error e;
    char longtext[600];

    (void)state;
    assert_int_equal(cn__fail(&e, CN_ECOOKIE, 0, "rejected by %s", "b"),
                     CN_ECOOKIE);
    assert_int_equal(cn__wrap(&e, "a@b"), CN_ECOOKIE);
    assert_string_equal(e.text, "a@b: rejected by b");
    memset(longtext, 'x', sizeof longtext - 1);
    longtext[sizeof longtext - 1] = '\0';
    cn__wrap(&e, "%.230s", longtext);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    cn__wrap(&e, "%s", longtext);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
}

static int buffer_scenario(fault_alloc *f, void *arg) {
    cn_buf b;
    int err = 0;

    (void)arg;
    cn__buf_init(&b, &f->alloc);
    for (int i = 0; i < 1000 && err == 0; i++) {
        uint8_t byte[3] = {(uint8_t)i, 1, 2};
        err = cn__buf_append(&b, byte, 3);
        if (err == 0 && i % 2 == 1)
            cn__buf_consume(&b, 3, 1 << 20);
    }
    if (err == 0) {
        assert_int_equal(cn__buf_size(&b), 1500);
        assert_int_equal(cn__buf_at(&b)[0], (uint8_t)500);
        cn__buf_consume(&b, 1500, 16);
        assert_null(b.data);
    }
    cn__buf_free(&b);
    return err;
}

static void buffer(void **state) {
    (void)state;
    run_with_every_failure(buffer_scenario, NULL);
}

static void sizes_do_not_overflow(void **state) {
    cn_buf b;

    (void)state;
    cn__buf_init(&b, NULL);
    assert_int_equal(cn__buf_append(&b, "abc", 3), 0);
    assert_null(cn__buf_reserve(&b, SIZE_MAX));
    assert_null(cn__buf_reserve(&b, SIZE_MAX - 3));
    assert_null(cn__calloc(NULL, SIZE_MAX / 2, 4));
    cn__buf_free(&b);
}

static void cursor_latches(void **state) {
    static const uint8_t in[] = {1, 0, 2, 0, 0, 0, 3};
    cn_cursor c = cn__cursor(in, sizeof in);

    (void)state;
    assert_int_equal(cn__take8(&c), 1);
    assert_int_equal(cn__take16(&c), 2);
    assert_int_equal(cn__take32(&c), 3);
    assert_false(c.bad);
    assert_int_equal(cn__take64(&c), 0);
    assert_true(c.bad);
    assert_null(cn__take(&c, 0));
    c = cn__cursor(in, sizeof in);
    assert_null(cn__take(&c, SIZE_MAX));
    assert_int_equal(cn__take8(&c), 0);
}

static int map_scenario(fault_alloc *f, void *arg) {
    static char keys[3000][8];
    cn_map m;
    int err = 0;
    size_t seen = 0;

    (void)arg;
    cn__map_init(&m, 42, &f->alloc);
    for (size_t i = 0; i < 3000 && err == 0; i++) {
        size_t n = (size_t)snprintf(keys[i], sizeof keys[i], "k%zu", i);
        err = cn__map_put(&m, keys[i], n, keys[i]);
        if (err == 0 && i % 3 == 0)
            assert_ptr_equal(cn__map_remove(&m, keys[i], n), keys[i]);
    }
    if (err == 0) {
        for (size_t i = 0; i < 3000; i++)
            assert_ptr_equal(cn__map_get(&m, keys[i], strlen(keys[i])),
                             i % 3 == 0 ? NULL : keys[i]);
        for (size_t at = 0; cn__map_next(&m, &at) != NULL;)
            seen++;
        assert_int_equal(seen, 2000);
        assert_null(cn__map_remove(&m, "none", 4));
    }
    cn__map_free(&m);
    return err;
}

static void map(void **state) {
    (void)state;
    run_with_every_failure(map_scenario, NULL);
}

/* A map of which everything is taken out is walked through once. */
static void map_empties(void **state) {
    static uint32_t keys[10000];
    enum { KEYS = sizeof keys / sizeof *keys };
    size_t at = 0, last = 0;
    uint32_t *key;
    cn_map m;

    (void)state;
    cn__map_init(&m, 7, NULL);
    assert_null(cn__map_first(&m, &at));
    for (uint32_t i = 0; i < KEYS; i++) {
        keys[i] = i;
        assert_int_equal(cn__map_put(&m, &keys[i], sizeof keys[i], &keys[i]),
                         0);
    }
    for (size_t left = KEYS; left > 0; left--) {
        assert_non_null(key = cn__map_first(&m, &at));
        assert_true(at >= last && at < m.cap);
        last = at;
        assert_ptr_equal(cn__map_remove(&m, key, sizeof *key), key);
    }
    assert_int_equal(m.count, 0);
    assert_null(cn__map_first(&m, &at));
    cn__map_free(&m);
}

static void map_replaces(void **state) {
    cn_map m;
    int a, b;

    (void)state;
    cn__map_init(&m, 0, NULL);
    assert_null(cn__map_get(&m, "x", 1));
    assert_int_equal(cn__map_put(&m, "x", 1, &a), 0);
    assert_int_equal(cn__map_put(&m, "x", 1, &b), 0);
    assert_int_equal(m.count, 1);
    assert_ptr_equal(cn__map_get(&m, "x", 1), &b);
    cn__map_free(&m);
}

static void keep_line(void *ctx, cn_level level, const char *where,
                      const char *text) {
    (void)snprintf(ctx, 64, "%d %s %s", (int)level, where, text);
}

static void log_levels(void **state) {
    char line[64] = "";
    cn_log l = {keep_line, line, CN_LOG_INFO};
    cn_log silent = {NULL, NULL, CN_LOG_DEBUG};

    (void)state;
    cn__log(&l, CN_LOG_DEBUG, "x", "no %d", 1);
    assert_string_equal(line, "");
    cn__log(&l, CN_LOG_WARN, "x", "yes %d", 1);
    assert_string_equal(line, "1 x yes 1");
    cn__log(&silent, CN_LOG_ERROR, "x", "no");
}

/* What others have a say in is one line all the same. */
static void log_is_one_line(void **state) {
    char line[64] = "";
    cn_log l = {keep_line, line, CN_LOG_INFO};

    (void)state;
    cn__log(&l, CN_LOG_WARN, "x", "%s is at \xc3\xa4",
            "a\nerror:\tb\x1b[2J\x7f");
    assert_string_equal(line, "1 x a?error:\tb?[2J? is at \xc3\xa4");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_names),
        cmocka_unit_test(errors_are_wrapped_and_cut),
        cmocka_unit_test(buffer),
        cmocka_unit_test(sizes_do_not_overflow),
        cmocka_unit_test(cursor_latches),
        cmocka_unit_test(map),
        cmocka_unit_test(map_empties),
        cmocka_unit_test(map_replaces),
        cmocka_unit_test(log_levels),
        cmocka_unit_test(log_is_one_line),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
