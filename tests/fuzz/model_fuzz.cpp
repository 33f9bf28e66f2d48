// SPDX-License-Identifier: BSD-3-Clause
// The in-process card with a driver that writes arbitrary values to arbitrary registers, and arbitrary bytes in its
// rings.
#include <fuzzer/FuzzedDataProvider.h>

#include <chrono>
#include <vector>

#include "fuzz/require.hpp"
#include "hw/intel/igb/registers.hpp"
#include "models/intel/igb/card.hpp"

namespace pollux::test {
namespace {

/// The small memory that the card can access. The sanitizer detects accesses beyond its ends.
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
  /// The input that provides the next descriptors and frames.
  void fill(std::size_t at, const std::vector<std::uint8_t>& bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes_[(at + i) % kBytes] = static_cast<std::byte>(bytes[i]);
  }

 private:
  std::vector<std::byte> bytes_ = std::vector<std::byte>(kBytes);
};

// Usually the offset of an existing register, sometimes any offset.
std::uint32_t pick_offset(FuzzedDataProvider& input) {
  if (input.ConsumeIntegralInRange(0, 7) == 0) return input.ConsumeIntegralInRange<std::uint32_t>(0, 0x7FFF) * 4;
  const auto& info = hw::igb::kRegisters[input.ConsumeIntegralInRange<std::size_t>(0, hw::igb::kRegisters.size() - 1)];
  return info.at(input.ConsumeIntegralInRange<std::uint32_t>(0, info.stride.count - 1));
}

std::uint32_t pick_value(FuzzedDataProvider& input) {
  switch (input.ConsumeIntegralInRange(0, 3)) {
    case 0: return input.ConsumeIntegralInRange<std::uint32_t>(0, 64) * 128;  // a ring's length, or its address
    case 1: return std::uint32_t{1} << input.ConsumeIntegralInRange(0, 31);
    case 2:
      return static_cast<std::uint32_t>(Memory::kIova) + input.ConsumeIntegralInRange<std::uint32_t>(0, 127) * 128;
    default: return input.ConsumeIntegral<std::uint32_t>();
  }
}

void step(models::igb::Card& card, Memory& memory, Duration& now, FuzzedDataProvider& input) {
  switch (input.ConsumeIntegralInRange(0, 11)) {
    case 0: {
      const auto frame = input.ConsumeBytes<std::uint8_t>(input.ConsumeIntegralInRange<std::size_t>(0, 2000));
      card.receive(std::as_bytes(std::span(frame)));
      break;
    }
    case 1: {
      const auto at = input.ConsumeIntegralInRange<std::size_t>(0, Memory::kBytes - 1);
      memory.fill(at, input.ConsumeBytes<std::uint8_t>(input.ConsumeIntegralInRange<std::size_t>(0, 256)));
      break;
    }
    case 2:
      now += std::chrono::microseconds(input.ConsumeIntegralInRange(0, 2'000'000));
      card.advance(now);
      break;
    case 3: static_cast<void>(card.read32(0, pick_offset(input))); break;
    case 4:
      static_cast<void>(card.read32(3, input.ConsumeIntegralInRange<std::uint32_t>(0, 0xFFF) * 4));
      card.write32(3, input.ConsumeIntegralInRange<std::uint32_t>(0, 0xFFF) * 4,
                   input.ConsumeIntegral<std::uint32_t>());
      break;
    case 5:
      if (input.ConsumeIntegralInRange(0, 15) == 0) card.reset();
      card.set_carrier(input.ConsumeBool());
      break;
    default: card.write32(0, pick_offset(input), pick_value(input));
  }
}

}  // namespace
}  // namespace pollux::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pollux::test;
  FuzzedDataProvider input(data, size);
  Memory memory;
  pollux::models::igb::Card card;
  pollux::Duration now{};
  card.set_dma(&memory);
  card.on_transmit([](std::span<const std::byte> frame) {
    require(frame.size() <= 16384, "no frame is longer than a card can send");
  });
  card.on_interrupt([](unsigned vector) { require(vector < 25, "an interrupt has a vector of the card's"); });
  while (input.remaining_bytes() != 0) step(card, memory, now, input);
  return 0;
}
