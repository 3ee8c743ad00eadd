// For tests: one instance of the service as main wires it, without its API.
#pragma once

#include "gtest/gtest.h"
#include "inventory/catalog/catalog.h"
#include "inventory/catalog/sku_reader.h"
#include "inventory/workflow/gate_writer.h"
#include "inventory/workflow/inventory.h"
#include "inventory/workflow/stock_keeping.h"

namespace flotilla::inventory {

struct Instance {
  Instance(const postgres::Options& postgres, const redis::Options& redis, int gate_segments = 1)
      : reader(postgres),
        gate(redis, reader, gate_segments),
        catalog(postgres, gate.memory().rules),
        holds(postgres, redis, catalog, gate),
        keeping(postgres, redis, gate) {
    EXPECT_TRUE(catalog.Load().ok());
  }
  SkuReader reader;
  GateWriter gate;
  Catalog catalog;
  Inventory holds;
  StockKeeping keeping;
};

}  // namespace flotilla::inventory
