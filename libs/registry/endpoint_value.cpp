#include "registry/endpoint_value.h"

#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"

namespace flotilla::registry {

std::string ToJson(const std::string& address, const std::map<std::string, std::string>& metadata) {
  google::protobuf::Struct value;
  (*value.mutable_fields())["address"].set_string_value(address);
  auto* fields = (*value.mutable_fields())["metadata"].mutable_struct_value()->mutable_fields();
  for (const auto& [key, text] : metadata) (*fields)[key].set_string_value(text);
  std::string json;
  (void)google::protobuf::util::MessageToJsonString(value, &json);  // a Struct of strings always has a form
  return json;
}

std::string AddressIn(const std::string& json) {
  google::protobuf::Struct value;
  if (!google::protobuf::util::JsonStringToMessage(json, &value).ok()) return "";
  const auto field = value.fields().find("address");
  return field == value.fields().end() ? "" : field->second.string_value();
}

}  // namespace flotilla::registry
