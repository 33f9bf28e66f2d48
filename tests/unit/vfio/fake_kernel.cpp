// SPDX-License-Identifier: BSD-3-Clause
#include "fake_kernel.hpp"

#include <linux/pci_regs.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

namespace pollux::vfio::test {
namespace {

bool is_number(const std::string& text) { return text.find_first_not_of("0123456789") == std::string::npos; }

}  // namespace

FakeKernel::~FakeKernel() {
  for (const auto& [address, size] : windows_) ::munmap(address, size);
}

int FakeKernel::enter(const std::string& step) {
  journal_.push_back(step);
  const int number = calls_++;
  if (number == failing_call_.first) {
    failed_step_ = step;
    return -failing_call_.second;
  }
  const auto found = scripted_.find(step);
  if (found == scripted_.end() || found->second.skip-- > 0) return 0;
  const int error = found->second.error;
  scripted_.erase(found);
  return -error;
}

int FakeKernel::add(Handle handle) {
  handles_.emplace(next_, std::move(handle));
  return next_++;
}

std::size_t FakeKernel::count(const std::string& step) const {
  return static_cast<std::size_t>(std::count(journal_.begin(), journal_.end(), step));
}

std::vector<std::uint32_t> FakeKernel::sizes(const std::string& request) const {
  std::vector<std::uint32_t> found;
  for (const auto& [name, size] : sizes_) {
    if (name == request) found.push_back(size);
  }
  return found;
}

const std::vector<int>& FakeKernel::armed(const std::string& card, std::uint32_t index) const {
  static const std::vector<int> none;
  const auto of_card = armed_.find(card);
  if (of_card == armed_.end()) return none;
  const auto found = of_card->second.find(index);
  return found == of_card->second.end() ? none : found->second;
}

int FakeKernel::open(const std::string& path, int) {
  const std::string name = path.substr(path.rfind('/') + 1);
  if (path.find("vfio/devices/") != std::string::npos) return open_own_file(name);
  if (is_number(name) || name.starts_with("noiommu-")) return open_group(name);
  return open_file(path);
}

int FakeKernel::open_file(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  const bool known = name == "status" || name == "vfio" || name == "iommu" || (name == "pagemap" && pagemap);
  if (!known) return -ENOENT;
  if (const int error = enter("open " + (name == "vfio" ? std::string("container") : name)); error < 0) return error;
  if (name == "vfio") return add({Kind::container, path});
  if (name == "iommu") return add({Kind::iommufd, path});
  return add({name == "pagemap" ? Kind::pagemap : Kind::file, path});
}

int FakeKernel::open_group(const std::string& name) {
  const bool no_iommu_group = name.starts_with("noiommu-");
  const std::string number = name.substr(no_iommu_group ? name.find('-') + 1 : 0);
  if (no_iommu_group != no_iommu_groups.contains(static_cast<std::uint32_t>(std::stoul(number)))) return -ENOENT;
  if (const int error = enter("open group " + number); error < 0) return error;
  if (no_iommu_group && !may_use_no_iommu) return -EPERM;
  for (const auto& [descriptor, handle] : handles_) {
    if (handle.kind == Kind::group && handle.name == number) return -EBUSY;
    const bool own_file = handle.kind == Kind::device && handle.own_file && handle.bound;
    if (own_file && std::to_string(cards.at(handle.name).group) == number) return -EBUSY;
  }
  Handle handle{Kind::group, number};
  handle.no_iommu = no_iommu_group;
  return add(handle);
}

void FakeKernel::close(int descriptor) {
  const auto found = handles_.find(descriptor);
  if (found == handles_.end()) return complain("close of a descriptor that is not open");
  const Handle handle = found->second;
  handles_.erase(found);
  if (handle.kind != Kind::event && handle.kind != Kind::file && descriptors_of(handle) != 0) return;
  switch (handle.kind) {
    case Kind::device: return close_device(handle.name);
    case Kind::group: return close_group(handle);
    case Kind::container:
      journal_.push_back("close container");
      if (groups_joined() != 0) complain("container closed before its groups");
      return;
    case Kind::event:
      for (const auto& [card, indexes] : armed_) {
        for (const auto& [index, events] : indexes) {
          // A card that two programs have keeps the events of the one that leaves until the other arms its own.
          if (std::find(events.begin(), events.end(), descriptor) != events.end() &&
              descriptors_of({.kind = Kind::device, .name = card}) < 2)
            complain("armed event closed");
        }
      }
      return;
    case Kind::iommufd: return close_iommufd();
    case Kind::pagemap:
    case Kind::file: return;
  }
}

std::size_t FakeKernel::descriptors_of(const Handle& handle) const {
  return static_cast<std::size_t>(std::ranges::count_if(handles_, [&](const auto& entry) {
    return entry.second.kind == handle.kind && entry.second.name == handle.name;
  }));
}

void FakeKernel::close_device(const std::string& name) {
  journal_.push_back("close device " + name);
  const FakeCard& card = cards.at(name);
  if ((card.get16(PCI_COMMAND) & PCI_COMMAND_MASTER) != 0 && !card.silent) {
    complain("device closed while it masters the bus");
  }
  for (const auto& [index, events] : armed_[name]) {
    if (!events.empty()) complain("device closed with interrupts armed");
  }
  if (!windows_.empty()) complain("device closed with a BAR mapped");
}

void FakeKernel::close_group(const Handle& handle) {
  journal_.push_back("close group " + handle.name);
  for (const auto& [descriptor, other] : handles_) {
    if (other.kind == Kind::device && std::to_string(cards.at(other.name).group) == handle.name) {
      complain("group closed before its device");
    }
  }
  if (handle.joined && groups_joined() == 0 && !dma_.empty()) complain("last group closed with memory mapped");
}

std::size_t FakeKernel::groups_joined() const {
  return static_cast<std::size_t>(std::count_if(handles_.begin(), handles_.end(), [](const auto& entry) {
    return entry.second.kind == Kind::group && entry.second.joined;
  }));
}

std::vector<IovaRange> FakeKernel::current_ranges() const {
  for (const auto& [descriptor, handle] : handles_) {
    if (handle.kind != Kind::group || !handle.joined) continue;
    const auto found = ranges_with_group.find(static_cast<std::uint32_t>(std::stoul(handle.name)));
    if (found != ranges_with_group.end()) return found->second;
  }
  return ranges;
}

FakeKernel::Mapping FakeKernel::mmap(void* address, std::size_t size, int protection, int flags, int descriptor,
                                     std::uint64_t) {
  if (const int error = enter("mmap"); error < 0) return {nullptr, error};
  if (descriptor >= 0 && !handles_.contains(descriptor)) return {nullptr, -EBADF};
  const int fixed = flags & MAP_FIXED;
  void* mapped = ::mmap(address, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | fixed, -1, 0);
  if (mapped == MAP_FAILED) return {nullptr, -errno};
  if (fixed == 0) windows_[mapped] = size;
  return {mapped, 0};
}

void FakeKernel::munmap(void* address, std::size_t size) {
  journal_.push_back("munmap");
  const auto found = windows_.find(address);
  if (found == windows_.end() || found->second != size) return complain("munmap of memory that is not mapped");
  ::munmap(address, size);
  windows_.erase(found);
}

int FakeKernel::eventfd() {
  if (const int error = enter("eventfd"); error < 0) return error;
  return add({Kind::event, ""});
}

int FakeKernel::getrlimit(int resource, rlimit& limit) {
  if (resource != RLIMIT_MEMLOCK) return -EINVAL;
  limit = {memlock, memlock};
  return 0;
}

int FakeKernel::ioctl(int descriptor, unsigned long request, void* argument) {
  const auto found = handles_.find(descriptor);
  if (found == handles_.end()) return -EBADF;
  Handle& handle = found->second;
  switch (handle.kind) {
    case Kind::container: return container_ioctl(handle, request, argument);
    case Kind::group: return group_ioctl(handle, request, argument);
    case Kind::iommufd: return iommufd_ioctl(handle, request, argument);
    case Kind::device:
      if (handle.own_file) {
        if (const int done = own_file_ioctl(handle, request, argument); done != -ENOTTY) return done;
        if (!handle.bound) return -EINVAL;
      }
      return device_ioctl(cards.at(handle.name), handle.name, request, argument);
    default: return -ENOTTY;
  }
}

int FakeKernel::container_ioctl(Handle& handle, unsigned long request, void* argument) {
  if (request == VFIO_GET_API_VERSION) {
    const int error = enter("GET_API_VERSION");
    return error < 0 ? error : api_version;
  }
  if (request == VFIO_CHECK_EXTENSION) {
    const int error = enter("CHECK_EXTENSION");
    if (error < 0) return error;
    if (argument == reinterpret_cast<void*>(VFIO_NOIOMMU_IOMMU)) return no_iommu ? 1 : 0;
    return type1 && argument == reinterpret_cast<void*>(VFIO_TYPE1v2_IOMMU) ? 1 : 0;
  }
  if (request == VFIO_SET_IOMMU) return set_iommu(handle, argument);
  if (!handle.iommu_set || handle.no_iommu) return -EINVAL;
  if (request == VFIO_IOMMU_GET_INFO) return iommu_info(argument);
  if (request == VFIO_IOMMU_MAP_DMA) return map_dma(argument);
  if (request == VFIO_IOMMU_UNMAP_DMA) return unmap_dma(argument);
  return -ENOTTY;
}

int FakeKernel::set_iommu(Handle& handle, void* argument) {
  if (const int error = enter("SET_IOMMU"); error < 0) return error;
  const bool without = argument == reinterpret_cast<void*>(VFIO_NOIOMMU_IOMMU);
  // The first group in a container decides whether it is a no-IOMMU container.
  if (groups_joined() == 0 || handle.iommu_set || without != handle.no_iommu) return -EINVAL;
  handle.iommu_set = true;
  return 0;
}

int FakeKernel::iommu_info(void* argument) {
  if (const int error = enter("IOMMU_GET_INFO"); error < 0) return error;
  auto& info = as<vfio_iommu_type1_info>(argument);
  sizes_.emplace_back("IOMMU_GET_INFO", info.argsz);
  if (info.argsz < offsetof(vfio_iommu_type1_info, cap_offset)) return -EINVAL;
  ReplyBuilder made(sizeof info);
  made.add(VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, std::vector<std::byte>(24));
  made.add(VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, iova_ranges(current_ranges()));
  if (mapping_limit) {
    made.add(VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, one_number(*mapping_limit - static_cast<std::uint32_t>(dma_.size())));
  }
  const auto tail = iommu_capabilities.value_or(made.tail());
  const auto whole = static_cast<std::uint32_t>(sizeof info + tail.size());
  info.flags = VFIO_IOMMU_INFO_PGSIZES | (tail.empty() ? 0U : std::uint32_t{VFIO_IOMMU_INFO_CAPS});
  info.iova_pgsizes = ~std::uint64_t{0xfff};
  info.cap_offset = 0;
  if (info.argsz >= whole && !tail.empty()) {
    info.cap_offset = sizeof info;
    std::memcpy(static_cast<std::byte*>(argument) + sizeof info, tail.data(), tail.size());
  }
  info.argsz = whole;
  return 0;
}

int FakeKernel::map_dma(void* argument) {
  if (const int error = enter("MAP_DMA"); error < 0) return error;
  const auto& request = as<vfio_iommu_type1_dma_map>(argument);
  sizes_.emplace_back("MAP_DMA", request.argsz);
  if (request.argsz < sizeof request) return -EINVAL;
  if (request.flags != (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)) return -EINVAL;
  if (dma_.contains(request.iova)) return -EEXIST;
  if (mapping_limit && dma_.size() >= *mapping_limit) return -ENOSPC;
  const auto usable = current_ranges();
  if (std::none_of(usable.begin(), usable.end(), [&](const IovaRange& range) {
        return request.iova >= range.first && request.iova + request.size - 1 <= range.last;
      })) {
    return -EINVAL;
  }
  dma_[request.iova] = request.size;
  return 0;
}

int FakeKernel::unmap_dma(void* argument) {
  if (const int error = enter("UNMAP_DMA"); error < 0) return error;
  auto& request = as<vfio_iommu_type1_dma_unmap>(argument);
  sizes_.emplace_back("UNMAP_DMA", request.argsz);
  if (request.argsz < sizeof request) return -EINVAL;
  const auto found = dma_.find(request.iova);
  if (found == dma_.end() || found->second != request.size) {
    request.size = 0;
    return 0;
  }
  dma_.erase(found);
  return 0;
}

int FakeKernel::group_ioctl(Handle& handle, unsigned long request, void* argument) {
  const auto number = static_cast<std::uint32_t>(std::stoul(handle.name));
  if (request == VFIO_GROUP_GET_STATUS) {
    if (const int error = enter("GROUP_GET_STATUS"); error < 0) return error;
    auto& status = as<vfio_group_status>(argument);
    sizes_.emplace_back("GROUP_GET_STATUS", status.argsz);
    if (status.argsz < sizeof status) return -EINVAL;
    status.flags = not_viable.contains(number) ? 0U : std::uint32_t{VFIO_GROUP_FLAGS_VIABLE};
    return 0;
  }
  if (request == VFIO_GROUP_SET_CONTAINER) return set_container(handle, argument);
  if (request == VFIO_GROUP_GET_DEVICE_FD) {
    if (const int error = enter("GROUP_GET_DEVICE_FD"); error < 0) return error;
    const std::string request_text = static_cast<const char*>(argument);
    const std::string name = request_text.substr(0, request_text.find(' '));
    const auto card = cards.find(name);
    if (card == cards.end() || card->second.group != number) return -ENODEV;
    // Linux, vfio_pci_core.c, vfio_pci_core_match_token_uuid and vfio_pci_validate_vf_token.
    const std::string token = request_text == name ? "" : request_text.substr(name.size());
    if (token != card->second.token) return card->second.token.empty() ? -EINVAL : -EACCES;
    if (!handle.joined || !handles_.at(handle.container).iommu_set) return -EINVAL;
    return add({Kind::device, name});
  }
  return -ENOTTY;
}

int FakeKernel::set_container(Handle& handle, void* argument) {
  if (const int error = enter("GROUP_SET_CONTAINER"); error < 0) return error;
  const auto found = handles_.find(as<int>(argument));
  if (found == handles_.end() || found->second.kind != Kind::container) return -EBADF;
  Handle& container = found->second;
  if (handle.joined) return -EINVAL;
  if (container.iommu_set && container.no_iommu != handle.no_iommu) return -EPERM;
  container.no_iommu = handle.no_iommu;
  handle.joined = true;
  handle.container = found->first;
  return 0;
}

}  // namespace pollux::vfio::test
