// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <string>

#include "pollux/runtime/queueing/queue_disciplines.hpp"
#include "runtime/queueing/discipline_parts.hpp"

namespace pollux {
namespace queueing {
namespace {

constexpr std::size_t kMaxBands = 16;

class StrictPriority final : public QueueDiscipline {
 public:
  explicit StrictPriority(StrictPriorityOptions options)
      : bands_(std::move(options.bands)), classes_(std::move(options.classifier)) {}

  [[nodiscard]] Time next_time(Time now) const noexcept override {
    Time next = Time::max();
    for (const auto& band : bands_) next = std::min(next, band->next_time(now));
    return next;
  }
  [[nodiscard]] QueueBacklog backlog() const noexcept override {
    QueueBacklog all;
    for (const auto& band : bands_) {
      all.frames += band->backlog().frames;
      all.bytes += band->backlog().bytes;
    }
    return all;
  }
  [[nodiscard]] std::uint64_t dropped() const noexcept override {
    std::uint64_t all = no_class_.value();
    for (const auto& band : bands_) all += band->dropped();
    return all;
  }
  [[nodiscard]] std::vector<NamedCount> counters() const override {
    std::vector<NamedCount> all{named(no_class_)};
    for (std::size_t i = 0; i < bands_.size(); ++i) append_counters(all, "band " + std::to_string(i), *bands_[i]);
    return all;
  }

 private:
  void take(std::span<Mbuf* const> frames, Time now) noexcept override {
    classes_.for_each_run(frames, [&](std::span<Mbuf* const> run, std::uint32_t band) {
      if (band < bands_.size()) return pass_to(*bands_[band], run, now);
      for (Mbuf* const frame : run) drop(*frame, no_class_);
    });
  }
  [[nodiscard]] std::uint32_t give(std::span<Mbuf*> room, std::uint64_t bytes, Time now) noexcept override {
    std::uint32_t count = 0;
    for (const auto& band : bands_) {
      if (count == room.size() || bytes == 0) break;
      const std::uint32_t more = get_from(*band, room.subspan(count), bytes, now);
      if (more != 0) last_ = band.get();
      for (const std::uint32_t end = count + more; count < end; ++count) {
        bytes -= std::min<std::uint64_t>(bytes, room[count]->packet_length());
      }
    }
    return count;
  }
  void take_back(Mbuf& frame) noexcept override { return_to(*last_, frame); }
  [[nodiscard]] Time next_change(Time now) const noexcept override {
    Time next = Time::max();
    for (const auto& band : bands_) {
      const Time ready = band->next_time(now);
      next = std::min(next, ready > now ? ready : change_of(*band, now));
      if (band.get() == last_) break;  // those after it are less urgent
    }
    return next;
  }

  std::vector<std::unique_ptr<QueueDiscipline>> bands_;
  QueueDiscipline* last_ = nullptr;  // the band of the frame that was given last
  Classes classes_;
  DropCounter no_class_{"drop_no_class"};
};

}  // namespace
}  // namespace queueing

Result<std::unique_ptr<QueueDiscipline>> make_strict_priority(StrictPriorityOptions options) {
  if (options.bands.empty() || options.bands.size() > queueing::kMaxBands) {
    return fail(ErrorCode::invalid_argument,
                "strict priority has " + std::to_string(options.bands.size()) + " bands, not 1 to 16",
                "set StrictPriorityOptions::bands");
  }
  if (const auto null = std::ranges::find_if(options.bands, [](const auto& band) { return band == nullptr; });
      null != options.bands.end()) {
    return fail(ErrorCode::invalid_argument,
                "band " + std::to_string(null - options.bands.begin()) + " of strict priority has no discipline",
                "use make_fifo() for it");
  }
  return std::make_unique<queueing::StrictPriority>(std::move(options));
}

}  // namespace pollux
