// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/if_xdp.h>

#include "mapped_side.hpp"

namespace baselines {

/// One AF_XDP socket on queue 0 of an interface, in copy mode (igb supports no other mode before Linux 6.14). It has
/// its own memory: the first half is for received frames, the second half for frames to send. Linux,
/// Documentation/networking/af_xdp.rst.
class XdpSocket {
 public:
  explicit XdpSocket(const std::string& interface);
  XdpSocket(const XdpSocket&) = delete;
  XdpSocket& operator=(const XdpSocket&) = delete;
  ~XdpSocket();

  static constexpr std::uint32_t kRing = 512;
  static constexpr std::uint32_t kChunk = 2048;

  /// Enqueues up to `count` copies of `data`. Returns the number of enqueued copies.
  std::uint32_t send(const Frame& data, std::uint32_t count) noexcept;
  /// Dequeues up to `limit` frames, and refills the fill ring with their memory. Returns the number of frames.
  std::uint32_t receive(std::uint32_t limit) noexcept;

 private:
  /// A ring that is shared with the kernel.
  struct Ring {
    std::uint32_t* producer = nullptr;
    std::uint32_t* consumer = nullptr;
    void* entries = nullptr;
    void* mapping = nullptr;
    std::size_t size = 0;
  };

  void make_rings();
  Ring map_ring(const xdp_ring_offset& offsets, std::size_t entry_size, std::uint64_t page_offset) const;
  void reclaim() noexcept;

  int socket_ = -1;
  int link_ = -1;  ///< the attached XDP program, which redirects the queue's frames to the socket
  std::uint8_t* memory_ = nullptr;
  Ring fill_, completion_, rx_, tx_;
  std::uint32_t in_flight_ = 0;
};

/// Waits for the link, because igb resets the interface when an XDP program is attached.
void wait_for_link(const std::string& interface);

/// The work on AF_XDP sockets. A sender writes into the shared memory, and wakes the kernel once per burst.
class AfXdpSide : public MappedSide<XdpSocket> {
 public:
  explicit AfXdpSide(const std::vector<std::string>& interfaces) : MappedSide(interfaces) {
    for (const std::string& interface : interfaces) wait_for_link(interface);
  }
};

}  // namespace baselines
