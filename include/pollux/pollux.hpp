// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/drop_counter.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/frame_filters.hpp"
#include "pollux/mem/offload.hpp"
#include "pollux/net/checksum_offload.hpp"
#include "pollux/net/offload_limits.hpp"
#include "pollux/net/port.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "pollux/open.hpp"
