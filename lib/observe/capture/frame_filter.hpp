// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "pollux/base/error.hpp"

struct bpf_program;

namespace pollux::observe {

/// A filter expression of libpcap (pcap-filter(7)), compiled for Ethernet.
/// Thread rule: any number of threads may call `accepts`.
class FrameFilter {
 public:
  static constexpr std::size_t kMaxLength = 4096;

  /// Accepts every frame.
  FrameFilter() = default;
  /// An empty expression accepts every frame. `port` is for messages. Errors: invalid_argument (libpcap's message, or
  /// an expression of more than kMaxLength bytes, or with the name of a host or network: this thread may be the one
  /// that polls, and must not wait for a name server), no_memory.
  [[nodiscard]] static Result<FrameFilter> compile(const std::string& expression, const std::string& port);

  [[nodiscard]] bool accepts_all() const noexcept { return program_ == nullptr; }
  /// Whether the frame matches, of which the first `held` bytes are at `data`. Comparisons beyond them do not match.
  [[nodiscard]] bool accepts(const std::uint8_t* data, std::uint32_t length, std::uint32_t held) const noexcept;

 private:
  struct Free {
    void operator()(bpf_program* program) const noexcept;
  };
  std::unique_ptr<bpf_program, Free> program_;
};

}  // namespace pollux::observe
