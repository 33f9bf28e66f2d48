// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/device_access.hpp"

#include <fmt/format.h>
#include <linux/vfio.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backends/vfio/kernel.hpp"
#include "backends/vfio/region.hpp"
#include "device/power_state.hpp"
#include "pci/device_info.hpp"
#include "pci/sysfs.hpp"
#include "pci/vfio_use.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::vfio {
namespace {

// The table size field has 11 bits. linux/pci_regs.h, PCI_MSIX_FLAGS_QSIZE.
constexpr std::uint32_t kMaxVectors = 2048;
/// SR-IOV counts functions in 16 bits.
constexpr std::uint32_t kMaxFunctions = 0xFFFF;

/// One of a device's interrupt indexes: MSI-X, error or removal request. Each vector signals an eventfd.
/// Does not own the device's descriptor, which outlives this object. The destructor disables the index.
class Interrupts {
 public:
  /// Queries how many vectors index `index` has. Enables none. An index that the device lacks has 0 vectors.
  [[nodiscard]] static Result<Interrupts> probe(const Descriptor& device, const std::string& name,
                                                std::uint32_t index) {
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

  Interrupts(Interrupts&& other) noexcept
      : device_(other.device_),
        name_(std::move(other.name_)),
        index_(other.index_),
        available_(other.available_),
        others_(other.others_),
        events_(std::exchange(other.events_, {})),
        numbers_(std::exchange(other.numbers_, {})) {}
  Interrupts& operator=(Interrupts&&) = delete;
  ~Interrupts() {
    // A failure is harmless here: the kernel disables the interrupts when the device is closed.
    static_cast<void>(disable());
  }

  [[nodiscard]] std::uint32_t available() const noexcept { return available_; }
  /// Enables vectors 0 to `count` - 1 in one call, after it has disabled all of them. A `count` of 0 only disables.
  /// Errors: `invalid_argument` above `available`, `io_error`. After an error no vector is enabled.
  [[nodiscard]] Result<void> enable(std::uint32_t count) {
    if (std::exchange(others_, false)) static_cast<void>(set(kDisable, {}));  // an error: none was enabled
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
        return fail_errno(ErrorCode::io_error, fmt::format("{}: {} eventfds could not be created", name_, count),
                          -event);
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
  [[nodiscard]] std::span<const int> events() const noexcept { return numbers_; }
  /// Another program may have enabled vectors.
  void note_others() noexcept { others_ = true; }
  /// Another program has them: they stay as they are.
  void leave() noexcept {
    events_.clear();
    numbers_.clear();
  }
  /// The first vector's event; -1 while it is disabled.
  [[nodiscard]] int event() const noexcept { return numbers_.empty() ? -1 : numbers_.front(); }

 private:
  static constexpr std::uint32_t kDisable = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;

  Interrupts(const Descriptor& device, std::string name, std::uint32_t index, std::uint32_t available)
      : device_(&device), name_(std::move(name)), index_(index), available_(available) {}
  [[nodiscard]] Result<void> disable() {
    if (events_.empty()) return {};
    const int result = set(kDisable, {});
    events_.clear();
    numbers_.clear();
    if (result < 0) {
      return fail_errno(ErrorCode::io_error, fmt::format("{}: the interrupts could not be disabled", name_), -result);
    }
    return {};
  }
  [[nodiscard]] int set(std::uint32_t flags, std::span<const int> events) const {
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

  const Descriptor* device_;
  std::string name_;
  std::uint32_t index_;
  std::uint32_t available_;
  bool others_ = false;
  std::vector<Descriptor> events_;
  std::vector<int> numbers_;
};

/// A PCI device behind a VFIO descriptor, for every access mode.
class VfioDevice final : public Device, private DeviceHandover {
 public:
  VfioDevice(const pci::DeviceInfo& info, OpenedDevice opened, pci::SystemPaths paths, bool is_shared)
      : name_("vfio:" + info.address.to_string()),
        numa_node_(info.numa_node),
        paths_(std::move(paths)),
        info_(info),
        attributes_(pci::sysfs::device(paths_, info.address)),
        is_shared_(is_shared),
        opened_(std::move(opened)) {}
  [[nodiscard]] Result<void> describe() {
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
  [[nodiscard]] Result<void> bring_up(Clock& clock) {
    if (parts_->config.unresponsive()) {
      return fail(ErrorCode::device_removed, name_ + " does not respond", "check that the device is present: lspci");
    }
    if (auto powered = enter_d0(*this, clock); !powered) return powered;
    auto identity = parts_->config.identity();
    if (!identity) return pass_on(std::move(identity));
    identity_ = *identity;
    if (is_shared_) return {};
    if (auto set = parts_->config.set_command(false); !set) return set;
    if (parts_->error.available() != 0) {
      if (auto reported = parts_->config.report_errors(); !reported) return reported;
    }
    return watch_events();
  }

  // The order of the members does the rest: it disables events, unmaps BARs, closes the descriptor, and releases the
  // group and container.
  ~VfioDevice() override {
    // Closing the descriptor also ends bus mastering, so a device that does not respond here is stopped then.
    if (parts_ && mastering_) static_cast<void>(parts_->config.set_command(false));
  }

  const std::string& name() const override { return name_; }
  PciIdentity identity() const override { return identity_; }
  int numa_node() const override { return numa_node_; }
  Result<std::uint32_t> read_config(std::uint32_t offset, unsigned width) override {
    return parts_->config.read(offset, width);
  }
  Result<void> write_config(std::uint32_t offset, unsigned width, std::uint32_t value) override {
    return parts_->config.write(offset, width, value);
  }
  Result<Bar> bar(unsigned index) override {
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
  Result<void> set_bus_master(bool enabled) override {
    mastering_ = mastering_ || enabled;
    auto set = parts_->config.set_command(enabled);
    if (set) mastering_ = enabled;
    return set;
  }
  Result<void> reset() override {
    if (!resettable_) return fail(ErrorCode::not_supported, name_ + " does not support a function-level reset");
    const int result = opened_.descriptor.ioctl(VFIO_DEVICE_RESET, static_cast<void*>(nullptr));
    if (result == -ENODEV) return fail_errno(ErrorCode::device_removed, name_ + " cannot be reset", ENODEV);
    if (result < 0) return fail_errno(ErrorCode::io_error, name_ + " cannot be reset", -result, "see dmesg");
    return set_bus_master(mastering_);
  }
  DmaDomain& dma_domain() override { return opened_.access->dma_domain(); }
  DeviceHandover* handover() override { return this; }
  unsigned interrupt_vectors() const override { return parts_->vectors.available(); }
  Result<std::span<const int>> enable_interrupts(unsigned count) override {
    if (auto enabled = parts_->vectors.enable(count); !enabled) return pass_on(std::move(enabled));
    return parts_->vectors.events();
  }
  unsigned max_functions() override {
    return pci::sysfs::read_number(attributes_ / "sriov_totalvfs", kMaxFunctions).value_or(0);
  }
  unsigned functions() override {
    return pci::sysfs::read_number(attributes_ / "sriov_numvfs", kMaxFunctions).value_or(0);
  }

  // The kernel then creates the functions: Linux, drivers/vfio/pci/vfio_pci.c, vfio_pci_sriov_configure, which needs
  // the module's parameter. A number other than 0 can only follow 0.
  Result<void> set_functions(unsigned count) override {
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
    // ENOENT. Other errors, such as a lack of bus numbers or of memory for the functions' BARs, are in the kernel's
    // log.
    if (error.code == ErrorCode::not_found && pci::sysfs::exists(attributes_)) {
      error.code = ErrorCode::not_supported;
      error.hint = "echo 1 > /sys/module/vfio_pci/parameters/enable_sriov";
    }
    return written;
  }
  int error_event() const override { return parts_->error.event(); }
  int removal_event() const override { return parts_->removal.event(); }
  /// Also true after the host has requested the device back: in both cases the device must be closed.
  bool removed() const override {
    if (removed_.load(std::memory_order_relaxed)) return true;
    const int request = removal_event();
    const bool requested_back = request >= 0 && opened_.descriptor.kernel().readable(request) > 0;
    if (!requested_back && !parts_->config.unresponsive()) return false;
    removed_.store(true, std::memory_order_relaxed);
    return true;
  }

 private:
  // Everything that refers to the descriptor: created after it and destroyed before it. Destroyed from last to first.
  struct Parts {
    ConfigSpace config;
    std::array<std::optional<BarWindow>, 6> bars;
    Interrupts removal;
    Interrupts error;
    Interrupts vectors;
  };

  [[nodiscard]] Result<void> watch_events() {
    for (Interrupts* event : {&parts_->error, &parts_->removal}) {
      if (auto armed = event->enable(event->available() != 0 ? 1 : 0); !armed) return armed;
    }
    return {};
  }

  [[nodiscard]] Offer describe() const override {
    Offer offer;
    opened_.access->describe(offer);
    offer.descriptors.emplace_back(kDeviceFile, opened_.descriptor.get());
    return offer;
  }
  [[nodiscard]] bool is_shared() const noexcept override { return is_shared_; }
  [[nodiscard]] Result<void> own() override {
    is_shared_ = false;
    mastering_ = true;
    for (Interrupts* index : {&parts_->error, &parts_->removal, &parts_->vectors}) index->note_others();
    if (auto off = parts_->vectors.enable(0); !off) return off;
    return watch_events();
  }
  [[nodiscard]] Result<void> exchange_memory() override {
    mastering_ = true;
    return opened_.access->exchange_memory();
  }
  void leave() noexcept override {
    mastering_ = false;
    for (Interrupts* index : {&parts_->error, &parts_->removal, &parts_->vectors}) index->leave();
  }

  // The kernel removes a function only after all processes have closed it, and the write to sriov_numvfs waits for that
  // without limit: Linux, drivers/vfio/vfio_main.c, vfio_unregister_group_dev. A process that opens one after this
  // check still delays the write.
  [[nodiscard]] Result<void> check_functions_unused() const {
    auto unused = pci::check_functions_not_open(paths_, info_);
    if (unused) return {};
    return fail(ErrorCode::busy, "vfio:" + unused.error().what,
                "close the virtual function there first; the kernel would wait for that without limit");
  }

  std::string name_;
  int numa_node_;
  pci::SystemPaths paths_;
  pci::DeviceInfo info_;
  std::filesystem::path attributes_;  // the device's directory in sysfs
  PciIdentity identity_;
  bool resettable_ = false;
  bool mastering_ = false;
  bool is_shared_;
  mutable std::atomic<bool> removed_{false};
  OpenedDevice opened_;
  std::optional<Parts> parts_;
};

}  // namespace

Result<std::unique_ptr<Device>> make_device(Clock& clock, const pci::DeviceInfo& info, OpenedDevice opened,
                                            pci::SystemPaths paths, bool is_shared) {
  std::unique_ptr<VfioDevice> device(new VfioDevice(info, std::move(opened), std::move(paths), is_shared));
  if (auto described = device->describe(); !described) return pass_on(std::move(described));
  if (auto up = device->bring_up(clock); !up) return pass_on(std::move(up));
  return device;
}

}  // namespace pollux::vfio
