// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/device.hpp"

#include <fmt/format.h>
#include <linux/pci_regs.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "backends/qtest/launch.hpp"
#include "base/undo.hpp"
#include "mem/context_state.hpp"

namespace pollux::qtest {
namespace {

// PCI Local Bus 3.0, 6.1 and 6.8.2, and PCI Express Base, "PCI Express Capability Structure", as given in Linux,
// include/uapi/linux/pci_regs.h.
constexpr std::uint32_t kConfigSize = 4096;
constexpr std::uint32_t kMaster = PCI_COMMAND_MASTER;
constexpr std::uint32_t kRevision = 0x08;
constexpr std::uint32_t kSubsystem = 0x2C;
constexpr std::uint8_t kPowerId = 0x01;
constexpr std::uint8_t kExpressId = 0x10;
constexpr std::uint32_t kExpressCapabilities = 4;
constexpr std::uint32_t kExpressControl = 8;
constexpr std::uint32_t kCanReset = 1U << 28;
constexpr std::uint32_t kInitiateReset = 0x8000;
constexpr std::uint8_t kMsixId = 0x11;
constexpr std::uint32_t kMsixControl = 2;
constexpr std::uint32_t kMsixTable = 4;
constexpr std::uint32_t kMsixSizeMask = 0x07FF;
constexpr std::uint32_t kMsixEnable = 0x8000;
constexpr std::uint32_t kMsixBarMask = 0x7;
constexpr std::uint32_t kEntryBytes = 16;
/// QEMU completes the reset before the write that requests it returns. The short wait is only a margin.
constexpr Duration kResetTime = std::chrono::milliseconds(1);

/// nullptr: all succeeded.
template <class... T>
const Error* first_error(const Result<T>&... results) {
  const Error* first = nullptr;
  ((first = first == nullptr && !results ? &results.error() : first), ...);
  return first;
}

}  // namespace

Result<std::unique_ptr<QtestDevice>> QtestDevice::create(Context& context, std::string name,
                                                         const std::shared_ptr<Machine>& machine, unsigned card) {
  if (!machine->claim(card)) {
    return fail(ErrorCode::busy, fmt::format("{} is already open", name), "close its port, or use another card");
  }
  Undo release([machine = machine.get(), card] { machine->release(card); });
  std::unique_ptr<QtestDevice> device(new QtestDevice(context, std::move(name), machine, card));
  release.keep();
  if (auto read = device->read_identity(); !read) return pass_on(std::move(read));
  return device;
}

QtestDevice::QtestDevice(Context& context, std::string name, std::shared_ptr<Machine> machine, unsigned card)
    : context_(context.state()),
      name_(std::move(name)),
      machine_(std::move(machine)),
      card_(card),
      slot_(Machine::slot(card)) {
  const BarLayout& bars = machine_->bars(card);
  for (unsigned index = 0; index < windows_.size(); ++index) {
    windows_[index] = std::make_unique<Window>(machine_->connection(), bars.address[index]);
  }
}

QtestDevice::~QtestDevice() {
  static_cast<void>(enable_interrupts(0));
  // A card that cannot be reset at least loses bus mastering.
  if (!reset()) static_cast<void>(set_bus_master(false));
  machine_->log_failure();
  machine_->release(card_);
}

Result<void> QtestDevice::read_identity() {
  const std::lock_guard guard(machine_->bus_lock());
  PciBus& bus = machine_->bus();
  const auto ids = bus.read(slot_, 0, 4);
  const auto revision = bus.read(slot_, kRevision, 1);
  const auto subsystem = bus.read(slot_, kSubsystem, 4);
  const auto msix = bus.find_capability(slot_, kMsixId);
  const auto express = bus.find_capability(slot_, kExpressId);
  const auto power = bus.find_capability(slot_, kPowerId);
  if (const Error* const error = first_error(ids, revision, subsystem, msix, express, power)) return explain(*error);
  identity_ = {.vendor = static_cast<std::uint16_t>(*ids & 0xFFFF),
               .device = static_cast<std::uint16_t>(*ids >> 16),
               .subsystem_vendor = static_cast<std::uint16_t>(*subsystem & 0xFFFF),
               .subsystem_device = static_cast<std::uint16_t>(*subsystem >> 16),
               .revision = static_cast<std::uint8_t>(*revision)};
  msix_ = msix->value_or(0);
  express_ = express->value_or(0);
  power_ = power->value_or(0);
  if (msix_ == 0) return {};
  const auto control = bus.read(slot_, msix_ + kMsixControl, 2);
  if (!control) return explain(control.error());
  vectors_ =
      std::min((*control & kMsixSizeMask) + 1, static_cast<unsigned>(machine_->doorbells().events(card_).size()));
  return {};
}

tl::unexpected<Error> QtestDevice::explain(Error error) {
  machine_->log_failure();
  error.what = fmt::format("{}: {}", name_, error.what);
  return tl::unexpected<Error>(std::move(error));
}

Result<void> QtestDevice::check_config_access(std::uint32_t offset, unsigned width) const {
  const bool good_width = width == 1 || width == 2 || width == 4;
  if (good_width && offset < kConfigSize && offset % width == 0) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("{}: invalid configuration access of {} bytes at {:#x}", name_, width, offset),
              "use 1, 2 or 4 bytes at a multiple of that size below 4096");
}

Result<std::uint32_t> QtestDevice::read_config(std::uint32_t offset, unsigned width) {
  if (auto valid = check_config_access(offset, width); !valid) return pass_on(std::move(valid));
  const std::lock_guard guard(machine_->bus_lock());
  auto value = machine_->bus().read(slot_, offset, width);
  if (!value) return explain(std::move(value).error());
  return value;
}

Result<void> QtestDevice::write_config(std::uint32_t offset, unsigned width, std::uint32_t value) {
  if (auto valid = check_config_access(offset, width); !valid) return valid;
  const std::lock_guard guard(machine_->bus_lock());
  auto written = machine_->bus().write(slot_, offset, width, value);
  // The way back from D3hot may have been a reset. The platform restores the addresses and decoding, as the kernel does
  // (Linux, drivers/pci/pci.c, pci_restore_bars). A driver enables interrupts again when it starts.
  const bool wakes = power_ != 0 && offset == power_ + PCI_PM_CTRL && (value & PCI_PM_CTRL_STATE_MASK) == 0;
  if (written && wakes) written = machine_->bus().restore(slot_, machine_->bars(card_));
  if (!written) return explain(std::move(written).error());
  return written;
}

Result<Bar> QtestDevice::bar(unsigned index) {
  if (index >= windows_.size() || machine_->bars(card_).size[index] == 0) {
    return fail(ErrorCode::invalid_argument, fmt::format("{} has no base address register {}", name_, index));
  }
  return Bar(*windows_[index], machine_->bars(card_).size[index]);
}

Result<void> QtestDevice::set_bus_master(bool enabled) {
  auto command = read_config(PCI_COMMAND, 2);
  if (!command) return pass_on(std::move(command));
  return write_config(PCI_COMMAND, 2, enabled ? *command | kMaster : *command & ~kMaster);
}

Result<void> QtestDevice::reset() {
  auto able = express_ == 0 ? Result<std::uint32_t>(0) : read_config(express_ + kExpressCapabilities, 4);
  if (!able) return pass_on(std::move(able));
  if ((*able & kCanReset) == 0) {
    return fail(ErrorCode::not_supported, fmt::format("{} does not support a function-level reset", name_),
                "use the driver's reset instead");
  }
  if (auto written = write_config(express_ + kExpressControl, 2, kInitiateReset); !written) return written;
  context_->clock().sleep_for(kResetTime);
  const std::lock_guard guard(machine_->bus_lock());
  return machine_->bus().restore(slot_, machine_->bars(card_));
}

Result<std::span<const int>> QtestDevice::enable_interrupts(unsigned count) {
  if (count > vectors_) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {} interrupt vectors were requested", name_, count),
                fmt::format("it has {}", vectors_));
  }
  if (vectors_ == 0) return std::span<const int>();
  auto control = read_config(msix_ + kMsixControl, 2);
  if (!control) return pass_on(std::move(control));
  auto off = write_config(msix_ + kMsixControl, 2, *control & ~kMsixEnable);
  if (!off) return pass_on(std::move(off));
  auto table = read_config(msix_ + kMsixTable, 4);
  if (!table) return pass_on(std::move(table));
  auto window = bar(*table & kMsixBarMask);
  if (!window) return pass_on(std::move(window));
  const std::uint64_t doorbell = machine_->doorbell_address();
  for (unsigned vector = 0; vector < vectors_; ++vector) {
    const std::uint32_t entry = (*table & ~kMsixBarMask) + vector * kEntryBytes;
    window->write32(entry, static_cast<std::uint32_t>(doorbell));
    window->write32(entry + 4, static_cast<std::uint32_t>(doorbell >> 32));
    window->write32(entry + 8, DoorbellServer::message(card_, vector));
    window->write32(entry + 12, vector < count ? 0 : 1);
  }
  // Discard signals for the previous user of the vectors.
  machine_->doorbells().drain(card_);
  if (count != 0) {
    auto on = write_config(msix_ + kMsixControl, 2, *control | kMsixEnable);
    if (!on) return pass_on(std::move(on));
  }
  return machine_->doorbells().events(card_).first(count);
}

namespace {

/// A Context's QEMUs: one for qtest:0 and qtest:1, one for qtest:2 and qtest:3, and so on; URIs with another kind of
/// card, other properties or far ends have another one. A QEMU is started when the first of its cards is opened, and
/// ended when the last one is closed. Thread rule: any thread.
class Machines {
 public:
  /// The machine of `target`. Starts it if it does not run.
  [[nodiscard]] Result<std::shared_ptr<Machine>> get(Context& context, const Target& target);

 private:
  std::mutex lock_;
  std::map<std::string, std::weak_ptr<Machine>> machines_;
};

Result<std::shared_ptr<Machine>> Machines::get(Context& context, const Target& target) {
  const std::lock_guard guard(lock_);
  std::weak_ptr<Machine>& entry =
      machines_[fmt::format("{} {}{} {} {} {} {}", target.number / MachineConfig::kCards, target.card->name,
                            target.properties, target.tap, target.vhost_user, target.queues, target.qemu)];
  if (auto machine = entry.lock()) return machine;
  auto started = Machine::start(context, target);
  if (started) entry = *started;
  return started;
}

}  // namespace

Result<std::unique_ptr<Device>> open_qtest(Context& context, std::string_view uri) {
  auto target = parse_target(uri);
  if (!target) return pass_on(std::move(target));
  auto machine = context.service<Machines>().get(context, *target);
  if (!machine) return pass_on(std::move(machine));
  auto device = QtestDevice::create(context, fmt::format("qtest:{}", target->number), *machine,
                                    target->number % MachineConfig::kCards);
  if (!device) return pass_on(std::move(device));
  return std::unique_ptr<Device>(*std::move(device));
}

}  // namespace pollux::qtest
