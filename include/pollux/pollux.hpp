// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The public headers that most applications need.

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/drop_counter.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/mem/mbuf_ring.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/mem/mpmc_ring.hpp"
#include "pollux/mem/offload.hpp"
#include "pollux/mem/spsc_ring.hpp"
#include "pollux/net/checksum_offload.hpp"
#include "pollux/net/frame_filters.hpp"
#include "pollux/net/loopback.hpp"
#include "pollux/net/offload_limits.hpp"
#include "pollux/net/packet/builder.hpp"
#include "pollux/net/packet/classify.hpp"
#include "pollux/net/packet/parse.hpp"
#include "pollux/net/packet/sums.hpp"
#include "pollux/net/packet/toeplitz.hpp"
#include "pollux/net/port.hpp"
#include "pollux/net/queue_observer.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "pollux/open.hpp"
