// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "doctor/check.hpp"

namespace pollux::tool::doctor {

/// The checks of an interface of the kernel (Subject::interface), which `xdp:NAME` uses, in the order in which their
/// faults have to be mended. They change nothing, except that the last one starts the port if `Subject::start` allows
/// it: without a rule, so it takes no frames.
[[nodiscard]] std::span<const Check> interface_checks();

}  // namespace pollux::tool::doctor
