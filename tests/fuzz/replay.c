/* SPDX-License-Identifier: Apache-2.0
 *
 * replay.c: a main for a fuzz target: runs it on every file of the folders
 * and on the files given, without libFuzzer. The inputs are run by a child
 * process, so that the parent can name the one that brought it down.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Shared with the child: where it is. */
typedef struct progress {
    size_t count;
    char path[4096];
} progress;

static void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* A block of exactly the file's size: what reads beyond it is seen. */
static uint8_t *load(const char *path, size_t size) {
    uint8_t *data = malloc(size != 0 ? size : 1);
    FILE *f = fopen(path, "rb");

    if (data == NULL || f == NULL || fread(data, 1, size, f) != size)
        die(path);
    fclose(f);
    return data;
}

static void replay_file(progress *at, const char *path, size_t size) {
    uint8_t *data = load(path, size);

    at->count++;
    snprintf(at->path, sizeof at->path, "%s", path);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

static void replay(progress *at, const char *path);

static void replay_folder(progress *at, const char *path) {
    struct dirent **entries;
    char file[4096];
    int n = scandir(path, &entries, NULL, alphasort);

    if (n < 0)
        die(path);
    for (int i = 0; i < n; i++) {
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            replay(at, file);
        free(entries[i]);
    }
    free(entries);
}

static void replay(progress *at, const char *path) {
    struct stat st;

    if (stat(path, &st) != 0)
        die(path);
    if (S_ISDIR(st.st_mode))
        replay_folder(at, path);
    else
        replay_file(at, path, (size_t)st.st_size);
}

static int verdict(const progress *at, const char *name, int status) {
    if (status != 0)
        fprintf(stderr, "%s: failed on input %zu: %s\n", name, at->count,
                at->path);
    else if (at->count == 0)
        fprintf(stderr, "%s: no inputs\n", name);
    else
        printf("%-28s %4zu inputs\n", name, at->count);
    return status != 0 || at->count == 0;
}

int main(int argc, char **argv) {
    const char *slash = strrchr(argv[0], '/');
    int status;
    progress *at = mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED)
        die("mmap");
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0) {
        for (int i = 1; i < argc; i++)
            replay(at, argv[i]);
        return 0;
    }
    if (waitpid(child, &status, 0) != child)
        die("waitpid");
    return verdict(at, slash != NULL ? slash + 1 : argv[0], status);
}
