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

/* 1 where the file is none of ours. */
static int durable(int fd) {
  const char *root = getenv("MPBP_CUT_ROOT"), *store = getenv("MPBP_CUT_STORE");
  const char *sync = getenv("MPBP_CUT_SYNC"), *slow = getenv("MPBP_CUT_SLOW");
  char link_path[64], path[PATH_MAX];
  if (root == NULL || store == NULL) return 1;
  snprintf(link_path, sizeof link_path, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link_path, path, sizeof path - 1);
  if (length < 0) return 1;
  path[length] = 0;
  if (strncmp(path, root, strlen(root)) != 0) return 1;
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

int fsync(int fd) {
  static int (*real)(int);
  if (durable(fd) == 0) return 0;
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  return real(fd);
}

int fdatasync(int fd) {
  static int (*real)(int);
  if (durable(fd) == 0) return 0;
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  return real(fd);
}
