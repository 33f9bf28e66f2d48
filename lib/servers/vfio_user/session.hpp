// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/aio_abi.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "base/peer_socket.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "servers/vfio_user/client_memory.hpp"
#include "servers/vfio_user/protocol.hpp"

namespace pollux::vfio_user {

/// Any other file than an eventfd could block the server, or signal something else. No file system is asked.
[[nodiscard]] bool is_eventfd(int descriptor) noexcept;

/// Signals eventfds of other processes, and never blocks. A write to an eventfd blocks if its counter is at the maximum
/// and its file is in blocking mode. Another process that has the eventfd can cause both at any time. So an empty
/// asynchronous read is made, at whose end the kernel signals the eventfd (io_submit(2), IOCB_FLAG_RESFD): the kernel
/// does not block on a full counter. The flags of the other process's file stay as they are.
/// On a kernel without asynchronous I/O an eventfd is written to if its counter is not full.
/// Thread rule: one thread at a time.
class EventSignaller {
 public:
  EventSignaller();
  EventSignaller(const EventSignaller&) = delete;
  EventSignaller& operator=(const EventSignaller&) = delete;
  ~EventSignaller();

  /// Adds one to the counter of `eventfd`, unless it is full: then it is signalled already.
  void signal(int eventfd) noexcept;

 private:
  [[nodiscard]] bool submit(int eventfd) noexcept;
  void collect() noexcept;

  aio_context_t context_ = 0;  // 0: the kernel has none for this process
  FileDescriptor nothing_;     // the file that is read: /dev/null
};

/// Passes a device's interrupts on to a client's eventfds.
/// MSI-X: a client enables vectors one by one. When it enables the first one, the device enables all of them; an
/// interrupt of a vector without an eventfd waits for one. MSI: the message is the device's vector 0. Interrupt pin:
/// its level is the interrupt bit of the status register, which every `relay` reads. A raised pin is signalled once,
/// and then masked until the client unmasks it. The device's error and removal events are passed on, too.
/// Thread rule: that of Device.
class Interrupts {
 public:
  /// `device` outlives the result. Error io_error: the process has no descriptor left.
  [[nodiscard]] static Result<Interrupts> create(Device& device);

  /// Number of interrupts of a kind (kMsix and so on), and the flags of IrqInfo.
  [[nodiscard]] std::uint32_t count(std::uint32_t irq) const noexcept {
    return static_cast<std::uint32_t>(lines_[irq].size());
  }
  [[nodiscard]] static std::uint32_t flags(std::uint32_t irq) noexcept;

  /// Returns 0 or an errno value: EINVAL (range, flags, data, or a descriptor that is not an eventfd), EIO if the
  /// device cannot enable its interrupts.
  [[nodiscard]] int set(const SetIrqs& request, std::span<const std::byte> data, std::span<FileDescriptor> descriptors);
  /// Signals the client for each interrupt that the device has raised.
  void relay();
  /// Whether the client waits for the interrupt pin. No event signals its level, so the caller has to call `relay`
  /// often.
  [[nodiscard]] bool watches_pin() const noexcept {
    return !lines_[kIntx].empty() && lines_[kIntx][0].client && !pin_masked_;
  }
  /// Readable when `relay` has work.
  [[nodiscard]] int event_fd() const noexcept { return events_.get(); }
  /// Disables all interrupts and closes the client's eventfds.
  void release();
  /// Closes what clients have sent.
  void close(std::vector<FileDescriptor>& descriptors) noexcept;
  /// The time that the clients' eventfds took lately, once it is longer than kMaxSlowTime; else 0. To signal, watch or
  /// close one takes time for each epoll instance that watches it, and its owner decides how many do.
  [[nodiscard]] Duration held_up() const noexcept { return is_slow() ? slow_time_ : Duration(0); }
  /// The same, and from now on nothing counts that was before.
  [[nodiscard]] Duration take_held_up() noexcept {
    return is_slow() ? std::exchange(slow_time_, Duration(0)) : Duration(0);
  }
  /// What is shorter does not count.
  static constexpr Duration kMaxUse = std::chrono::milliseconds(1);
  static constexpr Duration kMaxSlowTime = std::chrono::milliseconds(50);
  /// The share of the server's time that clients' eventfds may take for ever: a hundredth.
  static constexpr int kShare = 100;

 private:
  struct Line {
    FileDescriptor client;
    bool pending = false;
  };

  Interrupts(Device& device, FileDescriptor events);
  [[nodiscard]] int set_mask(const SetIrqs& request, std::span<const std::byte> data,
                             std::span<FileDescriptor> descriptors);
  [[nodiscard]] int set_unmask_event(std::span<FileDescriptor> descriptors);
  [[nodiscard]] int set_trigger(const SetIrqs& request, std::span<const std::byte> data,
                                std::span<FileDescriptor> descriptors);
  [[nodiscard]] int assign(const SetIrqs& request, std::span<FileDescriptor> descriptors);
  [[nodiscard]] int enable_vectors(std::uint32_t irq);
  void disable(std::uint32_t irq);
  void relay_pin();
  [[nodiscard]] bool watch(int descriptor, std::uint32_t irq, std::uint32_t index);
  void signal(Line& line) noexcept;
  /// Uses eventfds of the client, and counts the time by that clock.
  template <class Use>
  void measure(clockid_t clock, const Use& use) noexcept;
  [[nodiscard]] bool is_slow() const noexcept { return slow_time_ > kMaxSlowTime; }

  Device* device_;
  FileDescriptor events_;  // an epoll instance with the device's eventfds
  std::unique_ptr<EventSignaller> signaller_ = std::make_unique<EventSignaller>();
  std::array<std::vector<Line>, kIrqs> lines_;
  std::uint32_t enabled_ = kIrqs;  // kMsi or kMsix while the device's vectors are enabled for it
  bool pin_masked_ = false;
  bool is_suspect_ = false;      // a signal took long, or was interrupted
  Duration slow_time_{0};        // of processor time, less a hundredth of the time that has passed since
  Duration slow_at_{0};          // when it became that
  FileDescriptor unmask_event_;  // the client unmasks the pin by signalling it
};

/// A device's configuration space and register windows, as regions of bytes.
/// Thread rule: that of Device.
class Regions {
 public:
  /// `device` outlives the result. Error: that of a window that the device cannot map.
  /// `passes_functions`: a client that reads all of configuration space at once finds the capability of virtual
  /// functions (SR-IOV) under the number of vendor-specific ones. QEMU does so when it makes its device, and would drop
  /// the capability (hw/vfio/pci.c, vfio_add_ext_cap). Later it passes the guest's reads of 1 to 8 bytes on, which find
  /// the right number.
  [[nodiscard]] static Result<Regions> create(Device& device, bool passes_functions = false);

  /// Bytes of a region; 0 if the device does not have it.
  [[nodiscard]] std::uint64_t size(std::uint32_t region) const noexcept;
  /// Whether the region has these bytes, at least one.
  [[nodiscard]] bool has(std::uint32_t region, std::uint64_t offset, std::size_t count) const noexcept;
  /// Accesses `bytes` at `offset` in as few naturally aligned accesses of 4, 2 or 1 bytes as possible. Returns 0 or an
  /// errno value: EINVAL if the region does not have these bytes, EIO if the device fails.
  [[nodiscard]] int read(std::uint32_t region, std::uint64_t offset, std::span<std::byte> bytes);
  [[nodiscard]] int write(std::uint32_t region, std::uint64_t offset, std::span<const std::byte> bytes);
  /// Lets a card that acts only during accesses do what is due.
  void flush() noexcept;

 private:
  explicit Regions(Device& device) : device_(&device) {}
  void disguise_functions(std::uint64_t offset, std::span<std::byte> bytes) const;

  Device* device_;
  std::uint32_t functions_at_ = 0;  // where the capability is to be disguised; 0: nowhere
  std::array<Bar, 6> bars_;
};

/// The socket of one client: receives whole messages with their descriptors, and sends replies. Never blocks.
/// Thread rule: one thread at a time.
class Connection {
 public:
  /// `socket` is a connected stream socket. `closes` has further owners while a file of the client's is being closed.
  Connection(PeerSocket socket, std::shared_ptr<const void> closes)
      : socket_(std::move(socket)), closes_(std::move(closes)) {}

  /// Continues to receive a message. True if it is whole: `header`, `payload` and `descriptors` are valid until the
  /// next call. False if nothing more has arrived, or the connection is closed.
  [[nodiscard]] bool receive();
  [[nodiscard]] const Header& header() const noexcept { return header_; }
  [[nodiscard]] std::span<const std::byte> payload() const noexcept { return payload_; }
  /// The caller may move descriptors out; the others are closed by the next `receive`.
  [[nodiscard]] std::vector<FileDescriptor>& descriptors() noexcept { return descriptors_; }
  /// A part of a message has arrived.
  [[nodiscard]] bool is_in_message() const noexcept { return received_ != 0 && !whole_; }

  /// Sends a reply to the current message, or as much of it as the socket takes.
  void reply(std::span<const std::byte> payload);
  void reply_error(int error);
  /// Bytes of replies that the socket has not taken yet. While there are any, the caller does not receive.
  [[nodiscard]] bool has_unsent() const noexcept { return !unsent_.empty(); }
  void send_unsent();

  [[nodiscard]] int socket() const noexcept { return socket_.get(); }
  /// The connection has ended. `why` says so in a few words.
  [[nodiscard]] bool closed() const noexcept { return !why_.empty(); }
  [[nodiscard]] std::string_view why() const noexcept { return why_; }
  void close(std::string_view why) noexcept { why_ = why; }

 private:
  [[nodiscard]] std::size_t read(std::span<std::byte> bytes, bool with_descriptors);
  [[nodiscard]] bool accept_header();
  void send(const Header& header, std::span<const std::byte> payload);

  PeerSocket socket_;
  std::shared_ptr<const void> closes_;
  Header header_;
  std::vector<std::byte> payload_;
  std::vector<FileDescriptor> descriptors_;
  std::size_t received_ = 0;  // bytes of the current message, with its header
  bool whole_ = false;
  std::vector<std::byte> unsent_;
  std::string_view why_;
};

/// One client's use of a device: its commands, memory and interrupts. A command with invalid content gets an error as
/// its reply. A client that breaks the framing of messages, stops in the middle of one, or takes away memory that it
/// has passed is disconnected. Thread rule: one thread at a time. Nothing blocks.
class Session {
 public:
  /// A client that has sent a part of a message, or does not take its replies, is disconnected after this time.
  static constexpr Duration kMaxStall = std::chrono::seconds(5);
  /// Commands processed before the caller serves others, and the time after which no further one is begun. The writes
  /// of one command may take several turns.
  static constexpr unsigned kMaxCommands = 256;
  static constexpr Duration kMaxTurn = std::chrono::milliseconds(2);

  /// `device`, `regions` and `interrupts` outlive the session. They belong to it meanwhile. `clock` outlives it, too.
  /// `closes` has further owners while a file of the client's is being closed.
  Session(PeerSocket socket, std::shared_ptr<const void> closes, Device& device, Regions& regions,
          Interrupts& interrupts, const Clock& clock);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  /// Takes memory and interrupts from the card. The caller has disabled bus mastering.
  ~Session();

  /// Processes the commands that have arrived. False if the client is gone or was disconnected.
  [[nodiscard]] bool work();
  /// Why the session ended.
  [[nodiscard]] std::string_view why() const noexcept { return connection_.why(); }
  /// Ends the session.
  void close(std::string_view why) noexcept { connection_.close(why); }
  /// What its user has to know, once; empty if there is nothing.
  [[nodiscard]] std::string_view take_notice() noexcept { return std::exchange(notice_, {}); }
  /// What to wait for before the next call of `work`: events of poll(2), and the time when a stalled client is
  /// disconnected; Time::min() while a command is not done.
  [[nodiscard]] int socket() const noexcept { return connection_.socket(); }
  [[nodiscard]] short events() const noexcept;
  [[nodiscard]] Time deadline() const noexcept {
    if (!writes_.empty()) return Time::min();
    return stalled_since_ ? *stalled_since_ + kMaxStall : Time::max();
  }

 private:
  /// The functions for commands return 0, with the reply's content in `reply_`, or an errno value.
  [[nodiscard]] int process();
  [[nodiscard]] int version(std::span<const std::byte> payload);
  [[nodiscard]] int dma_map(std::span<const std::byte> payload);
  [[nodiscard]] int dma_unmap(std::span<const std::byte> payload);
  [[nodiscard]] int device_info(std::span<const std::byte> payload);
  [[nodiscard]] int region_info(std::span<const std::byte> payload);
  [[nodiscard]] int irq_info(std::span<const std::byte> payload);
  [[nodiscard]] int set_irqs(std::span<const std::byte> payload);
  [[nodiscard]] int region_read(std::span<const std::byte> payload);
  [[nodiscard]] int region_write(std::span<const std::byte> payload);
  [[nodiscard]] int region_write_multi(std::span<const std::byte> payload);
  [[nodiscard]] int reset();
  [[nodiscard]] bool has_time() const { return clock_.now() < turn_ends_; }
  /// Goes on with `writes_` until the turn ends.
  [[nodiscard]] int continue_writes();
  [[nodiscard]] int write_some();
  void update_stall(Time now, bool progress);

  template <class T>
  void put(const T& value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    reply_.insert(reply_.end(), bytes.begin(), bytes.end());
  }

  Connection connection_;
  Device& device_;
  Regions& regions_;
  Interrupts& interrupts_;
  const Clock& clock_;
  ClientMemory memory_;
  bool has_version_ = false;
  bool was_full_ = false;
  std::string_view notice_;
  std::optional<Time> stalled_since_;
  std::vector<std::byte> reply_;
  Time turn_ends_{};
  std::span<const std::byte> writes_;  // that are left of the current command: bytes, or SingleWrites
  std::optional<RegionAccess> write_;  // where the bytes go
};

}  // namespace pollux::vfio_user
