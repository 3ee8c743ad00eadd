// Which SKUs there are and which are restricted, as this process knows it without asking SQL: a Bloom filter and the
// gate's rule book, read at the start and then followed.
//
// Another instance may acknowledge a new SKU at any time, so the filter's "no" alone proves nothing: an answer
// "unknown" waits for news that were asked for after the question came. Such waits share their look at SQL, which is
// one index probe however many wait.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "async/task.h"
#include "batch/worker_batcher.h"
#include "inventory/catalog/bloom_filter.h"
#include "inventory/gate/rule_book.h"
#include "inventory/store/sku_store.h"
#include "postgres/session.h"

namespace flotilla::inventory {

class Catalog {
 public:
  // `rules` outlives it.
  Catalog(const postgres::Options& postgres, RuleBook& rules);

  // Blocking. Load before anything else; Refresh from time to time, for it bounds the age of the rules.
  absl::Status Load();
  absl::Status Refresh();

  // False: only Unknown can tell.
  bool MayExist(const std::string& sku) const { return filter_.load()->MayContain(sku); }
  // Those of `skus` that were not acknowledged by any instance before this call. Where SQL cannot be asked, none. Only
  // on an executor's thread; resumes there.
  async::Task<std::vector<std::string>> Unknown(std::vector<std::string> skus);

 private:
  struct Nothing {};
  absl::Status LoadLocked();
  void Apply(const std::vector<Listing>& listings);

  RuleBook& rules_;
  std::mutex mutex_;  // one look at SQL at a time; only on blocking threads
  SkuStore store_;
  std::string mark_;
  std::atomic<std::shared_ptr<BloomFilter>> filter_;
  batch::WorkerBatcher<Nothing, Nothing> news_;  // last: its thread uses all of the above
};

}  // namespace flotilla::inventory
