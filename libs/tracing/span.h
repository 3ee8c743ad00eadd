// Timed pieces of work in a trace. Only sampled traces have spans, and only while an exporter (exporter.h) takes them:
// for all others a span is a null pointer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace flotilla::tracing {

// What others work for: the parent of their spans.
struct Scope {
  std::string traceparent;  // W3C Trace Context, of the span itself
};

// As OTLP numbers them.
enum class Kind { kInternal = 1, kServer = 2, kClient = 3, kProducer = 4, kConsumer = 5 };

// One that has ended.
struct Ended {
  Scope self;
  std::string parent;  // traceparent, or "" of a trace's first span
  std::string name;
  Kind kind = Kind::kInternal;
  absl::Time start;
  absl::Duration duration;
  absl::Status status;
  std::vector<std::pair<std::string, std::string>> attributes;
  std::vector<Scope> links;
};

// Used by one coroutine or thread at a time.
class Span {
 public:
  Span() = default;  // of no trace
  Span(std::string_view name, Kind kind, const Scope* parent);
  // The span that `self`, a sampled traceparent, names; `parent` may be empty.
  Span(std::string_view name, Kind kind, std::string self, std::string parent);
  Span(Span&&) noexcept = default;
  Span& operator=(Span&& other) noexcept;
  ~Span() { End(absl::OkStatus()); }

  // To be a parent; null of no trace. Valid until the span is moved from, ends or dies.
  const Scope* scope() const { return open_ == nullptr ? nullptr : &open_->ended.self; }
  void Link(const Scope& other);
  void Set(std::string_view attribute, std::string_view value);
  // Later calls do nothing.
  void End(const absl::Status& status);

 private:
  struct Open {
    Ended ended;
    std::int64_t began;  // by the clock that nobody sets, nanoseconds
  };
  std::unique_ptr<Open> open_;
};

}  // namespace flotilla::tracing
