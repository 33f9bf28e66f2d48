// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/file_descriptor.hpp"
#include "base/own_thread.hpp"
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

namespace pollux::observe {

/// Compiles capture filters one after the other, on a thread that runs only while there are any. Users have their
/// turns: one who has asked for many keeps others waiting for one of them only. The thread has a low priority: where it
/// shares a processor with the thread that forwards, that one goes on.
/// Thread rule: one thread at a time.
class FilterCompiler {
 public:
  /// Error io_error: no file descriptor is left.
  [[nodiscard]] static Result<std::unique_ptr<FilterCompiler>> create();
  FilterCompiler(const FilterCompiler&) = delete;
  FilterCompiler& operator=(const FilterCompiler&) = delete;
  /// Waits for the filter that is being compiled, which takes at most some 200 ms.
  ~FilterCompiler();

  /// `port` is for messages, `client` returns with the filter. `user` has it.
  void add(std::uint64_t client, uid_t user, std::string expression, std::string port);
  /// The client wants no filter any more.
  void forget(std::uint64_t client);

  struct Compiled {
    std::uint64_t client = 0;
    Result<FrameFilter> filter;
  };
  /// The next filter that is ready. Its errors: those of FrameFilter::compile, and io_error (no thread can be started).
  [[nodiscard]] std::optional<Compiled> take();
  /// Readable when `take` has a filter.
  [[nodiscard]] int event_fd() const noexcept { return event_.get(); }

 private:
  struct Job {
    std::uint64_t client;
    uid_t user;
    std::string expression;
    std::string port;
    Result<FrameFilter> filter = {};
  };
  using Jobs = std::list<Job>;  // which are spliced, so that the thread allocates nothing but what libpcap needs

  explicit FilterCompiler(FileDescriptor event) : event_(std::move(event)) {}
  void start_thread();
  void work() noexcept;
  void deliver(Jobs& from) noexcept;

  FileDescriptor event_;
  std::mutex mutex_;  // of what follows, but the thread
  Jobs waiting_;
  Jobs ready_;
  bool running_ = false;
  OwnThread thread_;
};

}  // namespace pollux::observe
