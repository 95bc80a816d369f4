// Serial line in C++ around a Verilated board: bytes go in and out bit by bit.

#include <cstdint>
#include <deque>

#include "Vcore.h"
#include "verilated.h"

namespace {

constexpr int kBits = 8;

class Board {
 public:
  explicit Board(uint32_t divisor) : divisor_(divisor), core_(&context_) {
    core_.clk = 0;
    core_.rx = 1;
    core_.reset = 1;
    run(8);
    core_.reset = 0;
    run(8);
    cycles_ = 0;
  }

  ~Board() { core_.final(); }

  void push(const uint8_t* octets, uint64_t count) { to_board_.insert(to_board_.end(), octets, octets + count); }

  uint64_t pull(uint8_t* octets, uint64_t most) {
    uint64_t count = 0;
    for (; count < most && !from_board_.empty(); ++count) {
      octets[count] = from_board_.front();
      from_board_.pop_front();
    }
    return count;
  }

  void run(uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
      send();
      core_.clk = 1;
      core_.eval();
      core_.clk = 0;
      core_.eval();
      receive();
      ++cycles_;
    }
  }

  uint64_t cycles() const { return cycles_; }
  uint64_t waiting() const { return to_board_.size(); }
  uint64_t framing_errors() const { return framing_errors_; }

 private:
  // A start bit, eight data bits, a stop bit.
  void send() {
    if (send_left_ == 0) {
      if (to_board_.empty()) return;
      shift_out_ = (uint32_t{to_board_.front()} | 0x100) << 1;
      to_board_.pop_front();
      send_left_ = (kBits + 2) * divisor_;
    }
    core_.rx = shift_out_ >> ((kBits + 2) - (send_left_ + divisor_ - 1) / divisor_) & 1;
    --send_left_;
  }

  void receive() {
    if (!receiving_) {
      receiving_ = !core_.tx;
      place_ = 0;
      shift_in_ = 0;
      if (!receiving_) return;
    }
    if (place_ % divisor_ == divisor_ / 2) shift_in_ |= uint32_t{core_.tx} << place_ / divisor_;
    if (++place_ < (kBits + 1) * divisor_ + divisor_ / 2 + 1) return;
    receiving_ = false;
    if (shift_in_ >> (kBits + 1) & 1 && !(shift_in_ & 1)) {
      from_board_.push_back(shift_in_ >> 1 & 0xFF);
    } else {
      ++framing_errors_;
    }
  }

  const uint32_t divisor_;
  VerilatedContext context_;
  Vcore core_;
  std::deque<uint8_t> to_board_, from_board_;
  uint64_t cycles_ = 0, framing_errors_ = 0;
  uint32_t shift_out_ = 0, send_left_ = 0, shift_in_ = 0, place_ = 0;
  bool receiving_ = false;
};

}  // namespace

extern "C" {

Board* firstspike_board_open(uint32_t divisor) { return new Board(divisor); }
void firstspike_board_close(Board* b) { delete b; }
void firstspike_board_push(Board* b, const uint8_t* octets, uint64_t count) { b->push(octets, count); }
uint64_t firstspike_board_pull(Board* b, uint8_t* octets, uint64_t most) { return b->pull(octets, most); }
void firstspike_board_run(Board* b, uint64_t count) { b->run(count); }
uint64_t firstspike_board_cycles(Board* b) { return b->cycles(); }
uint64_t firstspike_board_waiting(Board* b) { return b->waiting(); }
uint64_t firstspike_board_framing_errors(Board* b) { return b->framing_errors(); }

}  // extern "C"
