#include "notify/webhook/http_sender.h"

#include <curl/curl.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "async/steady_time.h"
#include "failpoint/failpoint.h"
#include "notify/webhook/address.h"

namespace flotilla::notify {
namespace {

constexpr int kPollMs = 1000;
constexpr long kMaxConnections = 256;      // kept open for receivers that come again
constexpr std::size_t kMaxAnswer = 65536;  // bytes; nobody reads them

using Easy = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;
using Headers = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

struct Transfer {
  HttpRequest request;
  std::function<void(HttpResult)> done;
  Easy easy{nullptr, curl_easy_cleanup};
  Headers headers{nullptr, curl_slist_free_all};
  async::SteadyTime started;
  std::size_t received = 0;
  bool refused = false;  // the address was not allowed
};

std::size_t Discard(char*, std::size_t size, std::size_t count, void* transfer) {
  auto& received = static_cast<Transfer*>(transfer)->received;
  received += size * count;
  return received <= kMaxAnswer ? size * count : 0;
}

curl_socket_t OpenPublic(void* transfer, curlsocktype, curl_sockaddr* address) {
  if (!IsPublic(address->addr)) {
    static_cast<Transfer*>(transfer)->refused = true;
    return CURL_SOCKET_BAD;
  }
  return socket(address->family, address->socktype, address->protocol);
}

}  // namespace

struct HttpSender::Impl {
  explicit Impl(Options o) : options(o) {
    FLOTILLA_DECLARE_FAILPOINT("http.webhook");
    static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
    static_cast<void>(initialized);
    multi.reset(curl_multi_init());
    curl_multi_setopt(multi.get(), CURLMOPT_MAXCONNECTS, kMaxConnections);
    thread = std::thread([this] { Run(); });
  }

  ~Impl() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    curl_multi_wakeup(multi.get());
    thread.join();
    for (auto& [easy, transfer] : transfers) curl_multi_remove_handle(multi.get(), easy);
    transfers.clear();  // before the multi handle
  }

  void Run() {
    for (;;) {
      std::vector<std::unique_ptr<Transfer>> added;
      {
        std::lock_guard lock(mutex);
        if (stopping) return;
        added.swap(waiting);
      }
      for (auto& transfer : added) Start(std::move(transfer));
      int running = 0;
      curl_multi_perform(multi.get(), &running);
      Collect();
      curl_multi_poll(multi.get(), nullptr, 0, kPollMs, nullptr);
    }
  }

  void Start(std::unique_ptr<Transfer> transfer) {
    if (const absl::Status status = FLOTILLA_FAILPOINT("http.webhook.before"); !status.ok()) {
      transfer->done({.status = 0, .error = std::string(status.message()), .duration = absl::ZeroDuration()});
      return;
    }
    transfer->easy.reset(curl_easy_init());
    CURL* easy = transfer->easy.get();
    for (const std::string& header : transfer->request.headers) {
      transfer->headers.reset(curl_slist_append(transfer->headers.release(), header.c_str()));
    }
    curl_easy_setopt(easy, CURLOPT_URL, transfer->request.url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, options.allow_private ? "http,https" : "https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");  // the environment's would see the address instead of us
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    // A transfer that ends while its name is looked up does not wait for the look-up; else all others would.
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    // Of HTTP/2 a timeout ends the stream only: a connection that is dead without a word would be used again and again.
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, absl::ToInt64Milliseconds(options.connect_timeout));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, absl::ToInt64Milliseconds(options.timeout));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(transfer->request.body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->request.body.c_str());
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers.get());
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "flotilla-webhook/1");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, Discard);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer.get());
    if (!options.allow_private) {
      curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, OpenPublic);
      curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer.get());
    }
    transfer->started = async::SteadyNow();
    curl_multi_add_handle(multi.get(), easy);
    transfers.emplace(easy, std::move(transfer));
  }

  void Collect() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      CURL* easy = message->easy_handle;
      const CURLcode code = message->data.result;
      const auto node = transfers.extract(easy);
      Transfer& transfer = *node.mapped();
      long status = 0;
      // An answer that was cut off is an answer all the same.
      if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && transfer.received > kMaxAnswer)) {
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
      }
      HttpResult result{.status = static_cast<int>(status), .error = "", .duration = -async::Until(transfer.started)};
      if (const absl::Status lost = FLOTILLA_FAILPOINT("http.webhook.after"); !lost.ok()) {
        result.status = 0;
        result.error = std::string(lost.message());
      }
      if (status == 0) result.error = transfer.refused ? "the address is not public" : curl_easy_strerror(code);
      curl_multi_remove_handle(multi.get(), easy);
      transfer.done(std::move(result));
    }
  }

  const Options options;
  std::unique_ptr<CURLM, decltype(&curl_multi_cleanup)> multi{nullptr, curl_multi_cleanup};
  std::mutex mutex;
  bool stopping = false;
  std::vector<std::unique_ptr<Transfer>> waiting;
  // The thread's own.
  std::map<CURL*, std::unique_ptr<Transfer>> transfers;
  std::thread thread;
};

HttpSender::HttpSender(Options options) : impl_(std::make_unique<Impl>(options)) {}
HttpSender::~HttpSender() = default;

void HttpSender::Send(HttpRequest request, std::function<void(HttpResult)> done) {
  auto transfer = std::make_unique<Transfer>();
  transfer->request = std::move(request);
  transfer->done = std::move(done);
  {
    std::lock_guard lock(impl_->mutex);
    impl_->waiting.push_back(std::move(transfer));
  }
  curl_multi_wakeup(impl_->multi.get());
}

}  // namespace flotilla::notify
