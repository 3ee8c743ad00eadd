// Who may call which method: the fleet's one table.
#pragma once

#include "absl/strings/string_view.h"

namespace flotilla::identity {

enum class Users { kNone, kAll, kOperators };

// Users come with a token, services with a certificate.
struct Access {
  bool open = false;  // to everyone: nothing is at stake, or the request itself carries its proof
  Users users = Users::kNone;
  absl::string_view service = {};  // the one service that may call it too
};

// Of "package.Service/Method". Null for a method that the table does not name: nobody may call it.
const Access* FindAccess(absl::string_view method);

}  // namespace flotilla::identity
