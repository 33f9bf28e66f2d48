// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "mem/mempool_core.hpp"
#include "pollux/net/validated_config.hpp"
