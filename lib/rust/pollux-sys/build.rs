// SPDX-License-Identifier: BSD-3-Clause
//! Asks pkg-config how to link with libpollux-c.
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    let asked = Command::new("pkg-config").args(["--libs", "pollux-c >= 0.9"]).output();
    let output = match asked {
        Ok(output) if output.status.success() => output.stdout,
        Ok(output) => panic!(
            "{}install Pollux, or set PKG_CONFIG_PATH to the folder of its pollux-c.pc",
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => panic!("pkg-config cannot be run: {error}: install it"),
    };
    for word in String::from_utf8_lossy(&output).split_whitespace() {
        if let Some(folder) = word.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={folder}");
        } else if let Some(library) = word.strip_prefix("-l") {
            println!("cargo:rustc-link-lib={library}");
        }
    }
}
