// SPDX-License-Identifier: BSD-3-Clause
// Fails each allocation of a call in turn: it returns an error, and no exception reaches the caller.
#include <cstdlib>
#include <new>

#include "fixture.hpp"

namespace {

thread_local long left = -1;  // allocations that work before one fails; -1: all work

}  // namespace

// The library's, too, since a program's replace those of libstdc++.
void* operator new(std::size_t size) {
  if (left == 0) throw std::bad_alloc();
  if (left > 0) --left;
  if (void* const memory = std::malloc(size != 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace pollux::c::test {
namespace {

/// Calls `work`, which returns whether it worked, with one allocation after the other failing. Returns how many failed.
template <class Work>
long fail_each(const pollux_error& error, Work work) {
  for (long n = 0; n < 10'000; ++n) {
    left = n;
    const bool worked = work();
    left = -1;
    if (worked) return n;
    EXPECT_EQ(error.code, POLLUX_NO_MEMORY) << n << ": " << error.message;
    EXPECT_STRNE(error.message, "");
  }
  ADD_FAILURE() << "it never works";
  return 0;
}

// Without calls that read or write JSON: nlohmann's values allocate memory in their destructors, where that cannot
// fail.
TEST_F(C, WithoutMemoryACallFails) {
  pollux_context* other = nullptr;
  EXPECT_GT(fail_each(error, [&] { return (other = pollux_context_open(nullptr, &error)) != nullptr; }), 0);
  pollux_context_close(other);
  EXPECT_GT(
      fail_each(error, [&] { return (C::left = pollux_port_open(context, "null:", nullptr, &error)) != nullptr; }), 10);
  pollux_pool_options options{};
  options.size = sizeof options;
  options.count = 64;
  EXPECT_GT(fail_each(error, [&] { return (pool = pollux_pool_open(context, &options, &error)) != nullptr; }), 0);
  EXPECT_GT(fail_each(error,
                      [&] {
                        return pollux_drop_counter_open(context, "a name that is too long to lie in the string",
                                                        &error) != nullptr;
                      }),
            0);
  pollux_poller* poller = nullptr;
  EXPECT_GT(fail_each(error, [&] { return (poller = pollux_poller_open(context, &error)) != nullptr; }), 0);
  EXPECT_GT(fail_each(error,
                      [&] {
                        return pollux_poller_add(
                                   poller, pollux_port_rx(C::left, 0), 0, [](void*, pollux_frame*, std::uint32_t) {},
                                   nullptr, &error) == POLLUX_OK;
                      }),
            0);
  pollux_poller_close(poller);
}

}  // namespace
}  // namespace pollux::c::test
