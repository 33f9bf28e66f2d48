// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <optional>

#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/gigabit/link.hpp"
#include "drivers/intel/igb/bring_up.hpp"
#include "drivers/intel/igb/filters.hpp"
#include "drivers/intel/igb/queue_setup.hpp"
#include "drivers/intel/igb/self_test.hpp"
#include "drivers/intel/queue/ring_memory.hpp"
#include "hw/intel/descriptors.hpp"
#include "pollux/base/io.hpp"

// Linux, igb_ethtool.c, igb_run_loopback_test and igb_check_lbtest_frame: 64 frames at a time, and their contents.
namespace pollux::drivers::igb {
namespace {

namespace rx = hw::intel::rx;
namespace tx = hw::intel::tx;

constexpr std::uint32_t kTestFrames = 64;
constexpr std::uint32_t kTestRing = 2 * kTestFrames;
constexpr std::uint32_t kTestBuffer = 2048;
constexpr Duration kLoopLinkLimit = std::chrono::seconds(5);
/// The frames take a millisecond at 1 Gb/s. An emulated card may take longer.
constexpr Duration kReturnLimit = std::chrono::seconds(2);

/// Rings of queue 0, and a buffer for each frame and each receive descriptor.
class LoopbackFrames {
 public:
  [[nodiscard]] static Result<LoopbackFrames> create(const IgbCard& card) {
    LoopbackFrames frames;
    for (intel::RingMemory::Single* ring : {&frames.rx_, &frames.tx_}) {
      auto made = intel::RingMemory::allocate_one(*card.context, kTestRing, card.device->numa_node(), card.name);
      if (!made) return pass_on(std::move(made));
      *ring = *std::move(made);
    }
    auto memory = card.context->allocate({.size = std::size_t{kTestFrames + kTestRing} * kTestBuffer,
                                          .numa_node = card.device->numa_node(),
                                          .purpose = "self-test of " + card.name});
    if (!memory) return pass_on(std::move(memory));
    frames.memory_ = *std::move(memory);
    if (!frames.place()) {
      return fail(ErrorCode::no_memory, card.name + ": the frames of the self-test do not fit into contiguous memory",
                  "reserve huge pages");
    }
    return frames;
  }

  [[nodiscard]] const intel::Ring& rx_ring() const noexcept { return rx_.ring; }
  [[nodiscard]] const intel::Ring& tx_ring() const noexcept { return tx_.ring; }

  void fill() {
    for (std::uint32_t i = 0; i < kTestRing; ++i) rx_.ring.descriptors[i] = rx::armed(buffers_[kTestFrames + i].iova);
    for (std::uint32_t i = 0; i < kTestFrames; ++i) {
      const std::uint32_t bytes = bytes_of(i);
      for (std::uint32_t at = 0; at < bytes; ++at) buffers_[i].address[at] = content(i, at);
      tx_.ring.descriptors[i] =
          tx::data(buffers_[i].iova, bytes, bytes, tx::kEndOfPacket | tx::kReportStatus | tx::kInsertCrc);
    }
  }
  /// How many of the frames have come back, in order and unchanged. Other frames are skipped.
  [[nodiscard]] std::uint32_t returned() {
    while (next_slot_ < kTestRing - 1 && rx::done(io::load_acquire(rx_.ring.descriptors[next_slot_].hi))) {
      if (good_ < kTestFrames && holds_frame(next_slot_, good_)) ++good_;
      ++next_slot_;
    }
    return good_;
  }

 private:
  static constexpr std::uint32_t kHeader = 14;
  // From the shortest frame to nearly the longest one without VLAN tag.
  static std::uint32_t bytes_of(std::uint32_t frame) { return 60 + frame * 23; }
  // A broadcast with the EtherType for local experiments. The payload differs in each frame.
  static std::byte content(std::uint32_t frame, std::uint32_t at) {
    constexpr std::array<unsigned, kHeader> kStart{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0, 0, 0, 0x88, 0xB5};
    return static_cast<std::byte>(at < kHeader ? kStart[at] : (at * 7 + frame * 31) & 0xFF);
  }
  [[nodiscard]] bool holds_frame(std::uint32_t slot, std::uint32_t frame) const {
    if (rx::length(rx_.ring.descriptors[slot].hi) != bytes_of(frame)) return false;
    const std::byte* const data = buffers_[kTestFrames + slot].address;
    for (std::uint32_t at = 0; at < bytes_of(frame); ++at) {
      if (data[at] != content(frame, at)) return false;
    }
    return true;
  }
  // No buffer crosses a segment.
  [[nodiscard]] bool place() {
    for (const DmaSegment& segment : memory_.segments()) {
      for (std::size_t at = 0; at + kTestBuffer <= segment.size && placed_ < buffers_.size(); at += kTestBuffer) {
        buffers_[placed_++] = {segment.address + at, segment.iova + at};
      }
    }
    return placed_ == buffers_.size();
  }

  struct Buffer {
    std::byte* address = nullptr;
    std::uint64_t iova = 0;
  };
  intel::RingMemory::Single rx_;
  intel::RingMemory::Single tx_;
  DmaMemory memory_;
  std::array<Buffer, kTestFrames + kTestRing> buffers_{};
  std::size_t placed_ = 0;
  std::uint32_t next_slot_ = 0;
  std::uint32_t good_ = 0;
};

Result<void> start_queues(const IgbCard& card, const LoopbackFrames& frames, LoopbackMode mode) {
  clear_filters(card);
  if (auto on = card.device->set_bus_master(true); !on) return on;
  if (auto programmed = program_tx_ring(card, 0, frames.tx_ring(), intel::kTxThresholds); !programmed)
    return programmed;
  modify<reg::TCTL>(card, reg::TCTL::PSP | reg::TCTL::EN);
  if (auto enabled = wait_tx_enabled(card, 0); !enabled) return enabled;
  if (auto programmed = program_rx_ring(card, 0, frames.rx_ring(), {.buffer_bytes = kTestBuffer}); !programmed) {
    return programmed;
  }
  Settings receive;
  receive.promiscuous = true;
  receive.loopback = mode;
  write_receive_control(card, receive, false);
  return wait_rx_enabled(card, 0);
}

/// Why the frames do not come back.
Result<void> exchange(const IgbCard& card, LoopbackFrames& frames, LoopbackMode mode) {
  if (auto link = start_link(card, gigabit::LinkSetup{.loopback = mode}); !link) return link;
  auto up = wait_for(
      card, "the link of the loopback", kLoopLinkLimit, [&] { return read_link(card).up; }, milliseconds(10));
  if (!up) return up;
  if (auto started = start_queues(card, frames, mode); !started) return started;
  card.regs.write<reg::RDT>(0, reg::RDT::TAIL(kTestRing - 1));
  card.regs.flush();
  card.regs.write<reg::TDT>(0, reg::TDT::TAIL(kTestFrames));
  card.regs.flush();
  auto back = wait_for(
      card, "the return of all frames", kReturnLimit,
      [&] {
        card.regs.bar().flush();
        return frames.returned() == kTestFrames;
      },
      microseconds(100));
  if (back || back.error().code != ErrorCode::timeout) return back;
  return fail(ErrorCode::device_fault,
              fmt::format("{} of {} frames came back unchanged", frames.returned(), kTestFrames));
}

Result<void> end_loopback(const IgbCard& card) {
  if (card.regs.removed()) return fail_removed(card.name);
  card.regs.write<reg::RCTL>({});
  clear<reg::TCTL>(card, reg::TCTL::EN);
  disable_queues(card, 1, 1);
  auto quiet = disable_master(card);
  if (!quiet && quiet.error().code == ErrorCode::timeout) return force_off_bus(card);
  return quiet ? card.device->set_bus_master(false) : quiet;
}

}  // namespace

Result<SelfTestResult> test_loopback(const IgbCard& card, LoopbackMode mode) {
  auto frames = LoopbackFrames::create(card);
  if (!frames) return pass_on(std::move(frames));
  frames->fill();
  const auto exchanged = exchange(card, *frames, mode);
  if (auto ended = end_loopback(card); !ended) return pass_on(std::move(ended));
  if (exchanged) return SelfTestResult{SelfTestPart::loopback};
  const bool refused = exchanged.error().code == ErrorCode::not_supported;
  return SelfTestResult{SelfTestPart::loopback, refused ? SelfTestOutcome::skipped : SelfTestOutcome::failed,
                        exchanged.error().what};
}

}  // namespace pollux::drivers::igb
