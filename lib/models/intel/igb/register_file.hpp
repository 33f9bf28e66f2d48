// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "hw/intel/igb/registers.hpp"

namespace pollux::models::igb {

namespace hw = pollux::hw::igb;

/// The bit of a vector, pool or queue in a register with one bit for each.
constexpr std::uint32_t bit(std::uint32_t number) noexcept { return std::uint32_t{1} << number; }

/// The 82576's registers, as the table in hw/intel/igb declares them: offsets, aliases and access modes. The part of
/// the card that owns a register adds its side effects as hooks.
class RegisterFile {
 public:
  /// `index` is the register's index in its array.
  using ReadHook = std::function<std::uint32_t(std::uint32_t index)>;
  using WriteHook = std::function<void(std::uint32_t index, std::uint32_t value)>;

  RegisterFile();
  RegisterFile(const RegisterFile&) = delete;
  RegisterFile& operator=(const RegisterFile&) = delete;

  /// Software's access at `offset`. Unknown offsets read zero and ignore writes; both are counted.
  [[nodiscard]] std::uint32_t read(std::uint32_t offset);
  void write(std::uint32_t offset, std::uint32_t value);

  /// Access by the card itself, without side effects and access modes.
  template <class R>
  [[nodiscard]] typename R::Value get(std::uint32_t index = 0) const {
    return typename R::Value(words_[R::offset(index) / 4].value);
  }
  template <class R>
  void set(typename R::Value value) {
    set<R>(0, value);
  }
  template <class R>
  void set(std::uint32_t index, typename R::Value value) {
    words_[R::offset(index) / 4].value = value.raw();
  }
  template <class R>
  void change(std::uint32_t index, typename R::Setting setting) {
    set<R>(index, get<R>(index).with(setting));
  }

  /// Reads return the hook's result. Replaces the behaviour of the access mode.
  template <class R>
  void on_read(ReadHook hook) {
    const auto number = static_cast<std::uint16_t>(read_hooks_.size());
    read_hooks_.push_back(std::move(hook));
    for (std::uint32_t i = 0; i < R::kCount; ++i) words_[R::offset(i) / 4].read_hook = number;
  }
  /// Writes call the hook, which also stores the value. Replaces the behaviour of the access mode.
  template <class R>
  void on_write(WriteHook hook) {
    static_assert(writable(R::kMode), "the table says that software cannot write this register");
    const auto number = static_cast<std::uint16_t>(write_hooks_.size());
    write_hooks_.push_back(std::move(hook));
    for (std::uint32_t i = 0; i < R::kCount; ++i) words_[R::offset(i) / 4].write_hook = number;
  }

  /// Sets every register to zero. The parts then set their initial values.
  void clear();

  [[nodiscard]] std::uint64_t unknown_accesses() const noexcept { return unknown_accesses_; }

 private:
  struct Word {
    std::uint32_t value = 0;
    std::uint16_t target = 0;  // for an alias the number of the aliased word, otherwise the word's own
    std::uint16_t index = 0;
    std::uint16_t read_hook = 0;
    std::uint16_t write_hook = 0;
    Access access = Access::ro;
    bool known = false;
  };

  void add_register(const RegisterInfo& info);
  [[nodiscard]] Word* find(std::uint32_t offset);

  std::vector<Word> words_;               // of the whole BAR
  std::vector<std::uint16_t> registers_;  // numbers of the words that are registers, without aliases
  std::vector<ReadHook> read_hooks_;
  std::vector<WriteHook> write_hooks_;
  std::uint64_t unknown_accesses_ = 0;
};

}  // namespace pollux::models::igb
