// SPDX-License-Identifier: BSD-3-Clause
// A port that a keeper holds, and what is left of one after a crash: ADR 25.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/bpf.h>

#include <algorithm>
#include <utility>

#include "mem/context_state.hpp"
#include "ports/xdp/bpf/calls.hpp"
#include "ports/xdp/port.hpp"

namespace pollux::xdp {

using handover::Json;
using handover::NamedDescriptor;

void XdpPort::choose_kept_sizes() {
  kept_sizes_.clear();
  const std::size_t queues = keeper_ ? std::max(config().rx_queues(), config().tx_queues()) : 0;
  for (std::size_t queue = 0; queue < queues; ++queue) {
    kept_sizes_.push_back(queue < config().rx_queues() ? config().rx[queue].ring : 0);
    kept_sizes_.push_back(queue < config().tx_queues() ? config().tx[queue].ring : 0);
  }
}

XdpPort::KeptBuffers XdpPort::kept_buffers(std::size_t queue) const {
  std::uint64_t first = 0;
  for (std::size_t i = 0; i < 2 * queue; ++i) first += kept_sizes_[i] * KeptMemory::kBuffer;
  const auto rx = static_cast<std::uint32_t>(kept_sizes_[2 * queue]);
  const auto tx = static_cast<std::uint32_t>(kept_sizes_[2 * queue + 1]);
  return {.rx = {first, rx}, .tx = {first + rx * KeptMemory::kBuffer, tx}};
}

// A port with such memory copies each frame: the memory of pools belongs to the program, and ends with it.
Result<std::shared_ptr<Umem>> XdpPort::make_kept_area() {
  if (config().rx_queues() < config().tx_queues() || config().rx_queues() > KeptMemory::kMaxQueues) {
    return fail(ErrorCode::not_supported, fmt::format("{}: cannot be kept with these queues", info().name),
                fmt::format("configure as many receive queues as transmit queues, and at most {}, or leave out keep=",
                            KeptMemory::kMaxQueues));
  }
  return_filled();
  why_not_zero_copy_.clear();
  std::size_t buffers = 0;
  for (const std::uint64_t size : kept_sizes_) buffers += size;
  auto file = KeptMemory::make_file(info().name, buffers);
  if (!file) return pass_on(std::move(file));
  auto kept = KeptMemory::map(info().name, file->get());
  if (!kept) return pass_on(std::move(kept));
  kept_memory_ = *std::move(kept);
  auto memory = TakenMemory::map(info().name, *std::move(file), KeptMemory::place(buffers));
  if (!memory) return pass_on(std::move(memory));
  taken_memory_ = *std::move(memory);
  return std::make_shared<Umem>(taken_memory_->first(), taken_memory_->place().bytes, taken_memory_,
                                ChunkLayout{.chunk = KeptMemory::kBuffer});
}

void XdpPort::attach_kept(const Socket& socket, std::uint16_t queue) {
  const KeptMemory::Buffers buffers = kept_buffers(queue).rx;
  if (buffers.count == 0) return;
  AddressRing fill = socket.rings().fill;
  for (; fill.own < buffers.count; ++fill.own) fill.at(fill.own) = buffers.first + fill.own * KeptMemory::kBuffer;
  submit(fill);
  rx_[queue].take(socket.rings(), socket.descriptor(), taken_memory_, buffers.count,
                  {.busy = busy_poll_.has_value(), .hints = hints_ != 0});
}

bool XdpPort::send_kept(const Socket& socket, std::uint16_t queue) {
  const KeptMemory::Buffers buffers = kept_buffers(queue).tx;
  handover::QueueRecord fresh;
  for (std::uint64_t i = 0; i < buffers.count; ++i) fresh.free.push_back(buffers.first + i * KeptMemory::kBuffer);
  return buffers.count == 0 || tx_[queue].take(socket.rings(), socket.descriptor(), taken_memory_, fresh,
                                               socket.has_chains() ? kMaxPieces : 1, kept_memory_->marks());
}

Result<bool> XdpPort::continue_after_crash() {
  auto held = keeper_->take(*context(), info().name);
  if (!held) return pass_on(std::move(held));
  if (held->empty()) return false;
  FileDescriptor link;
  const auto found = std::ranges::find(*held, "link", &NamedDescriptor::name);
  if (found != held->end()) link = FileDescriptor(::fcntl(found->file.get(), F_DUPFD_CLOEXEC, 0));
  auto stored = keeper_->forget();
  auto done = continue_with(*std::move(held));
  keeper_->remember(std::move(stored));
  if (done) {
    record_kept(settings());
    handover::report_crash(*context(), info().name, kept_memory_->losses(sockets_.size()));
    return true;
  }
  handover::report_anew(*context(), info().name, done.error());
  bpf_attr attributes{};
  attributes.link_detach.link_fd = static_cast<std::uint32_t>(link.get());
  if (is_link_to(link, interface_.index())) static_cast<void>(bpf(BPF_LINK_DETACH, attributes));
  end_keeping();
  return false;
}

Result<void> XdpPort::continue_with(std::vector<NamedDescriptor> held) {
  const auto memory = std::ranges::find(held, "memory", &NamedDescriptor::name);
  if (memory == held.end())
    return fail(ErrorCode::invalid_argument, "the program ended before all was stored", "nothing is to be done");
  const auto front = KeptMemory::map(info().name, memory->file.get());
  if (!front) return tl::unexpected<Error>(front.error());
  auto record = handover::read_kept((*front)->file(), std::move(held));
  if (!record) return pass_on(std::move(record));
  if (!is_of_interface(*record))
    return fail(ErrorCode::device_removed, "the interface was removed meanwhile", "nothing is to be done");
  taken_ = std::make_shared<handover::TakenPort>();
  taken_->record = *std::move(record);
  taken_->queues.resize(kept_sizes_.size() / 2);
  return take_over(*std::shared_ptr(taken_), true);
}

void XdpPort::record_kept(const PlacedSettings& settings) {
  auto offer = describe();
  if (!offer) return kept_memory_->file().write_record({});
  Json& slots = offer->details["slots"] = Json::array();
  for (const PlacedRule& rule : placed_rules(settings)) slots.push_back(rule.slot.value_or(0));
  handover::write_kept(kept_memory_->file(), info(), settings, offer->details);
}

void XdpPort::keep() {
  if ((taken_ != nullptr && !taken_->committed) || !keeper_->must_store()) return;
  record_kept(settings());
  if (auto offer = describe()) keeper_->store(*context(), info().name, std::move(offer->descriptors), "memory");
}

void XdpPort::end_keeping() noexcept {
  if (!keeper_) return;
  if (kept_memory_ != nullptr) losses_ = kept_memory_->losses(sockets_.size());
  keeper_->end();
}

}  // namespace pollux::xdp
