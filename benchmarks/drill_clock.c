/* Loaded before libc (LD_PRELOAD): the wall clock of a program and of all that it starts jumps by DRILL_JUMP_S seconds
   once the file DRILL_JUMP is there. The monotonic clock is left alone, as the kernel leaves it alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long jump_s(void) {
  const char *file = getenv("DRILL_JUMP"), *by = getenv("DRILL_JUMP_S");
  return file && by && access(file, F_OK) == 0 ? atol(by) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int failed = real(clock, now);
  if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += jump_s();
  return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone;
  struct timespec spec;
  int failed = clock_gettime(CLOCK_REALTIME, &spec);
  if (!failed && now) {
    now->tv_sec = spec.tv_sec;
    now->tv_usec = spec.tv_nsec / 1000;
  }
  return failed;
}

time_t time(time_t *into) {
  struct timespec spec;
  clock_gettime(CLOCK_REALTIME, &spec);
  if (into) *into = spec.tv_sec;
  return spec.tv_sec;
}
