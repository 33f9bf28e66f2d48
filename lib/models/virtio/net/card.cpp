// SPDX-License-Identifier: BSD-3-Clause
#include "models/virtio/net/card.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace pollux::models::virtio {
namespace {

/// 0x40 or more: a device without the legacy interface (VIRTIO 1.3, 4.1.2.1).
constexpr std::uint16_t kSubsystem = 0x1100;
constexpr std::uint8_t kVendorSpecific = 0x09;
/// Without FCS.
constexpr std::size_t kMinFrame = 60;

CardOptions consistent(CardOptions options) {
  options.features = hw::without_unmet(options.features);
  if (options.pairs == 1) options.features &= ~hw::feature::kMq;
  return options;
}

void put32(std::vector<std::uint8_t>& bytes, std::uint32_t offset, std::uint32_t value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

}  // namespace

Card::Card(const CardOptions& options)
    : core_(consistent(options)),
      receive_(core_),
      transmit_(core_, receive_,
                {.pass = [this](const hw::NetHeader& header,
                                std::span<const std::byte> frame) { return pass(header, frame); },
                 .send = [this](std::span<const std::byte> frame) { transmit(frame); }}),
      control_(core_, {.announced = [this] { announcing_ = false; }, .config_changed = [this] { config_changed(); }}),
      table_(2U * options.pairs + 2) {
  core_.tell_driver = [this](const Queue& queue) { tell(queue.setup().vector, hw::ISR::QUEUE.bits() & 0xFF); };
  // 2.1.2: the driver is told, by a change of the configuration.
  core_.on_failure = [this] {
    status_ = static_cast<std::uint8_t>(status_ | hw::DEVICE_STATUS::NEEDS_RESET.bits());
    if (core_.ready) config_changed();
  };
}

PciIdentity Card::identity() const {
  return {.vendor = hw::kVendorId,
          .device = hw::kNetDeviceId,
          .subsystem_vendor = hw::kVendorId,
          .subsystem_device = kSubsystem,
          .revision = 1};
}

std::size_t Card::bar_size(unsigned index) const {
  if (index == kBar) return kNotify + kStructBytes;
  return index == kMsixBar ? MsixTable::kBarBytes : 0;
}

// The order in which ConfigSpace finds room for all of them.
std::vector<DeviceModel::VendorCapability> Card::vendor_capabilities() const {
  const auto make = [](hw::CapabilityType type, std::uint32_t offset, std::uint32_t length, std::uint32_t bytes) {
    VendorCapability capability{std::vector<std::uint8_t>(bytes), type == hw::CapabilityType::pci_access};
    capability.bytes[0] = kVendorSpecific;
    capability.bytes[hw::cap::kLength] = static_cast<std::uint8_t>(bytes);
    capability.bytes[hw::cap::kType] = static_cast<std::uint8_t>(type);
    if (!capability.live) capability.bytes[hw::cap::kBar] = kBar;
    put32(capability.bytes, hw::cap::kOffset, offset);
    put32(capability.bytes, hw::cap::kSize, length);
    return capability;
  };
  using enum hw::CapabilityType;
  std::vector<VendorCapability> all{
      make(hw::CapabilityType::common, kCommon, kStructBytes, hw::cap::kBytes),
      make(notify, kNotify, kStructBytes, hw::cap::kNotifyBytes), make(isr, kIsr, kStructBytes, hw::cap::kBytes),
      make(pci_access, 0, 0, hw::cap::kAccessBytes), make(device, kDevice, kStructBytes, hw::cap::kBytes)};
  put32(all[1].bytes, hw::cap::kNotifyMultiplier, kNotifyMultiplier);
  return all;
}

std::uint32_t Card::read_narrow(unsigned bar, std::uint32_t offset, unsigned width) noexcept {
  if (bar == kMsixBar) return part_of_word(table_.read(word_of(offset)), offset, width);
  if (bar != kBar) return part_of_word(~std::uint32_t{0}, offset, width);
  const std::uint32_t at = offset % kStructBytes;
  switch (offset - at) {
    case kCommon: return read_image(common_image(), at, width);
    case kIsr: return at == 0 ? std::exchange(isr_, std::uint8_t{0}) : 0U;
    case kDevice:
      // 4.1.4.3.1: one step of the counter for each read after a change cannot wrap unnoticed.
      if (std::exchange(config_changed_, false)) ++generation_;
      return read_image(device_image(), at, width);
    default: return 0;
  }
}

void Card::write_narrow(unsigned bar, std::uint32_t offset, unsigned width, std::uint32_t value) noexcept {
  if (bar == kMsixBar) {
    if (width != 4) return ignore();
    if (const auto due = table_.write(offset, value)) send_message(*due);
    return;
  }
  if (bar != kBar) return;
  if (offset < kIsr) return write_common(offset, width, value);
  offset >= kNotify ? notify(offset - kNotify, width, value) : ignore();
}

// 4.1.4.9: BAR, offset and length of an access are set here, and the data is accessed behind them.
std::optional<Card::Access> Card::window_access() const {
  Access access{window_[hw::cap::kBar], 0, 0};
  std::memcpy(&access.width, &window_[hw::cap::kSize], sizeof access.width);
  std::memcpy(&access.offset, &window_[hw::cap::kOffset], sizeof access.offset);
  const bool width = access.width == 1 || access.width == 2 || access.width == 4;
  if (!width || access.offset % access.width != 0 || access.offset >= bar_size(access.bar)) return std::nullopt;
  return access;
}

std::uint32_t Card::read_capability(std::uint32_t offset, unsigned width) noexcept {
  if (const auto access = window_access(); access && offset == hw::cap::kAccessData) {
    const std::uint32_t value = read(access->bar, access->offset, access->width);
    std::memcpy(&window_[hw::cap::kAccessData], &value, sizeof value);
  }
  std::uint32_t value = 0;
  std::memcpy(&value, &window_[offset], width);
  return value;
}

void Card::write_capability(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept {
  if (offset != hw::cap::kBar && offset < hw::cap::kOffset) return ignore();
  std::memcpy(&window_[offset], &value, width);
  if (offset != hw::cap::kAccessData) return;
  const auto access = window_access();
  if (!access) return ignore();
  write(access->bar, access->offset, access->width, part_of_word(value, 0, access->width));
}

// 4.1.5.2 and, with NOTIFICATION_DATA, 2.9. A doorbell of another queue than its place says, and one before DRIVER_OK,
// are ignored.
void Card::notify(std::uint32_t offset, unsigned width, std::uint32_t value) {
  const std::uint32_t queue = offset / kNotifyMultiplier;
  const unsigned right = core_.has(hw::feature::kNotificationData) ? 4 : 2;
  if (offset % kNotifyMultiplier != 0 || width != right || (value & 0xFFFF) != queue || !core_.running() ||
      queue >= core_.queues.size() || !core_.queues[queue].enabled())
    return ignore();
  work(static_cast<std::uint16_t>(queue));
}

void Card::work(std::uint16_t queue) {
  const std::uint64_t bit = std::uint64_t{1} << queue;
  resume_ &= ~bit;
  if (!work_on(queue)) return;
  if (resume_ == 0) resume_at_ = core_.now() + WorkBudget::kPause;
  resume_ |= bit;
}

bool Card::work_on(std::uint16_t queue) {
  if (!core_.running() || queue > core_.control_index()) return false;
  if (queue == core_.control_index()) return core_.has(hw::feature::kCtrlVq) && control_.work();
  return queue % 2 == 0 ? receive_.refill(queue / 2) : transmit_.send(queue / 2);
}

void Card::work_on_all() {
  for (Queue& queue : core_.queues) {
    if (queue.enabled()) work(queue.number());
  }
}

void Card::set_dma(ModelDma* dma) noexcept {
  const bool begins = dma != nullptr && !core_.memory.active();
  core_.memory.connect(dma);
  if (begins) work_on_all();
}

void Card::advance(Duration now) noexcept {
  core_.advance(now);
  if (resume_ == 0 || core_.now() < resume_at_) return;
  const std::uint64_t due = std::exchange(resume_, 0);
  const auto queues = static_cast<std::uint16_t>(core_.queues.size());
  if (++resume_first_ >= queues) resume_first_ = 0;
  for (std::uint16_t i = 0; i < queues; ++i) {
    const auto queue = static_cast<std::uint16_t>((resume_first_ + i) % queues);
    if ((due >> queue & 1) != 0) work(queue);
  }
}

void Card::set_wire_busy(bool busy) noexcept {
  transmit_.hold(busy);
  if (!busy) work_on_all();
}

void Card::set_carrier(bool present) noexcept {
  if (std::exchange(carrier_, present) == present) return;
  transmit_.set_link(present);
  if (core_.ready && (core_.options.features & hw::feature::kStatus) != 0) config_changed();
}

void Card::announce() {
  if (!core_.has(hw::feature::kGuestAnnounce)) return;
  announcing_ = true;
  config_changed();
}

void Card::reset() noexcept {
  table_.reset();
  window_ = {};
  reset_device();
}

// 2.4: all that the driver has set. It does not take any time.
void Card::reset_device() {
  core_.reset();
  receive_.reset();
  transmit_.reset();
  resume_ = 0;
  status_ = 0;
  device_feature_select_ = driver_feature_select_ = 0;
  driver_features_ = 0;
  config_vector_ = hw::kNoVector;
  queue_select_ = 0;
  isr_ = 0;
  announcing_ = lying_config_ = false;
  config_changed_ = true;
}

void Card::config_changed() {
  config_changed_ = true;
  if (core_.ready) tell(config_vector_, hw::ISR::CONFIG.bits() & 0xFF);
}

// 4.1.4.5.1: the cause of a change of the configuration is set in any mode, that of a queue without MSI-X alone.
void Card::tell(std::uint16_t vector, std::uint8_t cause) {
  const bool msix = mode_ == InterruptMode::msix;
  if (!msix || (cause & hw::ISR::CONFIG.bits()) != 0) isr_ |= cause;
  if (msix && vector != hw::kNoVector) send_message(vector);
}

void Card::send_message(unsigned vector) {
  if (table_.request(vector) && send_) send_(vector);
}

void Card::share_package(DeviceModel& other) {
  auto* const peer = dynamic_cast<Card*>(&other);
  if (peer == nullptr || core_.options.plain_wire || peer->core_.options.plain_wire) return;
  peer_ = peer->incoming_;
  peer->peer_ = incoming_;
}

void Card::receive(std::span<const std::byte> frame) noexcept {
  if (core_.running() && core_.faults.strikes(FaultKind::config_changes, true)) {
    lying_config_ = true;
    config_changed();
  }
  const hw::NetHeader header = incoming_->find(frame);
  if (is_valid(header, frame, incoming_->accepts())) return receive_.receive(frame, header);
  // Another frame may have the same hash.
  if (!is_valid(header, frame, ~hw::Features{0})) return receive_.receive(frame);
  // The driver accepts less than when the frame was sent.
  std::vector<std::byte> copy(frame.begin(), frame.end());
  Completion completion;
  completion.start(header, copy);
  while (!completion.finished() && core_.may_work()) receive_.receive(completion.next());
  core_.counters.rx_no_room += completion.left();
}

bool Card::pass(const hw::NetHeader& header, std::span<const std::byte> frame) {
  if (!wire_ || header.flags == 0 || peer_ == nullptr || !is_valid(header, frame, peer_->accepts())) return false;
  peer_->put(frame, header);
  wire_(frame);
  return true;
}

// A MAC pads short frames.
void Card::transmit(std::span<const std::byte> frame) {
  if (!wire_) return;
  if (frame.size() >= kMinFrame) return wire_(frame);
  std::array<std::byte, kMinFrame> padded{};
  std::copy(frame.begin(), frame.end(), padded.begin());
  wire_(padded);
}

Result<std::function<std::unique_ptr<DeviceModel>(unsigned number)>> card_maker(std::string_view options) {
  auto parsed = CardOptions::parse(options);
  if (!parsed) return pass_on(std::move(parsed));
  return [chosen = *parsed](unsigned number) -> std::unique_ptr<DeviceModel> {
    CardOptions own = chosen;
    own.mac.back() = static_cast<std::uint8_t>(number);
    return std::make_unique<Card>(own);
  };
}

}  // namespace pollux::models::virtio
