// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pollux/mem/mbuf.hpp"

namespace pollux::test {

/// A buffer that one or more model segments share.
struct ModelBuffer {
  std::vector<std::uint8_t> bytes;  ///< the whole buffer; bytes that were never written are not compared
};

/// The expected state of one mbuf of a frame, with a vector for its bytes.
struct ModelSegment {
  std::shared_ptr<ModelBuffer> buffer;  ///< one reference for each user of the buffer
  std::size_t offset = 0;
  std::size_t length = 0;
  bool plain = true;  ///< a direct mbuf that was never cloned

  [[nodiscard]] std::size_t capacity() const { return buffer->bytes.size(); }
  [[nodiscard]] bool shared() const { return buffer.use_count() > 1; }
  [[nodiscard]] std::size_t headroom() const { return shared() ? 0 : offset; }
  [[nodiscard]] std::size_t tailroom() const { return shared() ? 0 : capacity() - offset - length; }
};

struct ModelFrame {
  std::vector<ModelSegment> segments;
  TxOffload offload;
  std::uint64_t timestamp = 0;

  [[nodiscard]] std::size_t length() const;
  [[nodiscard]] ModelSegment& first() { return segments.front(); }
  [[nodiscard]] ModelSegment& last() { return segments.back(); }

  // Like the operations of Mbuf: false leaves everything unchanged.
  [[nodiscard]] bool reserve(std::size_t bytes);
  [[nodiscard]] bool append(const std::vector<std::uint8_t>& bytes);
  [[nodiscard]] bool prepend(const std::vector<std::uint8_t>& bytes);
  [[nodiscard]] bool strip(std::size_t bytes);
  void strip_request(std::size_t bytes);
  /// A request has lengths only if it needs them.
  void forget_unused_lengths();
  [[nodiscard]] bool trim(std::size_t bytes);
  [[nodiscard]] bool chain(ModelFrame&& more);
  [[nodiscard]] ModelFrame clone();
  [[nodiscard]] bool can_attach() const;
  [[nodiscard]] std::vector<std::uint8_t> contents() const;
};

/// The first difference between `mbuf` and `model`; empty if they agree.
[[nodiscard]] std::optional<std::string> difference(Mbuf& mbuf, const ModelFrame& model);

}  // namespace pollux::test
