// SPDX-License-Identifier: BSD-3-Clause
// The cases with the minimal loop.
#include <array>
#include <optional>
#include <vector>

#include "fixture.hpp"
#include "minimal_loop.hpp"
#include "swap_macs.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

template <std::uint32_t Slots>
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
  std::optional<MinimalLoop<Slots>> loop;
  bool first = true;
};

template <std::uint32_t Slots>
class Minimal : public Workload {
 public:
  explicit Minimal(const Setup& setup, bool full = false)
      : Workload(setup.frames(), setup.rounds()), fixture(setup, full), loop(*fixture.loop), limit(setup.limit()) {}
  void prepare() override {
    fixture.finish_transmits();
    fixture.receive();
  }

 protected:
  LeastFixture<Slots> fixture;
  MinimalLoop<Slots>& loop;
  std::uint32_t limit;
};

template <std::uint32_t Slots>
class MinimalForward final : public Minimal<Slots> {
 public:
  using Minimal<Slots>::Minimal;
  void run() override {
    std::array<MinimalBuffer*, Setup::kMaxBurst> buffers{};
    for (std::uint32_t done = 0; done < this->operations(); done += this->limit) {
      const std::uint32_t count = this->loop.rx_burst(buffers.data(), this->limit);
      for (std::uint32_t i = 0; i < count; ++i) swap_macs(buffers[i]->data.data());
      this->loop.tx_burst(buffers.data(), count);
    }
  }
};

template <std::uint32_t Slots>
class MinimalFused final : public Minimal<Slots> {
 public:
  explicit MinimalFused(const Setup& setup) : Minimal<Slots>(setup, true) {}
  void run() override {
    for (std::uint32_t done = 0; done < this->operations(); done += this->limit) this->loop.fused(this->limit);
  }
};

template <std::uint32_t Slots>
class MinimalReceive final : public Minimal<Slots> {
 public:
  explicit MinimalReceive(const Setup& setup) : Minimal<Slots>(setup), buffers_(setup.frames() + Setup::kMaxBurst) {}
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

template <std::uint32_t Slots>
class MinimalTransmit final : public Minimal<Slots> {
 public:
  explicit MinimalTransmit(const Setup& setup) : Minimal<Slots>(setup), buffers_(setup.frames()), burst_(setup.burst) {}
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

template <std::uint32_t Slots>
class MinimalEmptyPoll final : public Minimal<Slots> {
 public:
  using Minimal<Slots>::Minimal;
  void prepare() override {}
  void run() override {
    std::array<MinimalBuffer*, Setup::kMaxBurst> buffers{};
    for (std::uint32_t i = 0; i < this->operations(); ++i) this->loop.rx_burst(buffers.data(), 32);
  }
};

template <template <std::uint32_t> class Minimal>
std::unique_ptr<Workload> made(const Setup& setup) {
  switch (setup.ring) {
    case 64: return std::make_unique<Minimal<64>>(setup);
    case 128: return std::make_unique<Minimal<128>>(setup);
    case 256: return std::make_unique<Minimal<256>>(setup);
    case 512: return std::make_unique<Minimal<512>>(setup);
    case 1024: return std::make_unique<Minimal<1024>>(setup);
    case 2048: return std::make_unique<Minimal<2048>>(setup);
    case 4096: return std::make_unique<Minimal<4096>>(setup);
    default: give_up("the minimal loop has no ring of that size");
  }
}

}  // namespace

std::unique_ptr<Workload> minimal_forward(const Setup& setup) { return made<MinimalForward>(setup); }
std::unique_ptr<Workload> minimal_fused(const Setup& setup) { return made<MinimalFused>(setup); }
std::unique_ptr<Workload> minimal_receive(const Setup& setup) { return made<MinimalReceive>(setup); }
std::unique_ptr<Workload> minimal_transmit(const Setup& setup) { return made<MinimalTransmit>(setup); }
std::unique_ptr<Workload> minimal_empty_poll(const Setup& setup) { return made<MinimalEmptyPoll>(setup); }

}  // namespace pollux::bench
