// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "doctor/check.hpp"

/// The checks: each looks at one thing and changes nothing, except `check_link`, which may start the port if
/// `Subject::start` allows it. Those of Scope::port need `Subject::device`.
namespace pollux::tool::doctor {

[[nodiscard]] Finding check_mounts(const Subject& subject);
[[nodiscard]] Finding check_iommu(const Subject& subject);
[[nodiscard]] Finding check_modules(const Subject& subject);
[[nodiscard]] Finding check_access_modes(const Subject& subject);
[[nodiscard]] Finding check_huge_pages(const Subject& subject);
[[nodiscard]] Finding check_memlock(const Subject& subject);
[[nodiscard]] Finding check_governor(const Subject& subject);
[[nodiscard]] Finding check_isolation(const Subject& subject);
[[nodiscard]] Finding check_card(const Subject& subject);
[[nodiscard]] Finding check_host_use(const Subject& subject);
[[nodiscard]] Finding check_give_back(const Subject& subject);
[[nodiscard]] Finding check_group(const Subject& subject);
[[nodiscard]] Finding check_driver(const Subject& subject);
[[nodiscard]] Finding check_permissions(const Subject& subject);
[[nodiscard]] Finding check_holder(const Subject& subject);
[[nodiscard]] Finding check_firmware(const Subject& subject);
[[nodiscard]] Finding check_pcie(const Subject& subject);
[[nodiscard]] Finding check_aspm(const Subject& subject);
[[nodiscard]] Finding check_numa(const Subject& subject);
[[nodiscard]] Finding check_link(const Subject& subject);

}  // namespace pollux::tool::doctor
