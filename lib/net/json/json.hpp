// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace pollux::json {

/// Members keep their order, so that answers read well.
using Json = nlohmann::ordered_json;

/// What a text from another program may contain. Json looks for each key among those before it, and parts of it are
/// copied and written recursively.
struct JsonLimits {
  std::size_t keys = 0;    ///< of one object
  std::size_t depth = 0;   ///< of objects and lists in each other
  std::size_t values = 0;  ///< in all
};

/// Reads a text without keeping anything of it, and stops where it exceeds the limits.
class JsonMeasure final : public nlohmann::json_sax<Json> {
 public:
  explicit JsonMeasure(const JsonLimits& limits) : limits_(limits) {}
  [[nodiscard]] bool exceeded() const noexcept { return exceeded_; }

  bool null() override { return count(); }
  bool boolean(bool /*value*/) override { return count(); }
  bool number_integer(std::int64_t /*value*/) override { return count(); }
  bool number_unsigned(std::uint64_t /*value*/) override { return count(); }
  bool number_float(double /*value*/, const std::string& /*text*/) override { return count(); }
  bool string(std::string& /*value*/) override { return count(); }
  bool binary(Json::binary_t& /*value*/) override { return count(); }
  bool start_object(std::size_t /*elements*/) override { return enter(); }
  bool key(std::string& /*name*/) override { return within(++keys_.back() <= limits_.keys); }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t /*elements*/) override { return enter(); }
  bool end_array() override { return leave(); }
  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return false;
  }

 private:
  bool within(bool is) noexcept {
    exceeded_ = exceeded_ || !is;
    return is;
  }
  bool count() { return within(++values_ <= limits_.values); }
  bool enter() {
    keys_.push_back(0);
    return within(keys_.size() <= limits_.depth) && count();
  }
  bool leave() {
    keys_.pop_back();
    return true;
  }

  const JsonLimits limits_;
  std::vector<std::size_t> keys_;  // of each object that is open; zero for lists
  std::size_t values_ = 0;
  bool exceeded_ = false;
};

/// Whether the text exceeds the limits before it ends or is wrong.
[[nodiscard]] inline bool exceeds(std::string_view text, const JsonLimits& limits) {
  JsonMeasure measure(limits);
  static_cast<void>(Json::sax_parse(text, &measure));
  return measure.exceeded();
}

/// The value; discarded if the text is no JSON or exceeds the limits.
[[nodiscard]] inline Json parse_bounded(std::string_view text, const JsonLimits& limits) {
  return exceeds(text, limits) ? Json(Json::value_t::discarded) : Json::parse(text, nullptr, false);
}

}  // namespace pollux::json
