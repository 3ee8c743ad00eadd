// Preloaded into a service: its calendar clock is off by the nanoseconds that stand in the file CLOCK_OFFSET_FILE,
// which may change at any time. The clock of waits runs on, as it does where a machine's time is set. libfaketime would
// do the same, but ends in recursion under jemalloc, and leaves the futexes of absl::Mutex alone.
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

std::atomic<const std::atomic<std::int64_t>*> file_offset = nullptr;

__attribute__((constructor)) void Map() {
  const char* name = std::getenv("CLOCK_OFFSET_FILE");
  if (name == nullptr) return;
  const int fd = open(name, O_RDONLY);
  if (fd < 0) std::abort();
  void* mapped = mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped == MAP_FAILED) std::abort();
  file_offset = static_cast<const std::atomic<std::int64_t>*>(mapped);
}

std::int64_t Offset() {
  const auto* mapped = file_offset.load();
  return mapped == nullptr ? 0 : mapped->load();
}

timespec Shifted(const timespec& time, std::int64_t nanoseconds) {
  const std::int64_t fraction = time.tv_nsec + nanoseconds % kSecond;
  const std::int64_t carry = fraction < 0 ? -1 : fraction / kSecond;
  // Not before 1970, which the kernel takes for an error.
  return {.tv_sec = std::max<std::int64_t>(0, time.tv_sec + nanoseconds / kSecond + carry),
          .tv_nsec = fraction - carry * kSecond};
}

template <class Function>
Function* Real(const char* name, const char* version = nullptr) {
  void* found = version == nullptr ? dlsym(RTLD_NEXT, name) : dlvsym(RTLD_NEXT, name, version);
  return reinterpret_cast<Function*>(found);
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) {
  static auto* const real = Real<int(clockid_t, timespec*)>("clock_gettime");
  const int result = real(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) *time = Shifted(*time, Offset());
  return result;
}

int gettimeofday(timeval* time, void*) {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  *time = {.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
  return 0;
}

time_t time(time_t* result) {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (result != nullptr) *result = now.tv_sec;
  return now.tv_sec;
}

// The kernel's clock is not shifted, so moments on the calendar that a thread waits for are shifted back.

int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex, const timespec* until) {
  static auto* const real =
      Real<int(pthread_cond_t*, pthread_mutex_t*, const timespec*)>("pthread_cond_timedwait", "GLIBC_2.3.2");
  if (until->tv_sec < kSecond) return real(condition, mutex, until);  // by the machine's uptime
  const timespec shifted = Shifted(*until, -Offset());
  return real(condition, mutex, &shifted);
}

long syscall(long number, ...) {
  static auto* const real = Real<long(long, ...)>("syscall");
  __builtin_va_list list;
  __builtin_va_start(list, number);
  long argument[6];
  for (long& each : argument) each = __builtin_va_arg(list, long);
  __builtin_va_end(list);
  timespec shifted;
  if (number == SYS_futex && (argument[1] & FUTEX_CLOCK_REALTIME) != 0 && argument[3] != 0) {
    shifted = Shifted(*reinterpret_cast<const timespec*>(argument[3]), -Offset());
    argument[3] = reinterpret_cast<long>(&shifted);
  }
  return real(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
}

}  // extern "C"
