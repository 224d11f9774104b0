/* Counts what a Trivet process does to the world, and at number N of it lets something go wrong.
 *
 * Loaded with LD_PRELOAD into the command; this file itself hands it on to the supervisor and the front door, whose
 * environment is made from nothing. A point is the moment just before a call that changes what others see: a durable
 * write below the home, a control group, the start of a process, a signal, a message to a Unix socket. All processes share one file
 * (struct shared, told in points.py, which arms it); what they have done is appended to TRACE, a line a call.
 *
 * A power cut of the processes is exact: once `dead` is set no process passes any further point, until whoever armed this
 * has killed them all.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { COMMAND = 1, SUPERVISOR, DOOR, ROLES };
enum { COUNT = 0, KILL, CUT, FULL, FAIL_SYNC, SIGNAL };
enum { OTHER = 0, ALLOCATES, SYNCS };

struct shared {
  _Atomic int role, action, signal, dead, failing, reached, asked, granted;
  _Atomic long target;
  _Atomic long count[ROLES];
  _Atomic int main_pid[ROLES];
  _Atomic int keeps, kept;
};

static struct shared *shared;
static int own_role, own_main_pid; /* a child that has not become another program yet has its parent's */
static char home[PATH_MAX], trace[PATH_MAX], names[3][PATH_MAX + 32];
static const char *const roles[] = {"", "command", "supervisor", "door"};

#define REAL(name) ((__typeof__(&name))real(#name))
#define NUMBER(name, ...) syscall_real(SYS_##name, __VA_ARGS__)

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static long syscall_real(long number, long a, long b, long c, long d, long e, long f) {
  static long (*call)(long, ...);
  if (call == NULL) call = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  return call(number, a, b, c, d, e, f);
}

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("POINTS_SHARED");
  char argv[4096];
  int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return;
  struct shared *found = mmap(NULL, sizeof *found, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (found == MAP_FAILED) return;
  snprintf(home, sizeof home, "%s", getenv("POINTS_HOME"));
  snprintf(trace, sizeof trace, "%s", getenv("POINTS_TRACE"));
  snprintf(names[0], sizeof names[0], "LD_PRELOAD=%s", getenv("LD_PRELOAD"));
  snprintf(names[1], sizeof names[1], "POINTS_SHARED=%s", path);
  file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  ssize_t length = read(file, argv, sizeof argv - 1);
  close(file);
  own_role = COMMAND;
  for (ssize_t i = 0; i < length; i += strlen(argv + i) + 1) {
    argv[length] = 0;
    if (strstr(argv + i, "/run/__main__.py")) own_role = SUPERVISOR;
    if (strstr(argv + i, "/door/__main__.py")) own_role = DOOR;
  }
  shared = found;
  own_main_pid = getpid();
  shared->main_pid[own_role] = own_main_pid;
}

static void tell(long number, const char *call, const char *what) {
  char line[PATH_MAX + 128];
  int length = snprintf(line, sizeof line, "%ld %s %d %s %s\n", number, roles[own_role], getpid(), call, what);
  long file = NUMBER(openat, AT_FDCWD, (long)trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600, 0, 0);
  if (file < 0) return; /* behind walls already */
  NUMBER(write, file, (long)line, length, 0, 0, 0);
  NUMBER(close, file, 0, 0, 0, 0, 0);
}

static const char *seen(const char *path);

/* What lost_writes.py needs to know of every call on the home's files, whoever makes it, to take back what was not synced. */
static void note(const char *what, long number, long size, const char *path, const char *other) {
  char line[2 * PATH_MAX + 128], into[PATH_MAX + 16];
  int kept = errno, length = snprintf(line, sizeof line, "%s\t%ld\t%ld\t%s\t%s\n", what, number, size, path, other);
  snprintf(into, sizeof into, "%s.journal", trace);
  long file = NUMBER(openat, AT_FDCWD, (long)into, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600, 0, 0);
  if (file >= 0) NUMBER(write, file, (long)line, length, 0, 0, 0), NUMBER(close, file, 0, 0, 0, 0, 0);
  errno = kept;
}

static int is_noted(const char *path) {
  const char *what = shared != NULL && shared->keeps && path[0] == '/' ? seen(path) : NULL;
  return what != NULL && what != path;
}

static void note_file(const char *what, int file) {
  struct stat found;
  char link[64], path[PATH_MAX];
  if (shared == NULL || !shared->keeps || fstat(file, &found) != 0) return;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return;
  path[length] = 0;
  if (is_noted(path)) note(what, found.st_ino, found.st_size, path, "");
}

/* Before a name goes: what it named is kept under a number. */
static void note_end(const char *what, const char *path, const char *other) {
  char into[PATH_MAX + 64];
  if (!is_noted(path)) return;
  int number = ++shared->kept, before = errno;
  snprintf(into, sizeof into, "%s.kept/%d", trace, number);
  NUMBER(linkat, AT_FDCWD, (long)path, AT_FDCWD, (long)into, 0, 0);
  errno = before;
  note(what, number, 0, path, other);
}

static void stay(void) {
  for (;;) NUMBER(pause, 0, 0, 0, 0, 0, 0);
}

/* The process whose points are counted has the signal; of two supervisors, that is the one that came to the point. A child
 * of it may live in a namespace of its own, where numbers mean other processes, or be another user already: then it is sent
 * by whoever armed this. */
static void send_main(int number) {
  if (own_role != COMMAND || getpid() == own_main_pid) {
    if (NUMBER(kill, own_main_pid, number, 0, 0, 0, 0) == 0) return;
  }
  shared->main_pid[own_role] = own_main_pid;
  shared->asked = number;
  for (int waited_ms = 0; !shared->granted && waited_ms < 20000; waited_ms++) NUMBER(poll, 0, 0, 1, 0, 0, 0);
}

/* The point before a call has come; 0, or the error with which the call is to fail. */
static int point(const char *call, const char *what, int kind) {
  if (shared == NULL) return 0;
  int kept = errno;
  if (shared->dead) stay();
  if (shared->failing && kind == ALLOCATES) return ENOSPC;
  if (shared->role != own_role) return 0;
  int action = shared->action;
  if (action == FAIL_SYNC && kind != SYNCS) return 0;
  if (action == FULL && kind != ALLOCATES) return 0;
  long number = atomic_fetch_add(&shared->count[own_role], 1) + 1;
  tell(number, call, what);
  errno = kept;
  if (number != shared->target || action == COUNT) return 0;
  shared->reached = 1;
  switch (action) {
    case KILL:
      send_main(SIGKILL);
      return 0; /* a child of it that is about to become another program goes on */
    case CUT: shared->dead = 1; stay(); break;
    case FULL: shared->failing = 1; return ENOSPC;
    case FAIL_SYNC: return EIO;
    case SIGNAL: send_main(shared->signal); return 0;
  }
  return 0;
}

#define FAILS(error) do { int failed = (error); if (failed) { errno = failed; return -1; } } while (0)

/* What is told of a path that others see, below the home or a control group; else NULL. */
static const char *seen(const char *path) {
  size_t length = strlen(home);
  if (strncmp(path, "/sys/fs/cgroup/", strlen("/sys/fs/cgroup/")) == 0) return path;
  return strncmp(path, home, length) == 0 && (path[length] == '/' || path[length] == 0) ? path + length : NULL;
}

static int at_place(const char *call, const char *path, int kind) {
  const char *what = seen(path);
  if (what == NULL) return 0;
  return point(call, what, what == path ? OTHER : kind); /* no disk fills with control groups */
}

/* Where a name leads, seen from an open folder. */
static const char *place(int folder, const char *name, char *into) {
  char link[64];
  if (name[0] == '/' || shared == NULL) return name;
  snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
  ssize_t length = readlink(link, into, PATH_MAX - 1);
  if (length < 0) return name;
  snprintf(into + length, PATH_MAX - length, "/%s", name);
  return into;
}

static int at_path(const char *call, int folder, const char *name, int kind) {
  char into[PATH_MAX + 256];
  const char *path = place(folder, name, into);
  return shared != NULL ? at_place(call, path, kind) : 0;
}

static int at_file(const char *call, int file, int kind) {
  char link[64], into[PATH_MAX];
  if (shared == NULL) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, into, sizeof into - 1);
  if (length < 0) return 0;
  into[length] = 0;
  return at_place(call, into, kind);
}

static int at_socket(const char *call, int file) {
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  if (shared == NULL || getsockname(file, (struct sockaddr *)&address, &size) != 0) return 0;
  return address.ss_family == AF_UNIX ? point(call, "socket", OTHER) : 0;
}

static int synced(int result, const char *what, int file) {
  if (result == 0) note_file(what, file);
  return result;
}

int fsync(int file) { FAILS(at_file("fsync", file, SYNCS)); return synced(REAL(fsync)(file), "sync", file); }
int fdatasync(int file) { FAILS(at_file("fdatasync", file, SYNCS)); return synced(REAL(fdatasync)(file), "sync", file); }
int syncfs(int file) { FAILS(at_file("syncfs", file, SYNCS)); return synced(REAL(syncfs)(file), "syncfs", file); }

ssize_t write(int file, const void *data, size_t size) {
  struct stat found;
  if (shared != NULL && fstat(file, &found) == 0 && S_ISREG(found.st_mode)) {
    FAILS(at_file("write", file, ALLOCATES));
    note_file("write", file);
  }
  return REAL(write)(file, data, size);
}
ssize_t pwrite(int file, const void *data, size_t size, off_t at) {
  FAILS(at_file("pwrite", file, ALLOCATES));
  note_file("write", file);
  return REAL(pwrite)(file, data, size, at);
}
ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
  FAILS(at_file("pwrite", file, ALLOCATES));
  note_file("write", file);
  return REAL(pwrite64)(file, data, size, at);
}
int ftruncate(int file, off_t size) { FAILS(at_file("ftruncate", file, OTHER)); return REAL(ftruncate)(file, size); }
int ftruncate64(int file, off64_t size) {
  FAILS(at_file("ftruncate", file, OTHER));
  return REAL(ftruncate64)(file, size);
}
int fallocate(int file, int mode, off_t at, off_t size) {
  FAILS(at_file("fallocate", file, ALLOCATES));
  return REAL(fallocate)(file, mode, at, size);
}
int posix_fallocate(int file, off_t at, off_t size) {
  int failed = at_file("fallocate", file, ALLOCATES);
  return failed ? failed : REAL(posix_fallocate)(file, at, size);
}
int posix_fallocate64(int file, off64_t at, off64_t size) {
  int failed = at_file("fallocate", file, ALLOCATES);
  return failed ? failed : REAL(posix_fallocate64)(file, at, size);
}
ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *where, size_t size, unsigned flags) {
  FAILS(at_file("copy_file_range", to, ALLOCATES));
  note_file("write", to);
  return REAL(copy_file_range)(from, at, to, where, size, flags);
}
ssize_t sendfile(int to, int from, off_t *at, size_t size) {
  FAILS(at_file("sendfile", to, ALLOCATES));
  note_file("write", to);
  return REAL(sendfile)(to, from, at, size);
}
ssize_t sendfile64(int to, int from, off64_t *at, size_t size) {
  FAILS(at_file("sendfile", to, ALLOCATES));
  note_file("write", to);
  return REAL(sendfile64)(to, from, at, size);
}

static void note_name(const char *what, int folder, const char *name) {
  char into[PATH_MAX + 256];
  const char *path = place(folder, name, into);
  if (is_noted(path)) note(what, 0, 0, path, "");
}

static int creates(int folder, const char *path, int flags) {
  struct stat found;
  if (shared == NULL || !(flags & (O_CREAT | __O_TMPFILE))) return 0;
  if (!(flags & O_EXCL) && fstatat(folder, path, &found, 0) == 0) return 0; /* it is there already */
  int failed = at_path("create", folder, path, ALLOCATES);
  if (!failed && (flags & O_CREAT)) note_name("name", folder, path);
  return failed;
}
#define MODE va_list list; va_start(list, flags); mode_t mode = va_arg(list, mode_t); va_end(list)
int open(const char *path, int flags, ...) { MODE; FAILS(creates(AT_FDCWD, path, flags)); return REAL(open)(path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE; FAILS(creates(AT_FDCWD, path, flags)); return REAL(open64)(path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) {
  MODE;
  FAILS(creates(folder, path, flags));
  return REAL(openat)(folder, path, flags, mode);
}
int openat64(int folder, const char *path, int flags, ...) {
  MODE;
  FAILS(creates(folder, path, flags));
  return REAL(openat64)(folder, path, flags, mode);
}

static void note_rename(int a, const char *from, int b, const char *to) {
  char one[PATH_MAX + 256], other[PATH_MAX + 256];
  if (shared != NULL && shared->keeps) note_end("rename", place(b, to, other), place(a, from, one));
}

int rename(const char *from, const char *to) {
  FAILS(at_path("rename", AT_FDCWD, to, OTHER));
  note_rename(AT_FDCWD, from, AT_FDCWD, to);
  return REAL(rename)(from, to);
}
int renameat(int a, const char *from, int b, const char *to) {
  FAILS(at_path("rename", b, to, OTHER));
  note_rename(a, from, b, to);
  return REAL(renameat)(a, from, b, to);
}
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
  FAILS(at_path("rename", b, to, OTHER));
  note_rename(a, from, b, to);
  return REAL(renameat2)(a, from, b, to, flags);
}
int link(const char *from, const char *to) {
  FAILS(at_path("link", AT_FDCWD, to, ALLOCATES));
  note_name("name", AT_FDCWD, to);
  return REAL(link)(from, to);
}
int linkat(int a, const char *from, int b, const char *to, int flags) {
  FAILS(at_path("link", b, to, ALLOCATES));
  note_name("name", b, to);
  return REAL(linkat)(a, from, b, to, flags);
}
int symlink(const char *from, const char *to) {
  FAILS(at_path("symlink", AT_FDCWD, to, ALLOCATES));
  note_name("name", AT_FDCWD, to);
  return REAL(symlink)(from, to);
}
int symlinkat(const char *from, int b, const char *to) {
  FAILS(at_path("symlink", b, to, ALLOCATES));
  note_name("name", b, to);
  return REAL(symlinkat)(from, b, to);
}
static void note_unlink(int folder, const char *name) {
  char into[PATH_MAX + 256];
  if (shared != NULL && shared->keeps) note_end("unlink", place(folder, name, into), "");
}

int unlink(const char *path) {
  FAILS(at_path("unlink", AT_FDCWD, path, OTHER));
  note_unlink(AT_FDCWD, path);
  return REAL(unlink)(path);
}
int unlinkat(int folder, const char *path, int flags) {
  FAILS(at_path("unlink", folder, path, OTHER));
  if (!(flags & AT_REMOVEDIR)) note_unlink(folder, path);
  return REAL(unlinkat)(folder, path, flags);
}
int rmdir(const char *path) { FAILS(at_path("rmdir", AT_FDCWD, path, OTHER)); return REAL(rmdir)(path); }
static int makes(int folder, const char *path) {
  if (shared == NULL || faccessat(folder, path, F_OK, 0) == 0) return 0;
  int failed = at_path("mkdir", folder, path, ALLOCATES);
  if (!failed) note_name("folder", folder, path);
  return failed;
}
int mkdir(const char *path, mode_t mode) { FAILS(makes(AT_FDCWD, path)); return REAL(mkdir)(path, mode); }
int mkdirat(int folder, const char *path, mode_t mode) {
  FAILS(makes(folder, path));
  return REAL(mkdirat)(folder, path, mode);
}
int mkfifo(const char *path, mode_t mode) { FAILS(at_path("mkfifo", AT_FDCWD, path, ALLOCATES)); return REAL(mkfifo)(path, mode); }
int chmod(const char *path, mode_t mode) { FAILS(at_path("chmod", AT_FDCWD, path, OTHER)); return REAL(chmod)(path, mode); }

pid_t fork(void) {
  FAILS(point("fork", "", OTHER));
  return REAL(fork)();
}
pid_t vfork(void) { return fork(); } /* a wrapper cannot return twice on one stack */

int execve(const char *path, char *const argv[], char *const envp[]) {
  char shared_home[PATH_MAX + 32], shared_trace[PATH_MAX + 32];
  char *given[256];
  int count = 0, is_ours = 0;
  if (access(path, X_OK) == 0) FAILS(point("execve", path, OTHER)); /* a place on the PATH where there is none is no start */
  for (int i = 0; argv[i] != NULL; i++)
    if (strstr(argv[i], "/run/__main__.py") || strstr(argv[i], "/door/__main__.py")) is_ours = 1;
  if (shared == NULL || !is_ours) return REAL(execve)(path, argv, envp);
  while (envp[count] != NULL && count < 250) given[count] = envp[count], count++;
  snprintf(shared_home, sizeof shared_home, "POINTS_HOME=%s", home);
  snprintf(shared_trace, sizeof shared_trace, "POINTS_TRACE=%s", trace);
  given[count++] = names[0], given[count++] = names[1], given[count++] = shared_home, given[count++] = shared_trace;
  given[count] = NULL;
  return REAL(execve)(path, argv, given);
}

int kill(pid_t pid, int number) { if (number) FAILS(point("kill", strsignal(number), OTHER)); return REAL(kill)(pid, number); }
int killpg(pid_t group, int number) { FAILS(point("killpg", strsignal(number), OTHER)); return REAL(killpg)(group, number); }
int pidfd_send_signal(int pidfd, int number, siginfo_t *info, unsigned flags) {
  FAILS(point("kill", strsignal(number), OTHER));
  return NUMBER(pidfd_send_signal, pidfd, number, (long)info, flags, 0, 0);
}
long syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
  long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
  va_end(list);
  if (number == SYS_clone3) FAILS(point("clone", "", OTHER));
  if (number == SYS_pidfd_send_signal) FAILS(point("kill", strsignal((int)b), OTHER));
  return syscall_real(number, a, b, c, d, e, f);
}

int connect(int file, const struct sockaddr *address, socklen_t size) {
  if (shared != NULL && address->sa_family == AF_UNIX) FAILS(point("connect", "socket", OTHER));
  return REAL(connect)(file, address, size);
}
int bind(int file, const struct sockaddr *address, socklen_t size) {
  if (shared != NULL) FAILS(point("bind", address->sa_family == AF_UNIX ? "socket" : "port", OTHER));
  return REAL(bind)(file, address, size);
}
ssize_t send(int file, const void *data, size_t size, int flags) {
  FAILS(at_socket("send", file));
  return REAL(send)(file, data, size, flags);
}
ssize_t sendmsg(int file, const struct msghdr *message, int flags) {
  FAILS(at_socket("sendmsg", file));
  return REAL(sendmsg)(file, message, flags);
}
