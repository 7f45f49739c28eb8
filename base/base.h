/* SPDX-License-Identifier: Apache-2.0
 *
 * base.h: what every layer of libcnode shares: status codes, the allocator
 * hook, the log hook and the version.
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CN_API __attribute__((visibility("default")))

#define CN_VERSION "0.1.0"

/* The version of the library that is linked in, as "MAJOR.MINOR.PATCH". */
CN_API const char *cn_version(void);

/* --- status codes ------------------------------------------------------- */

/* Every call that can fail returns 0 or one of these negative codes. The
 * numbers are part of the ABI: new codes are appended. */
#define CN_STATUS_MAP(X)                                                       \
    X(OK, 0, "success")                                                        \
    X(EBUG, -1, "the library was called in a way it forbids")                  \
    X(ENOMEM, -2, "out of memory")                                             \
    X(EBADARG, -3, "bad argument")                                             \
    X(ETRUNC, -4, "the data ends too early")                                   \
    X(EBADTERM, -5, "malformed external term")                                 \
    X(ETYPE, -6, "the term is of another type or does not match")              \
    X(ERANGE, -7,                                                              \
      "out of range: it does not fit, or there is no such element")            \
    X(ELIMIT, -8, "over a limit, or larger than the room for it")              \
    X(ESYNTAX, -9, "syntax error")                                             \
    X(EPROTO, -10, "the peer broke the protocol")                              \
    X(EVERSION, -11, "the peer speaks an unsupported protocol version")        \
    X(ECLOSED, -12, "the connection was closed")                               \
    X(ETIMEDOUT, -13, "timed out")                                             \
    X(ENOCONN, -14, "no connection to the node")                               \
    X(ENOPROC, -15, "no such process")                                         \
    X(EBUSY, -16, "too much is queued already")                                \
    X(EEXIST, -17, "the name is in use")                                       \
    X(ENOENT, -18, "not found: there is no such name or key")                  \
    X(EHOST, -19, "the host name cannot be resolved")                          \
    X(EEPMD, -20, "the port mapper (EPMD) cannot be reached")                  \
    X(EREFUSED, -21, "the connection was refused")                             \
    X(ECOOKIE, -22, "the cookie was rejected")                                 \
    X(ENOTALLOWED, -23, "the peer does not allow this node")                   \
    X(EFLAGS, -24, "a mandatory distribution flag is missing")                 \
    X(EIO, -25, "input/output error")                                          \
    X(ECANCELED, -26, "canceled")                                              \
    X(EREMOTE, -27, "the remote function raised an exception")                 \
    X(EEXITED, -28, "the remote process exited")                               \
    X(ENOTSUP, -29, "the other side does not support this")                    \
    X(ETLS, -30, "TLS failed")

typedef enum cn_status {
#define CN_STATUS_ENUM(name, value, text) CN_##name = (value),
    CN_STATUS_MAP(CN_STATUS_ENUM)
#undef CN_STATUS_ENUM
} cn_status;

/* What a status means, in English; never NULL. Any thread. */
CN_API const char *cn_strerror(int status);
/* The name of a status, such as "CN_ENOMEM"; never NULL. Any thread. */
CN_API const char *cn_errname(int status);

/* --- allocator ---------------------------------------------------------- */

/* One function for all memory: p == NULL allocates, new_size == 0 frees and
 * returns NULL, anything else resizes. old_size is what was last asked for.
 * Returns NULL when there is no memory; p is then still valid. It is called
 * from the threads that call the library, and only from them: where a header
 * allows calls from several threads, it must be as safe for use by them at the
 * same time as realloc(3) is. An object may keep a copy of this struct: ctx
 * must live as long as the last one. libuv's and OpenSSL's allocators are
 * process-wide, belong to the application and are left alone. */
typedef struct cn_alloc {
    void *(*realloc)(void *ctx, void *p, size_t old_size, size_t new_size);
    void *ctx;
} cn_alloc;

/* The allocator used where NULL is given: realloc(3) and free(3). */
CN_API const cn_alloc *cn_alloc_default(void);

/* --- bytes of others ---------------------------------------------------- */

/* Some bytes where they are; as struct iovec or uv_buf_t, but read only. */
typedef struct cn_slice {
    const uint8_t *data;
    size_t len;
} cn_slice;

/* --- log ---------------------------------------------------------------- */

typedef enum cn_level {
    CN_LOG_ERROR = 0, /* something was lost or refused */
    CN_LOG_WARN = 1,  /* a peer misbehaved, or a retry is under way */
    CN_LOG_INFO = 2,  /* connections come and go */
    CN_LOG_DEBUG = 3  /* every step */
} cn_level;

/* Called with a line of text without newline; where is the layer that
 * speaks ("conn", "epmd", ...). text is only valid during the call. A cookie
 * is never in it. Called on the thread that caused the line. */
typedef void (*cn_log_fn)(void *ctx, cn_level level, const char *where,
                          const char *text);

/* Where lines go, and up to which level; fn == NULL is silent. */
typedef struct cn_log {
    cn_log_fn fn;
    void *ctx;
    cn_level level;
} cn_log;

/* --- errors that explain themselves ------------------------------------- */

#define CN_ERROR_TEXT 240

/* The last error of an object: what happened, with whom. It is wrapped on the
 * way up: "shop@10.0.0.7: handshake: cookie rejected by the peer". */
typedef struct cn_error {
    int code;     /* 0 or a CN_E* code */
    int os_error; /* errno of the system call that failed, else 0 */
    char text[CN_ERROR_TEXT];
} cn_error;

#ifdef __cplusplus
}
#endif
#endif
