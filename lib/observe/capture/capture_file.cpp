// SPDX-License-Identifier: BSD-3-Clause
// Capture: what it writes.
#include <fmt/format.h>
#include <sys/utsname.h>
#include <time.h>

#include <algorithm>
#include <iterator>

#include "mem/context_state.hpp"
#include "net/frame_size.hpp"
#include "net/port_core.hpp"
#include "observe/capture/capture_core.hpp"

namespace pollux {
namespace {

using observe::FrameRecord;
using observe::pcapng::Bytes;
using observe::pcapng::Direction;

constexpr std::uint64_t kMega = 1'000'000;

Duration machine_time_of_day() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return std::chrono::seconds(now.tv_sec) + Duration(now.tv_nsec);
}

std::string operating_system() {
  utsname name{};
  if (::uname(&name) != 0) return {};
  return fmt::format("{} {}", name.sysname, name.release);
}

void append_part(std::string& text, std::string_view part) {
  if (!text.empty()) text += "; ";
  text += part;
}

/// The counters of Stats that say why frames of one direction did not arrive or were not sent.
std::vector<Counter> losses(const Stats& stats, bool receive) {
  std::vector<Counter> all;
  if (receive) {
    all = {{"rx_errors", stats.rx_errors}, {"rx_missed_errors", stats.rx_missed_errors}};
  } else {
    all = {{"tx_errors", stats.tx_errors}};
  }
  std::ranges::copy_if(stats.drops, std::back_inserter(all),
                       [&](const Counter& drop) { return drop.name.starts_with(receive ? "rx_" : "tx_"); });
  return all;
}

std::uint64_t value_of(const std::vector<Counter>& counters, const std::string& name) {
  const auto found = std::ranges::find(counters, name, &Counter::name);
  return found == counters.end() ? 0 : found->value;
}

}  // namespace

// The caller holds the port's lock.
void Capture::Core::note_port() {
  PortMachine& machine = port_->machine();
  const PortInfo& info = machine.info();
  name_ = options_.name.empty() ? info.name : options_.name;
  about_ = fmt::format("{} ({}, {})", info.name, info.card.empty() ? info.driver : info.card, info.driver);
  mac_ = machine.mac();
  speed_ = machine.link().speed * kMega;
  fcs_bytes_ = static_cast<std::uint8_t>(kept_fcs_bytes(machine.settings()));
  before_ = machine.stats();
  started_ = context_->clock().now();
  last_time_ = started_;
  epoch_ = options_.epoch ? *options_.epoch : machine_time_of_day() - started_;
}

std::uint64_t Capture::Core::time_of_day(Time time) const noexcept {
  return static_cast<std::uint64_t>((epoch_ + time).count());
}

void Capture::Core::append_header(Bytes& out) const {
  append(out, observe::pcapng::Section{.hardware = about_,
                                       .os = operating_system(),
                                       .application = options_.application.empty() ? "Pollux" : options_.application});
  for (const Source& source : sources_) {
    observe::pcapng::Interface about{
        .snaplen = options_.snaplen, .mac = mac_, .speed = speed_, .filter = options_.filter, .hardware = about_};
    switch (source.kind) {
      case Source::Kind::receive:
        about.name = fmt::format("{}/rx{}", name_, source.queue);
        about.description = fmt::format("{}, receive queue {}", about_, source.queue);
        about.fcs_bytes = fcs_bytes_;
        break;
      case Source::Kind::transmit:
        about.name = fmt::format("{}/tx{}", name_, source.queue);
        about.description = fmt::format("{}, transmit queue {}", about_, source.queue);
        about.fcs_bytes = 0;
        break;
      case Source::Kind::drops:
        about.name = name_ + "/drops";
        about.description = about_ + ", received frames that the program dropped";
        about.fcs_bytes = fcs_bytes_;
        break;
    }
    append(out, about);
  }
}

void Capture::Core::append_frame(Bytes& out, std::uint32_t source, const FrameRecord& record) {
  const Source& from = sources_[source];
  comment_.clear();
  if (from.kind == Source::Kind::drops) append_part(comment_, "dropped: " + drops_->name_of(record.reason));
  if ((record.flags & FrameRecord::bad_frame) != 0) append_part(comment_, "the card reported an error in this frame");
  if (record.stamp != 0) {
    constexpr std::uint64_t kSecond = 1'000'000'000;
    append_part(comment_, fmt::format("card time stamp: {}.{:09} s", record.stamp / kSecond, record.stamp % kSecond));
  }
  if ((record.flags & FrameRecord::card_stamped) != 0)
    append_part(comment_, "the card has stamped this frame; the program reads the stamp (FrameStamps)");
  observe::pcapng::Packet packet{.interface = source,
                                 .time = time_of_day(Time(record.time)),
                                 .length = record.length,
                                 .direction = Direction::inbound,
                                 .fcs_bytes = fcs_bytes_,
                                 .lost = record.lost,
                                 .comment = comment_};
  if (from.kind == Source::Kind::transmit) {
    packet.direction = Direction::outbound;
    packet.fcs_bytes = 0;
  }
  if (from.kind != Source::Kind::drops) packet.queue = from.queue;
  append(out, packet, {record.data(), record.captured});
  last_time_ = std::max(last_time_, Time(record.time));
}

// Takes the oldest of the rings' first frames each time. Bursts that threads have not yet published may be older.
bool Capture::Core::drain(Bytes& out, std::size_t limit) {
  if (!has_header_) append_header(out);
  has_header_ = true;
  bool more = false;
  while (true) {
    std::uint32_t oldest = 0;
    const FrameRecord* first = nullptr;
    for (std::uint32_t i = 0; i < sources_.size(); ++i) {
      const FrameRecord* const record = sources_[i].tap->ring().front();
      if (record == nullptr || (first != nullptr && record->time >= first->time)) continue;
      oldest = i;
      first = record;
    }
    more = first != nullptr;
    if (!more || out.size() >= limit) break;
    append_frame(out, oldest, *first);
    sources_[oldest].tap->ring().pop();
  }
  for (const Source& source : sources_) source.tap->ring().release();
  return more;
}

std::string Capture::Core::port_drops(const Stats& now, std::string_view direction) const {
  const bool receive = direction == "rx";
  const std::vector<Counter> before = losses(before_, receive);
  std::string text;
  for (const Counter& one : losses(now, receive)) {
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {}", one.name, one.value - value_of(before, one.name));
  }
  return "of the whole port during the capture: " + text;
}

std::optional<std::uint64_t> Capture::Core::queue_drops(const Stats& now, const Source& source) const {
  const bool receive = source.kind == Source::Kind::receive;
  const auto& queues = receive ? now.rx_queues : now.tx_queues;
  const auto& earlier = receive ? before_.rx_queues : before_.tx_queues;
  if (source.kind == Source::Kind::drops || source.queue >= queues.size()) return std::nullopt;
  const QueueStats was = source.queue < earlier.size() ? earlier[source.queue] : QueueStats{};
  const QueueStats& is = queues[source.queue];
  const std::uint64_t drops = is.drops - was.drops;
  if (!receive) return drops;
  // All frames that a port's only queue missed are its own. The card does not count those of several by queue.
  if (queues.size() == 1) return drops + now.rx_missed_errors - before_.rx_missed_errors;
  return drops + is.missed_at_least - was.missed_at_least;
}

void Capture::Core::finish(Bytes& out) {
  if (!has_header_) append_header(out);
  has_header_ = true;
  std::optional<Stats> now;
  {
    const auto lock = port_->lock();
    if (!port_->is_retired()) now = port_->machine().stats();
  }
  const Time end = std::max(context_->clock().now(), last_time_);
  bool told_rx = false;
  bool told_tx = false;
  for (std::uint32_t i = 0; i < sources_.size(); ++i) {
    const Source& source = sources_[i];
    const CaptureCounts counts = source.tap->counts();
    observe::pcapng::Statistics about{.interface = i,
                                      .time = time_of_day(end),
                                      .start = time_of_day(started_),
                                      .end = time_of_day(end),
                                      .received = counts.seen,
                                      .accepted = counts.captured + counts.lost,
                                      .lost = counts.lost,
                                      .delivered = counts.captured};
    if (now) {
      about.dropped = queue_drops(*now, source);
      if (source.kind == Source::Kind::receive && !told_rx) about.comment = port_drops(*now, "rx");
      if (source.kind == Source::Kind::transmit && !told_tx) about.comment = port_drops(*now, "tx");
      told_rx = told_rx || source.kind == Source::Kind::receive;
      told_tx = told_tx || source.kind == Source::Kind::transmit;
    }
    append(out, about);
  }
}

}  // namespace pollux
