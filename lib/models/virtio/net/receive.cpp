// SPDX-License-Identifier: BSD-3-Clause
#include "models/virtio/net/receive.hpp"

#include <algorithm>
#include <cstring>

namespace pollux::models::virtio {
namespace {

constexpr std::size_t kTagBytes = 4;
/// [I-V-PARTS] The most buffers that one frame may take, as in QEMU (virtio.h, VIRTQUEUE_MAX_SIZE).
constexpr std::size_t kMaxParts = 1024;

MacAddress destination(std::span<const std::byte> frame) {
  MacAddress mac;
  std::memcpy(mac.data(), frame.data(), mac.size());
  return mac;
}

bool is_broadcast(const MacAddress& mac) {
  return std::all_of(mac.begin(), mac.end(), [](std::uint8_t byte) { return byte == 0xFF; });
}

}  // namespace

// 5.1.6.5.1 and 5.1.6.5.2. [I-V-FILTER] Without CTRL_RX nobody could open the filter, so all frames pass. With it the
// device starts with its own address and broadcast alone.
bool Receive::passes(std::span<const std::byte> frame) const {
  const Settings& s = core_.settings;
  if (s.promiscuous) return true;
  const auto vlan = vlan_of(frame);
  if (core_.has(hw::feature::kCtrlVlan) && vlan && !s.vlans.test(*vlan)) return false;
  const MacAddress to = destination(frame);
  if (is_broadcast(to)) return !s.no_broadcast;
  const bool multicast = (to[0] & 1) != 0;
  if (multicast ? s.no_multicast : s.no_unicast) return false;
  if (!core_.has(hw::feature::kCtrlRx) || to == core_.mac) return true;
  if (multicast ? s.all_multicast || s.more_multicast : s.all_unicast || s.more_unicast) return true;
  return std::find(s.addresses.begin(), s.addresses.end(), to) != s.addresses.end();
}

std::uint32_t Receive::choose(std::span<const std::byte> frame, const Hash& hash) const {
  const Settings& s = core_.settings;
  const std::uint32_t chosen = steer(frame, hash);
  if (core_.rx(chosen).enabled()) return chosen;
  // 5.1.6.5.6.1: another queue while that one is reset.
  for (std::uint32_t i = 0; i < s.pairs; ++i) {
    if (core_.rx((chosen + i) % s.pairs).enabled()) return (chosen + i) % s.pairs;
  }
  return chosen;
}

// 5.1.6.5.5: the last command decides between both kinds of steering.
std::uint32_t Receive::steer(std::span<const std::byte> frame, const Hash& hash) const {
  const Settings& s = core_.settings;
  if (s.rss) return hash.report == 0 ? s.unclassified : s.table[hash.value & (s.table.size() - 1)];
  if (s.pairs == 1) return 0;
  const std::uint32_t flow = flow_of(frame);
  const std::uint8_t sender = flows_[flow % flows_.size()];
  return (sender != 0 ? sender - 1U : flow) % s.pairs;
}

void Receive::learn(std::span<const std::byte> frame, std::uint32_t pair) {
  if (core_.settings.pairs > 1) flows_[flow_of(frame) % flows_.size()] = static_cast<std::uint8_t>(pair + 1);
}

void Receive::receive(std::span<const std::byte> frame, const hw::NetHeader& header) {
  if (!core_.running() || frame.size() < kEthernetBytes) return void(++core_.counters.rx_stopped);
  if (!passes(frame)) return void(++core_.counters.rx_filtered);
  // 5.1.4.1: with MTU no longer packet is passed on, unless it is made of several.
  const std::size_t longest = core_.options.mtu + kEthernetBytes + (vlan_of(frame) ? kTagBytes : 0);
  if (core_.has(hw::feature::kMtu) && header.gso_type == kGsoNone && frame.size() > longest)
    return void(++core_.counters.rx_too_long);
  const Hash hash = hash_of(frame, core_.settings.hash_types, core_.settings.key);
  const std::uint32_t pair = choose(frame, hash);
  if (!core_.rx(pair).enabled()) return void(++core_.counters.rx_stopped);
  Waiting arrived{{}, {header, hash.value, hash.report, 0}};
  if (header.flags == 0 && (core_.settings.guest_offloads & hw::feature::kGuestCsum) != 0 && checksums_are_right(frame))
    arrived.header.header.flags = kDataValid;
  if (backlog_[pair].empty()) {
    const Placed placed = place(core_.rx(pair), frame, arrived.header);
    if (placed == Placed::done) core_.finish(core_.rx(pair), 1);
    if (placed != Placed::no_buffers) return;
  }
  if (backlog_bytes_ + frame.size() > kBacklogBytes) return void(++core_.counters.rx_no_room);
  arrived.frame.assign(frame.begin(), frame.end());
  backlog_bytes_ += frame.size();
  backlog_[pair].push_back(std::move(arrived));
}

bool Receive::refill(std::uint32_t pair) {
  std::deque<Waiting>& waiting = backlog_[pair];
  Queue& queue = core_.rx(pair);
  std::uint32_t packets = 0;
  bool has_buffers = true;
  while (!waiting.empty() && core_.running() && core_.may_work()) {
    const Placed placed = place(queue, waiting.front().frame, waiting.front().header);
    has_buffers = placed != Placed::no_buffers;
    if (!has_buffers) break;
    backlog_bytes_ -= waiting.front().frame.size();
    waiting.pop_front();
    if (placed == Placed::done) ++packets;
  }
  if (packets != 0) core_.finish(queue, packets);
  // [I-V-KICKS] While buffers remain, the driver need not tell of new ones, and has to look at this wish.
  if (waiting.empty()) queue.ask_for_kicks(!queue.available());
  return has_buffers && !waiting.empty() && core_.running();
}

// Takes entries until they have room for `needed` bytes. Asks the driver for more if there are too few.
bool Receive::gather(Queue& queue, std::uint64_t needed) {
  const Queue::Position start = queue.position();
  for (bool asked = false;; asked = true) {
    std::uint64_t room = 0;
    std::size_t parts = 0;
    taken_ = 0;
    while (room < needed) {
      if (taken_ == chains_.size()) chains_.emplace_back();
      if (!core_.take(queue, chains_[taken_])) break;
      parts += chains_[taken_].writable.size();
      if (parts > kMaxParts) return core_.fail("a frame's room is in too many buffers"), false;
      room += chains_[taken_++].writable_bytes();
      if (!core_.has(hw::feature::kMrgRxbuf)) return true;
    }
    if (room >= needed || !core_.running()) return core_.running();
    queue.rewind(start);
    if (asked) return false;
    queue.ask_for_kicks(true);
  }
}

Receive::Placed Receive::place(Queue& queue, std::span<const std::byte> frame, hw::NetHeaderWithHash header) {
  const std::size_t header_bytes =
      core_.has(hw::feature::kHashReport) ? sizeof(hw::NetHeaderWithHash) : sizeof(hw::NetHeader);
  const Queue::Position start = queue.position();
  if (!gather(queue, header_bytes + frame.size())) return core_.running() ? Placed::no_buffers : Placed::dropped;
  for (std::size_t i = 0; i < taken_; ++i) {
    if (!chains_[i].readable.empty()) {
      core_.fail("a receive buffer is readable");
      return Placed::dropped;
    }
  }
  if (!core_.has(hw::feature::kMrgRxbuf) && chains_[0].writable_bytes() < header_bytes + frame.size()) {
    queue.rewind(start);
    ++core_.counters.rx_too_long;
    return Placed::dropped;
  }
  if (chains_[0].writable_bytes() < header_bytes) {
    core_.fail("a receive buffer has no room for the header");
    return Placed::dropped;
  }
  header.header.num_buffers = static_cast<std::uint16_t>(taken_);
  if (core_.faults.strikes(FaultKind::no_buffers, true)) header.header.num_buffers = 0;
  if (core_.faults.strikes(FaultKind::many_buffers, true)) header.header.num_buffers = 0xFFFF;
  if (!scatter(queue, std::as_bytes(std::span(&header, 1)).first(header_bytes), frame)) {
    core_.fail("a receive buffer cannot be written");  // [I-V-MEMORY]
    return Placed::dropped;
  }
  ++core_.counters.rx_frames;
  return Placed::done;
}

// 5.1.6.4.1: all buffers but the last are filled.
bool Receive::scatter(Queue& queue, std::span<const std::byte> header, std::span<const std::byte> frame) {
  for (std::size_t i = 0; i < taken_; ++i) {
    std::uint32_t written = 0;
    for (const Chain::Part& part : chains_[i].writable) {
      for (std::uint32_t done = 0; done < part.length && (!header.empty() || !frame.empty());) {
        std::span<const std::byte>& from = header.empty() ? frame : header;
        const std::size_t count = std::min<std::size_t>(part.length - done, from.size());
        if (!core_.memory.write(ModelAccess::payload_write, queue.number(), part.iova + done, from.first(count)))
          return false;
        from = from.subspan(count);
        done += static_cast<std::uint32_t>(count);
        written += static_cast<std::uint32_t>(count);
      }
    }
    queue.use(chains_[i], written);
  }
  return true;
}

void Receive::drop_backlog(std::uint32_t pair) {
  for (const Waiting& waiting : backlog_[pair]) {
    backlog_bytes_ -= waiting.frame.size();
    ++core_.counters.rx_stopped;
  }
  backlog_[pair].clear();
}

void Receive::reset() {
  for (std::uint32_t pair = 0; pair < backlog_.size(); ++pair) drop_backlog(pair);
  flows_ = {};
}

}  // namespace pollux::models::virtio
