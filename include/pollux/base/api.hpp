// SPDX-License-Identifier: BSD-3-Clause
#pragma once

/// Marks what the shared library exports: each class with a function or a table of virtual functions in the library,
/// and each function at namespace scope. All else is hidden. Both libraries are made of the same objects; whoever links
/// the static one into a shared library of his own hides Pollux there by the linker's --exclude-libs.
#define POLLUX_API [[gnu::visibility("default")]]
