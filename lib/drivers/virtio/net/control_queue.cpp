// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/virtio/net/control_queue.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace pollux::drivers::virtio {
namespace {

using hw::virtio::ControlHeader;
using hw::virtio::ControlStatus;

/// Linux, virtio_net.c, waits without a limit; a device of a busy host may take long.
constexpr Duration kAnswerLimit = std::chrono::seconds(1);
constexpr Duration kPollInterval = std::chrono::microseconds(10);

/// Places in Virtqueue::extra.
constexpr std::uint32_t kHeaderAt = 0;
constexpr std::uint32_t kStatusAt = 64;
constexpr std::uint32_t kDataAt = 128;
constexpr std::uint32_t kMaxSize = 64;

}  // namespace

Result<void> ControlQueue::allocate(const VirtioNetCard& card, std::uint16_t queue, int numa_node) {
  const std::uint32_t size = std::min(queue_limit(card, queue), kMaxSize);
  if (size < kMinSize) {
    return fail(ErrorCode::device_fault, fmt::format("{}: its control queue has {} descriptors", card.name, size),
                "use a device whose control queue has at least 4");
  }
  auto memory = allocate_virtqueue(*card.context, card.features, size, kDataAt + kMaxData, numa_node, card.name);
  if (!memory) return pass_on(std::move(memory));
  memory_ = *std::move(memory);
  queue_ = queue;
  packed_ = card.has(feature::kRingPacked);
  const RingOptions options{.event_index = card.has(feature::kEventIdx), .in_order = card.has(feature::kInOrder)};
  split_ = packed_ ? SplitRing() : SplitRing(memory_, options);
  packed_ring_ = packed_ ? PackedRing(memory_, options) : PackedRing();
  return {};
}

Result<void> ControlQueue::start(const VirtioNetCard& card) {
  std::memset(memory_.descriptors.address, 0,
              static_cast<std::size_t>(memory_.extra.address - memory_.descriptors.address));
  next_ = entry_ = 0;
  is_silent_ = false;
  packed_ ? packed_ring_.ask_none(0) : split_.ask_none(0);
  auto notifier = enable_queue(card, queue_, memory_, hw::virtio::kNoVector);
  if (!notifier) return pass_on(std::move(notifier));
  notifier_ = *notifier;
  return {};
}

void ControlQueue::write(std::uint32_t data_bytes) noexcept {
  struct Part {
    std::uint32_t at;
    std::uint32_t length;
    std::uint16_t flags;
  };
  std::array<Part, 3> parts{{{kHeaderAt, sizeof(ControlHeader), hw::virtio::kDescNext},
                             {kDataAt, data_bytes, hw::virtio::kDescNext},
                             {kStatusAt, sizeof(ControlStatus), hw::virtio::kDescWrite}}};
  if (data_bytes == 0) std::swap(parts[1], parts[2]);
  const std::uint32_t count = data_bytes != 0 ? 3 : 2;
  const std::uint32_t id = next_ & (memory_.size - 1);
  for (std::uint32_t i = count; i-- != 0;) {
    const std::uint64_t iova = memory_.extra.iova + parts[i].at;
    if (packed_) {
      packed_ring_.put(next_ + i, iova, parts[i].length, id, parts[i].flags);
    } else {
      const std::uint32_t slot = (id + i) & split_.mask;
      split_.descriptors[slot] = {.address = iova,
                                  .length = parts[i].length,
                                  .flags = parts[i].flags,
                                  .next = static_cast<std::uint16_t>((slot + 1) & split_.mask)};
    }
  }
  if (packed_) {
    packed_ring_.publish(next_, next_ + count, next_, notifier_);
  } else {
    split_.available[entry_ & split_.mask] = static_cast<std::uint16_t>(id);
    split_.publish(entry_, entry_ + 1, entry_, notifier_);
  }
  notifier_.flush();
}

// There is one command, so whatever buffer the device returns means that one.
bool ControlQueue::take_used() noexcept { return packed_ ? packed_ring_.ready(next_) != 0 : split_.ready(entry_) != 0; }

Result<void> ControlQueue::send(const VirtioNetCard& card, std::string_view name,
                                hw::virtio::ControlClass control_class, std::uint8_t command,
                                std::span<const std::uint8_t> data) {
  const auto silent = [&] {
    return fail(ErrorCode::timeout,
                fmt::format("{}: the device did not answer the command {} within a second", card.name, name),
                "stop the port and start it again, which resets the device");
  };
  if (is_silent_) return silent();
  if (data.size() > kMaxData) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: the command {} is too long", card.name, name),
                "use fewer addresses");
  }
  *memory_.extra.at<ControlHeader>(kHeaderAt) = {control_class, command};
  *memory_.extra.at<ControlStatus>(kStatusAt) = ControlStatus::error;
  std::copy(data.begin(), data.end(), memory_.extra.at<std::uint8_t>(kDataAt));
  write(static_cast<std::uint32_t>(data.size()));
  const auto answered = [&] {
    if (take_used()) return true;
    card.common().flush();
    return take_used();
  };
  const auto waited = wait_until(card.clock(), name, kAnswerLimit, answered, kPollInterval);
  if (card.common().removed()) return fail_removed(card.name);
  if (!waited) {
    is_silent_ = true;
    return silent();
  }
  next_ += data.empty() ? 2U : 3U;
  ++entry_;
  if (__atomic_load_n(memory_.extra.at<std::uint8_t>(kStatusAt), __ATOMIC_ACQUIRE) == 0) return {};
  return fail(ErrorCode::device_fault, fmt::format("{}: the device refuses the command {}", card.name, name),
              "the device's log may say why");
}

}  // namespace pollux::drivers::virtio
