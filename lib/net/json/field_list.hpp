// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "net/json/fields.hpp"

namespace pollux::json {

/// A value within a struct, as its users name it.
struct ListedField {
  std::string name;   ///< such as rx.N.ring; N stands for an index or a key
  std::string value;  ///< what it may be
  std::string about;  ///< its unit and meaning
};

/// Lists the values within a struct, by the tables of its members.
class FieldList {
 public:
  template <class T>
  [[nodiscard]] static std::vector<ListedField> of() {
    FieldList all;
    all.list<T>("", "", "");
    return std::move(all.fields_);
  }

  template <class T>
  void operator()(const char* name, T& /*value*/, const char* about = "") {
    list<T>(within_.empty() ? name : within_ + "." + name, "", about);
  }

 private:
  template <class T>
  void list(const std::string& name, const std::string& before, const std::string& about) {
    if constexpr (IsLeaf<T>) {
      fields_.push_back({name, before + Leaf<T>::form(), about});
    } else if constexpr (kIsPool<T>) {
      fields_.push_back({name, "none, or the name of a pool", about});
    } else if constexpr (kIsOptional<T>) {
      list<typename T::value_type>(name, "none, or ", about);
    } else if constexpr (kIsList<T>) {
      list_elements<typename T::value_type>(name, before, about);
    } else if constexpr (kIsMap<T>) {
      list<typename T::mapped_type>(name + ".N", "", about);
    } else {
      const std::string outer = std::exchange(within_, name);
      T value{};
      members(*this, value);
      within_ = outer;
    }
  }
  template <class T>
  void list_elements(const std::string& name, const std::string& before, const std::string& about) {
    if constexpr (IsLeaf<T>) {
      fields_.push_back({name, fmt::format("{}a list, each {}", before, Leaf<T>::form()), about});
    } else {
      list<T>(name + ".N", "", about);
    }
  }

  std::vector<ListedField> fields_;
  std::string within_;  // the name of the struct whose members are listed
};

}  // namespace pollux::json
