// The write half of the DRAM model: single clock edges, strobes, responses in order.

#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <vector>

#include "verilated_memory.h"

namespace firstspike {

struct DataChannel {
  bool valid, last;
  std::array<uint8_t, kMostBeatBytes> data;
  std::array<uint8_t, kMostBeatBytes / 8> strobes;

  bool operator==(const DataChannel& other) const {
    return last == other.last && data == other.data && strobes == other.strobes;
  }
};

class Writes {
 public:
  Writes(const MemoryParameters& parameters, Memory& memory)
      : p_(parameters), memory_(memory), watch_(parameters.beat), random_(p_.seed + 2) {}

  // The response after `count` further ones is `response`, and nothing of its burst is written.
  void fail(uint64_t count, uint32_t response) { failures_[answered_ + count] = response; }

  void heal() { failures_.clear(); }

  // One clock edge, as Memory::step.
  void step(const AddressChannel& aw, const DataChannel& w, bool b_ready) {
    ++now_;
    memory_.counts.violations += watch_.violations(aw, address_ready);
    memory_.counts.violations += before_.valid && !before_ready_ && !(w.valid && w == before_);
    before_ = w;
    before_ready_ = data_ready;
    if (aw.valid && address_ready) bursts_.push_back({aw, {}});
    if (w.valid && data_ready) {
      beats_.push_back(w);
      ++memory_.counts.writes;
    }
    if (valid && b_ready) valid = false;
    join();
    if (!valid && !answers_.empty() && answers_.front().ready <= now_) answer();
    address_ready = goes();
    data_ready = goes();
  }

  bool address_ready = false, data_ready = false, valid = false;
  uint32_t response = 0, id = 0;

 private:
  static constexpr uint32_t kDecodeError = 3;

  struct Burst {
    AddressChannel address;
    std::vector<DataChannel> beats;
    uint64_t ready = 0;  // earliest time of the response
  };

  uint64_t random(uint64_t most) { return most == 0 ? 0 : random_() % (most + 1); }

  bool goes() { return p_.jitter == 0 || random(3) != 0; }

  // Beats belong to addresses in order, whichever come first.
  void join() {
    while (!bursts_.empty() && !beats_.empty()) {
      Burst& burst = bursts_.front();
      burst.beats.push_back(beats_.front());
      beats_.pop_front();
      const bool complete = burst.beats.size() == burst.address.length + 1;
      memory_.counts.violations += burst.beats.back().last != complete;
      if (!complete) continue;
      burst.ready = now_ + p_.latency - 1 + random(p_.jitter);
      answers_.push_back(std::move(burst));
      bursts_.pop_front();
    }
  }

  // Only now do reads see what was written: who did not await the response gets old bytes.
  void answer() {
    const Burst& burst = answers_.front();
    valid = true;
    id = burst.address.id;
    response = 0;
    const auto failure = failures_.find(answered_++);
    if (failure != failures_.end()) {
      response = failure->second;
      failures_.erase(failure);
    }
    uint64_t address = burst.address.address;
    for (const DataChannel& beat : burst.beats) {
      if (response == 0 && !memory_.put(address, beat.data.data(), beat.strobes.data())) {
        response = kDecodeError;
      }
      address += p_.beat;
    }
    memory_.counts.errors += response != 0;
    answers_.pop_front();
  }

  const MemoryParameters p_;
  Memory& memory_;
  AddressWatch watch_;
  std::minstd_rand random_;
  std::deque<Burst> bursts_, answers_;
  std::deque<DataChannel> beats_;
  std::map<uint64_t, uint32_t> failures_;
  DataChannel before_{};
  bool before_ready_ = false;
  uint64_t now_ = 0, answered_ = 0;
};

}  // namespace firstspike
