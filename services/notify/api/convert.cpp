#include "notify/api/convert.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "errors/errors.h"
#include "validation/validation.h"

namespace flotilla::notify {
namespace {

constexpr int kMaxMarks = 1000;
constexpr int kMaxMuted = 50;
constexpr std::size_t kMaxEventId = 512;
// A token of another service or list is not taken for one of ours.
constexpr char kTokenMark[] = "n";
constexpr char kLetterMark[] = "d";

// An event's id, whatever service it is of.
bool IsEventId(std::string_view text) {
  return text.size() <= kMaxEventId &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isprint(c); });
}

std::string LanguageRule() {
  std::string rule = "must be empty or one of";
  for (const std::string_view language : Languages()) rule.append(" ").append(language);
  return rule;
}

// CHANNEL_MAILBOX is 1, CHANNEL_STREAM 2, CHANNEL_WEBHOOK 3.
constexpr int kChannels[] = {0, kMailbox, kStream, kWebhook};

absl::StatusOr<Mute> ParseMute(const v1::MutedType& muted, const std::string& field) {
  if (muted.type() != "*" && !validation::IsName(muted.type())) {
    return errors::InvalidField(field + ".type", absl::StrCat(validation::kNameRule, ", or be *"));
  }
  Mute mute{.type = muted.type()};
  for (const int channel : muted.channels()) {
    if (channel < 1 || channel > v1::Channel_MAX) {
      return errors::InvalidField(field + ".channels", "must be channels this service knows");
    }
    mute.channels |= kChannels[channel];
  }
  if (mute.channels == 0) return errors::InvalidField(field + ".channels", "must not be empty");
  return mute;
}

}  // namespace

absl::Status CheckTypes(const google::protobuf::RepeatedPtrField<std::string>& types, const std::string& field) {
  constexpr int kMaxTypes = 50;
  if (types.size() > kMaxTypes) return errors::InvalidField(field, "must be at most 50");
  for (int i = 0; i < types.size(); ++i) {
    if (!validation::IsName(types[i]))
      return errors::InvalidField(absl::StrCat(field, "[", i, "]"), validation::kNameRule);
  }
  return absl::OkStatus();
}

absl::StatusOr<MailboxStore::Query> Parse(const std::string& user_id, const v1::ListNotificationsRequest& request) {
  if (auto status = validation::CheckUser(user_id); !status.ok()) return status;
  const absl::StatusOr<int> limit = validation::PageSize(request.page_size());
  if (!limit.ok()) return limit.status();
  MailboxStore::Query query{.user_id = user_id, .limit = *limit, .unread_only = request.unread_only()};
  const std::string& token = request.page_token();
  if (!token.empty() &&
      (!token.starts_with(kTokenMark) || !absl::SimpleAtoi(token.substr(1), &query.after) || query.after < 1)) {
    return validation::ForeignToken();
  }
  if (auto status = CheckTypes(request.types(), "types"); !status.ok()) return status;
  query.types.assign(request.types().begin(), request.types().end());
  return query;
}

absl::StatusOr<std::int64_t> Parse(const std::string& user_id, const v1::SubscribeRequest& request) {
  if (auto status = validation::CheckUser(user_id); !status.ok()) return status;
  if (request.after_sequence() < 0) return errors::InvalidField("after_sequence", "must not be negative");
  return request.after_sequence();
}

absl::Status Check(const std::string& user_id, const v1::MarkReadRequest& request) {
  if (auto status = validation::CheckUser(user_id); !status.ok()) return status;
  if (request.through_sequence() < 0) return errors::InvalidField("through_sequence", "must not be negative");
  if (request.sequences_size() > kMaxMarks) return errors::InvalidField("sequences", "must be at most 1000");
  for (int i = 0; i < request.sequences_size(); ++i) {
    if (request.sequences(i) < 1) {
      return errors::InvalidField(absl::StrCat("sequences[", i, "]"), "must be a notification's sequence, from 1");
    }
  }
  if (request.through_sequence() == 0 && request.sequences().empty()) {
    return errors::InvalidField("through_sequence", "this or sequences must be set");
  }
  return absl::OkStatus();
}

absl::StatusOr<Preferences> Parse(const std::string& user_id, const v1::SetPreferencesRequest& request) {
  if (auto status = validation::CheckUser(user_id); !status.ok()) return status;
  if (!request.has_preferences()) return errors::InvalidField("preferences", "must be set");
  const v1::Preferences& proto = request.preferences();
  Preferences preferences{.language = proto.language(), .muted = {}};
  const auto languages = Languages();
  if (!proto.language().empty() && std::find(languages.begin(), languages.end(), proto.language()) == languages.end()) {
    return errors::InvalidField("preferences.language", LanguageRule());
  }
  if (proto.muted_types_size() > kMaxMuted) {
    return errors::InvalidField("preferences.muted_types", "must be at most 50");
  }
  std::set<std::string> seen;
  for (int i = 0; i < proto.muted_types_size(); ++i) {
    const std::string field = absl::StrCat("preferences.muted_types[", i, "]");
    absl::StatusOr<Mute> mute = ParseMute(proto.muted_types(i), field);
    if (!mute.ok()) return mute.status();
    if (!seen.insert(mute->type).second) return errors::InvalidField(field + ".type", "must not stand there twice");
    preferences.muted.push_back(*std::move(mute));
  }
  return preferences;
}

absl::StatusOr<DeadLetterStore::Query> Parse(const v1::ListDeadLettersRequest& request) {
  const absl::StatusOr<int> limit = validation::PageSize(request.page_size());
  if (!limit.ok()) return limit.status();
  DeadLetterStore::Query query{.limit = *limit};
  const std::string& token = request.page_token();
  if (token.empty()) return query;
  std::int64_t micros = 0;
  const std::size_t colon = token.find(':');
  if (!token.starts_with(kLetterMark) || colon == std::string::npos ||
      !absl::SimpleAtoi(token.substr(1, colon - 1), &micros) || micros < 0) {
    return validation::ForeignToken();
  }
  query.after = absl::FromUnixMicros(micros);
  query.after_id = token.substr(colon + 1);
  return IsEventId(query.after_id) ? absl::StatusOr<DeadLetterStore::Query>(query) : validation::ForeignToken();
}

absl::Status CheckEventId(const std::string& event_id) {
  if (!event_id.empty() && IsEventId(event_id)) return absl::OkStatus();
  return errors::InvalidField("event_id", "must be 1 to 512 printable ASCII characters");
}

void Fill(const MailboxStore::Summary& summary, v1::Mailbox* proto) {
  proto->set_last_sequence(summary.last_sequence);
  proto->set_unread_count(summary.unread);
}

void Fill(const Preferences& preferences, v1::Preferences* proto) {
  proto->set_language(preferences.language);
  for (const Mute& mute : preferences.muted) {
    v1::MutedType* muted = proto->add_muted_types();
    muted->set_type(mute.type);
    for (int channel = 1; channel <= v1::Channel_MAX; ++channel) {
      if ((mute.channels & kChannels[channel]) != 0) muted->add_channels(static_cast<v1::Channel>(channel));
    }
  }
}

void Fill(const DeadLetter& letter, v1::DeadLetter* proto) {
  proto->set_event_id(letter.event_id);
  proto->set_source(letter.source);
  proto->set_type(letter.type);
  proto->set_data(letter.data);
  proto->set_reason(letter.reason);
  Set(letter.occurred_at, proto->mutable_occur_time());
  Set(letter.buried_at, proto->mutable_bury_time());
}

std::string PageToken(const Notification& last) { return absl::StrCat(kTokenMark, last.sequence); }

std::string PageToken(const DeadLetter& last) {
  return absl::StrCat(kLetterMark, absl::ToUnixMicros(last.buried_at), ":", last.event_id);
}

}  // namespace flotilla::notify
