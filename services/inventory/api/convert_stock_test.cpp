#include "inventory/api/convert_stock.h"

#include "gtest/gtest.h"
#include "testing/status.h"

namespace flotilla::inventory {
namespace {

v1::PutSkuRequest GoodSku() {
  v1::PutSkuRequest request;
  request.set_sku("a");
  request.set_name("A");
  request.mutable_price()->set_minor_units(100);
  request.mutable_price()->set_currency_code("EUR");
  return request;
}

template <class Change>
std::string FieldAfter(Change change) {
  v1::PutSkuRequest request = GoodSku();
  change(request);
  return Field(Parse(request).status());
}

TEST(ConvertStock, ASkuWithoutRulesHasNone) {
  const auto command = Parse(GoodSku());
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->rules, SellingRules{});
  EXPECT_FALSE(ToProto(Sku{.sku = "a"}).has_rules());
}

TEST(ConvertStock, RulesThereAndBack) {
  v1::PutSkuRequest request = GoodSku();
  auto* rules = request.mutable_rules();
  rules->set_user_limit(2);
  rules->mutable_sale_start()->set_seconds(100);
  rules->mutable_sale_end()->set_seconds(200);
  rules->mutable_sale_end()->set_nanos(5000);
  rules->mutable_sale_price()->set_minor_units(50);
  rules->mutable_sale_price()->set_currency_code("EUR");
  const auto command = Parse(request);
  ASSERT_TRUE(command.ok()) << command.status();
  const v1::Stock stock = ToProto(Sku{.sku = "a", .price = 100, .currency = "EUR", .rules = command->rules});
  EXPECT_EQ(stock.rules().SerializeAsString(), rules->SerializeAsString());
}

TEST(ConvertStock, NamesTheWrongFieldOfASku) {
  EXPECT_EQ(FieldAfter([](auto& r) { r.set_sku("a{b}"); }), "sku");
  EXPECT_EQ(FieldAfter([](auto& r) { r.clear_name(); }), "name");
  EXPECT_EQ(FieldAfter([](auto& r) { r.mutable_price()->set_minor_units(0); }), "price.minor_units");
  EXPECT_EQ(FieldAfter([](auto& r) { r.mutable_price()->set_currency_code("eur"); }), "price.currency_code");
  EXPECT_EQ(FieldAfter([](auto& r) { r.set_initial_quantity(-1); }), "initial_quantity");
  EXPECT_EQ(FieldAfter([](auto& r) { r.set_low_stock_threshold(-1); }), "low_stock_threshold");
  EXPECT_EQ(FieldAfter([](auto& r) { r.mutable_rules()->set_user_limit(-1); }), "rules.user_limit");
  EXPECT_EQ(FieldAfter([](auto& r) { r.mutable_rules()->mutable_sale_start()->set_seconds(-5); }), "rules.sale_start");
  EXPECT_EQ(FieldAfter([](auto& r) { r.mutable_rules()->mutable_sale_end()->set_seconds(INT64_MAX); }),
            "rules.sale_end");
  EXPECT_EQ(FieldAfter([](auto& r) {
              r.mutable_rules()->mutable_sale_start()->set_seconds(200);
              r.mutable_rules()->mutable_sale_end()->set_seconds(200);
            }),
            "rules.sale_end");
  EXPECT_EQ(FieldAfter([](auto& r) { r.mutable_rules()->mutable_sale_price(); }), "rules.sale_price.minor_units");
  EXPECT_EQ(FieldAfter([](auto& r) {
              r.mutable_rules()->mutable_sale_price()->set_minor_units(1);
              r.mutable_rules()->mutable_sale_price()->set_currency_code("USD");
            }),
            "rules.sale_price.currency_code");
}

TEST(ConvertStock, AnImportNamesTheSku) {
  v1::ImportSkusRequest request;
  EXPECT_EQ(Field(Parse(request).status()), "skus");
  *request.add_skus() = GoodSku();
  EXPECT_TRUE(Parse(request).ok());
  *request.add_skus() = GoodSku();
  EXPECT_EQ(Field(Parse(request).status()), "skus[1].sku");
  request.mutable_skus(1)->set_sku("b");
  request.mutable_skus(1)->clear_name();
  EXPECT_EQ(Field(Parse(request).status()), "skus[1].name");
}

TEST(ConvertStock, NamesTheWrongFieldOfAnAdjustment) {
  v1::AdjustStockRequest adjust;
  adjust.set_sku("a");
  EXPECT_EQ(Field(Parse(adjust).status()), "delta");
  adjust.set_delta(INT64_MIN);
  EXPECT_EQ(Field(Parse(adjust).status()), "delta");
  adjust.set_delta(5);
  EXPECT_EQ(Field(Parse(adjust).status()), "reference");
  adjust.set_reference("PO-1");
  EXPECT_EQ(Field(Parse(adjust).status()), "reason");
  adjust.set_reason(v1::MOVEMENT_REASON_INITIAL);
  EXPECT_EQ(Field(Parse(adjust).status()), "reason");
  adjust.set_reason(static_cast<v1::MovementReason>(99));
  EXPECT_EQ(Field(Parse(adjust).status()), "reason");
  adjust.set_reason(v1::MOVEMENT_REASON_RECEIPT);
  EXPECT_TRUE(Parse(adjust).ok());
  for (const std::string& note : {std::string(201, 'x'), std::string("a\0b", 3)}) {
    adjust.set_note(note);
    EXPECT_EQ(Field(Parse(adjust).status()), "note");
  }
}

TEST(ConvertStock, ListsHaveLimits) {
  v1::ListStockRequest list;
  EXPECT_EQ(Parse(list)->limit, 50);
  list.set_page_size(1001);
  EXPECT_EQ(Field(Parse(list).status()), "page_size");
  list.set_page_size(-1);
  EXPECT_EQ(Field(Parse(list).status()), "page_size");
  list.set_page_size(1000);
  list.set_page_token("%%");
  EXPECT_EQ(Field(Parse(list).status()), "page_token");
  list.set_page_token("a");
  list.set_prefix("a%");
  EXPECT_EQ(Field(Parse(list).status()), "prefix");
  v1::ListStockMovementsRequest movements;
  movements.set_sku("a");
  movements.set_page_token("x");
  EXPECT_EQ(Field(Parse(movements).status()), "page_token");
  google::protobuf::RepeatedPtrField<std::string> skus;
  EXPECT_EQ(Field(CheckSkus(skus)), "skus");
  *skus.Add() = "a";
  *skus.Add() = "a";
  EXPECT_EQ(Field(CheckSkus(skus)), "skus[1]");
}

}  // namespace
}  // namespace flotilla::inventory
