#include "inventory/wiring.h"

#include <memory>

#include "absl/flags/flag.h"
#include "event_log/event_log.h"
#include "inventory/api/inventory_api.h"
#include "inventory/store/schema.h"
#include "inventory/workflow/inventory.h"
#include "inventory/workflow/keeper.h"
#include "postgres/database_clock.h"

ABSL_FLAG(int, gate_segments, 1,
          "Redis keys, of different hash tags, that a SKU's stock is spread over: 1 to 16, the same on all instances.");

namespace flotilla::inventory {

absl::Status Wire(runtime::Fleet& fleet) {
  const int segments = absl::GetFlag(FLAGS_gate_segments);
  if (segments < 1 || segments > 16) return absl::InvalidArgumentError("--gate_segments: must be 1 to 16");
  const auto postgres = fleet.postgres();
  const auto migrate = [](const postgres::Options& owner) { return event_log::Migrate(owner, Schema()); };
  if (auto status = fleet.Migrate(Rights(), migrate); !status.ok()) return status;
  auto* reader = fleet.Keep(std::make_unique<SkuReader>(postgres));
  auto* clock = fleet.Keep(std::make_unique<postgres::DatabaseClock>(postgres));
  if (auto status = fleet.Patiently([clock] { return clock->Start(); }); !status.ok()) return status;
  const auto database_time = [clock] { return clock->Now(); };
  auto* gate = fleet.Keep(std::make_unique<GateWriter>(fleet.redis(), *reader, segments, database_time));
  auto* catalog = fleet.Keep(std::make_unique<Catalog>(postgres, gate->memory().rules));
  if (auto status = fleet.Patiently([&] { return catalog->Load(); }); !status.ok()) return status;
  auto* holds = fleet.Keep(std::make_unique<Inventory>(postgres, fleet.redis(), *catalog, *gate));
  auto* keeping = fleet.Keep(std::make_unique<StockKeeping>(postgres, fleet.redis(), *gate));
  auto* prices = fleet.Keep(std::make_unique<PriceCache>(*reader));
  fleet.Keep(std::make_unique<Keeper>(postgres, fleet.redis(), *catalog, *gate, Keeper::Options{}));
  // Low stock is rare news and may wait a moment.
  fleet.Keep(std::make_unique<event_log::EventLog>(
      fleet.server(),
      event_log::EventLog::Options{
          .service = "inventory", .postgres = postgres, .nats = fleet.nats(), .idle_poll = absl::Milliseconds(200)}));
  fleet.Keep(std::make_unique<InventoryApi>(fleet.server(), *holds, StockApi::Parts{*keeping, *reader, *prices}));
  return absl::OkStatus();
}

}  // namespace flotilla::inventory
