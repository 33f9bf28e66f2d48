// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/if_xdp.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/compiler.hpp"
#include "pollux/mem/mbuf.hpp"

namespace pollux::xdp {

/// Where the area and the marks of BorrowedMbufs begin. Loops copy it: they store bytes, which may change any other
/// object.
struct BorrowedPlaces {
  std::byte* area = nullptr;
  std::uint8_t* marks = nullptr;
};

/// The mbufs that one direction of a socket has passed to the kernel. It finds what the kernel still has when the
/// socket is closed, and what the kernel returns is used only if it is there, so nothing is taken twice.
///
/// The kernel knows an mbuf by its distance from `area`, in bytes; the upper 16 bits of an address have the distance of
/// the data from the mbuf (XSK_UNALIGNED_BUF_OFFSET_SHIFT). For each block of the area, in which one mbuf begins at
/// most, `marks` has a byte: the distance of the mbuf from the block's start plus its kind, or kNone.
struct BorrowedMbufs : BorrowedPlaces {
  enum class Kind : std::uint8_t {
    plain = 0,  ///< every one of a receive queue; else a direct, single-segment mbuf of the pool of the queue's cache
    other = 2,
  };

  static constexpr std::uint8_t kNone = 1;
  static constexpr std::uint64_t kLine = alignof(Mbuf);
  static constexpr std::uint64_t kBlock = 256;
  static_assert(Mbuf::kHeaderSize + 64 >= kBlock, "the smallest mbuf: see MempoolOptions::data_room");

  /// The distance in cache lines; more than any if no mbuf can begin there.
  [[nodiscard]] static POLLUX_ALWAYS_INLINE std::uint64_t line(std::uint64_t distance) noexcept {
    return std::rotr(distance, std::countr_zero(kLine));
  }
  [[nodiscard]] static POLLUX_ALWAYS_INLINE std::uint64_t block_of(std::uint64_t line) noexcept {
    return line / (kBlock / kLine);
  }
  [[nodiscard]] static POLLUX_ALWAYS_INLINE std::uint8_t mark(std::uint64_t distance, Kind kind) noexcept {
    return static_cast<std::uint8_t>(distance + static_cast<std::uint8_t>(kind));
  }

  void reset(std::byte* start, std::uint64_t bytes) {
    area = start;
    all_marks.assign(bytes / kBlock, kNone);
    marks = all_marks.data();
    lines = all_marks.size() * kBlock / kLine;
  }
  /// Marks an mbuf as the kernel's, and returns its distance.
  [[nodiscard]] std::uint64_t add(const Mbuf& mbuf, Kind kind) noexcept {
    const auto distance = static_cast<std::uint64_t>(reinterpret_cast<const std::byte*>(&mbuf) - area);
    marks[distance / kBlock] = mark(distance, kind);
    return distance;
  }
  /// The mbuf at an address that the kernel has returned; nullptr if the kernel did not have it.
  [[nodiscard]] Mbuf* remove(std::uint64_t address) noexcept {
    const std::uint64_t distance = address & XSK_UNALIGNED_BUF_ADDR_MASK;
    if (line(distance) >= lines) return nullptr;
    std::uint8_t& found = marks[distance / kBlock];
    if (found != mark(distance, Kind::plain) && found != mark(distance, Kind::other)) return nullptr;
    found = kNone;
    return reinterpret_cast<Mbuf*>(area + distance);
  }
  /// No mbuf is plain any more.
  void forget_plain() noexcept {
    for (std::uint8_t& found : all_marks) {
      if (found % kLine == 0) found = mark(found, Kind::other);
    }
  }
  /// Calls `function` with each mbuf that the kernel has, which then is the caller's.
  template <class Function>
  void remove_all(Function&& function) noexcept {
    lines = 0;
    for (std::uint64_t block = 0; block < all_marks.size(); ++block) {
      const std::uint64_t distance = block * kBlock + marks[block] / kLine * kLine;
      if (marks[block] != kNone) function(*reinterpret_cast<Mbuf*>(area + distance));
    }
    all_marks = {};
    marks = nullptr;
  }

  std::uint64_t lines = 0;
  std::vector<std::uint8_t> all_marks;
};

}  // namespace pollux::xdp
