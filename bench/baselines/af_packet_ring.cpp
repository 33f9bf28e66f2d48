// SPDX-License-Identifier: BSD-3-Clause
#include "af_packet_ring.hpp"

#include <net/ethernet.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>

namespace baselines {
namespace {

constexpr std::size_t kMemory = std::size_t{PacketRing::kSlots} * PacketRing::kSlotSize;
// One page: a block of this size can always be allocated, and no slot crosses its end.
constexpr std::uint32_t kBlock = 4096;

/// The virtio_net_hdr that precedes a frame with PACKET_VNET_HDR. C++ cannot include the kernel's header for it.
struct Prefix {
  std::uint8_t flags = 0, gso_type = 0;
  std::uint16_t header_size = kFrameSize, gso_size = 0, checksum_start = 0, checksum_offset = 0;
};
static_assert(sizeof(Prefix) == 10);

std::uint8_t* bytes(tpacket2_hdr* slot) { return reinterpret_cast<std::uint8_t*>(slot); }
// Offsets in a slot where the kernel reads the prefix and the frame to send.
constexpr std::size_t kPrefix = TPACKET_ALIGN(sizeof(tpacket2_hdr));
constexpr std::size_t kFrame = kPrefix + sizeof(Prefix);

}  // namespace

PacketRing::PacketRing(const std::string& interface, Use use)
    : socket_(interface, use == Use::kReceive ? ETH_P_ALL : 0) {
  const int version = TPACKET_V2;
  socket_.set(PACKET_VERSION, version, "TPACKET_V2");
  const int on = 1;
  if (use == Use::kSend) socket_.set(PACKET_VNET_HDR, on, "PACKET_VNET_HDR");
  const tpacket_req ring{
      .tp_block_size = kBlock, .tp_block_nr = kMemory / kBlock, .tp_frame_size = kSlotSize, .tp_frame_nr = kSlots};
  socket_.set(use == Use::kReceive ? PACKET_RX_RING : PACKET_TX_RING, ring, "a ring");
  void* const memory =
      mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, socket_.descriptor(), 0);
  if (memory == MAP_FAILED) socket_.give_up("a ring could not be mapped", "give the machine more memory");
  memory_ = static_cast<std::uint8_t*>(memory);
  socket_.bind();
}

PacketRing::~PacketRing() { munmap(memory_, kMemory); }

// The kernel copies the part of a frame that the prefix declares as header, and references the rest in place. Copying a
// short frame completely is cheaper: it needs one descriptor instead of two, and no page has to be referenced.
PacketRings::PacketRings(const std::string& interface)
    : rx_(interface, PacketRing::Use::kReceive), tx_(interface, PacketRing::Use::kSend) {
  const Prefix prefix;
  for (std::uint32_t i = 0; i < PacketRing::kSlots; ++i) {
    std::memcpy(bytes(tx_.slot(i)) + kPrefix, &prefix, sizeof prefix);
  }
}

void PacketRings::write(const Frame& data, std::uint32_t count) noexcept {
  for (; waiting_ < count; ++waiting_) {
    tpacket2_hdr* const slot = tx_.slot(next_tx_ + waiting_);
    if (PacketRing::status(slot) != TP_STATUS_AVAILABLE) return;
    std::memcpy(bytes(slot) + kFrame, data.data(), data.size());
    slot->tp_len = sizeof(Prefix) + sizeof data;
    PacketRing::set_status(slot, TP_STATUS_SEND_REQUEST);
  }
}

std::uint32_t PacketRings::send(const Frame& data, std::uint32_t count) noexcept {
  write(data, count);
  // ENOBUFS and EAGAIN are transient: the card's ring or the socket's memory is full. Any other error is permanent.
  if (::send(tx_.socket().descriptor(), nullptr, 0, MSG_DONTWAIT) < 0 && errno != ENOBUFS && errno != EAGAIN) {
    tx_.socket().give_up("the ring was not sent", "set the interface up, and read the kernel's log");
  }
  // The result of send() is not enough: after an error it does not tell how many frames were sent before.
  std::uint32_t taken = 0;
  while (taken < waiting_ && PacketRing::status(tx_.slot(next_tx_ + taken)) != TP_STATUS_SEND_REQUEST) ++taken;
  next_tx_ += taken;
  waiting_ -= taken;
  return taken;
}

std::uint32_t PacketRings::receive(std::uint32_t limit) noexcept {
  std::uint32_t taken = 0;
  for (; taken < limit; ++taken) {
    tpacket2_hdr* const slot = rx_.slot(next_rx_ + taken);
    if ((PacketRing::status(slot) & TP_STATUS_USER) == 0) break;
    PacketRing::set_status(slot, TP_STATUS_KERNEL);
  }
  next_rx_ += taken;
  return taken;
}

}  // namespace baselines
