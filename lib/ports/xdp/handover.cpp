// SPDX-License-Identifier: BSD-3-Clause
// The port's handover to another program, and from one: ADR 23.
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "mem/context_state.hpp"
#include "mem/mempool_core.hpp"
#include "net/json/settings_json.hpp"
#include "ports/xdp/port.hpp"

namespace pollux::xdp {
namespace {

using handover::Json;

constexpr std::array kCounts{&KernelCounts::rx_dropped,       &KernelCounts::rx_invalid_descs,
                             &KernelCounts::tx_invalid_descs, &KernelCounts::rx_ring_full,
                             &KernelCounts::rx_fill_empty,    &KernelCounts::tx_ring_empty};

std::string queue_name(std::uint16_t queue) { return fmt::format("queue {}", queue); }

}  // namespace

Result<handover::PortHandover::Offer> XdpPort::describe() {
  const auto refuse = [this](std::string_view why, const char* hint) {
    return fail(ErrorCode::not_supported, fmt::format("{}: cannot be handed over: {}", info().name, why), hint);
  };
  constexpr const char* kRestart = "end this program, then start the new one";
  const auto held = kernel_->held();
  if (config().rx_queues() == 0) return refuse("it only sends", kRestart);
  if (!held) return refuse("a helper has its program", kRestart);
  if (!sockets_.front().can_be_taken())
    return refuse("the kernel maps the rings of a bound socket from 6.4 on", kRestart);
  const Umem& area = sockets_.front().area();
  MemoryPlace place;
  int file = -1;
  if (taken_memory_ != nullptr) {
    place = taken_memory_->place();
    file = taken_memory_->file();
  } else {
    const auto found = context()->place_of(area.first(), area.bytes());
    if (!found) return refuse("its frames are in memory of the program's own, or in pages of two sizes", kRestart);
    file = found->file;
    const MempoolCore& pool = *config().rx.front().pool;
    place = {.offset = found->offset, .bytes = area.bytes(), .data = Mbuf::kHeaderSize + pool.data_offset()};
    place.room = Mbuf::kHeaderSize + pool.at(0).capacity() - place.data;
  }
  Offer offer;
  offer.descriptors = {
      {"link", held->link}, {"sockets", held->sockets}, {"counters", held->counters}, {"memory", file}};
  Json rings = Json::array();
  for (std::uint16_t queue = 0; queue < static_cast<std::uint16_t>(sockets_.size()); ++queue) {
    const Socket& socket = sockets_[queue];
    offer.descriptors.emplace_back(queue_name(queue), socket.descriptor());
    rings.push_back({{"rx", socket.slots().rx}, {"tx", socket.slots().tx}, {"chains", socket.has_chains() ? 1U : 0U}});
  }
  Json slots = Json::array();
  for (const PlacedRule& rule : placed_rules(settings())) slots.push_back(rule.slot.value_or(0));
  offer.details = {{"interface", interface_.index()},
                   {"network", interface_.id().network},
                   {"queues", sockets_.size()},
                   {"rings", std::move(rings)},
                   {"rx_queues", config().rx_queues()},
                   {"tx_queues", config().tx_queues()},
                   {"slots", std::move(slots)},
                   {"native", why_not_native_.empty() && mode_ != Mode::generic ? 1U : 0U},
                   {"chains", needs_chains(area) ? 1U : 0U},
                   {"hints", hints_},
                   {"busy_poll", busy_poll_.value_or(0)},
                   {"kept", kept_sizes_},
                   {"memory", place.to_json()}};
  return offer;
}

// With fewer buffers than its ring has slots the successor still sends all frames, with shorter queues in the kernel.
Result<std::vector<Mbuf*>> XdpPort::lend(std::uint32_t most) const {
  for (std::uint32_t count = most;; count /= 2) {
    std::vector<Mbuf*> mbufs(count);
    auto taken = config().rx.front().pool->take_all(mbufs, "the successor of " + info().name);
    if (taken) return mbufs;
    if (count <= most / 8) return pass_on(std::move(taken));
  }
}

Result<std::vector<handover::QueueRecord>> XdpPort::freeze() {
  if (taken_memory_ == nullptr) {
    for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) {
      auto mbufs = lend(config().tx[queue].ring);
      if (!mbufs) return pass_on(std::move(mbufs));
      lent_.push_back(*std::move(mbufs));
    }
  }
  std::vector<handover::QueueRecord> queues;
  frozen_counts_ = past_;
  frozen_queues_.clear();
  for (std::uint16_t queue = 0; queue < static_cast<std::uint16_t>(sockets_.size()); ++queue) {
    handover::QueueRecord record;
    if (queue < config().tx_queues())
      record = tx_[queue].freeze(lent_.empty() ? std::span<Mbuf* const>() : lent_[queue]);
    if (queue < config().rx_queues()) record.posted = rx_[queue].posted();
    const KernelCounts counts = sockets_[queue].counts();
    for (const auto member : kCounts) record.counts.push_back(counts.*member);
    frozen_counts_ += counts;
    frozen_queues_.push_back(record.counts);
    queues.push_back(std::move(record));
  }
  return queues;
}

bool XdpPort::thaw() noexcept {
  for (const std::vector<Mbuf*>& mbufs : std::exchange(lent_, {})) {
    for (Mbuf* const mbuf : mbufs) MbufAccess::pool(*mbuf).put({&mbuf, 1});
  }
  return false;
}

void XdpPort::leave() noexcept {
  has_left_ = true;
  for (std::size_t queue = 0; kept_memory_ != nullptr && queue < sockets_.size(); ++queue)
    kept_memory_->settle(queue, sockets_[queue].rings(), frozen_queues_[queue]);
  for (const std::vector<Mbuf*>& mbufs : std::exchange(lent_, {}))
    kept_.insert(kept_.end(), mbufs.begin(), mbufs.end());
}

XdpPort::~XdpPort() {
  for (Mbuf* const mbuf : kept_) MbufAccess::pool(*mbuf).put({&mbuf, 1});
}

void XdpPort::forget() noexcept {
  past_ = has_left_ ? frozen_counts_ : counts();
  kernel_->leave();
  socket_map_ = FileDescriptor();
  for (XdpTxQueue& queue : tx_) queue.forget_rings();
  for (XdpRxQueue& queue : rx_) queue.leave(kept_);
  for (XdpTxQueue& queue : tx_) queue.leave(kept_);
  sockets_.clear();
  taken_ = nullptr;
  taken_memory_ = nullptr;
  kept_memory_ = nullptr;
  if (keeper_) static_cast<void>(keeper_->forget());
}

std::shared_ptr<handover::TakenPort> XdpPort::find_taken() {
  return handover::inheritance(*context()).find("xdp", [this](const handover::PortRecord& record) {
    return is_of_interface(record);
  });
}

bool XdpPort::is_of_interface(const handover::PortRecord& record) const {
  const auto index = handover::number(record.details, "interface", ~std::uint32_t{0});
  const auto network = handover::number(record.details, "network", ~std::uint64_t{0});
  return index && network && InterfaceId{*network, static_cast<unsigned>(*index)} == interface_.id();
}

// What cannot differ while the sockets and the program stay as they are.
Result<void> XdpPort::check_same(const handover::TakenPort& from) const {
  const auto differs = [this](std::string_view what) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: {} differ from those of the program that hands it over", info().name, what),
                "start it with the same ones; change them afterwards, or restart without a handover");
  };
  const auto is = [&](const char* name, std::uint64_t value) {
    const auto theirs = handover::number(from.record.details, name, ~std::uint64_t{0});
    return theirs && *theirs == value;
  };
  const Json own = json::settings_json(settings());
  if (!from.record.settings.contains("rules") || from.record.settings["rules"] != own.at("rules"))
    return differs("the flow rules");
  if (!is("rx_queues", config().rx_queues()) || !is("tx_queues", config().tx_queues()) ||
      !is("queues", std::max(config().rx_queues(), config().tx_queues())))
    return differs("the numbers of queues");
  if (!is("hints", hints_) || !is("busy_poll", busy_poll_.value_or(0)) || (mode_ == Mode::generic && !is("native", 0)))
    return differs("the options of the URI");
  const auto kept = from.record.details.contains("kept")
                        ? handover::numbers(from.record.details, "kept", 2 * KeptMemory::kMaxQueues, kMaxSlots)
                        : Result<std::vector<std::uint64_t>>();
  if (!kept || *kept != kept_sizes_) return differs("what is kept, or the sizes of rings that are");
  return {};
}

Result<void> XdpPort::take_program(handover::TakenPort& from) {
  std::array<FileDescriptor, 3> files;
  for (std::size_t i = 0; const char* const name : {"link", "sockets", "counters"}) {
    auto file = from.record.take(name);
    if (!file) return pass_on(std::move(file));
    files[i++] = *std::move(file);
  }
  std::vector<PlacedRule> rules = placed_rules(settings());
  const auto slots = handover::numbers(from.record.details, "slots", kMaxRules, kMaxRules - 1);
  const auto chains = handover::number(from.record.details, "chains", 1);
  if (!slots || !chains || slots->size() != rules.size()) return handover::malformed("each flow rule needs a slot");
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (rules[i].slot == static_cast<std::uint32_t>((*slots)[i])) continue;
    return fail(
        ErrorCode::not_supported,
        fmt::format("{}: the flow rules of the program that hands it over were changed while it ran", info().name),
        "end that program, then start this one");
  }
  auto taken = kernel_->take({.link = std::move(files[0]),
                              .sockets = std::move(files[1]),
                              .counters = std::move(files[2]),
                              .rules = rules,
                              .hints = hints_,
                              .takes_chains = *chains != 0 || why_not_native_.empty()});
  if (!taken) return taken;
  auto counters = RuleCounters::open(info().name, kernel_->held()->counters, interface_.queues());
  if (!counters) return pass_on(std::move(counters));
  rule_counters_.emplace(*std::move(counters));
  rule_counters_->continue_with(rules);
  return {};
}

Result<void> XdpPort::take_sockets(handover::TakenPort& from, bool crashed) {
  const Json& details = from.record.details;
  const auto place = MemoryPlace::read(details.value("memory", Json()));
  if (!place) return tl::unexpected<Error>(place.error());
  auto file = from.record.take("memory");
  if (!file) return pass_on(std::move(file));
  auto memory = TakenMemory::map(info().name, *std::move(file), *place);
  if (!memory) return pass_on(std::move(memory));
  taken_memory_ = *std::move(memory);
  const ChunkLayout layout{.chunk = keeper_ ? static_cast<std::uint32_t>(KeptMemory::kBuffer) : 0};
  const auto area = std::make_shared<Umem>(taken_memory_->first(), place->bytes, taken_memory_, layout);
  if (keeper_) {
    auto kept = KeptMemory::map(info().name, taken_memory_->file());
    if (!kept) return pass_on(std::move(kept));
    kept_memory_ = *std::move(kept);
  }
  const auto rings = details.find("rings");
  if (rings == details.end() || !rings->is_array() || rings->size() != from.queues.size())
    return handover::malformed("each queue needs its rings");
  for (std::uint16_t queue = 0; queue < static_cast<std::uint16_t>(from.queues.size()); ++queue) {
    const auto rx = handover::number((*rings)[queue], "rx", kMaxSlots);
    const auto tx = handover::number((*rings)[queue], "tx", kMaxSlots);
    const auto chains = handover::number((*rings)[queue], "chains", 1);
    const std::uint32_t rx_ring = queue < config().rx_queues() ? config().rx[queue].ring : 0;
    const std::uint32_t tx_ring = queue < config().tx_queues() ? config().tx[queue].ring : 0;
    const auto other_rings = [&] {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{}: queue {} has other rings in the program that hands it over", info().name, queue),
                  "start it with rings of the same sizes");
    };
    if (!rx || !tx || !chains || *rx < rx_ring || *tx < tx_ring || (*rx & (*rx - 1)) != 0 || (*tx & (*tx - 1)) != 0)
      return other_rings();
    auto descriptor = from.record.take(queue_name(queue));
    if (!descriptor) return pass_on(std::move(descriptor));
    auto socket = Socket::take(info().name, *std::move(descriptor), area,
                               {.interface = interface_.index(),
                                .queue = queue,
                                .slots = {static_cast<std::uint32_t>(*rx), static_cast<std::uint32_t>(*tx)}},
                               *chains != 0);
    if (!socket) return pass_on(std::move(socket));
    if (crashed) {
      const KeptBuffers buffers = kept_buffers(queue);
      auto found = kept_memory_->recover(queue, socket->rings(), buffers.rx, buffers.tx);
      if (!found) return pass_on(std::move(found));
      from.queues[queue] = *std::move(found);
    }
    const handover::QueueRecord& record = from.queues[queue];
    if (record.counts.size() != kCounts.size() || record.posted > *rx || record.in_flight > *tx ||
        record.posted != rx_ring)
      return other_rings();
    if (rx_ring != 0)
      rx_[queue].take(socket->rings(), socket->descriptor(), taken_memory_, record.posted,
                      {.busy = busy_poll_.has_value(), .hints = hints_ != 0});
    if (tx_ring != 0 &&
        !tx_[queue].take(socket->rings(), socket->descriptor(), taken_memory_, record, *chains != 0 ? kMaxPieces : 1,
                         kept_memory_ != nullptr ? kept_memory_->marks() : nullptr)) {
      return handover::malformed("a buffer is not in the memory for frames");
    }
    sockets_.push_back(*std::move(socket));
  }
  return {};
}

// What the kernel has counted so far is the other program's.
Result<void> XdpPort::take_over(handover::TakenPort& from, bool crashed) {
  return_filled();
  const auto native = handover::number(from.record.details, "native", 1);
  why_not_native_ = native && *native != 0 ? "" : "as in the program before";
  why_not_zero_copy_.clear();
  auto done = check_same(from);
  if (done && !crashed) done = handover::inheritance(*context()).freeze();
  if (done) done = take_program(from);
  if (done) done = take_sockets(from, crashed);
  if (!done) {
    rule_counters_.reset();  // a start makes its own
    forget();
    return done;
  }
  from.started = true;
  if (crashed) from.committed = true;
  for (const handover::QueueRecord& queue : from.queues) {
    for (std::size_t i = 0; i < kCounts.size(); ++i) past_.*kCounts[i] -= queue.counts[i];  // modulo 2^64
  }
  socket_map_ = FileDescriptor(::fcntl(kernel_->held()->sockets, F_DUPFD_CLOEXEC, 0));
  mode_text_ = fmt::format("taken over from another program, {}, {}, each frame is copied once more",
                           why_not_native_.empty() ? "native" : "generic",
                           sockets_.front().is_zero_copy() ? "zero copy" : "copies frames");
  report();
  return {};
}

}  // namespace pollux::xdp
