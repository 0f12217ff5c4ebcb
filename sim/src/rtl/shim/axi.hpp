// Copyright Carillon contributors. Licensed under Apache-2.0 OR MIT.
//
// The far end of the card's AXI4 buses: accepts bursts of 64-byte beats, answers
// after a latency, in order per ID. With stalls it also withholds ready and valid
// at random, answers different IDs out of order, mixes the beats of their bursts,
// and takes a write's request only when its data is offered or has come (AXI4
// permits all of these). Reads and writes are apart, because some buses are for
// reading only. It knows nothing of the card's reset: what is under way is answered.
// Used by verilated_card.hpp, which also says where the ports are.
#ifndef CARILLON_SIM_RTL_AXI_HPP
#define CARILLON_SIM_RTL_AXI_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
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

    // Takes the burst to answer next: the oldest, or with stalls any that is due and the oldest of its ID. None if a
    // burst of the same ID is being answered: `busy(id)`.
    template <typename Busy>
    bool take(Burst& burst, uint64_t now, bool reorder, Random& random, Busy busy) {
        if (bursts_.empty()) return false;
        size_t i = 0;
        if (reorder) {
            const size_t any = random.next() % bursts_.size();
            if (bursts_[any].due <= now) {
                while (bursts_[i].id != bursts_[any].id) i++;
            }
        }
        if (bursts_[i].due > now || busy(bursts_[i].id)) return false;
        burst = bursts_[i];
        bursts_.erase(bursts_.begin() + static_cast<std::ptrdiff_t>(i));
        return true;
    }

  private:
    std::vector<Burst> bursts_;
};

// Each cycle: `drive` before the rising edge sets the inputs, `sample` after the model has settled sees which
// handshakes the edge completes, `advance` after the edge takes back what was accepted.

// Backend: `const uint8_t* read(uint64_t address, size_t bytes, uint8_t* buffer)`, null on a bus error; it may lie in
// `buffer`, which is large enough for a burst.
template <typename Backend>
class ReadResponder {
  public:
    ReadResponder(const ReadPorts& ports, Backend& backend, const BusTiming& timing)
        : ports_(ports), backend_(backend), timing_(timing), random_(timing.seed), answers_(timing.stall ? kMixed : 1) {}

    void reset() {
        waiting_.clear();
        for (Answer& answer : answers_) answer.burst.beats = 0;
        ports_.ar_ready = 0;
        ports_.r_valid = 0;
    }

    void drive(uint64_t now) {
        ports_.ar_ready = waiting_.size() < kOutstanding && !stalled();
        if (ports_.r_valid) return;
        begin(now);
        current_ = choose();
        if (!current_ || stalled()) return;
        ports_.r_valid = 1;
        ports_.r_id = current_->burst.id;
        ports_.r_last = current_->burst.beats == 1;
        ports_.r_resp = current_->source ? 0 : kSlvErr;
        if (current_->source) {
            std::memcpy(ports_.r_data, current_->source, kBeat);
        } else {
            std::memset(ports_.r_data, 0, kBeat);
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
        if (!current_) return;  // it was a stray one
        if (current_->source) current_->source += kBeat;
        current_->burst.beats--;
    }

    // A beat that answers no request.
    void stray() {
        current_ = nullptr;
        ports_.r_valid = 1;
        ports_.r_id = 0;
        ports_.r_last = 1;
        ports_.r_resp = 0;
    }

  private:
    static constexpr size_t kMixed = 4;  // bursts whose beats are mixed

    // A burst that is being answered.
    struct Answer {
        Burst burst{};                      // no beats: the place is free
        const uint8_t* source = nullptr;    // its next beat, null after a bus error
        uint8_t buffer[kMaxBeats * kBeat];
    };

    bool stalled() { return random_.percent(timing_.stall); }

    // Takes one more burst to answer, if a place is free.
    void begin(uint64_t now) {
        for (Answer& answer : answers_) {
            if (answer.burst.beats) continue;
            Burst burst;
            const auto busy = [this](uint8_t id) {
                for (const Answer& other : answers_) {
                    if (other.burst.beats && other.burst.id == id) return true;
                }
                return false;
            };
            if (waiting_.take(burst, now, timing_.stall != 0, random_, busy)) {
                answer.burst = burst;
                answer.source = backend_.read(burst.address, burst.beats * kBeat, answer.buffer);
            }
            return;
        }
    }

    // The burst whose beat comes next: any, if there are several.
    Answer* choose() {
        const size_t first = answers_.size() == 1 ? 0 : random_.next() % answers_.size();
        for (size_t i = 0; i < answers_.size(); i++) {
            Answer& answer = answers_[(first + i) % answers_.size()];
            if (answer.burst.beats) return &answer;
        }
        return nullptr;
    }

    ReadPorts ports_;
    Backend& backend_;
    BusTiming timing_;
    Random random_;
    BurstQueue waiting_;
    std::vector<Answer> answers_;
    Answer* current_ = nullptr;  // whose beat is on the bus
    bool done_ = false;
};

// Backend: `bool write(uint64_t address, const uint8_t* data, uint64_t strobes)`, one beat.
template <typename Backend>
class WriteResponder {
  public:
    WriteResponder(const WritePorts& ports, Backend& backend, const BusTiming& timing)
        : ports_(ports), backend_(backend), timing_(timing), random_(timing.seed) {
        if (timing.stall) order_ = static_cast<Order>(random_.next() % 3);
    }

    void reset() {
        writes_.clear();
        early_.clear();
        early_bursts_ = 0;
        responses_.clear();
        ports_.aw_ready = ports_.w_ready = 0;
        ports_.b_valid = 0;
    }

    void drive(uint64_t now) {
        const bool room = writes_.size() + responses_.size() < kOutstanding;
        bool take_request = room, take_data = !writes_.empty();
        // Only data of this very request: that of all before it was taken.
        if (order_ == Order::kDataOffered) take_request = room && data_waits_ && writes_.empty();
        if (order_ == Order::kDataFirst) {
            take_request = room && early_bursts_ != 0;
            take_data = early_.size() < kOutstanding * kMaxBeats;
        }
        ports_.aw_ready = take_request && !stalled();
        ports_.w_ready = take_data && !stalled();
        Burst burst;
        const auto never = [](uint8_t) { return false; };
        if (!ports_.b_valid && !responses_.empty() && !stalled() &&
            responses_.take(burst, now, timing_.stall != 0, random_, never)) {
            ports_.b_valid = 1;
            ports_.b_id = burst.id;
            ports_.b_resp = burst.failed ? kSlvErr : 0;
        }
    }

    void sample(uint64_t now) {
        data_waits_ = ports_.w_valid && !ports_.w_ready;
        if (ports_.w_valid && ports_.w_ready) {
            early_.push_back({{}, ports_.w_strb, ports_.w_last != 0});
            std::memcpy(early_.back().data, ports_.w_data, kBeat);
            early_bursts_ += early_.back().last;
        }
        if (ports_.aw_valid && ports_.aw_ready) {
            writes_.push({ports_.aw_addr, now, ports_.aw_len + 1u, ports_.aw_id, false});
        }
        while (!writes_.empty() && !early_.empty()) write(now);
        done_ = ports_.b_valid && ports_.b_ready;
    }

    void advance() {
        if (done_) ports_.b_valid = 0;
    }

  private:
    // When a write's request and its data are taken (AXI4 A3.3.1 permits all three).
    enum class Order { kRequestFirst, kDataOffered, kDataFirst };

    struct Beat {
        uint8_t data[kBeat];
        uint64_t strobes;
        bool last;
    };

    bool stalled() { return random_.percent(timing_.stall); }

    // The oldest beat goes to the oldest burst.
    void write(uint64_t now) {
        Burst& burst = writes_.front();
        const Beat& beat = early_.front();
        burst.failed |= !backend_.write(burst.address, beat.data, beat.strobes);
        burst.address += kBeat;
        early_bursts_ -= beat.last;
        early_.pop_front();
        if (--burst.beats == 0) {
            burst.due = now + timing_.latency;
            responses_.push(burst);
            writes_.pop();
        }
    }

    WritePorts ports_;
    Backend& backend_;
    BusTiming timing_;
    Random random_;
    Order order_ = Order::kRequestFirst;
    BurstQueue writes_, responses_;
    std::deque<Beat> early_;  // data that waits for its request
    size_t early_bursts_ = 0;  // bursts of it that are whole
    bool data_waits_ = false;  // data was offered in the cycle before and not taken
    bool done_ = false;
};

}  // namespace carillon

#endif
