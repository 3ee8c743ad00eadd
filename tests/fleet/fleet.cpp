#include "fleet/fleet.h"

#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <mutex>
#include <pqxx/pqxx>
#include <random>
#include <stdexcept>
#include <thread>

#include "absl/strings/str_cat.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "testing/environment.h"
#include "testing/eventually.h"
#include "testing/status.h"

namespace flotilla::fleet {
namespace {

const char* const kServices[] = {"order", "inventory", "payment", "notify"};

// What clients saw, as tests/checker/client_log.h describes it. One fleet lives at a time.
class CallLog {
 public:
  using Fields = std::map<std::string, std::string>;

  void Open(const std::string& path) {
    const std::lock_guard lock(mutex_);
    out_ = std::ofstream(path);
  }

  void Invoked(const Fields& call) { Write(call, "invoke"); }

  void Answered(Fields call, const Result& result) {
    if (result.status.ok()) {
      call["order_id"] = result.order.order_id();
      call["state"] = order::v1::OrderState_Name(result.order.state());
      return Write(std::move(call), "ok");
    }
    call["reason"] = result.reason;
    Write(std::move(call), Definite(result.status.error_code()) ? "fail" : "unknown");
  }

  void Flush() {
    const std::lock_guard lock(mutex_);
    out_.flush();
  }

 private:
  // Refused for good; after any other error the order may exist all the same.
  static bool Definite(grpc::StatusCode code) {
    return code == grpc::StatusCode::INVALID_ARGUMENT || code == grpc::StatusCode::NOT_FOUND ||
           code == grpc::StatusCode::ALREADY_EXISTS || code == grpc::StatusCode::FAILED_PRECONDITION ||
           code == grpc::StatusCode::UNAUTHENTICATED || code == grpc::StatusCode::PERMISSION_DENIED;
  }

  void Write(Fields call, const char* type) {
    call["type"] = type;
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    call["time_us"] = std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
    google::protobuf::Struct line;
    for (const auto& [key, value] : call) (*line.mutable_fields())[key].set_string_value(value);
    std::string json;
    if (!google::protobuf::util::MessageToJsonString(line, &json).ok()) throw std::runtime_error("a call is no text");
    out_ << json << '\n';
  }

  std::mutex mutex_;
  std::ofstream out_;
};

CallLog& Calls() {
  static auto* const log = new CallLog;
  return *log;
}

}  // namespace

Fleet::Fleet() : bin_(TestBin()), admin_uri_(TestPostgres()) {
  std::random_device random;
  prefix_ = absl::StrCat("fleet_", getpid(), "_", random() % 1000000, "_");
  folder_ = std::filesystem::temp_directory_path() / ("flotilla-" + prefix_);
  std::filesystem::create_directories(folder_);
  Calls().Open(call_log());
  pqxx::connection admin(admin_uri_);
  pqxx::nontransaction work(admin);
  for (const char* service : kServices) work.exec("CREATE DATABASE " + prefix_ + service);
  for (const char* server : {"redis", "etcd", "etcd-peer", "nats"}) ports_[server] = FreePort();
  for (const char* server : {"redis", "etcd", "nats"}) StartServer(server);
}

Fleet::~Fleet() {
  processes_.clear();
  if (testing::Test::HasFailure()) {
    std::cerr << "logs of the failed fleet: " << folder_ << "\n";
  } else {
    std::filesystem::remove_all(folder_);
  }
  try {
    pqxx::connection admin(admin_uri_);
    pqxx::nontransaction work(admin);
    for (const char* service : kServices) work.exec("DROP DATABASE IF EXISTS " + prefix_ + service + " WITH (FORCE)");
  } catch (const std::exception& e) {
    std::cerr << "cannot drop the test databases: " << e.what() << "\n";
  }
}

void Fleet::StartServer(const std::string& server) {
  const std::string port = std::to_string(ports_.at(server));
  const std::string dir = (folder_ / server).string();
  std::filesystem::create_directories(dir);
  std::vector<std::string> command;
  if (server == "redis") {
    command = {"redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", dir};
  } else if (server == "nats") {
    command = {"nats-server", "-a", "127.0.0.1", "-p", port, "-js", "-sd", dir};
  } else {
    const std::string client = "http://127.0.0.1:" + port;
    const std::string peer = absl::StrCat("http://127.0.0.1:", ports_.at("etcd-peer"));
    command = {"etcd",        "--name",
               "test",        "--data-dir",
               dir,           "--log-level",
               "warn",        "--listen-client-urls",
               client,        "--advertise-client-urls",
               client,        "--listen-peer-urls",
               peer,          "--initial-advertise-peer-urls",
               peer,          "--initial-cluster",
               "test=" + peer};
  }
  processes_[server] = std::make_unique<Process>(command, log(server));
}

void Fleet::StopServer(const std::string& server) {
  processes_.at(server)->Signal(SIGKILL);
  processes_.at(server)->Wait(10);
}

std::string Fleet::DatabaseUri(const std::string& service) const {
  return admin_uri_.substr(0, admin_uri_.rfind('/') + 1) + prefix_ + service;
}

std::string Fleet::Start(const std::string& service, std::vector<std::string> flags) {
  const std::string name = absl::StrCat(service, "-", ++counters_[service]);
  Instance instance{service, FreePort(), {bin_ + "/flotilla-" + service}};
  instance.command.insert(instance.command.end(),
                          {absl::StrCat("--listen=127.0.0.1:", instance.port), "--metrics_listen=127.0.0.1:0",
                           absl::StrCat("--etcd=127.0.0.1:", ports_.at("etcd")), "--postgres=" + DatabaseUri(service),
                           absl::StrCat("--redis=127.0.0.1:", ports_.at("redis")),
                           absl::StrCat("--nats=nats://127.0.0.1:", ports_.at("nats"))});
  instance.command.insert(instance.command.end(), flags.begin(), flags.end());
  processes_[name] = std::make_unique<Process>(instance.command, log(name));
  instances_.emplace(name, std::move(instance));
  return name;
}

void Fleet::Restart(const std::string& instance) {
  processes_.erase(instance);
  processes_[instance] = std::make_unique<Process>(instances_.at(instance).command, log(instance));
}

std::string Fleet::address(const std::string& instance) const {
  return absl::StrCat("127.0.0.1:", instances_.at(instance).port);
}

std::shared_ptr<grpc::Channel> Fleet::channel(const std::string& instance) const {
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  return grpc::CreateCustomChannel(address(instance), grpc::InsecureChannelCredentials(), args);
}

void Fleet::WaitServing(const std::string& instance, int seconds) {
  auto stub = grpc::health::v1::Health::NewStub(channel(instance));
  const auto serving = [&] {
    grpc::ClientContext context;
    SetCall(context, "", 1000);
    grpc::health::v1::HealthCheckResponse response;
    return stub->Check(&context, {}, &response).ok() &&
           response.status() == grpc::health::v1::HealthCheckResponse::SERVING;
  };
  if (!Eventually(serving, absl::Seconds(seconds))) {
    throw std::runtime_error(instance + " is not serving:\n" + process(instance).Output());
  }
}

void Fleet::StartAll() {
  std::vector<std::string> names;
  for (const char* service : kServices) names.push_back(Start(service));
  for (const auto& name : names) WaitServing(name);
}

std::unique_ptr<order::v1::OrderService::Stub> Fleet::orders(const std::string& instance) const {
  return order::v1::OrderService::NewStub(channel(instance));
}
std::unique_ptr<inventory::v1::InventoryService::Stub> Fleet::inventory(const std::string& instance) const {
  return inventory::v1::InventoryService::NewStub(channel(instance));
}
std::unique_ptr<payment::v1::PaymentService::Stub> Fleet::payments(const std::string& instance) const {
  return payment::v1::PaymentService::NewStub(channel(instance));
}
std::unique_ptr<notify::v1::NotifyService::Stub> Fleet::notifications(const std::string& instance) const {
  return notify::v1::NotifyService::NewStub(channel(instance));
}

std::int64_t Fleet::Query(const std::string& service, const std::string& sql) const {
  pqxx::connection connection(DatabaseUri(service));
  pqxx::nontransaction work(connection);
  return work.exec1(sql)[0].as<std::int64_t>(0);
}

bool Fleet::WaitForQuery(const std::string& service, const std::string& sql, std::int64_t value, int seconds) const {
  return Eventually([&] { return Query(service, sql) == value; }, absl::Seconds(seconds));
}

std::string Fleet::Check() {
  // A call that its client gave up may still be under way here, so rest means: nothing new for a second.
  std::string busy;
  std::int64_t events = -1;
  const auto resting = [&] {
    const std::int64_t before = events;
    events = Query("order", "SELECT count(*) FROM event");
    const std::int64_t sagas = Query("order", "SELECT count(*) FROM saga");
    const std::int64_t handled = Query("notify", "SELECT count(*) FROM handled_event WHERE event_id NOT LIKE '%:%'");
    busy = absl::StrCat("the fleet does not come to rest: ", sagas, " sagas, ", handled, " of ", events,
                        " events handled");
    if (sagas == 0 && handled == events && events == before) return true;
    std::this_thread::sleep_for(std::chrono::seconds(1));
    return false;
  };
  if (!Eventually(resting, absl::Seconds(90))) return busy;
  Calls().Flush();
  Process check({bin_ + "/flotilla-check", "--quiescent", "--order_postgres=" + DatabaseUri("order"),
                 "--inventory_postgres=" + DatabaseUri("inventory"), "--payment_postgres=" + DatabaseUri("payment"),
                 "--notify_postgres=" + DatabaseUri("notify"), "--client_log=" + call_log(),
                 absl::StrCat("--redis=127.0.0.1:", ports_.at("redis"))},
                log("check"));
  return check.Wait(120) == 0 ? "" : check.Output();
}

void SetCall(grpc::ClientContext& context, const std::string& user, int timeout_ms) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms));
  context.set_wait_for_ready(true);  // a blocking client connects only while a call waits
  if (!user.empty()) context.AddMetadata("flotilla-user", user);
}

void LogCallsTo(const std::string& path) {
  Calls().Open(path);
  std::atexit([] { Calls().Flush(); });
}

Result Explain(const grpc::Status& status) {
  Result result{status, "", "", {}};
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return result;
  result.field = Field(details);
  for (const auto& any : details.details()) {
    google::rpc::ErrorInfo info;
    if (any.UnpackTo(&info)) result.reason = info.reason();
  }
  return result;
}

Result Send(order::v1::OrderService::Stub& stub, const std::string& user, const order::v1::CreateOrderRequest& request,
            int timeout_ms) {
  grpc::ClientContext context;
  SetCall(context, user, timeout_ms);
  order::v1::CreateOrderRequest body = request;
  body.clear_idempotency_key();
  const CallLog::Fields call = {
      {"op", "create_order"}, {"user", user}, {"key", request.idempotency_key()}, {"body", body.ShortDebugString()}};
  Calls().Invoked(call);
  order::v1::CreateOrderResponse response;
  Result result = Explain(stub.CreateOrder(&context, request, &response));
  result.order = response.order();
  Calls().Answered(call, result);
  return result;
}

Result CreateOrder(order::v1::OrderService::Stub& stub, const std::string& user, const std::string& key,
                   const Items& items, int timeout_ms) {
  order::v1::CreateOrderRequest request;
  request.set_idempotency_key(key);
  request.set_payment_method(order::v1::PAYMENT_METHOD_WALLET);
  for (const auto& [sku, quantity] : items) {
    auto* item = request.add_items();
    item->set_sku(sku);
    item->set_quantity(quantity);
  }
  return Send(stub, user, request, timeout_ms);
}

Result CancelOrder(order::v1::OrderService::Stub& stub, const std::string& user, const std::string& order_id) {
  grpc::ClientContext context;
  SetCall(context, user, 5000);
  order::v1::CancelOrderRequest request;
  request.set_order_id(order_id);
  const CallLog::Fields call = {{"op", "cancel_order"}, {"user", user}, {"order_id", order_id}};
  Calls().Invoked(call);
  order::v1::CancelOrderResponse response;
  Result result = Explain(stub.CancelOrder(&context, request, &response));
  result.order = response.order();
  Calls().Answered(call, result);
  return result;
}

Result GetOrder(order::v1::OrderService::Stub& stub, const std::string& user, const std::string& order_id) {
  grpc::ClientContext context;
  SetCall(context, user, 5000);
  order::v1::GetOrderRequest request;
  request.set_order_id(order_id);
  order::v1::GetOrderResponse response;
  Result result = Explain(stub.GetOrder(&context, request, &response));
  result.order = response.order();
  return result;
}

void Fleet::PutSku(const std::string& sku, std::int64_t price, std::int64_t quantity) {
  grpc::ClientContext context;
  SetCall(context, "", 5000);
  inventory::v1::PutSkuRequest request;
  request.set_sku(sku);
  request.set_name("Test " + sku);
  request.mutable_price()->set_currency_code("EUR");
  request.mutable_price()->set_minor_units(price);
  request.set_initial_quantity(quantity);
  inventory::v1::PutSkuResponse response;
  const auto status = inventory()->PutSku(&context, request, &response);
  if (!status.ok()) throw std::runtime_error("PutSku: " + status.error_message());
}

inventory::v1::Stock Fleet::Stock(const std::string& sku) {
  grpc::ClientContext context;
  SetCall(context, "", 5000);
  inventory::v1::GetStockRequest request;
  request.set_sku(sku);
  inventory::v1::GetStockResponse response;
  const auto status = inventory()->GetStock(&context, request, &response);
  if (!status.ok()) throw std::runtime_error("GetStock: " + status.error_message());
  return response.stock();
}

void Fleet::OpenWallet(const std::string& user, std::int64_t balance) {
  auto stub = payments();
  {
    grpc::ClientContext context;
    SetCall(context, "", 5000);
    payment::v1::OpenAccountRequest request;
    request.set_user_id(user);
    request.set_currency_code("EUR");
    payment::v1::OpenAccountResponse response;
    const auto status = stub->OpenAccount(&context, request, &response);
    if (!status.ok()) throw std::runtime_error("OpenAccount: " + status.error_message());
  }
  if (balance == 0) return;
  grpc::ClientContext context;
  SetCall(context, "", 5000);
  payment::v1::DepositRequest request;
  request.set_user_id(user);
  request.set_deposit_id("open-" + user);
  request.mutable_amount()->set_currency_code("EUR");
  request.mutable_amount()->set_minor_units(balance);
  payment::v1::DepositResponse response;
  const auto status = stub->Deposit(&context, request, &response);
  if (!status.ok()) throw std::runtime_error("Deposit: " + status.error_message());
}

std::int64_t Fleet::Balance(const std::string& user) {
  grpc::ClientContext context;
  SetCall(context, "", 5000);
  payment::v1::GetAccountRequest request;
  request.set_user_id(user);
  request.set_currency_code("EUR");
  payment::v1::GetAccountResponse response;
  const auto status = payments()->GetAccount(&context, request, &response);
  if (!status.ok()) throw std::runtime_error("GetAccount: " + status.error_message());
  return response.account().balance().minor_units();
}

}  // namespace flotilla::fleet
