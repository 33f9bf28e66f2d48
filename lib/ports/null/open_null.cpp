// SPDX-License-Identifier: BSD-3-Clause
#include "ports/null/open_null.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include "base/uri_options.hpp"
#include "net/frame_size.hpp"
#include "pollux/net/queue_driver.hpp"
#include "ports/common/port.hpp"

namespace pollux::null {
namespace {

/// Returns copies of a frame, or no frames if it is empty.
class NullRxQueue final : public RxQueueDriver {
 public:
  /// `frame` outlives the queue.
  explicit NullRxQueue(const std::vector<std::uint8_t>& frame) : RxQueueDriver(&burst), frame_(frame) {
    allow_sleeping();
  }

 private:
  static std::uint32_t burst(RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
    auto& queue = static_cast<NullRxQueue&>(base);
    if (queue.frame_.empty()) return 0;
    std::uint32_t made = 0;
    while (made < limit) {
      MbufPtr frame = queue.copy(queue.frame_);
      if (frame == nullptr) break;
      queue.count_arrival(queue.frame_.data(), static_cast<std::uint32_t>(queue.frame_.size()));
      out[made++] = frame.release();
    }
    queue.count_returned(made);
    return made;
  }
  [[nodiscard]] bool watch() noexcept override { return frame_.empty(); }

  std::span<const std::uint8_t> frame_;
};

/// Counts frames as sent and frees them.
class NullTxQueue final : public TxQueueDriver {
 public:
  NullTxQueue() noexcept : TxQueueDriver(&burst) {}

 private:
  static std::uint32_t burst(TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
    auto& queue = static_cast<NullTxQueue&>(base);
    for (std::uint32_t i = 0; i < count; ++i) {
      if (queue.reject(mbufs[i])) continue;
      queue.count_sent(mbufs[i]->packet_length());
      queue.give_back(*mbufs[i]);
    }
    queue.count_taken(count);
    return count;
  }
};

constexpr std::uint16_t kQueues = 16;
constexpr std::uint32_t kMinFrame = kEthernetHeaderBytes + kFcsBytes;
constexpr PortLimits kLimits = software_limits(kQueues, kQueues);
constexpr std::uint32_t kMaxFrame = wire_bytes(kLimits.max_mtu);
constexpr std::string_view kExample = "null: or null:?rx=64";

constexpr ports::PortTraits kTraits{
    .driver = "null", .what = "no card", .limits = kLimits, .offloads = software_offloads(0)};

class NullPort final : public ports::SoftwarePort {
 public:
  NullPort(const ports::PortIdentity& identity, std::vector<std::uint8_t> frame)
      : ports::SoftwarePort(identity, kTraits), frame_(std::move(frame)) {
    for (std::uint16_t queue = 0; queue < kQueues; ++queue) {
      add(rx_.emplace_back(frame_));
      add(tx_[queue]);
    }
  }

  [[nodiscard]] Result<void> check(const PlacedSettings&, PlacedSettings& to) override {
    if (to.queues.rx.empty() || frame_.size() <= frame_bytes(to.mtu)) return {};
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: the frames that it generates are too long for mtu = {}", info().name, to.mtu),
                fmt::format("use an mtu of at least {}", frame_.size() - frame_bytes(0)));
  }

 private:
  std::vector<std::uint8_t> frame_;
  std::deque<NullRxQueue> rx_;
  std::array<NullTxQueue, kQueues> tx_;
};

/// A broadcast frame of `bytes` bytes including FCS, from `source`. The result has no FCS.
std::vector<std::uint8_t> make_frame(std::uint32_t bytes, const MacAddress& source) {
  std::vector<std::uint8_t> frame(bytes - kFcsBytes);
  std::fill_n(frame.begin(), 6, std::uint8_t{0xFF});
  std::copy(source.begin(), source.end(), frame.begin() + 6);
  frame[12] = 0x88;  // 0x88B5: IEEE 802's EtherType for local experiments
  frame[13] = 0xB5;
  return frame;
}

}  // namespace

Result<std::unique_ptr<PortDriver>> open_null(Context& context, std::string_view which) {
  const std::string name = fmt::format("null:{}", which);
  constexpr std::array<std::string_view, 1> kKeys{"rx"};
  Result<UriOptions> options;
  if (!which.empty()) {
    if (which.starts_with('?')) which.remove_prefix(1);
    options = UriOptions::parse(which, kKeys, name, kExample);
  }
  if (!options) return pass_on(std::move(options));
  const MacAddress mac = ports::mac_for(name);
  std::vector<std::uint8_t> frame;
  if (const auto rx = options->get("rx")) {
    std::uint32_t bytes = 0;
    const auto [end, error] = std::from_chars(rx->data(), rx->data() + rx->size(), bytes);
    if (error != std::errc() || end != rx->data() + rx->size() || bytes < kMinFrame || bytes > kMaxFrame) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("'{}': rx must be a number from {} to {}", name, kMinFrame, kMaxFrame),
                  fmt::format("write {}", kExample));
    }
    frame = make_frame(bytes, mac);
  }
  return ports::make_port<NullPort>(context, name, mac, std::move(frame));
}

}  // namespace pollux::null
