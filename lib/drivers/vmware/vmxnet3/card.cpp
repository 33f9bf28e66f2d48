// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/vmware/vmxnet3/card.hpp"

#include <array>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace pollux::drivers::vmxnet3 {
namespace {

// Commands are executed before their result can be read, but for a device that hangs.
constexpr Duration kResetLimit = std::chrono::milliseconds(500);

constexpr std::uint32_t kDriverVersion = 0x01000000;  // as other drivers count: major, minor, build

}  // namespace

Result<void> SharedArea::allocate(ContextState& context, int numa_node, std::string_view port) {
  auto area = paravirtual::allocate_queue_memory(context, kBytes, numa_node, port);
  if (!area) return pass_on(std::move(area));
  area_ = *std::move(area);
  return {};
}

void SharedArea::clear(std::uint8_t tx_queues, std::uint8_t rx_queues) noexcept {
  std::memset(area_.address, 0, kBytes);
  reg::DriverShared& shared = driver();
  shared.magic = reg::kMagic;
  shared.misc = {.driver_version = kDriverVersion,
                 .guest = reg::kGuest64Linux,
                 .revisions = 1,
                 .upt_versions = 1,
                 .features = 0,
                 .driver_data = area_.iova,
                 .queues = area_.iova + kQueues,
                 .driver_data_bytes = sizeof shared,
                 .queues_bytes = static_cast<std::uint32_t>(tx_queues * sizeof(reg::TxQueueShared) +
                                                            rx_queues * sizeof(reg::RxQueueShared)),
                 .mtu = reg::kMaxMtu,
                 .max_rx_pieces = 0,
                 .tx_queues = tx_queues,
                 .rx_queues = rx_queues,
                 .reserved = {}};
  shared.filter.multicast = area_.iova + kMulticast;
  shared.rss = {.version = 1, .bytes = sizeof(reg::RssConf), .address = area_.iova + kRss};
}

// Nothing is ever written there: no descriptor is the device's.
void SharedArea::hide(QueueId queue) const noexcept {
  const std::uint64_t empty = iova() + kEmpty;
  if (queue.receives()) {
    reg::RxQueueShared& shared = rx(queue.index);
    shared.ring = {empty, empty};
    shared.ring_size = {reg::kMinRing, reg::kMinRing};
    shared.completions = empty;
    shared.completions_size = 2 * reg::kMinRing;
  } else {
    reg::TxQueueShared& shared = tx(queue.index);
    shared.ring = shared.completions = empty;
    shared.ring_size = shared.completions_size = reg::kMinRing;
  }
}

// A device has revision 1 besides its later ones, whose larger rings, data rings and commands the driver does not use.
Result<void> bring_up(Vmxnet3Card& card, Device& device) {
  if (auto reset = device.reset(); !reset && reset.error().code != ErrorCode::not_supported)
    return pass_on(std::move(reset));
  for (const unsigned number : {reg::kQueueBar, reg::kControlBar}) {
    auto bar = device.bar(number);
    if (!bar) return pass_on(std::move(bar));
    if (bar->size() < reg::kBarBytes) {
      return fail(
          ErrorCode::device_fault,
          fmt::format("{}: BAR {} has {} bytes and should have {}", card.name, number, bar->size(), reg::kBarBytes),
          "the device is not the one that its vendor and device id name");
    }
    if (number == reg::kQueueBar) card.queues = *bar;
    if (number == reg::kControlBar) card.regs = reg::ControlRegisters(*bar);
  }
  const auto revisions = card.regs.read<reg::VRRS>();
  if (revisions.all_ones()) return fail_removed(card.name);
  if (!revisions.has(reg::VRRS::REVISION_1)) {
    return fail(
        ErrorCode::not_supported,
        fmt::format("{}: the device lacks revision 1 of vmxnet3: its revisions are {:#x}", card.name, revisions.raw()),
        "the driver was tested with revision 1 alone; raise the virtual machine's hardware version");
  }
  if (const auto versions = card.regs.read<reg::UVRS>(); !versions.has(reg::UVRS::VERSION_1)) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: the device lacks version 1 of UPT: its versions are {:#x}", card.name, versions.raw()),
                "pass-through by UPT is not supported; turn DirectPath I/O off for this adapter");
  }
  card.regs.write<reg::VRRS>(reg::VRRS::REVISION_1);
  card.regs.write<reg::UVRS>(reg::UVRS::VERSION_1);
  return reset_device(card);
}

Result<void> reset_device(const Vmxnet3Card& card) {
  card.send(Command::quiesce);
  const auto is_reset = [&] { return card.command(Command::reset) == 0; };
  const auto waited = wait_until(card.clock(), "the device's reset", kResetLimit, is_reset);
  if (card.regs.read<reg::VRRS>().all_ones()) return fail_removed(card.name);
  if (!waited) return timed_out(fmt::format("{}: the device's reset", card.name), kResetLimit);
  card.regs.write<reg::DSAL>({});
  card.regs.write<reg::DSAH>({});
  card.regs.flush();
  return {};
}

Result<void> activate(const Vmxnet3Card& card, const SharedArea& shared) {
  card.regs.write<reg::DSAL>(reg::DSAL::Value(static_cast<std::uint32_t>(shared.iova())));
  card.regs.write<reg::DSAH>(reg::DSAH::Value(static_cast<std::uint32_t>(shared.iova() >> 32)));
  const std::uint32_t result = card.command(Command::activate);
  if (result == 0) return {};
  if (card.regs.read<reg::VRRS>().all_ones()) return fail_removed(card.name);
  return fail(ErrorCode::device_fault,
              fmt::format("{}: the device does not start: its result is {:#x}", card.name, result),
              "use fewer or smaller queues; if the error persists, restart the virtual machine");
}

MacAddress permanent_mac(const Vmxnet3Card& card) noexcept {
  const std::uint64_t address =
      std::uint64_t{card.command(Command::get_permanent_mac_high)} << 32 | card.command(Command::get_permanent_mac_low);
  MacAddress mac;
  std::memcpy(mac.data(), &address, mac.size());
  return mac;
}

void write_mac(const Vmxnet3Card& card, const MacAddress& mac) noexcept {
  std::uint64_t address = 0;
  std::memcpy(&address, mac.data(), mac.size());
  card.regs.write<reg::MACL>(reg::MACL::Value(static_cast<std::uint32_t>(address)));
  card.regs.write<reg::MACH>(reg::MACH::Value(static_cast<std::uint32_t>(address >> 32)));
}

Link read_link(const Vmxnet3Card& card) noexcept {
  const std::uint32_t link = card.command(Command::get_link);
  if (link == ~std::uint32_t{0} || (link & 1) == 0) return {};
  return {.up = true, .speed = link >> 16, .duplex = Duplex::full, .autonegotiated = false};
}

// Linux, drivers/net/vmxnet3, vmxnet3_defs.h, VMXNET3_ERR_*.
std::string_view explain_stop(std::uint32_t error) noexcept {
  constexpr std::array<std::string_view, 8> kReasons{
      "a frame without its last descriptor", "a descriptor used again before its completion",
      "too many descriptors for a frame",    "a descriptor of a type that the device lacks",
      "a buffer that is too small",          "a stress test of the host",
      "a change of mode that failed",        "a descriptor that is not valid"};
  constexpr std::uint32_t kFirst = 0x80000000;
  return error - kFirst < kReasons.size() ? kReasons[error - kFirst] : "an unknown reason";
}

}  // namespace pollux::drivers::vmxnet3
