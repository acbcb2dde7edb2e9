/*
 * Preloaded into a server: its machine's clocks are ahead by as many seconds as the file named by MARQUEE_TEST_CLOCK
 * says.
 * The file holds two 64-bit numbers: for the time of day, and for the clock that measures durations. They may change at
 * any time.
 *
 * It calls the kernel directly, so that it need not find the functions that it replaces. For 64-bit Linux.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile long *ahead;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("MARQUEE_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *numbers = mmap(0, 2 * sizeof(long), PROT_READ, MAP_SHARED, file, 0);
    if (file < 0 || numbers == MAP_FAILED)
        abort();
    ahead = numbers;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int failed = syscall(SYS_clock_gettime, clock, time);
    if (failed || !ahead)
        return failed;
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        time->tv_sec += ahead[0];
    if (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE)
        time->tv_sec += ahead[1];
    return 0;
}

int gettimeofday(struct timeval *time, void *zone)
{
    int failed = syscall(SYS_gettimeofday, time, zone);
    if (!failed && time && ahead)
        time->tv_sec += ahead[0];
    return failed;
}

time_t time(time_t *time)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (time)
        *time = now.tv_sec;
    return now.tv_sec;
}
