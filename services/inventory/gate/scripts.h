// The gate's Lua scripts. Each touches the keys of one hash tag only.
#pragma once

#include "redis/client.h"

namespace flotilla::inventory {

// KEYS: stock, mark, young. ARGV: units, seconds the mark lives. Answers a TakeAnswer.
const redis::Script& TakeScript();
// The same for a SKU with a limit a user. KEYS: stock, mark, young, users. ARGV: units, seconds the mark lives, user,
// limit, seconds the users live, units that count for the user: also those from other segments.
const redis::Script& TakeLimitedScript();
enum TakeAnswer : int {
  kTaken = 1,
  kTakenBefore = 2,
  kShort = -1,
  kMissing = -2,
  kNothingLeft = -3,
  kOverLimit = -4,
  kUnsure = -5,  // refused, but perhaps its mark was forgotten
};

// As many of the units as a segment has. KEYS: stock, mark. ARGV: units, seconds the mark lives. Answers how many, now
// or in an earlier call, or kMissing.
const redis::Script& TakePartScript();

// KEYS: stock, mark, users. ARGV: user of a limited order, or "", and "keep" where the mark stays. A gate that does not
// know the SKU learns it from SQL, where the units are back already.
const redis::Script& GiveScript();
// KEYS: stock, young. ARGV: units, seconds the gate is young (0: not at all). What the gate knows stays.
const redis::Script& LoadScript();
// KEYS: stock. ARGV: most units.
const redis::Script& LowerScript();
// KEYS: stock. ARGV: units to add.
const redis::Script& AddScript();
// KEYS: stock. ARGV: expected, new.
const redis::Script& CorrectScript();
// KEYS: users. ARGV: user, units, seconds the users live.
const redis::Script& LearnScript();

}  // namespace flotilla::inventory
