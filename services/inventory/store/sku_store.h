// SKUs in PostgreSQL. Blocking; one method is one transaction. Errors as in postgres/session.h.
#pragma once

#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "inventory/domain/sku.h"
#include "postgres/session.h"

namespace flotilla::inventory {

// Of a SKU: what the gate is told.
struct Listing {
  std::string sku;
  SellingRules rules;
};

class SkuStore {
 public:
  explicit SkuStore(postgres::Options options) : session_(std::move(options)) {}

  // Each SKU once. Results by SKU.
  absl::StatusOr<std::map<std::string, PutSkuResult>> Put(std::span<const PutSkuCommand> commands);
  // Those that exist.
  absl::StatusOr<std::map<std::string, Sku>> Read(std::span<const std::string> skus);
  absl::StatusOr<std::vector<Sku>> List(const SkuQuery& query);
  // Up to `limit` SKUs behind `after`, in order, with their available stock.
  absl::StatusOr<std::vector<std::pair<std::string, std::int64_t>>> Scan(const std::string& after, int limit);

  // What was put, for who follows it: a mark, everything as of some time after the mark, and then again and again what
  // was put since a mark, which may repeat a little of what was known. Nothing that was committed is ever missed.
  absl::StatusOr<std::string> Mark();
  absl::StatusOr<std::vector<std::string>> Names(const std::string& after, int limit);
  absl::StatusOr<std::vector<Listing>> Restricted();
  struct Changes {
    std::string mark;
    std::vector<Listing> listings;
  };
  absl::StatusOr<Changes> ChangedSince(const std::string& mark);

 private:
  postgres::Session session_;
};

}  // namespace flotilla::inventory
