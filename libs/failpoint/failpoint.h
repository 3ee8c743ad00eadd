// Named places where a build for tests can be made to fail: before and after every commit, every call to another
// service, every Redis round trip, every publication to NATS and every acknowledgement of what came from there, every
// registration in etcd and its renewals, every webhook, and every step of every saga.
//
// In a release build a place is nothing, its name is not even made. With -DFLOTILLA_FAILPOINTS=ON (preset failpoints)
// the flag --failpoints says what happens where: a list of name=kind[:duration][@n], separated by ";". A name may end
// with "*". Kinds:
//   crash            kill -9 of this process
//   delay:<duration> the thread stands still for so long, for example delay:500ms
//   error            UNAVAILABLE: before, nothing was done; after, it was done and the caller is told that it failed
//   lost             UNKNOWN: the reply was lost, the outcome is not known
//   refuse           FAILED_PRECONDITION, as a business rule would
//   trace            every name is logged when it is reached for the first time, and when it is declared
// With @n it happens only the n-th time (counted for each name), else every time. Example:
//   --failpoints="saga.create.charge.after=crash@3;rpc.payment.before=delay:500ms"
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#ifdef FLOTILLA_FAILPOINTS

namespace flotilla::failpoint {

// OK, or the error the place is to fail with. Ends the process where --failpoints is malformed.
absl::Status Reach(absl::string_view name);

// Says that there are places "<what>.before" and "<what>.after" in this process: a test can demand that they are
// reached.
void Declare(absl::string_view what);

}  // namespace flotilla::failpoint

#define FLOTILLA_FAILPOINT(name) ::flotilla::failpoint::Reach(name)
#define FLOTILLA_DECLARE_FAILPOINT(what) ::flotilla::failpoint::Declare(what)

#else

#define FLOTILLA_FAILPOINT(name) ::absl::OkStatus()
#define FLOTILLA_DECLARE_FAILPOINT(what) static_cast<void>(0)

#endif
