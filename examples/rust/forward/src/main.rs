// SPDX-License-Identifier: BSD-3-Clause
//! Forwards frames between two ports with tokio: it sleeps while none come.
//!
//!     forward sim:0 sim:2        until Ctrl-C
use pollux::{Burst, Context, DropCounter, RxQueue, TxQueue};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// One direction. It gives other tasks a turn after some bursts.
async fn forward(rx: RxQueue, mut tx: TxQueue, tx_full: DropCounter, frames: Arc<AtomicUsize>) {
    const TURNS: usize = 8;
    let mut rx = AsyncFd::new(rx).expect("a port cannot wake a program; l2fwd polls it");
    let mut burst = Burst::<32>::new(&tx_full);
    loop {
        let mut turns = 0;
        while turns < TURNS && rx.get_mut().receive(&mut burst) != 0 {
            frames.fetch_add(tx.send(&mut burst), Ordering::Relaxed); // takes what fits
            burst.drop_frames(); // the rest, counted
            turns += 1;
        }
        if turns == TURNS {
            tokio::task::yield_now().await;
        } else if rx.get_mut().arm() {
            rx.readable_mut().await.expect("the port is open").clear_ready();
            rx.get_mut().disarm();
        }
    }
}

/// Statistics of cards, events: when they are due, and when the context's descriptor tells of more.
async fn control(context: Context) {
    let ready = AsyncFd::new(context.clone()).expect("the process has no descriptor left");
    loop {
        let next = context.run_due().unwrap_or_else(|error| {
            eprintln!("forward: {error}"); // of one port; the others go on
            None
        });
        let pause = next.map_or(Duration::from_secs(1), |next| next.saturating_sub(context.now()));
        if let Ok(ready) = timeout(pause.min(Duration::from_secs(1)), ready.readable()).await {
            ready.expect("the context is open").clear_ready();
        }
    }
}

fn main() -> Outcome {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let (left, right) = match names.as_slice() {
        [left, right] => (left, right),
        _ => return Err("usage: forward PORT PORT".into()),
    };
    let context = Context::open()?;
    let tx_full = context.drop_counter("forward_tx_full")?;
    let (a, b) = (context.open_port(left)?, context.open_port(right)?);
    let (there, back) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::spawn(forward(a.rx(0)?, b.tx(0)?, tx_full.clone(), there.clone()));
        tokio::spawn(forward(b.rx(0)?, a.tx(0)?, tx_full.clone(), back.clone()));
        tokio::spawn(control(context.clone()));
        println!("forwarding between {left} and {right}; Ctrl-C ends it");
        tokio::signal::ctrl_c()
            .await
            .map_err(Box::<dyn std::error::Error>::from)
    })?;
    drop(runtime); // and with it the tasks, which have the queues
    println!("from {left}: {} frames", there.load(Ordering::Relaxed));
    println!("from {right}: {} frames", back.load(Ordering::Relaxed));
    println!("dropped, {}: {}", tx_full.name(), tx_full.count());
    a.close()?;
    b.close()?;
    Ok(())
}
