// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux::qtest {

/// A child process. It ends when this object is destroyed, and when the process that started it ends, even by a crash:
/// only that process has the write end of a pipe, and the kernel kills the child when the write end closes (see
/// process.cpp). The child has its own process group, so that a terminal's Ctrl-C does not reach it. Its output is
/// stored and printed nowhere. The host process is not affected: no signal handler, no waiting for its other children.
/// Thread rule: one thread at a time, except `kill`, which any thread may call.
class Process {
 public:
  /// Runs `arguments` (the first is the program's path). The child inherits only the descriptors in `inherited`, under
  /// the same numbers. Errors: those of the system calls, and the reason why the program cannot be run.
  [[nodiscard]] static Result<Process> start(const std::vector<std::string>& arguments,
                                             const std::vector<int>& inherited);
  Process() = default;
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// Kills the child at once, even if it is stopped.
  void kill() const noexcept;
  /// Waits for the child's end, at most `limit`. True if it has ended.
  [[nodiscard]] bool wait(std::chrono::milliseconds limit);
  /// "exit status 1" or "signal 9 (Killed)"; "still running" until `wait` has returned true.
  [[nodiscard]] const std::string& exit_text() const noexcept { return exit_text_; }
  /// The end of the child's output, at most 1,500 bytes.
  [[nodiscard]] std::string last_output() const;

 private:
  pid_t pid_ = -1;
  FileDescriptor handle_;
  FileDescriptor lifetime_;  // write end of the pipe whose closing kills the child
  FileDescriptor output_;
  std::string exit_text_ = "still running";
  bool ended_ = true;
};

/// The path of `program`: `program` itself if it contains a slash, else the match in PATH. Error: not_found.
[[nodiscard]] Result<std::string> find_program(const std::string& program);

/// A card that QEMU has: qtest:0?card=NAME.
struct CardModel {
  std::string_view name;
  std::string_view device;  ///< QEMU's name of it
  std::string_view hint;    ///< what to do if a QEMU lacks it
};

/// The first is that of a URI without "card=".
inline constexpr std::array kCardModels{
    CardModel{"82576", "igb",
              "install QEMU 8.0 or newer (Debian 13, Ubuntu 24.04: apt-get install qemu-system-x86; Debian 12: from "
              "bookworm-backports), or select it with qtest:0?qemu=PATH; check: `qemu-system-x86_64 -device help | "
              "grep igb`"},
    CardModel{"82574", "e1000e",
              "install a QEMU that has e1000e (Debian: package qemu-system-x86), or select it with qtest:0?qemu=PATH"},
    CardModel{"vmxnet3", "vmxnet3",
              "install a QEMU that has vmxnet3 (Debian: package qemu-system-x86), or select it with qtest:0?qemu=PATH"},
    CardModel{"virtio-net", "virtio-net-pci",
              "install a QEMU that has virtio (Debian: package qemu-system-x86), or select it with qtest:0?qemu=PATH"}};

/// The part of a URI after "qtest:": NUMBER, or NUMBER?OPTION,OPTION,... The options:
///   card=NAME              the kind of card (kCardModels), for both ends of the wire
///   qemu=PROGRAM           the QEMU to start
///   properties=P:V+P:V     QEMU's properties of both cards, such as packed:on
///   tap=NAME               connects the cards to the TAP interfaces NAME0 and NAME1 instead of to each other; QEMU
///                          creates those that do not exist. On them it offers checksums and segmentation.
///   vhost-user=PATH        connects the cards (virtio-net alone) to the programs that serve vhost-user on the sockets
///                          PATH0 and PATH1, and to their successors if they end. QEMU waits for both at its start.
///   queues=N               with tap= or vhost-user=: queue pairs of each card's far end, 1 to kMaxQueues
///   timeout=MILLISECONDS   maximum time for a reply of QEMU
struct Target {
  static constexpr unsigned kCards = 64;
  static constexpr unsigned kMaxQueues = 4;  ///< for which a card has vectors

  unsigned number = 0;  ///< below kCards
  const CardModel* card = &kCardModels[0];
  std::string properties;                   ///< as QEMU's -device has them, each after a comma
  std::string tap;                          ///< without the number
  std::string vhost_user;                   ///< without the number; if both are empty, the cards are connected
  unsigned queues = 1;                      ///< of a card's far end
  std::string qemu = "qemu-system-x86_64";  ///< searched in PATH unless it contains a slash
  std::chrono::milliseconds timeout{3000};  ///< for a reply, 1 to 600,000
  /// The whole URI, with "qtest:".
  std::string uri;
};

/// Parses `text`, the part of a URI after "qtest:". Error: invalid_argument.
[[nodiscard]] Result<Target> parse_target(std::string_view text);

/// Turns a card's interrupt messages into eventfd signals, without a thread or polling. It uses QEMU's ivshmem-doorbell
/// device: a write to that device's doorbell register signals an eventfd of another process. An MSI-X message is a
/// 32-bit write to an address. So each MSI-X table entry contains the address of the doorbell register and the value
/// for its eventfd. The device gets its eventfds from a server on a socket. This class is the server, and sends all its
/// messages before QEMU starts. QEMU, docs/specs/ivshmem-spec.rst.
class DoorbellServer {
 public:
  static constexpr std::uint32_t kDoorbellRegister = 12;

  /// Events for `cards` cards with `vectors` vectors each. Error: io_error (descriptors).
  [[nodiscard]] static Result<DoorbellServer> create(unsigned cards, unsigned vectors);

  /// QEMU's end of the socket. Closed here once QEMU has inherited it.
  [[nodiscard]] int client() const noexcept { return client_.get(); }
  void close_client() noexcept { client_ = FileDescriptor(); }

  /// The eventfds of a card, one per vector.
  [[nodiscard]] std::span<const int> events(unsigned card) const noexcept { return numbers_[card]; }
  /// The value that signals `vector` of `card` when written to the doorbell register.
  [[nodiscard]] static std::uint32_t message(unsigned card, unsigned vector) noexcept {
    return (card + 1) << 16 | vector;
  }
  /// Clears all signals of the card's eventfds.
  void drain(unsigned card) const noexcept;

 private:
  [[nodiscard]] Result<void> send_events(unsigned vectors);

  FileDescriptor server_;
  FileDescriptor client_;
  FileDescriptor memory_;  // required by the protocol, but not used
  std::vector<FileDescriptor> events_;
  std::vector<std::vector<int>> numbers_;
};

/// The configuration of a QEMU machine: a q35 without a guest, two cards with their far ends (Target), and the device
/// that turns interrupt messages into eventfds. QEMU inherits the descriptors under the same numbers.
struct MachineConfig {
  static constexpr unsigned kCards = 2;
  static constexpr unsigned kFirstSlot = 4;     ///< of the first card on PCI bus 0; the cards use every second slot
  static constexpr unsigned kDoorbellSlot = 3;  ///< of the device that signals interrupts

  std::string qemu;             ///< path
  std::string card;             ///< QEMU's name of its cards
  std::string properties = {};  ///< Target::properties
  std::string tap = {};         ///< Target::tap
  std::string vhost_user = {};  ///< Target::vhost_user
  unsigned queues = 1;          ///< Target::queues
  int socket = -1;              ///< of the test protocol
  int memory = -1;              ///< the file whose start is the RAM
  std::uint64_t ram = 0;        ///< bytes
  int firmware = -1;            ///< from `make_firmware`
  int doorbells = -1;           ///< the socket of a DoorbellServer
  unsigned doorbell_vectors = 0;
  unsigned first_card = 0;  ///< number of the first card, for the MAC addresses
};

[[nodiscard]] std::vector<std::string> command_line(const MachineConfig& config);

/// Creates an anonymous file with the code that the processor runs after reset: it disables interrupts and halts.
[[nodiscard]] Result<FileDescriptor> make_firmware();

/// Bytes of RAM that are contiguous from address 0, for a file of `file_size` bytes with pages of `page_size`. A q35
/// splits RAM of 2.75 GiB or more at 2 GiB (QEMU, hw/i386/pc_q35.c, pc_q35_init).
[[nodiscard]] std::uint64_t usable_ram(std::uint64_t file_size, std::uint64_t page_size);

/// A started QEMU and the connections to it.
struct LaunchedQemu {
  Process process;
  FileDescriptor socket;  ///< of the test protocol
  DoorbellServer doorbells;
};

/// Interrupt vectors of QEMU's igb (hw/net/igb_common.h, IGB_MSIX_VEC_NUM).
inline constexpr unsigned kVectors = 10;

/// Starts QEMU with card `target.number` and its link partner, and the first `ram` bytes of the file `memory` as RAM.
/// QEMU may still exit right after its start. `explain_exit` then gives the cause.
[[nodiscard]] Result<LaunchedQemu> launch(const Target& target, int memory, std::uint64_t ram);

/// The error of a QEMU that exited by itself: its last output, and a hint.
[[nodiscard]] Error explain_exit(const std::string& uri, const Process& process);

}  // namespace pollux::qtest
