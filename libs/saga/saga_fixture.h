// A database, a journal of what ran, and definitions that write it. For the tests of this room.
#pragma once

#include <atomic>
#include <coroutine>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "async/thread_executor.h"
#include "errors/errors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "postgres/test_database.h"
#include "saga/migrations.h"
#include "saga/saga.h"
#include "testing/eventually.h"

namespace flotilla::saga {

// Where calls hang until it is opened.
class Gate {
 public:
  auto Wait() {
    struct Awaiter {
      Gate& gate;
      bool await_ready() const noexcept { return false; }
      bool await_suspend(std::coroutine_handle<> handle) const {
        std::lock_guard lock(gate.mutex_);
        if (gate.open_) return false;
        gate.waiting_.emplace_back(async::Executor::Current(), handle);
        return true;
      }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }
  void Open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    for (const auto& [executor, handle] : waiting_) executor->Post(handle);
    waiting_.clear();
  }

 private:
  std::mutex mutex_;
  bool open_ = false;
  std::vector<std::pair<async::Executor*, std::coroutine_handle<>>> waiting_;
};

// No stall of a busy machine outlasts it.
inline constexpr absl::Duration kLongLease = absl::Seconds(10);
// Where a test waits for its end.
inline constexpr absl::Duration kShortLease = absl::Milliseconds(1500);

class SagaTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    database = new postgres::TestDatabase;
    postgres_options = database->options();
    const absl::Status status = postgres::Migrate(postgres_options, Migrations(), absl::Seconds(10));
    ASSERT_TRUE(status.ok()) << status;
  }
  static void TearDownTestSuite() { delete database; }
  void SetUp() override { Query("TRUNCATE saga, saga_history, saga_archive, saga_owner"); }

  static std::string Query(const std::string& sql) { return database->Query(sql); }
  static EngineOptions Options(const std::string& owner, absl::Duration lease = kLongLease) {
    EngineOptions options;
    options.postgres = postgres_options;
    options.owner = owner;
    options.lease = lease;
    options.scan_interval = absl::Milliseconds(50);
    return options;
  }
  static Record MakeRecord(const std::string& id) {
    Record record;
    record.id = id;
    record.type = "test";
    record.data = std::string("data\0\xff", 6);
    return record;
  }
  // As a service would, in its own transaction.
  static void BeginAs(const std::string& owner, std::vector<Record> records, absl::Duration lease = kLongLease) {
    postgres::Session session(postgres_options);
    const absl::Status status = session.Transact([&](postgres::Transaction& transaction) {
      Begin(transaction, records, owner, lease);
      return absl::OkStatus();
    });
    ASSERT_TRUE(status.ok()) << status;
  }
  static absl::Status Finish(Context& context) {
    thread_local postgres::Session session(postgres_options);
    std::vector<std::string> ended;
    const absl::Status status = session.Transact([&](postgres::Transaction& transaction) {
      ended = End(transaction, {&context.record, 1});
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    return ended.empty() ? Lost() : absl::OkStatus();
  }

  // A journal of what ran.
  void Note(std::string text) {
    std::lock_guard lock(mutex);
    journal.push_back(std::move(text));
  }
  std::vector<std::string> Journal() {
    std::lock_guard lock(mutex);
    return journal;
  }
  Action Do(const std::string& text, absl::Status status = absl::OkStatus(), int fail_first = 0) {
    auto left = std::make_shared<std::atomic<int>>(fail_first);
    return [this, text, status, left](Context&) -> async::Task<absl::Status> {
      Note(text);
      if ((*left)-- > 0) co_return absl::UnavailableError("try again");
      co_return status;
    };
  }
  Definition Steps(std::vector<Step> steps) {
    Definition definition;
    definition.type = "test";
    definition.steps = std::move(steps);
    for (Step& step : definition.steps) {
      step.retry.initial = absl::Milliseconds(1);
      step.retry.max_attempts = 4;
    }
    definition.finish_forward = [this](Context& context) -> async::Task<absl::Status> {
      Note("paid");
      co_return Finish(context);
    };
    definition.finish_compensated = [this](Context& context) -> async::Task<absl::Status> {
      Note("cancelled " + context.record.reason);
      co_return Finish(context);
    };
    return definition;
  }

  static inline postgres::TestDatabase* database = nullptr;
  static inline postgres::Options postgres_options;
  std::mutex mutex;
  std::vector<std::string> journal;
  async::ThreadExecutor executor;
};

inline const absl::Status kNo = errors::Make(absl::StatusCode::kFailedPrecondition, "NO_MONEY", "no money");

}  // namespace flotilla::saga
