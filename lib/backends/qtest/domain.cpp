// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/domain.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fstream>
#include <sstream>
#include <string>

namespace pollux::qtest {
namespace {

/// A PC's video memory and ROMs are below this address.
constexpr std::uint64_t kFirst = std::uint64_t{1} << 20;

/// A line of /proc/self/maps, see proc(5).
struct Mapping {
  std::uint64_t first = 0;
  std::uint64_t end = 0;
  std::uint64_t offset = 0;
  dev_t device = 0;
  ino_t inode = 0;
};

bool parse(const std::string& line, Mapping& mapping) {
  std::istringstream fields(line);
  std::string permissions;
  char separator = 0;
  unsigned major = 0;
  unsigned minor = 0;
  fields >> std::hex >> mapping.first >> separator >> mapping.end >> permissions >> mapping.offset >> major >>
      separator >> minor >> std::dec >> mapping.inode;
  mapping.device = ::makedev(major, minor);
  return !fields.fail();
}

}  // namespace

Domain::Domain(int descriptor, std::uint64_t ram) : ram_(ram) {
  struct stat file {};
  if (::fstat(descriptor, &file) != 0) return;
  device_ = file.st_dev;
  inode_ = file.st_ino;
}

std::vector<IovaRange> Domain::usable_iova() const { return {{kFirst, ram_ - 1}}; }

Result<void> Domain::map(const DmaSegment& segment) {
  if (!segment.writable) return fail(ErrorCode::not_supported, "qtest domain: QEMU's cards can write all of its RAM");
  const auto address = reinterpret_cast<std::uintptr_t>(segment.address);
  std::uint64_t covered = address;
  std::ifstream maps("/proc/self/maps");
  std::string line;
  Mapping mapping;
  while (covered < address + segment.size && std::getline(maps, line)) {
    if (!parse(line, mapping) || mapping.end <= covered) continue;
    const bool same_file = mapping.device == device_ && mapping.inode == inode_;
    const bool same_offset = mapping.offset + (covered - mapping.first) == segment.iova + (covered - address);
    if (mapping.first > covered || !same_file || !same_offset) break;
    covered = mapping.end;
  }
  if (covered >= address + segment.size) return {};
  return fail(ErrorCode::not_supported,
              fmt::format("{} bytes at {:#x} are not in the file that QEMU uses as RAM", segment.size, segment.iova),
              "QEMU uses one file with one page size, and none of the application's own memory: set "
              "ContextOptions::huge_pages to `never`, or to `require` with enough of them");
}

}  // namespace pollux::qtest
