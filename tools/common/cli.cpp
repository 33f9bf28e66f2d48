// SPDX-License-Identifier: BSD-3-Clause
#include "common/cli.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <type_traits>
#include <utility>

#include "common/number_text.hpp"
#include "pollux/base/error.hpp"

namespace pollux::cli {
namespace {

/// Shows how many values a positional takes as "PORT [PORT]", where CLI11 has "PORT(1x)", and a flag that turns
/// something off by its name alone.
class HelpFormatter final : public CLI::Formatter {
 public:
  [[nodiscard]] std::string make_option_name(const CLI::Option* option, bool is_positional) const override {
    const std::string name = CLI::Formatter::make_option_name(option, is_positional);
    return name.substr(0, name.find('{'));
  }
  [[nodiscard]] std::string make_option_usage(const CLI::Option* option) const override {
    const std::string name = make_option_name(option, true);
    const int least = option->get_required() ? option->get_expected_min() : 0;
    std::string usage;
    for (int i = 0; i < least; ++i) usage += (i == 0 ? "" : " ") + name;
    const int optional = option->get_expected_max() - least;
    if (optional > 0) usage += (usage.empty() ? "[" : " [") + name + "]";
    return usage + (optional > 1 ? "..." : "");
  }
};

/// 010 is ten, as everywhere else; CLI11 would read it as an octal number. 0x10 stays what it is.
std::string without_leading_zeros(std::string text) {
  const std::size_t begin = text.starts_with('-') ? 1 : 0;
  const std::size_t digit = text.find_first_not_of('0', begin);
  if (digit != std::string::npos && text[digit] >= '1' && text[digit] <= '9') text.erase(begin, digit - begin);
  return text;
}

/// Of the values of an option.
template <class T>
constexpr bool is_integer() {
  if constexpr (requires { typename T::value_type; })
    return std::is_integral_v<typename T::value_type> && !std::is_same_v<typename T::value_type, char>;
  else
    return std::is_integral_v<T>;
}

Check from(const CLI::Validator& validator) {
  const auto test = [validator](const std::string& text) {
    std::string copy = text;
    return validator(copy);
  };
  return {test, validator.get_description()};
}

/// The word in the place of a command, which CLI11 does not mention: it looks for a missing command first.
std::optional<std::string> wrong_command(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> rest = app.remaining(true);
  if (std::string_view(error.what()) != "A subcommand is required" || rest.empty()) return std::nullopt;
  return rest.front().starts_with('-') ? std::nullopt : std::optional(rest.front());
}

/// The first option that there is not. CLI11 mentions it last: before, it takes the option's value for a positional.
std::optional<std::string> unknown_option(const CLI::App& app) {
  if (app.get_allow_extras()) return std::nullopt;
  const std::vector<std::string> rest = app.remaining(true);
  const auto found = std::ranges::find_if(rest, [](const std::string& word) { return word.starts_with('-'); });
  return found == rest.end() ? std::nullopt : std::optional(*found);
}

/// The program and the command that was given.
std::string command_of(const CLI::App& app) {
  const auto commands = app.get_subcommands();
  return app.get_name() + (commands.empty() ? "" : ' ' + command_of(*commands.front()));
}

/// Without control characters, as messages of errors are: a word of the command line may be a name that others gave.
std::string shown(const std::string& text) { return Error{ErrorCode::invalid_argument, text, {}}.message(); }

int status_after(const CLI::App& app, const CLI::ParseError& error, std::ostream& out, std::ostream& err) {
  if (error.get_exit_code() == 0) return app.exit(error, out, err);
  if (const auto wrong = wrong_command(app, error)) {
    err << '\'' << shown(*wrong) << "' is not a command; see " << app.get_name() << " --help\n";
  } else if (const auto unknown = unknown_option(app)) {
    err << "there is no option '" << shown(*unknown) << "'; see " << command_of(app) << " --help\n";
  } else {
    app.exit(CLI::Error(error.get_name(), shown(error.what()), error.get_exit_code()), out, err);
  }
  return kUsageError;
}

/// Rejects empty values, which are unset variables of a shell more often than not. CLI11 ignores some of them, takes
/// the next option for the value of "--option=", and leaves empty elements out of a list.
void reject_empty_values(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* command = &app;
  const CLI::Option* option = nullptr;  // the value of which comes next
  const auto check = [&](const std::string& value, const std::string& name) {
    if (value.empty()) throw CLI::ValidationError(name, "the value is empty");
    const char delimiter = option == nullptr ? '\0' : option->get_delimiter();
    if (delimiter == '\0') return;
    const std::string list = delimiter + value + delimiter;
    if (list.find(std::string(2, delimiter)) != std::string::npos)
      throw CLI::ValidationError(name, fmt::format("the list '{}' has an empty element", value));
  };
  for (const std::string& word : words) {
    if (word.size() < 2 || !word.starts_with('-')) {
      check(word, option == nullptr ? "an argument" : option->get_name());
      option = nullptr;
      const auto next = command->get_subcommands([&](const CLI::App* one) { return one->get_name() == word; });
      if (next.empty()) continue;
      command = next.front();
      if (command->get_prefix_command()) return;  // the other words are for another program
      continue;
    }
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    option = command->get_option_no_throw(name);
    if (option == nullptr) option = app.get_option_no_throw(name);
    if (word.starts_with("--") && equals != std::string::npos) check(word.substr(equals + 1), name);
    if (equals != std::string::npos || (option != nullptr && option->get_items_expected_max() == 0)) option = nullptr;
  }
}

/// Calls `parse`, which calls what the program passed to its options. Returns the status with which the program ends,
/// if it does.
std::optional<int> status_of(const CLI::App& app, std::ostream& out, std::ostream& err, const auto& parse) {
  try {
    parse();
  } catch (const CLI::ParseError& error) {
    return status_after(app, error, out, err);
  } catch (const UsageError& error) {
    return status_after(app, CLI::ValidationError(error.what()), out, err);
  }
  return std::nullopt;
}

}  // namespace

UsageError::UsageError(const std::string& option, const std::string& message)
    : std::runtime_error(option + ": " + message) {}
UsageError::UsageError(const std::string& message) : std::runtime_error(message) {}
UsageError UsageError::missing(const std::string& option) { return UsageError(option + " is required"); }

template <class T>
Check range(T lowest, T highest) {
  if constexpr (std::is_floating_point_v<T>) {  // CLI11's accepts nan, since every comparison with it is false
    const std::string shown = fmt::format("{:g} to {:g}", lowest, highest);
    const auto test = [=](const std::string& text) {
      return tools::parse_number(text, lowest, highest) ? std::string()
                                                        : fmt::format("{} is not a number from {}", text, shown);
    };
    return {test, shown};
  } else {
    return from(CLI::Range(lowest, highest));
  }
}
template Check range(int, int);
template Check range(unsigned, unsigned);
template Check range(std::uint64_t, std::uint64_t);
template Check range(double, double);

// CLI11 turns a number that is too large into the type's maximum, and wraps a negative one. The limit is far below
// both.
Check count() { return range(std::uint64_t{1}, std::uint64_t{1'000'000'000'000'000'000}); }
Check one_of(const std::vector<std::string>& values) { return from(CLI::IsMember(values)); }
Check one_of_ignoring_case(const std::vector<std::string>& values) {
  return from(CLI::IsMember(values, CLI::ignore_case));
}
Check existing_directory() { return from(CLI::ExistingDirectory); }

Option* Option::required() {
  option_->required();
  return this;
}
Option* Option::check(const Check& check) {
  option_->check(CLI::Validator([test = check.test](std::string& text) { return test(text); }, check.shown));
  return this;
}
Option* Option::expected(int count) {
  option_->expected(count);
  return this;
}
Option* Option::expected(int lowest, int highest) {
  option_->expected(lowest, highest);
  return this;
}
Option* Option::delimiter(char delimiter) {
  option_->delimiter(delimiter);
  return this;
}
Option* Option::take_all() {
  option_->take_all();
  return this;
}
Option* Option::capture_default_str() {
  option_->capture_default_str();
  return this;
}
Option* Option::type_name(const std::string& name) {
  option_->type_name(name);
  return this;
}
Option* Option::needs(const Option* other) {
  option_->needs(other->option_);
  return this;
}
Option* Option::excludes(const Option* other) {
  option_->excludes(other->option_);
  return this;
}

App::App(const std::string& description, const std::string& name)
    : owned_(std::make_unique<CLI::App>(description, name)), app_(owned_.get()) {
  app_->formatter(std::make_shared<HelpFormatter>());
  app_->set_version_flag("--version", "Pollux " POLLUX_VERSION, "Print the version and end");
}
App::App(CLI::App* app) : app_(app) {}
App::~App() = default;

App* App::add_subcommand(const std::string& name, const std::string& description) {
  subcommands_.push_back(std::unique_ptr<App>(new App(app_->add_subcommand(name, description))));
  return subcommands_.back().get();
}

Option* App::keep(CLI::Option* option) {
  if (!option->get_positional()) option->allow_extra_args(false);
  options_.push_back(std::make_unique<Option>(option));
  return options_.back().get();
}

template <class T>
Option* App::add_option(const std::string& name, T& variable, const std::string& description) {
  CLI::Option* const option = app_->add_option(name, variable, description);
  if constexpr (is_integer<T>()) option->transform(without_leading_zeros);
  return keep(option);
}
using Text = std::string;
template Option* App::add_option(const Text&, std::uint16_t&, const Text&);
template Option* App::add_option(const Text&, unsigned&, const Text&);
template Option* App::add_option(const Text&, int&, const Text&);
template Option* App::add_option(const Text&, std::uint64_t&, const Text&);
template Option* App::add_option(const Text&, double&, const Text&);
template Option* App::add_option(const Text&, Text&, const Text&);
template Option* App::add_option(const Text&, std::filesystem::path&, const Text&);
template Option* App::add_option(const Text&, std::optional<std::uint8_t>&, const Text&);
template Option* App::add_option(const Text&, std::optional<std::uint16_t>&, const Text&);
template Option* App::add_option(const Text&, std::optional<unsigned>&, const Text&);
template Option* App::add_option(const Text&, std::optional<std::uint64_t>&, const Text&);
template Option* App::add_option(const Text&, std::optional<std::int64_t>&, const Text&);
template Option* App::add_option(const Text&, std::optional<double>&, const Text&);
template Option* App::add_option(const Text&, std::optional<Text>&, const Text&);
template Option* App::add_option(const Text&, std::vector<unsigned>&, const Text&);
template Option* App::add_option(const Text&, std::vector<std::uint16_t>&, const Text&);
template Option* App::add_option(const Text&, std::vector<Text>&, const Text&);

template <class T>
Option* App::add_option_function(const std::string& name, const std::function<void(const T&)>& take,
                                 const std::string& description) {
  return keep(app_->add_option_function<T>(name, take, description));
}
template Option* App::add_option_function(const Text&, const std::function<void(const Text&)>&, const Text&);
template Option* App::add_option_function(const Text&, const std::function<void(const std::vector<Text>&)>&,
                                          const Text&);

Option* App::add_flag(const std::string& name, bool& variable, const std::string& description) {
  return keep(app_->add_flag(name, variable, description));
}

Option* App::add_flag_callback(const std::string& name, std::function<void()> callback,
                               const std::string& description) {
  return keep(app_->add_flag_callback(name, std::move(callback), description));
}
Option* App::get_option(const std::string& name) { return keep(app_->get_option(name)); }
std::size_t App::count(const std::string& name) const { return app_->count(name); }

void App::footer(const std::string& text) { app_->footer(text); }
void App::callback(std::function<void()> callback) { app_->callback(std::move(callback)); }
void App::require_subcommand(int count) { app_->require_subcommand(count); }
void App::fallthrough(bool allowed) { app_->fallthrough(allowed); }
void App::prefix_command() { app_->prefix_command(); }
void App::allow_extras() { app_->allow_extras(); }
std::vector<std::string> App::remaining() const { return app_->remaining(); }

std::optional<int> App::parse(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  return status_of(*app_, out, err, [&] {
    if (!app_->get_allow_extras()) reject_empty_values(*app_, {argv + 1, argv + argc});
    app_->parse(argc, argv);
  });
}
std::optional<int> App::parse(const std::string& line, std::ostream& out, std::ostream& err) {
  return status_of(*app_, out, err, [&] { app_->parse(line); });
}

const std::string& App::name() const { return app_->get_name(); }

}  // namespace pollux::cli
