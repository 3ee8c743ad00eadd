// flotilla-call: one gRPC call with JSON in and out, for machines without grpcurl.
//
//   flotilla-call host:port package.Service/Method '{"json": 1}' [-H 'key: value']... [--timeout seconds] [--max n]
//   [--expect text] [--ca file] [--token token]
//
// --ca (or FLOTILLA_CA): talks TLS and checks the server with these certificates; else without TLS. --token (or
// FLOTILLA_TOKEN): whose call it is.
// Prints each reply as JSON. Exit 0: the call succeeded (and a reply held the --expect text); 1: it failed, with the
// status and its details on stderr; 2: wrong usage. --max ends a stream after n replies.
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "flotilla/event/v1/event_admin_service.pb.h"
#include "flotilla/inventory/v1/inventory_service.pb.h"
#include "flotilla/notify/v1/notify_admin_service.pb.h"
#include "flotilla/notify/v1/notify_service.pb.h"
#include "flotilla/notify/v1/webhook_service.pb.h"
#include "flotilla/order/v1/order_service.pb.h"
#include "flotilla/order/v1/saga_admin_service.pb.h"
#include "flotilla/payment/v1/ledger_service.pb.h"
#include "flotilla/payment/v1/payment_service.pb.h"
#include "flotilla/payment/v1/reconciliation_service.pb.h"
#include "google/protobuf/dynamic_message.h"
#include "google/protobuf/util/json_util.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpc/health/v1/health.pb.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"

namespace {

namespace pb = google::protobuf;

struct Arguments {
  std::string address, method, json, expect, ca, token;
  std::vector<std::pair<std::string, std::string>> headers;
  int timeout_s = 10;
  int max_replies = 0;
};

[[noreturn]] void Usage(const std::string& problem) {
  std::cerr
      << "flotilla-call: " << problem << "\n"
      << "usage: flotilla-call host:port package.Service/Method '{json}' [-H 'key: value'] [--timeout s] [--max n] "
         "[--expect text] [--ca file] [--token token]\n";
  std::exit(2);
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Arguments Parse(int argc, char** argv) {
  Arguments args;
  args.ca = Environment("FLOTILLA_CA");
  args.token = Environment("FLOTILLA_TOKEN");
  std::vector<std::string> positional;
  for (int i = 1; i < argc; ++i) {
    std::string arg = argv[i];
    std::string value;
    if (arg.starts_with("-")) {
      if (auto equals = arg.find('='); equals != std::string::npos) {
        value = arg.substr(equals + 1);
        arg.resize(equals);
      } else if (i + 1 < argc) {
        value = argv[++i];
      } else {
        Usage(arg + " needs a value");
      }
    }
    if (arg == "-H") {
      auto colon = value.find(':');
      if (colon == std::string::npos) Usage("-H wants 'key: value'");
      auto start = value.find_first_not_of(' ', colon + 1);
      args.headers.emplace_back(value.substr(0, colon), start == std::string::npos ? "" : value.substr(start));
    } else if (arg == "--timeout") {
      args.timeout_s = std::atoi(value.c_str());
    } else if (arg == "--max") {
      args.max_replies = std::atoi(value.c_str());
    } else if (arg == "--expect") {
      args.expect = value;
    } else if (arg == "--ca") {
      args.ca = value;
    } else if (arg == "--token") {
      args.token = value;
    } else if (arg.starts_with("-")) {
      Usage("unknown option " + arg);
    } else {
      positional.push_back(arg);
    }
  }
  if (positional.size() < 2 || positional.size() > 3) Usage("wants an address, a method and optionally JSON");
  args.address = positional[0];
  args.method = positional[1];
  args.json = positional.size() == 3 ? positional[2] : "{}";
  return args;
}

// Naming one message of each file links its descriptors in.
const pb::MethodDescriptor* FindMethod(const std::string& method) {
  flotilla::order::v1::Order::descriptor();
  flotilla::inventory::v1::Stock::descriptor();
  flotilla::payment::v1::Account::descriptor();
  flotilla::notify::v1::Notification::descriptor();
  flotilla::order::v1::Saga::descriptor();
  flotilla::payment::v1::Transfer::descriptor();
  flotilla::payment::v1::Difference::descriptor();
  flotilla::notify::v1::DeadLetter::descriptor();
  flotilla::notify::v1::Endpoint::descriptor();
  flotilla::event::v1::Replay::descriptor();
  grpc::health::v1::HealthCheckRequest::descriptor();
  google::rpc::ErrorInfo::descriptor();
  auto slash = method.find('/');
  if (slash == std::string::npos) Usage("the method must read package.Service/Method");
  const auto* service = pb::DescriptorPool::generated_pool()->FindServiceByName(method.substr(0, slash));
  if (service == nullptr) Usage("unknown service " + method.substr(0, slash));
  const auto* found = service->FindMethodByName(method.substr(slash + 1));
  if (found == nullptr) Usage("unknown method " + method);
  if (found->client_streaming()) Usage(method + " streams from the client, which this tool cannot do");
  return found;
}

std::shared_ptr<grpc::ChannelCredentials> Credentials(const std::string& ca) {
  if (ca.empty()) return grpc::InsecureChannelCredentials();
  std::ifstream file(ca);
  std::stringstream text;
  text << file.rdbuf();
  if (text.str().empty()) Usage("--ca: " + ca + " cannot be read or is empty");
  return grpc::SslCredentials({.pem_root_certs = text.str(), .pem_private_key = {}, .pem_cert_chain = {}});
}

std::string ToJson(const pb::Message& message) {
  pb::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  if (!pb::util::MessageToJsonString(message, &json, options).ok()) return "(cannot be printed)";
  return json;
}

void PrintError(const grpc::Status& status) {
  std::cerr << "ERROR code " << status.error_code() << ": " << status.error_message() << "\n";
  google::rpc::Status details;
  if (!status.error_details().empty() && details.ParseFromString(status.error_details())) {
    for (const auto& any : details.details()) std::cerr << ToJson(any);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments args = Parse(argc, argv);
  const pb::MethodDescriptor* method = FindMethod(args.method);

  pb::DynamicMessageFactory factory;
  std::unique_ptr<pb::Message> request(factory.GetPrototype(method->input_type())->New());
  if (auto parsed = pb::util::JsonStringToMessage(args.json, request.get()); !parsed.ok()) {
    Usage("the JSON does not fit " + std::string(method->input_type()->full_name()) + ": " +
          std::string(parsed.message()));
  }
  grpc::Slice slice(request->SerializeAsString());
  grpc::ByteBuffer payload(&slice, 1);

  grpc::GenericStub stub(grpc::CreateChannel(args.address, Credentials(args.ca)));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(args.timeout_s));
  if (!args.token.empty()) context.AddMetadata("authorization", "Bearer " + args.token);
  for (const auto& [key, value] : args.headers) context.AddMetadata(key, value);

  // One operation at a time, so one tag is enough.
  grpc::CompletionQueue queue;
  auto wait = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  auto call = stub.PrepareCall(&context, "/" + args.method, &queue);
  call->StartCall(nullptr);
  bool expected = args.expect.empty();
  int replies = 0;
  if (wait()) {
    call->WriteLast(payload, grpc::WriteOptions(), nullptr);
    wait();
    for (;;) {
      grpc::ByteBuffer buffer;
      call->Read(&buffer, nullptr);
      if (!wait()) break;
      grpc::Slice reply;
      if (!buffer.DumpToSingleSlice(&reply).ok()) break;
      std::unique_ptr<pb::Message> response(factory.GetPrototype(method->output_type())->New());
      response->ParseFromArray(reply.begin(), static_cast<int>(reply.size()));
      const std::string json = ToJson(*response);
      std::cout << json << std::flush;
      expected = expected || json.find('"' + args.expect + '"') != std::string::npos;
      if (++replies == args.max_replies) context.TryCancel();
    }
  }
  grpc::Status status;
  call->Finish(&status, nullptr);
  wait();
  const bool ended_by_us = args.max_replies > 0 && replies >= args.max_replies;
  if (!status.ok() && !ended_by_us) {
    PrintError(status);
    return 1;
  }
  return expected ? 0 : 1;
}
