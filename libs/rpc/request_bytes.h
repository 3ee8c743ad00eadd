// What is wrong with a request that protobuf cannot parse. gRPC itself would cancel such a call without a word.
#pragma once

#include "absl/status/status.h"
#include "google/protobuf/message.h"
#include "grpcpp/support/byte_buffer.h"

namespace flotilla::rpc {

// INVALID_ARGUMENT (INVALID_FIELD) naming the string field that is not UTF-8 ("items[2].sku"), or "request" where the
// bytes are no message at all. `prototype` is of the request's type.
absl::Status ExplainUnparsable(const google::protobuf::Message& prototype, const grpc::ByteBuffer& bytes);

}  // namespace flotilla::rpc
