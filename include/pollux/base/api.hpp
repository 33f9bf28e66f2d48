// SPDX-License-Identifier: BSD-3-Clause
#pragma once

/// Marks what the shared library exports: each class with a function or a virtual table in the library, and each
/// function at namespace scope. Everything else is hidden. The static library contains the same objects; to link it
/// into another shared library without exporting Pollux, pass --exclude-libs to the linker.
#define POLLUX_API [[gnu::visibility("default")]]
