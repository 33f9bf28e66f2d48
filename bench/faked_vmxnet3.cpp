// SPDX-License-Identifier: BSD-3-Clause
#include "faked_vmxnet3.hpp"

#include <array>
#include <cstring>

#include "cold_lines.hpp"
#include "fixture.hpp"

namespace pollux::bench {

namespace reg = hw::vmxnet3;

namespace {

// A frame with the addresses of FakedCard's.
constexpr std::array<std::uint8_t, 14> kStart = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};

}  // namespace

const reg::Descriptor* FakedVmxnet3Queue::take(std::uint64_t generation) {
  const reg::Descriptor& entry = areas_.descriptors[next_ & (areas_.size - 1)];
  const std::uint64_t word = __atomic_load_n(&entry.word, __ATOMIC_ACQUIRE);
  if (((word & generation) != 0) != ((next_ & areas_.size) == 0)) return nullptr;
  ++next_;
  return &entry;
}

void FakedVmxnet3Queue::complete(std::uint64_t low, std::uint64_t high) {
  const bool first_lap = (done_ & areas_.completions_size) == 0;
  reg::Completion& entry = areas_.completions[done_++ & (areas_.completions_size - 1)];
  entry.low = low | ((next_ - 1) & (areas_.size - 1));
  __atomic_store_n(&entry.high, high | (first_lap ? reg::kCompletionGeneration : 0), __ATOMIC_RELEASE);
}

std::uint32_t FakedVmxnet3Queue::receive(std::uint32_t count, std::uint32_t length) {
  constexpr std::uint64_t kWhole = reg::rx::kStartOfPacket | reg::rx::kEndOfPacket | reg::rx::kNotChecked;
  std::uint32_t done = 0;
  for (; done < count; ++done) {
    const reg::Descriptor* const buffer = take(reg::rx::kGeneration);
    if (buffer == nullptr) break;
    auto* const frame = reinterpret_cast<std::uint8_t*>(buffer->address + areas_.delta);
    std::memcpy(frame, kStart.data(), kStart.size());
    std::memset(frame + kStart.size(), 0, length - kStart.size());
    if (cold_) flush_lines(frame, length);
    complete(kWhole, length);
  }
  end_round();
  return done;
}

std::uint32_t FakedVmxnet3Queue::finish_transmits() {
  std::uint32_t done = 0;
  for (const reg::Descriptor* sent = nullptr; (sent = take(reg::tx::kGeneration)) != nullptr; ++done) {
    if ((sent->word & reg::tx::kEndOfPacket) == 0) give_up("a frame has several descriptors");
    const auto* const frame = reinterpret_cast<const std::uint8_t*>(sent->address + areas_.delta);
    std::uint64_t word = 0;
    std::memcpy(&word, frame, sizeof word);
    sink_ = sink_ + word;
    if (cold_) flush_lines(frame, static_cast<std::uint32_t>(sent->word & reg::tx::kMaxLength));
    complete(0, 0);
  }
  end_round();
  return done;
}

// A line may hold entries of both sides, so the rings are flushed as a whole.
void FakedVmxnet3Queue::end_round() const {
  if (!cold_) return;
  flush_lines(areas_.descriptors, areas_.size * std::uint32_t{sizeof(reg::Descriptor)});
  flush_lines(areas_.completions, areas_.completions_size * std::uint32_t{sizeof(reg::Completion)});
  _mm_mfence();
}

}  // namespace pollux::bench
