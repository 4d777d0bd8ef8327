/*
 * Under LD_PRELOAD: keeps beside each file of a data directory what a power cut would leave of it.
 *
 * MPBP_CUT_ROOT   the data directory
 * MPBP_CUT_STORE  where the durable copies are: `<inode>` the content at the last sync of that
 *                 file, `<inode>.live` a hard link that keeps the number from being used again,
 *                 `names` the tree's paths at the last sync of anything (a journalling file
 *                 system writes names in order, and a sync takes all earlier ones along)
 * MPBP_CUT_SYNC   `off`: a sync says it was done and does nothing, like a disk that lies
 * MPBP_CUT_SLOW   milliseconds that each sync takes more
 * MPBP_CUT_FAULTS a file; while it is there, its lines `WHAT ERROR PATH` make every sync, write or
 *                 read of a file below the root fail whose path has PATH in it
 *
 * Writes themselves are left alone: after SIGKILL the tester puts the durable copies in place of
 * the files. Only what was appended since the last sync is copied, because everything that is
 * synced here is only appended to; the tester checks that.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void broken(const char *what) {
  fprintf(stderr, "power cut shim: %s: %s\n", what, strerror(errno));
  _exit(99);
}

/* Brings the durable copy up to the file's content of now. */
static void keep(const char *path, const char *store, const struct stat *now) {
  char copy[PATH_MAX], live[PATH_MAX + 8], bytes[65536];
  snprintf(copy, sizeof copy, "%s/%lu", store, (unsigned long)now->st_ino);
  snprintf(live, sizeof live, "%s.live", copy);
  if (link(path, live) != 0 && errno != EEXIST && errno != ENOENT) broken(live);
  int in = open(path, O_RDONLY | O_CLOEXEC);
  if (in < 0) {
    if (errno == ENOENT) return;
    broken(path);
  }
  int out = open(copy, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (out < 0) broken(copy);
  off_t at = lseek(out, 0, SEEK_END);
  if (at > now->st_size) {
    if (ftruncate(out, now->st_size) != 0) broken(copy);
    at = now->st_size;
  }
  for (ssize_t n; (n = pread(in, bytes, sizeof bytes, at)) > 0; at += n) {
    if (pwrite(out, bytes, n, at) != n) broken(copy);
  }
  close(in);
  close(out);
}

static void list(FILE *out, const char *dir) {
  DIR *stream = opendir(dir);
  if (stream == NULL) return;
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
    char path[PATH_MAX];
    struct stat now;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
    if (lstat(path, &now) != 0) continue;
    if (S_ISDIR(now.st_mode)) list(out, path);
    else if (S_ISREG(now.st_mode)) fprintf(out, "%lu %s\n", (unsigned long)now.st_ino, path);
  }
  closedir(stream);
}

static void keep_names(const char *root, const char *store) {
  char next[PATH_MAX], names[PATH_MAX];
  snprintf(next, sizeof next, "%s/names.next", store);
  snprintf(names, sizeof names, "%s/names", store);
  FILE *out = fopen(next, "we");
  if (out == NULL) broken(next);
  list(out, root);
  if (fclose(out) != 0 || rename(next, names) != 0) broken(names);
}

/* 1 where the file is below the root; its path then. */
static int is_ours(int fd, char path[PATH_MAX]) {
  const char *root = getenv("MPBP_CUT_ROOT");
  char link_path[64];
  if (root == NULL) return 0;
  snprintf(link_path, sizeof link_path, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link_path, path, PATH_MAX - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strncmp(path, root, strlen(root)) == 0;
}

/* The error with which this has to fail, or 0. */
static int fault(int fd, const char *what) {
  const char *faults = getenv("MPBP_CUT_FAULTS");
  char path[PATH_MAX], bytes[1024], of[16], part[256];
  if (faults == NULL || access(faults, F_OK) != 0 || !is_ours(fd, path)) return 0;
  int in = open(faults, O_RDONLY | O_CLOEXEC), error = 0;
  if (in < 0) return 0;
  ssize_t length = syscall(SYS_read, in, bytes, sizeof bytes - 1);
  close(in);
  bytes[length < 0 ? 0 : length] = 0;
  for (char *line = strtok(bytes, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    int found = 0;
    if (sscanf(line, "%15s %d %255s", of, &found, part) != 3) continue;
    if (strcmp(of, what) == 0 && strstr(path, part) != NULL) error = found;
  }
  return error;
}

/* 1 where the file is none of ours. */
static int durable(int fd) {
  const char *root = getenv("MPBP_CUT_ROOT"), *store = getenv("MPBP_CUT_STORE");
  const char *sync = getenv("MPBP_CUT_SYNC"), *slow = getenv("MPBP_CUT_SLOW");
  char path[PATH_MAX];
  if (store == NULL || !is_ours(fd, path)) return 1;
  if (slow != NULL && atol(slow) > 0) {
    long ms = atol(slow);
    struct timespec wait = {ms / 1000, (ms % 1000) * 1000000};
    nanosleep(&wait, NULL);
  }
  if (sync != NULL && strcmp(sync, "off") == 0) return 0;
  struct stat now;
  pthread_mutex_lock(&lock);
  if (fstat(fd, &now) != 0) broken(path);
  if (S_ISREG(now.st_mode)) keep(path, store, &now);
  keep_names(root, store);
  pthread_mutex_unlock(&lock);
  return 0;
}

/* Calls the real one, unless the disk is to fail. */
#define FAULTY(what, fd)                                                       \
  int error = fault(fd, what);                                                 \
  if (error != 0) {                                                            \
    errno = error;                                                             \
    return -1;                                                                 \
  }

#define REAL(name, type)                                                       \
  static type;                                                                 \
  if (real == NULL) real = dlsym(RTLD_NEXT, name)

int fsync(int fd) {
  FAULTY("sync", fd)
  if (durable(fd) == 0) return 0;
  REAL("fsync", int (*real)(int));
  return real(fd);
}

int fdatasync(int fd) {
  FAULTY("sync", fd)
  if (durable(fd) == 0) return 0;
  REAL("fdatasync", int (*real)(int));
  return real(fd);
}

/* How LevelDB's logs reach the system. */
int fflush_unlocked(FILE *file) {
  FAULTY("write", fileno_unlocked(file))
  REAL("fflush_unlocked", int (*real)(FILE *));
  return real(file);
}

ssize_t write(int fd, const void *bytes, size_t count) {
  FAULTY("write", fd)
  REAL("write", ssize_t (*real)(int, const void *, size_t));
  return real(fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  FAULTY("write", fd)
  REAL("pwrite64", ssize_t (*real)(int, const void *, size_t, off64_t));
  return real(fd, bytes, count, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
  FAULTY("write", fd)
  REAL("pwrite", ssize_t (*real)(int, const void *, size_t, off_t));
  return real(fd, bytes, count, at);
}

ssize_t read(int fd, void *bytes, size_t count) {
  FAULTY("read", fd)
  REAL("read", ssize_t (*real)(int, void *, size_t));
  return real(fd, bytes, count);
}

ssize_t pread64(int fd, void *bytes, size_t count, off64_t at) {
  FAULTY("read", fd)
  REAL("pread64", ssize_t (*real)(int, void *, size_t, off64_t));
  return real(fd, bytes, count, at);
}

ssize_t pread(int fd, void *bytes, size_t count, off_t at) {
  FAULTY("read", fd)
  REAL("pread", ssize_t (*real)(int, void *, size_t, off_t));
  return real(fd, bytes, count, at);
}
