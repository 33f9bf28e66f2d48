// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "unit/intel_queues/frame_source.hpp"
#include "unit/intel_queues/queue_fixture.hpp"
#include "unit/mem/machine.hpp"

namespace pollux::test {

/// Frames to receive in one run of a test that makes several.
inline constexpr std::uint32_t kFramesARun = kSanitized || POLLUX_CHECKED != 0 ? 1'500 : 12'000;

struct TrafficOptions {
  CardFixtureOptions fixture;
  std::uint32_t burst_limit = 32;  ///< 1 to 512
  bool hostile = false;            ///< the card writes wrong values, and the application sends invalid frames
  bool switch_caches = false;
  bool stops = false;             ///< the queues stop and start in the middle of traffic
  std::uint32_t frames = 10'000;  ///< to receive, at least
  std::uint32_t seed = 1;
};

/// The expected outcome of a frame that is sent.
enum class TxOutcome { sent, too_short, too_long, too_many_segments, bad_segment, unreachable, unsupported_offload };

/// An application on the queues of a strict card, which receives, uses and sends frames at random. Keeps account of
/// every frame and buffer.
class Traffic {
 public:
  explicit Traffic(const TrafficOptions& options);

  /// Runs to the end and checks at every step. Failures are those of the calling test.
  void run();
  /// Frames received and sent.
  [[nodiscard]] std::uint64_t frames() const { return received_ + sent_; }
  [[nodiscard]] std::uint64_t starved() const { return fixture_.rx.drops().pool_empty; }
  /// A digest of everything the queues did: the result and mbufs of each call, and both rings after it.
  [[nodiscard]] std::uint64_t transcript() const { return transcript_; }

 private:
  static constexpr std::uint32_t kMaxHeld = 64;
  struct Outgoing {
    TxOutcome outcome = TxOutcome::sent;
    std::vector<std::uint8_t> bytes;
  };

  [[nodiscard]] std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  void round();
  void receive();
  void note(std::uint64_t value) { transcript_ = (transcript_ ^ value) * 0x100000001B3; }
  void note(Mbuf& frame);
  void note_rings();
  void check_received(Mbuf& mbuf);
  void check_good(Mbuf& mbuf, const WireFrame& frame);
  void use(MbufPtr mbuf);
  static void grow_to(Mbuf& mbuf, std::uint32_t bytes);
  void send(MbufPtr mbuf, TxOutcome outcome);
  void transmit();
  void make_frame();
  [[nodiscard]] MbufPtr make(std::uint32_t bytes, std::uint32_t segments);
  void make_unsendable();
  void send_external(bool reachable);
  void send_with_empty_segment();
  void switch_caches();
  void release_some();
  void stop_and_start();
  void check_drops();
  void expect_stopped(std::uint64_t rx_stopped_before, std::uint64_t handed_in);
  void finish_traffic();
  void recover();
  void finish();
  [[nodiscard]] TxOutcome outcome_of(const Mbuf& mbuf) const;
  [[nodiscard]] static std::vector<std::uint8_t> bytes_of(const Mbuf& mbuf);
  static void external_freed(void* opaque, std::uint8_t* data) noexcept;

  TrafficOptions options_;
  std::mt19937 random_;
  QueueFixture fixture_;
  Mempool other_pool_;
  MempoolCache other_cache_;
  std::optional<MempoolCache> second_cache_;
  DmaMemory external_memory_;
  int externals_in_use_ = 0;
  FrameSource source_;
  std::deque<WireFrame> arrived_;
  std::array<std::uint64_t, 4> expected_rx_{};  // by RxOutcome, of frames that the queue is past
  std::array<std::uint64_t, 7> expected_tx_{};  // by TxOutcome, of frames that tx_burst took
  Burst<512> out_;
  std::deque<Outgoing> outgoing_;  // what is in out_
  std::vector<MbufPtr> held_;
  std::uint64_t received_ = 0;  // frames the card wrote
  std::uint64_t delivered_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t transcript_ = 0xCBF29CE484222325;
};

}  // namespace pollux::test
