//! The data channel: values are gathered and leave together, a segment every 333 ms.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::session::event::Origin;
use crate::session::meters::Meters;

/// Time between two segments with values.
const FLUSH: Duration = Duration::from_millis(333);

/// After so long without a segment an empty one goes out, so that readers and servers know that somebody is there.
const SILENCE: Duration = Duration::from_secs(25);

/// Largest segment, in bytes: readers take a line of less than 64 KiB.
const MAX_SEGMENT: usize = 60 << 10;

/// Bytes around each value: a bracket or comma before it, and the bracket and newline at the end.
const OVERHEAD: usize = 3;

/// Bytes of values that wait while the server takes none; beyond it the oldest are dropped.
const MAX_WAITING: usize = 1 << 20;

/// The task that gathers values. Ends when the pipeline has, with everything handed on.
pub struct Data {
    values: mpsc::Receiver<String>,
    outbox: mpsc::Sender<Bytes>,
    waiting: Waiting,
}

impl Data {
    /// `values` are JSON texts of one line.
    pub fn new(values: mpsc::Receiver<String>, outbox: mpsc::Sender<Bytes>, meters: Arc<Meters>) -> Self {
        Self { values, outbox, waiting: Waiting { values: VecDeque::new(), bytes: 0, meters } }
    }

    pub async fn run(mut self) {
        let mut flush = interval(FLUSH);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sent = Instant::now();
        loop {
            tokio::select! {
                value = self.values.recv() => match value {
                    Some(value) => self.waiting.push(value),
                    None => break,
                },
                _ = flush.tick() => {
                    let due = !self.waiting.values.is_empty() || sent.elapsed() >= SILENCE;
                    // What the server has not taken yet holds back the next.
                    if due && let Ok(permit) = self.outbox.try_reserve() {
                        permit.send(self.waiting.segment());
                        sent = Instant::now();
                    }
                }
            }
        }
        while !self.waiting.values.is_empty() {
            let segment = self.waiting.segment();
            if self.outbox.send(segment).await.is_err() {
                return;
            }
        }
    }
}

/// Values in their order. Those that are left when it is dropped count as dropped too.
struct Waiting {
    values: VecDeque<String>,
    /// Bytes of `values`.
    bytes: usize,
    meters: Arc<Meters>,
}

impl Waiting {
    fn push(&mut self, value: String) {
        if value.len() > MAX_SEGMENT - OVERHEAD {
            self.drop_one("a value that was published is larger than a segment");
            return;
        }
        self.bytes += value.len();
        self.values.push_back(value);
        while self.bytes > MAX_WAITING
            && let Some(oldest) = self.values.pop_front()
        {
            self.bytes -= oldest.len();
            self.drop_one("values were dropped: the server takes them too slowly");
        }
    }

    /// An array of the oldest values, as many as fit.
    fn segment(&mut self) -> Bytes {
        let mut text = String::new();
        while let Some(value) = self.values.pop_front_if(|value| text.len() + value.len() + OVERHEAD <= MAX_SEGMENT) {
            self.bytes -= value.len();
            text.push(if text.is_empty() { '[' } else { ',' });
            text.push_str(&value);
        }
        if text.is_empty() {
            text.push('[');
        }
        text.push_str("]\n");
        text.into()
    }

    fn drop_one(&self, why: &str) {
        self.meters.channels.data.dropped.add(1);
        self.meters.life.error(Origin::Data, why.to_owned());
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.meters.channels.data.dropped.add(self.values.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Rig {
        values: mpsc::Sender<String>,
        segments: mpsc::Receiver<Bytes>,
        meters: Arc<Meters>,
        task: tokio::task::JoinHandle<()>,
        began: Instant,
    }

    impl Rig {
        fn new() -> Self {
            let (values, received) = mpsc::channel(256);
            let (outbox, segments) = mpsc::channel(1);
            let meters = Arc::new(Meters::new());
            let task = tokio::spawn(Data::new(received, outbox, meters.clone()).run());
            Self { values, segments, meters, task, began: Instant::now() }
        }

        async fn publish(&self, value: &str) {
            self.values.send(value.to_owned()).await.unwrap();
        }

        /// The next segment, and after how many milliseconds it came.
        async fn segment(&mut self) -> (String, u128) {
            let segment = self.segments.recv().await.unwrap();
            (String::from_utf8(segment.to_vec()).unwrap(), self.began.elapsed().as_millis())
        }
    }

    /// Catches segments at other times than every 333 ms, and values that change their order.
    #[tokio::test(start_paused = true)]
    async fn values_of_a_flush_leave_together() {
        let mut rig = Rig::new();
        tokio::time::sleep(Duration::from_millis(10)).await;
        rig.publish("1").await;
        rig.publish(r#"{"a":2}"#).await;
        assert_eq!(rig.segment().await, ("[1,{\"a\":2}]\n".to_owned(), 333));
        rig.publish("3").await;
        assert_eq!(rig.segment().await, ("[3]\n".to_owned(), 666));
    }

    /// Catches a channel that falls silent, and one that counts silence from anything but the last segment.
    #[tokio::test(start_paused = true)]
    async fn an_empty_array_goes_out_after_25_seconds_of_silence() {
        let mut rig = Rig::new();
        assert_eq!(rig.segment().await.0, "[]\n");
        assert!((25_000..25_400).contains(&rig.began.elapsed().as_millis()));
        tokio::time::sleep(Duration::from_secs(10)).await;
        rig.publish("1").await;
        let (text, first) = rig.segment().await;
        assert_eq!(text, "[1]\n");
        let (text, second) = rig.segment().await;
        assert_eq!(text, "[]\n");
        assert!((25_000..25_400).contains(&(second - first)), "{first} {second}");
    }

    /// Catches segments larger than a reader takes, and values that are lost at the seam.
    #[tokio::test(start_paused = true)]
    async fn what_does_not_fit_leaves_with_the_next_flush() {
        let mut rig = Rig::new();
        let sent: Vec<String> = (0..6).map(|n| format!("\"{}\"", n.to_string().repeat(25_000))).collect();
        for value in &sent {
            rig.publish(value).await;
        }
        let (mut received, mut last) = (Vec::new(), 0);
        while received.len() < sent.len() {
            let (text, at) = rig.segment().await;
            assert!(text.len() <= 60 << 10 && text.ends_with("]\n"));
            assert!(at > last || at == 0, "two segments at {at} ms");
            last = at;
            received.extend(serde_json::from_str::<Vec<String>>(&text).unwrap());
        }
        let received: Vec<String> = received.iter().map(|value| format!("{value:?}")).collect();
        assert!(received == sent);
        assert_eq!(rig.meters.channels.data.dropped.get(), 0);
    }

    /// Catches a value of exactly the limit that is lost, and a larger one that blocks the others.
    #[tokio::test(start_paused = true)]
    async fn a_value_larger_than_a_segment_is_dropped_and_counted() {
        let mut rig = Rig::new();
        let most = "9".repeat(MAX_SEGMENT - OVERHEAD);
        rig.publish(&format!("{most}9")).await;
        rig.publish(&most).await;
        assert_eq!(rig.segment().await.0, format!("[{most}]\n"));
        assert_eq!(rig.meters.channels.data.dropped.get(), 1);
    }

    /// Catches memory that grows while the server takes nothing, and losses that are not counted.
    #[tokio::test(start_paused = true)]
    async fn a_server_that_takes_nothing_costs_the_oldest_values() {
        let mut rig = Rig::new();
        for n in 0..200 {
            rig.publish(&format!("\"{n:010000}\"")).await;
        }
        drop(rig.values);
        let mut received = Vec::new();
        while let Some(segment) = rig.segments.recv().await {
            received.extend(serde_json::from_slice::<Vec<String>>(&segment).unwrap());
        }
        rig.task.await.unwrap();
        assert_eq!(received.len() as u64 + rig.meters.channels.data.dropped.get(), 200);
        assert!((90..=115).contains(&received.len()), "{}", received.len());
        assert!(received.last().unwrap().ends_with("199"));
    }

    /// Catches values that are lost because the stream ends before their flush.
    #[tokio::test(start_paused = true)]
    async fn what_was_published_last_goes_out_at_the_end() {
        let mut rig = Rig::new();
        tokio::time::sleep(Duration::from_millis(10)).await;
        rig.publish("\"last\"").await;
        drop(rig.values);
        assert_eq!(rig.segments.recv().await.unwrap(), "[\"last\"]\n");
        rig.task.await.unwrap();
        assert_eq!(rig.meters.channels.data.dropped.get(), 0);
    }
}
