// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pollux/mem/mbuf.hpp"

namespace pollux::test {

/// Bytes that one or more segments see, the plain way.
struct ModelBuffer {
  std::vector<std::uint8_t> bytes;  ///< of the whole buffer; what nobody wrote is not compared
};

/// What one mbuf of a frame is to be: head- and tailroom as arithmetic over a vector.
struct ModelSegment {
  std::shared_ptr<ModelBuffer> buffer;  ///< held once by each user of the bytes
  std::size_t offset = 0;
  std::size_t length = 0;
  bool plain = true;  ///< its own buffer, never cloned

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

  // As the Mbuf's operations: false leaves all as it was.
  [[nodiscard]] bool reserve(std::size_t bytes);
  [[nodiscard]] bool append(const std::vector<std::uint8_t>& bytes);
  [[nodiscard]] bool prepend(const std::vector<std::uint8_t>& bytes);
  [[nodiscard]] bool strip(std::size_t bytes);
  void strip_request(std::size_t bytes);
  [[nodiscard]] bool trim(std::size_t bytes);
  [[nodiscard]] bool chain(ModelFrame&& more);
  [[nodiscard]] ModelFrame clone();
  [[nodiscard]] bool can_attach() const;
  [[nodiscard]] std::vector<std::uint8_t> contents() const;
};

/// What `mbuf` shows that `model` does not; nothing if they are the same.
[[nodiscard]] std::optional<std::string> difference(Mbuf& mbuf, const ModelFrame& model);

}  // namespace pollux::test
