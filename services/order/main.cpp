// flotilla-order: orders, from click to paid.
#include "order/wiring.h"
#include "runtime/runtime.h"

int main(int argc, char** argv) { return flotilla::runtime::Main(argc, argv, "order", flotilla::order::Wire); }
