/* SPDX-License-Identifier: Apache-2.0
 *
 * functions.c: C functions that Erlang applies. From Erlang, with the same
 * cookie:
 *     erpc:call('calc@127.0.0.1', calc, add, [1, 2]).
 *     erpc:call('calc@127.0.0.1', calc, divide, [1, 0]).    % badarith
 *     erpc:call('calc@127.0.0.1', calc, words, [<<"a b">>]).
 *     erpc:call('calc@127.0.0.1', calc, later, [1000]).
 * Arguments are integers that fit into 64 bits here; others are badarg.
 */
#include <cnode/cnode.h>
#include <stdio.h>

static int add(cnode_proc *self, etf_view args, etf_writer *result,
               void *data) {
    int64_t a, b, sum;
    (void)data;
    if (etf_match(args, "[~i, ~i]", &a, &b) != 0)
        return CN_EBADARG;
    if (__builtin_add_overflow(a, b, &sum))
        return cnode_raise(self, CNODE_ERROR, "system_limit");
    return etf_pack(result, "~i", sum);
}

/* An exception of its own choice instead of a value. */
static int divide(cnode_proc *self, etf_view args, etf_writer *result,
                  void *data) {
    int64_t a, b;
    (void)data;
    if (etf_match(args, "[~i, ~i]", &a, &b) != 0)
        return CN_EBADARG;
    if (b == 0 || (a == INT64_MIN && b == -1))
        return cnode_raise(self, CNODE_ERROR, "badarith");
    return etf_pack(result, "{~i, ~i}", a / b, a % b);
}

/* A list whose length is not known before its end. */
static int words(cnode_proc *self, etf_view args, etf_writer *result,
                 void *data) {
    etf_view text;
    (void)self, (void)data;
    if (etf_match(args, "[~b]", &text) != 0)
        return CN_EBADARG;
    etf_begin_list(result);
    for (size_t i = 0, start = 0; i <= text.len; i++) {
        if (i < text.len && text.data[i] != ' ')
            continue;
        if (i > start)
            etf_put_binary(result, text.data + start, i - start);
        start = i + 1;
    }
    etf_end_list(result);
    return 0;
}

static void answer(cnode_proc *self, void *arg) {
    (void)arg;
    cnode_return(self, "done");
}

/* An answer that comes later. The node goes on meanwhile: self is a process
 * of its own, and nothing waits in a thread. */
static int later(cnode_proc *self, etf_view args, etf_writer *result,
                 void *data) {
    uint32_t ms;
    (void)result, (void)data;
    if (etf_match(args, "[~i]", &ms) != 0)
        return CN_EBADARG;
    int status = cnode_after(self, ms, answer, NULL);
    return status != 0 ? status : CNODE_LATER;
}

static int export_all(cnode *n) {
    static const struct {
        const char *name;
        uint8_t arity;
        cnode_function fn;
    } all[] = {
        {"add", 2, add},
        {"divide", 2, divide},
        {"words", 1, words},
        {"later", 1, later},
    };
    int status = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all && status == 0; i++)
        status =
            cnode_export(n, "calc", all[i].name, all[i].arity, all[i].fn, NULL);
    return status;
}

int main(void) {
    cn_error why;
    cnode *n;
    cnode_config config = {.name = "calc@127.0.0.1", .error = &why};
    if (cnode_new(&n, &config) != 0)
        return fprintf(stderr, "functions: %s\n", why.text), 1;
    int status = export_all(n);
    if (status == 0 && (status = cnode_listen(n)) == 0)
        status = cnode_run(n);
    if (status != 0)
        fprintf(stderr, "functions: %s\n", cnode_error(n)->text);
    cnode_free(n);
    return status != 0;
}
