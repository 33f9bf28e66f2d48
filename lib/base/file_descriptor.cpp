// SPDX-License-Identifier: BSD-3-Clause
#include "base/file_descriptor.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>

namespace pollux {

constinit std::uint32_t FileDescriptor::this_process_ = 0;

/// What a forked child runs before fork(3) returns there. As in a signal handler, nothing may allocate or lock.
struct ForkHandler {
  using Word = std::atomic<std::uint64_t>;
  static constexpr std::size_t kBits = 64;
  static_assert(Word::is_always_lock_free);

  static void run() noexcept {
    for (std::size_t index = 0; index < owned.size(); ++index) {
      for (std::uint64_t bits = owned[index].exchange(0); bits != 0; bits &= bits - 1) {
        ::close(static_cast<int>(index * kBits + static_cast<std::size_t>(std::countr_zero(bits))));
      }
    }
    ++FileDescriptor::this_process_;
  }

  static void set(int number, bool is_owned) noexcept {
    const auto bit = static_cast<std::size_t>(number);
    if (bit / kBits >= owned.size()) return;
    const std::uint64_t mask = std::uint64_t{1} << bit % kBits;
    if (is_owned) {
      owned[bit / kBits].fetch_or(mask);
    } else {
      owned[bit / kBits].fetch_and(~mask);
    }
  }

  static constinit std::array<Word, 1024> owned;  // a bit for each number
};

constinit std::array<ForkHandler::Word, 1024> ForkHandler::owned{};

namespace {

/// Not 0 to 2: a program whose standard streams are closed would write its output into what is opened here.
int above_standard_streams(int number) {
  if (number < 0 || number > STDERR_FILENO) return number;
  const int moved = ::fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (moved < 0) return number;
  ::close(number);
  return moved;
}

}  // namespace

FileDescriptor::FileDescriptor(int number) : number_(above_standard_streams(number)), process_(this_process_) {
  if (number_ >= 0) close_in_children(number_);
}

void FileDescriptor::close_in_children(int number) {
  // Once is enough: children inherit the handler. Without memory for it, they keep their copies.
  static const int registered = ::pthread_atfork(nullptr, nullptr, &ForkHandler::run);
  static_cast<void>(registered);
  ForkHandler::set(number, true);
}

int FileDescriptor::release() noexcept {
  const int number = get();
  if (number >= 0) ForkHandler::set(number, false);
  number_ = -1;
  return number;
}

// First it is no longer owned: another thread may get its number as soon as it is closed.
void FileDescriptor::close() noexcept {
  ForkHandler::set(number_, false);
  ::close(number_);
}

}  // namespace pollux
