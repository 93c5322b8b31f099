//! How long workers take to import what was delivered, in time that is counted and not waited for.
//!
//! A worker takes one message after the other, and imports its objects one after the other. An object takes it 0.12 s,
//! one that lacks what it refers to 8 s, in which it tries again with pauses. All workers together get no more out of
//! the platform than that has processors for: 12 objects a second in the trial from which the figures are.

use super::import::Delivery;

/// Seconds that a worker needs for an object.
const OBJECT: f64 = 0.12;

/// Seconds that a worker needs for an object that lacks what it refers to.
const MISSING: f64 = 8.0;

/// Objects that the platform takes in a second, from all workers together.
const PLATFORM: f64 = 12.0;

/// What an object costs the worker that imports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// It was taken, or refused at once.
    Once,
    /// Something that it refers to was not there: tried again, with pauses.
    Retried,
}

/// How workers came through what was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// Messages that the workers took. One that may be split is one for each of its objects.
    pub messages: usize,
    /// Objects in them. One that stands in several messages counts in each.
    pub objects: usize,
    /// Seconds until the last object was imported.
    pub seconds: f64,
    /// Objects that waited in their message until one before them was given up.
    pub held_back: usize,
}

impl Pace {
    /// Imported objects a second, of which so many are different.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "tests have few objects")]
    pub fn rate(&self, distinct: usize) -> f64 {
        distinct as f64 / self.seconds
    }
}

/// The pace of so many workers with all that was delivered, which lies in the queue when they begin.
#[must_use]
pub fn of(deliveries: &[Delivery], workers: usize) -> Pace {
    let mut messages: Vec<Vec<Cost>> = Vec::new();
    for delivery in deliveries {
        if delivery.in_one_piece {
            messages.push(delivery.costs.clone());
        } else {
            messages.extend(delivery.costs.iter().map(|cost| vec![*cost]));
        }
    }
    of_messages(&messages, workers)
}

/// The same for messages that are not split, by what each of their objects costs.
#[must_use]
pub fn of_messages(messages: &[Vec<Cost>], workers: usize) -> Pace {
    let mut pace = Pace {
        messages: messages.len(),
        objects: messages.iter().map(Vec::len).sum(),
        ..Pace::default()
    };
    let mut queue = messages.iter().filter(|message| !message.is_empty());
    // For each worker: what is left of its message, and when it takes the next object.
    let mut at_work: Vec<(&[Cost], f64)> = queue
        .by_ref()
        .take(workers.max(1))
        .map(|message| (&message[..], 0.0))
        .collect();
    while let Some(next) = earliest(&at_work) {
        let busy = at_work.len();
        let (left, time) = &mut at_work[next];
        let Some((cost, rest)) = left.split_first() else {
            match queue.next() {
                Some(message) => *left = message,
                None => {
                    pace.seconds = pace.seconds.max(*time);
                    at_work.swap_remove(next);
                }
            }
            continue;
        };
        *time += match cost {
            Cost::Once => shared(busy),
            Cost::Retried => MISSING,
        };
        *left = rest;
    }
    pace.held_back = messages.iter().map(|message| held_back(message)).sum();
    pace
}

/// Seconds that an object takes while so many workers are at work.
#[expect(clippy::cast_precision_loss, reason = "there are few workers")]
fn shared(busy: usize) -> f64 {
    OBJECT.max(busy as f64 / PLATFORM)
}

fn earliest(at_work: &[(&[Cost], f64)]) -> Option<usize> {
    let times = at_work.iter().map(|(_, time)| time).enumerate();
    times
        .min_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(worker, _)| worker)
}

fn held_back(message: &[Cost]) -> usize {
    let first = message.iter().position(|cost| *cost == Cost::Retried);
    first.map_or(0, |first| message.len() - first - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40 notifications of 8.5 objects each, in one message, in ten with a fifth more objects, or one an object.
    fn trial(messages: usize) -> (Pace, f64) {
        let sizes = match messages {
            1 => vec![340],
            10 => [41, 41, 41, 41, 41, 41, 41, 41, 40, 40].to_vec(),
            _ => vec![1; 340],
        };
        let messages: Vec<Vec<Cost>> = sizes.iter().map(|it| vec![Cost::Once; *it]).collect();
        let pace = of_messages(&messages, 3);
        (pace, pace.rate(340))
    }

    #[test]
    fn three_workers_are_as_fast_as_three_were_measured() {
        let (one, one_rate) = trial(1);
        let (ten, ten_rate) = trial(10);
        let (_, single_rate) = trial(340);
        assert!((7.4..=9.1).contains(&one_rate), "{one_rate}");
        assert!((9.2..=10.7).contains(&ten_rate), "{ten_rate}");
        assert!(single_rate > ten_rate, "{single_rate}");
        assert_eq!((one.objects, ten.objects), (340, 408));
    }

    #[test]
    fn one_worker_takes_so_long_however_the_objects_come() {
        for sizes in [vec![852], vec![85; 10], vec![1; 852]] {
            let messages: Vec<Vec<Cost>> = sizes.iter().map(|it| vec![Cost::Once; *it]).collect();
            let pace = of_messages(&messages, 1);
            let rate = pace.rate(pace.objects);
            assert!((8.0..=9.1).contains(&rate), "{rate}");
        }
    }

    #[test]
    fn a_refusal_holds_back_its_message_alone() {
        // A relationship of the first message has nothing to end at; 39 of them hold a worker for five minutes.
        for (workers, messages, refused, held_back, seconds) in [
            (1, vec![100], 39, 99, 39.0 * 8.0 + 61.0 * 0.12),
            (3, vec![100], 39, 99, 39.0 * 8.0 + 61.0 * 0.12),
            (3, vec![40; 10], 1, 39, 35.0),
            (1, vec![0], 0, 0, 0.0),
        ] {
            let mut messages: Vec<Vec<Cost>> =
                messages.iter().map(|it| vec![Cost::Once; *it]).collect();
            messages[0][..refused].fill(Cost::Retried);
            let pace = of_messages(&messages, workers);
            assert_eq!(pace.held_back, held_back, "{workers} {refused}");
            let difference = (pace.seconds - seconds).abs();
            assert!(difference < 2.0, "{workers} {refused}: {} s", pace.seconds);
        }
    }
}
