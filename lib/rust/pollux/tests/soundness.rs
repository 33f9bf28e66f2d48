// SPDX-License-Identifier: BSD-3-Clause
//! Kinds of faults that other bindings of C libraries had.
mod common;

use common::{pair, pair_with};
use pollux::{Burst, Code, Context, Frame, HugePages, Offload, Poller, PoolOptions, TelemetryOptions};
use std::any::Any;
use std::os::unix::io::{AsFd, AsRawFd};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

#[test]
fn objects_may_be_dropped_in_any_order() {
    let folder = std::env::temp_dir();
    for turn in 0..12 {
        let mut pair = pair();
        let (mut rx, mut tx) = (pair.right.rx(0).unwrap(), pair.left.tx(0).unwrap());
        let mut poller = Poller::open(&pair.context).unwrap();
        poller.add(pair.left.rx(0).unwrap(), 0, &pair.unread, |_| ()).unwrap();
        let mut burst = pair.burst();
        let mut held = Burst::<4>::new(&pair.unread);
        for number in 0..3 {
            tx.send_one(pair.frame(number)).unwrap();
            held.push(pair.frame(number)).unwrap();
        }
        pair.pass();
        assert_eq!(rx.receive(&mut burst), 3);
        let mut original = burst.pop().unwrap();
        let clone = original.try_clone(&mut pair.pool).unwrap();
        let telemetry = TelemetryOptions {
            socket: Some(format!("{}/pollux-order-{}.sock", folder.display(), std::process::id())),
            ..Default::default()
        };
        let telemetry = pair.context.open_telemetry(&telemetry).unwrap();
        let (events, waker) = (pair.left.events().unwrap(), poller.waker());
        let common::Pair {
            context,
            left,
            right,
            pool,
            unread,
        } = pair;
        let mut all: Vec<Box<dyn Any>> = vec![
            Box::new(context),
            Box::new(left),
            Box::new(right),
            Box::new(pool),
            Box::new(rx),
            Box::new(tx),
            Box::new(poller),
            Box::new(waker.clone()),
            Box::new(burst),
            Box::new(held),
            Box::new((original, unread)),
            Box::new((telemetry, events)),
        ];
        all.rotate_left(turn);
        if turn % 2 == 1 {
            all.reverse();
        }
        all.into_iter().for_each(drop);
        waker.wake();
        assert_eq!(clone[63], 2);
    }
}

#[test]
fn what_is_empty_is_an_empty_slice() {
    let mut pair = pair();
    let mut empty = pair.pool.alloc(0).unwrap();
    assert!(empty.is_empty() && empty.try_mut().unwrap().is_empty());
    assert_eq!(empty.buffers().map(<[u8]>::len).collect::<Vec<_>>(), [0]);
    assert_eq!(empty.copy_to(0, &mut []), 0);
    assert!(empty.append(0).unwrap().is_empty() && empty.prepend(0).unwrap().is_empty());
    assert!(empty.strip(0) && empty.trim(0));
    let mut nothing = Burst::<0>::new(&pair.unread);
    let (mut rx, mut tx) = (pair.left.rx(0).unwrap(), pair.left.tx(0).unwrap());
    assert_eq!((rx.receive(&mut nothing), tx.send(&mut nothing)), (0, 0));
    assert!(pair.pool.alloc_burst(&mut nothing, 0, 60) && nothing.is_empty() && nothing.drain().next().is_none());
    assert!(nothing.push(empty).is_err());
    nothing.bytes_mut().for_each(drop);
    nothing.free();
}

#[test]
fn numbers_without_sense_are_errors() {
    let open = |bytes| {
        Context::options()
            .arena_bytes(bytes)
            .huge_pages(HugePages::Never)
            .open()
    };
    for bytes in [1, u64::MAX] {
        let _ = open(bytes).map(|context| context.open_pool(&PoolOptions::default()).map(drop));
    }
    let context = open(1 << 28).unwrap();
    let name = Some("x".repeat(100_000));
    for (count, data_room, headroom) in [
        (u32::MAX, 0, 0),
        (0, u32::MAX, 0),
        (1, 2048, u32::MAX - 1),
        (u32::MAX, 65_280, u32::MAX),
    ] {
        let options = PoolOptions {
            name: name.clone(),
            count,
            data_room,
            headroom,
        };
        assert!(context.open_pool(&options).is_err(), "{count} {data_room} {headroom}");
    }
    let port = context.open_port("null:").unwrap();
    port.wait_for_link(Duration::MAX).unwrap();
    let mut one = port.pool(0).unwrap().alloc(2048).unwrap();
    one.set_offload(&Offload {
        flags: u32::MAX,
        l2: u16::MAX,
        ..Default::default()
    });
    assert!(one.strip(2048) && !one.strip(u32::MAX) && one.append(u32::MAX).is_none());
}

#[test]
fn texts_end_at_a_character() {
    let context = Context::open().unwrap();
    for begin in ["", "a", "ab", "abc"] {
        let error = context.open_port(&format!("{begin}{}", "€".repeat(2000))).unwrap_err();
        assert_eq!(error.code, Code::InvalidArgument);
        assert!(
            error.message.ends_with("...") && !error.message.contains('\u{FFFD}'),
            "{error}"
        );
    }
}

#[test]
fn a_borrowed_descriptor_stays_open() {
    let pair = pair_with(r#"{"rx":[{},{}],"tx":[{},{}]}"#);
    let (first, second) = (pair.left.rx(0).unwrap(), pair.left.rx(1).unwrap());
    let (one, two) = (first.as_fd(), second.as_fd());
    let name = |fd: i32| std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
    let (names, clock) = ([name(one.as_raw_fd()), name(two.as_raw_fd())], pair.context.as_fd());
    for settings in [
        r#"{"rx":[{"ring":128},{}]}"#,
        r#"{"rx":[{}],"tx":[{}]}"#,
        r#"{"mtu":4000}"#,
    ] {
        pair.left.request("port.stop", None).unwrap();
        pair.left.change(settings).unwrap();
        pair.left.request("port.start", None).unwrap();
        assert_eq!([name(one.as_raw_fd()), name(two.as_raw_fd())], names, "{settings}");
    }
    assert!(clock.as_raw_fd() >= 0);
}

/// Counts its drops, and panics in the first.
struct Panics(Arc<Mutex<u32>>);

impl Drop for Panics {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) += 1;
        if !thread::panicking() {
            panic!("in a destructor");
        }
    }
}

#[test]
fn panics_do_not_pass_through_c() {
    let mut pair = pair();
    let drops = Arc::new(Mutex::new(0));
    let mut poller = Poller::open(&pair.context).unwrap();
    let kept = Panics(drops.clone());
    let thrown = drops.clone();
    let handler = move |burst: &mut Burst<64>| {
        let _owned = &kept;
        let _first = burst.pop();
        std::panic::panic_any(Panics(thrown.clone()));
    };
    let key = poller.add(pair.right.rx(0).unwrap(), 0, &pair.unread, handler).unwrap();
    let mut tx = pair.left.tx(0).unwrap();
    for number in 0..3 {
        tx.send_one(pair.frame(number)).unwrap();
    }
    pair.pass();
    let payload = catch_unwind(AssertUnwindSafe(|| poller.run_once(Duration::ZERO))).unwrap_err();
    assert_eq!(pair.unread.count(), 2);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(payload))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(poller.remove(key)))).is_err());
    assert_eq!(*drops.lock().unwrap_or_else(|poisoned| poisoned.into_inner()), 2);
    assert_eq!(poller.run_once(Duration::ZERO).unwrap(), 0);
    assert!(pair.right.rx(0).is_ok(), "the queue has come back");
    // A panic between the frames of a burst: each has one owner.
    let mut burst = pair.burst();
    for number in 0..4 {
        burst.push(pair.frame(number)).unwrap();
    }
    let stopped = catch_unwind(AssertUnwindSafe(|| {
        burst.drain().for_each(|frame| assert_ne!(frame[63], 1));
    }));
    assert!(stopped.is_err());
    assert_eq!((burst.len(), burst[0][63]), (2, 2));
}

#[test]
fn a_panic_of_one_destructor_keeps_no_other_queue() {
    let pair = pair_with(r#"{"rx":[{},{},{}]}"#);
    let drops = Arc::new(Mutex::new(0));
    let mut poller = Poller::open(&pair.context).unwrap();
    for number in 0..3 {
        let kept = Panics(drops.clone());
        let handler = move |_: &mut Burst<64>| {
            let _owned = &kept;
        };
        poller.add(pair.right.rx(number).unwrap(), 0, &pair.unread, handler).unwrap();
    }
    assert!(catch_unwind(AssertUnwindSafe(|| drop(poller))).is_err());
    assert_eq!(*drops.lock().unwrap_or_else(|poisoned| poisoned.into_inner()), 3);
    for number in 0..3 {
        assert!(pair.right.rx(number).is_ok(), "queue {number} has come back");
    }
}

#[test]
fn virtual_time_passes_in_several_threads() {
    let pair = pair();
    let begun = pair.context.now();
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let context = pair.context.clone();
            thread::spawn(move || (0..200).for_each(|_| context.sleep(Duration::from_micros(500))))
        })
        .collect();
    for number in 2..12 {
        let port = pair.context.open_port(&format!("sim:{number}")).unwrap();
        port.change(r#"{"mtu":2000}"#).unwrap();
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(pair.context.now() >= begun + Duration::from_millis(200));
}

#[test]
fn clones_end_in_two_threads() {
    let mut pair = pair();
    let before = common::frames_in_use(&pair.context);
    // No more than the pool has, however slow the other thread is.
    let (sender, receiver) = std::sync::mpsc::sync_channel::<Frame>(64);
    let other = thread::spawn(move || receiver.iter().map(|frame| u32::from(frame[63])).sum::<u32>());
    for _ in 0..2000 {
        let mut original = pair.frame(1);
        sender.send(original.try_clone(&mut pair.pool).unwrap()).unwrap();
        assert_eq!(original[63], 1);
    }
    drop(sender);
    assert_eq!(other.join().unwrap(), 2000);
    assert_eq!(common::frames_in_use(&pair.context), before);
}
