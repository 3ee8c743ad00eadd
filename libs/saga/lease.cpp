#include "saga/lease.h"

namespace flotilla::saga {
namespace {

std::vector<Record> Records(std::span<const FlightPtr> flights) {
  std::vector<Record> records;
  records.reserve(flights.size());
  for (const FlightPtr& flight : flights) records.push_back(flight->record);
  return records;
}

}  // namespace

LeaseKeeper::LeaseKeeper(const postgres::Options& postgres, std::string owner, absl::Duration length,
                         const Flights& flights, Lease& lease)
    : postgres_(postgres::Named(postgres, "saga lease")),
      owner_(std::move(owner)),
      length_(length),
      flights_(flights),
      lease_(lease),
      in_flight_gauge_(telemetry::Gauge("flotilla_saga_in_flight", "Sagas running on this instance")),
      thread_([this] { Run(); }) {}

void LeaseKeeper::Stop() {
  stop_.Set();
  if (thread_.joinable()) thread_.join();
}

// Most sagas end long before a third of their lease and cost nothing here.
void LeaseKeeper::Run() {
  Store store(postgres_);
  store.Renew(owner_, length_).status().IgnoreError();  // connects before a saga depends on it
  while (!stop_.WaitFor(length_ / 3)) {
    in_flight_gauge_.Set(static_cast<double>(flights_.size()));
    const async::SteadyTime soon = async::After(length_ * 2 / 3);
    const auto slow = flights_.Where([&](const Flight& flight) { return flight.held_until.load() <= soon; });
    if (!slow.empty()) Renew(store);
  }
  const auto rest = flights_.Where([](const Flight& flight) { return !flight.lost.load(); });
  store.Leave(owner_, Records(rest)).IgnoreError();
}

void LeaseKeeper::Renew(Store& store) {
  const async::SteadyTime until = async::After(length_);
  const absl::StatusOr<bool> held = store.Renew(owner_, length_);
  if (!held.ok()) return;
  // It may also have ended unseen: the answer to a renewal before was lost.
  const async::SteadyTime now = async::SteadyNow();
  if (!*held || lease_.until() <= now) lease_.Begin(now);
  lease_.Prolong(until);
  const auto unsure =
      flights_.Where([this](const Flight& flight) { return lease_.BeganAfter(flight) && !flight.lost.load(); });
  if (!unsure.empty()) Look(store, unsure, until);
}

// Those of which nothing can be said just now are looked at again with the next renewal.
void LeaseKeeper::Look(Store& store, std::span<const FlightPtr> unsure, async::SteadyTime until) {
  const absl::StatusOr<std::vector<Hold>> holds = store.Look(Records(unsure));
  if (!holds.ok()) return;
  for (std::size_t i = 0; i < unsure.size(); ++i) {
    if ((*holds)[i] == Hold::kLost) unsure[i]->lost.store(true);
    if ((*holds)[i] == Hold::kHeld) unsure[i]->held_until.store(until);
  }
}

}  // namespace flotilla::saga
