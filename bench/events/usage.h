// What a process has used, and what the services say of the ages of events.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace flotilla::bench {

// Of a process, so far.
struct Usage {
  double cpu_seconds = 0;  // with its living children
  double resident_mb = 0;
};
Usage UsageOf(int pid);

// By stage (see libs/events/age.h): how many events were at most so many seconds old, cumulative, as on /metrics.
using Ages = std::map<std::string, std::vector<std::pair<double, double>>>;
Ages AgesAt(int metrics_port);

// The quantile in milliseconds of what came to a stage between two looks; to the width of a bucket.
double QuantileMs(const Ages& before, const Ages& after, const std::string& stage, double quantile);

}  // namespace flotilla::bench
