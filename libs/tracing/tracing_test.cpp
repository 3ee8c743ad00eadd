#include <string>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "telemetry/trace.h"
#include "testing/eventually.h"
#include "tracing/exporter.h"
#include "tracing/test_collector.h"

namespace flotilla::tracing {
namespace {

using testing::ElementsAre;

constexpr char kCaller[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

ExportOptions To(const TestCollector& collector) {
  return {.endpoint = collector.address(), .service = "svc", .instance = "svc-1"};
}

TEST(Span, ReachesTheCollectorWithItsParentItsTimesAndItsError) {
  TestCollector collector;
  const Scope caller{kCaller};
  {
    Exporter exporter(To(collector));
    Span outer("outer", Kind::kServer, &caller);
    ASSERT_NE(outer.scope(), nullptr);
    Span inner("inner", Kind::kClient, outer.scope());
    inner.Link(caller);
    inner.Set("key", "value");
    inner.End(absl::NotFoundError("of user-17"));
    inner.End(absl::OkStatus());
  }
  const auto spans = collector.spans();
  ASSERT_EQ(spans.size(), 2u);
  const auto &inner = spans[0].span, &outer = spans[1].span;
  EXPECT_EQ(spans[0].service, "svc");
  EXPECT_EQ(spans[0].instance, "svc-1");
  EXPECT_EQ(absl::BytesToHexString(outer.trace_id()), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(absl::BytesToHexString(outer.parent_span_id()), "b7ad6b7169203331");
  EXPECT_EQ(inner.trace_id(), outer.trace_id());
  EXPECT_EQ(inner.parent_span_id(), outer.span_id());
  EXPECT_NE(inner.span_id(), outer.span_id());
  EXPECT_EQ(inner.kind(), inner.SPAN_KIND_CLIENT);
  EXPECT_EQ(inner.name(), "inner");
  EXPECT_EQ(absl::BytesToHexString(inner.links(0).span_id()), "b7ad6b7169203331");
  EXPECT_EQ(inner.attributes(0).key(), "key");
  EXPECT_EQ(inner.attributes(0).value().string_value(), "value");
  EXPECT_EQ(inner.status().message(), "NOT_FOUND") << "what the message quotes is nobody else's business";
  EXPECT_EQ(outer.status().code(), opentelemetry::proto::collector::trace::v1::Status::STATUS_CODE_UNSET);
  EXPECT_LE(outer.start_time_unix_nano(), inner.start_time_unix_nano());
  EXPECT_LE(inner.end_time_unix_nano(), outer.end_time_unix_nano());
}

TEST(Span, IsNothingWithoutATraceOrAnExporter) {
  const Scope caller{kCaller};
  EXPECT_EQ(Span("alone", Kind::kInternal, &caller).scope(), nullptr);
  TestCollector collector;
  Exporter exporter(To(collector));
  EXPECT_EQ(Span("alone", Kind::kInternal, nullptr).scope(), nullptr);
}

TEST(Exporter, SendsAgainWhatTheCollectorCouldNotTakeAndDropsWhatItRefused) {
  TestCollector collector({grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::INVALID_ARGUMENT});
  const Scope caller{kCaller};
  Exporter exporter(To(collector));
  {
    const Span refused("refused at the second try", Kind::kInternal, &caller);
  }
  // Two seconds later than the first try; what comes next is a batch of its own.
  ASSERT_TRUE(Eventually(
      [&] {
        Span("taken", Kind::kInternal, &caller);
        return !collector.spans().empty();
      },
      absl::Seconds(20)));
  EXPECT_EQ(collector.spans().front().span.name(), "taken");
}

TEST(Exporter, KeepsNoMoreThanItsQueue) {
  TestCollector collector;
  const Scope caller{kCaller};
  {
    ExportOptions options = To(collector);
    options.max_queue = 3;
    Exporter exporter(options);
    for (int i = 0; i < 10; ++i) Span("one", Kind::kInternal, &caller);
  }
  EXPECT_EQ(collector.spans().size(), 3u);
}

TEST(Sampling, TakesASecondsWorthAtOnceAndNothingWithoutAnExporter) {
  EXPECT_FALSE(SampleNewTrace());
  TestCollector collector;
  ExportOptions options = To(collector);
  options.traces_per_second = 5;
  Exporter exporter(options);
  int sampled = 0;
  for (int i = 0; i < 1000; ++i) sampled += SampleNewTrace() ? 1 : 0;
  EXPECT_GE(sampled, 5);
  EXPECT_LT(sampled, 1000);
  EXPECT_TRUE(Eventually([] { return SampleNewTrace(); })) << "the bucket fills again";
}

}  // namespace
}  // namespace flotilla::tracing
