// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/mem/burst.hpp"

namespace pollux {

/// What waits in a queueing discipline. Bytes are those of the frames, without FCS.
struct QueueBacklog {
  std::uint64_t frames = 0;
  std::uint64_t bytes = 0;
};

/// A counter of a discipline and its value, such as {"drop_codel", 12}. Names of drops begin with "drop_". Those of an
/// inner discipline follow the name of its band or class, as in "band 1: drop_limit".
struct NamedCount {
  std::string name;
  std::uint64_t value = 0;
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
    for (Mbuf& frame : burst) frames[count++] = &frame;
    while (!burst.empty()) static_cast<void>(burst.pop().release());
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
  [[nodiscard]] static std::uint32_t get_from(QueueDiscipline& inner, std::span<Mbuf*> room, std::uint64_t bytes,
                                              Time now) noexcept {
    return inner.give(room, bytes, now);
  }
  static void return_to(QueueDiscipline& inner, Mbuf& frame) noexcept { inner.take_back(frame); }
  [[nodiscard]] static Time change_of(const QueueDiscipline& inner, Time now) noexcept {
    return inner.next_change(now);
  }
};

}  // namespace pollux
