// For tests: sessions to which the server's clock is off.
#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "postgres/test_database.h"

namespace flotilla::postgres {

// Functions that stand before the server's own in these sessions' search path. What they say changes at once.
class TestClock {
 public:
  explicit TestClock(const TestDatabase& database) : database_(database) {
    database_.Query(R"(
        CREATE SCHEMA clock;
        CREATE TABLE clock.ahead (us bigint, first_answer_takes_s float8);
        INSERT INTO clock.ahead VALUES (0, 0);
        CREATE SEQUENCE clock.asked MINVALUE 0;
        CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE AS
          'SELECT pg_catalog.now() + us * interval ''1 microsecond'' FROM clock.ahead';
        CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
        DECLARE
          time timestamptz := pg_catalog.clock_timestamp();
          turn bigint := nextval('clock.asked');
          ahead clock.ahead;
        BEGIN
          SELECT * INTO STRICT ahead FROM clock.ahead;
          IF turn = 0 THEN PERFORM pg_sleep(ahead.first_answer_takes_s); END IF;
          RETURN time + ahead.us * interval '1 microsecond';
        END $$)");
  }

  Options options() const {
    Options options = database_.options();
    options.uri += "?options=-csearch_path%3Dclock,pg_catalog,public";
    return options;
  }
  void Set(absl::Duration ahead) {
    database_.Query(absl::StrCat("UPDATE clock.ahead SET us = ", absl::ToInt64Microseconds(ahead)));
  }
  // Of the first question alone, once the time to be told is fixed.
  void SlowFirstAnswer(absl::Duration takes) {
    database_.Query(absl::StrCat("UPDATE clock.ahead SET first_answer_takes_s = ", absl::ToDoubleSeconds(takes)));
  }
  // From now on every question is answered with an error.
  void Break() { database_.Query("DELETE FROM clock.ahead"); }
  int asked() const {  // questions, those included that got an error
    return std::stoi(database_.Query("SELECT last_value FROM clock.asked"));
  }

 private:
  const TestDatabase& database_;
};

}  // namespace flotilla::postgres
