#include "redis/client.h"

#include <hiredis/hiredis.h>
#include <openssl/sha.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "async/steady_time.h"
#include "failpoint/failpoint.h"

namespace flotilla::redis {
namespace {

// After a failed connect, calls within this time are refused at once: the caller has another way and should take it.
constexpr absl::Duration kConnectPause = absl::Milliseconds(100);

Reply Convert(const redisReply* reply) {
  switch (reply->type) {
    case REDIS_REPLY_INTEGER:
      return {reply->integer};
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      return {std::string(reply->str, reply->len)};
    case REDIS_REPLY_ERROR:
      return {absl::UnknownError(absl::string_view(reply->str, reply->len))};
    case REDIS_REPLY_ARRAY: {
      std::vector<Reply> items;
      items.reserve(reply->elements);
      for (std::size_t i = 0; i < reply->elements; ++i) items.push_back(Convert(reply->element[i]));
      return {std::move(items)};
    }
    default:
      return {std::monostate()};
  }
}

bool IsNoScript(const Reply& reply) {
  return reply.error() && std::get<absl::Status>(reply.value).message().substr(0, 8) == "NOSCRIPT";
}

Command EvalSha(const Script& script, const Client::Invocation& invocation) {
  Command command;
  command.reserve(3 + invocation.keys.size() + invocation.args.size());
  command.emplace_back("EVALSHA");
  command.push_back(script.sha1());
  command.push_back(std::to_string(invocation.keys.size()));
  command.insert(command.end(), invocation.keys.begin(), invocation.keys.end());
  command.insert(command.end(), invocation.args.begin(), invocation.args.end());
  return command;
}

}  // namespace

long long Reply::integer(long long otherwise) const {
  const auto* number = std::get_if<long long>(&value);
  return number != nullptr ? *number : otherwise;
}

const std::string& Reply::string() const {
  static const auto* none = new std::string;
  const auto* text = std::get_if<std::string>(&value);
  return text != nullptr ? *text : *none;
}

const std::vector<Reply>& Reply::array() const {
  static const auto* none = new std::vector<Reply>;
  const auto* items = std::get_if<std::vector<Reply>>(&value);
  return items != nullptr ? *items : *none;
}

Script::Script(std::string source) : source_(std::move(source)) {
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(source_.data()), source_.size(), digest);
  for (const unsigned char byte : digest) absl::StrAppend(&sha1_, absl::Hex(byte, absl::kZeroPad2));
}

struct Client::Impl {
  struct Free {
    void operator()(redisContext* c) const { redisFree(c); }
  };
  struct FreeReply {
    void operator()(void* r) const { freeReplyObject(r); }
  };

  explicit Impl(Options o) : options(std::move(o)) {}

  absl::Status Broken(absl::string_view what) {
    const std::string error = context != nullptr ? context->errstr : "out of memory";
    context.reset();
    return absl::UnavailableError(absl::StrCat("Redis ", options.host, ":", options.port, ": ", what, ": ", error));
  }

  absl::Status Connect() {
    if (context != nullptr) return absl::OkStatus();
    if (async::SteadyNow() < retry_at) return absl::UnavailableError("Redis: not connected");
    context.reset(
        redisConnectWithTimeout(options.host.c_str(), options.port, absl::ToTimeval(options.connect_timeout)));
    absl::Status status;
    if (context == nullptr || context->err != 0) {
      status = Broken("connect");
    } else if (redisSetTimeout(context.get(), absl::ToTimeval(options.command_timeout)) != REDIS_OK) {
      status = Broken("set timeout");
    } else {
      status = Greet();
    }
    if (!status.ok()) {
      context.reset();
      retry_at = async::After(kConnectPause);
    }
    return status;
  }

  // Authenticates and learns which server this is.
  absl::Status Greet() {
    std::vector<Command> commands;
    if (!options.password.empty()) commands.push_back({"AUTH", options.password});
    commands.push_back({"INFO", "server"});
    const absl::StatusOr<std::vector<Reply>> replies = Exchange(commands);
    if (!replies.ok()) return replies.status();
    for (const Reply& reply : *replies) {
      // Also what a server says that is still loading its data.
      if (reply.error()) return absl::UnavailableError(std::get<absl::Status>(reply.value).message());
    }
    const std::string& info = replies->back().string();
    constexpr char kField[] = "run_id:";
    const std::size_t begin = info.find(kField);
    if (begin != std::string::npos) {
      const std::size_t value = begin + sizeof(kField) - 1;
      run_id = info.substr(value, info.find_first_of("\r\n", value) - value);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<Reply>> Exchange(std::span<const Command> commands) {
    std::vector<const char*> words;
    std::vector<std::size_t> lengths;
    for (const Command& command : commands) {
      words.clear();
      lengths.clear();
      for (const std::string& word : command) {
        words.push_back(word.data());
        lengths.push_back(word.size());
      }
      if (redisAppendCommandArgv(context.get(), static_cast<int>(words.size()), words.data(), lengths.data()) !=
          REDIS_OK) {
        return Broken("append");
      }
    }
    std::vector<Reply> replies;
    replies.reserve(commands.size());
    for (std::size_t i = 0; i < commands.size(); ++i) {
      void* raw = nullptr;
      if (redisGetReply(context.get(), &raw) != REDIS_OK) return Broken("read");
      const std::unique_ptr<void, FreeReply> reply(raw);
      replies.push_back(Convert(static_cast<const redisReply*>(raw)));
    }
    return replies;
  }

  const Options options;
  std::unique_ptr<redisContext, Free> context;
  async::SteadyTime retry_at = {};
  std::string run_id;
};

Client::Client(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {
  FLOTILLA_DECLARE_FAILPOINT("redis");
}

Client::~Client() = default;

absl::StatusOr<std::vector<Reply>> Client::Pipeline(std::span<const Command> commands) {
  if (auto status = impl_->Connect(); !status.ok()) return status;
  if (auto status = FLOTILLA_FAILPOINT("redis.before"); !status.ok()) return status;
  absl::StatusOr<std::vector<Reply>> replies = impl_->Exchange(commands);
  if (auto status = FLOTILLA_FAILPOINT("redis.after"); !status.ok()) return status;
  return replies;
}

absl::StatusOr<Reply> Client::Run(Command command) {
  absl::StatusOr<std::vector<Reply>> replies = Pipeline({&command, 1});
  if (!replies.ok()) return replies.status();
  return std::move(replies->front());
}

absl::StatusOr<std::vector<Reply>> Client::Eval(const Script& script, std::span<const Invocation> invocations) {
  std::vector<Command> commands;
  commands.reserve(invocations.size());
  for (const Invocation& invocation : invocations) commands.push_back(EvalSha(script, invocation));
  absl::StatusOr<std::vector<Reply>> replies = Pipeline(commands);
  if (!replies.ok()) return replies;

  // The server may lose its scripts between any two commands, so only the refused ones run again, after the script's
  // own load in the same write.
  std::vector<std::size_t> refused;
  std::vector<Command> again = {{"SCRIPT", "LOAD", script.source()}};
  for (std::size_t i = 0; i < replies->size(); ++i) {
    if (!IsNoScript((*replies)[i])) continue;
    refused.push_back(i);
    again.push_back(std::move(commands[i]));
  }
  if (refused.empty()) return replies;
  absl::StatusOr<std::vector<Reply>> second = Pipeline(again);
  if (!second.ok()) return second;
  for (std::size_t i = 0; i < refused.size(); ++i) (*replies)[refused[i]] = std::move((*second)[i + 1]);
  return replies;
}

const std::string& Client::run_id() const { return impl_->run_id; }

}  // namespace flotilla::redis
