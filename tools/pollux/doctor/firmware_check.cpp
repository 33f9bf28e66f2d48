// SPDX-License-Identifier: BSD-3-Clause
// The firmware of an 82576, which may share the port with a management controller.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>

#include "base/file_descriptor.hpp"
#include "doctor/checks.hpp"
#include "hw/intel/igb/registers_control.hpp"
#include "hw/intel/igb/registers_system.hpp"
#include "hw/virtio/ids.hpp"
#include "pci/sysfs.hpp"

namespace pollux::tool::doctor {
namespace {

namespace igb = hw::igb;
namespace sysfs = pci::sysfs;

/// All registers that are read lie below.
constexpr std::size_t kMappedBytes = 0x6000;

struct Unmap {
  void operator()(void* base) const noexcept { ::munmap(base, kMappedBytes); }
};
/// The registers of a port that another driver may use.
using Registers = std::unique_ptr<void, Unmap>;

Result<Registers> map_registers(const std::filesystem::path& file) {
  const FileDescriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_SYNC));
  if (!descriptor) return fail_errno(ErrorCode::io_error, "cannot open " + file.string(), errno, "run it as root");
  struct stat status {};
  if (::fstat(descriptor.get(), &status) != 0 || static_cast<std::size_t>(status.st_size) < kMappedBytes) {
    return fail(ErrorCode::io_error, file.string() + " is too short", "see the kernel's log: dmesg | tail");
  }
  void* const base = ::mmap(nullptr, kMappedBytes, PROT_READ, MAP_SHARED, descriptor.get(), 0);
  if (base != MAP_FAILED) return Registers(base);
  // Linux, drivers/pci/pci-sysfs.c, pci_mmap_resource: with CONFIG_IO_STRICT_DEVMEM only the driver may map them.
  if (errno == EINVAL) {
    return fail(ErrorCode::permission_denied, "the kernel lets only its own drivers read the registers",
                "the kernel parameter iomem=relaxed allows it");
  }
  return fail_errno(ErrorCode::io_error, "cannot map " + file.string(), errno, "see the kernel's log: dmesg | tail");
}

template <class Register>
typename Register::Value read(const Registers& registers) {
  static_assert(Register::offset() < kMappedBytes);
  const auto* const words = static_cast<const volatile std::uint32_t*>(registers.get());
  return typename Register::Value(words[Register::offset() / sizeof(std::uint32_t)]);
}

/// Why the registers may not be read; empty: they may.
std::string reason_not_to_read(const std::filesystem::path& device) {
  const std::string power = sysfs::read_text(device / "power_state").value_or("D0");
  if (power != "D0") return "the card is in a state of low power";
  if (sysfs::read_text(device / "enable") == "0") return "the card is disabled: no driver uses it";
  return {};
}

}  // namespace

// A read changes none of these registers. SWSM is not among them: a read of it takes a semaphore.
Finding check_firmware(const Subject& subject) {
  const pci::DeviceInfo& device = *subject.device;
  if (device.vendor == hw::virtio::kVendorId) return {State::ok, "a virtio device shows no firmware"};
  const std::string driver = subject.environment.driver_of(device.vendor, device.device);
  if (driver != "igb" && driver != "e1000e") {
    return {State::unknown, "it is examined on cards of the drivers igb and e1000e only"};
  }
  const auto directory = sysfs::device(subject.paths(), device.address);
  if (auto reason = reason_not_to_read(directory); !reason.empty()) return {State::unknown, std::move(reason)};
  const auto registers = map_registers(directory / "resource0");
  if (!registers) return {State::unknown, registers.error().what, {}, registers.error().hint};
  if (read<igb::STATUS>(*registers).all_ones()) return {State::unknown, "the registers read all ones"};

  const auto manc = read<igb::MANC>(*registers);
  const auto fwsm = read<igb::FWSM>(*registers);
  std::string found =
      fmt::format("mode {}{}", fwsm.get(igb::FWSM::FW_MODE), fwsm.has(igb::FWSM::FW_VALID) ? ", valid" : "");
  if (driver == "igb")
    found += fmt::format(", holds {:#x} of SW_FW_SYNC", read<igb::SW_FW_SYNC>(*registers).raw() >> 16U);
  if (manc.has(igb::MANC::BLK_PHY_RST_ON_IDE)) {
    return {State::error,
            found + "; a management session runs over this port, and its link must not drop",
            {},
            "end the session: MANC.BLK_PHY_RST_ON_IDE is set"};
  }
  if (manc.has_any(igb::MANC::RCV_TCO_EN | igb::MANC::EN_MNG2HOST)) {
    return {State::warning,
            found + "; the machine's management controller receives frames from this port (MANC)",
            {},
            "it may lose them while a program has the port"};
  }
  return {State::ok, found + "; receives no frames from this port"};
}

}  // namespace pollux::tool::doctor
