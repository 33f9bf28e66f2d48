// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_set>

#include "pollux/base/error.hpp"

struct tcp_pcb;

namespace pollux::examples {

/// Answers each HTTP GET with the same document, on lwIP. Byte by byte it is the sequence of the 64-bit numbers 0, 1,
/// 2, ..., the least significant byte first, so that no part of it can be mistaken for another.
/// Thread rule: the thread that calls lwIP.
class HttpServer {
 public:
  struct Counts {
    std::uint64_t connections = 0;
    std::uint64_t served = 0;   ///< documents that were acknowledged to the last byte
    std::uint64_t refused = 0;  ///< requests other than GET, or too long
    std::uint64_t broken = 0;   ///< connections that ended early
  };

  /// `bytes`: length of the document. Errors: io_error (lwIP cannot listen).
  [[nodiscard]] static Result<std::unique_ptr<HttpServer>> listen(std::uint16_t port, std::uint64_t bytes);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  /// Ends the connections that are open. lwIP must still be there.
  ~HttpServer();

  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  struct Connection;
  explicit HttpServer(std::uint64_t bytes) : bytes_(bytes) {}

  std::uint64_t bytes_;
  Counts counts_;
  tcp_pcb* listener_ = nullptr;
  std::unordered_set<Connection*> open_;
};

}  // namespace pollux::examples
