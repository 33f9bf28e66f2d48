// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/virtio/net/transport.hpp"

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <linux/pci_regs.h>

#include "device/capability_list.hpp"

namespace pollux::drivers::virtio {
namespace {

using hw::virtio::CapabilityType;

tl::unexpected<Error> wrong_layout(const std::string& device, std::string_view what) {
  return fail(ErrorCode::device_fault, fmt::format("{}: {}", device, what),
              "the device does not follow VIRTIO 1.0 or later; use another one");
}

namespace cap = hw::virtio::cap;

/// What the driver needs, the least bytes of it, and those of the capability that says where it is.
struct Wanted {
  CapabilityType type;
  std::string_view name;
  std::uint32_t bytes;
  std::uint32_t capability;
};
constexpr std::array kWanted{
    Wanted{CapabilityType::common, "common configuration", hw::virtio::kCommonBytes, cap::kBytes},
    Wanted{CapabilityType::notify, "doorbells", 2, cap::kNotifyBytes},
    Wanted{CapabilityType::device, "network configuration", 8, cap::kBytes}};

}  // namespace

class Transport::RemotePart final : public RemoteRegisters {
 public:
  RemotePart(RemoteRegisters& whole, std::uint32_t start) : whole_(whole), start_(start) {}
  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) noexcept override { return whole_.read32(start_ + offset); }
  void write32(std::uint32_t offset, std::uint32_t value) noexcept override { whole_.write32(start_ + offset, value); }
  [[nodiscard]] std::uint32_t read_narrow(std::uint32_t offset, unsigned width) noexcept override {
    return whole_.read_narrow(start_ + offset, width);
  }
  void write_narrow(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override {
    whole_.write_narrow(start_ + offset, width, value);
  }
  void flush() noexcept override { whole_.flush(); }

 private:
  RemoteRegisters& whole_;
  std::uint32_t start_;
};

Bar Transport::window(const Place& place) {
  if (place.bar.remote() != nullptr) {
    parts_.push_back(std::make_shared<RemotePart>(*place.bar.remote(), place.offset));
    return Bar(*parts_.back(), place.size);
  }
  return Bar(reinterpret_cast<volatile std::uint8_t*>(place.bar.mapped(place.offset)), place.size);
}

// The first structure of each type that lies in memory counts: those in I/O space cannot be mapped. An unknown type and
// a reserved BAR are skipped, as the standard demands.
Result<Transport> Transport::find(Device& device) {
  const auto read = [&](std::uint32_t at, unsigned width) { return device.read_config(at, width); };
  auto found = find_capabilities(PCI_CAP_ID_VNDR, read);
  if (!found) return pass_on(std::move(found));
  Transport transport;
  std::array<std::optional<Place>, kWanted.size()> places;
  for (const std::uint32_t at : *found) {
    const auto length = read(at + cap::kLength, 1);
    const auto type = read(at + cap::kType, 1);
    const auto index = read(at + cap::kBar, 1);
    const auto offset = read(at + cap::kOffset, 4);
    const auto size = read(at + cap::kSize, 4);
    if (!length || !type || !index || !offset || !size)
      return wrong_layout(device.name(), "its capabilities cannot be read");
    for (std::size_t i = 0; i < kWanted.size(); ++i) {
      if (kWanted[i].type != static_cast<CapabilityType>(*type) || places[i] || *index > 5) continue;
      const auto bar = device.bar(*index);
      if (!bar) continue;
      if (*size < kWanted[i].bytes || *offset % 4 != 0 || std::uint64_t{*offset} + *size > bar->size()) {
        return wrong_layout(device.name(), fmt::format("its {} has {} bytes at {:#x} of BAR {}", kWanted[i].name, *size,
                                                       *offset, *index));
      }
      if (*length < kWanted[i].capability) {
        return wrong_layout(device.name(), fmt::format("the capability of its {} has {} bytes and needs {}",
                                                       kWanted[i].name, *length, kWanted[i].capability));
      }
      places[i] = Place{*bar, *offset, *size};
      if (kWanted[i].type != CapabilityType::notify) continue;
      const auto multiplier = read(at + cap::kNotifyMultiplier, 4);
      if (!multiplier) return pass_on(Result<std::uint32_t>(multiplier));
      transport.notify_multiplier_ = *multiplier;
    }
  }
  for (std::size_t i = 0; i < kWanted.size(); ++i) {
    if (places[i]) continue;
    return fail(ErrorCode::not_supported,
                fmt::format("{}: a legacy virtio device: it has no {}", device.name(), kWanted[i].name),
                "offer the interface of VIRTIO 1.0, with QEMU by disable-modern=off");
  }
  transport.common_ = hw::virtio::CommonRegisters(transport.window(*places[0]));
  transport.has_queue_reset_ = places[0]->size >= hw::virtio::kCommonBytesWithReset;
  transport.notify_ = *places[1];
  // Which fields there are depends on features. Those beyond the structure must at least lie in the BAR.
  if (std::uint64_t{places[2]->offset} + hw::virtio::kNetConfigBytes > places[2]->bar.size())
    return wrong_layout(device.name(), "its network configuration reaches beyond the BAR");
  transport.net_ = hw::virtio::NetRegisters(transport.window(*places[2]));
  return transport;
}

Result<Notifier> Transport::notifier(const std::string& device, std::uint16_t queue, std::uint32_t notify_off,
                                     bool with_data) const {
  const std::uint64_t at = std::uint64_t{notify_off} * notify_multiplier_;
  const std::uint32_t bytes = with_data ? 4 : 2;
  if (at + bytes > notify_.size || at % bytes != 0) {
    return wrong_layout(device,
                        fmt::format("the doorbell of queue {} is at {:#x} of {:#x} bytes", queue, at, notify_.size));
  }
  return Notifier(notify_.bar, notify_.offset + static_cast<std::uint32_t>(at), queue, with_data);
}

}  // namespace pollux::drivers::virtio
