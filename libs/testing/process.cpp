#include "testing/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>
#include <thread>

#include "absl/strings/str_cat.h"

namespace flotilla {
namespace {

// Nobody else who asks gets the port while this process lives, though its server may not have bound it yet, or may be
// down between two lives.
bool Claim(int port) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("flotilla-test-ports-" + std::to_string(getuid()));
  std::filesystem::create_directories(folder);
  const int fd = open((folder / std::to_string(port)).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) throw std::runtime_error("cannot claim a port in " + folder.string() + ": " + std::strerror(errno));
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true;  // stays open: the lock is the claim
  close(fd);
  return false;
}

}  // namespace

Process::Process(std::vector<std::string> command, std::string log,
                 const std::map<std::string, std::string>& environment)
    : log_(std::move(log)) {
  // Not fork(): gRPC's fork handlers would stop its threads in this process.
  command.insert(command.begin(), {"setpriv", "--pdeathsig", "KILL"});
  std::vector<char*> argv;
  argv.reserve(command.size() + 1);
  for (auto& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) variables.emplace_back(*variable);
  for (const auto& [key, value] : environment) variables.push_back(absl::StrCat(key, "=", value));
  std::vector<char*> envp;
  envp.reserve(variables.size() + 1);
  for (auto& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, log_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  const int error = posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot start " + command[3] + ": " + std::strerror(error));
}

Process::~Process() {
  if (!reaped_) {
    Signal(SIGKILL);
    Wait(10);
  }
}

void Process::Signal(int signal) const {
  if (!reaped_) kill(pid_, signal);
}

int Process::Wait(int seconds) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (alive()) {
    if (std::chrono::steady_clock::now() > until) {
      kill(pid_, SIGKILL);
      int status = 0;
      waitpid(pid_, &status, 0);
      reaped_ = true;
      result_ = -SIGKILL;
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return result_;
}

bool Process::alive() {
  if (reaped_) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return true;
  reaped_ = true;
  result_ = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  return false;
}

std::string Process::Output() const {
  std::ifstream file(log_);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string OwnProgram() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

// Below the ports that the kernel gives to outgoing connections: between two lives of a server one of those could take
// its port.
int FreePort() {
  thread_local std::mt19937 random(std::random_device{}());
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const int port = std::uniform_int_distribution<>(12000, 31999)(random);
    if (!Claim(port)) continue;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    const bool free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    close(fd);
    if (free) return port;
  }
  throw std::runtime_error("no free port");
}

}  // namespace flotilla
