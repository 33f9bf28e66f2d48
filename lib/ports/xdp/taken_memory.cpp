// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/taken_memory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <utility>

#include "pollux/mem/mbuf.hpp"

namespace pollux::xdp {
namespace {

/// More than any arena has, so that sums do not overflow.
constexpr std::uint64_t kMost = std::uint64_t{1} << 47;

constexpr std::array<std::pair<const char*, std::uint64_t MemoryPlace::*>, 4> kMembers{
    {{"offset", &MemoryPlace::offset},
     {"bytes", &MemoryPlace::bytes},
     {"data", &MemoryPlace::data},
     {"room", &MemoryPlace::room}}};

}  // namespace

handover::Json MemoryPlace::to_json() const {
  handover::Json json;
  for (const auto& [name, member] : kMembers) json[name] = this->*member;
  return json;
}

Result<MemoryPlace> MemoryPlace::read(const handover::Json& json) {
  MemoryPlace place;
  for (const auto& [name, member] : kMembers) {
    const auto value = handover::number(json, name, kMost);
    if (!value) return tl::unexpected<Error>(value.error());
    place.*member = *value;
  }
  if (place.bytes != 0 && place.room != 0) return place;
  return handover::malformed("the memory for frames has no bytes");
}

// Only memory has seals (fcntl(2), F_GET_SEALS): a file of another file system may let nobody read it in time, or end
// before it says so.
Result<std::shared_ptr<const TakenMemory>> TakenMemory::map(const std::string& name, FileDescriptor file,
                                                            const MemoryPlace& place) {
  struct stat found {};
  if (::fcntl(file.get(), F_GET_SEALS) < 0 || ::fstat(file.get(), &found) != 0 ||
      place.offset + place.bytes > static_cast<std::uint64_t>(found.st_size)) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: what was handed over is not its memory", name),
                "start the program without a handover");
  }
  void* const mapped =
      ::mmap(nullptr, place.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), static_cast<off_t>(place.offset));
  if (mapped == MAP_FAILED) {
    return fail_errno(ErrorCode::no_memory,
                      fmt::format("{}: cannot map {} bytes of another program", name, place.bytes), errno,
                      "start the program without a handover");
  }
  static_cast<void>(::madvise(mapped, place.bytes, MADV_DONTFORK));  // as DMA memory
  return std::shared_ptr<const TakenMemory>(new TakenMemory(static_cast<std::byte*>(mapped), std::move(file), place));
}

TakenMemory::~TakenMemory() {
  if (file_) ::munmap(first_, place_.bytes);
}

bool TakenMemory::has_buffer(std::uint64_t address) const noexcept {
  return address % alignof(Mbuf) == 0 && address < place_.bytes && place_.data + place_.room <= place_.bytes - address;
}

}  // namespace pollux::xdp
