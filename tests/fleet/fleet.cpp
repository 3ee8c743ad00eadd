#include "fleet/fleet.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <pqxx/pqxx>
#include <random>
#include <stdexcept>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "fleet/call_log.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "identity/signer.h"
#include "registry/endpoint_value.h"
#include "registry/etcd.h"
#include "testing/environment.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

using inventory::v1::InventoryService;
using payment::v1::PaymentService;

const char* const kServices[] = {"order", "inventory", "payment", "notify"};

type::v1::Money Euros(std::int64_t cents) {
  type::v1::Money money;
  money.set_currency_code("EUR");
  money.set_minor_units(cents);
  return money;
}

// Throws where the preparation of a test fails.
void Require(const Result& result, const char* what) {
  if (!result.status.ok()) throw std::runtime_error(std::string(what) + ": " + result.status.error_message());
}

}  // namespace

Fleet::Fleet(FleetOptions options) : options_(std::move(options)) {
  std::random_device random;
  prefix_ = absl::StrCat("fleet_", getpid(), "_", random() % 1000000, "_");
  folder_ = std::filesystem::temp_directory_path() / ("flotilla-" + prefix_);
  std::filesystem::create_directories(folder_);
  Calls().Open(call_log());
  if (!options_.identity.empty()) SignCallsWith(options_.identity / "token.key");
  if (options_.own_postgres) {
    postgres_ = std::make_unique<PostgresServer>(options_.postgres_folder.empty() ? folder_ : options_.postgres_folder,
                                                 options_.postgres_settings);
  }
  admin_uri_ = options_.own_postgres ? postgres_->uri() : TestPostgres();
  pqxx::connection admin(admin_uri_);
  pqxx::nontransaction work(admin);
  for (const char* service : kServices) {
    // Its own role is one that may do what the service lists; the administrator stands for the tables' owner.
    const std::string name = prefix_ + service;
    for (const char* sql : {"CREATE DATABASE $", "CREATE ROLE $ LOGIN PASSWORD 'secret'",
                            "REVOKE ALL ON DATABASE $ FROM PUBLIC", "GRANT CONNECT ON DATABASE $ TO $"}) {
      work.exec(absl::StrReplaceAll(sql, {{"$", name}}));
    }
  }
  for (const char* server : {"redis", "etcd", "etcd-peer", "nats"}) ports_[server] = FreePort();
  for (const char* server : {"redis", "etcd", "nats"}) StartServer(server);
  // Services that cannot register yet would try again only after a while.
  if (!Eventually([this] { return Addresses("").ok(); }, absl::Seconds(60))) {
    throw std::runtime_error("etcd does not answer:\n" + Log("etcd"));
  }
}

Fleet::~Fleet() {
  processes_.clear();
  if (keep_logs_ || testing::UnitTest::GetInstance()->Failed()) {
    std::cerr << "logs of the failed fleet: " << folder_ << "\n";
  } else {
    std::filesystem::remove_all(folder_);
  }
  if (options_.own_postgres) return;
  try {
    pqxx::connection admin(admin_uri_);
    pqxx::nontransaction work(admin);
    for (const char* service : kServices) {
      work.exec("DROP DATABASE IF EXISTS " + prefix_ + service + " WITH (FORCE)");
      work.exec("DROP ROLE IF EXISTS " + prefix_ + service);
    }
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

void Fleet::StopServer(const std::string& server) { Kill(server); }

void Fleet::WipeServer(const std::string& server) { std::filesystem::remove_all(folder_ / server); }

std::string Fleet::DatabaseUri(const std::string& service) const {
  return admin_uri_.substr(0, admin_uri_.rfind('/') + 1) + prefix_ + service;
}

std::string Fleet::ServiceUri(const std::string& service) const {
  const std::string uri = DatabaseUri(service);
  return absl::StrCat("postgresql://", prefix_, service, ":secret", uri.substr(uri.find('@')));
}

std::string Fleet::Start(const std::string& service, std::vector<std::string> flags,
                         std::map<std::string, std::string> environment) {
  const std::string name = absl::StrCat(service, "-", ++counters_[service]);
  Instance instance{service, FreePort(), "", {options_.bin + "/flotilla-" + service}, std::move(environment)};
  instance.advertised = absl::StrCat("127.0.0.1:", instance.port);
  for (const std::string& flag : flags) {
    if (const std::string option = "--advertise="; flag.starts_with(option))
      instance.advertised = flag.substr(option.size());
  }
  instance.command.insert(
      instance.command.end(),
      {absl::StrCat("--listen=127.0.0.1:", instance.port), "--metrics_listen=127.0.0.1:0",
       absl::StrCat("--etcd=127.0.0.1:", ports_.at("etcd")), "--postgres=" + ServiceUri(service),
       "--owner_postgres=" + DatabaseUri(service), absl::StrCat("--redis=127.0.0.1:", ports_.at("redis")),
       absl::StrCat("--nats=nats://127.0.0.1:", ports_.at("nats"))});
  const std::vector<std::string> identity = IdentityFlags(service);
  instance.command.insert(instance.command.end(), identity.begin(), identity.end());
  instance.command.insert(instance.command.end(), flags.begin(), flags.end());
  if (options_.own_clocks && !kSanitized) {  // a sanitizer's runtime does not come up under the shim
    SetClock(name, absl::ZeroDuration());
    instance.environment.insert({{"LD_PRELOAD", FLOTILLA_CLOCK_SHIM}, {"CLOCK_OFFSET_FILE", clock(name)}});
  }
  processes_[name] = std::make_unique<Process>(instance.command, log(name), instance.environment);
  instances_.emplace(name, std::move(instance));
  return name;
}

// In place: the process has the file mapped.
void Fleet::SetClock(const std::string& instance, absl::Duration offset) {
  const std::int64_t nanoseconds = absl::ToInt64Nanoseconds(offset);
  std::fstream file(clock(instance), std::ios::in | std::ios::out | std::ios::binary);
  if (!file) file.open(clock(instance), std::ios::out | std::ios::binary);
  file.write(reinterpret_cast<const char*>(&nanoseconds), sizeof(nanoseconds));
}

std::vector<std::string> Fleet::IdentityFlags(const std::string& service) const {
  if (options_.identity.empty()) return {"--auth=off"};
  const std::string own = options_.identity / service;
  return {absl::StrCat("--tls_cert_file=", own, "/tls.crt"),
          absl::StrCat("--tls_key_file=", own, "/tls.key"),
          absl::StrCat("--tls_ca_file=", own, "/ca.crt"),
          absl::StrCat("--jwks_file=", own, "/jwks.json"),
          absl::StrCat("--token_issuer=", identity::kDevelopmentIssuer),
          absl::StrCat("--token_audience=", identity::kDevelopmentAudience)};
}

std::string Fleet::StartBehind(Proxy& proxy, const std::string& service, std::vector<std::string> flags) {
  flags.push_back(absl::StrCat("--advertise=127.0.0.1:", proxy.port()));
  const std::string name = Start(service, std::move(flags));
  proxy.SetTarget(port(name));
  return name;
}

void Fleet::Restart(const std::string& instance, std::vector<std::string> flags) {
  std::vector<std::string> command = instances_.at(instance).command;
  command.insert(command.end(), flags.begin(), flags.end());
  processes_.erase(instance);
  processes_[instance] =
      std::make_unique<Process>(std::move(command), log(instance), instances_.at(instance).environment);
}

void Fleet::Kill(const std::string& instance) {
  process(instance).Signal(SIGKILL);
  process(instance).Wait(5);
}

void Fleet::KillAndRestart(const std::string& instance) {
  Kill(instance);
  Restart(instance);
  WaitServing(instance);
}

std::string Fleet::address(const std::string& instance) const { return absl::StrCat("127.0.0.1:", port(instance)); }

int Fleet::port(const std::string& name) const {
  const auto server = ports_.find(name);
  return server != ports_.end() ? server->second : instances_.at(name).port;
}

std::shared_ptr<grpc::Channel> Fleet::channel(const std::string& instance) const {
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  return grpc::CreateCustomChannel(address(instance), ClientCredentials(options_.identity), args);
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
  const Instance& started = instances_.at(instance);
  const auto findable = [&] {
    if (!process("etcd").alive()) return true;
    const auto addresses = Addresses(started.service);
    return addresses.ok() && std::find(addresses->begin(), addresses->end(), started.advertised) != addresses->end();
  };
  if (!Eventually(findable, absl::Seconds(seconds))) {
    throw std::runtime_error(instance + " is not in etcd:\n" + process(instance).Output());
  }
}

int Fleet::Listed(const std::string& service) const {
  const auto addresses = Addresses(service);
  return addresses.ok() ? static_cast<int>(addresses->size()) : -1;
}

absl::StatusOr<std::vector<std::string>> Fleet::Addresses(const std::string& service) const {
  registry::Etcd etcd(absl::StrCat("127.0.0.1:", port("etcd")));
  const auto list = etcd.List(absl::StrCat("/flotilla/services/", service, service.empty() ? "" : "/"));
  if (!list.ok()) return list.status();
  std::vector<std::string> addresses;
  for (const auto& kv : list->kvs()) addresses.push_back(registry::AddressIn(kv.value()));
  return addresses;
}

void Fleet::StartAll(int instances) {
  std::vector<std::string> names;
  for (int i = 0; i < instances; ++i) {
    for (const char* service : kServices) names.push_back(Start(service));
  }
  for (const auto& name : names) WaitServing(name);
}

std::unique_ptr<order::v1::OrderService::Stub> Fleet::orders(const std::string& instance) const {
  return order::v1::OrderService::NewStub(channel(instance));
}
std::unique_ptr<order::v1::SagaAdminService::Stub> Fleet::sagas(const std::string& instance) const {
  return order::v1::SagaAdminService::NewStub(channel(instance));
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
    // Of stock and payments most events concern nobody.
    const std::int64_t news = Query("inventory", "SELECT count(*) FROM event WHERE type = 'stock.low'") +
                              Query("payment",
                                    "SELECT count(*) FROM event WHERE type IN ('payment.late_refunded', "
                                    "'payment.conflict', 'payment.wrong_amount', 'reconciliation.differences')");
    const std::int64_t told = Query(
        "notify", "SELECT count(*) FROM handled_event WHERE event_id LIKE 'inventory:%' OR event_id LIKE 'payment:%'");
    // The word on a payment comes again to another instance where order was killed with it in hand.
    const std::int64_t awaiting = Query("order", "SELECT count(*) FROM orders WHERE state = 5");
    const std::int64_t awaited = Query("payment", "SELECT count(*) FROM charge WHERE state = 6");
    busy = absl::StrCat("the fleet does not come to rest: ", sagas, " sagas, ", handled, " of ", events, " events, ",
                        told, " of ", news, " news of stock and payments handled, ", awaiting,
                        " orders await payment, of ", awaited, " payments that are awaited");
    if (sagas == 0 && handled == events && events == before && told == news && awaiting <= awaited) return true;
    std::this_thread::sleep_for(std::chrono::seconds(1));
    return false;
  };
  if (!Eventually(resting, absl::Seconds(90))) return busy;
  Calls().Flush();
  Process check({TestBin() + "/flotilla-check", "--quiescent", "--order_postgres=" + DatabaseUri("order"),
                 "--inventory_postgres=" + DatabaseUri("inventory"), "--payment_postgres=" + DatabaseUri("payment"),
                 "--notify_postgres=" + DatabaseUri("notify"), "--client_log=" + call_log(),
                 absl::StrCat("--redis=127.0.0.1:", ports_.at("redis"))},
                log("check"));
  return check.Wait(120) == 0 ? "" : check.Output();
}

void Fleet::PutSku(const std::string& sku, std::int64_t price, std::int64_t quantity) {
  inventory::v1::PutSkuRequest request;
  request.set_sku(sku);
  request.set_name("Test " + sku);
  *request.mutable_price() = Euros(price);
  request.set_initial_quantity(quantity);
  inventory::v1::PutSkuResponse response;
  Require(Call(*inventory(), &InventoryService::Stub::PutSku, "", request, &response), "PutSku");
}

inventory::v1::Stock Fleet::Stock(const std::string& sku) {
  inventory::v1::GetStockRequest request;
  request.set_sku(sku);
  inventory::v1::GetStockResponse response;
  Require(Call(*inventory(), &InventoryService::Stub::GetStock, "", request, &response), "GetStock");
  return response.stock();
}

void Fleet::OpenWallet(const std::string& user, std::int64_t balance) {
  auto stub = payments();
  payment::v1::OpenAccountRequest open;
  open.set_user_id(user);
  open.set_currency_code("EUR");
  payment::v1::OpenAccountResponse opened;
  Require(Call(*stub, &PaymentService::Stub::OpenAccount, "", open, &opened), "OpenAccount");
  if (balance == 0) return;
  payment::v1::DepositRequest deposit;
  deposit.set_user_id(user);
  deposit.set_deposit_id("open-" + user);
  *deposit.mutable_amount() = Euros(balance);
  payment::v1::DepositResponse deposited;
  Require(Call(*stub, &PaymentService::Stub::Deposit, "", deposit, &deposited), "Deposit");
}

std::int64_t Fleet::Balance(const std::string& user) {
  payment::v1::GetAccountRequest request;
  request.set_user_id(user);
  request.set_currency_code("EUR");
  payment::v1::GetAccountResponse response;
  Require(Call(*payments(), &PaymentService::Stub::GetAccount, "", request, &response), "GetAccount");
  return response.account().balance().minor_units();
}

}  // namespace flotilla::fleet
