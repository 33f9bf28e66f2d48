// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/packet/classify.hpp"
#include "pollux/net/packet/toeplitz.hpp"
#include "pollux/net/rx_queue.hpp"

namespace pollux {

/// How frames are spread over threads.
struct SteeringOptions {
  std::uint16_t consumers = 1;  ///< 1 to PacketSteering::kMaxConsumers
  /// Frames that may wait for each consumer: a power of two from 2 to 65,536.
  std::uint32_t ring = 1024;
  /// Flows are told apart by this many bits of their hash to keep their order: a power of two from 16 to 1,048,576.
  /// Flows that share a slot move together. Linux's rps_flow_cnt.
  std::uint32_t slots = 4096;
  /// Flows that can follow the application at the same time; see FlowTableOptions::capacity. Linux's
  /// rps_sock_flow_entries.
  std::uint32_t flows = 4096;
  /// A flow without frames for longer than this does not follow the application any more. More than zero.
  Duration max_age = std::chrono::seconds(30);
  /// Whether the hash in a frame's receive metadata is used, if it has one. If only some frames of a flow have it, the
  /// card must use `key`, and its RssTypes must agree with `fields`.
  bool card_hash = true;
  /// For the hash in software. With packet::kSymmetricRssKey both directions of a flow go to the same consumer; give
  /// the card the same key then, or switch `card_hash` off.
  packet::RssKey key = packet::kDefaultRssKey;
  packet::RssFields fields = {};  ///< what the hash in software covers
};

/// Counts of the steering thread.
struct SteeringStats {
  std::uint64_t moves = 0;       ///< a flow's slot went to another consumer
  std::uint64_t held_moves = 0;  ///< frames that went to the previous consumer, because it still had earlier ones
  std::uint64_t evicted = 0;     ///< flows that no longer follow the application, for lack of room in the table
  std::uint64_t aged = 0;        ///< flows that no longer follow the application, for their age
};

/// Counts of one consumer. Any thread may read them.
struct SteeredStats {
  std::uint64_t frames = 0;     ///< put into its ring
  std::uint64_t ring_full = 0;  ///< dropped, because its ring was full
};

/// Spreads the frames of a receive queue over several consumers, usually one a thread. A frame's consumer follows from
/// its flow's hash, as with Linux's RPS (docs.kernel.org/networking/scaling.html). A program may instead say on which
/// consumer a flow is handled, as Linux's RFS learns it from the thread that reads the socket: `follow`.
///
///     auto steering = PacketSteering::create(context, {.consumers = 2});
///     poller.add(port.rx(0), [&](Burst<64>& burst) { (*steering)->steer(burst, cache); });   // the steering thread
///     worker.add((*steering)->consumer(1), [&](Burst<64>& burst) { ... });                   // another thread
///
/// A consumer is an RxQueue without a port: poll it with rx_burst or a Poller, which can sleep on it.
/// Order: the frames of a flow reach their handlers in the order in which they were steered, also while the flow moves.
/// A flow moves only after its earlier frames were handled: a consumer has handled the frames of a burst when it calls
/// rx_burst again or arms the queue to sleep, so it must not keep frames that it still has to handle beyond that. Until
/// then the flow's frames still go to the previous consumer.
/// Frames that are not IP have no flow; all of them go to one consumer (hash 0). A frame for which its consumer's ring
/// has no room is dropped (SteeredStats::ring_full).
/// Ownership: a ring owns the frames in it; those that are left at the end are unnamed drops of their pool. The
/// consumers are destroyed with the PacketSteering: remove them from their pollers before.
/// Thread rule: one thread steers and reads `stats`; each consumer belongs to one thread at a time; `follow`,
/// `flow_hash` and `consumer_stats` may be called from any thread.
class POLLUX_API PacketSteering {
 public:
  static constexpr std::uint16_t kMaxConsumers = 256;  ///< of one PacketSteering

  /// Errors: invalid_argument (a value outside its range; the text names it), io_error (no descriptor left).
  [[nodiscard]] static Result<std::unique_ptr<PacketSteering>> create(Context& context, const SteeringOptions& options);
  PacketSteering(const PacketSteering&) = delete;
  PacketSteering& operator=(const PacketSteering&) = delete;
  ~PacketSteering();

  /// Their number, as in the options.
  [[nodiscard]] std::uint16_t consumers() const noexcept;
  /// `index`: less than consumers(). Its use_cache does nothing, since it allocates no mbufs.
  [[nodiscard]] RxQueue& consumer(std::uint16_t index) noexcept;

  /// Takes all frames of `burst`. `cache` takes those that are dropped.
  template <std::uint32_t Capacity>
  void steer(Burst<Capacity>& burst, MempoolCache& cache) noexcept {
    std::array<Mbuf*, Capacity> frames;
    std::uint32_t count = 0;
    burst.take_each([&](MbufPtr frame) { frames[count++] = frame.release(); });
    steer_all({frames.data(), count}, cache);
  }

  /// The frames of this flow go to `consumer` from now on, as long as frames come (SteeringOptions::max_age). The
  /// steering thread learns this with its next burst. False: `consumer` does not exist, or too many calls wait for the
  /// steering thread; nothing changes.
  bool follow(std::uint32_t flow_hash, std::uint16_t consumer) noexcept;
  /// The hash by which a frame is steered; 0 if it is not IP. The frame must not have been changed.
  [[nodiscard]] std::uint32_t flow_hash(const Mbuf& frame) const noexcept;
  /// The consumer of a flow that does not follow the application.
  [[nodiscard]] std::uint16_t consumer_of(std::uint32_t flow_hash) const noexcept;

  /// Counts since `create`. Called by the steering thread.
  [[nodiscard]] SteeringStats stats() const noexcept;
  /// `index`: less than consumers().
  [[nodiscard]] SteeredStats consumer_stats(std::uint16_t index) const noexcept;

 private:
  class Core;
  explicit PacketSteering(std::unique_ptr<Core> core) noexcept;
  void steer_all(std::span<Mbuf* const> frames, MempoolCache& cache) noexcept;

  std::unique_ptr<Core> core_;
};

}  // namespace pollux
