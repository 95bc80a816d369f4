// AXI4-Lite master in C++ around the Verilated core: whole bulk transfers and waits run in here.

#include <cstdint>
#include <memory>

#include "Vcore.h"
#include "verilated.h"
#ifdef FIRSTSPIKE_TRACE
#include "verilated_fst_c.h"
#endif

namespace {

constexpr int kOkay = 0;
constexpr int kNoAnswer = -1;
constexpr int kBound = 1000;  // cycles for one handshake

class Simulation {
 public:
  explicit Simulation(const char* trace) : core_(&context_) {
#ifdef FIRSTSPIKE_TRACE
    if (trace != nullptr && trace[0] != '\0') {
      context_.traceEverOn(true);
      trace_ = std::make_unique<VerilatedFstC>();
      core_.trace(trace_.get(), 99);
      trace_->open(trace);
    }
#else
    (void)trace;
#endif
    core_.clk = 0;
    core_.rst = 1;
    tick(4);
    core_.rst = 0;
    cycles_ = 0;
  }

  ~Simulation() {
#ifdef FIRSTSPIKE_TRACE
    if (trace_) trace_->close();
#endif
    core_.final();
  }

  void tick(uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
      edge(1);
      edge(0);
      ++cycles_;
    }
  }

  int write(uint32_t address, uint32_t value) {
    core_.s_axil_awaddr = address;
    core_.s_axil_wdata = value;
    core_.s_axil_wstrb = 0xF;
    core_.s_axil_awvalid = 1;
    core_.s_axil_wvalid = 1;
    core_.s_axil_bready = 1;
    for (int i = 0; i < kBound; ++i) {
      core_.eval();
      const bool address_taken = core_.s_axil_awvalid && core_.s_axil_awready;
      const bool data_taken = core_.s_axil_wvalid && core_.s_axil_wready;
      const bool answered = core_.s_axil_bvalid;
      const int response = core_.s_axil_bresp;
      tick(1);
      if (address_taken) core_.s_axil_awvalid = 0;
      if (data_taken) core_.s_axil_wvalid = 0;
      if (answered) return release(response);
    }
    return release(kNoAnswer);
  }

  int read(uint32_t address, uint32_t* value) {
    core_.s_axil_araddr = address;
    core_.s_axil_arvalid = 1;
    core_.s_axil_rready = 1;
    for (int i = 0; i < kBound; ++i) {
      core_.eval();
      const bool address_taken = core_.s_axil_arvalid && core_.s_axil_arready;
      const bool answered = core_.s_axil_rvalid;
      const int response = core_.s_axil_rresp;
      *value = core_.s_axil_rdata;
      tick(1);
      if (address_taken) core_.s_axil_arvalid = 0;
      if (answered) return release(response);
    }
    return release(kNoAnswer);
  }

  uint64_t cycles() const { return cycles_; }

 private:
  void edge(int level) {
    core_.clk = level;
    core_.eval();
#ifdef FIRSTSPIKE_TRACE
    if (trace_) trace_->dump(10 * cycles_ + (level ? 0 : 5));
#endif
  }

  int release(int response) {
    core_.s_axil_awvalid = core_.s_axil_wvalid = core_.s_axil_bready = 0;
    core_.s_axil_arvalid = core_.s_axil_rready = 0;
    return response;
  }

  VerilatedContext context_;
  Vcore core_;
#ifdef FIRSTSPIKE_TRACE
  std::unique_ptr<VerilatedFstC> trace_;
#endif
  uint64_t cycles_ = 0;
};

}  // namespace

// Functions return an AXI response (0 is OKAY), or -1 where the core did not answer in time.
extern "C" {

Simulation* firstspike_open(const char* trace) { return new Simulation(trace); }

void firstspike_close(Simulation* s) { delete s; }

uint64_t firstspike_cycles(Simulation* s) { return s->cycles(); }

void firstspike_tick(Simulation* s, uint64_t count) { s->tick(count); }

int firstspike_write(Simulation* s, uint32_t address, const uint32_t* values, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    const int response = s->write(address, values[i]);
    if (response != kOkay) return response;
  }
  return kOkay;
}

int firstspike_read(Simulation* s, uint32_t address, uint32_t* values, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    const int response = s->read(address, &values[i]);
    if (response != kOkay) return response;
  }
  return kOkay;
}

int firstspike_wait(Simulation* s, uint32_t address, uint32_t mask, uint32_t wanted,
                    uint64_t max_cycles) {
  const uint64_t end = s->cycles() + max_cycles;
  uint32_t value = 0;
  do {
    const int response = s->read(address, &value);
    if (response != kOkay) return response;
    if ((value & mask) == wanted) return kOkay;
  } while (s->cycles() < end);
  return kNoAnswer;
}

}  // extern "C"
