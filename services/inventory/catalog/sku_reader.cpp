#include "inventory/catalog/sku_reader.h"

#include "inventory/store/sku_store.h"

namespace flotilla::inventory {

SkuReader::SkuReader(const postgres::Options& postgres)
    : batcher_({.name = "read", .max_queue = 8192}, [postgres](int) {
        return [store = std::make_shared<SkuStore>(postgres::Named(postgres, "read"))](
                   const std::vector<std::vector<std::string>>& requests) {
          std::vector<std::string> skus;
          for (const auto& request : requests) skus.insert(skus.end(), request.begin(), request.end());
          auto found = store->Read(skus);
          if (!found.ok()) return std::vector<absl::StatusOr<Skus>>(requests.size(), found.status());
          const Skus shared = std::make_shared<const std::map<std::string, Sku>>(*std::move(found));
          return std::vector<absl::StatusOr<Skus>>(requests.size(), shared);
        };
      }) {}

async::Task<absl::StatusOr<SkuReader::Skus>> SkuReader::Read(std::vector<std::string> skus) {
  return batcher_.Call(std::move(skus));
}

}  // namespace flotilla::inventory
