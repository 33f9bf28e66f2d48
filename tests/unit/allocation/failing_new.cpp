// SPDX-License-Identifier: BSD-3-Clause
#include "failing_new.hpp"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace pollux::test::failing_new {
namespace {

constexpr std::int64_t kNever = INT64_MAX;

std::atomic<std::int64_t> left{kNever};
std::atomic<bool> failed{false};
std::atomic<std::size_t> pieces{0};

void* allocate(std::size_t size, std::size_t alignment) noexcept {
  if (left.load() != kNever && left.fetch_sub(1) == 0) {
    failed = true;
    return nullptr;
  }
  const std::size_t whole = (size + alignment - 1) / alignment * alignment;
  void* const piece = std::aligned_alloc(alignment, whole == 0 ? alignment : whole);
  if (piece != nullptr) ++pieces;
  return piece;
}

void* must_allocate(std::size_t size, std::size_t alignment) {
  void* const piece = allocate(size, alignment);
  if (piece == nullptr) throw std::bad_alloc();
  return piece;
}

void release(void* piece) noexcept {
  if (piece == nullptr) return;
  --pieces;
  std::free(piece);
}

}  // namespace

void fail_at(std::size_t n) {
  failed = false;
  left = static_cast<std::int64_t>(n);
}

bool disarm() {
  left = kNever;
  return failed;
}

Pause::Pause() : left_(left.exchange(kNever)) {}

Pause::~Pause() { left = left_; }

std::size_t live() { return pieces; }

}  // namespace pollux::test::failing_new

namespace {

using pollux::test::failing_new::allocate;
using pollux::test::failing_new::must_allocate;
using pollux::test::failing_new::release;

constexpr std::size_t kPlain = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

std::size_t number(std::align_val_t alignment) { return static_cast<std::size_t>(alignment); }

}  // namespace

void* operator new(std::size_t size) { return must_allocate(size, kPlain); }
void* operator new[](std::size_t size) { return must_allocate(size, kPlain); }
void* operator new(std::size_t size, std::align_val_t alignment) { return must_allocate(size, number(alignment)); }
void* operator new[](std::size_t size, std::align_val_t alignment) { return must_allocate(size, number(alignment)); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, kPlain); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, kPlain); }
void operator delete(void* piece) noexcept { release(piece); }
void operator delete[](void* piece) noexcept { release(piece); }
void operator delete(void* piece, std::size_t) noexcept { release(piece); }
void operator delete[](void* piece, std::size_t) noexcept { release(piece); }
void operator delete(void* piece, std::align_val_t) noexcept { release(piece); }
void operator delete[](void* piece, std::align_val_t) noexcept { release(piece); }
void operator delete(void* piece, std::size_t, std::align_val_t) noexcept { release(piece); }
void operator delete[](void* piece, std::size_t, std::align_val_t) noexcept { release(piece); }
