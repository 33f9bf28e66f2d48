// SPDX-License-Identifier: BSD-3-Clause
// What the opaque types of pollux.h are, and how C++ ends at their border.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <limits>
#include <list>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "observe/local_requests.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/drop_counter.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/port.hpp"
#include "pollux/pollux.h"

struct pollux_drop_counter {
  explicit pollux_drop_counter(std::string name) : counter(std::move(name)) {}
  pollux::DropCounter counter;
};

namespace pollux::c {

/// What all that was opened with a pollux_context keeps alive.
struct Core {
  explicit Core(ContextOptions options) : context(std::move(options)), requests(context) {}

  Context context;
  observe::LocalRequests requests;
  std::mutex mutex;                         // of `counters`
  std::list<pollux_drop_counter> counters;  // so that none moves
};

}  // namespace pollux::c

struct pollux_context {
  std::shared_ptr<pollux::c::Core> core;
};

struct pollux_port {
  std::shared_ptr<pollux::c::Core> core;
  pollux::Port port;
};

struct pollux_pool {
  std::shared_ptr<pollux::c::Core> core;
  pollux::Mempool pool;
  pollux::MempoolCache cache{pool};
};

namespace pollux::c {

[[nodiscard]] inline RxQueue& queue_of(pollux_rx* rx) noexcept { return *reinterpret_cast<RxQueue*>(rx); }
[[nodiscard]] inline const RxQueue& queue_of(const pollux_rx* rx) noexcept {
  return *reinterpret_cast<const RxQueue*>(rx);
}
[[nodiscard]] inline TxQueue& queue_of(pollux_tx* tx) noexcept { return *reinterpret_cast<TxQueue*>(tx); }

/// A time of the caller as a Duration; longer ones are the longest.
[[nodiscard]] inline Duration duration(std::uint64_t nanoseconds) noexcept {
  constexpr auto kLongest = static_cast<std::uint64_t>(std::numeric_limits<Duration::rep>::max());
  return Duration(static_cast<Duration::rep>(std::min(nanoseconds, kLongest)));
}

/// Writes a success, or an error; a null pointer is ignored. Returns the code.
///@{
pollux_code note_success(pollux_error* error) noexcept;
pollux_code note(pollux_error* error, ErrorCode code, std::string_view what, std::string_view hint) noexcept;
inline pollux_code note(pollux_error* error, const Error& failed) noexcept {
  return note(error, failed.code, failed.what, failed.hint);
}
/// The exception that is being handled. Called in a catch clause.
pollux_code note_exception(pollux_error* error) noexcept;
///@}

/// Calls `work`, which returns a Result<void>, for a call that returns a code.
template <class Work>
pollux_code run(pollux_error* error, Work&& work) noexcept {
  try {
    const Result<void> done = work();
    return done ? note_success(error) : note(error, done.error());
  } catch (...) {
    return note_exception(error);
  }
}

/// Calls `work`, which returns a Result of a unique_ptr, for a call that returns an object.
template <class Work>
auto make(pollux_error* error, Work&& work) noexcept -> decltype(work()->get()) {
  try {
    auto made = work();
    if (made) {
      note_success(error);
      return made->release();
    }
    note(error, made.error());
  } catch (...) {
    note_exception(error);
  }
  return nullptr;
}

/// The same for a call that returns a text, of a Result<std::string>.
template <class Work>
char* make_text(pollux_error* error, Work&& work) noexcept {
  return make(error, [&]() -> Result<std::unique_ptr<char[]>> {
    const Result<std::string> text = work();
    if (!text) return tl::unexpected<Error>(text.error());
    auto copy = std::make_unique<char[]>(text->size() + 1);
    std::memcpy(copy.get(), text->c_str(), text->size() + 1);
    return copy;
  });
}

/// Calls `work` for a call that returns no error: what is thrown goes to the log of `core`, and the result is
/// `otherwise`.
template <class Work, class Value>
Value or_else(const Core& core, Value otherwise, Work&& work) noexcept {
  pollux_error error;
  try {
    return work();
  } catch (...) {
    note_exception(&error);
  }
  core.context.log(LogLevel::error, error.message);
  return otherwise;
}

/// Error invalid_argument: a null pointer where there has to be an object.
[[nodiscard]] Result<void> need(const void* object, const char* name);

/// Error invalid_argument: `size`, which the caller has set, is none of a struct of which this library knows `known`
/// bytes, `least` of which every version had; or bytes beyond those that it knows are set.
[[nodiscard]] Result<void> check_size(const void* options, std::size_t size, std::size_t least, std::size_t known,
                                      const char* name);

/// A copy of the caller's options; what they do not have is 0, and all of it without options.
template <class Options>
[[nodiscard]] Result<Options> read_options(const Options* given, const char* name) {
  Options options{};
  if (given == nullptr) return options;
  if (auto fits = check_size(given, given->size, sizeof given->size, sizeof options, name); !fits)
    return tl::unexpected<Error>(fits.error());
  std::memcpy(&options, given, std::min(given->size, sizeof options));
  return options;
}

/// Empty for a null pointer.
[[nodiscard]] inline std::string text_or_empty(const char* text) { return text == nullptr ? std::string() : text; }

}  // namespace pollux::c
