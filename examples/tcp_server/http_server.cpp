// SPDX-License-Identifier: BSD-3-Clause
#include "tcp_server/http_server.hpp"

#include <fmt/format.h>
#include <lwip/tcp.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace pollux::examples {
namespace {

constexpr std::size_t kMaxRequest = 4096;
constexpr std::size_t kChunk = 8192;
/// lwIP calls `poll` every two of its half seconds.
constexpr u8_t kPollInterval = 2;

}  // namespace

/// One connection. It frees itself when lwIP reports its end, or the server ends.
struct HttpServer::Connection {
  HttpServer& server;
  tcp_pcb* pcb;
  std::string request;
  std::string header;         // of the answer; what was not yet given to lwIP
  std::uint64_t body = 0;     // bytes of the answer's body
  std::uint64_t next = 0;     // the first of them that was not yet given to lwIP
  std::uint64_t unacked = 0;  // bytes that the client has not acknowledged
  bool is_answering = false;

  ~Connection() { server.open_.erase(this); }

  static err_t accept(void* argument, tcp_pcb* pcb, err_t error) {
    if (error != ERR_OK || pcb == nullptr) return ERR_VAL;
    HttpServer& server = *static_cast<HttpServer*>(argument);
    ++server.counts_.connections;
    auto* const made = new Connection{server, pcb, {}, {}};
    server.open_.insert(made);
    tcp_arg(pcb, made);
    tcp_recv(pcb, &receive);
    tcp_sent(pcb, &sent);
    tcp_poll(pcb, &poll, kPollInterval);
    tcp_err(pcb, &broken);
    return ERR_OK;
  }
  static err_t receive(void* argument, tcp_pcb* pcb, pbuf* data, err_t) {
    Connection& self = *static_cast<Connection*>(argument);
    // The client sends no more. It may still receive what it has asked for (RFC 9293, 3.6).
    if (data == nullptr) return self.is_answering ? self.give() : self.close(true);
    tcp_recved(pcb, data->tot_len);
    if (!self.is_answering) {
      std::string more(data->tot_len, '\0');
      pbuf_copy_partial(data, more.data(), data->tot_len, 0);
      self.request += more;
    }
    pbuf_free(data);
    if (self.is_answering) return ERR_OK;
    if (self.request.find("\r\n\r\n") != std::string::npos || self.request.size() > kMaxRequest) self.answer();
    return self.give();
  }
  static err_t sent(void* argument, tcp_pcb*, u16_t bytes) {
    Connection& self = *static_cast<Connection*>(argument);
    self.unacked -= bytes;
    return self.give();
  }
  static err_t poll(void* argument, tcp_pcb*) { return static_cast<Connection*>(argument)->give(); }
  static void broken(void* argument, err_t) {
    auto* const self = static_cast<Connection*>(argument);
    ++self->server.counts_.broken;
    delete self;
  }

  void answer() {
    const bool is_get = request.starts_with("GET ") && request.size() <= kMaxRequest;
    if (!is_get) ++server.counts_.refused;
    body = is_get ? server.bytes_ : 0;
    header = fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                         is_get ? "200 OK" : "400 Bad Request", body);
    is_answering = true;
  }
  /// Gives lwIP as much as it has room for.
  err_t give() {
    if (!is_answering) return ERR_OK;
    while (!header.empty()) {
      const std::size_t bytes = std::min<std::size_t>(header.size(), tcp_sndbuf(pcb));
      if (bytes == 0 || tcp_write(pcb, header.data(), static_cast<u16_t>(bytes), TCP_WRITE_FLAG_COPY) != ERR_OK) break;
      header.erase(0, bytes);
      unacked += bytes;
    }
    while (header.empty() && next < body && give_body()) {
    }
    tcp_output(pcb);
    if (header.empty() && next == body && unacked == 0) return close(false);
    return ERR_OK;
  }
  bool give_body() {
    std::array<std::uint8_t, kChunk> chunk;
    const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>({kChunk, body - next, tcp_sndbuf(pcb)}));
    if (bytes == 0) return false;
    for (std::size_t i = 0; i < bytes; ++i) {
      const std::uint64_t at = next + i;
      chunk[i] = static_cast<std::uint8_t>(at / 8 >> at % 8 * 8);
    }
    if (tcp_write(pcb, chunk.data(), static_cast<u16_t>(bytes), TCP_WRITE_FLAG_COPY) != ERR_OK) return false;
    next += bytes;
    unacked += bytes;
    return true;
  }
  err_t close(bool by_client) {
    const bool is_complete = is_answering && header.empty() && next == body && unacked == 0;
    if (is_complete && body != 0) ++server.counts_.served;
    if (by_client && !is_complete) ++server.counts_.broken;
    tcp_pcb* const closed = forget();
    if (tcp_close(closed) == ERR_OK) return ERR_OK;
    tcp_abort(closed);
    return ERR_ABRT;
  }
  /// Frees the connection. lwIP calls it no more; the caller ends what lwIP has of it.
  tcp_pcb* forget() {
    tcp_arg(pcb, nullptr);
    tcp_recv(pcb, nullptr);
    tcp_sent(pcb, nullptr);
    tcp_poll(pcb, nullptr, 0);
    tcp_err(pcb, nullptr);
    tcp_pcb* const forgotten = pcb;
    delete this;
    return forgotten;
  }
};

Result<std::unique_ptr<HttpServer>> HttpServer::listen(std::uint16_t port, std::uint64_t bytes) {
  const auto failed = [&] {
    return fail(ErrorCode::io_error, fmt::format("lwIP: cannot listen on TCP port {}", port), "choose another port");
  };
  std::unique_ptr<HttpServer> made(new HttpServer(bytes));
  tcp_pcb* const pcb = tcp_new();
  if (pcb == nullptr) return failed();
  if (tcp_bind(pcb, IP_ADDR_ANY, port) != ERR_OK) return tcp_abort(pcb), failed();
  made->listener_ = tcp_listen(pcb);
  if (made->listener_ == nullptr) return tcp_abort(pcb), failed();
  tcp_arg(made->listener_, made.get());
  tcp_accept(made->listener_, &Connection::accept);
  return made;
}

HttpServer::~HttpServer() {
  while (!open_.empty()) tcp_abort((*open_.begin())->forget());
  if (listener_ != nullptr) tcp_close(listener_);
}

}  // namespace pollux::examples
