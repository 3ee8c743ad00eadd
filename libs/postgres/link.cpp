#include "postgres/link.h"

#include <libpq-fe.h>

#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace flotilla::postgres {
namespace {

bool IsSuccess(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_PIPELINE_SYNC;
}

SqlError ErrorOf(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return {state == nullptr ? "" : state, PQresultErrorMessage(result)};
}

}  // namespace

void Link::Closer::operator()(pg_conn* connection) const { PQfinish(connection); }

Link::Link(const std::string& connection_string) : connection_(PQconnectdb(connection_string.c_str())) {
  if (!IsAlive()) throw SqlError("", PQerrorMessage(connection_.get()));
  PQsetNoticeProcessor(connection_.get(), [](void*, const char*) {}, nullptr);
}

bool Link::IsAlive() const { return PQstatus(connection_.get()) == CONNECTION_OK; }

// One that a message has left in pipeline mode would wait for ever for the answer to the next one.
bool Link::is_open() const { return !spoiled_ && IsAlive() && PQpipelineStatus(connection_.get()) == PQ_PIPELINE_OFF; }

Request Link::Prepared(const Statement& statement, std::vector<Parameter> parameters) {
  const Known& known = Prepare(statement);
  if (known.types.size() != parameters.size()) {
    throw std::invalid_argument(absl::StrCat("statement ", statement.name, " has ", known.types.size(),
                                             " parameters, not ", parameters.size()));
  }
  Request request{.name = statement.name};
  request.parameters.reserve(parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    request.parameters.push_back(std::move(parameters[i]).For(known.types[i]));
  }
  return request;
}

Rows Link::Run(std::span<const Request> requests) {
  if (requests.size() > 1) return RunPipelined(requests);
  Must(Send(requests.front()));
  Result result = Next();
  while (Next() != nullptr) {
  }
  if (!IsSuccess(result.get())) throw ErrorOf(result.get());
  Rows rows(std::move(result));
  if (requests.front().answer != nullptr) *requests.front().answer = rows;
  return rows;
}

const Link::Known& Link::Prepare(const Statement& statement) {
  const auto found = known_.find(statement.name);
  if (found != known_.end()) {
    const char* sql = found->second.sql;
    if (sql != statement.sql && std::string_view(sql) != statement.sql) {
      throw std::logic_error(absl::StrCat("two statements are named ", statement.name));
    }
    return found->second;
  }
  const auto check = [&](PGresult* result) {
    Result owned(result, PQclear);
    if (!IsSuccess(result)) throw ErrorOf(result);
    return owned;
  };
  check(PQprepare(connection_.get(), statement.name, statement.sql, 0, nullptr));
  spoiled_ = true;
  const Result description = check(PQdescribePrepared(connection_.get(), statement.name));
  spoiled_ = false;
  Known known{.sql = statement.sql, .types = {}};
  for (int i = 0; i < PQnparams(description.get()); ++i) known.types.push_back(PQparamtype(description.get(), i));
  return known_.emplace(statement.name, std::move(known)).first->second;
}

bool Link::Send(const Request& request) {
  std::vector<const char*> values;
  std::vector<int> lengths, formats;
  for (const Parameter::Wire& parameter : request.parameters) {
    values.push_back(parameter.value.c_str());
    lengths.push_back(static_cast<int>(parameter.value.size()));
    formats.push_back(parameter.binary ? 1 : 0);
  }
  const int count = static_cast<int>(values.size());
  constexpr int kTextResults = 0;
  if (request.name == nullptr) {
    return PQsendQueryParams(connection_.get(), request.sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr,
                             kTextResults) == 1;
  }
  return PQsendQueryPrepared(connection_.get(), request.name, count, values.data(), lengths.data(), formats.data(),
                             kTextResults) == 1;
}

Link::Result Link::Next() {
  PGresult* result = PQgetResult(connection_.get());
  return result == nullptr ? nullptr : Result(result, PQclear);
}

// For what fails only with the connection.
void Link::Must(bool done) const {
  if (!done) throw SqlError("", PQerrorMessage(connection_.get()));
}

// Each statement has its results and a null after them, then comes the point of synchronization. In blocking mode libpq
// reads while it waits to write, so that neither side can fill the other's buffers up.
Rows Link::RunPipelined(std::span<const Request> requests) {
  Must(PQenterPipelineMode(connection_.get()) == 1);
  for (const Request& request : requests) Must(Send(request));
  Must(PQpipelineSync(connection_.get()) == 1);
  std::vector<Rows> answers;
  std::optional<SqlError> error;
  const auto look = [&](const Result& result) {
    const bool skipped = result != nullptr && PQresultStatus(result.get()) == PGRES_PIPELINE_ABORTED;
    if (!error.has_value() && !skipped && !IsSuccess(result.get())) error = ErrorOf(result.get());
  };
  while (answers.size() < requests.size() && IsAlive()) {
    const Result result = Next();
    look(result);
    answers.emplace_back(result);
    while (Next() != nullptr) {
    }
  }
  if (IsAlive()) look(Next());  // the point of synchronization
  if (error.has_value() && !IsAlive()) throw *error;
  Must(IsAlive() && PQexitPipelineMode(connection_.get()) == 1);
  if (error.has_value()) throw *error;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].answer != nullptr) *requests[i].answer = answers[i];
  }
  return answers.back();
}

}  // namespace flotilla::postgres
