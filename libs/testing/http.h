// HTTP as a scraper speaks it.
#pragma once

#include <string>

namespace flotilla {

// The whole answer of a server on this machine, headers included; throws std::runtime_error where there is none.
std::string HttpGet(int port, const std::string& path);

}  // namespace flotilla
