// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/launch.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

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
    words.insert(words.end(),
                 {"-netdev", fmt::format("hubport,id=net{},hubid=0", card), "-device",
                  fmt::format("{},netdev=net{},addr={:#x},romfile=,mac=02:00:00:82:57:{:02x}{}", config.card, card,
                              MachineConfig::kFirstSlot + 2 * card, number, config.properties)});
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

namespace {

/// A known error message of QEMU, with the error code and hint for it.
struct KnownError {
  std::string_view text;
  ErrorCode code;
  std::string_view hint;
};

constexpr std::array kKnownErrors{
    KnownError{"'ivshmem-doorbell' is not a valid device model", ErrorCode::not_supported,
               "install a QEMU that has ivshmem-doorbell (Debian: package qemu-system-x86), or select it with "
               "qtest:0?qemu=PATH"},
    KnownError{"unsupported machine type", ErrorCode::not_supported,
               "select a qemu-system-x86_64 with qtest:0?qemu=PATH: the q35 machine is needed"},
    KnownError{"invalid accelerator", ErrorCode::not_supported, "select a QEMU that has TCG with qtest:0?qemu=PATH"},
    KnownError{"Cannot allocate memory", ErrorCode::no_memory,
               "free memory or address space (`ulimit -v unlimited`), or set HugePages::never"},
    KnownError{"Too many open files", ErrorCode::io_error, "raise the limit of open files (ulimit -n)"},
};

}  // namespace

Result<LaunchedQemu> launch(const Target& target, int memory, std::uint64_t ram) {
  auto qemu = find_program(target.qemu);
  if (!qemu) {
    return fail(qemu.error().code, fmt::format("{}: {}", target.uri, qemu.error().what), qemu.error().hint);
  }
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail_errno(ErrorCode::io_error, fmt::format("{}: the socket for QEMU cannot be created", target.uri), errno,
                      "raise the limit of open files (ulimit -n)");
  }
  LaunchedQemu launched;
  launched.socket = FileDescriptor(ends[0]);
  const FileDescriptor qemu_end(ends[1]);
  auto firmware = make_firmware();
  if (!firmware) return pass_on(std::move(firmware));
  auto doorbells = DoorbellServer::create(MachineConfig::kCards, kVectors);
  if (!doorbells) return pass_on(std::move(doorbells));
  launched.doorbells = *std::move(doorbells);
  const MachineConfig config{.qemu = *qemu,
                             .card = std::string(target.card->device),
                             .properties = target.properties,
                             .socket = qemu_end.get(),
                             .memory = memory,
                             .ram = ram,
                             .firmware = firmware->get(),
                             .doorbells = launched.doorbells.client(),
                             .doorbell_vectors = kVectors,
                             .first_card = target.number & ~1U};
  auto process =
      Process::start(command_line(config), {config.socket, config.memory, config.firmware, config.doorbells});
  if (!process) {
    return fail(process.error().code, fmt::format("{}: {}", target.uri, process.error().what), process.error().hint);
  }
  launched.process = *std::move(process);
  launched.doorbells.close_client();
  return launched;
}

Error explain_exit(const std::string& uri, const Process& process) {
  const std::string output = process.last_output();
  Error error{
      .code = ErrorCode::io_error,
      .what = fmt::format("{}: QEMU ended with {}{}{}", uri, process.exit_text(), output.empty() ? "" : ": ", output),
      .hint = "see its message; select another QEMU with qtest:0?qemu=PATH"};
  for (const KnownError& known : kKnownErrors) {
    if (output.find(known.text) == std::string::npos) continue;
    error.code = known.code;
    error.hint = known.hint;
    break;
  }
  for (const CardModel& model : kCardModels) {
    if (output.find(fmt::format("'{}' is not a valid device model", model.device)) == std::string::npos) continue;
    error.code = ErrorCode::not_supported;
    error.hint = model.hint;
  }
  return error;
}

}  // namespace pollux::qtest
