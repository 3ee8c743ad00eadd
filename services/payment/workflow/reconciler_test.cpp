#include "payment/workflow/reconciler.h"

#include "payment/store/reconciliation_fixture.h"
#include "testing/eventually.h"

namespace flotilla::payment {
namespace {

using ReconcilerTest = ReconciliationTest;

TEST_F(ReconcilerTest, AStatementThatAlwaysFailsDoesNotHoldUpTheOthers) {
  const ProviderStatement bad = StatementOf({Line(2, "bad", 1)});
  EXPECT_EQ(*imports_.Import(bad), ImportOutcome::kStored);
  database_->Query(
      "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted'; END $$;"
      "CREATE TRIGGER fail BEFORE INSERT ON difference FOR EACH ROW WHEN (NEW.provider_reference = 'bad')"
      " EXECUTE FUNCTION fail()");
  const std::string late = NewOrder(), reference = "ref-" + late;
  Do(AwaitCommand{late, "payer", {"EUR", 40}, absl::Now() + absl::Hours(1), reference});
  const ProviderStatement good = StatementOf({Line(2, reference, 40)});
  EXPECT_EQ(*imports_.Import(good), ImportOutcome::kStored);
  const auto value = [&](const std::string& what, const ProviderStatement& statement) {
    return Query("SELECT " + what + " FROM provider_statement WHERE statement_id = '" + statement.statement_id + "'");
  };

  const Reconciler reconciler(
      {.postgres = database_->options(), .every = absl::Milliseconds(50), .period = absl::Milliseconds(10)});
  EXPECT_TRUE(Eventually([&] { return value("attempts", bad) > 1 && Open(good.statement_id).size() == 1; }));
  Callback(reference, 40);
  EXPECT_TRUE(Eventually([&] { return value("state", good) == 2; }));
  EXPECT_EQ(value("state", bad), 1);
  EXPECT_EQ(value("(error LIKE '%planted%')::int", bad), 1);
  // Once what was wrong is mended, it has its turn.
  database_->Query("DROP TRIGGER fail ON difference");
  EXPECT_TRUE(Eventually([&] { return Open(bad.statement_id).size() == 1; }));
}

}  // namespace
}  // namespace flotilla::payment
