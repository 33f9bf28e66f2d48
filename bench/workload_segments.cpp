// SPDX-License-Identifier: BSD-3-Clause
// Sending long TCP packets that the card cuts into segments.
#include <algorithm>
#include <vector>

#include "do_not_optimize.hpp"
#include "pollux/net/checksum_offload.hpp"
#include "pollux/net/packet/builder.hpp"
#include "port_fixture.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

constexpr std::uint32_t kRequests = 32;
constexpr std::uint32_t kSegments = 45;
constexpr std::uint16_t kSegmentBytes = 1448;
constexpr std::uint16_t kHeaderBytes = 54;
constexpr std::uint32_t kPacketBytes = kHeaderBytes + kSegments * kSegmentBytes;
constexpr TxOffload kRequest{
    .flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 20, .l4 = 20, .segment_size = kSegmentBytes};
/// The most bytes of a buffer that a descriptor holds, by which the driver splits a packet.
constexpr std::uint32_t kSlotBytes = 32'768;
constexpr std::uint32_t kSlots = (kPacketBytes + kSlotBytes - 1) / kSlotBytes;

std::vector<std::uint8_t> make_packet() {
  std::vector<std::uint8_t> memory(kPacketBytes);
  packet::Builder builder(memory);
  builder.ethernet({}).ipv4({}).tcp({}).payload(std::vector<std::uint8_t>(kPacketBytes - kHeaderBytes));
  if (!builder.finish(0)) give_up("the packet does not fit its memory");
  return memory;
}

// An operation is a frame on the wire. Each packet is in one mbuf.
class TransmitSegments final : public Workload {
 public:
  explicit TransmitSegments(const Setup& setup)
      : Workload(kRequests * kSegments, setup.ring / (kRequests * kSlots)),
        fixture_(setup),
        pool_(need(Mempool::create(fixture_.context(),
                                   {.count = 2 * setup.ring, .data_room = kPacketBytes, .headroom = 64}))) {
    need(fixture_.tx().use_cache(cache_));
  }
  void prepare() override {
    fixture_.finish_transmits(first_ ? 0 : kRequests);
    first_ = false;
    while (burst_.size() < kRequests) {
      MbufPtr mbuf = cache_.allocate();
      if (mbuf == nullptr || mbuf->append(kPacketBytes) == nullptr) give_up("the pool is too small");
      std::copy(packet_.begin(), packet_.end(), mbuf->data());
      if (!request_checksums(*mbuf, kRequest) || !burst_.push(mbuf)) give_up("the packet is not one of TCP");
    }
  }
  void run() override { fixture_.tx().tx_burst(burst_); }

 private:
  PortFixture fixture_;
  Mempool pool_;
  MempoolCache cache_{pool_};
  std::vector<std::uint8_t> packet_ = make_packet();
  Burst<kRequests> burst_;
  bool first_ = true;
};

}  // namespace

std::unique_ptr<Workload> transmit_segments(const Setup& setup) { return std::make_unique<TransmitSegments>(setup); }

}  // namespace pollux::bench
