/* Loaded into a server by LD_PRELOAD: its wall clock is off by the seconds, such as 7 or -0.2, in the file that WALL_CLOCK_OFFSET
 * names. The other clocks stay as they are. If the file goes on with an "s", the kernel says that a time service keeps the wall clock right;
 * otherwise the kernel does not know of the offset. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static const long long SECOND = 1000000000;

/* In nanoseconds. */
static long long read_offset(int *is_synchronised) {
    const char *path = getenv("WALL_CLOCK_OFFSET");
    char text[32] = {0};
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
    close(file);
    *is_synchronised = strchr(text, 's') != NULL;
    return (long long)(strtod(text, NULL) * SECOND);
}

static void shift(struct timespec *time, long long by) {
    long long nanoseconds = time->tv_nsec + by % SECOND + SECOND;
    time->tv_sec += by / SECOND + nanoseconds / SECOND - 1;
    time->tv_nsec = nanoseconds % SECOND;
}

static void shift_by_offset(struct timespec *time) {
    int is_synchronised;
    shift(time, read_offset(&is_synchronised));
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int outcome = (int)syscall(SYS_clock_gettime, clock, time);
    if (outcome == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) shift_by_offset(time);
    return outcome;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    int outcome = (int)syscall(SYS_gettimeofday, time, zone);
    if (outcome == 0 && time) {
        struct timespec now = {time->tv_sec, time->tv_usec * 1000};
        shift_by_offset(&now);
        time->tv_sec = now.tv_sec;
        time->tv_usec = now.tv_nsec / 1000;
    }
    return outcome;
}

int adjtimex(struct timex *timex) {
    struct timespec now;
    int is_synchronised = 0;
    long long offset = read_offset(&is_synchronised);
    if (!is_synchronised) return (int)syscall(SYS_adjtimex, timex);
    memset(timex, 0, sizeof *timex);
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    shift(&now, offset);
    timex->time.tv_sec = now.tv_sec;
    timex->time.tv_usec = now.tv_nsec / 1000;
    return TIME_OK;
}
