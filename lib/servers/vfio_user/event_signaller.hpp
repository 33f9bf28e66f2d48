// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/aio_abi.h>

#include <memory>

#include "base/file_descriptor.hpp"

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

}  // namespace pollux::vfio_user
