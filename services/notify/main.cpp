// flotilla-notify: tells users what happened to their orders.
#include "notify/wiring.h"
#include "runtime/runtime.h"

int main(int argc, char** argv) { return flotilla::runtime::Main(argc, argv, "notify", flotilla::notify::Wire); }
