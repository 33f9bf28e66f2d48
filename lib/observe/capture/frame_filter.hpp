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
  /// Words, and instructions before libpcap's optimizer. libpcap needs time by the square of their number: with these
  /// limits some 200 ms. They also bound what the filter costs for a frame.
  static constexpr std::size_t kMaxWords = 300;
  static constexpr unsigned kMaxInstructions = 4096;

  /// Accepts every frame.
  FrameFilter() = default;
  /// What `compile` rejects without libpcap: a long expression, one of many words, a character that is not ASCII text,
  /// the name of a host or network. `port` is for messages.
  [[nodiscard]] static Result<void> check(const std::string& expression, const std::string& port);
  /// An empty expression accepts every frame. It takes at most some 200 ms, and asks no name server. Errors:
  /// invalid_argument (libpcap's message, those of `check`, more than kMaxInstructions, and what only the kernel knows:
  /// inbound, outbound, ifindex), no_memory.
  [[nodiscard]] static Result<FrameFilter> compile(const std::string& expression, const std::string& port);

  [[nodiscard]] bool accepts_all() const noexcept { return program_ == nullptr; }
  /// Whether the frame matches, of which the first `held` bytes are at `data`. Comparisons beyond them do not match.
  [[nodiscard]] bool accepts(const std::uint8_t* data, std::uint32_t length, std::uint32_t held) const noexcept;

 private:
  struct Free {
    void operator()(bpf_program* program) const noexcept;
  };
  using Program = std::unique_ptr<bpf_program, Free>;
  [[nodiscard]] static Result<Program> translate(const std::string& expression, const std::string& port, bool optimize);

  Program program_;
};

}  // namespace pollux::observe
