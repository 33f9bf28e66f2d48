// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/launch.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "backends/qtest/command_line.hpp"

namespace pollux::qtest {
namespace {

/// Something QEMU says when it gives up, and what mends it.
struct Complaint {
  std::string_view text;
  ErrorCode code;
  std::string_view hint;
};

constexpr std::string_view kNewer =
    "install QEMU 8.0 or newer (Debian 13, Ubuntu 24.04: apt-get install qemu-system-x86; Debian 12: from "
    "bookworm-backports), or name it with qtest:0?qemu=PATH; `qemu-system-x86_64 -device help | grep igb` tells";

constexpr std::array kComplaints{
    Complaint{"'igb' is not a valid device model", ErrorCode::not_supported, kNewer},
    Complaint{"'ivshmem-doorbell' is not a valid device model", ErrorCode::not_supported,
              "install a QEMU that has ivshmem-doorbell (Debian: package qemu-system-x86), or name it with "
              "qtest:0?qemu=PATH"},
    Complaint{"unsupported machine type", ErrorCode::not_supported,
              "name a qemu-system-x86_64 with qtest:0?qemu=PATH: the q35 machine is wanted"},
    Complaint{"invalid accelerator", ErrorCode::not_supported, "name a QEMU that has TCG with qtest:0?qemu=PATH"},
    Complaint{"Cannot allocate memory", ErrorCode::no_memory,
              "free memory or address space (`ulimit -v unlimited`), or set HugePages::never"},
    Complaint{"Too many open files", ErrorCode::io_error, "raise the limit of open files (ulimit -n)"},
};

}  // namespace

Result<Launched> launch(const Target& target, int memory, std::uint64_t ram) {
  auto qemu = find_program(target.qemu);
  if (!qemu) {
    return fail(qemu.error().code, fmt::format("{}: {}", target.uri, qemu.error().what), qemu.error().hint);
  }
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail_errno(ErrorCode::io_error, fmt::format("{}: no socket for QEMU", target.uri), errno,
                      "raise the limit of open files (ulimit -n)");
  }
  Launched launched;
  launched.socket = FileDescriptor(ends[0]);
  const FileDescriptor link_partner(ends[1]);
  auto firmware = make_firmware();
  if (!firmware) return pass_on(std::move(firmware));
  auto doorbells = DoorbellServer::create(MachinePlan::kCards, kVectors);
  if (!doorbells) return pass_on(std::move(doorbells));
  launched.doorbells = *std::move(doorbells);
  const MachinePlan plan{.qemu = *qemu,
                         .socket = link_partner.get(),
                         .memory = memory,
                         .ram = ram,
                         .firmware = firmware->get(),
                         .doorbells = launched.doorbells.client(),
                         .doorbell_vectors = kVectors,
                         .first_card = target.number & ~1U};
  auto process = Process::start(command_line(plan), {plan.socket, plan.memory, plan.firmware, plan.doorbells});
  if (!process) {
    return fail(process.error().code, fmt::format("{}: {}", target.uri, process.error().what), process.error().hint);
  }
  launched.process = *std::move(process);
  launched.doorbells.close_client();
  return launched;
}

Error explain_death(const std::string& uri, const Process& process) {
  const std::string words = process.last_words();
  Error error{
      .code = ErrorCode::io_error,
      .what = fmt::format("{}: QEMU ended with {}{}{}", uri, process.exit_text(), words.empty() ? "" : ": ", words),
      .hint = "see what it says; name another with qtest:0?qemu=PATH"};
  for (const Complaint& complaint : kComplaints) {
    if (words.find(complaint.text) == std::string::npos) continue;
    error.code = complaint.code;
    error.hint = complaint.hint;
    break;
  }
  return error;
}

}  // namespace pollux::qtest
