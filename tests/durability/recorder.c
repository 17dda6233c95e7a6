/* Records what a process does to the files below $RECORD_DIR, for a test that replays it without what was not flushed.
   Loaded by LD_PRELOAD. A record is: operation, length of the path, length of the data, offset; the path; the data. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define MOST_FILES 4096
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static char *path_of[MOST_FILES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_file = -1;

static void put(const void *bytes, size_t length) {
    while (length) {
        ssize_t done = syscall(SYS_write, log_file, bytes, length);
        if (done <= 0) abort();
        bytes = (const char *)bytes + done;
        length -= (size_t)done;
    }
}

static void record(char operation, const char *path, uint64_t offset, const void *data, uint64_t length) {
    pthread_mutex_lock(&lock);
    if (log_file < 0) log_file = (int)syscall(SYS_openat, AT_FDCWD, getenv("RECORD_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0644);
    uint64_t head[4] = {(uint64_t)operation, strlen(path), length, offset};
    put(head, sizeof head);
    put(path, head[1]);
    put(data, length);
    pthread_mutex_unlock(&lock);
}

static int is_recorded(const char *path) {
    const char *folder = getenv("RECORD_DIR");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

static const char *known(int file) { return file >= 0 && file < MOST_FILES ? path_of[file] : NULL; }

static int opened(int file, const char *path, int flags, int existed) {
    if (file >= 0 && file < MOST_FILES && is_recorded(path)) {
        free(path_of[file]);
        path_of[file] = strdup(path);
        if (!existed && (flags & O_CREAT)) record('c', path, 0, "", 0);
        if (existed && (flags & O_TRUNC)) record('t', path, 0, "", 0);
    }
    return file;
}

#define OPEN(name)                                                     \
    int name(const char *path, int flags, ...) {                       \
        va_list rest;                                                  \
        va_start(rest, flags);                                         \
        mode_t mode = va_arg(rest, mode_t);                            \
        va_end(rest);                                                  \
        int existed = is_recorded(path) && access(path, F_OK) == 0;    \
        return opened(REAL(name)(path, flags, mode), path, flags, existed); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                   \
    int name(int folder, const char *path, int flags, ...) {           \
        va_list rest;                                                  \
        va_start(rest, flags);                                         \
        mode_t mode = va_arg(rest, mode_t);                            \
        va_end(rest);                                                  \
        int existed = is_recorded(path) && access(path, F_OK) == 0;    \
        return opened(REAL(name)(folder, path, flags, mode), path, flags, existed); \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int file, const void *data, size_t length) {
    off_t offset = known(file) ? lseek(file, 0, SEEK_CUR) : 0;
    ssize_t done = REAL(write)(file, data, length);
    if (done > 0 && known(file)) record('w', known(file), (uint64_t)offset, data, (uint64_t)done);
    return done;
}

#define PWRITE(name, offset_type)                                                                       \
    ssize_t name(int file, const void *data, size_t length, offset_type offset) {                       \
        ssize_t done = REAL(name)(file, data, length, offset);                                          \
        if (done > 0 && known(file)) record('w', known(file), (uint64_t)offset, data, (uint64_t)done);  \
        return done;                                                                                    \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define TRUNCATE(name, offset_type)                                              \
    int name(int file, offset_type length) {                                     \
        int failed = REAL(name)(file, length);                                   \
        if (!failed && known(file)) record('t', known(file), (uint64_t)length, "", 0); \
        return failed;                                                           \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(name)                                                       \
    int name(int file) {                                                 \
        int failed = REAL(name)(file);                                   \
        if (!failed && known(file)) record('s', known(file), 0, "", 0);  \
        return failed;                                                   \
    }
SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path) {
    int failed = REAL(unlink)(path);
    if (!failed && is_recorded(path)) record('u', path, 0, "", 0);
    return failed;
}

int rename(const char *from, const char *to) {
    int failed = REAL(rename)(from, to);
    if (!failed && is_recorded(from)) record('r', from, 0, to, strlen(to));
    return failed;
}

int close(int file) {
    if (known(file)) {
        free(path_of[file]);
        path_of[file] = NULL;
    }
    return REAL(close)(file);
}
