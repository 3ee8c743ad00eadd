// flotilla-payment: wallets, charges and the ledger.
#include "payment/wiring.h"
#include "runtime/runtime.h"

int main(int argc, char** argv) { return flotilla::runtime::Main(argc, argv, "payment", flotilla::payment::Wire); }
