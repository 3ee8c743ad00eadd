#include "notify/webhook/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>

namespace flotilla::notify {
namespace {

struct Net4 {
  std::uint32_t address;
  int bits;
};

constexpr std::uint32_t Ip(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
  return a << 24 | b << 16 | c << 8 | d;
}

// IANA's special-purpose registry.
constexpr Net4 kForbidden4[] = {
    {Ip(0, 0, 0, 0), 8},      {Ip(10, 0, 0, 0), 8},     {Ip(100, 64, 0, 0), 10}, {Ip(127, 0, 0, 0), 8},
    {Ip(169, 254, 0, 0), 16}, {Ip(172, 16, 0, 0), 12},  {Ip(192, 0, 0, 0), 24},  {Ip(192, 0, 2, 0), 24},
    {Ip(192, 88, 99, 0), 24}, {Ip(192, 168, 0, 0), 16}, {Ip(198, 18, 0, 0), 15}, {Ip(198, 51, 100, 0), 24},
    {Ip(203, 0, 113, 0), 24}, {Ip(224, 0, 0, 0), 4},    {Ip(240, 0, 0, 0), 4},
};

bool IsPublic4(std::uint32_t address) {
  return std::none_of(std::begin(kForbidden4), std::end(kForbidden4),
                      [&](const Net4& net) { return (address ^ net.address) >> (32 - net.bits) == 0; });
}

bool IsPublic6(const std::uint8_t* a) {
  const auto v4_at = [a](int i) { return Ip(a[i], a[i + 1], a[i + 2], a[i + 3]); };
  constexpr std::uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  constexpr std::uint8_t kNat64[12] = {0, 0x64, 0xff, 0x9b};
  if (std::memcmp(a, kMapped, 12) == 0 || std::memcmp(a, kNat64, 12) == 0) return IsPublic4(v4_at(12));
  if (a[0] == 0x20 && a[1] == 0x02) return IsPublic4(v4_at(2));          // 6to4
  if (a[0] == 0x20 && a[1] == 0x01 && (a[2] & 0xfe) == 0) return false;  // 2001::/23: Teredo and other protocols
  if (a[0] == 0x20 && a[1] == 0x01 && a[2] == 0x0d && a[3] == 0xb8) return false;  // documentation
  return (a[0] & 0xe0) == 0x20;                                                    // 2000::/3, all that is given out
}

}  // namespace

bool IsPublic(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    return IsPublic4(ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr));
  }
  if (address.sa_family == AF_INET6) {
    return IsPublic6(reinterpret_cast<const sockaddr_in6&>(address).sin6_addr.s6_addr);
  }
  return false;
}

}  // namespace flotilla::notify
