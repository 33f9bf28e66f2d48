// SPDX-License-Identifier: BSD-3-Clause
// The cases with the least loop.
#include <array>
#include <optional>
#include <vector>

#include "fixture.hpp"
#include "least_loop.hpp"
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
    if (card.finish_transmits(0) != (first ? 0 : setup.frames())) give_up("the least loop did not send all");
    first = false;
  }
  void receive() { card.receive(0, setup.frames(), setup.frame); }

  Setup setup;
  FakedCard card;
  Context context{logging_options(card.clock())};
  std::optional<LeastLoop<Slots>> loop;
  bool first = true;
};

template <std::uint32_t Slots>
class Least : public Workload {
 public:
  explicit Least(const Setup& setup, bool full = false)
      : Workload(setup.frames(), setup.rounds()), fixture(setup, full), loop(*fixture.loop), limit(setup.limit()) {}
  void prepare() override {
    fixture.finish_transmits();
    fixture.receive();
  }

 protected:
  LeastFixture<Slots> fixture;
  LeastLoop<Slots>& loop;
  std::uint32_t limit;
};

template <std::uint32_t Slots>
class LeastForward final : public Least<Slots> {
 public:
  using Least<Slots>::Least;
  void run() override {
    std::array<LeastBuffer*, Setup::kMaxBurst> buffers{};
    for (std::uint32_t done = 0; done < this->operations(); done += this->limit) {
      const std::uint32_t count = this->loop.rx_burst(buffers.data(), this->limit);
      for (std::uint32_t i = 0; i < count; ++i) swap_macs(buffers[i]->data.data());
      this->loop.tx_burst(buffers.data(), count);
    }
  }
};

template <std::uint32_t Slots>
class LeastFused final : public Least<Slots> {
 public:
  explicit LeastFused(const Setup& setup) : Least<Slots>(setup, true) {}
  void run() override {
    for (std::uint32_t done = 0; done < this->operations(); done += this->limit) this->loop.fused(this->limit);
  }
};

template <std::uint32_t Slots>
class LeastReceive final : public Least<Slots> {
 public:
  explicit LeastReceive(const Setup& setup) : Least<Slots>(setup), buffers_(setup.frames() + Setup::kMaxBurst) {}
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
  std::vector<LeastBuffer*> buffers_;
  std::uint32_t received_ = 0;
};

template <std::uint32_t Slots>
class LeastTransmit final : public Least<Slots> {
 public:
  explicit LeastTransmit(const Setup& setup) : Least<Slots>(setup), buffers_(setup.frames()), burst_(setup.burst) {}
  void prepare() override {
    this->fixture.finish_transmits();
    for (LeastBuffer*& buffer : buffers_) {
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
  std::vector<LeastBuffer*> buffers_;
  std::uint32_t burst_;
};

template <std::uint32_t Slots>
class LeastEmptyPoll final : public Least<Slots> {
 public:
  using Least<Slots>::Least;
  void prepare() override {}
  void run() override {
    std::array<LeastBuffer*, Setup::kMaxBurst> buffers{};
    for (std::uint32_t i = 0; i < this->operations(); ++i) this->loop.rx_burst(buffers.data(), 32);
  }
};

template <template <std::uint32_t> class Least>
std::unique_ptr<Workload> made(const Setup& setup) {
  switch (setup.ring) {
    case 64: return std::make_unique<Least<64>>(setup);
    case 128: return std::make_unique<Least<128>>(setup);
    case 256: return std::make_unique<Least<256>>(setup);
    case 512: return std::make_unique<Least<512>>(setup);
    case 1024: return std::make_unique<Least<1024>>(setup);
    case 2048: return std::make_unique<Least<2048>>(setup);
    case 4096: return std::make_unique<Least<4096>>(setup);
    default: give_up("the least loop has no ring of that size");
  }
}

}  // namespace

std::unique_ptr<Workload> least_forward(const Setup& setup) { return made<LeastForward>(setup); }
std::unique_ptr<Workload> least_fused(const Setup& setup) { return made<LeastFused>(setup); }
std::unique_ptr<Workload> least_receive(const Setup& setup) { return made<LeastReceive>(setup); }
std::unique_ptr<Workload> least_transmit(const Setup& setup) { return made<LeastTransmit>(setup); }
std::unique_ptr<Workload> least_empty_poll(const Setup& setup) { return made<LeastEmptyPoll>(setup); }

}  // namespace pollux::bench
