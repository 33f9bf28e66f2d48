// SPDX-License-Identifier: BSD-3-Clause
#include <memory>

#include "pollux/runtime/queueing/queue_disciplines.hpp"
#include "runtime/queueing/discipline_parts.hpp"

namespace pollux {
namespace queueing {
namespace {

class Fifo final : public QueueDiscipline {
 public:
  explicit Fifo(const FifoOptions& options) : limit_{options.frames, options.bytes} {}

  [[nodiscard]] Time next_time(Time now) const noexcept override { return frames_.empty() ? Time::max() : now; }
  [[nodiscard]] QueueBacklog backlog() const noexcept override { return backlog_; }
  [[nodiscard]] std::uint64_t dropped() const noexcept override { return over_limit_.value(); }
  [[nodiscard]] std::vector<NamedCount> counters() const override { return {named(over_limit_)}; }

 private:
  void take(std::span<Mbuf* const> frames, Time) noexcept override {
    for (Mbuf* const frame : frames) {
      const std::uint32_t length = frame->packet_length();
      if (backlog_.frames >= limit_.frames || length > limit_.bytes - backlog_.bytes) [[unlikely]] {
        drop(*frame, over_limit_);
        continue;
      }
      frames_.push(*frame);
      ++backlog_.frames;
      backlog_.bytes += length;
    }
  }
  [[nodiscard]] std::uint32_t give(std::span<Mbuf*> room, std::uint64_t bytes, Time) noexcept override {
    std::uint32_t count = 0;
    std::uint64_t given = 0;
    while (count < room.size() && given < bytes && !frames_.empty()) {
      Mbuf& frame = frames_.pop();
      given += frame.packet_length();
      room[count++] = &frame;
    }
    backlog_.frames -= count;
    backlog_.bytes -= given;
    return count;
  }
  void take_back(Mbuf& frame) noexcept override {
    frames_.push_front(frame);
    ++backlog_.frames;
    backlog_.bytes += frame.packet_length();
  }

  FrameQueue frames_;
  QueueBacklog backlog_;
  const QueueBacklog limit_;
  DropCounter over_limit_{"drop_limit"};
};

}  // namespace
}  // namespace queueing

Result<std::unique_ptr<QueueDiscipline>> make_fifo(const FifoOptions& options) {
  if (options.frames == 0 || options.bytes == 0) {
    return fail(ErrorCode::invalid_argument, "a FIFO with a limit of 0 could take no frame",
                "set FifoOptions::frames and bytes to 1 or more");
  }
  return std::make_unique<queueing::Fifo>(options);
}

}  // namespace pollux
