// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <vector>

#include "c/handles.hpp"
#include "mem/context_state.hpp"
#include "pollux/net/port_info.hpp"
#include "pollux/net/settings.hpp"
#include "pollux/net/settings_text.hpp"
#include "pollux/open.hpp"

using namespace pollux;
using namespace pollux::c;

namespace {

std::int32_t number(PortEventKind kind) noexcept {
  switch (kind) {
    case PortEventKind::link_up: return POLLUX_LINK_UP;
    case PortEventKind::link_down: return POLLUX_LINK_DOWN;
    case PortEventKind::removed: return POLLUX_REMOVED;
    case PortEventKind::error: return POLLUX_FAILED;
    case PortEventKind::tx_timeout: return POLLUX_TX_TIMEOUT;
    case PortEventKind::rx_timeout: return POLLUX_RX_TIMEOUT;
  }
  return POLLUX_FAILED;
}

}  // namespace

pollux_port* pollux_port_open(pollux_context* context, const char* uri, const char* settings, pollux_error* error) {
  return make(error, [&]() -> Result<std::unique_ptr<pollux_port>> {
    if (auto there = need(context, "context"); !there) return pass_on(std::move(there));
    if (auto there = need(uri, "uri"); !there) return pass_on(std::move(there));
    Settings asked;
    if (settings != nullptr) {
      std::vector<Mempool> pools;
      for (auto& pool : context->core->context.state()->pools()) pools.emplace_back(std::move(pool));
      auto read = parse_settings(settings, pools);
      if (!read) return pass_on(std::move(read));
      asked = *std::move(read);
    }
    auto opened = open(context->core->context, uri, std::move(asked));
    if (!opened) return pass_on(std::move(opened));
    return std::unique_ptr<pollux_port>(new pollux_port{context->core, *std::move(opened)});
  });
}

pollux_code pollux_port_close(pollux_port* port, pollux_error* error) {
  if (port == nullptr) return note_success(error);
  const pollux_code code = run(error, [&] { return port->port.close(); });
  delete port;
  return code;
}

pollux_rx* pollux_port_rx(pollux_port* port, uint16_t index) {
  return reinterpret_cast<pollux_rx*>(port->port.rx_queue(index));
}

pollux_tx* pollux_port_tx(pollux_port* port, uint16_t index) {
  return reinterpret_cast<pollux_tx*>(port->port.tx_queue(index));
}

pollux_code pollux_port_wait_for_link(pollux_port* port, uint64_t nanoseconds, pollux_error* error) {
  return run(error, [&]() -> Result<void> {
    if (auto there = need(port, "port"); !there) return there;
    auto link = port->port.wait_for_link(duration(nanoseconds));
    if (!link) return pass_on(std::move(link));
    return {};
  });
}

char* pollux_port_settings(pollux_port* port, pollux_error* error) {
  return make_text(error, [&]() -> Result<std::string> {
    if (auto there = need(port, "port"); !there) return pass_on(std::move(there));
    return settings_text(port->port.settings());
  });
}

pollux_code pollux_port_change(pollux_port* port, const char* patch, pollux_error* error) {
  return run(error, [&]() -> Result<void> {
    if (auto there = need(port, "port"); !there) return there;
    if (auto there = need(patch, "patch"); !there) return there;
    return port->core->requests.change(port->port, patch);
  });
}

char* pollux_request(pollux_context* context, pollux_port* port, const char* method, const char* params,
                     pollux_error* error) {
  return make_text(error, [&]() -> Result<std::string> {
    if (auto there = need(context, "context"); !there) return pass_on(std::move(there));
    if (auto there = need(method, "method"); !there) return pass_on(std::move(there));
    return context->core->requests.request(port == nullptr ? nullptr : &port->port, method, text_or_empty(params));
  });
}

void pollux_port_on_event(pollux_port* port, pollux_event_callback* callback, void* user) {
  PortEventHandler handler;
  if (callback != nullptr) {
    handler = [callback, user](const PortEvent& happened) {
      const std::string text = to_string(happened);
      const pollux_event event{.kind = number(happened.kind), .queue = happened.queue, .text = text.c_str()};
      callback(user, &event);
    };
  }
  or_else(*port->core, 0, [&] {
    port->port.on_event(std::move(handler));
    return 0;
  });
}
