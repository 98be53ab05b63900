/* Loaded into a server by LD_PRELOAD: calls to the disk fail as the file that DISK_FAULTS names says. It holds one line:
 *
 *     CALL PATH SKIP TIMES WHAT VALUE
 *
 * CALL is write, sync, create, or any of these. PATH is a part of the file's path; with a dollar sign at the end, its end. The first SKIP calls that match
 * succeed, the next TIMES do not. WHAT is errno (VALUE is the number), short (half of the bytes are written), stall (VALUE milliseconds pass
 * before the call) or kill (the process is killed before it). A changed line begins to count anew. Each call that was met adds a byte to the file DISK_FAULTS with ".met" appended. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char seen[512];
static long long matched;

static int raw_open(const char *path, int flags) {
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0600);
}

static int is_match(const char *path, const char *part) {
    size_t length = strlen(part), whole = strlen(path);
    if (length > 0 && part[length - 1] == '$')
        return whole >= length - 1 && strncmp(path + whole - (length - 1), part, length - 1) == 0;
    return strstr(path, part) != NULL;
}

/* 0: do as asked. Below 0: the negative errno. 1: a short write. */
static int meet(const char *call, const char *path) {
    const char *control = getenv("DISK_FAULTS");
    char text[512] = {0}, wanted[16], part[256], what[16], met[512];
    long long skip, times, value;
    int file = control ? raw_open(control, O_RDONLY) : -1;
    if (file < 0) return 0;
    long got = syscall(SYS_read, file, text, sizeof text - 1);
    syscall(SYS_close, file);
    if (got <= 0 || sscanf(text, "%15s %255s %lld %lld %15s %lld", wanted, part, &skip, &times, what, &value) != 6) return 0;
    if ((strcmp(call, wanted) != 0 && strcmp(wanted, "any") != 0) || !is_match(path, part)) return 0;
    pthread_mutex_lock(&lock);
    if (strcmp(seen, text) != 0) {
        strcpy(seen, text);
        matched = 0;
    }
    long long index = matched++;
    pthread_mutex_unlock(&lock);
    if (index < skip || index - skip >= times) return 0;
    snprintf(met, sizeof met, "%s.met", control);
    if ((file = raw_open(met, O_WRONLY | O_CREAT | O_APPEND)) >= 0) {
        syscall(SYS_write, file, "x", 1);
        syscall(SYS_close, file);
    }
    if (strcmp(what, "kill") == 0) kill(getpid(), SIGKILL);
    if (strcmp(what, "short") == 0) return 1;
    if (strcmp(what, "errno") == 0) return (int)-value;
    struct timespec span = {value / 1000, value % 1000 * 1000000};
    while (nanosleep(&span, &span) != 0 && errno == EINTR) {}
    return 0;
}

static int meet_file(const char *call, int file) {
    char link[64], path[512] = {0};
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    if (syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1) <= 0 || path[0] != '/') return 0;
    return meet(call, path);
}

static long fail(int outcome) {
    errno = -outcome;
    return -1;
}

ssize_t write(int file, const void *bytes, size_t count) {
    int outcome = meet_file("write", file);
    if (outcome < 0) return fail(outcome);
    return syscall(SYS_write, file, bytes, outcome == 1 && count > 1 ? count / 2 : count);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
    int outcome = meet_file("write", file);
    if (outcome < 0) return fail(outcome);
    return syscall(SYS_pwrite64, file, bytes, outcome == 1 && count > 1 ? count / 2 : count, offset);
}

int fsync(int file) {
    int outcome = meet_file("sync", file);
    return outcome < 0 ? (int)fail(outcome) : (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    int outcome = meet_file("sync", file);
    return outcome < 0 ? (int)fail(outcome) : (int)syscall(SYS_fdatasync, file);
}

int open64(const char *path, int flags, ...) {
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list rest;
        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        va_end(rest);
        int outcome = meet("create", path);
        if (outcome < 0) return (int)fail(outcome);
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
