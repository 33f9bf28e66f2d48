// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/burst.hpp"

namespace pollux {

/// What waits in a queueing discipline. Bytes are those of the frames, without FCS.
struct QueueBacklog {
  /// What waits.
  ///@{
  std::uint64_t frames = 0;
  std::uint64_t bytes = 0;
  ///@}
};

/// A counter of a discipline and its value, such as {"drop_codel", 12}. Names of drops begin with "drop_". Those of an
/// inner discipline follow the name of its band or class, as in "band 1: drop_limit".
struct NamedCount {
  std::string name;         ///< unique in the discipline
  std::uint64_t value = 0;  ///< only grows
};

/// Chooses the band, class or flow of each frame: writes a number for each of `frames` into `numbers`. Called once for
/// up to 64 frames; it must not throw or keep the frames.
using FrameClassifier = std::function<void(std::span<Mbuf* const> frames, std::span<std::uint32_t> numbers)>;

/// A queueing discipline: decides which of the waiting frames are sent next, when, and which are dropped. It never
/// reads a clock: the caller passes the time, which must not decrease. So it works in virtual time, too.
///
/// Every frame that was enqueued is dequeued, waits, or was dropped under a name. Memory is allocated when a discipline
/// is made; no frame allocates.
/// Ownership: the frames in it. Destroying it returns them to their pools as unnamed drops.
/// Thread rule: one thread at a time.
class POLLUX_API QueueDiscipline {
 public:
  /// For limits in bytes: none.
  static constexpr std::uint64_t kNoByteLimit = std::numeric_limits<std::uint64_t>::max();

  QueueDiscipline() = default;
  QueueDiscipline(const QueueDiscipline&) = delete;
  QueueDiscipline& operator=(const QueueDiscipline&) = delete;
  virtual ~QueueDiscipline() = default;

  /// Takes all frames of `burst`. Some disciplines drop frames that waited instead of new ones.
  template <std::uint32_t Capacity>
  void enqueue(Burst<Capacity>& burst, Time now) noexcept {
    std::array<Mbuf*, Capacity> frames;
    std::uint32_t count = 0;
    burst.take_each([&](MbufPtr frame) { frames[count++] = frame.release(); });
    take({frames.data(), count}, now);
  }
  /// Appends the frames that are to be sent next to `burst`, until it is full, or at least `bytes` have been dequeued;
  /// so the last frame may exceed `bytes`. Returns their number.
  template <std::uint32_t Capacity>
  std::uint32_t dequeue(Burst<Capacity>& burst, Time now, std::uint64_t bytes = kNoByteLimit) noexcept {
    std::array<Mbuf*, Capacity> frames;
    const std::uint32_t count = give({frames.data(), Capacity - burst.size()}, bytes, now);
    for (std::uint32_t i = 0; i < count; ++i) {
      MbufPtr frame(frames[i]);
      static_cast<void>(burst.push(frame));
    }
    return count;
  }
  /// When to call `dequeue` next: `now` if frames may be sent at once, a later time if a shaper holds them back,
  /// Time::max() if none wait.
  [[nodiscard]] virtual Time next_time(Time now) const noexcept = 0;

  /// What waits, inner disciplines included.
  [[nodiscard]] virtual QueueBacklog backlog() const noexcept = 0;
  /// Frames that were dropped, for all reasons together.
  [[nodiscard]] virtual std::uint64_t dropped() const noexcept = 0;
  /// All counters, also those of inner disciplines.
  [[nodiscard]] virtual std::vector<NamedCount> counters() const = 0;

 protected:
  /// Takes ownership of `frames`.
  virtual void take(std::span<Mbuf* const> frames, Time now) noexcept = 0;
  /// Writes frames to the front of `room`, as `dequeue`, and passes their ownership. Returns their number.
  [[nodiscard]] virtual std::uint32_t give(std::span<Mbuf*> room, std::uint64_t bytes, Time now) noexcept = 0;

  /// Takes back the frame that `give` has just given last: it waits again, and as the first one.
  virtual void take_back(Mbuf& frame) noexcept = 0;
  /// When the passing of time, without new frames, may put another frame before the one that was taken back: in an
  /// inner discipline, a shaper lets a more urgent frame go. Later than `now`; Time::max(), the default: never.
  [[nodiscard]] virtual Time next_change(Time /*now*/) const noexcept { return Time::max(); }

  /// For disciplines that contain others.
  static void pass_to(QueueDiscipline& inner, std::span<Mbuf* const> frames, Time now) noexcept {
    inner.take(frames, now);
  }
  /// As `give`, of an inner discipline.
  [[nodiscard]] static std::uint32_t get_from(QueueDiscipline& inner, std::span<Mbuf*> room, std::uint64_t bytes,
                                              Time now) noexcept {
    return inner.give(room, bytes, now);
  }
  /// As `take_back` and `next_change`, of an inner discipline.
  ///@{
  static void return_to(QueueDiscipline& inner, Mbuf& frame) noexcept { inner.take_back(frame); }
  [[nodiscard]] static Time change_of(const QueueDiscipline& inner, Time now) noexcept {
    return inner.next_change(now);
  }
  ///@}
};

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

/// One class of `make_deficit_round_robin`.
struct DrrClass {
  /// Bytes that the class may send in a turn, from 1 to 2^24. Classes with a backlog share in proportion to it. With
  /// less than the longest frame, a class may need several turns for one.
  std::uint32_t quantum = 1514;
  std::unique_ptr<QueueDiscipline> queue;  ///< what frames of the class wait in; not null
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
