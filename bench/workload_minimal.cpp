// SPDX-License-Identifier: BSD-3-Clause
// The cases with the minimal loop.
#include <array>
#include <optional>
#include <vector>

#include "do_not_optimize.hpp"
#include "fixture.hpp"
#include "minimal_loop.hpp"
#include "swap_macs.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

template <class Loop>
struct LeastFixture {
  LeastFixture(const Setup& wanted, bool full) : setup(wanted) {
    need(context.attach(card.domain()));
    card.set_cold(setup.cold);
    loop.emplace(context, card, setup, full);
  }
  void finish_transmits() {
    if (card.finish_transmits(0) != (first ? 0 : setup.frames())) give_up("the minimal loop did not send all");
    first = false;
  }
  void receive() { card.receive(0, setup.frames(), setup.frame); }

  Setup setup;
  FakedCard card;
  Context context{logging_options(card.clock())};
  std::optional<Loop> loop;
  bool first = true;
};

template <class Loop>
class Minimal : public Workload {
 public:
  explicit Minimal(const Setup& setup, bool full = false)
      : Workload(setup.frames(), setup.rounds()), fixture(setup, full), loop(*fixture.loop), limit(setup.limit()) {}
  void prepare() override {
    fixture.finish_transmits();
    fixture.receive();
  }

 protected:
  LeastFixture<Loop> fixture;
  Loop& loop;
  std::uint32_t limit;
};

template <class Loop>
class MinimalForward final : public Minimal<Loop> {
 public:
  using Minimal<Loop>::Minimal;
  void run() override {
    std::array<MinimalBuffer*, Setup::kMaxBurst> buffers{};
    for (std::uint32_t done = 0; done < this->operations(); done += this->limit) {
      const std::uint32_t count = this->loop.rx_burst(buffers.data(), this->limit);
      for (std::uint32_t i = 0; i < count; ++i) swap_macs(buffers[i]->data.data());
      this->loop.tx_burst(buffers.data(), count);
    }
  }
};

template <class Loop>
class MinimalChecksums final : public Minimal<Loop> {
 public:
  using Minimal<Loop>::Minimal;
  void run() override {
    std::array<MinimalBuffer*, Setup::kMaxBurst> buffers{};
    for (std::uint32_t done = 0; done < this->operations(); done += this->limit) {
      const std::uint32_t count = this->loop.rx_burst(buffers.data(), this->limit);
      for (std::uint32_t i = 0; i < count; ++i) {
        swap_macs(buffers[i]->data.data());
        buffers[i]->request = Loop::kRequest;
      }
      this->loop.tx_burst_checksums(buffers.data(), count);
    }
  }
};

template <class Loop>
class MinimalOffload final : public Minimal<Loop> {
 public:
  using Minimal<Loop>::Minimal;
  void run() override {
    std::array<MinimalBuffer*, Setup::kMaxBurst> buffers{};
    std::uint64_t sum = 0;
    for (std::uint32_t done = 0; done < this->operations(); done += this->limit) {
      const std::uint32_t count = this->loop.rx_burst_whole(buffers.data(), this->limit);
      for (std::uint32_t i = 0; i < count; ++i) {
        const MinimalBuffer& buffer = *buffers[i];
        swap_macs(buffers[i]->data.data());
        sum += hw::intel::rx::hash(buffer.low) + hw::intel::rx::packet_type(buffer.low) + buffer.vlan +
               (buffer.status & (hw::intel::rx::kIpChecked | hw::intel::rx::kL4Checked));
      }
      this->loop.tx_burst(buffers.data(), count);
    }
    do_not_optimize(sum);
  }
};

template <class Loop>
class MinimalFused final : public Minimal<Loop> {
 public:
  explicit MinimalFused(const Setup& setup) : Minimal<Loop>(setup, true) {}
  void run() override {
    for (std::uint32_t done = 0; done < this->operations(); done += this->limit) this->loop.fused(this->limit);
  }
};

template <class Loop>
class MinimalReceive final : public Minimal<Loop> {
 public:
  explicit MinimalReceive(const Setup& setup) : Minimal<Loop>(setup), buffers_(setup.frames() + Setup::kMaxBurst) {}
  void prepare() override {
    for (; received_ != 0; --received_) this->loop.give(buffers_[received_ - 1]);
    this->fixture.receive();
  }
  void run() override {
    std::uint32_t count = 0;
    for (std::uint32_t done = 0; done < this->operations(); done += this->limit) {
      count += this->loop.rx_burst(buffers_.data() + count, this->limit);
    }
    received_ = count;
  }

 private:
  std::vector<MinimalBuffer*> buffers_;
  std::uint32_t received_ = 0;
};

template <class Loop>
class MinimalTransmit final : public Minimal<Loop> {
 public:
  explicit MinimalTransmit(const Setup& setup) : Minimal<Loop>(setup), buffers_(setup.frames()), burst_(setup.burst) {}
  void prepare() override {
    this->fixture.finish_transmits();
    for (MinimalBuffer*& buffer : buffers_) {
      buffer = this->loop.take();
      buffer->length = this->fixture.setup.frame;
    }
  }
  void run() override {
    for (std::uint32_t done = 0; done < this->operations(); done += burst_) {
      this->loop.tx_burst(buffers_.data() + done, std::min(burst_, this->operations() - done));
    }
  }

 private:
  std::vector<MinimalBuffer*> buffers_;
  std::uint32_t burst_;
};

template <class Loop>
class MinimalEmptyPoll final : public Minimal<Loop> {
 public:
  using Minimal<Loop>::Minimal;
  void prepare() override {}
  void run() override {
    std::array<MinimalBuffer*, Setup::kMaxBurst> buffers{};
    for (std::uint32_t i = 0; i < this->operations(); ++i) this->loop.rx_burst(buffers.data(), 32);
  }
};

template <template <class> class Minimal>
std::unique_ptr<Workload> made(const Setup& setup) {
  if (setup.mode == BurstMode::avx2 && setup.ring == 512) return std::make_unique<Minimal<MinimalAvx2>>(setup);
  if (setup.mode == BurstMode::avx512 && setup.ring == 512) return std::make_unique<Minimal<MinimalAvx512>>(setup);
  if (setup.mode != BurstMode::scalar) give_up("the minimal loop with SIMD has rings of 512 only");
  switch (setup.ring) {
    case 64: return std::make_unique<Minimal<MinimalLoop<64>>>(setup);
    case 128: return std::make_unique<Minimal<MinimalLoop<128>>>(setup);
    case 256: return std::make_unique<Minimal<MinimalLoop<256>>>(setup);
    case 512: return std::make_unique<Minimal<MinimalLoop<512>>>(setup);
    case 1024: return std::make_unique<Minimal<MinimalLoop<1024>>>(setup);
    case 2048: return std::make_unique<Minimal<MinimalLoop<2048>>>(setup);
    case 4096: return std::make_unique<Minimal<MinimalLoop<4096>>>(setup);
    default: give_up("the minimal loop has no ring of that size");
  }
}

}  // namespace

std::unique_ptr<Workload> minimal_forward(const Setup& setup) { return made<MinimalForward>(setup); }
// With SIMD where the loop has it: one of the two bursts.
std::unique_ptr<Workload> minimal_forward_checksums(const Setup& setup) { return made<MinimalChecksums>(setup); }
std::unique_ptr<Workload> minimal_forward_offload(const Setup& setup) { return made<MinimalOffload>(setup); }
std::unique_ptr<Workload> minimal_fused(const Setup& setup) { return made<MinimalFused>(setup); }
std::unique_ptr<Workload> minimal_receive(const Setup& setup) { return made<MinimalReceive>(setup); }
std::unique_ptr<Workload> minimal_transmit(const Setup& setup) { return made<MinimalTransmit>(setup); }
std::unique_ptr<Workload> minimal_empty_poll(const Setup& setup) { return made<MinimalEmptyPoll>(setup); }

}  // namespace pollux::bench
