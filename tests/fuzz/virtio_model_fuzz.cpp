// SPDX-License-Identifier: BSD-3-Clause
// The in-process virtio-net device with a driver that writes arbitrary values to its registers, and arbitrary bytes in
// its rings.
#include <fuzzer/FuzzedDataProvider.h>

#include <chrono>
#include <vector>

#include "fuzz/require.hpp"
#include "models/virtio/net/card.hpp"

namespace pollux::test {
namespace {

namespace hw = pollux::hw::virtio;
using models::virtio::Card;
using models::virtio::CardOptions;

/// The small memory that the device can access. The sanitizer detects accesses beyond its ends.
class Memory final : public ModelDma {
 public:
  static constexpr std::uint64_t kIova = 0x100000;
  static constexpr std::size_t kBytes = 16384;

  std::byte* translate(std::uint64_t iova, std::size_t length) noexcept override {
    if (iova < kIova || length > kBytes || iova - kIova > kBytes - length) return nullptr;
    return contiguous(iova, length) == length ? bytes_.data() + (iova - kIova) : nullptr;
  }
  /// Each half is a mapping of its own.
  std::size_t contiguous(std::uint64_t iova, std::size_t length) const noexcept override {
    constexpr std::uint64_t kSplit = kIova + kBytes / 2;
    return iova < kSplit && kSplit - iova < length ? kSplit - iova : length;
  }
  void fill(std::size_t at, const std::vector<std::uint8_t>& bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes_[(at + i) % kBytes] = static_cast<std::byte>(bytes[i]);
  }

 private:
  std::vector<std::byte> bytes_ = std::vector<std::byte>(kBytes);
};

/// Negotiates and enables the first queues, whose areas lie in the memory one after the other, so that most inputs
/// reach the rings.
void start(Card& card, FuzzedDataProvider& input) {
  const auto wanted = (input.ConsumeIntegral<hw::Features>() & models::virtio::kAllFeatures) | hw::feature::kVersion1 |
                      hw::feature::kAccessPlatform;
  const hw::Features features = hw::without_unmet(wanted);
  card.write(Card::kBar, hw::DEVICE_STATUS::offset(), 1, 0);
  for (const unsigned half : {0U, 1U}) {
    card.write32(Card::kBar, hw::DRIVER_FEATURE_SELECT::offset(), half);
    card.write32(Card::kBar, hw::DRIVER_FEATURE::offset(), static_cast<std::uint32_t>(features >> 32 * half));
  }
  card.write(Card::kBar, hw::DEVICE_STATUS::offset(), 1, 0x0B);
  for (const unsigned queue : {0U, 1U, 2U, 3U, 4U}) {
    const auto area = static_cast<std::uint32_t>(Memory::kIova + queue * 0x800);
    card.write(Card::kBar, hw::QUEUE_SELECT::offset(), 2, queue);
    card.write(Card::kBar, hw::QUEUE_SIZE::offset(), 2, 16);
    card.write32(Card::kBar, hw::QUEUE_DESC::offset(0), area);
    card.write32(Card::kBar, hw::QUEUE_DRIVER::offset(0), area + 0x400);
    card.write32(Card::kBar, hw::QUEUE_DEVICE::offset(0), area + 0x600);
    card.write(Card::kBar, hw::QUEUE_ENABLE::offset(), 2, 1);
  }
  card.write(Card::kBar, hw::DEVICE_STATUS::offset(), 1, 0x0F);
}

/// A descriptor, or an available ring, somewhere in the memory.
std::vector<std::uint8_t> ring_words(FuzzedDataProvider& input) {
  std::vector<std::uint8_t> bytes(16);
  const std::uint64_t iova = Memory::kIova + input.ConsumeIntegralInRange<std::uint32_t>(0, Memory::kBytes);
  const auto length = input.ConsumeIntegralInRange<std::uint32_t>(0, 2048);
  const auto words = input.ConsumeIntegral<std::uint32_t>();
  std::memcpy(&bytes[0], &iova, 8);
  std::memcpy(&bytes[8], &length, 4);
  std::memcpy(&bytes[12], &words, 4);
  return bytes;
}

void step(Card& card, Memory& memory, Duration& now, FuzzedDataProvider& input) {
  switch (input.ConsumeIntegralInRange(0, 9)) {
    case 0: {
      const auto frame = input.ConsumeBytes<std::uint8_t>(input.ConsumeIntegralInRange<std::size_t>(0, 2000));
      return card.receive(std::as_bytes(std::span(frame)));
    }
    case 1: {
      const auto at = input.ConsumeIntegralInRange<std::size_t>(0, Memory::kBytes - 1);
      return memory.fill(at, input.ConsumeBytes<std::uint8_t>(input.ConsumeIntegralInRange<std::size_t>(0, 256)));
    }
    case 2: return memory.fill(input.ConsumeIntegralInRange<std::size_t>(0, 0x27F) * 16, ring_words(input));
    case 3: now += std::chrono::microseconds(input.ConsumeIntegralInRange(0, 2'000'000)); return card.advance(now);
    case 4: {
      const auto queue = input.ConsumeIntegralInRange<std::uint32_t>(0, 5);
      return card.write(Card::kBar, Card::kNotify + queue * Card::kNotifyMultiplier, input.ConsumeBool() ? 2 : 4,
                        queue);
    }
    case 5: return start(card, input);
    case 6: {
      const unsigned width = 1U << input.ConsumeIntegralInRange(0, 2);
      const auto offset = input.ConsumeIntegralInRange<std::uint32_t>(0, 0x3C) / width * width;
      return card.write(Card::kBar, offset, width, input.ConsumeIntegral<std::uint32_t>());
    }
    case 7: {
      const unsigned width = 1U << input.ConsumeIntegralInRange(0, 2);
      const auto bar = input.ConsumeIntegralInRange<unsigned>(0, 5);
      const auto offset = input.ConsumeIntegralInRange<std::uint32_t>(0, 0x3FFF) / width * width;
      if (input.ConsumeBool()) return void(card.read(bar, offset, width));
      return card.write(bar, offset, width, input.ConsumeIntegral<std::uint32_t>());
    }
    case 8: {
      const unsigned width = 1U << input.ConsumeIntegralInRange(0, 2);
      const auto offset = input.ConsumeIntegralInRange<std::uint32_t>(4, 19) / width * width;
      if (input.ConsumeBool()) return void(card.read_capability(offset, width));
      return card.write_capability(offset, width, input.ConsumeIntegral<std::uint32_t>());
    }
    default:
      if (input.ConsumeBool()) return card.set_carrier(input.ConsumeBool());
      return card.set_wire_busy(input.ConsumeBool());
  }
}

}  // namespace
}  // namespace pollux::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pollux;
  FuzzedDataProvider input(data, size);
  models::virtio::CardOptions options;
  options.pairs = 2;
  options.faults.kind = static_cast<models::virtio::FaultKind>(input.ConsumeIntegralInRange(0, 11));
  options.faults.at = input.ConsumeIntegralInRange<std::uint64_t>(0, 7);
  models::virtio::Card card(options);
  models::virtio::Card peer(options);
  test::Memory memory;
  std::size_t frames = 0;
  card.share_package(peer);
  card.set_dma(&memory);
  card.on_transmit([&](std::span<const std::byte> frame) {
    test::require(frame.size() >= 14 && frame.size() <= 65557, "a frame that no wire carries");
    ++frames;
  });
  card.on_interrupt(
      [&](unsigned vector) { test::require(vector < card.interrupt_vectors(), "a vector that is not there"); });
  card.set_carrier(true);
  Duration now{0};
  test::start(card, input);
  while (input.remaining_bytes() != 0) test::step(card, memory, now, input);
  const auto& counters = card.counters();
  test::require(counters.tx_bad + counters.tx_no_link <= counters.tx_frames, "more frames dropped than sent");
  return 0;
}
