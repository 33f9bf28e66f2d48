// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/paravirtual/port.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "device/device_events.hpp"
#include "net/frame_size.hpp"

namespace pollux::drivers::paravirtual {

PortInfo describe_device(const Device& device, std::string_view driver, std::string_view card, std::uint16_t index) {
  const std::string& name = device.name();
  PortInfo info;
  info.name = name;
  info.driver = driver;
  info.card = card;
  info.backend = name.substr(0, name.find(':'));
  info.index = index;
  info.numa_node = device.numa_node();
  info.missed_count = MissedCount::lower_bound;
  return info;
}

std::vector<QueueId> queues_of(const PlacedQueues& config) {
  std::vector<QueueId> queues;
  for (std::uint16_t index = 0; index < config.rx_queues(); ++index) queues.push_back(QueueId::rx(index));
  for (std::uint16_t index = 0; index < config.tx_queues(); ++index) queues.push_back(QueueId::tx(index));
  return queues;
}

tl::unexpected<Error> fail_removed(std::string_view name) {
  return fail(ErrorCode::device_removed, fmt::format("{}: the device was removed: its registers read all ones", name),
              "close the port; if the virtual machine still has the device, open it again");
}

ParavirtualPort::ParavirtualPort(std::shared_ptr<ContextState> context, PortInfo info, Drops drops)
    : QueuedPort(std::move(context), std::move(info), drops) {
  capabilities_ = {offer<RegisterDump>(*this), offer<Interrupts>(*this), offer<TransmitWatch>(*this)};
}

void ParavirtualPort::add(ParavirtualRxQueue& queue) {
  rx_queues_.push_back(&queue);
  QueuedPort::add(queue);
}

void ParavirtualPort::add(ParavirtualTxQueue& queue) {
  tx_queues_.push_back(&queue);
  QueuedPort::add(queue);
}

TxQueueLimits ParavirtualPort::tx_limits() const noexcept {
  return {.min_frame = info().limits.min_frame,
          .max_frame = frame_bytes(info().limits.max_mtu),
          .offloads = info().offloads.tx_flags};
}

tl::unexpected<Error> ParavirtualPort::refuse(ErrorCode code, std::string_view what, std::string_view hint) const {
  return fail(code, fmt::format("{}: {}", info().name, what), std::string(hint));
}

tl::unexpected<Error> ParavirtualPort::fail_queue(std::string_view has, QueueId queue, std::string_view why) const {
  return fail(ErrorCode::device_fault,
              fmt::format("{}: the device {} {} queue {}{}", device_->name(), has,
                          queue.receives() ? "receive" : "transmit", queue.index, why),
              "close the port and open it again, or detach it and attach its device, which resets the device");
}

Result<void> ParavirtualPort::check_faults() const {
  for (const QueueId queue : queues_of(config())) {
    const char* const fault = queue.receives() ? rx_queues_[queue.index]->fault() : tx_queues_[queue.index]->fault();
    if (fault != nullptr) return fail_queue(fmt::format("returned {} on", fault), queue);
  }
  return {};
}

std::vector<int> ParavirtualPort::events() const { return device_events(device_.get(), event_); }

TransmitWatch::Report ParavirtualPort::watch_transmit(Duration limit) {
  if (link().up) {
    return tx_watch_.look(config().tx_queues(), context()->clock().now(), limit,
                          [this](std::uint16_t queue) { return tx_queues_[queue]->progress(); });
  }
  tx_watch_.forget();
  return {};
}

// A full ring may wait for a far end that does not receive. Frames that have not been sent by then count as dropped.
void ParavirtualPort::wait_for_transmit(const Bar& registers, std::uint16_t begin, std::uint16_t end) {
  const auto finished = [&] {
    registers.flush();
    bool all = true;
    for (std::uint16_t queue = begin; queue < end; ++queue) all = tx_queues_[queue]->finished() && all;
    return all;
  };
  const auto sent = wait_until(context()->clock(), "the transmission of all queued frames",
                               std::chrono::milliseconds(50), finished, std::chrono::microseconds(100));
  if (!sent) context()->log(LogLevel::warning, device_->name(), sent.error().what);
}

void ParavirtualPort::forget_vectors() noexcept {
  for (ParavirtualRxQueue* queue : rx_queues_) queue->attach_vector(-1);
  event_ = -1;
  vectors_ = 0;
}

int ParavirtualPort::enable_interrupts(unsigned others, unsigned least) {
  forget_vectors();
  others_ = others;
  const unsigned wanted = std::min(device_->interrupt_vectors(), config().rx_queues() + others);
  if (wanted < least || config().rx_queues() == 0) return -1;
  const auto events = device_->enable_interrupts(wanted);
  if (!events) {
    context()->log(LogLevel::warning, device_->name(),
                   events.error().message() + "; no thread can sleep on the port's queues");
    return -1;
  }
  vectors_ = wanted;
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue)
    rx_queues_[queue]->attach_vector((*events)[vector_of(queue)]);
  return events->front();
}

Result<std::vector<unsigned>> ParavirtualPort::rx_vectors() {
  if (device_ == nullptr || device_->interrupt_vectors() == 0)
    return refuse(ErrorCode::not_supported, "the device has no MSI-X vectors", "poll its queues");
  if (vectors_ == 0) {
    return refuse(ErrorCode::bad_state, "no interrupt vector is enabled",
                  "start the port; its log says why vectors could not be enabled");
  }
  std::vector<unsigned> vectors;
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) vectors.push_back(vector_of(queue));
  return vectors;
}

}  // namespace pollux::drivers::paravirtual
