// SPDX-License-Identifier: BSD-3-Clause
#include "models/virtio/net/control.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "models/virtio/net/packet.hpp"

namespace pollux::models::virtio {
namespace {

namespace feature = hw::feature;
/// Longer than any command: two tables of addresses of 64 KiB.
constexpr std::uint64_t kMaxRequest = std::uint64_t{1} << 17;
constexpr std::size_t kWorkOfByte = 4;
constexpr hw::Features kGuestOffloads = feature::kGuestCsum | feature::kGuestTso4 | feature::kGuestTso6 |
                                        feature::kGuestEcn | feature::kGuestUso4 | feature::kGuestUso6;

/// Reads little-endian numbers from a command's data. After a read beyond the end all is zero and `ok` is false.
class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> data) : data_(data) {}
  [[nodiscard]] std::uint64_t number(std::size_t bytes) {
    std::uint64_t value = 0;
    const auto read = take(bytes);
    for (std::size_t i = 0; i < read.size(); ++i) value |= std::uint64_t{read[i]} << 8 * i;
    return value;
  }
  [[nodiscard]] std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  [[nodiscard]] std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  [[nodiscard]] std::span<const std::uint8_t> take(std::size_t bytes) {
    if (bytes > data_.size()) {
      ok_ = false;
      data_ = {};
      return {};
    }
    const auto taken = data_.first(bytes);
    data_ = data_.subspan(bytes);
    return taken;
  }
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  /// Whether all was read, and no more.
  [[nodiscard]] bool complete() const noexcept { return ok_ && data_.empty(); }

 private:
  std::span<const std::uint8_t> data_;
  bool ok_ = true;
};

}  // namespace

bool Control::work() {
  Queue& queue = core_.queues[core_.control_index()];
  // The queue does not answer from the planned command on.
  if (core_.faults.kind == FaultKind::no_answer && core_.faults.struck()) return false;
  // A driver may add a command as soon as it sees an answer: before the wish for kicks, which then includes this one.
  do {
    while (core_.may_work() && core_.take(queue, chain_)) {
      if (!run_command()) return false;
    }
    if (!core_.running()) return false;
    core_.finish(queue, 1);
    queue.ask_for_kicks(true);
  } while (core_.may_work() && queue.available());
  return queue.available();
}

bool Control::run_command() {
  if (chain_.readable_bytes() < 2 || chain_.readable_bytes() > kMaxRequest || chain_.writable_bytes() == 0)
    return core_.fail("a control command has no header, no room for its status, or is too long"), false;
  if (core_.faults.strikes(FaultKind::no_answer, true)) return false;
  request_.clear();
  for (const Chain::Part& part : chain_.readable) {
    const std::size_t at = request_.size();
    request_.resize(at + part.length);
    if (!core_.memory.read(ModelAccess::payload_read, core_.control_index(), part.iova,
                           std::as_writable_bytes(std::span(request_)).subspan(at)))
      return core_.fail("a control command cannot be read"), false;
  }
  // A table of addresses takes longer than its bytes.
  if (core_.budget != nullptr) core_.budget->charge(kWorkOfByte * request_.size());
  result_.clear();
  const bool done = execute(request_[0], request_[1], Data(request_).subspan(2));
  if (!answer(chain_, done)) return core_.fail("a control command's status cannot be written"), false;
  return true;
}

// 5.1.6.5: the status comes first, a result follows it.
bool Control::answer(const Chain& chain, bool done) {
  std::vector<std::uint8_t> bytes{static_cast<std::uint8_t>(done ? hw::ControlStatus::ok : hw::ControlStatus::error)};
  if (done) bytes.insert(bytes.end(), result_.begin(), result_.end());
  Queue& queue = core_.queues[core_.control_index()];
  auto left = std::as_bytes(std::span(bytes));
  for (const Chain::Part& part : chain.writable) {
    const std::size_t count = std::min<std::size_t>(part.length, left.size());
    if (count != 0 && !core_.memory.write(ModelAccess::payload_write, queue.number(), part.iova, left.first(count)))
      return false;
    left = left.subspan(count);
  }
  queue.use(chain, static_cast<std::uint32_t>(bytes.size() - left.size()));
  return true;
}

bool Control::execute(std::uint8_t control_class, std::uint8_t command, Data data) {
  switch (static_cast<hw::ControlClass>(control_class)) {
    case hw::ControlClass::rx: return set_rx_mode(command, data);
    case hw::ControlClass::mac:
      if (command == hw::mac_command::kTableSet) return core_.has(feature::kCtrlRx) && set_addresses(data);
      return command == hw::mac_command::kAddressSet && core_.has(feature::kCtrlMacAddr) && set_address(data);
    case hw::ControlClass::vlan: return core_.has(feature::kCtrlVlan) && set_vlan(command, data);
    case hw::ControlClass::announce:
      if (!core_.has(feature::kGuestAnnounce) || command != hw::announce_command::kAcknowledge || !data.empty())
        return false;
      hooks_.announced();
      return true;
    case hw::ControlClass::mq:
      if (command == hw::mq_command::kPairsSet) return core_.has(feature::kMq) && set_pairs(data);
      if (command == hw::mq_command::kRss) return core_.has(feature::kRss) && set_rss(data);
      return command == hw::mq_command::kHash && core_.has(feature::kHashReport) && set_hash(data);
    case hw::ControlClass::guest_offloads:
      return core_.has(feature::kCtrlGuestOffloads) && command == hw::guest_offloads_command::kSet &&
             set_offloads(data);
    case hw::ControlClass::coalescing: return set_coalescing(command, data);
  }
  return false;
}

bool Control::set_rx_mode(std::uint8_t command, Data data) {
  Settings& s = core_.settings;
  const std::array<bool*, 6> modes{&s.promiscuous,  &s.all_multicast, &s.all_unicast,
                                   &s.no_multicast, &s.no_unicast,    &s.no_broadcast};
  if (command >= modes.size() || data.size() != 1 || data[0] > 1) return false;
  if (!core_.has(command < hw::rx_command::kAllUnicast ? feature::kCtrlRx : feature::kCtrlRxExtra)) return false;
  *modes[command] = data[0] == 1;
  return true;
}

// [I-V-ADDRESSES] The device's tables have as many entries as QEMU's, and a longer one means all addresses, too
// (virtio-net.c, MAC_TABLE_ENTRIES): a frame is compared with each entry.
bool Control::set_addresses(Data data) {
  constexpr std::size_t kTableEntries = 64;
  Reader reader(data);
  std::vector<MacAddress> addresses;
  std::array<bool, 2> more{};
  for (const bool multicast : {false, true}) {
    const std::uint32_t count = reader.u32();
    more[multicast ? 1 : 0] = count > kTableEntries;
    for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
      const auto bytes = reader.take(sizeof(MacAddress));
      MacAddress address{};
      std::copy(bytes.begin(), bytes.end(), address.begin());
      if (((address[0] & 1) != 0) != multicast) return false;
      if (count <= kTableEntries) addresses.push_back(address);
    }
  }
  if (!reader.complete()) return false;
  core_.settings.addresses = std::move(addresses);
  core_.settings.more_unicast = more[0];
  core_.settings.more_multicast = more[1];
  return true;
}

bool Control::set_address(Data data) {
  if (data.size() != sizeof(MacAddress) || (data[0] & 1) != 0) return false;
  std::copy(data.begin(), data.end(), core_.mac.begin());
  hooks_.config_changed();
  return true;
}

bool Control::set_vlan(std::uint8_t command, Data data) {
  Reader reader(data);
  const std::uint16_t vlan = reader.u16();
  if (!reader.complete() || vlan >= core_.settings.vlans.size() || command > hw::vlan_command::kDelete) return false;
  core_.settings.vlans.set(vlan, command == hw::vlan_command::kAdd);
  return true;
}

// 5.1.6.5.6: "driver MUST configure the virtqueues before enabling them".
bool Control::set_pairs(Data data) {
  Reader reader(data);
  const std::uint16_t pairs = reader.u16();
  if (!reader.complete() || pairs == 0 || pairs > core_.options.pairs) return false;
  for (std::uint32_t pair = 0; pair < pairs; ++pair) {
    if (!core_.rx(pair).enabled() || !core_.tx(pair).enabled()) return false;
  }
  core_.settings.pairs = pairs;
  core_.settings.rss = false;
  return true;
}

// What follows the key is ignored here and in set_hash: Linux sends its structure's padding, too, from 6.15 on.
bool Control::set_rss(Data data) {
  Reader reader(data);
  const std::uint32_t types = reader.u32();
  const std::uint32_t entries = std::uint32_t{reader.u16()} + 1;
  const std::uint16_t unclassified = reader.u16();
  if (entries > hw::kRssTableEntries || !std::has_single_bit(entries) || (types & ~kHashTypes) != 0) return false;
  std::vector<std::uint16_t> table;
  for (std::uint32_t i = 0; i < entries; ++i) table.push_back(reader.u16());
  const std::uint16_t tx_queues = reader.u16();
  const auto key = reader.take(static_cast<std::size_t>(reader.number(1)));
  if (!reader.ok() || key.size() > hw::kRssKeyBytes || tx_queues == 0 || tx_queues > core_.options.pairs) return false;
  const auto usable = [&](std::uint16_t pair) { return pair < core_.options.pairs && core_.rx(pair).enabled(); };
  if (!usable(unclassified) || !std::all_of(table.begin(), table.end(), usable)) return false;
  Settings& s = core_.settings;
  s.rss = true;
  s.hash_types = types;
  s.table = std::move(table);
  s.unclassified = unclassified;
  s.key.assign(key.begin(), key.end());
  s.pairs = tx_queues;
  return true;
}

bool Control::set_hash(Data data) {
  Reader reader(data);
  const std::uint32_t types = reader.u32();
  const std::uint64_t reserved = reader.number(8);
  const auto key = reader.take(static_cast<std::size_t>(reader.number(1)));
  if (!reader.ok() || reserved != 0 || (types & ~kHashTypes) != 0 || key.size() > hw::kRssKeyBytes) return false;
  core_.settings.rss = false;
  core_.settings.hash_types = types;
  core_.settings.key.assign(key.begin(), key.end());
  return true;
}

bool Control::set_offloads(Data data) {
  Reader reader(data);
  const hw::Features wanted = reader.number(8);
  const hw::Features possible = core_.features & kGuestOffloads;
  if (!reader.complete() || (wanted & ~possible) != 0 || hw::without_unmet(wanted) != wanted) return false;
  core_.settings.guest_offloads = wanted;
  return true;
}

// 5.1.6.5.9.
bool Control::set_coalescing(std::uint8_t command, Data data) {
  Reader reader(data);
  const bool of_queue = command == hw::coalescing_command::kQueueSet || command == hw::coalescing_command::kQueueGet;
  if (command > hw::coalescing_command::kQueueGet || !core_.has(of_queue ? feature::kVqNotfCoal : feature::kNotfCoal))
    return false;
  std::uint16_t queue = 0;
  if (of_queue) {
    queue = reader.u16();
    static_cast<void>(reader.u16());  // reserved, ignored
    if (!reader.ok() || queue >= core_.control_index() || !core_.queues[queue].enabled()) return false;
  }
  if (command == hw::coalescing_command::kQueueGet) {
    if (!reader.complete()) return false;
    const hw::Coalescing limits = core_.coalescing(queue);
    result_.resize(sizeof limits);
    std::memcpy(result_.data(), &limits, sizeof limits);
    return true;
  }
  const std::uint32_t packets = reader.u32();
  const hw::Coalescing limits{packets, reader.u32()};
  if (!reader.complete()) return false;
  if (of_queue) return core_.set_coalescing(queue, limits), true;
  const bool receives = command == hw::coalescing_command::kRxSet;
  (receives ? core_.settings.rx_coalescing : core_.settings.tx_coalescing) = limits;
  for (std::uint16_t number = receives ? 0 : 1; number < core_.control_index(); number += 2) {
    core_.set_coalescing(number, limits);
  }
  return true;
}

}  // namespace pollux::models::virtio
