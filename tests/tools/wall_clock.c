/* Loaded into a server by LD_PRELOAD: its wall clock is off by the seconds in the file that WALL_CLOCK_OFFSET names. The other
 * clocks stay as they are, and the kernel does not know. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long offset(void) {
    const char *path = getenv("WALL_CLOCK_OFFSET");
    char text[32] = {0};
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
    close(file);
    return atoll(text);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int outcome = (int)syscall(SYS_clock_gettime, clock, time);
    if (outcome == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += offset();
    return outcome;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    int outcome = (int)syscall(SYS_gettimeofday, time, zone);
    if (outcome == 0 && time) time->tv_sec += offset();
    return outcome;
}
