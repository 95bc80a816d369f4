// Model of a DRAM behind an AXI4 port, the read half: order, timing and counts; answers in order.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <random>

namespace firstspike {

// Times are in clock cycles, sizes in bytes; sim/memory.py explains and checks them.
struct MemoryParameters {
  uint64_t size, beat, latency, beat_interval, granule, address_cost, page, row_miss, jitter, seed;
};

struct MemoryCounts {
  uint64_t bursts, beats, row_misses, waiting, errors, violations, writes;
};

constexpr size_t kMostBeatBytes = 128;

struct AddressChannel {
  bool valid;
  uint64_t address;
  uint32_t length, size, burst, id;
};

// Rules of AXI4 for an address channel.
class AddressWatch {
 public:
  explicit AddressWatch(uint64_t beat) : beat_(beat) {}

  // How many a manager breaks by what the channel carries before a clock edge.
  uint64_t violations(const AddressChannel& now, bool ready) {
    const bool waited = before_.valid && !before_ready_;
    const bool changed = !now.valid || now.address != before_.address ||
                         now.length != before_.length || now.id != before_.id;
    uint64_t count = waited && changed;
    if (now.valid && !waited) {
      const uint64_t end = now.address + (uint64_t{now.length} + 1) * beat_ - 1;
      count += now.address / kBoundary != end / kBoundary || now.address % beat_ != 0;
      count += now.burst != kIncrement || (uint64_t{1} << now.size) != beat_;
    }
    before_ = now;
    before_ready_ = ready;
    return count;
  }

 private:
  static constexpr uint64_t kBoundary = 4096;
  static constexpr uint32_t kIncrement = 1;

  const uint64_t beat_;
  AddressChannel before_{};
  bool before_ready_ = false;
};

class Memory {
 public:
  explicit Memory(const MemoryParameters& parameters)
      : p_(parameters),
        bytes_(static_cast<uint8_t*>(std::calloc(p_.size, 1)), &std::free),
        watch_(p_.beat),
        random_(p_.seed + 1) {}

  bool copy_in(uint64_t address, const uint8_t* data, uint64_t count) {
    if (!inside(address, count)) return false;
    std::memcpy(&bytes_.get()[address], data, count);
    return true;
  }

  bool copy_out(uint64_t address, uint8_t* data, uint64_t count) const {
    if (!inside(address, count)) return false;
    std::memcpy(data, &bytes_.get()[address], count);
    return true;
  }

  // Write the bytes of a beat that have a strobe.
  bool put(uint64_t address, const uint8_t* data, const uint8_t* strobes) {
    if (!inside(address, p_.beat)) return false;
    for (uint64_t i = 0; i < p_.beat; ++i) {
      if (strobes[i / 8] >> i % 8 & 1) bytes_.get()[address + i] = data[i];
    }
    return true;
  }

  // The beat after `beats` further ones is answered with `response`.
  void fail(uint64_t beats, uint32_t response) { failures_[counts.beats + beats] = response; }

  // Forget the failures that were asked for and have not struck.
  void heal() { failures_.clear(); }

  // One clock edge: what the channels carried before it decides what they carry after it.
  void step(const AddressChannel& ar, bool r_ready) {
    ++now_;
    counts.violations += watch_.violations(ar, address_ready);
    if (ar.valid && address_ready) {
      ++counts.bursts;
      queue_.push_back({ar.address, ar.length + 1, ar.id, now_ + p_.latency - 1 + random(p_.jitter)});
      next_address_ = now_ + p_.address_cost - 1 + random(p_.jitter);
    }
    address_ready = now_ >= next_address_;
    if (valid && r_ready) take();
    if (!valid && !queue_.empty()) offer();
    counts.waiting += !queue_.empty() && !valid;
  }

  // Beat that the data channel carries.
  const uint8_t* data() const {
    const uint64_t address = queue_.front().address;
    return inside(address, p_.beat) ? &bytes_.get()[address] : nullptr;
  }

  bool address_ready = false, valid = false, last = false;
  uint32_t response = 0, id = 0;
  MemoryCounts counts{};

 private:
  static constexpr uint32_t kDecodeError = 3;

  struct Burst {
    uint64_t address;
    uint64_t beats;
    uint32_t id;
    uint64_t ready;  // earliest time of the first beat
  };

  bool inside(uint64_t address, uint64_t count) const {
    return address <= p_.size && count <= p_.size - address;
  }

  uint64_t random(uint64_t most) { return most == 0 ? 0 : random_() % (most + 1); }

  void take() {
    ++counts.beats;
    counts.errors += response != 0;
    valid = false;
    Burst& burst = queue_.front();
    burst.address += p_.beat;
    if (--burst.beats == 0) {
      const uint64_t over = burst.address % p_.granule;
      if (over != 0) free_ += (p_.granule - over) / p_.beat * p_.beat_interval;
      queue_.pop_front();
      begun_ = false;
    }
    scheduled_ = false;
  }

  void offer() {
    const Burst& burst = queue_.front();
    if (!scheduled_) {
      due_ = free_;
      if (!begun_) {
        if (due_ < burst.ready) due_ = burst.ready;
        due_ += burst.address % p_.granule / p_.beat * p_.beat_interval;
      }
      const uint64_t page = burst.address / p_.page;
      if (page != open_) {
        ++counts.row_misses;
        due_ += p_.row_miss;
        open_ = page;
      }
      if (due_ < now_) due_ = now_;
      if (random(7) == 0) due_ += random(p_.jitter);
      free_ = due_ + p_.beat_interval;
      begun_ = scheduled_ = true;
    }
    if (now_ < due_) return;
    valid = true;
    last = burst.beats == 1;
    id = burst.id;
    response = inside(burst.address, p_.beat) ? 0 : kDecodeError;
    const auto failure = failures_.find(counts.beats);
    if (failure != failures_.end()) {
      response = failure->second;
      failures_.erase(failure);
    }
  }

  const MemoryParameters p_;
  std::unique_ptr<uint8_t, decltype(&std::free)> bytes_;
  AddressWatch watch_;
  std::minstd_rand random_;
  std::deque<Burst> queue_;
  std::map<uint64_t, uint32_t> failures_;
  bool begun_ = false, scheduled_ = false;  // the burst, its next beat
  uint64_t now_ = 0, next_address_ = 0, free_ = 0, due_ = 0, open_ = ~uint64_t{0};
};

}  // namespace firstspike
