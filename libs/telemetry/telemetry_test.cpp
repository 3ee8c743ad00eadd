#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"
#include "telemetry/trace.h"
#include "testing/http.h"

namespace flotilla::telemetry {
namespace {

constexpr char kParent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

TEST(Trace, AChildKeepsTheTraceAndHasItsOwnSpan) {
  const std::string child = ChildTraceparent(kParent, false);
  ASSERT_EQ(child.size(), 55u);
  EXPECT_EQ(TraceId(child), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_NE(child.substr(36, 16), "b7ad6b7169203331");
  EXPECT_EQ(child.substr(53), "00");
  EXPECT_FALSE(IsSampled(child));
  EXPECT_TRUE(IsSampled(ChildTraceparent(kParent, true)));
  EXPECT_EQ(SpanId(kParent), "b7ad6b7169203331");
}

TEST(Trace, TheFlagsLastBitTellsWhetherItIsSampled) {
  const std::string ids(kParent, 53);
  for (const char* flags : {"01", "03", "ff"}) EXPECT_TRUE(IsSampled(ids + flags)) << flags;
  for (const char* flags : {"00", "02", "fe", "0x", ""}) EXPECT_FALSE(IsSampled(ids + flags)) << flags;
}

TEST(Trace, AMalformedParentBeginsANewTrace) {
  for (const char* bad : {"", "x", "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                          "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                          "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                          "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01"}) {
    EXPECT_EQ(TraceId(bad), "") << bad;
    const std::string fresh = ChildTraceparent(bad, true);
    EXPECT_EQ(TraceId(fresh).size(), 32u) << bad;
    EXPECT_NE(fresh, ChildTraceparent(bad, true));
  }
}

TEST(Log, OneJsonObjectALine) {
  InitLog("test", Level::kInfo);
  testing::internal::CaptureStderr();
  Log(Level::kDebug, "not shown");
  Log(Level::kError, "said \"no\"\n\\", {{"key", std::string("a\x01z\t", 4)}}, kParent);
  const std::string line = testing::internal::GetCapturedStderr();
  ASSERT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
  google::protobuf::Struct json;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(line, &json).ok()) << line;
  EXPECT_EQ(json.fields().at("level").string_value(), "error");
  EXPECT_EQ(json.fields().at("service").string_value(), "test");
  EXPECT_EQ(json.fields().at("trace_id").string_value(), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(json.fields().at("message").string_value(), "said \"no\"\n\\");
  EXPECT_EQ(json.fields().at("key").string_value(), std::string("a\x01z\t", 4));
  EXPECT_EQ(json.fields().at("timestamp").string_value().size(), 27u);
}

TEST(Log, BytesThatAreNotUtf8DoNotBreakTheLine) {
  InitLog("test", Level::kInfo);
  testing::internal::CaptureStderr();
  Log(Level::kError, "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
      {{"cut", "\xe2\x82"}, {"stray", "a\xff\x80z"}, {"overlong", "\xc0\xaf"}, {"surrogate", "\xed\xa0\x80"}});
  const std::string line = testing::internal::GetCapturedStderr();
  google::protobuf::Struct json;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(line, &json).ok()) << line;
  const std::string bad = "\xef\xbf\xbd";
  EXPECT_EQ(json.fields().at("message").string_value(), "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
  EXPECT_EQ(json.fields().at("cut").string_value(), bad + bad);
  EXPECT_EQ(json.fields().at("stray").string_value(), "a" + bad + bad + "z");
  EXPECT_EQ(json.fields().at("overlong").string_value(), bad + bad);
  EXPECT_EQ(json.fields().at("surrogate").string_value(), bad + bad + bad);
}

TEST(Metrics, SameNameAndLabelsGiveTheSameObjectAndAreServed) {
  auto& counter = Counter("test_things_total", "Things", {{"kind", "a"}});
  EXPECT_EQ(&counter, &Counter("test_things_total", "Things", {{"kind", "a"}}));
  EXPECT_NE(&counter, &Counter("test_things_total", "Things", {{"kind", "b"}}));
  counter.Increment(3);
  Latency("test_seconds", "Time").Observe(0.003);
  Gauge("test_level", "Level").Set(7);
  const MetricsEndpoint endpoint("127.0.0.1:0");
  const std::string page = HttpGet(endpoint.port(), "/metrics");
  EXPECT_NE(page.find("test_things_total{kind=\"a\"} 3"), std::string::npos) << page;
  EXPECT_NE(page.find("test_level 7"), std::string::npos) << page;
  EXPECT_NE(page.find("test_seconds_bucket{le=\"0.005\"} 1"), std::string::npos) << page;
  EXPECT_ANY_THROW(MetricsEndpoint("127.0.0.1:" + std::to_string(endpoint.port())));
}

TEST(Metrics, TheProcessIsAmongThem) {
  const MetricsEndpoint endpoint("127.0.0.1:0");
  const std::string page = HttpGet(endpoint.port(), "/metrics");
  const auto value = [&page](const std::string& name) {
    const std::size_t at = page.find("\n" + name + " ");
    return at == std::string::npos ? -1.0 : std::strtod(page.c_str() + at + name.size() + 2, nullptr);
  };
  EXPECT_GE(value("process_cpu_seconds_total"), 0);
  EXPECT_GT(value("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GE(value("process_threads"), 2);
  EXPECT_GT(value("process_open_fds"), 3);
  EXPECT_GT(value("process_max_fds"), value("process_open_fds"));
  EXPECT_NEAR(value("process_start_time_seconds"), static_cast<double>(time(nullptr)), 60);
}

}  // namespace
}  // namespace flotilla::telemetry
