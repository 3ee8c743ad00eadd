#include "rpc/reflection.h"

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"

namespace flotilla::rpc {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;

// The file, then what it imports, each once.
void AddFiles(const FileDescriptor* file, std::set<const FileDescriptor*>& seen, ServerReflectionResponse& response) {
  if (!seen.insert(file).second) return;
  google::protobuf::FileDescriptorProto proto;
  file->CopyTo(&proto);
  response.mutable_file_descriptor_response()->add_file_descriptor_proto(proto.SerializeAsString());
  for (int i = 0; i < file->dependency_count(); ++i) AddFiles(file->dependency(i), seen, response);
}

void Refuse(absl::StatusCode code, const std::string& message, ServerReflectionResponse& response) {
  response.mutable_error_response()->set_error_code(static_cast<int>(code));
  response.mutable_error_response()->set_error_message(message);
}

void AddFile(const FileDescriptor* file, const std::string& wanted, ServerReflectionResponse& response) {
  if (file == nullptr) return Refuse(absl::StatusCode::kNotFound, "there is no " + wanted, response);
  std::set<const FileDescriptor*> seen;
  AddFiles(file, seen, response);
}

void AddExtensionNumbers(const std::string& type, ServerReflectionResponse& response) {
  const auto* pool = DescriptorPool::generated_pool();
  const auto* descriptor = pool->FindMessageTypeByName(type);
  if (descriptor == nullptr) return Refuse(absl::StatusCode::kNotFound, "there is no " + type, response);
  std::vector<const google::protobuf::FieldDescriptor*> extensions;
  pool->FindAllExtensions(descriptor, &extensions);
  auto* numbers = response.mutable_all_extension_numbers_response();
  numbers->set_base_type_name(type);
  for (const auto* extension : extensions) numbers->add_extension_number(extension->number());
}

ServerReflectionResponse Answer(const Server& server, const ServerReflectionRequest& request) {
  const auto* pool = DescriptorPool::generated_pool();
  ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kListServices:
      response.mutable_list_services_response();
      for (const std::string& name : server.service_names()) {
        response.mutable_list_services_response()->add_service()->set_name(name);
      }
      break;
    case ServerReflectionRequest::kFileByFilename:
      AddFile(pool->FindFileByName(request.file_by_filename()), request.file_by_filename(), response);
      break;
    case ServerReflectionRequest::kFileContainingSymbol:
      AddFile(pool->FindFileContainingSymbol(request.file_containing_symbol()), request.file_containing_symbol(),
              response);
      break;
    case ServerReflectionRequest::kFileContainingExtension: {
      const auto& wanted = request.file_containing_extension();
      const auto* type = pool->FindMessageTypeByName(wanted.containing_type());
      const auto* extension = type == nullptr ? nullptr : pool->FindExtensionByNumber(type, wanted.extension_number());
      AddFile(extension == nullptr ? nullptr : extension->file(), "such extension", response);
      break;
    }
    case ServerReflectionRequest::kAllExtensionNumbersOfType:
      AddExtensionNumbers(request.all_extension_numbers_of_type(), response);
      break;
    case ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET:
      Refuse(absl::StatusCode::kInvalidArgument, "message_request: must be set", response);
      break;
  }
  return response;
}

}  // namespace

void AddReflection(Server& server) {
  using Service = grpc::reflection::v1alpha::ServerReflection::AsyncService;
  auto service = std::make_shared<Service>();
  server.AddService(service);
  server.BidiStreaming(service.get(), &Service::RequestServerReflectionInfo,
                       "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                       [&server](Call&, ServerReader<ServerReflectionRequest>& reader,
                                 ServerWriter<ServerReflectionResponse>& writer) -> async::Task<absl::Status> {
                         ServerReflectionRequest request;
                         for (;;) {
                           const bool read = co_await reader.Read(&request);
                           if (!read) co_return absl::OkStatus();
                           const bool written = co_await writer.Write(Answer(server, request));
                           if (!written) co_return absl::CancelledError("the client has gone");
                         }
                       });
}

}  // namespace flotilla::rpc
