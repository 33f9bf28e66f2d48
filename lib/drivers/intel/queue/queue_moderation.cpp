// SPDX-License-Identifier: BSD-3-Clause
// The capability Interrupts of a port with queues of advanced descriptors.
#include <chrono>

#include <fmt/format.h>

#include "drivers/intel/queue/queue_port.hpp"

namespace pollux::drivers::intel {

Result<QueueInterrupts*> QueuePort::expect_vectors() {
  if (QueueInterrupts* const interrupts = queues_->interrupts()) return interrupts;
  return fail(
      ErrorCode::not_supported,
      fmt::format("{}: the device has no MSI-X vectors, and MSI and the interrupt pin are not used", info().name),
      "poll the port's queues; or give the device MSI-X, which a hypervisor or the kernel's option pci=nomsi "
      "may have taken away");
}

Result<QueueInterrupts*> QueuePort::expect_rx_queue(std::uint16_t queue) {
  auto interrupts = expect_vectors();
  if (!interrupts || queue < info().limits.max_rx_queues) return interrupts;
  return fail(ErrorCode::invalid_argument, fmt::format("{}: there is no receive queue {}", info().name, queue),
              fmt::format("the port has at most {}", info().limits.max_rx_queues));
}

Result<std::vector<unsigned>> QueuePort::rx_vectors() {
  const auto interrupts = expect_vectors();
  if (!interrupts) return tl::unexpected<Error>(interrupts.error());
  if ((*interrupts)->enabled() == 0) {
    return fail(ErrorCode::bad_state, fmt::format("{}: no interrupt vector is enabled", info().name),
                "start the port with a receive queue; if it is started, its log says why they could not be enabled");
  }
  std::vector<unsigned> vectors;
  for (unsigned queue = 0; queue < config().rx_queues(); ++queue) vectors.push_back((*interrupts)->vector_of(queue));
  return vectors;
}

Result<void> QueuePort::set_moderation(std::uint16_t queue, const InterruptModeration& moderation) {
  const auto interrupts = expect_rx_queue(queue);
  if (!interrupts) return tl::unexpected<Error>(interrupts.error());
  const Duration interval = moderation.interval;
  const bool is_whole = interval == std::chrono::floor<std::chrono::microseconds>(interval);
  if (interval < Duration::zero() || interval > kMaxInterval || !is_whole) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: an interrupt interval of {} ns is impossible", info().name, interval.count()),
                "use whole microseconds, from 0 to 8191");
  }
  (*interrupts)->set_moderation(queue, moderation);
  return {};
}

Result<InterruptModeration> QueuePort::moderation(std::uint16_t queue) {
  const auto interrupts = expect_rx_queue(queue);
  if (!interrupts) return tl::unexpected<Error>(interrupts.error());
  return (*interrupts)->moderation(queue);
}

}  // namespace pollux::drivers::intel
