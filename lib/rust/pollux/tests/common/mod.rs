// SPDX-License-Identifier: BSD-3-Clause
//! What the tests share.
#![allow(dead_code)]
use pollux::{Burst, Context, DropCounter, Frame, Pool, Port};
use std::time::Duration;

/// Two in-process cards at the ends of a wire, in virtual time.
pub struct Pair {
    pub context: Context,
    pub left: Port,
    pub right: Port,
    pub pool: Pool,
    pub unread: DropCounter,
}

pub fn pair() -> Pair {
    pair_with("{}")
}

/// The same with settings of both ports.
pub fn pair_with(settings: &str) -> Pair {
    let context = Context::options().virtual_time().open().unwrap();
    let left = context.open_port_with("sim:0", settings).unwrap();
    let right = context.open_port_with("sim:1", settings).unwrap();
    left.wait_for_link(Duration::from_secs(10)).unwrap();
    right.wait_for_link(Duration::from_secs(10)).unwrap();
    let pool = left.pool(0).unwrap();
    let unread = context.drop_counter("test_unread").unwrap();
    Pair {
        context,
        left,
        right,
        pool,
        unread,
    }
}

impl Pair {
    pub fn burst(&self) -> Burst<32> {
        Burst::new(&self.unread)
    }
    /// Lets the cards do their work.
    pub fn pass(&self) {
        self.context.sleep(Duration::from_millis(1));
    }
    pub fn frame(&mut self, number: u8) -> Frame {
        frame(&mut self.pool, number)
    }
}

/// A broadcast of 64 bytes that ends with `number`.
pub fn frame(pool: &mut Pool, number: u8) -> Frame {
    let mut frame = pool.alloc(64).unwrap();
    frame.fill(0);
    frame[..6].fill(0xFF);
    frame[6] = 2;
    frame[12..14].copy_from_slice(&[0x88, 0xB5]);
    frame[63] = number;
    frame
}

/// The value of a number in a JSON object, where it comes first.
pub fn number(json: &str, name: &str) -> u64 {
    let key = format!("\"{name}\":");
    let at = json.find(&key).unwrap_or_else(|| panic!("no {name} in {json}")) + key.len();
    let digits: String = json[at..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// Frames of all pools that have not returned.
pub fn frames_in_use(context: &Context) -> u64 {
    number(&context.request("pools", None).unwrap(), "in_use")
}
