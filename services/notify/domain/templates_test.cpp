#include "notify/domain/templates.h"

#include "gtest/gtest.h"
#include "notify/domain/preferences.h"

namespace flotilla::notify {
namespace {

TEST(Templates, EveryTypeHasItsWordsInEveryLanguage) {
  const TemplateValues values = {{"order", "7"}, {"reason", "SOLD_OUT"}};
  EXPECT_EQ(Render("order.paid", "en", values), "Your order 7 is paid.");
  EXPECT_EQ(Render("order.paid", "de", values), "Ihre Bestellung 7 ist bezahlt.");
  EXPECT_EQ(Render("order.paid", "", values), "Your order 7 is paid.");
  EXPECT_EQ(Render("order.paid", "tlh", values), "Your order 7 is paid.");
  EXPECT_EQ(Render("order.cancelled", "en", values), "Your order 7 is cancelled: SOLD_OUT.");
  EXPECT_EQ(Render("order.shipped", "de", values), "Ihre Bestellung 7 hat sich geändert.");
}

TEST(Templates, AnOptionalPartNeedsItsValues) {
  EXPECT_EQ(Render("order.cancelled", "en", {{"order", "7"}}), "Your order 7 is cancelled.");
  EXPECT_EQ(Render("order.cancelled", "en", {{"order", "7"}, {"reason", ""}}), "Your order 7 is cancelled.");
}

TEST(Templates, ValuesAreNotTemplates) {
  EXPECT_EQ(Render("order.paid", "en", {{"order", "{order}[x]"}}), "Your order {order}[x] is paid.");
}

TEST(Preferences, MutesTakeChannelsAway) {
  const Preferences preferences = {.language = "", .muted = {{"order.reserved", kMailbox | kStream}, {"*", kWebhook}}};
  EXPECT_EQ(ChannelsFor(preferences, "order.reserved"), 0);
  EXPECT_EQ(ChannelsFor(preferences, "order.paid"), kMailbox | kStream);
  EXPECT_EQ(ChannelsFor({}, "order.paid"), kAllChannels);
}

}  // namespace
}  // namespace flotilla::notify
