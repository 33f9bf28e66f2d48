// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/runtime/kernel_path.hpp"

#include <fmt/format.h>

#include <functional>
#include <utility>
#include <vector>

#include "pollux/net/port_info.hpp"
#include "pollux/net/settings.hpp"

namespace pollux {
namespace {

/// Settings that were changed, to set them back if a later one fails.
class Changes {
 public:
  /// Runs `change` unless an earlier one failed. `undo` sets back what it changed.
  void make(const std::function<Result<void>()>& change, std::function<void()> undo) {
    if (!result_) return;
    result_ = change();
    if (result_) undo_.push_back(std::move(undo));
  }
  /// The first error, after all is set back.
  [[nodiscard]] Result<void> finish() {
    if (!result_) {
      for (auto undo = undo_.rbegin(); undo != undo_.rend(); ++undo) (*undo)();
    }
    return std::move(result_);
  }

 private:
  Result<void> result_;
  std::vector<std::function<void()>> undo_;
};

Result<void> check_queues(Port& port, Port& representor, std::uint16_t tx_queue) {
  if (port.tx_queue(tx_queue) == nullptr) {
    return fail(
        ErrorCode::invalid_argument, fmt::format("{} has no transmit queue {}", port.info().name, tx_queue),
        fmt::format("give it at least {} (Settings::tx), or choose another KernelPathOptions::tx_queue", tx_queue + 1));
  }
  if (representor.tx_queue(0) == nullptr || representor.rx_queue(0) == nullptr) {
    return fail(ErrorCode::invalid_argument, fmt::format("{} has no queues", representor.info().name),
                "give the representor queues first (Settings::rx and tx)");
  }
  return {};
}

}  // namespace

KernelPath::KernelPath(Port& port, Port& representor, MempoolCache& cache, KernelPathOptions options)
    : shared_(port),
      representor_(representor),
      cache_(cache),
      interface_(representor.capability<KernelInterface>()),
      kernel_{.tx = SegmentingTx(representor.tx(0), representor.offloads(), cache),
              .limits = representor.offloads(),
              .full = DropCounter("kernel_path_kernel_full")},
      port_{.tx = SegmentingTx(port.tx(options.tx_queue), port.offloads(), cache),
            .limits = port.offloads(),
            .full = DropCounter("kernel_path_port_full")} {}

Result<void> KernelPath::check(Port& port, Port& representor, const KernelPathOptions& options) {
  if (&port == &representor) {
    return fail(ErrorCode::invalid_argument, fmt::format("{} cannot represent itself", port.info().name),
                "open a representor, such as tap:plx0");
  }
  if (auto checked = check_queues(port, representor, options.tx_queue); !checked) return checked;
  const Settings settings = port.settings();
  if (settings.keep_fcs) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} keeps the FCS of received frames, which the kernel does not expect", port.info().name),
                "set Settings::keep_fcs to false");
  }
  const std::uint32_t longest = representor.info().limits.max_mtu;
  if (settings.mtu > longest) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("{} cannot have the MTU of {}, {}", representor.info().name, port.info().name, settings.mtu),
        fmt::format("set the port's MTU to at most {}", longest));
  }
  return {};
}

Result<void> KernelPath::apply(bool all_multicast) {
  const Settings before = representor_.settings();
  const Settings shared = shared_.settings();
  const Result<MacAddress> mac = interface_ ? interface_->interface_mac() : Result<MacAddress>(MacAddress{});
  if (!mac) return tl::unexpected<Error>(mac.error());
  Changes changes;
  const auto represent = [this](std::uint32_t bytes, bool all) {
    return representor_.change([=](Settings& settings) {
      settings.mtu = bytes;
      settings.promiscuous = all;
    });
  };
  changes.make([&] { return represent(shared.mtu, true); },
               [&] { static_cast<void>(represent(before.mtu, before.promiscuous)); });
  if (all_multicast) {
    const auto receive_all = [this](bool all) {
      return shared_.change([=](Settings& settings) { settings.all_multicast = all; });
    };
    changes.make([receive_all] { return receive_all(true); },
                 [receive_all, &shared] { static_cast<void>(receive_all(shared.all_multicast)); });
  }
  if (interface_) {
    changes.make([&] { return interface_->set_interface_mac(shared_.mac()); },
                 [&] { static_cast<void>(interface_->set_interface_mac(*mac)); });
  }
  changes.make([&] { return follow(); }, [] {});
  return changes.finish();
}

Result<std::unique_ptr<KernelPath>> KernelPath::create(Port& port, Port& representor, MempoolCache& cache,
                                                       KernelPathOptions options) {
  if (auto checked = check(port, representor, options); !checked) return pass_on(std::move(checked));
  std::unique_ptr<KernelPath> path(new KernelPath(port, representor, cache, options));
  if (auto applied = path->apply(options.all_multicast); !applied) return pass_on(std::move(applied));
  return path;
}

Result<void> KernelPath::follow() {
  if (const std::uint32_t mtu = shared_.settings().mtu; mtu != representor_.settings().mtu) {
    auto set = representor_.change([=](Settings& settings) { settings.mtu = mtu; });
    if (!set) return set;
  }
  if (!interface_) return {};
  const MacAddress mac = shared_.mac();
  const Result<MacAddress> theirs = interface_->interface_mac();
  if (!theirs) return tl::unexpected<Error>(theirs.error());
  if (mac != *theirs) {
    if (auto set = interface_->set_interface_mac(mac); !set) return set;
  }
  // A representor that is not started has no carrier.
  if (representor_.state() != PortState::started) return {};
  if (auto set = interface_->set_interface_carrier(shared_.link().up); !set) return set;
  // It may have been stopped since.
  return representor_.state() == PortState::started ? Result<void>() : interface_->set_interface_carrier(false);
}

bool KernelPath::flush() noexcept {
  Burst<1> none;
  kernel_.tx.send(none);
  port_.tx.send(none);
  return !waiting();
}

std::array<const DropCounter*, 10> KernelPath::drops() const noexcept {
  return {&bad_frame_,
          &no_tag_room_,
          &kernel_.full,
          &port_.full,
          &bad_checksum_,
          &shared_checksum_,
          &kernel_.tx.bad_requests(),
          &kernel_.tx.no_memory(),
          &port_.tx.bad_requests(),
          &port_.tx.no_memory()};
}

/// Whether a port with these limits takes the frame's checksum request as it is. A request for segmentation is
/// SegmentingTx's.
bool KernelPath::computes_checksums(const OffloadLimits& limits, const Mbuf& frame) noexcept {
  if (!frame.has_partial_checksum()) [[likely]]
    return true;
  const TxOffload request = frame.tx_offload();
  if ((request.flags & TxOffload::kSegmentation) != 0) return true;
  const std::uint32_t missing = request.flags & TxOffload::kChecksums & ~limits.tx_flags;
  return missing == 0 && request.outer_l2 + request.outer_l3 + request.l2 <= limits.max_l2 &&
         request.l3 <= limits.max_l3;
}

}  // namespace pollux
