// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/command_line.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace pollux::qtest {
namespace {

constexpr std::uint64_t kSplitFrom = 0xB0000000;
/// QEMU rounds RAM to 8 KiB and requires a file of that length. A multiple of this size is never rounded.
constexpr std::uint64_t kRamUnit = std::uint64_t{1} << 20;
constexpr std::size_t kFirmwareSize = 65536;
constexpr std::size_t kResetVector = kFirmwareSize - 16;

}  // namespace

std::uint64_t usable_ram(std::uint64_t file_size, std::uint64_t page_size) {
  const std::uint64_t unit = std::max(page_size, kRamUnit);
  return std::min(file_size, kSplitFrom - 1) / unit * unit;
}

std::vector<std::string> command_line(const MachineConfig& config) {
  std::vector<std::string> words{
      config.qemu, "-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg", "-smp", "1", "-machine",
      // No devices with timers of their own.
      "q35,memory-backend=ram,sata=off,smbus=off,usb=off,hpet=off,pit=off", "-bios",
      fmt::format("/proc/self/fd/{}", config.firmware), "-m", fmt::format("{}B", config.ram), "-object",
      // Without reserve=off, huge pages would be reserved for the whole range.
      fmt::format("memory-backend-file,id=ram,share=on,reserve=off,size={}B,mem-path=/proc/self/fd/{}", config.ram,
                  config.memory),
      "-chardev", fmt::format("socket,id=qtest,fd={}", config.socket), "-qtest", "chardev:qtest", "-qtest-log", "none",
      "-chardev", fmt::format("socket,id=doorbells,fd={}", config.doorbells), "-device",
      fmt::format("ivshmem-doorbell,chardev=doorbells,vectors={},addr={:#x}", config.doorbell_vectors,
                  MachineConfig::kDoorbellSlot)};
  for (unsigned card = 0; card < MachineConfig::kCards; ++card) {
    const unsigned number = config.first_card + card;
    words.insert(words.end(), {"-netdev", fmt::format("hubport,id=net{},hubid=0", card), "-device",
                               fmt::format("{},netdev=net{},addr={:#x},romfile=,mac=02:00:00:82:57:{:02x}", config.card,
                                           card, MachineConfig::kFirstSlot + 2 * card, number)});
  }
  return words;
}

Result<FileDescriptor> make_firmware() {
  FileDescriptor file(::memfd_create("pollux-firmware", MFD_CLOEXEC));
  // cli; hlt; jump back to the hlt if anything wakes the processor.
  constexpr std::array<unsigned char, 4> kCode{0xFA, 0xF4, 0xEB, 0xFD};
  if (!file || ::ftruncate(file.get(), kFirmwareSize) != 0 ||
      ::pwrite(file.get(), kCode.data(), kCode.size(), kResetVector) != ssize_t{kCode.size()}) {
    return fail_errno(ErrorCode::io_error, "the file of QEMU's firmware cannot be created", errno,
                      "raise the limit of open files (ulimit -n) or free memory");
  }
  return file;
}

}  // namespace pollux::qtest
