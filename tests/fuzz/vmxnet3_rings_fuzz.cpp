// SPDX-License-Identifier: BSD-3-Clause
// The vmxnet3 driver's queues with a device that writes anything to the rings, at any time.
#include <fuzzer/FuzzedDataProvider.h>

#include <array>
#include <cstring>
#include <memory>

#include "fuzz/ring_frames.hpp"
#include "unit/vmxnet3/queue_fixture.hpp"

namespace pollux::drivers::vmxnet3 {
namespace {

using test::Held;
using test::require;

constexpr std::uint32_t kBufferBytes = 2048;

/// What the port has asked of its device.
struct Kind {
  bool receives;
  bool several = false;      ///< frames may have several buffers
  bool merges = false;       ///< LRO
  bool in_software = false;  ///< VLANs are filtered in software
};
constexpr std::array<Kind, 5> kKinds{{{.receives = false},
                                      {.receives = true},
                                      {.receives = true, .several = true},
                                      {.receives = true, .several = true, .merges = true},
                                      {.receives = true, .several = true, .merges = true, .in_software = true}}};

/// A queue of one direction. It is created once; each input starts and stops it.
class Ring : Vmxnet3Queues {
 public:
  explicit Ring(const Kind& kind) : kind_(kind) {
    if (kind.in_software) {
      VlanSet some;
      some.set(5);
      vlans.set(&some);
      filter.set_promiscuous(false);
    }
    kind.receives ? start_rx(kind.several) : start_tx();
    rx.merges = kind.merges;
    stop();
  }

  void start() {
    if (kind_.receives) {
      require(rx.fill(kind_.several ? 2 * kSize : kSize, {}).has_value(), "a full pool fills the rings");
      rx.open();
    } else {
      tx.clear();
      tx.open();
    }
    done = 0;
    std::memset(static_cast<void*>(&shared), 0, sizeof shared);
  }
  void stop() {
    kind_.receives ? rx.drain(DrainReason::stopped, {}) : tx.drain(DrainReason::stopped);
    require(pool->stats().in_use() == 0, "every mbuf is free");
  }

  void step(FuzzedDataProvider& input, Held& held) {
    switch (input.ConsumeIntegralInRange(0, 9)) {
      case 0:
        held.release_all();
        stop();
        start();
        break;
      case 1: held.release(input.ConsumeIntegralInRange<std::size_t>(0, 32)); break;
      case 2: write_anything(input); break;
      case 3: shared.wants_producer = input.ConsumeIntegral<std::uint8_t>(); break;
      case 4:
      case 5:
      case 6: write_completions(input); break;
      default:
        if (kind_.receives) return test::poll(rx, input, held, kBufferBytes, [](const Mbuf&) {});
        test::send(tx, cache, input, held, kSize);
    }
  }

 private:
  void TestBody() override {}

  // Anything, anywhere in the rings.
  void write_anything(FuzzedDataProvider& input) {
    const std::size_t size = kind_.receives ? rx_bytes(kSize) : 2 * kSize * sizeof(reg::Descriptor);
    const auto at = input.ConsumeIntegralInRange<std::size_t>(0, size / 4 - 1) * 4;
    const auto value = input.ConsumeIntegral<std::uint32_t>();
    std::memcpy(memory.address + at, &value, sizeof value);
  }

  // The next completions, as a device might write them.
  void write_completions(FuzzedDataProvider& input) {
    const auto count = input.ConsumeIntegralInRange<std::uint32_t>(1, 4);
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto slot = input.ConsumeIntegralInRange<std::uint32_t>(0, kSize + 1);
      if (!kind_.receives) {
        auto* const entries = memory.at<reg::Completion>(kSize * sizeof(reg::Descriptor));
        const bool first_lap = (done & kSize) == 0;
        entries[done++ % kSize] = {slot, first_lap ? reg::kCompletionGeneration : 0};
        continue;
      }
      const auto ring = std::uint64_t{input.ConsumeIntegralInRange<std::uint32_t>(0, 2)};
      const auto length = input.ConsumeIntegralInRange<std::uint32_t>(0, kBufferBytes + 1);
      const auto what = input.ConsumeIntegral<std::uint64_t>();
      constexpr std::uint64_t kLow = rx_bits::kStartOfPacket | rx_bits::kEndOfPacket | rx_bits::kNotChecked |
                                     rx_bits::kHashType | ~std::uint64_t{0xFFFFFFFF};
      constexpr std::uint64_t kHigh = ~(rx_bits::kLengthMask | reg::kCompletionGeneration);
      complete(slot | (kQueue + ring * kQueues) << rx_bits::kRingShift | (what & kLow), length | (what & kHigh));
    }
  }

  Kind kind_;
};

}  // namespace
}  // namespace pollux::drivers::vmxnet3

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pollux::drivers::vmxnet3;
  static std::array<std::unique_ptr<Ring>, kKinds.size()> rings;
  FuzzedDataProvider input(data, size);
  const auto kind = input.ConsumeIntegralInRange<std::size_t>(0, kKinds.size() - 1);
  if (rings[kind] == nullptr) rings[kind] = std::make_unique<Ring>(kKinds[kind]);
  Held held;
  rings[kind]->start();
  while (input.remaining_bytes() != 0) rings[kind]->step(input, held);
  held.release_all();
  rings[kind]->stop();
  return 0;
}
