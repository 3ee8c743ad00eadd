#include "tracing/span.h"

#include <chrono>

#include "absl/time/clock.h"
#include "telemetry/trace.h"
#include "tracing/exporter.h"

namespace flotilla::tracing {
namespace {

std::int64_t SteadyNanoseconds() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Span::Span(std::string_view name, Kind kind, const Scope* parent) {
  if (parent == nullptr) return;
  *this = Span(name, kind, telemetry::ChildTraceparent(parent->traceparent, true), parent->traceparent);
}

Span::Span(std::string_view name, Kind kind, std::string self, std::string parent) {
  if (!Exporting()) return;
  open_ = std::make_unique<Open>();
  open_->ended.self.traceparent = std::move(self);
  open_->ended.parent = std::move(parent);
  open_->ended.name = name;
  open_->ended.kind = kind;
  open_->ended.start = absl::Now();
  open_->began = SteadyNanoseconds();
}

Span& Span::operator=(Span&& other) noexcept {
  End(absl::OkStatus());
  open_ = std::move(other.open_);
  return *this;
}

void Span::Link(const Scope& other) {
  if (open_ != nullptr) open_->ended.links.push_back(other);
}

void Span::Set(std::string_view attribute, std::string_view value) {
  if (open_ != nullptr) open_->ended.attributes.emplace_back(attribute, value);
}

void Span::End(const absl::Status& status) {
  if (open_ == nullptr) return;
  const std::unique_ptr<Open> open = std::move(open_);
  open->ended.duration = absl::Nanoseconds(SteadyNanoseconds() - open->began);
  open->ended.status = status;
  Export(std::move(open->ended));
}

}  // namespace flotilla::tracing
