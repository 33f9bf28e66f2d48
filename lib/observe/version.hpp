// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// POLLUX_VERSION, a literal: the build sets it.
#ifndef POLLUX_VERSION
#define POLLUX_VERSION "unknown"
#endif
