/* Records what a program makes durable, for tests/powercut.py: loaded before libc with LD_PRELOAD.

   After each fsync of a file below POWERCUT_ROOT its content is copied to POWERCUT_STORE, so that it does not matter
   whether it was written with write() or through a mapping. After that, and after each change of names, the names that
   exist are listed. From both, any state that a power cut could leave can be rebuilt. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static __thread int inside; /* our own calls are not recorded */

static const char *root(void) { return getenv("POWERCUT_ROOT"); }

/* An inode and when it was born: numbers are used again. */
static void key_of(int dir, const char *name, int flags, char *key, char *kind) {
    struct statx about;
    *kind = 0;
    if (statx(dir, name, flags | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &about)) return;
    *kind = S_ISDIR(about.stx_mode) ? 'd' : S_ISREG(about.stx_mode) ? 'f' : 0;
    sprintf(key, "%llu-%lld-%u", (unsigned long long)about.stx_ino, (long long)about.stx_btime.tv_sec,
            about.stx_btime.tv_nsec);
}

static void list(FILE *out, const char *folder, const char *relative) {
    DIR *open = opendir(folder);
    struct dirent *entry;
    char path[PATH_MAX], name[PATH_MAX], key[80], kind;
    if (!open) return;
    while ((entry = readdir(open))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        snprintf(name, sizeof name, "%s%s%s", relative, *relative ? "/" : "", entry->d_name);
        key_of(AT_FDCWD, path, 0, key, &kind);
        if (!kind) continue;
        fprintf(out, "T\t%c\t%s\t%s\n", kind, key, name);
        if (kind == 'd') list(out, path, name);
    }
    closedir(open);
}

/* One event: what happened to what, with the copy of a file that was synced. */
static void record(const char *what, const char *path, int synced) {
    char key[80], kind, proc[64], *text = NULL;
    size_t size = 0;
    int error = errno, trace;
    static int count;
    FILE *out;
    if (inside || !root()) return;
    inside = 1;
    pthread_mutex_lock(&one_at_a_time);
    trace = REAL(open)(getenv("POWERCUT_TRACE"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    flock(trace, LOCK_EX);
    out = open_memstream(&text, &size);
    fprintf(out, "E\t%s\t%s\n", what, path);
    if (synced >= 0) {
        key_of(synced, "", AT_EMPTY_PATH, key, &kind);
        if (kind == 'd') fprintf(out, "D\t%s\n", key);
        if (kind == 'f') {
            char copy[PATH_MAX], block[1 << 16];
            ssize_t got;
            snprintf(copy, sizeof copy, "%s/%d-%d", getenv("POWERCUT_STORE"), getpid(), count++);
            snprintf(proc, sizeof proc, "/proc/self/fd/%d", synced);
            int from = REAL(open)(proc, O_RDONLY | O_CLOEXEC);
            int to = REAL(open)(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
            while ((got = read(from, block, sizeof block)) > 0)
                if (write(to, block, got) != got) abort();
            close(from);
            close(to);
            fprintf(out, "S\t%s\t%s\n", key, copy);
        }
    }
    list(out, root(), "");
    fclose(out);
    if (write(trace, text, size) != (ssize_t)size) abort();
    free(text);
    close(trace);
    pthread_mutex_unlock(&one_at_a_time);
    inside = 0;
    errno = error;
}

static int below(const char *path) {
    return root() && path && (path[0] != '/' || !strncmp(path, root(), strlen(root())));
}

static int sync_call(const char *name, int descriptor, int (*call)(int)) {
    char proc[64], path[PATH_MAX];
    int result = call(descriptor);
    if (result || inside || !root()) return result;
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(proc, path, sizeof path - 1);
    if (length > 0) {
        path[length] = 0;
        if (!strncmp(path, root(), strlen(root()))) record(name, path, descriptor);
    }
    return result;
}

int fsync(int descriptor) { return sync_call("fsync", descriptor, REAL(fsync)); }
int fdatasync(int descriptor) { return sync_call("fdatasync", descriptor, REAL(fdatasync)); }

#define AFTER(call, what, path)                      \
    int result = call;                               \
    if (result >= 0 && below(path)) record(what, path, -1); \
    return result;

int rename(const char *old, const char *new) { AFTER(REAL(rename)(old, new), "rename", new) }
int renameat(int a, const char *old, int b, const char *new) { AFTER(REAL(renameat)(a, old, b, new), "rename", new) }
int renameat2(int a, const char *old, int b, const char *new, unsigned f) {
    AFTER(REAL(renameat2)(a, old, b, new, f), "rename", new)
}
int link(const char *old, const char *new) { AFTER(REAL(link)(old, new), "link", new) }
int linkat(int a, const char *old, int b, const char *new, int f) {
    AFTER(REAL(linkat)(a, old, b, new, f), "link", new)
}
int unlink(const char *path) { AFTER(REAL(unlink)(path), "unlink", path) }
int unlinkat(int dir, const char *path, int flags) { AFTER(REAL(unlinkat)(dir, path, flags), "unlink", path) }
int rmdir(const char *path) { AFTER(REAL(rmdir)(path), "rmdir", path) }
int mkdir(const char *path, mode_t mode) { AFTER(REAL(mkdir)(path, mode), "mkdir", path) }
int mkdirat(int dir, const char *path, mode_t mode) { AFTER(REAL(mkdirat)(dir, path, mode), "mkdir", path) }

#define OPENS(name, parameters, arguments)                                          \
    int name parameters {                                                           \
        mode_t mode = 0;                                                            \
        if (flags & (O_CREAT | O_TMPFILE)) {                                        \
            va_list rest;                                                           \
            va_start(rest, flags);                                                  \
            mode = va_arg(rest, mode_t);                                            \
            va_end(rest);                                                           \
        }                                                                           \
        int result = REAL(name) arguments;                                          \
        if (result >= 0 && (flags & (O_CREAT | O_TRUNC)) && below(path)) record("create", path, -1); \
        return result;                                                              \
    }

OPENS(open, (const char *path, int flags, ...), (path, flags, mode))
OPENS(open64, (const char *path, int flags, ...), (path, flags, mode))
OPENS(openat, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
OPENS(openat64, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
