// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>

#include "pollux/base/error.hpp"

/// The only user of libnuma. It calls only the library's bitmasks and mbind(), since other functions print errors.
namespace pollux::numa {

/// Whether `node` is valid: -1 (any node) always is, and so is 0 on a machine without NUMA. Error: invalid_argument.
[[nodiscard]] Result<void> check_node(int node);

/// Allocates future pages of the mapping only on `node`; does nothing for -1. Error: invalid_argument if the node has
/// no memory.
[[nodiscard]] Result<void> bind(std::byte* address, std::size_t size, int node);

/// While it exists, the kernel allocates pages for the calling thread on `node`; does nothing for -1. For fallocate on
/// huge pages, which has no mapping and so no mbind.
class ThreadPolicy {
 public:
  explicit ThreadPolicy(int node);
  ThreadPolicy(const ThreadPolicy&) = delete;
  ThreadPolicy& operator=(const ThreadPolicy&) = delete;
  ~ThreadPolicy();

 private:
  static constexpr std::size_t kWords = 64;  // 4,096 nodes, more than any kernel is built for
  unsigned long saved_mask_[kWords] = {};
  int saved_mode_ = 0;
  bool changed_ = false;
};

}  // namespace pollux::numa
