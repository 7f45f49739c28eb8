/* SPDX-License-Identifier: Apache-2.0
 *
 * serve_functions.c: the functions that other nodes can apply on `cnode
 * serve`: cnode:echo/1, add/2, info/0, sleep/1 and fail/1.
 *
 * Arguments are taken with a reader: a list of small integers comes as
 * STRING_EXT, in which they are no terms of their own.
 */
#include <stdlib.h>
#include <unistd.h>

#include <openssl/bn.h>

#include "cli/serve.h"

/* Returns its argument. */
static int echo(cnode_proc *self, etf_view args, etf_writer *result,
                void *data) {
    etf_reader r;

    (void)self;
    (void)data;
    etf_reader_init(&r, args);
    (void)etf_get_list(&r);
    etf_put_term(result, etf_get_term(&r));
    return etf_reader_finish(&r);
}

/* --- add ----------------------------------------------------------------- */

/* NULL: no integer, or no memory; r tells which. */
static BIGNUM *get_bignum(etf_reader *r) {
    bool negative;
    etf_view m = etf_get_big(r, &negative);
    BIGNUM *n;

    if (etf_reader_finish(r) != 0 || m.len > INT32_MAX)
        return NULL;
    n = BN_lebin2bn(m.data, (int)m.len, NULL);
    if (n == NULL)
        etf_reader_fail(r, CN_ENOMEM);
    else
        BN_set_negative(n, negative);
    return n;
}

static int put_bignum(etf_writer *w, const BIGNUM *n) {
    int len = BN_num_bytes(n);
    uint8_t *m = malloc((size_t)len + 1);

    if (m == NULL)
        return CN_ENOMEM;
    (void)BN_bn2lebinpad(n, m, len);
    etf_put_big(w, m, (size_t)len, BN_is_negative(n));
    free(m);
    return 0;
}

static int add(cnode_proc *self, etf_view args, etf_writer *result,
               void *data) {
    etf_reader r;
    BIGNUM *a, *b = NULL;
    int rc = CN_ENOMEM;

    (void)data;
    etf_reader_init(&r, args);
    (void)etf_get_list(&r);
    a = get_bignum(&r);
    if (a != NULL)
        b = get_bignum(&r);
    if (etf_reader_finish(&r) == CN_ETYPE)
        rc = cnode_raise(self, CNODE_ERROR, "badarith");
    else if (a != NULL && b != NULL && BN_add(a, a, b) == 1)
        rc = put_bignum(result, a);
    BN_free(a);
    BN_free(b);
    return rc;
}

/* --- info ---------------------------------------------------------------- */

static void put_count(etf_writer *w, const char *key, uint64_t value) {
    etf_put_atom(w, key);
    etf_put_uint(w, value);
}

static int info(cnode_proc *self, etf_view args, etf_writer *result,
                void *data) {
    const cli_server *s = data;
    cnode_stats stats;

    (void)self;
    (void)args;
    cnode_get_stats(s->node, &stats);
    etf_put_map(result, 8);
    etf_put_atom(result, "name");
    etf_put_atom(result, cnode_name(s->node));
    etf_put_atom(result, "version");
    etf_put_binary_str(result, cn_version());
    put_count(result, "os_pid", (uint64_t)getpid());
    put_count(result, "uptime_ms", cnode_now(s->node) - s->began_ms);
    put_count(result, "connections", stats.connections);
    put_count(result, "processes", stats.processes);
    put_count(result, "messages_in", stats.messages_in);
    put_count(result, "messages_out", stats.messages_out);
    return 0;
}

/* --- sleep, fail --------------------------------------------------------- */

static void awake(cnode_proc *self, void *arg) {
    (void)arg;
    (void)cnode_return(self, "ok");
}

static int sleep_ms(cnode_proc *self, etf_view args, etf_writer *result,
                    void *data) {
    etf_reader r;
    uint64_t ms;
    int rc;

    (void)result;
    (void)data;
    etf_reader_init(&r, args);
    (void)etf_get_list(&r);
    ms = etf_get_uint(&r);
    if (etf_reader_finish(&r) != 0 || ms > UINT32_MAX)
        return CN_EBADARG;
    rc = cnode_after(self, (uint32_t)ms, awake, NULL);
    return rc == 0 ? CNODE_LATER : rc;
}

static int fail(cnode_proc *self, etf_view args, etf_writer *result,
                void *data) {
    etf_reader r;
    etf_view reason;

    (void)result;
    (void)data;
    etf_reader_init(&r, args);
    (void)etf_get_list(&r);
    reason = etf_get_term(&r);
    return cnode_raise(self, CNODE_ERROR, "~t", reason);
}

int cli_serve_functions(cli_server *s) {
    static const struct {
        const char *name;
        uint8_t arity;
        cnode_function fn;
    } table[] = {{"echo", 1, echo},
                 {"add", 2, add},
                 {"info", 0, info},
                 {"sleep", 1, sleep_ms},
                 {"fail", 1, fail}};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof table / sizeof *table; i++)
        rc = cnode_export(s->node, "cnode", table[i].name, table[i].arity,
                          table[i].fn, s);
    return rc;
}
