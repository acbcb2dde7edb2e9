/*
 * Preloaded into a server on SQLite: a disk that records every write.
 *
 * Appends to the file named by MARQUEE_TEST_DISK_LOG, in order, the writes to the database's files and the completed
 * syncs. `power_cut.rs` reads it, and notices if SQLite writes through other functions than these. Memory-mapped files
 * are not recorded; only the -shm file is one, and it need not survive a crash.
 *
 * It calls the kernel directly, so that it need not find the functions that it replaces. For 64-bit Linux with the GNU C
 * library.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const char DATABASE[] = "marquee.sqlite3"; /* and SQLite's files next to it: -wal, -journal, -shm */

struct record {
    char what; /* 'w'rite, 't'runcate, 's'ync of a file, sync of the 'd'irectory */
    char file[31];
    long offset; /* or the new length */
    long length; /* of the bytes that follow */
};

static int disk_log = -1;

/* Keeps the log in the order of the writes. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("MARQUEE_TEST_DISK_LOG");
    disk_log = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (disk_log < 0)
        abort();
}

/* Checks whether this is one of the database's files, or a directory; starts its record. */
static int watched(int fd, char what, struct record *record)
{
    struct stat stat;
    char link[32], path[4096];
    memset(record, 0, sizeof *record);
    record->what = what;
    if (disk_log < 0 || fstat(fd, &stat))
        return 0;
    if (S_ISDIR(stat.st_mode)) {
        record->what = 'd';
        return 1;
    }
    if (!S_ISREG(stat.st_mode))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    const char *name = strrchr(path, '/');
    if (!name || strncmp(name + 1, DATABASE, sizeof DATABASE - 1))
        return 0;
    strncpy(record->file, name + 1, sizeof record->file - 1);
    return 1;
}

static void append(struct record *record, const void *bytes)
{
    struct iovec parts[] = {{record, sizeof *record}, {(void *)bytes, record->length}};
    if (syscall(SYS_writev, disk_log, parts, 2) != (long)sizeof *record + record->length)
        abort();
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
    struct record record;
    if (!watched(fd, 'w', &record))
        return syscall(SYS_pwrite64, fd, bytes, length, offset);
    pthread_mutex_lock(&one_at_a_time);
    long written = syscall(SYS_pwrite64, fd, bytes, length, offset);
    if (written > 0) {
        record.offset = offset;
        record.length = written;
        append(&record, bytes);
    }
    pthread_mutex_unlock(&one_at_a_time);
    return written;
}

int ftruncate64(int fd, off64_t length)
{
    struct record record;
    if (!watched(fd, 't', &record))
        return syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&one_at_a_time);
    int failed = syscall(SYS_ftruncate, fd, length);
    if (!failed) {
        record.offset = length;
        append(&record, 0);
    }
    pthread_mutex_unlock(&one_at_a_time);
    return failed;
}

/* Logged when complete. Takes some time on any disk, so that an answer that does not wait for it is noticed. */
static int logged_sync(int fd, long call)
{
    struct record record;
    if (!watched(fd, 's', &record))
        return syscall(call, fd);
    pthread_mutex_lock(&one_at_a_time);
    usleep(2000);
    int failed = syscall(call, fd);
    if (!failed)
        append(&record, 0);
    pthread_mutex_unlock(&one_at_a_time);
    return failed;
}

int fsync(int fd)
{
    return logged_sync(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return logged_sync(fd, SYS_fdatasync);
}
