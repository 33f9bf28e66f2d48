// SPDX-License-Identifier: BSD-3-Clause
#include "bridge/learning_bridge.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace pollux::examples {
namespace {

/// A group address has the lowest bit of its first byte set (IEEE 802, 8.4).
bool is_group(const MacAddress& mac) { return (mac[0] & 1) != 0; }
/// 01-80-C2-00-00-00 to -0F: for the bridge itself, such as spanning tree (IEEE 802.1D, table 7-10).
bool is_reserved(const MacAddress& mac) {
  constexpr std::array<std::uint8_t, 5> kReserved{0x01, 0x80, 0xC2, 0x00, 0x00};
  return std::equal(kReserved.begin(), kReserved.end(), mac.begin()) && mac[5] <= 0x0F;
}
std::uint64_t key_of(const MacAddress& mac) {
  return std::uint64_t{packet::load16(mac.data())} << 32 | packet::load32(mac.data() + 2);
}

}  // namespace

Result<std::unique_ptr<LearningBridge>> LearningBridge::create(const Options& options) {
  if (options.ports < 2)
    return fail(ErrorCode::invalid_argument, "a bridge needs two ports or more", "name more ports");
  auto addresses = FlowTable<std::uint16_t>::create(
      {.capacity = options.addresses, .max_age = options.max_age, .seed = options.seed});
  if (!addresses) return pass_on(std::move(addresses));
  return std::unique_ptr<LearningBridge>(new LearningBridge(options.ports, *std::move(addresses)));
}

LearningBridge::LearningBridge(std::uint16_t ports, FlowTable<std::uint16_t> addresses)
    : addresses_(std::move(addresses)), out_(ports) {}

void LearningBridge::forward(std::uint16_t from, Burst<kBurst>& received, Time now, MempoolCache& cache) {
  received.take_each([&](MbufPtr frame) { forward_one(from, std::move(frame), now, cache); });
}

void LearningBridge::forget(std::uint16_t port) noexcept {
  counts_.forgotten += addresses_.erase_if([port](std::uint64_t, std::uint16_t behind) { return behind == port; });
}

void LearningBridge::forward_one(std::uint16_t from, MbufPtr frame, Time now, MempoolCache& cache) {
  const auto header = packet::EthernetHeader::read(frame->bytes());
  if (!header || is_group(header->source)) return drop(std::move(frame), bad_frame_);
  std::uint16_t* const known = addresses_.find(key_of(header->source), now);
  if (known == nullptr) {
    addresses_.store(key_of(header->source), from, now);
  } else if (*known != from) {
    *known = from;
    ++counts_.moved;
  }
  if (is_reserved(header->destination)) return drop(std::move(frame), reserved_);
  // A look, since only what an address sends keeps it.
  const std::uint16_t* const to = addresses_.peek(key_of(header->destination), now);
  if (to == nullptr || is_group(header->destination)) return flood(from, std::move(frame), cache);
  if (*to == from) return drop(std::move(frame), same_port_);
  ++counts_.forwarded;
  static_cast<void>(out_[*to].push(frame));  // has room for every frame of a burst
}

void LearningBridge::flood(std::uint16_t from, MbufPtr frame, MempoolCache& cache) {
  ++counts_.flooded;
  // A port must not write checksums into bytes that others send, too.
  static_cast<void>(complete_checksums(*frame));
  const std::size_t last = from + 1U == out_.size() ? out_.size() - 2 : out_.size() - 1;
  for (std::size_t to = 0; to < last; ++to) {
    if (to == from) continue;
    MbufPtr clone = frame->clone(cache);
    if (!out_[to].push(clone)) no_mbuf_.add(1);
  }
  static_cast<void>(out_[last].push(frame));
}

}  // namespace pollux::examples
