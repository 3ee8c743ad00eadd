#include "postgres/parameter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

#include "postgres/session.h"
#include "postgres/test_database.h"

namespace flotilla::postgres {
namespace {

using testing::ElementsAre;

constexpr unsigned kTextArray = 1009, kUuidArray = 2951, kSmallintArray = 1005, kBytea = 17, kText = 25;
constexpr char kUuid[] = "00010203-0405-0607-0809-0a0b0c0d0eff";

TEST(ParameterTest, OneValueIsText) {
  const auto text = [](Parameter parameter) { return std::move(parameter).For(kText).value; };
  EXPECT_EQ(text("a"), "a");
  EXPECT_EQ(text(std::string_view("b")), "b");
  EXPECT_EQ(text(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
  EXPECT_EQ(text(0.1), "0.1");
  EXPECT_EQ(text(true), "t");
  EXPECT_EQ(text(false), "f");
}

TEST(ParameterTest, WhatDoesNotFitTheTypeIsRefused) {
  const auto send = [](Parameter parameter, unsigned type) { return std::move(parameter).For(type).value; };
  const std::vector<std::int64_t> one = {1}, large = {32768};
  const std::vector<std::string> text = {"x"}, short_uuid = {"0001"}, long_uuid = {std::string(kUuid) + "00"};
  EXPECT_NO_THROW(send(Array(one), kSmallintArray));
  EXPECT_THROW(send(Array(large), kSmallintArray), std::invalid_argument);
  EXPECT_THROW(send(Array(one), kTextArray), std::invalid_argument);
  EXPECT_THROW(send(Array(text), kSmallintArray), std::invalid_argument);
  EXPECT_THROW(send(Array(text), kText), std::invalid_argument);
  for (const auto& uuid : {text, short_uuid, long_uuid})
    EXPECT_THROW(send(Array(uuid), kUuidArray), std::invalid_argument);
  EXPECT_THROW(send(Bytes("x"), kText), std::invalid_argument);
  EXPECT_NO_THROW(send(Bytes("x"), kBytea));
}

class ParameterOnServerTest : public testing::Test {
 protected:
  template <class... Args>
  std::vector<std::string> Run(const char* sql, const Args&... args) {
    const std::string name = "statement_" + std::to_string(++statements_);
    std::vector<std::string> rows;
    EXPECT_EQ(session_.Read([&](Transaction& transaction) {
      rows.clear();
      for (const Row& row : transaction.Run(Statement{name.c_str(), sql}, args...)) {
        rows.push_back(row[0].as<std::string>("NULL"));
      }
      return absl::OkStatus();
    }),
              absl::OkStatus());
    return rows;
  }

  TestDatabase database_;
  Session session_{database_.options()};
  int statements_ = 0;
};

TEST_F(ParameterOnServerTest, ArraysOfEveryTypeArrive) {
  using Numbers = std::vector<std::int64_t>;
  using Texts = std::vector<std::string>;
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  EXPECT_THAT(Run("SELECT unnest($1::bigint[])", Array(Numbers{-1, 0, kMax})),
              ElementsAre("-1", "0", "9223372036854775807"));
  EXPECT_THAT(Run("SELECT unnest($1::int[])", Array(Numbers{-1, 0, 2147483647})), ElementsAre("-1", "0", "2147483647"));
  EXPECT_THAT(Run("SELECT unnest($1::smallint[])", Array(Numbers{-32768, 7})), ElementsAre("-32768", "7"));
  EXPECT_THAT(Run("SELECT unnest($1::boolean[])", Array(Numbers{0, 1})), ElementsAre("f", "t"));
  EXPECT_THAT(Run("SELECT unnest($1::xid8[])", Array(Numbers{3, kMax})), ElementsAre("3", "9223372036854775807"));
  EXPECT_THAT(Run("SELECT unnest($1::text[])", Array(Texts{"", "NULL", "{ü}"})), ElementsAre("", "NULL", "{ü}"));
  EXPECT_THAT(Run("SELECT unnest($1::varchar[])", Array(Texts{"a "})), ElementsAre("a "));
  EXPECT_THAT(Run("SELECT unnest($1::bpchar[]) || '.'", Array(Texts{"EUR"})), ElementsAre("EUR."));
  EXPECT_THAT(Run("SELECT unnest($1::uuid[])", Array(Texts{kUuid, "FF010203040506070809AABBCCDDEEFF"})),
              ElementsAre(kUuid, "ff010203-0405-0607-0809-aabbccddeeff"));
  EXPECT_THAT(Run("SELECT unnest($1::bytea[])", ByteArray(Texts{"", std::string("\0\xff", 2)})),
              ElementsAre("\\x", "\\x00ff"));
}

TEST_F(ParameterOnServerTest, EmptyArraysHaveNoElements) {
  EXPECT_THAT(Run("SELECT count(*) FROM unnest($1::bigint[])", Array(std::vector<std::int64_t>{})), ElementsAre("0"));
  EXPECT_THAT(Run("SELECT count(*) FROM unnest($1::smallint[])", Array(std::vector<std::int64_t>{})), ElementsAre("0"));
  EXPECT_THAT(Run("SELECT count(*) FROM unnest($1::boolean[])", Array(std::vector<std::int64_t>{})), ElementsAre("0"));
  EXPECT_THAT(Run("SELECT count(*) FROM unnest($1::uuid[])", Array(std::vector<std::string>{})), ElementsAre("0"));
  EXPECT_THAT(Run("SELECT count(*) FROM unnest($1::bytea[])", ByteArray(std::vector<std::string>{})), ElementsAre("0"));
}

TEST_F(ParameterOnServerTest, ALiteralIsAnArrayWithinAnArray) {
  const std::vector<std::string> nasty = {"", "NULL", "a,b", "{}", "\"", "\\", "it's", " pad ", "\xc3\xa4"};
  const std::vector<std::string> rows = {Literal(nasty)};
  EXPECT_EQ(Run("SELECT unnest(a::text[]) FROM unnest($1::text[]) AS a", Array(rows)), nasty);
  const std::vector<std::string> numbers = {Literal(std::vector<std::int64_t>{-1, 2})};
  EXPECT_THAT(Run("SELECT unnest(a::bigint[]) FROM unnest($1::text[]) AS a", Array(numbers)), ElementsAre("-1", "2"));
}

}  // namespace
}  // namespace flotilla::postgres
