// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The far end of one of the card's AXI4 buses: accepts bursts of 64-byte beats,
// answers after a latency, in order per ID. With stalls it also withholds ready
// and valid at random and answers different IDs out of order.
// Used by card.cpp, once for host memory and once for card memory.
#ifndef CARILLON_SIM_RTL_AXI_HPP
#define CARILLON_SIM_RTL_AXI_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace carillon {

constexpr size_t kBeat = 64;
constexpr size_t kMaxBeats = 64;  // a burst stays within 4 KiB
constexpr uint8_t kSlvErr = 2;

// The model's ports of one bus; beats as Verilator's 32-bit words.
struct AxiPorts {
    uint8_t &ar_id, &ar_len, &ar_valid, &ar_ready;
    uint64_t& ar_addr;
    uint8_t &r_id, &r_resp, &r_last, &r_valid, &r_ready;
    uint32_t* r_data;
    uint8_t &aw_id, &aw_len, &aw_valid, &aw_ready;
    uint64_t& aw_addr;
    uint32_t* w_data;
    uint64_t& w_strb;
    uint8_t &w_last, &w_valid, &w_ready;
    uint8_t &b_id, &b_resp, &b_valid, &b_ready;
};

class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed ? seed : 0x9e3779b97f4a7c15) {}
    uint64_t next() {  // xorshift64*
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return state_ * 0x2545f4914f6cdd1d;
    }
    bool percent(uint32_t p) { return p != 0 && (next() >> 32) % 100 < p; }

  private:
    uint64_t state_;
};

// Backend: `const uint8_t* read(uint64_t address, size_t bytes)`, null on a bus error, valid until
// the next read; `bool write(uint64_t address, const uint8_t* data, uint64_t strobes)`, one beat.
template <typename Backend>
class AxiResponder {
  public:
    AxiResponder(AxiPorts ports, Backend& backend, uint32_t latency, uint32_t stall, uint64_t seed)
        : ports_(ports), backend_(backend), latency_(latency), stall_(stall), random_(seed) {
        reads_.reserve(kOutstanding);
        writes_.reserve(kOutstanding);
        responses_.reserve(kOutstanding);
    }

    void reset() {
        reads_.clear();
        writes_.clear();
        responses_.clear();
        reading_ = false;
        ports_.ar_ready = ports_.aw_ready = ports_.w_ready = 0;
        ports_.r_valid = ports_.b_valid = 0;
    }

    // Before the rising edge, inputs: what the bus offers in this cycle.
    void drive(uint64_t now) {
        ports_.ar_ready = reads_.size() < kOutstanding && !stalled();
        ports_.aw_ready = writes_.size() + responses_.size() < kOutstanding && !stalled();
        ports_.w_ready = !writes_.empty() && !stalled();
        if (!ports_.r_valid && (reading_ || begin_read(now)) && !stalled()) {
            ports_.r_valid = 1;
            ports_.r_id = current_.id;
            ports_.r_last = current_.beats == 1;
            ports_.r_resp = source_ ? 0 : kSlvErr;
            if (source_) {
                std::memcpy(ports_.r_data, source_, kBeat);
            } else {
                std::memset(ports_.r_data, 0, kBeat);
            }
        }
        if (!ports_.b_valid && !responses_.empty() && !stalled()) {
            const size_t i = choose(responses_, now);
            if (i != kNone) {
                ports_.b_valid = 1;
                ports_.b_id = responses_[i].id;
                ports_.b_resp = responses_[i].failed ? kSlvErr : 0;
                responses_.erase(responses_.begin() + static_cast<std::ptrdiff_t>(i));
            }
        }
    }

    // Before the rising edge, after the model has settled: which handshakes the edge completes.
    void sample(uint64_t now) {
        if (ports_.w_valid && ports_.w_ready) {
            Burst& burst = writes_.front();
            burst.failed |= !backend_.write(burst.address, reinterpret_cast<const uint8_t*>(ports_.w_data), ports_.w_strb);
            burst.address += kBeat;
            if (--burst.beats == 0) {
                burst.due = now + latency_;
                responses_.push_back(burst);
                writes_.erase(writes_.begin());
            }
        }
        if (ports_.aw_valid && ports_.aw_ready) {
            writes_.push_back({ports_.aw_addr, now, ports_.aw_len + 1u, ports_.aw_id, false});
        }
        if (ports_.ar_valid && ports_.ar_ready) {
            reads_.push_back({ports_.ar_addr, now + latency_, ports_.ar_len + 1u, ports_.ar_id, false});
        }
        r_done_ = ports_.r_valid && ports_.r_ready;
        b_done_ = ports_.b_valid && ports_.b_ready;
    }

    // After the rising edge: takes back what was accepted.
    void advance() {
        if (r_done_) {
            ports_.r_valid = 0;
            if (reading_) {
                if (source_) source_ += kBeat;
                if (--current_.beats == 0) reading_ = false;
            }
        }
        if (b_done_) ports_.b_valid = 0;
    }

    // A read beat that answers no request.
    void stray() {
        ports_.r_valid = 1;
        ports_.r_id = 0;
        ports_.r_last = 1;
        ports_.r_resp = 0;
    }

  private:
    struct Burst {
        uint64_t address;
        uint64_t due;  // cycle from which it may be answered
        uint32_t beats;
        uint8_t id;
        bool failed;
    };
    static constexpr size_t kOutstanding = 64;
    static constexpr size_t kNone = ~size_t{0};

    bool stalled() { return random_.percent(stall_); }

    // The burst to answer next: the oldest, or with stalls any that is due and the oldest of its ID.
    size_t choose(const std::vector<Burst>& bursts, uint64_t now) {
        if (stall_ == 0) return bursts.front().due <= now ? 0 : kNone;
        const size_t first = random_.next() % bursts.size();
        if (bursts[first].due > now) return bursts.front().due <= now ? 0 : kNone;
        for (size_t i = 0; i < first; i++) {
            if (bursts[i].id == bursts[first].id) return i;
        }
        return first;
    }

    bool begin_read(uint64_t now) {
        if (reads_.empty()) return false;
        const size_t i = choose(reads_, now);
        if (i == kNone) return false;
        current_ = reads_[i];
        reads_.erase(reads_.begin() + static_cast<std::ptrdiff_t>(i));
        source_ = backend_.read(current_.address, current_.beats * kBeat);
        reading_ = true;
        return true;
    }

    AxiPorts ports_;
    Backend& backend_;
    uint32_t latency_;
    uint32_t stall_;
    Random random_;
    std::vector<Burst> reads_, writes_, responses_;
    Burst current_{};
    const uint8_t* source_ = nullptr;  // next beat of `current_`, null after a bus error
    bool reading_ = false;
    bool r_done_ = false, b_done_ = false;
};

}  // namespace carillon

#endif
