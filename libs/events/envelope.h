// Within this room: events as JetStream messages. NATS and its clients pay for the message, not for what is in it, so
// events that are there together travel together, whatever their streams.
#pragma once

#include <nats/nats.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "events/log_reader.h"

namespace flotilla::events {

struct Message {
  std::string id;  // JetStream drops repeats of it for a while
  std::string data;
  std::vector<std::pair<const char*, std::string>> headers;
};

class Packer {
 public:
  // An event that goes alone has the id "<alone><event id>". Batches are numbered, "<together><number>": the same
  // events may be cut otherwise the next time, so `together` must be of this packer alone.
  Packer(std::string alone, std::string together) : alone_(std::move(alone)), together_(std::move(together)) {}

  // In order. What is sent again must be the same messages.
  std::vector<Message> Pack(std::span<const Row> rows);

 private:
  const std::string alone_;
  const std::string together_;
  std::int64_t number_ = 0;
};

// Appends the message's events. What cannot be read is one event without an id, whose data is the message's.
void Unpack(natsMsg* message, std::vector<Event>& events);

}  // namespace flotilla::events
