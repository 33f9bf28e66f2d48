// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's
class App;
class Option;
}  // namespace CLI

/// A program's options, for programs that are not compiled with CLI11: its headers would take most of their compile
/// time. The names are those of CLI11, which does the work (cli.cpp) and documents it. Nothing here may be used by
/// several threads.
namespace pollux::cli {

/// The exit status after a wrong command line, also one that only the library finds wrong; after any other failure it
/// is 1.
inline constexpr int kUsageError = 2;

/// A wrong command line. The callback of an App and what takes an option's values may throw it.
struct UsageError : std::runtime_error {
  UsageError(const std::string& option, const std::string& message);
  /// What was left out.
  [[nodiscard]] static UsageError missing(const std::string& option);

 private:
  explicit UsageError(const std::string& message);
};

/// A test of an argument. `test` returns what is wrong with a text, or nothing; `shown` describes the valid values.
struct Check {
  std::function<std::string(const std::string&)> test;
  std::string shown;
};
/// `T`: int, unsigned, std::uint64_t, or double, of which "nan" is refused.
template <class T>
[[nodiscard]] Check range(T lowest, T highest);
/// Of frames or the like: at least one.
[[nodiscard]] Check count();
[[nodiscard]] Check one_of(const std::vector<std::string>& values);
[[nodiscard]] Check one_of_ignoring_case(const std::vector<std::string>& values);
[[nodiscard]] Check existing_directory();

/// An option of an App, which owns it. Each function returns the option itself.
class Option {
 public:
  explicit Option(CLI::Option* option) noexcept : option_(option) {}

  Option* required();
  Option* check(const Check& check);
  /// How many values: `lowest` to `highest`.
  Option* expected(int count);
  Option* expected(int lowest, int highest);
  /// Several values in one argument.
  Option* delimiter(char delimiter);
  /// A repeated option has all its values.
  Option* take_all();
  Option* capture_default_str();
  Option* type_name(const std::string& name);
  Option* needs(const Option* other);
  Option* excludes(const Option* other);

 private:
  CLI::Option* option_;
};

/// A program or a command of it. Variables and callbacks outlive it.
class App {
 public:
  explicit App(const std::string& description, const std::string& name = "");
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  App* add_subcommand(const std::string& name, const std::string& description);
  /// `T`: a number, std::string, std::optional of one of them, or a vector; cli.cpp lists them. An option with a vector
  /// takes one argument each time, so that others can follow: further values are in it (`delimiter`), or it is
  /// repeated.
  template <class T>
  Option* add_option(const std::string& name, T& variable, const std::string& description);
  /// `take` gets the values. `T`: std::string, or a vector of them.
  template <class T>
  Option* add_option_function(const std::string& name, const std::function<void(const T&)>& take,
                              const std::string& description);
  Option* add_flag(const std::string& name, bool& variable, const std::string& description);
  Option* add_flag_callback(const std::string& name, std::function<void()> callback, const std::string& description);
  [[nodiscard]] Option* get_option(const std::string& name);
  /// How often an option was given.
  [[nodiscard]] std::size_t count(const std::string& name) const;

  void footer(const std::string& text);
  /// Called after a command line without a mistake. May throw UsageError.
  void callback(std::function<void()> callback);
  void require_subcommand(int count);
  /// Options of the program may follow a command.
  void fallthrough(bool allowed);
  /// The words from the first unknown one on are kept for remaining().
  void prefix_command();
  void allow_extras();
  [[nodiscard]] std::vector<std::string> remaining() const;

  /// Returns the status with which to end at once: 0 after --help, kUsageError after a wrong command line, of which
  /// `err` gets the message. Returns nothing if the program can go on.
  [[nodiscard]] std::optional<int> parse(int argc, const char* const* argv, std::ostream& out, std::ostream& err);
  /// Splits a line into words first.
  [[nodiscard]] std::optional<int> parse(const std::string& line, std::ostream& out, std::ostream& err);

  [[nodiscard]] const std::string& name() const;
  /// For those who describe a program in other forms.
  [[nodiscard]] const CLI::App& declaration() const noexcept { return *app_; }

 private:
  explicit App(CLI::App* app);
  Option* keep(CLI::Option* option);

  std::unique_ptr<CLI::App> owned_;  // of the program; none in its commands
  CLI::App* app_;
  std::vector<std::unique_ptr<App>> subcommands_;
  std::vector<std::unique_ptr<Option>> options_;
};

}  // namespace pollux::cli
