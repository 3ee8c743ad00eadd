#include "inventory/gate/ask.h"

#include "inventory/gate/keys.h"
#include "inventory/gate/segments.h"

namespace flotilla::inventory {
namespace {

using Invocations = std::vector<redis::Client::Invocation>;
using Lines = std::vector<AskedLine*>;

absl::StatusOr<std::vector<redis::Reply>> Run(redis::Client& client, const redis::Script& script,
                                              const Invocations& calls) {
  if (calls.empty()) return std::vector<redis::Reply>();
  absl::StatusOr<std::vector<redis::Reply>> replies = client.Eval(script, calls);
  if (!replies.ok()) return replies;
  for (const redis::Reply& reply : *replies) {
    if (reply.error()) return absl::UnavailableError(std::get<absl::Status>(reply.value).message());
  }
  return replies;
}

absl::Status RunFor(redis::Client& client, const redis::Script& script, const Invocations& calls, const Lines& lines) {
  const absl::StatusOr<std::vector<redis::Reply>> replies = Run(client, script, calls);
  if (!replies.ok()) return replies.status();
  for (std::size_t i = 0; i < lines.size(); ++i) lines[i]->answer = static_cast<int>((*replies)[i].integer());
  return absl::OkStatus();
}

class Asking {
 public:
  Asking(redis::Client& client, const StockGate::Memory& memory, std::span<const ReserveCommand> commands)
      : client_(client), memory_(memory), commands_(commands) {}

  // For what is still wanted; sets the mark.
  absl::Status AtHome(const Lines& lines) {
    Invocations plain, limited;
    Lines plain_lines, limited_lines;
    for (AskedLine* asked : lines) {
      const ReserveCommand& command = commands_[asked->command];
      const std::string& sku = asked->line->sku;
      const int home = HomeOf(command, memory_.segments);
      redis::Client::Invocation call{{StockKey(sku, home), MarkKey(sku, home, command.order_id), YoungKey(sku, home)},
                                     {std::to_string(asked->wanted), Seconds(command.hold + kMarkMargin)}};
      const std::optional<SellingRules> rules = memory_.rules.Find(sku);
      if (!rules.has_value() || rules->user_limit == 0 || command.user_id.empty()) {
        plain.push_back(std::move(call));
        plain_lines.push_back(asked);
        continue;
      }
      call.keys.push_back(UsersKey(sku, home));
      call.args.insert(call.args.end(), {command.user_id, std::to_string(rules->user_limit), Seconds(kUsersLife),
                                         std::to_string(asked->line->quantity)});
      limited.push_back(std::move(call));
      limited_lines.push_back(asked);
    }
    if (auto status = RunFor(client_, TakeScript(), plain, plain_lines); !status.ok()) return status;
    return RunFor(client_, TakeLimitedScript(), limited, limited_lines);
  }

  // Gathers what home is short of from the other segments, in turn, and then asks at home for the rest. An earlier call
  // that was cut off on this way has left its marks there, so its units count.
  absl::Status Elsewhere(Lines lines) {
    for (int step = 1; step < memory_.segments && !lines.empty(); ++step) {
      Invocations calls;
      Lines asked;
      for (AskedLine* line : lines) {
        if (line->wanted == 0) continue;
        const ReserveCommand& command = commands_[line->command];
        const int segment = (HomeOf(command, memory_.segments) + step) % memory_.segments;
        calls.push_back({{StockKey(line->line->sku, segment), MarkKey(line->line->sku, segment, command.order_id)},
                         {std::to_string(line->wanted), Seconds(command.hold + kMarkMargin)}});
        asked.push_back(line);
      }
      const absl::StatusOr<std::vector<redis::Reply>> replies = Run(client_, TakePartScript(), calls);
      if (!replies.ok()) return replies.status();
      for (std::size_t i = 0; i < asked.size(); ++i) {
        const long long units = (*replies)[i].integer();
        if (units >= 0) {
          asked[i]->wanted -= units;
        } else {
          asked[i]->answer = kMissing;
        }
      }
      std::erase_if(lines, [](const AskedLine* line) { return line->answer == kMissing; });
    }
    if (auto status = AtHome(lines); !status.ok()) return status;
    for (AskedLine* line : lines) {
      if (line->answer == kNothingLeft && line->Holds()) line->answer = kShort;
    }
    return absl::OkStatus();
  }

 private:
  redis::Client& client_;
  const StockGate::Memory& memory_;
  const std::span<const ReserveCommand> commands_;
};

}  // namespace

absl::StatusOr<std::vector<AskedLine>> AskForLines(redis::Client& client, const StockGate::Memory& memory,
                                                   std::span<const ReserveCommand> commands,
                                                   std::span<const std::size_t> open) {
  std::vector<AskedLine> asked;
  for (const std::size_t i : open) {
    for (const Line& line : commands[i].lines) asked.push_back({i, &line, line.quantity});
  }
  Lines lines;
  for (AskedLine& line : asked) lines.push_back(&line);
  Asking asking(client, memory, commands);
  if (auto status = asking.AtHome(lines); !status.ok()) return status;
  if (memory.segments == 1) return asked;
  std::erase_if(lines, [](const AskedLine* line) {
    return line->answer != kShort && line->answer != kNothingLeft && line->answer != kUnsure;
  });
  if (auto status = asking.Elsewhere(std::move(lines)); !status.ok()) return status;
  return asked;
}

}  // namespace flotilla::inventory
