// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "net/json/json.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/mempool.hpp"

/// Writes and reads structs as JSON objects. A struct has one table of its members, which serves both directions:
/// `template <class Fields> void members(Fields& field, T& value)`, with a call `field("name", member, "what it is")`
/// for each; of a member that has members itself the last is left out.
namespace pollux::json {

/// A type that is one JSON value. `form` completes "it is not ...".
///     static std::string form();   static Json write(const T&);   static bool read(const Json&, T&);
/// One that can say more than its form has `static Error why(const Json&)`, one whose object may be patched otherwise
/// than as JSON `static bool patch(const Json&, T&)`.
template <class T>
struct Leaf;
template <class T>
concept IsLeaf = requires(const Json& json, T& value) {
  Leaf<T>::read(json, value);
};

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
inline constexpr bool kIsList = false;
template <class T>
inline constexpr bool kIsList<std::vector<T>> = true;
template <class T>
inline constexpr bool kIsMap = false;
template <class Key, class T>
inline constexpr bool kIsMap<std::map<Key, T>> = true;
template <class T>
inline constexpr bool kIsPool = std::same_as<T, Mempool>;

template <std::integral T>
struct Leaf<T> {
  static constexpr T kLeast = std::numeric_limits<T>::min(), kMost = std::numeric_limits<T>::max();
  static std::string form() { return fmt::format("a whole number from {} to {}", kLeast, kMost); }
  static Json write(T value) { return value; }
  static bool read(const Json& json, T& value) {
    const auto convert = [&](auto number) {
      if (!std::in_range<T>(number)) return false;
      value = static_cast<T>(number);
      return true;
    };
    if (json.is_number_unsigned()) return convert(json.get<std::uint64_t>());
    return json.is_number_integer() && convert(json.get<std::int64_t>());
  }
};

template <>
struct Leaf<bool> {
  static std::string form() { return "true or false"; }
  static Json write(bool value) { return value; }
  static bool read(const Json& json, bool& value) {
    if (json.is_boolean()) value = json.get<bool>();
    return json.is_boolean();
  }
};

template <>
struct Leaf<std::string> {
  static std::string form() { return "a string"; }
  static Json write(const std::string& value) { return value; }
  static bool read(const Json& json, std::string& value) {
    if (json.is_string()) value = json.get<std::string>();
    return json.is_string();
  }
};

/// The names of a struct's members, in their order.
template <std::size_t Count>
class FieldNames {
 public:
  template <class T>
  explicit FieldNames(T value) noexcept {
    members(*this, value);
  }
  template <class T>
  void operator()(const char* name, T& /*value*/, const char* /*about*/ = "") noexcept {
    if (count_ < Count) names_[count_++] = name;
  }
  /// Empty for what is not a member.
  [[nodiscard]] std::string_view of(std::size_t index) const noexcept {
    return index < count_ ? names_[index] : std::string_view();
  }

 private:
  std::array<std::string_view, Count> names_;
  std::size_t count_ = 0;
};

class FieldWriter {
 public:
  template <class T>
  void operator()(const char* name, T& value, const char* /*about*/ = "") {
    json_[name] = write(value);
  }
  /// Pools are written by name.
  template <class T>
  [[nodiscard]] static Json write(T& value) {
    if constexpr (IsLeaf<T>) {
      return Leaf<T>::write(value);
    } else if constexpr (kIsPool<T>) {
      return value ? Json(value.options().name) : Json(nullptr);
    } else if constexpr (kIsOptional<T>) {
      return value ? write(*value) : Json(nullptr);
    } else if constexpr (kIsList<T>) {
      Json list = Json::array();
      for (auto& one : value) list.push_back(write(one));
      return list;
    } else if constexpr (kIsMap<T>) {
      Json object = Json::object();
      for (auto& [key, one] : value) object[Leaf<std::remove_cvref_t<decltype(key)>>::write(key).dump()] = write(one);
      return object;
    } else {
      FieldWriter fields;
      members(fields, value);
      return std::move(fields.json_);
    }
  }

 private:
  Json json_ = Json::object();
};

/// Reads the members that an object has; the others stay as they are. The first error ends it.
class FieldReader {
 public:
  /// `pools` are found by their names.
  explicit FieldReader(std::span<const Mempool> pools = {}) : pools_(pools) {}

  template <class T>
  void operator()(const char* name, T& value, const char* /*about*/ = "") {
    known_.emplace_back(name);
    if (const auto found = json_->find(name); found != json_->end()) read(*found, value, path_ + name);
  }
  /// Reads a whole value. Unknown members are an error.
  template <class T>
  [[nodiscard]] Result<void> read_all(const Json& json, T& value) {
    read(json, value, "");
    return result();
  }
  /// Reads a merge patch (RFC 7396): what it does not name stays, without being read again, and null is the default.
  template <class T>
  [[nodiscard]] Result<void> patch(const Json& json, T& value) {
    patches_ = true;
    read(json, value, "");
    return result();
  }

 private:
  [[nodiscard]] Result<void> result() const { return error_ ? tl::unexpected<Error>(*error_) : Result<void>(); }
  void refuse(std::string what, std::string hint = "`pollux settings` lists the members and their values") {
    if (!error_) error_ = Error{ErrorCode::invalid_argument, std::move(what), std::move(hint)};
  }
  void expect(bool fits, const std::string& path, std::string_view form) {
    if (!fits) refuse(path.empty() ? fmt::format("this is not {}", form) : fmt::format("'{}' is not {}", path, form));
  }

  template <class T>
  void read(const Json& json, T& value, const std::string& path) {
    if (error_) return;
    if constexpr (IsLeaf<T>) {
      if (patches_ && json.is_object()) {
        if (patch_leaf(json, value)) return;
      } else if (Leaf<T>::read(json, value)) {
        return;
      }
      if constexpr (requires { Leaf<T>::why(json); }) {
        refuse(fmt::format("'{}': {}", path, Leaf<T>::why(json).what), Leaf<T>::why(json).hint);
      } else {
        expect(false, path, Leaf<T>::form());
      }
    } else if constexpr (kIsPool<T>) {
      read_pool(json, value, path);
    } else if constexpr (kIsOptional<T>) {
      if (!patches_ || json.is_null()) value.reset();
      const bool removes = patches_ && !value && removes_only(json);
      if (!json.is_null()) read(json, value ? *value : value.emplace(), path);
      if (removes) value.reset();
    } else if constexpr (kIsList<T>) {
      if (patches_ && json.is_object()) return patch_list(json, value, path);
      expect(json.is_array(), path, "a list");
      value.clear();
      for (std::size_t i = 0; !error_ && i < json.size(); ++i)
        read(json[i], value.emplace_back(), fmt::format("{}[{}]", path, i));
    } else if constexpr (kIsMap<T>) {
      read_map(json, value, path);
    } else if (patches_) {
      patch_object(json, value, path);
    } else {
      read_object(json, value, path);
    }
  }
  /// What is absent does not begin because of what is to be removed from it: a filter without entries lets nothing
  /// pass.
  [[nodiscard]] static bool removes_only(const Json& json) {
    return json.is_object() && !json.empty() &&
           std::ranges::all_of(json, [](const Json& one) { return one.is_null(); });
  }
  template <class T>
  [[nodiscard]] static bool patch_leaf(const Json& json, T& value) {
    if constexpr (requires { Leaf<T>::patch(json, value); }) {
      return Leaf<T>::patch(json, value);
    } else {
      Json patched = Leaf<T>::write(value);
      patched.merge_patch(json);
      return Leaf<T>::read(patched, value);
    }
  }
  /// Of a list an object by index changes single elements.
  template <class T>
  void patch_list(const Json& json, T& list, const std::string& path) {
    for (const auto& [key, one] : json.items()) {
      std::size_t index = 0;
      if (!Leaf<std::size_t>::read(Json::parse(key, nullptr, false), index) || index >= list.size())
        return refuse(fmt::format("'{}' has no element '{}'", path, key),
                      "name those that it has, or give the whole list");
      read(one, list[index], fmt::format("{}[{}]", path, key));
    }
  }
  template <class T>
  void read_map(const Json& json, T& map, const std::string& path) {
    expect(json.is_object(), path, "an object");
    if (!patches_) map.clear();
    if (error_) return;
    for (const auto& [key, one] : json.items()) {
      typename T::key_type index{};
      const Json number = Json::parse(key, nullptr, false);
      if (!Leaf<typename T::key_type>::read(number, index))
        return refuse(fmt::format("'{}' in '{}' is not an index", key, path));
      if (patches_ && one.is_null()) {
        map.erase(index);
      } else {
        read(one, map[index], fmt::format("{}.{}", path, key));
      }
    }
  }
  template <class T>
  void patch_object(const Json& json, T& value, const std::string& path) {
    expect(json.is_object(), path, "an object");
    if (error_) return;
    T untouched{};
    const Json defaults = FieldWriter::write(untouched);
    Json reset = Json::object();
    Json rest = Json::object();
    for (const auto& [key, one] : json.items()) {
      if (one.is_null() && defaults.contains(key)) {
        reset[key] = defaults[key];
      } else {
        rest[key] = one;
      }
    }
    patches_ = false;
    read_object(reset, value, path);
    patches_ = true;
    if (!error_) read_object(rest, value, path);
  }
  template <class T>
  void read_object(const Json& json, T& value, const std::string& path) {
    expect(json.is_object(), path, "an object");
    if (error_) return;
    FieldReader fields(pools_);
    fields.patches_ = patches_;
    fields.json_ = &json;
    fields.path_ = path.empty() ? path : path + ".";
    members(fields, value);
    for (const auto& [key, one] : json.items()) {
      if (std::ranges::find(fields.known_, key) == fields.known_.end())
        fields.refuse(fmt::format("there is no member '{}{}'", fields.path_, key));
    }
    error_ = std::move(fields.error_);
  }
  void read_pool(const Json& json, Mempool& pool, const std::string& path) {
    pool = {};
    if (json.is_null()) return;
    expect(json.is_string(), path, "the name of a pool or null");
    if (error_) return;
    const auto& name = json.get_ref<const std::string&>();
    for (const Mempool& one : pools_) {
      if (one.options().name != name) continue;
      if (pool) return refuse(fmt::format("'{}': two pools are named '{}'", path, name), "give each a name");
      pool = one;
    }
    if (!pool)
      refuse(fmt::format("'{}': there is no pool '{}'", path, name), "create a pool with this name, and pass it");
  }

  std::span<const Mempool> pools_;
  bool patches_ = false;
  const Json* json_ = nullptr;
  std::string path_;
  std::vector<std::string_view> known_;
  std::optional<Error> error_;
};

}  // namespace pollux::json
