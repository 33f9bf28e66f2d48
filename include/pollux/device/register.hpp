// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "pollux/device/bar.hpp"
#include "pollux/device/register_info.hpp"

/// @file
/// Typed registers. Each register is declared once, with its offset, access mode and named fields:
///
///     struct RXDCTL : Register<RXDCTL, 0xC028, Access::rw, Stride{0x40, 16}> {
///       static constexpr Field PTHRESH{0, 5}, WTHRESH{16, 5};
///       static constexpr Bit ENABLE{25};
///       POLLUX_FIELDS(PTHRESH, WTHRESH, ENABLE);
///     };
///
///     regs.write<RXDCTL>(queue, RXDCTL::ENABLE | RXDCTL::WTHRESH(4));
///     if (regs.read<RXDCTL>(queue).has(RXDCTL::ENABLE)) ...
///
/// A register has 32 bits. Declare one of 8 or 16 bits as Register8 or Register16; every access to it has that width:
///
///     struct DEVICE_STATUS : Register8<DEVICE_STATUS, 0x14, Access::rw> {
///       static constexpr Bit ACKNOWLEDGE{0}, DRIVER{1};
///       POLLUX_FIELDS(ACKNOWLEDGE, DRIVER);
///     };
///
/// These uses do not compile: a field or value wider than its register, combining fields of different registers,
/// writing a read-only register, reading a write-only one, and reading a clear-on-read register by anything but
/// `read_and_clear`. Drivers, models, register dumps and the documentation share one declaration: `describe` returns it
/// as data.

namespace pollux {

namespace detail {

/// These functions are not constexpr on purpose: the compiler rejects a constant expression that calls one.
inline void register_field_is_outside_the_register() noexcept {}
inline void register_field_value_does_not_fit() noexcept {}
inline void register_index_is_out_of_range() noexcept {}

/// The name at index `which` of a comma-separated list.
[[nodiscard]] constexpr std::string_view nth_name(std::string_view names, std::size_t which) noexcept {
  for (; which > 0; --which) names.remove_prefix(names.find(',') + 1);
  names = names.substr(0, names.find(','));
  while (!names.empty() && names.front() == ' ') names.remove_prefix(1);
  while (!names.empty() && names.back() == ' ') names.remove_suffix(1);
  return names;
}

template <class... Fields>
[[nodiscard]] constexpr auto list_fields(std::string_view names, const Fields&... fields) noexcept {
  std::array<FieldInfo, sizeof...(Fields)> list{FieldInfo{{}, fields.lo(), fields.width()}...};
  for (std::size_t i = 0; i < list.size(); ++i) list[i].name = nth_name(names, i);
  return list;
}

}  // namespace detail

/// Lists a register's fields for `describe`. Write it once in each register that has fields, after the last one.
#define POLLUX_FIELDS(...) static constexpr auto kFields = ::pollux::detail::list_fields(#__VA_ARGS__, __VA_ARGS__)

/// The base class of a register declaration. `Self` is the declared struct; `kOffset` is in bytes from the start of the
/// window.
template <class Self, std::uint32_t kOffset, Access kAccess, Stride kStride = Stride{}, Alias kAlias = Alias{},
          std::uint32_t kWidth = 32>
struct Register {
  static_assert(kWidth == 8 || kWidth == 16 || kWidth == 32, "a register has 8, 16 or 32 bits");
  static constexpr std::uint32_t kBits = kWidth;       ///< of one register
  static constexpr std::uint32_t kBytes = kWidth / 8;  ///< of one register
  static_assert(kOffset % kBytes == 0 && kStride.bytes % kBytes == 0 && kStride.second % kBytes == 0,
                "a register lies at a multiple of its width");
  static_assert(kStride.count > 0 && kStride.split <= kStride.count);
  static_assert(kAlias.count <= kStride.count && kAlias.offset % kBytes == 0 && kAlias.bytes % kBytes == 0);

  /// A register's value on a removed card.
  static constexpr std::uint32_t kAllBits = ~std::uint32_t{0} >> (32 - kBits);
  static constexpr std::uint32_t kCount = kStride.count;  ///< registers of the array; 1: not an array
  static constexpr Access kMode = kAccess;                ///< what an access does
  static constexpr Alias kRegisterAlias = kAlias;         ///< its second offset, if it has one
  static constexpr std::array<FieldInfo, 0> kFields{};    ///< a register with fields hides it by its own

  class Value;

  /// A mask of bits and a value for them, to write or to compare with. `|` combines settings and their masks, so
  /// `modify` changes only the bits in the mask.
  class Setting {
   public:
    /// Bits outside `mask` are ignored.
    constexpr Setting(std::uint32_t mask, std::uint32_t bits) noexcept : mask_(mask), bits_(bits & mask) {}
    /// The bits that it concerns, and their value; both in place, as in the register.
    ///@{
    [[nodiscard]] constexpr std::uint32_t mask() const noexcept { return mask_; }
    [[nodiscard]] constexpr std::uint32_t bits() const noexcept { return bits_; }
    ///@}
    /// The setting with all other bits zero.
    [[nodiscard]] constexpr operator Value() const noexcept {
      return Value(bits_);
    }  // NOLINT(google-explicit-constructor)

   private:
    std::uint32_t mask_;
    std::uint32_t bits_;
  };

  /// One bit. As a setting, it means that the bit is set.
  class Bit : public Setting {
   public:
    /// `number` counts from the lowest bit, 0. In a constant expression, one outside the register is a compile error.
    explicit constexpr Bit(std::uint32_t number) noexcept
        : Setting(bit_mask(number), bit_mask(number)), number_(number) {}
    [[nodiscard]] constexpr std::uint32_t lo() const noexcept { return number_; }  ///< number of the bit
    [[nodiscard]] constexpr std::uint32_t width() const noexcept { return 1; }     ///< as a Field of one bit

   private:
    [[nodiscard]] static constexpr std::uint32_t bit_mask(std::uint32_t number) noexcept {
      if (number >= kBits) detail::register_field_is_outside_the_register();
      return std::uint32_t{1} << (number & 31);
    }
    std::uint32_t number_;
  };

  /// Adjacent bits that hold a number. `FIELD(value)` is the setting of the field to that number. In a constant
  /// expression, a value that does not fit is a compile error. At run time its excess high bits are cut off, so that it
  /// never changes a neighbouring field; check external values with `fits` first.
  class Field {
   public:
    /// `lo` is the number of the lowest bit. In a constant expression, a field outside the register is a compile error.
    constexpr Field(std::uint32_t lo, std::uint32_t width) noexcept : info_{{}, lo, width} {
      if (width == 0 || width > kBits || lo >= kBits || lo + width > kBits)
        detail::register_field_is_outside_the_register();
    }
    /// Number of the lowest bit, width in bits, mask in place, the highest value, and whether a value fits.
    ///@{
    [[nodiscard]] constexpr std::uint32_t lo() const noexcept { return info_.lo; }
    [[nodiscard]] constexpr std::uint32_t width() const noexcept { return info_.width; }
    [[nodiscard]] constexpr std::uint32_t mask() const noexcept { return info_.mask(); }
    [[nodiscard]] constexpr std::uint32_t max() const noexcept { return mask() >> lo(); }
    [[nodiscard]] constexpr bool fits(std::uint64_t value) const noexcept { return value <= max(); }
    ///@}

    /// The setting of the field to `value`, which is a plain number.
    [[nodiscard]] constexpr Setting operator()(std::uint32_t value) const noexcept {
      if (std::is_constant_evaluated() && !fits(value)) detail::register_field_value_does_not_fit();
      return Setting(mask(), value << lo());
    }

   private:
    FieldInfo info_;
  };

  /// A named value of a field: `static constexpr Choice ONE_BUFFER{DESCTYPE, 1};`
  class Choice : public Setting {
   public:
    /// In a constant expression, a value that does not fit is a compile error.
    constexpr Choice(Field field, std::uint32_t value) noexcept : Setting(field(value)) {
      if (!field.fits(value)) detail::register_field_value_does_not_fit();
    }
  };

  /// The value of all 32 bits of this register. It converts only from settings of the same register.
  class Value {
   public:
    constexpr Value() noexcept = default;
    /// In a constant expression, bits beyond the register are a compile error. At run time they are cut off.
    explicit constexpr Value(std::uint32_t raw) noexcept : raw_(raw & kAllBits) {
      if (std::is_constant_evaluated() && raw_ != raw) detail::register_field_value_does_not_fit();
    }

    /// All bits, as read from the card.
    [[nodiscard]] constexpr std::uint32_t raw() const noexcept { return raw_; }
    /// Whether all bits in the mask of `setting` have the values of `setting`.
    [[nodiscard]] constexpr bool has(Setting setting) const noexcept {
      return (raw_ & setting.mask()) == setting.bits();
    }
    /// Whether at least one bit in the mask of `setting` is one.
    [[nodiscard]] constexpr bool has_any(Setting setting) const noexcept { return (raw_ & setting.mask()) != 0; }
    /// The number in `field`, moved down to bit 0.
    [[nodiscard]] constexpr std::uint32_t get(Field field) const noexcept {
      return (raw_ & field.mask()) >> field.lo();
    }
    /// This value with the bits in the mask of `setting` replaced.
    [[nodiscard]] constexpr Value with(Setting setting) const noexcept {
      return Value((raw_ & ~setting.mask()) | setting.bits());
    }
    /// This value with the bits in the mask of `setting` cleared.
    [[nodiscard]] constexpr Value without(Setting setting) const noexcept { return Value(raw_ & ~setting.mask()); }
    /// The same for a field.
    [[nodiscard]] constexpr Value without(Field field) const noexcept { return Value(raw_ & ~field.mask()); }
    /// Whether this is the value that every read of a removed card returns.
    [[nodiscard]] constexpr bool all_ones() const noexcept { return raw_ == kAllBits; }

    friend constexpr bool operator==(Value, Value) noexcept = default;

   private:
    std::uint32_t raw_ = 0;
  };

  /// Both together. Only what belongs to the same register can be combined.
  ///@{
  friend constexpr Setting operator|(Setting left, Setting right) noexcept {
    return Setting(left.mask() | right.mask(), left.bits() | right.bits());
  }
  friend constexpr Value operator|(Value left, Value right) noexcept { return Value(left.raw() | right.raw()); }
  ///@}

  /// The offset of register `index` of the array. In a constant expression, an index out of range is a compile error.
  [[nodiscard]] static constexpr std::uint32_t offset(std::uint32_t index = 0) noexcept {
    if (index >= kCount && std::is_constant_evaluated()) detail::register_index_is_out_of_range();
    return index < kStride.split ? kOffset + index * kStride.bytes
                                 : kStride.second + (index - kStride.split) * kStride.bytes;
  }

  /// The declaration as data. `name` and `group` must outlive it; use string literals.
  [[nodiscard]] static constexpr RegisterInfo describe(std::string_view name, std::string_view group) noexcept {
    return {name, group, kOffset, kStride, kAlias, kAccess, std::span<const FieldInfo>(Self::kFields), kBits};
  }
};

/// A register of 8 bits, and one of 16.
template <class Self, std::uint32_t kOffset, Access kAccess, Stride kStride = Stride{1}, Alias kAlias = Alias{}>
using Register8 = Register<Self, kOffset, kAccess, kStride, kAlias, 8>;
/// The same with 16 bits.
template <class Self, std::uint32_t kOffset, Access kAccess, Stride kStride = Stride{2}, Alias kAlias = Alias{}>
using Register16 = Register<Self, kOffset, kAccess, kStride, kAlias, 16>;

namespace detail {

template <class... Rs>
[[nodiscard]] constexpr auto list_registers(std::string_view group, std::string_view names) noexcept {
  std::array<RegisterInfo, sizeof...(Rs)> list{Rs::describe({}, group)...};
  for (std::size_t i = 0; i < list.size(); ++i) list[i].name = nth_name(names, i);
  return list;
}

}  // namespace detail

/// A constexpr array of RegisterInfo for the named registers, which belong to `group` (a string literal).
#define POLLUX_REGISTERS(group, ...) ::pollux::detail::list_registers<__VA_ARGS__>(group, #__VA_ARGS__)

/// Offset policy of a RegisterWindow: each register is accessed at its declared offset.
struct PrimaryOffsets {
  /// The registers that can be accessed, and the offset of one in bytes; `index` is below `count` and not checked.
  ///@{
  template <class R>
  [[nodiscard]] static constexpr std::uint32_t count() noexcept {
    return R::kCount;
  }
  template <class R>
  [[nodiscard]] static constexpr std::uint32_t offset(std::uint32_t index) noexcept {
    return R::offset(index);
  }
  ///@}
};

/// Offset policy of a RegisterWindow: a register with an Alias is accessed there, as the queue registers of a virtual
/// function are.
struct AliasOffsets {
  /// As PrimaryOffsets', for those that the alias reaches.
  ///@{
  template <class R>
  [[nodiscard]] static constexpr std::uint32_t count() noexcept {
    return R::kRegisterAlias.count == 0 ? R::kCount : R::kRegisterAlias.count;
  }
  template <class R>
  [[nodiscard]] static constexpr std::uint32_t offset(std::uint32_t index) noexcept {
    return R::kRegisterAlias.count == 0 ? R::offset(index) : R::kRegisterAlias.offset + index * R::kRegisterAlias.bytes;
  }
  ///@}
};

/// Typed access to a card's registers through a Bar. A value type, as cheap to copy as the Bar.
/// `Status` is a register that can be read at any time without side effects. It is read to flush posted writes and to
/// detect whether the card has been removed.
/// Precondition: the Bar covers every register of the card. Check its size once, when the card is opened.
/// An access with an index out of range does not reach the card; a read then returns all ones, as for a removed card.
/// Thread rule: that of Bar.
template <class Status, class OffsetPolicy = PrimaryOffsets>
class RegisterWindow {
 public:
  using Offsets = OffsetPolicy;  ///< where registers are accessed

  RegisterWindow() = default;
  /// `bar` has the registers. What it stands for outlives the window.
  explicit RegisterWindow(const Bar& bar) noexcept : bar_(bar) {}

  /// Reads a register; one that a read clears needs `read_and_clear`. `index` is for arrays.
  ///@{
  template <class R>
  [[nodiscard]] typename R::Value read() const noexcept {
    static_assert(OffsetPolicy::template count<R>() == 1, "this register is an array: say which index");
    return read_at<R>(0);
  }
  template <class R>
  [[nodiscard]] typename R::Value read(std::uint32_t index) const noexcept {
    return read_at<R>(index);
  }
  ///@}

  /// Reads a clear-on-read register. The read clears the value in the card.
  template <class R>
  typename R::Value read_and_clear(std::uint32_t index) const noexcept {
    static_assert(clears_on_read(R::kMode), "only a clear-on-read register is read by read_and_clear");
    if (index >= OffsetPolicy::template count<R>()) [[unlikely]]
      return typename R::Value(R::kAllBits);
    return typename R::Value(bar_.read(OffsetPolicy::template offset<R>(index), R::kBytes));
  }
  /// The same for a register that is not an array.
  template <class R>
  typename R::Value read_and_clear() const noexcept {
    static_assert(OffsetPolicy::template count<R>() == 1, "this register is an array: say which index");
    return read_and_clear<R>(0);
  }

  /// Posts a write. It has reached the card after `flush` or any read.
  template <class R>
  void write(typename R::Value value) const noexcept {
    static_assert(OffsetPolicy::template count<R>() == 1, "this register is an array: say which index");
    write<R>(0, value);
  }
  /// The same for register `index` of an array.
  template <class R>
  void write(std::uint32_t index, typename R::Value value) const noexcept {
    static_assert(writable(R::kMode), "this register is read-only");
    if (index >= OffsetPolicy::template count<R>()) [[unlikely]]
      return;
    bar_.write(OffsetPolicy::template offset<R>(index), R::kBytes, value.raw());
  }

  /// Reads the register, replaces the bits in the mask of `setting` and writes it back.
  template <class R>
  void modify(typename R::Setting setting) const noexcept {
    static_assert(R::kMode == Access::rw, "only a register that reads back what was written can be modified");
    write<R>(read<R>().with(setting));
  }
  /// The same for register `index` of an array.
  template <class R>
  void modify(std::uint32_t index, typename R::Setting setting) const noexcept {
    static_assert(R::kMode == Access::rw, "only a register that reads back what was written can be modified");
    write<R>(index, read<R>(index).with(setting));
  }
  /// Reads the register, clears the bits in the mask of `setting` and writes it back.
  template <class R>
  void clear(typename R::Setting setting) const noexcept {
    static_assert(R::kMode == Access::rw, "only a register that reads back what was written can be modified");
    write<R>(read<R>().without(setting));
  }
  /// The same for register `index` of an array.
  template <class R>
  void clear(std::uint32_t index, typename R::Setting setting) const noexcept {
    static_assert(R::kMode == Access::rw, "only a register that reads back what was written can be modified");
    write<R>(index, read<R>(index).without(setting));
  }

  /// The tail register of a queue, for the hot path. If the index is out of range, the doorbell returned must not be
  /// rung.
  template <class R>
  [[nodiscard]] Doorbell doorbell(std::uint32_t index) const noexcept {
    static_assert(writable(R::kMode), "this register is read-only");
    static_assert(R::kBits == 32, "a doorbell has 32 bits");
    return index < OffsetPolicy::template count<R>() ? Doorbell(bar_, OffsetPolicy::template offset<R>(index))
                                                     : Doorbell();
  }

  /// Waits until all earlier writes have reached the card.
  void flush() const noexcept {
    bar_.flush();
    static_cast<void>(read<Status>());
  }
  /// Whether the card has been removed: its status register, which is never all ones, reads as all ones.
  [[nodiscard]] bool removed() const noexcept { return read<Status>().all_ones(); }

  /// As given to the constructor.
  [[nodiscard]] const Bar& bar() const noexcept { return bar_; }

 private:
  template <class R>
  [[nodiscard]] typename R::Value read_at(std::uint32_t index) const noexcept {
    static_assert(!clears_on_read(R::kMode), "reading this register clears it: use read_and_clear");
    static_assert(R::kMode != Access::wo, "this register is write-only");
    if (index >= OffsetPolicy::template count<R>()) [[unlikely]]
      return typename R::Value(R::kAllBits);
    return typename R::Value(bar_.read(OffsetPolicy::template offset<R>(index), R::kBytes));
  }

  Bar bar_;
};

}  // namespace pollux
