// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "hw/virtio/features.hpp"
#include "hw/virtio/net.hpp"
#include "hw/virtio/pci.hpp"
#include "models/virtio/net/options.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/open.hpp"
#include "unit/models/virtio/fixture.hpp"

namespace pollux::differential {

namespace hw = pollux::hw::virtio;
namespace feature = hw::feature;
using models::virtio::HandRing;

/// The DMA memory of both devices, with the same IOVA.
class Memory final : public models::virtio::HandMemory {
 public:
  static constexpr std::size_t kBytes = std::size_t{4} << 20;
  explicit Memory(Context& context) : memory_(context.allocate({.size = kBytes, .purpose = "virtio"}).value()) {}
  [[nodiscard]] std::uint64_t base() const { return memory_.segments()[0].iova; }
  [[nodiscard]] std::byte* translate(std::uint64_t iova, std::size_t /*length*/) noexcept override {
    return memory_.segments()[0].address + (iova - base());
  }

 private:
  DmaMemory memory_;
};

/// What QEMU's device offers on a hub; the in-process one leaves out the rest.
constexpr hw::Features kBoth = feature::kVersion1 | feature::kCtrlGuestOffloads | feature::kMac | feature::kMrgRxbuf |
                               feature::kStatus | feature::kCtrlVq | feature::kCtrlRx | feature::kCtrlVlan |
                               feature::kCtrlRxExtra | feature::kGuestAnnounce | feature::kCtrlMacAddr |
                               feature::kIndirectDesc | feature::kEventIdx | feature::kRingReset | feature::kRingPacked;

inline std::string model_options() {
  std::string options = "card=virtio-net+pairs=1";
  for (const hw::FeatureName& known : hw::kFeatureNames) {
    if ((known.bit & models::virtio::kAllFeatures & ~kBoth) == 0) continue;
    options += "+no-";
    for (const char letter : known.name)
      options += letter == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  }
  return options;
}

/// Two devices on a wire. Both kinds have their registers at the same places of BAR 4.
struct VirtioFixture {
  static constexpr std::uint32_t kConfig = 0x2000, kNotify = 0x3000;
  static constexpr std::uint16_t kSize = 64;
  static constexpr std::uint64_t kBuffers = 0x40000, kBufferBytes = 2048, kCard = Memory::kBytes / 2;

  explicit VirtioFixture(const std::string& scheme)
      : qemu(scheme == "qtest"), clock(qemu ? std::shared_ptr<Clock>(std::make_shared<SteadyClock>()) : manual) {
    for (unsigned which = 0; which < 2; ++which) {
      const std::string kind = qemu ? "card=virtio-net,properties=disable-legacy:on+packed:on" : model_options();
      cards[which] = open_device(context, fmt::format("{}:{}?{}", scheme, which, kind)).value();
      bars[which] = cards[which]->bar(4).value();
    }
  }
  template <class R>
  [[nodiscard]] std::uint32_t read(unsigned which, std::uint32_t index = 0) {
    return bars[which].read(R::offset(index), R::kBytes);
  }
  template <class R>
  void write(unsigned which, std::uint32_t value, std::uint32_t index = 0) {
    bars[which].write(R::offset(index), R::kBytes, value);
  }
  [[nodiscard]] hw::Features offered(unsigned which) {
    write<hw::DEVICE_FEATURE_SELECT>(which, 1);
    const auto high = hw::Features{read<hw::DEVICE_FEATURE>(which)} << 32;
    write<hw::DEVICE_FEATURE_SELECT>(which, 0);
    return high | read<hw::DEVICE_FEATURE>(which);
  }
  void negotiate(unsigned which, hw::Features wanted) {
    for (const std::uint32_t status : {0U, 1U, 3U}) write<hw::DEVICE_STATUS>(which, status);
    for (std::uint32_t half = 0; half < 2; ++half) {
      write<hw::DRIVER_FEATURE_SELECT>(which, half);
      write<hw::DRIVER_FEATURE>(which, static_cast<std::uint32_t>(wanted >> 32 * half));
    }
    write<hw::DEVICE_STATUS>(which, 0x0B);
  }
  [[nodiscard]] std::uint64_t at(unsigned which, std::uint64_t offset) const {
    return memory.base() + which * kCard + offset;
  }
  HandRing& add_queue(unsigned which, std::uint16_t number, bool packed) {
    const std::uint64_t area = at(which, 0x4000ULL * number);
    rings[which].resize(3);
    rings[which][number].emplace(memory, area, kSize, packed);
    std::memset(memory.translate(area, 0x4000), 0, 0x4000);
    const HandRing& ring = *rings[which][number];
    write<hw::QUEUE_SELECT>(which, number);
    write<hw::QUEUE_SIZE>(which, kSize);
    write<hw::QUEUE_MSIX_VECTOR>(which, number + 1U);
    for (const auto& [place, value] :
         {std::pair(hw::QUEUE_DESC::offset(), ring.descriptors()), std::pair(hw::QUEUE_DRIVER::offset(), ring.driver()),
          std::pair(hw::QUEUE_DEVICE::offset(), ring.device())}) {
      bars[which].write(place, 4, static_cast<std::uint32_t>(value));
      bars[which].write(place + 4, 4, static_cast<std::uint32_t>(value >> 32));
    }
    write<hw::QUEUE_ENABLE>(which, 1);
    return *rings[which][number];
  }
  void start(hw::Features wanted) {
    for (unsigned which = 0; which < 2; ++which) {
      static_cast<void>(cards[which]->reset());
      EXPECT_TRUE(cards[which]->set_bus_master(true));
      events[which] = cards[which]->enable_interrupts(4).value();
      negotiate(which, wanted);
      for (std::uint16_t number = 0; number < 3; ++number)
        add_queue(which, number, (wanted & feature::kRingPacked) != 0);
      write<hw::DEVICE_STATUS>(which, 0x0F);
    }
  }
  void kick(unsigned which, std::uint16_t queue) {
    bars[which].write(kNotify + 4U * queue, 2, queue);
    bars[which].flush();
  }
  /// The device answers a doorbell after the write of it.
  [[nodiscard]] hw::UsedElement used(unsigned which, std::uint16_t queue) {
    for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);;) {
      if (const auto entry = rings[which][queue]->used()) return {entry->id, entry->length};
      if (!qemu || std::chrono::steady_clock::now() > end) throw std::runtime_error("nothing was used");
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
  /// Whether the vector was signalled since the last call.
  [[nodiscard]] bool signalled(unsigned which, unsigned vector) {
    std::uint64_t times = 0;
    pollfd event{.fd = events[which][vector], .events = POLLIN, .revents = 0};
    return ::poll(&event, 1, 0) == 1 && ::read(event.fd, &times, sizeof times) == sizeof times;
  }

  bool qemu;
  std::shared_ptr<ManualClock> manual = std::make_shared<ManualClock>();
  std::shared_ptr<Clock> clock;
  Context context{{.clock = clock, .huge_pages = HugePages::never}};
  Memory memory{context};
  std::array<std::unique_ptr<Device>, 2> cards;
  std::array<Bar, 2> bars;
  std::array<std::span<const int>, 2> events;
  std::array<std::vector<std::optional<HandRing>>, 2> rings;
};

}  // namespace pollux::differential
