// From events to notifications: which event of which service tells whom.
#pragma once

#include <span>
#include <string>

#include "events/log.h"
#include "notify/domain/notification.h"

namespace flotilla::notify {

// What events of the service `source` come to. An event that cannot be read becomes a dead letter: it would be no
// better the next time. A type that concerns nobody is left out.
Batch Decode(const std::string& source, std::span<const events::Event> events);

// The letter of an event that is given up.
DeadLetter LetterOf(const std::string& source, const events::Event& event, std::string_view reason);

// The event that became the letter.
events::Event EventOf(const DeadLetter& letter);

}  // namespace flotilla::notify
