// SPDX-License-Identifier: BSD-3-Clause
#include "ports/tap/open_tap.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/uri_options.hpp"
#include "mem/context_state.hpp"
#include "pollux/net/kernel_interface.hpp"
#include "ports/common/port.hpp"
#include "ports/tap/interface.hpp"
#include "ports/tap/queues.hpp"

namespace pollux::tap {
namespace {

constexpr std::array kRxDrops{ports::RxDrop::filtered, ports::RxDrop::too_short, ports::RxDrop::too_long,
                              ports::RxDrop::stopped, ports::RxDrop::bad_offload};
constexpr std::array kTxDrops{ports::TxDrop::no_receiver, ports::TxDrop::write_failed};

constexpr OffloadLimits tap_offloads(std::uint32_t segmentation) noexcept {
  OffloadLimits limits =
      ports::common_offloads(TxOffload::ipv4_checksum | TxOffload::sctp_checksum,
                             RxOffload::tcp_checksum | RxOffload::udp_checksum | RxOffload::partial_checksum);
  limits.tx_flags |= segmentation;
  limits.max_segments = 255;
  limits.max_tso = ports::kMaxSegmentedFrame;
  limits.max_datagrams = ports::kMaxDatagrams;
  return limits;
}

constexpr ports::MediumTraits tap_traits(std::uint32_t segmentation) noexcept {
  return {.driver = "tap",
          .what = "a TAP interface of the kernel",
          .limits = ports::common_limits(1, 1),
          .offloads = tap_offloads(segmentation),
          .rx_drops = kRxDrops,
          .tx_drops = kTxDrops};
}
constexpr ports::MediumTraits kTraits = tap_traits(TxOffload::tcp_segmentation | TxOffload::udp_segmentation);
constexpr ports::MediumTraits kTraitsWithoutUdp = tap_traits(TxOffload::tcp_segmentation);

class TapMedium final : public ports::Medium, private KernelInterface {
 public:
  TapMedium(std::shared_ptr<ContextState> context, Interface interface, bool superframes)
      : context_(std::move(context)),
        interface_(std::move(interface)),
        superframes_(superframes),
        rx_(filter_, interface_.descriptor(), superframes),
        tx_(interface_.descriptor(), traits().offloads.tx_flags) {
    interface_.set_carrier(false);
  }

  [[nodiscard]] const ports::MediumTraits& traits() const override {
    return interface_.segments_udp() ? kTraits : kTraitsWithoutUdp;
  }
  [[nodiscard]] ports::RxQueue& rx(std::uint16_t) override { return rx_; }
  [[nodiscard]] ports::TxQueue& tx(std::uint16_t) override { return tx_; }
  [[nodiscard]] ports::RxFilter& filter() override { return filter_; }

  [[nodiscard]] Result<void> start(const ValidatedConfig& config) override {
    if (auto fits = check_superframes_fit(config); !fits) return fits;
    interface_.set_carrier(true);
    // Not an error: the interface can be brought up later. Until then there is no link.
    if (auto up = interface_.bring_up(); !up) context_->log(LogLevel::warning, up.error().message());
    return {};
  }
  void stop() noexcept override {
    interface_.set_carrier(false);
    rx_.drain();
  }
  [[nodiscard]] Result<void> close() override {
    interface_.close();
    return {};
  }
  [[nodiscard]] Link link() override {
    const bool up = interface_.is_up();
    return {.up = up, .speed = up ? 10'000U : 0U, .autonegotiated = false};
  }
  [[nodiscard]] Result<void> set_mtu(std::uint32_t bytes) override { return interface_.set_mtu(bytes); }
  [[nodiscard]] std::span<const CapabilityEntry> capabilities() const noexcept override { return capabilities_; }
  [[nodiscard]] Result<void> service() override {
    if (!rx_.is_deleted()) return {};
    return fail(ErrorCode::device_removed, fmt::format("tap:{}: the interface was deleted", interface_.name()),
                "close the port and open it again");
  }

 private:
  /// Each read needs buffers for the longest frame, whatever comes.
  [[nodiscard]] Result<void> check_superframes_fit(const ValidatedConfig& config) const {
    const ValidatedRxQueue& queue = config.rx.front();
    const std::uint32_t count = std::min(config.pool_options(queue).count, traits().limits.max_rx_segments);
    const std::uint64_t room = std::uint64_t{count} * queue.buffer_bytes;
    if (!superframes_ || room >= ports::kMaxSegmentedFrame) return {};
    return fail(ErrorCode::invalid_argument,
                fmt::format("tap:{}?superframes: frames of up to {} bytes do not fit {} buffers of {}",
                            interface_.name(), ports::kMaxSegmentedFrame, count, queue.buffer_bytes),
                "use a pool with a larger count or data_room");
  }
  [[nodiscard]] std::string interface_name() const override { return interface_.name(); }
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
  std::shared_ptr<ContextState> context_;
  Interface interface_;
  ports::RxFilter filter_;
  bool superframes_;
  RxQueue rx_;
  TxQueue tx_;
};

}  // namespace

Result<std::unique_ptr<PortDriver>> open_tap(Context& context, std::string_view which) {
  const std::string uri = fmt::format("tap:{}", which);
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
  return ports::Port::create(context, uri, *mac,
                             std::make_unique<TapMedium>(context.state(), *std::move(interface), *superframes));
}

}  // namespace pollux::tap
