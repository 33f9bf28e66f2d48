// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/vfio_device.hpp"

#include <fmt/format.h>
#include <linux/vfio.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

#include "device/power_state.hpp"
#include "pci/sysfs.hpp"
#include "pci/vfio_use.hpp"

namespace pollux::vfio {
namespace {

// The table size field has 11 bits. linux/pci_regs.h, PCI_MSIX_FLAGS_QSIZE.
constexpr std::uint32_t kMaxVectors = 2048;

}  // namespace

Result<Interrupts> Interrupts::probe(const Descriptor& device, const std::string& name, std::uint32_t index) {
  vfio_irq_info info{};
  info.argsz = sizeof info;
  info.index = index;
  // If the device has no such index, the kernel fails the request or reports 0 vectors.
  const int result = device.ioctl(VFIO_DEVICE_GET_IRQ_INFO, &info);
  const bool offered = result >= 0 && (info.flags & VFIO_IRQ_INFO_EVENTFD) != 0;
  if (offered && info.count > kMaxVectors) {
    return fail(ErrorCode::device_fault,
                fmt::format("{} reports {} interrupt vectors, but the maximum is {}", name, info.count, kMaxVectors));
  }
  return Interrupts(device, name, index, offered ? info.count : 0);
}

Interrupts::Interrupts(Interrupts&& other) noexcept
    : device_(other.device_),
      name_(std::move(other.name_)),
      index_(other.index_),
      available_(other.available_),
      events_(std::exchange(other.events_, {})),
      numbers_(std::exchange(other.numbers_, {})) {}

Interrupts::~Interrupts() {
  // A failure is harmless here: the kernel disables the interrupts when the device is closed.
  static_cast<void>(disable());
}

Result<void> Interrupts::enable(std::uint32_t count) {
  if (count > available_) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("{}: {} interrupt vectors were requested, but the device has {}", name_, count, available_));
  }
  if (auto disabled = disable(); !disabled) return disabled;
  if (count == 0) return {};

  std::vector<Descriptor> events;
  std::vector<int> numbers;
  events.reserve(count);  // so that no eventfd is lost if an allocation fails
  numbers.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const int event = device_->kernel().eventfd();
    if (event < 0) {
      return fail_errno(ErrorCode::io_error, fmt::format("{}: {} eventfds could not be created", name_, count), -event,
                        "raise the limit of open files: ulimit -n");
    }
    events.emplace_back(device_->shared_kernel(), event);
    numbers.push_back(event);
  }
  const int result = set(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, numbers);
  if (result < 0) {
    return fail_errno(ErrorCode::io_error, fmt::format("{}: {} interrupt vectors could not be enabled", name_, count),
                      -result, "see dmesg");
  }
  // A positive result is the number of vectors that the platform could provide (Linux, vfio_pci_intrs.c,
  // vfio_msi_enable).
  if (result > 0) {
    return fail(
        ErrorCode::not_supported,
        fmt::format("{}: the platform provides {} interrupt vectors, but {} were requested", name_, result, count),
        "request fewer");
  }
  events_ = std::move(events);
  numbers_ = std::move(numbers);
  return {};
}

Result<void> Interrupts::disable() {
  if (events_.empty()) return {};
  const int result = set(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, {});
  events_.clear();
  numbers_.clear();
  if (result < 0) {
    return fail_errno(ErrorCode::io_error, fmt::format("{}: the interrupts could not be disabled", name_), -result);
  }
  return {};
}

int Interrupts::set(std::uint32_t flags, std::span<const int> events) const {
  vfio_irq_set header{};
  header.argsz = static_cast<std::uint32_t>(sizeof header + events.size_bytes());
  header.flags = flags;
  header.index = index_;
  header.count = static_cast<std::uint32_t>(events.size());
  std::vector<std::byte> request(header.argsz);
  std::memcpy(request.data(), &header, sizeof header);
  if (!events.empty()) std::memcpy(request.data() + sizeof header, events.data(), events.size_bytes());
  return device_->ioctl(VFIO_DEVICE_SET_IRQS, request.data());
}

namespace {

/// SR-IOV counts functions in 16 bits.
constexpr std::uint32_t kMaxFunctions = 0xFFFF;

}  // namespace

Result<std::unique_ptr<Device>> VfioDevice::create(Clock& clock, const pci::DeviceInfo& info, OpenedDevice opened,
                                                   pci::SystemPaths paths) {
  std::unique_ptr<VfioDevice> device(new VfioDevice(info, std::move(opened), std::move(paths)));
  if (auto described = device->describe(); !described) return pass_on(std::move(described));
  if (auto up = device->bring_up(clock); !up) return pass_on(std::move(up));
  return device;
}

VfioDevice::VfioDevice(const pci::DeviceInfo& info, OpenedDevice opened, pci::SystemPaths paths)
    : name_("vfio:" + info.address.to_string()),
      numa_node_(info.numa_node),
      paths_(std::move(paths)),
      info_(info),
      attributes_(pci::sysfs::device(paths_, info.address)),
      opened_(std::move(opened)) {}

// The order of the members does the rest: it disables events, unmaps BARs, closes the descriptor, and releases the
// group and container.
VfioDevice::~VfioDevice() {
  // Closing the descriptor also ends bus mastering, so a device that does not respond here is stopped then.
  if (parts_ && mastering_) static_cast<void>(parts_->config.set_command(false));
}

Result<void> VfioDevice::describe() {
  vfio_device_info info{};
  info.argsz = sizeof info;
  if (const int result = opened_.descriptor.ioctl(VFIO_DEVICE_GET_INFO, &info); result < 0) {
    return fail_errno(ErrorCode::io_error, name_ + ": the device information cannot be read from VFIO", -result);
  }
  if ((info.flags & VFIO_DEVICE_FLAGS_PCI) == 0 || info.num_regions <= VFIO_PCI_CONFIG_REGION_INDEX) {
    return fail(ErrorCode::not_supported, name_ + ": VFIO does not report it as a PCI device");
  }
  resettable_ = (info.flags & VFIO_DEVICE_FLAGS_RESET) != 0;

  auto config = read_region(opened_.descriptor, name_, VFIO_PCI_CONFIG_REGION_INDEX);
  if (!config) return pass_on(std::move(config));
  auto vectors = Interrupts::probe(opened_.descriptor, name_, VFIO_PCI_MSIX_IRQ_INDEX);
  if (!vectors) return pass_on(std::move(vectors));
  auto error = Interrupts::probe(opened_.descriptor, name_, VFIO_PCI_ERR_IRQ_INDEX);
  if (!error) return pass_on(std::move(error));
  auto removal = Interrupts::probe(opened_.descriptor, name_, VFIO_PCI_REQ_IRQ_INDEX);
  if (!removal) return pass_on(std::move(removal));
  parts_.emplace(Parts{ConfigSpace(opened_.descriptor, name_, *config),
                       {},
                       std::move(*removal),
                       std::move(*error),
                       std::move(*vectors)});
  return {};
}

Result<void> VfioDevice::bring_up(Clock& clock) {
  if (parts_->config.unresponsive()) {
    return fail(ErrorCode::device_removed, name_ + " does not respond", "check that the device is present: lspci");
  }
  if (auto powered = enter_d0(*this, clock); !powered) return powered;
  auto identity = parts_->config.identity();
  if (!identity) return pass_on(std::move(identity));
  identity_ = *identity;
  if (auto set = parts_->config.set_command(false); !set) return set;
  if (parts_->error.available() != 0) {
    if (auto reported = parts_->config.report_errors(); !reported) return reported;
  }
  for (Interrupts* event : {&parts_->error, &parts_->removal}) {
    if (auto armed = event->enable(event->available() != 0 ? 1 : 0); !armed) return armed;
  }
  return {};
}

Result<std::uint32_t> VfioDevice::read_config(std::uint32_t offset, unsigned width) {
  return parts_->config.read(offset, width);
}

Result<void> VfioDevice::write_config(std::uint32_t offset, unsigned width, std::uint32_t value) {
  return parts_->config.write(offset, width, value);
}

Result<Bar> VfioDevice::bar(unsigned index) {
  if (index >= parts_->bars.size()) {
    return fail(ErrorCode::invalid_argument, fmt::format("{} has no BAR {}: BARs are numbered 0 to 5", name_, index));
  }
  auto& window = parts_->bars[index];
  if (!window) {
    auto region = read_region(opened_.descriptor, name_, index);
    if (!region) return pass_on(std::move(region));
    if (region->size == 0) return fail(ErrorCode::not_found, fmt::format("{} has no BAR {}", name_, index));
    auto mapped = BarWindow::map(opened_.descriptor, name_, *region);
    if (!mapped) return pass_on(std::move(mapped));
    window.emplace(std::move(*mapped));
  }
  return window->bar();
}

Result<void> VfioDevice::set_bus_master(bool enabled) {
  mastering_ = mastering_ || enabled;
  auto set = parts_->config.set_command(enabled);
  if (set) mastering_ = enabled;
  return set;
}

Result<void> VfioDevice::reset() {
  if (!resettable_) return fail(ErrorCode::not_supported, name_ + " does not support a function-level reset");
  const int result = opened_.descriptor.ioctl(VFIO_DEVICE_RESET, static_cast<void*>(nullptr));
  if (result == -ENODEV) return fail_errno(ErrorCode::device_removed, name_ + " cannot be reset", ENODEV);
  if (result < 0) return fail_errno(ErrorCode::io_error, name_ + " cannot be reset", -result, "see dmesg");
  return set_bus_master(mastering_);
}

Result<std::span<const int>> VfioDevice::enable_interrupts(unsigned count) {
  if (auto enabled = parts_->vectors.enable(count); !enabled) return pass_on(std::move(enabled));
  return parts_->vectors.events();
}

bool VfioDevice::removed() const {
  if (removed_.load(std::memory_order_relaxed)) return true;
  const int request = removal_event();
  const bool requested_back = request >= 0 && opened_.descriptor.kernel().readable(request) > 0;
  if (!requested_back && !parts_->config.unresponsive()) return false;
  removed_.store(true, std::memory_order_relaxed);
  return true;
}

unsigned VfioDevice::max_functions() {
  return pci::sysfs::read_number(attributes_ / "sriov_totalvfs", kMaxFunctions).value_or(0);
}

unsigned VfioDevice::functions() {
  return pci::sysfs::read_number(attributes_ / "sriov_numvfs", kMaxFunctions).value_or(0);
}

// The kernel removes a function only after all processes have closed it, and the write to sriov_numvfs waits for that
// without limit: Linux, drivers/vfio/vfio_main.c, vfio_unregister_group_dev. A process that opens one after this check
// still delays the write.
Result<void> VfioDevice::check_functions_unused() const {
  auto unused = pci::check_functions_not_open(paths_, info_);
  if (unused) return {};
  return fail(ErrorCode::busy, "vfio:" + unused.error().what,
              "close the virtual function there first; the kernel would wait for that without limit");
}

// The kernel then creates the functions: Linux, drivers/vfio/pci/vfio_pci.c, vfio_pci_sriov_configure, which needs the
// module's parameter. A number other than 0 can only follow 0.
Result<void> VfioDevice::set_functions(unsigned count) {
  if (count == functions()) return {};
  if (count > max_functions()) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("{}: {} virtual functions were requested, and it can have {}", name_, count, max_functions()),
        "request fewer, of a card that has virtual functions");
  }
  if (auto unused = check_functions_unused(); !unused) return unused;
  auto written = pci::sysfs::write(attributes_ / "sriov_numvfs", std::to_string(count));
  if (written || written.error().code == ErrorCode::permission_denied) return written;
  Error& error = written.error();
  error.what = fmt::format("{}: the kernel refuses virtual functions: {}", name_, error.what);
  // ENOENT. Other errors, such as a lack of bus numbers or of memory for the functions' BARs, are in the kernel's log.
  if (error.code == ErrorCode::not_found && pci::sysfs::exists(attributes_)) {
    error.code = ErrorCode::not_supported;
    error.hint = "echo 1 > /sys/module/vfio_pci/parameters/enable_sriov";
  }
  return written;
}

}  // namespace pollux::vfio
