// The faults: one at a time, each healed before it returns.
#pragma once

#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "fleet/disk.h"
#include "fleet/fleet.h"

namespace flotilla::soak {

// What the payment provider signs with.
inline constexpr char kProviderSecret[] = "soak-secret";

// A fleet of `instances` of each service, every link between them through a proxy.
struct World {
  World(int instances);

  // PostgreSQL's, where we may mount one.
  fleet::Disk disk{4096};
  fleet::Fleet fleet{{.own_postgres = true,
                      .postgres_folder = disk.mounted() ? disk.path() : std::filesystem::path(),
                      .own_clocks = true}};
  fleet::Proxy sql{fleet.postgres().port()};
  std::vector<std::unique_ptr<fleet::Proxy>> links;     // to each inventory and payment service
  std::vector<std::string> services, orders, payments;  // the instances; those of order and of payment
};

class Faults {
 public:
  Faults(World& world, std::uint64_t seed);
  // Only on one thread, the one that made the fleet: its processes die with it.
  void Strike();
  // Sets every clock right.
  void Heal();
  const std::map<std::string, int>& survived() const { return survived_; }

 private:
  void Pause(int least_ms, int most_ms);
  const std::string& AnyService() { return world_.services[random_() % world_.services.size()]; }
  void Bounce(const std::string& server);
  void RevokeLeases();

  World& world_;
  std::mt19937_64 random_;
  std::vector<std::pair<std::string, std::function<void()>>> kinds_;
  std::vector<std::size_t> deck_;  // kinds that are still to come before the first comes again
  std::map<std::string, int> survived_;
};

}  // namespace flotilla::soak
