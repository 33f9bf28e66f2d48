// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fuzzer/FuzzedDataProvider.h>

#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "fuzz/require.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/rx_queue.hpp"
#include "pollux/net/tx_queue.hpp"

/// What an application does with queues whose device writes anything.
namespace pollux::test {

/// Mbufs that the application owns, each of them once.
class Held {
 public:
  void add(MbufPtr frame) {
    for (const Mbuf* segment = frame.get(); segment != nullptr; segment = segment->next())
      require(owned_.insert(segment).second, "no buffer is handed out twice");
    frames_.push_back(std::move(frame));
  }
  void release(std::size_t count) {
    for (; count != 0 && !frames_.empty(); --count) take();
  }
  MbufPtr take() {
    MbufPtr frame = std::move(frames_.back());
    frames_.pop_back();
    for (const Mbuf* segment = frame.get(); segment != nullptr; segment = segment->next()) owned_.erase(segment);
    return frame;
  }
  [[nodiscard]] bool empty() const { return frames_.empty(); }
  void release_all() { release(frames_.size()); }

 private:
  std::vector<MbufPtr> frames_;
  std::set<const Mbuf*> owned_;
};

/// Receives up to 32 frames, each of which lies in buffers, with segments of at most `segment_bytes`. `check`: what
/// else is expected of one.
template <class Queue, class Check>
void poll(Queue& rx, FuzzedDataProvider& input, Held& held, std::uint32_t segment_bytes, Check check) {
  Burst<32> burst;
  const auto limit = input.ConsumeIntegralInRange<std::uint32_t>(0, 32);
  const std::uint32_t count = rx.rx_burst(burst, limit);
  require(count == burst.size() && count <= limit, "a burst has as many frames as it says");
  while (MbufPtr frame = burst.pop()) {
    std::uint32_t bytes = 0;
    for (Mbuf* segment = frame.get(); segment != nullptr; segment = segment->next()) {
      require(segment->length() != 0 && segment->length() <= segment_bytes, "a segment's length fits its buffer");
      require(segment->data() >= segment->head() && segment->tail() <= segment->end(), "the data lie in the buffer");
      bytes += segment->length();
    }
    require(bytes == frame->packet_length() && bytes >= 14, "the segments add up to the frame");
    check(*frame);
    held.add(std::move(frame));
  }
}

/// Sends up to 8 frames of up to 3 segments on a ring of `slots`, some with a request. What is not taken stays with the
/// application.
template <class Queue>
void send(Queue& tx, MempoolCache& cache, FuzzedDataProvider& input, Held& held, std::uint32_t slots) {
  Burst<32> burst;
  const auto count = input.ConsumeIntegralInRange<std::uint32_t>(0, 8);
  for (std::uint32_t i = 0; i < count; ++i) {
    MbufPtr frame;
    const auto segments = input.ConsumeIntegralInRange<std::uint32_t>(1, 3);
    for (std::uint32_t part = 0; part < segments; ++part) {
      MbufPtr segment = cache.allocate();
      if (segment == nullptr) break;
      static_cast<void>(segment->append(input.ConsumeIntegralInRange<std::uint32_t>(0, 200)));
      if (frame == nullptr) {
        frame = std::move(segment);
      } else {
        require(frame->chain(segment), "a short chain grows");
      }
    }
    if (frame == nullptr) break;
    if (input.ConsumeBool()) {
      frame->set_tx_offload(
          {.flags = input.PickValueInArray<std::uint32_t>({TxOffload::udp_checksum, TxOffload::tcp_segmentation}),
           .l2 = 14,
           .l3 = 20,
           .l4 = 20,
           .segment_size = input.ConsumeIntegralInRange<std::uint16_t>(0, 100)});
    }
    require(burst.push(frame), "a burst has room");
  }
  const std::uint32_t before = burst.size();
  const std::uint32_t taken = tx.tx_burst(burst);
  require(taken + burst.size() == before, "what was not taken stays in the burst");
  require(tx.in_flight() <= slots, "the ring has no more than fits");
  while (MbufPtr frame = burst.pop()) held.add(std::move(frame));
}

}  // namespace pollux::test
