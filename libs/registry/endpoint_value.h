// What stands in etcd under an instance's key: JSON {"address": "host:port", "metadata": {...}}.
#pragma once

#include <map>
#include <string>

namespace flotilla::registry {

std::string ToJson(const std::string& address, const std::map<std::string, std::string>& metadata);
// "" where the value is not ours.
std::string AddressIn(const std::string& json);

}  // namespace flotilla::registry
