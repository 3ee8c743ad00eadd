// flotilla-inventory: stock and holds.
#include "inventory/wiring.h"
#include "runtime/runtime.h"

int main(int argc, char** argv) { return flotilla::runtime::Main(argc, argv, "inventory", flotilla::inventory::Wire); }
