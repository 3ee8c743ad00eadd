// One connection by libpq, for a Session: statements are prepared on first use, and many go in one message.
#pragma once

#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "postgres/parameter.h"
#include "postgres/rows.h"

struct pg_conn;    // libpq's
struct pg_result;  // libpq's

namespace flotilla::postgres {

// A named statement, prepared on first use of every connection. Usually a namespace-scope constant.
struct Statement {
  const char* name;
  const char* sql;
};

// A statement failed.
class SqlError : public std::runtime_error {
 public:
  SqlError(std::string state, const std::string& message) : std::runtime_error(message), state_(std::move(state)) {}
  const std::string& state() const { return state_; }  // SQLSTATE; empty where the server did not say one

 private:
  std::string state_;
};

// A statement with its parameters.
struct Request {
  const char* name = nullptr;  // of a prepared one; else its text:
  std::string sql = {};
  std::vector<Parameter::Wire> parameters = {};
  std::shared_ptr<Rows> answer = nullptr;  // where its rows are put, unless nobody wants them
};

class Link {
 public:
  // Connects; a link never does so again, which would silently lose prepared statements and transactions. Throws
  // SqlError.
  explicit Link(const std::string& connection_string);

  bool is_open() const;  // and fit for another message
  // The statement with these parameters, prepared. Throws SqlError, std::invalid_argument for parameters that do not
  // fit the statement, and std::logic_error where another statement has its name.
  Request Prepared(const Statement& statement, std::vector<Parameter> parameters);
  // Runs them in order in one message; the last one's rows. Where one fails the rest is not run, and its SqlError
  // thrown.
  Rows Run(std::span<const Request> requests);

 private:
  struct Known {
    const char* sql;
    std::vector<unsigned> types;  // oids of its parameters
  };
  struct Closer {
    void operator()(pg_conn* connection) const;
  };
  using Result = std::shared_ptr<const pg_result>;
  bool IsAlive() const;
  const Known& Prepare(const Statement& statement);
  bool Send(const Request& request);
  Result Next();
  void Must(bool done) const;
  Rows RunPipelined(std::span<const Request> requests);

  std::unique_ptr<pg_conn, Closer> connection_;
  std::unordered_map<std::string, Known> known_;
  bool spoiled_ = false;  // the server knows a statement that this does not
};

}  // namespace flotilla::postgres
