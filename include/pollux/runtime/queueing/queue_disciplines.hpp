// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/runtime/queueing/queue_discipline.hpp"

namespace pollux {

/// First in, first out. A frame that would exceed a limit is dropped ("drop_limit").
struct FifoOptions {
  std::uint32_t frames = 1000;                          ///< 1 or more
  std::uint64_t bytes = QueueDiscipline::kNoByteLimit;  ///< 1 or more; of the waiting frames
};
/// Error invalid_argument: an option is out of its range.
[[nodiscard]] POLLUX_API Result<std::unique_ptr<QueueDiscipline>> make_fifo(const FifoOptions& options = {});

/// Strict priority: a band is served only while those before it have nothing to send.
struct StrictPriorityOptions {
  /// The disciplines of the bands, the most urgent first; 1 to 16. make_fifo() is the usual one.
  std::vector<std::unique_ptr<QueueDiscipline>> bands;
  /// Chooses the band of each frame. Empty: Mbuf::user() is the band. A frame of a band that does not exist is dropped
  /// ("drop_no_class").
  FrameClassifier classifier = {};
};
/// Error invalid_argument: no band, too many, or a null band.
[[nodiscard]] POLLUX_API Result<std::unique_ptr<QueueDiscipline>> make_strict_priority(StrictPriorityOptions options);

struct DrrClass {
  /// Bytes that the class may send in a turn, from 1 to 2^24. Classes with a backlog share in proportion to it. With
  /// less than the longest frame, a class may need several turns for one.
  std::uint32_t quantum = 1514;
  std::unique_ptr<QueueDiscipline> queue;
};
/// Deficit round robin (M. Shreedhar and G. Varghese, "Efficient Fair Queueing using Deficit Round Robin", 1995). A
/// class that a shaper holds back is passed over and keeps what is left of its turn.
struct DrrOptions {
  std::vector<DrrClass> classes;  ///< 1 to 65,536
  /// As StrictPriorityOptions::classifier, for classes.
  FrameClassifier classifier = {};
};
/// Error invalid_argument: no class, too many, a null one, or a quantum out of its range.
[[nodiscard]] POLLUX_API Result<std::unique_ptr<QueueDiscipline>> make_deficit_round_robin(DrrOptions options);

/// Token bucket: a frame is sent when the bucket has a token for each of its bytes. With a peak rate a second bucket
/// limits what is sent at once. The options are those of Linux's tbf (tc-tbf(8)), in bytes.
/// A frame that is longer than a bucket could never be sent; it is dropped ("drop_too_long").
struct TokenBucketOptions {
  std::uint64_t rate = 0;       ///< bytes per second, 1 to 2^40
  std::uint32_t burst = 0;      ///< bytes that may be sent at once; 1 or more, at most 60 s of `rate`
  std::uint64_t peak_rate = 0;  ///< bytes per second, above `rate`; 0: no limit
  std::uint32_t mtu = 0;        ///< bytes of the peak rate's bucket; 0 if and only if there is no peak rate
  std::uint16_t overhead = 0;   ///< bytes to add to each frame's length, such as 24 for FCS, preamble and gap
  /// What waits for tokens; null: make_fifo().
  std::unique_ptr<QueueDiscipline> queue = {};
};
/// Error invalid_argument: an option is out of its range.
[[nodiscard]] POLLUX_API Result<std::unique_ptr<QueueDiscipline>> make_token_bucket(TokenBucketOptions options);

/// Fair queueing with controlled delay: RFC 8290, and CoDel, RFC 8289. Flows share by deficit round robin, sparse flows
/// first; each flow whose frames wait for more than `target` for the time of `interval` gets marks or drops. Times are
/// kept in units of 1,024 ns, as in Linux.
struct FqCodelOptions {
  std::uint32_t flows = 1024;    ///< queues that flows are hashed to, 1 to 65,536
  std::uint32_t limit = 10240;   ///< frames of all queues, 1 or more; beyond it the longest queue loses frames
  std::uint32_t quantum = 1514;  ///< bytes of a turn, 1 to 2^20
  Duration target = std::chrono::milliseconds(5);      ///< above 0, below `interval`
  Duration interval = std::chrono::milliseconds(100);  ///< at most 60 s
  /// Marks frames of ECN-capable transports (RFC 3168) instead of dropping them. A frame whose bytes others use, or
  /// that is external memory (Mbuf::attach_external), cannot be marked, and is dropped as one that is not ECN-capable.
  bool ecn = true;
  /// Marks ECN-capable frames that waited longer than this. Those that cannot be marked leave as they are.
  std::optional<Duration> ce_threshold = {};
  /// Bytes of memory that waiting frames may occupy, mbuf headers and whole buffers included; 1 or more.
  std::uint64_t memory_limit = 32U << 20U;
  std::uint32_t drop_batch = 64;  ///< frames to drop at once if a limit is exceeded, at most; 1 or more
  std::uint32_t mtu = 1514;       ///< CoDel does not act while the whole backlog is at most this many bytes
  /// Chooses the queue of each frame. Empty: a hash of addresses, protocol and ports. A frame of a queue that does not
  /// exist is dropped ("drop_no_class").
  FrameClassifier classifier = {};
  /// The secret of the hash, so that nobody can choose flows that share a queue. Empty: a random one.
  std::optional<std::uint64_t> seed = {};
};
/// Errors: invalid_argument (an option is out of its range), io_error (the system gives no random number).
[[nodiscard]] POLLUX_API Result<std::unique_ptr<QueueDiscipline>> make_fq_codel(const FqCodelOptions& options = {});

}  // namespace pollux
