// SPDX-License-Identifier: BSD-3-Clause
#include "observe/capture/frame_filter.hpp"

#include <fmt/format.h>
#include <pcap/pcap.h>

#include <algorithm>
#include <utility>

#include "observe/capture/filter_names.hpp"

namespace pollux::observe {
namespace {

struct CloseHandle {
  void operator()(pcap_t* handle) const noexcept { ::pcap_close(handle); }
};

// The largest snapshot length of tcpdump. What is copied of a frame is another setting.
constexpr int kSnapLength = 262144;

bool is_printable(char c) { return c >= ' ' && c <= '~'; }

/// Whether the program loads what only the kernel knows of a packet, from offsets that are negative as 32 bits (Linux,
/// include/uapi/linux/filter.h). Elsewhere such a load does not match.
bool asks_the_kernel(const bpf_program& program) {
  constexpr std::uint32_t kFirstOffset = 0x8000'0000;
  return std::any_of(program.bf_insns, program.bf_insns + program.bf_len, [](const bpf_insn& instruction) {
    return BPF_CLASS(instruction.code) == BPF_LD && BPF_MODE(instruction.code) == BPF_ABS &&
           instruction.k >= kFirstOffset;
  });
}

}  // namespace

void FrameFilter::Free::operator()(bpf_program* program) const noexcept {
  ::pcap_freecode(program);
  delete program;
}

Result<void> FrameFilter::check(const std::string& expression, const std::string& port) {
  if (expression.size() > kMaxLength) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: the capture filter has {} bytes", port, expression.size()),
                fmt::format("use at most {} bytes", kMaxLength));
  }
  // libpcap's parser ends at a zero byte.
  if (!std::ranges::all_of(expression, is_printable)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: the capture filter has a character that is not ASCII text", port),
                "write it as for tcpdump; pcap-filter(7) has the syntax");
  }
  if (const std::size_t words = count_words(expression); words > kMaxWords) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: the capture filter has {} words", port, words),
                fmt::format("write a simpler one, of at most {}", kMaxWords));
  }
  if (const auto name = name_to_look_up(expression)) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("{}: bad capture filter '{}': '{}' is neither a keyword nor an address", port, expression, *name),
        "write it as for tcpdump (pcap-filter(7)); if it is the name of a host or network, give its address");
  }
  return {};
}

Result<FrameFilter::Program> FrameFilter::translate(const std::string& expression, const std::string& port,
                                                    bool optimize) {
  const std::unique_ptr<pcap_t, CloseHandle> handle(::pcap_open_dead(DLT_EN10MB, kSnapLength));
  if (handle == nullptr)
    return fail(ErrorCode::no_memory, port + ": libpcap has no memory for the capture filter", "free some memory");
  auto program = std::make_unique<bpf_program>();
  if (::pcap_compile(handle.get(), program.get(), expression.c_str(), optimize ? 1 : 0, PCAP_NETMASK_UNKNOWN) != 0) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: bad capture filter '{}': {}", port, expression, ::pcap_geterr(handle.get())),
                "write it as for tcpdump; pcap-filter(7) has the syntax");
  }
  return Program(program.release());
}

Result<FrameFilter> FrameFilter::compile(const std::string& expression, const std::string& port) {
  FrameFilter filter;
  if (expression.empty()) return filter;
  if (auto good = check(expression, port); !good) return pass_on(std::move(good));
  // For thousands of instructions the optimizer takes seconds, which is a hundred times as long as the rest.
  const auto plain = translate(expression, port, false);
  if (!plain) return tl::unexpected<Error>(plain.error());
  if ((*plain)->bf_len > kMaxInstructions) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: the capture filter has {} instructions", port, (*plain)->bf_len),
                fmt::format("write a simpler one, of at most {}", kMaxInstructions));
  }
  if (asks_the_kernel(**plain)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: bad capture filter '{}': inbound, outbound and ifindex are for captures by the kernel",
                            port, expression),
                "select frames by the capture's own direction and queue (--direction in, plx0/1) instead");
  }
  auto program = translate(expression, port, true);
  if (!program) return pass_on(std::move(program));
  filter.program_ = *std::move(program);
  return filter;
}

bool FrameFilter::accepts(const std::uint8_t* data, std::uint32_t length, std::uint32_t held) const noexcept {
  return program_ == nullptr || ::bpf_filter(program_->bf_insns, data, length, held) != 0;
}

}  // namespace pollux::observe
