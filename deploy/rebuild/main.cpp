// flotilla-rebuild --postgres=...: folds the order log and compares it with the orders table. Exit code 0: no
// difference, 1: differences, 2: it could not be done.
#include <iostream>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "rebuild/rebuild.h"

ABSL_FLAG(std::string, postgres, "", "libpq connection string of the order database.");

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const auto report =
      flotilla::rebuild::Compare({.uri = absl::GetFlag(FLAGS_postgres), .application_name = "flotilla-rebuild"});
  if (!report.ok()) {
    std::cerr << "flotilla-rebuild: " << report.status() << "\n";
    return 2;
  }
  for (const std::string& example : report->examples) std::cout << example << "\n";
  std::cout << report->orders << " orders, " << report->events << " events, " << report->older
            << " orders older than the log, " << report->differences << " differences\n";
  return report->differences == 0 ? 0 : 1;
}
