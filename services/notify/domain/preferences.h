// Where a user wants to hear of what.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace flotilla::notify {

enum Channel { kMailbox = 1, kStream = 2, kWebhook = 4 };
inline constexpr int kAllChannels = kMailbox | kStream | kWebhook;

struct Mute {
  std::string type;  // an event type, or "*" for all
  int channels = 0;
};

struct Preferences {
  std::string language;  // a Language, or empty for the default
  std::vector<Mute> muted;
};

// The channels on which an event of this type is told.
inline int ChannelsFor(const Preferences& preferences, std::string_view type) {
  int channels = kAllChannels;
  for (const Mute& mute : preferences.muted) {
    if (mute.type == "*" || mute.type == type) channels &= ~mute.channels;
  }
  return channels;
}

}  // namespace flotilla::notify
