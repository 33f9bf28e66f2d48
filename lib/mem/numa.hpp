// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>

#include "pollux/base/error.hpp"

/// The fence around libnuma: only its bitmasks and the bare mbind() are used, since its other functions print what
/// fails.
namespace pollux::numa {

/// Whether `node` can be asked for: -1 (anywhere) always, 0 on a machine without NUMA, too. Error: invalid_argument.
[[nodiscard]] Result<void> check_node(int node);

/// Makes pages of the mapping that come from now on come from `node` and from no other; nothing for -1.
/// Error: invalid_argument where the node has no memory.
[[nodiscard]] Result<void> bind(std::byte* address, std::size_t size, int node);

/// While it lives, pages that the kernel takes for the calling thread come from `node`; nothing for -1. For fallocate
/// on huge pages, which knows no mapping and so no mbind.
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
