// flotilla-payment: wallets, charges and the ledger.
#include "payment/wire.h"
#include "runtime/runtime.h"

int main(int argc, char** argv) { return flotilla::runtime::Main(argc, argv, "payment", flotilla::payment::Wire); }
