// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/file_descriptor.hpp"
#include "observe/capture/frame_filter.hpp"
#include "pollux/base/error.hpp"

namespace pollux::observe {

/// Compiles capture filters one after the other, on a thread that runs only while there are any. The thread has a low
/// priority: where it shares a processor with the thread that forwards, that one goes on.
/// Thread rule: one thread at a time.
class FilterCompiler {
 public:
  /// Error io_error: no file descriptor is left.
  [[nodiscard]] static Result<std::unique_ptr<FilterCompiler>> create();
  FilterCompiler(const FilterCompiler&) = delete;
  FilterCompiler& operator=(const FilterCompiler&) = delete;
  /// Waits for the filter that is being compiled, which takes at most some 200 ms.
  ~FilterCompiler();

  /// `port` is for messages, `client` returns with the filter.
  void add(std::uint64_t client, std::string expression, std::string port);
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
  std::thread thread_;
};

}  // namespace pollux::observe
