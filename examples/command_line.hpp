// SPDX-License-Identifier: BSD-3-Clause
// The command line of an example: options with a value, and ports. It has nothing to do with Pollux.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "pollux/base/error.hpp"

namespace pollux::examples {

/// The whole of `text` as a number within these limits.
template <class Number>
[[nodiscard]] std::optional<Number> read_number(std::string_view text, Number lowest, Number highest) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  const bool is_within = number >= lowest && number <= highest;
  return error == std::errc{} && stop == end && is_within ? std::optional(number) : std::nullopt;
}

/// First an example takes its options out of the words; those that are left are ports. The first mistake is kept.
class Words {
 public:
  Words(int argc, char** argv) : words_(argv + 1, argv + argc) {}

  [[nodiscard]] bool flag(std::string_view option) { return std::erase(words_, option) != 0; }
  /// The words that follow `option`, each time that it is there.
  [[nodiscard]] std::vector<std::string> values(std::string_view option) {
    std::vector<std::string> found;
    for (auto at = words_.begin(); (at = std::find(at, words_.end(), option)) != words_.end();) {
      at = words_.erase(at);
      if (at == words_.end()) {
        refuse(fmt::format("{} needs a value", option));
        break;
      }
      if (at->empty()) refuse(fmt::format("the value of {} is empty", option));
      found.push_back(std::move(*at));
      at = words_.erase(at);
    }
    return found;
  }
  [[nodiscard]] std::string value(std::string_view option, std::string otherwise = {}) {
    std::vector<std::string> found = values(option);
    if (found.size() > 1) refuse(fmt::format("{} is given twice", option));
    return found.empty() ? std::move(otherwise) : std::move(found.back());
  }
  template <class Number>
  [[nodiscard]] Number number(std::string_view option, Number otherwise, Number lowest, Number highest) {
    const std::string text = value(option, fmt::format("{}", otherwise));
    const auto number = read_number(text, lowest, highest);
    if (!number) refuse(fmt::format("{}: '{}' is not a number from {} to {}", option, text, lowest, highest));
    return number.value_or(otherwise);
  }
  [[nodiscard]] std::vector<std::string> ports(std::size_t fewest, std::size_t most) {
    for (const std::string& word : words_) {
      if (word.empty()) refuse("a port is empty");
      if (word.starts_with('-')) refuse("there is no option " + word);
    }
    if (words_.size() < fewest || words_.size() > most) {
      const std::string needed = fewest == most ? fmt::format("{}", most) : fmt::format("{} to {}", fewest, most);
      refuse(fmt::format("ports: {} given, {} needed", words_.size(), needed));
    }
    return words_;
  }

  void refuse(std::string what) {
    if (mistake_) mistake_ = fail(ErrorCode::invalid_argument, std::move(what), "see --help");
  }
  /// Error invalid_argument: what was refused first.
  [[nodiscard]] const Result<void>& mistake() const { return mistake_; }

 private:
  std::vector<std::string> words_;
  Result<void> mistake_;
};

/// Opens the null device in place of closed standard streams, before the next file, such as a capture, becomes one of
/// them and gets the program's output. Returns false if nobody could read that.
[[nodiscard]] inline bool open_standard_streams() {
  const bool has_output = ::fcntl(STDOUT_FILENO, F_GETFD) >= 0;
  int descriptor = ::open("/dev/null", O_RDWR);  // the lowest free one
  while (descriptor >= 0 && descriptor <= STDERR_FILENO) descriptor = ::open("/dev/null", O_RDWR);
  if (descriptor >= 0) ::close(descriptor);
  return has_output;
}

/// For `main`: the exit status of `example`, a function of the Words. It is 2 after a wrong command line.
template <class Example>
[[nodiscard]] int run_example(int argc, char** argv, std::string_view usage, Example example) try {
  const bool has_output = open_standard_streams();
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // so that whoever reads it through a pipe gets each line at once
  Words words(argc, argv);
  const bool wants_help = words.flag("--help");
  if (wants_help) fmt::print("{}", usage);
  const Result<void> ended = wants_help ? Result<void>() : example(words);
  if (std::fflush(stdout) != 0) throw std::system_error(errno, std::generic_category(), "cannot write the output");
  if (!has_output) fmt::print(stderr, "error: standard output is closed\n");
  if (ended) return has_output ? 0 : 1;
  fmt::print(stderr, "error: {}\n", ended.error().message());
  if (ended.error().code != ErrorCode::invalid_argument) return 1;
  return fmt::print(stderr, "{}", usage), 2;
} catch (const std::exception& thrown) {  // such as std::system_error by fmt::print, on a full disk
  std::fprintf(stderr, "error: %s\n", thrown.what());
  return 1;
}

}  // namespace pollux::examples
