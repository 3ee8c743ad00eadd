#include "validation/validation.h"

#include <string>

#include "gtest/gtest.h"
#include "testing/status.h"

namespace flotilla::validation {
namespace {

TEST(Validation, Names) {
  EXPECT_TRUE(IsName("a.B_c-9"));
  EXPECT_TRUE(IsName(std::string(64, 'x')));
  for (const std::string& bad : {std::string(), std::string(65, 'x'), std::string("a b"), std::string("a{b}"),
                                 std::string("\xc3\xa4"), std::string("a\0b", 3)}) {
    EXPECT_FALSE(IsName(bad)) << bad;
  }
}

TEST(Validation, Keys) {
  EXPECT_TRUE(IsKey("any key: ok!"));
  for (const std::string& bad : {std::string(), std::string(65, 'x'), std::string("a\nb"), std::string("\xff")}) {
    EXPECT_FALSE(IsKey(bad)) << bad;
  }
}

TEST(Validation, Uuids) {
  EXPECT_TRUE(IsUuid("01234567-89ab-CDEF-0123-456789abcdef"));
  for (const char* bad : {"", "01234567-89ab-cdef-0123-456789abcde", "01234567-89ab-cdef-0123-456789abcdeg",
                          "0123456789ab-cdef-0123-456789abcdef0-", "01234567x89ab-cdef-0123-456789abcdef"}) {
    EXPECT_FALSE(IsUuid(bad)) << bad;
  }
}

TEST(Validation, Currencies) {
  EXPECT_TRUE(IsCurrency("EUR"));
  for (const char* bad : {"", "eur", "EU", "EURO", "E1R"}) EXPECT_FALSE(IsCurrency(bad)) << bad;
}

TEST(Validation, Users) {
  EXPECT_EQ(CheckUser("u"), absl::OkStatus());
  EXPECT_EQ(CheckUser("").code(), absl::StatusCode::kUnauthenticated);
}

TEST(Validation, Notes) {
  EXPECT_EQ(CheckNote("why", 3), absl::OkStatus());
  EXPECT_EQ(CheckNote("", 3, false), absl::OkStatus());
  for (const std::string& bad : {std::string(), std::string("long"), std::string("a\0b", 3)}) {
    EXPECT_EQ(Field(CheckNote(bad, 3)), "note") << bad;
  }
}

TEST(Validation, Pages) {
  EXPECT_EQ(*PageSize(0), 50);
  EXPECT_EQ(*PageSize(1000), 1000);
  for (const int bad : {-1, 1001}) EXPECT_EQ(PageSize(bad).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace flotilla::validation
