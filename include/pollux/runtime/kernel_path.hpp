// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/drop_counter.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/checksum_offload.hpp"
#include "pollux/net/kernel_interface.hpp"
#include "pollux/net/port.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "pollux/runtime/gso.hpp"

namespace pollux {

/// How a port is shared with the kernel.
struct KernelPathOptions {
  std::uint16_t tx_queue = 0;  ///< of the port, less than its transmit queues: sends what the kernel sends
  /// The port receives every multicast frame, since the kernel expects those of its groups (IPv6 does not work without
  /// them). false: as the port is configured.
  bool all_multicast = true;
};

/// Shares one port with the kernel. The kernel gets a representor, the port of an interface such as `tap:plx0`, which
/// has the MAC address, the MTU and the link of the shared port. So a machine with one card keeps its network while an
/// application has the card. The application decides, after its own rx_burst, which frames the kernel gets; a program
/// without a kernel path pays nothing:
///
///     auto path = KernelPath::create(card, representor, cache);           // both ports are configured
///     poller.add(representor.rx(0), [&](Burst<64>& burst) { (*path)->to_port(burst); });
///     ...
///     card.rx(0).rx_burst(burst);
///     ...                                                                 // takes its own frames out of the burst
///     (*path)->to_kernel(burst);                                          // all others
///
/// Checksums keep their state. A frame whose checksum the card has verified reaches the kernel as verified, if the
/// representor can say so (`tap:` does; Linux 6.18 verifies it again). A frame that the kernel sends with a partial
/// checksum leaves with a request to the port; what the port cannot do is done here, in software, and so is
/// segmentation (SegmentingTx). A VLAN tag that the port has stripped is put back where it was (put_back_vlan_tag).
/// Ownership: refers to both ports and the cache, which outlive it. The ports may be stopped and started
/// meanwhile; the Port objects must not be moved. At its end it sets nothing back: the port keeps all-multicast, and
/// the interface its addresses and MTU. Segments that wait then are unnamed drops. Thread rule: one thread calls
/// `to_kernel`, `to_port` and `flush`; it sends on the port's queue `tx_queue` and the representor's queue 0, and the
/// cache is its own. Other threads pass frames to it through a ring. `follow` may be called by any thread, one at a
/// time.
class POLLUX_API KernelPath {
 public:
  /// Checks everything before it changes anything: then the representor gets the MAC address, MTU and link of `port`,
  /// and becomes promiscuous, since the kernel sends to any address. The network of the interface is the program's
  /// (KernelInterface::add_interface_address). A representor without the capability KernelInterface, such as a ring,
  /// gets the MTU alone. Errors: invalid_argument (names the fix), and those of the ports' control calls; then nothing
  /// has changed.
  [[nodiscard]] static Result<std::unique_ptr<KernelPath>> create(Port& port, Port& representor, MempoolCache& cache,
                                                                  KernelPathOptions options = {});
  KernelPath(const KernelPath&) = delete;
  KernelPath& operator=(const KernelPath&) = delete;
  ~KernelPath() = default;

  /// Takes all frames. What cannot be passed on is dropped under a named counter, here or at the representor.
  template <std::uint32_t Capacity>
  void to_kernel(Burst<Capacity>& burst) noexcept {
    burst.drop_if(bad_frame_, [](Mbuf& frame) { return RxMetadata(frame).is_bad_frame(); });
    burst.drop_if(no_tag_room_, [](Mbuf& frame) { return !put_back_vlan_tag(frame); });
    pass(burst, kernel_);
  }
  /// Takes all frames that the kernel has sent, of a burst of the representor's receive queue.
  template <std::uint32_t Capacity>
  void to_port(Burst<Capacity>& burst) noexcept {
    pass(burst, port_);
  }
  /// Sends segments that wait for room in a queue. True: none waits any more. Call it while `to_kernel` and `to_port`
  /// are not called and `waiting` is true. Only software segmentation leaves segments waiting.
  bool flush() noexcept;
  /// Whether segments wait for room in a queue of either side.
  [[nodiscard]] bool waiting() const noexcept { return kernel_.tx.waiting() || port_.tx.waiting(); }

  /// Makes the representor follow the port: its link, its MTU, its MAC address. Call it about once a second, and after
  /// changing them. Errors: those of the representor's control calls.
  [[nodiscard]] Result<void> follow();

  /// Frames that were passed on, or dropped under one of the gso counters. The queue may drop some under a counter of
  /// its own.
  [[nodiscard]] std::uint64_t frames_to_kernel() const noexcept { return kernel_.frames; }
  /// The same in the other direction.
  [[nodiscard]] std::uint64_t frames_to_port() const noexcept { return port_.frames; }
  /// Why frames were dropped here:
  ///   kernel_path_bad_frame        the card marked the frame as bad (Settings::keep_bad_frames)
  ///   kernel_path_no_tag_room      no headroom for the stripped VLAN tag, or shared bytes
  ///   kernel_path_kernel_full      the representor's queue had no room
  ///   kernel_path_port_full        the port's queue had no room
  ///   kernel_path_bad_checksum     the checksum request does not fit the frame
  ///   kernel_path_shared_checksum  the checksum is in bytes that a clone shares
  ///   gso_bad_request, gso_no_memory   see SegmentingTx; towards the kernel, then towards the port
  [[nodiscard]] std::array<const DropCounter*, 10> drops() const noexcept;

 private:
  /// One of the two directions.
  struct Direction {
    SegmentingTx tx;
    OffloadLimits limits;
    DropCounter full;
    std::uint64_t frames = 0;
  };

  KernelPath(Port& port, Port& representor, MempoolCache& cache, KernelPathOptions options);
  [[nodiscard]] static Result<void> check(Port& port, Port& representor, const KernelPathOptions& options);
  [[nodiscard]] Result<void> apply(bool all_multicast);
  [[nodiscard]] static bool computes_checksums(const OffloadLimits& limits, const Mbuf& frame) noexcept;

  template <std::uint32_t Capacity>
  void pass(Burst<Capacity>& burst, Direction& direction) noexcept {
    complete_checksums_of(burst, direction.limits);
    direction.frames += direction.tx.send(burst);
    burst.drop(direction.full, cache_);
  }
  /// Computes the checksums that the port of `limits` cannot.
  template <std::uint32_t Capacity>
  void complete_checksums_of(Burst<Capacity>& burst, const OffloadLimits& limits) noexcept {
    const auto fails = [&limits](ChecksumCompletion why) {
      return [&limits, why](Mbuf& frame) {
        return !computes_checksums(limits, frame) && complete_checksums(frame) == why;
      };
    };
    burst.drop_if(bad_checksum_, fails(ChecksumCompletion::bad_request));
    burst.drop_if(shared_checksum_, fails(ChecksumCompletion::shared_data));
  }

  Port& shared_;
  Port& representor_;
  MempoolCache& cache_;
  Capability<KernelInterface> interface_;
  Direction kernel_;
  Direction port_;
  DropCounter bad_frame_{"kernel_path_bad_frame"};
  DropCounter no_tag_room_{"kernel_path_no_tag_room"};
  DropCounter bad_checksum_{"kernel_path_bad_checksum"};
  DropCounter shared_checksum_{"kernel_path_shared_checksum"};
};

}  // namespace pollux
