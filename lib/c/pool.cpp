// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include "c/handles.hpp"

using namespace pollux;
using namespace pollux::c;

pollux_pool* pollux_pool_open(pollux_context* context, const pollux_pool_options* given, pollux_error* error) {
  return make(error, [&]() -> Result<std::unique_ptr<pollux_pool>> {
    if (auto there = need(context, "context"); !there) return pass_on(std::move(there));
    const auto read = read_options(given, "pollux_pool_options");
    if (!read) return tl::unexpected<Error>(read.error());
    MempoolOptions options;
    if (read->name != nullptr) options.name = read->name;
    if (read->count != 0) options.count = read->count;
    if (read->data_room != 0) options.data_room = read->data_room;
    if (read->headroom != 0) options.headroom = read->headroom == UINT32_MAX ? 0 : read->headroom;
    auto pool = Mempool::create(context->core->context, std::move(options));
    if (!pool) return pass_on(std::move(pool));
    return std::unique_ptr<pollux_pool>(new pollux_pool{context->core, *std::move(pool)});
  });
}

pollux_pool* pollux_pool_of_port(pollux_port* port, uint16_t queue, pollux_error* error) {
  return make(error, [&]() -> Result<std::unique_ptr<pollux_pool>> {
    if (auto there = need(port, "port"); !there) return pass_on(std::move(there));
    auto pool = port->port.rx_pool(queue);
    if (!pool) {
      return fail(ErrorCode::invalid_argument, fmt::format("the port has no receive queue {}", queue),
                  "pollux_port_settings lists its queues");
    }
    return std::unique_ptr<pollux_pool>(new pollux_pool{port->core, *std::move(pool)});
  });
}

void pollux_pool_close(pollux_pool* pool) { delete pool; }

pollux_code pollux_rx_use_pool(pollux_rx* rx, const pollux_pool* pool, pollux_error* error) {
  return run(error, [&]() -> Result<void> {
    if (auto there = need(rx, "rx"); !there) return there;
    if (auto there = need(pool, "pool"); !there) return there;
    return queue_of(rx).use_cache(pool->cache);
  });
}

pollux_code pollux_tx_use_pool(pollux_tx* tx, const pollux_pool* pool, pollux_error* error) {
  return run(error, [&]() -> Result<void> {
    if (auto there = need(tx, "tx"); !there) return there;
    if (auto there = need(pool, "pool"); !there) return there;
    return queue_of(tx).use_cache(pool->cache);
  });
}
