// SPDX-License-Identifier: BSD-3-Clause
#include "ports/tap/open_tap.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/uri_options.hpp"
#include "mem/context_state.hpp"
#include "net/frame_size.hpp"
#include "pollux/net/kernel_interface.hpp"
#include "ports/common/port.hpp"
#include "ports/tap/interface.hpp"
#include "ports/tap/queues.hpp"

namespace pollux::tap {
namespace {

constexpr std::array kRxDrops{&RxDrops::filtered, &RxDrops::too_short, &RxDrops::too_long, &RxDrops::stopped,
                              &RxDrops::bad_offload};
constexpr std::array kTxDrops{&TxDrops::no_receiver, &TxDrops::write_failed};

constexpr OffloadLimits tap_offloads(std::uint32_t segmentation) noexcept {
  OffloadLimits limits =
      software_offloads(TxOffload::ipv4_checksum | TxOffload::sctp_checksum,
                        RxOffload::tcp_checksum | RxOffload::udp_checksum | RxOffload::partial_checksum);
  limits.tx_flags |= segmentation;
  limits.max_segments = 255;
  limits.max_tso = kMaxSegmentedFrame;
  limits.max_datagrams = kMaxDatagrams;
  return limits;
}

constexpr ports::PortTraits tap_traits(std::uint32_t segmentation) noexcept {
  return {.driver = "tap",
          .what = "a TAP interface of the kernel",
          .limits = software_limits(1, 1),
          .offloads = tap_offloads(segmentation),
          .rx_drops = kRxDrops,
          .tx_drops = kTxDrops};
}
constexpr ports::PortTraits kTraits = tap_traits(TxOffload::kSegmentation);
constexpr ports::PortTraits kTraitsWithoutUdp = tap_traits(TxOffload::tcp_segmentation);

class TapPort final : public ports::SoftwarePort, private KernelInterface {
 public:
  TapPort(const ports::PortIdentity& identity, Interface interface, bool superframes)
      : ports::SoftwarePort(identity, interface.segments_udp() ? kTraits : kTraitsWithoutUdp),
        interface_(std::move(interface)),
        superframes_(superframes),
        rx_(filter(), interface_.descriptor(), superframes),
        tx_(interface_.descriptor()) {
    add(rx_);
    add(tx_);
    interface_.set_carrier(false);
  }

  [[nodiscard]] Result<void> change_mtu(std::uint32_t bytes) override { return interface_.set_mtu(bytes); }
  [[nodiscard]] std::span<const CapabilityEntry> capabilities() const noexcept override { return capabilities_; }
  [[nodiscard]] Result<Duration> service() override {
    if (!rx_.is_deleted()) return ports::SoftwarePort::service();
    return fail(ErrorCode::device_removed, fmt::format("tap:{}: the interface was deleted", interface_.name()),
                "close the port and open it again");
  }

 private:
  [[nodiscard]] Result<void> begin() override {
    if (auto fits = check_superframes_fit(); !fits) return fits;
    interface_.set_carrier(true);
    // Not an error: the interface can be brought up later. Until then there is no link.
    if (auto up = interface_.bring_up(); !up) context()->log(LogLevel::warning, up.error().message());
    return {};
  }
  void end() noexcept override {
    interface_.set_carrier(false);
    rx_.drain();
  }
  void close() override { interface_.close(); }
  [[nodiscard]] Link running_link() override {
    const bool up = interface_.is_up();
    return {.up = up, .speed = up ? 10'000U : 0U, .autonegotiated = false};
  }
  /// Each read needs buffers for the longest frame, whatever comes.
  [[nodiscard]] Result<void> check_superframes_fit() const {
    const PlacedRxQueue& queue = config().rx.front();
    const std::uint32_t count = std::min(config().pool_options(queue).count, info().limits.max_rx_segments);
    const std::uint64_t room = std::uint64_t{count} * queue.buffer_bytes;
    if (!superframes_ || room >= kMaxSegmentedFrame) return {};
    return fail(ErrorCode::invalid_argument,
                fmt::format("tap:{}?superframes: frames of up to {} bytes do not fit {} buffers of {}",
                            interface_.name(), kMaxSegmentedFrame, count, queue.buffer_bytes),
                "use a pool with a larger count or data_room");
  }
  [[nodiscard]] std::string interface_name() const override { return interface_.present_name(); }
  [[nodiscard]] Result<MacAddress> interface_mac() const override { return interface_.mac(); }
  [[nodiscard]] Result<void> set_interface_mac(const MacAddress& mac) override { return interface_.set_mac(mac); }
  [[nodiscard]] Result<void> set_interface_carrier(bool on) override {
    interface_.set_carrier(on);
    return {};
  }
  [[nodiscard]] Result<void> add_interface_address(const InterfaceAddress& address) override {
    return interface_.add_address(address);
  }

  std::array<CapabilityEntry, 1> capabilities_{offer<KernelInterface>(*this)};
  Interface interface_;
  bool superframes_;
  TapRxQueue rx_;
  TapTxQueue tx_;
};

}  // namespace

Result<std::unique_ptr<PortDriver>> open_tap(Context& context, std::string_view which) {
  const std::string uri = fmt::format("tap:{}", which);
  if (auto ends = check_end_of_name(which, uri); !ends) return pass_on(std::move(ends));
  const std::size_t question = which.find('?');
  constexpr std::array<std::string_view, 1> kKeys{"superframes"};
  Result<UriOptions> options;
  if (question != std::string_view::npos)
    options = UriOptions::parse(which.substr(question + 1), kKeys, uri, "tap:NAME or tap:NAME?superframes");
  if (!options) return pass_on(std::move(options));
  const auto superframes = options->flag("superframes");
  if (!superframes) return tl::unexpected<Error>(superframes.error());
  auto interface = Interface::open(which.substr(0, question), Interface::kTun,
                                   *superframes ? KernelOffload::segmentation_too : KernelOffload::checksums);
  if (!interface) return pass_on(std::move(interface));
  auto mac = interface->mac();
  if (!mac) return pass_on(std::move(mac));
  // The port needs another address than the kernel's interface. Derive it from the interface's, which is unique.
  (*mac)[0] = static_cast<std::uint8_t>(((*mac)[0] | 0x02) & 0xFE);
  (*mac)[5] ^= 0x80;
  return ports::make_port<TapPort>(context, uri, *mac, *std::move(interface), *superframes);
}

}  // namespace pollux::tap
