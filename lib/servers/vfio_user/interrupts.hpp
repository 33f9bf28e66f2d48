// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/aio_abi.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "servers/vfio_user/protocol.hpp"

namespace pollux::vfio_user {

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

  Device* device_;
  FileDescriptor events_;  // an epoll instance with the device's eventfds
  std::unique_ptr<EventSignaller> signaller_ = std::make_unique<EventSignaller>();
  std::array<std::vector<Line>, kIrqs> lines_;
  std::uint32_t enabled_ = kIrqs;  // kMsi or kMsix while the device's vectors are enabled for it
  bool pin_masked_ = false;
  FileDescriptor unmask_event_;  // the client unmasks the pin by signalling it
};

}  // namespace pollux::vfio_user
