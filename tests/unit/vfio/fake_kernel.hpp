// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/vfio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backends/vfio/kernel.hpp"
#include "pollux/mem/dma_domain.hpp"
#include "reply_builder.hpp"

namespace pollux::vfio::test {

/// The structure that an ioctl's argument points to.
template <class Structure>
[[nodiscard]] Structure& as(void* argument) {
  return *static_cast<Structure*>(argument);
}

struct FakeRegion {
  std::uint32_t flags = 0;
  std::uint64_t size = 0;
  std::vector<std::byte> capabilities = {};  ///< after the fixed part
};

/// A PCI function as vfio-pci presents it.
struct FakeCard {
  FakeCard();
  void set16(std::size_t offset, unsigned value);
  [[nodiscard]] unsigned get16(std::size_t offset) const;

  std::uint32_t group = 0;
  std::string token = {};  ///< as in the request that opens it, " vf_token=UUID"; empty: it has none
  std::string file;        ///< the device's own file, such as "vfio0"; empty: the kernel creates none
  std::uint32_t flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
  std::uint32_t region_count = VFIO_PCI_NUM_REGIONS;
  std::map<std::uint32_t, FakeRegion> regions;
  std::map<std::uint32_t, vfio_irq_info> irqs;
  std::array<std::uint8_t, 4096> config{};
  bool silent = false;              ///< removed: reads all ones, except for the ids that VFIO caches
  unsigned stuck_command_bits = 0;  ///< command bits that writes do not change
  int reads_asleep = 0;             ///< how many reads of PMCSR still show D3 after D0 was requested
  bool stays_in_d0 = false;         ///< as with enabled virtual functions: a request of D3 changes nothing
};

/// A fake kernel with VFIO. It tracks every descriptor and mapping. Calls in an order that would harm a real kernel or
/// card are recorded as violations.
class FakeKernel : public Kernel {
 public:
  ~FakeKernel() override;

  /// The next call named `step` (after `skip` of them) fails with `error`. Steps are named as in the journal.
  void fail(const std::string& step, int error, int skip = 0) { scripted_[step] = {error, skip}; }
  /// Call `number` fails, counted from 0 over all calls that can fail.
  void fail_call(int number, int error) { failing_call_ = {number, error}; }
  [[nodiscard]] bool failed_call() const { return calls_ > failing_call_.first; }
  /// The step that failed; empty if call `number` was not reached.
  [[nodiscard]] const std::string& failed_step() const { return failed_step_; }

  std::map<std::string, FakeCard> cards;  ///< by PCI address
  std::set<std::uint32_t> not_viable;     ///< groups
  int api_version = VFIO_API_VERSION;
  bool type1 = true;
  bool no_iommu = false;                    ///< VFIO's no-IOMMU mode is switched on
  std::set<std::uint32_t> no_iommu_groups;  ///< groups of that mode
  bool may_use_no_iommu = true;             ///< this process has CAP_SYS_RAWIO
  /// The entry of /proc/self/pagemap for a page number; null: the file does not exist.
  std::function<std::uint64_t(std::uint64_t page)> pagemap;
  std::optional<std::vector<IovaRange>> iommufd_ranges;  ///< instead of `ranges`
  std::vector<IovaRange> ranges{{0, 0xfedf'ffff}, {0xfef0'0000, 0xffff'ffff'ffff}};
  std::map<std::uint32_t, std::vector<IovaRange>> ranges_with_group;  ///< replaces `ranges` once that group has joined
  std::optional<std::uint32_t> mapping_limit = 65535;
  std::optional<std::vector<std::byte>> iommu_capabilities;  ///< instead of those made from the members above
  rlim_t memlock = RLIM_INFINITY;
  std::string process_status = "Name:\tpollux\nVmLck:\t      64 kB\nCapEff:\t0000000000000000\n";
  std::set<int> signalled;   ///< eventfds that a read would not block on
  int vectors_granted = -1;  ///< fewer MSI-X vectors than requested; -1: all

  /// The descriptor as another program gets it, for the same open file.
  [[nodiscard]] int pass(int descriptor) { return add(handles_.at(descriptor)); }

  [[nodiscard]] std::size_t open_descriptors() const { return handles_.size(); }
  [[nodiscard]] std::size_t mappings() const { return windows_.size(); }
  [[nodiscard]] std::size_t dma_mappings() const { return dma_.size(); }
  [[nodiscard]] const std::map<std::uint64_t, std::uint64_t>& dma() const { return dma_; }
  [[nodiscard]] const std::vector<std::string>& journal() const { return journal_; }
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  [[nodiscard]] std::size_t count(const std::string& step) const;
  /// The argsz of each call of a request.
  [[nodiscard]] std::vector<std::uint32_t> sizes(const std::string& request) const;
  [[nodiscard]] const std::vector<int>& armed(const std::string& card, std::uint32_t index) const;

  int open(const std::string& path, int flags) override;
  void close(int descriptor) override;
  int ioctl(int descriptor, unsigned long request, void* argument) override;
  Mapping mmap(void* address, std::size_t size, int protection, int flags, int descriptor,
               std::uint64_t offset) override;
  void munmap(void* address, std::size_t size) override;
  long pread(int descriptor, void* buffer, std::size_t size, std::uint64_t offset) override;
  long pwrite(int descriptor, const void* buffer, std::size_t size, std::uint64_t offset) override;
  int eventfd() override;
  int readable(int descriptor) override { return signalled.contains(descriptor) ? 1 : 0; }
  int getrlimit(int resource, rlimit& limit) override;

 private:
  enum class Kind { container, group, device, event, file, pagemap, iommufd };
  struct Handle {
    Kind kind;
    std::string name;        // group number or card
    bool joined = false;     // a group: it has joined a container
    int container = -1;      // a group: the descriptor of its container
    bool iommu_set = false;  // a container
    bool own_file = false;   // a device: opened through its own file
    bool bound = false;      // a device with its own file: bound to the IOMMUFD
    bool attached = false;   // a device with its own file: attached to the IOMMUFD's address space
    bool no_iommu = false;   // a group or container of the no-IOMMU mode
    std::uint32_t ioas = 0;  // the IOMMUFD's only address space
  };
  struct Scripted {
    int error = 0;
    int skip = 0;
  };

  // Starts each call: appends it to the journal, and returns an error if this call shall fail.
  [[nodiscard]] int enter(const std::string& step);
  [[nodiscard]] int add(Handle handle);
  void complain(const std::string& what) { violations_.push_back(what); }
  [[nodiscard]] std::size_t groups_joined() const;
  int container_ioctl(Handle& handle, unsigned long request, void* argument);
  int open_file(const std::string& path);
  int open_group(const std::string& name);
  int open_own_file(const std::string& file);
  int set_iommu(Handle& handle, void* argument);
  int set_container(Handle& handle, void* argument);
  int iommufd_ioctl(Handle& handle, unsigned long request, void* argument);
  int ioas_ranges(void* argument);
  int ioas_map(void* argument);
  int ioas_unmap(void* argument);
  /// -ENOTTY for a request that is not specific to a device's own file.
  int own_file_ioctl(Handle& handle, unsigned long request, void* argument);
  void close_iommufd();
  int read_pagemap(void* buffer, std::size_t size, std::uint64_t offset);
  int group_ioctl(Handle& handle, unsigned long request, void* argument);
  int device_ioctl(FakeCard& card, const std::string& name, unsigned long request, void* argument);
  int iommu_info(void* argument);
  int map_dma(void* argument);
  int unmap_dma(void* argument);
  int region_info(const FakeCard& card, void* argument);
  int set_irqs(const std::string& name, void* argument);
  [[nodiscard]] std::size_t descriptors_of(const Handle& handle) const;
  void close_device(const std::string& name);
  void close_group(const Handle& handle);
  [[nodiscard]] std::vector<IovaRange> current_ranges() const;

  std::map<int, Handle> handles_;
  int next_ = 100;
  std::map<void*, std::size_t> windows_;
  std::map<std::uint64_t, std::uint64_t> dma_;
  std::map<std::string, std::map<std::uint32_t, std::vector<int>>> armed_;
  std::map<std::string, Scripted> scripted_;
  std::pair<int, int> failing_call_{1 << 30, 0};
  std::string failed_step_;
  int calls_ = 0;
  std::vector<std::string> journal_;
  std::vector<std::string> violations_;
  std::vector<std::pair<std::string, std::uint32_t>> sizes_;
};

}  // namespace pollux::vfio::test
