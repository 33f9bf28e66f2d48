// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backends/vfio/kernel.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux::vfio {

/// The reply of one of VFIO's INFO ioctls: a fixed structure, followed by a chain of capabilities (linux/vfio.h,
/// "struct vfio_info_cap_header"). The offsets are untrusted input, so each is checked before it is followed.
class InfoReply {
 public:
  InfoReply() = default;
  explicit InfoReply(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}

  /// The fixed part. Bytes beyond the end of a short reply are zero.
  template <class Fixed>
  [[nodiscard]] Fixed fixed() const {
    Fixed value{};
    std::memcpy(&value, bytes_.data(), std::min(sizeof value, bytes_.size()));
    return value;
  }

  /// The bytes after the header of capability `id`, up to the reply's end. None if the chain that starts at offset
  /// `first` lacks it. A link that loops, goes backwards or leaves the reply ends the chain.
  [[nodiscard]] std::optional<std::span<const std::byte>> capability(std::uint32_t first, std::uint16_t id) const;

 private:
  std::vector<std::byte> bytes_;
};

/// Bytes. Bounds the reply size that the kernel asks for.
inline constexpr std::size_t kMaxReplySize = 64 * 1024;
/// Runs an INFO ioctl with space for the fixed part. If the kernel asks for more space, runs it once more with that
/// much. `fixed` begins with argsz, which is filled in here. Its other members are the request's input.
[[nodiscard]] int query_info(const Descriptor& descriptor, unsigned long request, std::span<const std::byte> fixed,
                             InfoReply& reply);

/// A number at `offset`, if it is within `bytes`.
template <class Number>
[[nodiscard]] std::optional<Number> number_at(std::span<const std::byte> bytes, std::size_t offset) {
  if (bytes.size() < sizeof(Number) || offset > bytes.size() - sizeof(Number)) return std::nullopt;
  Number number;
  std::memcpy(&number, bytes.data() + offset, sizeof number);
  return number;
}

/// A type1 container's description of its IOMMU.
struct IommuInfo {
  std::vector<IovaRange> ranges;               ///< usable addresses, ascending; never empty
  std::optional<std::uint32_t> mappings_left;  ///< further mappings the container allows; absent on older kernels
};

/// Runs VFIO_IOMMU_GET_INFO. For a kernel without the range capability it assumes the 39 bits that three levels of page
/// tables translate, without the interrupt window at 0xfee00000. Error `device_fault` for an inconsistent reply.
[[nodiscard]] Result<IommuInfo> read_iommu_info(const Descriptor& container);

/// Appends a range that the kernel reported. Error `device_fault` unless it lies above all ranges before it.
[[nodiscard]] Result<void> add_range(std::vector<IovaRange>& ranges, const IovaRange& range);
/// Error `device_fault` for an empty list.
[[nodiscard]] Result<void> check_not_empty(const std::vector<IovaRange>& ranges);

/// A region of a device's descriptor: a BAR or the configuration space.
struct Region {
  struct Area {
    std::uint64_t offset = 0;  ///< bytes from the region's start
    std::uint64_t size = 0;    ///< bytes
  };

  std::uint32_t index = 0;
  std::uint64_t offset = 0;  ///< bytes from the descriptor's start
  std::uint64_t size = 0;    ///< bytes; 0: the device has no such region
  bool readable = false;
  bool writable = false;
  std::vector<Area> mappable;  ///< ascending, within the region, whole pages; empty: not mappable
};

/// Runs VFIO_DEVICE_GET_REGION_INFO and parses the sparse-mmap capability, with which older kernels exclude the MSI-X
/// table from mapping. `device` is for messages. Error `device_fault` for inconsistent areas.
[[nodiscard]] Result<Region> read_region(const Descriptor& descriptor, const std::string& device, std::uint32_t index);

/// A BAR mapped into this process's address space. Older kernels do not allow the MSI-X table to be mapped. Such areas
/// are ordinary memory that reads all ones, like a device that does not respond.
class BarWindow {
 public:
  /// Error `not_supported` for a region that cannot be mapped at all, such as I/O ports.
  [[nodiscard]] static Result<BarWindow> map(const Descriptor& descriptor, const std::string& device,
                                             const Region& region);

  BarWindow(BarWindow&& other) noexcept;
  BarWindow& operator=(BarWindow&& other) noexcept;
  ~BarWindow();

  [[nodiscard]] Bar bar() const noexcept { return {base_, size_}; }

 private:
  BarWindow(std::shared_ptr<Kernel> kernel, void* base, std::size_t size)
      : kernel_(std::move(kernel)), base_(static_cast<std::uint8_t*>(base)), size_(size) {}

  std::shared_ptr<Kernel> kernel_;
  std::uint8_t* base_ = nullptr;
  std::size_t size_ = 0;
};

/// A function's PCI configuration space, accessed through the device's descriptor.
/// Does not own the descriptor. Thread rule: any thread, as for the kernel's pread and pwrite.
class ConfigSpace {
 public:
  ConfigSpace(const Descriptor& descriptor, std::string device, const Region& region)
      : descriptor_(&descriptor), device_(std::move(device)), offset_(region.offset), size_(region.size) {}

  /// `width` is 1, 2 or 4, `offset` a multiple of it. Errors: `invalid_argument`, `device_removed`, `io_error`.
  [[nodiscard]] Result<std::uint32_t> read(std::uint32_t offset, unsigned width) const;
  [[nodiscard]] Result<void> write(std::uint32_t offset, unsigned width, std::uint32_t value) const;

  /// True if the device no longer responds. Reads the status register, because VFIO caches the ids (Linux,
  /// drivers/vfio/pci/vfio_pci_config.c, init_pci_cap_basic_perm).
  [[nodiscard]] bool unresponsive() const;
  [[nodiscard]] Result<PciIdentity> identity() const;
  /// Switches memory decoding on, INTx off, and bus mastering to `bus_master`. Reads the register back. Error
  /// `device_fault` if a bit does not keep its value.
  [[nodiscard]] Result<void> set_command(bool bus_master) const;
  /// Lets the device report errors on its link. vfio-pci does not, and an igb such as Linux 6.1's forbids it when it
  /// leaves the card (igb_main.c, igb_remove).
  /// Does nothing on a device without a PCI Express capability. PCI Express Base 2.0, 7.8.4.
  [[nodiscard]] Result<void> report_errors() const;

 private:
  [[nodiscard]] Result<void> check_access(std::uint32_t offset, unsigned width) const;
  [[nodiscard]] tl::unexpected<Error> failed(const char* what, std::uint32_t offset, long result) const;

  const Descriptor* descriptor_;
  std::string device_;
  std::uint64_t offset_;
  std::uint64_t size_;
};

}  // namespace pollux::vfio
