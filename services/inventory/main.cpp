// flotilla-inventory: stock and holds.
#include <memory>

#include "inventory/api/inventory_api.h"
#include "inventory/store/migrations.h"
#include "inventory/workflow/inventory.h"
#include "inventory/workflow/keeper.h"
#include "runtime/runtime.h"

namespace {

absl::Status Wire(flotilla::runtime::Fleet& fleet) {
  using namespace flotilla;
  const auto postgres = fleet.postgres();
  if (auto status = fleet.Migrate(inventory::Migrations()); !status.ok()) return status;
  auto* stock = fleet.Keep(std::make_unique<inventory::Inventory>(postgres, fleet.redis()));
  fleet.Keep(std::make_unique<inventory::Keeper>(postgres, fleet.redis(), *stock, inventory::Keeper::Options{}));
  fleet.Keep(std::make_unique<inventory::InventoryApi>(fleet.server(), *stock));
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) { return flotilla::runtime::Main(argc, argv, "inventory", Wire); }
