// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The far end of the card's AXI4 buses: accepts bursts of 64-byte beats, answers
// after a latency, in order per ID. With stalls it also withholds ready and valid
// at random and answers different IDs out of order. Reads and writes are apart,
// because some buses are for reading only.
// Used by verilated_card.hpp, which also says where the ports are.
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

// Up to 8 bits of a port that do not cross a byte: a field of one bus, alone or in a packed array of several.
class Field {
  public:
    // Element `index` of a port of elements of `bits` bits, 1, 2, 4 or 8. Ports are little-endian, as the
    // machines that simulate are.
    Field(void* port, size_t index, unsigned bits)
        : byte_(static_cast<uint8_t*>(port) + index * bits / 8),
          shift_(static_cast<uint8_t>(index * bits % 8)),
          mask_(static_cast<uint8_t>((1u << bits) - 1)) {}
    operator uint8_t() const { return static_cast<uint8_t>(*byte_ >> shift_ & mask_); }
    void operator=(unsigned value) {
        *byte_ = static_cast<uint8_t>((*byte_ & ~(mask_ << shift_)) | (value & mask_) << shift_);
    }

  private:
    uint8_t* byte_;
    uint8_t shift_, mask_;
};

// The model's ports of one read channel. Addresses and beats are whole words, in memory as they lie on the bus.
struct ReadPorts {
    Field ar_id, ar_len, ar_valid, ar_ready;
    const void* ar_addr;
    Field r_id, r_resp, r_last, r_valid, r_ready;
    void* r_data;
};

// The same of one write channel.
struct WritePorts {
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

// How a bus answers.
struct BusTiming {
    uint32_t latency;  // cycles from a request to its first data or its response
    uint32_t stall;    // percent of cycles in which a channel stalls
    uint64_t seed;
};

constexpr size_t kOutstanding = 64;

struct Burst {
    uint64_t address;
    uint64_t due;  // cycle from which it may be answered
    uint32_t beats;
    uint8_t id;
    bool failed;
};

// Bursts that wait for their answers, in the order of their arrival.
class BurstQueue {
  public:
    BurstQueue() { bursts_.reserve(kOutstanding); }
    bool empty() const { return bursts_.empty(); }
    size_t size() const { return bursts_.size(); }
    void clear() { bursts_.clear(); }
    void push(const Burst& burst) { bursts_.push_back(burst); }
    Burst& front() { return bursts_.front(); }
    void pop() { bursts_.erase(bursts_.begin()); }

    // Takes the burst to answer next: the oldest, or with stalls any that is due and the oldest of its ID.
    bool take(Burst& burst, uint64_t now, bool reorder, Random& random) {
        if (bursts_.empty()) return false;
        size_t i = 0;
        if (reorder) {
            const size_t any = random.next() % bursts_.size();
            if (bursts_[any].due <= now) {
                while (bursts_[i].id != bursts_[any].id) i++;
            }
        }
        if (bursts_[i].due > now) return false;
        burst = bursts_[i];
        bursts_.erase(bursts_.begin() + static_cast<std::ptrdiff_t>(i));
        return true;
    }

  private:
    std::vector<Burst> bursts_;
};

// Each cycle: `drive` before the rising edge sets the inputs, `sample` after the model has settled sees which
// handshakes the edge completes, `advance` after the edge takes back what was accepted.

// Backend: `const uint8_t* read(uint64_t address, size_t bytes)`, null on a bus error, valid until the next read.
template <typename Backend>
class ReadResponder {
  public:
    ReadResponder(const ReadPorts& ports, Backend& backend, const BusTiming& timing)
        : ports_(ports), backend_(backend), timing_(timing), random_(timing.seed) {}

    void reset() {
        waiting_.clear();
        reading_ = false;
        ports_.ar_ready = 0;
        ports_.r_valid = 0;
    }

    void drive(uint64_t now) {
        ports_.ar_ready = waiting_.size() < kOutstanding && !stalled();
        if (!ports_.r_valid && (reading_ || begin(now)) && !stalled()) {
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
    }

    void sample(uint64_t now) {
        if (ports_.ar_valid && ports_.ar_ready) {
            uint64_t address;
            std::memcpy(&address, ports_.ar_addr, sizeof address);
            waiting_.push({address, now + timing_.latency, ports_.ar_len + 1u, ports_.ar_id, false});
        }
        done_ = ports_.r_valid && ports_.r_ready;
    }

    void advance() {
        if (!done_) return;
        ports_.r_valid = 0;
        if (reading_) {
            if (source_) source_ += kBeat;
            if (--current_.beats == 0) reading_ = false;
        }
    }

    // A beat that answers no request.
    void stray() {
        ports_.r_valid = 1;
        ports_.r_id = 0;
        ports_.r_last = 1;
        ports_.r_resp = 0;
    }

  private:
    bool stalled() { return random_.percent(timing_.stall); }

    bool begin(uint64_t now) {
        if (!waiting_.take(current_, now, timing_.stall != 0, random_)) return false;
        source_ = backend_.read(current_.address, current_.beats * kBeat);
        reading_ = true;
        return true;
    }

    ReadPorts ports_;
    Backend& backend_;
    BusTiming timing_;
    Random random_;
    BurstQueue waiting_;
    Burst current_{};
    const uint8_t* source_ = nullptr;  // next beat of `current_`, null after a bus error
    bool reading_ = false;
    bool done_ = false;
};

// Backend: `bool write(uint64_t address, const uint8_t* data, uint64_t strobes)`, one beat.
template <typename Backend>
class WriteResponder {
  public:
    WriteResponder(const WritePorts& ports, Backend& backend, const BusTiming& timing)
        : ports_(ports), backend_(backend), timing_(timing), random_(timing.seed) {}

    void reset() {
        writes_.clear();
        responses_.clear();
        ports_.aw_ready = ports_.w_ready = 0;
        ports_.b_valid = 0;
    }

    void drive(uint64_t now) {
        ports_.aw_ready = writes_.size() + responses_.size() < kOutstanding && !stalled();
        ports_.w_ready = !writes_.empty() && !stalled();
        Burst burst;
        if (!ports_.b_valid && !responses_.empty() && !stalled() &&
            responses_.take(burst, now, timing_.stall != 0, random_)) {
            ports_.b_valid = 1;
            ports_.b_id = burst.id;
            ports_.b_resp = burst.failed ? kSlvErr : 0;
        }
    }

    void sample(uint64_t now) {
        if (ports_.w_valid && ports_.w_ready) {
            Burst& burst = writes_.front();
            burst.failed |= !backend_.write(burst.address, reinterpret_cast<const uint8_t*>(ports_.w_data), ports_.w_strb);
            burst.address += kBeat;
            if (--burst.beats == 0) {
                burst.due = now + timing_.latency;
                responses_.push(burst);
                writes_.pop();
            }
        }
        if (ports_.aw_valid && ports_.aw_ready) {
            writes_.push({ports_.aw_addr, now, ports_.aw_len + 1u, ports_.aw_id, false});
        }
        done_ = ports_.b_valid && ports_.b_ready;
    }

    void advance() {
        if (done_) ports_.b_valid = 0;
    }

  private:
    bool stalled() { return random_.percent(timing_.stall); }

    WritePorts ports_;
    Backend& backend_;
    BusTiming timing_;
    Random random_;
    BurstQueue writes_, responses_;
    bool done_ = false;
};

}  // namespace carillon

#endif
