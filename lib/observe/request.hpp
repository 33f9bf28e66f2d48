// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "observe/json.hpp"
#include "pollux/base/error.hpp"

namespace pollux::observe {

/// One line of a client: {"id":1,"method":"port.stats","params":{"port":"plx0"}}.
struct Request {
  Json id;  ///< a number, a string or null: the answer has the same
  std::string method;
  Json params = Json::object();
};

/// Error invalid_argument: no JSON object, or without a method. `id` is set as far as it could be read.
[[nodiscard]] Result<Request> parse_request(std::string_view line, Json& id);

/// One line without its end. Bytes that are no UTF-8 are replaced.
[[nodiscard]] std::string answer(const Json& id, const Result<Json>& result);

/// Reads the parameters of a request. Errors are invalid_argument and name the parameter.
class Params {
 public:
  explicit Params(const Json& params) : params_(params) {}

  /// Whether it is there and not null.
  [[nodiscard]] bool has(const char* name) const { return params_.contains(name) && !params_[name].is_null(); }
  [[nodiscard]] bool contains(const char* name) const { return params_.contains(name); }
  [[nodiscard]] const Json& all() const { return params_; }
  /// The parameter, or null.
  [[nodiscard]] const Json& value(const char* name) const;
  [[nodiscard]] Result<std::string> text(const char* name) const;
  [[nodiscard]] Result<bool> flag(const char* name) const;
  [[nodiscard]] Result<std::uint64_t> number(const char* name, std::uint64_t lowest, std::uint64_t highest) const;
  [[nodiscard]] Result<double> real(const char* name) const;
  /// Without the parameter: `otherwise`.
  [[nodiscard]] Result<bool> flag_or(const char* name, bool otherwise) const;
  [[nodiscard]] Result<std::uint64_t> number_or(const char* name, std::uint64_t otherwise, std::uint64_t lowest,
                                                std::uint64_t highest) const;

 private:
  const Json& params_;
  Json null_;
};

}  // namespace pollux::observe
