#include "testing/postgres_server.h"

#include <pwd.h>
#include <unistd.h>

#include <stdexcept>

#include "testing/eventually.h"

namespace flotilla {
namespace {

constexpr char kBin[] = "/usr/lib/postgresql/15/bin/";

// PostgreSQL refuses to run as root, so root lends it an unprivileged user. A change of user forgets pdeathsig, so it
// is asked for again.
std::vector<std::string> AsPostgres(std::vector<std::string> command) {
  if (getuid() != 0) return command;
  command.insert(command.begin(),
                 {"setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig", "KILL", "--"});
  return command;
}

// Listening is not enough: it may still be recovering.
bool Answers(int port) {
  Process probe({std::string(kBin) + "pg_isready", "-q", "-h", "127.0.0.1", "-p", std::to_string(port)}, "/dev/null");
  return probe.Wait(5) == 0;
}

}  // namespace

PostgresServer::PostgresServer(const std::filesystem::path& folder, std::vector<std::string> settings)
    : folder_(folder / "postgres"), settings_(std::move(settings)) {
  std::filesystem::create_directories(folder_);
  if (const passwd* user = getpwnam("postgres"); getuid() == 0 && user != nullptr) {
    if (chown(folder_.c_str(), user->pw_uid, user->pw_gid) != 0) throw std::runtime_error("cannot give a folder away");
  }
  Process init(AsPostgres({std::string(kBin) + "initdb", "-D", (folder_ / "data").string(), "-U", "postgres",
                           "--auth=trust", "--no-locale", "-E", "UTF8", "--no-sync"}),
               (folder.string() + "/initdb.log"));
  if (init.Wait(60) != 0) throw std::runtime_error("initdb: " + init.Output());
  Start();
}

void PostgresServer::Start() {
  std::vector<std::string> command = {
      std::string(kBin) + "postgres", "-D", (folder_ / "data").string(), "-p", std::to_string(port_), "-k", "", "-c",
      "listen_addresses=127.0.0.1",   "-c", "max_connections=300"};
  for (const std::string& setting : settings_) command.insert(command.end(), {"-c", setting});
  const std::string log = folder_.parent_path().string() + "/postgres.log";
  // Right after a kill it refuses to start while one of its old backends still lives.
  const bool started = Eventually(
      [&] {
        if (!process_.has_value() || !process_->alive()) process_.emplace(AsPostgres(command), log);
        return Answers(port_) && process_->alive();
      },
      absl::Seconds(60));
  if (!started) throw std::runtime_error("PostgreSQL does not start, see " + log);
}

void PostgresServer::Kill() { process_.reset(); }

std::string PostgresServer::uri() const {
  return "postgresql://postgres@127.0.0.1:" + std::to_string(port_) + "/postgres";
}

}  // namespace flotilla
