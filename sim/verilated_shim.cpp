// AXI4-Lite master in C++ around the Verilated core: whole bulk transfers and waits run in here.

#include <cstdint>
#include <cstring>
#include <memory>

#include "Vcore.h"
#include "verilated.h"
#ifdef FIRSTSPIKE_MEMORY
#include "verilated_memory.h"
#endif
#ifdef FIRSTSPIKE_WRITES
#include "verilated_writes.h"
#endif
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
    tick(1);
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
#ifdef FIRSTSPIKE_MEMORY
      const firstspike::AddressChannel ar{
          core_.m_axi_arvalid != 0, core_.m_axi_araddr, core_.m_axi_arlen,
          core_.m_axi_arsize, core_.m_axi_arburst, core_.m_axi_arid};
      const bool r_ready = core_.m_axi_rready;
#endif
#ifdef FIRSTSPIKE_WRITES
      const firstspike::AddressChannel aw{
          core_.m_axi_awvalid != 0, core_.m_axi_awaddr, core_.m_axi_awlen,
          core_.m_axi_awsize, core_.m_axi_awburst, core_.m_axi_awid};
      firstspike::DataChannel w{core_.m_axi_wvalid != 0, core_.m_axi_wlast != 0, {}, {}};
      std::memcpy(w.data.data(), &core_.m_axi_wdata, sizeof(core_.m_axi_wdata));
      std::memcpy(w.strobes.data(), &core_.m_axi_wstrb, sizeof(core_.m_axi_wstrb));
      const bool b_ready = core_.m_axi_bready;
#endif
      edge(1);
#ifdef FIRSTSPIKE_MEMORY
      if (memory_) drive(ar, r_ready);
#endif
#ifdef FIRSTSPIKE_WRITES
      if (writes_) drive_writes(aw, w, b_ready);
#endif
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

  // Asks for the next word while the answers to those before are still on their way.
  int read(uint32_t address, uint32_t* values, uint64_t count) {
    uint64_t asked = 0, answered = 0;
    int response = kOkay;
    core_.s_axil_araddr = address;
    core_.s_axil_rready = 1;
    for (int waited = 0; waited < kBound; ++waited) {
      core_.s_axil_arvalid = asked < count && response == kOkay;
      core_.eval();
      const bool taken = core_.s_axil_arvalid && core_.s_axil_arready;
      if (core_.s_axil_rvalid) {
        waited = 0;
        values[answered++] = core_.s_axil_rdata;
        if (response == kOkay) response = core_.s_axil_rresp;
      }
      tick(1);
      asked += taken;
      if (answered == asked && (asked == count || response != kOkay)) return release(response);
    }
    return release(kNoAnswer);
  }

  uint64_t cycles() const { return cycles_; }

#ifdef FIRSTSPIKE_MEMORY
  void join(const firstspike::MemoryParameters& parameters) {
    memory_ = std::make_unique<firstspike::Memory>(parameters);
#ifdef FIRSTSPIKE_WRITES
    writes_ = std::make_unique<firstspike::Writes>(parameters, *memory_);
#endif
  }

  firstspike::Memory& memory() { return *memory_; }
#endif
#ifdef FIRSTSPIKE_WRITES
  firstspike::Writes& writes() { return *writes_; }
#endif

 private:
  void edge(int level) {
    core_.clk = level;
    core_.eval();
#ifdef FIRSTSPIKE_TRACE
    if (trace_) trace_->dump(10 * cycles_ + (level ? 0 : 5));
#endif
  }

#ifdef FIRSTSPIKE_MEMORY
  void drive(const firstspike::AddressChannel& ar, bool r_ready) {
    memory_->step(ar, r_ready);
    core_.m_axi_arready = memory_->address_ready;
    core_.m_axi_rvalid = memory_->valid;
    if (!memory_->valid) return;
    core_.m_axi_rlast = memory_->last;
    core_.m_axi_rresp = memory_->response;
    core_.m_axi_rid = memory_->id;
    constexpr size_t bytes = sizeof(core_.m_axi_rdata);
    if (memory_->data() == nullptr) {
      std::memset(&core_.m_axi_rdata, 0, bytes);
    } else {
      std::memcpy(&core_.m_axi_rdata, memory_->data(), bytes);
    }
  }

  std::unique_ptr<firstspike::Memory> memory_;
#endif

#ifdef FIRSTSPIKE_WRITES
  void drive_writes(const firstspike::AddressChannel& aw, const firstspike::DataChannel& w,
                    bool b_ready) {
    writes_->step(aw, w, b_ready);
    core_.m_axi_awready = writes_->address_ready;
    core_.m_axi_wready = writes_->data_ready;
    core_.m_axi_bvalid = writes_->valid;
    core_.m_axi_bresp = writes_->response;
    core_.m_axi_bid = writes_->id;
  }

  std::unique_ptr<firstspike::Writes> writes_;
#endif

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
  return s->read(address, values, count);
}

int firstspike_wait(Simulation* s, uint32_t address, uint32_t mask, uint32_t wanted,
                    uint64_t max_cycles) {
  const uint64_t end = s->cycles() + max_cycles;
  uint32_t value = 0;
  do {
    const int response = s->read(address, &value, 1);
    if (response != kOkay) return response;
    if ((value & mask) == wanted) return kOkay;
  } while (s->cycles() < end);
  return kNoAnswer;
}

#ifdef FIRSTSPIKE_MEMORY
void firstspike_memory_open(Simulation* s, const firstspike::MemoryParameters* parameters) {
  s->join(*parameters);
}

int firstspike_memory_load(Simulation* s, uint64_t address, const uint8_t* data, uint64_t count) {
  return s->memory().copy_in(address, data, count) ? kOkay : kNoAnswer;
}

int firstspike_memory_dump(Simulation* s, uint64_t address, uint8_t* data, uint64_t count) {
  return s->memory().copy_out(address, data, count) ? kOkay : kNoAnswer;
}

void firstspike_memory_fail(Simulation* s, uint64_t beats, uint32_t response) {
  s->memory().fail(beats, response);
}

void firstspike_memory_heal(Simulation* s) {
  s->memory().heal();
#ifdef FIRSTSPIKE_WRITES
  s->writes().heal();
#endif
}

void firstspike_memory_counts(Simulation* s, firstspike::MemoryCounts* counts) {
  *counts = s->memory().counts;
}
#endif

#ifdef FIRSTSPIKE_WRITES
void firstspike_memory_fail_write(Simulation* s, uint64_t count, uint32_t response) {
  s->writes().fail(count, response);
}
#endif

}  // extern "C"
