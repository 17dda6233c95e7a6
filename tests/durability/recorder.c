/* Watches what a process does to the files below $RECORD_DIR. Loaded by LD_PRELOAD.
   With $RECORD_LOG every change is noted there after it was made: a head, one or two paths or the bytes written.
   kill_at(n) has the process killed in the n-th change from then on, before it is made or, if it writes, half way. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_FILES 4096
#define MOST_PATH 4096
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

struct head {
    uint32_t operation;
    int32_t file;
    uint64_t number; /* offset, size or flags */
    uint32_t first, second; /* lengths of what follows */
};

static char is_watched[MOST_FILES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_file = -1;
static long left;

void kill_at(long n) { left = n; }

static int is_last(void) { return left > 0 && --left == 0; }

static void before(void) {
    if (is_last()) raise(SIGKILL);
}

static void put(const void *bytes, size_t length) {
    while (length) {
        ssize_t done = syscall(SYS_write, log_file, bytes, length);
        if (done <= 0) abort();
        bytes = (const char *)bytes + done;
        length -= (size_t)done;
    }
}

static void note(char operation, int file, uint64_t number, const void *first, size_t n_first, const char *second) {
    const char *log = getenv("RECORD_LOG");
    if (!log) return;
    pthread_mutex_lock(&lock);
    if (log_file < 0) log_file = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    struct head head = {(uint32_t)operation, file, number, (uint32_t)n_first, (uint32_t)strlen(second)};
    put(&head, sizeof head);
    put(first, n_first);
    put(second, head.second);
    pthread_mutex_unlock(&lock);
}

/* The path inside $RECORD_DIR, or NULL: it lies elsewhere. */
static const char *inside(int folder, const char *path, char whole[MOST_PATH]) {
    const char *root = getenv("RECORD_DIR");
    if (!root) return NULL;
    if (path[0] == '/') {
        snprintf(whole, MOST_PATH, "%s", path);
    } else {
        char link[64], base[MOST_PATH / 2];
        snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length < 0) return NULL;
        base[length] = 0;
        snprintf(whole, MOST_PATH, "%s/%s", base, path);
    }
    size_t length = strlen(root);
    if (strncmp(whole, root, length) || (whole[length] != '/' && whole[length])) return NULL;
    return whole[length] ? whole + length + 1 : whole + length;
}

static int watched(int file) { return file >= 0 && file < MOST_FILES && is_watched[file]; }

typedef int opener(int, const char *, int, mode_t);

static int opened(opener *real, int folder, const char *path, int flags, mode_t mode) {
    char whole[MOST_PATH];
    struct stat found;
    const char *name = inside(folder, path, whole);
    int existed = name && fstatat(folder, path, &found, 0) == 0;
    int creates = name && !existed && (flags & O_CREAT), cuts = existed && (flags & O_TRUNC);
    if (creates || cuts) before();
    int file = real(folder, path, flags, mode);
    if (file >= 0 && file < MOST_FILES) {
        is_watched[file] = name != NULL;
        if (name) note('o', file, (uint64_t)(creates | cuts << 1), name, strlen(name), "");
    }
    return file;
}

#define OPENER(name) \
    static int real_##name(int folder, const char *path, int flags, mode_t mode) { \
        (void)folder; \
        return REAL(name)(path, flags, mode); \
    }
#define OPEN(name) \
    OPENER(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        return opened(real_##name, AT_FDCWD, path, flags, mode); \
    }
#define OPENAT(name) \
    static int real_##name(int folder, const char *path, int flags, mode_t mode) { \
        return REAL(name)(folder, path, flags, mode); \
    } \
    int name(int folder, const char *path, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        return opened(real_##name, folder, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int file, const void *data, size_t length) {
    if (watched(file) && is_last()) {
        (void)!REAL(write)(file, data, length / 2);
        raise(SIGKILL);
    }
    ssize_t done = REAL(write)(file, data, length);
    if (done > 0 && watched(file)) note('w', file, (uint64_t)(lseek(file, 0, SEEK_CUR) - done), data, (size_t)done, "");
    return done;
}

#define PWRITE(name, offset_type) \
    ssize_t name(int file, const void *data, size_t length, offset_type offset) { \
        if (watched(file) && is_last()) { \
            (void)!REAL(name)(file, data, length / 2, offset); \
            raise(SIGKILL); \
        } \
        ssize_t done = REAL(name)(file, data, length, offset); \
        if (done > 0 && watched(file)) note('w', file, (uint64_t)offset, data, (size_t)done, ""); \
        return done; \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define TRUNCATE(name, offset_type) \
    int name(int file, offset_type length) { \
        if (watched(file)) before(); \
        int failed = REAL(name)(file, length); \
        if (!failed && watched(file)) note('t', file, (uint64_t)length, "", 0, ""); \
        return failed; \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(name) \
    int name(int file) { \
        if (watched(file)) before(); \
        int failed = REAL(name)(file); \
        if (!failed && watched(file)) note('s', file, 0, "", 0, ""); \
        return failed; \
    }
SYNC(fsync)
SYNC(fdatasync)

int close(int file) {
    if (watched(file)) {
        is_watched[file] = 0;
        note('c', file, 0, "", 0, "");
    }
    return REAL(close)(file);
}

#define ENTRIES(call, operation, folder, path) \
    char whole[MOST_PATH]; \
    const char *name = inside(folder, path, whole); \
    if (name) before(); \
    int failed = call; \
    if (!failed && name) note(operation, -1, 0, name, strlen(name), ""); \
    return failed;

int unlink(const char *path) { ENTRIES(REAL(unlink)(path), 'u', AT_FDCWD, path) }

int rmdir(const char *path) { ENTRIES(REAL(rmdir)(path), 'u', AT_FDCWD, path) }

int unlinkat(int folder, const char *path, int flags) {
    ENTRIES(REAL(unlinkat)(folder, path, flags), 'u', folder, path)
}

int mkdir(const char *path, mode_t mode) { ENTRIES(REAL(mkdir)(path, mode), 'm', AT_FDCWD, path) }

int mkdirat(int folder, const char *path, mode_t mode) {
    ENTRIES(REAL(mkdirat)(folder, path, mode), 'm', folder, path)
}

#define RENAME(call, from_folder, from, to_folder, to, flags) \
    char one[MOST_PATH], two[MOST_PATH]; \
    const char *source = inside(from_folder, from, one), *target = inside(to_folder, to, two); \
    if (source || target) before(); \
    int failed = call; \
    if (!failed && (source || target)) { \
        if (!source || !target) abort(); \
        note('r', -1, flags, source, strlen(source), target); \
    } \
    return failed;

int rename(const char *from, const char *to) { RENAME(REAL(rename)(from, to), AT_FDCWD, from, AT_FDCWD, to, 0) }

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    RENAME(REAL(renameat)(from_folder, from, to_folder, to), from_folder, from, to_folder, to, 0)
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    RENAME(REAL(renameat2)(from_folder, from, to_folder, to, flags), from_folder, from, to_folder, to, flags)
}
