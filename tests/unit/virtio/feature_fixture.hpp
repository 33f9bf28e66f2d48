// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "drivers/virtio/net/transport.hpp"
#include "hw/virtio/features.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/drop_counter.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/port.hpp"
#include "unit/models/virtio/frames.hpp"
#include "unit/virtio/queue_fixture.hpp"

namespace pollux::drivers::virtio::test {

using hw::virtio::Features;
using models::virtio::PacketKind;

/// Two ports on one wire whose devices offer the same features. If VLANs can be filtered, they receive that of
/// PacketKind::tagged.
class FeatureFixture {
 public:
  FeatureFixture(Context& context, const Mempool& pool, Features offered);

  /// Both devices have been told of these.
  void expect_negotiated(Features features);
  /// What the ports say of themselves follows from the features.
  void expect_described();
  /// The ports receive what they should: their address, also a new one, broadcasts, and their VLAN.
  void expect_filtered();
  /// Frames of all kinds pass in both directions and keep their meaning.
  void expect_traffic();
  /// A queue can be restarted, and stopped if the device can reset it.
  void expect_restarted();
  /// A frame wakes a sleeping thread.
  void expect_wakeups();
  /// Each frame is in a counter.
  void expect_account();

 private:
  struct End {
    End(Transport with, Port made) : transport(std::move(with)), port(std::move(made)) {}

    Transport transport;
    Port port;
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    std::uint64_t filtered = 0;  // by software
  };

  [[nodiscard]] bool has(Features any) const noexcept { return (features_ & any) != 0; }
  [[nodiscard]] End open(Context& context, const std::string& uri);
  [[nodiscard]] MbufPtr make(const Bytes& bytes, std::size_t segment_bytes = 2048);
  void send(End& from, MbufPtr frame);
  [[nodiscard]] std::vector<MbufPtr> receive(End& to);
  /// Sends one frame, and returns what arrives.
  [[nodiscard]] std::vector<Bytes> pass(End& from, End& to, const Bytes& frame, std::size_t segment_bytes = 2048);
  void expect_plain_frames(End& from, End& to);
  void expect_checksum(End& from, End& to, const PacketKind& kind);
  void expect_segments(End& from, End& to, const PacketKind& kind, bool with_cwr);

  Features features_;  // negotiated
  std::uint16_t queues_;
  Mempool pool_;
  DropCounter seen_{"seen"};
  End left_;
  End right_;
};

}  // namespace pollux::drivers::virtio::test
