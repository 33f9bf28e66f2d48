// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "net/handover/record.hpp"

namespace pollux::handover {

/// A file that outlives its program: in front a record of the port, behind it what the driver keeps (ADR 25). A program
/// may end between any two instructions, so a record is written beside the one in force, and one store exchanges the
/// two.
class KeptFile {
 public:
  /// Where the driver's part begins.
  static constexpr std::uint64_t kFirst = 0x41000;

  /// Errors: no_memory.
  [[nodiscard]] static Result<FileDescriptor> make(const std::string& name, std::uint64_t bytes);
  /// Maps the first `bytes`. Errors: invalid_argument (the file is not one of these), no_memory.
  [[nodiscard]] static Result<KeptFile> map(const std::string& name, int file, std::uint64_t bytes);
  KeptFile(KeptFile&& other) noexcept : front_(std::exchange(other.front_, nullptr)), bytes_(other.bytes_) {}
  KeptFile& operator=(KeptFile&& other) noexcept {
    std::swap(front_, other.front_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~KeptFile();

  /// The driver's part.
  [[nodiscard]] std::byte* rest() const noexcept;
  /// What the port is. An empty one: a successor starts anew.
  void write_record(std::string_view text) noexcept;
  [[nodiscard]] Result<Json> record() const;

 private:
  struct Front;
  KeptFile(Front* front, std::uint64_t bytes) noexcept : front_(front), bytes_(bytes) {}

  Front* front_;
  std::uint64_t bytes_;
};

}  // namespace pollux::handover
