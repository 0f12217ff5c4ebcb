// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// Steps a Verilated card: clock, AXI4-Lite master, the far ends of its AXI4 buses
// (host memory, card memory, the read lanes of card memory), interrupts. A template over the model's class, because the arithmetic
// views are different classes with the same ports. See card.h.
// Used by card_fast.cpp and card_structural.cpp; card.cpp uses the class Card.
#ifndef CARILLON_SIM_RTL_VERILATED_CARD_HPP
#define CARILLON_SIM_RTL_VERILATED_CARD_HPP

#include <memory>
#include <vector>

#include "axi.hpp"
#include "card.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

namespace carillon {

inline constexpr uint64_t kBarPatience = 1000;     // cycles until an access counts as unanswered
inline constexpr uint32_t kResetCycles = 8;
inline constexpr uint32_t kReleaseCycles = 4;      // until the card has left its reset
inline constexpr uint32_t kDrainPatience = 1u << 20;  // cycles in which the buses answer all that is under way
inline constexpr uint32_t kPollCycles = 64;        // between looks at the attention byte
inline constexpr uint32_t kSleepCycles = 16;       // asleep for so long before the clock stops

class CardMemory {
  public:
    CardMemory(uint8_t* bytes, uint64_t size) : bytes_(bytes), size_(size) {}

    const uint8_t* read(uint64_t address, size_t bytes, uint8_t*) const {
        if (!inside(address, bytes) || (fault_.reads && faulty(address, bytes))) return nullptr;
        return bytes_ + address;
    }

    bool write(uint64_t address, const uint8_t* data, uint64_t strobes) {
        if (!inside(address, kBeat) || (fault_.writes && faulty(address, kBeat))) return false;
        if (strobes == ~uint64_t{0}) {
            std::memcpy(bytes_ + address, data, kBeat);
        } else {
            for (size_t i = 0; i < kBeat; i++) {
                if (strobes >> i & 1) bytes_[address + i] = data[i];
            }
        }
        return true;
    }

    void set_fault(const carillon_rtl_fault& fault) { fault_ = fault; }

  private:
    bool inside(uint64_t address, size_t bytes) const { return address <= size_ && bytes <= size_ - address; }
    bool faulty(uint64_t address, size_t bytes) const {
        return address < fault_.address + fault_.bytes && fault_.address < address + bytes;
    }

    uint8_t* bytes_;
    uint64_t size_;
    carillon_rtl_fault fault_{};
};

class HostMemory {
  public:
    explicit HostMemory(const carillon_rtl_options& options) : options_(options) {}

    const uint8_t* read(uint64_t address, size_t bytes, uint8_t* buffer) {
        return options_.host_read(options_.context, address, buffer, bytes) ? buffer : nullptr;
    }

    // Each run of enabled bytes is one write, so that a completion (half a beat) arrives whole.
    bool write(uint64_t address, const uint8_t* data, uint64_t strobes) {
        bool done = true;
        for (size_t i = 0; i < kBeat;) {
            if (!(strobes >> i & 1)) {
                i++;
                continue;
            }
            size_t end = i;
            while (end < kBeat && strobes >> end & 1) end++;
            done &= options_.host_write(options_.context, address + i, data + i, end - i);
            i = end;
        }
        return done;
    }

  private:
    const carillon_rtl_options& options_;
};

class Card {
  public:
    virtual ~Card() = default;
    virtual void reset() = 0;
    virtual uint32_t read(uint32_t offset) = 0;
    virtual void write(uint32_t offset, uint32_t value) = 0;
    virtual bool run(uint64_t cycles) = 0;
    virtual void fault_memory(const carillon_rtl_fault& fault) = 0;
    virtual void stray_response(uint8_t bus) = 0;
    virtual void trace(bool on) = 0;
    virtual uint64_t cycles() const = 0;
};

// Read channel `index` of a packed array of them; a bus that stands alone is an array of one.
#define CARILLON_READ_PORTS(bus, index)                                                                     \
    ReadPorts {                                                                                             \
        Field(&model_.bus##_arid, index, 8), Field(&model_.bus##_arlen, index, 8),                          \
            Field(&model_.bus##_arvalid, index, 1), Field(&model_.bus##_arready, index, 1),                 \
            reinterpret_cast<const uint8_t*>(&model_.bus##_araddr) + (index) * sizeof(uint64_t),            \
            Field(&model_.bus##_rid, index, 8), Field(&model_.bus##_rresp, index, 2),                       \
            Field(&model_.bus##_rlast, index, 1), Field(&model_.bus##_rvalid, index, 1),                    \
            Field(&model_.bus##_rready, index, 1),                                                          \
            model_.bus##_rdata.data() + (index) * (kBeat / sizeof *model_.bus##_rdata.data())               \
    }

#define CARILLON_WRITE_PORTS(bus)                                                                           \
    WritePorts {                                                                                            \
        model_.bus##_awid, model_.bus##_awlen, model_.bus##_awvalid, model_.bus##_awready,                  \
            model_.bus##_awaddr, model_.bus##_wdata.data(), model_.bus##_wstrb, model_.bus##_wlast,         \
            model_.bus##_wvalid, model_.bus##_wready, model_.bus##_bid, model_.bus##_bresp,                 \
            model_.bus##_bvalid, model_.bus##_bready                                                        \
    }

template <typename Model>
class VerilatedCard final : public Card {
  public:
    explicit VerilatedCard(const carillon_rtl_options& options)
        : options_(options),
          memory_(options.memory, options.memory_bytes),
          host_(options_),
          host_reads_(CARILLON_READ_PORTS(m_axi_host, 0), host_, timing(options.host_latency, 0)),
          host_writes_(CARILLON_WRITE_PORTS(m_axi_host), host_, timing(options.host_latency, 1)),
          memory_writes_(CARILLON_WRITE_PORTS(m_axi_mem), memory_, timing(options.memory_latency, 2)) {
        memory_reads_.reserve(1 + kLanes);
        memory_reads_.emplace_back(CARILLON_READ_PORTS(m_axi_mem, 0), memory_, timing(options.memory_latency, 3));
        for (size_t lane = 0; lane < kLanes; lane++) {
            memory_reads_.emplace_back(CARILLON_READ_PORTS(m_axi_lane, lane), memory_,
                                       timing(options.memory_latency, 4 + lane));
        }
        tracing_ = !options.trace_waits;
        if (options.trace) open_trace(options.trace);
        if (ready_) power_on();
    }

    ~VerilatedCard() override {
        model_.final();
#if VM_TRACE
        if (trace_) trace_->close();
#endif
    }

    bool ready() const { return ready_; }
    uint64_t cycles() const override { return now_; }
    void fault_memory(const carillon_rtl_fault& fault) override { memory_.set_fault(fault); }
    void trace(bool on) override {
        tracing_ = on;
        flush_trace();
    }

    // A function-level reset as a board does it: the buses go on, and it is done when nothing is under way on them.
    void reset() override {
        model_.card_rst_ni = 0;
        model_.s_axil_awvalid = model_.s_axil_wvalid = model_.s_axil_arvalid = 0;
        for (uint32_t i = 0; i < kResetCycles || (!model_.bus_idle_o && i < kDrainPatience); i++) step();
        model_.card_rst_ni = 1;
        for (uint32_t i = 0; i < kReleaseCycles; i++) step();
    }

    uint32_t read(uint32_t offset) override {
        model_.s_axil_araddr = static_cast<uint16_t>(offset);
        model_.s_axil_arvalid = 1;
        uint32_t value = ~uint32_t{0};
        bool answered = false;
        for (uint64_t i = 0; i < kBarPatience && !answered; i++) {
            step([&] {
                accepted_ = model_.s_axil_arready;
                if (model_.s_axil_rvalid) {
                    value = model_.s_axil_rdata;
                    answered = true;
                }
            });
            if (accepted_) model_.s_axil_arvalid = 0;
        }
        model_.s_axil_arvalid = 0;
        return value;
    }

    void write(uint32_t offset, uint32_t value) override {
        model_.s_axil_awaddr = static_cast<uint16_t>(offset);
        model_.s_axil_wdata = value;
        model_.s_axil_awvalid = model_.s_axil_wvalid = 1;
        bool answered = false;
        for (uint64_t i = 0; i < kBarPatience && !answered; i++) {
            bool address = false, data = false;
            step([&] {
                address = model_.s_axil_awready;
                data = model_.s_axil_wready;
                answered = model_.s_axil_bvalid;
            });
            if (address) model_.s_axil_awvalid = 0;
            if (data) model_.s_axil_wvalid = 0;
        }
        model_.s_axil_awvalid = model_.s_axil_wvalid = 0;
    }

    bool run(uint64_t cycles) override {
        uint32_t asleep = 0;
        for (uint64_t i = 0; i < cycles; i++) {
            step();
            asleep = model_.awake_o ? 0 : asleep + 1;
            if (asleep >= kSleepCycles) return true;
            if (i % kPollCycles == 0 && __atomic_load_n(options_.attention, __ATOMIC_RELAXED)) return false;
        }
        return false;
    }

    void stray_response(uint8_t bus) override {
        if (bus == CARILLON_RTL_BUS_HOST) {
            host_reads_.stray();
        } else if (bus == CARILLON_RTL_BUS_MEMORY) {
            memory_reads_.front().stray();
        } else {
            memory_reads_.back().stray();
        }
        step();
    }

  private:
    // Lanes by the width of their data port.
    static constexpr size_t kLanes = sizeof(Model::m_axi_lane_rdata) / kBeat;
    static_assert(sizeof(Model::m_axi_lane_araddr) == kLanes * sizeof(uint64_t), "one address a lane");

    struct Nothing {
        void operator()() const {}
    };

    void power_on() {
        model_.bus_rst_ni = model_.card_rst_ni = 0;
        model_.s_axil_bready = model_.s_axil_rready = 1;
        model_.s_axil_wstrb = 0xf;
        each_bus([](auto& bus) { bus.reset(); });
        for (uint32_t i = 0; i < kResetCycles; i++) edge();
        model_.bus_rst_ni = 1;
        reset();
    }

    // Each channel stalls at times of its own.
    BusTiming timing(uint32_t latency, uint64_t channel) const {
        return {latency, options_.backpressure, options_.seed + channel * 0x9e3779b97f4a7c15};
    }

    template <typename Do>
    void each_bus(Do act) {
        act(host_reads_);
        act(host_writes_);
        for (auto& reads : memory_reads_) act(reads);
        act(memory_writes_);
    }

    // One clock cycle. `look` sees the settled state right before the rising edge.
    template <typename Look = Nothing>
    void step(Look look = Look{}) {
        each_bus([this](auto& bus) { bus.drive(now_); });
        model_.clk_i = 0;
        model_.eval();
        dump(2 * now_);
        each_bus([this](auto& bus) { bus.sample(now_); });
        look();
        rise();
        each_bus([](auto& bus) { bus.advance(); });
        if (model_.irq_o) options_.interrupt(options_.context, model_.irq_o);
    }

    void edge() {
        model_.clk_i = 0;
        model_.eval();
        dump(2 * now_);
        rise();
    }

    void rise() {
        model_.clk_i = 1;
        model_.eval();
        dump(2 * now_ + 1);
        now_++;
    }

#if VM_TRACE
    void open_trace(const char* path) {
        context_.traceEverOn(true);
        trace_ = std::make_unique<VerilatedVcdC>();
        model_.trace(trace_.get(), 99);
        trace_->open(path);
        ready_ = trace_->isOpen();
    }
    void dump(uint64_t time) {
        if (trace_ && tracing_) trace_->dump(time);
    }
    void flush_trace() {
        if (trace_) trace_->flush();
    }
    std::unique_ptr<VerilatedVcdC> trace_;
#else
    void open_trace(const char*) { ready_ = false; }
    void dump(uint64_t) {}
    void flush_trace() {}
#endif

    VerilatedContext context_;
    Model model_{&context_};
    const carillon_rtl_options options_;
    CardMemory memory_;
    HostMemory host_;
    ReadResponder<HostMemory> host_reads_;
    WriteResponder<HostMemory> host_writes_;
    std::vector<ReadResponder<CardMemory>> memory_reads_;  // m_axi_mem, then the lanes
    WriteResponder<CardMemory> memory_writes_;
    uint64_t now_ = 0;
    bool ready_ = true;
    bool tracing_ = true;
    bool accepted_ = false;
};

// A card of this view, or null when its trace cannot be opened.
template <typename Model>
Card* make_card(const carillon_rtl_options& options) {
    auto card = std::make_unique<VerilatedCard<Model>>(options);
    return card->ready() ? card.release() : nullptr;
}

}  // namespace carillon

#endif
