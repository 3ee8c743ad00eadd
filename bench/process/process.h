// What processes have used: CPU so far, in seconds of user and system time, and memory now.
#pragma once

#include <optional>

namespace flotilla::bench {

struct ProcessTime {
  double seconds = 0;  // with those of its children that it has reaped
  int parent = 0;
};
// Empty where there is no such process.
std::optional<ProcessTime> TimeOf(int pid);

// A process and its living children: of a postmaster the backends, WAL writer and autovacuum too.
double TreeSeconds(int root);

// This process, to the microsecond.
double OwnSeconds();

// Resident memory of a process, in MiB; 0 where there is no such process.
double ResidentMb(int pid);

}  // namespace flotilla::bench
