// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "pollux/pollux.hpp"

namespace pollux::examples {

/// Decides to which ports frames go, as a transparent bridge does (IEEE 802.1D, 7.7 and 7.8): it learns behind which
/// port an address is from the frames that it sends. Frames to an unknown address or to a group go to all other ports.
/// VLAN tags are part of the payload. There is no spanning tree, so the ports must not form a loop.
/// Thread rule: one thread.
class LearningBridge {
 public:
  static constexpr std::uint32_t kBurst = 64;

  struct Options {
    std::uint16_t ports = 2;                       ///< 2 or more
    std::uint32_t addresses = 4096;                ///< see FlowTableOptions::capacity
    Duration max_age = std::chrono::seconds(300);  ///< of an address that sends nothing: the default of IEEE 802.1D
    std::uint64_t seed = 0;                        ///< see FlowTableOptions::seed
  };
  struct Counts {
    std::uint64_t forwarded = 0;  ///< frames that went to one port, because their destination is known
    std::uint64_t flooded = 0;    ///< frames that went to all other ports
    std::uint64_t moved = 0;      ///< addresses that were seen at another port than before
    std::uint64_t forgotten = 0;  ///< addresses behind ports whose link went down
  };

  /// Errors: invalid_argument (too few ports, or those of FlowTable::create).
  [[nodiscard]] static Result<std::unique_ptr<LearningBridge>> create(const Options& options);

  /// Takes all frames that port `from` has received, and appends them, or clones of them, to the bursts of the ports
  /// that must send them: `out(port)`. The caller empties these after each call. `cache` supplies the clones.
  void forward(std::uint16_t from, Burst<kBurst>& received, Time now, MempoolCache& cache);
  [[nodiscard]] Burst<kBurst>& out(std::uint16_t port) { return out_[port]; }
  /// Forgets all addresses behind a port, whose link is down: they may appear behind another one.
  void forget(std::uint16_t port) noexcept;

  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] const FlowTable<std::uint16_t>& addresses() const { return addresses_; }
  /// The reasons for which frames are dropped.
  [[nodiscard]] std::span<const DropCounter* const> drops() const { return drops_; }

 private:
  explicit LearningBridge(std::uint16_t ports, FlowTable<std::uint16_t> addresses);
  void forward_one(std::uint16_t from, MbufPtr frame, Time now, MempoolCache& cache);
  void flood(std::uint16_t from, MbufPtr frame, MempoolCache& cache);
  static void drop(MbufPtr frame, DropCounter& reason) {
    Mbuf* const dropped = frame.get();
    reason.add({&dropped, 1});
    frame.reset();
  }

  FlowTable<std::uint16_t> addresses_;
  std::vector<Burst<kBurst>> out_;
  Counts counts_;
  DropCounter bad_frame_{"bad_frame"};  // too short, or from a group address
  DropCounter reserved_{"reserved"};    // to an address that bridges do not forward
  DropCounter same_port_{"same_port"};  // the destination is where the frame comes from
  DropCounter no_mbuf_{"no_mbuf"};      // for a clone; counts clones
  std::vector<const DropCounter*> drops_{&bad_frame_, &reserved_, &same_port_, &no_mbuf_};
};

}  // namespace pollux::examples
