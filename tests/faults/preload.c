/* Plays a failing disk, a kill between two system calls, a jumping clock; writes a trace that a power cut is played from.

   Loaded into mlorch by LD_PRELOAD, told by its environment:
     FAULT_ROOT    only what lies below this folder is looked at
     FAULT_PARENT  the process that starts mlorch: its child is "main"
     FAULT_WHO     main, supervisor or all
     FAULT_CALL    only calls of this name are counted (default: all)
     FAULT_AT      the number, from 1, of the call that the fault is played on
     FAULT_DO      a number: the call fails with that errno, and with FAULT_STICKY every later one does;
                   before, after: SIGKILL to the process; torn: half of a write, then SIGKILL;
                   short: half of a write, and every later write fails with ENOSPC
     FAULT_COUNT   a file: the name of each call that could be counted, a line each
     FAULT_TRACE   a file: one line for each call that changed something, with the bytes written
     FAULT_BOOT    a file that is read as the identity of this boot, as after a restart of the machine
     FAULT_CLOCK   seconds that the time of day jumps, FAULT_CLOCK_AFTER milliseconds after the start
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int active, sticky, failure;
static long at, jump, jump_after_ms;
static const char *root, *wanted, *what = "", *tracing, *counting, *boot;
static size_t root_length;
static atomic_long counted;
static atomic_int full;
static struct timespec born;

static int is_supervisor(void) {
    char line[4096];
    int fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY);
    ssize_t n = fd < 0 ? 0 : syscall(SYS_read, fd, line, sizeof line - 1);
    if (fd >= 0) syscall(SYS_close, fd);
    return n > 0 && memmem(line, n, "supervisor/__main__.py", 22) != NULL;
}

__attribute__((constructor)) static void begin(void) {
    const char *who = getenv("FAULT_WHO"), *parent = getenv("FAULT_PARENT");
    boot = getenv("FAULT_BOOT");
    root = getenv("FAULT_ROOT");
    if (!who || !root || !parent) return;
    root_length = strlen(root);
    int is_main = getppid() == atoi(parent), all = !strcmp(who, "all");
    if (!all && !(is_main && !strcmp(who, "main")) && !(!strcmp(who, "supervisor") && is_supervisor())) return;
    wanted = getenv("FAULT_CALL");
    if (getenv("FAULT_DO")) what = getenv("FAULT_DO");
    failure = atoi(what);
    at = getenv("FAULT_AT") ? atol(getenv("FAULT_AT")) : 0;
    sticky = getenv("FAULT_STICKY") != NULL;
    if (getenv("FAULT_CLOCK")) {
        jump = atol(getenv("FAULT_CLOCK"));
        jump_after_ms = getenv("FAULT_CLOCK_AFTER") ? atol(getenv("FAULT_CLOCK_AFTER")) : 0;
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &born);
    }
    tracing = getenv("FAULT_TRACE");
    counting = getenv("FAULT_COUNT");
    active = 1;
}

static int below(const char *path) {
    return !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

static int absolute(int dirfd, const char *path, char *out) {
    char base[PATH_MAX];
    if (path[0] == '/') return snprintf(out, PATH_MAX, "%s", path) < PATH_MAX;
    if (dirfd == AT_FDCWD) {
        if (syscall(SYS_getcwd, base, sizeof base) < 0) return 0;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
        ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, base, sizeof base - 1);
        if (n < 0) return 0;
        base[n] = 0;
    }
    return snprintf(out, PATH_MAX, "%s/%s", base, path) < PATH_MAX;
}

static int of_fd(int fd, char *out) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, out, PATH_MAX - 1);
    if (n < 0) return 0;
    out[n] = 0;
    return out[0] == '/' && below(out);
}

static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

/* Opened each time: the supervisor closes every descriptor that it does not know. */
static void put(const char *file, const char *text, size_t length) {
    int kept = errno, fd = syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    syscall(SYS_write, fd, text, length);
    syscall(SYS_close, fd);
    errno = kept;
}

/* What to do with this call: 0 nothing, 1 fail (errno is set), 2 kill afterwards, 3 half of it and kill, 4 half of it. */
static int fault(const char *call) {
    int writes = !strcmp(call, "write") || !strcmp(call, "pwrite");
    if (counting) {
        char line[32];
        put(counting, line, sprintf(line, "%s\n", call));
    }
    if (atomic_load(&full) && (failure || writes)) {
        errno = failure ? failure : ENOSPC;
        return 1;
    }
    if (!at || (wanted && strcmp(wanted, call))) return 0;
    if (atomic_fetch_add(&counted, 1) + 1 != at) return 0;
    if (failure) {
        if (sticky) atomic_store(&full, 1);
        errno = failure;
        return 1;
    }
    if (!strcmp(what, "before")) die();
    if (!strcmp(what, "after")) return 2;
    if (!strcmp(what, "torn")) {
        if (!writes) die();
        return 3;
    }
    if (!strcmp(what, "short") && writes) {
        atomic_store(&full, 1);
        return 4;
    }
    return 0;
}

static void hex(char *out, const char *text) {
    while (*text) out += sprintf(out, "%02x", (unsigned char)*text++);
    *out = 0;
}

/* CALL INODE HEX(PATH) HEX(OTHER) NUMBER: "-" for an empty one. */
static void trace(const char *call, unsigned long inode, const char *path, const char *other, long number) {
    if (!tracing) return;
    char *line = malloc(4 * PATH_MAX + 200), *one = malloc(2 * PATH_MAX), *two = malloc(2 * PATH_MAX);
    hex(one, path);
    hex(two, other);
    int n = sprintf(line, "%s %lu %s %s %ld\n", call, inode, *one ? one : "-", *two ? two : "-", number);
    put(tracing, line, n);
    free(line), free(one), free(two);
}

static unsigned long inode_of(int fd) {
    struct stat status;
    return fstat(fd, &status) ? 0 : status.st_ino;
}

static unsigned long inode_at(const char *path) {
    struct stat status;
    return lstat(path, &status) ? 0 : status.st_ino;
}

static void trace_bytes(int fd, const void *bytes, ssize_t count, long offset) {
    if (!tracing || count <= 0) return;
    char *line = malloc(2 * count + 200);
    int n = sprintf(line, "bytes %lu %ld ", inode_of(fd), offset);
    for (ssize_t i = 0; i < count; i++) n += sprintf(line + n, "%02x", ((const unsigned char *)bytes)[i]);
    line[n++] = '\n';
    put(tracing, line, n);
    free(line);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    char path[PATH_MAX];
    if (!active || !of_fd(fd, path)) return syscall(SYS_write, fd, bytes, count);
    int do_ = fault("write");
    if (do_ == 1) return -1;
    if (do_ == 3 || do_ == 4) count = (count + 1) / 2;
    ssize_t n = syscall(SYS_write, fd, bytes, count);
    if (n > 0) trace_bytes(fd, bytes, n, syscall(SYS_lseek, fd, 0, SEEK_CUR) - n);
    if (do_ == 2 || do_ == 3) die();
    return n;
}

#define PWRITE(name, offset_type)                                                                   \
    ssize_t name(int fd, const void *bytes, size_t count, offset_type offset) {                     \
        char path[PATH_MAX];                                                                        \
        if (!active || !of_fd(fd, path)) return syscall(SYS_pwrite64, fd, bytes, count, offset);    \
        int do_ = fault("pwrite");                                                                  \
        if (do_ == 1) return -1;                                                                    \
        if (do_ == 3 || do_ == 4) count = (count + 1) / 2;                                          \
        ssize_t n = syscall(SYS_pwrite64, fd, bytes, count, offset);                                \
        trace_bytes(fd, bytes, n, offset);                                                          \
        if (do_ == 2 || do_ == 3) die();                                                            \
        return n;                                                                                   \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define FLUSH(name, number)                                          \
    int name(int fd) {                                               \
        char path[PATH_MAX];                                         \
        if (!active || !of_fd(fd, path)) return syscall(number, fd); \
        int do_ = fault(#name);                                      \
        if (do_ == 1) return -1;                                     \
        int result = syscall(number, fd);                            \
        trace(#name, inode_of(fd), path, "", result);                \
        if (do_ == 2) die();                                         \
        return result;                                               \
    }
FLUSH(fsync, SYS_fsync)
FLUSH(fdatasync, SYS_fdatasync)
FLUSH(syncfs, SYS_syncfs)

#define TRUNCATE(name, offset_type)                                                          \
    int name(int fd, offset_type length) {                                                   \
        char path[PATH_MAX];                                                                 \
        if (!active || !of_fd(fd, path)) return syscall(SYS_ftruncate, fd, length);          \
        int do_ = fault("ftruncate");                                                        \
        if (do_ == 1) return -1;                                                             \
        int result = syscall(SYS_ftruncate, fd, length);                                     \
        if (!result) trace("ftruncate", inode_of(fd), path, "", length);                     \
        if (do_ == 2) die();                                                                 \
        return result;                                                                       \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

static int open_any(int dirfd, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    if (boot && !strcmp(name, "/proc/sys/kernel/random/boot_id")) name = boot;
    if (!active || !absolute(dirfd, name, path) || !below(path))
        return syscall(SYS_openat, dirfd, name, flags, mode);
    int do_ = fault("open");
    if (do_ == 1) return -1;
    int fd = syscall(SYS_openat, dirfd, name, flags, mode);
    int kept = errno;
    if (fd >= 0 && flags & (O_CREAT | O_TRUNC)) trace("open", inode_of(fd), path, "", flags & O_TRUNC ? 1 : 0);
    if (do_ == 2) die();
    errno = kept;
    return fd;
}

#define OPEN(name)                                  \
    int name(const char *path, int flags, ...) {    \
        va_list more;                               \
        va_start(more, flags);                      \
        mode_t mode = va_arg(more, int);            \
        va_end(more);                               \
        return open_any(AT_FDCWD, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)
#define OPENAT(name)                                         \
    int name(int dirfd, const char *path, int flags, ...) {  \
        va_list more;                                        \
        va_start(more, flags);                               \
        mode_t mode = va_arg(more, int);                     \
        va_end(more);                                        \
        return open_any(dirfd, path, flags, mode);           \
    }
OPENAT(openat)
OPENAT(openat64)

static int rename_any(const char *call, int olddir, const char *old, int newdir, const char *new, unsigned flags) {
    char from[PATH_MAX], to[PATH_MAX];
    if (!active || !absolute(olddir, old, from) || !absolute(newdir, new, to) || (!below(from) && !below(to)))
        return syscall(SYS_renameat2, olddir, old, newdir, new, flags);
    int do_ = fault(call);
    if (do_ == 1) return -1;
    int result = syscall(SYS_renameat2, olddir, old, newdir, new, flags);
    int kept = errno;
    if (!result) trace("rename", 0, from, to, flags);
    if (do_ == 2) die();
    errno = kept;
    return result;
}
int rename(const char *old, const char *new) { return rename_any("rename", AT_FDCWD, old, AT_FDCWD, new, 0); }
int renameat(int a, const char *old, int b, const char *new) { return rename_any("rename", a, old, b, new, 0); }
int renameat2(int a, const char *old, int b, const char *new, unsigned flags) {
    return rename_any("renameat2", a, old, b, new, flags);
}

static int link_any(int olddir, const char *old, int newdir, const char *new, int flags) {
    char from[PATH_MAX], to[PATH_MAX];
    if (!active || !absolute(olddir, old, from) || !absolute(newdir, new, to) || !below(to))
        return syscall(SYS_linkat, olddir, old, newdir, new, flags);
    int do_ = fault("link");
    if (do_ == 1) return -1;
    int result = syscall(SYS_linkat, olddir, old, newdir, new, flags);
    if (!result) trace("link", 0, from, to, 0);
    if (do_ == 2) die();
    return result;
}
int link(const char *old, const char *new) { return link_any(AT_FDCWD, old, AT_FDCWD, new, 0); }
int linkat(int a, const char *old, int b, const char *new, int flags) { return link_any(a, old, b, new, flags); }

static int unlink_any(const char *call, int dirfd, const char *name, int flags) {
    char path[PATH_MAX];
    if (!active || !absolute(dirfd, name, path) || !below(path)) return syscall(SYS_unlinkat, dirfd, name, flags);
    int do_ = fault(call);
    if (do_ == 1) return -1;
    int result = syscall(SYS_unlinkat, dirfd, name, flags);
    int kept = errno;
    if (!result) trace("unlink", 0, path, "", 0);
    if (do_ == 2) die();
    errno = kept;
    return result;
}
int unlink(const char *path) { return unlink_any("unlink", AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlink_any("rmdir", AT_FDCWD, path, AT_REMOVEDIR); }
int unlinkat(int dirfd, const char *path, int flags) { return unlink_any("unlink", dirfd, path, flags); }

static int mkdir_any(int dirfd, const char *name, mode_t mode) {
    char path[PATH_MAX];
    if (!active || !absolute(dirfd, name, path) || !below(path)) return syscall(SYS_mkdirat, dirfd, name, mode);
    int do_ = fault("mkdir");
    if (do_ == 1) return -1;
    int result = syscall(SYS_mkdirat, dirfd, name, mode);
    int kept = errno;
    if (!result) trace("mkdir", inode_at(path), path, "", 0);
    if (do_ == 2) die();
    errno = kept;
    return result;
}
int mkdir(const char *path, mode_t mode) { return mkdir_any(AT_FDCWD, path, mode); }
int mkdirat(int dirfd, const char *path, mode_t mode) { return mkdir_any(dirfd, path, mode); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (!result && active && jump && clock == CLOCK_REALTIME) {
        struct timespec since;
        real(CLOCK_MONOTONIC, &since);
        if ((since.tv_sec - born.tv_sec) * 1000 + (since.tv_nsec - born.tv_nsec) / 1000000 >= jump_after_ms) now->tv_sec += jump;
    }
    return result;
}
