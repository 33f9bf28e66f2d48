// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "support/settings_edits.hpp"
#include "unit/faults/fixture.hpp"

namespace pollux::test {
namespace {

using namespace std::chrono_literals;

constexpr int kRounds = 3;
/// More polls than a receive queue waits for a write-back without a length.
constexpr int kPolls = 1100;
constexpr std::array<std::size_t, 6> kSizes{60, 1514, 3000, 61, 200, 2049};

std::uint64_t sum(const Stats& stats, std::string_view direction) {
  std::uint64_t frames = 0;
  for (const Counter& drop : stats.drops) {
    if (drop.name.starts_with(direction)) frames += drop.value;
  }
  return frames;
}

}  // namespace

void FaultFixture::traffic() {
  await_link();
  for (int round = 0; round < kRounds; ++round) {
    receive(kSizes);
    send(5);
    control();
  }
}

void FaultFixture::settle() {
  wire_->with_card(0, [](DeviceModel&) { return 0; });
}

void FaultFixture::await_link() {
  for (int i = 0; i < 20; ++i) {
    if (port_->link().up) return;
    clock_->sleep_for(100ms);
    settle();
  }
  no_link_ = true;
}

void FaultFixture::receive(std::span<const std::size_t> sizes) {
  for (const std::size_t bytes : sizes) {
    injected_.push_back(counting_frame(bytes, static_cast<unsigned>(injected_.size() + 1)));
    wire_->inject(injected_.back());
  }
  const std::uint64_t expected = injected_.size();
  for (int polls = 0; polls < kPolls && received_ < expected; ++polls) {
    poll();
    clock_->sleep_for(10us);
    settle();
  }
}

void FaultFixture::poll() {
  Burst<8> burst;
  port_->rx_queue(0)->rx_burst(burst);
  handed_out_ += burst.size();
  std::array<MbufPtr, 8> frames;
  for (std::uint32_t i = burst.size(); i-- > 0;) frames[i] = burst.pop();
  for (MbufPtr& frame : frames) {
    if (frame != nullptr) check_frame(std::move(frame));
  }
}

/// Matches a received frame with the injected ones. The program holds it for a while.
void FaultFixture::check_frame(MbufPtr frame) {
  Frame bytes = content(*frame);
  if (bytes.size() != frame->packet_length()) finding("a frame whose segments are shorter than the frame");
  const auto found = std::find(injected_.begin() + static_cast<std::ptrdiff_t>(matched_), injected_.end(), bytes);
  if (found == injected_.end()) {
    ++phantoms_;
    ++phantoms_total_;
  } else {
    matched_ = static_cast<std::size_t>(found - injected_.begin()) + 1;
    ++received_;
  }
  watch_.hold(*frame);
  held_.push_back({std::move(frame), std::move(bytes)});
  if (held_.size() >= 12) release_held();
}

void FaultFixture::release_held() {
  watch_.release_all();
  for (Held& held : held_) {
    if (content(*held.mbuf) != held.content) finding("a frame changed while the program owned it");
  }
  held_.clear();
}

std::uint32_t FaultFixture::held_mbufs() const {
  std::uint32_t mbufs = 0;
  for (const Held& held : held_) mbufs += held.mbuf->segments();
  return mbufs;
}

MbufPtr FaultFixture::make_frame(std::size_t bytes, std::size_t segment_bytes) {
  const Frame frame = counting_frame(bytes, static_cast<unsigned>(offered_));
  MbufPtr whole;
  for (std::size_t done = 0; done < bytes; done += segment_bytes) {
    const std::size_t count = std::min(bytes - done, segment_bytes);
    MbufPtr segment = pool_->allocate();
    std::uint8_t* const data = segment == nullptr ? nullptr : segment->append(static_cast<std::uint32_t>(count));
    if (data == nullptr) return {};
    std::memcpy(data, frame.data() + done, count);
    if (whole == nullptr) {
      whole = std::move(segment);
    } else if (!whole->chain(segment)) {
      return {};
    }
  }
  return whole;
}

void FaultFixture::send(std::size_t frames) {
  Burst<8> burst;
  for (std::size_t i = 0; i < frames; ++i) {
    MbufPtr frame = i % 3 == 1 ? make_frame(300, 100) : make_frame(60 + i, 2048);
    if (!burst.push(frame)) break;
    ++offered_;
  }
  TxQueue& queue = *port_->tx_queue(0);
  for (int tries = 0; tries < 50 && !burst.empty(); ++tries) {
    taken_ += queue.tx_burst(burst);
    clock_->sleep_for(10us);
    settle();
    queue.tx_done_cleanup();
  }
  left_over_ += burst.size();
  DropCounter ring_full("ring full");
  burst.drop(ring_full);
  clock_->sleep_for(1ms);
  settle();
  queue.tx_done_cleanup();
}

/// Makes the control calls that a program makes from time to time.
void FaultFixture::control() {
  if (port_->state() != PortState::started || !good(port_->service(), "service")) return;
  static_cast<void>(port_->link());
  static_cast<void>(port_->stats());
  if (good(set_promiscuous(*port_, true), "set")) good(set_mtu(*port_, 4000), "set");
}

/// Checks that every frame is accounted for: received = sent + counted drops.
void FaultFixture::check_conservation() {
  if (last_stats_.rx_burst_packets != handed_out_)
    finding("rx_burst_packets is not the number of frames that rx_burst returned");
  if (last_stats_.tx_burst_packets != taken_)
    finding("tx_burst_packets is not the number of frames that tx_burst accepted");
  const std::uint64_t counted = handed_out_ + sum(last_stats_, "rx_") + last_stats_.rx_missed_errors;
  uncounted_ = counted < injected_.size();
  unsent_ = sent_.size() + sum(last_stats_, "tx_") < taken_;
}

}  // namespace pollux::test
