#include "soak/faults.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "registry/etcd.h"

namespace flotilla::soak {

World::World(int instances) {
  const auto database = [this](const std::string& service) {
    return absl::StrCat("--postgres=postgresql://postgres@127.0.0.1:", sql.port(), "/", fleet.Database(service));
  };
  for (int i = 0; i < instances; ++i) {
    links.push_back(std::make_unique<fleet::Proxy>());
    services.push_back(fleet.StartBehind(*links.back(), "inventory", {database("inventory")}));
    links.push_back(std::make_unique<fleet::Proxy>());
    payments.push_back(fleet.StartBehind(*links.back(), "payment",
                                         {database("payment"), absl::StrCat("--provider_secrets=", kProviderSecret)}));
    services.push_back(fleet.Start("notify", {database("notify")}));
    // Short, so that many payments come too late.
    orders.push_back(fleet.Start("order", {database("order"), "--payment_window=5s"}));
  }
  services.insert(services.end(), payments.begin(), payments.end());
  services.insert(services.end(), orders.begin(), orders.end());
  for (const std::string& service : services) fleet.WaitServing(service);
}

Faults::Faults(World& world, std::uint64_t seed) : world_(world), random_(seed) {
  fleet::Fleet& fleet = world_.fleet;
  kinds_ = {
      {"service killed",
       [&] {
         const std::string victim = AnyService();
         fleet.Kill(victim);
         Pause(0, 2000);
         fleet.Restart(victim);
       }},
      {"service ended and begun again",
       [&] {
         const std::string leaver = AnyService();
         fleet.process(leaver).Signal(SIGTERM);
         fleet.process(leaver).Wait(30);
         fleet.Restart(leaver);
       }},
      {"service frozen",
       [&] {
         const std::string victim = AnyService();
         fleet.process(victim).Signal(SIGSTOP);
         Pause(1000, 5000);
         fleet.process(victim).Signal(SIGCONT);
       }},
      {"all services of a kind killed",
       [&] {
         const std::string kind = AnyService();
         const std::string prefix = kind.substr(0, kind.find('-'));
         for (const auto& name : world_.services) {
           if (name.starts_with(prefix)) fleet.Kill(name);
         }
         for (const auto& name : world_.services) {
           if (name.starts_with(prefix)) fleet.Restart(name);
         }
       }},
      {"PostgreSQL killed",
       [&] {
         fleet.postgres().Kill();
         Pause(0, 1000);
         fleet.postgres().Start();
       }},
      {"answers to COMMIT lost", [&] { world_.sql.CutAfter("COMMIT", 1 + static_cast<int>(random_() % 10)); }},
      {"Redis emptied", [&] { Bounce("redis"); }},
      {"NATS killed", [&] { Bounce("nats"); }},
      {"NATS killed and its data lost",
       [&] {
         fleet.StopServer("nats");
         fleet.WipeServer("nats");
         Pause(0, 3000);
         fleet.StartServer("nats");
       }},
      {"etcd killed", [&] { Bounce("etcd"); }},
      {"etcd leases revoked", [&] { RevokeLeases(); }},
      {"clock set",
       [&] {
         const std::string& victim = AnyService();
         fleet.SetClock(victim, absl::Minutes(static_cast<int>(random_() % 21) - 10));
         Pause(0, 3000);
         if (random_() % 2 == 0) fleet.SetClock(victim, absl::ZeroDuration());  // else it stays wrong
       }},
      {"link slow",
       [&] {
         fleet::Proxy& link = *world_.links[random_() % world_.links.size()];
         link.SetDelay(absl::Milliseconds(250));
         Pause(500, 3000);
         link.Heal();
       }},
      {"link a hundred times slower",
       [&] {
         fleet::Proxy& link = *world_.links[random_() % world_.links.size()];
         link.SetDelay(absl::Seconds(1));
         Pause(1000, 4000);
         link.Heal();
       }},
      {"link cut",
       [&] {
         fleet::Proxy& link = *world_.links[random_() % world_.links.size()];
         link.Cut();
         Pause(500, 3000);
         link.Heal();
       }},
      {"link cut one way",
       [&] {
         fleet::Proxy& link = *world_.links[random_() % world_.links.size()];
         link.SwallowAnswers();
         Pause(500, 3000);
         link.Heal();
       }},
  };
  if (!world_.disk.mounted()) return;
  kinds_.emplace_back("PostgreSQL's disk full", [&] {
    world_.disk.Fill();
    Pause(500, 3000);
    world_.disk.Empty();
    // It gave up, or would at its next segment.
    fleet.postgres().Kill();
    fleet.postgres().Start();
  });
}

void Faults::Pause(int least_ms, int most_ms) {
  std::this_thread::sleep_for(
      std::chrono::milliseconds(least_ms + static_cast<int>(random_() % (most_ms - least_ms + 1))));
}

void Faults::Bounce(const std::string& server) {
  world_.fleet.StopServer(server);
  Pause(0, 3000);
  world_.fleet.StartServer(server);
}

void Faults::RevokeLeases() {
  registry::Etcd etcd(absl::StrCat("127.0.0.1:", world_.fleet.port("etcd")));
  const auto keys = etcd.List("/flotilla/services/");
  if (!keys.ok()) return;
  for (const auto& kv : keys->kvs()) etcd.Revoke(kv.lease()).IgnoreError();
}

void Faults::Strike() {
  Pause(200, 2000);
  if (deck_.empty()) {
    for (std::size_t i = 0; i < kinds_.size(); ++i) deck_.push_back(i);
    std::shuffle(deck_.begin(), deck_.end(), random_);
  }
  const auto& [kind, strike] = kinds_[deck_.back()];
  deck_.pop_back();
  strike();
  ++survived_[kind];
}

void Faults::Heal() {
  for (const std::string& service : world_.services) world_.fleet.SetClock(service, absl::ZeroDuration());
}

}  // namespace flotilla::soak
